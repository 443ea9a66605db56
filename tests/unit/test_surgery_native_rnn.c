// SPDX-License-Identifier: Apache-2.0
// RNN, GRU and LSTM step by step: every variant, both sides on ONNX Runtime.
#include "test_surgery_native.h"

typedef struct shape {
    int64_t steps, batch, in, hidden, directions, gates;
    bool batch_first;
} shape;

static ap_value *weights(trial *q, const int64_t *dims, size_t rank) {
    ap_tensor t = random_tensor(AP_F32, dims, rank, 0);
    for (size_t i = 0; i < ap_tensor_count(&t); i++) ((float *)t.data)[i] *= 0.4f;
    return held(q, t);
}

static ap_value *lengths(trial *q, const shape *s) {
    ap_tensor t = {0};
    must(ap_tensor_alloc(AP_I32, &s->batch, 1, &t));
    for (int64_t i = 0; i < s->batch; i++) ((int32_t *)t.data)[i] = (int32_t)(1 + rnd((uint32_t)s->steps));
    return held(q, t);
}

static ap_value *state(trial *q, const shape *s) {
    int64_t dims[3] = {s->batch_first ? s->batch : s->directions, s->batch_first ? s->directions : s->batch,
                       s->hidden};
    return fed(q, AP_F32, dims, 3, 0);
}

static Onnx__AttributeProto *activations(trial *q, const shape *s) {
    static const char *const names[] = {"Tanh", "Sigmoid", "Relu", "Softsign"};
    size_t count = (size_t)s->directions * (s->gates == 4 ? 3 : s->gates == 3 ? 2 : 1);
    Onnx__AttributeProto *at = ap_attr_string(&q->k.m->arena, "activations", "");
    at->type = ONNX__ATTRIBUTE_PROTO__KIND__STRINGS;
    at->has_s = 0;
    at->n_strings = count;
    at->strings = ap_arena_calloc(&q->k.m->arena, count, sizeof *at->strings);
    for (size_t i = 0; i < count; i++) {
        const char *name = names[rnd(4)];
        at->strings[i] =
            (ProtobufCBinaryData){strlen(name), (uint8_t *)ap_arena_strdup(&q->k.m->arena, name)};
    }
    return at;
}

static void random_cell(trial *q, const char *op, char *what, size_t what_size) {
    shape s = {.steps = 1 + rnd(5), .batch = 1 + rnd(3), .in = 1 + rnd(4), .hidden = 1 + rnd(4)};
    ap_arena *a = &q->k.m->arena;
    ap_value *in[8] = {NULL};
    Onnx__AttributeProto *attrs[8] = {NULL};
    size_t n = 0, outs = !strcmp(op, "LSTM") ? 3 : 2;
    static const char *const ways[] = {"forward", "reverse", "bidirectional"};
    uint32_t way = rnd(3);
    s.gates = outs == 3 ? 4 : !strcmp(op, "GRU") ? 3 : 1;
    s.directions = way == 2 ? 2 : 1;
    bool clip = rnd(4) == 0, late = rnd(2), lens = rnd(3) == 0, forget = outs == 3 && rnd(4) == 0,
         peep = outs == 3 && rnd(3) == 0;
    int64_t x[3] = {s.batch_first ? s.batch : s.steps, s.batch_first ? s.steps : s.batch, s.in};
    in[0] = fed(q, AP_F32, x, 3, 0);
    in[1] = weights(q, (int64_t[]){s.directions, s.gates * s.hidden, s.in}, 3);
    in[2] = weights(q, (int64_t[]){s.directions, s.gates * s.hidden, s.hidden}, 3);
    if (rnd(2)) in[3] = weights(q, (int64_t[]){s.directions, 2 * s.gates * s.hidden}, 2);
    if (lens) in[4] = lengths(q, &s);
    if (rnd(2)) in[5] = state(q, &s);
    if (outs == 3 && rnd(2)) in[6] = state(q, &s);
    if (peep) in[7] = weights(q, (int64_t[]){s.directions, 3 * s.hidden}, 2);
    attrs[n++] = ap_attr_int(a, "hidden_size", s.hidden);
    attrs[n++] = ap_attr_string(a, "direction", ways[way]);
    if (clip) attrs[n++] = ap_attr_float(a, "clip", 0.25f);
    if (s.gates == 3) attrs[n++] = ap_attr_int(a, "linear_before_reset", late);
    if (forget) attrs[n++] = ap_attr_int(a, "input_forget", 1);
    if (rnd(3) == 0) attrs[n++] = activations(q, &s);
    snprintf(what, what_size, "%s %s T%lld B%lld clip%d late%d lens%d forget%d peep%d b%d h%d c%d", op,
             ways[way], (long long)s.steps, (long long)s.batch, clip, late, lens, forget, peep, in[3] != NULL,
             in[5] != NULL, in[6] != NULL);
    one_node(q, op, in, 8, attrs, n, outs);
}

