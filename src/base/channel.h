// SPDX-License-Identifier: Apache-2.0
// channel: bytes between a parent and its worker, over a connected pair of stream sockets.
#ifndef AP_BASE_CHANNEL_H
#define AP_BASE_CHANNEL_H

#include "base/mem.h"

// Makes the pair; both ends close on exec.
AP_MUST ap_err ap_channel_pair(int fds[2]);
// Writes all of both parts, as one message where it fits: the peer wakes once. `pass` is a descriptor that
// goes with it (-1: none; it stays open here). A dead peer is an error, never a SIGPIPE.
AP_MUST ap_err ap_channel_write(int fd, const void *head, size_t head_bytes, const void *body,
                                size_t body_bytes, int pass);

typedef enum ap_channel_state { AP_CHANNEL_DATA, AP_CHANNEL_QUIET, AP_CHANNEL_CLOSED } ap_channel_state;
// Waits up to timeout_ms (-1: for ever) and appends what has come to `in`. CLOSED: the peer is gone, nothing
// more will come.
AP_MUST ap_err ap_channel_read(int fd, int timeout_ms, ap_buf *in, ap_channel_state *state);
// The same for a reader that accepts descriptors: one that came along replaces *passed, which is closed then.
AP_MUST ap_err ap_channel_receive(int fd, int timeout_ms, ap_buf *in, int *passed, ap_channel_state *state);
// Ends this process soon after the peer of `fd` is gone, whatever its threads are doing then: a library that
// computes for an hour does not look at channels. Half a second is left for an orderly end.
AP_MUST ap_err ap_channel_end_with_peer(int fd);
void ap_fd_close(int *fd); // sets -1; -1 is fine

#endif
