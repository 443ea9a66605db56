// SPDX-License-Identifier: Apache-2.0
// An instance of a rule's pattern, node by node, makers first.
#include "surgery/prove/prove_priv.h"
#include "tensor/convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool give_up(draw *d, const char *fmt, ...) {
    if (!d->failed) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(d->why, sizeof d->why, fmt, args);
        va_end(args);
    }
    d->failed = true;
    return false;
}

const char *draw_name(draw *d, const char *stem) {
    return ap_arena_printf(&d->x->arena, "%s%s%zu", d->x->prefix, stem, d->names++);
}

const ap_rule_draw *draw_hint(const draw *d, int slot) {
    for (size_t i = 0; i < d->rule->draw_count; i++)
        if (d->rule->draws[i].slot == slot) return &d->rule->draws[i];
    return NULL;
}

bool draw_type(const draw *d, const ap_value *v, ap_value_type *out) {
    (void)d;
    return ap_type_of(NULL, v, out);
}

// ---- operands

static void find_given(op_draw *q, ap_value *const *const *made) {
    for (size_t i = 0; i < q->n->arg_count && i < MOST_OPERANDS; i++) {
        const ap_rule_arg *a = &q->n->args[i];
        ap_value *v = NULL;
        if (a->kind == AP_ARG_NODE) v = made[a->node][a->output];
        if (a->kind == AP_ARG_VALUE && q->d->m.slots[a->slot].kind == AP_VAL_VALUE)
            v = q->d->m.slots[a->slot].value;
        if (!v) continue;
        q->in[i].v = v;
        if (!draw_type(q->d, v, &q->in[i].type)) give_up(q->d, "the type of an inner value is not known");
        if (i >= q->in_count) q->in_count = i + 1;
    }
}

static ap_value *add_constant(op_draw *q, const ap_tensor *t) {
    ap_value *v = NULL;
    ap_err err = ap_graph_add_initializer(q->d->x->model->graph, draw_name(q->d, "c"), t, &v);
    if (err) give_up(q->d, "%s", ap_err_message(err));
    ap_err_free(err);
    return v;
}

// A literal of the pattern, or an operand that is a list of numbers.
static ap_value *add_list(op_draw *q, const operand *in, const ap_rule_arg *a) {
    ap_tensor t = {0};
    double x = 0;
    bool literal = a && a->kind == AP_ARG_EXPR;
    if (literal) {
        ap_val v = eval_expr(&q->d->e, a->expr);
        if (!val_number(&v, &x)) give_up(q->d, "a literal that is not known");
    }
    ap_err err = ap_tensor_alloc(in->type.dtype, in->type.dims, in->type.rank, &t);
    for (size_t i = 0; !err && i < ap_tensor_count(&t); i++) {
        double item = literal ? x : i < 32 ? in->list[i] : 0;
        ap_tensor_put_f64(&t, i, 1, &item);
    }
    if (err) give_up(q->d, "%s", ap_err_message(err));
    ap_value *v = NULL;
    bool open = !literal && !(a && a->type.is_const) &&
                !(a && a->slot >= 0 && a->kind == AP_ARG_VALUE && q->d->needs[a->slot] & NEED_CONST);
    instance *x_ = q->d->x;
    if (!err && open && x_->feed_count < 24 && chance(q->d->c, 12)) { // not constant: the shape is then open
        err = ap_graph_add_input(x_->model->graph, draw_name(q->d, "n"), &in->type, &v);
        if (!err) {
            feed *f = &x_->feeds[x_->feed_count++];
            *f = (feed){.v = v, .t = t, .lo = -INFINITY, .hi = INFINITY};
            return v;
        }
    }
    ap_err_free(err);
    if (!q->d->failed) v = add_constant(q, &t);
    ap_tensor_free(&t);
    return v;
}

// The operand before i that has the same name: one value stands in both places.
static ap_value *same_name(const op_draw *q, size_t i, ap_value *const *values) {
    for (size_t k = 0; k < i; k++)
        if (q->n->args[k].kind == AP_ARG_VALUE && q->n->args[k].slot == q->n->args[i].slot) return values[k];
    return NULL;
}

static ap_value *make_operand(op_draw *q, size_t i, const ap_rule_arg *a, ap_value *const *values) {
    operand *in = &q->in[i];
    bool named = a && a->kind == AP_ARG_VALUE;
    if (in->v) return in->v;
    if (named && same_name(q, i, values)) return same_name(q, i, values);
    if (!in->wanted) return NULL;
    bool literal = a && a->kind == AP_ARG_EXPR;
    if (in->role == ROLE_LIST || literal) return add_list(q, in, a);
    return draw_value(q->d, named ? a->slot : -1, a && a->type.is_const, in);
}

