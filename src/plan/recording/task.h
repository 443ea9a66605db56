// SPDX-License-Identifier: Apache-2.0
// task: how two texts that a program wrote are compared, by what the program is for (docs/recordings.md).
#ifndef AP_PLAN_TASK_H
#define AP_PLAN_TASK_H

#include "base/json.h"

typedef struct ap_task {
    const char *name; // of the table in task.c
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

#endif
