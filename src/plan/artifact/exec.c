// SPDX-License-Identifier: Apache-2.0
#include "plan/artifact/exec.h"

#include "base/file.h"
#include "base/proc.h"
#include "plan/artifact/artifact.h"
#include "plan/artifact/index.h"
#include "plan/artifact/served.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTER_BYTES = 8, MAX_LOG = 16 << 20 };

// ---- what was served

static json_t *entry_of(json_t *models, const json_t *line) {
    static const char *const same[] = {"model", "artifact", "target", "why"};
    size_t i;
    json_t *m;
    json_array_foreach(models, i, m) {
        bool equal = true;
        for (size_t k = 0; k < sizeof same / sizeof *same && equal; k++)
            equal = json_equal(json_object_get(m, same[k]), json_object_get(line, same[k]));
        if (equal) return m;
    }
    m = json_object();
    for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
        const json_t *v = json_object_get(line, same[k]);
        json_object_set_new(m, same[k], json_is_string(v) ? json_string(json_string_value(v)) : json_null());
    }
    json_object_set_new(m, "calls", json_integer(0));
    json_array_append_new(models, m);
    return m;
}

static uint64_t counter_at(const ap_filemap *bins, int64_t slot) {
    uint64_t n = 0;
    if (slot < 0 || (uint64_t)slot >= bins->bytes / COUNTER_BYTES) return 0;
    memcpy(&n, bins->data + (size_t)slot * COUNTER_BYTES, sizeof n);
    return n > INT64_MAX / 2 ? 0 : n;
}

// One process: its log names the counters. A slot may be named twice when there were too many: the first one
// counts.
static void add_process(const char *log_path, const char *bin_path, json_t *models) {
    ap_buf log = {0};
    ap_filemap bins = {0};
    ap_err err = NULL;
    AP_TRY(ap_file_read(log_path, MAX_LOG, &log));
    AP_TRY(ap_filemap_open(bin_path, &bins));
    int64_t next = 0;
    for (char *line = log.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        json_t *j = NULL;
        ap_err bad = ap_json_parse(line, (size_t)(end - line), "served", AP_ERR_CORRUPT, &j);
        ap_err_free(bad);
        if (!bad && ap_json_int(j, "slot", -1) == next) {
            json_t *m = entry_of(models, j);
            json_object_set_new(
                m, "calls", json_integer(ap_json_int(m, "calls", 0) + (json_int_t)counter_at(&bins, next)));
            next++;
        }
        json_decref(j);
    }
done:
    ap_err_free(err);
    ap_filemap_close(&bins);
    ap_buf_free(&log);
}

// The last line of what went wrong in the hook itself; the program went on without it.
static json_t *last_line(const char *path) {
    ap_buf text = {0};
    ap_err_free(ap_file_read(path, MAX_LOG, &text));
    while (text.len && text.data[text.len - 1] == '\n') text.data[--text.len] = '\0';
    const char *line = strrchr(ap_buf_str(&text), '\n');
    json_t *out = ap_json_string(line ? line + 1 : ap_buf_str(&text));
    ap_buf_free(&text);
    return out;
}

json_t *ap_exec_counts(const char *dir) {
    ap_arena a = {0};
    const char **names = NULL;
    size_t count = 0, i;
    json_t *models = json_array(), *wrong = json_null(), *m;
    int64_t calls = 0, served = 0;
    bool python = false;
    ap_err_free(ap_list_dir(dir, &a, &names, &count));
    for (size_t n = 0; n < count; n++) {
        const char *end = strstr(names[n], ".jsonl");
        python = python || strncmp(names[n], "hello-", 6) == 0;
        if (strncmp(names[n], "hook-error-", 11) == 0 && json_is_null(wrong))
            wrong = last_line(ap_path_join(&a, dir, names[n]));
        if (strncmp(names[n], "served-", 7) != 0 || !end) continue;
        char *log = ap_path_join(&a, dir, names[n]);
        add_process(log, ap_arena_printf(&a, "%.*s.bin", (int)(strlen(log) - 6), log), models);
    }
    json_array_foreach(models, i, m) {
        calls += ap_json_int(m, "calls", 0);
        if (!json_is_null(json_object_get(m, "artifact"))) served += ap_json_int(m, "calls", 0);
    }
    ap_arena_release(&a);
    return json_pack("{sI,sI,sb,so,so}", "calls", (json_int_t)calls, "served", (json_int_t)served, "python",
                     (int)python, "hook_error", wrong, "models", models);
}

// ---- running

// Absolute paths of folders that hold a deployment; the program may change its own folder.
ap_err ap_exec_artifacts(const char *const *folders, size_t count, ap_arena *a, json_t *list) {
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++) {
        char *real = NULL;
        AP_TRY(ap_path_real(folders[i], a, &real));
        if (!ap_file_exists(ap_path_join(a, real, AP_INDEX)) &&
            !ap_file_exists(ap_path_join(a, real, AP_MANIFEST)))
            AP_FAIL(AP_ERR_NOT_FOUND, "%s holds neither " AP_INDEX " nor " AP_MANIFEST, folders[i]);
        json_array_append_new(list, ap_json_string(real));
    }
    if (!count) AP_FAIL(AP_ERR_NOT_FOUND, "no folder of artifacts to serve from");
done:
    return ap_err_hint(err, "run aipc deploy first and name its folder with --artifacts");
}

