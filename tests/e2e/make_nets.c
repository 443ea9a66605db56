// SPDX-License-Identifier: Apache-2.0
// Writes the small models of the deploy tests: `make_nets DIR`. Each is named after what it is there for.
#include "net_parts.h"

#include "tensor/npy.h"

#include <math.h>

// A 3x3 convolution that keeps the size.
static void conv(bench *b, const char *name, const char *in, const char *out, const char *weight_shape) {
    char w[64], ins[128];
    snprintf(w, sizeof w, "%s.w", name);
    snprintf(ins, sizeof ins, "%s,%s", in, w);
    floats(b, w, weight_shape);
    Onnx__NodeProto *n = node(b, name, "Conv", ins, out);
    attr_ints(b, n, "kernel_shape", "3,3");
    attr_ints(b, n, "pads", "1,1,1,1");
}

static void conv_head(bench *b) {
    input(b, "x", "1,3,9,9");
    conv(b, "conv0", "x", "c0", "8,3,3,3");
    node(b, "relu0", "Relu", "c0", "r0");
}

// ---- what works everywhere

static void convnet(bench *b) {
    start(b, 17);
    conv_head(b);
    conv(b, "conv1", "r0", "c1", "8,8,3,3");
    node(b, "relu1", "Relu", "c1", "r1");
    node(b, "gap", "GlobalAveragePool", "r1", "g");
    node(b, "flat", "Flatten", "g", "f");
    floats(b, "fc.w", "8,4");
    node(b, "fc", "MatMul", "f,fc.w", "y");
    output(b, "y", "1,4");
    write_model(b, "convnet.onnx");
}

static void mlp_body(bench *b, const char *shape, const char *out_shape) {
    input(b, "x", shape);
    floats(b, "w0", "16,32");
    floats(b, "b0", "32");
    floats(b, "w1", "32,8");
    node(b, "mm0", "MatMul", "x,w0", "h0");
    node(b, "add0", "Add", "h0,b0", "h1");
    node(b, "relu", "Relu", "h1", "h2");
    node(b, "mm1", "MatMul", "h2,w1", "y");
    output(b, "y", out_shape);
}

static void mlp(bench *b) {
    start(b, 17);
    mlp_body(b, "1,16", "1,8");
    write_model(b, "mlp.onnx");
    start(b, 17);
    mlp_body(b, "batch,16", "batch,8");
    write_model(b, "dynamic.onnx");
}

static void external(bench *b) {
    ap_model *m = NULL;
    char *plain = at(b, "mlp.onnx"), *path = at(b, "external/model.onnx");
    must(ap_mkdirs(at(b, "external")));
    must(ap_model_load(plain, &m));
    must(
        ap_model_save(m, path, &(ap_save_options){.external_name = "weights.bin", .external_min_bytes = 64}));
    ap_model_free(m);
}

// ---- what a backend refuses, or accepts and gets wrong

static void refused_net(bench *b) {
    start(b, 17);
    conv_head(b);
    attr_int(b, node(b, "tri", "Trilu", "r0", "t"), "upper", 1);
    node(b, "relu1", "Relu", "t", "r1");
    attr_int(b, node(b, "hard", "Hardmax", "r1", "h"), "axis", 3);
    node(b, "sig", "Sigmoid", "h", "y");
    output(b, "y", "1,8,9,9");
    write_model(b, "refused.onnx");
}

