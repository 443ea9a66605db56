// SPDX-License-Identifier: Apache-2.0
// What needs repair: gathered from three sources, put together by equal pieces, and searched for a recipe.
#include "surgery/pass/fold_flow.h"
#include "surgery/repair/repair_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RADIUS 2 // the node; with its makers; with its users, too
#define LONE_SECONDS 3.0
enum { LONE_PROBES = 16 };

static repair_group *group_for(repair *r, const char *key, const char *op, const char *verdict,
                               const char *reason) {
    repair_group *g = ap_map_get(&r->group_of_key, key);
    if (g) return g;
    g = ap_arena_calloc(&r->arena, 1, sizeof *g);
    memcpy(g->key, key, strnlen(key, sizeof g->key - 1));
    g->op = ap_arena_strdup(&r->arena, op);
    g->verdict = ap_arena_strdup(&r->arena, verdict);
    g->reason = ap_arena_strdup(&r->arena, reason);
    *r->group_end = g;
    r->group_end = &g->next;
    ap_map_set(&r->group_of_key, g->key, g);
    return g;
}

static void add_node(repair *r, repair_group *g, const char *node) {
    if (!ap_map_add(&r->group_of_node, node, g)) return; // met already, by another source
    if (g->node_count == g->node_cap) {
        size_t cap = g->node_cap ? g->node_cap * 2 : 4;
        const char **wider = ap_arena_calloc(&r->arena, cap, sizeof *wider);
        if (g->node_count) memcpy(wider, g->nodes, g->node_count * sizeof *wider);
        g->nodes = wider;
        g->node_cap = cap;
    }
    g->nodes[g->node_count++] = ap_arena_strdup(&r->arena, node);
}

static void note_need(repair *r, const char *node, const char *op, const char *verdict, const char *reason) {
    size_t i;
    json_t *n;
    json_array_foreach(r->needs, i, n) if (!strcmp(ap_json_str(n, "node", ""), node)) return;
    json_array_append_new(r->needs, json_pack("{ss,so,ss,so}", "node", node, "op", ap_json_string(op),
                                              "verdict", verdict, "reason", ap_json_string(reason)));
}

// All nodes like `n`: one that goes wrong stands for its equals, wherever they are.
static ap_err take_equals(repair *r, const ap_node *n, repair_group *g) {
    const ap_graph *graph = r->base.model->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        ap_node *other = graph->nodes[i];
        ap_piece piece = {0};
        if (other == n || strcmp(other->op, n->op) != 0 || strcmp(other->domain, n->domain) != 0) continue;
        ap_err err = r->o->tools->cut(&r->env, other, 0, &piece);
        if (!err && !strcmp(piece.key, g->key)) add_node(r, g, other->name);
        ap_piece_release(&piece);
        if (repair_is_fatal(err)) return err;
        ap_err_free(err);
    }
    return NULL;
}

static ap_err take_one(repair *r, const json_t *o, const char *fallback, bool alone) {
    const char *name = ap_json_str(o, "node", ""), *reason = ap_json_str(o, "reason", "");
    const char *verdict = ap_json_str(o, "verdict", fallback);
    ap_node *n = ap_graph_node(r->base.model->graph, name);
    ap_piece piece = {0};
    note_need(r, name, n ? n->op : ap_json_str(o, "op", "?"), verdict, reason);
    if (!n) return NULL; // made by the runtime itself, or gone: there is nothing to rewrite
    ap_err err = r->o->tools->cut(&r->env, n, 0, &piece);
    if (!err) {
        repair_group *g = group_for(r, piece.key, n->op, verdict, reason);
        g->alone = alone && (g->alone || !g->node_count);
        add_node(r, g, name);
        if (!g->values) g->values = json_incref(json_object_get(o, "values"));
        if (strcmp(verdict, "refused") != 0) err = take_equals(r, n, g);
    }
    ap_piece_release(&piece);
    if (repair_is_fatal(err)) return err;
    if (err)
        ap_map_set(&r->uncut, ap_arena_strdup(&r->arena, name),
                   ap_arena_strdup(&r->arena, ap_err_message(err)));
    ap_err_free(err); // it stays in the list of what is left
    return NULL;
}

static ap_err take(repair *r, const json_t *list, const char *fallback, bool alone) {
    size_t i;
    json_t *o;
    ap_err err = NULL;
    json_array_foreach((json_t *)(uintptr_t)list, i, o) {
        err = take_one(r, o, fallback, alone);
        if (err) break;
    }
    return err;
}

