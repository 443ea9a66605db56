// SPDX-License-Identifier: Apache-2.0
// ledger: where the time of a run went: ours, the vendor's, golden, the program's that exports.
//
// Calls overlap, so sums say nothing about the wall clock. The ledger keeps the intervals; "ours" is the wall
// time that none covers, "runs" what nothing but runs of artifacts covers: on an emulator minutes that a
// device needs milliseconds for.
#ifndef AP_PLAN_LEDGER_H
#define AP_PLAN_LEDGER_H

#include "base/json.h"

#include <pthread.h>

typedef enum ap_time_kind {
    AP_TIME_VENDOR, // all of the vendor's library but
    AP_TIME_RUN,    // runs of an artifact
    AP_TIME_GOLDEN,
    AP_TIME_EXPORT,
    AP_TIME_KINDS
} ap_time_kind;

typedef struct ap_interval {
    uint64_t from_us, to_us;
    ap_time_kind kind;
} ap_interval;

// `lock` guards the list; any thread may add.
typedef struct ap_ledger {
    pthread_mutex_t lock;
    ap_interval *list;
    size_t count, cap;
    uint64_t start_us;
} ap_ledger;

void ap_ledger_init(ap_ledger *l); // the clock starts
void ap_ledger_release(ap_ledger *l);
// A call that just ended and spent `us` in the library.
void ap_ledger_add(ap_ledger *l, ap_time_kind kind, uint64_t us);
// What `from` holds, too: the ledger of all includes that of a part. Nobody else holds `from`.
void ap_ledger_include(ap_ledger *l, const ap_ledger *from);
// {wall_s, ours_s, vendor_s, golden_s, runs_s, export_s} since init; vendor_s (runs with it) and golden_s are
// sums over overlapping calls. export_s is left out where nothing was exported.
json_t *ap_ledger_json(ap_ledger *l);

#endif
