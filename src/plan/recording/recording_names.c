// SPDX-License-Identifier: Apache-2.0
// Names of leaves, from where they stand in the description of a call: "x", "past_0_key".
#include "plan/recording/recording.h"

#include <ctype.h>
#include <string.h>

enum { LEAVES = 1024, RANK = 16 };

typedef struct walk {
    json_t *out;         // [{name, dtype, dims}]; "data": false where a tensor has none
    const json_t *metas; // [[dtype, dims]] of the leaves
    bool verbatim;       // keys are the names
} walk;

static bool is_dims(const json_t *dims) {
    size_t i;
    json_t *dim;
    if (!json_is_array(dims) || json_array_size(dims) > RANK) return false;
    json_array_foreach(dims, i, dim) if (!json_is_integer(dim) || json_integer_value(dim) < 0) return false;
    return true;
}

// ".hidden[0].key" -> "hidden_0_key"; "hidden_0_key_2" when there is one already.
static void put_name(const walk *w, const char *path, ap_buf *name) {
    bool gap = false;
    for (const char *p = path + (w->verbatim && *path == '.'); *p; p++) {
        bool word = w->verbatim || isalnum((unsigned char)*p) || *p == '_' || (*p & 0x80);
        if (word && gap && name->len) ap_buf_append(name, "_", 1);
        if (word) ap_buf_append(name, p, 1);
        gap = !word;
    }
    if (!name->len) ap_buf_printf(name, "value");
    size_t bare = name->len;
    for (int n = 2; ap_json_find(w->out, "name", ap_buf_str(name)); n++) {
        name->len = bare;
        ap_buf_printf(name, "_%d", n);
    }
}

static bool put_leaf(walk *w, const char *path, bool has_data) {
    const json_t *meta = json_array_get(w->metas, json_array_size(w->out));
    const json_t *dtype = json_array_get(meta, 0), *dims = json_array_get(meta, 1);
    if (!json_is_string(dtype) || !is_dims(dims) || json_array_size(w->out) >= LEAVES) return false;
    ap_buf name = {0};
    put_name(w, path, &name);
    json_t *leaf =
        json_pack("{so,sO,sO}", "name", ap_json_string(ap_buf_str(&name)), "dtype", dtype, "dims", dims);
    if (!has_data) json_object_set_new(leaf, "data", json_false());
    json_array_append_new(w->out, leaf);
    ap_buf_free(&name);
    return true;
}

// The name of child `i`: its key, its parameter, or its place.
static void put_step(const json_t *key, const json_t *params, size_t i, ap_buf *path) {
    const char *text = json_string_value(key ? key : json_array_get(params, i));
    if (text)
        ap_buf_printf(path, ".%s", text);
    else if (json_is_integer(key))
        ap_buf_printf(path, ".%lld", (long long)json_integer_value(key));
    else if (params)
        ap_buf_printf(path, ".arg%zu", i);
    else
        ap_buf_printf(path, "[%zu]", i);
}

static bool walk_spec(walk *w, const json_t *spec, const char *path, const json_t *params, int depth) {
    const char *tag = json_string_value(json_array_get(spec, 0));
    if (!tag || depth > AP_RECORDING_DEPTH) return false;
    bool has_data = strcmp(tag, "fake") != 0;
    if (!has_data || !strcmp(tag, "tensor") || !strcmp(tag, "array")) return put_leaf(w, path, has_data);
    bool keyed = !strcmp(tag, "dict"), ok = true;
    if (!keyed && strcmp(tag, "list") != 0 && strcmp(tag, "tuple") != 0) return true;
    for (size_t i = keyed ? 2 : 1; ok && i < json_array_size(spec); i++) {
        const json_t *child = json_array_get(spec, i);
        ap_buf below = {0};
        ap_buf_printf(&below, "%s", path);
        put_step(keyed ? json_array_get(json_array_get(child, 0), 1) : NULL, params, i - 1, &below);
        ok = walk_spec(w, keyed ? json_array_get(child, 1) : child, ap_buf_str(&below), NULL, depth + 1);
        ap_buf_free(&below);
    }
    return ok;
}

static json_t *finish(walk *w, bool ok) {
    if (ok && json_array_size(w->out) == json_array_size(w->metas)) return w->out;
    json_decref(w->out);
    return NULL;
}

json_t *ap_recording_inputs(const json_t *spec, const json_t *metas, const json_t *params) {
    walk w = {.out = json_array(), .metas = metas, .verbatim = !params};
    bool ok = params ? walk_spec(&w, json_array_get(spec, 1), "", params, 0) &&
                           walk_spec(&w, json_array_get(spec, 2), "", NULL, 0)
                     : walk_spec(&w, spec, "", NULL, 0);
    return finish(&w, ok);
}

json_t *ap_recording_outputs(const json_t *spec, const json_t *metas, bool session) {
    walk w = {.out = json_array(), .metas = metas, .verbatim = session};
    return finish(&w, walk_spec(&w, spec, session ? "" : "output", NULL, 0));
}
