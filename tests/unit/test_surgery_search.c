// SPDX-License-Identifier: Apache-2.0
// The search, against a backend made for the purpose (test_surgery_search.h).
#include "test_surgery_search.h"

static const char mod_rules[] =
    "rule mod { class exact match { y = Mod(a: f32, b: f32) {fmod=1} } replace { y = Sub(a, Mul(b, "
    "Floor(Div(a, b)))) } }\n"
    "rule floor { class exact match { y = Floor(x: f32) } replace { y = Cast(Cast(x) {to=i32}) {to=f32} } }\n"
    "rule cast { class exact match { y = Cast(x: f32) {to=i32} } replace { y = Cast(Cast(x) {to=i64}) "
    "{to=i32} } }\n";

static ap_value *a_mod(lab *l) {
    ap_value *x = input(&l->k, "x", AP_F32, "2"), *b = input(&l->k, "b", AP_F32, "2");
    ap_value *y = OPA(&l->k, "Mod", AP_F32, "2", INT(&l->k, "fmod", 1), x, b);
    output(&l->k, y, AP_F32, "2");
    return y;
}

static void taken_as_it_is(void **state) {
    lab *l = *state;
    rules_are(l, mod_rules);
    target_is(l, "{}");
    look(l, a_mod(l), 0);
    assert_true(l->result.found);
    assert_string_equal(found(l), "");
    assert_int_equal(l->result.before, AP_PROBE_ACCEPTED);
}

// It was wrong with other numbers: that it is right with these is no repair.
static void right_by_chance(void **state) {
    lab *l = *state;
    rules_are(l, mod_rules);
    target_is(l, "{}");
    l->must_change = true;
    look(l, a_mod(l), 0);
    assert_string_equal(found(l), "mod");
    assert_int_equal(l->result.before, AP_PROBE_ACCEPTED);
}

static void one_rule(void **state) {
    lab *l = *state;
    rules_are(l, mod_rules);
    target_is(l, "{\"refuse\":[\"Mod\"]}");
    look(l, a_mod(l), 0);
    assert_string_equal(found(l), "mod");
    assert_int_equal(l->result.before, AP_PROBE_REFUSED);
    assert_string_equal(l->result.reason, "no");
    assert_int_equal(l->result.recipe.nodes_before, 1);
    assert_int_equal(l->result.recipe.nodes_after, 4);
    assert_true(l->result.recipe.exact);
}

// What the replacement needs is refused as well.
static void deeper(void **state) {
    lab *l = *state;
    rules_are(l, mod_rules);
    target_is(l, "{\"refuse\":[\"Mod\",\"Floor\"]}");
    ap_value *y = a_mod(l);
    look(l, y, 0);
    assert_string_equal(found(l), "mod > floor");
    l->o.depth = 1;
    look(l, y, 0);
    assert_null(found(l));
    assert_non_null(strstr(tried(l, "refused"), "Floor"));
}

static void nothing_helps(void **state) {
    lab *l = *state;
    rules_are(l, mod_rules);
    target_is(l, "{\"refuse\":[\"Mod\",\"Sub\"]}");
    look(l, a_mod(l), 0);
    assert_null(found(l));
    assert_non_null(strstr(tried(l, "refused"), "Sub"));
    assert_int_equal(json_array_size(l->result.tried), 1);
}

// A rule that would fit but for a condition is told with it.
static void a_misfit_is_told(void **state) {
    lab *l = *state;
    rules_are(l, "rule mod { class exact match { y = Mod(a: f32, b: f32) {fmod=1} } where { integral(a) } "
                 "replace { y = Sub(a, b) } }");
    target_is(l, "{\"refuse\":[\"Mod\"]}");
    look(l, a_mod(l), 0);
    assert_null(found(l));
    assert_non_null(strstr(tried(l, "misfit"), "integral(a)"));
}

// Two rules that undo each other end.
static void loops_end(void **state) {
    lab *l = *state;
    rules_are(l, "rule there { class exact match { y = Sin(x: f32) } replace { y = Cos(x) } }\n"
                 "rule back { class exact match { y = Cos(x: f32) } replace { y = Sin(x) } }");
    target_is(l, "{\"refuse\":[\"Sin\",\"Cos\"]}");
    ap_value *y = OP(&l->k, "Sin", AP_F32, "2", input(&l->k, "x", AP_F32, "2"));
    output(&l->k, y, AP_F32, "2");
    look(l, y, 0);
    assert_null(found(l));
    assert_int_equal(ap_json_int(l->result.stats, "probes", 0), 2);
    assert_int_equal(ap_json_int(l->result.stats, "expansions", 0), 2);
}

