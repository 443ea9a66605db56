// SPDX-License-Identifier: Apache-2.0
// Operands of which something is certain: what the rule asks of its names is found in its text, and
// operators, constants or the user's word are put in front of the operand that establish it.
#include "surgery/prove/prove_priv.h"
#include "tensor/convert.h"

#include <math.h>
#include <string.h>

// ---- what is asked

static unsigned need_of(const char *call) {
    static const struct {
        const char *name;
        unsigned need;
    } table[] = {{"nonneg", NEED_NONNEG},       {"pos", NEED_POS},
                 {"nonzero", NEED_NONZERO},     {"integral", NEED_INTEGRAL},
                 {"finite", NEED_FINITE},       {"notnan", NEED_NOTNAN},
                 {"lo", NEED_BOUNDS},           {"hi", NEED_BOUNDS},
                 {"distinct", NEED_DISTINCT},   {"row_some_finite", NEED_ROW_FINITE},
                 {"any_neg_inf", NEED_NEG_INF}, {"const", NEED_CONST},
                 {"all_const", NEED_CONST},     {"splat", NEED_CONST},
                 {"value", NEED_CONST},         {"list", NEED_CONST},
                 {"unused", NEED_UNUSED}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, call)) return table[i].need;
    return 0;
}

static void walk(const ap_expr *x, unsigned *out);

static void walk_nodes(const ap_rule_node *nodes, size_t count, unsigned *out) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < nodes[i].arg_count; k++) {
            const ap_rule_arg *a = &nodes[i].args[k];
            walk(a->expr, out);
            walk_nodes(a->body, a->body_count, out);
        }
        for (size_t k = 0; k < nodes[i].attr_count; k++) walk(nodes[i].attrs[k].expr, out);
    }
}

static void walk(const ap_expr *x, unsigned *out) {
    if (!x) return;
    unsigned asked = x->kind == AP_EXPR_CALL ? need_of(x->text) : 0;
    if (asked && x->count && x->args[0]->kind == AP_EXPR_NAME && x->args[0]->slot >= 0)
        out[x->args[0]->slot] |= asked;
    for (size_t i = 0; i < x->count; i++) walk(x->args[i], out);
    walk_nodes(x->body, x->body_count, out);
}

void collect_needs(draw *d) {
    const ap_rule *r = d->rule;
    size_t n = r->slot_count + 1;
    d->needs = ap_arena_calloc(&d->x->arena, n, sizeof *d->needs);
    d->hopes = ap_arena_calloc(&d->x->arena, n, sizeof *d->hopes);
    d->dropped = ap_arena_calloc(&d->x->arena, n, sizeof *d->dropped);
    for (size_t i = 0; i < r->step_count; i++) {
        const ap_rule_step *s = &r->steps[i];
        walk(s->expr, s == d->o->skip ? d->dropped : s->slot < 0 ? d->needs : d->hopes);
    }
    for (size_t i = 0; i < r->class_count; i++) walk(r->classes[i].cond, d->hopes);
    walk_nodes(r->replace, r->replace_count, d->hopes);
}

// ---- ranges

static void draw_range(draw *d, ap_dtype t, unsigned n, double *lo, double *hi) {
    static const double ladder[] = {1,   2,        4,        7,   100,        1000, 2000, 2048, 30000, 65504,
                                    1e6, 16777215, 16777216, 1e9, 2147483647, 9e17, 1e19, 1e30, 3e38};
    double h = fmin(ladder[choose(d->c, sizeof ladder / sizeof *ladder)], ap_dtype_highest(t));
    double bottom = h < ap_dtype_highest(t) ? -h : ap_dtype_lowest(t);
    uint32_t kind = choose(d->c, 5);
    if (n & (NEED_NONNEG | NEED_POS)) kind = 1 + kind % 2;
    if (n & NEED_POS) kind = 2;
    if (n & NEED_NONZERO && kind != 2 && kind != 3) kind = 2 + kind % 2;
    double least = ap_dtype_is_float(t) && !(n & NEED_INTEGRAL) && chance(d->c, 40) ? 0.125 : 1;
    *lo = kind == 1 ? 0 : kind == 2 ? least : bottom;
    *hi = kind == 3 ? -least : kind == 4 ? 0 : h;
    *lo = fmax(*lo, ap_dtype_lowest(t));
    if (*lo > *hi) *hi = *lo;
}

