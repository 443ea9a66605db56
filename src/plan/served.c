// SPDX-License-Identifier: Apache-2.0
#include "plan/served.h"

#include "base/file.h"
#include "base/hash.h"
#include "plan/artifact_priv.h"
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_INDEX ((size_t)64 << 20)

typedef struct entry {
    const char *dir;
    aipc_artifact *contract; // read, not started
    aipc_artifact *running;  // NULL until it is wanted
} entry;

struct aipc_served {
    aipc_context *ctx;
    const char *target;
    ap_arena arena;
    pthread_mutex_t lock; // held while one is opened
    entry *entries;
    size_t count, cap;
};

static void add(aipc_served *s, const char *dir, aipc_artifact *contract) {
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 4;
        s->entries = ap_realloc(s->entries, s->cap * sizeof *s->entries);
    }
    s->entries[s->count++] = (entry){.dir = ap_arena_strdup(&s->arena, dir), .contract = contract};
}

// A deployment below or at `dir`, when it is of this model (sha256 NULL: known already) and passed its gates.
static ap_err take(aipc_served *s, const char *dir, const char *sha256) {
    aipc_artifact *a = NULL;
    ap_err err = ap_artifact_open_manifest(s->ctx, dir, s->target, &a);
    if (ap_err_code(err) == AP_ERR_TARGET_UNKNOWN) { // deployed, but not for this target
        ap_err_free(err);
        return NULL;
    }
    if (err) return err;
    bool ours =
        !sha256 || strcmp(ap_json_str(json_object_get(a->manifest, "model"), "sha256", ""), sha256) == 0;
    if (ours && strcmp(ap_json_str(a->target, "verdict", "pass"), "fail") != 0)
        add(s, dir, a);
    else
        ap_artifact_close(a);
    return NULL;
}

// Stays inside the folder of the index.
static bool inside(const char *dir) {
    if (!*dir || *dir == '/') return false;
    for (const char *p = dir; (p = strstr(p, "..")) != NULL; p += 2)
        if ((p == dir || p[-1] == '/') && (p[2] == '/' || p[2] == '\0')) return false;
    return true;
}

static ap_err take_model(aipc_served *s, const char *folder, const json_t *model) {
    size_t i;
    json_t *a;
    json_array_foreach(json_object_get(model, "artifacts"), i, a) {
        const char *dir = ap_json_str(a, "dir", "");
        if (!inside(dir)) return ap_err_new(AP_ERR_CORRUPT, "the index names a folder outside: '%s'", dir);
        char *full = ap_path_join(&s->arena, folder, dir);
        if (strcmp(ap_json_str(a, "verdict", ""), "fail") == 0 ||
            !ap_file_exists(ap_path_join(&s->arena, full, AP_MANIFEST)))
            continue;
        ap_err err = take(s, full, NULL);
        if (err) return err;
    }
    return NULL;
}

static ap_err look_in(aipc_served *s, const char *folder, const char *sha256) {
    char *path = ap_path_join(&s->arena, folder, "index.json");
    json_t *index = NULL, *m;
    size_t i;
    ap_err err = NULL;
    if (!ap_file_exists(path)) return take(s, folder, sha256);
    AP_TRY(ap_json_load(path, MAX_INDEX, AP_ERR_CORRUPT, &index));
    if (strcmp(ap_json_str(index, "kind", ""), "aipc index") != 0 || ap_json_int(index, "format", 0) != 1)
        AP_FAIL(AP_ERR_CORRUPT, "%s is no index this aipc reads", path);
    json_array_foreach(json_object_get(index, "models"), i, m) {
        const char *have = ap_json_str(json_object_get(m, "identity"), "sha256", "");
        if (strcmp(ap_json_str(m, "kind", ""), "session") == 0 && strcmp(have, sha256) == 0)
            AP_TRY(take_model(s, folder, m));
    }
done:
    json_decref(index);
    return ap_err_subject(err, folder);
}

ap_err ap_served_find(aipc_context *c, const char *folders, const char *target, const char *path,
                      const void *bytes, size_t len, aipc_served **out) {
    aipc_served *s = ap_calloc(1, sizeof *s);
    ap_digest hash;
    ap_err err = NULL;
    s->ctx = c;
    s->target = target && *target ? ap_arena_strdup(&s->arena, target) : NULL;
    pthread_mutex_init(&s->lock, NULL);
    if (path)
        AP_TRY(ap_sha256_file(path, &hash));
    else
        hash = ap_sha256_of(bytes, len);
    char *rest = ap_arena_strdup(&s->arena, folders ? folders : "");
    for (char *part; (part = strsep(&rest, ":")) != NULL;)
        if (*part) AP_TRY(look_in(s, part, hash.hex));
    *out = s->count ? s : NULL;
    if (s->count) s = NULL;
done:
    ap_served_close(s);
    return err;
}

static bool fits(const aipc_artifact *a, const aipc_tensor *inputs, size_t count) {
    if (count != a->input_count) return false;
    for (size_t i = 0; i < a->input_count; i++) {
        const aipc_tensor *want = &a->inputs[i];
        bool found = false;
        for (size_t k = 0; k < count && !found; k++)
            found = strcmp(inputs[k].name, want->name) == 0 && strcmp(inputs[k].dtype, want->dtype) == 0 &&
                    ap_shape_equal(inputs[k].dims, inputs[k].rank, want->dims, want->rank);
        if (!found) return false;
    }
    return true;
}

static ap_err started(aipc_served *s, entry *e, aipc_artifact **out) {
    ap_err err = NULL;
    pthread_mutex_lock(&s->lock);
    if (e->running && e->running->owner != getpid()) { // a fork's: let go of it
        ap_artifact_close(e->running);
        e->running = NULL;
    }
    if (!e->running) err = ap_artifact_open(s->ctx, e->dir, s->target, &e->running);
    if (!err) *out = e->running;
    pthread_mutex_unlock(&s->lock);
    return err;
}

ap_err ap_served_choose(aipc_served *s, const aipc_tensor *inputs, size_t count, aipc_artifact **out) {
    for (size_t i = 0; i < s->count; i++)
        if (fits(s->entries[i].contract, inputs, count)) return started(s, &s->entries[i], out);
    ap_buf text = {0};
    for (size_t i = 0; i < count; i++) {
        ap_buf_printf(&text, "%s%s ", i ? ", " : "", inputs[i].dtype);
        ap_shape_format(inputs[i].dims, inputs[i].rank, &text);
    }
    ap_err err = ap_err_new(AP_ERR_INPUT_SHAPE, "a run with %s was not deployed", ap_buf_str(&text));
    ap_buf_free(&text);
    return err;
}

const char *ap_served_dir(const aipc_served *s, const aipc_artifact *a) {
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].running == a) return s->entries[i].dir;
    return NULL;
}

void ap_served_close(aipc_served *s) {
    if (!s) return;
    for (size_t i = 0; i < s->count; i++) {
        ap_artifact_close(s->entries[i].contract);
        ap_artifact_close(s->entries[i].running);
    }
    free(s->entries);
    pthread_mutex_destroy(&s->lock);
    ap_arena_release(&s->arena);
    free(s);
}
