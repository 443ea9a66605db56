// SPDX-License-Identifier: Apache-2.0
// Expressions and names of a rule.
#include "base/log.h"
#include "surgery/rule/rule_priv.h"

#include <math.h>
#include <string.h>

// ---- names

ap_dtype ap_rule_dtype(const char *name) {
    static const struct {
        const char *name;
        ap_dtype t;
    } table[] = {{"f16", AP_F16}, {"f32", AP_F32}, {"f64", AP_F64},   {"bf16", AP_BF16}, {"i8", AP_I8},
                 {"i16", AP_I16}, {"i32", AP_I32}, {"i64", AP_I64},   {"u8", AP_U8},     {"u16", AP_U16},
                 {"u32", AP_U32}, {"u64", AP_U64}, {"bool", AP_BOOL}, {"i4", AP_I4},     {"u4", AP_U4}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name)) return table[i].t;
    return AP_DTYPE_NONE;
}

uint64_t dtype_mask(const parser *p, const char *name) {
    ap_dtype t = ap_rule_dtype(name);
    if (t) return UINT64_C(1) << t;
    const rule_alias *alias = ap_map_get(&p->lib->aliases, name);
    return alias ? alias->dtypes : 0;
}

int find_name(parser *p, const char *name) {
    for (size_t i = 0; i < p->name_count; i++) {
        rule_name *n = &p->names[i];
        if (n->out_of_scope || strcmp(n->name, name) != 0) continue;
        n->used = true;
        return (int)i;
    }
    return -1;
}

static const char *kind_text(name_kind kind) {
    static const char *const texts[] = {"a value",
                                        "a dimension",
                                        "dimensions",
                                        "an element type",
                                        "an attribute",
                                        "attributes",
                                        "the remaining operands",
                                        "an operator",
                                        "a binding",
                                        "a variable",
                                        "a replacement value"};
    return texts[kind];
}

int add_name(parser *p, const char *name, name_kind kind, ap_pos pos) {
    for (size_t i = 0; i < p->name_count; i++) {
        rule_name *n = &p->names[i];
        if (strcmp(n->name, name) != 0) continue;
        if (n->kind == NAME_VAR && kind == NAME_VAR && n->out_of_scope) {
            n->out_of_scope = false;
            return (int)i;
        }
        fail_at(p, pos, "the name '%s' is taken: it stands for %s since line %u", name, kind_text(n->kind),
                n->pos.line);
        return -1;
    }
    if (p->name_count == AP_RULE_MAX_NAMES) {
        fail_at(p, pos, "more than %d names in one rule", (int)AP_RULE_MAX_NAMES);
        return -1;
    }
    p->names[p->name_count] = (rule_name){.name = name, .kind = kind, .pos = pos};
    return (int)p->name_count++;
}

const char *nearest_name(parser *p, const char *name) {
    const char *list[AP_RULE_MAX_NAMES];
    size_t count = 0;
    for (size_t i = 0; i < p->name_count; i++)
        if (!p->names[i].out_of_scope) list[count++] = p->names[i].name;
    return ap_nearest(name, list, count);
}

// ---- expressions, by precedence

ap_expr *new_expr(parser *p, ap_expr_kind kind, ap_pos pos) {
    ap_expr *e = ap_arena_calloc(p->a, 1, sizeof *e);
    e->kind = kind;
    e->pos = pos;
    e->slot = -1;
    return e;
}

static void set_args(parser *p, ap_expr *e, ap_expr *const *args, size_t count) {
    e->args = ap_arena_calloc(p->a, count, sizeof *e->args);
    if (count) memcpy(e->args, args, count * sizeof *args);
    e->count = count;
}

static ap_expr *binary(parser *p, ap_expr_op op, ap_pos pos, ap_expr *l, ap_expr *r) {
    if (!l || !r) return NULL;
    ap_expr *e = new_expr(p, AP_EXPR_BINARY, pos);
    e->op = op;
    set_args(p, e, (ap_expr *[]){l, r}, 2);
    return e;
}

enum { MOST_ITEMS = 128 };

// Comma-separated expressions up to `close`, which is consumed.
static bool parse_list(parser *p, const char *close, ap_expr **items, size_t *count) {
    *count = 0;
    if (take_mark(p, close)) return true;
    do {
        if (*count == MOST_ITEMS) return fail_at(p, peek(p)->pos, "more than %d items", (int)MOST_ITEMS);
        items[*count] = parse_expr(p);
        if (!items[(*count)++]) return false;
    } while (take_mark(p, ","));
    return want_mark(p, close);
}

