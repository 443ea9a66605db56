// SPDX-License-Identifier: Apache-2.0
#include "plan/verify/verify_again.h"

#include "base/file.h"
#include "plan/recording/recording.h"
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

// ---- which artifact

// Is this what was deployed? A folder without an index knows the hash of an ONNX file alone.
static bool is_model(const aipc_served *m, const json_t *model) {
    const json_t *want = json_object_get(model, "identity"), *have = json_object_get(m->entry, "identity");
    if (!m->entry) return strcmp(m->key, ap_json_str(want, "sha256", "")) == 0;
    const char *a = ap_json_str(model, "path", ""), *b = ap_json_str(m->entry, "path", "");
    return ap_recording_same(want, have) && strcmp(*a == '.' ? a : "", *b == '.' ? b : "") == 0; // a method
}

static bool is_session(const ap_again *g) {
    return strcmp(ap_json_str(g->model, "kind", ""), "session") == 0;
}

static aipc_tensor *leaves_of(ap_again *g, size_t *count) {
    const json_t *list = json_object_get(g->sig, "inputs"), *leaf;
    aipc_tensor *out = ap_arena_calloc(&g->arena, json_array_size(list) + 1, sizeof *out);
    for (*count = 0; (leaf = json_array_get(list, *count)) != NULL; ++*count) {
        const json_t *dims = json_object_get(leaf, "dims");
        int64_t *sizes = ap_arena_calloc(&g->arena, json_array_size(dims) + 1, sizeof *sizes);
        for (size_t i = 0; i < json_array_size(dims); i++)
            sizes[i] = json_integer_value(json_array_get(dims, i));
        out[*count] = (aipc_tensor){.name = ap_json_str(leaf, "name", ""),
                                    .dtype = ap_json_str(leaf, "dtype", ""),
                                    .rank = json_array_size(dims),
                                    .dims = sizes};
    }
    return out;
}

// The program's own answers are no more exact than their type: two libraries agree on half precision numbers
// no better than an NPU does on others.
static const char *precision_of(const ap_again *g) {
    const json_t *outputs = json_object_get(g->sig, "outputs"), *leaf;
    for (size_t i = 0; (leaf = json_array_get(outputs, i)) != NULL; i++) {
        ap_dtype t = ap_dtype_from_name(ap_json_str(leaf, "dtype", ""));
        if (ap_dtype_is_float(t) && ap_dtype_bits(t) <= 16) return "fp16";
    }
    return ap_json_str(g->d->contract->target, "precision", "fp32");
}

// Thresholds that the user set when it was deployed hold here, too.
static ap_err gates_of(ap_again *g) {
    const json_t *target = g->d->contract->target, *gates = json_object_get(target, "gates"), *gate;
    const char **own = ap_arena_calloc(&g->arena, json_array_size(gates) + 1, sizeof *own);
    size_t count = 0;
    for (size_t i = 0; (gate = json_array_get(gates, i)) != NULL; i++)
        if (ap_json_bool(gate, "user_set", false) && json_is_string(json_object_get(gate, "output")))
            own[count++] = ap_arena_printf(&g->arena, "%s=%.17g", ap_json_str(gate, "metric", ""),
                                           ap_json_num(gate, "threshold", 0));
    return ap_gates_init(precision_of(g), own, count, &g->gates);
}

ap_err ap_again_open(aipc_context *c, aipc_server *server, const json_t *model, const json_t *sig,
                     ap_again **out) {
    ap_again *g = ap_calloc(1, sizeof *g);
    aipc_served *m = server->models;
    char *dir = NULL;
    size_t count = 0;
    ap_err err = NULL;
    *g = (ap_again){.ctx = c, .model = model, .sig = sig};
    while (m && !is_model(m, model)) m = m->next;
    aipc_tensor *leaves = leaves_of(g, &count);
    if (m) { // an error says why none fits: then nothing was served either
        const json_t *spec = is_session(g) ? NULL : json_object_get(sig, "spec");
        ap_err_free(ap_served_choose(m, spec, leaves, count, &g->d));
    }
    if (!g->d) goto done;
    AP_TRY(gates_of(g));
    AP_TRY(ap_mkdtemp(ap_path_scratch(&g->arena), "aipc", &g->arena, &dir));
    g->dir = dir;
    *out = g;
    g = NULL;
done:
    ap_again_close(g);
    return err;
}

