// SPDX-License-Identifier: Apache-2.0
// surgery, apply, diff.
#include "api/api_priv.h"
#include "graph/graph_diff.h"
#include "plan/surgery/apply.h"
#include "plan/surgery/surgery.h"
#include "plan/surgery/table.h"
#include "plan/work/store.h"
#include "surgery/pass/record.h"

#include <stdlib.h>
#include <string.h>

// With its files of weights, when it has any.
static ap_err copy_model(const char *from, const char *to) {
    ap_model *m = NULL;
    ap_err err = ap_model_load(from, &m);
    if (!err) err = ap_model_save(m, to, NULL);
    ap_model_free(m);
    return err;
}

// ---- surgery

static ap_err read_request(ap_table *t, const aipc_surgery_options *o) {
    const ap_input_request r = {.shapes = o->shapes,
                                .shape_count = o->shape_count,
                                .inputs = o->inputs,
                                .input_count = o->input_count,
                                .recipes = o->recipes,
                                .recipe_count = o->recipe_count,
                                .seed = o->seed ? o->seed : 1};
    json_t *fixed = json_object();
    ap_err err = NULL;
    t->params = json_pack("{so}", "fixed", fixed);
    AP_TRY(ap_contract_shapes(t->model, &r, &t->shapes));
    AP_TRY(ap_fixed_read(t->model, o->fixed, o->fixed_count, fixed));
    AP_TRY(ap_table_sets(t, r, 2));
done:
    return err;
}

// ---- the target's half

typedef struct bench {
    ap_target_id id;
    ap_runtime qnn;
    ap_gates gates;
    json_t *golden; // what the original computes from the first input set
    ap_whole_host host;
} bench;

static void bench_release(bench *b) {
    ap_whole_host_release(&b->host);
    ap_gates_release(&b->gates);
    ap_runtime_release(&b->qnn);
    json_decref(b->golden);
}

// The model with its shapes set travels as a file; `file` and `shapes` say the same of the original.
static ap_err run_golden(ap_table *t, const char *file, json_t **golden) {
    json_t *result = NULL;
    char *dir = ap_path_join(&t->arena, t->dir, "golden");
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(dir));
    AP_TRY(ap_worker_call(t->worker, "oracle",
                          json_pack("{s{ss,sO},sO,sn,ss}", "model", "file", file, "shapes", t->shapes,
                                    "inputs", t->asked.inputs[0], "tensors", "dir", dir),
                          &result));
    *golden = json_incref(json_object_get(result, "outputs"));
done:
    json_decref(result);
    return ap_err_stage(err, "baseline");
}

static ap_err bench_open(ap_table *t, const aipc_surgery_options *o, bench *b) {
    ap_err err = NULL;
    AP_TRY(ap_target_parse(o->target, &b->id));
    if (!b->id.soc && !o->tune) {
        err = ap_err_new(AP_ERR_USAGE, "--target %s: the cpu takes every model, there is nothing to repair",
                         o->target);
        err = ap_err_hint(err, "--tune rewrites for speed, also for the cpu");
        goto done;
    }
    const char *precision = b->id.soc ? "fp16" : "fp32";
    if (b->id.soc) AP_TRY(ap_runtime_find(t->c->data_dir, "onnxruntime-qnn", &b->qnn));
    AP_TRY(ap_gates_init(precision, o->gates, o->gate_count, &b->gates));
    b->host = (ap_whole_host){.ctx = t->c,
                              .target = &b->id,
                              .precision = precision,
                              .gates = &b->gates,
                              .inputs = t->asked.inputs[0],
                              .original = t->model,
                              .scratch = t->dir,
                              .logs = t->dir,
                              .allow_cpu = o->allow_cpu};
done:
    return err;
}

// Pieces nothing was found for lie in the store, too.
static void name_left(ap_table *t, json_t *plan, const char *dir) {
    json_t *left = json_object_get(json_object_get(plan, "repairs"), "left"), *one;
    size_t i;
    json_array_foreach(left, i, one) {
        const char *file = ap_json_str(one, "model", NULL);
        if (file) json_object_set_new(one, "model", ap_json_string(ap_path_join(&t->arena, dir, file)));
    }
}

