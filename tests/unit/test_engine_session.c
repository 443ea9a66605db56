// SPDX-License-Identifier: Apache-2.0
// engine: sessions on the real ONNX Runtime: what they read, refuse, compute and tell.
#include "test_graph_build.h"
#include "test_runtime.h"

#include "engine/engine.h"

#define UNUSED_LIBRARY "libm.so.6"

static char ort_path[4096];
static ap_engine *engine;

static int open_engine(void **state) {
    (void)state;
    ap_err err = ap_engine_open(ort_path, &engine);
    if (err) print_error("%s\n", ap_err_message(err));
    return err ? -1 : 0;
}
static int close_engine(void **state) {
    (void)state;
    ap_engine_close(engine);
    return 0;
}

static ap_session *open_model(bench *b, const ap_session_options *o) {
    static const ap_session_options none = {.optimization = ORT_DISABLE_ALL};
    size_t len;
    const uint8_t *bytes = packed(b, &len);
    ap_session *s = NULL;
    must(ap_session_open(engine, "test", bytes, len, o ? o : &none, &s));
    return s;
}

static ap_named_tensor floats(const char *name, float *values, const int64_t *dims, size_t rank) {
    ap_named_tensor t = {.name = name};
    size_t bytes = 0;
    must(ap_shape_bytes(AP_F32, dims, rank, &bytes));
    must(ap_tensor_view(AP_F32, dims, rank, bytes ? values : NULL, bytes, &t.t));
    return t;
}

// y = Relu(x + w) with w = 1, -1, 2, -2
static void add_relu(bench *b) {
    static float w[] = {1, -1, 2, -2};
    chain(b);
    set_raw(b->graph->initializer[0], w, sizeof w);
}

static void libraries(void **state) {
    (void)state;
    ap_engine *e = NULL;
    must_fail(ap_engine_open("/nowhere/libonnxruntime.so", &e), AP_ERR_RUNTIME_LOAD,
              "/nowhere/libonnxruntime.so");
    must_fail(ap_engine_open(UNUSED_LIBRARY, &e), AP_ERR_RUNTIME_LOAD, "this is no ONNX Runtime library");
    assert_null(e);
    must_fail(ap_engine_add_plugin(engine, "Nope", "/nowhere/libplugin.so"), AP_ERR_RUNTIME_LOAD,
              "execution provider");
    assert_true(strncmp(ap_engine_version(engine), "1.", 2) == 0);
    ap_engine_close(NULL);
    ap_session_close(NULL);
}

static void from_bytes_and_from_a_file(void **state) {
    bench *b = *state;
    add_relu(b);
    ap_session *s = open_model(b, NULL), *f = NULL;
    assert_int_equal(s->input_count, 1);
    assert_string_equal(s->inputs[0].name, "x");
    assert_int_equal(s->inputs[0].dtype, AP_F32);
    assert_int_equal(s->inputs[0].rank, 2);
    assert_int_equal(s->inputs[0].dims[0], -1);
    assert_int_equal(s->inputs[0].dims[1], 4);
    ap_session_options o = {.optimization = ORT_ENABLE_ALL, .threads = 1};
    must(ap_session_open(engine, write_model(b, "m.onnx"), NULL, 0, &o, &f));
    float x[8] = {0, 0, 0, 0, -5, 5, -1, 3}, want[8] = {1, 0, 2, 0, 0, 4, 1, 1};
    ap_named_tensor in = floats("x", x, (const int64_t[]){2, 4}, 2);
    ap_session *both[] = {s, f};
    for (int i = 0; i < 2; i++) {
        ap_run_result r = {0};
        must(ap_session_run(both[i], &in, 1, NULL, 0, &r));
        assert_int_equal(r.count, 1);
        assert_string_equal(r.tensors[0].name, "y");
        assert_int_equal(r.tensors[0].t.rank, 2);
        assert_int_equal(r.tensors[0].t.dims[0], 2);
        assert_memory_equal(r.tensors[0].t.data, want, sizeof want);
        ap_run_result_free(&r);
        ap_run_result_free(&r);
    }
    ap_session_close(s);
    ap_session_close(f);
}

static void zero_size_and_scalars(void **state) {
    bench *b = *state;
    add_relu(b);
    ap_session *s = open_model(b, NULL);
    ap_run_result r = {0};
    ap_named_tensor in = floats("x", NULL, (const int64_t[]){0, 4}, 2);
    must(ap_session_run(s, &in, 1, NULL, 0, &r));
    assert_int_equal(r.tensors[0].t.bytes, 0);
    assert_int_equal(r.tensors[0].t.dims[0], 0);
    ap_run_result_free(&r);
    ap_session_close(s);
    fresh(b);
    input(b, "x", "");
    output(b, "y", "");
    node(b, "neg", "Neg", "x", "y");
    s = open_model(b, NULL);
    float one = 1;
    in = floats("x", &one, NULL, 0);
    must(ap_session_run(s, &in, 1, NULL, 0, &r));
    assert_int_equal(r.tensors[0].t.rank, 0);
    assert_true(*(float *)r.tensors[0].t.data == -1);
    ap_run_result_free(&r);
    ap_session_close(s);
}

