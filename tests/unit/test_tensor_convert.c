// SPDX-License-Identifier: Apache-2.0
// Conversions: small floats exhaustively, casts, packing of 4-bit types, random numbers.
#include "base/hash.h"
#include "tensor/convert.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static ap_tensor view(ap_dtype t, int64_t n, void *data, size_t bytes) {
    ap_tensor out;
    assert_null(ap_tensor_view(t, &n, 1, data, bytes, &out));
    return out;
}

static bool same_double(double a, double b) {
    return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b));
}

static void test_f16_all_codes(void **state) {
    (void)state;
    const ap_float_format *f = ap_float_format_of(AP_F16);
    for (unsigned c = 0; c < 65536; c++) {
        // By the definition: (-1)^s * 2^(e-15) * 1.m
        double want, sign = c & 0x8000U ? -1 : 1;
        unsigned e = c >> 10 & 31U, m = c & 1023U;
        if (e == 31)
            want = m ? (double)NAN : sign * (double)INFINITY;
        else
            want = sign * (e ? ldexp(1024.0 + m, (int)e - 25) : ldexp(m, -24));
        float got = ap_f16_to_f32((uint16_t)c);
        assert_true(same_double((double)got, want));
        assert_true(same_double(ap_float_decode(f, c), want));
#ifdef __FLT16_MANT_DIG__
        uint16_t code = (uint16_t)c;
        _Float16 native;
        memcpy(&native, &code, sizeof native);
        assert_true(same_double((double)(float)native, want));
#endif
        if (isnan(want)) {
            assert_int_equal(ap_f32_to_f16(got), c | 0x200U); // stays NaN, becomes quiet
            continue;
        }
        assert_int_equal(ap_f32_to_f16(got), c);
        assert_int_equal(ap_float_encode(f, want), c);
    }
}

static void test_f16_rounding(void **state) {
    (void)state;
    const ap_float_format *f = ap_float_format_of(AP_F16), *b = ap_float_format_of(AP_BF16);
    // Every f32 exponent with mantissas around the ties; both encoders must agree, and with the compiler's
    // own.
    for (uint32_t e = 0; e < 256; e++) {
        for (uint32_t m = 0; m < 0x800000U; m += 0x7FFU) {
            for (uint32_t d = 0; d < 3; d++) {
                uint32_t bits = e << 23 | ((m + d) & 0x7FFFFFU) | (m & 1U) << 31;
                float v;
                memcpy(&v, &bits, sizeof v);
                if (isnan(v)) continue;
                assert_int_equal(ap_f32_to_f16(v), ap_float_encode(f, (double)v));
                assert_int_equal(ap_f32_to_bf16(v), ap_float_encode(b, (double)v));
#ifdef __FLT16_MANT_DIG__
                _Float16 native = (_Float16)v;
                uint16_t code;
                memcpy(&code, &native, sizeof code);
                assert_int_equal(ap_f32_to_f16(v), code);
#endif
            }
        }
    }
    assert_int_equal(ap_f32_to_f16(65519.996F), 0x7BFF);
    assert_int_equal(ap_f32_to_f16(65520.0F), 0x7C00);
    assert_int_equal(ap_f32_to_f16(0x1p-25F), 0);        // a tie with 0, which is even
    assert_int_equal(ap_f32_to_f16(0x1.000002p-25F), 1); // just above the tie
    assert_int_equal(ap_f32_to_f16(-0.0F), 0x8000);
    assert_int_equal(ap_f32_to_bf16(1.00390625F), 0x3F80); // tie to even
    assert_int_equal(ap_f32_to_bf16(0x1.FFp127F), 0x7F80);
    assert_true(isnan(ap_bf16_to_f32(ap_f32_to_bf16(NAN))));
    // F64 straight to F16: over float this would first become the tie 1 + 2^-11 and then 1.
    assert_int_equal(ap_float_encode(f, 1 + 0x1p-11 + 0x1p-40), 0x3C01);
}