// Refused for one node each. What Unique gives depends on data, in size, too: no rule helps there.
static void repairable_nets(bench *b) {
    start(b, 17);
    conv_head(b);
    node(b, "round", "Round", "r0", "q");
    attr_int(b, node(b, "cast", "Cast", "q", "i"), "to", AP_I32);
    static int32_t three = 3;
    set_raw(tensor_of(b, "three", AP_I32, ""), &three, sizeof three);
    attr_int(b, node(b, "mod", "Mod", "i,three", "m"), "fmod", 1);
    attr_int(b, node(b, "back", "Cast", "m", "f"), "to", AP_F32);
    node(b, "add", "Add", "f,r0", "y");
    output(b, "y", "1,8,9,9");
    write_model(b, "refused-mod.onnx");

    start(b, 17);
    conv_head(b);
    static int32_t axis = 3;
    set_raw(tensor_of(b, "axis", AP_I32, ""), &axis, sizeof axis);
    attr_int(b, node(b, "sum", "CumSum", "r0,axis", "s"), "reverse", 1);
    node(b, "sig", "Sigmoid", "s", "y");
    output(b, "y", "1,8,9,9");
    write_model(b, "refused-cumsum.onnx");

    start(b, 17);
    conv_head(b);
    node(b, "celu", "Celu", "r0", "c");
    node(b, "sig", "Sigmoid", "c", "y");
    output(b, "y", "1,8,9,9");
    write_model(b, "refused-celu.onnx");

    start(b, 17);
    input(b, "x", "batch,16");
    static int32_t one = 1;
    set_raw(tensor_of(b, "axis", AP_I32, ""), &one, sizeof one);
    attr_int(b, node(b, "sum", "CumSum", "x,axis", "s"), "exclusive", 1);
    node(b, "sig", "Sigmoid", "s", "y");
    output(b, "y", "batch,16");
    write_model(b, "refused-dynamic.onnx");

    start(b, 17);
    conv_head(b);
    node(b, "unique", "Unique", "r0", "u");
    attr_int(b, node(b, "most", "ReduceMax", "u", "y"), "keepdims", 0);
    output(b, "y", "");
    write_model(b, "refused-unique.onnx");
}

// Needs every kind of step: passes (shapes, identity, batchnorm), a rule of text (CumSum), a native one
// (ReduceProd).
static void plan_net(bench *b, const char *name, const char *made) {
    char ins[64];
    static int32_t axis = 2;
    start(b, 17);
    input(b, "x", "batch,3,9,9");
    conv(b, "conv0", "x", "c0", "8,3,3,3");
    for (int i = 0; i < 4; i++) floats(b, (const char *[]){"bn.s", "bn.b", "bn.m", "bn.v"}[i], "8");
    Onnx__TensorProto *var = b->graph->initializer[b->graph->n_initializer - 1];
    for (size_t i = 0; i < 8; i++) ((float *)(void *)var->raw_data.data)[i] += 1.0f;
    node(b, "bn", "BatchNormalization", "c0,bn.s,bn.b,bn.m,bn.v", "n0");
    node(b, "same", "Identity", "n0", "i0");
    node(b, "shape", "Shape", "i0", "s0");
    longs(b, "first", "0");
    attr_int(b, node(b, "batch", "Gather", "s0,first", "s1"), "axis", 0);
    longs(b, "rest", "8,81");
    attr_int(b, node(b, "sizes", "Concat", "s1,rest", "s2"), "axis", 0);
    node(b, "flat", "Reshape", "i0,s2", "f0");
    node(b, "sig", "Sigmoid", "f0", "g0");
    attr_ints(b, node(b, "prod", "ReduceProd", "g0", made), "axes", "1");
    set_raw(tensor_of(b, "axis", AP_I32, ""), &axis, sizeof axis);
    snprintf(ins, sizeof ins, "%s,axis", made);
    attr_int(b, node(b, "sum", "CumSum", ins, "c1"), "reverse", 1);
    floats(b, "fc.w", "81,16");
    node(b, "fc", "MatMul", "c1,fc.w", "y");
    output(b, "y", "batch,1,16");
    write_model(b, name);
}

