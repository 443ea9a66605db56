// SPDX-License-Identifier: Apache-2.0
// What a model must hold to be loaded, and how the index sees it.
#include "test_graph_build.h"

static void indexes_values_and_uses(void **state) {
    bench *b = *state;
    chain(b);
    node(b, "mul", "Mul", "sum,w", "p");
    ap_model *m = accepted(b);
    const ap_graph *g = m->graph;
    const ap_value *w = ap_graph_value(g, "w"), *sum = ap_graph_value(g, "sum"), *x = ap_graph_value(g, "x");
    assert_int_equal(m->opset, 17);
    assert_int_equal(g->node_count, 3);
    assert_int_equal(x->kind, AP_VALUE_INPUT);
    assert_int_equal(w->kind, AP_VALUE_INITIALIZER);
    assert_int_equal(w->use_count, 2);
    assert_string_equal(w->uses[1].node->name, "mul");
    assert_int_equal(w->uses[1].input, 1);
    assert_int_equal(sum->kind, AP_VALUE_NODE);
    assert_string_equal(sum->producer->name, "add");
    assert_non_null(sum->info);
    assert_true(ap_graph_value(g, "y")->is_output);
    assert_false(sum->is_output);
    assert_null(ap_graph_value(g, "nothing"));
    assert_ptr_equal(ap_graph_node(g, "add"), g->nodes[0]);
    assert_null(ap_graph_node(g, "nothing"));
    ap_model_free(m);
}

static void input_with_a_default(void **state) {
    bench *b = *state;
    chain(b);
    input(b, "w", "4");
    ap_model *m = accepted(b);
    assert_int_equal(m->graph->input_count, 1); // w needs no feeding
    const ap_value *w = ap_graph_value(m->graph, "w");
    assert_int_equal(w->kind, AP_VALUE_INPUT);
    assert_non_null(w->init);
    ap_model_free(m);
}

static void omitted_input(void **state) {
    bench *b = *state;
    chain(b);
    node(b, "clip", "Clip", "sum,,w", "c");
    ap_model *m = accepted(b);
    const ap_node *n = ap_graph_node(m->graph, "clip");
    assert_int_equal(n->input_count, 3);
    assert_null(n->inputs[1]);
    assert_non_null(n->inputs[2]);
    ap_model_free(m);
}

static void node_names_are_unique(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "4");
    node(b, NULL, "Relu", "x", "a");
    node(b, "same", "Relu", "a", "b");
    node(b, "same", "Relu", "b", "c");
    node(b, "Relu_4", "Relu", "c", "d");
    node(b, "", "Relu", "d", "y");
    output(b, "y", NULL);
    char *path = write_model(b, "u.onnx"), *copy = at(b, "v.onnx");
    ap_model *m = NULL, *again = NULL;
    must(ap_model_load(path, &m));
    static const char *const want[] = {"Relu_0", "same", "same_2", "Relu_4", "Relu_4_2"};
    for (size_t i = 0; i < 5; i++) assert_string_equal(m->graph->nodes[i]->name, want[i]);
    // The file stays as it is; bytes for a session carry the names.
    must(ap_model_save(m, copy, NULL));
    assert_same_file(path, copy);
    ap_buf bytes = {0};
    must(ap_model_bytes(m, &bytes));
    must(ap_model_parse(bytes.data, bytes.len, NULL, &again));
    for (size_t i = 0; i < 5; i++) assert_string_equal(again->graph->proto->node[i]->name, want[i]);
    assert_false(again->normalized);
    ap_model_free(again);
    ap_model_free(m);
    ap_buf_free(&bytes);
}

static void sorts_nodes(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "4");
    node(b, "n3", "Add", "b,a", "y");
    node(b, "n2", "Relu", "a", "b");
    node(b, "n1", "Relu", "x", "a");
    node(b, "n4", "Relu", "x", "z");
    output(b, "y", NULL);
    output(b, "z", NULL);
    char *path = write_model(b, "u.onnx"), *copy = at(b, "v.onnx");
    ap_model *m = NULL;
    must(ap_model_load(path, &m));
    static const char *const want[] = {"n1", "n2", "n3", "n4"};
    for (size_t i = 0; i < 4; i++) assert_string_equal(m->graph->nodes[i]->name, want[i]);
    must(ap_model_save(m, copy, NULL));
    assert_same_file(path, copy);
    must(ap_graph_sort(m->graph));
    assert_false(m->edited);
    ap_model_free(m);
}

// ---- refusals

static void missing_value(void **state) {
    bench *b = *state;
    chain(b);
    node(b, "bad", "Add", "sum,ghost", "q");
    refused(b, AP_ERR_MODEL_MISSING, "node \"bad\" (Add): input 1 is \"ghost\"");
    chain(b);
    output(b, "phantom", NULL);
    refused(b, AP_ERR_MODEL_MISSING, "graph output 1 is \"phantom\"");
}

