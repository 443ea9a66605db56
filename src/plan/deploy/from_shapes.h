// SPDX-License-Identifier: Apache-2.0
// from_shapes: a model for several shapes: one deployment each, side by side, and the index that `aipc run`
// and `aipc exec` choose from.
#ifndef AP_PLAN_FROM_SHAPES_H
#define AP_PLAN_FROM_SHAPES_H

#include "base/json.h"
#include "golden/buckets.h"
#include "plan/work/context.h"

// *varies: --shape names more than one shape of this model, and *document is OUT/index.json
// (docs/recordings.md), also set together with the first error of a deployment: the others go on. Otherwise
// nothing was done.
AP_MUST ap_err ap_deploy_shapes(aipc_context *c, const aipc_deploy_options *o, bool *varies,
                                json_t **document);

#endif
