/* needs: base threads windows lanes */
#define LARGER(sum, x, w) sum = SELECT(sum < (x), x, sum)
#define MAX_POOL(cpu, attributes, N, ROWS) LANES(max_pool_##cpu, attributes, N, LARGER, 0)
KERNELS(MAX_POOL)

static void max_pool_fill(const void *state, const Lines *l) { ON_CPU(max_pool)(&((const Job *)state)->lanes, l); }

/* The largest value of each window; padding never is. */
static void max_pool(const Run *r, Blocks x, Blocks y, Window k, Clamp to) {
  _Alignas(64) float start[16];
  for (int i = 0; i < 16; i++) start[i] = -INFINITY;
  lanes_run(r, x, y, k, (Job){.lanes = {.start = start, .w = start, .scale = 1, .to = to}, .fill = max_pool_fill});
}
