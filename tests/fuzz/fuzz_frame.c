// SPDX-License-Identifier: Apache-2.0
// What a worker sends, hostile and in pieces: messages, an error, or a wait for more; the same however it is
// cut.
#include "worker/protocol.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Takes messages until there is none; false when the bytes cannot be frames.
static bool take_all(ap_buf *buf, size_t *messages) {
    for (;;) {
        json_t *message = NULL;
        size_t before = buf->len;
        ap_err err = ap_frame_take(buf, &message);
        if (err) {
            if (ap_err_code(err) != AP_ERR_WORKER_GARBAGE || message) abort();
            ap_err_free(err);
            return false;
        }
        if (!message) {
            if (buf->len != before) abort();
            return true;
        }
        if (buf->len >= before) abort();
        json_decref(message);
        ++*messages;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t cut = 1 + data[0] % 16, whole = 0, pieces = 0;
    ap_buf at_once = {0}, bit_by_bit = {0};
    data++;
    size--;
    ap_buf_append(&at_once, data, size);
    bool good = take_all(&at_once, &whole), still_good = true;
    for (size_t at = 0; at < size && still_good; at += cut) {
        ap_buf_append(&bit_by_bit, data + at, cut < size - at ? cut : size - at);
        still_good = take_all(&bit_by_bit, &pieces);
    }
    if (good != still_good || whole != pieces) abort();
    ap_buf_free(&at_once);
    ap_buf_free(&bit_by_bit);
    return 0;
}
