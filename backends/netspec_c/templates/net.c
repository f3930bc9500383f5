/* Packs the weights w for the kernels into p; t is memory for what is in between. */
static void pack(const float *w, float *p, float *t) {
$pack
}

int ${net}_init(${net}_context *ctx, void *memory, const void *weights, size_t size) {
$starts
$embedded  if (!ctx || !memory || !weights || (uintptr_t)memory % 64) return ${NET}_BAD_ARGUMENT;
  float *packed = memory, *rest = packed + $packed;
$read
  ctx->workspace = rest;
  ctx->pool = NULL;
  for (int i = 0; i < $layers; i++) ctx->weights[i] = packed + starts[i];
  return ${NET}_OK;
}

int ${net}_share(${net}_context *ctx, void *workspace, const ${net}_context *with) {
  if (!ctx || !workspace || !with || (uintptr_t)workspace % 64) return ${NET}_BAD_ARGUMENT;
  *ctx = *with;
  ctx->workspace = workspace;
  ctx->pool = NULL;
  return ${NET}_OK;
}

$run {
$check
  float *m = ctx->workspace;
  const Run run = {ctx->pool, m + $values};
$call
  return ${NET}_OK;
}

#ifdef NETSPEC_THREADS
_Static_assert(sizeof(Pool) <= $pool + NETSPEC_THREADS * $each, "the workspace has no room for the pool");

int ${net}_start_threads(${net}_context *ctx, int threads) {
  if (!ctx || !ctx->workspace || ctx->pool || threads < 1) return ${NET}_BAD_ARGUMENT;
  float *at = (float *)ctx->workspace + $values + (size_t)NETSPEC_THREADS * $scratch;
  ctx->pool = at;
  pool_start(ctx->pool, threads);
  return ${NET}_OK;
}

void ${net}_stop_threads(${net}_context *ctx) {
  if (ctx && ctx->pool) pool_stop(ctx->pool);
  if (ctx) ctx->pool = NULL;
}
#endif
