/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    const char *model;
    cli_list shapes;
    bool graph, macs;
} values;

/* Takes over `text`. */
static void put_line(const char *label, char *text) {
    term_line(CLI_PLAIN, "%-12s%s", label, text);
    free(text);
}

/* "ai.onnx 17, com.microsoft 1" */
static char *opsets_text(const json_t *opsets) {
    char *all = NULL;
    const char *domain;
    json_t *version;
    json_object_foreach((json_t *)opsets, domain, version) {
        char *longer = cli_text("%s%s%s %lld", all ? all : "", all ? ", " : "", *domain ? domain : "ai.onnx",
                                (long long)json_integer_value(version));
        free(all);
        all = longer;
    }
    return all ? all : cli_text("-");
}

static char *dtypes_text(const json_t *doc) {
    char *count = doc_format(doc, "parameters", fmt_count),
         *bytes = doc_format(doc, "parameter_bytes", fmt_bytes);
    char *all = cli_text("%s, %s", count, bytes);
    const char *dtype;
    json_t *n;
    json_object_foreach(json_object_get(doc, "dtypes"), dtype, n) {
        char *longer = cli_text("%s%s%s", all, strstr(all, " of ") ? ", " : " of ", dtype);
        free(all);
        all = longer;
    }
    free(count);
    free(bytes);
    return all;
}

/* "weights.bin (2.24 GiB), more.bin (12 MiB)" */
static char *external_text(const json_t *files) {
    char *all = NULL;
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        char *bytes = doc_format(file, "bytes", fmt_bytes);
        char *longer =
            cli_text("%s%s%s (%s)", all ? all : "", all ? ", " : "", doc_text(file, "name", "-"), bytes);
        free(bytes);
        free(all);
        all = longer;
    }
    return all ? all : cli_text("-");
}

static void put_head(const json_t *doc) {
    const char *file = doc_text(doc, "file", "-"), *producer = doc_text(doc, "producer", "");
    char *bytes = doc_format(doc, "bytes", fmt_bytes), *nodes = doc_format(doc, "nodes", fmt_count);
    double functions = (double)json_array_size(json_object_get(doc, "functions")), ir = 0;
    (void)doc_number(doc, "ir_version", &ir);
    put_line("file", cli_text("%s, %s", file, bytes));
    put_line("format", cli_text("ONNX IR %.0f%s%s", ir, *producer ? ", made by " : "", producer));
    put_line("opsets", opsets_text(json_object_get(doc, "opsets")));
    put_line("nodes",
             functions > 0 ? cli_text("%s, %.0f functions", nodes, functions) : cli_text("%s", nodes));
    put_line("parameters", dtypes_text(doc));
    char *macs = doc_format(doc, "macs", fmt_count);
    put_line(
        "MACs",
        cli_text("%s", strcmp(macs, "-") == 0 ? "unknown until every dimension is fixed (--shape)" : macs));
    if (json_array_size(json_object_get(doc, "symbols"))) put_line("symbols", doc_join(doc, "symbols", ", "));
    if (json_array_size(json_object_get(doc, "external_files")))
        put_line("weights in", external_text(json_object_get(doc, "external_files")));
    free(macs);
    free(nodes);
    free(bytes);
}

static void put_values(term_table *t, const json_t *list, const char *kind) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        table_row(t);
        table_cell(t, CLI_PLAIN, "%s", kind);
        table_cell(t, CLI_PLAIN, "%s", doc_text(v, "name", "-"));
        table_cell(t, CLI_PLAIN, "%s", doc_text(v, "dtype", "-"));
        table_cell_take(t, CLI_PLAIN, doc_dims(v, "dims"));
    }
}

typedef struct op {
    const char *name;
    json_int_t count;
} op;

static int more_first(const void *a, const void *b) {
    const op *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->name, y->name);
}

static void put_ops(json_t *ops) {
    size_t count = json_object_size(ops), i = 0;
    op *rows = cli_zalloc(count, sizeof *rows);
    const char *name;
    json_t *n;
    json_object_foreach(ops, name, n) rows[i++] = (op){name, json_integer_value(n)};
    qsort(rows, count, sizeof *rows, more_first);
    term_table *t = table_new("OP|>COUNT");
    for (i = 0; i < count; i++) {
        table_row(t);
        table_cell(t, CLI_PLAIN, "%s", rows[i].name);
        table_cell(t, CLI_PLAIN, "%lld", (long long)rows[i].count);
    }
    table_print(t, stdout);
    free(rows);
}

