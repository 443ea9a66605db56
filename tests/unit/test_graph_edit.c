// SPDX-License-Identifier: Apache-2.0
// Freezing shapes, choosing outputs, taking parts out.
#include "test_graph_build.h"

static void assert_shape(const ap_model *m, const char *name, const char *want) {
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    ap_dtype dtype;
    const char *symbols[AP_MAX_RANK];
    ap_buf text = {0};
    const ap_value *v = ap_graph_value(m->graph, name);
    assert_non_null(v);
    if (ap_value_shape(v, &dtype, dims, &rank, symbols)) {
        for (size_t i = 0; i < rank; i++) {
            if (i) ap_buf_putc(&text, ',');
            if (dims[i] >= 0)
                ap_buf_printf(&text, "%lld", (long long)dims[i]);
            else
                ap_buf_puts(&text, symbols[i] ? symbols[i] : "?");
        }
    } else {
        ap_buf_puts(&text, "none");
    }
    assert_string_equal(ap_buf_str(&text), want);
    ap_buf_free(&text);
}

// The edited model as it would be read from its file.
static ap_model *written(const ap_model *m, ap_buf *bytes) {
    ap_model *again = NULL;
    must(ap_model_verify(m));
    must(ap_model_bytes(m, bytes));
    must(ap_model_parse(bytes->data, bytes->len, m->dir, &again));
    return again;
}

static void done(ap_model *m, ap_model *again, ap_buf *bytes) {
    ap_model_free(again);
    ap_model_free(m);
    ap_buf_free(bytes);
}

static void vision(bench *b) {
    fresh(b);
    input(b, "img", "batch,3,h,w");
    input(b, "img2", "batch,3,h,?");
    output(b, "y", "batch,floor(h/2)");
    inner(b, "a", "batch,3,8,8");
    inner(b, "c", "batch,floor(h/2)");
    inner(b, "d", "batch,3,h,w");
    inner(b, "y", "batch,floor(h/2)"); // some exporters list outputs here too
    node(b, "na", "Relu", "img", "a");
    node(b, "nc", "Relu", "a", "c");
    node(b, "nd", "Relu", "img2", "d");
    node(b, "ny", "Add", "c,d", "y");
}

static void sets_a_symbol_everywhere(void **state) {
    bench *b = *state;
    vision(b);
    ap_model *m = accepted(b);
    ap_buf bytes = {0};
    must(ap_model_set_symbol(m, "batch", 2));
    assert_true(m->edited);
    ap_model *again = written(m, &bytes);
    assert_shape(again, "img", "2,3,h,w");
    assert_shape(again, "img2", "2,3,h,?");
    assert_shape(again, "a", "2,3,8,8");
    assert_shape(again, "c", "none"); // a derived symbol may be stale
    assert_int_equal(ap_graph_value(again->graph, "c")->info->type->tensor_type->elem_type, AP_F32);
    assert_shape(again, "d", "2,3,h,w"); // live symbols stay
    assert_shape(again, "y", "2,?");
    done(m, again, &bytes);
}

static void symbol_errors(void **state) {
    bench *b = *state;
    vision(b);
    ap_model *m = accepted(b);
    ap_err err = ap_model_set_symbol(m, "height", 2);
    assert_non_null(strstr(ap_err_get_hint(err), "batch, h, w"));
    must_fail(err, AP_ERR_INPUT_SHAPE, "\"height\"");
    must_fail(ap_model_set_symbol(m, "floor(h/2)", 2), AP_ERR_INPUT_SHAPE, "floor");
    must_fail(ap_model_set_symbol(m, "h", -1), AP_ERR_INPUT_SHAPE, "-1");
    must_fail(ap_model_set_symbol(m, "h", INT64_MAX / 2), AP_ERR_INPUT_SHAPE, "too large");
    assert_shape(m, "img", "batch,3,h,w");
    assert_false(m->edited);
    // The name may come from the model itself.
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    ap_dtype dtype;
    const char *symbols[AP_MAX_RANK];
    assert_true(ap_value_shape(m->graph->inputs[0], &dtype, dims, &rank, symbols));
    must(ap_model_set_symbol(m, symbols[2], 64));
    assert_shape(m, "img2", "batch,3,64,?");
    ap_model_free(m);
}

