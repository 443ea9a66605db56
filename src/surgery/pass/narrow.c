// SPDX-License-Identifier: Apache-2.0
// The pass `narrow`: int64 becomes int32 where facts.h proves that no element leaves it, whatever is fed.
//
// A node computes in int32 when all operands and results that share its element type are proven. Pieces that
// hang together are taken or left as one: Cast nodes at their borders must cost less than what is won, and
// the interface never changes. Constants that only index are stored as int32, too.
#include "graph/nodes.h"
#include "surgery/facts/facts.h"
#include "surgery/pass/fold.h"
#include "surgery/pass/fold_flow.h"

#include <stdlib.h>
#include <string.h>

enum { ALL_OPERANDS = -1 };

// Operators that ONNX Runtime has for int32 wherever it has them for int64.
static const struct kind {
    const char *op;
    int same;    // operands of the element type in question, a bit each
    bool result; // and so are all outputs
    int index;   // operands that may be of either type
} kinds[] = {
    {"Abs", 1, true, 0},
    {"Add", 3, true, 0},
    {"Clip", 7, true, 0},
    {"Compress", 1, true, 0},
    {"Concat", ALL_OPERANDS, true, 0},
    {"Div", 3, true, 0},
    {"Equal", 3, false, 0},
    {"Expand", 1, true, 0},
    {"Flatten", 1, true, 0},
    {"Gather", 1, true, 2},
    {"GatherElements", 1, true, 2},
    {"GatherND", 1, true, 0},
    {"Greater", 3, false, 0},
    {"GreaterOrEqual", 3, false, 0},
    {"Identity", 1, true, 0},
    {"Less", 3, false, 0},
    {"LessOrEqual", 3, false, 0},
    {"Max", ALL_OPERANDS, true, 0},
    {"Min", ALL_OPERANDS, true, 0},
    {"Mod", 3, true, 0},
    {"Mul", 3, true, 0},
    {"Neg", 1, true, 0},
    {"ReduceMax", 1, true, 0},
    {"ReduceMin", 1, true, 0},
    {"ReduceSum", 1, true, 0},
    {"Reshape", 1, true, 0},
    {"ScatterElements", 5, true, 2},
    {"ScatterND", 5, true, 0},
    {"Sign", 1, true, 0},
    {"Slice", 1, true, 0},
    {"Split", 1, true, 0},
    {"Squeeze", 1, true, 0},
    {"Sub", 3, true, 0},
    {"Tile", 1, true, 0},
    {"Transpose", 1, true, 0},
    {"Unsqueeze", 1, true, 0},
    {"Where", 6, true, 0},
};

static const struct kind *kind_of(const ap_node *n) {
    for (size_t i = 0; !*n->domain && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].op, n->op)) return &kinds[i];
    return NULL;
}

static bool has_bit(int mask, size_t i) {
    return mask == ALL_OPERANDS || (i < 8 && (mask >> i & 1));
}

static bool is_cast_to(const ap_node *n, ap_dtype t) {
    return ap_node_is(n, "Cast") && ap_node_attr_int(n, "to", 0) == (int64_t)t;
}

// Nodes that hang together through values that may be narrowed.
typedef struct piece {
    size_t parent;        // of the node of this index
    bool narrows;         // this node may compute in int32
    size_t gain, borders; // of a root: int64 nodes that go, Cast nodes that come
    bool outward;         // some of these lead back to int64
} piece;

typedef struct narrow {
    ap_model *m;
    ap_types *types;
    ap_flow flow;
    ap_facts *facts;
    ap_node **nodes; // as they stood at the beginning
    size_t node_count;
    ap_map index;    // name of a node → index
    piece *pieces;   // by index in nodes
    ap_map inner;    // value that may be narrowed → index of its maker
    ap_map narrowed; // int64 value → its int32 form
    ap_map widened;  // the other way round
    ap_pass_result *r;
} narrow;

// ---- what is known

static bool type_of(void *user, const ap_value *v, ap_value_type *out) {
    narrow *w = user;
    const ap_value_type *t = ap_types_get(w->types, v);
    if (!t) return false;
    *out = *t;
    for (size_t i = 0; (ap_flow_get(&w->flow, v) & AP_FLOW_SHAPE) && i < out->rank; i++) out->dims[i] = -1;
    return true;
}

static bool is_wide(narrow *w, const ap_value *v) {
    const ap_value_type *t = v ? ap_types_get(w->types, v) : NULL;
    return t && t->dtype == AP_I64;
}

