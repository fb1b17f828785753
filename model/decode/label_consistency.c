/* Label consistency: log p of a capitalised word, combined with p of its other tokens in the document.
 *
 * The windows of a word's tokens are scored one by one, but a name is mostly the same thing throughout a document.
 * Three steps: find the words that a document repeats, find the two largest p of each tag among the tokens of each, and
 * add what the largest of the others say to every token's scores. model/decode/label_consistency.py explains the formula.
 *
 * T tokens · P documents · K tags · N tokens of repeated words · Q repeated words, each of one document
 */
#include <stdlib.h>

#include "simd.h"

/* Find the words with a capital that a document has more than once, whatever the case of their other letters.
 *
 * word_T            (T) number of each token's word; size_P  (P) tokens of each document, P = documents
 * evidence_of_word  (words) above SEEN_LOWER for a word with a capital (text.c)
 * lowered_of_word   (words) a number that words share which differ in case only
 * tally_of_lowered  (words) scratch memory; zeros before and after
 * token_N, group_N  (T) receive the tokens, rising, and the group of each, from 0
 * Returns N.
 */
API int64_t find_repeats(const int32_t *word_T, const int64_t *size_P, int64_t documents,
                         const uint8_t *evidence_of_word, const int32_t *lowered_of_word, int32_t *tally_of_lowered,
                         int64_t *token_N, int64_t *group_N) {
    int64_t token = 0, found = 0, groups = 0;
    for (int64_t document = 0; document < documents; document++) {
        int64_t end = token + size_P[document], first = found, candidates = found, groups_before = groups;

        /* list the tokens with a capital as candidates, and count them by lower-cased word; without a branch */
        for (; token < end; token++) {
            token_N[candidates] = token;
            group_N[candidates] = lowered_of_word[word_T[token]];
            if (evidence_of_word[word_T[token]] > SEEN_LOWER) tally_of_lowered[group_N[candidates++]]++;
        }

        /* keep the candidates whose word was counted twice or more, and number the words as they come: the number of
         * a group takes the place of its count in the tally, as −1, −2, … */
        for (int64_t n = first; n < candidates; n++) {
            int32_t *tally = tally_of_lowered + group_N[n];
            if (*tally == 1) {
                *tally = 0;
                continue;
            }
            if (*tally > 0) *tally = (int32_t)(-++groups + groups_before);
            token_N[found] = token_N[n];
            group_N[found++] = groups_before - *tally - 1;
        }

        /* clear the tally */
        for (int64_t n = first; n < found; n++) tally_of_lowered[lowered_of_word[word_T[token_N[n]]]] = 0;
    }
    return found;
}

/* p (LANES) of count ≤ LANES neighbouring tags, padded with about 0; log_p (count). */
static inline void exp_block(const float *log_p, int64_t count, float *p) {
    for (int64_t i = 0; i < LANES; i++) p[i] = i < count ? log_p[i] : -INFINITY;
    store(p, exp_nonpositive(load(p)));
}

/* Find the two largest p of each tag among the tokens of every group; they are equal if two tokens have the same.
 *
 * log_TK               (T, K)
 * token_N, group_N     (N) from find_repeats, N = count
 * first_QK, second_QK  (Q, K) zeros; receive the largest and the second largest
 */
API void largest_probabilities(const float *log_TK, const int64_t *token_N, const int64_t *group_N, int64_t count,
                               int64_t tags, float *first_QK, float *second_QK) {
    for (int64_t n = 0; n < count; n++) {
        const float *log_K = log_TK + token_N[n] * tags;
        float *first_K = first_QK + group_N[n] * tags, *second_K = second_QK + group_N[n] * tags;
        for (int64_t k = 0; k < tags; k += LANES) {
            float p[LANES];
            int64_t block = tags - k < LANES ? tags - k : LANES;
            exp_block(log_K + k, block, p);
            for (int64_t i = 0; i < block; i++) {
                float lower = p[i] < first_K[k + i] ? p[i] : first_K[k + i];
                first_K[k + i] = p[i] > first_K[k + i] ? p[i] : first_K[k + i];
                second_K[k + i] = lower > second_K[k + i] ? lower : second_K[k + i];
            }
        }
    }
}

/* The largest p of each tag among the other tokens of a group.
 *
 * log_K              (K) of the token
 * first_K, second_K  (K) the largest of the group
 * most_K             (K) receives them
 */
static void largest_of_others(const float *log_K, const float *first_K, const float *second_K, int64_t tags,
                              float *most_K) {
    for (int64_t k = 0; k < tags; k += LANES) {
        float p[LANES];
        int64_t block = tags - k < LANES ? tags - k : LANES;
        exp_block(log_K + k, block, p);
        for (int64_t i = 0; i < block; i++) most_K[k + i] = p[i] == first_K[k + i] ? second_K[k + i] : first_K[k + i];
    }
}

/* log Σ exp(x) of x (tags), whose maximum is `largest`; x is padded to `padded` numbers, a multiple of LANES. */
static float log_sum_exp(float *x, int64_t tags, int64_t padded, float largest) {
    for (int64_t k = tags; k < padded; k++) x[k] = -INFINITY;
    Vector total = splat(0);
    for (int64_t k = 0; k < padded; k += LANES) total = add(total, exp_nonpositive(add(load(x + k), splat(-largest))));
    return largest + logf(reduce_add(total));
}

/* Combine log p of the tokens with what the other tokens of their words look like, in place.
 *
 * log_TK               (T, K)
 * token_N, group_N     (N) from find_repeats, N = count
 * first_QK, second_QK  (Q, K) from largest_probabilities
 * weight_KK            (K, K) row: the tag elsewhere
 * Returns OK or NO_MEMORY.
 */
API int32_t apply_label_consistency(float *log_TK, const int64_t *token_N, const int64_t *group_N, int64_t count,
                                    int64_t tags, const float *first_QK, const float *second_QK,
                                    const float *weight_KK) {
    int64_t padded = (tags + LANES - 1) / LANES * LANES;
    float *most_K = malloc((size_t)(2 * padded) * sizeof(float));
    if (!most_K) return NO_MEMORY;
    float *x_K = most_K + padded; /* (K), padded */

    for (int64_t n = 0; n < count; n++) {
        float *log_K = log_TK + token_N[n] * tags;
        int64_t group = group_N[n];
        largest_of_others(log_K, first_QK + group * tags, second_QK + group * tags, tags, most_K);

        /* x = log p + m V */
        for (int64_t k = 0; k < tags; k++) x_K[k] = log_K[k];
        for (int64_t j = 0; j < tags; j++) {
            const float *weight_K = weight_KK + j * tags;
            for (int64_t k = 0; k < tags; k++) x_K[k] += most_K[j] * weight_K[k];
        }
        float largest = -INFINITY;
        for (int64_t k = 0; k < tags; k++) largest = x_K[k] > largest ? x_K[k] : largest;

        /* normalise */
        float log_total = log_sum_exp(x_K, tags, padded, largest);
        for (int64_t k = 0; k < tags; k++) log_K[k] = x_K[k] - log_total;
    }
    free(most_K);
    return OK;
}
