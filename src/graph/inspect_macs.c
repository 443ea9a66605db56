// SPDX-License-Identifier: Apache-2.0
#include "graph/inspect.h"

#include <string.h>

// Multiply-accumulates as the operators are defined, not as some kernel computes them: a Winograd convolution
// or a skipped zero still counts in full. -1 stands for "a shape is missing" all the way up.

static bool type_of(const ap_value *v, const ap_shape_source *s, ap_value_type *t) {
    if (!v) return false;
    bool declared = ap_value_shape(v, &t->dtype, t->dims, &t->rank, NULL);
    bool whole = declared;
    for (size_t i = 0; whole && i < t->rank; i++) whole = t->dims[i] >= 0;
    if (whole) return true;
    if (!s || !s->get(s->user, v->name, t)) return false;
    for (size_t i = 0; i < t->rank; i++)
        if (t->dims[i] < 0) return false;
    return true;
}

static bool input_type(const ap_node *n, size_t i, const ap_shape_source *s, ap_value_type *t) {
    return i < n->input_count && type_of(n->inputs[i], s, t);
}

static bool output_type(const ap_node *n, const ap_shape_source *s, ap_value_type *t) {
    return n->output_count && type_of(n->outputs[0], s, t);
}

// Product of dims from `first` on; -1 when it does not fit.
static int64_t volume(const ap_value_type *t, size_t first) {
    int64_t v = 1;
    for (size_t i = first; i < t->rank; i++)
        if (__builtin_mul_overflow(v, t->dims[i], &v)) return -1;
    return v;
}

static int64_t times(int64_t a, int64_t b) {
    int64_t v;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &v) ? -1 : v;
}

static int64_t plus(int64_t a, int64_t b) {
    int64_t v;
    return a < 0 || b < 0 || __builtin_add_overflow(a, b, &v) ? -1 : v;
}

// Every output element sums over one filter.
static int64_t conv(const ap_node *n, size_t filter, const ap_shape_source *s) {
    ap_value_type y, w;
    if (!output_type(n, s, &y) || !input_type(n, filter, s, &w) || w.rank < 2) return -1;
    return times(volume(&y, 0), volume(&w, 1));
}

// Every input element is spread over one filter.
static int64_t conv_transpose(const ap_node *n, const ap_shape_source *s) {
    ap_value_type x, w;
    if (!input_type(n, 0, s, &x) || !input_type(n, 1, s, &w) || w.rank < 2) return -1;
    return times(volume(&x, 0), volume(&w, 1));
}

static int64_t matmul(const ap_node *n, const ap_shape_source *s) {
    ap_value_type y, a;
    if (!output_type(n, s, &y) || !input_type(n, 0, s, &a) || !a.rank) return -1;
    bool flipped = a.rank >= 2 && ap_node_attr_int(n, "transA", 0); // Gemm, FusedMatMul
    return times(volume(&y, 0), a.dims[a.rank - (flipped ? 2 : 1)]);
}

// Both weight matrices are applied once per step and sequence.
static int64_t recurrent(const ap_node *n, const ap_shape_source *s) {
    ap_value_type x, w, r;
    if (!input_type(n, 0, s, &x) || !input_type(n, 1, s, &w) || !input_type(n, 2, s, &r) || x.rank != 3)
        return -1;
    return times(times(x.dims[0], x.dims[1]), plus(volume(&w, 0), volume(&r, 0)));
}

// ai.onnx Attention: scores (queries × keys × width), then their sum over values. 4-D (batch, heads, length,
// width) or 3-D with heads folded into the width.
static int64_t attention(const ap_node *n, const ap_shape_source *s) {
    ap_value_type q, k, v, past;
    if (!input_type(n, 0, s, &q) || !input_type(n, 1, s, &k) || !input_type(n, 2, s, &v)) return -1;
    if (q.rank != k.rank || k.rank != v.rank || (q.rank != 3 && q.rank != 4)) return -1;
    size_t r = q.rank;
    int64_t keys = k.dims[r - 2], width = plus(q.dims[r - 1], v.dims[r - 1]);
    if (r == 3) {
        int64_t q_heads = ap_node_attr_int(n, "q_num_heads", 0),
                kv_heads = ap_node_attr_int(n, "kv_num_heads", 0);
        if (q_heads <= 0 || kv_heads <= 0) return -1;
        width = plus(q.dims[2], times(v.dims[2] / kv_heads, q_heads));
    }
    if (n->input_count > 4 && n->inputs[4]) {
        if (!input_type(n, 4, s, &past) || past.rank != 4) return -1;
        keys = plus(keys, past.dims[2]);
    }
    int64_t rows = q.dims[0];
    for (size_t i = 1; i + 1 < r; i++) rows = times(rows, q.dims[i]);
    return times(times(rows, keys), width);
}

