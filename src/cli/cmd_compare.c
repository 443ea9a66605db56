/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *a, *b;
} values;

static char *count_of(const json_t *m, const char *ref, const char *test) {
    double a = 0, b = 0;
    (void)doc_number(m, ref, &a);
    (void)doc_number(m, test, &b);
    return cli_text("%.0f/%.0f", a, b);
}

/* Good and bad models differ in the fifth digit. */
static char *fmt_cosine(double x) {
    return isfinite(x) ? cli_text("%.7f", x) : fmt_number(x);
}

static char *fmt_percent(double share) {
    return cli_text("%.2f %%", 100 * share);
}

static void put_tensor(term_table *t, const json_t *tensor) {
    const json_t *m = json_object_get(tensor, "metrics");
    bool equal = doc_true(m, "bit_equal");
    table_row(t);
    table_cell(t, CLI_PLAIN, "%s", doc_text(tensor, "name", "-"));
    table_cell(t, equal ? CLI_GREEN : CLI_RED, "%s", equal ? "yes" : "no");
    table_cell_take(t, CLI_PLAIN, doc_format(m, "cosine", fmt_cosine));
    table_cell_take(t, CLI_PLAIN, doc_format(m, "sqnr_db", fmt_number));
    table_cell_take(t, CLI_PLAIN, doc_format(m, "max_abs", fmt_number));
    table_cell_take(t, CLI_PLAIN, doc_format(m, "max_rel", fmt_number));
    table_cell_take(t, CLI_PLAIN, doc_format(m, "worst_channel_db", fmt_number));
    table_cell_take(t, CLI_PLAIN, count_of(m, "nan_ref", "nan_test"));
    table_cell_take(t, CLI_PLAIN, count_of(m, "inf_ref", "inf_test"));
    char *agree = doc_true(m, "class_like") ? doc_format(m, "argmax_agree", fmt_percent) : NULL;
    table_cell_take(t, CLI_PLAIN, agree);
}

static bool has_metrics(const json_t *tensor) {
    return json_is_object(json_object_get(tensor, "metrics"));
}

/* Errors get lines of their own under the table, or one long text would stretch a column. */
static void show_tensors(const json_t *tensors) {
    size_t count = json_array_size(tensors), rows = 0;
    for (size_t i = 0; i < count; i++) rows += has_metrics(json_array_get(tensors, i));
    term_table *t =
        table_new("TENSOR|EQUAL|>COSINE|>SQNR dB|>MAX ABS|>MAX REL|>WORST CH dB|>NAN|>INF|>ARGMAX");
    for (size_t i = 0; i < count; i++)
        if (has_metrics(json_array_get(tensors, i))) put_tensor(t, json_array_get(tensors, i));
    table_print(t, rows ? stdout : NULL);
    for (size_t i = 0; i < count; i++) {
        const json_t *tensor = json_array_get(tensors, i);
        if (has_metrics(tensor)) continue;
        const char *why = doc_text(tensor, "error", "cannot be compared");
        term_line(CLI_RED, "%s: %s", doc_text(tensor, "name", "-"), why);
    }
}

/* "node conv1 (Conv): inputs, attribute pads" from {kind, name, op, what}. */
static char *entry_text(const json_t *v) {
    if (json_is_string(v)) return cli_text("%s", json_string_value(v));
    const char *kind = doc_text(v, "kind", ""), *op = doc_text(v, "op", NULL);
    bool detailed = json_array_size(json_object_get(v, "what")) > 0;
    char *what = doc_join(v, "what", ", ");
    char *text =
        cli_text("%s%s%s%s%s%s%s%s", kind, *kind ? " " : "", doc_text(v, "name", "?"), op ? " (" : "",
                 op ? op : "", op ? ")" : "", detailed ? ": " : "", detailed ? what : "");
    free(what);
    return text;
}

/* Lines of a model diff, or names only one side has. */
static void show_list(const json_t *list, const char *sign, cli_style style) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        char *text = entry_text(json_array_get(list, i));
        term_line(style, "%s %s", sign, text);
        free(text);
    }
}

static bool show(const char *document, bool print) {
    json_t *doc = doc_parse(document);
    bool equal = doc_true(doc, "equal");
    if (print) {
        show_tensors(json_object_get(doc, "tensors"));
        show_list(json_object_get(doc, "only_a"), "only in A:", CLI_RED);
        show_list(json_object_get(doc, "only_b"), "only in B:", CLI_RED);
        show_list(json_object_get(doc, "removed"), "-", CLI_RED);
        show_list(json_object_get(doc, "added"), "+", CLI_GREEN);
        show_list(json_object_get(doc, "changed"), "~", CLI_YELLOW);
        bool model = strcmp(doc_text(doc, "kind", ""), "model") == 0;
        term_put(stdout, equal ? CLI_GREEN : CLI_RED, equal ? "equal" : "different");
        (void)fputs(model ? " in structure\n" : equal ? ", bit for bit\n" : "\n", stdout);
    }
    json_decref(doc);
    return equal;
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL;
    aipc_error *e = cli_context_open(env, &context);
    if (!e) e = aipc_compare(v->a, v->b, &document);
    term_progress_end();
    if (!e && env->common.json) term_document(env, document);
    if (!e) *status = show(document, !env->common.json) ? CLI_EXIT_OK : CLI_EXIT_GATE;
    aipc_free(document);
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "A",
     .required = true,
     .offset = offsetof(values, a),
     .complete = CLI_FILE,
     .help = "the reference: a tensor (.npy, .pb), a folder of tensors, or a model"},
    {.name = "B",
     .required = true,
     .offset = offsetof(values, b),
     .complete = CLI_FILE,
     .help = "what to hold against it"},
    {0},
};

static const cli_example examples[] = {
    {"two tensors by all gate metrics", "aipc compare golden/output0.npy outputs/output0.npy"},
    {"two folders, tensors matched by file name", "aipc compare golden outputs"},
    {"two models by structure, in a script", "aipc -q compare old.onnx new.onnx || echo changed"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_OK, "the two are equal: bit for bit, or in structure (models)"},
    {CLI_EXIT_MODEL, NULL},
    {CLI_EXIT_INPUT, NULL},
    {CLI_EXIT_IO, NULL},
    {CLI_EXIT_GATE, "the two differ"},
    {-1, NULL},
};

const cli_command cli_compare = {
    .name = "compare",
    .summary = "compare two tensors, two folders of tensors, or two models",
    .purpose =
        "Holds B against A and prints every gate metric: cosine, SQNR, largest absolute and relative error, "
        "worst channel (along axis 1: no graph says better here), NaN and Inf counts, class agreement, "
        "bit-equality. Models are compared by structure. Like diff it says by its exit code whether the two "
        "are equal.",
    .arguments = arguments,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