// Asking about every node takes longer than all the rest. It can wait while a failed gate points at a node
// that was not looked at yet, and is not worth it once such nodes were all there was to repair. In a
// quantised graph no two nodes are equal (each has scales of its own), so where two are wrong many may be.
static bool is_worth_asking(repair *r) {
    const ap_whole *w = &r->base.whole;
    const char *blamed = ap_json_str(json_array_get(w->wrong, 0), "node", NULL);
    if (r->wrong_alone) return false;
    if (r->blamed && w->passed) return false;
    if (!w->built || w->passed || !blamed || (r->blamed && !strcmp(r->blamed, blamed))) return true;
    const ap_node *n = r->blamed ? ap_graph_node(r->base.model->graph, blamed) : NULL;
    if (n && ap_node_is_quantised(n)) return true;
    r->blamed = ap_arena_strdup(&r->arena, blamed);
    return false;
}

static ap_err ask_alone(repair *r) {
    if (!is_worth_asking(r)) return NULL;
    r->wrong_alone = json_array();
    if (!r->o->tools->probe) return NULL;
    ap_whole_say(&r->o->ask, "asking about every node on its own");
    return r->o->tools->probe(&r->env, &r->o->search, r->wrong_alone);
}

// Accepted but wrong comes first: such a node hides behind a good verdict of the whole.
ap_err repair_collect(repair *r) {
    ap_err err = NULL;
    ap_facts_free(r->env.facts);
    r->env.facts = NULL;
    ap_map_free(&r->group_of_node);
    r->group_of_node = (ap_map){0};
    for (repair_group *g = r->groups; g; g = g->next) {
        g->node_count = 0;
        ap_recipe_release(&g->recipe);
        g->recipe = (ap_recipe){0};
        g->found = false;
    }
    AP_TRY(repair_env(r, r->base.model, &r->env));
    AP_TRY(ask_alone(r));
    AP_TRY(take(r, r->wrong_alone, "wrong", true));
    AP_TRY(take(r, r->base.whole.wrong, "wrong", false));
    AP_TRY(take(r, r->base.whole.refused, "refused", false));
done:
    return err;
}

// ---- search

static void add_tried(json_t *list, const json_t *more) {
    size_t i, k;
    json_t *one, *known;
    json_array_foreach((json_t *)(uintptr_t)more, i, one) {
        bool again = false;
        json_array_foreach(list, k, known) again = again || json_equal(known, one);
        if (!again) json_array_append(list, one);
    }
}

static void keep_tried(repair *r, repair_group *g, const ap_search_result *found, bool taken) {
    if (!g->tried) g->tried = json_array();
    add_tried(g->tried, found->tried);
    g->cut_short |= g->looked_long && !strcmp(ap_json_str(found->stats, "budget", ""), "seconds");
    if (taken)
        g->why_not = "cut out of the model the target takes it and computes it right";
    else if (g->cut_short)
        g->why_not = repair_spent_piece(r);
    else if (json_array_size(g->tried))
        g->why_not = "no chain of rules helps";
    else
        g->why_not = ap_arena_printf(&r->arena, "no rule rewrites %s", g->op);
}

// What the search found for this group. *wider: look again with more around it. A node that is right on its
// own was refused, or went wrong, for its company.
static void take_result(repair *r, repair_group *g, size_t radius, ap_search_result *result, bool *wider) {
    bool taken = result->before == AP_PROBE_ACCEPTED;
    g->found = result->found && json_array_size(result->recipe.chain) > 0;
    *wider = !g->found && (radius == 0 || taken);
    if (!g->found) {
        keep_tried(r, g, result, taken);
        return;
    }
    g->recipe = result->recipe;
    result->recipe = (ap_recipe){0};
}

// A piece is asked about on the values it went wrong on.
static void take_values(ap_piece *p, const json_t *values) {
    const char *name;
    json_t *draw;
    json_object_foreach((json_t *)(uintptr_t)values, name, draw) {
        const ap_value *v = ap_graph_value(p->model->graph, name);
        json_t *fact = json_object_get(p->facts, name);
        if (!v || v->kind != AP_VALUE_INPUT) continue;
        fact = fact ? json_copy(fact) : json_object();
        json_object_set(fact, "values", draw);
        json_object_set_new(p->facts, name, fact);
    }
}

// Cuts a piece for each group; those that cannot be cut give up.
static ap_err cut_all(repair *r, repair_group **groups, size_t *count, size_t radius, ap_piece *pieces) {
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        repair_group *g = groups[i];
        ap_node *n = ap_graph_node(r->base.model->graph, g->nodes[0]);
        ap_err err = r->o->tools->cut(&r->env, n, radius, &pieces[kept]);
        if (repair_is_fatal(err)) {
            *count = kept;
            return err;
        }
        if (err)
            g->why_not = ap_arena_strdup(&r->arena, ap_err_message(err));
        else {
            take_values(&pieces[kept], g->values);
            groups[kept++] = g;
        }
        ap_err_free(err);
    }
    *count = kept;
    return NULL;
}

