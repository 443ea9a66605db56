// SPDX-License-Identifier: Apache-2.0
#include "graph/tree.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Reading a hostile file in three steps. (1) A walk over the wire format that bounds everything protobuf-c
// does not: nesting, memory, merging. (2) A "skeleton" copy in which each large raw_data is a short ticket,
// so weights are never copied. (3) protobuf-c decodes the skeleton; tickets become pointers into the file.

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LENGTH = 2, WIRE_32 = 5 };
enum { BIG_RAW = 4096, TICKET_MARK = 16, TICKET_BYTES = TICKET_MARK + 8 };
// What a file may take in memory beyond eight times its size; only a file made of empty messages comes near.
#define MEMORY_FLOOR ((size_t)512 << 20)

// Data that starts with this mark and has a ticket's length is itself replaced, so a forged ticket cannot
// exist.
static const char ticket_mark[TICKET_MARK + 1] = "aipc raw ticket\n";

typedef struct span {
    size_t at, len; // of the whole file
} span;

typedef struct reader {
    const uint8_t *bytes;
    size_t len;
    size_t memory, memory_limit; // what decoding will take, estimated from above
    span *big;                   // raw_data left out of the skeleton, in file order
    size_t big_count, big_cap;
} reader;

typedef struct field {
    uint32_t id;
    unsigned wire;
    size_t tag_at;                         // of the tag
    size_t at, len;                        // of the content; a length prefix is already behind us
    const ProtobufCFieldDescriptor *known; // NULL when we do not know the field
} field;

static ap_err bad(size_t at, const char *what, const char *where) {
    return ap_err_at(ap_err_new(AP_ERR_MODEL_PARSE, "byte %zu: %s in %s", at, what, where), at);
}

