// SPDX-License-Identifier: Apache-2.0
// contract: symbols get sizes, inputs come from files or are random, later stages are held to what was
// written down.
#include "test_graph_build.h"

#include "golden/contract.h"
#include "tensor/npy.h"

#include <math.h>

// Two inputs: x[batch,3,h,w] float and ids[n] int64.
static ap_model *two_inputs(bench *b) {
    fresh(b);
    input(b, "x", "batch,3,h,w");
    input(b, "ids", "n");
    b->graph->input[1]->type = tensor_type(b, AP_I64, "n");
    output(b, "y", "batch,3,h,w");
    output(b, "z", "n");
    b->graph->output[1]->type = tensor_type(b, AP_I64, "n");
    node(b, "relu", "Relu", "x", "y");
    node(b, "id", "Identity", "ids", "z");
    return accepted(b);
}

static void npy(bench *b, const char *name, ap_dtype dtype, const int64_t *dims, size_t rank, double fill) {
    ap_tensor t = {0};
    must(ap_tensor_alloc(dtype, dims, rank, &t));
    for (size_t i = 0; i < ap_tensor_count(&t); i++) {
        if (dtype == AP_F32) ((float *)t.data)[i] = (float)fill;
        if (dtype == AP_I64) ((int64_t *)t.data)[i] = (int64_t)fill;
    }
    must(ap_npy_write(at(b, name), &t));
    ap_tensor_free(&t);
}

// ---- shapes

static char *shapes_of(bench *b, const ap_input_request *r) {
    ap_model *m = two_inputs(b);
    json_t *shapes = NULL;
    must(ap_contract_shapes(m, r, &shapes));
    char *text = ap_json_canonical(shapes), *copy = dup_text(b, text);
    free(text);
    json_decref(shapes);
    ap_model_free(m);
    return copy;
}

static void symbols_and_shapes(void **state) {
    bench *b = *state;
    const char *want = "{\"ids\":[7],\"x\":[1,3,8,9]}";
    ap_input_request by_symbol = {.shapes = (const char *const[]){"batch=1", "h=8", "w=9", "n=7"},
                                  .shape_count = 4};
    assert_string_equal(shapes_of(b, &by_symbol), want);
    ap_input_request by_input = {.shapes = (const char *const[]){"x=1,3,8,9", "ids=7"}, .shape_count = 2};
    assert_string_equal(shapes_of(b, &by_input), want);
    npy(b, "x.npy", AP_F32, (const int64_t[]){1, 3, 8, 9}, 4, 0);
    npy(b, "ids.npy", AP_I64, (const int64_t[]){7}, 1, 0);
    const char *files[] = {ap_arena_printf(&b->arena, "x=%s", at(b, "x.npy")),
                           ap_arena_printf(&b->arena, "ids=%s", at(b, "ids.npy"))};
    ap_input_request by_file = {.inputs = files, .input_count = 2};
    assert_string_equal(shapes_of(b, &by_file), want);
}

static void refuse_shapes(bench *b, const char *arg, ap_code code, const char *part, const char *hint) {
    ap_model *m = two_inputs(b);
    ap_input_request r = {.shapes = &arg, .shape_count = 1};
    json_t *shapes = NULL;
    ap_err err = ap_contract_shapes(m, &r, &shapes);
    if (hint) {
        assert_non_null(ap_err_get_hint(err));
        assert_non_null(strstr(ap_err_get_hint(err), hint));
    }
    must_fail(err, code, part);
    assert_null(shapes);
    ap_model_free(m);
}

static void bad_shapes(void **state) {
    bench *b = *state;
    refuse_shapes(b, "batch=1", AP_ERR_SHAPE_UNKNOWN,
                  "the model has symbolic dimensions without a size: h, w of 'x'; n of 'ids'",
                  "add --shape 'x=1,3,<h>,<w>' --shape 'ids=<n>' (with numbers)");
    refuse_shapes(b, "batc=1", AP_ERR_INPUT_NAME, "--shape: the model has no input 'batc'; it has 'x', 'ids'",
                  NULL);
    refuse_shapes(b, "idz=1", AP_ERR_INPUT_NAME, "no input 'idz'", "did you mean 'ids'?");
    refuse_shapes(b, "x", AP_ERR_USAGE, "--shape wants INPUT=1,3,224,224 or SYMBOL=1, not 'x'", NULL);
    refuse_shapes(b, "=1", AP_ERR_USAGE, "not '=1'", NULL);
    refuse_shapes(b, "x=", AP_ERR_USAGE, "not 'x='", NULL);
    refuse_shapes(b, "batch=0", AP_ERR_INPUT_SHAPE, "symbol 'batch' wants one positive number, not '0'",
                  NULL);
    refuse_shapes(b, "batch=1,2", AP_ERR_INPUT_SHAPE, "symbol 'batch' wants one positive number, not '1,2'",
                  NULL);
    refuse_shapes(b, "x=1,4,8,8", AP_ERR_INPUT_SHAPE, "x", NULL);
    refuse_shapes(b, "x=1,3,8", AP_ERR_INPUT_SHAPE, "x", NULL);
    refuse_shapes(b, "x=1,3,0,8", AP_ERR_INPUT_SHAPE, "dim 2 is 0, sizes start at 1", NULL);
    refuse_shapes(b, "x=1,3,9999999999,9999999999", AP_ERR_INPUT_SHAPE, "", NULL);
}

