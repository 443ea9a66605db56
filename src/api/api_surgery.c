// SPDX-License-Identifier: Apache-2.0
// surgery, apply, diff.
#include "graph/graph_diff.h"
#include "device/runtime.h"
#include "golden/contract.h"
#include "golden/request.h"
#include "plan/store.h"
#include "plan/workers.h"
#include "surgery/clean.h"
#include "surgery/clean_worker.h"
#include "surgery/freeze.h"
#include "surgery/record.h"
#include "tensor/npy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
    AP_TRY(ap_mkdtemp(ap_path_scratch(&t->arena), "aipc-surgery", &t->arena, &t->dir));
    AP_TRY(ap_model_load(model, &t->model));
    AP_TRY(ap_model_digest(t->model, t->digest));
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

// ---- values the user fixes

// As many numbers as the tensor has elements, or one for all of them.
static ap_err read_numbers(const char *text, const char *arg, ap_tensor *wide) {
    size_t count = ap_tensor_count(wide);
    const char *p = text;
    bool single = !strchr(text, ',');
    for (size_t i = 0; i < count; i++) {
        char *end;
        bool last = single || i + 1 == count;
        errno = 0;
        if (wide->dtype == AP_F64)
            ((double *)wide->data)[i] = strtod(p, &end);
        else
            ((int64_t *)wide->data)[i] = strtoll(p, &end, 0);
        if (end == p || errno || *end != (last ? 0 : ','))
            return ap_err_new(AP_ERR_USAGE, "--fix %s: '%s' is not %zu number%s", arg, text, count,
                              count == 1 ? "" : "s");
        if (!last) p = end + 1;
    }
    return NULL;
}

static ap_err fix_one(table *t, const char *arg, json_t *fixed) {
    char *name = NULL;
    const char *text = NULL;
    ap_dtype dtype;
    int64_t dims[AP_MAX_RANK];
    size_t rank = 0;
    ap_tensor wide = {0}, value = {0};
    ap_err err = NULL;
    AP_TRY(ap_request_split(arg, "--fix", "INPUT=VALUE", &t->arena, &name, &text));
    if (!ap_request_is_input(t->model, name)) {
        err = ap_request_unknown_input(t->model, name, "--fix");
        goto done;
    }
    const ap_value *v = ap_graph_value(t->model->graph, name);
    if (!ap_value_shape(v, &dtype, dims, &rank, NULL) || !ap_dtype_bits(dtype))
        AP_FAIL(AP_ERR_INPUT_DTYPE, "--fix %s: only inputs that are tensors of numbers can be fixed", arg);
    AP_TRY(ap_tensor_alloc(ap_dtype_is_float(dtype) ? AP_F64 : AP_I64, dims, rank, &wide));
    AP_TRY(read_numbers(text, arg, &wide));
    AP_TRY(ap_tensor_cast(&wide, dtype, &value));
    json_object_set_new(fixed, name, ap_fixed_json(&value));
done:
    ap_tensor_free(&wide);
    ap_tensor_free(&value);
    return err;
}

// ---- input sets

// Writes the fixed values where input sets find them; *args: the user's inputs and these.
static ap_err input_args(table *t, const char *const *inputs, size_t count, const char ***args, size_t *n) {
    json_t *fixed = json_object_get(t->params, "fixed"), *one;
    const char *name, **list = ap_arena_calloc(&t->arena, count + json_object_size(fixed) + 1, sizeof *list);
    ap_err err = NULL;
    for (*n = 0; *n < count; ++*n) list[*n] = inputs[*n];
    json_object_foreach(fixed, name, one) {
        ap_tensor value = {0};
        char *path = ap_path_join(&t->arena, t->dir, ap_arena_printf(&t->arena, "fixed%zu.npy", *n));
        err = ap_fixed_tensor(one, name, &value);
        if (!err) err = ap_npy_write(path, &value);
        ap_tensor_free(&value);
        if (err) return err;
        list[(*n)++] = ap_arena_printf(&t->arena, "%s=%s", name, path);
    }
    *args = list;
    return NULL;
}

// One set from what the user gave; a second with other random numbers unless every input comes from a file.
static ap_err make_sets(table *t, ap_input_request r, size_t wanted) {
    ap_err err = NULL;
    AP_TRY(input_args(t, r.inputs, r.input_count, (const char ***)(uintptr_t)&r.inputs, &r.input_count));
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

static void say_step(void *user, const json_t *step) {
    table *t = user;
    const json_t *nodes = json_object_get(step, "nodes");
    ap_context_progress(t->c, (size_t)ap_json_int(step, "n", 0), 0, "%s: %lld nodes",
                        ap_json_str(step, "name", ""),
                        (long long)json_integer_value(json_array_get(nodes, json_array_size(nodes) - 1)));
}

static json_t *plan_of(const table *t, const char *model, const ap_cleaned *done, const json_t *report) {
    return json_pack("{si,ss,ss,s{so,ss},sI,sO,sO,s{ss,ss},s{ss,sI},sO,sO}", "format", AP_PLAN_FORMAT, "kind",
                     "aipc plan", "aipc", AP_VERSION, "source", "file", ap_json_string(ap_path_base(model)),
                     "sha256", t->digest, "opset", (json_int_t)t->model->opset, "shapes", t->shapes, "params",
                     t->params, "oracle", "name", t->ort.name, "sha256", t->ort.sha256, "result", "sha256",
                     done->sha256, "nodes", (json_int_t)done->model->graph->node_count, "steps",
                     json_object_get(report, "steps"), "refused", json_object_get(report, "refused"));
}

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
    for (size_t i = 0; i < o->fixed_count; i++) AP_TRY(fix_one(t, o->fixed[i], fixed));
    AP_TRY(make_sets(t, r, 2));
done:
    return err;
}

