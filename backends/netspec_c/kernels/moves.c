/* element needs: base threads */
INLINE float *element(Blocks v, int c, int i, int j) {
  return v.at + (((size_t)(c / 16) * (size_t)v.h + (size_t)i) * (size_t)v.w + (size_t)j) * 16 + c % 16;
}
/* Defines a kernel that fills y: its element (c, i, j) is that of x at three other places. */
#define MOVE(name, channel, row, column, parameters) \
  UNUSED static void name parameters { \
    (void)r; \
    for (int k = 0; k < y.c; k += 16) \
      for (int i = 0; i < y.h; i++) \
        for (int j = 0; j < y.w; j++) \
          for (int c = k; c < y.c && c < k + 16; c++) *element(y, c, i, j) = *element(x, channel, row, column); \
  }
/* slice needs: element */
/* From a place on, in steps, which may be negative. */
MOVE(slice, c0 + c * c_step, i0 + i * i_step, j0 + j * j_step,
     (const Run *r, Blocks x, Blocks y, int c0, int c_step, int i0, int i_step, int j0, int j_step))
/* permute needs: element */
/* order: which dimension of x each of y is. */
#define MOVED(d) (first == d ? c : second == d ? i : j)
MOVE(permute, MOVED(0), MOVED(1), MOVED(2), (const Run *r, Blocks x, Blocks y, int first, int second))
/* channel_shuffle needs: element */
/* The first channel of every group, then the second of every group, ... */
UNUSED static void channel_shuffle(const Run *r, Blocks x, Blocks y, int groups) {
  const size_t n = (size_t)y.h * (size_t)y.w;
  float *to = y.at;
  (void)r;
  for (int k = 0; k < y.c; k += 16) {
    const float *from[16];
    const int lanes = min_of(16, y.c - k);
    for (int l = 0; l < lanes; l++) from[l] = element(x, (k + l) % groups * (y.c / groups) + (k + l) / groups, 0, 0);
    for (size_t p = 0; p < n; p++, to += 16)
      for (int l = 0; l < lanes; l++) to[l] = from[l][16 * p];
  }
}
/* pixel_shuffle needs: element */
MOVE(pixel_shuffle, (c * factor + i % factor) * factor + j % factor, i / factor, j / factor, (const Run *r, Blocks x, Blocks y, int factor))
/* pixel_unshuffle needs: element */
MOVE(pixel_unshuffle, c / (factor * factor), i * factor + c / factor % factor, j * factor + c % factor,
     (const Run *r, Blocks x, Blocks y, int factor))
/* upsample_nearest needs: element */
MOVE(upsample_nearest, c, (int)((int64_t)i * x.h / y.h), (int)((int64_t)j * x.w / y.w), (const Run *r, Blocks x, Blocks y))
/* reshape needs: element */
/* The same elements in another shape: channels outermost, then rows. */
UNUSED static void reshape(const Run *r, Blocks x, Blocks y) {
  int c = 0, i = 0, j = 0;
  (void)r;
  for (int k = 0; k < x.c; k++)
    for (int row = 0; row < x.h; row++)
      for (int column = 0; column < x.w; column++) {
        *element(y, c, i, j) = *element(x, k, row, column);
        if (++j == y.w) j = 0, i++;
        if (i == y.h) i = 0, c++;
      }
}
/* pad needs: element each */
/* x inside of y, which is `value` elsewhere. */
UNUSED static void pad(const Run *r, Blocks x, Blocks y, int before, int top, int left, float value) {
  (void)r;
  for (size_t i = 0; i < floats_of(y); i++) y.at[i] = value;
  for (int i = 0; i < x.h; i++)
    for (int j = 0; j < x.w; j++)
      for (int c = 0; c < x.c; c++) *element(y, before + c, top + i, left + j) = *element(x, c, i, j);
}
/* interpolation needs: base */
/* Where row i of n comes from in m rows: that far behind row 0. */
INLINE double source_row(int i, int m, int n, int corners) { return corners ? i * ((double)(m - 1) / max_of(n - 1, 1)) : (i + 0.5) * ((double)m / n) - 0.5; }
/* upsample_bilinear needs: element interpolation */
UNUSED static void upsample_bilinear(const Run *r, Blocks x, Blocks y, int corners) {
  float *to = y.at;
  (void)r;
  for (int k = 0; k < y.c; k += 16)
    for (int i = 0; i < y.h; i++) {
      const double down = fmax(source_row(i, x.h, y.h, corners), 0);
      const int top = min_of((int)down, x.h - 1), bottom = min_of(top + 1, x.h - 1);
      for (int j = 0; j < y.w; j++, to += 16) {
        const double across = fmax(source_row(j, x.w, y.w, corners), 0);
        const int left = min_of((int)across, x.w - 1), right = min_of(left + 1, x.w - 1);
        const float *a = element(x, k, top, left), *b = element(x, k, bottom, left), *c = element(x, k, top, right), *d = element(x, k, bottom, right);
        const float v = (float)(down - top), u = (float)(across - left);
        for (int l = 0; l < 16; l++) {
          const float first = a[l] + (b[l] - a[l]) * v, second = c[l] + (d[l] - c[l]) * v;
          to[l] = first + (second - first) * u;
        }
      }
    }
}
/* upsample_bicubic needs: element interpolation */
/* The shares of the four rows around a place, which is that far behind the second (Keys 1981, a = -0.75). */
static void cubic_shares(float away, float *share) {
  for (int k = 0; k < 4; k++) {
    const float d = fabsf(away - (float)(k - 1));
    share[k] = d <= 1 ? (1.25f * d - 2.25f) * d * d + 1 : -0.75f * (((d - 5) * d + 8) * d - 4);
  }
}

UNUSED static void upsample_bicubic(const Run *r, Blocks x, Blocks y, int corners) {
  float *to = y.at, down[4], across[4];
  (void)r;
  for (int k = 0; k < y.c; k += 16)
    for (int i = 0; i < y.h; i++) {
      const double row = source_row(i, x.h, y.h, corners);
      cubic_shares((float)(row - floor(row)), down);
      for (int j = 0; j < y.w; j++, to += 16) {
        const double column = source_row(j, x.w, y.w, corners);
        cubic_shares((float)(column - floor(column)), across);
        for (int l = 0; l < 16; l++) to[l] = 0;
        for (int v = 0; v < 4; v++)
          for (int u = 0; u < 4; u++) {
            const float *from = element(x, k, max_of(min_of((int)floor(row) - 1 + v, x.h - 1), 0), max_of(min_of((int)floor(column) - 1 + u, x.w - 1), 0));
            for (int l = 0; l < 16; l++) to[l] += from[l] * down[v] * across[u];
          }
      }
    }
}
