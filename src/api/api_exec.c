// SPDX-License-Identifier: Apache-2.0
// exec, verify.
#include "plan/exec.h"
#include "plan/served.h"
#include "plan/verify.h"

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

aipc_error *aipc_served_find(aipc_context *c, const char *folders, const char *target, const char *path,
                             const void *bytes, size_t len, aipc_served **out) {
    *out = NULL;
    return ap_served_find(c, folders, target, path, bytes, len, out);
}
aipc_error *aipc_served_choose(aipc_served *s, const aipc_tensor *inputs, size_t input_count,
                               aipc_artifact **out) {
    return ap_served_choose(s, inputs, input_count, out);
}
const char *aipc_served_dir(const aipc_served *s, const aipc_artifact *a) {
    return ap_served_dir(s, a);
}
void aipc_served_close(aipc_served *s) {
    ap_served_close(s);
}

aipc_error *aipc_verify(aipc_context *c, const aipc_verify_options *o, char **document) {
    aipc_verify_options full = {0};
    json_t *doc = NULL;
    memcpy(&full, o, o->size < sizeof full ? o->size : sizeof full);
    ap_err err = ap_verify(c, &full, &doc);
    give(doc, document);
    return ap_err_stage(err, "verify");
}
