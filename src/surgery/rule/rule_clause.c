// SPDX-License-Identifier: Apache-2.0
// The clauses of a rule.
#include "base/log.h"
#include "surgery/rule/rule_native.h"
#include "surgery/rule/rule_priv.h"

#include <string.h>

enum { MOST_ITEMS = 64 };

static void *grown(parser *p, const void *items, size_t count, size_t size) {
    char *to = ap_arena_calloc(p->a, count + 1, size);
    if (count) memcpy(to, items, count * size);
    return to;
}
#define APPEND(p, list, count, item)                                                                         \
    do {                                                                                                     \
        (list) = grown(p, list, count, sizeof *(list));                                                      \
        (list)[(count)++] = (item);                                                                          \
    } while (0)

static bool parse_texts(parser *p, const char ***list, size_t *count) {
    do {
        const token *t = peek(p);
        if (t->kind != TOK_TEXT) return fail_here(p, "a text in quotes");
        if (*count == MOST_ITEMS) return fail_at(p, t->pos, "more than %d texts", (int)MOST_ITEMS);
        APPEND(p, *list, *count, t->text);
        advance(p);
    } while (take_mark(p, ","));
    return true;
}

// ---- class

static bool parse_class(parser *p, ap_rule_class *c) {
    static const char *const names[] = {"exact", "bits", "ulp", "db"};
    const token *t = peek(p);
    ap_pos pos = t->pos;
    *c = (ap_rule_class){0};
    const char *name = want_name(p, "a class (exact, bits, ulp, db)");
    if (!name) return false;
    size_t k = 0;
    while (k < 4 && strcmp(names[k], name) != 0) k++;
    if (k == 4) {
        const char *near = ap_nearest(name, names, 4);
        return fail_at(p, pos, "expected a class (exact, bits, ulp N, db N), found '%s'%s%s%s", name,
                       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    c->kind = (ap_class_kind)k;
    if (k >= AP_CLASS_ULP) {
        t = peek(p);
        if (t->kind != TOK_INT)
            return fail_here(p, k == AP_CLASS_ULP ? "a number of ulps" : "a number of dB");
        if (t->i < 1 || t->i > 1000) return fail_at(p, t->pos, "%lld is no sensible bound", (long long)t->i);
        c->amount = t->i;
        advance(p);
    }
    while (is_word(p, "refines") || is_word(p, "finite")) {
        c->refines |= is_word(p, "refines");
        c->finite |= is_word(p, "finite");
        advance(p);
    }
    if (!is_word(p, "if")) return true;
    advance(p);
    c->cond = parse_expr(p);
    return c->cond != NULL;
}

static bool parse_classes(parser *p, ap_rule *r) {
    do {
        ap_rule_class c;
        if (r->class_count == MOST_ITEMS) return fail_here(p, "fewer classes");
        if (!parse_class(p, &c)) return false;
        APPEND(p, r->classes, r->class_count, c);
    } while (take_mark(p, ","));
    return true;
}

// ---- where, let, draw

static const char *source_between(parser *p, size_t first) {
    size_t from = p->toks[first].from, to = p->toks[p->at ? p->at - 1 : 0].to;
    return ap_arena_strndup(p->a, p->src + from, to > from ? to - from : 0);
}

static bool add_step(parser *p, ap_rule *r, ap_rule_step s) {
    if (r->step_count == 2 * MOST_ITEMS) return fail_at(p, s.pos, "more than %d steps", 2 * MOST_ITEMS);
    APPEND(p, r->steps, r->step_count, s);
    return true;
}

static bool parse_conditions(parser *p, ap_rule *r, bool worth) {
    if (!want_mark(p, "{")) return false;
    while (!is_mark(p, "}")) {
        size_t first = p->at;
        ap_rule_step s = {.slot = -1, .worth = worth, .pos = peek(p)->pos};
        s.expr = parse_expr(p);
        if (!s.expr) return false;
        s.text = source_between(p, first);
        if (!add_step(p, r, s)) return false;
        if (!take_mark(p, ";") && !is_mark(p, "}")) return fail_here(p, "';' or '}'");
    }
    advance(p);
    return !p->failed;
}

static bool parse_let(parser *p, ap_rule *r) {
    if (!want_mark(p, "{")) return false;
    while (!is_mark(p, "}")) {
        ap_rule_step s = {.slot = -1, .pos = peek(p)->pos};
        const char *name = want_name(p, "a name");
        if (!name || !want_mark(p, "=")) return false;
        size_t first = p->at;
        s.expr = parse_expr(p);
        if (!s.expr) return false;
        s.text = source_between(p, first);
        s.slot = add_name(p, name, NAME_LET, s.pos);
        if (s.slot < 0 || !add_step(p, r, s)) return false;
        if (!take_mark(p, ";") && !is_mark(p, "}")) return fail_here(p, "';' or '}'");
    }
    advance(p);
    return !p->failed;
}

static bool parse_draw(parser *p, ap_rule *r) {
    if (!want_mark(p, "{")) return false;
    while (!is_mark(p, "}")) {
        ap_rule_draw d = {.slot = -1, .like = -1, .pos = peek(p)->pos};
        const char *name = want_name(p, "a name of the match");
        if (!name) return false;
        d.slot = find_name(p, name);
        if (d.slot < 0) return fail_at(p, d.pos, "the name '%s' is not bound", name);
        if (is_word(p, "from")) {
            advance(p);
            ap_pos pos = peek(p)->pos;
            const char *other = want_name(p, "a name of the match");
            if (!other) return false;
            d.like = find_name(p, other);
            if (d.like < 0) return fail_at(p, pos, "the name '%s' is not bound", other);
        } else {
            if (!is_word(p, "in")) return fail_here(p, "'in' or 'from'");
            advance(p);
            d.from = parse_expr(p);
            if (!d.from || !want_mark(p, "..")) return false;
            d.to = parse_expr(p);
            if (!d.to) return false;
            d.dominant = is_word(p, "dominant");
            d.normal = is_word(p, "normal");
            d.everyday = is_word(p, "everyday");
            if (d.dominant || d.normal || d.everyday) advance(p);
        }
        if (r->draw_count == MOST_ITEMS) return fail_here(p, "fewer draws");
        APPEND(p, r->draws, r->draw_count, d);
        if (!take_mark(p, ";") && !is_mark(p, "}")) return fail_here(p, "';' or '}'");
    }
    advance(p);
    return !p->failed;
}

// ---- match, replace

// Everything hangs on the last node: one root.
static bool find_root(parser *p, ap_rule *r) {
    r->root = r->match_count - 1;
    for (size_t i = 0; i < r->root; i++) {
        bool used = false;
        for (size_t k = i + 1; k < r->match_count; k++)
            for (size_t a = 0; a < r->match[k].arg_count; a++)
                used |= r->match[k].args[a].kind == AP_ARG_NODE && r->match[k].args[a].node == i;
        if (!used)
            return fail_at(p, r->match[i].pos,
                           "the last operator of a match does not use this one; patterns with several roots "
                           "are not supported");
    }
    const ap_rule_node *root = &r->match[r->root];
    r->results = ap_arena_calloc(p->a, root->out_count, sizeof *r->results);
    for (size_t i = 0; i < root->out_count; i++) r->results[i] = (struct ap_rule_result){SIZE_MAX, SIZE_MAX};
    return root->keep ? fail_at(p, root->pos, "'keep' is for inner values; this is the root") : true;
}

static bool parse_match(parser *p, ap_rule *r) {
    node_list l = new_nodes(p, false);
    if (r->match) return fail_here(p, "one match only");
    if (!parse_block(p, &l)) return false;
    r->match = l.nodes;
    r->match_count = l.count;
    return find_root(p, r);
}

static bool parse_replace(parser *p, ap_rule *r) {
    node_list l = new_nodes(p, true);
    if (r->replace || r->native) return fail_here(p, "one replacement only");
    if (!r->match) return fail_here(p, "'match' before 'replace'");
    if (!parse_block(p, &l)) return false;
    r->replace = l.nodes;
    r->replace_count = l.count;
    return true;
}

static bool parse_native(parser *p, ap_rule *r) {
    if (r->replace || r->native) return fail_here(p, "one replacement only");
    ap_pos pos = peek(p)->pos;
    r->native = want_name(p, "the name of a native rewrite");
    if (!r->native || ap_native_find(r->native)) return r->native != NULL;
    const char *near = ap_native_nearest(r->native);
    return fail_at(p, pos, "there is no native rewrite '%s'%s%s%s", r->native, near ? "; did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
}

static bool skip_for(parser *p) {
    while (!p->failed && !is_mark(p, "=")) advance(p);
    do {
        advance(p); // "=" or "|" is behind us after the literal
        advance(p);
    } while (is_mark(p, "|"));
    return !p->failed;
}

bool parse_clause(parser *p, ap_rule *r) {
    static const char *const words[] = {"doc", "for",     "class",  "helps", "match",   "where",
                                        "let", "replace", "native", "draw",  "example", "when"};
    enum { WORDS = sizeof words / sizeof *words, WHEN = WORDS - 1 };
    const token *t = peek(p);
    if (t->kind != TOK_NAME) return fail_here(p, "a clause (doc, class, match, where, let, replace ...)");
    const char *word = ahead(p, 0)->text; // not a `for` name
    ap_pos pos = t->pos;
    size_t k = 0;
    while (k < WORDS && strcmp(words[k], word) != 0) k++;
    if (k == WORDS) {
        const char *near = ap_nearest(word, words, WORDS);
        return fail_at(p, pos, "expected a clause, found '%s'%s%s%s", word, near ? "; did you mean '" : "",
                       near ? near : "", near ? "'?" : "");
    }
    advance(p);
    if (((k >= 5 && k <= 6) || k == WHEN) && (!r->match || r->replace))
        return fail_at(p, pos, "'%s' stands behind 'match' and before 'replace'", word);
    switch (k) {
    case 0: {
        const char **docs = NULL;
        size_t count = 0;
        if (!parse_texts(p, &docs, &count)) return false;
        r->doc = docs[0];
        return true;
    }
    case 1: return skip_for(p);
    case 2: return parse_classes(p, r);
    case 3: return parse_texts(p, &r->helps, &r->help_count);
    case 4: return parse_match(p, r);
    case 5: return parse_conditions(p, r, false);
    case WHEN: return parse_conditions(p, r, true);
    case 6: return parse_let(p, r);
    case 7: return parse_replace(p, r);
    case 8: return parse_native(p, r);
    case 9: return parse_draw(p, r);
    default: return parse_texts(p, &r->examples, &r->example_count);
    }
}
