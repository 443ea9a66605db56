// SPDX-License-Identifier: Apache-2.0
// The passes `constants`, `shapes` and `weights`. Which values are constant is proven (fold_flow.h); what
// they are is read off the oracle. Only values that something else needs are kept: the chain behind them
// dies.
#include "surgery/pass/fold.h"

#include "graph/inline.h"
#include "graph/nodes.h"
#include "surgery/pass/fold_flow.h"

#include <stdlib.h>
#include <string.h>

int64_t ap_pass_param(const ap_pass_context *c, const char *name, int64_t fallback) {
    return c->params ? ap_json_int(c->params, name, fallback) : fallback;
}

// ---- types

static ap_err keep_type(void *user, const char *name, const ap_tensor *t) {
    ap_types *all = user;
    if (t->dtype == AP_DTYPE_NONE) return NULL;
    ap_value_type *type = ap_arena_calloc(&all->arena, 1, sizeof *type);
    type->dtype = t->dtype;
    type->rank = t->rank;
    memcpy(type->dims, t->dims, t->rank * sizeof *type->dims);
    ap_map_set(&all->by_name, name, type);
    return NULL;
}

ap_err ap_types_measure(ap_model *m, const ap_pass_context *c, ap_types **out) {
    const ap_graph *g = m->graph;
    size_t count = 0;
    const char **names = NULL;
    ap_types *all = c->types;
    ap_err err = NULL;
    *out = all;
    if (all->measured) return NULL;
    for (size_t i = 0; i < g->node_count; i++) count += g->nodes[i]->output_count;
    names = ap_calloc(count + 1, sizeof *names);
    count = 0;
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t k = 0; k < g->nodes[i]->output_count; k++)
            if (g->nodes[i]->outputs[k]) names[count++] = g->nodes[i]->outputs[k]->name;
    if (count) err = c->oracle->run(c->oracle->user, m, 0, names, count, true, keep_type, all);
    free(names);
    if (err)
        ap_types_release(all);
    else
        all->measured = true;
    return err;
}

const ap_value_type *ap_types_get(ap_types *t, const ap_value *v) {
    ap_value_type *type = ap_map_get(&t->by_name, v->name);
    if (type || (v->kind == AP_VALUE_NODE && !v->init)) return type;
    ap_value_type known = {0};
    if (v->init) {
        if (v->init->n_dims > AP_MAX_RANK) return NULL;
        known.dtype = (ap_dtype)v->init->data_type;
        known.rank = v->init->n_dims;
        if (known.rank) memcpy(known.dims, v->init->dims, known.rank * sizeof *known.dims);
    } else if (!ap_value_shape(v, &known.dtype, known.dims, &known.rank, NULL)) {
        return NULL;
    }
    for (size_t i = 0; i < known.rank; i++)
        if (known.dims[i] < 0) return NULL;
    type = ap_arena_calloc(&t->arena, 1, sizeof *type);
    *type = known;
    ap_map_set(&t->by_name, v->name, type);
    return type;
}

void ap_types_release(ap_types *t) {
    ap_map_free(&t->by_name);
    ap_arena_release(&t->arena);
    *t = (ap_types){0};
}

// ---- what to fold

typedef struct fold {
    ap_model *m;
    const ap_pass_context *c;
    ap_flow flow;
    ap_types *types;
    unsigned allowed;   // flow bits a constant may have
    bool exact;         // leave out what makes a kernel compute in another order
    size_t max_bytes;   // of one tensor
    size_t room;        // bytes the model may still grow by
    ap_map demanded;    // names a node that stays, a body or the interface needs
    ap_value **chosen;  // to become constants, in reverse graph order
    ap_tensor *tensors; // the same order
    size_t chosen_count;
    ap_map index; // name → place in chosen
} fold;

static bool is_constant(const fold *f, const ap_value *v) {
    return (ap_flow_get(&f->flow, v) & ~f->allowed) == 0;
}

static void demand(ap_value *v, void *user) {
    fold *f = user;
    ap_map_set(&f->demanded, v->name, v);
}

// A constant that is already as plain as it gets. A graph output stays the output of a node: runtimes do not
// agree on outputs that are constants themselves.
static bool is_settled(const ap_node *n) {
    const ap_value *v = n->output_count == 1 ? n->outputs[0] : NULL;
    if (!v || !v->is_output || *n->domain) return false;
    if (!strcmp(n->op, "Constant")) return true;
    return !strcmp(n->op, "Identity") && n->inputs[0] && n->inputs[0]->kind == AP_VALUE_INITIALIZER;
}

// Weights of recurrent layers: ONNX Runtime packs them once they are constant, and then sums in another
// order.
static bool is_packed(const ap_value *v) {
    for (size_t i = 0; i < v->use_count; i++) {
        const ap_node *n = v->uses[i].node;
        if ((ap_node_is(n, "LSTM") || ap_node_is(n, "GRU") || ap_node_is(n, "RNN")) && v->uses[i].input > 0)
            return true;
    }
    return false;
}

static bool affordable(fold *f, const ap_value *v, size_t *bytes) {
    const ap_value_type *t = ap_types_get(f->types, v);
    if (!t || !ap_dtype_bits(t->dtype)) return false; // sequences, strings
    ap_err err = ap_shape_bytes(t->dtype, t->dims, t->rank, bytes);
    bool fits = !err && *bytes <= f->max_bytes;
    ap_err_free(err);
    return fits;
}

