// SPDX-License-Identifier: Apache-2.0
// refusals: which nodes the QNN provider did not take, and why. The reason exists only in its log.
#ifndef AP_TARGET_REFUSALS_H
#define AP_TARGET_REFUSALS_H

#include "base/json.h"

// Reads captured log lines: [{node, op, reason}], one entry a node, in the order met.
json_t *ap_refusals_parse(const char *const *lines, size_t count);
// Node name without what the layout step adds ("conv0_token_12" → "conv0"). Writes at most `cap` bytes.
void ap_refusals_plain_name(const char *name, char *out, size_t cap);

#endif
