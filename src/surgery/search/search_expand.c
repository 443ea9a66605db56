// SPDX-License-Identifier: Apache-2.0
// From a state to those one rule further: rules whose match holds the node that the target left out.
#include "surgery/oracle/oracle_worker.h"
#include "surgery/search/search_priv.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CHILDREN = 64 }; // of one state

void search_note(search *s, const search_state *st, const char *rule, const char *verdict,
                 const char *reason) {
    json_t *chain = json_array();
    ap_arena a = {0};
    char *names = ap_arena_strdup(&a, st ? st->names : ""), *next;
    for (; *names; names = next) {
        next = strstr(names, " > ");
        size_t n = next ? (size_t)(next - names) : strlen(names);
        json_array_append_new(chain, ap_json_string(ap_arena_strndup(&a, names, n)));
        next = next ? next + 3 : names + n;
    }
    if (rule) json_array_append_new(chain, ap_json_string(rule));
    json_array_append_new(s->tried, json_pack("{so,ss,so}", "chain", chain, "verdict", verdict, "reason",
                                              ap_json_string(reason)));
    ap_arena_release(&a);
}

bool search_is_fatal(const ap_error *e) {
    ap_code c = ap_err_code(e);
    return c == AP_ERR_CANCELLED || c == AP_ERR_NO_MEMORY || c == AP_ERR_DISK_FULL || c == AP_ERR_READ_ONLY ||
           c == AP_ERR_RUNTIME_MISSING || c == AP_ERR_RUNTIME_LOAD;
}

// An error that only says this rule cannot be used here becomes a note.
static ap_err put_up_with(search *s, const search_state *st, const char *rule, ap_err err) {
    if (!err || search_is_fatal(err)) return err;
    search_note(s, st, rule, "misfit", ap_err_message(err));
    ap_err_free(err);
    return NULL;
}

// ---- which nodes

static ap_node *node_at(const ap_model *m, size_t place) {
    for (size_t i = 0, k = 0; i < m->graph->node_count; i++) {
        ap_node *n = m->graph->nodes[i];
        if (ap_node_is(n, "Constant") && ap_node_attr(n, "value")) continue;
        if (k++ == place) return n;
    }
    return NULL;
}

typedef struct nodes {
    ap_node **list;
    size_t count;
} nodes;

static bool holds(const nodes *set, const ap_node *n) {
    for (size_t i = 0; i < set->count; i++)
        if (set->list[i] == n) return true;
    return false;
}

// Of what is taken and wrong no node is to blame for being refused on its own: together they were not.
static bool is_suspicious(const search_state *st, ap_probe_verdict alone) {
    if (st->verdict != AP_PROBE_WRONG && st->verdict != AP_PROBE_UNSTABLE) return alone != AP_PROBE_ACCEPTED;
    return alone != AP_PROBE_ACCEPTED && alone != AP_PROBE_REFUSED && alone != AP_PROBE_UNASKED;
}

// Asks about each node of the state on its own.
static ap_err ask_each(search *s, search_state *st, const ap_match_env *env, nodes *out) {
    size_t n = st->model->graph->node_count;
    ap_probe_set set = {0};
    ap_piece *pieces = ap_calloc(n + 1, sizeof *pieces);
    ap_err err = NULL;
    for (size_t i = 0; i < n; i++) {
        ap_err cut = ap_piece_cut(env, st->model->graph->nodes[i], 0, &pieces[i]);
        if (cut) { // its types are not known
            ap_err_free(cut);
            pieces[i] = (ap_piece){0};
            continue;
        }
        AP_TRY(ap_probe_add_piece(&set, pieces[i].model, pieces[i].model, pieces[i].facts, ""));
    }
    AP_TRY(ap_probe_run(&set, s->o->cache, s->o->host, NULL));
    for (size_t i = 0, k = 0; i < n; i++) {
        if (!pieces[i].model) continue;
        if (is_suspicious(st, set.list[k++].verdict)) out->list[out->count++] = st->model->graph->nodes[i];
    }
done:
    ap_probe_set_release(&set);
    for (size_t i = 0; i < n; i++) ap_piece_release(&pieces[i]);
    free(pieces);
    return err;
}

