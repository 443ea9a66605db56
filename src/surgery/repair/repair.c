// SPDX-License-Identifier: Apache-2.0
// The loop: what needs repair, a recipe for each kind of piece, all recipes at once, the target's judgement,
// and again, until the model passes or nothing new is found.
#include "surgery/repair/repair_priv.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_RESTARTS 2
#define MAX_ROUNDS 16

void ap_repaired_release(ap_repaired *r) {
    ap_rewritten_release(&r->made);
    json_decref(r->report);
    *r = (ap_repaired){0};
}

const char *repair_spent_piece(repair *r) {
    double most = r->o->search.seconds > 0 ? r->o->search.seconds : AP_SEARCH_SECONDS;
    return ap_arena_printf(&r->arena, "the budget of %g seconds a piece is spent (--piece-time gives more)",
                           most);
}

bool repair_is_fatal(const ap_error *e) {
    switch (ap_err_code(e)) {
    case AP_ERR_CANCELLED:
    case AP_ERR_NO_MEMORY:
    case AP_ERR_DISK_FULL:
    case AP_ERR_IO:
    case AP_ERR_READ_ONLY:
    case AP_ERR_RUNTIME_MISSING:
    case AP_ERR_RUNTIME_LOAD:
    case AP_ERR_WORKER_CRASH:
    case AP_ERR_WORKER_HANG:
    case AP_ERR_WORKER_MEMORY: return true;
    default: return false;
    }
}

// ---- one course: from the start until nothing moves

static ap_err one_round(repair *r, bool *moved) {
    size_t cap = 0, count = 0, kept = 0, bans = json_array_size(r->banned);
    repair_group **set = NULL;
    ap_err err = NULL;
    AP_TRY(repair_collect(r));
    AP_TRY(repair_search(r));
    for (repair_group *g = r->groups; g; g = g->next) cap++;
    set = ap_calloc(cap + 1, sizeof *set);
    for (repair_group *g = r->groups; g; g = g->next)
        if (g->found) set[count++] = g;
    AP_TRY(repair_add(r, set, count, &kept));
    *moved = kept > 0 || json_array_size(r->banned) > bans; // a ban makes room for another chain
done:
    free(set);
    return err;
}

static ap_err course(repair *r) {
    bool moved = true;
    ap_err err = NULL;
    for (size_t round = 0; moved && round < MAX_ROUNDS && !ap_is_spent(&r->spent); round++) {
        moved = false;
        AP_TRY(one_round(r, &moved));
        const ap_whole *w = &r->base.whole;
        ap_whole_say(&r->o->ask, "%zu repairs, %zu nodes refused, %s", json_array_size(r->base.repairs),
                     json_array_size(w->refused),
                     w->passed  ? "gates passed"
                     : w->built ? "gates failed"
                                : "not built");
    }
done:
    return err;
}

// ---- second thoughts: it builds, the gates fail, and no place is to blame

// The least exact repair whose chain is not banned yet; NULL when all are exact.
static const json_t *suspect(const repair *r) {
    const json_t *worst = NULL;
    size_t i;
    json_t *one;
    json_array_foreach(r->base.repairs, i, one) {
        if (ap_json_bool(one, "exact", true)) continue;
        if (!worst || ap_json_to_real(json_object_get(one, "piece_error")) >
                          ap_json_to_real(json_object_get(worst, "piece_error")))
            worst = one;
    }
    return worst;
}

static void ban_suspect(repair *r, const json_t *one) {
    const char *reason = "the gates of the whole model fail and this is the least exact step";
    json_array_append_new(r->banned, json_pack("{sO,sO,ss}", "recipe", json_object_get(one, "rules"), "key",
                                               json_object_get(one, "key"), "reason", reason));
    json_array_append_new(r->rolled_back, json_pack("{sO,sO,sO,ss}", "key", json_object_get(one, "key"),
                                                    "rules", json_object_get(one, "rules"), "nodes",
                                                    json_object_get(one, "nodes"), "reason", reason));
}

static ap_whole whole_copy(const ap_whole *w) {
    ap_whole c = *w;
    json_incref(c.refused);
    json_incref(c.wrong);
    json_incref(c.gates);
    json_incref(c.cost);
    c.error = ap_strdup(w->error);
    return c;
}

static ap_err begin_again(repair *r) {
    ap_map_free(&r->seen);
    r->seen = (ap_map){0};
    for (repair_group *g = r->groups; g; g = g->next) g->given_up = false;
    repair_state_release(&r->base);
    ap_err err = repair_state_of(r->start.model, NULL, &r->base);
    if (err) return err;
    r->base.whole = whole_copy(&r->start.whole);
    ap_map_set(&r->seen, r->base.sha256, r);
    return repair_measure(r);
}

