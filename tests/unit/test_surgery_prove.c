// SPDX-License-Identifier: Apache-2.0
// The proof harness without an oracle: choices, values, instances, comparison. What needs one:
// tests/e2e/rules.sh.
#include "surgery/prove/prove_priv.h"
#include "test_surgery_rule.h"

// ---- choices

static void choices_are_replayed(void **state) {
    (void)state;
    choices a = {0}, b = {0};
    uint32_t drawn[64];
    choices_start(&a, 7);
    for (size_t i = 0; i < 64; i++) drawn[i] = choose(&a, 10);
    choices_copy(&b, &a);
    for (size_t i = 0; i < 64; i++) assert_int_equal(choose(&b, 10), drawn[i]);
    b.at = 0;
    b.count = 3;
    b.end_simple = true;
    for (size_t i = 0; i < 10; i++) assert_int_equal(choose(&b, 10), i < 3 ? drawn[i] : 0);
    a.at = 0;
    assert_true(choose(&a, 2) < 2); // a recorded number that is too large now is cut down
    assert_int_equal(choose(&a, 1), 0);
    choices_free(&a);
    choices_free(&b);
}

// ---- values

static void check_values(const ap_tensor *t, const value_limits *l) {
    for (size_t i = 0; i < ap_tensor_count(t); i++) {
        double x = ap_tensor_at(t, i);
        if (isnan(x)) {
            assert_false(l->finite);
            continue;
        }
        assert_true(!l->finite || isfinite(x));
        assert_true(x >= l->lo && x <= l->hi);
        assert_true(!l->integral || !isfinite(x) || x == trunc(x));
        assert_true(!l->nonzero || x != 0);
        for (size_t k = 0; k < i && l->distinct; k++) assert_true(ap_tensor_at(t, k) != x);
    }
}

static void values_keep_their_limits(void **state) {
    (void)state;
    static const value_limits limits[] = {
        {.lo = -INFINITY, .hi = INFINITY},
        {.lo = -INFINITY, .hi = INFINITY, .finite = true},
        {.lo = 0, .hi = 7, .finite = true},
        {.lo = -100, .hi = -1, .finite = true, .integral = true},
        {.lo = 1, .hi = 2000, .finite = true, .integral = true, .nonzero = true},
        {.lo = -4, .hi = 4, .finite = true, .nonzero = true},
        {.lo = 0, .hi = INFINITY, .finite = true, .distinct = true},
    };
    static const ap_dtype types[] = {AP_F32, AP_F16, AP_F64, AP_I32, AP_I64};
    int64_t dims[2] = {5, 7};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
            for (int c = 0; c < VALUES_CLASSES; c++) {
                ap_tensor t = {0}, again = {0};
                must(ap_tensor_alloc(types[k], dims, 2, &t));
                must(ap_tensor_alloc(types[k], dims, 2, &again));
                values_fill(&t, (value_class)c, 3, &limits[i]);
                values_fill(&again, (value_class)c, 3, &limits[i]);
                check_values(&t, &limits[i]);
                assert_memory_equal(t.data, again.data, t.bytes);
                ap_tensor_free(&t);
                ap_tensor_free(&again);
            }
}

static void classes_are_what_they_say(void **state) {
    (void)state;
    value_limits open = {.lo = -INFINITY, .hi = INFINITY};
    int64_t dims[2] = {16, 8};
    ap_tensor t = {0};
    size_t nan = 0, inf = 0, tiny = 0;
    must(ap_tensor_alloc(AP_F32, dims, 2, &t));
    values_fill(&t, VALUES_SPECIAL, 1, &open);
    for (size_t i = 0; i < 128; i++) {
        nan += isnan(ap_tensor_at(&t, i)) != 0;
        inf += isinf(ap_tensor_at(&t, i)) != 0;
    }
    assert_true(nan > 0 && inf > 0);
    values_fill(&t, VALUES_DENORMAL, 1, &open);
    for (size_t i = 0; i < 128; i++) tiny += fabs(ap_tensor_at(&t, i)) < 0x1p-126 && ap_tensor_at(&t, i) != 0;
    assert_int_equal(tiny, 128);
    values_fill(&t, VALUES_ROWS, 1, &open);
    for (size_t i = 0; i < 128; i++) assert_true(ap_tensor_at(&t, i) == ap_tensor_at(&t, i - i % 8));
    ap_tensor_free(&t);
}

