// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "graph/model_priv.h"

#include <stdlib.h>
#include <string.h>

typedef Onnx__TensorShapeProto__Dimension dimension;

static bool is_symbol(const dimension *d) {
    return d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
           ap_dim_is_named(d->dim_param);
}
static bool is_number(const dimension *d) {
    return d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
           d->dim_value != AP_OPEN_DIM;
}
static void set_number(dimension *d, int64_t size) {
    d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    d->dim_value = size;
}

// ---- symbols

// `user` is a map from symbol to size here and in fits_after.
static ap_err substitute(ProtobufCMessage *msg, void *user) {
    if (msg->descriptor != &onnx__tensor_shape_proto__dimension__descriptor) return NULL;
    dimension *d = (dimension *)msg;
    int64_t size = is_symbol(d) ? ap_map_get_index(user, d->dim_param) : -1;
    if (size >= 0) set_number(d, size);
    return NULL;
}

// Would the shape still have a countable number of elements?
static ap_err fits_after(ProtobufCMessage *msg, void *user) {
    if (msg->descriptor != &onnx__tensor_shape_proto__descriptor) return NULL;
    const Onnx__TensorShapeProto *shape = (Onnx__TensorShapeProto *)msg;
    int64_t dims[AP_MAX_RANK];
    size_t known = 0, count;
    for (size_t i = 0; i < shape->n_dim && known < AP_MAX_RANK; i++) {
        const dimension *d = shape->dim[i];
        int64_t size = is_number(d) ? d->dim_value : is_symbol(d) ? ap_map_get_index(user, d->dim_param) : -1;
        if (size >= 0) dims[known++] = size;
    }
    ap_err cause = ap_shape_count(dims, known, &count);
    if (!cause) return NULL;
    ap_err err =
        ap_err_new(AP_ERR_INPUT_SHAPE, "with these sizes a tensor gets too large: %s", ap_err_message(cause));
    ap_err_free(cause);
    return err;
}

static ap_err collect_symbol(ProtobufCMessage *msg, void *user) {
    if (msg->descriptor == &onnx__tensor_shape_proto__dimension__descriptor && is_symbol((dimension *)msg))
        ap_map_add(user, ((dimension *)msg)->dim_param, user);
    return NULL;
}

// The names that inputs give to dimensions. Every other symbol in the file is derived from them
// ("floor(h/8)") or made up by an exporter, and says nothing once they are set.
static ap_err input_symbols(const ap_model *m, ap_map *out) {
    ap_err err = NULL;
    for (size_t i = 0; !err && i < m->proto->graph->n_input; i++)
        err = ap_tree_walk(&m->proto->graph->input[i]->base, collect_symbol, out);
    return err;
}

static bool is_stale(const dimension *d, const ap_map *live) {
    return is_symbol(d) && !ap_map_has(live, d->dim_param);
}

static ap_err open_stale_dim(ProtobufCMessage *msg, void *user) {
    dimension *d = (dimension *)msg;
    if (msg->descriptor == &onnx__tensor_shape_proto__dimension__descriptor && is_stale(d, user))
        d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE__NOT_SET;
    return NULL;
}

// An inner value keeps its element type; its shape goes as a whole, the runtime infers it again.
static ap_err drop_stale_shape(ProtobufCMessage *msg, void *user) {
    if (msg->descriptor != &onnx__type_proto__tensor__descriptor) return NULL;
    Onnx__TypeProto__Tensor *t = (Onnx__TypeProto__Tensor *)msg;
    bool stale = false;
    for (size_t i = 0; t->shape && i < t->shape->n_dim; i++) stale |= is_stale(t->shape->dim[i], user);
    if (stale) t->shape = NULL;
    return NULL;
}

static ap_err each_info(Onnx__ValueInfoProto **list, size_t count, ap_tree_visit visit, ap_map *live) {
    ap_err err = NULL;
    for (size_t i = 0; !err && i < count; i++) err = ap_tree_walk(&list[i]->base, visit, live);
    return err;
}

