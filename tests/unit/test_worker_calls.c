// SPDX-License-Identifier: Apache-2.0
// A worker with the real ONNX Runtime in it: calls, errors with all they carry, and ends of every kind.
#include "test_graph_build.h"
#include "test_runtime.h"

#include "base/channel.h"
#include "base/cpu.h"
#include "base/proc.h"
#include "tensor/npy.h"
#include "worker/protocol.h"
#include "worker/worker.h"

#include <sched.h>
#include <signal.h>
#include <sys/stat.h>

static char ort_path[4096], program[4096];

static json_t *config(void) {
    return json_pack("{ss,ss}", "target", "cpu", "ort", ort_path);
}

static ap_err start_with(bench *b, json_t *c, ap_worker **out) {
    ap_worker_options o = {.program = program, .config = c, .log_path = at(b, "log"), .timeout_s = 60};
    ap_err err = ap_worker_start(&o, out);
    json_decref(c);
    return err;
}
static ap_worker *start(bench *b) {
    ap_worker *w = NULL;
    must(start_with(b, config(), &w));
    return w;
}

// y = Relu(x), x of 4
static json_t *spec(bench *b) {
    fresh(b);
    input(b, "x", "4");
    output(b, "y", "4");
    node(b, "relu", "Relu", "x", "y");
    return json_pack("{ss}", "file", write_model(b, "m.onnx"));
}
static json_t *x_tensor(bench *b) {
    float x[4] = {-1, 2, -3, 4};
    ap_tensor t = {0};
    must(ap_tensor_view(AP_F32, (const int64_t[]){4}, 1, x, sizeof x, &t));
    must(ap_npy_write(at(b, "x.npy"), &t));
    return json_pack("[{ss,ss,s[i],ss}]", "name", "x", "dtype", "float32", "dims", 4, "file", at(b, "x.npy"));
}

static void build_run_profile_load(void **state) {
    bench *b = *state;
    ap_worker *w = start(b);
    assert_string_equal(ap_json_str(ap_worker_description(w), "ep", ""), "CPUExecutionProvider");
    json_t *r = NULL;
    char *built = at(b, "built"), *ran = at(b, "ran");
    must(ap_mkdirs(built));
    must(ap_mkdirs(ran));
    must(ap_worker_call(w, "build", json_pack("{so,ss}", "model", spec(b), "dir", built), &r));
    assert_int_equal(json_array_size(json_object_get(r, "placement")), 1);
    json_decref(r);
    must(ap_worker_call(w, "run", json_pack("{so,ss}", "inputs", x_tensor(b), "dir", ran), &r));
    const json_t *y = json_array_get(json_object_get(r, "outputs"), 0);
    ap_tensor t = {0};
    must(ap_npy_map(ap_json_str(y, "file", ""), &t));
    assert_memory_equal(t.data, ((float[]){0, 2, 0, 4}), 16);
    ap_tensor_free(&t);
    json_decref(r);
    must(ap_worker_call(w, "profile", json_pack("{so,ss}", "inputs", x_tensor(b), "dir", ran), &r));
    assert_int_equal(json_array_size(json_object_get(r, "layers")), 1);
    json_decref(r);
    uint64_t peak = 0;
    ap_worker_stop(w, &peak);
    assert_true(peak > 1 << 20);
    assert_int_equal(test_child(), 0);
    // A second process loads what the first one built.
    w = start(b);
    must(ap_worker_call(w, "load", json_pack("{ss}", "dir", built), &r));
    assert_string_equal(
        ap_json_str(json_array_get(json_object_get(json_object_get(r, "io"), "inputs"), 0), "name", ""), "x");
    json_decref(r);
    ap_worker_stop(w, NULL);
    ap_worker_stop(NULL, NULL);
}

static void oracle_requests(void **state) {
    bench *b = *state;
    ap_worker *w = start(b);
    json_t *r = NULL;
    must(ap_worker_call(w, "oracle",
                        json_pack("{so,so,s[s,s],ss,sb}", "model", spec(b), "inputs", x_tensor(b), "tensors",
                                  "y", "x", "dir", b->dir, "shapes_only", 1),
                        &r));
    const json_t *y = json_array_get(json_object_get(r, "outputs"), 0);
    assert_string_equal(ap_json_str(y, "name", ""), "y");
    assert_null(json_object_get(y, "file"));
    assert_int_equal(json_integer_value(json_array_get(json_object_get(y, "dims"), 0)), 4);
    json_decref(r);
    ap_worker_stop(w, NULL);
}

