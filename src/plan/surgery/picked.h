// SPDX-License-Identifier: Apache-2.0
// picked: a second look at numbers that fail, when the model picks rows (golden/picks.h): what does the
// original compute given the target's picks?
//
// What it never does: judge. It hands out what to compare with what.
#ifndef AP_PLAN_PICKED_H
#define AP_PLAN_PICKED_H

#include "golden/picks.h"
#include "tensor/metrics.h"

typedef struct ap_picked {
    const ap_model *original; // shapes set
    const ap_model *model;    // what the target runs: the original, or what surgery made of it
    const json_t *inputs;     // TENSOR list: the golden inputs
    const json_t *answer;     // TENSOR list: the outputs the target gave for them
    const char *dir;          // for files, which the results name
    // Tensors of the model in `file`, and of `model` on the target, in the order of `names`.
    ap_err (*oracle)(void *user, const char *file, const json_t *inputs, json_t *names, const char *dir,
                     json_t **out);
    ap_err (*target)(void *user, json_t *names, const char *dir, json_t **out);
    void *user;
} ap_picked;

// *golden: TENSOR list, what the outputs should be given the picks. *picks: [{indices, best, picked}],
// TENSORs. Both NULL when there is nothing to see: the model picks nothing, the picks have no name in
// `model`, are no valid indices, or are not those of the answer (with the indices exposed the target answers
// something else). Errors: machinery only.
AP_MUST ap_err ap_picked_look(const ap_picked *q, json_t **golden, json_t **picks);

// Writes to `file` what `m` is, given the picks among `tensors` (TENSOR list: index outputs of TopK and
// anything else). *inputs: the TENSOR list it wants, `given` and the picks; NULL, and no file, when there
// are none.
AP_MUST ap_err ap_picked_given(const ap_model *m, const json_t *tensors, const json_t *given,
                               const char *file, json_t **inputs);

// Metrics of one pick: values picked against the best. Order among the picked is no class.
AP_MUST ap_err ap_picked_metrics(const json_t *pick, ap_metrics *out);

#endif
