// SPDX-License-Identifier: Apache-2.0
// clean_worker: the oracle of surgery in a cpu worker.
//
// The model as it stands is written to the scratch folder for the worker to read; that file is a message and
// nothing else: no later step starts from it.
#ifndef AP_SURGERY_CLEAN_WORKER_H
#define AP_SURGERY_CLEAN_WORKER_H

#include "surgery/pass/pass.h"
#include "worker/worker.h"

#define AP_WORKER_SETS_MAX 4

typedef struct ap_worker_oracle {
    ap_worker *worker;                  // of target cpu; borrowed
    const char *dir;                    // scratch, the caller removes it
    json_t *inputs[AP_WORKER_SETS_MAX]; // TENSOR lists with files; borrowed
    size_t sets;
    size_t calls;
    uint64_t vendor_us;
} ap_worker_oracle;

ap_surgery_oracle ap_worker_oracle_of(ap_worker_oracle *w); // borrows

#endif
