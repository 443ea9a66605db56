// SPDX-License-Identifier: Apache-2.0
// The frame of the page, the verdict on top, warnings, and the cards of a target.
#include "report/html.h"

#include <math.h>
#include <string.h>

static void pieces(const char *const *list, ap_buf *out) {
    for (; *list; list++) ap_buf_puts(out, *list);
}

// The policy forbids every request, so even a slip in escaping could not load anything.
void ap_html_page_open(const json_t *doc, ap_buf *out) {
    ap_buf title = {0};
    ap_rd_title(doc, &title);
    ap_buf_puts(
        out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
             "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    const char *word = ap_verdict_word(ap_rd_verdict(doc));
    ap_html_fmt(out, "<title>%s%s%s</title>\n<style>\n", word, *word ? " — " : "", ap_buf_str(&title));
    pieces(ap_html_css, out);
    ap_buf_puts(out, "</style>\n</head>\n<body>\n");
    ap_buf_free(&title);
}

void ap_html_page_close(ap_buf *out) {
    ap_buf_puts(out, "<script>\n");
    pieces(ap_html_script, out);
    ap_buf_puts(out, "</script>\n</body>\n</html>\n");
}

static void headline(const json_t *doc, ap_buf *out) {
    ap_buf title = {0};
    ap_verdict v = ap_rd_verdict(doc);
    ap_rd_title(doc, &title);
    ap_buf_puts(out, "<h1>");
    if (v != AP_VERDICT_NONE) {
        ap_html_fmt(out, "<span class=\"verdict %s\">%s</span> <span class=\"dash\">—</span> ",
                    ap_verdict_class(v), ap_verdict_word(v));
    }
    ap_html_fmt(out, "%s</h1>\n", ap_buf_str(&title));
    ap_buf_free(&title);
}

// Empty when not all targets agree.
static const char *common_precision(const json_t *targets) {
    const char *first = ap_rd_str(json_array_get(targets, 0), "precision");
    for (size_t i = 1; first && i < json_array_size(targets); i++) {
        if (strcmp(first, ap_rd_str_or(json_array_get(targets, i), "precision", "")) != 0) return NULL;
    }
    return first;
}

static void header_facts(const json_t *doc, ap_buf *out) {
    const json_t *time = ap_rd_obj(doc, "time");
    double wall = 0;
    ap_buf_puts(out, "<dl class=\"facts\">");
    ap_html_fact(out, "Precision", common_precision(ap_rd_arr(doc, "targets")), false);
    ap_html_fact(out, "Made", ap_rd_str(doc, "created"), false);
    ap_html_fact(out, "By aipc", ap_rd_str(doc, "aipc"), false);
    if (ap_rd_amount(time, "wall_s", &wall))
        ap_html_fact(out, "Time for everything", ap_rd_seconds(wall).s, false);
    ap_html_fact(out, "Made on", ap_rd_str(ap_rd_obj(doc, "host"), "cpu"), false);
    ap_buf_puts(out, "</dl>\n");
}

static void navigation(const json_t *doc, ap_buf *out) {
    const json_t *targets = ap_rd_arr(doc, "targets");
    ap_buf_puts(out, "<nav><div class=\"wrap\">\n<a class=\"first\" href=\"#top\">Summary</a>\n");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *t = json_array_get(targets, i);
        if (json_is_object(t))
            ap_html_fmt(out, "<a href=\"#t%zu\">%s</a>\n", i, ap_rd_str_or(t, "target", "target"));
    }
    ap_buf_puts(out, "<a href=\"#stages\">Stages and time</a>\n");
    if (ap_rd_obj(doc, "contract")) ap_buf_puts(out, "<a href=\"#contract\">Interface</a>\n");
    if (ap_rd_obj(doc, "model")) ap_buf_puts(out, "<a href=\"#model\">Model</a>\n");
    if (ap_rd_arr(doc, "tools")) ap_buf_puts(out, "<a href=\"#tools\">Tools</a>\n");
    if (ap_rd_str(doc, "command")) ap_buf_puts(out, "<a href=\"#reproduce\">Reproduce</a>\n");
    ap_buf_puts(out, "</div></nav>\n");
}

void ap_html_header(const json_t *doc, ap_buf *out) {
    ap_buf lede = {0};
    ap_rd_lede(doc, &lede);
    ap_html_fmt(out, "<header id=\"top\" class=\"%s\"><div class=\"wrap\">\n",
                ap_verdict_class(ap_rd_verdict(doc)));
    ap_buf_puts(out, "<p class=\"kicker\">aipc deployment report</p>\n");
    headline(doc, out);
    if (lede.len) ap_html_fmt(out, "<p class=\"lede\">%s</p>\n", ap_buf_str(&lede));
    header_facts(doc, out);
    ap_buf_puts(out, "</div></header>\n");
    navigation(doc, out);
    ap_buf_free(&lede);
}

// ---- warnings ----

