// SPDX-License-Identifier: Apache-2.0
#include "base/shared.h"

#include "base/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t physical_bytes(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    size_t bytes = 0;
    return pages > 0 && size > 0 && ap_mul_size((size_t)pages, (size_t)size, &bytes) ? bytes : SIZE_MAX;
}

static ap_err map(ap_shared *s, int protection) {
    void *p = mmap(NULL, s->bytes, protection, MAP_SHARED, s->fd, 0);
    if (p == MAP_FAILED) return ap_err_errno(errno, 0, "cannot map %zu bytes of shared memory", s->bytes);
    s->data = p;
    return NULL;
}

ap_err ap_shared_create(size_t bytes, ap_shared *out) {
    ap_shared s = {.fd = memfd_create("aipc", MFD_CLOEXEC | MFD_ALLOW_SEALING), .bytes = bytes};
    ap_err err = NULL;
    if (s.fd < 0) return ap_err_errno(errno, 0, "cannot make shared memory");
    // Nothing limits such memory but the machine's: a size that cannot be is an error here and not the end of
    // it.
    if (bytes > physical_bytes() / 2)
        AP_FAIL(AP_ERR_NO_MEMORY, "%zu bytes of shared memory are over half of what this machine has", bytes);
    if (ftruncate(s.fd, (off_t)bytes)) {
        err = ap_err_errno(errno, 0, "cannot make %zu bytes of shared memory", bytes);
        goto done;
    }
    if (fcntl(s.fd, F_ADD_SEALS, AP_SHARED_SEALS)) {
        err = ap_err_errno(errno, 0, "cannot seal shared memory");
        goto done;
    }
    AP_TRY(map(&s, PROT_READ | PROT_WRITE));
    *out = s;
    return NULL;
done:
    ap_shared_close(&s);
    return err;
}

static ap_err open_for(int protection, int fd, size_t bytes, ap_shared *out) {
    ap_shared s = {.fd = fd, .bytes = bytes};
    struct stat st;
    ap_err err = NULL;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & AP_SHARED_SEALS) != AP_SHARED_SEALS || fstat(fd, &st) ||
        (uint64_t)st.st_size != bytes)
        AP_FAIL(AP_ERR_IO, "what was shared is no memory of %zu bytes with a sealed size", bytes);
    AP_TRY(map(&s, protection));
    *out = s;
    return NULL;
done:
    ap_shared_close(&s);
    return err;
}

ap_err ap_shared_open(int fd, size_t bytes, ap_shared *out) {
    return open_for(PROT_READ | PROT_WRITE, fd, bytes, out);
}

ap_err ap_shared_open_to_read(int fd, size_t bytes, ap_shared *out) {
    return open_for(PROT_READ, fd, bytes, out);
}

ap_err ap_shared_part(const ap_shared *s, size_t offset, size_t bytes) {
    void *p =
        mmap(s->data + offset, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, s->fd, (off_t)offset);
    if (p == MAP_FAILED) return ap_err_errno(errno, 0, "cannot map %zu bytes of shared memory again", bytes);
    return NULL;
}

void ap_shared_close(ap_shared *s) {
    if (s->data) munmap(s->data, s->bytes);
    ap_fd_close(&s->fd);
    *s = AP_SHARED_NONE;
}
