// SPDX-License-Identifier: Apache-2.0
#ifndef AP_SURGERY_FACTS_PRIV_H
#define AP_SURGERY_FACTS_PRIV_H

#include "surgery/facts/facts.h"

ap_fact fact_top(ap_dtype t);
bool fact_type(const ap_facts *f, const ap_value *v, ap_value_type *t);
ap_dtype fact_dtype(const ap_facts *f, const ap_value *v);
ap_dtype fact_compute(const ap_facts *f, ap_dtype t); // what the target computes values of type t in
bool fact_constant(const ap_facts *f, const ap_value *v, ap_tensor *t);

// Facts of output `output` of a node of ai.onnx; *out comes in as "nothing known".
void fact_of_node(ap_facts *f, const ap_node *n, size_t output, ap_fact *out);

#endif
