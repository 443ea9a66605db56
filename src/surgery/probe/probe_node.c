// SPDX-License-Identifier: Apache-2.0
// Probes from the nodes of a model.
#include "surgery/probe/probe_priv.h"

#include <string.h>

// The data of a constant value: an initializer, or what a Constant node holds.
static const Onnx__TensorProto *constant_of(const ap_value *v) {
    if (v->kind == AP_VALUE_INITIALIZER) return v->init;
    if (v->kind != AP_VALUE_NODE || strcmp(v->producer->op, "Constant") != 0) return NULL;
    const Onnx__AttributeProto *at = ap_node_attr(v->producer, "value");
    return at ? at->t : NULL;
}

static void skip(ap_probe *p, ap_probe_set *s, const char *reason) {
    ap_probe_decide(p, AP_PROBE_UNASKED, reason, &s->arena);
}

bool ap_probe_decides_shape(const char *op, size_t input) {
    static const struct {
        const char *op;
        size_t from, to;
    } table[] = {
        {"Reshape", 1, 1}, {"Expand", 1, 1},          {"Slice", 1, 4},   {"Tile", 1, 1},
        {"Pad", 1, 1},     {"Range", 0, 2},           {"Resize", 1, 3},  {"TopK", 1, 1},
        {"OneHot", 1, 1},  {"ConstantOfShape", 0, 0}, {"Squeeze", 1, 1}, {"Unsqueeze", 1, 1},
        {"Split", 1, 1},   {"Upsample", 1, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].op, op) == 0 && input >= table[i].from && input <= table[i].to) return true;
    return false;
}

static ap_err add_constant(ap_probe_set *s, ap_model *m, ap_probe *p, const ap_value *v,
                           const Onnx__TensorProto *t) {
    ap_tensor data;
    ap_err err = ap_model_tensor(m, t, &data);
    if (err) return err;
    p->graph->initializer[p->graph->n_initializer++] = ap_probe_make_tensor(&s->arena, v->name, &data);
    return NULL;
}

static bool has_value(const ap_probe *p, const char *name) {
    for (size_t i = 0; i < p->graph->n_initializer; i++)
        if (strcmp(p->graph->initializer[i]->name, name) == 0) return true;
    for (size_t i = 0; i < p->input_count; i++)
        if (strcmp(p->inputs[i].name, name) == 0) return true;
    return false;
}

// One input of the node: a constant, or values to be made. Says in *why what cannot be done.
static ap_err add_input(ap_probe_set *s, ap_model *m, ap_probe *p, const ap_node *n, size_t i,
                        const ap_value_type *types, const char **why) {
    const ap_value *v = n->inputs[i];
    const Onnx__TensorProto *t = v ? constant_of(v) : NULL;
    if (!v || has_value(p, v->name)) return NULL;
    if (v->sparse) *why = "a sparse constant";
    if (t) return add_constant(s, m, p, v, t);
    if (types[i].dtype == AP_DTYPE_NONE || ap_dtype_bits(types[i].dtype) == 0)
        *why = "an input's type is not known";
    if (ap_probe_decides_shape(n->op, i))
        *why = "an input that decides shapes is not constant: freeze the model first";
    size_t count = 0;
    ap_err bad = ap_shape_count(types[i].dims, types[i].rank, &count);
    if (bad) *why = "an input's shape is not fixed";
    ap_err_free(bad);
    if (*why) return NULL;
    p->graph->input[p->graph->n_input++] = ap_probe_make_value_info(&s->arena, v->name, &types[i]);
    p->inputs[p->input_count++] = (ap_probe_input){
        .name = v->name, .type = types[i], .values = ap_probe_values_for(n->proto, i, types, n->input_count)};
    return NULL;
}

static void take_opsets(ap_probe_set *s, ap_probe *p, const ap_model *m) {
    p->opsets = ap_arena_calloc(&s->arena, 2, sizeof *p->opsets);
    p->opsets[p->opset_count++] = ap_probe_make_opset(&s->arena, "", m->opset ? m->opset : 17);
    if (!*p->domain) return;
    int64_t version = 1;
    for (size_t i = 0; i < m->proto->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *o = m->proto->opset_import[i];
        if (o->domain && strcmp(o->domain, p->domain) == 0) version = o->version;
    }
    p->opsets[p->opset_count++] = ap_probe_make_opset(&s->arena, p->domain, version);
}

// Types of all inputs, dtype NONE where nothing is known. Constants are read off their tensors.
static void find_types(const ap_node *n, ap_probe_type_fn type_of, void *user, ap_value_type *types) {
    for (size_t i = 0; i < n->input_count; i++) {
        const ap_value *v = n->inputs[i];
        const Onnx__TensorProto *t = v ? constant_of(v) : NULL;
        if (!v) continue;
        if (t && t->n_dims <= AP_MAX_RANK) {
            types[i] = (ap_value_type){.dtype = (ap_dtype)t->data_type, .rank = t->n_dims};
            if (t->n_dims) memcpy(types[i].dims, t->dims, t->n_dims * sizeof *t->dims);
        } else if (!type_of || !type_of(user, v->name, &types[i])) {
            if (!ap_value_shape(v, &types[i].dtype, types[i].dims, &types[i].rank, NULL))
                types[i].dtype = AP_DTYPE_NONE;
        }
    }
}

static void take_outputs(ap_probe_set *s, ap_probe *p, const ap_node *n) {
    Onnx__GraphProto *g = p->graph;
    g->output = ap_arena_calloc(&s->arena, n->output_count + 1, sizeof *g->output);
    for (size_t i = 0; i < n->output_count; i++)
        if (n->outputs[i])
            g->output[g->n_output++] = ap_probe_make_value_info(&s->arena, n->outputs[i]->name, NULL);
}

ap_err ap_probe_add_node(ap_probe_set *s, ap_model *m, const ap_node *n, ap_probe_type_fn type_of,
                         void *user) {
    ap_probe *p = ap_probe_push(s);
    ap_value_type *types = ap_arena_calloc(&s->arena, n->input_count + 1, sizeof *types);
    const char *why = NULL;
    p->op = n->op;
    p->domain = n->domain;
    p->variant = n->name;
    p->graph = ap_arena_alloc(&s->arena, sizeof *p->graph);
    onnx__graph_proto__init(p->graph);
    Onnx__GraphProto *g = p->graph;
    g->initializer = ap_arena_calloc(&s->arena, n->input_count + 1, sizeof *g->initializer);
    g->input = ap_arena_calloc(&s->arena, n->input_count + 1, sizeof *g->input);
    g->node = ap_arena_calloc(&s->arena, 1, sizeof *g->node);
    g->node[g->n_node++] = n->proto;
    p->inputs = ap_arena_calloc(&s->arena, n->input_count + 1, sizeof *p->inputs);
    take_opsets(s, p, m);
    take_outputs(s, p, n);
    find_types(n, type_of, user, types);
    if (n->subgraph_count) why = "it has a body: bodies are asked about when they are inlined or unrolled";
    for (size_t i = 0; !why && i < n->input_count; i++) {
        ap_err err = add_input(s, m, p, n, i, types, &why);
        if (err) {
            s->count--;
            return ap_err_context(err, "node '%s'", n->name);
        }
    }
    if (why)
        skip(p, s, why);
    else
        ap_probe_sign(s, p);
    return NULL;
}
