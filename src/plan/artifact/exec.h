// SPDX-License-Identifier: Apache-2.0
// exec: runs the user's program with its models served by deployed artifacts, and counts what was served.
#ifndef AP_PLAN_EXEC_H
#define AP_PLAN_EXEC_H

#include "base/json.h"
#include "plan/work/context.h"
#include "plan/work/python.h"

// As aipc_exec (aipc.h).
AP_MUST ap_err ap_exec(aipc_context *c, const aipc_exec_options *o, int *status, json_t **document);

// Appends the absolute paths of folders that hold a deployment. Error NOT_FOUND for one that does not.
AP_MUST ap_err ap_exec_artifacts(const char *const *folders, size_t count, ap_arena *a, json_t *list);
// Such paths as one text, as ap_server_open and AIPC_ARTIFACTS take them; in the arena.
char *ap_exec_joined(ap_arena *a, const json_t *list);

// The environment of a program that is to be served: the hook's, the artifacts, and for programs that use the
// C library the drop-in first on the library path; the heap that workers see is preloaded unless $AIPC_HEAP
// is 0. In the arena, NULL-ended.
AP_MUST ap_err ap_exec_env(ap_arena *a, const ap_hook *hook, const json_t *artifacts, const char *target,
                           bool strict, const char ***env);

// The folder of the drop-in libonnxruntime.so.1 beside this program; false when there is none.
bool ap_dropin_find(ap_arena *a, char **folder);

// Adds up what the processes of the program counted in `dir`: {calls, served, models: [...]}. Written by a
// program we do not trust, perhaps killed half way: what is malformed is left out.
json_t *ap_exec_counts(const char *dir);

#endif
