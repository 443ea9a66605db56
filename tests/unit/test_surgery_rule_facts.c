// SPDX-License-Identifier: Apache-2.0
// Facts: what is certain, and that nothing else is claimed.
#include "test_surgery_rule.h"

static ap_fact fact(const maker *k, ap_dtype compute, const ap_value *v) {
    ap_facts *f = NULL;
    must(ap_facts_new(k->m, NULL, compute, &f));
    ap_fact out = *ap_facts_of(f, v);
    ap_facts_free(f);
    return out;
}

static void of_constants(void **state) {
    (void)state;
    maker k = make_model(17);
    ap_fact f = fact(&k, AP_F32, CONST(&k, AP_F32, "2,2", 1, -3, 2, 4));
    assert_true(f.lo == -3 && f.hi == 4 && f.integral && f.nonzero && f.finite);
    assert_int_equal(f.distinct, 3);
    f = fact(&k, AP_F32, CONST(&k, AP_F32, "2,2", 0.5, -INFINITY, NAN, 0));
    assert_false(f.integral || f.notnan || f.finite || f.nonzero);
    assert_int_equal(f.row_finite, 3);
    f = fact(&k, AP_F32, CONST(&k, AP_F32, "2,2", -INFINITY, -INFINITY, 0, 1));
    assert_int_equal(f.row_finite, 1); // along axis 0; the first row has nothing left
    ap_model_free(k.m);
}

static void of_operators(void **state) {
    (void)state;
    maker k = make_model(17);
    ap_value *x = input(&k, "x", AP_F32, "2,4"), *i = input(&k, "i", AP_I64, "4");
    ap_fact f = fact(&k, AP_F32, x);
    assert_true(f.lo == -INFINITY && f.hi == INFINITY && !f.notnan && !f.integral);
    f = fact(&k, AP_F32, OP(&k, "Relu", AP_F32, "2,4", x));
    assert_true(f.lo == 0 && f.hi == INFINITY && !f.nonzero && !f.notnan);
    ap_value *s = OP(&k, "Sigmoid", AP_F32, "2,4", x);
    f = fact(&k, AP_F16, s);
    assert_true(f.lo == 0 && f.hi == 1 && !f.integral);
    f = fact(&k, AP_F16, OP(&k, "Add", AP_F32, "2,4", s, s));
    assert_true(f.lo == 0 && f.hi > 2 && f.hi < 2.01); // rounds up at most an ulp of half precision
    f = fact(&k, AP_F32, OPA(&k, "ArgMax", AP_I64, "2,1", INT(&k, "axis", 1), x));
    assert_true(f.lo == 0 && f.hi == 3 && f.integral);
    f = fact(&k, AP_F32, OP(&k, "Mod", AP_I64, "4", i, CONST(&k, AP_I64, "", 7)));
    assert_true(f.lo == 0 && f.hi == 6);
    f = fact(&k, AP_F32, OP(&k, "Add", AP_I64, "4", i, CONST(&k, AP_I64, "", 1)));
    assert_false(f.nonzero); // wraps round
    f = fact(&k, AP_F32, OP(&k, "Sub", AP_F32, "2,4", x, x));
    assert_false(f.notnan); // inf - inf
    ap_value *big = CONST(&k, AP_F32, "", 3000);
    assert_true(fact(&k, AP_F32, OP(&k, "Neg", AP_F32, "", big)).integral);
    assert_false(
        fact(&k, AP_F16, OP(&k, "Neg", AP_F32, "", big)).integral); // not every whole number up to there
    ap_model_free(k.m);
}

static void deep_graphs_and_assumptions(void **state) {
    (void)state;
    maker k = make_model(17);
    ap_value *x = input(&k, "x", AP_F32, "4"), *v = x;
    for (int i = 0; i < 3000; i++) v = OP(&k, "Relu", AP_F32, "4", v);
    ap_facts *f = NULL;
    must(ap_facts_new(k.m, NULL, AP_F32, &f));
    must_fail(ap_facts_assume(f, "nothing", 0, 1), AP_ERR_MODEL_MISSING, "no input");
    must(ap_facts_assume(f, "x", -1, 1));
    const ap_fact *last = ap_facts_of(f, v);
    assert_true(last->lo == 0 && last->hi == 1 && last->finite);
    // Made after the table: derived when asked for.
    assert_true(ap_facts_of(f, OP(&k, "Neg", AP_F32, "4", v))->lo == -1);
    ap_facts_free(f);
    ap_model_free(k.m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_constants),
        cmocka_unit_test(of_operators),
        cmocka_unit_test(deep_graphs_and_assumptions),
    };
    return cmocka_run_group_tests_name("surgery/rule facts", tests, NULL, NULL);
}