static void sets_an_input_shape(void **state) {
    bench *b = *state;
    vision(b);
    ap_model *m = accepted(b);
    ap_buf bytes = {0};
    must(ap_model_set_input_shape(m, "img", (int64_t[]){1, 3, 64, 32}, 4));
    must(ap_model_set_input_shape(m, "img2", (int64_t[]){1, 3, 64, 5}, 4));
    ap_model *again = written(m, &bytes);
    assert_shape(again, "img", "1,3,64,32");
    assert_shape(again, "img2", "1,3,64,5");
    assert_shape(again, "d", "1,3,64,32");
    assert_shape(again, "y", "1,?");
    done(m, again, &bytes);
}

// Some exporters write -1 where a dimension is not fixed, some name them all "?".
static void minus_one_is_open(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "-1,3,-1");
    output(b, "y", "-1,3,-1");
    inner(b, "a", "-1,3,4");
    node(b, "na", "Relu", "x", "a");
    node(b, "ny", "Relu", "a", "y");
    ap_model *m = accepted(b);
    ap_buf bytes = {0};
    assert_shape(m, "x", "?,3,?");
    assert_shape(m, "a", "?,3,4");
    must(ap_model_bytes(m, &bytes)); // it stays as it is while nobody sets it
    assert_int_equal(bytes.len, m->len);
    assert_memory_equal(bytes.data, m->bytes, m->len);
    ap_buf_clear(&bytes);
    must_fail(ap_model_set_input_shape(m, "x", (int64_t[]){2, 4, 5}, 3), AP_ERR_INPUT_SHAPE,
              "declared as ?x3x?");
    must(ap_model_set_input_shape(m, "x", (int64_t[]){2, 3, 5}, 3));
    ap_model *again = written(m, &bytes);
    assert_shape(again, "x", "2,3,5");
    assert_shape(again, "y", "?,3,?");
    done(m, again, &bytes);
}

static void question_marks_are_open(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "any,3,any");
    output(b, "y", "any,3,4");
    node(b, "ny", "Relu", "x", "y");
    for (int i = 0; i < 2; i++) b->graph->input[0]->type->tensor_type->shape->dim[2 * i]->dim_param = "?";
    b->graph->output[0]->type->tensor_type->shape->dim[0]->dim_param = "?";
    ap_model *m = accepted(b);
    ap_buf bytes = {0};
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    ap_dtype dtype;
    const char *symbols[AP_MAX_RANK];
    assert_true(ap_value_shape(m->graph->inputs[0], &dtype, dims, &rank, symbols));
    assert_null(symbols[0]);
    must(ap_model_bytes(m, &bytes));
    assert_int_equal(bytes.len, m->len);
    assert_memory_equal(bytes.data, m->bytes, m->len);
    ap_buf_clear(&bytes);
    must_fail(ap_model_set_symbol(m, "?", 2), AP_ERR_INPUT_SHAPE, "\"?\"");
    must(ap_model_set_input_shape(m, "x", (int64_t[]){2, 3, 5}, 3)); // two names alike, two sizes
    ap_model *again = written(m, &bytes);
    assert_shape(again, "x", "2,3,5");
    done(m, again, &bytes);
}

