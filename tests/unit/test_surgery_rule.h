// SPDX-License-Identifier: Apache-2.0
// What the tests of the rule language share: rules from text, small models, a scripted oracle.
#ifndef AP_TEST_SURGERY_RULE_H
#define AP_TEST_SURGERY_RULE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "graph/nodes.h"
#include "surgery/apply/apply.h"
#include "surgery/rule/lint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline void must(ap_err err) {
    if (err) fail_msg("unexpected error %s: %s", ap_code_name(ap_err_code(err)), ap_err_message(err));
}

#define must_fail(err, want, part) must_fail_(err, want, part, __FILE__, __LINE__)
static inline void must_fail_(ap_err err, ap_code code, const char *part, const char *file, int line) {
    if (ap_err_code(err) != code || !strstr(ap_err_message(err), part)) {
        print_error("%s:%d: wanted %s with \"%s\", got %s: %s\n", file, line, ap_code_name(code), part,
                    ap_code_name(ap_err_code(err)), ap_err_message(err));
        ap_err_free(err);
        fail();
    }
    ap_err_free(err);
}

// A library of these rules, which must be faultless.
static inline ap_rules *rules_of(const char *text) {
    ap_rules *r = ap_rules_new();
    ap_rule_problems p = {0};
    must(ap_rules_parse(r, "test.rule", text, strlen(text), &p));
    ap_buf b = {0};
    ap_rule_problems_print(&p, &b);
    if (p.count) fail_msg("%s", ap_buf_str(&b));
    ap_buf_free(&b);
    ap_rule_problems_free(&p);
    ap_rules_finish(r);
    return r;
}

// A model under construction; `in` is given input by input.
typedef struct maker {
    ap_model *m;
    int made;
} maker;

static inline maker make_model(int64_t opset) {
    maker k = {0};
    must(ap_model_make(opset, &k.m));
    return k;
}

static inline ap_value_type type_of(ap_dtype t, const char *shape) {
    ap_value_type type = {.dtype = t};
    must(ap_shape_parse(shape, type.dims, &type.rank));
    return type;
}

static inline ap_value *input(maker *k, const char *name, ap_dtype t, const char *shape) {
    ap_value_type type = type_of(t, shape);
    ap_value *v = NULL;
    must(ap_graph_add_input(k->m->graph, name, &type, &v));
    return v;
}

static inline ap_value *constant(maker *k, ap_dtype t, const char *shape, const double *data) {
    ap_value_type type = type_of(t, shape);
    ap_tensor from, to = {0};
    ap_value *v = NULL;
    size_t count;
    must(ap_shape_count(type.dims, type.rank, &count));
    must(ap_tensor_view(AP_F64, type.dims, type.rank, (void *)(uintptr_t)data, count * sizeof *data, &from));
    must(ap_tensor_cast(&from, t, &to));
    must(ap_graph_add_initializer(k->m->graph, "c", &to, &v));
    ap_tensor_free(&to);
    return v;
}
#define CONST(k, t, shape, ...) constant(k, t, shape, (const double[]){__VA_ARGS__})

// One node with one output, declared with this type.
static inline ap_value *op_n(maker *k, const char *op, ap_dtype t, const char *shape, ap_value **in, size_t n,
                             Onnx__AttributeProto **attrs, size_t attr_count) {
    char name[32];
    const char *out = name;
    ap_node *node = NULL;
    snprintf(name, sizeof name, "v%d", k->made++);
    must(ap_graph_add_node(k->m->graph,
                           &(ap_node_spec){.op = op,
                                           .inputs = in,
                                           .input_count = n,
                                           .outputs = &out,
                                           .output_count = 1,
                                           .attrs = attrs,
                                           .attr_count = attr_count},
                           &node));
    ap_value_type type = type_of(t, shape);
    ap_value_declare(k->m->graph, node->outputs[0], &type);
    return node->outputs[0];
}
#define OP(k, op, t, shape, ...)                                                                             \
    op_n(k, op, t, shape, (ap_value *[]){__VA_ARGS__}, sizeof((ap_value *[]){__VA_ARGS__}) / sizeof(void *), \
         NULL, 0)
#define OPA(k, op, t, shape, at, ...)                                                                        \
    op_n(k, op, t, shape, (ap_value *[]){__VA_ARGS__}, sizeof((ap_value *[]){__VA_ARGS__}) / sizeof(void *), \
         (Onnx__AttributeProto *[]){at}, 1)
#define INT(k, name, v) ap_attr_int(&(k)->m->arena, name, v)

static inline void output(maker *k, ap_value *v, ap_dtype t, const char *shape) {
    ap_value_type type = type_of(t, shape);
    must(ap_graph_add_output(k->m->graph, v, &type));
}

static inline ap_match_env env_of(const maker *k, const ap_rules *r) {
    return (ap_match_env){.model = k->m, .rules = r};
}

// Matches the first rule of the library at the node that makes `v`.
static inline ap_match *match_at(const ap_match_env *env, const ap_value *v, ap_match_miss *miss) {
    ap_match *m = NULL;
    must(ap_rule_match(env->rules->list[0], env, v->producer, &m, miss));
    return m;
}

static inline bool fits(const ap_match_env *env, const ap_value *v) {
    ap_match *m = match_at(env, v, NULL);
    ap_match_free(m);
    return m != NULL;
}

static inline size_t count_op(const maker *k, const char *op) {
    size_t n = 0;
    for (size_t i = 0; i < k->m->graph->node_count; i++) n += !strcmp(k->m->graph->nodes[i]->op, op);
    return n;
}

static inline void done(maker *k, ap_rules *r) {
    ap_model_free(k->m);
    ap_rules_free(r);
}

// For hosts of whole models: no type of any value is measured.
static inline bool no_type(void *user, const ap_value *v, ap_value_type *out) {
    (void)user;
    (void)v;
    (void)out;
    return false;
}
static inline ap_err no_types(void *user, ap_model *m, ap_type_source *out) {
    (void)user;
    (void)m;
    *out = (ap_type_source){no_type, NULL};
    return NULL;
}

#endif
