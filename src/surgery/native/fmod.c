// SPDX-License-Identifier: Apache-2.0
// Mod with fmod=1 of floats by a constant: a - b * trunc(a / b), without rounding. Here: long division in
// base
// 2. |b| is doubled until it passes every number of the type; from the largest double down, what fits is
// taken off. All subtractions are exact, because what is left is at least the double and less than twice it.
// Where the result is NaN (b = 0, infinite a) anything may come out.
//
// By a divisor that is data: the same, the doubles computed by adding each to itself, as many as its smallest
// possible size asks for. A double beyond the type is infinite and fits nowhere.
#include "surgery/native/natives.h"

#include "tensor/convert.h"

#include <math.h>

// How often the smallest |b| is doubled until it is beyond the type.
static int doublings(double least, double most) {
    return isfinite(least) && most >= least ? (int)ceil(log2(most) - log2(least)) + 1 : 0;
}

static double smallest(const ap_tensor *t) {
    double least = INFINITY;
    for (size_t i = 0; i < ap_tensor_count(t); i++) {
        double x = fabs(ap_tensor_at(t, i));
        if (x > 0 && x < least) least = x;
    }
    return least;
}

// What fits is taken off.
static ap_value *taken_off(ap_native_builder *b, ap_value *r, ap_value *t) {
    ap_value *fits = ap_native_binary(b, "GreaterOrEqual", r, t);
    return ap_native_where(b, fits, ap_native_binary(b, "Sub", r, t), r);
}

static ap_value *with_sign_of(ap_native_builder *b, ap_value *a, ap_dtype type, ap_value *r) {
    ap_value *negative = ap_native_binary(b, "Less", a, ap_native_scalar(b, type, 0));
    return ap_native_where(b, negative, ap_native_unary(b, "Neg", r), r);
}

// |b| * 2^k; infinite where it is beyond the type.
static ap_value *doubled(ap_native_builder *b, const ap_tensor *t, int k) {
    ap_tensor *made = ap_native_tensor(b, t->dtype, t->dims, t->rank);
    for (size_t i = 0; made && i < ap_tensor_count(t); i++)
        ap_tensor_put_f64(made, i, 1, &(double){ldexp(fabs(ap_tensor_at(t, i)), k)});
    return ap_native_constant(b, made);
}

void native_fmod(ap_native_builder *b, const ap_match *m, ap_value **results) {
    ap_value *a = ap_native_operand(m->root, 0);
    ap_tensor by;
    if (!ap_native_constant_of(b, ap_native_operand(m->root, 1), &by) ||
        (by.dtype != AP_F32 && by.dtype != AP_F16)) {
        ap_native_refuse(b, "the divisor is no constant of float32 or float16");
        return;
    }
    ap_value *r = ap_native_unary(b, "Abs", a);
    for (int k = doublings(smallest(&by), ap_dtype_highest(by.dtype)); k-- > 0 && !ap_native_failed(b);)
        r = taken_off(b, r, doubled(b, &by, k));
    results[0] = with_sign_of(b, a, by.dtype, r);
}

enum { MOST_STEPS = 160 };

void native_fmod_by(ap_native_builder *b, const ap_match *m, ap_value **results) {
    ap_value *a = ap_native_operand(m->root, 0), *by = ap_native_operand(m->root, 1), *t[MOST_STEPS];
    ap_value_type type;
    if (!m->env.facts || !ap_native_type(b, by, &type)) {
        ap_native_refuse(b, "nothing is known about the divisor");
        return;
    }
    const ap_fact *f = ap_facts_of(m->env.facts, by), *x = ap_facts_of(m->env.facts, a);
    double least = f->lo > 0 ? f->lo : f->hi < 0 ? -f->hi : 0;
    double most = fmin(ap_dtype_highest(type.dtype), fmax(fabs(x->lo), fabs(x->hi)));
    int steps = least > 0 ? doublings(least, most) : MOST_STEPS + 1;
    if (steps > MOST_STEPS) {
        ap_native_refuse(b, "the divisor may be as small as %g", least);
        return;
    }
    ap_value *r = ap_native_unary(b, "Abs", a), *d = ap_native_unary(b, "Abs", by);
    for (int k = 0; k < steps; k++) {
        t[k] = d;
        if (k + 1 < steps) d = ap_native_binary(b, "Add", d, d);
    }
    for (int k = steps; k-- > 0 && !ap_native_failed(b);) r = taken_off(b, r, t[k]);
    results[0] = with_sign_of(b, a, type.dtype, r);
}
