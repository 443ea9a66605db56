// SPDX-License-Identifier: Apache-2.0
// Images made here by libjpeg and libpng, decoded by the tensor room, against values worked out by hand.
#include "tensor/image.h"
#include "test_tensor.h"

#include <jpeglib.h>
#include <png.h>

// Writes a png of any type; `rows` are its raw bytes, `stride` long.
static void put_png(const char *path, int w, int h, int depth, int type, int interlace, const png_byte *rows,
                    size_t stride) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, f);
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, depth, type, interlace,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_color palette[2] = {{10, 20, 30}, {200, 100, 50}};
    png_byte trans[1] = {0};
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_set_PLTE(png, info, palette, 2);
        png_set_tRNS(png, info, trans, 1, NULL);
    }
    png_write_info(png, info);
    int passes = png_set_interlace_handling(png);
    for (int p = 0; p < passes; p++)
        for (int y = 0; y < h; y++) png_write_row(png, rows + (size_t)y * stride);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    assert_int_equal(fclose(f), 0);
}

static void put_jpeg(const char *path, int w, int h, int components, J_COLOR_SPACE space, bool progressive,
                     const unsigned char *rows) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_stdio_dest(&c, f);
    c.image_width = (JDIMENSION)w;
    c.image_height = (JDIMENSION)h;
    c.input_components = components;
    c.in_color_space = space;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 100, TRUE);
    c.comp_info[0].h_samp_factor = c.comp_info[0].v_samp_factor = 1; // no chroma subsampling
    if (progressive) jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(rows + (size_t)c.next_scanline * (size_t)w * (size_t)components);
        (void)jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    assert_int_equal(fclose(f), 0);
}

// 2 wide, 2 high: red, green / blue, gray
static const unsigned char four[12] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 100, 100, 100};

static void put_four(scratch *s) {
    put_png(at(s, "four.png"), 2, 2, 8, PNG_COLOR_TYPE_RGB, 0, four, 6);
}

// Loads `name` by a recipe into F32 and compares all values.
static void loads_as(scratch *s, const char *name, const char *recipe, const int64_t *dims, size_t rank,
                     const float *want) {
    ap_image_recipe r;
    ap_tensor t;
    must(ap_image_recipe_parse(recipe, &r));
    must(ap_image_load(at(s, name), &r, AP_F32, dims, rank, &t));
    const float *got = t.data;
    for (size_t i = 0; i < ap_tensor_count(&t); i++)
        if (fabsf(got[i] - want[i]) > 1e-4F)
            fail_msg("%s by %s: element %zu is %g, not %g", name, recipe, i, (double)got[i], (double)want[i]);
    ap_tensor_free(&t);
}

static void layouts_and_colors(void **state) {
    scratch *s = *state;
    put_four(s);
    static const int64_t planar[] = {1, 3, 2, 2}, packed[] = {1, 2, 2, 3};
    loads_as(s, "four.png", "resize=none,scale=1", planar, 4,
             (float[]){255, 0, 0, 100, 0, 255, 0, 100, 0, 0, 255, 100});
    loads_as(s, "four.png", "resize=none,scale=1", planar + 1, 3,
             (float[]){255, 0, 0, 100, 0, 255, 0, 100, 0, 0, 255, 100});
    loads_as(s, "four.png", "resize=none,scale=1,color=bgr", planar, 4,
             (float[]){0, 0, 255, 100, 0, 255, 0, 100, 255, 0, 0, 100});
    loads_as(s, "four.png", "resize=none,scale=1,layout=nhwc", packed, 4,
             (float[]){255, 0, 0, 0, 255, 0, 0, 0, 255, 100, 100, 100});
    loads_as(s, "four.png", "resize=none,scale=1,layout=nhwc,color=bgr", packed, 4,
             (float[]){0, 0, 255, 0, 255, 0, 255, 0, 0, 100, 100, 100});
    // 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.1, rounded to bytes
    loads_as(s, "four.png", "resize=none,scale=1,color=gray", (int64_t[]){1, 1, 2, 2}, 4,
             (float[]){76, 150, 29, 100});
    // (v / 255 - mean) / std, by channel; means follow the channels after the colour order.
    loads_as(s, "four.png", "resize=none,mean=0.5/0/1,std=0.5/1/2", planar, 4,
             (float[]){1, -1, -1, -0.215686F, 0, 1, 0, 0.392157F, -0.5F, -0.5F, 0, -0.303922F});
    loads_as(s, "four.png", "resize=none,scale=1,color=bgr,mean=255/0/0", planar, 4,
             (float[]){-255, -255, 0, -155, 0, 255, 0, 100, 255, 0, 0, 100});
}