static void errors_arrive_whole(void **state) {
    bench *b = *state;
    ap_worker *w = start(b);
    json_t *r = NULL;
    must_fail(ap_worker_call(w, "dance", NULL, &r), AP_ERR_INTERNAL, "target cpu has no request 'dance'");
    must_fail(ap_worker_call(w, "open", config(), &r), AP_ERR_INTERNAL, "already holds target cpu");
    must_fail(ap_worker_call(w, "run", json_object(), &r), AP_ERR_INTERNAL, "run without a loaded model");
    must_fail(ap_worker_call(w, "build", json_object(), &r), AP_ERR_INTERNAL, "dir");
    json_t *s = spec(b);
    json_object_set_new(s, "shapes", json_pack("{s[i]}", "x", 5));
    ap_err err = ap_worker_call(w, "build", json_pack("{so,ss}", "model", s, "dir", b->dir), &r);
    assert_int_equal(ap_err_code(err), AP_ERR_INPUT_SHAPE);
    ap_err_free(err);
    // An unknown operator: code, message, subject and the library's notes cross the channel.
    fresh(b);
    input(b, "x", "4");
    output(b, "y", "4");
    node(b, "n", "Frobnicate", "x", "y");
    char *path = write_model(b, "odd.onnx");
    err = ap_worker_call(
        w, "oracle",
        json_pack("{s{ss},s[],sn,ss}", "model", "file", path, "inputs", "tensors", "dir", b->dir), &r);
    assert_int_equal(ap_err_code(err), AP_ERR_MODEL_OP);
    assert_non_null(strstr(ap_err_message(err), "Frobnicate"));
    assert_non_null(ap_err_get_subject(err));
    ap_err_free(err);
    err = ap_worker_call(w, "load", json_pack("{ss}", "dir", "/nowhere"), &r);
    assert_non_null(err);
    ap_err_free(err);
    assert_null(r);
    // And it goes on.
    must(ap_worker_call(
        w, "oracle",
        json_pack("{so,so,sn,ss}", "model", spec(b), "inputs", x_tensor(b), "tensors", "dir", b->dir), &r));
    json_decref(r);
    ap_worker_stop(w, NULL);
}

static void starts_that_fail(void **state) {
    bench *b = *state;
    ap_worker *w = NULL;
    must_fail(start_with(b, json_pack("{ss,ss}", "target", "gpu", "ort", ort_path), &w),
              AP_ERR_TARGET_UNKNOWN, "gpu");
    must_fail(start_with(b, json_pack("{ss,ss}", "target", "cpu", "ort", "/nowhere.so"), &w),
              AP_ERR_RUNTIME_LOAD, "/nowhere.so");
    must_fail(start_with(b, json_pack("{ss}", "target", "cpu"), &w), AP_ERR_INTERNAL, "ort");
    ap_worker_options o = {.program = "/nowhere/aipc", .log_path = at(b, "log")};
    json_t *c = config();
    o.config = c;
    ap_err err = ap_worker_start(&o, &w);
    assert_non_null(err);
    ap_err_free(err);
    o.program = "/bin/false"; // no worker at all
    must_fail(ap_worker_start(&o, &w), AP_ERR_WORKER_CRASH, "left with status 1 during 'open'");
    json_decref(c);
    assert_null(w);
    assert_int_equal(test_child(), 0);
}

// Another build's: what a worker of before the numbers answers, and what such a library asks.
static void of_another_build(void **state) {
    bench *b = *state;
    ap_worker *w = NULL;
    json_t *c = config(), *reply = NULL;
    int fds[2];
    const char script[] =
        "#!/bin/sh\nprintf 'AIPC\\035\\0\\0\\0{\"ok\":true,\"result\":{\"ep\":1}}' >&3\nread x <&3\n";
    must(ap_file_write(at(b, "old"), script, sizeof script - 1));
    chmod(at(b, "old"), 0755);
    ap_worker_options o = {.program = at(b, "old"), .config = c, .log_path = at(b, "log"), .timeout_s = 60};
    must_fail(ap_worker_start(&o, &w), AP_ERR_RUNTIME_MISSING, "is of another build than this library");
    assert_null(w);

    must(ap_channel_pair(fds));
    const char *argv[] = {program, "worker", "--fd", "3", NULL};
    ap_proc_options po = {
        .argv = argv, .stdout_path = at(b, "log"), .stderr_path = at(b, "log"), .channel_fd = fds[1]};
    ap_proc p = {0};
    ap_exit how = {0};
    ap_buf in = {0};
    must(ap_proc_start(&po, &p));
    ap_fd_close(&fds[1]);
    json_t *open = json_pack("{ss,so}", "op", "open", "args", c);
    must(ap_frame_write(fds[0], open));
    while (!reply) {
        char some[512];
        ssize_t n = read(fds[0], some, sizeof some);
        assert_true(n > 0);
        ap_buf_append(&in, some, (size_t)n);
        must(ap_frame_take(&in, &reply));
    }
    assert_false(ap_json_bool(reply, "ok", true));
    assert_non_null(strstr(ap_json_str(json_object_get(reply, "error"), "message", ""), "of another build"));
    ap_fd_close(&fds[0]);
    ap_proc_kill(&p, &how);
    ap_buf_free(&in);
    json_decref(open);
    json_decref(reply);
}

