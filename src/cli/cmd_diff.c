/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *a, *b;
    unsigned context;
    bool all;
} values;

static cli_style style_of(const char *mark) {
    if (*mark == '-') return CLI_RED;
    if (*mark == '+') return CLI_GREEN;
    return *mark == '~' ? CLI_YELLOW : CLI_DIM;
}

static bool is_same(const json_t *row) {
    return strcmp(doc_text(row, "mark", "="), "=") == 0;
}

/* Is there a difference within `context` rows? */
static bool is_near(const json_t *rows, size_t i, size_t context) {
    size_t from = i > context ? i - context : 0, to = i + context + 1;
    for (size_t k = from; k < to && k < json_array_size(rows); k++)
        if (!is_same(json_array_get(rows, k))) return true;
    return false;
}

static void put_gap(term_table *t, size_t count) {
    table_row(t);
    table_cell(t, CLI_DIM, " ");
    table_cell(t, CLI_DIM, "(%zu equal)", count);
    table_cell(t, CLI_DIM, " ");
}

static void show_rows(const json_t *rows, const values *v) {
    term_table *t = table_new(" |A|B");
    size_t hidden = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *mark = doc_text(row, "mark", "=");
        if (!v->all && !is_near(rows, i, v->context)) {
            hidden++;
            continue;
        }
        if (hidden) put_gap(t, hidden);
        hidden = 0;
        table_row(t);
        table_cell(t, style_of(mark), "%s", mark);
        table_cell(t, style_of(mark), "%s", doc_text(row, "a", " "));
        table_cell(t, style_of(mark), "%s", doc_text(row, "b", " "));
    }
    if (hidden) put_gap(t, hidden);
    table_print(t, stdout);
}

static size_t count_of(const json_t *doc, const char *list, const char *kind) {
    size_t n = 0, i;
    json_t *e;
    json_array_foreach(json_object_get(doc, list), i, e) n += strcmp(doc_text(e, "kind", ""), kind) == 0;
    return n;
}

static bool show(const char *document, const values *v, bool print) {
    json_t *doc = doc_parse(document);
    bool equal = doc_true(doc, "equal");
    if (print) {
        const json_t *nodes = json_object_get(doc, "nodes");
        if (!equal || v->all) show_rows(json_object_get(doc, "rows"), v);
        static const char *const kinds[] = {"node", "initializer", "input", "output", "opset"};
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            size_t gone = count_of(doc, "removed", kinds[i]), come = count_of(doc, "added", kinds[i]),
                   changed = count_of(doc, "changed", kinds[i]);
            if (gone + come + changed)
                term_line(CLI_PLAIN, "%-12s %zu removed, %zu added, %zu changed", kinds[i], gone, come,
                          changed);
        }
        term_line(equal ? CLI_GREEN : CLI_RED, "%s: %lld nodes, %lld nodes", equal ? "equal" : "different",
                  (long long)json_integer_value(json_array_get(nodes, 0)),
                  (long long)json_integer_value(json_array_get(nodes, 1)));
    }
    json_decref(doc);
    return equal;
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    char *document = NULL;
    aipc_error *e = aipc_diff(v->a, v->b, &document);
    if (!e && env->common.json) term_document(env, document);
    if (!e) *status = show(document, v, !env->common.json) ? CLI_EXIT_OK : CLI_EXIT_GATE;
    aipc_free(document);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "A", .required = true, .offset = offsetof(values, a), .complete = CLI_FILE, .help = "a model"},
    {.name = "B", .required = true, .offset = offsetof(values, b), .complete = CLI_FILE, .help = "another"},
    {0},
};

static const cli_option options[] = {
    {.name = "context",
     .kind = CLI_UINT,
     .offset = offsetof(values, context),
     .arg = "N",
     .help = "equal nodes shown around a difference (default 0)"},
    {.name = "all", .kind = CLI_FLAG, .offset = offsetof(values, all), .help = "show equal nodes, too"},
    {0},
};

static const cli_example examples[] = {
    {"what surgery did", "aipc diff yolo.onnx clean.onnx"},
    {"with three equal nodes around each difference", "aipc diff --context 3 old.onnx new.onnx"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_OK, "the graphs are equal"},
    {CLI_EXIT_MODEL, NULL},
    {CLI_EXIT_IO, NULL},
    {CLI_EXIT_GATE, "they differ"},
    {-1, NULL},
};

const cli_command cli_diff = {
    .name = "diff",
    .summary = "show two graphs side by side",
    .purpose = "Pairs the nodes of two models by what they make and prints both graphs beside each other: "
               "'-' only in A, '+' "
               "only in B, '~' changed, '=' equal. Below stand the counts, constants and interface included.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
