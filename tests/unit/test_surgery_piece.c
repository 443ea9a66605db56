// SPDX-License-Identifier: Apache-2.0
// Pieces and their keys, facts that travel with them, values that obey facts, recipes at other places, plans
// with rules.
#include "surgery/pass/clean.h"
#include "test_surgery_search.h"

// ---- keys

static void cut_at(lab *l, const ap_value *v, size_t radius, ap_piece *out) {
    ap_match_env env = env_of(&l->k, l->rules);
    must(ap_facts_new(l->k.m, NULL, AP_DTYPE_NONE, &env.facts));
    must(ap_piece_cut(&env, v->producer, radius, out));
    ap_facts_free(env.facts);
}

static bool same_key(lab *l, const ap_value *a, const ap_value *b, size_t radius) {
    ap_piece p = {0}, q = {0};
    cut_at(l, a, radius, &p);
    cut_at(l, b, radius, &q);
    bool same = strcmp(p.key, q.key) == 0;
    ap_piece_release(&p);
    ap_piece_release(&q);
    return same;
}

static void keys(void **state) {
    lab *l = *state;
    maker *k = &l->k;
    ap_value *x = input(k, "x", AP_F32, "2,3"), *z = input(k, "z", AP_F32, "2,3"),
             *i = input(k, "i", AP_I64, "2");
    ap_value *one = CONST(k, AP_F32, "", 1), *uno = CONST(k, AP_F32, "", 1), *two = CONST(k, AP_F32, "", 2);
    ap_value *a = OP(k, "Add", AP_F32, "2,3", x, one), *b = OP(k, "Add", AP_F32, "2,3", z, uno);
    assert_true(same_key(l, a, b, 0)); // names do not count
    assert_false(same_key(l, a, OP(k, "Add", AP_F32, "2,3", x, two), 0));
    assert_false(same_key(l, a, OP(k, "Sub", AP_F32, "2,3", x, one), 0));
    assert_false(same_key(l, OP(k, "Sub", AP_F32, "2,3", x, z), OP(k, "Sub", AP_F32, "2,3", x, x), 0));
    ap_value *m = OPA(k, "Softmax", AP_F32, "2,3", INT(k, "axis", 0), x),
             *n = OPA(k, "Softmax", AP_F32, "2,3", INT(k, "axis", 1), x);
    assert_false(same_key(l, m, n, 0));
    assert_false(same_key(l, OP(k, "Neg", AP_F32, "2,3", x), OP(k, "Neg", AP_I64, "2", i), 0));
    // What is certain about the operands counts.
    ap_value *r = OP(k, "Relu", AP_F32, "2,3", x), *s = OP(k, "Sin", AP_F32, "2,3", x);
    assert_false(same_key(l, OP(k, "Sqrt", AP_F32, "2,3", r), OP(k, "Sqrt", AP_F32, "2,3", s), 0));
    assert_true(same_key(l, OP(k, "Exp", AP_F32, "2,3", r), OP(k, "Exp", AP_F32, "2,3", r), 0));
    // The surroundings do when they are in it.
    ap_value *t = OP(k, "Tanh", AP_F32, "2,3", OP(k, "Sin", AP_F32, "2,3", x)),
             *u = OP(k, "Tanh", AP_F32, "2,3", OP(k, "Sin", AP_F32, "2,3", z)),
             *v = OP(k, "Tanh", AP_F32, "2,3", OP(k, "Tan", AP_F32, "2,3", z));
    assert_true(same_key(l, t, u, 1));
    assert_false(same_key(l, u, v, 1));
}

static void radius(void **state) {
    lab *l = *state;
    maker *k = &l->k;
    ap_value *x = input(k, "x", AP_F32, "2"), *a = OP(k, "Sin", AP_F32, "2", x),
             *b = OP(k, "Cos", AP_F32, "2", a), *c = OP(k, "Tan", AP_F32, "2", b),
             *d = OP(k, "Neg", AP_F32, "2", a);
    output(k, c, AP_F32, "2");
    output(k, d, AP_F32, "2");
    static const size_t counts[] = {1, 2, 4}; // Cos; Sin too; then Tan and Neg
    for (size_t i = 0; i < 3; i++) {
        ap_piece p = {0};
        cut_at(l, b, i, &p);
        assert_int_equal(p.node_count, counts[i]);
        assert_string_equal(p.node, b->producer->name);
        assert_int_equal(p.model->graph->input_count, 1);
        must(ap_model_verify(p.model));
        if (i == 1) assert_int_equal(p.model->graph->output_count, 2); // Sin is used by Neg, outside
        ap_piece_release(&p);
    }
}

