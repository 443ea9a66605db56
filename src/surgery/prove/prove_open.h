// SPDX-License-Identifier: Apache-2.0
#ifndef AP_SURGERY_PROVE_OPEN_H
#define AP_SURGERY_PROVE_OPEN_H

#include "surgery/rule/rule.h"

// The rules of the program and the user's: those of `dir` (a folder or a file), or with NULL of the folder
// `rules` where the program was started, if there is one. Finished. A rule that stands in both, letter by
// letter, counts once; another rule of a built-in's name is a problem. So is a rule of the user that is never
// reached, fits nothing, breaks types or does not end (prove.h): it is left out.
AP_MUST ap_err ap_rules_open(const char *dir, ap_rules **out, ap_rule_problems *problems);
// The same with those that fit nothing, break types or do not end: for a proof that tells more of them.
AP_MUST ap_err ap_rules_open_all(const char *dir, ap_rules **out, ap_rule_problems *problems);

#endif