// Old opsets have some operands as attributes.
static bool move_to_attr(op_draw *q, size_t i) {
    const ap_op_operand *o = ap_op_input(q->s, i);
    if (!o->attr || q->d->opset >= o->since || !q->in[i].wanted || q->in[i].v) return false;
    int64_t list[32];
    size_t n = q->in[i].type.rank ? (size_t)q->in[i].type.dims[0] : 1;
    for (size_t k = 0; k < n && k < 32; k++) list[k] = (int64_t)q->in[i].list[k];
    if (q->in[i].role != ROLE_LIST)
        give_up(q->d, "operand %zu of %s is an attribute in opset %lld", i + 1, q->op,
                (long long)q->d->opset);
    if (q->attr_count < 24)
        q->attrs[q->attr_count++] = ap_attr_ints(&q->d->x->model->arena, o->attr, list, n);
    return true;
}

static void bind_operands(op_draw *q, ap_value **values, size_t count) {
    for (size_t k = 0; k < q->n->arg_count; k++) {
        const ap_rule_arg *a = &q->n->args[k];
        if (a->kind == AP_ARG_VALUE && q->d->m.slots[a->slot].kind == AP_VAL_UNKNOWN)
            q->d->m.slots[a->slot] = k < count && values[k]
                                         ? (ap_val){.kind = AP_VAL_VALUE, .value = values[k]}
                                         : (ap_val){.kind = AP_VAL_ABSENT};
    }
}

// ---- nodes

static size_t name_outputs(op_draw *q, const char **names, bool *used) {
    size_t count = 0;
    for (size_t i = 0; i < q->n->out_count && i < 16; i++) {
        const ap_rule_out *o = &q->n->outs[i];
        unsigned needs = o->slot >= 0 ? q->d->needs[o->slot] : 0;
        uint32_t how = o->optional ? choose(q->d->c, 3) : 2;
        if (needs & NEED_UNUSED && how == 2 && chance(q->d->c, 90)) how = 0;
        names[i] = how ? draw_name(q->d, "v") : NULL;
        used[i] = o->optional && how == 2;
        if (names[i]) count = i + 1;
    }
    return count;
}

static void declare(draw *d, ap_node *n) {
    ap_value_type types[16];
    ap_match_env env = {.model = d->x->model, .rules = d->o->rules};
    if (n->output_count > 16) return;
    ap_infer_node(&env, n, types);
    for (size_t i = 0; i < n->output_count; i++) {
        if (!n->outputs[i]) continue;
        bool known = types[i].dtype && types[i].rank != SIZE_MAX;
        for (size_t k = 0; known && k < types[i].rank; k++) known = types[i].dims[k] >= 0;
        if (known) ap_value_declare(d->x->model->graph, n->outputs[i], &types[i]);
        if (!known) d->x->types_known = false;
        if (known) draw_fits(d, &types[i]);
    }
}

static bool add_node(op_draw *q, size_t index, ap_value **values, size_t count, ap_value ***made) {
    draw *d = q->d;
    const char *names[16] = {0};
    bool used[16] = {false};
    ap_node *node = NULL;
    ap_graph *g = d->x->model->graph;
    if (q->s->commutative && count == 2 && !q->n->ordered && chance(d->c, 30)) {
        ap_value *v = values[0];
        values[0] = values[1];
        values[1] = v;
    }
    size_t outs = name_outputs(q, names, used);
    if (*q->s->domain) ap_model_import(d->x->model, q->s->domain, 1);
    ap_node_spec spec = {.op = q->op,
                         .domain = q->s->domain,
                         .name = draw_name(d, "n"),
                         .inputs = values,
                         .input_count = count,
                         .outputs = names,
                         .output_count = outs,
                         .attrs = q->attrs,
                         .attr_count = q->attr_count};
    ap_err err = ap_graph_add_node(g, &spec, &node);
    if (err) {
        give_up(d, "%s", ap_err_message(err));
        ap_err_free(err);
        return false;
    }
    declare(d, node);
    made[index] = ap_arena_calloc(&d->x->arena, q->n->out_count + 1, sizeof **made);
    bool root = index == d->rule->root;
    for (size_t i = 0; i < q->n->out_count; i++) {
        ap_value *v = i < node->output_count ? node->outputs[i] : NULL;
        const ap_rule_out *o = &q->n->outs[i];
        made[index][i] = v;
        if (o->slot >= 0)
            d->m.slots[o->slot] =
                v ? (ap_val){.kind = AP_VAL_VALUE, .value = v} : (ap_val){.kind = AP_VAL_ABSENT};
        bool shown = v && ((root && !o->optional) || used[i] || (q->n->keep && chance(d->c, 40)));
        if (shown) err = ap_graph_add_output(g, v, NULL);
        if (err) give_up(d, "%s", ap_err_message(err));
        ap_err_free(err);
        err = NULL;
    }
    if (root) d->x->root = node;
    return !d->failed;
}

