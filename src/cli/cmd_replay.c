/* SPDX-License-Identifier: Apache-2.0 */
/* The judge that an export running inside the user's program asks. */
#include "cli/term.h"

typedef struct values {
    const char *request;
} values;

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    (void)status;
    aipc_error *e = cli_context_open(env, &context);
    if (!e) e = aipc_replay(context, v->request, &document);
    if (!e) term_document(env, document);
    aipc_free(document);
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "REQUEST",
     .required = true,
     .offset = offsetof(values, request),
     .complete = CLI_FILE,
     .help = "a JSON file that names a model and recorded samples"},
    {0},
};

static const cli_option options[] = {{0}};
static const cli_example examples[] = {{0}};
static const cli_exit exits[] = {{-1, NULL}};

const cli_command cli_replay = {
    .name = "replay",
    .summary = "does a model compute what was recorded",
    .purpose = "Used by aipc export. Prints one document.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .hidden = true,
    .values_size = sizeof(values),
    .run = run,
};