static bool read_varint(const reader *r, size_t *at, size_t end, size_t max_bytes, uint64_t *out) {
    uint64_t v = 0;
    for (size_t i = 0; i < max_bytes && *at < end; i++) {
        uint8_t b = r->bytes[(*at)++];
        v |= (uint64_t)(b & 0x7f) << (7 * i);
        if (!(b & 0x80)) {
            *out = v;
            return true;
        }
    }
    return false;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type, uint32_t id) {
    size_t lo = 0, hi = type->n_fields;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (type->fields[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < type->n_fields && type->fields[lo].id == id ? &type->fields[lo] : NULL;
}

static unsigned wire_of(ProtobufCType t) {
    switch (t) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32: return WIRE_32;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64: return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return WIRE_LENGTH;
    default: return WIRE_VARINT;
    }
}

// Reads one field and moves *at behind it.
static ap_err read_field(const reader *r, const ProtobufCMessageDescriptor *type, size_t *at, size_t end,
                         field *f) {
    uint64_t tag = 0, len = 0;
    f->tag_at = *at;
    if (!read_varint(r, at, end, 5, &tag) || tag > UINT32_MAX)
        return bad(f->tag_at, "broken field tag", type->short_name);
    f->id = (uint32_t)(tag >> 3);
    f->wire = (unsigned)(tag & 7);
    if (!f->id) return bad(f->tag_at, "field number 0", type->short_name);
    f->known = find_field(type, f->id);
    size_t content = *at;
    switch (f->wire) {
    case WIRE_VARINT:
        if (!read_varint(r, at, end, 10, &len)) return bad(content, "unterminated number", type->short_name);
        len = *at - content;
        break;
    case WIRE_64: len = 8; break;
    case WIRE_32: len = 4; break;
    case WIRE_LENGTH:
        if (!read_varint(r, at, end, 5, &len)) return bad(content, "broken length", type->short_name);
        content = *at;
        break;
    default: return bad(f->tag_at, "unknown wire type", type->short_name);
    }
    if (len > end - content) return bad(content, "content longer than what holds it", type->short_name);
    f->at = content;
    f->len = (size_t)len;
    *at = content + f->len;
    return NULL;
}

static ap_err spend(reader *r, size_t at, size_t bytes) {
    if (!ap_add_size(r->memory, bytes, &r->memory) || r->memory > r->memory_limit)
        return bad(at, "more content than a real model has (memory limit)", "the file");
    return NULL;
}

static bool is_raw_data(const ProtobufCFieldDescriptor *d, const ProtobufCMessageDescriptor *type) {
    return type == &onnx__tensor_proto__descriptor && d->id == 9;
}

static bool is_big(const reader *r, size_t at, size_t len) {
    return len > BIG_RAW || (len == TICKET_BYTES && !memcmp(r->bytes + at, ticket_mark, TICKET_MARK));
}

static void note_big(reader *r, size_t at, size_t len) {
    if (r->big_count == r->big_cap) {
        r->big_cap = r->big_cap ? 2 * r->big_cap : 64;
        r->big = ap_realloc(r->big, r->big_cap * sizeof *r->big);
    }
    r->big[r->big_count++] = (span){at, len};
}

static bool packable(const ProtobufCFieldDescriptor *d) {
    return d->label == PROTOBUF_C_LABEL_REPEATED && wire_of(d->type) != WIRE_LENGTH;
}

// Checks a text or bytes field and says what it will take.
static ap_err check_bytes(reader *r, const ProtobufCMessageDescriptor *type, const field *f) {
    if (f->known->type == PROTOBUF_C_TYPE_BYTES && is_raw_data(f->known, type) && is_big(r, f->at, f->len)) {
        note_big(r, f->at, f->len);
        return NULL;
    }
    // A C string would end at the NUL and an edit would write back less than was read.
    if (f->known->type == PROTOBUF_C_TYPE_STRING && f->len && memchr(r->bytes + f->at, 0, f->len))
        return bad(f->at, "a text with a NUL byte", type->short_name);
    return spend(r, f->at, f->len + 32);
}

static ap_err check_field(reader *r, const ProtobufCMessageDescriptor *type, const field *f, uint64_t *seen) {
    enum {
        BOOKKEEPING = 128
    }; // protobuf-c's scan entry (kept until the arena goes), list slot, unknown-field entry
    ap_err err = spend(r, f->tag_at, BOOKKEEPING);
    if (err) return err;
    if (!f->known) return spend(r, f->at, f->len + 16);
    if (f->wire != wire_of(f->known->type)) {
        if (f->wire != WIRE_LENGTH || !packable(f->known))
            return bad(f->tag_at, "wrong wire type", type->short_name);
        return spend(r, f->at, 8 * f->len); // a packed list grows at most from one byte to eight
    }
    if (f->wire != WIRE_LENGTH) return NULL;
    if (f->known->type != PROTOBUF_C_TYPE_MESSAGE) return check_bytes(r, type, f);
    // The format lets a message arrive in pieces that are merged. No ONNX writer does that, and merging n
    // pieces costs n² memory.
    uint64_t bit = UINT64_C(1) << (f->known - type->fields);
    if (f->known->label != PROTOBUF_C_LABEL_REPEATED && (*seen & bit))
        return bad(f->tag_at, "a message given twice", type->short_name);
    *seen |= bit;
    return NULL;
}

static ap_err check_message(reader *r, const ProtobufCMessageDescriptor *type, size_t at, size_t end,
                            unsigned depth) {
    if (depth > AP_TREE_MAX_DEPTH) return bad(at, "messages nested too deep", type->short_name);
    ap_err err = spend(r, at, type->sizeof_message + 16);
    uint64_t seen = 0;
    while (!err && at < end) {
        field f;
        err = read_field(r, type, &at, end, &f);
        if (!err) err = check_field(r, type, &f, &seen);
        if (!err && f.known && f.known->type == PROTOBUF_C_TYPE_MESSAGE)
            err = check_message(r, f.known->descriptor, f.at, f.at + f.len, depth + 1);
    }
    return err;
}

// ---- skeleton

typedef struct writer {
    const reader *r;
    uint8_t *out; // as large as the file minus the big spans, plus a ticket and length prefixes for each
    size_t len;
    size_t next; // index of the next big span
} writer;

static void put(writer *w, const void *data, size_t n) {
    memcpy(w->out + w->len, data, n);
    w->len += n;
}

// A length in five bytes whatever its size, so that it can be filled in later. Readers accept that.
static void put_len5(uint8_t *p, size_t len) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)((len >> (7 * i) & 0x7f) | 0x80);
    p[4] = (uint8_t)(len >> 28 & 0x7f);
}

static void put_ticket(writer *w) {
    uint8_t head[5];
    put_len5(head, TICKET_BYTES);
    put(w, head, sizeof head);
    put(w, ticket_mark, TICKET_MARK);
    uint64_t index = w->next++;
    put(w, &index, sizeof index);
}

