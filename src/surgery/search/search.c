// SPDX-License-Identifier: Apache-2.0
// The search: a queue of states, asked together, expanded best first.
#include "surgery/search/search.h"

#include "base/file.h"
#include "surgery/search/search_priv.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 5, EXPANSIONS = 200, PROBES = 64, TOLD = 24, MOST_TOLD = 64 };

// ---- adding states

static double most_seconds(const ap_search_options *o) {
    return o->seconds > 0 ? o->seconds : AP_SEARCH_SECONDS;
}

static double most_seconds_in_all(const ap_search_options *o) {
    return o->seconds_in_all > 0 ? o->seconds_in_all : 3 * most_seconds(o);
}

static size_t most_probes(const search *s) {
    return s->o->probes ? s->o->probes : PROBES;
}

static void keep(search *s, search_state *st) {
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->list = ap_realloc(s->list, s->cap * sizeof *s->list);
    }
    s->list[s->count++] = st;
}

// A way to a known state that costs less takes the other one's place, with its answer.
static bool is_better_way(const search_state *st, const search_state *known) {
    return known->open && search_compare(st, known) < 0;
}

static void take_place(search *s, search_state *st, search_state *known) {
    st->open = true;
    st->asked = known->asked;
    st->probe = known->probe;
    st->verdict = known->verdict;
    st->reason = known->reason;
    st->error = known->error;
    st->refused = known->refused;
    st->refused_count = known->refused_count;
    memcpy(st->key, known->key, sizeof st->key);
    known->open = false;
    ap_map_set(&s->by_key, st->key, st);
    keep(s, st);
}

ap_err search_add(search *s, search_state *st, ap_probe_set *set) {
    size_t before = set->count;
    ap_err err = ap_probe_add_piece(set, st->model, s->piece->model, s->piece->facts, st->names);
    if (err) {
        search_state_free(st);
        return err;
    }
    const ap_probe *p = &set->list[before];
    if (!p->signature) {
        search_note(s, st, NULL, "unasked", p->reason);
        set->count = before;
        search_state_free(st);
        return NULL;
    }
    search_state *known = ap_map_get(&s->by_key, p->key);
    if (known || s->probes >= most_probes(s)) {
        set->count = before;
        if (known && is_better_way(st, known)) {
            take_place(s, st, known);
            return NULL;
        }
        if (!known) s->budget = "probes";
        search_state_free(st);
        return NULL;
    }
    memcpy(st->key, p->key, sizeof st->key);
    ap_map_set(&s->by_key, st->key, st);
    st->probe = before;
    st->open = true;
    s->probes++;
    keep(s, st);
    return NULL;
}

// ---- answers

static void absorb(search *s, const ap_probe_set *set) {
    for (size_t i = 0; i < s->count; i++) {
        search_state *st = s->list[i];
        if (st->asked) continue;
        const ap_probe *p = &set->list[st->probe];
        size_t *refused = ap_arena_calloc(&s->arena, p->refused_count + 1, sizeof *refused);
        if (p->refused_count) memcpy(refused, p->refused, p->refused_count * sizeof *refused);
        st->asked = true;
        st->verdict = p->verdict;
        st->reason = ap_arena_strdup(&s->arena, p->reason);
        st->error = p->error;
        st->refused = refused;
        st->refused_count = p->refused_count;
    }
}

// ---- a chain that works

static json_t *chain_of(const search_state *st) {
    json_t *chain = st->parent ? chain_of(st->parent) : json_array(), *own = json_deep_copy(st->steps);
    json_array_extend(chain, own);
    json_decref(own);
    return chain;
}

static bool is_banned(const search *s, const json_t *chain) {
    size_t i, k;
    json_t *ban, *step;
    ap_recipe r = {.chain = (json_t *)(uintptr_t)chain};
    char *text = ap_recipe_text(&r);
    bool banned = false;
    json_array_foreach((json_t *)(uintptr_t)s->o->banned, i, ban) {
        const json_t *recipe = json_object_get(ban, "recipe");
        if (strcmp(ap_json_str(ban, "key", ""), s->piece->key) != 0) continue;
        bool same = json_is_string(recipe) && !strcmp(json_string_value(recipe), text);
        if (json_is_array(recipe) && json_array_size(recipe) == json_array_size(chain)) {
            same = true;
            json_array_foreach(chain, k, step) {
                const char *name = json_string_value(json_array_get(recipe, k));
                same &= name && !strcmp(name, ap_json_str(step, "rule", ""));
            }
        }
        banned |= same;
    }
    free(text);
    return banned;
}

static void note_unproven(search *s, const char *rule, const json_t *proof, const ap_error *err) {
    ap_arena a = {0};
    const char *verdict = ap_json_str(proof, "verdict", NULL), *why = ap_json_str(proof, "reason", "");
    char *text =
        err       ? ap_arena_printf(&a, "rule %s cannot be proven: %s", rule, ap_err_message(err))
        : verdict ? ap_arena_printf(&a, "rule %s is not proven: %s%s%s", rule, verdict, *why ? ", " : "", why)
                  : ap_arena_printf(&a, "rule %s is not proven", rule);
    ap_map_set(&s->unproven, rule, ap_arena_strdup(&s->arena, text));
    ap_arena_release(&a);
}

