// SPDX-License-Identifier: Apache-2.0
// record: plan.json, the passes that made one model out of another, in a form that can be run again.
//
// {format, kind: "aipc plan", aipc, source: {file, sha256}, opset, shapes: {input: dims}, params: {...,
// fixed: {input: {dtype, dims, data}}}, oracle: {name, sha256}, result: {sha256, nodes}, steps: [STEP],
// refused: [STEP]}. STEP: clean.h. Keys are sorted and a step is one line, so that plans can be compared and
// merged. The file is outside data: everything is checked before anything uses it.
#ifndef AP_SURGERY_RECORD_H
#define AP_SURGERY_RECORD_H

#include "base/json.h"

#define AP_PLAN_FORMAT 1

// The text of a plan, malloc'ed.
char *ap_plan_text(const json_t *plan);
AP_MUST ap_err ap_plan_save(const char *path, const json_t *plan);
// Error CORRUPT with what is wrong. *out is a new reference.
AP_MUST ap_err ap_plan_parse(const char *text, size_t len, json_t **out);
AP_MUST ap_err ap_plan_load(const char *path, json_t **out);

#endif