static void wrong_inputs(void **state) {
    bench *b = *state;
    add_relu(b);
    ap_session *s = open_model(b, NULL);
    ap_run_result r = {0};
    float x[8] = {0};
    ap_named_tensor good = floats("x", x, (const int64_t[]){1, 4}, 2), t = good;
    must_fail(ap_session_run(s, NULL, 0, NULL, 0, &r), AP_ERR_INPUT_NAME, "no value for input 'x'");
    t.name = "z";
    must_fail(ap_session_run(s, &t, 1, NULL, 0, &r), AP_ERR_INPUT_NAME, "the model has no input 'z'");
    t = floats("x", x, (const int64_t[]){2, 3}, 2);
    must_fail(ap_session_run(s, &t, 1, NULL, 0, &r), AP_ERR_INPUT_SHAPE,
              "input 'x' has shape 2x3, the model wants");
    t = floats("x", x, (const int64_t[]){4}, 1);
    must_fail(ap_session_run(s, &t, 1, NULL, 0, &r), AP_ERR_INPUT_SHAPE, "has shape 4,");
    t = good;
    t.t.dtype = AP_I32;
    must_fail(ap_session_run(s, &t, 1, NULL, 0, &r), AP_ERR_INPUT_DTYPE,
              "input 'x' is int32, the model wants float32");
    must_fail(ap_session_run(s, &good, 1, (const char *const[]){"w"}, 1, &r), AP_ERR_INTERNAL,
              "no output 'w'");
    assert_null(r.values);
    must(ap_session_run(s, &good, 1, (const char *const[]){"y"}, 1, &r)); // it still works
    ap_run_result_free(&r);
    ap_session_close(s);
}

static void refuse(bench *b, ap_code code, const char *part) {
    size_t len;
    const uint8_t *bytes = packed(b, &len);
    ap_session_options o = {.optimization = ORT_DISABLE_ALL};
    ap_session *s = NULL;
    must_fail(ap_session_open(engine, "the model", bytes, len, &o, &s), code, part);
    assert_null(s);
}

static void models_it_cannot_load(void **state) {
    bench *b = *state;
    add_relu(b);
    b->graph->node[0]->op_type = dup_text(b, "Frobnicate");
    refuse(b, AP_ERR_MODEL_OP, "Frobnicate");
    add_relu(b);
    b->graph->node[0]->domain = dup_text(b, "com.nowhere");
    import(b, "com.nowhere", 1);
    refuse(b, AP_ERR_MODEL_OP, "");
    add_relu(b);
    attr_int(b, b->graph->node[0], "nonsense", 1);
    refuse(b, AP_ERR_MODEL_INVALID, "nonsense");
    add_relu(b);
    b->graph->initializer[0]->dims[0] = 3; // three of four: Add does not fit
    set_raw(b->graph->initializer[0], (float[]){1, 2, 3}, 12);
    refuse(b, AP_ERR_MODEL_INVALID, "");
    add_relu(b);
    size_t len;
    const uint8_t *bytes = packed(b, &len);
    ap_session_options o = {.optimization = ORT_DISABLE_ALL};
    ap_session *s = NULL;
    must_fail(ap_session_open(engine, "half", bytes, len / 2, &o, &s), AP_ERR_MODEL_PARSE, "");
    must_fail(ap_session_open(engine, at(b, "absent.onnx"), NULL, 0, &o, &s), AP_ERR_MODEL_INVALID,
              "absent.onnx");
    o.ep = "NoSuchProvider";
    must_fail(ap_session_open(engine, "m", bytes, len, &o, &s), AP_ERR_RUNTIME_LOAD, "offers no device");
}

static void errors_carry_the_log(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "4");
    input(b, "to", "2");
    b->graph->input[1]->type = tensor_type(b, AP_I64, "2");
    output(b, "y", "?,?");
    node(b, "reshape", "Reshape", "x,to", "y");
    ap_session *s = open_model(b, NULL);
    float x[4] = {0};
    int64_t to[2] = {3, 3};
    ap_named_tensor in[2] = {floats("x", x, (const int64_t[]){4}, 1), {.name = "to"}};
    must(ap_tensor_view(AP_I64, (const int64_t[]){2}, 1, to, sizeof to, &in[1].t));
    ap_run_result r = {0};
    ap_engine_log_reset(engine);
    ap_err err = ap_session_run(s, in, 2, NULL, 0, &r);
    assert_true(ap_err_notes(err) >= 1);
    assert_non_null(strstr(ap_err_get_note(err, 0), "vendor error: "));
    must_fail(err, AP_ERR_VENDOR, "running the model");
    assert_true(engine->log.count >= 1);
    ap_engine_log_reset(engine);
    assert_int_equal(engine->log.count, 0);
    ap_session_close(s);
}

