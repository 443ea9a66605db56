// SPDX-License-Identifier: Apache-2.0
// convert: inside of the tensor room: small floats, and stores of doubles into tensors of any numeric type.
//
// Tensor bytes may lie at any address (a mapped file with an odd header), so all loads and stores go by
// memcpy, which compilers turn into single unaligned moves.
#ifndef AP_TENSOR_CONVERT_H
#define AP_TENSOR_CONVERT_H

#include "tensor/tensor.h"

// What the codes with all exponent bits set mean.
typedef enum ap_float_kind {
    AP_FLOAT_IEEE, // infinities and NaNs, as in f16 and f8e5m2
    AP_FLOAT_FN,   // no infinity, NaN is all ones (f8e4m3fn)
    AP_FLOAT_FNUZ, // no infinity, no negative zero: its code is the NaN
    AP_FLOAT_NONE  // every code is a number (f4e2m1)
} ap_float_kind;

// A float of at most 16 bits: sign, exponent, mantissa.
typedef struct ap_float_format {
    int exp_bits, man_bits, bias;
    ap_float_kind kind;
    double max;    // largest finite value
    bool saturate; // too big becomes ±max (the ONNX rule for 8- and 4-bit floats), else ±infinity
} ap_float_format;

const ap_float_format *ap_float_format_of(ap_dtype t); // NULL for F32, F64 and everything that is no float
double ap_float_decode(const ap_float_format *f, unsigned code);
unsigned ap_float_encode(const ap_float_format *f, double v); // round to nearest even
// Smallest and largest value of an integer type (BOOL counts as 0..1); false for other types.
bool ap_int_range(ap_dtype t, int64_t *min, uint64_t *max);

// Stores values as elements [from, from+count). Ints: truncated toward zero, saturated, NaN becomes 0 (what
// ONNX Cast leaves open, numpy's choice where it is defined). Bool: NaN and every value but 0 is true.
void ap_tensor_put_f64(ap_tensor *t, size_t from, size_t count, const double *in);
void ap_tensor_put_f32(ap_tensor *t, size_t from, size_t count, const float *in);

#endif
