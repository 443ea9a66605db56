// SPDX-License-Identifier: Apache-2.0
// metrics_rank: inside of the tensor room: do two tensors of scores name the same winners?
#ifndef AP_TENSOR_METRICS_RANK_H
#define AP_TENSOR_METRICS_RANK_H

#include "tensor/metrics.h"

// Sets class_like, argmax_agree and top5_agree of a checked pair.
void ap_metrics_rank(const ap_tensor *ref, const ap_tensor *test, ap_metrics *m);

#endif
