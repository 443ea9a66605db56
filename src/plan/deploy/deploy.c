// SPDX-License-Identifier: Apache-2.0
#include "plan/deploy/deploy.h"

#include "base/cpu.h"
#include "plan/surgery/surgery.h"

#include <stdlib.h>
#include <string.h>

void ap_target_reset(ap_deploy_target *t) {
    json_t **owned[] = {&t->build,   &t->build_stage,   &t->align,     &t->align_stage, &t->runs[0],
                        &t->runs[1], &t->reload,        &t->reload_io, &t->trace,       &t->trace_stage,
                        &t->profile, &t->profile_stage, &t->gate_list, &t->failure};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        json_decref(*owned[i]);
        *owned[i] = NULL;
    }
    ap_err_free(t->err);
    t->err = NULL;
    t->build_dir = t->align_dir = NULL;
    t->align_seconds = t->align_vendor_s = 0;
}

static void target_release(ap_deploy_target *t) {
    ap_target_reset(t);
    json_decref(t->float16);
    json_decref(t->surgery);
    json_decref(t->surgery_stage);
    ap_model_free(t->own_model);
    ap_gates_release(&t->gates);
    pthread_mutex_destroy(&t->lock);
}

static void deployment_release(ap_deployment *d) {
    json_t *owned[] = {d->stats,  d->shapes,        d->contract,       d->input_tensors,   d->warnings,
                       d->golden, d->intermediates, d->baseline_stage, d->interface_stage, d->fixed};
    for (size_t i = 0; i < d->target_count; i++) target_release(&d->targets[i]);
    free(d->targets);
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) json_decref(owned[i]);
    ap_err_free(d->baseline_err);
    ap_model_free(d->model);
    ap_runtime_release(&d->ort);
    ap_runtime_release(&d->qnn);
    if (d->scratch) ap_err_free(ap_rmtree(d->scratch));
    ap_store_close(&d->store);
    ap_lock_release(&d->out_lock);
    ap_ledger_release(&d->ledger);
    pthread_mutex_destroy(&d->step_lock);
    ap_arena_release(&d->arena);
}

static void add_followers(ap_jobs *jobs, ap_deploy_target *t) {
    if (ap_deploy_is_htp(t) && !t->d->o->no_trace) {
        ap_jobs_add(jobs, ap_job_trace, t, AP_JOB_NONE);
        t->d->steps++;
    }
    ap_jobs_add(jobs, ap_job_reload, t, t->main_job);
}

// Golden first, then every target's own chain; the trace needs neither, so it fills the idle processor, and
// whoever is free takes the reload as soon as the build is there.
static void run_jobs(ap_deployment *d) {
    ap_jobs *jobs = ap_jobs_new();
    d->steps = 1;
    for (size_t i = 0; i < d->target_count; i++) {
        ap_deploy_target *t = &d->targets[i];
        t->main_job = ap_jobs_add(jobs, ap_job_main, t, AP_JOB_NONE);
        if (i == 0) ap_jobs_add(jobs, ap_job_baseline, d, AP_JOB_NONE);
        d->steps += 4;
    }
    for (size_t i = 0; i < d->target_count; i++) add_followers(jobs, &d->targets[i]);
    ap_jobs_run(jobs, ap_cpu_count());
    ap_jobs_free(jobs);
}

// One target once more, with another model.
static void run_again(ap_deploy_target *t) {
    ap_jobs *jobs = ap_jobs_new();
    t->d->steps += 4;
    t->main_job = ap_jobs_add(jobs, ap_job_main, t, AP_JOB_NONE);
    add_followers(jobs, t);
    ap_jobs_run(jobs, ap_cpu_count());
    ap_jobs_free(jobs);
    ap_target_finish(t);
}

// What fails is repaired and judged again.
static void repair(ap_deploy_target *t) {
    ap_deployment *d = t->d;
    bool again = false;
    if (d->baseline_err || (!t->err && !ap_target_gains(t))) return;
    ap_err err = ap_target_repair(t, &again);
    if (err) ap_context_log(d->ctx, AIPC_WARN, "%s: no repair: %s", t->id.text, ap_err_message(err));
    if (ap_err_code(err) == AP_ERR_CANCELLED) {
        ap_err_free(t->err);
        t->err = err;
        err = NULL;
    }
    ap_err_free(err);
    if (again) run_again(t);
}