// ---- einsum: one multiply-accumulate per point of the space spanned by all labels

typedef struct labels {
    int64_t size[52]; // a–z, A–Z; 0: not seen
    int64_t rest;     // volume of the widest "..."
} labels;

static int label_index(char c) {
    if (c >= 'a' && c <= 'z') return c - 'a';
    if (c >= 'A' && c <= 'Z') return c - 'A' + 26;
    return -1;
}

static bool add_term(labels *l, const char *term, size_t len, const ap_value_type *t) {
    size_t named = 0, dim = 0;
    for (size_t i = 0; i < len; i++) named += label_index(term[i]) >= 0;
    if (named > t->rank) return false;
    for (size_t i = 0; i < len; i++) {
        int k = label_index(term[i]);
        if (k >= 0) {
            if (dim >= t->rank) return false;
            if (t->dims[dim] > l->size[k]) l->size[k] = t->dims[dim];
            dim++;
        } else if (term[i] == '.') {
            int64_t rest = 1;
            for (size_t e = 0; e < t->rank - named && dim < t->rank; e++) rest = times(rest, t->dims[dim++]);
            if (rest > l->rest) l->rest = rest;
            while (i + 1 < len && term[i + 1] == '.') i++;
        }
    }
    return true;
}

static int64_t einsum(const ap_node *n, const ap_shape_source *s) {
    const Onnx__AttributeProto *at = ap_node_attr(n, "equation");
    if (!at || !at->s.data) return -1;
    if (n->input_count < 2) return 0; // a transpose or a sum
    const char *p = (const char *)at->s.data, *end = p + at->s.len;
    labels l = {.rest = 1};
    for (size_t i = 0; i < n->input_count; i++) {
        ap_value_type t;
        const char *stop = p;
        while (stop < end && *stop != ',' && *stop != '-') stop++;
        if (!input_type(n, i, s, &t) || !add_term(&l, p, (size_t)(stop - p), &t)) return -1;
        p = stop < end ? stop + 1 : end;
    }
    int64_t macs = times(l.rest, (int64_t)n->input_count - 1);
    for (size_t i = 0; i < 52; i++)
        if (l.size[i]) macs = times(macs, l.size[i]);
    return macs;
}

// ---- table

typedef enum rule { CONV, QCONV, CONV_TRANSPOSE, MATMUL, RECURRENT, ATTENTION, EINSUM } rule;

static const struct {
    const char *op;
    rule rule;
} rules[] = {
    {"Conv", CONV},
    {"ConvInteger", CONV},
    {"DeformConv", CONV},
    {"FusedConv", CONV},
    {"QLinearConv", QCONV},
    {"ConvTranspose", CONV_TRANSPOSE},
    {"Gemm", MATMUL},
    {"QGemm", MATMUL},
    {"FusedGemm", MATMUL},
    {"MatMul", MATMUL},
    {"FusedMatMul", MATMUL},
    {"MatMulInteger", MATMUL},
    {"QLinearMatMul", MATMUL},
    {"MatMulNBits", MATMUL},
    {"LSTM", RECURRENT},
    {"GRU", RECURRENT},
    {"RNN", RECURRENT},
    {"Einsum", EINSUM},
};

static int64_t apply(rule r, const ap_node *n, const ap_shape_source *s) {
    switch (r) {
    case CONV: return conv(n, 1, s);
    case QCONV: return conv(n, 3, s); // x, its scale and zero point, then the filter
    case CONV_TRANSPOSE: return conv_transpose(n, s);
    case MATMUL: return matmul(n, s);
    case RECURRENT: return recurrent(n, s);
    case ATTENTION: return attention(n, s);
    case EINSUM: return einsum(n, s);
    }
    return 0;
}

int64_t ap_node_macs(const ap_node *n, const ap_shape_source *s) {
    bool ours = !*n->domain;
    if (!ours && strcmp(n->domain, "com.microsoft") != 0) return 0;
    if (ours && !strcmp(n->op, "Attention"))
        return apply(ATTENTION, n, s); // com.microsoft's is another operator
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(n->op, rules[i].op)) return apply(rules[i].rule, n, s);
    return 0;
}
