// SPDX-License-Identifier: Apache-2.0
#include "graph/model_priv.h"
#include "graph/other_format.h"

#include <stdlib.h>
#include <string.h>

ap_model *ap_model_new(void) {
    return ap_calloc(1, sizeof(ap_model));
}

void ap_model_free(ap_model *m) {
    if (!m) return;
    ap_index_free(m->graph);
    for (size_t i = 0; i < m->external.count; i++) {
        ap_filemap *map = m->external.entries[i].value;
        ap_filemap_close(map);
        free(map);
    }
    ap_map_free(&m->external);
    ap_map_free(&m->unpacked);
    ap_arena_release(&m->arena);
    ap_filemap_close(&m->file);
    ap_model_free(m->source);
    free(m);
}

static int64_t main_opset(const Onnx__ModelProto *p) {
    for (size_t i = 0; i < p->n_opset_import; i++) {
        const char *domain = p->opset_import[i]->domain;
        if (!domain || !*domain || !strcmp(domain, "ai.onnx")) return p->opset_import[i]->version;
    }
    return 0;
}

// The bytes cannot be an ONNX model: says what they are instead, when that is known.
static ap_err no_model(const ap_model *m, ap_err err) {
    const ap_other_format *other = ap_other_format_of(m->bytes, m->len);
    if (!other) return err;
    ap_err_free(err);
    return ap_err_hint(ap_err_new(AP_ERR_MODEL_PARSE, "this is %s, not an ONNX model", other->name), "%s",
                       other->next);
}

// Decodes, indexes and verifies what m->bytes holds.
static ap_err read_model(ap_model *m) {
    if (!m->len) return ap_err_new(AP_ERR_MODEL_PARSE, "the file is empty");
    ProtobufCMessage *msg = NULL;
    ap_err err = ap_tree_decode(&onnx__model_proto__descriptor, m->bytes, m->len, &m->arena, &msg);
    if (err) return no_model(m, err);
    m->proto = (Onnx__ModelProto *)msg;
    if (!m->proto->graph)
        return no_model(
            m, ap_err_new(AP_ERR_MODEL_PARSE, "there is no graph inside, so this is not an ONNX model"));
    m->opset = main_opset(m->proto);
    err = ap_index_build(m);
    return err ? err : ap_model_verify(m);
}

ap_err ap_model_parse(const void *bytes, size_t len, const char *dir, ap_model **out) {
    ap_model *m = ap_model_new();
    m->bytes = bytes;
    m->len = len;
    m->dir = ap_arena_strdup(&m->arena, dir);
    ap_err err = read_model(m);
    if (err) {
        ap_model_free(m);
        return err;
    }
    *out = m;
    return NULL;
}

ap_err ap_model_load(const char *path, ap_model **out) {
    ap_err err = NULL;
    ap_model *m = ap_model_new();
    AP_TRY(ap_filemap_open(path, &m->file));
    m->bytes = m->file.data;
    m->len = m->file.bytes;
    m->path = ap_arena_strdup(&m->arena, path);
    m->dir = ap_path_dir(&m->arena, path);
    err = read_model(m);
    if (err) err = ap_err_subject(ap_err_context(err, "%s", path), path);
done:
    if (err)
        ap_model_free(m);
    else
        *out = m;
    return err;
}

// ---- looking

ap_value *ap_graph_value(const ap_graph *g, const char *name) {
    return ap_map_get(&g->values, name);
}
ap_node *ap_graph_node(const ap_graph *g, const char *name) {
    return ap_map_get(&g->by_name, name);
}

const Onnx__AttributeProto *ap_node_attr(const ap_node *n, const char *name) {
    for (size_t i = 0; i < n->proto->n_attribute; i++) {
        const Onnx__AttributeProto *at = n->proto->attribute[i];
        if (at->name && !strcmp(at->name, name)) return at;
    }
    return NULL;
}

bool ap_node_is(const ap_node *n, const char *op) {
    return !*n->domain && !strcmp(n->op, op);
}

int64_t ap_node_attr_int(const ap_node *n, const char *name, int64_t fallback) {
    const Onnx__AttributeProto *at = ap_node_attr(n, name);
    return at && at->has_i ? at->i : fallback;
}

static bool initializer_shape(const Onnx__TensorProto *t, ap_dtype *dtype, int64_t *dims, size_t *rank) {
    if (!t->has_data_type || t->n_dims > AP_MAX_RANK) return false;
    *dtype = (ap_dtype)t->data_type;
    *rank = t->n_dims;
    for (size_t i = 0; i < t->n_dims; i++) dims[i] = t->dims[i];
    return true;
}

bool ap_value_shape(const ap_value *v, ap_dtype *dtype, int64_t dims[AP_MAX_RANK], size_t *rank,
                    const char *symbols[AP_MAX_RANK]) {
    if (symbols) memset(symbols, 0, AP_MAX_RANK * sizeof *symbols);
    // A constant's own shape is exact; a declared one beside it may be symbolic. An input's default may be
    // replaced.
    if (v->init && v->kind != AP_VALUE_INPUT) return initializer_shape(v->init, dtype, dims, rank);
    const Onnx__TypeProto *type = v->info ? v->info->type : NULL;
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) return false;
    const Onnx__TypeProto__Tensor *tt = type->tensor_type;
    if (!tt || !tt->shape || tt->shape->n_dim > AP_MAX_RANK) return false;
    *dtype = (ap_dtype)tt->elem_type;
    *rank = tt->shape->n_dim;
    for (size_t i = 0; i < *rank; i++) {
        const Onnx__TensorShapeProto__Dimension *d = tt->shape->dim[i];
        bool known = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dims[i] = known ? d->dim_value : AP_OPEN_DIM;
        if (symbols && d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
            ap_dim_is_named(d->dim_param))
            symbols[i] = d->dim_param;
    }
    return true;
}

bool ap_value_type_read(const json_t *tensor, ap_value_type *out) {
    const json_t *dims = json_object_get(tensor, "dims");
    *out = (ap_value_type){.dtype = ap_dtype_from_name(ap_json_str(tensor, "dtype", "")),
                           .rank = json_array_size(dims)};
    if (out->dtype == AP_DTYPE_NONE || out->rank > AP_MAX_RANK) return false;
    for (size_t i = 0; i < out->rank; i++) out->dims[i] = json_integer_value(json_array_get(dims, i));
    return true;
}

json_t *ap_graph_made_names(const ap_graph *g) {
    json_t *names = json_array();
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t k = 0; k < g->nodes[i]->output_count; k++)
            if (g->nodes[i]->outputs[k])
                json_array_append_new(names, ap_json_string(g->nodes[i]->outputs[k]->name));
    return names;
}
