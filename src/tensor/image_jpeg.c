// SPDX-License-Identifier: Apache-2.0
// jpg through libjpeg. libjpeg reports errors by a callback that must not return, so the callback longjmps
// back. Everything that must survive the jump lives in one struct behind a pointer, never in locals.
#include "tensor/image_decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

// A few hundred bytes of a progressive file can ask for millions of passes over the whole image.
enum { MAX_SCANS = 500 };

typedef struct jpeg_job {
    struct jpeg_error_mgr errors; // first: libjpeg hands this pointer back
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct dec;
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
    ap_err err;
    ap_pixels pixels;
} jpeg_job;

_Noreturn static void on_error(j_common_ptr dec) {
    jpeg_job *job = dec->client_data;
    if (!job->message[0]) dec->err->format_message(dec, job->message);
    longjmp(job->escape, 1);
}

// libjpeg only warns where it makes up missing pixels. A half gray picture would go into the golden run
// unseen, so a warning is an error, but for those about odd markers, which cameras write and which lose
// nothing.
static void on_message(j_common_ptr dec, int level) {
    if (level >= 0) return; // trace
    switch (dec->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_TOO_MUCH_DATA: break;
    default: on_error(dec);
    }
}

static void on_output(j_common_ptr dec) {
    (void)dec;
}

static void on_progress(j_common_ptr dec) {
    jpeg_job *job = dec->client_data;
    if (job->dec.input_scan_number <= MAX_SCANS) return;
    (void)snprintf(job->message, sizeof job->message, "more than %d scans", MAX_SCANS);
    on_error(dec);
}

static void decode(jpeg_job *job, const void *data, size_t bytes) {
    struct jpeg_decompress_struct *dec = &job->dec;
    jpeg_create_decompress(dec);
    dec->client_data = job; // jpeg_create_decompress keeps it too; set for readers of this code
    dec->progress = &job->progress;
    job->progress.progress_monitor = on_progress;
    jpeg_mem_src(dec, data, (unsigned long)bytes);
    (void)jpeg_read_header(dec, TRUE);
    if (dec->jpeg_color_space == JCS_CMYK || dec->jpeg_color_space == JCS_YCCK) {
        job->err = ap_err_hint(ap_err_new(AP_ERR_INPUT_FILE, "CMYK jpg images are not supported"),
                               "convert it: convert in.jpg -colorspace sRGB out.jpg");
        return;
    }
    job->err = ap_pixels_alloc(dec->image_width, dec->image_height, &job->pixels);
    if (job->err) return;
    dec->out_color_space = JCS_RGB; // gray too: libjpeg-turbo expands it
    dec->dct_method = JDCT_ISLOW;   // the exact one; the default, said because results must not depend on it
    (void)jpeg_start_decompress(dec);
    while (dec->output_scanline < dec->output_height) {
        JSAMPROW row = job->pixels.rgb + (size_t)dec->output_scanline * job->pixels.width * 3;
        (void)jpeg_read_scanlines(dec, &row, 1);
    }
    (void)jpeg_finish_decompress(dec); // finds a missing end marker
}

ap_err ap_image_decode_jpeg(const void *data, size_t bytes, ap_pixels *out) {
    jpeg_job *job = ap_calloc(1, sizeof *job);
    job->dec.err = jpeg_std_error(&job->errors);
    job->errors.error_exit = on_error;
    job->errors.emit_message = on_message;
    job->errors.output_message = on_output;
    job->dec.client_data = job;
    if (setjmp(job->escape) == 0)
        decode(job, data, bytes);
    else
        job->err = ap_err_new(AP_ERR_INPUT_FILE, "unreadable jpg image: %s", job->message);
    ap_err err = job->err;
    jpeg_destroy_decompress(&job->dec);
    if (err)
        ap_pixels_free(&job->pixels);
    else
        *out = job->pixels;
    free(job);
    return err;
}
