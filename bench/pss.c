// SPDX-License-Identifier: Apache-2.0
// pss: runs a command and samples the memory of it and all its descendants.
//
//   pss -o FILE [-i MILLISECONDS] -- COMMAND [ARG...]
//
// PSS (proportional set size, /proc/PID/smaps_rollup) splits a page that several processes share evenly among
// them, so a sum over processes counts every page once. What it does not see: files in /dev/shm that nobody
// has mapped at the moment; their growth is written beside it. FILE gets lines of `key value`, and one
// `process PEAK_PSS_KB FIRST_MS LAST_MS WHAT` for each process that lived long enough to be seen.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCS 256

typedef struct proc {
    pid_t pid;
    long peak_kb;
    double first_ms, last_ms;
    char what[128];
} proc;

static proc procs[MAX_PROCS];
static size_t proc_count;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool read_text(const char *path, char *out, size_t room) {
    FILE *f = fopen(path, "re");
    if (!f) return false;
    size_t n = fread(out, 1, room - 1, f);
    fclose(f);
    out[n] = '\0';
    return n > 0;
}

static pid_t parent_of(pid_t pid) {
    char path[64], text[1024];
    int ppid = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_text(path, text, sizeof text)) return 0;
    const char *end = strrchr(text, ')'); // the name may hold anything
    if (!end || sscanf(end + 1, " %*c %d", &ppid) != 1) return 0;
    return (pid_t)ppid;
}

static bool descends_from(pid_t pid, pid_t root) {
    for (int depth = 0; pid > 1 && depth < 32; depth++) {
        if (pid == root) return true;
        pid = parent_of(pid);
    }
    return false;
}

static long pss_kb(pid_t pid) {
    char path[64], text[4096];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    if (!read_text(path, text, sizeof text)) return 0;
    const char *at = strstr(text, "\nPss:");
    return at && sscanf(at, "\nPss: %ld", &kb) == 1 ? kb : 0;
}

// A worker's log file says more than its command line, which all workers share.
static void describe(proc *p) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)p->pid);
    if (!read_text(path, text, sizeof text)) return;
    const char *base = strrchr(text, '/'), *arg = text + strlen(text) + 1;
    char link[256] = "";
    snprintf(path, sizeof path, "/proc/%d/fd/1", (int)p->pid);
    ssize_t n = readlink(path, link, sizeof link - 1);
    if (n > 0) link[n] = '\0';
    const char *log = n > 4 && strcmp(link + n - 4, ".log") == 0 ? strrchr(link, '/') : NULL;
    snprintf(p->what, sizeof p->what, "%.40s %.40s%s%.40s", base ? base + 1 : text, arg, log ? " " : "",
             log ? log + 1 : "");
}

static proc *find(pid_t pid, double at) {
    for (size_t i = 0; i < proc_count; i++)
        if (procs[i].pid == pid) return &procs[i];
    if (proc_count == MAX_PROCS) return NULL;
    proc *p = &procs[proc_count++];
    *p = (proc){.pid = pid, .first_ms = at};
    return p;
}

static long sample(pid_t root, double at, long *biggest_kb) {
    long sum = 0;
    DIR *d = opendir("/proc");
    if (!d) return 0;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        pid_t pid = (pid_t)atoi(e->d_name);
        if (pid <= 1 || !descends_from(pid, root)) continue;
        long kb = pss_kb(pid);
        if (kb == 0) continue;
        sum += kb;
        if (kb > *biggest_kb) *biggest_kb = kb;
        proc *p = find(pid, at);
        if (!p) continue;
        if (kb > p->peak_kb) p->peak_kb = kb;
        p->last_ms = at;
        describe(p); // late samples know the log and the new program
    }
    closedir(d);
    return sum;
}

static long shm_kb(void) {
    struct statvfs v;
    if (statvfs("/dev/shm", &v) != 0) return 0;
    return (long)((v.f_blocks - v.f_bfree) * (v.f_frsize / 1024));
}

static int watch(pid_t root, int interval_ms, FILE *out, double start) {
    long peak = 0, biggest = 0, shm_base = shm_kb(), shm_peak = 0, samples = 0;
    int status = 0;
    struct rusage ru;
    struct timespec pause = {.tv_nsec = interval_ms * 1000000L};
    for (;;) {
        pid_t done = wait4(root, &status, WNOHANG, &ru);
        if (done == root || (done < 0 && errno != EINTR)) break;
        long sum = sample(root, now_ms() - start, &biggest), shm = shm_kb() - shm_base;
        if (sum > peak) peak = sum;
        if (shm > shm_peak) shm_peak = shm;
        samples++;
        nanosleep(&pause, NULL);
    }
    fprintf(out,
            "wall_s %.4f\nexit %d\npeak_pss_kb %ld\nbiggest_process_pss_kb %ld\nshm_growth_kb %ld\n"
            "maxrss_kb %ld\nuser_s %.3f\nsys_s %.3f\nsamples %ld\n",
            (now_ms() - start) / 1e3, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), peak,
            biggest, shm_peak, ru.ru_maxrss, (double)ru.ru_utime.tv_sec + (double)ru.ru_utime.tv_usec / 1e6,
            (double)ru.ru_stime.tv_sec + (double)ru.ru_stime.tv_usec / 1e6, samples);
    for (size_t i = 0; i < proc_count; i++)
        fprintf(out, "process %ld %.0f %.0f %s\n", procs[i].peak_kb, procs[i].first_ms, procs[i].last_ms,
                procs[i].what);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv) {
    const char *file = NULL;
    int interval_ms = 20, c;
    while ((c = getopt(argc, argv, "+o:i:")) != -1) {
        if (c == 'o') file = optarg;
        if (c == 'i') interval_ms = atoi(optarg);
    }
    FILE *out = file ? fopen(file, "we") : NULL;
    if (!out || optind == argc || interval_ms < 1 || interval_ms > 999) {
        fprintf(stderr, "usage: pss -o FILE [-i MILLISECONDS] -- COMMAND [ARG...]\n");
        return 2;
    }
    double start = now_ms();
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[optind], argv + optind);
        fprintf(stderr, "pss: %s: %s\n", argv[optind], strerror(errno));
        _exit(127);
    }
    int code = pid > 0 ? watch(pid, interval_ms, out, start) : 1;
    fclose(out);
    return code;
}
