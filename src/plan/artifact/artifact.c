// SPDX-License-Identifier: Apache-2.0
#include "plan/artifact/artifact_priv.h"

#include "base/hash.h"
#include "plan/artifact/index.h"
#include "plan/work/workers.h"
#include "target/target.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_MANIFEST ((size_t)64 << 20)

static ap_err several(aipc_artifact *a, const char *dir, const char *real) {
    if (ap_file_exists(ap_path_join(&a->arena, real, AP_MANIFEST)) ||
        !ap_file_exists(ap_path_join(&a->arena, real, AP_INDEX)))
        return NULL;
    return ap_err_hint(ap_err_new(AP_ERR_NOT_FOUND, "%s holds several deployments", dir),
                       "name one of the folders in its " AP_INDEX);
}

// `dir` may be OUT or OUT/TARGET; finds OUT and, in the second case, the target that is meant.
static ap_err find_manifest(aipc_artifact *a, const char *dir, const char **folder) {
    ap_buf text = {0};
    ap_err err = NULL;
    char *real = NULL;
    AP_TRY(ap_path_real(dir, &a->arena, &real));
    a->dir = real;
    AP_TRY(several(a, dir, real));
    if (!ap_file_exists(ap_path_join(&a->arena, real, AP_MANIFEST))) {
        a->dir = ap_path_dir(&a->arena, real);
        *folder = ap_path_base(real);
    }
    char *path = ap_path_join(&a->arena, a->dir, AP_MANIFEST);
    if (!ap_file_exists(path))
        AP_FAIL(AP_ERR_NOT_FOUND,
                "%s holds no " AP_MANIFEST ": it is no artifact, or its deployment did not finish", dir);
    AP_TRY(ap_file_read(path, MAX_MANIFEST, &text));
    err = ap_manifest_parse(ap_buf_str(&text), text.len, &a->manifest);
    AP_TRY(ap_err_hint(ap_err_context(err, "%s", dir),
                       "deploy again, with this aipc; the manifest was changed or cut short"));
done:
    ap_buf_free(&text);
    return ap_err_hint(ap_err_subject(err, dir), "run aipc deploy first");
}

static ap_err choose_target(aipc_artifact *a, const char *want, const char *folder) {
    const json_t *targets = json_object_get(a->manifest, "targets");
    ap_buf names = {0};
    size_t i;
    json_t *t;
    json_array_foreach((json_t *)(uintptr_t)targets, i, t) {
        const char *text = ap_json_str(t, "target", ""), *dir = ap_json_str(t, "dir", "");
        ap_buf_printf(&names, "%s%s", i ? ", " : "", text);
        if (a->target || (folder && strcmp(folder, dir) != 0)) continue;
        if (!want || strcmp(want, text) == 0 || strcmp(want, dir) == 0) a->target = t;
    }
    ap_err err = a->target ? NULL
                           : ap_err_new(AP_ERR_TARGET_UNKNOWN, "the artifact has no target '%s'; it has %s",
                                        want ? want : folder, ap_buf_str(&names));
    ap_buf_free(&names);
    return err;
}

ap_err ap_artifact_check_file(const char *path, const char *sha256) {
    ap_digest h;
    ap_err err = ap_sha256_file(path, &h);
    if (!err && strcmp(h.hex, sha256) != 0)
        err = ap_err_new(AP_ERR_CORRUPT, "%s has sha256 %s, the manifest says %s", path, h.hex, sha256);
    return ap_err_hint(ap_err_subject(err, path),
                       "deploy again; the file was changed after it passed its gates");
}

static ap_err check_files(aipc_artifact *a) {
    char *dir = ap_path_join(&a->arena, a->dir, ap_json_str(a->target, "dir", ""));
    size_t i;
    json_t *f;
    json_array_foreach(json_object_get(a->target, "files"), i, f) {
        char *path = ap_path_join(&a->arena, dir, ap_json_str(f, "file", ""));
        ap_err err = ap_artifact_check_file(path, ap_json_str(f, "sha256", ""));
        if (err) return err;
    }
    return NULL;
}

// ---- opening

static aipc_tensor *read_contract(aipc_artifact *a, const char *side, size_t *count) {
    const json_t *list = json_object_get(json_object_get(a->manifest, "contract"), side);
    size_t n = json_array_size(list);
    aipc_tensor *out = ap_arena_calloc(&a->arena, n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        const json_t *t = json_array_get(list, i), *d = json_object_get(t, "dims");
        ap_dtype dtype = ap_dtype_from_name(ap_json_str(t, "dtype", ""));
        int64_t *dims = ap_arena_calloc(&a->arena, json_array_size(d) + 1, sizeof *dims);
        for (size_t k = 0; k < json_array_size(d); k++) dims[k] = json_integer_value(json_array_get(d, k));
        out[i] = (aipc_tensor){.name = ap_json_str(t, "name", ""),
                               .dtype = ap_dtype_name(dtype),
                               .rank = json_array_size(d),
                               .dims = dims};
        ap_err_free(ap_shape_bytes(dtype, dims, out[i].rank, &out[i].bytes)); // checked when parsed
    }
    *count = n;
    return out;
}

static ap_err start_worker(aipc_artifact *a) {
    ap_target_id id;
    ap_worker_setup setup = {.cpu = AP_ANY_CPU};
    char *scratch = NULL;
    json_t *result = NULL;
    ap_err err = NULL;
    AP_TRY(ap_target_parse(ap_json_str(a->target, "target", ""), &id));
    AP_TRY(ap_mkdtemp(ap_path_scratch(&a->arena), "aipc", &a->arena, &scratch));
    a->scratch = scratch;
    setup.log_path = ap_path_join(&a->arena, scratch, "worker.log");
    AP_TRY(ap_open_worker(a->ctx, &id, &setup, &a->worker));
    char *dir = ap_path_join(&a->arena, a->dir, ap_json_str(a->target, "dir", ""));
    AP_TRY(ap_worker_call(a->worker, "load", json_pack("{ss}", "dir", dir), &result));
    AP_TRY(ap_artifact_share(a));
done:
    json_decref(result);
    return err;
}

ap_err ap_artifact_open_manifest(aipc_context *c, const char *dir, const char *target, aipc_artifact **out) {
    aipc_artifact *a = ap_calloc(1, sizeof *a);
    const char *folder = NULL;
    a->ctx = c;
    a->owner = getpid();
    pthread_mutex_init(&a->lock, NULL);
    ap_err err = NULL;
    AP_TRY(find_manifest(a, dir, &folder));
    AP_TRY(choose_target(a, target, folder));
    a->inputs = read_contract(a, "inputs", &a->input_count);
    a->outputs = read_contract(a, "outputs", &a->output_count);
    *out = a;
    a = NULL;
done:
    ap_artifact_close(a);
    return err;
}

ap_err ap_artifact_open(aipc_context *c, const char *dir, const char *target, aipc_artifact **out) {
    aipc_artifact *a = NULL;
    ap_err err = NULL;
    AP_TRY(ap_artifact_open_manifest(c, dir, target, &a));
    AP_TRY(check_files(a));
    AP_TRY(start_worker(a));
    *out = a;
    a = NULL;
done:
    ap_artifact_close(a);
    return ap_err_subject(err, dir);
}

void ap_artifact_close(aipc_artifact *a) {
    if (!a) return;
    ap_worker_stop(a->worker, NULL);
    ap_pool_leave(a->pool);
    if (a->scratch && a->owner == getpid()) ap_err_free(ap_rmtree(a->scratch));
    json_decref(a->manifest);
    pthread_mutex_destroy(&a->lock);
    ap_arena_release(&a->arena);
    free(a);
}
