// SPDX-License-Identifier: Apache-2.0
// exec, verify, split.
#include "api/api_priv.h"
#include "plan/artifact/exec.h"
#include "plan/artifact/served.h"
#include "plan/program/split.h"
#include "plan/verify/verify.h"

#include <string.h>

aipc_error *aipc_exec(aipc_context *c, const aipc_exec_options *o, int *status, char **document) {
    aipc_exec_options full;
    json_t *doc = NULL;
    *status = 0;
    api_take(&full, sizeof full, o);
    ap_err err = ap_exec(c, &full, status, &doc);
    api_give(doc, document);
    return ap_err_stage(err, "exec");
}

aipc_error *aipc_server_open(aipc_context *c, const char *folders, const char *target, aipc_server **out) {
    return ap_server_open(c, folders, target, out);
}
void aipc_server_close(aipc_server *s) {
    ap_server_close(s);
}
void aipc_server_forking(aipc_server *s) {
    ap_server_forking(s);
}
void aipc_server_forked(aipc_server *s) {
    ap_server_forked(s);
}
char *aipc_server_models(const aipc_server *s) {
    char *text = NULL;
    api_give(ap_server_models(s), &text);
    return text;
}
aipc_served *aipc_server_find(const aipc_server *s, const char *identity) {
    return ap_server_find(s, identity);
}
aipc_error *aipc_server_find_model(const aipc_server *s, const char *path, const void *bytes, size_t len,
                                   aipc_served **out) {
    return ap_server_find_model(s, path, bytes, len, out);
}
aipc_error *aipc_served_choose(aipc_served *m, const char *spec, const aipc_tensor *leaves, size_t count,
                               aipc_deployed **out) {
    json_t *j = NULL;
    ap_err err = spec ? ap_json_parse(spec, strlen(spec), "a call", AP_ERR_INPUT_FILE, &j) : NULL;
    if (!err) err = ap_served_choose(m, j, leaves, count, out);
    json_decref(j);
    return err;
}
aipc_error *aipc_served_choose_json(aipc_served *m, const char *call, aipc_deployed **out) {
    return ap_served_choose_json(m, call, out);
}
const char *aipc_served_name(const aipc_served *m) {
    return m->name;
}
bool aipc_served_refuse(aipc_served *m, const char *why) {
    return ap_served_refuse(m, why);
}
char *aipc_deployed_document(const aipc_deployed *d) {
    char *text = NULL;
    api_give(ap_deployed_document(d), &text);
    return text;
}
const char *aipc_deployed_feed(const aipc_deployed *d, size_t i) {
    return i < d->feed_count ? d->feeds[i].name : NULL;
}
const aipc_tensor *aipc_deployed_output(const aipc_deployed *d, size_t i) {
    return i < d->contract->output_count ? &d->contract->outputs[i] : NULL;
}
aipc_loan *aipc_deployed_lend(aipc_deployed *d, void **outputs) {
    return ap_deployed_lend(d, outputs);
}
aipc_error *aipc_deployed_answer(aipc_deployed *d, const void *const *inputs, aipc_answer *out) {
    return ap_deployed_answer(d, inputs, out);
}
void aipc_loan_release(aipc_loan *loan) {
    ap_loan_release(loan);
}
aipc_error *aipc_deployed_run(aipc_deployed *d, const void *const *inputs, void *const *outputs) {
    return ap_deployed_run(d, inputs, outputs);
}

aipc_error *aipc_verify(aipc_context *c, const aipc_verify_options *o, char **document) {
    aipc_verify_options full;
    json_t *doc = NULL;
    api_take(&full, sizeof full, o);
    ap_err err = ap_verify(c, &full, &doc);
    api_give(doc, document);
    return ap_err_stage(err, "verify");
}

aipc_error *aipc_split(aipc_context *c, const aipc_split_options *o, char **document) {
    aipc_split_options full;
    json_t *doc = NULL;
    api_take(&full, sizeof full, o);
    ap_err err = ap_split(c, &full, &doc);
    api_give(doc, document);
    return ap_err_stage(err, "split");
}
