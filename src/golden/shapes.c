// SPDX-License-Identifier: Apache-2.0
// Symbolic dims get their sizes here.
#include "base/log.h"
#include "golden/contract.h"
#include "golden/request.h"
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

// The names of the inputs' symbolic dims, each once, in order.
static void list_symbols(const ap_model *m, ap_map *names) {
    for (size_t i = 0; i < m->graph->input_count; i++) {
        ap_dtype t;
        int64_t dims[AP_MAX_RANK];
        const char *symbols[AP_MAX_RANK] = {0};
        size_t rank = 0;
        if (!ap_value_shape(m->graph->inputs[i], &t, dims, &rank, symbols)) continue;
        for (size_t d = 0; d < rank; d++)
            if (symbols[d]) ap_map_add(names, symbols[d], NULL);
    }
}

static ap_err unknown_name(const ap_model *m, const ap_map *symbols, const char *name) {
    size_t inputs = m->graph->input_count, n = inputs + symbols->count;
    const char **names = ap_calloc(n + 1, sizeof *names);
    ap_buf list = {0};
    for (size_t i = 0; i < n; i++) {
        names[i] = i < inputs ? m->graph->inputs[i]->name : symbols->entries[i - inputs].key;
        ap_buf_printf(&list, "%s'%s'", i == inputs ? " and the symbols " : i ? ", " : "", names[i]);
    }
    const char *near = ap_nearest(name, names, n);
    ap_err err = ap_err_new(AP_ERR_INPUT_NAME, "--shape: the model has no input '%s'; it has %s", name,
                            ap_buf_str(&list));
    if (near) err = ap_err_hint(err, "did you mean '%s'?", near);
    ap_buf_free(&list);
    free(names);
    return err;
}

// "batch=1": one number for every dim of that name.
static ap_err apply_symbol(ap_model *m, const char *name, const char *text) {
    int64_t dims[AP_MAX_RANK];
    size_t rank = 0;
    ap_err err = ap_err_context(ap_shape_parse(text, dims, &rank), "--shape %s=%s", name, text);
    if (!err && (rank != 1 || dims[0] < 1))
        err = ap_err_new(AP_ERR_INPUT_SHAPE, "symbol '%s' wants one positive number, not '%s'", name, text);
    return err ? err : ap_model_set_symbol(m, name, dims[0]);
}

static ap_err apply_shape_arg(ap_model *m, const char *arg) {
    ap_arena a = {0};
    char *name = NULL;
    const char *text = NULL;
    int64_t dims[AP_MAX_RANK];
    size_t rank = 0;
    ap_map symbols = {0};
    ap_err err = NULL;
    list_symbols(m, &symbols);
    AP_TRY(ap_request_split(arg, "--shape", "INPUT=1,3,224,224 or SYMBOL=1", &a, &name, &text));
    if (ap_request_is_input(m, name)) {
        AP_TRY(ap_err_context(ap_shape_parse(text, dims, &rank), "--shape %s", arg));
        for (size_t i = 0; i < rank; i++)
            if (dims[i] < 1)
                AP_FAIL(AP_ERR_INPUT_SHAPE, "--shape %s: dim %zu is %lld, sizes start at 1", arg, i,
                        (long long)dims[i]);
        AP_TRY(ap_model_set_input_shape(m, name, dims, rank));
    } else if (ap_map_has(&symbols, name)) {
        AP_TRY(apply_symbol(m, name, text));
    } else {
        err = unknown_name(m, &symbols, name);
    }
done:
    if (err && text && (strstr(text, "..") || strchr(text, '/')))
        err = ap_err_hint(err, "one size is wanted here; several are for 'aipc deploy'");
    ap_map_free(&symbols);
    ap_arena_release(&a);
    return err;
}

// A tensor file fixes the shape of its input; images have no say, they are resized.
static ap_err apply_input_file(ap_model *m, const char *arg) {
    ap_arena a = {0};
    char *name = NULL;
    const char *path = NULL;
    ap_tensor t = {0};
    ap_err err = NULL;
    AP_TRY(ap_request_split(arg, "--input", "NAME=FILE", &a, &name, &path));
    if (!ap_request_is_input(m, name)) {
        err = ap_request_unknown_input(m, name, "--input");
        goto done;
    }
    const char *ext = ap_path_ext(path);
    if (strcmp(ext, ".npy") == 0)
        AP_TRY(ap_npy_map(path, &t));
    else if (strcmp(ext, ".pb") == 0)
        AP_TRY(ap_tensor_load_pb(path, &t));
    else
        goto done;
    AP_TRY(ap_err_context(ap_model_set_input_shape(m, name, t.dims, t.rank), "input file %s", path));
done:
    ap_tensor_free(&t);
    ap_arena_release(&a);
    return err;
}

// Collects what is still open over all inputs into one error, so that the user fixes it in one go.
static ap_err check_all_known(const ap_model *m, json_t *shapes) {
    ap_buf list = {0}, flags = {0};
    for (size_t i = 0; i < m->graph->input_count; i++) {
        const ap_value *v = m->graph->inputs[i];
        ap_dtype t;
        int64_t dims[AP_MAX_RANK];
        const char *symbols[AP_MAX_RANK] = {0};
        size_t rank = 0, open = 0;
        bool known = ap_value_shape(v, &t, dims, &rank, symbols);
        for (size_t d = 0; known && d < rank; d++) {
            if (dims[d] >= 0) continue;
            ap_buf_printf(&list, "%s%s", open++ ? ", " : (list.len ? "; " : ""),
                          symbols[d] ? symbols[d] : "?");
            if (open == 1) ap_buf_printf(&flags, "%s--shape '%s=", flags.len ? " " : "", v->name);
        }
        if (!known) {
            ap_buf_printf(&list, "%sall of '%s'", list.len ? "; " : "", v->name);
            ap_buf_printf(&flags, "%s--shape '%s=…'", flags.len ? " " : "", v->name);
        } else if (open) {
            ap_buf_printf(&list, " of '%s'", v->name);
            for (size_t d = 0; d < rank; d++) {
                if (dims[d] >= 0)
                    ap_buf_printf(&flags, "%s%lld", d ? "," : "", (long long)dims[d]);
                else
                    ap_buf_printf(&flags, "%s<%s>", d ? "," : "", symbols[d] ? symbols[d] : "?");
            }
            ap_buf_putc(&flags, '\'');
        } else {
            json_object_set_new(shapes, v->name, ap_json_dims(dims, rank));
        }
    }
    ap_err err = NULL;
    if (list.len)
        err = ap_err_hint(
            ap_err_new(AP_ERR_SHAPE_UNKNOWN, "the model has symbolic dimensions without a size: %s",
                       ap_buf_str(&list)),
            "add %s (with numbers), or give an .npy input of the right shape", ap_buf_str(&flags));
    ap_buf_free(&list);
    ap_buf_free(&flags);
    return err;
}

ap_err ap_contract_apply_shapes(ap_model *m, const char *const *shapes, size_t count) {
    ap_err err = NULL;
    for (size_t i = 0; i < count && !err; i++) err = apply_shape_arg(m, shapes[i]);
    return err;
}

ap_err ap_contract_shapes(ap_model *m, const ap_input_request *r, json_t **shapes) {
    json_t *all = json_object();
    ap_err err = NULL;
    AP_TRY(ap_contract_apply_shapes(m, r->shapes, r->shape_count));
    for (size_t i = 0; i < r->input_count; i++) AP_TRY(apply_input_file(m, r->inputs[i]));
    AP_TRY(check_all_known(m, all));
    *shapes = all;
    all = NULL;
done:
    json_decref(all);
    return err;
}
