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

// ---- verify_calls.c
// Two recordings of one program: [{name, signature, calls, compared, apart, outputs: [{name, metrics,
// gates}], verdict}].
AP_MUST ap_err ap_verify_calls(const char *plain, const char *served, const ap_gates *gates, json_t **out);

// ---- verify_end.c
typedef struct ap_task {
    const char *name; // of the table in verify_end.c
    double value;     // its threshold
} ap_task;
// "boxes", "psnr=45"; NULL: the default. Error USAGE naming what there is.
AP_MUST ap_err ap_task_parse(const char *text, ap_task *out);
// One gate {what, metric, value, op, threshold, verdict} for two outputs of a program, compared as the task
// says.
json_t *ap_verify_text(const ap_task *task, const char *what, const ap_buf *plain, const ap_buf *served);
// The same for two files of any kind; `task` judges texts, pictures go by PSNR.
AP_MUST ap_err ap_verify_file(const ap_task *task, const ap_gates *gates, const char *what, const char *plain,
                              const char *served, json_t **out);
json_t *ap_verify_gate(const char *what, const char *metric, double value, const char *op, double threshold);

#endif
