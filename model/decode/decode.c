/* log p to tags and entities: the best path that the scheme allows, and what it says.
 *
 * The best tag of every token is the answer wherever those tags are legal, which is nearly everywhere; else Viterbi
 * finds the best legal path. With a learned CRF, Viterbi finds all paths, and probabilities are marginals of
 * forward-backward. The same as model/decode/decoding.py and model/decode/viterbi.py, where the formulas are explained.
 *
 * T tokens · S sentences · L tokens of one sentence · K tags · M entities
 */
#include <stdlib.h>

#include "simd.h"

#define LOG_MAJORITY (-0.69f) /* a tag with log p from here on has more than half of p: no other can have more */
#define NEGLIGIBLE (-50)      /* eˣ for x below it is less than the last bit of 1, in float64 */

/* ── The best path ── */

/* The first index of the maximum of x (count). */
static int64_t argmax(const double *x, int64_t count) {
    int64_t best = 0;
    for (int64_t k = 1; k < count; k++)
        if (x[k] > x[best]) best = k;
    return best;
}

/* Take the best tag of each token alone; returns whether they are a legal path. log_LK (L, K) · column_L (L). */
static int greedy_is_legal(const float *log_LK, int64_t length, const TagTables *tables, int64_t *column_L) {
    /* argmax of each row; most tokens are O, the first tag, with a majority */
    int64_t tags = tables->tags;
    for (int64_t t = 0; t < length; t++) {
        const float *log_K = log_LK + t * tags;
        int64_t best = 0;
        for (int64_t k = 1; k < tags && log_K[0] < LOG_MAJORITY; k++) best = log_K[k] > log_K[best] ? k : best;
        column_L[t] = best;
    }
    /* legal at both ends of the sentence, and from each tag to the next */
    int legal = tables->starts_K[column_L[0]] && tables->ends_K[column_L[length - 1]];
    for (int64_t t = 1; t < length && legal; t++) legal = tables->follows_KK[column_L[t - 1] * tags + column_L[t]];
    return legal;
}

/* Find the path with the highest sum of log p and transition scores, by the algorithm of Viterbi.
 *
 * log_LK    (L, K)
 * score_LK  (L, K) scratch memory: the score of the best path that ends at each token and tag
 * column_L  (L) receives the path
 */
static void viterbi(const float *log_LK, int64_t length, const TagTables *tables, double *score_LK, int64_t *column_L) {
    int64_t tags = tables->tags;
    /* forward: score[t][k] = log p[t][k] + max_j (score[t − 1][j] + transition[j][k]) */
    for (int64_t k = 0; k < tags; k++) score_LK[k] = (double)log_LK[k] + tables->start_K[k];
    for (int64_t t = 1; t < length; t++)
        for (int64_t k = 0; k < tags; k++) {
            const double *before_K = score_LK + (t - 1) * tags;
            double best = -INFINITY;
            for (int64_t j = 0; j < tags; j++) {
                double score = before_K[j] + tables->transition_KK[j * tags + k];
                best = score > best ? score : best;
            }
            score_LK[t * tags + k] = best + (double)log_LK[t * tags + k];
        }

    /* backward: the best last tag, then at each token the best tag before the one that was taken */
    double *last_K = score_LK + (length - 1) * tags;
    for (int64_t k = 0; k < tags; k++) last_K[k] += tables->end_K[k];
    column_L[length - 1] = argmax(last_K, tags);
    for (int64_t t = length - 2; t >= 0; t--) {
        double *score_K = score_LK + t * tags;
        for (int64_t k = 0; k < tags; k++) score_K[k] += tables->transition_KK[k * tags + column_L[t + 1]];
        column_L[t] = argmax(score_K, tags);
    }
}

/* ── Marginals of a CRF ── */

