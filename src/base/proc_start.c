// SPDX-License-Identifier: Apache-2.0
// vfork and exec. Everything that allocates or may fail with a good message is done before; between the two
// the child lives in the parent's memory, while the thread that made it stands still, so only
// async-signal-safe calls are made and nothing of the parent's is written to. A plain fork would copy the
// page tables of a program of many gigabytes, run its libraries' fork handlers, and part what they share with
// others (preload/heap.c).
#include "base/proc_internal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

enum { CHANNEL_FD = 3 };

// All the child needs, made by the parent.
typedef struct launch {
    const char *program; // with a slash, or found on PATH
    char *const *argv;
    char *const *envp;
    const char *cwd;
    int in, out, err, channel; // descriptors to become 0, 1, 2, 3; channel -1: none
    int report;                // a step that fails writes {step, errno} here; closed by exec
    pid_t parent;
    uint64_t memory_limit_bytes;
    bool keep, foreground;
} launch;

typedef enum step { STEP_SETUP, STEP_CWD, STEP_LIMIT, STEP_EXEC } step;
typedef struct failure {
    int step, errnum;
} failure;

static _Noreturn void fail(const launch *l, step at) {
    failure f = {.step = (int)at, .errnum = errno};
    ssize_t n = write(l->report, &f, sizeof f);
    _exit(n == (ssize_t)sizeof f ? 127 : 126);
}

