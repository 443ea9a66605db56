// SPDX-License-Identifier: Apache-2.0
// native: rewrites that need loops over ranks, letters or time steps (Einsum, high-rank Transpose, LSTM ...).
//
// A native rewrite is the `replace` of a rule written in C: the rule text still says what it matches, under
// which conditions, and how exact it is, and the same proof holds for it. It adds nodes and says which values
// take the place of the root's outputs; apply.c does the rest (types, names, the transaction, the record).
//
// What it never does: remove nodes, look beyond its match, read golden values, touch the graph before it is
// sure to succeed.
#ifndef AP_SURGERY_NATIVE_H
#define AP_SURGERY_NATIVE_H

#include "surgery/match.h"

// Where the new nodes go. Names are made by the builder.
typedef struct ap_native_builder ap_native_builder;

typedef struct ap_native {
    const char *name; // as in `native NAME`
    int version;      // part of the rule's hash: goes up when what it builds changes
    // Builds the replacement. results[i] takes the place of output i of the root (NULL: unused). Error
    // REFUSED with the reason when this case is out of reach; nothing has then been added.
    ap_err (*build)(ap_native_builder *b, const ap_match *m, ap_value **results);
} ap_native;

extern const ap_native ap_natives[];               // ends with name NULL; the table in native/table.c
const ap_native *ap_native_find(const char *name); // NULL when there is none

// ---- what a build may use
ap_arena *ap_native_arena(ap_native_builder *b); // gone after the build
// A node with one output. Attributes are added to the result's node by ap_attr_* (graph/nodes.h).
ap_value *ap_native_add(ap_native_builder *b, const char *op, ap_value *const *inputs, size_t count);
ap_node *ap_native_maker(ap_value *v); // the node of a value made here
// A constant; the tensor is copied.
ap_value *ap_native_constant(ap_native_builder *b, const ap_tensor *t);
ap_value *ap_native_ints(ap_native_builder *b, const int64_t *items, size_t count); // int64 [count]
ap_value *ap_native_scalar(ap_native_builder *b, ap_dtype t, double x);
// Shorthands every native uses.
ap_value *ap_native_reshape(ap_native_builder *b, ap_value *x, const int64_t *dims, size_t rank);
ap_value *ap_native_transpose(ap_native_builder *b, ap_value *x, const int64_t *perm, size_t rank);
ap_value *ap_native_binary(ap_native_builder *b, const char *op, ap_value *a, ap_value *c);
// Type of an operand of the match; false: not known in full.
bool ap_native_type(const ap_match *m, const ap_value *v, ap_value_type *out);

#endif
