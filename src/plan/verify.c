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

enum { MAX_FILES = 20000, SAMPLES = 16, BUDGET = 1 << 30 };
#define MAX_BYTES ((uint64_t)1 << 30)

// What is not copied for a run but linked: environments and histories.
static const char *const linked[] = {".git", ".venv", "venv", "node_modules"};

typedef struct verify {
    aipc_context *ctx;
    const aipc_verify_options *o;
    ap_arena arena;
    char *here;    // the working folder
    char *scratch; // plain/, served/: each with work/, calls/, stdout, stderr
    json_t *artifacts;
    ap_gates gates;
    ap_task task;
    json_t *document, *end; // end: gates of what came of it
} verify;

static char *in(verify *v, const char *side, const char *name) {
    return ap_path_join(&v->arena, ap_path_join(&v->arena, v->scratch, side), name);
}

static bool is_linked(const char *name) {
    for (size_t i = 0; i < sizeof linked / sizeof *linked; i++)
        if (strcmp(name, linked[i]) == 0) return true;
    return false;
}

// ---- copies of the working folder

typedef struct sum {
    uint64_t bytes;
    size_t files;
} sum;

static ap_err add_up(const char *dir, bool top, sum *s) {
    ap_arena a = {0};
    const char **names = NULL;
    size_t count = 0;
    struct stat st;
    ap_err err = NULL;
    AP_TRY(ap_list_dir(dir, &a, &names, &count));
    for (size_t i = 0; i < count; i++) {
        const char *path = ap_path_join(&a, dir, names[i]);
        if ((top && is_linked(names[i])) || lstat(path, &st)) continue;
        s->files++;
        s->bytes += S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
        if (s->files > MAX_FILES || s->bytes > MAX_BYTES)
            AP_FAIL(AP_ERR_USAGE,
                    "the working folder holds more than %d files or 1 GiB: too much for a copy each run",
                    MAX_FILES);
        if (S_ISDIR(st.st_mode)) AP_TRY(add_up(path, false, s));
    }
done:
    ap_arena_release(&a);
    return err;
}

static ap_err copy_entry(const char *from, const char *to) {
    const char *argv[] = {"cp", "-a", "--reflink=auto", "--", from, to, NULL};
    ap_proc_options o = {.argv = argv};
    ap_exit how = {0};
    ap_err err = ap_proc_run(&o, 0, NULL, &how);
    if (!err && (!how.exited || how.status))
        err = ap_err_new(AP_ERR_IO, "cannot copy '%s' to '%s'", from, to);
    return err;
}

static ap_err copy_folder(verify *v, const char *side) {
    const char **names = NULL;
    char *to = in(v, side, "work");
    size_t count = 0;
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(to));
    AP_TRY(ap_list_dir(v->here, &v->arena, &names, &count));
    for (size_t i = 0; i < count; i++) {
        const char *from = ap_path_join(&v->arena, v->here, names[i]);
        if (!is_linked(names[i]))
            AP_TRY(copy_entry(from, to));
        else if (symlink(from, ap_path_join(&v->arena, to, names[i])))
            AP_FAIL(AP_ERR_IO, "cannot link '%s'", from);
    }
done:
    return err;
}

