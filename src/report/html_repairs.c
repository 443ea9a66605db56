// SPDX-License-Identifier: Apache-2.0
// The section Repairs: what surgery did to the model, why, with which proof and effect; what it left.
#include "report/html.h"

#include <string.h>

enum { MAX_NODES = 6 };

// `names`: a column wide enough for names of nodes.
static void joined_cell(ap_buf *out, const json_t *list, const char *between, size_t most, bool names) {
    ap_buf t = {0};
    ap_rd_join(list, between, most, &t);
    if (names)
        ap_html_code_cell(out, ap_buf_str(&t));
    else
        ap_html_fmt(out, "<td><code>%s</code></td>", ap_buf_str(&t));
    ap_buf_free(&t);
}

static void line_of(ap_buf *out, const json_t *repair, void (*line)(const json_t *, ap_buf *)) {
    ap_buf t = {0};
    line(repair, &t);
    ap_html_text(out, ap_buf_str(&t));
    ap_buf_free(&t);
}

// The chain, and below it what proves its rules.
static void rules_cell(ap_buf *out, const json_t *repair) {
    ap_buf t = {0};
    ap_rd_join(ap_rd_arr(repair, "rules"), ", then ", 16, &t);
    ap_html_fmt(out, "<td><code>%s</code><br>", ap_buf_str(&t));
    ap_buf_free(&t);
    line_of(out, repair, ap_rd_repair_proof);
    ap_buf_puts(out, "</td>");
}

static void repaired(const json_t *repairs, ap_buf *out) {
    static const char *const heads[] = {"Where", "What", "Why", "By rules, proven", "Effect"};
    json_t *list = ap_rd_repair_rows(repairs);
    if (json_array_size(list)) ap_html_table_open(out, "repairs", heads, 5);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *r = json_array_get(list, i);
        ap_buf_puts(out, "<tr>");
        joined_cell(out, ap_rd_arr(r, "nodes"), ", ", MAX_NODES, true);
        ap_html_fmt(out, "<td>%s, %s</td><td>%s</td>", ap_rd_str_or(r, "op", "?"),
                    ap_rd_str_or(r, "verdict", "?"), ap_rd_str_or(r, "why", ""));
        rules_cell(out, r);
        ap_buf_puts(out, "<td>");
        line_of(out, r, ap_rd_repair_effect);
        ap_buf_puts(out, "</td></tr>\n");
    }
    if (json_array_size(list)) ap_html_table_close(out);
    json_decref(list);
}

static void tried(const json_t *l, ap_buf *out) {
    const json_t *list = ap_rd_arr(l, "tried");
    ap_html_fmt(out, "<td>%s<br>", ap_rd_left_why(l));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i);
        ap_buf chain = {0};
        ap_rd_join(ap_rd_arr(t, "chain"), " > ", 16, &chain);
        ap_html_fmt(out, "%s: %s", ap_buf_str(&chain), ap_rd_str_or(t, "verdict", "?"));
        if (ap_rd_str(t, "reason")) ap_html_fmt(out, ", %s", ap_rd_str(t, "reason"));
        ap_buf_puts(out, "<br>");
        ap_buf_free(&chain);
    }
    ap_buf_puts(out, "</td>");
}

static void left(const json_t *list, ap_buf *out) {
    static const char *const heads[] = {
        "Node", "Operator", "Verdict", "The target says", "Why it stays, chains tried", "Smallest graph"};
    if (!list) return;
    ap_buf_puts(out, "<h4>Not repaired</h4>\n");
    ap_html_table_open(out, "left", heads, 6);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *l = json_array_get(list, i);
        ap_buf_puts(out, "<tr>");
        ap_html_code_cell(out, ap_rd_str(l, "node"));
        ap_html_fmt(out, "<td>%s</td><td>%s</td><td>%s</td>", ap_rd_str_or(l, "op", ""),
                    ap_rd_str_or(l, "verdict", ""), ap_rd_str_or(l, "reason", ""));
        tried(l, out);
        ap_html_code_cell(out, ap_rd_str(l, "model"));
        ap_buf_puts(out, "</tr>\n");
    }
    ap_html_table_close(out);
}

static void rolled_back(const json_t *list, ap_buf *out) {
    static const char *const heads[] = {"Rules", "Nodes", "Reason"};
    if (!list) return;
    ap_buf_puts(out, "<h4>Rolled back</h4>\n");
    ap_html_table_open(out, "rolled", heads, 3);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *r = json_array_get(list, i);
        ap_buf_puts(out, "<tr>");
        joined_cell(out, ap_rd_arr(r, "rules"), ", then ", 16, false);
        joined_cell(out, ap_rd_arr(r, "nodes"), ", ", MAX_NODES, true);
        ap_html_fmt(out, "<td>%s</td></tr>\n", ap_rd_str_or(r, "reason", ""));
    }
    ap_html_table_close(out);
}

// Does row `i` begin a block? Blocks: a pair alone; nodes that went, with those that came in their place.
static bool begins(const json_t *rows, size_t i) {
    const json_t *row = json_array_get(rows, i), *last = json_array_get(rows, i - 1);
    bool went = ap_rd_str(row, "a"), came = ap_rd_str(row, "b");
    bool last_went = ap_rd_str(last, "a"), last_came = ap_rd_str(last, "b");
    return (went && came) || (last_went && last_came) || (went && last_came);
}

