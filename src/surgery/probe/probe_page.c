// SPDX-License-Identifier: Apache-2.0
// What probes found: as a document, as CSV, as a page.
#include "surgery/probe/probe_priv.h"

#include <math.h>
#include <string.h>

static json_t *shapes_of(const ap_probe *p) {
    json_t *list = json_array();
    for (size_t i = 0; i < p->input_count; i++)
        json_array_append_new(list, ap_json_dims(p->inputs[i].type.dims, p->inputs[i].type.rank));
    return list;
}

static json_t *probe_json(const ap_probe *p) {
    return json_pack(
        "{so,so,so,sI,so,so,ss,so,so,sb,sb,sb}", "op", ap_json_string(p->op), "domain",
        ap_json_string(p->domain), "variant", ap_json_string(p->variant), "opset",
        (json_int_t)(p->opset_count ? p->opsets[0]->version : 0), "shapes", shapes_of(p), "key",
        p->signature ? ap_json_string(p->key) : json_null(), "verdict", ap_probe_verdict_word(p->verdict),
        "error",
        p->verdict == AP_PROBE_REFUSED || p->verdict == AP_PROBE_UNASKED ? json_null()
                                                                         : ap_json_real(p->error),
        "reason", ap_json_string(p->reason), "inexact", p->inexact, "folded", p->folded, "cached", p->cached);
}

static void count_up(json_t *o, const char *key, bool yes) {
    if (yes) json_object_set_new(o, key, json_integer(ap_json_int(o, key, 0) + 1));
}

// How many of each verdict; every word is there, also with 0.
static json_t *summary(const ap_probe_set *s) {
    json_t *o = json_object();
    json_object_set_new(o, "total", json_integer((json_int_t)s->count));
    for (size_t i = 0; i < AP_PROBE_VERDICT_COUNT; i++)
        json_object_set_new(o, ap_probe_verdict_word((ap_probe_verdict)i), json_integer(0));
    json_object_set_new(o, "inexact", json_integer(0));
    json_object_set_new(o, "folded", json_integer(0));
    for (size_t i = 0; i < s->count; i++) {
        count_up(o, ap_probe_verdict_word(s->list[i].verdict), true);
        count_up(o, "inexact", s->list[i].inexact);
        count_up(o, "folded", s->list[i].folded);
    }
    return o;
}

// The matrix: {op: {verdict: count}} in the order met.
static json_t *by_op(const ap_probe_set *s) {
    json_t *ops = json_object();
    for (size_t i = 0; i < s->count; i++) {
        json_t *o = json_object_get(ops, s->list[i].op);
        if (!o) {
            o = json_object();
            json_object_set_new(ops, s->list[i].op, o);
        }
        count_up(o, ap_probe_verdict_word(s->list[i].verdict), true);
    }
    return ops;
}

json_t *ap_probe_document(const ap_probe_set *s, const ap_probe_stats *stats) {
    json_t *list = json_array();
    for (size_t i = 0; i < s->count; i++) json_array_append_new(list, probe_json(&s->list[i]));
    json_t *asked =
        json_pack("{sI,sI,sI,sI,sf,sf}", "asked", (json_int_t)stats->asked, "cached",
                  (json_int_t)stats->cached, "batches", (json_int_t)stats->batches, "restarts",
                  (json_int_t)stats->restarts, "seconds", stats->seconds, "probes_per_s",
                  stats->asked && stats->seconds > 0 ? (double)stats->asked / stats->seconds : 0.0);
    return json_pack("{so,so,so,so}", "summary", summary(s), "asking", asked, "ops", by_op(s), "probes",
                     list);
}

// ---- CSV

static void csv_field(ap_buf *out, const char *text, bool last) {
    if (strpbrk(text, ",\"\n\r")) {
        ap_buf_putc(out, '"');
        for (const char *p = text; *p; p++) {
            if (*p == '"') ap_buf_putc(out, '"');
            ap_buf_putc(out, *p == '\n' || *p == '\r' ? ' ' : *p);
        }
        ap_buf_putc(out, '"');
    } else {
        ap_buf_puts(out, text);
    }
    ap_buf_putc(out, last ? '\n' : ',');
}

static const char *error_text(const json_t *p, char out[32]) {
    double e = ap_json_to_real(json_object_get(p, "error"));
    if (isnan(e))
        out[0] = '\0';
    else
        snprintf(out, 32, "%.3g", e);
    return out;
}

