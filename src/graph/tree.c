// SPDX-License-Identifier: Apache-2.0
#include "graph/tree.h"

#include <stdlib.h>
#include <string.h>

// Decoding has bounded the depth of every tree, so recursion over one is safe.

static void *member(const void *msg, unsigned offset) {
    return (char *)(uintptr_t)msg + offset;
}

static size_t list_count(const void *msg, const ProtobufCFieldDescriptor *d) {
    return *(size_t *)member(msg, d->quantifier_offset);
}

// Is a field that is not a list present? (Texts and messages also say so by being non-NULL.)
static bool present(const void *msg, const ProtobufCFieldDescriptor *d) {
    if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(uint32_t *)member(msg, d->quantifier_offset) == d->id;
    return true;
}

// The messages of one field: a list, or one or none.
static ProtobufCMessage **children(const void *msg, const ProtobufCFieldDescriptor *d, size_t *count) {
    *count = 0;
    if (d->type != PROTOBUF_C_TYPE_MESSAGE) return NULL;
    if (d->label == PROTOBUF_C_LABEL_REPEATED) {
        *count = list_count(msg, d);
        return *(ProtobufCMessage ***)member(msg, d->offset);
    }
    ProtobufCMessage **one = member(msg, d->offset);
    if (present(msg, d) && *one) *count = 1;
    return one;
}

ap_err ap_tree_walk(ProtobufCMessage *root, ap_tree_visit visit, void *user) {
    ap_err err = visit(root, user);
    const ProtobufCMessageDescriptor *type = root->descriptor;
    for (unsigned i = 0; !err && i < type->n_fields; i++) {
        size_t count;
        ProtobufCMessage **list = children(root, &type->fields[i], &count);
        for (size_t k = 0; !err && k < count; k++) err = ap_tree_walk(list[k], visit, user);
    }
    return err;
}

void *ap_tree_shallow(ap_arena *arena, const void *msg) {
    size_t bytes = ((const ProtobufCMessage *)msg)->descriptor->sizeof_message;
    void *copy = ap_arena_alloc(arena, bytes);
    memcpy(copy, msg, bytes);
    return copy;
}

static size_t element_bytes(ProtobufCType t) {
    switch (t) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    default: return 4;
    }
}

// Elements of a tensor are shared, every other list is copied.
static bool is_tensor_data(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *d) {
    return type == &onnx__tensor_proto__descriptor && d->label == PROTOBUF_C_LABEL_REPEATED &&
           d->type != PROTOBUF_C_TYPE_MESSAGE && d->id != 1;
}

static void clone_list(ap_arena *arena, void *msg, const ProtobufCFieldDescriptor *d) {
    void **list = member(msg, d->offset);
    size_t bytes = list_count(msg, d) * element_bytes(d->type);
    if (!bytes) return;
    void *copy = ap_arena_alloc(arena, bytes);
    memcpy(copy, *list, bytes);
    *list = copy;
}

void *ap_tree_clone(ap_arena *arena, const void *msg) {
    if (!msg) return NULL;
    ProtobufCMessage *copy = ap_tree_shallow(arena, msg);
    const ProtobufCMessageDescriptor *type = copy->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *d = &type->fields[i];
        if (is_tensor_data(type, d)) continue;
        if (d->label == PROTOBUF_C_LABEL_REPEATED) clone_list(arena, copy, d);
        size_t count;
        ProtobufCMessage **list = children(copy, d, &count);
        for (size_t k = 0; k < count; k++) list[k] = ap_tree_clone(arena, list[k]);
    }
    return copy;
}

// ---- packing

enum { GATHER_BYTES = 64 << 10 };

typedef struct sink {
    ProtobufCBuffer base; // first: protobuf-c hands back a pointer to it
    ap_tree_put put;
    void *user;
    ap_err err; // first failure; later bytes are dropped
    size_t used;
    uint8_t gathered[GATHER_BYTES];
} sink;

static void flush(sink *s) {
    if (!s->err && s->used) s->err = s->put(s->user, s->gathered, s->used);
    s->used = 0;
}

static void sink_append(ProtobufCBuffer *b, size_t len, const uint8_t *data) {
    sink *s = (sink *)b;
    if (s->err || !len) return;
    if (len > GATHER_BYTES - s->used) flush(s);
    if (len >= GATHER_BYTES / 4) {
        flush(s);
        if (!s->err) s->err = s->put(s->user, data, len);
        return;
    }
    memcpy(s->gathered + s->used, data, len);
    s->used += len;
}

ap_err ap_tree_pack(const ProtobufCMessage *msg, ap_tree_put put, void *user) {
    sink *s = ap_calloc(1, sizeof *s); // too big for the stack
    s->base.append = sink_append;
    s->put = put;
    s->user = user;
    protobuf_c_message_pack_to_buffer(msg, &s->base);
    flush(s);
    ap_err err = s->err;
    free(s);
    return err;
}
