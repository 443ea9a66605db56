// SPDX-License-Identifier: Apache-2.0
// What the files of the search share.
#ifndef AP_SURGERY_SEARCH_PRIV_H
#define AP_SURGERY_SEARCH_PRIV_H

#include "graph/nodes.h"
#include "surgery/search/search.h"

// Cost of a state, compared from the top down.
typedef struct search_cost {
    double loss;    // dB lost against what the target computes in
    size_t foreign; // rules made for another backend
    size_t nodes;
    double bytes; // moved by all nodes
} search_cost;

typedef struct search_state {
    ap_model *model;
    struct search_state *parent; // NULL: the piece as it is
    json_t *steps;               // of this state's own rule, as in ap_recipe.chain
    size_t depth, step_count;    // rules, applications from the piece on
    const char *names;           // of all rules, " > " between them
    ap_map refs;                 // node name → position, a text in the search's arena
    search_cost cost;
    bool asked, open; // open: not yet taken out of the queue
    size_t probe;     // its place in the set being asked
    char key[65];     // of the probe
    // The target's answer.
    ap_probe_verdict verdict;
    const char *reason;
    const size_t *refused; // places in the graph, Constant nodes not counted
    size_t refused_count;
    double error;
} search_state;

typedef struct search {
    const ap_piece *piece;
    const ap_search_options *o;
    ap_arena arena;
    search_state **list; // all of them, in the order they came up
    size_t count, cap;
    ap_map by_key;   // probe key → search_state *
    ap_map proofs;   // rule name → json_t * (proof), or NULL when it is not proven
    ap_map unproven; // rule name → why, in the arena
    json_t *tried;   // what is worth telling beside the states
    size_t expansions, probes;
    uint64_t deadline_us;
    uint64_t spent_us; // on this piece: its own work and its share of the asking
    bool done;
    const char *budget; // which one ended it; NULL
    search_state *found;
    json_t *chain; // of `found`, with proofs
} search;

// ---- search_state.c
// Declares the type of any value, outputs included.
void search_declare(ap_model *m, ap_value *v, const ap_value_type *t);
// A model of its own with the same names; constants are shared.
AP_MUST ap_err search_clone(const ap_model *m, ap_model **out);
AP_MUST ap_err search_root(search *s);
// A child without rules applied yet; NULL parent's refs are copied.
AP_MUST ap_err search_child(search *s, const search_state *parent, search_state **out);
void search_state_free(search_state *st);
// Nodes, bytes and names of a finished state.
void search_measure(search *s, search_state *st, const ap_rule *r);
double search_loss(const ap_rule_class *c, ap_dtype compute);
bool search_foreign(const ap_rule *r, const char *backend);
int search_compare(const search_state *a, const search_state *b);
// Environment of a piece's model with the facts of its inputs; facts are the caller's to free.
AP_MUST ap_err search_env(const ap_piece *p, ap_model *m, const ap_search_options *o, ap_match_env *env);

// ---- search_expand.c
// Adds all children of a state that was refused or erred; what they want to know goes into `set`.
AP_MUST ap_err search_expand(search *s, search_state *st, ap_probe_set *set);
// Takes the state (always) unless it is known already.
AP_MUST ap_err search_add(search *s, search_state *st, ap_probe_set *set);
// {chain, verdict, reason} beside the states.
void search_note(search *s, const search_state *st, const char *rule, const char *verdict,
                 const char *reason);
bool search_is_fatal(const ap_error *e); // trouble of the machinery, not of this piece

// ---- search_apply.c: positions of nodes while a chain is carried out
typedef struct search_places {
    ap_map nodes; // position → ap_node *
    ap_map names; // node name → position; texts in `arena`
    ap_arena arena;
    size_t steps;
} search_places;
// Applies a match and appends its step ({rule, class, record, root, nodes}) to `chain`.
AP_MUST ap_err search_apply(ap_match *m, search_places *at, json_t *chain, ap_applied *out);
void search_note_types(json_t *step, const ap_applied *a); // for types that were measured
void search_places_add(search_places *at, const char *position, ap_node *n);
void search_places_free(search_places *at);
// Types of inner values by running the model; quietly does nothing where that is not possible.
AP_MUST ap_err search_types(ap_model *m, const json_t *facts, const ap_piece_oracle *oracle);

#endif
