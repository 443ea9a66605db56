// SPDX-License-Identifier: Apache-2.0
// The builds of the table, one file each, and what they share.
#ifndef AP_SURGERY_NATIVE_NATIVES_H
#define AP_SURGERY_NATIVE_NATIVES_H

#include "surgery/native/native.h"

void native_einsum(ap_native_builder *b, const ap_match *m, ap_value **results);
void native_elementwise(ap_native_builder *b, const ap_match *m, ap_value **results);
void native_fmod(ap_native_builder *b, const ap_match *m, ap_value **results);
void native_fmod_by(ap_native_builder *b, const ap_match *m, ap_value **results);
void native_matmul_int(ap_native_builder *b, const ap_match *m, ap_value **results);
void native_reduce_prod(ap_native_builder *b, const ap_match *m, ap_value **results);
void native_rnn(ap_native_builder *b, const ap_match *m, ap_value **results);
void native_scatter(ap_native_builder *b, const ap_match *m, ap_value **results);
void native_transpose(ap_native_builder *b, const ap_match *m, ap_value **results);

// ---- halves.c
// Halves of the axis (of size n) combined by the operator until one element is left along it.
ap_value *native_halved(ap_native_builder *b, const char *op, ap_value *x, int64_t axis, int64_t n);

// ---- rank.c
// `x` holds elements in the order of the shape `dims`, whatever its own shape is. Gives them in the order of
// the permuted shape, as `out_dims` (same number of elements). No tensor on the way has a rank above 4.
ap_value *native_permuted(ap_native_builder *b, ap_value *x, const int64_t *dims, size_t rank,
                          const int64_t *perm, const int64_t *out_dims, size_t out_rank);
// Reshape, unless x has that shape.
ap_value *native_shaped(ap_native_builder *b, ap_value *x, const int64_t *dims, size_t rank);

#endif
