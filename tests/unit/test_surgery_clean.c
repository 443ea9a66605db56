// SPDX-License-Identifier: Apache-2.0
// Folding, shape operators, transposes, merging: one small model for each, and what must be left alone.
#include "test_surgery_clean.h"

#define LEFT(b, r, want_steps, want_nodes)                                                                   \
    do {                                                                                                     \
        assert_string_equal(steps_of(b, r), want_steps);                                                     \
        assert_int_equal(count_op(r, NULL), want_nodes);                                                     \
        assert_int_equal(json_array_size(json_object_get((r)->report, "refused")), 0);                       \
    } while (0)

static void constants_fold(void **state) {
    bench *b = *state;
    input(b, "x", "2,4");
    output(b, "y", "2,4");
    numbers(b, "a", AP_F32, "4", "1,2,3,4");
    numbers(b, "c", AP_F32, "4", "5");
    node(b, "n0", "Add", "a,c", "s");
    node(b, "n1", "Sqrt", "s", "q");
    node(b, "n2", "Mul", "x,q", "y");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "constants", 1);
    assert_int_equal(r.c.model->proto->graph->n_initializer, 1);
    cleaned_free(&r);
}

// A constant that is an output keeps a node that makes it; one that is captured is read by the body as it is.
static void constant_outputs(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    output(b, "y", "4");
    output(b, "k", "4");
    numbers(b, "a", AP_F32, "4", "1,2,3,4");
    node(b, "n0", "Neg", "a", "k");
    node(b, "n1", "Add", "x,k", "y");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "constants", 2);
    assert_int_equal(count_op(&r, "Identity"), 1);
    assert_non_null(ap_graph_value(r.c.model->graph, "k"));
    cleaned_free(&r);
}

static void size_limits(void **state) {
    bench *b = *state;
    input(b, "x", "1000");
    output(b, "y", "1000");
    numbers(b, "n", AP_I64, "1", "1000");
    node(b, "big", "ConstantOfShape", "n", "z");
    node(b, "add", "Add", "x,z", "y");
    json_t *small = json_pack("{si}", "max_tensor_bytes", 1000);
    cleaned r = clean_with(b, small);
    LEFT(b, &r, "", 2);
    cleaned_free(&r);
    json_decref(small);
    r = clean_with(b, NULL);
    LEFT(b, &r, "constants", 1);
    cleaned_free(&r);
}

static void shape_chain(void **state) {
    bench *b = *state;
    input(b, "x", "2,3,4");
    output(b, "y", "?,?");
    numbers(b, "i", AP_I64, "1", "0");
    numbers(b, "m", AP_I64, "1", "-1");
    node(b, "shape", "Shape", "x", "s");
    node(b, "gather", "Gather", "s,i", "d");
    attr_int(b, node(b, "cat", "Concat", "d,m", "to"), "axis", 0);
    node(b, "relu", "Relu", "x", "r");
    node(b, "reshape", "Reshape", "r,to", "y");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "shapes", 2);
    cleaned_free(&r);
}

// Positions as exporters write them: a Range up to a size, stretched to another, is a constant once shapes
// are.
static void range_and_expand(void **state) {
    bench *b = *state;
    input(b, "x", "2,5");
    output(b, "y", "?,?");
    numbers(b, "zero", AP_I64, "", "0");
    numbers(b, "one", AP_I64, "", "1");
    node(b, "shape", "Shape", "x", "s");
    attr_int(b, node(b, "len", "Gather", "s,one", "n"), "axis", 0);
    node(b, "range", "Range", "zero,n,one", "r");
    node(b, "expand", "Expand", "r,s", "e");
    attr_int(b, node(b, "cast", "Cast", "e", "f"), "to", 1);
    node(b, "add", "Add", "x,f", "y");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "shapes", 1);
    assert_int_equal(count_op(&r, "Add"), 1);
    assert_int_equal(r.c.model->proto->graph->n_initializer, 1);
    cleaned_free(&r);
}

// The shape of what NonZero finds depends on the data, even if every run of ours gave the same.
static void data_dependent_shape_stays(void **state) {
    bench *b = *state;
    input(b, "x", "2,3");
    PUSH(b, b->graph, output, typed(b, "n", AP_I64, "?"));
    node(b, "exp", "Exp", "x", "e"); // always positive: the test's inputs all give six
    node(b, "nz", "NonZero", "e", "z");
    node(b, "shape", "Shape", "z", "n");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "", 3);
    cleaned_free(&r);
}

