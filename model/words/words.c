/* Words into rows: e(w), and W₁⁽ʲ⁾ e(w) for every position j, as they are kept in the table (model/projections.py).
 *
 * U words · E width of e(w) · W window width · H hidden units, filled up to whole panels
 */
#include <stdlib.h>

#include "simd.h"

enum { AHEAD = 6 }; /* words whose vectors are asked for before they are needed */

static float half(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, rest = bits & 1023, whole;
    float x;
    if (exponent == 0) {
        x = (float)rest * 0x1p-24f;
        memcpy(&whole, &x, 4);
        whole |= sign;
    } else {
        whole = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | rest << 13;
    }
    memcpy(&x, &whole, 4);
    return x;
}

static void vector_of(const Features *f, int64_t row, float *out) {
    int64_t width = f->width;
    if (f->storage == INT8) {
        const int8_t *code = (const int8_t *)f->codes + row * width;
        float scale = f->scale[row];
        for (int64_t i = 0; i < width; i++) out[i] = (float)code[i] * scale;
    } else if (f->storage == INT4) {
        const uint8_t *code = (const uint8_t *)f->codes + row * (width / 2);
        float scale = f->scale[row];
        for (int64_t i = 0; i < width / 2; i++) out[i] = (float)((code[i] & 15) - 8) * scale;
        for (int64_t i = 0; i < width / 2; i++) out[width / 2 + i] = (float)((code[i] >> 4) - 8) * scale;
    } else if (f->storage == FLOAT16) {
        const uint16_t *code = (const uint16_t *)f->codes + row * width;
        for (int64_t i = 0; i < width; i++) out[i] = half(code[i]);
    } else {
        memcpy(out, (const float *)f->codes + row * width, (size_t)width * sizeof *out);
    }
}

/* e(w) of some words: the vector, the row of each field, the mean of the rows of the n-grams (0 fills up and counts not). */
API void encode_words(const Features *f, const int64_t *vector_U, const int64_t *field_UF, const int64_t *gram_UG, int64_t grams,
                int64_t count, float *entry_UE) {
    for (int64_t u = 0; u < count; u++) {
        float *out = entry_UE + u * f->entry;
        vector_of(f, vector_U[u], out);
        out += f->width;
        for (int64_t i = 0; i < f->fields; i++) {
            memcpy(out, f->table[i] + field_UF[u * f->fields + i] * f->widths[i], (size_t)f->widths[i] * sizeof *out);
            out += f->widths[i];
        }
        int64_t width = f->gram_width, known = 0;
        for (int64_t i = 0; i < width; i++) out[i] = 0;
        for (int64_t g = 0; g < grams && width; g++) {
            int64_t row = gram_UG[u * grams + g];
            if (!row) continue;
            known++;
            for (int64_t i = 0; i < width; i++) out[i] += f->grams[row * width + i];
        }
        for (int64_t i = 0; i < width && known; i++) out[i] /= (float)known;
    }
}

static int all_numbers(const float *x, int64_t count) {
    int32_t bits, wrong = 0;
    for (int64_t i = 0; i < count; i++) {
        memcpy(&bits, x + i, sizeof bits);
        wrong |= (bits & 0x7f800000) == 0x7f800000;
    }
    return !wrong;
}

/* One row as the table keeps it. INT16: fractions of the largest number of the row, which unit[row] is told. INT8: the
 * nearest multiple of steps[h], of each hidden unit; what is beyond 127 of them is cut off. */
