// SPDX-License-Identifier: Apache-2.0
// attempt: one rule applied at many places of a copy of a model, and what the target says of the whole.
// Tuning and sharpening are made of such attempts.
#ifndef AP_SURGERY_ATTEMPT_H
#define AP_SURGERY_ATTEMPT_H

#include "surgery/repair/repair.h"

// What attempts are made with; callbacks as in ap_repair_options.
typedef struct ap_attempt_tools {
    const ap_rules *rules;
    const ap_rule_judge *judge; // NULL: every rule counts as proven (tests)
    const ap_piece_oracle *oracle;
    ap_dtype compute;
    ap_err (*types)(void *user, ap_model *m, ap_type_source *out);
    ap_err (*whole)(void *user, ap_model *m, ap_whole *out);
    void (*progress)(void *user, const char *text); // NULL: none
    void *user;
} ap_attempt_tools;

typedef struct ap_attempt {
    ap_model *model; // packed and read again from `bytes`; NULL when the rule fits nowhere
    ap_buf bytes;
    ap_whole whole;
    json_t *steps, *places; // records of kind "rule"; names of the root nodes
    json_t *proof;          // of prove.h; NULL without a judge
    const char *why;        // it did not come to a verdict: not proven, fits nowhere
} ap_attempt;
void ap_attempt_release(ap_attempt *a); // zeroed is fine

// Matching in `m`: its types are measured; the facts are the caller's to free.
AP_MUST ap_err ap_attempt_env(const ap_attempt_tools *t, ap_model *m, ap_match_env *env);
// Proves the rule, applies it to a copy of `base` at the nodes of these names (where it still fits) and has
// the whole model judged. *built: a build was spent.
AP_MUST ap_err ap_attempt_make(const ap_attempt_tools *t, const ap_model *base, const ap_rule *r,
                               const char *const *places, size_t count, ap_attempt *out, bool *built);

// Does one of the rule's `helps` begin with this word ("tune:", "accuracy:")?
bool ap_rule_is_for(const ap_rule *r, const char *mark);

#endif
