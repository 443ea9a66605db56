// SPDX-License-Identifier: Apache-2.0
#include "graph/channel.h"

#include <limits.h>
#include <string.h>

// Axes are counted from the front (0, 1 …) or, where the rank is not known, from the back (-1 the last).
#define UNKNOWN INT_MIN
// Values looked at for one answer: both sides of every sum are walked.
enum { MOST_VALUES = 256 };

static int axis_of(const ap_value *v, size_t *budget);

static int from_first(const ap_node *n, size_t *budget) {
    return n->input_count ? axis_of(n->inputs[0], budget) : UNKNOWN;
}

static int is_axis_1(const ap_node *n, size_t *budget) {
    (void)n;
    (void)budget;
    return 1;
}

// Its form is what counts: weights may be stored as whole numbers, or in another type.
static const Onnx__TensorProto *constant(const ap_value *v) {
    while (v && v->producer &&
           (ap_node_is(v->producer, "DequantizeLinear") || ap_node_is(v->producer, "Cast")))
        v = v->producer->input_count ? v->producer->inputs[0] : NULL;
    if (!v || !v->producer) return v && v->kind == AP_VALUE_INITIALIZER ? v->init : NULL;
    const Onnx__AttributeProto *at =
        ap_node_is(v->producer, "Constant") ? ap_node_attr(v->producer, "value") : NULL;
    return at ? at->t : NULL;
}

// A matrix of weights on the right: its columns are the channels.
static int of_matmul(const ap_node *n, size_t *budget) {
    (void)budget;
    const Onnx__TensorProto *w = n->input_count == 2 ? constant(n->inputs[1]) : NULL;
    return w && w->n_dims == 2 ? -1 : UNKNOWN;
}

static int of_norm(const ap_node *n, size_t *budget) {
    (void)budget;
    return ap_node_attr_int(n, "axis", -1) == -1 ? -1 : UNKNOWN;
}

// One number for each channel, the same along all other axes: where they lie says which axis that is.
static int axis_of_numbers(const ap_value *v) {
    const Onnx__TensorProto *c = constant(v);
    int axis = UNKNOWN;
    for (size_t i = 0; c && i < c->n_dims; i++) {
        if (c->dims[i] == 1) continue;
        if (axis != UNKNOWN) return UNKNOWN;
        axis = (int)i - (int)c->n_dims;
    }
    return axis;
}

// What made a side knows better than what is added to it: that may be of a position.
static int of_sides(const ap_node *n, size_t *budget) {
    int axis = UNKNOWN;
    for (size_t i = 0; axis == UNKNOWN && i < n->input_count && i < 2; i++)
        if (!constant(n->inputs[i])) axis = axis_of(n->inputs[i], budget);
    for (size_t i = 0; axis == UNKNOWN && i < n->input_count && i < 2; i++)
        axis = axis_of_numbers(n->inputs[i]);
    return axis;
}

static int of_transpose(const ap_node *n, size_t *budget) {
    const Onnx__AttributeProto *perm = ap_node_attr(n, "perm");
    int axis = from_first(n, budget), rank = perm ? (int)perm->n_ints : 0;
    if (axis == UNKNOWN) return UNKNOWN;
    if (axis < 0) axis += rank;
    for (int i = 0; i < rank; i++)
        if (perm->ints[i] == axis) return i;
    return UNKNOWN;
}

static const struct {
    const char *op;
    int (*axis)(const ap_node *n, size_t *budget);
} RULES[] = {
    {"Conv", is_axis_1},
    {"ConvTranspose", is_axis_1},
    {"BatchNormalization", is_axis_1},
    {"InstanceNormalization", is_axis_1},
    {"GroupNormalization", is_axis_1},
    {"MaxPool", is_axis_1},
    {"AveragePool", is_axis_1},
    {"Gemm", is_axis_1},
    {"MatMul", of_matmul},
    {"LayerNormalization", of_norm},
    {"RMSNormalization", of_norm},
    {"Transpose", of_transpose},
    {"Add", of_sides},
    {"Sub", of_sides},
    {"Mul", of_sides},
    {"Div", of_sides},
    {"Cast", from_first},
    {"Clip", from_first},
    {"DequantizeLinear", from_first},
    {"Dropout", from_first},
    {"Elu", from_first},
    {"Gelu", from_first},
    {"HardSigmoid", from_first},
    {"HardSwish", from_first},
    {"Identity", from_first},
    {"LeakyRelu", from_first},
    {"PRelu", from_first},
    {"QuantizeLinear", from_first},
    {"Relu", from_first},
    {"Sigmoid", from_first},
    {"Softplus", from_first},
    {"Tanh", from_first},
};

static int axis_of(const ap_value *v, size_t *budget) {
    if (!v || !v->producer || *v->producer->domain || !*budget) return UNKNOWN;
    --*budget;
    for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++)
        if (!strcmp(v->producer->op, RULES[i].op)) return RULES[i].axis(v->producer, budget);
    return UNKNOWN;
}

int ap_graph_channel_axis(const ap_value *v, size_t rank) {
    size_t budget = MOST_VALUES;
    int axis = axis_of(v, &budget);
    if (axis == UNKNOWN) return -1;
    if (axis < 0) axis += (int)rank;
    return axis >= 0 && axis < (int)rank ? axis : -1;
}

void ap_graph_channel_axes(const ap_graph *g, json_t *tensors) {
    json_t *t;
    size_t i;
    json_array_foreach(tensors, i, t) {
        const ap_value *v = ap_graph_value(g, ap_json_str(t, "name", ""));
        int axis = v ? ap_graph_channel_axis(v, json_array_size(json_object_get(t, "dims"))) : -1;
        if (axis >= 0) json_object_set_new(t, "channel_axis", json_integer(axis));
    }
}
