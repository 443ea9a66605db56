// SPDX-License-Identifier: Apache-2.0
// What the backends share: models from a SPEC, tensors in and out of a request.
#include "base/proc.h"
#include "engine/oracle.h"
#include "target/target.h"
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

const ap_target_ops *ap_target_find(const char *kind) {
    static const ap_target_ops *const all[] = {&ap_target_cpu, &ap_target_htp};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->kind, kind) == 0) return all[i];
    return NULL;
}

static ap_err dims_from_json(const json_t *list, const char *what, int64_t *dims, size_t *rank) {
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > AP_MAX_RANK) return ap_err_new(AP_ERR_INTERNAL, "%s: bad dims", what);
    for (size_t i = 0; i < n; i++) dims[i] = json_integer_value(json_array_get(list, i));
    *rank = n;
    return NULL;
}

// Names of a JSON array of strings, as a malloc'ed list that borrows from it.
static ap_err names_from_json(const json_t *list, const char *what, const char ***out, size_t *count) {
    size_t n = json_array_size(list);
    const char **names = ap_calloc(n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        names[i] = json_string_value(json_array_get(list, i));
        if (names[i]) continue;
        free(names);
        return ap_err_new(AP_ERR_INTERNAL, "%s: entry %zu is no string", what, i);
    }
    *out = names;
    *count = n;
    return NULL;
}

static ap_err spec_extract(const json_t *extract, ap_model **model) {
    json_t *inputs = NULL, *outputs = NULL;
    const char **in = NULL, **outs = NULL;
    ap_value_type *types = NULL;
    ap_model *cut = NULL;
    size_t out_count = 0, n = 0;
    ap_err err = NULL;
    AP_TRY(ap_json_get_arr(extract, "inputs", "extract", AP_ERR_INTERNAL, &inputs));
    AP_TRY(ap_json_get_arr(extract, "outputs", "extract", AP_ERR_INTERNAL, &outputs));
    AP_TRY(names_from_json(outputs, "extract", &outs, &out_count));
    n = json_array_size(inputs);
    in = ap_calloc(n + 1, sizeof *in);
    types = ap_calloc(n + 1, sizeof *types);
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(inputs, i);
        AP_TRY(ap_json_get_str(o, "name", "extract", AP_ERR_INTERNAL, &in[i]));
        types[i].dtype = ap_dtype_from_name(ap_json_str(o, "dtype", ""));
        AP_TRY(dims_from_json(json_object_get(o, "dims"), in[i], types[i].dims, &types[i].rank));
    }
    AP_TRY(ap_model_extract(*model, in, types, n, outs, out_count, &cut));
    // The cut shares weights with its source: hand the source over as the owner of both.
    cut->source = *model;
    *model = cut;
done:
    free(in);
    free(types);
    free(outs);
    return err;
}

ap_err ap_spec_model(const json_t *spec, ap_model **out) {
    const char *file = NULL, *key;
    const char **names = NULL;
    size_t count = 0;
    json_t *v;
    ap_model *m = NULL;
    ap_err err = NULL;
    AP_TRY(ap_json_get_str(spec, "file", "model spec", AP_ERR_INTERNAL, &file));
    AP_TRY(ap_model_load(file, &m));
    json_object_foreach(json_object_get(spec, "symbols"), key, v)
        AP_TRY(ap_model_set_symbol(m, key, json_integer_value(v)));
    json_object_foreach(json_object_get(spec, "shapes"), key, v) {
        int64_t dims[AP_MAX_RANK];
        size_t rank = 0;
        AP_TRY(dims_from_json(v, key, dims, &rank));
        AP_TRY(ap_model_set_input_shape(m, key, dims, rank));
    }
    if (json_is_object(json_object_get(spec, "extract")))
        AP_TRY(spec_extract(json_object_get(spec, "extract"), &m));
    if (json_is_array(json_object_get(spec, "outputs"))) {
        AP_TRY(names_from_json(json_object_get(spec, "outputs"), "outputs", &names, &count));
        AP_TRY(ap_model_set_outputs(m, names, count));
    }
    *out = m;
    m = NULL;
done:
    free(names);
    ap_model_free(m);
    return err;
}

