// SPDX-License-Identifier: Apache-2.0
// Evaluation of expressions. Three-valued: whatever is not known makes what depends on it unknown, except
// that `false and x` is false and `true or x` is true.
#include "surgery/match/match_priv.h"
#include "tensor/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_DEPTH = 400, MOST_LIST = 1 << 16 };
static const size_t MOST_WORK = (size_t)1 << 25;

ap_val unknown(eval *e, const char *fmt, ...) {
    if (!*e->why) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(e->why, sizeof e->why, fmt, args);
        va_end(args);
    }
    return (ap_val){.kind = AP_VAL_UNKNOWN};
}

bool spend(eval *e, size_t work) {
    e->work += work;
    return e->work <= MOST_WORK && work <= MOST_WORK;
}

static bool is_known(const ap_val *v) {
    return v->kind != AP_VAL_UNKNOWN;
}

// ---- arithmetic

static ap_val int_arith(eval *e, ap_expr_op op, int64_t a, int64_t b) {
    int64_t r = 0;
    bool bad = false;
    switch (op) {
    case AP_OP_ADD: bad = __builtin_add_overflow(a, b, &r); break;
    case AP_OP_SUB: bad = __builtin_sub_overflow(a, b, &r); break;
    case AP_OP_MUL: bad = __builtin_mul_overflow(a, b, &r); break;
    default:
        if (!b) return unknown(e, "division by zero");
        if (b == -1) { // INT64_MIN / -1
            bad = __builtin_sub_overflow(0, a, &r);
            if (op == AP_OP_MOD) return val_int(0);
            break;
        }
        r = op == AP_OP_DIV ? a / b : a % b;
        if (a % b && (a % b < 0) != (b < 0)) r += op == AP_OP_DIV ? -1 : b; // floors; sign of the divisor
    }
    return bad ? unknown(e, "%lld and %lld overflow", (long long)a, (long long)b) : val_int(r);
}

static double real_arith(ap_expr_op op, double a, double b) {
    switch (op) {
    case AP_OP_ADD: return a + b;
    case AP_OP_SUB: return a - b;
    case AP_OP_MUL: return a * b;
    case AP_OP_DIV: return a / b;
    default: return a - b * floor(a / b);
    }
}

static bool compare(ap_expr_op op, int order, bool ordered) {
    switch (op) {
    case AP_OP_LT: return ordered && order < 0;
    case AP_OP_LE: return ordered && order <= 0;
    case AP_OP_GT: return ordered && order > 0;
    case AP_OP_GE: return ordered && order >= 0;
    case AP_OP_EQ: return ordered && !order;
    default: return !ordered || order;
    }
}

static ap_val scalar_binary(eval *e, ap_expr_op op, const ap_val *a, const ap_val *b) {
    double x, y;
    bool whole = a->kind == AP_VAL_INT && b->kind == AP_VAL_INT;
    if (op == AP_OP_EQ || op == AP_OP_NE) {
        bool known, same = val_equal(a, b, &known);
        return known ? val_bool(same == (op == AP_OP_EQ)) : unknown(e, "two things that cannot be compared");
    }
    if (!val_number(a, &x) || !val_number(b, &y)) return unknown(e, "an operand that is no number");
    if (op >= AP_OP_ADD) return whole ? int_arith(e, op, a->i, b->i) : val_real(real_arith(op, x, y));
    int order = whole ? (a->i > b->i) - (a->i < b->i) : (x > y) - (x < y);
    return val_bool(compare(op, order, whole || (!isnan(x) && !isnan(y))));
}

