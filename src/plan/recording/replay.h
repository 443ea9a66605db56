// SPDX-License-Identifier: Apache-2.0
// replay: does an exported model compute what was recorded? The one judge of an export.
#ifndef AP_PLAN_REPLAY_H
#define AP_PLAN_REPLAY_H

#include "base/json.h"
#include "plan/work/context.h"

// request: {"model": file, "precision": "fp32"|"fp16", "samples": [{"inputs": [{name,dtype,dims,file}],
// "outputs": [{dtype,dims,file}]}]}. Inputs are matched by name, ones the model does not have are left out;
// outputs by position. The model runs on ONNX Runtime's CPU provider, optimizations off.
// *answer: {"verdict": "accepted"|"wrong"|"invalid", "why": text|null, "worst_db", "inputs": [names],
// "outputs": [names], "sets": false}. "invalid": it does not load, does not run, or answers in other shapes.
// "sets": outputs are equal only when their rows are taken as sets (ties of a sort). Errors are only those of
// the request or the machine.
AP_MUST ap_err ap_replay_model(aipc_context *c, const json_t *request, json_t **answer);

#endif
