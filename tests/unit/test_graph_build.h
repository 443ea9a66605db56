// SPDX-License-Identifier: Apache-2.0
// What the tests of room graph share: a small builder of ONNX messages, a scratch folder, checks of errors.
#ifndef AP_TEST_GRAPH_BUILD_H
#define AP_TEST_GRAPH_BUILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "graph/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 }; // entries of any list in a built graph

typedef struct bench {
    ap_arena arena;
    char *dir; // a fresh folder
    Onnx__ModelProto *model;
    Onnx__GraphProto *graph;
} bench;

static inline void must(ap_err err) {
    if (err) fail_msg("unexpected error %s: %s", ap_code_name(ap_err_code(err)), ap_err_message(err));
}

// Consumes the error.
static inline void must_fail_(ap_err err, ap_code code, const char *part, const char *file, int line) {
    if (ap_err_code(err) != code || !strstr(ap_err_message(err), part)) {
        print_error("%s:%d: wanted %s with \"%s\", got %s: %s\n", file, line, ap_code_name(code), part,
                    ap_code_name(ap_err_code(err)), ap_err_message(err));
        ap_err_free(err);
        fail();
    }
    ap_err_free(err);
}
#define must_fail(err, code, part) must_fail_(err, code, part, __FILE__, __LINE__)

static inline char *at(bench *b, const char *name) {
    return ap_path_join(&b->arena, b->dir, name);
}

// ---- messages

#define MAKE(b, var, type, init)                                                                             \
    type *var = ap_arena_alloc(&(b)->arena, sizeof *var);                                                    \
    init(var)
#define PUSH(b, owner, list, item)                                                                           \
    do {                                                                                                     \
        if (!(owner)->list) (owner)->list = ap_arena_calloc(&(b)->arena, MOST, sizeof *(owner)->list);       \
        assert_true((owner)->n_##list < MOST);                                                               \
        (owner)->list[(owner)->n_##list++] = (item);                                                         \
    } while (0)

static inline char *dup_text(bench *b, const char *s) {
    return ap_arena_strdup(&b->arena, s);
}

static inline Onnx__GraphProto *new_graph(bench *b, const char *name) {
    MAKE(b, g, Onnx__GraphProto, onnx__graph_proto__init);
    g->name = dup_text(b, name);
    return g;
}

static inline void import(bench *b, const char *domain, int64_t version) {
    MAKE(b, o, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);
    o->domain = dup_text(b, domain);
    o->has_version = 1;
    o->version = version;
    PUSH(b, b->model, opset_import, o);
}

// Starts over with an empty model of opset 17.
static inline void fresh(bench *b) {
    MAKE(b, m, Onnx__ModelProto, onnx__model_proto__init);
    b->model = m;
    m->has_ir_version = 1;
    m->ir_version = 8;
    import(b, "", 17);
    b->graph = m->graph = new_graph(b, "g");
}

// "1,3,h,w": numbers and symbols; "?" is open; "" a scalar.
static inline Onnx__TypeProto *tensor_type(bench *b, ap_dtype dtype, const char *shape) {
    MAKE(b, t, Onnx__TypeProto, onnx__type_proto__init);
    MAKE(b, tt, Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);
    t->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    t->tensor_type = tt;
    tt->has_elem_type = 1;
    tt->elem_type = (int32_t)dtype;
    if (!shape) return t;
    MAKE(b, sh, Onnx__TensorShapeProto, onnx__tensor_shape_proto__init);
    tt->shape = sh;
    char *text = dup_text(b, shape), *save = NULL;
    for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
        MAKE(b, d, Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension__init);
        char *end;
        long long v = strtoll(p, &end, 10);
        if (!*end) {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            d->dim_value = v;
        } else if (strcmp(p, "?") != 0) {
            d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            d->dim_param = p;
        }
        PUSH(b, sh, dim, d);
    }
    return t;
}

// A float declaration; NULL shape: name only.
static inline Onnx__ValueInfoProto *info(bench *b, const char *name, const char *shape) {
    MAKE(b, v, Onnx__ValueInfoProto, onnx__value_info_proto__init);
    v->name = dup_text(b, name);
    if (shape) v->type = tensor_type(b, AP_F32, shape);
    return v;
}
static inline void input(bench *b, const char *name, const char *shape) {
    PUSH(b, b->graph, input, info(b, name, shape));
}
static inline void output(bench *b, const char *name, const char *shape) {
    PUSH(b, b->graph, output, info(b, name, shape));
}
static inline void inner(bench *b, const char *name, const char *shape) {
    PUSH(b, b->graph, value_info, info(b, name, shape));
}

// `ins` and `outs` are comma separated; an empty item is an omitted input.
static inline Onnx__NodeProto *add_node(bench *b, Onnx__GraphProto *g, const char *name, const char *op,
                                        const char *ins, const char *outs) {
    MAKE(b, n, Onnx__NodeProto, onnx__node_proto__init);
    n->name = dup_text(b, name);
    n->op_type = dup_text(b, op);
    char *text = dup_text(b, ins);
    for (char *p = text, *item; *text && (item = strsep(&p, ","));) PUSH(b, n, input, item);
    text = dup_text(b, outs);
    for (char *p = text, *item; *text && (item = strsep(&p, ","));) PUSH(b, n, output, item);
    PUSH(b, g, node, n);
    return n;
}
static inline Onnx__NodeProto *node(bench *b, const char *name, const char *op, const char *ins,
                                    const char *outs) {
    return add_node(b, b->graph, name, op, ins, outs);
}

static inline Onnx__AttributeProto *attr(bench *b, Onnx__NodeProto *n, const char *name,
                                         Onnx__AttributeProto__Kind kind) {
    MAKE(b, a, Onnx__AttributeProto, onnx__attribute_proto__init);
    a->name = dup_text(b, name);
    a->has_type = 1;
    a->type = kind;
    PUSH(b, n, attribute, a);
    return a;
}
static inline void attr_int(bench *b, Onnx__NodeProto *n, const char *name, int64_t v) {
    Onnx__AttributeProto *a = attr(b, n, name, ONNX__ATTRIBUTE_PROTO__KIND__INT);
    a->has_i = 1;
    a->i = v;
}
// "0,2,3,1"
static inline void attr_ints(bench *b, Onnx__NodeProto *n, const char *name, const char *values) {
    Onnx__AttributeProto *a = attr(b, n, name, ONNX__ATTRIBUTE_PROTO__KIND__INTS);
    char *text = dup_text(b, values), *save = NULL;
    for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save))
        PUSH(b, a, ints, strtoll(p, NULL, 10));
}
static inline void attr_graph(bench *b, Onnx__NodeProto *n, const char *name, Onnx__GraphProto *g) {
    attr(b, n, name, ONNX__ATTRIBUTE_PROTO__KIND__GRAPH)->g = g;
}

