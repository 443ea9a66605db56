// SPDX-License-Identifier: Apache-2.0
// bell: a call and its answer without a word on the channel.
//
// It lies at the front of the memory that a worker shares with its asker. Each of the two has a word that the
// other changes, and sleeps on its own until then, or watches it for a moment before: a process that has just
// been asked, or waits for a short run, is soon wanted again. Frames on the channel ring, too, since the
// worker sleeps here. The other side may be broken: what it writes ends a wait too early, never later than
// the limit.
#ifndef AP_WORKER_BELL_H
#define AP_WORKER_BELL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AP_BELL_GIVEN = 16 }; // inputs behind these lie in their own place

// In zeroed memory it is ready. Each side writes on a cache line of its own.
typedef struct ap_bell {
    alignas(64) _Atomic uint32_t call;   // the worker sleeps on it
    _Atomic uint32_t asker_cpu;          // where it is, and one more; 0: unknown
    uint32_t room;                       // which room for outputs the call is about
    alignas(64) _Atomic uint32_t answer; // the asker sleeps on it
    _Atomic uint32_t worker_cpu;
    uint64_t vendor_us;
    // Where an input lies in the asker's heap (worker/protocol.h), and one more; 0: in its own place.
    alignas(64) uint64_t given[AP_BELL_GIVEN];
} ap_bell;

// Is it worth while to wait awake? Only where the last waits were short, and the other one is on another
// processor: a wait in vain keeps from the processor whoever wants it, perhaps just him. {0}: not yet.
typedef struct ap_patience {
    uint32_t quick;    // waits in a row that were short
    uint64_t since_us; // the wait that is going on; 0: none
} ap_patience;

typedef enum ap_ring { AP_RING_NONE, AP_RING_CALL, AP_RING_FRAME } ap_ring;

// ---- the asker
void ap_bell_call(ap_bell *b, uint32_t room); // `given` was set before
void ap_bell_frame(ap_bell *b);               // something stands, or ends, on the channel
// Waits for the answer of a call. CALL: here it is; FRAME: it comes as a frame; NONE: nothing in all this
// time, wait again.
ap_ring ap_bell_answered(ap_bell *b, ap_patience *p, unsigned timeout_ms);

// ---- the worker
// Waits for ever. FRAME: look at the channel.
ap_ring ap_bell_asked(ap_bell *b, ap_patience *p, uint32_t *room);
void ap_bell_answer(ap_bell *b, bool frame, uint64_t vendor_us); // `frame`: one is on its way, an error

#endif
