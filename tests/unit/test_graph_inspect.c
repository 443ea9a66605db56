// SPDX-License-Identifier: Apache-2.0
// Tensor data, statistics, multiply-accumulates, text form, difference.
#include "test_graph_build.h"

#include "graph/inspect.h"

// ---- data

static void expect_values(bench *b, const Onnx__TensorProto *t, const double *want, size_t count) {
    fresh(b);
    PUSH(b, b->graph, initializer, (Onnx__TensorProto *)(uintptr_t)t);
    ap_model *m = accepted(b);
    ap_tensor v = {0};
    must(ap_model_tensor(m, m->graph->proto->initializer[0], &v));
    assert_int_equal(ap_tensor_count(&v), count);
    for (size_t i = 0; i < count; i++) assert_true(ap_tensor_at(&v, i) == want[i]);
    ap_model_free(m);
}

static void typed_fields(void **state) {
    bench *b = *state;
    Onnx__TensorProto *t = tensor(b, "t", AP_F32, "2");
    PUSH(b, t, float_data, 1.5f);
    PUSH(b, t, float_data, -2.0f);
    expect_values(b, t, (double[]){1.5, -2}, 2);
    t = tensor(b, "t", AP_I8, "3");
    PUSH(b, t, int32_data, -1);
    PUSH(b, t, int32_data, 127);
    PUSH(b, t, int32_data, -128);
    expect_values(b, t, (double[]){-1, 127, -128}, 3);
    t = tensor(b, "t", AP_F16, "1");
    PUSH(b, t, int32_data, 0x3e00);
    expect_values(b, t, (double[]){1.5}, 1);
    t = tensor(b, "t", AP_U32, "1");
    PUSH(b, t, uint64_data, 4000000000u);
    expect_values(b, t, (double[]){4000000000.0}, 1);
    t = tensor(b, "t", AP_I4, "3");
    PUSH(b, t, int32_data, 0xf1); // low nibble first: 1, -1
    PUSH(b, t, int32_data, 0x08);
    expect_values(b, t, (double[]){1, -1, -8}, 3);
    t = tensor(b, "t", AP_BOOL, "2");
    PUSH(b, t, int32_data, 1);
    PUSH(b, t, int32_data, 0);
    expect_values(b, t, (double[]){1, 0}, 2);
    t = tensor(b, "t", AP_I64, "1");
    PUSH(b, t, int64_data, -5);
    expect_values(b, t, (double[]){-5}, 1);
}

static void unaligned_raw_data_is_aligned(void **state) {
    bench *b = *state;
    fresh(b);
    for (int i = 0; i < 8; i++) {
        Onnx__TensorProto *t =
            weight(b, ap_arena_printf(&b->arena, "w%.*s", i, "xxxxxxxx"), AP_F64, "600", 4800);
        t->raw_data.data[7] = 0x40; // 2.0
    }
    ap_model *m = accepted(b);
    for (size_t i = 0; i < 8; i++) {
        ap_tensor v = {0};
        must(ap_model_tensor(m, m->graph->proto->initializer[i], &v));
        assert_int_equal((uintptr_t)v.data % 8, 0);
        assert_true(ap_tensor_at(&v, 0) == 2.0);
    }
    ap_model_free(m);
}

static void tensor_files(void **state) {
    bench *b = *state;
    Onnx__TensorProto *t = tensor(b, "in", AP_F32, "1,2");
    PUSH(b, t, float_data, 3.0f);
    PUSH(b, t, float_data, 4.0f);
    size_t len = onnx__tensor_proto__get_packed_size(t);
    uint8_t *bytes = ap_arena_alloc(&b->arena, len);
    onnx__tensor_proto__pack(t, bytes);
    must(ap_file_write(at(b, "input_0.pb"), bytes, len));
    ap_tensor v = {0};
    must(ap_tensor_load_pb(at(b, "input_0.pb"), &v));
    assert_int_equal(v.rank, 2);
    assert_true(ap_tensor_at(&v, 1) == 4.0);
    ap_tensor_free(&v);
    must(ap_file_write(at(b, "cut.pb"), bytes, len - 1));
    must_fail(ap_tensor_load_pb(at(b, "cut.pb"), &v), AP_ERR_INPUT_FILE, "cut.pb");
    say_external(b, t, "location", "input_0.pb");
    len = onnx__tensor_proto__get_packed_size(t);
    bytes = ap_arena_alloc(&b->arena, len);
    onnx__tensor_proto__pack(t, bytes);
    must(ap_file_write(at(b, "ext.pb"), bytes, len));
    must_fail(ap_tensor_load_pb(at(b, "ext.pb"), &v), AP_ERR_INPUT_FILE, "no folder");
}

