/* places needs: base */
INLINE size_t places_of(Blocks v) { return (size_t)v.h * (size_t)v.w; }
/* Where channel c lies behind channel 0, in a value of n places. */
INLINE size_t channel(int c, size_t n) { return (size_t)(c / 16) * n * 16 + (size_t)(c % 16); }
/* affine needs: places threads */
/* w: a factor for each channel, and a number that is added. */
NET_CLONES static void affine(const Run *r, Blocks x, Blocks y, const float *w) {
  const size_t n = places_of(y);
  const int blocks = blocks_of(y.c);
  (void)r;
  for (int k = 0; k < blocks; k++)
    for (size_t p = (size_t)k * n; p < (size_t)(k + 1) * n; p++)
      for (int l = 0; l < 16; l++) y.at[p * 16 + (size_t)l] = x.at[p * 16 + (size_t)l] * w[k * 16 + l] + w[(blocks + k) * 16 + l];
}
/* prelu needs: places threads */
/* w: the slope of each channel below 0. */
NET_CLONES static void prelu(const Run *r, Blocks x, Blocks y, const float *w) {
  const size_t n = places_of(y);
  (void)r;
  for (int k = 0; k < blocks_of(y.c); k++)
    for (size_t p = (size_t)k * n * 16; p < (size_t)(k + 1) * n * 16; p++) y.at[p] = x.at[p] > 0 ? x.at[p] : x.at[p] * w[(size_t)k * 16 + p % 16];
}
/* softmax needs: places threads */
UNUSED static void softmax(const Run *r, Blocks x, Blocks y) {
  const size_t n = places_of(x);
  (void)r;
  for (size_t p = 0; p < n; p++) {
    const float *in = x.at + 16 * p;
    float *out = y.at + 16 * p, most = -INFINITY;
    double sum = 0;
    for (int c = 0; c < x.c; c++) most = in[channel(c, n)] > most ? in[channel(c, n)] : most;
    for (int c = 0; c < x.c; c++) sum += out[channel(c, n)] = expf(in[channel(c, n)] - most);
    for (int c = 0; c < x.c; c++) out[channel(c, n)] /= (float)sum;
  }
}
/* log_softmax needs: places threads */
UNUSED static void log_softmax(const Run *r, Blocks x, Blocks y) {
  const size_t n = places_of(x);
  (void)r;
  for (size_t p = 0; p < n; p++) {
    const float *in = x.at + 16 * p;
    float most = -INFINITY;
    double sum = 0;
    for (int c = 0; c < x.c; c++) most = in[channel(c, n)] > most ? in[channel(c, n)] : most;
    for (int c = 0; c < x.c; c++) sum += expf(in[channel(c, n)] - most);
    for (int c = 0; c < x.c; c++) y.at[16 * p + channel(c, n)] = in[channel(c, n)] - most - (float)log(sum);
  }
}
/* argmax needs: places threads */
/* Which channel is largest, the first of equal ones. */
UNUSED static void argmax(const Run *r, Blocks x, Blocks y) {
  const size_t n = places_of(x);
  (void)r;
  for (size_t p = 0; p < n; p++) {
    int best = 0;
    for (int c = 1; c < x.c; c++)
      if (x.at[16 * p + channel(c, n)] > x.at[16 * p + channel(best, n)]) best = c;
    y.at[16 * p] = (float)best;
  }
}
/* layer_norm needs: places threads */
/* The sum over the channels of a place of (x - mean) to the power of 1 or 2. */
INLINE float sum_of(const float *in, int channels, size_t n, float mean, int squared) {
  float sums[16] = {0}, sum = 0;
  int k = 0;
  for (; k + 16 <= channels; k += 16, in += 16 * n)
    for (int l = 0; l < 16; l++) sums[l] += squared ? (in[l] - mean) * (in[l] - mean) : in[l];
  for (int l = 0; k + l < channels; l++) sums[l] += squared ? (in[l] - mean) * (in[l] - mean) : in[l];
  for (int l = 0; l < 16; l++) sum += sums[l];
  return sum;
}

