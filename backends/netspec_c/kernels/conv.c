/* needs: base threads windows tiles */
/* The input channels that the filters f0..f0 + 15 read: from *first, a multiple of 16, up to the result. */
static int conv_channels(int f0, int filters, int channels, int groups, int *first) {
  const int each = filters / groups, last = min_of(f0 + 15, filters - 1);
  *first = f0 / each * (channels / groups) / 16 * 16;
  return (last / each + 1) * (channels / groups);
}

/* Where weights are in the file, in floats: from one group, filter of a group, channel of a group, row, column to the
 * next. */
typedef struct {
  ptrdiff_t group, filter, channel, row, column;
} Strides;

/* Packs weights as bias[16], then, for each 16 filters, w[block of channels][kh][kw][channel][16]. Returns the end. */
static float *pack_windows(const float *weight, Strides s, const float *bias, int filters, int channels, int kh, int kw,
    int groups, int block, float *packed) {
  const int each = channels / groups, per_group = filters / groups;
  for (int f = 0; f < blocks_of(filters) * 16; f++) *packed++ = bias && f < filters ? bias[f] : 0;
  for (int f0 = 0; f0 < filters; f0 += 16) {
    int first, end = conv_channels(f0, filters, channels, groups, &first);
    for (int b = first; b < end; b += block)
      for (int i = 0; i < kh * kw; i++)
        for (int c = b; c < min_of(b + block, end); c++)
          for (int f = f0; f < f0 + 16; f++) {
            const int group = f / per_group, k = c - group * each;
            *packed++ = f < filters && k >= 0 && k < each ? weight[group * s.group + f % per_group * s.filter +
                                                                k * s.channel + i / kw * s.row + i % kw * s.column]
                                                          : 0;
          }
  }
  return packed;
}

/* Packs weight[filters][channels / groups][kh][kw]. */
UNUSED static void pack_conv(
    const float *weight, const float *bias, int filters, int channels, int kh, int kw, int groups, float *packed) {
  const ptrdiff_t taps = kh * kw, filter = channels / groups * taps;
  pack_windows(weight, (Strides){filters / groups * filter, filter, taps, kw, 1}, bias, filters, channels, kh, kw,
      groups, 16, packed);
}

UNUSED static void pack_conv_plain(
    const float *weight, const float *bias, int filters, int channels, int kh, int kw, float *packed) {
  pack_windows(weight, (Strides){0, (ptrdiff_t)channels * kh * kw, kh * kw, kw, 1}, bias, filters, channels, kh, kw, 1,
      1, packed);
}

typedef struct {
  const float *x, *packed;
  Blocks y; /* the whole result; y.at: of the first pixel that is computed */
  const float *add;
  int c, groups, block, x_block; /* channels, groups, channels in a block, distance of blocks */
  Walk walk;
  int pointwise, filters, steps,
      chunk; /* blocks of filters in a tile, tiles to all filters, rows (or pixels) that are done at once */
  Clamp to;
} Conv;
typedef struct {
  Tile tile;
  int filters;
} ConvLines;

static void conv_lines(const void *state, const Lines *l) {
  const ConvLines *s = state;
  Tile t = s->tile;
  t.high = l->high, t.wide = l->wide, t.first = l->first, t.x_step = l->x_step, t.y_step = l->y_step;
  for (int i = 0; i < l->lines; i++) {
    const ptrdiff_t y = l->y + (ptrdiff_t)i * l->y_line;
    t.x = s->tile.x + l->x + (ptrdiff_t)i * l->x_line, t.y = s->tile.y + y;
    if (t.add) t.add = s->tile.add + y;
    tile_line(t, l->n, s->filters);
  }
}