// One side of the rows from..to, a line each.
static void side(const json_t *rows, size_t from, size_t to, const char *key, ap_buf *out) {
    ap_buf_puts(out, "<td class=\"name\">");
    for (size_t i = from; i < to; i++) {
        const char *text = ap_rd_str(json_array_get(rows, i), key);
        if (text) ap_html_fmt(out, "<code>%s</code><br>", text);
    }
    ap_buf_puts(out, "</td>");
}

// Side by side, what differs only: nodes that went beside those that came in their place.
static void changes(const json_t *c, const char *what, ap_buf *out) {
    static const char *const heads[] = {"Before", "After"};
    const json_t *rows = ap_rd_arr(c, "rows");
    size_t n = json_array_size(rows);
    double more = 0;
    if (!rows) return;
    ap_html_fmt(out, "<details><summary>The graph before and after %s: %zu rows differ</summary>", what, n);
    ap_html_table_open(out, "diff", heads, 2);
    for (size_t i = 0, next; i < n; i = next) {
        next = i + 1;
        while (next < n && !begins(rows, next)) next++;
        ap_buf_puts(out, "<tr>");
        side(rows, i, next, "a", out);
        side(rows, i, next, "b", out);
        ap_buf_puts(out, "</tr>\n");
    }
    ap_html_table_close(out);
    if (ap_rd_amount(c, "left_out", &more) && more > 0)
        ap_html_fmt(out, "<p>%s more rows: see them with aipc apply and aipc diff.</p>",
                    ap_rd_integer(more).s);
    ap_buf_puts(out, "</details>\n");
}

static void passes(const json_t *list, ap_buf *out) {
    static const char *const heads[] = {"Pass", "Class", "#Nodes before", "#After"};
    if (!list) return;
    ap_html_fmt(out, "<details><summary>%zu cleaning passes</summary>", json_array_size(list));
    ap_html_table_open(out, "passes", heads, 4);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i), *nodes = ap_rd_arr(p, "nodes");
        double a = 0, b = 0;
        bool was = ap_rd_real(json_array_get(nodes, 0), &a), is = ap_rd_real(json_array_get(nodes, 1), &b);
        ap_html_fmt(out, "<tr><td>%s</td><td>%s</td>", ap_rd_str_or(p, "name", ""),
                    ap_rd_str_or(p, "class", ""));
        ap_html_num_cell(out, was, ap_rd_integer(a).s);
        ap_html_num_cell(out, is, ap_rd_integer(b).s);
        ap_buf_puts(out, "</tr>\n");
    }
    ap_html_table_close(out);
    ap_buf_puts(out, "</details>\n");
}

static void tuned(const json_t *r, const char *key, const char *verdict, ap_buf *out) {
    const json_t *list = ap_rd_arr(ap_rd_obj(r, "tuning"), key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *s = json_array_get(list, i);
        ap_buf times = {0};
        ap_rd_tuning_times(r, ap_rd_arr(s, "cost"), &times);
        ap_html_fmt(out, "<tr><td><code>%s</code></td>", ap_rd_str_or(s, "rule", "?"));
        joined_cell(out, ap_rd_arr(s, "places"), ", ", MAX_NODES, true);
        ap_html_fmt(out, "<td>%s</td><td>%s</td><td>%s</td></tr>\n", ap_buf_str(&times), verdict,
                    ap_rd_str_or(s, "reason", ""));
        ap_buf_free(&times);
    }
}

static void tuning(const json_t *r, ap_buf *out) {
    static const char *const heads[] = {"Rule", "Where", "Whole model", "", "Reason"};
    const json_t *t = ap_rd_obj(r, "tuning");
    ap_buf times = {0};
    if (!ap_rd_arr(t, "kept") && !ap_rd_arr(t, "rejected")) return;
    ap_rd_tuning_times(r, ap_rd_arr(t, "cost"), &times);
    ap_html_fmt(out, "<h4>Tuned for speed</h4>\n<p>In all: %s</p>\n", ap_buf_str(&times));
    ap_buf_free(&times);
    ap_html_table_open(out, "tuning", heads, 5);
    tuned(r, "kept", "kept", out);
    tuned(r, "rejected", "rolled back", out);
    ap_html_table_close(out);
}

void ap_html_repairs(const json_t *target, ap_buf *out) {
    const json_t *r = ap_rd_obj(target, "repairs"), *cpu = ap_rd_arr(r, "cpu");
    ap_buf lede = {0};
    if (!r) return;
    ap_buf_puts(out, "<h3>Repairs</h3>\n<p>");
    ap_rd_repairs_lede(r, &lede);
    ap_html_text(out, ap_buf_str(&lede));
    ap_buf_clear(&lede);
    ap_rd_repairs_whole(r, &lede);
    ap_html_fmt(out, "</p>\n<p>%s</p>\n", ap_buf_str(&lede));
    ap_buf_clear(&lede);
    repaired(r, out);
    left(ap_rd_arr(r, "left"), out);
    if (cpu) {
        ap_rd_join(cpu, ", ", 200, &lede);
        ap_html_fmt(out, "<p>On the CPU (%zu): <code>%s</code></p>\n", json_array_size(cpu),
                    ap_buf_str(&lede));
    }
    ap_buf_free(&lede);
    rolled_back(ap_rd_arr(r, "rolled_back"), out);
    tuning(r, out);
    changes(ap_rd_obj(r, "changes"), "repair", out);
    passes(ap_rd_arr(r, "passes"), out);
    changes(ap_rd_obj(r, "cleaning"), "cleaning", out);
}