static void conflicts_between_files_and_flags(void **state) {
    bench *b = *state;
    npy(b, "x.npy", AP_F32, (const int64_t[]){1, 3, 8, 9}, 4, 0);
    const char *file = ap_arena_printf(&b->arena, "x=%s", at(b, "x.npy"));
    ap_model *m = two_inputs(b);
    ap_input_request r = {
        .shapes = (const char *const[]){"h=10"}, .shape_count = 1, .inputs = &file, .input_count = 1};
    json_t *shapes = NULL;
    must_fail(ap_contract_shapes(m, &r, &shapes), AP_ERR_INPUT_SHAPE, "input file ");
    ap_model_free(m);
}

static void input_without_any_shape(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "1");
    b->graph->input[0]->type = tensor_type(b, AP_F32, NULL);
    output(b, "y", "1");
    node(b, "relu", "Relu", "x", "y");
    ap_model *m = accepted(b);
    json_t *shapes = NULL;
    ap_input_request none = {0};
    must_fail(ap_contract_shapes(m, &none, &shapes), AP_ERR_SHAPE_UNKNOWN, "all of 'x'");
    ap_model_free(m);
}

// ---- inputs

typedef struct made {
    json_t *inputs, *tensors, *warnings;
} made;

static ap_input_job job(bench *b, const char *file) {
    ap_input_job j = {.name = "x", .dtype = AP_F32, .dims = {2, 3}, .rank = 2, .seed = 5};
    j.file = file ? at(b, file) : NULL;
    j.npy_path = at(b, "made.npy");
    return j;
}

static ap_err make_input(const ap_input_job *j, made *out) {
    *out = (made){json_array(), json_array(), json_array()};
    return ap_contract_input(j, out->inputs, out->tensors, out->warnings);
}
static void made_release(made *m) {
    json_decref(m->inputs);
    json_decref(m->tensors);
    json_decref(m->warnings);
}

static void check_made(bench *b, const char *file, const char *kind) {
    made m;
    ap_tensor t = {0};
    ap_input_job j = job(b, file);
    must(make_input(&j, &m));
    const json_t *in = json_array_get(m.inputs, 0), *source = json_object_get(in, "source");
    assert_string_equal(ap_json_str(source, "kind", ""), kind);
    assert_string_equal(ap_json_str(in, "dtype", ""), "float32");
    assert_int_equal(strlen(ap_json_str(in, "data_sha256", "")), 64);
    assert_int_equal(file != NULL, json_is_string(json_object_get(source, "sha256")));
    assert_string_equal(ap_json_str(json_array_get(m.tensors, 0), "file", ""), j.npy_path);
    must(ap_npy_map(j.npy_path, &t));
    assert_int_equal(t.dtype, AP_F32);
    assert_int_equal(t.rank, 2);
    if (file) assert_true(((float *)t.data)[5] == 1.5f);
    ap_tensor_free(&t);
    made_release(&m);
}

static void inputs_of_every_kind(void **state) {
    bench *b = *state;
    float values[6] = {1.5f, 1.5f, 1.5f, 1.5f, 1.5f, 1.5f};
    npy(b, "in.npy", AP_F32, (const int64_t[]){2, 3}, 2, 1.5);
    must(ap_file_write(at(b, "in.raw"), values, sizeof values));
    must(ap_file_write(at(b, "in.bin"), values, sizeof values));
    Onnx__TensorProto *t = tensor(b, "t", AP_F32, "2,3");
    set_raw(t, values, sizeof values);
    size_t len = onnx__tensor_proto__get_packed_size(t);
    uint8_t *bytes = ap_arena_alloc(&b->arena, len);
    onnx__tensor_proto__pack(t, bytes);
    must(ap_file_write(at(b, "in.pb"), bytes, len));
    check_made(b, "in.npy", "npy");
    check_made(b, "in.pb", "pb");
    check_made(b, "in.raw", "raw");
    check_made(b, "in.bin", "raw");
    check_made(b, NULL, "random");
}

