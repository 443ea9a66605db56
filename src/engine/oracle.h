// SPDX-License-Identifier: Apache-2.0
// oracle: any set of tensors of a graph, computed by ONNX Runtime on the CPU with optimizations off.
//
// One run gives exact shapes, dtypes, constants and golden values: it is our shape inference and constant
// folding. Large models go through in chunks: each chunk is a session whose outputs fit the byte budget.
#ifndef AP_ENGINE_ORACLE_H
#define AP_ENGINE_ORACLE_H

#include "engine/engine.h"
#include "graph/model.h"

typedef struct ap_oracle_inputs {
    const ap_named_tensor *list;
    size_t count;
} ap_oracle_inputs;

typedef struct ap_oracle_options {
    const char *const *tensors; // names wanted; NULL: the graph's outputs
    size_t tensor_count;
    size_t budget_bytes; // of outputs per chunk; 0: 256 MiB
    int threads;
    // Called once per tensor in the order computed; `t` is borrowed for the call. An error stops the run.
    // Values that are no tensors come with dtype NONE.
    ap_err (*sink)(void *user, const char *name, const ap_tensor *t);
    void *user;
    // Further input sets, run in the same sessions: opening one is what costs. `set` (may be NULL) says
    // before the tensors of a set come which one it is; 0 are the inputs of ap_oracle_run.
    const ap_oracle_inputs *more;
    size_t more_count;
    void (*set)(void *user, size_t set);
} ap_oracle_options;

typedef struct ap_oracle_stats {
    size_t chunks;
    uint64_t vendor_us; // inside the library
} ap_oracle_stats;

// The model is not changed (chunks are made from copies of its outputs list and restored). Shapes must have
// been set. `stats` may be NULL.
AP_MUST ap_err ap_oracle_run(ap_engine *e, ap_model *m, const ap_named_tensor *inputs, size_t input_count,
                             const ap_oracle_options *o, ap_oracle_stats *stats);

#endif
