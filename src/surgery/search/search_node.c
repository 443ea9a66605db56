// SPDX-License-Identifier: Apache-2.0
// Every node of a model: does the target take it, alone or where it stands, and if not, which rules help?
#include "surgery/search/search_priv.h"

#include <stdlib.h>
#include <string.h>

// With how much around it a node is asked about before anything is rewritten: fusions reach that far.
static const size_t radii[] = {2, 4, 6};
enum { RADII = sizeof radii / sizeof *radii };

typedef struct subject {
    ap_node *node;
    ap_piece piece;            // the node alone
    bool cut, taken, company;  // company: wrong together with its makers, which `piece` then holds
    size_t context;            // radius at which it is taken after all
    ap_probe_verdict verdict;  // alone, or in company
    const char *reason, *skip; // skip: why it was not asked about
    size_t group;              // of equal pieces that are not taken; SIZE_MAX: none
} subject;

typedef struct survey {
    const ap_match_env *env;
    const ap_search_options *o;
    ap_arena arena;
    subject *list;
    size_t count;
    const subject **groups; // the first of each
    ap_search_result *results;
    size_t group_count, result_count;
} survey;

static ap_err cut_all(survey *s) {
    for (size_t i = 0; i < s->count; i++) {
        subject *n = &s->list[i];
        n->group = SIZE_MAX;
        ap_err err = n->node->subgraph_count ? ap_err_new(AP_ERR_MODEL_INVALID, "it has a body")
                                             : ap_piece_cut(s->env, n->node, 0, &n->piece);
        if (err && search_is_fatal(err)) return err;
        n->cut = !err;
        if (err) n->skip = ap_arena_strdup(&s->arena, ap_err_message(err));
        ap_err_free(err);
    }
    return NULL;
}

// Each node alone; equal ones are asked once.
static ap_err ask_alone(survey *s) {
    ap_probe_set set = {0};
    ap_err err = NULL;
    for (size_t i = 0; i < s->count; i++) {
        const ap_piece *p = &s->list[i].piece;
        if (s->list[i].cut) AP_TRY(ap_probe_add_piece(&set, p->model, p->model, p->facts, p->node));
    }
    AP_TRY(ap_probe_run(&set, s->o->cache, s->o->host, NULL));
    for (size_t i = 0, k = 0; i < s->count; i++) {
        subject *n = &s->list[i];
        if (!n->cut) continue;
        const ap_probe *p = &set.list[k++];
        n->verdict = p->verdict;
        n->reason = ap_arena_strdup(&s->arena, p->reason);
        n->taken = p->verdict == AP_PROBE_ACCEPTED;
        if (p->verdict == AP_PROBE_UNASKED || p->verdict == AP_PROBE_INVALID) n->skip = n->reason;
    }
done:
    ap_probe_set_release(&set);
    return err;
}

static bool is_wrong(ap_probe_verdict v) {
    return v == AP_PROBE_WRONG || v == AP_PROBE_UNSTABLE;
}

// Quantised ones that are right on their own, behind what they are fused with.
static ap_err ask_in_company(survey *s) {
    ap_probe_set set = {0};
    ap_piece *pieces = ap_calloc(s->count + 1, sizeof *pieces);
    ap_err err = NULL;
    for (size_t i = 0; i < s->count; i++) {
        ap_piece *p = &pieces[i];
        if (!s->list[i].taken || !ap_node_is_quantised(s->list[i].node)) continue;
        ap_err_free(ap_piece_cut(s->env, s->list[i].node, 1, p)); // then it is asked about alone only
        if (p->model) AP_TRY(ap_probe_add_piece(&set, p->model, p->model, p->facts, p->node));
    }
    AP_TRY(ap_probe_run(&set, s->o->cache, s->o->host, NULL));
    for (size_t i = 0, k = 0; i < s->count; i++) {
        subject *n = &s->list[i];
        if (!pieces[i].model || !is_wrong(set.list[k++].verdict)) continue;
        n->taken = false;
        n->company = true;
        n->verdict = set.list[k - 1].verdict;
        n->reason = ap_arena_printf(&s->arena, "with what makes its operands: %s", set.list[k - 1].reason);
        ap_piece_release(&n->piece);
        n->piece = pieces[i];
        pieces[i] = (ap_piece){0};
    }
done:
    ap_probe_set_release(&set);
    for (size_t i = 0; i < s->count; i++) ap_piece_release(&pieces[i]);
    free(pieces);
    return err;
}

// Those that are not taken alone, with their surroundings: is the refusal only one of isolation?
static ap_err ask_in_context(survey *s) {
    ap_probe_set set = {0};
    ap_piece *pieces = ap_calloc(s->count * RADII + 1, sizeof *pieces);
    ap_err err = NULL;
    for (size_t i = 0; i < s->count; i++)
        for (size_t r = 0; r < RADII; r++) {
            ap_piece *p = &pieces[i * RADII + r];
            if (!s->list[i].cut || s->list[i].taken || s->list[i].skip || s->list[i].company) continue;
            ap_err_free(ap_piece_cut(s->env, s->list[i].node, radii[r], p)); // then it has no such piece
            if (p->model) AP_TRY(ap_probe_add_piece(&set, p->model, p->model, p->facts, p->node));
        }
    AP_TRY(ap_probe_run(&set, s->o->cache, s->o->host, NULL));
    for (size_t i = 0, k = 0; i < s->count * RADII; i++) {
        subject *n = &s->list[i / RADII];
        if (!pieces[i].model) continue;
        if (set.list[k++].verdict != AP_PROBE_ACCEPTED || n->taken) continue;
        n->taken = true;
        n->context = radii[i % RADII];
    }
done:
    ap_probe_set_release(&set);
    for (size_t i = 0; i < s->count * RADII; i++) ap_piece_release(&pieces[i]);
    free(pieces);
    return err;
}

