// SPDX-License-Identifier: Apache-2.0
// Nodes and uses: adding, rewiring, removing.
#include "graph/nodes.h"
#include "graph/model_priv.h"

#include <stdlib.h>
#include <string.h>

// ---- uses

// Searched from the end: whoever takes a graph apart starts there.
static void drop_use(ap_value *v, const ap_node *n, size_t input) {
    for (size_t i = v->use_count; i-- > 0;) {
        if (v->uses[i].node != n || v->uses[i].input != input) continue;
        memmove(v->uses + i, v->uses + i + 1, (v->use_count - i - 1) * sizeof *v->uses);
        v->use_count--;
        return;
    }
}

static char empty_name[] = "";

static void connect(ap_graph *g, ap_node *n, size_t i, ap_value *v) {
    n->inputs[i] = v;
    n->proto->input[i] = v ? (char *)(uintptr_t)v->name : empty_name;
    if (v) ap_value_add_use(g, v, n, i);
}

static ap_err invalid(const char *subject, ap_err err) {
    return ap_err_subject(err, subject);
}

static ap_err check_member(const ap_graph *g, const ap_value *v) {
    if (!v || ap_map_get(&g->values, v->name) == v) return NULL;
    return invalid(v->name, ap_err_new(AP_ERR_INTERNAL, "value \"%s\" is not of this graph", v->name));
}

ap_err ap_node_set_input(ap_graph *g, ap_node *n, size_t i, ap_value *v) {
    ap_err err = check_member(g, v);
    if (err) return err;
    if (i > n->input_count)
        return invalid(n->name,
                       ap_err_new(AP_ERR_INTERNAL, "node \"%s\" has %zu inputs, input %zu cannot be set",
                                  n->name, n->input_count, i));
    if (i == n->input_count) {
        ap_arena *a = &g->model->arena;
        ap_value **inputs = ap_arena_calloc(a, i + 1, sizeof *inputs);
        char **names = ap_arena_calloc(a, i + 1, sizeof *names);
        if (i) memcpy(inputs, n->inputs, i * sizeof *inputs);
        if (i) memcpy(names, n->proto->input, i * sizeof *names);
        n->inputs = inputs;
        n->proto->input = names;
        n->proto->n_input = ++n->input_count;
    } else if (n->inputs[i]) {
        drop_use(n->inputs[i], n, i);
    }
    connect(g, n, i, v);
    g->model->edited = true;
    return NULL;
}

// ---- adding

static void make_room(ap_graph *g) {
    if (g->node_count < g->node_cap) return;
    ap_arena *a = &g->model->arena;
    size_t cap = g->node_cap ? 2 * g->node_cap : 16;
    ap_node **nodes = ap_arena_calloc(a, cap, sizeof *nodes);
    Onnx__NodeProto **protos = ap_arena_calloc(a, cap, sizeof *protos);
    if (g->node_count) {
        memcpy(nodes, g->nodes, g->node_count * sizeof *nodes);
        memcpy(protos, g->proto->node, g->node_count * sizeof *protos);
    }
    g->nodes = nodes;
    g->proto->node = protos;
    g->node_cap = cap;
}

static void insert_at(ap_graph *g, size_t at, ap_node *n) {
    make_room(g);
    size_t behind = g->node_count - at;
    memmove(g->nodes + at + 1, g->nodes + at, behind * sizeof *g->nodes);
    memmove(g->proto->node + at + 1, g->proto->node + at, behind * sizeof *g->proto->node);
    g->nodes[at] = n;
    g->proto->node[at] = n->proto;
    g->proto->n_node = ++g->node_count;
    for (size_t i = at; i < g->node_count; i++) g->nodes[i]->index = i;
}

static ap_err check_spec(const ap_graph *g, const ap_node_spec *s) {
    for (size_t i = 0; i < s->input_count; i++) {
        ap_err err = check_member(g, s->inputs[i]);
        if (err) return err;
    }
    size_t named = 0;
    for (size_t i = 0; i < s->output_count; i++) {
        const char *name = s->outputs[i];
        if (!name || !*name) continue;
        named++;
        bool taken = ap_map_has(&g->values, name);
        for (size_t k = 0; k < i; k++) taken |= s->outputs[k] && !strcmp(s->outputs[k], name);
        if (taken)
            return invalid(name, ap_err_new(AP_ERR_MODEL_INVALID,
                                            "a new %s cannot make \"%s\": the name is taken", s->op, name));
    }
    if (named) return NULL;
    return ap_err_new(AP_ERR_MODEL_INVALID, "a new %s has no outputs", s->op);
}

