// SPDX-License-Identifier: Apache-2.0
// Turns the nodes of a rule into nodes of a graph.
#include "surgery/match/match_priv.h"
#include "tensor/convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INPUTS = 128 };

static ap_err refuse(const build *b, const char *fmt, ...) AP_PRINTF(2, 3);
static ap_err refuse(const build *b, const char *fmt, ...) {
    ap_buf text = {0};
    va_list args;
    va_start(args, fmt);
    ap_buf_vprintf(&text, fmt, args);
    va_end(args);
    ap_err err = ap_err_new(AP_ERR_REFUSED, "rule %s: %s", b->m->rule->name, ap_buf_str(&text));
    ap_buf_free(&text);
    return ap_err_subject(err, b->m->rule->name);
}

// ---- types

static bool own_type(void *user, const ap_value *v, ap_value_type *out) {
    return build_type(user, v, out);
}

bool build_type(build *b, const ap_value *v, ap_value_type *out) {
    const ap_value_type *mine = ap_map_get(&b->types, v->name);
    if (mine && mine->rank != SIZE_MAX) {
        *out = *mine;
        return true;
    }
    if (mine) return false;
    return b->foreign ? ap_type_of(NULL, v, out) : ap_type_of(&b->m->env.types, v, out);
}

static ap_dtype build_dtype(build *b, const ap_value *v) {
    const ap_value_type *mine = ap_map_get(&b->types, v->name);
    ap_value_type t;
    return mine ? mine->dtype : build_type(b, v, &t) ? t.dtype : AP_DTYPE_NONE;
}

static void note_types(build *b, const ap_node *n) {
    ap_match_env env = b->m->env;
    env.model = b->model;
    env.types = (ap_type_source){own_type, b};
    ap_value_type *types = ap_arena_calloc(&b->m->arena, n->output_count, sizeof *types);
    ap_infer_node(&env, n, types);
    for (size_t i = 0; i < n->output_count; i++)
        if (n->outputs[i]) ap_map_set(&b->types, n->outputs[i]->name, &types[i]);
}

// ---- constants

static void remember_const(build *b, ap_value *v) {
    if (b->const_count == b->const_cap) {
        b->const_cap = b->const_cap ? 2 * b->const_cap : 16;
        b->consts = ap_realloc(b->consts, b->const_cap * sizeof *b->consts);
    }
    b->consts[b->const_count++] = v;
}

static const char *next_name(build *b) {
    char *base = ap_arena_printf(&b->m->arena, "%s.%zu", b->prefix, b->names++);
    return ap_graph_free_name(b->model->graph, base);
}

ap_err build_const(build *b, const ap_tensor *t, ap_value **out) {
    ap_err err = ap_graph_add_initializer(b->model->graph, next_name(b), t, out);
    if (!err) remember_const(b, *out);
    return err;
}

static bool fits(const ap_tensor *t, size_t i, double x) {
    if (ap_dtype_is_int(t->dtype) || t->dtype == AP_BOOL)
        return x == floor(x) && x >= ap_dtype_lowest(t->dtype) && x <= ap_dtype_highest(t->dtype);
    return !isfinite(x) || isfinite(ap_tensor_at(t, i)); // rounding is what a literal means
}

// A number or list as a constant of this type. `one_d`: a single number becomes a list of one.
static ap_err literal(build *b, const ap_val *v, ap_dtype dtype, ap_tensor **out) {
    bool list = v->kind == AP_VAL_LIST;
    int64_t n = list ? (int64_t)v->list.count : 1;
    double x;
    if (val_tensor(&b->e, dtype, &n, list ? 1 : 0, out).kind == AP_VAL_UNKNOWN)
        return refuse(b, "a constant is too large");
    for (int64_t i = 0; i < n; i++) {
        const ap_val *item = list ? &v->list.items[i] : v;
        if (!val_number(item, &x)) return refuse(b, "a constant is made of what is no number");
        if (item->kind == AP_VAL_INT && dtype == AP_I64)
            memcpy((char *)(*out)->data + 8 * i, &item->i, 8);
        else
            ap_tensor_put_f64(*out, (size_t)i, 1, &x);
        if (dtype != AP_I64 && !fits(*out, (size_t)i, x))
            return refuse(b, "the constant %g does not fit %s", x, ap_dtype_name(dtype));
    }
    return NULL;
}

