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

// A walk over nodes towards the inputs, breadth first, through bodies' captures too. Without `within` the
// whole graph is its ground, else only the nodes marked there.
typedef struct walk {
    const bool *within;
    bool *seen;
    size_t *list; // node indices in the order met
    size_t count;
} walk;

static void meet_node(walk *w, const ap_node *n) {
    if (!n || w->seen[n->index] || (w->within && !w->within[n->index])) return;
    w->seen[n->index] = true;
    w->list[w->count++] = n->index;
}

static void meet_value(ap_value *v, void *user) {
    meet_node(user, v->producer);
}

static void walk_back(const ap_graph *g, const ap_node *end, walk *w) {
    meet_node(w, end);
    for (size_t i = 0; i < w->count; i++) ap_node_reads(g->nodes[w->list[i]], meet_value, w);
}

// Nodes from which the tensor is made, breadth first: neighbours of the failure come first.
static void back_slice(reducer *r, const ap_node *end) {
    walk w = {.seen = ap_calloc(r->m->graph->node_count + 1, sizeof *w.seen), .list = r->order};
    walk_back(r->m->graph, end, &w);
    r->order_count = w.count;
    free(w.seen);
}

typedef struct cut {
    const reducer *r;
    ap_piece *p;
} cut;

static void add_input(ap_value *v, void *user) {
    cut *c = user;
    ap_piece *p = c->p;
    if (v->init || v->sparse || (v->producer && c->r->in[v->producer->index])) return;
    for (size_t i = 0; i < p->input_count; i++)
        if (strcmp(p->inputs[i], v->name) == 0) return;
    p->inputs = ap_realloc(p->inputs, (p->input_count + 1) * sizeof *p->inputs);
    p->inputs[p->input_count++] = v->name;
}

// The piece made of the chosen nodes: its inputs are what they read and do not make.
static void make_piece(const reducer *r, ap_piece *p) {
    const ap_graph *g = r->m->graph;
    cut c = {r, p};
    memset(p, 0, sizeof *p);
    p->outputs = ap_calloc(1, sizeof *p->outputs);
    p->outputs[p->output_count++] = r->tensor;
    for (size_t i = 0; i < g->node_count; i++) {
        if (!r->in[i]) continue;
        p->node_count++;
        ap_node_reads(g->nodes[i], add_input, &c);
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
static void drop_unreachable(reducer *r, const ap_node *end) {
    size_t n = r->m->graph->node_count;
    walk w = {.within = r->in, .seen = ap_calloc(n + 1, sizeof *w.seen), .list = r->order};
    walk_back(r->m->graph, end, &w);
    memcpy(r->in, w.seen, n * sizeof *r->in);
    free(w.seen);
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
    drop_unreachable(&r, v->producer);
    make_piece(&r, out);
    if (tries) *tries = r.tries;
done:
    free(r.in);
    free(r.order);
    return err;
}
