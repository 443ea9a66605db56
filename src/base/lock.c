// SPDX-License-Identifier: Apache-2.0
// flock(2) belongs to the open file, so it excludes a second lock in the same process, too, and the kernel
// drops it when the process dies. The file stays behind: removing it would let two processes each hold "the"
// lock, one on the removed file.
#include "base/file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static ap_err busy(int fd, const char *path) {
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    ap_err err = pid > 0 ? ap_err_new(AP_ERR_BUSY, "'%s' is held by process %ld", path, pid)
                         : ap_err_new(AP_ERR_BUSY, "'%s' is held by another process", path);
    err = ap_err_hint(err, "wait for it to end, or stop it; the lock is freed when that process ends");
    return ap_err_subject(err, path);
}

ap_err ap_lock_take(const char *path, ap_lock *out) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (fd < 0) return ap_file_err(errno, 1, "lock", path);
    ap_err err = NULL;
    int rc;
    do rc = flock(fd, LOCK_EX | LOCK_NB);
    while (rc && errno == EINTR);
    if (rc) {
        err = errno == EWOULDBLOCK ? busy(fd, path) : ap_file_err(errno, 1, "lock", path);
        close(fd);
        return err;
    }
    // The number only serves the message of others; on a full disk the lock holds without it.
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n) errno = 0;
    *out = (ap_lock){.fd = fd, .held = true};
    return NULL;
}

void ap_lock_release(ap_lock *l) {
    if (l->held) {
        flock(l->fd, LOCK_UN); // close alone would leave it with a child forked but not yet in exec
        close(l->fd);
    }
    *l = (ap_lock){.fd = -1};
}
