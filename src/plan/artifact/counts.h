// SPDX-License-Identifier: Apache-2.0
// counts: what was served, written when it happens, for `aipc exec` (docs/recordings.md, "Serving"). Nothing
// relies on an orderly end: the counters are a mapped file of the process. Without $AIPC_HOOK_DIR they are
// only kept in memory, so that a reason is told once.
#ifndef AP_PLAN_COUNTS_H
#define AP_PLAN_COUNTS_H

#include "base/mem.h"

#include <sys/types.h>

enum { AP_COUNT_SLOTS = 512 };

typedef struct ap_counts {
    pid_t owner; // whose files these are; 0: nobody's yet
    int log;     // -1: none
    uint64_t *bins;
    char *lines[AP_COUNT_SLOTS]; // what each slot counts
    size_t used;
} ap_counts;
#define AP_COUNTS_NONE ((ap_counts){.log = -1})

// The counter for calls of `model` that `artifact` answers for `target`, or that nothing answers (both NULL)
// and why. *first: nobody asked for it before in this process. Another process has others: ask again when
// `owner` is not this one. One thread at a time, like the next.
size_t ap_counts_slot(ap_counts *c, const char *model, const char *artifact, const char *target,
                      const char *why, bool *first);
void ap_counts_add(ap_counts *c, size_t slot);
void ap_counts_close(ap_counts *c);

#endif
