// SPDX-License-Identifier: Apache-2.0
// plan_rules: what the rules of a plan need to be applied again.
#ifndef AP_PLAN_PLAN_RULES_H
#define AP_PLAN_PLAN_RULES_H

#include "plan/surgery/proofs.h"
#include "plan/work/workers.h"
#include "surgery/pass/pass.h"

typedef struct ap_plan_rules {
    ap_rules *rules;
    ap_plan_oracle oracle;
} ap_plan_rules;

// Fills in rules, pieces and compute of the context when the plan has a step of kind "rule"; else does
// nothing. *out stays where it is until it is closed. Errors: RUNTIME_MISSING, TARGET_UNKNOWN, what reading
// rules says.
AP_MUST ap_err ap_plan_rules_open(aipc_context *c, const json_t *plan, ap_pass_context *context,
                                  ap_plan_rules *out);
void ap_plan_rules_close(ap_plan_rules *r); // a zeroed one is fine

// What float32 is computed in on a target: float16 where the SoC does so.
ap_dtype ap_target_compute(const ap_target_id *t);

#endif