static value_class class_of(draw *d) {
    bool first = true;
    for (size_t i = 0; i < d->x->feed_count; i++) first = false;
    if (first || chance(d->c, 40)) return d->x->values;
    bool mild = value_class_mild(d->x->values) || chance(d->c, 60);
    return mild ? (value_class)(VALUES_ONES + choose(d->c, VALUES_ONE_HOT))
                : (value_class)choose(d->c, VALUES_CLASSES);
}

static value_limits limits_of(unsigned n, double lo, double hi) {
    value_limits l = {.lo = lo, .hi = hi};
    if (n & NEED_NONNEG) l.lo = fmax(l.lo, 0);
    if (n & NEED_POS) l.lo = fmax(l.lo, 0x1p-10);
    l.finite = n & (NEED_FINITE | NEED_NOTNAN | NEED_BOUNDS | NEED_NONNEG | NEED_POS) && !(n & NEED_NEG_INF);
    l.integral = n & NEED_INTEGRAL;
    l.nonzero = n & NEED_NONZERO;
    l.distinct = n & NEED_DISTINCT;
    return l;
}

// ---- making

static ap_value *failed(draw *d, ap_err err) {
    give_up(d, "%s", ap_err_message(err));
    ap_err_free(err);
    return NULL;
}

static void take_from(draw *d, ap_tensor *t, int slot) {
    const ap_value *v = d->m.slots[slot].kind == AP_VAL_VALUE ? d->m.slots[slot].value : NULL;
    ap_tensor from = {0};
    for (size_t i = 0; v && i < d->x->feed_count; i++)
        if (d->x->feeds[i].v == v) from = d->x->feeds[i].t;
    if (v && !from.dtype) (void)ap_value_constant(d->x->model, v, &from);
    size_t n = from.dtype ? ap_tensor_count(&from) : 0;
    for (size_t i = 0; n && i < ap_tensor_count(t); i++) {
        double x = ap_tensor_at(&from, (i * 7 + i / n) % n);
        ap_tensor_put_f64(t, i, 1, &x);
    }
}

// Square matrices in which one element of each row outweighs the rest of it, another column in each: whatever
// solves with them loses no more than rounding. Without that what comes out is mostly noise.
static void make_dominant(ap_tensor *t, uint32_t seed) {
    size_t n = t->rank > 1 ? (size_t)t->dims[t->rank - 1] : 0;
    if (!n || (size_t)t->dims[t->rank - 2] != n) return;
    for (size_t row = 0; row * n < ap_tensor_count(t); row++) {
        size_t at = row * n + (row + seed) % n;
        double sum = 1, own = ap_tensor_at(t, at);
        for (size_t i = 0; i < n; i++) sum += fabs(ap_tensor_at(t, row * n + i));
        own = own < 0 ? -sum : sum;
        ap_tensor_put_f64(t, at, 1, &own);
    }
}

static ap_err fill(draw *d, int slot, const ap_value_type *t, value_class c, value_limits l, ap_tensor *out) {
    const ap_rule_draw *hint = slot >= 0 ? draw_hint(d, slot) : NULL;
    if (hint && hint->like < 0) {
        ap_val from = eval_expr(&d->e, hint->from), to = eval_expr(&d->e, hint->to);
        double a, b;
        if (val_number(&from, &a) && val_number(&to, &b)) {
            l.lo = fmax(l.lo, a);
            l.hi = fmin(l.hi, b);
            l.finite = true;
        }
    }
    ap_err err = ap_tensor_alloc(t->dtype, t->dims, t->rank, out);
    if (err) return err;
    uint32_t seed = choose(d->c, 1000);
    if (hint && hint->normal) c = VALUES_NORMAL;
    if (hint && hint->everyday && !value_class_mild(c))
        c = (value_class)(VALUES_ONES + seed % VALUES_ONE_HOT);
    values_fill(out, c, seed, &l);
    if (hint && hint->dominant) make_dominant(out, seed);
    if (hint && hint->like >= 0) take_from(d, out, hint->like);
    return NULL;
}

