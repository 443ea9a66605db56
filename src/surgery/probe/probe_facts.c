// SPDX-License-Identifier: Apache-2.0
// Values for probes that keep to what is certain about an input: a probe outside of it says nothing.
#include "surgery/probe/probe_priv.h"

#include <math.h>

enum { SPAN = 16 }; // of drawn whole numbers when the range is wider

// The part of [lo, hi] that is near the range the operator is made for.
static void near_part(double lo, double hi, double from, double to, double *a, double *b) {
    *a = fmax(lo, from);
    *b = fmin(hi, to);
    if (*a <= *b) return;
    *a = isfinite(lo) ? (isfinite(hi) && hi < from ? fmax(lo, hi - SPAN) : lo) : hi - SPAN;
    *b = isfinite(hi) ? fmin(hi, *a + SPAN) : *a + SPAN;
}

static void whole_numbers(ap_probe_values *v, const ap_fact *f, double from, double to) {
    double a, b;
    near_part(f->lo, f->hi, from, to, &a, &b);
    a = ceil(a);
    b = floor(b);
    if (f->nonzero && a <= 0 && b >= 0) { // the larger side of zero
        if (b >= -a)
            a = 1;
        else
            b = -1;
    }
    *v = (ap_probe_values){.kind = AP_PROBE_VALUES_INTS, .a = a, .b = b + 1};
}

// Along the first axis whose elements are known to differ.
static bool differing(ap_probe_values *v, const ap_fact *f, const ap_value_type *t) {
    for (size_t axis = 0; axis < t->rank && axis < 32; axis++) {
        if (!(f->distinct >> axis & 1) || t->dims[axis] < 2) continue;
        double n = (double)t->dims[axis], lo = isfinite(f->lo)   ? ceil(f->lo)
                                               : isfinite(f->hi) ? f->hi - n + 1
                                                                 : 0;
        double hi = isfinite(f->hi) ? floor(f->hi) : lo + 2 * n;
        if (!isfinite(lo) || hi - lo + 1 < n) return false;
        if (hi - lo > 4096 && hi - lo > 2 * n) hi = lo + 2 * n;
        *v = (ap_probe_values){.kind = AP_PROBE_VALUES_LINES, .a = lo, .b = hi + 1, .axis = axis};
        return true;
    }
    return false;
}

void ap_probe_values_obey(ap_probe_values *v, const ap_fact *f, const ap_value_type *t) {
    bool number = v->kind == AP_PROBE_VALUES_INTS || v->kind == AP_PROBE_VALUES_COUNT;
    if (t->dtype == AP_BOOL) {
        if (f->lo == f->hi) *v = (ap_probe_values){.kind = AP_PROBE_VALUES_FILL, .a = f->lo};
        return;
    }
    if (f->distinct && f->integral && differing(v, f, t)) return;
    if (f->integral || number) {
        double from = v->kind == AP_PROBE_VALUES_INTS    ? v->a
                      : v->kind == AP_PROBE_VALUES_COUNT ? f->lo
                                                         : -SPAN;
        double to = v->kind == AP_PROBE_VALUES_INTS    ? v->b - 1
                    : v->kind == AP_PROBE_VALUES_COUNT ? f->hi
                                                       : SPAN;
        bool all = v->kind == AP_PROBE_VALUES_COUNT && f->lo == ap_dtype_lowest(t->dtype) &&
                   f->hi == ap_dtype_highest(t->dtype) && !f->nonzero;
        if (!all) whole_numbers(v, f, from, to);
        return;
    }
    if (isinf(f->lo) && isinf(f->hi)) return;
    double from = v->kind == AP_PROBE_VALUES_UNIFORM ? v->a : -4,
           to = v->kind == AP_PROBE_VALUES_UNIFORM ? v->b : 4, a, b;
    if (v->kind == AP_PROBE_VALUES_DISTINCT) return;
    near_part(f->lo, f->hi, from, to, &a, &b);
    *v = (ap_probe_values){.kind = AP_PROBE_VALUES_UNIFORM, .a = a, .b = b};
}
