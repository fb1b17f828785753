/* Vectors of floats, written once for every processor, and the two things that the kernel computes with them:
 * e to the power of x (so softmax and the activations), and a small matrix product.
 *
 * LANES floats are computed at once. PANEL columns of a matrix are stored together (kernel.h); PANEL is a multiple of
 * LANES in every build.
 */
#ifndef FENESTRA_SIMD_H
#define FENESTRA_SIMD_H

#include <math.h>
#include <string.h>

#include "kernel.h"

/* ── The operations ──
 *
 * The same names for AVX-512, for AVX2 with FMA, and for any other processor. A build is compiled for one of them, and
 * model/engine/library.py loads the best that the processor runs. Builds round differently (only some have a fused
 * multiply-add), but one build always computes the same bits from the same input.
 *
 *   load, store                  LANES floats, at any address
 *   load_int16                   LANES integers, converted to float
 *   splat(x)                     x in every lane
 *   fmadd(sum, x, y)             sum + x · y
 *   maximum(x, y), minimum(x, y) y where one of them is NaN
 *   select_by_sign(x, y, z)      z where x < 0, else y
 *   round_to_even(x)             the nearest integer
 *   scale_by_power_of_two(x, n)  x · 2ⁿ, n an integer
 *   reduce_add, reduce_max       over the lanes, in a fixed order
 *   add_int8(sum, p)             sum + 2 · LANES integers of 8 bits, in 16 bits
 *   low_to_float, high_to_float  the first and the last LANES of those sums
 */
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)

/* AVX-512: 16 lanes. */
#include <immintrin.h>
#define LANES 16
typedef __m512 Vector;
static inline Vector load(const float *p) { return _mm512_loadu_ps(p); }
static inline void store(float *p, Vector x) { _mm512_storeu_ps(p, x); }
static inline Vector load_int16(const int16_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)p)));
}
static inline Vector splat(float x) { return _mm512_set1_ps(x); }
static inline Vector add(Vector x, Vector y) { return _mm512_add_ps(x, y); }
static inline Vector multiply(Vector x, Vector y) { return _mm512_mul_ps(x, y); }
static inline Vector divide(Vector x, Vector y) { return _mm512_div_ps(x, y); }
static inline Vector fmadd(Vector sum, Vector x, Vector y) { return _mm512_fmadd_ps(x, y, sum); }
static inline Vector maximum(Vector x, Vector y) { return _mm512_max_ps(x, y); }
static inline Vector minimum(Vector x, Vector y) { return _mm512_min_ps(x, y); }
static inline Vector select_by_sign(Vector x, Vector y, Vector z) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), y, z);
}
static inline Vector round_to_even(Vector x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline Vector scale_by_power_of_two(Vector x, Vector n) { return _mm512_scalef_ps(x, n); }
static inline float reduce_add(Vector x) { return _mm512_reduce_add_ps(x); }
static inline float reduce_max(Vector x) { return _mm512_reduce_max_ps(x); }

typedef __m512i Int16s; /* 2 · LANES integers of 16 bits */
static inline Int16s zero_int16(void) { return _mm512_setzero_si512(); }
static inline Int16s add_int8(Int16s sum, const int8_t *p) {
    return _mm512_add_epi16(sum, _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)));
}
static inline Vector low_to_float(Int16s x) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_castsi512_si256(x)));
}
static inline Vector high_to_float(Int16s x) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(x, 1)));
}

#elif defined(__AVX2__) && defined(__FMA__)

