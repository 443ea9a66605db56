// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "graph/model_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- writing messages

static ap_err put_file(void *user, const void *data, size_t bytes) {
    return ap_file_writer_put(user, data, bytes);
}

static ap_err put_buf(void *user, const void *data, size_t bytes) {
    ap_buf_append(user, data, bytes);
    return NULL;
}

static ap_err put_hash(void *user, const void *data, size_t bytes) {
    ap_sha256_add(user, data, bytes);
    return NULL;
}

static ap_err check_packed_size(const Onnx__ModelProto *p, size_t *bytes) {
    *bytes = protobuf_c_message_get_packed_size(&p->base);
    if (*bytes <= AP_TREE_MAX_BYTES) return NULL;
    ap_err err = ap_err_new(
        AP_ERR_MODEL_DIMS,
        "the model takes %zu bytes in one file, more than the 2 GB a protobuf message can hold", *bytes);
    return ap_err_hint(err, "save with external data (ap_save_options.external_name)");
}

ap_err ap_model_bytes(const ap_model *m, ap_buf *out) {
    if (m->bytes && !m->edited && !m->normalized) {
        ap_buf_reserve(out, m->len);
        ap_buf_append(out, m->bytes, m->len);
        return NULL;
    }
    size_t bytes;
    ap_err err = check_packed_size(m->proto, &bytes);
    if (err) return err;
    ap_buf_reserve(out, bytes);
    return ap_tree_pack(&m->proto->base, put_buf, out);
}

// ---- external files a model brings along

typedef struct place {
    const ap_model *m;
    char *from, *to; // real folders
    ap_arena arena;
    ap_map done; // locations already there
} place;

static ap_err same_bytes(const char *a, const char *b, bool *same) {
    ap_filemap fa = {0}, fb = {0};
    ap_err err = NULL;
    *same = false;
    AP_TRY(ap_filemap_open(a, &fa));
    AP_TRY(ap_filemap_open(b, &fb));
    *same = fa.bytes == fb.bytes && (!fa.bytes || !memcmp(fa.data, fb.data, fa.bytes));
done:
    ap_filemap_close(&fa);
    ap_filemap_close(&fb);
    return err;
}

static ap_err bring(place *p, const char *location) {
    char *real = NULL;
    ap_err err = ap_external_path(p->m, location, &p->arena, &real);
    if (err) return err;
    char *to = ap_path_join(&p->arena, p->to, location);
    if (ap_file_exists(to)) {
        bool same;
        err = same_bytes(real, to, &same);
        if (err || same) return err;
        err = ap_err_new(AP_ERR_IO, "%s is there already and is not the model's external data", to);
        return ap_err_subject(ap_err_hint(err, "save to an empty folder, or under a new external data name"),
                              to);
    }
    err = ap_mkdirs(ap_path_dir(&p->arena, to));
    return err ? err : ap_file_link_or_copy(real, to);
}

static ap_err bring_tensor(ProtobufCMessage *msg, void *user) {
    place *p = user;
    if (msg->descriptor != &onnx__tensor_proto__descriptor) return NULL;
    const Onnx__TensorProto *t = (Onnx__TensorProto *)msg;
    const char *location = ap_is_external(t) ? ap_external_location(t) : NULL;
    if (!location || !ap_map_add(&p->done, location, NULL)) return NULL;
    return bring(p, location);
}

// Puts external data that `proto` still refers to beside `path`, hard-linked where possible.
static ap_err bring_external(const ap_model *m, const Onnx__ModelProto *proto, const char *path,
                             const char *made_here) {
    if (!m->dir) return NULL; // then there is none: verify refuses it
    ap_err err = NULL;
    place p = {.m = m};
    AP_TRY(ap_path_real(m->dir, &p.arena, &p.from));
    AP_TRY(ap_path_real(ap_path_dir(&p.arena, path), &p.arena, &p.to));
    if (made_here) ap_map_set(&p.done, made_here, NULL);
    if (strcmp(p.from, p.to) != 0)
        AP_TRY(ap_tree_walk((ProtobufCMessage *)(uintptr_t)&proto->base, bring_tensor, &p));
done:
    ap_map_free(&p.done);
    ap_arena_release(&p.arena);
    return err;
}

// ---- moving weights out

typedef struct outside {
    const ap_model *m;
    const char *name;
    size_t min_bytes, at;
    ap_file_writer file;
    ap_arena *arena;
} outside;

enum { EXTERNAL_ALIGN = 4096, EXTERNAL_MIN = 1024 }; // page-aligned, so that readers can map

