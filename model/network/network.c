/* Windows into log p: the sum of 2C+1 rows, the layers after it, the softmax.
 *
 * Every token goes through the same instructions in the same order, so its bits do not depend on its company.
 *
 * W window width · H hidden units of the first layer, filled up to whole panels · K tags
 */
#include <stdlib.h>

#include "simd.h"

enum { BLOCK = 8, AHEAD = 4, LINE = 64 }; /* vectors that are added up together; tokens; bytes of a line of the cache */

typedef struct {
    const char *at, *end;
} Prefetch;

static inline void prefetch(Prefetch *next, int64_t bytes) {
    const char *until = next->at + bytes < next->end ? next->at + bytes : next->end;
    for (; next->at < until; next->at += LINE) __builtin_prefetch(next->at, 0, 2);
}

static void add_up_float32(const Network *net, const float *table, const int32_t *line, Prefetch next, const float *base,
                           float *out) {
    int64_t hidden = net->hidden, width = net->width, h = 0;
    int64_t share = (next.end - next.at) / (hidden / (BLOCK * LANES) + 1);
    for (; h + BLOCK * LANES <= hidden; h += BLOCK * LANES, prefetch(&next, share)) {
        Vector sum[BLOCK];
        for (int v = 0; v < BLOCK; v++) sum[v] = load(base + h + v * LANES);
        for (int64_t j = 0; j < width; j++) {
            const float *row = table + ((int64_t)line[j] * width + j) * hidden + h;
            for (int v = 0; v < BLOCK; v++) sum[v] = add(sum[v], load(row + v * LANES));
        }
        for (int v = 0; v < BLOCK; v++) store(out + h + v * LANES, sum[v]);
    }
    for (; h < hidden; h += LANES) {
        Vector sum = load(base + h);
        for (int64_t j = 0; j < width; j++) sum = add(sum, load(table + ((int64_t)line[j] * width + j) * hidden + h));
        store(out + h, sum);
    }
    prefetch(&next, next.end - next.at);
}

static void add_up_int16(const Network *net, const int16_t *table, const float *unit, const int32_t *line, Prefetch next,
                         const float *base, float *out) {
    int64_t hidden = net->hidden, width = net->width, h = 0;
    int64_t share = (next.end - next.at) / (hidden / (BLOCK * LANES) + 1);
    for (; h + BLOCK * LANES <= hidden; h += BLOCK * LANES, prefetch(&next, share)) {
        Vector sum[BLOCK];
        for (int v = 0; v < BLOCK; v++) sum[v] = load(base + h + v * LANES);
        for (int64_t j = 0; j < width; j++) {
            int64_t row = (int64_t)line[j] * width + j;
            Vector scale = splat(unit[row]);
            for (int v = 0; v < BLOCK; v++)
                sum[v] = fmadd(sum[v], load_int16(table + row * hidden + h + v * LANES), scale);
        }
        for (int v = 0; v < BLOCK; v++) store(out + h + v * LANES, sum[v]);
    }
    for (; h < hidden; h += LANES) {
        Vector sum = load(base + h);
        for (int64_t j = 0; j < width; j++) {
            int64_t row = (int64_t)line[j] * width + j;
            sum = fmadd(sum, load_int16(table + row * hidden + h), splat(unit[row]));
        }
        store(out + h, sum);
    }
    prefetch(&next, next.end - next.at);
}

