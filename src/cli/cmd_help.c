/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <string.h>

typedef struct values {
    const char *topic;
    bool man;
} values;

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    (void)env;
    (void)status;
    if (v->man) {
        cli_man_print(stdout);
        return NULL;
    }
    if (!v->topic) {
        cli_help_overview(stdout);
        return NULL;
    }
    if (strcmp(v->topic, "exit-codes") == 0) {
        cli_help_exits(stdout);
        return NULL;
    }
    const cli_command *c = cli_command_find(v->topic);
    if (!c) return cli_command_unknown(v->topic);
    cli_help_command(stdout, c);
    return NULL;
}

static const cli_argument arguments[] = {
    {.name = "TOPIC",
     .offset = offsetof(values, topic),
     .help = "a command, or 'exit-codes'; none: the overview"},
    {0},
};

static const cli_option options[] = {
    {.name = "man",
     .kind = CLI_FLAG,
     .offset = offsetof(values, man),
     .help = "print the manual page (roff), made from the same tables"},
    {0},
};

static const cli_example examples[] = {
    {"explain one command", "aipc help deploy"},
    {"what the exit codes mean", "aipc help exit-codes"},
    {"read the manual page without installing it", "aipc help --man | man -l -"},
    {0},
};

const cli_command cli_help = {
    .name = "help",
    .summary = "explain a command or the exit codes",
    .purpose = "Shows the overview, the help of one command, the table of exit codes, or the manual page.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .values_size = sizeof(values),
    .run = run,
};
