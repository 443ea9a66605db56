// SPDX-License-Identifier: Apache-2.0
#include "graph/model_priv.h"

#include <stdio.h>
#include <string.h>

const char *ap_proto_name(const Onnx__TensorProto *t) {
    return t->name && *t->name ? t->name : "(unnamed tensor)";
}

// Types newer than ap_dtype are known by width only, so that models with them can be carried.
static size_t bits_of(int32_t type) {
    switch (type) {
    case 24: return 8; // float8e8m0
    case 25:           // uint2
    case 26: return 2; // int2
    case 27:           // float6e2m3
    case 28: return 0; // float6e3m2: packing not fixed
    default: return ap_dtype_bits((ap_dtype)type);
    }
}

ap_err ap_proto_bytes(const Onnx__TensorProto *t, size_t *count, size_t *bytes) {
    const char *name = ap_proto_name(t);
    ap_err err = ap_shape_count(t->dims, t->n_dims, count);
    if (err) return ap_err_subject(ap_err_context(err, "tensor \"%s\"", name), name);
    size_t bits = bits_of(t->data_type), total;
    *bytes = SIZE_MAX;
    if (!bits) return NULL;
    if (!ap_mul_size(*count, bits, &total) || !ap_add_size(total, 7, &total)) {
        err = ap_err_new(AP_ERR_MODEL_DIMS, "tensor \"%s\": %zu elements of %zu bits are too many", name,
                         *count, bits);
        return ap_err_subject(err, name);
    }
    *bytes = total / 8;
    return NULL;
}

// ---- typed fields

// Where a type's elements lie when not in raw_data.
typedef struct typed {
    const void *data;
    size_t count;     // entries
    size_t per_entry; // elements an entry holds; 0: an element takes two entries (complex)
    bool in_place;    // entries are the elements as they are in memory
} typed;

static typed find_typed(const Onnx__TensorProto *t) {
    switch (t->data_type) {
    case AP_F32: return (typed){t->float_data, t->n_float_data, 1, true};
    case AP_C64: return (typed){t->float_data, t->n_float_data, 0, true};
    case AP_F64: return (typed){t->double_data, t->n_double_data, 1, true};
    case AP_C128: return (typed){t->double_data, t->n_double_data, 0, true};
    case AP_I64: return (typed){t->int64_data, t->n_int64_data, 1, true};
    case AP_U64: return (typed){t->uint64_data, t->n_uint64_data, 1, true};
    case AP_U32: return (typed){t->uint64_data, t->n_uint64_data, 1, false};
    case AP_I32: return (typed){t->int32_data, t->n_int32_data, 1, true};
    case AP_U4:
    case AP_I4:
    case AP_F4E2M1: return (typed){t->int32_data, t->n_int32_data, 2, false};
    default: return (typed){t->int32_data, t->n_int32_data, 1, false};
    }
}

static size_t typed_entries(const typed *f, size_t elements) {
    if (!f->per_entry) return 2 * elements;
    return elements / f->per_entry + (elements % f->per_entry != 0);
}

// Narrow elements: the low bytes of each entry.
static void *narrow(const Onnx__TensorProto *t, const typed *f, size_t bytes, ap_arena *arena) {
    uint8_t *out = ap_arena_calloc(arena, bytes ? bytes : 1, 1);
    size_t width = t->data_type == AP_U32 ? 4 : (bits_of(t->data_type) + 7) / 8;
    size_t step = t->data_type == AP_U32 ? sizeof(uint64_t) : sizeof(int32_t);
    for (size_t i = 0; i < f->count; i++) memcpy(out + i * width, (const uint8_t *)f->data + i * step, width);
    return out;
}

// What had to be made from the file's bytes is made once and lives in the arena.
static const void *cached(const ap_model *m, const Onnx__TensorProto *t, char key[32]) {
    (void)snprintf(key, 32, "%p", (const void *)t);
    return ap_map_get(&m->unpacked, key);
}

static const void *unpack_once(ap_model *m, const Onnx__TensorProto *t, const typed *f, size_t bytes) {
    char key[32];
    const void *have = cached(m, t, key);
    if (have) return have;
    void *data = narrow(t, f, bytes, &m->arena);
    ap_map_set(&m->unpacked, key, data);
    return data;
}

