// SPDX-License-Identifier: Apache-2.0
#include "golden/picks.h"

#include "golden/trace.h"
#include "graph/nodes.h"

#include <stdlib.h>
#include <string.h>

static bool is_topk(const ap_node *n) {
    return strcmp(n->op, "TopK") == 0 && (!n->domain || !*n->domain || strcmp(n->domain, "ai.onnx") == 0) &&
           n->input_count == 2 && n->output_count == 2 && n->outputs[0] && n->outputs[1];
}

void ap_picks_find(const ap_model *m, const char ***names, size_t *count) {
    size_t n = 0, kept = 0;
    ap_trace_candidates(m, names, &n);
    for (size_t i = 0; i < n; i++) {
        const ap_value *v = ap_graph_value(m->graph, (*names)[i]);
        if (v && v->producer && is_topk(v->producer) && v->producer->outputs[1] == v)
            (*names)[kept++] = (*names)[i];
    }
    *count = kept;
}

static ap_err tensor_type(const json_t *tensor, const char *name, ap_value_type *out) {
    if (!ap_value_type_read(tensor, out) || (out->dtype != AP_I64 && out->dtype != AP_I32))
        return ap_err_subject(ap_err_new(AP_ERR_MODEL_INVALID, "\"%s\" does not hold indices", name), name);
    out->dtype = AP_I64;
    return NULL;
}

// The TopK stays as the maker of `best`; everyone else reads what was given.
static ap_err give(ap_model *m, const char *name, const json_t *tensor, json_t *list) {
    ap_graph *g = m->graph;
    ap_value *indices = ap_graph_value(g, name), *given = NULL;
    ap_value_type type;
    ap_node *gather = NULL;
    ap_err err = NULL;
    if (!indices || !indices->producer || !is_topk(indices->producer))
        AP_FAIL(AP_ERR_MODEL_MISSING, "\"%s\" is not what a TopK picked", name);
    ap_node *topk = indices->producer;
    AP_TRY(tensor_type(tensor, name, &type));
    char *base = ap_arena_printf(&m->arena, "%s~given", name);
    AP_TRY(ap_graph_add_input(g, ap_graph_free_name(g, base), &type, &given));
    const char *made = ap_graph_free_name(g, ap_arena_printf(&m->arena, "%s~picked", name));
    ap_value *reads[] = {topk->inputs[0], given};
    Onnx__AttributeProto *axis = ap_attr_int(&m->arena, "axis", ap_node_attr_int(topk, "axis", -1));
    const ap_node_spec spec = {.op = "GatherElements",
                               .inputs = reads,
                               .input_count = 2,
                               .outputs = &made,
                               .output_count = 1,
                               .attrs = &axis,
                               .attr_count = 1};
    AP_TRY(ap_graph_add_node(g, &spec, &gather));
    AP_TRY(ap_graph_replace_value(g, topk->outputs[0], gather->outputs[0], NULL));
    AP_TRY(ap_graph_replace_value(g, indices, given, NULL));
    AP_TRY(ap_graph_sort(g));
    // Where a value is an output of the graph, names were swapped: the nodes know which is which.
    ap_value *ends[] = {topk->outputs[0], gather->outputs[0]};
    for (size_t i = 0; i < 2; i++)
        if (!ends[i]->is_output) AP_TRY(ap_graph_add_output(g, ends[i], NULL));
    json_array_append_new(list,
                          json_pack("{ss,ss,ss,ss,ss,sI}", "indices", name, "input", given->name, "best",
                                    ends[0]->name, "picked", ends[1]->name, "data", topk->inputs[0]->name,
                                    "axis", (json_int_t)ap_node_attr_int(topk, "axis", -1)));
done:
    return err;
}

ap_err ap_picks_give(ap_model *m, const char *const *names, const json_t *tensors, size_t count,
                     json_t **out) {
    json_t *list = json_array();
    ap_err err = NULL;
    for (size_t i = 0; !err && i < count; i++) err = give(m, names[i], json_array_get(tensors, i), list);
    if (err)
        json_decref(list);
    else
        *out = list;
    return err;
}

static int64_t index_at(const ap_tensor *t, size_t i) {
    return t->dtype == AP_I64 ? ((const int64_t *)t->data)[i] : ((const int32_t *)t->data)[i];
}

bool ap_picks_valid(const ap_tensor *t, size_t axis, int64_t size) {
    if ((t->dtype != AP_I64 && t->dtype != AP_I32) || axis >= t->rank || size < 0) return false;
    size_t inner = 1, count = ap_tensor_count(t), length = (size_t)t->dims[axis];
    for (size_t d = axis + 1; d < t->rank; d++) inner *= (size_t)t->dims[d];
    size_t *seen = ap_calloc((size_t)size + 1, sizeof *seen); // 1 + number of the row that had it
    bool valid = length <= (size_t)size;
    for (size_t row = 0; valid && length && row < count / length; row++)
        for (size_t k = 0; valid && k < length; k++) {
            int64_t i = index_at(t, (row / inner) * length * inner + k * inner + row % inner);
            valid = i >= 0 && i < size && seen[i] != row + 1;
            if (valid) seen[i] = row + 1;
        }
    free(seen);
    return valid;
}
