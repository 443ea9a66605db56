// SPDX-License-Identifier: Apache-2.0
// Surgery inside a deployment: a target that refuses the model or computes it wrong gets another one that
// computes the same. The repaired model then goes through all stages as if it had been given; the baseline
// stays the original's.
#include "plan/deploy/deploy.h"
#include "plan/surgery/outside.h"
#include "plan/surgery/surgery.h"
#include "surgery/pass/clean_worker.h"
#include "surgery/pass/freeze.h"
#include "surgery/repair/state.h"

#include <string.h>

// While a model is only blurred: there is no node to look for where float16 itself does not pass.
static bool is_float16(void *target) {
    bool limit = false;
    json_decref(ap_target_float16(target, &limit));
    return limit;
}

typedef struct operation {
    ap_deploy_target *t;
    ap_arena arena;
    ap_model *model; // what is operated on
    char *dir;       // where it lies
    ap_whole_host host;
    ap_worker *worker; // of the oracle of the passes
    ap_worker_oracle asked;
    ap_surgery_oracle oracle;
    json_t *params, *inputs, *before;
    ap_surgery_stage stage;
} operation;

static void describe(operation *op) {
    ap_deploy_target *t = op->t;
    ap_deployment *d = t->d;
    op->params = json_pack("{sO}", "fixed", d->fixed);
    op->inputs = ap_json_pluck(json_object_get(d->contract, "inputs"), "data_sha256");
    op->host = (ap_whole_host){.ctx = d->ctx,
                               .target = &t->id,
                               .precision = t->precision,
                               .gates = &t->gates,
                               .inputs = d->input_tensors,
                               .golden = d->golden,
                               .original = d->model,
                               .scratch = d->scratch,
                               .logs = d->logs,
                               .ledger = &d->ledger,
                               .timeout_s = d->o->timeout_s,
                               .memory_mib = d->o->memory_mib,
                               .allow_cpu = d->o->allow_cpu};
    op->stage = (ap_surgery_stage){.ctx = d->ctx,
                                   .model = d->model,
                                   .digest = d->digest,
                                   .file = d->model_path,
                                   .shapes = d->shapes,
                                   .params = op->params,
                                   .inputs = op->inputs,
                                   .ort = &d->ort,
                                   .qnn = t->id.soc ? &d->qnn : NULL,
                                   .scratch = d->scratch,
                                   .host = &op->host,
                                   .tune = d->o->tune,
                                   .sharpen = d->o->sharpen,
                                   .blameless = is_float16,
                                   .user = t,
                                   .builds = d->o->repair_builds,
                                   .time_s = d->o->repair_time_s,
                                   .piece_time_s = d->o->piece_time_s};
}

// The model as it lies on the table of `aipc surgery` and `aipc apply`: the steps hold hashes of it.
static ap_err open_table(operation *op) {
    const ap_target_id cpu = ap_cpu_target();
    ap_deployment *d = op->t->d;
    ap_err err = NULL;
    AP_TRY(ap_model_load(d->model_path, &op->model));
    AP_TRY(ap_table_folder(d->ctx, &op->model, &op->arena, &op->dir, &op->stage.embed));
    AP_TRY(ap_freeze_shapes(op->model, d->shapes));
    AP_TRY(ap_deploy_worker(d, &cpu, "surgery", AP_ANY_CPU, &op->worker));
    op->stage.model = op->model;
    op->asked =
        (ap_worker_oracle){.worker = op->worker, .dir = op->dir, .inputs = {d->input_tensors}, .sets = 1};
    op->oracle = ap_worker_oracle_of(&op->asked);
    op->stage.oracle = &op->oracle;
done:
    return err;
}

static void operation_release(operation *op) {
    ap_worker_stop(op->worker, NULL);
    ap_whole_host_release(&op->host);
    ap_model_free(op->model);
    if (op->dir) ap_err_free(ap_rmtree(op->dir));
    json_decref(op->params);
    json_decref(op->inputs);
    json_decref(op->before);
    ap_arena_release(&op->arena);
}

// ---- taking over the result

static json_t *repairs_of(const ap_deploy_target *t) {
    return json_object_get(t->surgery, "repairs");
}