// ---- instances

static ap_rules *library(void) {
    ap_rules *r = ap_rules_new();
    ap_rule_problems p = {0};
    must(ap_rules_load_builtin(r, &p));
    assert_int_equal(p.errors, 0);
    ap_rule_problems_free(&p);
    ap_rules_finish(r);
    return r;
}

static instance *drawn(const ap_rule *r, const ap_prove_options *o, uint64_t seed) {
    choices c = {0};
    choices_start(&c, seed);
    instance *x = instance_draw(r, o, &c, 0, NULL, NULL, 0);
    choices_free(&c);
    return x;
}

static void instances_are_graphs(void **state) {
    (void)state;
    ap_rules *rules = library();
    ap_prove_options o = {.rules = rules, .seed = 1};
    for (size_t i = 0; i < rules->count; i++) {
        size_t made = 0;
        for (uint64_t seed = 1; seed <= 60; seed++) {
            instance *x = drawn(rules->list[i], &o, seed);
            if (!x) continue;
            made++;
            must(ap_model_verify(x->model));
            assert_non_null(x->root);
            // The recorded choices give the same graph again.
            ap_buf a = {0}, b = {0};
            instance *y = instance_draw(rules->list[i], &o, &x->c, 0, NULL, NULL, 0);
            assert_non_null(y);
            must(ap_model_bytes(x->model, &a));
            must(ap_model_bytes(y->model, &b));
            assert_int_equal(a.len, b.len);
            assert_memory_equal(a.data, b.data, a.len);
            ap_buf_free(&a);
            ap_buf_free(&b);
            instance_free(y);
            instance_free(x);
        }
        if (!made) fail_msg("no instance of %s in 60 tries", rules->list[i]->name);
    }
    ap_rules_free(rules);
}

// Cutting a stream anywhere gives a graph, or nothing; never a crash.
static void cut_streams(void **state) {
    (void)state;
    ap_rules *rules = library();
    ap_prove_options o = {.rules = rules, .seed = 1};
    for (size_t i = 0; i < rules->count; i += 3) {
        instance *x = drawn(rules->list[i], &o, 5);
        for (size_t n = 0; x && n <= x->c.count; n++) {
            choices c = {0};
            choices_copy(&c, &x->c);
            c.count = n;
            c.end_simple = true;
            instance_free(instance_draw(rules->list[i], &o, &c, 0, NULL, NULL, 0));
            choices_free(&c);
        }
        instance_free(x);
    }
    ap_rules_free(rules);
}

// ---- facts that conditions ask for

static bool holds_of(const char *where) {
    char text[400];
    snprintf(text, sizeof text,
             "rule r { class exact match { y = Mul(a: f32, a) } where { %s } replace { y = Identity(a) } }",
             where);
    ap_rules *rules = rules_of(text);
    ap_prove_options o = {.rules = rules, .seed = 1};
    bool any = false;
    for (uint64_t seed = 1; seed < 200 && !any; seed++) {
        instance *x = drawn(rules->list[0], &o, seed);
        if (!x) continue;
        ap_facts *facts = NULL;
        ap_match *m = NULL;
        ap_match_env env = instance_env(x, x->model, &o, &facts);
        must(ap_rule_match(rules->list[0], &env, x->root, &m, NULL));
        any = m != NULL;
        ap_match_free(m);
        ap_facts_free(facts);
        instance_free(x);
    }
    ap_rules_free(rules);
    return any;
}

