// SPDX-License-Identifier: Apache-2.0
// picks: outputs whose rows were picked by a TopK.
//
// A TopK over elements that lie closer together than the target's arithmetic resolves may pick others, or the
// same in another order, and be as right: a detector's 300 boxes hold a dozen objects and 288 scores of
// noise. What follows are then other rows, not wrong numbers, and no metric over elements can tell. So the
// original is computed once more with the target's picks in place of its own. What comes out is compared
// element by element as ever; the picks are judged by their values: what the original thinks of the elements
// the target picked, against the best it knows.
//
// What it never does: run anything, set a threshold.
#ifndef AP_GOLDEN_PICKS_H
#define AP_GOLDEN_PICKS_H

#include "base/json.h"
#include "graph/model.h"
#include "tensor/tensor.h"

// Names of the index outputs of every TopK of the main graph that picks by data and whose indices something
// uses, in order. The list is malloc'ed, the strings belong to the model.
void ap_picks_find(const ap_model *m, const char ***names, size_t *count);

// Makes `m` compute what follows from given picks. For each of `names` the graph gets an input (its type is
// that of `tensors`, a TENSOR list of the same order), and two more outputs: the best values and the values
// picked. What they are called comes back as [{indices, input, best, picked, data, axis}]; `data` is what is
// picked from. Errors: MODEL_MISSING, MODEL_INVALID.
AP_MUST ap_err ap_picks_give(ap_model *m, const char *const *names, const json_t *tensors, size_t count,
                             json_t **out);

// Are these indices of elements of an axis of `size`, no element twice? `axis` is of `t`. False for other
// types than int64 and int32.
bool ap_picks_valid(const ap_tensor *t, size_t axis, int64_t size);

#endif
