// SPDX-License-Identifier: Apache-2.0
// Everything before the first vendor call: options, model, shapes, inputs, runtimes, keys.
#include "base/hash.h"
#include "base/log.h"
#include "graph/inspect.h"
#include "plan/deploy/deploy.h"
#include "plan/surgery/surgery.h"

#include <stdlib.h>
#include <string.h>

// Part of every key. Goes up when a stage computes or stores something else than before.
#define STORE_GENERATION 5

static const char *default_precision(const ap_target_id *id) {
    return id->soc ? "fp16" : "fp32";
}

static ap_err read_targets(ap_deployment *d) {
    static const char *const only_cpu[] = {"cpu"};
    const char *const *names = d->o->target_count ? d->o->targets : only_cpu;
    size_t n = d->o->target_count ? d->o->target_count : 1;
    ap_err err = NULL;
    if (d->o->precision && strcmp(d->o->precision, "fp16") != 0 && strcmp(d->o->precision, "fp32") != 0)
        AP_FAIL(AP_ERR_USAGE, "--precision is fp16 or fp32, not '%s'", d->o->precision);
    d->targets = ap_calloc(n, sizeof *d->targets);
    for (size_t i = 0; i < n; i++) {
        ap_deploy_target *t = &d->targets[d->target_count];
        AP_TRY(ap_target_parse(names[i], &t->id));
        for (size_t k = 0; k < d->target_count; k++)
            if (strcmp(d->targets[k].id.text, t->id.text) == 0)
                AP_FAIL(AP_ERR_USAGE, "target %s is named twice", t->id.text);
        t->d = d;
        t->precision = d->o->precision ? d->o->precision : default_precision(&t->id);
        if (!t->id.soc && strcmp(t->precision, "fp32") != 0)
            AP_FAIL(AP_ERR_USAGE, "target cpu runs the model as it is; --precision %s is for htp targets",
                    t->precision);
        AP_TRY(ap_gates_init(t->precision, d->o->gates, d->o->gate_count, &t->gates));
        pthread_mutex_init(&t->lock, NULL);
        d->target_count++;
    }
done:
    return err;
}

static ap_err find_runtimes(ap_deployment *d) {
    bool htp = false;
    for (size_t i = 0; i < d->target_count; i++) htp = htp || ap_deploy_is_htp(&d->targets[i]);
    ap_err err = ap_runtime_find(d->ctx->data_dir, "onnxruntime", &d->ort);
    if (!err && htp) err = ap_runtime_find(d->ctx->data_dir, "onnxruntime-qnn", &d->qnn);
    return err;
}

// The output folder is ours while we work; kept open by a lock the kernel drops if we die.
static ap_err take_out_dir(ap_deployment *d) {
    d->out_dir = ap_arena_strdup(&d->arena, d->o->out_dir ? d->o->out_dir : "out");
    d->logs = ap_path_join(&d->arena, d->out_dir, "logs");
    char *scratch = NULL, *dir = NULL;
    ap_err err = NULL;
    err = ap_mkdirs(d->logs);
    if (!err) err = ap_lock_take(ap_path_join(&d->arena, d->out_dir, ".lock"), &d->out_lock);
    AP_TRY(ap_err_hint(err, "choose another folder with -o"));
    scratch = ap_path_scratch(&d->arena);
    AP_TRY(ap_mkdtemp(scratch, "aipc", &d->arena, &dir));
    d->scratch = dir;
done:
    return ap_err_subject(err, d->out_dir);
}