static void symbols_are_overridden(void **state) {
    bench *b = *state;
    add_relu(b);
    ap_symbol_size size = {"n", 3};
    ap_session_options o = {.optimization = ORT_DISABLE_ALL, .symbols = &size, .symbol_count = 1};
    ap_session *s = open_model(b, &o);
    assert_int_equal(s->inputs[0].dims[0], 3);
    ap_session_close(s);
}

static void placement_names_every_node(void **state) {
    bench *b = *state;
    add_relu(b);
    b->graph->node[0]->name = b->graph->node[1]->name = dup_text(b, "");
    ap_model *m = accepted(b);
    ap_buf bytes = {0};
    ap_session *s = NULL;
    json_t *list = NULL;
    must(ap_model_bytes(m, &bytes)); // nodes get names here
    ap_session_options o = {.optimization = ORT_DISABLE_ALL, .record_placement = true};
    must(ap_session_open(engine, "m", bytes.data, bytes.len, &o, &s));
    must(ap_session_placement(s, &list));
    assert_int_equal(json_array_size(list), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *n = json_array_get(list, i);
        assert_non_null(ap_graph_node(m->graph, ap_json_str(n, "name", "")));
        assert_string_equal(ap_json_str(n, "ep", ""), "CPUExecutionProvider");
        assert_true(*ap_json_str(n, "op", "") != '\0');
    }
    json_decref(list);
    ap_session_close(s);
    ap_buf_free(&bytes);
    ap_model_free(m);
}

static void external_weights(void **state) {
    bench *b = *state;
    add_relu(b);
    ap_model *m = accepted(b), *moved = NULL;
    must(ap_model_save(m, at(b, "e.onnx"),
                       &(ap_save_options){.external_name = "w.bin", .external_min_bytes = 1}));
    must(ap_model_load(at(b, "e.onnx"), &moved));
    ap_buf bytes = {0};
    must(ap_model_bytes(moved, &bytes));
    ap_session_options o = {.optimization = ORT_DISABLE_ALL, .external_dir = b->dir};
    ap_session *s = NULL;
    ap_run_result r = {0};
    must(ap_session_open(engine, "e", bytes.data, bytes.len, &o, &s));
    float x[4] = {0};
    ap_named_tensor in = floats("x", x, (const int64_t[]){1, 4}, 2);
    must(ap_session_run(s, &in, 1, NULL, 0, &r));
    assert_true(((float *)r.tensors[0].t.data)[2] == 2);
    ap_run_result_free(&r);
    ap_session_close(s);
    ap_buf_free(&bytes);
    ap_model_free(moved);
    ap_model_free(m);
}

static void values_that_are_no_tensors(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "2");
    PUSH(b, b->graph, output, info(b, "seq", NULL));
    node(b, "s", "SequenceConstruct", "x,x", "seq");
    MAKE(b, type, Onnx__TypeProto, onnx__type_proto__init);
    MAKE(b, seq, Onnx__TypeProto__Sequence, onnx__type_proto__sequence__init);
    type->value_case = ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE;
    type->sequence_type = seq;
    seq->elem_type = tensor_type(b, AP_F32, "2");
    b->graph->output[0]->type = type;
    ap_session *s = open_model(b, NULL);
    assert_int_equal(s->outputs[0].dtype, AP_DTYPE_NONE);
    float x[2] = {1, 2};
    ap_named_tensor in = floats("x", x, (const int64_t[]){2}, 1);
    ap_run_result r = {0};
    must(ap_session_run(s, &in, 1, NULL, 0, &r));
    assert_int_equal(r.tensors[0].t.dtype, AP_DTYPE_NONE);
    ap_run_result_free(&r);
    ap_session_close(s);
}

static void a_profile_is_a_file(void **state) {
    bench *b = *state;
    add_relu(b);
    ap_session_options o = {.optimization = ORT_DISABLE_ALL, .profile_prefix = at(b, "prof")};
    ap_session *s = open_model(b, &o);
    char *path = NULL;
    must(ap_session_end_profile(s, &path));
    assert_true(strncmp(path, at(b, "prof"), strlen(at(b, "prof"))) == 0);
    assert_true(ap_file_exists(path));
    free(path);
    ap_session_close(s);
}

int main(void) {
    if (!test_runtime_file("onnxruntime", "libonnxruntime.so.1", ort_path))
        return test_skipped("onnxruntime");
    const struct CMUnitTest tests[] = {
        BENCH_TEST(libraries),
        BENCH_TEST(from_bytes_and_from_a_file),
        BENCH_TEST(zero_size_and_scalars),
        BENCH_TEST(wrong_inputs),
        BENCH_TEST(models_it_cannot_load),
        BENCH_TEST(errors_carry_the_log),
        BENCH_TEST(symbols_are_overridden),
        BENCH_TEST(placement_names_every_node),
        BENCH_TEST(external_weights),
        BENCH_TEST(values_that_are_no_tensors),
        BENCH_TEST(a_profile_is_a_file),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
