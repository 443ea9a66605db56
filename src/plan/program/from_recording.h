// SPDX-License-Identifier: Apache-2.0
// from_recording: a recording's models through all stages; one deployment a model and signature, and the
// index.
#ifndef AP_PLAN_FROM_RECORDING_H
#define AP_PLAN_FROM_RECORDING_H

#include "base/json.h"
#include "plan/work/context.h"

// `o` as for ap_deploy, its model being the folder of a recording; inputs and shapes come from there. Exports
// what is not exported yet. *document is OUT/index.json (docs/recordings.md), also set together with the
// first error of a deployment: the others go on.
AP_MUST ap_err ap_deploy_recording(aipc_context *c, const aipc_deploy_options *o, json_t **document);
// What of `o` can be said before there is a recording.
AP_MUST ap_err ap_deploy_recording_check(aipc_context *c, const aipc_deploy_options *o);

#endif
