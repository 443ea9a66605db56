// SPDX-License-Identifier: Apache-2.0
// Control flow, BatchNormalization, the gate, the record.
#include "test_surgery_clean.h"

#include "surgery/pass/record.h"

// ---- If

// "then" adds a captured value, "else" negates. Both use the same inner names, as exporters do.
static void add_if(bench *b, const char *name, const char *cond, const char *reads, const char *out) {
    Onnx__GraphProto *then_g = new_graph(b, "then"), *else_g = new_graph(b, "else");
    char two[64];
    snprintf(two, sizeof two, "%s,k", reads);
    numbers_in(b, then_g, "k", AP_F32, "4", "10");
    add_node(b, then_g, "op", "Add", two, "inner");
    PUSH(b, then_g, output, info(b, "inner", "4"));
    add_node(b, else_g, "op", "Neg", reads, "inner");
    PUSH(b, else_g, output, info(b, "inner", "4"));
    Onnx__NodeProto *n = node(b, name, "If", cond, out);
    attr_graph(b, n, "then_branch", then_g);
    attr_graph(b, n, "else_branch", else_g);
}

static void if_with_constant(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    output(b, "y", "4");
    numbers(b, "yes", AP_BOOL, "", "1");
    numbers(b, "no", AP_BOOL, "", "0");
    node(b, "relu", "Relu", "x", "r");
    add_if(b, "if0", "yes", "r", "a");
    add_if(b, "if1", "no", "a", "c");
    add_if(b, "if2", "yes", "c", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, "If"), 0);
    assert_int_equal(count_op(&r, "Identity"), 0);
    assert_int_equal(count_op(&r, NULL), 4);
    assert_int_equal(json_array_size(json_object_get(r.report, "refused")), 0);
    cleaned_free(&r);
}

// The condition comes from a shape: `shapes` decides it, then `if` takes it.
static void if_with_shape(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    output(b, "y", "4");
    numbers(b, "four", AP_I64, "", "4");
    node(b, "size", "Size", "x", "n");
    node(b, "eq", "Equal", "n,four", "cond");
    add_if(b, "if0", "cond", "x", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, "If"), 0);
    assert_int_equal(count_op(&r, NULL), 1);
    cleaned_free(&r);
}

static void if_with_data_stays(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    output(b, "y", "4");
    numbers(b, "axes", AP_I64, "1", "0");
    numbers(b, "big", AP_F32, "", "1e9");
    attr_int(b, node(b, "sum", "ReduceSum", "x,axes", "s"), "keepdims", 0);
    node(b, "less", "Less", "s,big", "cond"); // true for every input of ours
    add_if(b, "if0", "cond", "x", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, "If"), 1);
    assert_string_equal(steps_of(b, &r), "");
    cleaned_free(&r);
}

// An If inside a body that is taken, capturing values of the body around it.
static void nested_if(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    output(b, "y", "4");
    numbers(b, "yes", AP_BOOL, "", "1");
    Onnx__GraphProto *main_g = b->graph, *outer = new_graph(b, "outer"), *other = new_graph(b, "other");
    add_node(b, outer, "relu", "Relu", "x", "mid");
    b->graph = outer;
    add_if(b, "inner_if", "yes", "mid", "deep");
    b->graph = main_g;
    PUSH(b, outer, output, info(b, "deep", "4"));
    add_node(b, other, "neg", "Neg", "x", "deep");
    PUSH(b, other, output, info(b, "deep", "4"));
    Onnx__NodeProto *n = node(b, "if0", "If", "yes", "y");
    attr_graph(b, n, "then_branch", outer);
    attr_graph(b, n, "else_branch", other);
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, "If"), 0);
    assert_int_equal(count_op(&r, NULL), 2);
    cleaned_free(&r);
}

