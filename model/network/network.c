/* Windows to log p of the tags: the sum of 2C+1 cached rows, the layers after it, the softmax.
 *
 * The definition is model/network/network.py. Here the first layer is regrouped, W₁ x_t = Σ_j W₁⁽ʲ⁾ e(w_{t+j}): its
 * summands lie in the row cache (words.c), so a window costs 2C+1 row additions whatever the width of e(w).
 *
 * Results are batch-invariant: every window goes through the same instructions in the same order, so its bits do not
 * depend on the windows that are computed with it.
 *
 * T tokens · S sentences · N windows of a bag, one for each of some tokens · P documents · W window width · K tags
 * H hidden units of the first layer, padded to whole panels
 */
#include <stdlib.h>

#include "simd.h"

enum { BLOCK = 8 };             /* vectors of a row that are summed together, in registers */
enum { PREFETCH_DISTANCE = 4 }; /* windows */
enum { CACHE_LINE = 64 };       /* bytes */

/* ── Windows ── */

/* Lay the words of a bag out as one line of cache slots, with PAD around sentences, so that every window is a slice.
 * Words before and after the bag are laid out as far as its windows reach.
 *
 * pair_T         (T) which pair of word and case class each token is
 * length_S       (S) tokens of each sentence
 * sentence       the sentence of token `begin`; offset  how many tokens of it stand before that
 * begin, end     the tokens of the bag, N = end − begin; context  C
 * slot_of_pair   (pairs) slot of each; NO_SLOT or HAD_SLOT if it is not cached
 * uses_of_slot   (slots) is raised by 1 for each use, if none is missing
 * slots          receives the line: at most N + C · (3 + sentences that the bag touches)
 * place_N        (N) receives where in the line each window begins
 * missing_pairs  (N + 2C) receives the pairs that have no slot, each once
 * Returns how many are missing; unless it is 0, the line is not valid.
 */
API int64_t lay_out_windows(const int32_t *pair_T, const int64_t *length_S, int64_t sentence, int64_t offset,
                            int64_t begin, int64_t end, int64_t context, int32_t *slot_of_pair, int64_t *uses_of_slot,
                            int32_t *slots, int32_t *place_N, int64_t *missing_pairs) {
    enum { PAD = 0 };
    int64_t used = 0, missing = 0, sentence_begin = begin - offset;
    for (; sentence_begin < end; sentence++) {
        /* the part [from, to) of the sentence that windows of the bag see */
        int64_t sentence_end = sentence_begin + length_S[sentence];
        int64_t from = sentence_begin > begin - context ? sentence_begin : begin - context;
        int64_t to = sentence_end < end + context ? sentence_end : end + context;

        /* pad its head */
        if (from == sentence_begin)
            for (int64_t c = 0; c < context; c++) slots[used++] = PAD;

        /* look up the slot of each token; list each missing pair once */
        for (int64_t t = from; t < to; t++) {
            int32_t pair = pair_T[t];
            int32_t slot = slot_of_pair[pair];
            if (slot <= NO_SLOT) {
                if (slot == NO_SLOT || slot == HAD_SLOT) {
                    missing_pairs[missing++] = pair;
                    slot_of_pair[pair]--; /* which says that it is listed */
                }
                slot = PAD;
            }
            if (t >= begin && t < end) place_N[t - begin] = (int32_t)(used - context);
            slots[used++] = slot;
        }

        /* pad the end of the last sentence; the end of any other is padded by the head of the next */
        if (to == sentence_end && sentence_end >= end)
            for (int64_t c = 0; c < context; c++) slots[used++] = PAD;
        sentence_begin = sentence_end;
    }
    for (int64_t i = 0; i < missing; i++) slot_of_pair[missing_pairs[i]]++;
    for (int64_t i = 0; i < used && !missing; i++) uses_of_slot[slots[i]]++;
    return missing;
}

/* ── First layer: the sum of a window's rows ──
 *
 * out (H) = base (H) + Σ_j table[slots[j]][j] (H), for each of the three number types of the table (slots, W, H). BLOCK
 * vectors of the sum stay in registers while all W rows are added. The table is larger than the caches, so meanwhile
 * the rows of a later window are prefetched, a share for each block.
 */

