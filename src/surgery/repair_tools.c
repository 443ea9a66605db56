// SPDX-License-Identifier: Apache-2.0
// What repair works with in the product: the search, and probes of every distinct node.
#include "surgery/repair.h"

#include <string.h>

static bool type_by_name(void *user, const char *value, ap_value_type *out) {
    const ap_match_env *env = user;
    const ap_value *v = ap_graph_value(env->model->graph, value);
    return v && ap_type_of(&env->types, v, out);
}

static bool is_constant(const ap_node *n) {
    return strcmp(n->op, "Constant") == 0 && !*n->domain;
}

// Taken, and not right. A lone node that is refused is no such case: whether the model needs it repaired is
// said by the model's own placement, where fusions count.
static bool is_bad(const ap_probe *p) {
    return p->verdict == AP_PROBE_WRONG || p->verdict == AP_PROBE_UNSTABLE;
}

static ap_err probe_nodes(const ap_match_env *env, const ap_search_options *o, json_t *wrong) {
    ap_probe_set set = {0};
    const ap_graph *g = env->model->graph;
    ap_err err = NULL;
    if (!o->host) return NULL;
    for (size_t i = 0; i < g->node_count; i++)
        if (!is_constant(g->nodes[i]))
            AP_TRY(ap_probe_add_node(&set, env->model, g->nodes[i], type_by_name, (void *)(uintptr_t)env));
    AP_TRY(ap_probe_run(&set, o->cache, o->host, NULL));
    for (size_t i = 0; i < set.count; i++) {
        const ap_probe *p = &set.list[i];
        if (!is_bad(p)) continue;
        json_array_append_new(wrong,
                              json_pack("{ss,ss,ss,ss}", "node", p->variant, "op", p->op, "verdict",
                                        ap_probe_verdict_word(p->verdict), "reason",
                                        p->reason ? p->reason : "its numbers differ from the oracle's"));
    }
done:
    ap_probe_set_release(&set);
    return err;
}

const ap_repair_tools ap_repair_tools_of_search = {
    .cut = ap_piece_cut,
    .search = ap_search_many,
    .apply = ap_recipe_apply,
    .probe = probe_nodes,
};
