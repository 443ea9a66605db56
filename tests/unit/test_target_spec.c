// SPDX-License-Identifier: Apache-2.0
// spec: the model a request means, after symbols, shapes, cuts and outputs; tensors of a request.
#include "test_graph_build.h"

#include "target/target.h"
#include "tensor/npy.h"

// x[n,4] → a → b → c → y
static char *long_model(bench *b) {
    fresh(b);
    input(b, "x", "n,4");
    output(b, "y", "n,4");
    weight(b, "w", AP_F32, "4", 16);
    node(b, "na", "Add", "x,w", "a");
    node(b, "nb", "Relu", "a", "b");
    node(b, "nc", "Add", "b,w", "c");
    node(b, "ny", "Neg", "c", "y");
    return write_model(b, "m.onnx");
}

static ap_model *open_spec(json_t *spec) {
    ap_model *m = NULL;
    must(ap_spec_model(spec, &m));
    json_decref(spec);
    must(ap_model_verify(m));
    return m;
}

static void dims_are(const ap_model *m, const char *value, int64_t d0, int64_t d1) {
    ap_dtype t;
    int64_t dims[AP_MAX_RANK];
    size_t rank = 0;
    assert_true(ap_value_shape(ap_graph_value(m->graph, value), &t, dims, &rank, NULL));
    assert_int_equal(rank, 2);
    assert_int_equal(dims[0], d0);
    assert_int_equal(dims[1], d1);
}

static void sizes(void **state) {
    bench *b = *state;
    char *path = long_model(b);
    ap_model *m = open_spec(json_pack("{ss}", "file", path));
    dims_are(m, "x", -1, 4);
    ap_model_free(m);
    m = open_spec(json_pack("{ss,s{si}}", "file", path, "symbols", "n", 3));
    dims_are(m, "x", 3, 4);
    dims_are(m, "y", 3, 4);
    ap_model_free(m);
    m = open_spec(json_pack("{ss,s{s[i,i]}}", "file", path, "shapes", "x", 5, 4));
    dims_are(m, "x", 5, 4);
    ap_model_free(m);
}

static void cuts(void **state) {
    bench *b = *state;
    char *path = long_model(b);
    ap_model *m = open_spec(json_pack("{ss,s{s[i,i]},s{s[{ss,ss,s[i,i]}],s[s]}}", "file", path, "shapes", "x",
                                      2, 4, "extract", "inputs", "name", "a", "dtype", "float32", "dims", 2,
                                      4, "outputs", "c"));
    assert_int_equal(m->graph->node_count, 2);
    assert_int_equal(m->graph->input_count, 1);
    assert_string_equal(m->graph->inputs[0]->name, "a");
    assert_string_equal(m->graph->outputs[0]->name, "c");
    dims_are(m, "a", 2, 4);
    ap_model_free(m); // and the source it borrows weights from
    m = open_spec(json_pack("{ss,s[s,s]}", "file", path, "outputs", "b", "y"));
    assert_int_equal(m->graph->output_count, 2);
    assert_string_equal(m->graph->outputs[0]->name, "b");
    ap_model_free(m);
}

static void refuse(json_t *spec, ap_code code, const char *part) {
    ap_model *m = NULL;
    must_fail(ap_spec_model(spec, &m), code, part);
    assert_null(m);
    json_decref(spec);
}

