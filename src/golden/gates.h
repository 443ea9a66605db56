// SPDX-License-Identifier: Apache-2.0
// gates: metrics and thresholds become verdicts.
//
// Thresholds are data (data/gates.json, by precision); a user may set any of them, and the report shows that.
// A gate is {output, metric, value, op, threshold, verdict, user_set}; see docs/documents.md.
#ifndef AP_GOLDEN_GATES_H
#define AP_GOLDEN_GATES_H

#include "tensor/metrics.h"

typedef struct ap_gates {
    json_t *rules;  // metric → {op, threshold, user_set} for outputs
    json_t *always; // the same for facts about the whole artifact
} ap_gates;

// `user`: "METRIC=VALUE" texts. Errors: USAGE for an unknown metric (suggests the nearest) or a bad number.
AP_MUST ap_err ap_gates_init(const char *precision, const char *const *user, size_t user_count,
                             ap_gates *out);
void ap_gates_release(ap_gates *g);
// Appends the gates of one output to `list`; returns whether all passed.
bool ap_gates_output(const ap_gates *g, const char *output, const ap_metrics *m, json_t *list);
// The same for {output: metrics}, as ap_metrics_json writes them.
bool ap_gates_outputs(const ap_gates *g, const json_t *metrics, json_t *list);
// Appends one gate about the whole artifact ("runs_bit_equal", 1.0); returns whether it passed.
bool ap_gates_fact(const ap_gates *g, const char *metric, double value, json_t *list);
double ap_gates_threshold(const ap_gates *g, const char *metric); // NaN when there is none
// A GATE error that lists every failed gate of `list`; NULL when there is none.
ap_err ap_gates_error(const json_t *list);

#endif
