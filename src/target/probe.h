// SPDX-License-Identifier: Apache-2.0
// probe: the worker's side of probing: one graph of independent pieces is opened, placed and run.
//
// A name's part before its first '/' says whose piece it is. The CPU is allowed as a fallback, so that one
// refused piece does not cost the others their answer; which nodes fell back is told by the placement, why
// by the provider's log. Pieces with a node that fell back are not run.
#ifndef AP_TARGET_PROBE_H
#define AP_TARGET_PROBE_H

#include "target/target.h"

typedef struct ap_probe_backend {
    const char *ep; // registered plugin name; NULL: the CPU provider alone
    const ap_option *options;
    size_t option_count;
} ap_probe_backend;

// The `probe` request (target.h). Trouble that the pieces cause travels inside the result.
AP_MUST ap_err ap_engine_serve_probe(ap_engine *e, const ap_probe_backend *b, const json_t *args,
                                     json_t **result);
// Opens a session of one Relu and hands it over. While it lives, later sessions of the same provider are four
// times as cheap, because the backend stays set up.
AP_MUST ap_err ap_probe_keep_warm(ap_engine *e, const ap_probe_backend *b, ap_session **out);

#endif
