// SPDX-License-Identifier: Apache-2.0
#include "plan/surgery/plan_rules.h"
#include "surgery/prove/prove_open.h"

#include <string.h>

ap_dtype ap_target_compute(const ap_target_id *t) {
    return t->soc && t->soc->fp16 != AP_NO ? AP_F16 : AP_F32;
}

static bool has_rules(const json_t *plan) {
    size_t i;
    json_t *step;
    json_array_foreach(json_object_get(plan, "steps"), i, step) {
        if (strcmp(ap_json_str(step, "kind", ""), "rule") == 0) return true;
    }
    return false;
}

ap_err ap_plan_rules_open(aipc_context *c, const json_t *plan, ap_pass_context *context, ap_plan_rules *out) {
    ap_rule_problems problems = {0};
    ap_target_id target;
    ap_err err = NULL;
    *out = (ap_plan_rules){0};
    if (!has_rules(plan)) return NULL;
    AP_TRY(ap_target_parse(ap_json_str(plan, "target", "cpu"), &target));
    AP_TRY(ap_rules_open(NULL, &out->rules, &problems));
    AP_TRY(ap_plan_oracle_open(c, AP_ANY_CPU, &out->oracle));
    context->rules = out->rules;
    context->pieces = &out->oracle.piece;
    context->compute = ap_target_compute(&target);
done:
    ap_rule_problems_free(&problems);
    if (err) ap_plan_rules_close(out);
    return err;
}

void ap_plan_rules_close(ap_plan_rules *r) {
    ap_plan_oracle_close(&r->oracle);
    ap_rules_free(r->rules);
    *r = (ap_plan_rules){0};
}
