// SPDX-License-Identifier: Apache-2.0
#include "surgery/lint.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void ap_rule_problem_add(ap_rule_problems *out, const ap_rule *r, bool warning, const char *message) {
    if (out->count == out->cap) {
        out->cap = out->cap ? 2 * out->cap : 16;
        out->items = ap_realloc(out->items, out->cap * sizeof *out->items);
    }
    out->items[out->count++] = (ap_rule_problem){.warning = warning,
                                                 .rule = ap_arena_strdup(&out->arena, r->name),
                                                 .file = ap_arena_strdup(&out->arena, r->file),
                                                 .pos = r->pos,
                                                 .message = message};
    out->errors += !warning;
}

// ---- two rules that say the same

// The end of a word, a number or a text that starts at p; else of one sign.
static const char *token_end(const char *p, const char *end) {
    const char *q = p + 1;
    if (*p == '"') {
        while (q < end && *q != '"') q++;
        return q < end ? q + 1 : q;
    }
    if (!isalnum((unsigned char)*p) && *p != '_') return q;
    while (q < end && (isalnum((unsigned char)*q) || *q == '_')) q++;
    return q;
}

static const char *skip_space(const char *p, const char *end) {
    while (p < end && (isspace((unsigned char)*p) || *p == '#')) {
        if (*p++ != '#') continue;
        while (p < end && *p != '\n') p++;
    }
    return p;
}

// A name of an attribute is what it is; every other name of the rule counts by when it was bound.
static bool is_attribute(const char *after, const char *end, size_t depth) {
    return depth > 2 && after + 1 < end && *after == '=' && after[1] != '=';
}

static bool is_token(const char *p, const char *q, const char *word) {
    return (size_t)(q - p) == strlen(word) && !memcmp(p, word, (size_t)(q - p));
}

// Pattern and conditions, "match" to "replace", without space and comments and whatever the names are.
static void put_conditions(const ap_rule *r, ap_buf *out) {
    const char *end = r->text + strlen(r->text), *q;
    size_t depth = 0;
    bool on = false;
    for (const char *p = skip_space(r->text, end); p < end; p = skip_space(q, end)) {
        q = token_end(p, end);
        if (depth == 1 && is_token(p, q, "match")) on = true;
        if (depth == 1 && (is_token(p, q, "replace") || is_token(p, q, "native"))) break;
        depth += *p == '{';
        depth -= *p == '}' && depth;
        if (!on) continue;
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)(q - p), p);
        int slot = is_attribute(skip_space(q, end), end, depth) ? -1 : ap_rule_slot(r, word);
        if (slot >= 0)
            ap_buf_printf(out, " #%d", slot);
        else
            ap_buf_printf(out, " %.*s", (int)(q - p), p);
    }
}

static bool same_conditions(const ap_rule *a, const ap_rule *b) {
    ap_buf ta = {0}, tb = {0};
    if (a->match_count != b->match_count || strcmp(a->match[a->root].ops[0], b->match[b->root].ops[0]) != 0)
        return false;
    put_conditions(a, &ta);
    put_conditions(b, &tb);
    bool same = ta.len && ta.len == tb.len && !memcmp(ta.data, tb.data, ta.len);
    ap_buf_free(&ta);
    ap_buf_free(&tb);
    return same;
}

static bool same_class(const ap_rule *a, const ap_rule *b) {
    return a->class_count == b->class_count && a->classes[0].kind == b->classes[0].kind &&
           a->classes[0].amount == b->classes[0].amount;
}

static bool same_ops(const ap_rule *a, const ap_rule *b) {
    bool same = a->replace_count == b->replace_count &&
                (a->native ? b->native && !strcmp(a->native, b->native) : !b->native);
    for (size_t i = 0; same && i < a->replace_count; i++)
        same = !strcmp(a->replace[i].ops[0], b->replace[i].ops[0]);
    return same;
}

// Alternatives of one operator differ in what they need or in what they make; two that differ in neither are
// one rule too many: whoever comes second is never reached.
bool ap_rules_overlap(const ap_rule *a, const ap_rule *b) {
    return strcmp(a->family, b->family) != 0 && same_class(a, b) && same_ops(a, b) && same_conditions(a, b);
}

static void lint_pairs(const ap_rules *r, ap_rule_problems *out) {
    for (size_t i = 0; i < r->count; i++)
        for (size_t k = 0; k < i; k++) {
            const ap_rule *a = r->list[k], *b = r->list[i];
            if (!strcmp(a->family, b->family) || a->help_count != b->help_count) continue;
            if (same_class(a, b) && same_conditions(a, b))
                ap_rule_problem_add(out, b, true,
                                    ap_arena_printf(&out->arena,
                                                    "same pattern, conditions and class as %s (%s:%u)",
                                                    a->name, a->file, a->pos.line));
        }
}

static bool uses_op(const ap_rule_node *nodes, size_t count, const char *op) {
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(nodes[i].ops[0], op)) return true;
        for (size_t a = 0; a < nodes[i].arg_count; a++)
            if (uses_op(nodes[i].args[a].body, nodes[i].args[a].body_count, op)) return true;
    }
    return false;
}

static void lint_loops(const ap_rules *r, ap_rule_problems *out) {
    for (size_t i = 0; i < r->count; i++) {
        const ap_rule *a = r->list[i];
        const ap_rule_node *root = &a->match[a->root];
        bool bare = !root->attr_count && !a->step_count && a->match_count == 1;
        if (bare && uses_op(a->replace, a->replace_count, root->ops[0]))
            ap_rule_problem_add(out, a, true,
                                "the replacement holds the operator it replaces and nothing ends it");
    }
}

void ap_rules_lint(const ap_rules *r, ap_rule_problems *out) {
    lint_pairs(r, out);
    lint_loops(r, out);
}
