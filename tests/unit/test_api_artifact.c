// SPDX-License-Identifier: Apache-2.0
// The public interface as a program uses it: deploy, open, read the contract, run, and be told what is wrong.
#include "test_graph_build.h"
#include "test_runtime.h"

#include "aipc/aipc.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static char ort_path[4096], program[4096];

typedef struct told {
    size_t warnings, steps, last_total;
    char text[512];
} told;

static void on_log(void *user, aipc_level level, const char *text) {
    told *t = user;
    t->warnings += level == AIPC_WARN;
    snprintf(t->text, sizeof t->text, "%s", text);
}
static void on_progress(void *user, size_t done, size_t total, const char *text) {
    told *t = user;
    assert_non_null(text);
    assert_true(done <= total);
    t->steps++;
    t->last_total = total;
}

static aipc_context *context(bench *b, told *t) {
    aipc_context_options o = {.size = sizeof o, .cache_dir = at(b, "cache"), .data_dir = test_data_dir()};
    aipc_context *c = NULL;
    if (t) {
        o.log = on_log;
        o.progress = on_progress;
        o.user = t;
    }
    must(aipc_context_open(&o, &c));
    return c;
}

// sum = a + b (2x3 floats), twice = ids + ids (int64 of 4)
static char *model(bench *b) {
    fresh(b);
    input(b, "a", "2,3");
    input(b, "b", "2,3");
    input(b, "ids", "4");
    output(b, "sum", "2,3");
    output(b, "twice", "4");
    b->graph->input[2]->type = tensor_type(b, AP_I64, "4");
    b->graph->output[1]->type = tensor_type(b, AP_I64, "4");
    node(b, "add", "Add", "a,b", "sum");
    node(b, "double", "Add", "ids,ids", "twice");
    return write_model(b, "m.onnx");
}

static char *deploy(bench *b, aipc_context *c) {
    char *document = NULL, *out = at(b, "out");
    aipc_deploy_options o = {.size = sizeof o, .model = model(b), .out_dir = out, .seed = 1};
    must(aipc_deploy(c, &o, &document));
    assert_non_null(strstr(document, "\"verdict\": \"pass\""));
    aipc_free(document);
    return out;
}

static const int64_t dims_f[] = {2, 3}, dims_i[] = {4};
typedef struct feed {
    float a[6], b[6];
    int64_t ids[4];
    aipc_tensor list[3];
} feed;
static void fill(feed *f, float base) {
    for (int i = 0; i < 6; i++) {
        f->a[i] = base + (float)i;
        f->b[i] = 10 * base;
    }
    for (int i = 0; i < 4; i++) f->ids[i] = (int64_t)base * 100 + i;
    f->list[0] = (aipc_tensor){"a", "float32", 2, dims_f, f->a, sizeof f->a};
    f->list[1] = (aipc_tensor){"b", "float32", 2, dims_f, f->b, sizeof f->b};
    f->list[2] = (aipc_tensor){"ids", "int64", 1, dims_i, f->ids, sizeof f->ids};
}
static bool right(const feed *f, const aipc_tensor *out) {
    for (int i = 0; i < 6; i++)
        if (((float *)out[0].data)[i] != f->a[i] + f->b[i]) return false;
    for (int i = 0; i < 4; i++)
        if (((int64_t *)out[1].data)[i] != 2 * f->ids[i]) return false;
    return strcmp(out[0].name, "sum") == 0 && strcmp(out[1].dtype, "int64") == 0 && out[0].rank == 2;
}

static void contract_and_run(void **state) {
    bench *b = *state;
    told t = {0};
    aipc_context *c = context(b, &t);
    aipc_artifact *a = NULL;
    char *out = deploy(b, c);
    assert_int_equal(t.warnings, 3); // three random inputs
    assert_true(t.steps >= 3);
    must(aipc_artifact_open(c, out, NULL, &a));
    assert_int_equal(aipc_artifact_input_count(a), 3);
    assert_int_equal(aipc_artifact_output_count(a), 2);
    const aipc_tensor *in = aipc_artifact_input(a, 2);
    assert_string_equal(in->name, "ids");
    assert_string_equal(in->dtype, "int64");
    assert_int_equal(in->bytes, 32);
    assert_null(in->data);
    assert_null(aipc_artifact_input(a, 3));
    assert_null(aipc_artifact_output(a, 2));
    char *manifest = aipc_artifact_manifest(a);
    assert_non_null(strstr(manifest, "\"contract\""));
    aipc_free(manifest);
    feed f;
    aipc_tensor outs[2];
    fill(&f, 1);
    must(aipc_artifact_run(a, f.list, 3, outs));
    assert_true(right(&f, outs));
    aipc_outputs_free(outs, 2);
    assert_null(outs[0].data);
    aipc_tensor swapped[3] = {f.list[2], f.list[1], f.list[0]}; // matched by name
    must(aipc_artifact_run(a, swapped, 3, outs));
    assert_true(right(&f, outs));
    aipc_outputs_free(outs, 2);
    aipc_artifact_close(a);
    aipc_artifact_close(NULL);
    aipc_context_close(c);
}

