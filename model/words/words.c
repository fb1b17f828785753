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
enum { ROWS_AHEAD = 4 };        /* rows of the table that are loaded before they are written */
enum { FEW_ZEROS = 16 };        /* that e(w) begins with; with more of them, it is worth to leave them out */

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

/* Load memory into the cache meanwhile. */
static inline void prefetch(const void *from, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += CACHE_LINE) __builtin_prefetch((const char *)from + i);
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
enum { WORDS_AHEAD = 4 }; /* words that are looked up side by side, so that they wait for memory together */

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

/* A word in a list of words: by its form, in small letters, or as a title. */
typedef struct {
    Sought as[3];
} Listed;

/* A word on its way from characters to rows. */
typedef struct {
    Written form, lower, title, shape, marked;
    uint8_t name[24]; /* of its capitalisation */
    Sought field[MOST_FIELDS];
    Listed cluster, list;
    int64_t field_F[MOST_FIELDS], gram_G[MOST_GRAM_KINDS * (KEY_BYTES + 2)], grams;
} LookedUp;

/* Tell that a word will be looked for in the lists of a kind. */
static Listed seek_listed(const Strings *strings, int kind, const LookedUp *word) {
    return (Listed){{seek(strings, kind, word->form.utf8, word->form.bytes),
                     seek(strings, kind, word->lower.utf8, word->lower.bytes),
                     seek(strings, kind, word->title.utf8, word->title.bytes)}};
}

/* Its value there, or NONE. */
static int32_t find_listed(const Strings *strings, const Listed *listed) {
    const uint32_t *found = find_sought(strings, &listed->as[0]);
    if (!found) found = find_sought(strings, &listed->as[1]);
    if (!found) found = find_sought(strings, &listed->as[2]);
    return found ? (int32_t)found[PLACE_VALUE] : NONE;
}

/* Spell a word, given by its key (bytes), and tell all strings that its fields are looked for by. */
static void seek_fields(const Lookups *lookups, const Strings *strings, const uint8_t *key, int64_t bytes,
                        LookedUp *word) {
    uint32_t code_points[KEY_BYTES];
    int64_t size = 0;
    for (int64_t at = 0; at < bytes; size++) at = get_utf8(key, at, &code_points[size]);
    Spelled spelled = {.size = 0};
    spell(lookups, code_points, size, &spelled);
    const Written *lower = &word->lower;
    write_word(&spelled, NULL, &word->form);
    write_word(&spelled, lookups->lower, &word->lower);

    int has_title = 0, has_cluster = 0, has_list = 0;
    for (int64_t f = 0; f < lookups->fields; f++) {
        int kind = STRING_FIELD + (int)f;
        int64_t affix = lookups->size_F[f] < spelled.size ? lookups->size_F[f] : spelled.size, begin;
        switch (lookups->kind_F[f]) {
        case FIELD_WORD: word->field[f] = seek(strings, kind, lower->utf8, lower->bytes); break;
        case FIELD_CASE: {
            const char *found = case_of(&spelled);
            memset(word->name, 0, sizeof word->name);
            memcpy(word->name, found, strlen(found));
            word->field[f] = seek(strings, kind, word->name, (int64_t)strlen(found));
            break;
        }
        case FIELD_SHAPE:
            write_shape(&spelled, &word->shape);
            word->field[f] = seek(strings, kind, word->shape.utf8, word->shape.bytes);
            break;
        case FIELD_PREFIX: word->field[f] = seek(strings, kind, lower->utf8, lower->end[affix - 1]); break;
        case FIELD_SUFFIX:
            begin = affix < spelled.size ? lower->end[spelled.size - affix - 1] : 0;
            word->field[f] = seek(strings, kind, lower->utf8 + begin, lower->bytes - begin);
            break;
        default:
            if (!has_title) has_title = write_title(lookups, &spelled, &word->title);
            if (lookups->kind_F[f] == FIELD_LISTS) {
                if (!has_list) word->list = seek_listed(strings, STRING_LISTS, word);
                has_list = 1;
            } else {
                if (!has_cluster) word->cluster = seek_listed(strings, STRING_CLUSTER, word);
                has_cluster = 1;
            }
        }
    }
}

