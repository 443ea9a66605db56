// SPDX-License-Identifier: Apache-2.0
// Making new things: attributes, models, inputs, constants.
#include "graph/model_priv.h"
#include "graph/nodes.h"

#include <string.h>

// ---- attributes

static Onnx__AttributeProto *new_attr(ap_arena *a, const char *name, Onnx__AttributeProto__Kind kind) {
    Onnx__AttributeProto *at = ap_arena_alloc(a, sizeof *at);
    onnx__attribute_proto__init(at);
    at->name = ap_arena_strdup(a, name);
    at->has_type = 1;
    at->type = kind;
    return at;
}

// A copy in the arena; never NULL, so that an empty list is not taken for an absent one.
static void *keep(ap_arena *a, const void *data, size_t bytes) {
    void *p = ap_arena_alloc(a, bytes + 1);
    if (bytes) memcpy(p, data, bytes);
    return p;
}

Onnx__AttributeProto *ap_attr_int(ap_arena *a, const char *name, int64_t v) {
    Onnx__AttributeProto *at = new_attr(a, name, ONNX__ATTRIBUTE_PROTO__KIND__INT);
    at->has_i = 1;
    at->i = v;
    return at;
}

Onnx__AttributeProto *ap_attr_float(ap_arena *a, const char *name, float v) {
    Onnx__AttributeProto *at = new_attr(a, name, ONNX__ATTRIBUTE_PROTO__KIND__FLOAT);
    at->has_f = 1;
    at->f = v;
    return at;
}

Onnx__AttributeProto *ap_attr_string(ap_arena *a, const char *name, const char *v) {
    Onnx__AttributeProto *at = new_attr(a, name, ONNX__ATTRIBUTE_PROTO__KIND__STRING);
    at->has_s = 1;
    at->s = (ProtobufCBinaryData){strlen(v), keep(a, v, strlen(v))};
    return at;
}

Onnx__AttributeProto *ap_attr_ints(ap_arena *a, const char *name, const int64_t *v, size_t count) {
    Onnx__AttributeProto *at = new_attr(a, name, ONNX__ATTRIBUTE_PROTO__KIND__INTS);
    at->n_ints = count;
    at->ints = keep(a, v, count * sizeof *v);
    return at;
}

Onnx__AttributeProto *ap_attr_floats(ap_arena *a, const char *name, const float *v, size_t count) {
    Onnx__AttributeProto *at = new_attr(a, name, ONNX__ATTRIBUTE_PROTO__KIND__FLOATS);
    at->n_floats = count;
    at->floats = keep(a, v, count * sizeof *v);
    return at;
}

static Onnx__TensorProto *new_tensor(ap_arena *a, const char *name, const ap_tensor *t) {
    Onnx__TensorProto *p = ap_arena_alloc(a, sizeof *p);
    onnx__tensor_proto__init(p);
    p->name = ap_arena_strdup(a, name);
    p->has_data_type = 1;
    p->data_type = (int32_t)t->dtype;
    p->n_dims = t->rank;
    p->dims = keep(a, t->dims, t->rank * sizeof *t->dims);
    p->has_raw_data = 1;
    p->raw_data = (ProtobufCBinaryData){t->bytes, keep(a, t->data, t->bytes)};
    return p;
}

Onnx__AttributeProto *ap_attr_tensor(ap_arena *a, const char *name, const ap_tensor *t) {
    Onnx__AttributeProto *at = new_attr(a, name, ONNX__ATTRIBUTE_PROTO__KIND__TENSOR);
    at->t = new_tensor(a, "", t);
    return at;
}

Onnx__AttributeProto *ap_attr_copy(ap_arena *a, const Onnx__AttributeProto *from) {
    return ap_tree_clone(a, from);
}

static size_t attr_index(const ap_node *n, const char *name) {
    size_t i = 0;
    while (i < n->proto->n_attribute && strcmp(n->proto->attribute[i]->name, name) != 0) i++;
    return i;
}