// A body that hands on what it captures, an input that is the output at once, the same value twice.
static void if_hands_on(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    output(b, "y", "4");
    output(b, "z", "4");
    numbers(b, "yes", AP_BOOL, "", "1");
    Onnx__GraphProto *t = new_graph(b, "then"), *e = new_graph(b, "else");
    PUSH(b, t, output, info(b, "x", "4"));
    PUSH(b, t, output, info(b, "x", "4"));
    add_node(b, e, "neg", "Neg", "x", "v");
    PUSH(b, e, output, info(b, "v", "4"));
    PUSH(b, e, output, info(b, "v", "4"));
    Onnx__NodeProto *n = node(b, "if0", "If", "yes", "y,z");
    attr_graph(b, n, "then_branch", t);
    attr_graph(b, n, "else_branch", e);
    ap_model *m = NULL;
    ap_err err = parse(b, &m);
    ap_model_free(m);
    if (err) { // a body whose output is a captured value is refused by the reader: nothing to inline
        ap_err_free(err);
        return;
    }
    ap_surgery_oracle oracle = near_oracle_of();
    ap_clean_options o = {.oracle = &oracle};
    cleaned r = {0};
    m = accepted(b);
    err = ap_clean(m, &o, &r.c, &r.report);
    if (!err) assert_int_equal(count_op(&r, "If"), 0);
    ap_err_free(err); // ONNX Runtime may refuse the model itself
    cleaned_free(&r);
    ap_model_free(m);
}

// ---- Loop and Scan

// state' = state * 2 + turn; scanned: state'.
static void add_loop(bench *b, const char *trips, const char *cond, bool data_decides) {
    Onnx__GraphProto *g = new_graph(b, "body");
    PUSH(b, g, input, typed(b, "turn", AP_I64, ""));
    PUSH(b, g, input, typed(b, "go", AP_BOOL, ""));
    PUSH(b, g, input, info(b, "s", "4"));
    numbers_in(b, g, "two", AP_F32, "4", "2");
    attr_int(b, add_node(b, g, "cast", "Cast", "turn", "t"), "to", AP_F32);
    add_node(b, g, "mul", "Mul", "s,two", "d");
    add_node(b, g, "add", "Add", "d,t", "s2");
    add_node(b, g, "copy", "Identity", "s2", "seen");
    if (data_decides) {
        attr_int(b, add_node(b, g, "max", "ReduceMax", "s2", "m"), "keepdims", 0);
        add_node(b, g, "less", "Less", "m,limit", "more");
    } else {
        add_node(b, g, "more", "Identity", "go", "more");
    }
    PUSH(b, g, output, typed(b, "more", AP_BOOL, ""));
    PUSH(b, g, output, info(b, "s2", "4"));
    PUSH(b, g, output, info(b, "seen", "4"));
    char ins[64];
    snprintf(ins, sizeof ins, "%s,%s,x", trips, cond);
    attr_graph(b, node(b, "loop", "Loop", ins, "y,all"), "body", g);
}

static void loop_graph(bench *b, const char *trips, bool data_decides) {
    input(b, "x", "4");
    output(b, "y", "4");
    output(b, "all", "?,4");
    numbers(b, "trips", AP_I64, "", trips);
    numbers(b, "limit", AP_F32, "", "1e9");
    add_loop(b, "trips", "", data_decides);
}

static void loop_unrolls(void **state) {
    bench *b = *state;
    loop_graph(b, "3", false);
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, "Loop"), 0);
    assert_int_equal(count_op(&r, "Mul"), 3);
    assert_int_equal(count_op(&r, "Concat"), 1);
    assert_int_equal(json_array_size(json_object_get(r.report, "refused")), 0);
    cleaned_free(&r);
}

// As many turns as the input is long: known once shapes are. The condition is a constant that lets it go on.
static void loop_of_a_shape(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    output(b, "y", "4");
    output(b, "all", "?,4");
    numbers(b, "first", AP_I64, "", "0");
    numbers(b, "yes", AP_BOOL, "", "1");
    numbers(b, "limit", AP_F32, "", "1e9");
    node(b, "shape", "Shape", "x", "s");
    attr_int(b, node(b, "length", "Gather", "s,first", "n"), "axis", 0);
    add_loop(b, "n", "yes", false);
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, "Loop"), 0);
    assert_int_equal(count_op(&r, "Mul"), 4);
    assert_int_equal(count_op(&r, "Shape"), 0);
    assert_int_equal(json_array_size(json_object_get(r.report, "refused")), 0);
    cleaned_free(&r);
}

