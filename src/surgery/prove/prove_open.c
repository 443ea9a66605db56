// SPDX-License-Identifier: Apache-2.0
// The rules of a run: those of the program and the user's, without those that can serve nobody.
#include "surgery/prove/prove_open.h"

#include "base/file.h"
#include "surgery/prove/prove.h"
#include "surgery/rule/lint.h"

// The second of two rules that overlap is never reached: it is refused.
static void drop_overlaps(ap_rules *r, ap_rule_problems *problems) {
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        const ap_rule *other = NULL;
        for (size_t k = 0; k < kept && !other; k++)
            if (ap_rules_overlap(r->list[k], r->list[i])) other = r->list[k];
        if (other) {
            ap_rule_problem_add(
                problems, r->list[i], false,
                ap_arena_printf(
                    &problems->arena,
                    "never reached: %s (%s:%u) has the same pattern, conditions, class and operators",
                    other->name, other->file, other->pos.line));
            ap_map_remove(&r->by_name, r->list[i]->name);
            continue;
        }
        r->list[kept] = r->list[i];
        r->list[kept]->index = kept;
        kept++;
    }
    r->count = kept;
}

// Of the rules from `from` on those that cannot hold are refused: they fit nothing, break types or do not
// end.
static void drop_hopeless(ap_rules *r, size_t from, ap_rule_problems *problems) {
    size_t kept = from;
    char why[400];
    for (size_t i = from; i < r->count; i++) {
        if (ap_rule_can_hold(r->list[i], r, why, sizeof why)) {
            r->list[kept] = r->list[i];
            r->list[kept]->index = kept;
            kept++;
            continue;
        }
        ap_rule_problem_add(problems, r->list[i], false, ap_arena_strdup(&problems->arena, why));
        ap_map_remove(&r->by_name, r->list[i]->name);
    }
    r->count = kept;
}

static ap_err open_rules(const char *dir, bool hopeless, ap_rules **out, ap_rule_problems *problems) {
    ap_rules *r = ap_rules_new();
    ap_err err = NULL;
    if (!dir && ap_is_dir("rules")) dir = "rules";
    AP_TRY(ap_rules_load_builtin(r, problems));
    size_t own = r->count;
    if (dir) AP_TRY(ap_rules_load(r, dir, problems));
    drop_overlaps(r, problems);
    ap_rules_finish(r);
    if (!hopeless && r->count > own) {
        drop_hopeless(r, own, problems);
        ap_rules_finish(r);
    }
    *out = r;
    r = NULL;
done:
    ap_rules_free(r);
    return err;
}

ap_err ap_rules_open(const char *dir, ap_rules **out, ap_rule_problems *problems) {
    return open_rules(dir, false, out, problems);
}

ap_err ap_rules_open_all(const char *dir, ap_rules **out, ap_rule_problems *problems) {
    return open_rules(dir, true, out, problems);
}
