/* Words to rows: e(w), and W₁⁽ʲ⁾ e(w) for every position j of a window.
 *
 * This runs once for every new word, not for every token: the rows of a word go to the row cache
 * (model/engine/row_cache.py), where the windows find them. e(w) is what model/words/lexicon.py describes: a pretrained
 * vector, one row for each feature field, and the mean of the rows of the word's character n-grams. Beside it, the one
 * row that a document adds to all of its windows: its topic (model/network/context.py).
 *
 * U new words · P documents · T tokens · W window width · E width of e(w) · D width of a pretrained vector
 * H hidden units, padded to whole panels · F feature fields · G n-grams of a word, padded
 */
#include <stdlib.h>

#include "simd.h"
#include "vocabulary.h"

enum { PREFETCH_DISTANCE = 6 }; /* tokens */
enum { CACHE_LINE = 64 };       /* bytes */

/* ── Pretrained vectors ──
 *
 * They are stored as float32, as float16, or as integers with a scale for each vector. A byte of INT4 holds two
 * components: i in the lower half and i + D/2 in the upper, both plus 8.
 */

/* A float16 of IEEE 754, given as its bits, as float32: exact. */
static float half_to_float(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023, word;
    float x;
    if (exponent == 0) { /* zero or subnormal: fraction · 2⁻²⁴ */
        x = (float)fraction * 0x1p-24f;
        memcpy(&word, &x, 4);
        word |= sign;
    } else { /* rebias the exponent from 15 to 127; 31 stands for infinity and NaN */
        word = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    }
    memcpy(&x, &word, 4);
    return x;
}

/* Bytes of one stored vector. */
static int64_t vector_bytes(const Features *features) {
    int64_t width = features->width;
    switch (features->storage) {
    case INT4: return width / 2;
    case INT8: return width;
    case FLOAT16: return width * 2;
    default: return width * 4;
    }
}

/* Decode vector `row` of the table to out (D). */
static void load_vector(const Features *features, int64_t row, float *out) {
    int64_t width = features->width;
    if (features->storage == INT8) {
        const int8_t *code = (const int8_t *)features->codes + row * width; /* (D) */
        float scale = features->scale[row];
        for (int64_t i = 0; i < width; i++) out[i] = (float)code[i] * scale;
    } else if (features->storage == INT4) {
        const uint8_t *code = (const uint8_t *)features->codes + row * (width / 2); /* (D / 2) */
        float scale = features->scale[row];
        for (int64_t i = 0; i < width / 2; i++) out[i] = (float)((code[i] & 15) - 8) * scale;
        for (int64_t i = 0; i < width / 2; i++) out[width / 2 + i] = (float)((code[i] >> 4) - 8) * scale;
    } else if (features->storage == FLOAT16) {
        const uint16_t *code = (const uint16_t *)features->codes + row * width; /* (D) */
        for (int64_t i = 0; i < width; i++) out[i] = half_to_float(code[i]);
    } else {
        memcpy(out, (const float *)features->codes + row * width, (size_t)width * sizeof *out);
    }
}

/* Decode vector `row` of the table and add it to sum (D). Not by load_vector: multiplying and adding are one rounding
 * where the processor has a fused multiply-add, and a vector is read once. */
static inline void add_vector(const Features *features, int64_t row, float *restrict sum) {
    int64_t width = features->width;
    if (features->storage == INT8) {
        const int8_t *restrict code = (const int8_t *)features->codes + row * width; /* (D) */
        float scale = features->scale[row];
        for (int64_t i = 0; i < width; i++) sum[i] += (float)code[i] * scale;
    } else if (features->storage == INT4) {
        const uint8_t *restrict code = (const uint8_t *)features->codes + row * (width / 2); /* (D / 2) */
        float scale = features->scale[row];
        for (int64_t i = 0; i < width / 2; i++) sum[i] += (float)((code[i] & 15) - 8) * scale;
        for (int64_t i = 0; i < width / 2; i++) sum[width / 2 + i] += (float)((code[i] >> 4) - 8) * scale;
    } else if (features->storage == FLOAT16) {
        const uint16_t *restrict code = (const uint16_t *)features->codes + row * width; /* (D) */
        for (int64_t i = 0; i < width; i++) sum[i] += half_to_float(code[i]);
    } else {
        const float *restrict code = (const float *)features->codes + row * width; /* (D) */
        for (int64_t i = 0; i < width; i++) sum[i] += code[i];
    }
}

