// SPDX-License-Identifier: Apache-2.0
// attempt: one rule applied at many places of a copy of a model, and what the target says of the whole.
// Tuning and sharpening are made of such attempts.
#ifndef AP_SURGERY_ATTEMPT_H
#define AP_SURGERY_ATTEMPT_H

#include "surgery/repair/budget.h"
#include "surgery/repair/whole.h"
#include "surgery/search/search.h"

// What attempts are made with.
typedef struct ap_attempt_tools {
    const ap_rules *rules;
    const ap_rule_judge *judge; // NULL: every rule counts as proven (tests)
    const ap_piece_oracle *oracle;
    ap_dtype compute;
    ap_whole_asker ask;
} ap_attempt_tools;

typedef struct ap_attempt {
    ap_rewritten made; // model: packed and read again; NULL when the rule fits nowhere
    json_t *places;    // names of the root nodes
    json_t *proof;     // of prove.h; NULL without a judge
    const char *why;   // it did not come to a verdict: not proven, fits nowhere
} ap_attempt;
void ap_attempt_release(ap_attempt *a); // zeroed is fine
// Takes the attempt's model into `to`, in place of the one there, and adds its steps: the ground of the next.
void ap_attempt_keep(ap_attempt *a, ap_rewritten *to);

// Matching in `m`: its types are measured; the facts are the caller's to free.
AP_MUST ap_err ap_attempt_env(const ap_attempt_tools *t, ap_model *m, ap_match_env *env);
// Proves the rule, applies it to a copy of `base` at the nodes of these names (where it still fits) and has
// the whole model judged, which is counted.
AP_MUST ap_err ap_attempt_make(const ap_attempt_tools *t, const ap_model *base, const ap_rule *r,
                               const char *const *places, size_t count, ap_spending *spent, ap_attempt *out);

// Does one of the rule's `helps` begin with this word ("tune:", "accuracy:")?
bool ap_rule_is_for(const ap_rule *r, const char *mark);

#endif
