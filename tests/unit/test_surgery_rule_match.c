// SPDX-License-Identifier: Apache-2.0
// Where rules fit, what they make of a graph, and replay.
#include "test_surgery_rule.h"

static void mod_is_replaced(void **state) {
    (void)state;
    ap_rules *r = ap_rules_new();
    ap_rule_problems p = {0};
    must(ap_rules_load_builtin(r, &p));
    ap_rules_finish(r);
    maker k = make_model(17);
    ap_value *x = input(&k, "x", AP_I64, "4"), *b = CONST(&k, AP_I64, "", 3);
    ap_value *y = OPA(&k, "Mod", AP_I64, "4", INT(&k, "fmod", 0), x, b);
    output(&k, y, AP_I64, "4");
    ap_match_env env = env_of(&k, r);
    ap_match *m = NULL;
    ap_applied a = {0};
    must(ap_rule_match(ap_rules_find(r, "mod_int"), &env, y->producer, &m, NULL));
    assert_non_null(m);
    must(ap_match_apply(m, &a));
    must(ap_model_verify(k.m));
    assert_int_equal(a.added_count, 11);
    assert_int_equal(a.removed_count, 1);
    assert_true(a.types_known);
    assert_string_equal(k.m->graph->outputs[0]->name, "v0");
    assert_string_equal(k.m->graph->outputs[0]->producer->op, "Where");
    assert_int_equal(count_op(&k, "Mod"), 0);
    // Literals took the element type of the other operand.
    const ap_value *zero = ap_graph_value(k.m->graph, "v0~mod_int.3");
    assert_non_null(zero);
    assert_int_equal(count_op(&k, "Less"), 2);
    ap_applied_release(&a);
    ap_match_free(m);
    ap_rule_problems_free(&p);
    done(&k, r);
}

static void conditions_decide(void **state) {
    (void)state;
    ap_rules *r =
        rules_of("rule r { class exact match { y = Mod(a: i32|i64, b) } where { nonzero(b); lo(b) > 0 }\n"
                 "replace { y = Sub(a, b) } }");
    maker k = make_model(17);
    ap_value *x = input(&k, "x", AP_I64, "4"), *z = input(&k, "z", AP_I64, "4"),
             *f = input(&k, "f", AP_F32, "4");
    ap_value *good = OP(&k, "Mod", AP_I64, "4", x, CONST(&k, AP_I64, "", 3));
    ap_value *zero = OP(&k, "Mod", AP_I64, "4", x, CONST(&k, AP_I64, "2,1", 3, 0));
    ap_value *open = OP(&k, "Mod", AP_I64, "4", x, z);
    ap_value *real = OPA(&k, "Mod", AP_F32, "4", INT(&k, "fmod", 1), f, f);
    ap_match_env env = env_of(&k, r);
    ap_match_miss miss;
    assert_true(fits(&env, good));
    assert_false(fits(&env, zero));
    assert_null(match_at(&env, open, &miss));
    assert_non_null(strstr(miss.text, "nonzero(b) is not known"));
    assert_null(match_at(&env, real, &miss));
    assert_non_null(strstr(miss.text, "the element type is float32"));
    env.skip = &r->list[0]->steps[0]; // as the mutation test does
    assert_false(fits(&env, open));
    ap_match *m = match_at(&env, zero, NULL);
    assert_null(m); // lo(b) is 0
    done(&k, r);
}

static void attributes_not_listed_must_be_default(void **state) {
    (void)state;
    ap_rules *r = rules_of("rule r { class exact match { y = Mod(a, b) } replace { y = Sub(a, b) } }");
    maker k = make_model(17);
    ap_value *x = input(&k, "x", AP_F32, "4");
    ap_match_env env = env_of(&k, r);
    assert_true(fits(&env, OP(&k, "Mod", AP_F32, "4", x, x)));
    assert_true(fits(&env, OPA(&k, "Mod", AP_F32, "4", INT(&k, "fmod", 0), x, x)));
    assert_false(fits(&env, OPA(&k, "Mod", AP_F32, "4", INT(&k, "fmod", 1), x, x)));
    assert_false(fits(&env, OPA(&k, "Mod", AP_F32, "4", INT(&k, "what", 0), x, x)));
    done(&k, r);
}

