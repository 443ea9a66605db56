// SPDX-License-Identifier: Apache-2.0
// exec, verify.
#include "plan/exec.h"

#include <string.h>

static void give(json_t *document, char **out) {
    if (out && document) *out = ap_json_text(document, true);
    json_decref(document);
}

aipc_error *aipc_exec(aipc_context *c, const aipc_exec_options *o, int *status, char **document) {
    aipc_exec_options full = {0};
    json_t *doc = NULL;
    *status = 0;
    memcpy(&full, o, o->size < sizeof full ? o->size : sizeof full);
    ap_err err = ap_exec(c, &full, status, &doc);
    give(doc, document);
    return ap_err_stage(err, "exec");
}
