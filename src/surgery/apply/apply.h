// SPDX-License-Identifier: Apache-2.0
// apply: carries out a match as one transaction, records it, and replays records.
//
// The replacement is built beside the matched nodes, which then go. Names of new values and nodes are
// "<root output>~<rule>.<k>"; the root's outputs keep name, element type and shape. On an error the graph
// computes what it did before (nodes added and taken back at most leave unused memory in the arena).
#ifndef AP_SURGERY_APPLY_H
#define AP_SURGERY_APPLY_H

#include "surgery/match/match.h"

typedef struct ap_applied {
    ap_node **added; // malloc'ed; nodes of the replacement, makers first
    size_t added_count;
    size_t removed_count;
    bool types_known; // element types and shapes of all outputs were inferred and are as before. False:
                      // shapes could not be inferred here, the caller must (oracle) before trusting the graph
    json_t *record;   // for replay; {format, kind: "rule", name, hash, class, root, nodes, binds, steps,
                      // before, after}: before/after are hashes of the region with its operand types
} ap_applied;
#define AP_RULE_BREAKS "rule-breaks"
void ap_applied_release(ap_applied *a);

// Applies. Error REFUSED (subject: the rule) when the replacement would change an output's dtype or shape, or
// needs something this opset lacks; the graph is then as before. Stage AP_RULE_BREAKS marks the former: such
// a rule is wrong, not out of reach. The match is used up (still to be freed).
// Facts in env are not updated: values made here are derived on demand.
AP_MUST ap_err ap_match_apply(ap_match *m, ap_applied *out);

// Applies a record again: same rule by name and hash, same root, same bindings, same result. Error CONTRACT
// naming the first field that differs; the graph is then as before.
AP_MUST ap_err ap_rule_replay(const ap_match_env *env, const json_t *record, ap_applied *out);

// SHA-256 over the canonical form of some nodes (op, attributes, names, constants) and their operands' types.
AP_MUST ap_err ap_region_hash(const ap_match_env *env, ap_node *const *nodes, size_t count, ap_digest *out);

#endif
