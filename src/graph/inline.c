// SPDX-License-Identifier: Apache-2.0
#include "graph/inline.h"

#include "graph/model_priv.h"

#include <stdlib.h>
#include <string.h>

struct ap_splice {
    ap_model *m;
    ap_node *replaced;
    ap_map taken; // every name of a value in the model, bodies included
    Onnx__NodeProto **nodes;
    size_t node_count, node_cap;
    Onnx__TensorProto **constants;
    size_t constant_count, constant_cap;
};

static const char *text(const char *s) {
    return s ? s : "";
}

// ---- names

static void take(ap_map *taken, const char *name) {
    if (name && *name) ap_map_add(taken, name, taken);
}

static ap_err take_names(ProtobufCMessage *msg, void *user) {
    if (msg->descriptor == &onnx__node_proto__descriptor) {
        const Onnx__NodeProto *n = (Onnx__NodeProto *)msg;
        for (size_t i = 0; i < n->n_input; i++) take(user, n->input[i]);
        for (size_t i = 0; i < n->n_output; i++) take(user, n->output[i]);
    } else if (msg->descriptor == &onnx__value_info_proto__descriptor) {
        take(user, ((Onnx__ValueInfoProto *)msg)->name);
    } else if (msg->descriptor == &onnx__tensor_proto__descriptor) {
        take(user, ((Onnx__TensorProto *)msg)->name);
    }
    return NULL;
}

static char *free_name(ap_splice *s, const char *base) {
    ap_arena *a = &s->m->arena;
    char *name = ap_arena_strdup(a, base);
    for (size_t k = 2; !ap_map_add(&s->taken, name, s); k++) name = ap_arena_printf(a, "%s_%zu", base, k);
    return name;
}

// ---- renaming what a body reads

// The new name of `name`, itself when it keeps it.
static char *renamed(const ap_map *names, char *name) {
    char *to = name && *name ? ap_map_get(names, name) : NULL;
    return to ? to : name;
}

static void rename_graph(Onnx__GraphProto *g, const ap_map *names);

static void rename_bodies(Onnx__NodeProto *n, const ap_map *names) {
    for (size_t i = 0; i < n->n_attribute; i++) {
        Onnx__AttributeProto *at = n->attribute[i];
        if (at->g) rename_graph(at->g, names);
        for (size_t k = 0; k < at->n_graphs; k++) rename_graph(at->graphs[k], names);
    }
}

static void define(ap_map *own, const char *name) {
    if (name && *name) ap_map_add(own, name, own);
}

// What a nested body defines itself hides the outer value of that name.
static void rename_graph(Onnx__GraphProto *g, const ap_map *names) {
    ap_map own = {0}, visible = {0};
    for (size_t i = 0; i < g->n_input; i++) define(&own, g->input[i]->name);
    for (size_t i = 0; i < g->n_initializer; i++) define(&own, g->initializer[i]->name);
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++) define(&own, g->node[i]->output[k]);
    for (size_t i = 0; i < names->count; i++)
        if (!ap_map_has(&own, names->entries[i].key))
            ap_map_set(&visible, names->entries[i].key, names->entries[i].value);
    for (size_t i = 0; i < g->n_node; i++) {
        for (size_t k = 0; k < g->node[i]->n_input; k++)
            g->node[i]->input[k] = renamed(&visible, g->node[i]->input[k]);
        rename_bodies(g->node[i], &visible);
    }
    for (size_t i = 0; i < g->n_output; i++) g->output[i]->name = renamed(&visible, g->output[i]->name);
    ap_map_free(&own);
    ap_map_free(&visible);
}

// ---- building

static void add_node(ap_splice *s, Onnx__NodeProto *n) {
    if (s->node_count == s->node_cap) {
        s->node_cap = s->node_cap ? 2 * s->node_cap : 64;
        s->nodes = ap_realloc(s->nodes, s->node_cap * sizeof(Onnx__NodeProto *));
    }
    s->nodes[s->node_count++] = n;
}

static void add_constant(ap_splice *s, Onnx__TensorProto *t) {
    if (s->constant_count == s->constant_cap) {
        s->constant_cap = s->constant_cap ? 2 * s->constant_cap : 16;
        s->constants = ap_realloc(s->constants, s->constant_cap * sizeof(Onnx__TensorProto *));
    }
    s->constants[s->constant_count++] = t;
}

ap_err ap_splice_begin(ap_model *m, ap_node *replaced, ap_splice **out) {
    ap_splice *s = ap_calloc(1, sizeof *s);
    s->m = m;
    s->replaced = replaced;
    ap_err err = ap_tree_walk(&m->proto->graph->base, take_names, &s->taken);
    if (err)
        ap_splice_drop(s);
    else
        *out = s;
    return err;
}

static void copy_constants(ap_splice *s, const Onnx__GraphProto *p, ap_map *names) {
    ap_arena *a = &s->m->arena;
    for (size_t i = 0; i < p->n_initializer; i++) {
        if (ap_map_has(names, p->initializer[i]->name)) continue; // the default of an input that is fed
        Onnx__TensorProto *t = ap_tree_clone(a, p->initializer[i]);
        t->name = free_name(s, p->initializer[i]->name);
        ap_map_set(names, p->initializer[i]->name, t->name);
        add_constant(s, t);
    }
}

