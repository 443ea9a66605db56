// SPDX-License-Identifier: Apache-2.0
// split: a recorded program as three parts, for people who want files: pre.py (the program up to a call of
// its model), model.onnx, post.py (what the program gets of its outputs), and infer.py, which runs them
// together. The result is run and compared with the program.
#ifndef AP_PLAN_SPLIT_H
#define AP_PLAN_SPLIT_H

#include "base/json.h"
#include "plan/work/context.h"

// As aipc_split (aipc.h).
AP_MUST ap_err ap_split(aipc_context *c, const aipc_split_options *o, json_t **document);

#endif