static void input_shape_errors(void **state) {
    bench *b = *state;
    vision(b);
    input(b, "sq", "s,s");
    input(b, "any", NULL);
    b->graph->input[3]->type = tensor_type(b, AP_F32, NULL);
    ap_model *m = accepted(b);
    must_fail(ap_model_set_input_shape(m, "image", (int64_t[]){1}, 1), AP_ERR_INPUT_NAME, "\"image\"");
    must_fail(ap_model_set_input_shape(m, "img", (int64_t[]){1, 3, 4}, 3), AP_ERR_INPUT_SHAPE, "batchx3xhxw");
    must_fail(ap_model_set_input_shape(m, "img", (int64_t[]){1, 4, 4, 4}, 4), AP_ERR_INPUT_SHAPE,
              "does not fit");
    must_fail(ap_model_set_input_shape(m, "img", (int64_t[]){1, 3, -4, 4}, 4), AP_ERR_INPUT_SHAPE, "img");
    must_fail(ap_model_set_input_shape(m, "img", (int64_t[]){INT64_MAX, 3, 4, 4}, 4), AP_ERR_INPUT_SHAPE,
              "img");
    must_fail(ap_model_set_input_shape(m, "sq", (int64_t[]){4, 5}, 2), AP_ERR_INPUT_SHAPE, "sxs");
    assert_false(m->edited);
    must(ap_model_set_input_shape(m, "any", (int64_t[]){4, 5}, 2));
    assert_shape(m, "any", "4,5");
    ap_model_free(m);
}

static void chooses_outputs(void **state) {
    bench *b = *state;
    vision(b);
    weight(b, "w", AP_F16, "2,2", 8);
    node(b, "ne", "Relu", "y", "e");
    ap_model *m = accepted(b);
    ap_buf bytes = {0};
    must(ap_model_set_outputs(m, (const char *[]){"e", "w", "a", "img"}, 4));
    ap_model *again = written(m, &bytes);
    assert_int_equal(again->graph->output_count, 4);
    assert_string_equal(again->graph->outputs[0]->name, "e");
    assert_string_equal(again->graph->outputs[3]->name, "img");
    assert_null(again->graph->proto->output[0]->type); // nobody knows; the runtime finds out
    assert_int_equal(again->graph->proto->output[1]->type->tensor_type->elem_type, AP_F16);
    assert_shape(again, "a", "batch,3,8,8");
    assert_shape(again, "y", "batch,floor(h/2)"); // the old output's type is kept as an inner one
    assert_false(ap_graph_value(again->graph, "y")->is_output);
    must(ap_model_set_outputs(m, (const char *[]){"y"}, 1));
    assert_int_equal(m->graph->proto->output[0]->type->tensor_type->shape->n_dim, 2);
    ap_err err = ap_model_set_outputs(m, (const char *[]){"imq"}, 1);
    assert_non_null(strstr(ap_err_get_hint(err), "img"));
    must_fail(err, AP_ERR_MODEL_MISSING, "\"imq\"");
    must_fail(ap_model_set_outputs(m, (const char *[]){"y", "y"}, 2), AP_ERR_MODEL_INVALID, "twice");
    assert_int_equal(m->graph->output_count, 1);
    done(m, again, &bytes);
}

// ---- parts

// x → a → (b, c) → d → y, with weights on both arms.
static void diamond(bench *b) {
    fresh(b);
    input(b, "x", "n,4");
    input(b, "other", "4");
    output(b, "y", "n,4");
    inner(b, "a", "n,4");
    inner(b, "d", "n,4");
    weight(b, "w1", AP_F32, "1200", 4800);
    weight(b, "w2", AP_F32, "4", 16);
    weight(b, "w3", AP_F32, "4", 16);
    node(b, "na", "Relu", "x", "a");
    node(b, "nb", "Mul", "a,w1", "b");
    node(b, "nc", "Add", "a,w2", "c");
    node(b, "nd", "Add", "b,c", "d");
    node(b, "ny", "Add", "d,w3", "y");
    node(b, "no", "Relu", "other", "o");
}

