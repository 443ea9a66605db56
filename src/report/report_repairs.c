// SPDX-License-Identifier: Apache-2.0
// What surgery did, in lines both writers use.
#include "report/report_doc.h"

#include <math.h>
#include <string.h>

void ap_rd_join(const json_t *strings, const char *between, size_t most, ap_buf *out) {
    size_t n = json_array_size(strings);
    for (size_t i = 0; i < n && i < most; i++) {
        const char *s = json_string_value(json_array_get(strings, i));
        ap_buf_printf(out, "%s%s", i ? between : "", s ? s : "?");
    }
    if (n > most) ap_buf_printf(out, " and %zu more", n - most);
}

// The worst error of a proof in the unit of its class.
static void put_worst(const json_t *proof, ap_buf *out) {
    const char *class = ap_rd_str_or(proof, "class", "?");
    double worst;
    if (!ap_rd_num(proof, "worst", &worst)) return;
    if (strncmp(class, "exact", 5) == 0)
        ap_buf_puts(out, worst > 0 ? "" : ", no difference");
    else if (strncmp(class, "db", 2) == 0)
        ap_buf_printf(out, ", worst %s", ap_rd_db(worst).s);
    else
        ap_buf_printf(out, ", worst %s ulp", ap_rd_g(worst).s);
}

void ap_rd_repair_proof(const json_t *repair, ap_buf *out) {
    const json_t *proofs = ap_rd_arr(repair, "proofs");
    for (size_t i = 0; i < json_array_size(proofs); i++) {
        const json_t *p = json_array_get(proofs, i);
        double n;
        ap_buf_printf(out, "%s%s (%s)", i ? "; " : "", ap_rd_str_or(p, "rule", "?"),
                      ap_rd_str_or(p, "class", "?"));
        if (ap_rd_amount(p, "instances", &n)) ap_buf_printf(out, ": %s random instances", ap_rd_integer(n).s);
        put_worst(p, out);
    }
}

// ---- repairs of one kind in one row

static bool is_alike(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"op", "verdict", "why", "rules", "class"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);
        if (x != y && !json_equal(x, y)) return false;
    }
    return true;
}

static json_t *find_alike(json_t *rows, const json_t *repair) {
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) if (is_alike(row, repair)) return row;
    return NULL;
}

// `row` stands for `repair`, too: its nodes, the worse error, the numbers after the later step.
static void merge(json_t *row, const json_t *repair) {
    static const char *const later[] = {"gates_after", "cost_after"};
    const json_t *nodes = ap_rd_arr(repair, "nodes");
    double was, is;
    json_t *all = json_copy(json_object_get(row, "nodes"));
    if (json_is_array(all) && nodes) json_array_extend(all, (json_t *)(uintptr_t)nodes);
    json_object_set_new(row, "nodes", all ? all : json_null());
    if (ap_rd_num(repair, "piece_error", &is) && ap_rd_num(row, "piece_error", &was) && is > was)
        json_object_set(row, "piece_error", json_object_get(repair, "piece_error"));
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        json_t *v = json_object_get(repair, later[i]);
        if (v) json_object_set(row, later[i], v);
    }
}

json_t *ap_rd_repair_rows(const json_t *repairs) {
    json_t *rows = json_array(), *one;
    size_t i;
    json_array_foreach(ap_rd_arr(repairs, "repairs"), i, one) {
        json_t *row = json_is_object(one) ? find_alike(rows, one) : NULL;
        if (row)
            merge(row, one);
        else if (json_is_object(one))
            json_array_append_new(rows, json_copy(one));
    }
    return rows;
}

// ---- effect

static bool worst_db(const json_t *gates, double *out) {
    bool any = false;
    for (size_t i = 0; i < json_array_size(gates); i++) {
        const json_t *g = json_array_get(gates, i);
        double db;
        if (strcmp(ap_rd_str_or(g, "metric", ""), "sqnr_db") != 0 || !ap_rd_num(g, "value", &db)) continue;
        if (!any || !(db >= *out)) *out = db;
        any = true;
    }
    return any;
}

// "could not be run → 68.3 dB", "31.0 dB → 68.3 dB"
static void accuracy(const json_t *was_gates, const json_t *is_gates, ap_buf *out) {
    double was, is;
    bool before = worst_db(was_gates, &was), after = worst_db(is_gates, &is);
    if (!was_gates && !is_gates) {
        ap_buf_puts(out, "could not be run, and still cannot");
        return;
    }
    ap_buf_printf(out, "%s → ", before ? ap_rd_db(was).s : was_gates ? "?" : "could not be run");
    ap_buf_puts(out, after ? ap_rd_db(is).s : is_gates ? "?" : "cannot be run");
}

// "1.20 ms → 1.25 ms (estimate)", "1.25 ms (measured)"
static void put_times(bool known, double was, double is, const char *how, ap_buf *out) {
    ap_buf_printf(out, "%s%s%s (%s)", known ? ap_rd_ms(was).s : "", known ? " → " : "", ap_rd_ms(is).s, how);
}

static void cost(const json_t *was, const json_t *is, ap_buf *out) {
    static const char *const keys[][2] = {{"measured_ms", "measured"}, {"estimate_ms", "estimate"}};
    double a = 0, b;
    for (size_t i = 0; i < 2; i++) {
        if (!ap_rd_amount(is, keys[i][0], &b)) continue;
        bool known = ap_rd_amount(was, keys[i][0], &a);
        ap_buf_puts(out, ", ");
        put_times(known, a, b, keys[i][1], out);
        return;
    }
}

