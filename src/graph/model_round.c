// SPDX-License-Identifier: Apache-2.0
// A model whose values go through float16: how far from its own numbers does that arithmetic take it?
#include "graph/nodes.h"

#include <math.h>

#define HALF_MAX 65504.0 // largest finite float16

// A constant beyond the range stands for "no bound" (Clip), or for a scale targets fold away: it stays.
static bool fits(ap_model *m, const ap_value *v) {
    const Onnx__AttributeProto *at = v->producer ? ap_node_attr(v->producer, "value") : NULL;
    const Onnx__TensorProto *proto = v->init ? v->init : at ? at->t : NULL;
    ap_tensor t = {0};
    if (!proto) return true;
    ap_err err = ap_model_tensor(m, proto, &t);
    bool all = !err;
    for (size_t i = 0; all && i < ap_tensor_count(&t); i++) all = fabs(ap_tensor_at(&t, i)) <= HALF_MAX;
    ap_err_free(err);
    return all;
}

static ap_err cast(ap_graph *g, ap_value *v, ap_dtype to, const char *suffix, ap_node **out) {
    ap_arena *a = &g->model->arena;
    const char *name = ap_graph_free_name(g, ap_arena_printf(a, "%s%s", v->name, suffix));
    Onnx__AttributeProto *attr = ap_attr_int(a, "to", (int64_t)to);
    const ap_node_spec s = {.op = "Cast",
                            .inputs = &v,
                            .input_count = 1,
                            .outputs = &name,
                            .output_count = 1,
                            .attrs = &attr,
                            .attr_count = 1};
    return ap_graph_add_node(g, &s, out);
}

ap_err ap_model_round_half(ap_model *m, const char *const *names, size_t count) {
    ap_graph *g = m->graph;
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++) {
        ap_value *v = ap_graph_value(g, names[i]);
        ap_node *half = NULL, *back = NULL;
        if (!v || !fits(m, v)) continue;
        AP_TRY(cast(g, v, AP_F16, "_half", &half));
        AP_TRY(cast(g, half->outputs[0], AP_F32, "_rounded", &back));
        AP_TRY(ap_graph_replace_value(g, v, back->outputs[0], half));
    }
    AP_TRY(ap_graph_sort(g));
done:
    return err;
}