ap_err ap_tensor_describe(const json_t *o, ap_tensor *t) {
    ap_err err = NULL;
    memset(t, 0, sizeof *t);
    t->dtype = ap_dtype_from_name(ap_json_str(o, "dtype", ""));
    AP_TRY(dims_from_json(json_object_get(o, "dims"), "tensor", t->dims, &t->rank));
    AP_TRY(ap_shape_bytes(t->dtype, t->dims, t->rank, &t->bytes));
done:
    return err;
}

ap_err ap_tensors_open(const json_t *list, ap_named_tensor **out, size_t *count) {
    size_t n = json_array_size(list);
    ap_named_tensor *all = ap_calloc(n + 1, sizeof *all);
    ap_err err = NULL;
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(list, i);
        const char *needed = NULL;
        AP_TRY(ap_json_get_str(o, "name", "tensor", AP_ERR_INTERNAL, &all[i].name));
        AP_TRY(ap_json_get_str(o, "file", all[i].name, AP_ERR_INTERNAL, &needed));
        AP_TRY(ap_json_get_str(o, "dtype", all[i].name, AP_ERR_INTERNAL, &needed));
        AP_TRY(ap_npy_open(o, &all[i].t));
    }
    *out = all;
    *count = n;
    return NULL;
done:
    ap_named_tensors_free(all, n);
    return err;
}

void ap_named_tensors_free(ap_named_tensor *list, size_t count) {
    for (size_t i = 0; list && i < count; i++) ap_tensor_free(&list[i].t);
    free(list);
}

ap_err ap_tensor_store(const char *dir, const char *name, const ap_tensor *t, json_t *list) {
    ap_arena a = {0};
    json_t *o = json_pack("{so,ss}", "name", ap_json_string(name), "dtype", ap_dtype_name(t->dtype));
    ap_err err = NULL;
    if (t->dtype != AP_DTYPE_NONE) {
        char *path = ap_path_join(&a, dir, ap_arena_printf(&a, "%zu.npy", json_array_size(list)));
        ap_tensor copy = {0};
        AP_TRY(ap_npy_create(path, t->dtype, t->dims, t->rank, &copy));
        if (t->bytes) memcpy(copy.data, t->data, t->bytes);
        ap_tensor_free(&copy);
        json_object_set_new(o, "dims", ap_json_dims(t->dims, t->rank));
        json_object_set_new(o, "file", json_string(path));
    }
    json_array_append(list, o);
done:
    json_decref(o);
    ap_arena_release(&a);
    return err;
}

ap_err ap_session_serve_run(ap_session *s, const json_t *args, json_t **result) {
    if (!s) return ap_err_new(AP_ERR_INTERNAL, "run without a loaded model");
    ap_named_tensor *inputs = NULL;
    size_t count = 0;
    ap_run_result r = {0};
    const char *dir = NULL;
    json_t *outputs = json_array();
    ap_err err = NULL;
    AP_TRY(ap_json_get_str(args, "dir", "run", AP_ERR_INTERNAL, &dir));
    AP_TRY(ap_tensors_open(json_object_get(args, "inputs"), &inputs, &count));
    AP_TRY(ap_session_run(s, inputs, count, NULL, 0, &r));
    for (size_t i = 0; i < r.count; i++)
        AP_TRY(ap_tensor_store(dir, r.tensors[i].name, &r.tensors[i].t, outputs));
    *result = json_pack("{sO,sI}", "outputs", outputs, "vendor_us", (json_int_t)r.vendor_us);
done:
    json_decref(outputs);
    ap_run_result_free(&r);
    ap_named_tensors_free(inputs, count);
    return err;
}

typedef struct oracle_sink {
    bool shapes_only;
    size_t set;
    const char *dir;
    json_t *outputs;
} oracle_sink;

static void enter_set(void *user, size_t set) {
    ((oracle_sink *)user)->set = set;
}

