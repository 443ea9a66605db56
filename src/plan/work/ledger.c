// SPDX-License-Identifier: Apache-2.0
#include "plan/work/ledger.h"

#include "base/proc.h"

#include <stdlib.h>
#include <string.h>

void ap_ledger_init(ap_ledger *l) {
    memset(l, 0, sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    l->start_us = ap_now_us();
}

void ap_ledger_release(ap_ledger *l) {
    free(l->list);
    pthread_mutex_destroy(&l->lock);
    memset(l, 0, sizeof *l);
}

static void add(ap_ledger *l, ap_interval v) {
    pthread_mutex_lock(&l->lock);
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->list = ap_realloc(l->list, l->cap * sizeof *l->list);
    }
    l->list[l->count++] = v;
    pthread_mutex_unlock(&l->lock);
}

void ap_ledger_add(ap_ledger *l, ap_time_kind kind, uint64_t us) {
    uint64_t now = ap_now_us();
    if (us > now - l->start_us) us = now - l->start_us; // a worker's claim: nothing took longer than the run
    add(l, (ap_interval){now - us, now, kind});
}

void ap_ledger_include(ap_ledger *l, const ap_ledger *from) {
    for (size_t i = 0; i < from->count; i++) add(l, from->list[i]);
}

static int by_start(const void *a, const void *b) {
    const ap_interval *x = a, *y = b;
    return (x->from_us > y->from_us) - (x->from_us < y->from_us);
}

// Wall time that calls of any kind but `without` cover. The list is in order.
static uint64_t covered(const ap_ledger *l, ap_time_kind without) {
    uint64_t sum = 0, end = 0;
    for (size_t i = 0; i < l->count; i++) {
        const ap_interval *v = &l->list[i];
        uint64_t from = v->from_us > end ? v->from_us : end;
        if (v->kind == without) continue;
        if (v->to_us > from) sum += v->to_us - from;
        if (v->to_us > end) end = v->to_us;
    }
    return sum;
}

json_t *ap_ledger_json(ap_ledger *l) {
    uint64_t now = ap_now_us(), sums[AP_TIME_KINDS] = {0};
    pthread_mutex_lock(&l->lock);
    if (l->count) qsort(l->list, l->count, sizeof *l->list, by_start);
    for (size_t i = 0; i < l->count; i++) sums[l->list[i].kind] += l->list[i].to_us - l->list[i].from_us;
    uint64_t all = covered(l, AP_TIME_KINDS), but_runs = covered(l, AP_TIME_RUN), wall = now - l->start_us;
    pthread_mutex_unlock(&l->lock);
    double ours = wall > all ? (double)(wall - all) / 1e6 : 0.0;
    json_t *export = sums[AP_TIME_EXPORT] ? json_real((double)sums[AP_TIME_EXPORT] / 1e6) : NULL;
    return json_pack("{sf,sf,sf,sf,sf,so*}", "wall_s", (double)wall / 1e6, "ours_s", ours, "vendor_s",
                     (double)(sums[AP_TIME_VENDOR] + sums[AP_TIME_RUN]) / 1e6, "golden_s",
                     (double)sums[AP_TIME_GOLDEN] / 1e6, "runs_s", (double)(all - but_runs) / 1e6, "export_s",
                     export);
}
