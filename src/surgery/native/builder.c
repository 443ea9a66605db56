// SPDX-License-Identifier: Apache-2.0
// What natives build with. The first error is kept; everything after it does nothing.
#include "surgery/match/match_priv.h"
#include "surgery/native/native.h"
#include "tensor/convert.h"

#include <string.h>

struct ap_native_builder {
    build *to;
    ap_err err;
};

ap_err ap_native_run(build *to, const ap_native *n, ap_value **results) {
    ap_native_builder b = {.to = to};
    n->build(&b, to->m, results);
    return b.err;
}

// ---- reading the match

bool ap_native_type(const ap_native_builder *b, const ap_value *v, ap_value_type *out) {
    if (!v || !build_type(b->to, v, out)) return false;
    for (size_t i = 0; i < out->rank; i++)
        if (out->dims[i] < 0) return false;
    return out->dtype != AP_DTYPE_NONE;
}

ap_value *ap_native_operand(const ap_node *n, size_t i) {
    return i < n->input_count ? n->inputs[i] : NULL;
}

bool ap_native_constant_of(const ap_native_builder *b, const ap_value *v, ap_tensor *out) {
    return v && ap_value_constant(b->to->model, v, out);
}

float ap_native_float_attr(const ap_node *n, const char *name, float fallback) {
    const Onnx__AttributeProto *at = ap_node_attr(n, name);
    return at && at->has_f ? at->f : fallback;
}

const char *ap_native_text_attr(ap_native_builder *b, const ap_node *n, const char *name,
                                const char *fallback) {
    const Onnx__AttributeProto *at = ap_node_attr(n, name);
    if (!at) return fallback;
    return ap_arena_strndup(&b->to->m->arena, at->s.data ? (const char *)at->s.data : "", at->s.len);
}

void ap_native_ints_attr(const ap_node *n, const char *name, int64_t *out, size_t most, size_t *count) {
    const Onnx__AttributeProto *at = ap_node_attr(n, name);
    *count = at && at->n_ints < most ? at->n_ints : at ? most : 0;
    for (size_t i = 0; i < *count; i++) out[i] = at->ints[i];
}

// ---- building

ap_arena *ap_native_arena(ap_native_builder *b) {
    return &b->to->m->arena;
}

int64_t ap_native_opset(const ap_native_builder *b) {
    return b->to->model->opset;
}

bool ap_native_failed(const ap_native_builder *b) {
    return b->err != NULL;
}

static void *fail(ap_native_builder *b, ap_err err) {
    if (b->err)
        ap_err_free(err);
    else
        b->err = err;
    return NULL;
}

void *ap_native_refuse(ap_native_builder *b, const char *fmt, ...) {
    ap_buf text = {0};
    va_list args;
    if (b->err) return NULL;
    va_start(args, fmt);
    ap_buf_vprintf(&text, fmt, args);
    va_end(args);
    const char *rule = b->to->m->rule->name;
    fail(b, ap_err_subject(ap_err_new(AP_ERR_REFUSED, "rule %s: %s", rule, ap_buf_str(&text)), rule));
    ap_buf_free(&text);
    return NULL;
}

Onnx__AttributeProto *ap_native_int(ap_native_builder *b, const char *name, int64_t v) {
    return ap_attr_int(&b->to->model->arena, name, v);
}
Onnx__AttributeProto *ap_native_real(ap_native_builder *b, const char *name, float v) {
    return ap_attr_float(&b->to->model->arena, name, v);
}
Onnx__AttributeProto *ap_native_ints_of(ap_native_builder *b, const char *name, const int64_t *v,
                                        size_t count) {
    return ap_attr_ints(&b->to->model->arena, name, v, count);
}
Onnx__AttributeProto *ap_native_copied(ap_native_builder *b, const ap_node *n, const char *name) {
    const Onnx__AttributeProto *at = ap_node_attr(n, name);
    return at ? ap_attr_copy(&b->to->model->arena, at) : NULL;
}

ap_value *ap_native_add(ap_native_builder *b, const char *op, ap_value *const *inputs, size_t count,
                        ap_native_attrs attrs) {
    ap_node *made = NULL;
    size_t attr_count = 0;
    if (b->err) return NULL;
    if (b->to->node_count >= AP_NATIVE_MAX_NODES)
        return ap_native_refuse(b, "more than %d nodes", (int)AP_NATIVE_MAX_NODES);
    const ap_op_schema *s = ap_op_find(b->to->m->env.rules->ops, "", op);
    if (!s) return ap_native_refuse(b, "there is no operator %s", op);
    while (attrs && attrs[attr_count]) attr_count++;
    ap_err err = build_op(b->to, s,
                          &(ap_node_spec){.inputs = inputs,
                                          .input_count = count,
                                          .output_count = 1,
                                          .attrs = attrs,
                                          .attr_count = attr_count},
                          &made);
    return err ? fail(b, err) : made->outputs[0];
}

ap_value *ap_native_constant(ap_native_builder *b, const ap_tensor *t) {
    ap_value *v = NULL;
    if (b->err || !t) return NULL;
    ap_err err = build_const(b->to, t, &v);
    return err ? fail(b, err) : v;
}