// Asks the judge once a rule.
static ap_err is_proven(search *s, const char *name, bool *yes, json_t **proof) {
    *yes = true;
    *proof = NULL;
    if (!s->o->judge) return NULL;
    if (!ap_map_has(&s->proofs, name)) {
        json_t *p = NULL;
        bool ok = false;
        ap_err err = s->o->judge->proven(s->o->judge->user, ap_rules_find(s->o->rules, name), &ok, &p);
        if (err && search_is_fatal(err)) return err;
        if (err || !ok) note_unproven(s, name, p, err);
        ok &= !err;
        ap_err_free(err);
        if (ok && !p) p = json_null();
        if (!ok) {
            json_decref(p);
            p = NULL;
        }
        ap_map_set(&s->proofs, name, p);
    }
    *proof = ap_map_get(&s->proofs, name);
    *yes = *proof != NULL;
    return NULL;
}

static ap_err try_accepted(search *s, search_state *st) {
    json_t *chain = chain_of(st), *step;
    size_t i;
    ap_err err = NULL;
    if (is_banned(s, chain)) {
        search_note(s, st, NULL, "banned", "it worked here and failed in the whole model");
        goto done;
    }
    json_array_foreach(chain, i, step) {
        bool yes;
        json_t *proof;
        AP_TRY(is_proven(s, ap_json_str(step, "rule", ""), &yes, &proof));
        if (!yes) {
            search_note(s, st, NULL, "unproven", ap_map_get(&s->unproven, ap_json_str(step, "rule", "")));
            goto done;
        }
        json_object_set(step, "proof", proof ? proof : json_null());
    }
    s->found = st;
    s->chain = json_incref(chain);
    s->done = true;
done:
    json_decref(chain);
    return err;
}

// ---- one round

static search_state *take_best(search *s) {
    search_state *best = NULL;
    for (size_t i = 0; i < s->count; i++) {
        search_state *st = s->list[i];
        if (st->open && st->asked && (!best || search_compare(st, best) < 0)) best = st;
    }
    if (best) best->open = false;
    return best;
}

static bool may_expand(search *s, const search_state *st) {
    double most = most_seconds(s->o);
    if (st->verdict == AP_PROBE_UNASKED || st->verdict == AP_PROBE_INVALID) return false;
    if (st->depth >= (s->o->depth ? s->o->depth : DEPTH)) return false;
    if (s->expansions >= (s->o->expansions ? s->o->expansions : EXPANSIONS)) s->budget = "expansions";
    if ((double)s->spent_us / 1e6 > most || ap_now_us() > s->deadline_us) s->budget = "seconds";
    return !s->budget || !strcmp(s->budget, "probes");
}

// Goes on until there is something to ask, or to the end.
static ap_err advance(search *s, ap_probe_set *set) {
    ap_err err = NULL;
    size_t before = set->count;
    uint64_t start = ap_now_us();
    while (!err && !s->done && set->count == before) {
        search_state *st = take_best(s);
        if (!st)
            s->done = true;
        else if (st->verdict == AP_PROBE_ACCEPTED && (st->parent || !s->piece->must_change))
            err = try_accepted(s, st);
        else if (may_expand(s, st))
            err = search_expand(s, st, set);
    }
    s->spent_us += ap_now_us() - start;
    return err;
}

static ap_err begin(search *s, ap_probe_set *set) {
    s->tried = json_array();
    ap_err err = search_root(s);
    if (err) return err;
    search_state *root = s->list[--s->count];
    err = search_add(s, root, set);
    if (!err && !s->count) s->done = true; // cannot be asked about
    return err;
}

// ---- telling

static int by_nearness(const void *x, const void *y) {
    const search_state *a = *(search_state *const *)x, *b = *(search_state *const *)y;
    if (a->refused_count != b->refused_count) return a->refused_count < b->refused_count ? -1 : 1;
    return search_compare(a, b);
}

static void append_notes(json_t *list, const json_t *notes, bool misfits) {
    size_t i;
    json_t *n;
    json_array_foreach((json_t *)(uintptr_t)notes, i, n) {
        bool misfit = strcmp(ap_json_str(n, "verdict", ""), "misfit") == 0;
        if (misfit == misfits && json_array_size(list) < MOST_TOLD) json_array_append(list, n);
    }
}

static int by_depth(const void *x, const void *y) {
    const json_t *a = *(json_t *const *)x, *b = *(json_t *const *)y;
    int64_t p = ap_json_int(a, "depth", 0), q = ap_json_int(b, "depth", 0);
    return p != q ? (p > q ? -1 : 1)
                  : strcmp(json_string_value(json_array_get(json_object_get(a, "chain"), 0)),
                           json_string_value(json_array_get(json_object_get(b, "chain"), 0)));
}

