// SPDX-License-Identifier: Apache-2.0
// Values of rules: making and reading them, and the built-ins that look at values of the graph.
#include "surgery/match_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t MOST_BYTES = (size_t)1 << 28; // of one computed constant

// ---- making

ap_val val_list(eval *e, const ap_val *items, size_t count) {
    ap_val *copy = ap_arena_calloc(&e->m->arena, count, sizeof *copy);
    if (count) memcpy(copy, items, count * sizeof *copy);
    return (ap_val){.kind = AP_VAL_LIST, .list = {copy, count}};
}

ap_val val_ints(eval *e, const int64_t *items, size_t count) {
    ap_val *copy = ap_arena_calloc(&e->m->arena, count, sizeof *copy);
    for (size_t i = 0; i < count; i++) copy[i] = val_int(items[i]);
    return (ap_val){.kind = AP_VAL_LIST, .list = {copy, count}};
}

ap_val val_tensor(eval *e, ap_dtype t, const int64_t *dims, size_t rank, ap_tensor **out) {
    size_t bytes = 0, count = 0;
    ap_err err = ap_shape_bytes(t, dims, rank, &bytes);
    if (!err) err = ap_shape_count(dims, rank, &count);
    bool good = !err && bytes <= MOST_BYTES && ap_dtype_bits(t) && spend(e, count);
    ap_err_free(err);
    if (!good) return unknown(e, "a constant that is too large");
    ap_tensor *made = ap_arena_calloc(&e->m->arena, 1, sizeof *made);
    *made = (ap_tensor){.dtype = t, .rank = rank, .bytes = bytes};
    for (size_t i = 0; i < rank; i++) made->dims[i] = dims[i];
    made->data = bytes ? ap_arena_calloc(&e->m->arena, bytes, 1) : NULL;
    *out = made;
    return (ap_val){.kind = AP_VAL_TENSOR, .tensor = made};
}

ap_val val_element(const ap_tensor *t, size_t i) {
    if (t->dtype == AP_I64) {
        int64_t v;
        memcpy(&v, (const char *)t->data + 8 * i, 8);
        return val_int(v);
    }
    double x = ap_tensor_at(t, i);
    return ap_dtype_is_int(t->dtype) || t->dtype == AP_BOOL ? val_int((int64_t)x) : val_real(x);
}

static ap_val listed(ap_arena *a, size_t count, ap_val **items) {
    *items = ap_arena_calloc(a, count, sizeof **items);
    return (ap_val){.kind = AP_VAL_LIST, .list = {*items, count}};
}

ap_val val_of_attr(ap_arena *a, ap_model *m, const Onnx__AttributeProto *at) {
    ap_val *items, v;
    switch (at->type) {
    case ONNX__ATTRIBUTE_PROTO__KIND__INT: return val_int(at->i);
    case ONNX__ATTRIBUTE_PROTO__KIND__FLOAT: return val_real((double)at->f);
    case ONNX__ATTRIBUTE_PROTO__KIND__STRING:
        return (ap_val){.kind = AP_VAL_TEXT,
                        .s = ap_arena_strndup(a, at->s.data ? (const char *)at->s.data : "", at->s.len)};
    case ONNX__ATTRIBUTE_PROTO__KIND__INTS:
        v = listed(a, at->n_ints, &items);
        for (size_t i = 0; i < at->n_ints; i++) items[i] = val_int(at->ints[i]);
        return v;
    case ONNX__ATTRIBUTE_PROTO__KIND__FLOATS:
        v = listed(a, at->n_floats, &items);
        for (size_t i = 0; i < at->n_floats; i++) items[i] = val_real((double)at->floats[i]);
        return v;
    case ONNX__ATTRIBUTE_PROTO__KIND__TENSOR: {
        ap_tensor *t = ap_arena_calloc(a, 1, sizeof *t);
        ap_err err = at->t ? ap_model_tensor(m, at->t, t) : ap_err_new(AP_ERR_MODEL_INVALID, "no tensor");
        bool good = !err;
        ap_err_free(err);
        return good ? (ap_val){.kind = AP_VAL_TENSOR, .tensor = t} : (ap_val){.kind = AP_VAL_UNKNOWN};
    }
    default: return (ap_val){.kind = AP_VAL_UNKNOWN};
    }
}

