/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *target;
    cli_list what, shapes;
    bool all, fresh, repair, vary_shapes;
    const char *csv, *html;
    unsigned timeout_s, threads, batch, seed;
} values;

static cli_style style_of(const char *verdict) {
    if (strcmp(verdict, "accepted") == 0) return CLI_GREEN;
    if (strcmp(verdict, "refused") == 0 || strcmp(verdict, "unasked") == 0 || strcmp(verdict, "invalid") == 0)
        return CLI_YELLOW;
    return CLI_RED;
}

static void put_probes(const json_t *list) {
    term_table *t = table_new("OP|VARIANT|VERDICT|>ERROR|REASON");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i);
        const char *verdict = doc_text(p, "verdict", "?");
        table_row(t);
        table_cell(t, CLI_PLAIN, "%s", doc_text(p, "op", "?"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(p, "variant", "?"));
        table_cell(t, style_of(verdict), "%s%s", verdict, doc_true(p, "inexact") ? ", inexact" : "");
        table_cell_take(t, CLI_PLAIN, doc_format(p, "error", fmt_number));
        table_cell(t, CLI_DIM, "%s", doc_text(p, "reason", ""));
    }
    table_print(t, stdout);
}

// What surgery makes of what was not right.
static void put_repairs(const json_t *doc) {
    const json_t *list = json_object_get(doc, "probes"), *sum = json_object_get(doc, "summary");
    if (!json_object_get(sum, "right_as_is")) return;
    term_table *t = table_new("OP|VARIANT|AFTER SURGERY|>ERROR|RULES, OR WHY NOT");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i), *r = json_object_get(p, "repair");
        if (!json_is_object(r)) continue;
        bool found = doc_true(r, "found");
        table_row(t);
        table_cell(t, CLI_PLAIN, "%s", doc_text(p, "op", "?"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(p, "variant", "?"));
        table_cell(t, found ? CLI_GREEN : CLI_YELLOW, "%s", found ? doc_text(r, "class", "?") : "left");
        table_cell_take(t, CLI_PLAIN, doc_format(r, "error", fmt_number));
        table_cell(t, CLI_DIM, "%s", doc_text(r, found ? "by" : "reason", ""));
    }
    table_print(t, stdout);
    double as_is = 0, after = 0, left = 0;
    (void)doc_number(sum, "right_as_is", &as_is);
    (void)doc_number(sum, "right_after_surgery", &after);
    (void)doc_number(sum, "left", &left);
    printf("\n%.0f right as they are, %.0f right after surgery, %.0f left\n\n", as_is, after, left);
}

static void put_summary(const json_t *doc) {
    static const char *const words[] = {"accepted", "inexact", "refused", "wrong",   "unstable",
                                        "crashed",  "hung",    "invalid", "unasked", "total"};
    const json_t *sum = json_object_get(doc, "summary"), *asking = json_object_get(doc, "asking");
    term_table *t = table_new(">ACCEPTED|>OF THEM INEXACT|>REFUSED|>ACCEPTED BUT "
                              "WRONG|>UNSTABLE|>CRASHED|>HUNG|>INVALID|>NOT ASKED|>TOTAL");
    table_row(t);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        double n = 0;
        (void)doc_number(sum, words[i], &n);
        bool bad = n > 0 && i >= 3 && i <= 6;
        table_cell(t, bad ? CLI_RED : CLI_PLAIN, "%.0f", n);
    }
    table_print(t, stdout);
    double asked = 0, cached = 0, seconds = 0, rate = 0;
    (void)doc_number(asking, "asked", &asked);
    (void)doc_number(asking, "cached", &cached);
    (void)doc_number(asking, "seconds", &seconds);
    (void)doc_number(asking, "probes_per_s", &rate);
    char *time = fmt_seconds(seconds);
    if (asked > 0)
        term_line(CLI_DIM, "%.0f asked in %s (%.0f a second), %.0f known from before", asked, time, rate,
                  cached);
    else
        term_line(CLI_DIM, "%.0f known from before", cached);
    free(time);
}

static void show(const json_t *doc) {
    put_probes(json_object_get(doc, "probes"));
    (void)fputc('\n', stdout);
    put_repairs(doc);
    put_summary(doc);
}

/* A model is told from an operator by its name. */
static bool is_model(const char *word) {
    size_t n = strlen(word);
    return strchr(word, '/') || (n > 5 && strcmp(word + n - 5, ".onnx") == 0);
}