// Files of a run that are not as they were before, by their path from `root`.
static ap_err changed(verify *v, const char *root, const char *rel, json_t *names) {
    const char **list = NULL;
    size_t count = 0;
    ap_err err = NULL;
    AP_TRY(ap_list_dir(*rel ? ap_path_join(&v->arena, root, rel) : root, &v->arena, &list, &count));
    for (size_t i = 0; i < count; i++) {
        const char *name = *rel ? ap_path_join(&v->arena, rel, list[i]) : list[i];
        struct stat now, before;
        if (lstat(ap_path_join(&v->arena, root, name), &now) || strcmp(list[i], "__pycache__") == 0) continue;
        if (S_ISDIR(now.st_mode)) AP_TRY(changed(v, root, name, names));
        if (!S_ISREG(now.st_mode)) continue;
        bool same = lstat(ap_path_join(&v->arena, v->here, name), &before) == 0 &&
                    before.st_size == now.st_size && before.st_mtim.tv_sec == now.st_mtim.tv_sec &&
                    before.st_mtim.tv_nsec == now.st_mtim.tv_nsec;
        if (!same) json_object_set_new(names, name, json_true());
    }
done:
    return err;
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

static ap_err run_side(verify *v, const char *side, const char *mode, const json_t *options) {
    char *calls = in(v, side, "calls"), *text = ap_json_text(options, false);
    const char **env = NULL, **argv = ap_arena_calloc(&v->arena, v->o->command_count + 1, sizeof *argv);
    ap_hook hook = {.mode = mode, .folder = calls, .options = text};
    ap_proc p = {0};
    ap_exit how = {0};
    bool done = false;
    ap_err err = NULL;
    memcpy(argv, v->o->command, v->o->command_count * sizeof *argv);
    AP_TRY(ap_mkdirs(calls));
    AP_TRY(copy_folder(v, side));
    AP_TRY(ap_hook_env(&v->arena, &hook, &env));
    ap_proc_options o = {.argv = argv,
                         .env_add = env,
                         .cwd = in(v, side, "work"),
                         .stdout_path = in(v, side, "stdout"),
                         .stderr_path = in(v, side, "stderr")};
    AP_TRY(ap_proc_start(&o, &p));
    AP_TRY(ap_proc_wait(&p, UINT64_MAX, &done, &how));
    AP_TRY(write_run_json(v, calls, ap_exit_status(&how)));
    json_object_set_new(v->document, ap_arena_printf(&v->arena, "status_%s", side),
                        json_integer(ap_exit_status(&how)));
done:
    free(text);
    return err;
}

static ap_err run_both(verify *v) {
    json_t *plain = recording_options();
    json_t *served = json_pack("{sO,ss*,sb,so}", "artifacts", v->artifacts, "target", v->o->target, "strict",
                               0, "record", recording_options());
    ap_err err = NULL;
    ap_context_progress(v->ctx, 0, 2, "running the program as it is");
    AP_TRY(run_side(v, "plain", "record", plain));
    ap_context_progress(v->ctx, 1, 2, "running it served");
    AP_TRY(run_side(v, "served", "exec", served));
done:
    json_decref(plain);
    json_decref(served);
    return err;
}

// ---- what came of it

static ap_err compare_files(verify *v) {
    json_t *names = json_object(), *files = json_array(), *unused;
    const char *name;
    ap_err err = NULL;
    AP_TRY(changed(v, in(v, "plain", "work"), "", names));
    AP_TRY(changed(v, in(v, "served", "work"), "", names));
    json_object_foreach(names, name, unused) {
        json_t *gate = NULL;
        AP_TRY(ap_verify_file(&v->task, &v->gates, name,
                              ap_path_join(&v->arena, in(v, "plain", "work"), name),
                              ap_path_join(&v->arena, in(v, "served", "work"), name), &gate));
        if (gate) json_array_append_new(v->end, gate);
        json_array_append_new(files, ap_json_string(name));
    }
    json_object_set(v->document, "files", files);
done:
    json_decref(files);
    json_decref(names);
    return err;
}

static ap_err compare_ends(verify *v) {
    ap_buf a = {0}, b = {0};
    json_t *gate;
    ap_err err = NULL;
    int64_t alone = ap_json_int(v->document, "status_plain", 0),
            served = ap_json_int(v->document, "status_served", 0);
    json_array_append_new(v->end,
                          ap_verify_gate("exit code", "difference", (double)llabs(served - alone), "<=", 0));
    AP_TRY(ap_file_read(in(v, "plain", "stdout"), (size_t)64 << 20, &a));
    AP_TRY(ap_file_read(in(v, "served", "stdout"), (size_t)64 << 20, &b));
    gate = ap_verify_text(&v->task, "stdout", &a, &b);
    if (gate) json_array_append_new(v->end, gate);
    AP_TRY(compare_files(v));
done:
    ap_buf_free(&a);
    ap_buf_free(&b);
    return err;
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
    json_object_set_new(v->document, "task", json_string(v->task.name));
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
    sum s = {0};
    ap_err err = NULL;
    if (!v->o->command_count) AP_FAIL(AP_ERR_USAGE, "no command to run");
    AP_TRY(ap_task_parse(v->o->task ? v->o->task : "text", &v->task));
    AP_TRY(ap_exec_artifacts(v->o->artifacts, v->o->artifact_count, &v->arena, v->artifacts));
    AP_TRY(ap_path_real(".", &v->arena, &v->here));
    err = add_up(v->here, true, &s);
    AP_TRY(ap_err_hint(err, "run it in a folder that holds the program and its inputs"));
    AP_TRY(ap_mkdirs(ap_path_cache(&v->arena)));
    AP_TRY(ap_mkdtemp(ap_path_cache(&v->arena), "verify", &v->arena, &v->scratch));
    char *real = NULL;
    AP_TRY(ap_path_real(v->scratch, &v->arena, &real));
    if (ap_path_inside(v->here, real))
        AP_FAIL(AP_ERR_USAGE, "the cache '%s' lies inside the working folder, which is copied into it", real);
done:
    return err;
}

ap_err ap_verify(aipc_context *c, const aipc_verify_options *o, json_t **document) {
    verify v = {.ctx = c, .o = o, .artifacts = json_array(), .document = json_object(), .end = json_array()};
    ap_err err = NULL;
    AP_TRY(prepare(&v));
    AP_TRY(run_both(&v));
    err = judge(&v);
    if (o->keep_dir) {
        ap_err kept = ap_mkdirs(o->keep_dir);
        if (!kept) kept = copy_entry(in(&v, "plain", "."), ap_path_join(&v.arena, o->keep_dir, "plain"));
        if (!kept) kept = copy_entry(in(&v, "served", "."), ap_path_join(&v.arena, o->keep_dir, "served"));
        if (err)
            ap_err_free(kept);
        else
            err = kept;
    }
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
