/* needs: base threads */
/* A tile of a convolution: for up to `rows` pixels and 16 * filters filters
     y[r][f] = clamp(bias[f] + add[r][f] + sum over b, i, j, k of x[b][i][j][k + r * step] * w[f][b][i][j][k]),
   in blocks b of channels k, for elements (i, j) of the window. */
typedef struct {
  const float *x, *w, *bias, *add;
  float *y;
  int blocks, block, last, c0; /* blocks of channels, channels in a block and in the last one, the first block */
  int high, wide, first; /* elements of the window that are used: rows, columns, the first */
  int kh, kw;            /* all its elements */
  int x_block, x_high, x_wide, x_step; /* distances in x */
  int w_filters, y_filters, y_step;    /* distances to the next 16 filters, to the next pixel of the result */
  Clamp to;
} Tile;

#define TILE(cpu, attributes, N, ROWS) \
/* Results of sums[filters][ROWS][16] that are added to something, or have an upper bound. */ \
attributes __attribute__((noinline)) static void tile_end_##cpu(const Tile *t, const float *sums, int rows, int filters) { \
  VECTORS(N); \
  const V low = (V){0} + t->to.low, high = (V){0} + t->to.high; \
  for (int f = 0; f < filters; f++) \
    for (int r = 0; r < rows; r++) \
      for (int c = 0; c < 16; c += N) { \
        const ptrdiff_t at = f * (ptrdiff_t)t->y_filters + r * (ptrdiff_t)t->y_step + c; \
        V v = *(const V *)(sums + (f * ROWS + r) * 16 + c); \
        if (t->add) v += *(const V *)(t->add + at); \
        v = SELECT(v < low, low, v); \
        *(V *)(t->y + at) = SELECT(v > high, high, v); \
      } \
} \
attributes INLINE void tile_rows_##cpu(const Tile *t, float *sums, const int rows, const int filters) { \
  VECTORS(N); \
  enum { PARTS = 16 / N }; \
  const ptrdiff_t w_filters = t->w_filters, x_step = t->x_step; \
  V sum[2 * PARTS][ROWS]; \
  UNROLL for (int f = 0; f < filters * PARTS; f++) { \
    const V bias = *(const V *)(t->bias + f * N); \
    UNROLL for (int r = 0; r < rows; r++) sum[f][r] = bias; \
  } \
  const float *w_block = t->w, *x_block = t->x; \
  for (int b = 0; b < t->blocks; b++, x_block += t->x_block) { \
    const int n = b + 1 < t->blocks ? t->block : t->last; \
    for (int i = 0; i < t->high; i++) { \
      const float *x = x_block + i * t->x_high, *w = w_block + (t->first + i * t->kw) * n * 16; \
      for (int j = 0; j < t->wide; j++, x += t->x_wide) \
        for (int k = 0; k < n; k++, w += 16) { \
          V weight[2 * PARTS]; \
          const float *from = x + k; \
          UNROLL for (int f = 0; f < filters * PARTS; f++) \
            weight[f] = *(const V *)(w + (f / PARTS) * w_filters + f % PARTS * N); \
          UNROLL for (int f = 0; f < filters; f++) __builtin_prefetch(w + f * w_filters + 64 * 16, 0, 3); \
          UNROLL for (int r = 0; r < rows; r++, from += x_step) \
            UNROLL for (int f = 0; f < filters * PARTS; f++) sum[f][r] += *from * weight[f]; \
        } \
    } \
    w_block += t->kh * t->kw * n * 16; \
  } \
  const int simple = !t->add && t->to.high == INFINITY; \
  if (simple && t->to.low > -INFINITY) { \
    const V low = (V){0} + t->to.low; \
    UNROLL for (int r = 0; r < rows; r++) \
      UNROLL for (int f = 0; f < filters * PARTS; f++) sum[f][r] = SELECT(sum[f][r] < low, low, sum[f][r]); \
  } \
  float *y = simple ? t->y : sums; \
  const ptrdiff_t step = simple ? t->y_step : 16, next = simple ? t->y_filters : ROWS * 16; \
  UNROLL for (int r = 0; r < rows; r++, y += step) \
    UNROLL for (int f = 0; f < filters * PARTS; f++) *(V *)(y + (f / PARTS) * next + f % PARTS * N) = sum[f][r]; \
  if (!simple) tile_end_##cpu(t, sums, rows, filters); \
} \
attributes static void tile_##cpu(const Tile *t, int rows, int filters) { \
  _Alignas(64) float sums[2 * ROWS * 16]; \
  switch (rows + 16 * (filters - 1)) { \
    TILE_CASES_##ROWS(cpu) \
  } \
}
#define TILE_CASE(cpu, r, f) case r + 16 * (f - 1): tile_rows_##cpu(t, sums, r, f); return;
#define TILE_CASES_3(cpu) TILE_CASE(cpu, 1, 1) TILE_CASE(cpu, 2, 1) TILE_CASE(cpu, 3, 1)
#define TILE_CASES_6(cpu) TILE_CASES_3(cpu) TILE_CASE(cpu, 4, 1) TILE_CASE(cpu, 5, 1) TILE_CASE(cpu, 6, 1)
#define TILE_BOTH(cpu, r) TILE_CASE(cpu, r, 1) TILE_CASE(cpu, r, 2)
#define TILE_CASES_14(cpu) \
  TILE_BOTH(cpu, 1) TILE_BOTH(cpu, 2) TILE_BOTH(cpu, 3) TILE_BOTH(cpu, 4) TILE_BOTH(cpu, 5) TILE_BOTH(cpu, 6) \
  TILE_BOTH(cpu, 7) TILE_BOTH(cpu, 8) TILE_BOTH(cpu, 9) TILE_BOTH(cpu, 10) TILE_BOTH(cpu, 11) TILE_BOTH(cpu, 12) \
  TILE_BOTH(cpu, 13) TILE_BOTH(cpu, 14)
KERNELS(TILE)
#define ROWS_OF(cpu, attributes, N, ROWS) enum { tile_most_##cpu = ROWS, tile_filters_##cpu = N / 16 + 1 };
KERNELS(ROWS_OF)

/* Tiles of n pixels in a line, cut into equal pieces. */
static void tile_line(Tile t, int n, int filters) {
  void (*tile)(const Tile *, int, int) = ON_CPU(tile);
  const int most = ON_CPU(tile_most), pieces = (n + most - 1) / most;
  for (int i = 0; i < pieces; i++) {
    const int rows = n / pieces + (i < n % pieces);
    tile(&t, rows, filters);
    t.x += rows * t.x_step, t.y += rows * t.y_step;
    if (t.add) t.add += rows * t.y_step;
  }
}