static void resizing(void **state) {
    scratch *s = *state;
    static const unsigned char ramp[4] = {0, 100, 200, 40};
    put_png(at(s, "ramp.png"), 4, 1, 8, PNG_COLOR_TYPE_GRAY, 0, ramp, 4);
    // 4 to 8: centres fall at -0.25, 0.25, 0.75, 1.25, ...
    loads_as(s, "ramp.png", "resize=stretch,scale=1,color=gray", (int64_t[]){1, 1, 1, 8}, 4,
             (float[]){0, 25, 75, 125, 175, 160, 80, 40});
    // 4 to 2: centres at 0.5 and 2.5, no antialiasing. 4 to 3: at 1/6, 1.5, 2 5/6.
    loads_as(s, "ramp.png", "resize=stretch,scale=1,color=gray", (int64_t[]){1, 1, 1, 2}, 4,
             (float[]){50, 120});
    loads_as(s, "ramp.png", "resize=stretch,scale=1,color=gray", (int64_t[]){1, 1, 2, 3}, 4,
             (float[]){100.0F / 6, 150, 200 - 160 * 5.0F / 6, 100.0F / 6, 150, 200 - 160 * 5.0F / 6});
    // Letterbox 4x1 in 4x4: three rows over, rint(1.5 - 0.1) = 1 above, 2 below.
    loads_as(s, "ramp.png", "resize=letterbox,scale=1,color=gray,pad=7", (int64_t[]){1, 1, 4, 4}, 4,
             (float[]){7, 7, 7, 7, 0, 100, 200, 40, 7, 7, 7, 7, 7, 7, 7, 7});
    // Crop to 2x2: ratio 2, 8 columns virtually, the middle two (3 and 4) of the list above.
    loads_as(s, "ramp.png", "resize=crop,scale=1,color=gray", (int64_t[]){1, 1, 2, 2}, 4,
             (float[]){125, 175, 125, 175});
    put_four(s);
    // Both axes: the middle of 2x2 to 3x3 is the mean of all four.
    loads_as(s, "four.png", "resize=stretch,scale=1,color=gray", (int64_t[]){1, 1, 3, 3}, 4,
             (float[]){76, 113, 150, 52.5F, 88.75F, 125, 29, 64.5F, 100});
    // The pad is a pixel value: it is scaled and normalised too.
    loads_as(s, "ramp.png", "color=gray,pad=255,mean=0.5", (int64_t[]){1, 1, 2, 4}, 4,
             (float[]){-0.5F, -0.107843F, 0.284314F, -0.343137F, 0.5F, 0.5F, 0.5F, 0.5F});
    // A very long picture by crop must not become an 80000-column one in memory.
    static unsigned char line[40000];
    line[19999] = line[20000] = 90;
    put_png(at(s, "line.png"), 40000, 1, 8, PNG_COLOR_TYPE_GRAY, 0, line, sizeof line);
    loads_as(s, "line.png", "resize=crop,scale=1,color=gray", (int64_t[]){1, 1, 2, 2}, 4,
             (float[]){90, 90, 90, 90});
}

static void open_sizes(void **state) {
    scratch *s = *state;
    put_four(s);
    ap_image_recipe r;
    ap_tensor t;
    must(ap_image_recipe_parse("size=6x5", &r));
    must(ap_image_load(at(s, "four.png"), &r, AP_F32, (int64_t[]){-1, 3, -1, -1}, 4, &t));
    assert_true(ap_shape_equal(t.dims, t.rank, (int64_t[]){1, 3, 5, 6}, 4));
    ap_tensor_free(&t);
    must(ap_image_recipe_parse("resize=none,layout=nhwc", &r));
    must(ap_image_load(at(s, "four.png"), &r, AP_F32, (int64_t[]){-1, -1, -1}, 3, &t));
    assert_true(ap_shape_equal(t.dims, t.rank, (int64_t[]){2, 2, 3}, 3));
    ap_tensor_free(&t);
}

