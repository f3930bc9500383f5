/* needs: */
/* Values: floats at a multiple of 64 bytes. In blocks, 16 channels lie side by side, and what is behind the last channel
   may be anything. */
typedef struct { float *at; int c, h, w; } Blocks; /* at[c / 16][h][w][16] */
typedef struct { float *at; int c, h, w; } Plain;  /* at[c][h][w] */
typedef struct { int kh, kw, sh, sw, top, left, dh, dw; } Window; /* size, step, padding, distance of elements */
typedef struct { float low, high; } Clamp; /* bounds of a result */
#define NONE ((Clamp){-INFINITY, INFINITY})
#define RELU ((Clamp){0, INFINITY})
#define RELU6 ((Clamp){0, 6})
#define UNUSED __attribute__((unused))
#define INLINE static inline __attribute__((always_inline, unused))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#define ONCE _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define ONCE _Pragma("GCC unroll 1")
#pragma GCC diagnostic ignored "-Wpsabi"
#if defined __OPTIMIZE__ && !defined __OPTIMIZE_SIZE__
#pragma GCC optimize("O3", "fp-contract=fast")
#endif
#endif

#ifdef NETSPEC_THREADS
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#if defined __x86_64__ || defined __i386__
#define RELAX __builtin_ia32_pause()
#else
#define RELAX ((void)0)
#endif
#endif

INLINE int min_of(int a, int b) { return a < b ? a : b; }
INLINE int max_of(int a, int b) { return a > b ? a : b; }
INLINE int blocks_of(int channels) { return (channels + 15) / 16; }
INLINE float clamp(float v, Clamp to) {
  v = v < to.low ? to.low : v;
  return v > to.high ? to.high : v;
}

/* The channels c0.. of a value, n of them; c0 is a multiple of 16. */
INLINE Blocks part(Blocks v, int c0, int n) {
  return (Blocks){v.at + (size_t)c0 * (size_t)v.h * (size_t)v.w, n, v.h, v.w};
}

/* Kernels are written once for vectors of N floats and compiled for each kind of processor: KERNELS(K) is K(suffix,
   attributes, N, rows), where rows x 16 sums fit into registers. ON_CPU(k) is the one for the processor at hand. */
#if defined __x86_64__ && !defined __AVX512F__ && !defined NETSPEC_ONE_TARGET
#define KERNELS(K) \
  K(v4, __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma"))), 16, 14) \
  K(v3, __attribute__((target("avx2,fma"))), 8, 6) \
  K(v1, , 4, 3)
INLINE int cpu_level(void) {
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return 4;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 3 : 1;
}
#define ON_CPU(k) (cpu_level() == 4 ? k##_v4 : cpu_level() == 3 ? k##_v3 : k##_v1)
#if defined __linux__ && defined __GLIBC__
#define NET_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define NET_CLONES
#endif
#else
#if defined __AVX512F__
#define KERNELS(K) K(v1, , 16, 14)
#elif defined __AVX2__ && defined __FMA__
#define KERNELS(K) K(v1, , 8, 6)
#elif defined __aarch64__
#define KERNELS(K) K(v1, , 4, 6)
#else
#define KERNELS(K) K(v1, , 4, 3)
#endif
#define ON_CPU(k) k##_v1
#define NET_CLONES
#endif
#define VECTORS(N) \
  typedef float V __attribute__((vector_size(4 * N), may_alias, unused)); \
  typedef int V_mask __attribute__((vector_size(4 * N), unused))
#define SELECT(mask, a, b) ((V)(((mask) & (V_mask)(a)) | (~(mask) & (V_mask)(b))))