static bool fits(narrow *w, const ap_value *v) {
    const ap_fact *f = ap_facts_of(w->facts, v);
    return f->lo > -2147483648.0 && f->hi < 2147483648.0;
}

static bool is_constant(const ap_value *v) {
    return v->kind == AP_VALUE_INITIALIZER && v->init;
}

static bool operands_fit(narrow *w, const ap_node *n, const struct kind *k) {
    bool any = false;
    for (size_t i = 0; i < n->input_count; i++) {
        if (!has_bit(k->same, i) || !n->inputs[i]) continue;
        if (!is_wide(w, n->inputs[i]) || !fits(w, n->inputs[i])) return false;
        any = true;
    }
    return any;
}

static bool results_fit(narrow *w, const ap_node *n) {
    for (size_t k = 0; k < n->output_count; k++) {
        const ap_value *v = n->outputs[k];
        if (v && (v->is_output || v->used_by_subgraph || !is_wide(w, v) || !fits(w, v))) return false;
    }
    return n->output_count > 0;
}

static bool is_inner(const narrow *w, const ap_value *v) {
    return v && ap_map_has(&w->inner, v->name);
}

static bool reads_inner(const narrow *w, const ap_node *n, const struct kind *k) {
    for (size_t i = 0; i < n->input_count; i++)
        if (has_bit(k->same, i) && is_inner(w, n->inputs[i])) return true;
    return false;
}

// Makers stand before readers, so what a comparison reads has been looked at.
static void find_inner(narrow *w) {
    for (size_t i = 0; i < w->node_count; i++) {
        const ap_node *n = w->nodes[i];
        const struct kind *k = kind_of(n);
        bool cast = is_cast_to(n, AP_I64);
        w->pieces[i].parent = i;
        ap_map_set_index(&w->index, n->name, i);
        if (!cast && (!k || !operands_fit(w, n, k))) continue;
        if (!cast && !k->result) {
            w->pieces[i].narrows = reads_inner(w, n, k);
            continue;
        }
        if (!results_fit(w, n)) continue;
        w->pieces[i].narrows = true;
        for (size_t o = 0; o < n->output_count; o++)
            if (n->outputs[o]) ap_map_set_index(&w->inner, n->outputs[o]->name, i);
    }
}

// ---- what it is worth

static size_t root_of(narrow *w, size_t i) {
    while (w->pieces[i].parent != i) i = w->pieces[i].parent = w->pieces[w->pieces[i].parent].parent;
    return i;
}

static void connect(narrow *w, size_t i) {
    const struct kind *k = kind_of(w->nodes[i]);
    for (size_t o = 0; k && o < w->nodes[i]->input_count; o++) {
        const ap_value *v = w->nodes[i]->inputs[o];
        if (has_bit(k->same, o) && is_inner(w, v))
            w->pieces[root_of(w, i)].parent = root_of(w, (size_t)ap_map_get_index(&w->inner, v->name));
    }
}

// Does this use read int32 as well as int64 once the pieces are narrowed?
static bool takes_narrow(const narrow *w, ap_use u) {
    const struct kind *k = kind_of(u.node);
    int64_t i = ap_map_get_index(&w->index, u.node->name);
    if (ap_node_is(u.node, "Cast")) return true;
    if (!k) return false;
    return has_bit(k->index, u.input) || (i >= 0 && has_bit(k->same, u.input) && w->pieces[i].narrows);
}

// Does something read this value that goes on wanting int64?
static bool leads_back(const narrow *w, const ap_value *v) {
    for (size_t u = 0; is_inner(w, v) && u < v->use_count; u++)
        if (!takes_narrow(w, v->uses[u])) return true;
    return false;
}

// A Cast of int32 goes altogether, or stays as the way back to int64: then it counts for nothing.
static void count_cast(narrow *w, piece *p, const ap_node *n) {
    const ap_value_type *from = n->inputs[0] ? ap_types_get(w->types, n->inputs[0]) : NULL;
    bool back = leads_back(w, n->outputs[0]);
    if (from && from->dtype == AP_I32) {
        p->gain += back ? 0 : 2;
    } else {
        p->gain++;
        p->borders += back;
        p->outward |= back;
    }
}

