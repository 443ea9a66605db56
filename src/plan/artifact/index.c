// SPDX-License-Identifier: Apache-2.0
#include "plan/artifact/index.h"

#include "base/file.h"
#include "base/proc.h"

#include <limits.h>
#include <stddef.h>
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

// Options of a deployment beside texts: of the same names in the index, which keeps what it takes to do it
// again.
#define OPTION(field)                                                                                        \
    { #field, offsetof(aipc_deploy_options, field) }
static const struct {
    const char *name;
    size_t at;
} switches[] = {OPTION(dlc),       OPTION(no_trace), OPTION(no_surgery),
                OPTION(allow_cpu), OPTION(tune),     OPTION(sharpen)},
  numbers[] = {OPTION(timeout_s), OPTION(memory_mib), OPTION(repair_builds), OPTION(repair_time_s),
               OPTION(piece_time_s)};
enum { SWITCHES = sizeof switches / sizeof *switches, NUMBERS = sizeof numbers / sizeof *numbers };

static json_t *options_of(const aipc_deploy_options *o) {
    const char *base = (const char *)o;
    json_t *out = json_pack("{so,so,ss*}", "gates", ap_json_texts(o->gates, o->gate_count), "fixed",
                            ap_json_texts(o->fixed, o->fixed_count), "precision", o->precision);
    for (size_t i = 0; i < SWITCHES; i++)
        json_object_set_new(out, switches[i].name, json_boolean(*(const bool *)(base + switches[i].at)));
    for (size_t i = 0; i < NUMBERS; i++)
        json_object_set_new(out, numbers[i].name,
                            json_integer(*(const unsigned *)(const void *)(base + numbers[i].at)));
    return out;
}

void ap_index_options(const json_t *index, const char *dir, ap_arena *a, aipc_deploy_options *out) {
    const json_t *o = json_object_get(index, "options");
    *out = (aipc_deploy_options){.size = sizeof *out,
                                 .model = ap_json_str(index, "recording", NULL),
                                 .out_dir = dir,
                                 .seed = 1,
                                 .precision = ap_json_str(o, "precision", NULL)};
    char *base = (char *)out;
    for (size_t i = 0; i < SWITCHES; i++)
        *(bool *)(base + switches[i].at) = ap_json_bool(o, switches[i].name, false);
    for (size_t i = 0; i < NUMBERS; i++) {
        int64_t v = ap_json_int(o, numbers[i].name, 0);
        *(unsigned *)(void *)(base + numbers[i].at) = v > 0 && v <= UINT_MAX ? (unsigned)v : 0;
    }
    out->targets = ap_json_texts_of(json_object_get(index, "targets"), a, &out->target_count);
    out->tasks = ap_json_texts_of(json_object_get(index, "tasks"), a, &out->task_count);
    out->gates = ap_json_texts_of(json_object_get(o, "gates"), a, &out->gate_count);
    out->fixed = ap_json_texts_of(json_object_get(o, "fixed"), a, &out->fixed_count);
}

ap_err ap_index_write(const char *dir, const aipc_deploy_options *o, const char *recording, json_t *models,
                      json_t *time, json_t **out) {
    ap_arena a = {0};
    char now[21];
    ap_time_utc(now);
    json_t *index = json_pack("{si,ss,ss,ss,so,so,so,so,sO,sO*}", "format", FORMAT, "kind", KIND, "aipc",
                              AP_VERSION, "created", now, "recording", ap_json_string(recording), "targets",
                              targets_of(o), "tasks", ap_json_texts(o->tasks, o->task_count), "options",
                              options_of(o), "models", models, "time", time);
    ap_err err = ap_json_save(ap_path_join(&a, dir, AP_INDEX), index);
    if (err)
        json_decref(index);
    else
        *out = index;
    ap_arena_release(&a);
    return err;
}
