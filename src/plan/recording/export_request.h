// SPDX-License-Identifier: Apache-2.0
// export_request: what the hook inside the program is asked for: which signatures of a model, their samples,
// what is to be tried in which order. The hook decides nothing.
#ifndef AP_PLAN_EXPORT_REQUEST_H
#define AP_PLAN_EXPORT_REQUEST_H

#include "base/json.h"

#include <stdbool.h>

// [[exporter, opset, level 1?]], in this order: the first that the judge accepts is taken. Level 1: with the
// replacements of python/aipc/level1.py.
json_t *ap_export_attempts(bool level1_first);
// A recorded signature with a few samples, and how exactly they are to be met (plan/recording/replay.h).
json_t *ap_export_ask_signature(const char *recording, const json_t *model, const json_t *sig);
// {"name", "identity", "method", "training", "forward_hooks", "signatures", "alike"}. alike: signatures that
// differ in sizes alone, for one model with open dims; of them the largest is the first, which is traced:
// [{"signatures": [index], "open": [[axis] a leaf]}]. None with level 1, which follows shapes.
json_t *ap_export_ask(const char *recording, const json_t *model, bool level1);

#endif