// The nodes to get rid of; all when nobody can tell.
static ap_err find_suspects(search *s, search_state *st, const ap_match_env *env, nodes *out) {
    const ap_graph *g = st->model->graph;
    out->list = ap_calloc(g->node_count + 1, sizeof *out->list);
    for (size_t i = 0; i < st->refused_count; i++) {
        ap_node *n = node_at(st->model, st->refused[i]);
        if (n) out->list[out->count++] = n;
    }
    ap_err err = NULL;
    if (!out->count && g->node_count > 1 && s->o->host) err = ask_each(s, st, env, out);
    if (!err && !out->count)
        for (size_t i = 0; i < g->node_count; i++) out->list[out->count++] = g->nodes[i];
    return err;
}

// ---- which rules

typedef struct candidate {
    const ap_rule *rule;
    const char *root; // node name
} candidate;

typedef struct expansion {
    search *s;
    search_state *st;
    ap_match_env env;
    nodes suspects;
    const ap_node *target; // what has to go first; NULL: any of the suspects
    candidate list[MOST_CHILDREN];
    size_t count;
} expansion;

static bool touches(const expansion *x, const ap_match *m) {
    for (size_t i = 0; i < m->rule->match_count; i++)
        if (m->nodes[i] && (x->target ? m->nodes[i] == x->target : holds(&x->suspects, m->nodes[i])))
            return true;
    return false;
}

// Why a rule for this operator does not fit is worth telling, for the piece as it is.
static void note_miss(expansion *x, const ap_rule *r, ap_node *n) {
    ap_match_miss miss = {0};
    ap_match *m = NULL;
    ap_err err = ap_rule_match(r, &x->env, n, &m, &miss);
    if (!err && !m) {
        json_t *tried = x->s->tried;
        search_note(x->s, x->st, r->name, "misfit", miss.text);
        json_object_set_new(json_array_get(tried, json_array_size(tried) - 1), "depth",
                            json_integer((json_int_t)miss.depth));
    }
    ap_match_free(m);
    ap_err_free(err);
}

static ap_err find_candidates(expansion *x) {
    const ap_graph *g = x->st->model->graph;
    for (size_t i = 0; i < g->node_count; i++) {
        size_t count;
        bool direct = x->target ? g->nodes[i] == x->target : holds(&x->suspects, g->nodes[i]);
        const ap_rule *const *rules =
            ap_rules_for(x->env.rules, g->nodes[i]->domain, g->nodes[i]->op, &count);
        for (size_t k = 0; k < count && x->count < MOST_CHILDREN; k++) {
            ap_match *m = NULL;
            if (!direct && rules[k]->match_count < 2) continue;
            ap_err err = put_up_with(x->s, x->st, rules[k]->name,
                                     ap_rule_match(rules[k], &x->env, g->nodes[i], &m, NULL));
            if (err) return err;
            if (m && touches(x, m))
                x->list[x->count++] = (candidate){rules[k], g->nodes[i]->name};
            else if (!m && direct && !x->st->parent)
                note_miss(x, rules[k], g->nodes[i]);
            ap_match_free(m);
        }
    }
    return NULL;
}

// ---- one child

typedef struct carrying {
    search_state *child;
    ap_match_env env;
    search_places at;
    bool types_known;
} carrying;

// Applies the rule at a node when it fits there; *done says whether.
static ap_err apply_at(carrying *c, search *s, const ap_rule *r, ap_node *n, bool *done_) {
    ap_match *m = NULL;
    ap_applied a = {0};
    ap_err err = NULL;
    *done_ = false;
    AP_TRY(ap_rule_match(r, &c->env, n, &m, NULL));
    if (!m) goto done;
    AP_TRY(search_apply(m, &c->at, c->child->steps, &a));
    *done_ = true;
    c->child->step_count++;
    c->child->cost.loss += search_loss(&m->cls, s->o->compute);
    if (!a.types_known) {
        AP_TRY(search_types(c->child->model, s->piece->facts, s->o->oracle));
        search_note_types(json_array_get(c->child->steps, json_array_size(c->child->steps) - 1), &a);
    }
done:
    ap_applied_release(&a);
    ap_match_free(m);
    return err;
}