static void cycles(void **state) {
    bench *b = *state;
    chain(b);
    node(b, "p", "Add", "x,tq", "tp");
    node(b, "q", "Relu", "tp", "tq");
    node(b, "after", "Relu", "tq", "ta");
    refused(b, AP_ERR_MODEL_CYCLE, "\"p\" (Add)");
    refused(b, AP_ERR_MODEL_CYCLE, "\"q\" (Relu)");
    chain(b);
    node(b, "self", "Relu", "s", "s");
    refused(b, AP_ERR_MODEL_CYCLE, "\"self\"");
    // A body that reads what its own node makes.
    chain(b);
    Onnx__GraphProto *body = new_graph(b, "body");
    add_node(b, body, "in", "Relu", "z", "r");
    PUSH(b, body, output, info(b, "r", NULL));
    attr_graph(b, node(b, "if", "If", "sum", "z"), "then_branch", body);
    refused(b, AP_ERR_MODEL_CYCLE, "\"if\"");
}

static void names_given_twice(void **state) {
    bench *b = *state;
    chain(b);
    node(b, "again", "Relu", "x", "sum");
    refused(b, AP_ERR_MODEL_INVALID,
            "\"sum\" is made twice, by node \"add\" (Add) and node \"again\" (Relu)");
    chain(b);
    input(b, "x", "4");
    refused(b, AP_ERR_MODEL_INVALID, "both graph inputs");
    chain(b);
    weight(b, "w", AP_F32, "4", 16);
    refused(b, AP_ERR_MODEL_INVALID, "both initializers");
    chain(b);
    node(b, "n", "Relu", "x", "w");
    refused(b, AP_ERR_MODEL_INVALID, "\"w\"");
    chain(b);
    output(b, "y", NULL);
    refused(b, AP_ERR_MODEL_INVALID, "both graph outputs");
}

static void attribute_names(void **state) {
    bench *b = *state;
    chain(b);
    Onnx__NodeProto *n = node(b, "n", "Clip", "x", "c");
    attr_int(b, n, "k", 1);
    attr_int(b, n, "k", 2);
    refused(b, AP_ERR_MODEL_INVALID, "node \"n\" has two attributes \"k\"");
    n->attribute[1]->name = NULL;
    refused(b, AP_ERR_MODEL_INVALID, "attribute 1 of node \"n\" has no name");
}

static void versions(void **state) {
    bench *b = *state;
    chain(b);
    b->model->opset_import[0]->version = 0;
    refused(b, AP_ERR_MODEL_INVALID, "opset 0 is outside 1 to 24");
    b->model->opset_import[0]->version = 25;
    refused(b, AP_ERR_MODEL_INVALID, "opset 25 is outside 1 to 24");
    for (int v = 1; v <= 24; v++) {
        b->model->opset_import[0]->version = v;
        ap_model_free(accepted(b));
    }
    b->model->opset_import[0]->domain = dup_text(b, "ai.onnx.ml");
    refused(b, AP_ERR_MODEL_INVALID, "needs ai.onnx operators");
    chain(b);
    import(b, "ai.onnx", 17);
    refused(b, AP_ERR_MODEL_INVALID, "twice");
    chain(b);
    b->model->ir_version = 99;
    refused(b, AP_ERR_MODEL_INVALID, "ir_version 99");
    b->model->has_ir_version = 0;
    refused(b, AP_ERR_MODEL_INVALID, "no ir_version");
}

static void dims(void **state) {
    bench *b = *state;
    chain(b);
    weight(b, "bad", AP_F32, "-2,3", 24);
    refused(b, AP_ERR_MODEL_DIMS, "\"bad\"");
    chain(b);
    weight(b, "huge", AP_F32, "4294967296,4294967296", 16);
    refused(b, AP_ERR_MODEL_DIMS, "\"huge\"");
    chain(b);
    weight(b, "wide", AP_F64, "2305843009213693952,4", 16);
    refused(b, AP_ERR_MODEL_DIMS, "\"wide\"");
    chain(b);
    input(b, "v", "1,-2");
    refused(b, AP_ERR_MODEL_DIMS, "value \"v\": dimension 1 is -2");
    chain(b);
    inner(b, "w", "4294967296,4294967296,3");
    refused(b, AP_ERR_MODEL_DIMS, "value \"w\"");
    chain(b);
    weight(b, "ranky", AP_U8, "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", 1);
    refused(b, AP_ERR_MODEL_DIMS, "\"ranky\"");
}

