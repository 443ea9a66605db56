// SPDX-License-Identifier: Apache-2.0
// artifact: a deployed model on disk, and running it.
//
// The manifest is outside data: it may have been edited or sent by somebody. File names stay inside the
// folder, sizes are checked when it is opened, and hashes before anything is loaded.
#ifndef AP_PLAN_ARTIFACT_H
#define AP_PLAN_ARTIFACT_H

#include "engine/engine.h"
#include "plan/work/context.h"

#define AP_MANIFEST "manifest.json"
#define AP_MANIFEST_FORMAT 1

// Checks the structure of a manifest's text. Error CORRUPT naming what is wrong. The fuzz target's door.
AP_MUST ap_err ap_manifest_parse(const char *text, size_t len, json_t **out);

// Opens OUT or OUT/TARGET. Starts a worker and loads the model.
AP_MUST ap_err ap_artifact_open(aipc_context *c, const char *dir, const char *target, aipc_artifact **out);
void ap_artifact_close(aipc_artifact *a);

// Calls of several threads are served one after another. _into: every output has `data` and `bytes`, in
// contract order. Errors: INPUT_*, CONTRACT for wrong room, BUSY in the child of a fork, WORKER_*, VENDOR.
AP_MUST ap_err ap_artifact_run(aipc_artifact *a, const aipc_tensor *inputs, size_t count,
                               aipc_tensor *outputs);
AP_MUST ap_err ap_artifact_run_into(aipc_artifact *a, const aipc_tensor *inputs, size_t count,
                                    const aipc_tensor *outputs, size_t output_count);

// What `aipc run` and `aipc profile` do.
AP_MUST ap_err ap_artifact_run_files(aipc_context *c, const char *dir, const char *target,
                                     const char *const *inputs, size_t count, const char *out_dir,
                                     json_t **document);
AP_MUST ap_err ap_artifact_profile(aipc_context *c, const char *dir, const char *target, json_t **document);

#endif
