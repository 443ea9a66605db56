// SPDX-License-Identifier: Apache-2.0
// --fix INPUT=VALUE: read, and written where input sets find it.
#include "base/file.h"
#include "golden/request.h"
#include "plan/surgery/surgery.h"
#include "surgery/pass/freeze.h"
#include "tensor/npy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// As many numbers as the tensor has elements, or one for all of them.
static ap_err read_numbers(const char *text, const char *arg, ap_tensor *wide) {
    size_t count = ap_tensor_count(wide);
    const char *p = text;
    bool single = !strchr(text, ',');
    for (size_t i = 0; i < count; i++) {
        char *end;
        bool last = single || i + 1 == count;
        errno = 0;
        if (wide->dtype == AP_F64)
            ((double *)wide->data)[i] = strtod(p, &end);
        else
            ((int64_t *)wide->data)[i] = strtoll(p, &end, 0);
        if (end == p || errno || *end != (last ? 0 : ','))
            return ap_err_new(AP_ERR_USAGE, "--fix %s: '%s' is not %zu number%s", arg, text, count,
                              count == 1 ? "" : "s");
        if (!last) p = end + 1;
    }
    return NULL;
}

static ap_err fix_one(const ap_model *m, const char *arg, json_t *fixed) {
    ap_arena a = {0};
    char *name = NULL;
    const char *text = NULL;
    ap_dtype dtype;
    int64_t dims[AP_MAX_RANK];
    size_t rank = 0;
    ap_tensor wide = {0}, value = {0};
    ap_err err = NULL;
    AP_TRY(ap_request_split(arg, "--fix", "INPUT=VALUE", &a, &name, &text));
    if (!ap_request_is_input(m, name)) {
        err = ap_request_unknown_input(m, name, "--fix");
        goto done;
    }
    const ap_value *v = ap_graph_value(m->graph, name);
    if (!ap_value_shape(v, &dtype, dims, &rank, NULL) || !ap_dtype_bits(dtype))
        AP_FAIL(AP_ERR_INPUT_DTYPE, "--fix %s: only inputs that are tensors of numbers can be fixed", arg);
    AP_TRY(ap_tensor_alloc(ap_dtype_is_float(dtype) ? AP_F64 : AP_I64, dims, rank, &wide));
    AP_TRY(read_numbers(text, arg, &wide));
    AP_TRY(ap_tensor_cast(&wide, dtype, &value));
    json_object_set_new(fixed, name, ap_fixed_json(&value));
done:
    ap_tensor_free(&wide);
    ap_tensor_free(&value);
    ap_arena_release(&a);
    return err;
}

ap_err ap_fixed_read(const ap_model *m, const char *const *args, size_t count, json_t *fixed) {
    ap_err err = NULL;
    for (size_t i = 0; i < count && !err; i++) err = fix_one(m, args[i], fixed);
    return err;
}

ap_err ap_fixed_inputs(const json_t *fixed, const char *dir, const char *const *inputs, size_t count,
                       ap_arena *a, const char *const **out, size_t *out_count) {
    const char *name, **list = ap_arena_calloc(a, count + json_object_size(fixed) + 1, sizeof *list);
    json_t *one;
    size_t n = 0;
    ap_err err = NULL;
    for (; n < count; n++) list[n] = inputs[n];
    json_object_foreach((json_t *)(uintptr_t)fixed, name, one) {
        ap_tensor value = {0};
        char *path = ap_path_join(a, dir, ap_arena_printf(a, "fixed%zu.npy", n));
        err = ap_fixed_tensor(one, name, &value);
        if (!err) err = ap_npy_write(path, &value);
        ap_tensor_free(&value);
        if (err) return err;
        list[n++] = ap_arena_printf(a, "%s=%s", name, path);
    }
    *out = list;
    *out_count = n;
    return NULL;
}

ap_err ap_zero_inputs(const ap_model *m, const json_t *fixed, const char *dir, ap_arena *a,
                      const char *const **out, size_t *out_count) {
    const char **list = ap_arena_calloc(a, m->graph->input_count + 1, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < m->graph->input_count; i++) {
        const ap_value *v = m->graph->inputs[i];
        ap_dtype dtype;
        int64_t dims[AP_MAX_RANK];
        size_t rank;
        ap_tensor zero = {0};
        if (json_object_get(fixed, v->name) || !ap_value_shape(v, &dtype, dims, &rank, NULL)) continue;
        if (!ap_dtype_is_int(dtype)) continue;
        char *path = ap_path_join(a, dir, ap_arena_printf(a, "zero%zu.npy", i));
        ap_err err = ap_tensor_alloc(dtype, dims, rank, &zero);
        if (!err) err = ap_npy_write(path, &zero);
        ap_tensor_free(&zero);
        if (err) return ap_err_subject(err, v->name);
        list[n++] = ap_arena_printf(a, "%s=%s", v->name, path);
    }
    *out = list;
    *out_count = n;
    return NULL;
}