// The same with its weights beside it; with other weights, as after a retraining; with a node of another
// name.
static void plan_nets(bench *b) {
    ap_model *m = NULL;
    plan_net(b, "plan.onnx", "p0");
    must(ap_mkdirs(at(b, "plan-external")));
    must(ap_model_load(at(b, "plan.onnx"), &m));
    must(ap_model_save(m, at(b, "plan-external/model.onnx"),
                       &(ap_save_options){.external_name = "weights.bin", .external_min_bytes = 64}));
    ap_model_free(m);
    plan_net(b, "plan-retrained.onnx", "p0"); // weights are drawn anew
    plan_net(b, "plan-renamed.onnx", "product");
}

// Tokens that index a table of two rows: random numbers would lie outside.
static void plan_tokens_net(bench *b) {
    static int32_t axis = 2;
    start(b, 17);
    typed_input(b, "tokens", AP_I64, "1,8");
    floats(b, "table", "2,16");
    node(b, "embed", "Gather", "table,tokens", "e0");
    set_raw(tensor_of(b, "axis", AP_I32, ""), &axis, sizeof axis);
    attr_int(b, node(b, "sum", "CumSum", "e0,axis", "y"), "reverse", 1);
    output(b, "y", "1,8,16");
    write_model(b, "plan-tokens.onnx");
}

// Refused, and rewritten by whatever rule for it comes first.
static void cosh_net(bench *b) {
    start(b, 17);
    input(b, "x", "1,3,9,9");
    node(b, "cosh", "Cosh", "x", "c");
    node(b, "sig", "Sigmoid", "c", "y");
    output(b, "y", "1,3,9,9");
    output(b, "c", "1,3,9,9");
    write_model(b, "cosh.onnx");
}

static void wrong_nets(bench *b) {
    start(b, 17);
    conv_head(b);
    Onnx__NodeProto *pool = node(b, "pool", "AveragePool", "r0", "p");
    attr_ints(b, pool, "kernel_shape", "2,2");
    attr_ints(b, pool, "strides", "2,2");
    attr_int(b, pool, "ceil_mode", 1);
    conv(b, "conv1", "p", "c1", "8,8,3,3");
    node(b, "relu1", "Relu", "c1", "y");
    output(b, "y", "1,8,5,5");
    write_model(b, "wrong-pool.onnx");

    start(b, 17);
    conv_head(b);
    conv(b, "conv1", "r0", "c1", "8,8,3,3");
    node(b, "relu1", "Relu", "c1", "r1");
    static float twice[] = {1, 1, 2, 2};
    set_raw(tensor_of(b, "scales", AP_F32, "4"), twice, sizeof twice);
    Onnx__NodeProto *up = node(b, "up", "Resize", "r1,,scales", "u");
    attr_text(b, up, "mode", "nearest");
    attr_text(b, up, "nearest_mode", "ceil");
    node(b, "sig", "Sigmoid", "u", "s");
    node(b, "mul", "Mul", "u,s", "y");
    output(b, "y", "1,8,18,18");
    write_model(b, "wrong-resize.onnx");
}

// ---- quantised: uint16 activations, int8 weights

static void scalar(bench *b, const char *name, ap_dtype dtype, const void *value, size_t size) {
    void *data = ap_arena_alloc(&b->arena, size);
    memcpy(data, value, size);
    set_raw(tensor_of(b, name, dtype, ""), data, size);
}

// Quantised to lo .. hi and back: VALUE.d.
static void quantised(bench *b, const char *value, float lo, float hi) {
    char names[5][64];
    static const char *const ends[] = {"s", "z", "q", "quant", "d"};
    for (size_t i = 0; i < 5; i++) snprintf(names[i], sizeof names[i], "%s.%s", value, ends[i]);
    float scale = (hi - lo) / 65535;
    uint16_t zero = (uint16_t)(-lo / scale + 0.5f);
    char q[160], dq[200];
    scalar(b, names[0], AP_F32, &scale, sizeof scale);
    scalar(b, names[1], AP_U16, &zero, sizeof zero);
    snprintf(q, sizeof q, "%s,%s,%s", value, names[0], names[1]);
    snprintf(dq, sizeof dq, "%s,%s,%s", names[2], names[0], names[1]);
    node(b, names[3], "QuantizeLinear", q, names[2]);
    node(b, names[4], "DequantizeLinear", dq, names[4]);
}