void ap_node_set_attr(ap_graph *g, ap_node *n, Onnx__AttributeProto *at) {
    Onnx__NodeProto *p = n->proto;
    size_t i = attr_index(n, at->name), count = p->n_attribute;
    // The list is copied: it may be shared with the model this one was taken from.
    Onnx__AttributeProto **list = ap_arena_calloc(&g->model->arena, count + 1, sizeof(void *));
    if (count) memcpy(list, p->attribute, count * sizeof(void *));
    list[i] = at;
    p->attribute = list;
    if (i == count) p->n_attribute++;
    g->model->edited = true;
}

void ap_node_drop_attr(ap_graph *g, ap_node *n, const char *name) {
    Onnx__NodeProto *p = n->proto;
    size_t at = attr_index(n, name);
    if (at == p->n_attribute) return;
    memmove(p->attribute + at, p->attribute + at + 1, (p->n_attribute - at - 1) * sizeof(void *));
    p->n_attribute--;
    g->model->edited = true;
}

// ---- models

void ap_model_import(ap_model *m, const char *domain, int64_t version) {
    Onnx__ModelProto *p = m->proto;
    for (size_t i = 0; i < p->n_opset_import; i++) {
        const char *d = p->opset_import[i]->domain ? p->opset_import[i]->domain : "";
        if (!strcmp(strcmp(d, "ai.onnx") != 0 ? d : "", domain)) return;
    }
    Onnx__OperatorSetIdProto *o = ap_arena_alloc(&m->arena, sizeof *o);
    onnx__operator_set_id_proto__init(o);
    o->domain = ap_arena_strdup(&m->arena, domain);
    o->has_version = 1;
    o->version = version;
    Onnx__OperatorSetIdProto **list = ap_arena_calloc(&m->arena, p->n_opset_import + 1, sizeof *list);
    if (p->n_opset_import) memcpy(list, p->opset_import, p->n_opset_import * sizeof *list);
    list[p->n_opset_import++] = o;
    p->opset_import = list;
    if (!*domain) m->opset = version;
    m->edited = true;
}

ap_err ap_model_make(int64_t opset, ap_model **out) {
    ap_err err = NULL;
    ap_model *m = ap_model_new();
    m->proto = ap_arena_alloc(&m->arena, sizeof *m->proto);
    onnx__model_proto__init(m->proto);
    m->proto->has_ir_version = 1;
    m->proto->ir_version = opset >= 21 ? 10 : 8;
    m->proto->graph = ap_arena_alloc(&m->arena, sizeof *m->proto->graph);
    onnx__graph_proto__init(m->proto->graph);
    m->proto->graph->name = ap_arena_strdup(&m->arena, "g");
    ap_model_import(m, "", opset);
    AP_TRY(ap_index_build(m));
    AP_TRY(ap_model_verify(m));
    *out = m;
    m = NULL;
done:
    ap_model_free(m);
    return err;
}

// ---- names

static bool below_has(const ap_graph *g, const char *name) {
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t k = 0; k < g->nodes[i]->subgraph_count; k++) {
            const ap_graph *body = g->nodes[i]->subgraphs[k];
            if (ap_map_has(&body->values, name) || below_has(body, name)) return true;
        }
    return false;
}

static bool is_taken(const ap_graph *g, const char *name) {
    for (const ap_graph *p = g; p; p = p->parent)
        if (ap_map_has(&p->values, name)) return true;
    return below_has(g, name);
}

const char *ap_graph_free_name(ap_graph *g, const char *base) {
    if (!is_taken(g, base)) return ap_arena_strdup(&g->model->arena, base);
    for (size_t k = 2;; k++) {
        char *name = ap_arena_printf(&g->model->arena, "%s_%zu", base, k);
        if (!is_taken(g, name)) return name;
    }
}

const char *ap_graph_free_node_name(ap_graph *g, const char *base) {
    if (!ap_map_has(&g->by_name, base)) return ap_arena_strdup(&g->model->arena, base);
    for (size_t k = 2;; k++) {
        char *name = ap_arena_printf(&g->model->arena, "%s_%zu", base, k);
        if (!ap_map_has(&g->by_name, name)) return name;
    }
}