static void keep(const float *x, int64_t hidden, int64_t kind, const float *steps, void *table, float *unit, int64_t row) {
    if (kind == FLOAT32) {
        memcpy((float *)table + row * hidden, x, (size_t)hidden * sizeof *x);
    } else if (kind == INT16) {
        Vector most = splat(0);
        for (int64_t i = 0; i < hidden; i += LANES) {
            Vector here = load(x + i);
            most = maximum(most, maximum(here, fmadd(splat(0), here, splat(-1))));
        }
        float largest = reduce_max(most), per = largest > 1e-30f ? 32767 / largest : 0; /* smaller is 0 */
        unit[row] = largest / 32767;
        for (int64_t i = 0; i < hidden; i++) ((int16_t *)table)[row * hidden + i] = (int16_t)nearbyintf(x[i] * per);
    } else {
        for (int64_t i = 0; i < hidden; i++) {
            float q = steps[i] > 0 ? x[i] / steps[i] : 0;
            ((int8_t *)table)[row * hidden + i] = (int8_t)nearbyintf(q > 127 ? 127 : q > -127 ? q : -127);
        }
    }
}

/* Put W₁⁽ʲ⁾ e(w) + E⁽ʲ⁾[class] of some words into the table, for every position j.
 *
 * entry_UE   e(w); class_U  of each word, from 0 for PAD; slot_U  where it goes
 * weight     of W₁, panel by panel, each E × PANEL; summand  of the classes, (classes × W) × H, or none
 * kind       of the numbers in the table; steps  of each hidden unit, for INT8
 * Returns 0, NO_MEMORY, or NOT_FINITE if a row has one that is none.
 */
API int32_t project_words(const float *entry_UE, const int64_t *class_U, const int64_t *slot_U, int64_t count, int64_t entry,
                    int64_t width, int64_t hidden, const float *weight, const float *summand, int64_t kind,
                    const float *steps, void *table, float *unit) {
    int64_t rows = (count + ROWS - 1) / ROWS * ROWS, panels = hidden / PANEL;
    int32_t wrong = 0;
    float *x = calloc((size_t)(rows * entry + rows * hidden + 1), sizeof *x), *out = x + rows * entry;
    if (!x) return NO_MEMORY;
    memcpy(x, entry_UE, (size_t)(count * entry) * sizeof *x);
    for (int64_t j = 0; j < width; j++) {
        for (int64_t p = 0; p < panels; p++) {
            const float *w = weight + (j * panels + p) * entry * PANEL;
            for (int64_t u = 0; u < rows; u += ROWS)
                multiply_panel(x + u * entry, entry, w, entry, 0, out + u * hidden + p * PANEL, hidden);
        }
        for (int64_t u = 0; u < count; u++) {
            const float *more = summand ? summand + (class_U[u] * width + j) * hidden : 0;
            for (int64_t i = 0; more && i < hidden; i++) out[u * hidden + i] += more[i];
            if (!all_numbers(out + u * hidden, hidden)) wrong = NOT_FINITE;
            else keep(out + u * hidden, hidden, kind, steps, table, unit, slot_U[u] * width + j);
        }
    }
    free(x);
    return wrong;
}

/* Add up the vectors of the words of each document, in order; known counts those that have one. Goes on where sums are. */
API void sum_vectors(const Features *f, const int32_t *word, const int64_t *size_of, int64_t documents,
                     const int32_t *vector_of_word, float *restrict sum_PD, int64_t *known_P) {
    int64_t width = f->width, token = 0, tokens = 0;
    int64_t bytes = f->storage == INT4 ? width / 2 : width * (f->storage == INT8 ? 1 : f->storage == FLOAT16 ? 2 : 4);
    for (int64_t d = 0; d < documents; d++) tokens += size_of[d];
    for (int64_t d = 0; d < documents; d++) {
        float *restrict sum = sum_PD + d * width;
        for (int64_t stop = token + size_of[d]; token < stop; token++) {
            if (token + AHEAD < tokens) {
                const char *soon = (const char *)f->codes + vector_of_word[word[token + AHEAD]] * bytes;
                for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(soon + i);
            }
            int64_t row = vector_of_word[word[token]];
            if (!row) continue;
            known_P[d]++;
            if (f->storage == INT8) {
                const int8_t *restrict code = (const int8_t *)f->codes + row * width;
                float scale = f->scale[row];
                for (int64_t i = 0; i < width; i++) sum[i] += (float)code[i] * scale;
            } else if (f->storage == INT4) {
                const uint8_t *restrict code = (const uint8_t *)f->codes + row * (width / 2);
                float scale = f->scale[row];
                for (int64_t i = 0; i < width / 2; i++) sum[i] += (float)((code[i] & 15) - 8) * scale;
                for (int64_t i = 0; i < width / 2; i++) sum[width / 2 + i] += (float)((code[i] >> 4) - 8) * scale;
            } else if (f->storage == FLOAT16) {
                const uint16_t *restrict code = (const uint16_t *)f->codes + row * width;
                for (int64_t i = 0; i < width; i++) sum[i] += half(code[i]);
            } else {
                const float *restrict code = (const float *)f->codes + row * width;
                for (int64_t i = 0; i < width; i++) sum[i] += code[i];
            }
        }
    }
}