/* Memory that is still to be prefetched. */
typedef struct {
    const char *at, *end;
} Prefetch;

/* Prefetch some more bytes of it. */
static inline void prefetch(Prefetch *later, int64_t bytes) {
    const char *until = later->at + bytes < later->end ? later->at + bytes : later->end;
    for (; later->at < until; later->at += CACHE_LINE) __builtin_prefetch(later->at, 0, 2);
}

/* The sum of rows of float32. table (slots, W, H) · slots (W) · base, out (H). */
static void sum_rows_float32(const Network *net, const float *table, const int32_t *slots, Prefetch later,
                             const float *base, float *out) {
    int64_t hidden = net->hidden, width = net->width, h = 0;
    int64_t share = (later.end - later.at) / (hidden / (BLOCK * LANES) + 1);
    /* whole blocks of the row */
    for (; h + BLOCK * LANES <= hidden; h += BLOCK * LANES, prefetch(&later, share)) {
        Vector sum[BLOCK];
        for (int v = 0; v < BLOCK; v++) sum[v] = load(base + h + v * LANES);
        for (int64_t j = 0; j < width; j++) {
            const float *row = table + ((int64_t)slots[j] * width + j) * hidden + h; /* (BLOCK · LANES) */
            for (int v = 0; v < BLOCK; v++) sum[v] = add(sum[v], load(row + v * LANES));
        }
        for (int v = 0; v < BLOCK; v++) store(out + h + v * LANES, sum[v]);
    }
    /* the rest, a vector at a time */
    for (; h < hidden; h += LANES) {
        Vector sum = load(base + h);
        for (int64_t j = 0; j < width; j++) sum = add(sum, load(table + ((int64_t)slots[j] * width + j) * hidden + h));
        store(out + h, sum);
    }
    prefetch(&later, later.end - later.at);
}

/* The sum of rows of int16, each times its scale.
 * table (slots, W, H) · scale (slots, W) · slots (W) · base, out (H). */
static void sum_rows_int16(const Network *net, const int16_t *table, const float *scale, const int32_t *slots,
                           Prefetch later, const float *base, float *out) {
    int64_t hidden = net->hidden, width = net->width, h = 0;
    int64_t share = (later.end - later.at) / (hidden / (BLOCK * LANES) + 1);
    /* whole blocks of the row */
    for (; h + BLOCK * LANES <= hidden; h += BLOCK * LANES, prefetch(&later, share)) {
        Vector sum[BLOCK];
        for (int v = 0; v < BLOCK; v++) sum[v] = load(base + h + v * LANES);
        for (int64_t j = 0; j < width; j++) {
            int64_t row = (int64_t)slots[j] * width + j;
            Vector row_scale = splat(scale[row]);
            for (int v = 0; v < BLOCK; v++)
                sum[v] = fmadd(sum[v], load_int16(table + row * hidden + h + v * LANES), row_scale);
        }
        for (int v = 0; v < BLOCK; v++) store(out + h + v * LANES, sum[v]);
    }
    /* the rest, a vector at a time */
    for (; h < hidden; h += LANES) {
        Vector sum = load(base + h);
        for (int64_t j = 0; j < width; j++) {
            int64_t row = (int64_t)slots[j] * width + j;
            sum = fmadd(sum, load_int16(table + row * hidden + h), splat(scale[row]));
        }
        store(out + h, sum);
    }
    prefetch(&later, later.end - later.at);
}

/* The sum of rows of int8, times unit_H. Exact in 16 bits: a window has at most 101 rows, of at most 127 each.
 * table (slots, W, H) · slots (W) · base, out (H). */
