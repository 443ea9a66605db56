/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *recording, *module, *out;
    cli_list command;
    bool level1;
    unsigned timeout;
} values;

static void put_signature(term_table *t, const json_t *model, const json_t *sig) {
    const json_t *tries = json_object_get(sig, "attempts"), *last = NULL;
    size_t n = json_array_size(tries);
    if (n) last = json_array_get(tries, n - 1);
    bool made = json_is_string(json_object_get(sig, "file"));
    double opset = 0;
    table_row(t);
    table_cell(t, CLI_PLAIN, "%s", doc_text(model, "name", "-"));
    table_cell(t, CLI_PLAIN, "%s", doc_text(sig, "id", "-"));
    if (doc_number(sig, "opset", &opset))
        table_cell(t, CLI_PLAIN, "%s, opset %.0f", doc_text(sig, "exporter", "-"), opset);
    else
        table_cell(t, CLI_PLAIN, "%s", made ? "as it is" : "-");
    table_cell_take(t, CLI_PLAIN, doc_join(sig, "level1", ", "));
    table_cell(t, made ? CLI_GREEN : CLI_RED, "%s", last ? doc_text(last, "verdict", "-") : "refused");
    table_cell_take(t, CLI_PLAIN, last ? doc_format(last, "worst_db", fmt_number) : NULL);
    table_cell(t, CLI_PLAIN, "%s", made ? doc_text(sig, "file", "-") : doc_text(sig, "refused", "-"));
}

static void show(const json_t *doc) {
    const json_t *models = json_object_get(doc, "models");
    term_table *t = table_new("MODEL|SIGNATURE|EXPORTER|LEVEL 1|VERDICT|>WORST DB|FILE");
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *model = json_array_get(models, i), *sigs = json_object_get(model, "signatures");
        for (size_t k = 0; k < json_array_size(sigs); k++) put_signature(t, model, json_array_get(sigs, k));
    }
    table_print(t, stdout);
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    (void)status;
    aipc_export_options o = {
        .size = sizeof o,
        .recording = v->recording,
        .module = v->module,
        .out_dir = v->out,
        .command = v->command.items,
        .command_count = v->command.count,
        .level1 = v->level1,
        .timeout_s = v->timeout,
    };
    aipc_error *e = cli_context_open(env, &context);
    if (!e) e = aipc_export(context, &o, &document);
    show_document(env, document, show);
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "RECORDING",
     .required = true,
     .offset = offsetof(values, recording),
     .complete = CLI_DIR,
     .help = "a folder written by aipc record"},
    {.name = "COMMAND",
     .list = true,
     .offset = offsetof(values, command),
     .complete = CLI_FILE,
     .help = "the program again, behind --; without: as it was recorded"},
    {0},
};

static const cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = offsetof(values, out),
     .arg = "DIR",
     .complete = CLI_DIR,
     .help = "write the models here (default: RECORDING/export)"},
    {.name = "module",
     .kind = CLI_TEXT,
     .offset = offsetof(values, module),
     .arg = "NAME",
     .help = "this model only, by name, class or file, also when it was not chosen"},
    {.name = "level1",
     .kind = CLI_FLAG,
     .offset = offsetof(values, level1),
     .help = "replace what targets have trouble with even when the export works without"},
    {.name = "timeout",
     .kind = CLI_UINT,
     .offset = offsetof(values, timeout),
     .arg = "SECONDS",
     .min = 1,
     .help = "most time for the program and all attempts (default: 1800)"},
    {0},
};

static const cli_example examples[] = {
    {"ONNX files of what was recorded", "aipc export recording"},
    {"one module; the command line had a secret",
     "aipc export recording --module Net -- python app.py --token T"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_MODEL, "a model could not be exported; every attempt is listed with its reason"},
    {CLI_EXIT_INPUT, "the recording is bad, or of other weights than the program now has"},
    {CLI_EXIT_RUNTIME, NULL},
    {CLI_EXIT_IO, NULL},
    {-1, NULL},
};

const cli_command cli_export = {
    .name = "export",
    .summary = "make ONNX models of a recording, each checked on the recorded calls",
    .purpose =
        "Runs the recorded program again up to the first call of each chosen torch module and exports it "
        "there with the recorded inputs: first by torch.export, then by TorchScript, then with "
        "replacements of what neither can express. An export is taken only when replaying recorded calls "
        "gives the recorded outputs.\nModels of onnxruntime are taken as they are. "
        "docs/recordings.md has the details.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
