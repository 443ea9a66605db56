// SPDX-License-Identifier: Apache-2.0
// What plan/artifact*.c and the public interface share.
#ifndef AP_PLAN_ARTIFACT_PRIV_H
#define AP_PLAN_ARTIFACT_PRIV_H

#include "plan/artifact.h"
#include "worker/worker.h"

struct aipc_artifact {
    aipc_context *ctx;
    ap_arena arena;
    json_t *manifest, *target; // target: borrowed from the manifest
    char *dir;                 // OUT
    const char *scratch;
    ap_worker *worker;
    pthread_mutex_t lock; // one request at a time
    aipc_tensor *inputs, *outputs;
    size_t input_count, output_count;
};

// Reads and checks the manifest and chooses the target; starts nothing.
AP_MUST ap_err ap_artifact_open_manifest(aipc_context *c, const char *dir, const char *target,
                                         aipc_artifact **out);
// Error CORRUPT with both hashes when the file is not the one that was deployed.
AP_MUST ap_err ap_artifact_check_file(const char *path, const char *sha256);
// A run request on TENSOR refs; result {outputs, vendor_us}, files in a fresh folder of the scratch.
AP_MUST ap_err ap_artifact_run_refs(aipc_artifact *a, const json_t *inputs, json_t **result);

#endif
