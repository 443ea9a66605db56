// SPDX-License-Identifier: Apache-2.0
// Stage 3 and the vendor half of stage 4: build for the target, run twice, reload in a fresh process and run
// again.
#include "plan/deploy/deploy.h"

#include <string.h>

// A refusal comes as a result with the error inside, so that placement and reasons reach the report too.
static ap_err refusal_error(const json_t *result) {
    const json_t *e = json_object_get(result, "refusal");
    if (!e) return NULL;
    ap_err err = ap_err_new(AP_ERR_REFUSED, "%s", ap_json_str(e, "message", "?"));
    size_t i;
    json_t *note;
    json_array_foreach(json_object_get(e, "notes"), i, note) err =
        ap_err_note(err, "%s", json_string_value(note));
    return ap_err_hint(
        ap_err_stage(err, "build"),
        "the report lists every node, what was tried, and where it would run; --allow-cpu lets them run "
        "on the CPU");
}

// A refusal keeps its placement among the details.
static char *metric_of_build(const json_t *result, const char *target, ap_arena *a) {
    const json_t *details = json_object_get(result, "details");
    json_t *placement = json_object_get(details ? details : result, "placement"), *n;
    size_t i, on = 0, total = json_array_size(placement);
    json_array_foreach(placement, i, n) on +=
        strcmp(ap_json_str(n, "ep", ""), "CPUExecutionProvider") != 0 || strcmp(target, "cpu") == 0;
    return ap_arena_printf(a, "%zu/%zu nodes on target", on, total);
}

// Gives what was built its size and hash, for the manifest, out of the store's list of files.
static void name_hashes(const json_t *stored, json_t *files, json_t *stage) {
    size_t i, k;
    json_t *f, *known;
    json_array_foreach(files, i, f) json_array_foreach((json_t *)(uintptr_t)stored, k, known) {
        const char *name = ap_json_str(f, "file", "");
        if (strcmp(name, ap_json_str(known, "file", "?")) != 0) continue;
        json_object_set(f, "bytes", json_object_get(known, "bytes"));
        json_object_set(f, "sha256", json_object_get(known, "sha256"));
        json_object_set(json_object_get(stage, "outputs"), name, json_object_get(known, "sha256"));
    }
}

static ap_err run_build(ap_deploy_target *t, ap_worker *w) {
    ap_deployment *d = t->d;
    ap_arena a = {0};
    json_t *result = NULL, *record = NULL, *files = NULL;
    char *work = NULL, *dir = NULL;
    double vendor_s = 0;
    uint64_t start = ap_now_us();
    ap_err err = NULL;
    AP_TRY(ap_store_begin(&d->store, &a, &work));
    json_t *args = json_pack("{so,ss,ss,sb,sb}", "model", ap_target_spec(t), "dir", work, "precision",
                             t->precision, "dlc", d->o->dlc, "allow_cpu", t->allow_cpu);
    AP_TRY(ap_deploy_call(d, w, AP_TIME_VENDOR, "build", args, &vendor_s, &result));
    t->build = json_incref(result);
    json_t *stage = ap_stage_json("build", t, t->build_key, (double)(ap_now_us() - start) / 1e6, vendor_s, 0,
                                  metric_of_build(result, t->id.kind, &a),
                                  json_pack("{ss,sO}", "model", t->digest, "shapes", d->shapes), NULL);
    t->build_stage = stage;
    err = refusal_error(result);
    if (err) {
        json_object_set_new(stage, "verdict", json_string("fail"));
        goto done;
    }
    AP_TRY(ap_store_files(work, &a, &files));
    name_hashes(files, json_object_get(result, "files"), stage);
    record = json_pack("{sO,sO,sO}", "stage", stage, "result", result, "files", files);
    AP_TRY(ap_store_commit(&d->store, t->build_key, work, record, &a, &dir));
    work = NULL;
    t->build_dir = ap_deploy_keep(d, dir);
done:
    ap_store_discard(work);
    json_decref(result);
    json_decref(files);
    json_decref(record);
    ap_arena_release(&a);
    return err;
}

