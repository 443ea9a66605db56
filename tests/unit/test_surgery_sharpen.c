// SPDX-License-Identifier: Apache-2.0
// sharpen: keeps what makes the whole model more exact, rolls back what does not, tries again what a larger
// error had hidden, stops when the gates pass.
#include "test_surgery_rule.h"

#include "surgery/repair/sharpen.h"

static const char *const text =
    "rule small { doc \"hidden by the large one\" class exact helps \"accuracy: Neg\"\n"
    "  match { y = Neg(x) } replace { y = Sub(0.0, x) } }\n"
    "rule large { doc \"the larger error\" class exact helps \"accuracy: Abs\"\n"
    "  match { y = Abs(x) } replace { y = Max(x, Mul(x, -1.0)) } }\n"
    "rule useless { doc \"changes nothing\" class exact helps \"accuracy: Relu\"\n"
    "  match { y = Relu(x) } replace { y = Max(x, 0.0) } }\n"
    "rule other { doc \"for speed\" class exact helps \"tune: Exp\"\n"
    "  match { y = Exp(x) } replace { y = Pow(2.7182817, x) } }\n";

typedef struct stage {
    size_t asked;
    double wanted;  // dB
    double without; // cost without Relu, with it 1; 0: not known
} stage;

static bool has(const ap_model *m, const char *op) {
    for (size_t i = 0; i < m->graph->node_count; i++)
        if (!strcmp(m->graph->nodes[i]->op, op)) return true;
    return false;
}
// Abs costs 10 dB; Neg 5, which only shows without Abs; Relu 0.5.
static ap_err whole(void *user, ap_model *m, ap_whole *out) {
    stage *s = user;
    double db = has(m, "Abs") ? 25 : has(m, "Neg") ? 35 : 40;
    bool relu = has(m, "Relu");
    db += relu ? 0 : 0.5;
    s->asked++;
    *out = (ap_whole){.built = true, .passed = db >= s->wanted};
    out->gates = json_pack("[{ss,ss,sf,sf,ss}]", "output", "y", "metric", "sqnr_db", "value", db, "threshold",
                           s->wanted, "verdict", out->passed ? "pass" : "fail");
    if (s->without > 0) out->cost = json_pack("{sf}", "estimate_ms", relu ? 1.0 : s->without);
    return NULL;
}
static ap_err not_large(void *user, const ap_rule *r, bool *yes, json_t **proof) {
    (void)user;
    (void)proof;
    *yes = strcmp(r->family, "large") != 0;
    return NULL;
}

// Neg, Abs, Relu, Exp.
static ap_sharpened sharpen(stage *s, bool all, const ap_rule_judge *judge, size_t tries) {
    maker k = make_model(17);
    ap_value *v = input(&k, "x", AP_F32, "3,4");
    const char *const ops[] = {"Neg", "Abs", "Relu", "Exp"};
    for (size_t i = 0; i < 4; i++) v = OP(&k, ops[i], AP_F32, "3,4", v);
    output(&k, v, AP_F32, "3,4");
    ap_rules *rules = rules_of(text);
    ap_sharpen_options o = {
        .tools = {.rules = rules, .judge = judge, .ask = {.types = no_types, .judge = whole, .user = s}},
        .all = all,
        .budget = {.builds = tries}};
    ap_whole first = {0};
    ap_sharpened out = {0};
    must(whole(s, k.m, &first));
    s->asked = 0;
    must(ap_sharpen(k.m, &first, &o, &out));
    ap_whole_release(&first);
    ap_model_free(k.m);
    ap_rules_free(rules);
    return out;
}

static const char *rule_at(const json_t *list, size_t i) {
    return json_string_value(json_array_get(json_object_get(json_array_get(list, i), "rules"), 0));
}

