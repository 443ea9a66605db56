// SPDX-License-Identifier: Apache-2.0
// The inside of repair: what its files share.
#ifndef AP_SURGERY_REPAIR_PRIV_H
#define AP_SURGERY_REPAIR_PRIV_H

#include "base/map.h"
#include "surgery/repair/repair.h"

// A model that is known in full: its bytes and the types of its values, by name.
typedef struct repair_state {
    ap_model *model;
    ap_buf bytes;
    char sha256[65];
    ap_whole whole;
    json_t *steps;   // from the model given to here
    json_t *repairs; // the same for people
} repair_state;

// Equal pieces: one recipe serves them all.
typedef struct repair_group {
    char key[65];
    const char *op, *verdict, *reason; // of the first need
    const char **nodes;                // of this round
    size_t node_count, node_cap;
    ap_recipe recipe;
    bool found, given_up, looked_long;
    bool cut_short; // the time of a piece ended its search
    bool alone;     // wrong by its own probe only: nobody says that the model suffers from it
    json_t *tried;  // what the search looked at when it gave up
    json_t *values; // {tensor: how to draw it}: what the node was fed with when it went wrong; NULL
    const char *why_not;
    struct repair_group *next;
} repair_group;

typedef struct repair {
    const ap_repair_options *o;
    ap_arena arena; // texts that live as long as the work
    repair_state start, base;
    ap_map types; // of base: name → ap_value_type *
    ap_arena type_arena;
    repair_group *groups, **group_end;
    ap_map group_of_key;  // → repair_group *
    ap_map group_of_node; // of this round
    ap_map uncut;         // node no piece can be made of → why
    ap_match_env env;     // of base, this round
    ap_map seen;          // hashes of models that were tried
    json_t *wrong_alone;  // [{node, op, verdict, reason}] by probes, once; NULL: not asked
    const char *blamed;   // the last node a failed gate pointed at
    json_t *needs;        // all that were ever met
    json_t *banned, *rolled_back;
    ap_spending spent;
    size_t searches, restarts;
} repair;

void repair_state_release(repair_state *s);
// A state of its own with the content of `m` and the steps of `from` (may be NULL). The whole is not known.
AP_MUST ap_err repair_state_of(const ap_model *m, const repair_state *from, repair_state *out);
// Measures the types of r->base.
AP_MUST ap_err repair_measure(repair *r);
// What rules are matched by in this model; the facts are the caller's to free.
AP_MUST ap_err repair_env(repair *r, ap_model *m, ap_match_env *env);
const char *repair_spent_piece(repair *r); // that the time of a piece is spent, in words
bool repair_is_fatal(const ap_error *e);   // an error of the machinery, not of this piece

// repair_needs.c: the groups of this round: those of r->groups that have nodes.
AP_MUST ap_err repair_collect(repair *r);
// Looks for recipes for all of them; sets found or given_up of each.
AP_MUST ap_err repair_search(repair *r);
// The nodes nothing was found for, as `left` of the report.
AP_MUST ap_err repair_left(repair *r, json_t *left);

// repair_try.c: builds base with the recipes of these groups, all at once, and keeps what the target takes.
// *kept counts groups.
AP_MUST ap_err repair_add(repair *r, repair_group **set, size_t count, size_t *kept);
AP_MUST ap_err repair_judge(repair *r, repair_state *s); // asks the host about s->model
void repair_ban(repair *r, repair_group *g, const char *reason);

json_t *repair_chain(const ap_recipe *recipe); // [rule name]

#endif
