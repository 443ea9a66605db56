// SPDX-License-Identifier: Apache-2.0
// clean: runs passes on a model until none finds anything, judging each by the numbers.
//
// After every pass that changed something the model is packed, read anew (which verifies it) and run on every
// input set; the outputs are held against those before the pass. An exact pass must give the same bits, a
// rounding one the same numbers up to AP_CLEAN_ROUNDING_DB against the original, or up to
// AP_CLEAN_ROUNDING_ABS (a probability of 8e-6 that differs by one ulp of 1 is rounding, too). A pass that
// does not is rolled back, reported, and not tried again. What it never does: change the interface; keep an
// edit that no step records.
#ifndef AP_SURGERY_CLEAN_H
#define AP_SURGERY_CLEAN_H

#include "surgery/pass/pass.h"

#define AP_CLEAN_ROUNDING_DB 90.0
#define AP_CLEAN_ROUNDING_ABS 5e-7
#define AP_CLEAN_ROUNDS 32

typedef struct ap_clean_options {
    const ap_surgery_oracle *oracle;
    const json_t *params;    // ap_pass_context.params; NULL: defaults
    const char *const *skip; // names of passes that are not wanted
    size_t skip_count;
    // Recorded steps to take anew on a model that has changed, in their order: passes by name, rules by name
    // at the node of the same name. NULL: every pass until none finds anything. Error GATE names the step
    // that does not fit.
    const json_t *order;
    const struct ap_rules *rules; // of steps of kind "rule" in `order`, as in ap_pass_context
    const struct ap_piece_oracle *pieces;
    ap_dtype compute;
    void (*step)(void *user, const json_t *step); // after each pass kept or refused; NULL: none
    void *user;
} ap_clean_options;

// A model together with the bytes it was read from.
typedef struct ap_cleaned {
    ap_model *model;
    ap_buf bytes;    // what a save writes
    char sha256[65]; // of the bytes
} ap_cleaned;
void ap_cleaned_release(ap_cleaned *c);

// Starts from a copy of `m` (shapes set). *report becomes {steps: [STEP], refused: [STEP]}, also when the
// result is the model as it was. STEP: {n, kind: "pass", name, version, class, before, after, nodes: [before,
// after], changed, touched: {what: count}, gate}; a refused one has `error` in place of `after` when the pass
// did not get as far as the gate. Errors: what the run of the model itself says.
AP_MUST ap_err ap_clean(const ap_model *m, const ap_clean_options *o, ap_cleaned *out, json_t **report);

// Runs recorded steps again, without gates: bytes decide. Errors GATE naming the step and the first thing
// that differs: no such pass, its version, the model before, what it changed, the model after. Steps of kind
// "rule" (apply.h) need `rules`, `compute` and, for some, `pieces` of the context; error CONTRACT (subject:
// the field that differs).
AP_MUST ap_err ap_replay(const ap_model *m, const json_t *steps, const ap_pass_context *c, ap_cleaned *out);

#endif