static void facts_are_established(void **state) {
    (void)state;
    static const char *const reachable[] = {"nonneg(a)",
                                            "pos(a)",
                                            "nonzero(a)",
                                            "integral(a)",
                                            "finite(a)",
                                            "notnan(a)",
                                            "hi(a) < 100",
                                            "distinct(a, 0)",
                                            "integral(a); lo(a) >= 0; hi(a) < 2048",
                                            "const(a)",
                                            "max(-lo(a), hi(a)) < 0.4 * -lowest(compute)"};
    for (size_t i = 0; i < sizeof reachable / sizeof *reachable; i++)
        if (!holds_of(reachable[i])) fail_msg("no instance with %s", reachable[i]);
    assert_false(holds_of("pos(a); hi(a) < 0"));
}

// ---- what `draw` asks for

typedef bool (*row_check)(const ap_tensor *t, size_t row, size_t n);

static bool row_dominated(const ap_tensor *t, size_t row, size_t n) {
    double most = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs(ap_tensor_at(t, row * n + i)));
        sum += fabs(ap_tensor_at(t, row * n + i));
    }
    return most > sum - most;
}

static bool row_differs(const ap_tensor *t, size_t row, size_t n) {
    for (size_t i = 1; i < n; i++)
        if (ap_tensor_at(t, row * n + i) == ap_tensor_at(t, row * n + i - 1)) return false;
    return true;
}

static bool row_everyday(const ap_tensor *t, size_t row, size_t n) {
    for (size_t i = row * n; i < row * n + n; i++) {
        double x = fabs(ap_tensor_at(t, i));
        if (x != 0 && (x < 1e-6 || x > 9)) return false;
    }
    return true;
}

static void draws_are_heeded(void **state) {
    (void)state;
    static const struct {
        const char *draw;
        row_check check;
    } cases[] = {
        {"x in -9 .. 9 dominant", row_dominated},
        {"x in -9 .. 9 normal", row_differs},
        {"x in -9 .. 9 everyday", row_everyday},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[200];
        snprintf(
            text, sizeof text,
            "rule r { class exact match { y = Neg(x: f32[3,3]) } draw { %s } replace { y = Identity(x) } }",
            cases[k].draw);
        ap_rules *rules = rules_of(text);
        ap_prove_options o = {.rules = rules, .seed = 1};
        size_t seen = 0;
        for (uint64_t seed = 1; seed <= 300; seed++) {
            instance *x = drawn(rules->list[0], &o, seed);
            for (size_t row = 0; x && x->feed_count && row < 3; row++, seen++)
                if (!cases[k].check(&x->feeds[0].t, row, 3)) fail_msg("seed %d: %s", (int)seed, text);
            instance_free(x);
        }
        assert_true(seen > 300);
        ap_rules_free(rules);
    }
}

// ---- two oracles

static void agreement(void **state) {
    (void)state;
    float x[4] = {1, 2, NAN, -INFINITY}, y[4] = {1.0001F, 2, NAN, -INFINITY}, z[4] = {1, 2, NAN, INFINITY};
    int64_t dims[1] = {4};
    ap_tensor a, b, c;
    must(ap_tensor_view(AP_F32, dims, 1, x, sizeof x, &a));
    must(ap_tensor_view(AP_F32, dims, 1, y, sizeof y, &b));
    must(ap_tensor_view(AP_F32, dims, 1, z, sizeof z, &c));
    assert_true(outputs_agree(&a, &b));
    assert_false(outputs_agree(&a, &c));
    b.dims[0] = 3;
    assert_false(outputs_agree(&a, &b));
}

// ---- overlap

static void overlap_is_refused(void **state) {
    (void)state;
    ap_rules *r = rules_of("rule a { class exact match { y = Neg(x: f32) } replace { y = Sub(0.0, x) } }"
                           "rule b { class exact match { y = Neg(x: f32) } replace { y = Sub(-0.0, x) } }"
                           "rule c { class exact match { y = Neg(x: f32) } replace { y = Mul(x, -1.0) } }");
    assert_true(ap_rules_overlap(r->list[0], r->list[1]));
    assert_false(ap_rules_overlap(r->list[0], r->list[2])); // another way of doing it
    ap_rules_free(r);
}