/* Find the row of each field of a word, and the buckets of its n-grams; these rows are loaded meanwhile. */
static void find_fields(const Features *features, const Lookups *lookups, const Strings *strings, LookedUp *word) {
    enum { UNSEEN = -2 };
    int32_t cluster = UNSEEN;
    for (int64_t f = 0; f < lookups->fields; f++) {
        const uint32_t *found;
        switch (lookups->kind_F[f]) {
        case FIELD_LISTS: word->field_F[f] = lookups->list_rows[find_listed(strings, &word->list) + 1]; break;
        case FIELD_CLUSTER:
            if (cluster == UNSEEN) cluster = find_listed(strings, &word->cluster);
            word->field_F[f] = lookups->cluster_rows[(cluster + 1) * lookups->cluster_fields + lookups->size_F[f]];
            break;
        default:
            found = find_sought(strings, &word->field[f]);
            word->field_F[f] = found ? (int64_t)found[PLACE_VALUE] : 0;
        }
        __builtin_prefetch(features->table[f] + word->field_F[f] * features->widths[f]);
    }

    word->grams = 0;
    if (!features->gram_width) return;
    word->marked.utf8[0] = '<';
    memcpy(word->marked.utf8 + 1, word->form.utf8, (size_t)word->form.bytes);
    word->marked.utf8[word->form.bytes + 1] = '>';
    word->grams = ngrams_of(word->marked.utf8, word->form.bytes + 2, lookups->gram_sizes, lookups->gram_kinds,
                            lookups->gram_buckets, word->gram_G);
    for (int64_t g = 0; g < word->grams; g++)
        prefetch(features->grams + word->gram_G[g] * features->gram_width, features->gram_width * (int64_t)sizeof(float));
}

/* Write e(w) of words that are known without Python.
 *
 * word_U    (U) their numbers
 * entry_UE  (U, E) receives e(w)
 */