static void killed_from_outside(void **state) {
    bench *b = *state;
    static const int signals[] = {SIGKILL, SIGSEGV, SIGABRT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        ap_worker *w = start(b);
        json_t *r = NULL;
        kill(test_child(), signals[i]);
        const char *text = ap_arena_printf(&b->arena, "the worker for cpu died of signal %d", signals[i]);
        // With ASan in it the program reports a SIGSEGV itself and exits.
        ap_err err = ap_worker_call(w, "run", json_object(), &r);
        if (signals[i] == SIGKILL)
            must_fail(err, AP_ERR_WORKER_CRASH, text);
        else
            must_fail(err, AP_ERR_WORKER_CRASH, "during 'run'");
        must_fail(ap_worker_call(w, "run", json_object(), &r), AP_ERR_INTERNAL, "the worker for cpu is gone");
        ap_worker_stop(w, NULL);
        assert_int_equal(test_child(), 0);
    }
}

static void stopped_is_hung(void **state) {
    bench *b = *state;
    json_t *c = config(), *r = NULL;
    ap_worker *w = NULL;
    ap_worker_options o = {.program = program, .config = c, .log_path = at(b, "log"), .timeout_s = 1};
    must(ap_worker_start(&o, &w));
    json_decref(c);
    kill(test_child(), SIGSTOP);
    uint64_t before = ap_now_us();
    ap_err err = ap_worker_call(w, "run", json_object(), &r);
    assert_true(ap_now_us() - before < 5000000);
    assert_string_equal(ap_err_get_hint(err), "raise --timeout if the model is large");
    must_fail(err, AP_ERR_WORKER_HANG, "did not answer 'run' within 1 s");
    ap_worker_stop(w, NULL);
    assert_int_equal(test_child(), 0);
}

static void over_its_memory(void **state) {
    bench *b = *state;
    json_t *c = config();
    ap_worker *w = NULL;
    ap_worker_options o = {.program = program,
                           .config = c,
                           .log_path = at(b, "log"),
                           .timeout_s = 30,
                           .memory_limit_bytes = 1 << 20};
    ap_err err = ap_worker_start(&o, &w), late = NULL;
    json_t *r = NULL;
    if (!err) { // opened between two looks: the next request is looked at, too
        kill(test_child(), SIGSTOP);
        late = ap_worker_call(w, "run", json_object(), &r);
    }
    must_fail(err ? err : late, AP_ERR_WORKER_MEMORY, "MiB, the limit is 1 MiB");
    ap_worker_stop(w, NULL);
    json_decref(c);
}

static void on_one_processor(void **state) {
    bench *b = *state;
    size_t last = ap_cpu_count() - 1;
    json_t *c = config();
    json_object_set_new(c, "cpu", json_integer((json_int_t)last));
    ap_worker *w = NULL;
    must(start_with(b, c, &w));
    cpu_set_t set;
    CPU_ZERO(&set);
    assert_int_equal(sched_getaffinity(test_child(), sizeof set, &set), 0);
    assert_int_equal(CPU_COUNT(&set), 1);
    ap_worker_stop(w, NULL);
}

static void the_program_is_found(void **state) {
    bench *b = *state;
    char *found = NULL;
    setenv("AIPC_PROGRAM", program, 1);
    must(ap_worker_program(&b->arena, &found));
    assert_string_equal(found, program);
    setenv("AIPC_PROGRAM", "/nowhere/aipc", 1);
    must_fail(ap_worker_program(&b->arena, &found), AP_ERR_RUNTIME_MISSING,
              "AIPC_PROGRAM is set to '/nowhere/aipc', which is no program");
    setenv("AIPC_PROGRAM", b->dir, 1);
    must_fail(ap_worker_program(&b->arena, &found), AP_ERR_RUNTIME_MISSING, "which is no program");
    unsetenv("AIPC_PROGRAM");
    char *path = ap_strdup(getenv("PATH"));
    setenv("PATH", ap_arena_printf(&b->arena, "/nowhere::%s", b->dir), 1);
    must(ap_file_write(at(b, "aipc"), "#!/bin/sh\n", 10));
    chmod(at(b, "aipc"), 0755);
    must(ap_worker_program(&b->arena, &found));
    assert_string_equal(found, at(b, "aipc"));
    setenv("PATH", "/nowhere", 1);
    must_fail(ap_worker_program(&b->arena, &found), AP_ERR_RUNTIME_MISSING, "cannot find the aipc program");
    setenv("PATH", path, 1);
    free(path);
}

int main(void) {
    if (!test_runtime_file("onnxruntime", "libonnxruntime.so.1", ort_path))
        return test_skipped("onnxruntime");
    if (!test_program(program)) return puts("skipped: no aipc program in this build") < 0;
    const struct CMUnitTest tests[] = {
        BENCH_TEST(build_run_profile_load), BENCH_TEST(oracle_requests),     BENCH_TEST(errors_arrive_whole),
        BENCH_TEST(starts_that_fail),       BENCH_TEST(killed_from_outside), BENCH_TEST(stopped_is_hung),
        BENCH_TEST(over_its_memory),        BENCH_TEST(on_one_processor),    BENCH_TEST(the_program_is_found),
        BENCH_TEST(of_another_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
