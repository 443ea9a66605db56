// SPDX-License-Identifier: Apache-2.0
#include "plan/program/from_recording.h"

#include "base/file.h"
#include "base/proc.h"
#include "plan/artifact/index.h"
#include "plan/deploy/deploy.h"
#include "plan/program/unread.h"
#include "plan/recording/export.h"
#include "plan/recording/recording.h"
#include "plan/recording/task.h"
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

enum { EXPORT_BYTES = 64 << 20, SWITCH_MAX = 1 << 30 };

typedef struct batch {
    aipc_context *ctx;
    const aipc_deploy_options *o;
    ap_arena arena;
    const char *recording, *out;
    json_t *doc;      // recording
    json_t *exported; // export document
    json_t *models;   // of the index
    ap_err first;     // of the deployments
    ap_unread unread; // who asks the program
    ap_ledger spent;  // by all of it
} batch;

// ---- what was exported

static bool file_there(const json_t *sig) {
    const char *file = ap_json_str(sig, "file", NULL);
    return file && ap_file_exists(file);
}

// The recorded signature of one that was exported; NULL when the recording has another one by now.
static json_t *recorded(const batch *b, const json_t *model, const json_t *made) {
    const json_t *m = ap_json_find(json_object_get(b->doc, "models"), "name", ap_json_str(model, "name", ""));
    return ap_json_find(json_object_get(m, "signatures"), "id", ap_json_str(made, "id", ""));
}

// An earlier export serves while its files are there and are of this recording; it may be of models the user
// named.
static bool usable(const batch *b) {
    const json_t *models = json_object_get(b->exported, "models");
    size_t i, k, files = 0;
    json_t *m, *sig;
    json_array_foreach(models, i, m) json_array_foreach(json_object_get(m, "signatures"), k, sig) {
        if (!json_is_string(json_object_get(sig, "file"))) continue;
        if (!file_there(sig) || !recorded(b, m, sig)) return false;
        files++;
    }
    return files > 0;
}

static ap_err make_export(batch *b, const aipc_export_options *o, json_t **out) {
    uint64_t start = ap_now_us();
    ap_err err = ap_export(b->ctx, o, out);
    ap_ledger_add(&b->spent, AP_TIME_EXPORT, ap_now_us() - start);
    return err;
}

static ap_err get_export(batch *b) {
    const char *file = ap_path_join(&b->arena, b->recording, "export/export.json");
    ap_err err = NULL;
    if (ap_file_exists(file) && !b->o->fresh)
        err = ap_json_load(file, EXPORT_BYTES, AP_ERR_RECORDING, &b->exported);
    if (err || usable(b)) return err;
    json_decref(b->exported);
    b->exported = NULL;
    const aipc_export_options o = {.size = sizeof o, .recording = b->recording};
    err = make_export(b, &o, &b->exported);
    if (!usable(b)) return err;
    b->first = err; // some of it is there: the rest is told at the end
    return NULL;
}

// For one model that its target refused: another export beside the first, with level 1 and without open dims.
static json_t *level1_export(batch *b, const char *name) {
    const char *out =
        ap_path_join(&b->arena, b->recording, ap_arena_printf(&b->arena, "export/%s/level1", name));
    const aipc_export_options o = {
        .size = sizeof o, .recording = b->recording, .module = name, .out_dir = out, .level1 = true};
    json_t *doc = NULL;
    ap_context_log(b->ctx, AIPC_INFO, "%s was refused: exports it again, with the replacements of level 1",
                   name);
    ap_err err = ap_rmtree(out);
    if (!err) err = make_export(b, &o, &doc);
    ap_err_free(err);
    json_t *model = json_incref(ap_json_find(json_object_get(doc, "models"), "name", name));
    json_decref(doc);
    return model;
}

// ---- one signature

static bool is_module(const json_t *model) {
    return !strcmp(ap_json_str(model, "kind", ""), "module");
}

static bool is_fixed(const aipc_deploy_options *o, const char *input) {
    size_t n = strlen(input);
    for (size_t i = 0; i < o->fixed_count; i++)
        if (strncmp(o->fixed[i], input, n) == 0 && o->fixed[i][n] == '=') return true;
    return false;
}

