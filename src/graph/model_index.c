// SPDX-License-Identifier: Apache-2.0
#include "graph/model_priv.h"

#include <string.h>

// The IR over the messages of one graph. First everything that makes a value is declared, then uses are
// resolved, so a file whose nodes are out of order, or a cyclic one, is indexed all the same and judged later
// by the sort.

static const char *text(const char *s) {
    return s ? s : "";
}

ap_value *ap_graph_declare(ap_graph *g, const char *name, ap_value_kind kind) {
    ap_value *v = ap_arena_calloc(&g->model->arena, 1, sizeof *v);
    v->name = name;
    v->kind = kind;
    ap_map_set(&g->values, name, v);
    return v;
}

static ap_err twice(const char *name, const char *what) {
    ap_err err = ap_err_new(AP_ERR_MODEL_INVALID, "the name \"%s\" is given to two values (%s)", name, what);
    return ap_err_subject(err, name);
}

static ap_err unnamed(const char *what, size_t i) {
    return ap_err_new(AP_ERR_MODEL_INVALID, "%s %zu has no name", what, i);
}

static ap_err declare_inputs(ap_graph *g) {
    const Onnx__GraphProto *p = g->proto;
    for (size_t i = 0; i < p->n_input; i++) {
        const char *name = text(p->input[i]->name);
        if (!*name) return unnamed("graph input", i);
        if (ap_map_has(&g->values, name)) return twice(name, "both graph inputs");
        ap_graph_declare(g, name, AP_VALUE_INPUT)->info = p->input[i];
    }
    return NULL;
}

static ap_err declare_constant(ap_graph *g, const char *name, size_t i, ap_value **out) {
    if (!*name) return unnamed("initializer", i);
    ap_value *v = ap_map_get(&g->values, name);
    if (v && (v->kind != AP_VALUE_INPUT || v->init || v->sparse)) return twice(name, "both initializers");
    *out = v ? v : ap_graph_declare(g, name, AP_VALUE_INITIALIZER);
    return NULL;
}

static ap_err declare_initializers(ap_graph *g) {
    const Onnx__GraphProto *p = g->proto;
    ap_value *v;
    for (size_t i = 0; i < p->n_initializer; i++) {
        ap_err err = declare_constant(g, text(p->initializer[i]->name), i, &v);
        if (err) return err;
        v->init = p->initializer[i];
    }
    for (size_t i = 0; i < p->n_sparse_initializer; i++) {
        Onnx__SparseTensorProto *sp = p->sparse_initializer[i];
        ap_err err = declare_constant(g, sp->values ? text(sp->values->name) : "", i, &v);
        if (err) return err;
        v->sparse = sp;
    }
    // An input with a default needs no feeding.
    g->inputs = ap_arena_calloc(&g->model->arena, p->n_input, sizeof *g->inputs);
    for (size_t i = 0; i < p->n_input; i++) {
        v = ap_map_get(&g->values, p->input[i]->name);
        if (!v->init && !v->sparse) g->inputs[g->input_count++] = v;
    }
    return NULL;
}

static ap_err declare_outputs(ap_graph *g, ap_node *n) {
    n->output_count = n->proto->n_output;
    n->outputs = ap_arena_calloc(&g->model->arena, n->output_count, sizeof *n->outputs);
    for (size_t i = 0; i < n->output_count; i++) {
        const char *name = text(n->proto->output[i]);
        if (!*name) continue;
        const ap_value *other = ap_map_get(&g->values, name);
        if (other && other->producer) {
            ap_err err = ap_err_new(
                AP_ERR_MODEL_INVALID, "value \"%s\" is made twice, by node \"%s\" (%s) and node \"%s\" (%s)",
                name, text(other->producer->proto->name), other->producer->op, text(n->proto->name), n->op);
            return ap_err_subject(err, name);
        }
        if (other) return twice(name, "a graph input or initializer, and an output of a node");
        ap_value *v = ap_graph_declare(g, name, AP_VALUE_NODE);
        v->producer = n;
        v->producer_output = i;
        n->outputs[i] = v;
    }
    return NULL;
}

