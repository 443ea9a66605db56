// SPDX-License-Identifier: Apache-2.0
#include "plan/program/from_recording.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/proc.h"
#include "graph/inspect.h"
#include "plan/artifact/index.h"
#include "plan/program/from_recording_priv.h"
#include "plan/recording/export.h"
#include "plan/recording/recording.h"
#include "plan/recording/task.h"
#include "plan/work/lanes.h"

#include <stdlib.h>
#include <string.h>

enum { EXPORT_BYTES = 64 << 20 };

// ---- what was exported

bool ap_signature_file_there(const json_t *made) {
    const char *file = ap_json_str(made, "file", NULL);
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
        if (!ap_signature_file_there(sig) || !recorded(b, m, sig)) return false;
        files++;
    }
    return files > 0;
}

static ap_err make_export(batch *b, aipc_context *c, const aipc_export_options *o, json_t **out) {
    uint64_t start = ap_now_us();
    ap_err err = ap_export(c, o, out);
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
    err = make_export(b, b->ctx, &o, &b->exported);
    if (!usable(b)) return err;
    b->first = err; // some of it is there: the rest is told at the end
    return NULL;
}

// For one model that its target refused: another export beside the first, with level 1 and without open dims.
// The program held.
static json_t *level1_export(const signature *s, const char *name) {
    batch *b = s->b;
    const char *out =
        ap_path_join(&b->arena, b->recording, ap_arena_printf(&b->arena, "export/%s/level1", name));
    const aipc_export_options o = {
        .size = sizeof o, .recording = b->recording, .module = name, .out_dir = out, .level1 = true};
    json_t *doc = NULL;
    ap_context_log(s->ctx, AIPC_INFO, "%s was refused: exports it again, with the replacements of level 1",
                   name);
    ap_err err = ap_rmtree(out);
    if (!err) err = make_export(b, s->ctx, &o, &doc);
    ap_err_free(err);
    json_t *model = json_incref(ap_json_find(json_object_get(doc, "models"), "name", name));
    json_decref(doc);
    return model ? model : json_null();
}

const json_t *ap_signature_level1(const signature *s) {
    batch *b = s->b;
    const char *name = ap_json_str(s->model, "name", "model");
    pthread_mutex_lock(&b->program);
    json_t *model = json_object_get(b->level1, name);
    if (!model) {
        model = level1_export(s, name);
        json_object_set_new(b->level1, name, model);
    }
    pthread_mutex_unlock(&b->program);
    return ap_json_find(json_object_get(model, "signatures"), "id", ap_json_str(s->sig, "id", ""));
}

// ---- all

static void add_signature(batch *b, const json_t *exported, const json_t *made) {
    const json_t *model =
        ap_json_find(json_object_get(b->doc, "models"), "name", ap_json_str(exported, "name", ""));
    const json_t *sig = recorded(b, exported, made);
    if (!sig || !ap_signature_file_there(made)) return;
    b->list = ap_realloc(b->list, (b->count + 1) * sizeof *b->list);
    signature *s = &b->list[b->count++];
    *s = (signature){.b = b,
                     .exported = exported,
                     .model = model,
                     .sig = sig,
                     .first = made,
                     .o = *b->o,
                     .tried = json_array()};
    s->below = ap_arena_printf(&s->arena, "%s/%s", ap_json_str(model, "name", "model"),
                               ap_json_str(sig, "id", "signature"));
    s->dir = ap_path_join(&s->arena, b->out, s->below);
}

static void find_signatures(batch *b) {
    const json_t *exported, *made;
    for (size_t i = 0; (exported = json_array_get(json_object_get(b->exported, "models"), i)) != NULL; i++)
        for (size_t k = 0; (made = json_array_get(json_object_get(exported, "signatures"), k)) != NULL; k++)
            add_signature(b, exported, made);
}

// The index's entry of a model, and its errors, in the order of the recording.
static void collect(batch *b, const json_t *exported) {
    const json_t *model =
        ap_json_find(json_object_get(b->doc, "models"), "name", ap_json_str(exported, "name", ""));
    json_t *list = json_array();
    for (size_t i = 0; i < b->count; i++) {
        signature *s = &b->list[i];
        if (s->exported != exported) continue;
        json_array_append(list, s->entry);
        if (b->first) continue;
        b->first = s->err;
        s->err = NULL;
    }
    if (model)
        json_array_append_new(b->models,
                              json_pack("{sO,sO,sO,sO?,sO}", "name", json_object_get(model, "name"), "kind",
                                        json_object_get(model, "kind"), "identity",
                                        json_object_get(model, "identity"), "path",
                                        json_object_get(model, "path"), "artifacts", list));
    json_decref(list);
}

// ---- side by side

