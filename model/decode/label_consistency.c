/* log p of a word with a capital beside what is said of its other tokens in the document. As model/decode/label_consistency.py.
 *
 * T tokens · P documents · K tags · N tokens of words that their document has more than once · G such words, by document
 */
#include <stdlib.h>

#include "simd.h"

#define SMALL 1 /* what is more has a capital first, as of model.document.case_evidence */

/* Find the words with a capital that a document has more than once.
 *
 * tally                      zeros for every lowered number, and zeros again afterwards
 * token_N, group_N, count_G  as of model.agreement.Repeats; groups are numbered as they come
 * Returns N.
 */
API int64_t find_repeats(const int32_t *word, const int64_t *size_P, int64_t documents, const uint8_t *evidence_of_word,
                         const int32_t *lowered_of_word, int32_t *tally, int64_t *token_N, int64_t *group_N,
                         int64_t *count_G) {
    int64_t token = 0, found = 0, groups = 0;
    for (int64_t document = 0; document < documents; document++) {
        int64_t until = token + size_P[document], first = found, stop = found, before = groups;
        for (; token < until; token++) {
            token_N[stop] = token;
            group_N[stop] = lowered_of_word[word[token]];
            if (evidence_of_word[word[token]] > SMALL) tally[group_N[stop++]]++;
        }
        int64_t candidates = stop;
        for (int64_t n = first; n < candidates; n++) {
            int32_t *here = tally + group_N[n];
            if (*here == 1) {
                *here = 0;
                continue;
            }
            if (*here > 0) { /* the number of a group takes the place of its count, as −1, −2, … */
                count_G[groups] = *here;
                *here = (int32_t)(-++groups + before);
            }
            token_N[found] = token_N[n];
            group_N[found++] = before - *here - 1;
        }
        for (int64_t n = first; n < found; n++) tally[lowered_of_word[word[token_N[n]]]] = 0;
    }
    return found;
}

/* p of some neighbouring tags, no more than there are LANES. */
static inline void probabilities(const float *log_p, int64_t count, float *p) {
    for (int64_t i = 0; i < LANES; i++) p[i] = i < count ? log_p[i] : -INFINITY;
    store(p, exponential(load(p)));
}

/* Add p up over the tokens of every word, in float64 and in the order of the tokens. */
API void sum_probabilities(const float *log_TK, const int64_t *token_N, const int64_t *group_N, int64_t count, int64_t tags,
                double *sum_GK) {
    for (int64_t n = 0; n < count; n++) {
        const float *log_K = log_TK + token_N[n] * tags;
        double *sum_K = sum_GK + group_N[n] * tags;
        for (int64_t k = 0; k < tags; k += LANES) {
            float p[LANES];
            int64_t here = tags - k < LANES ? tags - k : LANES;
            probabilities(log_K + k, here, p);
            for (int64_t i = 0; i < here; i++) sum_K[k + i] += (double)p[i];
        }
    }
}

/* Write log p of tokens as it is beside what the others of their words say.
 *
 * count_G  tokens of each word
 * sum_GK   their p added up, of all of them
 * Returns whether there was memory.
 */
API int32_t apply_label_consistency(float *log_TK, const int64_t *token_N, const int64_t *group_N, int64_t count, const int64_t *count_G,
                  const double *sum_GK, const LabelConsistency *a) {
    int64_t tags = a->tags, whole = (tags + LANES - 1) / LANES * LANES;
    double *mean_K = malloc((size_t)(2 * tags + 1) * sizeof(double) + (size_t)whole * sizeof(float));
    if (!mean_K) return 0;
    double *label_L = mean_K + tags; /* O is the first */
    float *x_K = (float *)(label_L + tags + 1);
    for (int64_t n = 0; n < count; n++) {
        float *log_K = log_TK + token_N[n] * tags, largest = -INFINITY;
        const double *sum_K = sum_GK + group_N[n] * tags;
        double others = (double)(count_G[group_N[n]] - 1);
        for (int64_t k = 0; k <= tags; k++) label_L[k] = 0;
        for (int64_t k = 0; k < tags; k += LANES) {
            float p[LANES];
            int64_t here = tags - k < LANES ? tags - k : LANES;
            probabilities(log_K + k, here, p);
            for (int64_t i = 0; i < here; i++) {
                mean_K[k + i] = (sum_K[k + i] - (double)p[i]) / others;
                label_L[a->label_K[k + i] + 1] += mean_K[k + i];
            }
        }
        for (int64_t k = 0; k < tags; k++) {
            x_K[k] = log_K[k] + a->same_tag * (float)mean_K[k] + a->same_label * (float)label_L[a->label_K[k] + 1];
            largest = x_K[k] > largest ? x_K[k] : largest;
        }
        for (int64_t k = tags; k < whole; k++) x_K[k] = -INFINITY;
        Vector total = splat(0);
        for (int64_t k = 0; k < whole; k += LANES) total = add(total, exponential(add(load(x_K + k), splat(-largest))));
        float shift = largest + logf(reduce_add(total));
        for (int64_t k = 0; k < tags; k++) log_K[k] = x_K[k] - shift;
    }
    free(mean_K);
    return 1;
}