static ap_value *add_input(draw *d, int slot, const ap_value_type *t, value_class c, value_limits l,
                           bool assumed) {
    instance *x = d->x;
    ap_tensor data = {0};
    ap_value *v = NULL;
    if (x->feed_count == sizeof x->feeds / sizeof *x->feeds) {
        give_up(d, "too many inputs");
        return NULL;
    }
    ap_err err = fill(d, slot, t, c, l, &data);
    if (!err) err = ap_graph_add_input(x->model->graph, draw_name(d, "x"), t, &v);
    if (err) {
        ap_tensor_free(&data);
        return failed(d, err);
    }
    x->feeds[x->feed_count++] = (feed){.v = v, .t = data, .lo = l.lo, .hi = l.hi, .assumed = assumed};
    return v;
}

static ap_value *add_constant(draw *d, int slot, const ap_value_type *t, value_class c, value_limits l) {
    ap_tensor data = {0};
    ap_value *v = NULL;
    ap_err err = fill(d, slot, t, c, l, &data);
    if (!err) err = ap_graph_add_initializer(d->x->model->graph, draw_name(d, "c"), &data, &v);
    ap_tensor_free(&data);
    return err ? failed(d, err) : v;
}

static ap_value *add_op(draw *d, const char *op, ap_value **in, size_t count, Onnx__AttributeProto *at,
                        size_t output, const ap_value_type *type) {
    const char *names[2] = {draw_name(d, "w"), output ? draw_name(d, "w") : NULL};
    ap_node *n = NULL;
    ap_err err = ap_graph_add_node(d->x->model->graph,
                                   &(ap_node_spec){.op = op,
                                                   .name = draw_name(d, "m"),
                                                   .inputs = in,
                                                   .input_count = count,
                                                   .outputs = names,
                                                   .output_count = output + 1,
                                                   .attrs = &at,
                                                   .attr_count = at ? 1 : 0},
                                   &n);
    if (err) return failed(d, err);
    ap_value_type first = *type;
    if (output) first.dtype = AP_F32;
    ap_value_declare(d->x->model->graph, n->outputs[0], &first);
    if (output) ap_value_declare(d->x->model->graph, n->outputs[1], type);
    return n->outputs[output];
}

static ap_value *cast_to(draw *d, ap_value *v, ap_value_type t, ap_dtype to) {
    t.dtype = to;
    return v ? add_op(d, "Cast", &v, 1, ap_attr_int(&d->x->model->arena, "to", (int64_t)to), 0, &t) : NULL;
}

// Indices of a full sort: along one axis all differ.
static ap_value *sorted_indices(draw *d, const ap_value_type *t) {
    ap_value_type x = *t, i = *t, one = {.dtype = AP_I64, .rank = 1, .dims = {1}};
    if (!t->rank) return add_constant(d, -1, t, VALUES_INTS, limits_of(NEED_DISTINCT, 0, INFINITY));
    size_t axis = choose(d->c, (uint32_t)t->rank);
    x.dtype = AP_F32;
    i.dtype = AP_I64;
    ap_tensor k = {0};
    ap_value *in[2] = {add_input(d, -1, &x, VALUES_NORMAL, limits_of(0, -INFINITY, INFINITY), false), NULL};
    ap_err err = ap_tensor_alloc(AP_I64, one.dims, 1, &k);
    if (!err) memcpy(k.data, &t->dims[axis], sizeof(int64_t));
    if (!err) err = ap_graph_add_initializer(d->x->model->graph, draw_name(d, "k"), &k, &in[1]);
    ap_tensor_free(&k);
    if (err || !in[0]) return err ? failed(d, err) : NULL;
    ap_value *v = add_op(d, "TopK", in, 2, ap_attr_int(&d->x->model->arena, "axis", (int64_t)axis), 1, &i);
    return t->dtype == AP_I64 ? v : cast_to(d, v, *t, t->dtype);
}

