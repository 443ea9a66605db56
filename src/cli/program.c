/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/program.h"

#include <stdlib.h>
#include <string.h>

const cli_argument cli_program_arguments[] = {
    {.name = "COMMAND",
     .required = true,
     .list = true,
     .complete = CLI_FILE,
     .help = "the program and its arguments, behind --"},
    {0},
};

size_t cli_behind_dashes(const cli_env *env) {
    for (int i = 1; i < env->argc; i++)
        if (!strcmp(env->argv[i], "--")) return (size_t)(env->argc - i - 1);
    return 0;
}

cli_folders cli_folders_of(const cli_list *given) {
    const char *named = getenv("AIPC_ARTIFACTS");
    cli_folders f = {.text = cli_text("%s", named && *named ? named : "out"), .count = given->count};
    f.items = cli_zalloc(given->count + strlen(f.text) + 1, sizeof *f.items);
    for (size_t i = 0; i < given->count; i++) f.items[i] = given->items[i];
    char *rest = f.text;
    for (char *part; !given->count && (part = strsep(&rest, ":")) != NULL;)
        if (*part) f.items[f.count++] = part;
    return f;
}

void cli_folders_free(cli_folders *f) {
    free(f->items);
    free(f->text);
    *f = (cli_folders){0};
}
