// SPDX-License-Identifier: Apache-2.0
// Cost model, measured profile, and where the nodes run.
#include "report/html.h"

#include "base/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP_LAYERS = 20 };

// One of the known bounds, so the document's text never becomes a CSS class.
static const char *bound_class(const json_t *layer) {
    static const char *const known[] = {"compute", "memory", "overhead"};
    const char *s = ap_rd_str_or(layer, "bound", "");
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(s, known[i]) == 0) return known[i];
    }
    return "rest";
}

static void layer_row(const json_t *l, double widest, double total, ap_buf *out) {
    double ms = 0, v = 0;
    bool timed = ap_rd_amount(l, "ms", &ms);
    ap_buf_puts(out, "<tr>");
    ap_html_code_cell(out, ap_rd_str(l, "name"));
    ap_html_fmt(out, "<td>%s</td>", ap_rd_str_or(l, "op", ""));
    ap_buf_puts(out, "<td class=\"barcell\"><div class=\"bar\">");
    ap_html_segment(out, bound_class(l), ap_rd_part(ms, widest), ap_rd_str_or(l, "bound", ""));
    ap_html_fmt(out, "</div></td><td class=\"num\" data-v=\"%s\">%s</td>", ap_rd_g(ms).s,
                timed ? ap_rd_ms(ms).s : "");
    ap_html_num_cell(out, timed && total > 0, ap_rd_percent(ap_rd_part(ms, total) / 100).s);
    static const char *const keys[] = {"macs", "weight_bytes", "activation_bytes"};
    for (size_t i = 0; i < 3; i++) {
        bool known = ap_rd_amount(l, keys[i], &v);
        ap_html_fmt(out, "<td class=\"num\" data-v=\"%s\">", ap_rd_g(known ? v : -1).s);
        ap_html_fmt(out, "%s</td>", !known ? "" : i == 0 ? ap_rd_count(v).s : ap_rd_bytes(v).s);
    }
    ap_html_fmt(out, "<td>%s</td></tr>\n", ap_rd_str_or(l, "bound", ""));
}

static void layer_table(const ap_rd_ranked *list, size_t count, double total, ap_buf *out) {
    static const char *const heads[] = {"Layer",    "Operator",     "",        "#Estimate", "#Share", "#MACs",
                                        "#Weights", "#Activations", "Bound by"};
    double widest = 0;
    if (count) ap_rd_amount(list[0].item, "ms", &widest);
    ap_html_table_open(out, "sortable", heads, 9);
    for (size_t i = 0; i < count; i++) layer_row(list[i].item, widest, total, out);
    ap_html_table_close(out);
}

static void bound_bar(const ap_rd_ranked *list, size_t count, double total, ap_buf *out) {
    static const char *const names[] = {"compute", "memory", "overhead"};
    double sums[3] = {0};
    for (size_t i = 0; i < count; i++) {
        double ms = 0;
        if (!ap_rd_amount(list[i].item, "ms", &ms)) continue;
        for (size_t k = 0; k < 3; k++) sums[k] += strcmp(bound_class(list[i].item), names[k]) == 0 ? ms : 0;
    }
    if (!(total > 0) || !(sums[0] + sums[1] + sums[2] > 0)) return;
    ap_buf_puts(out, "<div class=\"bar big\">");
    for (size_t k = 0; k < 3; k++) ap_html_segment(out, names[k], ap_rd_part(sums[k], total), names[k]);
    ap_buf_puts(out, "</div><ul class=\"legend\">");
    for (size_t k = 0; k < 3; k++) {
        ap_html_fmt(out, "<li><i class=\"%s\"></i>bound by %s <b>%s</b> (%s)</li>", names[k], names[k],
                    ap_rd_ms(sums[k]).s, ap_rd_percent(ap_rd_part(sums[k], total) / 100).s);
    }
    ap_buf_puts(out, "</ul>\n");
}

static void cost_totals(const json_t *cost, ap_buf *out) {
    double v = 0;
    ap_buf_puts(out, "<dl class=\"facts\">");
    if (ap_rd_amount(cost, "estimate_ms", &v)) ap_html_fact(out, "Estimated latency", ap_rd_ms(v).s, false);
    if (ap_rd_amount(cost, "macs", &v)) ap_html_fact(out, "Multiply-accumulates", ap_rd_count(v).s, false);
    if (ap_rd_amount(cost, "weight_bytes", &v)) ap_html_fact(out, "Weights", ap_rd_bytes(v).s, false);
    if (ap_rd_amount(cost, "activation_bytes", &v))
        ap_html_fact(out, "Activations moved", ap_rd_bytes(v).s, false);
    ap_buf_puts(out, "</dl>\n");
}

