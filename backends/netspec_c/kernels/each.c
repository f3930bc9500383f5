/* each needs: base threads */
#if defined __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined __GNUC__
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

INLINE size_t floats_of(Blocks v) { return (size_t)blocks_of(v.c) * 16 * (size_t)v.h * (size_t)v.w; }

/* Defines a kernel that computes each element of y, an expression of x, a, b and c; x and y may be one value. */
#define EACH(name, result) EACH_OF(name, result, (const Run *r, Blocks from, Blocks to))
#define EACH1(name, result) EACH_OF(name, result, (const Run *r, Blocks from, Blocks to, float a))
#define EACH2(name, result) EACH_OF(name, result, (const Run *r, Blocks from, Blocks to, float a, float b))
#define EACH3(name, result) EACH_OF(name, result, (const Run *r, Blocks from, Blocks to, float a, float b, float c))
#define EACH_OF(name, result, parameters) \
  NET_CLONES static void name parameters { \
    const size_t n = floats_of(to); \
    (void)r; \
    INDEPENDENT for (size_t i = 0; i < n; i++) { \
      const float x = from.at[i]; \
      to.at[i] = result; \
    } \
  }
/* exponential needs: base */
/* exp(x) for -87 <= x <= 88, and near its limits beyond (Cephes). */
INLINE float exp_of(float x) {
  x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  const float n = x * 1.44269504f + 12582912.0f - 12582912.0f;
  const float f = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * f * f + f + 1.0f;
  const union { uint32_t bits; float value; } power = {(uint32_t)((int32_t)n + 127) << 23};
  return p * power.value;
}
/* clamp_values needs: each */
EACH2(clamp_values, x < a ? a : x > b ? b : x)
/* copy needs: each */
EACH(copy, x)
/* leaky_relu needs: each */
EACH1(leaky_relu, x > 0 ? x : x * a)
/* threshold needs: each */
EACH2(threshold, x <= a ? b : x)
/* elu needs: each */
EACH1(elu, x > 0 ? x : a * expm1f(x))
/* celu needs: each */
EACH1(celu, x > 0 ? x : a * expm1f(x / a))
/* selu needs: each */
EACH(selu, 1.05070098735548f * (x > 0 ? x : 1.67326324235437f * expm1f(x)))
/* sigmoid needs: each exponential */
EACH(sigmoid, 1 / (1 + exp_of(-x)))
/* silu needs: each exponential */
EACH(silu, x / (1 + exp_of(-x)))
/* hard_sigmoid needs: each */
EACH(hard_sigmoid, (x < -3 ? 0 : x > 3 ? 6 : x + 3) / 6)
/* hard_swish needs: each */
EACH(hard_swish, x * ((x < -3 ? 0 : x > 3 ? 6 : x + 3) / 6))
/* error_function needs: exponential */
/* erf(x), to 2e-7 (Abramowitz and Stegun 7.1.26). */
INLINE float erf_of(float x) {
  const float a = fabsf(x), t = 1 / (1 + 0.3275911f * a);
  const float p = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
  const float found = 1 - p * exp_of(-a * a);
  return x < 0 ? -found : found;
}
/* gelu needs: each error_function */
EACH(gelu, 0.5f * x * (1 + erf_of(x * 0.707106781f)))
/* soft_plus needs: base */
INLINE float softplus_of(float x) { return log1pf(expf(-fabsf(x))) + (x > 0 ? x : 0); }
/* softplus needs: each soft_plus */
EACH(softplus, softplus_of(x))
/* logsigmoid needs: each soft_plus */
EACH(logsigmoid, -softplus_of(-x))
/* mish needs: each soft_plus */
EACH(mish, x * tanhf(softplus_of(x)))
/* hyperbolic_tangent needs: each */
EACH(hyperbolic_tangent, tanhf(x))
/* tanhshrink needs: each */
EACH(tanhshrink, x - tanhf(x))
/* softsign needs: each */
EACH(softsign, x / (1 + fabsf(x)))
/* hardshrink needs: each */
EACH1(hardshrink, fabsf(x) <= a ? 0 : x)
/* softshrink needs: each */
EACH1(softshrink, x > a ? x - a : x < -a ? x + a : 0)
/* absolute needs: each */
EACH(absolute, fabsf(x))
/* linear_function needs: each */
EACH2(linear_function, a * x + b)
/* square needs: each */
EACH2(square, (a * x + b) * (a * x + b))
/* power needs: each */
EACH3(power, powf(a * x + b, c))
/* exponential_of needs: each */
EACH2(exponential_of, expf(a * x + b))
/* power_of needs: each */
EACH3(power_of, powf(c, a * x + b))
/* logarithm needs: each */
EACH3(logarithm, logf(a * x + b) * c)
/* pair needs: each */
INLINE int same_size(Blocks v, Blocks y) { return v.c == y.c && v.h == y.h && v.w == y.w; }

/* The block of a value at a place; dimensions of 1 spread. */
INLINE const float *spread(Blocks v, int block, int i, int j) {
  return v.at + (((size_t)(v.c == 1 ? 0 : block) * (size_t)v.h + (size_t)(v.h == 1 ? 0 : i)) * (size_t)v.w + (size_t)(v.w == 1 ? 0 : j)) * 16;
}

/* Defines a kernel that computes each element of y of those of two values, a and b; y may be the first of its size. */
#define PAIR(name, result) \
  NET_CLONES static void name(const Run *r, Blocks first, Blocks second, Blocks y) { \
    (void)r; \
    if (same_size(first, y) && same_size(second, y)) { \
      const size_t n = floats_of(y); \
      INDEPENDENT for (size_t i = 0; i < n; i++) { \
        const float a = first.at[i], b = second.at[i]; \
        y.at[i] = result; \
      } \
      return; \
    } \
    const int step = first.c == 1 ? 0 : 1, other = second.c == 1 ? 0 : 1; \
    float *to = y.at; \
    for (int k = 0; k < blocks_of(y.c); k++) \
      for (int i = 0; i < y.h; i++) \
        for (int j = 0; j < y.w; j++, to += 16) { \
          const float *p = spread(first, k, i, j), *q = spread(second, k, i, j); \
          INDEPENDENT for (int l = 0; l < 16; l++) { \
            const float a = p[l * step], b = q[l * other]; \
            to[l] = result; \
          } \
        } \
  }
/* add needs: pair */
PAIR(add, a + b)
/* subtract needs: pair */
PAIR(subtract, a - b)
/* multiply needs: pair */
PAIR(multiply, a * b)
/* divide needs: pair */
PAIR(divide, a / b)
/* maximum needs: pair */
PAIR(maximum, a > b ? a : b)
/* minimum needs: pair */
PAIR(minimum, a < b ? a : b)