static void count_into(narrow *w, size_t i, ap_map *seen) {
    const ap_node *n = w->nodes[i];
    const struct kind *k = kind_of(n);
    piece *p = &w->pieces[root_of(w, i)];
    if (!k) {
        count_cast(w, p, n);
        return;
    }
    p->gain++;
    for (size_t o = 0; o < n->input_count; o++) {
        ap_value *v = n->inputs[o];
        if (!v || !has_bit(k->same, o) || is_inner(w, v) || is_constant(v)) continue;
        p->borders += ap_map_add(seen, v->name, v);
    }
    for (size_t o = 0; o < n->output_count; o++) {
        bool back = n->outputs[o] && leads_back(w, n->outputs[o]);
        p->borders += back;
        p->outward |= back;
    }
}

static void judge_pieces(narrow *w) {
    ap_map seen = {0};
    for (size_t i = 0; i < w->node_count; i++)
        if (w->pieces[i].narrows) connect(w, i);
    for (size_t i = 0; i < w->node_count; i++)
        if (w->pieces[i].narrows) count_into(w, i, &seen);
    ap_map_free(&seen);
}

static bool is_chosen(narrow *w, size_t i) {
    if (!w->pieces[i].narrows) return false;
    const piece *p = &w->pieces[root_of(w, i)];
    return p->gain > p->borders || (p->gain && p->gain == p->borders && !p->outward);
}

static bool is_narrow_now(narrow *w, const ap_value *v) {
    int64_t maker = ap_map_get_index(&w->inner, v->name);
    return maker >= 0 && is_chosen(w, (size_t)maker);
}

// ---- doing it

static ap_err narrow_constant(narrow *w, ap_value *v, ap_value **out) {
    ap_tensor wide, small = {0};
    ap_err err = NULL;
    AP_TRY(ap_model_tensor(w->m, v->init, &wide));
    AP_TRY(ap_tensor_cast(&wide, AP_I32, &small));
    AP_TRY(
        ap_graph_add_initializer(w->m->graph, ap_arena_printf(&w->m->arena, "%s~i32", v->name), &small, out));
    ap_pass_touch(w->r, "constant");
done:
    ap_tensor_free(&small);
    return err;
}

// `v` in another type, made once, right behind the maker of `v`.
static ap_err cast_of(narrow *w, ap_value *v, ap_dtype to, ap_value **out) {
    ap_graph *g = w->m->graph;
    ap_map *made = to == AP_I32 ? &w->narrowed : &w->widened;
    ap_value *there = ap_map_get(made, v->name);
    ap_err err = NULL;
    if (!there && to == AP_I32 && is_constant(v)) {
        AP_TRY(narrow_constant(w, v, &there));
    } else if (!there) {
        size_t at = v->producer ? v->producer->index + 1 : 0;
        const char *name = ap_graph_free_name(
            g, ap_arena_printf(&w->m->arena, "%s~%s", v->name, to == AP_I32 ? "i32" : "i64"));
        Onnx__AttributeProto *attr = ap_attr_int(&w->m->arena, "to", (int64_t)to);
        ap_node_spec s = {.op = "Cast",
                          .inputs = &v,
                          .input_count = 1,
                          .outputs = &name,
                          .output_count = 1,
                          .attrs = &attr,
                          .attr_count = 1,
                          .before = at < g->node_count ? g->nodes[at] : NULL};
        ap_node *n = NULL;
        AP_TRY(ap_graph_add_node(g, &s, &n));
        there = n->outputs[0];
        ap_pass_touch(w->r, "border");
    }
    ap_map_set(made, v->name, there);
    *out = there;
done:
    return err;
}

static ap_err set_operand(narrow *w, ap_node *n, size_t i, ap_dtype to) {
    ap_value *v = NULL;
    ap_err err = cast_of(w, n->inputs[i], to, &v);
    return err ? err : ap_node_set_input(w->m->graph, n, i, v);
}

// What reads this value and has no int32 form reads it as int64.
static ap_err widen_readers(narrow *w, ap_value *v) {
    size_t count = v->use_count;
    ap_use *uses = ap_alloc(count * sizeof *uses + 1);
    ap_err err = NULL;
    if (count) memcpy(uses, v->uses, count * sizeof *uses);
    for (size_t i = 0; i < count; i++) {
        if (!takes_narrow(w, uses[i])) AP_TRY(set_operand(w, uses[i].node, uses[i].input, AP_I64));
    }
done:
    free(uses);
    return err;
}

static void declare(narrow *w, ap_value *v) {
    ap_value_type t;
    if (!v->info || !type_of(w, v, &t)) return;
    t.dtype = AP_I32;
    ap_value_declare(w->m->graph, v, &t);
}

