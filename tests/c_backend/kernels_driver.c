/* Runs one kernel on plain arrays, all other memory full of NaN. What to run is in p[] (test_kernels.py). */
#include <stdlib.h>

static float *memory(size_t floats) {
  float *p = aligned_alloc(64, (floats * 4 + 63) / 64 * 64 + 64);
  for (size_t i = 0; p && i < floats; i++) p[i] = NAN;
  return p;
}

static Blocks blocks(const Run *r, const float *from, int c, int h, int w) {
  Blocks b = {memory((size_t)blocks_of(c) * 16 * (size_t)h * (size_t)w), c, h, w};
  if (from) to_blocks(r, (Plain){(float *)(size_t)from, c, h, w}, b);
  return b;
}

int run_kernel(const int *p, const float *bounds, const float *x, const float *weight, const float *bias, const float *add, float *result, int packed_floats,
               int scratch_floats, int threads) {
  const int kind = p[0], c = p[1], h = p[2], w = p[3], f = p[4], groups = p[5], out_h = p[6], out_w = p[7];
  const Window k = {p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15]};
  const Clamp to = {bounds[0], bounds[1]};
  float *packed = memory((size_t)packed_floats + 1);
  Pool pool;
  pool_start(&pool, threads);
  const Run run = {&pool, memory((size_t)(scratch_floats * threads))}, *r = &run;
  packed[packed_floats] = 12345; /* nobody writes behind the end */
  const Blocks in = blocks(r, x, c, h, w), out = blocks(r, kind < 8 ? add : NULL, f, out_h, out_w);
  const float *more = add ? out.at : NULL;
  Plain vector = {out.at, f, 1, 1};
  switch (kind) {
    case 0: pack_conv(weight, bias, f, c, k.kh, k.kw, groups, packed), conv(r, in, out, packed, k, groups, to, more); break;
    case 1: pack_conv_plain(weight, bias, f, c, k.kh, k.kw, packed), conv_plain(r, (Plain){(float *)(size_t)x, c, h, w}, out, packed, k, to); break;
    case 2: pack_winograd(weight, bias, f, c, packed), conv_winograd(r, in, out, packed, k.top, k.left, to, more); break;
    case 3: pack_depthwise(weight, bias, c, k.kh, k.kw, packed), conv_depthwise(r, in, out, packed, k, to, more); break;
    case 4: pack_conv_transpose(weight, bias, f, c, k, groups, packed), conv_transpose(r, in, out, packed, k, groups, to); break;
    case 8: max_pool(r, in, out, k, to); break;
    case 9: avg_pool(r, in, out, k, p[16], p[17], p[18], to); break;
    case 10: global_avg_pool(r, in, vector, to); break;
    case 11: global_max_pool(r, in, vector, to); break;
    case 12: copy_channels(r, in, p[16], out, 0, f); break;
    case 13: to_blocks(r, (Plain){(float *)(size_t)x, c, h, w}, out); break;
  }
  from_blocks(r, out, (Plain){result, f, out_h, out_w});
  const int whole = packed[packed_floats] == 12345;
  pool_stop(&pool);
  free(packed), free(run.scratch), free(in.at), free(out.at);
  return whole;
}

void set_level(int most) { level = most; }