static void what_was_hidden_is_tried_again(void **state) {
    (void)state;
    stage s = {.wanted = 38};
    ap_sharpened out = sharpen(&s, false, NULL, 0);
    assert_true(out.made.whole.passed);
    assert_int_equal(json_array_size(out.repairs), 2);
    assert_string_equal(rule_at(out.repairs, 0), "large");
    assert_string_equal(rule_at(out.repairs, 1), "small");
    assert_int_equal(json_array_size(out.rolled_back),
                     1); // what was kept later is not told of as rolled back
    assert_string_equal(rule_at(out.rolled_back, 0), "useless");
    assert_string_equal(ap_json_str(json_array_get(out.repairs, 0), "verdict", ""), "inexact");
    assert_non_null(strstr(ap_json_str(json_array_get(out.repairs, 0), "why", ""), "from 25.0 to 35.0 dB"));
    assert_int_equal(json_array_size(out.made.steps), 2);
    assert_true(has(out.made.model, "Exp") && has(out.made.model, "Relu") && !has(out.made.model, "Abs"));
    ap_sharpened_release(&out);
}

static void it_stops_when_the_gates_pass(void **state) {
    (void)state;
    stage s = {.wanted = 30};
    ap_sharpened out = sharpen(&s, false, NULL, 0);
    assert_int_equal(s.asked, 2); // small in vain, then large
    assert_int_equal(json_array_size(out.repairs), 1);
    ap_sharpened_release(&out);
    s = (stage){.wanted = 30};
    out = sharpen(&s, true, NULL, 0); // a state is carried: all of them
    assert_int_equal(json_array_size(out.repairs), 2);
    ap_sharpened_release(&out);
}

static void budgets_and_proofs_hold(void **state) {
    (void)state;
    stage s = {.wanted = 38};
    ap_rule_judge judge = {.proven = not_large};
    ap_sharpened out = sharpen(&s, false, &judge, 0);
    assert_null(out.made.model);
    assert_int_equal(json_array_size(out.rolled_back), 3);
    assert_string_equal(ap_json_str(json_array_get(out.rolled_back, 1), "reason", ""),
                        "the rule is not proven");
    ap_sharpened_release(&out);
    s = (stage){.wanted = 38};
    out = sharpen(&s, false, NULL, 1);
    assert_int_equal(s.asked, 1);
    assert_string_equal(ap_json_str(out.stats, "ended", ""),
                        "the budget of 1 build of the whole model is spent (--repair-builds gives more)");
    ap_sharpened_release(&out);
}

static void little_is_kept_where_it_is_free(void **state) {
    (void)state;
    const double costs[] = {0.9, 1.005, 1.1};
    for (size_t i = 0; i < 3; i++) {
        stage s = {.wanted = 30, .without = costs[i]};
        ap_sharpened out = sharpen(&s, true, NULL, 0);
        assert_int_equal(json_array_size(out.repairs), i < 2 ? 3 : 2);
        assert_int_equal(json_array_size(out.rolled_back), i < 2 ? 0 : 1);
        assert_int_equal(has(out.made.model, "Relu"), i == 2);
        ap_sharpened_release(&out);
    }
}

// Only what left a rule untried is named.
static void a_budget_that_was_enough_is_not_named(void **state) {
    (void)state;
    stage s = {.wanted = 30};
    ap_sharpened out = sharpen(&s, false, NULL, 2); // small in vain, then large: the gates pass
    assert_true(out.made.whole.passed);
    assert_int_equal(json_integer_value(json_object_get(out.stats, "tries")), 2);
    assert_true(json_is_null(json_object_get(out.stats, "ended")));
    ap_sharpened_release(&out);
}

static void blurred_is_neither_wrong_nor_refused(void **state) {
    (void)state;
    ap_whole w = {.built = true};
    w.gates = json_pack("[{ss,sf,ss}]", "metric", "sqnr_db", "value", 22.0, "verdict", "fail");
    assert_true(ap_is_blurred(&w));
    w.refused = json_pack("[{}]");
    assert_false(ap_is_blurred(&w));
    json_decref(w.refused);
    w.refused = NULL;
    json_object_set_new(json_array_get(w.gates, 0), "value", json_real(9));
    assert_false(ap_is_blurred(&w));
    ap_whole_release(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_hidden_is_tried_again),
        cmocka_unit_test(it_stops_when_the_gates_pass),
        cmocka_unit_test(budgets_and_proofs_hold),
        cmocka_unit_test(little_is_kept_where_it_is_free),
        cmocka_unit_test(a_budget_that_was_enough_is_not_named),
        cmocka_unit_test(blurred_is_neither_wrong_nor_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
