// SPDX-License-Identifier: Apache-2.0
// python: the program's Python package, and the environment in which a program of the user loads it.
#ifndef AP_PLAN_PYTHON_H
#define AP_PLAN_PYTHON_H

#include "base/mem.h"

// The folder that holds the package `aipc`: $AIPC_PYTHON, else beside this program in a checkout, an
// installation (share/aipc/python) or a wheel's site-packages. Error RUNTIME_MISSING.
AP_MUST ap_err ap_python_find(ap_arena *a, char **folder);

typedef struct ap_hook {
    const char *mode;    // "record", "export", "exec"
    const char *folder;  // where the hook writes; NULL: nowhere
    const char *options; // JSON text for the mode; NULL: none
} ap_hook;

// "KEY=value" strings, NULL-ended, to put over the environment of a program that is to be hooked (and of what
// it starts). They live in the arena.
AP_MUST ap_err ap_hook_env(ap_arena *a, const ap_hook *h, const char ***env);

#endif