// Rules that only grow the piece end at the depth, and at each budget.
static void budgets(void **state) {
    lab *l = *state;
    rules_are(l, "rule grow { class exact match { y = Sin(x: f32) } replace { y = Sin(Neg(Neg(x))) } }\n"
                 "rule more { class exact match { y = Sin(x: f32) } replace { y = Neg(Sin(Neg(x))) } }");
    target_is(l, "{\"refuse\":[\"Sin\"]}");
    ap_value *y = OP(&l->k, "Sin", AP_F32, "2", input(&l->k, "x", AP_F32, "2"));
    output(&l->k, y, AP_F32, "2");
    look(l, y, 0);
    assert_null(found(l));
    size_t all = (size_t)ap_json_int(l->result.stats, "probes", 0);
    assert_true(all > 6 && all <= 63);
    l->o.probes = 5;
    look(l, y, 0);
    assert_int_equal(ap_json_int(l->result.stats, "probes", 0), 5);
    assert_string_equal(ap_json_str(l->result.stats, "budget", ""), "probes");
    l->o.probes = 0;
    l->o.expansions = 2;
    look(l, y, 0);
    assert_int_equal(ap_json_int(l->result.stats, "expansions", 0), 2);
    assert_string_equal(ap_json_str(l->result.stats, "budget", ""), "expansions");
    l->o.expansions = 0;
    l->o.seconds = 1e-9;
    look(l, y, 0);
    assert_int_equal(ap_json_int(l->result.stats, "expansions", 9), 0);
    assert_string_equal(ap_json_str(l->result.stats, "budget", ""), "seconds");
}

// Exact before near, few nodes before many, other backends' rules last.
static void the_cheapest(void **state) {
    lab *l = *state;
    rules_are(
        l, "rule near { class db 50 match { y = Sin(x: f32) } replace { y = Neg(x) } }\n"
           "rule long { class exact match { y = Sin(x: f32) } replace { y = Neg(Neg(Neg(x))) } }\n"
           "rule short { class exact match { y = Sin(x: f32) } replace { y = Abs(Neg(x)) } }\n"
           "rule other { class exact helps \"tpu: Sin\" match { y = Sin(x: f32) } replace { y = Abs(x) } }");
    ap_value *y = OP(&l->k, "Sin", AP_F32, "2", input(&l->k, "x", AP_F32, "2"));
    output(&l->k, y, AP_F32, "2");
    static const char *const cases[][2] = {
        {"{\"refuse\":[\"Sin\"]}", "short"},
        {"{\"refuse\":[\"Sin\",\"Abs\"]}", "long"},
        {"{\"refuse\":[\"Sin\",\"Neg\"]}", "other"},
    };
    for (size_t i = 0; i < 3; i++) {
        target_is(l, cases[i][0]);
        look(l, y, 0);
        assert_string_equal(found(l), cases[i][1]);
    }
    target_is(l, "{\"refuse\":[\"Sin\"],\"wrong\":[\"Abs\"]}");
    look(l, y, 0);
    assert_string_equal(found(l), "long");
}

// The target says yes and computes something else: never taken, and repaired like a refusal.
static void a_liar(void **state) {
    lab *l = *state;
    rules_are(l, mod_rules);
    target_is(l, "{\"wrong\":[\"Mod\",\"Floor\"]}");
    ap_value *y = a_mod(l);
    look(l, y, 0);
    assert_int_equal(l->result.before, AP_PROBE_WRONG);
    assert_string_equal(found(l), "mod > floor");
    target_is(l, "{\"wrong\":[\"Mod\",\"Floor\",\"Cast\"]}");
    look(l, y, 0);
    assert_null(found(l));
}

static void a_killer(void **state) {
    lab *l = *state;
    rules_are(l, mod_rules);
    target_is(l, "{\"boom\":[\"Mod\",\"Floor\"]}");
    look(l, a_mod(l), 0);
    assert_int_equal(l->result.before, AP_PROBE_CRASHED);
    assert_string_equal(found(l), "mod > floor");
}

static void banned(void **state) {
    lab *l = *state;
    rules_are(l, "rule a { class exact match { y = Sin(x: f32) } replace { y = Neg(x) } }\n"
                 "rule b { class exact match { y = Sin(x: f32) } replace { y = Abs(Abs(x)) } }");
    target_is(l, "{\"refuse\":[\"Sin\"]}");
    ap_value *y = OP(&l->k, "Sin", AP_F32, "2", input(&l->k, "x", AP_F32, "2"));
    output(&l->k, y, AP_F32, "2");
    look(l, y, 0);
    assert_string_equal(found(l), "a");
    for (int as_list = 0; as_list < 2; as_list++) {
        json_t *bans = as_list ? json_pack("[{s[s],ss}]", "recipe", "a", "key", l->piece.key)
                               : json_pack("[{ss,ss}]", "recipe", "a", "key", l->piece.key);
        l->o.banned = bans;
        look(l, y, 0);
        assert_string_equal(found(l), "b");
        json_object_set_new(json_array_get(bans, 0), "key", json_string("another"));
        look(l, y, 0);
        assert_string_equal(found(l), "a");
        json_decref(bans);
    }
}

