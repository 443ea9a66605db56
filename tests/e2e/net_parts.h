// SPDX-License-Identifier: Apache-2.0
// What make_nets.c writes models with: tensors by name, numbers in text, seeded random weights.
#ifndef AP_TEST_NET_PARTS_H
#define AP_TEST_NET_PARTS_H

#include "../unit/test_graph_build.h"

static uint64_t random_state = 42;

// In (-0.5, 0.5), the same on every machine.
static float next_random(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (float)(random_state >> 40) / (float)(1u << 24) - 0.5f;
}

static Onnx__TensorProto *tensor_of(bench *b, const char *name, ap_dtype dtype, const char *shape) {
    Onnx__TensorProto *t = tensor(b, name, dtype, shape);
    PUSH(b, b->graph, initializer, t);
    return t;
}

static void floats(bench *b, const char *name, const char *shape) {
    Onnx__TensorProto *t = tensor_of(b, name, AP_F32, shape);
    size_t n = 1;
    for (size_t i = 0; i < t->n_dims; i++) n *= (size_t)t->dims[i];
    float *data = ap_arena_alloc(&b->arena, n * sizeof *data + 1);
    for (size_t i = 0; i < n; i++) data[i] = next_random();
    set_raw(t, data, n * sizeof *data);
}

static void longs(bench *b, const char *name, const char *values) {
    int64_t *data = ap_arena_alloc(&b->arena, MOST * sizeof *data);
    size_t n = 0;
    char *text = dup_text(b, values), *save = NULL, shape[16];
    for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save))
        data[n++] = strtoll(p, NULL, 10);
    snprintf(shape, sizeof shape, "%zu", n);
    set_raw(tensor_of(b, name, AP_I64, shape), data, n * sizeof *data);
}

static void attr_text(bench *b, Onnx__NodeProto *n, const char *name, const char *value) {
    Onnx__AttributeProto *a = attr(b, n, name, ONNX__ATTRIBUTE_PROTO__KIND__STRING);
    a->has_s = 1;
    a->s = (ProtobufCBinaryData){strlen(value), (uint8_t *)dup_text(b, value)};
}

static void start(bench *b, int64_t opset) {
    fresh(b);
    b->model->opset_import[0]->version = opset;
    if (opset >= 21) b->model->ir_version = 10;
}

static void typed_input(bench *b, const char *name, ap_dtype dtype, const char *shape) {
    Onnx__ValueInfoProto *v = info(b, name, NULL);
    v->type = tensor_type(b, dtype, shape);
    PUSH(b, b->graph, input, v);
}
static void typed_output(bench *b, const char *name, ap_dtype dtype, const char *shape) {
    Onnx__ValueInfoProto *v = info(b, name, NULL);
    v->type = tensor_type(b, dtype, shape);
    PUSH(b, b->graph, output, v);
}

#endif