/* ── Character n-grams, hashed: as ngrams in model/words/surface.py ── */

static uint32_t crc_table[256]; /* CRC-32 of every byte, as zlib has it */

/* Fill crc_table; to be called once, before hash_ngrams. */
API void fill_crc_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t c = byte;
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
        crc_table[byte] = c;
    }
}

/* One past the UTF-8 character that begins at `at`: bytes 10…… continue it. */
static inline int64_t character_end(const uint8_t *utf8, int64_t at, int64_t end) {
    at++;
    while (at < end && (utf8[at] & 0xc0) == 0x80) at++;
    return at;
}

/* Find the buckets of the n-grams of a word, with its marks: <word>.
 *
 * utf8    (bytes) the word
 * sizes   (kinds) n of the n-grams, in characters
 * buckets number of hash buckets; a bucket is from 1 to that
 * gram_G  (at least as many as there are) receives the buckets, those of sizes[0] first
 * Returns how many there are.
 */
static int64_t ngrams_of(const uint8_t *utf8, int64_t bytes, const int64_t *sizes, int64_t kinds, int64_t buckets,
                         int64_t *gram_G) {
    int64_t count = 0;
    for (int64_t kind = 0; kind < kinds; kind++) {
        /* slide a window [begin, end) of n characters over the word */
        int64_t begin = 0, end = 0, characters = 0;
        while (begin < bytes) {
            for (; characters < sizes[kind] && end < bytes; characters++) end = character_end(utf8, end, bytes);
            if (characters < sizes[kind]) break;

            /* CRC-32 of its bytes, to a bucket */
            uint32_t c = 0xffffffffu;
            for (int64_t i = begin; i < end; i++) c = crc_table[(c ^ utf8[i]) & 255] ^ (c >> 8);
            gram_G[count++] = 1 + (int64_t)((c ^ 0xffffffffu) % (uint64_t)buckets);

            begin = character_end(utf8, begin, bytes);
            characters--;
        }
    }
    return count;
}

/* Find the buckets of the n-grams of words, as ngrams_of.
 *
 * utf8      (end_U[U − 1]) the words with their marks, <word>, end to end; end_U  (U) one past each
 * ngram_UG  (U, most) receives the buckets; padded with 0
 */
API void hash_ngrams(const uint8_t *utf8, const int64_t *end_U, int64_t words, const int64_t *sizes, int64_t kinds,
                     int64_t buckets, int64_t *ngram_UG, int64_t most) {
    for (int64_t u = 0; u < words; u++) {
        int64_t begin = u ? end_U[u - 1] : 0;
        int64_t count = ngrams_of(utf8 + begin, end_U[u] - begin, sizes, kinds, buckets, ngram_UG + u * most);
        for (; count < most; count++) ngram_UG[u * most + count] = 0;
    }
}

/* ── e(w) ── */

/* Write e(w) of a word to out (E): vector, row of each field, mean of the rows of the n-grams.
 *
 * vector   row of its vector
 * field_F  (F) row of each field's table
 * gram_G   (grams) buckets of its n-grams; 0 is padding
 */
static void encode_word(const Features *features, int64_t vector, const int64_t *field_F, const int64_t *gram_G,
                        int64_t grams, float *out) {
    int64_t fields = features->fields, gram_width = features->gram_width;
    /* the pretrained vector (D) */
    load_vector(features, vector, out);
    out += features->width;

    /* one row of each field (its width) */
    for (int64_t f = 0; f < fields; f++) {
        int64_t width = features->widths[f];
        memcpy(out, features->table[f] + field_F[f] * width, (size_t)width * sizeof *out);
        out += width;
    }

    /* the mean of the n-grams' rows (gram_width) */
    int64_t count = 0;
    for (int64_t i = 0; i < gram_width; i++) out[i] = 0;
    for (int64_t g = 0; g < grams && gram_width; g++) {
        if (!gram_G[g]) continue;
        count++;
        const float *row = features->grams + gram_G[g] * gram_width;
        for (int64_t i = 0; i < gram_width; i++) out[i] += row[i];
    }
    for (int64_t i = 0; i < gram_width && count; i++) out[i] /= (float)count;
}

