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

void ap_ledger_add(ap_ledger *l, ap_time_kind kind, uint64_t us) {
    uint64_t now = ap_now_us();
    if (us > now - l->start_us) us = now - l->start_us; // a worker's claim: nothing took longer than the run
    pthread_mutex_lock(&l->lock);
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->list = ap_realloc(l->list, l->cap * sizeof *l->list);
    }
    l->list[l->count++] = (ap_interval){now - us, now, kind};
    pthread_mutex_unlock(&l->lock);
}

static int by_start(const void *a, const void *b) {
    const ap_interval *x = a, *y = b;
    return (x->from_us > y->from_us) - (x->from_us < y->from_us);
}

json_t *ap_ledger_json(ap_ledger *l) {
    uint64_t now = ap_now_us(), covered = 0, end = 0, sums[2] = {0, 0};
    pthread_mutex_lock(&l->lock);
    if (l->count) qsort(l->list, l->count, sizeof *l->list, by_start);
    for (size_t i = 0; i < l->count; i++) {
        const ap_interval *v = &l->list[i];
        uint64_t from = v->from_us > end ? v->from_us : end;
        if (v->to_us > from) covered += v->to_us - from;
        if (v->to_us > end) end = v->to_us;
        sums[v->kind] += v->to_us - v->from_us;
    }
    pthread_mutex_unlock(&l->lock);
    uint64_t wall = now - l->start_us;
    double ours = wall > covered ? (double)(wall - covered) / 1e6 : 0.0;
    return json_pack("{sf,sf,sf,sf}", "wall_s", (double)wall / 1e6, "ours_s", ours, "vendor_s",
                     (double)sums[AP_TIME_VENDOR] / 1e6, "golden_s", (double)sums[AP_TIME_GOLDEN] / 1e6);
}
