// SPDX-License-Identifier: Apache-2.0
// proc: subprocesses (argument vector, never a shell), pipes, time.
//
// Children get their own process group, /dev/null as stdin, default signals and no descriptors but 0, 1, 2
// and the channel. When a child ends, what it left running in its group is killed. Children die with the
// parent (PR_SET_PDEATHSIG where there is one) - strictly, with the *thread* that started them: start
// children from a thread that outlives them.
#ifndef AP_BASE_PROC_H
#define AP_BASE_PROC_H

#include "base/channel.h"
#include "base/mem.h"

#include <stdint.h>
#include <sys/types.h>

uint64_t ap_now_us(void);       // monotonic
void ap_time_utc(char out[21]); // "2026-11-21T09:54:22Z"
void ap_sleep_ms(unsigned ms);

// How a child ended.
typedef struct ap_exit {
    bool exited; // true: `status` is its exit code
    int status;
    int signal;     // when killed by one, else 0
    bool timed_out; // we killed it at the deadline
    // From wait4. Counts the copy of the parent between fork and exec, too: never below the parent's own
    // heap. A child that must know better reads VmHWM in /proc/self/status.
    uint64_t peak_rss_bytes;
} ap_exit;

typedef struct ap_proc_options {
    const char *const *argv;    // NULL-ended; argv[0] is searched on PATH
    const char *const *env_add; // "KEY=value" strings put over the parent's environment; NULL-ended or NULL
    const char *cwd;            // NULL: the parent's
    const char *stdout_path;    // file to write to; NULL: /dev/null
    const char *stderr_path;    // file to write to; NULL: /dev/null; may equal stdout_path
    int channel_fd;             // > 0: passed to the child as fd 3; 0 or -1: none
    bool keep;       // not killed when the thread that starts it ends (others are, and with it when the
                     // process dies): it watches its channel, see ap_channel_end_with_peer
    bool foreground; // it has our stdin, stdout, stderr and other open files, and stays in our process group
    bool capture_stdout;         // run only: collect stdout
    uint64_t memory_limit_bytes; // 0: none. Address-space headroom limit (RLIMIT_AS)
    uint64_t deadline_ms;        // run only; 0: none
} ap_proc_options;

typedef struct ap_proc {
    pid_t pid; // 0 when none
} ap_proc;

AP_MUST ap_err ap_proc_start(const ap_proc_options *o, ap_proc *out);
// Waits up to timeout_ms (UINT64_MAX: for ever). *done tells whether it ended; then *how is filled, pid 0.
AP_MUST ap_err ap_proc_wait(ap_proc *p, uint64_t timeout_ms, bool *done, ap_exit *how);
void ap_proc_kill(ap_proc *p, ap_exit *how); // SIGKILL to its group, reaps; how may be NULL
// Start, wait, collect. Output above max_output bytes keeps the tail.
AP_MUST ap_err ap_proc_run(const ap_proc_options *o, size_t max_output, ap_buf *out, ap_exit *how);

// Runs the user's own program in the foreground: what the terminal and the shell send reaches it. While it
// runs, SIGINT and SIGQUIT are left to it and SIGTERM and SIGHUP are handed on.
AP_MUST ap_err ap_proc_foreground(const char *const *argv, const char *const *env_add, ap_exit *how);
// What a shell would show for this end: the exit code, or 128 and the signal.
int ap_exit_status(const ap_exit *how);

// Memory that can be had without pushing anything out, also by the rules of a container; 0 when it cannot be
// told.
uint64_t ap_memory_free(void);
// Resident memory of a running child, 0 when it cannot be told.
uint64_t ap_proc_resident_bytes(const ap_proc *p);

#endif