static void assumptions(const json_t *cost, ap_buf *out) {
    const json_t *list = ap_rd_arr(cost, "assumptions");
    ap_buf_puts(out, "<div class=\"note est\"><p><strong>An estimate, not a measurement.</strong> Computed "
                     "from the shapes of the "
                     "layers and assumed peak rates; no device took part. Good for finding the expensive "
                     "layers, not for promising "
                     "a frame rate.</p>");
    if (list) {
        ap_buf_puts(out, "<ul>");
        for (size_t i = 0; i < json_array_size(list); i++) {
            ap_buf text = {0};
            ap_rd_value(json_array_get(list, i), &text);
            if (text.len) ap_html_fmt(out, "<li>%s</li>", ap_buf_str(&text));
            ap_buf_free(&text);
        }
        ap_buf_puts(out, "</ul>");
    }
    ap_buf_puts(out, "</div>\n");
}

void ap_html_cost(const json_t *target, ap_buf *out) {
    const json_t *cost = ap_rd_obj(target, "cost");
    size_t count = 0;
    if (!cost) return;
    ap_rd_ranked *list = ap_rd_rank(ap_rd_arr(cost, "layers"), "ms", true, &count);
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        double ms = 0;
        if (ap_rd_amount(list[i].item, "ms", &ms)) total += ms;
    }
    ap_buf_puts(out, "<h3>Where the time would go <span class=\"chip est\">ESTIMATE</span></h3>\n");
    assumptions(cost, out);
    cost_totals(cost, out);
    bound_bar(list, count, total, out);
    if (count) {
        size_t top = count < TOP_LAYERS ? count : TOP_LAYERS;
        ap_html_fmt(out, "<h4>The %zu most expensive layers</h4>\n", top);
        layer_table(list, top, total, out);
    }
    if (count > TOP_LAYERS) {
        ap_html_fmt(out, "<details><summary>All %zu layers</summary>\n", count);
        layer_table(list, count, total, out);
        ap_buf_puts(out, "</details>\n");
    }
    free(list);
}

// ---- profile ----

static void profile_table(const ap_rd_ranked *list, size_t count, const char *unit, ap_buf *out) {
    static const char *const heads[] = {"Layer", "Operator", "", "#Measured"};
    double widest = 0, v = 0;
    if (count) ap_rd_amount(list[0].item, "value", &widest);
    ap_html_table_open(out, "sortable", heads, 4);
    for (size_t i = 0; i < count; i++) {
        bool known = ap_rd_amount(list[i].item, "value", &v);
        ap_buf_puts(out, "<tr>");
        ap_html_code_cell(out, ap_rd_str(list[i].item, "name"));
        ap_html_fmt(out, "<td>%s</td><td class=\"barcell\"><div class=\"bar\">",
                    ap_rd_str_or(list[i].item, "op", ""));
        ap_html_segment(out, "ours", known ? ap_rd_part(v, widest) : 0, "");
        ap_html_fmt(out, "</div></td><td class=\"num\" data-v=\"%s\">%s %s</td></tr>\n",
                    known ? ap_rd_g(v).s : "-1", known ? ap_rd_integer(v).s : "", known ? unit : "");
    }
    ap_html_table_close(out);
}

void ap_html_profile(const json_t *target, ap_buf *out) {
    const json_t *profile = ap_rd_obj(target, "profile");
    size_t count = 0;
    if (!ap_rd_profile_shown(target)) return;
    ap_rd_ranked *list = ap_rd_rank(ap_rd_arr(profile, "layers"), "value", true, &count);
    const char *unit = ap_rd_str_or(profile, "unit", "");
    ap_buf_puts(out, "<h3>Measured profile</h3>\n");
    ap_html_fmt(out, "<p class=\"muted\">%s</p>\n", ap_rd_str_or(profile, "what", ""));
    profile_table(list, count < TOP_LAYERS ? count : TOP_LAYERS, unit, out);
    if (count > TOP_LAYERS) {
        ap_html_fmt(out, "<details><summary>All %zu layers</summary>\n", count);
        profile_table(list, count, unit, out);
        ap_buf_puts(out, "</details>\n");
    }
    free(list);
}