static bool parse_range(parser *p, ap_expr **from, ap_expr **to) {
    *from = parse_expr(p);
    if (!*from || !want_mark(p, "..")) return false;
    *to = parse_expr(p);
    return *to != NULL;
}

// The body of "[ body for v in a .. b ]" comes before its variable is declared: the variable's name is looked
// for ahead, at the same bracket level.
static const token *find_for(parser *p) {
    int level = 0;
    for (size_t n = 0; n < 512; n++) {
        const token *t = ahead(p, n);
        if (t->kind == TOK_END) return NULL;
        if (t->kind == TOK_MARK && strchr("([{", *t->text)) level++;
        if (t->kind == TOK_MARK && strchr(")]}", *t->text) && level-- == 0) return NULL;
        if (!level && t->kind == TOK_NAME && !strcmp(t->text, "for")) return ahead(p, n + 1);
        if (!level && t->kind == TOK_MARK && *t->text == ',') return NULL;
    }
    return NULL;
}

static ap_expr *parse_each(parser *p, const token *var, ap_pos pos) {
    ap_expr *e = new_expr(p, AP_EXPR_EACH, pos), *args[3] = {0};
    if (var->kind != TOK_NAME) {
        fail_at(p, var->pos, "expected a variable behind 'for'");
        return NULL;
    }
    e->text = var->text;
    e->slot = add_name(p, var->text, NAME_VAR, var->pos);
    if (e->slot < 0 || !(args[0] = parse_expr(p))) return NULL;
    p->names[e->slot].out_of_scope = true; // not known in its own bounds
    advance(p);
    advance(p); // for NAME
    if (!is_word(p, "in")) {
        fail_here(p, "'in'");
        return NULL;
    }
    advance(p);
    if (!parse_range(p, &args[1], &args[2]) || !want_mark(p, "]")) return NULL;
    set_args(p, e, args, 3);
    return e;
}

static ap_expr *parse_bracket(parser *p, ap_pos pos) {
    const token *var = find_for(p);
    if (var) return parse_each(p, var, pos);
    ap_expr *items[MOST_ITEMS], *e = new_expr(p, AP_EXPR_LIST, pos);
    size_t count;
    if (!parse_list(p, "]", items, &count)) return NULL;
    set_args(p, e, items, count);
    return e;
}

static ap_expr *parse_eval(parser *p, ap_pos pos) {
    ap_expr *e = new_expr(p, AP_EXPR_EVAL, pos);
    node_list l = new_nodes(p, true);
    size_t index;
    if (!parse_call(p, &l, &index)) return NULL;
    e->body = l.nodes;
    e->body_count = l.count;
    return e;
}

// tensor DT [dims](vars): body
static ap_expr *parse_tensor(parser *p, ap_pos pos) {
    ap_expr *items[MOST_ITEMS + 1], *e = new_expr(p, AP_EXPR_TENSOR, pos);
    size_t dims, vars = 0;
    const token *dt = peek(p);
    ap_pos dt_pos = dt->pos;
    const char *dtype = want_name(p, "an element type");
    if (!dtype) return NULL;
    e->dtype = new_expr(p, AP_EXPR_NAME, dt_pos);
    e->dtype->text = dtype;
    e->dtype->slot = find_name(p, dtype);
    if (e->dtype->slot < 0 && !ap_rule_dtype(dtype) && strcmp(dtype, "compute") != 0) {
        fail_at(p, dt_pos, "expected an element type, found '%s'", dtype);
        return NULL;
    }
    if (!want_mark(p, "[") || !parse_list(p, "]", items, &dims) || !want_mark(p, "(")) return NULL;
    e->slots = ap_arena_calloc(p->a, dims, sizeof *e->slots);
    while (vars < dims) {
        ap_pos at = peek(p)->pos;
        const char *name = want_name(p, "an index variable");
        if (!name) return NULL;
        bool ignored = !strcmp(name, "_");
        e->slots[vars] = ignored ? -1 : add_name(p, name, NAME_VAR, at);
        if (!ignored && e->slots[vars] < 0) return NULL;
        vars++;
        if (vars < dims && !want_mark(p, ",")) return NULL;
    }
    if (!want_mark(p, ")") || !want_mark(p, ":")) return NULL;
    items[dims] = parse_expr(p);
    if (!items[dims]) return NULL;
    for (size_t i = 0; i < dims; i++)
        if (e->slots[i] >= 0) p->names[e->slots[i]].out_of_scope = true;
    set_args(p, e, items, dims + 1);
    return e;
}