// ---- operands

// What one node is being given.
typedef struct inputs {
    ap_value *values[MOST_INPUTS];
    ap_val pending[MOST_INPUTS]; // constants whose type is not settled yet; kind UNKNOWN: none
    size_t count;
    bool data_absent; // the first operand is an optional that is not there
} inputs;

static ap_err push(build *b, inputs *in, ap_value *v, ap_val pending) {
    if (in->count == MOST_INPUTS)
        return refuse(b, "an operator with more than %d operands", (int)MOST_INPUTS);
    in->values[in->count] = v;
    in->pending[in->count++] = pending;
    return NULL;
}

static const ap_val nothing = {.kind = AP_VAL_UNKNOWN};

static ap_err push_val(build *b, inputs *in, const ap_val *v) {
    ap_tensor t;
    switch (v->kind) {
    case AP_VAL_ABSENT:
        if (!in->count) in->data_absent = true;
        return push(b, in, NULL, nothing);
    case AP_VAL_VALUE:
        if (!b->foreign) return push(b, in, v->value, nothing);
        if (!val_constant(&b->e, v, &t)) return refuse(b, "\"%s\" is no constant", v->value->name);
        {
            ap_value *copy = NULL;
            ap_err err = build_const(b, &t, &copy);
            return err ? err : push(b, in, copy, nothing);
        }
    case AP_VAL_UNKNOWN: return refuse(b, "an operand is not known: %s", b->e.why);
    default: return push(b, in, NULL, *v);
    }
}

static ap_err push_arg(build *b, inputs *in, const ap_rule_arg *a, made_outs *made);

static ap_err push_each(build *b, inputs *in, const ap_rule_arg *a) {
    ap_val from = eval_expr(&b->e, a->from), to = eval_expr(&b->e, a->to);
    if (from.kind != AP_VAL_INT || to.kind != AP_VAL_INT)
        return refuse(b, "bounds of a list of operands are not known");
    ap_val saved = b->m->slots[a->slot];
    ap_err err = NULL;
    if (to.i >= from.i && (uint64_t)to.i - (uint64_t)from.i >= 64)
        return refuse(b, "more than 64 operands in a list");
    for (int64_t i = from.i; !err && i <= to.i; i++) {
        made_outs *made;
        b->m->slots[a->slot] = val_int(i);
        err = build_nodes(b, a->body, a->body_count, &made);
        if (!err) err = push(b, in, made[a->body_count - 1][0], nothing);
        if (i == INT64_MAX) break;
    }
    b->m->slots[a->slot] = saved;
    return err;
}

static ap_err push_arg(build *b, inputs *in, const ap_rule_arg *a, made_outs *made) {
    ap_err err = NULL;
    ap_val v = {.kind = AP_VAL_ABSENT};
    switch (a->kind) {
    case AP_ARG_NODE:
        if (!made[a->node][a->output]) return push_val(b, in, &v);
        return push(b, in, made[a->node][a->output], nothing);
    case AP_ARG_EACH: return push_each(b, in, a);
    case AP_ARG_REST:
        for (size_t i = 0; !err && i < b->m->slots[a->slot].list.count; i++)
            err = push_val(b, in, &b->m->slots[a->slot].list.items[i]);
        return err;
    case AP_ARG_EXPR: v = eval_expr(&b->e, a->expr); break;
    case AP_ARG_VALUE: v = b->m->slots[a->slot]; break;
    default: break;
    }
    if (b->e.err) return refuse(b, "%s", ap_err_message(b->e.err));
    return push_val(b, in, &v);
}

