/* Words by number, and strings by hash: the tables that reading and looking up share.
 *
 * What a word is by itself, its vector, its case, what it may do to a sentence, is worked out once, when it is read for
 * the first time. Plain words, which are nearly all in scripts with an alphabet, are worked out here; others are left to
 * Python (model/engine/vocabulary.py), which this follows rule by rule.
 */
#include "vocabulary.h"

/* ── Strings ── */

/* Index strings; all places are free.
 *
 * at     (count + 1) where in strings->bytes each begins
 * kind   (count) STRING_; value  (count) its number
 * Returns a string that is there twice, of one kind, or NONE.
 */
API int64_t index_strings(Strings *strings, const uint32_t *at, const uint8_t *kind, const int32_t *value,
                          int64_t count) {
    uint32_t mask = (uint32_t)(strings->places - 1);
    for (int64_t s = 0; s < count; s++) {
        const uint8_t *utf8 = strings->bytes + at[s];
        int64_t bytes = at[s + 1] - at[s];
        uint64_t hash = hash_bytes(utf8, bytes, kind[s]);
        if (find_hashed(strings, hash, kind[s], utf8, bytes)) return s;
        uint32_t free = (uint32_t)hash & mask;
        while (strings->place[(int64_t)free * PLACE_WIDTH + PLACE_KIND] != EMPTY) free = (free + 1) & mask;
        uint32_t *place = strings->place + (int64_t)free * PLACE_WIDTH;
        place[PLACE_HASH] = (uint32_t)(hash >> 32);
        place[PLACE_AT] = at[s];
        place[PLACE_KIND] = (uint32_t)kind[s] << 24 | (uint32_t)bytes;
        place[PLACE_VALUE] = (uint32_t)value[s];
    }
    return NONE;
}

/* The value of a string of a kind, or NONE. utf8 (count + 7) */
API int32_t string_value(const Strings *strings, int32_t kind, const uint8_t *utf8, int64_t count) {
    return value_of(strings, kind, utf8, count, NONE);
}

/* ── Words by key ── */

/* Put a word that has a hash into the first free place. */
static inline void place_word(Words *words, int32_t word) {
    int64_t mask = words->places - 1, place = words->hash[word] & mask;
    while (words->place[place]) place = (place + 1) & mask;
    words->place[place] = (uint64_t)words->hash[word] << 32 | (uint32_t)(word + 1);
}

/* Index all words anew, by what they have for hash. */
API void index_words(Words *words) {
    memset(words->place, 0, (size_t)words->places * sizeof *words->place);
    for (int64_t word = 0; word < words->most; word++)
        if (words->bytes[word]) place_word(words, (int32_t)word);
}

/* Look for a key of a hash; *place receives where it stands, or the free place where it would. Returns its number, or
 * NONE. key (KEY_BYTES), zeros behind its end. */
static int32_t find_key(const Words *words, const uint8_t *key, uint32_t hash, int64_t *place) {
    for (int64_t mask = words->places - 1, at = hash & mask;; at = (at + 1) & mask) {
        uint64_t found = words->place[at];
        int32_t word = (int32_t)(uint32_t)found - 1;
        if (!found || (found >> 32 == hash && !memcmp(words->key + (int64_t)word * KEY_BYTES, key, KEY_BYTES))) {
            *place = at;
            return found ? word : NONE;
        }
    }
}

/* The number of a key, which gets one if it has none: then nothing is known of the word but that it is its own
 * lowered form, used now. key (KEY_BYTES), zeros behind the first `bytes`. Returns NO_NUMBERS if there is none left. */
static int32_t number_key(Words *words, const uint8_t *key, int64_t bytes) {
    uint32_t hash = (uint32_t)hash_bytes(key, bytes, words->seed);
    int64_t place;
    int32_t word = find_key(words, key, hash, &place);
    if (word >= 0) return word;
    if (!words->unused) return NO_NUMBERS;
    word = words->free[--words->unused];
    words->hash[word] = hash;
    memcpy(words->key + (int64_t)word * KEY_BYTES, key, KEY_BYTES);
    words->bytes[word] = (uint8_t)bytes;
    words->known[word] = 0;
    words->lowered[word] = word;
    words->used[word] = words->now;
    words->place[place] = (uint64_t)hash << 32 | (uint32_t)(word + 1);
    return word;
}

