// SPDX-License-Identifier: Apache-2.0
// Atomic writing: a temporary name in the same folder, fsync, rename, fsync of the folder.
#include "base/file_internal.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 256 * 1024, TEMP_NAME_MAX = 200 };

char *ap_file_temp_name(const char *path) {
    const char *base = ap_path_base(path);
    ap_buf b = {0};
    ap_buf_append(&b, path, (size_t)(base - path));
    // A name may have 255 bytes; ours adds some 40.
    ap_buf_printf(&b, ".%.*s.%ld-%016" PRIx64 ".tmp", TEMP_NAME_MAX, base, (long)getpid(), ap_random_u64());
    return ap_buf_detach(&b);
}

ap_err ap_file_sync(int fd, const char *path) {
    int rc;
    do rc = fsync(fd);
    while (rc && errno == EINTR);
    bool unsupported = rc && (errno == EINVAL || errno == ENOTSUP || errno == ENOSYS);
    return rc && !unsupported ? ap_file_err(errno, 1, "write", path) : NULL;
}

ap_err ap_file_sync_parent(const char *path) {
    ap_arena a = {0};
    const char *dir = ap_path_dir(&a, path);
    ap_err err = NULL;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // A folder we may write but not list cannot be opened, and so not synced; the rename has worked.
    if (fd >= 0)
        err = ap_file_sync(fd, dir);
    else if (errno != EACCES)
        err = ap_file_err(errno, 1, "sync", dir);
    if (fd >= 0) close(fd);
    ap_arena_release(&a);
    return err;
}

// Where a write to `path` has to go: through a link to its target, and straight into pipes and devices (a
// rename onto /dev/null would replace the device). `mode` is that of the file to be replaced, else 0.
static ap_err find_destination(const char *path, char **final, mode_t *mode, bool *direct) {
    struct stat st;
    *direct = false;
    *mode = 0;
    *final = NULL;
    if (stat(path, &st)) {
        if (errno != ENOENT) return ap_file_err(errno, 1, "write", path);
    } else if (S_ISDIR(st.st_mode)) {
        return ap_err_subject(ap_err_new(AP_ERR_IO, "cannot write '%s': it is a folder", path), path);
    } else if (S_ISREG(st.st_mode)) {
        *mode = st.st_mode & 07777;
        *final = realpath(path, NULL);
    } else {
        *direct = true;
    }
    if (!*final) *final = ap_strdup(path);
    return NULL;
}

