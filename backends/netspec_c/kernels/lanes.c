/* needs: base threads windows */
/* What is done channel by channel: results of 16 channels, each STEP over the elements of its window, from a beginning,
   times a scale. */
typedef struct {
  const float *x, *w, *start, *add; /* w[element][16]; start[16] */
  float *y;
  int kw, x_high, x_wide;
  float scale;
  Clamp to;
} Lanes;

/* Blocks that are all treated alike; `fill` is called with the whole. */
typedef struct {
  Lanes lanes; /* of the first block */
  Walk walk;
  int x_block, y_block, w_block; /* distances of blocks; w: start[16], w[elements][16] */
  void (*fill)(const void *, const Lines *);
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
    walk(&v.walk, at - (int)b * rows, end - (int)b * rows, v.fill, &v);
  }
}

/* What one of the functions below has described, for these images. */
static Job lanes_job(Blocks x, Blocks y, Window k, Job v) {
  v.walk = (Walk){k, x.h, x.w, 16, 16 * x.w, y.h, y.w, 16, 16 * y.w};
  v.lanes.x = x.at, v.lanes.y = y.at;
  v.lanes.kw = k.kw, v.lanes.x_high = k.dh * x.w * 16, v.lanes.x_wide = k.dw * 16;
  v.x_block = x.h * x.w * 16, v.y_block = y.h * y.w * 16;
  return v;
}

UNUSED static void lanes_run(const Run *r, Blocks x, Blocks y, Window k, Job described) {
  const Job v = lanes_job(x, y, k, described);
  parallel(r->pool, blocks_of(y.c) * y.h, lanes_task, &v);
}

/* SQUARE: whether windows of 3x3 are unrolled. */
#define LANES(name, attributes, N, STEP, SQUARE) \
attributes INLINE void name##_rows(const Lanes *t, const Lines *l, const float *x0, float *y, const float *add, \
                                   const int rows, const int high, const int wide) { \
  VECTORS(N); \
  const ptrdiff_t x_step = l->x_step, y_step = l->y_step, x_high = t->x_high, x_wide = t->x_wide, w_high = t->kw * 16; \
  ONCE for (int part = 0; part < 16; part += N) { \
    V sum[8]; \
    UNROLL for (int r = 0; r < rows; r++) sum[r] = *(const V *)(t->start + part); \
    const float *x_line = x0 + part, *w_line = t->w + l->first * 16 + part; \
    for (int i = 0; i < high; i++, x_line += x_high, w_line += w_high) { \
      const float *x = x_line, *w = w_line; \
      for (int j = 0; j < wide; j++, x += x_wide, w += 16) \
        UNROLL for (int r = 0; r < rows; r++) STEP(sum[r], *(const V *)(x + r * x_step), *(const V *)w); \
    } \
    if (t->scale != 1) \
      UNROLL for (int r = 0; r < rows; r++) sum[r] *= (V){0} + t->scale; \
    if (add) \
      UNROLL for (int r = 0; r < rows; r++) sum[r] += *(const V *)(add + part + r * y_step); \
    if (t->to.low > -INFINITY) { \
      const V low = (V){0} + t->to.low; \
      UNROLL for (int r = 0; r < rows; r++) sum[r] = SELECT(sum[r] < low, low, sum[r]); \
    } \
    if (t->to.high < INFINITY) { \
      const V high_ = (V){0} + t->to.high; \
      UNROLL for (int r = 0; r < rows; r++) sum[r] = SELECT(sum[r] > high_, high_, sum[r]); \
    } \
    UNROLL for (int r = 0; r < rows; r++) *(V *)(y + part + r * y_step) = sum[r]; \
  } \
} \
attributes static void name(const Lanes *t, const Lines *l) { \
  const int square = SQUARE && N > 4 && l->high == 3 && l->wide == 3; \
  for (int line = 0; line < l->lines; line++) { \
    const float *x = t->x + l->x + (ptrdiff_t)line * l->x_line; \
    ptrdiff_t at = l->y + (ptrdiff_t)line * l->y_line; \
    for (int n = l->n, rows; n > 0; n -= rows) { \
      float *y = t->y + at; \
      const float *add = t->add ? t->add + at : t->add; \
      rows = n >= 8 ? 8 : n >= 6 ? 6 : n >= 4 ? 4 : 1; \
      switch (rows + 16 * square) { \
        LANES_CASE(name, 8) LANES_CASE(name, 6) LANES_CASE(name, 4) \
        default: name##_rows(t, l, x, y, add, 1, l->high, l->wide); \
      } \
      x += rows * l->x_step, at += rows * l->y_step; \
    } \
  } \
}
#define LANES_CASE(name, rows) \
  case rows: name##_rows(t, l, x, y, add, rows, l->high, l->wide); break; \
  case 16 + rows: if (square) name##_rows(t, l, x, y, add, rows, 3, 3); break;
