// SPDX-License-Identifier: Apache-2.0
// Shapes and element types of an instance: what the pattern demands, else drawn.
#include "surgery/prove/prove_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t MOST_ELEMENTS = 20000; // of one value

// ---- shapes

int64_t draw_dim(draw *d) {
    static const int64_t sizes[] = {1, 2, 3, 5, 7, 8};
    uint32_t v = choose(d->c, 60);
    return v < 54 ? sizes[v / 9] : v < 56 ? 4 : v < 59 ? 6 : 17;
}

static int64_t named_dim(draw *d, int slot) {
    ap_val *v = &d->m.slots[slot];
    if (v->kind == AP_VAL_INT) return v->i;
    int64_t size = draw_dim(d);
    const ap_rule_draw *hint = draw_hint(d, slot);
    if (hint && hint->like < 0) {
        ap_val from = eval_expr(&d->e, hint->from), to = eval_expr(&d->e, hint->to);
        if (from.kind == AP_VAL_INT && to.kind == AP_VAL_INT && to.i >= from.i && to.i - from.i < 1 << 20)
            size = from.i + (int64_t)choose(d->c, (uint32_t)(to.i - from.i + 1));
    }
    *v = val_int(size);
    return size;
}

bool draw_fits(draw *d, const ap_value_type *t) {
    int64_t count = 1;
    for (size_t i = 0; i < t->rank; i++) {
        count *= t->dims[i] > 0 ? t->dims[i] : 1;
        if (count > MOST_ELEMENTS) return give_up(d, "a value that is too large");
    }
    return true;
}

bool draw_dims(draw *d, const ap_rule_type *t, size_t least, size_t most, ap_value_type *out) {
    size_t fixed = 0, extra = 0;
    bool open = !t->has_dims;
    for (size_t i = 0; t->has_dims && i < t->dim_count; i++)
        if (t->dims[i].kind == AP_DIM_REST)
            open = true;
        else
            fixed++;
    if (open) {
        if (most < fixed) most = fixed;
        if (least < fixed) least = fixed;
        extra = least - fixed + choose(d->c, (uint32_t)(most - least + 1));
    }
    out->rank = 0;
    if (!t->has_dims)
        while (out->rank < extra) out->dims[out->rank++] = draw_dim(d);
    for (size_t i = 0; t->has_dims && i < t->dim_count; i++) {
        const ap_rule_dim *w = &t->dims[i];
        if (w->kind == AP_DIM_REST) {
            size_t from = out->rank;
            if (w->slot >= 0 && d->m.slots[w->slot].kind == AP_VAL_LIST)
                extra = d->m.slots[w->slot].list.count;
            for (size_t k = 0; k < extra; k++) {
                bool known = w->slot >= 0 && d->m.slots[w->slot].kind == AP_VAL_LIST;
                out->dims[out->rank++] = known ? d->m.slots[w->slot].list.items[k].i : draw_dim(d);
            }
            if (w->slot >= 0) d->m.slots[w->slot] = val_ints(&d->e, out->dims + from, extra);
            continue;
        }
        out->dims[out->rank++] = w->kind == AP_DIM_SIZE   ? w->size
                                 : w->kind == AP_DIM_NAME ? named_dim(d, w->slot)
                                                          : draw_dim(d);
    }
    return draw_fits(d, out);
}

bool bind_dims(draw *d, const ap_rule_type *t, const ap_value_type *have) {
    if (!draw_fits(d, have)) return false;
    if (!t->given || !t->has_dims) return true;
    size_t fixed = 0, at = 0;
    bool open = false;
    for (size_t i = 0; i < t->dim_count; i++) {
        open |= t->dims[i].kind == AP_DIM_REST;
        fixed += t->dims[i].kind != AP_DIM_REST;
    }
    if (open ? have->rank < fixed : have->rank != fixed) return give_up(d, "a shape of another rank");
    for (size_t i = 0; i < t->dim_count; i++) {
        const ap_rule_dim *w = &t->dims[i];
        if (w->kind == AP_DIM_REST) {
            size_t extra = have->rank - fixed;
            if (w->slot >= 0) d->m.slots[w->slot] = val_ints(&d->e, have->dims + at, extra);
            at += extra;
            continue;
        }
        int64_t size = have->dims[at++];
        if (w->kind == AP_DIM_SIZE && w->size != size) return give_up(d, "a dimension of another size");
        if (w->kind != AP_DIM_NAME) continue;
        ap_val *v = &d->m.slots[w->slot];
        if (v->kind == AP_VAL_INT && v->i != size)
            return give_up(d, "'%s' stands for two sizes", d->rule->slots[w->slot]);
        *v = val_int(size);
    }
    return true;
}