// An operation of whole numbers is cut with what makes it one; the next ones are as many steps away as
// without.
static void quantised_units(void **state) {
    lab *l = *state;
    maker *k = &l->k;
    ap_value *s = CONST(k, AP_F32, "", 0.5), *x = input(k, "x", AP_F32, "4");
#define QDQ(v) OP(k, "DequantizeLinear", AP_F32, "4", OP(k, "QuantizeLinear", AP_U8, "4", v, s), s)
    ap_value *a = OP(k, "Abs", AP_F32, "4", QDQ(x)), *ad = QDQ(a), *b = OP(k, "Sigmoid", AP_F32, "4", ad),
             *bd = QDQ(b), *c = OP(k, "Mul", AP_F32, "4", ad, bd), *cd = QDQ(c);
#undef QDQ
    output(k, cd, AP_F32, "4");
    static const size_t counts[] = {7, 11, 11}; // Mul between three pairs; Abs, its pair, and Sigmoid
    for (size_t i = 0; i < 3; i++) {
        ap_piece p = {0};
        cut_at(l, c, i, &p);
        assert_int_equal(p.node_count, counts[i]);
        for (size_t in = 0; in < p.model->graph->input_count; in++) {
            ap_value_type t;
            assert_true(ap_type_of(NULL, p.model->graph->inputs[in], &t));
            assert_int_equal(t.dtype, AP_F32); // never cut between QuantizeLinear and DequantizeLinear
        }
        must(ap_model_verify(p.model));
        ap_piece_release(&p);
    }
    assert_true(ap_node_is_quantised(c->producer));
    assert_false(ap_node_is_quantised(cd->producer));
}

static void types_must_be_known(void **state) {
    lab *l = *state;
    maker *k = &l->k;
    ap_value_type open = {.dtype = AP_F32, .rank = 1, .dims = {-1}};
    ap_value *x = NULL;
    must(ap_graph_add_input(k->m->graph, "x", &open, &x));
    ap_value *y = OP(k, "Sin", AP_F32, "2", x);
    ap_match_env env = env_of(k, NULL);
    ap_piece p = {0};
    must_fail(ap_piece_cut(&env, y->producer, 0, &p), AP_ERR_SHAPE_UNKNOWN, "\"x\"");
}

// ---- facts

static void facts_travel(void **state) {
    (void)state;
    static const ap_fact facts[] = {
        {.lo = -INFINITY, .hi = INFINITY},
        {.lo = 0, .hi = 255, .integral = true, .notnan = true, .finite = true},
        {.lo = 1, .hi = INFINITY, .notnan = true, .nonzero = true, .distinct = 3, .row_finite = 2},
    };
    for (size_t i = 0; i < 3; i++) {
        json_t *j = ap_fact_json(&facts[i], AP_F32);
        ap_fact back;
        ap_fact_from_json(j, AP_F32, &back);
        json_t *again = ap_fact_json(&back, AP_F32);
        assert_true(json_equal(j, again));
        assert_int_equal(json_object_size(j) == 0, i == 0);
        assert_true(back.lo == facts[i].lo && back.hi == facts[i].hi && back.integral == facts[i].integral &&
                    back.notnan == facts[i].notnan && back.finite == facts[i].finite &&
                    back.nonzero == facts[i].nonzero && back.distinct == facts[i].distinct &&
                    back.row_finite == facts[i].row_finite);
        json_decref(j);
        json_decref(again);
    }
    ap_fact odd;
    json_t *hostile = json_pack("{ss,ss,si}", "lo", "nan", "hi", "x", "integral", 7);
    ap_fact_from_json(hostile, AP_I32, &odd);
    assert_true(odd.lo == -2147483648.0 && odd.hi == 2147483647.0);
    json_decref(hostile);
}