static void sum_rows_int8(const Network *net, const int8_t *table, const int32_t *slots, Prefetch later,
                          const float *base, float *out) {
    int64_t hidden = net->hidden, width = net->width, h = 0, pair = 2 * LANES; /* two vectors of floats at a time */
    const float *unit_H = net->unit_H;
    int64_t share = (later.end - later.at) / (hidden / (BLOCK * pair) + 1);
    /* whole blocks of the row */
    for (; h + BLOCK * pair <= hidden; h += BLOCK * pair, prefetch(&later, share)) {
        Int16s sum[BLOCK];
        for (int v = 0; v < BLOCK; v++) sum[v] = zero_int16();
        for (int64_t j = 0; j < width; j++) {
            const int8_t *row = table + ((int64_t)slots[j] * width + j) * hidden + h; /* (BLOCK · pair) */
            for (int v = 0; v < BLOCK; v++) sum[v] = add_int8(sum[v], row + v * pair);
        }
        for (int v = 0; v < BLOCK; v++) {
            int64_t at = h + v * pair;
            store(out + at, fmadd(load(base + at), low_to_float(sum[v]), load(unit_H + at)));
            at += LANES;
            store(out + at, fmadd(load(base + at), high_to_float(sum[v]), load(unit_H + at)));
        }
    }
    /* the rest, a pair of vectors at a time */
    for (; h < hidden; h += pair) {
        Int16s sum = zero_int16();
        for (int64_t j = 0; j < width; j++) sum = add_int8(sum, table + ((int64_t)slots[j] * width + j) * hidden + h);
        store(out + h, fmadd(load(base + h), low_to_float(sum), load(unit_H + h)));
        store(out + h + LANES, fmadd(load(base + h + LANES), high_to_float(sum), load(unit_H + h + LANES)));
    }
    prefetch(&later, later.end - later.at);
}

/* out (H) = base (H) + the rows of the window slots (W). Meanwhile the rows of slot `later_slot`, which a window
 * PREFETCH_DISTANCE further on needs, are loaded into the cache. */
static void sum_rows(const Network *net, const void *table, const float *scale, const int32_t *slots,
                     int64_t later_slot, const float *base, float *out) {
    static const int64_t number_bytes[] = {[FLOAT32] = 4, [INT16] = 2, [INT8] = 1};
    int64_t slot_bytes = net->width * net->hidden * number_bytes[net->numbers];
    const char *later_rows = (const char *)table + later_slot * slot_bytes; /* (W, H) */
    Prefetch later = {later_rows, later_rows + slot_bytes};
    if (net->numbers == INT16) sum_rows_int16(net, table, scale, slots, later, base, out);
    else if (net->numbers == INT8) sum_rows_int8(net, table, slots, later, base, out);
    else sum_rows_float32(net, table, slots, later, base, out);
}

/* ── Activation and softmax ── */

/* Apply the activation to x (count), in place; count is a multiple of LANES. */
static void activate(int64_t activation, float *x, int64_t count) {
    if (activation == SIGMOID)
        for (int64_t i = 0; i < count; i += LANES) store(x + i, sigmoid(load(x + i)));
    else if (activation == TANH)
        for (int64_t i = 0; i < count; i += LANES) store(x + i, hyperbolic_tangent(load(x + i)));
    else if (activation == GELU)
        for (int64_t i = 0; i < count; i += LANES) store(x + i, gelu(load(x + i)));
    else if (activation == SILU)
        for (int64_t i = 0; i < count; i += LANES) store(x + i, multiply(load(x + i), sigmoid(load(x + i))));
    else if (activation == RELU)
        for (int64_t i = 0; i < count; i += LANES) store(x + i, maximum(splat(0), load(x + i)));
    else /* one that only Python knows: scores that are NaN are refused */
        for (int64_t i = 0; i < count; i += LANES) store(x + i, splat(NAN));
}

/* log p (K) = log softmax(z / temperature).
 *
 * The output layer's weights are relative to those of O, the first tag, so the logit of O is 0 and is not computed:
 * z (K − 1, padded to whole panels) holds the others, and is overwritten.
 */