/* AVX2 with FMA: 8 lanes. */
#include <immintrin.h>
#define LANES 8
typedef __m256 Vector;
static inline Vector load(const float *p) { return _mm256_loadu_ps(p); }
static inline void store(float *p, Vector x) { _mm256_storeu_ps(p, x); }
static inline Vector load_int16(const int16_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline Vector splat(float x) { return _mm256_set1_ps(x); }
static inline Vector add(Vector x, Vector y) { return _mm256_add_ps(x, y); }
static inline Vector multiply(Vector x, Vector y) { return _mm256_mul_ps(x, y); }
static inline Vector divide(Vector x, Vector y) { return _mm256_div_ps(x, y); }
static inline Vector fmadd(Vector sum, Vector x, Vector y) { return _mm256_fmadd_ps(x, y, sum); }
static inline Vector maximum(Vector x, Vector y) { return _mm256_max_ps(x, y); }
static inline Vector minimum(Vector x, Vector y) { return _mm256_min_ps(x, y); }
static inline Vector select_by_sign(Vector x, Vector y, Vector z) { return _mm256_blendv_ps(y, z, x); }
static inline Vector round_to_even(Vector x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline Vector scale_by_power_of_two(Vector x, Vector n) { /* 2ⁿ has the exponent field n + 127 */
    __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(x, _mm256_castsi256_ps(power));
}
static inline float reduce_add(Vector x) { /* 8 lanes to 4, to 2, to 1 */
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
static inline float reduce_max(Vector x) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

typedef __m256i Int16s; /* 2 · LANES integers of 16 bits */
static inline Int16s zero_int16(void) { return _mm256_setzero_si256(); }
static inline Int16s add_int8(Int16s sum, const int8_t *p) {
    return _mm256_add_epi16(sum, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)));
}
static inline Vector low_to_float(Int16s x) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(x)));
}
static inline Vector high_to_float(Int16s x) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm256_extracti128_si256(x, 1)));
}

#else

/* Any processor: 4 lanes, which the compiler maps to SSE2, NEON or whatever there is. */
#define LANES 4
typedef float Vector __attribute__((vector_size(16)));
static inline Vector load(const float *p) { Vector x; memcpy(&x, p, sizeof x); return x; }
static inline void store(float *p, Vector x) { memcpy(p, &x, sizeof x); }
static inline Vector load_int16(const int16_t *p) { return (Vector){p[0], p[1], p[2], p[3]}; }
static inline Vector splat(float x) { return (Vector){x, x, x, x}; }
static inline Vector add(Vector x, Vector y) { return x + y; }
static inline Vector multiply(Vector x, Vector y) { return x * y; }
static inline Vector divide(Vector x, Vector y) { return x / y; }
static inline Vector fmadd(Vector sum, Vector x, Vector y) { return sum + x * y; }
static inline Vector maximum(Vector x, Vector y) {
    return (Vector){x[0] > y[0] ? x[0] : y[0], x[1] > y[1] ? x[1] : y[1], x[2] > y[2] ? x[2] : y[2],
                    x[3] > y[3] ? x[3] : y[3]};
}
static inline Vector minimum(Vector x, Vector y) {
    return (Vector){x[0] < y[0] ? x[0] : y[0], x[1] < y[1] ? x[1] : y[1], x[2] < y[2] ? x[2] : y[2],
                    x[3] < y[3] ? x[3] : y[3]};
}
static inline Vector select_by_sign(Vector x, Vector y, Vector z) {
    return (Vector){x[0] < 0 ? z[0] : y[0], x[1] < 0 ? z[1] : y[1], x[2] < 0 ? z[2] : y[2], x[3] < 0 ? z[3] : y[3]};
}
static inline Vector round_to_even(Vector x) {
    return (Vector){nearbyintf(x[0]), nearbyintf(x[1]), nearbyintf(x[2]), nearbyintf(x[3])};
}
static inline Vector scale_by_power_of_two(Vector x, Vector n) {
    return (Vector){ldexpf(x[0], (int)n[0]), ldexpf(x[1], (int)n[1]), ldexpf(x[2], (int)n[2]), ldexpf(x[3], (int)n[3])};
}
static inline float reduce_add(Vector x) { return (x[0] + x[2]) + (x[1] + x[3]); }
static inline float reduce_max(Vector x) {
    float even = x[0] > x[2] ? x[0] : x[2], odd = x[1] > x[3] ? x[1] : x[3];
    return even > odd ? even : odd;
}

