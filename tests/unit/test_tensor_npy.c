// SPDX-License-Identifier: Apache-2.0
// npy files: round trips, exact errors, and damage at every byte.
#include "tensor/npy.h"
#include "test_tensor.h"

// A whole file in memory: version, dict (padding and newline are added here), then `data_bytes` zeros.
typedef struct npy_text {
    unsigned char bytes[2048];
    size_t n;
} npy_text;

static npy_text make_npy(unsigned major, const char *dict, size_t data_bytes) {
    npy_text f = {.n = 8};
    size_t length = strlen(dict) + 1, prefix = major == 1 ? 2 : 4;
    memcpy(f.bytes, "\x93NUMPY", 6);
    f.bytes[6] = (unsigned char)major;
    f.bytes[8] = (unsigned char)(length & 255U);
    f.bytes[9] = (unsigned char)(length >> 8);
    memcpy(f.bytes + 8 + prefix, dict, length - 1);
    f.bytes[8 + prefix + length - 1] = '\n';
    f.n = 8 + prefix + length + data_bytes;
    return f;
}

static void round_trip_all_dtypes(void **state) {
    scratch *s = *state;
    char *path = at(s, "t.npy");
    static const int64_t shapes[][3] = {{2, 3, 4}, {1, 1, 1}, {0, 3, 4}, {5, 1, 3}};
    for (int type = 1; type <= 23; type++) {
        if (type == AP_STRING) continue;
        for (size_t i = 0; i < 4; i++) {
            for (size_t rank = 0; rank <= 3; rank++) {
                ap_tensor t, back;
                must(ap_tensor_alloc((ap_dtype)type, shapes[i], rank, &t));
                for (size_t k = 0; k < t.bytes; k++)
                    ((unsigned char *)t.data)[k] = (unsigned char)(k * 37 + 11);
                must(ap_npy_write(path, &t));
                must(ap_npy_map(path, &back));
                assert_int_equal(back.bytes, t.bytes);
                assert_true(back.hold == AP_HOLD_MAP);
                if (t.bytes > 0) assert_memory_equal(back.data, t.data, t.bytes);
                assert_int_equal((uintptr_t)back.data % 64, 0);
                bool packed = ap_dtype_bits(t.dtype) < 8;
                if (packed)
                    assert_true(ap_shape_equal(back.dims, back.rank, (int64_t[]){(int64_t)t.bytes}, 1));
                else
                    assert_true(ap_shape_equal(back.dims, back.rank, t.dims, t.rank));
                ap_tensor_free(&back);
                ap_tensor_free(&t);
            }
        }
    }
    ap_tensor text = {.dtype = AP_STRING};
    must_fail(ap_npy_write(path, &text), AP_ERR_INPUT_DTYPE, "elements of type string have no fixed size");
}

static void dtypes_as_numpy_names_them(void **state) {
    (void)state;
    static const struct {
        const char *descr;
        ap_dtype type;
        size_t bytes;
    } cases[] = {{"<f4", AP_F32, 4},  {"|u1", AP_U8, 1},  {"<u1", AP_U8, 1},    {"|i1", AP_I8, 1},
                 {"<u2", AP_U16, 2},  {"<i2", AP_I16, 2}, {"<i4", AP_I32, 4},   {"<i8", AP_I64, 8},
                 {"|b1", AP_BOOL, 1}, {"<f2", AP_F16, 2}, {"<f8", AP_F64, 8},   {"<u4", AP_U32, 4},
                 {"<u8", AP_U64, 8},  {"<c8", AP_C64, 8}, {"<c16", AP_C128, 16}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned major = 1; major <= 3; major++) {
            char dict[128];
            (void)snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (), }",
                           cases[i].descr);
            npy_text f = make_npy(major, dict, cases[i].bytes);
            ap_tensor t = {0};
            must(ap_npy_parse(f.bytes, f.n, &t));
            assert_int_equal(t.dtype, cases[i].type);
            assert_int_equal(t.rank, 0);
        }
    }
}

