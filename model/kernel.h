/* What the C of this room and its Python agree on: constants, structures, functions.
 *
 * The compiler checks the definitions against these prototypes, and model/engine/library.py reads the same lines to make
 * the types that Python calls with: an array of another number type than the pointer's is refused before the call.
 * For that, a declaration keeps to one form: one field, constant or prototype after another, no macros inside.
 *
 * Letters in names are shapes, as everywhere (docs/glossary.md): T tokens · S sentences · P documents · W window width
 * U distinct words · E width of e(w) · D width of a vector · H hidden units, padded to whole panels · N windows of a bag
 * K tags · M entities. A pointer without letters is to a structure or to numbers whose count is beside it.
 */
#ifndef FENESTRA_KERNEL_H
#define FENESTRA_KERNEL_H

#include <stdint.h>

#ifdef _WIN32
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

/* Number types of tables. */
enum { FLOAT32, INT16, INT8, FLOAT16, INT4 };
/* Activations of hidden units. */
enum { RELU, SIGMOID, TANH, GELU, SILU };
/* Why reading stopped: all is read; the room for tokens is used up; the next run is not in the table. */
enum { READ_ALL, READ_FULL, READ_UNKNOWN_RUN };
/* What a function returns where it can fail. */
enum { OK, NO_MEMORY, NOT_FINITE };
/* Code points: longer runs are not remembered. */
enum { LONGEST_RUN = 64 };
/* Columns of a matrix that lie together; widths are padded with zeros to a multiple of it. */
enum { PANEL = 16 };

/* What a word may be to the sentences around it, as bits (model/text/sentences.py). */
enum { ROLE_ENDS = 1, ROLE_ABBREVIATED = 2, ROLE_DATE = 4, ROLE_NUMBER = 8, ROLE_MAY_END = 15, ROLE_CLOSES = 16,
       ROLE_QUOTE = 32, ROLE_LOWER = 64, ROLE_CAPITAL = 128, ROLE_OPENER = 256, ROLE_UPPER = 512, ROLE_COMMA = 1024,
       ROLE_CLOCK = 2048 };
/* Characters: a shorter line did not end because the page was full (model/text/sentences.py). */
enum { SHORT_LINE = 50 };

/* How a word is cased where case means something, as bits of a class (model/network/context.py). */
enum { SEEN_LOWER = 1, CASE_IS_FORCED = 8 };

/* Which runs of characters between white space are known, and the words of each: a hash table with open addressing. */
typedef struct {
    uint64_t *hash;      /* (places) of the run in each place */
    int32_t *run;        /* (places) which run it is; −1 for a free place */
    int64_t places;      /* a power of two */
    int64_t runs;
    int64_t most_runs;
    int64_t *letters_at; /* (runs) where the code points of each begin in letters … */
    int32_t *letters_of; /* (runs) … how many there are … */
    int64_t *words_at;   /* (runs) … where its words begin in words … */
    int32_t *words_of;   /* (runs) … and how many there are */
    uint32_t *letters;   /* (most_letters) */
    int64_t used_letters;
    int64_t most_letters;
    int32_t *words;      /* (most_words) numbers of words */
    int64_t used_words;
    int64_t most_words;
} Runs;

/* How far texts are read. */
typedef struct {
    int64_t at;        /* the next code point */
    int64_t text;      /* which text it is in */
    int64_t tokens;    /* how many were read */
    int64_t lines;     /* line breaks since the last token */
    int64_t stop;      /* the end of the run that is not known */
    int64_t undecided; /* whether only model/text/tokens.py can tell how the run is split */
} Reading;

/* The tables that e(w) is looked up in. */
typedef struct {
    int64_t width;           /* D; 0 for a model without vectors */
    int64_t storage;         /* FLOAT32, FLOAT16, INT8 or INT4: component i and, in the upper half, i + D / 2 */
    const void *codes;       /* (V, D) */
    const float *scale;      /* (V), for INT8 and INT4 */
    int64_t fields;          /* F */
    const float **table;     /* (F) of each field: (its values, its width) */
    const int64_t *widths;   /* (F) */
    int64_t gram_width;
    const float *grams;      /* (buckets + 1, gram_width) */
    int64_t entry;           /* E */
} Features;

/* The layers from the sum of a window to the softmax. */
typedef struct {
    int64_t width;           /* W */
    int64_t hidden;          /* H */
    int64_t numbers;         /* of the table of rows: FLOAT32, INT16 or INT8 */
    int64_t activation;      /* RELU … SILU */
    int64_t layers;          /* L: the weights after the first, the output's among them */
    const float **weight;    /* (L) of each, panel by panel: (its outputs / PANEL, its inputs, PANEL) */
    const float **bias;      /* (L) of each: (its outputs) */
    const int64_t *outputs;  /* (L), padded to whole panels */
    int64_t tags;            /* K */
    float temperature;
    const float *unit_H;     /* what a 1 means in a table of INT8 */
} Network;

