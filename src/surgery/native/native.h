// SPDX-License-Identifier: Apache-2.0
// native: rewrites that need loops over ranks, letters or time steps (Einsum, high-rank Transpose, LSTM ...).
//
// A native rewrite is the `replace` of a rule written in C: the rule text still says what it matches, under
// which conditions, and how exact it is, and the same proof holds for it. It adds nodes and says which values
// take the place of the root's outputs; apply.c does the rest (types, names, the transaction, the record).
//
// What it never does: remove nodes, look beyond its match, read golden values, touch what is there.
//
// The builder keeps the first error: after it every function does nothing and gives NULL, so a build need not
// look at each step. Values it gives are only handed back to it. What was added before an error is taken
// back.
#ifndef AP_SURGERY_NATIVE_H
#define AP_SURGERY_NATIVE_H

#include "surgery/match/match.h"
#include "surgery/rule/rule_native.h"

enum { AP_NATIVE_MAX_NODES = 4096 }; // of one build

typedef struct ap_native_builder ap_native_builder;

// Carries out the build of a native rewrite; results: rule_native.h.
struct build;
AP_MUST ap_err ap_native_run(struct build *to, const ap_native *n, ap_value **results);

// ---- reading the match
// Type of a value of the graph or made here with all its dims. False: not known in full.
bool ap_native_type(const ap_native_builder *b, const ap_value *v, ap_value_type *out);
// The operand, NULL when it is absent.
ap_value *ap_native_operand(const ap_node *n, size_t i);
bool ap_native_constant_of(const ap_native_builder *b, const ap_value *v, ap_tensor *out);
float ap_native_float_attr(const ap_node *n, const char *name, float fallback);
// The text of an attribute, in the builder's arena.
const char *ap_native_text_attr(ap_native_builder *b, const ap_node *n, const char *name,
                                const char *fallback);
// An attribute that is a list, as many as fit; `count` 0 when it is absent.
void ap_native_ints_attr(const ap_node *n, const char *name, int64_t *out, size_t most, size_t *count);

// ---- building
ap_arena *ap_native_arena(ap_native_builder *b); // gone after the build
int64_t ap_native_opset(const ap_native_builder *b);
bool ap_native_failed(const ap_native_builder *b);
// This case is out of reach: error REFUSED with the reason. Gives NULL.
void *ap_native_refuse(ap_native_builder *b, const char *fmt, ...) AP_PRINTF(2, 3);

// Attributes for ap_native_add: a list that ends with NULL, or NULL.
typedef Onnx__AttributeProto *const *ap_native_attrs;
#define AP_NATIVE_ATTRS(...) ((Onnx__AttributeProto *const[]){__VA_ARGS__, NULL})
Onnx__AttributeProto *ap_native_int(ap_native_builder *b, const char *name, int64_t v);
Onnx__AttributeProto *ap_native_real(ap_native_builder *b, const char *name, float v);
Onnx__AttributeProto *ap_native_ints_of(ap_native_builder *b, const char *name, const int64_t *v,
                                        size_t count);
// A copy of an attribute of a matched node under the same name; NULL when it has none, which ends a list.
Onnx__AttributeProto *ap_native_copied(ap_native_builder *b, const ap_node *n, const char *name);

// A node of ai.onnx with one output. NULL inputs are absent.
ap_value *ap_native_add(ap_native_builder *b, const char *op, ap_value *const *inputs, size_t count,
                        ap_native_attrs attrs);
// A constant; the tensor is copied.
ap_value *ap_native_constant(ap_native_builder *b, const ap_tensor *t);
ap_value *ap_native_ints(ap_native_builder *b, const int64_t *items, size_t count); // int64 [count]
ap_value *ap_native_scalar(ap_native_builder *b, ap_dtype t, double x);
// A zeroed tensor in the builder's arena to be filled and made a constant; NULL (refused) when it is too
// large.
ap_tensor *ap_native_tensor(ap_native_builder *b, ap_dtype t, const int64_t *dims, size_t rank);

// Shorthands. What an operator takes as operand or as attribute follows the model's opset.
ap_value *ap_native_unary(ap_native_builder *b, const char *op, ap_value *x);
ap_value *ap_native_binary(ap_native_builder *b, const char *op, ap_value *x, ap_value *y);
ap_value *ap_native_where(ap_native_builder *b, ap_value *c, ap_value *x, ap_value *y);
ap_value *ap_native_cast(ap_native_builder *b, ap_value *x, ap_dtype to);
ap_value *ap_native_reshape(ap_native_builder *b, ap_value *x, const int64_t *dims, size_t rank);
// Nothing is added when the permutation changes nothing.
ap_value *ap_native_transpose(ap_native_builder *b, ap_value *x, const int64_t *perm, size_t rank);
ap_value *ap_native_slice(ap_native_builder *b, ap_value *x, int64_t axis, int64_t from, int64_t to,
                          int64_t step);
ap_value *ap_native_concat(ap_native_builder *b, ap_value *const *parts, size_t count, int64_t axis);
ap_value *ap_native_gather(ap_native_builder *b, ap_value *x, const int64_t *items, size_t count,
                           int64_t axis);
// ReduceSum, ReduceMax ... over these axes.
ap_value *ap_native_reduce(ap_native_builder *b, const char *op, ap_value *x, const int64_t *axes,
                           size_t count, bool keep);

#endif
