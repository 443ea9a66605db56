/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

typedef struct values {
    const char *shell;
} values;

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    (void)env;
    (void)status;
    cli_complete_print(stdout, v->shell);
    return NULL;
}

static const cli_argument arguments[] = {
    {.name = "SHELL",
     .required = true,
     .offset = offsetof(values, shell),
     .choices = "bash zsh fish",
     .help = "bash, zsh or fish"},
    {0},
};

static const cli_example examples[] = {
    {"bash, for this session", "source <(aipc completion bash)"},
    {"zsh, for good (a folder of $fpath)", "aipc completion zsh > ~/.zfunc/_aipc"},
    {"fish, for good", "aipc completion fish > ~/.config/fish/completions/aipc.fish"},
    {0},
};

const cli_command cli_completion = {
    .name = "completion",
    .summary = "print a completion script for bash, zsh or fish",
    .purpose =
        "Prints a script that teaches the shell the commands, options and values of aipc. It is made from "
        "the tables the program parses with, so it is never out of date.",
    .arguments = arguments,
    .examples = examples,
    .values_size = sizeof(values),
    .run = run,
};
