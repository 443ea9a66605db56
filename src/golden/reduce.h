// SPDX-License-Identifier: Apache-2.0
// reduce: shrinks a failing graph to a minimal one that still fails.
//
// It knows graphs and a question; it never runs anything itself. The question ("does this piece, fed with
// golden values, still fail?") is asked of a worker by the caller. Pieces are cut by tensor names out of the
// original model, so no patched file is ever an input to the next step.
#ifndef AP_GOLDEN_REDUCE_H
#define AP_GOLDEN_REDUCE_H

#include "graph/model.h"

// A piece: everything between `inputs` and `outputs` of the model. Names belong to the model.
typedef struct ap_piece {
    const char **inputs, **outputs;
    size_t input_count, output_count;
    size_t node_count;
} ap_piece;
void ap_piece_free(ap_piece *p);

typedef struct ap_reduce_question {
    // *fails = whether the piece still shows the failure. An error of the answerer counts as "does not fail
    // the same way" and is dropped, except CANCELLED.
    ap_err (*fails)(void *user, const ap_piece *p, bool *fails);
    void *user;
    size_t max_tries; // 0: 40
} ap_reduce_question;

// Smallest piece found that ends in `tensor`: first the producing node alone, then its neighbourhood grown
// backwards by doubling until it fails, then node by node cut away again (the delta-debugging idea of Zeller
// & Hildebrandt 2002 on a graph's back-slice). Error INTERNAL when not even the whole back-slice fails.
AP_MUST ap_err ap_reduce(const ap_model *m, const char *tensor, const ap_reduce_question *q, ap_piece *out,
                         size_t *tries);

#endif