static void show(const char *document) {
    json_t *doc = doc_parse(document);
    put_head(doc);
    (void)fputc('\n', stdout);
    term_table *t = table_new("I/O|NAME|DTYPE|SHAPE");
    put_values(t, json_object_get(doc, "inputs"), "input");
    put_values(t, json_object_get(doc, "outputs"), "output");
    table_print(t, stdout);
    (void)fputc('\n', stdout);
    put_ops(json_object_get(doc, "ops"));
    json_decref(doc);
}

/* With --graph --json the text becomes a field of the one document. */
static void show_graph(cli_env *env, const char *document, const char *text) {
    if (!env->common.json) {
        char *clean = term_clean(text, true);
        size_t len = strlen(clean);
        (void)printf("%s%s", clean, len && clean[len - 1] == '\n' ? "" : "\n");
        free(clean);
        return;
    }
    json_t *doc = doc_parse(document), *graph = json_string(text);
    if (!doc) doc = json_object();
    (void)json_object_set_new(doc, "graph", graph ? graph : json_null());
    term_document_json(env, doc);
    json_decref(doc);
}

static aipc_error *run(cli_env *env, void *p, int *status) {
    const values *v = p;
    aipc_context *context = NULL;
    char *document = NULL, *text = NULL;
    (void)status;
    bool needs_document = !v->graph || env->common.json;
    aipc_error *e = cli_context_open(env, &context);
    if (!e && needs_document)
        e = aipc_inspect(context, v->model,
                         &(aipc_inspect_options){.size = sizeof(aipc_inspect_options),
                                                 .shapes = v->shapes.items,
                                                 .shape_count = v->shapes.count,
                                                 .macs = v->macs},
                         &document);
    if (!e && v->graph) e = aipc_model_text(v->model, &text);
    term_progress_end();
    if (!e && v->graph)
        show_graph(env, document, text);
    else if (!e && env->common.json)
        term_document(env, document);
    else if (!e)
        show(document);
    aipc_free(text);
    aipc_free(document);
    aipc_context_close(context);
    return e;
}

static const cli_argument arguments[] = {
    {.name = "MODEL",
     .required = true,
     .offset = offsetof(values, model),
     .complete = CLI_FILE,
     .help = "the ONNX model to look at"},
    {0},
};

static const cli_option options[] = {
    {.name = "shape",
     .kind = CLI_PAIRS,
     .offset = offsetof(values, shapes),
     .arg = "NAME=DIMS",
     .help =
         "fixes an input's shape (images=1,3,320,320) or a symbol (batch=1), so that MACs can be counted"},
    {.name = "macs",
     .kind = CLI_FLAG,
     .offset = offsetof(values, macs),
     .help = "count multiply-accumulates: runs the model once on the CPU to learn every shape (--shape does "
             "this too)"},
    {.name = "graph",
     .kind = CLI_FLAG,
     .offset = offsetof(values, graph),
     .help = "print the graph, one node a line"},
    {0},
};

static const cli_example examples[] = {
    {"what is in this model", "aipc inspect model.onnx"},
    {"count its work at one size", "aipc inspect model.onnx --shape images=1,3,640,640"},
    {"find the nodes that make a tensor", "aipc inspect model.onnx --graph | grep features"},
    {0},
};

static const cli_exit exits[] = {
    {CLI_EXIT_MODEL, NULL}, {CLI_EXIT_INPUT, NULL}, {CLI_EXIT_IO, NULL}, {CLI_EXIT_MEMORY, NULL}, {-1, NULL},
};

const cli_command cli_inspect = {
    .name = "inspect",
    .summary = "show a model's inputs, outputs, operators and size",
    .purpose = "Reads an ONNX model and shows its inputs and outputs, symbolic "
               "dimensions, operators "
               "by count, parameters, multiply-accumulates, opsets and size.",
    .arguments = arguments,
    .options = options,
    .examples = examples,
    .exits = exits,
    .values_size = sizeof(values),
    .run = run,
};