// Other names, other space, a comment: the same. Another attribute, condition or type: not.
static void overlap_looks_through_names(void **state) {
    (void)state;
    static const char *const others[] = {
        "match { out=Softmax( v : f32 ){ axis = axis } # the same\n} where { axis==1; rank(v) > 1 }",
        "match { y = Softmax(x: f32) {axis=k} } where { k == 1; rank(x) > 2 }",
        "match { y = Softmax(x: f16) {axis=k} } where { k == 1; rank(x) > 1 }",
        "match { y = Softmax(x: f32) {axis=k} } where { rank(x) > 1; k == 1 }",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        ap_buf text = {0};
        ap_buf_printf(&text,
                      "rule a { doc \"match replace\" class exact match { y = Softmax(x: f32) {axis=k} } "
                      "where { k == 1; rank(x) > 1 } replace { y = Identity(x) } }"
                      "rule b { doc \"match replace\" class exact %s replace { %s = Identity(%s) } }",
                      others[i], i ? "y" : "out", i ? "x" : "v");
        ap_rules *r = rules_of(ap_buf_str(&text));
        assert_int_equal(ap_rules_overlap(r->list[0], r->list[1]), i == 0);
        ap_rules_free(r);
        ap_buf_free(&text);
    }
}

// ---- what is wrong with a rule before anything runs

static void hopeless_rules(void **state) {
    (void)state;
    static const struct {
        const char *rest, *why; // NULL: nothing wrong with it
    } cases[] = {
        {"match { y = Neg(x: f32) } replace { y = Mul(x, -1.0) }", NULL},
        {"match { y = Neg(x: f32) } replace { y = Identity(x) }", NULL}, // wrong, which only numbers show
        {"match { y = Neg(x: f32) } where { rank(x) > 3; rank(x) < 2 } replace { y = Identity(x) }",
         "never fits"},
        {"match { y = Neg(x: f32) } where { pos(x); hi(x) < 0 } replace { y = Identity(x) }", "never fits"},
        {"match { y = Sign(x: f32) } replace { y = Greater(x, 0.0) }", "breaks types"},
        // The operator before draws operands of any rank, a convolution takes those of rank 3 and more.
        {"match { y = Conv(Mul(x: f32, c: const f32[]), w) {*r} } replace { y = Mul(Conv(x, w) {*r}, c) }",
         NULL},
        {"match { y = Softmax(x: f32[N,C]) } replace { y = Transpose(x) {perm=[1,0]} }", "breaks types"},
        {"match { y = Neg(x: f32) } replace { y = Neg(Neg(Neg(x))) }", "loops"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400], why[400] = "";
        snprintf(text, sizeof text, "rule r { class exact %s }", cases[i].rest);
        ap_rules *r = rules_of(text);
        bool can = ap_rule_can_hold(r->list[0], r, why, sizeof why);
        if (can != !cases[i].why || (!can && !strstr(why, cases[i].why))) fail_msg("%s: %s", text, why);
        ap_rules_free(r);
    }
}

// Every rule of the program passes, also those that only an oracle can judge.
static void library_is_not_hopeless(void **state) {
    (void)state;
    ap_rules *r = library();
    char why[400] = "";
    for (size_t i = 0; i < r->count; i++)
        if (!ap_rule_can_hold(r->list[i], r, why, sizeof why)) fail_msg("%s: %s", r->list[i]->name, why);
    ap_rules_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices_are_replayed),
        cmocka_unit_test(values_keep_their_limits),
        cmocka_unit_test(classes_are_what_they_say),
        cmocka_unit_test(instances_are_graphs),
        cmocka_unit_test(cut_streams),
        cmocka_unit_test(facts_are_established),
        cmocka_unit_test(draws_are_heeded),
        cmocka_unit_test(agreement),
        cmocka_unit_test(overlap_is_refused),
        cmocka_unit_test(overlap_looks_through_names),
        cmocka_unit_test(hopeless_rules),
        cmocka_unit_test(library_is_not_hopeless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
