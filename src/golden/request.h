// SPDX-License-Identifier: Apache-2.0
// request: small helpers for NAME=VALUE arguments that refer to a model's inputs.
#ifndef AP_GOLDEN_REQUEST_H
#define AP_GOLDEN_REQUEST_H

#include "graph/model.h"

// Splits "NAME=REST" at the first '='. Error USAGE naming the flag and what it wants.
AP_MUST ap_err ap_request_split(const char *arg, const char *flag, const char *wants, ap_arena *a,
                                char **name, const char **rest);
bool ap_request_is_input(const ap_model *m, const char *name);
// The INPUT_NAME error for `name`: lists the inputs there are, suggests the nearest.
ap_err ap_request_unknown_input(const ap_model *m, const char *name, const char *flag);
// The REST of the entry of `list` whose NAME is `name`, or NULL.
const char *ap_request_find(const char *const *list, size_t count, const char *name);

#endif