static void exact_bytes_of_numpy(void **state) {
    scratch *s = *state;
    // numpy.save of np.array([[1, 2, 3]], dtype='<f4'), version 2.4
    static const char want[] =
        "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }"
        "                                                          \n"
        "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40";
    float v[] = {1, 2, 3};
    ap_tensor t;
    must(ap_tensor_view(AP_F32, (int64_t[]){1, 3}, 2, v, sizeof v, &t));
    must(ap_npy_write(at(s, "a.npy"), &t));
    ap_buf b = {0};
    must(ap_file_read(at(s, "a.npy"), 4096, &b));
    assert_int_equal(b.len, sizeof want - 1);
    assert_memory_equal(b.data, want, b.len);
    ap_buf_free(&b);
}

static void dict_forms_accepted(void **state) {
    (void)state;
    static const char *const good[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }",
        "{\"shape\": (2,1), \"fortran_order\": False, \"descr\": \"<f4\"}",
        " {'descr':'<f4','shape':( 2 , 1 , ),'fortran_order':False}      ",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        npy_text f = make_npy(1, good[i], 8);
        ap_tensor t = {0};
        must(ap_npy_parse(f.bytes, f.n, &t));
        assert_int_equal(ap_tensor_count(&t), 2);
    }
}

static void errors_are_exact(void **state) {
    (void)state;
#define D "'descr': '<f4', "
#define F "'fortran_order': False, "
#define S "'shape': (2,)"
    static const struct {
        const char *dict, *message;
    } bad[] = {
        {"", "npy header: expected { at byte 11"},
        {"{", "npy header: expected a string at byte 12"},
        {"{" D F "}", "npy header: no 'shape' at byte 53"},
        {"{" D S "}", "npy header: no 'fortran_order' at byte 42"},
        {"{" F S "}", "npy header: no 'descr' at byte 50"},
        {"{" D F S "} x", "npy header: text behind the dict at byte 66"},
        {"{" D D F S "}", "npy header: repeated key 'descr' at byte 27"},
        {"{" D F S ", 'x': 1}", "npy header: unknown key 'x' at byte 66"},
        {"{" D F "'shape': (2)}", "npy header: expected a tuple, found a number in parentheses at byte 63"},
        {"{" D F "'shape': (-2,)}", "npy header: expected a size at byte 61"},
        {"{" D F "'shape': (2 3)}", "npy header: expected , or ) at byte 63"},
        {"{" D F "'shape': 2}", "npy header: expected a tuple at byte 60"},
        {"{" D F "'shape': (99999999999999999999,)}", "npy header: size too big at byte 79"},
        {"{" D F "'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
         "npy header: more than 16 dimensions at byte 93"},
        {"{" D F "'shape': (4294967296, 4294967296, 4)}",
         "npy header: shape 4294967296x4294967296x4 has too many elements"},
        {"{'descr': '<f4\\n', " F S "}", "npy header: unreadable string at byte 24"},
        {"{'descr': '<f4444444444444444444444444444444444', " F S "}",
         "npy header: string too long at byte 52"},
        {"{'descr': '>f4', " F S "}", "npy header: element type '>f4' is not supported"},
        {"{'descr': '|O', " F S "}", "npy header: element type '|O' is not supported"},
        {"{'descr': '', " F S "}", "npy header: element type '' is not supported"},
        {"{'descr': [('a', '<f4')], " F S "}", "npy header: structured arrays are not supported at byte 20"},
        {"{" D "'fortran_order': True, " S "}", "npy header: the array is in Fortran order at byte 48"},
        {"{" D "'fortran_order': 0, " S "}", "npy header: expected True or False at byte 44"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        npy_text f = make_npy(1, bad[i].dict, 8);
        ap_tensor t = {0};
        ap_err err = ap_npy_parse(f.bytes, f.n, &t);
        uint64_t where;
        assert_true(ap_err_offset(err, &where));
        must_fail(err, AP_ERR_INPUT_FILE, bad[i].message);
        assert_null(t.data);
    }
    npy_text f = make_npy(1, "{'descr': '>f4', " F S "}", 8);
    ap_tensor t = {0};
    ap_err err = ap_npy_parse(f.bytes, f.n, &t);
    assert_string_equal(ap_err_get_hint(err),
                        "the file is big-endian; save it again with a.astype(a.dtype.newbyteorder('<'))");
    ap_err_free(err);
}

static void sizes_are_exact(void **state) {
    scratch *s = *state;
    static const char dict[] = "{" D F S "}";
    ap_tensor t = {0};
    npy_text f = make_npy(1, dict, 9);
    must_fail(ap_npy_parse(f.bytes, f.n, &t), AP_ERR_INPUT_FILE,
              "npy data: the header asks for 8 bytes, the file has 9");
    must_fail(ap_npy_parse(f.bytes, f.n - 2, &t), AP_ERR_INPUT_FILE,
              "npy data: the header asks for 8 bytes, the file has 7");
    f.bytes[6] = 4;
    must_fail(ap_npy_parse(f.bytes, f.n, &t), AP_ERR_INPUT_FILE,
              "npy format 4.0 is unknown (1.0 to 3.0 are read)");
    f = make_npy(2, dict, 8);
    f.bytes[10] = 1;
    must_fail(ap_npy_parse(f.bytes, f.n, &t), AP_ERR_INPUT_FILE,
              "npy header of 65592 bytes is over the limit of 65536");
    f = make_npy(1, dict, 8);
    f.bytes[9] = 255;
    must_fail(ap_npy_parse(f.bytes, f.n, &t), AP_ERR_INPUT_FILE,
              "npy header needs 65336 bytes, the file has 64 left");
    must_fail(ap_npy_parse("PK", 2, &t), AP_ERR_INPUT_FILE,
              "not an npy file: it does not begin with \\x93NUMPY");
    must_fail(ap_npy_parse(NULL, 0, &t), AP_ERR_INPUT_FILE,
              "not an npy file: it does not begin with \\x93NUMPY");
    char *path = at(s, "bad.npy");
    must(ap_file_write(path, "hello", 5));
    ap_err err = ap_npy_map(path, &t);
    assert_string_equal(ap_err_get_subject(err), path);
    ap_err_free(err);
    err = ap_npy_map(at(s, "none.npy"), &t);
    assert_int_equal(ap_err_code(err), AP_ERR_NOT_FOUND);
    ap_err_free(err);
}
#undef D
#undef F
#undef S

// Exactly-sized heap copies, so that AddressSanitizer sees one byte too many.
static void truncated_at_every_byte(void **state) {
    (void)state;
    for (unsigned major = 1; major <= 3; major++) {
        npy_text f = make_npy(major, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24);
        for (size_t n = 0; n <= f.n; n++) {
            unsigned char *copy = malloc(n ? n : 1);
            assert_non_null(copy);
            memcpy(copy, f.bytes, n);
            ap_tensor t = {0};
            ap_err err = ap_npy_parse(copy, n, &t);
            assert_int_equal(ap_err_code(err), n == f.n ? AP_OK : AP_ERR_INPUT_FILE);
            ap_err_free(err);
            free(copy);
        }
    }
}

// Every single bit of the header flipped: an error, or a tensor that lies inside of the file.
static void flipped_bits(void **state) {
    (void)state;
    npy_text whole = make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24);
    size_t accepted = 0;
    for (size_t bit = 0; bit < (whole.n - 24) * 8; bit++) {
        npy_text f = whole;
        f.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
        ap_tensor t = {0};
        ap_err err = ap_npy_parse(f.bytes, f.n, &t);
        if (!err) {
            accepted++;
            assert_true((unsigned char *)t.data >= f.bytes &&
                        (unsigned char *)t.data + t.bytes == f.bytes + f.n);
        } else {
            assert_int_equal(ap_err_code(err), AP_ERR_INPUT_FILE);
        }
        ap_err_free(err);
    }
    assert_in_range(accepted, 1, 20); // '<i4' and '<u4' and the like, spaces that become other white space
}

