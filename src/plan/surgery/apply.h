// SPDX-License-Identifier: Apache-2.0
// apply: the recorded steps of a plan once more, on the model they were made for or on another one.
#ifndef AP_PLAN_APPLY_H
#define AP_PLAN_APPLY_H

#include "base/json.h"
#include "plan/work/context.h"

// As aipc_apply and aipc_rebase_on (aipc.h); `o` is whole.
AP_MUST ap_err ap_apply(aipc_context *c, const char *model, const char *plan_path, const char *out,
                        json_t **document);
AP_MUST ap_err ap_rebase(aipc_context *c, const aipc_rebase_options *o, json_t **document);

#endif
