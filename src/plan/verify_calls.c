// SPDX-License-Identifier: Apache-2.0
// At the boundary of the models: the same call in two recordings.
#include "base/file.h"
#include "plan/recording.h"
#include "plan/verify.h"
#include "tensor/npy.h"

#include <math.h>
#include <string.h>

typedef struct sides {
    const char *plain, *served; // folders
    const ap_gates *gates;
    ap_arena arena;
} sides;

static bool same_identity(const json_t *a, const json_t *b) {
    static const char *const parts[] = {"class", "arch", "content", "sha256"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(ap_json_str(a, parts[i], ""), ap_json_str(b, parts[i], "")) != 0) return false;
    return true;
}

static const json_t *model_like(const json_t *models, const json_t *want) {
    const json_t *m;
    for (size_t i = 0; (m = json_array_get(models, i)) != NULL; i++)
        if (same_identity(json_object_get(m, "identity"), json_object_get(want, "identity"))) return m;
    return NULL;
}

static const json_t *by_text(const json_t *list, const char *key, const char *value) {
    const json_t *o;
    for (size_t i = 0; (o = json_array_get(list, i)) != NULL; i++)
        if (strcmp(ap_json_str(o, key, ""), value) == 0) return o;
    return NULL;
}

static ap_err map_leaf(const char *dir, const json_t *files, size_t i, const json_t *leaf, ap_arena *a,
                       ap_tensor *out) {
    const char *file = json_string_value(json_array_get(files, i));
    ap_err err = ap_npy_map(ap_path_join(a, dir, file ? file : ""), out);
    if (err) return err;
    ap_dtype t = ap_dtype_from_name(ap_json_str(leaf, "dtype", "")); // numpy has no name for some
    if (ap_dtype_bits(t) == ap_dtype_bits(out->dtype)) out->dtype = t;
    return NULL;
}

static bool equal_inputs(sides *s, const json_t *a, const json_t *b) {
    const json_t *fa = json_object_get(a, "inputs"), *fb = json_object_get(b, "inputs");
    bool equal = json_array_size(fa) == json_array_size(fb);
    for (size_t i = 0; equal && i < json_array_size(fa); i++) {
        ap_tensor x = {0}, y = {0};
        ap_err err = map_leaf(s->plain, fa, i, NULL, &s->arena, &x);
        if (!err) err = map_leaf(s->served, fb, i, NULL, &s->arena, &y);
        equal = !err && x.bytes == y.bytes && (!x.bytes || memcmp(x.data, y.data, x.bytes) == 0);
        ap_err_free(err);
        ap_tensor_free(&x);
        ap_tensor_free(&y);
    }
    return equal;
}

// The sample of the same call. Processes have other numbers in the other run: with several of them a call
// number may stand twice, then equal inputs decide.
static const json_t *same_call(sides *s, const json_t *samples, const json_t *want) {
    const json_t *o;
    for (size_t i = 0; (o = json_array_get(samples, i)) != NULL; i++)
        if (ap_json_int(o, "call", -1) == ap_json_int(want, "call", -2) && equal_inputs(s, want, o)) return o;
    return NULL;
}

// A single number has no direction and no noise: a probability of 0.002 that comes as 0 says little. It is
// shown and not judged; the end of the program judges.
static void only_inform(json_t *gates) {
    json_t *g;
    for (size_t i = 0; (g = json_array_get(gates, i)) != NULL; i++)
        if (strcmp(ap_json_str(g, "metric", ""), "nonfinite_mismatch") != 0)
            json_object_set_new(g, "verdict", json_string("info"));
}

