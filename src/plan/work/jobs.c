// SPDX-License-Identifier: Apache-2.0
#include "plan/work/jobs.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

typedef enum job_state { JOB_WAITING, JOB_READY, JOB_RUNNING, JOB_DONE } job_state;

typedef struct job {
    ap_job_fn fn;
    void *user;
    size_t waits_for;
    job_state state;
} job;

// `lock` guards all states; `changed` is signalled after any of them changed.
struct ap_jobs {
    job *list;
    size_t count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

typedef struct slot {
    ap_jobs *jobs;
    size_t index;
    pthread_t thread;
} slot;

ap_jobs *ap_jobs_new(void) {
    ap_jobs *j = ap_calloc(1, sizeof *j);
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->changed, NULL);
    return j;
}

void ap_jobs_free(ap_jobs *j) {
    if (!j) return;
    pthread_cond_destroy(&j->changed);
    pthread_mutex_destroy(&j->lock);
    free(j->list);
    free(j);
}

size_t ap_jobs_add(ap_jobs *j, ap_job_fn fn, void *user, size_t waits_for) {
    j->list = ap_realloc(j->list, (j->count + 1) * sizeof *j->list);
    j->list[j->count] = (job){fn, user, waits_for, waits_for == AP_JOB_NONE ? JOB_READY : JOB_WAITING};
    return j->count++;
}

static void settle(ap_jobs *j, size_t self, job_state to) { // with the lock held
    for (size_t i = 0; i < j->count; i++) {
        if (j->list[i].waits_for != self || j->list[i].state != JOB_WAITING) continue;
        j->list[i].state = to;
        if (to == JOB_DONE) settle(j, i, JOB_DONE); // dropped: so are those behind it
    }
    pthread_cond_broadcast(&j->changed);
}

void ap_jobs_release(ap_jobs *j, size_t self) {
    pthread_mutex_lock(&j->lock);
    settle(j, self, JOB_READY);
    pthread_mutex_unlock(&j->lock);
}

// The next job to run, waiting for one if need be; AP_JOB_NONE when everything is done. Lock held.
static size_t next_job(ap_jobs *j) {
    for (;;) {
        bool open = false;
        for (size_t i = 0; i < j->count; i++) {
            if (j->list[i].state == JOB_READY) return i;
            open = open || j->list[i].state == JOB_WAITING;
        }
        if (!open) return AP_JOB_NONE;
        pthread_cond_wait(&j->changed, &j->lock);
    }
}

static void *serve(void *arg) {
    slot *s = arg;
    ap_jobs *j = s->jobs;
    pthread_mutex_lock(&j->lock);
    for (size_t i = next_job(j); i != AP_JOB_NONE; i = next_job(j)) {
        job work = j->list[i];
        j->list[i].state = JOB_RUNNING;
        pthread_mutex_unlock(&j->lock);
        work.fn(work.user, j, i, s->index);
        pthread_mutex_lock(&j->lock);
        j->list[i].state = JOB_DONE;
        settle(j, i, JOB_DONE);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

void ap_jobs_run(ap_jobs *j, size_t threads) {
    if (threads == 0) threads = 1;
    slot *slots = ap_calloc(threads, sizeof *slots);
    size_t started = 0;
    for (; started < threads; started++) {
        slots[started] = (slot){.jobs = j, .index = started};
        if (pthread_create(&slots[started].thread, NULL, serve, &slots[started]) != 0) break;
    }
    // No thread to be had: do the work here.
    if (started == 0) serve(&(slot){.jobs = j});
    for (size_t i = 0; i < started; i++) pthread_join(slots[i].thread, NULL);
    free(slots);
}