// Runs the passes; the model goes to `save`.
static ap_err operate(table *t, const aipc_surgery_options *o, const char *save, json_t **plan) {
    ap_clean_options clean = {.params = t->params,
                              .skip = o->skip,
                              .skip_count = o->skip_count,
                              .oracle = &t->oracle,
                              .step = say_step,
                              .user = t};
    ap_cleaned done_model = {0};
    json_t *report = NULL;
    ap_err err = NULL;
    AP_TRY(open_oracle(t));
    AP_TRY(ap_clean(t->model, &clean, &done_model, &report));
    if (save) AP_TRY(ap_model_save(done_model.model, save, NULL));
    *plan = plan_of(t, o->model, &done_model, report);
done:
    json_decref(report);
    ap_cleaned_release(&done_model);
    return err;
}

// The result depends on this and nothing else.
static void make_key(const table *t, const aipc_surgery_options *o, char key[65]) {
    json_t *passes = json_object(), *skip = json_array();
    for (const ap_pass *p = ap_passes; p->name; p++)
        json_object_set_new(passes, p->name, json_integer(p->version));
    for (size_t i = 0; i < o->skip_count; i++) json_array_append_new(skip, ap_json_string(o->skip[i]));
    json_t *in = json_pack("{ss,si,ss,ss,sO,sO,sO,so,so,ss}", "stage", "surgery", "format", AP_PLAN_FORMAT,
                           "aipc", AP_VERSION, "model", t->digest, "shapes", t->shapes, "params", t->params,
                           "inputs", t->input_hashes, "passes", passes, "skip", skip, "ort", t->ort.sha256);
    ap_store_key(in, key);
    json_decref(in);
}

// The stage: plan and model from the store, or made and put there. *model is the file in the store.
static ap_err stored(table *t, const aipc_surgery_options *o, json_t **plan, const char **model) {
    ap_store store = {0};
    json_t *record = NULL, *made = NULL;
    char key[65], *dir = NULL, *work = NULL;
    ap_err err = NULL;
    AP_TRY(ap_store_open(t->c->cache_dir, &store));
    make_key(t, o, key);
    AP_TRY(ap_store_get(&store, key, &t->arena, &dir, &record));
    if (!record) {
        AP_TRY(ap_store_begin(&store, &t->arena, &work));
        AP_TRY(operate(t, o, ap_path_join(&t->arena, work, "model.onnx"), &made));
        record = json_pack("{ss,sO}", "stage", "surgery", "plan", made);
        AP_TRY(ap_store_commit(&store, key, work, record, &t->arena, &dir));
        work = NULL;
    }
    *plan = json_deep_copy(json_object_get(record, "plan"));
    json_object_set_new(json_object_get(*plan, "source"), "file", ap_json_string(ap_path_base(o->model)));
    *model = ap_path_join(&t->arena, dir, "model.onnx");
done:
    ap_store_discard(work);
    json_decref(record);
    json_decref(made);
    ap_store_close(&store);
    return err;
}

aipc_error *aipc_surgery(aipc_context *c, const aipc_surgery_options *o, char **document) {
    table t;
    json_t *plan = NULL;
    const char *model = NULL;
    ap_err err = NULL;
    AP_TRY(table_open(c, o->model, &t));
    AP_TRY(read_request(&t, o));
    // Files of weights beside a model stay where they are: such a result is not kept.
    if (t.model->external.count)
        AP_TRY(operate(&t, o, o->save, &plan));
    else
        AP_TRY(stored(&t, o, &plan, &model));
    if (model && o->save) AP_TRY(ap_file_copy(model, o->save));
    if (o->plan) AP_TRY(ap_plan_save(o->plan, plan));
    json_object_set_new(plan, "nodes_before", json_integer((json_int_t)t.model->graph->node_count));
    json_object_set_new(plan, "stored", ap_json_string(model));
    json_object_set(plan, "warnings", t.warnings);
    give(json_incref(plan), document);
done:
    json_decref(plan);
    table_release(&t);
    return ap_err_stage(ap_err_subject(err, o->model), "surgery");
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

aipc_error *aipc_apply(aipc_context *c, const char *model, const char *plan_path, const char *out,
                       char **document) {
    table t;
    json_t *plan = NULL;
    ap_cleaned done_model = {0};
    ap_err err = NULL;
    AP_TRY(table_open(c, model, &t));
    AP_TRY(ap_plan_load(plan_path, &plan));
    AP_TRY(check_source(&t, plan, model));
    t.params = json_incref(json_object_get(plan, "params"));
    size_t before = t.model->graph->node_count;
    AP_TRY(ap_freeze_shapes(t.model, json_object_get(plan, "shapes")));
    AP_TRY(make_sets(&t, (ap_input_request){.seed = 1}, 1));
    AP_TRY(open_oracle(&t));
    ap_pass_context context = {.oracle = &t.oracle, .params = t.params};
    err = ap_replay(t.model, json_object_get(plan, "steps"), &context, &done_model);
    if (err) {
        err = explain(&t, plan, err);
        goto done;
    }
    AP_TRY(ap_model_save(done_model.model, out, NULL));
    give(json_pack("{ss,ss,sI,s[I,I]}", "file", out, "sha256", done_model.sha256, "steps",
                   (json_int_t)json_array_size(json_object_get(plan, "steps")), "nodes", (json_int_t)before,
                   (json_int_t)done_model.model->graph->node_count),
         document);
done:
    json_decref(plan);
    ap_cleaned_release(&done_model);
    table_release(&t);
    return ap_err_stage(ap_err_subject(err, model), "apply");
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
