// SPDX-License-Identifier: Apache-2.0
// Does a rule fit at a node? Operands of commutative operators are tried in both orders: the choices made on
// the way are counted through like a binary number, the match starting anew with each.
#include "surgery/match/match_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CHOICES = 8 };

typedef struct try_state {
    ap_match m;
    eval e;
    ap_match_miss *miss;
    size_t depth;
    size_t opset;
    bool swap[MOST_CHOICES]; // decisions, in the order they come up
    size_t choice_count, choice_known;
    ap_pos pos;
} try_state;

// Notes how near the rule came; false.
static bool miss(try_state *t, ap_pos pos, const char *fmt, ...) AP_PRINTF(3, 4);
static bool miss(try_state *t, ap_pos pos, const char *fmt, ...) {
    if (!t->miss || t->depth < t->miss->depth) return false;
    t->miss->depth = t->depth;
    t->miss->pos = pos;
    va_list args;
    va_start(args, fmt);
    vsnprintf(t->miss->text, sizeof t->miss->text, fmt, args);
    va_end(args);
    return false;
}

static const char *name_of(const try_state *t, int slot) {
    return slot >= 0 ? t->m.rule->slots[slot] : "_";
}

// The first use of a name binds it, later ones must agree.
static bool bind(try_state *t, int slot, ap_val v, ap_pos pos) {
    if (slot < 0) return true;
    ap_val *at = &t->m.slots[slot];
    if (at->kind == AP_VAL_UNKNOWN) {
        *at = v;
        return true;
    }
    bool known, same = val_equal(at, &v, &known);
    return (known && same) || miss(t, pos, "'%s' stands for two different things", name_of(t, slot));
}

// ---- types

static bool match_dims(try_state *t, const ap_rule_type *want, const ap_value_type *have, ap_pos pos) {
    size_t rest = want->dim_count;
    for (size_t i = 0; i < want->dim_count; i++)
        if (want->dims[i].kind == AP_DIM_REST) rest = i;
    bool open = rest < want->dim_count;
    size_t fixed = want->dim_count - open;
    if (open ? have->rank < fixed : have->rank != fixed)
        return miss(t, pos, "the rank is %zu, the rule wants %s%zu", have->rank, open ? "at least " : "",
                    fixed);
    size_t extra = have->rank - fixed;
    for (size_t i = 0, d = 0; i < want->dim_count; i++) {
        const ap_rule_dim *w = &want->dims[i];
        if (w->kind == AP_DIM_REST) {
            ap_val v = val_ints(&t->e, have->dims + d, extra);
            for (size_t k = 0; w->slot >= 0 && k < extra; k++)
                if (have->dims[d + k] < 0) return miss(t, pos, "dimension %zu is not known", d + k);
            if (w->slot >= 0 && !bind(t, w->slot, v, pos)) return false;
            d += extra;
            continue;
        }
        int64_t size = have->dims[d++];
        if (w->kind == AP_DIM_ANY) continue;
        if (size < 0) continue; // an unknown dimension binds nothing; who needs it will not know it
        if (w->kind == AP_DIM_SIZE && size != w->size)
            return miss(t, pos, "dimension %zu is %lld, the rule wants %lld", d - 1, (long long)size,
                        (long long)w->size);
        if (w->kind == AP_DIM_NAME && !bind(t, w->slot, val_int(size), pos)) return false;
    }
    return true;
}

static bool match_type(try_state *t, const ap_rule_type *want, const ap_val *v, ap_pos pos) {
    ap_value_type have;
    ap_tensor constant;
    if (!want->given || v->kind == AP_VAL_ABSENT) return true;
    if (want->is_const && !val_constant(&t->e, v, &constant))
        return miss(t, pos, "the operand is no constant");
    if (!want->dtypes && want->dtype_slot < 0 && !want->has_dims) return true;
    if (!val_type(&t->m, v, &have)) return miss(t, pos, "the operand's type is not known");
    if (want->dtypes && !(want->dtypes >> have.dtype & 1))
        return miss(t, pos, "the element type is %s", ap_dtype_name(have.dtype));
    if (want->dtype_slot >= 0 && !bind(t, want->dtype_slot, val_dtype(have.dtype), pos)) return false;
    return !want->has_dims || match_dims(t, want, &have, pos);
}

// ---- operands

