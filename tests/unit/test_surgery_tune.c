// SPDX-License-Identifier: Apache-2.0
// tune: keeps what makes the whole model cheaper and right, rolls back what does not, ends.
#include "test_surgery_rule.h"

#include "surgery/repair/tune.h"

static const char *const text =
    "rule through { doc \"cancels out\" class exact helps \"tune: layout\"\n"
    "  match { t = Transpose(x) {perm=p}; u = Relu(t); y = Transpose(u) {perm=q} }\n"
    "  where { [p[q[i]] for i in 0..rank(x)-1] == [i for i in 0..rank(x)-1] }\n"
    "  replace { y = Relu(x) } }\n"
    "rule slower { doc \"more nodes\" class exact helps \"tune: nothing\"\n"
    "  match { y = Neg(x) } replace { y = Sub(0.0, Mul(x, 1.0)) } }\n"
    "rule other { doc \"for a need\" class exact helps \"qnn: Abs\"\n"
    "  match { y = Abs(x) } replace { y = Max(x, Neg(x)) } }\n";

typedef struct stage {
    size_t asked;
    bool fail;           // no model passes
    const double *clock; // measured times, one for each question; NULL: an estimate
} stage;

// A node costs a millisecond.
static ap_err whole(void *user, ap_model *m, ap_whole *out) {
    stage *s = user;
    s->asked++;
    *out = (ap_whole){.built = true, .passed = !s->fail};
    out->cost = s->clock ? json_pack("{sf}", "measured_ms", s->clock[s->asked - 1])
                         : json_pack("{sf}", "estimate_ms", (double)m->graph->node_count);
    return NULL;
}
static ap_err not_proven(void *user, const ap_rule *r, bool *yes, json_t **proof) {
    (void)user;
    (void)proof;
    *yes = strcmp(r->family, "through") != 0;
    return NULL;
}

// Twice Transpose, Relu, Transpose; then Neg and Abs.
static ap_model *model(void) {
    maker k = make_model(17);
    int64_t perm[2] = {1, 0};
    ap_value *v = input(&k, "x", AP_F32, "3,4");
    for (int i = 0; i < 2; i++) {
        v = OPA(&k, "Transpose", AP_F32, "4,3", ap_attr_ints(&k.m->arena, "perm", perm, 2), v);
        v = OP(&k, "Relu", AP_F32, "4,3", v);
        v = OPA(&k, "Transpose", AP_F32, "3,4", ap_attr_ints(&k.m->arena, "perm", perm, 2), v);
    }
    v = OP(&k, "Neg", AP_F32, "3,4", v);
    v = OP(&k, "Abs", AP_F32, "3,4", v);
    output(&k, v, AP_F32, "3,4");
    return k.m;
}

static ap_tuned tune(stage *s, const ap_rules *rules, const ap_rule_judge *judge, size_t tries) {
    ap_model *m = model();
    ap_whole first = {0};
    ap_tuned out = {0};
    ap_tune_options o = {
        .tools = {.rules = rules, .judge = judge, .ask = {.types = no_types, .judge = whole, .user = s}},
        .budget = {.builds = tries}};
    stage quiet = {.clock = s->clock ? s->clock++ : NULL};
    must(whole(&quiet, m, &first));
    must(ap_tune(m, &first, &o, &out));
    ap_whole_release(&first);
    ap_model_free(m);
    return out;
}
static size_t listed(const ap_tuned *t, const char *list) {
    return json_array_size(json_object_get(t->report, list));
}

static void keeps_what_pays(void **state) {
    (void)state;
    ap_rules *rules = rules_of(text);
    stage s = {0};
    ap_tuned t = tune(&s, rules, NULL, 0);
    assert_non_null(t.made.model);
    assert_int_equal(t.made.model->graph->node_count, 4);
    assert_int_equal(listed(&t, "kept"), 1); // both places are one group
    assert_int_equal(listed(&t, "rejected"), 1);
    assert_int_equal(json_array_size(t.made.steps), 2);
    assert_int_equal(s.asked, 2);
    assert_true(json_number_value(json_object_get(t.made.whole.cost, "estimate_ms")) == 4.0);
    const json_t *no = json_array_get(json_object_get(t.report, "rejected"), 0);
    assert_string_equal(ap_json_str(no, "reason", ""), "it is not faster");
    ap_tuned_release(&t);
    ap_rules_free(rules);
}

static void gates_decide(void **state) {
    (void)state;
    ap_rules *rules = rules_of(text);
    stage s = {.fail = true};
    ap_tuned t = tune(&s, rules, NULL, 0);
    assert_null(t.made.model);
    assert_int_equal(listed(&t, "kept"), 0);
    assert_int_equal(listed(&t, "rejected"), 2);
    assert_int_equal(json_array_size(t.made.steps), 0);
    ap_tuned_release(&t);
    ap_rules_free(rules);
}

static void unproven_is_not_tried(void **state) {
    (void)state;
    ap_rules *rules = rules_of(text);
    ap_rule_judge judge = {not_proven, NULL};
    stage s = {0};
    ap_tuned t = tune(&s, rules, &judge, 0);
    assert_null(t.made.model);
    assert_int_equal(s.asked, 1);
    ap_tuned_release(&t);
    ap_rules_free(rules);
}

static void budget_ends_it(void **state) {
    (void)state;
    ap_rules *rules = rules_of(text);
    stage s = {0};
    ap_tuned t = tune(&s, rules, NULL, 1);
    assert_int_equal(s.asked, 1);
    assert_string_equal(ap_json_str(json_object_get(t.report, "stats"), "ended", ""),
                        "the budget of 1 build of the whole model is spent (--repair-builds gives more)");
    ap_tuned_release(&t);
    ap_rules_free(rules);
}

// A clock may have been unlucky with the base: it is asked again before anything takes its place.
static void clocks_are_doubted(void **state) {
    (void)state;
    ap_rules *rules = rules_of(text);
    const double unlucky[] = {10, 8, 7.9, 9}; // the base; `through`; the base again; `slower`
    stage s = {.clock = unlucky};
    ap_tuned t = tune(&s, rules, NULL, 0);
    assert_null(t.made.model);
    assert_int_equal(listed(&t, "rejected"), 2);
    assert_int_equal(s.asked, 3);
    ap_tuned_release(&t);

    const double true_gain[] = {10, 8, 9.8, 9}; // `slower` has nothing to gain on 8
    s = (stage){.clock = true_gain};
    t = tune(&s, rules, NULL, 0);
    assert_non_null(t.made.model);
    assert_int_equal(listed(&t, "kept"), 1);
    const json_t *cost = json_object_get(t.report, "cost");
    assert_true(json_number_value(json_array_get(cost, 1)) == 8.0);
    ap_tuned_release(&t);

    const double noise[] = {10, 9.7, 9.8}; // three parts in a hundred are no gain of a clock
    s = (stage){.clock = noise};
    t = tune(&s, rules, NULL, 0);
    assert_null(t.made.model);
    assert_int_equal(s.asked, 2);
    ap_tuned_release(&t);
    ap_rules_free(rules);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_pays),       cmocka_unit_test(gates_decide),
        cmocka_unit_test(unproven_is_not_tried), cmocka_unit_test(budget_ends_it),
        cmocka_unit_test(clocks_are_doubted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
