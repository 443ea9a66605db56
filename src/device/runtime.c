// SPDX-License-Identifier: Apache-2.0
// What is installed: find, verify, list, remove.
#include "device/runtime.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/proc.h"
#include "device/runtime_table.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum { RECORD_MAX_BYTES = 1 << 20 };

char *ap_runtime_root(ap_arena *a, const char *data_dir) {
    return ap_path_join(a, data_dir ? data_dir : ap_path_data(a), "runtimes");
}

char *ap_runtime_dir(ap_arena *a, const char *data_dir, const ap_runtime_spec *s) {
    return ap_path_join(a, ap_runtime_root(a, data_dir), ap_arena_printf(a, "%s-%s", s->name, s->version));
}

ap_err ap_runtime_lock(const char *data_dir, ap_lock *out) {
    ap_err err = NULL;
    ap_arena a = {0};
    const char *root = ap_runtime_root(&a, data_dir);
    AP_TRY(ap_mkdirs(root));
    AP_TRY(ap_lock_take(ap_path_join(&a, root, ".lock"), out));
done:
    ap_arena_release(&a);
    return err;
}

static ap_err damaged(const ap_runtime_spec *s, const char *path, const char *why) {
    ap_err err = ap_err_new(AP_ERR_CORRUPT, "%s %s is damaged: %s", s->name, s->version, why);
    return ap_err_hint(ap_err_subject(err, path), "install it anew: aipc runtime install %s", s->name);
}

// The record must say what the table says: the folder may be from another version of aipc.
static ap_err check_record(ap_arena *a, const ap_runtime_spec *s, const char *dir) {
    ap_err err = NULL;
    json_t *record = NULL;
    const char *path = ap_path_join(a, dir, "record.json");
    if (!ap_file_exists(path)) return damaged(s, path, "it has no record.json");
    AP_TRY(ap_json_load(path, RECORD_MAX_BYTES, AP_ERR_CORRUPT, &record));
    if (strcmp(ap_json_str(record, "wheel_sha256", ""), s->wheel_sha256) != 0) {
        err = damaged(s, path, "its record names another wheel");
    }
done:
    json_decref(record);
    if (ap_err_code(err) == AP_ERR_CORRUPT)
        ap_err_hint(err, "install it anew: aipc runtime install %s", s->name);
    return err;
}

static ap_err check_sizes(ap_arena *a, const ap_runtime_spec *s, const char *dir) {
    for (size_t i = 0; i < s->member_count; i++) {
        const ap_runtime_member *m = &s->members[i];
        const char *path = ap_path_join(a, dir, m->name);
        uint64_t bytes = 0;
        if (!ap_file_exists(path)) return damaged(s, path, ap_arena_printf(a, "%s is missing", m->name));
        ap_err err = ap_file_size(path, &bytes);
        if (err) return err;
        if (bytes != m->bytes) {
            return damaged(
                s, path,
                ap_arena_printf(a, "%s has %" PRIu64 " bytes, not %" PRIu64, m->name, bytes, m->bytes));
        }
    }
    for (size_t i = 0; i < s->link_count; i++) {
        const char *path = ap_path_join(a, dir, s->links[i].name);
        if (!ap_file_exists(path))
            return damaged(s, path, ap_arena_printf(a, "%s is missing", s->links[i].name));
    }
    return NULL;
}

ap_err ap_runtime_find_in(const ap_runtime_table *t, const char *data_dir, const char *name,
                          ap_runtime *out) {
    ap_err err = NULL;
    ap_runtime rt = {0};
    const ap_runtime_spec *s = NULL;
    AP_TRY(ap_runtime_table_find(t, name, &s));
    rt.dir = ap_runtime_dir(&rt.arena, data_dir, s);
    if (!ap_is_dir(rt.dir)) {
        err = ap_err_new(AP_ERR_RUNTIME_MISSING, "%s %s is not installed", s->name, s->version);
        err = ap_err_hint(ap_err_subject(err, s->name), "aipc runtime install %s", s->name);
        goto done;
    }
    AP_TRY(check_record(&rt.arena, s, rt.dir));
    AP_TRY(check_sizes(&rt.arena, s, rt.dir));
    // ONNX Runtime seeks a relative plugin path beside its own library.
    char *real = NULL;
    AP_TRY(ap_path_real(rt.dir, &rt.arena, &real));
    rt.dir = real;
    rt.name = ap_arena_strdup(&rt.arena, s->name);
    rt.version = ap_arena_strdup(&rt.arena, s->version);
    rt.sha256 = ap_arena_strdup(&rt.arena, s->wheel_sha256);
    rt.licence = ap_arena_strdup(&rt.arena, s->licence);
    *out = rt;
    rt = (ap_runtime){0};
done:
    ap_runtime_release(&rt);
    return err;
}

void ap_runtime_release(ap_runtime *rt) {
    ap_arena_release(&rt->arena);
    *rt = (ap_runtime){0};
}

const char *ap_runtime_file(ap_runtime *rt, const char *file) {
    return ap_path_join(&rt->arena, rt->dir, file);
}

ap_err ap_runtime_verify_in(const ap_runtime_table *t, const ap_runtime *rt) {
    ap_err err = NULL;
    ap_arena a = {0};
    const ap_runtime_spec *s = NULL;
    AP_TRY(ap_runtime_table_find(t, rt->name, &s));
    AP_TRY(check_sizes(&a, s, rt->dir));
    for (size_t i = 0; i < s->member_count; i++) {
        const ap_runtime_member *m = &s->members[i];
        const char *path = ap_path_join(&a, rt->dir, m->name);
        ap_digest got;
        AP_TRY(ap_sha256_file(path, &got));
        if (!strcmp(got.hex, m->sha256)) continue;
        err = ap_err_new(AP_ERR_RUNTIME_HASH, "%s has sha256 %s, expected %s", m->name, got.hex, m->sha256);
        err = ap_err_hint(ap_err_subject(err, path), "install it anew: aipc runtime install %s", s->name);
        goto done;
    }
done:
    ap_arena_release(&a);
    return err;
}

