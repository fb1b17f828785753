/* The contract between the C of this room and its Python: constants, structures, function prototypes.
 *
 * The compiler checks every definition against these prototypes, and model/engine/library.py parses the same lines to
 * type its calls: an array whose numbers are of another type than the C pointer's is refused before the call. So keep
 * to the form that it parses: one constant, field or prototype after another, comments anywhere, no macros inside.
 *
 * Each function's contract, with the shapes of its arguments, stands above its definition. All arrays are dense and
 * row-major: (A, B) means A rows of B numbers. A name ends with its shape letters, as everywhere (docs/glossary.md):
 *
 *   T tokens               P documents; a text is one        W window width, 2C + 1
 *   S sentences            L tokens of one sentence          E width of e(w)
 *   U distinct words       M entities                        D width of a pretrained vector
 *   K tags                 F feature fields of a word        H hidden units, padded to whole panels
 *   N some of the tokens: a bag of windows, or the tokens of repeated words
 *   G n-grams of a word        Q repeated words of documents
 *
 * x_of_word, like the arrays of Words, is indexed by word number.
 */
#ifndef FENESTRA_KERNEL_H
#define FENESTRA_KERNEL_H

#include <stdint.h>

#ifdef _WIN32
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

/* ── Constants ── */

/* Number types of tables. */
enum { FLOAT32, INT16, INT8, FLOAT16, INT4 };
/* Activations of hidden units. */
enum { RELU, SIGMOID, TANH, GELU, SILU };
/* Why read_texts returned: at the end; no room for more tokens; only Python can read the next run; no room for words. */
enum { READ_ALL, READ_FULL, READ_UNKNOWN_RUN, READ_NO_NUMBERS };
/* Why number_words stopped at a word, where it did: only Python can tell what the word is; no room for more words. */
enum { WORD_IS_ODD = -1, NO_NUMBERS = -2 };
/* Status of a function that can fail. */
enum { OK, NO_MEMORY, NOT_FINITE };
/* Characters; longer runs are not stored in the table. */
enum { LONGEST_RUN = 64 };
/* Bytes of the UTF-8 of a word that the vocabulary keeps; of longer words it keeps a digest. */
enum { KEY_BYTES = 64 };
/* Columns of a weight matrix that are stored together; widths are padded with zeros to a multiple of it. */
enum { PANEL = 16 };

/* Where integers are multiplied (model/engine/paired.py): the largest of e(w), and how many pairs of products are summed
 * in 32 bits. */
enum { LARGEST_PAIRED = 24000, SUMMED = 4 };

/* The slots of pairs that are not in the row cache: PAD's, or that of a pair that was there before. */
enum { NO_SLOT = 0, HAD_SLOT = -2 };

/* What a word can do to a sentence boundary: bits of its role (model/text/sentences.py). */
enum {
    ROLE_ENDS = 1,        /* ends a sentence: . ! ? … */
    ROLE_ABBREVIATED = 2, /* has a full stop of its own: Mr. */
    ROLE_DATE = 4,        /* the date of a dateline: 1996-08-30 */
    ROLE_NUMBER = 8,
    ROLE_MAY_END = 15,    /* any of the above: the next word decides */
    ROLE_CLOSES = 16,     /* a closing bracket or quotation mark */
    ROLE_QUOTE = 32,      /* a straight quotation mark, which may open or close */
    ROLE_LOWER = 64,      /* starts in lower case, or is AM or PM */
    ROLE_CAPITAL = 128,   /* starts with a capital */
    ROLE_OPENER = 256,    /* often starts a sentence: The, He, But */
    ROLE_UPPER = 512,     /* all capitals, two or more */
    ROLE_COMMA = 1024,
    ROLE_CLOCK = 2048,    /* AM or PM */
    ROLE_BEFORE_NAME = 4096,  /* a title or an initial */
    ROLE_DASH = 8192,
    ROLE_SHORTENED = 16384,   /* an abbreviation or initial in a language that sets its stop apart */
    ROLE_CONTINUING = 32768,  /* , ; : */
    ROLE_BULLET = 65536,      /* begins an item of a list */
    ROLE_LABELS = 131072      /* a number or letter follows: Fig. */
};
/* Characters; a shorter line did not end because the page was full (model/text/sentences.py). */
enum { SHORT_LINE = 50 };
/* Words of a line; behind fewer, initials are the end of a name: Moss J. K. */
enum { FEW_WORDS = 2 };
/* Digits of the number of an item in a row of numbers; what has more is a year, or thousands. */
enum { ITEM_DIGITS = 2 };
/* What stands between two tokens. */
enum { GAP_LINE = 1, GAP_BLANK_LINE = 2, GAP_CELL = 4 };
/* So many spaces, or a tab, part the cells of a table. */
enum { GAP = 3 };
/* U+2029, the separator of paragraphs, which is a blank line. */
enum { PARAGRAPH = 8233 };
/* What follows the stop at the end of a run (model/text/tokens.py). */
enum { NOTHING_FOLLOWS, NAME_FOLLOWS, NUMBER_FOLLOWS };