// "searching rules for 3 of 7 nodes: Mod 'mod', ..."
static void say_search(repair *r, repair_group **groups, size_t count, size_t radius) {
    static const char *const around[] = {"", ", with what feeds them", ", with all around them"};
    size_t here = 0, all = 0;
    for (size_t i = 0; i < count; i++) here += groups[i]->node_count;
    for (const repair_group *g = r->groups; g; g = g->next) all += g->node_count;
    ap_whole_say(&r->o->ask, "searching rules for %zu of %zu nodes%s: %s '%s'%s", here, all, around[radius],
                 groups[0]->op, groups[0]->nodes[0], count > 1 ? ", ..." : "");
}

// One radius for all; leaves in the list who wants a wider one.
static ap_err search_radius(repair *r, repair_group **groups, size_t *count, size_t radius, bool lone) {
    ap_search_options so = r->o->search;
    ap_piece *pieces = ap_calloc(*count + 1, sizeof *pieces);
    const ap_piece **list = ap_calloc(*count + 1, sizeof *list);
    ap_search_result *results = ap_calloc(*count + 1, sizeof *results);
    size_t asked = 0, kept = 0;
    bool wider = false;
    ap_err err = cut_all(r, groups, count, radius, pieces);
    so.banned = r->banned;
    if (lone) {
        so.seconds = so.seconds > 0 ? fmin(so.seconds, LONE_SECONDS) : LONE_SECONDS;
        so.probes = LONE_PROBES;
    }
    asked = *count;
    for (size_t i = 0; i < asked; i++) list[i] = &pieces[i];
    r->searches += asked;
    if (!err && asked) say_search(r, groups, asked, radius);
    if (!err && asked) err = r->o->tools->search(list, asked, &so, results);
    for (size_t i = 0; !err && i < asked; i++) {
        take_result(r, groups[i], radius, &results[i], &wider);
        ap_search_result_release(&results[i]);
        if (wider) groups[kept++] = groups[i];
    }
    for (size_t i = 0; i < asked; i++) ap_piece_release(&pieces[i]);
    *count = kept;
    free(pieces);
    free(list);
    free(results);
    return err;
}

// As long as no gate fails a node that errs only by its own probe is worth a short look. When one does, it is
// worth all.
static bool is_lone(const repair *r, const repair_group *g) {
    return g->alone && !(r->base.whole.built && !r->base.whole.passed);
}

static ap_err search_kind(repair *r, repair_group **groups, bool lone) {
    size_t count = 0, most = lone ? 0 : MAX_RADIUS;
    ap_err err = NULL;
    for (repair_group *g = r->groups; g; g = g->next) {
        bool looked = g->given_up && (g->looked_long || lone);
        if (g->node_count == 0 || looked || is_lone(r, g) != lone) continue;
        groups[count++] = g;
        g->given_up = true; // until something is found
        g->cut_short = false;
        g->looked_long = !lone;
    }
    for (size_t radius = 0; count && !err && radius <= most && !ap_is_spent(&r->spent); radius++)
        err = search_radius(r, groups, &count, radius, lone);
    return err;
}

ap_err repair_search(repair *r) {
    size_t cap = 0;
    for (repair_group *g = r->groups; g; g = g->next) cap++;
    repair_group **groups = ap_calloc(cap + 1, sizeof *groups);
    ap_err err = search_kind(r, groups, false);
    if (!err) err = search_kind(r, groups, true);
    for (repair_group *g = r->groups; g; g = g->next)
        if (g->found) g->given_up = false;
    free(groups);
    return err;
}

// ---- what is left

// The first value of these whose size is not fixed; NULL when all are.
static const ap_value *open_value(repair *r, ap_value *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        ap_value_type t;
        if (!list[i] || !ap_type_of(&r->env.types, list[i], &t)) continue;
        for (size_t k = 0; k < t.rank; k++)
            if (t.dims[k] < 0) return list[i];
    }
    return NULL;
}

// What no rewrite can change, in words; NULL when there is nothing of that kind.
static const char *hopeless(repair *r, const ap_node *n) {
    const ap_value *in = open_value(r, n->inputs, n->input_count),
                   *out = open_value(r, n->outputs, n->output_count);
    if (in) return ap_arena_printf(&r->arena, "the size of its input '%s' depends on the data", in->name);
    if (out) return ap_arena_printf(&r->arena, "the size of its output '%s' depends on the data", out->name);
    if (ap_op_is_random(n)) return "its result is left to chance";
    for (size_t i = 0; i < n->input_count; i++) {
        ap_value_type t;
        if (n->inputs[i] && ap_type_of(&r->env.types, n->inputs[i], &t) && t.dtype == AP_STRING)
            return "it works on texts";
    }
    return NULL;
}

