// SPDX-License-Identifier: Apache-2.0
#include "report/report_doc.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const json_t *ap_rd_obj(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_object(v) && json_object_size(v) ? v : NULL;
}

const json_t *ap_rd_arr(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_array(v) && json_array_size(v) ? v : NULL;
}

const char *ap_rd_str(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s && *s ? s : NULL;
}

const char *ap_rd_str_or(const json_t *o, const char *key, const char *fallback) {
    const char *s = ap_rd_str(o, key);
    return s ? s : fallback;
}

bool ap_rd_real(const json_t *v, double *out) {
    static const char *const words[] = {"nan", "inf", "-inf"};
    const char *s = json_string_value(v);
    bool known = json_is_number(v);
    for (size_t i = 0; s && i < 3; i++) known = known || strcmp(s, words[i]) == 0;
    if (known) *out = ap_json_to_real(v);
    return known;
}

bool ap_rd_num(const json_t *o, const char *key, double *out) {
    return ap_rd_real(json_object_get(o, key), out);
}

bool ap_rd_amount(const json_t *o, const char *key, double *out) {
    double v = -1;
    if (!ap_rd_num(o, key, &v) || !isfinite(v) || v < 0) return false;
    *out = v;
    return true;
}

// ---- numbers as people read them ----

static ap_rd_text odd_number(double v) {
    ap_rd_text t;
    snprintf(t.s, sizeof t.s, "%s", isnan(v) ? "NaN" : v > 0 ? "∞" : "−∞");
    return t;
}

ap_rd_text ap_rd_g(double v) {
    if (!isfinite(v)) return odd_number(v);
    ap_rd_text t;
    snprintf(t.s, sizeof t.s, "%.4g", v);
    return t;
}

ap_rd_text ap_rd_fixed(double v, int digits) {
    if (!isfinite(v) || fabs(v) >= 1e12) return ap_rd_g(v);
    ap_rd_text t;
    snprintf(t.s, sizeof t.s, "%.*f", digits, v);
    return t;
}

// 3 significant digits and a unit.
static ap_rd_text scaled(double v, double base, const char *const *units, size_t count) {
    if (!isfinite(v)) return odd_number(v);
    size_t i = 0;
    while (i + 1 < count && fabs(v) >= base * 0.9995) {
        v /= base;
        i++;
    }
    ap_rd_text t;
    if (fabs(v) >= 1e6)
        snprintf(t.s, sizeof t.s, "%.3g%s", v, units[i]);
    else if (i == 0)
        snprintf(t.s, sizeof t.s, "%.0f%s", v, units[i]);
    else
        snprintf(t.s, sizeof t.s, "%.*f%s", fabs(v) < 10 ? 2 : fabs(v) < 100 ? 1 : 0, v, units[i]);
    return t;
}

ap_rd_text ap_rd_count(double v) {
    static const char *const units[] = {"", " k", " M", " G", " T"};
    return scaled(v, 1000, units, 5);
}

ap_rd_text ap_rd_bytes(double v) {
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    return scaled(v, 1024, units, 5);
}

ap_rd_text ap_rd_integer(double v) {
    if (!isfinite(v) || fabs(v) >= 1e15) return ap_rd_g(v);
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%.0f", fabs(v));
    ap_rd_text t = {{0}};
    size_t at = 0;
    if (v < -0.5) t.s[at++] = '-';
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0) {
            memcpy(t.s + at, "\xe2\x80\xaf", 3); // narrow no-break space
            at += 3;
        }
        t.s[at++] = digits[i];
    }
    return t;
}

ap_rd_text ap_rd_seconds(double v) {
    ap_rd_text t;
    if (!isfinite(v)) return odd_number(v);
    if (v >= 1e9) return ap_rd_g(v);
    if (v >= 100)
        snprintf(t.s, sizeof t.s, "%.0f s", v);
    else if (v >= 1)
        snprintf(t.s, sizeof t.s, "%.1f s", v);
    else if (v >= 0.0995)
        snprintf(t.s, sizeof t.s, "%.2f s", v);
    else if (v >= 0.0005)
        snprintf(t.s, sizeof t.s, "%.0f ms", v * 1000);
    else
        snprintf(t.s, sizeof t.s, v > 0 ? "< 1 ms" : "0 s");
    return t;
}