/* Characters that have a kind here: planes 0 and 1. */
enum { KINDS = 131072 };
/* Bits of a kind (model/text/characters.py). */
enum {
    KIND_UPPER = 1,
    KIND_LETTER = 2,
    KIND_MARK = 4,     /* modifies the character before it */
    KIND_OF_WORD = 8,  /* a letter, a digit or a mark */
    KIND_INVISIBLE = 16
};

/* Characters below this are known by all that words are read with; other words are left to Python. */
enum { PLAIN = 12288 };
/* Bits of a plain character (model/text/characters.py). */
enum {
    CHAR_ODD = 1,         /* not plain after all: a mark, an ignorable, a letter whose small one is not one character */
    CHAR_ALPHA = 2,       /* str.isalpha */
    CHAR_DIGIT = 4,       /* str.isdigit */
    CHAR_ALNUM = 8,       /* str.isalnum */
    CHAR_LOWER = 16,      /* str.islower */
    CHAR_UPPER = 32,      /* str.isupper */
    CHAR_TITLE = 64,      /* str.istitle, of the four that are no str.isupper */
    CHAR_ONE_CASE = 128,  /* its small letter is its capital */
    CHAR_ODD_TITLE = 256, /* str.title makes several characters of it */
    CHAR_OF_WORD = 512,   /* part of a word: WORD in characters.py */
    CHAR_DASH = 1024,     /* rows of it are one token */
    CHAR_QUOTE = 2048,    /* an apostrophe between two letters */
    CHAR_LETTER = 4096,   /* a letter to the rule about such marks */
    CHAR_STRESSED = 8192  /* a letter that STRESS makes no other letter of */
};
/* The acute that marks the stress of a Russian word; plain behind a letter, and before one or at the end. */
enum { STRESS = 769 };

/* What a string is a key of, in Strings: from FIELD on, a value of that field. */
enum { STRING_VECTOR, STRING_CLUSTER, STRING_LISTS, STRING_ROLE, STRING_STOPPED, STRING_CLITIC, STRING_PARTICLE,
       STRING_FIELD };
/* The kind and length of a free place in Strings. */
enum { EMPTY = 16777215 };
/* The values of STRING_STOPPED: the stop behind it is its own; only Python can tell. */
enum { STOP_IS_ITS_OWN = 1, STOP_IS_ODD = 2 };
/* Kinds of fields (model/words/lexicon.py). */
enum { FIELD_WORD, FIELD_CASE, FIELD_SHAPE, FIELD_PREFIX, FIELD_SUFFIX, FIELD_CLUSTER, FIELD_LISTS };

/* Bits of a case class (model/network/context.py); 2 and 4 are: seen capitalised, seen in capitals. */
enum {
    SEEN_LOWER = 1,    /* the document writes the word in lower case somewhere */
    CASE_IS_FORCED = 8 /* this token is at the head of a sentence or in a headline: case carries no meaning */
};

/* ── Structures ── */

/* All that a model knows by name, and where it leads: a number for each (kind, string).
 * A hash table with open addressing and linear probing, whose places are four numbers side by side, so that a look-up
 * loads one line of the cache for them and one for the string: the upper half of the hash; where the string begins; its
 * kind · 2²⁴ + its length in bytes; its number. A free place has a length of EMPTY. */
