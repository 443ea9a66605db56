// SPDX-License-Identifier: Apache-2.0
// Pixels to tensor: colour, resizing, scale/mean/std, layout.
#include "tensor/image.h"

#include "tensor/convert.h"
#include "tensor/image_decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// How output columns (or rows) take their values from the source.
typedef struct axis_map {
    size_t count;  // output size
    size_t *near;  // first source index; the second is near + 1 where weight > 0
    float *weight; // of the second
    bool *pad;     // outside of the picture (letterbox)
} axis_map;

// The resized picture inside the output, by axis: `size` is its length, `start` where output index 0 falls in
// it (negative: padding before it; positive: cut off).
typedef struct placement {
    double size, start;
} placement;

typedef struct image_job {
    const ap_image_recipe *recipe;
    ap_pixels pixels;
    size_t channels, width, height; // of the output
    axis_map x, y;
    float *row;  // one output row: width * channels values, pixel by pixel
    float *line; // the same for one channel
} image_job;

bool ap_image_is_image(const char *path) {
    ap_filemap map = {0};
    ap_err err = ap_filemap_open(path, &map);
    bool is = !err && ap_image_kind_of(map.data, map.bytes) != AP_IMAGE_NONE;
    ap_err_free(err);
    ap_filemap_close(&map);
    return is;
}

// Letterbox as in ultralytics (data/augment.py, LetterBox): one ratio for both axes, new sizes rounded half
// to even like Python, the pad split with the odd pixel at the end: left = round(d/2 - 0.1). Crop: the same
// with the larger ratio and a centre cut. Sizes are doubles: a 1 x 100M picture may virtually become wider
// than any integer.
static placement place(ap_image_resize mode, double in, double out, double ratio) {
    if (mode != AP_RESIZE_LETTERBOX && mode != AP_RESIZE_CROP) return (placement){out, 0};
    double size = rint(in * ratio);
    if (mode == AP_RESIZE_LETTERBOX) {
        size = size < 1 ? 1 : size > out ? out : size;
        return (placement){size, -rint((out - size) / 2 - 0.1)};
    }
    size = size < out ? out : size;
    return (placement){size, floor((size - out) / 2)};
}

// Bilinear with half-pixel centres and clamped edges, no antialiasing (OpenCV resize, INTER_LINEAR):
//   s = (d + 0.5) * in / size - 0.5, value = (1 - f) * p[floor s] + f * p[floor s + 1], f = s - floor s.
static void map_axis(axis_map *m, size_t in, size_t out, placement where) {
    m->count = out;
    m->near = ap_calloc(out, sizeof *m->near);
    m->weight = ap_calloc(out, sizeof *m->weight);
    m->pad = ap_calloc(out, sizeof *m->pad);
    for (size_t i = 0; i < out; i++) {
        double d = (double)i + where.start;
        m->pad[i] = d < 0 || d >= where.size;
        if (m->pad[i]) continue;
        double s = (d + 0.5) * ((double)in / where.size) - 0.5, low = floor(s);
        if (low < 0) continue; // the first pixel alone
        if (low >= (double)(in - 1)) {
            m->near[i] = in - 1;
            continue;
        }
        m->near[i] = (size_t)low;
        m->weight[i] = (float)(s - low);
    }
}

static void free_axis(axis_map *m) {
    free(m->pad);
    free(m->weight);
    free(m->near);
}

// Luma of ITU-R BT.601 in 15-bit fixed point, OpenCV's cvtColor; weights sum to 2^15, so grays stay what they
// are.
static unsigned luma(const uint8_t *rgb) {
    return (rgb[0] * 9798U + rgb[1] * 19235U + rgb[2] * 3735U + (1U << 14)) >> 15;
}

// Colour happens before resizing. Gray goes back into the same memory, one byte per pixel.
static void to_gray(ap_pixels *p) {
    size_t n = p->width * p->height;
    for (size_t i = 0; i < n; i++) p->rgb[i] = (uint8_t)luma(p->rgb + i * 3);
}

