// SPDX-License-Identifier: Apache-2.0
#include "plan/surgery/picked.h"

#include "base/file.h"
#include "graph/channel.h"
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

typedef struct look {
    const ap_picked *q;
    ap_arena arena;
    const char **names; // of the indices
    size_t count;
    json_t *seen; // TENSOR list of the target: its outputs, then the indices
    json_t *made; // of ap_picks_give
} look;

static void look_release(look *l) {
    free(l->names);
    json_decref(l->seen);
    json_decref(l->made);
    ap_arena_release(&l->arena);
}

static ap_err same_bits(const json_t *a, const json_t *b, bool *same) {
    ap_tensor x = {0}, y = {0};
    ap_err err = NULL;
    AP_TRY(ap_npy_open(a, &x));
    AP_TRY(ap_npy_open(b, &y));
    *same = x.bytes == y.bytes && (!x.bytes || memcmp(x.data, y.data, x.bytes) == 0);
done:
    ap_tensor_free(&x);
    ap_tensor_free(&y);
    return err;
}

// ---- the target's picks

static bool are_there(const look *l) {
    for (size_t i = 0; i < l->count; i++) {
        const ap_value *v = ap_graph_value(l->q->model->graph, l->names[i]);
        if (!v || !v->producer) return false;
    }
    return l->count > 0;
}

// Exposed they may change what is computed; then they are picks of another answer.
static ap_err see_picks(look *l, bool *seen) {
    const ap_picked *q = l->q;
    json_t *names = json_array();
    char *dir = ap_path_join(&l->arena, q->dir, "seen");
    size_t outputs = q->model->graph->output_count;
    ap_err err = NULL;
    for (size_t i = 0; i < outputs; i++)
        json_array_append_new(names, ap_json_string(q->model->graph->outputs[i]->name));
    for (size_t i = 0; i < l->count; i++) {
        const ap_value *v = ap_graph_value(q->model->graph, l->names[i]);
        if (!v->is_output) json_array_append_new(names, ap_json_string(v->name));
    }
    AP_TRY(ap_mkdirs(dir));
    AP_TRY(q->target(q->user, names, dir, &l->seen));
    *seen = json_array_size(q->answer) == outputs && json_array_size(l->seen) >= outputs;
    for (size_t i = 0; *seen && i < outputs; i++)
        AP_TRY(same_bits(json_array_get(q->answer, i), json_array_get(l->seen, i), seen));
done:
    json_decref(names);
    return err;
}

// ---- the original, given them

// A copy of `m` that may be edited, in a file the oracle can read. *made: of ap_picks_give.
static ap_err make_given(const ap_model *m, const char *const *names, size_t count, const json_t *seen,
                         const char *file, json_t **made) {
    json_t *indices = json_array();
    ap_buf bytes = {0};
    ap_model *copy = NULL;
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++) {
        json_t *t = ap_json_find(seen, "name", names[i]);
        if (!t) AP_FAIL(AP_ERR_INTERNAL, "the target did not give '%s'", names[i]);
        json_array_append(indices, t);
    }
    AP_TRY(ap_model_bytes(m, &bytes));
    AP_TRY(ap_model_parse(bytes.data, bytes.len, m->dir, &copy));
    AP_TRY(ap_picks_give(copy, names, indices, count, made));
    err = ap_model_save(copy, file, NULL);
done:
    ap_model_free(copy);
    ap_buf_free(&bytes);
    json_decref(indices);
    return err;
}

static json_t *given_inputs(const json_t *inputs, const json_t *made, const json_t *seen) {
    json_t *list = json_copy((json_t *)(uintptr_t)inputs), *m;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)made, i, m) {
        json_t *t = json_deep_copy(ap_json_find(seen, "name", ap_json_str(m, "indices", "")));
        json_object_set(t, "name", json_object_get(m, "input"));
        json_array_append_new(list, t);
    }
    return list;
}

ap_err ap_picked_given(const ap_model *m, const json_t *tensors, const json_t *given, const char *file,
                       json_t **inputs) {
    const char **names = NULL;
    size_t count = 0, kept = 0;
    json_t *made = NULL;
    ap_err err = NULL;
    *inputs = NULL;
    ap_picks_find(m, &names, &count);
    for (size_t i = 0; i < count; i++)
        if (ap_json_find(tensors, "name", names[i])) names[kept++] = names[i];
    if (kept) err = make_given(m, names, kept, tensors, file, &made);
    if (made) *inputs = given_inputs(given, made, tensors);
    json_decref(made);
    free(names);
    return err;
}