/* Integers add up exactly, in 16 bits: a window is at most 101 of them, of 8 bits each. */
static void add_up_int8(const Network *net, const int8_t *table, const int32_t *line, Prefetch next, const float *base,
                        float *out) {
    int64_t hidden = net->hidden, width = net->width, h = 0, pair = 2 * LANES;
    int64_t share = (next.end - next.at) / (hidden / (BLOCK * pair) + 1);
    for (; h + BLOCK * pair <= hidden; h += BLOCK * pair, prefetch(&next, share)) {
        Shorts sum[BLOCK];
        for (int v = 0; v < BLOCK; v++) sum[v] = zero_shorts();
        for (int64_t j = 0; j < width; j++) {
            const int8_t *row = table + ((int64_t)line[j] * width + j) * hidden + h;
            for (int v = 0; v < BLOCK; v++) sum[v] = add_int8(sum[v], row + v * pair);
        }
        for (int v = 0; v < BLOCK; v++) {
            int64_t at = h + v * pair;
            store(out + at, fmadd(load(base + at), low_half(sum[v]), load(net->unit_H + at)));
            at += LANES;
            store(out + at, fmadd(load(base + at), high_half(sum[v]), load(net->unit_H + at)));
        }
    }
    for (; h < hidden; h += pair) {
        Shorts sum = zero_shorts();
        for (int64_t j = 0; j < width; j++) sum = add_int8(sum, table + ((int64_t)line[j] * width + j) * hidden + h);
        store(out + h, fmadd(load(base + h), low_half(sum), load(net->unit_H + h)));
        store(out + h + LANES, fmadd(load(base + h + LANES), high_half(sum), load(net->unit_H + h + LANES)));
    }
    prefetch(&next, next.end - next.at);
}

/* base + the rows of one window. The rows that enter a window AHEAD of it are asked for while these are added up. */
static void add_up(const Network *net, const void *table, const float *unit, const int32_t *line, int64_t ahead,
                   const float *base, float *out) {
    static const int64_t size_of[] = {sizeof(float), sizeof(int16_t), sizeof(int8_t)};
    int64_t bytes = net->width * net->hidden * size_of[net->numbers];
    Prefetch next = {(const char *)table + line[ahead] * bytes, (const char *)table + (line[ahead] + 1) * bytes};
    if (net->numbers == INT16) add_up_int16(net, table, unit, line, next, base, out);
    else if (net->numbers == INT8) add_up_int8(net, table, line, next, base, out);
    else add_up_float32(net, table, line, next, base, out);
}

/* log p, p = softmax(z / temperature); O is the first tag, and its z is 0: the others' are differences from it.
 * z is filled up to whole panels; what is beyond the tags is written over. */
static void log_softmax(float *z, int64_t tags, float temperature, float *out) {
    int64_t others = tags - 1, whole = (others + PANEL - 1) / PANEL * PANEL;
    for (int64_t k = others; k < whole; k++) z[k] = -INFINITY;
    Vector scale = splat(1 / temperature), most = splat(0), total = splat(0);
    for (int64_t k = 0; k < whole; k += LANES) {
        Vector x = fmadd(splat(0), load(z + k), scale);
        store(z + k, x);
        most = maximum(x, most);
    }
    float largest = reduce_max(most);
    for (int64_t k = 0; k < whole; k += LANES) total = add(total, exponential(add(load(z + k), splat(-largest))));
    float first[LANES];
    store(first, exponential(splat(-largest)));
    float shift = largest + logf(reduce_add(total) + first[0]);
    out[0] = -shift;
    for (int64_t k = 0; k < others; k++) out[k + 1] = z[k] - shift;
}

/* f(z) of hidden units, in place; count is a multiple of LANES. */
static void activate(int64_t kind, float *x, int64_t count) {
    if (kind == SIGMOID)
        for (int64_t i = 0; i < count; i += LANES) store(x + i, sigmoid(load(x + i)));
    else if (kind == TANH)
        for (int64_t i = 0; i < count; i += LANES) store(x + i, hyperbolic_tangent(load(x + i)));
    else if (kind == GELU)
        for (int64_t i = 0; i < count; i += LANES) store(x + i, gelu(load(x + i)));
    else if (kind == SILU)
        for (int64_t i = 0; i < count; i += LANES) store(x + i, multiply(load(x + i), sigmoid(load(x + i))));
    else
        for (int64_t i = 0; i < count; i += LANES) store(x + i, maximum(splat(0), load(x + i)));
}

