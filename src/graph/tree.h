// SPDX-License-Identifier: Apache-2.0
// tree: the message tree below the IR: reading the wire, walking, cloning, packing. Private to the graph
// room.
//
// Everything here is driven by the descriptors protobuf-c generates, so no message type can be forgotten.
#ifndef AP_GRAPH_TREE_H
#define AP_GRAPH_TREE_H

#include "base/file.h"
#include "onnx_subset.pb-c.h"

// A message may nest this deep. 64 levels of If/Loop bodies (three messages each) and what hangs below them;
// far beyond real models, and small enough for protobuf-c's recursion on a thread's stack.
#define AP_TREE_MAX_DEPTH 200
// protobuf's own limit for one message.
#define AP_TREE_MAX_BYTES ((size_t)INT32_MAX)

// Decodes a message of type `type` with everything in the arena, after a bounded walk over all of `bytes`:
// nesting, lengths, varints, wire types and the memory the result will take are checked before protobuf-c
// sees a byte. raw_data longer than a page points into `bytes`, which must outlive the arena. Error:
// MODEL_PARSE with offset.
AP_MUST ap_err ap_tree_decode(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t len,
                              ap_arena *arena, ProtobufCMessage **out);

// Calls `visit` for `root` and every message below it, parents first, in field order. A non-NULL result stops
// the walk and is returned.
typedef ap_err (*ap_tree_visit)(ProtobufCMessage *msg, void *user);
AP_MUST ap_err ap_tree_walk(ProtobufCMessage *root, ap_tree_visit visit, void *user);

// A copy whose messages and lists are its own, so either side may be edited. Texts and the elements of
// tensors (never changed in place) are shared. NULL gives NULL.
void *ap_tree_clone(ap_arena *arena, const void *msg);
// A copy of the message alone: all it points to is shared.
void *ap_tree_shallow(ap_arena *arena, const void *msg);

// Packs through `put`, which gets small pieces gathered and large ones straight from where they lie.
typedef ap_err (*ap_tree_put)(void *user, const void *data, size_t bytes);
AP_MUST ap_err ap_tree_pack(const ProtobufCMessage *msg, ap_tree_put put, void *user);

#endif