static void operands_are_tried_both_ways(void **state) {
    (void)state;
    ap_rules *r =
        rules_of("rule r { class exact match { y = Add(Mul(x, 0.5), Neg(x)) } replace { y = Neg(x) } }");
    maker k = make_model(17);
    ap_value *x = input(&k, "x", AP_F32, "4"), *h = CONST(&k, AP_F32, "", 0.5);
    ap_match_env env = env_of(&k, r);
    ap_value *y = OP(&k, "Add", AP_F32, "4", OP(&k, "Neg", AP_F32, "4", x), OP(&k, "Mul", AP_F32, "4", h, x));
    assert_true(fits(&env, y));
    ap_value *z = OP(&k, "Add", AP_F32, "4", OP(&k, "Neg", AP_F32, "4", h), OP(&k, "Mul", AP_F32, "4", h, x));
    assert_false(fits(&env, z)); // x is two different values
    done(&k, r);
    r = rules_of("rule r { class exact match { y = Add!(Neg(x), z) } replace { y = Sub(z, x) } }");
    k = make_model(17);
    x = input(&k, "x", AP_F32, "4");
    env = env_of(&k, r);
    assert_true(fits(&env, OP(&k, "Add", AP_F32, "4", OP(&k, "Neg", AP_F32, "4", x), x)));
    assert_false(fits(&env, OP(&k, "Add", AP_F32, "4", x, OP(&k, "Neg", AP_F32, "4", x))));
    done(&k, r);
}

static void inner_values_have_one_user(void **state) {
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        ap_rules *r = rules_of(
            keep ? "rule r { class exact match { a = Neg(x) keep; y = Neg(a) } replace { y = Identity(x) } }"
                 : "rule r { class exact match { a = Neg(x); y = Neg(a) } replace { y = Identity(x) } }");
        maker k = make_model(17);
        ap_value *x = input(&k, "x", AP_F32, "4"), *a = OP(&k, "Neg", AP_F32, "4", x);
        ap_value *y = OP(&k, "Neg", AP_F32, "4", a);
        output(&k, y, AP_F32, "4");
        ap_match_env env = env_of(&k, r);
        assert_true(fits(&env, y));
        output(&k, a, AP_F32, "4");
        assert_int_equal(fits(&env, y), keep);
        if (keep) {
            ap_applied done_ = {0};
            ap_match *m = match_at(&env, y, NULL);
            must(ap_match_apply(m, &done_));
            must(ap_model_verify(k.m));
            assert_int_equal(count_op(&k, "Neg"), 1); // still wanted
            ap_applied_release(&done_);
            ap_match_free(m);
        }
        done(&k, r);
    }
}

static const char layer_norm[] =
    "rule ln { class ulp 8 match { y, m?, v? = LayerNormalization(x, g, b?) {axis=a, *r} }\n"
    "let { t = norm_axis(a, rank(x)); M = prod(shape(x)[t:]) } where { t < rank(x)-1; unused(m); unused(v) "
    "}\n"
    "replace { n = LayerNormalization(Reshape(x, concat(shape(x)[0:t], [M])), Reshape(g, [M]), Reshape(b, "
    "[M])) {axis=-1, *r};"
    " y = Reshape(n, shape(x)) } }";

