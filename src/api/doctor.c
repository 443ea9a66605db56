// SPDX-License-Identifier: Apache-2.0
#include "api/doctor.h"

#include "base/json.h"
#include "base/proc.h"
#include "device/runtime.h"
#include "plan/deploy/deploy.h"

#include <stdlib.h>
#include <string.h>

// Wire-format writers for messages of fewer than 128 bytes: all that the test model needs.
static void put_bytes(ap_buf *b, int field, const void *bytes, size_t n) {
    ap_buf_putc(b, (char)(field << 3 | 2));
    ap_buf_putc(b, (char)n);
    ap_buf_append(b, bytes, n);
}
static void put_string(ap_buf *b, int field, const char *s) {
    put_bytes(b, field, s, strlen(s));
}
static void put_int(ap_buf *b, int field, int value) {
    ap_buf_putc(b, (char)(field << 3));
    ap_buf_putc(b, (char)value);
}
static void put_message(ap_buf *b, int field, ap_buf *message) {
    put_bytes(b, field, ap_buf_str(message), message->len);
    ap_buf_free(message);
}

// NodeProto: 1 input, 2 output, 3 name, 4 op_type.
static void put_node(ap_buf *graph, const char *op, const char *a, const char *b, const char *out) {
    ap_buf node = {0};
    put_string(&node, 1, a);
    if (b) put_string(&node, 1, b);
    put_string(&node, 2, out);
    put_string(&node, 3, op);
    put_string(&node, 4, op);
    put_message(graph, 1, &node);
}

// ValueInfoProto of float32[1x4]: 1 name, 2 type; TypeProto: 1 tensor; Tensor: 1 elem_type, 2 shape; Shape: 1
// dim; Dim: 1 value.
static void put_value(ap_buf *graph, int field, const char *name) {
    ap_buf shape = {0}, tensor = {0}, type = {0}, info = {0};
    for (int i = 0; i < 2; i++) {
        ap_buf dim = {0};
        put_int(&dim, 1, i ? 4 : 1);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_string(&info, 1, name);
    put_message(&info, 2, &type);
    put_message(graph, field, &info);
}

// y = Relu(x + x). ModelProto: 1 ir_version, 7 graph, 8 opset_import; GraphProto: 1 node, 2 name, 11 input,
// 12 output.
static void test_model(ap_buf *out) {
    ap_buf graph = {0}, opset = {0};
    put_node(&graph, "Add", "x", "x", "s");
    put_node(&graph, "Relu", "s", NULL, "y");
    put_string(&graph, 2, "doctor");
    put_value(&graph, 11, "x");
    put_value(&graph, 12, "y");
    put_string(&opset, 1, "");
    put_int(&opset, 2, 17);
    put_int(out, 1, 8);
    put_bytes(out, 7, ap_buf_str(&graph), graph.len);
    put_message(out, 8, &opset);
    ap_buf_free(&graph);
}

static void add_check(json_t *list, const char *name, bool ok, const char *detail, const char *fix,
                      bool *all) {
    json_array_append_new(list, json_pack("{so,sb,so,so}", "name", ap_json_string(name), "ok", ok, "detail",
                                          ap_json_string(detail), "fix", ap_json_string(fix)));
    *all = *all && ok;
}

static void add_error(json_t *list, const char *name, ap_err e, bool *all) {
    add_check(list, name, false, ap_err_message(e), ap_err_get_hint(e), all);
    ap_err_free(e);
}

static void check_runtime(aipc_context *c, const char *name, json_t *list, bool *all) {
    ap_runtime rt = {0};
    ap_arena a = {0};
    char *label = ap_arena_printf(&a, "runtime %s", name);
    ap_err err = ap_runtime_find(c->data_dir, name, &rt);
    if (!err) err = ap_runtime_verify(&rt);
    if (err)
        add_error(list, label, err, all);
    else
        add_check(list, label, true,
                  ap_arena_printf(&a, "%s, every file as pinned, in %s", rt.version, rt.dir), NULL, all);
    ap_runtime_release(&rt);
    ap_arena_release(&a);
}

// A deployment of the two-node graph through all stages and gates, in folders of its own.
static void check_target(aipc_context *c, const char *target, const char *dir, json_t *list, bool *all) {
    ap_arena a = {0};
    ap_buf model = {0};
    json_t *doc = NULL;
    char *path = ap_path_join(&a, dir, "doctor.onnx"), *label = ap_arena_printf(&a, "target %s", target);
    aipc_context quiet = {.cache_dir = ap_path_join(&a, dir, "cache"), .data_dir = c->data_dir};
    aipc_deploy_options o = {.size = sizeof o,
                             .model = path,
                             .targets = &target,
                             .target_count = 1,
                             .no_trace = true,
                             .seed = 1,
                             .out_dir = ap_path_join(&a, dir, target[0] == 'c' ? "out-cpu" : "out-htp"),
                             .timeout_s = 60};
    pthread_mutex_init(&quiet.lock, NULL);
    test_model(&model);
    uint64_t start = ap_now_us();
    ap_err err = ap_file_write(path, model.data, model.len);
    if (!err) err = ap_deploy(&quiet, &o, &doc);
    double seconds = (double)(ap_now_us() - start) / 1e6;
    if (err)
        add_error(list, label, err, all);
    else
        add_check(
            list, label, true,
            ap_arena_printf(&a, "compiled, ran and reloaded a two-node graph in the worker, %.1f s", seconds),
            NULL, all);
    pthread_mutex_destroy(&quiet.lock);
    json_decref(doc);
    ap_buf_free(&model);
    ap_arena_release(&a);
}

static void check_program(json_t *list, bool *all) {
    ap_arena a = {0};
    char *program = NULL;
    ap_err err = ap_worker_program(&a, &program);
    if (err)
        add_error(list, "worker program", err, all);
    else
        add_check(list, "worker program", true, program, NULL, all);
    ap_arena_release(&a);
}

ap_err ap_doctor(aipc_context *c, json_t **document) {
    static const char *const runtimes[] = {"onnxruntime", "onnxruntime-qnn"};
    static const char *const targets[] = {"cpu", "htp:sm8650"};
    ap_arena a = {0};
    json_t *list = json_array();
    char *dir = NULL;
    bool all = true;
    ap_err err = NULL;
    AP_TRY(ap_mkdtemp(ap_path_scratch(&a), "aipc", &a, &dir));
    check_program(list, &all);
    for (size_t i = 0; i < 2; i++) check_runtime(c, runtimes[i], list, &all);
    for (size_t i = 0; i < 2; i++) {
        ap_context_progress(c, i, 2, "target %s", targets[i]);
        check_target(c, targets[i], dir, list, &all);
    }
    *document = json_pack("{sb,sO}", "ok", all, "checks", list);
done:
    if (dir) ap_err_free(ap_rmtree(dir));
    json_decref(list);
    ap_arena_release(&a);
    return err;
}
