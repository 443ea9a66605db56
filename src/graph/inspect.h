// SPDX-License-Identifier: Apache-2.0
// inspect: what a model is: counts, sizes, text form, structural difference.
#ifndef AP_GRAPH_INSPECT_H
#define AP_GRAPH_INSPECT_H

#include "graph/model.h"

// Shapes for values that the file does not declare (from an oracle run). NULL when there are none.
typedef struct ap_shape_source {
    bool (*get)(void *user, const char *value, ap_value_type *out);
    void *user;
} ap_shape_source;

// Multiply-accumulates of one node, from the standard definition per op (Conv, ConvTranspose, Gemm, MatMul
// and their quantized kin; attention einsum). 0 for ops without a product; -1 when a shape is missing.
int64_t ap_node_macs(const ap_node *n, const ap_shape_source *s);

// {file, bytes, sha256?, ir_version, producer, opsets{}, inputs[], outputs[], symbols[], ops{name:count},
// nodes, parameters,
//  parameter_bytes, dtypes of weights{}, macs (null when unknown), external_files[], functions}
AP_MUST ap_err ap_model_stats(ap_model *m, const ap_shape_source *s, json_t **out);
// One node a line: "%out:float32[1x16x160x160] = Conv(%images, %w:float32[16x3x3x3]) {kernel_shape=[3,3]} #
// /model.0/Conv"
void ap_model_print(ap_model *m, ap_buf *out);
// Structural difference A → B: nodes matched by outputs, then by op and inputs. {equal, added[], removed[],
// changed[]}.
AP_MUST ap_err ap_model_diff(ap_model *a, ap_model *b, json_t **out);

#endif
