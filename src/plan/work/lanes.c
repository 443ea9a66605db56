// SPDX-License-Identifier: Apache-2.0
#include "plan/work/lanes.h"

#include "base/cpu.h"

#include <stdlib.h>

// Measured for htp, all processes of a deployment: 0.2 GiB for small models, 0.8 for one of 0.1, so less than
// six times the model's bytes; 1.3 for one that is small and makes large pictures. As that cannot be known
// before, all of them get no more than half of what is free.
#define BYTES_EACH ((uint64_t)1 << 30)
#define TIMES_MODEL 6

// ---- how many

static int largest_first(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

// How many of the largest fit together.
static size_t fit_in(const ap_lane_work *list, size_t count, uint64_t room) {
    uint64_t *bytes = ap_calloc(count, sizeof *bytes), sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) bytes[i] = list[i].bytes;
    qsort(bytes, count, sizeof *bytes, largest_first);
    for (; n < count; n++) {
        if (bytes[n] > room / TIMES_MODEL) break;
        sum += BYTES_EACH + bytes[n] * TIMES_MODEL;
        if (sum > room) break;
    }
    free(bytes);
    return n;
}

size_t ap_lanes_fit(const ap_lane_work *list, size_t count, size_t processors, uint64_t free_bytes) {
    size_t lanes = processors / AP_LANE_PROCESSORS;
    if (lanes > count) lanes = count;
    if (lanes < 2) return 1;
    size_t fit = fit_in(list, count, free_bytes / 2);
    if (lanes > fit) lanes = fit;
    return lanes ? lanes : 1;
}

// ---- the work

typedef struct lane {
    const ap_lane_work *work;
    aipc_context *outer;
    size_t lanes;
} lane;

static void tell(void *user, aipc_level level, const char *text) {
    const lane *l = user;
    ap_context_log(l->outer, level, "%s: %s", l->work->name, text);
}

static void show(void *user, size_t done, size_t total, const char *text) {
    const lane *l = user;
    ap_context_progress(l->outer, done, total, "%s: %s", l->work->name, text);
}

static ap_err do_named(lane *l) {
    const aipc_context_options o = {.size = sizeof o,
                                    .cache_dir = l->outer->cache_dir,
                                    .data_dir = l->outer->data_dir,
                                    .log = l->outer->log ? tell : NULL,
                                    .progress = l->outer->progress ? show : NULL,
                                    .user = l};
    aipc_context *c = NULL;
    ap_err err = ap_context_open(&o, &c);
    if (!err) l->work->fn(l->work->user, c);
    ap_context_close(c);
    return err;
}

static void run_lane(void *user, ap_jobs *jobs, size_t self, size_t slot) {
    lane *l = user;
    ap_cpu_share(slot, l->lanes);
    ap_err err = do_named(l);
    if (err) l->work->fn(l->work->user, l->outer);
    ap_err_free(err);
    ap_jobs_release(jobs, self);
}

void ap_lanes_run(aipc_context *c, const ap_lane_work *list, size_t count, size_t lanes) {
    if (lanes > count) lanes = count;
    if (lanes < 2) {
        for (size_t i = 0; i < count; i++) list[i].fn(list[i].user, c);
        return;
    }
    lane *all = ap_calloc(count, sizeof *all);
    ap_jobs *jobs = ap_jobs_new();
    for (size_t i = 0; i < count; i++) {
        all[i] = (lane){.work = &list[i], .outer = c, .lanes = lanes};
        ap_jobs_add(jobs, run_lane, &all[i], list[i].after);
    }
    ap_jobs_run(jobs, lanes);
    ap_jobs_free(jobs);
    free(all);
}