static bool any_random_input(const json_t *doc) {
    const json_t *inputs = ap_rd_arr(ap_rd_obj(doc, "contract"), "inputs");
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        const json_t *source = ap_rd_obj(json_array_get(inputs, i), "source");
        if (strcmp(ap_rd_str_or(source, "kind", ""), "random") == 0) return true;
    }
    return false;
}

void ap_html_warnings(const json_t *doc, ap_buf *out) {
    const json_t *list = ap_rd_arr(doc, "warnings");
    bool sample = ap_json_bool(doc, "sample", false), noise = any_random_input(doc);
    ap_buf_puts(out, "<div class=\"wrap\" id=\"warnings\">\n");
    if (sample) {
        ap_buf_puts(
            out,
            "<div class=\"note\"><p><strong>Sample.</strong> This document was made up to show the page. "
            "No model was built and nothing was measured.</p></div>\n");
    }
    if (noise) {
        ap_buf_puts(
            out,
            "<div class=\"note warn loud\"><p><strong>The inputs were random numbers.</strong> The numerical "
            "checks hold for noise, not for the data this model is made for. Give a real input with "
            "<code>--input NAME=FILE</code> before you rely on them.</p></div>\n");
    }
    if (list) {
        ap_buf_puts(out, "<div class=\"note warn\"><p><strong>Warnings</strong></p><ul>\n");
        ap_html_items(list, out);
        ap_buf_puts(out, "</ul></div>\n");
    }
    ap_buf_puts(out, "</div>\n");
}

// ---- several targets side by side ----

static void overview_row(const json_t *t, size_t index, ap_buf *out) {
    ap_rd_facts f = ap_rd_target_facts(t);
    ap_buf name = {0}, nodes = {0}, gates = {0};
    ap_rd_target_name(t, &name);
    if (f.has_nodes) ap_buf_printf(&nodes, "%s / %s", ap_rd_integer(f.on_target).s, ap_rd_integer(f.total).s);
    if (f.gates_passed + f.gates_failed) {
        ap_buf_printf(&gates, "%zu / %zu", f.gates_passed, f.gates_passed + f.gates_failed);
    }
    ap_buf_puts(out, "<tr><td>");
    ap_html_verdict(out, ap_rd_verdict(t));
    ap_html_fmt(out, "</td><td><a href=\"#t%zu\">%s</a><br><span class=\"small muted\">%s</span></td>", index,
                ap_buf_str(&name), ap_rd_str_or(t, "target", ""));
    ap_html_fmt(out, "<td>%s</td>", ap_rd_str_or(t, "precision", ""));
    ap_html_num_cell(out, nodes.len, ap_buf_str(&nodes));
    ap_html_num_cell(out, gates.len, ap_buf_str(&gates));
    ap_html_num_cell(out, f.has_sqnr, ap_rd_db(f.sqnr_db).s);
    ap_html_num_cell(out, f.has_binary, ap_rd_bytes(f.binary_bytes).s);
    ap_html_num_cell(out, f.has_estimate, ap_rd_ms(f.estimate_ms).s);
    ap_buf_puts(out, "</tr>\n");
    ap_buf_free(&gates);
    ap_buf_free(&nodes);
    ap_buf_free(&name);
}

void ap_html_overview(const json_t *doc, ap_buf *out) {
    static const char *const heads[] = {"Verdict", "Target",      "Precision",    "#Nodes on target",
                                        "#Gates",  "#Worst SQNR", "#Binary size", "#Latency (estimate)"};
    const json_t *targets = ap_rd_arr(doc, "targets");
    if (json_array_size(targets) < 2) return;
    ap_buf_puts(out, "<section id=\"overview\"><h2>All targets</h2>\n");
    ap_html_table_open(out, "overview", heads, 8);
    for (size_t i = 0; i < json_array_size(targets); i++) {
        if (json_is_object(json_array_get(targets, i))) overview_row(json_array_get(targets, i), i, out);
    }
    ap_html_table_close(out);
    ap_buf_puts(out, "</section>\n");
}

// ---- cards ----

static void card_open(ap_buf *out, const char *css_class, const char *label) {
    ap_html_fmt(out, "<div class=\"card %s\"><div class=\"label\">%s", css_class, label);
    if (strcmp(css_class, "est") == 0) ap_buf_puts(out, "<span class=\"chip est\">ESTIMATE</span>");
    ap_buf_puts(out, "</div>");
}

static void gate_card(const ap_rd_facts *f, ap_buf *out) {
    size_t all = f->gates_passed + f->gates_failed;
    if (!all) return;
    card_open(out, f->gates_failed ? "bad" : "", "Gates passed");
    ap_html_fmt(out, "<div class=\"value\">%zu <small>/ %zu</small></div>", f->gates_passed, all);
    if (f->gates_failed)
        ap_html_fmt(out, "<div class=\"sub\">%zu failed</div></div>\n", f->gates_failed);
    else
        ap_buf_puts(out, "<div class=\"sub\">every check met its threshold</div></div>\n");
}

