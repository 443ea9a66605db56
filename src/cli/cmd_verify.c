/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/program.h"
#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    cli_list command; /* first: cli_program_arguments */
    cli_list artifacts, tasks;
    const char *target, *keep;
    bool repair;
} values;

static void put_gate(term_table *t, const char *where, const json_t *g) {
    const char *verdict = doc_text(g, "verdict", "-");
    cli_style style = strcmp(verdict, "pass") == 0   ? CLI_GREEN
                      : strcmp(verdict, "fail") == 0 ? CLI_RED
                                                     : CLI_DIM;
    table_row(t);
    table_cell(t, CLI_PLAIN, "%s", where);
    table_cell(t, CLI_PLAIN, "%s", doc_text(g, "metric", "-"));
    table_cell_take(t, CLI_PLAIN, doc_format(g, "value", fmt_number));
    table_cell(t, CLI_PLAIN, "%s", doc_text(g, "op", ""));
    table_cell_take(t, CLI_PLAIN, doc_format(g, "threshold", fmt_number));
    table_cell(t, style, "%s", verdict);
}

/* Where the runs parted, below the table: lines of a program may be long. */
static void put_notes(const json_t *end) {
    const json_t *g;
    for (size_t i = 0; (g = json_array_get(end, i)) != NULL; i++)
        if (doc_text(g, "note", NULL))
            term_line(CLI_PLAIN, "%s: %s", doc_text(g, "what", "-"), doc_text(g, "note", ""));
}

/* How the calls of a model were compared, where that is not call by call. */
static void put_how(const json_t *calls) {
    const json_t *c;
    for (size_t i = 0; (c = json_array_get(calls, i)) != NULL; i++) {
        const char *name = doc_text(c, "name", "-"), *signature = doc_text(c, "signature", ""),
                   *note = doc_text(c, "note", NULL);
        double again = 0;
        if (doc_number(c, "replayed", &again) && again > 0)
            term_line(CLI_PLAIN,
                      "%s %s: %.0f calls had other inputs when served: compared on those of the run "
                      "as it is",
                      name, signature, again);
        if (json_is_array(json_object_get(c, "picked")))
            term_line(CLI_PLAIN,
                      "%s %s: picks rows: compared with what the original computes given the "
                      "artifact's picks",
                      name, signature);
        if (note) term_line(CLI_PLAIN, "%s %s: %s", name, signature, note);
    }
}

/* An output of one number has no direction and no noise, only a distance. */
static bool is_single(const json_t *output) {
    const json_t *gates = json_object_get(output, "gates"), *g;
    for (size_t i = 0; (g = json_array_get(gates, i)) != NULL; i++)
        if (strcmp(doc_text(g, "metric", ""), "sqnr_db") == 0)
            return strcmp(doc_text(g, "verdict", ""), "info") == 0;
    return false;
}

/* What failed; of an output that passed the two metrics everybody knows. */
static bool is_shown(const json_t *gate, bool single) {
    const char *metric = doc_text(gate, "metric", "");
    if (strcmp(doc_text(gate, "verdict", ""), "fail") == 0) return true;
    if (single) return strcmp(metric, "max_abs") == 0;
    return strcmp(metric, "cosine") == 0 || strcmp(metric, "sqnr_db") == 0;
}

/* Something that was not compared, and why. */
static void put_uncompared(term_table *t, const char *where, const char *why) {
    table_row(t);
    table_cell(t, CLI_PLAIN, "%s", where);
    for (int i = 0; i < 4; i++) table_cell(t, CLI_PLAIN, "%s", "");
    table_cell(t, CLI_DIM, "%s", why);
}

static void put_call(term_table *t, const json_t *call) {
    const json_t *outputs = json_object_get(call, "outputs"), *o, *g;
    for (size_t i = 0; (o = json_array_get(outputs, i)) != NULL; i++) {
        char *where = cli_text("%s %s: %s", doc_text(call, "name", "-"), doc_text(call, "signature", ""),
                               doc_text(o, "name", "-"));
        for (size_t k = 0; (g = json_array_get(json_object_get(o, "gates"), k)) != NULL; k++)
            if (is_shown(g, is_single(o))) put_gate(t, where, g);
        if (json_is_false(json_object_get(o, "read"))) put_uncompared(t, where, "not read");
        free(where);
    }
    if (json_array_size(outputs)) return;
    char *where = cli_text("%s %s", doc_text(call, "name", "-"), doc_text(call, "signature", ""));
    put_uncompared(t, where, doc_text(call, "verdict", "-"));
    free(where);
}