static ap_err drop_stale_in(ProtobufCMessage *msg, void *user) {
    if (msg->descriptor != &onnx__graph_proto__descriptor) return NULL;
    Onnx__GraphProto *g = (Onnx__GraphProto *)msg;
    ap_err err = each_info(g->value_info, g->n_value_info, drop_stale_shape, user);
    if (!err) err = each_info(g->output, g->n_output, open_stale_dim, user);
    // The main graph's inputs are where live symbols come from; a body's inputs only repeat derived ones.
    if (!err) err = each_info(g->input, g->n_input, open_stale_dim, user);
    return err;
}

static ap_err drop_stale(ap_model *m) {
    ap_map live = {0};
    ap_err err = input_symbols(m, &live);
    if (!err) err = ap_tree_walk(&m->proto->graph->base, drop_stale_in, &live);
    ap_map_free(&live);
    return err;
}

// Sets symbols wherever they stand. Nothing is changed on failure.
static ap_err set_everywhere(ap_model *m, ap_map *sizes) {
    ap_err err = ap_tree_walk(&m->proto->graph->base, fits_after, sizes);
    if (err) return err;
    m->edited = true;
    err = ap_tree_walk(&m->proto->graph->base, substitute, sizes);
    return err ? err : drop_stale(m);
}

static ap_err no_such_symbol(const char *symbol, const ap_map *have) {
    ap_err err = ap_err_new(AP_ERR_INPUT_SHAPE, "no input has a dimension named \"%s\"", symbol);
    if (!have->count) return ap_err_hint(err, "all input dimensions are fixed");
    ap_buf names = {0};
    for (size_t i = 0; i < have->count && i < 16; i++)
        ap_buf_printf(&names, "%s%s", i ? ", " : "", have->entries[i].key);
    err = ap_err_hint(err, "named dimensions: %s", ap_buf_str(&names));
    ap_buf_free(&names);
    return err;
}

ap_err ap_model_set_symbol(ap_model *m, const char *symbol, int64_t size) {
    ap_map have = {0}, sizes = {0};
    ap_err err = NULL;
    AP_TRY(input_symbols(m, &have));
    if (!ap_map_has(&have, symbol)) {
        err = no_such_symbol(symbol, &have);
        goto done;
    }
    if (size < 0) AP_FAIL(AP_ERR_INPUT_SHAPE, "dimension \"%s\" cannot be %lld", symbol, (long long)size);
    ap_map_set_index(&sizes, symbol, (size_t)size);
    AP_TRY(set_everywhere(m, &sizes));
done:
    ap_map_free(&have);
    ap_map_free(&sizes);
    return err;
}

// ---- input shapes

static Onnx__ValueInfoProto *find_input(const ap_model *m, const char *name) {
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_input; i++)
        if (!strcmp(g->input[i]->name, name)) return g->input[i];
    return NULL;
}

static ap_err no_such_input(const ap_model *m, const char *name) {
    const Onnx__GraphProto *g = m->proto->graph;
    ap_err err = ap_err_new(AP_ERR_INPUT_NAME, "the model has no input \"%s\"", name);
    ap_buf names = {0};
    for (size_t i = 0; i < g->n_input && i < 16; i++)
        ap_buf_printf(&names, "%s%s", i ? ", " : "", g->input[i]->name);
    err = ap_err_hint(err, "its inputs: %s", names.len ? ap_buf_str(&names) : "none");
    ap_buf_free(&names);
    return ap_err_subject(err, name);
}

