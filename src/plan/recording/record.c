// SPDX-License-Identifier: Apache-2.0
#include "plan/recording/record.h"

#include "base/file.h"
#include "base/proc.h"
#include "plan/recording/recording.h"
#include "plan/recording/task.h"
#include "plan/work/python.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLES = 8, BUDGET = 512 << 20 };

static json_t *options_of(const aipc_record_options *o) {
    return json_pack("{sI,sI,so}", "samples", (json_int_t)(o->samples ? o->samples : SAMPLES), "budget",
                     (json_int_t)(o->budget ? o->budget : (uint64_t)BUDGET), "modules",
                     ap_json_texts(o->modules, o->module_count));
}

static json_t *run_of(const aipc_record_options *o, const json_t *options, ap_arena *a) {
    char now[21], *here = NULL;
    bool redacted = false;
    long long samples = json_integer_value(json_object_get(options, "samples"));
    ap_time_utc(now);
    ap_err_free(ap_path_real(".", a, &here));
    json_t *command = ap_command_json(o->command, o->command_count, &redacted);
    return json_pack(
        "{si,ss,ss,ss,so,sb,so,sn,sn,so,sO,so}", "format", AP_RECORDING_FORMAT, "kind", "aipc recording",
        "aipc", AP_VERSION, "created", now, "command", command, "redacted", redacted, "cwd",
        ap_json_string(here), "status", "wall_s", "tasks", ap_json_texts(o->tasks, o->task_count), "options",
        options, "sampling",
        json_sprintf("of every signature in every process the first %lld calls, then %lld more, each at "
                     "twice the distance of the one before",
                     (samples + 1) / 2, samples - (samples + 1) / 2));
}

// An empty folder. What stands there is replaced only when it is a recording.
static ap_err make_folder(const char *dir) {
    ap_arena a = {0};
    const char **names = NULL;
    size_t count = 0;
    ap_err err = NULL;
    if (ap_recording_is(dir)) AP_TRY(ap_rmtree(dir));
    AP_TRY(ap_mkdirs(dir));
    AP_TRY(ap_list_dir(dir, &a, &names, &count));
    if (count) {
        err = ap_err_new(AP_ERR_BUSY, "the folder %s is not empty and holds no recording", dir);
        err = ap_err_hint(ap_err_subject(err, dir), "give another folder with -o");
    }
done:
    ap_arena_release(&a);
    return err;
}

static bool has_errors(const json_t *doc) {
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(doc, "models"), i, m) {
        if (json_object_size(json_object_get(m, "errors"))) return true;
    }
    return false;
}

// Why there is nothing, as far as it can be told.
static ap_err nothing(const json_t *doc) {
    ap_err err;
    const json_t *processes = json_object_get(doc, "processes");
    if (!ap_json_int(doc, "pythons", 0)) {
        err = ap_err_new(AP_ERR_NO_CAPTURE, "no Python below this command loaded aipc's hook");
        return ap_err_hint(
            err, "python -I, -E and -S, cleaned environments and frozen programs do not read PYTHONPATH: "
                 "see 'How the program is reached' in docs/recordings.md for the .pth file");
    }
    if (!json_array_size(processes) && !json_array_size(json_object_get(doc, "notes"))) {
        err = ap_err_new(AP_ERR_NO_CAPTURE, "Python ran, and called no model of torch or onnxruntime");
        return ap_err_hint(
            err, "is this the part of the program that runs the model, on a device torch has here?");
    }
    if (has_errors(doc)) return ap_err_new(AP_ERR_NO_CAPTURE, "every call of a model ended in an exception");
    err = ap_err_new(AP_ERR_NO_CAPTURE, "a model was loaded and never called");
    return ap_err_hint(
        err, "run the program with arguments that make it use the model; --module names modules by class");
}

static bool has_calls(const json_t *doc) {
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(doc, "models"), i, m) if (ap_json_int(m, "calls", 0)) return true;
    return false;
}

// The program, and its end written down.
static ap_err run(const aipc_record_options *o, const char *dir, json_t *doc, int *status) {
    ap_arena a = {0};
    const char **env = NULL, **argv = ap_arena_calloc(&a, o->command_count + 1, sizeof *argv);
    char *options = ap_json_text(json_object_get(doc, "options"), false);
    ap_hook hook = {.mode = "record", .folder = dir, .options = options};
    ap_exit how = {0};
    ap_err err = NULL;
    memcpy(argv, o->command, o->command_count * sizeof *argv);
    AP_TRY(ap_hook_env(&a, &hook, &env));
    AP_TRY(ap_json_save(ap_path_join(&a, dir, "run.json"), doc));
    uint64_t begin = ap_now_us();
    AP_TRY(ap_proc_foreground(argv, env, &how));
    *status = ap_exit_status(&how);
    json_object_set_new(doc, "status", json_integer(*status));
    json_object_set_new(doc, "wall_s", json_real((double)(ap_now_us() - begin) * 1e-6));
    AP_TRY(ap_json_save(ap_path_join(&a, dir, "run.json"), doc));
done:
    free(options);
    ap_arena_release(&a);
    return err;
}

ap_err ap_record(aipc_context *c, const aipc_record_options *o, int *status, json_t **document) {
    ap_arena a = {0};
    json_t *options = options_of(o), *doc = NULL;
    char *dir = NULL;
    ap_err err = NULL;
    (void)c;
    if (!o->command_count) AP_FAIL(AP_ERR_USAGE, "no command to record");
    AP_TRY(ap_tasks_check(o->tasks, o->task_count));
    AP_TRY(make_folder(o->out_dir ? o->out_dir : "recording"));
    AP_TRY(ap_path_real(o->out_dir ? o->out_dir : "recording", &a, &dir));
    doc = run_of(o, options, &a);
    AP_TRY(run(o, dir, doc, status));
    json_decref(doc);
    doc = NULL;
    AP_TRY(ap_recording_read(dir, &doc));
    AP_TRY(ap_json_save(ap_path_join(&a, dir, "recording.json"), doc));
    *document = json_incref(doc);
    if (!has_calls(doc)) err = nothing(doc);
done:
    json_decref(options);
    json_decref(doc);
    ap_arena_release(&a);
    return err;
}
