// SPDX-License-Identifier: Apache-2.0
// A real context binary, built by Qualcomm's library in a worker, read back; and files that are none.
#include "test_graph_build.h"
#include "test_runtime.h"

#include "target/qnn_system.h"
#include "worker/worker.h"

static char ort_path[4096], qnn_system[4096], program[4096];

static char *build_binary(bench *b, int soc) {
    ap_worker *w = NULL;
    json_t *r = NULL, *c = json_pack("{ss,ss,so,si}", "target", "htp", "ort", ort_path, "qnn_dir",
                                     json_string(ap_path_dir(&b->arena, qnn_system)), "soc_model", soc);
    char *dir = at(b, ap_arena_printf(&b->arena, "soc%d", soc));
    must(ap_mkdirs(dir));
    fresh(b);
    input(b, "x", "2,16");
    output(b, "y", "2,4");
    weight(b, "w", AP_F32, "16,4", 256);
    node(b, "mm", "MatMul", "x,w", "h");
    node(b, "relu", "Relu", "h", "y");
    ap_worker_options o = {.program = program, .config = c, .log_path = at(b, "log"), .timeout_s = 60};
    must(ap_worker_start(&o, &w));
    must(ap_worker_call(w, "build",
                        json_pack("{s{ss},ss}", "model", "file", write_model(b, "m.onnx"), "dir", dir), &r));
    assert_null(json_object_get(r, "refusal"));
    ap_worker_stop(w, NULL);
    json_decref(r);
    json_decref(c);
    return ap_path_join(&b->arena, dir, "model_qnn.bin");
}

static void tensor_is(const json_t *list, const char *name, int64_t d0, int64_t d1) {
    const json_t *t = json_array_get(list, 0), *dims = json_object_get(t, "dims");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(ap_json_str(t, "name", ""), name);
    assert_string_equal(ap_json_str(t, "dtype", ""), "float32");
    assert_int_equal(json_integer_value(json_array_get(dims, 0)), d0);
    assert_int_equal(json_integer_value(json_array_get(dims, 1)), d1);
}

static void what_was_built(void **state) {
    bench *b = *state;
    static const int socs[] = {57, 69};
    for (size_t i = 0; i < 2; i++) {
        json_t *r = NULL;
        must(ap_qnn_readback(qnn_system, build_binary(b, socs[i]), &r));
        assert_int_equal(ap_json_int(r, "soc_model", -1), socs[i]);
        assert_int_equal(ap_json_int(r, "backend_id", -1), 6);
        assert_true(strlen(ap_json_str(r, "build_id", "")) > 5);
        const json_t *graphs = json_object_get(r, "graphs");
        assert_int_equal(json_array_size(graphs), 1);
        tensor_is(json_object_get(json_array_get(graphs, 0), "inputs"), "x", 2, 16);
        tensor_is(json_object_get(json_array_get(graphs, 0), "outputs"), "y", 2, 4);
        json_decref(r);
    }
}

static void refuse(bench *b, const void *data, size_t bytes) {
    json_t *r = NULL;
    must(ap_file_write(at(b, "bad.bin"), data, bytes));
    must_fail(ap_qnn_readback(qnn_system, at(b, "bad.bin"), &r), AP_ERR_VENDOR,
              "no context binary, or damaged");
    assert_null(r);
}

static void files_that_are_none(void **state) {
    bench *b = *state;
    ap_buf good = {0};
    json_t *r = NULL;
    must(ap_file_read(build_binary(b, 57), 1 << 28, &good));
    static const size_t lengths[] = {0, 1, 7, 64, 500};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) refuse(b, good.data, lengths[i]);
    refuse(b, good.data, good.len / 2);
    memset(good.data, 0xff, 64);
    refuse(b, good.data, good.len);
    refuse(b, "{\"json\": true}", 14);
    must_fail(ap_qnn_readback(qnn_system, at(b, "absent.bin"), &r), AP_ERR_NOT_FOUND, "absent.bin");
    must_fail(ap_qnn_readback("/nowhere/libQnnSystem.so", at(b, "bad.bin"), &r), AP_ERR_RUNTIME_LOAD, "");
    must_fail(ap_qnn_readback("libm.so.6", at(b, "bad.bin"), &r), AP_ERR_RUNTIME_LOAD,
              "QnnSystemInterface_getProviders");
    assert_null(r);
    ap_buf_free(&good);
}

static void a_binary_for_another_soc(void **state) {
    bench *b = *state;
    char *dir = ap_path_dir(&b->arena, build_binary(b, 57));
    json_t *r = NULL, *c = json_pack("{ss,ss,so,si}", "target", "htp", "ort", ort_path, "qnn_dir",
                                     json_string(ap_path_dir(&b->arena, qnn_system)), "soc_model", 69);
    ap_worker *w = NULL;
    ap_worker_options o = {.program = program, .config = c, .log_path = at(b, "log"), .timeout_s = 60};
    must(ap_worker_start(&o, &w));
    must_fail(ap_worker_call(w, "load", json_pack("{ss}", "dir", dir), &r), AP_ERR_SOC_MISMATCH,
              "was made for soc_model 57, the target is SM8750 (soc_model 69)");
    ap_worker_stop(w, NULL);
    json_object_set_new(c, "soc_model", json_integer(1));
    must_fail(ap_worker_start(&o, &w), AP_ERR_SOC_UNKNOWN, "no SoC with soc_model 1");
    json_decref(c);
}

int main(void) {
    if (!test_runtime_file("onnxruntime", "libonnxruntime.so.1", ort_path))
        return test_skipped("onnxruntime");
    if (!test_runtime_file("onnxruntime-qnn", "libQnnSystem.so", qnn_system))
        return test_skipped("onnxruntime-qnn");
    if (!test_program(program)) return puts("skipped: no aipc program in this build") < 0;
    const struct CMUnitTest tests[] = {
        BENCH_TEST(what_was_built),
        BENCH_TEST(files_that_are_none),
        BENCH_TEST(a_binary_for_another_soc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
