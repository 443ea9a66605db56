// SPDX-License-Identifier: Apache-2.0
#include "surgery/pass/clean_rules.h"

#include "surgery/apply/apply.h"

#include <string.h>

static bool measured(void *user, const ap_value *v, ap_value_type *out) {
    const ap_value_type *t = ap_types_get(user, v);
    if (t) *out = *t;
    return t != NULL;
}

void ap_replay_rules_end(ap_replay_rules *r) {
    ap_facts_free(r->facts);
    ap_types_release(&r->types);
    *r = (ap_replay_rules){0};
}

static ap_err measure(ap_replay_rules *r, ap_model *m, const ap_pass_context *c, ap_match_env *env) {
    const ap_pass_context own = {.oracle = c->oracle, .types = &r->types, .params = c->params};
    ap_types *types = NULL;
    ap_err err = NULL;
    env->types = (ap_type_source){measured, &r->types};
    if (!r->facts) {
        AP_TRY(ap_types_measure(m, &own, &types));
        AP_TRY(ap_facts_new(m, &env->types, c->compute, &r->facts));
    }
    env->facts = r->facts;
done:
    return err;
}

ap_err ap_replay_rule(ap_replay_rules *r, ap_model *m, const ap_pass_context *c, const json_t *step) {
    ap_match_env env = {.model = m, .rules = c->rules, .compute = c->compute, .oracle = c->pieces};
    ap_applied a = {0};
    bool fresh = !r->facts;
    ap_err err = NULL;
    if (!c->rules)
        return ap_err_new(AP_ERR_CONTRACT, "the plan applies rule %s and there are no rules",
                          ap_json_str(step, "name", "?"));
    AP_TRY(measure(r, m, c, &env));
    err = ap_rule_replay(&env, step, &a);
    if (ap_err_code(err) == AP_ERR_CONTRACT && !fresh) {
        // Recorded after the model was measured again: so is it now.
        ap_err_free(err);
        ap_replay_rules_end(r);
        AP_TRY(measure(r, m, c, &env));
        err = ap_rule_replay(&env, step, &a);
    }
    if (err) goto done;
    if (!a.types_known) ap_replay_rules_end(r);
done:
    ap_applied_release(&a);
    return err;
}
