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

#include "surgery/search.h"

typedef struct ap_whole {
    bool built, passed; // gates were run and passed
    json_t *refused;    // [{node, op, reason}]; NULL: none
    json_t *wrong;      // [{node, op, reason}] the first node whose numbers are off, when a gate failed; NULL
    json_t *gates;      // what was measured; NULL when not built
    char *error;        // why it could not be built when no node is to blame; NULL
} ap_whole;
void ap_whole_release(ap_whole *w);

typedef struct ap_repair_options {
    ap_search_options search;
    // Measured types of all values of this model; called after every change. The source lives until the next
    // call.
    ap_err (*types)(void *user, ap_model *m, ap_type_source *out);
    // Builds the model on the target, runs it on the golden inputs, judges it.
    ap_err (*whole)(void *user, ap_model *m, ap_whole *out);
    void (*progress)(void *user, const char *text); // NULL: none
    void *user;
    bool allow_cpu; // nodes that cannot be repaired may stay on the CPU; counted and named
    size_t tries;   // most whole-model builds; 0: 24
    double seconds; // 0: 600
} ap_repair_options;

typedef struct ap_repaired {
    ap_model *model; // NULL when nothing was changed
    bool passed;     // the target takes the whole model and its gates pass
    // {needs: [{node, op, verdict, reason}], repairs: [{key, op, nodes: [name], why, rules: [name], class,
    //  proofs, piece_error, nodes_before, nodes_after, gates}], left: [{node, op, reason, tried}],
    //  rolled_back: [{rules, nodes, reason}], cpu: [node], stats}
    json_t *report;
    json_t *steps; // of kind "rule", for plan.json
} ap_repaired;
void ap_repaired_release(ap_repaired *r);

// `first` (may be NULL) is what is already known of `m` on the target. Errors: machinery only.
AP_MUST ap_err ap_repair(const ap_model *m, const ap_whole *first, const ap_repair_options *o,
                         ap_repaired *out);

#endif
