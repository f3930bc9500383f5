/* pack_channels needs: base */
/* A number for each channel, zeros behind them; of one number, all have it, and without any, `usual`. */
UNUSED static void pack_channels(const float *from, int given, int channels, float usual, float *packed) {
  for (int c = 0; c < blocks_of(channels) * 16; c++) packed[c] = c >= channels ? 0 : from ? from[given == 1 ? 0 : c] : usual;
}
/* pack_value needs: base */
/* A learned value in blocks of channels. */
UNUSED static void pack_value(const float *from, int channels, int places, float *packed) {
  for (int c = 0; c < blocks_of(channels) * 16; c++)
    for (int p = 0; p < places; p++) packed[(c / 16 * places + p) * 16 + c % 16] = c < channels ? from[c * places + p] : 0;
}
/* batch_norm_factor needs: base */
/* The tensors of a batch norm, factors and shifts perhaps missing, and what is added to the variance. */
typedef struct { const float *factor, *shift, *mean, *variance; double eps; } BatchNorm;
INLINE double factor_of(BatchNorm n, int c) { return (n.factor ? n.factor[c] : 1) / sqrt(n.variance[c] + n.eps); }
INLINE double shift_of(BatchNorm n, int c) { return (n.shift ? n.shift[c] : 0) - n.mean[c] * factor_of(n, c); }
/* pack_batch_norm needs: batch_norm_factor */
UNUSED static void pack_batch_norm(BatchNorm n, int channels, float *packed) {
  const int size = blocks_of(channels) * 16;
  for (int c = 0; c < size; c++) {
    packed[c] = c < channels ? (float)factor_of(n, c) : 0;
    packed[size + c] = c < channels ? (float)shift_of(n, c) : 0;
  }
}
/* fold needs: batch_norm_factor */
/* Multiplies a batch norm into filters of `each` weights; their biases come behind them. */
UNUSED static void fold(const float *weight, const float *bias, BatchNorm n, int filters, size_t each, float *to) {
  for (int f = 0; f < filters; f++) {
    for (size_t i = (size_t)f * each; i < (size_t)(f + 1) * each; i++) to[i] = (float)(weight[i] * factor_of(n, f));
    to[(size_t)filters * each + (size_t)f] = (float)(shift_of(n, f) + (bias ? bias[f] * factor_of(n, f) : 0));
  }
}