// An operand; what older opsets keep in an attribute too.
static ap_val operand(try_state *t, const ap_op_schema *s, const ap_node *n, size_t i) {
    const ap_op_operand *o = ap_op_input(s, i);
    if (o && o->attr && (int64_t)t->opset < o->since) {
        const Onnx__AttributeProto *at = ap_node_attr(n, o->attr);
        if (!at) return (ap_val){.kind = AP_VAL_ABSENT};
        ap_val v = val_of_attr(&t->m.arena, t->m.env.model, at);
        bool whole = v.kind == AP_VAL_INT ||
                     (v.kind == AP_VAL_LIST && (!v.list.count || v.list.items->kind == AP_VAL_INT));
        ap_value_type type;
        ap_dtype dtype = whole ? AP_I64 : AP_F32;
        if (o->type == AP_OPERAND_T && n->input_count && n->inputs[0] &&
            ap_type_of(&t->m.env.types, n->inputs[0], &type))
            dtype = type.dtype;
        ap_val args[2] = {v, val_dtype(dtype)};
        ap_expr call = {.kind = AP_EXPR_CALL, .text = "cast", .count = 2};
        v = eval_call(&t->e, &call, args);
        return v;
    }
    if (i < n->input_count && n->inputs[i]) return (ap_val){.kind = AP_VAL_VALUE, .value = n->inputs[i]};
    return (ap_val){.kind = AP_VAL_ABSENT};
}

static bool match_node(try_state *t, size_t index, ap_node *n);

static bool match_inner(try_state *t, const ap_rule_arg *a, const ap_val *v) {
    const ap_rule_node *want = &t->m.rule->match[a->node];
    if (v->kind != AP_VAL_VALUE || v->value->kind != AP_VALUE_NODE || !v->value->producer)
        return miss(t, a->pos, "the operand is made by no operator; %s is wanted", want->ops[0]);
    if (v->value->producer_output != a->output)
        return miss(t, a->pos, "another output of the operator is wanted");
    if (t->m.nodes[a->node])
        return t->m.nodes[a->node] == v->value->producer || miss(t, a->pos, "it is another %s", want->ops[0]);
    return match_node(t, a->node, v->value->producer);
}

// A constant all of whose elements equal the expression, as the constant's own type holds it.
static bool match_literal(try_state *t, const ap_rule_arg *a, const ap_val *v) {
    ap_tensor have;
    double x;
    if (!val_constant(&t->e, v, &have)) return miss(t, a->pos, "the operand is no constant");
    ap_val want = eval_expr(&t->e, a->expr);
    size_t count = ap_tensor_count(&have);
    if (!val_number(&want, &x) || !count || !spend(&t->e, count))
        return miss(t, a->pos, "it is no single number");
    ap_val args[2] = {want, val_dtype(have.dtype)};
    ap_expr call = {.kind = AP_EXPR_CALL, .text = "cast", .count = 2};
    ap_val cast = eval_call(&t->e, &call, args);
    if (cast.kind != AP_VAL_TENSOR) return false;
    x = ap_tensor_at(cast.tensor, 0);
    for (size_t i = 0; i < count; i++)
        if (ap_tensor_at(&have, i) != x)
            return miss(t, a->pos, "the constant is %g, the rule wants %g", ap_tensor_at(&have, i), x);
    return true;
}

static bool match_arg(try_state *t, const ap_rule_arg *a, ap_val v) {
    if (v.kind == AP_VAL_ABSENT && !a->optional && a->kind != AP_ARG_ABSENT)
        return miss(t, a->pos, "an operand is absent");
    switch (a->kind) {
    case AP_ARG_NODE: {
        if (!match_inner(t, a, &v)) return false;
        break;
    }
    case AP_ARG_VALUE:
        if (!bind(t, a->slot, v, a->pos)) return false;
        break;
    case AP_ARG_ANY: break;
    case AP_ARG_ABSENT:
        return v.kind == AP_VAL_ABSENT || miss(t, a->pos, "an operand is there, the rule wants none");
    case AP_ARG_EXPR: return match_literal(t, a, &v);
    default: return false;
    }
    t->depth++;
    return match_type(t, &a->type, &v, a->pos);
}

// Which of two operands comes first: the next decision.
static bool decide_swap(try_state *t) {
    if (t->choice_count == MOST_CHOICES) return false;
    if (t->choice_count == t->choice_known) t->swap[t->choice_known++] = false;
    return t->swap[t->choice_count++];
}