void ap_again_close(ap_again *g) {
    if (!g) return;
    ap_remade_free(g->remade);
    ap_gates_release(&g->gates);
    if (g->dir) ap_err_free(ap_rmtree(g->dir));
    ap_arena_release(&g->arena);
    free(g);
}

// ---- a call

static json_t *tensor_ref(const char *name, const ap_tensor *t, const char *file) {
    return json_pack("{so,ss,so,so}", "name", ap_json_string(name), "dtype", ap_dtype_name(t->dtype), "dims",
                     ap_json_dims(t->dims, t->rank), "file", ap_json_string(file));
}

// `ref` under another name and in another type; a file is written only when the type differs.
static ap_err as_type(const json_t *ref, const char *name, const char *dtype, const char *file,
                      json_t *list) {
    ap_tensor have = {0}, made = {0};
    ap_err err = NULL;
    if (strcmp(ap_json_str(ref, "dtype", ""), dtype) == 0) {
        json_t *same = json_copy((json_t *)(uintptr_t)ref);
        json_object_set_new(same, "name", ap_json_string(name));
        json_array_append_new(list, same);
        return NULL;
    }
    AP_TRY(ap_npy_open(ref, &have));
    AP_TRY(ap_tensor_cast(&have, ap_dtype_from_name(dtype), &made));
    AP_TRY(ap_npy_write(file, &made));
    json_array_append_new(list, tensor_ref(name, &made, file));
done:
    ap_tensor_free(&have);
    ap_tensor_free(&made);
    return err;
}

// What the artifact is fed with: its contract's inputs, then what is fixed.
static ap_err feeds_of(ap_again *g, const ap_asked *a, const json_t *leaves, json_t *list) {
    const aipc_deployed *d = g->d;
    for (size_t i = 0; i < d->feed_count; i++) {
        const ap_feed *f = &d->feeds[i];
        const json_t *leaf =
            is_session(g) ? ap_json_find(leaves, "name", f->name) : json_array_get(leaves, f->leaf);
        if (!leaf) return ap_err_new(AP_ERR_INPUT_NAME, "the call has no value for input '%s'", f->name);
        const char *dtype = f->fixed ? ap_json_str(leaf, "dtype", "") : d->contract->inputs[i].dtype;
        char *file = ap_path_join(&g->arena, a->dir, ap_arena_printf(&g->arena, "in-%zu.npy", i));
        ap_err err = as_type(leaf, f->name, dtype, file, list);
        if (err) return err;
    }
    return NULL;
}

static ap_err run(ap_again *g, const json_t *feeds, ap_tensor *in, ap_tensor *out) {
    const aipc_artifact *c = g->d->contract;
    const void **from = ap_arena_calloc(&g->arena, g->d->feed_count + 1, sizeof *from);
    void **to = ap_arena_calloc(&g->arena, c->output_count + 1, sizeof *to);
    ap_err err = NULL;
    for (size_t i = 0; i < g->d->feed_count; i++) {
        AP_TRY(ap_npy_open(json_array_get(feeds, i), &in[i]));
        if (i < c->input_count && in[i].bytes != c->inputs[i].bytes)
            AP_FAIL(AP_ERR_INPUT_SHAPE, "input '%s' has %zu bytes, the contract wants %zu",
                    g->d->feeds[i].name, in[i].bytes, c->inputs[i].bytes);
        from[i] = in[i].data;
    }
    for (size_t i = 0; i < c->output_count; i++) {
        const aipc_tensor *o = &c->outputs[i];
        AP_TRY(ap_tensor_alloc(ap_dtype_from_name(o->dtype), o->dims, o->rank, &out[i]));
        to[i] = out[i].data;
    }
    err = ap_deployed_run(g->d, from, to);
done:
    return err;
}