static void refuse(aipc_artifact *a, const aipc_tensor *in, size_t count, int exit, const char *key,
                   const char *part) {
    aipc_tensor outs[2] = {{.name = "untouched"}, {0}};
    aipc_error *e = aipc_artifact_run(a, in, count, outs);
    assert_int_equal(aipc_error_exit_code(e), exit);
    assert_string_equal(aipc_error_key(e), key);
    if (!strstr(aipc_error_message(e), part)) fail_msg("%s", aipc_error_message(e));
    assert_string_equal(outs[0].name, "untouched");
    aipc_error_free(e);
}

static void wrong_inputs(void **state) {
    bench *b = *state;
    aipc_context *c = context(b, NULL);
    aipc_artifact *a = NULL;
    must(aipc_artifact_open(c, deploy(b, c), "cpu", &a));
    feed f;
    fill(&f, 1);
    refuse(a, f.list, 2, 4, "input-name", "no value for input 'ids'");
    refuse(a, NULL, 0, 4, "input-name", "no value for input 'a'");
    f.list[1].name = "c";
    refuse(a, f.list, 3, 4, "input-name", "the artifact has no input 'c'");
    f.list[1].name = NULL;
    refuse(a, f.list, 3, 4, "input-name", "(null)");
    fill(&f, 1);
    f.list[2].dtype = "int32";
    refuse(a, f.list, 3, 4, "input-dtype", "input 'ids' is int32, the contract wants int64");
    f.list[2].dtype = NULL;
    refuse(a, f.list, 3, 4, "input-dtype", "is nothing");
    fill(&f, 1);
    f.list[0].dims = (const int64_t[]){3, 2};
    refuse(a, f.list, 3, 4, "input-shape",
           "input 'a' has shape 3x2 (24 bytes), the contract wants 2x3 (24 bytes)");
    fill(&f, 1);
    f.list[0].rank = 1;
    refuse(a, f.list, 3, 4, "input-shape", "input 'a' has shape 2 ");
    fill(&f, 1);
    f.list[0].bytes = 20;
    refuse(a, f.list, 3, 4, "input-shape", "(20 bytes)");
    fill(&f, 1);
    f.list[0].data = NULL;
    refuse(a, f.list, 3, 4, "input-shape", "input 'a' has no data");
    aipc_tensor outs[2];
    fill(&f, 2);
    must(aipc_artifact_run(a, f.list, 3, outs)); // and it still works
    assert_true(right(&f, outs));
    aipc_outputs_free(outs, 2);
    aipc_artifact_close(a);
    aipc_context_close(c);
}

typedef struct runner {
    aipc_artifact *artifact;
    float base;
    size_t good;
} runner;

static void *run_many(void *arg) {
    runner *r = arg;
    for (int i = 0; i < 15; i++) {
        feed f;
        aipc_tensor outs[2];
        fill(&f, r->base + (float)i);
        if (i % 5 == 4) { // an error of one thread is no error of the other
            f.list[0].dtype = "float16";
            aipc_error *e = aipc_artifact_run(r->artifact, f.list, 3, outs);
            r->good += e != NULL;
            aipc_error_free(e);
            continue;
        }
        aipc_error *e = aipc_artifact_run(r->artifact, f.list, 3, outs);
        if (e) {
            aipc_error_free(e);
            continue;
        }
        r->good += right(&f, outs);
        aipc_outputs_free(outs, 2);
    }
    return NULL;
}