typedef struct {
    const uint8_t *bytes; /* UTF-8 of all strings, end to end, and 8 bytes to read over */
    uint32_t *place;      /* (places, 4) */
    int64_t places;       /* a power of two */
} Strings;

/* How words are read and looked up. */
typedef struct {
    const uint32_t *bits;          /* (PLAIN) CHAR_ bits of each character */
    const uint32_t *form;          /* (PLAIN) its canonical form */
    const uint32_t *lower;         /* (PLAIN) its small letter */
    const uint32_t *title;         /* (PLAIN) its title-case letter */
    int64_t keep_stops;            /* 1 if the stop of an abbreviation belongs to it */
    int64_t longest_clitic;        /* in bytes */
    int64_t vectors;               /* 1 if words have vectors */
    int64_t word_field;            /* the field of kind FIELD_WORD; −1 for none, so that no word is out of vocabulary */
    int64_t fields;                /* F */
    const int64_t *kind_F;         /* (F) FIELD_ */
    const int64_t *size_F;         /* (F) characters of an affix; of a field of clusters, its column in cluster_rows */
    int64_t cluster_fields;
    const int32_t *cluster_rows;   /* (1 + clusters, cluster_fields), the first for a word in none */
    const int32_t *list_rows;      /* (1 + kinds of names) the same for lists */
    const int64_t *gram_sizes;     /* (gram_kinds) n of the n-grams, in characters */
    int64_t gram_kinds;
    int64_t gram_buckets;
} Lookups;

/* The words that were read, by number, and what is known of each without its neighbours (model/engine/vocabulary.py).
 * A hash table with open addressing and linear probing. */
typedef struct {
    int64_t most;      /* words that there is room for */
    int64_t now;       /* rises with every batch */
    uint64_t seed;     /* of the hash, so that nobody can choose words that collide */
    int64_t places;    /* a power of two, at least 2 · most */
    uint64_t *place;   /* (places) hash · 2³² + 1 + the number of the word in each place; 0 for a free place */
    uint32_t *hash;    /* (most) */
    uint8_t *key;      /* (most, KEY_BYTES) the word's UTF-8 and zeros, or, if it is longer, a digest */
    uint8_t *bytes;    /* (most) of the key; 0 for a number that is free */
    int32_t *free;     /* (most) the first `unused` of it are the numbers that are free */
    int64_t unused;
    int64_t *used;     /* (most) when each word was read last */
    uint8_t *known;    /* (most) 1 if the rest is known of the word; 2 if Python has to compute its row */
    int32_t *size;     /* (most) code points */
    int32_t *lowered;  /* (most) number of the word in small letters, whose rest need not be known */
    int32_t *vector;   /* (most) row of its vector; 0 for none */
    uint32_t *role;    /* (most) ROLE_ bits */
    uint8_t *evidence; /* (most) what it says of its case (model/network/context.py) */
    uint8_t *oov;      /* (most) 1 if it is out of vocabulary */
} Words;

/* The odd runs of characters between white space that were seen before, and the words of each.
 * A hash table with open addressing and linear probing: a place holds a run's number, which indexes the rest. */
typedef struct {
    uint64_t *hash;      /* (places) hash of the run in each place */
    int32_t *run;        /* (places) number of that run; −1 for a free place */
    int64_t places;      /* a power of two */
    int64_t runs;        /* stored so far */
    int64_t most_runs;
    int64_t *letters_at; /* (most_runs) where the code points of each run begin in letters */
    int32_t *letters_of; /* (most_runs) how many code points it has */
    int64_t *words_at;   /* (most_runs) where its words begin in words */
    int32_t *words_of;   /* (most_runs) how many words it has */
    uint32_t *letters;   /* (most_letters) code points of all runs, end to end */
    int64_t used_letters;
    int64_t most_letters;
    int32_t *words;      /* (most_words) word numbers of all runs, end to end */
    uint8_t *starts;     /* (most_words) where in its run each word starts */
    int64_t used_words;
    int64_t most_words;
    const uint8_t *kind; /* (KINDS) KIND_ bits of each character */
    int64_t keep_stops;  /* 1 if the stop of an abbreviation belongs to it */
} Runs;

