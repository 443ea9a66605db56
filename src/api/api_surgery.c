// SPDX-License-Identifier: Apache-2.0
// surgery, apply, diff.
#include "device/runtime.h"
#include "golden/contract.h"
#include "golden/request.h"
#include "graph/graph_diff.h"
#include "plan/outside.h"
#include "plan/plan_rules.h"
#include "plan/store.h"
#include "plan/surgery.h"
#include "plan/workers.h"
#include "surgery/clean_worker.h"
#include "surgery/freeze.h"
#include "surgery/record.h"

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

static void give(json_t *document, char **out) {
    if (out) *out = ap_json_text(document, true);
    json_decref(document);
}

// A model on the table: what all of surgery and apply need.
typedef struct table {
    aipc_context *c;
    ap_arena arena;
    char *dir; // scratch
    ap_model *model;
    bool outside; // its weights lie in a file of ours, and go back inside when it is saved
    char digest[65];
    json_t *shapes, *params, *warnings;
    json_t *input_hashes; // of every set
    ap_runtime ort;
    ap_worker *worker;
    ap_worker_oracle asked;
    ap_surgery_oracle oracle;
} table;

static ap_err table_open(aipc_context *c, const char *model, table *t) {
    ap_err err = NULL;
    *t = (table){.c = c, .warnings = json_array(), .input_hashes = json_array()};
    AP_TRY(ap_model_load(model, &t->model));
    AP_TRY(ap_model_digest(t->model, t->digest));
    AP_TRY(ap_table_folder(c, &t->model, &t->arena, &t->dir, &t->outside));
    AP_TRY(ap_runtime_find(c->data_dir, "onnxruntime", &t->ort));
done:
    return err;
}

static void table_release(table *t) {
    ap_worker_stop(t->worker, NULL);
    for (size_t i = 0; i < t->asked.sets; i++) json_decref(t->asked.inputs[i]);
    if (t->dir) ap_err_free(ap_rmtree(t->dir));
    ap_model_free(t->model);
    ap_runtime_release(&t->ort);
    json_decref(t->shapes);
    json_decref(t->params);
    json_decref(t->warnings);
    json_decref(t->input_hashes);
    ap_arena_release(&t->arena);
}

// ---- input sets

// One set from what the user gave; a second with other random numbers unless every input comes from a file.
static ap_err make_sets(table *t, ap_input_request r, size_t wanted) {
    ap_err err = NULL;
    AP_TRY(ap_fixed_inputs(json_object_get(t->params, "fixed"), t->dir, r.inputs, r.input_count, &t->arena,
                           &r.inputs, &r.input_count));
    if (r.input_count >= t->model->graph->input_count) wanted = 1;
    for (size_t i = 0; i < wanted; i++) {
        json_t *inputs = NULL;
        char *dir = ap_path_join(&t->arena, t->dir, ap_arena_printf(&t->arena, "set%zu", i));
        AP_TRY(ap_mkdirs(dir));
        AP_TRY(ap_contract_inputs(t->model, &r, dir, &inputs, &t->asked.inputs[i], t->warnings));
        t->asked.sets++;
        for (size_t k = 0; k < json_array_size(inputs); k++)
            json_array_append(t->input_hashes, json_object_get(json_array_get(inputs, k), "data_sha256"));
        json_decref(inputs);
        r.seed += 1000;
    }
done:
    return err;
}

// One set to run on where nobody looks at the outputs.
static ap_err neutral_set(table *t) {
    ap_input_request r = {.seed = 1};
    ap_err err = ap_zero_inputs(t->model, json_object_get(t->params, "fixed"), t->dir, &t->arena, &r.inputs,
                                &r.input_count);
    return err ? err : make_sets(t, r, 1);
}

static ap_err open_oracle(table *t) {
    ap_target_id cpu = ap_cpu_target();
    ap_worker_setup setup = {.cpu = AP_ANY_CPU, .log_path = ap_path_join(&t->arena, t->dir, "worker.log")};
    ap_err err = ap_open_worker(t->c, &cpu, &setup, &t->worker);
    if (err) return err;
    t->asked.worker = t->worker;
    t->asked.dir = t->dir;
    t->oracle = ap_worker_oracle_of(&t->asked);
    return NULL;
}

// ---- surgery

