/* needs: base */
#ifdef NETSPEC_THREADS
/* Threads that wait for work: awake for a short while, then asleep. */
typedef struct Pool {
  int threads;
  pthread_t ids[NETSPEC_THREADS];
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  atomic_int turn, busy, next; /* which work, how many threads have not done it, the next thread's number */
  int n, stop;
  void (*task)(const void *, int, int, int);
  const void *arg;
} Pool;

static void pool_part(const Pool *p, int thread) {
  const int from = (int)((long long)p->n * thread / p->threads), to = (int)((long long)p->n * (thread + 1) / p->threads);
  if (from < to) p->task(p->arg, from, to, thread);
}

static void *pool_thread(void *arg) {
  Pool *p = arg;
  const int thread = atomic_fetch_add(&p->next, 1);
  for (int done = 0;; done++) {
    for (int i = 0; i < 20000 && atomic_load_explicit(&p->turn, memory_order_acquire) == done; i++) RELAX;
    if (atomic_load(&p->turn) == done) {
      pthread_mutex_lock(&p->mutex);
      while (atomic_load(&p->turn) == done) pthread_cond_wait(&p->wake, &p->mutex);
      pthread_mutex_unlock(&p->mutex);
    }
    if (p->stop) return NULL;
    pool_part(p, thread);
    atomic_fetch_sub(&p->busy, 1);
  }
}

static void pool_turn(Pool *p) {
  pthread_mutex_lock(&p->mutex);
  atomic_store(&p->busy, p->threads - 1);
  atomic_fetch_add(&p->turn, 1);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->mutex);
}

/* Starts threads, with the caller's as many as asked for or as there can be. */
UNUSED static void pool_start(Pool *p, int threads) {
  memset(p, 0, sizeof *p);
  pthread_mutex_init(&p->mutex, NULL);
  pthread_cond_init(&p->wake, NULL);
  atomic_store(&p->next, 1);
  p->threads = 1;
  while (p->threads < min_of(threads, NETSPEC_THREADS) && !pthread_create(&p->ids[p->threads], NULL, pool_thread, p)) p->threads++;
}

UNUSED static void pool_stop(Pool *p) {
  p->stop = 1;
  pool_turn(p);
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
    p->n = n, p->task = task, p->arg = arg;
    pool_turn(p);
    pool_part(p, 0);
    while (atomic_load_explicit(&p->busy, memory_order_acquire)) RELAX;
    return;
  }
#endif
  (void)p;
  if (n > 0) task(arg, 0, n, 0);
}
