// SPDX-License-Identifier: Apache-2.0
#include "tensor/tensor.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *ap_dtype_name(ap_dtype t) {
    switch (t) {
    case AP_DTYPE_NONE: break;
#define DTYPE_NAME(name, value, text, bits, npy)                                                             \
    case AP_##name: return text;
        AP_DTYPE_TABLE(DTYPE_NAME)
#undef DTYPE_NAME
    }
    return "unknown";
}

ap_dtype ap_dtype_from_name(const char *name) {
    // The long names come from the table; these are the spellings of NumPy, PyTorch, Rust and the vendors'
    // tools.
    static const struct {
        const char *name;
        ap_dtype type;
    } other[] = {
        {"f32", AP_F32},
        {"fp32", AP_F32},
        {"float", AP_F32},
        {"f16", AP_F16},
        {"fp16", AP_F16},
        {"half", AP_F16},
        {"bf16", AP_BF16},
        {"f64", AP_F64},
        {"fp64", AP_F64},
        {"double", AP_F64},
        {"u8", AP_U8},
        {"i8", AP_I8},
        {"s8", AP_I8},
        {"u16", AP_U16},
        {"i16", AP_I16},
        {"s16", AP_I16},
        {"u32", AP_U32},
        {"i32", AP_I32},
        {"s32", AP_I32},
        {"int", AP_I32},
        {"u64", AP_U64},
        {"i64", AP_I64},
        {"s64", AP_I64},
        {"long", AP_I64},
        {"u4", AP_U4},
        {"i4", AP_I4},
        {"s4", AP_I4},
        {"boolean", AP_BOOL},
        {"c64", AP_C64},
        {"c128", AP_C128},
        {"f8e4m3", AP_F8E4M3FN},
        {"f8e4m3fn", AP_F8E4M3FN},
        {"fp8e4m3", AP_F8E4M3FN},
        {"f8e5m2", AP_F8E5M2},
        {"fp8e5m2", AP_F8E5M2},
        {"f4e2m1", AP_F4E2M1},
        {"fp4", AP_F4E2M1},
        {"str", AP_STRING},
    };
    if (!name) return AP_DTYPE_NONE;
#define DTYPE_FROM(type, value, text, bits, npy)                                                             \
    if (strcasecmp(name, text) == 0) return AP_##type;
    AP_DTYPE_TABLE(DTYPE_FROM)
#undef DTYPE_FROM
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        if (strcasecmp(name, other[i].name) == 0) return other[i].type;
    return AP_DTYPE_NONE;
}

size_t ap_dtype_bits(ap_dtype t) {
    switch (t) {
    case AP_DTYPE_NONE: break;
#define DTYPE_BITS(name, value, text, bits, npy)                                                             \
    case AP_##name: return bits;
        AP_DTYPE_TABLE(DTYPE_BITS)
#undef DTYPE_BITS
    }
    return 0;
}

bool ap_dtype_is_float(ap_dtype t) {
    switch (t) {
    case AP_F16:
    case AP_BF16:
    case AP_F32:
    case AP_F64:
    case AP_F8E4M3FN:
    case AP_F8E4M3FNUZ:
    case AP_F8E5M2:
    case AP_F8E5M2FNUZ:
    case AP_F4E2M1: return true;
    default: return false;
    }
}

bool ap_dtype_is_int(ap_dtype t) {
    switch (t) {
    case AP_U4:
    case AP_I4:
    case AP_U8:
    case AP_I8:
    case AP_U16:
    case AP_I16:
    case AP_U32:
    case AP_I32:
    case AP_U64:
    case AP_I64: return true;
    default: return false;
    }
}

ap_err ap_shape_count(const int64_t *dims, size_t rank, size_t *count) {
    if (rank > AP_MAX_RANK)
        return ap_err_new(AP_ERR_MODEL_DIMS, "rank %zu is more than %d", rank, AP_MAX_RANK);
    size_t n = 1;
    bool empty = false, fits = true;
    for (size_t i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return ap_err_new(AP_ERR_MODEL_DIMS, "dimension %zu is negative (%lld)", i, (long long)dims[i]);
        if (dims[i] == 0)
            empty = true;
        else if (fits)
            fits = ap_mul_size(n, (size_t)dims[i], &n);
    }
    // An empty tensor may have any other dimensions: [0, 2^62, 2^62] holds nothing and is legal.
    if (!empty && (!fits || n > (size_t)INT64_MAX)) {
        ap_buf text = {0};
        ap_shape_format(dims, rank, &text);
        ap_err err = ap_err_new(AP_ERR_MODEL_DIMS, "shape %s has too many elements", ap_buf_str(&text));
        ap_buf_free(&text);
        return err;
    }
    *count = empty ? 0 : n;
    return NULL;
}

ap_err ap_shape_bytes(ap_dtype t, const int64_t *dims, size_t rank, size_t *bytes) {
    size_t bits = ap_dtype_bits(t), count;
    if (bits == 0)
        return ap_err_new(AP_ERR_INPUT_DTYPE, "elements of type %s have no fixed size", ap_dtype_name(t));
    ap_err err = ap_shape_count(dims, rank, &count);
    if (err) return err;
    if (bits < 8) {
        size_t per_byte = 8 / bits;
        *bytes = count / per_byte + (count % per_byte != 0);
        return NULL;
    }
    size_t n;
    if (!ap_mul_size(count, bits / 8, &n) || n > (size_t)INT64_MAX) {
        ap_buf text = {0};
        ap_shape_format(dims, rank, &text);
        err = ap_err_new(AP_ERR_MODEL_DIMS, "shape %s of %s has too many bytes", ap_buf_str(&text),
                         ap_dtype_name(t));
        ap_buf_free(&text);
        return err;
    }
    *bytes = n;
    return NULL;
}

