// SPDX-License-Identifier: Apache-2.0
// One step of repair: recipes are applied to a copy of the model, the target judges it, and either the copy
// takes the model's place or the recipe at fault is found and banned.
#include "base/hash.h"
#include "surgery/pass/clean_gate.h"
#include "surgery/pass/fold_flow.h"
#include "surgery/repair/repair_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORSE_DB 0.5 // a failing gate may move by this much without counting as worse

// ---- states

void repair_state_release(repair_state *s) {
    ap_model_free(s->model);
    ap_buf_free(&s->bytes);
    ap_whole_release(&s->whole);
    json_decref(s->steps);
    json_decref(s->repairs);
    *s = (repair_state){0};
}

ap_err repair_state_of(const ap_model *m, const repair_state *from, repair_state *out) {
    repair_state s = {0};
    ap_err err = NULL;
    AP_TRY(ap_model_bytes(m, &s.bytes));
    AP_TRY(ap_model_parse(s.bytes.data, s.bytes.len, m->dir, &s.model));
    ap_digest d = ap_sha256_of(s.bytes.data, s.bytes.len);
    memcpy(s.sha256, d.hex, sizeof s.sha256);
    s.steps = from ? json_copy(from->steps) : json_array();
    s.repairs = from ? json_copy(from->repairs) : json_array();
    *out = s;
    s = (repair_state){0};
done:
    repair_state_release(&s);
    return err;
}

ap_err repair_judge(repair *r, repair_state *s) {
    ap_whole_release(&s->whole);
    r->spent.builds++;
    ap_map_set(&r->seen, s->sha256, r);
    return r->o->ask.judge(r->o->ask.user, s->model, &s->whole);
}

// A shape that may change with the data was that of one run only: nothing is known of its sizes.
static void forget_sizes(ap_value_type *t) {
    for (size_t i = 0; i < t->rank; i++) t->dims[i] = -1;
}

ap_err repair_measure(repair *r) {
    ap_type_source source = {0};
    ap_flow flow = {0};
    ap_map_free(&r->types);
    r->types = (ap_map){0};
    ap_arena_release(&r->type_arena);
    ap_err err = r->o->ask.types(r->o->ask.user, r->base.model, &source);
    if (err) return err;
    ap_flow_of(r->base.model, &flow);
    const ap_map *values = &r->base.model->graph->values;
    for (size_t i = 0; i < values->count; i++) {
        const ap_value *v = values->entries[i].value;
        ap_value_type t;
        if (!v || !ap_type_of(&source, v, &t)) continue;
        ap_value_type *kept = ap_arena_alloc(&r->type_arena, sizeof *kept);
        *kept = t;
        if (v->kind == AP_VALUE_NODE && (ap_flow_get(&flow, v) & AP_FLOW_SHAPE)) forget_sizes(kept);
        ap_map_set(&r->types, v->name, kept);
    }
    ap_flow_release(&flow);
    return NULL;
}

static bool known_type(void *user, const ap_value *v, ap_value_type *out) {
    const ap_value_type *t = ap_map_get(&((repair *)user)->types, v->name);
    if (t) *out = *t;
    return t != NULL;
}

ap_err repair_env(repair *r, ap_model *m, ap_match_env *env) {
    *env = (ap_match_env){.model = m,
                          .rules = r->o->search.rules,
                          .types = {.type = known_type, .user = r},
                          .compute = r->o->search.compute,
                          .oracle = r->o->search.oracle};
    return ap_facts_new(m, &env->types, env->compute, &env->facts);
}

// ---- one attempt

typedef struct attempt {
    repair_state state;
    ap_map owner;  // node the recipe added → repair_group *
    json_t *unfit; // [{node, reason}]: places the recipe did not fit after all
    size_t applied;
} attempt;

static void attempt_release(attempt *a) {
    repair_state_release(&a->state);
    ap_map_free(&a->owner);
    json_decref(a->unfit);
}

json_t *repair_chain(const ap_recipe *recipe) {
    json_t *list = json_array(), *link;
    size_t i;
    json_array_foreach(recipe->chain, i, link)
        json_array_append_new(list, ap_json_string(ap_json_str(link, "rule", "?")));
    return list;
}

// The weakest class of the chain, for people: the one that is not exact.
static const char *class_of(const ap_recipe *recipe) {
    const char *worst = "exact";
    size_t i;
    json_t *link;
    json_array_foreach(recipe->chain, i, link) {
        const char *c = ap_json_str(link, "class", "exact");
        if (strncmp(c, "exact", 5) != 0 && (strncmp(worst, "db", 2) != 0 || !strncmp(c, "db", 2))) worst = c;
    }
    return worst;
}

static json_t *proofs_of(const ap_recipe *recipe) {
    json_t *list = json_array(), *link;
    size_t i;
    json_array_foreach(recipe->chain, i, link) {
        json_t *proof = json_object_get(link, "proof");
        if (json_is_object(proof)) json_array_append(list, proof);
    }
    return list;
}