static bool draw_node(draw *d, size_t index, ap_value ***made) {
    const ap_rule_node *n = &d->rule->match[index];
    op_draw *q = ap_arena_calloc(&d->x->arena, 1, sizeof *q);
    *q = (op_draw){.d = d, .n = n, .op = n->ops[choose(d->c, (uint32_t)n->op_count)]};
    q->s = ap_op_find(d->o->rules->ops, n->domain, q->op);
    const op_domain *o = op_domain_of(n->domain, q->op);
    if (!q->s || !o) return give_up(d, "the harness does not know what %s takes", q->op);
    if (!*q->s->domain && d->opset < q->s->since)
        return give_up(d, "%s needs opset %lld", q->op, (long long)q->s->since);
    if (n->as_slot >= 0) d->m.slots[n->as_slot] = (ap_val){.kind = AP_VAL_TEXT, .s = q->op};
    d->x->sums |= o->sums;
    d->x->elementwise &= q->s->elementwise;
    find_given(q, (ap_value *const *const *)made);
    draw_operand_types(q, o);
    if (d->failed || !o->fn(q)) return give_up(d, "%s could not be drawn", q->op);
    ap_value *values[MOST_OPERANDS] = {0};
    size_t count = 0;
    for (size_t i = 0; i < q->in_count && !d->failed; i++) {
        const ap_rule_arg *a = i < n->arg_count && n->args[i].kind != AP_ARG_REST ? &n->args[i] : NULL;
        if (move_to_attr(q, i)) continue;
        values[i] = make_operand(q, i, a, values);
        if (values[i]) count = i + 1;
    }
    if (d->failed) return false;
    bind_operands(q, values, count);
    return add_node(q, index, values, count, made);
}

// ---- the instance

static int64_t draw_opset(draw *d) {
    static const int64_t usual[] = {17, 21, 13, 18, 11, 23};
    int64_t list[8], least = 7, most = INT64_MAX;
    uint32_t n = 0;
    for (size_t i = 0; i < d->rule->match_count; i++) {
        const ap_rule_node *r = &d->rule->match[i];
        const ap_op_schema *s = ap_op_find(d->o->rules->ops, r->domain, r->ops[0]);
        if (r->since > least) least = r->since;
        if (s && !*s->domain && s->since > least) least = s->since;
        if (r->to < most) most = r->to;
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i] >= least && usual[i] <= most) list[n++] = usual[i];
    if (!n || (most < 23 && list[n - 1] != most)) list[n++] = most < 24 ? most : least;
    return list[choose(d->c, n)];
}

static value_class draw_class(choices *c, bool mutant) {
    static const value_class list[] = {VALUES_ONES, VALUES_INTS, VALUES_HALVES, VALUES_NORMAL,
                                       VALUES_TIES, VALUES_ROWS, VALUES_ONE_HOT};
    uint32_t v = choose(c, 50);
    if (mutant) return (value_class)(v % VALUES_CLASSES); // odd values find more
    return v < 32 ? list[v % 7] : (value_class)(v - 33 < VALUES_CLASSES ? v - 33 : 0);
}

static instance *instance_new(size_t serial) {
    instance *x = ap_calloc(1, sizeof *x);
    x->prefix = ap_arena_printf(&x->arena, "p%zu/", serial);
    x->types_known = true;
    x->elementwise = true;
    return x;
}

instance *instance_draw(const ap_rule *rule, const ap_prove_options *o, const choices *c, size_t serial,
                        ap_map *illegal, char *why, size_t why_size) {
    instance *x = instance_new(serial);
    choices_copy(&x->c, c);
    draw *d = ap_arena_calloc(&x->arena, 1, sizeof *d);
    *d = (draw){.rule = rule, .o = o, .x = x, .c = &x->c, .illegal = illegal};
    d->m =
        (ap_match){.rule = rule, .slots = ap_arena_calloc(&x->arena, rule->slot_count + 1, sizeof(ap_val))};
    d->e.m = &d->m;
    d->m.env.rules = o->rules;
    collect_needs(d);
    d->opset = draw_opset(d);
    x->values = draw_class(&x->c, o->skip != NULL);
    ap_err err = ap_model_make(d->opset, &x->model);
    d->m.env.model = x->model;
    ap_value ***made = ap_arena_calloc(&x->arena, rule->match_count, sizeof *made);
    for (size_t i = 0; !err && i < rule->match_count && !d->failed; i++) draw_node(d, i, made);
    if (err) give_up(d, "%s", ap_err_message(err));
    ap_err_free(err);
    if (d->failed && why) snprintf(why, why_size, "%s", d->why);
    bool failed = d->failed;
    ap_arena_release(&d->m.arena);
    choices_cut(&x->c);
    if (!failed) return x;
    instance_free(x);
    return NULL;
}

static void free_tensors(ap_tensor *list, size_t count) {
    for (size_t i = 0; list && i < count; i++) ap_tensor_free(&list[i]);
    free(list);
}

void instance_free(instance *x) {
    if (!x) return;
    size_t n = x->left_count;
    free_tensors(x->left, n);
    free_tensors(x->second, n);
    free_tensors(x->scale, n);
    free_tensors(x->now, n);
    for (size_t i = 0; i < x->feed_count; i++) ap_tensor_free(&x->feeds[i].t);
    ap_model_free(x->right);
    ap_model_free(x->model);
    json_decref(x->element);
    ap_map_free(&x->measured);
    choices_free(&x->c);
    ap_arena_release(&x->arena);
    free(x);
}
