// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "graph/inspect_priv.h"
#include "graph/model_priv.h"

#include <stdlib.h>
#include <string.h>

// ---- inputs and outputs

static const char *type_kind(const Onnx__TypeProto *t) {
    if (!t) return "unknown";
    switch (t->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE: return "tensor";
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE: return "sequence";
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE: return "map";
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE: return "optional";
    default: return "unknown";
    }
}

// Dims as numbers, symbol names, or null for what is not known; null as a whole without a shape.
static json_t *shape_json(const ap_value *v, ap_dtype *dtype) {
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    const char *symbols[AP_MAX_RANK];
    if (!ap_value_shape(v, dtype, dims, &rank, symbols)) return json_null();
    json_t *list = json_array();
    for (size_t i = 0; i < rank; i++)
        json_array_append_new(list, dims[i] >= 0 ? json_integer(dims[i]) : ap_json_string(symbols[i]));
    return list;
}

static json_t *value_json(const ap_value *v) {
    json_t *o = json_object();
    const Onnx__TypeProto *type = v->info ? v->info->type : NULL;
    bool tensor = type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    ap_dtype dtype = tensor ? (ap_dtype)type->tensor_type->elem_type : AP_DTYPE_NONE;
    json_object_set_new(o, "name", ap_json_string(v->name));
    json_t *shape = shape_json(v, &dtype);
    json_object_set_new(o, "kind", json_string(v->init ? "tensor" : type_kind(type)));
    json_object_set_new(o, "dtype", dtype ? json_string(ap_dtype_name(dtype)) : json_null());
    json_object_set_new(o, "dims", shape);
    return o;
}

static json_t *values_json(ap_value *const *list, size_t count) {
    json_t *a = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(a, value_json(list[i]));
    return a;
}

static json_t *symbols_json(const ap_graph *g) {
    json_t *a = json_array();
    ap_map seen = {0};
    for (size_t i = 0; i < g->input_count; i++) {
        int64_t dims[AP_MAX_RANK];
        size_t rank;
        ap_dtype dtype;
        const char *symbols[AP_MAX_RANK];
        if (!ap_value_shape(g->inputs[i], &dtype, dims, &rank, symbols)) continue;
        for (size_t k = 0; k < rank; k++)
            if (symbols[k] && ap_map_add(&seen, symbols[k], NULL))
                json_array_append_new(a, ap_json_string(symbols[k]));
    }
    ap_map_free(&seen);
    return a;
}

// ---- operators

typedef struct op_count {
    const char *name;
    size_t count;
} op_count;

static int by_count(const void *a, const void *b) {
    const op_count *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->name, y->name);
}

typedef struct totals {
    ap_map ops; // name → count
    size_t body_nodes;
    int64_t macs; // -1: not known
    const ap_shape_source *shapes;
} totals;

static void add_node(totals *t, const ap_node *n, bool in_body) {
    ap_buf name = {0};
    ap_inspect_op(n, &name);
    int64_t have = ap_map_get_index(&t->ops, ap_buf_str(&name));
    ap_map_set_index(&t->ops, ap_buf_str(&name), have < 0 ? 1 : (size_t)have + 1);
    ap_buf_free(&name);
    int64_t macs = ap_node_macs(n, t->shapes);
    // How often a body runs is not in the file.
    if (macs < 0 || (in_body && macs) || (t->macs >= 0 && __builtin_add_overflow(t->macs, macs, &t->macs)))
        t->macs = -1;
}

static void add_graph(totals *t, const ap_graph *g) {
    for (size_t i = 0; i < g->node_count; i++) {
        add_node(t, g->nodes[i], g->parent != NULL);
        t->body_nodes += g->parent != NULL;
        for (size_t k = 0; k < g->nodes[i]->subgraph_count; k++) add_graph(t, g->nodes[i]->subgraphs[k]);
    }
}

static json_t *ops_json(const ap_map *ops) {
    op_count *list = ap_calloc(ops->count, sizeof *list);
    for (size_t i = 0; i < ops->count; i++) {
        const char *name = ops->entries[i].key;
        list[i] = (op_count){name, (size_t)ap_map_get_index(ops, name)};
    }
    if (ops->count) qsort(list, ops->count, sizeof *list, by_count);
    json_t *o = json_object();
    for (size_t i = 0; i < ops->count; i++) {
        ap_buf name = {0};
        ap_inspect_text(list[i].name, SIZE_MAX, &name);
        json_object_set_new(o, ap_buf_str(&name), json_integer((json_int_t)list[i].count));
        ap_buf_free(&name);
    }
    free(list);
    return o;
}

// ---- weights

typedef struct weights {
    const ap_model *m;
    json_int_t count, bytes;
    json_t *dtypes, *files;
} weights;

static ap_err add_weight(weights *w, const Onnx__TensorProto *t) {
    size_t count, bytes;
    ap_err err = ap_proto_bytes(t, &count, &bytes);
    if (err) return err;
    const char *dtype = ap_dtype_name((ap_dtype)t->data_type);
    w->count += (json_int_t)count;
    if (bytes != SIZE_MAX) w->bytes += (json_int_t)bytes;
    json_int_t have = ap_json_int(w->dtypes, dtype, 0);
    json_object_set_new(w->dtypes, dtype, json_integer(have + (json_int_t)count));
    return NULL;
}

