// SPDX-License-Identifier: Apache-2.0
// npy from hostile bytes: an INPUT_FILE error with a position, or a tensor that ends exactly where the input
// ends.
#include "tensor/npy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ap_tensor t = {0};
    ap_err err = ap_npy_parse(data, size, &t);
    if (err) {
        uint64_t at;
        if (ap_err_code(err) != AP_ERR_INPUT_FILE || !ap_err_offset(err, &at) || at > size || t.data) abort();
        ap_err_free(err);
        return 0;
    }
    if (t.bytes > 0 && (const uint8_t *)t.data + t.bytes != data + size) abort();
    if (t.bytes > size || ap_tensor_count(&t) * ap_dtype_bits(t.dtype) / 8 != t.bytes) abort();
    // Every byte must be readable as an element.
    double sum = 0;
    for (size_t i = 0, n = ap_tensor_count(&t); i < n; i++) sum += ap_tensor_at(&t, i);
    (void)sum;
    (void)ap_tensor_find_nonfinite(&t);
    ap_tensor_free(&t);
    return 0;
}