static aipc_error *choose(const values *v, aipc_probe_options *o) {
    bool model = v->what.count == 1 && is_model(v->what.items[0]);
    for (size_t i = 0; i < v->what.count && !model; i++)
        if (is_model(v->what.items[i]))
            return cli_usage("ask about one model at a time", "'%s' is a model among other words",
                             v->what.items[i]);
    if (v->all && v->what.count)
        return cli_usage("leave one of them out", "--all and '%s' together", v->what.items[0]);
    if (!v->all && v->what.count == 0)
        return cli_usage("for example: aipc probe htp:sm8650 Conv, or --all", "nothing to ask about");
    if (model)
        o->model = v->what.items[0];
    else {
        o->ops = v->what.items;
        o->op_count = v->what.count;
    }
    return NULL;
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    (void)status;
    aipc_probe_options o = {.size = sizeof o,
                            .target = v->target,
                            .all = v->all,
                            .shapes = v->shapes.items,
                            .shape_count = v->shapes.count,
                            .csv = v->csv,
                            .html = v->html,
                            .fresh = v->fresh,
                            .repair = v->repair,
                            .timeout_s = v->timeout_s,
                            .threads = v->threads,
                            .batch = v->batch,
                            .seed = v->seed,
                            .vary_shapes = v->vary_shapes};
    aipc_error *e = choose(v, &o);
    if (!e) e = cli_context_open(env, &context);
    if (!e) e = aipc_probe(context, &o, &document);
    show_document(env, document, show);
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "TARGET",
     .required = true,
     .offset = offsetof(values, target),
     .complete = CLI_TARGET,
     .help = "whom to ask, such as htp:sm8650"},
    {.name = "WHAT",
     .list = true,
     .offset = offsetof(values, what),
     .complete = CLI_FILE,
     .help = "operators of the table (Conv Resize), or one model (every node of it is asked about)"},
    {0},
};

static const cli_option options[] = {
    {.name = "all",
     .kind = CLI_FLAG,
     .offset = offsetof(values, all),
     .help = "every operator and variant of the table"},
    {.name = "shape",
     .kind = CLI_PAIRS,
     .offset = offsetof(values, shapes),
     .arg = "NAME=DIMS",
     .help = "fixes a model's input shape (images=1,3,320,320) or a symbol (batch=1)"},
    {.name = "repair",
     .kind = CLI_FLAG,
     .offset = offsetof(values, repair),
     .help = "look for rules that make right what is refused or wrong"},
    {.name = "seed",
     .kind = CLI_UINT,
     .offset = offsetof(values, seed),
     .arg = "N",
     .min = 0,
     .max = 2147483647,
     .help = "draw other numbers for the table's variants (0: those of the table)"},
    {.name = "vary-shapes",
     .kind = CLI_FLAG,
     .offset = offsetof(values, vary_shapes),
     .help = "give the table's variants other shapes, drawn from the seed"},
    {.name = "csv",
     .kind = CLI_TEXT,
     .offset = offsetof(values, csv),
     .arg = "FILE",
     .complete = CLI_FILE,
     .help = "also write the answers as CSV"},
    {.name = "html",
     .kind = CLI_TEXT,
     .offset = offsetof(values, html),
     .arg = "FILE",
     .complete = CLI_FILE,
     .help = "also write the support matrix as a page"},
    {.name = "fresh",
     .kind = CLI_FLAG,
     .offset = offsetof(values, fresh),
     .help = "ask again what is known from before; the answers are not kept"},
    {.name = "timeout",
     .kind = CLI_UINT,
     .offset = offsetof(values, timeout_s),
     .arg = "S",
     .min = 1,
     .max = 86400,
     .help = "seconds after which a probe counts as hung (60)"},
    {.name = "threads",
     .kind = CLI_UINT,
     .offset = offsetof(values, threads),
     .arg = "N",
     .min = 1,
     .max = 256,
     .help = "workers at once (one a processor)"},
    {.name = "batch",
     .kind = CLI_UINT,
     .offset = offsetof(values, batch),
     .arg = "N",
     .min = 1,
     .max = 1000,
     .help = "most probes in one graph (48)"},
    {0},
};

static const cli_example examples[] = {
    {"does it take Resize, and right?", "aipc probe htp:sm8650 Resize"},
    {"which nodes of a model does it take?", "aipc probe htp:sm8650 model.onnx --shape images=1,3,320,320"},
    {"the support matrix", "aipc probe htp:sm8650 --all --csv support.csv --html support.html"},
    {"what surgery adds to it", "aipc probe htp:sm8650 --all --repair"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_MODEL, NULL},   {CLI_EXIT_INPUT, NULL}, {CLI_EXIT_TARGET, NULL},
    {CLI_EXIT_RUNTIME, NULL}, {CLI_EXIT_IO, NULL},    {-1, NULL},
};

const cli_command cli_probe = {
    .name = "probe",
    .summary = "ask a target which operators it takes, and whether it computes them right",
    .purpose =
        "Compiles small graphs for the target, runs them twice on two sets of values and compares with ONNX "
        "Runtime's CPU provider.\n"
        "Verdicts: accepted; refused, with the backend's own words; wrong, when it is accepted and computes "
        "something else; unstable, when two runs differ; crashed; hung; invalid, when the CPU cannot run it "
        "either. Answers are kept and not asked for again while runtime, SoC, operator, attributes, types "
        "and "
        "shapes are the same.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
