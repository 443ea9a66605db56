// SPDX-License-Identifier: Apache-2.0
// state: does a model carry a recurrent state from one call to the next? Errors of such a model add up over
// calls, which no gate on single calls sees.
#ifndef AP_SURGERY_STATE_H
#define AP_SURGERY_STATE_H

#include "graph/model.h"

// The first LSTM, GRU or RNN whose initial state comes from an input of the graph and whose final state
// leaves it, both only moved around on the way (streaming speech models); NULL when there is none.
const ap_node *ap_state_carrier(const ap_graph *g);

#endif
