// SPDX-License-Identifier: Apache-2.0
// The plot of every tensor's SQNR along the graph: where the answer loses precision.
#include "report/html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 1060,
    HEIGHT = 340,
    LEFT = 52,
    RIGHT = 62,
    TOP = 16,
    BOTTOM = 34,
    LOWEST = 5,
    MAX_POINTS = 3000
};

typedef struct point {
    const json_t *item;
    double db; // NaN when the tensor has NaN where the reference has none
    double x, y;
    size_t position; // in the trace
    ap_op_family family;
} point;

typedef struct plot {
    point *points;
    size_t count, total; // drawn; in the document
    double low_db, high_db;
    bool any_exact, any_nan;
    bool has_gate;
    double gate_db;
    bool used[AP_OP_FAMILIES];
    size_t lowest[LOWEST], lowest_count;
} plot;

// Lower is worse, NaN is worst.
static double badness_key(double db) {
    return isnan(db) ? -INFINITY : db;
}

// With more tensors than columns, each column keeps its worst: thinning must not hide a fault.
static void collect(const json_t *trace, plot *p) {
    size_t n = json_array_size(trace), columns = n < MAX_POINTS ? n : MAX_POINTS;
    size_t last_column = SIZE_MAX;
    p->points = ap_calloc(columns, sizeof *p->points);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(trace, i);
        double db = 0;
        if (!ap_rd_num(item, "sqnr_db", &db)) continue;
        p->total++;
        size_t column = i * columns / n;
        if (column == last_column) {
            if (badness_key(db) >= badness_key(p->points[p->count - 1].db)) continue;
            p->count--;
        }
        last_column = column;
        double place = n > 1 ? (double)i / (double)(n - 1) : 0.5;
        p->points[p->count++] = (point){.item = item,
                                        .db = db,
                                        .position = i,
                                        .x = LEFT + 8 + place * (WIDTH - LEFT - RIGHT - 16),
                                        .family = ap_op_family_of(ap_rd_str(item, "op"))};
    }
}

// The axis spans the finite values and the gate, in steps of 10 dB within −20..160. Exact tensors get a line
// above.
static void scale(plot *p) {
    double low = 1e9, high = -1e9;
    for (size_t i = 0; i < p->count; i++) {
        double db = p->points[i].db;
        p->used[p->points[i].family] = true;
        p->any_exact = p->any_exact || (isinf(db) && db > 0);
        p->any_nan = p->any_nan || isnan(db) || (isinf(db) && db < 0);
        if (!isfinite(db)) continue;
        low = fmin(low, db);
        high = fmax(high, db);
    }
    if (p->has_gate) {
        low = fmin(low, p->gate_db);
        high = fmax(high, p->gate_db);
    }
    if (low > high) low = high = 40;
    p->low_db = fmax(-20, fmin(140, floor((low - 3) / 10) * 10));
    p->high_db = fmin(170, fmax(p->low_db + 20, ceil((high + 3) / 10) * 10));
    if (p->any_exact) p->high_db += 10;
}

static double y_of(const plot *p, double db) {
    if (isnan(db)) db = p->low_db;
    db = fmax(p->low_db, fmin(p->high_db, db)); // +inf lands on top, −inf at the bottom
    return TOP + (p->high_db - db) / (p->high_db - p->low_db) * (HEIGHT - TOP - BOTTOM);
}