// Metrics of one output; the worst call of those compared stays.
static ap_err compare_output(sides *s, const json_t *a, const json_t *b, size_t i, const json_t *leaf,
                             json_t *outputs) {
    ap_tensor x = {0}, y = {0};
    ap_metrics m = {0}, before = {0};
    json_t *o = json_array_get(outputs, i), *list = json_array();
    ap_err err = NULL;
    AP_TRY(map_leaf(s->plain, json_object_get(a, "outputs"), i, leaf, &s->arena, &x));
    AP_TRY(map_leaf(s->served, json_object_get(b, "outputs"), i, leaf, &s->arena, &y));
    AP_TRY(ap_metrics_compare(&x, &y, &m));
    if (o) ap_metrics_from_json(json_object_get(o, "metrics"), &before);
    if (o && !(m.sqnr_db < before.sqnr_db || m.nonfinite_mismatch > before.nonfinite_mismatch)) goto done;
    const char *name = ap_json_str(leaf, "name", "?");
    (void)ap_gates_output(s->gates, name, &m, list);
    if (ap_tensor_count(&x) == 1) only_inform(list);
    json_t *made =
        json_pack("{so,so,sO}", "name", ap_json_string(name), "metrics", ap_metrics_json(&m), "gates", list);
    if (o)
        json_array_set_new(outputs, i, made);
    else
        json_array_append_new(outputs, made);
done:
    json_decref(list);
    ap_tensor_free(&x);
    ap_tensor_free(&y);
    return err;
}

static bool passed(const json_t *outputs) {
    const json_t *o, *g;
    for (size_t i = 0; (o = json_array_get(outputs, i)) != NULL; i++)
        for (size_t k = 0; (g = json_array_get(json_object_get(o, "gates"), k)) != NULL; k++)
            if (strcmp(ap_json_str(g, "verdict", ""), "fail") == 0) return false;
    return true;
}

static ap_err compare_signature(sides *s, const json_t *model, const json_t *a, const json_t *b,
                                json_t *out) {
    const json_t *leaves = json_object_get(a, "outputs"), *samples = json_object_get(a, "samples"), *one;
    json_t *outputs = json_array();
    size_t compared = 0, apart = 0;
    ap_err err = NULL;
    for (size_t i = 0; (one = json_array_get(samples, i)) != NULL; i++) {
        const json_t *other = same_call(s, json_object_get(b, "samples"), one);
        if (!other) {
            apart++;
            continue;
        }
        for (size_t k = 0; k < json_array_size(leaves); k++)
            AP_TRY(compare_output(s, one, other, k, json_array_get(leaves, k), outputs));
        compared++;
    }
    json_array_append_new(out, json_pack("{sO,sO,sO,sI,sI,sO,ss}", "name", json_object_get(model, "name"),
                                         "signature", json_object_get(a, "id"), "calls",
                                         json_object_get(a, "calls"), "compared", (json_int_t)compared,
                                         "apart", (json_int_t)apart, "outputs", outputs, "verdict",
                                         !compared         ? "not compared"
                                         : passed(outputs) ? "pass"
                                                           : "fail"));
done:
    json_decref(outputs);
    return err;
}

ap_err ap_verify_calls(const char *plain, const char *served, const ap_gates *gates, json_t **out) {
    sides s = {.plain = plain, .served = served, .gates = gates};
    json_t *a = NULL, *b = NULL, *list = json_array();
    const json_t *model, *sig;
    ap_err err = NULL;
    AP_TRY(ap_recording_read(plain, &a));
    AP_TRY(ap_recording_read(served, &b));
    for (size_t i = 0; (model = json_array_get(json_object_get(a, "models"), i)) != NULL; i++) {
        const json_t *other = model_like(json_object_get(b, "models"), model);
        for (size_t k = 0; (sig = json_array_get(json_object_get(model, "signatures"), k)) != NULL; k++)
            AP_TRY(compare_signature(
                &s, model, sig,
                by_text(json_object_get(other, "signatures"), "id", ap_json_str(sig, "id", "?")), list));
    }
    *out = json_incref(list);
done:
    json_decref(a);
    json_decref(b);
    json_decref(list);
    ap_arena_release(&s.arena);
    return err;
}
