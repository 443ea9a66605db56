// SPDX-License-Identifier: Apache-2.0
// Calls, operands, types and attributes of match and replace blocks.
#include "surgery/rule/rule_priv.h"

#include <string.h>

enum { MOST_ARGS = 32, MOST_ATTRS = 24, MOST_OUTS = 8, MOST_OPS = 64 };

node_list new_nodes(parser *p, bool replacing) {
    node_list l = {.cap = 4, .replacing = replacing};
    l.nodes = ap_arena_calloc(p->a, l.cap, sizeof *l.nodes);
    return l;
}

static bool push_node(parser *p, node_list *l, const ap_rule_node *n, size_t *index) {
    if (l->count == AP_RULE_MAX_NODES)
        return fail_at(p, n->pos, "more than %d operators in one block", (int)AP_RULE_MAX_NODES);
    if (l->count == l->cap) {
        ap_rule_node *longer = ap_arena_calloc(p->a, 2 * l->cap, sizeof *longer);
        memcpy(longer, l->nodes, l->count * sizeof *longer);
        l->nodes = longer;
        l->cap *= 2;
    }
    l->nodes[l->count] = *n;
    *index = l->count++;
    return true;
}

static void *keep(parser *p, const void *items, size_t count, size_t size) {
    void *to = ap_arena_calloc(p->a, count, size);
    if (count) memcpy(to, items, count * size);
    return to;
}

// ---- what comes next

static bool is_raw(parser *p, size_t n, const char *mark) {
    const token *t = ahead(p, n);
    return t->kind == TOK_MARK && !strcmp(t->text, mark);
}

static bool is_capital(parser *p, size_t n) {
    const token *t = ahead(p, n);
    return t->kind == TOK_NAME && *t->text >= 'A' && *t->text <= 'Z';
}

static bool call_at(parser *p, size_t n) {
    if (is_capital(p, n) && (is_raw(p, n + 1, "(") || is_raw(p, n + 1, "!") || is_raw(p, n + 1, "@")))
        return true;
    if (is_raw(p, n, "(") && is_capital(p, n + 1) && is_raw(p, n + 2, "|")) return true;
    if (ahead(p, n)->kind != TOK_NAME) return false;
    while (ahead(p, n)->kind == TOK_NAME && is_raw(p, n + 1, ".")) n += 2;
    return ahead(p, n)->kind == TOK_NAME && is_raw(p, n + 1, "::");
}

bool starts_call(parser *p) {
    return call_at(p, 0);
}

// ---- types

static bool parse_dim(parser *p, ap_rule_dim *d) {
    const token *t = peek(p);
    ap_pos pos = t->pos;
    *d = (ap_rule_dim){.slot = -1};
    if (t->kind == TOK_INT) {
        d->kind = AP_DIM_SIZE;
        d->size = t->i;
        advance(p);
        return true;
    }
    bool rest = take_mark(p, "...");
    d->kind = rest ? AP_DIM_REST : AP_DIM_NAME;
    if (rest && peek(p)->kind != TOK_NAME) return true;
    const char *name = want_name(p, "a dimension");
    if (!name) return false;
    if (!strcmp(name, "_")) {
        d->kind = rest ? AP_DIM_REST : AP_DIM_ANY;
        return true;
    }
    d->slot = find_name(p, name);
    name_kind kind = rest ? NAME_DIMS : NAME_DIM;
    if (d->slot >= 0 && p->names[d->slot].kind != kind)
        return fail_at(p, pos, "'%s' stands for something else than %s", name,
                       rest ? "dimensions" : "a dimension");
    if (d->slot < 0) d->slot = add_name(p, name, kind, pos);
    return d->slot >= 0;
}

static bool parse_dims(parser *p, ap_rule_type *t) {
    ap_rule_dim dims[AP_MAX_RANK];
    bool rest = false;
    t->has_dims = true;
    if (take_mark(p, "]")) return true;
    do {
        ap_pos pos = peek(p)->pos;
        if (t->dim_count == AP_MAX_RANK) return fail_at(p, pos, "more than %d dimensions", AP_MAX_RANK);
        ap_rule_dim *d = &dims[t->dim_count++];
        if (!parse_dim(p, d)) return false;
        if (d->kind == AP_DIM_REST && rest) return fail_at(p, pos, "a second '...' in one shape");
        rest |= d->kind == AP_DIM_REST;
    } while (take_mark(p, ","));
    t->dims = keep(p, dims, t->dim_count, sizeof *dims);
    return want_mark(p, "]");
}

