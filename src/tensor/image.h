// SPDX-License-Identifier: Apache-2.0
// image: a jpg or png photo becomes a model input by an explicit recipe that is written into the contract.
//
// out[c,y,x] = (pixel[c,y,x] * scale - mean[c]) / std[c], pixel in 0..255 after colour order and resizing.
// Bilinear resizing with half-pixel centres and no antialiasing (what OpenCV's INTER_LINEAR does), in float:
// values between pixels are not rounded to bytes. Pixels come as stored: EXIF orientation, gamma and colour
// profiles are not applied, alpha is dropped, 16-bit samples keep their high byte.
#ifndef AP_TENSOR_IMAGE_H
#define AP_TENSOR_IMAGE_H

#include "tensor/tensor.h"

typedef enum ap_image_layout { AP_LAYOUT_NCHW, AP_LAYOUT_NHWC } ap_image_layout;
typedef enum ap_image_color { AP_COLOR_RGB, AP_COLOR_BGR, AP_COLOR_GRAY } ap_image_color;
typedef enum ap_image_resize {
    AP_RESIZE_STRETCH,
    AP_RESIZE_LETTERBOX,
    AP_RESIZE_CROP,
    AP_RESIZE_NONE
} ap_image_resize;

typedef struct ap_image_recipe {
    ap_image_layout layout;
    ap_image_color color;
    ap_image_resize
        resize; // letterbox: keep aspect, centre, fill with `pad`; crop: shorter side fits, centre cut
    int64_t width, height;  // 0: take from the input's shape
    double scale;           // default 1/255
    double mean[3], std[3]; // default 0 and 1
    double pad;             // 0..255, default 114
} ap_image_recipe;

void ap_image_recipe_default(ap_image_recipe *r); // nchw, rgb, letterbox, size from the input, scale 1/255
// Parses
// "layout=nchw,color=bgr,resize=stretch,size=320x240,scale=1/255,mean=0.485/0.456/0.406,std=0.229/...,pad=0"
// over the defaults. Numbers may be fractions "1/255" for scale. Error USAGE: which key, which value, what is
// allowed.
AP_MUST ap_err ap_image_recipe_parse(const char *text, ap_image_recipe *out);
void ap_image_recipe_format(const ap_image_recipe *r, ap_buf *out); // the inverse; complete, canonical

bool ap_image_is_image(const char *path); // by magic bytes
// Decodes (libjpeg, libpng; at most 100 million pixels) and applies the recipe into a tensor of `dtype` and
// `dims` (rank 4, or 3 without the batch; batch must be 1; channels 3, or 1 for gray; a dim of -1 is filled
// in from the recipe, or with resize=none from the image). For integer dtypes values are rounded half to even
// and saturated. Errors INPUT_FILE (unreadable image, with the decoder's words), INPUT_SHAPE (shape does not
// fit the layout), INPUT_DTYPE.
AP_MUST ap_err ap_image_load(const char *path, const ap_image_recipe *r, ap_dtype dtype, const int64_t *dims,
                             size_t rank, ap_tensor *out);

#endif
