// SPDX-License-Identifier: Apache-2.0
// worker: the parent's side. One child process per target and SoC.
//
// Vendor libraries crash, hang, eat memory, leak the SoC setting into later sessions and print where they
// like. Each of these ends one child and becomes one error with the child's last log lines; the parent goes
// on.
#ifndef AP_WORKER_WORKER_H
#define AP_WORKER_WORKER_H

#include "base/json.h"
#include "base/proc.h"
#include "base/shared.h"

typedef struct ap_worker ap_worker;

typedef struct ap_worker_options {
    const char *program;         // the aipc program; it is started as `program worker --fd 3`
    const json_t *config;        // {target, ort, ...} handed to the target's open (borrowed)
    const char *log_path;        // where the child's stdout and stderr go
    unsigned timeout_s;          // per request; 0: 600
    uint64_t memory_limit_bytes; // of resident memory; 0: none
} ap_worker_options;

// Starts the child and opens the target. Errors: WORKER_*, RUNTIME_LOAD, and what the target says.
AP_MUST ap_err ap_worker_start(const ap_worker_options *o, ap_worker **out);
// One request. Steals `args`. After a WORKER_* error the worker is dead and only ap_worker_stop is left.
// Not thread-safe: one thread at a time per worker.
AP_MUST ap_err ap_worker_call(ap_worker *w, const char *op, json_t *args, json_t **result);
// Request `share`: the worker will run the current model on tensors in this memory (worker/protocol.h), which
// begins with a zeroed ap_bell and stays until the worker is stopped. Steals `args`.
AP_MUST ap_err ap_worker_share(ap_worker *w, const ap_shared *memory, json_t *args);
// Request `heap`: inputs of calls may lie in this memory, too. The descriptor stays the caller's.
AP_MUST ap_err ap_worker_heap(ap_worker *w, int fd, size_t bytes);
// Request `call` of what was shared: outputs go to this room. `given` says of the first AP_BELL_GIVEN inputs
// where they lie (worker/bell.h); NULL: all in their own places. *vendor_us: the run of the vendor's library
// alone. Errors as for ap_worker_call, INTERNAL when nothing was shared.
AP_MUST ap_err ap_worker_ring(ap_worker *w, size_t room, const uint64_t *given, uint64_t *vendor_us);
const json_t *ap_worker_description(const ap_worker *w); // the target's describe
// Closes the channel, waits a moment, kills when it must. NULL is fine. *peak (may be NULL) gets the child's
// peak RSS. A process that only inherited the worker by a fork lets go of it and leaves it alone.
void ap_worker_stop(ap_worker *w, uint64_t *peak_rss_bytes);

// Finds the aipc program for a process that is perhaps not aipc itself: $AIPC_PROGRAM, this executable when
// it is called aipc, beside the library, ../bin from it, PATH. Error RUNTIME_MISSING.
AP_MUST ap_err ap_worker_program(ap_arena *a, char **out);

#endif