static void created_files_are_written_in_place(void **state) {
    scratch *s = *state;
    char *path = at(s, "c.npy");
    ap_tensor t, back;
    must(ap_npy_create(path, AP_I32, (int64_t[]){2, 2}, 2, &t));
    memcpy(t.data, ((int32_t[]){1, -2, 3, -4}), 16);
    ap_tensor_free(&t);
    must(ap_npy_map(path, &back));
    assert_true(back.dtype == AP_I32 && ap_tensor_at(&back, 3) == -4);
    must_fail(ap_tensor_random(&back, 1, 0, 1), AP_ERR_INTERNAL, "random fill of a tensor mapped read-only");
    ap_tensor_free(&back);
    must(ap_npy_create(path, AP_U4, (int64_t[]){3, 1}, 2, &t));
    assert_true(t.dtype == AP_U4 && t.rank == 2 && t.bytes == 2);
    memcpy(t.data, "\x21\x03", 2);
    ap_tensor_free(&t);
    must(ap_npy_map(path, &back));
    assert_true(back.dtype == AP_U8 && back.bytes == 2 && back.rank == 1);
    ap_tensor_free(&back);
    must(ap_npy_create(path, AP_F32, (int64_t[]){0}, 1, &t));
    ap_tensor_free(&t);
    must(ap_npy_map(path, &back));
    assert_true(back.bytes == 0 && back.data == NULL);
    ap_tensor_free(&back);
}