static void node_card(const ap_rd_facts *f, ap_buf *out) {
    if (!f->has_nodes) return;
    double off = f->total - f->on_target;
    card_open(out, off > 0 ? "bad" : "", f->npu ? "Nodes on NPU" : "Nodes on target");
    ap_html_fmt(out, "<div class=\"value\">%s <small>/ %s</small></div>", ap_rd_integer(f->on_target).s,
                ap_rd_integer(f->total).s);
    if (off > 0) {
        ap_html_fmt(out, "<div class=\"sub\">%s, %s elsewhere</div></div>\n",
                    ap_rd_percent(f->on_target / f->total).s, ap_rd_integer(off).s);
    } else
        ap_buf_puts(out, f->npu ? "<div class=\"sub\">100 %, none left on the CPU</div></div>\n"
                                : "<div class=\"sub\">100 %</div></div>\n");
}

static void sqnr_card(const ap_rd_facts *f, ap_buf *out) {
    if (!f->has_sqnr) return;
    bool bad = isnan(f->sqnr_db) || (f->has_threshold && f->sqnr_db < f->threshold_db);
    bool exact = isinf(f->sqnr_db);
    card_open(out, bad ? "bad" : "", "SQNR, worst output");
    if (exact || isnan(f->sqnr_db))
        ap_html_fmt(out, "<div class=\"value\">%s</div>", ap_rd_db(f->sqnr_db).s);
    else
        ap_html_fmt(out, "<div class=\"value\">%s <small>dB</small></div>", ap_rd_fixed(f->sqnr_db, 1).s);
    ap_buf_puts(out, "<div class=\"sub\">");
    if (f->has_threshold) ap_html_fmt(out, "gate ≥ %s", ap_rd_db(f->threshold_db).s);
    if (f->sqnr_output) ap_html_fmt(out, "%s%s", f->has_threshold ? ", " : "", f->sqnr_output);
    ap_buf_puts(out, "</div></div>\n");
}

static void size_card(const ap_rd_facts *f, ap_buf *out) {
    if (!f->has_binary) return;
    card_open(out, "", "Binary size");
    ap_rd_text t = ap_rd_bytes(f->binary_bytes);
    char *unit = strchr(t.s, ' ');
    if (unit) *unit++ = '\0';
    ap_html_fmt(out, "<div class=\"value\">%s <small>%s</small></div><div class=\"sub\">%s</div></div>\n",
                t.s, unit, f->binary_file);
}

static void latency_card(const ap_rd_facts *f, ap_buf *out) {
    if (!f->has_estimate) return;
    card_open(out, "est", "Latency");
    ap_rd_text t = ap_rd_ms(f->estimate_ms);
    char *unit = strchr(t.s, ' ');
    if (unit) *unit++ = '\0';
    ap_html_fmt(out, "<div class=\"value\">≈ %s <small>%s</small></div>", t.s, unit);
    ap_buf_puts(out, "<div class=\"sub\">from a cost model, not measured on a device</div></div>\n");
}

void ap_html_target_open(const json_t *target, size_t index, ap_buf *out) {
    ap_rd_facts f = ap_rd_target_facts(target);
    const json_t *soc = ap_rd_obj(target, "soc");
    ap_buf name = {0};
    double v = 0;
    ap_rd_target_name(target, &name);
    ap_html_fmt(out, "<section id=\"t%zu\"><h2>Result on %s", index, ap_buf_str(&name));
    ap_html_verdict(out, ap_rd_verdict(target));
    ap_buf_puts(out, "</h2>\n<div class=\"cards\">\n");
    gate_card(&f, out);
    node_card(&f, out);
    sqnr_card(&f, out);
    size_card(&f, out);
    latency_card(&f, out);
    ap_buf_puts(out, "</div>\n<dl class=\"facts\">");
    ap_html_fact(out, "Target", ap_rd_str(target, "target"), true);
    ap_html_fact(out, "Precision", ap_rd_str(target, "precision"), false);
    ap_html_fact(out, "SoC", ap_rd_str(soc, "name"), false);
    if (ap_rd_amount(soc, "soc_model", &v)) ap_html_fact(out, "SoC model", ap_rd_g(v).s, false);
    if (ap_rd_amount(soc, "htp_version", &v)) ap_html_fact(out, "HTP version", ap_rd_g(v).s, false);
    if (ap_rd_amount(soc, "vtcm_mb", &v)) ap_html_fact(out, "VTCM", ap_rd_bytes(v * 1048576).s, false);
    if (json_is_boolean(json_object_get(soc, "fp16"))) {
        ap_html_fact(out, "Float16 arithmetic", ap_json_bool(soc, "fp16", false) ? "yes" : "no", false);
    }
    ap_html_fact(out, "Device data from", ap_rd_str(soc, "source"), false);
    ap_buf_puts(out, "</dl>\n");
    ap_buf_free(&name);
}

void ap_html_footer(const json_t *doc, ap_buf *out) {
    ap_html_fmt(
        out,
        "<footer><div class=\"wrap\">aipc %s. The file <code>report.json</code> beside this page holds every "
        "number shown here.</div></footer>\n",
        ap_rd_str_or(doc, "aipc", ""));
}