// ---- element types

static const ap_dtype by_preference[] = {AP_F32, AP_F16,  AP_I64, AP_I32, AP_F64, AP_BOOL, AP_U8,
                                         AP_I8,  AP_BF16, AP_U16, AP_I16, AP_U32, AP_U64};

static bool is_illegal(const op_draw *q, ap_dtype t) {
    char key[96];
    int n = snprintf(key, sizeof key, "%s %s %lld", q->op, ap_dtype_name(t), (long long)q->d->opset);
    return q->d->illegal && n > 0 && (size_t)n < sizeof key && ap_map_has(q->d->illegal, key);
}

static ap_dtype pick_dtype(op_draw *q, uint64_t mask) {
    ap_dtype list[16];
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof by_preference / sizeof *by_preference; i++)
        if (mask >> by_preference[i] & 1 && !is_illegal(q, by_preference[i])) list[n++] = by_preference[i];
    if (!n) {
        give_up(q->d, "%s for no element type the oracle knows", q->op);
        return AP_F32;
    }
    return list[chance(q->d->c, 50) ? choose(q->d->c, n) : 0];
}

// The element type of a type variable: given by an operand that is there, a name, or chosen.
static ap_dtype settle_variable(op_draw *q, const op_domain *o, int var) {
    uint64_t mask = 0;
    int name = -1;
    for (size_t i = 0; i < q->n->arg_count && i < MOST_OPERANDS; i++) {
        const ap_op_operand *p = ap_op_input(q->s, i);
        const ap_rule_type *t = &q->n->args[i].type;
        if (!p || (int)p->type != var) continue;
        if (q->in[i].v) return q->in[i].type.dtype;
        if (t->given && t->dtypes) mask = mask ? mask & t->dtypes : t->dtypes;
        if (t->given && t->dtype_slot >= 0) name = t->dtype_slot;
    }
    for (size_t i = 0; i < q->n->out_count && i < q->s->output_count; i++)
        if ((int)q->s->outputs[i].type == var && q->n->outs[i].type.given && q->n->outs[i].type.dtypes)
            mask = mask ? mask & q->n->outs[i].type.dtypes : q->n->outs[i].type.dtypes;
    if (name >= 0 && q->d->m.slots[name].kind == AP_VAL_DTYPE) return q->d->m.slots[name].t;
    uint64_t legal = op_dtypes(o, var);
    ap_dtype t = pick_dtype(q, mask && mask & legal ? mask & legal : mask ? mask : legal);
    if (name >= 0) q->d->m.slots[name] = val_dtype(t);
    return t;
}

static bool uses_variable(const op_draw *q, int var) {
    for (size_t i = 0; i < q->s->input_count; i++)
        if ((int)q->s->inputs[i].type == var) return true;
    return false;
}

void draw_operand_types(op_draw *q, const op_domain *o) {
    bool two = strchr(o->dtypes, ',') != NULL, index = !strcmp(q->op, "OneHot");
    q->var[0] = uses_variable(q, AP_OPERAND_T) ? settle_variable(q, o, AP_OPERAND_T) : AP_F32;
    q->var[1] = two && uses_variable(q, AP_OPERAND_U) ? settle_variable(q, o, AP_OPERAND_U) : q->var[0];
    q->var[2] = index ? AP_I64 : ap_dtype_is_float(q->var[0]) ? q->var[0] : AP_F32;
    for (size_t i = 0; i < MOST_OPERANDS; i++) {
        const ap_op_operand *p = ap_op_input(q->s, i);
        const ap_rule_type *t = i < q->n->arg_count ? &q->n->args[i].type : NULL;
        if (!p) continue;
        q->in[i].lo = -INFINITY;
        q->in[i].hi = INFINITY;
        switch (p->type) {
        case AP_OPERAND_T:
        case AP_OPERAND_U:
        case AP_OPERAND_V: q->in[i].t = q->var[p->type]; break;
        case AP_OPERAND_I64: q->in[i].t = AP_I64; break;
        case AP_OPERAND_IDX: {
            uint64_t mask = UINT64_C(1) << AP_I64 | UINT64_C(1) << AP_I32;
            q->in[i].t = pick_dtype(q, t && t->dtypes ? t->dtypes & mask : mask);
            break;
        }
        case AP_OPERAND_BOOL: q->in[i].t = AP_BOOL; break;
        default: q->in[i].t = AP_F32;
        }
    }
}
