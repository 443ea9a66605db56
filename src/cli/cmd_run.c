/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *artifact, *target, *out_dir;
    cli_list inputs;
} values;

static void show(const char *document, const char *folder) {
    json_t *doc = doc_parse(document);
    const json_t *outputs = json_object_get(doc, "outputs");
    term_table *t = table_new("OUTPUT|DTYPE|SHAPE|FILE");
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const json_t *o = json_array_get(outputs, i);
        table_row(t);
        table_cell(t, CLI_PLAIN, "%s", doc_text(o, "name", "-"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(o, "dtype", "-"));
        table_cell_take(t, CLI_PLAIN, doc_dims(o, "dims"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(o, "file", "-"));
    }
    table_print(t, stdout);
    char *time = doc_format(doc, "seconds", fmt_seconds);
    if (strcmp(doc_text(doc, "artifact", folder), folder) != 0)
        term_line(CLI_PLAIN, "artifact: %s", doc_text(doc, "artifact", "-"));
    term_line(CLI_PLAIN, "target: %s", doc_text(doc, "target", "-"));
    term_line(CLI_PLAIN, "time: %s on this machine", time);
    free(time);
    json_decref(doc);
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    (void)status;
    aipc_error *e = cli_context_open(env, &context);
    if (!e)
        e = aipc_run_files(context, v->artifact, v->target, v->inputs.items, v->inputs.count,
                           v->out_dir ? v->out_dir : "outputs", &document);
    term_progress_end();
    if (document && env->common.json)
        term_document(env, document);
    else if (document)
        show(document, v->artifact);
    aipc_free(document);
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "ARTIFACT",
     .required = true,
     .offset = offsetof(values, artifact),
     .complete = CLI_DIR,
     .help =
         "a folder written by deploy, or one target inside it; of several shapes the one that fits is taken"},
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
    {.name = "input",
     .letter = 'i',
     .kind = CLI_PAIRS,
     .offset = offsetof(values, inputs),
     .arg = "NAME=FILE",
     .complete = CLI_NAME_FILE,
     .help =
         "a value for an input: .npy, .pb, .raw, .bin, .jpg or .png; pictures go through the recipe of the "
         "contract (default the golden sample)"},
    {.name = "output",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = offsetof(values, out_dir),
     .arg = "DIR",
     .complete = CLI_DIR,
     .help = "folder for NAME.npy of every output (default outputs)"},
    {0},
};

static const cli_example examples[] = {
    {"run on a picture", "aipc run out --target htp:sm8650 --input images=other.jpg -o result"},
    {"run the golden sample of the first target", "aipc run out"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_INPUT, NULL},
    {CLI_EXIT_TARGET, "the artifact has no such target"},
    {CLI_EXIT_RUNTIME, NULL},
    {CLI_EXIT_IO, NULL},
    {CLI_EXIT_CRASH, NULL},
    {CLI_EXIT_HANG, NULL},
    {CLI_EXIT_MEMORY, NULL},
    {CLI_EXIT_VENDOR, NULL},
    {-1, NULL},
};

const cli_command cli_run = {
    .name = "run",
    .summary = "run a deployed artifact and keep its outputs",
    .purpose = "Loads a deployed artifact, checks the inputs against its contract, runs it once and writes "
               "every output "
               "as NAME.npy. An NPU artifact runs in the vendor's emulator on this machine.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
