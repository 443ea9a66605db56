// SPDX-License-Identifier: Apache-2.0
#include "plan/work/workers.h"

#include "base/cpu.h"
#include "device/runtime.h"

ap_target_id ap_cpu_target(void) {
    return (ap_target_id){.kind = "cpu", .text = "cpu", .folder = "cpu"};
}

static ap_err find_runtimes(aipc_context *c, const ap_target_id *target, ap_runtime *ort, ap_runtime *qnn) {
    ap_err err = ap_runtime_find(c->data_dir, "onnxruntime", ort);
    return err || !target->soc ? err : ap_runtime_find(c->data_dir, "onnxruntime-qnn", qnn);
}

ap_err ap_worker_ready(aipc_context *c, const ap_target_id *target) {
    ap_runtime ort = {0}, qnn = {0};
    ap_err err = find_runtimes(c, target, &ort, &qnn);
    ap_runtime_release(&ort);
    ap_runtime_release(&qnn);
    return err;
}

ap_err ap_open_worker(aipc_context *c, const ap_target_id *target, const ap_worker_setup *s,
                      ap_worker **out) {
    ap_arena a = {0};
    ap_runtime ort = {0}, qnn = {0};
    char *program = NULL;
    json_t *config = json_pack("{ss}", "target", target->kind);
    ap_err err = NULL;
    AP_TRY(find_runtimes(c, target, &ort, &qnn));
    AP_TRY(ap_worker_program(&a, &program));
    json_object_set_new(config, "ort", ap_json_string(ap_runtime_file(&ort, "libonnxruntime.so.1")));
    if (target->soc) {
        json_object_set_new(config, "qnn_dir", ap_json_string(qnn.dir));
        json_object_set_new(config, "soc_model", json_integer(target->soc->soc_model));
    }
    // Two emulators on two processors disturb each other unless each keeps to its own.
    if (s->cpu != AP_ANY_CPU && ap_cpu_count() > 1)
        json_object_set_new(config, "cpu", json_integer((json_int_t)s->cpu));
    ap_worker_options o = {.program = program,
                           .config = config,
                           .log_path = s->log_path,
                           .timeout_s = s->timeout_s,
                           .memory_limit_bytes = (uint64_t)s->memory_mib << 20};
    AP_TRY(ap_worker_start(&o, out));
done:
    json_decref(config);
    ap_runtime_release(&ort);
    ap_runtime_release(&qnn);
    ap_arena_release(&a);
    return err;
}

json_t *ap_oracle_args(json_t *model, const json_t *inputs, const json_t *tensors, const char *dir) {
    return json_pack("{so,sO,sO,ss}", "model", model, "inputs", inputs, "tensors", tensors, "dir", dir);
}
