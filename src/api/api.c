// SPDX-License-Identifier: Apache-2.0
// The public interface: thin doors to the rooms. Documents leave as text, errors as they are.
#include "api/api_priv.h"

#include "device/runtime.h"
#include "graph/inspect.h"
#include "plan/artifact/artifact_priv.h"
#include "plan/deploy/deploy.h"
#include "plan/deploy/from_shapes.h"
#include "plan/program/from_recording.h"
#include "plan/recording/recording.h"
#include "target/soc.h"
#include "worker/server.h"

#include <stdlib.h>
#include <string.h>

const char *aipc_version(void) {
    return AP_VERSION;
}
void aipc_free(void *p) {
    free(p);
}

int aipc_error_exit_code(const aipc_error *e) {
    return e ? ap_code_exit(ap_err_code(e)) : 0;
}
const char *aipc_error_key(const aipc_error *e) {
    return ap_code_key(ap_err_code(e));
}
const char *aipc_error_message(const aipc_error *e) {
    return ap_err_message(e);
}
const char *aipc_error_stage(const aipc_error *e) {
    return ap_err_get_stage(e);
}
const char *aipc_error_subject(const aipc_error *e) {
    return ap_err_get_subject(e);
}
const char *aipc_error_hint(const aipc_error *e) {
    return ap_err_next(e);
}
size_t aipc_error_note_count(const aipc_error *e) {
    return ap_err_notes(e);
}
const char *aipc_error_note(const aipc_error *e, size_t i) {
    return ap_err_get_note(e, i);
}
void aipc_error_free(aipc_error *e) {
    ap_err_free(e);
}

aipc_error *aipc_error_usage(const char *message, const char *hint) {
    ap_err e = ap_err_new(AP_ERR_USAGE, "%s", message);
    return hint ? ap_err_hint(e, "%s", hint) : e;
}

void api_take(void *full, size_t size, const void *given) {
    size_t theirs = 0;
    memset(full, 0, size);
    if (given) memcpy(&theirs, given, sizeof theirs);
    if (theirs) memcpy(full, given, theirs < size ? theirs : size);
    memcpy(full, &size, sizeof size);
}

void api_give(json_t *document, char **out) {
    if (out) *out = document ? ap_json_text(document, true) : NULL;
    json_decref(document);
}

char *aipc_error_document(const aipc_error *e) {
    char *text = NULL;
    api_give(ap_json_from_err(e), &text);
    return text;
}

aipc_error *aipc_context_open(const aipc_context_options *given, aipc_context **out) {
    aipc_context_options o;
    api_take(&o, sizeof o, given);
    return ap_context_open(&o, out);
}
void aipc_context_close(aipc_context *c) {
    ap_context_close(c);
}

static ap_err no_program(const aipc_deploy_options *o) {
    ap_err err =
        ap_err_new(AP_ERR_USAGE, "--task says how a program is compared, and %s is no recording of one",
                   o->model ? o->model : "nothing");
    return ap_err_hint(err, "give it to aipc verify");
}

aipc_error *aipc_deploy(aipc_context *c, const aipc_deploy_options *given, char **document) {
    aipc_deploy_options o;
    api_take(&o, sizeof o, given);
    json_t *doc = NULL;
    bool recording = ap_recording_is(o.model), varies = false;
    if (document) *document = NULL;
    ap_err err = recording      ? ap_deploy_recording(c, &o, &doc)
                 : o.task_count ? no_program(&o)
                                : ap_deploy_shapes(c, &o, &varies, &doc);
    if (!err && !recording && !varies) err = ap_deploy(c, &o, &doc);
    api_give(doc, document);
    return err;
}

aipc_error *aipc_deploy_check(aipc_context *c, const aipc_deploy_options *given) {
    aipc_deploy_options o;
    api_take(&o, sizeof o, given);
    return ap_deploy_recording_check(c, &o);
}

aipc_error *aipc_artifact_open(aipc_context *c, const char *dir, const char *target, aipc_artifact **out) {
    return ap_artifact_open(c, dir, target, out);
}
void aipc_artifact_close(aipc_artifact *a) {
    ap_artifact_close(a);
}
size_t aipc_artifact_input_count(const aipc_artifact *a) {
    return a->input_count;
}
size_t aipc_artifact_output_count(const aipc_artifact *a) {
    return a->output_count;
}
const aipc_tensor *aipc_artifact_input(const aipc_artifact *a, size_t i) {
    return i < a->input_count ? &a->inputs[i] : NULL;
}
const aipc_tensor *aipc_artifact_output(const aipc_artifact *a, size_t i) {
    return i < a->output_count ? &a->outputs[i] : NULL;
}
char *aipc_artifact_manifest(const aipc_artifact *a) {
    return ap_json_text(a->manifest, true);
}
aipc_error *aipc_artifact_run(aipc_artifact *a, const aipc_tensor *inputs, size_t input_count,
                              aipc_tensor *outputs) {
    return ap_artifact_run(a, inputs, input_count, outputs);
}

aipc_error *aipc_artifact_run_into(aipc_artifact *a, const aipc_tensor *inputs, size_t input_count,
                                   const aipc_tensor *outputs, size_t output_count) {
    return ap_artifact_run_into(a, inputs, input_count, outputs, output_count);
}
void *aipc_artifact_input_memory(const aipc_artifact *a, size_t i) {
    return i < a->input_count ? a->input_at[i] : NULL;
}
void *aipc_artifact_output_memory(const aipc_artifact *a, size_t i) {
    return i < a->output_count ? a->output_at[i] : NULL;
}

aipc_error *aipc_run_files(aipc_context *c, const char *dir, const char *target, const char *const *inputs,
                           size_t input_count, const char *out_dir, char **document) {
    json_t *doc = NULL;
    ap_err err = ap_artifact_run_files(c, dir, target, inputs, input_count, out_dir, &doc);
    if (!err) api_give(doc, document);
    return err;
}

aipc_error *aipc_profile(aipc_context *c, const char *dir, const char *target, char **document) {
    json_t *doc = NULL;
    ap_err err = ap_artifact_profile(c, dir, target, &doc);
    if (!err) api_give(doc, document);
    return err;
}

aipc_error *aipc_targets(char **document) {
    api_give(ap_soc_table_json(), document);
    return NULL;
}

aipc_error *aipc_runtime_list(aipc_context *c, char **document) {
    json_t *doc = NULL;
    ap_err err = ap_runtime_list(c->data_dir, &doc);
    if (!err) api_give(doc, document);
    return err;
}

static void install_progress(void *user, size_t done, size_t total, const char *text) {
    ap_context_progress(user, done, total, "%s", text);
}

aipc_error *aipc_runtime_install(aipc_context *c, const char *name, char **document) {
    ap_runtime_options o = {.data_dir = c->data_dir, .progress = install_progress, .user = c};
    json_t *doc = NULL;
    ap_err err = ap_runtime_install(&o, name, &doc);
    if (!err) api_give(doc, document);
    return err;
}

aipc_error *aipc_runtime_remove(aipc_context *c, const char *name) {
    return ap_runtime_remove(c->data_dir, name);
}

int aipc_worker_main(int fd) {
    return ap_worker_serve(fd);
}