static void fill_outputs(ap_graph *g, ap_node *n, const ap_node_spec *s) {
    ap_arena *a = &g->model->arena;
    n->output_count = n->proto->n_output = s->output_count;
    n->outputs = ap_arena_calloc(a, s->output_count, sizeof *n->outputs);
    n->proto->output = ap_arena_calloc(a, s->output_count, sizeof *n->proto->output);
    for (size_t i = 0; i < s->output_count; i++) {
        const char *name = s->outputs[i];
        n->proto->output[i] = name && *name ? ap_arena_strdup(a, name) : empty_name;
        if (!name || !*name) continue;
        ap_value *v = ap_arena_calloc(a, 1, sizeof *v);
        v->name = n->proto->output[i];
        v->kind = AP_VALUE_NODE;
        v->producer = n;
        v->producer_output = i;
        ap_map_set(&g->values, v->name, v);
        n->outputs[i] = v;
    }
}

static void fill_attrs(ap_arena *a, Onnx__NodeProto *p, const ap_node_spec *s) {
    p->attribute = ap_arena_calloc(a, s->attr_count, sizeof *p->attribute);
    for (size_t i = 0; i < s->attr_count; i++)
        if (s->attrs[i]) p->attribute[p->n_attribute++] = s->attrs[i];
}

static const char *first_output(const ap_node_spec *s) {
    for (size_t i = 0; i < s->output_count; i++)
        if (s->outputs[i] && *s->outputs[i]) return s->outputs[i];
    return s->op;
}

ap_err ap_graph_add_node(ap_graph *g, const ap_node_spec *s, ap_node **out) {
    ap_err err = check_spec(g, s);
    if (err) return err;
    ap_arena *a = &g->model->arena;
    ap_node *n = ap_arena_calloc(a, 1, sizeof *n);
    Onnx__NodeProto *p = ap_arena_alloc(a, sizeof *p);
    onnx__node_proto__init(p);
    n->proto = p;
    n->name = ap_graph_free_node_name(g, s->name ? s->name : first_output(s));
    p->name = (char *)(uintptr_t)n->name;
    p->op_type = ap_arena_strdup(a, s->op);
    n->op = p->op_type;
    n->domain = "";
    if (s->domain && *s->domain && strcmp(s->domain, "ai.onnx") != 0)
        n->domain = p->domain = ap_arena_strdup(a, s->domain);
    fill_attrs(a, p, s);
    fill_outputs(g, n, s);
    size_t count = s->input_count;
    while (count && !s->inputs[count - 1]) count--;
    n->input_count = p->n_input = count;
    n->inputs = ap_arena_calloc(a, count, sizeof *n->inputs);
    p->input = ap_arena_calloc(a, count, sizeof *p->input);
    for (size_t i = 0; i < count; i++) connect(g, n, i, s->inputs[i]);
    ap_map_set(&g->by_name, n->name, n);
    insert_at(g, s->before ? s->before->index : g->node_count, n);
    g->model->edited = true;
    if (out) *out = n;
    return NULL;
}

// ---- replacing

// Bodies see a value of ours by name; what they know about it follows.
static void refresh_captures(const ap_graph *g, const ap_value *v) {
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t k = 0; k < g->nodes[i]->subgraph_count; k++) {
            ap_graph *body = g->nodes[i]->subgraphs[k];
            ap_value *seen = ap_map_get(&body->values, v->name);
            if (!seen || seen->kind != AP_VALUE_OUTER) continue;
            seen->init = v->init;
            seen->sparse = v->sparse;
            seen->info = v->info;
            refresh_captures(body, seen);
        }
}

static void rename_value(ap_graph *g, ap_value *v, const char *name) {
    char *text = (char *)(uintptr_t)name;
    v->name = name;
    if (v->producer) v->producer->proto->output[v->producer_output] = text;
    if (v->init) v->init->name = text;
    if (v->sparse && v->sparse->values) v->sparse->values->name = text;
    for (size_t i = 0; i < v->use_count; i++) v->uses[i].node->proto->input[v->uses[i].input] = text;
    ap_map_set(&g->values, name, v);
}

