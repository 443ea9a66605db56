// SPDX-License-Identifier: Apache-2.0
// Rows of scores (the last axis). Two rows agree when there is one choice of k winners that is right for
// both; ties make several choices right. A NaN ranks below everything; rows whose NaNs are not at the same
// places never agree.
#include "tensor/metrics_rank.h"

#include <math.h>

enum { BLOCK = 512, TOP = 5 };

typedef struct score_row {
    const ap_tensor *ref, *test;
    size_t from, length;
} score_row;

// The largest TOP values seen, falling.
typedef struct leaders {
    double value[TOP];
    size_t count;
} leaders;

static void offer(leaders *l, double v) {
    if (l->count == TOP && v <= l->value[TOP - 1]) return;
    size_t i = l->count < TOP ? l->count++ : TOP - 1;
    for (; i > 0 && l->value[i - 1] < v; i--) l->value[i] = l->value[i - 1];
    l->value[i] = v;
}

// False when the NaNs differ.
static bool find_leaders(const score_row *row, leaders *ref, leaders *test) {
    double r[BLOCK], t[BLOCK];
    for (size_t at = 0; at < row->length; at += BLOCK) {
        size_t n = row->length - at < BLOCK ? row->length - at : BLOCK;
        ap_tensor_to_f64(row->ref, row->from + at, n, r);
        ap_tensor_to_f64(row->test, row->from + at, n, t);
        for (size_t i = 0; i < n; i++) {
            if (!isnan(r[i]) != !isnan(t[i])) return false;
            offer(ref, isnan(r[i]) ? -(double)INFINITY : r[i]);
            offer(test, isnan(t[i]) ? -(double)INFINITY : t[i]);
        }
    }
    return true;
}

// With `a` and `b` the k-th largest values: every common choice lies inside { ref >= a and test >= b } and
// must hold { ref > a or test > b }. So there is one exactly when the second set lies in the first and the
// first has k elements.
static bool common_choice(const score_row *row, double a, double b, size_t k) {
    double r[BLOCK], t[BLOCK];
    size_t may = 0, must = 0;
    for (size_t at = 0; at < row->length; at += BLOCK) {
        size_t n = row->length - at < BLOCK ? row->length - at : BLOCK;
        ap_tensor_to_f64(row->ref, row->from + at, n, r);
        ap_tensor_to_f64(row->test, row->from + at, n, t);
        for (size_t i = 0; i < n; i++) {
            double x = isnan(r[i]) ? -(double)INFINITY : r[i], y = isnan(t[i]) ? -(double)INFINITY : t[i];
            bool allowed = x >= a && y >= b, needed = x > a || y > b;
            if (needed && !allowed) return false;
            may += allowed;
            must += needed;
        }
    }
    return may >= k && must <= k;
}

void ap_metrics_rank(const ap_tensor *ref, const ap_tensor *test, ap_metrics *m) {
    m->argmax_agree = m->top5_agree = (double)NAN;
    m->class_like = (ref->rank == 1 || ref->rank == 2) && ap_dtype_is_float(ref->dtype) && m->count > 0 &&
                    ref->dims[ref->rank - 1] >= 2;
    if (!m->class_like) return;
    score_row row = {.ref = ref, .test = test, .length = (size_t)ref->dims[ref->rank - 1]};
    size_t rows = m->count / row.length, k = row.length < TOP ? row.length : TOP, first = 0, top = 0;
    for (size_t i = 0; i < rows; i++, row.from += row.length) {
        leaders r = {0}, t = {0};
        if (!find_leaders(&row, &r, &t)) continue;
        first += common_choice(&row, r.value[0], t.value[0], 1);
        top += common_choice(&row, r.value[k - 1], t.value[k - 1], k);
    }
    m->argmax_agree = (double)first / (double)rows;
    m->top5_agree = (double)top / (double)rows;
}
