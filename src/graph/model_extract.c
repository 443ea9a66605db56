// SPDX-License-Identifier: Apache-2.0
#include "graph/model_priv.h"

#include <stdlib.h>
#include <string.h>

// Cutting a part out of a model. Messages are copied, weights are not.

typedef struct cut {
    const ap_model *from;
    ap_model *to;
    ap_map inputs;   // values where the part begins
    ap_map values;   // values the part has, inputs included
    bool *nodes;     // by index: wanted
    ap_value **todo; // values whose makers are still to be looked at
    size_t todo_count, todo_cap;
} cut;

static void want(ap_value *v, void *user) {
    cut *c = user;
    if (!ap_map_add(&c->values, v->name, v)) return;
    if (c->todo_count == c->todo_cap) {
        c->todo_cap = c->todo_cap ? 2 * c->todo_cap : 64;
        c->todo = ap_realloc(c->todo, c->todo_cap * sizeof *c->todo);
    }
    c->todo[c->todo_count++] = v;
}

static void collect(cut *c) {
    while (c->todo_count) {
        const ap_value *v = c->todo[--c->todo_count];
        if (ap_map_has(&c->inputs, v->name) || !v->producer) continue;
        const ap_node *n = v->producer;
        if (c->nodes[n->index]) continue;
        c->nodes[n->index] = true;
        ap_node_reads(n, want, c);
    }
}

// Does the part hold the value without getting it through a cut?
static bool kept(const cut *c, const char *name) {
    return name && ap_map_has(&c->values, name) && !ap_map_has(&c->inputs, name);
}

static void copy_nodes(cut *c, Onnx__GraphProto *p) {
    const ap_graph *g = c->from->graph;
    p->node = ap_arena_calloc(&c->to->arena, g->node_count, sizeof *p->node);
    for (size_t i = 0; i < g->node_count; i++) {
        if (!c->nodes[i]) continue;
        p->node[p->n_node] = ap_tree_clone(&c->to->arena, g->nodes[i]->proto);
        p->node[p->n_node++]->name = ap_arena_strdup(&c->to->arena, g->nodes[i]->name);
    }
}

static void copy_constants(cut *c, Onnx__GraphProto *p) {
    const Onnx__GraphProto *from = c->from->graph->proto;
    ap_arena *a = &c->to->arena;
    p->initializer = ap_arena_calloc(a, from->n_initializer, sizeof *p->initializer);
    for (size_t i = 0; i < from->n_initializer; i++)
        if (kept(c, from->initializer[i]->name))
            p->initializer[p->n_initializer++] = ap_tree_clone(a, from->initializer[i]);
    p->sparse_initializer = ap_arena_calloc(a, from->n_sparse_initializer, sizeof *p->sparse_initializer);
    for (size_t i = 0; i < from->n_sparse_initializer; i++)
        if (kept(c, from->sparse_initializer[i]->values->name))
            p->sparse_initializer[p->n_sparse_initializer++] = ap_tree_clone(a, from->sparse_initializer[i]);
}

static void add_info(cut *c, Onnx__GraphProto *p, ap_map *have, const Onnx__ValueInfoProto *info) {
    const ap_value *v = info->name ? ap_map_get(&c->values, info->name) : NULL;
    if (!v || v->kind != AP_VALUE_NODE || !info->type || !kept(c, v->name) ||
        !ap_map_add(have, v->name, NULL))
        return;
    p->value_info[p->n_value_info++] = ap_tree_clone(&c->to->arena, info);
}

static void copy_infos(cut *c, Onnx__GraphProto *p, const char *const *outputs, size_t output_count) {
    const Onnx__GraphProto *from = c->from->graph->proto;
    ap_arena *a = &c->to->arena;
    ap_map have = {0};
    for (size_t i = 0; i < output_count; i++) ap_map_set(&have, outputs[i], NULL); // declared as outputs
    p->value_info = ap_arena_calloc(a, from->n_value_info + from->n_output, sizeof *p->value_info);
    for (size_t i = 0; i < from->n_value_info; i++) add_info(c, p, &have, from->value_info[i]);
    for (size_t i = 0; i < from->n_output; i++)
        add_info(c, p, &have, from->output[i]); // old outputs may be inner now
    ap_map_free(&have);
    p->quantization_annotation = ap_arena_calloc(a, from->n_quantization_annotation, sizeof(void *));
    for (size_t i = 0; i < from->n_quantization_annotation; i++) {
        const Onnx__TensorAnnotation *q = from->quantization_annotation[i];
        if (q->tensor_name && ap_map_has(&c->values, q->tensor_name))
            p->quantization_annotation[p->n_quantization_annotation++] = ap_tree_clone(a, q);
    }
}

