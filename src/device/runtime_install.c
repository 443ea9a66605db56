// SPDX-License-Identifier: Apache-2.0
// Installing: check the wheel, unpack the pinned members beside the final place, rename.
//
// A wheel is a zip file and hostile. It is hashed first; then only pinned members are read, never more bytes
// than pinned, and each is hashed again. Names in the zip decide nothing about where a file goes.
#include "device/runtime_table.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/proc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

enum { CHUNK_BYTES = 1 << 18 };

static ap_err wrong_hash(const ap_runtime_spec *s, const char *what, const char *path, const char *got,
                         const char *expected) {
    ap_err err = ap_err_new(AP_ERR_RUNTIME_HASH, "%s has sha256 %s, expected %s", what, got, expected);
    return ap_err_hint(ap_err_subject(err, path),
                       "this is not the %s %s aipc was tested with: remove the file "
                       "and install again",
                       s->package, s->version);
}

static ap_err bad_wheel(const char *wheel, const char *fmt, const char *name) {
    ap_err err = ap_err_new(AP_ERR_CORRUPT, fmt, name);
    return ap_err_subject(ap_err_context(err, "unpacking '%s'", ap_path_base(wheel)), wheel);
}

// Opens a zip that lies in memory. The caller closes it before the memory goes.
static ap_err open_zip(const char *wheel, const ap_filemap *map, zip_t **out) {
    zip_error_t ze;
    zip_error_init(&ze);
    zip_source_t *source = zip_source_buffer_create(map->data, map->bytes, 0, &ze);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY, &ze) : NULL;
    ap_err err = zip ? NULL : bad_wheel(wheel, "not a zip file: %s", zip_error_strerror(&ze));
    if (!zip && source) zip_source_free(source);
    zip_error_fini(&ze);
    if (!err) *out = zip;
    return err;
}

// Copies one opened member; its size has been compared with the pin, so `left` bounds what is written.
static ap_err copy_member(const char *wheel, zip_file_t *f, const ap_runtime_member *m, ap_file_writer *w,
                          ap_digest *digest) {
    ap_err err = NULL;
    ap_sha256 hash;
    ap_sha256_init(&hash);
    char *chunk = ap_alloc(CHUNK_BYTES);
    for (uint64_t left = m->bytes; left && !err;) {
        zip_int64_t n = zip_fread(f, chunk, left < CHUNK_BYTES ? left : CHUNK_BYTES);
        if (n <= 0) {
            err = bad_wheel(wheel, "'%s' cannot be read to its end", m->path);
            break;
        }
        ap_sha256_add(&hash, chunk, (size_t)n);
        err = ap_file_writer_put(w, chunk, (size_t)n);
        left -= (uint64_t)n;
    }
    *digest = ap_sha256_finish(&hash);
    free(chunk);
    return err;
}

static ap_err unpack_member(const ap_runtime_spec *s, const char *wheel, zip_t *zip,
                            const ap_runtime_member *m, const char *path) {
    ap_err err = NULL;
    ap_file_writer w = {.fd = -1};
    zip_file_t *f = NULL;
    zip_stat_t st;
    zip_stat_init(&st);
    zip_int64_t index = zip_name_locate(zip, m->path, 0);
    if (index < 0 || zip_stat_index(zip, (zip_uint64_t)index, 0, &st) || !(st.valid & ZIP_STAT_SIZE)) {
        err = bad_wheel(wheel, "there is no '%s' in it", m->path);
        goto done;
    }
    if (st.size != m->bytes) {
        err = bad_wheel(wheel, "'%s' has another size than it should", m->path);
        goto done;
    }
    f = zip_fopen_index(zip, (zip_uint64_t)index, 0);
    if (!f) {
        err = bad_wheel(wheel, "'%s' cannot be opened", m->path);
        goto done;
    }
    ap_digest digest;
    AP_TRY(ap_file_writer_begin(path, &w));
    AP_TRY(copy_member(wheel, f, m, &w, &digest));
    if (strcmp(digest.hex, m->sha256) != 0) {
        err = wrong_hash(s, m->path, path, digest.hex, m->sha256);
        goto done;
    }
    AP_TRY(ap_file_writer_commit(&w));
done:
    ap_file_writer_abort(&w);
    if (f) zip_fclose(f);
    return err;
}

