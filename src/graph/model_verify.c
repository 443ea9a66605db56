// SPDX-License-Identifier: Apache-2.0
#include "graph/model_priv.h"

#include <string.h>

// What must hold for every model that loads, and after every edit.

enum {
    OLDEST_OPSET = 1, // ONNX Runtime promises 7 and up; older ones it runs are none of our business to refuse
    NEWEST_OPSET = 24,
    NEWEST_IR = 20
}; // IR 14 is the newest there is; some air above it

static ap_err invalid(const char *subject, ap_err err) {
    return ap_err_subject(err, subject);
}

// ---- versions

static ap_err check_opsets(const ap_model *m) {
    const Onnx__ModelProto *p = m->proto;
    bool seen = false;
    for (size_t i = 0; i < p->n_opset_import; i++) {
        const char *domain = p->opset_import[i]->domain;
        if (domain && *domain && strcmp(domain, "ai.onnx") != 0) continue;
        if (seen) return ap_err_new(AP_ERR_MODEL_INVALID, "the model imports the ai.onnx operators twice");
        seen = true;
        long long v = p->opset_import[i]->version;
        if (v < OLDEST_OPSET || v > NEWEST_OPSET) {
            ap_err err = ap_err_new(AP_ERR_MODEL_INVALID, "ai.onnx opset %lld is outside %d to %d", v,
                                    OLDEST_OPSET, NEWEST_OPSET);
            return ap_err_hint(
                err,
                "convert the model (onnx.version_converter) or export it again with an opset in this range");
        }
    }
    return NULL;
}

static ap_err check_versions(const ap_model *m) {
    long long ir = m->proto->ir_version;
    if (!m->proto->has_ir_version) return ap_err_new(AP_ERR_MODEL_INVALID, "the model has no ir_version");
    if (ir < 1 || ir > NEWEST_IR)
        return ap_err_new(AP_ERR_MODEL_INVALID, "ir_version %lld is outside 1 to %d", ir, NEWEST_IR);
    return check_opsets(m);
}

// ---- structure: the index says what the messages say

static bool in_graph(const ap_graph *g, const ap_value *v, const char *name) {
    return v && name && !strcmp(v->name, name) && ap_map_get(&g->values, name) == v;
}

static ap_err check_slots(const ap_graph *g, const ap_node *n) {
    const Onnx__NodeProto *p = n->proto;
    bool same = n->input_count == p->n_input && n->output_count == p->n_output;
    for (size_t i = 0; same && i < n->input_count; i++)
        same = n->inputs[i] ? in_graph(g, n->inputs[i], p->input[i]) : !*p->input[i];
    for (size_t i = 0; same && i < n->output_count; i++) {
        const ap_value *v = n->outputs[i];
        same =
            v ? in_graph(g, v, p->output[i]) && v->producer == n && v->producer_output == i : !*p->output[i];
    }
    if (same) return NULL;
    return invalid(n->name, ap_err_new(AP_ERR_INTERNAL, "node \"%s\" and its message differ", n->name));
}

// Attributes are looked up by name: each has one of its own.
static ap_err check_attributes(const ap_node *n) {
    const Onnx__NodeProto *p = n->proto;
    ap_map seen = {0};
    ap_err err = NULL;
    for (size_t i = 0; i < p->n_attribute; i++) {
        const char *name = p->attribute[i]->name;
        if (!name || !*name)
            AP_FAIL(AP_ERR_MODEL_INVALID, "attribute %zu of node \"%s\" has no name", i, n->name);
        if (p->n_attribute > 1 && !ap_map_add(&seen, name, NULL))
            AP_FAIL(AP_ERR_MODEL_INVALID, "node \"%s\" has two attributes \"%s\"", n->name, name);
    }
done:
    ap_map_free(&seen);
    return ap_err_subject(err, n->name);
}

typedef struct order_check {
    const ap_node *node;
    const ap_node *late; // a maker that stands behind its user
} order_check;

static void see_order(ap_node *maker, void *user) {
    order_check *c = user;
    if (maker->index >= c->node->index) c->late = maker;
}