static inline Onnx__TensorProto *tensor(bench *b, const char *name, ap_dtype dtype, const char *shape) {
    MAKE(b, t, Onnx__TensorProto, onnx__tensor_proto__init);
    t->name = dup_text(b, name);
    t->has_data_type = 1;
    t->data_type = (int32_t)dtype;
    char *text = dup_text(b, shape), *save = NULL;
    for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save))
        PUSH(b, t, dims, strtoll(p, NULL, 10));
    return t;
}
static inline void set_raw(Onnx__TensorProto *t, void *data, size_t bytes) {
    t->has_raw_data = 1;
    t->raw_data = (ProtobufCBinaryData){bytes, data};
}
// An initializer with raw zeros.
static inline Onnx__TensorProto *weight(bench *b, const char *name, ap_dtype dtype, const char *shape,
                                        size_t bytes) {
    Onnx__TensorProto *t = tensor(b, name, dtype, shape);
    set_raw(t, ap_arena_calloc(&b->arena, bytes + 1, 1), bytes);
    PUSH(b, b->graph, initializer, t);
    return t;
}

static inline void say_external(bench *b, Onnx__TensorProto *t, const char *key, const char *value) {
    MAKE(b, e, Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init);
    e->key = dup_text(b, key);
    e->value = dup_text(b, value);
    PUSH(b, t, external_data, e);
    t->has_data_location = 1;
    t->data_location = ONNX__TENSOR_PROTO__LOCATION__EXTERNAL;
}

// ---- bytes

static inline uint8_t *packed(bench *b, size_t *len) {
    *len = onnx__model_proto__get_packed_size(b->model);
    uint8_t *bytes = ap_arena_alloc(&b->arena, *len + 1);
    onnx__model_proto__pack(b->model, bytes);
    return bytes;
}
AP_MUST static inline ap_err parse(bench *b, ap_model **out) {
    size_t len;
    uint8_t *bytes = packed(b, &len);
    return ap_model_parse(bytes, len, b->dir, out);
}
// Expects the model to be refused.
#define refused(b, code, part)                                                                               \
    do {                                                                                                     \
        ap_model *refused_ = NULL;                                                                           \
        must_fail(parse(b, &refused_), code, part);                                                          \
        assert_null(refused_);                                                                               \
    } while (0)
static inline ap_model *accepted(bench *b) {
    ap_model *m = NULL;
    must(parse(b, &m));
    return m;
}
static inline char *write_model(bench *b, const char *name) {
    size_t len;
    uint8_t *bytes = packed(b, &len);
    char *path = at(b, name);
    must(ap_mkdirs(ap_path_dir(&b->arena, path)));
    must(ap_file_write(path, bytes, len));
    return path;
}
static inline void assert_same_file(const char *a, const char *b) {
    ap_buf x = {0}, y = {0};
    must(ap_file_read(a, 1 << 28, &x));
    must(ap_file_read(b, 1 << 28, &y));
    assert_int_equal(x.len, y.len);
    if (x.len) assert_memory_equal(x.data, y.data, x.len);
    ap_buf_free(&x);
    ap_buf_free(&y);
}

// x → Add(w) → Relu → y, everything named and declared.
static inline void chain(bench *b) {
    fresh(b);
    input(b, "x", "n,4");
    output(b, "y", "n,4");
    inner(b, "sum", "n,4");
    weight(b, "w", AP_F32, "4", 16);
    node(b, "add", "Add", "x,w", "sum");
    node(b, "relu", "Relu", "sum", "y");
}

static inline int bench_setup(void **state) {
    bench *b = calloc(1, sizeof *b);
    ap_err err = ap_mkdtemp("/tmp", "aipc-test-graph", &b->arena, &b->dir);
    if (err) return -1;
    fresh(b);
    *state = b;
    return 0;
}
static inline int bench_teardown(void **state) {
    bench *b = *state;
    ap_err err = ap_rmtree(b->dir);
    int rc = err ? -1 : 0;
    ap_err_free(err);
    ap_arena_release(&b->arena);
    free(b);
    return rc;
}
#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

#endif
