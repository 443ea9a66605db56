/* SPDX-License-Identifier: Apache-2.0 */
/* program: what the commands that run a user's program share. */
#ifndef AIPC_CLI_PROGRAM_H
#define AIPC_CLI_PROGRAM_H

#include "cli/cli.h"

/* How many words of the command line stand behind "--". */
size_t cli_behind_dashes(const cli_env *env);

/* The one argument of such a command: its program, into the cli_list at the start of its struct. */
extern const cli_argument cli_program_arguments[];
/* Rows of its options: what serves the program. `target` and `artifacts` are fields of `type`. */
#define CLI_SERVED_BY(type, target, artifacts)                                                               \
    {.name = "target",                                                                                       \
     .letter = 't',                                                                                          \
     .kind = CLI_TEXT,                                                                                       \
     .offset = offsetof(type, target),                                                                       \
     .arg = "TARGET",                                                                                        \
     .complete = CLI_TARGET,                                                                                 \
     .help = "which target of the artifacts (default the first)"},                                           \
    {                                                                                                        \
        .name = "artifacts", .kind = CLI_LIST, .offset = offsetof(type, artifacts), .arg = "DIR",            \
        .complete = CLI_DIR, .help = "a folder written by deploy (default $AIPC_ARTIFACTS, else out)"        \
    }

/* Folders of artifacts, borrowed from `given` and `text`. Release with cli_folders_free. */
typedef struct cli_folders {
    const char **items;
    size_t count;
    char *text;
} cli_folders;
/* Those `given`, else $AIPC_ARTIFACTS (joined by ':'), else what deploy writes when it is told nothing. */
cli_folders cli_folders_of(const cli_list *given);
void cli_folders_free(cli_folders *f);

#endif
