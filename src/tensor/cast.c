// SPDX-License-Identifier: Apache-2.0
// Whole-tensor operations: cast, search for NaN and Inf, random filling.
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 512 };

// Wide enough for both int64 and uint64, so int to int casts never go through double (which holds 53 bits).
__extension__ typedef __int128 wide_int;

static wide_int int_at(const ap_tensor *t, size_t i) {
    size_t bits = ap_dtype_bits(t->dtype), width = bits / 8;
    if (bits == 4) return (wide_int)ap_tensor_at(t, i);
    uint64_t v = 0;
    memcpy(&v, (const unsigned char *)t->data + i * width, width);
    if (t->dtype == AP_BOOL) return v != 0;
    int64_t min;
    uint64_t max;
    if (!ap_int_range(t->dtype, &min, &max)) return 0;
    return v > max ? (wide_int)v - (wide_int)max - (wide_int)max - 2 : (wide_int)v; // sign of the narrow type
}

// Takes the low bits; `v` is one the type has.
static void int_put(ap_tensor *t, size_t i, wide_int v) {
    size_t bits = ap_dtype_bits(t->dtype);
    uint64_t low = (uint64_t)v;
    double small = (double)v;
    if (bits == 4)
        ap_tensor_put_f64(t, i, 1, &small);
    else
        memcpy((unsigned char *)t->data + i * (bits / 8), &low, bits / 8);
}

static void cast_ints(const ap_tensor *t, ap_tensor *out) {
    int64_t min = 0;
    uint64_t max = 0;
    (void)ap_int_range(out->dtype, &min, &max);
    size_t n = ap_tensor_count(t);
    for (size_t i = 0; i < n; i++) {
        wide_int v = int_at(t, i);
        if (out->dtype == AP_BOOL) v = v != 0;
        if (v < min) v = min;
        if (v > (wide_int)max) v = (wide_int)max;
        int_put(out, i, v);
    }
}

static bool is_whole(ap_dtype t) {
    return t == AP_BOOL || ap_dtype_is_int(t);
}

ap_err ap_tensor_cast(const ap_tensor *t, ap_dtype to, ap_tensor *out) {
    if (t->dtype == to) return ap_tensor_clone(t, out);
    bool from_ok = is_whole(t->dtype) || ap_dtype_is_float(t->dtype);
    if (!from_ok || (!is_whole(to) && !ap_dtype_is_float(to)))
        return ap_err_new(AP_ERR_INPUT_DTYPE, "cannot cast %s to %s", ap_dtype_name(t->dtype),
                          ap_dtype_name(to));
    ap_tensor made;
    ap_err err = ap_tensor_alloc(to, t->dims, t->rank, &made);
    if (err) return err;
    size_t n = ap_tensor_count(t);
    // Values that float holds exactly, and everything that becomes float, skip the slower way over double.
    // Not so F64 to F16: two roundings could differ from one.
    bool single = to == AP_F32 || t->dtype == AP_F32 || t->dtype == AP_F16 || t->dtype == AP_BF16;
    if (is_whole(t->dtype) && is_whole(to)) {
        cast_ints(t, &made);
    } else if (single) {
        float block[BLOCK];
        for (size_t i = 0; i < n; i += BLOCK) {
            size_t k = n - i < BLOCK ? n - i : BLOCK;
            ap_tensor_to_f32(t, i, k, block);
            ap_tensor_put_f32(&made, i, k, block);
        }
    } else {
        double block[BLOCK];
        for (size_t i = 0; i < n; i += BLOCK) {
            size_t k = n - i < BLOCK ? n - i : BLOCK;
            ap_tensor_to_f64(t, i, k, block);
            ap_tensor_put_f64(&made, i, k, block);
        }
    }
    *out = made;
    return NULL;
}

// Complex numbers are pairs of floats: either part can be the bad one.
static ap_tensor as_reals(const ap_tensor *t, size_t *per_element) {
    *per_element = 1;
    ap_tensor view = *t;
    if (t->dtype != AP_C64 && t->dtype != AP_C128) return view;
    *per_element = 2;
    view.dtype = t->dtype == AP_C64 ? AP_F32 : AP_F64;
    view.rank = 1;
    view.dims[0] = (int64_t)(ap_tensor_count(t) * 2);
    return view;
}