// ---- settling constants

static ap_dtype variable(build *b, const ap_op_schema *s, const inputs *in, ap_operand_type type) {
    for (size_t i = 0; i < in->count; i++) {
        const ap_op_operand *o = ap_op_input(s, i);
        if (!o || o->type != type) continue;
        if (in->values[i]) return build_dtype(b, in->values[i]);
        if (in->pending[i].kind == AP_VAL_TENSOR) return in->pending[i].tensor->dtype;
    }
    return AP_DTYPE_NONE;
}

static ap_dtype operand_dtype(build *b, const ap_op_schema *s, const inputs *in, const ap_op_operand *o) {
    ap_dtype t = ap_operand_dtype(o->type);
    return t ? t : variable(b, s, in, o->type);
}

static ap_err settle(build *b, const ap_op_schema *s, inputs *in) {
    ap_err err = NULL;
    for (size_t i = 0; !err && i < in->count; i++) {
        const ap_val *v = &in->pending[i];
        if (v->kind == AP_VAL_UNKNOWN) continue;
        const ap_op_operand *o = ap_op_input(s, i);
        if (!o) return refuse(b, "%s has no operand %zu", s->op, i + 1);
        ap_tensor *t = (ap_tensor *)(uintptr_t)v->tensor;
        if (v->kind != AP_VAL_TENSOR) {
            ap_dtype dtype = operand_dtype(b, s, in, o);
            if (!dtype)
                return refuse(b, "the element type of a constant of %s is not known; cast() says it", s->op);
            err = literal(b, v, dtype, &t);
        }
        if (!err) err = build_const(b, t, &in->values[i]);
    }
    return err;
}

// ---- attributes

static float to_float(double x) {
    return (float)x;
}

static Onnx__AttributeProto *list_attr(build *b, const ap_op_attr *want, const ap_val *v) {
    ap_arena *a = &b->model->arena;
    size_t n = v->list.count;
    int64_t *ints = ap_arena_calloc(&b->m->arena, n, sizeof *ints);
    float *floats = ap_arena_calloc(&b->m->arena, n, sizeof *floats);
    for (size_t i = 0; i < n; i++) {
        double x;
        if (!val_number(&v->list.items[i], &x)) return NULL;
        if (want->kind == 'I' && v->list.items[i].kind == AP_VAL_REAL) return NULL;
        ints[i] = v->list.items[i].i;
        floats[i] = to_float(x);
    }
    return want->kind == 'I'   ? ap_attr_ints(a, want->name, ints, n)
           : want->kind == 'F' ? ap_attr_floats(a, want->name, floats, n)
                               : NULL;
}

static Onnx__AttributeProto *make_attr(build *b, const ap_op_attr *want, const ap_val *v) {
    ap_arena *a = &b->model->arena;
    double x;
    if (v->kind == AP_VAL_LIST) return list_attr(b, want, v);
    if (want->kind == 's') return v->kind == AP_VAL_TEXT ? ap_attr_string(a, want->name, v->s) : NULL;
    if (want->kind == 't') return v->kind == AP_VAL_TENSOR ? ap_attr_tensor(a, want->name, v->tensor) : NULL;
    if (want->kind == 'i' && v->kind == AP_VAL_DTYPE) return ap_attr_int(a, want->name, (int64_t)v->t);
    if (want->kind == 'i' && v->kind == AP_VAL_INT) return ap_attr_int(a, want->name, v->i);
    if (want->kind == 'i' && v->kind == AP_VAL_BOOL) return ap_attr_int(a, want->name, v->b);
    if (want->kind == 'f' && val_number(v, &x)) return ap_attr_float(a, want->name, to_float(x));
    return NULL;
}

static bool is_default(build *b, const ap_op_attr *at, const ap_val *v) {
    bool known;
    ap_val d = val_of_default(&b->m->arena, at, 0, false);
    return val_equal(&d, v, &known) && known;
}

