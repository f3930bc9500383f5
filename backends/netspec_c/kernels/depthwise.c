/* needs: base threads windows lanes */
#define MULTIPLY_ADD(sum, x, w) sum += (x) * (w)
#define DEPTHWISE(cpu, attributes, N, ROWS) LANES(depthwise_##cpu, attributes, N, MULTIPLY_ADD, 1)
KERNELS(DEPTHWISE)

/* Packs weight[channels][1][kh][kw] as bias[16], w[kh][kw][16] for each 16 channels. */
static void pack_depthwise(const float *weight, const float *bias, int channels, int kh, int kw, float *packed) {
  for (int c0 = 0; c0 < channels; c0 += 16)
    for (int i = -1; i < kh * kw; i++)
      for (int c = c0; c < c0 + 16; c++)
        *packed++ = c >= channels || (i < 0 && !bias) ? 0
            : i < 0                                   ? bias[c]
                                                      : weight[(size_t)c * (size_t)(kh * kw) + (size_t)i];
}

static void depthwise_fill(const void *state, const Lines *l) { ON_CPU(depthwise)(&((const Job *)state)->lanes, l); }

static Job depthwise_job(const float *packed, Window k, Clamp to, const float *add) {
  return (Job){.lanes = {.start = packed, .w = packed + 16, .add = add, .scale = 1, .to = to},
      .w_block = (k.kh * k.kw + 1) * 16,
      .fill = depthwise_fill};
}

/* A convolution of each channel with a filter of its own; y = clamp(sum + bias + add). */
UNUSED static void conv_depthwise(
    const Run *r, Blocks x, Blocks y, const float *packed, Window k, Clamp to, const float *add) {
  lanes_run(r, x, y, k, depthwise_job(packed, k, to, add));
}
