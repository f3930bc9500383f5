/* needs: base */
#ifdef NETSPEC_THREADS
/* Threads that take parts of the work as they come free, so that one which the system does not run delays no others.
   Without work they are awake for a short while, then asleep. */
typedef struct Pool {
  int threads;
  pthread_t ids[NETSPEC_THREADS];
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  atomic_int started, turn, asleep; /* threads, calls of `parallel`, threads that sleep */
  atomic_int left, done;            /* parts that nobody has taken, parts that are done */
  int n, parts; /* these are written only while no part is left or being done */
  void (*task)(const void *, int, int, int);
  const void *arg;
} Pool;

static void pool_parts(Pool *p, int thread) {
  for (int i; (i = atomic_fetch_sub(&p->left, 1) - 1) >= 0; atomic_fetch_add(&p->done, 1)) {
    const int part_of = p->parts - 1 - i;
    p->task(p->arg, (int)((long long)p->n * part_of / p->parts), (int)((long long)p->n * (part_of + 1) / p->parts), thread);
  }
}

static void *pool_thread(void *arg) {
  Pool *p = arg;
  const int thread = atomic_fetch_add(&p->started, 1) + 1;
  for (int seen = 0;;) {
    for (int i = 0; i < 2000 && atomic_load(&p->turn) == seen; i++) RELAX;
    if (atomic_load(&p->turn) == seen) {
      pthread_mutex_lock(&p->mutex);
      atomic_fetch_add(&p->asleep, 1);
      while (atomic_load(&p->turn) == seen) pthread_cond_wait(&p->wake, &p->mutex);
      atomic_fetch_sub(&p->asleep, 1);
      pthread_mutex_unlock(&p->mutex);
    }
    seen = atomic_load(&p->turn);
    if (seen < 0) return NULL;
    pool_parts(p, thread);
  }
}

/* Lets all threads see that there is work, or by a negative turn that there will be none. */
static void pool_turn(Pool *p, int turn) {
  atomic_store(&p->turn, turn);
  if (atomic_load(&p->asleep)) {
    pthread_mutex_lock(&p->mutex);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
  }
}

/* Starts threads, with the caller's as many as asked for or as there can be. */
UNUSED static void pool_start(Pool *p, int threads) {
  memset(p, 0, sizeof *p);
  pthread_mutex_init(&p->mutex, NULL);
  pthread_cond_init(&p->wake, NULL);
  p->threads = 1;
  const int most = min_of(threads, NETSPEC_THREADS);
  while (p->threads < most && !pthread_create(&p->ids[p->threads], NULL, pool_thread, p)) p->threads++;
}

UNUSED static void pool_stop(Pool *p) {
  pool_turn(p, -1);
  for (int i = 1; i < p->threads; i++) pthread_join(p->ids[i], NULL);
  pthread_cond_destroy(&p->wake);
  pthread_mutex_destroy(&p->mutex);
}
#else
typedef struct { int threads; } Pool;
#endif

/* What a kernel runs with: threads (or NULL), and scratch memory for all of them. */
typedef struct { Pool *pool; float *scratch; } Run;

UNUSED static int threads_of(const Pool *p) { return p ? p->threads : 1; }

/* Does task(arg, from, to, thread) for parts of 0..n. */
UNUSED static void parallel(Pool *p, int n, void (*task)(const void *, int, int, int), const void *arg) {
#ifdef NETSPEC_THREADS
  if (p && p->threads > 1 && n > 1) {
    p->n = n, p->parts = min_of(n, 4 * p->threads), p->task = task, p->arg = arg;
    atomic_store(&p->done, 0);
    atomic_store(&p->left, p->parts);
    pool_turn(p, atomic_load(&p->turn) % 1000000 + 1);
    pool_parts(p, 0);
    for (int i = 0; atomic_load(&p->done) < p->parts; i++)
      if (i < 2000) RELAX;
      else sched_yield();
    return;
  }
#endif
  (void)p;
  if (n > 0) task(arg, 0, n, 0);
}
