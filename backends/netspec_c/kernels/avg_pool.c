/* needs: base threads windows lanes */
#define SUM(sum, x, w) sum += (x)
#define AVG_POOL(cpu, attributes, N, ROWS) LANES(avg_pool_##cpu, attributes, N, SUM, 0)
KERNELS(AVG_POOL)

static void avg_pool_fill(const void *state, const Lines *l) {
  const Job *v = state;
  const Window k = v->walk.k;
  Lanes t = v->lanes;
  const int high = v->include_pad ? min_of(k.kh, v->walk.h + v->bottom + k.top - l->row * k.sh) : l->high;
  const int wide = v->include_pad ? min_of(k.kw, v->walk.w + v->right + k.left - l->column * k.sw) : l->wide;
  t.scale = 1.0f / (float)(high * wide);
  ON_CPU(avg_pool)(&t, l);
}

/* The mean of each window, of the image or, with include_pad, of the image and its padding. */
static void avg_pool(const Run *r, Blocks x, Blocks y, Window k, int include_pad, int bottom, int right, Clamp to) {
  static const _Alignas(64) float start[16] = {0};
  lanes_run(r, x, y, k,
      (Job){.lanes = {.start = start, .w = start, .to = to},
          .fill = avg_pool_fill,
          .include_pad = include_pad,
          .bottom = bottom,
          .right = right});
}
