/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    cli_list command, modules;
    const char *out;
    unsigned samples;
    cli_u64 budget;
} values;

/* Shapes of the signature called most, "and 3 more". */
static char *shapes_text(const json_t *model) {
    const json_t *sigs = json_object_get(model, "signatures"), *best = NULL;
    double most = -1, calls;
    for (size_t i = 0; i < json_array_size(sigs); i++) {
        const json_t *sig = json_array_get(sigs, i);
        if (!doc_number(sig, "calls", &calls) || calls <= most) continue;
        most = calls;
        best = sig;
    }
    const json_t *inputs = json_object_get(best, "inputs");
    char *all = NULL;
    for (size_t i = 0; i < json_array_size(inputs) && i < 3; i++) {
        char *dims = doc_dims(json_array_get(inputs, i), "dims");
        char *longer = cli_text("%s%s%s", all ? all : "", all ? " " : "", dims && *dims ? dims : "scalar");
        free(all);
        free(dims);
        all = longer;
    }
    if (json_array_size(inputs) > 3) {
        char *longer = cli_text("%s +%zu", all, json_array_size(inputs) - 3);
        free(all);
        all = longer;
    }
    return all;
}

static void put_model(term_table *t, const json_t *m) {
    const json_t *who = json_object_get(m, "identity");
    bool chosen = doc_true(m, "chosen");
    double share = 0;
    (void)doc_number(m, "share", &share);
    size_t n = json_array_size(json_object_get(m, "signatures"));
    table_row(t);
    table_cell(t, chosen ? CLI_BOLD : CLI_PLAIN, "%s", doc_text(m, "name", "-"));
    table_cell(t, CLI_PLAIN, "%s", doc_text(who, "class", "onnxruntime"));
    table_cell_take(t, CLI_PLAIN, doc_format(m, "calls", fmt_count));
    table_cell(t, CLI_PLAIN, "%zu", n);
    table_cell_take(t, CLI_PLAIN, shapes_text(m));
    table_cell_take(t, CLI_PLAIN, doc_format(who, "parameters", fmt_count));
    table_cell_take(t, CLI_PLAIN, doc_format(m, "seconds", fmt_seconds));
    table_cell(t, CLI_PLAIN, "%.1f %%", 100 * share);
    table_cell(t, chosen ? CLI_GREEN : CLI_DIM, "%s", chosen ? "yes" : doc_text(m, "why", "no"));
}

static void say(FILE *to, cli_style style, char *text) {
    term_put(to, style, text);
    term_put(to, style, "\n");
    free(text);
}

static void put_sums(FILE *to, const json_t *doc, const char *dir) {
    double wall = 0, inside = 0, copies = 0, ours = 0;
    (void)doc_number(doc, "wall_s", &wall);
    (void)doc_number(doc, "recorded_s", &inside);
    (void)doc_number(doc, "copies_s", &copies);
    (void)doc_number(doc, "overhead_s", &ours);
    char *w = fmt_seconds(wall), *i = fmt_seconds(inside), *c = fmt_seconds(copies), *o = fmt_seconds(ours);
    say(to, CLI_PLAIN,
        cli_text(
            "%s of %s in models; outside: start-up, what comes before and after them. Recording cost %s of "
            "copies and %s beside",
            i, w, c, o));
    free(w);
    free(i);
    free(c);
    free(o);
    say(to, CLI_PLAIN, cli_text("recording: %s", dir));
}

/* On stderr: stdout is the program's. */
static void show(const json_t *doc, const char *dir) {
    const json_t *models = json_object_get(doc, "models"), *notes = json_object_get(doc, "notes");
    for (size_t i = 0; i < json_array_size(notes); i++)
        term_warn(json_string_value(json_array_get(notes, i)));
    term_table *t = table_new("MODEL|CLASS|>CALLS|>SHAPES|INPUTS|>PARAMETERS|>TIME|>SHARE|CHOSEN");
    for (size_t i = 0; i < json_array_size(models); i++) put_model(t, json_array_get(models, i));
    table_print(t, json_array_size(models) ? stderr : NULL);
    if (json_array_size(models)) put_sums(stderr, doc, dir);
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    aipc_record_options o = {
        .size = sizeof o,
        .command = v->command.items,
        .command_count = v->command.count,
        .out_dir = v->out ? v->out : "recording",
        .modules = v->modules.items,
        .module_count = v->modules.count,
        .samples = v->samples,
        .budget = v->budget.given ? v->budget.value : 0,
    };
    aipc_error *e = cli_context_open(env, &context);
    if (!e) e = aipc_record(context, &o, status, &document);
    json_t *doc = document ? doc_parse(document) : NULL;
    if (doc && env->common.json)
        term_document(env, document);
    else if (doc && !env->common.quiet)
        show(doc, o.out_dir);
    if (doc && *status) {
        char *text =
            cli_text("the program ended with code %d: the recording holds what it called before", *status);
        term_warn(text);
        free(text);
    }
    /* The program's own failure is what its caller wants to see. */
    if (e && *status) {
        term_error(e);
        aipc_error_free(e);
        e = NULL;
    }
    json_decref(doc);
    aipc_free(document);
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "COMMAND",
     .required = true,
     .list = true,
     .offset = offsetof(values, command),
     .complete = CLI_FILE,
     .help = "the program and its arguments, behind --"},
    {0},
};

static const cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_TEXT,
     .offset = offsetof(values, out),
     .arg = "DIR",
     .complete = CLI_DIR,
     .help = "write the recording here (default: recording); an earlier one is replaced"},
    {.name = "module",
     .kind = CLI_LIST,
     .offset = offsetof(values, modules),
     .arg = "NAME",
     .help =
         "record this torch module instead of the outermost ones: a class, a dotted path or Class.method"},
    {.name = "samples",
     .kind = CLI_UINT,
     .offset = offsetof(values, samples),
     .arg = "N",
     .min = 1,
     .max = 1024,
     .help = "calls to keep of every signature and process (default: 8): the first half and a choice of the "
             "rest"},
    {.name = "budget",
     .kind = CLI_U64,
     .offset = offsetof(values, budget),
     .arg = "BYTES",
     .help = "most bytes of samples a process (default: 536870912)"},
    {0},
};

static const cli_example examples[] = {
    {"record what a program's models are called with", "aipc record -o rec -- python app.py photo.jpg"},
    {"a module inside the model, by its class", "aipc record --module CLIPVisionModel -- python app.py"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_INPUT, "the program ended well and no call of a model was seen"},
    {CLI_EXIT_RUNTIME, "aipc's Python package is not installed"},
    {CLI_EXIT_IO, NULL},
    {CLI_EXIT_BUSY, "the folder holds something else"},
    {-1, NULL},
};

const cli_command cli_record = {
    .name = "record",
    .summary = "run a program unchanged and record what its models compute",
    .purpose = "Runs the program with its own stdin and stdout, finds the models it calls with torch or "
               "onnxruntime, and keeps "
               "real inputs and outputs of each. The table of what was found goes to stderr.\nEnds with the "
               "program's exit "
               "code. docs/recordings.md describes what is written and how the program is reached.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