static void copy_nodes(ap_splice *s, const Onnx__GraphProto *p, ap_map *names) {
    ap_arena *a = &s->m->arena;
    for (size_t i = 0; i < p->n_node; i++)
        for (size_t k = 0; k < p->node[i]->n_output; k++) {
            const char *name = text(p->node[i]->output[k]);
            if (*name) ap_map_set(names, name, free_name(s, name));
        }
    for (size_t i = 0; i < p->n_node; i++) {
        Onnx__NodeProto *n = ap_tree_clone(a, p->node[i]);
        n->name = ap_arena_printf(a, "%s/%s", s->replaced->name, text(n->name));
        for (size_t k = 0; k < n->n_input; k++) n->input[k] = renamed(names, n->input[k]);
        for (size_t k = 0; k < n->n_output; k++) n->output[k] = renamed(names, n->output[k]);
        rename_bodies(n, names);
        add_node(s, n);
    }
}

ap_err ap_splice_body(ap_splice *s, const ap_graph *body, const char *const *inputs, const char ***outputs) {
    const Onnx__GraphProto *p = body->proto;
    if (p->n_sparse_initializer)
        return ap_err_subject(ap_err_new(AP_ERR_MODEL_INVALID,
                                         "a body of \"%s\" has a sparse constant, which cannot be inlined",
                                         s->replaced->name),
                              s->replaced->name);
    ap_arena *a = &s->m->arena;
    ap_map names = {0};
    for (size_t i = 0; i < p->n_input; i++)
        ap_map_set(&names, p->input[i]->name, ap_arena_strdup(a, inputs[i]));
    copy_constants(s, p, &names);
    copy_nodes(s, p, &names);
    const char **outs = ap_arena_calloc(a, p->n_output, sizeof *outs);
    for (size_t i = 0; i < p->n_output; i++) outs[i] = renamed(&names, p->output[i]->name);
    ap_map_free(&names);
    *outputs = outs;
    return NULL;
}

const char *ap_splice_constant(ap_splice *s, const char *base, const ap_tensor *t) {
    ap_arena *a = &s->m->arena;
    Onnx__TensorProto *p = ap_arena_alloc(a, sizeof *p);
    onnx__tensor_proto__init(p);
    p->name = free_name(s, base);
    p->has_data_type = 1;
    p->data_type = (int32_t)t->dtype;
    p->n_dims = t->rank;
    p->dims = ap_arena_calloc(a, t->rank, sizeof *p->dims);
    if (t->rank) memcpy(p->dims, t->dims, t->rank * sizeof *p->dims);
    p->has_raw_data = 1;
    p->raw_data.len = t->bytes;
    p->raw_data.data = ap_arena_alloc(a, t->bytes);
    if (t->bytes) memcpy(p->raw_data.data, t->data, t->bytes);
    add_constant(s, p);
    return p->name;
}

const char *ap_splice_node(ap_splice *s, const char *op, const char *const *inputs, size_t input_count,
                           Onnx__AttributeProto *attr, const char *base, const char *output) {
    ap_arena *a = &s->m->arena;
    Onnx__NodeProto *n = ap_arena_alloc(a, sizeof *n);
    onnx__node_proto__init(n);
    n->op_type = ap_arena_strdup(a, op);
    n->n_input = input_count;
    n->input = ap_arena_calloc(a, input_count, sizeof *n->input);
    for (size_t i = 0; i < input_count; i++) n->input[i] = ap_arena_strdup(a, inputs[i]);
    n->n_output = 1;
    n->output = ap_arena_calloc(a, 1, sizeof *n->output);
    n->output[0] = output ? ap_arena_strdup(a, output) : free_name(s, base);
    n->name = ap_arena_printf(a, "%s/%s", s->replaced->name, n->output[0]);
    if (attr) {
        n->n_attribute = 1;
        n->attribute = ap_arena_calloc(a, 1, sizeof *n->attribute);
        n->attribute[0] = attr;
    }
    add_node(s, n);
    return n->output[0];
}

ap_err ap_splice_end(ap_splice *s) {
    ap_model *m = s->m;
    Onnx__GraphProto *p = m->proto->graph;
    size_t at = s->replaced->index, count = 0;
    Onnx__NodeProto **nodes = ap_arena_calloc(&m->arena, p->n_node + s->node_count, sizeof *nodes);
    for (size_t i = 0; i < at; i++) nodes[count++] = p->node[i];
    for (size_t i = 0; i < s->node_count; i++) nodes[count++] = s->nodes[i];
    for (size_t i = at + 1; i < p->n_node; i++) nodes[count++] = p->node[i];
    Onnx__TensorProto **constants =
        ap_arena_calloc(&m->arena, p->n_initializer + s->constant_count, sizeof *constants);
    for (size_t i = 0; i < p->n_initializer; i++) constants[i] = p->initializer[i];
    for (size_t i = 0; i < s->constant_count; i++) constants[p->n_initializer + i] = s->constants[i];
    p->node = nodes;
    p->n_node = count;
    p->initializer = constants;
    p->n_initializer += s->constant_count;
    ap_splice_drop(s);
    return ap_model_reindex(m);
}

void ap_splice_drop(ap_splice *s) {
    if (!s) return;
    ap_map_free(&s->taken);
    free(s->nodes);
    free(s->constants);
    free(s);
}

ap_err ap_model_redirect(ap_model *m, const ap_map *names) {
    Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_node; i++) {
        for (size_t k = 0; k < g->node[i]->n_input; k++)
            g->node[i]->input[k] = renamed(names, g->node[i]->input[k]);
        rename_bodies(g->node[i], names);
    }
    return ap_model_reindex(m);
}

ap_err ap_model_reindex(ap_model *m) {
    m->edited = true;
    ap_index_free(m->graph);
    return ap_index_build(m);
}
