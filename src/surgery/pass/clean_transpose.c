// SPDX-License-Identifier: Apache-2.0
// The passes `transpose` and `reshape`: data movement behind data movement.
#include "graph/nodes.h"
#include "surgery/pass/pass.h"

#include <stdlib.h>
#include <string.h>

static const Onnx__AttributeProto *perm_of(const ap_node *n) {
    const Onnx__AttributeProto *at = ap_node_attr(n, "perm");
    return at && at->n_ints && at->n_ints <= AP_MAX_RANK ? at : NULL; // without one: reversed, rank unknown
}

static bool is_identity_perm(const int64_t *perm, size_t rank) {
    for (size_t i = 0; i < rank; i++)
        if (perm[i] != (int64_t)i) return false;
    return true;
}

// `first` then `second` as one; false when the two do not fit each other.
static bool compose(const Onnx__AttributeProto *first, const Onnx__AttributeProto *second, int64_t *out) {
    if (first->n_ints != second->n_ints) return false;
    for (size_t i = 0; i < second->n_ints; i++) {
        int64_t at = second->ints[i];
        if (at < 0 || at >= (int64_t)first->n_ints) return false;
        out[i] = first->ints[at];
    }
    return true;
}

// May the name of `out` move to `v`, or is it seen by nobody?
static bool can_bypass(const ap_value *out, const ap_value *v) {
    if (!out->is_output && !out->used_by_subgraph) return true;
    return v->kind == AP_VALUE_NODE && !v->is_output && !v->used_by_subgraph;
}

static ap_err drop(ap_model *m, ap_node *n, ap_value *v, ap_pass_result *r) {
    if (!can_bypass(n->outputs[0], v)) return NULL;
    ap_pass_touch(r, n->op);
    return ap_graph_replace_value(m->graph, n->outputs[0], v, NULL); // the sweep takes the node
}

static ap_err merge_transposes(ap_model *m, ap_node *n, ap_pass_result *r) {
    const Onnx__AttributeProto *second = perm_of(n);
    int64_t perm[AP_MAX_RANK];
    if (second && is_identity_perm(second->ints, second->n_ints)) return drop(m, n, n->inputs[0], r);
    ap_node *before = n->inputs[0]->producer;
    if (!before || !ap_node_is(before, "Transpose") || !before->inputs[0]) return NULL;
    const Onnx__AttributeProto *first = perm_of(before);
    if (!first && !second && !ap_node_attr(n, "perm") && !ap_node_attr(before, "perm"))
        return drop(m, n, before->inputs[0], r); // twice reversed
    if (!first || !second || !compose(first, second, perm)) return NULL;
    if (is_identity_perm(perm, first->n_ints)) return drop(m, n, before->inputs[0], r);
    ap_node_set_attr(m->graph, n, ap_attr_ints(&m->arena, "perm", perm, first->n_ints));
    ap_pass_touch(r, n->op);
    return ap_node_set_input(m->graph, n, 0, before->inputs[0]);
}

ap_err ap_pass_transpose(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    ap_graph *g = m->graph;
    (void)c;
    for (size_t i = 0; i < g->node_count; i++) {
        ap_node *n = g->nodes[i];
        if (!ap_node_is(n, "Transpose") || !n->outputs[0] || !n->inputs[0]) continue;
        ap_err err = merge_transposes(m, n, r);
        if (err) return err;
    }
    if (r->changed) ap_graph_sweep(g);
    return NULL;
}

// ---- reshape

// Only changes the shape: the elements stay in their order.
static bool is_reshaping(const ap_node *n) {
    static const char *const ops[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ap_node_is(n, ops[i])) return n->input_count > 0 && n->inputs[0] != NULL;
    return false;
}

// A Reshape whose result does not depend on the shape of what comes in: no copied dim (0); one open dim (-1)
// is found from the number of elements, which stays.
static bool says_whole_shape(ap_model *m, const ap_node *n) {
    ap_tensor t;
    if (!ap_node_is(n, "Reshape") || m->opset < 5 || n->input_count < 2) return false;
    if (!ap_pass_constant(m, n->inputs[1], &t)) return false;
    for (size_t i = 0; i < ap_tensor_count(&t); i++)
        if (ap_tensor_at(&t, i) == 0) return false;
    return true;
}

ap_err ap_pass_reshape(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    ap_graph *g = m->graph;
    (void)c;
    // From the front: what lies behind a Reshape has been moved in front of the whole row already.
    for (size_t i = 0; i < g->node_count; i++) {
        ap_node *n = g->nodes[i];
        if (!says_whole_shape(m, n) || !n->inputs[0]) continue;
        ap_value *from = n->inputs[0];
        while (from->producer && is_reshaping(from->producer)) from = from->producer->inputs[0];
        if (from == n->inputs[0]) continue;
        ap_pass_touch(r, n->op);
        ap_err err = ap_node_set_input(g, n, 0, from);
        if (err) return err;
    }
    if (r->changed) ap_graph_sweep(g);
    return NULL;
}
