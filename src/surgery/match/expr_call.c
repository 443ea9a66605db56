// SPDX-License-Identifier: Apache-2.0
// Built-ins on numbers and lists, and the table of all of them.
#include "base/log.h"
#include "surgery/match/match_priv.h"
#include "surgery/rule/rule_priv.h"
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

// ---- numbers

static ap_val fold(eval *e, const ap_val *args, size_t count, bool max) {
    const ap_val *items = args;
    if (count == 1 && args->kind == AP_VAL_LIST) {
        items = args->list.items;
        count = args->list.count;
    }
    ap_val best = count ? items[0] : unknown(e, "the largest of nothing");
    for (size_t i = 0; i < count; i++) {
        double x, y;
        if (!val_number(&items[i], &x) || !val_number(&best, &y))
            return unknown(e, "min and max need numbers");
        bool both = items[i].kind == AP_VAL_INT && best.kind == AP_VAL_INT;
        bool more = both ? items[i].i > best.i : x > y, less = both ? items[i].i < best.i : x < y;
        if (max ? more : less) best = items[i];
    }
    return best;
}

static ap_val call_max(eval *e, const ap_val *args, size_t count) {
    return fold(e, args, count, true);
}
static ap_val call_min(eval *e, const ap_val *args, size_t count) {
    return fold(e, args, count, false);
}

static ap_val call_abs(eval *e, const ap_val *args, size_t count) {
    (void)count;
    double x;
    if (args->kind == AP_VAL_INT)
        return args->i == INT64_MIN ? unknown(e, "abs overflows") : val_int(args->i < 0 ? -args->i : args->i);
    return val_number(args, &x) ? val_real(fabs(x)) : unknown(e, "abs needs a number");
}

static ap_val rounded(eval *e, const ap_val *a, double (*fn)(double)) {
    double x;
    if (a->kind == AP_VAL_INT) return *a;
    if (!val_number(a, &x) || !(fabs(x) < 9e18)) return unknown(e, "a number that cannot be rounded");
    return val_int((int64_t)fn(x));
}
static ap_val call_ceil(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return rounded(e, args, ceil);
}
static ap_val call_floor(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return rounded(e, args, floor);
}
static ap_val call_sqrt(eval *e, const ap_val *args, size_t count) {
    (void)count;
    double x;
    return val_number(args, &x) && x >= 0 ? val_real(sqrt(x)) : unknown(e, "sqrt needs a number from 0");
}
static ap_val of_real(eval *e, const ap_val *a, double (*fn)(double)) {
    double x;
    return val_number(a, &x) && isfinite(fn(x)) ? val_real(fn(x)) : unknown(e, "a number out of range");
}
static ap_val call_sin(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return of_real(e, args, sin);
}
static ap_val call_cos(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return of_real(e, args, cos);
}
static ap_val call_pow2(eval *e, const ap_val *args, size_t count) {
    (void)count;
    double x;
    int exponent;
    if (!val_number(args, &x)) return unknown(e, "power_of_two needs a number");
    return val_bool(isfinite(x) && x != 0 && fabs(frexp(x, &exponent)) == 0.5);
}

// ---- lists

static ap_val accumulate(eval *e, const ap_val *list, bool product) {
    ap_val all = val_int(product ? 1 : 0);
    if (list->kind != AP_VAL_LIST) return unknown(e, "sum and prod need a list");
    for (size_t i = 0; i < list->list.count; i++) {
        const ap_val *v = &list->list.items[i];
        double x, y;
        if (all.kind == AP_VAL_INT && v->kind == AP_VAL_INT) {
            bool bad = product ? __builtin_mul_overflow(all.i, v->i, &all.i)
                               : __builtin_add_overflow(all.i, v->i, &all.i);
            if (bad) return unknown(e, "sum or prod overflows");
        } else {
            if (!val_number(v, &x) || !val_number(&all, &y)) return unknown(e, "sum and prod need numbers");
            all = val_real(product ? x * y : x + y);
        }
    }
    return all;
}
static ap_val call_prod(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return accumulate(e, args, true);
}
static ap_val call_sum(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return accumulate(e, args, false);
}

static ap_val call_len(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return args->kind == AP_VAL_LIST ? val_int((int64_t)args->list.count) : unknown(e, "len needs a list");
}

