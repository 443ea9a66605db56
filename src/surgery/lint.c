// SPDX-License-Identifier: Apache-2.0
#include "surgery/lint.h"

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

// The text from "match" to "replace": pattern and conditions as written.
static const char *conditions(const ap_rule *r, size_t *len) {
    const char *from = strstr(r->text, "match"), *to = from ? strstr(from, "replace") : NULL;
    *len = from ? (to ? (size_t)(to - from) : strlen(from)) : 0;
    return from;
}

static bool same_conditions(const ap_rule *a, const ap_rule *b) {
    size_t la, lb;
    const char *ta = conditions(a, &la), *tb = conditions(b, &lb);
    return ta && tb && la == lb && !memcmp(ta, tb, la);
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
    return strcmp(a->family, b->family) != 0 && same_class(a, b) && same_conditions(a, b) && same_ops(a, b);
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
