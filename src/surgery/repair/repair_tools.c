// SPDX-License-Identifier: Apache-2.0
// What repair works with in the product: the search, and probes of every distinct node.
#include "surgery/repair/repair.h"

#include <stdlib.h>
#include <string.h>

static bool type_by_name(void *user, const char *value, ap_value_type *out) {
    const ap_match_env *env = user;
    const ap_value *v = ap_graph_value(env->model->graph, value);
    return v && ap_type_of(&env->types, v, out);
}

static bool is_constant(const ap_node *n) {
    return ap_node_is(n, "Constant");
}

// Taken, and not right. A lone node that is refused is no such case: whether the model needs it repaired is
// said by the model's own placement, where fusions count.
static bool is_bad(const ap_probe *p) {
    return p->verdict == AP_PROBE_WRONG || p->verdict == AP_PROBE_UNSTABLE;
}

// What the nodes are asked about with: the pieces of quantised ones.
typedef struct questions {
    ap_probe_set set;
    ap_piece *pieces; // by node; no model: asked about alone
    const ap_node **nodes;
} questions;

static ap_err add_question(questions *q, const ap_match_env *env, ap_node *n) {
    ap_piece *p = &q->pieces[q->set.count];
    q->nodes[q->set.count] = n;
    if (ap_node_is_quantised(n)) ap_err_free(ap_piece_cut(env, n, 1, p)); // what cannot be cut is asked alone
    if (p->model) return ap_probe_add_piece(&q->set, p->model, p->model, p->facts, n->name);
    return ap_probe_add_node(&q->set, env->model, n, type_by_name, (void *)(uintptr_t)env);
}

static json_t *names_of(const ap_piece *p) {
    json_t *list = json_array();
    for (size_t i = 0; i < p->node_count; i++) json_array_append_new(list, ap_json_string(p->nodes[i]));
    return list;
}

static ap_err probe_nodes(const ap_match_env *env, const ap_search_options *o, json_t *wrong) {
    const ap_graph *g = env->model->graph;
    questions q = {.pieces = ap_calloc(g->node_count + 1, sizeof *q.pieces),
                   .nodes = ap_calloc(g->node_count + 1, sizeof *q.nodes)};
    ap_err err = NULL;
    if (!o->host) goto done;
    for (size_t i = 0; i < g->node_count; i++)
        if (!is_constant(g->nodes[i])) AP_TRY(add_question(&q, env, g->nodes[i]));
    AP_TRY(ap_probe_run(&q.set, o->cache, o->host, NULL));
    for (size_t i = 0; i < q.set.count; i++) {
        const ap_probe *p = &q.set.list[i];
        if (!is_bad(p)) continue;
        json_array_append_new(wrong,
                              json_pack("{ss,ss,ss,ss,so}", "node", q.nodes[i]->name, "op", q.nodes[i]->op,
                                        "verdict", ap_probe_verdict_word(p->verdict), "reason",
                                        p->reason ? p->reason : "its numbers differ from the oracle's",
                                        "with", names_of(&q.pieces[i])));
    }
done:
    ap_probe_set_release(&q.set);
    for (size_t i = 0; i < g->node_count; i++) ap_piece_release(&q.pieces[i]);
    free(q.pieces);
    free(q.nodes);
    return err;
}

const ap_repair_tools ap_repair_tools_of_search = {
    .cut = ap_piece_cut,
    .search = ap_search_many,
    .apply = ap_recipe_apply,
    .probe = probe_nodes,
};
