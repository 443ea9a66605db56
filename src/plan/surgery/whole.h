// SPDX-License-Identifier: Apache-2.0
// whole: asks a target about a whole model, as repair wants it: is every node taken, do the numbers pass, and
// which node is to blame.
//
// It keeps one worker of the target and one of the oracle over all questions; a worker that died is started
// anew for the next one. Models travel as files in the scratch folder: messages, gone afterwards.
//
// What it never does: edit a model, decide what a failure means for a repair.
#ifndef AP_PLAN_WHOLE_H
#define AP_PLAN_WHOLE_H

#include "golden/gates.h"
#include "plan/work/ledger.h"
#include "plan/work/workers.h"
#include "surgery/repair/repair.h"

typedef struct ap_whole_host {
    // Set by the caller, all borrowed.
    aipc_context *ctx;
    const ap_target_id *target;
    const char *precision;
    const ap_gates *gates;
    const json_t *inputs;     // TENSOR list: the golden inputs
    const json_t *golden;     // TENSOR list: what the original computes from them
    const ap_model *original; // shapes set; for a second look at what picks rows (picked.h). NULL: none
    const char *scratch, *logs;
    ap_ledger *ledger; // NULL: nobody keeps time
    unsigned timeout_s, memory_mib;
    bool allow_cpu;
    bool no_blame; // of a model that is only blurred (surgery/repair/sharpen.h) no node is looked for
    // Its own.
    ap_worker *oracle, *worker;
    json_t *types;  // TENSOR list of the last model measured
    ap_map by_name; // name → entry of `types`
    double seconds; // spent in `judge`
    size_t judged;
} ap_whole_host;
void ap_whole_host_release(ap_whole_host *h); // stops the workers

// ap_repair_options.types and .whole; `host` is an ap_whole_host.
AP_MUST ap_err ap_whole_types(void *host, ap_model *m, ap_type_source *out);
AP_MUST ap_err ap_whole_judge(void *host, ap_model *m, ap_whole *out);

#endif
