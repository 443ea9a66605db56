// SPDX-License-Identifier: Apache-2.0
#include "plan/verify.h"

#include "base/file.h"
#include "base/proc.h"
#include "plan/artifact_priv.h"
#include "plan/exec.h"
#include "plan/python.h"
#include "plan/record.h"
#include "plan/recording.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAMPLES = 16, BUDGET = 1 << 30 };

typedef struct verify {
    aipc_context *ctx;
    const aipc_verify_options *o;
    ap_arena arena;
    char *here;    // the working folder
    char *scratch; // plain/, served/: each with work/, calls/, stdout, stderr
    json_t *artifacts;
    ap_gates gates;
    ap_task *tasks;
    size_t task_count;
    json_t *document, *end; // end: gates of what came of it
} verify;

static char *in(verify *v, const char *side, const char *name) {
    return ap_path_join(&v->arena, ap_path_join(&v->arena, v->scratch, side), name);
}

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
                            "redacted", (int)redacted, "cwd", ap_json_string(v->here), "status", status,
                            "wall_s", "options", recording_options(), "sampling", "for aipc verify");
    ap_err err = ap_json_save(ap_path_join(&v->arena, folder, "run.json"), run);
    json_decref(run);
    return err;
}

// An argument for a run in the copy: what names something in the working folder names the same there, what
// lies beside the folder is still found.
static const char *moved(verify *v, const char *argument, const char *work) {
    size_t n = strlen(v->here);
    const char *hit = strstr(argument, v->here);
    char *real = NULL;
    if (strncmp(argument, "../", 3) == 0) {
        ap_err err = ap_path_real(argument, &v->arena, &real);
        ap_err_free(err);
        return err ? argument : real;
    }
    if (!hit || (hit[n] && hit[n] != '/')) return argument;
    return ap_arena_printf(&v->arena, "%.*s%s%s", (int)(hit - argument), argument, work, hit + n);
}

static ap_err run_side(verify *v, const char *side, bool served) {
    char *calls = in(v, side, "calls"), *work = in(v, side, "work");
    const char **env = NULL, **argv = ap_arena_calloc(&v->arena, v->o->command_count + 1, sizeof *argv);
    json_t *recording = recording_options();
    json_t *options = served ? json_pack("{sO}", "record", recording) : json_incref(recording);
    char *text = ap_json_text(options, false);
    ap_hook hook = {.mode = served ? "exec" : "record", .folder = calls, .options = text};
    ap_proc p = {0};
    ap_exit how = {0};
    bool done = false;
    ap_err err = NULL;
    for (size_t i = 0; i < v->o->command_count; i++) argv[i] = moved(v, v->o->command[i], work);
    AP_TRY(ap_mkdirs(calls));
    AP_TRY(ap_verify_copy(v->here, work));
    if (served)
        AP_TRY(ap_exec_env(&v->arena, &hook, v->artifacts, v->o->target, false, &env));
    else
        AP_TRY(ap_hook_env(&v->arena, &hook, &env));
    ap_proc_options o = {.argv = argv,
                         .env_add = env,
                         .cwd = work,
                         .stdout_path = in(v, side, "stdout"),
                         .stderr_path = in(v, side, "stderr")};
    AP_TRY(ap_proc_start(&o, &p));
    AP_TRY(ap_proc_wait(&p, UINT64_MAX, &done, &how));
    AP_TRY(write_run_json(v, calls, ap_exit_status(&how)));
    json_object_set_new(v->document, ap_arena_printf(&v->arena, "status_%s", side),
                        json_integer(ap_exit_status(&how)));
done:
    free(text);
    json_decref(options);
    json_decref(recording);
    return err;
}

static ap_err run_both(verify *v) {
    ap_context_progress(v->ctx, 0, 2, "running the program as it is");
    ap_err err = run_side(v, "plain", false);
    if (err) return err;
    ap_context_progress(v->ctx, 1, 2, "running it served");
    return run_side(v, "served", true);
}

// ---- what came of it

static ap_err compare_files(verify *v) {
    const char *const roots[2] = {in(v, "plain", "work"), in(v, "served", "work")};
    json_t *names = json_object(), *files = json_array(), *unused;
    const char *name;
    ap_err err = NULL;
    for (size_t i = 0; i < 2; i++) AP_TRY(ap_verify_changed(v->here, roots[i], names));
    json_object_foreach(names, name, unused) {
        ap_task task = ap_task_for(v->tasks, v->task_count, name);
        json_t *gate = NULL;
        AP_TRY(ap_verify_file(&task, &v->gates, name, roots, &gate));
        if (gate) json_array_append_new(v->end, gate);
        json_array_append_new(files, ap_json_string(name));
    }
    json_object_set(v->document, "files", files);
done:
    json_decref(files);
    json_decref(names);
    return err;
}

static ap_err compare_stdout(verify *v) {
    ap_task task = ap_task_for(v->tasks, v->task_count, "stdout");
    ap_buf a = {0}, b = {0};
    ap_err err = NULL;
    AP_TRY(ap_verify_read(in(v, "plain", "stdout"), in(v, "plain", "work"), &a));
    AP_TRY(ap_verify_read(in(v, "served", "stdout"), in(v, "served", "work"), &b));
    json_t *gate = ap_task_compare(&task, "stdout", ap_buf_str(&a), ap_buf_str(&b));
    if (gate) json_array_append_new(v->end, gate);
done:
    ap_buf_free(&a);
    ap_buf_free(&b);
    return err;
}