// One output row, before normalisation.
static void sample_row(const image_job *job, size_t y, float *out) {
    size_t ch = job->channels, stride = job->pixels.width * ch;
    const uint8_t *top = job->pixels.rgb + job->y.near[y] * stride;
    float fy = job->y.weight[y], pad = (float)job->recipe->pad;
    const uint8_t *bottom = fy > 0 ? top + stride : top;
    bool swap = job->recipe->color == AP_COLOR_BGR;
    for (size_t x = 0; x < job->width; x++) {
        bool outside = job->y.pad[y] || job->x.pad[x];
        size_t a = job->x.near[x] * ch;
        float fx = job->x.weight[x];
        size_t b = fx > 0 ? a + ch : a;
        for (size_t c = 0; c < ch; c++) {
            size_t s = swap ? 2 - c : c;
            float up = (1 - fx) * (float)top[a + s] + fx * (float)top[b + s];
            float down = (1 - fx) * (float)bottom[a + s] + fx * (float)bottom[b + s];
            out[x * ch + c] = outside ? pad : (1 - fy) * up + fy * down;
        }
    }
}

static void normalise(const image_job *job, bool whole, float *row) {
    const ap_image_recipe *r = job->recipe;
    for (size_t i = 0, n = job->width * job->channels; i < n; i++) {
        size_t c = i % job->channels;
        double v = ((double)row[i] * r->scale - r->mean[c]) / r->std[c];
        row[i] = (float)(whole ? rint(v) : v); // integers are rounded here; the store would truncate
    }
}

static void fill(image_job *job, ap_tensor *out) {
    size_t ch = job->channels, w = job->width, plane = w * job->height;
    bool whole = ap_dtype_is_int(out->dtype);
    for (size_t y = 0; y < job->height; y++) {
        sample_row(job, y, job->row);
        normalise(job, whole, job->row);
        if (job->recipe->layout == AP_LAYOUT_NHWC) {
            ap_tensor_put_f32(out, y * w * ch, w * ch, job->row);
            continue;
        }
        for (size_t c = 0; c < ch; c++) {
            for (size_t x = 0; x < w; x++) job->line[x] = job->row[x * ch + c];
            ap_tensor_put_f32(out, c * plane + y * w, w, job->line);
        }
    }
}

static ap_err bad_shape(const int64_t *dims, size_t rank, const char *why) {
    ap_buf text = {0};
    ap_shape_format(dims, rank, &text);
    ap_err err =
        ap_err_new(AP_ERR_INPUT_SHAPE, "an image does not fit the shape %s: %s", ap_buf_str(&text), why);
    ap_buf_free(&text);
    return err;
}

// One side of the output: the shape's, else the recipe's, else (resize=none) the image's.
static ap_err pick_side(const image_job *job, int64_t dim, int64_t wanted, size_t have, const char *name,
                        size_t *out) {
    bool none = job->recipe->resize == AP_RESIZE_NONE;
    int64_t side = dim > 0 ? dim : wanted > 0 ? wanted : none ? (int64_t)have : 0;
    if (side <= 0)
        return ap_err_hint(ap_err_new(AP_ERR_INPUT_SHAPE, "the input's %s is open", name),
                           "give a size in the image recipe: size=640x480");
    if (wanted > 0 && side != wanted)
        return ap_err_new(AP_ERR_INPUT_SHAPE, "the recipe's %s is %lld, the input's %lld", name,
                          (long long)wanted, (long long)side);
    if (none && (size_t)side != have)
        return ap_err_hint(ap_err_new(AP_ERR_INPUT_SHAPE, "the image's %s is %zu, the input's %lld", name,
                                      have, (long long)side),
                           "choose resize=stretch, letterbox or crop");
    *out = (size_t)side;
    return NULL;
}

