// SPDX-License-Identifier: Apache-2.0
#include "plan/verify/verify.h"

#include "base/file.h"
#include "base/proc.h"
#include "plan/artifact/artifact_priv.h"
#include "plan/artifact/exec.h"
#include "plan/artifact/index.h"
#include "plan/artifact/served.h"
#include "plan/recording/record.h"
#include "plan/recording/recording.h"
#include "plan/work/python.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 16, BUDGET = 1 << 30 };

typedef struct verify {
    aipc_context *ctx;
    const aipc_verify_options *o;
    ap_arena arena;
    ap_sides sides; // plain/, served/; each with calls/, too: a recording
    json_t *artifacts;
    ap_gates gates;
    json_t *document, *end, *files; // end: gates of what came of it
} verify;
enum { PLAIN, SERVED };

// ---- the two runs

static json_t *recording_options(void) {
    return json_pack("{si,si,s[]}", "samples", SAMPLES, "budget", BUDGET, "modules");
}

static ap_err write_run_json(verify *v, const char *folder, int status) {
    char now[21];
    bool redacted = false;
    ap_time_utc(now);
    json_t *command = ap_command_json(v->o->command, v->o->command_count, &redacted);
    json_t *run = json_pack("{si,ss,ss,ss,so,sb,so,si,sn,so,ss}", "format", AP_RECORDING_FORMAT, "kind",
                            "aipc recording", "aipc", AP_VERSION, "created", now, "command", command,
                            "redacted", (int)redacted, "cwd", ap_json_string(v->sides.here), "status", status,
                            "wall_s", "options", recording_options(), "sampling", "for aipc verify");
    ap_err err = ap_json_save(ap_path_join(&v->arena, folder, "run.json"), run);
    json_decref(run);
    return err;
}

static ap_err run_side(verify *v, size_t side) {
    char *calls = ap_sides_in(&v->sides, side, "calls");
    const char **env = NULL;
    json_t *recording = recording_options();
    json_t *options = side == SERVED ? json_pack("{sO}", "record", recording) : json_incref(recording);
    char *text = ap_json_text(options, false);
    ap_hook hook = {.mode = side == SERVED ? "exec" : "record", .folder = calls, .options = text};
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(calls));
    if (side == SERVED)
        AP_TRY(ap_exec_env(&v->arena, &hook, v->artifacts, v->o->target, false, &env));
    else
        AP_TRY(ap_hook_env(&v->arena, &hook, &env));
    AP_TRY(ap_sides_run(&v->sides, side, v->o->command, v->o->command_count, env));
    AP_TRY(write_run_json(v, calls, v->sides.status[side]));
    json_object_set_new(v->document, side == SERVED ? "status_served" : "status_plain",
                        json_integer(v->sides.status[side]));
done:
    free(text);
    json_decref(options);
    json_decref(recording);
    return err;
}

static ap_err run_both(verify *v) {
    ap_context_progress(v->ctx, 0, 2, "running the program as it is");
    ap_err err = run_side(v, PLAIN);
    if (err) return err;
    ap_context_progress(v->ctx, 1, 2, "running it served");
    return run_side(v, SERVED);
}

// ---- what came of it

// Gates of the artifacts that answered: an NPU computes in half precision.
static ap_err choose_gates(verify *v, const json_t *served) {
    const char *precision = "fp32";
    const json_t *m;
    for (size_t i = 0; (m = json_array_get(json_object_get(served, "models"), i)) != NULL; i++) {
        aipc_artifact *a = NULL;
        const char *dir = ap_json_str(m, "artifact", NULL);
        ap_err err = dir ? ap_artifact_open_manifest(v->ctx, dir, v->o->target, &a) : NULL;
        if (err) return err;
        if (a && strcmp(ap_json_str(a->target, "precision", "fp32"), "fp16") == 0) precision = "fp16";
        ap_artifact_close(a);
    }
    return ap_gates_init(precision, NULL, 0, &v->gates);
}

static bool does_the_same(const verify *v) {
    return !strcmp(ap_json_str(v->document, "verdict", ""), "pass");
}

// Fills the document. Error NO_CAPTURE when nothing was served.
static ap_err judge(verify *v) {
    json_t *served = ap_exec_counts(ap_sides_in(&v->sides, SERVED, "calls")), *calls = NULL;
    ap_boundary boundary = {.ctx = v->ctx,
                            .plain = ap_sides_in(&v->sides, PLAIN, "calls"),
                            .served = ap_sides_in(&v->sides, SERVED, "calls"),
                            .gates = &v->gates};
    ap_err err = NULL;
    json_array_clear(v->end);
    json_array_clear(v->files);
    ap_gates_release(&v->gates);
    AP_TRY(choose_gates(v, served));
    AP_TRY(ap_server_open(v->ctx, ap_exec_joined(&v->arena, v->artifacts), v->o->target, &boundary.server));
    AP_TRY(ap_verify_calls(&boundary, &calls));
    AP_TRY(ap_sides_compare(&v->sides, v->end, v->files));
    bool nothing = ap_json_int(served, "served", 0) == 0;
    bool good = !nothing && ap_verify_passed(calls) && ap_verify_passed(v->end);
    json_object_set(v->document, "files", v->files);
    json_object_set(v->document, "served", served);
    json_object_set(v->document, "calls", calls);
    json_object_set(v->document, "end", v->end);
    json_object_set_new(v->document, "verdict", json_string(good ? "pass" : "fail"));
    if (nothing)
        err = ap_err_hint(ap_err_new(AP_ERR_NO_CAPTURE, "no call was served: there is nothing to compare"),
                          "try aipc exec with the same arguments; it says why");
done:
    ap_server_close(boundary.server);
    json_decref(served);
    json_decref(calls);
    return err;
}