/* log Σ_j exp(score[j] + transition[j]) over the tags. score (K) · transition (K), one every `stride` numbers. */
static double log_sum_exp(const double *score, const double *transition, int64_t stride, int64_t tags) {
    double largest = -INFINITY, total = 0;
    for (int64_t j = 0; j < tags; j++) {
        double x = score[j] + transition[j * stride];
        largest = x > largest ? x : largest;
    }
    for (int64_t j = 0; j < tags; j++) {
        double x = score[j] + transition[j * stride] - largest;
        if (x > NEGLIGIBLE) total += exp(x);
    }
    return largest + log(total);
}

/* A log probability as float32; rounding may have left a little more than 0. */
static float clip_log_p(double x) { return x > 0 ? 0 : (float)x; }

/* Compute the marginals of one sentence by the forward-backward algorithm, in logarithms.
 *
 * log_LK       (L, K)
 * column_L     (L) the best path
 * memory       (L + 2, K) scratch memory
 * marginal_LK  (L, K) receives log P(tag) of every token
 * given_L      (L) receives log P(tag | the tag before) along the path; 0 for the first
 */
static void forward_backward(const float *log_LK, int64_t length, const TagTables *tables, const int64_t *column_L,
                             double *memory, float *marginal_LK, float *given_L) {
    int64_t tags = tables->tags;
    double *alpha_LK = memory;                 /* (L, K) all paths up to and with each token and tag */
    double *beta_K = alpha_LK + length * tags; /* (K) all paths after token t, by its tag */
    double *next_K = beta_K + tags;            /* (K) all paths from token t on, by its tag */

    /* forward: alpha[t][k] = log p[t][k] + log Σ_j exp(alpha[t − 1][j] + transition[j][k]) */
    for (int64_t k = 0; k < tags; k++) alpha_LK[k] = tables->start_K[k] + (double)log_LK[k];
    for (int64_t t = 1; t < length; t++)
        for (int64_t k = 0; k < tags; k++) {
            double before = log_sum_exp(alpha_LK + (t - 1) * tags, tables->transition_KK + k, tags, tags);
            alpha_LK[t * tags + k] = before + (double)log_LK[t * tags + k];
        }
    double log_total = log_sum_exp(alpha_LK + (length - 1) * tags, tables->end_K, 1, tags);

    /* backward: the marginals of token t, then beta of the token before it */
    for (int64_t k = 0; k < tags; k++) beta_K[k] = tables->end_K[k];
    for (int64_t t = length - 1;; t--) {
        for (int64_t k = 0; k < tags; k++)
            marginal_LK[t * tags + k] = clip_log_p(alpha_LK[t * tags + k] + beta_K[k] - log_total);
        if (!t) break;
        for (int64_t k = 0; k < tags; k++) next_K[k] = (double)log_LK[t * tags + k] + beta_K[k];
        for (int64_t k = 0; k < tags; k++)
            beta_K[k] = log_sum_exp(next_K, tables->transition_KK + k * tags, 1, tags);

        /* P(tag | the tag before) = its share of all paths that go on from the tag before */
        int64_t tag = column_L[t], tag_before = column_L[t - 1];
        given_L[t] = clip_log_p(tables->transition_KK[tag_before * tags + tag] + next_K[tag] - beta_K[tag_before]);
    }
    given_L[0] = 0;
}

/* ── Entities ── */

/* Where the results of all sentences go; see decode_paths. */
typedef struct {
    int64_t *tag_T;
    float *probability_T;
    int64_t *begin_M, *end_M, *label_M;
    float *log_product_M;
    int64_t entities; /* found so far */
} Results;

/* Read tags and entities off the path of one sentence.
 *
 * column_L  (L) the path
 * log_LK    (L, K) log p, or the marginals of a CRF
 * given_L   (L) log P(tag | the tag before) of a CRF, or NULL
 * first     the token of T that the sentence starts with
 */
