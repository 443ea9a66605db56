// SPDX-License-Identifier: Apache-2.0
#include "plan/surgery/outside.h"

#include "plan/work/store.h"

#include <string.h>

enum { PAGE = 4096 }; // smaller ones stay inside: they cost nothing

// Bytes of the main graph's initializers that are in the file itself, and whether any lie elsewhere.
static size_t weight_bytes(const ap_model *m, bool *elsewhere) {
    const Onnx__GraphProto *g = m->proto->graph;
    size_t sum = 0;
    *elsewhere = false;
    for (size_t i = 0; i < g->n_initializer; i++) {
        const Onnx__TensorProto *t = g->initializer[i];
        if (t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__LOCATION__EXTERNAL)
            *elsewhere = true;
        else if (t->has_raw_data && !ap_add_size(sum, t->raw_data.len, &sum))
            sum = SIZE_MAX;
    }
    return sum;
}

// What lies elsewhere already keeps its name: it is linked, or copied once.
static ap_err move_out(ap_model **m, bool inside, ap_arena *a, const char *dir) {
    const ap_save_options out = {.external_name = "given.weights", .external_min_bytes = PAGE};
    const char *path = ap_path_join(a, dir, "given.onnx");
    ap_model *moved = NULL;
    ap_err err = ap_model_save(*m, path, inside ? &out : NULL);
    if (!err) err = ap_model_load(path, &moved);
    if (err) return err;
    ap_model_free(*m);
    *m = moved;
    return NULL;
}

ap_err ap_table_folder(aipc_context *c, ap_model **m, ap_arena *a, char **dir, bool *embed) {
    bool elsewhere = false;
    ap_store store = {0};
    ap_err err = NULL;
    size_t bytes = weight_bytes(*m, &elsewhere);
    *embed = !elsewhere && bytes > AP_OUTSIDE_BYTES;
    if (!elsewhere && !*embed) return ap_mkdtemp(ap_path_scratch(a), "aipc", a, dir);
    AP_TRY(ap_store_open(c->cache_dir, &store));
    AP_TRY(ap_store_begin(&store, a, dir));
    AP_TRY(move_out(m, *embed, a, *dir));
done:
    ap_store_close(&store);
    return err;
}