// Reads layout and size off the input's shape; open dims (-1) are filled into `full`.
static ap_err plan_shape(image_job *job, const int64_t *dims, size_t rank, int64_t *full) {
    const ap_image_recipe *r = job->recipe;
    job->channels = r->color == AP_COLOR_GRAY ? 1 : 3;
    if (rank != 3 && rank != 4) return bad_shape(dims, rank, "it has neither 3 nor 4 dimensions");
    memcpy(full, dims, rank * sizeof *dims);
    int64_t *d = full + (rank - 3);
    if (rank == 4 && full[0] != 1 && full[0] != -1) return bad_shape(dims, rank, "the batch is not 1");
    if (rank == 4) full[0] = 1;
    bool planar = r->layout == AP_LAYOUT_NCHW;
    int64_t *c = planar ? &d[0] : &d[2], *h = planar ? &d[1] : &d[0], *w = planar ? &d[2] : &d[1];
    if (*c == -1) *c = (int64_t)job->channels;
    if (*c != (int64_t)job->channels)
        return bad_shape(dims, rank,
                         job->channels == 1
                             ? (planar ? "NCHW gray needs 1 channel" : "NHWC gray needs 1 channel")
                             : (planar ? "NCHW colour needs 3 channels" : "NHWC colour needs 3 channels"));
    if (*h == 0 || *w == 0 || *h < -1 || *w < -1) return bad_shape(dims, rank, "a side is 0 or negative");
    ap_err err = pick_side(job, *w, r->width, job->pixels.width, "width", &job->width);
    if (!err) err = pick_side(job, *h, r->height, job->pixels.height, "height", &job->height);
    if (err) return err;
    size_t pixels;
    if (!ap_mul_size(job->width, job->height, &pixels) || pixels > AP_IMAGE_MAX_PIXELS)
        return bad_shape(dims, rank, "it has over 100 million pixels");
    *w = (int64_t)job->width;
    *h = (int64_t)job->height;
    return NULL;
}

static void plan_axes(image_job *job) {
    ap_image_resize mode = job->recipe->resize;
    double w = (double)job->pixels.width, h = (double)job->pixels.height;
    double rx = (double)job->width / w, ry = (double)job->height / h;
    double ratio = mode == AP_RESIZE_CROP ? fmax(rx, ry) : fmin(rx, ry);
    map_axis(&job->x, job->pixels.width, job->width, place(mode, w, (double)job->width, ratio));
    map_axis(&job->y, job->pixels.height, job->height, place(mode, h, (double)job->height, ratio));
}

ap_err ap_image_load(const char *path, const ap_image_recipe *r, ap_dtype dtype, const int64_t *dims,
                     size_t rank, ap_tensor *out) {
    image_job job = {.recipe = r};
    ap_filemap map = {0};
    ap_tensor made = {0};
    int64_t full[AP_MAX_RANK];
    ap_err err = NULL;
    if (ap_dtype_bits(dtype) < 8 || dtype == AP_BOOL ||
        (!ap_dtype_is_float(dtype) && !ap_dtype_is_int(dtype)))
        AP_FAIL(AP_ERR_INPUT_DTYPE, "an image cannot become a tensor of %s", ap_dtype_name(dtype));
    AP_TRY(ap_filemap_open(path, &map));
    AP_TRY(ap_image_decode(map.data, map.bytes, &job.pixels));
    AP_TRY(plan_shape(&job, dims, rank, full));
    AP_TRY(ap_tensor_alloc(dtype, full, rank, &made));
    if (r->color == AP_COLOR_GRAY) to_gray(&job.pixels);
    plan_axes(&job);
    job.row = ap_calloc(job.width * job.channels, sizeof *job.row);
    job.line = ap_calloc(job.width, sizeof *job.line);
    fill(&job, &made);
    *out = made;
done:
    free(job.line);
    free(job.row);
    free_axis(&job.y);
    free_axis(&job.x);
    ap_pixels_free(&job.pixels);
    ap_filemap_close(&map);
    return ap_err_subject(err, path);
}
