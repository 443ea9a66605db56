/* SPDX-License-Identifier: Apache-2.0 */
/* Completion scripts, made from the tables. Each shell gets one function per need and the tables as its data;
 * the only thing asked at completion time is `aipc targets --names`. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

typedef void option_visit(FILE *to, const cli_option *o);

static void each_option(FILE *to, const cli_command *c, option_visit *visit) {
    for (const cli_option *o = c->options; o && o->name; o++) visit(to, o);
    for (const cli_option *o = cli_common_options; o->name; o++) visit(to, o);
}

static bool takes_value(const cli_option *o) {
    return o->kind != CLI_FLAG && o->kind != CLI_COUNT;
}

/* Inside single quotes. zsh also wants brackets and colons escaped. */
static void put_quoted(FILE *to, const char *text, const char *escape) {
    for (; *text; text++) {
        if (*text == '\'')
            (void)fputs("'\\''", to);
        else if (strchr(escape, *text))
            (void)fprintf(to, "\\%c", *text);
        else
            (void)fputc(*text, to);
    }
}

/* ---- bash ---- */

static void bash_word(FILE *to, const cli_option *o) {
    (void)fprintf(to, " --%s", o->name);
    if (o->letter) (void)fprintf(to, " -%c", o->letter);
}

static const char *bash_action(const char *choices, cli_complete how) {
    if (choices) return "words";
    switch (how) {
    case CLI_FILE: return "files";
    case CLI_NAME_FILE: return "files";
    case CLI_DIR: return "folders";
    case CLI_TARGET: return "targets";
    case CLI_ANY: break;
    }
    return "nothing";
}

static void bash_value(FILE *to, const cli_option *o) {
    if (!takes_value(o)) return;
    (void)fprintf(to, "        --%s", o->name);
    if (o->letter) (void)fprintf(to, "|-%c", o->letter);
    (void)fprintf(to, ") _aipc_%s \"$cur\"%s%s; return ;;\n", bash_action(o->choices, o->complete),
                  o->choices ? " " : "", o->choices ? o->choices : "");
}

static void bash_command(FILE *to, const cli_command *c) {
    (void)fprintf(to, "    %s)\n        case $prev in\n", c->name);
    each_option(to, c, bash_value);
    (void)fputs("        esac\n        if [[ $cur == -* ]]; then\n            _aipc_words \"$cur\"", to);
    each_option(to, c, bash_word);
    (void)fputs("\n            return\n        fi\n", to);
    const cli_argument *a = c->arguments;
    bool topics = strcmp(c->name, "help") == 0;
    if (topics)
        (void)fputs("        _aipc_words \"$cur\" $commands exit-codes\n", to);
    else if (a && a->name)
        (void)fprintf(to, "        _aipc_%s \"$cur\"%s%s\n", bash_action(a->choices, a->complete),
                      a->choices ? " " : "", a->choices ? a->choices : "");
    (void)fputs("        ;;\n", to);
}