// The cpu target's times are measured on this machine, with all of it.
static bool measures_here(const aipc_deploy_options *o) {
    for (size_t i = 0; i < o->target_count; i++)
        if (!strcmp(o->targets[i], "cpu")) return true;
    return o->target_count == 0;
}

// {bytes, sha256} of its file as they matter here; null when it cannot be told: its deployment says why.
static json_t *size_up(const signature *s) {
    ap_model *m = NULL;
    json_t *stats = NULL, *file;
    size_t i;
    ap_err err = ap_model_load(ap_json_str(s->first, "file", ""), &m);
    if (!err) err = ap_model_stats(m, NULL, &stats);
    ap_err_free(err);
    ap_model_free(m);
    if (!stats) return json_null();
    int64_t bytes = ap_json_int(stats, "bytes", 0);
    json_array_foreach(json_object_get(stats, "external_files"), i, file) bytes +=
        ap_json_int(file, "bytes", 0);
    json_t *size =
        json_pack("{sI,sO?}", "bytes", (json_int_t)bytes, "sha256", json_object_get(stats, "sha256"));
    json_decref(stats);
    return size;
}

// The last one before it whose results in the store are its own, too: the same file for the same inputs.
static size_t same_before(const batch *b, const json_t *sizes, size_t i) {
    const json_t *inputs = json_object_get(b->list[i].sig, "inputs"),
                 *sha256 = json_object_get(json_array_get(sizes, i), "sha256");
    for (size_t k = i; sha256 && k-- > 0;)
        if (json_equal(json_object_get(json_array_get(sizes, k), "sha256"), sha256) &&
            json_equal(json_object_get(b->list[k].sig, "inputs"), inputs))
            return k;
    return AP_JOB_NONE;
}

// Worth asking how large the models are? That takes a look at all their bytes.
static bool may_be_several(const batch *b) {
    if (b->count < 2) return false;
    if (b->o->jobs) return b->o->jobs > 1;
    return !measures_here(b->o) && ap_cpu_count() / AP_LANE_PROCESSORS > 1;
}

static void deploy_all(batch *b) {
    ap_lane_work *list = ap_calloc(b->count, sizeof *list);
    json_t *sizes = json_array();
    bool several = may_be_several(b);
    for (size_t i = 0; i < b->count; i++) {
        signature *s = &b->list[i];
        if (several) json_array_append_new(sizes, size_up(s));
        list[i] = (ap_lane_work){.fn = ap_signature_deploy,
                                 .user = s,
                                 .name = s->below,
                                 .bytes = (uint64_t)ap_json_int(json_array_get(sizes, i), "bytes", 0),
                                 .after = same_before(b, sizes, i)};
    }
    size_t lanes = !several     ? 1
                   : b->o->jobs ? b->o->jobs
                                : ap_lanes_fit(list, b->count, ap_cpu_count(), ap_memory_free());
    ap_lanes_run(b->ctx, list, b->count, lanes);
    json_decref(sizes);
    free(list);
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
    batch b = {.ctx = c,
               .o = o,
               .out = o->out_dir ? o->out_dir : "out",
               .models = json_array(),
               .level1 = json_object()};
    json_t *exported, *time = NULL;
    char *real = NULL;
    aipc_deploy_options named = *o; // with the tasks of the recording, when there are no others
    size_t i;
    ap_err err = NULL;
    ap_ledger_init(&b.spent);
    pthread_mutex_init(&b.program, NULL);
    AP_TRY(ap_deploy_recording_check(c, o));
    AP_TRY(ap_path_real(o->model, &b.arena, &real));
    b.recording = real;
    AP_TRY(ap_recording_read(b.recording, &b.doc));
    if (!o->task_count)
        named.tasks = ap_json_texts_of(json_object_get(b.doc, "tasks"), &b.arena, &named.task_count);
    ap_unread_open(&b.unread, &named, b.recording, b.doc);
    AP_TRY(get_export(&b));
    AP_TRY(ap_mkdirs(b.out));
    find_signatures(&b);
    deploy_all(&b);
    json_array_foreach(json_object_get(b.exported, "models"), i, exported) collect(&b, exported);
    time = ap_ledger_json(&b.spent);
    AP_TRY(ap_index_write(b.out, &named, b.recording, b.models, time, document));
    err = b.first;
    b.first = NULL;
done:
    ap_err_free(b.first);
    for (i = 0; i < b.count; i++) ap_signature_release(&b.list[i]);
    free(b.list);
    ap_unread_close(&b.unread);
    pthread_mutex_destroy(&b.program);
    ap_ledger_release(&b.spent);
    json_decref(b.level1);
    json_decref(time);
    json_decref(b.models);
    json_decref(b.exported);
    json_decref(b.doc);
    ap_arena_release(&b.arena);
    return err;
}