// A list and a number, or two lists of one length: item by item. Two lists compared by == or != are one
// question.
static ap_val list_binary(eval *e, ap_expr_op op, const ap_val *a, const ap_val *b) {
    bool la = a->kind == AP_VAL_LIST, lb = b->kind == AP_VAL_LIST;
    if (la && lb && (op == AP_OP_EQ || op == AP_OP_NE)) return scalar_binary(e, op, a, b);
    size_t n = la ? a->list.count : b->list.count;
    if (la && lb && b->list.count != n) return unknown(e, "two lists of different length");
    ap_val *items = ap_arena_calloc(&e->m->arena, n, sizeof *items);
    if (!spend(e, n)) return unknown(e, "too much to compute");
    for (size_t i = 0; i < n; i++) {
        items[i] = scalar_binary(e, op, la ? &a->list.items[i] : a, lb ? &b->list.items[i] : b);
        if (!is_known(&items[i])) return items[i];
    }
    return (ap_val){.kind = AP_VAL_LIST, .list = {items, n}};
}

static ap_val is_member(eval *e, const ap_val *a, const ap_val *b) {
    if (b->kind != AP_VAL_LIST) return unknown(e, "'in' needs a list");
    for (size_t i = 0; i < b->list.count; i++) {
        bool known, same = val_equal(a, &b->list.items[i], &known);
        if (!known) return unknown(e, "two things that cannot be compared");
        if (same) return val_bool(true);
    }
    return val_bool(false);
}

static ap_val eval_logic(eval *e, const ap_expr *x) {
    bool stop = x->op == AP_OP_OR; // the value that decides
    ap_val a = eval_expr(e, x->args[0]);
    if (a.kind == AP_VAL_BOOL && a.b == stop) return a;
    ap_val b = eval_expr(e, x->args[1]);
    if (b.kind == AP_VAL_BOOL && b.b == stop) return b;
    if (a.kind != AP_VAL_BOOL || b.kind != AP_VAL_BOOL)
        return unknown(e, "a condition that is neither true nor false");
    return val_bool(!stop);
}

static ap_val eval_binary(eval *e, const ap_expr *x) {
    if (x->op == AP_OP_AND || x->op == AP_OP_OR) return eval_logic(e, x);
    ap_val a = eval_expr(e, x->args[0]);
    if (!is_known(&a)) return a;
    ap_val b = eval_expr(e, x->args[1]);
    if (!is_known(&b)) return b;
    if (x->op == AP_OP_IN) return is_member(e, &a, &b);
    if (a.kind == AP_VAL_LIST || b.kind == AP_VAL_LIST) return list_binary(e, x->op, &a, &b);
    return scalar_binary(e, x->op, &a, &b);
}

static ap_val negated(eval *e, const ap_val *a) {
    if (a->kind == AP_VAL_INT) return int_arith(e, AP_OP_SUB, 0, a->i);
    if (a->kind == AP_VAL_REAL) return val_real(-a->f);
    if (a->kind != AP_VAL_LIST) return unknown(e, "'-' needs a number");
    ap_val zero = val_int(0);
    return list_binary(e, AP_OP_SUB, &zero, a);
}

static ap_val eval_unary(eval *e, const ap_expr *x) {
    ap_val a = eval_expr(e, x->args[0]);
    if (!is_known(&a)) return a;
    if (x->op == AP_OP_NEG) return negated(e, &a);
    return a.kind == AP_VAL_BOOL ? val_bool(!a.b) : unknown(e, "'not' needs true or false");
}

// ---- lists

static ap_val eval_list(eval *e, const ap_expr *x) {
    ap_val *items = ap_arena_calloc(&e->m->arena, x->count, sizeof *items);
    for (size_t i = 0; i < x->count; i++) {
        items[i] = eval_expr(e, x->args[i]);
        if (!is_known(&items[i])) return items[i];
    }
    return (ap_val){.kind = AP_VAL_LIST, .list = {items, x->count}};
}