ap_value *ap_native_ints(ap_native_builder *b, const int64_t *items, size_t count) {
    int64_t dim = (int64_t)count;
    ap_tensor *t = ap_native_tensor(b, AP_I64, &dim, 1);
    if (t && count) memcpy(t->data, items, count * sizeof *items);
    return ap_native_constant(b, t);
}

ap_value *ap_native_scalar(ap_native_builder *b, ap_dtype t, double x) {
    ap_tensor *made = ap_native_tensor(b, t, NULL, 0);
    if (made) ap_tensor_put_f64(made, 0, 1, &x);
    return ap_native_constant(b, made);
}

ap_tensor *ap_native_tensor(ap_native_builder *b, ap_dtype t, const int64_t *dims, size_t rank) {
    ap_tensor *made = NULL;
    if (b->err) return NULL;
    ap_val v = val_tensor(&b->to->e, t, dims, rank, &made);
    return v.kind == AP_VAL_TENSOR ? made : ap_native_refuse(b, "a constant is too large");
}

// ---- shorthands

#define INPUTS(...)                                                                                          \
    ((ap_value *const[]){__VA_ARGS__}), sizeof((ap_value *const[]){__VA_ARGS__}) / sizeof(ap_value *)

ap_value *ap_native_unary(ap_native_builder *b, const char *op, ap_value *x) {
    return ap_native_add(b, op, INPUTS(x), NULL);
}
ap_value *ap_native_binary(ap_native_builder *b, const char *op, ap_value *x, ap_value *y) {
    return ap_native_add(b, op, INPUTS(x, y), NULL);
}
ap_value *ap_native_where(ap_native_builder *b, ap_value *c, ap_value *x, ap_value *y) {
    return ap_native_add(b, "Where", INPUTS(c, x, y), NULL);
}
ap_value *ap_native_cast(ap_native_builder *b, ap_value *x, ap_dtype to) {
    return ap_native_add(b, "Cast", INPUTS(x), AP_NATIVE_ATTRS(ap_native_int(b, "to", (int64_t)to)));
}

ap_value *ap_native_reshape(ap_native_builder *b, ap_value *x, const int64_t *dims, size_t rank) {
    return ap_native_add(b, "Reshape", INPUTS(x, ap_native_ints(b, dims, rank)), NULL);
}

ap_value *ap_native_transpose(ap_native_builder *b, ap_value *x, const int64_t *perm, size_t rank) {
    bool same = true;
    for (size_t i = 0; i < rank; i++) same &= perm[i] == (int64_t)i;
    if (same) return b->err ? NULL : x;
    return ap_native_add(b, "Transpose", INPUTS(x),
                         AP_NATIVE_ATTRS(ap_native_ints_of(b, "perm", perm, rank)));
}

ap_value *ap_native_slice(ap_native_builder *b, ap_value *x, int64_t axis, int64_t from, int64_t to,
                          int64_t step) {
    if (ap_native_opset(b) < 10) {
        if (step != 1)
            return ap_native_refuse(b, "Slice has no steps in opset %lld", (long long)ap_native_opset(b));
        return ap_native_add(b, "Slice", INPUTS(x),
                             AP_NATIVE_ATTRS(ap_native_ints_of(b, "starts", &from, 1),
                                             ap_native_ints_of(b, "ends", &to, 1),
                                             ap_native_ints_of(b, "axes", &axis, 1)));
    }
    return ap_native_add(b, "Slice",
                         INPUTS(x, ap_native_ints(b, &from, 1), ap_native_ints(b, &to, 1),
                                ap_native_ints(b, &axis, 1), step == 1 ? NULL : ap_native_ints(b, &step, 1)),
                         NULL);
}

ap_value *ap_native_concat(ap_native_builder *b, ap_value *const *parts, size_t count, int64_t axis) {
    if (count == 1) return b->err ? NULL : parts[0];
    return ap_native_add(b, "Concat", parts, count, AP_NATIVE_ATTRS(ap_native_int(b, "axis", axis)));
}

ap_value *ap_native_gather(ap_native_builder *b, ap_value *x, const int64_t *items, size_t count,
                           int64_t axis) {
    return ap_native_add(b, "Gather", INPUTS(x, ap_native_ints(b, items, count)),
                         AP_NATIVE_ATTRS(ap_native_int(b, "axis", axis)));
}

ap_value *ap_native_reduce(ap_native_builder *b, const char *op, ap_value *x, const int64_t *axes,
                           size_t count, bool keep) {
    const ap_op_schema *s = ap_op_find(b->to->m->env.rules->ops, "", op);
    Onnx__AttributeProto *k = ap_native_int(b, "keepdims", keep);
    if (!s || s->input_count < 2) return ap_native_refuse(b, "%s is no reduction", op);
    if (ap_native_opset(b) < s->inputs[1].since)
        return ap_native_add(b, op, INPUTS(x), AP_NATIVE_ATTRS(k, ap_native_ints_of(b, "axes", axes, count)));
    return ap_native_add(b, op, INPUTS(x, ap_native_ints(b, axes, count)), AP_NATIVE_ATTRS(k));
}