// The user's choice, so it shows as one.
static void relax_share(ap_deploy_target *t) {
    json_t *rule = json_object_get(t->gates.always, "share_on_target");
    json_object_set_new(rule, "threshold", json_real(0));
    json_object_set_new(rule, "user_set", json_true());
}

static json_t *stage_of(const ap_deploy_target *t, const char *key, double seconds, bool cached) {
    const json_t *r = repairs_of(t);
    ap_buf text = {0};
    ap_buf_printf(&text, "%zu passes, %zu repairs, %zu left", json_array_size(json_object_get(r, "passes")),
                  json_array_size(json_object_get(r, "repairs")),
                  json_array_size(json_object_get(r, "left")));
    double vendor_s = cached ? 0 : ap_json_num(t->surgery, "vendor_s", 0);
    json_t *stage =
        ap_stage_json("surgery", t, key, seconds, vendor_s, 0, ap_buf_str(&text),
                      json_pack("{ss}", "model", t->d->digest), json_pack("{ss}", "model", t->digest));
    if (cached) json_object_set_new(stage, "cached", json_true());
    if (!ap_json_bool(t->surgery, "passed", false))
        json_object_set_new(stage, "verdict", json_string("fail"));
    ap_buf_free(&text);
    return stage;
}

// A model that passes, or at least one that something was repaired in, takes the place of the one given.
static bool is_better(const json_t *record) {
    const json_t *repairs = json_object_get(record, "repairs");
    if (ap_json_bool(record, "passed", false)) return true;
    return json_array_size(json_object_get(repairs, "repairs")) > 0;
}

static ap_err adopt(ap_deploy_target *t, const char *dir) {
    ap_deployment *d = t->d;
    ap_err err = NULL;
    pthread_mutex_lock(&d->step_lock);
    char *path = ap_path_join(&d->arena, dir, "model.onnx");
    pthread_mutex_unlock(&d->step_lock);
    AP_TRY(ap_model_load(path, &t->own_model));
    AP_TRY(ap_model_digest(t->own_model, t->digest));
    t->model = t->own_model;
    t->model_path = path;
    t->allow_cpu = json_array_size(json_object_get(repairs_of(t), "cpu")) > 0;
    if (t->allow_cpu) relax_share(t);
    ap_target_reset(t);
    ap_target_keys(t);
done:
    return err;
}

static void keep_record(ap_deploy_target *t, json_t *record, const char *dir) {
    json_decref(t->surgery);
    t->surgery = json_incref(record);
    t->surgery_dir = ap_arena_strdup(&t->d->arena, dir);
}

// ---- how it went with the model as given

static json_t *refused_of(const ap_deploy_target *t) {
    return json_object_get(json_object_get(t->build, "details"), "refused");
}

static json_t *before_of(const ap_deploy_target *t) {
    const json_t *refused = refused_of(t), *cost = json_object_get(t->build, "cost");
    json_t *estimate = json_object_get(cost, "estimate_ms");
    return json_pack("{so,so,so,so,sb}", "error", ap_json_from_err(t->err), "refused",
                     refused ? json_deep_copy(refused) : json_null(), "gates",
                     t->gate_list ? json_deep_copy(t->gate_list) : json_null(), "cost",
                     estimate ? json_pack("{sO,sI}", "estimate_ms", estimate, "nodes",
                                          (json_int_t)json_array_size(json_object_get(t->build, "placement")))
                              : json_null(),
                     "built", t->build_dir != NULL);
}

// Failures that another graph may not have.
static bool is_curable(const ap_deploy_target *t) {
    const char *stage = ap_err_get_stage(t->err);
    bool at_build = stage && strcmp(stage, "build") == 0;
    switch (ap_err_code(t->err)) {
    case AP_ERR_REFUSED: return true;
    case AP_ERR_GATE: return ap_target_has_a_place(t);
    case AP_ERR_VENDOR:
    case AP_ERR_WORKER_CRASH: return at_build;
    default: return at_build && ap_code_exit(ap_err_code(t->err)) == AP_EXIT_MODEL; // the oracle could run it
    }
}

// ---- the two doors

