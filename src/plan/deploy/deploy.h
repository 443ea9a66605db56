// SPDX-License-Identifier: Apache-2.0
// deploy: the main job. A model, targets and example inputs become an artifact folder with the evidence.
//
// Stages: 1 baseline · 2 interface · 3 build · 4 align · 5 quantize (not asked for in float deployments) · 6
// profile and report. What it never does: compute a number itself. Workers run vendor code, golden judges,
// report draws.
#ifndef AP_PLAN_DEPLOY_H
#define AP_PLAN_DEPLOY_H

#include "device/runtime.h"
#include "golden/contract.h"
#include "golden/gates.h"
#include "plan/work/context.h"
#include "plan/work/jobs.h"
#include "plan/work/ledger.h"
#include "plan/work/store.h"
#include "plan/work/workers.h"
#include "target/soc.h"

// Runs it. *document is the deploy document (docs/documents.md), set whenever the work got far enough to have
// one, also together with an error. `o` is whole, whatever size its caller's caller handed in (api/api.c).
AP_MUST ap_err ap_deploy(aipc_context *c, const aipc_deploy_options *o, json_t **document);
// What can be said without the model, before a program runs for minutes: targets, precision, gates, runtimes.
AP_MUST ap_err ap_deploy_check(aipc_context *c, const aipc_deploy_options *o);

// Who deploys a recorded model knows its name, and can find out whether outputs that fail their gates are
// needed at all.
typedef struct ap_deploy_asks {
    const char *title; // of the document; NULL: the file's name is
    // Some of the outputs failed the gates of `gates`, nothing else did, and nothing has been searched for
    // yet. True: they are not needed; the deployment ends with its error and writes nothing. Else `why` may
    // say what needs them.
    bool (*unread)(void *user, const json_t *gates);
    void *user;
    const char *why;  // a note for the error
    json_t *left_out; // `unread` of the document: what the given model was without
    ap_ledger *total; // takes the time of this deployment, too; NULL: none
} ap_deploy_asks;
// The same with somebody to ask; `asks` may be NULL.
AP_MUST ap_err ap_deploy_asking(aipc_context *c, const aipc_deploy_options *o, ap_deploy_asks *asks,
                                json_t **document);

// ---- shared by the files of this folder

typedef struct ap_deployment ap_deployment;

// One target on its way. Filled by jobs; each field has one writer, read after the job it belongs to.
typedef struct ap_deploy_target {
    ap_deployment *d;
    ap_target_id id;
    const char *precision;
    ap_gates gates;
    size_t main_job;
    // What is built: the model as given, or what surgery made of it.
    const ap_model *model;
    const char *model_path;
    char digest[65];
    bool allow_cpu; // some of its nodes stay on the CPU, and the user said they may
    ap_model *own_model;
    json_t *surgery, *surgery_stage; // record of plan/surgery/surgery.h; NULL: the model as given
    const char *surgery_dir;         // in the store
    pthread_mutex_t lock;            // guards err: the first one wins
    ap_err err;
    // build
    char build_key[65];
    char *build_dir; // in the store
    json_t *build;   // the worker's result
    json_t *build_stage;
    // align
    char align_key[65];
    char *align_dir; // in the store, when it was there already
    json_t *align;   // {outputs, runs_equal, reload_equal, metrics}
    json_t *align_stage;
    json_t *runs[2], *reload; // TENSOR lists
    json_t *reload_io;
    double align_seconds, align_vendor_s;
    // trace
    json_t *trace, *trace_stage; // trace: {list, faithful, note}
    json_t *profile, *profile_stage;
    json_t *gate_list, *failure;
    json_t *float16; // every gate of what float16 makes of the original; null: no answer; NULL: not asked yet
    char *work;      // scratch folder of this target
} ap_deploy_target;

struct ap_deployment {
    aipc_context *ctx;
    const aipc_deploy_options *o;
    ap_deploy_asks *asks; // may be NULL
    ap_arena arena;
    ap_store store;
    ap_ledger ledger;
    ap_lock out_lock;
    const char *out_dir, *scratch, *logs;
    ap_runtime ort, qnn; // qnn only when a target needs it
    ap_model *model;     // shapes set; read-only once the jobs run
    char *model_path;    // real path
    char digest[65];
    json_t *stats, *shapes, *contract, *input_tensors, *warnings;
    json_t *fixed; // {input: value} of --fix
    char baseline_key[65];
    char *baseline_dir;
    json_t *golden, *intermediates; // TENSOR lists: the outputs; other values, when asked for
    json_t *baseline_stage, *interface_stage;
    ap_err baseline_err;
    ap_deploy_target *targets;
    size_t target_count;
    size_t steps_done, steps; // progress; guarded by step_lock
    pthread_mutex_t step_lock;
};

// prepare.c: the targets and the runtimes they need.
AP_MUST ap_err ap_deploy_look(ap_deployment *d);
// These, the model and the inputs; fills everything up to `targets`.
AP_MUST ap_err ap_deploy_prepare(ap_deployment *d);
// The SPEC of the model as every worker gets it; new reference. The second is of what is built.
json_t *ap_deploy_spec(const ap_deployment *d);
json_t *ap_target_spec(const ap_deploy_target *t);
void ap_target_keys(ap_deploy_target *t); // of what is built; again when that changes
bool ap_deploy_is_htp(const ap_deploy_target *t);