static ap_err read_model(ap_deployment *d) {
    ap_input_request r = {.shapes = d->o->shapes,
                          .shape_count = d->o->shape_count,
                          .inputs = d->o->inputs,
                          .input_count = d->o->input_count,
                          .recipes = d->o->recipes,
                          .recipe_count = d->o->recipe_count,
                          .seed = d->o->seed};
    json_t *inputs = NULL;
    char *dir = NULL;
    ap_err err = NULL;
    d->fixed = json_object();
    if (!d->o->model) AP_FAIL(AP_ERR_USAGE, "no model given");
    AP_TRY(ap_path_real(d->o->model, &d->arena, &d->model_path));
    AP_TRY(ap_model_load(d->model_path, &d->model));
    AP_TRY(ap_model_digest(d->model, d->digest));
    AP_TRY(ap_contract_shapes(d->model, &r, &d->shapes));
    AP_TRY(ap_model_verify(d->model));
    if (d->model->graph->output_count == 0)
        AP_FAIL(AP_ERR_MODEL_INVALID, "the graph has no output, so there is nothing to compute");
    AP_TRY(ap_model_stats(d->model, NULL, &d->stats));
    AP_TRY(ap_deploy_scratch(d, "inputs", &dir));
    AP_TRY(ap_fixed_read(d->model, d->o->fixed, d->o->fixed_count, d->fixed));
    AP_TRY(ap_fixed_inputs(d->fixed, dir, r.inputs, r.input_count, &d->arena, &r.inputs, &r.input_count));
    AP_TRY(ap_contract_inputs(d->model, &r, dir, &inputs, &d->input_tensors, d->warnings));
    d->contract = json_pack("{so,sO}", "inputs", inputs, "shapes", d->shapes);
done:
    return ap_err_stage(ap_err_subject(err, d->o->model), "baseline");
}

json_t *ap_deploy_spec(const ap_deployment *d) {
    return json_pack("{ss,sO}", "file", d->model_path, "shapes", d->shapes);
}

json_t *ap_target_spec(const ap_deploy_target *t) {
    return json_pack("{ss,sO}", "file", t->model_path, "shapes", t->d->shapes);
}

// What the bits of the inputs are, without where they came from: the same photo under another name is the
// same input.
static json_t *input_hashes(const ap_deployment *d) {
    json_t *all = json_object(), *in;
    size_t i;
    json_array_foreach(json_object_get(d->contract, "inputs"), i, in)
        json_object_set(all, ap_json_str(in, "name", ""), json_object_get(in, "data_sha256"));
    return all;
}

void ap_target_keys(ap_deploy_target *t) {
    ap_deployment *d = t->d;
    json_t *build = json_pack(
        "{ss,si,ss,sO,ss,ss,ss,ss,sb,sb}", "stage", "build", "generation", STORE_GENERATION, "model",
        t->digest, "shapes", d->shapes, "target", t->id.text, "precision", t->precision, "ort", d->ort.sha256,
        "qnn", t->id.soc ? d->qnn.sha256 : "", "dlc", d->o->dlc && t->id.soc, "allow_cpu", t->allow_cpu);
    ap_store_key(build, t->build_key);
    json_t *align =
        json_pack("{ss,ss,ss}", "stage", "align", "build", t->build_key, "baseline", d->baseline_key);
    ap_store_key(align, t->align_key);
    json_decref(build);
    json_decref(align);
}

static void make_keys(ap_deployment *d) {
    json_t *base = json_pack("{ss,si,ss,sO,so,ss,sb}", "stage", "baseline", "generation", STORE_GENERATION,
                             "model", d->digest, "shapes", d->shapes, "inputs", input_hashes(d), "ort",
                             d->ort.sha256, "intermediates", d->o->intermediates);
    ap_store_key(base, d->baseline_key);
    json_decref(base);
    for (size_t i = 0; i < d->target_count; i++) {
        ap_deploy_target *t = &d->targets[i];
        t->model = d->model;
        t->model_path = d->model_path;
        memcpy(t->digest, d->digest, sizeof t->digest);
        ap_target_keys(t);
    }
}

ap_err ap_deploy_look(ap_deployment *d) {
    ap_err err = read_targets(d);
    return err ? err : find_runtimes(d);
}

ap_err ap_deploy_prepare(ap_deployment *d) {
    ap_err err = NULL;
    d->warnings = json_array();
    AP_TRY(ap_deploy_look(d));
    AP_TRY(take_out_dir(d));
    AP_TRY(ap_store_open(d->ctx->cache_dir, &d->store));
    AP_TRY(read_model(d));
    make_keys(d);
done:
    return err;
}