typedef int16_t Int16s __attribute__((vector_size(16))); /* 2 · LANES integers of 16 bits */
static inline Int16s zero_int16(void) { return (Int16s){0}; }
static inline Int16s add_int8(Int16s sum, const int8_t *p) {
    return sum + (Int16s){p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]};
}
static inline Vector low_to_float(Int16s x) { return (Vector){x[0], x[1], x[2], x[3]}; }
static inline Vector high_to_float(Int16s x) { return (Vector){x[4], x[5], x[6], x[7]}; }

#endif

/* ── Exponential and activations ──
 *
 * All are computed by eˣ for x ≤ 0, which cannot overflow. The activations are accurate to about 2e-7.
 */

/* eˣ for x ≤ 0, to about one unit in the last place. Below −87 it is e⁻⁸⁷, which vanishes beside the 1 of the largest.
 * Source: expf of Moshier's Cephes; eˣ = 2ⁿ eʳ, and eʳ ≈ 1 + r + r² p(r). */
static inline Vector exp_nonpositive(Vector x) {
    /* split x = n · ln 2 + r, |r| ≤ ln 2 / 2; ln 2 in two parts, so that n · ln 2 is exact enough */
    Vector z = maximum(splat(-87.0f), x), n = round_to_even(fmadd(splat(0), z, splat(1.44269504f)));
    Vector r = fmadd(fmadd(z, n, splat(-0.693359375f)), n, splat(2.12194440e-4f));
    /* p(r), by Horner's rule */
    Vector p = splat(1.9875691500e-4f);
    p = fmadd(splat(1.3981999507e-3f), p, r);
    p = fmadd(splat(8.3334519073e-3f), p, r);
    p = fmadd(splat(4.1665795894e-2f), p, r);
    p = fmadd(splat(1.6666665459e-1f), p, r);
    p = fmadd(splat(5.0000001201e-1f), p, r);
    /* 2ⁿ (1 + (r + r · (r · p))) */
    return scale_by_power_of_two(add(fmadd(r, fmadd(splat(0), p, r), r), splat(1)), n);
}

static inline Vector negative_abs(Vector x) { return minimum(x, multiply(x, splat(-1))); } /* −|x| */

/* 1 / (1 + e⁻ˣ): with e = e^(−|x|), it is 1 / (1 + e) for x ≥ 0 and e / (1 + e) for x < 0. */
static inline Vector sigmoid(Vector x) {
    Vector e = exp_nonpositive(negative_abs(x)), denominator = add(splat(1), e);
    return divide(select_by_sign(x, splat(1), e), denominator);
}

/* tanh x = ± (1 − e^(−2|x|)) / (1 + e^(−2|x|)). */
static inline Vector hyperbolic_tangent(Vector x) {
    Vector e = exp_nonpositive(multiply(splat(2), negative_abs(x)));
    Vector ratio = divide(fmadd(splat(1), e, splat(-1)), add(splat(1), e));
    return select_by_sign(x, ratio, multiply(ratio, splat(-1)));
}

/* x Φ(x), where Φ(−|x|) = erfc(z) / 2 and Φ(|x|) = 1 − erfc(z) / 2 with z = |x| / √2.
 * Source: Abramowitz & Stegun 7.1.26, erfc z ≈ (a₁t + … + a₅t⁵) e^(−z²) with t = 1 / (1 + 0.3275911 z). */
