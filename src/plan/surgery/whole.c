// SPDX-License-Identifier: Apache-2.0
#include "plan/surgery/whole.h"

#include "base/file.h"
#include "base/proc.h"
#include "plan/surgery/whole_priv.h"
#include "surgery/repair/sharpen.h"

#include <stdlib.h>
#include <string.h>

void ap_whole_host_release(ap_whole_host *h) {
    ap_worker_stop(h->oracle, NULL);
    ap_worker_stop(h->worker, NULL);
    json_decref(h->types);
    ap_map_free(&h->by_name);
    h->oracle = h->worker = NULL;
    h->types = NULL;
    h->by_name = (ap_map){0};
}

// ---- workers

// The worker of the oracle or of the target, started when there is none.
static ap_err worker_of(ap_whole_host *h, bool oracle, ap_worker **out) {
    ap_worker **kept = oracle ? &h->oracle : &h->worker;
    const ap_target_id cpu = ap_cpu_target(), *id = oracle ? &cpu : h->target;
    ap_arena a = {0};
    ap_err err = NULL;
    if (!*kept) {
        ap_worker_setup setup = {.cpu = AP_ANY_CPU, .timeout_s = h->timeout_s, .memory_mib = h->memory_mib};
        setup.log_path = ap_path_join(&a, h->logs, ap_arena_printf(&a, "%s-repair.log", id->folder));
        err = ap_open_worker(h->ctx, id, &setup, kept);
    }
    *out = *kept;
    ap_arena_release(&a);
    return err;
}

bool whole_is_worker_death(ap_code c) {
    return c == AP_ERR_WORKER_CRASH || c == AP_ERR_WORKER_HANG || c == AP_ERR_WORKER_MEMORY ||
           c == AP_ERR_WORKER_GARBAGE;
}

// Steals args.
ap_err whole_call(ap_whole_host *h, bool oracle, const char *op, json_t *args, json_t **result) {
    ap_worker *w = NULL;
    ap_err err = worker_of(h, oracle, &w);
    if (err) {
        json_decref(args);
        return err;
    }
    err = ap_worker_call(w, op, args, result);
    if (!err && h->ledger)
        ap_ledger_add(h->ledger,
                      oracle              ? AP_TIME_GOLDEN
                      : strcmp(op, "run") ? AP_TIME_VENDOR
                                          : AP_TIME_RUN,
                      (uint64_t)ap_json_int(*result, "vendor_us", 0));
    if (whole_is_worker_death(ap_err_code(err))) {
        ap_worker_stop(w, NULL);
        *(oracle ? &h->oracle : &h->worker) = NULL;
    }
    return err;
}

// A fresh folder with the model in it.
static ap_err put_model(ap_whole_host *h, const ap_model *m, ap_arena *a, char **dir, char **file) {
    ap_err err = ap_mkdtemp(h->scratch, "whole", a, dir);
    if (err) return err;
    *file = ap_path_join(a, *dir, "model.onnx");
    return ap_model_save(m, *file, NULL);
}

// ---- types

static bool measured(void *user, const ap_value *v, ap_value_type *out) {
    const ap_whole_host *h = user;
    return ap_value_type_read(ap_map_get(&h->by_name, v->name), out);
}

ap_err ap_whole_types(void *host, ap_model *m, ap_type_source *out) {
    ap_whole_host *h = host;
    ap_arena a = {0};
    char *dir = NULL, *file = NULL;
    json_t *result = NULL, *t;
    size_t i;
    ap_err err = NULL;
    AP_TRY(put_model(h, m, &a, &dir, &file));
    AP_TRY(whole_call(h, true, "oracle",
                      json_pack("{s{ss},sO,so,ss,sb}", "model", "file", file, "inputs", h->inputs, "tensors",
                                ap_graph_made_names(m->graph), "dir", dir, "shapes_only", 1),
                      &result));
    json_decref(h->types);
    ap_map_free(&h->by_name);
    h->by_name = (ap_map){0};
    h->types = json_incref(json_object_get(result, "outputs"));
    json_array_foreach(h->types, i, t) ap_map_set(&h->by_name, ap_json_str(t, "name", ""), t);
    *out = (ap_type_source){.type = measured, .user = h};
done:
    json_decref(result);
    if (dir) ap_err_free(ap_rmtree(dir));
    ap_arena_release(&a);
    return err;
}

// ---- build

// A refusal is an answer, and so is a library that fails, dies or hangs of this model, or cannot load what
// the oracle can (a branch of an If that is not taken and does not type-check once shapes are fixed).
static ap_err build(ap_whole_host *h, const char *file, json_t *outputs, const char *dir, bool allow_cpu,
                    ap_whole *out, json_t **result) {
    json_t *spec = json_pack("{ss}", "file", file);
    if (outputs) json_object_set(spec, "outputs", outputs);
    ap_err err = whole_call(h, false, "build",
                            json_pack("{so,ss,ss,sb}", "model", spec, "dir", dir, "precision", h->precision,
                                      "allow_cpu", allow_cpu),
                            result);
    ap_code code = ap_err_code(err);
    if (code == AP_ERR_REFUSED || code == AP_ERR_VENDOR || ap_code_exit(code) == AP_EXIT_MODEL ||
        code == AP_ERR_WORKER_CRASH || code == AP_ERR_WORKER_HANG || code == AP_ERR_WORKER_MEMORY) {
        free(out->error);
        out->error = ap_strdup(ap_err_message(err));
        ap_err_free(err);
        return NULL;
    }
    const json_t *refusal = json_object_get(*result, "refusal");
    if (err || !refusal) return err;
    json_t *list = json_object_get(json_object_get(*result, "details"), "refused");
    json_decref(out->refused);
    out->refused = json_array_size(list) ? json_incref(list) : NULL;
    free(out->error);
    out->error = out->refused ? NULL : ap_strdup(ap_json_str(refusal, "message", "the model is refused"));
    json_decref(*result);
    *result = NULL;
    return NULL;
}