static json_t *strings(const char *const *list, size_t count) {
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(out, ap_json_string(list[i]));
    return out;
}

static json_t *repair_json(const repair_group *g, json_t *nodes) {
    const ap_recipe *c = &g->recipe;
    return json_pack("{ss,ss,ss,so,ss,so,ss,sb,so,so,sI,sI}", "key", g->key, "op", g->op, "verdict",
                     g->verdict, "nodes", nodes, "why", g->reason ? g->reason : "", "rules", repair_chain(c),
                     "class", class_of(c), "exact", c->exact, "proofs", proofs_of(c), "piece_error",
                     ap_json_real(c->error), "nodes_before", (json_int_t)c->nodes_before, "nodes_after",
                     (json_int_t)c->nodes_after);
}

// Notes which nodes are new since the last look; they are this group's.
static void note_added(attempt *a, const ap_model *before, const ap_model *now, repair_group *g) {
    for (size_t i = 0; i < now->graph->node_count; i++) {
        const char *name = now->graph->nodes[i]->name;
        if (!ap_graph_node(before->graph, name)) (void)ap_map_add(&a->owner, name, g);
    }
}

static ap_err apply_group(repair *r, attempt *a, ap_match_env *env, repair_group *g) {
    json_t *nodes = json_array();
    ap_err err = NULL;
    for (size_t i = 0; i < g->node_count; i++) {
        ap_node *n = ap_graph_node(env->model->graph, g->nodes[i]);
        if (!n) continue; // another recipe took it along
        err = r->o->tools->apply(&g->recipe, env, n, a->state.steps);
        if (repair_is_fatal(err)) goto done;
        if (err)
            json_array_append_new(a->unfit,
                                  json_pack("{ss,ss}", "node", g->nodes[i], "reason", ap_err_message(err)));
        else
            json_array_append_new(nodes, ap_json_string(g->nodes[i]));
        ap_err_free(err);
        err = NULL;
    }
    if (json_array_size(nodes) == 0) goto done;
    a->applied++;
    note_added(a, r->base.model, env->model, g);
    json_array_append_new(a->state.repairs, repair_json(g, json_incref(nodes)));
done:
    json_decref(nodes);
    return err;
}

// Base with the recipes of `set`, judged. What goes wrong with the graph itself is told in *why.
static ap_err attempt_make(repair *r, repair_group **set, size_t count, attempt *a, char **why) {
    ap_match_env env = {0};
    repair_state packed = {0};
    ap_err err = NULL;
    a->unfit = json_array();
    AP_TRY(repair_state_of(r->base.model, &r->base, &a->state));
    AP_TRY(repair_env(r, a->state.model, &env));
    for (size_t i = 0; i < count; i++) AP_TRY(apply_group(r, a, &env, set[i]));
    if (a->applied == 0) {
        const json_t *first = json_array_get(a->unfit, 0);
        *why = ap_arena_printf(&r->arena, "it does not fit there: %s",
                               ap_json_str(first, "reason", "the nodes are gone"));
        goto done;
    }
    err = repair_state_of(a->state.model, &a->state, &packed);
    if (err && !repair_is_fatal(err)) {
        *why = ap_arena_printf(&r->arena, "the graph it makes is not valid: %s", ap_err_message(err));
        ap_err_free(err);
        err = NULL;
        goto done;
    }
    if (err) goto done;
    repair_state_release(&a->state);
    a->state = packed;
    packed = (repair_state){0};
    if (strcmp(ap_interface_digest(a->state.model).hex, ap_interface_digest(r->start.model).hex) != 0)
        *why = ap_arena_strdup(&r->arena, "it changes the inputs or outputs of the model");
    else if (ap_map_has(&r->seen, a->state.sha256))
        *why = ap_arena_strdup(&r->arena, "it leads to a graph that was tried before");
    else
        AP_TRY(repair_judge(r, &a->state));
done:
    ap_facts_free(env.facts);
    repair_state_release(&packed);
    return err;
}

// ---- better or worse

static bool lists(const json_t *list, const char *node) {
    size_t i;
    json_t *o;
    json_array_foreach((json_t *)(uintptr_t)list, i,
                       o) if (!strcmp(ap_json_str(o, "node", ""), node)) return true;
    return false;
}

// A node of `list` that a recipe put there.
static const json_t *blamed(const attempt *a, const json_t *list, repair_group **who) {
    size_t i;
    json_t *o;
    json_array_foreach((json_t *)(uintptr_t)list, i, o) {
        *who = ap_map_get(&a->owner, ap_json_str(o, "node", ""));
        if (*who) return o;
    }
    return NULL;
}

