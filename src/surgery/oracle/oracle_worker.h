// SPDX-License-Identifier: Apache-2.0
// oracle_worker: the oracle of small models in a cpu worker.
//
// The worker starts with the first question. When it dies or hangs that is an error of the question asked
// (WORKER_CRASH, WORKER_HANG, WORKER_MEMORY); the next question gets a fresh worker.
//
// What it never does: ask twice, decide what an error means for a rule. Not thread-safe: one user each.
#ifndef AP_SURGERY_ORACLE_WORKER_H
#define AP_SURGERY_ORACLE_WORKER_H

#include "surgery/oracle/oracle.h"
#include "worker/worker.h"

typedef struct ap_oracle_worker_options {
    ap_err (*start)(void *user, ap_worker **out); // starts a worker of target cpu
    void (*spent)(void *user, uint64_t us);       // after a call: time in the library; NULL: nobody keeps it
    void *user;
    const char *dir; // scratch folder, ours alone; the caller removes it
} ap_oracle_worker_options;

typedef struct ap_oracle_worker ap_oracle_worker;
ap_oracle_worker *ap_oracle_worker_new(const ap_oracle_worker_options *o);
void ap_oracle_worker_free(ap_oracle_worker *w); // NULL is fine; stops the worker
ap_piece_oracle ap_oracle_worker_piece(ap_oracle_worker *w);

typedef struct ap_oracle_worker_stats {
    size_t calls, restarts;
    uint64_t vendor_us;
} ap_oracle_worker_stats;
ap_oracle_worker_stats ap_oracle_worker_told(const ap_oracle_worker *w);

// True when the model that was asked about is to blame (the library refuses it, fails or dies of it); false
// for trouble of the machinery: no worker can be started, no space on the disk.
bool ap_oracle_blames_model(const ap_error *e);

#endif
