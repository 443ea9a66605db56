// SPDX-License-Identifier: Apache-2.0
// lint: what can be said about two rules of a library without a model. Whether one alone makes sense:
// prove.h.
#ifndef AP_SURGERY_LINT_H
#define AP_SURGERY_LINT_H

#include "surgery/rule/rule.h"

// Do two rules say the same of the same graphs: pattern, conditions, class, operators of the replacement?
// Whatever their names are. The second of the two is never reached.
bool ap_rules_overlap(const ap_rule *a, const ap_rule *b);

#endif
