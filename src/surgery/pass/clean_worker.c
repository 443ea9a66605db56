// SPDX-License-Identifier: Apache-2.0
#include "surgery/pass/clean_worker.h"

#include "tensor/npy.h"

#include <string.h>

static json_t *name_list(const char *const *names, size_t count) {
    if (!names) return json_null();
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, ap_json_string(names[i]));
    return list;
}

static ap_err hand_type(const json_t *o, ap_tensor *t) {
    const json_t *dims = json_object_get(o, "dims");
    t->dtype = ap_dtype_from_name(ap_json_str(o, "dtype", ""));
    t->rank = json_array_size(dims);
    if (t->rank > AP_MAX_RANK)
        return ap_err_new(AP_ERR_WORKER_GARBAGE, "the oracle sent a tensor of rank %zu", t->rank);
    for (size_t i = 0; i < t->rank; i++) t->dims[i] = json_integer_value(json_array_get(dims, i));
    return NULL;
}

// One entry of the worker's answer. numpy has no name for some types: the entry says the true one.
static ap_err open_entry(const json_t *o, bool types_only, ap_tensor *t) {
    const char *file = ap_json_str(o, "file", NULL);
    if (types_only || !file) {
        ap_err err = hand_type(o, t);
        if (!types_only) t->dtype = AP_DTYPE_NONE;
        return err;
    }
    ap_err err = ap_npy_map(file, t);
    if (err) return err;
    ap_dtype true_type = ap_dtype_from_name(ap_json_str(o, "dtype", ""));
    if (ap_dtype_bits(true_type) == ap_dtype_bits(t->dtype)) t->dtype = true_type;
    return NULL;
}

// A question to the worker: steals `args`, to which model and folder are added. The answer's files live in
// *out, which the caller removes.
static ap_err ask(ap_worker_oracle *w, ap_model *m, json_t *args, ap_arena *a, char **out, json_t **result) {
    const char *model = ap_path_join(a, w->dir, "now.onnx");
    ap_err err = NULL;
    *out = ap_path_join(a, w->dir, ap_arena_printf(a, "values%zu", w->calls++));
    AP_TRY(ap_mkdirs(*out));
    AP_TRY(ap_model_save(m, model, NULL));
    json_object_set_new(args, "model", json_pack("{ss}", "file", model));
    json_object_set_new(args, "dir", json_string(*out));
    AP_TRY(ap_worker_call(w->worker, "oracle", json_incref(args), result));
    w->vendor_us += (uint64_t)ap_json_int(*result, "vendor_us", 0);
done:
    json_decref(args);
    return err;
}

static ap_err run(void *user, ap_model *m, size_t set, const char *const *names, size_t count,
                  bool types_only, ap_err (*sink)(void *sink_user, const char *name, const ap_tensor *t),
                  void *sink_user) {
    ap_worker_oracle *w = user;
    ap_arena a = {0};
    json_t *result = NULL, *o;
    char *out = NULL;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ask(w, m,
               json_pack("{sO,so,sb}", "inputs", w->inputs[set], "tensors", name_list(names, count),
                         "shapes_only", types_only),
               &a, &out, &result));
    json_array_foreach(json_object_get(result, "outputs"), i, o) {
        ap_tensor t = {0};
        err = open_entry(o, types_only, &t);
        if (!err) err = sink(sink_user, ap_json_str(o, "name", ""), &t);
        ap_tensor_free(&t);
        if (err) goto done;
    }
done:
    json_decref(result);
    if (out) ap_err_free(ap_rmtree(out));
    ap_arena_release(&a);
    return err;
}

static ap_err run_sets(void *user, ap_model *m,
                       ap_err (*sink)(void *sink_user, size_t set, const char *name, const ap_tensor *t),
                       void *sink_user) {
    ap_worker_oracle *w = user;
    ap_arena a = {0};
    json_t *result = NULL, *o, *more = json_array();
    char *out = NULL;
    size_t i;
    ap_err err = NULL;
    for (size_t k = 1; k < w->sets; k++) json_array_append(more, w->inputs[k]);
    AP_TRY(ask(w, m, json_pack("{sO,sO}", "inputs", w->inputs[0], "more_inputs", more), &a, &out, &result));
    json_array_foreach(json_object_get(result, "outputs"), i, o) {
        ap_tensor t = {0};
        err = open_entry(o, false, &t);
        if (!err) err = sink(sink_user, (size_t)ap_json_int(o, "set", 0), ap_json_str(o, "name", ""), &t);
        ap_tensor_free(&t);
        if (err) goto done;
    }
done:
    json_decref(more);
    json_decref(result);
    if (out) ap_err_free(ap_rmtree(out));
    ap_arena_release(&a);
    return err;
}

ap_surgery_oracle ap_worker_oracle_of(ap_worker_oracle *w) {
    return (ap_surgery_oracle){.run = run, .run_sets = run_sets, .user = w, .sets = w->sets};
}
