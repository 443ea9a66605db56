// SPDX-License-Identifier: Apache-2.0
// The built-ins that look at values of the graph: their types, constants and facts.
#include "surgery/match/match_priv.h"

#include <math.h>
#include <string.h>

// ---- types and constants

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

// ---- facts

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
