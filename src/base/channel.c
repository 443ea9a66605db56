// SPDX-License-Identifier: Apache-2.0
#include "base/channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdalign.h>
#include <string.h>
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

ap_err ap_channel_write(int fd, const void *head, size_t head_bytes, const void *body, size_t body_bytes,
                        int pass) {
    struct iovec parts[2] = {{(void *)(uintptr_t)head, head_bytes}, {(void *)(uintptr_t)body, body_bytes}};
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof pass)] = {0};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    if (pass >= 0) {
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){CMSG_LEN(sizeof pass), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(c), &pass, sizeof pass);
    }
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t w = sendmsg(fd, &m, MSG_NOSIGNAL);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return ap_err_errno(errno, 0, "cannot write to the channel");
        m.msg_control = NULL; // went with the first byte
        m.msg_controllen = 0;
        for (size_t i = 0, left = (size_t)w; i < 2; i++) {
            size_t n = left < parts[i].iov_len ? left : parts[i].iov_len;
            parts[i].iov_base = (char *)parts[i].iov_base + n;
            parts[i].iov_len -= n;
            left -= n;
        }
    }
    return NULL;
}

// Takes the descriptor out of a message, if there is one.
static void take_passed(struct msghdr *m, int *passed) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        ap_fd_close(passed);
        memcpy(passed, CMSG_DATA(c), sizeof *passed); // there is room for one: the kernel closes others
    }
}

ap_err ap_channel_receive(int fd, int timeout_ms, ap_buf *in, int *passed, ap_channel_state *state) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char block[65536];
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof *passed)];
    struct iovec part = {block, sizeof block};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (passed) {
        m.msg_control = control;
        m.msg_controllen = CMSG_LEN(sizeof *passed);
    }
    *state = AP_CHANNEL_QUIET;
    // Something is often there already, and a reader without a deadline may as well wait inside the call.
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | (timeout_ms < 0 ? 0 : MSG_DONTWAIT));
    if (n < 0 && errno == EAGAIN) {
        int ready = poll(&p, 1, timeout_ms);
        if (ready == 0 || (ready < 0 && errno == EINTR)) return NULL;
        if (ready < 0) return ap_err_errno(errno, 0, "cannot wait for the channel");
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    }
    if (n < 0 && errno == EINTR) return NULL;
    // A reset is how a killed peer looks when it left unread bytes behind.
    if (n < 0 && errno != ECONNRESET) return ap_err_errno(errno, 0, "cannot read from the channel");
    if (n > 0 && passed) take_passed(&m, passed);
    *state = n > 0 ? AP_CHANNEL_DATA : AP_CHANNEL_CLOSED;
    if (n > 0) ap_buf_append(in, block, (size_t)n);
    return NULL;
}

ap_err ap_channel_read(int fd, int timeout_ms, ap_buf *in, ap_channel_state *state) {
    return ap_channel_receive(fd, timeout_ms, in, NULL, state);
}