// call.c: workers with a ledger.
// `purpose` names the log file. slot: the processor to stay on, or AP_ANY_CPU.
AP_MUST ap_err ap_deploy_worker(ap_deployment *d, const ap_target_id *target, const char *purpose,
                                size_t slot, ap_worker **out);
// One request; *vendor_s (may be NULL) is added to. Steals args.
AP_MUST ap_err ap_deploy_call(ap_deployment *d, ap_worker *w, ap_time_kind kind, const char *op, json_t *args,
                              double *vendor_s, json_t **result);
// A target's model once more, with other outputs.
typedef struct ap_exposed {
    const char *purpose; // of the worker
    size_t slot;
    json_t *names;       // of the values it puts out
    const char *dir;     // for files, which the answer names
    const char *refused; // the error's text when the target does not take it so; NULL: the target's own
} ap_exposed;
// Builds it, loads what was built into the same worker and runs it on the deployment's inputs. *out: TENSOR
// list. Errors: REFUSED and those of the worker.
AP_MUST ap_err ap_target_exposed(ap_deploy_target *t, const ap_exposed *x, double *vendor_s, json_t **out);
// A stored result, or NULLs. A deployment that wants everything fresh finds nothing and drops what is there.
AP_MUST ap_err ap_deploy_find(ap_deployment *d, const char *key, ap_arena *a, char **dir, json_t **record);
// A stored stage: its result, its entry of the document, its folder (`dir` may be NULL). Nothing is set when
// there is none.
AP_MUST ap_err ap_deploy_recall(ap_deployment *d, const char *key, json_t **result, json_t **stage,
                                char **dir);
// A copy in the deployment's arena, which has many users at a time.
char *ap_deploy_keep(ap_deployment *d, const char *text);
// A fresh scratch folder.
AP_MUST ap_err ap_deploy_scratch(ap_deployment *d, const char *prefix, char **out);
void ap_deploy_step(ap_deployment *d, const char *fmt, ...) AP_PRINTF(2, 3); // one piece of progress done
json_t *ap_stage_json(const char *stage, const ap_deploy_target *t, const char *key, double seconds,
                      double vendor_s, double golden_s, const char *key_metric, json_t *inputs,
                      json_t *outputs); // steals inputs and outputs

// {name: sha256 of its elements} of the first `count` tensors of a TENSOR list; what is no tensor is left
// out.
AP_MUST ap_err ap_deploy_hashes(const json_t *tensors, size_t count, json_t **out);
// Metrics of two TENSOR lists: {name: metrics}.
AP_MUST ap_err ap_deploy_measure(const json_t *golden, const json_t *have, json_t **out);
// When `metrics` fail and the model picks rows: those given the target's picks, if they pass. *picked: the
// names of the picks, which `metrics` then has too; else it stays as it is. Uses runs[0].
AP_MUST ap_err ap_deploy_look_again(ap_deploy_target *t, json_t **metrics, json_t **picked);

// The jobs.
void ap_job_baseline(void *deployment, ap_jobs *jobs, size_t self, size_t slot); // deploy_baseline.c
void ap_job_main(void *target, ap_jobs *jobs, size_t self, size_t slot);   // deploy_build.c: build, run twice
void ap_job_reload(void *target, ap_jobs *jobs, size_t self, size_t slot); // deploy_build.c
void ap_job_trace(void *target, ap_jobs *jobs, size_t self, size_t slot);  // deploy_trace.c
void ap_target_fail(ap_deploy_target *t, ap_err e);                        // keeps the first, releases others
// After the jobs: compares, judges, commits (deploy_align.c).
void ap_target_finish(ap_deploy_target *t);
// Where it goes wrong, when a gate failed (deploy_diagnose.c). Fills t->failure.
void ap_target_diagnose(ap_deploy_target *t);
bool ap_target_has_a_place(const ap_deploy_target *t); // a gate failed whose failure has a place in the graph

// For gates that failed in float16 (deploy_float16.c): the same gates of the original with every tensor
// rounded to it, as a list; NULL: not float16, or no answer. *limit: none of them passes either, so there is
// no wrong place in the graph to look for.
json_t *ap_target_float16(ap_deploy_target *t, bool *limit);
void ap_target_float16_note(ap_deploy_target *t, const json_t *list, bool limit); // to t->err

// Surgery (deploy_repair.c). A model known to be refused as it is, whose repair is stored, is taken from
// there before any work.
AP_MUST ap_err ap_target_recall(ap_deploy_target *t);
// May surgery make a model that passes better (--tune, --sharpen, or a state that is carried from call to
// call)?
bool ap_target_gains(const ap_deploy_target *t);
// A target that failed with the model as given, or gains: makes it fit. *again: there is another model now,
// and the target is as new.
AP_MUST ap_err ap_target_repair(ap_deploy_target *t, bool *again);
// The `repairs` of the document; new reference, null when there was no surgery.
json_t *ap_target_repairs(const ap_deploy_target *t);
AP_MUST ap_err ap_target_write_left(const ap_deploy_target *t); // pieces nothing was found for
void ap_target_reset(ap_deploy_target *t);                      // deploy.c: as before the jobs
// The files that ship (of t->build), without what only the report needs; new reference.
json_t *ap_artifact_files(const ap_deploy_target *t);
// Writes the artifact folder and makes the document (deploy_document.c).
AP_MUST ap_err ap_deploy_document(ap_deployment *d, json_t **document);
AP_MUST ap_err ap_deploy_write(ap_deployment *d, json_t *document);

#endif
