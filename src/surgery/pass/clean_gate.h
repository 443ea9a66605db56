// SPDX-License-Identifier: Apache-2.0
// clean_gate: outputs of a model on every input set, and the verdict about a pass.
#ifndef AP_SURGERY_CLEAN_GATE_H
#define AP_SURGERY_CLEAN_GATE_H

#include "base/hash.h"
#include "surgery/pass/pass.h"

typedef struct ap_outputs {
    ap_tensor *list; // [set][output]; dtype NONE: not a tensor, or not asked for by the oracle
    size_t sets, per_set;
} ap_outputs;
AP_MUST ap_err ap_outputs_run(const ap_surgery_oracle *o, ap_model *m, ap_outputs *out);
void ap_outputs_free(ap_outputs *o);

// *gate: {sets, outputs, unjudged, bit_equal, sqnr_db, max_abs, threshold_db}. Numbers are the worst of all;
// outputs that are no plain numbers are counted as unjudged.
AP_MUST ap_err ap_outputs_judge(const ap_outputs *want, const ap_outputs *have, ap_exactness e, json_t **gate,
                                bool *passed);
// The same for an approximation: at least `db` on every float output, others to the bit.
AP_MUST ap_err ap_outputs_judge_db(const ap_outputs *want, const ap_outputs *have, double db, json_t **gate,
                                   bool *passed);

// SHA-256 over the messages of the main graph's inputs and outputs: names, order, types.
ap_digest ap_interface_digest(const ap_model *m);

#endif
