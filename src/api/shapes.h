// SPDX-License-Identifier: Apache-2.0
// shapes: the exact shape of every tensor of a model, by running it once on the CPU with seeded random
// inputs.
#ifndef AP_API_SHAPES_H
#define AP_API_SHAPES_H

#include "graph/inspect.h"
#include "plan/work/context.h"

typedef struct ap_measured_shapes {
    json_t *tensors; // TENSOR list without files
    ap_map by_name;  // → json_t *
} ap_measured_shapes;

// `m` has all its input shapes set and stands in `path`; `shapes` is what was set, as in a SPEC. Errors:
// RUNTIME_MISSING and what the run says.
AP_MUST ap_err ap_measure_shapes(aipc_context *c, ap_model *m, const char *path, const json_t *shapes,
                                 ap_measured_shapes *out);
ap_shape_source ap_measured_shape_source(const ap_measured_shapes *s);
void ap_measured_shapes_release(ap_measured_shapes *s);

#endif