static void threads_on_one_handle(void **state) {
    bench *b = *state;
    aipc_context *c = context(b, NULL);
    runner r[3] = {{.base = 1}, {.base = 1000}, {.base = 5000}};
    pthread_t threads[3];
    aipc_artifact *a = NULL;
    must(aipc_artifact_open(c, deploy(b, c), NULL, &a));
    for (int i = 0; i < 3; i++) {
        r[i].artifact = a;
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &r[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(r[i].good, 15);
    }
    aipc_artifact_close(a);
    aipc_context_close(c);
}

static void into_memory_of_the_callers(void **state) {
    bench *b = *state;
    aipc_context *c = context(b, NULL);
    aipc_artifact *a = NULL;
    must(aipc_artifact_open(c, deploy(b, c), NULL, &a));
    feed f;
    fill(&f, 3);
    float sum[6] = {0};
    int64_t twice[4] = {0};
    aipc_tensor outs[2] = {{.name = "sum", .data = sum, .bytes = sizeof sum},
                           {.name = "twice", .dtype = "int64", .data = twice, .bytes = sizeof twice}};
    must(aipc_artifact_run_into(a, f.list, 3, outs, 2));
    assert_true(sum[5] == f.a[5] + f.b[5] && twice[3] == 2 * f.ids[3]);
    // Tensors that lie in the shared memory itself.
    memcpy(aipc_artifact_input_memory(a, 2), (int64_t[]){7, 8, 9, 10}, 32);
    f.list[2].data = aipc_artifact_input_memory(a, 2);
    outs[1].data = aipc_artifact_output_memory(a, 1);
    must(aipc_artifact_run_into(a, f.list, 3, outs, 2));
    assert_memory_equal(aipc_artifact_output_memory(a, 1), ((int64_t[]){14, 16, 18, 20}), 32);
    assert_null(aipc_artifact_input_memory(a, 3));
    assert_null(aipc_artifact_output_memory(a, 2));
    must_fail(aipc_artifact_run_into(a, f.list, 3, outs, 1), AP_ERR_CONTRACT,
              "room for 1 outputs, the contract has 2");
    outs[0].bytes = 8;
    must_fail(aipc_artifact_run_into(a, f.list, 3, outs, 2), AP_ERR_CONTRACT,
              "room for 8 bytes of output 'sum', the contract has 24");
    outs[0].bytes = sizeof sum;
    outs[0].data = NULL;
    must_fail(aipc_artifact_run_into(a, f.list, 3, outs, 2), AP_ERR_CONTRACT,
              "room for 0 bytes of output 'sum'");
    aipc_artifact_close(a);
    aipc_context_close(c);
}

// The child of a fork neither uses its parent's worker nor ends it.
static void forks(void **state) {
    bench *b = *state;
    aipc_context *c = context(b, NULL);
    aipc_artifact *a = NULL;
    char *out = deploy(b, c);
    must(aipc_artifact_open(c, out, NULL, &a));
    feed f;
    aipc_tensor outs[2];
    fill(&f, 2);
    pid_t child = fork();
    if (child == 0) {
        aipc_artifact *own = NULL;
        aipc_error *e = aipc_artifact_run(a, f.list, 3, outs);
        bool refused = e && strcmp(aipc_error_key(e), "busy") == 0;
        aipc_error_free(e);
        aipc_artifact_close(a);
        e = aipc_artifact_open(c, out, NULL, &own);
        bool good = !e && !(e = aipc_artifact_run(own, f.list, 3, outs)) && right(&f, outs);
        aipc_artifact_close(own);
        _exit(refused && good ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    must(aipc_artifact_run(a, f.list, 3, outs));
    assert_true(right(&f, outs));
    aipc_outputs_free(outs, 2);
    aipc_artifact_close(a);
    aipc_context_close(c);
}

static void errors_speak(void **state) {
    bench *b = *state;
    aipc_context *c = context(b, NULL);
    aipc_artifact *a = NULL;
    aipc_error *e = aipc_artifact_open(c, at(b, "nothing here"), NULL, &a);
    assert_int_equal(aipc_error_exit_code(e), 7);
    assert_non_null(aipc_error_hint(e));
    char *document = aipc_error_document(e);
    assert_non_null(strstr(document, "\"code\": \"not-found\""));
    aipc_free(document);
    aipc_error_free(e);
    assert_null(a);
    e = aipc_error_usage("no", "yes");
    assert_int_equal(aipc_error_exit_code(e), 2);
    assert_string_equal(aipc_error_message(e), "no");
    assert_string_equal(aipc_error_hint(e), "yes");
    assert_int_equal(aipc_error_note_count(e), 0);
    aipc_error_free(e);
    assert_int_equal(aipc_error_exit_code(NULL), 0);
    aipc_error_free(NULL);
    aipc_deploy_options o = {.size = sizeof o, .model = at(b, "absent.onnx"), .out_dir = at(b, "o")};
    char *doc = (char *)"set";
    e = aipc_deploy(c, &o, &doc);
    assert_int_equal(aipc_error_exit_code(e), 7);
    assert_null(doc);
    assert_string_equal(aipc_error_stage(e), "baseline");
    aipc_error_free(e);
    aipc_context_close(c);
    aipc_context_close(NULL);
}

static void looking(void **state) {
    bench *b = *state;
    aipc_context *c = context(b, NULL);
    char *doc = NULL;
    must(aipc_inspect(c, model(b), NULL, &doc));
    assert_non_null(strstr(doc, "\"nodes\": 2"));
    aipc_free(doc);
    must(aipc_model_text(at(b, "m.onnx"), &doc));
    assert_non_null(strstr(doc, "Add"));
    aipc_free(doc);
    must(aipc_compare(at(b, "m.onnx"), at(b, "m.onnx"), &doc));
    assert_non_null(strstr(doc, "\"equal\": true"));
    aipc_free(doc);
    must(aipc_targets(&doc));
    assert_non_null(strstr(doc, "SM8650"));
    aipc_free(doc);
    aipc_context_close(c);
}

int main(void) {
    if (!test_runtime_file("onnxruntime", "libonnxruntime.so.1", ort_path))
        return test_skipped("onnxruntime");
    if (!test_program(program)) return puts("skipped: no aipc program in this build") < 0;
    setenv("AIPC_PROGRAM", program, 1);
    const struct CMUnitTest tests[] = {
        BENCH_TEST(contract_and_run),
        BENCH_TEST(wrong_inputs),
        BENCH_TEST(threads_on_one_handle),
        BENCH_TEST(into_memory_of_the_callers),
        BENCH_TEST(forks),
        BENCH_TEST(errors_speak),
        BENCH_TEST(looking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