static ap_err make_link(const char *dir, const ap_runtime_link *l, ap_arena *a) {
    const char *path = ap_path_join(a, dir, l->name);
    if (!symlink(l->target, path)) return NULL;
    return ap_file_link_or_copy(ap_path_join(a, dir, l->target), path); // a file system without links
}

static ap_err write_record(const ap_runtime_spec *s, const char *path) {
    json_t *o = json_object(), *files = json_array();
    for (size_t i = 0; i < s->member_count; i++) {
        json_t *f = json_object();
        json_object_set_new(f, "file", ap_json_string(s->members[i].name));
        json_object_set_new(f, "bytes", json_integer((json_int_t)s->members[i].bytes));
        json_object_set_new(f, "sha256", ap_json_string(s->members[i].sha256));
        json_array_append_new(files, f);
    }
    char now[21];
    ap_time_utc(now);
    json_object_set_new(o, "format", json_integer(1));
    json_object_set_new(o, "name", ap_json_string(s->name));
    json_object_set_new(o, "version", ap_json_string(s->version));
    json_object_set_new(o, "package", ap_json_string(s->package));
    json_object_set_new(o, "licence", ap_json_string(s->licence));
    json_object_set_new(o, "wheel", ap_json_string(s->wheel));
    json_object_set_new(o, "wheel_sha256", ap_json_string(s->wheel_sha256));
    json_object_set_new(o, "installed", ap_json_string(now));
    json_object_set_new(o, "files", files);
    ap_err err = ap_json_save(path, o);
    json_decref(o);
    return err;
}

ap_err ap_runtime_unpack(const ap_runtime_spec *s, const char *wheel, const char *dir) {
    ap_err err = NULL;
    ap_arena a = {0};
    ap_filemap map = {0};
    zip_t *zip = NULL;
    AP_TRY(ap_filemap_open(wheel, &map));
    // Hashed and unpacked from the same mapping.
    ap_digest digest = ap_sha256_of(map.data, map.bytes);
    if (strcmp(digest.hex, s->wheel_sha256) != 0) {
        err = wrong_hash(s, ap_path_base(wheel), wheel, digest.hex, s->wheel_sha256);
        goto done;
    }
    AP_TRY(open_zip(wheel, &map, &zip));
    for (size_t i = 0; i < s->member_count; i++)
        AP_TRY(unpack_member(s, wheel, zip, &s->members[i], ap_path_join(&a, dir, s->members[i].name)));
    for (size_t i = 0; i < s->link_count; i++) AP_TRY(make_link(dir, &s->links[i], &a));
    AP_TRY(write_record(s, ap_path_join(&a, dir, "record.json")));
done:
    if (zip) zip_discard(zip);
    ap_filemap_close(&map);
    ap_arena_release(&a);
    return err;
}

// ---- the whole install ----

// Is it there and whole? Then *rt is filled. Damage is no error here: the install repairs it.
static ap_err look(const ap_runtime_table *t, const char *data_dir, const char *name, ap_runtime *rt,
                   bool *whole) {
    *whole = false;
    ap_err err = ap_runtime_find_in(t, data_dir, name, rt);
    if (!err) err = ap_runtime_verify_in(t, rt);
    ap_code code = ap_err_code(err);
    if (!err) *whole = true;
    if (code == AP_ERR_RUNTIME_MISSING || code == AP_ERR_CORRUPT || code == AP_ERR_RUNTIME_HASH) {
        ap_err_free(err);
        return NULL;
    }
    return err;
}

