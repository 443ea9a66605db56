// SPDX-License-Identifier: Apache-2.0
// Native rewrites of equations, axes and places: random instances, both sides on ONNX Runtime.
#include "test_surgery_native.h"

// ---- Einsum

// Operands of random letters of "abcdef", sizes by letter, sometimes 1; a result of some of the letters.
static void random_equation(trial *q, char *text, ap_value **in, size_t *count) {
    int64_t size[6];
    bool used[6] = {false}, dots = rnd(4) == 0;
    size_t extra = dots ? 1 + rnd(2) : 0, at = 0;
    for (int i = 0; i < 6; i++) size[i] = 1 + rnd(4);
    *count = 1 + rnd(3);
    for (size_t k = 0; k < *count; k++) {
        int64_t dims[AP_MAX_RANK];
        size_t rank = 0, letters = 1 + rnd(3);
        if (k) text[at++] = ',';
        if (dots) at += (size_t)sprintf(text + at, "...");
        for (size_t i = 0; i < extra; i++) dims[rank++] = 2 + (int64_t)i;
        for (size_t i = 0; i < letters; i++) {
            uint32_t l = rnd(6);
            used[l] = true;
            text[at++] = (char)('a' + l);
            dims[rank++] = size[l];
        }
        in[k] = fed(q, AP_F32, dims, rank, 0);
    }
    text[at] = 0;
    if (rnd(4) == 0) return; // implicit
    at += (size_t)sprintf(text + at, "->%s", dots ? "..." : "");
    int order[6] = {0, 1, 2, 3, 4, 5};
    for (uint32_t i = 5; i > 0; i--) {
        uint32_t j = rnd(i + 1);
        int t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (int i = 0; i < 6; i++)
        if (used[order[i]] && rnd(2)) text[at++] = (char)('a' + order[i]);
    text[at] = 0;
}

static void any_equation(void **state) {
    (void)state;
    for (int n = 0; n < 400; n++) {
        trial q = {.k = make_model(12 + rnd(7))};
        ap_value *in[3];
        size_t count;
        char text[96];
        random_equation(&q, text, in, &count);
        one_node(&q, "Einsum", in, count,
                 (Onnx__AttributeProto *[]){ap_attr_string(&q.k.m->arena, "equation", text)}, 1, 1);
        judged(&q, "einsum", 2e-6, false, text);
        assert_int_equal(count_op(&q.k, "Einsum"), 0);
        trial_free(&q);
    }
}

// ---- Transpose

static void every_rank_is_at_most_4(const trial *q, const char *what) {
    const ap_graph *g = q->k.m->graph;
    for (size_t i = 0; i < g->node_count; i++) {
        const Onnx__AttributeProto *perm = ap_node_attr(g->nodes[i], "perm");
        if (perm && perm->n_ints > 4) fail_msg("%s: a Transpose of rank %zu", what, perm->n_ints);
    }
}

static void any_permutation(void **state) {
    (void)state;
    for (int n = 0; n < 250; n++) {
        trial q = {.k = make_model(13)};
        size_t rank = 5 + rnd(4);
        int64_t dims[8], perm[8];
        char what[64] = "";
        for (size_t i = 0; i < rank; i++) {
            dims[i] = 1 + rnd(3);
            perm[i] = (int64_t)i;
        }
        for (size_t i = rank - 1; i > 0; i--) {
            size_t j = rnd((uint32_t)i + 1);
            int64_t t = perm[i];
            perm[i] = perm[j];
            perm[j] = t;
        }
        for (size_t i = 0; i < rank; i++) snprintf(what + strlen(what), 8, "%lld ", (long long)perm[i]);
        ap_value *x = fed(&q, AP_F32, dims, rank, 0);
        one_node(&q, "Transpose", &x, 1,
                 (Onnx__AttributeProto *[]){rnd(9) ? ap_attr_ints(&q.k.m->arena, "perm", perm, rank) : NULL},
                 1, 1);
        judged(&q, "transpose_moves", 0, false, what);
        every_rank_is_at_most_4(&q, what);
        trial_free(&q);
    }
}

// ---- elementwise operators of high rank

static void any_broadcast(void **state) {
    (void)state;
    static const char *const ops[] = {"Add", "Sub", "Mul", "Less", "Where", "Relu"};
    int done_ = 0;
    for (int n = 0; n < 200; n++) {
        trial q = {.k = make_model(13)};
        const char *op = ops[rnd(6)];
        size_t rank = 5 + rnd(3), count = !strcmp(op, "Where") ? 3 : !strcmp(op, "Relu") ? 1 : 2;
        int64_t dims[8];
        ap_value *in[3];
        size_t second = rank;
        for (size_t i = 0; i < rank; i++) dims[i] = 1 + rnd(3);
        for (size_t k = 0; k < count; k++) {
            int64_t mine[8];
            size_t drop = k && rnd(3) == 0 ? rnd((uint32_t)rank) : 0;
            bool bools = k == 0 && count == 3;
            for (size_t i = 0; i < rank; i++) mine[i] = k && rnd(4) == 0 ? 1 : dims[i];
            // One of two values has the full rank, or no rule of ours is asked.
            if (k == 2 && second < 5) drop = 0;
            if (k == 1) second = rank - drop;
            in[k] = fed(&q, bools ? AP_BOOL : AP_F32, mine + drop, rank - drop, bools ? 2 : 0);
        }
        one_node(&q, op, in, count, NULL, 0, 1);
        done_ += judged(&q,
                        count == 3   ? second < 5 ? "where_rank_right" : "where_rank"
                        : count == 1 ? "unary_rank"
                                     : "binary_rank",
                        0, true, op);
        trial_free(&q);
    }
    assert_in_range(done_, 120, 200);
}

// ---- ReduceProd, Mod

static void any_product(void **state) {
    (void)state;
    for (int n = 0; n < 100; n++) {
        int64_t opset = 12 + rnd(8);
        trial q = {.k = make_model(opset)};
        size_t rank = 1 + rnd(4), count = 0;
        int64_t dims[4], axes[4];
        for (size_t i = 0; i < rank; i++) {
            dims[i] = 1 + rnd(7);
            if (rnd(2)) axes[count++] = rnd(2) ? (int64_t)i : (int64_t)i - (int64_t)rank;
        }
        ap_value *in[2] = {fed(&q, AP_F32, dims, rank, 0), NULL};
        ap_arena *a = &q.k.m->arena;
        Onnx__AttributeProto *attrs[2] = {ap_attr_int(a, "keepdims", rnd(2)), NULL};
        if (count && opset < 18) attrs[1] = ap_attr_ints(a, "axes", axes, count);
        if (count && opset >= 18) {
            ap_tensor t = {0};
            must(ap_tensor_alloc(AP_I64, &(int64_t){(int64_t)count}, 1, &t));
            memcpy(t.data, axes, count * sizeof *axes);
            in[1] = held(&q, t);
        }
        one_node(&q, "ReduceProd", in, 2, attrs, 2, 1);
        judged(&q, "reduce_prod", 2e-6, false, "ReduceProd");
        trial_free(&q);
    }
}

static void any_remainder(void **state) {
    (void)state;
    static const double by[] = {1.7, -0.1, 3, 1e-30, 0x1p-140, 2.5e38, 0.3333};
    for (size_t n = 0; n < sizeof by / sizeof *by; n++) {
        trial q = {.k = make_model(13)};
        ap_value *in[2] = {fed(&q, AP_F32, (int64_t[]){64}, 1, 0), CONST(&q.k, AP_F32, "1", by[n])};
        for (int i = 0; i < 64; i++) // over the whole range of the type
            ((float *)q.in[0].t.data)[i] *= (float)pow(10, (int)rnd(76) - 38);
        one_node(&q, "Mod", in, 2, (Onnx__AttributeProto *[]){INT(&q.k, "fmod", 1)}, 1, 1);
        judged(&q, "fmod_float", 0, false, "Mod");
        trial_free(&q);
    }
}

// ---- scatters

static void random_scatter(trial *q, const char *op, const char *reduction) {
    size_t rank = 1 + rnd(3), depth = 1 + rnd((uint32_t)rank), idx_rank = rank, up_rank = rank;
    int64_t dims[4], idx[5], up[6], axis = rnd((uint32_t)rank);
    bool blocks = !strcmp(op, "ScatterND");
    for (size_t i = 0; i < rank; i++) {
        dims[i] = 1 + rnd(5);
        idx[i] = up[i] = 1 + rnd((uint32_t)dims[i]);
    }
    if (blocks) {
        idx_rank = 2;
        idx[0] = 1 + rnd(4);
        idx[1] = (int64_t)depth;
        up[0] = idx[0];
        up_rank = 1 + rank - depth;
        for (size_t i = depth; i < rank; i++) up[1 + i - depth] = dims[i];
    } else {
        idx[axis] = up[axis] = 1 + rnd(6);
    }
    ap_tensor t = {0};
    must(ap_tensor_alloc(AP_I64, idx, idx_rank, &t));
    for (size_t i = 0; i < ap_tensor_count(&t); i++) {
        int64_t d = dims[blocks ? i % depth : (size_t)axis];
        ((int64_t *)t.data)[i] = (int64_t)rnd((uint32_t)d) - (rnd(3) ? 0 : d);
    }
    ap_value *in[3] = {fed(q, AP_F32, dims, rank, 0), held(q, t), fed(q, AP_F32, up, up_rank, 0)};
    Onnx__AttributeProto *attrs[2] = {ap_attr_string(&q->k.m->arena, "reduction", reduction),
                                      blocks ? NULL
                                             : INT(&q->k, "axis", rnd(2) ? axis : axis - (int64_t)rank)};
    one_node(q, op, in, 3, attrs, 2, 1);
}

static void any_scatter(void **state) {
    (void)state;
    static const char *const ops[] = {"ScatterElements", "ScatterND"}, *const reductions[] = {"none", "add",
                                                                                              "mul", "max",
                                                                                              "min"};
    for (int n = 0; n < 300; n++) {
        const char *op = ops[n % 2], *reduction = reductions[n / 2 % 5];
        trial q = {.k = make_model(18)};
        char rule[96];
        random_scatter(&q, op, reduction);
        if (n / 2 % 5)
            snprintf(rule, sizeof rule, "scatter_runs_reduced[O=%s,M=%s]", op, reduction);
        else
            snprintf(rule, sizeof rule, "%s[O=%s]", rnd(2) ? "scatter_runs" : "scatter_places", op);
        judged(&q, rule, n / 2 % 5 ? 1e-6 : 0, false, rule);
        trial_free(&q);
    }
}

int main(void) {
    if (!native_ready()) return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_equation), cmocka_unit_test(any_permutation), cmocka_unit_test(any_broadcast),
        cmocka_unit_test(any_product),  cmocka_unit_test(any_remainder),   cmocka_unit_test(any_scatter),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