static ap_err read_request(table *t, const aipc_surgery_options *o) {
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
    AP_TRY(make_sets(t, r, 2));
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
static ap_err run_golden(table *t, const char *file, json_t **golden) {
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

static ap_err bench_open(table *t, const aipc_surgery_options *o, bench *b) {
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
static void name_left(table *t, json_t *plan, const char *dir) {
    json_t *left = json_object_get(json_object_get(plan, "repairs"), "left"), *one;
    size_t i;
    json_array_foreach(left, i, one) {
        const char *file = ap_json_str(one, "model", NULL);
        if (file) json_object_set_new(one, "model", ap_json_string(ap_path_join(&t->arena, dir, file)));
    }
}

// The stage: plan and model from the store, or made and put there. *model is the file in the store.
static ap_err operate(table *t, const aipc_surgery_options *o, bench *b, json_t **plan, const char **model) {
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
        AP_TRY(open_oracle(t));
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
    aipc_surgery_options o = {0};
    table t;
    bench b = {0};
    json_t *plan = NULL;
    const char *model = NULL;
    ap_err err = NULL;
    memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    AP_TRY(table_open(c, o.model, &t));
    AP_TRY(read_request(&t, &o));
    if (o.target) AP_TRY(bench_open(&t, &o, &b));
    AP_TRY(operate(&t, &o, &b, &plan, &model));
    if (o.save) AP_TRY(copy_model(model, o.save));
    if (o.plan) AP_TRY(save_plan(o.plan, plan));
    json_object_set_new(plan, "nodes_before", json_integer((json_int_t)t.model->graph->node_count));
    json_object_set_new(plan, "stored", ap_json_string(model));
    json_object_set(plan, "warnings", t.warnings);
    err = short_of(plan, o.target);
    give(json_incref(plan), document);
done:
    json_decref(plan);
    bench_release(&b);
    table_release(&t);
    return ap_err_stage(ap_err_subject(err, o.model), "surgery");
}

// ---- apply

static ap_err check_source(const table *t, const json_t *plan, const char *model) {
    const json_t *source = json_object_get(plan, "source");
    const char *want = ap_json_str(source, "sha256", "");
    if (strcmp(want, t->digest) == 0) return NULL;
    ap_err err = ap_err_new(
        AP_ERR_GATE, "the plan was made for another model: %s has sha256 %.12s…, the plan wants %.12s… (%s)",
        model, t->digest, want, ap_json_str(source, "file", "?"));
    return ap_err_hint(err, "make the plan again with 'aipc surgery'");
}

// The error of a replay with what may explain it.
static ap_err explain(const table *t, const json_t *plan, ap_err err) {
    const json_t *oracle = json_object_get(plan, "oracle");
    if (ap_err_code(err) == AP_ERR_GATE && strcmp(ap_json_str(oracle, "sha256", ""), t->ort.sha256) != 0)
        err = ap_err_note(err, "the plan's constants were computed by another build of %s",
                          ap_json_str(oracle, "name", "the oracle"));
    return err;
}

// Rules have no hash of the whole model: the end must be the recorded one.
static ap_err check_result(const json_t *plan, const ap_cleaned *now) {
    const char *want = ap_json_str(json_object_get(plan, "result"), "sha256", NULL);
    if (!want || strcmp(want, now->sha256) == 0) return NULL;
    ap_err err = ap_err_new(AP_ERR_GATE, "the plan ends in another model: sha256 %.12s…, recorded is %.12s…",
                            now->sha256, want);
    return ap_err_hint(err, "make the plan again with 'aipc surgery'");
}

aipc_error *aipc_apply(aipc_context *c, const char *model, const char *plan_path, const char *out,
                       char **document) {
    table t;
    json_t *plan = NULL;
    ap_cleaned done_model = {0};
    ap_plan_rules rules = {0};
    ap_err err = NULL;
    AP_TRY(table_open(c, model, &t));
    AP_TRY(ap_plan_load(plan_path, &plan));
    AP_TRY(check_source(&t, plan, model));
    t.params = json_incref(json_object_get(plan, "params"));
    size_t before = t.model->graph->node_count;
    AP_TRY(ap_freeze_shapes(t.model, json_object_get(plan, "shapes")));
    AP_TRY(neutral_set(&t));
    AP_TRY(open_oracle(&t));
    ap_pass_context context = {.oracle = &t.oracle, .params = t.params};
    AP_TRY(ap_plan_rules_open(c, plan, &context, &rules));
    err = ap_replay(t.model, json_object_get(plan, "steps"), &context, &done_model);
    if (err) {
        err = explain(&t, plan, err);
        goto done;
    }
    AP_TRY(check_result(plan, &done_model));
    AP_TRY(ap_model_save(done_model.model, out, &(ap_save_options){.embed = t.outside}));
    give(json_pack("{ss,ss,sI,s[I,I]}", "file", out, "sha256", done_model.sha256, "steps",
                   (json_int_t)json_array_size(json_object_get(plan, "steps")), "nodes", (json_int_t)before,
                   (json_int_t)done_model.model->graph->node_count),
         document);
done:
    json_decref(plan);
    ap_cleaned_release(&done_model);
    ap_plan_rules_close(&rules);
    table_release(&t);
    return ap_err_stage(ap_err_subject(err, model), "apply");
}

// ---- rebase

static json_t *new_plan_of(const table *t, const json_t *old, const char *model, const ap_cleaned *now,
                           const json_t *report) {
    json_t *plan = json_copy((json_t *)(uintptr_t)old);
    json_object_set_new(
        plan, "source",
        json_pack("{so,ss}", "file", ap_json_string(ap_path_base(model)), "sha256", t->digest));
    json_object_set_new(plan, "opset", json_integer((json_int_t)t->model->opset));
    json_object_set_new(plan, "aipc", json_string(AP_VERSION));
    json_object_set_new(plan, "oracle", json_pack("{ss,ss}", "name", t->ort.name, "sha256", t->ort.sha256));
    json_object_set(plan, "steps", json_object_get(report, "steps"));
    json_object_set(plan, "refused", json_object_get(report, "refused"));
    json_object_set_new(
        plan, "result",
        json_pack("{ss,sI}", "sha256", now->sha256, "nodes", (json_int_t)now->model->graph->node_count));
    return plan;
}

aipc_error *aipc_rebase(aipc_context *c, const char *model, const char *plan_path, const char *new_plan,
                        const char *out, char **document) {
    table t;
    json_t *plan = NULL, *report = NULL, *made = NULL;
    ap_cleaned now = {0};
    ap_plan_rules rules = {0};
    ap_err err = NULL;
    AP_TRY(table_open(c, model, &t));
    AP_TRY(ap_plan_load(plan_path, &plan));
    t.params = json_incref(json_object_get(plan, "params"));
    AP_TRY(ap_freeze_shapes(t.model, json_object_get(plan, "shapes")));
    AP_TRY(make_sets(&t, (ap_input_request){.seed = 1}, 2));
    AP_TRY(open_oracle(&t));
    ap_pass_context context = {.oracle = &t.oracle, .params = t.params};
    AP_TRY(ap_plan_rules_open(c, plan, &context, &rules));
    ap_clean_options o = {.oracle = &t.oracle,
                          .params = t.params,
                          .order = json_object_get(plan, "steps"),
                          .rules = context.rules,
                          .pieces = context.pieces,
                          .compute = context.compute};
    AP_TRY(ap_clean(t.model, &o, &now, &report));
    made = new_plan_of(&t, plan, model, &now, report);
    if (out) AP_TRY(ap_model_save(now.model, out, &(ap_save_options){.embed = t.outside}));
    AP_TRY(ap_plan_save(new_plan, made));
    give(json_incref(made), document);
done:
    json_decref(plan);
    json_decref(report);
    json_decref(made);
    ap_cleaned_release(&now);
    ap_plan_rules_close(&rules);
    table_release(&t);
    return ap_err_stage(ap_err_subject(err, model), "rebase");
}

// ---- diff

aipc_error *aipc_diff(const char *a, const char *b, char **document) {
    ap_model *x = NULL, *y = NULL;
    json_t *doc = NULL;
    ap_err err = NULL;
    AP_TRY(ap_model_load(a, &x));
    AP_TRY(ap_model_load(b, &y));
    AP_TRY(ap_graph_diff(x, y, &doc));
    give(doc, document);
done:
    ap_model_free(x);
    ap_model_free(y);
    return err;
}