static void bad_specs(void **state) {
    bench *b = *state;
    char *path = long_model(b);
    refuse(json_object(), AP_ERR_INTERNAL, "file");
    refuse(json_pack("{ss}", "file", "/nowhere.onnx"), AP_ERR_NOT_FOUND, "/nowhere.onnx");
    refuse(json_pack("{ss,s{si}}", "file", path, "symbols", "k", 3), AP_ERR_INPUT_SHAPE, "k");
    refuse(json_pack("{ss,s{s[i]}}", "file", path, "shapes", "x", 5), AP_ERR_INPUT_SHAPE, "x");
    refuse(json_pack("{ss,s{si}}", "file", path, "shapes", "x", 5), AP_ERR_INTERNAL, "x: bad dims");
    refuse(json_pack("{ss,s{s[i,i]}}", "file", path, "shapes", "z", 5, 4), AP_ERR_INPUT_NAME, "z");
    refuse(json_pack("{ss,s[s]}", "file", path, "outputs", "nobody"), AP_ERR_MODEL_MISSING, "nobody");
    refuse(json_pack("{ss,s[i]}", "file", path, "outputs", 1), AP_ERR_INTERNAL, "entry 0 is no string");
    refuse(json_pack("{ss,s{s[]}}", "file", path, "extract", "inputs"), AP_ERR_INTERNAL, "outputs");
    refuse(json_pack("{ss,s{s[{}],s[s]}}", "file", path, "extract", "inputs", "outputs", "y"),
           AP_ERR_INTERNAL, "name");
    refuse(json_pack("{ss,s{s[],s[s]}}", "file", path, "extract", "inputs", "outputs", "nobody"),
           AP_ERR_MODEL_MISSING, "nobody");
}

static void tensors(void **state) {
    bench *b = *state;
    json_t *list = json_array();
    ap_named_tensor *all = NULL;
    size_t count = 0;
    ap_tensor t = {0}, none = {0};
    float v[2] = {1, 2};
    must(ap_tensor_view(AP_F32, (const int64_t[]){2}, 1, v, sizeof v, &t));
    must(ap_tensor_store(b->dir, "../../etc/passwd", &t, list)); // a name is no path
    must(ap_tensor_store(b->dir, "seq", &none, list));
    must(ap_tensor_view(AP_F32, (const int64_t[]){0, 3}, 2, NULL, 0, &t));
    must(ap_tensor_store(b->dir, "empty", &t, list));
    assert_string_equal(ap_json_str(json_array_get(list, 0), "file", ""), at(b, "0.npy"));
    assert_null(json_object_get(json_array_get(list, 1), "file"));
    json_array_remove(list, 1);
    must(ap_tensors_open(list, &all, &count));
    assert_int_equal(count, 2);
    assert_string_equal(all[0].name, "../../etc/passwd");
    assert_memory_equal(all[0].t.data, v, sizeof v);
    assert_int_equal(all[1].t.dims[1], 3);
    ap_named_tensors_free(all, count);
    all = NULL;
    json_object_set_new(json_array_get(list, 0), "file", json_string("/nowhere.npy"));
    must_fail(ap_tensors_open(list, &all, &count), AP_ERR_NOT_FOUND, "/nowhere.npy");
    json_object_del(json_array_get(list, 0), "file");
    must_fail(ap_tensors_open(list, &all, &count), AP_ERR_INTERNAL, "file");
    assert_null(all);
    json_decref(list);
}

// Types numpy has no name for travel as their width.
static void types_without_a_numpy_name(void **state) {
    bench *b = *state;
    json_t *list = json_array();
    ap_named_tensor *all = NULL;
    size_t count = 0;
    uint16_t v[2] = {0x3f80, 0x4000};
    ap_tensor t = {0};
    must(ap_tensor_view(AP_BF16, (const int64_t[]){2}, 1, v, sizeof v, &t));
    must(ap_tensor_store(b->dir, "h", &t, list));
    must(ap_tensors_open(list, &all, &count));
    assert_int_equal(all[0].t.dtype, AP_BF16);
    assert_memory_equal(all[0].t.data, v, sizeof v);
    ap_named_tensors_free(all, count);
    json_decref(list);
}

static void kinds(void **state) {
    (void)state;
    assert_ptr_equal(ap_target_find("cpu"), &ap_target_cpu);
    assert_ptr_equal(ap_target_find("htp"), &ap_target_htp);
    assert_null(ap_target_find("gpu"));
    assert_null(ap_target_htp.profile); // the emulator's clock is no clock
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(sizes),
        BENCH_TEST(cuts),
        BENCH_TEST(bad_specs),
        BENCH_TEST(tensors),
        BENCH_TEST(types_without_a_numpy_name),
        cmocka_unit_test(kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
