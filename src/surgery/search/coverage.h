// SPDX-License-Identifier: Apache-2.0
// coverage: what a target computes right after surgery. Every probe of a set that the target refused or got
// wrong is searched for a chain of rules; what remains gets a stated reason.
//
// What it knows: probes, pieces, the search. What it never does: count something as repaired that the target
// did not compute right in the end.
#ifndef AP_SURGERY_COVERAGE_H
#define AP_SURGERY_COVERAGE_H

#include "surgery/search/search.h"

// `o`: as for a search. *out: a list as long as the set's, null where nothing was to be done, else
//   {found, passes: [name], chain: [rule], by: "rule > rule" (or "fixed dimensions"), class, error,
//   nodes_before, nodes_after, frozen, given, reason}, or
//   {found, kind, reason, nearest, tried}
// found: the target computes it right. `passes`: what made plain nodes of its loops before rules were
// searched. `frozen`: it had open dimensions, which were fixed. `given`: inputs whose range (as the table
// draws it) had to be taken as certain. reason: why not, when not found; `kind` in a word or two, `nearest`
// the chain that came nearest. progress may be NULL. Errors: machinery only.
AP_MUST ap_err ap_coverage_repair(const ap_probe_set *s, const ap_search_options *o,
                                  void (*progress)(void *user, size_t done, size_t total), void *user,
                                  json_t **out);
// Puts the list into a document of ap_probe_document: probes[i].repair, summary.{right_as_is,
// right_after_surgery, left}, and ops.OP.{repaired, left} where there are any.
void ap_coverage_into(json_t *document, const json_t *repairs);

#endif
