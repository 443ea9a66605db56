// SPDX-License-Identifier: Apache-2.0
// verify: runs the user's program twice, as it is and served by artifacts, and compares what its models
// answered and what came of it: exit code, stdout, files. Each run has a copy of the working folder; the
// user's files are not touched.
#ifndef AP_PLAN_VERIFY_H
#define AP_PLAN_VERIFY_H

#include "plan/sides/sides.h"

// As aipc_verify (aipc.h).
AP_MUST ap_err ap_verify(aipc_context *c, const aipc_verify_options *o, json_t **document);

// ---- verify_calls.c
// Two recordings of one program, and what served the second: NULL: nothing can be asked again.
typedef struct ap_boundary {
    aipc_context *ctx;
    aipc_server *server;
    const char *plain, *served; // folders
    const ap_gates *gates;      // of calls that no artifact answers
} ap_boundary;
// [{name, signature, calls, compared, apart, replayed, picked, note, outputs: [{name, metrics, gates}],
// verdict}], docs/documents.md.
AP_MUST ap_err ap_verify_calls(const ap_boundary *b, json_t **out);

// ---- verify_repair.c
// Deploys again, more exactly (sharpen), what can be: deployments of recordings that are still there.
// *out: {deployed: [dir], left: [{dir, why}]}. Errors: those of the deployments.
AP_MUST ap_err ap_verify_repair(aipc_context *c, const json_t *artifacts, json_t **out);

#endif
