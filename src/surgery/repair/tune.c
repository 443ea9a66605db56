// SPDX-License-Identifier: Apache-2.0
#include "surgery/repair/tune.h"

#include "base/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MARK "tune:"
#define GAIN 0.001         // estimates are sums: what is left out shows
#define GAIN_MEASURED 0.05 // clocks are not as sure as sums

void ap_tuned_release(ap_tuned *t) {
    ap_rewritten_release(&t->made);
    json_decref(t->report);
    *t = (ap_tuned){0};
}

// Places at which one rule does the same to the same types.
typedef struct group {
    const ap_rule *rule;
    const char *key;
    const char **places; // names of root nodes, in graph order
    size_t count, cap;
} group;

typedef struct tuning {
    const ap_tune_options *o;
    ap_arena arena;
    ap_model *given;
    ap_rewritten made;
    double cost;
    ap_map tried;   // keys of groups
    group **groups; // of this round
    size_t group_count, group_cap;
    ap_map by_key;
    json_t *kept, *rejected;
    ap_spending spent;
} tuning;

// What the next step stands on.
static ap_model *base(const tuning *t) {
    return t->made.model ? t->made.model : t->given;
}

static bool is_measured(const ap_whole *w) {
    return w->cost && json_object_get(w->cost, "measured_ms");
}

static void say(const tuning *t, const char *what, const group *g) {
    ap_whole_say(&t->o->tools.ask, "tuning: %.80s at %zu place%s %.120s", g->rule->name, g->count,
                 g->count == 1 ? "" : "s", what);
}

// ---- groups

static void put_type(ap_buf *key, const ap_match_env *env, const ap_value *v) {
    ap_value_type type;
    if (!v || !ap_type_of(&env->types, v, &type)) {
        ap_buf_puts(key, " ?");
        return;
    }
    ap_buf_printf(key, " %s", ap_dtype_name(type.dtype));
    for (size_t i = 0; i < type.rank; i++) ap_buf_printf(key, ",%lld", (long long)type.dims[i]);
}

static void key_of(const ap_match *m, ap_buf *key) {
    ap_buf_puts(key, m->rule->name);
    for (size_t k = 0; k < m->rule->match_count; k++) {
        const ap_node *n = m->nodes[k];
        if (!n) continue;
        ap_buf_printf(key, ";%s", n->op);
        for (size_t i = 0; i < n->input_count; i++) put_type(key, &m->env, n->inputs[i]);
    }
}

static group *group_for(tuning *t, const ap_match *m) {
    ap_buf key = {0};
    key_of(m, &key);
    group *g = ap_map_get(&t->by_key, ap_buf_str(&key));
    if (!g && !ap_map_has(&t->tried, ap_buf_str(&key))) {
        g = ap_arena_calloc(&t->arena, 1, sizeof *g);
        g->rule = m->rule;
        g->key = ap_arena_strdup(&t->arena, ap_buf_str(&key));
        ap_map_set(&t->by_key, g->key, g);
        if (t->group_count == t->group_cap) {
            t->group_cap = t->group_cap ? 2 * t->group_cap : 16;
            t->groups = ap_realloc(t->groups, t->group_cap * sizeof(group *));
        }
        t->groups[t->group_count++] = g;
    }
    ap_buf_free(&key);
    return g;
}

static void add_place(tuning *t, group *g, const char *name) {
    if (g->count == g->cap) {
        size_t cap = g->cap ? 2 * g->cap : 8;
        const char **longer = ap_arena_calloc(&t->arena, cap, sizeof *longer);
        if (g->count) memcpy(longer, g->places, g->count * sizeof *longer);
        g->places = longer;
        g->cap = cap;
    }
    g->places[g->count++] = ap_arena_strdup(&t->arena, name);
}

static ap_err look_at(tuning *t, const ap_match_env *env, ap_node *n) {
    size_t count = 0;
    const ap_rule *const *rules = ap_rules_for(t->o->tools.rules, n->domain, n->op, &count);
    for (size_t i = 0; i < count; i++) {
        ap_match *m = NULL;
        if (!ap_rule_is_for(rules[i], MARK)) continue;
        ap_err err = ap_rule_match(rules[i], env, n, &m, NULL);
        if (err) return err;
        group *g = m ? group_for(t, m) : NULL;
        if (g) add_place(t, g, n->name);
        ap_match_free(m);
    }
    return NULL;
}

// Groups of the base that were not tried yet, largest first: what happens often is worth most.
static int by_places(const void *a, const void *b) {
    const group *x = *(group *const *)a, *y = *(group *const *)b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return strcmp(x->key, y->key);
}

