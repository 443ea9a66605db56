// SPDX-License-Identifier: Apache-2.0
// A model that is built and whose gates fail: is it only that the target picked other rows, and if not, which
// node is to blame?
#include "base/file.h"
#include "golden/trace.h"
#include "plan/surgery/picked.h"
#include "plan/surgery/whole_priv.h"
#include "plan/work/workers.h"
#include "surgery/search/search.h"
#include "tensor/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BAD_TENSOR_DB 15.0 // as in the diagnosis of a deployment
enum { MAX_TRACED = 400, MAX_LISTED = 4096 };

typedef struct wrongness {
    ap_whole_host *h;
    const ap_model *m;
    const char *file;
    ap_arena arena;
    json_t *want, *have; // TENSOR lists: of the oracle, of the target
} wrongness;

// A target that does not show its inner tensors is an answer, too: nothing is known then.
static ap_err unless_hidden(const ap_whole_host *h, ap_err err, const char *what) {
    ap_code code = ap_err_code(err);
    if (code != AP_ERR_REFUSED && code != AP_ERR_VENDOR && !whole_is_worker_death(code)) return err;
    ap_context_log(h->ctx, AIPC_DEBUG, "%s: %s: %s", h->target->text, what, ap_err_message(err));
    ap_err_free(err);
    return NULL;
}

static ap_err ask_oracle(void *user, const char *file, const json_t *inputs, json_t *names, const char *dir,
                         json_t **out) {
    json_t *result = NULL;
    ap_err err = whole_call(((wrongness *)user)->h, true, "oracle",
                            ap_oracle_args(json_pack("{ss}", "file", file), inputs, names, dir), &result);
    if (!err) *out = json_incref(json_object_get(result, "outputs"));
    json_decref(result);
    return err;
}

static ap_err ask_target(void *user, json_t *names, const char *dir, json_t **out) {
    const wrongness *w = user;
    return whole_target_values(w->h, w->file, names, dir, out);
}

// ---- other rows

static ap_err judge_picked(wrongness *w, const ap_picked *q, ap_whole *out) {
    ap_whole_host *h = w->h;
    json_t *golden = NULL, *picks = NULL, *gates = json_array(), *pick;
    bool passed = true;
    size_t i;
    ap_err err = NULL;
    AP_TRY(unless_hidden(h, ap_picked_look(q, &golden, &picks), "no second look"));
    if (!golden) goto done;
    for (i = 0; i < json_array_size(golden); i++)
        AP_TRY(
            whole_judge_output(h, json_array_get(golden, i), json_array_get(q->answer, i), gates, &passed));
    json_array_foreach(picks, i, pick) {
        ap_metrics m;
        AP_TRY(ap_picked_metrics(pick, &m));
        if (!ap_gates_output(h->gates, ap_json_str(pick, "indices", "?"), &m, gates)) passed = false;
    }
    out->passed = passed;
    json_decref(out->gates);
    out->gates = json_incref(gates);
done:
    json_decref(golden);
    json_decref(picks);
    json_decref(gates);
    return err;
}

static ap_err look_again(wrongness *w, const char *base, const json_t *answer, ap_whole *out) {
    const ap_picked q = {.original = w->h->original,
                         .model = w->m,
                         .inputs = w->h->inputs,
                         .answer = answer,
                         .dir = ap_path_join(&w->arena, base, "picked"),
                         .oracle = ask_oracle,
                         .target = ask_target,
                         .user = w};
    if (!q.original) return NULL;
    ap_err err = ap_mkdirs(q.dir);
    return err ? err : judge_picked(w, &q, out);
}

// ---- blame

// Inner tensors, what was picked at the end: that is given, not compared.
static json_t *wanted(const ap_model *m, size_t *compared) {
    const char **names = NULL, **picks = NULL;
    size_t count = 0, pick_count = 0;
    json_t *list = json_array();
    ap_map given = {0};
    ap_trace_candidates(m, &names, &count);
    ap_picks_find(m, &picks, &pick_count);
    for (size_t i = 0; i < pick_count; i++) ap_map_set(&given, picks[i], list);
    size_t step = count / MAX_TRACED + 1;
    for (size_t i = 0; i < count; i += step)
        if (!ap_map_has(&given, names[i])) json_array_append_new(list, ap_json_string(names[i]));
    *compared = json_array_size(list);
    for (size_t i = 0; i < pick_count; i++) json_array_append_new(list, ap_json_string(picks[i]));
    ap_map_free(&given);
    free(names);
    free(picks);
    return list;
}

// What the oracle computes for the same model, given what the target picked. Picks that are no indices: with
// its own.
static ap_err same_on_oracle(wrongness *w, json_t *names, const char *dir) {
    char *file = ap_path_join(&w->arena, dir, "given.onnx");
    json_t *inputs = NULL;
    ap_err err = ap_picked_given(w->m, w->have, w->h->inputs, file, &inputs);
    if (!err && inputs) err = ask_oracle(w, file, inputs, names, dir, &w->want);
    if (ap_err_code(err) == AP_ERR_VENDOR) {
        ap_err_free(err);
        err = NULL;
    }
    json_decref(inputs);
    if (err || w->want) return err;
    return ask_oracle(w, w->file, w->h->inputs, names, dir, &w->want);
}

static const json_t *tensor_named(const wrongness *w, const char *name) {
    const json_t *lists[] = {w->want, w->h->inputs, w->have};
    const json_t *t = NULL;
    for (size_t k = 0; k < 3 && !t; k++) t = ap_json_find(lists[k], "name", name);
    return t;
}

