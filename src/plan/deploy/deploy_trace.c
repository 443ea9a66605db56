// SPDX-License-Identifier: Apache-2.0
// The per-tensor comparison along the graph.
//
// A tensor that is exposed as an output can no longer be fused away, so a traced graph may compute other
// numbers than the shipped one. Tensors inside groups the HTP is known to fuse are therefore left out, and
// the traced run's real outputs are compared bit by bit with the plain run's: the report says whether the
// trace describes the shipped graph.
#include "plan/deploy/deploy.h"

#include "base/hash.h"
#include "golden/trace.h"
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TRACED 400

static bool is_one_of(const char *op, const char *const *list) {
    for (; *list; list++)
        if (strcmp(op, *list) == 0) return true;
    return false;
}

// Inside a fused group: made by a matrix op (or the gate of a SiLU) and read only by the activation that
// follows it.
static bool inside_fused_group(const ap_value *v) {
    static const char *const makers[] = {
        "Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "Add", NULL};
    static const char *const activations[] = {
        "Relu",        "Clip", "Sigmoid", "HardSwish", "LeakyRelu",          "PRelu", "Tanh", "Mul",
        "HardSigmoid", "Gelu", "Erf",     "Add",       "BatchNormalization", NULL};
    const ap_node *p = v->producer;
    if (!p || v->is_output || v->use_count == 0) return false;
    if (strcmp(p->op, "Sigmoid") == 0 || strcmp(p->op, "HardSigmoid") == 0 || strcmp(p->op, "Erf") == 0)
        return v->use_count == 1 && strcmp(v->uses[0].node->op, "Mul") == 0;
    if (!is_one_of(p->op, makers) || strcmp(p->op, "Add") == 0) return false;
    for (size_t i = 0; i < v->use_count; i++)
        if (!is_one_of(v->uses[i].node->op, activations)) return false;
    return true;
}

// Candidates, evenly thinned when there are too many, without fused ones and without graph outputs.
static void choose(const ap_model *m, const char ***names, size_t *count) {
    const char **all = NULL;
    size_t n = 0, kept = 0;
    ap_trace_candidates(m, &all, &n);
    for (size_t i = 0; i < n; i++) {
        const ap_value *v = ap_graph_value(m->graph, all[i]);
        if (!v || v->is_output || inside_fused_group(v)) continue;
        all[kept++] = all[i];
    }
    if (kept > MAX_TRACED) {
        for (size_t i = 0; i < MAX_TRACED; i++) all[i] = all[i * kept / MAX_TRACED];
        kept = MAX_TRACED;
    }
    *names = all;
    *count = kept;
}

static json_t *float_names(const json_t *tensors) {
    json_t *list = json_array(), *t;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)tensors, i,
                       t) if (ap_dtype_is_float(ap_dtype_from_name(ap_json_str(t, "dtype", ""))))
        json_array_append(list, json_object_get(t, "name"));
    return list;
}

static ap_err golden_tensors(ap_deploy_target *t, const char *work, double *golden_s, json_t **out) {
    const ap_target_id cpu = ap_cpu_target();
    ap_deployment *d = t->d;
    ap_arena a = {0};
    const char **names = NULL;
    size_t count = 0;
    ap_worker *w = NULL;
    char *dir = NULL;
    json_t *wanted = json_array(), *result = NULL;
    ap_err err = NULL;
    choose(t->model, &names, &count);
    for (size_t i = 0; i < count; i++) json_array_append_new(wanted, ap_json_string(names[i]));
    for (size_t i = 0; i < t->model->graph->output_count; i++)
        json_array_append_new(wanted, ap_json_string(t->model->graph->outputs[i]->name));
    dir = ap_path_join(&a, work, "golden");
    AP_TRY(ap_mkdirs(dir));
    AP_TRY(ap_deploy_worker(d, &cpu, "trace", AP_ANY_CPU, &w));
    json_t *args = ap_oracle_args(ap_target_spec(t), d->input_tensors, wanted, dir);
    AP_TRY(ap_deploy_call(d, w, AP_TIME_GOLDEN, "oracle", args, golden_s, &result));
    *out = json_incref(json_object_get(result, "outputs"));
done:
    ap_worker_stop(w, NULL);
    free(names);
    json_decref(wanted);
    json_decref(result);
    ap_arena_release(&a);
    return err;
}

