// SPDX-License-Identifier: Apache-2.0
// Types, shapes and the life cycle of tensors.
#include "tensor/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// One test asks for an impossible allocation; AddressSanitizer would end the process instead of returning
// NULL.
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

static void expect(ap_err err, ap_code code, const char *message) {
    assert_int_equal(ap_err_code(err), code);
    assert_string_equal(ap_err_message(err), message);
    ap_err_free(err);
}

static void test_dtypes(void **state) {
    (void)state;
    assert_string_equal(ap_dtype_name(AP_BF16), "bfloat16");
    assert_string_equal(ap_dtype_name(AP_DTYPE_NONE), "unknown");
    assert_string_equal(ap_dtype_name((ap_dtype)99), "unknown");
    static const char *const same[][2] = {{"f32", "float32"},  {"fp16", "float16"},
                                          {"INT64", "int64"},  {"i4", "int4"},
                                          {"half", "float16"}, {"f8e4m3", "float8e4m3fn"}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        assert_string_equal(ap_dtype_name(ap_dtype_from_name(same[i][0])), same[i][1]);
    for (int t = 1; t <= 23; t++) {
        assert_int_equal(ap_dtype_from_name(ap_dtype_name((ap_dtype)t)), t);
        assert_false(ap_dtype_is_float((ap_dtype)t) && ap_dtype_is_int((ap_dtype)t));
    }
    assert_int_equal(ap_dtype_from_name("float33"), AP_DTYPE_NONE);
    assert_int_equal(ap_dtype_from_name(NULL), AP_DTYPE_NONE);
    assert_int_equal(ap_dtype_bits(AP_C128), 128);
    assert_int_equal(ap_dtype_bits(AP_STRING), 0);
    assert_int_equal(ap_dtype_bits((ap_dtype)-1), 0);
}

static void test_counts(void **state) {
    (void)state;
    size_t n = 77;
    assert_null(ap_shape_count(NULL, 0, &n));
    assert_int_equal(n, 1);
    assert_null(ap_shape_count((int64_t[]){1, 3, 320, 320}, 4, &n));
    assert_int_equal(n, 307200);
    assert_null(ap_shape_count((int64_t[]){INT64_MAX, 0, INT64_MAX}, 3, &n));
    assert_int_equal(n, 0);
    n = 77;
    expect(ap_shape_count((int64_t[]){2, -1}, 2, &n), AP_ERR_MODEL_DIMS, "dimension 1 is negative (-1)");
    expect(ap_shape_count((int64_t[]){INT64_MAX, 3}, 2, &n), AP_ERR_MODEL_DIMS,
           "shape 9223372036854775807x3 has too many elements");
    // The product wraps around 2^64 to a small number; that must not get through.
    expect(ap_shape_count((int64_t[]){1LL << 32, 1LL << 32, 5}, 3, &n), AP_ERR_MODEL_DIMS,
           "shape 4294967296x4294967296x5 has too many elements");
    expect(ap_shape_count((int64_t[]){1}, 17, &n), AP_ERR_MODEL_DIMS, "rank 17 is more than 16");
    expect(ap_shape_bytes(AP_F64, (int64_t[]){1LL << 61}, 1, &n), AP_ERR_MODEL_DIMS,
           "shape 2305843009213693952 of float64 has too many bytes");
    expect(ap_shape_bytes(AP_STRING, (int64_t[]){1}, 1, &n), AP_ERR_INPUT_DTYPE,
           "elements of type string have no fixed size");
    assert_int_equal(n, 77);
    assert_null(ap_shape_bytes(AP_I4, (int64_t[]){3, 3}, 2, &n));
    assert_int_equal(n, 5);
}

static void test_texts(void **state) {
    (void)state;
    int64_t d[AP_MAX_RANK];
    size_t rank = 9;
    ap_buf b = {0};
    ap_shape_format((int64_t[]){1, -1, 320}, 3, &b);
    assert_string_equal(ap_buf_str(&b), "1x?x320");
    ap_buf_clear(&b);
    ap_shape_format(NULL, 0, &b);
    assert_string_equal(ap_buf_str(&b), "scalar");
    ap_buf_free(&b);
    assert_null(ap_shape_parse("1,3,320,320", d, &rank));
    assert_true(ap_shape_equal(d, rank, (int64_t[]){1, 3, 320, 320}, 4));
    assert_null(ap_shape_parse("7x0", d, &rank));
    assert_true(ap_shape_equal(d, rank, (int64_t[]){7, 0}, 2));
    assert_null(ap_shape_parse("", d, &rank));
    assert_int_equal(rank, 0);
    static const char *const broken[] = {"x",   "1x", "1,,2", "1 x 2", "-1", "1x2 ", "99999999999999999999",
                                         "axb", ","};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        ap_err err = ap_shape_parse(broken[i], d, &rank);
        assert_int_equal(ap_err_code(err), AP_ERR_INPUT_SHAPE);
        assert_non_null(strstr(ap_err_message(err), broken[i]));
        ap_err_free(err);
    }
    expect(ap_shape_parse("1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1", d, &rank), AP_ERR_INPUT_SHAPE,
           "shape \"1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1\" has more than 16 dimensions");
    assert_int_equal(rank, 0);
    assert_false(ap_shape_equal(d, 1, d, 2));
}

static void test_life_cycle(void **state) {
    (void)state;
    ap_tensor t = {0}, copy = {0}, view = {0};
    ap_tensor_free(&t); // empty
    ap_tensor_free(NULL);
    assert_int_equal(ap_tensor_count(&t), 0);
    assert_null(ap_tensor_clone(&t, &copy));
    assert_null(ap_tensor_alloc(AP_F32, (int64_t[]){2, 3}, 2, &t));
    assert_int_equal(t.bytes, 24);
    assert_true(t.hold == AP_HOLD_MALLOC);
    assert_true(ap_tensor_at(&t, 5) == 0);
    ((float *)t.data)[5] = 2.5F;
    assert_null(ap_tensor_clone(&t, &copy));
    assert_ptr_not_equal(copy.data, t.data);
    assert_true(ap_tensor_at(&copy, 5) == 2.5);
    assert_null(ap_tensor_view(AP_F32, (int64_t[]){6}, 1, t.data, 24, &view));
    assert_true(view.hold == AP_HOLD_NONE && view.data == t.data);
    expect(ap_tensor_view(AP_F32, (int64_t[]){7}, 1, t.data, 24, &view), AP_ERR_INPUT_SHAPE,
           "float32 of shape 7 needs 28 bytes, there are 24");
    ap_tensor_free(&view);
    ap_tensor_free(&copy);
    ap_tensor_free(&t);
    assert_null(t.data);
    assert_null(ap_tensor_alloc(AP_F32, (int64_t[]){4, 0}, 2, &t));
    assert_null(t.data);
    assert_int_equal(t.bytes, 0);
    assert_null(ap_tensor_clone(&t, &copy));
    ap_tensor_free(&copy);
    ap_tensor_free(&t);
    // More than any machine has, and still a legal shape: an error and no abort.
    ap_err err = ap_tensor_alloc(AP_U8, (int64_t[]){INT64_MAX}, 1, &t);
    assert_int_equal(ap_err_code(err), AP_ERR_NO_MEMORY);
    ap_err_free(err);
    assert_null(t.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_life_cycle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
