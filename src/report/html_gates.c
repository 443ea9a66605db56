// SPDX-License-Identifier: Apache-2.0
// What failed, the gates with all metrics behind them, and what was proved where.
#include "report/html.h"

#include <string.h>

// ---- failure ----

static void error_box(const json_t *e, ap_buf *out) {
    const json_t *notes = ap_rd_arr(e, "notes");
    double offset = 0;
    ap_buf_puts(out, "<div class=\"note fail\">");
    ap_html_fmt(out, "<p><span class=\"chip fail\">%s</span> <strong>%s</strong></p>",
                ap_rd_str_or(e, "code", "error"), ap_rd_str_or(e, "message", ""));
    ap_buf_puts(out, "<dl class=\"facts\">");
    ap_html_fact(out, "Stage", ap_rd_str(e, "stage"), false);
    ap_html_fact(out, "Subject", ap_rd_str(e, "subject"), true);
    if (ap_rd_amount(e, "offset", &offset)) ap_html_fact(out, "Byte", ap_rd_integer(offset).s, false);
    if (ap_rd_amount(e, "exit", &offset)) ap_html_fact(out, "Exit code", ap_rd_g(offset).s, false);
    ap_html_fact(out, "What to do", ap_rd_str(e, "hint"), false);
    ap_buf_puts(out, "</dl>");
    if (notes) {
        ap_buf_puts(out, "<details open><summary>Details and last log lines</summary><pre>");
        for (size_t i = 0; i < json_array_size(notes); i++) {
            ap_buf line = {0};
            ap_rd_value(json_array_get(notes, i), &line);
            ap_html_fmt(out, "%s\n", ap_buf_str(&line));
            ap_buf_free(&line);
        }
        ap_buf_puts(out, "</pre></details>");
    }
    ap_buf_puts(out, "</div>\n");
}

static void first_diverging(const json_t *d, ap_buf *out) {
    double db = 0;
    ap_buf_puts(out, "<h4>First tensor that diverges</h4>\n<dl class=\"facts\">");
    ap_html_fact(out, "Tensor", ap_rd_str(d, "tensor"), true);
    ap_html_fact(out, "Made by node", ap_rd_str(d, "node"), true);
    ap_html_fact(out, "Operator", ap_rd_str(d, "op"), false);
    if (ap_rd_num(d, "sqnr_db", &db)) ap_html_fact(out, "SQNR there", ap_rd_db(db).s, false);
    ap_buf_puts(out, "</dl>\n");
}

static void reduced_graph(const json_t *r, ap_buf *out) {
    const json_t *nodes = json_object_get(r, "nodes");
    ap_buf text = {0};
    if (json_is_array(nodes))
        ap_buf_printf(&text, "%zu", json_array_size(nodes));
    else
        ap_rd_value(nodes, &text);
    ap_buf_puts(out, "<h4>Smallest graph that still fails</h4>\n<dl class=\"facts\">");
    ap_html_fact(out, "Model", ap_rd_str(r, "model"), true);
    ap_html_fact(out, "Nodes", ap_buf_str(&text), false);
    ap_buf_puts(out, "</dl>\n");
    ap_buf_free(&text);
}

void ap_html_failure(const json_t *target, ap_buf *out) {
    const json_t *f = ap_rd_obj(target, "failure");
    if (!f) return;
    ap_buf_puts(out, "<h3>What failed</h3>\n");
    if (ap_rd_obj(f, "error")) error_box(ap_rd_obj(f, "error"), out);
    if (ap_rd_obj(f, "first_diverging")) first_diverging(ap_rd_obj(f, "first_diverging"), out);
    if (ap_rd_obj(f, "reduced")) reduced_graph(ap_rd_obj(f, "reduced"), out);
}

// ---- gates ----

static void threshold_cell(const json_t *gate, ap_buf *out) {
    const json_t *threshold = json_object_get(gate, "threshold");
    ap_buf text = {0};
    ap_rd_gate_value(ap_rd_str(gate, "metric"), threshold, &text);
    ap_html_fmt(out, "<td class=\"num\">%s %s", ap_rd_gate_op(gate), ap_buf_str(&text));
    if (ap_json_bool(gate, "user_set", false)) {
        ap_buf_puts(out, " <span class=\"chip warn\" title=\"This threshold was set by the user, it is not "
                         "the default\">USER</span>");
    }
    ap_buf_puts(out, "</td>");
    ap_buf_free(&text);
}