// Few values are told one by one, many by their range, in the form of probe.h.
static json_t *draw_of(const ap_tensor *t) {
    const double *x = (const double *)t->data;
    size_t n = ap_tensor_count(t);
    double lo = (double)INFINITY, hi = -(double)INFINITY;
    bool whole = true;
    json_t *list = json_pack("[s]", "list");
    for (size_t i = 0; i < n && n <= MAX_LISTED; i++) json_array_append_new(list, ap_json_real(x[i]));
    if (n && n <= MAX_LISTED) return list;
    json_decref(list);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) continue;
        lo = fmin(lo, x[i]);
        hi = fmax(hi, x[i]);
        whole = whole && x[i] == floor(x[i]);
    }
    if (!(lo < hi)) return NULL;
    return json_pack("[s,f,f]", whole ? "ints" : "uniform", lo, whole ? hi + 1 : hi);
}

// {tensor: how to draw the like of it} of what the node was fed with: on other values it may well be right.
static ap_err values_of(const wrongness *w, const ap_node *n, json_t **out) {
    json_t *all = json_object();
    ap_err err = NULL;
    for (size_t i = 0; i < n->input_count; i++) {
        const json_t *t = n->inputs[i] ? tensor_named(w, n->inputs[i]->name) : NULL;
        ap_tensor x = {0}, wide = {0};
        if (!t || ap_dtype_from_name(ap_json_str(t, "dtype", "")) == AP_STRING) continue;
        err = ap_npy_open(t, &x);
        if (!err) err = ap_tensor_cast(&x, AP_F64, &wide);
        json_t *draw = err ? NULL : draw_of(&wide);
        if (draw) json_object_set_new(all, n->inputs[i]->name, draw);
        ap_tensor_free(&wide);
        ap_tensor_free(&x);
        if (err) break;
    }
    if (err)
        json_decref(all);
    else
        *out = all;
    return err;
}

// What made this tensor: the operator itself, not the QuantizeLinear and DequantizeLinear behind it.
static const ap_node *operation_of(const ap_value *v) {
    const ap_node *n = v ? v->producer : NULL;
    while ((ap_node_dequantizes(n) || ap_node_quantizes(n)) && n->inputs[0] && n->inputs[0]->producer)
        n = n->inputs[0]->producer;
    return n;
}

static ap_err blame(wrongness *w, const json_t *entry, ap_whole *out) {
    const ap_node *n =
        operation_of(entry ? ap_graph_value(w->m->graph, ap_json_str(entry, "tensor", "")) : NULL);
    json_t *values = NULL;
    if (!n) return NULL;
    ap_err err = values_of(w, n, &values);
    if (err) return err;
    char *reason =
        ap_arena_printf(&w->arena, "its output is at %.1f dB of the oracle's, on the model's own tensors",
                        ap_json_to_real(json_object_get(entry, "sqnr_db")));
    out->wrong =
        json_pack("[{ss,ss,ss,so}]", "node", n->name, "op", n->op, "reason", reason, "values", values);
    return NULL;
}

// Shown together, inner tensors are others than in the model, or are not to be had at all.
static ap_err find_by_cuts(wrongness *w, const char *base, double floor_db, ap_whole *out) {
    json_t *names = whole_cut_names(w->m), *first = NULL;
    char *golden = ap_path_join(&w->arena, base, "golden-cuts");
    ap_err err = NULL;
    json_decref(w->want);
    w->want = NULL;
    AP_TRY(ap_mkdirs(golden));
    AP_TRY(ask_oracle(w, w->file, w->h->inputs, names, golden, &w->want));
    AP_TRY(whole_cut(w->h, w->m, w->file, base, names, w->want, floor_db, &first));
    AP_TRY(blame(w, first, out));
done:
    json_decref(names);
    json_decref(first);
    return err;
}

// The first tensor that differs from what the oracle computes for the same model, read off a run with every
// tensor exposed.
static ap_err find_by_trace(wrongness *w, const char *base, double floor_db, ap_whole *out) {
    size_t compared = 0;
    json_t *names = wanted(w->m, &compared), *trace = NULL, *own = json_array();
    char *golden = ap_path_join(&w->arena, base, "golden"), *target = ap_path_join(&w->arena, base, "target");
    ap_err err = NULL;
    for (size_t i = 0; i < compared; i++) json_array_append(own, json_array_get(names, i));
    AP_TRY(ap_mkdirs(golden));
    AP_TRY(ap_mkdirs(target));
    AP_TRY(whole_target_values(w->h, w->file, names, target, &w->have));
    AP_TRY(same_on_oracle(w, own, golden));
    AP_TRY(ap_trace_compare(w->m, w->want, w->have, &trace));
    AP_TRY(blame(w, ap_trace_first_bad(w->m, trace, floor_db), out));
done:
    json_decref(names);
    json_decref(own);
    json_decref(trace);
    return err;
}

static ap_err find_wrong(wrongness *w, const char *base, ap_whole *out) {
    double floor_db = fmin(ap_gates_threshold(w->h->gates, "sqnr_db"), BAD_TENSOR_DB);
    return whole_is_quantised(w->m) ? find_by_cuts(w, base, floor_db, out)
                                    : find_by_trace(w, base, floor_db, out);
}

ap_err whole_wrong(ap_whole_host *h, const ap_model *m, const char *file, const char *base,
                   const json_t *answer, ap_whole *out) {
    wrongness w = {.h = h, .m = m, .file = file};
    ap_err err = look_again(&w, base, answer, out);
    if (!err && !out->passed) err = unless_hidden(h, find_wrong(&w, base, out), "no first wrong tensor");
    json_decref(w.want);
    json_decref(w.have);
    ap_arena_release(&w.arena);
    return err;
}