static void optional_operands(void **state) {
    (void)state;
    for (int bias = 0; bias < 2; bias++) {
        ap_rules *r = rules_of(layer_norm);
        maker k = make_model(17);
        ap_value *x = input(&k, "x", AP_F32, "2,3,4"), *g = input(&k, "g", AP_F32, "3,4");
        ap_value *in[3] = {x, g, g};
        Onnx__AttributeProto *at[2] = {INT(&k, "axis", 1), ap_attr_float(&k.m->arena, "epsilon", 0.25f)};
        ap_value *y = op_n(&k, "LayerNormalization", AP_F32, "2,3,4", in, bias ? 3 : 2, at, 2);
        output(&k, y, AP_F32, "2,3,4");
        ap_match_env env = env_of(&k, r);
        ap_match *m = match_at(&env, y, NULL);
        ap_applied a = {0};
        must(ap_match_apply(m, &a));
        must(ap_model_verify(k.m));
        assert_int_equal(count_op(&k, "Reshape"), bias ? 4 : 3);
        const ap_node *n = a.added[bias ? 3 : 2];
        assert_string_equal(n->op, "LayerNormalization");
        assert_int_equal(n->input_count, bias ? 3 : 2);
        assert_int_equal(ap_node_attr_int(n, "axis", 7), -1);
        assert_true(ap_node_attr(n, "epsilon")->f == 0.25f);
        assert_true(a.types_known);
        ap_applied_release(&a);
        ap_match_free(m);
        done(&k, r);
    }
}

static void opsets_move_attributes(void **state) {
    (void)state;
    ap_rules *r = rules_of(
        "rule r { class exact match { y = ReduceL1(x, a?) {keepdims=k} }\n"
        "let { n = list(a, []) } where { len(n) > 0 } replace { y = ReduceSum(Abs(x), n) {keepdims=k} } }");
    static const int64_t axes[1] = {1};
    for (int64_t opset = 11; opset <= 18; opset += 7) {
        maker k = make_model(opset);
        ap_value *x = input(&k, "x", AP_F32, "2,3");
        ap_value *y = opset < 18
                          ? OPA(&k, "ReduceL1", AP_F32, "2,1", ap_attr_ints(&k.m->arena, "axes", axes, 1), x)
                          : OP(&k, "ReduceL1", AP_F32, "2,1", x, CONST(&k, AP_I64, "1", 1));
        output(&k, y, AP_F32, "2,1");
        ap_match_env env = env_of(&k, r);
        ap_match *m = match_at(&env, y, NULL);
        assert_non_null(m);
        ap_applied a = {0};
        must(ap_match_apply(m, &a));
        must(ap_model_verify(k.m));
        assert_int_equal(a.added[1]->input_count, opset < 13 ? 1 : 2);
        assert_int_equal(ap_node_attr(a.added[1], "axes") != NULL, opset < 13);
        assert_true(a.types_known);
        ap_applied_release(&a);
        ap_match_free(m);
        ap_model_free(k.m);
    }
    ap_rules_free(r);
}

static void wrong_types_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"y = Cast(x) {to=f16}", "y = Reshape(x, [4, 2])",
                                      "y = Concat(x, x) {axis=0}"};
    for (size_t i = 0; i < 3; i++) {
        ap_buf text = {0};
        ap_buf_printf(&text, "rule r { class exact match { y = Floor(x) } replace { %s } }", bad[i]);
        ap_rules *r = rules_of(ap_buf_str(&text));
        maker k = make_model(17);
        ap_value *x = input(&k, "x", AP_F32, "2,4"), *y = OP(&k, "Floor", AP_F32, "2,4", x);
        output(&k, y, AP_F32, "2,4");
        ap_match_env env = env_of(&k, r);
        ap_match *m = match_at(&env, y, NULL);
        ap_applied a = {0};
        must_fail(ap_match_apply(m, &a), AP_ERR_REFUSED, "rule r would");
        must(ap_model_verify(k.m));
        assert_int_equal(k.m->graph->node_count, 1); // as before
        assert_int_equal(k.m->graph->proto->n_initializer, 0);
        ap_match_free(m);
        ap_buf_free(&text);
        done(&k, r);
    }
}