/* Write e(w) of words whose rows were looked up in Python.
 *
 * vector_U  (U) row of each word's vector
 * field_UF  (U, F) row of each field's table
 * ngram_UG  (U, ngrams) buckets; 0 is padding
 * entry_UE  (U, E) receives e(w)
 */
API void encode_rows(const Features *features, const int64_t *vector_U, const int64_t *field_UF,
                     const int64_t *ngram_UG, int64_t ngrams, int64_t words, float *entry_UE) {
    for (int64_t u = 0; u < words; u++)
        encode_word(features, vector_U[u], field_UF + u * features->fields, ngram_UG + u * ngrams, ngrams,
                    entry_UE + u * features->entry);
}

/* ── Looking a word up: as model/words/lexicon.py, of which this is the plain part ── */

enum { MOST_FIELDS = 64, MOST_GRAM_KINDS = 16 };

/* A word in UTF-8, with room for 8 bytes to be read over its end. */
typedef struct {
    uint8_t utf8[UTF8_BYTES];
    int64_t end[KEY_BYTES]; /* one past each character */
    int64_t bytes;
} Written;

/* Write a word in UTF-8; each character as `letters` has it, or as it is if that is NULL. */
static void write_word(const Spelled *word, const uint32_t *letters, Written *written) {
    uint8_t *end = written->utf8;
    for (int64_t i = 0; i < word->size; i++) {
        end = put_utf8(end, letters ? letters[word->form[i]] : word->form[i]);
        written->end[i] = end - written->utf8;
    }
    written->bytes = end - written->utf8;
}

/* Write a word as str.title does: each letter that follows no letter is a capital; 0 if one has none that is a
 * character. */
static int write_title(const Lookups *lookups, const Spelled *word, Written *written) {
    uint8_t *end = written->utf8;
    int follows_cased = 0;
    for (int64_t i = 0; i < word->size; i++) {
        uint32_t c = word->form[i];
        if (!follows_cased && word->bits[i] & CHAR_ODD_TITLE) return 0;
        end = put_utf8(end, follows_cased ? lookups->lower[c] : lookups->title[c]);
        follows_cased = (word->bits[i] & (CHAR_LOWER | CHAR_UPPER | CHAR_TITLE)) != 0;
    }
    written->bytes = end - written->utf8;
    return 1;
}

/* The name of a word's capitalisation, as `case` in model/words/surface.py. */
static const char *case_of(const Spelled *word) {
    uint32_t all = ~0u, any = 0, rest_any = 0;
    for (int64_t i = 0; i < word->size; i++) {
        all &= word->bits[i];
        any |= word->bits[i];
        if (i) rest_any |= word->bits[i];
    }
    if (!(all & CHAR_ALPHA)) {
        if (!(any & CHAR_ALNUM)) return "sign";
        if (any & CHAR_DIGIT) return any & CHAR_ALPHA ? "alphanumeric" : "digits";
    }
    if (any & CHAR_LOWER && !(any & (CHAR_UPPER | CHAR_TITLE))) return "lower";
    if (any & CHAR_UPPER && !(any & (CHAR_LOWER | CHAR_TITLE))) return word->size == 1 ? "capital" : "upper";
    if (word->bits[0] & CHAR_UPPER && rest_any & CHAR_LOWER && !(rest_any & (CHAR_UPPER | CHAR_TITLE))) return "title";
    return all & CHAR_ONE_CASE ? "uncased" : "mixed";
}

/* Write the shape of a word, as `shape` in model/words/surface.py. */
static void write_shape(const Spelled *word, Written *written) {
    uint8_t *end = written->utf8;
    uint32_t last = 0, before = 0;
    for (int64_t i = 0; i < word->size; i++) {
        uint32_t bits = word->bits[i], kind = word->form[i];
        if (bits & CHAR_DIGIT) kind = 'd';
        else if (bits & CHAR_ALPHA) kind = bits & CHAR_UPPER ? 'X' : 'x';
        if (i < 2 || kind != last || kind != before) end = put_utf8(end, kind);
        before = last;
        last = kind;
    }
    written->bytes = end - written->utf8;
}