static ap_err run_once(ap_deploy_target *t, ap_worker *w, const char *name, json_t **outputs) {
    ap_deployment *d = t->d;
    char *dir = NULL;
    json_t *result = NULL;
    double vendor_s = 0;
    uint64_t start = ap_now_us();
    ap_err err = NULL;
    AP_TRY(ap_deploy_scratch(d, name, &dir));
    AP_TRY(ap_deploy_call(d, w, AP_TIME_RUN, "run",
                          json_pack("{sO,ss}", "inputs", d->input_tensors, "dir", dir), &vendor_s, &result));
    *outputs = json_incref(json_object_get(result, "outputs"));
    pthread_mutex_lock(&t->lock);
    t->align_vendor_s += vendor_s;
    t->align_seconds += (double)(ap_now_us() - start) / 1e6;
    pthread_mutex_unlock(&t->lock);
done:
    json_decref(result);
    return ap_err_stage(err, "align");
}

static ap_err load_build(ap_deploy_target *t, ap_worker *w, json_t **io) {
    json_t *result = NULL;
    double vendor_s = 0;
    ap_err err = ap_deploy_call(t->d, w, AP_TIME_VENDOR, "load", json_pack("{ss}", "dir", t->build_dir),
                                &vendor_s, &result);
    if (err) return err;
    if (io) *io = json_incref(json_object_get(result, "io"));
    pthread_mutex_lock(&t->lock);
    t->align_vendor_s += vendor_s;
    t->align_seconds += vendor_s;
    pthread_mutex_unlock(&t->lock);
    json_decref(result);
    return NULL;
}

// The cpu target's profile is a measurement of this machine; it belongs to the built model, which is loaded
// right here.
static ap_err run_profile(ap_deploy_target *t, ap_worker *w) {
    ap_deployment *d = t->d;
    char *dir = NULL;
    json_t *result = NULL;
    uint64_t start = ap_now_us();
    double vendor_s = 0;
    ap_err err = NULL;
    if (ap_deploy_is_htp(t)) return NULL;
    AP_TRY(ap_deploy_scratch(d, "profile", &dir));
    AP_TRY(load_build(t, w, NULL)); // where it lies now: a fresh build was moved into the store
    AP_TRY(ap_deploy_call(d, w, AP_TIME_VENDOR, "profile",
                          json_pack("{sO,ss}", "inputs", d->input_tensors, "dir", dir), &vendor_s, &result));
    t->profile = json_incref(result);
    t->profile_stage =
        ap_stage_json("profile", t, NULL, (double)(ap_now_us() - start) / 1e6, vendor_s, 0, NULL, NULL, NULL);
done:
    json_decref(result);
    return ap_err_stage(err, "profile");
}

void ap_job_main(void *target, ap_jobs *jobs, size_t self, size_t slot) {
    ap_deploy_target *t = target;
    ap_worker *w = NULL;
    ap_err err = NULL;
    AP_TRY(ap_deploy_recall(t->d, t->build_key, &t->build, &t->build_stage, &t->build_dir));
    AP_TRY(ap_deploy_recall(t->d, t->align_key, &t->align, &t->align_stage, &t->align_dir));
    if (t->align) ap_tensors_to_paths(json_object_get(t->align, "outputs"), t->align_dir);
    if (t->build && t->align && ap_deploy_is_htp(t)) goto done;
    AP_TRY(ap_deploy_worker(t->d, &t->id, "build", slot, &w));
    bool built = t->build != NULL;
    if (!built) AP_TRY(run_build(t, w));
    // What ships is the binary, so that is what runs. The session that compiled it would also keep the
    // compiler's memory.
    if (built || ap_deploy_is_htp(t)) AP_TRY(load_build(t, w, NULL));
    ap_deploy_step(t->d, "%s: built", t->id.text);
    if (!t->align) {
        ap_jobs_release(jobs, self); // the reload can begin
        AP_TRY(run_once(t, w, "run", &t->runs[0]));
        ap_deploy_step(t->d, "%s: first run", t->id.text);
        AP_TRY(run_once(t, w, "run", &t->runs[1]));
        ap_deploy_step(t->d, "%s: second run", t->id.text);
    }
    AP_TRY(run_profile(t, w));
done:
    ap_worker_stop(w, NULL);
    ap_target_fail(t, err);
}

void ap_job_reload(void *target, ap_jobs *jobs, size_t self, size_t slot) {
    ap_deploy_target *t = target;
    ap_worker *w = NULL;
    ap_err err = NULL;
    (void)jobs;
    (void)self;
    AP_TRY(ap_deploy_worker(t->d, &t->id, "reload", slot, &w));
    AP_TRY(load_build(t, w, &t->reload_io));
    AP_TRY(run_once(t, w, "reload", &t->reload));
    ap_deploy_step(t->d, "%s: run after reload", t->id.text);
done:
    ap_worker_stop(w, NULL);
    ap_target_fail(t, ap_err_context(err, "reload in a fresh process"));
}