static void loop_of_data_stays(void **state) {
    bench *b = *state;
    loop_graph(b, "3", true);
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, "Loop"), 1);
    cleaned_free(&r);
}

static void loop_size_limit(void **state) {
    bench *b = *state;
    loop_graph(b, "3", false);
    json_t *p = json_pack("{si}", "max_unrolled_nodes", 10);
    cleaned r = clean_with(b, p);
    assert_int_equal(count_op(&r, "Loop"), 1);
    cleaned_free(&r);
    json_decref(p);
}

static void scan_graph(bench *b) {
    input(b, "s0", "4");
    input(b, "x", "4,3");
    output(b, "y", "4");
    output(b, "all", "4,3");
    Onnx__GraphProto *g = new_graph(b, "body");
    PUSH(b, g, input, info(b, "s", "4"));
    PUSH(b, g, input, info(b, "e", "4"));
    add_node(b, g, "add", "Add", "s,e", "s2");
    add_node(b, g, "neg", "Neg", "s2", "o");
    PUSH(b, g, output, info(b, "s2", "4"));
    PUSH(b, g, output, info(b, "o", "4"));
    Onnx__NodeProto *n = node(b, "scan", "Scan", "s0,x", "y,all");
    attr_graph(b, n, "body", g);
    attr_int(b, n, "num_scan_inputs", 1);
    attr_ints(b, n, "scan_input_axes", "1");
    attr_ints(b, n, "scan_output_axes", "1");
    attr_ints(b, n, "scan_input_directions", "1");
}

static void scan_unrolls(void **state) {
    bench *b = *state;
    scan_graph(b);
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, "Scan"), 0);
    assert_int_equal(count_op(&r, "Gather"), 3);
    assert_int_equal(json_array_size(json_object_get(r.report, "refused")), 0);
    cleaned_free(&r);
}

static void scan_size_limit(void **state) {
    bench *b = *state;
    scan_graph(b);
    json_t *p = json_pack("{si}", "max_unrolled_nodes", 5);
    cleaned r = clean_with(b, p);
    assert_int_equal(count_op(&r, "Scan"), 1);
    assert_int_equal(json_array_size(json_object_get(r.report, "refused")), 0);
    cleaned_free(&r);
    json_decref(p);
}

// ---- BatchNormalization

static void bn_constants(bench *b, const char *channels) {
    numbers(b, "scale", AP_F32, channels, "0.5,2,-1,3");
    numbers(b, "shift", AP_F32, channels, "0.1,-0.2,0.3,4");
    numbers(b, "mean", AP_F32, channels, "1,-1,0.5,0");
    numbers(b, "var", AP_F32, channels, "4,0.25,1,2");
}

static void batchnorm_into(bench *b, const char *op, const char *weight, const char *in, const char *out,
                           const char *channels, int group, const char *bias) {
    fresh(b);
    input(b, "x", in);
    output(b, "y", out);
    bn_constants(b, channels);
    numbers(b, "w", AP_F32, weight,
            "0.1,-0.2,0.3,0.7,-0.5,0.11,0.13,-0.9,0.21,0.4,0.6,-0.35,0.8,0.05,-0.15,0.25");
    if (bias) numbers(b, "b", AP_F32, bias, "0.4,-0.6,0.2,1");
    Onnx__NodeProto *n = node(b, "layer", op, bias ? "x,w,b" : "x,w", "h");
    if (group > 1) attr_int(b, n, "group", group);
    node(b, "bn", "BatchNormalization", "h,scale,shift,mean,var", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, NULL), 1);
    assert_string_equal(steps_of(b, &r), "batchnorm");
    cleaned_free(&r);
}

static void batchnorm_folds(void **state) {
    bench *b = *state;
    batchnorm_into(b, "Conv", "4,2,1,1", "1,2,3,3", "1,4,3,3", "4", 1, "4");
    batchnorm_into(b, "Conv", "4,1,2,2", "1,2,3,3", "1,4,2,2", "4", 2, NULL);
    batchnorm_into(b, "ConvTranspose", "2,2,2,2", "1,2,3,3", "1,4,4,4", "4", 2, "4");
    batchnorm_into(b, "ConvTranspose", "2,4,1,2", "1,2,3,3", "1,4,3,4", "4", 1, NULL);
    batchnorm_into(b, "Gemm", "3,4", "2,3", "2,4", "4", 1, "1,4");
    batchnorm_into(b, "Gemm", "3,4", "2,3", "2,4", "4", 1, "");
}

