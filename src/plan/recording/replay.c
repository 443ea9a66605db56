// SPDX-License-Identifier: Apache-2.0
#include "plan/recording/replay.h"

#include "base/file.h"
#include "golden/gates.h"
#include "graph/model.h"
#include "plan/work/workers.h"
#include "tensor/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 4096 };
#define ROW_TOLERANCE 1e-3 // of the largest element, when rows are matched

typedef struct replay {
    const char *file;
    char *dir;
    ap_arena arena;
    ap_model *model;
    ap_worker *worker;
    ap_gates gates;
    json_t *names[2]; // inputs, outputs
    double worst_db;
    bool sets;
    ap_err wrong; // what does not hold; its text is the answer's why
} replay;

static json_t *names_of(ap_value *const *values, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, ap_json_string(values[i]->name));
    return list;
}

// ---- one output

static bool rows_near(const float *a, const float *b, size_t width, float most) {
    for (size_t k = 0; k < width; k++)
        if (!(fabsf(a[k] - b[k]) <= most)) return false;
    return true;
}

static void swap_rows(float *a, float *b, size_t width) {
    for (size_t k = 0; k < width && a != b; k++) {
        float x = a[k];
        a[k] = b[k];
        b[k] = x;
    }
}

// Reorders the rows (all but the last axis) of `test` so that each stands where `ref` has one like it. False
// when they are not the same set.
static bool match_rows(const ap_tensor *ref, ap_tensor *test) {
    size_t width = ref->rank < 2 ? 0 : (size_t)ref->dims[ref->rank - 1], n = ap_tensor_count(ref);
    size_t rows = width ? n / width : 0;
    if (rows < 2 || rows > ROWS_MAX || ref->dtype != AP_F32 || test->dtype != AP_F32) return false;
    const float *a = ref->data;
    float *b = test->data, largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(a[i]));
    for (size_t r = 0; r < rows; r++) {
        size_t found = r;
        while (found < rows &&
               !rows_near(a + r * width, b + found * width, width, (float)ROW_TOLERANCE * largest))
            found++;
        if (found == rows) return false;
        swap_rows(b + r * width, b + found * width, width);
    }
    return true;
}

// The judge's word on one output.
static ap_err gate(replay *r, const ap_tensor *ref, const ap_tensor *test, bool *passed, double *db) {
    ap_metrics m;
    json_t *list = json_array();
    ap_err err = ap_metrics_compare(ref, test, AP_CHANNEL_AXIS, &m);
    if (!err) {
        *passed = ap_gates_output(&r->gates, "", &m, list);
        *db = m.sqnr_db;
    }
    json_decref(list);
    return err;
}

// The same with the rows in the reference's order, when they are the same set.
static ap_err gate_as_set(replay *r, const ap_tensor *ref, const ap_tensor *test, bool *passed, double *db) {
    ap_tensor copy = {0};
    ap_err err = ap_tensor_clone(test, &copy);
    if (!err && match_rows(ref, &copy)) err = gate(r, ref, &copy, passed, db);
    ap_tensor_free(&copy);
    return err;
}

static ap_err judge_values(replay *r, const char *name, const ap_tensor *ref, const ap_tensor *test) {
    bool plain = false, set = false;
    double db = 0;
    ap_err err = NULL;
    AP_TRY(gate(r, ref, test, &plain, &db));
    if (!plain) AP_TRY(gate_as_set(r, ref, test, &set, &db));
    r->sets = r->sets || set;
    if (db < r->worst_db) r->worst_db = db;
    if (!plain && !set)
        r->wrong = ap_err_new(AP_ERR_GATE, "it runs, but output %s is not what was recorded (SQNR %.1f dB)",
                              name, db);
done:
    return err;
}

static ap_err judge_output(replay *r, const json_t *want, const json_t *have) {
    const char *name = ap_json_str(have, "name", "?");
    ap_tensor ref = {0}, test = {0};
    ap_buf a = {0}, b = {0};
    ap_err err = NULL;
    AP_TRY(ap_npy_open(want, &ref));
    AP_TRY(ap_npy_open(have, &test));
    ap_shape_format(ref.dims, ref.rank, &a);
    ap_shape_format(test.dims, test.rank, &b);
    if (ref.dtype != test.dtype || !ap_shape_equal(ref.dims, ref.rank, test.dims, test.rank))
        r->wrong =
            ap_err_new(AP_ERR_CONTRACT, "output %s is %s %s, recorded was %s %s", name,
                       ap_dtype_name(test.dtype), ap_buf_str(&b), ap_dtype_name(ref.dtype), ap_buf_str(&a));
    else
        AP_TRY(judge_values(r, name, &ref, &test));
done:
    ap_buf_free(&a);
    ap_buf_free(&b);
    ap_tensor_free(&ref);
    ap_tensor_free(&test);
    return err;
}

