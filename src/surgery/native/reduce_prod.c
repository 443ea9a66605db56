// SPDX-License-Identifier: Apache-2.0
// ReduceProd: the product of the elements along some axes (all axes when none are given; none when none are
// given and noop_with_empty_axes is 1). Here: the reduced axes go last and become one, which is then halved
// and multiplied until one element is left. An odd one out is multiplied in at the end. The order of the
// factors changes, so an overflow on the way may differ.
#include "surgery/native/natives.h"

// Which axes are reduced. False: refused.
static bool reduced_axes(ap_native_builder *b, const ap_node *n, size_t rank, bool *gone) {
    int64_t axes[AP_MAX_RANK];
    size_t count = 0;
    ap_tensor t;
    ap_value *operand = ap_native_operand(n, 1);
    for (size_t i = 0; i < rank; i++) gone[i] = false;
    ap_native_ints_attr(n, "axes", axes, AP_MAX_RANK, &count);
    if (operand) {
        if (!ap_native_constant_of(b, operand, &t) || t.dtype != AP_I64 || ap_tensor_count(&t) > AP_MAX_RANK)
            return ap_native_refuse(b, "the axes are not constant");
        count = ap_tensor_count(&t);
        for (size_t i = 0; i < count; i++) axes[i] = ((const int64_t *)t.data)[i];
    }
    bool all = !count && !ap_node_attr_int(n, "noop_with_empty_axes", 0);
    for (size_t i = 0; i < rank; i++) gone[i] = all;
    for (size_t i = 0; i < count; i++) {
        int64_t a = axes[i] < 0 ? axes[i] + (int64_t)rank : axes[i];
        if (a < 0 || a >= (int64_t)rank) return ap_native_refuse(b, "an axis outside of the rank");
        gone[a] = true;
    }
    return true;
}

// [rows, n] to [rows, 1]
static ap_value *multiply(ap_native_builder *b, ap_value *x, int64_t n) {
    ap_value *odd = NULL;
    while (n > 1 && !ap_native_failed(b)) {
        int64_t half = n / 2;
        if (n % 2) {
            ap_value *last = ap_native_slice(b, x, 1, n - 1, n, 1);
            odd = odd ? ap_native_binary(b, "Mul", odd, last) : last;
        }
        x = ap_native_binary(b, "Mul", ap_native_slice(b, x, 1, 0, half, 1),
                             ap_native_slice(b, x, 1, half, 2 * half, 1));
        n = half;
    }
    return odd ? ap_native_binary(b, "Mul", x, odd) : x;
}

void native_reduce_prod(ap_native_builder *b, const ap_match *m, ap_value **results) {
    ap_value *x = ap_native_operand(m->root, 0);
    ap_value_type t;
    bool gone[AP_MAX_RANK];
    int64_t perm[AP_MAX_RANK], out[AP_MAX_RANK], rows = 1, n = 1;
    size_t at = 0, rank = 0;
    if (!ap_native_type(b, x, &t)) {
        ap_native_refuse(b, "the shape is not known");
        return;
    }
    if (!reduced_axes(b, m->root, t.rank, gone)) return;
    bool keep = ap_node_attr_int(m->root, "keepdims", 1) != 0;
    for (size_t i = 0; i < t.rank; i++) {
        if (!gone[i]) perm[at++] = (int64_t)i;
        if (gone[i] ? __builtin_mul_overflow(n, t.dims[i], &n)
                    : __builtin_mul_overflow(rows, t.dims[i], &rows)) {
            ap_native_refuse(b, "the shape overflows");
            return;
        }
        if (!gone[i] || keep) out[rank++] = gone[i] ? 1 : t.dims[i];
    }
    for (size_t i = 0; i < t.rank; i++)
        if (gone[i]) perm[at++] = (int64_t)i;
    if (n < 1 || rows < 1) {
        ap_native_refuse(b, "an empty tensor");
        return;
    }
    x = ap_native_transpose(b, x, perm, t.rank);
    x = ap_native_reshape(b, x, (int64_t[]){rows, n}, 2);
    results[0] = ap_native_reshape(b, multiply(b, x, n), out, rank);
}
