// SPDX-License-Identifier: Apache-2.0
// Files made, the interface contract, the model, the tools, and how to do it again.
#include "report/html.h"

#include <string.h>

// ---- artifact ----

static void file_table(const json_t *files, ap_buf *out) {
    static const char *const heads[] = {"File", "Role", "#Size", "SHA-256"};
    ap_html_table_open(out, "files", heads, 4);
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *f = json_array_get(files, i);
        double bytes = 0;
        if (!json_is_object(f)) continue;
        bool known = ap_rd_amount(f, "bytes", &bytes);
        ap_buf_puts(out, "<tr>");
        ap_html_code_cell(out, ap_rd_str(f, "file"));
        ap_html_fmt(
            out, "<td>%s</td><td class=\"num\" title=\"%s bytes\">%s</td><td class=\"hash\">%s</td></tr>\n",
            ap_rd_str_or(f, "role", ""), known ? ap_rd_integer(bytes).s : "?",
            known ? ap_rd_bytes(bytes).s : "", ap_rd_str_or(f, "sha256", ""));
    }
    ap_html_table_close(out);
}

// A tensor of a graph: a name, or an object with name, dtype and dims.
static void tensor_text(const json_t *t, ap_buf *text) {
    if (!json_is_object(t)) {
        ap_rd_value(t, text);
        return;
    }
    ap_buf_printf(text, "%s %s ", ap_rd_str_or(t, "name", ""), ap_rd_str_or(t, "dtype", ""));
    ap_rd_dims(json_object_get(t, "dims"), text);
}

static void tensor_list(const json_t *graph, const char *key, ap_buf *out) {
    const json_t *list = ap_rd_arr(graph, key);
    ap_buf_puts(out, "<td>");
    for (size_t i = 0; i < json_array_size(list); i++) {
        ap_buf text = {0};
        tensor_text(json_array_get(list, i), &text);
        if (i) ap_buf_puts(out, "<br>");
        ap_html_code(out, ap_buf_str(&text));
        ap_buf_free(&text);
    }
    ap_buf_puts(out, "</td>");
}

static void soc_check(const json_t *target, const json_t *readback, ap_buf *out) {
    double want = 0, got = 0;
    if (!ap_rd_amount(readback, "soc_model", &got)) return;
    ap_html_fmt(out, "<div><dt>SoC model in the binary</dt><dd>%s ", ap_rd_g(got).s);
    if (ap_rd_amount(ap_rd_obj(target, "soc"), "soc_model", &want)) {
        bool same = want == got;
        ap_html_fmt(out, "<span class=\"chip %s\">%s</span>", same ? "pass" : "fail",
                    same ? "AS ASKED" : "NOT THE TARGET'S");
    }
    ap_buf_puts(out, "</dd></div>");
}

static void readback_part(const json_t *target, const json_t *readback, ap_buf *out) {
    static const char *const heads[] = {"Graph", "Inputs", "Outputs"};
    const json_t *graphs = ap_rd_arr(readback, "graphs");
    ap_buf_puts(out, "<h4>Read back from the context binary</h4>\n<dl class=\"facts\">");
    soc_check(target, readback, out);
    ap_html_fact(out, "Build", ap_rd_str(readback, "build_id"), true);
    ap_buf_puts(out, "</dl>\n");
    if (!graphs) return;
    ap_html_table_open(out, "readback", heads, 3);
    for (size_t i = 0; i < json_array_size(graphs); i++) {
        const json_t *g = json_array_get(graphs, i);
        if (!json_is_object(g)) continue;
        ap_buf_puts(out, "<tr>");
        ap_html_code_cell(out, ap_rd_str(g, "name"));
        tensor_list(g, "inputs", out);
        tensor_list(g, "outputs", out);
        ap_buf_puts(out, "</tr>\n");
    }
    ap_html_table_close(out);
}