static void quantised_conv(bench *b, const char *name, const char *in, int channels) {
    char w[64], wd[64], s[64], ins[140], shape[32];
    size_t n = (size_t)(8 * channels * 9);
    int8_t *data = ap_arena_alloc(&b->arena, n);
    float scale = 1.7f / 127 / sqrtf((float)(channels * 9));
    snprintf(w, sizeof w, "%s.w", name);
    snprintf(wd, sizeof wd, "%s.wd", name);
    snprintf(s, sizeof s, "%s.ws", name);
    snprintf(shape, sizeof shape, "8,%d,3,3", channels);
    for (size_t i = 0; i < n; i++) data[i] = (int8_t)(254 * next_random());
    set_raw(tensor_of(b, w, AP_I8, shape), data, n);
    scalar(b, s, AP_F32, &scale, sizeof scale);
    snprintf(ins, sizeof ins, "%s,%s", w, s);
    node(b, wd, "DequantizeLinear", ins, wd);
    snprintf(ins, sizeof ins, "%s,%s", in, wd);
    Onnx__NodeProto *n0 = node(b, name, "Conv", ins, name);
    attr_ints(b, n0, "kernel_shape", "3,3");
    attr_ints(b, n0, "pads", "1,1,1,1");
}

// As ONNX Runtime's quantizer writes it.
static void contribute(bench *b) {
    import(b, "com.microsoft", 1);
    for (size_t i = 0; i < b->graph->n_node; i++)
        if (strstr(b->graph->node[i]->op_type, "uantizeLinear"))
            b->graph->node[i]->domain = dup_text(b, "com.microsoft");
}

// Behind each convolution x sigmoid(x), which HTP fuses, wrong where the map is 9 to 12 rows high.
static void silu_net(bench *b, int rows, int columns, bool contributed, const char *file) {
    char in[64] = "x.d", shape[32];
    start(b, 21);
    snprintf(shape, sizeof shape, "1,3,%d,%d", rows, columns);
    input(b, "x", shape);
    quantised(b, "x", -1, 1);
    for (int i = 0; i < 3; i++) {
        char c[16], s[16], m[16], from[40];
        snprintf(c, sizeof c, "conv%d", i);
        snprintf(s, sizeof s, "sig%d", i);
        snprintf(m, sizeof m, "silu%d", i);
        quantised_conv(b, c, in, i ? 8 : 3);
        quantised(b, c, -4.0f - (float)i, 4.0f + (float)i); // no two have the same scales
        snprintf(from, sizeof from, "%s.d", c);
        node(b, s, "Sigmoid", from, s);
        quantised(b, s, 0, 1);
        snprintf(from, sizeof from, "%s.d,%s.d", c, s);
        node(b, m, "Mul", from, m);
        quantised(b, m, -0.3f, 4.0f + (float)i);
        snprintf(in, sizeof in, "%s.d", m);
    }
    snprintf(shape, sizeof shape, "1,8,%d,%d", rows, columns);
    output(b, "silu2.d", shape);
    if (contributed) contribute(b);
    write_model(b, file);
}

// Right on small numbers, wrong on those that float16 cannot tell apart.
static void large_mod(bench *b) {
    start(b, 17);
    typed_input(b, "i", AP_I64, "1,300");
    longs(b, "eighty", "80");
    node(b, "mod", "Mod", "i,eighty", "m");
    attr_int(b, node(b, "back", "Cast", "m", "y"), "to", 1);
    output(b, "y", "1,300");
    write_model(b, "wrong-mod.onnx");
}

