/* SPDX-License-Identifier: Apache-2.0 */
/* cli: the room's shared nouns. A command is a row of tables and one function; everything a user reads about
 * it comes from the row. Commands hold no logic: they turn words into options of the public interface and
 * documents into text. stdout carries the result and nothing else, stderr the talk. */
#ifndef AIPC_CLI_CLI_H
#define AIPC_CLI_CLI_H

#include "cli/options.h"

#include <stdio.h>

/* The codes this room itself ends with; all codes stand in docs/exit-codes.md. */
enum {
    CLI_EXIT_OK = 0,
    CLI_EXIT_INTERNAL = 1,
    CLI_EXIT_USAGE = 2,
    CLI_EXIT_MODEL = 3,
    CLI_EXIT_INPUT = 4,
    CLI_EXIT_TARGET = 5,
    CLI_EXIT_RUNTIME = 6,
    CLI_EXIT_IO = 7,
    CLI_EXIT_BUSY = 8,
    CLI_EXIT_GATE = 10,
    CLI_EXIT_REFUSED = 11,
    CLI_EXIT_CRASH = 12,
    CLI_EXIT_HANG = 13,
    CLI_EXIT_MEMORY = 14,
    CLI_EXIT_VENDOR = 15,
    CLI_EXIT_CANCELLED = 130
};

/* A code and what it means; in a command's table a text of its own may replace the general one. Ends with
 * text NULL in the general table, with code -1 in a command's. */
typedef struct cli_exit {
    int code;
    const char *text;
} cli_exit;
extern const cli_exit cli_exits[];
const char *cli_exit_text(int code); /* "" when unknown */

typedef struct cli_example {
    const char *what; /* NULL ends the table */
    const char *line;
} cli_example;

/* What one call of the program knows. */
typedef struct cli_env {
    cli_common common;
    int argc; /* the whole command line, for reproduction */
    char **argv;
    bool document_printed; /* stdout already holds the one document */
} cli_env;

typedef struct cli_command {
    const char *name;
    const char *summary; /* half a line for the overview */
    const char *purpose; /* paragraphs separated by a newline */
    const cli_argument *arguments;
    const cli_option *options;
    const cli_example *examples;
    const cli_exit *exits; /* besides 0, 1 and 2 */
    bool hidden;
    size_t values_size; /* of the struct the tables point into */
    /* Returns an error to report, or NULL; then the program ends with *status (0 unless set). */
    aipc_error *(*run)(cli_env *env, void *values, int *status);
} cli_command;

extern const cli_command cli_new, cli_deploy, cli_record, cli_exec, cli_verify, cli_split, cli_export,
    cli_replay, cli_inspect, cli_compare, cli_run, cli_profile, cli_probe, cli_rules, cli_surgery, cli_apply,
    cli_diff, cli_doctor, cli_runtime, cli_targets, cli_worker, cli_completion, cli_help;
extern const cli_command *const cli_commands[]; /* NULL at the end */
const cli_command *cli_command_find(const char *name);
aipc_error *cli_command_unknown(const char *name);

/* Opens a context whose log and progress go to stderr as the options say. */
aipc_error *cli_context_open(cli_env *env, aipc_context **out);

/* help.c */
void cli_help_overview(FILE *to);
void cli_help_command(FILE *to, const cli_command *c);
void cli_help_exits(FILE *to);
/* "[OPTIONS] MODEL"; free() it. */
char *cli_help_usage(const cli_command *c);
/* man.c, complete.c */
void cli_man_print(FILE *to);
void cli_complete_print(FILE *to, const char *shell);

#endif
