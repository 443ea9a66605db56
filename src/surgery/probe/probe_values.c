// SPDX-License-Identifier: Apache-2.0
// Numbers for probes: seeded, representable in float16, in the range an op is made for.
#include "base/rand.h"
#include "surgery/probe/probe_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_words[] = {"normal", "uniform", "ints", "bool", "distinct",
                                         "lines",  "count",   "fill", "list"};

// ---- the JSON form

ap_err ap_probe_values_from_json(const json_t *j, ap_arena *arena, ap_probe_values *out) {
    const char *word = json_string_value(json_is_array(j) ? json_array_get(j, 0) : j);
    size_t n = json_is_array(j) ? json_array_size(j) : 1, k = 0,
           kinds = sizeof kind_words / sizeof *kind_words;
    while (word && k < kinds && strcmp(word, kind_words[k]) != 0) k++;
    if (!word || k == kinds)
        return ap_err_new(AP_ERR_CORRUPT, "the table of probe variants: no values '%s'", word ? word : "?");
    double *list = ap_arena_calloc(arena, n + 1, sizeof *list);
    for (size_t i = 1; i < n; i++) list[i - 1] = ap_json_to_real(json_array_get(j, i));
    ap_probe_values v = {.kind = (ap_probe_values_kind)k, .a = list[0], .b = n > 2 ? list[1] : 0};
    if (v.kind == AP_PROBE_VALUES_NORMAL && n < 2) v.a = 1;
    if (v.kind == AP_PROBE_VALUES_LINES) v.axis = n > 3 && list[2] >= 0 ? (size_t)list[2] : 0;
    if (v.kind == AP_PROBE_VALUES_LIST) {
        v.list = list;
        v.count = n - 1;
    }
    *out = v;
    return NULL;
}

json_t *ap_probe_values_json(const ap_probe_values *v) {
    json_t *j = json_array();
    json_array_append_new(j, json_string(kind_words[v->kind]));
    if (v->kind !=
        AP_PROBE_VALUES_LIST) { // a list is nothing but its elements: it has to read back as written
        json_array_append_new(j, ap_json_real(v->a));
        json_array_append_new(j, ap_json_real(v->b));
    }
    if (v->kind == AP_PROBE_VALUES_LINES) json_array_append_new(j, json_integer((json_int_t)v->axis));
    for (size_t i = 0; i < v->count; i++) json_array_append_new(j, ap_json_real(v->list[i]));
    return j;
}

// ---- making them

static double unit(uint64_t seed, uint64_t i) { // [0, 1)
    return (double)(ap_mix64(seed ^ ap_mix64(i + 1)) >> 11) * 0x1p-53;
}

static double normal(uint64_t seed, uint64_t i) {
    double u = unit(seed, 2 * i) + 0x1p-54;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * unit(seed, 2 * i + 1));
}

static void permute(double *x, size_t n, uint64_t seed) {
    // Up to 2048 whole steps are exact in float16; beyond that neighbours would become equal.
    double step = n <= 4096 ? 0.125 : 0x1p-24;
    for (size_t i = 0; i < n; i++) x[i] = ((double)i - (double)(n / 2)) * step;
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)(unit(seed, i) * (double)i);
        double t = x[i - 1];
        x[i - 1] = x[j];
        x[j] = t;
    }
}

static double one(const ap_probe_values *v, uint64_t seed, size_t i) {
    switch (v->kind) {
    case AP_PROBE_VALUES_NORMAL: return v->a * normal(seed, i);
    case AP_PROBE_VALUES_UNIFORM: return v->a + (v->b - v->a) * unit(seed, i);
    case AP_PROBE_VALUES_INTS: return floor(v->a + (v->b - v->a) * unit(seed, i));
    case AP_PROBE_VALUES_BOOL: return unit(seed, i) < 0.5 ? 0 : 1;
    case AP_PROBE_VALUES_COUNT: return v->a + (double)i;
    case AP_PROBE_VALUES_FILL: return v->a;
    case AP_PROBE_VALUES_LIST: return v->count ? v->list[i % v->count] : 0;
    case AP_PROBE_VALUES_LINES:
    case AP_PROBE_VALUES_DISTINCT: break;
    }
    return 0;
}

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

