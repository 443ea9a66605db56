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

#include "surgery/search/search.h"

// What the whole model does on the target. Nodes that may stay on the CPU (allow_cpu) stand in `refused` of a
// model that was built all the same.
typedef struct ap_whole {
    bool built, passed; // gates were run and passed
    json_t *refused;    // [{node, op, reason}]; NULL: none
    // [{node, op, reason, values}] the first node whose numbers are off, when a gate failed; NULL. values:
    // {tensor: draw of the form of probe.h} on which they are, as far as known.
    json_t *wrong;
    json_t *gates; // what was measured: gates of golden/gates.h; NULL when not built
    json_t *cost;  // {estimate_ms, nodes}; NULL when not built
    char *error;   // why it could not be built when no node is to blame; NULL
} ap_whole;
void ap_whole_release(ap_whole *w);
// How many of its gates fail; *worst_db: the lowest SQNR of its outputs, infinite when there is none.
size_t ap_whole_failed_gates(const ap_whole *w, double *worst_db);

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

// What may be spent where nobody says otherwise; tuning has as much again.
#define AP_REPAIR_BUILDS 24
#define AP_REPAIR_SECONDS 600.0
// Which budget is spent and the option that gives more, in words; the text lives in `a`.
const char *ap_spent_builds(ap_arena *a, size_t most);
const char *ap_spent_seconds(ap_arena *a, double most);

typedef struct ap_repair_options {
    const ap_repair_tools *tools;
    ap_search_options search; // `banned` is set by repair; `seconds` is the budget of a piece
    // Measured types of all values of this model; called after every change. The source lives until the next
    // call.
    ap_err (*types)(void *user, ap_model *m, ap_type_source *out);
    // Builds the model on the target, runs it on the golden inputs, judges it.
    ap_err (*whole)(void *user, ap_model *m, ap_whole *out);
    void (*progress)(void *user, const char *text); // NULL: none
    // A piece nothing was found for: kept somewhere, `left` gets `model` with the file's name. NULL: nobody
    // wants it.
    void (*keep)(void *user, const ap_piece *p, json_t *left);
    void *user;
    bool allow_cpu;  // nodes that cannot be repaired may stay on the CPU; counted and named
    size_t tries;    // most whole-model builds; 0: AP_REPAIR_BUILDS
    size_t restarts; // how often all is begun anew without the least exact recipe; 0: 2
    double seconds;  // 0: AP_REPAIR_SECONDS
} ap_repair_options;

typedef struct ap_repaired {
    ap_model *model; // NULL when nothing was changed
    ap_buf bytes;    // what the model was read from
    ap_whole whole;  // what the target says of it in the end
    // {needs: [{node, op, verdict, reason}], repairs: [{key, op, verdict, nodes: [name], why, rules: [name],
    //  class, exact, proofs, piece_error, nodes_before, nodes_after, gates_before, gates_after,
    //  estimate_before, estimate_after}], left: [{node, op, verdict, reason, tried, model}],
    //  rolled_back: [{key, rules, nodes, reason}], cpu: [node], stats: {tries, searches, seconds, restarts,
    //  ended: which budget is spent, in words | null, cut_short: a budget ended it before the model ran right
    //  and whole on the target}}
    json_t *report;
    json_t *steps; // of kind "rule", for plan.json
} ap_repaired;
void ap_repaired_release(ap_repaired *r);

// `first` (may be NULL) is what is already known of `m` on the target. Errors: machinery only.
AP_MUST ap_err ap_repair(const ap_model *m, const ap_whole *first, const ap_repair_options *o,
                         ap_repaired *out);

#endif