static int by_badness(const void *pa, const void *pb) {
    const point *a = *(point *const *)pa, *b = *(point *const *)pb;
    double ka = badness_key(a->db), kb = badness_key(b->db);
    if (ka != kb) return ka < kb ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

static void place(plot *p) {
    point **order = ap_calloc(p->count, sizeof *order);
    for (size_t i = 0; i < p->count; i++) {
        p->points[i].y = y_of(p, p->points[i].db);
        order[i] = &p->points[i];
    }
    qsort(order, p->count, sizeof *order, by_badness);
    for (size_t i = 0; i < p->count && i < LOWEST; i++) {
        if (isinf(order[i]->db) && order[i]->db > 0) break; // exact is nothing to point at
        p->lowest[p->lowest_count++] = (size_t)(order[i] - p->points);
    }
    free(order);
}

static void find_gate(const json_t *target, plot *p) {
    const json_t *gates = ap_rd_arr(target, "gates");
    for (size_t i = 0; !p->has_gate && i < json_array_size(gates); i++) {
        const json_t *g = json_array_get(gates, i);
        double db = 0;
        if (strcmp(ap_rd_str_or(g, "metric", ""), "sqnr_db") != 0 || !ap_rd_num(g, "threshold", &db))
            continue;
        p->has_gate = isfinite(db);
        p->gate_db = db;
    }
}

static void line(ap_buf *out, const char *css_class, double x1, double y1, double x2, double y2) {
    double v[] = {x1, y1, x2, y2};
    static const char *const names[] = {"x1", "y1", "x2", "y2"};
    ap_html_fmt(out, "<line class=\"%s\"", css_class);
    for (size_t i = 0; i < 4; i++) {
        ap_html_fmt(out, " %s=\"", names[i]);
        ap_html_coord(out, v[i]);
        ap_buf_putc(out, '"');
    }
    ap_buf_puts(out, "/>\n");
}

static void label(ap_buf *out, const char *css_class, const char *anchor, double x, double y,
                  const char *text) {
    ap_html_fmt(out, "<text class=\"%s\" text-anchor=\"%s\" x=\"", css_class, anchor);
    ap_html_coord(out, x);
    ap_buf_puts(out, "\" y=\"");
    ap_html_coord(out, y);
    ap_html_fmt(out, "\">%s</text>\n", text);
}

static void axes(const plot *p, ap_buf *out) {
    static const char *const errors[] = {"100 %", "10 %", "1 %",  "0.1 %", "0.01 %",
                                         "10⁻⁵",  "10⁻⁶", "10⁻⁷", "10⁻⁸"};
    double step = p->high_db - p->low_db > 100 ? 20 : 10;
    for (double db = p->low_db; db <= p->high_db + 0.5; db += step) {
        bool top_line = p->any_exact && db > p->high_db - 9;
        if (top_line) continue;
        line(out, "grid", LEFT, y_of(p, db), WIDTH - RIGHT, y_of(p, db));
        label(out, "", "end", LEFT - 8, y_of(p, db) + 4, ap_rd_fixed(db, 0).s);
        long k = lround(db / 20);
        if (fabs(db - (double)k * 20) < 0.5 && k >= 0 && k < 9)
            label(out, "", "start", WIDTH - RIGHT + 8, y_of(p, db) + 4, errors[k]);
    }
    if (p->any_exact) {
        line(out, "grid", LEFT, TOP, WIDTH - RIGHT, TOP);
        label(out, "", "end", LEFT - 8, TOP + 4, "exact");
    }
    label(out, "", "start", LEFT, HEIGHT - 8, "first tensor");
    label(out, "", "middle", (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8, "position in the graph →");
    label(out, "", "end", WIDTH - RIGHT, HEIGHT - 8, "last tensor");
    label(out, "", "end", LEFT - 8, HEIGHT - 8, "dB");
    label(out, "", "start", WIDTH - RIGHT + 8, HEIGHT - 8, "error");
}

static void curve(const plot *p, ap_buf *out) {
    ap_buf_puts(out, "<polyline class=\"line\" points=\"");
    for (size_t i = 0; i < p->count; i++) {
        ap_html_coord(out, p->points[i].x);
        ap_buf_putc(out, ',');
        ap_html_coord(out, p->points[i].y);
        ap_buf_putc(out, ' ');
    }
    ap_buf_puts(out, "\"/>\n");
}

static void tooltip(const point *pt, ap_buf *out) {
    static const char *const keys[][2] = {
        {"cosine", "cosine"}, {"max_abs", "max error"}, {"ref_max", "reference max"}};
    ap_html_fmt(out, "<title>%s\n%s %s\nSQNR %s", ap_rd_str_or(pt->item, "tensor", "tensor"),
                ap_rd_str_or(pt->item, "op", ""), ap_rd_str_or(pt->item, "node", ""), ap_rd_db(pt->db).s);
    for (size_t i = 0; i < 3; i++) {
        double v = 0;
        if (ap_rd_num(pt->item, keys[i][0], &v)) ap_html_fmt(out, "\n%s %s", keys[i][1], ap_rd_g(v).s);
    }
    ap_buf_puts(out, "</title>");
}

static void dots(const plot *p, ap_buf *out) {
    const char *radius = p->count > 800 ? "2.6" : "4";
    for (size_t i = 0; i < p->count; i++) {
        ap_html_fmt(out, "<circle class=\"p f%d\" r=\"%s\" cx=\"", (int)p->points[i].family, radius);
        ap_html_coord(out, p->points[i].x);
        ap_buf_puts(out, "\" cy=\"");
        ap_html_coord(out, p->points[i].y);
        ap_buf_puts(out, "\">");
        tooltip(&p->points[i], out);
        ap_buf_puts(out, "</circle>\n");
    }
}

// Finds room for label `k` near its point: the first offset that hits no label placed before.
static void find_room(const double (*placed)[2], size_t k, const point *pt, double *x, double *y) {
    static const double offsets[][2] = {{0, 20},    {0, -12},  {-20, 16}, {20, 16}, {0, 36},
                                        {-20, -14}, {20, -14}, {-22, 34}, {22, 34}};
    for (size_t o = 0; o < sizeof offsets / sizeof *offsets; o++) {
        bool free_place = true;
        *x = pt->x + offsets[o][0];
        *y = pt->y + offsets[o][1];
        for (size_t j = 0; j < k; j++) {
            if (fabs(*x - placed[j][0]) < 13 && fabs(*y - placed[j][1]) < 14) free_place = false;
        }
        if (free_place && *y > TOP + 8 && *y < HEIGHT - BOTTOM - 2) return;
    }
}

static void callouts(const plot *p, ap_buf *out) {
    double placed[LOWEST][2];
    for (size_t k = 0; k < p->lowest_count; k++) {
        const point *pt = &p->points[p->lowest[k]];
        find_room((const double(*)[2])placed, k, pt, &placed[k][0], &placed[k][1]);
        ap_buf_puts(out, "<circle class=\"lowring\" r=\"6\" cx=\"");
        ap_html_coord(out, pt->x);
        ap_buf_puts(out, "\" cy=\"");
        ap_html_coord(out, pt->y);
        ap_buf_puts(out, "\"/>\n");
        label(out, "low", "middle", placed[k][0], placed[k][1], ap_rd_g((double)(k + 1)).s);
    }
}

static void lowest_table(const plot *p, ap_buf *out) {
    static const char *const heads[] = {"Lowest", "Tensor",     "Operator",      "Node",
                                        "#SQNR",  "#Max error", "#Reference max"};
    if (!p->lowest_count) return;
    ap_html_table_open(out, "lowest", heads, 7);
    for (size_t k = 0; k < p->lowest_count; k++) {
        const point *pt = &p->points[p->lowest[k]];
        double v = 0;
        ap_html_fmt(out, "<tr><td><b>%zu</b></td>", k + 1);
        ap_html_code_cell(out, ap_rd_str(pt->item, "tensor"));
        ap_html_fmt(out, "<td>%s</td>", ap_rd_str_or(pt->item, "op", ""));
        ap_html_code_cell(out, ap_rd_str(pt->item, "node"));
        ap_html_num_cell(out, true, ap_rd_db(pt->db).s);
        bool known = ap_rd_num(pt->item, "max_abs", &v);
        ap_html_num_cell(out, known, ap_rd_g(v).s);
        known = ap_rd_num(pt->item, "ref_max", &v);
        ap_html_num_cell(out, known, ap_rd_g(v).s);
        ap_buf_puts(out, "</tr>\n");
    }
    ap_html_table_close(out);
}

static void all_tensors(const json_t *trace, ap_buf *out) {
    static const char *const heads[] = {"##",      "Tensor",     "Operator",      "#SQNR",
                                        "#Cosine", "#Max error", "#Reference max"};
    static const char *const keys[] = {"cosine", "max_abs", "ref_max"};
    ap_html_fmt(out, "<details><summary>All %zu tensors</summary>\n", json_array_size(trace));
    ap_html_table_open(out, "sortable", heads, 7);
    for (size_t i = 0; i < json_array_size(trace); i++) {
        const json_t *t = json_array_get(trace, i);
        if (!json_is_object(t)) continue;
        double v = 0;
        ap_html_fmt(out, "<tr><td class=\"num\">%zu</td>", i);
        ap_html_code_cell(out, ap_rd_str(t, "tensor"));
        ap_html_fmt(out, "<td>%s</td>", ap_rd_str_or(t, "op", ""));
        bool known = ap_rd_num(t, "sqnr_db", &v);
        double sort = isnan(v) ? -1e9 : v > 1e9 ? 1e9 : v;
        ap_html_fmt(out, "<td class=\"num\" data-v=\"%s\">%s</td>", ap_rd_g(sort).s,
                    known ? ap_rd_db(v).s : "");
        for (size_t k = 0; k < 3; k++) {
            known = ap_rd_num(t, keys[k], &v);
            ap_html_num_cell(out, known, k == 0 ? ap_rd_fixed(v, 6).s : ap_rd_g(v).s);
        }
        ap_buf_puts(out, "</tr>\n");
    }
    ap_html_table_close(out);
    ap_buf_puts(out, "</details>\n");
}

static void drawing(const plot *p, ap_buf *out) {
    ap_html_fmt(out,
                "<figure><div class=\"plot\"><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"SQNR of "
                "every tensor along the graph\">\n",
                (int)WIDTH, (int)HEIGHT);
    axes(p, out);
    curve(p, out);
    dots(p, out);
    if (p->has_gate) {
        double y = y_of(p, p->gate_db);
        line(out, "gate", LEFT, y, WIDTH - RIGHT, y);
        ap_buf text = {0};
        ap_buf_printf(&text, "gate %s (outputs)", ap_rd_db(p->gate_db).s);
        label(out, "gatelabel", "start", LEFT + 6, y - 6, ap_buf_str(&text));
        ap_buf_free(&text);
    }
    callouts(p, out);
    ap_buf_puts(out, "</svg></div>\n<ul class=\"legend\">");
    for (int f = 0; f < AP_OP_FAMILIES; f++) {
        if (p->used[f])
            ap_html_fmt(out, "<li><i class=\"f%d\"></i>%s</li>", f, ap_op_family_name((ap_op_family)f));
    }
    ap_buf_puts(out, "</ul>\n<figcaption>Each dot is one tensor of the original graph, computed by the "
                     "target and compared with "
                     "the golden run; higher is better. ");
    if (p->any_nan) ap_buf_puts(out, "Tensors with NaN or no signal left lie at the bottom. ");
    if (p->total > p->count)
        ap_html_fmt(out, "%zu of %zu tensors are drawn, always the worst of its neighbours. ", p->count,
                    p->total);
    ap_buf_puts(out, "</figcaption></figure>\n");
}

// A comparison that could not be made, or that changed the answer, must not pass for a good one.
static void trace_notes(const json_t *target, ap_buf *out) {
    const char *note = ap_rd_str(target, "trace_note");
    if (note)
        ap_html_fmt(out, "<div class=\"note warn\"><p>The tensors were not compared: %s</p></div>\n", note);
    if (json_is_false(json_object_get(target, "trace_faithful")) && ap_rd_arr(target, "trace")) {
        ap_buf_puts(out, "<div class=\"note warn\"><p>The build that shows every tensor does not give the "
                         "same output bits as the "
                         "artifact itself. Take the values below as a hint where to look.</p></div>\n");
    }
}

void ap_html_plot(const json_t *target, ap_buf *out) {
    const json_t *trace = ap_rd_arr(target, "trace");
    plot p = {0};
    if (trace) collect(trace, &p);
    if (p.count || ap_rd_str(target, "trace_note")) {
        ap_buf_puts(out, "<h3>Accuracy along the graph</h3>\n");
        trace_notes(target, out);
    }
    if (p.count) {
        find_gate(target, &p);
        scale(&p);
        place(&p);
        drawing(&p, out);
        lowest_table(&p, out);
        all_tensors(trace, out);
    }
    free(p.points);
}