static void drop_info(ap_graph *g, const Onnx__ValueInfoProto *info) {
    Onnx__GraphProto *p = g->proto;
    for (size_t i = 0; info && i < p->n_value_info; i++) {
        if (p->value_info[i] != info) continue;
        memmove(p->value_info + i, p->value_info + i + 1, (p->n_value_info - i - 1) * sizeof(void *));
        p->n_value_info--;
        return;
    }
}

// What `from` is to the outside, `to` is from now on: name, declared type, outputs, captures.
static void take_over(ap_graph *g, ap_value *from, ap_value *to) {
    if (to->info != from->info) drop_info(g, to->info);
    to->info = from->info;
    from->info = NULL;
    to->is_output = from->is_output;
    from->is_output = false;
    to->used_by_subgraph = from->used_by_subgraph;
    from->used_by_subgraph = false;
    for (size_t i = 0; i < g->output_count; i++)
        if (g->outputs[i] == from) g->outputs[i] = to;
    if (to->used_by_subgraph) refresh_captures(g, to);
}

static void move_uses(ap_graph *g, ap_value *from, ap_value *to, const ap_node *except) {
    size_t kept = 0;
    for (size_t i = 0; i < from->use_count; i++) {
        ap_use u = from->uses[i];
        if (u.node == except)
            from->uses[kept++] = u;
        else
            connect(g, u.node, u.input, to);
    }
    from->use_count = kept;
}

static ap_err make_identity(ap_graph *g, ap_value *from, ap_value *to) {
    const char *name = from->name,
               *away = ap_graph_free_name(g, ap_arena_printf(&g->model->arena, "%s~old", name));
    ap_map_remove(&g->values, name);
    rename_value(g, from, away);
    size_t at = to->producer ? to->producer->index + 1 : 0;
    ap_node *id = NULL;
    ap_node_spec s = {.op = "Identity",
                      .inputs = &to,
                      .input_count = 1,
                      .outputs = &name,
                      .output_count = 1,
                      .before = at < g->node_count ? g->nodes[at] : NULL};
    ap_err err = ap_graph_add_node(g, &s, &id);
    if (err) return err;
    take_over(g, from, id->outputs[0]);
    return NULL;
}

ap_err ap_graph_replace_value(ap_graph *g, ap_value *from, ap_value *to, const ap_node *except) {
    ap_err err = check_member(g, from);
    if (!err) err = check_member(g, to);
    if (err || from == to) return err;
    bool seen = from->is_output || from->used_by_subgraph;
    if (seen && from->kind != AP_VALUE_NODE && from->kind != AP_VALUE_INITIALIZER)
        return invalid(from->name,
                       ap_err_new(AP_ERR_MODEL_INVALID,
                                  "value \"%s\" cannot be replaced: its name is part of the interface",
                                  from->name));
    g->model->edited = true;
    move_uses(g, from, to, except);
    if (!seen) return NULL;
    if (to->kind != AP_VALUE_NODE || to->is_output || to->used_by_subgraph) return make_identity(g, from, to);
    const char *mine = from->name, *other = to->name;
    rename_value(g, from, other);
    rename_value(g, to, mine);
    take_over(g, from, to);
    return NULL;
}

// ---- removing

static bool is_needed(const ap_value *v) {
    return v && (v->use_count || v->is_output || v->used_by_subgraph);
}

static ap_err still_used(const ap_value *v, const char *what) {
    const char *by = v->is_output ? "a graph output" : v->use_count ? v->uses[0].node->name : "a body";
    return invalid(v->name, ap_err_new(AP_ERR_MODEL_INVALID, "%s cannot go: \"%s\" is still used by %s%s%s",
                                       what, v->name, v->use_count && !v->is_output ? "\"" : "", by,
                                       v->use_count && !v->is_output ? "\"" : ""));
}

static void forget(ap_graph *g, ap_value *v) {
    drop_info(g, v->info);
    v->info = NULL;
    ap_map_remove(&g->values, v->name);
}

// Everything but its place in the lists of nodes.
static void detach(ap_graph *g, ap_node *n) {
    for (size_t i = 0; i < n->input_count; i++)
        if (n->inputs[i]) drop_use(n->inputs[i], n, i);
    for (size_t i = 0; i < n->output_count; i++)
        if (n->outputs[i]) forget(g, n->outputs[i]);
    ap_map_remove(&g->by_name, n->name);
    g->model->edited = true;
}