void ap_html_artifact(const json_t *target, ap_buf *out) {
    const json_t *a = ap_rd_obj(target, "artifact");
    if (!a) return;
    ap_buf_puts(out, "<h3>Artifact</h3>\n<dl class=\"facts\">");
    ap_html_fact(out, "Folder", ap_rd_str(a, "dir"), true);
    ap_buf_puts(out, "</dl>\n");
    if (ap_rd_arr(a, "files")) file_table(ap_rd_arr(a, "files"), out);
    if (ap_rd_obj(a, "readback")) readback_part(target, ap_rd_obj(a, "readback"), out);
}

// ---- contract ----

static void source_cells(const json_t *input, ap_buf *out) {
    const json_t *source = ap_rd_obj(input, "source");
    const char *kind = ap_rd_str_or(source, "kind", "");
    bool noise = strcmp(kind, "random") == 0;
    ap_buf recipe = {0}, seed = {0};
    ap_rd_value(json_object_get(source, "recipe"), &recipe);
    ap_rd_value(json_object_get(source, "seed"), &seed);
    ap_html_fmt(out, "<td><span class=\"chip %s\">%s</span> ", noise ? "warn" : "", kind);
    ap_html_code(out, ap_rd_str(source, "file"));
    if (noise && seed.len) ap_html_fmt(out, " <span class=\"muted small\">seed %s</span>", ap_buf_str(&seed));
    if (ap_rd_str(source, "sha256"))
        ap_html_fmt(out, "<div class=\"hash\">%s</div>", ap_rd_str(source, "sha256"));
    ap_buf_puts(out, "</td><td>");
    if (recipe.len) ap_html_code(out, ap_buf_str(&recipe));
    ap_buf_puts(out, "</td>");
    ap_buf_free(&seed);
    ap_buf_free(&recipe);
}

static void contract_table(const json_t *list, bool inputs, ap_buf *out) {
    static const char *const heads[] = {"Input", "Type", "Shape", "Source", "Recipe"};
    static const char *const output_heads[] = {"Output", "Type", "Shape"};
    ap_html_table_open(out, "contract", inputs ? heads : output_heads, inputs ? 5 : 3);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i);
        ap_buf dims = {0};
        if (!json_is_object(t)) continue;
        ap_rd_dims(json_object_get(t, "dims"), &dims);
        ap_buf_puts(out, "<tr>");
        ap_html_code_cell(out, ap_rd_str(t, "name"));
        ap_html_fmt(out, "<td>%s</td><td class=\"dims\">%s</td>", ap_rd_str_or(t, "dtype", ""),
                    ap_buf_str(&dims));
        if (inputs) source_cells(t, out);
        ap_buf_puts(out, "</tr>\n");
        ap_buf_free(&dims);
    }
    ap_html_table_close(out);
}

static void symbol_facts(const json_t *symbols, ap_buf *out) {
    const char *name;
    json_t *v;
    if (!symbols) return;
    ap_buf_puts(out, "<h4>Symbols frozen</h4><dl class=\"facts\">");
    json_object_foreach((json_t *)symbols, name, v) {
        ap_buf text = {0};
        ap_rd_value(v, &text);
        ap_html_fact(out, name, ap_buf_str(&text), false);
        ap_buf_free(&text);
    }
    ap_buf_puts(out, "</dl>\n");
}

void ap_html_contract(const json_t *doc, ap_buf *out) {
    const json_t *c = ap_rd_obj(doc, "contract");
    if (!c) return;
    ap_buf_puts(out, "<section id=\"contract\"><h2>Interface contract</h2>\n"
                     "<p>Every artifact takes these inputs and gives these outputs, by name, type and shape. "
                     "The inputs listed "
                     "are the ones the checks ran on.</p>\n");
    if (ap_rd_arr(c, "inputs")) contract_table(ap_rd_arr(c, "inputs"), true, out);
    if (ap_rd_arr(c, "outputs")) contract_table(ap_rd_arr(c, "outputs"), false, out);
    symbol_facts(ap_rd_obj(c, "symbols"), out);
    ap_buf_puts(out, "</section>\n");
}

