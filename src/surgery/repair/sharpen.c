// SPDX-License-Identifier: Apache-2.0
#include "surgery/repair/sharpen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "accuracy:"
#define BETTER_DB 1.0  // less is chance, another input would say otherwise, and is not worth being slower
#define SAME_COST 1.01 // estimates know no finer
#define FREE_DB 0.1    // where it costs nothing
#define BLURRED_DB 15.0

typedef struct sharpening {
    const ap_sharpen_options *o;
    ap_arena arena;
    ap_model *given;
    ap_rewritten made;
    const ap_whole *now; // of what the next step stands on
    json_t *repairs, *rolled_back;
    ap_spending spent;
    const char *ended; // by which budget, in words; NULL
} sharpening;

static ap_model *base(const sharpening *s) {
    return s->made.model ? s->made.model : s->given;
}

void ap_sharpened_release(ap_sharpened *s) {
    ap_rewritten_release(&s->made);
    json_decref(s->repairs);
    json_decref(s->rolled_back);
    json_decref(s->stats);
    *s = (ap_sharpened){0};
}

bool ap_is_blurred(const ap_whole *w) {
    double worst;
    size_t i;
    json_t *g;
    if (!w->built || w->passed || json_array_size(w->refused)) return false;
    json_array_foreach(w->gates, i, g) if (!strcmp(ap_json_str(g, "metric", ""), "nonfinite_mismatch") &&
                                           ap_json_num(g, "value", 0) > 0) return false;
    return ap_whole_failed_gates(w, &worst) > 0 && worst >= BLURRED_DB;
}

static void say(const sharpening *s, const ap_rule *r, size_t count, const char *what) {
    ap_whole_say(&s->o->tools.ask, "more exact: %.80s at %zu place%s%s%.120s", r->name, count,
                 count == 1 ? "" : "s", *what ? ": " : "", what);
}

// Names of the nodes the rule fits at, the first one's operator in *op.
static ap_err places_of(const sharpening *s, const ap_rule *r, ap_arena *a, const char ***out, size_t *count,
                        const char **op) {
    const ap_graph *g = base(s)->graph;
    const char **list = ap_arena_calloc(a, g->node_count + 1, sizeof *list);
    ap_match_env env = {0};
    ap_err err = ap_attempt_env(&s->o->tools, base(s), &env);
    *count = 0;
    for (size_t i = 0; !err && i < g->node_count; i++) {
        ap_match *m = NULL;
        err = ap_rule_match(r, &env, g->nodes[i], &m, NULL);
        if (m && !*count) *op = ap_arena_strdup(a, g->nodes[i]->op);
        if (m) list[(*count)++] = ap_arena_strdup(a, g->nodes[i]->name);
        ap_match_free(m);
    }
    ap_facts_free(env.facts);
    *out = list;
    return err;
}

// ---- one rule

// NULL: keep it.
static const char *fault(sharpening *s, const ap_attempt *a) {
    double was, is;
    if (a->why) return a->why;
    if (json_array_size(a->made.whole.refused)) return "the target refuses nodes of it";
    if (!a->made.whole.built) return a->made.whole.error ? a->made.whole.error : "it cannot be built";
    size_t before = ap_whole_failed_gates(s->now, &was), after = ap_whole_failed_gates(&a->made.whole, &is);
    bool dearer = !(ap_whole_cost(&a->made.whole) <= SAME_COST * ap_whole_cost(s->now));
    if (after < before) return NULL;
    if (after > before) return "more gates of the whole model fail";
    if (is > was && is >= was + (dearer ? BETTER_DB : FREE_DB)) return NULL;
    return ap_arena_printf(&s->arena, "the whole model gets no more exact: %.1f dB, before %.1f dB%s", is,
                           was, dearer ? ", and it costs more" : "");
}

static json_t *or_null(json_t *j) {
    return j ? j : json_null();
}