static ap_err declare_nodes(ap_graph *g) {
    const Onnx__GraphProto *p = g->proto;
    ap_arena *a = &g->model->arena;
    g->nodes = ap_arena_calloc(a, p->n_node, sizeof *g->nodes);
    g->node_cap = p->n_node;
    for (size_t i = 0; i < p->n_node; i++) {
        ap_node *n = ap_arena_calloc(a, 1, sizeof *n);
        n->proto = p->node[i];
        n->index = i;
        n->op = text(n->proto->op_type);
        n->domain = text(n->proto->domain);
        if (!strcmp(n->domain, "ai.onnx")) n->domain = "";
        if (!*n->op) return ap_err_new(AP_ERR_MODEL_INVALID, "node %zu has no operator", i);
        g->nodes[g->node_count++] = n;
        ap_err err = declare_outputs(g, n);
        if (err) return err;
    }
    return NULL;
}

// Nodes are known by name to everyone who maps a runtime's report back to the graph, so each gets one of its
// own.
static void name_nodes(ap_graph *g) {
    ap_arena *a = &g->model->arena;
    for (size_t i = 0; i < g->node_count; i++) {
        ap_node *n = g->nodes[i];
        const char *own = text(n->proto->name);
        if (*own && ap_map_add(&g->by_name, own, n)) n->name = n->proto->name;
    }
    for (size_t i = 0; i < g->node_count; i++) {
        ap_node *n = g->nodes[i];
        if (n->name) continue;
        // The index keeps the search for a free suffix short even when all nodes share one name.
        const char *own = text(n->proto->name);
        char *base = ap_arena_printf(a, "%s_%zu", *own ? own : n->op, i);
        char *name = base;
        for (size_t k = 2; !ap_map_add(&g->by_name, name, n); k++)
            name = ap_arena_printf(a, "%s_%zu", base, k);
        n->name = n->proto->name = name;
        g->model->normalized = true;
    }
}

// ---- uses

static ap_value *resolve(ap_graph *g, const char *name) {
    ap_value *v = ap_map_get(&g->values, name);
    if (v || !g->parent) return v;
    ap_value *outer = resolve(g->parent, name);
    if (!outer) return NULL;
    outer->used_by_subgraph = true;
    v = ap_graph_declare(g, name, AP_VALUE_OUTER);
    v->init = outer->init;
    v->sparse = outer->sparse;
    v->info = outer->info;
    return v;
}

void ap_value_add_use(ap_graph *g, ap_value *v, ap_node *n, size_t input) {
    if (v->use_count == v->use_cap) {
        size_t cap = v->use_cap ? 2 * v->use_cap : 2;
        ap_use *uses = ap_arena_calloc(&g->model->arena, cap, sizeof *uses);
        if (v->use_count) memcpy(uses, v->uses, v->use_count * sizeof *uses);
        v->uses = uses;
        v->use_cap = cap;
    }
    v->uses[v->use_count++] = (ap_use){n, input};
}

static ap_err resolve_inputs(ap_graph *g, ap_node *n) {
    n->input_count = n->proto->n_input;
    n->inputs = ap_arena_calloc(&g->model->arena, n->input_count, sizeof *n->inputs);
    for (size_t i = 0; i < n->input_count; i++) {
        const char *name = text(n->proto->input[i]);
        if (!*name) continue;
        ap_value *v = resolve(g, name);
        if (!v) {
            ap_err err =
                ap_err_new(AP_ERR_MODEL_MISSING, "node \"%s\" (%s): input %zu is \"%s\", which nothing makes",
                           n->name, n->op, i, name);
            return ap_err_subject(err, n->name);
        }
        n->inputs[i] = v;
        ap_value_add_use(g, v, n, i);
    }
    return NULL;
}

