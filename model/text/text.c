/* Text to numbered words, sentences and case classes.
 *
 * A run is what stands between two white spaces. Plain runs are split into words here, as the expression of
 * model/text/tokens.py splits them, but for what is rare: addresses for mail, stops that only the context can tell of,
 * scripts without spaces.
 * Such odd runs are split by that expression, in Python, and stored here in a hash table. One that is not in it stops
 * the reading; the caller stores it, or deals with it, and goes on. What follows needs only facts about words that were
 * worked out once, too: their roles for sentences, their case for case classes.
 *
 * P texts, which are documents · T tokens, texts end to end · S sentences, texts end to end
 */
#include "simd.h"
#include "vocabulary.h"

/* Which sources the library was compiled from; library.py compares it. SOURCES is defined by fenestra/hatch_build.py. */
API const char *source_digest(void) { return SOURCES; }

/* Whether Python's str.isspace holds. */
static inline int is_space(uint32_t c) {
    if (c <= 0x20) return c == 0x20 || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f);
    if (c < 0x85) return 0;
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

/* The same for Python, which tests it. */
API int32_t is_whitespace(uint32_t code_point) { return is_space(code_point); }

/* Whether a line ends at a character; the first of "\r\n" does not count. */
static inline int ends_line(const uint32_t *code_points, int64_t at, int64_t limit) {
    uint32_t c = code_points[at];
    if (c == '\r') return at + 1 >= limit || code_points[at + 1] != '\n';
    return (c >= 0x0a && c <= 0x0c) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == PARAGRAPH;
}

/* ── Plain runs ── */

/* The words of a run, by place in it. */
typedef struct {
    int64_t count;
    uint8_t start[KEY_BYTES], end[KEY_BYTES];
} Cut;

/* The value of some characters of a run among the strings of a kind; 0 if they are none. */
static int32_t value_of_letters(const Strings *strings, int kind, const uint32_t *letters, int64_t count) {
    uint8_t utf8[UTF8_BYTES], *end = utf8;
    for (int64_t i = 0; i < count; i++) end = put_utf8(end, letters[i]);
    return value_of(strings, kind, utf8, end - utf8, 0);
}

static inline int is_one_of(uint32_t c, const char *signs) { return c && c < 128 && strchr(signs, (int)c) != NULL; }

/* One past the address on the web that begins at `begin`, as http://, https:// or www.; `begin` if none does, and NONE if
 * what begins so is none. */
static int64_t address_end(const Spelled *run, int64_t begin) {
    static const char *heads[] = {"http://", "https://", "www."};
    const uint32_t *form = run->form;
    for (int h = 0; h < 3; h++) {
        int64_t at = begin, size = (int64_t)strlen(heads[h]);
        while (at < run->size && at - begin < size && form[at] == (uint32_t)heads[h][at - begin]) at++;
        if (at - begin < size) continue;
        int64_t end = at;
        while (end < run->size && !is_one_of(form[end], "<>\"")) end++;
        while (end > at && is_one_of(form[end - 1], ".,;:!?')]}")) end--;
        return end > at ? end : NONE;
    }
    return begin;
}

/* Where in a word with an apostrophe its clitic begins; its end if it has none, or is nothing else. */
static int64_t clitic_start(const Lookups *lookups, const Strings *strings, const uint32_t *form, int64_t begin,
                            int64_t end) {
    uint8_t small[KEY_BYTES + 8];
    int64_t longest = lookups->longest_clitic < end - begin ? lookups->longest_clitic : end - begin;
    for (int64_t size = longest; size > 0; size--) {
        for (int64_t i = 0; i < size; i++) {
            uint32_t c = form[end - size + i];
            small[i] = c < 128 ? (uint8_t)(c >= 'A' && c <= 'Z' ? c | 32 : c) : 0;
        }
        if (find_string(strings, STRING_CLITIC, small, size)) return end - size > begin ? end - size : end;
    }
    return end;
}

static inline void add_word(Cut *cut, int64_t begin, int64_t end) {
    cut->start[cut->count] = (uint8_t)begin;
    cut->end[cut->count++] = (uint8_t)end;
}

/* One past the number with signs inside that begins at `begin`, 1,200.50 or 1996-08-22; `begin` if none does, and NONE
 * if it goes on with a letter. */
static int64_t number_end(const Spelled *run, int64_t begin) {
    const uint32_t *form = run->form;
    int64_t end = begin, size = run->size, parts = 0;
    while (end < size && is_ascii_digit(form[end])) end++;
    while (end + 1 < size && is_one_of(form[end], ".,:/-") && is_ascii_digit(form[end + 1])) {
        for (end++; end < size && is_ascii_digit(form[end]); end++) {}
        parts++;
    }
    if (!parts) return begin;
    return end < size && run->bits[end] & CHAR_OF_WORD ? NONE : end;
}

