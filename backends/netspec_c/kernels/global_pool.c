/* needs: base threads */
typedef struct { Blocks x; Plain y; Clamp to; } GlobalPool;

static void global_avg_task(const void *arg, int from, int to, int thread) {
  const GlobalPool *v = arg;
  const int n = v->x.h * v->x.w;
  (void)thread;
  for (int b = from; b < to; b++) {
    const float *x = v->x.at + (ptrdiff_t)b * n * 16;
    float sum[64] = {0}; /* four pixels at once */
    for (int i = 0; i < n / 4 * 64; i += 64)
      for (int c = 0; c < 64; c++) sum[c] += x[i + c];
    for (int i = n / 4 * 64; i < n * 16; i += 16)
      for (int c = 0; c < 16; c++) sum[c] += x[i + c];
    for (int c = 0; c < 16; c++) {
      const float all = sum[c] + sum[c + 16] + sum[c + 32] + sum[c + 48];
      v->y.at[b * 16 + c] = clamp(all / (float)n, v->to);
    }
  }
}

/* The mean of each channel. */
UNUSED static void global_avg_pool(const Run *r, Blocks x, Plain y, Clamp to) {
  const GlobalPool v = {x, y, to};
  parallel(r->pool, blocks_of(x.c), global_avg_task, &v);
}

static void global_max_task(const void *arg, int from, int to, int thread) {
  const GlobalPool *v = arg;
  const int n = v->x.h * v->x.w;
  (void)thread;
  for (int b = from; b < to; b++) {
    const float *x = v->x.at + (ptrdiff_t)b * n * 16;
    float most[16];
    for (int c = 0; c < 16; c++) most[c] = x[c];
    for (int i = 16; i < n * 16; i += 16)
      for (int c = 0; c < 16; c++) most[c] = most[c] < x[i + c] ? x[i + c] : most[c];
    for (int c = 0; c < 16; c++) v->y.at[b * 16 + c] = clamp(most[c], v->to);
  }
}

/* The largest value of each channel. */
UNUSED static void global_max_pool(const Run *r, Blocks x, Plain y, Clamp to) {
  const GlobalPool v = {x, y, to};
  parallel(r->pool, blocks_of(x.c), global_max_task, &v);
}