static ap_val list_of(ap_arena *a, size_t count, int64_t from, int64_t step) {
    ap_val *items, v = listed(a, count, &items);
    for (size_t i = 0; i < count; i++) items[i] = val_int(from + (int64_t)i * step);
    return v;
}

// "[0,2,3]"
static ap_val read_ints(ap_arena *a, const char *text) {
    ap_val items[16];
    size_t count = 0;
    for (char *p = (char *)(uintptr_t)text + 1; count < 16 && *p && *p != ']';) {
        items[count++] = val_int(strtoll(p, &p, 10));
        if (*p == ',') p++;
    }
    ap_val *copy, v = listed(a, count, &copy);
    memcpy(copy, items, count * sizeof *copy);
    return v;
}

ap_val val_of_default(ap_arena *a, const ap_op_attr *at, size_t rank, bool rank_known) {
    const char *text = at->fallback;
    if (!text) return (ap_val){.kind = AP_VAL_ABSENT};
    size_t spatial = rank > 2 ? rank - 2 : 0;
    bool by_rank = at->kind == 'I' && *text != '[' && *text != 'a'; // a text may be "zeros" too
    if (!strcmp(text, "any") || (by_rank && !rank_known)) return (ap_val){.kind = AP_VAL_UNKNOWN};
    if (by_rank && !strcmp(text, "ones")) return list_of(a, spatial, 1, 0);
    if (by_rank && !strcmp(text, "zeros"))
        return list_of(a, strcmp(at->name, "pads") ? spatial : 2 * spatial, 0, 0);
    if (by_rank) return list_of(a, rank, (int64_t)rank - 1, -1);
    switch (at->kind) {
    case 'i': return val_int(strtoll(text, NULL, 10));
    case 'f': return val_real((double)strtof(text, NULL));
    case 'I': return read_ints(a, text);
    default: return (ap_val){.kind = AP_VAL_TEXT, .s = text};
    }
}

// ---- reading

bool val_number(const ap_val *v, double *out) {
    switch (v->kind) {
    case AP_VAL_INT: *out = (double)v->i; return true;
    case AP_VAL_REAL: *out = v->f; return true;
    case AP_VAL_BOOL: *out = v->b; return true;
    default: return false;
    }
}

bool val_constant(eval *e, const ap_val *v, ap_tensor *out) {
    if (v->kind == AP_VAL_TENSOR) {
        *out = *v->tensor;
        return true;
    }
    return v->kind == AP_VAL_VALUE && ap_value_constant(e->m->env.model, v->value, out);
}

bool val_ints_of(eval *e, const ap_val *v, int64_t *out, size_t most, size_t *count) {
    ap_tensor t;
    bool list = v->kind == AP_VAL_LIST;
    if (!list && !val_constant(e, v, &t)) return false;
    *count = list ? v->list.count : ap_tensor_count(&t);
    if (*count > most) return false;
    for (size_t i = 0; i < *count; i++) {
        ap_val x = list ? v->list.items[i] : val_element(&t, i);
        if (x.kind != AP_VAL_INT) return false;
        out[i] = x.i;
    }
    return true;
}

ap_dtype match_compute(const ap_match *m) {
    return m->env.compute ? m->env.compute : AP_F32;
}

bool val_type(const ap_match *m, const ap_val *v, ap_value_type *out) {
    if (v->kind == AP_VAL_VALUE) return ap_type_of(&m->env.types, v->value, out);
    if (v->kind != AP_VAL_TENSOR) return false;
    *out = (ap_value_type){.dtype = v->tensor->dtype, .rank = v->tensor->rank};
    memcpy(out->dims, v->tensor->dims, sizeof out->dims);
    return true;
}

