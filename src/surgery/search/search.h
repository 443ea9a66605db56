// SPDX-License-Identifier: Apache-2.0
// search: finds the cheapest chain of rules after which a target takes a piece of a graph and computes it
// right.
//
// A piece is one or a few nodes with the types of their operands and what is certain about their values. A
// state is the piece after some rules were applied; its verdict comes from the target itself (probe.h), the
// whole state as one graph, so that fusions count. States are expanded where the target refused or erred,
// best first, by: loss of exactness, added nodes, estimated bytes moved, names of the rules.
//
// What it never does: edit the user's graph, use a rule that is not proven, ask the same state twice.
#ifndef AP_SURGERY_SEARCH_H
#define AP_SURGERY_SEARCH_H

#include "surgery/apply/apply.h"
#include "surgery/probe/probe.h"

// Is this rule proven here? Called before a rule's result is used; may run the proof. *proof: {..} of
// prove.h.
typedef struct ap_rule_judge {
    ap_err (*proven)(void *user, const ap_rule *r, bool *yes, json_t **proof);
    void *user;
} ap_rule_judge;

#define AP_SEARCH_SECONDS 20.0 // a piece

typedef struct ap_search_options {
    const ap_rules *rules;
    const ap_rule_judge *judge; // NULL: every rule counts as proven (tests)
    const ap_piece_oracle *oracle;
    const ap_probe_host *host;
    ap_probe_cache *cache;
    ap_dtype compute;
    const char *backend;       // "qnn": rules whose `helps` name another backend only come last
    size_t depth;              // longest chain; 0: 5
    size_t expansions, probes; // 0: 200 and 64
    double seconds;            // spent on a piece, its share of asking counted; 0: AP_SEARCH_SECONDS
    double seconds_in_all;     // of a call with many pieces, on the clock; 0: three times `seconds`
    const json_t *banned;      // [{recipe, key, reason}]: not tried again; recipe: text or list of rule names
} ap_search_options;

// How a piece is repaired. Everything needed to do the same elsewhere.
typedef struct ap_recipe {
    // [{rule, class, record, proof, root, nodes, types}] in order; record: apply.h. root and nodes are
    // positions: "o3" is node 3 of the piece in canonical order, "s1.2" node 2 that step 1 made. types
    // ([[TYPE or null]], by node made and output) only where they cannot be inferred.
    json_t *chain;
    size_t radius; // of the piece it was found for
    char key[65];  // of that piece
    size_t nodes_before, nodes_after;
    double error; // of the repaired piece on the target, against the piece as it was on the oracle
    bool exact;   // all classes exact
} ap_recipe;
void ap_recipe_release(ap_recipe *r);
// "mod_by_floor > floor_by_cast": names of the rules in order; what `banned` calls a recipe. malloc'ed.
char *ap_recipe_text(const ap_recipe *r);

// A piece cut out of a model around one node: names, constants and facts kept. `radius` 0: the node alone (in
// a quantised graph with the DequantizeLinear and QuantizeLinear around it, which make it another operation);
// 1: with its makers; 2: with its users too, and so on; never across constants.
typedef struct ap_piece {
    ap_model *model;    // inputs and outputs declared with the measured types
    const char *node;   // name of the node in question
    json_t *facts;      // {input: {lo, hi, integral, ...}} carried over from the model
    char key[65];       // of the canonical form: equal keys, equal recipes
    const char **nodes; // names in canonical order, constants left out
    size_t node_count, radius;
    bool must_change; // it is known to be computed wrong somewhere: taken as it is, with these numbers, is no
                      // repair
    ap_arena arena;
} ap_piece;
// `env`'s model must outlive the piece: constants are shared. Error SHAPE_UNKNOWN (subject: the value) when
// the types around it are not known in full.
AP_MUST ap_err ap_piece_cut(const ap_match_env *env, ap_node *n, size_t radius, ap_piece *out);
// QuantizeLinear and DequantizeLinear, of ONNX or as ONNX Runtime's quantizer writes them (com.microsoft).
bool ap_node_quantizes(const ap_node *n); // NULL: no
bool ap_node_dequantizes(const ap_node *n);
// Does it work on what DequantizeLinear gives? Such an operation is fused with the one before it: what is
// right on its own may be wrong behind it, so it is asked about with its makers (radius 1).
bool ap_node_is_quantised(const ap_node *n);
void ap_piece_release(ap_piece *p);

typedef struct ap_search_result {
    bool found;
    ap_recipe recipe;
    ap_probe_verdict before; // of the piece as it was
    const char *reason;      // why it was not taken, the target's words; in `arena`
    json_t *tried; // [{chain: [rule], verdict, reason}], the nearest first. verdict "misfit": a rule for
                   // this operator whose conditions do not hold here; "unproven", "banned"
    json_t *stats; // {expansions, probes, seconds}
    ap_arena arena;
} ap_search_result;
void ap_search_result_release(ap_search_result *r);

// Errors: machinery only. Not finding anything is a result. A piece that is taken as it is has an empty
// chain.
AP_MUST ap_err ap_search_piece(const ap_piece *p, const ap_search_options *o, ap_search_result *out);
// Many at once: what all of them want to know is asked together. out[i] belongs to pieces[i]; on an error
// nothing has to be released.
AP_MUST ap_err ap_search_many(const ap_piece *const *pieces, size_t count, const ap_search_options *o,
                              ap_search_result *out);

// All nodes of a model: [{op, key, verdict, reason, taken, context, nodes: [name]}], one entry for equal
// nodes. taken: the target computes it right, alone (context 0) or with what stands around it within that
// radius: then the refusal of the lone node is an artefact. Where it is not: found, by, chain, exact, error,
// nodes_after, tried of the search. *out is a new reference. Errors: machinery only.
AP_MUST ap_err ap_search_model(const ap_match_env *env, const ap_search_options *o, json_t **out);

// Applies a recipe to the place it was found at or to another with the same key. `env` is the whole model's.
// *steps (may be NULL): records of kind "rule" for plan.json are appended. Error CONTRACT when it does not
// fit there; the graph is then as before.
AP_MUST ap_err ap_recipe_apply(const ap_recipe *r, const ap_match_env *env, ap_node *n, json_t *steps);

#endif