static ap_expr *parse_builtin(parser *p, const char *name, ap_pos pos) {
    ap_expr *items[MOST_ITEMS], *e = new_expr(p, AP_EXPR_CALL, pos);
    size_t count, min = 0, max = 0;
    if (!ap_builtin_arity(name, &min, &max)) {
        const char *near = ap_builtin_nearest(name);
        fail_at(p, pos, "there is no function '%s'%s%s%s", name, near ? "; did you mean '" : "",
                near ? near : "", near ? "'?" : "");
        return NULL;
    }
    if (!parse_list(p, ")", items, &count)) return NULL;
    if (count < min || count > max) {
        fail_at(p, pos, "%s takes %zu%s argument%s, %zu given", name, min, max > min ? " or more" : "",
                min == 1 && max == min ? "" : "s", count);
        return NULL;
    }
    e->text = name;
    set_args(p, e, items, count);
    return e;
}

static ap_expr *parse_name(parser *p, const token *t) {
    const char *name = t->text;
    ap_pos pos = t->pos;
    ap_expr *e = new_expr(p, AP_EXPR_NAME, pos);
    advance(p);
    if (!strcmp(name, "inf")) {
        e->kind = AP_EXPR_REAL;
        e->f = INFINITY;
        return e;
    }
    if (!strcmp(name, "true") || !strcmp(name, "false")) {
        e->kind = AP_EXPR_BOOL;
        e->i = *name == 't';
        return e;
    }
    if (!strcmp(name, "tensor")) return parse_tensor(p, pos);
    if (!strcmp(name, "eval")) return parse_eval(p, pos);
    if (take_mark(p, "(")) return parse_builtin(p, name, pos);
    e->text = name;
    e->slot = find_name(p, name);
    if (e->slot >= 0 || ap_rule_dtype(name) || !strcmp(name, "compute") || !strcmp(name, "opset")) return e;
    const char *near = nearest_name(p, name);
    fail_at(p, pos, "the name '%s' is not bound%s%s%s", name, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
    return NULL;
}

static ap_expr *parse_primary(parser *p) {
    const token *t = peek(p);
    ap_pos pos = t->pos;
    if (t->kind == TOK_NAME) return parse_name(p, t);
    if (t->kind == TOK_INT || t->kind == TOK_REAL || t->kind == TOK_TEXT) {
        ap_expr *e = new_expr(p,
                              t->kind == TOK_INT    ? AP_EXPR_INT
                              : t->kind == TOK_REAL ? AP_EXPR_REAL
                                                    : AP_EXPR_TEXT,
                              pos);
        e->i = t->i;
        e->f = t->f;
        e->text = t->text;
        advance(p);
        return e;
    }
    if (take_mark(p, "(")) {
        ap_expr *e = parse_expr(p);
        return e && want_mark(p, ")") ? e : NULL;
    }
    if (take_mark(p, "[")) return parse_bracket(p, pos);
    fail_here(p, "an expression");
    return NULL;
}

// [i], [a:b], [a:], [:b]
static ap_expr *parse_index(parser *p, ap_expr *base, ap_pos pos) {
    ap_expr *from = NULL, *to = NULL;
    if (!is_mark(p, ":") && !(from = parse_expr(p))) return NULL;
    if (!take_mark(p, ":")) {
        ap_expr *e = new_expr(p, AP_EXPR_INDEX, pos);
        set_args(p, e, (ap_expr *[]){base, from}, 2);
        return want_mark(p, "]") ? e : NULL;
    }
    if (!is_mark(p, "]") && !(to = parse_expr(p))) return NULL;
    ap_expr *e = new_expr(p, AP_EXPR_SLICE, pos);
    set_args(p, e, (ap_expr *[]){base, from, to}, 3);
    return want_mark(p, "]") ? e : NULL;
}

static ap_expr *parse_postfix(parser *p) {
    ap_expr *e = parse_primary(p);
    for (int n = 0; e && is_mark(p, "["); n++) {
        ap_pos pos = peek(p)->pos;
        if (n == AP_RULE_MAX_DEPTH) {
            fail_at(p, pos, "too many indices");
            return NULL;
        }
        advance(p);
        e = parse_index(p, e, pos);
    }
    return e;
}

static ap_expr *parse_unary(parser *p) {
    ap_pos pos = peek(p)->pos;
    if (!take_mark(p, "-")) return parse_postfix(p);
    if (!enter(p)) return NULL;
    ap_expr *inner = parse_unary(p);
    leave(p);
    if (!inner) return NULL;
    ap_expr *e = new_expr(p, AP_EXPR_UNARY, pos);
    e->op = AP_OP_NEG;
    set_args(p, e, &inner, 1);
    return e;
}

// Left-associative operators of one level. A chain is a deep tree, so its length counts as depth.
typedef struct level {
    const char *marks[3];
    ap_expr_op ops[3];
    ap_expr *(*below)(parser *p);
} level;

static ap_expr *parse_chain(parser *p, const level *l) {
    ap_expr *e = l->below(p);
    int steps = 0;
    for (bool more = true; e && more;) {
        more = false;
        for (size_t i = 0; i < 3 && l->marks[i] && e && !more; i++) {
            ap_pos pos = peek(p)->pos;
            if (!take_mark(p, l->marks[i])) continue;
            more = true;
            if (++steps > AP_RULE_MAX_DEPTH) {
                fail_at(p, pos, "an expression of more than %d terms", (int)AP_RULE_MAX_DEPTH);
                return NULL;
            }
            e = binary(p, l->ops[i], pos, e, l->below(p));
        }
    }
    return e;
}

static ap_expr *parse_product(parser *p) {
    static const level l = {{"*", "/", "%"}, {AP_OP_MUL, AP_OP_DIV, AP_OP_MOD}, parse_unary};
    return parse_chain(p, &l);
}
static ap_expr *parse_sum(parser *p) {
    static const level l = {{"+", "-"}, {AP_OP_ADD, AP_OP_SUB}, parse_product};
    return parse_chain(p, &l);
}

static ap_expr *parse_compare(parser *p) {
    static const struct {
        const char *mark;
        ap_expr_op op;
    } marks[] = {{"==", AP_OP_EQ}, {"!=", AP_OP_NE}, {"<=", AP_OP_LE},
                 {">=", AP_OP_GE}, {"<", AP_OP_LT},  {">", AP_OP_GT}};
    ap_expr *l = parse_sum(p);
    if (!l) return NULL;
    ap_pos pos = peek(p)->pos;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (take_mark(p, marks[i].mark)) return binary(p, marks[i].op, pos, l, parse_sum(p));
    if (!is_word(p, "in")) return l;
    advance(p);
    return binary(p, AP_OP_IN, pos, l, parse_sum(p));
}

static ap_expr *parse_not(parser *p) {
    ap_pos pos = peek(p)->pos;
    if (!is_word(p, "not")) return parse_compare(p);
    advance(p);
    ap_expr *inner = parse_compare(p);
    if (!inner) return NULL;
    ap_expr *e = new_expr(p, AP_EXPR_UNARY, pos);
    e->op = AP_OP_NOT;
    set_args(p, e, &inner, 1);
    return e;
}

static ap_expr *parse_words(parser *p, const char *word, ap_expr_op op, ap_expr *(*below)(parser *p)) {
    ap_expr *e = below(p);
    for (int n = 0; e && is_word(p, word); n++) {
        ap_pos pos = peek(p)->pos;
        if (n == AP_RULE_MAX_DEPTH) {
            fail_at(p, pos, "too many terms joined by '%s'", word);
            return NULL;
        }
        advance(p);
        e = binary(p, op, pos, e, below(p));
    }
    return e;
}

static ap_expr *parse_and(parser *p) {
    return parse_words(p, "and", AP_OP_AND, parse_not);
}

ap_expr *parse_expr(parser *p) {
    if (p->failed || !enter(p)) return NULL;
    ap_expr *e = parse_words(p, "or", AP_OP_OR, parse_and), *yes, *no;
    ap_pos pos = peek(p)->pos;
    if (e && take_mark(p, "?")) {
        yes = parse_expr(p);
        no = yes && want_mark(p, ":") ? parse_expr(p) : NULL;
        ap_expr *cond = new_expr(p, AP_EXPR_COND, pos);
        if (no) set_args(p, cond, (ap_expr *[]){e, yes, no}, 3);
        e = no ? cond : NULL;
    }
    leave(p);
    return p->failed ? NULL : e;
}
