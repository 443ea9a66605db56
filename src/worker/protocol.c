// SPDX-License-Identifier: Apache-2.0
#include "worker/protocol.h"

#include "base/channel.h"

#include <stdlib.h>
#include <string.h>

static const char magic[4] = {'A', 'I', 'P', 'C'};
#define HEADER 8

ap_err ap_frame_pass(int fd, const json_t *message, int pass) {
    char *text = ap_json_text(message, false);
    size_t n = strlen(text);
    ap_err err = NULL;
    unsigned char header[HEADER];
    if (n > AP_FRAME_MAX)
        AP_FAIL(AP_ERR_INTERNAL, "a message of %zu bytes is over the limit of %zu", n, AP_FRAME_MAX);
    memcpy(header, magic, sizeof magic);
    for (int i = 0; i < 4; i++) header[4 + i] = (unsigned char)(n >> (8 * i));
    AP_TRY(ap_channel_write(fd, header, sizeof header, text, n, pass));
done:
    free(text);
    return err;
}

ap_err ap_frame_write(int fd, const json_t *message) {
    return ap_frame_pass(fd, message, -1);
}

ap_err ap_frame_take(ap_buf *buf, json_t **out) {
    size_t check = buf->len < sizeof magic ? buf->len : sizeof magic;
    if (memcmp(ap_buf_str(buf), magic, check) != 0)
        return ap_err_new(AP_ERR_WORKER_GARBAGE,
                          "the worker sent %zu bytes that are no reply, starting with 0x%02x", buf->len,
                          (unsigned char)buf->data[0]);
    if (buf->len < HEADER) return NULL;
    const unsigned char *h = (const unsigned char *)buf->data;
    size_t n = (size_t)h[4] | (size_t)h[5] << 8 | (size_t)h[6] << 16 | (size_t)h[7] << 24;
    if (n > AP_FRAME_MAX)
        return ap_err_new(AP_ERR_WORKER_GARBAGE, "the worker announced a reply of %zu bytes", n);
    if (buf->len < HEADER + n) return NULL;
    ap_err err = ap_json_parse(buf->data + HEADER, n, "worker message", AP_ERR_WORKER_GARBAGE, out);
    if (err) return err;
    size_t rest = buf->len - HEADER - n;
    memmove(buf->data, buf->data + HEADER + n, rest);
    buf->len = rest;
    buf->data[rest] = '\0';
    return NULL;
}
