// SPDX-License-Identifier: Apache-2.0
#include "graph/graph_diff.h"

#include "graph/inspect_priv.h"

#include <stdlib.h>
#include <string.h>

typedef struct pairing {
    const ap_graph *a, *b;
    size_t *to_b, *to_a; // SIZE_MAX: alone
    ap_map changed;      // name of a's node → what
    json_t *rows;
} pairing;

static json_t *node_text(const ap_graph *g, const ap_node *n) {
    ap_buf b = {0};
    ap_inspect_node(g->model, n, &b);
    json_t *text = ap_json_string(ap_buf_str(&b));
    ap_buf_free(&b);
    return text;
}

static void add_row(pairing *p, const char *mark, const ap_node *a, const ap_node *b) {
    json_array_append_new(
        p->rows, json_pack("{ss,so,so,so}", "mark", mark, "name", ap_json_string(a ? a->name : b->name), "a",
                           a ? node_text(p->a, a) : json_null(), "b", b ? node_text(p->b, b) : json_null()));
}

static void pair(pairing *p, size_t i, size_t k) {
    p->to_b[i] = k;
    p->to_a[k] = i;
}

// By the first output they share, then by the name of the node; the same operator both times.
static void find_pairs(pairing *p) {
    for (size_t i = 0; i < p->a->node_count; i++) {
        const ap_node *n = p->a->nodes[i];
        for (size_t k = 0; k < n->output_count && p->to_b[i] == SIZE_MAX; k++) {
            const ap_value *v = n->outputs[k] ? ap_graph_value(p->b, n->outputs[k]->name) : NULL;
            if (v && v->producer && p->to_a[v->producer->index] == SIZE_MAX &&
                !strcmp(v->producer->op, n->op))
                pair(p, i, v->producer->index);
        }
    }
    for (size_t i = 0; i < p->a->node_count; i++) {
        const ap_node *n = p->a->nodes[i], *other = ap_graph_node(p->b, n->name);
        if (p->to_b[i] == SIZE_MAX && other && p->to_a[other->index] == SIZE_MAX && !strcmp(other->op, n->op))
            pair(p, i, other->index);
    }
}

static bool same_text(const pairing *p, const ap_node *a, const ap_node *b) {
    json_t *x = node_text(p->a, a), *y = node_text(p->b, b);
    bool same = json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

static void add_pair(pairing *p, size_t i) {
    const ap_node *a = p->a->nodes[i], *b = p->b->nodes[p->to_b[i]];
    add_row(p, ap_map_has(&p->changed, a->name) || !same_text(p, a, b) ? "~" : "=", a, b);
}

// Is `b` called after what `a` made? "y~mod_int.3" is what a rule put in the place of the maker of "y".
static bool is_heir(const ap_node *a, const ap_node *b) {
    for (size_t i = 0; i < a->output_count; i++) {
        size_t n = a->outputs[i] ? strlen(a->outputs[i]->name) : 0;
        if (n && !strncmp(a->outputs[i]->name, b->name, n) && b->name[n] == '~') return true;
    }
    return false;
}

// A node that went, and right below it those that came in its place, as far as they are next in b.
static void add_gone(pairing *p, size_t i, size_t *k, bool *shown) {
    const ap_node *a = p->a->nodes[i];
    add_row(p, "-", a, NULL);
    for (; *k < p->b->node_count && (shown[*k] || (p->to_a[*k] == SIZE_MAX && is_heir(a, p->b->nodes[*k])));
         ++*k) {
        if (!shown[*k]) add_row(p, "+", NULL, p->b->nodes[*k]);
        shown[*k] = true;
    }
}

// Both lists in order; a pair whose halves stand in another order goes where a's is.
static void make_rows(pairing *p) {
    bool *shown = ap_calloc(p->b->node_count + 1, sizeof *shown);
    size_t k = 0;
    for (size_t i = 0; i < p->a->node_count; i++) {
        if (p->to_b[i] == SIZE_MAX) {
            add_gone(p, i, &k, shown);
            continue;
        }
        for (; k < p->to_b[i]; k++) {
            if (p->to_a[k] != SIZE_MAX || shown[k]) continue;
            add_row(p, "+", NULL, p->b->nodes[k]);
            shown[k] = true;
        }
        add_pair(p, i);
        shown[p->to_b[i]] = true;
    }
    for (k = 0; k < p->b->node_count; k++)
        if (!shown[k]) add_row(p, "+", NULL, p->b->nodes[k]);
    free(shown);
}

static void read_changes(pairing *p, const json_t *doc) {
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(doc, "changed"), i,
                       entry) if (!strcmp(ap_json_str(entry, "kind", ""), "node"))
        ap_map_set(&p->changed, ap_json_str(entry, "name", ""), entry);
}

ap_err ap_graph_diff(ap_model *a, ap_model *b, json_t **out) {
    json_t *doc = NULL;
    ap_err err = ap_model_diff(a, b, &doc);
    if (err) return err;
    pairing p = {.a = a->graph, .b = b->graph, .rows = json_array()};
    p.to_b = ap_calloc(p.a->node_count + 1, sizeof *p.to_b);
    p.to_a = ap_calloc(p.b->node_count + 1, sizeof *p.to_a);
    for (size_t i = 0; i < p.a->node_count; i++) p.to_b[i] = SIZE_MAX;
    for (size_t i = 0; i < p.b->node_count; i++) p.to_a[i] = SIZE_MAX;
    read_changes(&p, doc);
    find_pairs(&p);
    make_rows(&p);
    json_object_set_new(doc, "rows", p.rows);
    json_object_set_new(doc, "nodes",
                        json_pack("[I,I]", (json_int_t)p.a->node_count, (json_int_t)p.b->node_count));
    ap_map_free(&p.changed);
    free(p.to_a);
    free(p.to_b);
    *out = doc;
    return NULL;
}
