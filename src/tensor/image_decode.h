// SPDX-License-Identifier: Apache-2.0
// image_decode: inside of the tensor room: jpg and png bytes become 8-bit RGB rows.
#ifndef AP_TENSOR_IMAGE_DECODE_H
#define AP_TENSOR_IMAGE_DECODE_H

#include "base/mem.h"

#define AP_IMAGE_MAX_PIXELS 100000000

typedef enum ap_image_kind { AP_IMAGE_NONE, AP_IMAGE_JPEG, AP_IMAGE_PNG } ap_image_kind;

// Zero-initialised is valid and empty.
typedef struct ap_pixels {
    size_t width, height;
    uint8_t *rgb; // width * height * 3, rows from the top; owned
} ap_pixels;

ap_image_kind ap_image_kind_of(const void *data, size_t bytes); // by magic bytes
// Decodes hostile bytes. Errors INPUT_FILE with the decoder's words, NO_MEMORY. Gray and palette become RGB,
// alpha is dropped (not blended), 16 bits keep their high byte (as OpenCV does), gamma and colour profiles
// are not applied. EXIF orientation is ignored: the model sees the pixels as stored, so the same file always
// gives the same tensor.
AP_MUST ap_err ap_image_decode(const void *data, size_t bytes, ap_pixels *out);
void ap_pixels_free(ap_pixels *p);

// For ap_image_decode: checks the size and allocates.
AP_MUST ap_err ap_pixels_alloc(size_t width, size_t height, ap_pixels *out);
AP_MUST ap_err ap_image_decode_jpeg(const void *data, size_t bytes, ap_pixels *out);
AP_MUST ap_err ap_image_decode_png(const void *data, size_t bytes, ap_pixels *out);

#endif
