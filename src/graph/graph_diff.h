// SPDX-License-Identifier: Apache-2.0
// graph_diff: two models line by line, nodes of both in graph order, what belongs together side by side.
#ifndef AP_GRAPH_GRAPH_DIFF_H
#define AP_GRAPH_GRAPH_DIFF_H

#include "graph/inspect.h"

// What ap_model_diff says, and {nodes: [a, b], rows: [{mark: "=" | "-" | "+" | "~", a, b, name}]}: a and b
// are texts or null.
AP_MUST ap_err ap_graph_diff(ap_model *a, ap_model *b, json_t **out);

#endif