typedef struct asked {
    char text[200];
} asked;

static ap_err judge_all_but_a(void *user, const ap_rule *r, bool *yes, json_t **proof) {
    asked *q = user;
    strncat(q->text, r->name, sizeof q->text - strlen(q->text) - 1);
    *yes = strcmp(r->name, "a") != 0;
    *proof = *yes ? json_pack("{ss}", "verdict", "holds") : NULL;
    return NULL;
}

// A rule that is not proven is passed over, and proofs are asked for only where a chain works.
static void only_proven(void **state) {
    lab *l = *state;
    asked q = {0};
    ap_rule_judge judge = {judge_all_but_a, &q};
    rules_are(l, "rule a { class exact match { y = Sin(x: f32) } replace { y = Neg(x) } }\n"
                 "rule b { class exact match { y = Sin(x: f32) } replace { y = Abs(Abs(x)) } }\n"
                 "rule c { class exact match { y = Sin(x: f32) } replace { y = Cos(x) } }");
    target_is(l, "{\"refuse\":[\"Sin\",\"Cos\"]}");
    l->o.judge = &judge;
    ap_value *y = OP(&l->k, "Sin", AP_F32, "2", input(&l->k, "x", AP_F32, "2"));
    output(&l->k, y, AP_F32, "2");
    look(l, y, 0);
    assert_string_equal(found(l), "b");
    assert_string_equal(q.text, "ab");
    assert_non_null(strstr(tried(l, "unproven"), "rule a"));
    const json_t *proof = json_object_get(json_array_get(l->result.recipe.chain, 0), "proof");
    assert_string_equal(ap_json_str(proof, "verdict", ""), "holds");
}

// A pattern whose root stands behind the refused node needs the larger piece.
static void a_root_further_on(void **state) {
    lab *l = *state;
    rules_are(l, "rule r { class exact match { y = Neg(Sin(x: f32)) } replace { y = Abs(x) } }");
    target_is(l, "{\"refuse\":[\"Sin\"]}");
    ap_value *s = OP(&l->k, "Sin", AP_F32, "2", input(&l->k, "x", AP_F32, "2"));
    ap_value *y = OP(&l->k, "Neg", AP_F32, "2", s);
    output(&l->k, y, AP_F32, "2");
    look(l, s, 0);
    assert_null(found(l));
    look(l, s, 2);
    assert_string_equal(found(l), "r");
}

// One rule for several refused nodes of a state is one step.
static void the_same_everywhere(void **state) {
    lab *l = *state;
    rules_are(
        l,
        "rule a { class exact match { y = Sin(x: f32) } replace { y = Add(Floor(x), Mul(Floor(Neg(x)), "
        "Floor(Abs(x)))) } }\n"
        "rule f { class exact match { y = Floor(x: f32) } replace { y = Cast(Cast(x) {to=i32}) {to=f32} } }");
    target_is(l, "{\"refuse\":[\"Sin\",\"Floor\"]}");
    l->o.depth = 2;
    ap_value *y = OP(&l->k, "Sin", AP_F32, "2", input(&l->k, "x", AP_F32, "2"));
    output(&l->k, y, AP_F32, "2");
    look(l, y, 0);
    assert_string_equal(found(l), "a > f > f > f");
}

static char *whole_result(lab *l) {
    json_t *j =
        json_pack("{sO,sO,sb}", "chain", l->result.recipe.chain ? l->result.recipe.chain : json_null(),
                  "tried", l->result.tried, "found", l->result.found);
    char *text = ap_json_canonical(j);
    json_decref(j);
    return text;
}

static void the_same_twice(void **state) {
    lab *l = *state;
    rules_are(l, mod_rules);
    target_is(l, "{\"refuse\":[\"Mod\",\"Floor\"]}");
    ap_value *y = a_mod(l);
    look(l, y, 0);
    char *first = whole_result(l);
    l->host.threads = 2;
    look(l, y, 0);
    char *second = whole_result(l);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "worker") == 0) return fake_serve();
#define T(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)
    const struct CMUnitTest tests[] = {
        T(taken_as_it_is), T(right_by_chance),   T(one_rule),
        T(deeper),         T(nothing_helps),     T(a_misfit_is_told),
        T(loops_end),      T(budgets),           T(the_cheapest),
        T(a_liar),         T(a_killer),          T(banned),
        T(only_proven),    T(a_root_further_on), T(the_same_everywhere),
        T(the_same_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