// How many of a sample's inputs say nothing: the same value everywhere (silence, a state not yet written).
static size_t constant_inputs(batch *b, const json_t *sample, const json_t *feeds) {
    const json_t *feed, *files = json_object_get(sample, "inputs");
    size_t constant = 0;
    for (size_t i = 0; (feed = json_array_get(feeds, i)) != NULL; i++) {
        const char *file = json_string_value(json_array_get(files, (size_t)ap_json_int(feed, "leaf", 0)));
        ap_tensor t = {0};
        ap_err err = ap_npy_map(ap_path_join(&b->arena, b->recording, file ? file : ""), &t);
        size_t one = ap_dtype_bits(t.dtype) / 8;
        constant +=
            !err && one && t.bytes > one && memcmp(t.data, (const char *)t.data + one, t.bytes - one) == 0;
        ap_err_free(err);
        ap_tensor_free(&t);
    }
    return constant;
}

// The sample that is deployed with: the first of those that say most.
static const json_t *best_sample(batch *b, const json_t *sig, const json_t *feeds) {
    const json_t *samples = json_object_get(sig, "samples"), *sample, *best = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; least && (sample = json_array_get(samples, i)) != NULL; i++) {
        size_t constant = constant_inputs(b, sample, feeds);
        if (constant >= least) continue;
        least = constant;
        best = sample;
    }
    return best;
}

// "NAME=FILE" of a sample, for the inputs the model has that are not fixed.
static const char **input_args(batch *b, const aipc_deploy_options *o, const json_t *sig, const json_t *made,
                               size_t *count) {
    const json_t *feeds = json_object_get(made, "feeds"), *feed;
    const json_t *sample = best_sample(b, sig, feeds);
    const char **args = ap_arena_calloc(&b->arena, json_array_size(feeds) + 1, sizeof *args);
    for (size_t i = *count = 0; i < json_array_size(feeds); i++) {
        feed = json_array_get(feeds, i);
        const json_t *file =
            json_array_get(json_object_get(sample, "inputs"), (size_t)ap_json_int(feed, "leaf", 0));
        if (!json_is_string(file) || is_fixed(o, ap_json_str(feed, "input", ""))) continue;
        args[(*count)++] = ap_arena_printf(&b->arena, "%s=%s/%s", ap_json_str(feed, "input", "?"),
                                           b->recording, json_string_value(file));
    }
    return args;
}

// A whole number that was the same in every sample of a session's input (a sample rate): a switch the graph
// may be built on. The index says so, and whoever serves the artifact looks at it.
static bool is_switch(batch *b, const json_t *sig, size_t leaf, int64_t *value) {
    const json_t *samples = json_object_get(sig, "samples"), *one;
    size_t i;
    json_array_foreach(samples, i, one) {
        const char *file = json_string_value(json_array_get(json_object_get(one, "inputs"), leaf));
        ap_tensor t = {0};
        ap_err err = ap_npy_map(ap_path_join(&b->arena, b->recording, file ? file : ""), &t);
        bool fits =
            !err && ap_dtype_is_int(t.dtype) && ap_dtype_bits(t.dtype) >= 8 && ap_tensor_count(&t) == 1;
        int64_t v = fits ? (int64_t)ap_tensor_at(&t, 0) : 0;
        ap_err_free(err);
        ap_tensor_free(&t);
        if (!fits || v > SWITCH_MAX || v < -SWITCH_MAX || (i && v != *value)) return false;
        *value = v;
    }
    return json_array_size(samples) > 0;
}

// [{input, leaf, value}]
static json_t *switches_of(batch *b, const json_t *model, const json_t *sig, const json_t *made) {
    json_t *list = json_array(), *feed;
    size_t i;
    if (strcmp(ap_json_str(model, "kind", ""), "session") != 0) return list;
    json_array_foreach(json_object_get(made, "feeds"), i, feed) {
        int64_t value = 0;
        if (is_switch(b, sig, (size_t)ap_json_int(feed, "leaf", 0), &value))
            json_array_append_new(list,
                                  json_pack("{sO,sO,sI}", "input", json_object_get(feed, "input"), "leaf",
                                            json_object_get(feed, "leaf"), "value", (json_int_t)value));
    }
    return list;
}

static const char *const *switch_args(batch *b, const json_t *switches) {
    const char **args = ap_arena_calloc(&b->arena, json_array_size(switches) + 1, sizeof *args);
    const json_t *one;
    size_t i;
    json_array_foreach(switches, i, one) args[i] = ap_arena_printf(
        &b->arena, "%s=%lld", ap_json_str(one, "input", "?"), (long long)ap_json_int(one, "value", 0));
    return args;
}

// One signature of a model, on its way.
typedef struct signature {
    batch *b;
    const json_t *model, *sig; // of the recording
    const json_t *made;        // as exported
    json_t *switches, *tried;  // tried: exports that failed before `made`
    char *below, *dir;
    aipc_deploy_options o;
    ap_deploy_asks asks;
    ap_unread_question question;
    bool passed;
} signature;

