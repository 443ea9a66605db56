// SPDX-License-Identifier: Apache-2.0
// Reading rule files: what is built in, what is refused and how it is said.
#include "test_surgery_rule.h"

static void builtin_rules_load(void **state) {
    (void)state;
    ap_rules *r = ap_rules_new();
    ap_rule_problems p = {0};
    must(ap_rules_load_builtin(r, &p));
    ap_rules_finish(r);
    for (size_t i = 0; i < r->count; i++)
        for (size_t k = 0; k < i; k++)
            if (ap_rules_overlap(r->list[i], r->list[k]))
                fail_msg("%s overlaps %s", r->list[i]->name, r->list[k]->name);
    ap_buf b = {0};
    ap_rule_problems_print(&p, &b);
    if (p.errors) fail_msg("%s", ap_buf_str(&b));
    print_message("%zu rules of %zu families\n%s", r->count, r->families.count, ap_buf_str(&b));
    assert_true(r->families.count >= 60);
    for (size_t i = 0; i < r->count; i++) {
        assert_true(*r->list[i]->doc);
        assert_int_equal(strlen(r->list[i]->hash.hex), 64);
        assert_ptr_equal(ap_rules_find(r, r->list[i]->name), r->list[i]);
    }
    size_t count;
    assert_non_null(ap_rules_for(r, "", "Mod", &count));
    assert_true(count >= 3);
    assert_null(ap_rules_for(r, "", "Nothing", &count));
    ap_buf_free(&b);
    ap_rule_problems_free(&p);
    ap_rules_free(r);
}

#define RULE(body) "rule r { class exact " body " }"
static const struct {
    const char *text, *message;
} faulty[] = {
    {"rull r { }", "t:1:1: error: expected 'rule' or 'alias', found 'rull'"},
    {RULE("match { y = Floor(x) } replace { y = Flor(x) }"),
     "there is no operator 'Flor'; did you mean 'Floor'?"},
    {RULE("match { y = Mod(x, z) {fmodd=1} } replace { y = Sub(x, z) }"),
     "t:1:45: error: rule r: Mod has no attribute 'fmodd'; did you mean 'fmod'?"},
    {RULE("match { y = Floor(x) } replace { y = Neg(z) }"), "the name 'z' is not bound"},
    {RULE("match { y = Floor(x) } replace { y = Neg(x, x) }"), "Neg has at most 1 operand"},
    {RULE("match { y = Floor(x) } where { nonnegative(x) } replace { y = Neg(x) }"),
     "there is no function 'nonnegative'"},
    {RULE("match { y = Floor(x) } where { dim(x) > 0 } replace { y = Neg(x) }"),
     "dim takes 2 arguments, 1 given"},
    {RULE("match { y = Floor(x) } let { q = 1 } replace { y = Neg(x) }"), "'q' is bound and never used"},
    {RULE("match { y = CumSum(x, a) {exclusive=e} } replace { y = Neg(x) }"), "'_' accepts any value"},
    {RULE("match { y = Floor(x) } replace { z = Neg(x) }"), "does not make 'y'"},
    {RULE("match { y = Floor(x) } replace { y = Neg(y) }"), "'y' is what the rule replaces"},
    {RULE("match { y = Floor(x) }"), "neither 'replace' nor 'native'"},
    {RULE("match { y = Floor(x) } replace { y = Cast(x) }"), "Cast needs the attribute 'to'"},
    {RULE("match { y = Floor(x: f33|f32) } replace { y = Neg(x) }"), "'f33' is no element type"},
    {RULE("match { a = Floor(x); y = Neg(z) } replace { y = Neg(x) }"), "several roots"},
    {RULE("match { y = ReduceSum(x) {axes=a} } replace { y = Neg(x) }"), "written as operand 2"},
    {"rule r { clas exact }", "expected a clause, found 'clas'; did you mean 'class'?"},
    {"rule r { class exakt }", "did you mean 'exact'?"},
    {"rule r { class ulp }", "expected a number of ulps, found '}'"},
    {"rule r { class exact match { y = Floor(x) ", "found the end of the file"},
    {"rule r { doc \"open\n }", "expected a closing \""},
    {"rule r { class exact $ }", "the character '$' has no meaning here"},
    {RULE("match { y = Floor(x) } where { 99999999999999999999 > 0 } replace { y = Neg(x) }"), "too large"},
    {"alias A = f32 | Foo", "'Foo' is no element type and no known operator"},
};

