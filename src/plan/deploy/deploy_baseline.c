// SPDX-License-Identifier: Apache-2.0
// Stage 1 and 2: what the original computes, and the interface it has. Golden first: all later work is judged
// against it.
#include "golden/trace.h"
#include "graph/channel.h"
#include "plan/deploy/deploy.h"

#include <stdlib.h>

// What is asked of the oracle: null for the outputs alone, or every value that carries data, and the outputs.
static json_t *wanted(const ap_deployment *d) {
    const char **names = NULL;
    size_t count = 0;
    if (!d->o->intermediates) return json_null();
    json_t *list = json_array();
    for (size_t i = 0; i < d->model->graph->output_count; i++)
        json_array_append_new(list, ap_json_string(d->model->graph->outputs[i]->name));
    ap_trace_candidates(d->model, &names, &count);
    for (size_t i = 0; i < count; i++)
        if (!ap_graph_value(d->model->graph, names[i])->is_output)
            json_array_append_new(list, ap_json_string(names[i]));
    free(names);
    return list;
}

// Takes over a record: outputs first, then intermediates, whose files lie in `dir`.
static void adopt(ap_deployment *d, const json_t *record, const char *dir) {
    d->baseline_dir = ap_deploy_keep(d, dir);
    json_t *all = json_deep_copy(json_object_get(record, "outputs"));
    ap_tensors_to_paths(all, dir);
    d->golden = json_array();
    d->intermediates = json_array();
    for (size_t i = 0; i < json_array_size(all); i++)
        json_array_append(i < d->model->graph->output_count ? d->golden : d->intermediates,
                          json_array_get(all, i));
    ap_graph_channel_axes(d->model->graph, d->golden);
    json_decref(all);
    d->baseline_stage = json_incref(json_object_get(record, "stage"));
}

// What went in, hashed: the model, its shapes, each input's elements.
static json_t *inputs_json(const ap_deployment *d) {
    json_t *all = json_pack("{ss,sO}", "model", d->digest, "shapes", d->shapes), *in;
    size_t i;
    json_array_foreach(json_object_get(d->contract, "inputs"), i, in) {
        ap_buf name = {0};
        ap_buf_printf(&name, "input %s", ap_json_str(in, "name", "?"));
        json_object_set(all, ap_buf_str(&name), json_object_get(in, "data_sha256"));
        ap_buf_free(&name);
    }
    return all;
}

static ap_err run_golden(ap_deployment *d) {
    const ap_target_id cpu = ap_cpu_target();
    ap_arena a = {0};
    ap_worker *w = NULL;
    json_t *result = NULL, *record = NULL, *hashes = NULL;
    char *work = NULL;
    double golden_s = 0;
    uint64_t start = ap_now_us();
    ap_err err = NULL;
    AP_TRY(ap_store_begin(&d->store, &a, &work));
    AP_TRY(ap_deploy_worker(d, &cpu, "golden", AP_ANY_CPU, &w));
    json_t *args = json_pack("{so,sO,so,ss}", "model", ap_deploy_spec(d), "inputs", d->input_tensors,
                             "tensors", wanted(d), "dir", work);
    AP_TRY(ap_deploy_call(d, w, AP_TIME_GOLDEN, "oracle", args, &golden_s, &result));
    json_t *outputs = json_object_get(result, "outputs");
    AP_TRY(ap_deploy_hashes(outputs, d->model->graph->output_count, &hashes));
    ap_tensors_to_names(outputs);
    json_t *stage = ap_stage_json("baseline", NULL, d->baseline_key, (double)(ap_now_us() - start) / 1e6, 0,
                                  golden_s, NULL, inputs_json(d), json_incref(hashes));
    record = json_pack("{so,sO}", "stage", stage, "outputs", outputs);
    char *dir = NULL;
    AP_TRY(ap_store_commit(&d->store, d->baseline_key, work, record, &a, &dir));
    work = NULL;
    adopt(d, record, dir);
done:
    ap_worker_stop(w, NULL);
    ap_store_discard(work);
    json_decref(result);
    json_decref(record);
    json_decref(hashes);
    ap_arena_release(&a);
    if (ap_err_code(err) == AP_ERR_MODEL_INVALID && d->o->shape_count)
        err = ap_err_hint(err, "the sizes given with --shape may not fit each other, or the model");
    return ap_err_stage(err, "baseline");
}

// The contract's outputs are what the golden run really made.
static ap_err make_interface(ap_deployment *d) {
    json_t *outputs = json_array(), *o;
    size_t i;
    ap_err err = NULL;
    json_array_foreach(d->golden, i, o) {
        if (!json_is_string(json_object_get(o, "file")))
            AP_FAIL(AP_ERR_MODEL_INVALID, "output '%s' is no tensor; only tensor outputs can be deployed",
                    ap_json_str(o, "name", "?"));
        json_array_append_new(outputs,
                              json_pack("{sO,sO,sO,sO*}", "name", json_object_get(o, "name"), "dtype",
                                        json_object_get(o, "dtype"), "dims", json_object_get(o, "dims"),
                                        "channel_axis", json_object_get(o, "channel_axis")));
    }
    json_object_set(d->contract, "outputs", outputs);
    ap_buf metric = {0};
    ap_buf_printf(&metric, "contract of %zu input%s, %zu output%s", json_array_size(d->input_tensors),
                  json_array_size(d->input_tensors) == 1 ? "" : "s", json_array_size(outputs),
                  json_array_size(outputs) == 1 ? "" : "s");
    d->interface_stage = ap_stage_json("interface", NULL, NULL, 0, 0, 0, ap_buf_str(&metric),
                                       json_pack("{ss}", "baseline", d->baseline_key), NULL);
    json_object_set_new(d->baseline_stage, "key_metric", ap_json_string("golden outputs kept"));
    ap_buf_free(&metric);
done:
    json_decref(outputs);
    return err;
}

void ap_job_baseline(void *deployment, ap_jobs *jobs, size_t self, size_t slot) {
    ap_deployment *d = deployment;
    json_t *record = NULL;
    ap_arena a = {0};
    (void)jobs;
    (void)self;
    (void)slot; // the CPU provider brings threads of its own
    char *dir = NULL;
    ap_err err = ap_deploy_find(d, d->baseline_key, &a, &dir, &record);
    if (!err && record) {
        adopt(d, record, dir);
        json_object_set_new(d->baseline_stage, "cached", json_true());
    } else if (!err) {
        err = run_golden(d);
    }
    if (!err) err = make_interface(d);
    d->baseline_err = err;
    ap_deploy_step(d, "golden run");
    json_decref(record);
    ap_arena_release(&a);
}