// ---- list ----

static json_t *list_item(const ap_runtime_table *t, const ap_runtime_spec *s, const char *data_dir) {
    ap_runtime rt = {0};
    ap_err err = ap_runtime_find_in(t, data_dir, s->name, &rt);
    bool damaged_one = err && ap_err_code(err) != AP_ERR_RUNTIME_MISSING;
    json_t *o = json_object();
    json_object_set_new(o, "name", ap_json_string(s->name));
    json_object_set_new(o, "kind", ap_json_string(s->kind));
    json_object_set_new(o, "version", ap_json_string(s->version));
    json_object_set_new(o, "installed", json_boolean(!err));
    json_object_set_new(o, "bytes", json_integer((json_int_t)ap_runtime_spec_bytes(s)));
    json_object_set_new(o, "download_bytes", json_integer((json_int_t)s->wheel_bytes));
    json_object_set_new(o, "licence", ap_json_string(s->licence));
    json_object_set_new(o, "what", ap_json_string(s->what));
    json_object_set_new(o, "dir", ap_json_string(err ? NULL : rt.dir));
    json_object_set_new(o, "problem", ap_json_string(damaged_one ? ap_err_message(err) : NULL));
    ap_err_free(err);
    ap_runtime_release(&rt);
    return o;
}

ap_err ap_runtime_list_in(const ap_runtime_table *t, const char *data_dir, json_t **document) {
    ap_arena a = {0};
    json_t *o = json_object(), *list = json_array();
    json_object_set_new(o, "data_dir", ap_json_string(data_dir ? data_dir : ap_path_data(&a)));
    for (size_t i = 0; i < t->count; i++) json_array_append_new(list, list_item(t, &t->items[i], data_dir));
    json_object_set_new(o, "runtimes", list);
    *document = o;
    ap_arena_release(&a);
    return NULL;
}

// ---- remove ----

// Is `entry` a folder of runtime `name` in any version? "onnxruntime-1.31.1" is one of onnxruntime,
// "onnxruntime-qnn-2.7.0" is not; what an interrupted install or remove left behind (NAME-VERSION.tmp) is.
static bool is_version_of(const char *entry, const char *name) {
    size_t n = strlen(name);
    return !strncmp(entry, name, n) && entry[n] == '-' && isdigit((unsigned char)entry[n + 1]);
}

// Renamed first, so that nobody finds a folder that is half gone.
static ap_err remove_dir(ap_arena *a, const char *root, const char *entry, size_t *removed) {
    ap_err err = NULL;
    const char *dir = ap_path_join(a, root, entry);
    const char *away = ap_path_join(a, root, ap_arena_printf(a, ".removed-%s", entry));
    AP_TRY(ap_rmtree(away));
    AP_TRY(ap_file_rename(dir, away));
    AP_TRY(ap_rmtree(away));
    size_t n = strlen(entry);
    if (n < 4 || strcmp(entry + n - 4, ".tmp") != 0) ++*removed;
done:
    return err;
}

ap_err ap_runtime_remove_in(const ap_runtime_table *t, const char *data_dir, const char *name) {
    ap_err err = NULL;
    ap_arena a = {0};
    ap_lock lock = {0};
    const ap_runtime_spec *s = NULL;
    const char **entries = NULL;
    size_t count = 0, removed = 0;
    AP_TRY(ap_runtime_table_find(t, name, &s));
    const char *root = ap_runtime_root(&a, data_dir);
    if (ap_is_dir(root)) {
        AP_TRY(ap_runtime_lock(data_dir, &lock));
        AP_TRY(ap_list_dir(root, &a, &entries, &count));
    }
    for (size_t i = 0; i < count; i++) {
        if (is_version_of(entries[i], s->name)) AP_TRY(remove_dir(&a, root, entries[i], &removed));
    }
    if (!removed) {
        err = ap_err_new(AP_ERR_RUNTIME_MISSING, "%s is not installed in '%s'", s->name, root);
        err = ap_err_subject(err, s->name);
    }
done:
    ap_lock_release(&lock);
    ap_arena_release(&a);
    return err;
}

// ---- with the built-in table ----

ap_err ap_runtime_find(const char *data_dir, const char *name, ap_runtime *out) {
    ap_runtime_table t = {0};
    ap_err err = ap_runtime_table_builtin(&t);
    if (!err) err = ap_runtime_find_in(&t, data_dir, name, out);
    ap_runtime_table_release(&t);
    return err;
}

ap_err ap_runtime_verify(const ap_runtime *rt) {
    ap_runtime_table t = {0};
    ap_err err = ap_runtime_table_builtin(&t);
    if (!err) err = ap_runtime_verify_in(&t, rt);
    ap_runtime_table_release(&t);
    return err;
}

ap_err ap_runtime_list(const char *data_dir, json_t **document) {
    ap_runtime_table t = {0};
    ap_err err = ap_runtime_table_builtin(&t);
    if (!err) err = ap_runtime_list_in(&t, data_dir, document);
    ap_runtime_table_release(&t);
    return err;
}

ap_err ap_runtime_remove(const char *data_dir, const char *name) {
    ap_runtime_table t = {0};
    ap_err err = ap_runtime_table_builtin(&t);
    if (!err) err = ap_runtime_remove_in(&t, data_dir, name);
    ap_runtime_table_release(&t);
    return err;
}