// ---- inputs, outputs, constants

// A longer copy of a list of pointers, with `item` behind.
static void *appended(ap_arena *a, const void *list, size_t count, void *item) {
    void **longer = ap_arena_calloc(a, count + 1, sizeof(void *));
    if (count) memcpy(longer, list, count * sizeof(void *));
    longer[count] = item;
    return longer;
}

ap_err ap_graph_add_input(ap_graph *g, const char *name, const ap_value_type *type, ap_value **out) {
    ap_arena *a = &g->model->arena;
    if (!*name || is_taken(g, name))
        return ap_err_subject(ap_err_new(AP_ERR_MODEL_INVALID,
                                         "a value \"%s\" cannot be added as an input: %s", name,
                                         *name ? "the name is taken" : "it needs a name"),
                              name);
    ap_value *v = ap_graph_declare(g, ap_arena_strdup(a, name), AP_VALUE_INPUT);
    v->info = ap_make_info(a, v, type);
    g->inputs = appended(a, g->inputs, g->input_count++, v);
    g->proto->input = appended(a, g->proto->input, g->proto->n_input++, v->info);
    g->model->edited = true;
    if (out) *out = v;
    return NULL;
}

ap_err ap_graph_add_output(ap_graph *g, ap_value *v, const ap_value_type *type) {
    ap_arena *a = &g->model->arena;
    if (v->is_output)
        return ap_err_subject(
            ap_err_new(AP_ERR_MODEL_INVALID, "value \"%s\" is a graph output already", v->name), v->name);
    Onnx__ValueInfoProto *info = ap_make_info(a, v, type);
    v->is_output = true;
    if (!v->info) v->info = info;
    g->outputs = appended(a, g->outputs, g->output_count++, v);
    g->proto->output = appended(a, g->proto->output, g->proto->n_output++, info);
    g->model->edited = true;
    return NULL;
}

// Room for one more entry in a list of the message.
static void *roomy(ap_arena *a, struct ap_list_room *room, void *list, size_t count) {
    if (room->list == list && list && count < room->cap) return list;
    size_t cap = count < 8 ? 16 : 2 * count;
    void *longer = ap_arena_calloc(a, cap, sizeof(void *));
    if (count) memcpy(longer, list, count * sizeof(void *));
    *room = (struct ap_list_room){longer, cap};
    return longer;
}

ap_err ap_graph_add_initializer(ap_graph *g, const char *name, const ap_tensor *t, ap_value **out) {
    if (!ap_dtype_bits(t->dtype))
        return ap_err_new(AP_ERR_INPUT_DTYPE, "a constant of type %s cannot be added",
                          ap_dtype_name(t->dtype));
    ap_arena *a = &g->model->arena;
    Onnx__GraphProto *p = g->proto;
    ap_value *v = ap_graph_declare(g, ap_graph_free_name(g, name ? name : "const"), AP_VALUE_INITIALIZER);
    v->init = new_tensor(a, v->name, t);
    p->initializer = roomy(a, &g->init_room, p->initializer, p->n_initializer);
    p->initializer[p->n_initializer++] = v->init;
    g->model->edited = true;
    if (out) *out = v;
    return NULL;
}

void ap_value_declare(ap_graph *g, ap_value *v, const ap_value_type *type) {
    if (v->kind != AP_VALUE_NODE || v->is_output) return;
    ap_arena *a = &g->model->arena;
    Onnx__GraphProto *p = g->proto;
    Onnx__ValueInfoProto *info = ap_make_info(a, v, type);
    size_t i = 0;
    while (v->info && i < p->n_value_info && p->value_info[i] != v->info) i++;
    p->value_info = roomy(a, &g->info_room, p->value_info, p->n_value_info);
    if (!v->info || i == p->n_value_info) i = p->n_value_info++;
    p->value_info[i] = info;
    v->info = info;
    g->model->edited = true;
}
