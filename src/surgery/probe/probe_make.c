// SPDX-License-Identifier: Apache-2.0
// ONNX messages for probes: from types and tensors, and from the table's JSON.
#include "surgery/probe/probe_priv.h"

#include <string.h>

#define NEW(a, var, type, init)                                                                              \
    type *var = ap_arena_alloc((a), sizeof *var);                                                            \
    init(var)

static Onnx__TensorShapeProto__Dimension *make_dim(ap_arena *a, int64_t size) {
    NEW(a, d, Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension__init);
    if (size >= 0) {
        d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        d->dim_value = size;
    }
    return d;
}

Onnx__ValueInfoProto *ap_probe_make_value_info(ap_arena *a, const char *name, const ap_value_type *type) {
    NEW(a, v, Onnx__ValueInfoProto, onnx__value_info_proto__init);
    v->name = ap_arena_strdup(a, name);
    if (!type) return v;
    NEW(a, t, Onnx__TypeProto, onnx__type_proto__init);
    NEW(a, tensor, Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);
    NEW(a, shape, Onnx__TensorShapeProto, onnx__tensor_shape_proto__init);
    t->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    t->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = (int32_t)type->dtype;
    tensor->shape = shape;
    shape->n_dim = type->rank;
    shape->dim = ap_arena_calloc(a, type->rank + 1, sizeof *shape->dim);
    for (size_t i = 0; i < type->rank; i++) shape->dim[i] = make_dim(a, type->dims[i]);
    v->type = t;
    return v;
}

Onnx__TensorProto *ap_probe_make_tensor(ap_arena *a, const char *name, const ap_tensor *t) {
    NEW(a, p, Onnx__TensorProto, onnx__tensor_proto__init);
    p->name = ap_arena_strdup(a, name);
    p->has_data_type = 1;
    p->data_type = (int32_t)t->dtype;
    p->n_dims = t->rank;
    p->dims = ap_arena_alloc(a, (t->rank + 1) * sizeof *p->dims);
    memcpy(p->dims, t->dims, t->rank * sizeof *p->dims);
    p->has_raw_data = 1;
    p->raw_data = (ProtobufCBinaryData){.len = t->bytes, .data = t->data};
    return p;
}

Onnx__OperatorSetIdProto *ap_probe_make_opset(ap_arena *a, const char *domain, int64_t version) {
    NEW(a, o, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);
    o->domain = ap_arena_strdup(a, domain);
    o->has_version = 1;
    o->version = version;
    return o;
}

Onnx__NodeProto *ap_probe_make_node(ap_arena *a, const char *op, const char *domain, size_t inputs,
                                    size_t outputs, size_t attributes) {
    NEW(a, n, Onnx__NodeProto, onnx__node_proto__init);
    n->op_type = ap_arena_strdup(a, op);
    n->domain = ap_arena_strdup(a, domain);
    n->input = ap_arena_calloc(a, inputs + 1, sizeof *n->input);
    n->output = ap_arena_calloc(a, outputs + 1, sizeof *n->output);
    n->attribute = ap_arena_calloc(a, attributes + 1, sizeof *n->attribute);
    n->n_input = inputs;
    n->n_output = outputs;
    return n;
}

// ---- from JSON

static ap_err bad(const char *what) {
    return ap_err_new(AP_ERR_CORRUPT, "the table of probe variants: %s", what);
}

static ProtobufCBinaryData text_bytes(ap_arena *a, const char *s) {
    return (ProtobufCBinaryData){.len = strlen(s), .data = (uint8_t *)ap_arena_strdup(a, s)};
}

static ap_err list_attribute(ap_arena *a, const json_t *list, Onnx__AttributeProto *at) {
    size_t n = json_array_size(list);
    bool texts = n > 0, ints = true;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_string(v)) texts = false;
        if (!json_is_integer(v)) ints = false;
        if (!json_is_string(v) && !json_is_number(v))
            return bad("an attribute's list holds neither numbers nor texts");
    }
    if (texts) {
        at->type = ONNX__ATTRIBUTE_PROTO__KIND__STRINGS;
        at->strings = ap_arena_calloc(a, n, sizeof *at->strings);
        for (size_t i = 0; i < n; i++)
            at->strings[i] = text_bytes(a, json_string_value(json_array_get(list, i)));
        at->n_strings = n;
    } else if (ints) {
        at->type = ONNX__ATTRIBUTE_PROTO__KIND__INTS;
        at->ints = ap_arena_calloc(a, n + 1, sizeof *at->ints);
        for (size_t i = 0; i < n; i++) at->ints[i] = json_integer_value(json_array_get(list, i));
        at->n_ints = n;
    } else {
        at->type = ONNX__ATTRIBUTE_PROTO__KIND__FLOATS;
        at->floats = ap_arena_calloc(a, n, sizeof *at->floats);
        for (size_t i = 0; i < n; i++) at->floats[i] = (float)json_number_value(json_array_get(list, i));
        at->n_floats = n;
    }
    return NULL;
}