// Bytes of a file start anywhere; whoever reads floats needs them aligned.
static const void *align_once(ap_model *m, const Onnx__TensorProto *t, const uint8_t *raw, size_t bytes) {
    size_t width = bits_of(t->data_type) / 8;
    if (width > 8) width = 8; // complex128 is two doubles
    if (width <= 1 || (uintptr_t)raw % width == 0) return raw;
    char key[32];
    const void *have = cached(m, t, key);
    if (have) return have;
    void *data = ap_arena_alloc(&m->arena, bytes);
    if (bytes) memcpy(data, raw, bytes);
    ap_map_set(&m->unpacked, key, data);
    return data;
}

static ap_err wrong_size(const Onnx__TensorProto *t, size_t have, size_t need, const char *unit) {
    const char *name = ap_proto_name(t);
    ap_buf shape = {0};
    ap_shape_format(t->dims, t->n_dims, &shape);
    ap_err err = ap_err_new(AP_ERR_MODEL_DIMS, "tensor \"%s\" (%s, %s) needs %zu %s and has %zu", name,
                            ap_dtype_name((ap_dtype)t->data_type), ap_buf_str(&shape), need, unit, have);
    ap_buf_free(&shape);
    return ap_err_subject(err, name);
}

// Does the tensor hold as many elements as its shape says? External ones are checked by ap_external_data.
ap_err ap_proto_check(const Onnx__TensorProto *t) {
    size_t count, bytes;
    const char *name = ap_proto_name(t);
    if (t->data_type <= 0)
        return ap_err_subject(ap_err_new(AP_ERR_MODEL_INVALID, "tensor \"%s\" has no element type", name),
                              name);
    ap_err err = ap_proto_bytes(t, &count, &bytes);
    if (err || ap_is_external(t)) return err;
    if (t->data_type == AP_STRING)
        return t->n_string_data == count ? NULL : wrong_size(t, t->n_string_data, count, "texts");
    if (bytes == SIZE_MAX) return NULL; // a type we cannot judge
    if (t->has_raw_data)
        return t->raw_data.len == bytes ? NULL : wrong_size(t, t->raw_data.len, bytes, "bytes");
    if (!ap_dtype_bits((ap_dtype)t->data_type)) return NULL;
    typed f = find_typed(t);
    size_t need = typed_entries(&f, count);
    return f.count == need ? NULL : wrong_size(t, f.count, need, "entries");
}

ap_err ap_model_tensor(ap_model *m, const Onnx__TensorProto *t, ap_tensor *out) {
    const char *name = ap_proto_name(t);
    const void *data = NULL;
    size_t count, bytes;
    ap_err err = ap_proto_check(t);
    if (err) return err;
    if (!ap_dtype_bits((ap_dtype)t->data_type)) {
        err = ap_err_new(AP_ERR_INPUT_DTYPE, "tensor \"%s\" is of type %s (%d), which holds no plain numbers",
                         name, ap_dtype_name((ap_dtype)t->data_type), (int)t->data_type);
        return ap_err_subject(err, name);
    }
    err = ap_proto_bytes(t, &count, &bytes);
    if (err) return err;
    typed f = find_typed(t);
    if (ap_is_external(t)) {
        const uint8_t *mapped = NULL;
        err = ap_external_data(m, t, &mapped, &bytes);
        if (!err) data = align_once(m, t, mapped, bytes);
    } else if (t->has_raw_data) {
        data = align_once(m, t, t->raw_data.data, bytes);
    } else {
        data = f.in_place ? f.data : unpack_once(m, t, &f, bytes);
    }
    if (!err)
        err = ap_tensor_view((ap_dtype)t->data_type, t->dims, t->n_dims, (void *)(uintptr_t)data, bytes, out);
    return err;
}

ap_err ap_tensor_load_pb(const char *path, ap_tensor *out) {
    ap_err err = NULL;
    ap_filemap file = {0};
    ProtobufCMessage *msg = NULL;
    ap_model *m = ap_model_new(); // for its arena; without a folder, so external data is refused
    ap_tensor view = {0};
    AP_TRY(ap_filemap_open(path, &file));
    err = ap_tree_decode(&onnx__tensor_proto__descriptor, file.data, file.bytes, &m->arena, &msg);
    if (!err) err = ap_model_tensor(m, (const Onnx__TensorProto *)msg, &view);
    if (!err) err = ap_tensor_clone(&view, out);
    if (err) {
        ap_err cause = err;
        err =
            ap_err_new(AP_ERR_INPUT_FILE, "%s: not a readable tensor file: %s", path, ap_err_message(cause));
        ap_err_free(ap_err_subject(cause, path));
        err = ap_err_subject(err, path);
    }
done:
    ap_model_free(m);
    ap_filemap_close(&file);
    return err;
}
