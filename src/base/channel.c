// SPDX-License-Identifier: Apache-2.0
#include "base/channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void ap_fd_close(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

ap_err ap_channel_pair(int fds[2]) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return ap_err_errno(errno, 0, "cannot make a channel");
    fds[0] = pair[0];
    fds[1] = pair[1];
    return NULL;
}

static void *watch(void *fd_number) {
    struct pollfd p = {.fd = (int)(intptr_t)fd_number, .events = POLLRDHUP};
    while (poll(&p, 1, -1) < 0 && errno == EINTR) {
    }
    struct timespec grace = {.tv_nsec = 500000000};
    nanosleep(&grace, NULL);
    _exit(AP_EXIT_CANCELLED);
}

ap_err ap_channel_end_with_peer(int fd) {
    pthread_t thread;
    int e = pthread_create(&thread, NULL, watch, (void *)(intptr_t)fd);
    if (e) return ap_err_errno(e, 0, "cannot start a thread");
    pthread_detach(thread);
    return NULL;
}

ap_err ap_channel_write(int fd, const void *data, size_t bytes) {
    for (const char *p = data; bytes > 0;) {
        ssize_t w = send(fd, p, bytes, MSG_NOSIGNAL);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return ap_err_errno(errno, 0, "cannot write to the channel");
        p += w;
        bytes -= (size_t)w;
    }
    return NULL;
}

ap_err ap_channel_read(int fd, int timeout_ms, ap_buf *in, ap_channel_state *state) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char block[65536];
    *state = AP_CHANNEL_QUIET;
    int ready = poll(&p, 1, timeout_ms);
    if (ready == 0 || (ready < 0 && errno == EINTR)) return NULL;
    if (ready < 0) return ap_err_errno(errno, 0, "cannot wait for the channel");
    ssize_t n = read(fd, block, sizeof block);
    if (n < 0 && errno == EINTR) return NULL;
    // A reset is how a killed peer looks when it left unread bytes behind.
    if (n < 0 && errno != ECONNRESET) return ap_err_errno(errno, 0, "cannot read from the channel");
    *state = n > 0 ? AP_CHANNEL_DATA : AP_CHANNEL_CLOSED;
    if (n > 0) ap_buf_append(in, block, (size_t)n);
    return NULL;
}
