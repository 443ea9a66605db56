// SPDX-License-Identifier: Apache-2.0
#include "surgery/pass/fold_flow.h"

#include <stdlib.h>
#include <string.h>

#define EVERYTHING (AP_FLOW_DATA | AP_FLOW_SHAPE | AP_FLOW_INPUT_SHAPE)

// Operators of ai.onnx whose output shape follows from input shapes and attributes alone. Sorted.
static const char *const plain[] = {
    "Abs",
    "Acos",
    "Acosh",
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Attention",
    "AveragePool",
    "BatchNormalization",
    "BitShift",
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "Cast",
    "CastLike",
    "Ceil",
    "Celu",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "ConvInteger",
    "ConvTranspose",
    "Cos",
    "Cosh",
    "CumSum",
    "DeformConv",
    "DepthToSpace",
    "DequantizeLinear",
    "Det",
    "Div",
    "Dropout",
    "DynamicQuantizeLinear",
    "Einsum",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "EyeLike",
    "Flatten",
    "Floor",
    "GRU",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalLpPool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "GridSample",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "InstanceNormalization",
    "IsInf",
    "IsNaN",
    "LRN",
    "LSTM",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "LpPool",
    "MatMul",
    "MatMulInteger",
    "Max",
    "MaxPool",
    "MaxRoiPool",
    "Mean",
    "MeanVarianceNormalization",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "NegativeLogLikelihoodLoss",
    "Not",
    "Or",
    "PRelu",
    "Pow",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
    "RMSNormalization",
    "RNN",
    "Reciprocal",
    "Relu",
    "ReverseSequence",
    "RoiAlign",
    "RotaryEmbedding",
    "Round",
    "ScatterElements",
    "Scatter",
    "ScatterND",
    "Selu",
    "Shape",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Size",
    "Softmax",
    "SoftmaxCrossEntropyLoss",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Sqrt",
    "Sub",
    "Sum",
    "Swish",
    "Tan",
    "Tanh",
    "TensorScatter",
    "ThresholdedRelu",
    "Transpose",
    "Trilu",
    "Where",
    "Xor",
};

// Operators whose output shape follows from the *elements* of some inputs as well: bit i is input i.
static const struct {
    const char *op;
    unsigned shaping;
} shaped[] = {
    {"AffineGrid", 2},
    {"BlackmanWindow", 1},
    {"CenterCropPad", 2},
    {"Col2Im", 6},
    {"Compress", 3},
    {"ConstantOfShape", 1},
    {"DFT", 6},
    {"Expand", 2},
    {"HammingWindow", 1},
    {"HannWindow", 1},
    {"MaxUnpool", 4},
    {"MelWeightMatrix", 31},
    {"NonMaxSuppression", 31},
    {"NonZero", 1},
    {"OneHot", 2},
    {"Pad", 10},
    {"Range", 7},
    {"ReduceL1", 2},
    {"ReduceL2", 2},
    {"ReduceLogSum", 2},
    {"ReduceLogSumExp", 2},
    {"ReduceMax", 2},
    {"ReduceMean", 2},
    {"ReduceMin", 2},
    {"ReduceProd", 2},
    {"ReduceSum", 2},
    {"ReduceSumSquare", 2},
    {"Reshape", 2},
    {"Resize", 14},
    {"STFT", 10},
    {"Slice", 30},
    {"Split", 2},
    {"Squeeze", 2},
    {"Tile", 6},
    {"TopK", 2},
    {"Unique", 1},
    {"Unsqueeze", 2},
    {"Upsample", 2},
};

// Operators of com.microsoft that keep shapes plain. Their elements are left to the runtime all the same.
static const char *const contributed[] = {
    "BiasGelu",
    "DequantizeLinear",
    "FastGelu",
    "FusedConv",
    "FusedGemm",
    "FusedMatMul",
    "Gelu",
    "LayerNormalization",
    "MultiHeadAttention",
    "QGemm",
    "QLinearAdd",
    "QLinearConcat",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMul",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QuantizeLinear",
    "QuickGelu",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
};

static bool listed(const char *const *list, size_t count, const char *op) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i], op)) return true;
    return false;
}

bool ap_op_is_random(const ap_node *n) {
    static const char *const chance[] = {"Bernoulli",        "Multinomial",   "RandomNormal",
                                         "RandomNormalLike", "RandomUniform", "RandomUniformLike"};
    return !*n->domain && listed(chance, sizeof chance / sizeof *chance, n->op);
}

// Which inputs shape the output; false when the operator is not known. Sequences, optionals, random numbers
// and control flow are not.
static bool shaping_inputs(const ap_node *n, unsigned *mask) {
    *mask = 0;
    if (!*n->domain) {
        if (listed(plain, sizeof plain / sizeof *plain, n->op)) return true;
        for (size_t i = 0; i < sizeof shaped / sizeof *shaped; i++)
            if (!strcmp(shaped[i].op, n->op)) {
                *mask = shaped[i].shaping;
                return true;
            }
        return false;
    }
    return !strcmp(n->domain, "com.microsoft") &&
           listed(contributed, sizeof contributed / sizeof *contributed, n->op);
}