// What still fails is looked into.
static void conclude(ap_deploy_target *t) {
    ap_deployment *d = t->d;
    t->err = ap_surgery_note(json_object_get(t->surgery, "repairs"), t->err);
    if (d->asks && d->asks->why && ap_err_code(t->err) == AP_ERR_GATE)
        t->err = ap_err_note(t->err, "%s", d->asks->why);
    if (!d->baseline_err && t->err && t->gate_list) ap_target_diagnose(t);
    const char *note = ap_json_str(t->trace, "note", NULL);
    if (note) ap_context_log(d->ctx, AIPC_WARN, "%s: no per-tensor comparison: %s", t->id.text, note);
}

// ---- outputs that may not be needed

// Adds the gates that failed; false when something else failed, too.
static bool add_failed(const ap_deploy_target *t, json_t *gates, json_t *names) {
    const json_t *g;
    if (!t->err) return true;
    if (ap_err_code(t->err) != AP_ERR_GATE || !t->gate_list) return false;
    for (size_t i = 0; (g = json_array_get(t->gate_list, i)) != NULL; i++) {
        const char *output = ap_json_str(g, "output", "");
        if (strcmp(ap_json_str(g, "verdict", ""), "fail") != 0) continue;
        if (!ap_json_find(json_object_get(t->d->contract, "outputs"), "name", output)) return false;
        json_array_append(gates, (json_t *)(uintptr_t)g);
        json_object_set_new(names, output, json_true());
    }
    return true;
}

// Is all that failed some of the outputs, and does nobody need them?
static bool only_unread_fail(ap_deployment *d) {
    json_t *gates = json_array(), *names = json_object();
    bool only = d->asks && d->asks->unread && !d->o->no_surgery && !d->baseline_err;
    for (size_t i = 0; only && i < d->target_count; i++) only = add_failed(&d->targets[i], gates, names);
    size_t failed = json_object_size(names), all = json_array_size(json_object_get(d->contract, "outputs"));
    only = only && failed && failed < all && d->asks->unread(d->asks->user, gates);
    json_decref(gates);
    json_decref(names);
    return only;
}

// Judges and repairs. False: it ends here, somebody found the outputs that fail not to be needed.
static bool finish(ap_deployment *d) {
    for (size_t i = 0; i < d->target_count; i++) ap_target_finish(&d->targets[i]);
    if (only_unread_fail(d)) return false;
    for (size_t i = 0; i < d->target_count; i++) repair(&d->targets[i]);
    if (only_unread_fail(d)) return false;
    for (size_t i = 0; i < d->target_count; i++) conclude(&d->targets[i]);
    return true;
}

// The error of the whole: the baseline's, else the first target's. The document keeps them all.
static ap_err first_error(ap_deployment *d) {
    ap_err err = d->baseline_err;
    d->baseline_err = NULL;
    for (size_t i = 0; i < d->target_count && !err; i++) {
        err = d->targets[i].err;
        d->targets[i].err = NULL;
        if (err && d->target_count > 1) err = ap_err_context(err, "target %s", d->targets[i].id.text);
    }
    return err;
}

ap_err ap_deploy_asking(aipc_context *c, const aipc_deploy_options *o, ap_deploy_asks *asks,
                        json_t **document) {
    ap_deployment d = {.ctx = c, .o = o, .asks = asks};
    json_t *doc = NULL;
    ap_err err = NULL;
    pthread_mutex_init(&d.step_lock, NULL);
    ap_ledger_init(&d.ledger);
    AP_TRY(ap_deploy_prepare(&d));
    if (asks && asks->left_out)
        json_array_append_new(d.warnings, ap_json_string(ap_json_str(asks->left_out, "why", "")));
    for (size_t i = 0; i < json_array_size(d.warnings); i++)
        ap_context_log(c, AIPC_WARN, "%s", json_string_value(json_array_get(d.warnings, i)));
    for (size_t i = 0; i < d.target_count; i++) AP_TRY(ap_target_recall(&d.targets[i]));
    run_jobs(&d);
    if (finish(&d)) {
        AP_TRY(ap_deploy_document(&d, &doc));
        AP_TRY(ap_deploy_write(&d, doc));
        *document = json_incref(doc);
    }
    err = first_error(&d);
done:
    if (asks && asks->total) ap_ledger_include(asks->total, &d.ledger);
    json_decref(doc);
    deployment_release(&d);
    return err;
}

ap_err ap_deploy_check(aipc_context *c, const aipc_deploy_options *o) {
    ap_deployment d = {.ctx = c, .o = o};
    pthread_mutex_init(&d.step_lock, NULL);
    ap_ledger_init(&d.ledger);
    ap_err err = ap_deploy_look(&d);
    deployment_release(&d);
    return err;
}

ap_err ap_deploy(aipc_context *c, const aipc_deploy_options *o, json_t **document) {
    return ap_deploy_asking(c, o, NULL, document);
}
