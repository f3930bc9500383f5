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
attributes INLINE void name##_rows(const Lanes *t, const Line *l, const float *x0, float *y, const float *add, const int rows, const int high, const int wide) { \
  VECTORS(N); \
  const V least = (V){0} + t->to.low, most = (V){0} + t->to.high, scale = (V){0} + t->scale; \
  const ptrdiff_t x_step = l->x_step, y_step = l->y_step, x_high = t->x_high, x_wide = t->x_wide, w_high = t->kw * 16; \
  for (int part = 0; part < 16; part += N) { \
    V sum[8]; \
    UNROLL for (int r = 0; r < rows; r++) sum[r] = *(const V *)(t->start + part); \
    const float *x_line = x0 + part, *w_line = t->w + l->first * 16 + part; \
    for (int i = 0; i < high; i++, x_line += x_high, w_line += w_high) { \
      const float *x = x_line, *w = w_line; \
      for (int j = 0; j < wide; j++, x += x_wide, w += 16) { \
        const float *from = x; \
        UNROLL for (int r = 0; r < rows; r++, from += x_step) STEP(sum[r], *(const V *)from, *(const V *)w); \
      } \
    } \
    const float *more = add ? add + part : add; \
    float *to = y + part; \
    UNROLL for (int r = 0; r < rows; r++, to += y_step) { \
      V v = sum[r] * scale; \
      if (add) v += *(const V *)more, more += y_step; \
      v = SELECT(v < least, least, v); \
      *(V *)to = SELECT(v > most, most, v); \
    } \
  } \
} \
attributes static void name(const Lanes *t, const Line *l) { \
  const float *x = t->x + l->x, *add = t->add ? t->add + l->y : t->add; \
  float *y = t->y + l->y; \
  for (int n = l->n, rows; n > 0; n -= rows) { \
    if (n >= 8) { \
      rows = 8; \
      if (l->high == 3 && l->wide == 3) name##_rows(t, l, x, y, add, 8, 3, 3); \
      else name##_rows(t, l, x, y, add, 8, l->high, l->wide); \
    } else if (n >= 4) rows = 4, name##_rows(t, l, x, y, add, 4, l->high, l->wide); \
    else if (n >= 2) rows = 2, name##_rows(t, l, x, y, add, 2, l->high, l->wide); \
    else rows = 1, name##_rows(t, l, x, y, add, 1, l->high, l->wide); \
    x += rows * l->x_step, y += rows * l->y_step; \
    if (add) add += rows * l->y_step; \
  } \
}