static ap_err deploy_into(signature *s, const json_t *made, const char *dir, ap_deploy_asks *asks) {
    batch *b = s->b;
    aipc_deploy_options o = s->o;
    json_t *doc = NULL;
    if (!o.fixed_count) {
        o.fixed = switch_args(b, s->switches);
        o.fixed_count = json_array_size(s->switches);
    }
    o.model = ap_json_str(made, "file", "");
    o.inputs = input_args(b, &o, s->sig, made, &o.input_count);
    o.out_dir = dir;
    ap_err err = ap_deploy_asking(b->ctx, &o, asks, &doc);
    s->passed = !strcmp(ap_json_str(doc, "verdict", ""), "pass");
    json_decref(doc);
    return err;
}

// Of the index. `less`: outputs are left out of `made`; why is known once the program was asked.
static json_t *entry_of(const signature *s, const json_t *made, bool less) {
    const json_t *sig = s->sig, *outputs = json_object_get(sig, "outputs");
    json_t *leaves = less && is_module(s->model) ? ap_unread_leaves(outputs, made)
                                                 : json_copy((json_t *)(uintptr_t)outputs);
    return json_pack("{sO,ss,ss,sO,sO,sO,so,sO,sO,sO?,sO,sO,sO*}", "signature", json_object_get(sig, "id"),
                     "dir", s->below, "verdict", s->passed ? "pass" : "fail", "spec",
                     json_object_get(sig, "spec"), "inputs", json_object_get(sig, "inputs"), "out_spec",
                     json_object_get(sig, "out_spec"), "outputs", leaves, "feeds",
                     json_object_get(made, "feeds"), "results", json_object_get(made, "results"), "level1",
                     json_object_get(made, "level1"), "fixed", s->switches, "tried", s->tried, "unread",
                     s->question.evidence);
}

// ---- outputs that nobody reads

// For the question: as short as it can be.
static json_t *deploy_for_question(void *user, const json_t *made, const char *dir) {
    signature *s = user;
    aipc_deploy_options all = s->o;
    s->o.no_trace = true;
    s->o.tune = s->o.sharpen = false;
    ap_deploy_asks asks = {.total = &s->b->spent};
    ap_err err = deploy_into(s, made, dir, &asks);
    s->o = all;
    ap_err_free(err);
    return s->passed ? entry_of(s, made, true) : NULL;
}

static bool is_unread(void *user, const json_t *gates) {
    signature *s = user;
    s->question = (ap_unread_question){
        .model = s->model, .sig = s->sig, .made = s->made, .deploy = deploy_for_question, .user = s};
    bool unread = ap_unread_ask(&s->b->unread, &s->question, gates);
    s->asks.why = s->question.why;
    return unread;
}

// "RRDBNet 1x3x96x128": the model's file is named by a hash.
static const char *title_of(const signature *s) {
    ap_buf text = {0};
    const json_t *dims = json_object_get(json_array_get(json_object_get(s->sig, "inputs"), 0), "dims");
    for (size_t i = 0; i < json_array_size(dims); i++)
        ap_buf_printf(&text, "%s%" JSON_INTEGER_FORMAT, i ? "x" : " ",
                      json_integer_value(json_array_get(dims, i)));
    const char *title =
        ap_arena_printf(&s->b->arena, "%s%s", ap_json_str(s->model, "name", "model"), ap_buf_str(&text));
    ap_buf_free(&text);
    return title;
}

// With all its outputs, or without those that fail and nobody reads.
static ap_err deploy_one(signature *s, const json_t *made) {
    s->made = made;
    s->asks = (ap_deploy_asks){.title = title_of(s), .unread = is_unread, .user = s, .total = &s->b->spent};
    ap_unread_question_release(&s->question);
    ap_err err = deploy_into(s, made, s->dir, &s->asks);
    if (!s->question.evidence) return err;
    ap_err_free(err);
    s->made = s->question.without;
    s->asks =
        (ap_deploy_asks){.title = s->asks.title, .left_out = s->question.evidence, .total = &s->b->spent};
    s->o.fresh = false; // the question has just built it
    return deploy_into(s, s->made, s->dir, &s->asks);
}

static bool refused(const ap_error *err) {
    ap_code code = ap_err_code(err);
    return code == AP_ERR_REFUSED || code == AP_ERR_VENDOR || code == AP_ERR_WORKER_CRASH ||
           code == AP_ERR_GATE;
}

