// SPDX-License-Identifier: Apache-2.0
// Whole files of rules: each with its `for` copies, aliases, and what is told of those that are wrong.
#include "surgery/rule/rule_native.h"
#include "surgery/rule/rule_priv.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CHOICES = 64, MOST_FORS = 8 };

// ---- rules

typedef struct fors {
    const char *names[MOST_FORS];
    token values[MOST_FORS][MOST_CHOICES];
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
        if (f->counts[k] == MOST_CHOICES)
            return fail_at(p, v->pos, "more than %d choices", (int)MOST_CHOICES);
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
            if (a->op_count == MOST_CHOICES)
                return fail_at(p, at, "more than %d operators", (int)MOST_CHOICES);
            if (!a->ops) a->ops = ap_arena_calloc(p->a, MOST_CHOICES, sizeof *a->ops);
            a->ops[a->op_count++] = item;
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
