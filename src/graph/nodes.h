// SPDX-License-Identifier: Apache-2.0
// nodes: editing primitives on an ap_graph. Each keeps messages and index in step, sets m->edited, and is
// atomic: on an error nothing has changed.
//
// Order: a new node stands in front of `before`; whoever puts every node before its users keeps the graph
// topological, everyone else calls ap_graph_sort afterwards. Everything made here lives in the model's arena;
// names and data passed in are copied. ap_value and ap_node pointers stay valid for the life of the model,
// also after removal (a removed one must not be used again).
//
// What it never does: change a graph output's name, position or declared type; infer types.
#ifndef AP_GRAPH_NODES_H
#define AP_GRAPH_NODES_H

#include "graph/model.h"

// ---- attributes, made in the arena of the model they are for
Onnx__AttributeProto *ap_attr_int(ap_arena *a, const char *name, int64_t v);
Onnx__AttributeProto *ap_attr_float(ap_arena *a, const char *name, float v);
Onnx__AttributeProto *ap_attr_string(ap_arena *a, const char *name, const char *v);
Onnx__AttributeProto *ap_attr_ints(ap_arena *a, const char *name, const int64_t *v, size_t count);
Onnx__AttributeProto *ap_attr_floats(ap_arena *a, const char *name, const float *v, size_t count);
// The tensor's bytes are copied. Its message has the name "" .
Onnx__AttributeProto *ap_attr_tensor(ap_arena *a, const char *name, const ap_tensor *t);
// A copy of the message; texts and tensor elements are shared with it.
Onnx__AttributeProto *ap_attr_copy(ap_arena *a, const Onnx__AttributeProto *from);
// Replaces or adds; `at` is from an ap_attr_* function and the model's arena. Never a graph attribute.
void ap_node_set_attr(ap_graph *g, ap_node *n, Onnx__AttributeProto *at);
void ap_node_drop_attr(ap_graph *g, ap_node *n, const char *name); // absent is fine

// ---- new things
// A model without nodes, ir_version 8 (10 from opset 21), one opset import. Error MODEL_INVALID for an opset
// out of range.
AP_MUST ap_err ap_model_make(int64_t opset, ap_model **out);
// Adds an opset import unless the domain is there already (version untouched then).
void ap_model_import(ap_model *m, const char *domain, int64_t version);
// A graph input of this type (dims -1: open). Error MODEL_INVALID when the name is taken or empty.
AP_MUST ap_err ap_graph_add_input(ap_graph *g, const char *name, const ap_value_type *type, ap_value **out);
// Makes a value one more graph output. `type` may be NULL (as declared, else open). Error MODEL_INVALID when
// it is one already.
AP_MUST ap_err ap_graph_add_output(ap_graph *g, ap_value *v, const ap_value_type *type);

// `base` when no value of this graph, of the graphs around it or of bodies below has that name, else
// "<base>_2", "_3" ... Lives in the model's arena.
const char *ap_graph_free_name(ap_graph *g, const char *base);
// The same for names of nodes of this graph.
const char *ap_graph_free_node_name(ap_graph *g, const char *base);

// Adds a constant; bytes are copied. `name` NULL: "const". The name is made free. Error INPUT_DTYPE for
// strings. `out` may be NULL.
AP_MUST ap_err ap_graph_add_initializer(ap_graph *g, const char *name, const ap_tensor *t, ap_value **out);

typedef struct ap_node_spec {
    const char *op;
    const char *domain;      // NULL or "": ai.onnx
    const char *name;        // NULL: the first output's; made free
    ap_value *const *inputs; // of this graph; NULL entries are omitted. Trailing NULLs are dropped.
    size_t input_count;
    const char *const *outputs; // new value names; NULL or "": omitted. Error MODEL_INVALID when taken.
    size_t output_count;
    Onnx__AttributeProto *const *attrs; // NULL entries are skipped
    size_t attr_count;
    ap_node *before; // NULL: at the end
} ap_node_spec;
// Adds a node. Values of an enclosing graph must be given as this graph's own OUTER value.
AP_MUST ap_err ap_graph_add_node(ap_graph *g, const ap_node_spec *s, ap_node **out);

// ---- rewiring
// Input `i` of `n` becomes `v` (NULL: omitted; may lie one behind the last input, then it is appended).
AP_MUST ap_err ap_node_set_input(ap_graph *g, ap_node *n, size_t i, ap_value *v);
// Everyone who used `from` uses `to`: nodes, graph outputs, bodies that capture it. Where the *name* of
// `from` is seen from outside (graph output, captured), the two values swap names, so interface and bodies
// stay as they are; where that is not possible (`to` is an input, an initializer or an output itself) an
// Identity node, standing right behind the maker of `to`, makes the name. Uses in
// `except` (may be NULL) are left alone. Types are not compared: the caller has.
AP_MUST ap_err ap_graph_replace_value(ap_graph *g, ap_value *from, ap_value *to, const ap_node *except);
// Error MODEL_INVALID (subject: the value) when an output of it is still used, captured or a graph output.
AP_MUST ap_err ap_graph_remove_node(ap_graph *g, ap_node *n);
// Removes a constant nobody uses. Error MODEL_INVALID as above, or when it is a graph input too.
AP_MUST ap_err ap_graph_remove_initializer(ap_graph *g, ap_value *v);
// Removes nodes none of whose outputs is needed, backwards until there are none, then initializers nobody
// uses (those that are also graph inputs stay), then value_info of values that are gone. Bodies are left
// alone. Returns how many nodes went.
size_t ap_graph_sweep(ap_graph *g);

// ---- arithmetic
// These float32 values of the main graph, inputs and constants too, go through float16: rounded where they
// are made, so that every user, and who sees an output, gets what 16 bits hold. Constants beyond its range
// stay as they are: they stand for "no bound". Names that are no value are passed over.
AP_MUST ap_err ap_model_round_half(ap_model *m, const char *const *names, size_t count);

// ---- types
// Declares an inner value's type in value_info (replacing the entry it has); outputs and inputs keep theirs.
void ap_value_declare(ap_graph *g, ap_value *v, const ap_value_type *type);

#endif