// On every line along the axis start + step·i modulo the size of the range: they differ when the step has no
// factor in common with it.
static void lines(const ap_probe_values *v, const ap_tensor *t, uint64_t seed, double *x, size_t n) {
    int64_t range = (int64_t)(v->b - v->a);
    size_t inner = 1, len = v->axis < t->rank ? (size_t)t->dims[v->axis] : n;
    for (size_t i = v->axis + 1; i < t->rank; i++) inner *= (size_t)t->dims[i];
    for (size_t i = 0; i < n && range > 0; i++) {
        size_t at = i / inner % len, line = i / (inner * len) * inner + i % inner;
        int64_t start = (int64_t)(unit(seed, 2 * line) * (double)range);
        int64_t step = 1 + (int64_t)(unit(seed, 2 * line + 1) * (double)range);
        while (common_divisor(step, range) != 1) step++;
        x[i] = v->a + (double)((start + step * (int64_t)at) % range);
    }
}

static void add_diagonal(double *x, const ap_tensor *t, size_t n, double by) {
    if (by == 0 || t->rank < 2) return;
    size_t cols = (size_t)t->dims[t->rank - 1], rows = (size_t)t->dims[t->rank - 2];
    for (size_t i = 0; cols && rows && i < n; i++)
        if (i % cols == i / cols % rows) x[i] += by;
}

static double wrap(double v, ap_dtype t) {
    if (t == AP_U8) return v - 256 * floor(v / 256);
    if (t == AP_I8) return v + 128 - 256 * floor((v + 128) / 256) - 128;
    return v;
}

ap_err ap_probe_values_fill(const ap_probe_values *v, uint64_t seed, ap_tensor *t) {
    size_t n = ap_tensor_count(t);
    double *x = ap_alloc(n * sizeof *x + 1);
    bool random = v->kind == AP_PROBE_VALUES_NORMAL || v->kind == AP_PROBE_VALUES_UNIFORM ||
                  v->kind == AP_PROBE_VALUES_DISTINCT;
    ap_tensor wide = {0}, cast = {0};
    ap_err err = NULL;
    if (v->kind == AP_PROBE_VALUES_DISTINCT) permute(x, n, seed);
    if (v->kind == AP_PROBE_VALUES_LINES) lines(v, t, seed, x, n);
    for (size_t i = 0; v->kind != AP_PROBE_VALUES_DISTINCT && v->kind != AP_PROBE_VALUES_LINES && i < n; i++)
        x[i] = one(v, seed, i);
    if (v->kind == AP_PROBE_VALUES_NORMAL) add_diagonal(x, t, n, v->b);
    for (size_t i = 0; v->kind == AP_PROBE_VALUES_COUNT && i < n; i++) x[i] = wrap(x[i], t->dtype);
    for (size_t i = 0; random && ap_dtype_is_float(t->dtype) && i < n; i++)
        x[i] = (double)ap_f16_to_f32(ap_f32_to_f16((float)x[i]));
    AP_TRY(ap_tensor_view(AP_F64, t->dims, t->rank, n ? x : NULL, n * sizeof *x, &wide));
    AP_TRY(ap_tensor_cast(&wide, t->dtype, &cast));
    if (t->bytes) memcpy(t->data, cast.data, t->bytes);
done:
    ap_tensor_free(&cast);
    free(x);
    return err;
}

ap_err ap_probe_values_make(const ap_probe_values *v, uint64_t seed, const ap_value_type *type,
                            ap_tensor *out) {
    ap_tensor t = {0};
    ap_err err = ap_tensor_alloc(type->dtype, type->dims, type->rank, &t);
    if (!err) err = ap_probe_values_fill(v, seed, &t);
    if (err)
        ap_tensor_free(&t);
    else
        *out = t;
    return err;
}

// ---- what suits an op

static int64_t attr_int(const Onnx__NodeProto *n, const char *name, int64_t fallback) {
    for (size_t i = 0; i < n->n_attribute; i++)
        if (strcmp(n->attribute[i]->name, name) == 0) return n->attribute[i]->i;
    return fallback;
}

static int64_t dim_at(const ap_value_type *t, int64_t axis) {
    if (axis < 0) axis += (int64_t)t->rank;
    return axis >= 0 && axis < (int64_t)t->rank ? t->dims[axis] : 1;
}

