// SPDX-License-Identifier: Apache-2.0
// table: a model that is operated on, with what the passes need: inputs to run it on and an oracle.
#ifndef AP_PLAN_TABLE_H
#define AP_PLAN_TABLE_H

#include "device/runtime.h"
#include "golden/contract.h"
#include "plan/work/context.h"
#include "plan/work/workers.h"
#include "surgery/pass/clean_worker.h"

typedef struct ap_table {
    aipc_context *c;
    ap_arena arena;
    char *dir; // scratch
    ap_model *model;
    bool outside; // its weights lie in a file of ours, and go back inside when it is saved
    char digest[65];
    json_t *shapes, *params, *warnings;
    json_t *input_hashes; // of every set
    ap_runtime ort;
    ap_worker *worker;
    ap_worker_oracle asked;
    ap_surgery_oracle oracle;
} ap_table;

// Loads the model and gives it a folder to lie in (plan/surgery/outside.h). Release it also after an error.
AP_MUST ap_err ap_table_open(aipc_context *c, const char *model, ap_table *t);
void ap_table_release(ap_table *t);
// Input sets, `params` being set: one from what the user gave; with `wanted` 2 a second with other random
// numbers, unless every input comes from a file.
AP_MUST ap_err ap_table_sets(ap_table *t, ap_input_request r, size_t wanted);
// One set to run on where nobody looks at the outputs.
AP_MUST ap_err ap_table_neutral_set(ap_table *t);
// Starts the oracle, which runs on the sets.
AP_MUST ap_err ap_table_oracle(ap_table *t);

#endif