// Listed inputs in the caller's order, then inputs of the whole model that are reached, in file order.
static ap_err make_inputs(cut *c, Onnx__GraphProto *p, ap_value **inputs, const ap_value_type *types,
                          size_t count) {
    const Onnx__GraphProto *from = c->from->graph->proto;
    ap_arena *a = &c->to->arena;
    p->input = ap_arena_calloc(a, count + from->n_input, sizeof *p->input);
    for (size_t i = 0; i < count; i++) {
        Onnx__ValueInfoProto *info = ap_make_info(a, inputs[i], types ? &types[i] : NULL);
        if (!info->type) {
            ap_err err = ap_err_new(AP_ERR_MODEL_INVALID,
                                    "the type of \"%s\" is not known, so the graph cannot be cut there",
                                    inputs[i]->name);
            return ap_err_subject(err, inputs[i]->name);
        }
        p->input[p->n_input++] = info;
    }
    for (size_t i = 0; i < from->n_input; i++)
        if (kept(c, from->input[i]->name)) p->input[p->n_input++] = ap_tree_clone(a, from->input[i]);
    return NULL;
}

static void make_outputs(cut *c, Onnx__GraphProto *p, ap_value **outputs, size_t count) {
    ap_arena *a = &c->to->arena;
    p->output = ap_arena_calloc(a, count, sizeof *p->output);
    for (size_t i = 0; i < count; i++) p->output[p->n_output++] = ap_make_info(a, outputs[i], NULL);
}

static void make_model(cut *c) {
    ap_arena *a = &c->to->arena;
    const Onnx__ModelProto *from = c->from->proto;
    Onnx__ModelProto *p = ap_tree_shallow(a, from);
    Onnx__GraphProto *g = ap_arena_alloc(a, sizeof *g);
    onnx__graph_proto__init(g);
    g->name = from->graph->name ? from->graph->name : ap_arena_strdup(a, "part");
    p->graph = NULL; // cloned piece by piece
    p = ap_tree_clone(a, p);
    p->graph = g;
    c->to->proto = p;
    c->to->opset = c->from->opset;
    c->to->dir = ap_arena_strdup(a, c->from->dir);
    c->to->edited = true;
}

ap_err ap_model_extract(const ap_model *m, const char *const *inputs, const ap_value_type *types,
                        size_t input_count, const char *const *outputs, size_t output_count, ap_model **out) {
    ap_err err = NULL;
    cut c = {.from = m, .to = ap_model_new()};
    ap_value **in = ap_calloc(input_count, sizeof *in), **result = ap_calloc(output_count, sizeof *result);
    c.nodes = ap_calloc(m->graph->node_count, sizeof *c.nodes);
    AP_TRY(ap_find_values(m->graph, inputs, input_count, in));
    AP_TRY(ap_find_values(m->graph, outputs, output_count, result));
    if (!output_count) AP_FAIL(AP_ERR_MODEL_INVALID, "a part of a model needs at least one output");
    for (size_t i = 0; i < input_count; i++) ap_map_set(&c.inputs, in[i]->name, in[i]);
    for (size_t i = 0; i < output_count; i++) want(result[i], &c);
    collect(&c);

    make_model(&c);
    Onnx__GraphProto *p = c.to->proto->graph;
    copy_nodes(&c, p);
    copy_constants(&c, p);
    copy_infos(&c, p, outputs, output_count);
    AP_TRY(make_inputs(&c, p, in, types, input_count));
    make_outputs(&c, p, result, output_count);
    AP_TRY(ap_index_build(c.to));
    AP_TRY(ap_model_verify(c.to));
    *out = c.to;
    c.to = NULL;
done:
    ap_model_free(c.to);
    ap_map_free(&c.inputs);
    ap_map_free(&c.values);
    free(c.todo);
    free(c.nodes);
    free(in);
    free(result);
    return err ? ap_err_context(err, "taking a part of the graph") : NULL;
}
