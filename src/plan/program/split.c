// SPDX-License-Identifier: Apache-2.0
#include "plan/program/split.h"

#include "base/data.h"
#include "base/file.h"
#include "graph/model.h"
#include "plan/recording/export.h"
#include "plan/recording/record.h"
#include "plan/recording/recording.h"
#include "plan/sides/sides.h"
#include "plan/work/python.h"
#include "plan/work/workers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STDERR_BYTES = 16 << 20 };

typedef struct split {
    aipc_context *ctx;
    const aipc_split_options *o;
    ap_arena arena;
    char *out;             // absolute
    const char *recording; // its folder
    json_t *doc;           // recording.json
    json_t *command;       // the program
    const json_t *model;   // of doc
    json_t *exported;      // export document
    json_t *made;          // split.json
    json_t *document;
} split;

// ---- where it comes from

static ap_err open_recording(split *s) {
    const ap_target_id judge = ap_cpu_target(); // of the export
    const aipc_record_options r = {.size = sizeof r,
                                   .command = s->o->command,
                                   .command_count = s->o->command_count,
                                   .out_dir = ap_path_join(&s->arena, s->out, "recording"),
                                   .modules = &s->o->module,
                                   .module_count = s->o->module ? 1 : 0};
    json_t *unused = NULL;
    char *real = NULL;
    int status = 0;
    ap_err err = NULL;
    if (!s->o->recording && !s->o->command_count)
        AP_FAIL(AP_ERR_USAGE, "neither a recording nor a program to record");
    if (!s->o->recording) {
        AP_TRY(ap_worker_ready(s->ctx, &judge));
        AP_TRY(ap_record(s->ctx, &r, &status, &unused));
        if (status) AP_FAIL(AP_ERR_NO_CAPTURE, "the program ended with exit code %d", status);
    }
    AP_TRY(ap_path_real(s->o->recording ? s->o->recording : r.out_dir, &s->arena, &real));
    s->recording = real;
    AP_TRY(ap_recording_read(real, &s->doc));
    if (s->o->command_count) {
        s->command = json_array();
        for (size_t i = 0; i < s->o->command_count; i++)
            json_array_append_new(s->command, ap_json_string(s->o->command[i]));
    } else if (ap_json_bool(s->doc, "redacted", false)) {
        err =
            ap_err_hint(ap_err_new(AP_ERR_USAGE, "the recorded command line had secrets, they were not kept"),
                        "give the command again, behind --");
    } else {
        s->command = json_incref(json_object_get(s->doc, "command"));
    }
done:
    json_decref(unused);
    return err;
}

static size_t files_of(const json_t *model) {
    const json_t *sigs = json_object_get(model, "signatures"), *sig;
    size_t n = 0;
    for (size_t i = 0; (sig = json_array_get(sigs, i)) != NULL; i++)
        n += json_is_string(json_object_get(sig, "file"));
    return n;
}

// The exported model in which the program spends most of its time.
static ap_err choose(split *s, const json_t **exported) {
    const json_t *models = json_object_get(s->exported, "models"), *m;
    double most = -1;
    for (size_t i = 0; (m = json_array_get(models, i)) != NULL; i++) {
        const json_t *recorded =
            ap_json_find(json_object_get(s->doc, "models"), "name", ap_json_str(m, "name", ""));
        double seconds = ap_json_num(recorded, "seconds", 0);
        if (!recorded || !files_of(m) || seconds <= most) continue;
        most = seconds;
        *exported = m;
        s->model = recorded;
    }
    if (!s->model) return ap_err_new(AP_ERR_EXPORT, "no model of the recording could be exported");
    return NULL;
}

static ap_err export_it(split *s, const json_t **exported) {
    const aipc_export_options e = {.size = sizeof e,
                                   .recording = s->recording,
                                   .module = s->o->module,
                                   .out_dir = ap_path_join(&s->arena, s->out, "export"),
                                   .command = s->o->command,
                                   .command_count = s->o->command_count};
    ap_context_progress(s->ctx, 1, 4, "exporting");
    ap_err err = ap_export(s->ctx, &e, &s->exported);
    if (!s->exported) return err;
    ap_err chosen = choose(s, exported);
    if (chosen && err) {
        ap_err_free(chosen);
        return err;
    }
    ap_err_free(err); // of other signatures: those calls stay the program's
    return chosen;
}

// ---- the files

static ap_err put(split *s, const char *name, const char *text, size_t len) {
    ap_err err = ap_file_write(ap_path_join(&s->arena, s->out, name), text, len);
    if (!err) json_array_append_new(json_object_get(s->document, "files"), ap_json_string(name));
    return err;
}

