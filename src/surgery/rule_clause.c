// SPDX-License-Identifier: Apache-2.0
// Clauses, rules with their `for` copies, aliases, whole files.
#include "base/log.h"
#include "surgery/native.h"
#include "surgery/rule_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ITEMS = 64, MOST_FORS = 8 };

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

static bool parse_clause(parser *p, ap_rule *r) {
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

// ---- rules

typedef struct fors {
    const char *names[MOST_FORS];
    token values[MOST_FORS][MOST_ITEMS];
    size_t counts[MOST_FORS], count, copies;
} fors;

// One "for NAME = a | b" at token `i`.
static bool read_for(parser *p, fors *f, size_t i) {
    const token *name = &p->toks[i + 1];
    if (name->kind != TOK_NAME) return fail_at(p, name->pos, "expected a name behind 'for'");
    if (p->toks[i + 2].kind != TOK_MARK || strcmp(p->toks[i + 2].text, "=") != 0)
        return fail_at(p, p->toks[i + 2].pos, "expected '=', found '%.60s'", p->toks[i + 2].text);
    if (f->count == MOST_FORS) return fail_at(p, name->pos, "more than %d 'for' clauses", (int)MOST_FORS);
    size_t k = f->count++;
    f->names[k] = name->text;
    for (i += 3;; i += 2) {
        const token *v = &p->toks[i];
        if (v->kind == TOK_END || v->kind == TOK_MARK)
            return fail_at(p, v->pos, "expected a name, number or text, found '%.60s'", v->text);
        if (f->counts[k] == MOST_ITEMS) return fail_at(p, v->pos, "more than %d choices", (int)MOST_ITEMS);
        f->values[k][f->counts[k]++] = *v;
        const token *next = &p->toks[i + 1];
        if (next->kind != TOK_MARK || strcmp(next->text, "|") != 0) break;
    }
    f->copies *= f->counts[k];
    return f->copies <= AP_RULE_MAX_COPIES ||
           fail_at(p, name->pos, "the 'for' clauses make more than %d copies", (int)AP_RULE_MAX_COPIES);
}

static bool mark_is(const token *t, const char *mark) {
    return t->kind == TOK_MARK && !strcmp(t->text, mark);
}

// Tokens [at, end) are the rule from its '{' to behind its '}'. Collects the `for` clauses.
static bool scan_rule(parser *p, size_t at, size_t *end, fors *f) {
    int level = 0;
    f->copies = 1;
    for (size_t i = at; i < p->count; i++) {
        const token *t = &p->toks[i];
        if (t->kind == TOK_END) break;
        bool next_rule = i > at && t->kind == TOK_NAME && !strcmp(t->text, "rule") &&
                         p->toks[i + 1].kind == TOK_NAME && mark_is(&p->toks[i + 2], "{");
        if (next_rule) {
            *end = i;
            return fail_at(p, t->pos, "expected '}' before the next rule");
        }
        if (t->kind == TOK_MARK && strchr("({[", *t->text)) level++;
        if (t->kind == TOK_MARK && strchr(")}]", *t->text) && --level == 0) {
            *end = i + 1;
            return true;
        }
        if (level == 1 && t->kind == TOK_NAME && !strcmp(t->text, "for") && i + 4 < p->count &&
            !read_for(p, f, i))
            continue; // the end is still looked for
    }
    if (!*end) *end = p->count - 1;
    return fail_at(p, p->toks[p->count - 1].pos, "expected '}', found the end of the file");
}

static void set_choices(parser *p, const fors *f, size_t copy, ap_buf *name) {
    p->choice_count = f->count;
    for (size_t k = 0; k < f->count; k++) {
        p->choices[k].name = f->names[k];
        p->choices[k].value = f->values[k][copy % f->counts[k]];
        copy /= f->counts[k];
        ap_buf_printf(name, "%s%s=%s", k ? "," : "[", f->names[k], p->choices[k].value.text);
    }
    if (f->count) ap_buf_putc(name, ']');
}

static void hash_rule(ap_rule *r) {
    ap_sha256 h;
    ap_sha256_init(&h);
    ap_sha256_add(&h, r->name, strlen(r->name) + 1);
    ap_sha256_add(&h, r->text, strlen(r->text));
    if (r->native) ap_sha256_add(&h, &ap_native_find(r->native)->version, sizeof(int));
    r->hash = ap_sha256_finish(&h);
}

static ap_rule *parse_copy(parser *p, const char *family, ap_pos pos, size_t at, size_t end, const fors *f,
                           size_t copy) {
    ap_rule *r = ap_arena_calloc(p->a, 1, sizeof *r);
    ap_buf choices = {0};
    set_choices(p, f, copy, &choices);
    r->name = ap_arena_printf(p->a, "%s%s", family, ap_buf_str(&choices));
    ap_buf_free(&choices);
    r->family = family;
    r->file = p->file;
    r->pos = pos;
    r->doc = "";
    p->rule = r;
    p->name_count = 0;
    p->depth = 0;
    p->at = at + 1;
    while (!p->failed && p->at + 1 < end) parse_clause(p, r);
    p->choice_count = 0;
    if (p->failed) return NULL;
    r->slots = ap_arena_calloc(p->a, p->name_count, sizeof *r->slots);
    for (size_t i = 0; i < p->name_count; i++) r->slots[i] = p->names[i].name;
    r->slot_count = p->name_count;
    return check_rule(p, r) ? r : NULL;
}

static void add_rule(parser *p, ap_rule *r) {
    ap_rules *lib = p->lib;
    if (lib->count == lib->cap) {
        lib->cap = lib->cap ? 2 * lib->cap : 64;
        lib->list = ap_realloc(lib->list, lib->cap * sizeof *lib->list);
    }
    r->index = lib->count;
    lib->list[lib->count++] = r;
    ap_map_set(&lib->by_name, r->name, r);
    ap_map_add(&lib->families, r->family, r);
}

// The same rule again, letter by letter, is no second rule: the program's own rules stand in a folder
// `rules/`, too.
static bool is_known_rule(parser *p, const char *family, const char *text) {
    const ap_rule *other = ap_map_get(&p->lib->families, family);
    return other && !strcmp(other->text, text);
}

static bool check_new_family(parser *p, const char *family, ap_pos pos, size_t copies) {
    const ap_rule *other = ap_map_get(&p->lib->families, family);
    if (other)
        return fail_at(p, pos, "there is a rule '%s' already, %s:%u", family, other->file, other->pos.line);
    if (p->lib->count + copies > AP_RULE_MAX_RULES)
        return fail_at(p, pos, "more than %d rules", (int)AP_RULE_MAX_RULES);
    return true;
}

// "rule" NAME "{" ... "}"; p->at is behind "rule". Leaves p->at behind the rule, also after an error.
static void parse_rule(parser *p, const char **name_out) {
    ap_pos pos = peek(p)->pos;
    size_t start = p->at - 1;
    const char *name = want_name(p, "the rule's name");
    if (!name) return;
    *name_out = name;
    if (!is_mark(p, "{")) {
        fail_here(p, "'{'");
        return;
    }
    size_t at = p->at, end = 0;
    fors *f = ap_calloc(1, sizeof *f);
    ap_rule **copies = NULL;
    bool good = scan_rule(p, at, &end, f) && !p->failed;
    const char *text = "";
    if (good)
        text =
            ap_arena_strndup(p->a, p->src + p->toks[start].from, p->toks[end - 1].to - p->toks[start].from);
    good = good && !is_known_rule(p, name, text) && check_new_family(p, name, pos, f->copies);
    if (good) copies = ap_calloc(f->copies, sizeof(ap_rule *));
    for (size_t i = 0; good && i < f->copies; i++) {
        copies[i] = parse_copy(p, name, pos, at, end, f, i);
        good = copies[i] != NULL;
    }
    for (size_t i = 0; good && i < f->copies; i++) {
        copies[i]->text = text;
        hash_rule(copies[i]);
        add_rule(p, copies[i]);
    }
    p->at = end;
    free(copies);
    free(f);
}

// ---- aliases

static bool same_alias(const rule_alias *a, const rule_alias *b) {
    bool same = a->dtypes == b->dtypes && a->op_count == b->op_count;
    for (size_t i = 0; same && i < a->op_count; i++) same = !strcmp(a->ops[i], b->ops[i]);
    return same;
}

static bool parse_alias(parser *p) {
    ap_pos pos = peek(p)->pos;
    const char *name = want_name(p, "a name for the set");
    if (!name || !want_mark(p, "=")) return false;
    const rule_alias *known = ap_map_get(&p->lib->aliases, name);
    if (ap_rule_dtype(name)) return fail_at(p, pos, "the name '%s' is taken", name);
    rule_alias *a = ap_arena_calloc(p->a, 1, sizeof *a);
    do {
        ap_pos at = peek(p)->pos;
        const char *item = want_name(p, "an element type or an operator");
        if (!item) return false;
        uint64_t mask = dtype_mask(p, item);
        a->dtypes |= mask;
        if (!mask && !ap_op_find(p->lib->ops, "", item)) {
            const char *near = ap_op_nearest(p->lib->ops, item);
            return fail_at(p, at, "'%s' is no element type and no known operator%s%s%s", item,
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
        if (!mask) {
            if (a->op_count == MOST_ITEMS) return fail_at(p, at, "more than %d operators", (int)MOST_ITEMS);
            APPEND(p, a->ops, a->op_count, item);
        }
        if (a->dtypes && a->op_count)
            return fail_at(p, at, "a set holds element types or operators, not both");
    } while (take_mark(p, "|"));
    if (known && !same_alias(known, a)) return fail_at(p, pos, "the name '%s' is taken", name);
    ap_map_set(&p->lib->aliases, name, a);
    return true;
}

// ---- files

static void note(parser *p, const char *rule, ap_rule_problems *out) {
    if (!p->failed) return;
    if (out->count == out->cap) {
        out->cap = out->cap ? 2 * out->cap : 16;
        out->items = ap_realloc(out->items, out->cap * sizeof *out->items);
    }
    out->items[out->count++] = (ap_rule_problem){.rule = ap_arena_strdup(&out->arena, rule),
                                                 .file = ap_arena_strdup(&out->arena, p->file),
                                                 .pos = p->error_pos,
                                                 .message = ap_arena_strdup(&out->arena, p->error)};
    out->errors++;
    p->failed = false;
}

static bool at_top_word(parser *p) {
    return is_word(p, "rule") || is_word(p, "alias");
}

static void parse_item(parser *p, ap_rule_problems *problems) {
    const char *name = "";
    size_t before = p->at;
    if (is_word(p, "rule")) {
        advance(p);
        parse_rule(p, &name);
    } else if (is_word(p, "alias")) {
        advance(p);
        parse_alias(p);
    } else {
        fail_here(p, "'rule' or 'alias'");
    }
    bool bad = p->failed;
    note(p, name, problems);
    if (bad && p->at == before) advance(p);
    while (bad && peek(p)->kind != TOK_END && !at_top_word(p)) advance(p);
}

ap_err ap_rules_parse(ap_rules *lib, const char *file, const char *text, size_t len,
                      ap_rule_problems *problems) {
    if (len > AP_RULE_MAX_BYTES)
        return ap_err_subject(
            ap_err_new(AP_ERR_USAGE, "%s: a rule file of more than %d bytes", file, (int)AP_RULE_MAX_BYTES),
            file);
    if (len && memchr(text, 0, len))
        return ap_err_subject(ap_err_new(AP_ERR_USAGE, "%s is no text file", file), file);
    parser *p = ap_calloc(1, sizeof *p);
    p->lib = lib;
    p->a = &lib->arena;
    p->file = ap_arena_strdup(&lib->arena, file);
    p->src = text;
    if (!lex_source(p, len)) note(p, "", problems); // what stands before is read all the same
    while (peek(p)->kind != TOK_END && problems->errors < 100) parse_item(p, problems);
    free(p->toks);
    free(p);
    return NULL;
}