static bool match_args(try_state *t, const ap_rule_node *want, const ap_op_schema *s, const ap_node *n) {
    bool swap =
        s->commutative && want->arg_count == 2 && n->input_count == 2 && !want->ordered && decide_swap(t);
    size_t most = n->input_count > s->input_count ? n->input_count : s->input_count, i = 0;
    for (; i < want->arg_count && want->args[i].kind != AP_ARG_REST; i++)
        if (!match_arg(t, &want->args[i], operand(t, s, n, swap ? 1 - i : i))) return false;
    if (i < want->arg_count) {
        size_t count = n->input_count > i ? n->input_count - i : 0;
        ap_val *rest = ap_arena_calloc(&t->m.arena, count, sizeof *rest);
        for (size_t k = 0; k < count; k++) rest[k] = operand(t, s, n, i + k);
        return bind(t, want->args[i].slot, (ap_val){.kind = AP_VAL_LIST, .list = {rest, count}}, want->pos);
    }
    for (; i < most; i++)
        if (operand(t, s, n, i).kind != AP_VAL_ABSENT)
            return miss(t, want->pos, "%s has more operands", n->op);
    return true;
}

// ---- attributes

static size_t node_rank(try_state *t, const ap_node *n, bool *known) {
    const Onnx__AttributeProto *k = ap_node_attr(n, "kernel_shape");
    ap_value_type type;
    *known = true;
    if (k) return k->n_ints + 2;
    *known = n->input_count && n->inputs[0] && ap_type_of(&t->m.env.types, n->inputs[0], &type);
    return *known ? type.rank : 0;
}

static ap_val attr_value(try_state *t, const ap_op_schema *s, const ap_node *n, const char *name) {
    const Onnx__AttributeProto *at = ap_node_attr(n, name);
    if (at) return val_of_attr(&t->m.arena, t->m.env.model, at);
    const ap_op_attr *d = ap_op_attr_find(s, name, (int64_t)t->opset);
    if (!d) d = ap_op_attr_find(s, name, 0); // not there yet: as if it had its default
    bool known;
    size_t rank = node_rank(t, n, &known);
    return d ? val_of_default(&t->m.arena, d, rank, known) : (ap_val){.kind = AP_VAL_UNKNOWN};
}

static bool match_attr(try_state *t, const ap_rule_attr *want, const ap_op_schema *s, const ap_node *n) {
    if (want->any) return true;
    ap_val have = attr_value(t, s, n, want->name);
    if (want->slot >= 0)
        return have.kind != AP_VAL_UNKNOWN ? bind(t, want->slot, have, want->pos)
                                           : miss(t, want->pos, "attribute '%s' is not known", want->name);
    ap_val v = eval_expr(&t->e, want->expr);
    bool known, same = val_equal(&have, &v, &known);
    if (known && same) return true;
    if (!t->miss) return false;
    ap_buf text = {0};
    ap_val_print(&have, &text);
    miss(t, want->pos, "attribute '%s' is %s", want->name, ap_buf_str(&text));
    ap_buf_free(&text);
    return false;
}

static bool is_listed(const ap_rule_node *want, const char *name) {
    for (size_t i = 0; i < want->attr_count; i++)
        if (!strcmp(want->attrs[i].name, name)) return true;
    return false;
}

static bool is_operand_attr(const try_state *t, const ap_op_schema *s, const char *name) {
    for (size_t i = 0; i < s->input_count; i++)
        if (s->inputs[i].attr && !strcmp(s->inputs[i].attr, name))
            return (int64_t)t->opset < s->inputs[i].since;
    return false;
}

// Attributes the rule does not speak of must be as if they were not there.
static bool match_others(try_state *t, const ap_rule_node *want, const ap_op_schema *s, const ap_node *n) {
    const Onnx__NodeProto *p = n->proto;
    Onnx__AttributeProto **rest = ap_arena_calloc(&t->m.arena, p->n_attribute, sizeof *rest);
    size_t count = 0;
    for (size_t i = 0; i < p->n_attribute; i++) {
        const char *name = p->attribute[i]->name;
        if (is_listed(want, name) || is_operand_attr(t, s, name)) continue;
        rest[count++] = p->attribute[i];
        if (want->rest) continue;
        const ap_op_attr *d = ap_op_attr_find(s, name, (int64_t)t->opset);
        if (d && d->fallback && !strcmp(d->fallback, "any")) continue;
        bool known;
        size_t rank = node_rank(t, n, &known);
        ap_val have = val_of_attr(&t->m.arena, t->m.env.model, p->attribute[i]),
               def = {.kind = AP_VAL_UNKNOWN};
        if (d) def = val_of_default(&t->m.arena, d, rank, known);
        bool same = val_equal(&have, &def, &known);
        if (!known || !same)
            return miss(t, want->pos, "%s has attribute '%s', which the rule does not expect", n->op, name);
    }
    ap_val v = {.kind = AP_VAL_ATTRS, .attrs = {rest, count}};
    return want->rest_slot < 0 || bind(t, want->rest_slot, v, want->pos);
}

