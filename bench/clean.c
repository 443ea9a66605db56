// SPDX-License-Identifier: Apache-2.0
// A long chain for freeze and clean: clean FILE [NODES] writes it. Every eighth node does nothing, shapes
// come from Shape chains, and pairs of Transposes and casts cancel out: all exact passes find work all along
// the model.
#include "graph/nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(ap_err err) {
    if (!err) return;
    (void)fprintf(stderr, "%s\n", ap_err_message(err));
    exit(1);
}

typedef struct chain {
    ap_model *m;
    ap_value *last;
    size_t nodes;
} chain;

static ap_value *add(chain *c, const char *op, ap_value *a, ap_value *b, Onnx__AttributeProto *attr) {
    char name[32];
    const char *out = name;
    ap_value *in[2] = {a, b};
    ap_node *node = NULL;
    (void)snprintf(name, sizeof name, "v%zu", c->nodes++);
    must(ap_graph_add_node(c->m->graph,
                           &(ap_node_spec){.op = op,
                                           .inputs = in,
                                           .input_count = b ? 2 : 1,
                                           .outputs = &out,
                                           .output_count = 1,
                                           .attrs = &attr,
                                           .attr_count = attr ? 1 : 0},
                           &node));
    return node->outputs[0];
}

static Onnx__AttributeProto *perm(chain *c) {
    return ap_attr_ints(&c->m->arena, "perm", (const int64_t[]){0, 2, 1}, 3);
}

// Sixteen nodes, seven of which matter.
static void link_in(chain *c) {
    ap_value *x = c->last, *s;
    x = add(c, "Relu", x, NULL, NULL);
    x = add(c, "Identity", x, NULL, NULL);
    x = add(c, "Transpose", x, NULL, perm(c));
    x = add(c, "Transpose", x, NULL, perm(c));
    x = add(c, "Neg", x, NULL, NULL);
    s = add(c, "Shape", x, NULL, NULL);
    x = add(c, "Reshape", x, s, NULL);
    x = add(c, "Sigmoid", x, NULL, NULL);
    x = add(c, "Transpose", x, NULL, perm(c));
    x = add(c, "Transpose", x, NULL, perm(c));
    x = add(c, "Add", x, c->last, NULL);
    x = add(c, "Tanh", x, NULL, NULL);
    s = add(c, "Shape", x, NULL, NULL);
    x = add(c, "Expand", x, s, NULL);
    x = add(c, "Identity", x, NULL, NULL);
    c->last = add(c, "Sqrt", add(c, "Abs", x, NULL, NULL), NULL, NULL);
}

int main(int argc, char **argv) {
    chain c = {0};
    size_t nodes = argc > 2 ? strtoul(argv[2], NULL, 10) : 50000;
    ap_value_type type = {.dtype = AP_F32, .rank = 3, .dims = {1, 8, 16}};
    if (argc < 2) return 2;
    must(ap_model_make(17, &c.m));
    must(ap_graph_add_input(c.m->graph, "x", &type, &c.last));
    while (c.nodes + 17 < nodes) link_in(&c);
    must(ap_graph_add_output(c.m->graph, c.last, &type));
    must(ap_model_save(c.m, argv[1], NULL));
    printf("%zu nodes\n", c.nodes);
    ap_model_free(c.m);
    return 0;
}