// As it must be, and where the CPU may help, with its help. *result NULL: not built.
static ap_err build_model(ap_whole_host *h, const char *file, const char *dir, ap_whole *out,
                          json_t **result) {
    ap_whole second = {0};
    ap_err err = build(h, file, NULL, dir, false, out, result);
    if (err || *result || !h->allow_cpu || !out->refused) return err;
    ap_arena a = {0};
    char *other = ap_path_join(&a, dir, "with-cpu"); // what the first build left behind would be in the way
    err = ap_mkdirs(other);
    if (!err) err = build(h, file, NULL, other, true, &second, result); // refusals stay those of the first
    ap_arena_release(&a);
    if (second.error) {
        free(out->error);
        out->error = second.error;
        second.error = NULL;
    }
    ap_whole_release(&second);
    return err;
}

static json_t *cost_of(const json_t *built) {
    const json_t *cost = json_object_get(built, "cost");
    return json_pack("{sO*,sI}", "estimate_ms", json_object_get(cost, "estimate_ms"), "nodes",
                     (json_int_t)json_array_size(json_object_get(built, "placement")));
}

// ---- numbers

ap_err whole_judge_output(const ap_whole_host *h, const json_t *want, const json_t *have, json_t *gates,
                          bool *passed) {
    ap_metrics m;
    const char *name = ap_json_str(want, "name", "?");
    ap_err err = ap_metrics_entries(want, have, &m);
    if (!err && !ap_gates_output(h->gates, name, &m, gates)) *passed = false;
    return ap_err_subject(err, name);
}

static ap_err run(ap_whole_host *h, const char *dir, json_t **outputs) {
    json_t *result = NULL;
    ap_err err = whole_call(h, false, "run", json_pack("{sO,ss}", "inputs", h->inputs, "dir", dir), &result);
    if (!err) *outputs = json_incref(json_object_get(result, "outputs"));
    json_decref(result);
    return err;
}

// *outputs: what the target answered; NULL when it cannot run.
static ap_err judge_numbers(ap_whole_host *h, const char *dir, json_t **outputs, ap_whole *out) {
    bool passed = true;
    ap_err err = run(h, dir, outputs);
    ap_code code = ap_err_code(err);
    if (code == AP_ERR_VENDOR || whole_is_worker_death(code)) { // it builds, and cannot run
        out->error = ap_strdup(ap_err_message(err));
        ap_err_free(err);
        return NULL;
    }
    if (err) return err;
    out->gates = json_array();
    for (size_t i = 0; i < json_array_size(h->golden); i++)
        AP_TRY(whole_judge_output(h, json_array_get(h->golden, i), json_array_get(*outputs, i), out->gates,
                                  &passed));
    out->built = true;
    out->passed = passed;
done:
    return err;
}

ap_err whole_target_values(ap_whole_host *h, const char *file, json_t *outputs, const char *dir,
                           json_t **values) {
    ap_whole ignored = {0};
    json_t *built = NULL;
    ap_err err = build(h, file, outputs, dir, h->allow_cpu, &ignored, &built);
    ap_whole_release(&ignored);
    if (!err && !built) err = ap_err_new(AP_ERR_REFUSED, "with other outputs it is not taken");
    json_decref(built);
    return err ? err : run(h, dir, values);
}

ap_err ap_whole_judge(void *host, ap_model *m, ap_whole *out) {
    ap_whole_host *h = host;
    ap_arena a = {0};
    ap_whole w = {0};
    json_t *built = NULL, *answer = NULL;
    char *dir = NULL, *file = NULL;
    uint64_t start = ap_now_us();
    ap_err err = NULL;
    AP_TRY(put_model(h, m, &a, &dir, &file));
    char *made = ap_path_join(&a, dir, "built");
    AP_TRY(ap_mkdirs(made));
    AP_TRY(build_model(h, file, made, &w, &built));
    if (built) {
        w.cost = cost_of(built);
        AP_TRY(judge_numbers(h, made, &answer, &w));
        if (w.built && !h->target->soc) AP_TRY(whole_measure(h, dir, w.cost)); // our own machine
    }
    if (w.built && !w.passed && !(h->no_blame && ap_is_blurred(&w)))
        AP_TRY(whole_wrong(h, m, file, dir, answer, &w));
    *out = w;
    w = (ap_whole){0};
    h->judged++;
done:
    h->seconds += (double)(ap_now_us() - start) / 1e6;
    ap_whole_release(&w);
    json_decref(built);
    json_decref(answer);
    if (dir) ap_err_free(ap_rmtree(dir));
    ap_arena_release(&a);
    return err;
}