// Someone else reads what the layer makes.
static void batchnorm_of_shared_stays(void **state) {
    bench *b = *state;
    input(b, "x", "1,2,3,3");
    output(b, "y", "1,4,3,3");
    output(b, "z", "1,4,3,3");
    bn_constants(b, "4");
    numbers(b, "w", AP_F32, "4,2,1,1", "0.1,-0.2,0.3,0.7,-0.5");
    node(b, "layer", "Conv", "x,w", "h");
    node(b, "bn", "BatchNormalization", "h,scale,shift,mean,var", "y");
    node(b, "relu", "Relu", "h", "z");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, NULL), 3);
    cleaned_free(&r);
}

// Two layers share their weights: each gets its own.
static void batchnorm_of_shared_weights(void **state) {
    bench *b = *state;
    input(b, "x", "1,4,3,3");
    output(b, "y", "1,4,3,3");
    bn_constants(b, "4");
    numbers(b, "w", AP_F32, "4,4,1,1", "0.1,-0.2,0.3,0.7,-0.5");
    node(b, "l0", "Conv", "x,w", "h0");
    node(b, "bn", "BatchNormalization", "h0,scale,shift,mean,var", "h1");
    node(b, "l1", "Conv", "h1,w", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, NULL), 2);
    assert_int_equal(json_array_size(json_object_get(r.report, "refused")), 0);
    cleaned_free(&r);
}

// ---- factors and summands

// Up to three nodes behind a layer of four channels that makes h0; each reads the one before and makes the
// next, the last makes y. k: the shape of the constant.
typedef struct behind {
    const char *op, *ins;
} behind;

