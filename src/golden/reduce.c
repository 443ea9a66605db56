// SPDX-License-Identifier: Apache-2.0
#include "golden/reduce.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_TRIES 40

void ap_piece_free(ap_piece *p) {
    free(p->inputs);
    free(p->outputs);
    memset(p, 0, sizeof *p);
}

typedef struct reducer {
    const ap_model *m;
    const char *tensor;
    const ap_reduce_question *q;
    bool *in;      // node index → part of the piece
    size_t *order; // back-slice of the tensor, nearest node first
    size_t order_count, tries, max_tries;
} reducer;

// Nodes from which the tensor is made, breadth first: neighbours of the failure come first.
static void back_slice(reducer *r, const ap_node *end) {
    const ap_graph *g = r->m->graph;
    bool *seen = ap_calloc(g->node_count + 1, sizeof *seen);
    r->order[r->order_count++] = end->index;
    seen[end->index] = true;
    for (size_t i = 0; i < r->order_count; i++) {
        const ap_node *n = g->nodes[r->order[i]];
        for (size_t k = 0; k < n->input_count; k++) {
            const ap_node *p = n->inputs[k] ? n->inputs[k]->producer : NULL;
            if (!p || seen[p->index]) continue;
            seen[p->index] = true;
            r->order[r->order_count++] = p->index;
        }
    }
    free(seen);
}

static void add_input(ap_piece *p, const char *name) {
    for (size_t i = 0; i < p->input_count; i++)
        if (strcmp(p->inputs[i], name) == 0) return;
    p->inputs = ap_realloc(p->inputs, (p->input_count + 1) * sizeof *p->inputs);
    p->inputs[p->input_count++] = name;
}

// The piece made of the chosen nodes: its inputs are what they use and do not make.
static void make_piece(const reducer *r, ap_piece *p) {
    const ap_graph *g = r->m->graph;
    memset(p, 0, sizeof *p);
    p->outputs = ap_calloc(1, sizeof *p->outputs);
    p->outputs[p->output_count++] = r->tensor;
    for (size_t i = 0; i < g->node_count; i++) {
        if (!r->in[i]) continue;
        p->node_count++;
        for (size_t k = 0; k < g->nodes[i]->input_count; k++) {
            const ap_value *v = g->nodes[i]->inputs[k];
            if (!v || v->init) continue;
            if (!v->producer || !r->in[v->producer->index]) add_input(p, v->name);
        }
    }
}

static ap_err ask(reducer *r, bool *fails) {
    ap_piece p;
    *fails = false;
    if (r->tries >= r->max_tries) return NULL;
    r->tries++;
    make_piece(r, &p);
    ap_err err = r->q->fails(r->q->user, &p, fails);
    ap_piece_free(&p);
    if (!err || ap_err_code(err) == AP_ERR_CANCELLED) return err;
    *fails = false;
    ap_err_free(err);
    return NULL;
}

static void choose_first(reducer *r, size_t count) {
    memset(r->in, 0, r->m->graph->node_count * sizeof *r->in);
    for (size_t i = 0; i < count; i++) r->in[r->order[i]] = true;
}

// Grows the neighbourhood until it fails; the size that did is returned in *count.
static ap_err grow(reducer *r, size_t *count) {
    size_t n = 1;
    bool fails = false;
    for (;;) {
        choose_first(r, n);
        ap_err err = ask(r, &fails);
        if (err) return err;
        if (fails) break;
        if (n == r->order_count || r->tries >= r->max_tries)
            return ap_err_new(AP_ERR_INTERNAL,
                              "no piece of the graph that ends in '%s' fails on its own (%zu tried)",
                              r->tensor, r->tries);
        n = n * 2 < r->order_count ? n * 2 : r->order_count;
    }
    *count = n;
    return NULL;
}

// Takes nodes away from the far end while the piece still fails. A node may only go when nothing chosen
// before it feeds it alone, which the new cut takes care of: its consumers simply get golden values.
static ap_err shrink(reducer *r, size_t count) {
    for (size_t i = count; i-- > 1;) {
        bool fails = false;
        r->in[r->order[i]] = false;
        ap_err err = ask(r, &fails);
        if (err) return err;
        if (!fails) r->in[r->order[i]] = true;
    }
    return NULL;
}

// Nodes that lost the way to the tensor (their consumer was cut) carry nothing; drop them.
static void drop_unreachable(reducer *r) {
    const ap_graph *g = r->m->graph;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < g->node_count; i++) {
            if (!r->in[i]) continue;
            bool used = false;
            for (size_t k = 0; k < g->nodes[i]->output_count && !used; k++) {
                const ap_value *v = g->nodes[i]->outputs[k];
                if (!v) continue;
                used = strcmp(v->name, r->tensor) == 0;
                for (size_t u = 0; u < v->use_count && !used; u++) used = r->in[v->uses[u].node->index];
            }
            if (used) continue;
            r->in[i] = false;
            changed = true;
        }
    }
}

ap_err ap_reduce(const ap_model *m, const char *tensor, const ap_reduce_question *q, ap_piece *out,
                 size_t *tries) {
    const ap_value *v = ap_graph_value(m->graph, tensor);
    if (!v || !v->producer) return ap_err_new(AP_ERR_INTERNAL, "'%s' is made by no node", tensor);
    reducer r = {.m = m, .tensor = tensor, .q = q, .max_tries = q->max_tries ? q->max_tries : DEFAULT_TRIES};
    r.in = ap_calloc(m->graph->node_count + 1, sizeof *r.in);
    r.order = ap_calloc(m->graph->node_count + 1, sizeof *r.order);
    size_t count = 0;
    ap_err err = NULL;
    back_slice(&r, v->producer);
    AP_TRY(grow(&r, &count));
    AP_TRY(shrink(&r, count));
    drop_unreachable(&r);
    make_piece(&r, out);
    if (tries) *tries = r.tries;
done:
    free(r.in);
    free(r.order);
    return err;
}
