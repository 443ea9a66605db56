// SPDX-License-Identifier: Apache-2.0
#include "surgery/oracle/oracle_worker.h"

#include "surgery/oracle/oracle_priv.h"

#include <stdlib.h>
#include <string.h>

struct ap_oracle_worker {
    ap_oracle_worker_options o;
    char *dir;
    ap_worker *worker; // NULL until asked, and after it died
    ap_oracle_worker_stats stats;
};

ap_oracle_worker *ap_oracle_worker_new(const ap_oracle_worker_options *o) {
    ap_oracle_worker *w = ap_calloc(1, sizeof *w);
    w->o = *o;
    w->dir = ap_strdup(o->dir);
    return w;
}

void ap_oracle_worker_free(ap_oracle_worker *w) {
    if (!w) return;
    ap_worker_stop(w->worker, NULL);
    free(w->dir);
    free(w);
}

ap_oracle_worker_stats ap_oracle_worker_told(const ap_oracle_worker *w) {
    return w->stats;
}

bool ap_oracle_blames_model(const ap_error *e) {
    switch (ap_err_code(e)) {
    case AP_ERR_VENDOR:
    case AP_ERR_REFUSED:
    case AP_ERR_WORKER_CRASH:
    case AP_ERR_WORKER_HANG:
    case AP_ERR_WORKER_MEMORY:
    case AP_ERR_MODEL_PARSE:
    case AP_ERR_MODEL_INVALID:
    case AP_ERR_MODEL_CYCLE:
    case AP_ERR_MODEL_MISSING:
    case AP_ERR_MODEL_OP:
    case AP_ERR_MODEL_DIMS:
    case AP_ERR_SHAPE_UNKNOWN:
    case AP_ERR_INPUT_SHAPE:
    case AP_ERR_INPUT_DTYPE:
    case AP_ERR_INPUT_NAME: return true;
    default: return false;
    }
}

static bool lost_worker(const ap_error *e) {
    ap_code c = ap_err_code(e);
    return c == AP_ERR_WORKER_CRASH || c == AP_ERR_WORKER_HANG || c == AP_ERR_WORKER_MEMORY ||
           c == AP_ERR_WORKER_GARBAGE;
}

static ap_err run(void *user, ap_model *piece, const ap_named_tensor *in, size_t in_count, ap_tensor *out,
                  size_t out_count) {
    ap_oracle_worker *w = user;
    ap_arena a = {0};
    json_t *inputs = NULL, *result = NULL;
    const char *dir = ap_path_join(&a, w->dir, ap_arena_printf(&a, "ask%zu", w->stats.calls++));
    const char *model = ap_path_join(&a, dir, "piece.onnx");
    ap_err err = NULL;
    for (size_t i = 0; i < out_count; i++) out[i] = (ap_tensor){0};
    if (out_count != piece->graph->output_count)
        AP_FAIL(AP_ERR_INTERNAL, "%zu outputs asked of a model with %zu", out_count,
                piece->graph->output_count);
    AP_TRY(ap_mkdirs(dir));
    AP_TRY(oracle_put(piece, in, in_count, dir, &inputs));
    if (!w->worker) AP_TRY(w->o.start(w->o.user, &w->worker));
    AP_TRY(ap_worker_call(w->worker, "oracle",
                          json_pack("{s{ss},sO,sn,ss,si}", "model", "file", model, "inputs", inputs,
                                    "tensors", "dir", dir, "threads", 1),
                          &result));
    uint64_t us = (uint64_t)ap_json_int(result, "vendor_us", 0);
    w->stats.vendor_us += us;
    if (w->o.spent) w->o.spent(w->o.user, us);
    AP_TRY(oracle_take(piece, json_object_get(result, "outputs"), out, out_count));
done:
    if (lost_worker(err)) {
        ap_worker_stop(w->worker, NULL);
        w->worker = NULL;
        w->stats.restarts++;
    }
    for (size_t i = 0; err && i < out_count; i++) ap_tensor_free(&out[i]);
    json_decref(inputs);
    json_decref(result);
    ap_err_free(ap_rmtree(dir));
    ap_arena_release(&a);
    return err;
}

ap_piece_oracle ap_oracle_worker_piece(ap_oracle_worker *w) {
    return (ap_piece_oracle){.run = run, .user = w};
}
