// SPDX-License-Identifier: Apache-2.0
// doctor: what is installed and which targets really work, proved by compiling and running a two-node graph
// in a worker.
#ifndef AP_API_DOCTOR_H
#define AP_API_DOCTOR_H

#include "plan/work/context.h"

#include <jansson.h>

// The `doctor` document (docs/documents.md). A check that fails is a result, not an error.
AP_MUST ap_err ap_doctor(aipc_context *c, json_t **document);

#endif
