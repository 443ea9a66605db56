// SPDX-License-Identifier: Apache-2.0
// record: runs the user's program with the hook and puts together what it wrote.
#ifndef AP_PLAN_RECORD_H
#define AP_PLAN_RECORD_H

#include "base/json.h"
#include "plan/work/context.h"

// As aipc_record (aipc.h); *document is recording.json's.
AP_MUST ap_err ap_record(aipc_context *c, const aipc_record_options *o, int *status, json_t **document);

// A command line as it may be stored: what looks like a secret is "…". *redacted: something was. New
// reference.
json_t *ap_command_json(const char *const *argv, size_t count, bool *redacted);

#endif
