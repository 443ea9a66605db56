/* SPDX-License-Identifier: Apache-2.0 */
/* aipc: finds the command, parses its words, runs it, ends with a documented code. */
#include "cli/cli.h"
#include "cli/term.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

const cli_command *const cli_commands[] = {
    &cli_new,     &cli_deploy,  &cli_record,     &cli_export, &cli_exec,    &cli_verify,
    &cli_split,   &cli_inspect, &cli_compare,    &cli_run,    &cli_profile, &cli_probe,
    &cli_rules,   &cli_surgery, &cli_apply,      &cli_diff,   &cli_doctor,  &cli_runtime,
    &cli_targets, &cli_help,    &cli_completion, &cli_worker, &cli_replay,  NULL,
};

const cli_exit cli_exits[] = {
    {CLI_EXIT_OK, "success"},
    {CLI_EXIT_INTERNAL, "a bug in aipc"},
    {CLI_EXIT_USAGE, "the command line is wrong"},
    {CLI_EXIT_MODEL, "the model file is bad"},
    {CLI_EXIT_INPUT, "an input (tensor, image, shape) is bad"},
    {CLI_EXIT_TARGET, "unknown target or SoC"},
    {CLI_EXIT_RUNTIME, "a vendor runtime is missing, has the wrong hash or cannot be loaded"},
    {CLI_EXIT_IO, "a file is missing or damaged, the disk is full or read-only"},
    {CLI_EXIT_BUSY, "another aipc works in this folder"},
    {CLI_EXIT_GATE, "the work ran, a gate failed"},
    {CLI_EXIT_REFUSED, "the backend refuses nodes of the graph"},
    {CLI_EXIT_CRASH, "the vendor library crashed"},
    {CLI_EXIT_HANG, "the vendor library did not answer in time"},
    {CLI_EXIT_MEMORY, "a memory limit was reached"},
    {CLI_EXIT_VENDOR, "the vendor library returned an error or garbage"},
    {CLI_EXIT_CANCELLED, "interrupted"},
    {0, NULL},
};

const char *cli_exit_text(int code) {
    for (const cli_exit *e = cli_exits; e->text; e++)
        if (e->code == code) return e->text;
    return "";
}

const cli_command *cli_command_find(const char *name) {
    for (size_t i = 0; cli_commands[i]; i++)
        if (strcmp(cli_commands[i]->name, name) == 0) return cli_commands[i];
    return NULL;
}

aipc_error *cli_command_unknown(const char *name) {
    cli_nearest near = {.word = name};
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden) cli_nearest_offer(&near, cli_commands[i]->name);
    char *hint = near.best ? cli_text("did you mean 'aipc %s'? 'aipc help' lists the commands", near.best)
                           : cli_text("'aipc help' lists the commands");
    aipc_error *e = cli_usage(hint, "unknown command '%s'", name);
    free(hint);
    return e;
}

aipc_error *cli_context_open(cli_env *env, aipc_context **out) {
    (void)env;
    aipc_context_options o = {.size = sizeof o, .log = term_log, .progress = term_progress};
    return aipc_context_open(&o, out);
}

/* The error goes where the reader of the result looks; with a document on stdout already there is no room for
 * a second one. */
static int report_error(cli_env *env, aipc_error *e) {
    int code = aipc_error_exit_code(e);
    term_progress_end();
    if (env->common.json && !env->document_printed)
        term_error_document(e);
    else
        term_error(e);
    aipc_error_free(e);
    return code;
}

/* A wrong command line may hide --json behind the mistake; whoever asked for it still gets a document. */
static bool asks_for_json(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0) return true;
    return false;
}

static int report_usage(cli_env *env, aipc_error *e) {
    env->common.json = asks_for_json(env->argc, env->argv);
    return report_error(env, e);
}

static int run_command(cli_env *env, const cli_command *c, int argc, char **argv) {
    void *values = cli_zalloc(1, c->values_size);
    cli_parse p = {.command = c->name,
                   .options = c->options,
                   .arguments = c->arguments,
                   .values = values,
                   .common = &env->common};
    int status = CLI_EXIT_OK;
    aipc_error *e = cli_parse_words(&p, argc, argv, NULL);
    term_init(&env->common);
    if (e)
        status = report_usage(env, e);
    else if (env->common.help)
        cli_help_command(stdout, c);
    else if ((e = c->run(env, values, &status)) != NULL)
        status = report_error(env, e);
    term_progress_end();
    cli_parse_release(&p);
    free(values);
    return status;
}

static int run_program(int argc, char **argv) {
    cli_env env = {.argc = argc, .argv = argv};
    cli_parse front = {.common = &env.common};
    int used = 0;
    term_init(&env.common);
    aipc_error *e = cli_parse_words(&front, argc - 1, argv + 1, &used);
    if (e) return report_usage(&env, e);
    term_init(&env.common);
    if (env.common.version) {
        (void)printf("aipc %s\n", aipc_version());
        return CLI_EXIT_OK;
    }
    if (used + 1 >= argc) {
        cli_help_overview(stdout);
        return CLI_EXIT_OK;
    }
    const cli_command *c = cli_command_find(argv[used + 1]);
    if (!c) return report_usage(&env, cli_command_unknown(argv[used + 1]));
    return run_command(&env, c, argc - used - 2, argv + used + 2);
}

static volatile sig_atomic_t pipe_broke;

/* A handler, not SIG_IGN: it is gone after exec, so programs we start keep the usual behaviour. */
static void on_pipe(int number) {
    (void)number;
    pipe_broke = 1;
}

/* A result that could not be written is no success. A reader that went away (`aipc targets | head -1`) ends
 * us the way shells know: by SIGPIPE. */
static int finish(int status) {
    bool failed = ferror(stdout) != 0;
    errno = 0;
    if (fflush(stdout) == 0 && !failed) return status;
    int number = errno ? errno : EIO;
    if (pipe_broke) {
        (void)signal(SIGPIPE, SIG_DFL);
        (void)raise(SIGPIPE);
    }
    char *text = cli_text("cannot write the result: %s", strerror(number));
    term_error_text(text);
    free(text);
    return status == CLI_EXIT_OK ? CLI_EXIT_IO : status;
}

int main(int argc, char **argv) {
    (void)signal(SIGPIPE, on_pipe);
    return finish(run_program(argc, argv));
}