static void print_bash(FILE *to) {
    (void)fputs("# bash completion for aipc; made by `aipc completion bash`\n"
                "_aipc_words() { local cur=$1; shift; COMPREPLY=($(compgen -W \"$*\" -- \"$cur\")); }\n"
                "_aipc_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "
                "\"$1\"); }\n"
                "_aipc_folders() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "
                "\"$1\"); }\n"
                "_aipc_nothing() { COMPREPLY=(); }\n"
                "_aipc_targets() {\n"
                "    _aipc_words \"$1\" \"$(aipc targets --names 2>/dev/null)\"\n"
                "    # The shell splits words at colons: give back only what follows the last one.\n"
                "    [[ $COMP_WORDBREAKS == *:* && $1 == *:* ]] && "
                "COMPREPLY=(\"${COMPREPLY[@]#\"${1%\"${1##*:}\"}\"}\")\n"
                "    return 0\n"
                "}\n"
                "_aipc() {\n"
                "    local cur prev command= i line=${COMP_LINE:0:COMP_POINT} commands=\"",
                to);
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden) (void)fprintf(to, "%s%s", i ? " " : "", cli_commands[i]->name);
    (void)fputs("\"\n"
                "    local -a words\n"
                "    read -ra words <<<\"$line\"\n"
                "    [[ $line == *[[:space:]] ]] && words+=(\"\")\n"
                "    ((${#words[@]} > 1)) || return 0\n"
                "    cur=${words[-1]} prev=${words[-2]}\n"
                "    # --option=VALUE completes like --option VALUE, NAME=FILE like FILE.\n"
                "    [[ $cur == --*=* ]] && prev=${cur%%=*} cur=${cur#*=}\n"
                "    [[ $cur == *=* ]] && cur=${cur#*=}\n"
                "    for ((i = 1; i < ${#words[@]} - 1; i++)); do\n"
                "        if [[ ${words[i]} == --color ]]; then ((i++)); continue; fi\n"
                "        if [[ ${words[i]} != -* ]]; then command=${words[i]}; break; fi\n"
                "    done\n"
                "    COMPREPLY=()\n"
                "    case $command in\n"
                "    \"\")\n        case $prev in\n",
                to);
    for (const cli_option *o = cli_common_options; o->name; o++) bash_value(to, o);
    (void)fputs(
        "        esac\n        if [[ $cur == -* ]]; then\n            _aipc_words \"$cur\" --version -V", to);
    for (const cli_option *o = cli_common_options; o->name; o++) bash_word(to, o);
    (void)fputs("\n            return\n        fi\n        _aipc_words \"$cur\" $commands\n        ;;\n", to);
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden) bash_command(to, cli_commands[i]);
    (void)fputs("    esac\n}\ncomplete -F _aipc aipc\n", to);
}

/* ---- zsh ---- */

static void zsh_action(FILE *to, const char *label, const char *choices, cli_complete how) {
    (void)fprintf(to, ":%s:", label);
    if (choices)
        (void)fprintf(to, "(%s)", choices);
    else if (how == CLI_FILE)
        (void)fputs("_files", to);
    else if (how == CLI_DIR)
        (void)fputs("_files -/", to);
    else if (how == CLI_NAME_FILE)
        (void)fputs("{ compset -P \"*=\"; _files }", to);
    else if (how == CLI_TARGET)
        (void)fputs("_aipc_targets", to);
    else
        (void)fputc(' ', to);
}

static void zsh_spec(FILE *to, const cli_option *o, const char *dashes, const char *name) {
    bool many = o->kind == CLI_LIST || o->kind == CLI_PAIRS || o->kind == CLI_COUNT;
    bool equals = takes_value(o) && strlen(dashes) == 2;
    (void)fprintf(to, " \\\n        '%s%s%s%s%s[", many ? "*" : "", dashes, name, equals ? "=" : "",
                  takes_value(o) && !equals ? "+" : "");
    put_quoted(to, o->help, "[]:\\");
    (void)fputc(']', to);
    if (takes_value(o)) zsh_action(to, o->arg, o->choices, o->complete);
    (void)fputc('\'', to);
}

static void zsh_option(FILE *to, const cli_option *o) {
    zsh_spec(to, o, "--", o->name);
    char letter[2] = {o->letter, 0};
    if (o->letter) zsh_spec(to, o, "-", letter);
}

static void zsh_command(FILE *to, const cli_command *c) {
    (void)fprintf(to, "    %s)\n      _arguments -s -S", c->name);
    each_option(to, c, zsh_option);
    for (const cli_argument *a = c->arguments; a && a->name; a++) {
        (void)fprintf(to, " \\\n        '%s", a->list ? "*" : "");
        if (strcmp(c->name, "help") == 0)
            (void)fputs(":TOPIC:_aipc_topics", to);
        else
            zsh_action(to, a->name, a->choices, a->complete);
        (void)fputc('\'', to);
    }
    (void)fputs("\n      ;;\n", to);
}