static void test_small_floats(void **state) {
    (void)state;
    static const struct {
        ap_dtype type;
        unsigned codes, nans, infs;
        double max, min;
    } facts[] = {
        {AP_F8E4M3FN, 256, 2, 0, 448, 0x1p-9},  {AP_F8E4M3FNUZ, 256, 1, 0, 240, 0x1p-10},
        {AP_F8E5M2, 256, 6, 2, 57344, 0x1p-16}, {AP_F8E5M2FNUZ, 256, 1, 0, 57344, 0x1p-17},
        {AP_F4E2M1, 16, 0, 0, 6, 0.5},          {AP_BF16, 65536, 254, 2, 0x1.FEp127, 0x1p-133},
    };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        const ap_float_format *f = ap_float_format_of(facts[i].type);
        unsigned nans = 0, infs = 0;
        double max = 0, min = 1;
        for (unsigned c = 0; c < facts[i].codes; c++) {
            double v = ap_float_decode(f, c);
            nans += isnan(v) != 0;
            infs += isinf(v) != 0;
            if (isnan(v)) continue;
            if (!isinf(v) && v > max) max = v;
            if (v > 0 && v < min) min = v;
            if (!isinf(v) || !f->saturate) assert_int_equal(ap_float_encode(f, v), c);
        }
        assert_int_equal(nans, facts[i].nans);
        assert_int_equal(infs, facts[i].infs);
        assert_true(max == facts[i].max && min == facts[i].min);
        if (f->saturate) {
            assert_true(ap_float_decode(f, ap_float_encode(f, (double)INFINITY)) == max);
            assert_true(ap_float_decode(f, ap_float_encode(f, -1e9)) == -max);
        }
        if (nans > 0) assert_true(isnan(ap_float_decode(f, ap_float_encode(f, (double)NAN))));
        assert_true(ap_float_decode(f, ap_float_encode(f, min / 2)) == 0); // tie: to even
        assert_true(ap_float_decode(f, ap_float_encode(f, min * 0.75)) == min);
    }
    const ap_float_format *fp4 = ap_float_format_of(AP_F4E2M1);
    assert_true(ap_float_decode(fp4, ap_float_encode(fp4, 2.5)) == 2);
    assert_true(ap_float_decode(fp4, ap_float_encode(fp4, 3.5)) == 4);
    assert_true(ap_float_decode(fp4, ap_float_encode(fp4, 1.75)) == 2);
}

static void test_nibbles(void **state) {
    (void)state;
    unsigned char bytes[3] = {0x21, 0xF8, 0x07};
    ap_tensor u = view(AP_U4, 5, bytes, 3), s = view(AP_I4, 5, bytes, 3);
    double v[5];
    ap_tensor_to_f64(&u, 0, 5, v);
    assert_memory_equal(v, ((double[]){1, 2, 8, 15, 7}), sizeof v);
    ap_tensor_to_f64(&s, 0, 5, v);
    assert_memory_equal(v, ((double[]){1, 2, -8, -1, 7}), sizeof v);
    float w[2];
    ap_tensor_to_f32(&s, 3, 2, w);
    assert_true(w[0] == -1 && w[1] == 7);
    ap_tensor_put_f64(&s, 1, 3, (double[]){-100, 3.9, 100});
    assert_memory_equal(bytes, ((unsigned char[]){0x81, 0x73, 0x07}), 3);
    ap_tensor_put_f64(&u, 4, 1, (double[]){1e9});
    assert_int_equal(bytes[2], 0x0F);
}

