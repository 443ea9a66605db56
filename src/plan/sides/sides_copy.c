// SPDX-License-Identifier: Apache-2.0
// The working folder of a run: a copy, and what the run changed in it.
#include "base/file.h"
#include "base/proc.h"
#include "plan/artifact/artifact.h"
#include "plan/artifact/index.h"
#include "plan/recording/recording.h"
#include "plan/sides/sides.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILES = 20000, BATCH = 200 };
#define BIG ((uint64_t)64 << 20)      // a file of this size is linked
#define MAX_BYTES ((uint64_t)1 << 30) // of all that is copied

typedef struct copy {
    ap_arena arena;
    uint64_t bytes;
    size_t files;
    const char *batch[BATCH + 8]; // cp's arguments: files of one folder
    size_t count;
} copy;

enum { FIRST = 4 }; // behind "cp -a --reflink=auto --"

static ap_err flush(copy *c, const char *to) {
    static const char *const start[FIRST] = {"cp", "-a", "--reflink=auto", "--"};
    ap_exit how = {0};
    if (!c->count) return NULL;
    memcpy(c->batch, start, sizeof start);
    c->batch[FIRST + c->count] = to;
    c->batch[FIRST + c->count + 1] = NULL;
    c->count = 0;
    ap_proc_options o = {.argv = c->batch};
    ap_err err = ap_proc_run(&o, 0, NULL, &how);
    if (!err && (!how.exited || how.status)) err = ap_err_new(AP_ERR_IO, "cannot copy files to '%s'", to);
    return err;
}

static bool has(ap_arena *a, const char *dir, const char *name) {
    return ap_file_exists(ap_path_join(a, dir, name));
}

// What aipc made: a recording, a deployment (a refused one has no manifest), an index of deployments.
static bool is_ours(ap_arena *a, const char *dir) {
    return ap_recording_is(dir) ||
           (has(a, dir, "report.json") && (has(a, dir, AP_MANIFEST) || has(a, dir, ".lock"))) ||
           ap_index_is_ours(dir);
}

// Read by a program, never written: environments, histories, what aipc made; and big files.
static bool is_linked(ap_arena *a, const char *path, const char *name, const struct stat *st) {
    static const char *const folders[] = {".git", ".venv", "venv", "node_modules"};
    if (!S_ISDIR(st->st_mode)) return S_ISREG(st->st_mode) && (uint64_t)st->st_size > BIG;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (strcmp(name, folders[i]) == 0) return true;
    return is_ours(a, path);
}

static ap_err add(copy *c, const char *path, const struct stat *st, const char *to) {
    c->bytes += S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    if (++c->files > MAX_FILES || c->bytes > MAX_BYTES)
        return ap_err_hint(ap_err_new(AP_ERR_USAGE,
                                      "the working folder holds more than %d files or 1 GiB: "
                                      "too much for a copy each run",
                                      MAX_FILES),
                           "run it in a folder that holds the program and its inputs");
    if (!S_ISREG(st->st_mode) && !S_ISLNK(st->st_mode)) return NULL; // a socket, a pipe
    c->batch[FIRST + c->count++] = path;
    return c->count == BATCH ? flush(c, to) : NULL;
}

static ap_err copy_folder(copy *c, const char *from, const char *to) {
    const char **names = NULL;
    size_t count = 0;
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(to));
    AP_TRY(ap_list_dir(from, &c->arena, &names, &count));
    for (size_t i = 0; i < count; i++) {
        const char *path = ap_path_join(&c->arena, from, names[i]);
        struct stat st;
        if (lstat(path, &st) || S_ISDIR(st.st_mode)) continue;
        if (!is_linked(&c->arena, path, names[i], &st))
            AP_TRY(add(c, path, &st, to));
        else if (symlink(path, ap_path_join(&c->arena, to, names[i])))
            AP_FAIL(AP_ERR_IO, "cannot link '%s'", path);
    }
    AP_TRY(flush(c, to));
    for (size_t i = 0; i < count; i++) {
        const char *path = ap_path_join(&c->arena, from, names[i]),
                   *copied = ap_path_join(&c->arena, to, names[i]);
        struct stat st;
        if (lstat(path, &st) || !S_ISDIR(st.st_mode)) continue;
        if (!is_linked(&c->arena, path, names[i], &st))
            AP_TRY(copy_folder(c, path, copied));
        else if (symlink(path, copied))
            AP_FAIL(AP_ERR_IO, "cannot link '%s'", path);
    }
done:
    return err;
}

ap_err ap_verify_copy(const char *from, const char *to) {
    copy *c = ap_calloc(1, sizeof *c);
    ap_err err = copy_folder(c, from, to);
    ap_arena_release(&c->arena);
    free(c);
    return err;
}

// ---- what changed

static bool untouched(const char *before, const struct stat *now) {
    struct stat st;
    return lstat(before, &st) == 0 && st.st_size == now->st_size &&
           st.st_mtim.tv_sec == now->st_mtim.tv_sec && st.st_mtim.tv_nsec == now->st_mtim.tv_nsec;
}

static ap_err changed(ap_arena *a, const char *from, const char *copied, const char *rel, json_t *names) {
    const char **list = NULL;
    size_t count = 0;
    ap_err err = NULL;
    AP_TRY(ap_list_dir(*rel ? ap_path_join(a, copied, rel) : copied, a, &list, &count));
    for (size_t i = 0; i < count; i++) {
        const char *name = *rel ? ap_path_join(a, rel, list[i]) : list[i];
        struct stat now;
        if (lstat(ap_path_join(a, copied, name), &now) || strcmp(list[i], "__pycache__") == 0) continue;
        if (S_ISDIR(now.st_mode))
            AP_TRY(changed(a, from, copied, name, names));
        else if (S_ISREG(now.st_mode) && !untouched(ap_path_join(a, from, name), &now))
            json_object_set_new(names, name, json_true());
    }
done:
    return err;
}

ap_err ap_verify_changed(const char *from, const char *copied, json_t *names) {
    ap_arena a = {0};
    ap_err err = changed(&a, from, copied, "", names);
    ap_arena_release(&a);
    return err;
}