bool val_equal(const ap_val *a, const ap_val *b, bool *known) {
    double x, y;
    *known = true;
    if (a->kind == AP_VAL_LIST && b->kind == AP_VAL_LIST) {
        bool same = a->list.count == b->list.count;
        for (size_t i = 0; same && *known && i < a->list.count; i++)
            same = val_equal(&a->list.items[i], &b->list.items[i], known);
        return same;
    }
    if (a->kind == AP_VAL_INT && b->kind == AP_VAL_INT) return a->i == b->i;
    if (val_number(a, &x) && val_number(b, &y)) return x == y;
    if (a->kind == AP_VAL_DTYPE && b->kind == AP_VAL_INT) return (int64_t)a->t == b->i;
    if (a->kind == AP_VAL_INT && b->kind == AP_VAL_DTYPE) return (int64_t)b->t == a->i;
    if (a->kind != b->kind) { // "same" is false of different kinds only where both are plain
        *known = a->kind != AP_VAL_VALUE && b->kind != AP_VAL_VALUE && a->kind != AP_VAL_UNKNOWN &&
                 b->kind != AP_VAL_UNKNOWN;
        return false;
    }
    switch (a->kind) {
    case AP_VAL_TEXT: return !strcmp(a->s, b->s);
    case AP_VAL_DTYPE: return a->t == b->t;
    case AP_VAL_VALUE: return a->value == b->value;
    case AP_VAL_ABSENT: return true;
    default: *known = false; return false;
    }
}

void ap_val_print(const ap_val *v, ap_buf *out) {
    switch (v->kind) {
    case AP_VAL_UNKNOWN: ap_buf_puts(out, "unknown"); break;
    case AP_VAL_ABSENT: ap_buf_puts(out, "absent"); break;
    case AP_VAL_BOOL: ap_buf_puts(out, v->b ? "true" : "false"); break;
    case AP_VAL_INT: ap_buf_printf(out, "%lld", (long long)v->i); break;
    case AP_VAL_REAL: ap_buf_printf(out, "%.17g", v->f); break;
    case AP_VAL_TEXT: ap_buf_printf(out, "\"%s\"", v->s); break;
    case AP_VAL_DTYPE: ap_buf_puts(out, ap_dtype_name(v->t)); break;
    case AP_VAL_VALUE: ap_buf_printf(out, "value \"%s\"", v->value->name); break;
    case AP_VAL_TENSOR:
        ap_buf_printf(out, "%s ", ap_dtype_name(v->tensor->dtype));
        ap_shape_format(v->tensor->dims, v->tensor->rank, out);
        if (ap_tensor_count(v->tensor) == 1) ap_buf_printf(out, " %g", ap_tensor_at(v->tensor, 0));
        break;
    case AP_VAL_ATTRS: ap_buf_printf(out, "%zu attributes", v->attrs.count); break;
    case AP_VAL_LIST:
        ap_buf_putc(out, '[');
        for (size_t i = 0; i < v->list.count && i < 16; i++) {
            if (i) ap_buf_puts(out, ", ");
            ap_val_print(&v->list.items[i], out);
        }
        ap_buf_puts(out, v->list.count > 16 ? ", ...]" : "]");
    }
}

// ---- built-ins: types and constants

static ap_val call_shape(eval *e, const ap_val *args, size_t count) {
    (void)count;
    ap_value_type t;
    if (!val_type(e->m, args, &t)) return unknown(e, "a shape that is not known");
    for (size_t i = 0; i < t.rank; i++)
        if (t.dims[i] < 0) return unknown(e, "dimension %zu is not known", i);
    return val_ints(e, t.dims, t.rank);
}

static ap_val call_dim(eval *e, const ap_val *args, size_t count) {
    (void)count;
    ap_value_type t;
    if (!val_type(e->m, args, &t) || args[1].kind != AP_VAL_INT)
        return unknown(e, "a shape that is not known");
    int64_t k = args[1].i < 0 ? args[1].i + (int64_t)t.rank : args[1].i;
    if (k < 0 || k >= (int64_t)t.rank || t.dims[k] < 0)
        return unknown(e, "dimension %lld is not known", (long long)k);
    return val_int(t.dims[k]);
}

static ap_val call_rank(eval *e, const ap_val *args, size_t count) {
    (void)count;
    ap_value_type t;
    return val_type(e->m, args, &t) ? val_int((int64_t)t.rank) : unknown(e, "a rank that is not known");
}

static ap_val call_dtype(eval *e, const ap_val *args, size_t count) {
    (void)count;
    ap_value_type t;
    return val_type(e->m, args, &t) ? val_dtype(t.dtype) : unknown(e, "an element type that is not known");
}

