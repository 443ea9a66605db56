// SPDX-License-Identifier: Apache-2.0
// metrics: how far one tensor is from another. Always all of them: cosine alone passes broken models.
//
// Pairs where either side is NaN or Inf are left out of all sums and maxima (cosine, SQNR, max_*, rms,
// channels): judge nonfinite_mismatch beside them. SQNR of equal tensors is +inf; of a wrong tensor against
// an all-zero reference -inf.
#ifndef AP_TENSOR_METRICS_H
#define AP_TENSOR_METRICS_H

#include "base/json.h"
#include "tensor/tensor.h"

// Where the channels lie when nobody knows better: of [N, C, H, W], and of [N, C].
#define AP_CHANNEL_AXIS 1
// A channel of fewer elements says nothing statistical: with logits of shape 1xN every element would be a
// channel.
#define AP_CHANNEL_MIN_ELEMENTS 8
// What a silent channel may err: the absolute tolerance beside the relative one, as in numpy's allclose. A
// class score that is 1e-6 instead of 2e-6 is no defect. Scaled down for tensors whose largest element is
// below 1.
#define AP_CHANNEL_TOLERANCE 1e-3

typedef struct ap_metrics {
    size_t count;   // elements, finite or not
    double cosine;  // of the flattened tensors; 1 when both are all zero, 0 when one is
    double sqnr_db; // 10 log10(sum ref^2 / sum (ref-test)^2); +inf when equal
    double max_abs; // max |ref - test|
    double max_rel; // max |ref - test| / max(|ref|, 1e-3 * max |ref|); +inf on a zero reference
    double ref_max; // max |ref|, for scale
    double rms_error;
    size_t max_abs_index;     // flat index of the worst element
    double worst_channel_db;  // lowest 10 log10((sum ref^2 + n tolerance^2) / sum (ref-test)^2) over channels
    int64_t worst_channel;    // -1 when there are no channels (rank < 2, or too few elements each)
    size_t channel_axis;      // along which these channels lie
    size_t nan_ref, nan_test; // elements that are NaN
    size_t inf_ref, inf_test; // elements that are ±Inf
    size_t nonfinite_mismatch; // elements where one is NaN/Inf and the other is not the same NaN/Inf
    bool class_like;     // rank ≤ 2 float with ≥ 2 elements in the last axis: argmax and rank make sense
    double argmax_agree; // share of rows with the same argmax (ties: any of the tied counts); NaN when not
                         // class-like
    double top5_agree;   // share of rows with the same top-5 set, ties allowed; NaN when not class-like
    bool bit_equal;
} ap_metrics;

// `channel_axis`: along which the channels lie (graph/channel.h); AP_CHANNEL_AXIS when the tensors lack it.
// Error INPUT_SHAPE / INPUT_DTYPE when shapes or dtypes differ (a float pair of different widths is fine).
// Streams in blocks: no copy of the tensors, only two doubles per channel. Sums in double, blocks by
// Neumaier. 64-bit integers beyond 2^53 are compared as doubles (bit_equal is exact).
AP_MUST ap_err ap_metrics_compare(const ap_tensor *ref, const ap_tensor *test, size_t channel_axis,
                                  ap_metrics *out);
// The same for two entries of TENSOR lists, mapped as long as it takes. `want` may state its "channel_axis".
// Errors: as ap_npy_open's, too.
AP_MUST ap_err ap_metrics_entries(const json_t *want, const json_t *have, ap_metrics *out);
json_t *ap_metrics_json(const ap_metrics *m);
// Reads it back (for cached records); absent keys keep NaN / 0.
void ap_metrics_from_json(const json_t *j, ap_metrics *out);

#endif
