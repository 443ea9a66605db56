// SPDX-License-Identifier: Apache-2.0
// What matcher, evaluator and builder share.
#ifndef AP_SURGERY_MATCH_PRIV_H
#define AP_SURGERY_MATCH_PRIV_H

#include "graph/nodes.h"
#include "surgery/match/match.h"

// An evaluation in a match (whose arena takes lists and tensors).
typedef struct eval {
    ap_match *m;
    ap_err err;    // of the oracle; ends everything
    int depth;     // of recursion
    size_t work;   // elements computed so far
    char why[160]; // what made a value unknown; "" when nothing said so
} eval;

ap_val eval_expr(eval *e, const ap_expr *x);
ap_val unknown(eval *e, const char *fmt, ...) AP_PRINTF(2, 3);
bool spend(eval *e, size_t work); // false: too much

// ---- expr_call.c, expr_look.c, expr_oracle.c: built-ins
ap_val eval_call(eval *e, const ap_expr *x, const ap_val *args);
ap_val call_axis_map(eval *e, const ap_val *args, size_t count);
ap_val call_linear_map(eval *e, const ap_val *args, size_t count);
ap_val eval_nodes(eval *e, const ap_expr *x);

typedef ap_val (*builtin)(eval *e, const ap_val *args, size_t count);
builtin find_value_builtin(const char *name, size_t *min, size_t *max);
const char *const *value_builtin_names(void);

// ---- making values
static inline ap_val val_int(int64_t i) {
    return (ap_val){.kind = AP_VAL_INT, .i = i};
}
static inline ap_val val_real(double f) {
    return (ap_val){.kind = AP_VAL_REAL, .f = f};
}
static inline ap_val val_bool(bool b) {
    return (ap_val){.kind = AP_VAL_BOOL, .b = b};
}
static inline ap_val val_dtype(ap_dtype t) {
    return (ap_val){.kind = AP_VAL_DTYPE, .t = t};
}
ap_val val_list(eval *e, const ap_val *items, size_t count); // copies
ap_val val_ints(eval *e, const int64_t *items, size_t count);
ap_val val_tensor(eval *e, ap_dtype t, const int64_t *dims, size_t rank,
                  ap_tensor **out); // zeroed; or unknown

// ---- looking at values
bool val_number(const ap_val *v, double *out); // INT, REAL, BOOL
bool val_ints_of(eval *e, const ap_val *v, int64_t *out, size_t most,
                 size_t *count);                             // a list of INT or a constant
bool val_constant(eval *e, const ap_val *v, ap_tensor *out); // VALUE with data, TENSOR
bool val_type(const ap_match *m, const ap_val *v, ap_value_type *out);
bool val_equal(const ap_val *a, const ap_val *b, bool *known);
ap_dtype match_compute(const ap_match *m);
// One element of a constant as INT or REAL.
ap_val val_element(const ap_tensor *t, size_t i);
// What an attribute holds; UNKNOWN for graphs and the like.
ap_val val_of_attr(ap_arena *a, ap_model *m, const Onnx__AttributeProto *at);
// The default of an attribute at a node of this rank; ABSENT when there is none.
ap_val val_of_default(ap_arena *a, const ap_op_attr *at, size_t rank, bool rank_known);

// ---- build.c: nodes of a rule into a graph
typedef struct build {
    ap_match *m;
    eval e;
    ap_model *model;    // where to; the match's own, or a fresh one for `eval`
    bool foreign;       // a fresh one: constants of the match are copied
    const char *prefix; // of names
    size_t names;       // given out so far
    ap_node *before;    // new nodes stand in front of it
    ap_map types;       // name → ap_value_type *, of values made here
    ap_node **nodes;    // made, in order
    size_t node_count, node_cap;
    ap_value **consts; // made
    size_t const_count, const_cap;
} build;
// Adds the nodes; made[i] are node i's outputs (arrays in the match's arena), absent ones NULL.
typedef ap_value **made_outs; // outputs of one node
AP_MUST ap_err build_nodes(build *b, const ap_rule_node *nodes, size_t count, made_outs **made);
// A constant; the tensor is copied.
AP_MUST ap_err build_const(build *b, const ap_tensor *t, ap_value **out);
// One node. op, domain and place are filled in; `outputs` NULL: one output with a fresh name. Error REFUSED
// when the model's opset lacks the operator.
AP_MUST ap_err build_op(build *b, const ap_op_schema *s, const ap_node_spec *spec, ap_node **out);
bool build_type(build *b, const ap_value *v, ap_value_type *out);
void build_undo(build *b); // takes back everything added
void build_release(build *b);

#endif
