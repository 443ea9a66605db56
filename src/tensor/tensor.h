// SPDX-License-Identifier: Apache-2.0
// tensor: element types, shapes and dense tensors in memory.
//
// A tensor is a dtype, a shape and bytes in row-major order, little-endian. Where the bytes live is said by
// `hold`; nothing here allocates behind the caller's back: only functions named *_alloc, *_map, *_clone do.
#ifndef AP_TENSOR_TENSOR_H
#define AP_TENSOR_TENSOR_H

#include "base/file.h"

#define AP_MAX_RANK 16

// X(enum suffix, ONNX TensorProto.DataType value = ORT element type, name, bits per element, npy descr)
// bits 0: no fixed size (strings). Types numpy does not know are stored under an unsigned type of the same
// width; whoever stores them (contract, manifest) keeps the true dtype beside the file.
#define AP_DTYPE_TABLE(X)                                                                                    \
    X(F32, 1, "float32", 32, "<f4")                                                                          \
    X(U8, 2, "uint8", 8, "|u1")                                                                              \
    X(I8, 3, "int8", 8, "|i1")                                                                               \
    X(U16, 4, "uint16", 16, "<u2")                                                                           \
    X(I16, 5, "int16", 16, "<i2")                                                                            \
    X(I32, 6, "int32", 32, "<i4")                                                                            \
    X(I64, 7, "int64", 64, "<i8")                                                                            \
    X(STRING, 8, "string", 0, "")                                                                            \
    X(BOOL, 9, "bool", 8, "|b1")                                                                             \
    X(F16, 10, "float16", 16, "<f2")                                                                         \
    X(F64, 11, "float64", 64, "<f8")                                                                         \
    X(U32, 12, "uint32", 32, "<u4")                                                                          \
    X(U64, 13, "uint64", 64, "<u8")                                                                          \
    X(C64, 14, "complex64", 64, "<c8")                                                                       \
    X(C128, 15, "complex128", 128, "<c16")                                                                   \
    X(BF16, 16, "bfloat16", 16, "<u2")                                                                       \
    X(F8E4M3FN, 17, "float8e4m3fn", 8, "|u1")                                                                \
    X(F8E4M3FNUZ, 18, "float8e4m3fnuz", 8, "|u1")                                                            \
    X(F8E5M2, 19, "float8e5m2", 8, "|u1")                                                                    \
    X(F8E5M2FNUZ, 20, "float8e5m2fnuz", 8, "|u1")                                                            \
    X(U4, 21, "uint4", 4, "|u1")                                                                             \
    X(I4, 22, "int4", 4, "|u1")                                                                              \
    X(F4E2M1, 23, "float4e2m1", 4, "|u1")

typedef enum ap_dtype {
    AP_DTYPE_NONE = 0,
#define AP_DTYPE_ENUM(name, value, text, bits, npy) AP_##name = value,
    AP_DTYPE_TABLE(AP_DTYPE_ENUM)
#undef AP_DTYPE_ENUM
} ap_dtype;

const char *ap_dtype_name(ap_dtype t);         // "float32"; "unknown" for others
ap_dtype ap_dtype_from_name(const char *name); // also "f32", "fp16", "int64" spellings; NONE when unknown
size_t ap_dtype_bits(ap_dtype t);              // 0 for strings and unknown
bool ap_dtype_is_float(ap_dtype t);            // F16, BF16, F32, F64 and the 8/4-bit floats
bool ap_dtype_is_int(ap_dtype t);

typedef enum ap_hold { AP_HOLD_NONE, AP_HOLD_MALLOC, AP_HOLD_MAP } ap_hold;

// Zero-initialised is valid and empty.
typedef struct ap_tensor {
    ap_dtype dtype;
    size_t rank;
    int64_t dims[AP_MAX_RANK];
    void *data;   // `bytes` long; NULL when bytes == 0
    size_t bytes; // = ceil(elements * bits / 8)
    ap_hold hold;
    ap_filemap map; // when hold == MAP
} ap_tensor;

// Element count of a shape. Error MODEL_DIMS for a negative dim, rank > AP_MAX_RANK or an overflowing
// product.
AP_MUST ap_err ap_shape_count(const int64_t *dims, size_t rank, size_t *count);
AP_MUST ap_err ap_shape_bytes(ap_dtype t, const int64_t *dims, size_t rank, size_t *bytes);
// "1x3x320x320"; "scalar" for rank 0. Unknown dims (-1) print as "?".
void ap_shape_format(const int64_t *dims, size_t rank, ap_buf *out);
// Reads "1,3,320,320" or "1x3x320x320"; "" is a scalar. Error INPUT_SHAPE with the offending text.
AP_MUST ap_err ap_shape_parse(const char *text, int64_t *dims, size_t *rank);
bool ap_shape_equal(const int64_t *a, size_t ra, const int64_t *b, size_t rb);

size_t ap_tensor_count(const ap_tensor *t); // elements of a valid tensor
AP_MUST ap_err ap_tensor_alloc(ap_dtype t, const int64_t *dims, size_t rank, ap_tensor *out); // zeroed
// Borrows `data`; error INPUT_SHAPE when bytes do not fit the shape.
AP_MUST ap_err ap_tensor_view(ap_dtype t, const int64_t *dims, size_t rank, void *data, size_t bytes,
                              ap_tensor *out);
AP_MUST ap_err ap_tensor_clone(const ap_tensor *t, ap_tensor *out);
void ap_tensor_free(ap_tensor *t);

// Any numeric element as double (complex: real part). For loops over whole tensors use ap_tensor_to_f32/f64.
double ap_tensor_at(const ap_tensor *t, size_t index);
// Converts elements [from, from+count) to double / float. Bounds are the caller's business (asserted).
void ap_tensor_to_f64(const ap_tensor *t, size_t from, size_t count, double *out);
void ap_tensor_to_f32(const ap_tensor *t, size_t from, size_t count, float *out);
// Elementwise conversion into an allocated tensor. To ints: truncated toward zero, saturating, NaN becomes 0.
// To bool: everything but 0. To floats: round to nearest even; f16 and bf16 overflow to Inf, 8- and 4-bit
// floats saturate (the default of ONNX Cast). Strings and complex only to themselves, else INPUT_DTYPE.
AP_MUST ap_err ap_tensor_cast(const ap_tensor *t, ap_dtype to, ap_tensor *out);
// First NaN or Inf: index, or -1.
int64_t ap_tensor_find_nonfinite(const ap_tensor *t);
// Uniform in [lo, hi) for floats, integers in [lo, hi) for ints, fair coin for bool; splitmix64 of `seed`,
// the same bytes on every machine. Strings and complex: error INPUT_DTYPE. An empty or non-finite range:
// USAGE.
AP_MUST ap_err ap_tensor_random(ap_tensor *t, uint64_t seed, double lo, double hi);

uint16_t ap_f32_to_f16(float v); // round to nearest even
float ap_f16_to_f32(uint16_t v);
uint16_t ap_f32_to_bf16(float v);
float ap_bf16_to_f32(uint16_t v);

#endif