static void gate_row(const json_t *gate, ap_buf *out) {
    const char *key = ap_rd_str_or(gate, "metric", "");
    const ap_metric_text *m = ap_rd_metric(key);
    ap_verdict v = ap_rd_verdict(gate);
    ap_buf value = {0};
    ap_html_fmt(out, "<tr class=\"%s\"><td title=\"%s\">%s", v == AP_VERDICT_FAIL ? "fail" : "",
                m ? m->meaning : "", m ? m->label : key);
    if (m && strcmp(key, m->key) != 0) ap_html_fmt(out, " <span class=\"small muted\">%s</span>", key);
    ap_buf_puts(out, "</td>");
    if (ap_rd_str(gate, "output"))
        ap_html_code_cell(out, ap_rd_str(gate, "output"));
    else
        ap_buf_puts(out, "<td class=\"muted\">whole artifact</td>");
    ap_rd_gate_value(key, json_object_get(gate, "value"), &value);
    ap_html_num_cell(out, true, ap_buf_str(&value));
    threshold_cell(gate, out);
    ap_buf_puts(out, "<td>");
    ap_html_verdict(out, v);
    ap_buf_puts(out, "</td></tr>\n");
    ap_buf_free(&value);
}

// Each metric in use once, in the order of the gates.
static void meanings(const json_t *gates, ap_buf *out) {
    const ap_metric_text *seen[64];
    size_t count = 0;
    ap_buf_puts(out, "<details><summary>What these metrics mean</summary><dl class=\"meanings\">\n");
    for (size_t i = 0; i < json_array_size(gates); i++) {
        const ap_metric_text *m = ap_rd_metric(ap_rd_str(json_array_get(gates, i), "metric"));
        size_t j = 0;
        while (j < count && seen[j] != m) j++;
        if (!m || j < count || count == sizeof seen / sizeof *seen) continue;
        seen[count++] = m;
        ap_html_fmt(out, "<dt>%s</dt><dd>%s</dd>\n", m->label, m->meaning);
    }
    ap_buf_puts(out, "</dl></details>\n");
}

// Rows are metrics, columns are outputs: models have many metrics and few outputs.
static void metric_matrix(const json_t *metrics, ap_buf *out) {
    const char *output, *key;
    json_t *m, *v;
    ap_buf_puts(out, "<details><summary>All metrics of every output</summary>\n");
    json_object_foreach((json_t *)metrics, output, m) {
        if (!json_is_object(m)) continue;
        ap_buf_puts(out, "<h4>");
        ap_html_code(out, output);
        ap_buf_puts(out, "</h4><dl class=\"facts\">");
        json_object_foreach(m, key, v) {
            const ap_metric_text *text = ap_rd_metric(key);
            ap_buf value = {0};
            ap_rd_gate_value(key, v, &value);
            ap_html_fact(out, text && strcmp(text->key, key) == 0 ? text->label : key, ap_buf_str(&value),
                         false);
            ap_buf_free(&value);
        }
        ap_buf_puts(out, "</dl>\n");
    }
    ap_buf_puts(out, "</details>\n");
}

void ap_html_gates(const json_t *target, size_t index, ap_buf *out) {
    static const char *const heads[] = {"Check", "Output", "#Value", "#Threshold", "Verdict"};
    const json_t *gates = ap_rd_arr(target, "gates"), *metrics = ap_rd_obj(target, "metrics");
    if (!gates && !metrics) return;
    ap_html_fmt(out, "<h3 id=\"gates%zu\">Gates</h3>\n", index);
    if (gates) {
        ap_html_table_open(out, "gates", heads, 5);
        for (size_t i = 0; i < json_array_size(gates); i++) {
            if (json_is_object(json_array_get(gates, i))) gate_row(json_array_get(gates, i), out);
        }
        ap_html_table_close(out);
        meanings(gates, out);
    }
    if (metrics) metric_matrix(metrics, out);
}

// ---- proof ----

static void proof_panel(const json_t *list, const char *css_class, const char *title, ap_buf *out) {
    if (!list) return;
    ap_html_fmt(out, "<div class=\"panel %s\"><h4>%s</h4><ul>\n", css_class, title);
    ap_html_items(list, out);
    ap_buf_puts(out, "</ul></div>\n");
}

void ap_html_proof(const json_t *target, ap_buf *out) {
    const json_t *yes = ap_rd_arr(target, "proved"), *no = ap_rd_arr(target, "not_proved");
    bool npu = strncmp(ap_rd_str_or(target, "target", ""), "htp", 3) == 0;
    if (!yes && !no) return;
    ap_buf_puts(out, "<h3>What is proved, and what is not</h3>\n<div class=\"two\">\n");
    proof_panel(yes, "yes", npu ? "Proved here, in the vendor’s emulator" : "Proved here", out);
    proof_panel(no, "device", npu ? "Only a device can show" : "Not proved here", out);
    ap_buf_puts(out, "</div>\n");
}
