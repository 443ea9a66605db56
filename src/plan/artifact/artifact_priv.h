// SPDX-License-Identifier: Apache-2.0
// What this folder and the public interface share.
#ifndef AP_PLAN_ARTIFACT_PRIV_H
#define AP_PLAN_ARTIFACT_PRIV_H

#include "base/heap.h"
#include "plan/artifact/artifact.h"
#include "plan/artifact/loan.h"
#include "worker/worker.h"

struct aipc_artifact {
    aipc_context *ctx;
    ap_arena arena;
    json_t *manifest, *target; // target: borrowed from the manifest
    char *dir;                 // OUT
    const char *scratch;
    ap_worker *worker;
    pthread_mutex_t lock; // one request at a time
    pid_t owner;          // a fork's child must not use the worker of its parent
    aipc_tensor *inputs, *outputs;
    size_t input_count, output_count;
    ap_pool *pool;                // the tensors of a run, seen by the worker, too
    void **input_at, **output_at; // where each lies in it; the outputs in room 0
    const ap_heap *heap;          // where the worker reads inputs that lie there; NULL: all are copied
};

// Reads and checks the manifest and chooses the target; starts nothing.
AP_MUST ap_err ap_artifact_open_manifest(aipc_context *c, const char *dir, const char *target,
                                         aipc_artifact **out);
// Error CORRUPT with both hashes when the file is not the one that was deployed.
AP_MUST ap_err ap_artifact_check_file(const char *path, const char *sha256);
// Makes the memory of the runs and shows it to the worker (artifact_run.c).
AP_MUST ap_err ap_artifact_share(aipc_artifact *a);
// The program's tensors of the size of an input are read where they lie, from now on (base/heap.h). Asked
// when the program has made nothing yet, and when it calls.
void ap_artifact_want(const aipc_artifact *a);
// Where in a room for its answers an output begins; of the one behind the last: how large that room is.
size_t ap_artifact_offset(const aipc_artifact *a, size_t output);
// A run of tensors that are those of the contract: addresses, one an input and an output; NULL: nobody wants
// it. Outputs that lie in a room that is lent are made there. `told` gets what the run was.
AP_MUST ap_err ap_artifact_run_at(aipc_artifact *a, const void *const *inputs, void *const *outputs,
                                  aipc_answer *told);

#endif
