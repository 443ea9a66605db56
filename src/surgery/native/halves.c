// SPDX-License-Identifier: Apache-2.0
// ReduceProd: the product of the elements along some axes (all axes when none are given; none when none are
// given and noop_with_empty_axes is 1). Here: the reduced axes go last and become one, which is then halved
// and multiplied until one element is left. An odd one out is multiplied in at the end. The order of the
// factors changes, so an overflow on the way may differ. Sums of whole numbers go the same way.
#include "surgery/native/natives.h"

#include <string.h>

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

ap_value *native_halved(ap_native_builder *b, const char *op, ap_value *x, int64_t axis, int64_t n) {
    ap_value *odd = NULL;
    while (n > 1 && !ap_native_failed(b)) {
        int64_t half = n / 2;
        if (n % 2) {
            ap_value *last = ap_native_slice(b, x, axis, n - 1, n, 1);
            odd = odd ? ap_native_binary(b, op, odd, last) : last;
        }
        x = ap_native_binary(b, op, ap_native_slice(b, x, axis, 0, half, 1),
                             ap_native_slice(b, x, axis, half, 2 * half, 1));
        n = half;
    }
    return odd ? ap_native_binary(b, op, x, odd) : x;
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
    results[0] = ap_native_reshape(b, native_halved(b, "Mul", x, 1, n), out, rank);
}

// MatMul of whole numbers: [.., M, K] by [.., K, N] as products [.., M, K, N], summed over K by halves.
void native_matmul_int(ap_native_builder *b, const ap_match *m, ap_value **results) {
    ap_value *in[2] = {ap_native_operand(m->root, 0), ap_native_operand(m->root, 1)};
    ap_value_type t[2];
    int64_t dims[2][AP_MAX_RANK + 1], out[AP_MAX_RANK];
    if (!ap_native_type(b, in[0], &t[0]) || !ap_native_type(b, in[1], &t[1])) {
        ap_native_refuse(b, "a shape is not known");
        return;
    }
    size_t r[2] = {t[0].rank, t[1].rank}, most = r[0] > r[1] ? r[0] : r[1];
    if (r[0] < 2 || r[1] < 2 || most >= AP_MAX_RANK || t[0].dims[r[0] - 1] < 1) {
        ap_native_refuse(b, "no matrices");
        return;
    }
    int64_t k = t[0].dims[r[0] - 1];
    for (size_t i = 0; i < 2; i++) memcpy(dims[i], t[i].dims, r[i] * sizeof(int64_t));
    dims[0][r[0]] = 1; // [.., M, K, 1]
    memmove(&dims[1][r[1] - 1], &t[1].dims[r[1] - 2], 2 * sizeof(int64_t));
    dims[1][r[1] - 2] = 1; // [.., 1, K, N]
    for (size_t i = 0; i + 2 < most; i++) {
        int64_t p = i + r[0] < most ? 1 : t[0].dims[i + r[0] - most],
                q = i + r[1] < most ? 1 : t[1].dims[i + r[1] - most];
        out[i] = p == 1 ? q : p;
    }
    out[most - 2] = t[0].dims[r[0] - 2];
    out[most - 1] = t[1].dims[r[1] - 1];
    ap_value *x = ap_native_binary(b, "Mul", ap_native_reshape(b, in[0], dims[0], r[0] + 1),
                                   ap_native_reshape(b, in[1], dims[1], r[1] + 1));
    results[0] = ap_native_reshape(b, native_halved(b, "Add", x, (int64_t)most - 1, k), out, most);
}