// Whole numbers of a float type.
static ap_value *whole_numbers(draw *d, const ap_value_type *t, unsigned n, value_class c) {
    static const char *const ops[] = {"Round", "Floor", "Ceil"};
    double lo, hi;
    ap_value_type from = *t;
    uint32_t how = choose(d->c, 4);
    draw_range(d, t->dtype, n, &lo, &hi);
    value_limits l = limits_of(n & ~(unsigned)NEED_INTEGRAL, lo, hi);
    l.finite = true;
    if (how < 3) {
        ap_value *v = add_input(d, -1, t, c, l, true);
        return v ? add_op(d, ops[how], &v, 1, NULL, 0, t) : NULL;
    }
    from.dtype = AP_I32;
    l.lo = fmax(l.lo, -2147483648.0);
    l.hi = fmin(l.hi, 2147483647.0);
    return cast_to(d, add_input(d, -1, &from, c, l, true), *t, t->dtype);
}

// Numbers from 0 by an operator that gives no others.
static ap_value *from_zero(draw *d, const ap_value_type *t, unsigned n, value_class c) {
    static const char *const ops[] = {"Relu", "Abs", "Sigmoid"};
    double lo, hi;
    bool bounded = (n & (NEED_BOUNDS | NEED_FINITE | NEED_NOTNAN)) != 0;
    draw_range(d, t->dtype, 0, &lo, &hi);
    value_limits l = limits_of(0, bounded ? lo : -INFINITY, bounded ? hi : INFINITY);
    l.finite = bounded;
    ap_value *v = add_input(d, -1, t, c, l, bounded);
    return v ? add_op(d, ops[choose(d->c, ap_dtype_is_float(t->dtype) ? 3 : 2)], &v, 1, NULL, 0, t) : NULL;
}

ap_value *draw_value(draw *d, int slot, bool constant, const operand *want) {
    unsigned n = slot >= 0 ? d->needs[slot] : 0;
    if (slot >= 0 && d->hopes[slot] && chance(d->c, 50)) n |= d->hopes[slot];
    if (slot >= 0 && d->dropped[slot] && chance(d->c, 30)) n |= d->dropped[slot] & NEED_BOUNDS;
    const ap_value_type *t = &want->type;
    value_class c = class_of(d);
    bool index = want->role == ROLE_INDEX, is_float = ap_dtype_is_float(t->dtype);
    double lo = want->lo, hi = want->hi;
    if (n & (NEED_NEG_INF | NEED_ROW_FINITE)) c = n & NEED_NEG_INF || chance(d->c, 50) ? VALUES_MASK : c;
    if (index) {
        c = VALUES_WIDE; // spread over the range by the limits
        if (n & (NEED_BOUNDS | NEED_NONNEG)) lo = chance(d->c, 80) ? 0 : lo;
        value_limits l = {
            .lo = lo, .hi = hi, .finite = true, .integral = true, .distinct = n & NEED_DISTINCT};
        return constant || n & NEED_CONST || chance(d->c, 30) ? add_constant(d, slot, t, c, l)
                                                              : add_input(d, slot, t, c, l, n != 0);
    }
    bool fixed = constant || n & (NEED_CONST | NEED_NEG_INF | NEED_ROW_FINITE) || chance(d->c, n ? 25 : 12);
    if (fixed && n & NEED_BOUNDS) draw_range(d, t->dtype, n, &lo, &hi);
    if (fixed) return add_constant(d, slot, t, c, limits_of(n, lo, hi));
    if (n & NEED_DISTINCT) return sorted_indices(d, t);
    if (n & NEED_INTEGRAL && is_float) return whole_numbers(d, t, n, c);
    if (n & NEED_NONNEG && !(n & (NEED_POS | NEED_NONZERO)) && t->dtype != AP_BOOL && chance(d->c, 50))
        return from_zero(d, t, n, c);
    unsigned asked = n & (NEED_NONNEG | NEED_POS | NEED_NONZERO | NEED_FINITE | NEED_NOTNAN | NEED_BOUNDS);
    if (!asked || t->dtype == AP_BOOL) return add_input(d, slot, t, c, limits_of(0, lo, hi), false);
    draw_range(d, t->dtype, n, &lo, &hi);
    value_limits l = limits_of(0, fmax(lo, want->lo), fmin(hi, want->hi));
    l.finite = true;
    return add_input(d, slot, t, c, l, true);
}