char *ap_exec_joined(ap_arena *a, const json_t *list) {
    char *all = ap_arena_strdup(a, "");
    for (size_t i = 0; i < json_array_size(list); i++)
        all = ap_arena_printf(a, "%s%s%s", all, i ? ":" : "", json_string_value(json_array_get(list, i)));
    return all;
}

// "NAME=" and both parts, as lists of paths.
static char *joined_env(ap_arena *a, const char *name, const char *first, const char *last) {
    bool both = first && *first && last && *last;
    return ap_arena_printf(a, "%s=%s%s%s", name, first ? first : "", both ? ":" : "", last ? last : "");
}

// The library that lets workers read the program's tensors where they lie (preload/heap.c); NULL: they are
// copied.
static char *find_heap(ap_arena *a, const char *dropin) {
    const char *wanted = getenv("AIPC_HEAP");
    char *path = ap_path_join(a, dropin, "libaipc_heap.so");
    if (wanted && strcmp(wanted, "0") == 0) return NULL;
    return ap_file_exists(path) && !strpbrk(path, " :") ? path : NULL; // the loader ends a path at either
}

ap_err ap_exec_env(ap_arena *a, const ap_hook *hook, const json_t *artifacts, const char *target, bool strict,
                   const char ***out) {
    const char **env = NULL;
    char *dropin = NULL, *heap = NULL;
    size_t n = 0;
    ap_err err = NULL;
    AP_TRY(ap_hook_env(a, hook, &env));
    while (env[n]) n++;
    const char **all = ap_arena_calloc(a, n + 6, sizeof *all);
    memcpy(all, env, n * sizeof *all);
    all[n++] = ap_arena_printf(a, "AIPC_ARTIFACTS=%s", ap_exec_joined(a, artifacts));
    all[n++] = ap_arena_printf(a, "AIPC_TARGET=%s", target ? target : "");
    all[n++] = ap_arena_printf(a, "AIPC_STRICT=%s", strict ? "1" : "");
    if (ap_dropin_find(a, &dropin)) {
        all[n++] = joined_env(a, "LD_LIBRARY_PATH", dropin, getenv("LD_LIBRARY_PATH"));
        heap = find_heap(a, dropin);
    }
    // Behind others: an allocator or a sanitizer of the program's stays first, and ours stands back then.
    if (heap) all[n++] = joined_env(a, "LD_PRELOAD", getenv("LD_PRELOAD"), heap);
    *out = all;
done:
    return err;
}

// That they can be read is seen before the program starts.
static ap_err check(aipc_context *c, ap_arena *a, const json_t *artifacts, const char *target) {
    aipc_server *s = NULL;
    ap_err err = ap_server_open(c, ap_exec_joined(a, artifacts), target, &s);
    ap_server_close(s);
    return err;
}

bool ap_dropin_find(ap_arena *a, char **folder) {
    // Of a build, an installation, a wheel.
    static const char *const places[] = {"dropin", "../lib/aipc/dropin",
                                         "../lib/python3*/*-packages/aipc/dropin"};
    char *self = NULL, *real = NULL;
    bool found = false;
    ap_err err = ap_self_exe(a, &self);
    if (!err) err = ap_path_real(self, a, &real);
    for (size_t i = 0; !err && !found && i < sizeof places / sizeof *places; i++) {
        char *dir = ap_path_join(a, ap_path_dir(a, real), places[i]);
        glob_t list = {0};
        if (glob(ap_path_join(a, dir, "libonnxruntime.so.1"), 0, NULL, &list) == 0) {
            err = ap_path_real(ap_path_dir(a, list.gl_pathv[0]), a, folder);
            found = !err;
        }
        globfree(&list);
    }
    ap_err_free(err);
    return found;
}

ap_err ap_exec(aipc_context *c, const aipc_exec_options *o, int *status, json_t **document) {
    ap_arena a = {0};
    json_t *artifacts = json_array();
    char *dir = NULL;
    const char **env = NULL, **argv = ap_arena_calloc(&a, o->command_count + 1, sizeof *argv);
    ap_exit how = {0};
    ap_err err = NULL;
    if (!o->command_count) AP_FAIL(AP_ERR_USAGE, "no command to run");
    memcpy(argv, o->command, o->command_count * sizeof *argv);
    AP_TRY(ap_exec_artifacts(o->artifacts, o->artifact_count, &a, artifacts));
    AP_TRY(check(c, &a, artifacts, o->target));
    AP_TRY(ap_mkdtemp(ap_path_scratch(&a), "aipc", &a, &dir));
    ap_hook hook = {.mode = "exec", .folder = dir};
    AP_TRY(ap_exec_env(&a, &hook, artifacts, o->target, o->strict, &env));
    AP_TRY(ap_proc_foreground(argv, env, &how));
    *status = ap_exit_status(&how);
    *document = ap_exec_counts(dir);
    json_object_set_new(*document, "status", json_integer(*status));
    if (o->strict && !*status && !ap_json_int(*document, "served", 0))
        err = ap_err_hint(ap_err_new(AP_ERR_NO_CAPTURE, "the program called no model that was deployed"),
                          "see docs/recordings.md, 'Serving'");
done:
    if (dir) ap_err_free(ap_rmtree(dir));
    json_decref(artifacts);
    ap_arena_release(&a);
    return err;
}