static void lists_of_operands(void **state) {
    (void)state;
    ap_rules *r = rules_of("rule r { class exact match { y: _[N,U] = Floor(x: f32[N,W]) }\n"
                           "replace { z = Abs(x); y = Max([Slice(z, [j], [j+W-1], [1]) for j in 0..1], "
                           "Slice(z, [0], [W-1], [1])) } }");
    maker k = make_model(17);
    ap_value *x = input(&k, "x", AP_F32, "2,4"),
             *y = OP(&k, "Floor", AP_F32, "2,3", x); // declared so for the test
    output(&k, y, AP_F32, "2,3");
    ap_match_env env = env_of(&k, r);
    ap_match *m = match_at(&env, y, NULL);
    ap_applied a = {0};
    must(ap_match_apply(m, &a));
    must(ap_model_verify(k.m));
    assert_int_equal(count_op(&k, "Slice"), 3);
    assert_int_equal(k.m->graph->outputs[0]->producer->input_count, 3);
    assert_true(a.types_known);
    ap_applied_release(&a);
    ap_match_free(m);
    done(&k, r);
}

// y = Mod(x, 3), twice the same.
static maker mod_model(double divisor) {
    maker k = make_model(17);
    ap_value *x = input(&k, "x", AP_I64, "4"), *b = constant(&k, AP_I64, "", &divisor);
    output(&k, OP(&k, "Mod", AP_I64, "4", x, b), AP_I64, "4");
    return k;
}

static void replay(void **state) {
    (void)state;
    static const char text[] = "rule r { class exact match { y = Mod(a, b) } where { lo(b) > 0 } replace { y "
                               "= Sub(a, Mul(Div(a, b), b)) } }";
    static const char other[] = "rule r { class exact match { y = Mod(a, b) } where { lo(b) > 1 } replace { "
                                "y = Sub(a, Mul(Div(a, b), b)) } }";
    ap_rules *r = rules_of(text), *changed = rules_of(other);
    maker k = mod_model(3), same = mod_model(3), differs = mod_model(5), none = mod_model(-3);
    ap_match_env env = env_of(&k, r);
    ap_match *m = match_at(&env, k.m->graph->outputs[0], NULL);
    ap_applied a = {0}, again = {0};
    must(ap_match_apply(m, &a));
    env = env_of(&same, r);
    must(ap_rule_replay(&env, a.record, &again));
    assert_true(json_equal(a.record, again.record));
    ap_buf x = {0}, y = {0};
    must(ap_model_bytes(k.m, &x));
    must(ap_model_bytes(same.m, &y));
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len);
    env = env_of(&differs, r);
    must_fail(ap_rule_replay(&env, a.record, &again), AP_ERR_CONTRACT, "before of rule r");
    must(ap_model_verify(differs.m));
    assert_int_equal(differs.m->graph->node_count, 1);
    env = env_of(&none, r);
    must_fail(ap_rule_replay(&env, a.record, &again), AP_ERR_CONTRACT, "lo(b) > 0 is false");
    env = env_of(&differs, changed);
    must_fail(ap_rule_replay(&env, a.record, &again), AP_ERR_CONTRACT, "has changed since");
    ap_buf_free(&x);
    ap_buf_free(&y);
    ap_applied_release(&a);
    ap_applied_release(&again);
    ap_match_free(m);
    ap_model_free(same.m);
    ap_model_free(differs.m);
    ap_model_free(none.m);
    ap_rules_free(changed);
    done(&k, r);
}

// Stands in for the runtime: Pad with mode edge by one element at each end of axis 1.
static ap_err edge_pad(void *user, ap_model *piece, const ap_named_tensor *in, size_t n, ap_tensor *out,
                       size_t outs) {
    (void)user;
    assert_int_equal(n, 1);
    assert_int_equal(outs, 1);
    assert_int_equal(piece->graph->node_count, 1);
    int64_t dims[2] = {in->t.dims[0], in->t.dims[1] + 2};
    ap_err err = ap_tensor_alloc(AP_F32, dims, 2, out);
    for (int64_t i = 0; !err && i < dims[0]; i++)
        for (int64_t k = 0; k < dims[1]; k++) {
            int64_t from = k < 1 ? 0 : k > dims[1] - 2 ? dims[1] - 3 : k - 1;
            ((float *)out->data)[i * dims[1] + k] = ((float *)in->t.data)[i * (dims[1] - 2) + from];
        }
    return err;
}