/* How far read_texts has come. */
typedef struct {
    int64_t at;        /* the next code point */
    int64_t text;      /* the text that it is in */
    int64_t tokens;    /* read so far */
    int64_t lines;     /* line breaks since the last token */
    int64_t spaces;    /* since the last token; a tab counts for GAP of them */
    int64_t stop;      /* the end of the run that is not in the table */
    int64_t undecided; /* 1 if only model/text/tokens.py can tell what follows that run */
} Reading;

/* The tables that e(w) is looked up in. */
typedef struct {
    int64_t width;         /* D; 0 for a model without pretrained vectors */
    int64_t storage;       /* FLOAT32, FLOAT16, INT8 or INT4 (two components a byte, see words.c) */
    const void *codes;     /* (vectors, D), for INT4 (vectors, D / 2); row 0 is the unknown word */
    const float *scale;    /* (vectors) for INT8 and INT4 */
    int64_t fields;        /* F */
    const float **table;   /* (F) of each field: (values, width) */
    const int64_t *widths; /* (F) */
    int64_t gram_width;
    const float *grams;    /* (buckets + 1, gram_width); row 0 is padding */
    int64_t entry;         /* E */
} Features;

/* The layers from the sum of a window to the softmax. */
typedef struct {
    int64_t width;          /* W */
    int64_t hidden;         /* H */
    int64_t numbers;        /* of the row cache: FLOAT32, INT16 or INT8 */
    int64_t activation;     /* RELU … SILU */
    int64_t layers;         /* after the first, the output layer included */
    const float **weight;   /* (layers) of each: (outputs / PANEL, inputs, PANEL) */
    const float **bias;     /* (layers) of each: (outputs) */
    const int64_t *outputs; /* (layers) padded to whole panels */
    int64_t tags;           /* K */
    float temperature;
    const float *unit_H;    /* (H) what a 1 means in an INT8 row */
} Network;

/* The tags of a scheme: which sequences are legal, and what each tag means (model/decode/decoding.py). */
typedef struct {
    int64_t tags;                /* K */
    const uint8_t *starts_K;     /* (K) 1 if a sentence may start with the tag */
    const uint8_t *follows_KK;   /* (K, K) 1 if the column's tag may follow the row's */
    const uint8_t *ends_K;       /* (K) 1 if a sentence may end with the tag */
    const int64_t *label_K;      /* (K) number of its label; −1 for O */
    const uint8_t *opens_K;      /* (K) 1 if an entity always begins at the tag */
    const uint8_t *closes_K;     /* (K) 1 if an entity always ends at the tag */
    const int64_t *same_iob2_KA; /* (K, A) the tags that IOB2 writes the same way, itself first; padded with K */
    int64_t most_same;           /* A */
    const double *start_K;       /* (K) transition scores; about −1e30 where the scheme forbids the transition */
    const double *transition_KK; /* (K, K) row: the tag before */
    const double *end_K;         /* (K) */
    int64_t crf;                 /* 1 if the scores were learned; else they are 0 where allowed */
} TagTables;

/* ── text/text.c ── */
API const char *source_digest(void);
API int32_t is_whitespace(uint32_t code_point);
API int32_t remember_run(Runs *runs, const uint32_t *letters, int64_t count, int32_t after, const int32_t *words,
                         const uint8_t *starts, int64_t words_of);
API int32_t read_texts(const Runs *runs, const Lookups *lookups, const Strings *strings, Words *words,
                       const uint32_t *code_points, const int64_t *end_P, int64_t texts, Reading *reading,
                       int32_t *word_T, int32_t *start_T, uint8_t *gap_T, int64_t room, int64_t *tokens_until_P);
API int64_t unknown_runs(const Runs *runs, const Lookups *lookups, const Strings *strings, const Words *words,
                         const uint32_t *code_points, const int64_t *end_P, int64_t texts, const Reading *reading,
                         int64_t *found, int64_t most, int64_t distance);
API int64_t split_sentences(const uint32_t *code_points, const int64_t *end_P, int64_t texts,
                            const int64_t *tokens_until_P, const int32_t *word_T, const int32_t *start_T,
                            const uint8_t *gap_T, const int32_t *size_of_word, const uint32_t *role_of_word,
                            int64_t *length_S, int64_t *sentences_P);