static void any_cell(void **state_) {
    (void)state_;
    static const char *const ops[] = {"RNN", "GRU", "LSTM"}, *const rules[] = {"recurrent[O=RNN]",
                                                                               "recurrent[O=GRU]",
                                                                               "recurrent_lstm"};
    for (int n = 0; n < 300; n++) {
        trial q = {.k = make_model(14 + rnd(4))};
        char what[160];
        random_cell(&q, ops[n % 3], what, sizeof what);
        judged(&q, rules[n % 3], 1e-5, false, what); // 100 dB; ONNX Runtime approximates Sigmoid
        trial_free(&q);
    }
}

// ONNX Runtime has no kernel with the batch first: the rewrite of such a node is compared with that of the
// same numbers in the other order.
static void batch_first(void **state_) {
    (void)state_;
    static const char *const rules[] = {"recurrent[O=RNN]", "recurrent[O=GRU]", "recurrent_lstm"},
                             *const ops[] = {"RNN", "GRU", "LSTM"};
    for (size_t k = 0; k < 3; k++) {
        ap_tensor y[2] = {{0}, {0}};
        for (int layout = 0; layout < 2; layout++) {
            trial q = {.k = make_model(14)};
            rand_state = 77;
            int64_t gates = k == 2 ? 4 : k == 1 ? 3 : 1;
            ap_value *in[3] = {fed(&q, AP_F32, layout ? (int64_t[]){1, 4, 2} : (int64_t[]){4, 1, 2}, 3, 0),
                               weights(&q, (int64_t[]){1, gates * 3, 2}, 3),
                               weights(&q, (int64_t[]){1, gates * 3, 3}, 3)};
            Onnx__AttributeProto *attrs[] = {INT(&q.k, "hidden_size", 3), INT(&q.k, "layout", layout)};
            one_node(&q, ops[k], in, 3, attrs, 2, 1);
            ap_match_env env = {.model = q.k.m, .rules = builtin};
            ap_match *m = NULL;
            ap_applied a = {0};
            must(ap_rule_match(ap_rules_find(builtin, rules[k]), &env, q.node, &m, NULL));
            assert_non_null(m);
            must(ap_match_apply(m, &a));
            must(trial_run(&q, &y[layout]));
            ap_applied_release(&a);
            ap_match_free(m);
            trial_free(&q);
        }
        assert_true(ap_shape_equal(y[1].dims, y[1].rank, (int64_t[]){1, 4, 1, 3}, 4));
        assert_memory_equal(y[0].data, y[1].data, y[0].bytes); // [T,D,B,H] and [B,T,D,H] with B = D = 1
        ap_tensor_free(&y[0]);
        ap_tensor_free(&y[1]);
    }
}

static void says_what_is_out_of_reach(void **state_) {
    (void)state_;
    trial q = {.k = make_model(14)};
    ap_value *in[3] = {fed(&q, AP_F32, (int64_t[]){600, 1, 1}, 3, 0), weights(&q, (int64_t[]){1, 1, 1}, 3),
                       weights(&q, (int64_t[]){1, 1, 1}, 3)};
    one_node(&q, "RNN", in, 3, (Onnx__AttributeProto *[]){INT(&q.k, "hidden_size", 1)}, 1, 1);
    ap_match_env env = {.model = q.k.m, .rules = builtin};
    ap_match *m = NULL;
    ap_applied a = {0};
    must(ap_rule_match(ap_rules_find(builtin, "recurrent[O=RNN]"), &env, q.node, &m, NULL));
    assert_non_null(m);
    must_fail(ap_match_apply(m, &a), AP_ERR_REFUSED, "more than 512 steps");
    assert_int_equal(q.k.m->graph->node_count, 1);
    ap_match_free(m);
    trial_free(&q);
}

int main(void) {
    if (!native_ready()) return 0;
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_cell), cmocka_unit_test(batch_first),
                                       cmocka_unit_test(says_what_is_out_of_reach)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