int64_t ap_tensor_find_nonfinite(const ap_tensor *t) {
    size_t per_element;
    ap_tensor view = as_reals(t, &per_element);
    if (!ap_dtype_is_float(view.dtype)) return -1;
    size_t n = ap_tensor_count(&view);
    double block[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t k = n - i < BLOCK ? n - i : BLOCK;
        ap_tensor_to_f64(&view, i, k, block);
        bool bad = false; // no early way out inside the loop, so that it stays simple for the compiler
        for (size_t j = 0; j < k; j++) bad |= !isfinite(block[j]);
        for (size_t j = 0; bad && j < k; j++)
            if (!isfinite(block[j])) return (int64_t)((i + j) / per_element);
    }
    return -1;
}

// splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

// The next representable value below element `i`, for a value that was rounded up to the open end of the
// range.
static double step_below(ap_dtype t, double v) {
    if (t == AP_F64) return nextafter(v, -(double)INFINITY);
    if (t == AP_F32) return (double)nextafterf((float)v, -INFINITY);
    const ap_float_format *f = ap_float_format_of(t);
    unsigned code = ap_float_encode(f, v), sign = 1U << (f->exp_bits + f->man_bits);
    if ((code & (sign - 1U)) == 0)
        code = sign | 1U;
    else
        code = code & sign ? code + 1U : code - 1U;
    return ap_float_decode(f, code);
}

static void random_floats(ap_tensor *t, uint64_t seed, double lo, double hi) {
    size_t n = ap_tensor_count(t);
    double span = hi - lo;
    for (size_t i = 0; i < n; i++) {
        double unit = (double)(next_random(&seed) >> 11) * 0x1p-53; // [0, 1)
        // Kept out of one expression: a fused multiply-add on some machines would give other bytes.
        volatile double scaled = span * unit;
        double v = lo + scaled;
        ap_tensor_put_f64(t, i, 1, &v);
        double stored = ap_tensor_at(t, i);
        if (stored < hi) continue;
        double below = step_below(t->dtype, stored);
        if (below < lo) below = lo; // no value of this type in the range: the nearest to lo
        ap_tensor_put_f64(t, i, 1, &below);
    }
}

// ceil(v), held within ±2^65, which is beyond every integer type.
static wide_int whole_above(double v) {
    double c = fmin(0x1p65, fmax(-0x1p65, ceil(v)));
    return (wide_int)c;
}

static ap_err random_ints(ap_tensor *t, uint64_t seed, double lo, double hi) {
    int64_t min = 0;
    uint64_t max = 0;
    (void)ap_int_range(t->dtype, &min, &max);
    // Whole numbers in [lo, hi) that the type has.
    wide_int first = whole_above(lo), last = whole_above(hi) - 1;
    if (first < min) first = min;
    if (last > (wide_int)max) last = (wide_int)max;
    if (first > last)
        return ap_err_new(AP_ERR_USAGE, "no %s lies in [%.17g, %.17g)", ap_dtype_name(t->dtype), lo, hi);
    __extension__ unsigned __int128 range = (unsigned __int128)(last - first) + 1U;
    size_t n = ap_tensor_count(t);
    for (size_t i = 0; i < n; i++) {
        // Multiply-shift (Lemire 2019) without rejection: the bias is below range / 2^64.
        uint64_t r = next_random(&seed);
        __extension__ unsigned __int128 product =
            range >> 64 ? (unsigned __int128)r << 64 : (unsigned __int128)r * (uint64_t)range;
        wide_int v = first + (wide_int)(product >> 64);
        int_put(t, i, v);
    }
    return NULL;
}

ap_err ap_tensor_random(ap_tensor *t, uint64_t seed, double lo, double hi) {
    if (t->hold == AP_HOLD_MAP && !t->map.writable)
        return ap_err_new(AP_ERR_INTERNAL, "random fill of a tensor mapped read-only");
    if (t->dtype == AP_BOOL) {
        unsigned char *p = t->data;
        for (size_t i = 0, n = ap_tensor_count(t); i < n; i++)
            p[i] = (unsigned char)(next_random(&seed) >> 63);
        return NULL;
    }
    if (!ap_dtype_is_int(t->dtype) && !ap_dtype_is_float(t->dtype))
        return ap_err_new(AP_ERR_INPUT_DTYPE, "no random values of type %s", ap_dtype_name(t->dtype));
    if (!isfinite(lo) || !isfinite(hi) || !isfinite(hi - lo) || lo >= hi)
        return ap_err_new(AP_ERR_USAGE, "random range [%g, %g) is empty or not finite", lo, hi);
    if (ap_dtype_is_int(t->dtype)) return random_ints(t, seed, lo, hi);
    random_floats(t, seed, lo, hi);
    return NULL;
}
