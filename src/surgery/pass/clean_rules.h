// SPDX-License-Identifier: Apache-2.0
// clean_rules: recorded rules on replay. Rules that stand one behind the other share measured types and
// facts, as they did when they were recorded.
#ifndef AP_SURGERY_CLEAN_RULES_H
#define AP_SURGERY_CLEAN_RULES_H

#include "surgery/facts/facts.h"
#include "surgery/pass/fold.h"

typedef struct ap_replay_rules {
    ap_types types;
    ap_facts *facts; // NULL: nothing measured yet
} ap_replay_rules;

// Takes one step of kind "rule" on the model. Error CONTRACT (subject: the field that differs).
AP_MUST ap_err ap_replay_rule(ap_replay_rules *r, ap_model *m, const ap_pass_context *c, const json_t *step);
void ap_replay_rules_end(ap_replay_rules *r); // the next step measures anew

#endif
