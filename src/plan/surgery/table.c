// SPDX-License-Identifier: Apache-2.0
#include "plan/surgery/table.h"

#include "base/file.h"
#include "plan/surgery/outside.h"
#include "plan/surgery/surgery.h"

ap_err ap_table_open(aipc_context *c, const char *model, ap_table *t) {
    ap_err err = NULL;
    *t = (ap_table){.c = c, .warnings = json_array(), .input_hashes = json_array()};
    AP_TRY(ap_model_load(model, &t->model));
    AP_TRY(ap_model_digest(t->model, t->digest));
    AP_TRY(ap_table_folder(c, &t->model, &t->arena, &t->dir, &t->outside));
    AP_TRY(ap_runtime_find(c->data_dir, "onnxruntime", &t->ort));
done:
    return err;
}

void ap_table_release(ap_table *t) {
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

ap_err ap_table_sets(ap_table *t, ap_input_request r, size_t wanted) {
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

ap_err ap_table_neutral_set(ap_table *t) {
    ap_input_request r = {.seed = 1};
    ap_err err = ap_zero_inputs(t->model, json_object_get(t->params, "fixed"), t->dir, &t->arena, &r.inputs,
                                &r.input_count);
    return err ? err : ap_table_sets(t, r, 1);
}

ap_err ap_table_oracle(ap_table *t) {
    ap_target_id cpu = ap_cpu_target();
    ap_worker_setup setup = {.cpu = AP_ANY_CPU, .log_path = ap_path_join(&t->arena, t->dir, "worker.log")};
    ap_err err = ap_open_worker(t->c, &cpu, &setup, &t->worker);
    if (err) return err;
    t->asked.worker = t->worker;
    t->asked.dir = t->dir;
    t->oracle = ap_worker_oracle_of(&t->asked);
    return NULL;
}