static void dtypes(void **state) {
    scratch *s = *state;
    put_four(s);
    ap_image_recipe r;
    ap_tensor t;
    must(ap_image_recipe_parse("resize=none,scale=1,color=gray,mean=100", &r));
    static const struct {
        ap_dtype type;
        double want[4];
    } cases[] = {{AP_U8, {0, 50, 0, 0}},
                 {AP_I8, {-24, 50, -71, 0}},
                 {AP_F16, {-24, 50, -71, 0}},
                 {AP_I32, {-24, 50, -71, 0}}};
    for (size_t i = 0; i < 4; i++) {
        must(ap_image_load(at(s, "four.png"), &r, cases[i].type, (int64_t[]){1, 1, 2, 2}, 4, &t));
        for (size_t k = 0; k < 4; k++) assert_true(ap_tensor_at(&t, k) == cases[i].want[k]);
        ap_tensor_free(&t);
    }
    r.std[0] = 3; // 50 / 3 = 16.67: rounded, not cut
    must(ap_image_load(at(s, "four.png"), &r, AP_I8, (int64_t[]){1, 1, 2, 2}, 4, &t));
    assert_true(ap_tensor_at(&t, 1) == 17);
    ap_tensor_free(&t);
    must_fail(ap_image_load(at(s, "four.png"), &r, AP_I4, (int64_t[]){1, 1, 2, 2}, 4, &t), AP_ERR_INPUT_DTYPE,
              "an image cannot become a tensor of int4");
}

static void png_kinds(void **state) {
    scratch *s = *state;
    static const int64_t dims[] = {1, 3, 1, 2};
    static const unsigned char rgba[8] = {10, 20, 30, 0, 40, 50, 60, 128}, ga[4] = {9, 0, 8, 255};
    static const unsigned char deep[12] = {1, 255, 2, 0, 3, 0, 4, 0, 5, 0, 6, 255}, bits[1] = {0x40},
                               index[1] = {0x40};
    put_png(at(s, "rgba.png"), 2, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, 0, rgba, 8);
    loads_as(s, "rgba.png", "resize=none,scale=1", dims, 4, (float[]){10, 40, 20, 50, 30, 60});
    put_png(at(s, "ga.png"), 2, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, 0, ga, 4);
    loads_as(s, "ga.png", "resize=none,scale=1", dims, 4, (float[]){9, 8, 9, 8, 9, 8});
    put_png(at(s, "deep.png"), 2, 1, 16, PNG_COLOR_TYPE_RGB, 0, deep, 12);
    loads_as(s, "deep.png", "resize=none,scale=1", dims, 4, (float[]){1, 4, 2, 5, 3, 6});
    put_png(at(s, "bits.png"), 2, 1, 1, PNG_COLOR_TYPE_GRAY, 0, bits, 1);
    loads_as(s, "bits.png", "resize=none,scale=1", dims, 4, (float[]){0, 255, 0, 255, 0, 255});
    put_png(at(s, "pal.png"), 2, 1, 1, PNG_COLOR_TYPE_PALETTE, 0, index, 1);
    loads_as(s, "pal.png", "resize=none,scale=1", dims, 4, (float[]){10, 200, 20, 100, 30, 50});
    put_png(at(s, "inter.png"), 2, 2, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, four, 6);
    loads_as(s, "inter.png", "resize=none,scale=1,color=gray", (int64_t[]){1, 1, 2, 2}, 4,
             (float[]){76, 150, 29, 100});
}

