// SPDX-License-Identifier: Apache-2.0
#include "target/cost.h"

#include "base/data.h"
#include "base/file.h"
#include "base/map.h"
#include "target/qnn_dump.h"
#include "target/refusals.h"

#include <string.h>

#define MAX_DUMP_BYTES ((size_t)512 << 20)

typedef struct cost_model {
    double matrix_macs_per_ms, dram_bytes_per_ms, vector_bytes_per_ms, layer_overhead_ms,
        inference_overhead_ms, vtcm_bytes;
} cost_model;

static ap_err load_model(const ap_soc *soc, cost_model *m) {
    size_t len = 0;
    const char *text = ap_data_get("cost.json", &len);
    json_t *j = NULL;
    ap_err err = text ? ap_json_parse(text, len, "cost.json", AP_ERR_INTERNAL, &j)
                      : ap_err_new(AP_ERR_INTERNAL, "cost.json is missing");
    if (err) return err;
    // Tera-operations count a multiply and an add: two operations are one MAC. 1 Tera/s = 1e9 a millisecond.
    m->matrix_macs_per_ms = soc->fp16_tflops.value * 1e9 / 2.0 * ap_json_num(j, "matrix_efficiency", 0.4);
    m->dram_bytes_per_ms = soc->dram_gbps.value * 1e6;
    m->vector_bytes_per_ms = ap_json_num(j, "vector_gbps", 400) * 1e6;
    m->vtcm_bytes = (double)soc->vtcm_mib * 1048576.0 * ap_json_num(j, "vtcm_share_for_activations", 0.5);
    m->layer_overhead_ms = ap_json_num(j, "layer_overhead_us", 1) / 1e3;
    m->inference_overhead_ms = ap_json_num(j, "inference_overhead_us", 150) / 1e3;
    json_decref(j);
    return NULL;
}

static json_t *layer_json(const ap_qnn_layer *l, const cost_model *m) {
    double touched = (double)l->activation_bytes + (double)l->weight_bytes;
    double dram = (double)l->weight_bytes;
    if ((double)l->activation_bytes > m->vtcm_bytes)
        dram += (double)l->activation_bytes; // does not stay on chip
    double compute = m->matrix_macs_per_ms > 0 ? (double)l->macs / m->matrix_macs_per_ms : 0;
    double memory = m->dram_bytes_per_ms > 0 ? dram / m->dram_bytes_per_ms : 0;
    double vector = m->vector_bytes_per_ms > 0 ? touched / m->vector_bytes_per_ms : 0;
    double slow = memory > vector ? memory : vector;
    const char *bound = compute >= slow ? "compute" : "memory";
    double ms = compute >= slow ? compute : slow;
    if (ms < m->layer_overhead_ms) bound = "overhead";
    char name[1024];
    ap_refusals_plain_name(l->name, name, sizeof name);
    return json_pack("{so,so,sI,sI,sI,sf,ss}", "name", ap_json_string(name), "op", ap_json_string(l->op),
                     "macs", (json_int_t)l->macs, "weight_bytes", (json_int_t)l->weight_bytes,
                     "activation_bytes", (json_int_t)l->activation_bytes, "ms", ms + m->layer_overhead_ms,
                     "bound", bound);
}

ap_err ap_cost_layers(const json_t *dump, const ap_soc *soc, json_t *layers) {
    ap_arena a = {0};
    ap_qnn_layer *list = NULL;
    size_t count = 0;
    cost_model m;
    ap_err err = NULL;
    AP_TRY(load_model(soc, &m));
    AP_TRY(ap_qnn_dump_layers(dump, &a, &list, &count));
    for (size_t i = 0; i < count; i++) json_array_append_new(layers, layer_json(&list[i], &m));
done:
    ap_arena_release(&a);
    return err;
}

static void add_assumption(json_t *list, const char *what, double value, const char *unit,
                           const ap_figure *f) {
    ap_buf b = {0};
    ap_buf_printf(&b, "%s %g %s%s", what, value, unit, f && f->assumed ? " (assumed)" : "");
    if (f && f->source && *f->source) ap_buf_printf(&b, ", %s", f->source);
    json_array_append_new(list, ap_json_string(ap_buf_str(&b)));
    ap_buf_free(&b);
}

static json_t *assumptions(const ap_soc *soc, const cost_model *m) {
    json_t *list = json_array();
    add_assumption(list, "matrix units, fp16:", soc->fp16_tflops.value, "TFLOP/s", &soc->fp16_tflops);
    add_assumption(list,
                   "of which reached:", 100.0 * m->matrix_macs_per_ms / (soc->fp16_tflops.value * 1e9 / 2.0),
                   "% (assumed)", NULL);
    add_assumption(list, "DRAM:", soc->dram_gbps.value, "GB/s", &soc->dram_gbps);
    add_assumption(list, "vector units, bytes touched:", m->vector_bytes_per_ms / 1e6, "GB/s (assumed)",
                   NULL);
    add_assumption(list, "activations of a layer stay on chip up to", m->vtcm_bytes / 1048576.0,
                   "MiB (half of VTCM, assumed)", NULL);
    add_assumption(list, "overhead per layer", m->layer_overhead_ms * 1e3, "us (assumed)", NULL);
    add_assumption(list, "overhead per inference", m->inference_overhead_ms * 1e3, "us (assumed)", NULL);
    json_array_append_new(
        list, json_string("float tensors count 2 bytes an element; nothing overlaps between layers"));
    return list;
}

ap_err ap_cost_from_dumps(const char *dir, const json_t *files, const ap_soc *soc, json_t **out) {
    ap_arena a = {0};
    json_t *layers = json_array(), *dump = NULL, *f;
    cost_model m;
    size_t i;
    ap_err err = NULL;
    double ms = 0;
    int64_t macs = 0, weights = 0, activations = 0;
    if (soc->fp16_tflops.value <= 0 || soc->dram_gbps.value <= 0) {
        *out = json_null();
        goto done;
    }
    AP_TRY(load_model(soc, &m));
    json_array_foreach((json_t *)(uintptr_t)files, i, f) {
        if (strcmp(ap_json_str(f, "role", ""), "qnn graph") != 0) continue;
        AP_TRY(ap_json_load(ap_path_join(&a, dir, ap_json_str(f, "file", "")), MAX_DUMP_BYTES, AP_ERR_VENDOR,
                            &dump));
        AP_TRY(ap_cost_layers(dump, soc, layers));
        json_decref(dump);
        dump = NULL;
    }
    json_array_foreach(layers, i, f) {
        ms += ap_json_num(f, "ms", 0);
        macs += ap_json_int(f, "macs", 0);
        weights += ap_json_int(f, "weight_bytes", 0);
        activations += ap_json_int(f, "activation_bytes", 0);
    }
    *out = json_pack("{sf,sI,sI,sI,so,sO}", "estimate_ms", ms + m.inference_overhead_ms, "macs",
                     (json_int_t)macs, "weight_bytes", (json_int_t)weights, "activation_bytes",
                     (json_int_t)activations, "assumptions", assumptions(soc, &m), "layers", layers);
done:
    json_decref(dump);
    json_decref(layers);
    ap_arena_release(&a);
    return err;
}
