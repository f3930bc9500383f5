/* needs: base threads windows */
/* What is done channel by channel: n results of 16 channels, each STEP over the elements of its window, from a beginning, times a scale. */
typedef struct {
  const float *x, *w, *start, *add; /* w[element][16]; start[16] */
  float *y;
  int kw, x_high, x_wide;
  float scale;
  Clamp to;
} Lanes;

/* Blocks that are all treated alike; `line` is called with the whole. */
typedef struct {
  Lanes lanes; /* of the first block */
  Walk walk;
  int x_block, y_block, w_block; /* distances of blocks; w: start[16], w[elements][16] */
  void (*line)(const void *, const Line *);
  int include_pad, bottom, right; /* of a mean */
} Job;

static void lanes_task(const void *arg, int from, int to, int thread) {
  Job v = *(const Job *)arg;
  const Lanes first = v.lanes;
  const int rows = v.walk.out_h;
  (void)thread;
  for (int at = from, end; at < to; at = end) {
    const ptrdiff_t b = at / rows;
    end = min_of(to, ((int)b + 1) * rows);
    v.lanes.x = first.x + b * v.x_block, v.lanes.y = first.y + b * v.y_block;
    v.lanes.w = first.w + b * v.w_block, v.lanes.start = first.start + b * v.w_block;
    if (first.add) v.lanes.add = first.add + b * v.y_block;
    walk(&v.walk, at - (int)b * rows, end - (int)b * rows, v.line, &v);
  }
}

/* Starts what one of the functions below has described but for the images. */
static void lanes_run(const Run *r, Blocks x, Blocks y, Window k, Job v) {
  v.walk = (Walk){k, x.h, x.w, 16, 16 * x.w, y.h, y.w, 16, 16 * y.w};
  v.lanes.x = x.at, v.lanes.y = y.at;
  v.lanes.kw = k.kw, v.lanes.x_high = k.dh * x.w * 16, v.lanes.x_wide = k.dw * 16;
  v.x_block = x.h * x.w * 16, v.y_block = y.h * y.w * 16;
  parallel(r->pool, blocks_of(y.c) * y.h, lanes_task, &v);
}

#define LANES(name, attributes, N, STEP) \
attributes INLINE void name##_rows(const Lanes *t, const Line *l, const float *x0, float *y, const float *add, const int rows) { \
  VECTORS(N); \
  const V low = (V){0} + t->to.low, high = (V){0} + t->to.high; \
  for (int part = 0; part < 16; part += N) { \
    V sum[8]; \
    UNROLL for (int r = 0; r < rows; r++) sum[r] = *(const V *)(t->start + part); \
    for (int i = 0; i < l->high; i++) { \
      const float *x = x0 + part + i * t->x_high, *w = t->w + (l->first + i * t->kw) * 16 + part; \
      for (int j = 0; j < l->wide; j++, x += t->x_wide, w += 16) \
        UNROLL for (int r = 0; r < rows; r++) STEP(sum[r], *(const V *)(x + r * l->x_step), *(const V *)w); \
    } \
    UNROLL for (int r = 0; r < rows; r++) { \
      V v = sum[r] * t->scale; \
      if (add) v += *(const V *)(add + part + r * l->y_step); \
      v = SELECT(v < low, low, v); \
      *(V *)(y + part + r * l->y_step) = SELECT(v > high, high, v); \
    } \
  } \
} \
attributes static void name(const Lanes *t, const Line *l) { \
  const float *x = t->x + l->x, *add = t->add ? t->add + l->y : t->add; \
  float *y = t->y + l->y; \
  for (int n = l->n, rows; n > 0; n -= rows) { \
    rows = n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1; \
    switch (rows) { \
      case 8: name##_rows(t, l, x, y, add, 8); break; \
      case 4: name##_rows(t, l, x, y, add, 4); break; \
      case 2: name##_rows(t, l, x, y, add, 2); break; \
      default: name##_rows(t, l, x, y, add, 1); \
    } \
    x += rows * l->x_step, y += rows * l->y_step; \
    if (add) add += rows * l->y_step; \
  } \
}
