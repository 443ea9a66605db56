// SPDX-License-Identifier: Apache-2.0
// compare: two tensors, two folders of tensors, or two models.
#ifndef AP_API_COMPARE_H
#define AP_API_COMPARE_H

#include "base/json.h"

// The `compare` document (docs/documents.md). What the paths are is found out from the files. Error
// INPUT_FILE when they are not of one kind.
AP_MUST ap_err ap_compare(const char *a, const char *b, json_t **document);

#endif
