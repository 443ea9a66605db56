// SPDX-License-Identifier: Apache-2.0
// facts: what is certain about the elements of every value of a graph, whatever is fed. A monotone dataflow
// from constants and operators to their users; never from a golden run.
//
// Facts hold for a target that computes in `compute` (float16 ...): intervals are widened by one ulp of it
// after every operation that rounds, and "integral" ends where the type cannot hold all integers. An
// interval speaks of the elements that are not NaN.
#ifndef AP_SURGERY_FACTS_H
#define AP_SURGERY_FACTS_H

#include "graph/model.h"

// Types of values by whoever knows them (the oracle's shapes, declared types, a pass). False: unknown. A dim
// may be -1: unknown.
typedef struct ap_type_source {
    bool (*type)(void *user, const ap_value *v, ap_value_type *out);
    void *user;
} ap_type_source;
// Asks the source, else what the model declares. `s` may be NULL.
bool ap_type_of(const ap_type_source *s, const ap_value *v, ap_value_type *out);

typedef struct ap_fact {
    double lo, hi;       // -inf and inf: unknown
    bool integral;       // every finite element is a whole number
    bool notnan;         // no NaN
    bool finite;         // neither NaN nor infinities
    bool nonzero;        // no element is 0
    uint32_t distinct;   // bit k: along axis k all elements of a line differ
    uint32_t row_finite; // bit k: every line along axis k has an element > -inf that is not NaN
} ap_fact;

typedef struct ap_facts ap_facts;

// Facts of all values of the main graph. Constants are read on demand (each once). `m` and the source must
// outlive the result. ap_facts_of is not thread-safe.
AP_MUST ap_err ap_facts_new(ap_model *m, const ap_type_source *types, ap_dtype compute, ap_facts **out);
void ap_facts_free(ap_facts *f); // NULL is fine
// Never NULL: nothing known for values it has not seen. Values made by an edit after ap_facts_new are derived
// when asked for.
const ap_fact *ap_facts_of(ap_facts *f, const ap_value *v);
// Facts of a tensor itself.
void ap_fact_of_tensor(const ap_tensor *t, ap_fact *out);
// Takes the user's word for a graph input ("images in 0..1"); recorded by the caller. Call before the first
// ap_facts_of. Error MODEL_MISSING.
AP_MUST ap_err ap_facts_assume(ap_facts *f, const char *input, double lo, double hi);
// Takes over what is certain about an input from a larger model it was cut out of. Call before the first
// ap_facts_of. Error MODEL_MISSING.
AP_MUST ap_err ap_facts_seed(ap_facts *f, const char *input, const ap_fact *fact);

// {lo, hi, integral, notnan, finite, nonzero, distinct, row_finite}: what says nothing beyond the element
// type is left out, so equal facts have equal JSON. A new reference.
json_t *ap_fact_json(const ap_fact *f, ap_dtype t);
// Reads it back; what is left out (or of another type) is as the element type says.
void ap_fact_from_json(const json_t *j, ap_dtype t, ap_fact *out);
// Nothing known but the element type.
ap_fact ap_fact_top(ap_dtype t);

// The constant behind a value: initializer (not an input's default) or output of a Constant node. False: no
// constant, or not of plain numbers. The view lives as long as the model.
bool ap_value_constant(ap_model *m, const ap_value *v, ap_tensor *out);

// Largest n such that all whole numbers up to n are exact: 2^11 f16, 2^8 bf16, 2^24 f32, 2^53 f64; for
// integer types their maximum.
double ap_exact_int(ap_dtype t);
double ap_dtype_lowest(ap_dtype t); // most negative finite value
double ap_dtype_highest(ap_dtype t);

#endif