void ap_shape_format(const int64_t *dims, size_t rank, ap_buf *out) {
    if (rank == 0) ap_buf_puts(out, "scalar");
    for (size_t i = 0; i < rank; i++) {
        if (i > 0) ap_buf_putc(out, 'x');
        if (dims[i] == -1)
            ap_buf_putc(out, '?');
        else
            ap_buf_printf(out, "%lld", (long long)dims[i]);
    }
}

// Reads one non-negative number and moves *p behind it; false when there is none or it is over INT64_MAX.
static bool read_dim(const char **p, int64_t *out) {
    if (**p < '0' || **p > '9') return false;
    int64_t v = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, **p - '0', &v)) return false;
    *out = v;
    return true;
}

ap_err ap_shape_parse(const char *text, int64_t *dims, size_t *rank) {
    int64_t d[AP_MAX_RANK];
    size_t r = 0;
    const char *p = text;
    while (*p || r > 0) {
        if (r == AP_MAX_RANK)
            return ap_err_new(AP_ERR_INPUT_SHAPE, "shape \"%.80s\" has more than %d dimensions", text,
                              AP_MAX_RANK);
        if (!read_dim(&p, &d[r]))
            return ap_err_new(AP_ERR_INPUT_SHAPE, "shape \"%.80s\" is not a list of sizes like 1x3x320x320",
                              text);
        r++;
        if (!*p) break;
        if (*p != 'x' && *p != ',')
            return ap_err_new(AP_ERR_INPUT_SHAPE, "shape \"%.80s\" is not a list of sizes like 1x3x320x320",
                              text);
        p++;
    }
    if (r > 0) memcpy(dims, d, r * sizeof d[0]);
    *rank = r;
    return NULL;
}

bool ap_shape_equal(const int64_t *a, size_t ra, const int64_t *b, size_t rb) {
    return ra == rb && (ra == 0 || memcmp(a, b, ra * sizeof a[0]) == 0);
}

size_t ap_tensor_count(const ap_tensor *t) {
    if (t->dtype == AP_DTYPE_NONE) return 0;
    size_t n = 1;
    for (size_t i = 0; i < t->rank; i++) {
        if (t->dims[i] <= 0) return 0;
        n *= (size_t)t->dims[i]; // checked when the tensor was made
    }
    return n;
}

static void set_shape(ap_tensor *t, ap_dtype dtype, const int64_t *dims, size_t rank, size_t bytes) {
    *t = (ap_tensor){.dtype = dtype, .rank = rank, .bytes = bytes};
    if (rank > 0) memcpy(t->dims, dims, rank * sizeof dims[0]);
}

ap_err ap_tensor_alloc(ap_dtype t, const int64_t *dims, size_t rank, ap_tensor *out) {
    size_t bytes;
    ap_err err = ap_shape_bytes(t, dims, rank, &bytes);
    if (err) return err;
    void *data = NULL;
    if (bytes > 0) {
        data = calloc(1, bytes);
        if (!data) return ap_err_new(AP_ERR_NO_MEMORY, "no memory for a tensor of %zu bytes", bytes);
    }
    set_shape(out, t, dims, rank, bytes);
    out->data = data;
    out->hold = data ? AP_HOLD_MALLOC : AP_HOLD_NONE;
    return NULL;
}

ap_err ap_tensor_view(ap_dtype t, const int64_t *dims, size_t rank, void *data, size_t bytes,
                      ap_tensor *out) {
    size_t need;
    ap_err err = ap_shape_bytes(t, dims, rank, &need);
    if (err) return err;
    if (need != bytes) {
        ap_buf text = {0};
        ap_shape_format(dims, rank, &text);
        err = ap_err_new(AP_ERR_INPUT_SHAPE, "%s of shape %s needs %zu bytes, there are %zu",
                         ap_dtype_name(t), ap_buf_str(&text), need, bytes);
        ap_buf_free(&text);
        return err;
    }
    set_shape(out, t, dims, rank, bytes);
    out->data = bytes > 0 ? data : NULL;
    return NULL;
}

ap_err ap_tensor_clone(const ap_tensor *t, ap_tensor *out) {
    if (t->dtype == AP_DTYPE_NONE) {
        *out = (ap_tensor){0};
        return NULL;
    }
    ap_tensor copy;
    ap_err err = ap_tensor_alloc(t->dtype, t->dims, t->rank, &copy);
    if (err) return err;
    if (copy.bytes > 0) memcpy(copy.data, t->data, copy.bytes);
    *out = copy;
    return NULL;
}

void ap_tensor_free(ap_tensor *t) {
    if (!t) return;
    if (t->hold == AP_HOLD_MALLOC) free(t->data);
    if (t->hold == AP_HOLD_MAP) ap_filemap_close(&t->map);
    *t = (ap_tensor){0};
}