static void affine_into(bench *b, const char *op, const char *weight, const char *x, const char *y,
                        const char *k, const behind nodes[3], size_t left) {
    static const char *const names[] = {"n0", "n1", "n2"}, *const values[] = {"h1", "h2", "h3"};
    fresh(b);
    input(b, "x", x);
    output(b, "y", y);
    numbers(b, "w", AP_F32, weight,
            "0.1,-0.2,0.3,0.7,-0.5,0.11,0.13,-0.9,0.21,0.4,0.6,-0.35,0.8,0.05,-0.15,0.25");
    numbers(b, "b", AP_F32, "4", "0.4,-0.6,0.2,1");
    numbers(b, "k", AP_F32, k, "0.5,2,-1.5,3,0.25,0.75,1.25,-4,5,6,7,8");
    numbers(b, "tiny", AP_F32, "", "1e-9");
    numbers(b, "zero", AP_F32, "", "0");
    node(b, "layer", op, "x,w,b", "h0");
    size_t n = 0;
    for (; n < 3 && nodes[n].op; n++)
        node(b, names[n], nodes[n].op, nodes[n].ins, n < 2 && nodes[n + 1].op ? values[n] : "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, NULL), 1 + left);
    assert_int_equal(strstr(steps_of(b, &r), "affine") != NULL, left < n);
    cleaned_free(&r);
}

static void affine_folds(void **state) {
    bench *b = *state;
    const behind line[] = {{"Mul", "k,h0"}, {"Sub", "h1,k"}, {"Div", "h2,k"}};
    const behind sums[] = {{"Add", "h0,k"}, {"Sub", "k,h1"}, {"Add", "k,h2"}};
    affine_into(b, "Conv", "4,2,1,1", "1,2,3,3", "1,4,3,3", "4,1,1", line, 0);
    affine_into(b, "Conv", "4,2,1,1", "1,2,3,3", "1,4,3,3", "1,4,1,1", sums, 0);
    affine_into(b, "Conv", "4,2,2", "1,2,3", "1,4,2", "1", line, 0);
    affine_into(b, "ConvTranspose", "2,4,1,2", "1,2,3,3", "1,4,3,4", "4,1,1", line, 0);
    affine_into(b, "Gemm", "3,4", "2,3", "2,4", "4", line, 0);
    affine_into(b, "Gemm", "3,4", "2,3", "2,4", "1,4", sums, 0);
}

// By position (a row of the picture, a line of the batch), by more channels than there are, by a number that
// leaves nothing of the weights in float16, by none at all.
static void affine_stays(void **state) {
    bench *b = *state;
    affine_into(b, "Conv", "4,2,1,1", "1,2,3,4", "1,4,3,4", "4", (behind[3]){{"Mul", "h0,k"}}, 1);
    affine_into(b, "Gemm", "3,4", "2,3", "2,4", "2,1", (behind[3]){{"Add", "h0,k"}}, 1);
    affine_into(b, "Gemm", "3,4", "2,3", "1,2,4", "1,2,1", (behind[3]){{"Add", "h0,k"}}, 1);
    affine_into(b, "Conv", "4,2,1,1", "1,2,3,3", "1,4,3,3", "", (behind[3]){{"Mul", "h0,tiny"}}, 1);
    affine_into(b, "Conv", "4,2,1,1", "1,2,3,3", "1,4,3,3", "", (behind[3]){{"Div", "h0,zero"}}, 1);
    affine_into(b, "Conv", "4,2,1,1", "1,2,3,3", "1,4,3,3", "", (behind[3]){{"Div", "k,h0"}}, 1);
    affine_into(b, "Conv", "4,2,1,1", "1,2,3,3", "1,4,3,3", "", (behind[3]){{"Mul", "h0,h0"}}, 1);
    affine_into(b, "Conv", "4,2,1,1", "1,2,3,3", "1,4,3,3", "4,1,1",
                (behind[3]){{"Add", "h0,k"}, {"Mul", "h1,tiny"}}, 1);
}

// Channels without a number in them: their count is no size to take memory by.
static void affine_of_nothing(void **state) {
    bench *b = *state;
    input(b, "x", "1,1,3,3");
    output(b, "y", "");
    numbers(b, "w", AP_F32, "1099511627776,1,1,0", "");
    numbers(b, "k", AP_F32, "", "2");
    node(b, "layer", "Conv", "x,w", "h0");
    node(b, "n0", "Mul", "h0,k", "y");
    ap_model *m = accepted(b);
    ap_pass_result r = {0};
    must(ap_pass_affine(m, &(ap_pass_context){0}, &r));
    assert_int_equal(r.changed, 0);
    ap_pass_result_release(&r);
    ap_model_free(m);
}

// ---- the gate

typedef struct liar {
    ap_surgery_oracle honest;
    size_t runs; // of outputs, so far
} liar;

typedef struct bent {
    ap_err (*sink)(void *, const char *, const ap_tensor *);
    void *user;
} bent;
static ap_err bend(void *user, const char *name, const ap_tensor *t) {
    const bent *k = user;
    ap_tensor copy = {0};
    ap_err err = ap_tensor_clone(t, &copy);
    if (!err && copy.bytes) ((uint8_t *)copy.data)[copy.bytes - 1] ^= 1;
    if (!err) err = k->sink(k->user, name, &copy);
    ap_tensor_free(&copy);
    return err;
}
// One exponent wrong wherever constants are asked for: neither the exact passes nor the rounding one may keep
// it.
static ap_err lie(void *user, ap_model *m, size_t set, const char *const *names, size_t count,
                  bool types_only, ap_err (*sink)(void *, const char *, const ap_tensor *), void *sink_user) {
    const liar *l = user;
    bent k = {sink, sink_user};
    if (names && !types_only)
        return l->honest.run(l->honest.user, m, set, names, count, types_only, bend, &k);
    return l->honest.run(l->honest.user, m, set, names, count, types_only, sink, sink_user);
}

static void wrong_pass_is_rolled_back(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    output(b, "y", "4");
    numbers(b, "a", AP_F32, "4", "1,2,3,4");
    node(b, "i", "Identity", "x", "i");
    node(b, "n0", "Neg", "a", "s");
    node(b, "n1", "Mul", "i,s", "y");
    liar l = {.honest = near_oracle_of()};
    ap_surgery_oracle oracle = {.run = lie, .user = &l, .sets = 2};
    ap_clean_options o = {.oracle = &oracle};
    ap_model *m = accepted(b);
    cleaned r = {0};
    must(ap_clean(m, &o, &r.c, &r.report));
    assert_int_equal(count_steps(&r, "refused", "constants"), 1);
    assert_int_equal(count_steps(&r, "refused", "weights"), 1);
    assert_string_equal(steps_of(b, &r), "identity");
    assert_int_equal(count_op(&r, "Neg"), 1);
    cleaned_free(&r);
    ap_model_free(m);
}

// ---- the record

static void replay_is_exact(void **state) {
    bench *b = *state;
    loop_graph(b, "3", false);
    cleaned r = clean_with(b, NULL);
    ap_surgery_oracle oracle = near_oracle_of();
    ap_pass_context c = {.oracle = &oracle};
    ap_cleaned again = {0}, bad = {0};
    ap_model *m = accepted(b);
    json_t *steps = json_object_get(r.report, "steps"), *broken;
    assert_true(json_array_size(steps) > 1);
    must(ap_replay(m, steps, &c, &again));
    assert_string_equal(again.sha256, r.c.sha256);
    static const char *const keys[] = {"version", "changed", "before", "after", "name"};
    static const char *const says[] = {"version", "(changed)", "(before)", "(after)", "no such pass"};
    for (size_t i = 0; i < 5; i++) {
        broken = json_deep_copy(steps);
        json_object_set_new(json_array_get(broken, 1), keys[i],
                            i < 2 ? json_integer(99) : json_string("0000"));
        must_fail(ap_replay(m, broken, &c, &bad), AP_ERR_GATE, says[i]);
        json_decref(broken);
    }
    ap_cleaned_release(&again);
    cleaned_free(&r);
    ap_model_free(m);
}

static void plans_are_checked(void **state) {
    (void)state;
    json_t *plan = NULL;
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"format\":2}",
        "{\"format\":1,\"source\":{},\"shapes\":{},\"params\":{},\"steps\":[]}",
        "{\"format\":1,\"source\":{\"sha256\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"},"
        "\"shapes\":{\"x\":[-1]},\"params\":{},\"steps\":[]}",
        "{\"format\":1,\"source\":{\"sha256\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"},"
        "\"shapes\":{},\"params\":{},\"steps\":[{}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        must_fail(ap_plan_parse(bad[i], strlen(bad[i]), &plan), AP_ERR_CORRUPT, "plan");
    const char *good = "{\"format\":1,\"source\":{\"sha256\":"
                       "\"0000000000000000000000000000000000000000000000000000000000000000\"},"
                       "\"shapes\":{\"x\":[1]},\"params\":{},\"steps\":[]}";
    must(ap_plan_parse(good, strlen(good), &plan));
    char *text = ap_plan_text(plan);
    json_t *again = NULL;
    must(ap_plan_parse(text, strlen(text), &again));
    assert_true(json_equal(plan, again));
    free(text);
    json_decref(plan);
    json_decref(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(if_with_constant),
        BENCH_TEST(if_with_shape),
        BENCH_TEST(if_with_data_stays),
        BENCH_TEST(nested_if),
        BENCH_TEST(if_hands_on),
        BENCH_TEST(loop_unrolls),
        BENCH_TEST(loop_of_a_shape),
        BENCH_TEST(loop_of_data_stays),
        BENCH_TEST(loop_size_limit),
        BENCH_TEST(scan_unrolls),
        BENCH_TEST(scan_size_limit),
        BENCH_TEST(batchnorm_folds),
        BENCH_TEST(batchnorm_of_shared_stays),
        BENCH_TEST(batchnorm_of_shared_weights),
        BENCH_TEST(affine_folds),
        BENCH_TEST(affine_stays),
        BENCH_TEST(affine_of_nothing),
        BENCH_TEST(wrong_pass_is_rolled_back),
        BENCH_TEST(replay_is_exact),
        BENCH_TEST(plans_are_checked),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ap_engine_close(the_oracle.engine);
    return failed;
}
