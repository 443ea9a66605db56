// SPDX-License-Identifier: Apache-2.0
// fold: what passes share that ask the oracle: types and values of named things.
#ifndef AP_SURGERY_FOLD_H
#define AP_SURGERY_FOLD_H

#include "surgery/pass/pass.h"

// Types of values as the oracle measured them on the first input set. Where fold_flow says that a shape
// depends on data, the dims are those of this one run: no proof.
typedef struct ap_types {
    ap_arena arena;
    ap_map by_name; // → ap_value_type *; values that are no tensors are absent
    bool measured;
} ap_types;
// The context's types, measured unless they have been. They are those of the model before the pass edits it.
AP_MUST ap_err ap_types_measure(ap_model *m, const ap_pass_context *c, ap_types **out);
// Initializers and inputs are known without a run. NULL when unknown.
const ap_value_type *ap_types_get(ap_types *t, const ap_value *v);
void ap_types_release(ap_types *t); // empty afterwards

int64_t ap_pass_param(const ap_pass_context *c, const char *name, int64_t fallback);

#endif
