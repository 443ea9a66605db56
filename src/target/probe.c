// SPDX-License-Identifier: Apache-2.0
#include "target/probe.h"

#include "base/proc.h"
#include "target/refusals.h"

#include <stdlib.h>
#include <string.h>

// ---- whose piece is it

static char *owner_of(ap_arena *a, const char *name) {
    return ap_arena_strndup(a, name, strcspn(name, "/"));
}

// Pieces with a node outside the provider become keys of `out`; a provider of NULL takes everything.
static void find_fallen(const json_t *placement, const char *ep, ap_arena *a, ap_map *out) {
    size_t i;
    json_t *n;
    if (!ep) return;
    json_array_foreach((json_t *)(uintptr_t)placement, i, n) {
        if (strcmp(ap_json_str(n, "ep", ""), ep) != 0)
            ap_map_set(out, owner_of(a, ap_json_str(n, "name", "")), n);
    }
}

// The nodes themselves, by name.
static json_t *fallen_nodes(const json_t *placement, const char *ep) {
    json_t *list = json_array(), *n;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)placement, i, n) {
        if (ep && strcmp(ap_json_str(n, "ep", ""), ep) != 0)
            json_array_append_new(list, ap_json_string(ap_json_str(n, "name", "")));
    }
    return list;
}

// ---- running

typedef struct wanted {
    const char **names;
    size_t count;
} wanted;

static wanted find_wanted(const ap_session *s, const ap_map *fallen, ap_arena *a) {
    wanted w = {.names = ap_arena_calloc(a, s->output_count + 1, sizeof *w.names)};
    for (size_t i = 0; i < s->output_count; i++)
        if (!ap_map_has(fallen, owner_of(a, s->outputs[i].name))) w.names[w.count++] = s->outputs[i].name;
    return w;
}

static bool same_bits(const ap_tensor *a, const ap_tensor *b) {
    return a->dtype == b->dtype && ap_shape_equal(a->dims, a->rank, b->dims, b->rank) &&
           a->bytes == b->bytes && (a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
}

// Names of outputs that differ between the two runs.
static void compare_runs(const ap_run_result *a, const ap_run_result *b, ap_map *unstable) {
    for (size_t i = 0; i < a->count; i++)
        if (!same_bits(&a->tensors[i].t, &b->tensors[i].t)) ap_map_set_index(unstable, a->tensors[i].name, i);
}

static ap_err run_set(ap_session *s, const json_t *set, const wanted *w, int64_t repeats, const char *dir,
                      json_t **out) {
    ap_named_tensor *inputs = NULL;
    size_t count = 0;
    ap_run_result first = {0}, again = {0};
    ap_map unstable = {0};
    json_t *list = json_array(), *o;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(dir));
    AP_TRY(ap_tensors_open(set, &inputs, &count));
    AP_TRY(ap_session_run(s, inputs, count, w->names, w->count, &first));
    for (int64_t r = 1; r < repeats; r++) {
        AP_TRY(ap_session_run(s, inputs, count, w->names, w->count, &again));
        compare_runs(&first, &again, &unstable);
        ap_run_result_free(&again);
    }
    for (i = 0; i < first.count; i++)
        AP_TRY(ap_tensor_store(dir, first.tensors[i].name, &first.tensors[i].t, list));
    json_array_foreach(list, i, o)
        json_object_set_new(o, "stable", json_boolean(!ap_map_has(&unstable, ap_json_str(o, "name", ""))));
    *out = json_incref(list);
done:
    json_decref(list);
    ap_map_free(&unstable);
    ap_run_result_free(&again);
    ap_run_result_free(&first);
    ap_named_tensors_free(inputs, count);
    return err;
}

static ap_err run_sets(ap_session *s, const json_t *args, const ap_map *fallen, json_t *result) {
    ap_arena a = {0};
    wanted w = find_wanted(s, fallen, &a);
    const char *dir = NULL;
    json_t *sets = json_object_get(args, "sets"), *set, *outputs = json_array(), *one = NULL;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_json_get_str(args, "dir", "probe", AP_ERR_INTERNAL, &dir));
    json_array_foreach(sets, i, set) {
        if (w.count == 0) break;
        // Once is enough for the sets after the first: the second one shows other values, not another bit.
        AP_TRY(run_set(s, set, &w, i == 0 ? ap_json_int(args, "repeats", 1) : 1,
                       ap_arena_printf(&a, "%s/%zu", dir, i), &one));
        json_array_append_new(outputs, one);
    }
    json_object_set(result, "outputs", outputs);
done:
    json_decref(outputs);
    ap_arena_release(&a);
    return err;
}

// ---- the request

static json_t *read_refusals(ap_engine *e) {
    pthread_mutex_lock(&e->log.lock);
    json_t *list = ap_refusals_parse(e->log.lines, e->log.count);
    pthread_mutex_unlock(&e->log.lock);
    return list;
}

