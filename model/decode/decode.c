/* log p into tags and entities: the best path that the scheme allows, and what it says. As model/decode/decoding.py and, for
 * the search and the sums over all paths, model/decode/viterbi.py.
 *
 * T tokens · S sentences · K tags · M entities
 */
#include <stdlib.h>

#include "simd.h"

#define NOTHING 50 /* eˣ for x below −50 is less than the last bit of 1 */
#define LIKELY (-0.69f) /* more than half of all: nothing can be likelier */

static int64_t likeliest(const double *x, int64_t count) {
    int64_t best = 0;
    for (int64_t k = 1; k < count; k++)
        if (x[k] > x[best]) best = k;
    return best;
}

/* The best tag of each token alone; whether they are a legal path. */
static int each_alone(const float *log_TK, int64_t length, const TagTables *c, int64_t *column_T) {
    int64_t tags = c->tags;
    for (int64_t t = 0; t < length; t++) {
        const float *row = log_TK + t * tags;
        int64_t best = 0;
        for (int64_t k = 1; k < tags && row[0] < LIKELY; k++) best = row[k] > row[best] ? k : best;
        column_T[t] = best;
    }
    int legal = c->starts_K[column_T[0]] && c->ends_K[column_T[length - 1]];
    for (int64_t t = 1; t < length && legal; t++) legal = c->follows_KK[column_T[t - 1] * tags + column_T[t]];
    return legal;
}

/* Viterbi over one sentence; score holds length × K numbers. */
static void search(const float *log_TK, int64_t length, const TagTables *c, double *score, int64_t *column_T) {
    int64_t tags = c->tags;
    for (int64_t k = 0; k < tags; k++) score[k] = (double)log_TK[k] + c->start_K[k];
    for (int64_t t = 1; t < length; t++)
        for (int64_t k = 0; k < tags; k++) {
            const double *before = score + (t - 1) * tags;
            double best = -INFINITY;
            for (int64_t j = 0; j < tags; j++) {
                double through = before[j] + c->transition_KK[j * tags + k];
                best = through > best ? through : best;
            }
            score[t * tags + k] = best + (double)log_TK[t * tags + k];
        }
    double *last = score + (length - 1) * tags;
    for (int64_t k = 0; k < tags; k++) last[k] += c->end_K[k];
    column_T[length - 1] = likeliest(last, tags);
    for (int64_t t = length - 2; t >= 0; t--) {
        double *here = score + t * tags;
        for (int64_t k = 0; k < tags; k++) here[k] += c->transition_KK[k * tags + column_T[t + 1]];
        column_T[t] = likeliest(here, tags);
    }
}

/* log Σ exp(value + step) over the tags; their steps lie stride apart. */
static double log_sum(const double *value, const double *step, int64_t stride, int64_t tags) {
    double most = -INFINITY, total = 0;
    for (int64_t j = 0; j < tags; j++) {
        double x = value[j] + step[j * stride];
        most = x > most ? x : most;
    }
    for (int64_t j = 0; j < tags; j++) {
        double x = value[j] + step[j * stride] - most;
        if (x > -NOTHING) total += exp(x);
    }
    return most + log(total);
}

/* A log P; rounding may leave a little more than 0. */
static float log_share(double x) { return x > 0 ? 0 : (float)x; }

/* Forward and backward over one sentence.
 *
 * alpha     memory for (length + 2) × K numbers
 * column_T  the path that given_T goes along
 * Writes log P(tag) of every token, and log P(tag | the one before) along the path; 0 for the first.
 */
static void add_up_paths(const float *log_TK, int64_t length, const TagTables *c, const int64_t *column_T, double *alpha,
                         float *marginal_TK, float *given_T) {
    int64_t tags = c->tags;
    double *beta = alpha + length * tags, *ahead = beta + tags;
    for (int64_t k = 0; k < tags; k++) alpha[k] = c->start_K[k] + (double)log_TK[k];
    for (int64_t t = 1; t < length; t++)
        for (int64_t k = 0; k < tags; k++) {
            double before = log_sum(alpha + (t - 1) * tags, c->transition_KK + k, tags, tags);
            alpha[t * tags + k] = before + (double)log_TK[t * tags + k];
        }
    double total = log_sum(alpha + (length - 1) * tags, c->end_K, 1, tags);
    for (int64_t k = 0; k < tags; k++) beta[k] = c->end_K[k];
    for (int64_t t = length - 1;; t--) {
        for (int64_t k = 0; k < tags; k++) marginal_TK[t * tags + k] = log_share(alpha[t * tags + k] + beta[k] - total);
        if (!t) break;
        const double *step = c->transition_KK + column_T[t - 1] * tags;
        for (int64_t k = 0; k < tags; k++) ahead[k] = (double)log_TK[t * tags + k] + beta[k];
        for (int64_t k = 0; k < tags; k++) beta[k] = log_sum(ahead, c->transition_KK + k * tags, 1, tags);
        given_T[t] = log_share(step[column_T[t]] + ahead[column_T[t]] - beta[column_T[t - 1]]);
    }
    given_T[0] = 0;
}

/* Read sentences off their best paths.
 *
 * column_T, tag_T, probability_T, begin_M, end_M, label_M, log_product_M: as of model.decoding.Paths
 * Returns how many entities there are, or −1 where there was no memory.
 */
API int64_t decode_paths(const float *log_TK, const int64_t *length_S, int64_t sentences, const TagTables *c, int64_t *column_T,
                       int64_t *tag_T, float *probability_T, int64_t *begin_M, int64_t *end_M, int64_t *label_M,
                       float *log_product_M) {
    int64_t tags = c->tags, base = 0, found = 0, room = 0;
    double *memory = 0; /* (length + 2) × K numbers; behind them log P, length × K, and log P given the tag before */
    for (int64_t s = 0; s < sentences; base += length_S[s++]) {
        int64_t length = length_S[s], open = 0;
        const float *log_LK = log_TK + base * tags, *given_L = 0;
        int64_t *column = column_T + base;
        if (!length) continue;
        if (c->crf || !each_alone(log_LK, length, c, column)) {
            if (length > room) {
                free(memory);
                room = length;
                size_t numbers = (size_t)(room + 2) * tags, results = c->crf ? (size_t)room * (tags + 1) : 0;
                if (!(memory = malloc(numbers * sizeof(double) + results * sizeof(float)))) return -1;
            }
            search(log_LK, length, c, memory, column);
        }
        if (c->crf) {
            float *marginal = (float *)(memory + (room + 2) * tags), *given = marginal + room * tags;
            add_up_paths(log_LK, length, c, column, memory, marginal, given);
            log_LK = marginal;
            given_L = given;
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
            if (open) log_product_M[found] += given_L && !begins ? given_L[t] : row[here];
            tag_T[base + t] = label < 0 ? 0 : 2 * label + (begins ? 1 : 2);
            float probability = 0;
            for (int64_t a = 0; a < c->most_same; a++) {
                int64_t k = c->same_iob2_KA[here * c->most_same + a];
                if (k < tags) probability += expf(row[k]);
            }
            probability_T[base + t] = probability > 1 ? 1 : probability;
        }
        if (open) end_M[found++] = base + length;
    }
    free(memory);
    return found;
}
