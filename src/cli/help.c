/* SPDX-License-Identifier: Apache-2.0 */
/* Help texts, made from the tables of the commands. */
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 79 };

/* Prints `text` from column `indent`, the cursor being at column `at`; breaks lines at blanks. Ends the line.
 */
static void put_wrapped(FILE *to, const char *text, size_t indent, size_t at) {
    if (at > indent) {
        (void)fputc('\n', to);
        at = 0;
    }
    (void)fprintf(to, "%*s", (int)(indent - at), "");
    size_t column = indent;
    while (*text) {
        size_t len = strcspn(text, " \n");
        if (column > indent && column + 1 + len > WIDTH) {
            (void)fprintf(to, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            (void)fputc(' ', to);
            column++;
        }
        (void)fprintf(to, "%.*s", (int)len, text);
        column += len;
        text += len;
        if (*text == '\n') {
            (void)fprintf(to, "\n%*s", (int)indent, "");
            column = indent;
        }
        if (*text) text++;
    }
    (void)fputc('\n', to);
}

static void put_title(FILE *to, const char *title) {
    (void)fputc('\n', to);
    term_put(to, CLI_BOLD, title);
    (void)fputc('\n', to);
}

static void put_row(FILE *to, const char *left, const char *text, size_t indent) {
    (void)fputs("  ", to);
    term_put(to, CLI_GREEN, left);
    size_t at = 2 + term_width(left);
    put_wrapped(to, text, indent, at + 2 > indent ? WIDTH : at);
}

char *cli_help_usage(const cli_command *c) {
    char *all = cli_text("%s", c->options ? "[OPTIONS]" : "");
    for (const cli_argument *a = c->arguments; a && a->name; a++) {
        const char *open = a->required ? "" : "[", *close = a->required ? "" : "]";
        char *longer =
            cli_text("%s%s%s%s%s%s", all, *all ? " " : "", open, a->name, close, a->list ? "..." : "");
        free(all);
        all = longer;
    }
    return all;
}

static void put_options(FILE *to, const cli_option *options) {
    for (const cli_option *o = options; o && o->name; o++) {
        char letter[5] = "    ";
        if (o->letter) (void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
        char *left = cli_text("%s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        bool many = o->kind == CLI_LIST || o->kind == CLI_PAIRS;
        char *choices = o->choices ? cli_text(" (%s)", o->choices) : cli_text("%s", "");
        for (char *c = *choices ? choices + 1 : choices; *c; c++)
            if (*c == ' ') *c = '|';
        char *text = cli_text("%s%s%s", o->help, choices, many ? "; may be repeated" : "");
        put_row(to, left, text, 30);
        free(text);
        free(choices);
        free(left);
    }
}

static void put_exit(FILE *to, int code, const char *text) {
    char *left = cli_text("%3d", code);
    put_row(to, left, text ? text : cli_exit_text(code), 8);
    free(left);
}

void cli_help_exits(FILE *to) {
    for (const cli_exit *e = cli_exits; e->text; e++) put_exit(to, e->code, e->text);
}

static void put_exits(FILE *to, const cli_command *c) {
    put_title(to, "Exit codes:");
    for (int code = CLI_EXIT_OK; code <= CLI_EXIT_USAGE; code++) put_exit(to, code, NULL);
    for (const cli_exit *e = c->exits; e && e->code >= 0; e++) put_exit(to, e->code, e->text);
}

void cli_help_command(FILE *to, const cli_command *c) {
    char *usage = cli_help_usage(c);
    term_put(to, CLI_BOLD, "Usage:");
    (void)fprintf(to, " aipc %s%s%s\n\n", c->name, *usage ? " " : "", usage);
    free(usage);
    put_wrapped(to, c->purpose, 0, 0);
    if (c->arguments) put_title(to, "Arguments:");
    for (const cli_argument *a = c->arguments; a && a->name; a++) put_row(to, a->name, a->help, 12);
    if (c->options) put_title(to, "Options:");
    put_options(to, c->options);
    put_title(to, "Common options:");
    put_options(to, cli_common_options);
    if (c->examples) put_title(to, "Examples:");
    for (const cli_example *x = c->examples; x && x->what; x++) {
        (void)fprintf(to, "  # %s\n  ", x->what);
        term_put(to, CLI_GREEN, x->line);
        (void)fputc('\n', to);
    }
    put_exits(to, c);
}

void cli_help_overview(FILE *to) {
    put_wrapped(
        to,
        "aipc takes a model and a device and gives back the fastest artifact that provably computes the same "
        "answer, with the evidence.",
        0, 0);
    (void)fputc('\n', to);
    term_put(to, CLI_BOLD, "Usage:");
    (void)fputs(" aipc [COMMON OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n", to);
    put_title(to, "Commands:");
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden) put_row(to, cli_commands[i]->name, cli_commands[i]->summary, 14);
    put_title(to, "Common options:");
    put_options(to, cli_common_options);
    put_row(to, "-V, --version", "show the version", 30);
    put_title(to, "Start here:");
    term_put(to, CLI_GREEN, "  aipc doctor");
    (void)fputs("\n", to);
    term_put(to, CLI_GREEN, "  aipc deploy model.onnx --target htp:sm8650 --input images=photo.jpg -o out");
    (void)fputs("\n\n'aipc help COMMAND' explains a command, 'aipc help exit-codes' the exit codes.\n", to);
}