// Whatever is certain, the numbers drawn keep to it, and the facts read off them say so.
static void drawn_values_obey(void **state) {
    (void)state;
    static const struct {
        ap_dtype t;
        ap_fact f;
    } cases[] = {
        {AP_I64, {.lo = 0, .hi = 9, .integral = true, .notnan = true, .finite = true}},
        {AP_I64, {.lo = -3, .hi = 100000, .integral = true, .notnan = true, .finite = true, .nonzero = true}},
        {AP_I64, {.lo = 1e6, .hi = 1e6 + 2, .integral = true, .notnan = true, .finite = true}},
        {AP_I64, {.lo = 0, .hi = 9, .integral = true, .notnan = true, .finite = true, .distinct = 2}},
        {AP_I64, {.lo = 0, .hi = 5, .integral = true, .notnan = true, .finite = true, .distinct = 2}},
        {AP_I64, {.lo = 0, .hi = 8399, .integral = true, .notnan = true, .finite = true, .distinct = 3}},
        {AP_U8, {.lo = 0, .hi = 1, .integral = true, .notnan = true, .finite = true}},
        {AP_I32, {.lo = -2147483648.0, .hi = -5, .integral = true, .notnan = true, .finite = true}},
        {AP_F32, {.lo = 0, .hi = INFINITY}},
        {AP_F32, {.lo = 100, .hi = INFINITY, .nonzero = true}},
        {AP_F32, {.lo = -0.5, .hi = 0.25, .finite = true, .notnan = true}},
        {AP_F32, {.lo = -INFINITY, .hi = -7}},
        {AP_F32, {.lo = 0, .hi = 80, .integral = true, .finite = true, .notnan = true}},
        {AP_BOOL, {.lo = 1, .hi = 1, .integral = true, .notnan = true, .finite = true}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ap_fact *want = &cases[i].f;
        ap_value_type type = {.dtype = cases[i].t, .rank = 2, .dims = {4, 6}};
        ap_probe_values v = {.kind = AP_PROBE_VALUES_NORMAL, .a = 1};
        if (!ap_dtype_is_float(type.dtype))
            v = (ap_probe_values){.kind = AP_PROBE_VALUES_INTS, .a = -16, .b = 17};
        ap_probe_values_obey(&v, want, &type);
        for (uint64_t seed = 0; seed < 40; seed++) {
            ap_tensor t = {0};
            ap_fact have;
            must(ap_probe_values_make(&v, seed, &type, &t));
            ap_fact_of_tensor(&t, &have);
            bool axis1 = !(want->distinct & 2) || (have.distinct & 2),
                 axis0 = !(want->distinct & 1) || (have.distinct & 1);
            // Both axes at once: the first one is what is kept.
            if (want->distinct == 3) axis1 = true;
            if (!(have.lo >= want->lo && have.hi <= want->hi && have.integral >= want->integral &&
                  have.nonzero >= want->nonzero && axis0 && axis1))
                fail_msg("case %zu, seed %d: [%g, %g]", i, (int)seed, have.lo, have.hi);
            ap_tensor_free(&t);
        }
    }
}

// ---- recipes

static const char two_rules[] = "rule mod { class exact match { y = Mod(a: f32, b: f32) {fmod=1} } where { "
                                "nonneg(a) } replace { y = Sub(a, "
                                "Mul(b, Floor(Div(a, b)))) } }\n"
                                "rule floor { class exact match { y = Floor(x: f32) } replace { y = "
                                "Cast(Cast(x) {to=i32}) {to=f32} } }\n";

// A model in which the same thing stands twice, and once otherwise (nothing is known of its operand).
typedef struct thrice {
    ap_value *first, *second, *other;
} thrice;

static thrice build_thrice(lab *l) {
    maker *k = &l->k;
    thrice t;
    ap_value *x = input(k, "x", AP_F32, "2"), *b = CONST(k, AP_F32, "", 3);
    ap_value *z = input(k, "z", AP_F32, "2");
    t.first = OPA(k, "Mod", AP_F32, "2", INT(k, "fmod", 1), OP(k, "Relu", AP_F32, "2", x), b);
    t.second = OPA(k, "Mod", AP_F32, "2", INT(k, "fmod", 1), OP(k, "Relu", AP_F32, "2", z), b);
    t.other = OPA(k, "Mod", AP_F32, "2", INT(k, "fmod", 1), x, b);
    output(k, OP(k, "Add", AP_F32, "2", t.first, t.second), AP_F32, "2");
    output(k, t.other, AP_F32, "2");
    return t;
}

static void recipes_travel(void **state) {
    lab *l = *state;
    rules_are(l, two_rules);
    target_is(l, "{\"refuse\":[\"Mod\",\"Floor\"]}");
    thrice t = build_thrice(l);
    look(l, t.first, 0);
    assert_string_equal(found(l), "mod > floor");
    ap_match_env env = env_of(&l->k, l->rules);
    env.compute = AP_F16;
    must(ap_facts_new(l->k.m, NULL, AP_F16, &env.facts));
    json_t *steps = json_array();
    must_fail(ap_recipe_apply(&l->result.recipe, &env, t.other->producer, steps), AP_ERR_CONTRACT,
              "another kind of piece");
    assert_int_equal(json_array_size(steps), 0);
    must(ap_recipe_apply(&l->result.recipe, &env, t.first->producer, steps));
    must(ap_recipe_apply(&l->result.recipe, &env, t.second->producer, steps));
    must(ap_model_verify(l->k.m));
    assert_int_equal(json_array_size(steps), 4);
    assert_int_equal(count_op(&l->k, "Mod"), 1);
    assert_int_equal(count_op(&l->k, "Floor"), 0);
    assert_int_equal(count_op(&l->k, "Cast"), 4);
    json_decref(steps);
    ap_facts_free(env.facts);
}

// A rule that was edited since is not applied under its old name.
static void a_changed_rule(void **state) {
    lab *l = *state;
    rules_are(l, two_rules);
    target_is(l, "{\"refuse\":[\"Mod\",\"Floor\"]}");
    thrice t = build_thrice(l);
    look(l, t.first, 0);
    ap_rules *others =
        rules_of("rule mod { class exact match { y = Mod(a: f32, b: f32) {fmod=1} } where { nonneg(a) "
                 "} replace { y = Sub(a, b) } }");
    ap_match_env env = env_of(&l->k, others);
    env.compute = AP_F16;
    must(ap_facts_new(l->k.m, NULL, AP_F16, &env.facts));
    size_t nodes = l->k.m->graph->node_count;
    must_fail(ap_recipe_apply(&l->result.recipe, &env, t.first->producer, NULL), AP_ERR_CONTRACT,
              "has changed since");
    assert_int_equal(l->k.m->graph->node_count, nodes);
    ap_facts_free(env.facts);
    ap_rules_free(others);
}

// ---- plans

// An oracle that knows the declared types and nothing else.
static ap_err declared(void *user, ap_model *m, size_t set, const char *const *names, size_t count,
                       bool types_only, ap_err (*sink)(void *, const char *, const ap_tensor *),
                       void *sink_user) {
    (void)user, (void)set;
    assert_true(types_only);
    for (size_t i = 0; i < count; i++) {
        ap_tensor t = {0};
        if (!ap_value_shape(ap_graph_value(m->graph, names[i]), &t.dtype, t.dims, &t.rank, NULL)) continue;
        ap_err err = sink(sink_user, names[i], &t);
        if (err) return err;
    }
    return NULL;
}

static void plans_replay(void **state) {
    lab *l = *state;
    rules_are(l, two_rules);
    target_is(l, "{\"refuse\":[\"Mod\",\"Floor\"]}");
    thrice t = build_thrice(l);
    look(l, t.first, 0);
    ap_buf before = {0}, after = {0};
    ap_model *m = NULL;
    must(ap_model_bytes(l->k.m, &before));
    must(ap_model_parse(before.data, before.len, NULL, &m));
    ap_match_env env = env_of(&l->k, l->rules);
    env.compute = AP_F16;
    must(ap_facts_new(l->k.m, NULL, AP_F16, &env.facts));
    json_t *steps = json_array();
    must(ap_recipe_apply(&l->result.recipe, &env, t.first->producer, steps));
    must(ap_recipe_apply(&l->result.recipe, &env, t.second->producer, steps));
    must(ap_model_bytes(l->k.m, &after));
    ap_surgery_oracle oracle = {.run = declared, .sets = 1};
    ap_pass_context c = {.oracle = &oracle, .rules = l->rules, .compute = AP_F16};
    ap_cleaned again = {0};
    must(ap_replay(m, steps, &c, &again));
    assert_int_equal(again.bytes.len, after.len);
    assert_memory_equal(again.bytes.data, after.data, after.len);
    ap_cleaned_release(&again);
    // The first field that differs is named.
    static const char *const fields[] = {"hash", "root", "binds", "before", "after"};
    for (size_t i = 0; i < 5; i++) {
        json_t *stale = json_deep_copy(steps);
        json_object_set_new(json_array_get(stale, 1), fields[i],
                            strcmp(fields[i], "binds") ? json_string("0") : json_object());
        ap_err err = ap_replay(m, stale, &c, &again);
        assert_non_null(strstr(ap_err_message(err), "step 2 of the plan"));
        assert_string_equal(ap_err_get_subject(err), fields[i]);
        ap_err_free(err);
        json_decref(stale);
    }
    c.rules = NULL;
    must_fail(ap_replay(m, steps, &c, &again), AP_ERR_CONTRACT, "there are no rules");
    json_decref(steps);
    ap_facts_free(env.facts);
    ap_model_free(m);
    ap_buf_free(&before);
    ap_buf_free(&after);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "worker") == 0) return fake_serve();
#define T(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)
    const struct CMUnitTest tests[] = {
        T(keys),
        T(radius),
        T(quantised_units),
        T(types_must_be_known),
        cmocka_unit_test(facts_travel),
        cmocka_unit_test(drawn_values_obey),
        T(recipes_travel),
        T(a_changed_rule),
        T(plans_replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