static ap_err narrow_node(narrow *w, size_t i) {
    ap_node *n = w->nodes[i];
    const struct kind *k = kind_of(n);
    ap_err err = NULL;
    if (!k) ap_node_set_attr(w->m->graph, n, ap_attr_int(&w->m->arena, "to", AP_I32));
    for (size_t o = 0; k && o < n->input_count; o++)
        if (n->inputs[o] && has_bit(k->same, o) && !is_narrow_now(w, n->inputs[o]))
            AP_TRY(set_operand(w, n, o, AP_I32));
    for (size_t o = 0; o < n->output_count && (!k || k->result); o++)
        if (n->outputs[o]) declare(w, n->outputs[o]);
    ap_pass_touch(w->r, n->op);
done:
    return err;
}

// A constant all of whose readers index with it.
static bool only_indexes(const ap_value *v) {
    for (size_t i = 0; i < v->use_count; i++) {
        const struct kind *k = kind_of(v->uses[i].node);
        if (!k || !has_bit(k->index, v->uses[i].input)) return false;
    }
    return !v->used_by_subgraph && !v->is_output;
}

static ap_err narrow_indices(narrow *w, ap_node *n) {
    const struct kind *k = kind_of(n);
    ap_err err = NULL;
    for (size_t o = 0; k && k->index && o < n->input_count; o++) {
        const ap_value *v = n->inputs[o];
        if (!v || !has_bit(k->index, o) || !is_constant(v) || !is_wide(w, v)) continue;
        if ((only_indexes(v) || ap_map_has(&w->narrowed, v->name)) && fits(w, v))
            AP_TRY(set_operand(w, n, o, AP_I32));
    }
done:
    return err;
}

static ap_err edit(narrow *w) {
    ap_err err = NULL;
    for (size_t i = 0; i < w->node_count; i++)
        if (is_chosen(w, i)) AP_TRY(narrow_node(w, i));
    for (size_t i = 0; i < w->node_count; i++)
        for (size_t o = 0; is_chosen(w, i) && o < w->nodes[i]->output_count; o++)
            if (is_inner(w, w->nodes[i]->outputs[o])) AP_TRY(widen_readers(w, w->nodes[i]->outputs[o]));
    for (size_t i = 0; i < w->node_count; i++) AP_TRY(narrow_indices(w, w->nodes[i]));
    if (w->r->changed) ap_graph_sweep(w->m->graph);
done:
    return err;
}

// Is there anything that could be narrowed? Asked before anything is run.
static bool any_candidate(const ap_model *m) {
    for (size_t i = 0; i < m->graph->node_count; i++) {
        const ap_node *n = m->graph->nodes[i];
        const struct kind *k = kind_of(n);
        if (is_cast_to(n, AP_I64) || ap_node_is(n, "TopK") || ap_node_is(n, "ArgMax") ||
            ap_node_is(n, "ArgMin"))
            return true;
        for (size_t o = 0; k && k->index && o < n->input_count; o++)
            if (has_bit(k->index, o) && n->inputs[o] && is_constant(n->inputs[o]) &&
                n->inputs[o]->init->data_type == AP_I64)
                return true;
    }
    return false;
}

ap_err ap_pass_narrow(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    ap_graph *g = m->graph;
    narrow w = {.m = m, .node_count = g->node_count, .r = r};
    ap_type_source source = {type_of, &w};
    ap_err err = NULL;
    if (!any_candidate(m)) return NULL;
    w.pieces = ap_calloc(w.node_count + 1, sizeof *w.pieces);
    w.nodes = ap_alloc((w.node_count + 1) * sizeof(ap_node *));
    memcpy(w.nodes, g->nodes, w.node_count * sizeof(ap_node *));
    AP_TRY(ap_types_measure(m, c, &w.types));
    ap_flow_of(m, &w.flow);
    AP_TRY(ap_facts_new(m, &source, AP_DTYPE_NONE, &w.facts));
    find_inner(&w);
    judge_pieces(&w);
    AP_TRY(edit(&w));
done:
    ap_facts_free(w.facts);
    ap_flow_release(&w.flow);
    ap_map_free(&w.index);
    ap_map_free(&w.inner);
    ap_map_free(&w.narrowed);
    ap_map_free(&w.widened);
    free(w.nodes);
    free(w.pieces);
    return err;
}
