// SPDX-License-Identifier: Apache-2.0
#include "golden/gates.h"

#include "base/data.h"
#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ap_err unknown_metric(const ap_gates *g, const char *name) {
    const char *names[64], *key;
    size_t n = 0;
    json_t *v;
    ap_buf list = {0};
    json_object_foreach(g->rules, key, v) if (n < 64) names[n++] = key;
    json_object_foreach(g->always, key, v) if (n < 64) names[n++] = key;
    for (size_t i = 0; i < n; i++) ap_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    const char *near = ap_nearest(name, names, n);
    ap_err err = ap_err_new(AP_ERR_USAGE, "--gate: no metric '%s'", name);
    err = near ? ap_err_hint(err, "did you mean '%s'? The metrics are %s", near, ap_buf_str(&list))
               : ap_err_hint(err, "the metrics are %s", ap_buf_str(&list));
    ap_buf_free(&list);
    return err;
}

static ap_err set_user(ap_gates *g, const char *arg) {
    const char *eq = strchr(arg, '=');
    if (!eq || eq == arg) return ap_err_new(AP_ERR_USAGE, "--gate wants METRIC=VALUE, not '%s'", arg);
    char *name = ap_strndup(arg, (size_t)(eq - arg)), *end = NULL;
    double value = strtod(eq + 1, &end);
    json_t *rule = json_object_get(g->rules, name);
    if (!rule) rule = json_object_get(g->always, name);
    ap_err err = NULL;
    if (!rule)
        err = unknown_metric(g, name);
    else if (end == eq + 1 || *end || isnan(value))
        err = ap_err_new(AP_ERR_USAGE, "--gate %s: '%s' is no number", name, eq + 1);
    else {
        json_object_set_new(rule, "threshold", ap_json_real(value));
        json_object_set_new(rule, "user_set", json_true());
    }
    free(name);
    return err;
}

ap_err ap_gates_init(const char *precision, const char *const *user, size_t user_count, ap_gates *out) {
    size_t len = 0;
    const char *text = ap_data_get("gates.json", &len);
    json_t *data = NULL;
    ap_gates g = {0};
    ap_err err = NULL;
    if (!text) AP_FAIL(AP_ERR_INTERNAL, "gates.json is not in this program");
    AP_TRY(ap_json_parse(text, len, "gates.json", AP_ERR_INTERNAL, &data));
    g.rules = json_deep_copy(json_object_get(json_object_get(data, "precisions"), precision));
    g.always = json_deep_copy(json_object_get(data, "always"));
    if (!g.rules) AP_FAIL(AP_ERR_USAGE, "no gates for precision '%s'", precision);
    for (size_t i = 0; i < user_count; i++) AP_TRY(set_user(&g, user[i]));
    *out = g;
    memset(&g, 0, sizeof g);
done:
    json_decref(data);
    ap_gates_release(&g);
    return err;
}

void ap_gates_release(ap_gates *g) {
    json_decref(g->rules);
    json_decref(g->always);
    memset(g, 0, sizeof *g);
}

double ap_gates_threshold(const ap_gates *g, const char *metric) {
    const json_t *rule = json_object_get(g->rules, metric);
    if (!rule) rule = json_object_get(g->always, metric);
    return rule ? ap_json_to_real(json_object_get(rule, "threshold")) : (double)NAN;
}

// A NaN value passes nothing; a metric that does not apply never gets here.
static bool add(const json_t *rule, const char *output, const char *metric, double value, json_t *list) {
    const char *op = rule ? ap_json_str(rule, "op", ">=") : NULL, *verdict = "info";
    bool ok = true;
    if (rule) {
        double limit = ap_json_to_real(json_object_get(rule, "threshold"));
        ok = strcmp(op, "<=") == 0 ? value <= limit : value >= limit;
        verdict = ok ? "pass" : "fail";
    }
    json_t *gate = json_pack("{so,ss,so,so,so,ss,sb}", "output", ap_json_string(output), "metric", metric,
                             "value", ap_json_real(value), "op", ap_json_string(op), "threshold",
                             rule ? json_incref(json_object_get(rule, "threshold")) : json_null(), "verdict",
                             verdict, "user_set", rule && ap_json_bool(rule, "user_set", false));
    json_array_append_new(list, gate);
    return ok;
}

bool ap_gates_output(const ap_gates *g, const char *output, const ap_metrics *m, json_t *list) {
    bool channels = m->worst_channel >= 0;
    const struct {
        const char *metric;
        double value;
        bool applies;
    } values[] = {
        {"cosine", m->cosine, true},
        {"sqnr_db", m->sqnr_db, true},
        {"rel_to_max", m->ref_max > 0 ? m->max_abs / m->ref_max : (m->max_abs > 0 ? (double)INFINITY : 0.0),
         true},
        {"worst_channel_db", m->worst_channel_db, channels},
        {"nonfinite_mismatch", (double)m->nonfinite_mismatch, true},
        {"argmax_agree", m->argmax_agree, m->class_like},
        {"top5_agree", m->top5_agree, m->class_like},
        {"max_abs", m->max_abs, true},
        {"max_rel", m->max_rel, true},
        {"nan_test", (double)m->nan_test, true},
        {"inf_test", (double)m->inf_test, true},
    };
    bool all = true;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i].applies && !add(json_object_get(g->rules, values[i].metric), output, values[i].metric,
                                      values[i].value, list))
            all = false;
    return all;
}

bool ap_gates_outputs(const ap_gates *g, const json_t *metrics, json_t *list) {
    const char *output;
    json_t *one;
    bool all = true;
    json_object_foreach((json_t *)(uintptr_t)metrics, output, one) {
        ap_metrics m;
        ap_metrics_from_json(one, &m);
        if (!ap_gates_output(g, output, &m, list)) all = false;
    }
    return all;
}

bool ap_gates_fact(const ap_gates *g, const char *metric, double value, json_t *list) {
    return add(json_object_get(g->always, metric), NULL, metric, value, list);
}

ap_err ap_gates_error(const json_t *list) {
    size_t i;
    json_t *gate;
    ap_err err = NULL;
    json_array_foreach((json_t *)(uintptr_t)list, i, gate) {
        if (strcmp(ap_json_str(gate, "verdict", ""), "fail") != 0) continue;
        const char *output = ap_json_str(gate, "output", NULL);
        double value = ap_json_to_real(json_object_get(gate, "value")),
               limit = ap_json_to_real(json_object_get(gate, "threshold"));
        const char *metric = ap_json_str(gate, "metric", "?"), *op = ap_json_str(gate, "op", "?");
        if (!err) {
            err = ap_err_new(AP_ERR_GATE, "%s%s%s is %.6g, the gate wants %s %.6g", metric,
                             output ? " of " : "", output ? output : "", value, op, limit);
            if (output) err = ap_err_subject(err, output);
        } else {
            err = ap_err_note(err, "also: %s%s%s is %.6g, the gate wants %s %.6g", metric,
                              output ? " of " : "", output ? output : "", value, op, limit);
        }
    }
    return err;
}