static inline Vector gelu(Vector x) {
    Vector minus_z = multiply(negative_abs(x), splat(0.707106781f));
    Vector t = divide(splat(1), fmadd(splat(1), minus_z, splat(-0.3275911f)));
    /* a₁ + … + a₅t⁴, by Horner's rule */
    Vector p = splat(1.061405429f);
    p = fmadd(splat(-1.453152027f), p, t);
    p = fmadd(splat(1.421413741f), p, t);
    p = fmadd(splat(-0.284496736f), p, t);
    p = fmadd(splat(0.254829592f), p, t);
    /* erfc(z) / 2, then x Φ(x): 1 − erfc(z) / 2 for x ≥ 0, erfc(z) / 2 for x < 0 */
    Vector exp_minus_z2 = exp_nonpositive(multiply(multiply(minus_z, minus_z), splat(-1)));
    Vector half_erfc = multiply(multiply(p, t), multiply(splat(0.5f), exp_minus_z2));
    return multiply(x, select_by_sign(x, add(splat(1), multiply(half_erfc, splat(-1))), half_erfc));
}

/* ── Matrix product ──
 *
 * A panel is PANEL columns of a weight matrix, stored row by row. ROWS rows of inputs are multiplied with one or two
 * panels in groups whose sums stay in registers, so that a weight is loaded once for a whole group, and an input once
 * for both panels where there are registers for it.
 */

#define ROWS 12                            /* input rows of one call */
#define VECTORS_PER_PANEL (PANEL / LANES)
#if LANES == 4
#define GROUP 2                            /* input rows whose sums fit into 16 registers beside the weights */
#else
#define GROUP (ROWS / VECTORS_PER_PANEL)   /* 12 of AVX-512's 32 registers, or 6 · 2 of AVX2's 16 */
#endif
#if LANES == 16
#define PANELS 2                           /* panels at a time: 24 of AVX-512's registers hold sums */
#else
#define PANELS 1
#endif

/* out = x · w + bias for `panels` panels, 1 … PANELS. Every sum is added up in the order of the inputs, so no row's
 * result depends on the others, nor on how many panels there are.
 *
 * x     (ROWS, inputs), a row every x_stride floats; all before `skipped` are 0
 * w     (panels, inputs, PANEL)
 * bias  (panels · PANEL), or NULL for zeros
 * out   (ROWS, panels · PANEL), a row every out_stride floats
 */
static inline __attribute__((always_inline)) void matmul_panels(int panels, const float *x, int64_t x_stride,
                                                                const float *w, int64_t skipped,
                                                                int64_t inputs, const float *bias, float *out,
                                                                int64_t out_stride) {
    enum { MOST = PANELS * VECTORS_PER_PANEL };
    int vectors = panels * VECTORS_PER_PANEL;
    for (int first = 0; first < ROWS; first += GROUP) {
        /* start every sum of the group with the bias */
        Vector sum[GROUP][MOST];
        for (int r = 0; r < GROUP; r++)
            for (int v = 0; v < vectors; v++) sum[r][v] = bias ? load(bias + v * LANES) : splat(0);

        /* for each input: load its weights, and add x · w to the sums of each row */
        const float *x_group = x + first * x_stride; /* (GROUP, inputs) */
        for (int64_t i = skipped; i < inputs; i++) {
            Vector weight[MOST];
            for (int v = 0; v < vectors; v++)
                weight[v] = load(w + (v / VECTORS_PER_PANEL * inputs + i) * PANEL + v % VECTORS_PER_PANEL * LANES);
            for (int r = 0; r < GROUP; r++) {
                Vector input = splat(x_group[r * x_stride + i]);
                for (int v = 0; v < vectors; v++) sum[r][v] = fmadd(sum[r][v], input, weight[v]);
            }
        }

        /* write the group's part of the panels */
        for (int r = 0; r < GROUP; r++)
            for (int v = 0; v < vectors; v++) store(out + (first + r) * out_stride + v * LANES, sum[r][v]);
    }
}

/* The same for one panel. */
static inline void matmul_panel(const float *x, int64_t x_stride, const float *w, int64_t inputs, const float *bias,
                                float *out, int64_t out_stride) {
    matmul_panels(1, x, x_stride, w, 0, inputs, bias, out, out_stride);
}

#endif
