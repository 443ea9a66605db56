// SPDX-License-Identifier: Apache-2.0
#include "surgery/clean_worker.h"

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
static ap_err hand_over(const json_t *o, bool types_only,
                        ap_err (*sink)(void *, const char *, const ap_tensor *), void *sink_user) {
    const char *file = ap_json_str(o, "file", NULL);
    ap_tensor t = {0};
    ap_err err = NULL;
    if (types_only || !file) {
        AP_TRY(hand_type(o, &t));
        if (!types_only) t.dtype = AP_DTYPE_NONE;
    } else {
        AP_TRY(ap_npy_map(file, &t));
        ap_dtype true_type = ap_dtype_from_name(ap_json_str(o, "dtype", ""));
        if (ap_dtype_bits(true_type) == ap_dtype_bits(t.dtype)) t.dtype = true_type;
    }
    AP_TRY(sink(sink_user, ap_json_str(o, "name", ""), &t));
done:
    ap_tensor_free(&t);
    return err;
}

static ap_err ask(void *user, ap_model *m, size_t set, const char *const *names, size_t count,
                  bool types_only, ap_err (*sink)(void *sink_user, const char *name, const ap_tensor *t),
                  void *sink_user) {
    ap_worker_oracle *w = user;
    ap_arena a = {0};
    json_t *result = NULL, *o;
    const char *model = ap_path_join(&a, w->dir, "now.onnx");
    const char *out = ap_path_join(&a, w->dir, ap_arena_printf(&a, "values%zu", w->calls++));
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(out));
    AP_TRY(ap_model_save(m, model, NULL));
    AP_TRY(
        ap_worker_call(w->worker, "oracle",
                       json_pack("{s{ss},sO,so,ss,sb}", "model", "file", model, "inputs", w->inputs[set],
                                 "tensors", name_list(names, count), "dir", out, "shapes_only", types_only),
                       &result));
    w->vendor_us += (uint64_t)ap_json_int(result, "vendor_us", 0);
    json_array_foreach(json_object_get(result, "outputs"), i, o)
        AP_TRY(hand_over(o, types_only, sink, sink_user));
done:
    json_decref(result);
    ap_err_free(ap_rmtree(out));
    ap_arena_release(&a);
    return err;
}

ap_surgery_oracle ap_worker_oracle_of(ap_worker_oracle *w) {
    return (ap_surgery_oracle){.run = ask, .user = w, .sets = w->sets};
}
