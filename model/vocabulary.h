/* Strings by hash, and words as characters: what reading and looking up have in common.
 *
 * U words · n characters of a word
 */
#ifndef FENESTRA_VOCABULARY_H
#define FENESTRA_VOCABULARY_H

#include <string.h>

#include "kernel.h"

enum { NONE = -1 };
/* Room for a word of KEY_BYTES characters in UTF-8, and some bytes to read over. */
enum { UTF8_BYTES = 4 * KEY_BYTES + 8 };

static inline int is_ascii_digit(uint32_t c) { return c >= '0' && c <= '9'; }

/* A hash of bytes, which may be read 7 further on. */
static inline uint64_t hash_bytes(const uint8_t *bytes, int64_t count, uint64_t seed) {
    uint64_t h = seed ^ (uint64_t)count * 0x9e3779b97f4a7c15u, x;
    for (; count > 0; count -= 8, bytes += 8) {
        memcpy(&x, bytes, 8);
        if (count < 8) x &= ~(uint64_t)0 >> (64 - 8 * count);
        h = (h ^ x) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 29;
}

/* Write a character in UTF-8, surrogates too; returns one past it. */
static inline uint8_t *put_utf8(uint8_t *out, uint32_t c) {
    if (c < 0x80) {
        *out++ = (uint8_t)c;
        return out;
    }
    if (c < 0x800) {
        *out++ = (uint8_t)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *out++ = (uint8_t)(0xe0 | c >> 12);
        } else {
            *out++ = (uint8_t)(0xf0 | c >> 18);
            *out++ = (uint8_t)(0x80 | (c >> 12 & 63));
        }
        *out++ = (uint8_t)(0x80 | (c >> 6 & 63));
    }
    *out++ = (uint8_t)(0x80 | (c & 63));
    return out;
}

/* Read a character of at most three bytes in UTF-8; returns one past it. */
static inline int64_t get_utf8(const uint8_t *utf8, int64_t at, uint32_t *c) {
    uint32_t first = utf8[at];
    if (first < 0x80) {
        *c = first;
        return at + 1;
    }
    if (first < 0xe0) {
        *c = (first & 31) << 6 | (utf8[at + 1] & 63);
        return at + 2;
    }
    *c = (first & 15) << 12 | (utf8[at + 1] & 63u) << 6 | (utf8[at + 2] & 63);
    return at + 3;
}

/* A word, character by character; of at most KEY_BYTES bytes, so at most as many characters. */
typedef struct {
    int64_t size;
    uint32_t form[KEY_BYTES]; /* canonical */
    uint32_t bits[KEY_BYTES]; /* CHAR_ bits of the canonical characters */
} Spelled;

/* Whether the character at `at` is a stress mark behind a letter, with nothing behind it that asks what it stands on. */
static inline int is_stress(const Lookups *lookups, const uint32_t *code_points, int64_t at, int64_t size) {
    if (code_points[at] != STRESS || at < 1 || !(lookups->bits[code_points[at - 1]] & CHAR_STRESSED)) return 0;
    uint32_t next = at + 1 < size ? code_points[at + 1] : ',';
    return next == ',' || next == ')' || (next < PLAIN && lookups->bits[next] & CHAR_LETTER);
}

/* Spell characters in their canonical form; 0 if one of them is odd, or there are none or too many. */
static inline int spell(const Lookups *lookups, const uint32_t *code_points, int64_t size, Spelled *word) {
    if (size < 1 || size > KEY_BYTES) return 0;
    const uint32_t *bits = lookups->bits;
    int ampersand = 0; /* with a semicolon behind it, it may be a reference to a character: &amp; */
    for (int64_t i = 0; i < size; i++) {
        uint32_t c = code_points[i];
        if (c >= PLAIN || (bits[c] & CHAR_ODD && !is_stress(lookups, code_points, i, size))) return 0;
        if (c == '&') ampersand = 1;
        if (c == ';' && ampersand) return 0;
        if (bits[c] & CHAR_QUOTE && i > 0 && i + 1 < size && bits[code_points[i - 1]] & CHAR_LETTER &&
            code_points[i + 1] < PLAIN && bits[code_points[i + 1]] & CHAR_LETTER)
            return 0;
        word->form[i] = lookups->form[c];
        word->bits[i] = bits[word->form[i]];
    }
    word->size = size;
    return 1;
}

enum { PLACE_HASH, PLACE_AT, PLACE_KIND, PLACE_VALUE, PLACE_WIDTH };

/* The place (PLACE_WIDTH) of a string of a hash in Strings, or NULL. utf8 (count) */
static inline const uint32_t *find_hashed(const Strings *strings, uint64_t hash, int kind, const uint8_t *utf8,
                                          int64_t count) {
    uint32_t wanted = (uint32_t)kind << 24 | (uint32_t)count, mask = (uint32_t)(strings->places - 1);
    for (uint32_t at = (uint32_t)hash & mask;; at = (at + 1) & mask) {
        const uint32_t *place = strings->place + (int64_t)at * PLACE_WIDTH;
        if (place[PLACE_KIND] == EMPTY) return NULL;
        if (place[PLACE_HASH] == (uint32_t)(hash >> 32) && place[PLACE_KIND] == wanted &&
            !memcmp(strings->bytes + place[PLACE_AT], utf8, (size_t)count))
            return place;
    }
}

/* The same. utf8 (count, and 7 more that may be read) */
static inline const uint32_t *find_string(const Strings *strings, int kind, const uint8_t *utf8, int64_t count) {
    return find_hashed(strings, hash_bytes(utf8, count, (uint64_t)kind), kind, utf8, count);
}

/* The value of a string, or `otherwise` if it is not in Strings. */
static inline int32_t value_of(const Strings *strings, int kind, const uint8_t *utf8, int64_t count,
                               int32_t otherwise) {
    const uint32_t *found = find_string(strings, kind, utf8, count);
    return found ? (int32_t)found[PLACE_VALUE] : otherwise;
}

/* A string that is going to be looked for. The table is larger than the caches: so all that a word needs is told first,
 * and found then. */
typedef struct {
    const uint8_t *utf8; /* (bytes, and 7 more that may be read) */
    int64_t bytes;
    uint64_t hash;
    int kind;
} Sought;

/* Tell that a string will be looked for: its place is loaded meanwhile. */
static inline Sought seek(const Strings *strings, int kind, const uint8_t *utf8, int64_t bytes) {
    Sought sought = {utf8, bytes, hash_bytes(utf8, bytes, (uint64_t)kind), kind};
    int64_t at = (int64_t)((uint32_t)sought.hash & (uint32_t)(strings->places - 1));
    __builtin_prefetch(strings->place + at * PLACE_WIDTH);
    return sought;
}

/* The place of a string that was told, or NULL. */
static inline const uint32_t *find_sought(const Strings *strings, const Sought *sought) {
    return find_hashed(strings, sought->hash, sought->kind, sought->utf8, sought->bytes);
}

/* Number words of a spelled run or word: the number of what code_points (size) are, spelled as `word`.
 * Returns WORD_IS_ODD or NO_NUMBERS where that is so. */
int32_t number_word(const Lookups *lookups, const Strings *strings, Words *words, const uint32_t *code_points,
                    const Spelled *word);

/* Note that a word is read now. */
static inline void touch(Words *words, int32_t word) {
    words->used[word] = words->used[words->lowered[word]] = words->now;
}

#endif