static void read_path(const int64_t *column_L, const float *log_LK, const float *given_L, int64_t length, int64_t first,
                      const TagTables *tables, Results *out) {
    int64_t tags = tables->tags, m = out->entities;
    int open = 0;
    for (int64_t t = 0; t < length; t++) {
        /* an entity begins at a tag that always opens one, at a change of label, and after a tag that closes one */
        const float *log_K = log_LK + t * tags;
        int64_t column = column_L[t], label = tables->label_K[column], before = t ? column_L[t - 1] : -1;
        int begins = label >= 0 && (!t || tables->opens_K[column] || tables->label_K[before] != label ||
                                    tables->closes_K[before]);

        /* end the entity before it, begin one, and multiply the probabilities of its tags */
        if (open && (begins || label < 0)) {
            out->end_M[m++] = first + t;
            open = 0;
        }
        if (begins) {
            out->begin_M[m] = first + t;
            out->label_M[m] = label;
            out->log_product_M[m] = 0;
            open = 1;
        }
        if (open) out->log_product_M[m] += given_L && !begins ? given_L[t] : log_K[column];

        /* the tag in IOB2, and its probability: that of all tags that IOB2 writes the same way */
        out->tag_T[first + t] = label < 0 ? 0 : 2 * label + (begins ? 1 : 2);
        float probability = 0;
        for (int64_t a = 0; a < tables->most_same; a++) {
            int64_t k = tables->same_iob2_KA[column * tables->most_same + a];
            if (k < tags) probability += expf(log_K[k]);
        }
        out->probability_T[first + t] = probability > 1 ? 1 : probability;
    }
    if (open) out->end_M[m++] = first + length;
    out->entities = m;
}

/* Find the best path of every sentence and read it.
 *
 * log_TK         (T, K)
 * length_S       (S) tokens of each sentence, S = sentences; they add up to T
 * column_T       (T) receives the tag of each token, as its column
 * tag_T          (T) receives the tag in IOB2: 0 for O, 1 + 2 · label for B, 2 + 2 · label for I
 * probability_T  (T) receives the probability of that tag
 * begin_M, end_M, label_M, log_product_M  (T) receive of each entity: its first token, one past its last, its label,
 *                and the log of the probability of its tags
 * Returns M, or −1 if there was no memory.
 */
API int64_t decode_paths(const float *log_TK, const int64_t *length_S, int64_t sentences, const TagTables *tables,
                         int64_t *column_T, int64_t *tag_T, float *probability_T, int64_t *begin_M, int64_t *end_M,
                         int64_t *label_M, float *log_product_M) {
    Results out = {tag_T, probability_T, begin_M, end_M, label_M, log_product_M, 0};
    int64_t tags = tables->tags, first = 0, room = 0;
    double *memory = NULL; /* (room + 2, K); behind it, for a CRF, floats: marginals (room, K) and given (room) */
    for (int64_t s = 0; s < sentences; first += length_S[s++]) {
        int64_t length = length_S[s], *column_L = column_T + first;
        const float *log_LK = log_TK + first * tags, *given_L = NULL;
        if (!length) continue;

        /* the path: greedy where that is legal, else by Viterbi, whose memory grows with the longest sentence */
        if (tables->crf || !greedy_is_legal(log_LK, length, tables, column_L)) {
            if (length > room) {
                free(memory);
                room = length;
                size_t doubles = (size_t)((room + 2) * tags), floats = tables->crf ? (size_t)(room * (tags + 1)) : 0;
                if (!(memory = malloc(doubles * sizeof(double) + floats * sizeof(float)))) return -1;
            }
            viterbi(log_LK, length, tables, memory, column_L);
        }

        /* with a CRF, marginals take the place of log p */
        if (tables->crf) {
            float *marginal_LK = (float *)(memory + (room + 2) * tags);
            float *given = marginal_LK + room * tags;
            forward_backward(log_LK, length, tables, column_L, memory, marginal_LK, given);
            log_LK = marginal_LK;
            given_L = given;
        }
        read_path(column_L, log_LK, given_L, length, first, tables, &out);
    }
    free(memory);
    return out.entities;
}