// Scores that lie closer together than float16 resolves, and the rows they pick.
static void picks_net(bench *b, int rows, bool mod, const char *name) {
    static float narrow = 0.001F, middle = 0.9F;
    char shape[32];
    snprintf(shape, sizeof shape, "1,%d", rows);
    start(b, 17);
    input(b, "x", shape);
    set_raw(tensor_of(b, "narrow", AP_F32, ""), &narrow, sizeof narrow);
    set_raw(tensor_of(b, "middle", AP_F32, ""), &middle, sizeof middle);
    floats(b, "w", shape);
    longs(b, "k", "50");
    node(b, "shrink", "Mul", "x,narrow", "s0");
    node(b, "shift", "Add", "s0,middle", "scores");
    node(b, "rows", "Mul", "x,w", "all");
    attr_int(b, node(b, "top", "TopK", "scores,k", "best,where"), "axis", 1);
    attr_int(b, node(b, "take", "GatherElements", "all,where", "y"), "axis", 1);
    output(b, "y", "1,50");
    output(b, "best", "1,50");
    if (mod) {
        longs(b, "eighty", "80");
        node(b, "mod", "Mod", "where,eighty", "m");
        attr_int(b, node(b, "back", "Cast", "m", "class"), "to", 1);
        output(b, "class", "1,50");
    }
    write_model(b, name);
}

static void picks_nets(bench *b) {
    picks_net(b, 400, false, "picks.onnx");
    picks_net(b, 24000, true, "picks-mod.onnx");
}

// One step of a network that keeps its state outside; `scale` is of the state that comes in.
static void state_net(bench *b, const float *scale, const char *name) {
    random_state = 7; // the same weights each time
    start(b, 17);
    input(b, "x", "1,8");
    input(b, "h", "1,8");
    set_raw(tensor_of(b, "scale", AP_F32, ""), (void *)(uintptr_t)scale, sizeof *scale);
    floats(b, "w", "8,8");
    floats(b, "u", "8,8");
    node(b, "new", "MatMul", "x,w", "a");
    node(b, "weigh", "Mul", "h,scale", "hs");
    node(b, "old", "MatMul", "hs,u", "o");
    node(b, "both", "Add", "a,o", "s");
    node(b, "squash", "Tanh", "s", "hn");
    node(b, "out", "Softplus", "hn", "y");
    output(b, "y", "1,8");
    output(b, "hn", "1,8");
    write_model(b, name);
}

static void sum_net(bench *b) { // a single number
    start(b, 17);
    input(b, "x", "1,8");
    floats(b, "w", "8,1");
    node(b, "sum", "MatMul", "x,w", "y");
    output(b, "y", "1,1");
    write_model(b, "sum.onnx");
}

static void state_nets(bench *b) {
    static const float scales[] = {1, 1.000001F, 0.5F};
    state_net(b, &scales[0], "state.onnx");
    state_net(b, &scales[1], "state-near.onnx");
    state_net(b, &scales[2], "state-wrong.onnx"); // but for small states
}

// Taken, nothing of it wrong, and less exact than it has to be: squares of small numbers leave float16's
// range before the root brings them back; a recurrent cell whose state goes in and out.
static void length_net(bench *b, const float *small, const char *name) {
    random_state = 7; // the same weights each time
    start(b, 17);
    input(b, "x", "1,64");
    floats(b, "w", "64,64");
    floats(b, "u", "64,64");
    set_raw(tensor_of(b, "small", AP_F32, ""), (void *)(uintptr_t)small, sizeof *small);
    node(b, "shrink", "Mul", "x,small", "t");
    node(b, "real", "MatMul", "t,w", "re");
    node(b, "imaginary", "MatMul", "t,u", "im");
    node(b, "square_re", "Mul", "re,re", "re2");
    node(b, "square_im", "Mul", "im,im", "im2");
    node(b, "sum", "Add", "re2,im2", "s");
    node(b, "length", "Sqrt", "s", "y");
    output(b, "y", "1,64");
    write_model(b, name);
}

