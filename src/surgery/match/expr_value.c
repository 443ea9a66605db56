// SPDX-License-Identifier: Apache-2.0
// Values of rules: making and reading them.
#include "surgery/match/match_priv.h"

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
