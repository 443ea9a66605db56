// SPDX-License-Identifier: Apache-2.0
// Elements of any numeric type as double or float, and back.
#include "tensor/convert.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { BLOCK = 512 }; // elements converted at a time on the stack

// Loops over `count` elements of a C type at any address. The inner loop of fixed length is what gcc -O2
// turns into vector code; it does not for loops of unknown length.
#define LOAD_LOOP(type, convert)                                                                             \
    do {                                                                                                     \
        const unsigned char *restrict p = (const unsigned char *)t->data + from * sizeof(type);              \
        size_t i = 0;                                                                                        \
        for (; i + 8 <= count; i += 8) {                                                                     \
            type v[8];                                                                                       \
            memcpy(v, p + i * sizeof(type), sizeof v);                                                       \
            for (size_t k = 0; k < 8; k++) out[i + k] = convert(v[k]);                                       \
        }                                                                                                    \
        for (; i < count; i++) {                                                                             \
            type v;                                                                                          \
            memcpy(&v, p + i * sizeof v, sizeof v);                                                          \
            out[i] = convert(v);                                                                             \
        }                                                                                                    \
    } while (0)

#define STORE_LOOP(type, convert)                                                                            \
    do {                                                                                                     \
        unsigned char *restrict p = (unsigned char *)t->data + from * sizeof(type);                          \
        for (size_t i = 0; i < count; i++) {                                                                 \
            type v = convert(in[i]);                                                                         \
            memcpy(p + i * sizeof v, &v, sizeof v);                                                          \
        }                                                                                                    \
    } while (0)

static bool in_bounds(const ap_tensor *t, size_t from, size_t count) {
    size_t n = ap_tensor_count(t);
    return from <= n && count <= n - from;
}

// Two elements per byte, the first in the low nibble (ONNX).
static unsigned nibble_at(const ap_tensor *t, size_t i) {
    unsigned byte = ((const unsigned char *)t->data)[i / 2];
    return i % 2 ? byte >> 4 : byte & 15U;
}

static void put_nibble(ap_tensor *t, size_t i, unsigned v) {
    unsigned char *byte = (unsigned char *)t->data + i / 2;
    unsigned high = *byte & 0xF0U, low = *byte & 0x0FU;
    *byte = (unsigned char)(i % 2 ? (v & 15U) << 4 | low : high | (v & 15U));
}

static void load_small(const ap_tensor *t, size_t from, size_t count, double *out) {
    const ap_float_format *f = ap_float_format_of(t->dtype);
    const unsigned char *p = t->data;
    for (size_t i = 0; i < count; i++) {
        size_t at = from + i;
        if (t->dtype == AP_U4)
            out[i] = nibble_at(t, at);
        else if (t->dtype == AP_I4)
            out[i] = (int)(nibble_at(t, at) ^ 8U) - 8;
        else if (t->dtype == AP_F4E2M1)
            out[i] = ap_float_decode(f, nibble_at(t, at));
        else
            out[i] = ap_float_decode(f, p[at]);
    }
}

#define AS_DOUBLE(v) ((double)(v))
#define AS_FLOAT(v) ((float)(v))
#define AS_TRUTH(v) ((v) != 0)

void ap_tensor_to_f64(const ap_tensor *t, size_t from, size_t count, double *out) {
    assert(in_bounds(t, from, count));
    if (count == 0) return;
    switch (t->dtype) {
    case AP_F32: LOAD_LOOP(float, AS_DOUBLE); break;
    case AP_F64: LOAD_LOOP(double, AS_DOUBLE); break;
    case AP_F16: LOAD_LOOP(uint16_t, ap_f16_to_f32); break;
    case AP_BF16: LOAD_LOOP(uint16_t, ap_bf16_to_f32); break;
    case AP_BOOL: LOAD_LOOP(uint8_t, AS_TRUTH); break;
    case AP_U8: LOAD_LOOP(uint8_t, AS_DOUBLE); break;
    case AP_I8: LOAD_LOOP(int8_t, AS_DOUBLE); break;
    case AP_U16: LOAD_LOOP(uint16_t, AS_DOUBLE); break;
    case AP_I16: LOAD_LOOP(int16_t, AS_DOUBLE); break;
    case AP_U32: LOAD_LOOP(uint32_t, AS_DOUBLE); break;
    case AP_I32: LOAD_LOOP(int32_t, AS_DOUBLE); break;
    case AP_U64: LOAD_LOOP(uint64_t, AS_DOUBLE); break;
    case AP_I64: LOAD_LOOP(int64_t, AS_DOUBLE); break;
    case AP_C64:
    case AP_C128:
        for (size_t i = 0; i < count; i++) {
            const unsigned char *p =
                (const unsigned char *)t->data + (from + i) * (t->dtype == AP_C64 ? 8 : 16);
            float re;
            memcpy(&re, p, sizeof re);
            out[i] = (double)re;
            if (t->dtype == AP_C128) memcpy(&out[i], p, sizeof out[i]);
        }
        break;
    case AP_DTYPE_NONE:
    case AP_STRING: assert(false && "elements are not numbers"); break;
    case AP_U4:
    case AP_I4:
    case AP_F4E2M1:
    case AP_F8E4M3FN:
    case AP_F8E4M3FNUZ:
    case AP_F8E5M2:
    case AP_F8E5M2FNUZ: load_small(t, from, count, out); break;
    }
}