typedef struct walk {
    ap_flow *f;
    unsigned bits;
} walk;

static void add_read(ap_value *v, void *user) {
    walk *w = user;
    w->bits |= ap_flow_get(w->f, v);
}

// Control flow with inputs that are all constant is a constant, unless chance or something unknown is inside.
static bool body_is_plain(const ap_graph *g) {
    for (size_t i = 0; i < g->node_count; i++) {
        const ap_node *n = g->nodes[i];
        unsigned mask;
        for (size_t k = 0; k < n->subgraph_count; k++)
            if (!body_is_plain(n->subgraphs[k])) return false;
        if (n->subgraph_count == 0 && (*n->domain || !shaping_inputs(n, &mask))) return false;
    }
    return true;
}

static unsigned control_flow(const ap_node *n, unsigned reads) {
    if (reads & AP_FLOW_DATA) return EVERYTHING;
    for (size_t k = 0; k < n->subgraph_count; k++)
        if (!body_is_plain(n->subgraphs[k])) return EVERYTHING;
    return reads;
}

// Dropout in training draws random numbers. From opset 12 on the switch is an input, before 7 an attribute.
static bool draws(const ap_model *m, const ap_node *n) {
    if (!ap_node_is(n, "Dropout")) return false;
    if (m->opset < 7) return ap_node_attr_int(n, "is_test", 0) == 0;
    return n->input_count > 2 && n->inputs[2];
}

static unsigned node_flow(const ap_model *m, ap_flow *f, const ap_node *n) {
    unsigned mask = 0, shape = 0;
    walk w = {f, 0};
    for (size_t i = 0; i < n->input_count; i++)
        if (n->inputs[i]) add_read(n->inputs[i], &w);
    if (n->subgraph_count) {
        // Captured values: everything the bodies name that this graph has.
        for (size_t k = 0; k < n->subgraph_count; k++)
            for (size_t i = 0; i < n->subgraphs[k]->values.count; i++) {
                const ap_value *v = n->subgraphs[k]->values.entries[i].value;
                ap_value *outer = v->kind == AP_VALUE_OUTER ? ap_graph_value(m->graph, v->name) : NULL;
                if (outer) add_read(outer, &w);
            }
        return control_flow(n, w.bits);
    }
    if (!shaping_inputs(n, &mask)) return EVERYTHING;
    for (size_t i = 0; i < n->input_count; i++) {
        if (!n->inputs[i]) continue;
        unsigned b = ap_flow_get(f, n->inputs[i]);
        shape |= b & AP_FLOW_SHAPE;
        if (i < 32 && (mask & 1u << i) && (b & AP_FLOW_DATA)) shape |= AP_FLOW_SHAPE;
    }
    unsigned rest = w.bits & AP_FLOW_INPUT_SHAPE;
    if (ap_node_is(n, "Shape") || ap_node_is(n, "Size") || ap_node_is(n, "EyeLike"))
        return shape ? shape | AP_FLOW_DATA | rest : rest;
    // Folding a DequantizeLinear would take the quantization out of the graph.
    if (*n->domain || ap_node_is(n, "QuantizeLinear") || ap_node_is(n, "DequantizeLinear") || draws(m, n))
        w.bits |= AP_FLOW_DATA;
    return (w.bits & AP_FLOW_DATA) | shape | rest;
}

static bool has_fixed_shape(const ap_value *v) {
    ap_dtype t;
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    if (!ap_value_shape(v, &t, dims, &rank, NULL)) return false;
    for (size_t i = 0; i < rank; i++)
        if (dims[i] < 0) return false;
    return true;
}

void ap_flow_of(const ap_model *m, ap_flow *out) {
    const ap_graph *g = m->graph;
    *out = (ap_flow){0};
    for (size_t i = 0; i < g->values.count; i++) {
        const ap_value *v = g->values.entries[i].value;
        if (v->kind == AP_VALUE_INITIALIZER) ap_map_set_index(&out->bits, v->name, 0);
        if (v->kind != AP_VALUE_INPUT) continue;
        // An input with a default may be fed all the same.
        ap_map_set_index(&out->bits, v->name,
                         has_fixed_shape(v) ? AP_FLOW_DATA | AP_FLOW_INPUT_SHAPE : EVERYTHING);
    }
    for (size_t i = 0; i < g->node_count; i++) {
        unsigned bits = node_flow(m, out, g->nodes[i]);
        for (size_t k = 0; k < g->nodes[i]->output_count; k++)
            if (g->nodes[i]->outputs[k]) ap_map_set_index(&out->bits, g->nodes[i]->outputs[k]->name, bits);
    }
}

void ap_flow_release(ap_flow *f) {
    ap_map_free(&f->bits);
}

unsigned ap_flow_get(const ap_flow *f, const ap_value *v) {
    int64_t bits = ap_map_get_index(&f->bits, v->name);
    return bits < 0 ? EVERYTHING : (unsigned)bits;
}