void ap_rd_repair_effect(const json_t *repair, ap_buf *out) {
    double a, b;
    if (ap_rd_amount(repair, "nodes_before", &a) && ap_rd_amount(repair, "nodes_after", &b))
        ap_buf_printf(out, "nodes %s → %s", ap_rd_integer(a).s, ap_rd_integer(b).s);
    if (json_array_size(ap_rd_arr(repair, "nodes")) > 1) ap_buf_puts(out, " at each place");
    if (ap_rd_num(repair, "piece_error", &a))
        ap_buf_printf(out, "%slargest error there %s", out->len ? ", " : "", ap_rd_g(a).s);
    ap_buf_printf(out, "%swhole model: ", out->len ? "; " : "");
    accuracy(ap_rd_arr(repair, "gates_before"), ap_rd_arr(repair, "gates_after"), out);
    cost(ap_rd_obj(repair, "cost_before"), ap_rd_obj(repair, "cost_after"), out);
}

// ---- the whole

// Distinct nodes of all repairs, and of what is left, by verdict: "4 refused, 1 wrong".
// What is neither "refused" nor "inexact" counts as "wrong": unstable, too.
static size_t count_verdict(const json_t *list, const char *verdict, bool by_node) {
    size_t n = 0, i;
    json_t *one;
    json_array_foreach(list, i, one) {
        const char *is = ap_rd_str_or(one, "verdict", "");
        if (strcmp(is, "refused") != 0 && strcmp(is, "inexact") != 0) is = "wrong";
        if (strcmp(is, verdict) != 0) continue;
        n += by_node ? json_array_size(ap_rd_arr(one, "nodes")) : 1;
    }
    return n;
}

static void put_sentence(ap_buf *out, size_t n, const char *one, const char *many) {
    if (n) ap_buf_printf(out, "%s%zu %s.", out->len ? " " : "", n, n == 1 ? one : many);
}

void ap_rd_repairs_lede(const json_t *repairs, ap_buf *out) {
    const json_t *made = ap_rd_arr(repairs, "repairs"), *left = ap_rd_arr(repairs, "left");
    put_sentence(out, json_array_size(ap_rd_arr(repairs, "passes")), "pass cleaned the model",
                 "passes cleaned the model");
    put_sentence(out, count_verdict(made, "refused", true), "refused node was rewritten",
                 "refused nodes were rewritten");
    put_sentence(out, count_verdict(made, "wrong", true),
                 "node that is accepted but computed wrong was rewritten",
                 "nodes that are accepted but computed wrong were rewritten");
    put_sentence(out, count_verdict(made, "inexact", true),
                 "node that is less exact than it could be was rewritten",
                 "nodes that are less exact than they could be were rewritten");
    put_sentence(out, count_verdict(left, "refused", false), "refused node could not be repaired",
                 "refused nodes could not be repaired");
    put_sentence(out, count_verdict(left, "wrong", false),
                 "node that is computed wrong on its own stays in the model",
                 "nodes that are computed wrong on their own stay in the model");
    put_sentence(out, json_array_size(ap_rd_arr(repairs, "cpu")), "node runs on the CPU, as --allow-cpu says",
                 "nodes run on the CPU, as --allow-cpu says");
    put_sentence(out, json_array_size(ap_rd_arr(repairs, "rolled_back")), "chain of rules was rolled back",
                 "chains of rules were rolled back");
    put_sentence(out, json_array_size(ap_rd_arr(ap_rd_obj(repairs, "tuning"), "kept")),
                 "rewrite for speed was kept", "rewrites for speed were kept");
    const json_t *courses = ap_rd_arr(repairs, "sharpening"), *course;
    size_t i;
    json_array_foreach(courses, i, course) {
        const char *why = ap_rd_str(course, "ended");
        if (why) ap_buf_printf(out, "%sSharpening ended: %s.", out->len ? " " : "", why);
    }
    const char *ended = ap_rd_str(ap_rd_obj(repairs, "stats"), "ended");
    if (ended) ap_buf_printf(out, "%sRepair ended: %s.", out->len ? " " : "", ended);
    if (!out->len)
        ap_buf_puts(out, ap_rd_arr(repairs, "needs") ? "Nothing was found that helps."
                                                     : "Nothing had to be repaired.");
}

void ap_rd_repairs_whole(const json_t *repairs, ap_buf *out) {
    const json_t *was = ap_rd_obj(repairs, "before"), *is = ap_rd_obj(repairs, "after");
    double n;
    if (!was || !is) return;
    ap_buf_puts(out, "The whole model, before and after: ");
    size_t refused = json_array_size(ap_rd_arr(was, "refused"));
    if (refused) ap_buf_printf(out, "%zu nodes refused, ", refused);
    accuracy(ap_rd_arr(was, "gates"), ap_rd_arr(is, "gates"), out);
    cost(ap_rd_obj(was, "cost"), ap_rd_obj(is, "cost"), out);
    if (ap_rd_amount(ap_rd_obj(is, "cost"), "nodes", &n))
        ap_buf_printf(out, ", %s nodes", ap_rd_integer(n).s);
    ap_buf_putc(out, '.');
}

void ap_rd_tuning_times(const json_t *repairs, const json_t *pair, ap_buf *out) {
    double was, is;
    bool measured = ap_rd_amount(ap_rd_obj(ap_rd_obj(repairs, "after"), "cost"), "measured_ms", &is);
    if (!ap_rd_real(json_array_get(pair, 0), &was)) return;
    if (ap_rd_real(json_array_get(pair, 1), &is))
        put_times(true, was, is, measured ? "measured" : "estimate", out);
    else
        ap_buf_printf(out, "%s before", ap_rd_ms(was).s);
}

// Why nothing was found; the target's own words stand beside it.
const char *ap_rd_left_why(const json_t *left) {
    const char *why = ap_rd_str(left, "why_not");
    if (why) return why;
    return ap_rd_arr(left, "tried") ? "no chain of rules helps" : "no rule rewrites it";
}
