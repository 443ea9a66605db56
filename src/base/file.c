// SPDX-License-Identifier: Apache-2.0
// Reading, mapping and asking. Writing is in file_write.c, folders are in dir.c, names in path.c.
#include "base/file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

ap_err ap_file_err(int errnum, int writing, const char *doing, const char *path) {
    return ap_err_subject(ap_err_errno(errnum, writing, "cannot %s '%s'", doing, path), path);
}

static ap_err open_for_reading(const char *path, int *fd, struct stat *st) {
    ap_err err = NULL;
    // O_NONBLOCK: a FIFO under a model's name must not hang us.
    int f = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (f < 0) return ap_file_err(errno, 0, "open", path);
    if (fstat(f, st)) {
        err = ap_file_err(errno, 0, "look at", path);
    } else if (S_ISDIR(st->st_mode)) {
        err = ap_err_subject(ap_err_new(AP_ERR_IO, "'%s' is a folder, a file is needed", path), path);
    }
    if (err)
        close(f);
    else
        *fd = f;
    return err;
}

ap_err ap_filemap_open(const char *path, ap_filemap *out) {
    ap_err err = NULL;
    int fd = -1;
    struct stat st;
    AP_TRY(open_for_reading(path, &fd, &st));
    if (!S_ISREG(st.st_mode)) AP_FAIL(AP_ERR_IO, "'%s' is not a regular file and cannot be mapped", path);
    if ((uintmax_t)st.st_size > SIZE_MAX) AP_FAIL(AP_ERR_IO, "'%s' is too big to be mapped", path);
    ap_filemap m = {.bytes = (size_t)st.st_size};
    if (m.bytes) {
        void *p = mmap(NULL, m.bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            err = ap_file_err(errno, 0, "map", path);
            goto done;
        }
        m.data = p;
    }
    *out = m;
done:
    if (fd >= 0) close(fd);
    return ap_err_subject(err, path);
}

// Gives the file its size with every block reserved.
static int reserve_space(int fd, size_t bytes) {
    int rc;
    do rc = posix_fallocate(fd, 0, (off_t)bytes);
    while (rc == EINTR);
    // No such operation on this file system (some FUSE and network ones). glibc then tries by writing, but
    // musl and others report it.
    if (rc == EOPNOTSUPP || rc == EINVAL || rc == ENOSYS) rc = ftruncate(fd, (off_t)bytes) ? errno : 0;
    return rc;
}

ap_err ap_filemap_create(const char *path, size_t bytes, ap_filemap *out) {
    ap_err err = NULL;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0) return ap_file_err(errno, 1, "create", path);
    ap_filemap m = {.bytes = bytes, .writable = true};
    if (bytes) {
        int rc = bytes > INT64_MAX ? EFBIG : reserve_space(fd, bytes);
        void *p = rc ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            err = ap_err_subject(
                ap_err_errno(rc ? rc : errno, 1, "cannot reserve %zu bytes for '%s'", bytes, path), path);
            unlink(path); // it was truncated anyway; do not leave a half-reserved file
        } else {
            m.data = p;
        }
    }
    close(fd);
    if (!err) *out = m;
    return err;
}

void ap_filemap_close(ap_filemap *m) {
    if (m->data) munmap(m->data, m->bytes);
    *m = (ap_filemap){0};
}

static ap_err too_big(const char *path, size_t max_bytes) {
    return ap_err_new(AP_ERR_INPUT_FILE, "'%s' is bigger than the %zu bytes allowed here", path, max_bytes);
}

// Reads to the end or to one byte beyond max_bytes, whatever the size said: files under /proc say 0 and a
// file may grow while we read.
static ap_err read_all(int fd, const char *path, size_t max_bytes, ap_buf *b) {
    for (;;) {
        size_t room = b->cap - b->len - 1;
        if (!room) {
            ap_buf_reserve(b, 64 * 1024);
            continue;
        }
        ssize_t n = read(fd, b->data + b->len, room);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ap_file_err(errno, 0, "read", path);
        if (n == 0) break;
        b->len += (size_t)n;
        if (b->len > max_bytes) return too_big(path, max_bytes);
    }
    b->data[b->len] = 0;
    return NULL;
}

ap_err ap_file_read(const char *path, size_t max_bytes, ap_buf *out) {
    ap_err err = NULL;
    int fd = -1;
    struct stat st;
    ap_buf b = {0};
    AP_TRY(open_for_reading(path, &fd, &st));
    size_t expect = 0;
    if (S_ISREG(st.st_mode)) {
        if ((uintmax_t)st.st_size > max_bytes) {
            err = too_big(path, max_bytes);
            goto done;
        }
        expect = (size_t)st.st_size;
    } else if (fcntl(fd, F_SETFL, 0) < 0) { // a pipe from the shell: wait for its writer
        err = ap_file_err(errno, 0, "read", path);
        goto done;
    }
    ap_buf_reserve(&b, expect + 1); // room for one byte more, so that the end is seen without growing
    AP_TRY(read_all(fd, path, max_bytes, &b));
    *out = b;
    b = (ap_buf){0};
done:
    ap_buf_free(&b);
    if (fd >= 0) close(fd);
    return ap_err_subject(err, path);
}

bool ap_file_exists(const char *path) {
    struct stat st;
    return !lstat(path, &st); // a dangling link exists, too
}

bool ap_is_dir(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

ap_err ap_file_size(const char *path, uint64_t *bytes) {
    struct stat st;
    if (stat(path, &st)) return ap_file_err(errno, 0, "look at", path);
    *bytes = (uint64_t)st.st_size;
    return NULL;
}

bool ap_file_is_program(const char *path) {
    return access(path, X_OK) == 0 && !ap_is_dir(path);
}

void ap_file_flush(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    (void)close(fd);
}

void ap_file_field(const char *path, const char *key, ap_buf *out) {
    ap_buf text = {0};
    ap_err_free(ap_file_read(path, 1 << 20, &text));
    const char *p = strstr(ap_buf_str(&text), key);
    if (p) {
        p += strlen(key);
        p += strspn(p, " \t:=\"");
        ap_buf_append(out, p, strcspn(p, "\"\n"));
    }
    ap_buf_free(&text);
}