static ap_err shape_error(const char *input, const Onnx__TensorShapeProto *have, const int64_t *dims,
                          size_t rank) {
    ap_buf want = {0}, declared = {0};
    ap_shape_format(dims, rank, &want);
    for (size_t i = 0; i < have->n_dim; i++) {
        const dimension *d = have->dim[i];
        if (i) ap_buf_putc(&declared, 'x');
        if (is_number(d))
            ap_buf_printf(&declared, "%lld", (long long)d->dim_value);
        else
            ap_buf_puts(&declared, is_symbol(d) ? d->dim_param : "?");
    }
    ap_err err = ap_err_new(AP_ERR_INPUT_SHAPE, "input \"%s\" is declared as %s, which %s does not fit",
                            input, have->n_dim ? ap_buf_str(&declared) : "scalar", ap_buf_str(&want));
    ap_buf_free(&want);
    ap_buf_free(&declared);
    return ap_err_subject(err, input);
}

static bool fits(const Onnx__TensorShapeProto *have, const int64_t *dims, size_t rank) {
    if (have->n_dim != rank) return false;
    for (size_t i = 0; i < rank; i++) {
        const dimension *d = have->dim[i];
        if (is_number(d) && d->dim_value != dims[i]) return false;
        for (size_t k = 0; k < i; k++) // one symbol, one size
            if (is_symbol(d) && is_symbol(have->dim[k]) && !strcmp(d->dim_param, have->dim[k]->dim_param) &&
                dims[i] != dims[k])
                return false;
    }
    return true;
}

static Onnx__TensorShapeProto *make_shape(ap_arena *a, const int64_t *dims, size_t rank) {
    Onnx__TensorShapeProto *shape = ap_arena_alloc(a, sizeof *shape);
    onnx__tensor_shape_proto__init(shape);
    shape->n_dim = rank;
    shape->dim = ap_arena_calloc(a, rank, sizeof *shape->dim);
    for (size_t i = 0; i < rank; i++) {
        shape->dim[i] = ap_arena_alloc(a, sizeof(dimension));
        onnx__tensor_shape_proto__dimension__init(shape->dim[i]);
        if (dims[i] >= 0) set_number(shape->dim[i], dims[i]);
    }
    return shape;
}

Onnx__TypeProto *ap_make_tensor_type(ap_arena *a, ap_dtype dtype, const int64_t *dims, size_t rank) {
    Onnx__TypeProto *type = ap_arena_alloc(a, sizeof *type);
    onnx__type_proto__init(type);
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = ap_arena_alloc(a, sizeof *type->tensor_type);
    onnx__type_proto__tensor__init(type->tensor_type);
    type->tensor_type->has_elem_type = 1;
    type->tensor_type->elem_type = (int32_t)dtype;
    type->tensor_type->shape = make_shape(a, dims, rank);
    return type;
}