static void part_of_a_diamond(void **state) {
    bench *b = *state;
    diamond(b);
    ap_model *m = accepted(b), *p = NULL;
    ap_buf bytes = {0};
    must(ap_model_extract(m, (const char *[]){"a"}, NULL, 1, (const char *[]){"d", "c"}, 2, &p));
    assert_ptr_equal(ap_graph_value(p->graph, "w1")->init->raw_data.data,
                     ap_graph_value(m->graph, "w1")->init->raw_data.data);
    ap_model *again = written(p, &bytes);
    const ap_graph *g = again->graph;
    assert_int_equal(g->node_count, 3);
    assert_string_equal(g->nodes[0]->name, "nb");
    assert_string_equal(g->nodes[2]->name, "nd");
    assert_int_equal(g->input_count, 1);
    assert_string_equal(g->inputs[0]->name, "a");
    assert_int_equal(g->output_count, 2);
    assert_string_equal(g->outputs[0]->name, "d");
    assert_int_equal(g->proto->n_initializer, 2);
    assert_null(ap_graph_value(g, "w3"));
    assert_shape(again, "a", "n,4");
    assert_shape(again, "d", "n,4");
    // Editing the part leaves the whole alone.
    must(ap_model_set_symbol(p, "n", 7));
    assert_shape(p, "d", "7,4");
    assert_shape(m, "d", "n,4");
    assert_false(m->edited);
    ap_model_free(again);
    done(m, p, &bytes);
}

static void part_with_given_types(void **state) {
    bench *b = *state;
    diamond(b);
    ap_model *m = accepted(b), *p = NULL;
    ap_buf bytes = {0};
    must_fail(ap_model_extract(m, (const char *[]){"b"}, NULL, 1, (const char *[]){"d"}, 1, &p),
              AP_ERR_MODEL_INVALID, "type of \"b\"");
    ap_value_type types[2] = {{AP_F16, 2, {3, 4}}, {AP_F32, 1, {-1}}};
    must(ap_model_extract(m, (const char *[]){"b", "w2"}, types, 2, (const char *[]){"d"}, 1, &p));
    ap_model *again = written(p, &bytes);
    assert_shape(again, "b", "3,4");
    assert_shape(again, "w2", "?"); // a weight may become an input
    assert_int_equal(ap_graph_value(again->graph, "w2")->kind, AP_VALUE_INPUT);
    assert_null(ap_graph_value(again->graph, "w2")->init);
    // "x" is reached past the cut and stays an input, behind the listed ones.
    assert_int_equal(again->graph->input_count, 3);
    assert_string_equal(again->graph->inputs[2]->name, "x");
    ap_model_free(again);
    done(m, p, &bytes);
}

static void part_without_cuts(void **state) {
    bench *b = *state;
    diamond(b);
    ap_model *m = accepted(b), *p = NULL;
    ap_buf bytes = {0};
    must(ap_model_extract(m, NULL, NULL, 0, (const char *[]){"y"}, 1, &p));
    ap_model *again = written(p, &bytes);
    assert_int_equal(again->graph->node_count, 5);
    assert_int_equal(again->graph->input_count, 1);
    assert_int_equal(again->opset, 17);
    ap_model_free(again);
    must_fail(ap_model_extract(m, NULL, NULL, 0, NULL, 0, &again), AP_ERR_MODEL_INVALID,
              "at least one output");
    must_fail(ap_model_extract(m, NULL, NULL, 0, (const char *[]){"zz"}, 1, &again), AP_ERR_MODEL_MISSING,
              "zz");
    must_fail(ap_model_extract(m, (const char *[]){"zz"}, NULL, 1, (const char *[]){"y"}, 1, &again),
              AP_ERR_MODEL_MISSING, "zz");
    done(m, p, &bytes);
}

