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

// Proofs of a chain: the fewest instances, each rule's worst error in the unit of its class.
void ap_rd_repair_proof(const json_t *repair, ap_buf *out) {
    const json_t *proofs = ap_rd_arr(repair, "proofs");
    double least = INFINITY, n;
    for (size_t i = 0; i < json_array_size(proofs); i++)
        if (ap_rd_amount(json_array_get(proofs, i), "instances", &n) && n < least) least = n;
    if (!isfinite(least)) return;
    ap_buf_printf(out, "%s instances each; ", ap_rd_integer(least).s);
    for (size_t i = 0; i < json_array_size(proofs); i++) {
        const json_t *p = json_array_get(proofs, i);
        double worst = 0;
        ap_buf_printf(out, "%s%s: %s", i ? ", " : "", ap_rd_str_or(p, "rule", "?"),
                      ap_rd_str_or(p, "class", "?"));
        if (ap_rd_num(p, "worst", &worst)) ap_buf_printf(out, ", worst %s", ap_rd_g(worst).s);
    }
}

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

static void accuracy(const json_t *repair, ap_buf *out) {
    double was, is, error;
    bool before = worst_db(ap_rd_arr(repair, "gates_before"), &was),
         after = worst_db(ap_rd_arr(repair, "gates_after"), &is);
    if (after)
        ap_buf_printf(out, "worst output %s → %s", before ? ap_rd_db(was).s : "not to be run",
                      ap_rd_db(is).s);
    if (!ap_rd_num(repair, "piece_error", &error)) return;
    ap_buf_printf(out, "%serror of the piece %s", after ? ", " : "", ap_rd_g(error).s);
}

void ap_rd_repair_effect(const json_t *repair, ap_buf *out) {
    const json_t *was = ap_rd_obj(repair, "cost_before"), *is = ap_rd_obj(repair, "cost_after");
    double a, b;
    accuracy(repair, out);
    if (ap_rd_amount(repair, "nodes_before", &a) && ap_rd_amount(repair, "nodes_after", &b))
        ap_buf_printf(out, "%snodes %s → %s", out->len ? ", " : "", ap_rd_integer(a).s, ap_rd_integer(b).s);
    if (ap_rd_amount(is, "estimate_ms", &b)) {
        bool known = ap_rd_amount(was, "estimate_ms", &a);
        ap_buf_printf(out, "%swhole model %s%s%s (estimate)", out->len ? ", " : "",
                      known ? ap_rd_ms(a).s : "", known ? " → " : "", ap_rd_ms(b).s);
    }
}

void ap_rd_repairs_lede(const json_t *repairs, ap_buf *out) {
    static const struct {
        const char *key, *one, *many;
    } parts[] = {{"passes", "pass cleaned it", "passes cleaned it"},
                 {"repairs", "repair was made", "repairs were made"},
                 {"rolled_back", "chain was rolled back", "chains were rolled back"},
                 {"left", "node is left as it was", "nodes are left as they were"},
                 {"cpu", "node runs on the CPU", "nodes run on the CPU"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t n = json_array_size(ap_rd_arr(repairs, parts[i].key));
        if (n) ap_buf_printf(out, "%s%zu %s", out->len ? ", " : "", n, n == 1 ? parts[i].one : parts[i].many);
    }
    if (out->len) ap_buf_puts(out, ".");
}
