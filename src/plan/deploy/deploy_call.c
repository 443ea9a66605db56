// SPDX-License-Identifier: Apache-2.0
// Workers for a deployment: started with the right libraries, called with the clock running.
#include "plan/deploy/deploy.h"

#include <string.h>

bool ap_deploy_is_htp(const ap_deploy_target *t) {
    return t->id.soc != NULL;
}

ap_err ap_deploy_find(ap_deployment *d, const char *key, ap_arena *a, char **dir, json_t **record) {
    if (!d->o->fresh) return ap_store_get(&d->store, key, a, dir, record);
    *dir = NULL;
    *record = NULL;
    return ap_store_drop(&d->store, key);
}

ap_err ap_deploy_recall(ap_deployment *d, const char *key, json_t **result, json_t **stage, char **dir) {
    ap_arena a = {0};
    char *found = NULL;
    json_t *record = NULL;
    ap_err err = ap_deploy_find(d, key, &a, &found, &record);
    if (!err && record) {
        *result = json_incref(json_object_get(record, "result"));
        *stage = json_incref(json_object_get(record, "stage"));
        json_object_set_new(*stage, "cached", json_true());
        if (dir) *dir = ap_deploy_keep(d, found);
    }
    json_decref(record);
    ap_arena_release(&a);
    return err;
}

char *ap_deploy_keep(ap_deployment *d, const char *text) {
    pthread_mutex_lock(&d->step_lock);
    char *kept = ap_arena_strdup(&d->arena, text);
    pthread_mutex_unlock(&d->step_lock);
    return kept;
}

ap_err ap_deploy_scratch(ap_deployment *d, const char *prefix, char **out) {
    ap_arena a = {0};
    char *path = NULL;
    ap_err err = ap_mkdtemp(d->scratch, prefix, &a, &path);
    if (!err) *out = ap_deploy_keep(d, path);
    ap_arena_release(&a);
    return err;
}

// The stage a worker is started for, by its purpose; golden ones serve several.
static const char *stage_of_purpose(const char *purpose) {
    if (strcmp(purpose, "reload") == 0) return "align";
    if (strcmp(purpose, "surgery") == 0) return "surgery";
    return strcmp(purpose, "build") == 0 ? "build" : NULL;
}

ap_err ap_deploy_worker(ap_deployment *d, const ap_target_id *target, const char *purpose, size_t slot,
                        ap_worker **out) {
    ap_arena a = {0};
    ap_worker_setup setup = {.cpu = slot, .timeout_s = d->o->timeout_s, .memory_mib = d->o->memory_mib};
    setup.log_path = ap_path_join(&a, d->logs, ap_arena_printf(&a, "%s-%s.log", target->folder, purpose));
    ap_err err = ap_err_stage(ap_open_worker(d->ctx, target, &setup, out), stage_of_purpose(purpose));
    if (!err)
        ap_ledger_add(&d->ledger, target->soc ? AP_TIME_VENDOR : AP_TIME_GOLDEN,
                      (uint64_t)ap_json_int(ap_worker_description(*out), "vendor_us", 0));
    ap_arena_release(&a);
    return err;
}

// The stage a request belongs to, for its errors. The oracle serves several: its callers say which.
static const char *stage_of(const char *op) {
    if (strcmp(op, "load") == 0 || strcmp(op, "run") == 0) return "align";
    return strcmp(op, "oracle") == 0 ? NULL : op;
}

ap_err ap_deploy_call(ap_deployment *d, ap_worker *w, ap_time_kind kind, const char *op, json_t *args,
                      double *vendor_s, json_t **result) {
    ap_err err = ap_worker_call(w, op, args, result);
    if (err) return ap_err_stage(err, stage_of(op));
    uint64_t us = (uint64_t)ap_json_int(*result, "vendor_us", 0);
    ap_ledger_add(&d->ledger, kind, us);
    if (vendor_s) *vendor_s += (double)us / 1e6;
    return NULL;
}

ap_err ap_target_exposed(ap_deploy_target *t, const ap_exposed *x, double *vendor_s, json_t **out) {
    ap_deployment *d = t->d;
    ap_arena a = {0};
    ap_worker *w = NULL;
    json_t *spec = ap_target_spec(t), *built = NULL, *loaded = NULL, *result = NULL;
    char *binary = ap_path_join(&a, x->dir, "built"), *runs = ap_path_join(&a, x->dir, "target");
    ap_err err = NULL;
    json_object_set(spec, "outputs", x->names);
    AP_TRY(ap_mkdirs(binary));
    AP_TRY(ap_mkdirs(runs));
    AP_TRY(ap_deploy_worker(d, &t->id, x->purpose, x->slot, &w));
    AP_TRY(ap_deploy_call(d, w, AP_TIME_VENDOR, "build",
                          json_pack("{sO,ss,ss,sb}", "model", spec, "dir", binary, "precision", t->precision,
                                    "allow_cpu", t->allow_cpu),
                          vendor_s, &built));
    const json_t *refusal = json_object_get(built, "refusal");
    if (refusal)
        AP_FAIL(AP_ERR_REFUSED, "%s", x->refused ? x->refused : ap_json_str(refusal, "message", "refused"));
    // From the binary, as the plain runs, and without the compiler's memory beside it.
    AP_TRY(ap_deploy_call(d, w, AP_TIME_VENDOR, "load", json_pack("{ss}", "dir", binary), vendor_s, &loaded));
    AP_TRY(ap_deploy_call(d, w, AP_TIME_RUN, "run",
                          json_pack("{sO,ss}", "inputs", d->input_tensors, "dir", runs), vendor_s, &result));
    *out = json_incref(json_object_get(result, "outputs"));
done:
    ap_worker_stop(w, NULL);
    json_decref(spec);
    json_decref(built);
    json_decref(loaded);
    json_decref(result);
    ap_arena_release(&a);
    return err;
}

void ap_deploy_step(ap_deployment *d, const char *fmt, ...) {
    ap_buf text = {0};
    va_list args;
    va_start(args, fmt);
    ap_buf_vprintf(&text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&d->step_lock);
    size_t done = ++d->steps_done;
    pthread_mutex_unlock(&d->step_lock);
    ap_context_progress(d->ctx, done < d->steps ? done : d->steps, d->steps, "%s", ap_buf_str(&text));
    ap_buf_free(&text);
}

void ap_target_fail(ap_deploy_target *t, ap_err e) {
    if (!e) return;
    pthread_mutex_lock(&t->lock);
    bool first = t->err == NULL;
    if (first) t->err = e;
    pthread_mutex_unlock(&t->lock);
    if (!first) ap_err_free(e);
}

json_t *ap_stage_json(const char *stage, const ap_deploy_target *t, const char *key, double seconds,
                      double vendor_s, double golden_s, const char *key_metric, json_t *inputs,
                      json_t *outputs) {
    double ours = seconds - vendor_s - golden_s;
    return json_pack("{ss,so,ss,sb,so,sf,s{sf,sf,sf},so,so,so}", "stage", stage, "target",
                     ap_json_string(t ? t->id.text : NULL), "verdict", "pass", "cached", 0, "key",
                     ap_json_string(key), "seconds", seconds, "time", "ours_s", ours > 0 ? ours : 0.0,
                     "vendor_s", vendor_s, "golden_s", golden_s, "key_metric", ap_json_string(key_metric),
                     "inputs", inputs ? inputs : json_object(), "outputs", outputs ? outputs : json_object());
}