static void add_entry(outside *o, Onnx__TensorProto *t, const char *key, char *value) {
    Onnx__StringStringEntryProto *e = ap_arena_alloc(o->arena, sizeof *e);
    onnx__string_string_entry_proto__init(e);
    e->key = ap_arena_strdup(o->arena, key);
    e->value = value;
    t->external_data[t->n_external_data++] = e;
}

static ap_err pad(outside *o) {
    static const uint8_t zeros[EXTERNAL_ALIGN];
    size_t n = (EXTERNAL_ALIGN - o->at % EXTERNAL_ALIGN) % EXTERNAL_ALIGN;
    o->at += n;
    return n ? ap_file_writer_put(&o->file, zeros, n) : NULL;
}

// Data of a tensor that is to move: large raw bytes, and all that was outside before (its file stays behind).
static ap_err movable(const outside *o, const Onnx__TensorProto *t, const uint8_t **data, size_t *bytes) {
    *data = NULL;
    if (ap_is_external(t)) return ap_external_data(o->m, t, data, bytes);
    if (!t->has_raw_data || t->raw_data.len < o->min_bytes) return NULL;
    *data = t->raw_data.data;
    *bytes = t->raw_data.len;
    return NULL;
}

static ap_err move_out(outside *o, Onnx__TensorProto **slot) {
    const uint8_t *data;
    size_t bytes = 0;
    ap_err err = movable(o, *slot, &data, &bytes);
    if (err || !data) return err;
    err = pad(o);
    if (!err) err = ap_file_writer_put(&o->file, data, bytes);
    if (err) return err;
    Onnx__TensorProto *t = ap_tree_shallow(o->arena, *slot);
    t->has_raw_data = 0;
    t->raw_data = (ProtobufCBinaryData){0};
    t->has_data_location = 1;
    t->data_location = ONNX__TENSOR_PROTO__LOCATION__EXTERNAL;
    t->external_data = ap_arena_calloc(o->arena, 3, sizeof(void *));
    t->n_external_data = 0;
    add_entry(o, t, "location", ap_arena_strdup(o->arena, o->name));
    add_entry(o, t, "offset", ap_arena_printf(o->arena, "%zu", o->at));
    add_entry(o, t, "length", ap_arena_printf(o->arena, "%zu", bytes));
    o->at += bytes;
    *slot = t;
    return NULL;
}

// A copy of the model's top messages whose large initializers lie in o->file. The model itself is not
// touched.
static ap_err split(outside *o, const Onnx__ModelProto *from, Onnx__ModelProto **out) {
    Onnx__ModelProto *p = ap_tree_shallow(o->arena, from);
    Onnx__GraphProto *g = ap_tree_shallow(o->arena, from->graph);
    p->graph = g;
    size_t n = g->n_initializer;
    Onnx__TensorProto **list = ap_arena_calloc(o->arena, n, sizeof *list);
    if (n) memcpy(list, g->initializer, n * sizeof *list);
    g->initializer = list;
    for (size_t i = 0; i < n; i++) {
        ap_err err = move_out(o, &list[i]);
        if (err) return err;
    }
    *out = p;
    return NULL;
}

static ap_err check_external_name(const char *name) {
    if (*name && !strchr(name, '/') && !strchr(name, '\\') && strcmp(name, ".") != 0 &&
        strcmp(name, "..") != 0)
        return NULL;
    return ap_err_new(AP_ERR_USAGE, "external data name \"%s\" must be a plain file name", name);
}

static ap_err name_is_free(ProtobufCMessage *msg, void *user) {
    const char *name = user;
    if (msg->descriptor != &onnx__tensor_proto__descriptor) return NULL;
    const Onnx__TensorProto *t = (Onnx__TensorProto *)msg;
    const char *location = ap_is_external(t) ? ap_external_location(t) : NULL;
    if (!location || strcmp(location, name) != 0) return NULL;
    return ap_err_new(AP_ERR_USAGE,
                      "external data name \"%s\" is in use: tensor \"%s\" of a node or a body lies there",
                      name, ap_proto_name(t));
}

// Only the main graph's initializers move; what bodies and attributes keep outside must not be written over.
static ap_err check_name_free(const Onnx__ModelProto *from, const char *name) {
    Onnx__ModelProto p = *from;
    Onnx__GraphProto g = *from->graph;
    p.graph = &g;
    g.n_initializer = 0;
    return ap_tree_walk(&p.base, name_is_free, (void *)(uintptr_t)name);
}

// ---- saving

static ap_err write_messages(const Onnx__ModelProto *p, const char *path) {
    size_t bytes;
    ap_file_writer w = {0};
    ap_err err = check_packed_size(p, &bytes);
    if (err) return err;
    AP_TRY(ap_file_writer_begin(path, &w));
    AP_TRY(ap_tree_pack(&p->base, put_file, &w));
    AP_TRY(ap_file_writer_commit(&w));
done:
    if (err) ap_file_writer_abort(&w);
    return err;
}

