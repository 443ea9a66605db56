// SPDX-License-Identifier: Apache-2.0
// verify, once more: what the artifacts answer to the inputs of the run as it is, and, for a model that picks
// rows, what the original answers given the artifact's picks (golden/picks.h).
#ifndef AP_PLAN_VERIFY_AGAIN_H
#define AP_PLAN_VERIFY_AGAIN_H

#include "golden/gates.h"
#include "plan/artifact/served.h"

// The artifact that answers calls of one signature of a model.
typedef struct ap_again {
    aipc_context *ctx;
    ap_arena arena;
    aipc_deployed *d;
    const json_t *model, *sig; // of the recording
    const char *dir;           // for files; of its own, and removed with it
    ap_gates gates;            // of its deployment
    struct ap_remade *remade;  // verify_picked.c; NULL until somebody looks
    size_t asked, files;       // calls, each with files of its own
} ap_again;

// A call put to it. TENSOR lists: the inputs in the artifact's types, its answer in contract order.
typedef struct ap_asked {
    const char *dir;
    json_t *inputs, *answer;
} ap_asked;

// *out is NULL when no artifact answers such calls.
AP_MUST ap_err ap_again_open(aipc_context *c, aipc_server *server, const json_t *model, const json_t *sig,
                             ap_again **out);
void ap_again_close(ap_again *g);
// Runs it. `leaves`: the tensors of a recorded call, a TENSOR list. Errors: what keeps the artifact from
// answering this call.
AP_MUST ap_err ap_again_ask(ap_again *g, const json_t *leaves, ap_asked *out);
void ap_asked_release(ap_asked *a);
// Does a leaf of the recorded answer come from an output? The program may not read all of them.
bool ap_again_has(const ap_again *g, size_t leaf);
// Sets "channel_axis" of a recorded answer's leaves, as the artifact's contract says.
void ap_again_channel_axes(const ap_again *g, json_t *leaves);
// A TENSOR list in contract order as the leaves of the recorded answer, in their types; null without output.
AP_MUST ap_err ap_again_leaves(ap_again *g, const ap_asked *a, const json_t *tensors, json_t **out);

// ---- verify_picked.c
// As ap_picked_look for a call with these leaves. A model that picks nothing is not asked; else `a` is what
// was asked, or becomes it. *why: what keeps it from looking at a model that picks; in the arena of `g`. The
// only error is CANCELLED.
AP_MUST ap_err ap_again_look(ap_again *g, const json_t *leaves, ap_asked *a, json_t **golden, json_t **picks,
                             const char **why);
void ap_remade_free(struct ap_remade *r);

#endif
