// SPDX-License-Identifier: Apache-2.0
// oracle: whoever computes small models as they are meant to be computed. In a worker: oracle_worker.h; a
// program of the user's: oracle_command.h.
#ifndef AP_SURGERY_ORACLE_H
#define AP_SURGERY_ORACLE_H

#include "engine/engine.h"
#include "graph/model.h"

// Computes all outputs of `piece`, in order, into allocated tensors. Inputs are borrowed. May be slow: it is
// asked only after everything cheaper said yes.
typedef struct ap_piece_oracle {
    ap_err (*run)(void *user, ap_model *piece, const ap_named_tensor *in, size_t in_count, ap_tensor *out,
                  size_t out_count);
    void *user;
} ap_piece_oracle;

#endif