// ---- nodes

static const char *matching_op(const ap_rule_node *want, const ap_node *n) {
    if (strcmp(want->domain, n->domain) != 0) return NULL;
    for (size_t i = 0; i < want->op_count; i++)
        if (!strcmp(want->ops[i], n->op)) return want->ops[i];
    return NULL;
}

static bool is_needed(const ap_value *v) {
    return v->use_count || v->is_output || v->used_by_subgraph;
}

static bool match_outs(try_state *t, const ap_rule_node *want, const ap_node *n) {
    for (size_t i = 0; i < n->output_count || i < want->out_count; i++) {
        ap_value *v = i < n->output_count ? n->outputs[i] : NULL;
        if (i >= want->out_count) {
            if (v && is_needed(v)) return miss(t, want->pos, "output %zu of %s is used", i, n->op);
            continue;
        }
        const ap_rule_out *o = &want->outs[i];
        ap_val val = v ? (ap_val){.kind = AP_VAL_VALUE, .value = v} : (ap_val){.kind = AP_VAL_ABSENT};
        if (!v && !o->optional && o->name) return miss(t, o->pos, "an output is absent");
        if (!bind(t, o->slot, val, o->pos) || !match_type(t, &o->type, &val, o->pos)) return false;
    }
    return true;
}

static bool match_node(try_state *t, size_t index, ap_node *n) {
    const ap_rule_node *want = &t->m.rule->match[index];
    const char *op = matching_op(want, n);
    if (!op) return miss(t, want->pos, "the operator is %s, the rule wants %s", n->op, want->ops[0]);
    if ((int64_t)t->opset < want->since || (int64_t)t->opset > want->to)
        return miss(t, want->pos, "the opset is %zu", t->opset);
    const ap_op_schema *s = ap_op_find(t->m.env.rules->ops, want->domain, op);
    if (!s || n->subgraph_count) return false;
    t->depth++;
    t->m.nodes[index] = n;
    if (!bind(t, want->as_slot, (ap_val){.kind = AP_VAL_TEXT, .s = op}, want->pos)) return false;
    if (!match_outs(t, want, n) || !match_args(t, want, s, n)) return false;
    for (size_t i = 0; i < want->attr_count; i++)
        if (!match_attr(t, &want->attrs[i], s, n)) return false;
    t->depth++;
    return match_others(t, want, s, n);
}

// Inner values go with their nodes, so nobody else may want them.
static bool check_inner(try_state *t) {
    const ap_rule *r = t->m.rule;
    for (size_t i = 0; i < r->match_count; i++) {
        if (i == r->root || r->match[i].keep) continue;
        const ap_node *n = t->m.nodes[i];
        for (size_t k = 0; k < n->output_count; k++) {
            const ap_value *v = n->outputs[k];
            if (!v) continue;
            bool outside = v->is_output || v->used_by_subgraph;
            for (size_t u = 0; u < v->use_count && !outside; u++) {
                bool inside = false;
                for (size_t j = 0; j < r->match_count; j++) inside |= t->m.nodes[j] == v->uses[u].node;
                outside = !inside;
            }
            if (outside) return miss(t, r->match[i].pos, "value \"%.80s\" is needed elsewhere too", v->name);
        }
    }
    return true;
}

// A value without elements is nobody's case: reshapes read a dimension of 0 as "as before", windows do not
// exist.
static bool check_elements(try_state *t) {
    for (size_t i = 0; i < t->m.rule->match_count; i++) {
        const ap_node *n = t->m.nodes[i];
        for (size_t k = 0; k < n->input_count; k++) {
            ap_value_type type;
            ap_tensor constant;
            const ap_value *v = n->inputs[k];
            if (!v || !ap_type_of(&t->m.env.types, v, &type)) continue;
            bool empty = false;
            for (size_t d = 0; d < type.rank; d++) empty |= type.dims[d] == 0;
            if (empty && !ap_value_constant(t->m.env.model, v, &constant))
                return miss(t, t->m.rule->match[i].pos, "value \"%.80s\" has no elements", v->name);
        }
    }
    return true;
}

