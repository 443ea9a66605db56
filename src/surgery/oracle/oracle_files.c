// SPDX-License-Identifier: Apache-2.0
#include "surgery/oracle/oracle_priv.h"
#include "tensor/npy.h"

#include <string.h>

static ap_err put_inputs(const char *dir, const ap_named_tensor *in, size_t count, json_t *list) {
    ap_arena a = {0};
    ap_err err = NULL;
    for (size_t i = 0; i < count && !err; i++) {
        const ap_tensor *t = &in[i].t;
        char *path = ap_path_join(&a, dir, ap_arena_printf(&a, "in%zu.npy", i));
        ap_tensor copy = {0};
        err = ap_npy_create(path, t->dtype, t->dims, t->rank, &copy);
        if (err) break;
        if (t->bytes) memcpy(copy.data, t->data, t->bytes);
        ap_tensor_free(&copy);
        json_array_append_new(list, json_pack("{so,ss,so,ss}", "name", ap_json_string(in[i].name), "dtype",
                                              ap_dtype_name(t->dtype), "dims", ap_json_dims(t->dims, t->rank),
                                              "file", path));
    }
    ap_arena_release(&a);
    return err;
}

// One entry of the answer, copied out of its file. numpy has no name for some types: the entry says it.
static ap_err take_output(const json_t *o, ap_tensor *out) {
    const char *file = ap_json_str(o, "file", NULL);
    ap_dtype type = ap_dtype_from_name(ap_json_str(o, "dtype", ""));
    ap_tensor t = {0};
    ap_err err = NULL;
    if (!file) AP_FAIL(AP_ERR_VENDOR, "output '%s' is no tensor", ap_json_str(o, "name", "?"));
    AP_TRY(ap_npy_map(file, &t));
    if (ap_dtype_bits(type) == ap_dtype_bits(t.dtype)) t.dtype = type;
    AP_TRY(ap_tensor_clone(&t, out));
done:
    ap_tensor_free(&t);
    return err;
}

ap_err oracle_take(const ap_model *m, const json_t *list, ap_tensor *out, size_t count) {
    ap_map index = {0};
    json_t *o;
    size_t i, got = 0;
    ap_err err = NULL;
    for (i = 0; i < count; i++) ap_map_set_index(&index, m->graph->outputs[i]->name, i);
    json_array_foreach((json_t *)(uintptr_t)list, i, o) {
        int64_t at = ap_map_get_index(&index, ap_json_str(o, "name", ""));
        if (at < 0 || out[at].dtype)
            AP_FAIL(AP_ERR_WORKER_GARBAGE, "the oracle sent a tensor nobody asked for");
        AP_TRY(take_output(o, &out[at]));
        got++;
    }
    if (got != count) AP_FAIL(AP_ERR_WORKER_GARBAGE, "the oracle sent %zu tensors of %zu", got, count);
done:
    ap_map_free(&index);
    return err;
}

ap_err oracle_put(ap_model *piece, const ap_named_tensor *in, size_t count, const char *dir,
                  json_t **inputs) {
    ap_arena a = {0};
    json_t *list = json_array();
    ap_err err = NULL;
    AP_TRY(ap_model_save(piece, ap_path_join(&a, dir, "piece.onnx"), NULL));
    AP_TRY(put_inputs(dir, in, count, list));
    *inputs = json_incref(list);
done:
    json_decref(list);
    ap_arena_release(&a);
    return err;
}
