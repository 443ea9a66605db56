// SPDX-License-Identifier: Apache-2.0
// The section Repairs of report.md.
#include "report/markdown.h"

#include <string.h>

enum { MAX_ROWS = 60, MAX_NODES = 4, MAX_CHANGES = 80 };

static void joined_cell(ap_buf *out, const json_t *list, const char *between, size_t most, bool is_code) {
    ap_buf t = {0};
    ap_rd_join(list, between, most, &t);
    if (is_code)
        ap_md_code_cell(out, ap_buf_str(&t));
    else
        ap_md_cell(out, ap_buf_str(&t));
    ap_buf_free(&t);
}

static void line_cell(ap_buf *out, const json_t *repair, void (*line)(const json_t *, ap_buf *)) {
    ap_buf t = {0};
    line(repair, &t);
    ap_md_cell(out, ap_buf_str(&t));
    ap_buf_free(&t);
}

static void repaired(const json_t *repairs, ap_buf *out) {
    static const char *const heads[] = {"Where", "Operator", "Verdict", "Why", "Rules", "Proof", "Effect"};
    json_t *list = ap_rd_repair_rows(repairs);
    size_t n = json_array_size(list);
    if (n) ap_md_table(out, heads, 7);
    for (size_t i = 0; i < n && i < MAX_ROWS; i++) {
        const json_t *r = json_array_get(list, i);
        ap_buf_putc(out, '|');
        joined_cell(out, ap_rd_arr(r, "nodes"), ", ", MAX_NODES, true);
        ap_md_cell(out, ap_rd_str(r, "op"));
        ap_md_cell(out, ap_rd_str(r, "verdict"));
        ap_md_cell(out, ap_rd_str(r, "why"));
        joined_cell(out, ap_rd_arr(r, "rules"), ", then ", 8, true);
        line_cell(out, r, ap_rd_repair_proof);
        line_cell(out, r, ap_rd_repair_effect);
        ap_buf_putc(out, '\n');
    }
    if (n > MAX_ROWS) ap_buf_printf(out, "\n%zu more repairs in report.html.\n", n - MAX_ROWS);
    json_decref(list);
}

static void left(const json_t *list, ap_buf *out) {
    static const char *const heads[] = {"Not repaired", "Operator",     "Verdict",       "The target says",
                                        "Why it stays", "Chains tried", "Smallest graph"};
    size_t n = json_array_size(list);
    if (n) ap_md_table(out, heads, 7);
    for (size_t i = 0; i < n && i < MAX_ROWS; i++) {
        const json_t *l = json_array_get(list, i), *tried = ap_rd_arr(l, "tried");
        ap_buf t = {0};
        for (size_t k = 0; k < json_array_size(tried) && k < 6; k++) {
            const json_t *one = json_array_get(tried, k);
            if (k) ap_buf_puts(&t, "; ");
            ap_rd_join(ap_rd_arr(one, "chain"), " > ", 8, &t);
            ap_buf_printf(&t, " (%s)", ap_rd_str_or(one, "verdict", "?"));
        }
        ap_buf_putc(out, '|');
        ap_md_code_cell(out, ap_rd_str(l, "node"));
        ap_md_cell(out, ap_rd_str(l, "op"));
        ap_md_cell(out, ap_rd_str(l, "verdict"));
        ap_md_cell(out, ap_rd_str(l, "reason"));
        ap_md_cell(out, ap_rd_left_why(l));
        ap_md_cell(out, ap_buf_str(&t));
        ap_md_code_cell(out, ap_rd_str(l, "model"));
        ap_buf_putc(out, '\n');
        ap_buf_free(&t);
    }
    if (n > MAX_ROWS) ap_buf_printf(out, "\n%zu more in report.html.\n", n - MAX_ROWS);
}

static void rolled_back(const json_t *list, ap_buf *out) {
    static const char *const heads[] = {"Rolled back", "Nodes", "Reason"};
    size_t n = json_array_size(list);
    if (n) ap_md_table(out, heads, 3);
    for (size_t i = 0; i < n && i < MAX_ROWS; i++) {
        const json_t *r = json_array_get(list, i);
        ap_buf_putc(out, '|');
        joined_cell(out, ap_rd_arr(r, "rules"), ", then ", 8, true);
        joined_cell(out, ap_rd_arr(r, "nodes"), ", ", MAX_NODES, true);
        ap_md_cell(out, ap_rd_str(r, "reason"));
        ap_buf_putc(out, '\n');
    }
}

