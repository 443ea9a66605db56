// SPDX-License-Identifier: Apache-2.0
// The passes `narrow` and `cast`: what becomes int32, what must not, what a Cast may skip.
#include "test_surgery_clean.h"

static ap_dtype dtype_of(const cleaned *r, const char *node) {
    const ap_node *n = ap_graph_node(r->c.model->graph, node);
    assert_non_null(n);
    return (ap_dtype)ap_node_attr_int(n, "to", 0);
}

static Onnx__NodeProto *cast(bench *b, const char *name, const char *in, ap_dtype to, const char *out) {
    Onnx__NodeProto *n = node(b, name, "Cast", in, out);
    attr_int(b, n, "to", (int64_t)to);
    return n;
}

// A comparison becomes an index: cast, scaled, gathered with.
static void indices_are_narrowed(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    input(b, "table", "64,2");
    output(b, "y", "4,2");
    numbers(b, "three", AP_I64, "", "3");
    numbers(b, "zero", AP_F32, "", "0");
    node(b, "less", "Less", "x,zero", "t");
    cast(b, "cast", "t", AP_I64, "i");
    node(b, "mul", "Mul", "i,three", "j");
    node(b, "gather", "Gather", "table,j", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_steps(&r, "steps", "narrow"), 1);
    assert_int_equal(dtype_of(&r, "cast"), AP_I32);
    assert_int_equal(count_op(&r, "Cast"), 1);
    assert_int_equal(count_op(&r, NULL), 4);
    cleaned_free(&r);
}

// Nothing bounds x: a golden run in which it is small proves nothing.
static void unproven_stays(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    input(b, "table", "64,2");
    output(b, "y", "4,2");
    numbers(b, "k", AP_I64, "", "1");
    cast(b, "cast", "x", AP_I64, "i");
    node(b, "add", "Mod", "i,k", "j");
    node(b, "gather", "Gather", "table,j", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(dtype_of(&r, "cast"), AP_I64);
    assert_int_equal(count_steps(&r, "steps", "narrow"), 0);
    cleaned_free(&r);
}

// 3e9 is proven to leave int32.
static void large_stays(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    PUSH(b, b->graph, output, typed(b, "y", AP_BOOL, "4"));
    numbers(b, "k", AP_I64, "", "3000000000");
    numbers(b, "two", AP_I64, "", "2");
    numbers(b, "zero", AP_F32, "", "0");
    node(b, "under", "Less", "x,zero", "s");
    cast(b, "cast", "s", AP_I64, "i");
    node(b, "mul", "Mul", "i,k", "j");
    node(b, "less", "Less", "two,j", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(dtype_of(&r, "cast"), AP_I64);
    cleaned_free(&r);
}

// TopK makes int64 whatever we do: one Cast behind it, none in front of the output, whose type stays.
static void borders(void **state) {
    bench *b = *state;
    input(b, "x", "3,8");
    PUSH(b, b->graph, output, typed(b, "y", AP_I64, "3,2"));
    output(b, "z", "3,2");
    numbers(b, "k", AP_I64, "1", "2");
    numbers(b, "four", AP_I64, "", "4");
    node(b, "topk", "TopK", "x,k", "v,i");
    node(b, "div", "Div", "i,four", "row");
    node(b, "mod", "Mod", "i,four", "column");
    node(b, "sum", "Add", "row,column", "at");
    attr_int(b, node(b, "gather", "GatherElements", "x,at", "z"), "axis", 1);
    node(b, "out", "Mul", "at,four", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_steps(&r, "steps", "narrow"), 1);
    assert_int_equal(count_op(&r, "Cast"), 2); // behind TopK, and to the Mul that makes an output
    assert_int_equal(json_array_size(json_object_get(r.report, "refused")), 0);
    cleaned_free(&r);
}

// An int64 detour between two operators that want int64 is left alone: borders would cost more.
static void not_worth_it(void **state) {
    bench *b = *state;
    input(b, "x", "3,8");
    output(b, "y", NULL);
    numbers(b, "one", AP_I64, "", "1");
    Onnx__NodeProto *arg = node(b, "arg", "ArgMax", "x", "i");
    attr_int(b, arg, "axis", 1);
    attr_int(b, arg, "keepdims", 0);
    node(b, "add", "Add", "i,one", "j");
    numbers(b, "zero", AP_F32, "1", "0");
    node(b, "fill", "Expand", "zero,j", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_steps(&r, "steps", "narrow"), 0);
    cleaned_free(&r);
}

static void constant_indices(void **state) {
    bench *b = *state;
    input(b, "x", "4,2");
    output(b, "y", "3,2");
    numbers(b, "at", AP_I64, "3", "3,-1,0");
    node(b, "gather", "Gather", "x,at", "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_steps(&r, "steps", "narrow"), 1);
    assert_int_equal(r.c.model->proto->graph->initializer[0]->data_type, AP_I32);
    cleaned_free(&r);
}

// 1/2 of whole numbers is 0: an interval of halves would prove too much.
static void division_is_cut_off(void **state) {
    bench *b = *state;
    input(b, "x", "4");
    PUSH(b, b->graph, output, typed(b, "y", AP_BOOL, "4"));
    numbers(b, "two", AP_I64, "", "2");
    numbers(b, "zero", AP_F32, "", "0");
    node(b, "less", "Less", "x,zero", "m");
    cast(b, "cast", "m", AP_I64, "i");
    node(b, "div", "Div", "i,two", "d");
    cast(b, "flag", "d", AP_BOOL, "y");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(dtype_of(&r, "cast"), AP_I32);
    assert_int_equal(json_array_size(json_object_get(r.report, "refused")), 0);
    cleaned_free(&r);
}

// int32 fits into int64 and float64, not into float32; float32 does not fit into float16.
static void casts(void **state) {
    bench *b = *state;
    PUSH(b, b->graph, input, typed(b, "n", AP_I32, "4"));
    input(b, "x", "4");
    PUSH(b, b->graph, output, typed(b, "a", AP_F64, "4"));
    PUSH(b, b->graph, output, typed(b, "b", AP_I64, "4"));
    PUSH(b, b->graph, output, typed(b, "c", AP_F32, "4"));
    cast(b, "a1", "n", AP_I64, "a1");
    cast(b, "a2", "a1", AP_F64, "a");
    cast(b, "b1", "n", AP_F32, "b1");
    cast(b, "b2", "b1", AP_I64, "b");
    cast(b, "c1", "x", AP_F16, "c1");
    cast(b, "c2", "c1", AP_F32, "c");
    cleaned r = clean_with(b, NULL);
    assert_int_equal(count_steps(&r, "steps", "cast"), 1);
    assert_null(ap_graph_node(r.c.model->graph, "a1"));
    assert_non_null(ap_graph_node(r.c.model->graph, "b1"));
    assert_non_null(ap_graph_node(r.c.model->graph, "c1"));
    assert_int_equal(count_op(&r, NULL), 5);
    cleaned_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(indices_are_narrowed), BENCH_TEST(unproven_stays),
        BENCH_TEST(large_stays),          BENCH_TEST(borders),
        BENCH_TEST(not_worth_it),         BENCH_TEST(constant_indices),
        BENCH_TEST(division_is_cut_off),  BENCH_TEST(casts),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ap_engine_close(the_oracle.engine);
    return failed;
}
