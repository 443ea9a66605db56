/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/program.h"
#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    cli_list command; /* first: cli_program_arguments */
    cli_list artifacts;
    const char *target;
    bool strict;
} values;

/* "; NAME 27 by DIR (TARGET)" or "; NAME 1 not: WHY" behind what is there. */
static char *with_model(char *before, const json_t *m) {
    const char *artifact = doc_text(m, "artifact", NULL);
    double calls = 0;
    (void)doc_number(m, "calls", &calls);
    char *after = artifact ? cli_text("%s; %s %.0f by %s (%s)", before, doc_text(m, "model", "-"), calls,
                                      artifact, doc_text(m, "target", "-"))
                           : cli_text("%s; %s %.0f not: %s", before, doc_text(m, "model", "-"), calls,
                                      doc_text(m, "why", "-"));
    free(before);
    return after;
}

/* One line on stderr: stdout is the program's. */
static void show(const json_t *doc) {
    const json_t *models = json_object_get(doc, "models");
    double calls = 0, served = 0;
    (void)doc_number(doc, "calls", &calls);
    (void)doc_number(doc, "served", &served);
    char *line =
        calls > 0
            ? cli_text("aipc: served %.0f of %.0f calls", served, calls)
            : cli_text(
                  "aipc: served nothing: %s",
                  doc_text(doc, "hook_error", NULL) ? doc_text(doc, "hook_error", "-")
                  : doc_true(doc, "python")
                      ? "the program called no model that was deployed"
                      : "nothing below this command uses torch, or onnxruntime from a place aipc reaches");
    for (size_t i = 0; i < json_array_size(models); i++) line = with_model(line, json_array_get(models, i));
    term_put(stderr, CLI_PLAIN, line);
    term_put(stderr, CLI_PLAIN, "\n");
    free(line);
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    cli_folders folders = cli_folders_of(&v->artifacts);
    aipc_exec_options o = {
        .size = sizeof o,
        .command = v->command.items,
        .command_count = v->command.count,
        .artifacts = folders.items,
        .artifact_count = folders.count,
        .target = v->target,
        .strict = v->strict,
    };
    aipc_error *e = cli_context_open(env, &context);
    if (!e) e = aipc_exec(context, &o, status, &document);
    json_t *doc = document ? doc_parse(document) : NULL;
    if (doc && env->common.json)
        term_document(env, document);
    else if (doc && !env->common.quiet)
        show(doc);
    json_decref(doc);
    aipc_free(document);
    aipc_context_close(context);
    cli_folders_free(&folders);
    return e;
}

static const cli_option options[] = {
    CLI_SERVED_BY(values, target, artifacts),
    {.name = "strict",
     .kind = CLI_FLAG,
     .offset = offsetof(values, strict),
     .help = "fail when a call of a deployed model cannot be served, instead of running the original"},
    {0},
};

static const cli_example examples[] = {
    {"run a program with its model on the NPU", "aipc exec --target htp:sm8650 -- python app.py photo.jpg"},
    {"two deployments, no fallback", "aipc exec --artifacts det --artifacts rec --strict -- python app.py"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_INPUT, "with --strict: the program ended well and nothing was served"},
    {CLI_EXIT_RUNTIME, "aipc's Python package is not installed"},
    {CLI_EXIT_IO, NULL},
    {-1, NULL},
};

const cli_command cli_exec = {
    .name = "exec",
    .summary = "run a program unchanged with its models served by artifacts",
    .purpose = "Runs the program with its own stdin and stdout. Models of torch and onnxruntime that were "
               "deployed are "
               "answered by the artifact; everything else, and shapes that were not deployed, runs as "
               "before, with a "
               "warning. What was served goes to stderr.\n"
               "Large inputs are read where they lie: a malloc is preloaded that keeps them in shared memory "
               "(AIPC_HEAP=0: not).\n"
               "Ends with the program's exit code. docs/recordings.md describes how calls are matched.",
    .arguments = cli_program_arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