static ap_err check_node(const ap_graph *g, size_t i, bool has_main_opset) {
    const ap_node *n = g->nodes[i];
    if (n->index != i || g->proto->node[i] != n->proto || ap_map_get(&g->by_name, n->name) != n)
        return invalid(n->name,
                       ap_err_new(AP_ERR_INTERNAL, "node \"%s\" is not where the index says", n->name));
    if (!*n->domain && !has_main_opset)
        return invalid(n->name,
                       ap_err_new(AP_ERR_MODEL_INVALID,
                                  "node \"%s\" (%s) needs ai.onnx operators, which the model does not import",
                                  n->name, n->op));
    ap_err err = check_slots(g, n);
    if (!err) err = check_attributes(n);
    if (err) return err;
    order_check c = {n, NULL};
    ap_node_needs(n, see_order, &c);
    if (!c.late) return NULL;
    if (c.late == n)
        return invalid(n->name,
                       ap_err_new(AP_ERR_MODEL_CYCLE, "node \"%s\" (%s) needs itself", n->name, n->op));
    return invalid(n->name,
                   ap_err_new(AP_ERR_MODEL_INVALID, "node \"%s\" stands before \"%s\", which it needs",
                              n->name, c.late->name));
}

static ap_err check_graph(const ap_graph *g, bool has_main_opset) {
    ap_err err = NULL;
    if (g->node_count != g->proto->n_node || g->output_count != g->proto->n_output)
        AP_FAIL(AP_ERR_INTERNAL, "the graph's index and messages differ");
    for (size_t i = 0; i < g->node_count; i++) {
        AP_TRY(check_node(g, i, has_main_opset));
        for (size_t k = 0; k < g->nodes[i]->subgraph_count; k++)
            AP_TRY(check_graph(g->nodes[i]->subgraphs[k], has_main_opset));
    }
    for (size_t i = 0; i < g->output_count; i++)
        if (!in_graph(g, g->outputs[i], g->proto->output[i]->name))
            AP_FAIL(AP_ERR_INTERNAL, "graph output %zu and its message differ", i);
done:
    return err;
}

// ---- tensors and declared types, wherever they stand

static ap_err check_declared(const Onnx__ValueInfoProto *v) {
    const char *name = v->name && *v->name ? v->name : "(unnamed value)";
    const Onnx__TypeProto *type = v->type;
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type->shape)
        return NULL;
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    int64_t dims[AP_MAX_RANK];
    size_t known = 0, count;
    if (shape->n_dim > AP_MAX_RANK)
        return invalid(name, ap_err_new(AP_ERR_MODEL_DIMS,
                                        "value \"%s\" has %zu dimensions, at most %d are supported", name,
                                        shape->n_dim, AP_MAX_RANK));
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *d = shape->dim[i];
        if (d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) continue;
        if (d->dim_value == AP_OPEN_DIM) continue;
        if (d->dim_value < 0) {
            ap_err err = ap_err_new(AP_ERR_MODEL_DIMS, "value \"%s\": dimension %zu is %lld", name, i,
                                    (long long)d->dim_value);
            return invalid(
                name,
                ap_err_hint(
                    err, "a dimension that is not fixed is given a name or left out, not a negative number"));
        }
        dims[known++] = d->dim_value;
    }
    ap_err err = ap_shape_count(dims, known, &count);
    return err ? invalid(name, ap_err_context(err, "value \"%s\"", name)) : NULL;
}

static ap_err check_message(ProtobufCMessage *msg, void *user) {
    const ap_model *m = user;
    if (msg->descriptor == &onnx__value_info_proto__descriptor)
        return check_declared((Onnx__ValueInfoProto *)msg);
    if (msg->descriptor != &onnx__tensor_proto__descriptor) return NULL;
    const Onnx__TensorProto *t = (Onnx__TensorProto *)msg;
    ap_err err = ap_proto_check(t);
    if (err || !ap_is_external(t)) return err;
    const uint8_t *data;
    size_t bytes;
    return ap_external_data(m, t, &data, &bytes);
}

ap_err ap_model_verify(const ap_model *m) {
    ap_err err = check_versions(m);
    if (!err) err = check_graph(m->graph, m->opset > 0);
    if (!err)
        err =
            ap_tree_walk((ProtobufCMessage *)(uintptr_t)&m->proto->base, check_message, (void *)(uintptr_t)m);
    return err;
}
