// SPDX-License-Identifier: Apache-2.0
// The inside of whole: what its files share.
#ifndef AP_PLAN_WHOLE_PRIV_H
#define AP_PLAN_WHOLE_PRIV_H

#include "plan/surgery/whole.h"

// ---- whole.c
// One request to the worker of the oracle or of the target. Steals args.
AP_MUST ap_err whole_call(ap_whole_host *h, bool oracle, const char *op, json_t *args, json_t **result);
// Builds the model in `file` with other outputs and runs it on the golden inputs; `dir` is for files. Error
// REFUSED when it is not taken.
AP_MUST ap_err whole_target_values(ap_whole_host *h, const char *file, json_t *outputs, const char *dir,
                                   json_t **values);
// Adds the gates of one output; *passed becomes false when one fails, else it stays.
AP_MUST ap_err whole_judge_output(const ap_whole_host *h, const json_t *want, const json_t *have,
                                  json_t *gates, bool *passed);
bool whole_is_worker_death(ap_code c);

// ---- whole_wrong.c: the model is built and its gates fail.
// `file` holds `m`, `answer` is what the target gave, `base` a folder for files. Where rows are picked by
// TopK the gates are judged once more given the target's picks: out->passed, out->gates. What still fails
// gets a node to blame: out->wrong.
AP_MUST ap_err whole_wrong(ap_whole_host *h, const ap_model *m, const char *file, const char *base,
                           const json_t *answer, ap_whole *out);

// ---- whole_cut.c
bool whole_is_quantised(const ap_model *m);
json_t *whole_cut_names(const ap_model *m); // tensors behind which the graph can be cut, in order
// The first of `names` whose value on the target is wrong when the graph ends there. `want`: TENSOR list of
// the oracle. *first: an entry of a trace; NULL: none is.
AP_MUST ap_err whole_cut(ap_whole_host *h, const ap_model *m, const char *file, const char *base,
                         const json_t *names, const json_t *want, double floor_db, json_t **first);

// ---- whole_time.c: cost.measured_ms of the model the worker has loaded; the target runs on this machine.
AP_MUST ap_err whole_measure(ap_whole_host *h, const char *dir, json_t *cost);

#endif