typedef struct attr_list {
    Onnx__AttributeProto *items[48];
    size_t count;
} attr_list;

static ap_err push_attr(build *b, const ap_op_schema *s, const ap_rule_attr *at, attr_list *out) {
    ap_val v = eval_expr(&b->e, at->expr);
    if (v.kind == AP_VAL_ABSENT) return NULL; // an attribute the matched node does not have
    if (v.kind == AP_VAL_UNKNOWN) return refuse(b, "attribute %s is not known: %s", at->name, b->e.why);
    const ap_op_attr *want = ap_op_attr_find(s, at->name, b->model->opset);
    if (!want) {
        const ap_op_attr *other = ap_op_attr_find(s, at->name, 0);
        if (other && is_default(b, other, &v)) return NULL;
        return refuse(b, "%s has no attribute %s in opset %lld", s->op, at->name, (long long)b->model->opset);
    }
    Onnx__AttributeProto *made = make_attr(b, want, &v);
    if (!made) return refuse(b, "attribute %s of %s is of another kind", at->name, s->op);
    out->items[out->count++] = made;
    return NULL;
}

// Operands that are attributes in this opset.
static ap_err move_to_attrs(build *b, const ap_op_schema *s, inputs *in, attr_list *out) {
    for (size_t i = 0; i < s->input_count && i < in->count; i++) {
        const ap_op_operand *o = &s->inputs[i];
        if (!o->attr || b->model->opset >= o->since) continue;
        ap_val v = in->pending[i];
        if (in->values[i]) v = (ap_val){.kind = AP_VAL_VALUE, .value = in->values[i]};
        in->values[i] = NULL;
        in->pending[i] = nothing;
        if (v.kind == AP_VAL_UNKNOWN) continue;
        bool number = o->type == AP_OPERAND_T || !strcmp(o->attr, "k");
        ap_op_attr want = {.name = o->attr,
                           .kind = o->type == AP_OPERAND_T     ? 'f'
                                   : number                    ? 'i'
                                   : o->type == AP_OPERAND_F32 ? 'F'
                                                               : 'I'};
        ap_expr call = {.kind = AP_EXPR_CALL, .text = number ? "value" : "list", .count = 1};
        ap_val plain = v.kind == AP_VAL_LIST || v.kind == AP_VAL_INT || v.kind == AP_VAL_REAL
                           ? v
                           : eval_call(&b->e, &call, &v);
        if (number && plain.kind == AP_VAL_LIST && plain.list.count == 1) plain = plain.list.items[0];
        Onnx__AttributeProto *made = make_attr(b, &want, &plain);
        if (!made)
            return refuse(b, "%s of %s must be constant in opset %lld", o->attr, s->op,
                          (long long)b->model->opset);
        out->items[out->count++] = made;
    }
    return NULL;
}

static ap_err collect_attrs(build *b, const ap_rule_node *n, const ap_op_schema *s, inputs *in,
                            attr_list *out) {
    ap_err err = move_to_attrs(b, s, in, out);
    for (size_t i = 0; !err && i < n->attr_count; i++) err = push_attr(b, s, &n->attrs[i], out);
    if (err || n->rest_slot < 0) return err;
    const ap_val *rest = &b->m->slots[n->rest_slot];
    for (size_t i = 0; i < rest->attrs.count && out->count < 40; i++)
        out->items[out->count++] = ap_attr_copy(&b->model->arena, rest->attrs.items[i]);
    return NULL;
}

// ---- nodes

static void remember_node(build *b, ap_node *n) {
    if (b->node_count == b->node_cap) {
        b->node_cap = b->node_cap ? 2 * b->node_cap : 16;
        b->nodes = ap_realloc(b->nodes, b->node_cap * sizeof *b->nodes);
    }
    b->nodes[b->node_count++] = n;
}

