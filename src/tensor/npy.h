// SPDX-License-Identifier: Apache-2.0
// npy: numpy's .npy files (format 1.0–3.0) and raw dumps. Files are hostile: header bounded, product checked.
#ifndef AP_TENSOR_NPY_H
#define AP_TENSOR_NPY_H

#include "base/json.h"
#include "tensor/tensor.h"

// Maps the file; `out` holds the mapping (or a copy, when the file's data is not aligned to its type).
// Fortran order and big-endian are refused with a hint. Errors: INPUT_FILE (with byte offset), NOT_FOUND.
AP_MUST ap_err ap_npy_map(const char *path, ap_tensor *out);
// The same of a TENSOR {"file", "dtype"} (target/target.h). Data of a type numpy has no name for (bfloat16)
// was written as whole numbers: it gets the TENSOR's type when that is as wide.
AP_MUST ap_err ap_npy_open(const json_t *tensor, ap_tensor *out);
// The same from memory (borrows `data`); the fuzz target's door.
AP_MUST ap_err ap_npy_parse(const void *data, size_t bytes, ap_tensor *out);
// Types of 4 bits are stored as the bytes they are packed in, uint8 of one dimension: numpy has no half
// bytes. View the data again under the true dtype and shape (ap_tensor_view) after reading.
AP_MUST ap_err ap_npy_write(const char *path, const ap_tensor *t); // atomic
// Creates a .npy of the given type and shape, mapped writable: fill out->data, then ap_tensor_free. Not
// atomic.
AP_MUST ap_err ap_npy_create(const char *path, ap_dtype t, const int64_t *dims, size_t rank, ap_tensor *out);
// A file of exactly the shape's bytes.
AP_MUST ap_err ap_raw_map(const char *path, ap_dtype t, const int64_t *dims, size_t rank, ap_tensor *out);

#endif