static void blurred_nets(bench *b) {
    static const float small[] = {0.001F, 0.0001F};
    length_net(b, &small[0], "length.onnx");
    length_net(b, &small[1], "length-wrong.onnx");

    start(b, 17);
    input(b, "x", "1,1,8");
    input(b, "h", "1,1,16");
    input(b, "c", "1,1,16");
    floats(b, "w", "1,64,8");
    floats(b, "r", "1,64,16");
    floats(b, "b", "1,128");
    attr_int(b, node(b, "cell", "LSTM", "x,w,r,b,,h,c", "all,hn,cn"), "hidden_size", 16);
    output(b, "hn", "1,1,16");
    output(b, "cn", "1,1,16");
    write_model(b, "stream.onnx");
}

// Runs right and has something to gain: attention that scales queries and keys.
static void tune_net(bench *b) {
    static float scale = 0.5F;
    start(b, 17);
    input(b, "x", "1,4,64,32");
    floats(b, "wq", "32,32");
    floats(b, "wk", "32,32");
    set_raw(tensor_of(b, "scale", AP_F32, ""), &scale, sizeof scale);
    node(b, "queries", "MatMul", "x,wq", "q");
    node(b, "keys", "MatMul", "x,wk", "k");
    attr_ints(b, node(b, "turned", "Transpose", "k", "t"), "perm", "0,1,3,2");
    node(b, "scaled_q", "Mul", "q,scale", "qs");
    node(b, "scaled_k", "Mul", "t,scale", "ks");
    node(b, "scores", "MatMul", "qs,ks", "s");
    attr_int(b, node(b, "soft", "Softmax", "s", "y"), "axis", -1);
    output(b, "y", "1,4,64,64");
    write_model(b, "tune.onnx");
}

// ---- interfaces

static void interfaces(bench *b) {
    start(b, 17);
    input(b, "a", "6,4");
    typed_input(b, "idx", AP_I64, "3");
    floats(b, "w", "4,4");
    node(b, "mm", "MatMul", "a,w", "m");
    attr_int(b, node(b, "pick", "Gather", "m,idx", "picked"), "axis", 0);
    node(b, "sig", "Sigmoid", "m", "all");
    typed_output(b, "picked", AP_F32, "3,4");
    typed_output(b, "all", AP_F32, "6,4");
    write_model(b, "two-io.onnx");

    start(b, 17); // answers large enough to be lent
    input(b, "x", "1,3,96,96");
    node(b, "relu", "Relu", "x", "y");
    node(b, "twice", "Add", "x,x", "z");
    output(b, "y", "1,3,96,96");
    output(b, "z", "1,3,96,96");
    write_model(b, "large.onnx");

    start(b, 17);
    input(b, "x", "4");
    input(b, "s", "");
    node(b, "mul", "Mul", "x,s", "scaled");
    attr_int(b, node(b, "sum", "ReduceSum", "scaled", "y"), "keepdims", 0);
    output(b, "y", "");
    output(b, "scaled", "4");
    write_model(b, "scalar.onnx");

    start(b, 17);
    input(b, "x", "0,4");
    node(b, "relu", "Relu", "x", "y");
    output(b, "y", "0,4");
    write_model(b, "empty.onnx");

    start(b, 17);
    input(b, "image", "1,3,12,16");
    conv(b, "conv0", "image", "y", "4,3,3,3");
    output(b, "y", "1,4,12,16");
    write_model(b, "picture.onnx");
}

