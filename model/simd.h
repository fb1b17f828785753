/* Vectors of numbers, under one name for every processor. LANES floats at once; PANEL columns of a matrix lie together. */
#ifndef FENESTRA_SIMD_H
#define FENESTRA_SIMD_H

#include <math.h>
#include <string.h>

#include "kernel.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>
#define LANES 16
typedef __m512 Vector;
static inline Vector load(const float *p) { return _mm512_loadu_ps(p); }
static inline void store(float *p, Vector x) { _mm512_storeu_ps(p, x); }
static inline Vector splat(float x) { return _mm512_set1_ps(x); }
static inline Vector add(Vector x, Vector y) { return _mm512_add_ps(x, y); }
static inline Vector fmadd(Vector sum, Vector x, Vector y) { return _mm512_fmadd_ps(x, y, sum); }
static inline Vector multiply(Vector x, Vector y) { return _mm512_mul_ps(x, y); }
static inline Vector divide(Vector x, Vector y) { return _mm512_div_ps(x, y); }
static inline Vector maximum(Vector x, Vector y) { return _mm512_max_ps(x, y); }
static inline Vector where_positive(Vector x, Vector y, Vector z) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), y, z);
}
static inline Vector minimum(Vector x, Vector y) { return _mm512_min_ps(x, y); }
static inline Vector round_to_even(Vector x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline Vector scale_by_power_of_two(Vector x, Vector n) { return _mm512_scalef_ps(x, n); }
static inline Vector load_int16(const int16_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)p)));
}
static inline float reduce_add(Vector x) { return _mm512_reduce_add_ps(x); }
static inline float reduce_max(Vector x) { return _mm512_reduce_max_ps(x); }
typedef __m512i Shorts; /* 2 · LANES integers of 16 bits */
static inline Shorts zero_shorts(void) { return _mm512_setzero_si512(); }
static inline Shorts add_int8(Shorts sum, const int8_t *p) {
    return _mm512_add_epi16(sum, _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)));
}
static inline Vector low_half(Shorts x) { return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_castsi512_si256(x))); }
static inline Vector high_half(Shorts x) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(x, 1)));
}
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define LANES 8
typedef __m256 Vector;
static inline Vector load(const float *p) { return _mm256_loadu_ps(p); }
static inline void store(float *p, Vector x) { _mm256_storeu_ps(p, x); }
static inline Vector splat(float x) { return _mm256_set1_ps(x); }
static inline Vector add(Vector x, Vector y) { return _mm256_add_ps(x, y); }
static inline Vector fmadd(Vector sum, Vector x, Vector y) { return _mm256_fmadd_ps(x, y, sum); }
static inline Vector multiply(Vector x, Vector y) { return _mm256_mul_ps(x, y); }
static inline Vector divide(Vector x, Vector y) { return _mm256_div_ps(x, y); }
static inline Vector maximum(Vector x, Vector y) { return _mm256_max_ps(x, y); }
static inline Vector where_positive(Vector x, Vector y, Vector z) { return _mm256_blendv_ps(y, z, x); }
static inline Vector minimum(Vector x, Vector y) { return _mm256_min_ps(x, y); }
static inline Vector round_to_even(Vector x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline Vector scale_by_power_of_two(Vector x, Vector n) {
    __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(x, _mm256_castsi256_ps(power));
}
static inline Vector load_int16(const int16_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline float reduce_add(Vector x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
static inline float reduce_max(Vector x) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}
typedef __m256i Shorts; /* 2 · LANES integers of 16 bits */
static inline Shorts zero_shorts(void) { return _mm256_setzero_si256(); }
static inline Shorts add_int8(Shorts sum, const int8_t *p) {
    return _mm256_add_epi16(sum, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)));
}
static inline Vector low_half(Shorts x) { return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(x))); }
static inline Vector high_half(Shorts x) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_extracti128_si256(x, 1)));
}
#else /* four lanes that any compiler maps to what the processor has: SSE2, NEON, … */
#define LANES 4
typedef float Vector __attribute__((vector_size(16)));
static inline Vector load(const float *p) { Vector x; memcpy(&x, p, sizeof x); return x; }
static inline void store(float *p, Vector x) { memcpy(p, &x, sizeof x); }
static inline Vector splat(float x) { return (Vector){x, x, x, x}; }
static inline Vector add(Vector x, Vector y) { return x + y; }
static inline Vector fmadd(Vector sum, Vector x, Vector y) { return sum + x * y; }
static inline Vector multiply(Vector x, Vector y) { return x * y; }
static inline Vector divide(Vector x, Vector y) { return x / y; }
static inline Vector where_positive(Vector x, Vector y, Vector z) {
    return (Vector){x[0] < 0 ? z[0] : y[0], x[1] < 0 ? z[1] : y[1], x[2] < 0 ? z[2] : y[2], x[3] < 0 ? z[3] : y[3]};
}
static inline Vector maximum(Vector x, Vector y) {
    return (Vector){x[0] > y[0] ? x[0] : y[0], x[1] > y[1] ? x[1] : y[1], x[2] > y[2] ? x[2] : y[2],
                    x[3] > y[3] ? x[3] : y[3]};
}
static inline Vector minimum(Vector x, Vector y) {
    return (Vector){x[0] < y[0] ? x[0] : y[0], x[1] < y[1] ? x[1] : y[1], x[2] < y[2] ? x[2] : y[2],
                    x[3] < y[3] ? x[3] : y[3]};
}
static inline Vector round_to_even(Vector x) {
    return (Vector){nearbyintf(x[0]), nearbyintf(x[1]), nearbyintf(x[2]), nearbyintf(x[3])};
}
static inline Vector scale_by_power_of_two(Vector x, Vector n) {
    return (Vector){ldexpf(x[0], (int)n[0]), ldexpf(x[1], (int)n[1]), ldexpf(x[2], (int)n[2]), ldexpf(x[3], (int)n[3])};
}
static inline Vector load_int16(const int16_t *p) { return (Vector){p[0], p[1], p[2], p[3]}; }
static inline float reduce_add(Vector x) { return (x[0] + x[2]) + (x[1] + x[3]); }
static inline float reduce_max(Vector x) {
    float even = x[0] > x[2] ? x[0] : x[2], odd = x[1] > x[3] ? x[1] : x[3];
    return even > odd ? even : odd;
}
typedef int16_t Shorts __attribute__((vector_size(16))); /* 2 · LANES integers of 16 bits */
static inline Shorts zero_shorts(void) { return (Shorts){0}; }
static inline Shorts add_int8(Shorts sum, const int8_t *p) {
    return sum + (Shorts){p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]};
}
static inline Vector low_half(Shorts x) { return (Vector){x[0], x[1], x[2], x[3]}; }
static inline Vector high_half(Shorts x) { return (Vector){x[4], x[5], x[6], x[7]}; }
#endif