ap_err ap_engine_serve_probe(ap_engine *e, const ap_probe_backend *b, const json_t *args, json_t **result) {
    ap_arena a = {0};
    ap_map fallen = {0};
    const char *file = NULL;
    ap_session *s = NULL;
    json_t *placement = NULL, *r = json_object();
    uint64_t start = ap_now_us(), opened = 0;
    // The oracle is the same provider with nothing optimised.
    bool reference = ap_json_bool(args, "reference", false);
    ap_session_options so = {.ep = b->ep,
                             .ep_options = b->options,
                             .ep_option_count = b->option_count,
                             .optimization = reference ? ORT_DISABLE_ALL : ORT_ENABLE_ALL,
                             .record_placement = true,
                             .verbose = b->ep != NULL,
                             .threads = 1};
    ap_err err = ap_json_get_str(args, "file", "probe", AP_ERR_INTERNAL, &file);
    if (err) goto done;
    ap_engine_log_reset(e);
    ap_err failed = ap_session_open(e, file, NULL, 0, &so, &s);
    opened = ap_now_us();
    if (!failed) failed = ap_session_placement(s, &placement);
    if (!failed) find_fallen(placement, b->ep, &a, &fallen);
    json_object_set_new(r, "refused", read_refusals(e));
    json_object_set_new(r, "stage", json_string(failed ? "open" : "run"));
    if (!failed) failed = run_sets(s, args, &fallen, r);
    json_t *names = json_array();
    for (size_t i = 0; i < fallen.count; i++)
        json_array_append_new(names, ap_json_string(fallen.entries[i].key));
    json_object_set_new(r, "fallen", names);
    json_object_set_new(r, "fallen_nodes", fallen_nodes(placement, b->ep));
    json_object_set_new(r, "placement", placement ? json_incref(placement) : json_array());
    json_object_set_new(r, "error", failed ? ap_json_from_err(failed) : json_null());
    json_object_set_new(r, "open_us", json_integer((json_int_t)(opened - start)));
    json_object_set_new(r, "vendor_us", json_integer((json_int_t)(ap_now_us() - start)));
    ap_err_free(failed);
    *result = json_incref(r);
done:
    ap_session_close(s);
    json_decref(placement);
    json_decref(r);
    ap_map_free(&fallen);
    ap_arena_release(&a);
    return err;
}

// ---- keeping the backend set up

static Onnx__ValueInfoProto *vector_info(ap_arena *a, const char *name) {
    Onnx__ValueInfoProto *v = ap_arena_alloc(a, sizeof *v);
    Onnx__TypeProto *t = ap_arena_alloc(a, sizeof *t);
    Onnx__TypeProto__Tensor *tensor = ap_arena_alloc(a, sizeof *tensor);
    Onnx__TensorShapeProto *shape = ap_arena_alloc(a, sizeof *shape);
    Onnx__TensorShapeProto__Dimension *dim = ap_arena_alloc(a, sizeof *dim);
    onnx__value_info_proto__init(v);
    onnx__type_proto__init(t);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    onnx__tensor_shape_proto__dimension__init(dim);
    dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    dim->dim_value = 16;
    shape->n_dim = 1;
    shape->dim = ap_arena_calloc(a, 1, sizeof *shape->dim);
    shape->dim[0] = dim;
    tensor->has_elem_type = 1;
    tensor->elem_type = AP_F32;
    tensor->shape = shape;
    t->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    t->tensor_type = tensor;
    v->name = ap_arena_strdup(a, name);
    v->type = t;
    return v;
}

static void pack_relu(ap_arena *a, ap_buf *out) {
    Onnx__ModelProto m;
    Onnx__GraphProto g;
    Onnx__NodeProto n, *nodes[1] = {&n};
    Onnx__OperatorSetIdProto o, *opsets[1] = {&o};
    Onnx__ValueInfoProto *ins[1] = {vector_info(a, "x")}, *outs[1] = {vector_info(a, "y")};
    char *in[1] = {ap_arena_strdup(a, "x")}, *result[1] = {ap_arena_strdup(a, "y")};
    onnx__model_proto__init(&m);
    onnx__graph_proto__init(&g);
    onnx__node_proto__init(&n);
    onnx__operator_set_id_proto__init(&o);
    n.op_type = n.name = ap_arena_strdup(a, "Relu");
    n.n_input = n.n_output = 1;
    n.input = in;
    n.output = result;
    g.name = ap_arena_strdup(a, "warm");
    g.n_node = g.n_input = g.n_output = 1;
    g.node = nodes;
    g.input = ins;
    g.output = outs;
    o.has_version = m.has_ir_version = 1;
    o.version = 17;
    m.ir_version = 8;
    m.graph = &g;
    m.n_opset_import = 1;
    m.opset_import = opsets;
    size_t bytes = onnx__model_proto__get_packed_size(&m);
    uint8_t *packed = ap_alloc(bytes);
    onnx__model_proto__pack(&m, packed);
    ap_buf_append(out, packed, bytes);
    free(packed);
}

ap_err ap_probe_keep_warm(ap_engine *e, const ap_probe_backend *b, ap_session **out) {
    ap_arena a = {0};
    ap_buf model = {0};
    ap_session_options so = {.ep = b->ep,
                             .ep_options = b->options,
                             .ep_option_count = b->option_count,
                             .optimization = ORT_ENABLE_ALL,
                             .threads = 1};
    pack_relu(&a, &model);
    ap_err err = ap_session_open(e, "warm", model.data, model.len, &so, out);
    ap_buf_free(&model);
    ap_arena_release(&a);
    return err;
}