static json_t *repair_json(const sharpening *s, const ap_rule *r, const char *op, const ap_attempt *a) {
    double was, is;
    char why[160];
    ap_whole_failed_gates(s->now, &was);
    ap_whole_failed_gates(&a->made.whole, &is);
    snprintf(why, sizeof why, "it can be more exact here: the worst output goes from %.1f to %.1f dB", was,
             is);
    json_t *proofs = a->proof ? json_pack("[O]", a->proof) : json_array();
    ap_buf cls = {0};
    ap_rule_class_print(&r->classes[0], &cls);
    json_int_t before = (json_int_t)base(s)->graph->node_count;
    json_int_t after = (json_int_t)a->made.model->graph->node_count;
    json_int_t places = (json_int_t)json_array_size(a->places);
    json_t *o = json_pack("{ss,ss,ss,sO,ss,s[s],so,sb,so,sn,sI,sI,sO,sO,sO,sO}", "key", r->hash.hex, "op", op,
                          "verdict", "inexact", "nodes", a->places, "why", why, "rules", r->name, "class",
                          ap_json_string(ap_buf_str(&cls)), "exact", r->classes[0].kind == AP_CLASS_EXACT,
                          "proofs", proofs, "piece_error", "nodes_before", (json_int_t)1, "nodes_after",
                          1 + (after - before) / (places ? places : 1), "gates_before",
                          or_null(s->now->gates), "gates_after", or_null(a->made.whole.gates), "cost_before",
                          or_null(s->now->cost), "cost_after", or_null(a->made.whole.cost));
    ap_buf_free(&cls);
    return o;
}

// A rule that is tried again stands in the list once, and not at all when it was kept.
static void forget(sharpening *s, const ap_rule *r) {
    for (size_t i = json_array_size(s->rolled_back); i-- > 0;)
        if (!strcmp(ap_json_str(json_array_get(s->rolled_back, i), "key", ""), r->hash.hex))
            json_array_remove(s->rolled_back, i);
}

static ap_err try_rule(sharpening *s, const ap_rule *r, bool *kept) {
    ap_arena arena = {0};
    ap_attempt a = {0};
    const char **places = NULL, *op = "?";
    size_t count = 0;
    ap_err err = NULL;
    AP_TRY(places_of(s, r, &arena, &places, &count, &op));
    if (!count) goto done;
    say(s, r, count, "");
    AP_TRY(ap_attempt_make(&s->o->tools, base(s), r, places, count, &s->spent, &a));
    const char *why = fault(s, &a);
    forget(s, r);
    if (why)
        json_array_append_new(s->rolled_back, json_pack("{ss,s[s],sO,ss}", "key", r->hash.hex, "rules",
                                                        r->name, "nodes", a.places, "reason", why));
    else
        json_array_append_new(s->repairs, repair_json(s, r, op, &a));
    say(s, r, count, why ? why : "kept");
    if (!why) {
        ap_attempt_keep(&a, &s->made);
        s->now = &s->made.whole;
        *kept = true;
    }
done:
    ap_attempt_release(&a);
    ap_arena_release(&arena);
    return err;
}

// What brought nothing is tried again once something else has: the larger error had hidden the smaller one.
static ap_err climb(sharpening *s) {
    const ap_rules *rules = s->o->tools.rules;
    bool kept = true;
    ap_err err = NULL;
    while (kept && !err) {
        kept = false;
        for (size_t i = 0; i < rules->count && !err; i++) {
            const ap_rule *r = rules->list[i];
            if (!ap_rule_is_for(r, MARK)) continue;
            if (s->now->passed && !s->o->all) return NULL;
            s->ended = ap_spent(&s->spent, &s->arena);
            if (s->ended) return NULL;
            err = try_rule(s, r, &kept);
        }
    }
    return err;
}

ap_err ap_sharpen(const ap_model *m, const ap_whole *first, const ap_sharpen_options *o, ap_sharpened *out) {
    sharpening s = {
        .o = o, .given = (ap_model *)(uintptr_t)m, .now = first, .spent = ap_spending_begin(o->budget)};
    ap_err err = NULL;
    s.repairs = json_array();
    s.rolled_back = json_array();
    s.made.steps = json_array();
    if (first->built) AP_TRY(climb(&s));
    *out =
        (ap_sharpened){.made = s.made,
                       .repairs = json_incref(s.repairs),
                       .rolled_back = json_incref(s.rolled_back),
                       .stats = json_pack("{sI,sf,so}", "tries", (json_int_t)s.spent.builds, "seconds",
                                          ap_spending_seconds(&s.spent), "ended", ap_json_string(s.ended))};
    s.made = (ap_rewritten){0};
done:
    ap_rewritten_release(&s.made);
    json_decref(s.repairs);
    json_decref(s.rolled_back);
    ap_arena_release(&s.arena);
    return err;
}