// ---- multiply-accumulates

static int64_t macs_of(bench *b, const char *op, const char *ins, const ap_shape_source *s) {
    Onnx__NodeProto *n = node(b, "n", op, ins, "out");
    if (!strcmp(op, "Einsum")) {
        Onnx__AttributeProto *at = attr(b, n, "equation", ONNX__ATTRIBUTE_PROTO__KIND__STRING);
        static char equation[] = "bij, bjk -> bik";
        at->has_s = 1;
        at->s = (ProtobufCBinaryData){strlen(equation), (uint8_t *)equation};
    }
    if (!strcmp(op, "Gemm")) attr_int(b, n, "transA", 1);
    ap_model *m = accepted(b);
    int64_t macs = ap_node_macs(m->graph->nodes[0], s);
    ap_model_free(m);
    b->graph->n_node = 0;
    return macs;
}

static bool says_2x8(void *user, const char *value, ap_value_type *out) {
    (void)user;
    (void)value;
    *out = (ap_value_type){AP_F32, 2, {2, 8}};
    return true;
}

static void counts_multiplications(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "1,3,8,8");
    inner(b, "out", "1,16,4,4");
    weight(b, "w", AP_U8, "16,3,3,3", 432);
    assert_int_equal(macs_of(b, "Conv", "x,w", NULL), 16 * 4 * 4 * 27);
    assert_int_equal(macs_of(b, "Relu", "x", NULL), 0);
    input(b, "g", "4,2");
    input(b, "h", "4,8");
    input(b, "open", "?,4");
    b->graph->value_info[0] = info(b, "out", "2,8");
    assert_int_equal(macs_of(b, "Gemm", "g,h", NULL), 2 * 8 * 4); // g is transposed
    assert_int_equal(macs_of(b, "MatMul", "open,h", NULL), -1);
    assert_int_equal(macs_of(b, "MatMul", "g,h", NULL), 2 * 8 * 2);
    input(b, "p", "5,2,3");
    input(b, "q", "5,3,7");
    assert_int_equal(macs_of(b, "Einsum", "p,q", NULL), 5 * 2 * 3 * 7);
    b->graph->n_value_info = 0;
    assert_int_equal(macs_of(b, "MatMul", "g,h", NULL), -1);
    const ap_shape_source s = {says_2x8, NULL};
    assert_int_equal(macs_of(b, "MatMul", "g,h", &s), 2 * 8 * 2);
    weight(b, "t", AP_U8, "3,16,2,2", 192);
    assert_int_equal(macs_of(b, "ConvTranspose", "x,t", NULL), 3 * 64 * 16 * 4);
}

static void huge_shapes_do_not_overflow(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "p", "3037000499,3037000499");
    inner(b, "out", "3037000499,3037000499");
    assert_int_equal(macs_of(b, "MatMul", "p,p", NULL), -1);
}

// ---- statistics

