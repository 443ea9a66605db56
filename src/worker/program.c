// SPDX-License-Identifier: Apache-2.0
// Where the aipc program is, also for a process that only links the library.
#include "base/file.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

static char *search_path(ap_arena *a) {
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t n = strcspn(path, ":");
        char *candidate = ap_path_join(a, ap_arena_strndup(a, path, n), "aipc");
        if (n > 0 && ap_file_is_program(candidate)) return candidate;
        path += n + (path[n] == ':');
    }
    return NULL;
}

ap_err ap_worker_program(ap_arena *a, char **out) {
    const char *named = getenv("AIPC_PROGRAM");
    if (named && *named) {
        if (!ap_file_is_program(named))
            return ap_err_subject(
                ap_err_new(AP_ERR_RUNTIME_MISSING, "AIPC_PROGRAM is set to '%s', which is no program", named),
                named);
        *out = ap_arena_strdup(a, named);
        return NULL;
    }
    char *self = NULL;
    ap_err_free(ap_self_exe(a, &self));
    const char *dir = self ? ap_path_dir(a, self) : ".";
    char *candidates[] = {ap_path_join(a, dir, "aipc"), ap_path_join(a, dir, "../bin/aipc")};
    for (size_t i = 0; self && i < sizeof candidates / sizeof *candidates; i++) {
        if (!ap_file_is_program(candidates[i])) continue;
        *out = candidates[i];
        return NULL;
    }
    *out = search_path(a);
    if (*out) return NULL;
    return ap_err_hint(
        ap_err_new(AP_ERR_RUNTIME_MISSING, "cannot find the aipc program that hosts the vendor libraries"),
        "put aipc on PATH or set AIPC_PROGRAM=/path/to/aipc");
}
