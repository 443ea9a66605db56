// SPDX-License-Identifier: Apache-2.0
// Image recipes from hostile text: a USAGE error, or a recipe whose text form reads back as the same recipe.
#include "tensor/image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_recipe(const ap_image_recipe *a, const ap_image_recipe *b) {
    // Field by field: the padding between them may hold anything.
    return a->layout == b->layout && a->color == b->color && a->resize == b->resize && a->width == b->width &&
           a->height == b->height && a->scale == b->scale && memcmp(a->mean, b->mean, sizeof a->mean) == 0 &&
           memcmp(a->std, b->std, sizeof a->std) == 0 && a->pad == b->pad;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = ap_strndup((const char *)data, size);
    ap_image_recipe first, second;
    ap_err err = ap_image_recipe_parse(text, &first);
    if (err) {
        if (ap_err_code(err) != AP_ERR_USAGE) abort();
        ap_err_free(err);
    } else {
        ap_buf once = {0}, twice = {0};
        ap_image_recipe_format(&first, &once);
        err = ap_image_recipe_parse(ap_buf_str(&once), &second);
        if (err || !same_recipe(&first, &second)) abort();
        ap_image_recipe_format(&second, &twice);
        if (strcmp(ap_buf_str(&once), ap_buf_str(&twice)) != 0) abort();
        ap_buf_free(&twice);
        ap_buf_free(&once);
    }
    free(text);
    return 0;
}