// The same rule at the other nodes that were left out: one step of the search, several of the chain.
static ap_err apply_elsewhere(carrying *c, expansion *x, const ap_rule *r) {
    for (size_t i = 0; i < x->suspects.count && x->target; i++) {
        bool done_;
        size_t count;
        const ap_node *old = x->suspects.list[i];
        ap_node *n = old == x->target ? NULL : ap_graph_node(c->child->model->graph, old->name);
        if (!n || strcmp(n->op, old->op) != 0) continue;
        const ap_rule *const *rules = ap_rules_for(x->env.rules, n->domain, n->op, &count);
        for (size_t k = 0; k < count; k++) {
            if (strcmp(rules[k]->family, r->family) != 0) continue;
            ap_err err = apply_at(c, x->s, rules[k], n, &done_);
            if (err) return err;
            if (done_) break;
        }
    }
    return NULL;
}

static ap_err open_child(carrying *c, expansion *x) {
    ap_err err = search_child(x->s, x->st, &c->child);
    if (err) return err;
    c->at.steps = c->child->step_count;
    for (size_t i = 0; i < c->child->refs.count; i++) {
        const ap_map_entry *e = &c->child->refs.entries[i];
        ap_node *n = ap_graph_node(c->child->model->graph, e->key);
        if (n) search_places_add(&c->at, e->value, n);
    }
    return search_env(x->s->piece, c->child->model, x->s->o, &c->env);
}

static void keep_places(carrying *c, search *s) {
    for (size_t i = 0; i < c->at.names.count; i++) {
        const ap_map_entry *e = &c->at.names.entries[i];
        ap_map_set(&c->child->refs, e->key, ap_arena_strdup(&s->arena, e->value));
    }
}

static ap_err make_child(expansion *x, const candidate *k, search_state **out) {
    carrying c = {0};
    bool done_ = false;
    ap_err err = NULL;
    *out = NULL;
    AP_TRY(open_child(&c, x));
    ap_node *root = ap_graph_node(c.child->model->graph, k->root);
    if (root) AP_TRY(apply_at(&c, x->s, k->rule, root, &done_));
    if (!done_) goto done;
    if (x->target && !strcmp(k->root, x->target->name)) AP_TRY(apply_elsewhere(&c, x, k->rule));
    AP_TRY(ap_graph_sort(c.child->model->graph));
    keep_places(&c, x->s);
    c.child->cost.foreign += search_foreign(k->rule, x->s->o->backend);
    search_measure(x->s, c.child, k->rule);
    *out = c.child;
    c.child = NULL;
done:
    ap_facts_free(c.env.facts);
    search_places_free(&c.at);
    search_state_free(c.child);
    return err;
}

// ---- the whole

ap_err search_expand(search *s, search_state *st, ap_probe_set *set) {
    expansion x = {.s = s, .st = st};
    ap_err err = NULL;
    s->expansions++;
    AP_TRY(search_env(s->piece, st->model, s->o, &x.env));
    AP_TRY(find_suspects(s, st, &x.env, &x.suspects));
    // Several refused nodes all have to go: beginning with the first loses nothing.
    if (st->refused_count && x.suspects.count) x.target = x.suspects.list[0];
    AP_TRY(find_candidates(&x));
    for (size_t i = 0; i < x.count; i++) {
        search_state *child = NULL;
        AP_TRY(put_up_with(s, st, x.list[i].rule->name, make_child(&x, &x.list[i], &child)));
        if (child) AP_TRY(search_add(s, child, set));
    }
done:
    ap_facts_free(x.env.facts);
    free(x.suspects.list);
    return err;
}
