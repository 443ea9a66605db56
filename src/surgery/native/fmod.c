// SPDX-License-Identifier: Apache-2.0
// Mod with fmod=1 of floats by a constant: a - b * trunc(a / b), without rounding. Here: long division in
// base
// 2. |b| is doubled until it passes every number of the type; from the largest double down, what fits is
// taken off. All subtractions are exact, because what is left is at least the double and less than twice it.
// Where the result is NaN (b = 0, infinite a) anything may come out.
#include "surgery/native/natives.h"

#include "tensor/convert.h"

#include <math.h>

// How often the smallest |b| is doubled until it is beyond the type.
static int doublings(const ap_tensor *t) {
    double least = INFINITY, most = t->dtype == AP_F16 ? 65504.0 : 3.4028234663852886e38;
    for (size_t i = 0; i < ap_tensor_count(t); i++) {
        double x = fabs(ap_tensor_at(t, i));
        if (x > 0 && x < least) least = x;
    }
    return isfinite(least) ? (int)ceil(log2(most) - log2(least)) + 1 : 0;
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
    for (int k = doublings(&by); k-- > 0 && !ap_native_failed(b);) {
        ap_value *t = doubled(b, &by, k), *fits = ap_native_binary(b, "GreaterOrEqual", r, t);
        r = ap_native_where(b, fits, ap_native_binary(b, "Sub", r, t), r);
    }
    ap_value *negative = ap_native_binary(b, "Less", a, ap_native_scalar(b, by.dtype, 0));
    results[0] = ap_native_where(b, negative, ap_native_unary(b, "Neg", r), r);
}