static ap_err collect(tuning *t) {
    ap_match_env env = {0};
    t->group_count = 0;
    ap_map_free(&t->by_key);
    t->by_key = (ap_map){0};
    ap_err err = ap_attempt_env(&t->o->tools, base(t), &env);
    for (size_t i = 0; !err && i < base(t)->graph->node_count; i++)
        err = look_at(t, &env, base(t)->graph->nodes[i]);
    ap_facts_free(env.facts);
    if (!err && t->group_count) qsort(t->groups, t->group_count, sizeof(group *), by_places);
    return err;
}

// ---- one attempt

// NULL: keep it.
static const char *fault(const tuning *t, const ap_attempt *a) {
    double least = is_measured(&a->made.whole) ? GAIN_MEASURED : GAIN, cost = ap_whole_cost(&a->made.whole);
    double gain = t->o->gain > 0 ? t->o->gain : least;
    if (a->why) return a->why;
    if (a->made.whole.refused) return "the target refuses nodes of it";
    if (!a->made.whole.built) return a->made.whole.error ? a->made.whole.error : "it cannot be built";
    if (!a->made.whole.passed) return "a gate of the whole model fails";
    if (isnan(cost)) return "its cost is not known";
    return cost <= t->cost * (1 - gain) ? NULL : "it is not faster";
}

static json_t *step_json(const tuning *t, const group *g, const ap_attempt *a, const char *why) {
    json_t *o = json_pack(
        "{ss,sO,s[o,o]}", "rule", g->rule->name, "places", a->places, "cost", ap_json_real(t->cost),
        a->made.model && a->made.whole.built ? ap_json_real(ap_whole_cost(&a->made.whole)) : json_null());
    if (why) json_object_set_new(o, "reason", ap_json_string(why));
    return o;
}

// A clock may have been unlucky with the base: before it loses it is measured once more.
static ap_err second_look(tuning *t, const ap_attempt *a) {
    ap_whole again = {0};
    if (!is_measured(&a->made.whole)) return NULL;
    const ap_whole_asker *ask = &t->o->tools.ask;
    t->spent.builds++;
    ap_err err = ask->judge(ask->user, base(t), &again);
    double cost = err ? NAN : ap_whole_cost(&again);
    if (cost < t->cost) t->cost = cost;
    ap_whole_release(&again);
    return err;
}

static ap_err try_group(tuning *t, const group *g, bool *changed) {
    ap_attempt a = {0};
    ap_err err = NULL;
    ap_map_set(&t->tried, g->key, t);
    AP_TRY(ap_attempt_make(&t->o->tools, base(t), g->rule, g->places, g->count, &t->spent, &a));
    const char *why = fault(t, &a);
    if (!why) {
        AP_TRY(second_look(t, &a));
        why = fault(t, &a);
    }
    json_array_append_new(why ? t->rejected : t->kept, step_json(t, g, &a, why));
    say(t, why ? why : "kept", g);
    if (!why) {
        ap_attempt_keep(&a, &t->made);
        t->cost = ap_whole_cost(&t->made.whole);
        *changed = true;
    }
done:
    ap_attempt_release(&a);
    return err;
}

// ---- all of it

// After a step that was kept places have moved: groups are collected anew.
static ap_err climb(tuning *t) {
    bool changed = true;
    ap_err err = NULL;
    while (changed && !err) {
        changed = false;
        err = collect(t);
        for (size_t i = 0; !err && !changed && i < t->group_count && !ap_is_spent(&t->spent); i++)
            err = try_group(t, t->groups[i], &changed);
    }
    return err;
}

static json_t *report_of(tuning *t, double before, const char *ended) {
    return json_pack("{sO,sO,s[o,o],s{sI,sf,ss}}", "kept", t->kept, "rejected", t->rejected, "cost",
                     ap_json_real(before), ap_json_real(t->cost), "stats", "tries",
                     (json_int_t)t->spent.builds, "seconds", ap_spending_seconds(&t->spent), "ended", ended);
}

ap_err ap_tune(const ap_model *m, const ap_whole *first, const ap_tune_options *o, ap_tuned *out) {
    tuning t = {.o = o, .given = (ap_model *)(uintptr_t)m, .spent = ap_spending_begin(o->budget)};
    const char *ended = "everything that fits was tried";
    ap_err err = NULL;
    t.kept = json_array();
    t.rejected = json_array();
    t.made.steps = json_array();
    t.cost = ap_whole_cost(first);
    double before = t.cost;
    if (!first->built || !first->passed || first->refused || isnan(before))
        ended = isnan(before) ? "the cost of the model is not known" : "the model does not run right yet";
    else
        AP_TRY(climb(&t));
    const char *budget = ap_spent(&t.spent, &t.arena);
    if (budget) ended = budget;
    *out = (ap_tuned){.made = t.made, .report = report_of(&t, before, ended)};
    t.made = (ap_rewritten){0};
done:
    ap_rewritten_release(&t.made);
    free(t.groups);
    ap_map_free(&t.tried);
    ap_map_free(&t.by_key);
    json_decref(t.kept);
    json_decref(t.rejected);
    ap_arena_release(&t.arena);
    return err;
}
