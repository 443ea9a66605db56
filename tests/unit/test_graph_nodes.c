// SPDX-License-Identifier: Apache-2.0
// Editing primitives: every edit leaves a model that verifies, and saves what the index says.
#include "test_graph_build.h"

#include "graph/nodes.h"

// Index and messages agree, also after a trip through the file format.
static void check(ap_model *m) {
    must(ap_model_verify(m));
    ap_buf bytes = {0};
    ap_model *again = NULL;
    must(ap_model_bytes(m, &bytes));
    must(ap_model_parse(bytes.data, bytes.len, NULL, &again));
    assert_int_equal(again->graph->node_count, m->graph->node_count);
    ap_model_free(again);
    ap_buf_free(&bytes);
}

static ap_node *add(ap_model *m, const char *op, ap_value *x, const char *out, ap_node *before) {
    ap_node *n = NULL;
    must(ap_graph_add_node(
        m->graph,
        &(ap_node_spec){
            .op = op, .inputs = &x, .input_count = 1, .outputs = &out, .output_count = 1, .before = before},
        &n));
    return n;
}

static void adds_nodes(void **state) {
    bench *b = *state;
    chain(b);
    ap_model *m = accepted(b);
    ap_graph *g = m->graph;
    ap_node *n = add(m, "Neg", ap_graph_value(g, "sum"), "neg", ap_graph_node(g, "relu"));
    assert_true(m->edited);
    assert_int_equal(n->index, 1);
    assert_string_equal(n->name, "neg");
    assert_ptr_equal(ap_graph_value(g, "neg")->producer, n);
    assert_int_equal(ap_graph_value(g, "sum")->use_count, 2);
    ap_node_set_attr(g, n, ap_attr_int(&m->arena, "a", 1));
    ap_node_set_attr(g, n, ap_attr_int(&m->arena, "a", 7));
    ap_node_set_attr(g, n, ap_attr_string(&m->arena, "s", "text"));
    assert_int_equal(ap_node_attr_int(n, "a", 0), 7);
    ap_node_drop_attr(g, n, "a");
    assert_int_equal(ap_node_attr_int(n, "a", 0), 0);
    check(m);
    ap_model_free(m);
}

static void refuses_what_does_not_fit(void **state) {
    bench *b = *state;
    chain(b);
    ap_model *m = accepted(b);
    ap_graph *g = m->graph;
    ap_value *x = ap_graph_value(g, "x");
    const char *taken = "sum", *none = NULL;
    ap_node_spec s = {.op = "Neg", .inputs = &x, .input_count = 1, .outputs = &taken, .output_count = 1};
    must_fail(ap_graph_add_node(g, &s, NULL), AP_ERR_MODEL_INVALID, "taken");
    s.outputs = &none;
    must_fail(ap_graph_add_node(g, &s, NULL), AP_ERR_MODEL_INVALID, "no outputs");
    must_fail(ap_graph_remove_node(g, ap_graph_node(g, "add")), AP_ERR_MODEL_INVALID, "still used");
    must_fail(ap_graph_remove_node(g, ap_graph_node(g, "relu")), AP_ERR_MODEL_INVALID, "graph output");
    must_fail(ap_graph_remove_initializer(g, ap_graph_value(g, "w")), AP_ERR_MODEL_INVALID, "still used");
    assert_false(m->edited);
    assert_int_equal(g->node_count, 2);
    check(m);
    ap_model_free(m);
}

static void output_keeps_its_name(void **state) {
    bench *b = *state;
    chain(b);
    ap_model *m = accepted(b);
    ap_graph *g = m->graph;
    ap_node *relu = ap_graph_node(g, "relu");
    ap_node *n = add(m, "Abs", ap_graph_value(g, "sum"), "y~r.0", relu);
    must(ap_graph_replace_value(g, ap_graph_value(g, "y"), n->outputs[0], NULL));
    check(m);
    must(ap_graph_remove_node(g, relu));
    check(m);
    assert_ptr_equal(g->outputs[0], n->outputs[0]);
    assert_string_equal(n->proto->output[0], "y");
    assert_null(ap_graph_value(g, "y~r.0"));
    assert_non_null(g->outputs[0]->info);
    ap_model_free(m);
}

static void output_taken_from_an_input_gets_an_identity(void **state) {
    bench *b = *state;
    chain(b);
    ap_model *m = accepted(b);
    ap_graph *g = m->graph;
    must(ap_graph_replace_value(g, ap_graph_value(g, "y"), ap_graph_value(g, "x"), NULL));
    check(m);
    assert_int_equal(ap_graph_sweep(g), 2);
    check(m);
    assert_int_equal(g->node_count, 1);
    assert_string_equal(g->nodes[0]->op, "Identity");
    assert_string_equal(g->outputs[0]->name, "y");
    assert_int_equal(g->proto->n_initializer, 0);
    assert_null(ap_graph_value(g, "w"));
    ap_model_free(m);
}