static ap_err put_model(split *s, const char *from, const char *name) {
    ap_model *m = NULL;
    ap_err err = NULL;
    AP_TRY(ap_model_load(from, &m));
    AP_TRY(ap_model_save(m, ap_path_join(&s->arena, s->out, name), NULL));
    json_array_append_new(json_object_get(s->document, "files"), ap_json_string(name));
done:
    ap_model_free(m);
    return err;
}

static ap_err put_signatures(split *s, const json_t *exported, json_t *list) {
    static const char *const recorded[] = {"spec", "inputs", "out_spec", "outputs"};
    const json_t *sigs = json_object_get(exported, "signatures"), *sig;
    size_t count = 0;
    ap_err err = NULL;
    for (size_t i = 0; (sig = json_array_get(sigs, i)) != NULL; i++) {
        const char *id = ap_json_str(sig, "id", ""), *from = ap_json_str(sig, "file", NULL);
        const json_t *call = ap_json_find(json_object_get(s->model, "signatures"), "id", id);
        if (!from || !call) continue;
        const char *name = ++count == 1 ? "model.onnx" : ap_arena_printf(&s->arena, "model-%zu.onnx", count);
        AP_TRY(put_model(s, from, name));
        json_t *part = json_pack("{ss,ss,sO?,sO?}", "id", id, "file", name, "feeds",
                                 json_object_get(sig, "feeds"), "results", json_object_get(sig, "results"));
        for (size_t k = 0; k < sizeof recorded / sizeof *recorded; k++)
            json_object_set(part, recorded[k], json_object_get(call, recorded[k]));
        json_array_append_new(list, part);
    }
done:
    return err;
}

static ap_err put_parts(split *s) {
    static const char *const programs[] = {"pre.py", "post.py", "infer.py"};
    static const char *const parts[] = {"flat.py", "hook.py", "identity.py"};
    char *package = NULL;
    size_t len = 0;
    ap_err err = NULL;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        const char *name = ap_arena_printf(&s->arena, "split_%s", programs[i]),
                   *text = ap_data_get(name, &len);
        if (!text) AP_FAIL(AP_ERR_INTERNAL, "the program holds no file %s", name);
        AP_TRY(put(s, programs[i], text, len));
    }
    AP_TRY(ap_python_find(&s->arena, &package));
    AP_TRY(ap_mkdirs(ap_path_join(&s->arena, s->out, "parts")));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *name = ap_arena_printf(&s->arena, "parts/%s", parts[i]);
        AP_TRY(ap_file_copy(ap_path_join(&s->arena, package, ap_arena_printf(&s->arena, "aipc/%s", parts[i])),
                            ap_path_join(&s->arena, s->out, name)));
        json_array_append_new(json_object_get(s->document, "files"), ap_json_string(name));
    }
done:
    return err;
}

static ap_err write_files(split *s, const json_t *exported) {
    json_t *list = json_array();
    ap_err err = NULL;
    AP_TRY(put_signatures(s, exported, list));
    AP_TRY(put_parts(s));
    s->made =
        json_pack("{si,ss,sO,sO,sO,sO?,sO,sO,sO}", "format", 1, "aipc", AP_VERSION, "name",
                  json_object_get(s->model, "name"), "kind", json_object_get(s->model, "kind"), "identity",
                  json_object_get(s->model, "identity"), "path", json_object_get(s->model, "path"), "command",
                  s->command, "cwd", json_object_get(s->doc, "cwd"), "signatures", list);
    AP_TRY(ap_json_save(ap_path_join(&s->arena, s->out, "split.json"), s->made));
    json_array_append_new(json_object_get(s->document, "files"), ap_json_string("split.json"));
    AP_TRY(ap_rmtree(ap_path_join(&s->arena, s->out, "export")));
done:
    json_decref(list);
    return err;
}

// ---- is it the same program

// The interpreter that called the model: "3.11.7 /usr/bin/python3" in the recording's hello-PID.txt.
static const char *interpreter(split *s) {
    const json_t *list = json_object_get(s->doc, "processes"), *p;
    const char *found = "python3";
    for (size_t i = 0; (p = json_array_get(list, i)) != NULL; i++) {
        char *name = ap_arena_printf(&s->arena, "hello-%lld.txt", (long long)ap_json_int(p, "pid", 0));
        ap_buf text = {0};
        ap_err_free(ap_file_read(ap_path_join(&s->arena, s->recording, name), STDERR_BYTES, &text));
        const char *path = strchr(ap_buf_str(&text), '/');
        if (path && ap_json_int(p, "calls", 0) > 0)
            found = ap_arena_strndup(&s->arena, path, strcspn(path, "\n"));
        ap_buf_free(&text);
    }
    return found;
}