static ap_val eval_each(eval *e, const ap_expr *x) {
    ap_val from = eval_expr(e, x->args[1]), to = eval_expr(e, x->args[2]);
    if (from.kind != AP_VAL_INT || to.kind != AP_VAL_INT)
        return unknown(e, "bounds that are no whole numbers");
    int64_t n;
    if (__builtin_sub_overflow(to.i, from.i, &n) || n >= MOST_LIST)
        return unknown(e, "a list that is too long");
    size_t count = n < 0 ? 0 : (size_t)n + 1;
    ap_val *items = ap_arena_calloc(&e->m->arena, count, sizeof *items), saved = e->m->slots[x->slot];
    bool good = spend(e, count);
    for (size_t i = 0; good && i < count; i++) {
        e->m->slots[x->slot] = val_int(from.i + (int64_t)i);
        items[i] = eval_expr(e, x->args[0]);
        good = is_known(&items[i]);
    }
    e->m->slots[x->slot] = saved;
    return good ? (ap_val){.kind = AP_VAL_LIST, .list = {items, count}} : unknown(e, "too much to compute");
}

static ap_val eval_index(eval *e, const ap_expr *x) {
    ap_val base = eval_expr(e, x->args[0]), at = eval_expr(e, x->args[1]);
    if (base.kind != AP_VAL_LIST || at.kind != AP_VAL_INT)
        return is_known(&base) && is_known(&at) ? unknown(e, "an index into what is no list")
                                                : (ap_val){.kind = AP_VAL_UNKNOWN};
    int64_t n = (int64_t)base.list.count, i = at.i < 0 ? at.i + n : at.i;
    if (i < 0 || i >= n) return unknown(e, "index %lld of a list of %lld", (long long)at.i, (long long)n);
    return base.list.items[i];
}

static bool eval_bound(eval *e, const ap_expr *x, int64_t n, int64_t fallback, int64_t *out) {
    *out = fallback;
    if (!x) return true;
    ap_val v = eval_expr(e, x);
    if (v.kind != AP_VAL_INT) return false;
    int64_t i = v.i < 0 ? v.i + n : v.i;
    *out = i < 0 ? 0 : i > n ? n : i;
    return true;
}

static ap_val eval_slice(eval *e, const ap_expr *x) {
    ap_val base = eval_expr(e, x->args[0]);
    if (base.kind != AP_VAL_LIST) return unknown(e, "a slice of what is no list");
    int64_t n = (int64_t)base.list.count, from, to;
    if (!eval_bound(e, x->args[1], n, 0, &from) || !eval_bound(e, x->args[2], n, n, &to))
        return unknown(e, "bounds that are no whole numbers");
    if (to < from) to = from;
    return (ap_val){.kind = AP_VAL_LIST, .list = {base.list.items + from, (size_t)(to - from)}};
}

// ---- tensors

static ap_val eval_dims(eval *e, const ap_expr *x, int64_t *dims, size_t rank) {
    for (size_t i = 0; i < rank; i++) {
        ap_val v = eval_expr(e, x->args[i]);
        if (v.kind != AP_VAL_INT || v.i < 0) return unknown(e, "a dimension that is no whole number");
        dims[i] = v.i;
    }
    return val_bool(true);
}

static ap_val fill_tensor(eval *e, const ap_expr *x, ap_tensor *t) {
    size_t count = ap_tensor_count(t);
    const ap_expr *body = x->args[x->count - 1];
    int64_t at[AP_MAX_RANK] = {0};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < t->rank; k++)
            if (x->slots[k] >= 0) e->m->slots[x->slots[k]] = val_int(at[k]);
        ap_val v = eval_expr(e, body);
        double number;
        if (!val_number(&v, &number)) return unknown(e, "an element that is no number");
        if (v.kind == AP_VAL_INT && t->dtype == AP_I64)
            memcpy((char *)t->data + 8 * i, &v.i, 8); // not through double
        else
            ap_tensor_put_f64(t, i, 1, &number);
        for (size_t k = t->rank; k-- > 0;) {
            if (++at[k] < t->dims[k]) break;
            at[k] = 0;
        }
    }
    return (ap_val){.kind = AP_VAL_TENSOR, .tensor = t};
}

