/* Text into numbered words: runs of signs between white space are looked up whole.
 *
 * What a run is cut into was worked out once (model/text/tokens.py) and is remembered here; a run that is not known stops the
 * reading, and the caller says what it is. Then sentences (model/text/sentences.py) and the classes of model/network/context.py.
 */
#include "simd.h"


static inline int is_space(uint32_t c) {
    if (c <= 0x20) return c == 0x20 || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f);
    if (c < 0x85) return 0;
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

API const char *source_digest(void) { return SOURCES; } /* SOURCES is defined by build.py */

API int32_t is_whitespace(uint32_t code_point) { return is_space(code_point); }

static uint64_t hash_of(const uint32_t *letters, int64_t count, int initial) {
    uint64_t h = 0x9e3779b97f4a7c15u + (uint64_t)initial;
    for (int64_t i = 0; i < count; i++) {
        h = (h ^ letters[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return h;
}

static int32_t find(const Runs *runs, const uint32_t *letters, int64_t count, uint64_t h) {
    for (int64_t place = (int64_t)(h & (uint64_t)(runs->places - 1));; place = (place + 1) & (runs->places - 1)) {
        int32_t run = runs->run[place];
        if (run < 0) return -1;
        if (runs->hash[place] == h && runs->letters_of[run] == count &&
            !memcmp(runs->letters + runs->letters_at[run], letters, (size_t)count * sizeof *letters))
            return run;
    }
}

/* Whether a run ends like the "J." of "J. Smith": the one cut that depends on what follows. −1: only Python knows. */
static int initial_of_a_name(const uint32_t *code, int64_t begin, int64_t end, int64_t limit) {
    if (code[end - 1] != '.' || end - begin < 2 || code[end - 2] < 'A' || code[end - 2] > 'Z') return 0;
    if (end + 1 >= limit || code[end] != ' ') return 0;
    uint32_t next = code[end + 1];
    return next < 0x80 ? next >= 'A' && next <= 'Z' : -1;
}

/* Remember a run and its words; 0 where there is no room, or nothing that can be remembered. */
API int32_t remember_run(Runs *runs, const uint32_t *letters, int64_t count, int32_t initial, const int32_t *words, int64_t size) {
    if (count > LONGEST_RUN || runs->runs >= runs->most_runs || runs->used_letters + count > runs->most_letters ||
        runs->used_words + size > runs->most_words)
        return 0;
    uint64_t h = hash_of(letters, count, initial);
    if (find(runs, letters, count, h) >= 0) return 1;
    int64_t place = (int64_t)(h & (uint64_t)(runs->places - 1));
    while (runs->run[place] >= 0) place = (place + 1) & (runs->places - 1);
    int32_t run = (int32_t)runs->runs++;
    runs->hash[place] = h;
    runs->run[place] = run;
    runs->letters_at[run] = runs->used_letters;
    runs->letters_of[run] = (int32_t)count;
    memcpy(runs->letters + runs->used_letters, letters, (size_t)count * sizeof *letters);
    runs->used_letters += count;
    runs->words_at[run] = runs->used_words;
    runs->words_of[run] = (int32_t)size;
    memcpy(runs->words + runs->used_words, words, (size_t)size * sizeof *words);
    runs->used_words += size;
    return 1;
}

/* Read on, from text to text. Texts lie end to end in code; end[i] is where text i ends. Stops where the room for tokens
 * could run out, and at a run that is not known. */
API int32_t read_texts(const Runs *runs, const uint32_t *code, const int64_t *end, int64_t texts, const int32_t *size_of_word,
                    Reading *reading, int32_t *word, int32_t *start, uint8_t *lines, int64_t room, int64_t *tokens_until) {
    int64_t at = reading->at, text = reading->text, tokens = reading->tokens, breaks = reading->lines;
    int32_t found = READ_ALL;
    while (text < texts) {
        int64_t limit = end[text], begin_of_text = text ? end[text - 1] : 0;
        while (at < limit && is_space(code[at])) breaks += code[at++] == '\n';
        if (at >= limit) {
            tokens_until[text++] = tokens;
            breaks = 0;
            continue;
        }
        int64_t stop = at + 1;
        while (stop < limit && !is_space(code[stop])) stop++;
        int64_t count = stop - at;
        int initial = initial_of_a_name(code, at, stop, limit);
        int32_t run = -1;
        if (count <= LONGEST_RUN && initial >= 0) run = find(runs, code + at, count, hash_of(code + at, count, initial));
        if (run < 0) {
            reading->stop = stop;
            reading->undecided = initial < 0;
            found = READ_UNKNOWN_RUN;
            break;
        }
        int32_t words = runs->words_of[run];
        if (tokens + words > room) {
            found = READ_FULL;
            break;
        }
        const int32_t *cut = runs->words + runs->words_at[run];
        int32_t place = (int32_t)(at - begin_of_text);
        for (int32_t i = 0; i < words; i++) {
            word[tokens] = cut[i];
            start[tokens] = place;
            lines[tokens++] = i ? 0 : (uint8_t)(breaks > 2 ? 2 : breaks);
            place += size_of_word[cut[i]];
        }
        breaks = 0;
        at = stop;
    }
    reading->at = at;
    reading->text = text;
    reading->tokens = tokens;
    reading->lines = breaks;
    return found;
}

/* List runs that are not known from here on: begin, end and text of each, in threes. */
API int64_t unknown_runs(const Runs *runs, const uint32_t *code, const int64_t *end, int64_t texts, const Reading *reading,
                       int64_t *found, int64_t most, int64_t distance) {
    int64_t at = reading->at, count = 0, until = at + distance;
    for (int64_t text = reading->text; text < texts && count < most && at < until; text++) {
        int64_t limit = end[text];
        while (at < limit && at < until && count < most) {
            while (at < limit && is_space(code[at])) at++;
            if (at >= limit) break;
            int64_t stop = at + 1;
            while (stop < limit && !is_space(code[stop])) stop++;
            int initial = initial_of_a_name(code, at, stop, limit);
            if (stop - at <= LONGEST_RUN && initial >= 0 &&
                find(runs, code + at, stop - at, hash_of(code + at, stop - at, initial)) < 0) {
                found[3 * count] = at;
                found[3 * count + 1] = stop;
                found[3 * count++ + 2] = initial;
            }
            at = stop;
        }
        if (at < limit) break;
        at = limit;
    }
    return count;
}

/* ── sentences: as model/text/sentences.py, sign by sign ── */

/* How many tokens each sentence of some texts has; returns how many sentences there are. */
API int64_t split_sentences(const uint32_t *code, const int64_t *end, int64_t texts, const int64_t *tokens_until, const int32_t *word,
                  const int32_t *start, const uint8_t *lines, const int32_t *size_of_word, const uint16_t *role_of_word,
                  int64_t *length_S, int64_t *sentences_of) {
    int64_t sentences = 0, token = 0;
    for (int64_t text = 0; text < texts; text++) {
        int64_t base = text ? end[text - 1] : 0, letters = end[text] - base, first = token, begins = token;
        int64_t before = sentences, line = 0, ended = 0, place = -1;
        int last = 0, last_but_one = 0, stopped = 0, opened = 0;
        for (; token < tokens_until[text]; token++) {
            int role = role_of_word[word[token]], breaks = token > first ? lines[token] : 0;
            int64_t here = start[token];
            if (breaks > 1) opened = 0;
            if (role & ROLE_QUOTE) { /* it leans on the word that it belongs to; free, every other one closes */
                int free_before = token == first || here > ended;
                int free_after = here + 1 >= letters || is_space(code[base + here + 1]);
                int closes = free_before == free_after ? opened : free_after;
                opened = !closes;
                if (closes) role |= ROLE_CLOSES;
            }
            if (role & ROLE_CLOCK && !(last & ROLE_NUMBER)) role &= ~(ROLE_CLOCK | ROLE_LOWER); /* no time of day */
            if (token > first) {
                int line_ends = breaks && (breaks > 1 || (ended - line <= SHORT_LINE && !(role & ROLE_LOWER)));
                int stops = stopped > 0 && !(role & (ROLE_LOWER | ROLE_CLOSES | ROLE_ENDS)) &&
                            ((stopped & ROLE_ENDS) || ((stopped & ROLE_ABBREVIATED) && (role & ROLE_OPENER)) ||
                             ((role & ROLE_CAPITAL) && ((stopped & ROLE_DATE) || (last_but_one & stopped & ROLE_NUMBER))));
                if (line_ends || stops) {
                    length_S[sentences++] = token - begins;
                    begins = token;
                }
            }
            if (role & ROLE_DATE && place > begins) { /* a dateline begins with its place, words in capitals */
                length_S[sentences++] = place - begins;
                begins = place;
            }
            if (role & ROLE_UPPER) {
                if (place < 0 || !(last & (ROLE_UPPER | ROLE_COMMA))) place = last & (ROLE_LOWER | ROLE_NUMBER) ? 0 : token;
            } else if (!(role & (ROLE_CAPITAL | ROLE_COMMA))) {
                place = -1;
            }
            if (breaks) line = here;
            if (!(role & ROLE_CLOCK)) {
                stopped = !(role & ROLE_CLOSES) || token == first ? role & ROLE_MAY_END : stopped & ROLE_ENDS;
                last_but_one = last;
                last = role;
            }
            ended = here + size_of_word[word[token]];
        }
        if (token > begins) length_S[sentences++] = token - begins;
        sentences_of[text] = sentences - before;
    }
    return sentences;
}

/* ── what a document says of its words: as model/network/context.py ── */

/* The class of every token, from 0; seen is as long as there are lowered numbers, and all zeros before and after. */
API void case_classes(const int32_t *word, const int64_t *length_S, const int64_t *sentences_of, int64_t documents,
                      const uint8_t *evidence_of_word, const int32_t *lowered_of_word, uint8_t *seen, uint8_t *class_T) {
    int64_t sentence = 0, token = 0;
    for (int64_t document = 0; document < documents; document++) {
        int64_t begin = token, until = sentence + sentences_of[document];
        for (; sentence < until; sentence++) {
            int64_t stop = token + length_S[sentence];
            int loud = 1;
            for (int64_t t = token; t < stop; t++) loud &= evidence_of_word[word[t]] != SEEN_LOWER;
            for (int64_t t = token; t < stop; t++) {
                uint8_t evidence = evidence_of_word[word[t]];
                int forced = loud || t == token;
                if (evidence == SEEN_LOWER || !forced) seen[lowered_of_word[word[t]]] |= evidence;
                class_T[t] = forced && evidence > SEEN_LOWER ? CASE_IS_FORCED : 0;
            }
            token = stop;
        }
        for (int64_t t = begin; t < token; t++) class_T[t] |= seen[lowered_of_word[word[t]]];
        for (int64_t t = begin; t < token; t++) seen[lowered_of_word[word[t]]] = 0;
    }
}