static ap_val quantify(eval *e, const ap_val *args, size_t count, bool stop) {
    for (size_t k = 0; k < count; k++) {
        bool list = args[k].kind == AP_VAL_LIST;
        const ap_val *items = list ? args[k].list.items : &args[k];
        for (size_t i = 0; i < (list ? args[k].list.count : 1); i++) {
            if (items[i].kind != AP_VAL_BOOL) return unknown(e, "all and any need true or false");
            if (items[i].b == stop) return val_bool(stop);
        }
    }
    return val_bool(!stop);
}
static ap_val call_all(eval *e, const ap_val *args, size_t count) {
    return quantify(e, args, count, false);
}
static ap_val call_any(eval *e, const ap_val *args, size_t count) {
    return quantify(e, args, count, true);
}

static ap_val call_range(eval *e, const ap_val *args, size_t count) {
    (void)count;
    if (args->kind != AP_VAL_INT || args->i < 0 || args->i > 1 << 16)
        return unknown(e, "range needs 0..65536");
    ap_val *items = ap_arena_calloc(&e->m->arena, (size_t)args->i, sizeof *items);
    for (int64_t i = 0; i < args->i; i++) items[i] = val_int(i);
    return (ap_val){.kind = AP_VAL_LIST, .list = {items, (size_t)args->i}};
}

static ap_val call_concat(eval *e, const ap_val *args, size_t count) {
    size_t n = 0, at = 0;
    for (size_t i = 0; i < count; i++) {
        if (args[i].kind != AP_VAL_LIST) return unknown(e, "concat needs lists");
        n += args[i].list.count;
    }
    if (!spend(e, n)) return unknown(e, "too much to compute");
    ap_val *items = ap_arena_calloc(&e->m->arena, n, sizeof *items);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < args[i].list.count; k++) items[at++] = args[i].list.items[k];
    return (ap_val){.kind = AP_VAL_LIST, .list = {items, n}};
}

static ap_val call_reverse(eval *e, const ap_val *args, size_t count) {
    (void)count;
    if (args->kind != AP_VAL_LIST) return unknown(e, "reverse needs a list");
    size_t n = args->list.count;
    ap_val *items = ap_arena_calloc(&e->m->arena, n, sizeof *items);
    for (size_t i = 0; i < n; i++) items[i] = args->list.items[n - 1 - i];
    return (ap_val){.kind = AP_VAL_LIST, .list = {items, n}};
}

// with_dim(list, k, v): the list with item k replaced.
static ap_val call_with_dim(eval *e, const ap_val *args, size_t count) {
    (void)count;
    if (args[0].kind != AP_VAL_LIST || args[1].kind != AP_VAL_INT || args[1].i < 0 ||
        args[1].i >= (int64_t)args[0].list.count)
        return unknown(e, "with_dim needs a list and one of its indices");
    ap_val v = val_list(e, args[0].list.items, args[0].list.count);
    ((ap_val *)(uintptr_t)v.list.items)[args[1].i] = args[2];
    return v;
}

static ap_val call_without(eval *e, const ap_val *args, size_t count) {
    (void)count;
    if (args[0].kind != AP_VAL_LIST || args[1].kind != AP_VAL_INT || args[1].i < 0 ||
        args[1].i >= (int64_t)args[0].list.count)
        return unknown(e, "without needs a list and one of its indices");
    ap_val *items = ap_arena_calloc(&e->m->arena, args[0].list.count, sizeof *items);
    size_t n = 0;
    for (size_t i = 0; i < args[0].list.count; i++)
        if ((int64_t)i != args[1].i) items[n++] = args[0].list.items[i];
    return (ap_val){.kind = AP_VAL_LIST, .list = {items, n}};
}

// norm_axis(axis, rank)
static ap_val call_norm_axis(eval *e, const ap_val *args, size_t count) {
    (void)count;
    if (args[0].kind != AP_VAL_INT || args[1].kind != AP_VAL_INT)
        return unknown(e, "norm_axis needs whole numbers");
    int64_t a = args[0].i < 0 ? args[0].i + args[1].i : args[0].i;
    if (a < 0 || a >= args[1].i)
        return unknown(e, "axis %lld of rank %lld", (long long)args[0].i, (long long)args[1].i);
    return val_int(a);
}