ap_err ap_target_recall(ap_deploy_target *t) {
    ap_deployment *d = t->d;
    operation op = {.t = t};
    char key[65], *dir = NULL;
    json_t *record = NULL;
    ap_err err = NULL;
    if (!ap_deploy_is_htp(t) || d->o->no_surgery || d->o->fresh) return NULL;
    AP_TRY(ap_store_get(&d->store, t->build_key, &op.arena, &dir, &record));
    if (record) goto done; // it can be built as it is: the gates will say
    describe(&op);
    AP_TRY(ap_surgery_key(&op.stage, key));
    AP_TRY(ap_store_get(&d->store, key, &op.arena, &dir, &record));
    if (!record || ap_surgery_cut_short(record)) goto done;
    keep_record(t, record, dir);
    if (is_better(record)) AP_TRY(adopt(t, dir));
    t->surgery_stage = stage_of(t, key, 0, true);
done:
    json_decref(record);
    operation_release(&op);
    return ap_err_stage(err, "surgery");
}

bool ap_target_gains(const ap_deploy_target *t) {
    const aipc_deploy_options *o = t->d->o;
    return o->tune || (ap_deploy_is_htp(t) && (o->sharpen || ap_state_carrier(t->d->model->graph)));
}

ap_err ap_target_repair(ap_deploy_target *t, bool *again) {
    ap_deployment *d = t->d;
    operation op = {.t = t};
    char key[65], *dir = NULL;
    json_t *record = NULL, *stored = NULL;
    uint64_t start = ap_now_us();
    ap_err err = NULL;
    *again = false;
    if (d->o->no_surgery || t->surgery) return NULL;
    if (!ap_deploy_is_htp(t) && (t->err || !d->o->tune)) return NULL; // the CPU is what all are judged by
    if (t->err ? !is_curable(t) : !ap_target_gains(t)) return NULL;
    describe(&op);
    AP_TRY(ap_surgery_key(&op.stage, key));
    AP_TRY(ap_store_get(&d->store, key, &op.arena, &dir, &stored));
    bool cached = stored && !d->o->fresh && !ap_surgery_cut_short(stored);
    if (!cached) AP_TRY(open_table(&op));
    op.before = before_of(t);
    op.stage.before = op.before;
    AP_TRY(ap_surgery_stored(&op.stage, &d->store, d->o->fresh, &op.arena, &dir, &record));
    keep_record(t, record, dir);
    if (is_better(record)) {
        AP_TRY(adopt(t, dir));
        *again = true;
    }
    t->surgery_stage = stage_of(t, key, (double)(ap_now_us() - start) / 1e6, cached);
done:
    json_decref(record);
    json_decref(stored);
    operation_release(&op);
    return ap_err_stage(err, "surgery");
}

// ---- what is told and written

// Pieces nothing was found for lie in OUT/TARGET-left.
static char *left_name(const ap_deploy_target *t, const char *file, ap_arena *a) {
    return ap_arena_printf(a, "%s-left/%s", t->id.folder, file);
}

json_t *ap_target_repairs(const ap_deploy_target *t) {
    json_t *r = json_deep_copy(repairs_of(t)), *one;
    ap_arena a = {0};
    size_t i;
    if (!json_is_object(r)) {
        json_decref(r);
        return json_null();
    }
    json_array_foreach(json_object_get(r, "left"), i, one) {
        const char *file = ap_json_str(one, "model", NULL);
        if (file) json_object_set_new(one, "model", ap_json_string(left_name(t, file, &a)));
    }
    ap_arena_release(&a);
    return r;
}

ap_err ap_target_write_left(const ap_deploy_target *t) {
    const json_t *left = json_object_get(repairs_of(t), "left");
    ap_arena a = {0};
    char *dir = ap_path_join(&a, t->d->out_dir, ap_arena_printf(&a, "%s-left", t->id.folder));
    json_t *one;
    size_t i;
    ap_err err = ap_rmtree(dir);
    json_array_foreach((json_t *)(uintptr_t)left, i, one) {
        const char *file = ap_json_str(one, "model", NULL);
        if (!file) continue;
        AP_TRY(ap_mkdirs(dir));
        AP_TRY(ap_file_copy(ap_path_join(&a, t->surgery_dir, file), ap_path_join(&a, dir, file)));
    }
done:
    ap_arena_release(&a);
    return err;
}