/* What is known of the tags of a scheme (model/decode/decoding.py). */
typedef struct {
    int64_t tags;               /* K */
    const uint8_t *starts_K;    /* whether a sentence may start with the tag */
    const uint8_t *follows_KK;  /* row: the tag before */
    const uint8_t *ends_K;
    const int64_t *label_K;     /* −1 for O */
    const uint8_t *opens_K;
    const uint8_t *closes_K;
    const int64_t *same_iob2_KA; /* columns that IOB2 writes the same way; K where there are no more */
    int64_t most_same;          /* A */
    const double *start_K;      /* transition scores; about −1e30 where the scheme does not allow one */
    const double *transition_KK;
    const double *end_K;
    int64_t crf;                /* whether they were learned; else they are 0 where allowed */
} TagTables;

/* The weights of label consistency (model/decode/label_consistency.py). */
typedef struct {
    int64_t tags;           /* K */
    const int64_t *label_K; /* −1 for O */
    float same_tag;
    float same_label;
} LabelConsistency;

/* ── text/text.c ── */
API const char *source_digest(void);
API int32_t is_whitespace(uint32_t code_point);
API int32_t remember_run(Runs *runs, const uint32_t *letters, int64_t count, int32_t initial, const int32_t *words,
                         int64_t words_of);
API int32_t read_texts(const Runs *runs, const uint32_t *code, const int64_t *end_P, int64_t texts,
                       const int32_t *size_of_word, Reading *reading, int32_t *word_T, int32_t *start_T,
                       uint8_t *lines_T, int64_t room, int64_t *tokens_until_P);
API int64_t unknown_runs(const Runs *runs, const uint32_t *code, const int64_t *end_P, int64_t texts,
                         const Reading *reading, int64_t *found, int64_t most, int64_t distance);
API int64_t split_sentences(const uint32_t *code, const int64_t *end_P, int64_t texts, const int64_t *tokens_until_P,
                            const int32_t *word_T, const int32_t *start_T, const uint8_t *lines_T,
                            const int32_t *size_of_word, const uint16_t *role_of_word, int64_t *length_S,
                            int64_t *sentences_P);
API void case_classes(const int32_t *word_T, const int64_t *length_S, const int64_t *sentences_P, int64_t documents,
                      const uint8_t *evidence_of_word, const int32_t *lowered_of_word, uint8_t *seen, uint8_t *class_T);

/* ── words/words.c ── */
API void fill_crc_table(void);
API void hash_ngrams(const uint8_t *bytes, const int64_t *end_U, int64_t words, const int64_t *sizes, int64_t kinds,
                     int64_t buckets, int64_t *gram_UG, int64_t most);
API void encode_words(const Features *features, const int64_t *vector_U, const int64_t *field_UF,
                      const int64_t *gram_UG, int64_t grams, int64_t words, float *entry_UE);
API int32_t project_words(const float *entry_UE, const int64_t *class_U, const int64_t *slot_U, int64_t words,
                          int64_t entry, int64_t width, int64_t hidden, const float *weight, const float *class_CWH,
                          int64_t numbers, const float *unit_H, void *table, float *scale);
API void sum_vectors(const Features *features, const int32_t *word_T, const int64_t *size_P, int64_t documents,
                     const int32_t *vector_of_word, float *sum_PD, int64_t *known_P);
API int32_t topic_rows(const float *sum_PD, const int64_t *known_P, int64_t documents, int64_t width, float few,
                       const float *mean_D, const float *spread_D, const float *weight, const float *bias_H,
                       int64_t hidden, float *row_PH);

/* ── network/network.c ── */
API int64_t lay_out_windows(const int32_t *word_T, const uint8_t *class_T, int64_t classes, const int64_t *length_S,
                            int64_t sentence, int64_t at, int64_t begin, int64_t end, int64_t context, int32_t *slot_of,
                            int64_t *uses, int32_t *line, int32_t *place_N, int64_t *missing);
API int64_t score_windows(const Network *network, const void *table, const float *scale, const int32_t *line,
                          const int32_t *place_N, const int32_t *row_N, const float *row_RH, int64_t begin, int64_t end,
                          float *log_NK);

/* ── decode/label_consistency.c ── */
API int64_t find_repeats(const int32_t *word_T, const int64_t *size_P, int64_t documents,
                         const uint8_t *evidence_of_word, const int32_t *lowered_of_word, int32_t *tally,
                         int64_t *token_N, int64_t *group_N, int64_t *count_G);
API void sum_probabilities(const float *log_TK, const int64_t *token_N, const int64_t *group_N, int64_t count,
                           int64_t tags, double *sum_GK);
API int32_t apply_label_consistency(float *log_TK, const int64_t *token_N, const int64_t *group_N, int64_t count,
                                    const int64_t *count_G, const double *sum_GK, const LabelConsistency *weights);

/* ── decode/decode.c ── */
API int64_t decode_paths(const float *log_TK, const int64_t *length_S, int64_t sentences, const TagTables *tables,
                         int64_t *column_T, int64_t *tag_T, float *probability_T, int64_t *begin_M, int64_t *end_M,
                         int64_t *label_M, float *log_product_M);

/* ── engine/cpu.c ── */
API int32_t cpu_level(void);

#endif
