// SPDX-License-Identifier: Apache-2.0
// trace and reduce: which tensors are compared, which one is blamed, and the smallest piece that still fails.
#include "test_graph_build.h"

#include "golden/reduce.h"
#include "golden/trace.h"
#include "tensor/npy.h"

#include <math.h>

// ---- candidates

static void assert_candidates(const ap_model *m, const char *want) {
    const char **names = NULL;
    size_t count = 0;
    ap_buf text = {0};
    ap_trace_candidates(m, &names, &count);
    for (size_t i = 0; i < count; i++) ap_buf_printf(&text, "%s%s", i ? " " : "", names[i]);
    assert_string_equal(ap_buf_str(&text), want);
    ap_buf_free(&text);
    free(names);
}

static void shape_chains_are_left_out(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "2,8");
    output(b, "y", "16");
    weight(b, "minus", AP_I64, "1", 8);
    node(b, "r", "Relu", "x", "r");
    node(b, "shape", "Shape", "r", "s"); // from here on: sizes, not data
    node(b, "mul", "Mul", "s,minus", "s2");
    node(b, "cat", "Concat", "minus,s2", "target");
    node(b, "re", "Reshape", "r,target", "flat"); // data again
    node(b, "unused", "Neg", "flat", "nobody");
    node(b, "exp", "Exp", "flat", "y");
    ap_model *m = accepted(b);
    assert_candidates(m, "r flat y");
    ap_model_free(m);
}

static void bodies_carry_data(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "2,8");
    input(b, "c", "");
    b->graph->input[1]->type = tensor_type(b, AP_BOOL, "");
    output(b, "y", "2,8");
    weight(b, "one", AP_F32, "1", 4);
    Onnx__GraphProto *bodies[2];
    for (int i = 0; i < 2; i++) {
        bodies[i] = new_graph(b, i ? "else" : "then");
        add_node(b, bodies[i], i ? "e" : "t", i ? "Neg" : "Abs", "r", i ? "eo" : "to"); // captures r
        PUSH(b, bodies[i], output, info(b, i ? "eo" : "to", "2,8"));
    }
    node(b, "relu", "Relu", "x", "r");
    node(b, "constant", "Neg", "one", "k"); // of weights alone
    Onnx__NodeProto *n = node(b, "if", "If", "c", "i");
    attr_graph(b, n, "then_branch", bodies[0]);
    attr_graph(b, n, "else_branch", bodies[1]);
    node(b, "add", "Add", "i,k", "y");
    ap_model *m = accepted(b);
    // r is read by the bodies only: still a candidate.
    assert_candidates(m, "r i y");
    ap_model_free(m);
}

// ---- who is to blame

static json_t *entry(const char *tensor, double db) {
    return json_pack("{ss,so}", "tensor", tensor, "sqnr_db", ap_json_real(db));
}

static void blame(const ap_model *m, json_t *trace, const char *want) {
    const json_t *found = ap_trace_first_bad(m, trace, 20);
    if (want) {
        assert_non_null(found);
        assert_string_equal(ap_json_str(found, "tensor", ""), want);
    } else {
        assert_null(found);
    }
    json_decref(trace);
}

// x → a → b → d, x → c → d
static ap_model *diamond(bench *b) {
    fresh(b);
    input(b, "x", "4");
    output(b, "d", "4");
    node(b, "na", "Relu", "x", "a");
    node(b, "nb", "Exp", "a", "b");
    node(b, "nc", "Neg", "x", "c");
    node(b, "nd", "Add", "b,c", "d");
    return accepted(b);
}

static void first_bad(void **state) {
    ap_model *m = diamond(*state);
    double bad = 3, good = 50, nan = (double)NAN;
    blame(m, json_array(), NULL);
    blame(m, json_pack("[o,o,o,o]", entry("a", good), entry("b", good), entry("c", good), entry("d", good)),
          NULL);
    blame(m, json_pack("[o,o,o,o]", entry("a", good), entry("b", bad), entry("c", good), entry("d", bad)),
          "b");
    // d stands first in the list, but it inherits from b.
    blame(m, json_pack("[o,o,o]", entry("b", bad), entry("d", bad), entry("c", good)), "b");
    blame(m, json_pack("[o,o]", entry("c", nan), entry("d", bad)), "c");
    blame(m, json_pack("[o,o,o]", entry("a", good), entry("b", good), entry("d", bad)), "d");
    json_t *counts = entry("b", 25.0); // of whole numbers more is expected
    json_object_set_new(counts, "whole", json_true());
    blame(m, json_pack("[o,o]", counts, entry("d", 25.0)), "b");
    // Exactly the floor is good.
    blame(m, json_pack("[o]", entry("d", 20.0)), NULL);
    blame(m, json_pack("[o]", entry("no such tensor", bad)), "no such tensor");
    ap_model_free(m);
}

