// SPDX-License-Identifier: Apache-2.0
// channel: along which axis of a tensor its channels lie, as the graph that makes it shows.
//
// A convolution writes channels along axis 1, a product with a matrix of weights or a normalisation of the
// last axis along the last one. Elementwise operators hand that on, a Transpose moves it.
//
// What it never does: guess. Where the graph shows nothing, or a Softmax made one answer of every row, the
// caller hears so.
#ifndef AP_GRAPH_CHANNEL_H
#define AP_GRAPH_CHANNEL_H

#include "graph/model.h"

// The axis, from 0, of a value that has `rank` dims; -1 when the graph does not show it.
int ap_graph_channel_axis(const ap_value *v, size_t rank);
// Sets "channel_axis" of every entry of a TENSOR list whose value shows it.
void ap_graph_channel_axes(const ap_graph *g, json_t *tensors);

#endif