static void jpeg_kinds(void **state) {
    scratch *s = *state;
    // One flat colour survives quality 100 within 2 steps, whatever the block transform rounds.
    unsigned char flat[16 * 16 * 4];
    for (size_t i = 0; i < 256; i++) memcpy(flat + i * 3, (unsigned char[]){200, 100, 50}, 3);
    put_jpeg(at(s, "rgb.jpg"), 16, 16, 3, JCS_RGB, false, flat);
    put_jpeg(at(s, "prog.jpg"), 16, 16, 3, JCS_RGB, true, flat);
    static const char *const names[] = {"rgb.jpg", "prog.jpg"};
    ap_image_recipe r;
    ap_tensor t;
    must(ap_image_recipe_parse("resize=none,scale=1", &r));
    for (size_t k = 0; k < 2; k++) {
        assert_true(ap_image_is_image(at(s, names[k])));
        must(ap_image_load(at(s, names[k]), &r, AP_F32, (int64_t[]){1, 3, 16, 16}, 4, &t));
        for (size_t i = 0; i < 256; i++) {
            assert_true(fabs(ap_tensor_at(&t, i) - 200) <= 2 && fabs(ap_tensor_at(&t, 256 + i) - 100) <= 2 &&
                        fabs(ap_tensor_at(&t, 512 + i) - 50) <= 2);
        }
        ap_tensor_free(&t);
    }
    memset(flat, 77, sizeof flat);
    put_jpeg(at(s, "gray.jpg"), 16, 16, 1, JCS_GRAYSCALE, false, flat);
    must(ap_image_load(at(s, "gray.jpg"), &r, AP_F32, (int64_t[]){1, 3, 16, 16}, 4, &t));
    for (size_t i = 0; i < 768; i++) assert_true(fabs(ap_tensor_at(&t, i) - 77) <= 1);
    ap_tensor_free(&t);
    put_jpeg(at(s, "cmyk.jpg"), 16, 16, 4, JCS_CMYK, false, flat);
    ap_err err = ap_image_load(at(s, "cmyk.jpg"), &r, AP_F32, (int64_t[]){1, 3, 16, 16}, 4, &t);
    assert_string_equal(ap_err_get_subject(err), at(s, "cmyk.jpg"));
    must_fail(err, AP_ERR_INPUT_FILE, "CMYK jpg images are not supported");
}