// ---- model, tools ----

static void number_fact(const json_t *o, const char *key, const char *title, ap_rd_text (*format)(double),
                        ap_buf *out) {
    double v = 0;
    if (ap_rd_amount(o, key, &v)) ap_html_fact(out, title, format(v).s, false);
}

// {"float32": 64, ...} as "float32 64, ...".
static void pairs(const json_t *o, ap_buf *text) {
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)o, name, v) {
        if (text->len) ap_buf_puts(text, ", ");
        ap_buf_printf(text, "%s ", *name ? name : "ai.onnx");
        ap_rd_value(v, text);
    }
}

static void pairs_fact(const json_t *o, const char *key, const char *title, ap_buf *out) {
    ap_buf text = {0};
    pairs(ap_rd_obj(o, key), &text);
    ap_html_fact(out, title, ap_buf_str(&text), false);
    ap_buf_free(&text);
}

void ap_html_model(const json_t *doc, ap_buf *out) {
    const json_t *m = ap_rd_obj(doc, "model");
    if (!m) return;
    ap_buf_puts(out, "<section id=\"model\"><h2>Model</h2>\n<dl class=\"facts\">");
    ap_html_fact(out, "File", ap_rd_str(m, "file"), true);
    number_fact(m, "bytes", "Size", ap_rd_bytes, out);
    pairs_fact(m, "opsets", "Operator sets", out);
    number_fact(m, "ir_version", "IR version", ap_rd_g, out);
    ap_html_fact(out, "Made by", ap_rd_str(m, "producer"), false);
    number_fact(m, "nodes", "Nodes", ap_rd_integer, out);
    number_fact(m, "parameters", "Parameters", ap_rd_count, out);
    number_fact(m, "macs", "Multiply-accumulates", ap_rd_count, out);
    pairs_fact(m, "weight_dtypes", "Weight types", out);
    pairs_fact(m, "ops", "Operators", out);
    ap_buf_puts(out, "</dl></section>\n");
}

void ap_html_tools(const json_t *doc, ap_buf *out) {
    static const char *const heads[] = {"Tool", "Version", "Licence", "SHA-256"};
    const json_t *tools = ap_rd_arr(doc, "tools"), *host = ap_rd_obj(doc, "host");
    if (!tools && !host) return;
    ap_buf_puts(out, "<section id=\"tools\"><h2>Tools and versions</h2>\n");
    if (tools) {
        ap_html_table_open(out, "tools", heads, 4);
        for (size_t i = 0; i < json_array_size(tools); i++) {
            const json_t *t = json_array_get(tools, i);
            if (!json_is_object(t)) continue;
            ap_html_fmt(out, "<tr><td>%s</td><td>%s</td><td>%s</td><td class=\"hash\">%s</td></tr>\n",
                        ap_rd_str_or(t, "name", ""), ap_rd_str_or(t, "version", ""),
                        ap_rd_str_or(t, "licence", ""), ap_rd_str_or(t, "sha256", ""));
        }
        ap_html_table_close(out);
    }
    ap_buf_puts(out, "<dl class=\"facts\">");
    ap_html_fact(out, "System", ap_rd_str(host, "os"), false);
    ap_html_fact(out, "Processor", ap_rd_str(host, "cpu"), false);
    number_fact(host, "cores", "Cores", ap_rd_integer, out);
    ap_buf_puts(out, "</dl></section>\n");
}

void ap_html_reproduce(const json_t *doc, ap_buf *out) {
    const char *command = ap_rd_str(doc, "command");
    if (!command) return;
    ap_buf_puts(out, "<section id=\"reproduce\"><h2>Do it again</h2>\n"
                     "<p>Stages whose inputs are unchanged come from the store; <code>--fresh</code> runs "
                     "all of them.</p>\n<div class=\"cmd\">");
    ap_html_fmt(out,
                "<pre id=\"command\">%s</pre><button type=\"button\" "
                "data-copy=\"command\">Copy</button></div></section>\n",
                command);
}