// Can all outputs of `n` that something needs become constants?
static bool can_replace(fold *f, const ap_node *n) {
    size_t sum = 0;
    if (is_settled(n)) return false;
    for (size_t k = 0; k < n->output_count; k++) {
        const ap_value *v = n->outputs[k];
        size_t bytes = 0;
        if (!v) continue;
        if (!is_constant(f, v)) return false;
        if (!ap_map_has(&f->demanded, v->name)) continue;
        if (f->exact && is_packed(v) && !ap_node_is(n, "Constant")) return false;
        if (!affordable(f, v, &bytes)) return false;
        sum += bytes;
    }
    // What only moves from a Constant node costs nothing.
    if (ap_node_is(n, "Constant")) sum = 0;
    if (sum > f->room) return false;
    f->room -= sum;
    return true;
}

static void choose(fold *f) {
    const ap_graph *g = f->m->graph;
    for (size_t i = 0; i < g->output_count; i++) demand(g->outputs[i], f);
    for (size_t i = 0; i < g->values.count; i++) { // of bodies: where those are used is not looked at
        ap_value *v = g->values.entries[i].value;
        if (v->used_by_subgraph) demand(v, f);
    }
    f->chosen = ap_calloc(g->values.count + 1, sizeof *f->chosen);
    for (size_t i = g->node_count; i-- > 0;) {
        const ap_node *n = g->nodes[i];
        if (!can_replace(f, n)) {
            for (size_t k = 0; k < n->input_count; k++)
                if (n->inputs[k]) demand(n->inputs[k], f);
            continue;
        }
        for (size_t k = 0; k < n->output_count; k++)
            if (n->outputs[k] && ap_map_has(&f->demanded, n->outputs[k]->name)) {
                ap_map_set_index(&f->index, n->outputs[k]->name, f->chosen_count);
                f->chosen[f->chosen_count++] = n->outputs[k];
            }
    }
}

// ---- doing it

static ap_err keep_value(void *user, const char *name, const ap_tensor *t) {
    fold *f = user;
    int64_t at = ap_map_get_index(&f->index, name);
    if (at < 0 || f->tensors[at].dtype) return NULL;
    return ap_tensor_clone(t, &f->tensors[at]);
}

static ap_err read_values(fold *f) {
    const char **names = ap_calloc(f->chosen_count + 1, sizeof *names);
    f->tensors = ap_calloc(f->chosen_count + 1, sizeof *f->tensors);
    for (size_t i = 0; i < f->chosen_count; i++) names[i] = f->chosen[i]->name;
    ap_err err = f->c->oracle->run(f->c->oracle->user, f->m, 0, names, f->chosen_count, false, keep_value, f);
    for (size_t i = 0; !err && i < f->chosen_count; i++)
        if (!f->tensors[i].dtype)
            err = ap_err_new(AP_ERR_INTERNAL, "the oracle did not compute \"%s\"", names[i]);
    free(names);
    return err;
}

// A graph output keeps a node that makes it (an Identity); bodies that capture the value read the constant.
static ap_err put_constant(fold *f, ap_value *v, const ap_tensor *t, ap_map *redirect, ap_pass_result *r) {
    ap_graph *g = f->m->graph;
    const char *name = ap_arena_printf(&f->m->arena, "%s~const", v->name);
    const char *op = v->producer->op;
    ap_value *made = NULL;
    ap_err err = ap_graph_add_initializer(g, name, t, &made);
    if (err) return err;
    ap_pass_touch(r, op);
    if (v->is_output || !v->used_by_subgraph) return ap_graph_replace_value(g, v, made, NULL);
    ap_map_set(redirect, v->name, (char *)(uintptr_t)made->name);
    return NULL;
}

static ap_err put_constants(fold *f, ap_pass_result *r) {
    ap_map redirect = {0};
    ap_err err = NULL;
    for (size_t i = f->chosen_count; i-- > 0;)
        AP_TRY(put_constant(f, f->chosen[i], &f->tensors[i], &redirect, r));
    if (redirect.count) AP_TRY(ap_model_redirect(f->m, &redirect));
    ap_graph_sweep(f->m->graph);
done:
    ap_map_free(&redirect);
    return err;
}

static ap_err run_fold(ap_model *m, const ap_pass_context *c, unsigned allowed, bool exact,
                       ap_pass_result *r) {
    fold f = {.m = m, .c = c, .allowed = allowed, .exact = exact};
    ap_err err = NULL;
    f.max_bytes = (size_t)ap_pass_param(c, "max_tensor_bytes", AP_FOLD_TENSOR_BYTES);
    f.room = (size_t)ap_pass_param(c, "max_growth_bytes", AP_FOLD_GROWTH_BYTES);
    ap_flow_of(m, &f.flow);
    bool any = false;
    for (size_t i = 0; !any && i < m->graph->node_count; i++) {
        const ap_node *n = m->graph->nodes[i];
        for (size_t k = 0; k < n->output_count; k++)
            any = any || (n->outputs[k] && is_constant(&f, n->outputs[k]) && !is_settled(n));
    }
    if (!any) goto done;
    AP_TRY(ap_types_measure(m, c, &f.types));
    choose(&f);
    if (!f.chosen_count) goto done;
    AP_TRY(read_values(&f));
    AP_TRY(put_constants(&f, r));
done:
    for (size_t i = 0; f.tensors && i < f.chosen_count; i++) ap_tensor_free(&f.tensors[i]);
    free(f.tensors);
    free(f.chosen);
    ap_map_free(&f.demanded);
    ap_map_free(&f.index);
    ap_flow_release(&f.flow);
    return err;
}

ap_err ap_pass_constants(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    return run_fold(m, c, 0, true, r);
}

ap_err ap_pass_shapes(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    return run_fold(m, c, AP_FLOW_INPUT_SHAPE, true, r);
}

// What the exact passes had to leave. The constants have the same bits; what reads them may round
// differently.
ap_err ap_pass_weights(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    return run_fold(m, c, AP_FLOW_INPUT_SHAPE, false, r);
}
