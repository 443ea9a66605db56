// SPDX-License-Identifier: Apache-2.0
#include "surgery/rule/lint.h"

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