// The target's own words are `reason`; this is why no rewrite was found.
static const char *why_left(repair *r, const repair_group *g, const char *node) {
    const ap_node *n = ap_graph_node(r->base.model->graph, node);
    const char *why = n ? hopeless(r, n) : "it is a node the runtime adds itself";
    if (why) return why;
    if (g && g->alone && r->base.whole.passed)
        return "it is taken and differs on values of its own probe; the gates of the model hold";
    if (g && g->why_not) return g->why_not;
    why = ap_map_get(&r->uncut, node);
    if (why) return why;
    return ap_spent(&r->spent, &r->arena);
}

static json_t *left_json(repair *r, const repair_group *g, const json_t *need) {
    const char *node = ap_json_str(need, "node", "?");
    return json_pack("{ss,so,ss,ss,so,so,sn}", "node", node, "op", json_incref(json_object_get(need, "op")),
                     "verdict", ap_json_str(need, "verdict", "?"), "reason", ap_json_str(need, "reason", ""),
                     "why_not", ap_json_string(why_left(r, g, node)), "tried",
                     g && g->tried ? json_incref(g->tried) : json_array(), "model");
}

// The node alone, also where sizes are not known.
static ap_err cut_plain(repair *r, const ap_node *n, ap_piece *out) {
    const char **in = ap_calloc(n->input_count + 1, sizeof *in);
    const char **outs = ap_calloc(n->output_count + 1, sizeof *outs);
    ap_value_type *types = ap_calloc(n->input_count + 1, sizeof *types);
    size_t in_count = 0, out_count = 0;
    for (size_t i = 0; i < n->input_count; i++) {
        const ap_value *v = n->inputs[i];
        if (!v || v->kind == AP_VALUE_INITIALIZER || !ap_type_of(&r->env.types, v, &types[in_count]))
            continue;
        in[in_count++] = v->name;
    }
    for (size_t i = 0; i < n->output_count; i++)
        if (n->outputs[i]) outs[out_count++] = n->outputs[i]->name;
    ap_err err = ap_model_extract(r->base.model, in, types, in_count, outs, out_count, &out->model);
    free(in);
    free(outs);
    free(types);
    return err;
}

static ap_err keep_piece(repair *r, json_t *left) {
    ap_node *n = ap_graph_node(r->base.model->graph, ap_json_str(left, "node", ""));
    ap_piece piece = {0};
    if (!n || !r->o->keep) return NULL;
    ap_err err = r->o->tools->cut(&r->env, n, 0, &piece);
    if (err && !repair_is_fatal(err)) {
        ap_err_free(err);
        err = cut_plain(r, n, &piece);
    }
    if (!err) r->o->keep(r->o->keep_user, &piece, left);
    ap_piece_release(&piece);
    if (repair_is_fatal(err)) return err;
    ap_err_free(err);
    return NULL;
}

// What a node was wrong together with was repaired: nobody has asked about it as it stands now.
static bool has_other_company(const repair *r, const char *name) {
    const json_t *with = json_object_get(ap_json_find(r->wrong_alone, "node", name), "with");
    for (size_t i = 0; i < json_array_size(with); i++)
        if (!ap_graph_node(r->base.model->graph, json_string_value(json_array_get(with, i)))) return true;
    return false;
}

// A need that still is one: the target says so now, or it was never touched.
static bool still_there(const repair *r, const json_t *need) {
    const char *name = ap_json_str(need, "node", "");
    if (ap_json_find(r->base.whole.refused, "node", name) || ap_json_find(r->base.whole.wrong, "node", name))
        return true;
    return strcmp(ap_json_str(need, "verdict", ""), "refused") != 0 &&
           ap_graph_node(r->base.model->graph, name) != NULL && !has_other_company(r, name);
}

ap_err repair_left(repair *r, json_t *left) {
    size_t i;
    json_t *need;
    ap_map kept = {0}; // one file for a kind of piece
    ap_err err = NULL;
    json_array_foreach(r->needs, i, need) {
        if (!still_there(r, need)) continue;
        const repair_group *g = ap_map_get(&r->group_of_node, ap_json_str(need, "node", ""));
        json_t *one = left_json(r, g, need);
        json_array_append_new(left, one);
        const char *kind = g ? g->key : ap_json_str(need, "op", "?");
        if (ap_map_add(&kept, kind, one)) err = keep_piece(r, one);
        if (err) break;
    }
    ap_map_free(&kept);
    return err;
}