static ap_err add_file(weights *w, const Onnx__TensorProto *t) {
    const char *location = ap_is_external(t) ? ap_external_location(t) : NULL;
    if (!location) return NULL;
    if (ap_json_find(w->files, "name", location)) return NULL;
    const uint8_t *data;
    size_t bytes;
    ap_err err = ap_external_data(w->m, t, &data, &bytes);
    if (err) return err;
    const ap_filemap *map = ap_map_get(&w->m->external, location);
    json_t *file = json_object();
    json_object_set_new(file, "name", ap_json_string(location));
    json_object_set_new(file, "bytes", json_integer(map ? (json_int_t)map->bytes : 0));
    json_array_append_new(w->files, file);
    return NULL;
}

static ap_err see_message(ProtobufCMessage *msg, void *user) {
    weights *w = user;
    ap_err err = NULL;
    if (msg->descriptor == &onnx__tensor_proto__descriptor) return add_file(w, (Onnx__TensorProto *)msg);
    if (msg->descriptor != &onnx__graph_proto__descriptor) return NULL;
    const Onnx__GraphProto *g = (Onnx__GraphProto *)msg;
    for (size_t i = 0; !err && i < g->n_initializer; i++) err = add_weight(w, g->initializer[i]);
    for (size_t i = 0; !err && i < g->n_sparse_initializer; i++)
        if (g->sparse_initializer[i]->values) err = add_weight(w, g->sparse_initializer[i]->values);
    return err;
}

// ---- all

static json_t *opsets_json(const Onnx__ModelProto *p) {
    json_t *o = json_object();
    for (size_t i = 0; i < p->n_opset_import; i++) {
        const char *domain = p->opset_import[i]->domain;
        ap_buf name = {0};
        ap_inspect_text(domain && *domain ? domain : "ai.onnx", SIZE_MAX, &name);
        json_object_set_new(o, ap_buf_str(&name), json_integer(p->opset_import[i]->version));
        ap_buf_free(&name);
    }
    return o;
}

static json_t *producer_json(const Onnx__ModelProto *p) {
    if (!p->producer_name || !*p->producer_name) return json_null();
    ap_buf text = {0};
    ap_buf_puts(&text, p->producer_name);
    if (p->producer_version && *p->producer_version) ap_buf_printf(&text, " %s", p->producer_version);
    json_t *j = ap_json_string(ap_buf_str(&text));
    ap_buf_free(&text);
    return j;
}

static json_t *functions_json(const Onnx__ModelProto *p) {
    json_t *a = json_array();
    for (size_t i = 0; i < p->n_functions; i++) {
        const Onnx__FunctionProto *f = p->functions[i];
        ap_buf name = {0};
        if (f->domain && *f->domain) ap_buf_printf(&name, "%s.", f->domain);
        ap_buf_puts(&name, f->name ? f->name : "");
        json_array_append_new(a, ap_json_string(ap_buf_str(&name)));
        ap_buf_free(&name);
    }
    return a;
}

static void set_file(json_t *o, const ap_model *m) {
    json_object_set_new(o, "file", ap_json_string(m->path));
    bool whole = m->bytes && !m->edited;
    size_t bytes = whole ? m->len : protobuf_c_message_get_packed_size(&m->proto->base);
    json_object_set_new(o, "bytes", json_integer((json_int_t)bytes));
    if (whole) json_object_set_new(o, "sha256", json_string(ap_sha256_of(m->bytes, m->len).hex));
}

ap_err ap_model_stats(ap_model *m, const ap_shape_source *s, json_t **out) {
    const Onnx__ModelProto *p = m->proto;
    const ap_graph *g = m->graph;
    weights w = {.m = m, .dtypes = json_object(), .files = json_array()};
    ap_err err = ap_tree_walk((ProtobufCMessage *)(uintptr_t)&p->base, see_message, &w);
    if (err) {
        json_decref(w.dtypes);
        json_decref(w.files);
        return err;
    }
    totals t = {.shapes = s};
    add_graph(&t, g);
    json_t *o = json_object();
    set_file(o, m);
    json_object_set_new(o, "ir_version", json_integer(p->ir_version));
    json_object_set_new(o, "producer", producer_json(p));
    json_object_set_new(o, "opsets", opsets_json(p));
    json_object_set_new(o, "inputs", values_json(g->inputs, g->input_count));
    json_object_set_new(o, "outputs", values_json(g->outputs, g->output_count));
    json_object_set_new(o, "symbols", symbols_json(g));
    json_object_set_new(o, "ops", ops_json(&t.ops));
    json_object_set_new(o, "nodes", json_integer((json_int_t)g->node_count));
    json_object_set_new(o, "body_nodes", json_integer((json_int_t)t.body_nodes));
    json_object_set_new(o, "parameters", json_integer(w.count));
    json_object_set_new(o, "parameter_bytes", json_integer(w.bytes));
    json_object_set_new(o, "dtypes", w.dtypes);
    json_object_set_new(o, "macs", t.macs < 0 ? json_null() : json_integer(t.macs));
    json_object_set_new(o, "external_files", w.files);
    json_object_set_new(o, "functions", functions_json(p));
    ap_map_free(&t.ops);
    *out = o;
    return NULL;
}