// ---- pads: [begin of every axis, end of every axis]

// full_pads(pads, axes, rank)
static ap_val call_full_pads(eval *e, const ap_val *args, size_t count) {
    (void)count;
    int64_t pads[2 * AP_MAX_RANK], axes[AP_MAX_RANK], out[2 * AP_MAX_RANK] = {0}, rank = args[2].i;
    size_t n = 0, k = 0;
    if (args[2].kind != AP_VAL_INT || rank < 0 || rank > AP_MAX_RANK ||
        !val_ints_of(e, &args[0], pads, 2 * AP_MAX_RANK, &n))
        return unknown(e, "pads that are not known");
    if (args[1].kind == AP_VAL_ABSENT)
        for (; (int64_t)k < rank; k++) axes[k] = (int64_t)k;
    else if (!val_ints_of(e, &args[1], axes, AP_MAX_RANK, &k))
        return unknown(e, "axes that are not known");
    if (n != 2 * k) return unknown(e, "%zu pads for %zu axes", n, k);
    for (size_t i = 0; i < k; i++) {
        int64_t a = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (a < 0 || a >= rank) return unknown(e, "an axis outside of the rank");
        out[a] = pads[i];
        out[a + rank] = pads[i + k];
    }
    return val_ints(e, out, 2 * (size_t)rank);
}

// The last axis with a pad; -1 when there is none.
static ap_val call_last_nonzero(eval *e, const ap_val *args, size_t count) {
    (void)count;
    if (args->kind != AP_VAL_LIST) return unknown(e, "last_nonzero needs a list of pads");
    size_t rank = args->list.count / 2;
    for (size_t i = rank; i-- > 0;) {
        double x = 0, y = 0;
        if (!val_number(&args->list.items[i], &x) || !val_number(&args->list.items[i + rank], &y))
            return unknown(e, "last_nonzero needs numbers");
        if (x != 0 || y != 0) return val_int((int64_t)i);
    }
    return val_int(-1);
}

static ap_val call_zero_axis(eval *e, const ap_val *args, size_t count) {
    (void)count;
    size_t rank = args[0].kind == AP_VAL_LIST ? args[0].list.count / 2 : 0;
    if (args[1].kind != AP_VAL_INT || args[1].i < 0 || args[1].i >= (int64_t)rank)
        return unknown(e, "zero_axis needs pads and one of their axes");
    ap_val v = val_list(e, args[0].list.items, args[0].list.count);
    ap_val *items = (ap_val *)(uintptr_t)v.list.items;
    items[args[1].i] = items[args[1].i + (int64_t)rank] = val_int(0);
    return v;
}

// ---- element types and constants

static ap_val of_dtype(eval *e, const ap_val *a, double (*fn)(ap_dtype)) {
    if (a->kind != AP_VAL_DTYPE) return unknown(e, "an element type is wanted");
    double x = fn(a->t);
    return ap_dtype_is_int(a->t) && fabs(x) < 9e18 ? val_int((int64_t)x) : val_real(x);
}
static ap_val call_lowest(eval *e, const ap_val *args, size_t count) {
    (void)count;
    if (args->kind == AP_VAL_DTYPE && args->t == AP_I64) return val_int(INT64_MIN);
    return of_dtype(e, args, ap_dtype_lowest);
}
static ap_val call_highest(eval *e, const ap_val *args, size_t count) {
    (void)count;
    if (args->kind == AP_VAL_DTYPE && args->t == AP_I64) return val_int(INT64_MAX);
    return of_dtype(e, args, ap_dtype_highest);
}
static ap_val call_exact_int(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return of_dtype(e, args, ap_exact_int);
}
static ap_val call_is_float(eval *e, const ap_val *args, size_t count) {
    (void)count;
    return args->kind == AP_VAL_DTYPE ? val_bool(ap_dtype_is_float(args->t))
                                      : unknown(e, "an element type is wanted");
}