static void shape_errors(void **state) {
    scratch *s = *state;
    put_four(s);
    static const struct {
        const char *recipe;
        int64_t dims[5];
        size_t rank;
        const char *message;
    } bad[] = {
        {"", {3, 2}, 2, "an image does not fit the shape 3x2: it has neither 3 nor 4 dimensions"},
        {"", {2, 3, 4, 4}, 4, "an image does not fit the shape 2x3x4x4: the batch is not 1"},
        {"", {1, 4, 4, 3}, 4, "an image does not fit the shape 1x4x4x3: NCHW colour needs 3 channels"},
        {"layout=nhwc",
         {1, 3, 4, 4},
         4,
         "an image does not fit the shape 1x3x4x4: NHWC colour needs 3 channels"},
        {"color=gray", {1, 3, 4, 4}, 4, "an image does not fit the shape 1x3x4x4: NCHW gray needs 1 channel"},
        {"", {1, 3, 0, 4}, 4, "an image does not fit the shape 1x3x0x4: a side is 0 or negative"},
        {"",
         {1, 3, 20000, 20000},
         4,
         "an image does not fit the shape 1x3x20000x20000: it has over 100 million pixels"},
        {"", {1, 3, -1, 4}, 4, "the input's height is open"},
        {"size=8x4", {1, 3, 4, 4}, 4, "the recipe's width is 8, the input's 4"},
        {"resize=none", {1, 3, 2, 4}, 4, "the image's width is 2, the input's 4"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ap_image_recipe r;
        ap_tensor t = {0};
        must(ap_image_recipe_parse(bad[i].recipe, &r));
        must_fail(ap_image_load(at(s, "four.png"), &r, AP_F32, bad[i].dims, bad[i].rank, &t),
                  AP_ERR_INPUT_SHAPE, bad[i].message);
        assert_null(t.data);
    }
}

// Every shorter file is an error, never half a picture.
static void truncated_at_every_byte(void **state) {
    scratch *s = *state;
    unsigned char noise[24 * 24 * 3];
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (unsigned char)(i * i * 31 >> 3);
    put_png(at(s, "n.png"), 24, 24, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7, noise, 72);
    put_jpeg(at(s, "n.jpg"), 24, 24, 3, JCS_RGB, false, noise);
    put_jpeg(at(s, "p.jpg"), 24, 24, 3, JCS_RGB, true, noise);
    static const char *const names[] = {"n.png", "n.jpg", "p.jpg"};
    ap_image_recipe r;
    must(ap_image_recipe_parse("resize=none", &r));
    for (size_t k = 0; k < 3; k++) {
        ap_buf whole = {0};
        must(ap_file_read(at(s, names[k]), 1 << 20, &whole));
        for (size_t n = 0; n <= whole.len; n += n + 40 < whole.len ? 7 : 1) {
            ap_tensor t = {0};
            FILE *f = fopen(at(s, "cut"), "wb"); // plain: the fsync of ap_file_write would take minutes here
            assert_non_null(f);
            assert_int_equal(fwrite(whole.data, 1, n, f), n);
            assert_int_equal(fclose(f), 0);
            ap_err err = ap_image_load(at(s, "cut"), &r, AP_F32, (int64_t[]){1, 3, 24, 24}, 4, &t);
            if (n == whole.len) {
                must(err);
            } else if (ap_err_code(err) != AP_ERR_INPUT_FILE) {
                fail_msg("%s cut to %zu of %zu bytes: %s", names[k], n, whole.len, ap_err_message(err));
            }
            ap_err_free(err);
            ap_tensor_free(&t);
        }
        ap_buf_free(&whole);
    }
}

// The CRC-32 of png chunks (ISO 3309), bit by bit.
static uint32_t png_crc(const unsigned char *p, size_t n) {
    uint32_t c = 0xFFFFFFFFU;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) c = c & 1U ? 0xEDB88320U ^ c >> 1 : c >> 1;
    }
    return ~c;
}

static void bad_files(void **state) {
    scratch *s = *state;
    ap_image_recipe r;
    ap_tensor t = {0};
    static const int64_t dims[] = {1, 3, 2, 2};
    ap_image_recipe_default(&r);
    must(ap_file_write(at(s, "x.txt"), "GIF89a", 6));
    assert_false(ap_image_is_image(at(s, "x.txt")));
    assert_false(ap_image_is_image(at(s, "none")));
    must_fail(ap_image_load(at(s, "x.txt"), &r, AP_F32, dims, 4, &t), AP_ERR_INPUT_FILE,
              "neither a jpg nor a png image");
    // A png whose header promises more pixels than anyone has memory for.
    put_four(s);
    ap_buf b = {0};
    must(ap_file_read(at(s, "four.png"), 4096, &b));
    b.data[17] = 0x0F, b.data[21] = 0x0F; // 983042 x 983042, and a wrong CRC
    must(ap_file_write(at(s, "huge.png"), b.data, b.len));
    must_fail(ap_image_load(at(s, "huge.png"), &r, AP_F32, dims, 4, &t), AP_ERR_INPUT_FILE,
              "unreadable png image: IHDR: CRC error");
    uint32_t crc = png_crc((const unsigned char *)b.data + 12, 17);
    for (size_t i = 0; i < 4; i++) b.data[29 + i] = (char)(crc >> (24 - 8 * i) & 255U);
    must(ap_file_write(at(s, "huge.png"), b.data, b.len));
    must_fail(ap_image_load(at(s, "huge.png"), &r, AP_F32, dims, 4, &t), AP_ERR_INPUT_FILE,
              "image of 983042x983042 is over the limit of 100000000 pixels");
    ap_buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_and_colors), cmocka_unit_test(resizing),
        cmocka_unit_test(open_sizes),         cmocka_unit_test(dtypes),
        cmocka_unit_test(png_kinds),          cmocka_unit_test(jpeg_kinds),
        cmocka_unit_test(shape_errors),       cmocka_unit_test(truncated_at_every_byte),
        cmocka_unit_test(bad_files),
    };
    return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
