// SPDX-License-Identifier: Apache-2.0
// Waiting, killing, collecting. Starting a child is in proc_start.c.
#include "base/proc.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/proc_internal.h"

enum {
    NAP_MS = 5, // between looks, where the kernel has no pidfd
    READ_BYTES = 16 * 1024,
    READS_AT_ONCE = 64
};

uint64_t ap_now_us(void) {
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

void ap_time_utc(char out[21]) {
    time_t now = time(NULL);
    struct tm t = {0};
    gmtime_r(&now, &t);
    if (!strftime(out, 21, "%Y-%m-%dT%H:%M:%SZ", &t)) out[0] = 0;
}

void ap_sleep_ms(unsigned ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) && errno == EINTR) {
    }
}

// ---- deadlines: a point of time in µs, UINT64_MAX for never ----

static uint64_t deadline_in_ms(uint64_t ms) {
    uint64_t now = ap_now_us();
    return ms > (UINT64_MAX - now) / 1000 ? UINT64_MAX : now + ms * 1000;
}

// Milliseconds left for poll: -1 for ever, rounded up so that poll does not spin in the last one.
static int ms_left(uint64_t deadline_us) {
    if (deadline_us == UINT64_MAX) return -1;
    uint64_t now = ap_now_us();
    if (now >= deadline_us) return 0;
    uint64_t ms = (deadline_us - now + 999) / 1000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

// ---- waiting ----

static int pidfd_of(pid_t pid) {
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, pid, 0); // close-on-exec by itself
#else
    (void)pid;
    errno = ENOSYS;
    return -1;
#endif
}

// True when the child is a zombie; it is not reaped. On a wait error (SIGCHLD ignored by the program we are
// linked into) it is true as well: reap() then says what is wrong.
static bool has_ended(pid_t pid) {
    siginfo_t info = {0};
    int rc = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return (rc && errno != EINTR) || (!rc && info.si_pid == pid);
}

// Reaps a child that has ended or was killed. First its group is killed: what it left running would hold our
// files and pipes. That happens before the wait, while the number cannot belong to anybody else.
static ap_err reap(ap_proc *p, ap_exit *how) {
    siginfo_t info;
    while (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOWAIT) && errno == EINTR) {
    }
    kill(-p->pid, SIGKILL);
    int status = 0;
    struct rusage used = {0};
    pid_t got;
    do got = wait4(p->pid, &status, 0, &used);
    while (got < 0 && errno == EINTR);
    pid_t pid = p->pid;
    p->pid = 0;
    if (got < 0) return ap_err_errno(errno, 0, "cannot learn how process %ld ended", (long)pid);
    *how = (ap_exit){.exited = WIFEXITED(status), .peak_rss_bytes = (uint64_t)used.ru_maxrss * 1024u};
    if (WIFEXITED(status))
        how->status = WEXITSTATUS(status);
    else if (WIFSIGNALED(status))
        how->signal = WTERMSIG(status);
    return NULL;
}

ap_err ap_proc_wait(ap_proc *p, uint64_t timeout_ms, bool *done, ap_exit *how) {
    if (p->pid <= 0) return ap_err_new(AP_ERR_INTERNAL, "waiting for a process that was not started");
    uint64_t deadline = deadline_in_ms(timeout_ms);
    struct pollfd watch = {.fd = pidfd_of(p->pid), .events = POLLIN};
    bool ended;
    while (!(ended = has_ended(p->pid))) {
        int ms = ms_left(deadline);
        if (ms == 0) break;
        if (watch.fd >= 0)
            poll(&watch, 1, ms);
        else
            ap_sleep_ms(ms > 0 && ms < NAP_MS ? (unsigned)ms : NAP_MS);
    }
    ap_fd_close(&watch.fd);
    ap_exit end = {0};
    ap_err err = ended ? reap(p, &end) : NULL;
    if (err) return err;
    if (ended && how) *how = end;
    *done = ended;
    return NULL;
}

void ap_proc_kill(ap_proc *p, ap_exit *how) {
    if (p->pid <= 0) return;
    kill(-p->pid, SIGKILL);
    kill(p->pid, SIGKILL); // should it have left its group
    ap_exit end = {0};
    ap_err_free(reap(p, &end)); // fails only when somebody else reaped it: it is gone, too
    if (how) *how = end;
}