static bool is_better(const ap_whole *a, const ap_whole *b) {
    if (a->passed != b->passed) return a->passed;
    if (a->built != b->built) return a->built;
    return json_array_size(a->refused) < json_array_size(b->refused);
}

static ap_err again_without_suspects(repair *r) {
    size_t most = r->o->restarts ? r->o->restarts : DEFAULT_RESTARTS;
    repair_state best = {0};
    ap_err err = NULL;
    while (!r->base.whole.passed && r->base.whole.built && r->restarts < most && !ap_is_spent(&r->spent)) {
        const json_t *one = suspect(r);
        if (!one) break;
        ban_suspect(r, one);
        r->restarts++;
        repair_state_release(&best);
        best = r->base;
        r->base = (repair_state){0};
        AP_TRY(begin_again(r));
        AP_TRY(course(r));
        if (is_better(&r->base.whole, &best.whole)) continue;
        repair_state_release(&r->base);
        r->base = best;
        best = (repair_state){0};
        AP_TRY(repair_measure(r));
        AP_TRY(repair_collect(r)); // what is left is told of this model
        break;
    }
done:
    repair_state_release(&best);
    return err;
}

// ---- the result

static json_t *cpu_nodes(const repair *r) {
    json_t *list = json_array(), *o;
    size_t i;
    if (r->o->allow_cpu && r->base.whole.built)
        json_array_foreach(r->base.whole.refused, i, o) json_array_append(list, json_object_get(o, "node"));
    return list;
}

// The budget that ended the work, in words; NULL: nothing more is to be found.
static const char *ended_by(repair *r) {
    const char *spent = ap_spent(&r->spent, &r->arena);
    for (const repair_group *g = r->groups; g && !spent; g = g->next)
        if (g->node_count && g->given_up && g->cut_short) spent = repair_spent_piece(r);
    return spent;
}

static ap_err report_of(repair *r, json_t **out) {
    json_t *left = json_array();
    ap_err err = repair_collect(r);
    if (!err) err = repair_left(r, left);
    if (err) {
        json_decref(left);
        return err;
    }
    const char *ended = ended_by(r);
    bool complete = r->base.whole.passed && json_array_size(r->base.whole.refused) == 0;
    *out = json_pack("{sO,sO,so,sO,so,s{sI,sI,sI,sf,so,sb}}", "needs", r->needs, "repairs", r->base.repairs,
                     "left", left, "rolled_back", r->rolled_back, "cpu", cpu_nodes(r), "stats", "tries",
                     (json_int_t)r->spent.builds, "searches", (json_int_t)r->searches, "restarts",
                     (json_int_t)r->restarts, "seconds", ap_spending_seconds(&r->spent), "ended",
                     ap_json_string(complete ? NULL : ended), "cut_short", ended && !complete);
    return NULL;
}

static ap_err result_of(repair *r, ap_repaired *out) {
    json_t *report = NULL;
    ap_err err = report_of(r, &report);
    if (err) return err;
    *out = (ap_repaired){.made = {.whole = whole_copy(&r->base.whole), .steps = json_incref(r->base.steps)},
                         .report = report};
    if (json_array_size(r->base.repairs) == 0) return NULL;
    out->made.model = r->base.model;
    out->made.bytes = r->base.bytes;
    r->base.model = NULL;
    r->base.bytes = (ap_buf){0};
    return NULL;
}

static void repair_release(repair *r) {
    for (repair_group *g = r->groups; g; g = g->next) {
        ap_recipe_release(&g->recipe);
        json_decref(g->tried);
        json_decref(g->values);
    }
    ap_facts_free(r->env.facts);
    repair_state_release(&r->base);
    repair_state_release(&r->start);
    ap_map_free(&r->types);
    ap_map_free(&r->group_of_key);
    ap_map_free(&r->group_of_node);
    ap_map_free(&r->seen);
    ap_map_free(&r->uncut);
    json_decref(r->wrong_alone);
    json_decref(r->needs);
    json_decref(r->banned);
    json_decref(r->rolled_back);
    ap_arena_release(&r->type_arena);
    ap_arena_release(&r->arena);
}

ap_err ap_repair(const ap_model *m, const ap_whole *first, const ap_repair_options *o, ap_repaired *out) {
    repair r = {.o = o, .spent = ap_spending_begin(o->budget)};
    ap_err err = NULL;
    r.group_end = &r.groups;
    r.needs = json_array();
    r.banned = json_array();
    r.rolled_back = json_array();
    AP_TRY(repair_state_of(m, NULL, &r.start));
    if (first)
        r.start.whole = whole_copy(first);
    else
        AP_TRY(repair_judge(&r, &r.start));
    AP_TRY(begin_again(&r));
    AP_TRY(course(&r));
    AP_TRY(again_without_suspects(&r));
    AP_TRY(result_of(&r, out));
done:
    repair_release(&r);
    return err;
}