// The last line a run wrote to stderr.
static json_t *last_words(verify *v, const char *side) {
    ap_buf text = {0};
    ap_err_free(ap_verify_read(in(v, side, "stderr"), in(v, side, "work"), &text));
    while (text.len && text.data[text.len - 1] == '\n') text.data[--text.len] = '\0';
    const char *line = strrchr(ap_buf_str(&text), '\n');
    json_t *words = ap_json_string(line ? line + 1 : ap_buf_str(&text));
    ap_buf_free(&text);
    return words;
}

static ap_err compare_ends(verify *v) {
    int64_t alone = ap_json_int(v->document, "status_plain", 0),
            served = ap_json_int(v->document, "status_served", 0);
    json_t *gate = ap_verify_gate("exit code", "difference", (double)llabs(served - alone), "<=", 0);
    if (alone != served) json_object_set_new(gate, "note", last_words(v, alone ? "plain" : "served"));
    json_array_append_new(v->end, gate);
    ap_err err = compare_stdout(v);
    return err ? err : compare_files(v);
}

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

static bool all_passed(const json_t *list) {
    const json_t *g;
    for (size_t i = 0; (g = json_array_get(list, i)) != NULL; i++)
        if (strcmp(ap_json_str(g, "verdict", ""), "fail") == 0) return false;
    return true;
}

static ap_err judge(verify *v) {
    json_t *served = ap_exec_counts(in(v, "served", "calls")), *calls = NULL;
    ap_err err = NULL;
    AP_TRY(choose_gates(v, served));
    AP_TRY(ap_verify_calls(in(v, "plain", "calls"), in(v, "served", "calls"), &v->gates, &calls));
    AP_TRY(compare_ends(v));
    bool nothing = ap_json_int(served, "served", 0) == 0,
         good = !nothing && all_passed(calls) && all_passed(v->end);
    json_object_set(v->document, "served", served);
    json_object_set(v->document, "calls", calls);
    json_object_set(v->document, "end", v->end);
    json_object_set_new(v->document, "verdict", json_string(good ? "pass" : "fail"));
    if (nothing)
        err = ap_err_hint(ap_err_new(AP_ERR_NO_CAPTURE, "no call was served: there is nothing to compare"),
                          "try aipc exec with the same arguments; it says why");
    else if (!good)
        err = ap_err_hint(ap_err_new(AP_ERR_GATE, "the program does not do the same when it is served"),
                          "--keep DIR keeps what both runs printed and wrote");
done:
    json_decref(served);
    json_decref(calls);
    return err;
}

static ap_err prepare(verify *v) {
    char *real = NULL;
    ap_err err = NULL;
    if (!v->o->command_count) AP_FAIL(AP_ERR_USAGE, "no command to run");
    v->task_count = v->o->task_count;
    v->tasks = ap_arena_calloc(&v->arena, v->task_count + 1, sizeof *v->tasks);
    for (size_t i = 0; i < v->task_count; i++) AP_TRY(ap_task_parse(v->o->tasks[i], &v->arena, &v->tasks[i]));
    AP_TRY(ap_exec_artifacts(v->o->artifacts, v->o->artifact_count, &v->arena, v->artifacts));
    AP_TRY(ap_path_real(".", &v->arena, &v->here));
    AP_TRY(ap_mkdirs(ap_path_cache(&v->arena)));
    AP_TRY(ap_mkdtemp(ap_path_cache(&v->arena), "verify", &v->arena, &v->scratch));
    AP_TRY(ap_path_real(v->scratch, &v->arena, &real));
    if (ap_path_inside(v->here, real))
        AP_FAIL(AP_ERR_USAGE, "the cache '%s' lies inside the working folder, which is copied into it", real);
    v->scratch = real;
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
        argv[3] = in(v, sides[i], ".");
        argv[4] = to;
        AP_TRY(ap_proc_run(&o, 0, NULL, &how));
        if (!how.exited || how.status) AP_FAIL(AP_ERR_IO, "cannot copy what the runs left to '%s'", to);
    }
done:
    return err;
}

ap_err ap_verify(aipc_context *c, const aipc_verify_options *o, json_t **document) {
    verify v = {.ctx = c, .o = o, .artifacts = json_array(), .document = json_object(), .end = json_array()};
    ap_err err = NULL;
    AP_TRY(prepare(&v));
    AP_TRY(run_both(&v));
    err = judge(&v);
    ap_err kept = o->keep_dir ? keep(&v) : NULL;
    if (err)
        ap_err_free(kept);
    else
        err = kept;
    if (json_object_get(v.document, "verdict")) *document = json_incref(v.document);
done:
    if (v.scratch) ap_err_free(ap_rmtree(v.scratch));
    ap_gates_release(&v.gates);
    json_decref(v.artifacts);
    json_decref(v.document);
    json_decref(v.end);
    ap_arena_release(&v.arena);
    return err;
}