/* log p of windows begin to end of a bag.
 *
 * line       slots of the table, words in order with PAD around sentences; place_N  where in it each window begins
 * row_N      which row of row_RH each starts from
 * Returns how many of the numbers are none, or −1 where there was no memory.
 */
API int64_t score_windows(const Network *net, const void *table, const float *unit, const int32_t *line, const int32_t *place_N,
                  const int32_t *row_N, const float *row_RH, int64_t begin, int64_t end, float *log_NK) {
    int64_t widest = net->hidden, wrong = 0;
    for (int64_t layer = 0; layer < net->layers; layer++)
        widest = net->outputs[layer] > widest ? net->outputs[layer] : widest;
    float *raw = calloc((size_t)(2 * ROWS * widest + LINE), sizeof *raw);
    if (!raw) return -1;
    float *memory = raw + (LINE - (uintptr_t)raw % LINE) / sizeof *raw;
    for (int64_t first = begin; first < end; first += ROWS) {
        int64_t here = end - first < ROWS ? end - first : ROWS, inputs = net->hidden;
        float *x = memory, *y = memory + ROWS * widest;
        for (int64_t n = 0; n < here; n++) {
            int64_t now = first + n, soon = now + AHEAD < end ? now + AHEAD : end - 1;
            add_up(net, table, unit, line + place_N[now], place_N[soon] + net->width - 1 - place_N[now],
                   row_RH + row_N[now] * net->hidden, x + n * inputs);
        }
        for (int64_t layer = 0; layer < net->layers; layer++) {
            int64_t outputs = net->outputs[layer];
            activate(net->activation, x, ROWS * inputs);
            for (int64_t p = 0; p < outputs / PANEL; p++)
                multiply_panel(x, inputs, net->weight[layer] + p * inputs * PANEL, inputs, net->bias[layer] + p * PANEL,
                               y + p * PANEL, outputs);
            float *other = x;
            x = y;
            y = other;
            inputs = outputs;
        }
        for (int64_t n = 0; n < here; n++) {
            float *out = log_NK + (first + n) * net->tags;
            log_softmax(x + n * inputs, net->tags, net->temperature, out);
            wrong += out[0] != out[0];
        }
    }
    free(raw);
    return wrong;
}

/* Lay the words of tokens begin to end out in one line of slots, with as many neighbours as their windows see.
 *
 * length_S    tokens of each sentence; sentence, at  where token begin is: its sentence, and how far into that
 * slot_of     the slot of each (word, class); below 0 if there is none yet
 * uses        of each slot, counted up
 * Returns the pairs that have no slot, each once, in missing; the line is of use only if there are none.
 */
API int64_t lay_out_windows(const int32_t *word, const uint8_t *class_T, int64_t classes, const int64_t *length_S, int64_t sentence,
                    int64_t at, int64_t begin, int64_t end, int64_t context, int32_t *slot_of, int64_t *uses, int32_t *line,
                    int32_t *place_N, int64_t *missing) {
    int64_t used = 0, count = 0, token = begin - at; /* the head of the sentence */
    for (; token < end; sentence++) {
        int64_t stop = token + length_S[sentence];
        int64_t from = token > begin - context ? token : begin - context, to = stop < end + context ? stop : end + context;
        if (from == token)
            for (int64_t c = 0; c < context; c++) line[used++] = 0;
        for (int64_t t = from; t < to; t++) {
            int64_t pair = word[t] * classes + (class_T ? class_T[t] : 0);
            int32_t slot = slot_of[pair];
            if (slot < 0) {
                if (slot == -1) {
                    missing[count++] = pair;
                    slot_of[pair] = -2;
                }
                slot = 0;
            } else {
                uses[slot]++;
            }
            if (t >= begin && t < end) place_N[t - begin] = (int32_t)(used - context);
            line[used++] = slot;
        }
        if (to == stop && stop >= end)
            for (int64_t c = 0; c < context; c++) line[used++] = 0;
        token = stop;
    }
    for (int64_t i = 0; i < count; i++) slot_of[missing[i]] = -1;
    return count;
}
