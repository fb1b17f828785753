/* log p into tags and entities: the best path that the scheme allows, and what it says. As model/decoding.py.
 *
 * T tokens · S sentences · K tags · M entities
 */
#include <stdlib.h>

#include "simd.h"

#define NEVER (-1e30)
#define LIKELY (-0.69f) /* more than half of all: nothing can be likelier */

typedef struct {
    int64_t tags;            /* K */
    const uint8_t *starts_K;
    const uint8_t *steps_KK; /* row: the tag before */
    const uint8_t *ends_K;
    const int64_t *label_K;  /* −1 for O */
    const uint8_t *opens_K;
    const uint8_t *closes_K;
    const int64_t *alike_KA; /* columns that are written the same way outside; K where there are no more */
    int64_t most_alike;      /* A */
} Columns;

static int64_t likeliest(const double *x, int64_t count) {
    int64_t best = 0;
    for (int64_t k = 1; k < count; k++)
        if (x[k] > x[best]) best = k;
    return best;
}

/* Viterbi over one sentence; memory holds length × K numbers. */
static void search(const float *log_TK, int64_t length, const Columns *c, double *score, int64_t *column_T) {
    int64_t tags = c->tags;
    for (int64_t k = 0; k < tags; k++) score[k] = (double)log_TK[k] + (c->starts_K[k] ? 0 : NEVER);
    for (int64_t t = 1; t < length; t++)
        for (int64_t k = 0; k < tags; k++) {
            const double *before = score + (t - 1) * tags;
            double best = -INFINITY;
            for (int64_t j = 0; j < tags; j++) {
                double through = before[j] + (c->steps_KK[j * tags + k] ? 0 : NEVER);
                best = through > best ? through : best;
            }
            score[t * tags + k] = best + (double)log_TK[t * tags + k];
        }
    double *last = score + (length - 1) * tags;
    for (int64_t k = 0; k < tags; k++) last[k] += c->ends_K[k] ? 0 : NEVER;
    column_T[length - 1] = likeliest(last, tags);
    for (int64_t t = length - 2; t >= 0; t--) {
        double *here = score + t * tags;
        for (int64_t k = 0; k < tags; k++) here[k] += c->steps_KK[k * tags + column_T[t + 1]] ? 0 : NEVER;
        column_T[t] = likeliest(here, tags);
    }
}

/* Read sentences off their best paths.
 *
 * column_T, tag_T, probability_T, begin_M, end_M, label_M, log_product_M: as of model.decoding.Paths
 * Returns how many entities there are, or −1 where there was no memory.
 */
API int64_t read_paths(const float *log_TK, const int64_t *length_S, int64_t sentences, const Columns *c, int64_t *column_T,
                       int64_t *tag_T, float *probability_T, int64_t *begin_M, int64_t *end_M, int64_t *label_M,
                       float *log_product_M) {
    int64_t tags = c->tags, base = 0, found = 0, room = 0;
    double *memory = 0;
    for (int64_t s = 0; s < sentences; base += length_S[s++]) {
        int64_t length = length_S[s], open = 0;
        const float *log_LK = log_TK + base * tags;
        int64_t *column = column_T + base;
        if (!length) continue;
        for (int64_t t = 0; t < length; t++) {
            const float *row = log_LK + t * tags;
            int64_t best = 0;
            for (int64_t k = 1; k < tags && row[0] < LIKELY; k++) best = row[k] > row[best] ? k : best;
            column[t] = best;
        }
        int legal = c->starts_K[column[0]] && c->ends_K[column[length - 1]];
        for (int64_t t = 1; t < length && legal; t++) legal = c->steps_KK[column[t - 1] * tags + column[t]];
        if (!legal) {
            if (length * tags > room) {
                free(memory);
                room = length * tags;
                if (!(memory = malloc((size_t)room * sizeof *memory))) return -1;
            }
            search(log_LK, length, c, memory, column);
        }
        for (int64_t t = 0; t < length; t++) {
            const float *row = log_LK + t * tags;
            int64_t here = column[t], label = c->label_K[here], before = t ? column[t - 1] : -1;
            int begins = label >= 0 && (!t || c->opens_K[here] || c->label_K[before] != label || c->closes_K[before]);
            if (open && (begins || label < 0)) {
                end_M[found++] = base + t;
                open = 0;
            }
            if (begins) {
                begin_M[found] = base + t;
                label_M[found] = label;
                log_product_M[found] = 0;
                open = 1;
            }
            if (open) log_product_M[found] += row[here];
            tag_T[base + t] = label < 0 ? 0 : 2 * label + (begins ? 1 : 2);
            float probability = 0;
            for (int64_t a = 0; a < c->most_alike; a++) {
                int64_t k = c->alike_KA[here * c->most_alike + a];
                if (k < tags) probability += expf(row[k]);
            }
            probability_T[base + t] = probability > 1 ? 1 : probability;
        }
        if (open) end_M[found++] = base + length;
    }
    free(memory);
    return found;
}