static ap_val call_static(eval *e, const ap_val *args, size_t count) {
    (void)count;
    ap_value_type t;
    if (!val_type(e->m, args, &t)) return val_bool(false);
    for (size_t i = 0; i < t.rank; i++)
        if (t.dims[i] < 0) return val_bool(false);
    return val_bool(true);
}

static ap_val call_list(eval *e, const ap_val *args, size_t count) {
    ap_tensor t;
    if (args->kind == AP_VAL_LIST) return *args;
    if (args->kind == AP_VAL_ABSENT && count > 1) return args[1];
    if (!val_constant(e, args, &t) || ap_tensor_count(&t) > 1 << 16)
        return unknown(e, "a value that is no constant");
    size_t n = ap_tensor_count(&t);
    ap_val *items = ap_arena_calloc(&e->m->arena, n, sizeof *items);
    for (size_t i = 0; i < n; i++) items[i] = val_element(&t, i);
    return (ap_val){.kind = AP_VAL_LIST, .list = {items, n}};
}

// value(x[, default]): one number, or a list of them
static ap_val call_value(eval *e, const ap_val *args, size_t count) {
    ap_tensor t;
    double x;
    if (args->kind == AP_VAL_ABSENT && count > 1) return args[1];
    if (val_number(args, &x) || args->kind == AP_VAL_LIST) return *args;
    if (!val_constant(e, args, &t)) return unknown(e, "a value that is no constant");
    return ap_tensor_count(&t) == 1 ? val_element(&t, 0) : call_list(e, args, 1);
}

static ap_val call_const(eval *e, const ap_val *args, size_t count) {
    (void)count;
    ap_tensor t;
    return val_bool(val_constant(e, args, &t));
}

static ap_val call_all_const(eval *e, const ap_val *args, size_t count) {
    (void)count;
    ap_tensor t;
    if (args->kind != AP_VAL_LIST) return val_bool(args->kind == AP_VAL_ABSENT || val_constant(e, args, &t));
    for (size_t i = 0; i < args->list.count; i++)
        if (args->list.items[i].kind != AP_VAL_ABSENT && !val_constant(e, &args->list.items[i], &t))
            return val_bool(false);
    return val_bool(true);
}

// All elements of a constant are equal.
static ap_val call_splat(eval *e, const ap_val *args, size_t count) {
    (void)count;
    ap_tensor t;
    if (!val_constant(e, args, &t)) return val_bool(false);
    size_t n = ap_tensor_count(&t);
    if (!n || !spend(e, n)) return unknown(e, "a constant that is too large");
    for (size_t i = 1; i < n; i++)
        if (ap_tensor_at(&t, i) != ap_tensor_at(&t, 0)) return val_bool(false);
    return val_bool(true);
}

static ap_val call_absent(eval *e, const ap_val *args, size_t count) {
    (void)count;
    (void)e;
    return val_bool(args->kind == AP_VAL_ABSENT);
}

static ap_val call_unused(eval *e, const ap_val *args, size_t count) {
    (void)count;
    if (args->kind == AP_VAL_ABSENT) return val_bool(true);
    if (args->kind != AP_VAL_VALUE) return unknown(e, "unused needs a value");
    return val_bool(!args->value->use_count && !args->value->is_output && !args->value->used_by_subgraph);
}

// ---- built-ins: facts

static bool fact_of(eval *e, const ap_val *v, ap_fact *out) {
    if (v->kind == AP_VAL_TENSOR) {
        if (!spend(e, ap_tensor_count(v->tensor))) return false;
        ap_fact_of_tensor(v->tensor, out);
        return true;
    }
    ap_tensor t;
    if (v->kind != AP_VAL_VALUE) return false;
    if (e->m->env.facts) {
        *out = *ap_facts_of(e->m->env.facts, v->value);
        return true;
    }
    if (!ap_value_constant(e->m->env.model, v->value, &t) || !spend(e, ap_tensor_count(&t))) return false;
    ap_fact_of_tensor(&t, out);
    return true;
}

