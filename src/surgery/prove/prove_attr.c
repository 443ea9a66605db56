// SPDX-License-Identifier: Apache-2.0
// Attributes of drawn nodes.
#include "surgery/prove/prove_priv.h"

#include <stdlib.h>
#include <string.h>

static const ap_rule_attr *listed(const op_draw *q, const char *name) {
    for (size_t i = 0; i < q->n->attr_count; i++)
        if (!strcmp(q->n->attrs[i].name, name)) return &q->n->attrs[i];
    return NULL;
}

bool attr_is_free(const op_draw *q, const char *name) {
    const ap_rule_attr *at = listed(q, name);
    return at ? at->any || (at->slot >= 0 && q->d->m.slots[at->slot].kind == AP_VAL_UNKNOWN) : q->n->rest;
}

// What the attribute has to be. UNKNOWN: free.
static ap_val demanded(op_draw *q, const char *name, const ap_op_attr *schema, size_t rank) {
    const ap_rule_attr *at = listed(q, name);
    ap_val v = {.kind = AP_VAL_UNKNOWN};
    if (at && at->any) return v;
    if (at && at->slot >= 0) return q->d->m.slots[at->slot];
    if (at) return eval_expr(&q->d->e, at->expr);
    if (q->n->rest || (schema && schema->required)) return v;
    return schema ? val_of_default(&q->d->x->arena, schema, rank, true) : v;
}

static ap_val hinted(op_draw *q, const char *name, ap_val v) {
    const ap_rule_attr *at = listed(q, name);
    const ap_rule_draw *hint = at && at->slot >= 0 ? draw_hint(q->d, at->slot) : NULL;
    if (!hint || hint->like >= 0) return v;
    ap_val from = eval_expr(&q->d->e, hint->from), to = eval_expr(&q->d->e, hint->to);
    double a, b;
    if (from.kind == AP_VAL_INT && to.kind == AP_VAL_INT && to.i >= from.i && to.i - from.i < 1 << 30)
        return val_int(from.i + (int64_t)choose(q->d->c, (uint32_t)(to.i - from.i + 1)));
    if (val_number(&from, &a) && val_number(&to, &b)) return val_real(a + (b - a) * choose(q->d->c, 65) / 64);
    return v;
}

static void take(op_draw *q, const char *name, ap_val v) {
    const ap_rule_attr *at = listed(q, name);
    if (at && at->slot >= 0) q->d->m.slots[at->slot] = v;
}

static Onnx__AttributeProto *made_of(op_draw *q, const ap_op_attr *schema, const ap_val *v) {
    ap_arena *a = &q->d->x->model->arena;
    double x;
    if (v->kind == AP_VAL_LIST) {
        int64_t list[64];
        size_t n = v->list.count < 64 ? v->list.count : 64;
        for (size_t i = 0; i < n; i++) list[i] = v->list.items[i].i;
        return ap_attr_ints(a, schema->name, list, n);
    }
    if (v->kind == AP_VAL_TEXT) return ap_attr_string(a, schema->name, v->s);
    if (v->kind == AP_VAL_DTYPE) return ap_attr_int(a, schema->name, (int64_t)v->t);
    if (schema->kind == 'f' && val_number(v, &x)) return ap_attr_float(a, schema->name, (float)x);
    return v->kind == AP_VAL_INT ? ap_attr_int(a, schema->name, v->i) : NULL;
}

// Settles an attribute: `proposal` where the rule leaves it free.
static ap_val settle(op_draw *q, const char *name, ap_val proposal, size_t rank) {
    draw *d = q->d;
    const ap_op_attr *schema = ap_op_attr_find(q->s, name, d->opset);
    const ap_op_attr *any = schema ? schema : ap_op_attr_find(q->s, name, 0);
    ap_val fallback = any ? val_of_default(&d->x->arena, any, rank, true) : (ap_val){.kind = AP_VAL_ABSENT};
    ap_val v = demanded(q, name, any, rank);
    bool known, same;
    if (v.kind == AP_VAL_UNKNOWN) v = hinted(q, name, proposal);
    if (!schema) { // not there in this opset
        same = val_equal(&v, &fallback, &known);
        if (attr_is_free(q, name))
            v = fallback;
        else if (!known || !same)
            give_up(d, "%s has no attribute %s in opset %lld", q->op, name, (long long)d->opset);
        take(q, name, v);
        return v;
    }
    take(q, name, v);
    if (v.kind == AP_VAL_ABSENT || v.kind == AP_VAL_UNKNOWN) return v;
    same = val_equal(&v, &fallback, &known);
    if (known && same && chance(d->c, 50)) return v;
    Onnx__AttributeProto *at = made_of(q, schema, &v);
    if (at && q->attr_count < 24) q->attrs[q->attr_count++] = at;
    return v;
}

int64_t attr_int(op_draw *q, const char *name, int64_t value) {
    ap_val v = settle(q, name, val_int(value), 0);
    double x;
    return v.kind == AP_VAL_INT     ? v.i
           : v.kind == AP_VAL_DTYPE ? (int64_t)v.t
           : val_number(&v, &x)     ? (int64_t)x
                                    : value;
}

double attr_real(op_draw *q, const char *name, double value) {
    ap_val v = settle(q, name, val_real((double)(float)value), 0);
    double x;
    return val_number(&v, &x) ? x : value;
}

const char *attr_text(op_draw *q, const char *name, const char *value) {
    ap_val v = settle(q, name, (ap_val){.kind = AP_VAL_TEXT, .s = value}, 0);
    return v.kind == AP_VAL_TEXT ? v.s : value;
}

bool attr_ints(op_draw *q, const char *name, int64_t *list, size_t *count, size_t rank) {
    ap_val v = settle(q, name, val_ints(&q->d->e, list, *count), rank);
    if (v.kind != AP_VAL_LIST || v.list.count > 32) return !q->d->failed;
    *count = v.list.count;
    for (size_t i = 0; i < *count; i++) {
        if (v.list.items[i].kind != AP_VAL_INT)
            return give_up(q->d, "attribute %s holds no whole numbers", name);
        list[i] = v.list.items[i].i;
    }
    return !q->d->failed;
}
