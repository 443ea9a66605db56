// SPDX-License-Identifier: Apache-2.0
// Floats of 16, 8 and 4 bits. Sources: IEEE 754-2019 (binary16); "bfloat16" as in ONNX and TensorFlow; the
// 8-bit types as in the ONNX technical notes "float8" (arXiv 2209.05433 and 2206.02915); f4e2m1 as in the OCP
// Microscaling Formats specification 1.0.
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

const ap_float_format *ap_float_format_of(ap_dtype t) {
    static const ap_float_format f16 = {5, 10, 15, AP_FLOAT_IEEE, 65504.0, false};
    static const ap_float_format bf16 = {8, 7, 127, AP_FLOAT_IEEE, 0x1.FEp127, false};
    static const ap_float_format e4m3fn = {4, 3, 7, AP_FLOAT_FN, 448.0, true};
    static const ap_float_format e4m3fnuz = {4, 3, 8, AP_FLOAT_FNUZ, 240.0, true};
    static const ap_float_format e5m2 = {5, 2, 15, AP_FLOAT_IEEE, 57344.0, true};
    static const ap_float_format e5m2fnuz = {5, 2, 16, AP_FLOAT_FNUZ, 57344.0, true};
    static const ap_float_format e2m1 = {2, 1, 1, AP_FLOAT_NONE, 6.0, true};
    switch (t) {
    case AP_F16: return &f16;
    case AP_BF16: return &bf16;
    case AP_F8E4M3FN: return &e4m3fn;
    case AP_F8E4M3FNUZ: return &e4m3fnuz;
    case AP_F8E5M2: return &e5m2;
    case AP_F8E5M2FNUZ: return &e5m2fnuz;
    case AP_F4E2M1: return &e2m1;
    default: return NULL;
    }
}

double ap_float_decode(const ap_float_format *f, unsigned code) {
    unsigned sign = (code >> (f->exp_bits + f->man_bits)) & 1U;
    int exp_ones = (1 << f->exp_bits) - 1, man_ones = (1 << f->man_bits) - 1;
    int e = (int)(code >> f->man_bits) & exp_ones;
    int m = (int)code & man_ones;
    if (f->kind == AP_FLOAT_IEEE && e == exp_ones) {
        if (m != 0) return (double)NAN;
        return sign ? -(double)INFINITY : (double)INFINITY;
    }
    if (f->kind == AP_FLOAT_FN && e == exp_ones && m == man_ones) return (double)NAN;
    if (f->kind == AP_FLOAT_FNUZ && sign && e == 0 && m == 0) return (double)NAN;
    // Subnormals have no hidden bit and the exponent of the smallest normal.
    double v =
        e == 0 ? ldexp(m, 1 - f->bias - f->man_bits) : ldexp(m + man_ones + 1, e - f->bias - f->man_bits);
    return sign ? -v : v;
}

static unsigned encode_nan(const ap_float_format *f, unsigned sign_bit) {
    unsigned exp_ones = ((1U << f->exp_bits) - 1U) << f->man_bits;
    switch (f->kind) {
    case AP_FLOAT_IEEE: return sign_bit | exp_ones | (1U << (f->man_bits - 1));
    case AP_FLOAT_FN: return sign_bit | exp_ones | ((1U << f->man_bits) - 1U);
    case AP_FLOAT_FNUZ: return 1U << (f->exp_bits + f->man_bits);
    case AP_FLOAT_NONE: break;
    }
    return 1U << (f->exp_bits +
                  f->man_bits); // f4e2m1 has no NaN; ONNX leaves it open, its reference gives -0
}

unsigned ap_float_encode(const ap_float_format *f, double v) {
    unsigned sign_bit = signbit(v) ? 1U << (f->exp_bits + f->man_bits) : 0U;
    if (isnan(v)) return encode_nan(f, sign_bit);
    double a = fabs(v), steps = a;
    int e = 1 - f->bias; // below the smallest normal the step stays that of the smallest normal
    if (!isinf(a)) {
        if (a > 0 && ilogb(a) > e) e = ilogb(a);
        // One step of the format near `a` is 2^(e - man_bits). Counted in steps, rint rounds to nearest even
        // in the default rounding mode; the scaling is exact.
        steps = rint(ldexp(a, f->man_bits - e));
    }
    if (ldexp(steps, e - f->man_bits) > f->max) {
        if (!f->saturate) return sign_bit | (((1U << f->exp_bits) - 1U) << f->man_bits);
        e = ilogb(f->max);
        steps = ldexp(f->max, f->man_bits - e);
    }
    if (steps == 0) return f->kind == AP_FLOAT_FNUZ ? 0U : sign_bit;
    // steps has at most man_bits + 1 bits, or exactly 2^(man_bits+1) after rounding up, where the carry runs
    // into the exponent field by itself. A normal number loses its hidden bit, hence the -1 in the exponent.
    unsigned n = (unsigned)steps;
    unsigned field = (unsigned)(e + f->bias - 1) << f->man_bits;
    return sign_bit | (field + n);
}

static uint32_t bits_of(float v) {
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static float of_bits(uint32_t u) {
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

uint16_t ap_f32_to_f16(float v) {
    uint32_t u = bits_of(v), sign = (u >> 16) & 0x8000U, a = u & 0x7FFFFFFFU;
    if (a > 0x7F800000U) return (uint16_t)(sign | 0x7E00U | ((a >> 13) & 0x1FFU)); // NaN: quiet, payload kept
    if (a >= 0x477FF000U) return (uint16_t)(sign | 0x7C00U); // 65520 and up round to inf
    if (a < 0x38800000U) {
        // Below 2^-14. Adding 0.5 puts the last f16 bit (2^-24) on the last f32 bit: the adder rounds to
        // even.
        float r = of_bits(a) + 0.5F;
        return (uint16_t)(sign | (bits_of(r) - bits_of(0.5F)));
    }
    uint32_t odd = (a >> 13) & 1U;
    return (uint16_t)(sign | ((a - 0x38000000U + 0xFFFU + odd) >> 13)); // rebias by 127-15, round to even
}

float ap_f16_to_f32(uint16_t v) {
    uint32_t sign = (uint32_t)(v & 0x8000U) << 16, a = (uint32_t)(v & 0x7FFFU);
    if (a >= 0x7C00U) return of_bits(sign | 0x7F800000U | ((a & 0x3FFU) << 13));
    if (a >= 0x0400U) return of_bits(sign | ((a << 13) + 0x38000000U));
    return of_bits(sign | bits_of((float)a * 0x1p-24F)); // subnormal: a steps of 2^-24, exact in f32
}

uint16_t ap_f32_to_bf16(float v) {
    uint32_t u = bits_of(v);
    if ((u & 0x7FFFFFFFU) > 0x7F800000U) return (uint16_t)((u >> 16) | 0x40U);
    return (uint16_t)((u + 0x7FFFU + ((u >> 16) & 1U)) >> 16);
}

float ap_bf16_to_f32(uint16_t v) {
    return of_bits((uint32_t)v << 16);
}
