// SPDX-License-Identifier: Apache-2.0
// model: an ONNX model in memory. Load, save, and the graph view that everything else edits.
//
// Storage is the protobuf message tree (generated from our own subset, onnx_subset.proto), allocated in one
// arena. Weights are not copied: raw_data longer than a page points into the mapped file, external data is
// mapped when asked for. The IR (ap_graph) is an index over the messages: nodes, values, uses. Edits go
// through ap_graph_* functions, which change both, so saving is always exact: an unedited model is written
// back byte for byte, an edited one keeps every unknown field.
//
// What it never does: run anything, infer shapes, decide what is right. Opsets 7–24
// (older ones load too: ONNX Runtime still runs many). Files are hostile.
#ifndef AP_GRAPH_MODEL_H
#define AP_GRAPH_MODEL_H

#include "base/json.h"
#include "base/map.h"
#include "onnx_subset.pb-c.h"
#include "tensor/tensor.h"

typedef struct ap_model ap_model;
typedef struct ap_graph ap_graph;
typedef struct ap_node ap_node;
typedef struct ap_value ap_value;

typedef enum ap_value_kind {
    AP_VALUE_INPUT,       // graph input (an initializer of the same name makes it optional: has both)
    AP_VALUE_INITIALIZER, // constant with data
    AP_VALUE_NODE,        // made by a node
    AP_VALUE_OUTER        // of an enclosing graph (only inside If/Loop/Scan bodies)
} ap_value_kind;

typedef struct ap_use {
    ap_node *node;
    size_t input; // which input of it
} ap_use;

struct ap_value {
    const char *name;
    ap_value_kind kind;
    ap_node *producer; // kind NODE
    size_t producer_output;
    Onnx__TensorProto *init;         // initializer, or NULL (also NULL for a sparse one)
    Onnx__SparseTensorProto *sparse; // sparse initializer, or NULL
    Onnx__ValueInfoProto *info;      // declared type (input, output or value_info entry), or NULL
    ap_use *uses;
    size_t use_count, use_cap;
    bool is_output;        // graph output
    bool used_by_subgraph; // captured by a body below; such a value must not vanish
};

struct ap_node {
    Onnx__NodeProto *proto;
    // Never empty and unique in its graph. Unnamed nodes get "<OpType>_<index in file>", repeated names
    // "<name>_<index>", and "_2", "_3" ... behind that when it is taken.
    const char *name;
    const char *op, *domain; // domain "" for ai.onnx
    size_t index;            // position in graph->nodes
    ap_value **inputs;       // NULL entry = omitted optional input
    size_t input_count;
    ap_value **outputs; // NULL entry = omitted
    size_t output_count;
    ap_graph **subgraphs; // bodies (If/Loop/Scan), kept intact
    size_t subgraph_count;
};

struct ap_graph {
    ap_model *model;
    ap_graph *parent; // NULL for the main graph
    Onnx__GraphProto *proto;
    ap_node **nodes; // file order until edited; ap_graph_sort makes it topological
    size_t node_count, node_cap;
    ap_map values;                // name → ap_value *
    ap_map by_name;               // node name → ap_node *
    ap_value **inputs, **outputs; // graph inputs that need feeding (initializers left out), outputs in order
    size_t input_count, output_count;
    // Room in lists of the message that nodes.c made: valid while the list is still that one.
    struct ap_list_room {
        const void *list;
        size_t cap;
    } init_room, info_room;
};

struct ap_model {
    ap_arena arena;
    ap_filemap file;
    char *path, *dir; // NULL when parsed from memory; dir is where external data is looked up
    Onnx__ModelProto *proto;
    ap_graph *graph;
    int64_t opset; // of ai.onnx
    bool edited;   // false: save copies the original bytes
    // The rest is the room's own business.
    const uint8_t *bytes; // the original file; NULL for an extracted model
    size_t len;
    bool normalized;  // the messages differ from `bytes`: nodes were named or put in order
    ap_map external;  // location → ap_filemap *, mapped on demand
    ap_map unpacked;  // typed fields of odd types, unpacked once
    ap_model *source; // owner of weights this model borrows (after extract, when handed over); freed with it.
                      // NULL: none
};

// ---- life cycle
// Loads and indexes. Errors: NOT_FOUND, MODEL_PARSE (with byte offset where known), MODEL_MISSING,
// MODEL_CYCLE, MODEL_INVALID, MODEL_DIMS, MODEL_EXTERNAL. A model that loads has passed ap_model_verify.
AP_MUST ap_err ap_model_load(const char *path, ap_model **out);
// From memory; `bytes` must outlive the model. `dir` is where external data lives (NULL: external data
// refused).
AP_MUST ap_err ap_model_parse(const void *bytes, size_t len, const char *dir, ap_model **out);
void ap_model_free(ap_model *m);