ap_err build_op(build *b, const ap_op_schema *s, const ap_node_spec *spec, ap_node **out) {
    const char *name = NULL;
    ap_node_spec full = *spec;
    full.op = s->op;
    full.domain = s->domain;
    full.before = b->before;
    if (!*s->domain && b->model->opset < s->since)
        return refuse(b, "%s needs opset %lld, the model has %lld", s->op, (long long)s->since,
                      (long long)b->model->opset);
    if (!full.outputs) {
        name = next_name(b);
        full.outputs = &name;
    }
    ap_err err = ap_graph_add_node(b->model->graph, &full, out);
    if (err) return err;
    remember_node(b, *out);
    note_types(b, *out);
    return NULL;
}

static ap_err add_node(build *b, const ap_rule_node *n, const ap_op_schema *s, inputs *in, made_outs outs) {
    attr_list attrs = {.count = 0};
    const char *names[16] = {0};
    ap_node *made = NULL;
    ap_err err = collect_attrs(b, n, s, in, &attrs);
    if (!err) err = settle(b, s, in);
    if (err) return err;
    size_t given = in->count;
    while (given && !in->values[given - 1]) given--;
    for (size_t i = 0; i < n->out_count && i < 16; i++)
        names[i] = n->outs[i].name || !i ? next_name(b) : NULL;
    err = build_op(b, s,
                   &(ap_node_spec){.inputs = in->values,
                                   .input_count = given,
                                   .outputs = names,
                                   .output_count = n->out_count,
                                   .attrs = attrs.items,
                                   .attr_count = attrs.count},
                   &made);
    if (err) return err;
    for (size_t i = 0; i < made->output_count; i++) outs[i] = made->outputs[i];
    return NULL;
}

static ap_err build_node(build *b, const ap_rule_node *n, made_outs *made, made_outs outs) {
    const char *op = n->as_slot >= 0 ? b->m->slots[n->as_slot].s : n->ops[0];
    const ap_op_schema *s = ap_op_find(b->m->env.rules->ops, n->domain, op);
    if (!s) return refuse(b, "there is no operator %s", op);
    inputs *in = ap_calloc(1, sizeof *in);
    ap_err err = NULL;
    for (size_t i = 0; !err && i < n->arg_count; i++) err = push_arg(b, in, &n->args[i], made);
    // An absent optional stays absent through what is done to it.
    if (!err && !in->data_absent) err = add_node(b, n, s, in, outs);
    free(in);
    if (err) return err;
    for (size_t i = 0; i < n->out_count; i++)
        if (n->outs[i].slot >= 0)
            b->m->slots[n->outs[i].slot] =
                outs[i] ? (ap_val){.kind = AP_VAL_VALUE, .value = outs[i]} : (ap_val){.kind = AP_VAL_ABSENT};
    return NULL;
}

ap_err build_nodes(build *b, const ap_rule_node *nodes, size_t count, made_outs **made) {
    made_outs *all = ap_arena_calloc(&b->m->arena, count, sizeof *all);
    ap_err err = NULL;
    for (size_t i = 0; !err && i < count; i++) {
        all[i] = ap_arena_calloc(&b->m->arena, nodes[i].out_count + 1, sizeof *all[i]);
        err = build_node(b, &nodes[i], all, all[i]);
    }
    if (!err) *made = all;
    return err;
}

void build_undo(build *b) {
    ap_graph *g = b->model->graph;
    for (size_t i = b->node_count; i-- > 0;) ap_err_free(ap_graph_remove_node(g, b->nodes[i]));
    for (size_t i = b->const_count; i-- > 0;) ap_err_free(ap_graph_remove_initializer(g, b->consts[i]));
    b->node_count = b->const_count = 0;
}

void build_release(build *b) {
    ap_err_free(b->e.err);
    b->e.err = NULL;
    free(b->nodes);
    free(b->consts);
    ap_map_free(&b->types);
}
