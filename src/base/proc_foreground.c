// SPDX-License-Identifier: Apache-2.0
// The user's own program, run as a shell would run it.
#include "base/proc.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

enum { LOOK_MS = 200 }; // should SIGCHLD get lost (blocked in another thread, ignored)

// Waits for the child; signals meant for both reach it, too.
static ap_err wait_and_hand_on(ap_proc *p, const sigset_t *watched, ap_exit *how) {
    const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
    for (bool done = false; !done;) {
        ap_err err = ap_proc_wait(p, 0, &done, how);
        if (err || done) return err;
        int sig = sigtimedwait(watched, NULL, &look);
        // The terminal sends SIGINT and SIGQUIT to the whole group: the program has them already.
        if (sig == SIGTERM || sig == SIGHUP) kill(p->pid, sig);
    }
    return NULL;
}

ap_err ap_proc_foreground(const char *const *argv, const char *const *env_add, ap_exit *how) {
    ap_proc_options o = {.argv = argv, .env_add = env_add, .foreground = true};
    ap_proc p = {0};
    sigset_t watched, before;
    const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD};
    sigemptyset(&watched);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaddset(&watched, signals[i]);
    pthread_sigmask(SIG_BLOCK, &watched, &before);
    ap_err err = ap_proc_start(&o, &p);
    if (!err) err = wait_and_hand_on(&p, &watched, how);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

int ap_exit_status(const ap_exit *how) {
    return how->exited ? how->status : 128 + how->signal;
}
