// SPDX-License-Identifier: Apache-2.0
#include "surgery/pass/freeze.h"

#include "graph/inline.h"
#include "graph/nodes.h"

#include <string.h>

ap_err ap_freeze_shapes(ap_model *m, const json_t *shapes) {
    const char *name;
    json_t *list;
    json_object_foreach((json_t *)(uintptr_t)shapes, name, list) {
        int64_t dims[AP_MAX_RANK];
        size_t rank = json_array_size(list);
        if (!json_is_array(list) || rank > AP_MAX_RANK)
            return ap_err_new(AP_ERR_CORRUPT, "the shape of input '%s' is no list of numbers", name);
        for (size_t i = 0; i < rank; i++) dims[i] = json_integer_value(json_array_get(list, i));
        ap_err err = ap_model_set_input_shape(m, name, dims, rank);
        if (err) return err;
    }
    return NULL;
}

json_t *ap_fixed_json(const ap_tensor *t) {
    json_t *data = json_array();
    bool real = ap_dtype_is_float(t->dtype);
    for (size_t i = 0; i < ap_tensor_count(t); i++) {
        double v = ap_tensor_at(t, i);
        json_array_append_new(data, real ? ap_json_real(v) : json_integer((json_int_t)v));
    }
    return json_pack("{ss,so,so}", "dtype", ap_dtype_name(t->dtype), "dims", ap_json_dims(t->dims, t->rank),
                     "data", data);
}

ap_err ap_fixed_tensor(const json_t *fixed, const char *name, ap_tensor *out) {
    const json_t *list = json_object_get(fixed, "dims"), *data = json_object_get(fixed, "data");
    ap_dtype dtype = ap_dtype_from_name(ap_json_str(fixed, "dtype", ""));
    int64_t dims[AP_MAX_RANK];
    size_t rank = json_array_size(list), count = 0;
    ap_tensor wide = {0};
    ap_err err = NULL;
    if (rank > AP_MAX_RANK || !ap_dtype_bits(dtype))
        AP_FAIL(AP_ERR_CORRUPT, "the value of '%s' is malformed", name);
    for (size_t i = 0; i < rank; i++) dims[i] = json_integer_value(json_array_get(list, i));
    AP_TRY(ap_shape_count(dims, rank, &count));
    if (count != json_array_size(data))
        AP_FAIL(AP_ERR_CORRUPT, "the value of '%s' has %zu elements, its shape wants %zu", name,
                json_array_size(data), count);
    AP_TRY(ap_tensor_alloc(ap_dtype_is_float(dtype) ? AP_F64 : AP_I64, dims, rank, &wide));
    for (size_t i = 0; i < count; i++) {
        const json_t *v = json_array_get(data, i);
        if (wide.dtype == AP_F64)
            ((double *)wide.data)[i] = ap_json_to_real(v);
        else
            ((int64_t *)wide.data)[i] = json_integer_value(v);
    }
    AP_TRY(ap_tensor_cast(&wide, dtype, out));
done:
    ap_tensor_free(&wide);
    return err;
}

static ap_err check_fits(const ap_value *v, const ap_tensor *t) {
    ap_dtype dtype;
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    if (ap_value_shape(v, &dtype, dims, &rank, NULL) && dtype == t->dtype &&
        ap_shape_equal(dims, rank, t->dims, t->rank))
        return NULL;
    ap_err err = ap_err_new(AP_ERR_INPUT_SHAPE, "the value fixed for '%s' does not have its type", v->name);
    return ap_err_subject(err, v->name);
}

// The pass `fix`. The input stays in the interface; nothing reads it any more.
ap_err ap_pass_fix(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    const char *name;
    json_t *fixed;
    ap_map redirect = {0};
    ap_tensor t = {0};
    ap_err err = NULL;
    json_object_foreach(json_object_get(c->params, "fixed"), name, fixed) {
        ap_value *v = ap_graph_value(m->graph, name), *made = NULL;
        if (!v || v->kind != AP_VALUE_INPUT)
            AP_FAIL(AP_ERR_INPUT_NAME, "the model has no input '%s' to fix", name);
        if (!v->use_count && !v->used_by_subgraph) continue;
        AP_TRY(ap_fixed_tensor(fixed, name, &t));
        AP_TRY(check_fits(v, &t));
        const char *base = ap_arena_printf(&m->arena, "%s~fixed", name);
        AP_TRY(ap_graph_add_initializer(m->graph, base, &t, &made));
        ap_map_set(&redirect, v->name, (char *)(uintptr_t)made->name);
        ap_pass_touch(r, "input");
        ap_tensor_free(&t);
    }
    if (redirect.count) AP_TRY(ap_model_redirect(m, &redirect));
done:
    ap_tensor_free(&t);
    ap_map_free(&redirect);
    return err;
}
