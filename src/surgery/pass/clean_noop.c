// SPDX-License-Identifier: Apache-2.0
// The passes `dead`, `identity` and `noop`: what can go without anything taking its place.
#include "graph/nodes.h"
#include "surgery/pass/fold.h"
#include "surgery/pass/fold_flow.h"

#include <string.h>

// Everything that read output 0 of `n` reads `v`; the node, now dead, goes with the caller's sweep. When
// nothing was won (the name has to stay and needs an Identity to carry it) it is left alone. Callers walk
// from the front, so that dead readers do not pile up along a row.
static ap_err bypass(ap_model *m, ap_node *n, ap_value *v, ap_pass_result *r) {
    ap_value *out = n->outputs[0];
    bool seen = out->is_output || out->used_by_subgraph;
    bool movable = v->kind == AP_VALUE_NODE && !v->is_output && !v->used_by_subgraph;
    if (seen && !movable) return NULL;
    ap_err err = ap_graph_replace_value(m->graph, out, v, NULL);
    if (!err) ap_pass_touch(r, n->op);
    return err;
}

ap_err ap_pass_dead(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    ap_graph *g = m->graph;
    (void)c;
    size_t constants = g->proto->n_initializer, gone = ap_graph_sweep(g);
    for (size_t i = 0; i < gone; i++) ap_pass_touch(r, "node");
    for (size_t i = g->proto->n_initializer; i < constants; i++) ap_pass_touch(r, "constant");
    return NULL;
}

// ---- identity

static bool only_first_output(const ap_node *n) {
    for (size_t k = 1; k < n->output_count; k++)
        if (n->outputs[k] &&
            (n->outputs[k]->use_count || n->outputs[k]->is_output || n->outputs[k]->used_by_subgraph))
            return false;
    return n->output_count > 0 && n->outputs[0] && n->input_count > 0 && n->inputs[0];
}

static bool is_inference_dropout(ap_model *m, const ap_node *n) {
    ap_tensor t;
    if (!ap_node_is(n, "Dropout")) return false;
    if (m->opset < 7) return ap_node_attr_int(n, "is_test", 0) != 0;
    if (n->input_count < 3 || !n->inputs[2]) return true;
    return ap_pass_constant(m, n->inputs[2], &t) && t.dtype == AP_BOOL && ap_tensor_count(&t) == 1 &&
           ap_tensor_at(&t, 0) == 0;
}

// The element type of a value as far as the graph itself says it.
static ap_dtype dtype_of(const ap_value *v) {
    ap_dtype t = AP_DTYPE_NONE;
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    if (v->init) return (ap_dtype)v->init->data_type;
    if (v->producer && ap_node_is(v->producer, "Cast"))
        return (ap_dtype)ap_node_attr_int(v->producer, "to", AP_DTYPE_NONE);
    if (v->producer && (ap_node_is(v->producer, "Shape") || ap_node_is(v->producer, "Size"))) return AP_I64;
    return ap_value_shape(v, &t, dims, &rank, NULL) ? t : AP_DTYPE_NONE;
}

static bool is_same_cast(const ap_node *n) {
    if (!ap_node_is(n, "Cast")) return false;
    ap_dtype to = (ap_dtype)ap_node_attr_int(n, "to", AP_DTYPE_NONE);
    return to != AP_DTYPE_NONE && dtype_of(n->inputs[0]) == to;
}

ap_err ap_pass_identity(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    ap_graph *g = m->graph;
    (void)c;
    for (size_t i = 0; i < g->node_count; i++) {
        ap_node *n = g->nodes[i];
        if (!only_first_output(n)) continue;
        if (!ap_node_is(n, "Identity") && !is_inference_dropout(m, n) && !is_same_cast(n)) continue;
        ap_err err = bypass(m, n, n->inputs[0], r);
        if (err) return err;
    }
    if (r->changed) ap_graph_sweep(g);
    return NULL;
}

// ---- noop

// The elements of input `i`, when they are a constant of whole numbers.
static bool numbers(ap_model *m, const ap_node *n, size_t i, ap_tensor *t) {
    return i < n->input_count && n->inputs[i] && ap_pass_constant(m, n->inputs[i], t) &&
           ap_dtype_is_int(t->dtype);
}

static bool all_equal(const ap_tensor *t, double want) {
    for (size_t i = 0; i < ap_tensor_count(t); i++)
        if (ap_tensor_at(t, i) != want) return false;
    return true;
}

// Steps that are not 1 turn a line round, or leave elements out.
static bool slice_keeps_order(ap_model *m, const ap_node *n) {
    ap_tensor t;
    if (m->opset < 10 || n->input_count < 5 || !n->inputs[4]) return true;
    return numbers(m, n, 4, &t) && all_equal(&t, 1);
}

static bool pads_nothing(ap_model *m, const ap_node *n) {
    ap_tensor t;
    if (m->opset >= 11) return numbers(m, n, 1, &t) && all_equal(&t, 0);
    const Onnx__AttributeProto *at = ap_node_attr(n, m->opset < 2 ? "paddings" : "pads");
    for (size_t i = 0; at && i < at->n_ints; i++)
        if (at->ints[i]) return false;
    return at != NULL;
}

static bool joins_one(const ap_node *n) {
    static const char *const ops[] = {"Concat", "Sum", "Max", "Min", "Mean"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ap_node_is(n, ops[i])) return n->input_count == 1;
    return false;
}

// Leaves the elements and their order alone, and the shape too when that comes out the same.
static bool only_shapes(ap_model *m, const ap_node *n) {
    static const char *const ops[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ap_node_is(n, ops[i])) return true;
    if (ap_node_is(n, "Slice")) return slice_keeps_order(m, n);
    if (ap_node_is(n, "Split")) return n->output_count == 1;
    return false;
}

static bool same_shape(const ap_flow *flow, ap_types *types, const ap_value *a, const ap_value *b) {
    const ap_value_type *x = ap_types_get(types, a), *y = ap_types_get(types, b);
    if (!x || !y || ((ap_flow_get(flow, a) | ap_flow_get(flow, b)) & AP_FLOW_SHAPE)) return false;
    return ap_shape_equal(x->dims, x->rank, y->dims, y->rank);
}

static bool any_candidate(ap_model *m) {
    for (size_t i = 0; i < m->graph->node_count; i++) {
        const ap_node *n = m->graph->nodes[i];
        if (only_first_output(n) && only_shapes(m, n)) return true;
    }
    return false;
}

ap_err ap_pass_noop(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    ap_graph *g = m->graph;
    ap_types *types = NULL;
    ap_flow flow = {0};
    ap_err err = NULL;
    if (any_candidate(m)) AP_TRY(ap_types_measure(m, c, &types));
    ap_flow_of(m, &flow);
    for (size_t i = 0; i < g->node_count; i++) {
        ap_node *n = g->nodes[i];
        if (!only_first_output(n)) continue;
        bool nothing = joins_one(n) || (ap_node_is(n, "Pad") && pads_nothing(m, n)) ||
                       (only_shapes(m, n) && same_shape(&flow, types, n->inputs[0], n->outputs[0]));
        if (nothing) AP_TRY(bypass(m, n, n->inputs[0], r));
    }
    if (r->changed) ap_graph_sweep(g);
done:
    ap_flow_release(&flow);
    return err;
}