// Closes on exec all descriptors from `first` up.
static void close_from(int first) {
#ifdef SYS_close_range
    if (!syscall(SYS_close_range, (unsigned)first, ~0u, 4u /* CLOSE_RANGE_CLOEXEC, Linux 5.11 */)) return;
#endif
    struct rlimit r = {0};
    int end = getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur > 65536 ? 65536 : (int)r.rlim_cur;
    for (int fd = first; fd < end; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

// Handlers of the parent must not run here, and an ignored SIGPIPE would be inherited by exec.
static void reset_signals(void) {
    struct sigaction now, plain = {.sa_handler = SIG_DFL};
    for (int s = 1; s < NSIG; s++) {
        if (sigaction(s, NULL, &now)) continue;
        bool ignored = !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_IGN;
        if (!ignored || s == SIGPIPE) sigaction(s, &plain, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

// Puts the descriptors in place. They are moved above 3 first: any of them may have a number below 4 already.
static bool place_fds(launch *l) {
    int *fds[] = {&l->report, &l->in, &l->out, &l->err, &l->channel};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] < 0) continue;
        int moved = fcntl(*fds[i], F_DUPFD_CLOEXEC, CHANNEL_FD + 1);
        if (moved < 0) return false;
        *fds[i] = moved;
    }
    if (dup2(l->in, 0) < 0 || dup2(l->out, 1) < 0 || dup2(l->err, 2) < 0) return false;
    if (l->channel >= 0 && dup2(l->channel, CHANNEL_FD) < 0) return false;
    close_from(l->channel >= 0 ? CHANNEL_FD + 1 : CHANNEL_FD);
    return true;
}

static _Noreturn void child(launch l) {
    if (!l.foreground) setpgid(0, 0);
    // Fires when the *thread* that forked ends, not the process: start children from a thread that outlives
    // them, or keep them. A parent that died before this line is found by its number.
    if (!l.keep) prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != l.parent) _exit(126);
    if (!l.foreground && !place_fds(&l)) fail(&l, STEP_SETUP);
    if (l.cwd && chdir(l.cwd)) fail(&l, STEP_CWD);
    if (l.memory_limit_bytes) {
        rlim_t n = l.memory_limit_bytes > RLIM_INFINITY / 2 ? RLIM_INFINITY / 2 : l.memory_limit_bytes;
        struct rlimit r = {.rlim_cur = n, .rlim_max = n};
        if (setrlimit(RLIMIT_AS, &r)) fail(&l, STEP_LIMIT);
    }
    reset_signals();
    execve(l.program, l.argv, l.envp);
    fail(&l, STEP_EXEC);
}

// ---- before the fork ----

static bool is_program(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

// NULL when there is none. A name with a slash is taken as it is (seen from `cwd`, as execvp does).
static const char *find_program(ap_arena *a, const char *name) {
    if (strchr(name, '/')) return name;
    const char *path = getenv("PATH");
    if (!path || !path[0]) path = "/usr/local/bin:/usr/bin:/bin";
    for (const char *p = path;; p++) {
        size_t n = strcspn(p, ":");
        // An empty part means the current folder; a shell would look there, we do not.
        const char *full = ap_path_join(a, ap_arena_strndup(a, p, n), name);
        if (n && is_program(full)) return full;
        p += n;
        if (!*p) return NULL;
    }
}

static size_t name_length(const char *assignment) {
    return strcspn(assignment, "=");
}

// The parent's environment with `add` put over it; a later entry of `add` wins.
static char **merge_env(ap_arena *a, const char *const *add) {
    size_t have = 0, more = 0, n = 0;
    while (environ && environ[have]) have++;
    while (add && add[more]) more++;
    char **envp = ap_arena_calloc(a, have + more + 1, sizeof *envp);
    for (size_t i = 0; i < have + more; i++) {
        char *entry = i < have ? environ[i] : ap_arena_strdup(a, add[i - have]);
        size_t len = name_length(entry), at = n;
        // Only what `add` brings can replace, so the environment itself is copied in one go.
        for (size_t j = 0; i >= have && j < n; j++) {
            if (name_length(envp[j]) == len && !memcmp(envp[j], entry, len)) at = j;
        }
        envp[at] = entry;
        if (at == n) n++;
    }
    return envp;
}

static ap_err open_output(const char *path, int *fd) {
    int f =
        open(path ? path : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    if (f < 0)
        return ap_err_subject(ap_err_errno(errno, 1, "cannot write '%s'", path ? path : "/dev/null"), path);
    *fd = f;
    return NULL;
}

// Opens what the child reads and writes. What was opened is in `l` also after an error.
static ap_err open_streams(const ap_proc_options *o, int *read_end, launch *l) {
    ap_err err = NULL;
    if (o->foreground) return NULL; // it has ours
    l->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (l->in < 0) return ap_err_errno(errno, 0, "cannot open /dev/null");
    if (read_end) {
        int pipe_fds[2];
        if (pipe2(pipe_fds, O_CLOEXEC)) return ap_err_errno(errno, 0, "cannot make a pipe");
        *read_end = pipe_fds[0];
        l->out = pipe_fds[1];
        if (fcntl(*read_end, F_SETFL, O_NONBLOCK)) return ap_err_errno(errno, 0, "cannot set up a pipe");
    } else {
        err = open_output(o->stdout_path, &l->out);
    }
    if (err) return err;
    bool same = !read_end && o->stdout_path && o->stderr_path && !strcmp(o->stdout_path, o->stderr_path);
    if (!same) return open_output(o->stderr_path, &l->err);
    l->err = fcntl(l->out, F_DUPFD_CLOEXEC, 0);
    return l->err < 0 ? ap_err_errno(errno, 0, "cannot duplicate a descriptor") : NULL;
}

static ap_err explain(const failure *f, const ap_proc_options *o) {
    const char *name = o->argv[0];
    ap_err err;
    if (f->step == STEP_CWD)
        err = ap_err_errno(f->errnum, 0, "cannot run '%s' in '%s'", name, o->cwd);
    else if (f->step == STEP_LIMIT)
        err = ap_err_errno(f->errnum, 0, "cannot limit the memory of '%s'", name);
    else if (f->step == STEP_SETUP)
        err = ap_err_errno(f->errnum, 0, "cannot set up '%s'", name);
    else
        err = ap_err_errno(f->errnum, 0, "cannot run '%s'", name);
    return ap_err_subject(err, name);
}

// With all signals blocked, so that no handler of the parent runs in the child.
static pid_t fork_child(const launch *l) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = vfork();
    if (pid == 0) child(*l);
    int e = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = e;
    return pid;
}

// Waits for exec: end of file on the pipe says it worked.
static ap_err launch_child(launch *l, const ap_proc_options *o, ap_proc *out) {
    int report[2];
    if (pipe2(report, O_CLOEXEC)) return ap_err_errno(errno, 0, "cannot make a pipe");
    l->report = report[1];
    pid_t pid = fork_child(l);
    int e = errno;
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        return ap_err_errno(e, 0, "cannot start '%s'", o->argv[0]);
    }
    if (!l->foreground) setpgid(pid, pid); // the child does it, too; whoever is first
    failure f;
    ssize_t n;
    do n = read(report[0], &f, sizeof f);
    while (n < 0 && errno == EINTR);
    close(report[0]);
    ap_proc p = {.pid = pid};
    if (n == (ssize_t)sizeof f) {
        ap_proc_kill(&p, NULL);
        return explain(&f, o);
    }
    *out = p;
    return NULL;
}

ap_err ap_proc_spawn(const ap_proc_options *o, int *read_end, ap_proc *out) {
    if (!o->argv || !o->argv[0]) return ap_err_new(AP_ERR_INTERNAL, "no program to run");
    ap_arena a = {0};
    int output = -1;
    launch l = {
        .in = -1, .out = -1, .err = -1, .channel = o->channel_fd > 0 ? o->channel_fd : -1, .report = -1};
    ap_err err = NULL;
    l.program = find_program(&a, o->argv[0]);
    if (!l.program) {
        err = ap_err_new(AP_ERR_NOT_FOUND, "cannot run '%s': no such program on PATH", o->argv[0]);
        err = ap_err_subject(err, o->argv[0]);
        goto done;
    }
    l.argv = (char *const *)(uintptr_t)o->argv; // exec does not write to it; its type is older than const
    l.envp = merge_env(&a, o->env_add);
    l.cwd = o->cwd;
    l.parent = getpid();
    l.memory_limit_bytes = o->memory_limit_bytes;
    l.keep = o->keep;
    l.foreground = o->foreground;
    AP_TRY(open_streams(o, read_end ? &output : NULL, &l));
    AP_TRY(launch_child(&l, o, out));
    if (read_end) {
        *read_end = output;
        output = -1;
    }
done:
    ap_fd_close(&output);
    ap_fd_close(&l.err);
    ap_fd_close(&l.out);
    ap_fd_close(&l.in);
    ap_arena_release(&a);
    return err;
}

ap_err ap_proc_start(const ap_proc_options *o, ap_proc *out) {
    return ap_proc_spawn(o, NULL, out);
}
