// SPDX-License-Identifier: Apache-2.0
// bell: a call and its answer without a word on the channel, between two that are both awake.
//
// It lies at the front of the memory that a worker shares with its asker. A worker that has just answered
// watches it for a moment before it sleeps, and so does the asker while a short run goes on. Whoever sleeps
// is woken by a frame on the channel (worker/protocol.h). Each step is one exchange of a word, so that nobody
// sleeps while the other believes him awake. The other side may be broken: what it writes here ends a wait
// at worst too early, never later than the limit.
#ifndef AP_WORKER_BELL_H
#define AP_WORKER_BELL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// In zeroed memory it is ready. Each side writes on a cache line of its own.
typedef struct ap_bell {
    alignas(64) _Atomic uint32_t call; // the asker's
    _Atomic uint32_t asker_cpu;        // where it is, and one more; 0: unknown
    uint32_t room;                     // which room for outputs the call is about
    alignas(64) _Atomic uint32_t answer;
    _Atomic uint32_t worker_cpu;
    uint64_t vendor_us;
} ap_bell;

// Is it worth while to wait awake? Only where the last waits were short, and the other one is on another
// processor: a wait in vain keeps from the processor whoever wants it, perhaps just him. {0}: not yet.
typedef struct ap_patience {
    uint32_t quick;    // waits in a row that were short
    uint64_t since_us; // the wait that is going on; 0: none
} ap_patience;
// What it waited for has come, in whatever way: the next wait learns from it.
void ap_patience_over(ap_patience *p);

// ---- the asker
// Rings. False: the worker sleeps, a frame must wake it.
bool ap_bell_ring(ap_bell *b, uint32_t room);
// Waits awake while that is worth it. True: answered. False: the answer comes as a frame.
bool ap_bell_wait(ap_bell *b, ap_patience *p);

// ---- the worker
// Waits awake while that is worth it. True: it was rung, *room is set. False: a frame comes.
bool ap_bell_watch(ap_bell *b, ap_patience *p, uint32_t *room);
// Tells who waits awake. False: a frame must be sent, because the asker sleeps or `frame` wants one (an
// error).
bool ap_bell_answer(ap_bell *b, bool frame, uint64_t vendor_us);

#endif
