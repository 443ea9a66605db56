/* SPDX-License-Identifier: Apache-2.0 */
/* options: what a command accepts, as data, and the one parser over it.
 *
 * A command states its options and arguments in two tables. The same tables drive parsing, --help, the man
 * page and shell completion, so none of them can disagree. Values land in the command's own struct through
 * offsets; texts are borrowed from argv. It never prints and never exits: a mistake comes back as a usage
 * error (exit code 2) with the nearest known word as hint. */
#ifndef AIPC_CLI_OPTIONS_H
#define AIPC_CLI_OPTIONS_H

#include <aipc/aipc.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A repeated value: borrowed texts in the order given. */
typedef struct cli_list {
    const char **items;
    size_t count;
} cli_list;

/* A number whose 0 differs from "not given". */
typedef struct cli_u64 {
    uint64_t value;
    bool given;
} cli_u64;

typedef enum cli_kind {
    CLI_FLAG,  /* bool, or an unsigned counter with CLI_COUNT */
    CLI_COUNT, /* unsigned: how often it was given */
    CLI_TEXT,  /* const char * */
    CLI_LIST,  /* cli_list */
    CLI_PAIRS, /* cli_list of NAME=VALUE */
    CLI_UINT,  /* unsigned within min..max */
    CLI_U64    /* cli_u64 */
} cli_kind;

/* How a shell completes a value. */
typedef enum cli_complete { CLI_ANY, CLI_FILE, CLI_DIR, CLI_NAME_FILE, CLI_TARGET } cli_complete;

typedef struct cli_option {
    const char *name; /* long name without dashes; NULL ends the table */
    char letter;      /* 0: none */
    cli_kind kind;
    size_t offset;       /* of the field in the command's struct */
    const char *arg;     /* placeholder in help; NULL for flags */
    const char *choices; /* words separated by blanks, the only values allowed; NULL: any */
    cli_complete complete;
    unsigned min, max; /* of CLI_UINT; max 0: no bound */
    const char *help;  /* one sentence, no period */
} cli_option;

/* A positional argument. Only the last may be repeated (list). */
typedef struct cli_argument {
    const char *name; /* "MODEL"; NULL ends the table */
    bool required;
    bool list;     /* field is a cli_list, else const char * */
    size_t offset; /* of the field in the command's struct */
    const char *choices;
    cli_complete complete;
    const char *help;
} cli_argument;

/* What every command understands; also accepted in front of the command's name. */
typedef struct cli_common {
    bool help;
    bool version; /* only in front of the command */
    bool json;
    bool quiet;
    unsigned verbose;
    const char *color; /* "auto", "always", "never"; NULL: auto */
} cli_common;

extern const cli_option cli_common_options[];

/* One place to put parsed values. */
typedef struct cli_parse {
    const char *command;           /* for messages; NULL in front of the command */
    const cli_option *options;     /* may be NULL */
    const cli_argument *arguments; /* may be NULL */
    void *values;                  /* the command's struct, zeroed by the caller */
    cli_common *common;
} cli_parse;

/* Parses argv[0..argc). With a NULL command it stops at the first word that is no option. `used` (may be
 * NULL) gets the count of words taken. Required arguments are not asked for when --help was given. */
aipc_error *cli_parse_words(const cli_parse *p, int argc, char **argv, int *used);
/* Frees the lists inside `values`; safe after a failed parse. */
void cli_parse_release(const cli_parse *p);

/* True when `word` is one of the blank-separated `choices`. */
bool cli_choice_has(const char *choices, const char *word);
/* Calls `each` for every blank-separated word; the copy is valid during the call. */
void cli_choice_each(const char *choices, void (*each)(void *user, const char *word), void *user);
/* Keeps the candidate nearest to a mistyped word. Start zeroed except `word`; `best` is NULL when none is
 * near. */
typedef struct cli_nearest {
    const char *word;
    const char *best;
    size_t distance;
} cli_nearest;
void cli_nearest_offer(cli_nearest *n, const char *candidate);

/* A usage error with a printf-like message; hint is copied, may be NULL. */
aipc_error *cli_usage(const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));
/* printf into fresh memory and zeroed memory; end the program with code 14 when there is none. free() it. */
char *cli_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *cli_text_from(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));
void *cli_zalloc(size_t count, size_t size);

#endif