static void test_cast_values(void **state) {
    (void)state;
    double in[] = {1.9, -1.9, 300, -300, (double)NAN, 1e30, -1e30, 0.5};
    ap_tensor t = view(AP_F64, 8, in, sizeof in), out;
    static const struct {
        ap_dtype to;
        double want[8];
    } cases[] = {
        {AP_I8, {1, -1, 127, -128, 0, 127, -128, 0}}, {AP_U8, {1, 0, 255, 0, 0, 255, 0, 0}},
        {AP_I4, {1, -1, 7, -8, 0, 7, -8, 0}},         {AP_I64, {1, -1, 300, -300, 0, 0x1p63, -0x1p63, 0}},
        {AP_U64, {1, 0, 300, 0, 0, 0x1p64, 0, 0}},    {AP_BOOL, {1, 1, 1, 1, 1, 1, 1, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_null(ap_tensor_cast(&t, cases[i].to, &out));
        for (size_t k = 0; k < 8; k++) assert_true(ap_tensor_at(&out, k) == cases[i].want[k]);
        ap_tensor_free(&out);
    }
    // Whole numbers over 2^53 stay exact, and saturate.
    int64_t big[] = {INT64_MAX - 1, INT64_MIN, -1, (1LL << 53) + 1};
    ap_tensor b = view(AP_I64, 4, big, sizeof big);
    assert_null(ap_tensor_cast(&b, AP_U64, &out));
    assert_memory_equal(out.data, ((uint64_t[]){(uint64_t)INT64_MAX - 1, 0, 0, (1ULL << 53) + 1}), 32);
    ap_tensor_free(&out);
    assert_null(ap_tensor_cast(&b, AP_I32, &out));
    assert_memory_equal(out.data, ((int32_t[]){INT32_MAX, INT32_MIN, -1, INT32_MAX}), 16);
    ap_tensor_free(&out);
    ap_err err = ap_tensor_cast(&b, AP_C64, &out);
    assert_int_equal(ap_err_code(err), AP_ERR_INPUT_DTYPE);
    assert_string_equal(ap_err_message(err), "cannot cast int64 to complex64");
    ap_err_free(err);
}

static void test_cast_round_trips(void **state) {
    (void)state;
    // Every dtype to F64 and back, over all 16-bit codes, through blocks of odd sizes and odd addresses.
    static unsigned char raw[65536 * 2 + 1];
    unsigned char *odd = raw + 1;
    for (unsigned c = 0; c < 65536; c++)
        odd[c * 2] = (unsigned char)c, odd[c * 2 + 1] = (unsigned char)(c >> 8);
    static const ap_dtype types[] = {AP_U8,   AP_I8,       AP_U16,        AP_I16, AP_U32, AP_I32,   AP_F16,
                                     AP_BF16, AP_F8E4M3FN, AP_F8E4M3FNUZ, AP_U4,  AP_I4,  AP_F4E2M1};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t count = 65536 * 16 / ap_dtype_bits(types[i]);
        ap_tensor t = view(types[i], (int64_t)count, odd, 65536 * 2), wide, back;
        assert_null(ap_tensor_cast(&t, AP_F64, &wide));
        assert_null(ap_tensor_cast(&wide, types[i], &back));
        for (size_t k = 0; k < count; k++)
            assert_true(same_double(ap_tensor_at(&t, k), ap_tensor_at(&back, k)));
        ap_tensor_free(&back);
        ap_tensor_free(&wide);
    }
}

static void test_find_nonfinite(void **state) {
    (void)state;
    ap_tensor t;
    assert_null(ap_tensor_alloc(AP_F32, (int64_t[]){3000}, 1, &t));
    assert_int_equal(ap_tensor_find_nonfinite(&t), -1);
    ((float *)t.data)[2999] = NAN;
    assert_int_equal(ap_tensor_find_nonfinite(&t), 2999);
    ((float *)t.data)[700] = -INFINITY;
    assert_int_equal(ap_tensor_find_nonfinite(&t), 700);
    t.dtype = AP_C64; // the same bytes: element 350 has a bad real part
    t.dims[0] = 1500;
    assert_int_equal(ap_tensor_find_nonfinite(&t), 350);
    t.dtype = AP_I32;
    t.dims[0] = 3000;
    assert_int_equal(ap_tensor_find_nonfinite(&t), -1);
    ap_tensor_free(&t);
}

static ap_tensor random_tensor(ap_dtype type, uint64_t seed, double lo, double hi) {
    ap_tensor t;
    assert_null(ap_tensor_alloc(type, (int64_t[]){1000}, 1, &t));
    assert_null(ap_tensor_random(&t, seed, lo, hi));
    return t;
}

// The bytes are a contract: seeds stand in records, and a golden run must be repeatable on another machine.
static void test_random_is_the_same_everywhere(void **state) {
    (void)state;
    static const struct {
        ap_dtype type;
        double lo, hi;
        const char *sha;
    } cases[] = {
        {AP_F32, -1, 1, "d46f865b0fe2d839"},    {AP_F64, 0, 3, "3859752b1bf90f1a"},
        {AP_F16, -2, 2, "d6bb7a2ace3122c9"},    {AP_I8, -128, 128, "43a11e854af18824"},
        {AP_I64, -5, 1000, "1990550c8865758e"}, {AP_BOOL, 0, 1, "729ab2e90056a514"},
        {AP_U4, 0, 16, "bd7df1ae0e8aacb1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ap_tensor t = random_tensor(cases[i].type, 42, cases[i].lo, cases[i].hi);
        ap_digest d = ap_sha256_of(t.data, t.bytes);
        d.hex[16] = '\0';
        assert_string_equal(d.hex, cases[i].sha);
        ap_tensor_free(&t);
    }
    // The first numbers of the published splitmix64 with seed 1234567.
    ap_tensor t;
    assert_null(ap_tensor_alloc(AP_U64, (int64_t[]){3}, 1, &t));
    assert_null(ap_tensor_random(&t, 1234567, 0, 0x1p64));
    assert_memory_equal(t.data,
                        ((uint64_t[]){6457827717110365317U, 3203168211198807973U, 9817491932198370423U}), 24);
    ap_tensor_free(&t);
}

static void test_random_stays_in_range(void **state) {
    (void)state;
    static const ap_dtype types[] = {AP_F16,    AP_BF16,       AP_F32,    AP_F64, AP_F8E4M3FN,
                                     AP_F8E5M2, AP_F8E4M3FNUZ, AP_F4E2M1, AP_I4,  AP_I8,
                                     AP_I16,    AP_I32,        AP_I64};
    static const double ranges[][2] = {{-1, 1}, {0, 2}, {-3, 0}, {1, 4}, {-6, -1}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (size_t k = 0; k < sizeof ranges / sizeof ranges[0]; k++) {
            ap_tensor t = random_tensor(types[i], 7 + k, ranges[k][0], ranges[k][1]);
            for (size_t j = 0; j < 1000; j++) {
                double v = ap_tensor_at(&t, j);
                assert_true(v >= ranges[k][0] && v < ranges[k][1]);
            }
            ap_tensor_free(&t);
        }
    }
    ap_tensor t = random_tensor(AP_I8, 3, -1e300, 1e300); // the whole type
    double min = 0, max = 0;
    for (size_t j = 0; j < 1000; j++)
        min = fmin(min, ap_tensor_at(&t, j)), max = fmax(max, ap_tensor_at(&t, j));
    assert_true(min < -120 && max > 120);
    ap_err err = ap_tensor_random(&t, 3, 0.2, 0.8);
    assert_int_equal(ap_err_code(err), AP_ERR_USAGE);
    assert_string_equal(ap_err_message(err), "no int8 lies in [0.20000000000000001, 0.80000000000000004)");
    ap_err_free(err);
    err = ap_tensor_random(&t, 3, 1, 1);
    assert_int_equal(ap_err_code(err), AP_ERR_USAGE);
    ap_err_free(err);
    ap_tensor_free(&t);
    assert_null(ap_tensor_alloc(AP_C64, (int64_t[]){4}, 1, &t));
    err = ap_tensor_random(&t, 3, 0, 1);
    assert_int_equal(ap_err_code(err), AP_ERR_INPUT_DTYPE);
    ap_err_free(err);
    ap_tensor_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16_all_codes),         cmocka_unit_test(test_f16_rounding),
        cmocka_unit_test(test_small_floats),          cmocka_unit_test(test_nibbles),
        cmocka_unit_test(test_cast_values),           cmocka_unit_test(test_cast_round_trips),
        cmocka_unit_test(test_find_nonfinite),        cmocka_unit_test(test_random_is_the_same_everywhere),
        cmocka_unit_test(test_random_stays_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