static ap_err store_oracle_tensor(void *user, const char *name, const ap_tensor *t) {
    oracle_sink *k = user;
    if (k->shapes_only) {
        json_array_append_new(k->outputs,
                              json_pack("{so,ss,so}", "name", ap_json_string(name), "dtype",
                                        ap_dtype_name(t->dtype), "dims", ap_json_dims(t->dims, t->rank)));
        return NULL;
    }
    ap_err err = ap_tensor_store(k->dir, name, t, k->outputs);
    size_t n = json_array_size(k->outputs);
    if (!err && k->set)
        json_object_set_new(json_array_get(k->outputs, n - 1), "set", json_integer((json_int_t)k->set));
    return err;
}

// Input sets besides the first.
typedef struct more_sets {
    ap_oracle_inputs *list;
    size_t count;
} more_sets;

static ap_err open_more(const json_t *lists, more_sets *out) {
    out->list = ap_calloc(json_array_size(lists) + 1, sizeof *out->list);
    for (size_t i = 0; i < json_array_size(lists); i++) {
        ap_named_tensor *inputs = NULL;
        size_t count = 0;
        ap_err err = ap_tensors_open(json_array_get(lists, i), &inputs, &count);
        if (err) return err;
        out->list[out->count++] = (ap_oracle_inputs){inputs, count};
    }
    return NULL;
}

static void close_more(more_sets *m) {
    for (size_t i = 0; i < m->count; i++)
        ap_named_tensors_free((ap_named_tensor *)(uintptr_t)m->list[i].list, m->list[i].count);
    free(m->list);
}

ap_err ap_engine_serve_oracle(ap_engine *e, const json_t *args, json_t **result) {
    ap_named_tensor *inputs = NULL;
    ap_model *m = NULL;
    const char **names = NULL;
    size_t count = 0, name_count = 0;
    oracle_sink sink = {.outputs = json_array(), .shapes_only = ap_json_bool(args, "shapes_only", false)};
    ap_oracle_stats stats = {0};
    more_sets more = {0};
    ap_err err = NULL;
    AP_TRY(ap_json_get_str(args, "dir", "oracle", AP_ERR_INTERNAL, &sink.dir));
    AP_TRY(ap_spec_model(json_object_get(args, "model"), &m));
    AP_TRY(ap_tensors_open(json_object_get(args, "inputs"), &inputs, &count));
    AP_TRY(open_more(json_object_get(args, "more_inputs"), &more));
    AP_TRY(names_from_json(json_object_get(args, "tensors"), "tensors", &names, &name_count));
    ap_oracle_options o = {
        .tensors = name_count ? names : NULL,
        .tensor_count = name_count,
        .budget_bytes = (size_t)ap_json_int(args, "budget_bytes", 0),
        .threads = (int)ap_json_int(args, "threads", 0),
        .sink = store_oracle_tensor,
        .user = &sink,
        .more = more.list,
        .more_count = more.count,
        .set = enter_set,
    };
    AP_TRY(ap_oracle_run(e, m, inputs, count, &o, &stats));
    *result = json_pack("{sO,sI,sI}", "outputs", sink.outputs, "chunks", (json_int_t)stats.chunks,
                        "vendor_us", (json_int_t)stats.vendor_us);
done:
    json_decref(sink.outputs);
    free(names);
    close_more(&more);
    ap_named_tensors_free(inputs, count);
    ap_model_free(m);
    return err;
}

static json_t *ios_json(const ap_io *list, size_t count) {
    json_t *a = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(a, json_pack("{so,ss,so}", "name", ap_json_string(list[i].name), "dtype",
                                           ap_dtype_name(list[i].dtype), "dims",
                                           ap_json_dims(list[i].dims, list[i].rank)));
    return a;
}

json_t *ap_session_io_json(const ap_session *s) {
    return json_pack("{so,so}", "inputs", ios_json(s->inputs, s->input_count), "outputs",
                     ios_json(s->outputs, s->output_count));
}
