$about
#ifndef ${NET}_H
#define ${NET}_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/* Numbers in each input and output of a sample, (channels, height, width). */
$sizes

/* Bytes: of the weights as floats, of memory for a context and for a further workspace. */
#define ${NET}_WEIGHTS_BYTES ((size_t)$weights)
#define ${NET}_PACKED_BYTES ((size_t)$packed)
#define ${NET}_INIT_BYTES ((size_t)$init)
#ifdef NETSPEC_THREADS
#define ${NET}_WORKSPACE_BYTES ((size_t)$values + (size_t)NETSPEC_THREADS * $thread + $pool)
#else
#define ${NET}_WORKSPACE_BYTES ((size_t)$workspace)
#endif
#define ${NET}_MEMORY_BYTES \
  (${NET}_PACKED_BYTES + (${NET}_INIT_BYTES > ${NET}_WORKSPACE_BYTES ? ${NET}_INIT_BYTES : ${NET}_WORKSPACE_BYTES))

/* What functions return: no error; a null pointer, or memory at no multiple of 64; weights of another net, or damaged. */
enum { ${NET}_OK, ${NET}_BAD_ARGUMENT, ${NET}_BAD_WEIGHTS };

/* A net that is ready to run, one sample at a time. */
typedef struct {
  void *workspace, *pool;
  const float *weights[$layers]; /* as the kernels read them */
} ${net}_context;

/* Makes a context of ${NET}_MEMORY_BYTES at a multiple of 64, which it keeps. $given */
int ${net}_init(${net}_context *ctx, void *memory, const void *weights, size_t size);
/* Makes a context with the weights of another, and a workspace of its own at a multiple of 64: so that both run at once. */
int ${net}_share(${net}_context *ctx, void *workspace, const ${net}_context *with);
/* Computes the outputs of a sample. */
$run;
#ifdef NETSPEC_THREADS
/* Lets a context run with so many threads, NETSPEC_THREADS at most. They end with stop_threads, which comes before its memory goes. */
int ${net}_start_threads(${net}_context *ctx, int threads);
void ${net}_stop_threads(${net}_context *ctx);
#endif
#ifdef __cplusplus
}
#endif
#endif