API void encode_words(const Features *features, const Lookups *lookups, const Strings *strings, const Words *words,
                      const int64_t *word_U, int64_t count, float *entry_UE) {
    LookedUp some[WORDS_AHEAD];
    for (int64_t first = 0; first < count; first += WORDS_AHEAD) {
        int64_t end = first + WORDS_AHEAD < count ? first + WORDS_AHEAD : count;
        for (int64_t u = first; u < end; u++) {
            int64_t word = word_U[u];
            prefetch((const char *)features->codes + words->vector[word] * vector_bytes(features), vector_bytes(features));
            seek_fields(lookups, strings, words->key + word * KEY_BYTES, words->bytes[word], &some[u - first]);
        }
        for (int64_t u = first; u < end; u++) find_fields(features, lookups, strings, &some[u - first]);
        for (int64_t u = first; u < end; u++) {
            const LookedUp *word = &some[u - first];
            encode_word(features, words->vector[word_U[u]], word->field_F, word->gram_G, word->grams,
                        entry_UE + u * features->entry);
        }
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
 * e(w) and the weights are what model/engine/paired.py says; a sum of SUMMED pairs of products stays below 2³¹. These are
 * added up as floats, which other units of the processor do meanwhile. */
#ifdef __AVX512VNNI__
enum { PAIRED = 1 };

/* out (ROWS, panels · PANEL) = x (ROWS, pairs, 2) · w (panels, pairs, PANEL, 2), in units of both scales, for one panel or
 * two; a row of x every x_stride integers, a row of out every out_stride floats. All x before pair `first` are 0; this and
 * `pairs` are multiples of SUMMED. */
static inline __attribute__((always_inline)) void matmul_paired(int panels, const int16_t *x, int64_t x_stride,
                                                                const int16_t *w, int64_t first, int64_t pairs,
                                                                float *out, int64_t out_stride) {
    enum { GROUP_PAIRED = ROWS / 2, MOST = 2 }; /* rows whose sums stay in registers, beside the weights; panels */
    for (int row = 0; row < ROWS; row += GROUP_PAIRED) {
        Vector sum[GROUP_PAIRED][MOST];
        for (int r = 0; r < GROUP_PAIRED; r++)
            for (int p = 0; p < panels; p++) sum[r][p] = splat(0);
        for (int64_t begin = first; begin < pairs; begin += SUMMED) {
            __m512i weight[MOST][SUMMED];
            for (int p = 0; p < panels; p++)
                for (int i = 0; i < SUMMED; i++)
                    weight[p][i] = _mm512_loadu_si512(w + (p * pairs + begin + i) * 2 * PANEL);
            for (int r = 0; r < GROUP_PAIRED; r++) {
                __m512i part[MOST];
                for (int p = 0; p < panels; p++) part[p] = _mm512_setzero_si512();
                for (int i = 0; i < SUMMED; i++) {
                    int32_t pair;
                    memcpy(&pair, x + (row + r) * x_stride + 2 * (begin + i), sizeof pair);
                    __m512i input = _mm512_set1_epi32(pair);
                    for (int p = 0; p < panels; p++) part[p] = _mm512_dpwssd_epi32(part[p], weight[p][i], input);
                }
                for (int p = 0; p < panels; p++) sum[r][p] = add(sum[r][p], _mm512_cvtepi32_ps(part[p]));
            }
        }
        for (int r = 0; r < GROUP_PAIRED; r++)
            for (int p = 0; p < panels; p++) store(out + (row + r) * out_stride + p * PANEL, sum[r][p]);
    }
}
#else
enum { PAIRED = 0 };
static inline void matmul_paired(int panels, const int16_t *x, int64_t x_stride, const int16_t *w, int64_t first,
                                 int64_t pairs, float *out, int64_t out_stride) {
    (void)panels, (void)x, (void)x_stride, (void)w, (void)first, (void)pairs, (void)out, (void)out_stride;
}
#endif

/* Whether this build multiplies integers. */
API int32_t has_paired_products(void) { return PAIRED; }

/* How many zeros x (count) begins with. */
static int64_t leading_zeros(const float *x, int64_t count) {
    int64_t zeros = 0;
    while (zeros < count && x[zeros] == 0) zeros++;
    return zeros;
}

/* Write x · factor (count) as integers of at most LARGEST_PAIRED; returns what a 1 means: NaN if x holds no numbers, so
 * that its rows are not finite either. */
static float to_integers(const float *restrict x, const float *restrict factor, int64_t count, int16_t *restrict out) {
    int32_t bits, most_bits = 0; /* of floats that are not negative, which are in the order of their bits */
    for (int64_t i = 0; i < count; i++) {
        float product = x[i] * factor[i];
        memcpy(&bits, &product, sizeof bits);
        bits &= 0x7fffffff;
        most_bits = bits > most_bits ? bits : most_bits;
    }
    float most;
    memcpy(&most, &most_bits, sizeof most);
    if (most_bits >= 0x7f800000) most = 0;
    float per_unit = most > 1e-30f ? LARGEST_PAIRED / most : 0;
    for (int64_t i = 0; i < count; i++) out[i] = (int16_t)nearbyintf(x[i] * factor[i] * per_unit);
    return most_bits < 0x7f800000 ? most / LARGEST_PAIRED : NAN;
}

/* Words whose rows are computed, in blocks of ROWS. */
typedef struct {
    int64_t words, rows; /* U, and that padded to whole blocks */
    int64_t entry, pairs; /* E, and pairs of integers with zeros behind them: a multiple of SUMMED */
    int32_t *word;        /* (rows) which word each is; those without a pretrained vector come last */
    int32_t *zeros;       /* (rows) zeros that e(w) begins with */
    float *x;             /* (rows, E) e(w), or … */
    int16_t *integers;    /* (rows, pairs, 2) … as integers, in the same memory, of which … */
    float *unit;          /* (rows) … a 1 means that */
} Inputs;

/* Put words into order, and copy e(w) of each, as integers where per_balance_E is given. */
static void take_words(Inputs *in, const float *entry_UE, const float *per_balance_E) {
    int64_t placed = 0;
    for (int wanted = 0; wanted < 2; wanted++)
        for (int64_t u = 0; u < in->words; u++) {
            int64_t count = leading_zeros(entry_UE + u * in->entry, in->entry);
            if ((count >= FEW_ZEROS) != wanted) continue;
            in->zeros[placed] = (int32_t)count;
            in->word[placed++] = (int32_t)u;
        }
    for (; placed < in->rows; placed++) in->zeros[placed] = (int32_t)in->entry;
    for (int64_t u = 0; u < in->words; u++) {
        const float *e = entry_UE + in->word[u] * in->entry;
        if (per_balance_E) in->unit[u] = to_integers(e, per_balance_E, in->entry, in->integers + u * 2 * in->pairs);
        else memcpy(in->x + u * in->entry, e, (size_t)in->entry * sizeof *e);
    }
}

/* out (rows, panels · PANEL) = e(w) times the weights of one position; some panels of them stay in cache for all words.
 *
 * weight  (panels, E, PANEL); weight_int16  (panels, pairs, PANEL, 2), or NULL
 */
static void multiply_words(const Inputs *in, const float *weight, const int16_t *weight_int16, int64_t panels,
                           float *out) {
    int64_t some, hidden = panels * PANEL;
    for (int64_t p = 0; p < panels; p += some) {
        some = p + PANELS <= panels ? PANELS : 1;
        for (int64_t u = 0; u < in->rows; u += ROWS) {
            float *to = out + u * hidden + p * PANEL;
            int64_t skipped = in->entry; /* zeros that all of the block begin with */
            for (int64_t r = u; r < u + ROWS; r++) skipped = in->zeros[r] < skipped ? in->zeros[r] : skipped;
            if (weight_int16) {
                const int16_t *block = in->integers + u * 2 * in->pairs, *w = weight_int16 + p * in->pairs * 2 * PANEL;
                int64_t first = skipped / 2 / SUMMED * SUMMED;
                if (some == 2) matmul_paired(2, block, 2 * in->pairs, w, first, in->pairs, to, hidden);
                else matmul_paired(1, block, 2 * in->pairs, w, first, in->pairs, to, hidden);
            } else {
                const float *block = in->x + u * in->entry, *w = weight + p * in->entry * PANEL;
                if (some == PANELS) matmul_panels(PANELS, block, in->entry, w, skipped, in->entry, NULL, to, hidden);
                else matmul_panels(1, block, in->entry, w, skipped, in->entry, NULL, to, hidden);
            }
        }
    }
}

/* Store W₁⁽ʲ⁾ e(w) + the row of the case class at j, for all W positions j of words.
 *
 * entry_UE     (U, E)
 * class_U      (U) case class of each word, 0 for PAD; slot_U  (U) its slot in the table
 * weight       (W, H / PANEL, E, PANEL) W₁
 * weight_int16 (W, H / PANEL, pairs, PANEL, 2) the same as integers, by which is multiplied where it is given;
 *              weight_scale  (W, H) what a 1 of them means; per_balance_E  (E) what e(w) is multiplied by for them
 * class_rows   (classes, W, H), or NULL for a model without case classes
 * numbers      of the table: FLOAT32, INT16 or INT8; unit_H  (H) for INT8
 * table        (slots, W, H); scale  (slots, W) for INT16
 * Returns OK, NO_MEMORY, or NOT_FINITE if a row holds infinity or NaN; such a row is not stored.
 */
API int32_t project_words(const float *entry_UE, const int64_t *class_U, const int64_t *slot_U, int64_t words,
                          int64_t entry, int64_t width, int64_t hidden, const float *weight,
                          const int16_t *weight_int16, const float *weight_scale, const float *per_balance_E,
                          const float *class_rows, int64_t numbers, const float *unit_H, void *table, float *scale) {
    int64_t panels = hidden / PANEL, row_bytes = hidden * (numbers == FLOAT32 ? 4 : numbers == INT16 ? 2 : 1);
    Inputs in = {.words = words, .rows = (words + ROWS - 1) / ROWS * ROWS, .entry = entry,
                 .pairs = (entry + 2 * SUMMED - 1) / (2 * SUMMED) * SUMMED};
    int32_t status = OK;
    in.x = calloc((size_t)(in.rows * (2 * in.pairs + hidden + 3) + hidden), sizeof *in.x);
    if (!in.x) return NO_MEMORY;
    float *out = in.x + in.rows * 2 * in.pairs, *per_unit_H = out + in.rows * hidden; /* (rows, H), (H) */
    in.integers = (int16_t *)in.x;
    in.unit = per_unit_H + hidden;
    in.word = (int32_t *)(in.unit + in.rows);
    in.zeros = in.word + in.rows;
    for (int64_t i = 0; i < hidden && numbers == INT8; i++) per_unit_H[i] = unit_H[i] > 0 ? 1 / unit_H[i] : 0;
    take_words(&in, entry_UE, weight_int16 ? per_balance_E : NULL);

    for (int64_t j = 0; j < width; j++) {
        multiply_words(&in, weight + j * panels * entry * PANEL,
                       weight_int16 ? weight_int16 + j * panels * in.pairs * 2 * PANEL : NULL, panels, out);

        /* add the row of the class, and store */
        for (int64_t u = 0; u < words; u++) {
            if (u + ROWS_AHEAD < words) {
                char *later = (char *)table + (slot_U[in.word[u + ROWS_AHEAD]] * width + j) * row_bytes;
                for (int64_t i = 0; i < row_bytes; i += CACHE_LINE) __builtin_prefetch(later + i, 1);
            }
            float *row = out + u * hidden; /* (H) */
            int64_t word = in.word[u];
            const float *class_row = class_rows ? class_rows + (class_U[word] * width + j) * hidden : NULL; /* (H) */
            const float *of_unit = weight_int16 ? weight_scale + j * hidden : NULL;                         /* (H) */
            for (int64_t i = 0; of_unit && i < hidden; i++) row[i] *= in.unit[u] * of_unit[i];
            for (int64_t i = 0; class_row && i < hidden; i++) row[i] += class_row[i];
            if (!all_finite(row, hidden)) status = NOT_FINITE;
            else quantise_row(row, hidden, numbers, per_unit_H, table, scale, slot_U[word] * width + j);
        }
    }
    free(in.x);
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
                prefetch((const char *)features->codes + later * bytes, bytes);
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
