// SPDX-License-Identifier: Apache-2.0
// The library: loading files, finding rules.
#include "surgery/rule/rule.h"

#include "base/data.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ap_rules *ap_rules_new(void) {
    ap_rules *r = ap_calloc(1, sizeof *r);
    r->ops = ap_op_table_new();
    return r;
}

static void free_index(ap_rules *r) {
    for (size_t i = 0; i < r->by_op.count; i++) {
        ap_rule_bucket *b = r->by_op.entries[i].value;
        free(b->rules);
        free(b);
    }
    ap_map_free(&r->by_op);
}

void ap_rules_free(ap_rules *r) {
    if (!r) return;
    free_index(r);
    ap_map_free(&r->by_name);
    ap_map_free(&r->families);
    ap_map_free(&r->aliases);
    ap_op_table_free(r->ops);
    free(r->list);
    ap_arena_release(&r->arena);
    free(r);
}

static ap_err load_file(ap_rules *r, const char *path, ap_rule_problems *problems) {
    ap_buf text = {0};
    ap_err err = NULL;
    AP_TRY(ap_file_read(path, AP_RULE_MAX_BYTES, &text));
    AP_TRY(ap_rules_parse(r, path, ap_buf_str(&text), text.len, problems));
done:
    ap_buf_free(&text);
    return err;
}

static bool is_rule_file(const char *name) {
    return !strcmp(ap_path_ext(name), ".rule") && *ap_path_base(name) != '.';
}

ap_err ap_rules_load(ap_rules *r, const char *path, ap_rule_problems *problems) {
    if (!ap_is_dir(path)) return load_file(r, path, problems);
    ap_arena a = {0};
    const char **names = NULL;
    size_t count = 0;
    ap_err err = NULL;
    AP_TRY(ap_list_dir(path, &a, &names, &count));
    for (size_t i = 0; i < count; i++)
        if (is_rule_file(names[i])) AP_TRY(load_file(r, ap_path_join(&a, path, names[i]), problems));
done:
    ap_arena_release(&a);
    return err;
}

ap_err ap_rules_load_builtin(ap_rules *r, ap_rule_problems *problems) {
    // A build without rules is possible; the list of names is then empty.
    const char *const *names = ap_data_names();
    for (size_t i = 0; names[i]; i++) {
        size_t len = 0;
        if (!is_rule_file(names[i])) continue;
        const char *text = ap_data_get(names[i], &len);
        ap_err err = ap_rules_parse(r, names[i], text, len, problems);
        if (err) return err;
    }
    return NULL;
}

static void index_rule(ap_rules *r, ap_rule *rule) {
    const ap_rule_node *root = &rule->match[rule->root];
    for (size_t k = 0; k < root->op_count; k++) {
        char *key = ap_arena_printf(&r->arena, "%s::%s", root->domain, root->ops[k]);
        ap_rule_bucket *b = ap_map_get(&r->by_op, key);
        if (!b) {
            b = ap_calloc(1, sizeof *b);
            ap_map_set(&r->by_op, key, b);
        }
        if (b->count == b->cap) {
            b->cap = b->cap ? 2 * b->cap : 8;
            b->rules = ap_realloc(b->rules, b->cap * sizeof *b->rules);
        }
        b->rules[b->count++] = rule;
    }
}

void ap_rules_finish(ap_rules *r) {
    ap_sha256 h;
    ap_sha256_init(&h);
    free_index(r);
    for (size_t i = 0; i < r->count; i++) {
        index_rule(r, r->list[i]);
        ap_sha256_add(&h, r->list[i]->hash.hex, sizeof r->list[i]->hash.hex);
    }
    r->hash = ap_sha256_finish(&h);
}

const ap_rule *ap_rules_find(const ap_rules *r, const char *name) {
    return ap_map_get(&r->by_name, name);
}

const ap_rule *const *ap_rules_for(const ap_rules *r, const char *domain, const char *op, size_t *count) {
    char key[160];
    int n = snprintf(key, sizeof key, "%s::%s", domain, op);
    const ap_rule_bucket *b = n > 0 && (size_t)n < sizeof key ? ap_map_get(&r->by_op, key) : NULL;
    *count = b ? b->count : 0;
    return b ? (const ap_rule *const *)b->rules : NULL;
}

int ap_rule_slot(const ap_rule *r, const char *name) {
    for (size_t i = 0; i < r->slot_count; i++)
        if (!strcmp(r->slots[i], name)) return (int)i;
    return -1;
}

void ap_rule_class_print(const ap_rule_class *c, ap_buf *out) {
    static const char *const names[] = {"exact", "bits", "ulp", "db"};
    ap_buf_puts(out, names[c->kind]);
    if (c->amount) ap_buf_printf(out, " %lld", (long long)c->amount);
    if (c->refines) ap_buf_puts(out, " refines");
    if (c->finite) ap_buf_puts(out, " finite");
}

void ap_rule_problems_free(ap_rule_problems *p) {
    free(p->items);
    ap_arena_release(&p->arena);
    *p = (ap_rule_problems){0};
}

void ap_rule_problems_print(const ap_rule_problems *p, ap_buf *out) {
    for (size_t i = 0; i < p->count; i++) {
        const ap_rule_problem *q = &p->items[i];
        ap_buf_printf(out, "%s:%u:%u: %s: %s%s%s%s\n", q->file, q->pos.line, q->pos.col,
                      q->warning ? "warning" : "error", *q->rule ? "rule " : "", q->rule,
                      *q->rule ? ": " : "", q->message);
    }
}