static void print_zsh(FILE *to) {
    (void)fputs("#compdef aipc\n# zsh completion for aipc; made by `aipc completion zsh`\n"
                "_aipc_targets() {\n"
                "  local -a names\n"
                "  names=(${(f)\"$(aipc targets --names 2>/dev/null)\"})\n"
                "  compadd -a names\n"
                "}\n"
                "_aipc_commands() {\n"
                "  local -a list\n"
                "  list=(\n",
                to);
    for (size_t i = 0; cli_commands[i]; i++) {
        if (cli_commands[i]->hidden) continue;
        (void)fprintf(to, "    '%s:", cli_commands[i]->name);
        put_quoted(to, cli_commands[i]->summary, "");
        (void)fputs("'\n", to);
    }
    (void)fputs("  )\n  _describe -t commands command list\n}\n"
                "_aipc_topics() {\n  _aipc_commands\n  compadd exit-codes\n}\n"
                "_aipc() {\n"
                "  local curcontext=$curcontext state line ret=1\n"
                "  typeset -A opt_args\n"
                "  _arguments -C -s -S",
                to);
    for (const cli_option *o = cli_common_options; o->name; o++) zsh_option(to, o);
    (void)fputs(" \\\n        '(-V --version)'{-V,--version}'[show the version]' \\\n"
                "        '1:command:_aipc_commands' '*::argument:->argument' && ret=0\n"
                "  [[ $state == argument ]] || return ret\n"
                "  case $words[1] in\n",
                to);
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden) zsh_command(to, cli_commands[i]);
    (void)fputs(
        "  esac\n}\nif [[ $funcstack[1] == _aipc ]]; then _aipc \"$@\"; else compdef _aipc aipc; fi\n", to);
}

/* ---- fish ---- */

static void fish_option(FILE *to, const char *condition, const cli_option *o) {
    (void)fprintf(to, "complete -c aipc -n '%s' -l %s", condition, o->name);
    if (o->letter) (void)fprintf(to, " -s %c", o->letter);
    if (takes_value(o)) (void)fputs(" -r", to);
    if (o->choices)
        (void)fprintf(to, " -f -a '%s'", o->choices);
    else if (o->complete == CLI_FILE)
        (void)fputs(" -F", to);
    else if (o->complete == CLI_DIR)
        (void)fputs(" -f -a '(__fish_complete_directories)'", to);
    else if (o->complete == CLI_NAME_FILE)
        (void)fputs(" -f -a '(__aipc_name_file)'", to);
    else if (o->complete == CLI_TARGET)
        (void)fputs(" -f -a '(aipc targets --names 2>/dev/null)'", to);
    else if (takes_value(o))
        (void)fputs(" -f", to);
    (void)fputs(" -d '", to);
    /* fish knows \' inside single quotes */
    for (const char *s = o->help; *s; s++) {
        if (*s == '\'' || *s == '\\') (void)fputc('\\', to);
        (void)fputc(*s, to);
    }
    (void)fputs("'\n", to);
}

static void fish_command(FILE *to, const cli_command *c) {
    char *condition = cli_text("__fish_seen_subcommand_from %s", c->name);
    (void)fprintf(to, "complete -c aipc -f -n __fish_use_subcommand -a %s -d '", c->name);
    put_quoted(to, c->summary, "");
    (void)fputs("'\n", to);
    for (const cli_option *o = c->options; o && o->name; o++) fish_option(to, condition, o);
    for (const cli_argument *a = c->arguments; a && a->name; a++) {
        (void)fprintf(to, "complete -c aipc -n '%s' ", condition);
        if (strcmp(c->name, "help") == 0)
            (void)fputs("-f -a '$__aipc_commands exit-codes'\n", to);
        else if (a->choices)
            (void)fprintf(to, "-f -a '%s'\n", a->choices);
        else
            (void)fputs(a->complete == CLI_FILE || a->complete == CLI_DIR ? "-F\n" : "-f\n", to);
    }
    free(condition);
}

static void print_fish(FILE *to) {
    (void)fputs("# fish completion for aipc; made by `aipc completion fish`\n"
                "function __aipc_name_file\n"
                "    set -l word (commandline -ct | string replace -r -- '^--[a-z]+=' '')\n"
                "    set -l name (string match -r -- '^[^=]*=' $word); or return\n"
                "    for file in (__fish_complete_path (string replace -- $name '' $word))\n"
                "        echo $name$file\n"
                "    end\n"
                "end\n"
                "set -g __aipc_commands",
                to);
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden) (void)fprintf(to, " %s", cli_commands[i]->name);
    (void)fputs("\ncomplete -c aipc -f\n"
                "complete -c aipc -n __fish_use_subcommand -l version -s V -d 'show the version'\n",
                to);
    for (const cli_option *o = cli_common_options; o->name; o++) fish_option(to, "true", o);
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden) fish_command(to, cli_commands[i]);
}

void cli_complete_print(FILE *to, const char *shell) {
    if (strcmp(shell, "bash") == 0)
        print_bash(to);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(to);
    else
        print_fish(to);
}
