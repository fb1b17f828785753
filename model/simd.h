/* Vectors of numbers, under one name for every processor. LANES floats at once; PANEL columns of a matrix lie together. */
#ifndef FENESTRA_SIMD_H
#define FENESTRA_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef _WIN32
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

/* SOURCES is defined by build.py: what it was compiled from, so that library.py notices an old build. */

#define PANEL 16  /* columns; widths are filled up with zeros to a multiple of it */

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>
#define LANES 16
typedef __m512 Vector;
static inline Vector load(const float *p) { return _mm512_loadu_ps(p); }
static inline void store(float *p, Vector x) { _mm512_storeu_ps(p, x); }
static inline Vector same(float x) { return _mm512_set1_ps(x); }
static inline Vector add(Vector x, Vector y) { return _mm512_add_ps(x, y); }
static inline Vector add_product(Vector sum, Vector x, Vector y) { return _mm512_fmadd_ps(x, y, sum); }
static inline Vector larger(Vector x, Vector y) { return _mm512_max_ps(x, y); }
static inline Vector smaller(Vector x, Vector y) { return _mm512_min_ps(x, y); }
static inline Vector nearest(Vector x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline Vector times_two_to(Vector x, Vector n) { return _mm512_scalef_ps(x, n); }
static inline Vector load_int16(const int16_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)p)));
}
static inline float sum_of(Vector x) { return _mm512_reduce_add_ps(x); }
static inline float largest_of(Vector x) { return _mm512_reduce_max_ps(x); }
typedef __m512i Shorts; /* 2 · LANES integers of 16 bits */
static inline Shorts no_shorts(void) { return _mm512_setzero_si512(); }
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
static inline Vector same(float x) { return _mm256_set1_ps(x); }
static inline Vector add(Vector x, Vector y) { return _mm256_add_ps(x, y); }
static inline Vector add_product(Vector sum, Vector x, Vector y) { return _mm256_fmadd_ps(x, y, sum); }
static inline Vector larger(Vector x, Vector y) { return _mm256_max_ps(x, y); }
static inline Vector smaller(Vector x, Vector y) { return _mm256_min_ps(x, y); }
static inline Vector nearest(Vector x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline Vector times_two_to(Vector x, Vector n) {
    __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(x, _mm256_castsi256_ps(power));
}
static inline Vector load_int16(const int16_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline float sum_of(Vector x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
static inline float largest_of(Vector x) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}
typedef __m256i Shorts; /* 2 · LANES integers of 16 bits */
static inline Shorts no_shorts(void) { return _mm256_setzero_si256(); }
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
static inline Vector same(float x) { return (Vector){x, x, x, x}; }
static inline Vector add(Vector x, Vector y) { return x + y; }
static inline Vector add_product(Vector sum, Vector x, Vector y) { return sum + x * y; }
static inline Vector larger(Vector x, Vector y) {
    return (Vector){x[0] > y[0] ? x[0] : y[0], x[1] > y[1] ? x[1] : y[1], x[2] > y[2] ? x[2] : y[2],
                    x[3] > y[3] ? x[3] : y[3]};
}
static inline Vector smaller(Vector x, Vector y) {
    return (Vector){x[0] < y[0] ? x[0] : y[0], x[1] < y[1] ? x[1] : y[1], x[2] < y[2] ? x[2] : y[2],
                    x[3] < y[3] ? x[3] : y[3]};
}
static inline Vector nearest(Vector x) {
    return (Vector){nearbyintf(x[0]), nearbyintf(x[1]), nearbyintf(x[2]), nearbyintf(x[3])};
}
static inline Vector times_two_to(Vector x, Vector n) {
    return (Vector){ldexpf(x[0], (int)n[0]), ldexpf(x[1], (int)n[1]), ldexpf(x[2], (int)n[2]), ldexpf(x[3], (int)n[3])};
}
static inline Vector load_int16(const int16_t *p) { return (Vector){p[0], p[1], p[2], p[3]}; }
static inline float sum_of(Vector x) { return (x[0] + x[2]) + (x[1] + x[3]); }
static inline float largest_of(Vector x) {
    float even = x[0] > x[2] ? x[0] : x[2], odd = x[1] > x[3] ? x[1] : x[3];
    return even > odd ? even : odd;
}
typedef int16_t Shorts __attribute__((vector_size(16))); /* 2 · LANES integers of 16 bits */
static inline Shorts no_shorts(void) { return (Shorts){0}; }
static inline Shorts add_int8(Shorts sum, const int8_t *p) {
    return sum + (Shorts){p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]};
}
static inline Vector low_half(Shorts x) { return (Vector){x[0], x[1], x[2], x[3]}; }
static inline Vector high_half(Shorts x) { return (Vector){x[4], x[5], x[6], x[7]}; }
#endif

/* eˣ for x ≤ 0, to about one unit in the last place: 2ⁿ · a polynomial (Moshier's Cephes). Below −87 it is that of −87:
 * nothing, beside the 1 of the largest. */
static inline Vector exponential(Vector x) {
    Vector z = larger(same(-87.0f), x), n = nearest(add_product(same(0), z, same(1.44269504f)));
    Vector r = add_product(add_product(z, n, same(-0.693359375f)), n, same(2.12194440e-4f));
    Vector p = same(1.9875691500e-4f);
    p = add_product(same(1.3981999507e-3f), p, r);
    p = add_product(same(8.3334519073e-3f), p, r);
    p = add_product(same(4.1665795894e-2f), p, r);
    p = add_product(same(1.6666665459e-1f), p, r);
    p = add_product(same(5.0000001201e-1f), p, r);
    return times_two_to(add(add_product(r, add_product(same(0), p, r), r), same(1)), n);
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
            for (int v = 0; v < WIDE; v++) sum[r][v] = bias ? load(bias + v * LANES) : same(0);
        const float *row = x + first * stride;
        for (int64_t k = 0; k < depth; k++) {
            Vector column[WIDE];
            for (int v = 0; v < WIDE; v++) column[v] = load(w + k * PANEL + v * LANES);
            for (int r = 0; r < GROUP; r++) {
                Vector factor = same(row[r * stride + k]);
                for (int v = 0; v < WIDE; v++) sum[r][v] = add_product(sum[r][v], factor, column[v]);
            }
        }
        for (int r = 0; r < GROUP; r++)
            for (int v = 0; v < WIDE; v++) store(out + (first + r) * out_stride + v * LANES, sum[r][v]);
    }
}

#endif
