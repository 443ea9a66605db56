// SPDX-License-Identifier: Apache-2.0
// What the files of the probe share and nobody else needs.
#ifndef AP_SURGERY_PROBE_PRIV_H
#define AP_SURGERY_PROBE_PRIV_H

#include "surgery/facts/facts.h"
#include "surgery/probe/probe.h"

#define AP_PROBE_IR_VERSION 10
#define AP_PROBE_SETS 2    // value sets
#define AP_PROBE_REPEATS 2 // runs of the first one
#define AP_PROBE_TOLERANCE 0.01
#define AP_PROBE_INEXACT 0.02 // above: wrong

// A new zeroed probe at the end of the set; pointers to others are no longer valid.
ap_probe *ap_probe_push(ap_probe_set *s);
// Fills bytes, signature and key from the piece.
void ap_probe_sign(ap_probe_set *s, ap_probe *p);

// ---- the table (probe_table.c)
// data/probe_variants.json: {opset, variants: [..]}; a new reference.
AP_MUST ap_err ap_probe_table(json_t **out);
bool ap_probe_is_about(const json_t *variant, const char *op); // in any case; NULL: all

// ---- values (probe_values.c)
// Fills an allocated tensor; the same seed gives the same bytes everywhere. Error INPUT_DTYPE for strings.
AP_MUST ap_err ap_probe_values_fill(const ap_probe_values *v, uint64_t seed, ap_tensor *t);
AP_MUST ap_err ap_probe_values_make(const ap_probe_values *v, uint64_t seed, const ap_value_type *type,
                                    ap_tensor *out);
// "normal", ["uniform", 0, 1] …; lists live in `arena`. Error CORRUPT.
AP_MUST ap_err ap_probe_values_from_json(const json_t *j, ap_arena *arena, ap_probe_values *out);
json_t *ap_probe_values_json(const ap_probe_values *v);
// What suits input `index` of a node, knowing the types of its inputs (dtype NONE: unknown or omitted).
ap_probe_values ap_probe_values_for(const Onnx__NodeProto *n, size_t index, const ap_value_type *types,
                                    size_t count);

// Narrows a draw to values that obey the fact.
void ap_probe_values_obey(ap_probe_values *v, const ap_fact *f, const ap_value_type *t);

// Does this input of an operator decide the shape of its result (probe_node.c)? Inventing one makes another
// model.
bool ap_probe_decides_shape(const char *op, size_t input);

// ---- messages (probe_make.c); everything lives in the arena
Onnx__ValueInfoProto *ap_probe_make_value_info(ap_arena *a, const char *name, const ap_value_type *type);
// Raw data is borrowed from `t`.
Onnx__TensorProto *ap_probe_make_tensor(ap_arena *a, const char *name, const ap_tensor *t);
Onnx__OperatorSetIdProto *ap_probe_make_opset(ap_arena *a, const char *domain, int64_t version);
// A node without inputs, outputs and attributes, with room for these.
Onnx__NodeProto *ap_probe_make_node(ap_arena *a, const char *op, const char *domain, size_t inputs,
                                    size_t outputs, size_t attributes);
// An attribute from its JSON form; error CORRUPT. Graphs: {"graph": {...}}.
AP_MUST ap_err ap_probe_make_attribute(ap_arena *a, const char *name, const json_t *value,
                                       Onnx__AttributeProto **out);
// {inputs, constants, nodes, outputs}: the form patterns and bodies have in the table. `seed` is of the
// constants. The types of inputs stand in the graph's infos.
AP_MUST ap_err ap_probe_make_graph(ap_arena *a, const json_t *j, uint64_t seed, Onnx__GraphProto **out);
AP_MUST ap_err ap_probe_make_type(const json_t *j, ap_value_type *out); // {dtype, dims}
// A constant of the table {dtype, dims, values}, with its data.
AP_MUST ap_err ap_probe_make_constant(ap_arena *a, const char *name, const json_t *j, uint64_t seed,
                                      Onnx__TensorProto **out);

// ---- a batch (probe_batch.c)
typedef struct ap_probe_batch {
    ap_probe **list; // probe i has the prefix "pI/" in all its names
    size_t count;
} ap_probe_batch;
// Writes oracle.onnx and the value sets into `dir`; *sets: [[TENSOR…], [TENSOR…]].
AP_MUST ap_err ap_probe_batch_write(const ap_probe_batch *b, const char *dir, json_t **sets);
// Writes target.onnx: the same with the outputs' types as the oracle found them.
AP_MUST ap_err ap_probe_batch_declare(const ap_probe_batch *b, const char *dir, const json_t *oracle);
// The probe a name of the batch's graph belongs to: its index, or SIZE_MAX.
size_t ap_probe_batch_owner(const ap_probe_batch *b, const char *name);
// The index of the one probe that `text` (an error message) names, or SIZE_MAX when it names none or several.
size_t ap_probe_batch_named(const ap_probe_batch *b, const char *text);

// ---- judging (probe_judge.c)
// Gives every probe of the batch its verdict from the target's answer and the oracle's. Reasons are kept in
// `arena`.
// A probe that is left without a verdict (UNASKED) has to be asked alone: what its node became has no name.
AP_MUST ap_err ap_probe_judge(const ap_probe_batch *b, const json_t *target, const json_t *oracle,
                              const json_t *sets, double tolerance, ap_arena *arena);
// Notes which nodes of probe `i` are named by these entries ({node: name} or names) and returns how many.
size_t ap_probe_note_refused(const ap_probe_batch *b, size_t i, const json_t *list, ap_arena *arena);
// Verdict with a reason (copied, cleaned of our prefixes).
void ap_probe_decide(ap_probe *p, ap_probe_verdict v, const char *reason, ap_arena *arena);

#endif