static void tuned(const json_t *r, const char *key, const char *verdict, ap_buf *out) {
    const json_t *list = ap_rd_arr(ap_rd_obj(r, "tuning"), key);
    for (size_t i = 0; i < json_array_size(list) && i < MAX_ROWS; i++) {
        const json_t *s = json_array_get(list, i);
        ap_buf times = {0};
        ap_rd_tuning_times(r, ap_rd_arr(s, "cost"), &times);
        ap_buf_putc(out, '|');
        ap_md_code_cell(out, ap_rd_str(s, "rule"));
        joined_cell(out, ap_rd_arr(s, "places"), ", ", MAX_NODES, true);
        ap_md_cell(out, ap_buf_str(&times));
        ap_md_cell(out, verdict);
        ap_md_cell(out, ap_rd_str(s, "reason"));
        ap_buf_putc(out, '\n');
        ap_buf_free(&times);
    }
}

static void tuning(const json_t *r, ap_buf *out) {
    static const char *const heads[] = {"Tuned for speed", "Where", "Whole model", "Verdict", "Reason"};
    const json_t *t = ap_rd_obj(r, "tuning");
    if (!ap_rd_arr(t, "kept") && !ap_rd_arr(t, "rejected")) return;
    ap_md_table(out, heads, 5);
    tuned(r, "kept", "kept", out);
    tuned(r, "rejected", "rolled back", out);
}

// Indented, so that no text can end the block.
static void change_line(ap_buf *out, char mark, const char *text) {
    if (!text) return;
    ap_buf_printf(out, "    %c ", mark);
    for (; *text; text++) ap_buf_putc(out, (unsigned char)*text < 0x20 ? ' ' : *text);
    ap_buf_putc(out, '\n');
}

static void changes(const json_t *c, const char *what, ap_buf *out) {
    const json_t *rows = ap_rd_arr(c, "rows");
    size_t n = json_array_size(rows);
    double more = 0;
    if (!n) return;
    ap_buf_printf(out, "\nThe graph before and after %s, where they differ:\n\n", what);
    for (size_t i = 0; i < n && i < MAX_CHANGES; i++) {
        const json_t *r = json_array_get(rows, i);
        change_line(out, '-', ap_rd_str(r, "a"));
        change_line(out, '+', ap_rd_str(r, "b"));
    }
    (void)ap_rd_amount(c, "left_out", &more);
    if (n > MAX_CHANGES) more += (double)(n - MAX_CHANGES);
    if (more > 0)
        ap_buf_printf(out, "\n%s more differences in report.html or by `aipc diff`.\n",
                      ap_rd_integer(more).s);
}

// What passes did fills pages; here the counts.
static void cleaning(const json_t *r, ap_buf *out) {
    const json_t *passes = ap_rd_arr(r, "passes"), *rows = ap_rd_arr(ap_rd_obj(r, "cleaning"), "rows");
    size_t n = json_array_size(passes);
    for (size_t i = 0; i < n; i++)
        ap_buf_printf(out, "%s%s",
                      i ? ", " : "\nCleaned by: ", ap_rd_str_or(json_array_get(passes, i), "name", "?"));
    if (n) ap_buf_puts(out, ".");
    if (n && rows)
        ap_buf_printf(out, " %zu rows of the graph differ for it: see report.html.", json_array_size(rows));
    if (n) ap_buf_putc(out, '\n');
}

void ap_md_repairs(const json_t *target, ap_buf *out) {
    const json_t *r = ap_rd_obj(target, "repairs"), *cpu = ap_rd_arr(r, "cpu");
    ap_buf lede = {0};
    if (!r) return;
    ap_buf_puts(out, "\n### Repairs\n\n");
    ap_rd_repairs_lede(r, &lede);
    ap_md_text(out, ap_buf_str(&lede));
    ap_buf_clear(&lede);
    ap_rd_repairs_whole(r, &lede);
    ap_buf_puts(out, "\n\n");
    ap_md_text(out, ap_buf_str(&lede));
    ap_buf_putc(out, '\n');
    ap_buf_clear(&lede);
    repaired(r, out);
    left(ap_rd_arr(r, "left"), out);
    rolled_back(ap_rd_arr(r, "rolled_back"), out);
    tuning(r, out);
    if (cpu) {
        ap_buf_printf(out, "\nOn the CPU (%zu): ", json_array_size(cpu));
        ap_rd_join(cpu, ", ", 40, &lede);
        ap_md_text(out, ap_buf_str(&lede));
        ap_buf_putc(out, '\n');
    }
    ap_buf_free(&lede);
    changes(ap_rd_obj(r, "changes"), "repair", out);
    cleaning(r, out);
}