ap_rd_text ap_rd_ms(double v) {
    ap_rd_text t;
    if (!isfinite(v) || fabs(v) >= 1e9) return ap_rd_g(v);
    if (v >= 100)
        snprintf(t.s, sizeof t.s, "%.0f ms", v);
    else if (v >= 0.995)
        snprintf(t.s, sizeof t.s, "%.*f ms", v < 10 ? 2 : 1, v);
    else if (v >= 0.00995)
        snprintf(t.s, sizeof t.s, "%.0f µs", v * 1000);
    else
        snprintf(t.s, sizeof t.s, "%.2g µs", v * 1000);
    return t;
}

ap_rd_text ap_rd_db(double v) {
    ap_rd_text t;
    if (isnan(v)) return odd_number(v);
    if (isinf(v) && v > 0)
        snprintf(t.s, sizeof t.s, "exact");
    else
        snprintf(t.s, sizeof t.s, "%.40s dB", ap_rd_fixed(v, 1).s);
    return t;
}

ap_rd_text ap_rd_percent(double share) {
    ap_rd_text t;
    double p = share * 100;
    if (!isfinite(p)) return odd_number(p);
    if (fabs(p) >= 1e6) return ap_rd_g(p);
    if (p > 99.9 && p < 100) p = 99.9;
    snprintf(t.s, sizeof t.s, p == floor(p) ? "%.0f %%" : "%.1f %%", p);
    return t;
}

double ap_rd_part(double part, double whole) {
    double p = 100 * (part / whole);
    return isfinite(p) && p > 0 ? (p < 100 ? p : 100) : 0;
}

void ap_rd_dims(const json_t *dims, ap_buf *out) {
    if (!json_is_array(dims)) return;
    if (!json_array_size(dims)) ap_buf_puts(out, "scalar");
    for (size_t i = 0; i < json_array_size(dims); i++) {
        if (i) ap_buf_puts(out, " × ");
        const json_t *d = json_array_get(dims, i);
        if (json_is_integer(d))
            ap_buf_printf(out, "%lld", (long long)json_integer_value(d));
        else
            ap_rd_value(d, out);
    }
}

void ap_rd_value(const json_t *v, ap_buf *out) {
    enum { MAX_JSON_BYTES = 2000 };
    if (json_is_string(v))
        ap_buf_puts(out, json_string_value(v));
    else if (json_is_integer(v))
        ap_buf_printf(out, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        ap_buf_puts(out, ap_rd_g(json_real_value(v)).s);
    else if (json_is_boolean(v))
        ap_buf_puts(out, json_is_true(v) ? "yes" : "no");
    else if (json_is_object(v) || json_is_array(v)) {
        char *text = ap_json_text(v, false);
        if (!text) return;
        size_t n = strlen(text), keep = ap_text_cut(text, n, MAX_JSON_BYTES);
        ap_buf_append(out, text, keep);
        if (keep < n) ap_buf_puts(out, "…");
        free(text);
    }
}

// ---- verdicts ----

static const struct {
    const char *word, *name;
} verdicts[] = {{"", "none"}, {"PASS", "pass"}, {"FAIL", "fail"}, {"INFO", "info"}, {"SKIPPED", "skipped"}};

ap_verdict ap_rd_verdict(const json_t *o) {
    const char *s = ap_rd_str(o, "verdict");
    for (size_t i = 1; s && i < sizeof verdicts / sizeof *verdicts; i++) {
        if (strcmp(s, verdicts[i].name) == 0) return (ap_verdict)i;
    }
    return AP_VERDICT_NONE;
}

const char *ap_verdict_word(ap_verdict v) {
    return verdicts[v].word;
}
const char *ap_verdict_class(ap_verdict v) {
    return verdicts[v].name;
}

// ---- ranking ----

static int by_key(const void *pa, const void *pb) {
    const ap_rd_ranked *a = pa, *b = pb;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

ap_rd_ranked *ap_rd_rank(const json_t *array, const char *key, bool highest_first, size_t *count) {
    size_t n = json_array_size(array), kept = 0;
    *count = 0;
    if (!n) return NULL;
    ap_rd_ranked *list = ap_calloc(n, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_object(item)) continue;
        double v = 0;
        bool known = ap_rd_num(item, key, &v);
        double rank = !known ? INFINITY : isnan(v) ? -INFINITY : highest_first ? -v : v;
        list[kept++] = (ap_rd_ranked){.item = item, .key = rank, .position = i};
    }
    qsort(list, kept, sizeof *list, by_key);
    *count = kept;
    return list;
}