static ap_err resolve_outputs(ap_graph *g) {
    const Onnx__GraphProto *p = g->proto;
    g->outputs = ap_arena_calloc(&g->model->arena, p->n_output, sizeof *g->outputs);
    for (size_t i = 0; i < p->n_output; i++) {
        const char *name = text(p->output[i]->name);
        if (!*name) return unnamed("graph output", i);
        ap_value *v = resolve(g, name);
        if (!v) {
            ap_err err =
                ap_err_new(AP_ERR_MODEL_MISSING, "graph output %zu is \"%s\", which nothing makes", i, name);
            return ap_err_subject(err, name);
        }
        // A body may return one value twice; for the model itself outputs are looked up by name.
        if (v->is_output && !g->parent) return twice(name, "both graph outputs");
        v->is_output = true;
        // What the interface says goes before a value_info entry of the same name; an input has said it
        // already.
        if (!v->info || (v->kind == AP_VALUE_NODE && p->output[i]->type)) v->info = p->output[i];
        g->outputs[g->output_count++] = v;
    }
    return NULL;
}

static void attach_types(ap_graph *g) {
    for (size_t i = 0; i < g->proto->n_value_info; i++) {
        ap_value *v = ap_map_get(&g->values, text(g->proto->value_info[i]->name));
        if (v && !v->info)
            v->info = g->proto->value_info[i]; // entries for values that are gone are left alone
    }
}

static ap_err build_graph(ap_graph *g);

static ap_graph *new_graph(ap_model *m, ap_graph *parent, Onnx__GraphProto *proto) {
    ap_graph *g = ap_arena_calloc(&m->arena, 1, sizeof *g);
    g->model = m;
    g->parent = parent;
    g->proto = proto;
    return g;
}

static ap_err build_bodies(ap_graph *g, ap_node *n) {
    const Onnx__NodeProto *p = n->proto;
    size_t count = 0;
    for (size_t i = 0; i < p->n_attribute; i++)
        count += p->attribute[i]->n_graphs + (p->attribute[i]->g != NULL);
    if (!count) return NULL;
    n->subgraphs = ap_arena_calloc(&g->model->arena, count, sizeof(ap_graph *));
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Onnx__AttributeProto *at = p->attribute[i];
        if (at->g) n->subgraphs[n->subgraph_count++] = new_graph(g->model, g, at->g);
        for (size_t k = 0; k < at->n_graphs; k++)
            n->subgraphs[n->subgraph_count++] = new_graph(g->model, g, at->graphs[k]);
    }
    ap_err err = NULL;
    for (size_t i = 0; !err && i < count; i++) {
        err = build_graph(n->subgraphs[i]);
        if (err) err = ap_err_context(err, "in a body of node \"%s\" (%s)", n->name, n->op);
    }
    return err;
}

static ap_err build_graph(ap_graph *g) {
    ap_err err = NULL;
    AP_TRY(declare_inputs(g));
    AP_TRY(declare_initializers(g));
    AP_TRY(declare_nodes(g));
    attach_types(g);
    name_nodes(g);
    for (size_t i = 0; i < g->node_count; i++) {
        AP_TRY(resolve_inputs(g, g->nodes[i]));
        AP_TRY(build_bodies(g, g->nodes[i]));
    }
    AP_TRY(resolve_outputs(g));
    bool changed = false;
    AP_TRY(ap_graph_order(g, &changed));
    if (changed) g->model->normalized = true;
done:
    return err;
}

ap_err ap_index_build(ap_model *m) {
    m->graph = new_graph(m, NULL, m->proto->graph);
    return build_graph(m->graph);
}

void ap_index_free(ap_graph *g) {
    if (!g) return;
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t k = 0; k < g->nodes[i]->subgraph_count; k++) ap_index_free(g->nodes[i]->subgraphs[k]);
    ap_map_free(&g->values);
    ap_map_free(&g->by_name);
}