/* One past the word that begins at `begin`, with single hyphens and the like inside; NONE where there are rows of
 * different ones. apostrophe receives 1 if one of them is that. */
static int64_t word_end(const Spelled *run, int64_t begin, int *apostrophe) {
    const uint32_t *form = run->form, *bits = run->bits;
    int64_t at = begin, size = run->size;
    for (*apostrophe = 0;; at++) {
        while (at < size && bits[at] & CHAR_OF_WORD) at++;
        if (at + 1 >= size || !is_one_of(form[at], "-'&_")) return at;
        uint32_t next = form[at + 1];
        if (bits[at + 1] & CHAR_OF_WORD) *apostrophe |= form[at] == '\'';
        else return is_one_of(next, "-'&_") && (next != form[at] || next == '\'' || next == '&') ? NONE : at;
    }
}

/* One past the sign that begins at `begin`, or past a row of signs that are one word; NONE if it could begin something
 * else. */
static int64_t sign_end(const Strings *strings, const Spelled *run, int64_t begin) {
    const uint32_t *form = run->form, *bits = run->bits;
    int64_t at = begin + 1, size = run->size;
    uint32_t c = form[begin], next = at < size ? form[at] : 0;
    int before_word = at < size && bits[at] & CHAR_OF_WORD;
    if (c == '@' || c == '#') { /* @name, #topic; ada@example.org is an address for mail */
        if (c == '@' && begin && (bits[begin - 1] & CHAR_OF_WORD || is_one_of(form[begin - 1], "_.+-"))) return NONE;
        while (at < size && (bits[at] & CHAR_OF_WORD || form[at] == '_')) at++;
        return at == begin + 1 && next == '#' ? NONE : at;
    }
    if (c == '.' || c == '-' || c == '_') { /* rows; one before a digit may belong to a number */
        while (at < size && form[at] == c) at++;
        int may_count = c != '_' && at == begin + 1 && at < size && (is_ascii_digit(form[at]) || (c == '-' && next == '.'));
        return may_count ? NONE : at;
    }
    if (bits[begin] & CHAR_DASH) {
        while (at < size && bits[at] & CHAR_DASH) at++;
        return at;
    }
    if (c == '\'') { /* a clitic after a space: 's */
        if (next == '\'') return NONE;
        int64_t end = at;
        while (end < size && bits[end] & CHAR_OF_WORD) end++;
        return before_word && value_of_letters(strings, STRING_PARTICLE, form + begin, end - begin) ? end : at;
    }
    if (c == '+' && (is_ascii_digit(next) || next == '.')) return NONE;
    return c == next && is_one_of(c, "*=~") ? NONE : at;
}

/* Split a run into words, as _expression in model/text/tokens.py does; 0 if that takes more than the rules here, which
 * know words, numbers, signs, addresses on the web, names and topics of social media, and listed abbreviations. */
static int cut_run(const Lookups *lookups, const Strings *strings, const Spelled *run, Cut *cut) {
    const uint32_t *form = run->form, *bits = run->bits;
    int64_t size = run->size;
    cut->count = 0;
    for (int64_t begin = 0, end; begin < size; begin = end) {
        if (!(bits[begin] & CHAR_OF_WORD)) {
            end = sign_end(strings, run, begin);
            if (end < 0) return 0;
            add_word(cut, begin, end);
            continue;
        }
        int apostrophe = 0;
        end = form[begin] == 'h' || form[begin] == 'w' ? address_end(run, begin) : begin;
        for (int64_t at = begin; at < end; at++) apostrophe |= form[at] == '\'';
        if (end == begin && is_ascii_digit(form[begin])) end = number_end(run, begin);
        if (end < 0) return 0;
        if (end == begin) {
            end = word_end(run, begin, &apostrophe);
            if (end < 0) return 0;
            if (end < size && form[end] == '$') return 0; /* US$ */
            if (end < size && form[end] == '.') { /* U.S.  J.  open-forum.com */
                int before_word = end + 1 < size && bits[end + 1] & CHAR_OF_WORD;
                if (before_word || (end - begin == 1 && bits[begin] & (CHAR_UPPER | CHAR_TITLE))) return 0;
                int32_t stop = value_of_letters(strings, STRING_STOPPED, form + begin, end - begin);
                if (stop == STOP_IS_ODD) return 0;
                end += stop == STOP_IS_ITS_OWN; /* Inc. */
            }
        }
        int64_t clitic = apostrophe ? clitic_start(lookups, strings, form, begin, end) : end;
        if (clitic < end) add_word(cut, begin, clitic);
        add_word(cut, clitic < end ? clitic : begin, end);
    }
    return 1;
}

/* ── The table of odd runs ── */

