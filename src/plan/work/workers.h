// SPDX-License-Identifier: Apache-2.0
// workers: starts a worker for a target with the installed runtimes. The one place that knows what a target
// needs.
#ifndef AP_PLAN_WORKERS_H
#define AP_PLAN_WORKERS_H

#include "plan/work/context.h"
#include "target/soc.h"
#include "worker/worker.h"

#define AP_ANY_CPU SIZE_MAX

typedef struct ap_worker_setup {
    const char *log_path;
    size_t cpu;                     // the processor to stay on; AP_ANY_CPU: free
    unsigned timeout_s, memory_mib; // 0: defaults
} ap_worker_setup;

// Errors: RUNTIME_MISSING with the install command, WORKER_*, what the target says.
AP_MUST ap_err ap_open_worker(aipc_context *c, const ap_target_id *target, const ap_worker_setup *s,
                              ap_worker **out);
// Is what such a worker needs installed? For who has long work to do before. Errors: RUNTIME_MISSING.
AP_MUST ap_err ap_worker_ready(aipc_context *c, const ap_target_id *target);
// The target every golden run uses; "cpu".
ap_target_id ap_cpu_target(void);
// What its `oracle` is called with for these tensors of a model (a SPEC, taken) on `inputs`; files go to
// `dir` (target/target.h).
json_t *ap_oracle_args(json_t *model, const json_t *inputs, const json_t *tensors, const char *dir);

#endif
