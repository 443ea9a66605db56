// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 256 * 1024 };

// libcrypto fails here only without memory: SHA-256 is in every build of it.
void ap_sha256_init(ap_sha256 *h) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL)) ap_oom(sizeof *h);
    h->ctx = ctx;
}

void ap_sha256_add(ap_sha256 *h, const void *data, size_t bytes) {
    if (bytes && !EVP_DigestUpdate(h->ctx, data, bytes)) ap_oom(bytes);
}

ap_digest ap_sha256_finish(ap_sha256 *h) {
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (!EVP_DigestFinal_ex(h->ctx, md, &n) || n != 32) ap_oom(sizeof md);
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
    ap_digest d = {0};
    for (unsigned int i = 0; i < n; i++) {
        d.hex[2 * i] = "0123456789abcdef"[md[i] >> 4];
        d.hex[2 * i + 1] = "0123456789abcdef"[md[i] & 15];
    }
    return d;
}

ap_digest ap_sha256_of(const void *data, size_t bytes) {
    ap_sha256 h;
    ap_sha256_init(&h);
    ap_sha256_add(&h, data, bytes);
    return ap_sha256_finish(&h);
}

// Read in pieces rather than mapped: a mapping of a model of many GB would count in our peak memory, and a
// file cut short meanwhile would be a SIGBUS.
ap_err ap_sha256_file(const char *path, ap_digest *out) {
    ap_err err = NULL;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return ap_err_subject(ap_err_errno(errno, 0, "cannot open '%s'", path), path);
    ap_sha256 h;
    ap_sha256_init(&h);
    void *chunk = ap_alloc(CHUNK_BYTES);
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        AP_FAIL(AP_ERR_IO, "cannot hash '%s': not a regular file", path);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (;;) {
        ssize_t n = read(fd, chunk, CHUNK_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) err = ap_err_errno(errno, 0, "cannot read '%s'", path);
        if (n <= 0) break;
        ap_sha256_add(&h, chunk, (size_t)n);
    }
done:
    free(chunk);
    ap_digest d = ap_sha256_finish(&h);
    if (!err) *out = d;
    close(fd);
    return ap_err_subject(err, path);
}