#define FACT(name, test)                                                                                     \
    static ap_val name(eval *e, const ap_val *args, size_t count) {                                          \
        (void)count;                                                                                         \
        ap_fact f;                                                                                           \
        if (!fact_of(e, args, &f)) return unknown(e, "nothing is known of a value");                         \
        return (test) ? val_bool(true) : unknown(e, "%s is not certain", #test);                             \
    }
FACT(call_nonneg, f.lo >= 0)
FACT(call_pos, f.lo > 0)
FACT(call_nonzero, f.nonzero)
FACT(call_integral, f.integral)
FACT(call_finite, f.finite)
FACT(call_notnan, f.notnan)
#undef FACT

static ap_val bound(eval *e, const ap_val *v, bool upper) {
    ap_fact f;
    ap_value_type t;
    bool known = fact_of(e, v, &f);
    double x = known ? (upper ? f.hi : f.lo) : upper ? INFINITY : -INFINITY;
    if (!val_type(e->m, v, &t) || !ap_dtype_is_int(t.dtype)) return val_real(x);
    double least = ap_dtype_lowest(t.dtype), most = ap_dtype_highest(t.dtype);
    x = fmin(fmax(x, least), most);
    if (x >= 0x1p63) return val_int(INT64_MAX);
    return val_int(x <= -0x1p63 ? INT64_MIN : (int64_t)x);
}
static ap_val call_lo(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return bound(e, args, false);
}
static ap_val call_hi(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return bound(e, args, true);
}

static ap_val line_fact(eval *e, const ap_val *args, bool distinct) {
    ap_fact f;
    ap_value_type t;
    if (args[1].kind != AP_VAL_INT || !val_type(e->m, args, &t) || !fact_of(e, args, &f))
        return unknown(e, "nothing is known of a value");
    int64_t k = args[1].i < 0 ? args[1].i + (int64_t)t.rank : args[1].i;
    if (k < 0 || k >= (int64_t)t.rank || k > 31) return unknown(e, "an axis outside of the rank");
    bool good = (distinct ? f.distinct : f.row_finite) >> k & 1;
    return good ? val_bool(true) : unknown(e, "%s is not certain", distinct ? "distinct" : "row_some_finite");
}
static ap_val call_distinct(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return line_fact(e, args, true);
}
static ap_val call_row_some_finite(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return line_fact(e, args, false);
}

static ap_val call_any_neg_inf(eval *e, const ap_val *args, size_t count) {
    (void)count;
    ap_tensor t;
    if (!val_constant(e, args, &t)) return unknown(e, "a value that is no constant");
    if (!spend(e, ap_tensor_count(&t))) return unknown(e, "a constant that is too large");
    for (size_t i = 0; i < ap_tensor_count(&t); i++)
        if (ap_tensor_at(&t, i) == -INFINITY) return val_bool(true);
    return val_bool(false);
}

static const struct {
    uint8_t min, max;
    builtin fn;
} fns[] = {{1, 1, call_shape},      {2, 2, call_dim},
           {1, 1, call_rank},       {1, 1, call_dtype},
           {1, 1, call_static},     {1, 2, call_list},
           {1, 2, call_value},      {1, 1, call_const},
           {1, 1, call_all_const},  {1, 1, call_splat},
           {1, 1, call_absent},     {1, 1, call_unused},
           {1, 1, call_nonneg},     {1, 1, call_pos},
           {1, 1, call_nonzero},    {1, 1, call_integral},
           {1, 1, call_finite},     {1, 1, call_notnan},
           {1, 1, call_lo},         {1, 1, call_hi},
           {2, 2, call_distinct},   {2, 2, call_row_some_finite},
           {1, 1, call_any_neg_inf}};
static const char *const names[] = {
    "shape",  "dim",   "rank",      "dtype",           "static",      "list",
    "value",  "const", "all_const", "splat",           "absent",      "unused",
    "nonneg", "pos",   "nonzero",   "integral",        "finite",      "notnan",
    "lo",     "hi",    "distinct",  "row_some_finite", "any_neg_inf", NULL};

const char *const *value_builtin_names(void) {
    return names;
}

builtin find_value_builtin(const char *name, size_t *min, size_t *max) {
    for (size_t i = 0; names[i]; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *min = fns[i].min;
        *max = fns[i].max;
        return fns[i].fn;
    }
    return NULL;
}
