// SPDX-License-Identifier: Apache-2.0
// fold_flow: what each value of the main graph depends on, proven from the operators, never from a run.
//
// Two questions a value: can the *data* of an input change its elements (or the shape it has)? Does it depend
// on an input's shape? With all input shapes fixed a value of the second kind alone is a constant. Operators
// that are not known here count as depending on everything.
#ifndef AP_SURGERY_FOLD_FLOW_H
#define AP_SURGERY_FOLD_FLOW_H

#include "graph/model.h"

enum {
    AP_FLOW_DATA = 1,       // its elements may depend on the data of an input, or on chance
    AP_FLOW_SHAPE = 2,      // its shape too; implies DATA
    AP_FLOW_INPUT_SHAPE = 4 // its elements or its shape may depend on the shape of an input
};

typedef struct ap_flow {
    ap_map bits; // name → flags; every value of the main graph
} ap_flow;

void ap_flow_of(const ap_model *m, ap_flow *out);
void ap_flow_release(ap_flow *f);
unsigned ap_flow_get(const ap_flow *f, const ap_value *v); // everything set for a value it has not seen
bool ap_op_is_random(const ap_node *n); // its result is drawn anew at every run (Dropout aside)

#endif
