// SPDX-License-Identifier: Apache-2.0
// served: the deployed artifacts of one ONNX model, found by the hash of its bytes; which of them fits a
// call.
#ifndef AP_PLAN_SERVED_H
#define AP_PLAN_SERVED_H

#include "plan/context.h"

// As aipc_served_* (aipc.h).
AP_MUST ap_err ap_served_find(aipc_context *c, const char *folders, const char *target, const char *path,
                              const void *bytes, size_t len, aipc_served **out);
AP_MUST ap_err ap_served_choose(aipc_served *s, const aipc_tensor *inputs, size_t count, aipc_artifact **out);
const char *ap_served_dir(const aipc_served *s, const aipc_artifact *a);
void ap_served_close(aipc_served *s);

#endif