static void random_stays(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    PUSH(b, b->graph, output, typed(b, "n", AP_I64, "1"));
    attr_ints(b, node(b, "rnd", "RandomNormal", "", "u"), "shape", "4");
    node(b, "add", "Add", "x,u", "v");
    node(b, "shape", "Shape", "v", "n");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, "RandomNormal"), 1);
    cleaned_free(&r);
}

static void quantized_weights_stay(void **state) {
    bench *b = *state;
    input(b, "x", "2,4");
    output(b, "y", "2,4");
    numbers(b, "w", AP_I8, "4", "1,2,3,4");
    numbers(b, "s", AP_F32, "", "0.5");
    numbers(b, "z", AP_I8, "", "0");
    node(b, "dq", "DequantizeLinear", "w,s,z", "d");
    node(b, "mul", "Mul", "x,d", "y");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "", 2);
    cleaned_free(&r);
}

static void identities(void **state) {
    bench *b = *state;
    input(b, "x", "2,4");
    output(b, "y", "2,4");
    output(b, "same", "2,4"); // an input that is an output needs its Identity
    node(b, "i0", "Identity", "x", "a");
    node(b, "drop", "Dropout", "a", "c");
    attr_int(b, node(b, "cast", "Cast", "c", "d"), "to", AP_F32);
    node(b, "relu", "Relu", "d", "e");
    node(b, "i1", "Identity", "e", "y");
    node(b, "i2", "Identity", "x", "same");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, "Relu"), 1);
    assert_int_equal(count_op(&r, "Identity"), 1);
    assert_int_equal(count_op(&r, NULL), 2);
    cleaned_free(&r);
}

static void training_dropout_stays(void **state) {
    bench *b = *state;
    input(b, "x", "64");
    output(b, "y", "64");
    numbers(b, "ratio", AP_F32, "", "0.0");
    numbers(b, "train", AP_BOOL, "", "1");
    node(b, "drop", "Dropout", "x,ratio,train", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_op(&r, "Dropout"), 1);
    cleaned_free(&r);
}

static void shape_noops(void **state) {
    bench *b = *state;
    input(b, "x", "2,3,4");
    output(b, "y", "2,3,4");
    numbers(b, "same", AP_I64, "3", "2,3,4");
    numbers(b, "ones", AP_I64, "3", "1");
    numbers(b, "from", AP_I64, "1", "0");
    numbers(b, "to", AP_I64, "1", "99");
    numbers(b, "axis", AP_I64, "1", "1");
    numbers(b, "pads", AP_I64, "6", "0");
    node(b, "reshape", "Reshape", "x,same", "a");
    node(b, "expand", "Expand", "a,ones", "c");
    node(b, "slice", "Slice", "c,from,to,axis", "d");
    node(b, "pad", "Pad", "d,pads", "e");
    attr_int(b, node(b, "cat", "Concat", "e", "f"), "axis", 1);
    node(b, "tile", "Tile", "f,ones", "g");
    node(b, "relu", "Relu", "g", "y");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "noop", 1);
    cleaned_free(&r);
}

// Same shape, other elements: a Slice backwards.
static void reversing_slice_stays(void **state) {
    bench *b = *state;
    input(b, "x", "5");
    output(b, "y", "5");
    numbers(b, "from", AP_I64, "1", "4");
    numbers(b, "to", AP_I64, "1", "-99");
    numbers(b, "axis", AP_I64, "1", "0");
    numbers(b, "step", AP_I64, "1", "-1");
    node(b, "slice", "Slice", "x,from,to,axis,step", "y");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "", 1);
    cleaned_free(&r);
}

static void transposes(void **state) {
    bench *b = *state;
    input(b, "x", "2,3,4");
    output(b, "y", "2,3,4");
    output(b, "z", "4,2,3");
    attr_ints(b, node(b, "t0", "Transpose", "x", "a"), "perm", "1,2,0");
    attr_ints(b, node(b, "t1", "Transpose", "a", "c"), "perm", "2,0,1"); // undoes it
    node(b, "relu", "Relu", "c", "y");
    attr_ints(b, node(b, "t2", "Transpose", "a", "d"), "perm", "1,2,0"); // twice round is one the other way
    node(b, "neg", "Neg", "d", "z");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "transpose", 3);
    assert_int_equal(count_op(&r, "Transpose"), 1);
    cleaned_free(&r);
}