void ap_tensor_to_f32(const ap_tensor *t, size_t from, size_t count, float *out) {
    assert(in_bounds(t, from, count));
    if (count == 0) return;
    switch (t->dtype) {
    case AP_F32:
        memcpy(out, (const unsigned char *)t->data + from * sizeof *out, count * sizeof *out);
        return;
    case AP_F16: LOAD_LOOP(uint16_t, ap_f16_to_f32); return;
    case AP_BF16: LOAD_LOOP(uint16_t, ap_bf16_to_f32); return;
    case AP_U8: LOAD_LOOP(uint8_t, AS_FLOAT); return;
    case AP_I8: LOAD_LOOP(int8_t, AS_FLOAT); return;
    // Straight to float: the way over double would round twice.
    case AP_U64: LOAD_LOOP(uint64_t, AS_FLOAT); return;
    case AP_I64: LOAD_LOOP(int64_t, AS_FLOAT); return;
    default: break;
    }
    double block[BLOCK];
    for (size_t done = 0; done < count;) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        ap_tensor_to_f64(t, from + done, n, block);
        for (size_t i = 0; i < n; i++) out[done + i] = (float)block[i];
        done += n;
    }
}

double ap_tensor_at(const ap_tensor *t, size_t index) {
    double v = 0;
    ap_tensor_to_f64(t, index, 1, &v);
    return v;
}

bool ap_int_range(ap_dtype t, int64_t *min, uint64_t *max) {
    size_t bits = ap_dtype_bits(t);
    switch (t) {
    case AP_BOOL: *min = 0, *max = 1; return true;
    case AP_U4:
    case AP_U8:
    case AP_U16:
    case AP_U32:
    case AP_U64: *min = 0, *max = UINT64_MAX >> (64 - bits); return true;
    case AP_I4:
    case AP_I8:
    case AP_I16:
    case AP_I32:
    case AP_I64: *max = UINT64_MAX >> (65 - bits), *min = -(int64_t)*max - 1; return true;
    default: return false;
    }
}

// Truncates toward zero and saturates; the result's low bits are the element in two's complement.
static uint64_t double_to_int(double v, int64_t min, uint64_t max) {
    if (isnan(v)) return 0;
    if (v <= (double)min) return (uint64_t)min;
    if (v >= (double)max) return max; // 2^63-1 and 2^64-1 round up as doubles: no value lies between
    return v < 0 ? (uint64_t)(int64_t)v : (uint64_t)v;
}

static void put_ints(ap_tensor *t, size_t from, size_t count, const double *in) {
    int64_t min = 0;
    uint64_t max = 0;
    bool known = ap_int_range(t->dtype, &min, &max);
    assert(known);
    (void)known;
    size_t bits = ap_dtype_bits(t->dtype), width = bits / 8;
    unsigned char *p = t->data;
    for (size_t i = 0; i < count; i++) {
        uint64_t v = t->dtype == AP_BOOL ? in[i] != 0 : double_to_int(in[i], min, max);
        if (bits == 4)
            put_nibble(t, from + i, (unsigned)(v & 15U));
        else
            memcpy(p + (from + i) * width, &v, width); // little-endian: the low bytes come first
    }
}

static void put_complex(ap_tensor *t, size_t from, size_t count, const double *in) {
    for (size_t i = 0; i < count; i++) {
        float single[2] = {(float)in[i], 0};
        double both[2] = {in[i], 0};
        unsigned char *p = t->data;
        if (t->dtype == AP_C64)
            memcpy(p + (from + i) * sizeof single, single, sizeof single);
        else
            memcpy(p + (from + i) * sizeof both, both, sizeof both);
    }
}

void ap_tensor_put_f64(ap_tensor *t, size_t from, size_t count, const double *in) {
    assert(in_bounds(t, from, count));
    const ap_float_format *f = ap_float_format_of(t->dtype);
    unsigned char *bytes = t->data;
    if (t->dtype == AP_F64) {
        if (count > 0) memcpy(bytes + from * sizeof *in, in, count * sizeof *in);
    } else if (t->dtype == AP_F32) {
        STORE_LOOP(float, AS_FLOAT);
    } else if (t->dtype == AP_C64 || t->dtype == AP_C128) {
        put_complex(t, from, count, in);
    } else if (!f) {
        put_ints(t, from, count, in);
    } else {
        for (size_t i = 0; i < count; i++) {
            unsigned code = ap_float_encode(f, in[i]);
            uint16_t wide = (uint16_t)code;
            if (t->dtype == AP_F4E2M1)
                put_nibble(t, from + i, code);
            else if (t->dtype == AP_F16 || t->dtype == AP_BF16)
                memcpy(bytes + (from + i) * sizeof wide, &wide, sizeof wide);
            else
                bytes[from + i] = (unsigned char)code;
        }
    }
}

void ap_tensor_put_f32(ap_tensor *t, size_t from, size_t count, const float *in) {
    assert(in_bounds(t, from, count));
    switch (t->dtype) {
    case AP_F32: STORE_LOOP(float, AS_FLOAT); return;
    case AP_F16: STORE_LOOP(uint16_t, ap_f32_to_f16); return;
    case AP_BF16: STORE_LOOP(uint16_t, ap_f32_to_bf16); return;
    default: break;
    }
    double block[BLOCK];
    for (size_t done = 0; done < count;) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        for (size_t i = 0; i < n; i++) block[i] = (double)in[done + i];
        ap_tensor_put_f64(t, from + done, n, block);
        done += n;
    }
}
