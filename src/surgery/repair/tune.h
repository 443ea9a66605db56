// SPDX-License-Identifier: Apache-2.0
// tune: rewrites a model that already runs right, for speed. Rules marked `helps "tune: ..."` are tried one
// group of equal places at a time; a group stays when the gates of the whole model still pass and its cost
// fell, else it is rolled back and listed.
//
// Hill-climbing: every accepted step is the ground of the next. What it never does: use a rule that is not
// proven, judge numbers or time by itself (the host does), keep an edit no step records.
#ifndef AP_SURGERY_TUNE_H
#define AP_SURGERY_TUNE_H

#include "surgery/repair/attempt.h"

typedef struct ap_tune_options {
    ap_attempt_tools tools; // the judge says in cost.estimate_ms, or in cost.measured_ms, what counts
    ap_budget budget;
    double gain; // least share of the cost a step must save; 0: 0.001, measured 0.05
} ap_tune_options;

typedef struct ap_tuned {
    ap_rewritten made;
    // {kept: [STEP], rejected: [STEP], cost: [before, after] | null, stats: {tries, seconds, ended}};
    // STEP: {rule, class, places: [node], cost: [before, after], reason?}
    json_t *report;
} ap_tuned;
void ap_tuned_release(ap_tuned *t);

// `first` is what the target says of `m`: built and passed, with a cost; otherwise nothing is tried and the
// report says so. Errors: machinery only.
AP_MUST ap_err ap_tune(const ap_model *m, const ap_whole *first, const ap_tune_options *o, ap_tuned *out);

#endif
