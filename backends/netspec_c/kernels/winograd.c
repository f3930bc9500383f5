/* needs: base threads tiles */
/* Winograd's algorithm for 3x3 filters: results in tiles of 4x4 from patches of 6x6, with 36 products where there would
   be 144 (Lavin and Gray 2016, arXiv:1509.09308). Polynomials are interpolated at 0, +-A, +-B and infinity, with A and B
   around 1, which keeps rounding errors near those of a plain convolution. */
#define WINOGRAD_A 0.70710678f
#define WINOGRAD_B 1.41421356f
enum { WINOGRAD_SCRATCH = 1 << 18 }; /* floats of a piece of work, so that it stays in a cache */

/* Packs weight[filters][channels][3][3] as bias[16]..., then for each 16 filters u[36][channels][16]. */
static void pack_winograd(const float *weight, const float *bias, int filters, int channels, float *packed) {
  const double a = WINOGRAD_A, b = WINOGRAD_B, points[6] = {0, a, -a, b, -b, 0};
  double g[6][3] = {{0}};
  for (int i = 0; i < 5; i++) {
    const double p = points[i];
    double scale = 1;
    for (int j = 0; j < 5; j++) scale *= j == i ? 1 : p - points[j];
    for (int j = 0; j < 3; j++) g[i][j] = (j == 0 ? 1 : j == 1 ? p : p * p) / scale;
  }
  g[5][2] = 1;
  for (int f = 0; f < blocks_of(filters) * 16; f++) *packed++ = bias && f < filters ? bias[f] : 0;
  for (int f = 0; f < blocks_of(filters) * 16; f++)
    for (int c = 0; c < channels; c++) {
      const float *w = weight + ((ptrdiff_t)f * channels + c) * 9;
      for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
          double sum = 0;
          for (int k = 0; k < 9 && f < filters; k++) sum += g[i][k / 3] * g[j][k % 3] * (double)w[k];
          packed[(((ptrdiff_t)(f / 16) * 36 + i * 6 + j) * channels + c) * 16 + f % 16] = (float)sum;
        }
    }
}

typedef struct {
  Blocks x, y;
  const float *packed, *add;
  float *scratch, *sums; /* patches[36][blocks of x][tiles][16]; then for each thread sums[36][2][tiles][16] */
  int top, left, wide;   /* padding, tiles in a row */
  int first, tiles;      /* that are done at once */
  int filters, parts;    /* blocks of filters in a tile, parts of the tiles */
  Clamp to;
} Winograd;

/* The two transforms, each of columns, then of rows. */
#define WINOGRAD(cpu, attributes, N, ROWS) \
attributes static void winograd_patch_##cpu(const Winograd *v, int block, int t) { \
  VECTORS(N); \
  const float a = WINOGRAD_A, b = WINOGRAD_B, aa = a * a, bb = b * b; \
  const int h = v->x.h, w = v->x.w; \
  const int row = (v->first + t) / v->wide * 4 - v->top, column = (v->first + t) % v->wide * 4 - v->left; \
  const int inside = row >= 0 && row + 6 <= h && column >= 0 && column + 6 <= w, step = blocks_of(v->x.c) * v->tiles * 16; \
  const float *x = v->x.at + ((ptrdiff_t)block * h * w) * 16; \
  float *to = v->scratch + ((ptrdiff_t)block * v->tiles + t) * 16; \
  for (int part = 0; part < 16; part += N) { \
    V m[6][6], d[6]; \
    for (int j = 0; j < 6; j++) { \
      UNROLL for (int i = 0; i < 6; i++) \
        d[i] = inside || (row + i >= 0 && row + i < h && column + j >= 0 && column + j < w) \
          ? *(const V *)(x + ((ptrdiff_t)(row + i) * w + column + j) * 16 + part) : (V){0}; \
      WINOGRAD_PATCH(m[0][j], m[1][j], m[2][j], m[3][j], m[4][j], m[5][j]) \
    } \
    for (int i = 0; i < 6; i++) { \
      V *o[6]; \
      UNROLL for (int j = 0; j < 6; j++) d[j] = m[i][j], o[j] = (V *)(to + part + (i * 6 + j) * (ptrdiff_t)step); \
      WINOGRAD_PATCH(*o[0], *o[1], *o[2], *o[3], *o[4], *o[5]) \
    } \
  } \
} \
attributes static void winograd_result_##cpu(const Winograd *v, const float *sums, const float *bias, const float *add, \
                                             float *y, int tile) { \
  VECTORS(N); \
  const float a = WINOGRAD_A, b = WINOGRAD_B, aa = a * a, bb = b * b; \
  const V low = (V){0} + v->to.low, high = (V){0} + v->to.high; \
  const int row = tile / v->wide * 4, column = tile % v->wide * 4; \
  const int rows = min_of(4, v->y.h - row), columns = min_of(4, v->y.w - column); \
  const ptrdiff_t step = v->tiles * 32, at = ((ptrdiff_t)row * v->y.w + column) * 16; \
  for (int part = 0; part < 16; part += N) { \
    const V start = *(const V *)(bias + part); \
    V m[4][6], d[6], o[4]; \
    for (int j = 0; j < 6; j++) { \
      UNROLL for (int i = 0; i < 6; i++) d[i] = *(const V *)(sums + part + (i * 6 + j) * step); \
      WINOGRAD_RESULT(m[0][j], m[1][j], m[2][j], m[3][j]) \
    } \
    for (int i = 0; i < rows; i++) { \
      UNROLL for (int j = 0; j < 6; j++) d[j] = m[i][j]; \
      WINOGRAD_RESULT(o[0], o[1], o[2], o[3]) \
      for (int j = 0; j < columns; j++) { \
        const ptrdiff_t pixel = at + (i * v->y.w + j) * 16 + part; \
        V r = o[j] + start; \
        if (add) r += *(const V *)(add + pixel); \
        r = SELECT(r < low, low, r); \
        *(V *)(y + pixel) = SELECT(r > high, high, r); \
      } \
    } \
  } \
}
#define WINOGRAD_PATCH(o0, o1, o2, o3, o4, o5) { \
  const V u = d[4] - bb * d[2], p = a * (d[3] - bb * d[1]), s = d[4] - aa * d[2], q = b * (d[3] - aa * d[1]); \
  o0 = aa * bb * d[0] - (aa + bb) * d[2] + d[4], o1 = u + p, o2 = u - p, o3 = s + q, o4 = s - q; \
  o5 = aa * bb * d[1] - (aa + bb) * d[3] + d[5]; \
}
#define WINOGRAD_RESULT(o0, o1, o2, o3) { \
  const V s = d[1] + d[2], p = d[1] - d[2], t = d[3] + d[4], q = d[3] - d[4]; \
  o0 = d[0] + s + t, o1 = a * p + b * q, o2 = aa * s + bb * t, o3 = a * aa * p + b * bb * q + d[5]; \
}
KERNELS(WINOGRAD)