// ---- one sample

// The request's inputs that the model has.
static json_t *inputs_of(const replay *r, const json_t *sample) {
    json_t *list = json_array(), *one, *name;
    size_t i, k;
    json_array_foreach(json_object_get(sample, "inputs"), i, one) {
        json_array_foreach(r->names[0], k, name) {
            if (!strcmp(json_string_value(name), ap_json_str(one, "name", ""))) json_array_append(list, one);
        }
    }
    return list;
}

static ap_err run_sample(replay *r, const json_t *sample, size_t n) {
    json_t *result = NULL, *wants = json_object_get(sample, "outputs");
    char *dir = ap_path_join(&r->arena, r->dir, ap_arena_printf(&r->arena, "%zu", n));
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(dir));
    r->wrong = ap_worker_call(r->worker, "oracle",
                              json_pack("{s{ss},so,sn,ss}", "model", "file", r->file, "inputs",
                                        inputs_of(r, sample), "tensors", "dir", dir),
                              &result);
    if (r->wrong) goto done;
    json_t *outputs = json_object_get(result, "outputs");
    if (json_array_size(outputs) != json_array_size(wants))
        r->wrong = ap_err_new(AP_ERR_CONTRACT, "%zu outputs, recorded were %zu", json_array_size(outputs),
                              json_array_size(wants));
    for (size_t i = 0; i < json_array_size(wants) && !r->wrong; i++)
        AP_TRY(judge_output(r, json_array_get(wants, i), json_array_get(outputs, i)));
done:
    json_decref(result);
    ap_err_free(ap_rmtree(dir));
    return err;
}

static ap_err run_all(aipc_context *c, replay *r, const json_t *request) {
    const ap_target_id cpu = ap_cpu_target();
    json_t *samples = json_object_get(request, "samples");
    ap_err err = NULL;
    AP_TRY(ap_gates_init(ap_json_str(request, "precision", "fp32"), NULL, 0, &r->gates));
    AP_TRY(ap_mkdtemp(ap_path_scratch(&r->arena), "aipc", &r->arena, &r->dir));
    r->wrong = ap_model_load(r->file, &r->model);
    if (r->wrong) goto done;
    r->names[0] = names_of(r->model->graph->inputs, r->model->graph->input_count);
    r->names[1] = names_of(r->model->graph->outputs, r->model->graph->output_count);
    ap_worker_setup setup = {.cpu = AP_ANY_CPU, .log_path = ap_path_join(&r->arena, r->dir, "worker.log")};
    AP_TRY(ap_open_worker(c, &cpu, &setup, &r->worker));
    for (size_t i = 0; i < json_array_size(samples) && !r->wrong; i++)
        AP_TRY(run_sample(r, json_array_get(samples, i), i));
done:
    return err;
}

static const char *verdict_of(const replay *r) {
    if (!r->wrong) return "accepted";
    return ap_err_code(r->wrong) == AP_ERR_GATE ? "wrong" : "invalid";
}

ap_err ap_replay_model(aipc_context *c, const json_t *request, json_t **answer) {
    replay r = {.file = ap_json_str(request, "model", ""), .worst_db = INFINITY};
    ap_err err = run_all(c, &r, request);
    if (!err)
        *answer =
            json_pack("{ss,so,so,sO?,sO?,sb}", "verdict", verdict_of(&r), "why",
                      r.wrong ? ap_json_string(ap_err_message(r.wrong)) : json_null(), "worst_db",
                      ap_json_real(r.worst_db), "inputs", r.names[0], "outputs", r.names[1], "sets", r.sets);
    ap_worker_stop(r.worker, NULL);
    if (r.dir) ap_err_free(ap_rmtree(r.dir));
    ap_gates_release(&r.gates);
    ap_model_free(r.model);
    json_decref(r.names[0]);
    json_decref(r.names[1]);
    ap_err_free(r.wrong);
    ap_arena_release(&r.arena);
    return err;
}
