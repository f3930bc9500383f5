/* needs: base threads */
UNUSED static void to_blocks(const Run *r, Plain x, Blocks y) {
  (void)r;
  size_t n = (size_t)x.h * (size_t)x.w;
  for (int c = 0; c < x.c; c++) {
    float *out = y.at + (size_t)(c / 16) * n * 16 + c % 16;
    for (size_t i = 0; i < n; i++) out[16 * i] = x.at[(size_t)c * n + i];
  }
}

UNUSED static void from_blocks(const Run *r, Blocks x, Plain y) {
  (void)r;
  size_t n = (size_t)x.h * (size_t)x.w;
  for (int c = 0; c < x.c; c++) {
    const float *in = x.at + (size_t)(c / 16) * n * 16 + c % 16;
    for (size_t i = 0; i < n; i++) y.at[(size_t)c * n + i] = in[16 * i];
  }
}

/* Copies the channels from.. of x to the channels to.. of y, n of them. */
UNUSED static void copy_channels(const Run *r, Blocks x, int from, Blocks y, int to, int n) {
  (void)r;
  size_t size = (size_t)x.h * (size_t)x.w;
  for (int c = 0; c < n; c++) {
    const float *in = x.at + (size_t)((from + c) / 16) * size * 16 + (from + c) % 16;
    float *out = y.at + (size_t)((to + c) / 16) * size * 16 + (to + c) % 16;
    for (size_t i = 0; i < size; i++) out[16 * i] = in[16 * i];
  }
}
