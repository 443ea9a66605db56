// SPDX-License-Identifier: Apache-2.0
#include "plan/work/store.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define RECORD "record.json"
#define MAX_RECORD ((size_t)256 << 20)

ap_err ap_store_open(const char *root, ap_store *out) {
    ap_store s = {0};
    s.objects = ap_path_join(&s.arena, root, "objects");
    s.tmp = ap_path_join(&s.arena, root, "tmp");
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(s.objects));
    AP_TRY(ap_mkdirs(s.tmp));
    *out = s;
    return NULL;
done:
    ap_store_close(&s);
    return err;
}

void ap_store_close(ap_store *s) {
    ap_arena_release(&s->arena);
    memset(s, 0, sizeof *s);
}

void ap_store_key(const json_t *inputs, char hex[65]) {
    char *text = ap_json_canonical(inputs);
    ap_digest d = ap_sha256_of(text, strlen(text));
    memcpy(hex, d.hex, sizeof d.hex);
    free(text);
}

// A file name of a record must stay inside the record's folder.
static bool plain_name(const char *name) {
    return name && *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

ap_err ap_record_parse(const char *text, size_t len, json_t **out) {
    json_t *j = NULL, *files = NULL, *f;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_json_parse(text, len, RECORD, AP_ERR_CORRUPT, &j));
    AP_TRY(ap_json_get_arr(j, "files", RECORD, AP_ERR_CORRUPT, &files));
    json_array_foreach(files, i, f) {
        if (!plain_name(ap_json_str(f, "file", NULL)) || ap_json_int(f, "bytes", -1) < 0)
            AP_FAIL(AP_ERR_CORRUPT, RECORD ": entry %zu of its files is malformed", i);
    }
    *out = j;
    j = NULL;
done:
    json_decref(j);
    return err;
}

static ap_err read_record(const char *dir, ap_arena *a, json_t **out) {
    ap_buf text = {0};
    json_t *j = NULL, *f;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_file_read(ap_path_join(a, dir, RECORD), MAX_RECORD, &text));
    AP_TRY(ap_record_parse(ap_buf_str(&text), text.len, &j));
    json_array_foreach(json_object_get(j, "files"), i, f) {
        const char *path = ap_path_join(a, dir, ap_json_str(f, "file", ""));
        uint64_t bytes = 0;
        ap_digest h;
        AP_TRY(ap_file_size(path, &bytes));
        if (bytes != (uint64_t)ap_json_int(f, "bytes", -1))
            AP_FAIL(AP_ERR_CORRUPT, "%s has another size", path);
        AP_TRY(ap_sha256_file(path, &h)); // whoever asks will read it anyway
        if (strcmp(h.hex, ap_json_str(f, "sha256", "")) != 0) AP_FAIL(AP_ERR_CORRUPT, "%s was changed", path);
    }
    *out = j;
    j = NULL;
done:
    ap_buf_free(&text);
    json_decref(j);
    return err;
}

ap_err ap_store_get(const ap_store *s, const char *key, ap_arena *a, char **dir, json_t **record) {
    char *path = ap_path_join(a, s->objects, key);
    *dir = NULL;
    *record = NULL;
    if (!ap_is_dir(path))
        return ap_file_exists(path) ? ap_rmtree(path) : NULL; // a stray file would block the name
    ap_err err = read_record(path, a, record);
    if (!err) {
        *dir = path;
        return NULL;
    }
    // Damaged (a disk fault, or somebody tidied up inside): worth nothing, make it again.
    ap_err_free(err);
    return ap_rmtree(path);
}

ap_err ap_store_drop(const ap_store *s, const char *key) {
    ap_arena a = {0};
    ap_err err = ap_rmtree(ap_path_join(&a, s->objects, key));
    ap_arena_release(&a);
    return err;
}

ap_err ap_store_begin(const ap_store *s, ap_arena *a, char **work_dir) {
    return ap_mkdtemp(s->tmp, "stage", a, work_dir);
}

ap_err ap_store_files(const char *dir, ap_arena *a, json_t **out) {
    const char **names = NULL;
    size_t count = 0;
    json_t *list = json_array();
    ap_err err = NULL;
    AP_TRY(ap_list_dir(dir, a, &names, &count));
    for (size_t i = 0; i < count; i++) {
        char *path = ap_path_join(a, dir, names[i]);
        uint64_t bytes = 0;
        ap_digest h;
        if (ap_is_dir(path) || strcmp(names[i], RECORD) == 0) continue;
        AP_TRY(ap_file_size(path, &bytes));
        AP_TRY(ap_sha256_file(path, &h));
        ap_file_flush(path);
        json_array_append_new(list, json_pack("{so,sI,ss}", "file", ap_json_string(names[i]), "bytes",
                                              (json_int_t)bytes, "sha256", h.hex));
    }
    *out = list;
    list = NULL;
done:
    json_decref(list);
    return err;
}

ap_err ap_store_commit(const ap_store *s, const char *key, const char *work_dir, json_t *record, ap_arena *a,
                       char **dir) {
    char *path = ap_path_join(a, s->objects, key);
    json_t *files = NULL;
    ap_err err = NULL;
    if (!json_object_get(record, "files")) {
        AP_TRY(ap_store_files(work_dir, a, &files));
        json_object_set(record, "files", files);
    }
    AP_TRY(ap_json_save(ap_path_join(a, work_dir, RECORD), record));
    err = ap_file_rename(work_dir, path);
    if (err && ap_is_dir(path)) { // somebody else made the same thing meanwhile
        ap_err_free(err);
        err = NULL;
        ap_store_discard(work_dir);
    }
    if (!err) *dir = path;
done:
    json_decref(files);
    return err;
}

void ap_store_discard(const char *work_dir) {
    if (work_dir) ap_err_free(ap_rmtree(work_dir));
}

void ap_tensors_to_names(json_t *tensors) {
    size_t i;
    json_t *t;
    json_array_foreach(tensors, i, t) {
        const char *file = ap_json_str(t, "file", NULL);
        if (file) json_object_set_new(t, "file", json_string(ap_path_base(file)));
    }
}

void ap_tensors_to_paths(json_t *tensors, const char *dir) {
    ap_arena a = {0};
    size_t i;
    json_t *t;
    json_array_foreach(tensors, i, t) {
        const char *file = ap_json_str(t, "file", NULL);
        if (file) json_object_set_new(t, "file", json_string(ap_path_join(&a, dir, file)));
    }
    ap_arena_release(&a);
}