static ap_val eval_tensor(eval *e, const ap_expr *x) {
    size_t rank = x->count - 1;
    int64_t dims[AP_MAX_RANK];
    ap_val dtype = eval_expr(e, x->dtype);
    if (rank > AP_MAX_RANK || dtype.kind != AP_VAL_DTYPE)
        return unknown(e, "a tensor without an element type");
    ap_val good = eval_dims(e, x, dims, rank);
    if (!is_known(&good)) return good;
    ap_tensor *t;
    ap_val v = val_tensor(e, dtype.t, dims, rank, &t);
    if (!is_known(&v)) return v;
    ap_val saved[AP_MAX_RANK];
    for (size_t k = 0; k < rank; k++)
        if (x->slots[k] >= 0) saved[k] = e->m->slots[x->slots[k]];
    v = fill_tensor(e, x, t);
    for (size_t k = 0; k < rank; k++)
        if (x->slots[k] >= 0) e->m->slots[x->slots[k]] = saved[k];
    return v;
}

// ---- the rest

static ap_val eval_name(eval *e, const ap_expr *x) {
    if (x->slot >= 0) {
        ap_val v = e->m->slots[x->slot];
        return is_known(&v) ? v : unknown(e, "'%s' is not known", x->text);
    }
    if (!strcmp(x->text, "compute")) return val_dtype(match_compute(e->m));
    if (!strcmp(x->text, "opset")) return val_int(e->m->env.model->opset);
    return val_dtype(ap_rule_dtype(x->text));
}

static ap_val eval_args(eval *e, const ap_expr *x) {
    ap_val args[128];
    for (size_t i = 0; i < x->count && i < 128; i++) {
        args[i] = eval_expr(e, x->args[i]);
        if (!is_known(&args[i])) return args[i];
    }
    return eval_call(e, x, args);
}

// What is not certain counts as no: `nonneg(x) ? 0 : lowest(f32)`.
static ap_val eval_cond(eval *e, const ap_expr *x) {
    bool silent = !*e->why;
    ap_val c = eval_expr(e, x->args[0]);
    if (silent && c.kind == AP_VAL_UNKNOWN) *e->why = 0;
    if (c.kind != AP_VAL_BOOL && c.kind != AP_VAL_UNKNOWN)
        return unknown(e, "a choice by what is neither true nor false");
    return eval_expr(e, x->args[c.kind == AP_VAL_BOOL && c.b ? 1 : 2]);
}

static ap_val eval_kind(eval *e, const ap_expr *x) {
    switch (x->kind) {
    case AP_EXPR_INT: return val_int(x->i);
    case AP_EXPR_REAL: return val_real(x->f);
    case AP_EXPR_TEXT: return (ap_val){.kind = AP_VAL_TEXT, .s = x->text};
    case AP_EXPR_BOOL: return val_bool(x->i != 0);
    case AP_EXPR_NAME: return eval_name(e, x);
    case AP_EXPR_LIST: return eval_list(e, x);
    case AP_EXPR_EACH: return eval_each(e, x);
    case AP_EXPR_INDEX: return eval_index(e, x);
    case AP_EXPR_SLICE: return eval_slice(e, x);
    case AP_EXPR_CALL: return eval_args(e, x);
    case AP_EXPR_UNARY: return eval_unary(e, x);
    case AP_EXPR_BINARY: return eval_binary(e, x);
    case AP_EXPR_COND: return eval_cond(e, x);
    case AP_EXPR_TENSOR: return eval_tensor(e, x);
    case AP_EXPR_EVAL: return eval_nodes(e, x);
    }
    return unknown(e, "an expression of no kind");
}

ap_val eval_expr(eval *e, const ap_expr *x) {
    if (e->err) return (ap_val){.kind = AP_VAL_UNKNOWN};
    if (e->depth >= MOST_DEPTH || !spend(e, 1)) return unknown(e, "too much to compute");
    e->depth++;
    ap_val v = eval_kind(e, x);
    e->depth--;
    return v;
}