static void comparison(void **state) {
    bench *b = *state;
    ap_model *m = diamond(b);
    float values[2][4] = {{1, 2, 3, 4}, {1, 2, 3, 5}};
    int64_t counts[2][2] = {{70000, 3}, {70000, 4}};
    const char *files[4] = {at(b, "g.npy"), at(b, "t.npy"), at(b, "gi.npy"), at(b, "ti.npy")};
    for (int i = 0; i < 2; i++) {
        ap_tensor t = {0};
        must(ap_tensor_view(AP_F32, (const int64_t[]){4}, 1, values[i], 16, &t));
        must(ap_npy_write(files[i], &t));
        must(ap_tensor_view(AP_I64, (const int64_t[]){2}, 1, counts[i], 16, &t));
        must(ap_npy_write(files[2 + i], &t));
    }
#define REF(name, type, file) "{\"name\":\"" name "\",\"dtype\":\"" type "\",\"file\":\"%s\"}"
    char *text[2];
    text[0] = ap_arena_printf(&b->arena,
                              "[" REF("a", "float32", "") "," REF("b", "bool", "") "," REF(
                                  "c", "int64", "") "," REF("d", "float32", "") "]",
                              files[0], files[0], files[2], files[0]);
    text[1] = ap_arena_printf(&b->arena,
                              "[" REF("d", "float32", "") "," REF("b", "bool", "") "," REF(
                                  "c", "int64", "") "," REF("z", "float32", "") "]",
                              files[1], files[1], files[3], files[1]);
    json_t *golden = NULL, *target = NULL, *trace = NULL;
    must(ap_json_parse(text[0], strlen(text[0]), "golden", AP_ERR_INTERNAL, &golden));
    must(ap_json_parse(text[1], strlen(text[1]), "target", AP_ERR_INTERNAL, &target));
    must(ap_trace_compare(m, golden, target, &trace));
    // a has no partner, b holds truth values, z is in no graph.
    assert_int_equal(json_array_size(trace), 2);
    const json_t *c = json_array_get(trace, 0), *d = json_array_get(trace, 1);
    assert_string_equal(ap_json_str(c, "tensor", ""), "c");
    assert_true(ap_json_num(c, "max_abs", 0) == 1);
    assert_true(ap_json_bool(c, "whole", false));
    assert_false(ap_json_bool(d, "whole", true));
    assert_string_equal(ap_json_str(d, "tensor", ""), "d");
    assert_string_equal(ap_json_str(d, "node", ""), "nd");
    assert_string_equal(ap_json_str(d, "op", ""), "Add");
    assert_true(fabs(ap_json_num(d, "sqnr_db", 0) - 10 * log10(30.0)) < 1e-9);
    assert_true(ap_json_num(d, "max_abs", 0) == 1);
    json_decref(golden);
    json_decref(target);
    json_decref(trace);
    ap_model_free(m);
}

// ---- the reducer

// Fails when the piece holds all guilty nodes, with `needs` of them reachable upwards of the tensor.
typedef struct culprits {
    const ap_model *m;
    bool guilty[MOST];
    size_t asked, errors_at, wanted_cancel;
} culprits;

// Nodes of a piece: from its outputs back to its inputs.
static void mark(const ap_value *v, const ap_piece *p, bool *in) {
    for (size_t i = 0; i < p->input_count; i++)
        if (strcmp(p->inputs[i], v->name) == 0) return;
    const ap_node *n = v->producer;
    if (!n || in[n->index]) return;
    in[n->index] = true;
    for (size_t k = 0; k < n->input_count; k++)
        if (n->inputs[k]) mark(n->inputs[k], p, in);
}

static ap_err has_all(void *user, const ap_piece *p, bool *fails) {
    culprits *c = user;
    bool in[MOST] = {false};
    c->asked++;
    if (c->wanted_cancel && c->asked == c->wanted_cancel) return ap_err_new(AP_ERR_CANCELLED, "stop");
    if (c->errors_at && c->asked == c->errors_at) return ap_err_new(AP_ERR_VENDOR, "no answer");
    assert_int_equal(p->output_count, 1);
    mark(ap_graph_value(c->m->graph, p->outputs[0]), p, in);
    *fails = true;
    size_t marked = 0;
    for (size_t i = 0; i < c->m->graph->node_count; i++) {
        marked += in[i];
        if (c->guilty[i] && !in[i]) *fails = false;
    }
    assert_true(p->node_count >= marked);
    return NULL;
}

