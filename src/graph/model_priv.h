// SPDX-License-Identifier: Apache-2.0
// What the files of the graph room share and nobody else needs.
#ifndef AP_GRAPH_MODEL_PRIV_H
#define AP_GRAPH_MODEL_PRIV_H

#include "graph/model.h"
#include "graph/tree.h"

#include <string.h>

// Some exporters write a dimension that is not fixed as this number. It is read as one without a name, like
// ONNX Runtime does, and stays in the file as it is until somebody sets it. Other negative numbers are
// refused.
#define AP_OPEN_DIM (-1)
// Others write the name "?" for all of them, which says as little: two such dimensions need not be equal.
static inline bool ap_dim_is_named(const char *param) {
    return param && *param && strcmp(param, "?") != 0;
}

// Builds m->graph over m->proto: values, nodes, uses, bodies; names nodes; puts every graph in order.
AP_MUST ap_err ap_index_build(ap_model *m);
void ap_index_free(ap_graph *g); // maps only, the rest lives in the model's arena; NULL is fine

// A new value of the graph, without a maker and uses; `name` is kept, not copied.
ap_value *ap_graph_declare(ap_graph *g, const char *name, ap_value_kind kind);
void ap_value_add_use(ap_graph *g, ap_value *v, ap_node *n, size_t input);

// An empty model whose messages the caller fills in; ap_model_free releases it.
ap_model *ap_model_new(void);

// Nodes `n` must come after, in its own graph: makers of its inputs and of what its bodies capture. Calls
// `each` for every such node, repeats included.
void ap_node_needs(const ap_node *n, void (*each)(ap_node *maker, void *user), void *user);
// Brings nodes into a stable topological order. *changed tells whether they moved. Error MODEL_CYCLE.
AP_MUST ap_err ap_graph_order(ap_graph *g, bool *changed);

// Bytes of a dense tensor of an ONNX element type, also of types newer than ap_dtype knows. *bytes is
// SIZE_MAX for texts and types of unknown width. Error MODEL_DIMS naming the tensor.
AP_MUST ap_err ap_proto_bytes(const Onnx__TensorProto *t, size_t *count, size_t *bytes);
const char *ap_proto_name(const Onnx__TensorProto *t); // "(unnamed tensor)" when it has none

// Element type there, as many elements as the shape says? MODEL_INVALID, MODEL_DIMS. External data is not
// opened.
AP_MUST ap_err ap_proto_check(const Onnx__TensorProto *t);

// ---- building messages
Onnx__TypeProto *ap_make_tensor_type(ap_arena *a, ap_dtype dtype, const int64_t *dims,
                                     size_t rank); // -1: open dim
// A declaration for `v` of its own: with `type`, else as declared, else as its initializer is, else without a
// type.
Onnx__ValueInfoProto *ap_make_info(ap_arena *a, const ap_value *v, const ap_value_type *type);
// Looks up values. Error MODEL_MISSING for a name that is not there, MODEL_INVALID for one given twice.
AP_MUST ap_err ap_find_values(const ap_graph *g, const char *const *names, size_t count, ap_value **out);

// ---- external data
bool ap_is_external(const Onnx__TensorProto *t);
const char *ap_external_location(const Onnx__TensorProto *t); // NULL when missing
// Finds and checks the bytes; maps the file on first use. The pointer lives as long as the model.
// `m` is const in meaning: only the cache of mappings changes. Error MODEL_EXTERNAL, MODEL_DIMS.
AP_MUST ap_err ap_external_data(const ap_model *m, const Onnx__TensorProto *t, const uint8_t **data,
                                size_t *bytes);
// The real path behind a location. Error MODEL_EXTERNAL for anything outside the model's folder.
AP_MUST ap_err ap_external_path(const ap_model *m, const char *location, ap_arena *arena, char **out);

#endif
