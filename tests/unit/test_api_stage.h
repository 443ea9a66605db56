// SPDX-License-Identifier: Apache-2.0
// A small deployed model and what serves it.
#ifndef AP_TEST_API_STAGE_H
#define AP_TEST_API_STAGE_H

#include "test_graph_build.h"
#include "test_runtime.h"

#include "aipc/aipc.h"
#include "plan/artifact/served.h"

enum { N = 65536 }; // elements: 256 KiB

typedef struct stage {
    aipc_context *c;
    aipc_server *server;
    aipc_deployed *d;
} stage;

// y = Relu(x)
static inline void open_stage(bench *b, stage *s) {
    aipc_context_options co = {.size = sizeof co, .cache_dir = at(b, "cache"), .data_dir = test_data_dir()};
    char *out = at(b, "out"), *name = NULL;
    aipc_served *m = NULL;
    int64_t dims[] = {N};
    aipc_tensor x = {.name = "x", .dtype = "float32", .rank = 1, .dims = dims};
    must(aipc_context_open(&co, &s->c));
    fresh(b);
    input(b, "x", "65536");
    output(b, "y", "65536");
    node(b, "relu", "Relu", "x", "y");
    name = write_model(b, "m.onnx");
    aipc_deploy_options o = {.size = sizeof o, .model = name, .out_dir = out, .seed = 1, .no_trace = true};
    must(aipc_deploy(s->c, &o, NULL));
    must(aipc_server_open(s->c, out, NULL, &s->server));
    must(aipc_server_find_model(s->server, name, NULL, 0, &m));
    assert_non_null(m);
    must(aipc_served_choose(m, NULL, &x, 1, &s->d));
}

static inline void close_stage(stage *s) {
    aipc_server_close(s->server);
    aipc_context_close(s->c);
}

static inline bool holds(const float *y, float value) {
    for (size_t i = 0; i < N; i++)
        if (y[i] != value) return false;
    return true;
}

// For main(): what the tests need; false when something is not here, and says so.
static inline bool stage_possible(void) {
    static char ort_path[4096], program[4096];
    if (!test_runtime_file("onnxruntime", "libonnxruntime.so.1", ort_path)) {
        test_skipped("onnxruntime");
        return false;
    }
    if (!test_program(program)) {
        puts("skipped: no aipc program in this build");
        return false;
    }
    setenv("AIPC_PROGRAM", program, 1);
    return true;
}

#endif
