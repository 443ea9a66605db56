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

// {file, bytes, sha256 (of the file, absent after an edit), ir_version, producer, opsets{domain:version},
//  inputs[], outputs[]: {name, kind, dtype, dims[number|symbol|null]}, symbols[], ops{name:count} most
//  frequent first, nodes, body_nodes, parameters, parameter_bytes, dtypes{dtype:parameters}, macs (null when
//  a shape is missing or a body computes), external_files[]: {name, bytes}, functions[]}
AP_MUST ap_err ap_model_stats(ap_model *m, const ap_shape_source *s, json_t **out);
// One node a line: "%y:float32[1x16x80x80] = Conv(%x, %w:float32[16x3x3x3]) {group=1} # /model.0/Conv".
// Outputs and weights carry types; "_" is an omitted input; bodies follow their node. Control characters
// print as "?".
void ap_model_print(ap_model *m, ap_buf *out);
// Structural difference A → B: nodes matched by outputs, then by op and inputs; names of nodes do not count.
// {equal, added[], removed[], changed[]} of {kind: node|initializer|input|output|opset, name, op?, what[]?}.
AP_MUST ap_err ap_model_diff(ap_model *a, ap_model *b, json_t **out);

#endif
