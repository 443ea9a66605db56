// SPDX-License-Identifier: Apache-2.0
// pass: an edit of a whole model that has a name, a version and a promise about the numbers.
//
// A pass looks at the model (and, when it needs values or shapes, at an oracle), edits it in memory, and says
// what it touched. It does not judge itself: clean.h runs the gate and rolls back. What a pass never does:
// change a name, the order, a dtype or the shape of an input or output of the model; keep state; guess that a
// value is constant because one run says so.
//
// The same model, parameters and oracle give the same bytes: names of new values are made from names that are
// there, lists are walked in graph order. Whoever changes what a pass writes raises its version.
#ifndef AP_SURGERY_PASS_H
#define AP_SURGERY_PASS_H

#include "base/json.h"
#include "graph/model.h"

// Where values come from. In the product a cpu worker, in tests an engine in the same process.
typedef struct ap_surgery_oracle {
    // Computes `names` of `m` (NULL: its outputs) on input set `set` and hands each to the sink. With
    // `types_only` tensors come without data. The model is not changed. A value that is no tensor has dtype
    // NONE.
    ap_err (*run)(void *user, ap_model *m, size_t set, const char *const *names, size_t count,
                  bool types_only, ap_err (*sink)(void *sink_user, const char *name, const ap_tensor *t),
                  void *sink_user);
    // The outputs on every input set in one go; NULL: they are asked for one by one.
    ap_err (*run_sets)(void *user, ap_model *m,
                       ap_err (*sink)(void *sink_user, size_t set, const char *name, const ap_tensor *t),
                       void *sink_user);
    void *user;
    size_t sets; // input sets; at least 1
} ap_surgery_oracle;

struct ap_types;

typedef struct ap_pass_context {
    const ap_surgery_oracle *oracle;
    // Types measured on the model as it stands, by the first pass that asks (fold.h). clean.h brings it along
    // and empties it after every edit.
    struct ap_types *types;
    // {max_tensor_bytes, max_growth_bytes, max_unrolled_nodes, fixed: {input: {dtype, dims, data}}}; absent:
    // the defaults below.
    const json_t *params;
    // What recorded rules need when a plan is replayed (match.h); zero when it holds none.
    const struct ap_rules *rules;
    const struct ap_piece_oracle *pieces;
    ap_dtype compute;
} ap_pass_context;

#define AP_FOLD_TENSOR_BYTES (64LL << 20)
#define AP_FOLD_GROWTH_BYTES (64LL << 20)
#define AP_UNROLL_NODES 4096LL

typedef struct ap_pass_result {
    size_t changed;  // places edited; 0: the model is as it was
    json_t *touched; // op or kind → count; a new reference, may be NULL
} ap_pass_result;
void ap_pass_touch(ap_pass_result *r, const char *what); // one place
void ap_pass_result_release(ap_pass_result *r);

typedef enum ap_exactness {
    AP_EXACT,   // the same bits
    AP_ROUNDING // the same up to rounding
} ap_exactness;
const char *ap_exactness_name(ap_exactness e); // "exact", "rounding"

typedef struct ap_pass {
    const char *name;
    int version;
    ap_exactness exactness;
    bool needs_oracle;
    const char *doc; // one sentence
    ap_err (*run)(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
} ap_pass;

extern const ap_pass ap_passes[];              // in the order they are tried; ends with name NULL
const ap_pass *ap_pass_find(const char *name); // NULL when there is none

// The elements of an initializer that is no input's default; false for anything else. The view lives as long
// as the model.
bool ap_pass_constant(ap_model *m, const ap_value *v, ap_tensor *out);

// The passes; their meaning stands beside each definition.
ap_err ap_pass_fix(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_dead(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_constants(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_shapes(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_if(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_loop(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_scan(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_identity(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_noop(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_transpose(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_reshape(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_merge(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_weights(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_cast(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_narrow(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_batchnorm(ap_model *m, const ap_pass_context *c, ap_pass_result *r);
ap_err ap_pass_affine(ap_model *m, const ap_pass_context *c, ap_pass_result *r);

#endif