API void case_classes(const int32_t *word_T, const int64_t *length_S, const int64_t *sentences_P, int64_t documents,
                      const uint8_t *evidence_of_word, const int32_t *lowered_of_word, uint8_t *seen_of_lowered,
                      uint8_t *class_T);

/* ── words/vocabulary.c ── */
API int64_t index_strings(Strings *strings, const uint32_t *at, const uint8_t *kind, const int32_t *value,
                          int64_t count);
API int32_t string_value(const Strings *strings, int32_t kind, const uint8_t *utf8, int64_t count);
API void index_words(Words *words);
API int32_t word_number(Words *words, const uint8_t *key, int64_t bytes);
API void forget_words(Words *words, int64_t before);
API int64_t number_words(const Lookups *lookups, const Strings *strings, Words *words, const uint32_t *code_points,
                         const int64_t *end_N, int64_t begin, int64_t count, int32_t *word_N, int64_t *why);

/* ── words/words.c ── */
API void fill_crc_table(void);
API void hash_ngrams(const uint8_t *utf8, const int64_t *end_U, int64_t words, const int64_t *sizes, int64_t kinds,
                     int64_t buckets, int64_t *ngram_UG, int64_t most);
API void encode_rows(const Features *features, const int64_t *vector_U, const int64_t *field_UF,
                     const int64_t *ngram_UG, int64_t ngrams, int64_t words, float *entry_UE);
API void encode_words(const Features *features, const Lookups *lookups, const Strings *strings, const Words *words,
                      const int64_t *word_U, int64_t count, float *entry_UE);
API int32_t project_words(const float *entry_UE, const int64_t *class_U, const int64_t *slot_U, int64_t words,
                          int64_t entry, int64_t width, int64_t hidden, const float *weight,
                          const int16_t *weight_int16, const float *weight_scale, const float *per_balance_E,
                          const float *class_rows, int64_t numbers, const float *unit_H, void *table, float *scale);
API int32_t has_paired_products(void);
API void sum_vectors(const Features *features, const int32_t *word_T, const int64_t *size_P, int64_t documents,
                     const int32_t *vector_of_word, float *sum_PD, int64_t *known_P);
API int32_t topic_rows(const float *sum_PD, const int64_t *known_P, int64_t documents, int64_t width, float few,
                       const float *mean_D, const float *scale_D, const float *weight, const float *bias_H,
                       int64_t hidden, float *row_PH);

/* ── network/network.c ── */
API int64_t lay_out_windows(const int32_t *pair_T, const int64_t *length_S, int64_t sentence, int64_t offset,
                            int64_t begin, int64_t end, int64_t context, int32_t *slot_of_pair, int64_t *uses_of_slot,
                            int32_t *slots, int32_t *place_N, int64_t *missing_pairs);
API int64_t score_windows(const Network *network, const void *table, const float *scale, const int32_t *slots,
                          const int32_t *place_N, const int32_t *row_N, const float *row_PH, int64_t begin, int64_t end,
                          float *log_NK);

/* ── decode/label_consistency.c ── */
API int64_t find_repeats(const int32_t *word_T, const int64_t *size_P, int64_t documents,
                         const uint8_t *evidence_of_word, const int32_t *lowered_of_word, int32_t *tally_of_lowered,
                         int64_t *token_N, int64_t *group_N);
API void largest_probabilities(const float *log_TK, const int64_t *token_N, const int64_t *group_N, int64_t count,
                               int64_t tags, float *first_QK, float *second_QK);
API int32_t apply_label_consistency(float *log_TK, const int64_t *token_N, const int64_t *group_N, int64_t count,
                                    int64_t tags, const float *first_QK, const float *second_QK,
                                    const float *weight_KK);

/* ── decode/decode.c ── */
API int64_t decode_paths(const float *log_TK, const int64_t *length_S, int64_t sentences, const TagTables *tables,
                         int64_t *column_T, int64_t *tag_T, float *probability_T, int64_t *begin_M, int64_t *end_M,
                         int64_t *label_M, float *log_product_M);

/* ── engine/cpu.c ── */
API int32_t cpu_level(void);

#endif