/* The value of a word in a list of words, by its form, in small letters, or as a title; NONE if it is not there. */
static int32_t listed(const Strings *strings, int kind, const Written *form, const Written *lower,
                      const Written *title) {
    const uint32_t *found = find_string(strings, kind, form->utf8, form->bytes);
    if (!found) found = find_string(strings, kind, lower->utf8, lower->bytes);
    if (!found) found = find_string(strings, kind, title->utf8, title->bytes);
    return found ? (int32_t)found[PLACE_VALUE] : NONE;
}

/* The row of each field of a word: field_F (F). */
static void look_up_fields(const Lookups *lookups, const Strings *strings, const Spelled *word, const Written *form,
                           const Written *lower, int64_t *field_F) {
    enum { UNSEEN = -2 };
    Written title, shape;
    int32_t cluster = UNSEEN, list = UNSEEN;
    int has_title = 0;
    for (int64_t f = 0; f < lookups->fields; f++) {
        int kind = STRING_FIELD + (int)f;
        int64_t size = lookups->size_F[f] < word->size ? lookups->size_F[f] : word->size, begin;
        switch (lookups->kind_F[f]) {
        case FIELD_WORD: field_F[f] = value_of(strings, kind, lower->utf8, lower->bytes, 0); break;
        case FIELD_CASE: {
            uint8_t name[24] = {0};
            const char *found = case_of(word);
            memcpy(name, found, strlen(found));
            field_F[f] = value_of(strings, kind, name, (int64_t)strlen(found), 0);
            break;
        }
        case FIELD_SHAPE:
            write_shape(word, &shape);
            field_F[f] = value_of(strings, kind, shape.utf8, shape.bytes, 0);
            break;
        case FIELD_PREFIX: field_F[f] = value_of(strings, kind, lower->utf8, lower->end[size - 1], 0); break;
        case FIELD_SUFFIX:
            begin = size < word->size ? lower->end[word->size - size - 1] : 0;
            field_F[f] = value_of(strings, kind, lower->utf8 + begin, lower->bytes - begin, 0);
            break;
        default:
            if (!has_title) has_title = write_title(lookups, word, &title);
            if (lookups->kind_F[f] == FIELD_LISTS) {
                if (list == UNSEEN) list = listed(strings, STRING_LISTS, form, lower, &title);
                field_F[f] = lookups->list_rows[list + 1];
            } else {
                if (cluster == UNSEEN) cluster = listed(strings, STRING_CLUSTER, form, lower, &title);
                field_F[f] = lookups->cluster_rows[(cluster + 1) * lookups->cluster_fields + lookups->size_F[f]];
            }
        }
    }
}

/* Write e(w) of words that are known without Python.
 *
 * word_U    (U) their numbers
 * entry_UE  (U, E) receives e(w)
 */
API void encode_words(const Features *features, const Lookups *lookups, const Strings *strings, const Words *words,
                      const int64_t *word_U, int64_t count, float *entry_UE) {
    int64_t field_F[MOST_FIELDS], gram_G[MOST_GRAM_KINDS * (KEY_BYTES + 2)], grams = 0;
    for (int64_t u = 0; u < count; u++) {
        /* the word, from its key */
        const uint8_t *key = words->key + word_U[u] * KEY_BYTES;
        int64_t bytes = words->bytes[word_U[u]], size = 0;
        uint32_t code_points[KEY_BYTES];
        for (int64_t at = 0; at < bytes; size++) at = get_utf8(key, at, &code_points[size]);
        Spelled word = {.size = 0};
        spell(lookups, code_points, size, &word);
        Written form, lower, marked;
        write_word(&word, NULL, &form);
        write_word(&word, lookups->lower, &lower);
        look_up_fields(lookups, strings, &word, &form, &lower, field_F);
        if (features->gram_width) {
            marked.utf8[0] = '<';
            memcpy(marked.utf8 + 1, form.utf8, (size_t)form.bytes);
            marked.utf8[form.bytes + 1] = '>';
            grams = ngrams_of(marked.utf8, form.bytes + 2, lookups->gram_sizes, lookups->gram_kinds,
                              lookups->gram_buckets, gram_G);
        }
        encode_word(features, words->vector[word_U[u]], field_F, gram_G, grams, entry_UE + u * features->entry);
    }
}

/* ── Rows of the cache: W₁⁽ʲ⁾ e(w) ── */

/* Whether x (count) holds no infinity and no NaN: an exponent of all ones. */
static int all_finite(const float *x, int64_t count) {
    int32_t bits, found = 0;
    for (int64_t i = 0; i < count; i++) {
        memcpy(&bits, x + i, sizeof bits);
        found |= (bits & 0x7f800000) == 0x7f800000;
    }
    return !found;
}

