// SPDX-License-Identifier: Apache-2.0
// How a question travels to an oracle in another process: as files in a folder of its own.
#ifndef AP_SURGERY_ORACLE_PRIV_H
#define AP_SURGERY_ORACLE_PRIV_H

#include "surgery/oracle/oracle.h"

// Writes DIR/piece.onnx and the inputs; *inputs: TENSOR list (target/target.h).
AP_MUST ap_err oracle_put(ap_model *piece, const ap_named_tensor *in, size_t count, const char *dir,
                          json_t **inputs);
// Reads the answer, a TENSOR list, into the places of the model's outputs.
AP_MUST ap_err oracle_take(const ap_model *piece, const json_t *list, ap_tensor *out, size_t count);

#endif
