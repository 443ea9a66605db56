// SPDX-License-Identifier: Apache-2.0
// The signature of a probe: everything its answer may depend on, in canonical form. Names of values do not
// count (they are numbered in order of appearance), order of attributes neither.
#include "base/hash.h"
#include "surgery/probe/probe_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Raise it when values are made otherwise or verdicts are judged otherwise: old answers are then asked anew.
#define SIGNATURE_VERSION 1

static json_t *tensor_json(const Onnx__TensorProto *t) {
    ap_digest d = ap_sha256_of(t->raw_data.data, t->raw_data.len);
    if (t->has_raw_data || t->n_dims == 0)
        return json_pack("{ss,so,ss}", "dtype", ap_dtype_name((ap_dtype)t->data_type), "dims",
                         ap_json_dims(t->dims, t->n_dims), "sha256", d.hex);
    // Typed fields: the message itself is hashed.
    size_t n = onnx__tensor_proto__get_packed_size(t);
    uint8_t *bytes = ap_alloc(n);
    onnx__tensor_proto__pack(t, bytes);
    d = ap_sha256_of(bytes, n);
    free(bytes);
    return json_pack("{ss}", "message", d.hex);
}

static json_t *graph_hash(const Onnx__GraphProto *g) {
    size_t n = onnx__graph_proto__get_packed_size(g);
    uint8_t *bytes = ap_alloc(n);
    onnx__graph_proto__pack(g, bytes);
    ap_digest d = ap_sha256_of(bytes, n);
    free(bytes);
    return json_pack("{ss}", "graph", d.hex);
}

static json_t *bytes_json(ProtobufCBinaryData b) {
    char *s = ap_strndup((const char *)b.data, b.len);
    json_t *j = ap_json_string(s);
    free(s);
    return j;
}

static json_t *attribute_json(const Onnx__AttributeProto *at) {
    json_t *list = json_array();
    if (at->t) json_array_append_new(list, tensor_json(at->t));
    if (at->g) json_array_append_new(list, graph_hash(at->g));
    if (at->has_f) json_array_append_new(list, ap_json_real((double)at->f));
    if (at->has_i) json_array_append_new(list, json_integer(at->i));
    if (at->has_s) json_array_append_new(list, bytes_json(at->s));
    for (size_t i = 0; i < at->n_floats; i++)
        json_array_append_new(list, ap_json_real((double)at->floats[i]));
    for (size_t i = 0; i < at->n_ints; i++) json_array_append_new(list, json_integer(at->ints[i]));
    for (size_t i = 0; i < at->n_strings; i++) json_array_append_new(list, bytes_json(at->strings[i]));
    for (size_t i = 0; i < at->n_tensors; i++) json_array_append_new(list, tensor_json(at->tensors[i]));
    for (size_t i = 0; i < at->n_graphs; i++) json_array_append_new(list, graph_hash(at->graphs[i]));
    return list;
}

// The number of a value, given when it is first met; -1 for an omitted one.
static json_t *value_number(ap_map *numbers, const char *name) {
    if (!*name) return json_integer(-1);
    if (!ap_map_has(numbers, name)) ap_map_set_index(numbers, name, numbers->count);
    return json_integer(ap_map_get_index(numbers, name));
}

static json_t *node_json(const Onnx__NodeProto *n, ap_map *numbers) {
    json_t *ins = json_array(), *outs = json_array(), *attrs = json_object();
    for (size_t i = 0; i < n->n_input; i++) json_array_append_new(ins, value_number(numbers, n->input[i]));
    for (size_t i = 0; i < n->n_output; i++) json_array_append_new(outs, value_number(numbers, n->output[i]));
    for (size_t i = 0; i < n->n_attribute; i++)
        json_object_set_new(attrs, n->attribute[i]->name, attribute_json(n->attribute[i]));
    return json_pack("{so,ss,so,so,so}", "op", ap_json_string(n->op_type), "domain",
                     n->domain ? n->domain : "", "inputs", ins, "outputs", outs, "attrs", attrs);
}

