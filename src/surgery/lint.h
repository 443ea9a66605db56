// SPDX-License-Identifier: Apache-2.0
// lint: what can be said about a rule library as a whole, without a model.
#ifndef AP_SURGERY_LINT_H
#define AP_SURGERY_LINT_H

#include "surgery/rule.h"

// Adds problems: a rule whose replacement holds its own pattern's root operator with nothing that shrinks
// (warning), two rules with the same pattern, conditions and class (error: never reached).
// Do two rules say the same of the same graphs: pattern, conditions, class, operators of the replacement?
bool ap_rules_overlap(const ap_rule *a, const ap_rule *b);

void ap_rules_lint(const ap_rules *r, ap_rule_problems *out);

#endif