typedef struct ap_save_options {
    // NULL: what is inside stays inside (error MODEL_DIMS above 2 GB, with the hint to set this). Else a
    // plain file name: initializers of the main graph with at least external_min_bytes of raw data, and all
    // that were external before, go to this file beside the model, page-aligned.
    const char *external_name;
    size_t external_min_bytes; // 0: 1024
    // Without external_name: initializers of the main graph that lie outside come inside, when one file can
    // hold them all.
    bool embed;
} ap_save_options;
// Atomic; `o` may be NULL. Saved to another folder, the model takes the external files it still refers to
// along: hard-linked where possible, else copied. A different file of that name there is never replaced
// (error IO).
AP_MUST ap_err ap_model_save(const ap_model *m, const char *path, const ap_save_options *o);
// Serialised bytes for a session from memory. Tensors in external files stay external (paths kept). The
// file's own bytes when it is unedited and all nodes in it have a name of their own and stand in order; else
// packed anew with the IR's names and order, because runtimes report on nodes by name (ORT refuses a name
// used twice).
AP_MUST ap_err ap_model_bytes(const ap_model *m, ap_buf *out);
// Invariants: unique names, every use has a maker (or outer scope), no cycle, single assignment, dims
// non-negative with checked products, opset in range, initializer bytes fit dtype × dims, external files
// sane. A negative dim is refused in declared shapes too, although ORT reads it as "unknown".
AP_MUST ap_err ap_model_verify(const ap_model *m);
// SHA-256 over the model's bytes and the bytes of the external data it uses.
AP_MUST ap_err ap_model_digest(const ap_model *m, char hex_out[65]);

// ---- looking
ap_value *ap_graph_value(const ap_graph *g, const char *name); // NULL when absent
ap_node *ap_graph_node(const ap_graph *g, const char *name);   // NULL when absent
bool ap_node_is(const ap_node *n, const char *op);             // has it this operator of ai.onnx?
const Onnx__AttributeProto *ap_node_attr(const ap_node *n, const char *name);
int64_t ap_node_attr_int(const ap_node *n, const char *name, int64_t fallback);
// Every value of n's graph that the node reads: its inputs, then what its bodies capture. Repeats included.
void ap_node_reads(const ap_node *n, void (*each)(ap_value *v, void *user), void *user);
// Declared type and shape of a value: dims[i] = -1 for a symbolic or unknown one, whose name (or NULL) goes
// to symbols[i] when `symbols` is given. False when there is no tensor type with a shape.
bool ap_value_shape(const ap_value *v, ap_dtype *dtype, int64_t dims[AP_MAX_RANK], size_t *rank,
                    const char *symbols[AP_MAX_RANK]);
typedef struct ap_value_type {
    ap_dtype dtype;
    size_t rank;
    int64_t dims[AP_MAX_RANK]; // -1: open
} ap_value_type;
// The type an entry {dtype, dims} of a TENSOR list states; false when it states none (*out is not to be
// used).
bool ap_value_type_read(const json_t *tensor, ap_value_type *out);
// Names of all values the graph's nodes make, in order: what an oracle is asked for to know every type.
json_t *ap_graph_made_names(const ap_graph *g);
// Borrowed view of an initializer's (or Constant attribute's) data: raw bytes in place or external mapping;
// what is not aligned or not stored as it is in memory (float16 in int32_data …) is copied into the model's
// arena on first use. Strings: error INPUT_DTYPE.
AP_MUST ap_err ap_model_tensor(ap_model *m, const Onnx__TensorProto *t, ap_tensor *out);
// A free-standing TensorProto file (input_0.pb): copies into an allocated tensor. Error INPUT_FILE.
AP_MUST ap_err ap_tensor_load_pb(const char *path, ap_tensor *out);

// ---- editing (sets m->edited; nothing is changed on failure). Names passed in are copied.
// Stable topological order of one graph; error MODEL_CYCLE names the nodes on it. A loaded model is in order.
AP_MUST ap_err ap_graph_sort(ap_graph *g);
// Gives a symbol of the inputs a number, in inputs, outputs, value_info and bodies. Shapes with symbols that
// are no input's (derived ones, "floor(h/2)") may now be stale: an inner value keeps its dtype and loses its
// shape, an output loses these dims. Error INPUT_SHAPE for an unknown symbol, a negative size, or an
// overflowing product.
AP_MUST ap_err ap_model_set_symbol(ap_model *m, const char *symbol, int64_t size);
// Sets one input's whole shape (a concrete dim that differs is error INPUT_SHAPE). Symbols among its dims are
// set model-wide as by ap_model_set_symbol.
AP_MUST ap_err ap_model_set_input_shape(ap_model *m, const char *input, const int64_t *dims, size_t rank);
// Replaces the graph's outputs by existing values (initializers and inputs too), in this order. Types are
// left open where unknown; ORT infers them. Nodes that are no longer needed stay. Error MODEL_MISSING with
// the nearest name.
AP_MUST ap_err ap_model_set_outputs(ap_model *m, const char *const *names, size_t count);
// New model holding only what `outputs` need, cut at `inputs` (any values, weights too), which become its
// first graph inputs in this order. Their types come from `types` (same order); NULL: the declared type, or
// error MODEL_INVALID. Inputs of the whole model that are reached past the cuts stay inputs, behind the
// listed ones. What bodies capture, opset imports, functions and node names are kept. Weights are shared with
// `m`, which must outlive the part (or be handed to it as `source`); everything else may be edited on either
// side.
AP_MUST ap_err ap_model_extract(const ap_model *m, const char *const *inputs, const ap_value_type *types,
                                size_t input_count, const char *const *outputs, size_t output_count,
                                ap_model **out);

#endif