// Puts `fresh` in the place of `dir`, which may exist (damaged).
static ap_err put_in_place(ap_arena *a, const char *root, const char *fresh, const char *dir) {
    ap_err err = NULL;
    const char *away = ap_path_join(a, root, ap_arena_printf(a, ".removed-%s", ap_path_base(dir)));
    AP_TRY(ap_rmtree(away));
    if (ap_file_exists(dir)) AP_TRY(ap_file_rename(dir, away));
    AP_TRY(ap_file_rename(fresh, dir));
    AP_TRY(ap_rmtree(away));
done:
    return err;
}

// Does the work; the lock is held. What an interrupted install left is thrown away and done anew.
static ap_err install(const ap_runtime_spec *s, const ap_runtime_options *o, ap_arena *a, const char **from) {
    const char *root = ap_runtime_root(a, o->data_dir), *dir = ap_runtime_dir(a, o->data_dir, s);
    const char *tmp = ap_arena_printf(a, "%s.tmp", dir);
    const char *fresh = ap_path_join(a, tmp, "new"), *wheel = NULL;
    ap_err err = NULL, cleanup;
    AP_TRY(ap_rmtree(tmp));
    AP_TRY(ap_mkdirs(fresh));
    AP_TRY(ap_runtime_fetch(s, o, tmp, a, &wheel, from));
    if (o->progress) {
        const char *text = ap_arena_printf(a, "unpacking %s %s", s->name, s->version);
        o->progress(o->user, (size_t)s->wheel_bytes, (size_t)s->wheel_bytes, text);
    }
    AP_TRY(ap_runtime_unpack(s, wheel, fresh));
    AP_TRY(put_in_place(a, root, fresh, dir));
done:
    cleanup = ap_rmtree(tmp);
    if (err) {
        ap_err_free(cleanup);
        return ap_err_context(err, "installing %s", s->name);
    }
    return cleanup;
}

static json_t *install_document(const ap_runtime_spec *s, const ap_runtime *rt, const char *from) {
    json_t *o = json_object();
    json_object_set_new(o, "name", ap_json_string(rt->name));
    json_object_set_new(o, "version", ap_json_string(rt->version));
    json_object_set_new(o, "dir", ap_json_string(rt->dir));
    json_object_set_new(o, "already", json_boolean(!strcmp(from, "installed")));
    json_object_set_new(o, "from", ap_json_string(from));
    json_object_set_new(o, "bytes", json_integer((json_int_t)ap_runtime_spec_bytes(s)));
    json_object_set_new(o, "wheel_sha256", ap_json_string(rt->sha256));
    json_object_set_new(o, "licence", ap_json_string(rt->licence));
    return o;
}

ap_err ap_runtime_install_in(const ap_runtime_table *t, const ap_runtime_options *o, const char *name,
                             json_t **document) {
    ap_err err = NULL;
    ap_arena a = {0};
    ap_lock lock = {0};
    ap_runtime rt = {0};
    const ap_runtime_spec *s = NULL;
    const char *from = "installed";
    bool whole = false;
    AP_TRY(ap_runtime_table_find(t, name, &s));
    // Without the lock first: what is there works in a read-only data folder, too.
    AP_TRY(look(t, o->data_dir, s->name, &rt, &whole));
    if (!whole) {
        AP_TRY(ap_runtime_lock(o->data_dir, &lock));
        ap_runtime_release(&rt);
        AP_TRY(look(t, o->data_dir, s->name, &rt, &whole)); // another aipc may just have done it
    }
    if (!whole) {
        ap_runtime_release(&rt);
        AP_TRY(install(s, o, &a, &from));
        AP_TRY(ap_runtime_find_in(t, o->data_dir, s->name, &rt));
    }
    if (document) *document = install_document(s, &rt, from);
done:
    ap_runtime_release(&rt);
    ap_lock_release(&lock);
    ap_arena_release(&a);
    return err;
}

ap_err ap_runtime_install(const ap_runtime_options *o, const char *name, json_t **document) {
    static const ap_runtime_options defaults;
    ap_runtime_table t = {0};
    ap_err err = ap_runtime_table_builtin(&t);
    if (!err) err = ap_runtime_install_in(&t, o ? o : &defaults, name, document);
    ap_runtime_table_release(&t);
    return err;
}