static ap_err keep(ap_again *g, const ap_asked *a, const ap_tensor *out, json_t *list) {
    for (size_t i = 0; i < g->d->contract->output_count; i++) {
        char *file = ap_path_join(&g->arena, a->dir, ap_arena_printf(&g->arena, "out-%zu.npy", i));
        ap_err err = ap_npy_write(file, &out[i]);
        if (err) return err;
        json_array_append_new(list, tensor_ref(g->d->contract->outputs[i].name, &out[i], file));
    }
    return NULL;
}

ap_err ap_again_ask(ap_again *g, const json_t *leaves, ap_asked *out) {
    size_t feeds = g->d->feed_count, outputs = g->d->contract->output_count;
    ap_tensor *in = ap_calloc(feeds + outputs + 1, sizeof *in);
    ap_asked a = {.inputs = json_array(), .answer = json_array()};
    ap_err err = NULL;
    a.dir = ap_path_join(&g->arena, g->dir, ap_arena_printf(&g->arena, "%zu", g->asked++));
    AP_TRY(ap_mkdirs(a.dir));
    AP_TRY(feeds_of(g, &a, leaves, a.inputs));
    AP_TRY(run(g, a.inputs, in, in + feeds));
    AP_TRY(keep(g, &a, in + feeds, a.answer));
    while (json_array_size(a.inputs) > g->d->contract->input_count) // fixed ones are among them already
        json_array_remove(a.inputs, json_array_size(a.inputs) - 1);
    *out = a;
    a = (ap_asked){0};
done:
    ap_asked_release(&a);
    for (size_t i = 0; i < feeds + outputs; i++) ap_tensor_free(&in[i]);
    free(in);
    return err;
}

void ap_asked_release(ap_asked *a) {
    json_decref(a->inputs);
    json_decref(a->answer);
    *a = (ap_asked){0};
}

bool ap_again_has(const ap_again *g, size_t leaf) {
    return is_session(g) || g->d->results[leaf] < g->d->contract->output_count;
}

// The entry of a leaf in a list in contract order; NULL when there is none.
static const json_t *entry_of(const ap_again *g, const json_t *outputs, size_t leaf) {
    const json_t *wanted = json_array_get(json_object_get(g->sig, "outputs"), leaf);
    return is_session(g) ? ap_json_find(outputs, "name", ap_json_str(wanted, "name", "?"))
                         : json_array_get(outputs, g->d->results[leaf]);
}

void ap_again_channel_axes(const ap_again *g, json_t *leaves) {
    const json_t *contract = json_object_get(g->d->contract->manifest, "contract"),
                 *outputs = json_object_get(contract, "outputs");
    json_t *leaf;
    size_t i;
    json_array_foreach(leaves, i, leaf) {
        json_t *axis = json_object_get(entry_of(g, outputs, i), "channel_axis");
        if (axis) json_object_set(leaf, "channel_axis", axis);
    }
}

ap_err ap_again_leaves(ap_again *g, const ap_asked *a, const json_t *tensors, json_t **out) {
    const json_t *leaves = json_object_get(g->sig, "outputs"), *leaf;
    json_t *list = json_array();
    ap_err err = NULL;
    for (size_t i = 0; (leaf = json_array_get(leaves, i)) != NULL; i++) {
        const char *name = ap_json_str(leaf, "name", "?"), *dtype = ap_json_str(leaf, "dtype", "");
        if (!ap_again_has(g, i)) {
            json_array_append_new(list, json_null());
            continue;
        }
        const json_t *t = entry_of(g, tensors, i);
        if (!t) AP_FAIL(AP_ERR_CONTRACT, "the artifact has no output for '%s' of the answer", name);
        char *file = ap_path_join(&g->arena, a->dir, ap_arena_printf(&g->arena, "leaf-%zu.npy", g->files++));
        AP_TRY(as_type(t, name, dtype, file, list));
    }
    *out = json_incref(list);
done:
    json_decref(list);
    return err;
}
