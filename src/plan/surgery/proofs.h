// SPDX-License-Identifier: Apache-2.0
// proofs: the user's proofs of rules, kept in the cache folder, and the oracle they are made with.
//
// A proof is kept under the hash of the rule (text, choices, version of native code), AP_PROVE_VERSION, this
// program's version and the sha256 of the oracle. What never happens: a rule counts as proven by its name.
#ifndef AP_PLAN_PROOFS_H
#define AP_PLAN_PROOFS_H

#include "plan/work/context.h"
#include "plan/work/ledger.h"
#include "surgery/oracle/oracle_worker.h"
#include "surgery/prove/prove.h"
#include "surgery/search/search.h"

// The oracle of small models with its worker and scratch folder. Not thread-safe: one for each thread.
typedef struct ap_plan_oracle {
    ap_arena arena;
    aipc_context *context;
    const char *dir;    // scratch
    const char *sha256; // of the library's wheel
    const char *name;   // "onnxruntime 1.31.1"
    size_t cpu;         // processor to stay on; AP_ANY_CPU
    ap_ledger *ledger;  // set by the user; NULL: nobody keeps time
    ap_oracle_worker *worker;
    ap_piece_oracle piece;
} ap_plan_oracle;
// Errors: RUNTIME_MISSING, disk. The worker itself starts with the first question. *out stays where it is
// until it is closed: the worker knows its address.
AP_MUST ap_err ap_plan_oracle_open(aipc_context *c, size_t cpu, ap_plan_oracle *out);
void ap_plan_oracle_close(ap_plan_oracle *o); // a zeroed one is fine

typedef struct ap_proofs ap_proofs;
// The rules are borrowed. Cheap: nothing is proven and no worker started before somebody asks.
// `ledger` may be NULL.
AP_MUST ap_err ap_proofs_open(aipc_context *c, const ap_rules *rules, ap_ledger *ledger, ap_proofs **out);
void ap_proofs_close(ap_proofs *p); // NULL is fine
// Proves a rule when it is asked about for the first time (AP_PROVE_INSTANCES instances, seed 1).
// Thread-safe.
ap_rule_judge ap_proofs_judge(ap_proofs *p);

// What is known already; *proof NULL when nothing is.
void ap_proofs_look(aipc_context *c, const ap_rule *r, const char *oracle_sha256, json_t **proof);
// Keeps a proof. Trouble with the disk is a warning.
void ap_proofs_keep(aipc_context *c, const ap_rule *r, const char *oracle_sha256, const json_t *proof);

#endif
