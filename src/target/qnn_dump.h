// SPDX-License-Identifier: Apache-2.0
// qnn_dump: reads the JSON form of a QNN graph (provider option dump_json_qnn_graph) into layers with their
// sizes.
//
// The dump lists nodes and tensors by name, alphabetically; the order of execution is rebuilt from who makes
// what.
#ifndef AP_TARGET_QNN_DUMP_H
#define AP_TARGET_QNN_DUMP_H

#include "base/json.h"

typedef struct ap_qnn_layer {
    const char *name, *op;
    int64_t macs;             // multiply-accumulates
    int64_t weight_bytes;     // static tensors it reads, as the device stores them (float as 2 bytes)
    int64_t activation_bytes; // other inputs and outputs
} ap_qnn_layer;

// Layers in topological order; list and strings live in `arena` and in `dump`. Error VENDOR with what is odd.
AP_MUST ap_err ap_qnn_dump_layers(const json_t *dump, ap_arena *arena, ap_qnn_layer **out, size_t *count);

#endif
