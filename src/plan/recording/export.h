// SPDX-License-Identifier: Apache-2.0
// export: ONNX files of a recording's models, each judged by replaying recorded calls.
#ifndef AP_PLAN_EXPORT_H
#define AP_PLAN_EXPORT_H

#include "base/json.h"
#include "plan/work/context.h"

// As aipc_export (aipc.h). *document is OUT/export.json (docs/recordings.md), also set together with the
// error EXPORT that says which signatures have no model.
AP_MUST ap_err ap_export(aipc_context *c, const aipc_export_options *o, json_t **document);

// The chosen signatures of a model that can be exported; those of a model that was named although none was
// chosen. New reference, perhaps empty.
json_t *ap_export_signatures(const json_t *model);

#endif