// Was repair asked for (coverage.h)?
static bool with_repairs(const json_t *document) {
    return json_object_get(json_object_get(document, "summary"), "right_as_is") != NULL;
}

static void csv_repair(const json_t *r, ap_buf *out) {
    char error[32];
    bool found = ap_json_bool(r, "found", false);
    csv_field(out, found ? ap_json_str(r, "by", "") : "", false);
    csv_field(out, found ? ap_json_str(r, "class", "") : "", false);
    csv_field(out, found ? error_text(r, error) : "", false);
    csv_field(out, json_is_object(r) && !found ? ap_json_str(r, "reason", "") : "", true);
}

void ap_probe_csv(const json_t *document, ap_buf *out) {
    size_t i;
    json_t *p;
    char error[32];
    bool repairs = with_repairs(document);
    ap_buf_puts(out, "op,domain,variant,opset,verdict,accepted_but_wrong,error,inexact,folded,reason");
    ap_buf_puts(out, repairs ? ",repaired_by,repair_class,repair_error,left_because\n" : "\n");
    json_array_foreach(json_object_get(document, "probes"), i, p) {
        const char *verdict = ap_json_str(p, "verdict", "");
        csv_field(out, ap_json_str(p, "op", ""), false);
        csv_field(out, ap_json_str(p, "domain", ""), false);
        csv_field(out, ap_json_str(p, "variant", ""), false);
        ap_buf_printf(out, "%lld,", (long long)ap_json_int(p, "opset", 0));
        csv_field(out, verdict, false);
        csv_field(out, strcmp(verdict, "wrong") == 0 || strcmp(verdict, "unstable") == 0 ? "yes" : "no",
                  false);
        csv_field(out, error_text(p, error), false);
        csv_field(out, ap_json_bool(p, "inexact", false) ? "yes" : "no", false);
        csv_field(out, ap_json_bool(p, "folded", false) ? "yes" : "no", false);
        csv_field(out, ap_json_str(p, "reason", ""), !repairs);
        if (repairs) csv_repair(json_object_get(p, "repair"), out);
    }
}

// ---- the page

static void html_text(ap_buf *out, const char *text) {
    for (const char *p = text; *p; p++) switch (*p) {
        case '<': ap_buf_puts(out, "&lt;"); break;
        case '>': ap_buf_puts(out, "&gt;"); break;
        case '&': ap_buf_puts(out, "&amp;"); break;
        case '"': ap_buf_puts(out, "&quot;"); break;
        default: ap_buf_putc(out, *p);
        }
}

static void html_cell(ap_buf *out, const char *class, const char *text) {
    ap_buf_printf(out, "<td class=\"%s\">", class);
    html_text(out, text);
    ap_buf_puts(out, "</td>");
}

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#1c1f23;"
    "background:#fff}table{border-collapse:collapse;width:100%;margin:1rem "
    "0}td,th{text-align:left;padding:.25rem "
    ".6rem;border-bottom:1px solid #e3e6ea;vertical-align:top}th{font-weight:600}td.n,th.n{text-align:right;"
    "font-variant-numeric:tabular-nums}.accepted{color:#176f3a}.refused,.unasked,.invalid{color:#7a5a00}"
    ".wrong,.unstable,.crashed,.hung{color:#b3261e;font-weight:600}.zero{color:#b8bec5}.reason{color:#555c64;"
    "overflow-wrap:anywhere}@media(prefers-color-scheme:dark){body{background:#15181b;color:#e4e7ea}td,th{"
    "border-color:#30363c}.accepted{color:#6fd08c}.refused,.unasked,.invalid{color:#e0b95a}.wrong,.unstable,"
    ".crashed,.hung{color:#ff8a80}.reason{color:#a4abb3}.zero{color:#4a5158}}";

