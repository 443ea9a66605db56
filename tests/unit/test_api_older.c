// SPDX-License-Identifier: Apache-2.0
// Programs built against an older header hand in shorter structs: what lies behind their end is not read.
#include "test_graph_build.h"
#include "test_runtime.h"

#include "aipc/aipc.h"
#include "plan/recording/recording.h"
#include "tensor/npy.h"

static char ort_path[4096], program[4096];

static void on_log(void *user, aipc_level level, const char *text) {
    (void)level;
    ((char *)user)[0] = text[0];
}

static aipc_context *context(bench *b) {
    aipc_context_options o = {.size = offsetof(aipc_context_options, log),
                              .cache_dir = at(b, "cache"),
                              .data_dir = test_data_dir(),
                              .log = on_log}; // not taken: without a user it would crash
    aipc_context *c = NULL;
    must(aipc_context_open(&o, &c));
    return c;
}

// The first `size` bytes of the options in a block that ends there.
static char *deploy(aipc_context *c, const aipc_deploy_options *o, size_t size) {
    aipc_deploy_options given = *o;
    void *block = malloc(size);
    char *document = NULL;
    assert_non_null(block);
    given.size = size;
    memcpy(block, &given, size);
    must(aipc_deploy(c, block, &document));
    free(block);
    return document;
}

// y = relu(x), x of any batch.
static char *model(bench *b, const char *batch) {
    fresh(b);
    input(b, "x", batch);
    output(b, "y", batch);
    node(b, "relu", "Relu", "x", "y");
    return write_model(b, "m.onnx");
}

static void deploy_a_model(void **state) {
    bench *b = *state;
    aipc_context *c = context(b);
    const aipc_deploy_options o = {.model = model(b, "2"), .out_dir = at(b, "out")};
    char *document = deploy(c, &o, offsetof(aipc_deploy_options, timeout_s));
    assert_non_null(strstr(document, "\"verdict\": \"pass\""));
    aipc_free(document);
    // What the caller has behind the size it names is not taken either.
    aipc_deploy_options more = o;
    more.size = offsetof(aipc_deploy_options, fixed);
    more.fixed_count = 1;
    must(aipc_deploy(c, &more, NULL));
    aipc_context_close(c);
}

static void inspect_a_model(void **state) {
    bench *b = *state;
    aipc_context *c = context(b);
    const size_t size = offsetof(aipc_inspect_options, macs);
    const char *shapes[] = {"batch=3"};
    const aipc_inspect_options o = {.size = size, .shapes = shapes, .shape_count = 1};
    void *block = malloc(size);
    char *document = NULL;
    assert_non_null(block);
    memcpy(block, &o, size);
    must(aipc_inspect(c, model(b, "batch"), block, &document));
    free(block);
    assert_non_null(strstr(document, "\"nodes\": 1"));
    aipc_free(document);
    aipc_context_close(c);
}

static void deploy_several_shapes(void **state) {
    bench *b = *state;
    aipc_context *c = context(b);
    const char *shapes[] = {"batch=1..2"};
    const aipc_deploy_options o = {
        .model = model(b, "batch"), .shapes = shapes, .shape_count = 1, .out_dir = at(b, "out")};
    char *document = deploy(c, &o, offsetof(aipc_deploy_options, no_surgery));
    assert_non_null(strstr(document, "\"aipc index\""));
    assert_non_null(strstr(document, "batch-2"));
    aipc_free(document);
    aipc_context_close(c);
}

static void write_text(bench *b, const char *name, const char *text) {
    char *path = at(b, name);
    must(ap_mkdirs(ap_path_dir(&b->arena, path)));
    must(ap_file_write(path, text, strlen(text)));
}

// A recording of one call of one model, exported already.
static char *recording(bench *b) {
    static const uint64_t counts[2][4] = {{0}, {1, 1000000, 0, 0}};
    static const float values[] = {1, -2};
    static const char leaf[] = "[[\"float32\",[2]]]";
    ap_tensor t = {0};
    json_t *doc = NULL;
    write_text(b, "rec/run.json", "{\"format\":1,\"kind\":\"aipc recording\",\"command\":[\"true\"]}");
    write_text(b, "rec/p7-ab/log.jsonl",
               ap_arena_printf(
                   &b->arena,
                   "{\"ev\":\"start\",\"format\":1,\"pid\":7}\n"
                   "{\"ev\":\"model\",\"m\":0,\"kind\":\"module\",\"identity\":{\"class\":\"app:Net\","
                   "\"arch\":\"a\","
                   "\"content\":\"c\",\"parameters\":1,\"bytes\":4},\"path\":null,\"training\":false,"
                   "\"forward_hooks\":[]}\n"
                   "{\"ev\":\"signature\",\"s\":1,\"m\":0,\"spec\":[\"tuple\",[\"tuple\",[\"tensor\"]],["
                   "\"dict\",\"\"]],"
                   "\"inputs\":%s}\n"
                   "{\"ev\":\"outputs\",\"s\":1,\"spec\":[\"tensor\"],\"outputs\":%s}\n"
                   "{\"ev\":\"sample\",\"s\":1,\"n\":1,\"call\":1,\"files\":[\"1-i0.npy\",\"1-o0.npy\"]}\n",
                   leaf, leaf));
    must(ap_file_write(at(b, "rec/p7-ab/counts.bin"), counts, sizeof counts));
    must(ap_tensor_view(AP_F32, (const int64_t[]){2}, 1, (void *)(uintptr_t)values, sizeof values, &t));
    must(ap_npy_write(at(b, "rec/p7-ab/1-i0.npy"), &t));
    must(ap_npy_write(at(b, "rec/p7-ab/1-o0.npy"), &t));
    must(ap_recording_read(at(b, "rec"), &doc));
    const json_t *made = json_array_get(json_object_get(doc, "models"), 0);
    const json_t *sig = json_array_get(json_object_get(made, "signatures"), 0);
    write_text(b, "rec/export/export.json",
               ap_arena_printf(&b->arena,
                               "{\"models\":[{\"name\":\"%s\",\"signatures\":[{\"id\":\"%s\",\"file\":\"%s\","
                               "\"feeds\":[{\"input\":\"x\",\"leaf\":0}],"
                               "\"results\":[{\"output\":\"y\",\"leaf\":0}],\"level1\":[]}]}]}",
                               ap_json_str(made, "name", ""), ap_json_str(sig, "id", ""), model(b, "2")));
    json_decref(doc);
    return at(b, "rec");
}

static void deploy_a_recording(void **state) {
    bench *b = *state;
    aipc_context *c = context(b);
    const aipc_deploy_options o = {.model = recording(b), .out_dir = at(b, "out")};
    char *document = deploy(c, &o, offsetof(aipc_deploy_options, fixed));
    assert_non_null(strstr(document, "\"aipc index\""));
    assert_non_null(strstr(document, "\"verdict\": \"pass\""));
    aipc_free(document);
    aipc_context_close(c);
}

int main(void) {
    if (!test_runtime_file("onnxruntime", "libonnxruntime.so.1", ort_path))
        return test_skipped("onnxruntime");
    if (!test_program(program)) return puts("skipped: no aipc program in this build") < 0;
    setenv("AIPC_PROGRAM", program, 1);
    const struct CMUnitTest tests[] = {
        BENCH_TEST(deploy_a_model),
        BENCH_TEST(inspect_a_model),
        BENCH_TEST(deploy_several_shapes),
        BENCH_TEST(deploy_a_recording),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