static void conv_task(const void *arg, int from, int to, int thread) {
  const Conv *v = arg;
  const Walk *walk_of = &v->walk;
  const Window k = walk_of->k;
  const int taps = k.kh * k.kw, lines = v->pointwise ? walk_of->out_h * walk_of->out_w : walk_of->out_h;
  (void)thread;
  for (int item = from; item < to; item++) {
    const int f0 = item % v->steps * v->filters, filters = min_of(v->filters, blocks_of(v->y.c) - f0);
    const int start = item / v->steps * v->chunk, end = min_of(start + v->chunk, lines);
    int first = 0, channels = v->c;
    ptrdiff_t before = (ptrdiff_t)f0 * v->c;
    if (v->groups > 1) {
      before = 0;
      for (int f = 0; f < f0; f++)
        channels = conv_channels(16 * f, v->y.c, v->c, v->groups, &first), before += channels - first;
      channels = conv_channels(16 * f0, v->y.c, v->c, v->groups, &first) - first;
    }
    const ptrdiff_t y_block = (ptrdiff_t)v->y.h * v->y.w * 16, out = f0 * y_block;
    ConvLines s = {.tile = {.x = v->x + (ptrdiff_t)(first / v->block) * v->x_block,
                       .w = v->packed + blocks_of(v->y.c) * 16 + before * taps * 16,
                       .bias = v->packed + f0 * 16,
                       .add = v->add ? v->add + out : v->add,
                       .y = v->y.at + out,
                       .block = v->block,
                       .blocks = (channels + v->block - 1) / v->block,
                       .last = (channels - 1) % v->block + 1,
                       .high = 1,
                       .wide = 1,
                       .kh = k.kh,
                       .kw = k.kw,
                       .x_block = v->x_block,
                       .x_high = k.dh * walk_of->x_row,
                       .x_wide = k.dw * walk_of->x_pixel,
                       .w_filters = channels * taps * 16,
                       .y_filters = (int)y_block,
                       .to = v->to},
        .filters = filters};
    if (v->pointwise)
      conv_lines(&s,
          &(Lines){.x = start * 16,
              .y = start * 16,
              .n = end - start,
              .x_step = 16,
              .y_step = 16,
              .lines = 1,
              .high = 1,
              .wide = 1});
    else walk(walk_of, start, end, conv_lines, &s);
  }
}

static void conv_run(const Run *r, Conv v) {
  const Walk w = v.walk;
  const int each = v.y.c / v.groups, alike = v.groups == 1 || (each % 32 == 0 && v.c / v.groups % 16 == 0);
  v.pointwise = w.k.kh == 1 && w.k.kw == 1 && w.k.sh == 1 && w.k.sw == 1 && w.x_pixel == 16 && w.y_pixel == 16 &&
      w.out_h == w.h && w.out_w == w.w;
  const int lines = v.pointwise ? w.h * w.w : w.out_h;
  const int most = max_of(1, (128 << 10) / max_of(1, v.c / v.groups * (v.pointwise ? 1 : w.w * w.k.sh)));
  const int pieces = (lines + most - 1) / most; /* so that a piece of x, 512 KB, stays in a cache */
  v.chunk = (lines + pieces - 1) / pieces;
  v.filters = alike ? ON_CPU(tile_filters) : 1;
  v.steps = (blocks_of(v.y.c) + v.filters - 1) / v.filters;
  parallel(r->pool, v.steps * ((lines + v.chunk - 1) / v.chunk), conv_task, &v);
}

/* A convolution of any kind; y = clamp(sum + bias + add). */
UNUSED static void conv(
    const Run *r, Blocks x, Blocks y, const float *packed, Window k, int groups, Clamp to, const float *add) {
  conv_run(r,
      (Conv){.x = x.at,
          .packed = packed,
          .y = y,
          .add = add,
          .c = x.c,
          .groups = groups,
          .block = 16,
          .x_block = 16 * x.w * x.h,
          .walk = {k, x.h, x.w, 16, 16 * x.w, y.h, y.w, 16, 16 * y.w},
          .to = to});
}

/* A convolution of few channels that lie one behind the other. */
UNUSED static void conv_plain(const Run *r, Plain x, Blocks y, const float *packed, Window k, Clamp to) {
  conv_run(r,
      (Conv){.x = x.at,
          .packed = packed,
          .y = y,
          .c = x.c,
          .groups = 1,
          .block = 1,
          .x_block = x.w * x.h,
          .walk = {k, x.h, x.w, 1, x.w, y.h, y.w, 16, 16 * y.w},
          .to = to});
}
