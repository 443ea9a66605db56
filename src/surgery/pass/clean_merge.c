// SPDX-License-Identifier: Apache-2.0
// The pass `merge`: constants of the same type, shape and bytes become one; then nodes that do the same to
// the same inputs.
#include "base/hash.h"
#include "graph/nodes.h"
#include "surgery/pass/fold_flow.h"
#include "surgery/pass/pass.h"

#include <stdlib.h>
#include <string.h>

static bool seen_outside(const ap_value *v) {
    return v->is_output || v->used_by_subgraph;
}

// ---- constants

static void type_key(const Onnx__TensorProto *t, ap_buf *key) {
    ap_buf_clear(key);
    ap_buf_printf(key, "%d", (int)t->data_type);
    for (size_t i = 0; i < t->n_dims; i++) ap_buf_printf(key, ",%lld", (long long)t->dims[i]);
}

static bool plain_constant(ap_model *m, const Onnx__TensorProto *p, ap_value **v, ap_tensor *t) {
    *v = ap_graph_value(m->graph, p->name);
    return ap_pass_constant(m, *v, t) && (*v)->init == p;
}

// Only constants of a type and shape that comes twice need to be read.
static void count_types(const ap_model *m, ap_map *counts) {
    ap_buf key = {0};
    for (size_t i = 0; i < m->proto->graph->n_initializer; i++) {
        type_key(m->proto->graph->initializer[i], &key);
        int64_t n = ap_map_get_index(counts, ap_buf_str(&key));
        ap_map_set_index(counts, ap_buf_str(&key), n < 0 ? 1 : (size_t)n + 1);
    }
    ap_buf_free(&key);
}

static ap_err merge_constants(ap_model *m, ap_pass_result *r) {
    ap_map counts = {0}, first = {0};
    ap_buf key = {0};
    ap_err err = NULL;
    count_types(m, &counts);
    for (size_t i = 0; !err && i < m->proto->graph->n_initializer; i++) {
        ap_value *v = NULL;
        ap_tensor t;
        type_key(m->proto->graph->initializer[i], &key);
        if (ap_map_get_index(&counts, ap_buf_str(&key)) < 2 ||
            !plain_constant(m, m->proto->graph->initializer[i], &v, &t))
            continue;
        ap_buf_printf(&key, " %s", ap_sha256_of(t.data, t.bytes).hex);
        ap_value *other = ap_map_get(&first, ap_buf_str(&key));
        if (!other) {
            ap_map_set(&first, ap_buf_str(&key), v);
        } else if (!seen_outside(v) && v->use_count) {
            err = ap_graph_replace_value(m->graph, v, other, NULL);
            ap_pass_touch(r, "constant");
        }
    }
    ap_buf_free(&key);
    ap_map_free(&counts);
    ap_map_free(&first);
    return err;
}

// ---- nodes

// The same inputs give the same outputs.
static bool is_deterministic(const ap_node *n) {
    if (*n->domain || n->subgraph_count || !n->input_count) return false;
    return !ap_op_is_random(n) && strcmp(n->op, "Dropout") != 0;
}

// Everything but its own name and those of its outputs.
static void node_key(const ap_node *n, ap_buf *key) {
    Onnx__NodeProto copy = *n->proto;
    copy.name = NULL;
    copy.doc_string = NULL;
    copy.n_metadata_props = 0;
    copy.n_output = 0;
    size_t bytes = onnx__node_proto__get_packed_size(&copy);
    uint8_t *packed = ap_alloc(bytes);
    onnx__node_proto__pack(&copy, packed);
    ap_buf_clear(key);
    ap_buf_puts(key, ap_sha256_of(packed, bytes).hex);
    for (size_t k = 0; k < n->output_count; k++) ap_buf_putc(key, n->outputs[k] ? '1' : '0');
    free(packed);
}

static bool can_go(const ap_node *n) {
    for (size_t k = 0; k < n->output_count; k++)
        if (n->outputs[k] && seen_outside(n->outputs[k])) return false;
    return true;
}

static ap_err merge_nodes(ap_model *m, ap_pass_result *r) {
    ap_map first = {0};
    ap_buf key = {0};
    ap_err err = NULL;
    for (size_t i = 0; !err && i < m->graph->node_count; i++) {
        ap_node *n = m->graph->nodes[i];
        if (!is_deterministic(n)) continue;
        node_key(n, &key);
        const ap_node *other = ap_map_get(&first, ap_buf_str(&key));
        if (!other) {
            ap_map_set(&first, ap_buf_str(&key), n);
            continue;
        }
        if (!can_go(n)) continue;
        for (size_t k = 0; !err && k < n->output_count; k++)
            if (n->outputs[k]) err = ap_graph_replace_value(m->graph, n->outputs[k], other->outputs[k], NULL);
        ap_pass_touch(r, n->op);
    }
    ap_buf_free(&key);
    ap_map_free(&first);
    return err;
}

ap_err ap_pass_merge(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    (void)c;
    ap_err err = merge_constants(m, r);
    if (!err) err = merge_nodes(m, r);
    if (!err && r->changed) ap_graph_sweep(m->graph);
    return err;
}
