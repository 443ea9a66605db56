// SPDX-License-Identifier: Apache-2.0
// repair: makes a whole model run right on a target, one proven step after another.
//
// Which nodes need it is said by the target: refused ones by the placement of the whole model (fusions
// count), wrong ones by probes and by the trace of a failed gate. Equal pieces share a recipe. After every
// recipe (all its places at once) the whole model is built and its gates run; what fails is rolled back,
// remembered, and another chain is looked for.
//
// What it never does: judge numbers by itself (the host's gates do), keep an edit no step records, give up
// silently: what stays broken is listed with its reason and the chains tried.
#ifndef AP_SURGERY_REPAIR_H
#define AP_SURGERY_REPAIR_H

#include "surgery/repair/budget.h"
#include "surgery/repair/whole.h"
#include "surgery/search/search.h"

// What repair works with; the product's are ap_repair_tools_of_search, tests bring their own.
typedef struct ap_repair_tools {
    ap_err (*cut)(const ap_match_env *env, ap_node *n, size_t radius, ap_piece *out);
    ap_err (*search)(const ap_piece *const *pieces, size_t count, const ap_search_options *o,
                     ap_search_result *out);
    ap_err (*apply)(const ap_recipe *r, const ap_match_env *env, ap_node *n, json_t *steps);
    // Appends {node, op, verdict, reason, with} of nodes the target takes and computes wrong on their own;
    // with (may be missing): the nodes it was asked about together with. NULL: nobody is asked.
    ap_err (*probe)(const ap_match_env *env, const ap_search_options *o, json_t *wrong);
} ap_repair_tools;
extern const ap_repair_tools ap_repair_tools_of_search;

typedef struct ap_repair_options {
    const ap_repair_tools *tools;
    ap_search_options search; // `banned` is set by repair; `seconds` is the budget of a piece
    ap_whole_asker ask;
    // A piece nothing was found for: kept somewhere, `left` gets `model` with the file's name. NULL: nobody
    // wants it.
    void (*keep)(void *user, const ap_piece *p, json_t *left);
    void *keep_user;
    bool allow_cpu;  // nodes that cannot be repaired may stay on the CPU; counted and named
    size_t restarts; // how often all is begun anew without the least exact recipe; 0: 2
    ap_budget budget;
} ap_repair_options;

typedef struct ap_repaired {
    ap_rewritten made; // `whole` also when nothing was changed
    // {needs: [{node, op, verdict, reason}], repairs: [{key, op, verdict, nodes: [name], why, rules: [name],
    //  class, exact, proofs, piece_error, nodes_before, nodes_after, gates_before, gates_after,
    //  estimate_before, estimate_after}], left: [{node, op, verdict, reason, tried, model}],
    //  rolled_back: [{key, rules, nodes, reason}], cpu: [node], stats: {tries, searches, seconds, restarts,
    //  ended: which budget is spent, in words | null, cut_short: a budget ended it before the model ran right
    //  and whole on the target}}
    json_t *report;
} ap_repaired;
void ap_repaired_release(ap_repaired *r);

// `first` (may be NULL) is what is already known of `m` on the target. Errors: machinery only.
AP_MUST ap_err ap_repair(const ap_model *m, const ap_whole *first, const ap_repair_options *o,
                         ap_repaired *out);

#endif
