// SPDX-License-Identifier: Apache-2.0
// The files of the samples: do they hold what the log says, are they constant, is one the same as another.
#include "base/file.h"
#include "base/hash.h"
#include "base/map.h"
#include "plan/recording/recording.h"
#include "tensor/npy.h"

#include <string.h>

// What one pass over a recording counts.
typedef struct look {
    const char *dir;
    ap_arena arena;
    ap_sha256 hash; // of the sample at hand
    bool constant;  // all its inputs so far
    size_t broken, repeated;
    char why[200]; // of the first broken one
} look;

// Every element the same: nothing a program computes from data looks so.
static bool is_constant(const ap_tensor *t) {
    size_t width = ap_dtype_bits(t->dtype) / 8;
    const char *p = t->data;
    return width && t->bytes > width && !memcmp(p, p + width, t->bytes - width);
}

// Does the file hold the leaf's type and shape? Shapes of outputs may differ from call to call; of a tensor
// without data nothing is kept.
static ap_err check(const json_t *leaf, const ap_tensor *t, bool shape_too, const char *file) {
    ap_dtype want = ap_dtype_from_name(ap_json_str(leaf, "dtype", ""));
    const json_t *dims = json_object_get(leaf, "dims");
    if (want == AP_DTYPE_NONE || ap_dtype_bits(want) != ap_dtype_bits(t->dtype))
        return ap_err_new(AP_ERR_RECORDING, "%s holds %s, the log says %s", file, ap_dtype_name(t->dtype),
                          ap_json_str(leaf, "dtype", "?"));
    bool same = t->rank == json_array_size(dims);
    for (size_t i = 0; same && i < t->rank; i++)
        same = t->dims[i] == json_integer_value(json_array_get(dims, i));
    if (same || !shape_too || !ap_json_bool(leaf, "data", true)) return NULL;
    return ap_err_new(AP_ERR_RECORDING, "%s has another shape than the log says", file);
}

static ap_err look_at(look *l, const json_t *files, const json_t *leaves, bool input) {
    if (!json_is_array(leaves) || json_array_size(files) != json_array_size(leaves))
        return ap_err_new(AP_ERR_RECORDING, "%zu %s files for %zu tensors", json_array_size(files),
                          input ? "input" : "output", json_array_size(leaves));
    for (size_t i = 0; i < json_array_size(files); i++) {
        const char *file = json_string_value(json_array_get(files, i));
        ap_tensor t = {0};
        ap_err err = ap_npy_map(ap_path_join(&l->arena, l->dir, file), &t);
        if (!err) err = check(json_array_get(leaves, i), &t, input, file);
        if (!err && input) {
            ap_sha256_add(&l->hash, t.data, t.bytes);
            l->constant = l->constant && is_constant(&t);
        }
        ap_tensor_free(&t);
        if (err) return err;
    }
    return NULL;
}

static void look_at_signature(look *l, json_t *sig) {
    json_t *samples = json_object_get(sig, "samples"), *kept = json_array(), *one, *seen = json_object();
    bool constant = json_array_size(samples) && json_array_size(json_object_get(sig, "inputs"));
    size_t i;
    json_array_foreach(samples, i, one) {
        l->constant = true;
        ap_sha256_init(&l->hash);
        ap_err err = look_at(l, json_object_get(one, "inputs"), json_object_get(sig, "inputs"), true);
        ap_digest d = ap_sha256_finish(&l->hash);
        if (!err) err = look_at(l, json_object_get(one, "outputs"), json_object_get(sig, "outputs"), false);
        if (err) {
            if (!l->broken++) (void)snprintf(l->why, sizeof l->why, "%s", ap_err_message(err));
            ap_err_free(err);
            continue;
        }
        constant = constant && l->constant;
        if (json_object_get(seen, d.hex)) {
            l->repeated++;
            continue;
        }
        json_object_set_new(seen, d.hex, json_true());
        json_array_append(kept, one);
    }
    json_object_set_new(sig, "constant", json_boolean(constant));
    json_object_set_new(sig, "samples", kept);
    json_decref(seen);
}

ap_err ap_recording_samples(const char *dir, json_t *document) {
    look l = {.dir = dir};
    json_t *model, *sig, *notes = json_object_get(document, "notes");
    size_t i, k;
    json_array_foreach(json_object_get(document, "models"), i, model)
        json_array_foreach(json_object_get(model, "signatures"), k, sig) look_at_signature(&l, sig);
    if (l.broken) json_array_append_new(notes, json_sprintf("%zu samples are not used: %s", l.broken, l.why));
    if (l.repeated)
        json_array_append_new(notes, json_sprintf("%zu samples repeat the inputs of others", l.repeated));
    ap_arena_release(&l.arena);
    return NULL;
}