ap_err ap_model_set_input_shape(ap_model *m, const char *input, const int64_t *dims, size_t rank) {
    size_t count;
    const Onnx__ValueInfoProto *info = find_input(m, input);
    if (!info) return no_such_input(m, input);
    if (!info->type || info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        return ap_err_subject(ap_err_new(AP_ERR_INPUT_SHAPE, "input \"%s\" is not a tensor", input), input);
    ap_err err = ap_shape_count(dims, rank, &count); // negative, too many, overflowing
    if (err) {
        ap_err cause = err;
        err = ap_err_new(AP_ERR_INPUT_SHAPE, "input \"%s\": %s", input, ap_err_message(cause));
        ap_err_free(cause);
        return ap_err_subject(err, input);
    }
    Onnx__TypeProto__Tensor *t = info->type->tensor_type;
    if (!t->shape) {
        t->shape = make_shape(&m->arena, dims, rank);
        m->edited = true;
        return NULL;
    }
    if (!fits(t->shape, dims, rank)) return shape_error(input, t->shape, dims, rank);
    ap_map sizes = {0};
    for (size_t i = 0; i < rank; i++)
        if (is_symbol(t->shape->dim[i]))
            ap_map_set_index(&sizes, t->shape->dim[i]->dim_param, (size_t)dims[i]);
    err = set_everywhere(m, &sizes);
    for (size_t i = 0; !err && i < rank; i++)
        set_number(t->shape->dim[i], dims[i]); // those without a name too
    ap_map_free(&sizes);
    return ap_err_subject(err, input);
}

// ---- outputs

static ap_err no_such_value(const ap_graph *g, const char *name) {
    ap_err err = ap_err_new(AP_ERR_MODEL_MISSING, "the graph has no value \"%s\"", name);
    const char **names = ap_calloc(g->values.count, sizeof *names);
    for (size_t i = 0; i < g->values.count; i++) names[i] = g->values.entries[i].key;
    const char *near = ap_nearest(name, names, g->values.count);
    if (near) err = ap_err_hint(err, "did you mean \"%s\"?", near);
    free(names);
    return ap_err_subject(err, name);
}

ap_err ap_find_values(const ap_graph *g, const char *const *names, size_t count, ap_value **out) {
    ap_map seen = {0};
    ap_err err = NULL;
    for (size_t i = 0; !err && i < count; i++) {
        out[i] = ap_map_get(&g->values, names[i]);
        if (!out[i])
            err = no_such_value(g, names[i]);
        else if (!ap_map_add(&seen, names[i], out[i]))
            err = ap_err_subject(
                ap_err_new(AP_ERR_MODEL_INVALID, "value \"%s\" is asked for twice", names[i]), names[i]);
    }
    ap_map_free(&seen);
    return err;
}

Onnx__ValueInfoProto *ap_make_info(ap_arena *a, const ap_value *v, const ap_value_type *type) {
    if (!type && v->info) return ap_tree_clone(a, v->info);
    Onnx__ValueInfoProto *info = ap_arena_alloc(a, sizeof *info);
    onnx__value_info_proto__init(info);
    info->name = ap_arena_strdup(a, v->name);
    if (type)
        info->type = ap_make_tensor_type(a, type->dtype, type->dims, type->rank);
    else if (v->init)
        info->type = ap_make_tensor_type(a, (ap_dtype)v->init->data_type, v->init->dims, v->init->n_dims);
    return info;
}

// Inner values that are no longer outputs keep their declared type as value_info, and the other way round.
static void refile_types(ap_model *m, Onnx__ValueInfoProto **old_outputs, size_t old_count) {
    Onnx__GraphProto *p = m->proto->graph;
    size_t count = 0;
    Onnx__ValueInfoProto **list = ap_arena_calloc(&m->arena, p->n_value_info + old_count, sizeof *list);
    for (size_t i = 0; i < p->n_value_info; i++) {
        const char *name = p->value_info[i]->name;
        const ap_value *v = name ? ap_map_get(&m->graph->values, name) : NULL;
        if (!v || !v->is_output) list[count++] = p->value_info[i];
    }
    for (size_t i = 0; i < old_count; i++) {
        const ap_value *v = ap_map_get(&m->graph->values, old_outputs[i]->name);
        if (!v->is_output && v->kind == AP_VALUE_NODE && old_outputs[i]->type) list[count++] = old_outputs[i];
    }
    p->value_info = list;
    p->n_value_info = count;
}

ap_err ap_model_set_outputs(ap_model *m, const char *const *names, size_t count) {
    ap_graph *g = m->graph;
    Onnx__GraphProto *p = m->proto->graph;
    ap_value **outputs = ap_arena_calloc(&m->arena, count, sizeof *outputs);
    ap_err err = ap_find_values(g, names, count, outputs);
    if (err) return err;
    Onnx__ValueInfoProto **infos = ap_arena_calloc(&m->arena, count, sizeof *infos), **old = p->output;
    size_t old_count = p->n_output;
    for (size_t i = 0; i < g->output_count; i++) g->outputs[i]->is_output = false;
    for (size_t i = 0; i < count; i++) {
        outputs[i]->is_output = true;
        infos[i] = ap_make_info(&m->arena, outputs[i], NULL);
        if (!outputs[i]->info) outputs[i]->info = infos[i];
    }
    p->output = infos;
    p->n_output = count;
    g->outputs = outputs;
    g->output_count = count;
    refile_types(m, old, old_count);
    m->edited = true;
    return NULL;
}