// The stage: plan and model from the store, or made and put there. *model is the file in the store.
static ap_err operate(ap_table *t, const aipc_surgery_options *o, bench *b, json_t **plan,
                      const char **model) {
    ap_surgery_stage stage = {.ctx = t->c,
                              .model = t->model,
                              .digest = t->digest,
                              .file = o->model,
                              .shapes = t->shapes,
                              .params = t->params,
                              .inputs = t->input_hashes,
                              .skip = o->skip,
                              .skip_count = o->skip_count,
                              .ort = &t->ort,
                              .qnn = b->id.soc ? &b->qnn : NULL,
                              .scratch = t->dir,
                              .host = o->target ? &b->host : NULL,
                              .tune = o->tune,
                              .sharpen = o->sharpen,
                              .builds = o->repair_builds,
                              .time_s = o->repair_time_s,
                              .piece_time_s = o->piece_time_s,
                              .embed = t->outside};
    ap_store store = {0};
    json_t *record = NULL;
    char *dir = NULL, key[65];
    ap_err err = NULL;
    AP_TRY(ap_store_open(t->c->cache_dir, &store));
    AP_TRY(ap_surgery_key(&stage, key));
    AP_TRY(ap_store_get(&store, key, &t->arena, &dir, &record));
    if (!record || ap_surgery_cut_short(record)) {
        json_decref(record);
        record = NULL;
        AP_TRY(ap_table_oracle(t));
        stage.oracle = &t->oracle;
        if (o->target) AP_TRY(run_golden(t, o->model, &b->golden));
        b->host.golden = b->golden;
        AP_TRY(ap_surgery_stored(&stage, &store, false, &t->arena, &dir, &record));
    }
    *plan = json_deep_copy(json_object_get(record, "plan"));
    json_object_set_new(json_object_get(*plan, "source"), "file", ap_json_string(ap_path_base(o->model)));
    json_object_set(*plan, "repairs", json_object_get(record, "repairs"));
    json_object_set(*plan, "passed", json_object_get(record, "passed"));
    name_left(t, *plan, dir);
    *model = ap_path_join(&t->arena, dir, "model.onnx");
done:
    json_decref(record);
    ap_store_close(&store);
    return err;
}

// What the plan file holds is what apply needs.
static ap_err save_plan(const char *path, const json_t *document) {
    json_t *plan = json_copy((json_t *)(uintptr_t)document);
    json_object_del(plan, "repairs");
    json_object_del(plan, "passed");
    ap_err err = ap_plan_save(path, plan);
    json_decref(plan);
    return err;
}

// A repair that fell short ends in the error a deployment would end in.
static ap_err short_of(const json_t *document, const char *target) {
    const json_t *after = json_object_get(json_object_get(document, "repairs"), "after"),
                 *refused = json_object_get(after, "refused"), *n = json_array_get(refused, 0);
    if (!target || ap_json_bool(document, "passed", false)) return NULL;
    if (n) {
        ap_err err = ap_err_new(AP_ERR_REFUSED, "%s still refuses %zu nodes, the first is %s '%s': %s",
                                target, json_array_size(refused), ap_json_str(n, "op", "?"),
                                ap_json_str(n, "node", "?"), ap_json_str(n, "reason", "?"));
        return ap_err_hint(err, "--allow-cpu lets them run on the CPU");
    }
    if (!ap_json_bool(after, "built", false))
        return ap_err_new(AP_ERR_VENDOR, "%s cannot build the model: %s", target,
                          ap_json_str(after, "error", "?"));
    return ap_err_new(AP_ERR_GATE, "%s builds the model, but its gates fail", target);
}

aipc_error *aipc_surgery(aipc_context *c, const aipc_surgery_options *given, char **document) {
    aipc_surgery_options o;
    ap_table t;
    bench b = {0};
    json_t *plan = NULL;
    const char *model = NULL;
    ap_err err = NULL;
    api_take(&o, sizeof o, given);
    AP_TRY(ap_table_open(c, o.model, &t));
    AP_TRY(read_request(&t, &o));
    if (o.target) AP_TRY(bench_open(&t, &o, &b));
    AP_TRY(operate(&t, &o, &b, &plan, &model));
    if (o.save) AP_TRY(copy_model(model, o.save));
    if (o.plan) AP_TRY(save_plan(o.plan, plan));
    json_object_set_new(plan, "nodes_before", json_integer((json_int_t)t.model->graph->node_count));
    json_object_set_new(plan, "stored", ap_json_string(model));
    json_object_set(plan, "warnings", t.warnings);
    err = ap_surgery_note(json_object_get(plan, "repairs"), short_of(plan, o.target));
    api_give(json_incref(plan), document);
done:
    json_decref(plan);
    bench_release(&b);
    ap_table_release(&t);
    return ap_err_stage(ap_err_subject(err, o.model), "surgery");
}

// ---- apply

aipc_error *aipc_apply(aipc_context *c, const char *model, const char *plan_path, const char *out,
                       char **document) {
    json_t *doc = NULL;
    ap_err err = ap_apply(c, model, plan_path, out, &doc);
    if (doc) api_give(doc, document);
    return err;
}

aipc_error *aipc_rebase(aipc_context *c, const char *model, const char *plan_path, const char *new_plan,
                        const char *out, char **document) {
    const aipc_rebase_options o = {
        .size = sizeof o, .model = model, .plan = plan_path, .new_plan = new_plan, .save = out};
    return aipc_rebase_on(c, &o, document);
}

aipc_error *aipc_rebase_on(aipc_context *c, const aipc_rebase_options *given, char **document) {
    aipc_rebase_options o;
    json_t *doc = NULL;
    api_take(&o, sizeof o, given);
    ap_err err = ap_rebase(c, &o, &doc);
    if (doc) api_give(doc, document);
    return err;
}

// ---- diff

aipc_error *aipc_diff(const char *a, const char *b, char **document) {
    ap_model *x = NULL, *y = NULL;
    json_t *doc = NULL;
    ap_err err = NULL;
    AP_TRY(ap_model_load(a, &x));
    AP_TRY(ap_model_load(b, &y));
    AP_TRY(ap_graph_diff(x, y, &doc));
    api_give(doc, document);
done:
    ap_model_free(x);
    ap_model_free(y);
    return err;
}