/* As number_key, for Python. key (bytes), at most KEY_BYTES. */
API int32_t word_number(Words *words, const uint8_t *key, int64_t bytes) {
    uint8_t padded[KEY_BYTES + 8] = {0};
    memcpy(padded, key, (size_t)bytes);
    int32_t word = number_key(words, padded, bytes);
    if (word >= 0) touch(words, word);
    return word;
}

/* Forget the words that were last used before a time. */
API void forget_words(Words *words, int64_t before) {
    for (int64_t word = 0; word < words->most; word++)
        if (words->bytes[word] && words->used[word] < before) {
            words->bytes[word] = 0;
            words->free[words->unused++] = (int32_t)word;
        }
    index_words(words);
}

/* ── What a word is ── */

/* Whether all characters that str.islower and str.isupper look at are of one case. */
static int is_of_case(const Spelled *word, int64_t from, uint32_t wanted, uint32_t other) {
    int found = 0;
    for (int64_t i = from; i < word->size; i++) {
        if (word->bits[i] & (other | CHAR_TITLE)) return 0;
        found |= (word->bits[i] & wanted) != 0;
    }
    return found;
}

static inline int is_lower(const Spelled *word, int64_t from) {
    return is_of_case(word, from, CHAR_LOWER, CHAR_UPPER);
}

static inline int is_upper(const Spelled *word) { return is_of_case(word, 0, CHAR_UPPER, CHAR_LOWER); }

/* As case_evidence in model/network/context.py. */
static uint8_t evidence_of(const Spelled *word) {
    enum { LOWER = 1, TITLE = 2, UPPER = 4 };
    if (is_lower(word, 0)) return LOWER;
    if (!(word->bits[0] & CHAR_UPPER)) return 0;
    return word->size > 1 && is_upper(word) ? UPPER : TITLE;
}

/* Whether a character ends sentences: one of _STOP in model/text/sentences.py. */
static inline int is_stop(uint32_t c) { return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x61f || c == 0x964; }

static inline int is_dash(uint32_t c) { return c == '-' || (c >= 0x2010 && c <= 0x2015); }

/* Whether a word is the date of a dateline: 1996-08-30. */
static int is_date(const Spelled *word) {
    if (word->size != 10) return 0;
    for (int i = 0; i < 10; i++)
        if (i == 4 || i == 7 ? word->form[i] != '-' : !is_ascii_digit(word->form[i])) return 0;
    return 1;
}

/* As Roles in model/text/sentences.py; `listed` are the bits of the lists that hold the word. */
static uint32_t role_of(const Lookups *lookups, const Spelled *word, uint32_t listed) {
    int64_t size = word->size, stops = 1, dashes = 1;
    uint32_t role = listed, first = word->form[0], second = size > 1 ? word->form[1] : 0, last = word->form[size - 1];
    if (word->bits[0] & CHAR_LOWER) {
        role |= ROLE_LOWER;
    } else if (word->bits[0] & CHAR_UPPER) {
        role |= ROLE_CAPITAL;
        if (size > 1 && is_upper(word)) role |= ROLE_UPPER;
    } else if (is_ascii_digit(first) || ((first == '+' || first == '.' || first == '-') && is_ascii_digit(second))) {
        role |= ROLE_NUMBER | (is_date(word) ? ROLE_DATE : 0);
    } else {
        for (int64_t i = 0; i < size; i++) {
            stops &= is_stop(word->form[i]);
            dashes &= is_dash(word->form[i]);
        }
        if (stops) role |= ROLE_ENDS;
        else if (dashes) role |= ROLE_DASH;
    }
    if (last == '.' || last == 0x2026) role |= ROLE_ABBREVIATED;

    /* an initial, with its stop or without */
    if (lookups->keep_stops) {
        if (size == 2 && second == '.' && word->bits[0] & CHAR_UPPER) role |= ROLE_BEFORE_NAME;
    } else if (size == 1 && word->bits[0] & CHAR_UPPER) {
        role |= ROLE_BEFORE_NAME | ROLE_SHORTENED;
    }
    return role;
}

/* Whether str.title makes several characters of one of a word's. */
static int is_odd_as_title(const Spelled *word) {
    int follows_cased = 0;
    for (int64_t i = 0; i < word->size; i++) {
        if (!follows_cased && word->bits[i] & CHAR_ODD_TITLE) return 1;
        follows_cased = (word->bits[i] & (CHAR_LOWER | CHAR_UPPER | CHAR_TITLE)) != 0;
    }
    return 0;
}

/* Longer words are clipped before they are looked at for what they do to sentences. */
enum { LONGEST_PLAIN = 48 };

