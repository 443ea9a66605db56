// SPDX-License-Identifier: Apache-2.0
// graph_diff: nodes side by side. What a reader wants to see: attributes, small constants, and what came in
// the place of what went.
#include "test_surgery_rule.h"

#include "graph/graph_diff.h"

// A node whose output has this name.
static ap_value *named(maker *k, const char *op, const char *out, ap_value *in) {
    ap_node *n = NULL;
    must(ap_graph_add_node(
        k->m->graph,
        &(ap_node_spec){.op = op, .inputs = &in, .input_count = 1, .outputs = &out, .output_count = 1}, &n));
    return n->outputs[0];
}

// x → Reshape → Floor → Exp → y; with `rule` Floor and Exp are two nodes each.
static maker model(bool rule) {
    maker k = make_model(17);
    ap_value *x = input(&k, "x", AP_F32, "3,4"), *v;
    v = OPA(&k, "Reshape", AP_F32, "4,3", INT(&k, "allowzero", 1), x, CONST(&k, AP_I64, "2", 4, 3));
    if (rule) {
        v = named(&k, "Abs", "f~by_abs.0", v);
        v = named(&k, "Neg", "f~by_abs.1", v);
        v = named(&k, "Sin", "e~by_sin.0", v);
        v = named(&k, "Cos", "e~by_sin.1", v);
    } else {
        v = named(&k, "Floor", "f", v);
        v = named(&k, "Exp", "e", v);
    }
    v = named(&k, "Sqrt", "y", v);
    output(&k, v, AP_F32, "4,3");
    return k;
}

static json_t *diff_of(maker a, maker b) {
    json_t *doc = NULL;
    must(ap_graph_diff(a.m, b.m, &doc));
    ap_model_free(a.m);
    ap_model_free(b.m);
    return doc;
}

static void expect_row(const json_t *doc, size_t i, const char *mark, const char *a, const char *b) {
    const json_t *row = json_array_get(json_object_get(doc, "rows"), i);
    assert_string_equal(ap_json_str(row, "mark", ""), mark);
    assert_string_equal(ap_json_str(row, "a", ""), a);
    assert_string_equal(ap_json_str(row, "b", ""), b);
}

static void replaced_nodes(void **state) {
    (void)state;
    json_t *doc = diff_of(model(false), model(true));
    static const char *const reshape = "Reshape(x, int64[2]{4,3}) {allowzero=1} -> v0";
    assert_int_equal(json_array_size(json_object_get(doc, "rows")), 8);
    expect_row(doc, 0, "=", reshape, reshape);
    expect_row(doc, 1, "-", "Floor(v0) -> f", "");
    expect_row(doc, 2, "+", "", "Abs(v0) -> f~by_abs.0");
    expect_row(doc, 3, "+", "", "Neg(f~by_abs.0) -> f~by_abs.1");
    expect_row(doc, 4, "-", "Exp(f) -> e", "");
    expect_row(doc, 5, "+", "", "Sin(f~by_abs.1) -> e~by_sin.0");
    expect_row(doc, 6, "+", "", "Cos(e~by_sin.0) -> e~by_sin.1");
    expect_row(doc, 7, "~", "Sqrt(e) -> y", "Sqrt(e~by_sin.1) -> y");
    json_decref(doc);
}

static void equal_models(void **state) {
    (void)state;
    json_t *doc = diff_of(model(true), model(true));
    size_t i;
    json_t *row;
    assert_true(ap_json_bool(doc, "equal", false));
    json_array_foreach(json_object_get(doc, "rows"), i, row)
        assert_string_equal(ap_json_str(row, "mark", ""), "=");
    json_decref(doc);
}

// Every node of both models stands in exactly one row.
static void every_node_once(void **state) {
    (void)state;
    json_t *there = diff_of(model(false), model(true)), *back = diff_of(model(true), model(false));
    const json_t *docs[] = {there, back};
    for (size_t d = 0; d < 2; d++) {
        size_t i, sides[2] = {0};
        json_t *row;
        json_array_foreach(json_object_get(docs[d], "rows"), i, row) {
            sides[0] += json_is_string(json_object_get(row, "a"));
            sides[1] += json_is_string(json_object_get(row, "b"));
        }
        assert_int_equal(sides[0], d ? 6 : 4);
        assert_int_equal(sides[1], d ? 4 : 6);
    }
    json_decref(there);
    json_decref(back);
}

// Sizes are worth reading, weights are not.
static void large_constants_by_name(void **state) {
    (void)state;
    maker k[2] = {make_model(17), make_model(17)};
    for (int i = 0; i < 2; i++) {
        ap_value *v = input(&k[i], "x", AP_F32, "2,3");
        v = OP(&k[i], "Mul", AP_F32, "2,3", v, CONST(&k[i], AP_F32, "2,3", 1, 2, 3, 4, 5, 6));
        v = OP(&k[i], "Add", AP_F32, "2,3", v, CONST(&k[i], AP_F32, "", i + 0.5));
        output(&k[i], v, AP_F32, "2,3");
    }
    json_t *doc = diff_of(k[0], k[1]);
    expect_row(doc, 0, "=", "Mul(x, c) -> v0", "Mul(x, c) -> v0");
    expect_row(doc, 1, "~", "Add(v0, float32[]{0.5}) -> v1", "Add(v0, float32[]{1.5}) -> v1");
    json_decref(doc);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(replaced_nodes), cmocka_unit_test(equal_models),
                                       cmocka_unit_test(every_node_once),
                                       cmocka_unit_test(large_constants_by_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
