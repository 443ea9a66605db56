// SPDX-License-Identifier: Apache-2.0
// verify: runs the user's program twice, as it is and served by artifacts, and compares what its models
// answered and what came of it: exit code, stdout, files. Each run has a copy of the working folder; the
// user's files are not touched.
#ifndef AP_PLAN_VERIFY_H
#define AP_PLAN_VERIFY_H

#include "base/json.h"
#include "golden/gates.h"
#include "plan/context.h"

// As aipc_verify (aipc.h).
AP_MUST ap_err ap_verify(aipc_context *c, const aipc_verify_options *o, json_t **document);

// ---- verify_copy.c
// A copy of the folder `from` as `to` (which is made), times kept. Environments, deployments and big files
// are linked. Error USAGE when it is too much.
AP_MUST ap_err ap_verify_copy(const char *from, const char *to);
// Adds the paths below `copy` of files that are not as they are in `from`, as keys.
AP_MUST ap_err ap_verify_changed(const char *from, const char *copy, json_t *names);

// ---- verify_calls.c
// Two recordings of one program, and what served the second: NULL: nothing can be asked again.
typedef struct ap_boundary {
    aipc_context *ctx;
    aipc_server *server;
    const char *plain, *served; // folders
    const ap_gates *gates;      // of calls that no artifact answers
} ap_boundary;
// [{name, signature, calls, compared, apart, replayed, picked, note, outputs: [{name, metrics, gates}],
// verdict}], docs/documents.md.
AP_MUST ap_err ap_verify_calls(const ap_boundary *b, json_t **out);

// ---- verify_repair.c
// Deploys again, more exactly (sharpen), what can be: deployments of recordings that are still there.
// *out: {deployed: [dir], left: [{dir, why}]}. Errors: those of the deployments.
AP_MUST ap_err ap_verify_repair(aipc_context *c, const json_t *artifacts, json_t **out);

// ---- verify_task.c: how texts are compared
typedef struct ap_task {
    const char *name; // of the table in verify_task.c
    double value;     // its threshold
    const char *what; // "stdout", a file or a pattern; NULL: everything
} ap_task;
// "boxes", "psnr=45:out.png". Error USAGE naming what there is.
AP_MUST ap_err ap_task_parse(const char *text, ap_arena *a, ap_task *out);
// Are all of them tasks? The error of the first that is none.
AP_MUST ap_err ap_tasks_check(const char *const *texts, size_t count);
// The first of them that is for `what`; "text" when none is.
ap_task ap_task_for(const ap_task *tasks, size_t count, const char *what);
// One gate {what, metric, value, op, threshold, verdict, note} for two texts; NULL: the task wants none.
json_t *ap_task_compare(const ap_task *task, const char *what, const char *plain, const char *served);
json_t *ap_verify_gate(const char *what, const char *metric, double value, const char *op, double threshold);

// ---- verify_run.c: two runs, each with a folder of its own: work/, stdout, stderr
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

// ---- verify_end.c
// The same for two files of any kind: texts, pictures, tensors, bytes. What stands in `here` of the second
// argument is taken for the same place.
AP_MUST ap_err ap_verify_file(const ap_task *task, const ap_gates *gates, const char *what,
                              const char *const roots[2], json_t **out);
// Reads a text; the run's folder reads as `work`, so that both runs can print it.
AP_MUST ap_err ap_verify_read(const char *path, const char *folder, ap_buf *out);

#endif