// ---- conditions

static bool run_step(try_state *t, const ap_rule_step *s) {
    if (s == t->m.env.skip) return true;
    *t->e.why = 0;
    ap_val v = eval_expr(&t->e, s->expr);
    if (t->e.err) return false;
    t->depth++;
    if (s->slot >= 0) {
        t->m.slots[s->slot] = v;
        return v.kind != AP_VAL_UNKNOWN || miss(t, s->pos, "%.100s: %s", s->text, t->e.why);
    }
    if (v.kind == AP_VAL_BOOL && v.b) return true;
    if (v.kind == AP_VAL_BOOL) return miss(t, s->pos, "%.200s is false", s->text);
    return miss(t, s->pos, "%.100s is not known: %s", s->text, t->e.why);
}

static bool pick_class(try_state *t) {
    const ap_rule *r = t->m.rule;
    for (size_t i = 0; i < r->class_count; i++) {
        ap_val v = r->classes[i].cond ? eval_expr(&t->e, r->classes[i].cond) : val_bool(true);
        if (v.kind != AP_VAL_BOOL || !v.b) continue;
        t->m.cls = r->classes[i];
        return true;
    }
    return miss(t, r->pos, "none of its classes holds here");
}

static bool attempt(try_state *t, ap_node *root) {
    const ap_rule *r = t->m.rule;
    t->depth = t->choice_count = 0;
    memset(t->m.nodes, 0, r->match_count * sizeof *t->m.nodes);
    for (size_t i = 0; i < r->slot_count; i++) t->m.slots[i] = (ap_val){.kind = AP_VAL_UNKNOWN};
    if (!match_node(t, r->root, root) || !check_inner(t) || !check_elements(t)) return false;
    for (size_t i = 0; i < r->step_count; i++)
        if (!run_step(t, &r->steps[i])) return false;
    return pick_class(t);
}

// Counts the decisions up by one; false when all were tried.
static bool next_choice(try_state *t) {
    t->choice_known = t->choice_count;
    while (t->choice_known && t->swap[t->choice_known - 1]) t->choice_known--;
    if (!t->choice_known) return false;
    t->swap[t->choice_known - 1] = true;
    return true;
}

ap_err ap_rule_match(const ap_rule *r, const ap_match_env *env, ap_node *root, ap_match **out,
                     ap_match_miss *why) {
    ap_node *nodes[AP_RULE_MAX_NODES];
    ap_val slots[AP_RULE_MAX_NAMES];
    *out = NULL;
    if (why) *why = (ap_match_miss){0};
    if (!matching_op(&r->match[r->root], root) && !why) return NULL; // the common case, cheap
    try_state t;
    memset(&t, 0, sizeof t);
    t.miss = why;
    t.opset = (size_t)(env->model->opset > 0 ? env->model->opset : 0);
    t.m = (ap_match){.rule = r, .env = *env, .root = root, .nodes = nodes, .slots = slots};
    t.e.m = &t.m;
    bool found = false;
    do found = attempt(&t, root);
    while (!found && !t.e.err && next_choice(&t));
    if (!found) {
        ap_arena_release(&t.m.arena);
        return t.e.err;
    }
    ap_match *m = ap_alloc(sizeof *m);
    *m = t.m;
    m->nodes = ap_arena_calloc(&m->arena, r->match_count, sizeof *nodes);
    memcpy(m->nodes, nodes, r->match_count * sizeof *nodes);
    m->slots = ap_arena_calloc(&m->arena, r->slot_count, sizeof *slots);
    if (r->slot_count) memcpy(m->slots, slots, r->slot_count * sizeof *slots);
    *out = m;
    return NULL;
}

void ap_match_free(ap_match *m) {
    if (!m) return;
    ap_arena_release(&m->arena);
    free(m);
}

ap_err ap_rules_scan(const ap_match_env *env, ap_err (*each)(void *user, ap_match *m), void *user) {
    const ap_graph *g = env->model->graph;
    for (size_t i = 0; i < g->node_count; i++) {
        size_t count;
        const ap_rule *const *rules = ap_rules_for(env->rules, g->nodes[i]->domain, g->nodes[i]->op, &count);
        for (size_t k = 0; k < count; k++) {
            ap_match *m = NULL;
            ap_err err = ap_rule_match(rules[k], env, g->nodes[i], &m, NULL);
            if (!err && m) err = each(user, m);
            if (err) return err;
        }
    }
    return NULL;
}
