// SPDX-License-Identifier: Apache-2.0
// png through libpng. The full API and not png_image_*: the simplified one applies gamma to 16-bit files and
// blends alpha, so the numbers would differ from what OpenCV and Pillow feed to a model.
#include "tensor/image_decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

typedef struct png_job {
    const unsigned char *data;
    size_t bytes, pos;
    png_structp png;
    png_infop info;
    char message[256];
    ap_err err;
    ap_pixels pixels;
} png_job;

_Noreturn static void on_error(png_structp png, png_const_charp text) {
    png_job *job = png_get_error_ptr(png);
    (void)snprintf(job->message, sizeof job->message, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text; // warnings are about ancillary chunks; damaged pixels fail their CRC, which is an error
}

static void on_read(png_structp png, png_bytep out, size_t n) {
    png_job *job = png_get_io_ptr(png);
    if (job->bytes - job->pos < n) png_error(png, "the file ends too early");
    memcpy(out, job->data + job->pos, n);
    job->pos += n;
}

// Whatever the file holds becomes 8-bit RGB.
static void ask_for_rgb8(png_job *job) {
    png_structp png = job->png;
    png_byte type = png_get_color_type(png, job->info), depth = png_get_bit_depth(png, job->info);
    if (depth == 16) png_set_strip_16(png);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (type == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_GRAY_ALPHA) png_set_gray_to_rgb(png);
    png_set_strip_alpha(png); // also what a palette's tRNS chunk expands to
}

static void decode(png_job *job) {
    png_structp png = job->png;
    png_set_read_fn(png, job, on_read);
    png_read_info(png, job->info);
    size_t width = png_get_image_width(png, job->info), height = png_get_image_height(png, job->info);
    ask_for_rgb8(job);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, job->info);
    if (png_get_rowbytes(png, job->info) != width * 3)
        png_error(png, "rows are not 8-bit RGB after conversion");
    job->err = ap_pixels_alloc(width, height, &job->pixels);
    if (job->err) return;
    // Interlaced files come in seven passes over the same rows, so rows must start defined.
    if (passes > 1) memset(job->pixels.rgb, 0, width * height * 3);
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++) png_read_row(png, job->pixels.rgb + y * width * 3, NULL);
    png_read_end(png, NULL); // finds a missing end
}

ap_err ap_image_decode_png(const void *data, size_t bytes, ap_pixels *out) {
    png_job *job = ap_calloc(1, sizeof *job);
    job->data = data;
    job->bytes = bytes;
    job->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, job, on_error, on_warning);
    if (job->png) job->info = png_create_info_struct(job->png);
    if (!job->info)
        job->err = ap_err_new(AP_ERR_NO_MEMORY, "no memory for the png decoder");
    else if (setjmp(png_jmpbuf(job->png)) == 0)
        decode(job);
    else
        job->err = ap_err_new(AP_ERR_INPUT_FILE, "unreadable png image: %s", job->message);
    ap_err err = job->err;
    png_destroy_read_struct(&job->png, &job->info, NULL);
    if (err)
        ap_pixels_free(&job->pixels);
    else
        *out = job->pixels;
    free(job);
    return err;
}