// The rule that came nearest first.
static void sort_misfits(json_t *notes) {
    size_t n = json_array_size(notes), k = 0;
    json_t **list = ap_calloc(n + 1, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        json_t *note = json_array_get(notes, i);
        if (json_object_get(note, "depth")) list[k++] = json_incref(note);
    }
    qsort(list, k, sizeof *list, by_depth);
    for (size_t i = 0, at = 0; i < n; i++)
        if (json_object_get(json_array_get(notes, i), "depth")) json_array_set_new(notes, i, list[at++]);
    for (size_t i = 0; i < k; i++) json_object_del(list[i], "depth");
    free(list);
}

// Chains that work but may not be used, failed states with the nearest first, rules that do not fit.
static json_t *tell_tried(search *s) {
    json_t *notes = s->tried, *list = json_array();
    search_state **order = ap_calloc(s->count + 1, sizeof *order);
    size_t n = 0;
    s->tried = list;
    append_notes(list, notes, false);
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i]->parent && s->list[i]->asked && s->list[i]->verdict != AP_PROBE_ACCEPTED)
            order[n++] = s->list[i];
    qsort(order, n, sizeof *order, by_nearness);
    for (size_t i = 0; i < n && i < TOLD; i++)
        search_note(s, order[i], NULL, ap_probe_verdict_word(order[i]->verdict), order[i]->reason);
    sort_misfits(notes);
    append_notes(list, notes, true);
    free(order);
    json_decref(notes);
    s->tried = NULL;
    return list;
}

static void finish(search *s, ap_search_result *out) {
    const search_state *root = s->count ? s->list[0] : NULL;
    ap_search_result r = {.before = root ? root->verdict : AP_PROBE_UNASKED, .found = s->found != NULL};
    const char *why = root ? root->reason : ap_json_str(json_array_get(s->tried, 0), "reason", NULL);
    r.reason = ap_arena_strdup(&r.arena, why);
    if (s->found) {
        bool exact = true;
        size_t i;
        json_t *step;
        json_array_foreach(s->chain, i, step) {
            const char *cls = ap_json_str(step, "class", "");
            exact &= !strncmp(cls, "exact", 5) || !strncmp(cls, "bits", 4);
        }
        r.recipe = (ap_recipe){.chain = json_incref(s->chain),
                               .radius = s->piece->radius,
                               .nodes_before = s->piece->node_count,
                               .nodes_after = s->found->model->graph->node_count,
                               .error = s->found->error,
                               .exact = exact};
        memcpy(r.recipe.key, s->piece->key, sizeof r.recipe.key);
    }
    r.tried = tell_tried(s);
    r.stats = json_pack("{sI,sI,sf,so}", "expansions", (json_int_t)s->expansions, "probes",
                        (json_int_t)s->probes, "seconds", (double)s->spent_us / 1e6, "budget",
                        s->budget && !s->found ? json_string(s->budget) : json_null());
    *out = r;
}

static void search_release(search *s) {
    for (size_t i = 0; i < s->count; i++) search_state_free(s->list[i]);
    free(s->list);
    for (size_t i = 0; i < s->proofs.count; i++) json_decref(s->proofs.entries[i].value);
    ap_map_free(&s->proofs);
    ap_map_free(&s->unproven);
    ap_map_free(&s->by_key);
    json_decref(s->tried);
    json_decref(s->chain);
    ap_arena_release(&s->arena);
}

void ap_search_result_release(ap_search_result *r) {
    ap_recipe_release(&r->recipe);
    json_decref(r->tried);
    json_decref(r->stats);
    ap_arena_release(&r->arena);
    *r = (ap_search_result){0};
}

// ---- the whole

// One round of questions; each search pays for its share, however many search beside it.
static ap_err ask(search *all, size_t count, ap_probe_set *set, const ap_search_options *o) {
    uint64_t start = ap_now_us(), share;
    size_t asking = 0;
    ap_err err = ap_probe_run(set, o->cache, o->host, NULL);
    for (size_t i = 0; i < count; i++) asking += !all[i].done;
    share = (ap_now_us() - start) / (asking ? asking : 1);
    for (size_t i = 0; i < count && !err; i++) {
        if (all[i].done) continue;
        all[i].spent_us += share;
        absorb(&all[i], set);
    }
    return err;
}

ap_err ap_search_many(const ap_piece *const *pieces, size_t count, const ap_search_options *o,
                      ap_search_result *out) {
    search *all = ap_calloc(count + 1, sizeof *all);
    uint64_t deadline = ap_now_us() + (uint64_t)(most_seconds_in_all(o) * 1e6);
    ap_probe_set set = {0};
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++) {
        all[i].piece = pieces[i];
        all[i].o = o;
        all[i].deadline_us = deadline;
        AP_TRY(begin(&all[i], &set));
    }
    while (set.count) {
        AP_TRY(ask(all, count, &set, o));
        ap_probe_set_release(&set);
        for (size_t i = 0; i < count; i++) AP_TRY(advance(&all[i], &set));
    }
    for (size_t i = 0; i < count; i++) finish(&all[i], &out[i]);
done:
    ap_probe_set_release(&set);
    for (size_t i = 0; i < count; i++) search_release(&all[i]);
    free(all);
    return err;
}

ap_err ap_search_piece(const ap_piece *p, const ap_search_options *o, ap_search_result *out) {
    return ap_search_many(&p, 1, o, out);
}
