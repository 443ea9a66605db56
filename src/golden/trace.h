// SPDX-License-Identifier: Apache-2.0
// trace: every tensor along the graph, golden against target; and from it the first one that diverges.
#ifndef AP_GOLDEN_TRACE_H
#define AP_GOLDEN_TRACE_H

#include "graph/model.h"
#include "tensor/metrics.h"

// Whole numbers are not rounded: an error is one even where floats may be that far off.
#define AP_TRACE_WHOLE_DB 30.0

// Names of the values worth comparing, in topological order: made by a node, dependent on an input's data
// (not only on its shape), and wanted by a later node or as an output. `extra_outputs_only` leaves graph
// outputs out. The list is malloc'ed, the strings belong to the model.
void ap_trace_candidates(const ap_model *m, const char ***names, size_t *count);

// Compares two TENSOR lists by name in the order of `golden`, numbers of the same type only: [{index, tensor,
// node, op, whole, sqnr_db, cosine, max_abs, ref_max}].
AP_MUST ap_err ap_trace_compare(const ap_model *m, const json_t *golden, const json_t *target, json_t **out);

// The entry whose SQNR first falls below `floor_db` (30 dB, if that is more, for whole numbers) and stays the
// cause: the first bad one in topological order whose producing node has no bad input. Borrowed; NULL when
// none is bad.
const json_t *ap_trace_first_bad(const ap_model *m, const json_t *trace, double floor_db);

#endif