// cast(number, list or constant, dtype): a constant
static ap_val call_cast(eval *e, const ap_val *args, size_t count) {
    (void)count;
    ap_tensor from, *to;
    double x;
    if (args[1].kind != AP_VAL_DTYPE) return unknown(e, "cast needs an element type");
    if (val_constant(e, &args[0], &from)) {
        ap_val v = val_tensor(e, args[1].t, from.dims, from.rank, &to);
        if (v.kind == AP_VAL_UNKNOWN) return v;
        for (size_t i = 0; i < ap_tensor_count(&from); i++)
            ap_tensor_put_f64(to, i, 1, &(double){ap_tensor_at(&from, i)});
        return v;
    }
    bool list = args[0].kind == AP_VAL_LIST;
    int64_t n = list ? (int64_t)args[0].list.count : 1;
    ap_val v = val_tensor(e, args[1].t, &n, list ? 1 : 0, &to);
    if (v.kind == AP_VAL_UNKNOWN) return v;
    for (int64_t i = 0; i < n; i++) {
        if (!val_number(list ? &args[0].list.items[i] : &args[0], &x))
            return unknown(e, "cast needs numbers");
        ap_tensor_put_f64(to, (size_t)i, 1, &x);
    }
    return v;
}

// fill(dtype, number, shape)
static ap_val call_fill(eval *e, const ap_val *args, size_t count) {
    (void)count;
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    ap_tensor *t;
    double x;
    if (args[0].kind != AP_VAL_DTYPE || !val_number(&args[1], &x) ||
        !val_ints_of(e, &args[2], dims, AP_MAX_RANK, &rank))
        return unknown(e, "fill needs an element type, a number and a shape");
    ap_val v = val_tensor(e, args[0].t, dims, rank, &t);
    for (size_t i = 0; v.kind == AP_VAL_TENSOR && i < ap_tensor_count(t); i++) ap_tensor_put_f64(t, i, 1, &x);
    return v;
}

// ---- the table

static const struct {
    const char *name;
    uint8_t min, max;
    builtin fn;
} table[] = {
    {"max", 1, 64, call_max},
    {"min", 1, 64, call_min},
    {"abs", 1, 1, call_abs},
    {"ceil", 1, 1, call_ceil},
    {"floor", 1, 1, call_floor},
    {"sqrt", 1, 1, call_sqrt},
    {"sin", 1, 1, call_sin},
    {"cos", 1, 1, call_cos},
    {"prod", 1, 1, call_prod},
    {"sum", 1, 1, call_sum},
    {"len", 1, 1, call_len},
    {"all", 1, 64, call_all},
    {"any", 1, 64, call_any},
    {"range", 1, 1, call_range},
    {"concat", 1, 64, call_concat},
    {"reverse", 1, 1, call_reverse},
    {"with_dim", 3, 3, call_with_dim},
    {"without", 2, 2, call_without},
    {"norm_axis", 2, 2, call_norm_axis},
    {"full_pads", 3, 3, call_full_pads},
    {"last_nonzero", 1, 1, call_last_nonzero},
    {"zero_axis", 2, 2, call_zero_axis},
    {"lowest", 1, 1, call_lowest},
    {"highest", 1, 1, call_highest},
    {"exact_int", 1, 1, call_exact_int},
    {"is_float", 1, 1, call_is_float},
    {"cast", 2, 2, call_cast},
    {"fill", 3, 3, call_fill},
    {"power_of_two", 1, 1, call_pow2},
    {"axis_map", 3, 3, call_axis_map},
    {"linear_map", 3, 3, call_linear_map},
};

static builtin find(const char *name, size_t *min, size_t *max) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].name, name) != 0) continue;
        *min = table[i].min;
        *max = table[i].max;
        return table[i].fn;
    }
    return find_value_builtin(name, min, max);
}

bool ap_builtin_arity(const char *name, size_t *min, size_t *max) {
    return find(name, min, max) != NULL;
}

const char *ap_builtin_nearest(const char *name) {
    const char *names[96];
    size_t count = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) names[count++] = table[i].name;
    for (const char *const *more = value_builtin_names(); *more && count < 96; more++) names[count++] = *more;
    return ap_nearest(name, names, count);
}

ap_val eval_call(eval *e, const ap_expr *x, const ap_val *args) {
    size_t min, max;
    builtin fn = find(x->text, &min, &max);
    return fn ? fn(e, args, x->count) : unknown(e, "no function '%s'", x->text);
}