// One graph in the spelling of each opset: what became an input, what changed its default.
static void opset_net(bench *b, int64_t opset) {
    char name[32];
    start(b, opset);
    conv_head(b);
    Onnx__NodeProto *pad;
    if (opset < 11) {
        pad = node(b, "pad", "Pad", "r0", "p");
        attr_ints(b, pad, "pads", "0,0,1,1,0,0,1,1");
    } else {
        longs(b, "pads", "0,0,1,1,0,0,1,1");
        pad = node(b, "pad", "Pad", "r0,pads", "p");
    }
    for (int i = 0; i < 4; i++) floats(b, (const char *[]){"bn.s", "bn.b", "bn.m", "bn.v"}[i], "8");
    Onnx__TensorProto *var = b->graph->initializer[b->graph->n_initializer - 1];
    for (size_t i = 0; i < 8; i++) ((float *)(void *)var->raw_data.data)[i] += 1.0f;
    node(b, "bn", "BatchNormalization", "p,bn.s,bn.b,bn.m,bn.v", "n");
    if (opset < 13) {
        attr_ints(b, node(b, "unsqueeze", "Unsqueeze", "n", "u"), "axes", "0");
        attr_ints(b, node(b, "squeeze", "Squeeze", "u", "q"), "axes", "0");
    } else {
        longs(b, "zero", "0");
        node(b, "unsqueeze", "Unsqueeze", "n,zero", "u");
        node(b, "squeeze", "Squeeze", "u,zero", "q");
    }
    attr_int(b, node(b, "flat", "Flatten", "q", "f"), "axis", 1);
    node(b, "soft", "Softmax", "f", "y");
    output(b, "y", "1,968");
    snprintf(name, sizeof name, "opset-%02d.onnx", (int)opset);
    write_model(b, name);
}

// ---- inputs

static void tensor_file(bench *b, const char *name, ap_dtype dtype, const int64_t *dims, size_t rank,
                        double lo, double hi) {
    ap_tensor t = {0};
    must(ap_tensor_alloc(dtype, dims, rank, &t));
    must(ap_tensor_random(&t, 7, lo, hi));
    must(ap_npy_write(at(b, name), &t));
    ap_tensor_free(&t);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    bench b = {.dir = argv[1]};
    must(ap_mkdirs(b.dir));
    convnet(&b);
    mlp(&b);
    external(&b);
    refused_net(&b);
    repairable_nets(&b);
    plan_nets(&b);
    plan_tokens_net(&b);
    cosh_net(&b);
    wrong_nets(&b);
    large_mod(&b);
    silu_net(&b, 9, 9, false, "wrong-silu.onnx");
    silu_net(&b, 9, 9, true, "wrong-silu-contrib.onnx");
    silu_net(&b, 16, 9, false, "silu.onnx");
    picks_nets(&b);
    blurred_nets(&b);
    tune_net(&b);
    interfaces(&b);
    static const int64_t opsets[] = {7, 9, 10, 11, 13, 15, 17, 18, 20, 22};
    for (size_t i = 0; i < sizeof opsets / sizeof *opsets; i++) opset_net(&b, opsets[i]);
    state_nets(&b);
    sum_net(&b);
    tensor_file(&b, "x9.npy", AP_F32, (const int64_t[]){1, 3, 9, 9}, 4, -1, 1);
    tensor_file(&b, "x16.npy", AP_F32, (const int64_t[]){1, 16}, 2, -1, 1);
    tensor_file(&b, "batch5.npy", AP_F32, (const int64_t[]){5, 16}, 2, -1, 1);
    tensor_file(&b, "a.npy", AP_F32, (const int64_t[]){6, 4}, 2, -1, 1);
    tensor_file(&b, "i300.npy", AP_I64, (const int64_t[]){1, 300}, 2, 0, 24000);
    tensor_file(&b, "x400.npy", AP_F32, (const int64_t[]){1, 400}, 2, -1, 1);
    tensor_file(&b, "x24000.npy", AP_F32, (const int64_t[]){1, 24000}, 2, -1, 1);
    tensor_file(&b, "tokens.npy", AP_I64, (const int64_t[]){1, 8}, 2, 0, 2);
    tensor_file(&b, "idx.npy", AP_I64, (const int64_t[]){3}, 1, 0, 6);
    ap_arena_release(&b.arena);
    return 0;
}