// X(op, input, kind, a, b): floats whose whole range is not the domain of the op.
static const struct {
    const char *op;
    size_t input;
    ap_probe_values_kind kind;
    double a, b;
} ranges[] = {
    {"Log", 0, AP_PROBE_VALUES_UNIFORM, 0.1, 4},
    {"Sqrt", 0, AP_PROBE_VALUES_UNIFORM, 0, 4},
    {"Reciprocal", 0, AP_PROBE_VALUES_UNIFORM, 0.2, 4},
    {"Asin", 0, AP_PROBE_VALUES_UNIFORM, -0.9, 0.9},
    {"Acos", 0, AP_PROBE_VALUES_UNIFORM, -0.9, 0.9},
    {"Atanh", 0, AP_PROBE_VALUES_UNIFORM, -0.9, 0.9},
    {"Acosh", 0, AP_PROBE_VALUES_UNIFORM, 1.1, 4},
    {"Tan", 0, AP_PROBE_VALUES_UNIFORM, -1, 1},
    {"Div", 1, AP_PROBE_VALUES_UNIFORM, 0.2, 4},
    {"Mod", 1, AP_PROBE_VALUES_UNIFORM, 1, 4},
    {"Pow", 0, AP_PROBE_VALUES_UNIFORM, 0.1, 2},
    {"ReduceLogSum", 0, AP_PROBE_VALUES_UNIFORM, 0.1, 2},
    {"GridSample", 1, AP_PROBE_VALUES_UNIFORM, -1, 1},
    {"TopK", 0, AP_PROBE_VALUES_DISTINCT, 0, 0},
    {"ArgMax", 0, AP_PROBE_VALUES_DISTINCT, 0, 0},
    {"ArgMin", 0, AP_PROBE_VALUES_DISTINCT, 0, 0},
    {"BatchNormalization", 4, AP_PROBE_VALUES_UNIFORM, 0.1, 2},
};

// X(op, input with indices, input indexed, attribute of the axis, its default)
static const struct {
    const char *op;
    size_t input, of;
    int64_t axis;
} indexed[] = {
    {"Gather", 1, 0, 0},   {"GatherElements", 1, 0, 0}, {"ScatterElements", 1, 0, 0},
    {"Scatter", 1, 0, 0},  {"GatherND", 1, 0, 0},       {"ScatterND", 1, 0, 0},
    {"RoiAlign", 2, 0, 0}, {"TensorScatter", 2, 0, -2},
};

// The smallest axis an index of GatherND or ScatterND may meet.
static int64_t index_limit(const Onnx__NodeProto *n, size_t row, const ap_value_type *types, size_t count) {
    const ap_value_type *of = &types[indexed[row].of];
    if (indexed[row].of >= count || of->dtype == AP_DTYPE_NONE) return 1;
    if (!strstr(indexed[row].op, "ND")) return dim_at(of, attr_int(n, "axis", indexed[row].axis));
    int64_t least = of->rank ? of->dims[0] : 1;
    for (size_t i = 0; i < of->rank; i++) least = of->dims[i] < least ? of->dims[i] : least;
    return least;
}

static ap_probe_values for_ints(const Onnx__NodeProto *n, size_t index, const ap_value_type *types,
                                size_t count) {
    ap_dtype t = types[index].dtype;
    for (size_t i = 0; i < sizeof indexed / sizeof *indexed; i++)
        if (strcmp(indexed[i].op, n->op_type) == 0 && indexed[i].input == index)
            return (ap_probe_values){.kind = AP_PROBE_VALUES_INTS,
                                     .b = (double)index_limit(n, i, types, count)};
    if (index == 1 && (strcmp(n->op_type, "Div") == 0 || strcmp(n->op_type, "Mod") == 0))
        return (ap_probe_values){.kind = AP_PROBE_VALUES_INTS, .a = 1, .b = 8};
    if (t == AP_U8 || t == AP_I8) // every value there is
        return (ap_probe_values){.kind = AP_PROBE_VALUES_COUNT, .a = t == AP_I8 ? -128 : 0};
    bool is_signed = t == AP_I16 || t == AP_I32 || t == AP_I64;
    return (ap_probe_values){.kind = AP_PROBE_VALUES_INTS, .a = is_signed ? -16 : 0, .b = 17};
}

ap_probe_values ap_probe_values_for(const Onnx__NodeProto *n, size_t index, const ap_value_type *types,
                                    size_t count) {
    ap_dtype t = types[index].dtype;
    if (t == AP_BOOL) return (ap_probe_values){.kind = AP_PROBE_VALUES_BOOL};
    if (!ap_dtype_is_float(t)) return for_ints(n, index, types, count);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (strcmp(ranges[i].op, n->op_type) == 0 && ranges[i].input == index)
            return (ap_probe_values){.kind = ranges[i].kind, .a = ranges[i].a, .b = ranges[i].b};
    return (ap_probe_values){.kind = AP_PROBE_VALUES_NORMAL, .a = 1};
}
