// SPDX-License-Identifier: Apache-2.0
// How long the whole rule library takes on a graph of 10,000 nodes: matcher [NODES] [RUNS]
// The graph is made of the operators real models are made of, all shapes declared, so that conditions are
// evaluated and not given up. No oracle: rules that need one stop there, as they do until everything cheaper
// said yes.
#include "graph/nodes.h"
#include "surgery/match/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void must(ap_err err) {
    if (!err) return;
    (void)fprintf(stderr, "%s\n", ap_err_message(err));
    exit(1);
}

static const char *const unary[] = {"Relu", "Sigmoid",  "Tanh", "Floor",   "Ceil",   "Round", "Erf",
                                    "Sign", "Softsign", "Celu", "Hardmax", "Shrink", "Neg",   "Identity"};
static const char *const binary[] = {"Add", "Mul", "Sub", "Div", "Mod", "Pow", "Max", "Min"};

static ap_value *add(ap_model *m, const char *op, ap_value **in, size_t n, size_t at) {
    char name[32];
    const char *out = name;
    ap_node *node = NULL;
    ap_value_type type = {.dtype = AP_F32, .rank = 4, .dims = {1, 8, 16, 16}};
    (void)snprintf(name, sizeof name, "v%zu", at);
    Onnx__AttributeProto *attrs[1] = {strcmp(op, "Mod") == 0 ? ap_attr_int(&m->arena, "fmod", 1) : NULL};
    must(ap_graph_add_node(m->graph,
                           &(ap_node_spec){.op = op,
                                           .inputs = in,
                                           .input_count = n,
                                           .outputs = &out,
                                           .output_count = 1,
                                           .attrs = attrs,
                                           .attr_count = 1},
                           &node));
    ap_value_declare(m->graph, node->outputs[0], &type);
    return node->outputs[0];
}

static ap_model *make(size_t nodes) {
    ap_model *m = NULL;
    ap_value_type type = {.dtype = AP_F32, .rank = 4, .dims = {1, 8, 16, 16}};
    ap_value *last[8];
    must(ap_model_make(17, &m));
    must(ap_graph_add_input(m->graph, "x", &type, &last[0]));
    for (size_t i = 1; i < 8; i++) last[i] = last[0];
    for (size_t i = 0; i < nodes; i++) {
        ap_value *in[2] = {last[i % 8], last[(i * 5 + 3) % 8]};
        last[(i * 3 + 1) % 8] = i % 2 ? add(m, binary[i / 2 % (sizeof binary / sizeof *binary)], in, 2, i)
                                      : add(m, unary[i / 2 % (sizeof unary / sizeof *unary)], in, 1, i);
    }
    for (size_t i = 0; i < 8; i++)
        if (!last[i]->is_output && last[i]->producer) must(ap_graph_add_output(m->graph, last[i], &type));
    return m;
}

static ap_err count(void *user, ap_match *m) {
    ++*(size_t *)user;
    ap_match_free(m);
    return NULL;
}

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    size_t nodes = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000,
           runs = argc > 2 ? strtoul(argv[2], NULL, 10) : 5;
    ap_rules *rules = ap_rules_new();
    ap_rule_problems problems = {0};
    ap_model *m = make(nodes);
    double best = 1e9;
    size_t matches = 0;
    must(ap_rules_load_builtin(rules, &problems));
    ap_rules_finish(rules);
    for (size_t r = 0; r < runs; r++) {
        ap_match_env env = {.model = m, .rules = rules, .compute = AP_F16};
        double start = now();
        matches = 0;
        must(ap_facts_new(m, NULL, AP_F16, &env.facts));
        must(ap_rules_scan(&env, count, &matches));
        ap_facts_free(env.facts);
        if (now() - start < best) best = now() - start;
    }
    printf("%zu nodes x %zu rules: %zu matches, %.3f s (best of %zu, facts included)\n", m->graph->node_count,
           rules->count, matches, best, runs);
    ap_model_free(m);
    ap_rules_free(rules);
    ap_rule_problems_free(&problems);
    return 0;
}