static void faults_are_said(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof faulty / sizeof *faulty; i++) {
        ap_rules *r = ap_rules_new();
        ap_rule_problems p = {0};
        ap_buf b = {0};
        must(ap_rules_parse(r, "t", faulty[i].text, strlen(faulty[i].text), &p));
        ap_rule_problems_print(&p, &b);
        if (!strstr(ap_buf_str(&b), faulty[i].message))
            fail_msg("%s\nwanted: %s\ngot: %s", faulty[i].text, faulty[i].message, ap_buf_str(&b));
        assert_int_equal(r->count, 0);
        ap_buf_free(&b);
        ap_rule_problems_free(&p);
        ap_rules_free(r);
    }
}

static void others_are_still_read(void **state) {
    (void)state;
    static const char text[] =
        "rule a { class exact match { y = Floor(x) } replace { y = Neg(q) } }\n"
        "rule b { class exact match { y = Floor(x) replace { y = Neg(x) } }\n" // no '}'
        "rule c { class exact match { y = Floor(x) } replace { y = Neg(x) } }\n"
        "rule c { class exact match { y = Ceil(x) } replace { y = Neg(x) } }\n";
    ap_rules *r = ap_rules_new();
    ap_rule_problems p = {0};
    must(ap_rules_parse(r, "t", text, sizeof text - 1, &p));
    assert_int_equal(r->count, 1);
    assert_string_equal(r->list[0]->name, "c");
    assert_int_equal(p.errors, 3);
    assert_int_equal(p.items[1].pos.line, 3);
    assert_non_null(strstr(p.items[2].message, "already, t:3"));
    ap_rule_problems_free(&p);
    ap_rules_free(r);
}

static void for_makes_copies(void **state) {
    (void)state;
    ap_rules *r = rules_of("rule f { for O = Floor | Ceil  for U = 0 | 1 class exact\n"
                           "match { y = Trilu(x, k?) {upper=U} } replace { y = O(x) } }");
    assert_int_equal(r->count, 4);
    assert_string_equal(r->list[0]->name, "f[O=Floor,U=0]");
    assert_string_equal(r->list[3]->name, "f[O=Ceil,U=1]");
    assert_string_not_equal(r->list[0]->hash.hex, r->list[3]->hash.hex);
    assert_string_equal(r->list[3]->replace[0].ops[0], "Ceil");
    ap_rules_free(r);
}

static void hostile_files(void **state) {
    (void)state;
    ap_rules *r = ap_rules_new();
    ap_rule_problems p = {0};
    ap_buf b = {0};
    must_fail(ap_rules_parse(r, "t", "a\0b", 3, &p), AP_ERR_USAGE, "no text");
    ap_buf_puts(&b, "rule r { class exact match { y = ");
    for (int i = 0; i < 5000; i++) ap_buf_puts(&b, "Neg(");
    must(ap_rules_parse(r, "t", ap_buf_str(&b), b.len, &p));
    ap_buf_clear(&b);
    ap_buf_puts(&b, "rule s { class exact match { y = Neg(x) } where { ");
    for (int i = 0; i < 5000; i++) ap_buf_puts(&b, "-(");
    must(ap_rules_parse(r, "t", ap_buf_str(&b), b.len, &p));
    ap_buf_clear(&b);
    for (int i = 0; i < 5000; i++) ap_buf_puts(&b, "rule [ } ");
    must(ap_rules_parse(r, "t", ap_buf_str(&b), b.len, &p));
    assert_int_equal(r->count, 0);
    assert_true(p.errors >= 3);
    ap_buf_free(&b);
    ap_rule_problems_free(&p);
    ap_rules_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin_rules_load),    cmocka_unit_test(faults_are_said),
        cmocka_unit_test(others_are_still_read), cmocka_unit_test(for_makes_copies),
        cmocka_unit_test(hostile_files),
    };
    return cmocka_run_group_tests_name("surgery/rule parse", tests, NULL, NULL);
}
