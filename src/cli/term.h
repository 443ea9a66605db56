/* SPDX-License-Identifier: Apache-2.0 */
/* term: what a person sees. Colour, tables, numbers, the progress line, errors.
 *
 * Names and messages come from models and vendor logs and may hold anything: every text passes a filter that
 * turns control characters into '?', so no file can drive the user's terminal. */
#ifndef AIPC_CLI_TERM_H
#define AIPC_CLI_TERM_H

#include "cli/cli.h"

#include <jansson.h>

typedef enum cli_style { CLI_PLAIN, CLI_BOLD, CLI_DIM, CLI_GREEN, CLI_YELLOW, CLI_RED } cli_style;

/* Decides about colour and progress; call once after the common options are known. */
void term_init(const cli_common *common);

/* Prints `text` filtered and in a style; colour only where `to` may have it. */
void term_put(FILE *to, cli_style style, const char *text);
/* One line on stdout; a newline inside a name cannot begin another. */
void term_line(cli_style style, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Columns a UTF-8 text takes. */
size_t term_width(const char *text);
/* A copy in which control characters and broken UTF-8 are '?'; newlines stay when `lines`. free() it. */
char *term_clean(const char *text, bool lines);

/* ---- talk on stderr ---- */
void term_warn(const char *text); /* the same text is said once */
void term_log(void *user, aipc_level level, const char *text);
void term_progress(void *user, size_t done, size_t total, const char *text);
void term_progress_end(void);
/* "aipc: error: ..." with where, notes and hint. */
void term_error(const aipc_error *e);
/* The same for a failure that is no library error. */
void term_error_text(const char *message);
/* The error document on stdout. */
void term_error_document(const aipc_error *e);
/* Prints a document as it is. */
void term_document(cli_env *env, const char *document);
void term_document_json(cli_env *env, const json_t *document);

/* ---- tables ---- */
typedef struct term_table term_table;
/* `head`: column titles separated by '|'; a title starting with '>' aligns right. "" prints no heading. */
term_table *table_new(const char *head);
void table_row(term_table *t);
void table_cell(term_table *t, cli_style style, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Takes over a malloc'ed text; NULL shows "-". */
void table_cell_take(term_table *t, cli_style style, char *text);
/* On a terminal too narrow for it the widest columns are cut with "…"; never in a pipe. Frees the table.
 * A NULL file only frees. */
void table_print(term_table *t, FILE *to);

/* ---- numbers; free() the results ---- */
char *fmt_bytes(double bytes); /* "3.2 MiB" */
char *fmt_count(double n);     /* "3.01 M" */
char *fmt_seconds(double s);   /* "413 ms", "2 min 05 s" */
char *fmt_number(double x);    /* four figures, "nan", "inf" */

/* ---- reading documents: absent or of another type gives the fallback ---- */
json_t *doc_parse(const char *text); /* NULL when it is no JSON object; json_decref() */
const char *doc_text(const json_t *o, const char *key, const char *fallback);
/* Reads numbers and the texts "nan", "inf", "-inf"; false when there is none. */
bool doc_number(const json_t *o, const char *key, double *out);
bool doc_true(const json_t *o, const char *key);
/* "1,3,320,320" as --shape takes it, symbols by name; free() it. */
char *doc_dims(const json_t *o, const char *key);
/* Texts of an array joined with a separator; "-" when empty; free() it. */
char *doc_join(const json_t *o, const char *key, const char *separator);
/* Formats a number field with one of the fmt_ functions; "-" when absent; free() it. */
char *doc_format(const json_t *o, const char *key, char *(*format)(double));
cli_style style_of_verdict(const char *verdict);

#endif