static void statistics(void **state) {
    bench *b = *state;
    chain(b);
    node(b, "g", "Gelu", "y", "q")->domain = dup_text(b, "com.microsoft");
    import(b, "com.microsoft", 1);
    b->model->producer_name = dup_text(b, "py\033torch");
    ap_model *m = NULL;
    must(ap_model_load(write_model(b, "s.onnx"), &m));
    json_t *j = NULL;
    must(ap_model_stats(m, NULL, &j));
    assert_int_equal(ap_json_int(j, "nodes", 0), 3);
    assert_int_equal(ap_json_int(j, "parameters", 0), 4);
    assert_int_equal(ap_json_int(j, "parameter_bytes", 0), 16);
    assert_int_equal(ap_json_int(j, "macs", -1), 0);
    assert_int_equal(ap_json_int(json_object_get(j, "ops"), "com.microsoft.Gelu", 0), 1);
    assert_int_equal(ap_json_int(json_object_get(j, "opsets"), "ai.onnx", 0), 17);
    assert_int_equal(ap_json_int(json_object_get(j, "dtypes"), "float32", 0), 4);
    assert_string_equal(json_string_value(json_array_get(json_object_get(j, "symbols"), 0)), "n");
    const json_t *in = json_array_get(json_object_get(j, "inputs"), 0);
    assert_string_equal(ap_json_str(in, "dtype", ""), "float32");
    assert_string_equal(json_string_value(json_array_get(json_object_get(in, "dims"), 0)), "n");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(in, "dims"), 1)), 4);
    assert_int_equal(strlen(ap_json_str(j, "sha256", "")), 64);
    json_decref(j);
    ap_model_free(m);
}

static void text_form(void **state) {
    bench *b = *state;
    chain(b);
    Onnx__NodeProto *n = node(b, "e\033[31mvil", "Clip", "y,,w", "c");
    attr_int(b, n, "k", 3);
    Onnx__AttributeProto *a = attr(b, n, "pads", ONNX__ATTRIBUTE_PROTO__KIND__INTS);
    PUSH(b, a, ints, 1);
    PUSH(b, a, ints, 2);
    ap_model *m = accepted(b);
    ap_buf text = {0};
    ap_model_print(m, &text);
    assert_string_equal(ap_buf_str(&text),
                        "graph g(%x:float32[nx4]) -> (%y:float32[nx4])\n"
                        "  %sum:float32[nx4] = Add(%x, %w:float32[4]) # add\n"
                        "  %y:float32[nx4] = Relu(%sum) # relu\n"
                        "  %c = Clip(%y, _, %w:float32[4]) {k=3, pads=[1,2]} # e?[31mvil\n");
    ap_buf_free(&text);
    ap_model_free(m);
}

// ---- difference

static char *difference(bench *b, ap_model *x, ap_model *y) {
    json_t *j = NULL;
    must(ap_model_diff(x, y, &j));
    char *text = ap_json_text(j, false), *kept = dup_text(b, text);
    free(text);
    json_decref(j);
    return kept;
}

static void differences(void **state) {
    bench *b = *state;
    chain(b);
    ap_model *x = accepted(b), *y = accepted(b);
    assert_non_null(strstr(difference(b, x, y), "\"equal\":true"));
    ap_model_free(y);
    chain(b);
    b->graph->node[1]->op_type = dup_text(b, "Clip");
    attr_int(b, b->graph->node[1], "k", 3);
    b->graph->initializer[0]->raw_data.data[0] = 1;
    b->graph->input[0] = info(b, "x", "2,4");
    node(b, "more", "Relu", "y", "z");
    output(b, "z", NULL);
    y = accepted(b);
    char *text = difference(b, x, y);
    assert_non_null(strstr(text, "\"equal\":false"));
    assert_non_null(strstr(text, "\"what\":[\"op\",\"attribute k\"]"));
    assert_non_null(strstr(text, "\"what\":[\"data\"]"));
    assert_non_null(strstr(text, "\"what\":[\"float32[nx4]\",\"float32[2x4]\"]"));
    assert_non_null(strstr(text, "{\"kind\":\"node\",\"name\":\"more\",\"op\":\"Relu\"}"));
    assert_non_null(strstr(text, "{\"kind\":\"output\",\"name\":\"z\"}"));
    assert_non_null(strstr(text, "\"removed\":[]"));
    assert_non_null(strstr(difference(b, y, x), "\"added\":[]"));
    ap_model_free(x);
    ap_model_free(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(typed_fields),
        BENCH_TEST(unaligned_raw_data_is_aligned),
        BENCH_TEST(tensor_files),
        BENCH_TEST(counts_multiplications),
        BENCH_TEST(huge_shapes_do_not_overflow),
        BENCH_TEST(statistics),
        BENCH_TEST(text_form),
        BENCH_TEST(differences),
    };
    return cmocka_run_group_tests_name("graph inspect", tests, NULL, NULL);
}