// Open dims count: they decide whether a backend takes the node.
static json_t *open_dims(const Onnx__ValueInfoProto *v, const ap_value_type *t) {
    json_t *dims = json_array();
    const Onnx__TensorShapeProto *shape =
        v->type && v->type->tensor_type ? v->type->tensor_type->shape : NULL;
    for (size_t i = 0; i < t->rank; i++) {
        bool open = shape && i < shape->n_dim &&
                    (shape->dim[i]->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ||
                     shape->dim[i]->dim_value < 0);
        json_array_append_new(dims, open ? json_string("?") : json_integer(t->dims[i]));
    }
    return dims;
}

// What the oracle runs. Values inside of it are numbered on: they may share names with the piece, but no
// value.
static json_t *reference_json(const Onnx__GraphProto *g, const ap_map *numbers) {
    json_t *nodes = json_array(), *constants = json_array(), *outputs = json_array();
    ap_map own = {0};
    for (size_t i = 0; i < g->n_input; i++)
        ap_map_set_index(&own, g->input[i]->name, (size_t)ap_map_get_index(numbers, g->input[i]->name));
    size_t first = numbers->count;
    while (own.count < first) { // keeps numbers of values that are no inputs out of the way
        char name[32];
        (void)snprintf(name, sizeof name, "/%zu", own.count);
        ap_map_set_index(&own, name, 0);
    }
    for (size_t i = 0; i < g->n_node; i++) json_array_append_new(nodes, node_json(g->node[i], &own));
    for (size_t i = 0; i < g->n_initializer; i++)
        json_array_append_new(constants,
                              json_pack("{so,so}", "value", value_number(&own, g->initializer[i]->name),
                                        "data", tensor_json(g->initializer[i])));
    for (size_t i = 0; i < g->n_output; i++)
        json_array_append_new(outputs, value_number(&own, g->output[i]->name));
    ap_map_free(&own);
    return json_pack("{so,so,so}", "nodes", nodes, "constants", constants, "outputs", outputs);
}

void ap_probe_sign(ap_probe_set *s, ap_probe *p) {
    ap_map numbers = {0};
    json_t *j = json_object(), *opsets = json_object(), *nodes = json_array(), *inputs = json_array(),
           *constants = json_array(), *outputs = json_array();
    p->bytes = 0;
    for (size_t i = 0; i < p->graph->n_node; i++)
        json_array_append_new(nodes, node_json(p->graph->node[i], &numbers));
    for (size_t i = 0; i < p->input_count; i++) {
        const ap_probe_input *in = &p->inputs[i];
        size_t bytes = 0;
        ap_err_free(ap_shape_bytes(in->type.dtype, in->type.dims, in->type.rank, &bytes));
        p->bytes += bytes;
        json_array_append_new(inputs, json_pack("{so,ss,so,so,so}", "value", value_number(&numbers, in->name),
                                                "dtype", ap_dtype_name(in->type.dtype), "dims",
                                                ap_json_dims(in->type.dims, in->type.rank), "declared",
                                                open_dims(p->graph->input[i], &in->type), "values",
                                                ap_probe_values_json(&in->values)));
    }
    for (size_t i = 0; i < p->graph->n_initializer; i++) {
        const Onnx__TensorProto *t = p->graph->initializer[i];
        p->bytes += t->raw_data.len;
        json_array_append_new(constants, json_pack("{so,so}", "value", value_number(&numbers, t->name),
                                                   "data", tensor_json(t)));
    }
    if (p->reference) json_object_set_new(j, "reference", reference_json(p->reference, &numbers));
    for (size_t i = 0; i < p->graph->n_output; i++)
        json_array_append_new(outputs, value_number(&numbers, p->graph->output[i]->name));
    for (size_t i = 0; i < p->opset_count; i++)
        json_object_set_new(opsets, p->opsets[i]->domain, json_integer(p->opsets[i]->version));
    json_object_set_new(j, "version", json_integer(SIGNATURE_VERSION));
    if (p->seed) json_object_set_new(j, "seed", json_integer((json_int_t)p->seed));
    json_object_set_new(j, "opsets", opsets);
    json_object_set_new(j, "nodes", nodes);
    json_object_set_new(j, "inputs", inputs);
    json_object_set_new(j, "constants", constants);
    json_object_set_new(j, "outputs", outputs);
    char *text = ap_json_canonical(j);
    ap_digest d = ap_sha256_of(text, strlen(text));
    memcpy(p->key, d.hex, sizeof p->key);
    p->signature = ap_arena_strdup(&s->arena, text);
    free(text);
    json_decref(j);
    ap_map_free(&numbers);
}