static bool parse_dtypes(parser *p, ap_rule_type *t) {
    do {
        ap_pos pos = peek(p)->pos;
        const char *name = want_name(p, "an element type");
        if (!name) return false;
        if (!strcmp(name, "_")) return true;
        uint64_t mask = dtype_mask(p, name);
        if (!mask) {
            if (t->dtypes || is_mark(p, "|"))
                return fail_at(p, pos, "'%s' is no element type and no alias", name);
            t->dtype_slot = find_name(p, name);
            if (t->dtype_slot >= 0 && p->names[t->dtype_slot].kind != NAME_DTYPE)
                return fail_at(p, pos, "'%s' is no element type and no alias", name);
            if (t->dtype_slot < 0) t->dtype_slot = add_name(p, name, NAME_DTYPE, pos);
            return t->dtype_slot >= 0;
        }
        t->dtypes |= mask;
    } while (take_mark(p, "|"));
    return true;
}

// [: type], where given.
static bool parse_type(parser *p, ap_rule_type *t) {
    *t = (ap_rule_type){.dtype_slot = -1};
    if (!take_mark(p, ":")) return !p->failed;
    t->given = true;
    if (is_word(p, "const")) {
        t->is_const = true;
        advance(p);
        if (peek(p)->kind == TOK_NAME && !parse_dtypes(p, t)) return false;
    } else if (!parse_dtypes(p, t)) {
        return false;
    }
    return !take_mark(p, "[") || parse_dims(p, t);
}

// ---- operands

static bool parse_each_arg(parser *p, const node_list *l, ap_rule_arg *arg) {
    node_list body = new_nodes(p, true);
    size_t index, n = 0;
    if (!l->replacing) return fail_at(p, arg->pos, "a list of operands stands in replace only");
    int level = 0; // the variable's name comes behind the call
    for (;; n++) {
        const token *t = ahead(p, n);
        if (t->kind == TOK_END) return fail_at(p, arg->pos, "expected 'for' in this list of operands");
        if (t->kind == TOK_MARK && strchr("([{", *t->text)) level++;
        if (t->kind == TOK_MARK && strchr(")]}", *t->text) && level-- == 0)
            return fail_at(p, t->pos, "expected 'for', found '%s'", t->text);
        if (!level && t->kind == TOK_NAME && !strcmp(t->text, "for")) break;
    }
    const token *var = ahead(p, n + 1);
    if (var->kind != TOK_NAME) return fail_at(p, var->pos, "expected a variable behind 'for'");
    arg->kind = AP_ARG_EACH;
    arg->slot = add_name(p, var->text, NAME_VAR, var->pos);
    if (arg->slot < 0 || !parse_call(p, &body, &index)) return false;
    p->names[arg->slot].out_of_scope = true;
    if (!is_word(p, "for")) return fail_here(p, "'for'");
    advance(p);
    advance(p);
    if (!is_word(p, "in")) return fail_here(p, "'in'");
    advance(p);
    arg->from = parse_expr(p);
    if (!arg->from || !want_mark(p, "..")) return false;
    arg->to = parse_expr(p);
    arg->body = body.nodes;
    arg->body_count = body.count;
    return arg->to && want_mark(p, "]");
}

static bool parse_rest_arg(parser *p, const node_list *l, ap_rule_arg *arg) {
    ap_pos pos = peek(p)->pos;
    arg->kind = AP_ARG_REST;
    const char *name = want_name(p, "a name for the remaining operands");
    if (!name) return false;
    if (!strcmp(name, "_") && !l->replacing) return true;
    arg->slot = l->replacing ? find_name(p, name) : add_name(p, name, NAME_REST, pos);
    if (arg->slot < 0) return fail_at(p, pos, "the name '%s' is not bound", name);
    return p->names[arg->slot].kind == NAME_REST ||
           fail_at(p, pos, "'%s' is not the remaining operands", name);
}

// A name in the match: the first time it is bound, later it must be the same value.
static bool match_name(parser *p, ap_rule_arg *arg, const char *name) {
    int slot = find_name(p, name);
    arg->kind = AP_ARG_VALUE;
    if (slot < 0) slot = add_name(p, name, NAME_VALUE, arg->pos);
    if (slot < 0) return false;
    const rule_name *n = &p->names[slot];
    arg->slot = slot;
    if (n->kind != NAME_VALUE) return fail_at(p, arg->pos, "'%s' is no value", name);
    if (n->has_node) {
        arg->kind = AP_ARG_NODE;
        arg->node = n->node;
        arg->output = n->output;
    }
    return true;
}

