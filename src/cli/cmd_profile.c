/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"
#include "cli/term.h"

typedef struct values {
    const char *artifact, *target;
    unsigned top;
} values;

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    (void)status;
    aipc_error *e = cli_context_open(env, &context);
    if (!e) e = aipc_profile(context, v->artifact, v->target, &document);
    term_progress_end();
    if (document && env->common.json)
        term_document(env, document);
    else if (document)
        show_profile(document, v->top);
    aipc_free(document);
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "ARTIFACT",
     .required = true,
     .offset = offsetof(values, artifact),
     .complete = CLI_DIR,
     .help = "a folder written by deploy, or one target inside it"},
    {0},
};

static const cli_option options[] = {
    {.name = "target",
     .letter = 't',
     .kind = CLI_TEXT,
     .offset = offsetof(values, target),
     .arg = "TARGET",
     .complete = CLI_TARGET,
     .help = "which target of the artifact (default the first)"},
    {.name = "top",
     .letter = 'n',
     .kind = CLI_UINT,
     .offset = offsetof(values, top),
     .arg = "N",
     .min = 1,
     .help = "only the N slowest layers, slowest first (default all, in graph order)"},
    {0},
};

static const cli_example examples[] = {
    {"the ten slowest layers", "aipc profile out --target htp:sm8650 --top 10"},
    {"all layers for a spreadsheet",
     "aipc profile out --json | jq -r '.cost.layers[] | [.name, .ms] | @csv'"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_TARGET, "the artifact has no such target"},
    {CLI_EXIT_RUNTIME, NULL},
    {CLI_EXIT_IO, NULL},
    {CLI_EXIT_CRASH, NULL},
    {CLI_EXIT_HANG, NULL},
    {CLI_EXIT_MEMORY, NULL},
    {CLI_EXIT_VENDOR, NULL},
    {-1, NULL},
};

const cli_command cli_profile = {
    .name = "profile",
    .summary = "show where an artifact spends its time, layer by layer",
    .purpose = "Shows a deployed artifact layer by layer: the times the runtime measured on this machine "
               "(cpu), and the "
               "estimated cost on the NPU (htp). Figures of the NPU emulator are no device times and are "
               "never shown "
               "as such.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