static void raw_files(void **state) {
    scratch *s = *state;
    char *path = at(s, "x.raw");
    float v[4] = {1, 2, 3, 4};
    ap_tensor t = {0};
    must(ap_file_write(path, v, sizeof v));
    must(ap_raw_map(path, AP_F32, (int64_t[]){2, 2}, 2, &t));
    assert_true(ap_tensor_at(&t, 3) == 4);
    ap_tensor_free(&t);
    ap_err err = ap_raw_map(path, AP_F32, (int64_t[]){1, 5}, 2, &t);
    assert_string_equal(ap_err_get_subject(err), path);
    must_fail(err, AP_ERR_INPUT_FILE, "float32 of shape 1x5 needs 20 bytes, the file has 16");
    must_fail(ap_raw_map(path, AP_F32, (int64_t[]){-1}, 1, &t), AP_ERR_MODEL_DIMS,
              "dimension 0 is negative (-1)");
}

static void odd_header_length_is_realigned(void **state) {
    scratch *s = *state;
    char *path = at(s, "odd.npy");
    npy_text f = make_npy(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", 8);
    double one = 1;
    memcpy(f.bytes + f.n - 8, &one, 8);
    must(ap_file_write(path, f.bytes, f.n));
    ap_tensor t;
    must(ap_npy_map(path, &t));
    assert_int_equal((uintptr_t)t.data % 8, 0);
    assert_true(((double *)t.data)[0] == 1);
    ap_tensor_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_all_dtypes),
        cmocka_unit_test(dtypes_as_numpy_names_them),
        cmocka_unit_test(exact_bytes_of_numpy),
        cmocka_unit_test(dict_forms_accepted),
        cmocka_unit_test(errors_are_exact),
        cmocka_unit_test(sizes_are_exact),
        cmocka_unit_test(truncated_at_every_byte),
        cmocka_unit_test(flipped_bits),
        cmocka_unit_test(created_files_are_written_in_place),
        cmocka_unit_test(raw_files),
        cmocka_unit_test(odd_header_length_is_realigned),
    };
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