static bool replace_name(parser *p, ap_rule_arg *arg, const char *name) {
    int slot = find_name(p, name);
    if (slot < 0) return true; // an element type or an error: the expression parser says
    const rule_name *n = &p->names[slot];
    if (n->kind != NAME_VALUE && n->kind != NAME_MADE) return true;
    if (n->kind == NAME_VALUE && n->has_node && n->node == p->rule->root)
        return fail_at(p, arg->pos, "'%s' is what the rule replaces", name);
    arg->kind = AP_ARG_VALUE;
    arg->slot = slot;
    advance(p);
    return true;
}

// Is the next word a name that stands for an operand, not the start of an expression?
static bool is_plain_name(parser *p) {
    if (peek(p)->kind != TOK_NAME) return false;
    if (is_raw(p, 1, ",") || is_raw(p, 1, ")") || is_raw(p, 1, ":")) return true;
    return is_raw(p, 1, "?") && (is_raw(p, 2, ",") || is_raw(p, 2, ")") || is_raw(p, 2, ":"));
}

static bool parse_named_arg(parser *p, const node_list *l, ap_rule_arg *arg) {
    const char *name = peek(p)->text;
    bool any = !strcmp(name, "_");
    if (l->replacing) {
        if (any) return fail_at(p, arg->pos, "'_' stands in match only");
        if (!replace_name(p, arg, name)) return false;
        if (arg->kind == AP_ARG_VALUE) return true;
        arg->expr = parse_expr(p);
        return arg->expr != NULL;
    }
    if (!strcmp(name, "true") || !strcmp(name, "false") || !strcmp(name, "inf")) {
        arg->expr = parse_expr(p);
        return arg->expr != NULL;
    }
    advance(p);
    arg->kind = AP_ARG_ANY;
    if (!any && !match_name(p, arg, name)) return false;
    arg->optional = take_mark(p, "?");
    return parse_type(p, &arg->type);
}

static bool parse_arg(parser *p, node_list *l, ap_rule_arg *arg) {
    *arg = (ap_rule_arg){.kind = AP_ARG_EXPR, .pos = peek(p)->pos, .slot = -1, .type = {.dtype_slot = -1}};
    if (is_mark(p, "-") && (is_raw(p, 1, ",") || is_raw(p, 1, ")"))) {
        advance(p);
        arg->kind = AP_ARG_ABSENT;
        return true;
    }
    if (take_mark(p, "...")) return parse_rest_arg(p, l, arg);
    if (starts_call(p)) {
        arg->kind = AP_ARG_NODE;
        return parse_call(p, l, &arg->node) && (l->replacing || parse_type(p, &arg->type));
    }
    if (is_mark(p, "[") && call_at(p, 1)) {
        advance(p);
        return parse_each_arg(p, l, arg);
    }
    if (is_plain_name(p)) return parse_named_arg(p, l, arg);
    arg->expr = parse_expr(p);
    return arg->expr != NULL;
}

static bool parse_args(parser *p, node_list *l, ap_rule_node *n) {
    ap_rule_arg args[MOST_ARGS];
    if (!want_mark(p, "(")) return false;
    if (!take_mark(p, ")")) {
        do {
            if (n->arg_count == MOST_ARGS)
                return fail_at(p, peek(p)->pos, "more than %d operands", (int)MOST_ARGS);
            if (!parse_arg(p, l, &args[n->arg_count++])) return false;
        } while (take_mark(p, ","));
        if (!want_mark(p, ")")) return false;
    }
    for (size_t i = 0; i + 1 < n->arg_count; i++)
        if (args[i].kind == AP_ARG_REST && !l->replacing)
            return fail_at(p, args[i + 1].pos, "nothing may follow the remaining operands");
    n->args = keep(p, args, n->arg_count, sizeof *args);
    return true;
}

// ---- attributes

static bool parse_rest_attrs(parser *p, const node_list *l, ap_rule_node *n) {
    ap_pos pos = peek(p)->pos;
    const char *name = want_name(p, "a name for the other attributes");
    if (!name) return false;
    n->rest = true;
    if (!l->replacing && !strcmp(name, "_")) return true;
    n->rest_slot = l->replacing ? find_name(p, name) : add_name(p, name, NAME_ATTRS, pos);
    if (n->rest_slot < 0) return fail_at(p, pos, "the name '%s' is not bound", name);
    return p->names[n->rest_slot].kind == NAME_ATTRS || fail_at(p, pos, "'%s' is no set of attributes", name);
}

