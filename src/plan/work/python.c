// SPDX-License-Identifier: Apache-2.0
#include "plan/work/python.h"

#include "base/file.h"
#include "worker/worker.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

#define START_FILE "aipc/_hook/sitecustomize.py"

static bool holds_package(ap_arena *a, const char *folder) {
    return ap_file_exists(ap_path_join(a, folder, START_FILE));
}

// The first match of a pattern that holds the package. A pattern: the Python version is in a wheel's path.
static char *match(ap_arena *a, const char *pattern) {
    glob_t found = {0};
    char *folder = NULL;
    if (!glob(pattern, 0, NULL, &found)) {
        for (size_t i = 0; i < found.gl_pathc && !folder; i++) {
            if (holds_package(a, found.gl_pathv[i])) folder = ap_arena_strdup(a, found.gl_pathv[i]);
        }
    }
    globfree(&found);
    return folder;
}

ap_err ap_python_find(ap_arena *a, char **folder) {
    // From where the program (bin/aipc, build/aipc, build/san/aipc) or the library (lib/,
    // site-packages/aipc/) lies.
    static const char *const places[] = {
        "../share/aipc/python",          "../python", "../../python", "../../share/aipc/python", "..",
        "../lib/python3*/site-packages", "../../..",
    };
    const char *named = getenv("AIPC_PYTHON");
    char *self = NULL, *real = NULL;
    ap_err err = NULL;
    *folder = NULL;
    if (named && *named) {
        if (holds_package(a, named)) *folder = ap_arena_strdup(a, named);
    } else {
        AP_TRY(ap_self_exe(a, &self));
        AP_TRY(ap_path_real(self, a, &real));
        for (size_t i = 0; i < sizeof places / sizeof *places && !*folder; i++)
            *folder = match(a, ap_path_join(a, ap_path_dir(a, real), places[i]));
    }
    if (*folder) return ap_path_real(*folder, a, folder);
    err = ap_err_new(AP_ERR_RUNTIME_MISSING, "aipc's Python package is not %s%s", named ? "in " : "installed",
                     named ? named : "");
    err = ap_err_hint(err, "set AIPC_PYTHON to the folder that holds " START_FILE);
done:
    return err;
}

ap_err ap_hook_env(ap_arena *a, const ap_hook *h, const char ***env) {
    char *package = NULL, *program = NULL;
    const char *before = getenv("PYTHONPATH"), **e = ap_arena_calloc(a, 8, sizeof *e);
    size_t n = 0;
    ap_err err = NULL;
    AP_TRY(ap_python_find(a, &package));
    AP_TRY(ap_worker_program(a, &program));
    // An empty part of PYTHONPATH would mean the current folder.
    e[n++] = ap_arena_printf(a, "PYTHONPATH=%s/aipc/_hook%s%s", package, before && *before ? ":" : "",
                             before ? before : "");
    e[n++] = ap_arena_printf(a, "AIPC_HOOK=%s", h->mode);
    e[n++] = ap_arena_printf(a, "AIPC_HOOK_DIR=%s", h->folder ? h->folder : "");
    e[n++] = ap_arena_printf(a, "AIPC_HOOK_OPTIONS=%s", h->options ? h->options : "");
    e[n++] = ap_arena_printf(a, "AIPC_PROGRAM=%s", program);
    // Compiled code calls no modules: nothing would be seen.
    e[n++] = "TORCHDYNAMO_DISABLE=1";
    *env = e;
done:
    return err;
}