// ---- run ----

// Keeps the tail: at most twice `max` bytes are held, so that the moving costs O(1) a byte.
static void keep_tail(ap_buf *b, size_t max, bool final) {
    if (b->len <= max || (!final && b->len / 2 <= max)) return;
    memmove(b->data, b->data + (b->len - max), max);
    b->len = max;
    b->data[max] = 0;
}

// Takes what is in the pipe now, closes it at its end. At most 1 MiB, the size a pipe can have: from a child
// that writes as fast as we read, the deadline must be looked at in between.
static void drain(int *fd, size_t max_output, ap_buf *b) {
    for (int i = 0; *fd >= 0 && i < READS_AT_ONCE; i++) {
        ap_buf_reserve(b, READ_BYTES);
        ssize_t n = read(*fd, b->data + b->len, READ_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            ap_fd_close(fd);
            return;
        }
        b->len += (size_t)n;
        b->data[b->len] = 0;
        keep_tail(b, max_output, false);
    }
}

// Reads until the child has ended (then true) or the deadline has come. The child's end counts, not the
// pipe's: a grandchild may hold the pipe open for ever.
static bool pump(pid_t pid, int *out_fd, uint64_t deadline, size_t max_output, ap_buf *b) {
    int pidfd = pidfd_of(pid);
    bool ended;
    while (!(ended = has_ended(pid))) {
        int ms = ms_left(deadline);
        if (ms == 0) break;
        if (pidfd < 0 && (ms < 0 || ms > NAP_MS)) ms = NAP_MS;
        struct pollfd watch[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = *out_fd, .events = POLLIN}};
        poll(watch, 2, ms); // negative descriptors are passed over
        if (watch[1].revents) drain(out_fd, max_output, b);
    }
    ap_fd_close(&pidfd);
    return ended;
}

ap_err ap_proc_run(const ap_proc_options *o, size_t max_output, ap_buf *out, ap_exit *how) {
    ap_proc p = {0};
    ap_exit end = {0};
    ap_buf text = {0};
    int read_end = -1;
    ap_err err = NULL;
    AP_TRY(ap_proc_spawn(o, o->capture_stdout ? &read_end : NULL, &p));
    uint64_t deadline = o->deadline_ms ? deadline_in_ms(o->deadline_ms) : UINT64_MAX;
    bool ended = pump(p.pid, &read_end, deadline, max_output, &text);
    if (ended)
        AP_TRY(reap(&p, &end));
    else
        ap_proc_kill(&p, &end);
    end.timed_out = !ended && !end.exited; // it may have ended by itself in the last moment
    drain(&read_end, max_output, &text);
    keep_tail(&text, max_output, true);
    if (how) *how = end;
    if (out) {
        *out = text;
        text = (ap_buf){0};
    }
done:
    ap_fd_close(&read_end);
    ap_buf_free(&text);
    return err;
}

uint64_t ap_proc_resident_bytes(const ap_proc *p) {
    char path[64];
    unsigned long pages = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)p->pid);
    FILE *f = p->pid > 0 ? fopen(path, "re") : NULL;
    if (!f) return 0;
    if (fscanf(f, "%*u %lu", &pages) != 1) pages = 0;
    (void)fclose(f);
    long page = sysconf(_SC_PAGESIZE);
    return page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

// False when there is none ("max").
static bool number_in(const char *path, const char *key, uint64_t *out) {
    ap_buf text = {0};
    ap_file_field(path, key, &text);
    bool found = sscanf(ap_buf_str(&text), "%" SCNu64, out) == 1;
    ap_buf_free(&text);
    return found;
}

uint64_t ap_memory_free(void) {
    uint64_t kib = 0, most = 0, used = 0;
    if (!number_in("/proc/meminfo", "MemAvailable", &kib) || kib > UINT64_MAX >> 10) return 0;
    uint64_t bytes = kib << 10;
    // What a container may have; its own cache counts as used, so this is on the safe side.
    if (!number_in("/sys/fs/cgroup/memory.max", "", &most) ||
        !number_in("/sys/fs/cgroup/memory.current", "", &used))
        return bytes;
    uint64_t left = most > used ? most - used : 1;
    return left < bytes ? left : bytes;
}
