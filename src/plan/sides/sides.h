// SPDX-License-Identifier: Apache-2.0
// sides: two runs of a program, each with a folder of its own (work/, stdout, stderr), and what came of them
// compared: exit code, stdout, files. The user's files are not touched.
#ifndef AP_PLAN_SIDES_H
#define AP_PLAN_SIDES_H

#include "golden/gates.h"
#include "plan/recording/task.h"
#include "plan/work/context.h"

typedef struct ap_sides {
    ap_arena *arena;
    const char *here;    // the working folder
    const char *scratch; // holds the two
    const char *dirs[2];
    int status[2];
    const ap_task *tasks;
    size_t task_count;
    const ap_gates *gates;
    uint64_t limit_ms; // of a run; 0: none
} ap_sides;
// Makes the two folders below the cache; `arena` and `here` are set. Error USAGE when it lies inside `here`.
AP_MUST ap_err ap_sides_open(ap_sides *s, const char *first, const char *second);
void ap_sides_close(ap_sides *s); // removes them
AP_MUST ap_err ap_sides_tasks(ap_sides *s, const char *const *texts, size_t count);
char *ap_sides_in(const ap_sides *s, size_t side, const char *name);
// Copies the working folder and runs the program there; arguments that name it name the copy. Error
// RECORDING when it takes longer than the limit.
AP_MUST ap_err ap_sides_run(ap_sides *s, size_t side, const char *const *command, size_t count,
                            const char *const *env);
// Gates of exit code, stdout and files; the names of what either run wrote.
AP_MUST ap_err ap_sides_compare(const ap_sides *s, json_t *end, json_t *files);
bool ap_verify_passed(const json_t *list);

// ---- sides_copy.c
// A copy of the folder `from` as `to` (which is made), times kept. Environments, deployments and big files
// are linked. Error USAGE when it is too much.
AP_MUST ap_err ap_verify_copy(const char *from, const char *to);
// Adds the paths below `copy` of files that are not as they are in `from`, as keys.
AP_MUST ap_err ap_verify_changed(const char *from, const char *copy, json_t *names);

// ---- sides_end.c
// The same for two files of any kind: texts, pictures, tensors, bytes. What stands in `here` of the second
// argument is taken for the same place.
AP_MUST ap_err ap_verify_file(const ap_task *task, const ap_gates *gates, const char *what,
                              const char *const roots[2], json_t **out);
// Reads a text; the run's folder reads as `work`, so that both runs can print it.
AP_MUST ap_err ap_verify_read(const char *path, const char *folder, ap_buf *out);

#endif
