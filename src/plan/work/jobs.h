// SPDX-License-Identifier: Apache-2.0
// jobs: a few pieces of work with dependencies, done on as many threads as there are processors.
//
// A job may wait for another one to reach a point (ap_jobs_release) instead of for its end: a reload can
// start as soon as the build is there, while the build's own runs go on. Jobs start in the order added; the
// first idle thread takes the first ready one. When a job ends without releasing those that wait for it, they
// are dropped.
#ifndef AP_PLAN_JOBS_H
#define AP_PLAN_JOBS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct ap_jobs ap_jobs;
#define AP_JOB_NONE ((size_t)-1)

// `slot` is the number of the thread, for pinning child processes to a processor.
typedef void (*ap_job_fn)(void *user, ap_jobs *jobs, size_t self, size_t slot);

ap_jobs *ap_jobs_new(void);
// Returns the job's number. `waits_for`: a job that must release this one, or AP_JOB_NONE.
size_t ap_jobs_add(ap_jobs *j, ap_job_fn fn, void *user, size_t waits_for);
void ap_jobs_release(ap_jobs *j, size_t self); // called by a running job: those that wait for it may start
void ap_jobs_run(ap_jobs *j, size_t threads);  // returns when all are done or dropped
void ap_jobs_free(ap_jobs *j);

#endif