static void part_with_a_body(void **state) {
    bench *b = *state;
    diamond(b);
    Onnx__GraphProto *body = new_graph(b, "body");
    add_node(b, body, "in", "Add", "c,w3", "r"); // captures c and w3
    PUSH(b, body, output, info(b, "r", NULL));
    weight(b, "cond", AP_BOOL, "", 1);
    attr_graph(b, node(b, "if", "If", "cond", "z"), "then_branch", body);
    output(b, "z", "n,4");
    ap_model *m = accepted(b), *p = NULL;
    ap_buf bytes = {0};
    must(ap_model_extract(m, (const char *[]){"a"}, NULL, 1, (const char *[]){"z"}, 1, &p));
    ap_model *again = written(p, &bytes);
    const ap_graph *g = again->graph;
    assert_int_equal(g->node_count, 2); // nc and if
    assert_non_null(ap_graph_node(g, "nc"));
    assert_non_null(ap_graph_value(g, "w3")->init);
    assert_non_null(ap_graph_value(g, "w2")->init);
    assert_null(ap_graph_value(g, "w1"));
    assert_true(ap_graph_value(g, "c")->used_by_subgraph);
    // Cut at the captured value.
    ap_model *q = NULL;
    ap_value_type type = {AP_F32, 2, {1, 4}};
    must(ap_model_extract(m, (const char *[]){"c"}, &type, 1, (const char *[]){"z"}, 1, &q));
    assert_int_equal(q->graph->node_count, 1);
    assert_int_equal(q->graph->input_count, 1);
    ap_model_free(q);
    ap_model_free(again);
    done(m, p, &bytes);
}

static void part_keeps_functions_and_domains(void **state) {
    bench *b = *state;
    diamond(b);
    import(b, "mine", 1);
    MAKE(b, f, Onnx__FunctionProto, onnx__function_proto__init);
    f->name = dup_text(b, "Twice");
    f->domain = dup_text(b, "mine");
    PUSH(b, f, input, dup_text(b, "v"));
    PUSH(b, f, output, dup_text(b, "t"));
    MAKE(b, n, Onnx__NodeProto, onnx__node_proto__init);
    n->op_type = dup_text(b, "Add");
    PUSH(b, n, input, dup_text(b, "v"));
    PUSH(b, n, input, dup_text(b, "v"));
    PUSH(b, n, output, dup_text(b, "t"));
    PUSH(b, f, node, n);
    PUSH(b, b->model, functions, f);
    node(b, "call", "Twice", "a", "tw")->domain = dup_text(b, "mine");
    ap_model *m = accepted(b), *p = NULL;
    ap_buf bytes = {0};
    must(ap_model_extract(m, NULL, NULL, 0, (const char *[]){"tw"}, 1, &p));
    ap_model *again = written(p, &bytes);
    assert_int_equal(again->proto->n_functions, 1);
    assert_int_equal(again->proto->n_opset_import, 2);
    assert_string_equal(ap_graph_node(again->graph, "call")->domain, "mine");
    ap_model_free(again);
    done(m, p, &bytes);
}

// A part may outlive the caller's handle on the whole.
static void part_owns_its_source(void **state) {
    bench *b = *state;
    diamond(b);
    char *path = write_model(b, "d.onnx");
    ap_model *m = NULL, *p = NULL;
    must(ap_model_load(path, &m));
    must(ap_model_extract(m, NULL, NULL, 0, (const char *[]){"b"}, 1, &p));
    p->source = m;
    ap_tensor t = {0};
    must(ap_model_tensor(p, ap_graph_value(p->graph, "w1")->init, &t));
    assert_int_equal(t.bytes, 4800);
    ap_model_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(sets_a_symbol_everywhere), BENCH_TEST(symbol_errors),
        BENCH_TEST(minus_one_is_open),        BENCH_TEST(question_marks_are_open),
        BENCH_TEST(sets_an_input_shape),      BENCH_TEST(input_shape_errors),
        BENCH_TEST(chooses_outputs),          BENCH_TEST(part_of_a_diamond),
        BENCH_TEST(part_with_given_types),    BENCH_TEST(part_without_cuts),
        BENCH_TEST(part_with_a_body),         BENCH_TEST(part_keeps_functions_and_domains),
        BENCH_TEST(part_owns_its_source),
    };
    return cmocka_run_group_tests_name("graph edit", tests, NULL, NULL);
}
