/* needs: base threads windows tiles conv */
/* Of a transposed convolution, the results at p, p + stride, ... of a direction: a convolution of stride 1 with every
   step-th element from `first`, in reverse order. */
typedef struct {
  int first, step, n, dilation, before, outputs;
} Phase;

static Phase phase_of(int p, int k, int stride, int cut, int dilation, int outputs) {
  int a = stride, b = dilation;
  while (b) {
    const int rest = a % b;
    a = b, b = rest;
  }
  Phase v = {.step = stride / a, .dilation = dilation / a, .outputs = (outputs - p + stride - 1) / stride};
  while (v.first < k && (p + cut - v.first * dilation) % stride) v.first++;
  v.n = v.first < k ? (k - v.first + v.step - 1) / v.step : 0;
  v.before = v.n ? (v.n - 1) * v.dilation - (p + cut - v.first * dilation) / stride : 0;
  return v;
}

/* Packs weight[channels][filters / groups][kh][kw], phase by phase. */
UNUSED static void pack_conv_transpose(
    const float *weight, const float *bias, int filters, int channels, Window k, int groups, float *packed) {
  const ptrdiff_t taps = k.kh * k.kw, channel = filters / groups * taps;
  for (int i = 0; i < k.sh; i++)
    for (int j = 0; j < k.sw; j++) {
      const Phase v = phase_of(i, k.kh, k.sh, k.top, k.dh, 1 << 30), h = phase_of(j, k.kw, k.sw, k.left, k.dw, 1 << 30);
      const float *last =
          v.n && h.n ? weight + (v.first + (v.n - 1) * v.step) * k.kw + h.first + (h.n - 1) * h.step : weight;
      packed = pack_windows(last, (Strides){channels / groups * channel, taps, channel, -v.step * k.kw, -h.step}, bias,
          filters, channels, v.n, h.n, groups, 16, packed);
    }
}

/* A transposed convolution; top and left of the window are what is cut off. */
UNUSED static void conv_transpose(
    const Run *r, Blocks x, Blocks y, const float *packed, Window k, int groups, Clamp to) {
  int channels = 0, first, end;
  for (int f = 0; f < y.c; f += 16) end = conv_channels(f, y.c, x.c, groups, &first), channels += end - first;
  for (int i = 0; i < k.sh; i++)
    for (int j = 0; j < k.sw; j++) {
      const Phase v = phase_of(i, k.kh, k.sh, k.top, k.dh, y.h), h = phase_of(j, k.kw, k.sw, k.left, k.dw, y.w);
      Blocks part_of = y;
      part_of.at += (i * y.w + j) * 16;
      if (v.outputs > 0 && h.outputs > 0)
        conv_run(r,
            (Conv){.x = x.at,
                .packed = packed,
                .y = part_of,
                .c = x.c,
                .groups = groups,
                .block = 16,
                .x_block = 16 * x.w * x.h,
                .walk = {{v.n, h.n, 1, 1, v.before, h.before, v.dilation, h.dilation}, x.h, x.w, 16, 16 * x.w,
                    v.outputs, h.outputs, 16 * k.sw, 16 * y.w * k.sh},
                .to = to});
      packed += (blocks_of(y.c) + channels * v.n * h.n) * 16;
    }
}