static void random_inputs_are_seeded(void **state) {
    bench *b = *state;
    made first, again, other;
    ap_input_job j = job(b, NULL);
    must(make_input(&j, &first));
    must(make_input(&j, &again));
    j.seed = 6;
    must(make_input(&j, &other));
    const char *key = "data_sha256", *a = ap_json_str(json_array_get(first.inputs, 0), key, "a");
    assert_string_equal(a, ap_json_str(json_array_get(again.inputs, 0), key, "b"));
    assert_string_not_equal(a, ap_json_str(json_array_get(other.inputs, 0), key, "c"));
    assert_int_equal(json_array_size(first.warnings), 1);
    assert_non_null(
        strstr(json_string_value(json_array_get(first.warnings, 0)), "'x' is seeded random (seed 5)"));
    made_release(&first);
    made_release(&again);
    made_release(&other);
    // Integers are indices: small and not negative.
    ap_input_job ids = {
        .name = "ids", .dtype = AP_I64, .dims = {1000}, .rank = 1, .npy_path = at(b, "ids.npy")};
    ap_tensor t = {0};
    must(make_input(&ids, &first));
    must(ap_npy_map(ids.npy_path, &t));
    for (size_t i = 0; i < 1000; i++) assert_true(((int64_t *)t.data)[i] >= 0 && ((int64_t *)t.data)[i] < 4);
    ap_tensor_free(&t);
    made_release(&first);
}

static void refuse_input(const ap_input_job *j, ap_code code, const char *part) {
    made m;
    must_fail(make_input(j, &m), code, part);
    assert_int_equal(json_array_size(m.inputs), 0);
    assert_int_equal(json_array_size(m.tensors), 0);
    made_release(&m);
}

static void bad_inputs(void **state) {
    bench *b = *state;
    npy(b, "int.npy", AP_I64, (const int64_t[]){2, 3}, 2, 1);
    npy(b, "wide.npy", AP_F32, (const int64_t[]){2, 4}, 2, 1);
    npy(b, "nan.npy", AP_F32, (const int64_t[]){2, 3}, 2, NAN);
    npy(b, "inf.npy", AP_F32, (const int64_t[]){2, 3}, 2, INFINITY);
    must(ap_file_write(at(b, "short.raw"), "1234", 4));
    must(ap_file_write(at(b, "x.txt"), "1 2 3", 5));
    must(ap_file_write(at(b, "x.jpg"), "no picture", 10));
    must(ap_file_write(at(b, "text.npy"), "no numpy", 8));
    ap_input_job j = job(b, "int.npy");
    refuse_input(&j, AP_ERR_INPUT_DTYPE, "int.npy holds int64, the model wants float32");
    j = job(b, "wide.npy");
    refuse_input(&j, AP_ERR_INPUT_SHAPE, "wide.npy has shape 2x4, the model wants 2x3");
    j = job(b, "nan.npy");
    refuse_input(&j, AP_ERR_INPUT_NAN, "nan.npy holds nan at flat index 0");
    j = job(b, "inf.npy");
    refuse_input(&j, AP_ERR_INPUT_NAN, "inf.npy holds inf at flat index 0");
    j = job(b, "short.raw");
    refuse_input(&j, AP_ERR_INPUT_FILE, "");
    j = job(b, "x.txt");
    refuse_input(&j, AP_ERR_INPUT_FILE, "is no .npy, .pb, .raw, .bin, .jpg or .png file");
    j = job(b, "x.jpg");
    refuse_input(&j, AP_ERR_INPUT_FILE, "neither a jpg nor a png image");
    j = job(b, "text.npy");
    refuse_input(&j, AP_ERR_INPUT_FILE, "");
    j = job(b, "absent.npy");
    refuse_input(&j, AP_ERR_NOT_FOUND, "absent.npy");
    j = job(b, NULL);
    j.dtype = AP_STRING;
    refuse_input(&j, AP_ERR_INPUT_DTYPE, "");
}