static bool parse_attr(parser *p, const node_list *l, ap_rule_attr *at) {
    *at = (ap_rule_attr){.slot = -1, .pos = peek(p)->pos};
    at->name = want_name(p, "an attribute");
    if (!at->name || !want_mark(p, "=")) return false;
    const token *t = peek(p);
    bool alone = t->kind == TOK_NAME && (is_raw(p, 1, ",") || is_raw(p, 1, "}"));
    if (!l->replacing && alone) {
        const char *name = t->text;
        ap_pos pos = t->pos;
        at->any = !strcmp(name, "_");
        bool word = !strcmp(name, "true") || !strcmp(name, "false") || !strcmp(name, "inf");
        bool fresh = !at->any && !word && !ap_rule_dtype(name) && find_name(p, name) < 0;
        if (fresh) at->slot = add_name(p, name, NAME_ATTR, pos);
        if (fresh || at->any) {
            advance(p);
            return !p->failed;
        }
    }
    at->expr = parse_expr(p);
    return at->expr != NULL;
}

static bool parse_attrs(parser *p, const node_list *l, ap_rule_node *n) {
    ap_rule_attr attrs[MOST_ATTRS];
    if (!take_mark(p, "{")) return !p->failed;
    do {
        if (n->attr_count == MOST_ATTRS)
            return fail_at(p, peek(p)->pos, "more than %d attributes", (int)MOST_ATTRS);
        if (take_mark(p, "*")) {
            if (!parse_rest_attrs(p, l, n)) return false;
            break;
        }
        ap_rule_attr *at = &attrs[n->attr_count];
        if (!parse_attr(p, l, at)) return false;
        for (size_t i = 0; i < n->attr_count; i++)
            if (!strcmp(attrs[i].name, at->name))
                return fail_at(p, at->pos, "attribute '%s' is given twice", at->name);
        n->attr_count++;
    } while (take_mark(p, ","));
    n->attrs = keep(p, attrs, n->attr_count, sizeof *attrs);
    return want_mark(p, "}");
}

// ---- operators

static bool add_op(parser *p, const char **ops, size_t *count, const char *name, ap_pos pos) {
    const rule_alias *alias = ap_map_get(&p->lib->aliases, name);
    size_t more = alias && alias->op_count ? alias->op_count : 1;
    if (*count + more > MOST_OPS)
        return fail_at(p, pos, "more than %d operators to choose from", (int)MOST_OPS);
    for (size_t i = 0; i < more; i++) ops[(*count)++] = alias && alias->op_count ? alias->ops[i] : name;
    return true;
}

static bool parse_alternatives(parser *p, const node_list *l, ap_rule_node *n, const char **ops) {
    do {
        ap_pos pos = peek(p)->pos;
        const char *name = want_name(p, "an operator");
        if (!name || !add_op(p, ops, &n->op_count, name, pos)) return false;
    } while (take_mark(p, "|"));
    if (!want_mark(p, ")")) return false;
    if (l->replacing) return fail_at(p, n->pos, "a choice of operators stands in match only");
    if (!is_word(p, "as")) return true;
    advance(p);
    ap_pos pos = peek(p)->pos;
    const char *name = want_name(p, "a name for the operator");
    if (name) n->as_slot = add_name(p, name, NAME_OP, pos);
    return name && n->as_slot >= 0;
}

static bool parse_domain(parser *p, ap_rule_node *n) {
    ap_buf text = {0};
    while (ahead(p, 0)->kind == TOK_NAME && (is_raw(p, 1, ".") || is_raw(p, 1, "::"))) {
        ap_buf_printf(&text, "%s%s", text.len ? "." : "", ahead(p, 0)->text);
        bool last = is_raw(p, 1, "::");
        advance(p);
        advance(p);
        if (last) break;
    }
    n->domain = ap_arena_strdup(p->a, strcmp(ap_buf_str(&text), "ai.onnx") != 0 ? ap_buf_str(&text) : "");
    ap_buf_free(&text);
    return true;
}

static bool parse_versions(parser *p, ap_rule_node *n) {
    if (!take_mark(p, "@")) return !p->failed;
    if (peek(p)->kind != TOK_INT) return fail_here(p, "an opset");
    n->since = peek(p)->i;
    advance(p);
    if (!want_mark(p, "..")) return false;
    if (peek(p)->kind != TOK_INT) return true;
    n->to = peek(p)->i;
    advance(p);
    return n->to >= n->since || fail_at(p, n->pos, "an opset range that is empty");
}

