// SPDX-License-Identifier: Apache-2.0
// server: the child's side. Holds one target and serves requests until the channel closes.
#ifndef AP_WORKER_SERVER_H
#define AP_WORKER_SERVER_H

// Returns a process exit code. The first request must be {op: "open", args: {target, ...config}}.
int ap_worker_serve(int fd);

#endif