/* What every window of a document adds up from: b₁ + T · ((Σ v(w) / (n + few)) − mean) · spread, n words have a vector.
 */
API int32_t topic_rows(const float *sum_PD, const int64_t *known_P, int64_t documents, int64_t width, float few,
                          const float *mean, const float *spread, const float *weight, const float *bias,
                          int64_t hidden, float *row_PH) {
    float *topic = calloc((size_t)(ROWS * (width + hidden) + 1), sizeof *topic), *out = topic + ROWS * width;
    if (!topic) return NO_MEMORY;
    for (int64_t first = 0; first < documents; first += ROWS) {
        int64_t here = documents - first < ROWS ? documents - first : ROWS;
        for (int64_t d = 0; d < here; d++)
            for (int64_t i = 0; i < width; i++) {
                float sum = sum_PD[(first + d) * width + i];
                topic[d * width + i] = (sum / ((float)known_P[first + d] + few) - mean[i]) * spread[i];
            }
        for (int64_t p = 0; p < hidden / PANEL; p++)
            multiply_panel(topic, width, weight + p * width * PANEL, width, bias ? bias + p * PANEL : 0, out + p * PANEL,
                           hidden);
        memcpy(row_PH + first * hidden, out, (size_t)(here * hidden) * sizeof *out);
    }
    free(topic);
    return 0;
}

/* ── hashed n-grams: as model/words/surface.py ── */

static uint32_t crc_table[256];

/* To be called first: the table of CRC-32 as zlib has it. */
API void fill_crc_table(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
        crc_table[n] = c;
    }
}

/* Bucket of every n-gram of words in UTF-8, which lie end to end with their marks; row by row, filled up with 0. */
API void hash_ngrams(const uint8_t *bytes, const int64_t *end, int64_t words, const int64_t *sizes, int64_t kinds,
                     int64_t buckets, int64_t *gram_UG, int64_t most) {
    for (int64_t w = 0; w < words; w++) {
        int64_t begin = w ? end[w - 1] : 0, stop = end[w], count = 0;
        int64_t *out = gram_UG + w * most;
        for (int64_t kind = 0; kind < kinds; kind++) {
            int64_t ahead = begin, letters = 0; /* the end of the n-gram, and how many letters it has */
            for (int64_t at = begin; at < stop;) {
                while (letters < sizes[kind] && ahead < stop) {
                    ahead++;
                    while (ahead < stop && (bytes[ahead] & 0xc0) == 0x80) ahead++;
                    letters++;
                }
                if (letters < sizes[kind]) break;
                uint32_t c = 0xffffffffu;
                for (int64_t i = at; i < ahead; i++) c = crc_table[(c ^ bytes[i]) & 255] ^ (c >> 8);
                out[count++] = 1 + (int64_t)((c ^ 0xffffffffu) % (uint64_t)buckets);
                at++;
                while (at < stop && (bytes[at] & 0xc0) == 0x80) at++;
                letters--;
            }
        }
        for (; count < most; count++) out[count] = 0;
    }
}