static bool parse_op(parser *p, const node_list *l, ap_rule_node *n) {
    const char *ops[MOST_OPS];
    if (!parse_domain(p, n)) return false;
    if (take_mark(p, "(")) {
        if (!parse_alternatives(p, l, n, ops)) return false;
    } else {
        ap_pos pos = peek(p)->pos;
        const char *name = want_name(p, "an operator");
        if (!name) return false;
        int slot = l->replacing ? find_name(p, name) : -1;
        if (slot >= 0 && p->names[slot].kind == NAME_OP) n->as_slot = slot;
        if (!add_op(p, ops, &n->op_count, name, pos)) return false;
        if (l->replacing && n->op_count > 1)
            return fail_at(p, pos, "a choice of operators ('%s') stands in match only", name);
    }
    n->ops = keep(p, ops, n->op_count, sizeof *ops);
    return parse_versions(p, n);
}

bool parse_call(parser *p, node_list *l, size_t *index) {
    ap_rule_node n = {
        .pos = peek(p)->pos, .as_slot = -1, .rest_slot = -1, .to = INT64_MAX, .ops = NULL, .out_count = 1};
    if (p->failed || !enter(p)) return false;
    bool good = parse_op(p, l, &n);
    n.ordered = take_mark(p, "!");
    good = good && parse_args(p, l, &n) && parse_attrs(p, l, &n);
    if (good) {
        n.outs = ap_arena_calloc(p->a, 1, sizeof *n.outs);
        n.outs[0] = (ap_rule_out){.slot = -1, .type = {.dtype_slot = -1}, .pos = n.pos};
    }
    leave(p);
    return good && push_node(p, l, &n, index);
}

// ---- blocks

static bool parse_outs(parser *p, ap_rule_out *outs, size_t *count) {
    do {
        if (*count == MOST_OUTS) return fail_at(p, peek(p)->pos, "more than %d outputs", (int)MOST_OUTS);
        ap_rule_out *o = &outs[(*count)++];
        *o = (ap_rule_out){.slot = -1, .pos = peek(p)->pos};
        o->name = want_name(p, "an output");
        if (!o->name) return false;
        if (!strcmp(o->name, "_")) o->name = NULL;
        o->optional = take_mark(p, "?");
        if (!parse_type(p, &o->type)) return false;
    } while (take_mark(p, ","));
    return want_mark(p, "=");
}

// Outputs get their names only now: a call cannot use what it makes.
static bool name_out(parser *p, const node_list *l, ap_rule_out *o, size_t node, size_t output) {
    if (!o->name) return true;
    if (l->replacing) {
        int slot = find_name(p, o->name);
        const rule_name *n = slot >= 0 ? &p->names[slot] : NULL;
        if (n && n->kind == NAME_VALUE && n->has_node && n->node == p->rule->root) {
            if (p->rule->results[n->output].node != SIZE_MAX)
                return fail_at(p, o->pos, "'%s' is made twice", o->name);
            p->rule->results[n->output] = (struct ap_rule_result){node, output};
            return true;
        }
    }
    o->slot = add_name(p, o->name, l->replacing ? NAME_MADE : NAME_VALUE, o->pos);
    if (o->slot < 0) return false;
    rule_name *n = &p->names[o->slot];
    n->has_node = true;
    n->node = node;
    n->output = output;
    return true;
}

static bool parse_node(parser *p, node_list *l) {
    ap_rule_out outs[MOST_OUTS];
    size_t count = 0, index;
    if (!parse_outs(p, outs, &count)) return false;
    if (!starts_call(p)) return fail_here(p, "an operator with its operands");
    if (!parse_call(p, l, &index)) return false;
    for (size_t i = 0; i < count; i++)
        if (!name_out(p, l, &outs[i], index, i)) return false;
    ap_rule_node *n = &l->nodes[index];
    n->outs = keep(p, outs, count, sizeof *outs);
    n->out_count = count;
    if (!is_word(p, "keep")) return true;
    if (l->replacing) return fail_here(p, "';' or '}'");
    n->keep = true;
    advance(p);
    return true;
}

bool parse_block(parser *p, node_list *l) {
    if (!want_mark(p, "{")) return false;
    while (!is_mark(p, "}")) {
        if (!parse_node(p, l)) return false;
        if (!take_mark(p, ";") && !is_mark(p, "}")) return fail_here(p, "';' or '}'");
    }
    advance(p);
    return !p->failed && (l->count || fail_here(p, "at least one operator"));
}
