// SPDX-License-Identifier: Apache-2.0
// Any bytes are either refused or a model that can be checked, described, written and read again.
#include "graph/channel.h"
#include "graph/inspect.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What was accepted once must be accepted again, and written the same way.
static void read_again(const ap_buf *bytes) {
    ap_model *m = NULL;
    ap_err err = ap_model_parse(bytes->data, bytes->len, NULL, &m);
    if (err) abort();
    ap_buf twice = {0};
    m->edited = true;
    err = ap_model_bytes(m, &twice);
    if (err) abort();
    ap_buf_free(&twice);
    ap_model_free(m);
}

static void take_part(const ap_model *m) {
    const ap_graph *g = m->graph;
    if (!g->node_count || !g->nodes[g->node_count / 2]->output_count) return;
    const ap_node *n = g->nodes[g->node_count / 2];
    if (!n->outputs[0]) return;
    ap_model *part = NULL;
    ap_err_free(ap_model_extract(m, NULL, NULL, 0, &n->outputs[0]->name, 1, &part));
    ap_model_free(part);
}

static void edit(ap_model *m) {
    int64_t dims[AP_MAX_RANK];
    size_t rank;
    ap_dtype dtype;
    const char *symbols[AP_MAX_RANK];
    for (size_t i = 0; i < m->graph->input_count; i++) {
        if (!ap_value_shape(m->graph->inputs[i], &dtype, dims, &rank, symbols)) continue;
        for (size_t k = 0; k < rank; k++)
            if (dims[k] < 0) dims[k] = 2;
        ap_err_free(ap_model_set_input_shape(m, m->graph->inputs[i]->name, dims, rank));
    }
    if (m->graph->node_count && m->graph->nodes[0]->output_count && m->graph->nodes[0]->outputs[0])
        ap_err_free(ap_model_set_outputs(m, &m->graph->nodes[0]->outputs[0]->name, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ap_model *m = NULL;
    ap_err err = ap_model_parse(data, size, NULL, &m);
    if (err) {
        if (ap_code_exit(ap_err_code(err)) != AP_EXIT_MODEL) abort();
        ap_err_free(err);
        return 0;
    }
    json_t *j = NULL;
    ap_buf text = {0}, bytes = {0};
    char hex[65];
    if (ap_model_verify(m) || ap_model_stats(m, NULL, &j) || ap_model_digest(m, hex)) abort();
    ap_model_print(m, &text);
    json_decref(j);
    if (ap_model_diff(m, m, &j)) abort();
    if (!ap_json_bool(j, "equal", false)) abort();
    json_decref(j);
    for (size_t i = 0; i < m->graph->output_count; i++)
        if (ap_graph_channel_axis(m->graph->outputs[i], 3) > 2) abort();
    take_part(m);
    if (ap_model_bytes(m, &bytes)) abort();
    read_again(&bytes);
    ap_buf_clear(&bytes);
    edit(m);
    if (ap_model_verify(m)) abort();
    if (ap_model_bytes(m, &bytes)) abort();
    read_again(&bytes);
    ap_buf_free(&bytes);
    ap_buf_free(&text);
    ap_model_free(m);
    return 0;
}
