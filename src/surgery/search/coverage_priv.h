// SPDX-License-Identifier: Apache-2.0
// What the files of the coverage share.
#ifndef AP_SURGERY_COVERAGE_PRIV_H
#define AP_SURGERY_COVERAGE_PRIV_H

#include "surgery/pass/clean.h"
#include "surgery/probe/probe_priv.h"
#include "surgery/search/coverage.h"

// Control flow that depends on no data becomes plain nodes (coverage_clean.c). `m` is the probe as a model.
// *passes: the names of the passes that did it, in order, each once; a new reference.
AP_MUST ap_err coverage_clean(const ap_probe *p, const ap_model *m, const ap_piece_oracle *oracle,
                              ap_cleaned *out, json_t **passes);

// ---- reasons (coverage_reason.c)
typedef struct coverage_reason {
    const char *kind; // a word or two, to count by; NULL: none stands in the table
    const char *text; // in the arena
} coverage_reason;
// What no rewrite can help: known before anything is tried.
coverage_reason coverage_hopeless(const ap_probe *p, ap_arena *arena);
// Why nothing was found, as far as the operator, its types and the target's last words tell. `m`: the probe
// as a model, its types known (NULL: it could not be read). `last`: what the target said to the nearest
// chain; NULL.
coverage_reason coverage_why(const ap_probe *p, const ap_model *m, const char *last, ap_arena *arena);

#endif