static bool piece_has(const ap_model *m, const ap_piece *p, const char *node) {
    bool in[MOST] = {false};
    mark(ap_graph_value(m->graph, p->outputs[0]), p, in);
    const ap_node *n = ap_graph_node(m->graph, node);
    return n && in[n->index];
}

static void one_node(void **state) {
    ap_model *m = diamond(*state);
    culprits c = {.m = m};
    ap_piece p = {0};
    size_t tries = 0;
    c.guilty[ap_graph_node(m->graph, "nb")->index] = true;
    must(ap_reduce(m, "b", &(ap_reduce_question){.fails = has_all, .user = &c}, &p, &tries));
    assert_int_equal(p.node_count, 1);
    assert_int_equal(p.input_count, 1);
    assert_string_equal(p.inputs[0], "a");
    assert_string_equal(p.outputs[0], "b");
    assert_int_equal(tries, 1);
    ap_piece_free(&p);
    ap_piece_free(&p); // twice is fine
    // The tensor's own node and one two steps above it.
    c.guilty[ap_graph_node(m->graph, "na")->index] = true;
    must(ap_reduce(m, "d", &(ap_reduce_question){.fails = has_all, .user = &c}, &p, &tries));
    assert_true(piece_has(m, &p, "na") && piece_has(m, &p, "nb") && piece_has(m, &p, "nd"));
    assert_false(piece_has(m, &p, "nc"));
    assert_int_equal(p.node_count, 3);
    ap_piece_free(&p);
    ap_model_free(m);
}

static ap_err never(void *user, const ap_piece *p, bool *fails) {
    (void)p;
    ++*(size_t *)user;
    *fails = false;
    return NULL;
}

static void nothing_fails(void **state) {
    ap_model *m = diamond(*state);
    ap_piece p = {0};
    size_t tries = 0, asked = 0;
    ap_reduce_question q = {.fails = never, .user = &asked};
    must_fail(ap_reduce(m, "d", &q, &p, &tries), AP_ERR_INTERNAL,
              "no piece of the graph that ends in 'd' fails on its own");
    assert_true(asked <= 4);
    must_fail(ap_reduce(m, "x", &q, &p, &tries), AP_ERR_INTERNAL, "'x' is made by no node");
    must_fail(ap_reduce(m, "nowhere", &q, &p, &tries), AP_ERR_INTERNAL, "'nowhere' is made by no node");
    assert_null(p.inputs);
    ap_model_free(m);
}

static void answers_that_do_not_come(void **state) {
    ap_model *m = diamond(*state);
    ap_piece p = {0};
    culprits c = {.m = m, .errors_at = 1};
    c.guilty[ap_graph_node(m->graph, "nd")->index] = true;
    // An error is "does not fail": the search goes on with more nodes.
    must(ap_reduce(m, "d", &(ap_reduce_question){.fails = has_all, .user = &c}, &p, NULL));
    assert_true(piece_has(m, &p, "nd"));
    ap_piece_free(&p);
    c = (culprits){.m = m, .wanted_cancel = 1};
    must_fail(ap_reduce(m, "d", &(ap_reduce_question){.fails = has_all, .user = &c}, &p, NULL),
              AP_ERR_CANCELLED, "stop");
    ap_model_free(m);
}

// If whose branches read r; r → Neg → s is beside it. What a body captures is an input of the piece.
static void bodies_are_cut_too(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "x", "2");
    input(b, "c", "");
    b->graph->input[1]->type = tensor_type(b, AP_BOOL, "");
    output(b, "y", "2");
    Onnx__NodeProto *n;
    node(b, "relu", "Relu", "x", "r");
    n = node(b, "if", "If", "c", "i");
    for (int i = 0; i < 2; i++) {
        Onnx__GraphProto *body = new_graph(b, i ? "else" : "then");
        add_node(b, body, i ? "e" : "t", i ? "Neg" : "Abs", "r", i ? "eo" : "to");
        PUSH(b, body, output, info(b, i ? "eo" : "to", "2"));
        attr_graph(b, n, i ? "else_branch" : "then_branch", body);
    }
    node(b, "exp", "Exp", "i", "y");
    ap_model *m = accepted(b);
    culprits c = {.m = m};
    ap_piece p = {0};
    c.guilty[ap_graph_node(m->graph, "if")->index] = true;
    must(ap_reduce(m, "y", &(ap_reduce_question){.fails = has_all, .user = &c}, &p, NULL));
    assert_int_equal(p.node_count, 2);
    assert_int_equal(p.input_count, 2);
    assert_string_equal(p.inputs[0], "c");
    assert_string_equal(p.inputs[1], "r");
    ap_piece_free(&p);
    ap_model_free(m);
}

// ---- the property, on random graphs

