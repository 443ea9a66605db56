// SPDX-License-Identifier: Apache-2.0
#include "tensor/image_decode.h"

#include <stdlib.h>
#include <string.h>

ap_image_kind ap_image_kind_of(const void *data, size_t bytes) {
    static const unsigned char png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    static const unsigned char jpeg[3] = {0xFF, 0xD8, 0xFF};
    if (bytes >= sizeof png && memcmp(data, png, sizeof png) == 0) return AP_IMAGE_PNG;
    if (bytes >= sizeof jpeg && memcmp(data, jpeg, sizeof jpeg) == 0) return AP_IMAGE_JPEG;
    return AP_IMAGE_NONE;
}

ap_err ap_pixels_alloc(size_t width, size_t height, ap_pixels *out) {
    size_t pixels;
    if (!ap_mul_size(width, height, &pixels) || pixels == 0 || pixels > AP_IMAGE_MAX_PIXELS)
        return ap_err_new(AP_ERR_INPUT_FILE, "image of %zux%zu is over the limit of %d pixels", width, height,
                          AP_IMAGE_MAX_PIXELS);
    uint8_t *rgb = malloc(pixels * 3);
    if (!rgb) return ap_err_new(AP_ERR_NO_MEMORY, "no memory for an image of %zux%zu", width, height);
    *out = (ap_pixels){.width = width, .height = height, .rgb = rgb};
    return NULL;
}

void ap_pixels_free(ap_pixels *p) {
    free(p->rgb);
    *p = (ap_pixels){0};
}

ap_err ap_image_decode(const void *data, size_t bytes, ap_pixels *out) {
    switch (ap_image_kind_of(data, bytes)) {
    case AP_IMAGE_JPEG: return ap_image_decode_jpeg(data, bytes, out);
    case AP_IMAGE_PNG: return ap_image_decode_png(data, bytes, out);
    case AP_IMAGE_NONE: break;
    }
    return ap_err_new(AP_ERR_INPUT_FILE, "neither a jpg nor a png image");
}
