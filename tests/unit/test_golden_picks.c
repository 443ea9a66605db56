// SPDX-License-Identifier: Apache-2.0
// picks: what follows from a TopK, given what another picked.
#include "test_graph_build.h"

#include "golden/picks.h"

// Boxes picked by score, as the end of a detector does it.
static ap_model *detector(bench *b, bool scores_are_output) {
    fresh(b);
    input(b, "boxes", "1,8");
    input(b, "scores", "1,8");
    output(b, "y", "1,3");
    if (scores_are_output) output(b, "best", "1,3");
    weight(b, "k", AP_I64, "1", 8);
    node(b, "r", "Relu", "scores", "s");
    node(b, "top", "TopK", "s,k", "best,where");
    Onnx__NodeProto *n = node(b, "take", "GatherElements", "boxes,where", "taken");
    attr_int(b, n, "axis", 1);
    node(b, "sum", "Add", "taken,best", "y");
    return accepted(b);
}

static void finds_what_is_used(void **state) {
    bench *b = *state;
    const char **names = NULL;
    size_t count = 0;
    ap_model *m = detector(b, false);
    ap_picks_find(m, &names, &count);
    assert_int_equal(count, 1);
    assert_string_equal(names[0], "where");
    free(names);
    ap_model_free(m);
    fresh(b); // only the values are wanted
    input(b, "x", "1,8");
    output(b, "y", "1,3");
    weight(b, "k", AP_I64, "1", 8);
    node(b, "top", "TopK", "x,k", "y,where");
    m = accepted(b);
    ap_picks_find(m, &names, &count);
    assert_int_equal(count, 0);
    free(names);
    ap_model_free(m);
}

static ap_model *given(bench *b, bool scores_are_output, json_t **picks) {
    ap_model *m = detector(b, scores_are_output);
    const char *name = "where";
    json_t *tensors = json_pack("[{ss,ss,s[ii]}]", "name", "where", "dtype", "int64", "dims", 1, 3);
    must(ap_picks_give(m, &name, tensors, 1, picks));
    must(ap_model_verify(m));
    json_decref(tensors);
    return m;
}

static const char *text(const json_t *picks, const char *key) {
    return json_string_value(json_object_get(json_array_get(picks, 0), key));
}

static void everyone_reads_what_is_given(void **state) {
    json_t *picks = NULL;
    ap_model *m = given(*state, false, &picks);
    assert_string_equal(text(picks, "indices"), "where");
    const ap_node *take = ap_graph_node(m->graph, "take"), *sum = ap_graph_node(m->graph, "sum");
    assert_string_equal(take->inputs[1]->name, text(picks, "input"));
    assert_string_equal(sum->inputs[1]->name, text(picks, "picked"));
    assert_string_equal(ap_graph_node(m->graph, "top")->outputs[0]->name, text(picks, "best"));
    assert_int_equal(m->graph->input_count, 3);
    assert_int_equal(m->graph->output_count, 3);
    assert_string_equal(m->graph->outputs[0]->name, "y");
    json_decref(picks);
    ap_model_free(m);
}

static void an_output_keeps_its_name(void **state) {
    json_t *picks = NULL;
    ap_model *m = given(*state, true, &picks);
    assert_string_equal(text(picks, "picked"), "best"); // what the graph answers is what was picked
    assert_string_not_equal(text(picks, "best"), "best");
    assert_string_equal(m->graph->outputs[1]->name, "best");
    assert_string_equal(m->graph->outputs[1]->producer->op, "GatherElements");
    json_decref(picks);
    ap_model_free(m);
}

static void refuses_what_is_no_pick(void **state) {
    bench *b = *state;
    ap_model *m = detector(b, false);
    const char *name = "taken";
    json_t *picks = NULL,
           *tensors = json_pack("[{ss,ss,s[ii]}]", "name", "taken", "dtype", "int64", "dims", 1, 3);
    must_fail(ap_picks_give(m, &name, tensors, 1, &picks), AP_ERR_MODEL_MISSING, "\"taken\"");
    json_decref(tensors);
    name = "where";
    tensors = json_pack("[{ss,ss,s[ii]}]", "name", "where", "dtype", "float32", "dims", 1, 3);
    must_fail(ap_picks_give(m, &name, tensors, 1, &picks), AP_ERR_MODEL_INVALID, "\"where\"");
    json_decref(tensors);
    ap_model_free(m);
}

static bool valid(const int64_t *v, size_t rows, size_t columns, size_t axis, int64_t size) {
    ap_tensor t = {0};
    must(ap_tensor_alloc(AP_I64, (int64_t[]){(int64_t)rows, (int64_t)columns}, 2, &t));
    memcpy(t.data, v, rows * columns * sizeof *v);
    bool yes = ap_picks_valid(&t, axis, size);
    ap_tensor_free(&t);
    return yes;
}

static void indices_are_checked(void **state) {
    (void)state;
    assert_true(valid((int64_t[]){0, 2, 1, 1, 0, 2}, 2, 3, 1, 3));
    assert_false(valid((int64_t[]){0, 2, 2, 1, 0, 2}, 2, 3, 1, 3)); // twice in a row
    assert_false(valid((int64_t[]){0, 2, 1, 1, 0, 3}, 2, 3, 1, 3)); // too large
    assert_false(valid((int64_t[]){0, -1, 1, 1, 0, 2}, 2, 3, 1, 3));
    assert_true(valid((int64_t[]){0, 1, 2, 1, 0, 3}, 2, 3, 0, 4)); // down the columns
    assert_false(valid((int64_t[]){0, 1, 2, 1, 1, 3}, 2, 3, 0, 4));
    assert_false(valid((int64_t[]){0, 1, 2}, 1, 3, 1, 2)); // more than there are
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(finds_what_is_used),       BENCH_TEST(everyone_reads_what_is_given),
        BENCH_TEST(an_output_keeps_its_name), BENCH_TEST(refuses_what_is_no_pick),
        BENCH_TEST(indices_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