static json_t *given_names(const look *l) {
    static const char *const keys[] = {"best", "picked", "data"};
    const ap_graph *g = l->q->original->graph;
    json_t *list = json_array(), *m;
    ap_map once = {0};
    size_t i;
    for (i = 0; i < g->output_count; i++)
        if (ap_map_add(&once, g->outputs[i]->name, list))
            json_array_append_new(list, ap_json_string(g->outputs[i]->name));
    json_array_foreach(l->made, i, m) for (size_t k = 0; k < 3;
                                           k++) if (ap_map_add(&once, ap_json_str(m, keys[k], ""), m))
        json_array_append(list, json_object_get(m, keys[k]));
    ap_map_free(&once);
    return list;
}

static ap_err is_valid(const json_t *made, const json_t *indices, const json_t *data, bool *valid) {
    const json_t *dims = json_object_get(data, "dims");
    int64_t axis = ap_json_int(made, "axis", -1), rank = (int64_t)json_array_size(dims);
    if (axis < 0) axis += rank;
    ap_tensor t = {0};
    ap_err err = ap_npy_open(indices, &t);
    if (err) return err;
    *valid = axis >= 0 && axis < rank && t.rank == (size_t)rank &&
             ap_picks_valid(&t, (size_t)axis, json_integer_value(json_array_get(dims, (size_t)axis)));
    ap_tensor_free(&t);
    return NULL;
}

static ap_err sort_out(const look *l, const json_t *values, json_t *golden, json_t *picks, bool *valid) {
    const ap_graph *g = l->q->original->graph;
    json_t *m;
    size_t i;
    ap_err err = NULL;
    for (i = 0; i < g->output_count; i++) {
        json_t *t = ap_json_find(values, "name", g->outputs[i]->name);
        if (!t) AP_FAIL(AP_ERR_INTERNAL, "the oracle did not give '%s'", g->outputs[i]->name);
        json_array_append(golden, t);
    }
    ap_graph_channel_axes(g, golden);
    json_array_foreach(l->made, i, m) {
        const char *name = ap_json_str(m, "indices", "");
        json_t *data = ap_json_find(values, "name", ap_json_str(m, "data", ""));
        AP_TRY(is_valid(m, ap_json_find(l->seen, "name", name), data, valid));
        if (!*valid) goto done;
        json_array_append_new(picks,
                              json_pack("{ss,sO,sO}", "indices", name, "best",
                                        ap_json_find(values, "name", ap_json_str(m, "best", "")), "picked",
                                        ap_json_find(values, "name", ap_json_str(m, "picked", ""))));
    }
done:
    return err;
}

ap_err ap_picked_look(const ap_picked *q, json_t **golden, json_t **picks) {
    look l = {.q = q};
    bool ok = false;
    char *file = NULL, *dir = ap_path_join(&l.arena, q->dir, "golden");
    json_t *values = NULL, *inputs = NULL, *names = NULL, *g = json_array(), *p = json_array();
    ap_err err = NULL;
    *golden = *picks = NULL;
    ap_picks_find(q->original, &l.names, &l.count);
    if (!are_there(&l)) goto done;
    AP_TRY(see_picks(&l, &ok));
    if (!ok) goto done;
    file = ap_path_join(&l.arena, q->dir, "given.onnx");
    AP_TRY(make_given(q->original, l.names, l.count, l.seen, file, &l.made));
    inputs = given_inputs(q->inputs, l.made, l.seen);
    names = given_names(&l);
    AP_TRY(ap_mkdirs(dir));
    err = q->oracle(q->user, file, inputs, names, dir, &values);
    if (ap_err_code(err) == AP_ERR_VENDOR) { // indices out of range, most likely
        ap_err_free(err);
        err = NULL;
        goto done;
    }
    if (err) goto done;
    AP_TRY(sort_out(&l, values, g, p, &ok));
    if (!ok) goto done;
    *golden = json_incref(g);
    *picks = json_incref(p);
done:
    json_decref(values);
    json_decref(inputs);
    json_decref(names);
    json_decref(g);
    json_decref(p);
    look_release(&l);
    return err;
}

ap_err ap_picked_metrics(const json_t *pick, ap_metrics *out) {
    ap_err err = ap_metrics_entries(json_object_get(pick, "best"), json_object_get(pick, "picked"), out);
    if (!err) out->class_like = false;
    return ap_err_subject(err, ap_json_str(pick, "indices", "?"));
}