static void log_softmax(float *z, int64_t tags, float temperature, float *log_K) {
    /* exclude the padding: e to the power of −∞ is about 0 */
    int64_t others = tags - 1, padded = (others + PANEL - 1) / PANEL * PANEL;
    for (int64_t k = others; k < padded; k++) z[k] = -INFINITY;

    /* z / temperature, and the maximum of it and of O's 0 */
    Vector scale = splat(1 / temperature), most = splat(0), total = splat(0);
    for (int64_t k = 0; k < padded; k += LANES) {
        Vector x = fmadd(splat(0), load(z + k), scale);
        store(z + k, x);
        most = maximum(x, most);
    }
    float largest = reduce_max(most);

    /* log Σ exp(z), with the maximum subtracted so that it cannot overflow */
    for (int64_t k = 0; k < padded; k += LANES) total = add(total, exp_nonpositive(add(load(z + k), splat(-largest))));
    float exp_o[LANES]; /* O's summand, in every lane */
    store(exp_o, exp_nonpositive(splat(-largest)));
    float log_total = largest + logf(reduce_add(total) + exp_o[0]);

    log_K[0] = -log_total;
    for (int64_t k = 0; k < others; k++) log_K[k + 1] = z[k] - log_total;
}

/* ── All layers ── */

/* One layer, of ROWS windows: y (ROWS, outputs) = f(x) (ROWS, inputs) · Wᵀ + b. The activation f is applied to x in
 * place. */
static void linear_layer(const Network *net, int64_t layer, float *x, int64_t inputs, float *y) {
    int64_t outputs = net->outputs[layer];
    activate(net->activation, x, ROWS * inputs);
    for (int64_t p = 0; p < outputs / PANEL; p++)
        matmul_panel(x, inputs, net->weight[layer] + p * inputs * PANEL, inputs, net->bias[layer] + p * PANEL,
                     y + p * PANEL, outputs);
}

/* Compute log p of windows [begin, end) of a bag, ROWS at a time, so that their layers stay in cache.
 *
 * table    (slots, W, H) the row cache, of net->numbers; scale  (slots, W) for INT16
 * slots    the line of lay_out_windows; place_N  (N) where in it each window begins
 * row_N    (N) row of row_PH that each window's sum starts from: the bias and what the document adds
 * row_PH   (P, H)
 * log_NK   (N, K) receives log p, rows [begin, end) only, so that threads can share a bag
 * Returns how many windows have a NaN, or −1 if there was no memory.
 */
API int64_t score_windows(const Network *net, const void *table, const float *scale, const int32_t *slots,
                          const int32_t *place_N, const int32_t *row_N, const float *row_PH, int64_t begin, int64_t end,
                          float *log_NK) {
    /* two buffers of (ROWS, widest layer), aligned to a cache line */
    int64_t widest = net->hidden, nan_windows = 0;
    for (int64_t layer = 0; layer < net->layers; layer++)
        widest = net->outputs[layer] > widest ? net->outputs[layer] : widest;
    float *memory = calloc((size_t)(2 * ROWS * widest + CACHE_LINE), sizeof *memory);
    if (!memory) return -1;
    float *aligned = memory + (CACHE_LINE - (uintptr_t)memory % CACHE_LINE) / sizeof *memory;

    for (int64_t first = begin; first < end; first += ROWS) {
        int64_t count = end - first < ROWS ? end - first : ROWS, inputs = net->hidden;
        float *x = aligned, *y = aligned + ROWS * widest;

        /* first layer: x (ROWS, H), the sums of the windows; prefetch the one word that a later window adds */
        for (int64_t i = 0; i < count; i++) {
            int64_t n = first + i, later = n + PREFETCH_DISTANCE < end ? n + PREFETCH_DISTANCE : end - 1;
            sum_rows(net, table, scale, slots + place_N[n], slots[place_N[later] + net->width - 1],
                     row_PH + row_N[n] * net->hidden, x + i * inputs);
        }

        /* the layers after it, to x (ROWS, K − 1 padded): the logits, relative to O's */
        for (int64_t layer = 0; layer < net->layers; layer++) {
            linear_layer(net, layer, x, inputs, y);
            float *swap = x;
            x = y;
            y = swap;
            inputs = net->outputs[layer];
        }

        /* log p; a NaN anywhere makes that of O a NaN */
        for (int64_t i = 0; i < count; i++) {
            float *log_K = log_NK + (first + i) * net->tags;
            log_softmax(x + i * inputs, net->tags, net->temperature, log_K);
            nan_windows += log_K[0] != log_K[0];
        }
    }
    free(memory);
    return nan_windows;
}