static void deploy_signature(batch *b, const json_t *model, const json_t *sig, const json_t *made,
                             json_t *list) {
    const char *name = ap_json_str(model, "name", "model"), *id = ap_json_str(sig, "id", "signature");
    signature s = {.b = b, .model = model, .sig = sig, .o = *b->o, .tried = json_array()};
    json_t *again = NULL;
    s.below = ap_arena_printf(&b->arena, "%s/%s", name, id);
    s.dir = ap_path_join(&b->arena, b->out, s.below);
    s.switches = switches_of(b, model, sig, made);
    ap_context_log(b->ctx, AIPC_INFO, "deploys %s", s.below);
    ap_err err = deploy_one(&s, made);
    if (refused(err) && is_module(model) && !json_array_size(json_object_get(made, "level1"))) {
        again = level1_export(b, name);
        json_t *other = ap_json_find(json_object_get(again, "signatures"), "id", id);
        bool open = ap_json_bool(made, "open", false);
        if (file_there(other) && (open || json_array_size(json_object_get(other, "level1")))) {
            json_array_append_new(s.tried, json_pack("{sO?,sb,so}", "level1", json_object_get(made, "level1"),
                                                     "open", open, "error", ap_json_from_err(err)));
            ap_err_free(err);
            err = deploy_one(&s, other);
        }
    }
    json_array_append_new(list, entry_of(&s, s.made, s.question.evidence != NULL));
    ap_unread_question_release(&s.question);
    json_decref(s.switches);
    json_decref(s.tried);
    json_decref(again);
    err = ap_err_context(err, "%s", s.below);
    if (b->first)
        ap_err_free(err);
    else
        b->first = err;
}

// ---- all

static void deploy_model(batch *b, const json_t *exported) {
    const json_t *model =
        ap_json_find(json_object_get(b->doc, "models"), "name", ap_json_str(exported, "name", ""));
    json_t *made, *list = json_array();
    size_t i;
    json_array_foreach(json_object_get(exported, "signatures"), i, made) {
        const json_t *sig = recorded(b, exported, made);
        if (sig && file_there(made)) deploy_signature(b, model, sig, made, list);
    }
    if (model)
        json_array_append_new(b->models,
                              json_pack("{sO,sO,sO,sO?,sO}", "name", json_object_get(model, "name"), "kind",
                                        json_object_get(model, "kind"), "identity",
                                        json_object_get(model, "identity"), "path",
                                        json_object_get(model, "path"), "artifacts", list));
    json_decref(list);
}

static ap_err check_inputs(const aipc_deploy_options *o) {
    if (!o->input_count && !o->shape_count && !o->recipe_count) return NULL;
    return ap_err_hint(ap_err_new(AP_ERR_USAGE, "a recording brings its own inputs and shapes"),
                       "leave --input, --shape and --recipe out, or deploy a model of %s/export", o->model);
}

ap_err ap_deploy_recording_check(aipc_context *c, const aipc_deploy_options *o) {
    ap_err err = check_inputs(o);
    if (!err) err = ap_tasks_check(o->tasks, o->task_count);
    return err ? err : ap_deploy_check(c, o);
}

ap_err ap_deploy_recording(aipc_context *c, const aipc_deploy_options *o, json_t **document) {
    batch b = {.ctx = c, .o = o, .out = o->out_dir ? o->out_dir : "out", .models = json_array()};
    json_t *exported, *time = NULL;
    char *real = NULL;
    aipc_deploy_options named = *o; // with the tasks of the recording, when there are no others
    size_t i;
    ap_err err = NULL;
    ap_ledger_init(&b.spent);
    AP_TRY(ap_deploy_recording_check(c, o));
    AP_TRY(ap_path_real(o->model, &b.arena, &real));
    b.recording = real;
    AP_TRY(ap_recording_read(b.recording, &b.doc));
    if (!o->task_count)
        named.tasks = ap_json_texts_of(json_object_get(b.doc, "tasks"), &b.arena, &named.task_count);
    ap_unread_open(&b.unread, c, &named, b.recording, b.doc);
    AP_TRY(get_export(&b));
    AP_TRY(ap_mkdirs(b.out));
    json_array_foreach(json_object_get(b.exported, "models"), i, exported) deploy_model(&b, exported);
    time = ap_ledger_json(&b.spent);
    AP_TRY(ap_index_write(b.out, &named, b.recording, b.models, time, document));
    err = b.first;
    b.first = NULL;
done:
    ap_err_free(b.first);
    ap_unread_close(&b.unread);
    ap_ledger_release(&b.spent);
    json_decref(time);
    json_decref(b.models);
    json_decref(b.exported);
    json_decref(b.doc);
    ap_arena_release(&b.arena);
    return err;
}