/* The largest of |x| (count), a multiple of LANES. */
static float largest_of(const float *x, int64_t count) {
    Vector most = splat(0);
    for (int64_t i = 0; i < count; i += LANES) {
        Vector value = load(x + i);
        most = maximum(most, maximum(value, multiply(value, splat(-1))));
    }
    return reduce_max(most);
}

/* Store a row x (H) as row `row` of the table (rows, H).
 *
 * FLOAT32: as it is. INT16: as multiples of max |x| / 32767, which goes to scale[row] (rows). INT8: as multiples of a
 * unit for each hidden unit, of which per_unit_H (H) is the inverse, clipped to ±127.
 */
static void quantise_row(const float *x, int64_t hidden, int64_t numbers, const float *per_unit_H, void *table,
                         float *scale, int64_t row) {
    if (numbers == FLOAT32) {
        memcpy((float *)table + row * hidden, x, (size_t)hidden * sizeof *x);
    } else if (numbers == INT16) {
        float largest = largest_of(x, hidden), factor = largest > 1e-30f ? 32767 / largest : 0; /* else all become 0 */
        scale[row] = largest / 32767;
        int16_t *out = (int16_t *)table + row * hidden; /* (H) */
        for (int64_t i = 0; i < hidden; i++) out[i] = (int16_t)nearbyintf(x[i] * factor);
    } else {
        int8_t *out = (int8_t *)table + row * hidden; /* (H) */
        for (int64_t i = 0; i < hidden; i++) {
            float q = x[i] * per_unit_H[i];
            q = q > 127 ? 127 : q;
            out[i] = (int8_t)nearbyintf(q > -127 ? q : -127);
        }
    }
}

/* Products of integers, where the processor has an instruction for them (VNNI): twice as many at a time as of floats.
 * e(w) of each word becomes integers of at most LARGEST_PAIRED, with a scale, and so do the weights of each hidden unit;
 * sums of SUMMED pairs of products stay below 2³¹, and are added up as floats. Rows of int8 are far coarser than that. */
#ifdef __AVX512VNNI__
enum { PAIRED = 1 };

/* out (ROWS, 2 · PANEL) = x (ROWS, pairs, 2) · w (2, pairs, PANEL, 2), in units of both scales; a row of x every x_stride
 * integers, a row of out every out_stride floats. */
static void matmul_paired(const int16_t *x, int64_t x_stride, const int16_t *w, int64_t pairs, float *out,
                          int64_t out_stride) {
    enum { HALF = ROWS / 2 }; /* rows of a group: more of them, and compilers keep their sums in memory */
    for (int first = 0; first < ROWS; first += HALF)
        for (int64_t begin = 0; begin < pairs; begin += SUMMED) {
            int64_t end = begin + SUMMED < pairs ? begin + SUMMED : pairs;
            __m512i left[HALF], right[HALF]; /* sums for the two panels */
            for (int r = 0; r < HALF; r++) left[r] = right[r] = _mm512_setzero_si512();
            for (int64_t i = begin; i < end; i++) {
                __m512i w_left = _mm512_loadu_si512(w + i * 2 * PANEL);
                __m512i w_right = _mm512_loadu_si512(w + (pairs + i) * 2 * PANEL);
                for (int r = 0; r < HALF; r++) {
                    int32_t pair;
                    memcpy(&pair, x + (first + r) * x_stride + 2 * i, sizeof pair);
                    __m512i input = _mm512_set1_epi32(pair);
                    left[r] = _mm512_dpwssd_epi32(left[r], w_left, input);
                    right[r] = _mm512_dpwssd_epi32(right[r], w_right, input);
                }
            }
            for (int r = 0; r < HALF; r++) {
                float *row = out + (first + r) * out_stride; /* (2 · PANEL) */
                Vector before = begin ? load(row) : splat(0), before_right = begin ? load(row + PANEL) : splat(0);
                store(row, add(before, _mm512_cvtepi32_ps(left[r])));
                store(row + PANEL, add(before_right, _mm512_cvtepi32_ps(right[r])));
            }
        }
}
#else
enum { PAIRED = 0 };
static void matmul_paired(const int16_t *x, int64_t x_stride, const int16_t *w, int64_t pairs, float *out,
                          int64_t out_stride) {
    (void)x, (void)x_stride, (void)w, (void)pairs, (void)out, (void)out_stride;
}
#endif

