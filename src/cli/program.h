/* SPDX-License-Identifier: Apache-2.0 */
/* program: what the commands that run a user's program share. */
#ifndef AIPC_CLI_PROGRAM_H
#define AIPC_CLI_PROGRAM_H

#include "cli/cli.h"

/* How many words of the command line stand behind "--". */
size_t cli_behind_dashes(const cli_env *env);

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
