// SPDX-License-Identifier: Apache-2.0
// freeze: what the user decides about inputs before anything is cleaned: their shapes, and for inputs that
// are switches (a sample rate, a mode) their value.
//
// The interface never changes: an input with a fixed value stays an input, its readers read the constant.
// That is an assumption about what will be fed, and stands as such in the plan.
#ifndef AP_SURGERY_FREEZE_H
#define AP_SURGERY_FREEZE_H

#include "surgery/pass/pass.h"

// {input: [dims]}, every input of the model.
AP_MUST ap_err ap_freeze_shapes(ap_model *m, const json_t *shapes);
// {dtype, dims, data: [...]}: a small tensor as JSON, and back. Floats keep their bits.
json_t *ap_fixed_json(const ap_tensor *t);
AP_MUST ap_err ap_fixed_tensor(const json_t *fixed, const char *name, ap_tensor *out);

#endif