/* Whether this build multiplies integers. */
API int32_t has_paired_products(void) { return PAIRED; }

/* Store W₁⁽ʲ⁾ e(w) + the row of the case class at j, for all W positions j of words.
 *
 * entry_UE     (U, E)
 * class_U      (U) case class of each word, 0 for PAD; slot_U  (U) its slot in the table
 * weight       (W, H / PANEL, E, PANEL) W₁
 * weight_int16 (W, H / PANEL, (E + 1) / 2, PANEL, 2) the same as integers, by which is multiplied where it is given;
 *              weight_scale  (W, H) what a 1 of them means
 * class_rows   (classes, W, H), or NULL for a model without case classes
 * numbers      of the table: FLOAT32, INT16 or INT8; unit_H  (H) for INT8
 * table        (slots, W, H); scale  (slots, W) for INT16
 * Returns OK, NO_MEMORY, or NOT_FINITE if a row holds infinity or NaN; such a row is not stored.
 */
API int32_t project_words(const float *entry_UE, const int64_t *class_U, const int64_t *slot_U, int64_t words,
                          int64_t entry, int64_t width, int64_t hidden, const float *weight,
                          const int16_t *weight_int16, const float *weight_scale, const float *class_rows,
                          int64_t numbers, const float *unit_H, void *table, float *scale) {
    /* copy e(w), padded with zeros to whole blocks of ROWS words, as floats or as integers */
    int64_t rows = (words + ROWS - 1) / ROWS * ROWS, panels = hidden / PANEL, pairs = (entry + 1) / 2;
    int32_t status = OK;
    float *x = calloc((size_t)(rows * (2 * pairs + hidden + 1) + hidden), sizeof *x);
    if (!x) return NO_MEMORY;
    float *out = x + rows * 2 * pairs, *unit = out + rows * hidden, *per_unit_H = unit + rows; /* (rows, H), (rows), (H) */
    int16_t *integers = (int16_t *)x;                                                         /* (rows, pairs, 2) */
    for (int64_t i = 0; i < hidden && numbers == INT8; i++) per_unit_H[i] = unit_H[i] > 0 ? 1 / unit_H[i] : 0;
    if (!weight_int16) memcpy(x, entry_UE, (size_t)(words * entry) * sizeof *x);
    for (int64_t u = 0; u < words && weight_int16; u++) {
        const float *e = entry_UE + u * entry;
        float most = 0;
        for (int64_t i = 0; i < entry; i++) most = fabsf(e[i]) > most ? fabsf(e[i]) : most;
        float factor = most > 1e-30f ? LARGEST_PAIRED / most : 0;
        unit[u] = all_finite(e, entry) ? most / LARGEST_PAIRED : NAN; /* so that its rows are not finite either */
        for (int64_t i = 0; i < entry; i++) integers[u * 2 * pairs + i] = (int16_t)nearbyintf(e[i] * factor);
    }

    for (int64_t j = 0; j < width; j++) {
        /* out (rows, H) = x (rows, E) · W₁⁽ʲ⁾ (E, H); a panel of the weights stays in cache for all words */
        for (int64_t p = 0; p < panels && weight_int16; p += 2) { /* H is a multiple of two panels then */
            const int16_t *both = weight_int16 + (j * panels + p) * pairs * 2 * PANEL; /* (2, pairs, PANEL, 2) */
            for (int64_t u = 0; u < rows; u += ROWS)
                matmul_paired(integers + u * 2 * pairs, 2 * pairs, both, pairs, out + u * hidden + p * PANEL, hidden);
        }
        for (int64_t p = 0; p < panels && !weight_int16; p += PANELS) {
            const float *panel = weight + (j * panels + p) * entry * PANEL; /* (PANELS, E, PANEL), or the last one */
            for (int64_t u = 0; u < rows; u += ROWS) {
                float *to = out + u * hidden + p * PANEL;
                if (p + PANELS <= panels) matmul_panels(PANELS, x + u * entry, entry, panel, entry, NULL, to, hidden);
                else matmul_panel(x + u * entry, entry, panel, entry, NULL, to, hidden);
            }
        }

        /* add the row of the class, and store */
        for (int64_t u = 0; u < words; u++) {
            float *row = out + u * hidden; /* (H) */
            const float *class_row = class_rows ? class_rows + (class_U[u] * width + j) * hidden : NULL; /* (H) */
            const float *of_unit = weight_int16 ? weight_scale + j * hidden : NULL;                      /* (H) */
            for (int64_t i = 0; of_unit && i < hidden; i++) row[i] *= unit[u] * of_unit[i];
            for (int64_t i = 0; class_row && i < hidden; i++) row[i] += class_row[i];
            if (!all_finite(row, hidden)) status = NOT_FINITE;
            else quantise_row(row, hidden, numbers, per_unit_H, table, scale, slot_U[u] * width + j);
        }
    }
    free(x);
    return status;
}