// ---- stepping back

static ap_err look_again(verify *v) {
    json_t *repair = NULL;
    json_t *first =
        json_pack("{sO,so}", "calls", json_object_get(v->document, "calls"), "end", json_deep_copy(v->end));
    ap_err err = NULL;
    ap_context_progress(v->ctx, 1, 2, "deploying again, more exactly");
    AP_TRY(ap_verify_repair(v->ctx, v->artifacts, &repair));
    json_object_set(repair, "first", first);
    json_object_set(v->document, "repair", repair);
    if (!json_array_size(json_object_get(repair, "deployed"))) goto done;
    AP_TRY(ap_rmtree(v->sides.dirs[SERVED]));
    AP_TRY(run_side(v, SERVED));
    AP_TRY(judge(v));
done:
    json_decref(first);
    json_decref(repair);
    return err;
}

// The error of a program that does not do the same.
static ap_err differs(const verify *v) {
    const json_t *left = json_object_get(json_object_get(v->document, "repair"), "left"), *one;
    ap_err err = ap_err_new(AP_ERR_GATE, "the program does not do the same when it is served");
    for (size_t i = 0; (one = json_array_get(left, i)) != NULL; i++)
        err = ap_err_note(err, "%s could not be made more exact: %s", ap_json_str(one, "dir", "?"),
                          ap_json_str(one, "why", "?"));
    return ap_err_hint(err, "%s--keep DIR keeps what both runs printed and wrote",
                       v->o->repair ? "" : "--repair deploys again, more exactly; ");
}

// Those given, else those the program was recorded or deployed with.
static ap_err choose_tasks(verify *v) {
    json_t *texts = ap_json_texts(v->o->tasks, v->o->task_count), *index = NULL;
    size_t count = 0;
    ap_err err = NULL;
    json_object_set_new(v->document, "tasks", texts);
    for (size_t i = 0; !v->o->task_count && i < json_array_size(v->artifacts); i++) {
        AP_TRY(ap_index_load(json_string_value(json_array_get(v->artifacts, i)), &index));
        json_t *named = json_object_get(index, "tasks");
        if (json_is_array(named)) json_array_extend(texts, named);
        json_decref(index);
        index = NULL;
    }
    const char **list = ap_json_texts_of(texts, &v->arena, &count);
    AP_TRY(ap_sides_tasks(&v->sides, list, count));
done:
    return err;
}

static ap_err prepare(verify *v) {
    char *here = NULL;
    ap_err err = NULL;
    if (!v->o->command_count) AP_FAIL(AP_ERR_USAGE, "no command to run");
    v->sides.arena = &v->arena;
    v->sides.gates = &v->gates;
    AP_TRY(ap_exec_artifacts(v->o->artifacts, v->o->artifact_count, &v->arena, v->artifacts));
    AP_TRY(choose_tasks(v));
    AP_TRY(ap_path_real(".", &v->arena, &here));
    v->sides.here = here;
    AP_TRY(ap_sides_open(&v->sides, "plain", "served"));
done:
    return err;
}

static ap_err keep(verify *v) {
    const char *argv[] = {"cp", "-a", "--", NULL, NULL, NULL};
    ap_proc_options o = {.argv = argv};
    ap_exit how = {0};
    ap_err err = NULL;
    static const char *const sides[] = {"plain", "served"};
    for (size_t i = 0; i < 2; i++) {
        char *to = ap_path_join(&v->arena, v->o->keep_dir, sides[i]);
        AP_TRY(ap_mkdirs(to));
        argv[3] = ap_sides_in(&v->sides, i, ".");
        argv[4] = to;
        AP_TRY(ap_proc_run(&o, 0, NULL, &how));
        if (!how.exited || how.status) AP_FAIL(AP_ERR_IO, "cannot copy what the runs left to '%s'", to);
    }
done:
    return err;
}

ap_err ap_verify(aipc_context *c, const aipc_verify_options *o, json_t **document) {
    verify v = {.ctx = c,
                .o = o,
                .artifacts = json_array(),
                .document = json_object(),
                .end = json_array(),
                .files = json_array()};
    ap_err err = NULL;
    AP_TRY(prepare(&v));
    AP_TRY(run_both(&v));
    err = judge(&v);
    if (!err && !does_the_same(&v) && o->repair) err = look_again(&v);
    if (!err && !does_the_same(&v)) err = differs(&v);
    ap_err kept = o->keep_dir ? keep(&v) : NULL;
    if (err)
        ap_err_free(kept);
    else
        err = kept;
    if (json_object_get(v.document, "verdict")) *document = json_incref(v.document);
done:
    ap_sides_close(&v.sides);
    ap_gates_release(&v.gates);
    json_decref(v.artifacts);
    json_decref(v.document);
    json_decref(v.end);
    json_decref(v.files);
    ap_arena_release(&v.arena);
    return err;
}