static void inputs_of_a_model(void **state) {
    bench *b = *state;
    ap_model *m = two_inputs(b);
    json_t *shapes = NULL, *inputs = NULL, *tensors = NULL, *warnings = json_array();
    ap_input_request r = {.shapes = (const char *const[]){"x=1,3,4,4", "ids=7"}, .shape_count = 2, .seed = 1};
    must(ap_contract_shapes(m, &r, &shapes));
    must(ap_contract_inputs(m, &r, b->dir, &inputs, &tensors, warnings));
    assert_int_equal(json_array_size(inputs), 2);
    assert_string_equal(ap_json_str(json_array_get(inputs, 0), "name", ""), "x");
    assert_string_equal(ap_json_str(json_array_get(tensors, 1), "file", ""), at(b, "1.npy"));
    assert_int_equal(json_array_size(warnings), 2);
    json_decref(inputs);
    json_decref(tensors);
    inputs = tensors = NULL;
    const char *typo = "idz=/nowhere.npy", *recipe = "y=color=bgr", *half = "x";
    ap_input_request bad = {.inputs = &typo, .input_count = 1};
    must_fail(ap_contract_inputs(m, &bad, b->dir, &inputs, &tensors, warnings), AP_ERR_INPUT_NAME,
              "--input: the model has no input 'idz'; it has 'x', 'ids'");
    bad = (ap_input_request){.recipes = &recipe, .recipe_count = 1};
    must_fail(ap_contract_inputs(m, &bad, b->dir, &inputs, &tensors, warnings), AP_ERR_INPUT_NAME,
              "--recipe: ");
    bad = (ap_input_request){.inputs = &half, .input_count = 1};
    must_fail(ap_contract_inputs(m, &bad, b->dir, &inputs, &tensors, warnings), AP_ERR_USAGE,
              "--input wants NAME=FILE, not 'x'");
    assert_null(inputs);
    json_decref(shapes);
    json_decref(warnings);
    ap_model_free(m);
}

// ---- the check

static json_t *io(const char *text) {
    json_t *j = NULL;
    must(ap_json_parse(text, strlen(text), "test", AP_ERR_INTERNAL, &j));
    return j;
}

#define A "{\"name\":\"a\",\"dtype\":\"float32\",\"dims\":[1,3]}"
#define B "{\"name\":\"b\",\"dtype\":\"int64\",\"dims\":[2]}"

static void check(const char *want, const char *have, bool any_order, const char *part) {
    json_t *w = io(want), *h = io(have);
    ap_err err = ap_contract_check(w, h, "input", "the binary", any_order);
    if (part)
        must_fail(err, AP_ERR_CONTRACT, part);
    else
        must(err);
    json_decref(w);
    json_decref(h);
}

static void differences(void **state) {
    (void)state;
    check("[" A "," B "]", "[" A "," B "]", false, NULL);
    check("[" A "," B "]", "[" B "," A "]", true, NULL);
    check("[]", "[]", false, NULL);
    check("[" A "," B "]", "[" B "," A "]", false, "input 0 is 'b' in the binary, the contract says 'a'");
    check("[" A "," B "]", "[" A "]", false, "the binary has 1 inputs, the contract says 2");
    check("[" A "]", "[" A "," B "]", true, "the binary has 2 inputs, the contract says 1");
    check("[" A "]", "[{\"name\":\"c\",\"dtype\":\"float32\",\"dims\":[1,3]}]", true,
          "input 0 is 'absent' in the binary, the contract says 'a'");
    check("[" A "]", "[{\"name\":\"a\",\"dtype\":\"float16\",\"dims\":[1,3]}]", false,
          "input 'a' is float16 in the binary, the contract says float32");
    check("[" A "]", "[{\"name\":\"a\",\"dtype\":\"float32\",\"dims\":[1,4]}]", false,
          "input 'a' has shape [1,4] in the binary, the contract says [1,3]");
    check("[" A "]", "[{\"name\":\"a\",\"dtype\":\"float32\",\"dims\":[3]}]", false, "has shape [3]");
    check("[" A "]", "[{\"name\":\"a\",\"dtype\":\"float32\",\"dims\":[-1,3]}]", false, NULL);
    check("[" A "]", "[{\"name\":\"a\",\"dtype\":\"float32\"}]", false, NULL);
    check("[" A "," B "]", "[" A "," A "]", true, "absent");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(symbols_and_shapes),
        BENCH_TEST(bad_shapes),
        BENCH_TEST(conflicts_between_files_and_flags),
        BENCH_TEST(input_without_any_shape),
        BENCH_TEST(inputs_of_every_kind),
        BENCH_TEST(random_inputs_are_seeded),
        BENCH_TEST(bad_inputs),
        BENCH_TEST(inputs_of_a_model),
        cmocka_unit_test(differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