/* ── Topics: the row that a document adds to its windows ── */

/* Add the vectors of each document's words to its sum, in the order of the words, so that it depends on them alone.
 *
 * word_T          (T) number of each token's word; size_P  (P) tokens of each document
 * vector_of_word  (words) row of each word's vector; 0 for an unknown word
 * sum_PD          (P, D) is added to; known_P  (P) is raised by the tokens that have a vector
 */
API void sum_vectors(const Features *features, const int32_t *word_T, const int64_t *size_P, int64_t documents,
                     const int32_t *vector_of_word, float *restrict sum_PD, int64_t *known_P) {
    int64_t bytes = vector_bytes(features), token = 0, tokens = 0;
    for (int64_t d = 0; d < documents; d++) tokens += size_P[d];
    for (int64_t d = 0; d < documents; d++) {
        float *restrict sum_D = sum_PD + d * features->width;
        for (int64_t end = token + size_P[d]; token < end; token++) {
            /* the table is larger than any cache: load the vector of a later token while this one is added */
            if (token + PREFETCH_DISTANCE < tokens) {
                int64_t later = vector_of_word[word_T[token + PREFETCH_DISTANCE]];
                const char *vector = (const char *)features->codes + later * bytes;
                for (int64_t i = 0; i < bytes; i += CACHE_LINE) __builtin_prefetch(vector + i);
            }
            int64_t row = vector_of_word[word_T[token]];
            if (!row) continue;
            known_P[d]++;
            add_vector(features, row, sum_D);
        }
    }
}

/* Write what a document adds to each of its windows: b₁ + T · ((Σ v(w) / (n + few)) − mean) · scale, where n of its
 * tokens have a vector, and T is the topic's weight.
 *
 * sum_PD, known_P  (P, D) and (P), from sum_vectors
 * mean_D, scale_D  (D) standardise the topic
 * weight           (H / PANEL, D, PANEL) T; bias_H  (H) b₁, or NULL for zeros
 * row_PH           (P, H) receives the rows
 * Returns OK or NO_MEMORY.
 */
API int32_t topic_rows(const float *sum_PD, const int64_t *known_P, int64_t documents, int64_t width, float few,
                       const float *mean_D, const float *scale_D, const float *weight, const float *bias_H,
                       int64_t hidden, float *row_PH) {
    float *topic = calloc((size_t)(ROWS * (width + hidden) + 1), sizeof *topic); /* (ROWS, D), behind it (ROWS, H) */
    if (!topic) return NO_MEMORY;
    float *out = topic + ROWS * width;
    for (int64_t first = 0; first < documents; first += ROWS) {
        /* the standardised topics of ROWS documents; of the last block, the rest are stale and not used */
        int64_t count = documents - first < ROWS ? documents - first : ROWS;
        for (int64_t d = 0; d < count; d++)
            for (int64_t i = 0; i < width; i++) {
                float sum = sum_PD[(first + d) * width + i];
                topic[d * width + i] = (sum / ((float)known_P[first + d] + few) - mean_D[i]) * scale_D[i];
            }
        /* out (ROWS, H) = b₁ + topic (ROWS, D) · T (D, H) */
        for (int64_t p = 0; p < hidden / PANEL; p++)
            matmul_panel(topic, width, weight + p * width * PANEL, width, bias_H ? bias_H + p * PANEL : NULL,
                         out + p * PANEL, hidden);
        memcpy(row_PH + first * hidden, out, (size_t)(count * hidden) * sizeof *out);
    }
    free(topic);
    return OK;
}
