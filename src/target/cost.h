// SPDX-License-Identifier: Apache-2.0
// cost: a latency ESTIMATE for an HTP graph, by roofline, from the QNN graph as the provider composed it.
//
// The emulator's cycle counts are host time, so nothing measured here can say how fast a device is. What is
// known is the graph: multiply-accumulates, weight bytes and activation bytes of every layer. The model
// (Williams, Waterman & Patterson 2009, "Roofline") takes per layer
//   ms = max(MACs / matrix rate, DRAM bytes / DRAM bandwidth, touched bytes / vector rate) + overhead
// with the rates of the SoC table and the figures of data/cost.json, which were fitted to published latencies
// (docs/cost.md). Every figure that is assumed or fitted is listed.
#ifndef AP_TARGET_COST_H
#define AP_TARGET_COST_H

#include "base/json.h"
#include "target/soc.h"

// Reads the files of role "qnn graph" in `dir` and makes the `cost` object of docs/documents.md. JSON null
// when the SoC table has no figures. Dumps are vendor output: bounded, checked. Error VENDOR when one cannot
// be understood.
AP_MUST ap_err ap_cost_from_dumps(const char *dir, const json_t *files, const ap_soc *soc, json_t **out);
// The same for one parsed dump; appends to `layers`. The tests' door.
AP_MUST ap_err ap_cost_layers(const json_t *dump, const ap_soc *soc, json_t *layers);

#endif