// Hashes of the real outputs, for the comparison with the plain run once that is there.
static ap_err output_hashes(const ap_deployment *d, const json_t *tensors, json_t **out) {
    json_t *all = json_object(), *t;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)tensors, i, t) {
        const ap_value *v = ap_graph_value(d->model->graph, ap_json_str(t, "name", ""));
        ap_tensor x = {0};
        if (!v || !v->is_output) continue;
        ap_err err = ap_npy_open(t, &x);
        if (err) {
            json_decref(all);
            return err;
        }
        ap_digest h = ap_sha256_of(x.data, x.bytes);
        ap_tensor_free(&x);
        json_object_set_new(all, v->name, json_string(h.hex));
    }
    *out = all;
    return NULL;
}

static ap_err make_trace(ap_deploy_target *t, size_t slot, const char *key) {
    ap_deployment *d = t->d;
    ap_arena a = {0};
    json_t *golden = NULL, *target = NULL, *list = NULL, *hashes = NULL, *record = NULL, *names = NULL;
    char *work = NULL, *dir = NULL;
    double golden_s = 0, vendor_s = 0;
    uint64_t start = ap_now_us();
    ap_err err = NULL;
    // Every tensor of a model twice: in the store's folder, on a disk. Scratch is memory, and small in
    // containers.
    AP_TRY(ap_store_begin(&d->store, &a, &work));
    AP_TRY(golden_tensors(t, work, &golden_s, &golden));
    names = float_names(golden);
    AP_TRY(ap_target_exposed(t, &(ap_exposed){.purpose = "trace", .slot = slot, .names = names, .dir = work},
                             &vendor_s, &target));
    AP_TRY(ap_trace_compare(t->model, golden, target, &list));
    AP_TRY(output_hashes(d, target, &hashes));
    ap_store_discard(work);
    work = NULL;
    t->trace = json_pack("{sO,sO}", "list", list, "output_sha256", hashes);
    ap_buf metric = {0};
    ap_buf_printf(&metric, "%zu tensors compared", json_array_size(list));
    t->trace_stage = ap_stage_json(
        "trace", t, key, (double)(ap_now_us() - start) / 1e6, vendor_s, golden_s, ap_buf_str(&metric),
        json_pack("{ss,ss}", "build", t->build_key, "baseline", d->baseline_key), NULL);
    ap_buf_free(&metric);
    record = json_pack("{sO,sO}", "stage", t->trace_stage, "result", t->trace);
    AP_TRY(ap_store_begin(&d->store, &a, &work));
    AP_TRY(ap_store_commit(&d->store, key, work, record, &a, &dir));
    work = NULL;
done:
    ap_store_discard(work);
    json_decref(golden);
    json_decref(target);
    json_decref(list);
    json_decref(hashes);
    json_decref(names);
    json_decref(record);
    ap_arena_release(&a);
    return err;
}

void ap_job_trace(void *target, ap_jobs *jobs, size_t self, size_t slot) {
    ap_deploy_target *t = target;
    ap_deployment *d = t->d;
    char key[65];
    json_t *inputs =
        json_pack("{ss,ss,ss}", "stage", "trace", "build", t->build_key, "baseline", d->baseline_key);
    (void)jobs;
    (void)self;
    ap_store_key(inputs, key);
    ap_err err = t->surgery && !ap_json_bool(t->surgery, "passed", false) && !t->own_model
                     ? ap_err_new(AP_ERR_REFUSED, "the target is known not to take the model")
                     : ap_deploy_recall(d, key, &t->trace, &t->trace_stage, NULL);
    if (!err && !t->trace) err = make_trace(t, slot, key);
    // A trace is evidence beside the gates, not one of them: when it cannot be had, the report says why.
    if (err) {
        json_decref(t->trace);
        t->trace = json_pack("{s[],so}", "list", "note", ap_json_string(ap_err_message(err)));
        ap_err_free(err);
    }
    ap_deploy_step(d, "%s: per-tensor comparison", t->id.text);
    json_decref(inputs);
}
