// SPDX-License-Identifier: Apache-2.0
// pick: the deployment of an index that fits a run's files.
#ifndef AP_PLAN_PICK_H
#define AP_PLAN_PICK_H

#include "plan/work/context.h"
#include "tensor/tensor.h"

// May this file be a tensor of that type? Open dims (-1) fit any size; a picture fits, it is resized. Error:
// it cannot be read.
AP_MUST ap_err ap_pick_file_fits(const char *file, ap_dtype dtype, const int64_t *dims, size_t rank,
                                 bool *fits);

// *out: `dir` itself when it holds no index; else the folder below of the first deployment that passed, has
// the target (NULL: any) and takes these "NAME=FILE" inputs (none: its golden sample). Lives in `a`. Error
// INPUT_SHAPE lists what there is.
AP_MUST ap_err ap_pick(aipc_context *c, const char *dir, const char *target, const char *const *inputs,
                       size_t count, ap_arena *a, const char **out);

#endif
