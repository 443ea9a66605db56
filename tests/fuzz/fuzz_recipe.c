// SPDX-License-Identifier: Apache-2.0
// Image recipes from hostile text: a USAGE error, or a recipe whose text form reads back as the same recipe.
#include "tensor/image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = ap_strndup((const char *)data, size);
    ap_image_recipe first, second;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    ap_err err = ap_image_recipe_parse(text, &first);
    if (err) {
        if (ap_err_code(err) != AP_ERR_USAGE) abort();
        ap_err_free(err);
    } else {
        ap_buf once = {0}, twice = {0};
        ap_image_recipe_format(&first, &once);
        err = ap_image_recipe_parse(ap_buf_str(&once), &second);
        if (err || memcmp(&first, &second, sizeof first) != 0) abort();
        ap_image_recipe_format(&second, &twice);
        if (strcmp(ap_buf_str(&once), ap_buf_str(&twice)) != 0) abort();
        ap_buf_free(&twice);
        ap_buf_free(&once);
    }
    free(text);
    return 0;
}