static void winograd_patches(const void *arg, int from, int to, int thread) {
  const Winograd *v = arg;
  (void)thread;
  for (int i = from; i < to; i++) ON_CPU(winograd_patch)(v, i / v->tiles, i % v->tiles);
}

static void winograd_products(const void *arg, int from, int to, int thread) {
  static const _Alignas(64) float zeros[32] = {0};
  const Winograd *v = arg;
  const int blocks = blocks_of(v->y.c), c = v->x.c, step = v->tiles * 16;
  float *sums = v->sums + (ptrdiff_t)thread * 36 * 2 * step;
  for (int item = from; item < to; item++) {
    const int f0 = item / v->parts * v->filters, filters = min_of(v->filters, blocks - f0), part = item % v->parts;
    const int t0 = v->tiles * part / v->parts, t1 = v->tiles * (part + 1) / v->parts;
    for (int i = 0; i < 36; i++)
      tile_line((Tile){.x = v->scratch + (ptrdiff_t)i * blocks_of(c) * step + t0 * 16,
        .w = v->packed + blocks * 16 + ((ptrdiff_t)f0 * 36 + i) * c * 16, .bias = zeros, .y = sums + i * 2 * step + t0 * 16,
        .blocks = blocks_of(c), .block = 16, .last = (c - 1) % 16 + 1, .high = 1, .wide = 1, .kh = 1, .kw = 1,
        .x_block = step, .x_step = 16, .w_filters = 36 * c * 16, .y_filters = step, .y_step = 16, .to = NONE},
        t1 - t0, filters);
    for (int f = 0; f < filters; f++) {
      const ptrdiff_t out = (ptrdiff_t)(f0 + f) * v->y.h * v->y.w * 16;
      const float *bias = v->packed + (f0 + f) * 16, *add = v->add ? v->add + out : v->add;
      for (int t = t0; t < t1; t++)
        ON_CPU(winograd_result)(v, sums + f * step + t * 16, bias, add, v->y.at + out, v->first + t);
    }
  }
}

/* A 3x3 convolution of stride 1; y = clamp(sum + bias + add). Scratch: 36 * 16 * (blocks of x + 2 * threads) floats for
   each tile that is done at once. */
static void conv_winograd(const Run *r, Blocks x, Blocks y, const float *packed, int top, int left, Clamp to,
                          const float *add) {
  Winograd v = {.x = x, .y = y, .packed = packed, .add = add, .scratch = r->scratch, .top = top, .left = left,
    .wide = (y.w + 3) / 4, .filters = ON_CPU(tile_filters), .to = to};
  const int tiles = (y.h + 3) / 4 * v.wide, blocks = blocks_of(x.c), threads = threads_of(r->pool);
  const int most = max_of(14, WINOGRAD_SCRATCH / (36 * 16 * (blocks + 2)) / 14 * 14);
  const int pieces = (tiles + most - 1) / most, each = (tiles + pieces - 1) / pieces;
  const int steps = (blocks_of(y.c) + v.filters - 1) / v.filters;
  v.parts = steps % threads ? threads : 1;
  for (v.first = 0; v.first < tiles; v.first += each) {
    v.tiles = min_of(each, tiles - v.first);
    v.sums = v.scratch + (ptrdiff_t)36 * 16 * blocks * v.tiles;
    parallel(r->pool, blocks * v.tiles, winograd_patches, &v);
    parallel(r->pool, steps * v.parts, winograd_products, &v);
  }
}