ap_err ap_file_writer_begin(const char *path, ap_file_writer *w) {
    ap_file_writer n = {.fd = -1};
    mode_t mode;
    bool direct;
    ap_err err = find_destination(path, &n.path, &mode, &direct);
    if (err) return err;
    if (direct) {
        n.fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    } else {
        n.tmp_path = ap_file_temp_name(n.path);
        n.fd = open(n.tmp_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    if (n.fd < 0) {
        err = ap_file_err(errno, 1, "write", path);
        free(n.tmp_path);
        free(n.path);
        return err;
    }
    if (mode && fchmod(n.fd, mode)) errno = 0; // best effort: file systems without modes refuse
    *w = n;
    return NULL;
}

ap_err ap_file_writer_put(ap_file_writer *w, const void *data, size_t bytes) {
    for (const char *p = data; bytes;) {
        ssize_t n = write(w->fd, p, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ap_file_err(errno, 1, "write", w->path);
        p += n;
        bytes -= (size_t)n;
    }
    return NULL;
}

ap_err ap_file_writer_commit(ap_file_writer *w) {
    ap_err err = NULL;
    AP_TRY(ap_file_sync(w->fd, w->path));
    int fd = w->fd;
    w->fd = -1;
    // Network file systems report a full disk at close. EINTR: the descriptor is gone all the same on Linux.
    if (close(fd) && errno != EINTR) {
        err = ap_file_err(errno, 1, "write", w->path);
        goto done;
    }
    if (w->tmp_path) {
        if (rename(w->tmp_path, w->path)) {
            err = ap_file_err(errno, 1, "write", w->path);
            goto done;
        }
        free(w->tmp_path);
        w->tmp_path = NULL; // nothing left to unlink
        AP_TRY(ap_file_sync_parent(w->path));
    }
done:
    ap_file_writer_abort(w);
    return err;
}

void ap_file_writer_abort(ap_file_writer *w) {
    if (w->path && w->fd >= 0) close(w->fd); // zeroed struct: fd 0 is not ours
    if (w->tmp_path) unlink(w->tmp_path);
    free(w->tmp_path);
    free(w->path);
    *w = (ap_file_writer){.fd = -1};
}

ap_err ap_file_write(const char *path, const void *data, size_t bytes) {
    ap_file_writer w = {0};
    ap_err err = NULL;
    AP_TRY(ap_file_writer_begin(path, &w));
    AP_TRY(ap_file_writer_put(&w, data, bytes));
    AP_TRY(ap_file_writer_commit(&w));
done:
    ap_file_writer_abort(&w);
    return err;
}

// In the kernel where it can (shares blocks on btrfs and XFS). False: nothing was copied, do it by hand.
static bool copy_in_kernel(int in, const char *from, ap_file_writer *w, ap_err *err) {
    bool any = false;
    for (;;) {
        ssize_t n = copy_file_range(in, NULL, w->fd, NULL, (size_t)1 << 30, 0);
        if (n < 0 && errno == EINTR) continue;
        // Zero at once may be an empty file, or one under /proc that only read() can read.
        if (n == 0) return any;
        if (n < 0 && !any && errno != ENOSPC && errno != EDQUOT) return false;
        if (n < 0) {
            *err =
                errno == EIO ? ap_file_err(errno, 0, "read", from) : ap_file_err(errno, 1, "write", w->path);
            return true;
        }
        any = true;
    }
}

static ap_err copy_by_hand(int in, const char *from, ap_file_writer *w) {
    ap_err err = NULL;
    char *chunk = ap_alloc(COPY_BYTES);
    for (;;) {
        ssize_t n = read(in, chunk, COPY_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) err = ap_file_err(errno, 0, "read", from);
        if (n <= 0) break;
        AP_TRY(ap_file_writer_put(w, chunk, (size_t)n));
    }
done:
    free(chunk);
    return err;
}

ap_err ap_file_copy(const char *from, const char *to) {
    ap_file_writer w = {0};
    ap_err err = NULL;
    struct stat st;
    int in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (in < 0) return ap_file_err(errno, 0, "open", from);
    if (fstat(in, &st) || !S_ISREG(st.st_mode)) {
        err = ap_err_subject(ap_err_new(AP_ERR_IO, "cannot copy '%s': not a regular file", from), from);
        goto done;
    }
    AP_TRY(ap_file_writer_begin(to, &w));
    if (!copy_in_kernel(in, from, &w, &err)) err = copy_by_hand(in, from, &w);
    if (err) goto done;
    AP_TRY(ap_file_writer_commit(&w));
done:
    ap_file_writer_abort(&w);
    close(in);
    return err;
}

ap_err ap_file_link_or_copy(const char *from, const char *to) {
    struct stat st;
    if (stat(from, &st)) return ap_file_err(errno, 0, "open", from);
    char *tmp = ap_file_temp_name(to);
    // Made beside `to` and renamed over it, so that `to` is there at any time.
    if (linkat(AT_FDCWD, from, AT_FDCWD, tmp, AT_SYMLINK_FOLLOW)) {
        free(tmp);
        return ap_file_copy(from, to); // other device, no hard links here, too many, or not allowed
    }
    ap_err err = rename(tmp, to) ? ap_file_err(errno, 1, "write", to) : NULL;
    unlink(tmp); // when both were links to one file already, rename does nothing and leaves it
    free(tmp);
    return err ? err : ap_file_sync_parent(to);
}

ap_err ap_file_rename(const char *from, const char *to) {
    if (rename(from, to)) {
        int e = errno;
        ap_err err = ap_err_errno(e, 1, "cannot rename '%s' to '%s'", from, to);
        return ap_err_subject(err, e == ENOENT ? from : to);
    }
    return ap_file_sync_parent(to);
}

ap_err ap_file_remove(const char *path) {
    if (unlink(path) && errno != ENOENT) return ap_file_err(errno, 1, "remove", path);
    return NULL;
}