// ---- placement ----

typedef struct op_count {
    const char *op;
    size_t on, off;
} op_count;

static int by_count(const void *pa, const void *pb) {
    const op_count *a = pa, *b = pb;
    size_t na = a->on + a->off, nb = b->on + b->off;
    if ((a->off > 0) != (b->off > 0)) return a->off > 0 ? -1 : 1; // what fell off the target first
    if (na != nb) return na > nb ? -1 : 1;
    return strcmp(a->op, b->op);
}

static void ops_grid(const json_t *target, const json_t *nodes, ap_buf *out) {
    size_t n = json_array_size(nodes), kinds = 0, most = 1;
    op_count *counts = ap_calloc(n + 1, sizeof *counts);
    ap_map index = {0};
    for (size_t i = 0; i < n; i++) {
        const json_t *node = json_array_get(nodes, i);
        const char *op = ap_rd_str(node, "op");
        if (!op) continue;
        int64_t at = ap_map_get_index(&index, op);
        if (at < 0) {
            at = (int64_t)kinds;
            ap_map_set_index(&index, op, kinds);
            counts[kinds++].op = op;
        }
        op_count *c = &counts[at];
        if (ap_rd_node_on_target(target, node))
            c->on++;
        else
            c->off++;
        if (c->on + c->off > most) most = c->on + c->off;
    }
    qsort(counts, kinds, sizeof *counts, by_count);
    if (kinds) ap_buf_puts(out, "<h4>Nodes by operator</h4>\n<div class=\"ops\">\n");
    for (size_t i = 0; i < kinds; i++) {
        ap_html_fmt(out, "<div><span class=\"k\" title=\"%s\">%s</span><span class=\"bar\">", counts[i].op,
                    counts[i].op);
        ap_html_segment(out, "on", ap_rd_part((double)counts[i].on, (double)most), "on the target");
        ap_html_segment(out, "off", ap_rd_part((double)counts[i].off, (double)most), "on the CPU");
        ap_html_fmt(out, "</span><span class=\"n\">%zu</span></div>\n", counts[i].on + counts[i].off);
    }
    if (kinds) ap_buf_puts(out, "</div>\n");
    ap_map_free(&index);
    free(counts);
}

static void refused_table(const json_t *refused, ap_buf *out) {
    static const char *const heads[] = {"Refused node", "Operator", "Reason"};
    ap_html_table_open(out, "refused", heads, 3);
    for (size_t i = 0; i < json_array_size(refused); i++) {
        const json_t *r = json_array_get(refused, i);
        if (!json_is_object(r)) continue;
        ap_buf_puts(out, "<tr>");
        ap_html_code_cell(out, ap_rd_str(r, "node"));
        ap_html_fmt(out, "<td>%s</td><td>%s</td></tr>\n", ap_rd_str_or(r, "op", ""),
                    ap_rd_str_or(r, "reason", "none given"));
    }
    ap_html_table_close(out);
}

void ap_html_placement(const json_t *target, ap_buf *out) {
    const json_t *p = ap_rd_obj(target, "placement");
    const json_t *refused = ap_rd_arr(p, "refused"), *nodes = ap_rd_arr(p, "nodes");
    ap_rd_facts f = ap_rd_target_facts(target);
    if (!p) return;
    ap_buf_puts(out, "<h3>Where the nodes run</h3>\n");
    if (f.has_nodes) {
        double part = ap_rd_part(f.on_target, f.total), off = fmax(0, f.total - f.on_target);
        ap_buf_puts(out, "<div class=\"bar big\">");
        ap_html_segment(out, "on", part, "on the target");
        ap_html_segment(out, "off", off > 0 ? 100 - part : 0, "elsewhere");
        ap_html_fmt(out, "</div><ul class=\"legend\"><li><i class=\"on\"></i>on the %s <b>%s</b> (%s)</li>",
                    f.npu ? "NPU" : "target", ap_rd_integer(f.on_target).s, ap_rd_percent(part / 100).s);
        ap_html_fmt(out, "<li><i class=\"off\"></i>on the CPU or refused <b>%s</b></li></ul>\n",
                    ap_rd_integer(off).s);
    }
    if (refused) refused_table(refused, out);
    if (nodes) ops_grid(target, nodes, out);
}