/* A hash of a run: letters (count), and what follows it (NOTHING_FOLLOWS …). */
static uint64_t hash_run(const uint32_t *letters, int64_t count, int after) {
    uint64_t h = 0x9e3779b97f4a7c15u + (uint64_t)after;
    for (int64_t i = 0; i < count; i++) {
        h = (h ^ letters[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return h;
}

/* The number of a run, or −1 if it is not in the table. letters (count); hash as of hash_run. */
static int32_t find_run(const Runs *runs, const uint32_t *letters, int64_t count, uint64_t hash) {
    int64_t mask = runs->places - 1;
    /* linear probing: from the hash's place to the first free one, of which there are always some */
    for (int64_t place = (int64_t)(hash & (uint64_t)mask);; place = (place + 1) & mask) {
        int32_t run = runs->run[place];
        if (run < 0) return -1;
        if (runs->hash[place] == hash && runs->letters_of[run] == count &&
            !memcmp(runs->letters + runs->letters_at[run], letters, (size_t)count * sizeof *letters))
            return run;
    }
}

/* Store a run and its words; 0 if there is no room or the run is too long.
 *
 * letters  (count) its code points
 * after    what follows it (NOTHING_FOLLOWS …): a run may be split otherwise, so it is stored apart
 * words    (words_of) numbers of the words that it is split into
 * starts   (words_of) where in the run each of them starts
 */
API int32_t remember_run(Runs *runs, const uint32_t *letters, int64_t count, int32_t after, const int32_t *words,
                         const uint8_t *starts, int64_t words_of) {
    if (count > LONGEST_RUN || runs->runs >= runs->most_runs || runs->used_letters + count > runs->most_letters ||
        runs->used_words + words_of > runs->most_words)
        return 0;
    uint64_t hash = hash_run(letters, count, after);
    if (find_run(runs, letters, count, hash) >= 0) return 1;

    /* take the first free place from the hash's on, and the next number */
    int64_t mask = runs->places - 1, place = (int64_t)(hash & (uint64_t)mask);
    while (runs->run[place] >= 0) place = (place + 1) & mask;
    int32_t run = (int32_t)runs->runs++;
    runs->hash[place] = hash;
    runs->run[place] = run;

    /* append its code points and its words */
    runs->letters_at[run] = runs->used_letters;
    runs->letters_of[run] = (int32_t)count;
    memcpy(runs->letters + runs->used_letters, letters, (size_t)count * sizeof *letters);
    runs->used_letters += count;
    runs->words_at[run] = runs->used_words;
    runs->words_of[run] = (int32_t)words_of;
    memcpy(runs->words + runs->used_words, words, (size_t)words_of * sizeof *words);
    memcpy(runs->starts + runs->used_words, starts, (size_t)words_of * sizeof *starts);
    runs->used_words += words_of;
    return 1;
}

/* ── Reading: code points to tokens ── */

/* One past the run that begins at `begin`; texts (…, limit) end at limit. */
static inline int64_t run_end(const uint32_t *code_points, int64_t begin, int64_t limit) {
    int64_t end = begin + 1;
    while (end < limit && !is_space(code_points[end])) end++;
    return end;
}

/* The KIND_ bits of a character; −1 beyond the table, where only Python knows them. */
static inline int kind_of(const Runs *runs, uint32_t c) { return c < KINDS ? runs->kind[c] : -1; }

static inline int is_ascii_letter(uint32_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

/* Whether a Roman number of two digits or more begins here, or a letter that could be one: as _NUMERAL in tokens.py. */
static int is_numeral(const uint32_t *code_points, int64_t at, int64_t limit) {
    int64_t end = at;
    while (end < limit && code_points[end] < 128 && code_points[end] && strchr("IVXLC", (int)code_points[end])) end++;
    int is_roman = end - at >= 2;
    uint32_t c = code_points[at];
    if (!is_roman && !(c >= 'B' && c <= 'Z' && c != 'I')) return 0;
    if (!is_roman) end = at + 1;
    if (end >= limit || is_space(code_points[end])) return 1;
    c = code_points[end];
    return c == ',' || c == ';' || c == ':' || c == ')' || c == ']' || (is_roman && c == '.');
}

/* Whether a run begins with a word that opens sentences; −1 if only Python can tell. */
static int begins_with_opener(const Runs *runs, const Lookups *lookups, const Strings *strings, const Words *words,
                              const uint32_t *letters, int64_t count) {
    if (count > LONGEST_RUN) return -1;
    Spelled run;
    Cut cut;
    if (spell(lookups, letters, count, &run) && cut_run(lookups, strings, &run, &cut)) {
        uint8_t utf8[UTF8_BYTES], *end = utf8;
        for (int64_t i = cut.start[0]; i < cut.end[0]; i++) end = put_utf8(end, run.form[i]);
        return (value_of(strings, STRING_ROLE, utf8, end - utf8, 0) & ROLE_OPENER) != 0;
    }
    int32_t stored = find_run(runs, letters, count, hash_run(letters, count, NOTHING_FOLLOWS));
    if (stored < 0 || !runs->words_of[stored]) return -1;
    return (words->role[runs->words[runs->words_at[stored]]] & ROLE_OPENER) != 0;
}

/* What follows the full stop at the end of a run, if that decides whether the stop belongs to the word before: as
 * Tokenizer.after_stop in model/text/tokens.py, where it is explained.
 *
 * text_begin, limit  of the text
 * Returns NOTHING_FOLLOWS, NAME_FOLLOWS or NUMBER_FOLLOWS; or −1 if only Python can tell.
 */
static int after_stop(const Runs *runs, const Lookups *lookups, const Strings *strings, const Words *words,
                      const uint32_t *code_points, int64_t text_begin, int64_t begin, int64_t end, int64_t limit) {
    if (!runs->keep_stops) return NOTHING_FOLLOWS;
    int64_t stop = end - 1;
    while (stop > begin && code_points[stop] < KINDS && runs->kind[code_points[stop]] & KIND_INVISIBLE) stop--;
    if (code_points[stop] != '.') return NOTHING_FOLLOWS;
    if (stop < end - 1) return -1;

    /* what follows: a number? */
    int64_t after = end, lines = 0;
    for (; after < limit && is_space(code_points[after]); after++) lines += ends_line(code_points, after, limit);
    uint32_t following = after < limit && lines < 2 ? code_points[after] : 0;
    if (after > end && following >= '0' && following <= '9') return NUMBER_FOLLOWS;

    if (after > end && following && end - begin >= 3 && is_ascii_letter(code_points[end - 2]) &&
        is_ascii_letter(code_points[end - 3]) && is_numeral(code_points, after, limit))
        return NUMBER_FOLLOWS;

    /* a single capital before the stop? */
    if (end - begin < 2) return NOTHING_FOLLOWS;
    int kind = kind_of(runs, code_points[end - 2]);
    if (kind < 0 || kind & (KIND_MARK | KIND_INVISIBLE) || code_points[end - 2] == ';') return -1;
    if (!(kind & KIND_UPPER)) return NOTHING_FOLLOWS;

    /* it is an initial before a letter, unless that begins a word that opens sentences */
    int next = following ? kind_of(runs, following) : 0;
    if (next < 0 || next & KIND_INVISIBLE || following == '&') return -1;
    if (next & KIND_LETTER) {
        if (!(next & KIND_UPPER) || (after + 1 < limit && code_points[after + 1] == '.')) return NAME_FOLLOWS;
        int opener = begins_with_opener(runs, lookups, strings, words, code_points + after,
                                        run_end(code_points, after, limit) - after);
        if (opener < 0) return -1;
        if (!opener) return NAME_FOLLOWS;
    }

    if (following == '(' && after + 1 < limit && code_points[after + 1] >= '0' && code_points[after + 1] <= '9')
        return NAME_FOLLOWS;

    /* … and behind another initial wherever it stands */
    int64_t before = end - 3;
    while (before >= text_begin && is_space(code_points[before])) before--;
    if (before < text_begin + 1 || code_points[before] != '.') return NOTHING_FOLLOWS;
    kind = kind_of(runs, code_points[before - 1]);
    if (kind < 0) return -1;
    if (!(kind & KIND_UPPER)) return NOTHING_FOLLOWS;
    if (before == text_begin + 1) return NAME_FOLLOWS;
    kind = kind_of(runs, code_points[before - 2]);
    return kind < 0 ? -1 : kind & KIND_OF_WORD ? NOTHING_FOLLOWS : NAME_FOLLOWS;
}

/* Skip white space from `at` on, and note in `reading` what it says: line breaks, and spaces, of which a tab counts for
 * GAP. Returns where it ends. */
static inline int64_t skip_space(const uint32_t *code_points, int64_t at, int64_t limit, Reading *reading) {
    for (; at < limit && is_space(code_points[at]); at++) {
        uint32_t c = code_points[at];
        reading->spaces += c == '\t' ? GAP : 1;
        reading->lines += ends_line(code_points, at, limit) * (c == PARAGRAPH ? 2 : 1);
    }
    return at;
}

/* What stood between two tokens, and the counts back to 0. */
static inline uint8_t take_gap(Reading *reading) {
    int64_t lines = reading->lines, spaces = reading->spaces;
    reading->lines = reading->spaces = 0;
    if (lines) return lines == 1 ? GAP_LINE : GAP_BLANK_LINE;
    return spaces >= GAP ? GAP_CELL : 0;
}

/* Words ahead, whose places in the tables are loaded before they are read: the tables are larger than the caches. */
enum { PLACES_AHEAD = 8, KEYS_AHEAD = 4 }; /* runs */
typedef struct {
    int64_t at;                  /* where to look next; before it, PLACES_AHEAD runs were seen */
    int64_t seen;                /* runs */
    uint32_t hash[PLACES_AHEAD]; /* of the words that the last of them are, punctuation left out */
} Ahead;

/* Look at one more run of all code points (limit), and have memory loaded that it will ask for, and that of an earlier
 * one. A run that is several words is taken for one, which loads in vain. */
static inline void look_ahead(Ahead *ahead, const uint32_t *bits, const Words *words, const uint32_t *code_points,
                              int64_t limit) {
    int64_t at = ahead->at;
    while (at < limit && is_space(code_points[at])) at++;
    int64_t begin = at, mask = words->places - 1;
    uint8_t key[UTF8_BYTES], *end = key;
    memset(key, 0, KEY_BYTES + 8);
    for (; at < limit && at - begin < KEY_BYTES / 2 && !is_space(code_points[at]); at++) {
        uint32_t c = code_points[at];
        if (c >= PLAIN || !(bits[c] & CHAR_OF_WORD)) break;
        end = put_utf8(end, c);
    }
    while (at < limit && !is_space(code_points[at])) at++;
    uint32_t hash = (uint32_t)hash_bytes(key, end - key, words->seed);
    __builtin_prefetch(words->place + (hash & mask));
    ahead->hash[ahead->seen++ % PLACES_AHEAD] = hash;
    ahead->at = at;

    uint64_t place = words->place[ahead->hash[(ahead->seen + KEYS_AHEAD) % PLACES_AHEAD] & mask];
    if (!place) return;
    int64_t word = (int64_t)(uint32_t)place - 1;
    __builtin_prefetch(words->key + word * KEY_BYTES);
    __builtin_prefetch(words->used + word);
    __builtin_prefetch(words->lowered + word);
}

/* Put the words of a plain run behind the tokens: their numbers and where they start. Returns how many there are; NONE
 * if the run or a word of it is odd, or NO_NUMBERS. */
static int64_t read_plain_run(const Lookups *lookups, const Strings *strings, Words *words,
                              const uint32_t *letters, int64_t size, int32_t run_begin, int32_t *word_T,
                              int32_t *start_T) {
    Spelled run, part;
    Cut cut;
    if (!spell(lookups, letters, size, &run) || !cut_run(lookups, strings, &run, &cut)) return NONE;
    for (int64_t i = 0; i < cut.count; i++) {
        int64_t begin = cut.start[i];
        const Spelled *word = &run;
        if (cut.count > 1) {
            part.size = cut.end[i] - begin;
            memcpy(part.form, run.form + begin, (size_t)part.size * sizeof *part.form);
            memcpy(part.bits, run.bits + begin, (size_t)part.size * sizeof *part.bits);
            word = &part;
        }
        int32_t number = number_word(lookups, strings, words, letters + begin, word);
        if (number < 0) return number == NO_NUMBERS ? NO_NUMBERS : NONE;
        word_T[i] = number;
        start_T[i] = run_begin + (int32_t)begin;
    }
    return cut.count;
}

/* Read on, from text to text, until all is read, the room for tokens could run out, or the next run is odd and not in
 * the table, or has a new word and there is no number for it.
 *
 * code_points     (end_P[P − 1]) of all texts, end to end
 * end_P           (P) one past each text, P = texts
 * reading         where to begin, and, afterwards, where it stopped
 * word_T          (room) number of each token's word
 * start_T         (room) where the token starts in its text, in code points
 * gap_T           (room) what stands before the token: GAP_LINE …, or 0
 * tokens_until_P  (P) tokens of all texts up to each one's end, for the texts that were finished
 * Returns READ_ALL, READ_FULL, READ_UNKNOWN_RUN or READ_NO_NUMBERS.
 */
API int32_t read_texts(const Runs *runs, const Lookups *lookups, const Strings *strings, Words *words,
                       const uint32_t *code_points, const int64_t *end_P, int64_t texts, Reading *reading,
                       int32_t *word_T, int32_t *start_T, uint8_t *gap_T, int64_t room, int64_t *tokens_until_P) {
    int64_t at = reading->at, text = reading->text, tokens = reading->tokens;
    int32_t stopped = READ_ALL;
    Ahead ahead = {.at = at};
    int64_t code_end = texts ? end_P[texts - 1] : 0;
    for (int run = 0; run < PLACES_AHEAD; run++) look_ahead(&ahead, lookups->bits, words, code_points, code_end);
    while (text < texts) {
        /* skip white space; at its end, go on to the next text */
        int64_t limit = end_P[text], text_begin = text ? end_P[text - 1] : 0;
        at = skip_space(code_points, at, limit, reading);
        if (at >= limit) {
            tokens_until_P[text++] = tokens;
            take_gap(reading);
            continue;
        }

        look_ahead(&ahead, lookups->bits, words, code_points, code_end);

        /* a plain run; it has at most as many words as characters */
        int64_t end = run_end(code_points, at, limit), count = end - at, read = NONE;
        int32_t run_begin = (int32_t)(at - text_begin);
        if (count <= LONGEST_RUN) {
            if (tokens + count > room) {
                stopped = READ_FULL;
                break;
            }
            read = read_plain_run(lookups, strings, words, code_points + at, count, run_begin, word_T + tokens,
                                  start_T + tokens);
        }
        if (read == NO_NUMBERS) {
            stopped = READ_NO_NUMBERS;
            break;
        }

        /* an odd one */
        if (read < 0) {
            int after = after_stop(runs, lookups, strings, words, code_points, text_begin, at, end, limit);
            int32_t run = -1;
            if (count <= LONGEST_RUN && after >= 0)
                run = find_run(runs, code_points + at, count, hash_run(code_points + at, count, after));
            if (run < 0) {
                reading->stop = end;
                reading->undecided = after < 0;
                stopped = READ_UNKNOWN_RUN;
                break;
            }
            read = runs->words_of[run];
            const int32_t *word = runs->words + runs->words_at[run];    /* (read) */
            const uint8_t *start = runs->starts + runs->words_at[run]; /* (read) */
            for (int64_t i = 0; i < read; i++) {
                word_T[tokens + i] = word[i];
                start_T[tokens + i] = run_begin + start[i];
                touch(words, word[i]);
            }
        }

        /* the gap stands before the first word */
        for (int64_t i = 0; i < read; i++) gap_T[tokens++] = i ? 0 : take_gap(reading);
        at = end;
    }
    reading->at = at;
    reading->text = text;
    reading->tokens = tokens;
    return stopped;
}

/* List runs ahead that are odd and not in the table but could be, so that many are split in one go.
 *
 * code_points, end_P  as of read_texts
 * reading             where to begin
 * found               (most, 3) begin, end and what follows (NOTHING_FOLLOWS …), of each run
 * distance            code points to look ahead
 * Returns how many were found.
 */
API int64_t unknown_runs(const Runs *runs, const Lookups *lookups, const Strings *strings, const Words *words,
                         const uint32_t *code_points, const int64_t *end_P, int64_t texts, const Reading *reading,
                         int64_t *found, int64_t most, int64_t distance) {
    int64_t at = reading->at, count = 0, until = at + distance;
    Spelled run;
    Cut cut;
    for (int64_t text = reading->text; text < texts && count < most && at < until; text++) {
        int64_t limit = end_P[text], text_begin = text ? end_P[text - 1] : 0;
        while (at < limit && at < until && count < most) {
            /* the next run */
            while (at < limit && is_space(code_points[at])) at++;
            if (at >= limit) break;
            int64_t end = run_end(code_points, at, limit);

            /* list it if it is odd, short enough for the table, clear in its ending, and not stored */
            int is_first = at == reading->at; /* which may be odd for a word of it */
            if (end - at <= LONGEST_RUN &&
                (is_first || !spell(lookups, code_points + at, end - at, &run) || !cut_run(lookups, strings, &run, &cut))) {
                int after = after_stop(runs, lookups, strings, words, code_points, text_begin, at, end, limit);
                if (after >= 0 &&
                    find_run(runs, code_points + at, end - at, hash_run(code_points + at, end - at, after)) < 0) {
                    found[3 * count] = at;
                    found[3 * count + 1] = end;
                    found[3 * count++ + 2] = after;
                }
            }
            at = end;
        }
        if (at < limit) break;
        at = limit;
    }
    return count;
}

/* ── Sentences ──
 *
 * A state machine over the roles of words, the same as Splitter in model/text/sentences.py, where the rules are
 * explained; quote_closes, parts and stops are methods of it.
 */

typedef struct {
    int role, role_before;  /* of the last token and of the one before it; AM and PM do not count */
    int stop;               /* ROLE_MAY_END bits of the last token that is not a closing mark */
    int quote_open;         /* whether a straight quotation mark is open */
    int64_t line_start;     /* of the first token of the line or cell, in code points of the text */
    int64_t line_words;     /* tokens of it; initials, titles and stops do not count */
    int64_t token_end;      /* of the last token, in code points of the text */
    int64_t sentence;       /* the first token of the sentence */
    int64_t place;          /* the first of the words in capitals that could be a dateline's place; −1 if there is no
                               such word, 0 if they cannot be a place */
    int64_t item;           /* a stop behind a number that follows another, which counts if a capital comes next; −2 if
                               there is none */
    int64_t dash;           /* a dash behind a full stop, which begins a sentence unless lower case follows; −1 if the
                               last token is none */
} Splitter;

/* Whether a straight quotation mark closes: it is attached to the word that it belongs to. With white space on both
 * sides, or on neither, every other one closes. */
static inline int quote_closes(Splitter *s, int space_before, int space_after) {
    int closes = space_before == space_after ? s->quote_open : space_after;
    s->quote_open = !closes;
    return closes;
}

/* Whether a gap that is a line's or a cell's end ends the sentence; not between a title or initial and a name. */
static inline int parts(const Splitter *s, int gap, int next) {
    if (gap == GAP_BLANK_LINE) return 1;
    if (s->role & ROLE_BEFORE_NAME && next & ROLE_CAPITAL && s->line_words >= FEW_WORDS) return 0;
    return gap == GAP_CELL || (s->token_end - s->line_start <= SHORT_LINE && !(next & ROLE_LOWER));
}

/* Whether the next word is the bullet that begins an item of a list. */
static inline int begins_item(const Splitter *s, int next) { return next & ROLE_BULLET && !(s->role & ROLE_BULLET); }

/* Whether what was read ends a sentence that the next word could follow. */
static inline int stops(const Splitter *s, int next) {
    /* of several stops the last one counts; nothing begins with a comma or a closing mark, nor in lower case but
     * behind a question: so? we left */
    if (!s->stop || next & (ROLE_CLOSES | ROLE_ENDS | ROLE_CONTINUING | ROLE_DASH)) return 0;
    if (next & ROLE_LOWER) return (s->role & (ROLE_ENDS | ROLE_ABBREVIATED)) == ROLE_ENDS;
    if (s->stop & ROLE_ENDS) return 1;
    if (s->stop & ROLE_ABBREVIATED && next & ROLE_OPENER) return 1;
    /* before a capital: a date, or two numbers in a row, end a dateline or the row of a table */
    return next & ROLE_CAPITAL && (s->stop & ROLE_DATE || s->role_before & s->stop & ROLE_NUMBER);
}

/* Move on over a token, whose place is `token` and whose role is `role`. */
static inline void move_on(Splitter *s, int64_t token, int role, int is_first) {
    /* words in capitals could be the place of a dateline, unless they follow a lower-case word or a number */
    if (role & ROLE_UPPER) {
        if (s->place < 0 || !(s->role & (ROLE_UPPER | ROLE_COMMA)))
            s->place = s->role & (ROLE_LOWER | ROLE_NUMBER) ? 0 : token;
    } else if (!(role & (ROLE_CAPITAL | ROLE_COMMA))) {
        s->place = -1;
    }
    s->line_words += !(role & (ROLE_BEFORE_NAME | ROLE_ENDS | ROLE_CONTINUING));
    /* AM and PM belong to the number before them; only a full stop reaches through what closes after it */
    if (!(role & ROLE_CLOCK)) {
        s->stop = !(role & ROLE_CLOSES) || is_first ? role & ROLE_MAY_END : s->stop & ROLE_ENDS;
        s->role_before = s->role;
        s->role = role;
    }
}

/* Split the tokens of texts into sentences.
 *
 * code_points, end_P, tokens_until_P, word_T, start_T, gap_T, role_of_word  as of read_texts
 * size_of_word  (words) code points of each word
 * length_S     (T) receives the tokens of each sentence
 * sentences_P  (P) receives the sentences of each text
 * Returns S.
 */
API int64_t split_sentences(const uint32_t *code_points, const int64_t *end_P, int64_t texts,
                            const int64_t *tokens_until_P, const int32_t *word_T, const int32_t *start_T,
                            const uint8_t *gap_T, const int32_t *size_of_word, const uint32_t *role_of_word,
                            int64_t *length_S, int64_t *sentences_P) {
    int64_t sentences = 0, token = 0;
    for (int64_t text = 0; text < texts; text++) {
        int64_t text_begin = text ? end_P[text - 1] : 0, text_size = end_P[text] - text_begin;
        const uint32_t *letters = code_points + text_begin; /* (text_size) */
        int64_t first = token, sentences_before = sentences;
        Splitter s = {.sentence = first, .place = -1, .item = -2, .dash = -1};
        for (; token < tokens_until_P[text]; token++) {
            int role = role_of_word[word_T[token]], gap = token > first ? gap_T[token] : 0;
            int64_t start = start_T[token], end = start + size_of_word[word_T[token]];

            /* settle the role of a quotation mark, and of an AM or PM that is not a time of day: PM Modi, I AM; where
             * every stop is a token, of the stop of an abbreviation, and of an initial that is also a word; and of a stop that
             * counts (1. Moss) or leans on what follows (.com) */
            if (gap == GAP_BLANK_LINE) s.quote_open = 0;
            if (role & ROLE_QUOTE) {
                int space_before = token == first || start > s.token_end;
                int space_after = start + 1 >= text_size || is_space(letters[start + 1]);
                if (quote_closes(&s, space_before, space_after)) role |= ROLE_CLOSES;
            }
            if (role & ROLE_CLOCK && !(s.role & ROLE_NUMBER)) role &= ~(ROLE_CLOCK | ROLE_LOWER);
            if (role & ROLE_ENDS) {
                int is_free = token == first || start > s.token_end, is_stop = end == start + 1 && letters[start] == '.';
                int leans_on_next = is_free && end < text_size && !is_space(letters[end]);
                int is_behind_number = !is_free && is_stop && s.role & ROLE_NUMBER;
                int is_short = is_behind_number && start - start_T[token - 1] <= ITEM_DIGITS;
                int is_of_item = is_short && s.role_before & (ROLE_NUMBER | ROLE_CLOSES);
                if (!leans_on_next && is_stop && s.role & ROLE_SHORTENED)
                    role = ROLE_ABBREVIATED | (s.role & (ROLE_BEFORE_NAME | ROLE_LABELS));
                else if (is_of_item || leans_on_next || (is_behind_number && token - s.sentence == 1))
                    role &= ~ROLE_ENDS;
                if (is_of_item && !(s.role & ROLE_SHORTENED)) s.item = token;
            }
            if (role & ROLE_OPENER && s.role & ROLE_LABELS && end == start + 1) role &= ~ROLE_OPENER;
            if (role & ROLE_OPENER && role & ROLE_SHORTENED) {
                int64_t next = end < text_size && letters[end] == ' ' ? end + 1 : end;
                if (next < text_size && letters[next] == '.') role &= ~ROLE_OPENER;
            }

            /* end the sentence before a dash that was read … */
            if (s.dash >= 0 && (!(role & ROLE_LOWER) || gap)) {
                length_S[sentences++] = s.dash - s.sentence;
                s.sentence = s.dash;
            }
            s.dash = -1;
            /* … or before the number of an item: Moss 9.81 2. Holm 9.87 … */
            if (s.item == token - 1 && role & ROLE_CAPITAL && s.item - 1 > s.sentence) {
                length_S[sentences++] = s.item - 1 - s.sentence;
                s.sentence = s.item - 1;
            }
            /* … before this token, at a blank line, a short line, a cell, a bullet or a stop … */
            if (token > first && ((gap && parts(&s, gap, role)) || begins_item(&s, role) || stops(&s, role))) {
                length_S[sentences++] = token - s.sentence;
                s.sentence = token;
            } else if (token > first && role & ROLE_DASH && stops(&s, role & ~ROLE_DASH)) {
                s.dash = token;
            }
            /* … and before the place of a dateline, which only its date shows: LONGYEAR , Norway 1996-08-30 */
            if (role & ROLE_DATE && s.place > s.sentence) {
                length_S[sentences++] = s.place - s.sentence;
                s.sentence = s.place;
            }

            if (gap) {
                s.line_start = start;
                s.line_words = 0;
            }
            move_on(&s, token, role, token == first);
            s.token_end = end;
        }
        if (s.dash >= 0) {
            length_S[sentences++] = s.dash - s.sentence;
            s.sentence = s.dash;
        }
        if (token > s.sentence) length_S[sentences++] = token - s.sentence;
        sentences_P[text] = sentences - sentences_before;
    }
    return sentences;
}

/* ── Case classes ── */

/* The case class of every token: how its document writes that word where its case is free; see case_classes in
 * model/network/context.py.
 *
 * word_T            (T) number of each token's word
 * length_S          (S) tokens of each sentence; sentences_P  (P) sentences of each document, P = documents
 * evidence_of_word  (words) what the word says of its case: SEEN_LOWER, 2 capitalised, 4 in capitals, 0 for neither
 * lowered_of_word   (words) a number that words share which differ in case only
 * seen_of_lowered   (words) scratch memory; zeros before and after
 * class_T           (T) receives the classes: bits of what was seen, and CASE_IS_FORCED
 */
API void case_classes(const int32_t *word_T, const int64_t *length_S, const int64_t *sentences_P, int64_t documents,
                      const uint8_t *evidence_of_word, const int32_t *lowered_of_word, uint8_t *seen_of_lowered,
                      uint8_t *class_T) {
    int64_t sentence = 0, token = 0;
    for (int64_t document = 0; document < documents; document++) {
        int64_t begin = token, last_sentence = sentence + sentences_P[document];
        for (; sentence < last_sentence; sentence++) {
            int64_t end = token + length_S[sentence];
            /* a sentence without a lower-case word is a headline */
            int headline = 1;
            for (int64_t t = token; t < end; t++) headline &= evidence_of_word[word_T[t]] != SEEN_LOWER;

            /* note how each word is written where its case is free, and where it is forced */
            for (int64_t t = token; t < end; t++) {
                uint8_t evidence = evidence_of_word[word_T[t]];
                int forced = headline || t == token;
                if (evidence == SEEN_LOWER || !forced) seen_of_lowered[lowered_of_word[word_T[t]]] |= evidence;
                class_T[t] = forced && evidence > SEEN_LOWER ? CASE_IS_FORCED : 0;
            }
            token = end;
        }
        /* add what the whole document shows, and clear the scratch memory for the next */
        for (int64_t t = begin; t < token; t++) class_T[t] |= seen_of_lowered[lowered_of_word[word_T[t]]];
        for (int64_t t = begin; t < token; t++) seen_of_lowered[lowered_of_word[word_T[t]]] = 0;
    }
}
