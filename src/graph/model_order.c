// SPDX-License-Identifier: Apache-2.0
#include "graph/model_priv.h"

#include <stdlib.h>
#include <string.h>

void ap_node_reads(const ap_node *n, void (*each)(ap_value *v, void *user), void *user) {
    for (size_t i = 0; i < n->input_count; i++)
        if (n->inputs[i]) each(n->inputs[i], user);
    for (size_t s = 0; s < n->subgraph_count; s++) {
        const ap_graph *body = n->subgraphs[s];
        for (size_t i = 0; i < body->values.count; i++) {
            const ap_value *v = body->values.entries[i].value;
            if (v->kind != AP_VALUE_OUTER) continue;
            // A body captures from its parent graph, which has the value or captures it in turn.
            ap_value *outer = ap_map_get(&body->parent->values, v->name);
            if (outer) each(outer, user);
        }
    }
}

typedef struct maker_call {
    void (*each)(ap_node *maker, void *user);
    void *user;
} maker_call;

static void call_maker(ap_value *v, void *user) {
    const maker_call *c = user;
    if (v->producer) c->each(v->producer, c->user);
}

void ap_node_needs(const ap_node *n, void (*each)(ap_node *maker, void *user), void *user) {
    maker_call c = {each, user};
    ap_node_reads(n, call_maker, &c);
}

typedef struct edges {
    const ap_node *node; // whose needs are being listed
    size_t *waiting;     // by node index: makers not placed yet, repeats included
    size_t *first;       // by node index: start of its followers; one more entry than nodes
    size_t *followers;   // indices of nodes that need it
    bool late;           // a maker does not come before its user
} edges;

static void see_late(ap_node *maker, void *user) {
    edges *e = user;
    if (maker->index >= e->node->index) e->late = true;
}

static void count_edge(ap_node *maker, void *user) {
    edges *e = user;
    e->waiting[e->node->index]++;
    e->first[maker->index + 1]++;
}

// `first` has been summed; it is used as the write position and ends up shifted by one entry.
static void add_edge(ap_node *maker, void *user) {
    edges *e = user;
    e->followers[e->first[maker->index]++] = e->node->index;
}

static void list_edges(const ap_graph *g, edges *e) {
    size_t n = g->node_count;
    e->waiting = ap_calloc(n, sizeof(size_t));
    e->first = ap_calloc(n + 1, sizeof(size_t));
    for (size_t i = 0; i < n; i++) ap_node_needs(e->node = g->nodes[i], count_edge, e);
    for (size_t i = 0; i < n; i++) e->first[i + 1] += e->first[i];
    e->followers = ap_calloc(e->first[n] + 1, sizeof(size_t));
    for (size_t i = 0; i < n; i++) ap_node_needs(e->node = g->nodes[i], add_edge, e);
    memmove(e->first + 1, e->first, n * sizeof(size_t));
    e->first[0] = 0;
}

// A heap of node indices keeps the order stable: of all nodes that may come next, the earliest in the file
// does.
static void heap_push(size_t *heap, size_t *count, size_t v) {
    size_t i = (*count)++;
    while (i && heap[(i - 1) / 2] > v) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = v;
}

static size_t heap_pop(size_t *heap, size_t *count) {
    size_t top = heap[0], v = heap[--*count], i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= *count) break;
        if (child + 1 < *count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= v) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = v;
    return top;
}

typedef struct back_step {
    const size_t *waiting;
    const ap_node *found;
} back_step;

static void step_back(ap_node *maker, void *user) {
    back_step *b = user;
    if (!b->found && b->waiting[maker->index]) b->found = maker;
}

// Some nodes still wait. Going from one of them to a maker that waits too must come round.
static ap_err name_cycle(const ap_graph *g, const size_t *waiting) {
    enum { SHOWN = 12 };
    bool *seen = ap_calloc(g->node_count, sizeof *seen);
    const ap_node *n = NULL;
    for (size_t i = 0; !n && i < g->node_count; i++)
        if (waiting[i]) n = g->nodes[i];
    while (n && !seen[n->index]) {
        seen[n->index] = true;
        back_step b = {waiting, NULL};
        ap_node_needs(n, step_back, &b);
        n = b.found;
    }
    free(seen);
    if (!n) return ap_err_new(AP_ERR_INTERNAL, "no cycle found where one must be");
    ap_buf names = {0};
    const ap_node *at = n;
    size_t length = 0;
    do {
        if (length < SHOWN) ap_buf_printf(&names, "%s\"%s\" (%s)", length ? " needs " : "", at->name, at->op);
        back_step b = {waiting, NULL};
        ap_node_needs(at, step_back, &b);
        at = b.found;
        length++;
    } while (at != n);
    if (length > SHOWN) ap_buf_printf(&names, " needs ... (%zu nodes in all)", length);
    ap_err err =
        ap_err_new(AP_ERR_MODEL_CYCLE, "nodes need each other: %s needs \"%s\"", ap_buf_str(&names), n->name);
    ap_buf_free(&names);
    return ap_err_subject(err, n->name);
}

static void apply_order(ap_graph *g, const size_t *order) {
    size_t n = g->node_count;
    ap_node **old = ap_calloc(n, sizeof(ap_node *));
    memcpy(old, g->nodes, n * sizeof(ap_node *));
    for (size_t i = 0; i < n; i++) {
        g->nodes[i] = old[order[i]];
        g->nodes[i]->index = i;
        g->proto->node[i] = g->nodes[i]->proto;
    }
    free(old);
}

ap_err ap_graph_order(ap_graph *g, bool *changed) {
    ap_err err = NULL;
    edges e = {0};
    *changed = false;
    for (size_t i = 0; !e.late && i < g->node_count; i++) ap_node_needs(e.node = g->nodes[i], see_late, &e);
    if (!e.late) return NULL;

    size_t n = g->node_count, ready = 0, placed = 0;
    size_t *heap = ap_calloc(n, sizeof(size_t)), *order = ap_calloc(n, sizeof(size_t));
    list_edges(g, &e);
    for (size_t i = 0; i < n; i++)
        if (!e.waiting[i]) heap_push(heap, &ready, i);
    while (ready) {
        size_t i = heap_pop(heap, &ready);
        order[placed++] = i;
        for (size_t k = e.first[i]; k < e.first[i + 1]; k++)
            if (!--e.waiting[e.followers[k]]) heap_push(heap, &ready, e.followers[k]);
    }
    if (placed < n) {
        err = name_cycle(g, e.waiting);
    } else {
        apply_order(g, order);
        *changed = true;
    }
    free(heap);
    free(order);
    free(e.waiting);
    free(e.first);
    free(e.followers);
    return err;
}

ap_err ap_graph_sort(ap_graph *g) {
    bool changed = false;
    ap_err err = ap_graph_order(g, &changed);
    if (changed) g->model->edited = true;
    return err;
}
