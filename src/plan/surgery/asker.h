// SPDX-License-Identifier: Apache-2.0
// asker: what asking a target takes: workers, scratch folder, the cache of answers, and for searches the
// rules with their proofs and an oracle.
#ifndef AP_PLAN_ASKER_H
#define AP_PLAN_ASKER_H

#include "plan/surgery/proofs.h"
#include "plan/work/workers.h"
#include "surgery/probe/probe.h"
#include "surgery/search/search.h"

typedef struct ap_asker_options {
    const char *target;
    unsigned timeout_s, threads, batch; // 0: 60 s, one a processor, the default
    bool fresh;                         // neither read nor keep stored answers
    ap_ledger *ledger;                  // NULL: nobody keeps time
} ap_asker_options;

typedef struct ap_asker {
    ap_arena arena;
    aipc_context *context;
    ap_target_id target;
    char *dir;     // scratch
    char *backend; // what answers depend on besides the probe: the libraries that give them
    unsigned timeout_s;
    ap_ledger *ledger;
    ap_probe_cache *cache; // NULL: fresh
    ap_probe_host host;
    // After ap_asker_rules.
    ap_rules *rules;
    ap_plan_oracle oracle;
    ap_proofs *proofs;
    ap_rule_judge judge;
} ap_asker;

// *out stays where it is until it is closed. Errors: TARGET_UNKNOWN, SOC_UNKNOWN, RUNTIME_MISSING, disk.
AP_MUST ap_err ap_asker_open(aipc_context *c, const ap_asker_options *o, ap_asker *out);
// Opens rules (built in, and those of `folder`; NULL: `rules` where the program was started), oracle and
// proofs and fills in what a search wants. Faulty rules of the user are warnings.
AP_MUST ap_err ap_asker_rules(ap_asker *q, const char *folder, ap_search_options *out);
void ap_asker_close(ap_asker *q); // a zeroed one is fine

#endif
