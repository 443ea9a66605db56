// SPDX-License-Identifier: Apache-2.0
#include "plan/artifact/pick.h"

#include "base/file.h"
#include "golden/request.h"
#include "plan/artifact/artifact_priv.h"
#include "plan/artifact/index.h"
#include "tensor/npy.h"

#include <string.h>

enum { SHOWN = 12 }; // deployments an error lists

static bool same_dims(const ap_tensor *t, const int64_t *dims, size_t rank) {
    if (t->rank != rank) return false;
    for (size_t i = 0; i < rank; i++)
        if (dims[i] >= 0 && dims[i] != t->dims[i]) return false;
    return true;
}

static bool same_bytes(uint64_t bytes, ap_dtype dtype, const int64_t *dims, size_t rank) {
    size_t want = 0;
    for (size_t i = 0; i < rank; i++)
        if (dims[i] < 0) return true;
    ap_err err = ap_shape_bytes(dtype, dims, rank, &want);
    bool known = !err;
    ap_err_free(err);
    return known && want == bytes;
}

ap_err ap_pick_file_fits(const char *file, ap_dtype dtype, const int64_t *dims, size_t rank, bool *fits) {
    const char *ext = ap_path_ext(file);
    ap_tensor t = {0};
    uint64_t bytes = 0;
    ap_err err = NULL;
    *fits = true;
    if (!strcmp(ext, ".npy") || !strcmp(ext, ".pb")) {
        AP_TRY(strcmp(ext, ".pb") ? ap_npy_map(file, &t) : ap_tensor_load_pb(file, &t));
        *fits = same_dims(&t, dims, rank);
    } else if (!strcmp(ext, ".raw") || !strcmp(ext, ".bin")) {
        AP_TRY(ap_file_size(file, &bytes));
        *fits = same_bytes(bytes, dtype, dims, rank);
    }
done:
    ap_tensor_free(&t);
    return err;
}

// ---- choosing

typedef struct choosing {
    aipc_context *ctx;
    const char *dir, *target;
    const char *const *inputs;
    size_t count;
    ap_arena *a;
    const char *chosen;
    ap_buf seen; // what the others take
    size_t others, failed;
} choosing;

static ap_err takes(const choosing *c, const aipc_artifact *a, bool *fits) {
    *fits = true;
    for (size_t i = 0; i < c->count && *fits; i++) {
        char *name = NULL;
        const char *file = NULL;
        ap_err err = ap_request_split(c->inputs[i], "--input", "NAME=FILE", c->a, &name, &file);
        if (err) return err;
        const aipc_tensor *want = NULL;
        for (size_t k = 0; k < a->input_count && !want; k++)
            if (!strcmp(a->inputs[k].name, name)) want = &a->inputs[k];
        *fits = want != NULL;
        if (!want) continue;
        err = ap_pick_file_fits(file, ap_dtype_from_name(want->dtype), want->dims, want->rank, fits);
        if (err) return err;
    }
    return NULL;
}

static void note(choosing *c, const aipc_artifact *a) {
    if (c->others++ >= SHOWN) return;
    if (c->seen.len) ap_buf_puts(&c->seen, "; ");
    for (size_t i = 0; i < a->input_count; i++) {
        ap_buf_printf(&c->seen, "%s%s ", i ? ", " : "", a->inputs[i].name);
        ap_shape_format(a->inputs[i].dims, a->inputs[i].rank, &c->seen);
    }
}

static ap_err look_at(choosing *c, const char *below) {
    char *dir = ap_path_join(c->a, c->dir, below);
    aipc_artifact *a = NULL;
    bool fits = false;
    if (!ap_index_inside(below))
        return ap_err_new(AP_ERR_CORRUPT, "the index names a folder outside: '%s'", below);
    if (!ap_file_exists(ap_path_join(c->a, dir, AP_MANIFEST))) return NULL;
    ap_err err = ap_artifact_open_manifest(c->ctx, dir, c->target, &a);
    if (ap_err_code(err) == AP_ERR_TARGET_UNKNOWN) { // deployed, but not for this target
        ap_err_free(err);
        return NULL;
    }
    if (!err) err = takes(c, a, &fits);
    if (!err && !fits) note(c, a);
    if (!err && fits) {
        if (strcmp(ap_json_str(a->target, "verdict", "pass"), "fail") != 0)
            c->chosen = dir;
        else
            c->failed++;
    }
    ap_artifact_close(a);
    return err;
}

static ap_err none_fits(const choosing *c) {
    if (c->failed) {
        ap_err err = ap_err_new(AP_ERR_GATE, "the deployment for these inputs failed its gates");
        return ap_err_hint(err, "see its report; a folder below %s can be run by its own name", c->dir);
    }
    if (!c->others)
        return ap_err_new(AP_ERR_TARGET_UNKNOWN, "nothing below %s was deployed%s%s", c->dir,
                          c->target ? " for " : "", c->target ? c->target : "");
    ap_err err = ap_err_new(AP_ERR_INPUT_SHAPE, "none of the %zu deployments takes these inputs", c->others);
    return ap_err_hint(err, "they take %s%s", ap_buf_str(&c->seen), c->others > SHOWN ? "; …" : "");
}

ap_err ap_pick(aipc_context *ctx, const char *dir, const char *target, const char *const *inputs,
               size_t count, ap_arena *a, const char **out) {
    choosing c = {.ctx = ctx, .dir = dir, .target = target, .inputs = inputs, .count = count, .a = a};
    json_t *index = NULL, *m, *one;
    size_t i, k;
    ap_err err = NULL;
    *out = dir;
    AP_TRY(ap_index_load(dir, &index));
    if (!index) goto done;
    json_array_foreach(json_object_get(index, "models"), i, m)
        json_array_foreach(json_object_get(m, "artifacts"), k, one) if (!c.chosen)
            AP_TRY(look_at(&c, ap_json_str(one, "dir", "")));
    if (!c.chosen) err = none_fits(&c);
    if (!err) *out = c.chosen;
done:
    ap_buf_free(&c.seen);
    json_decref(index);
    return ap_err_subject(err, dir);
}