// Both were built and run; do the numbers of the second fall behind?
static bool numbers_fall(const ap_whole *was, const ap_whole *is) {
    double db_was, db_is;
    size_t failed_was = ap_whole_failed_gates(was, &db_was), failed_is = ap_whole_failed_gates(is, &db_is);
    if (is->passed) return false;
    return failed_is > failed_was || (failed_is == failed_was && db_is < db_was - WORSE_DB);
}

// Why the attempt is no step forward; NULL when it is one. *who: the group at fault, when that is known.
static char *fault(repair *r, const attempt *a, repair_group **who) {
    const ap_whole *was = &r->base.whole, *is = &a->state.whole;
    const json_t *o = blamed(a, is->refused, who);
    if (o)
        return ap_arena_printf(&r->arena, "the target refuses what it makes: %s '%s': %s",
                               ap_json_str(o, "op", "?"), ap_json_str(o, "node", "?"),
                               ap_json_str(o, "reason", "?"));
    o = blamed(a, is->wrong, who);
    if (o)
        return ap_arena_printf(&r->arena, "the target computes what it makes wrong: %s '%s': %s",
                               ap_json_str(o, "op", "?"), ap_json_str(o, "node", "?"),
                               ap_json_str(o, "reason", "?"));
    size_t i;
    json_t *n;
    json_array_foreach(is->refused, i, n) {
        const char *name = ap_json_str(n, "node", "");
        if (!lists(was->refused, name))
            return ap_arena_printf(&r->arena, "the target now refuses '%s': %s", name,
                                   ap_json_str(n, "reason", "?"));
    }
    if (is->error && !was->error)
        return ap_arena_printf(&r->arena, "the model cannot be built any more: %s", is->error);
    if (was->passed && !is->passed) return ap_arena_strdup(&r->arena, "a gate of the whole model fails");
    if (was->built && !is->built) return ap_arena_strdup(&r->arena, "the model is not built any more");
    if (was->built && is->built && numbers_fall(was, is))
        return ap_arena_strdup(&r->arena, "the gates of the whole model are further off");
    return NULL;
}

// ---- keeping and rolling back

void repair_ban(repair *r, repair_group *g, const char *reason) {
    json_t *chain = repair_chain(&g->recipe);
    json_array_append_new(r->banned,
                          json_pack("{sO,ss,ss}", "recipe", chain, "key", g->key, "reason", reason));
    json_array_append_new(r->rolled_back, json_pack("{ss,sO,so,ss}", "key", g->key, "rules", chain, "nodes",
                                                    strings(g->nodes, g->node_count), "reason", reason));
    json_decref(chain);
    ap_recipe_release(&g->recipe);
    g->recipe = (ap_recipe){0};
    g->found = false;
}

// Numbers of the whole model around this step, in each repair it made.
static void note_effect(const repair_state *before, repair_state *after) {
    size_t had = json_array_size(before->repairs);
    const ap_whole *was = &before->whole, *is = &after->whole;
    for (size_t i = had; i < json_array_size(after->repairs); i++) {
        json_t *one = json_array_get(after->repairs, i);
        json_object_set(one, "gates_before", was->gates ? was->gates : json_null());
        json_object_set(one, "gates_after", is->gates ? is->gates : json_null());
        json_object_set(one, "cost_before", was->cost ? was->cost : json_null());
        json_object_set(one, "cost_after", is->cost ? is->cost : json_null());
    }
}

static ap_err accept(repair *r, attempt *a) {
    note_effect(&r->base, &a->state);
    repair_state_release(&r->base);
    r->base = a->state;
    a->state = (repair_state){0};
    return repair_measure(r);
}

static void drop(repair_group **set, size_t *count, const repair_group *g) {
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (set[i] != g) set[kept++] = set[i];
    *count = kept;
}

// The union first. When it fails and the one at fault is known, it goes alone; else by halves.
static ap_err add(repair *r, repair_group **set, size_t count, size_t *kept) {
    attempt a = {0};
    repair_group *who = NULL;
    char *why = NULL;
    ap_err err = NULL;
    if (count == 0 || ap_is_spent(&r->spent)) return NULL;
    AP_TRY(attempt_make(r, set, count, &a, &why));
    if (!why) why = fault(r, &a, &who);
    if (!why) {
        *kept += a.applied;
        err = accept(r, &a);
        goto done;
    }
    attempt_release(&a);
    a = (attempt){0};
    if (count == 1) who = set[0];
    if (who) {
        ap_whole_say(&r->o->ask, "%s rolled back: %s", who->op, why);
        repair_ban(r, who, why);
        drop(set, &count, who);
        err = add(r, set, count, kept);
    } else {
        size_t half = count / 2;
        err = add(r, set, half, kept);
        if (!err) err = add(r, set + half, count - half, kept);
    }
done:
    attempt_release(&a);
    return err;
}

ap_err repair_add(repair *r, repair_group **set, size_t count, size_t *kept) {
    *kept = 0;
    return add(r, set, count, kept);
}