static uint64_t rng = 1;
static size_t below(size_t n) {
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(rng >> 33) % n;
}

static ap_model *random_dag(bench *b, size_t nodes) {
    fresh(b);
    input(b, "v0", "4");
    for (size_t i = 1; i <= nodes; i++) {
        char name[16], in[32], out[16];
        snprintf(name, sizeof name, "n%zu", i);
        snprintf(out, sizeof out, "v%zu", i);
        size_t near = i > 4 ? i - 4 : 0;
        snprintf(in, sizeof in, "v%zu,v%zu", below(3) ? i - 1 : near + below(i - near),
                 near + below(i - near));
        node(b, name, "Add", in, out);
    }
    output(b, ap_arena_printf(&b->arena, "v%zu", nodes), "4");
    return accepted(b);
}

// A question whose answer does not change: still fails, and no single node can go.
static void check_minimal(const ap_model *m, culprits *c, const ap_piece *p) {
    bool fails = false, in[MOST] = {false};
    must(has_all(c, p, &fails));
    assert_true(fails);
    mark(ap_graph_value(m->graph, p->outputs[0]), p, in);
    for (size_t i = 0; i < m->graph->node_count; i++) {
        const ap_node *n = m->graph->nodes[i];
        if (!in[i] || strcmp(n->outputs[0]->name, p->outputs[0]) == 0) continue;
        // Cut n out: its output becomes an input.
        const char *inputs[MOST];
        for (size_t k = 0; k < p->input_count; k++) inputs[k] = p->inputs[k];
        inputs[p->input_count] = n->outputs[0]->name;
        ap_piece smaller = *p;
        smaller.inputs = inputs;
        smaller.input_count++;
        must(has_all(c, &smaller, &fails));
        if (fails) fail_msg("node '%s' could have been left out", n->name);
    }
}

// Every node of it leads to its output, every input is read.
static void check_tidy(const ap_model *m, const ap_piece *p) {
    bool in[MOST] = {false};
    size_t marked = 0;
    mark(ap_graph_value(m->graph, p->outputs[0]), p, in);
    for (size_t i = 0; i < MOST; i++) marked += in[i];
    assert_int_equal(p->node_count, marked);
    for (size_t i = 0; i < p->input_count; i++) {
        const ap_value *v = ap_graph_value(m->graph, p->inputs[i]);
        bool read = false;
        for (size_t u = 0; u < v->use_count; u++) read = read || in[v->uses[u].node->index];
        assert_true(read);
    }
}

static void random_graphs(void **state) {
    bench *b = *state;
    for (int round = 0; round < 300; round++) {
        size_t nodes = 2 + below(28);
        ap_model *m = random_dag(b, nodes);
        culprits c = {.m = m};
        ap_piece p = {0};
        const char *end = m->graph->outputs[0]->name;
        bool slice[MOST] = {false};
        mark(m->graph->outputs[0], &p, slice);
        for (int k = 0; k < 3; k++) {
            size_t i = below(nodes);
            c.guilty[i] = slice[i];
        }
        must(ap_reduce(m, end, &(ap_reduce_question){.fails = has_all, .user = &c, .max_tries = 10000}, &p,
                       NULL));
        check_minimal(m, &c, &p);
        check_tidy(m, &p);
        ap_piece_free(&p);
        ap_model_free(m);
    }
}

static void few_tries(void **state) {
    bench *b = *state;
    for (size_t limit = 1; limit < 60; limit++) {
        ap_model *m = random_dag(b, 30);
        culprits c = {.m = m};
        ap_piece p = {0};
        size_t tries = 0;
        bool fails = false;
        c.guilty[20] = c.guilty[29] = true;
        bool slice[MOST] = {false};
        mark(m->graph->outputs[0], &p, slice);
        c.guilty[20] = slice[20];
        ap_reduce_question q = {.fails = has_all, .user = &c, .max_tries = limit};
        ap_err err = ap_reduce(m, m->graph->outputs[0]->name, &q, &p, &tries);
        assert_true(c.asked <= limit);
        if (err) {
            must_fail(err, AP_ERR_INTERNAL, "fails on its own");
        } else {
            // Out of tries means larger, never wrong.
            must(has_all(&c, &p, &fails));
            assert_true(fails);
        }
        ap_piece_free(&p);
        ap_model_free(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(shape_chains_are_left_out),
        BENCH_TEST(bodies_carry_data),
        BENCH_TEST(first_bad),
        BENCH_TEST(comparison),
        BENCH_TEST(one_node),
        BENCH_TEST(nothing_fails),
        BENCH_TEST(answers_that_do_not_come),
        BENCH_TEST(bodies_are_cut_too),
        BENCH_TEST(random_graphs),
        BENCH_TEST(few_tries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
