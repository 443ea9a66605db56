// SPDX-License-Identifier: Apache-2.0
#include "target/cost.h"

#include "base/data.h"
#include "base/file.h"
#include "base/map.h"
#include "target/qnn_dump.h"
#include "target/refusals.h"

#include <stdio.h>
#include <string.h>

#define MAX_DUMP_BYTES ((size_t)512 << 20)

typedef struct cost_model {
    double matrix_macs_per_ms, dram_bytes_per_ms, vector_bytes_per_ms, nonlinear_bytes_per_ms;
    double on_chip_bytes, layer_overhead_ms, inference_overhead_ms;
    double version_rate; // what this version of the HTP reaches of the rest; 1 where nothing was measured
} cost_model;

static ap_err load_model(const ap_soc *soc, cost_model *m) {
    size_t len = 0;
    const char *text = ap_data_get("cost.json", &len);
    json_t *j = NULL;
    ap_err err = text ? ap_json_parse(text, len, "cost.json", AP_ERR_INTERNAL, &j)
                      : ap_err_new(AP_ERR_INTERNAL, "cost.json is missing");
    if (err) return err;
    char version[16];
    snprintf(version, sizeof version, "%d", soc->htp_version);
    double rate = ap_json_num(json_object_get(j, "rate_of_htp_version"), version, 1);
    double gflops =
        soc->fp16_tflops.value * 1e3 * rate; // the units share a clock: all rates go with this one
    m->version_rate = rate;
    // Two operations are one MAC; 1 Giga a second = 1e6 a millisecond.
    m->matrix_macs_per_ms = gflops * 1e6 / 2.0 * ap_json_num(j, "matrix_efficiency", 1);
    m->dram_bytes_per_ms = soc->dram_gbps.value * 1e6;
    m->vector_bytes_per_ms = gflops * 1e6 * ap_json_num(j, "vector_bytes_per_flop", 0.15);
    m->nonlinear_bytes_per_ms = gflops * 1e6 * ap_json_num(j, "nonlinear_bytes_per_flop", 0.004);
    m->on_chip_bytes = (double)soc->vtcm_mib * 1048576.0 * ap_json_num(j, "on_chip_vtcm_multiple", 2);
    m->layer_overhead_ms = ap_json_num(j, "layer_overhead_us", 1) / 1e3 / rate;
    m->inference_overhead_ms = ap_json_num(j, "inference_overhead_us", 300) / 1e3 / rate;
    json_decref(j);
    return NULL;
}

static bool is_one_of(const char *op, const char *const *list) {
    for (; *list; list++)
        if (strcmp(op, *list) == 0) return true;
    return false;
}

// Folded into the op before it: no time of its own.
static bool is_folded(const char *op) {
    static const char *const ops[] = {"Relu", "Relu1", "Relu6", "ReluMinMax", NULL};
    return is_one_of(op, ops);
}

// Several vector instructions an element: exponentials, divisions, roots, two passes over a row.
static bool is_nonlinear(const char *op) {
    static const char *const ops[] = {"Softmax",
                                      "LogSoftmax",
                                      "Gelu",
                                      "LayerNorm",
                                      "RmsNorm",
                                      "InstanceNorm",
                                      "GroupNorm",
                                      "Sigmoid",
                                      "Tanh",
                                      "ElementWiseNeuron",
                                      "ElementWiseExp",
                                      "ElementWiseLog",
                                      "ElementWisePower",
                                      "ElementWiseSin",
                                      "ElementWiseCos",
                                      "HardSwish",
                                      "ElementWiseDivide",
                                      "L2Norm",
                                      NULL};
    return is_one_of(op, ops);
}

static double over(double work, double rate) {
    return rate > 0 ? work / rate : 0;
}

// Milliseconds of a layer and what bounds it.
static double layer_ms(const ap_qnn_layer *l, const cost_model *m, const char **bound) {
    double activations = (double)l->activation_bytes, weights = (double)l->weight_bytes, dram = weights;
    if (activations > m->on_chip_bytes) dram += activations;
    double compute = over((double)l->macs, m->matrix_macs_per_ms), memory = over(dram, m->dram_bytes_per_ms);
    double vector =
        over(activations + weights, is_nonlinear(l->op) ? m->nonlinear_bytes_per_ms : m->vector_bytes_per_ms);
    double slow = memory > vector ? memory : vector, ms = compute > slow ? compute : slow;
    *bound = compute >= slow ? "compute" : "memory";
    if (is_folded(l->op)) {
        *bound = "overhead";
        return 0;
    }
    if (ms < m->layer_overhead_ms) *bound = "overhead";
    return ms + m->layer_overhead_ms;
}

static json_t *layer_json(const ap_qnn_layer *l, const cost_model *m) {
    const char *bound = "";
    double ms = layer_ms(l, m, &bound);
    char name[1024];
    ap_refusals_plain_name(l->name, name, sizeof name);
    return json_pack("{so,so,sI,sI,sI,sf,ss}", "name", ap_json_string(name), "op", ap_json_string(l->op),
                     "macs", (json_int_t)l->macs, "weight_bytes", (json_int_t)l->weight_bytes,
                     "activation_bytes", (json_int_t)l->activation_bytes, "ms", ms, "bound", bound);
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
    add_assumption(
        list, "of which reached:", 100.0 * over(m->matrix_macs_per_ms, soc->fp16_tflops.value * 1e9 / 2.0),
        "% (fitted)", NULL);
    add_assumption(list, "DRAM:", soc->dram_gbps.value, "GB/s", &soc->dram_gbps);
    add_assumption(list, "moving and simple arithmetic, bytes touched:", m->vector_bytes_per_ms / 1e6,
                   "GB/s (fitted)", NULL);
    add_assumption(list, "softmax, norms and other nonlinear ops:", m->nonlinear_bytes_per_ms / 1e6,
                   "GB/s (fitted)", NULL);
    add_assumption(list, "a layer's activations stay on chip up to", m->on_chip_bytes / 1048576.0,
                   "MiB (assumed)", NULL);
    add_assumption(list, "overhead per layer", m->layer_overhead_ms * 1e3, "us (fitted)", NULL);
    add_assumption(list, "overhead per inference", m->inference_overhead_ms * 1e3, "us (fitted)", NULL);
    if (m->version_rate < 1 || m->version_rate > 1)
        add_assumption(list, "all rates of this HTP version times", m->version_rate, "(fitted, one SoC)",
                       NULL);
    json_array_append_new(
        list, json_string("fitted: to published latencies of eight float models, see docs/cost.md"));
    json_array_append_new(list, json_string("float tensors count 2 bytes an element; Relu and clipping are "
                                            "folded into the op before; nothing overlaps between layers"));
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