static void captured_names_stay(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "4");
    PUSH(b, b->graph, input, info(b, "c", NULL));
    b->graph->input[1]->type = tensor_type(b, AP_BOOL, "");
    output(b, "y", "4");
    node(b, "neg", "Neg", "x", "h");
    Onnx__NodeProto *n = node(b, "if", "If", "c", "y");
    for (int i = 0; i < 2; i++) {
        Onnx__GraphProto *body = new_graph(b, "body");
        add_node(b, body, "inner", i ? "Abs" : "Relu", "h", i ? "p" : "q");
        PUSH(b, body, output, info(b, i ? "p" : "q", "4"));
        attr_graph(b, n, i ? "else_branch" : "then_branch", body);
    }
    ap_model *m = accepted(b);
    ap_graph *g = m->graph;
    assert_string_equal(ap_graph_free_name(g, "p"), "p_2"); // bodies' names count
    ap_node *neg = ap_graph_node(g, "neg"), *abs = add(m, "Abs", ap_graph_value(g, "x"), "t", neg);
    must(ap_graph_replace_value(g, ap_graph_value(g, "h"), abs->outputs[0], NULL));
    must(ap_graph_remove_node(g, neg));
    check(m);
    assert_string_equal(abs->proto->output[0], "h");
    must_fail(ap_graph_remove_node(g, abs), AP_ERR_MODEL_INVALID, "a body");
    must(ap_graph_replace_value(g, ap_graph_value(g, "y"), ap_graph_value(g, "x"), NULL));
    assert_int_equal(ap_graph_sweep(g), 2); // the If, then what only it captured
    check(m);
    ap_model_free(m);
}

static const char *op_behind(const ap_graph *g, const char *value) {
    const ap_value *v = ap_graph_value(g, value);
    assert_int_equal(v->use_count, 1);
    return v->uses[0].node->op;
}

// Inputs, constants, inner values and outputs; the interface stays, and so does a constant out of range.
static void goes_through_float16(void **state) {
    bench *b = *state;
    chain(b);
    ap_model *m = accepted(b);
    ap_graph *g = m->graph;
    float large[4] = {1, 2, 1e30F, 4};
    ap_tensor t;
    ap_value *bound = NULL;
    must(ap_tensor_view(AP_F32, (int64_t[]){4}, 1, large, sizeof large, &t));
    must(ap_graph_add_initializer(g, "bound", &t, &bound));
    must(ap_node_set_input(g, ap_graph_node(g, "relu"), 1, bound));
    static const char *const names[] = {"x", "w", "sum", "y", "bound", "no such value"};
    must(ap_model_round_half(m, names, 6));
    check(m);
    assert_int_equal(g->node_count, 2 + 4 * 2);
    for (size_t i = 0; i < 3; i++) assert_string_equal(op_behind(g, names[i]), "Cast");
    assert_string_equal(op_behind(g, "bound"), "Relu");
    const ap_value *y = ap_graph_value(g, "y");
    assert_ptr_equal(g->outputs[0], y);
    assert_string_equal(y->producer->op, "Cast");
    assert_int_equal(ap_node_attr_int(y->producer, "to", 0), AP_F32);
    assert_int_equal(ap_node_attr_int(y->producer->inputs[0]->producer, "to", 0), AP_F16);
    ap_model_free(m);
}

static void builds_a_model(void **state) {
    (void)state;
    ap_model *m = NULL;
    must_fail(ap_model_make(99, &m), AP_ERR_MODEL_INVALID, "outside");
    must(ap_model_make(17, &m));
    ap_graph *g = m->graph;
    ap_value_type type = {AP_F32, 2, {2, -1}};
    ap_value *x = NULL, *w = NULL;
    must(ap_graph_add_input(g, "x", &type, &x));
    must_fail(ap_graph_add_input(g, "x", &type, &x), AP_ERR_MODEL_INVALID, "taken");
    float data[3] = {1, 2, 3};
    ap_tensor t;
    must(ap_tensor_view(AP_F32, (int64_t[]){3}, 1, data, sizeof data, &t));
    for (int i = 0; i < 40; i++) must(ap_graph_add_initializer(g, "w", &t, &w));
    assert_string_equal(w->name, "w_40");
    ap_value *in[2] = {x, w};
    const char *out = "y";
    ap_node *n = NULL;
    must(ap_graph_add_node(
        g, &(ap_node_spec){.op = "Mul", .inputs = in, .input_count = 2, .outputs = &out, .output_count = 1},
        &n));
    must(ap_graph_add_output(g, n->outputs[0], NULL));
    must_fail(ap_graph_add_output(g, n->outputs[0], NULL), AP_ERR_MODEL_INVALID, "already");
    ap_model_import(m, "com.microsoft", 1);
    ap_model_import(m, "com.microsoft", 2);
    assert_int_equal(m->proto->n_opset_import, 2);
    check(m);
    must(ap_node_set_input(g, n, 1, x));
    check(m);
    assert_int_equal(ap_graph_sweep(g), 0);
    assert_int_equal(g->proto->n_initializer, 0);
    check(m);
    ap_model_free(m);
}

static void grows(void **state) {
    bench *b = *state;
    chain(b);
    ap_model *m = accepted(b);
    ap_graph *g = m->graph;
    ap_value *v = ap_graph_value(g, "x");
    ap_value_type type = {AP_F32, 2, {-1, 4}};
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "v%d", i);
        v = add(m, "Neg", v, name, i % 2 ? NULL : g->nodes[0])->outputs[0]; // out of order every other time
        ap_value_declare(g, v, &type);
        ap_value_declare(g, v, &type);
    }
    must(ap_graph_sort(g));
    check(m);
    assert_int_equal(g->proto->n_value_info, 201);
    assert_int_equal(ap_graph_sweep(g), 200);
    assert_int_equal(g->proto->n_value_info, 1);
    check(m);
    ap_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(adds_nodes),
        BENCH_TEST(refuses_what_does_not_fit),
        BENCH_TEST(output_keeps_its_name),
        BENCH_TEST(output_taken_from_an_input_gets_an_identity),
        BENCH_TEST(captured_names_stay),
        BENCH_TEST(goes_through_float16),
        cmocka_unit_test(builds_a_model),
        BENCH_TEST(grows),
    };
    return cmocka_run_group_tests_name("graph/nodes", tests, NULL, NULL);
}