/* What was deployed again, because the program had not done the same at first. */
static void put_repair(const json_t *repair) {
    const json_t *dirs = json_object_get(repair, "deployed"), *end, *dir, *g;
    for (size_t i = 0; (dir = json_array_get(dirs, i)) != NULL; i++)
        term_line(CLI_PLAIN, "deployed again, more exactly: %s", json_string_value(dir));
    end = json_object_get(json_object_get(repair, "first"), "end");
    for (size_t i = 0; (g = json_array_get(end, i)) != NULL; i++)
        if (json_array_size(dirs) && doc_text(g, "note", NULL))
            term_line(CLI_PLAIN, "  before that: %s: %s", doc_text(g, "what", "-"), doc_text(g, "note", ""));
}

static void show(const json_t *doc) {
    const json_t *calls = json_object_get(doc, "calls"), *end = json_object_get(doc, "end"), *o,
                 *served = json_object_get(doc, "served");
    double all = 0, some = 0;
    term_table *t = table_new("WHERE|METRIC|>VALUE||>THRESHOLD|VERDICT");
    for (size_t i = 0; (o = json_array_get(calls, i)) != NULL; i++) put_call(t, o);
    for (size_t i = 0; (o = json_array_get(end, i)) != NULL; i++) put_gate(t, doc_text(o, "what", "-"), o);
    table_print(t, stdout);
    put_how(calls);
    put_notes(end);
    put_repair(json_object_get(doc, "repair"));
    (void)doc_number(served, "calls", &all);
    (void)doc_number(served, "served", &some);
    term_line(CLI_PLAIN, "served: %.0f of %.0f calls", some, all);
    term_line(strcmp(doc_text(doc, "verdict", ""), "pass") == 0 ? CLI_GREEN : CLI_RED, "verdict: %s",
              doc_text(doc, "verdict", "-"));
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    cli_folders folders = cli_folders_of(&v->artifacts);
    aipc_verify_options o = {
        .size = sizeof o,
        .command = v->command.items,
        .command_count = v->command.count,
        .artifacts = folders.items,
        .artifact_count = folders.count,
        .target = v->target,
        .tasks = v->tasks.items,
        .task_count = v->tasks.count,
        .keep_dir = v->keep,
        .repair = v->repair,
    };
    (void)status;
    aipc_error *e = cli_context_open(env, &context);
    if (!e) e = aipc_verify(context, &o, &document);
    show_document(env, document, show);
    cli_folders_free(&folders);
    aipc_context_close(context);
    return e;
}

static const cli_option options[] = {
    CLI_SERVED_BY(values, target, artifacts),
    {.name = "task",
     .kind = CLI_LIST,
     .offset = offsetof(values, tasks),
     .arg = "TASK",
     .help = "how stdout and files are compared, TASK[=NUMBER][:FILE] (default: as recorded or deployed): "
             "text (words equal, numbers "
             "near, times left out), numbers, percent, words, exact, boxes, topboxes, psnr, none"},
    {.name = "keep",
     .kind = CLI_TEXT,
     .offset = offsetof(values, keep),
     .arg = "DIR",
     .complete = CLI_DIR,
     .help = "keep what both runs printed, recorded and wrote"},
    {.name = "repair",
     .kind = CLI_FLAG,
     .offset = offsetof(values, repair),
     .help =
         "when they differ: deploy again, from the recording and into the same folder, with the operators "
         "the target is most exact in, and look again"},
    {0},
};

static const cli_example examples[] = {
    {"is it still the same program on the NPU", "aipc verify --target htp:sm8650 -- python app.py photo.jpg"},
    {"a detector: the same boxes", "aipc verify --task boxes=0.95 -- python app.py photo.jpg"},
    {"a picture, and a log that is not looked at",
     "aipc verify --task psnr=45:out.png --task none:run.log -- python app.py"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_INPUT, "nothing was served"},
    {CLI_EXIT_RUNTIME, "aipc's Python package is not installed"},
    {CLI_EXIT_IO, NULL},
    {CLI_EXIT_GATE, "the program does not do the same when it is served"},
    {-1, NULL},
};

const cli_command cli_verify = {
    .name = "verify",
    .summary = "run a program as it is and served, and compare",
    .purpose = "Runs the program twice, each time in a copy of the working folder, so that its files stay as "
               "they are: "
               "once unchanged, once with its models served by artifacts. Compares what the models answered "
               "to the same "
               "inputs, the exit code, stdout, and every file the program wrote below the working folder.",
    .arguments = cli_program_arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