static void moves_are_read_off_the_oracle(void **state) {
    (void)state;
    ap_rules *r =
        rules_of("rule r { class exact match { y = Pad(x, p: const, _?, _?) {mode=\"edge\"} } let { i = "
                 "axis_map(y, x, 1) }\n"
                 "where { i == [0, 0, 1, 2, 2] } replace { y = Gather(x, cast(i, i64)) {axis=1} } }");
    maker k = make_model(17);
    ap_value *x = input(&k, "x", AP_F32, "2,3"), *p = CONST(&k, AP_I64, "4", 0, 1, 0, 1);
    ap_value *y = OPA(&k, "Pad", AP_F32, "2,5", ap_attr_string(&k.m->arena, "mode", "edge"), x, p);
    output(&k, y, AP_F32, "2,5");
    ap_match_env env = env_of(&k, r);
    ap_match_miss miss;
    assert_null(match_at(&env, y, &miss));
    assert_non_null(strstr(miss.text, "no oracle"));
    ap_piece_oracle oracle = {edge_pad, NULL};
    env.oracle = &oracle;
    ap_match *m = match_at(&env, y, &miss);
    if (!m) fail_msg("%s", miss.text);
    ap_applied a = {0};
    must(ap_match_apply(m, &a));
    must(ap_model_verify(k.m));
    assert_string_equal(k.m->graph->nodes[0]->op, "Gather");
    assert_true(a.types_known);
    ap_applied_release(&a);
    ap_match_free(m);
    done(&k, r);
}

static ap_err count_match(void *user, ap_match *m) {
    ++*(size_t *)user;
    ap_match_free(m);
    return NULL;
}

static void matches_10000_nodes(void **state) {
    (void)state;
    static const char *const ops[] = {"Floor", "Erf", "Abs", "Neg",  "Softsign",
                                      "Round", "Add", "Mul", "Relu", "Sigmoid"};
    ap_rules *r = ap_rules_new();
    ap_rule_problems p = {0};
    must(ap_rules_load_builtin(r, &p));
    ap_rules_finish(r);
    maker k = make_model(17);
    ap_value *x = input(&k, "x", AP_F32, "1,8,8"), *v = x;
    for (int i = 0; i < 10000; i++) {
        const char *op = ops[i % 10];
        v = *op == 'A' && op[1] == 'd' ? OP(&k, op, AP_F32, "1,8,8", v, x)
            : *op == 'M'               ? OP(&k, op, AP_F32, "1,8,8", v, v)
                                       : OP(&k, op, AP_F32, "1,8,8", v);
    }
    output(&k, v, AP_F32, "1,8,8");
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    ap_match_env env = env_of(&k, r);
    must(ap_facts_new(k.m, NULL, AP_F16, &env.facts));
    size_t found = 0;
    must(ap_rules_scan(&env, count_match, &found));
    clock_gettime(CLOCK_MONOTONIC, &to);
    double ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    print_message("10,000 nodes, %zu rules: %zu matches in %.1f ms\n", r->count, found, ms);
    assert_true(found >= 4000);
    assert_true(ms < 5000); // sanitizers included; the goal is 1 s
    ap_facts_free(env.facts);
    ap_rule_problems_free(&p);
    done(&k, r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mod_is_replaced),
        cmocka_unit_test(conditions_decide),
        cmocka_unit_test(attributes_not_listed_must_be_default),
        cmocka_unit_test(operands_are_tried_both_ways),
        cmocka_unit_test(inner_values_have_one_user),
        cmocka_unit_test(optional_operands),
        cmocka_unit_test(opsets_move_attributes),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(lists_of_operands),
        cmocka_unit_test(replay),
        cmocka_unit_test(moves_are_read_off_the_oracle),
        cmocka_unit_test(matches_10000_nodes),
    };
    return cmocka_run_group_tests_name("surgery/rule match", tests, NULL, NULL);
}
