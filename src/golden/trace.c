// SPDX-License-Identifier: Apache-2.0
#include "golden/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// A value carries data when some input's contents, not only its shape, can change it.
static bool node_carries_data(const ap_node *n, const ap_map *data) {
    if (strcmp(n->op, "Shape") == 0 || strcmp(n->op, "Size") == 0) return false;
    if (n->subgraph_count > 0) return true; // bodies capture values by name: assume they do
    for (size_t i = 0; i < n->input_count; i++)
        if (n->inputs[i] && ap_map_has(data, n->inputs[i]->name)) return true;
    return false;
}

void ap_trace_candidates(const ap_model *m, const char ***names, size_t *count) {
    const ap_graph *g = m->graph;
    const char **list = NULL;
    size_t n = 0, cap = 0;
    ap_map data = {0};
    for (size_t i = 0; i < g->input_count; i++) ap_map_set(&data, g->inputs[i]->name, g->inputs[i]);
    for (size_t i = 0; i < g->node_count; i++) {
        const ap_node *node = g->nodes[i];
        if (!node_carries_data(node, &data)) continue;
        for (size_t k = 0; k < node->output_count; k++) {
            ap_value *v = node->outputs[k];
            if (!v) continue;
            ap_map_set(&data, v->name, v);
            if (v->use_count == 0 && !v->is_output && !v->used_by_subgraph) continue;
            if (n == cap) {
                cap = cap ? cap * 2 : 64;
                list = ap_realloc(list, cap * sizeof *list);
            }
            list[n++] = v->name;
        }
    }
    ap_map_free(&data);
    *names = list;
    *count = n;
}

static json_t *trace_entry(const ap_value *v, size_t index, bool whole, const ap_metrics *m) {
    const ap_node *n = v->producer;
    return json_pack("{sI,so,so,so,sb,so,so,so,so}", "index", (json_int_t)index, "tensor",
                     ap_json_string(v->name), "node", ap_json_string(n ? n->name : NULL), "op",
                     ap_json_string(n ? n->op : NULL), "whole", whole, "sqnr_db", ap_json_real(m->sqnr_db),
                     "cosine", ap_json_real(m->cosine), "max_abs", ap_json_real(m->max_abs), "ref_max",
                     ap_json_real(m->ref_max));
}

static ap_err compare_one(const json_t *a, const json_t *b, ap_metrics *out, bool *whole, bool *done_it) {
    *done_it = *whole = false;
    ap_dtype type = ap_dtype_from_name(ap_json_str(a, "dtype", ""));
    if (type == AP_STRING || type == AP_BOOL || ap_dtype_from_name(ap_json_str(b, "dtype", "")) != type)
        return NULL;
    *whole = !ap_dtype_is_float(type);
    ap_err err = ap_metrics_entries(a, b, out);
    *done_it = !err && out->count > 0;
    return err;
}

ap_err ap_trace_compare(const ap_model *m, const json_t *golden, const json_t *target, json_t **out) {
    json_t *list = json_array(), *g, *t;
    ap_map by_name = {0};
    size_t i;
    ap_err err = NULL;
    json_array_foreach((json_t *)(uintptr_t)target, i, t) ap_map_set(&by_name, ap_json_str(t, "name", ""), t);
    json_array_foreach((json_t *)(uintptr_t)golden, i, g) {
        const char *name = ap_json_str(g, "name", "");
        const ap_value *v = ap_graph_value(m->graph, name);
        t = ap_map_get(&by_name, name);
        ap_metrics metrics;
        bool compared = false, whole = false;
        if (!v || !t) continue;
        AP_TRY(ap_err_context(compare_one(g, t, &metrics, &whole, &compared), "tensor '%s'", name));
        if (compared) json_array_append_new(list, trace_entry(v, json_array_size(list), whole, &metrics));
    }
    *out = list;
    list = NULL;
done:
    json_decref(list);
    ap_map_free(&by_name);
    return err;
}

const json_t *ap_trace_first_bad(const ap_model *m, const json_t *trace, double floor_db) {
    ap_map bad = {0};
    const json_t *found = NULL;
    json_t *entry;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)trace, i, entry) {
        double db = ap_json_to_real(json_object_get(entry, "sqnr_db"));
        if (db >= (ap_json_bool(entry, "whole", false) ? fmax(floor_db, AP_TRACE_WHOLE_DB) : floor_db))
            continue; // NaN counts as bad
        const ap_value *v = ap_graph_value(m->graph, ap_json_str(entry, "tensor", ""));
        bool inherited = false;
        for (size_t k = 0; v && v->producer && k < v->producer->input_count && !inherited; k++)
            inherited = v->producer->inputs[k] && ap_map_has(&bad, v->producer->inputs[k]->name);
        ap_map_set(&bad, ap_json_str(entry, "tensor", ""), entry);
        if (!inherited && !found) found = entry;
    }
    ap_map_free(&bad);
    return found;
}
