// SPDX-License-Identifier: Apache-2.0
// Tuning and sharpening with everything they need: the rules and their proofs, and the judge of whole models.
#include "plan/surgery/plan_rules.h"
#include "plan/surgery/proofs.h"
#include "plan/surgery/surgery_priv.h"
#include "surgery/prove/prove_open.h"
#include "surgery/repair/sharpen.h"
#include "surgery/repair/tune.h"

#include <string.h>

typedef struct shop {
    const ap_surgery_stage *s;
    ap_rules *rules;
    ap_plan_oracle oracle;
    ap_proofs *proofs;
} shop;

static ap_err shop_open(const ap_surgery_stage *s, shop *k) {
    ap_rule_problems problems = {0};
    ap_err err = NULL;
    k->s = s;
    AP_TRY(ap_rules_open(s->rules, &k->rules, &problems));
    AP_TRY(ap_plan_oracle_open(s->ctx, AP_ANY_CPU, &k->oracle));
    AP_TRY(ap_proofs_open(s->ctx, k->rules, s->host->ledger, &k->proofs));
done:
    ap_rule_problems_free(&problems); // repair and `aipc rules` say them
    return err;
}

static void shop_close(shop *k) {
    ap_proofs_close(k->proofs);
    ap_plan_oracle_close(&k->oracle);
    ap_rules_free(k->rules);
}

// The tools borrow from *judge and the shop.
static ap_attempt_tools tools_of(shop *k, const ap_rule_judge *proven) {
    return (ap_attempt_tools){.rules = k->rules,
                              .judge = proven,
                              .oracle = &k->oracle.piece,
                              .compute = ap_target_compute(k->s->host->target),
                              .ask = surgery_asker(k->s)};
}

ap_err surgery_tune(const ap_surgery_stage *s, ap_cleaned *now, ap_whole *w, json_t **report, json_t *steps) {
    shop k = {0};
    ap_tuned tuned = {0};
    ap_err err = NULL;
    AP_TRY(shop_open(s, &k));
    ap_rule_judge proven = ap_proofs_judge(k.proofs);
    ap_tune_options o = {.tools = tools_of(&k, &proven), .budget = {s->builds, s->time_s}};
    AP_TRY(ap_tune(now->model, w, &o, &tuned));
    surgery_adopt(now, w, &tuned.made, steps);
    *report = json_incref(tuned.report);
done:
    ap_tuned_release(&tuned);
    shop_close(&k);
    return err;
}

ap_err surgery_sharpen(const ap_surgery_stage *s, bool all, ap_cleaned *now, ap_whole *w, json_t *report,
                       json_t *steps) {
    shop k = {0};
    ap_sharpened made = {0};
    ap_err err = NULL;
    AP_TRY(shop_open(s, &k));
    ap_rule_judge proven = ap_proofs_judge(k.proofs);
    ap_sharpen_options o = {.tools = tools_of(&k, &proven), .all = all, .budget = {s->builds, s->time_s}};
    AP_TRY(ap_sharpen(now->model, w, &o, &made));
    surgery_adopt(now, w, &made.made, steps);
    json_array_extend(json_object_get(report, "repairs"), made.repairs);
    json_array_extend(json_object_get(report, "rolled_back"), made.rolled_back);
    json_array_append(json_object_get(report, "sharpening"), made.stats);
done:
    ap_sharpened_release(&made);
    shop_close(&k);
    return err;
}
