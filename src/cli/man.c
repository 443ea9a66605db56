/* SPDX-License-Identifier: Apache-2.0 */
/* The manual page in roff, made from the tables; docs/man/aipc.1 is its output and a test keeps it current.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

/* Text for roff: backslash and dash escaped, and no line may begin with a control character. */
static void put(FILE *to, const char *text) {
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\'')) (void)fputs("\\&", to);
        if (*text == '\\')
            (void)fputs("\\e", to);
        else if (*text == '-')
            (void)fputs("\\-", to);
        else if (*text == '\n')
            (void)fputs("\n.PP\n", to);
        else
            (void)fputc(*text, to);
        line_start = *text == '\n';
    }
}

static void put_line(FILE *to, const char *text) {
    put(to, text);
    (void)fputc('\n', to);
}

static void put_section(FILE *to, const char *kind, const char *title) {
    (void)fprintf(to, ".%s \"", kind);
    put(to, title);
    (void)fputs("\"\n", to);
}

static void put_options(FILE *to, const cli_option *options) {
    for (const cli_option *o = options; o && o->name; o++) {
        (void)fputs(".TP\n", to);
        if (o->letter) (void)fprintf(to, "\\fB\\-%c\\fR, ", o->letter);
        (void)fputs("\\fB\\-\\-", to);
        put(to, o->name);
        (void)fputs("\\fR", to);
        if (o->arg) (void)fprintf(to, " \\fI%s\\fR", o->arg);
        (void)fputc('\n', to);
        put(to, o->help);
        if (o->choices) {
            (void)fputs(" (one of ", to);
            put(to, o->choices);
            (void)fputc(')', to);
        }
        if (o->kind == CLI_LIST || o->kind == CLI_PAIRS) (void)fputs("; may be repeated", to);
        (void)fputs(".\n", to);
    }
}

static void put_exit_row(FILE *to, int code, const char *text) {
    (void)fprintf(to, ".TP\n\\fB%d\\fR\n", code);
    put_line(to, text ? text : cli_exit_text(code));
}

static void put_command(FILE *to, const cli_command *c) {
    char *usage = cli_help_usage(c), *title = cli_text("aipc %s %s", c->name, usage);
    if (!*usage) title[strlen(title) - 1] = 0;
    put_section(to, "SS", title);
    put_line(to, c->purpose);
    for (const cli_argument *a = c->arguments; a && a->name; a++) {
        (void)fprintf(to, ".TP\n\\fI%s\\fR\n", a->name);
        put(to, a->help);
        (void)fputs(".\n", to);
    }
    put_options(to, c->options);
    for (const cli_exit *e = c->exits; e && e->code >= 0; e++) {
        if (e == c->exits) (void)fputs(".PP\nExit codes besides 0, 1 and 2:\n", to);
        put_exit_row(to, e->code, e->text);
    }
    for (const cli_example *x = c->examples; x && x->what; x++) {
        (void)fputs(".PP\n", to);
        put(to, x->what);
        (void)fputs(":\n.PP\n.nf\n.RS\n", to);
        put_line(to, x->line);
        (void)fputs(".RE\n.fi\n", to);
    }
    free(title);
    free(usage);
}

static void put_environment(FILE *to) {
    static const char *const rows[][2] = {
        {"AIPC_CACHE", "folder of stored results (default $XDG_CACHE_HOME/aipc, then ~/.cache/aipc)"},
        {"AIPC_DATA", "folder of vendor runtimes (default $XDG_DATA_HOME/aipc, then ~/.local/share/aipc)"},
        {"AIPC_HEAP", "0: exec and verify leave the program's malloc alone; all inputs are copied then"},
        {"AIPC_PROGRAM", "the aipc program that libaipc starts as worker"},
        {"NO_COLOR", "when set and not empty, output has no colour"},
    };
    put_section(to, "SH", "ENVIRONMENT");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)fprintf(to, ".TP\n\\fB%s\\fR\n", rows[i][0]);
        put(to, rows[i][1]);
        (void)fputs(".\n", to);
    }
}

void cli_man_print(FILE *to) {
    (void)fprintf(to,
                  ".\\\" SPDX-License-Identifier: Apache-2.0\n"
                  ".\\\" Made by `aipc help --man`; do not edit.\n"
                  ".TH AIPC 1 \"\" \"aipc %s\" \"User Commands\"\n.nh\n.ad l\n",
                  aipc_version());
    put_section(to, "SH", "NAME");
    (void)fputs("aipc \\- take a model to a verified artifact for a device\n", to);
    put_section(to, "SH", "SYNOPSIS");
    for (size_t i = 0; cli_commands[i]; i++) {
        if (cli_commands[i]->hidden) continue;
        char *usage = cli_help_usage(cli_commands[i]);
        (void)fprintf(to, "%s\\fBaipc %s\\fR", i ? ".br\n" : "", cli_commands[i]->name);
        (void)fprintf(to, "%s%s\n", *usage ? " " : "", usage);
        free(usage);
    }
    put_section(to, "SH", "DESCRIPTION");
    put_line(
        to,
        "aipc takes a model and a device and gives back the fastest artifact that provably computes the same "
        "answer, with the evidence. The result goes to standard output, everything else to standard error; "
        "progress is shown on a terminal only.");
    put_section(to, "SH", "COMMON OPTIONS");
    (void)fputs("Understood by every command, before or after its name.\n", to);
    put_options(to, cli_common_options);
    (void)fputs(".TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nshow the version (only without a command).\n", to);
    put_section(to, "SH", "COMMANDS");
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden) put_command(to, cli_commands[i]);
    put_section(to, "SH", "EXIT STATUS");
    for (const cli_exit *e = cli_exits; e->text; e++) put_exit_row(to, e->code, e->text);
    put_environment(to);
}