// Bodies of a node that goes no longer capture. Which of our values are still seen by others is counted anew.
static void recount_captures(ap_graph *g) {
    if (g->parent) return; // of a body's own bodies nothing is known here: what is marked stays marked
    for (size_t i = 0; i < g->values.count; i++)
        ((ap_value *)g->values.entries[i].value)->used_by_subgraph = false;
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t k = 0; g->nodes[i] && k < g->nodes[i]->subgraph_count; k++) {
            const ap_graph *body = g->nodes[i]->subgraphs[k];
            for (size_t e = 0; e < body->values.count; e++) {
                const ap_value *seen = body->values.entries[e].value;
                ap_value *ours = seen->kind == AP_VALUE_OUTER ? ap_map_get(&g->values, seen->name) : NULL;
                if (ours) ours->used_by_subgraph = true;
            }
        }
}

// For a node that is in no list any more.
static void drop_bodies(ap_graph *g, ap_node *n) {
    if (!n->subgraph_count) return;
    recount_captures(g);
    for (size_t k = 0; k < n->subgraph_count; k++) ap_index_free(n->subgraphs[k]);
    n->subgraph_count = 0;
}

ap_err ap_graph_remove_node(ap_graph *g, ap_node *n) {
    for (size_t i = 0; i < n->output_count; i++)
        if (is_needed(n->outputs[i])) {
            ap_buf what = {0};
            ap_buf_printf(&what, "node \"%s\" (%s)", n->name, n->op);
            ap_err err = still_used(n->outputs[i], ap_buf_str(&what));
            ap_buf_free(&what);
            return err;
        }
    detach(g, n);
    size_t at = n->index, behind = g->node_count - at - 1;
    memmove(g->nodes + at, g->nodes + at + 1, behind * sizeof *g->nodes);
    memmove(g->proto->node + at, g->proto->node + at + 1, behind * sizeof *g->proto->node);
    g->proto->n_node = --g->node_count;
    for (size_t i = at; i < g->node_count; i++) g->nodes[i]->index = i;
    drop_bodies(g, n);
    return NULL;
}

ap_err ap_graph_remove_initializer(ap_graph *g, ap_value *v) {
    Onnx__GraphProto *p = g->proto;
    if (is_needed(v)) return still_used(v, "a constant");
    if (v->kind != AP_VALUE_INITIALIZER || !v->init)
        return invalid(v->name, ap_err_new(AP_ERR_MODEL_INVALID, "\"%s\" is no plain constant", v->name));
    size_t i = 0;
    while (i < p->n_initializer && p->initializer[i] != v->init) i++;
    if (i < p->n_initializer) {
        memmove(p->initializer + i, p->initializer + i + 1, (p->n_initializer - i - 1) * sizeof(void *));
        p->n_initializer--;
    }
    forget(g, v);
    g->model->edited = true;
    return NULL;
}

static bool is_dead(const ap_node *n) {
    for (size_t i = 0; i < n->output_count; i++)
        if (is_needed(n->outputs[i])) return false;
    return true;
}

static size_t sweep_nodes(ap_graph *g) {
    size_t gone = 0, kept = 0;
    for (size_t i = g->node_count; i-- > 0;) {
        ap_node *n = g->nodes[i];
        if (!is_dead(n)) continue;
        detach(g, n);
        g->nodes[i] = NULL;
        gone++;
        drop_bodies(g, n);
    }
    for (size_t i = 0; gone && i < g->node_count; i++) {
        if (!g->nodes[i]) continue;
        g->nodes[kept] = g->nodes[i];
        g->nodes[kept]->index = kept;
        g->proto->node[kept] = g->nodes[kept]->proto;
        kept++;
    }
    if (gone) g->proto->n_node = g->node_count = kept;
    return gone;
}

static void sweep_constants(ap_graph *g) {
    Onnx__GraphProto *p = g->proto;
    size_t kept = 0;
    for (size_t i = 0; i < p->n_initializer; i++) {
        ap_value *v = ap_map_get(&g->values, p->initializer[i]->name);
        bool keep = !v || v->kind != AP_VALUE_INITIALIZER || is_needed(v);
        if (keep)
            p->initializer[kept++] = p->initializer[i];
        else
            forget(g, v);
    }
    if (kept != p->n_initializer) g->model->edited = true;
    p->n_initializer = kept;
}

size_t ap_graph_sweep(ap_graph *g) {
    size_t gone = sweep_nodes(g);
    sweep_constants(g);
    return gone;
}