static ap_err search_rest(survey *s) {
    ap_map by_key = {0};
    const ap_piece **pieces = ap_calloc(s->count + 1, sizeof *pieces);
    s->groups = ap_calloc(s->count + 1, sizeof *s->groups);
    s->results = ap_calloc(s->count + 1, sizeof *s->results);
    for (size_t i = 0; i < s->count; i++) {
        subject *n = &s->list[i];
        if (!n->cut || n->taken || n->skip) continue;
        if (!ap_map_has(&by_key, n->piece.key)) {
            ap_map_set_index(&by_key, n->piece.key, s->group_count);
            pieces[s->group_count] = &n->piece;
            s->groups[s->group_count++] = n;
        }
        n->group = (size_t)ap_map_get_index(&by_key, n->piece.key);
    }
    ap_err err = ap_search_many(pieces, s->group_count, s->o, s->results);
    if (!err) s->result_count = s->group_count;
    ap_map_free(&by_key);
    free(pieces);
    return err;
}

// A pattern may need more than the node: a second look with what makes and uses it.
static ap_err search_wider(survey *s) {
    ap_piece *pieces = ap_calloc(s->group_count + 1, sizeof *pieces);
    const ap_piece **list = ap_calloc(s->group_count + 1, sizeof *list);
    size_t *owner = ap_calloc(s->group_count + 1, sizeof *owner), n = 0;
    ap_search_result *found = ap_calloc(s->group_count + 1, sizeof *found);
    ap_err err = NULL;
    for (size_t i = 0; i < s->group_count; i++) {
        if (s->results[i].found) continue;
        ap_err_free(ap_piece_cut(s->env, s->groups[i]->node, radii[0], &pieces[i]));
        if (!pieces[i].model || pieces[i].node_count < 2) continue;
        owner[n] = i;
        list[n++] = &pieces[i];
    }
    AP_TRY(ap_search_many(list, n, s->o, found));
    for (size_t i = 0; i < n; i++) {
        ap_search_result *old = &s->results[owner[i]];
        ap_search_result_release(found[i].found ? old : &found[i]);
        if (found[i].found) *old = found[i];
    }
done:
    for (size_t i = 0; i < s->group_count; i++) ap_piece_release(&pieces[i]);
    free(pieces);
    free(list);
    free(owner);
    free(found);
    return err;
}

// ---- telling

static void tell_search(json_t *j, const ap_search_result *r) {
    char *by = r->found ? ap_recipe_text(&r->recipe) : NULL;
    json_object_set_new(j, "found", json_boolean(r->found));
    json_object_set_new(j, "by", ap_json_string(by));
    json_object_set_new(j, "chain", r->found ? ap_json_pluck(r->recipe.chain, "rule") : json_array());
    json_object_set_new(j, "exact", json_boolean(r->found && r->recipe.exact));
    json_object_set_new(j, "error", r->found ? ap_json_real(r->recipe.error) : json_null());
    json_object_set_new(j, "nodes_after",
                        r->found ? json_integer((json_int_t)r->recipe.nodes_after) : json_null());
    json_object_set(j, "tried", r->tried ? r->tried : json_null());
    free(by);
}

// One entry for equal answers: nodes that are the same and stand the same.
static json_t *tell(const survey *s) {
    json_t *list = json_array();
    ap_map seen = {0};
    ap_arena a = {0};
    for (size_t i = 0; i < s->count; i++) {
        const subject *n = &s->list[i];
        const char *id = ap_arena_printf(&a, "%s %zu", n->cut ? n->piece.key : n->node->name, n->context);
        json_t *j = ap_map_get(&seen, id);
        if (!j) {
            j = json_pack("{so,so,ss,so,sb,sI,so}", "op", ap_json_string(n->node->op), "key",
                          n->cut ? json_string(n->piece.key) : json_null(), "verdict",
                          ap_probe_verdict_word(n->verdict), "reason",
                          ap_json_string(n->skip ? n->skip : n->reason), "taken", n->taken, "context",
                          (json_int_t)n->context, "nodes", json_array());
            if (n->group != SIZE_MAX) tell_search(j, &s->results[n->group]);
            json_array_append_new(list, j);
            ap_map_set(&seen, id, j);
        }
        json_array_append_new(json_object_get(j, "nodes"), ap_json_string(n->node->name));
    }
    ap_map_free(&seen);
    ap_arena_release(&a);
    return list;
}

ap_err ap_search_model(const ap_match_env *env, const ap_search_options *o, json_t **out) {
    const ap_graph *g = env->model->graph;
    survey s = {.env = env, .o = o, .list = ap_calloc(g->node_count + 1, sizeof *s.list)};
    ap_err err = NULL;
    for (size_t i = 0; i < g->node_count; i++)
        if (strcmp(g->nodes[i]->op, "Constant") != 0 || *g->nodes[i]->domain)
            s.list[s.count++].node = g->nodes[i];
    AP_TRY(cut_all(&s));
    AP_TRY(ask_alone(&s));
    AP_TRY(ask_in_company(&s));
    AP_TRY(ask_in_context(&s));
    AP_TRY(search_rest(&s));
    AP_TRY(search_wider(&s));
    *out = tell(&s);
done:
    for (size_t i = 0; i < s.result_count; i++) ap_search_result_release(&s.results[i]);
    for (size_t i = 0; i < s.count; i++)
        if (s.list[i].cut) ap_piece_release(&s.list[i].piece);
    free(s.results);
    free(s.groups);
    free(s.list);
    ap_arena_release(&s.arena);
    return err;
}