static void html_matrix(const json_t *document, ap_buf *out) {
    // {key, class, heading}; the last two only where repair was asked for.
    static const char *const columns[][3] = {{"accepted", "accepted", "accepted"},
                                             {"refused", "refused", "refused"},
                                             {"wrong", "wrong", "accepted but wrong"},
                                             {"unstable", "unstable", "unstable"},
                                             {"crashed", "crashed", "crashed"},
                                             {"hung", "hung", "hung"},
                                             {"invalid", "invalid", "invalid"},
                                             {"repaired", "accepted", "right after surgery"},
                                             {"left", "refused", "left"}};
    size_t count = sizeof columns / sizeof *columns - (with_repairs(document) ? 0 : 2);
    const char *op;
    json_t *o;
    ap_buf_puts(out, "<h2>Operators</h2>\n<table><tr><th>Operator</th>");
    for (size_t i = 0; i < count; i++) ap_buf_printf(out, "<th class=\"n\">%s</th>", columns[i][2]);
    ap_buf_puts(out, "</tr>\n");
    json_object_foreach(json_object_get(document, "ops"), op, o) {
        ap_buf_puts(out, "<tr>");
        html_cell(out, "", op);
        for (size_t i = 0; i < count; i++) {
            long long n = (long long)ap_json_int(o, columns[i][0], 0);
            ap_buf_printf(out, "<td class=\"n %s\">%lld</td>", n ? columns[i][1] : "zero", n);
        }
        ap_buf_puts(out, "</tr>\n");
    }
    ap_buf_puts(out, "</table>\n");
}

static void html_repair(const json_t *r, ap_buf *out) {
    char error[32];
    bool found = ap_json_bool(r, "found", false);
    html_cell(out, found ? "accepted" : "reason", ap_json_str(r, found ? "by" : "reason", ""));
    html_cell(out, "", found ? ap_json_str(r, "class", "") : "");
    html_cell(out, "n", found ? error_text(r, error) : "");
}

static void html_probes(const json_t *document, ap_buf *out) {
    size_t i;
    json_t *p;
    char error[32];
    bool repairs = with_repairs(document);
    ap_buf_puts(
        out, "<h2>Variants</h2>\n<table><tr><th>Operator</th><th>Variant</th><th>Verdict</th><th>Error</th>"
             "<th>Reason</th>");
    ap_buf_puts(out,
                repairs ? "<th>Repaired by, or why not</th><th>Class</th><th>Error</th></tr>\n" : "</tr>\n");
    json_array_foreach(json_object_get(document, "probes"), i, p) {
        const char *verdict = ap_json_str(p, "verdict", "");
        ap_buf_puts(out, "<tr>");
        html_cell(out, "", ap_json_str(p, "op", ""));
        html_cell(out, "", ap_json_str(p, "variant", ""));
        html_cell(out, verdict, ap_json_bool(p, "inexact", false) ? "accepted, inexact" : verdict);
        html_cell(out, "n", error_text(p, error));
        html_cell(out, "reason", ap_json_str(p, "reason", ""));
        if (repairs) html_repair(json_object_get(p, "repair"), out);
        ap_buf_puts(out, "</tr>\n");
    }
    ap_buf_puts(out, "</table>\n");
}

void ap_probe_html(const json_t *document, ap_buf *out) {
    const json_t *sum = json_object_get(document, "summary");
    ap_buf_puts(out,
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                "content=\"width=device-width\"><title>aipc probe</title><style>");
    ap_buf_puts(out, style);
    ap_buf_puts(out, "</style></head><body>\n<h1>What ");
    html_text(out, ap_json_str(document, "target", "the target"));
    ap_buf_puts(out, " takes</h1>\n<p>");
    html_text(out, ap_json_str(document, "backend", ""));
    ap_buf_printf(
        out,
        "</p>\n<p>%lld probes: <b class=\"accepted\">%lld accepted</b> (%lld of them inexact), "
        "<b class=\"refused\">%lld refused</b>, <b class=\"wrong\">%lld accepted but wrong</b>, %lld "
        "unstable, %lld crashed, %lld hung, %lld invalid, %lld not asked.</p>\n",
        (long long)ap_json_int(sum, "total", 0), (long long)ap_json_int(sum, "accepted", 0),
        (long long)ap_json_int(sum, "inexact", 0), (long long)ap_json_int(sum, "refused", 0),
        (long long)ap_json_int(sum, "wrong", 0), (long long)ap_json_int(sum, "unstable", 0),
        (long long)ap_json_int(sum, "crashed", 0), (long long)ap_json_int(sum, "hung", 0),
        (long long)ap_json_int(sum, "invalid", 0), (long long)ap_json_int(sum, "unasked", 0));
    if (with_repairs(document))
        ap_buf_printf(out,
                      "<p>%lld right as they are, <b class=\"accepted\">%lld right after surgery</b>, "
                      "<b class=\"refused\">%lld left</b>.</p>\n",
                      (long long)ap_json_int(sum, "right_as_is", 0),
                      (long long)ap_json_int(sum, "right_after_surgery", 0),
                      (long long)ap_json_int(sum, "left", 0));
    html_matrix(document, out);
    html_probes(document, out);
    ap_buf_puts(out, "</body></html>\n");
}
