/* Text to numbered words, sentences and case classes.
 *
 * A run is what stands between two white spaces. How a run is split into words is worked out once, in Python
 * (model/text/tokens.py), and stored here in a hash table, so most text is read by one look-up a run. A run that is not
 * in the table stops the reading; the caller stores it, or deals with it, and goes on. What follows needs only facts
 * about words that were worked out once, too: their roles for sentences, their case for case classes.
 *
 * P texts, which are documents · T tokens, texts end to end · S sentences, texts end to end
 */
#include "simd.h"

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

/* ── The table of runs ── */

/* A hash of a run: letters (count) and whether it ends with an initial. */
static uint64_t hash_run(const uint32_t *letters, int64_t count, int initial) {
    uint64_t h = 0x9e3779b97f4a7c15u + (uint64_t)initial;
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
 * initial  whether it ends with an initial: such a run is split otherwise, so it is stored apart
 * words    (words_of) numbers of the words that it is split into
 */
API int32_t remember_run(Runs *runs, const uint32_t *letters, int64_t count, int32_t initial, const int32_t *words,
                         int64_t words_of) {
    if (count > LONGEST_RUN || runs->runs >= runs->most_runs || runs->used_letters + count > runs->most_letters ||
        runs->used_words + words_of > runs->most_words)
        return 0;
    uint64_t hash = hash_run(letters, count, initial);
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

/* Whether a run ends with an initial, like the "J." of "J. Smith": the one split that depends on what follows the run.
 * −1 if the next character is not ASCII: only Python knows its case. */
static int ends_with_initial(const uint32_t *code_points, int64_t begin, int64_t end, int64_t limit) {
    /* the run ends with a capital of ASCII and a full stop … */
    if (code_points[end - 1] != '.' || end - begin < 2 || code_points[end - 2] < 'A' || code_points[end - 2] > 'Z')
        return 0;
    /* … and one space and a capital follow it */
    if (end + 1 >= limit || code_points[end] != ' ') return 0;
    uint32_t next = code_points[end + 1];
    return next < 0x80 ? next >= 'A' && next <= 'Z' : -1;
}

/* Read on, from text to text, until all is read, the room for tokens could run out, or a run is not in the table.
 *
 * code_points     (end_P[P − 1]) of all texts, end to end
 * end_P           (P) one past each text, P = texts
 * size_of_word    (words) code points of each word
 * reading         where to begin, and, afterwards, where it stopped
 * word_T          (room) number of each token's word
 * start_T         (room) where the token starts in its text, in code points
 * lines_T         (room) line breaks before the token: 0, 1, or 2 for more
 * tokens_until_P  (P) tokens of all texts up to each one's end, for the texts that were finished
 * Returns READ_ALL, READ_FULL or READ_UNKNOWN_RUN.
 */
API int32_t read_texts(const Runs *runs, const uint32_t *code_points, const int64_t *end_P, int64_t texts,
                       const int32_t *size_of_word, Reading *reading, int32_t *word_T, int32_t *start_T,
                       uint8_t *lines_T, int64_t room, int64_t *tokens_until_P) {
    int64_t at = reading->at, text = reading->text, tokens = reading->tokens, breaks = reading->lines;
    int32_t stopped = READ_ALL;
    while (text < texts) {
        /* skip white space, counting line breaks; at its end, go on to the next text */
        int64_t limit = end_P[text], text_begin = text ? end_P[text - 1] : 0;
        while (at < limit && is_space(code_points[at])) breaks += code_points[at++] == '\n';
        if (at >= limit) {
            tokens_until_P[text++] = tokens;
            breaks = 0;
            continue;
        }

        /* look the run up */
        int64_t end = run_end(code_points, at, limit), count = end - at;
        int initial = ends_with_initial(code_points, at, end, limit);
        int32_t run = -1;
        if (count <= LONGEST_RUN && initial >= 0)
            run = find_run(runs, code_points + at, count, hash_run(code_points + at, count, initial));
        if (run < 0) {
            reading->stop = end;
            reading->undecided = initial < 0;
            stopped = READ_UNKNOWN_RUN;
            break;
        }
        int32_t words = runs->words_of[run];
        if (tokens + words > room) {
            stopped = READ_FULL;
            break;
        }

        /* copy the words of the run to the tokens; line breaks stand before the first of them */
        const int32_t *word = runs->words + runs->words_at[run]; /* (words) */
        int32_t start = (int32_t)(at - text_begin);
        for (int32_t i = 0; i < words; i++) {
            word_T[tokens] = word[i];
            start_T[tokens] = start;
            lines_T[tokens++] = i ? 0 : (uint8_t)(breaks > 2 ? 2 : breaks);
            start += size_of_word[word[i]];
        }
        breaks = 0;
        at = end;
    }
    reading->at = at;
    reading->text = text;
    reading->tokens = tokens;
    reading->lines = breaks;
    return stopped;
}

/* List runs ahead that are not in the table but could be, so that many are split in one go.
 *
 * code_points, end_P  as of read_texts
 * reading             where to begin
 * found               (most, 3) begin, end and whether it ends with an initial, of each run
 * distance            code points to look ahead
 * Returns how many were found.
 */
API int64_t unknown_runs(const Runs *runs, const uint32_t *code_points, const int64_t *end_P, int64_t texts,
                         const Reading *reading, int64_t *found, int64_t most, int64_t distance) {
    int64_t at = reading->at, count = 0, until = at + distance;
    for (int64_t text = reading->text; text < texts && count < most && at < until; text++) {
        int64_t limit = end_P[text];
        while (at < limit && at < until && count < most) {
            /* the next run */
            while (at < limit && is_space(code_points[at])) at++;
            if (at >= limit) break;
            int64_t end = run_end(code_points, at, limit);
            int initial = ends_with_initial(code_points, at, end, limit);

            /* list it if it is short enough for the table, clear in its ending, and not stored */
            if (end - at <= LONGEST_RUN && initial >= 0 &&
                find_run(runs, code_points + at, end - at, hash_run(code_points + at, end - at, initial)) < 0) {
                found[3 * count] = at;
                found[3 * count + 1] = end;
                found[3 * count++ + 2] = initial;
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
 * explained; quote_closes, line_ends and stops are methods of it.
 */

typedef struct {
    int role, role_before;  /* of the last token and of the one before it; AM and PM do not count */
    int stop;               /* ROLE_MAY_END bits of the last token that is not a closing mark */
    int quote_open;         /* whether a straight quotation mark is open */
    int64_t line_start;     /* of the first token of the line, in code points of the text */
    int64_t token_end;      /* of the last token, in code points of the text */
    int64_t sentence;       /* the first token of the sentence */
    int64_t place;          /* the first of the words in capitals that could be a dateline's place; −1 if there is no
                               such word, 0 if they cannot be a place */
} Splitter;

/* Whether a straight quotation mark closes: it is attached to the word that it belongs to. With white space on both
 * sides, or on neither, every other one closes. */
static inline int quote_closes(Splitter *s, int space_before, int space_after) {
    int closes = space_before == space_after ? s->quote_open : space_after;
    s->quote_open = !closes;
    return closes;
}

/* Whether a single line break ends the sentence: after a short line, unless the next word starts in lower case. */
static inline int line_ends(const Splitter *s, int next) {
    return s->token_end - s->line_start <= SHORT_LINE && !(next & ROLE_LOWER);
}

/* Whether what was read ends a sentence that the next word could follow. */
static inline int stops(const Splitter *s, int next) {
    /* of several stops the last one counts, and lower case continues a sentence */
    if (!s->stop || next & (ROLE_LOWER | ROLE_CLOSES | ROLE_ENDS)) return 0;
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
    /* AM and PM belong to the number before them; only a full stop reaches through what closes after it */
    if (!(role & ROLE_CLOCK)) {
        s->stop = !(role & ROLE_CLOSES) || is_first ? role & ROLE_MAY_END : s->stop & ROLE_ENDS;
        s->role_before = s->role;
        s->role = role;
    }
}

/* Split the tokens of texts into sentences.
 *
 * code_points, end_P, tokens_until_P, word_T, start_T, lines_T, size_of_word  as of read_texts
 * role_of_word  (words) ROLE_… bits
 * length_S      (T) receives the tokens of each sentence
 * sentences_P   (P) receives the sentences of each text
 * Returns S.
 */
API int64_t split_sentences(const uint32_t *code_points, const int64_t *end_P, int64_t texts,
                            const int64_t *tokens_until_P, const int32_t *word_T, const int32_t *start_T,
                            const uint8_t *lines_T, const int32_t *size_of_word, const uint16_t *role_of_word,
                            int64_t *length_S, int64_t *sentences_P) {
    int64_t sentences = 0, token = 0;
    for (int64_t text = 0; text < texts; text++) {
        int64_t text_begin = text ? end_P[text - 1] : 0, text_size = end_P[text] - text_begin;
        int64_t first = token, sentences_before = sentences;
        Splitter s = {.sentence = first, .place = -1};
        for (; token < tokens_until_P[text]; token++) {
            int role = role_of_word[word_T[token]], breaks = token > first ? lines_T[token] : 0;
            int64_t start = start_T[token];

            /* settle the role of a quotation mark, and of an AM or PM that is not a time of day: PM Modi, I AM */
            if (breaks > 1) s.quote_open = 0;
            if (role & ROLE_QUOTE) {
                int space_before = token == first || start > s.token_end;
                int space_after = start + 1 >= text_size || is_space(code_points[text_begin + start + 1]);
                if (quote_closes(&s, space_before, space_after)) role |= ROLE_CLOSES;
            }
            if (role & ROLE_CLOCK && !(s.role & ROLE_NUMBER)) role &= ~(ROLE_CLOCK | ROLE_LOWER);

            /* end the sentence before this token, at a blank line, a short line or a stop … */
            if (token > first && ((breaks && (breaks > 1 || line_ends(&s, role))) || stops(&s, role))) {
                length_S[sentences++] = token - s.sentence;
                s.sentence = token;
            }
            /* … and before the place of a dateline, which only its date shows: LONGYEAR , Norway 1996-08-30 */
            if (role & ROLE_DATE && s.place > s.sentence) {
                length_S[sentences++] = s.place - s.sentence;
                s.sentence = s.place;
            }

            move_on(&s, token, role, token == first);
            if (breaks) s.line_start = start;
            s.token_end = start + size_of_word[word_T[token]];
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