static ap_err save_split(const ap_model *m, const char *path, const ap_save_options *opt) {
    ap_arena arena = {0};
    Onnx__ModelProto *p = NULL;
    outside o = {.m = m, .name = opt->external_name, .arena = &arena};
    o.min_bytes = opt->external_min_bytes ? opt->external_min_bytes : EXTERNAL_MIN;
    bool begun = false;
    ap_err err = check_external_name(o.name);
    if (!err) err = check_name_free(m->proto, o.name);
    if (err) goto done;
    AP_TRY(ap_file_writer_begin(ap_path_join(&arena, ap_path_dir(&arena, path), o.name), &o.file));
    begun = true;
    AP_TRY(split(&o, m->proto, &p));
    AP_TRY(bring_external(m, p, path, o.name)); // of bodies and attributes
    AP_TRY(ap_file_writer_commit(&o.file));     // data first: a reader of the new model finds it
    AP_TRY(write_messages(p, path));
done:
    if (begun && err) ap_file_writer_abort(&o.file);
    ap_arena_release(&arena);
    return err;
}

// A copy of the model's top messages whose initializers are inside: their bytes stay where they are mapped.
static ap_err embed(const ap_model *m, ap_arena *a, Onnx__ModelProto **out) {
    Onnx__ModelProto *p = ap_tree_shallow(a, m->proto);
    Onnx__GraphProto *g = ap_tree_shallow(a, m->proto->graph);
    Onnx__TensorProto **list = ap_arena_calloc(a, g->n_initializer + 1, sizeof *list);
    for (size_t i = 0; i < g->n_initializer; i++) {
        const uint8_t *data;
        size_t bytes = 0;
        list[i] = g->initializer[i];
        if (!ap_is_external(list[i])) continue;
        ap_err err = ap_external_data(m, list[i], &data, &bytes);
        if (err) return err;
        list[i] = ap_tree_shallow(a, list[i]);
        list[i]->has_raw_data = 1;
        list[i]->raw_data = (ProtobufCBinaryData){bytes, (uint8_t *)(uintptr_t)data};
        list[i]->has_data_location = 0;
        list[i]->external_data = NULL;
        list[i]->n_external_data = 0;
    }
    g->initializer = list;
    p->graph = g;
    *out = p;
    return NULL;
}

static ap_err save_embedded(const ap_model *m, const char *path) {
    ap_arena arena = {0};
    Onnx__ModelProto *p = NULL;
    ap_err err = NULL;
    AP_TRY(embed(m, &arena, &p));
    if (protobuf_c_message_get_packed_size(&p->base) > AP_TREE_MAX_BYTES) p = m->proto;
    AP_TRY(bring_external(m, p, path, NULL));
    AP_TRY(write_messages(p, path));
done:
    ap_arena_release(&arena);
    return err;
}

ap_err ap_model_save(const ap_model *m, const char *path, const ap_save_options *o) {
    if (o && o->external_name) return save_split(m, path, o);
    if (o && o->embed) return save_embedded(m, path);
    ap_err err = bring_external(m, m->proto, path, NULL);
    if (err) return err;
    return m->bytes && !m->edited ? ap_file_write(path, m->bytes, m->len) : write_messages(m->proto, path);
}

// ---- identity

typedef struct digest_walk {
    const ap_model *m;
    ap_sha256 *hash;
} digest_walk;

static ap_err add_external(ProtobufCMessage *msg, void *user) {
    const digest_walk *d = user;
    const uint8_t *data;
    size_t bytes;
    if (msg->descriptor != &onnx__tensor_proto__descriptor || !ap_is_external((Onnx__TensorProto *)msg))
        return NULL;
    ap_err err = ap_external_data(d->m, (Onnx__TensorProto *)msg, &data, &bytes);
    if (!err && bytes) ap_sha256_add(d->hash, data, bytes);
    return err;
}

ap_err ap_model_digest(const ap_model *m, char hex_out[65]) {
    ap_sha256 hash;
    ap_err err = NULL;
    ap_sha256_init(&hash);
    if (m->bytes && !m->edited)
        ap_sha256_add(&hash, m->bytes, m->len);
    else
        err = ap_tree_pack(&m->proto->base, put_hash, &hash);
    digest_walk d = {m, &hash};
    if (!err) err = ap_tree_walk((ProtobufCMessage *)(uintptr_t)&m->proto->base, add_external, &d);
    ap_digest hex = ap_sha256_finish(&hash);
    if (!err) memcpy(hex_out, hex.hex, sizeof hex.hex);
    return err;
}
