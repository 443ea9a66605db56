// SPDX-License-Identifier: Apache-2.0
// contract: what goes in and out of a model: names, order, dtypes, shapes, and where the example inputs came
// from.
//
// It resolves shapes and inputs at the start, writes them down, and checks every later stage against them.
// The JSON form is the `contract` of docs/documents.md.
#ifndef AP_GOLDEN_CONTRACT_H
#define AP_GOLDEN_CONTRACT_H

#include "base/json.h"
#include "graph/model.h"
#include "tensor/image.h"

// What the user said. Texts as on the command line; all borrowed.
typedef struct ap_input_request {
    const char *const *shapes; // "INPUT=1,3,320,320" or "SYMBOL=1"
    size_t shape_count;
    const char *const *inputs; // "INPUT=FILE"
    size_t input_count;
    const char *const *recipes; // "INPUT=layout=…,…"
    size_t recipe_count;
    uint64_t seed;
} ap_input_request;

// Applies --shape arguments alone; dims may stay open.
AP_MUST ap_err ap_contract_apply_shapes(ap_model *m, const char *const *shapes, size_t count);
// Gives every symbolic dim of the inputs a size, from --shape or from the shape of an .npy/.pb input, and
// applies it to the model. *shapes becomes {"input": [dims]} for every input (the SPEC's `shapes`). Errors:
// SHAPE_UNKNOWN (names each dim and the flag to add), INPUT_NAME (with the nearest name), INPUT_SHAPE, USAGE.
AP_MUST ap_err ap_contract_shapes(ap_model *m, const ap_input_request *r, json_t **shapes);

// Makes the input tensors in `dir` (0.npy, 1.npy …, in input order) and the contract's `inputs`. Inputs
// without a file are seeded random, and a warning says so. Errors: INPUT_*. `tensors` gets the worker's
// TENSOR list.
AP_MUST ap_err ap_contract_inputs(ap_model *m, const ap_input_request *r, const char *dir, json_t **inputs,
                                  json_t **tensors, json_t *warnings);

// One input to be made.
typedef struct ap_input_job {
    const char *name;
    ap_dtype dtype;
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    const char *file, *recipe; // NULL when not given
    uint64_t seed;
    const char *npy_path; // where it goes
} ap_input_job;
// Makes it, appends to the contract's `inputs` and to the TENSOR list. ap_contract_inputs does this for a
// whole model.
AP_MUST ap_err ap_contract_input(const ap_input_job *j, json_t *inputs, json_t *tensors, json_t *warnings);

// Checks a list of {name, dtype, dims} (a session's io or a context binary's) against the contract's: names,
// order, dtype, dims (-1 on either side is open). `where` says whose it is. Error CONTRACT naming the first
// difference. With `any_order` the lists are matched by name.
AP_MUST ap_err ap_contract_check(const json_t *want, const json_t *have, const char *what, const char *where,
                                 bool any_order);

#endif
