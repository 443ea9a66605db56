// SPDX-License-Identifier: Apache-2.0
// lanes: several deployments of one command, some of them side by side.
//
// A deployment keeps up to two processors busy: its longest chain (build, run, run again) is half of its
// work. So there are as many lanes as pairs of processors, as far as memory allows. Each has processors of
// its own: searches end by the clock, and would find less beside somebody who takes their time. Lanes share
// nothing but the context and the store.
#ifndef AP_PLAN_LANES_H
#define AP_PLAN_LANES_H

#include "plan/work/context.h"
#include "plan/work/jobs.h"

typedef struct ap_lane_work {
    void (*fn)(void *user, aipc_context *c); // `c`: whom it tells
    void *user;
    const char *name; // goes before all it tells while others run
    uint64_t bytes;   // of its model; 0: not known
    size_t after;     // an earlier one that must have ended before; AP_JOB_NONE
} ap_lane_work;

#define AP_LANE_PROCESSORS 2

// How many can run at once on so many processors with so much free memory (0: not known); at least 1.
size_t ap_lanes_fit(const ap_lane_work *list, size_t count, size_t processors, uint64_t free_bytes);
// Does all the work, at most `lanes` at a time, begun in the order of the list; returns when all is done. One
// lane: one after the other, told as if nobody else were there.
void ap_lanes_run(aipc_context *c, const ap_lane_work *list, size_t count, size_t lanes);

#endif