// Copies a message, already known to be sound, whose range holds at least one big span.
static ap_err copy_message(writer *w, const ProtobufCMessageDescriptor *type, size_t at, size_t end) {
    const reader *r = w->r;
    size_t pending = at; // bytes from here on are copied as they are
    while (at < end && w->next < r->big_count) {
        field f;
        ap_err err = read_field(r, type, &at, end, &f);
        if (err) return err;
        const span *s = &r->big[w->next];
        if (s->at < f.at || s->at >= f.at + f.len) continue;
        put(w, r->bytes + pending, f.tag_at - pending);
        size_t tag_at = f.tag_at;
        uint64_t tag = 0;
        (void)read_varint(r, &tag_at, end, 5, &tag);
        put(w, r->bytes + f.tag_at, tag_at - f.tag_at);
        if (s->at == f.at && f.known->type == PROTOBUF_C_TYPE_BYTES) {
            put_ticket(w);
        } else {
            size_t head = w->len;
            w->len += 5;
            err = copy_message(w, f.known->descriptor, f.at, f.at + f.len);
            if (err) return err;
            put_len5(w->out + head, w->len - head - 5);
        }
        pending = at;
    }
    put(w, r->bytes + pending, end - pending);
    return NULL;
}

static ap_err redeem(ProtobufCMessage *msg, void *user) {
    const reader *r = user;
    if (msg->descriptor != &onnx__tensor_proto__descriptor) return NULL;
    ProtobufCBinaryData *raw = &((Onnx__TensorProto *)msg)->raw_data;
    if (raw->len != TICKET_BYTES || memcmp(raw->data, ticket_mark, TICKET_MARK)) return NULL;
    uint64_t index;
    memcpy(&index, raw->data + TICKET_MARK, sizeof index);
    const span *s = &r->big[index];
    // protobuf-c has no const bytes; nothing here or above writes through the pointer.
    *raw = (ProtobufCBinaryData){s->len, (uint8_t *)(uintptr_t)(r->bytes + s->at)};
    return NULL;
}

static void *arena_alloc(void *arena, size_t bytes) {
    return ap_arena_alloc(arena, bytes);
}
static void arena_keep(void *arena, void *p) {
    (void)arena;
    (void)p;
}

static ap_err unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t len,
                     ap_arena *arena, ProtobufCMessage **out) {
    ProtobufCAllocator in_arena = {arena_alloc, arena_keep, arena};
    *out = protobuf_c_message_unpack(type, &in_arena, len, bytes);
    return *out ? NULL : ap_err_new(AP_ERR_MODEL_PARSE, "broken %s message", type->short_name);
}

ap_err ap_tree_decode(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t len,
                      ap_arena *arena, ProtobufCMessage **out) {
    ap_err err = NULL;
    uint8_t *skeleton = NULL;
    ProtobufCMessage *msg = NULL;
    reader r = {.bytes = bytes, .len = len};
    if (len > AP_TREE_MAX_BYTES) {
        err = ap_err_new(AP_ERR_MODEL_PARSE, "%zu bytes are more than a protobuf message can hold (%zu)", len,
                         AP_TREE_MAX_BYTES);
        return ap_err_hint(err, "export the model with its weights in an external data file");
    }
    r.memory_limit = MEMORY_FLOOR + 8 * len;
    AP_TRY(check_message(&r, type, 0, len, 0));
    if (!r.big_count) {
        AP_TRY(unpack(type, bytes, len, arena, &msg));
    } else {
        size_t left = len;
        for (size_t i = 0; i < r.big_count; i++) left -= r.big[i].len;
        // A length prefix grows by at most four bytes. Rewritten prefixes: at most one per level above each
        // big span, and no more than the file has (a prefix and its tag take two bytes).
        size_t prefixes = r.big_count * (size_t)AP_TREE_MAX_DEPTH;
        if (prefixes > left / 2) prefixes = left / 2;
        size_t room = left + r.big_count * (TICKET_BYTES + 5) + 4 * prefixes;
        skeleton = ap_alloc(room);
        writer w = {.r = &r, .out = skeleton};
        AP_TRY(copy_message(&w, type, 0, len));
        AP_TRY(unpack(type, skeleton, w.len, arena, &msg));
        AP_TRY(ap_tree_walk(msg, redeem, &r));
    }
    *out = msg;
done:
    free(skeleton);
    free(r.big);
    return err;
}