ap_err ap_probe_make_attribute(ap_arena *a, const char *name, const json_t *value,
                               Onnx__AttributeProto **out) {
    NEW(a, at, Onnx__AttributeProto, onnx__attribute_proto__init);
    ap_err err = NULL;
    at->name = ap_arena_strdup(a, name);
    at->has_type = 1;
    if (json_is_integer(value)) {
        at->type = ONNX__ATTRIBUTE_PROTO__KIND__INT;
        at->has_i = 1;
        at->i = json_integer_value(value);
    } else if (json_is_real(value)) {
        at->type = ONNX__ATTRIBUTE_PROTO__KIND__FLOAT;
        at->has_f = 1;
        at->f = (float)json_real_value(value);
    } else if (json_is_string(value)) {
        at->type = ONNX__ATTRIBUTE_PROTO__KIND__STRING;
        at->has_s = 1;
        at->s = text_bytes(a, json_string_value(value));
    } else if (json_is_array(value)) {
        err = list_attribute(a, value, at);
    } else if (json_object_get(value, "graph")) {
        at->type = ONNX__ATTRIBUTE_PROTO__KIND__GRAPH;
        err = ap_probe_make_graph(a, json_object_get(value, "graph"), 1, &at->g);
    } else {
        err = bad("an attribute is neither number, text, list nor graph");
    }
    if (!err) *out = at;
    return ap_err_context(err, "attribute '%s'", name);
}

ap_err ap_probe_make_type(const json_t *j, ap_value_type *out) {
    if (!json_is_array(json_object_get(j, "dims")) || !ap_value_type_read(j, out))
        return bad("a tensor without dtype and dims");
    return NULL;
}

ap_err ap_probe_make_constant(ap_arena *a, const char *name, const json_t *j, uint64_t seed,
                              Onnx__TensorProto **out) {
    ap_value_type type;
    ap_probe_values values;
    ap_tensor t = {0}, kept;
    ap_err err = NULL;
    AP_TRY(ap_probe_make_type(j, &type));
    AP_TRY(ap_probe_values_from_json(json_object_get(j, "values"), a, &values));
    AP_TRY(ap_probe_values_make(&values, seed, &type, &t));
    kept = t;
    kept.data = ap_arena_alloc(a, t.bytes + 1);
    if (t.bytes) memcpy(kept.data, t.data, t.bytes);
    *out = ap_probe_make_tensor(a, name, &kept);
done:
    ap_tensor_free(&t);
    return err;
}

static ap_err make_json_node(ap_arena *a, const json_t *j, Onnx__NodeProto **out) {
    const char *op = ap_json_str(j, "op", NULL), *key;
    const json_t *ins = json_object_get(j, "inputs"), *outs = json_object_get(j, "outputs");
    json_t *value, *attrs = json_object_get(j, "attrs");
    if (!op || !json_is_array(ins) || !json_is_array(outs))
        return bad("a node without op, inputs and outputs");
    Onnx__NodeProto *n = ap_probe_make_node(a, op, ap_json_str(j, "domain", ""), json_array_size(ins),
                                            json_array_size(outs), json_object_size(attrs));
    for (size_t i = 0; i < n->n_input; i++)
        n->input[i] = ap_arena_printf(a, "%s", json_string_value(json_array_get(ins, i)));
    for (size_t i = 0; i < n->n_output; i++)
        n->output[i] = ap_arena_printf(a, "%s", json_string_value(json_array_get(outs, i)));
    json_object_foreach(attrs, key, value) {
        ap_err err = ap_probe_make_attribute(a, key, value, &n->attribute[n->n_attribute]);
        if (err) return err;
        n->n_attribute++;
    }
    *out = n;
    return NULL;
}

static ap_err make_infos(ap_arena *a, const json_t *list, Onnx__ValueInfoProto ***out, size_t *count) {
    size_t n = json_array_size(list);
    Onnx__ValueInfoProto **infos = ap_arena_calloc(a, n + 1, sizeof *infos);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        ap_value_type type;
        ap_err err = json_is_string(v) ? NULL : ap_probe_make_type(v, &type);
        if (err) return err;
        const char *name = json_is_string(v) ? json_string_value(v) : ap_json_str(v, "name", "");
        infos[i] = ap_probe_make_value_info(a, name, json_is_string(v) ? NULL : &type);
    }
    *out = infos;
    *count = n;
    return NULL;
}

ap_err ap_probe_make_graph(ap_arena *a, const json_t *j, uint64_t seed, Onnx__GraphProto **out) {
    NEW(a, g, Onnx__GraphProto, onnx__graph_proto__init);
    const json_t *nodes = json_object_get(j, "nodes"), *constants = json_object_get(j, "constants");
    ap_err err = NULL;
    g->name = ap_arena_strdup(a, "piece");
    g->node = ap_arena_calloc(a, json_array_size(nodes) + 1, sizeof *g->node);
    g->initializer = ap_arena_calloc(a, json_array_size(constants) + 1, sizeof *g->initializer);
    AP_TRY(make_infos(a, json_object_get(j, "inputs"), &g->input, &g->n_input));
    AP_TRY(make_infos(a, json_object_get(j, "outputs"), &g->output, &g->n_output));
    for (size_t i = 0; i < json_array_size(constants); i++) {
        const json_t *c = json_array_get(constants, i);
        AP_TRY(ap_probe_make_constant(a, ap_json_str(c, "name", ""), c, seed + i, &g->initializer[i]));
        g->n_initializer++;
    }
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        AP_TRY(make_json_node(a, json_array_get(nodes, i), &g->node[i]));
        g->n_node++;
    }
    *out = g;
done:
    return err;
}
