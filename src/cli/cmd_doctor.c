/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <stdlib.h>

static bool show(const char *document, bool print) {
    json_t *doc = doc_parse(document);
    const json_t *checks = json_object_get(doc, "checks");
    bool ok = doc_true(doc, "ok");
    if (print) {
        term_table *t = table_new("CHECK|OK|DETAIL");
        for (size_t i = 0; i < json_array_size(checks); i++) {
            const json_t *c = json_array_get(checks, i);
            bool good = doc_true(c, "ok");
            table_row(t);
            table_cell(t, CLI_PLAIN, "%s", doc_text(c, "name", "-"));
            table_cell(t, good ? CLI_GREEN : CLI_RED, "%s", good ? "yes" : "no");
            table_cell(t, CLI_PLAIN, "%s", doc_text(c, "detail", "-"));
        }
        table_print(t, stdout);
        for (size_t i = 0; i < json_array_size(checks); i++) {
            const char *fix = doc_text(json_array_get(checks, i), "fix", NULL);
            if (!fix) continue;
            term_line(CLI_YELLOW, "fix %s: %s", doc_text(json_array_get(checks, i), "name", "-"), fix);
        }
    }
    json_decref(doc);
    return ok;
}

static aipc_error *run(cli_env *env, void *values, int *status) {
    aipc_context *context = NULL;
    char *document = NULL;
    (void)values;
    aipc_error *e = cli_context_open(env, &context);
    if (!e) e = aipc_doctor(context, &document);
    term_progress_end();
    if (document && env->common.json) term_document(env, document);
    if (document && !show(document, !env->common.json)) *status = CLI_EXIT_RUNTIME;
    aipc_free(document);
    aipc_context_close(context);
    return e;
}

static const cli_example examples[] = {
    {"what works here, and what to install", "aipc doctor"},
    {"in a script", "aipc doctor --json > doctor.json || cat doctor.json"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_OK, "everything works"},
    {CLI_EXIT_RUNTIME, "a check failed; its line says what to do"},
    {-1, NULL},
};

const cli_command cli_doctor = {
    .name = "doctor",
    .summary = "check what is installed and which targets work here",
    .purpose = "Checks the runtimes and proves every target by compiling and running a graph of two nodes in "
               "a worker. "
               "What is missing comes with the command that gets it.",
    .examples = examples,
    .exits = exits,
    .values_size = 1,
    .run = run,
};