/* Each place by the mean and variance of its channels; w: a factor and a number to add for each channel. */
NET_CLONES static void layer_norm(const Run *r, Blocks x, Blocks y, float eps, const float *w) {
  const size_t n = places_of(x);
  const int blocks = blocks_of(x.c);
  (void)r;
  for (size_t p = 0; p < n; p++) {
    const float *in = x.at + 16 * p;
    const float mean = sum_of(in, x.c, n, 0, 0) / (float)x.c;
    const float factor = 1 / sqrtf(sum_of(in, x.c, n, mean, 1) / (float)x.c + eps);
    for (int k = 0; k < blocks; k++)
      for (int l = 0; l < 16; l++) {
        const size_t i = 16 * (p + (size_t)k * n) + (size_t)l;
        y.at[i] = (x.at[i] - mean) * factor * w[16 * k + l] + w[16 * (blocks + k) + l];
      }
  }
}
/* group_norm needs: places threads */
/* Each group of channels by its mean and variance; w, if any: a factor and a number to add for each channel. */
UNUSED static void group_norm(const Run *r, Blocks x, Blocks y, int groups, float eps, const float *w) {
  const size_t n = places_of(x);
  const int size = x.c / groups, behind = blocks_of(x.c) * 16;
  (void)r;
  for (int g = 0; g < x.c; g += size) {
    double sum = 0, squares = 0;
    for (int c = g; c < g + size; c++)
      for (size_t p = 0; p < n; p++) sum += x.at[channel(c, n) + 16 * p];
    const float mean = (float)(sum / ((double)n * size));
    for (int c = g; c < g + size; c++)
      for (size_t p = 0; p < n; p++) {
        const float away = x.at[channel(c, n) + 16 * p] - mean;
        squares += away * away;
      }
    const float factor = 1 / sqrtf((float)(squares / ((double)n * size)) + eps);
    for (int c = g; c < g + size; c++)
      for (size_t p = 0; p < n; p++) {
        const size_t i = channel(c, n) + 16 * p;
        y.at[i] = w ? (x.at[i] - mean) * factor * w[c] + w[behind + c] : (x.at[i] - mean) * factor;
      }
  }
}
/* local_response_norm needs: places threads */
UNUSED static void local_response_norm(const Run *r, Blocks x, Blocks y, int size, float alpha, float beta, float k) {
  const size_t n = places_of(x);
  (void)r;
  for (size_t p = 0; p < n; p++) {
    const float *in = x.at + 16 * p;
    for (int c = 0; c < x.c; c++) {
      float sum = 0;
      for (int i = max_of(c - size / 2, 0); i <= min_of(c + size / 2, x.c - 1); i++) sum += in[channel(i, n)] * in[channel(i, n)];
      y.at[16 * p + channel(c, n)] = in[channel(c, n)] / powf(k + alpha / (float)size * sum, beta);
    }
  }
}
/* unit_length needs: places threads */
/* Divides by the length of each place's vector of channels, or of all elements. */
UNUSED static void unit_length(const Run *r, Blocks x, Blocks y, int everywhere, float eps) {
  const size_t n = places_of(x);
  double all = 0;
  (void)r;
  for (size_t p = 0; everywhere && p < n; p++)
    for (int c = 0; c < x.c; c++) all += (double)x.at[16 * p + channel(c, n)] * x.at[16 * p + channel(c, n)];
  for (size_t p = 0; p < n; p++) {
    const float *in = x.at + 16 * p;
    double squares = all;
    for (int c = 0; !everywhere && c < x.c; c++) squares += (double)in[channel(c, n)] * in[channel(c, n)];
    const float length = sqrtf((float)squares + eps);
    for (int c = 0; c < x.c; c++) y.at[16 * p + channel(c, n)] = in[channel(c, n)] / length;
  }
}
/* sum_channels needs: places threads */
/* The sum over the channels of each place, times a factor. */
UNUSED static void sum_channels(const Run *r, Blocks x, Blocks y, float factor) {
  const size_t n = places_of(x);
  (void)r;
  for (size_t p = 0; p < n; p++) {
    double sum = 0;
    for (int c = 0; c < x.c; c++) sum += x.at[16 * p + channel(c, n)];
    y.at[16 * p] = (float)(sum * factor);
  }
}
/* sum_places needs: places threads */
/* The sum of each channel over height and width, times a factor. */
UNUSED static void sum_places(const Run *r, Blocks x, Blocks y, float factor) {
  const size_t n = places_of(x);
  (void)r;
  for (int c = 0; c < x.c; c++) {
    double sum = 0;
    for (size_t p = 0; p < n; p++) sum += x.at[channel(c, n) + 16 * p];
    y.at[c] = (float)(sum * factor);
  }
}
