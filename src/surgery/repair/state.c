// SPDX-License-Identifier: Apache-2.0
#include "surgery/repair/state.h"

#define MAX_STEPS 16 // from the cell to the border of the graph; real ones take four

static bool is_one_of(const ap_node *n, const char *const *ops) {
    for (; *ops; ops++)
        if (ap_node_is(n, *ops)) return true;
    return false;
}

static bool only_moves(const ap_node *n) {
    static const char *const ops[] = {"Gather",   "Slice", "Split",     "Squeeze", "Unsqueeze", "Reshape",
                                      "Identity", "Cast",  "Transpose", "Concat",  NULL};
    return is_one_of(n, ops);
}

static bool comes_in(const ap_value *v) {
    for (size_t i = 0; v && i < MAX_STEPS; i++) {
        if (v->kind == AP_VALUE_INPUT) return true;
        if (v->kind != AP_VALUE_NODE || !only_moves(v->producer) || !v->producer->input_count) return false;
        v = v->producer->inputs[0];
    }
    return false;
}

static bool goes_out(const ap_value *v, size_t steps) {
    if (!v || !steps) return false;
    if (v->is_output) return true;
    for (size_t i = 0; i < v->use_count; i++) {
        const ap_node *n = v->uses[i].node;
        for (size_t k = 0; only_moves(n) && k < n->output_count; k++)
            if (goes_out(n->outputs[k], steps - 1)) return true;
    }
    return false;
}

static const ap_value *at(ap_value *const *list, size_t count, size_t i) {
    return i < count ? list[i] : NULL;
}

const ap_node *ap_state_carrier(const ap_graph *g) {
    static const char *const cells[] = {"LSTM", "GRU", "RNN", NULL};
    for (size_t i = 0; i < g->node_count; i++) {
        const ap_node *n = g->nodes[i];
        // Operand 5 is the state, 6 an LSTM's cell; results 1 and 2 are what they have become.
        for (size_t k = 0; is_one_of(n, cells) && k < 2; k++)
            if (comes_in(at(n->inputs, n->input_count, 5 + k)) &&
                goes_out(at(n->outputs, n->output_count, 1 + k), MAX_STEPS))
                return n;
    }
    return NULL;
}