static void reshapes(void **state) {
    bench *b = *state;
    input(b, "x", "2,3,4");
    output(b, "y", "6,4");
    output(b, "z", "4,3,2");
    numbers(b, "flat", AP_I64, "1", "-1");
    numbers(b, "to", AP_I64, "2", "6,-1");
    numbers(b, "copy", AP_I64, "3", "0,3,2"); // 0 copies a dim of what comes in: stays
    numbers(b, "four", AP_I64, "3", "4,2,3");
    node(b, "r0", "Reshape", "x,flat", "a");
    node(b, "r1", "Reshape", "a,to", "y");
    node(b, "r2", "Reshape", "x,four", "c");
    node(b, "r3", "Reshape", "c,copy", "z");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "reshape", 3);
    cleaned_free(&r);
}

static void equals_merge(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    output(b, "y", "4");
    numbers(b, "a", AP_F32, "4", "1,2,3,4");
    numbers(b, "a2", AP_F32, "4", "1,2,3,4");
    numbers(b, "a3", AP_F32, "4", "1,2,3,5");
    node(b, "n0", "Add", "x,a", "p");
    node(b, "n1", "Add", "x,a2", "q"); // the same as n0
    node(b, "n2", "Add", "x,a3", "s"); // not
    node(b, "n3", "Mul", "p,q", "t");
    node(b, "n4", "Mul", "t,s", "y");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "merge", 4);
    assert_int_equal(r.c.model->proto->graph->n_initializer, 2);
    cleaned_free(&r);
}

// Both make an output: both names must stay.
static void equal_outputs_stay(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    output(b, "y", "4");
    output(b, "z", "4");
    node(b, "n0", "Relu", "x", "y");
    node(b, "n1", "Relu", "x", "z");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "", 2);
    cleaned_free(&r);
}

static void dead_things_go(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    input(b, "unused", "4"); // the interface stays
    output(b, "y", "4");
    numbers(b, "w", AP_F32, "4", "1");
    node(b, "n0", "Relu", "x", "y");
    node(b, "n1", "Add", "x,w", "nobody");
    node(b, "n2", "Neg", "nobody", "nobody2");
    cleaned r = clean_with(b, NULL);
    LEFT(b, &r, "dead", 1);
    assert_int_equal(r.c.model->graph->input_count, 2);
    assert_int_equal(r.c.model->proto->graph->n_initializer, 0);
    cleaned_free(&r);
}

static void fixed_input(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    PUSH(b, b->graph, input, typed(b, "rate", AP_I64, ""));
    output(b, "y", "4");
    node(b, "float", "Cast", "rate", "f");
    attr_int(b, b->graph->node[0], "to", AP_F32);
    node(b, "mul", "Mul", "x,f", "y");
    json_t *p = json_pack("{s{s{ss,s[],s[i]}}}", "fixed", "rate", "dtype", "int64", "dims", "data", 1);
    ap_surgery_oracle oracle = near_oracle_of();
    ap_clean_options o = {.oracle = &oracle, .params = p};
    ap_model *m = accepted(b);
    cleaned r = {0};
    must(ap_clean(m, &o, &r.c, &r.report));
    // Our inputs are random, so `fix` itself may fail its gate; the rest must hold whatever came of it.
    assert_int_equal(r.c.model->graph->input_count, 2);
    assert_int_equal(count_steps(&r, "steps", "fix") + count_steps(&r, "refused", "fix"), 1);
    cleaned_free(&r);
    ap_model_free(m);
    json_decref(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(constants_fold),   BENCH_TEST(constant_outputs),
        BENCH_TEST(size_limits),      BENCH_TEST(shape_chain),
        BENCH_TEST(range_and_expand), BENCH_TEST(data_dependent_shape_stays),
        BENCH_TEST(random_stays),     BENCH_TEST(quantized_weights_stay),
        BENCH_TEST(identities),       BENCH_TEST(training_dropout_stays),
        BENCH_TEST(shape_noops),      BENCH_TEST(reversing_slice_stays),
        BENCH_TEST(transposes),       BENCH_TEST(reshapes),
        BENCH_TEST(equals_merge),     BENCH_TEST(equal_outputs_stay),
        BENCH_TEST(dead_things_go),   BENCH_TEST(fixed_input),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ap_engine_close(the_oracle.engine);
    return failed;
}
