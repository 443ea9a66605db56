// SPDX-License-Identifier: Apache-2.0
// hash: SHA-256 (libcrypto). Names stage results and checks downloads.
#ifndef AP_BASE_HASH_H
#define AP_BASE_HASH_H

#include "base/mem.h"

typedef struct ap_sha256 {
    void *ctx;
} ap_sha256;
typedef struct ap_digest {
    char hex[65]; // lower case, NUL-ended
} ap_digest;

void ap_sha256_init(ap_sha256 *h);
void ap_sha256_add(ap_sha256 *h, const void *data, size_t bytes);
ap_digest ap_sha256_finish(ap_sha256 *h); // frees the state
ap_digest ap_sha256_of(const void *data, size_t bytes);
// Hash of a file's bytes (read in pieces: costs no memory).
AP_MUST ap_err ap_sha256_file(const char *path, ap_digest *out);

#endif