/* eˣ for x ≤ 0, to about one unit in the last place: 2ⁿ · a polynomial (Moshier's Cephes). Below −87 it is that of −87:
 * nothing, beside the 1 of the largest. */
static inline Vector exponential(Vector x) {
    Vector z = maximum(splat(-87.0f), x), n = round_to_even(fmadd(splat(0), z, splat(1.44269504f)));
    Vector r = fmadd(fmadd(z, n, splat(-0.693359375f)), n, splat(2.12194440e-4f));
    Vector p = splat(1.9875691500e-4f);
    p = fmadd(splat(1.3981999507e-3f), p, r);
    p = fmadd(splat(8.3334519073e-3f), p, r);
    p = fmadd(splat(4.1665795894e-2f), p, r);
    p = fmadd(splat(1.6666665459e-1f), p, r);
    p = fmadd(splat(5.0000001201e-1f), p, r);
    return scale_by_power_of_two(add(fmadd(r, fmadd(splat(0), p, r), r), splat(1)), n);
}

/* ── activations, to about 2e-7 ── */

static inline Vector minus_magnitude(Vector x) { return minimum(x, multiply(x, splat(-1))); } /* −|x| */

/* 1 / (1 + e⁻ˣ), by e to the power of −|x| so that nothing overflows. */
static inline Vector sigmoid(Vector x) {
    Vector e = exponential(minus_magnitude(x)), whole = add(splat(1), e);
    return divide(where_positive(x, splat(1), e), whole);
}

/* tanh x = ± (1 − e^(−2|x|)) / (1 + e^(−2|x|)). */
static inline Vector hyperbolic_tangent(Vector x) {
    Vector e = exponential(multiply(splat(2), minus_magnitude(x))), ratio = divide(fmadd(splat(1), e, splat(-1)), add(splat(1), e));
    return where_positive(x, ratio, multiply(ratio, splat(-1)));
}

/* x Φ(x), Φ by erfc z ≈ (a₁t + … + a₅t⁵) e^(−z²), z = |x| / √2, t = 1 / (1 + 0.3275911 z) (Abramowitz & Stegun, 7.1.26). */
static inline Vector gelu(Vector x) {
    Vector minus_z = multiply(minus_magnitude(x), splat(0.707106781f));
    Vector t = divide(splat(1), fmadd(splat(1), minus_z, splat(-0.3275911f)));
    Vector p = splat(1.061405429f);
    p = fmadd(splat(-1.453152027f), p, t);
    p = fmadd(splat(1.421413741f), p, t);
    p = fmadd(splat(-0.284496736f), p, t);
    p = fmadd(splat(0.254829592f), p, t);
    Vector half_erfc = multiply(multiply(p, t), multiply(splat(0.5f), exponential(multiply(multiply(minus_z, minus_z), splat(-1)))));
    return multiply(x, where_positive(x, add(splat(1), multiply(half_erfc, splat(-1))), half_erfc));
}

#define ROWS 12                  /* rows of a matrix that are multiplied together */
#define WIDE (PANEL / LANES)     /* vectors of a panel */
#define GROUP (ROWS / WIDE)      /* rows whose sums fit into the registers at once */
#if LANES == 4
#undef GROUP
#define GROUP 2
#endif

/* out[r][PANEL] = bias + Σ_k x[r][k] · w[k][PANEL] for ROWS rows; every sum in the order of k, whatever stands beside it. */
static inline void multiply_panel(const float *x, int64_t stride, const float *w, int64_t depth, const float *bias,
                                  float *out, int64_t out_stride) {
    for (int first = 0; first < ROWS; first += GROUP) {
        Vector sum[GROUP][WIDE];
        for (int r = 0; r < GROUP; r++)
            for (int v = 0; v < WIDE; v++) sum[r][v] = bias ? load(bias + v * LANES) : splat(0);
        const float *row = x + first * stride;
        for (int64_t k = 0; k < depth; k++) {
            Vector column[WIDE];
            for (int v = 0; v < WIDE; v++) column[v] = load(w + k * PANEL + v * LANES);
            for (int r = 0; r < GROUP; r++) {
                Vector factor = splat(row[r * stride + k]);
                for (int v = 0; v < WIDE; v++) sum[r][v] = fmadd(sum[r][v], factor, column[v]);
            }
        }
        for (int r = 0; r < GROUP; r++)
            for (int v = 0; v < WIDE; v++) store(out + (first + r) * out_stride + v * LANES, sum[r][v]);
    }
}

#endif