int32_t number_word(const Lookups *lookups, const Strings *strings, Words *words, const uint32_t *code_points,
                    const Spelled *spelled) {
    /* the key: UTF-8 as the word stands in the text */
    uint8_t key[UTF8_BYTES], *end = key;
    memset(key, 0, KEY_BYTES + 8);
    if (spelled->size > LONGEST_PLAIN) return WORD_IS_ODD;
    for (int64_t i = 0; i < spelled->size; i++) end = put_utf8(end, code_points[i]);
    int64_t bytes = end - key;
    if (bytes > KEY_BYTES) return WORD_IS_ODD;
    int32_t word = number_key(words, key, bytes);
    if (word < 0) return word;
    if (words->known[word]) {
        touch(words, word);
        return word;
    }

    /* its canonical form, and that in small letters */
    uint8_t form[UTF8_BYTES], lower[UTF8_BYTES], *form_end = form, *lower_end = lower;
    memset(lower, 0, KEY_BYTES + 8);
    for (int64_t i = 0; i < spelled->size; i++) {
        form_end = put_utf8(form_end, spelled->form[i]);
        lower_end = put_utf8(lower_end, lookups->lower[spelled->form[i]]);
    }
    int64_t form_bytes = form_end - form, lower_bytes = lower_end - lower;
    if (lower_bytes > KEY_BYTES || is_odd_as_title(spelled)) return WORD_IS_ODD;
    int word_field = lookups->word_field >= 0 ? STRING_FIELD + (int)lookups->word_field : STRING_FIELD;
    Sought of_form = seek(strings, STRING_VECTOR, form, form_bytes), of_lower = seek(strings, STRING_VECTOR, lower, lower_bytes);
    Sought of_role = seek(strings, STRING_ROLE, form, form_bytes), of_field = seek(strings, word_field, lower, lower_bytes);
    int32_t lowered = number_key(words, lower, lower_bytes);
    if (lowered < 0) return lowered;

    /* what is known of it */
    words->lowered[word] = lowered;
    words->size[word] = (int32_t)spelled->size;
    const uint32_t *found = lookups->vectors ? find_sought(strings, &of_form) : NULL;
    if (!found && lookups->vectors) found = find_sought(strings, &of_lower);
    words->vector[word] = found ? (int32_t)found[PLACE_VALUE] : 0;
    words->evidence[word] = evidence_of(spelled);
    found = find_sought(strings, &of_role);
    words->role[word] = role_of(lookups, spelled, found ? found[PLACE_VALUE] : 0);
    words->oov[word] = lookups->word_field >= 0 && !find_sought(strings, &of_field);
    words->known[word] = 1;
    touch(words, word);
    return word;
}

/* The number of a word that all is known of, odd ones too; NONE if it was not read before, or is kept as a digest. */
static int32_t known_word(Words *words, const uint32_t *code_points, int64_t size) {
    uint8_t key[UTF8_BYTES], *end = key;
    if (size < 1 || size > KEY_BYTES) return NONE;
    memset(key, 0, KEY_BYTES + 8);
    for (int64_t i = 0; i < size; i++) end = put_utf8(end, code_points[i]);
    if (end - key > KEY_BYTES) return NONE;
    int64_t place;
    int32_t word = find_key(words, key, (uint32_t)hash_bytes(key, end - key, words->seed), &place);
    return word >= 0 && words->known[word] ? word : NONE;
}

/* Number words that were split already.
 *
 * code_points  (end_N[N − 1]) of all words, end to end; end_N  (N) one past each
 * begin        the word to begin with; count  N
 * word_N       receives their numbers
 * why          (1) receives WORD_IS_ODD or NO_NUMBERS if it stopped early
 * Returns the word that it stopped at; N at the end.
 */
API int64_t number_words(const Lookups *lookups, const Strings *strings, Words *words, const uint32_t *code_points,
                         const int64_t *end_N, int64_t begin, int64_t count, int32_t *word_N, int64_t *why) {
    for (int64_t n = begin; n < count; n++) {
        int64_t at = n ? end_N[n - 1] : 0, size = end_N[n] - at;
        int32_t word = known_word(words, code_points + at, size);
        Spelled spelled;
        if (word >= 0) {
            touch(words, word);
        } else {
            word = WORD_IS_ODD;
            if (spell(lookups, code_points + at, size, &spelled))
                word = number_word(lookups, strings, words, code_points + at, &spelled);
            if (word < 0) {
                *why = word;
                return n;
            }
        }
        word_N[n] = word;
    }
    return count;
}
