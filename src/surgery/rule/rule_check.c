// SPDX-License-Identifier: Apache-2.0
// What must hold of a whole rule, once it is read.
#include "base/log.h"
#include "surgery/rule/rule_priv.h"

#include <stdio.h>
#include <string.h>

static bool unknown_op(parser *p, const ap_rule_node *n, const char *op) {
    const char *near = ap_op_nearest(p->lib->ops, op);
    return fail_at(p, n->pos, "there is no operator '%s%s%s'%s%s%s", n->domain, *n->domain ? "::" : "", op,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool check_attr(parser *p, const ap_op_schema *s, const ap_rule_attr *at) {
    if (ap_op_attr_find(s, at->name, 0)) return true;
    const char *names[32];
    size_t count = 0;
    for (size_t i = 0; i < s->attr_count && count < 32; i++) names[count++] = s->attrs[i].name;
    const char *near = ap_nearest(at->name, names, count);
    for (size_t i = 0; i < s->input_count; i++)
        if (s->inputs[i].attr && !strcmp(s->inputs[i].attr, at->name))
            return fail_at(p, at->pos, "'%s' of %s is written as operand %zu, whatever the opset", at->name,
                           s->op, i + 1);
    return fail_at(p, at->pos, "%s has no attribute '%s'%s%s%s", s->op, at->name,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool check_arity(parser *p, const ap_op_schema *s, const ap_rule_node *n) {
    size_t least = 0, given = n->arg_count;
    bool open = false;
    for (size_t i = 0; i < s->input_count; i++) least += !s->inputs[i].optional && !s->inputs[i].variadic;
    bool variadic = s->input_count && s->inputs[s->input_count - 1].variadic;
    for (size_t i = 0; i < given; i++)
        open |= n->args[i].kind == AP_ARG_REST || n->args[i].kind == AP_ARG_EACH;
    if (!variadic && given > s->input_count + (open ? 1 : 0))
        return fail_at(p, n->pos, "%s has at most %zu operands, %zu given", s->op, s->input_count, given);
    if (!open && given < least)
        return fail_at(p, n->pos, "%s has at least %zu operand%s, %zu given", s->op, least,
                       least == 1 ? "" : "s", given);
    for (size_t i = 0; i < given && !variadic; i++)
        if (n->args[i].kind == AP_ARG_EACH)
            return fail_at(p, n->args[i].pos, "%s does not take a list of operands", s->op);
    if (n->out_count > s->output_count && !(s->output_count && s->outputs[s->output_count - 1].variadic))
        return fail_at(p, n->pos, "%s has at most %zu outputs, %zu named", s->op, s->output_count,
                       n->out_count);
    return true;
}

static bool check_node(parser *p, const ap_rule_node *n, bool replacing);

static bool check_bodies(parser *p, const ap_rule_node *n) {
    for (size_t i = 0; i < n->arg_count; i++)
        for (size_t k = 0; k < n->args[i].body_count; k++)
            if (!check_node(p, &n->args[i].body[k], true)) return false;
    return true;
}

static bool check_required(parser *p, const ap_op_schema *s, const ap_rule_node *n) {
    for (size_t i = 0; i < s->attr_count; i++) {
        bool given = n->rest;
        for (size_t k = 0; k < n->attr_count; k++) given |= !strcmp(n->attrs[k].name, s->attrs[i].name);
        if (s->attrs[i].required && !given)
            return fail_at(p, n->pos, "%s needs the attribute '%s'", s->op, s->attrs[i].name);
    }
    return true;
}

static bool check_node(parser *p, const ap_rule_node *n, bool replacing) {
    for (size_t k = 0; k < n->op_count; k++) {
        if (replacing && n->as_slot >= 0) break; // checked where it is bound
        const ap_op_schema *s = ap_op_find(p->lib->ops, n->domain, n->ops[k]);
        if (!s) return unknown_op(p, n, n->ops[k]);
        if (!check_arity(p, s, n)) return false;
        for (size_t i = 0; i < n->attr_count; i++)
            if (!check_attr(p, s, &n->attrs[i])) return false;
        if (!check_required(p, s, n)) return false;
    }
    return check_bodies(p, n);
}

// Evaluated constants: operands are names and expressions, no list of operands.
static bool check_eval(parser *p, const ap_expr *e) {
    if (!e) return true;
    for (size_t i = 0; i < e->body_count; i++)
        if (!check_node(p, &e->body[i], true)) return false;
    for (size_t i = 0; i < e->count; i++)
        if (!check_eval(p, e->args[i])) return false;
    return true;
}

static bool check_names(parser *p) {
    for (size_t i = 0; i < p->name_count; i++) {
        const rule_name *n = &p->names[i];
        if (n->used || (n->kind != NAME_LET && n->kind != NAME_ATTR && n->kind != NAME_MADE)) continue;
        if (n->kind == NAME_ATTR)
            return fail_at(p, n->pos, "'%s' is bound and never used; '_' accepts any value", n->name);
        return fail_at(p, n->pos, "'%s' is bound and never used", n->name);
    }
    return true;
}

static bool check_results(parser *p, const ap_rule *r) {
    const ap_rule_node *root = &r->match[r->root];
    for (size_t i = 0; i < root->out_count; i++) {
        const ap_rule_out *o = &root->outs[i];
        if (r->native || r->results[i].node != SIZE_MAX || o->optional) continue;
        if (!o->name) return fail_at(p, o->pos, "the root's output needs a name, so that it can be replaced");
        return fail_at(p, r->replace[r->replace_count - 1].pos, "the replacement does not make '%s'",
                       o->name);
    }
    return true;
}

bool check_rule(parser *p, ap_rule *r) {
    if (!r->match) return fail_at(p, r->pos, "the rule has no 'match'");
    if (!r->replace && !r->native) return fail_at(p, r->pos, "the rule has neither 'replace' nor 'native'");
    if (!r->class_count) return fail_at(p, r->pos, "the rule has no 'class' (exact, bits, ulp N, db N)");
    for (size_t i = 0; i < r->match_count; i++)
        if (!check_node(p, &r->match[i], false)) return false;
    for (size_t i = 0; i < r->replace_count; i++)
        if (!check_node(p, &r->replace[i], true)) return false;
    for (size_t i = 0; i < r->step_count; i++)
        if (!check_eval(p, r->steps[i].expr)) return false;
    return check_results(p, r) && check_names(p);
}
