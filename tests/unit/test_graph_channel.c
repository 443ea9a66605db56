// SPDX-License-Identifier: Apache-2.0
// Along which axis channels lie, as the graph shows it.
#include "test_graph_build.h"

#include "graph/channel.h"

// Of "y", which has `rank` dims.
static int axis_of_y(bench *b, size_t rank) {
    output(b, "y", NULL);
    ap_model *m = accepted(b);
    int axis = ap_graph_channel_axis(ap_graph_value(m->graph, "y"), rank);
    ap_model_free(m);
    return axis;
}

static void start(bench *b) {
    fresh(b);
    input(b, "x", "1,4,4,4");
    weight(b, "w", AP_F32, "4,4", 64);
    weight(b, "kernel", AP_F32, "4,4,1,1", 64);
    weight(b, "each", AP_F32, "4", 16);
    weight(b, "each_map", AP_F32, "1,4,1,1", 16);
    weight(b, "table", AP_F32, "4,4", 64);
    weight(b, "one", AP_F32, "1", 4);
}

static void of_layers(void **state) {
    bench *b = *state;
    start(b);
    node(b, "n", "Conv", "x,kernel", "y");
    assert_int_equal(axis_of_y(b, 4), 1);
    start(b);
    node(b, "n", "MatMul", "x,w", "y");
    assert_int_equal(axis_of_y(b, 4), 3);
    start(b);
    node(b, "n", "MatMul", "x,x", "y"); // no weights: attention
    assert_int_equal(axis_of_y(b, 4), -1);
    start(b);
    node(b, "n", "LayerNormalization", "x,each", "y");
    assert_int_equal(axis_of_y(b, 4), 3);
    start(b);
    attr_int(b, node(b, "n", "LayerNormalization", "x,each", "y"), "axis", 1); // of three axes together
    assert_int_equal(axis_of_y(b, 4), -1);
    start(b);
    node(b, "n", "Identity", "x", "y"); // an input has none
    assert_int_equal(axis_of_y(b, 4), -1);
    start(b);
    node(b, "n", "Conv", "x,kernel", "y")->domain = dup_text(b, "somebody.else");
    import(b, "somebody.else", 1);
    assert_int_equal(axis_of_y(b, 4), -1);
}

static void of_constants(void **state) {
    bench *b = *state;
    start(b);
    node(b, "n", "Add", "x,each", "y"); // the bias of something unknown
    assert_int_equal(axis_of_y(b, 4), 3);
    start(b);
    node(b, "n", "Mul", "each_map,x", "y");
    assert_int_equal(axis_of_y(b, 4), 1);
    start(b);
    node(b, "n", "Mul", "x,one", "y"); // one number says nothing
    assert_int_equal(axis_of_y(b, 4), -1);
    start(b);
    node(b, "p", "MatMul", "x,w", "h");
    node(b, "n", "Add", "h,table", "y"); // positions: two axes at once
    assert_int_equal(axis_of_y(b, 4), 3);
    start(b);
    node(b, "c", "Conv", "x,kernel", "h");
    node(b, "n", "Mul", "h,each", "y"); // a column's factor
    assert_int_equal(axis_of_y(b, 4), 1);
}

static void through_others(void **state) {
    bench *b = *state;
    start(b);
    node(b, "c", "Conv", "x,kernel", "h");
    node(b, "r", "Sigmoid", "h", "i");
    node(b, "n", "Mul", "h,i", "y");
    assert_int_equal(axis_of_y(b, 4), 1);
    start(b);
    node(b, "c", "Conv", "x,kernel", "h");
    attr_ints(b, node(b, "n", "Transpose", "h", "y"), "perm", "0,2,3,1");
    assert_int_equal(axis_of_y(b, 4), 3);
    start(b);
    node(b, "p", "MatMul", "x,w", "h");
    attr_ints(b, node(b, "n", "Transpose", "h", "y"), "perm", "0,3,1,2");
    assert_int_equal(axis_of_y(b, 4), 1);
    start(b);
    node(b, "p", "MatMul", "x,w", "h");
    node(b, "n", "Softmax", "h", "y"); // one answer a row
    assert_int_equal(axis_of_y(b, 4), -1);
    start(b);
    node(b, "c", "Conv", "x,kernel", "y"); // not of these dims
    assert_int_equal(axis_of_y(b, 1), -1);
}

static void of_quantized(void **state) {
    bench *b = *state;
    start(b);
    weight(b, "w8", AP_I8, "4,4", 16);
    node(b, "d", "DequantizeLinear", "w8,one", "wf");
    node(b, "p", "MatMul", "x,wf", "h");
    node(b, "q", "QuantizeLinear", "h,one", "i");
    node(b, "n", "DequantizeLinear", "i,one", "y");
    assert_int_equal(axis_of_y(b, 4), 3);
}

// Two readers of each value: 2^60 ways to the top.
static void ends(void **state) {
    bench *b = *state;
    char from[16] = "x", to[16];
    start(b);
    for (int i = 0; i < 60; i++) {
        (void)snprintf(to, sizeof to, "v%d", i);
        node(b, to, "Add", ap_arena_printf(&b->arena, "%s,%s", from, from), to);
        (void)snprintf(from, sizeof from, "%s", to);
    }
    node(b, "n", "Relu", from, "y");
    assert_int_equal(axis_of_y(b, 4), -1);
}

static void fills_in_lists(void **state) {
    bench *b = *state;
    start(b);
    node(b, "p", "MatMul", "x,w", "y");
    node(b, "q", "Softmax", "x", "z");
    output(b, "y", NULL);
    output(b, "z", NULL);
    ap_model *m = accepted(b);
    json_t *list = json_pack("[{ss,s[iiii]},{ss,s[iiii]},{ss,s[]}]", "name", "y", "dims", 1, 4, 4, 4, "name",
                             "z", "dims", 1, 4, 4, 4, "name", "gone", "dims");
    ap_graph_channel_axes(m->graph, list);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "channel_axis")), 3);
    for (size_t i = 1; i < 3; i++) assert_null(json_object_get(json_array_get(list, i), "channel_axis"));
    json_decref(list);
    ap_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(of_layers),    BENCH_TEST(of_constants), BENCH_TEST(through_others),
        BENCH_TEST(of_quantized), BENCH_TEST(ends),         BENCH_TEST(fills_in_lists),
    };
    return cmocka_run_group_tests_name("graph channel", tests, NULL, NULL);
}