// "split: 3 of 3 calls of the model were answered", the last one.
static void count_answers(split *s, const ap_sides *sides) {
    long long answered = 0, calls = 0;
    ap_buf text = {0};
    ap_err_free(ap_file_read(ap_sides_in(sides, 1, "stderr"), STDERR_BYTES, &text));
    for (const char *p = ap_buf_str(&text); (p = strstr(p, "split: ")) != NULL; p++)
        if (sscanf(p, "split: %lld of %lld calls", &answered, &calls) != 2) continue;
    ap_buf_free(&text);
    json_object_set_new(s->document, "calls", json_integer(calls));
    json_object_set_new(s->document, "answered", json_integer(answered));
}

static ap_err run_both(split *s, ap_sides *sides) {
    size_t n = json_array_size(s->command);
    const char **argv = ap_arena_calloc(&s->arena, n + 1, sizeof *argv);
    const char *quiet[] = {"PYTHONDONTWRITEBYTECODE=1", NULL};
    const char *infer[] = {interpreter(s), ap_path_join(&s->arena, s->out, "infer.py"), "--in", sides->here};
    for (size_t i = 0; i < n; i++) argv[i] = json_string_value(json_array_get(s->command, i));
    ap_context_progress(s->ctx, 2, 4, "running the program");
    ap_err err = ap_sides_run(sides, 0, argv, n, quiet);
    if (err) return err;
    ap_context_progress(s->ctx, 3, 4, "running its three parts");
    return ap_sides_run(sides, 1, infer, 4, quiet);
}

static ap_err check(split *s) {
    ap_gates gates = {0};
    ap_sides sides = {.arena = &s->arena, .gates = &gates};
    json_t *end = json_array(), *files = json_array();
    const char *const *tasks = s->o->tasks;
    size_t count = s->o->task_count;
    char *here = NULL;
    ap_err err = NULL;
    AP_TRY(ap_gates_init("fp32", NULL, 0, &gates));
    if (!count) tasks = ap_json_texts_of(json_object_get(s->doc, "tasks"), &s->arena, &count);
    AP_TRY(ap_sides_tasks(&sides, tasks, count));
    AP_TRY(ap_path_real(ap_json_str(s->doc, "cwd", "."), &s->arena, &here));
    sides.here = here;
    AP_TRY(ap_sides_open(&sides, "plain", "split"));
    AP_TRY(run_both(s, &sides));
    AP_TRY(ap_sides_compare(&sides, end, files));
    count_answers(s, &sides);
    bool good = ap_json_int(s->document, "answered", 0) > 0 && ap_verify_passed(end);
    json_object_set(s->document, "end", end);
    json_object_set_new(s->document, "verdict", json_string(good ? "pass" : "fail"));
    if (!good)
        err = ap_err_hint(ap_err_new(AP_ERR_GATE, "%s",
                                     ap_json_int(s->document, "answered", 0)
                                         ? "the three parts do not do what the program does"
                                         : "no call of the program was answered by the model"),
                          "run %s/infer.py and look", s->out);
done:
    ap_sides_close(&sides);
    ap_gates_release(&gates);
    json_decref(end);
    json_decref(files);
    return err;
}

ap_err ap_split(aipc_context *c, const aipc_split_options *o, json_t **document) {
    split s = {.ctx = c, .o = o};
    const json_t *exported = NULL;
    const char *out = o->out_dir ? o->out_dir : "split";
    ap_err err = NULL;
    if (ap_file_exists(ap_path_join(&s.arena, out, "split.json")))
        AP_FAIL(AP_ERR_USAGE, "%s holds a split program already", out);
    AP_TRY(ap_mkdirs(out));
    AP_TRY(ap_path_real(out, &s.arena, &s.out));
    ap_context_progress(c, 0, 4, "reading the recording");
    AP_TRY(open_recording(&s));
    AP_TRY(export_it(&s, &exported));
    s.document = json_pack("{ss,sO,s[]}", "dir", s.out, "name", json_object_get(s.model, "name"), "files");
    AP_TRY(write_files(&s, exported));
    if (!o->unchecked) err = check(&s);
    *document = json_incref(s.document);
done:
    json_decref(s.made);
    json_decref(s.document);
    json_decref(s.exported);
    json_decref(s.command);
    json_decref(s.doc);
    ap_arena_release(&s.arena);
    return err;
}