static void data_fits_its_shape(void **state) {
    bench *b = *state;
    chain(b);
    weight(b, "short", AP_F32, "4", 15);
    refused(b, AP_ERR_MODEL_DIMS, "\"short\" (float32, 4) needs 16 bytes and has 15");
    chain(b);
    weight(b, "long", AP_F16, "4", 9);
    refused(b, AP_ERR_MODEL_DIMS, "needs 8 bytes and has 9");
    chain(b);
    weight(b, "nibbles", AP_U4, "5", 3);
    ap_model_free(accepted(b));
    chain(b);
    Onnx__TensorProto *t = tensor(b, "typed", AP_I64, "2");
    PUSH(b, t, int64_data, 1);
    PUSH(b, b->graph, initializer, t);
    refused(b, AP_ERR_MODEL_DIMS, "\"typed\" (int64, 2) needs 2 entries and has 1");
    chain(b);
    weight(b, "none", AP_DTYPE_NONE, "1", 4);
    refused(b, AP_ERR_MODEL_INVALID, "\"none\" has no element type");
    // In an attribute too.
    chain(b);
    Onnx__NodeProto *n = node(b, "c", "Constant", "", "cc");
    attr(b, n, "value", ONNX__ATTRIBUTE_PROTO__KIND__TENSOR)->t = tensor(b, "t", AP_F32, "1");
    refused(b, AP_ERR_MODEL_DIMS, "\"t\"");
}

// ---- bodies

static void bodies_see_outer_values(void **state) {
    bench *b = *state;
    chain(b);
    Onnx__GraphProto *inner_body = new_graph(b, "inner"), *body = new_graph(b, "body");
    add_node(b, inner_body, "deep", "Add", "w,local", "d");
    PUSH(b, inner_body, output, info(b, "d", NULL));
    add_node(b, body, "mid", "Relu", "sum", "local");
    attr_graph(b, add_node(b, body, "if2", "If", "c", "e"), "then_branch", inner_body);
    PUSH(b, body, output, info(b, "e", NULL));
    weight(b, "c", AP_BOOL, "", 1);
    // Stands first in the file although its body needs "sum".
    Onnx__NodeProto *n = node(b, "if", "If", "c", "z");
    attr_graph(b, n, "then_branch", body);
    b->graph->node[2] = b->graph->node[0];
    b->graph->node[0] = n;
    output(b, "z", NULL);
    ap_model *m = accepted(b);
    const ap_graph *g = m->graph;
    assert_string_equal(g->nodes[0]->name, "add");
    assert_true(ap_graph_value(g, "sum")->used_by_subgraph);
    assert_true(ap_graph_value(g, "w")->used_by_subgraph);
    assert_false(ap_graph_value(g, "x")->used_by_subgraph);
    const ap_graph *then = ap_graph_node(g, "if")->subgraphs[0];
    const ap_value *seen = ap_graph_value(then, "w");
    assert_int_equal(seen->kind, AP_VALUE_OUTER);
    assert_true(seen->used_by_subgraph);
    assert_int_equal(ap_graph_value(then, "local")->kind, AP_VALUE_NODE);
    assert_ptr_equal(then->parent, g);
    ap_model_free(m);
    add_node(b, inner_body, "lost", "Relu", "nowhere", "l");
    refused(b, AP_ERR_MODEL_MISSING, "in a body of node \"if\"");
}

static void many_equal_names_are_quick(void **state) {
    bench *b = *state;
    fresh(b);
    enum { COUNT = 100000 };
    Onnx__GraphProto *g = b->graph;
    g->node = ap_arena_calloc(&b->arena, COUNT, sizeof *g->node);
    char *same = dup_text(b, "same"), *op = dup_text(b, "Constant");
    for (size_t i = 0; i < COUNT; i++) {
        MAKE(b, n, Onnx__NodeProto, onnx__node_proto__init);
        n->name = same;
        n->op_type = op;
        g->node[g->n_node++] = n;
    }
    ap_model *m = accepted(b);
    assert_string_equal(m->graph->nodes[COUNT - 1]->name, "same_99999");
    ap_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(indexes_values_and_uses),
        BENCH_TEST(input_with_a_default),
        BENCH_TEST(omitted_input),
        BENCH_TEST(node_names_are_unique),
        BENCH_TEST(sorts_nodes),
        BENCH_TEST(missing_value),
        BENCH_TEST(cycles),
        BENCH_TEST(names_given_twice),
        BENCH_TEST(attribute_names),
        BENCH_TEST(versions),
        BENCH_TEST(dims),
        BENCH_TEST(data_fits_its_shape),
        BENCH_TEST(bodies_see_outer_values),
        BENCH_TEST(many_equal_names_are_quick),
    };
    return cmocka_run_group_tests_name("graph rules", tests, NULL, NULL);
}
