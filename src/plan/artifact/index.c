// SPDX-License-Identifier: Apache-2.0
#include "plan/artifact/index.h"

#include "base/file.h"
#include "base/proc.h"

#include <string.h>

#define KIND "aipc index"
#define FORMAT 1
#define MAX_INDEX ((size_t)64 << 20)

static bool is_kind(const json_t *index) {
    return strcmp(ap_json_str(index, "kind", ""), KIND) == 0;
}

ap_err ap_index_load(const char *dir, json_t **out) {
    ap_arena a = {0};
    json_t *index = NULL;
    const char *path = ap_path_join(&a, dir, AP_INDEX);
    ap_err err = NULL;
    *out = NULL;
    if (!ap_file_exists(path)) goto done;
    AP_TRY(ap_json_load(path, MAX_INDEX, AP_ERR_CORRUPT, &index));
    if (!is_kind(index) || ap_json_int(index, "format", 0) != FORMAT)
        AP_FAIL(AP_ERR_CORRUPT, "%s is no index this aipc reads", path);
    *out = json_incref(index);
done:
    json_decref(index);
    ap_arena_release(&a);
    return err;
}

bool ap_index_is_ours(const char *dir) {
    ap_arena a = {0};
    json_t *index = NULL;
    const char *path = ap_path_join(&a, dir, AP_INDEX);
    if (ap_file_exists(path)) ap_err_free(ap_json_load(path, MAX_INDEX, AP_ERR_CORRUPT, &index));
    bool ours = is_kind(index);
    json_decref(index);
    ap_arena_release(&a);
    return ours;
}

bool ap_index_inside(const char *below) {
    if (!*below || *below == '/') return false;
    for (const char *p = below; (p = strstr(p, "..")) != NULL; p += 2)
        if ((p == below || p[-1] == '/') && (p[2] == '/' || p[2] == '\0')) return false;
    return true;
}

static json_t *targets_of(const aipc_deploy_options *o) {
    json_t *list = json_array();
    for (size_t i = 0; i < o->target_count; i++) json_array_append_new(list, ap_json_string(o->targets[i]));
    if (!o->target_count) json_array_append_new(list, json_string("cpu"));
    return list;
}

// What shapes an artifact of a recording; where the work is done, and how long it may take, does not.
static json_t *options_of(const aipc_deploy_options *o) {
    return json_pack("{so,so,ss*,sb,sb,sb,sb,sb,sb}", "gates", ap_json_texts(o->gates, o->gate_count),
                     "fixed", ap_json_texts(o->fixed, o->fixed_count), "precision", o->precision, "dlc",
                     o->dlc, "no_trace", o->no_trace, "no_surgery", o->no_surgery, "allow_cpu", o->allow_cpu,
                     "tune", o->tune, "sharpen", o->sharpen);
}

void ap_index_options(const json_t *index, const char *dir, ap_arena *a, aipc_deploy_options *out) {
    const json_t *o = json_object_get(index, "options");
    *out = (aipc_deploy_options){.size = sizeof *out,
                                 .model = ap_json_str(index, "recording", NULL),
                                 .out_dir = dir,
                                 .seed = 1,
                                 .precision = ap_json_str(o, "precision", NULL),
                                 .dlc = ap_json_bool(o, "dlc", false),
                                 .no_trace = ap_json_bool(o, "no_trace", false),
                                 .no_surgery = ap_json_bool(o, "no_surgery", false),
                                 .allow_cpu = ap_json_bool(o, "allow_cpu", false),
                                 .tune = ap_json_bool(o, "tune", false),
                                 .sharpen = ap_json_bool(o, "sharpen", false)};
    out->targets = ap_json_texts_of(json_object_get(index, "targets"), a, &out->target_count);
    out->tasks = ap_json_texts_of(json_object_get(index, "tasks"), a, &out->task_count);
    out->gates = ap_json_texts_of(json_object_get(o, "gates"), a, &out->gate_count);
    out->fixed = ap_json_texts_of(json_object_get(o, "fixed"), a, &out->fixed_count);
}

ap_err ap_index_write(const char *dir, const aipc_deploy_options *o, const char *recording, json_t *models,
                      json_t **out) {
    ap_arena a = {0};
    char now[21];
    ap_time_utc(now);
    json_t *index =
        json_pack("{si,ss,ss,ss,so,so,so,so,sO}", "format", FORMAT, "kind", KIND, "aipc", AP_VERSION,
                  "created", now, "recording", ap_json_string(recording), "targets", targets_of(o), "tasks",
                  ap_json_texts(o->tasks, o->task_count), "options", options_of(o), "models", models);
    ap_err err = ap_json_save(ap_path_join(&a, dir, AP_INDEX), index);
    if (err)
        json_decref(index);
    else
        *out = index;
    ap_arena_release(&a);
    return err;
}
