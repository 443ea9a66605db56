// SPDX-License-Identifier: Apache-2.0
// The passes `batchnorm` and `affine`.
//
// What comes behind a layer that is linear in its weights and has one weight slice for each channel (Conv,
// ConvTranspose, Gemm), is y = a x + d for each channel, and is the only reader, goes into weights and bias.
// In inference that is BatchNormalization, with a = scale / sqrt(var + epsilon) and d = B - mean a; and it is
// Mul, Div, Add, Sub with a constant. A chain of them is one a and one d, computed in double, rounded once.
//
// Two passes, because a pass is kept or rolled back as a whole: a model that magnifies what the many
// constants round must not lose what BatchNormalization alone would have saved.
#include "graph/nodes.h"
#include "surgery/pass/pass.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// A target may compute in float16: 65504 is its largest number, 2^-14 the least with all its digits. Where
// the largest weight is 2^-9, one below that loses 2^-25, 2^-16 of the largest: nothing beside 2^-12, which
// each one loses. Factors that leave this range stay outside.
#define LARGEST_WEIGHT 32768.0
#define LARGEST_WEIGHT_AT_LEAST 0x1p-9

typedef struct fold {
    ap_model *m;
    ap_node *layer;
    ap_node *next;          // the first that goes
    ap_value *out;          // what the last that goes makes
    ap_tensor weight, bias; // bias.dtype NONE: there is none
    size_t channels;
    double *a, *d; // per channel, of all that goes
    double *most;  // per channel, the largest |weight|; of use once something can be taken
    size_t groups; // ConvTranspose
    bool by_row;   // Gemm: the weight has a row for each channel
    double beta;   // Gemm: of its bias
    const struct kind *kind;
    ap_pass_result *result;
} fold;

// What a pass takes, and what the names of its new constants end with.
struct kind {
    bool (*read)(const fold *f, const ap_node *n, double *a, double *d);
    const char *suffix;
};

static float attr_float(const ap_node *n, const char *name, float fallback) {
    const Onnx__AttributeProto *at = ap_node_attr(n, name);
    return at && at->has_f ? at->f : fallback;
}

static bool floats(ap_model *m, const ap_node *n, size_t i, ap_tensor *t) {
    return i < n->input_count && ap_pass_constant(m, n->inputs[i], t) && t->dtype == AP_F32;
}

// ---- the layer

static ap_node *only_reader(const ap_value *v) {
    return v->use_count == 1 && !v->is_output && !v->used_by_subgraph ? v->uses[0].node : NULL;
}

static bool is_layer(const ap_node *n) {
    return ap_node_is(n, "Conv") || ap_node_is(n, "ConvTranspose") || ap_node_is(n, "Gemm");
}

// Have weights and bias the form of one slice, one number for each channel?
static bool read_layer(fold *f) {
    const ap_node *n = f->layer;
    const ap_tensor *w = &f->weight, *b = &f->bias;
    bool has_bias = n->input_count > 2 && n->inputs[2];
    if (!floats(f->m, n, 1, &f->weight) || w->rank < 2 || !ap_tensor_count(w)) return false;
    if (has_bias && !floats(f->m, n, 2, &f->bias)) return false;
    size_t count = has_bias ? ap_tensor_count(b) : 0;
    f->beta = 1;
    if (ap_node_is(n, "Conv")) {
        f->channels = (size_t)w->dims[0];
        return !has_bias || count == f->channels;
    }
    if (ap_node_is(n, "ConvTranspose")) {
        int64_t groups = ap_node_attr_int(n, "group", 1);
        f->groups = groups > 0 ? (size_t)groups : 0;
        f->channels = (size_t)w->dims[1] * f->groups;
        return f->groups && (size_t)w->dims[0] % f->groups == 0 && (!has_bias || count == f->channels);
    }
    f->by_row = ap_node_attr_int(n, "transB", 0) != 0;
    f->beta = (double)attr_float(n, "beta", 1);
    f->channels = (size_t)w->dims[f->by_row ? 0 : 1];
    if (w->rank != 2) return false;
    if (!has_bias || count == 1) return true;
    return count == f->channels && (size_t)b->dims[b->rank - 1] == f->channels; // one row for all
}

static size_t channel_of(const fold *f, size_t i) {
    const ap_tensor *w = &f->weight;
    size_t count = ap_tensor_count(w), rows = (size_t)w->dims[0];
    if (ap_node_is(f->layer, "Conv") || f->by_row) return i / (count / rows);
    if (!f->groups) return i % f->channels; // Gemm: columns
    size_t per_group = (size_t)w->dims[1], slice = count / rows, kernel = slice / per_group;
    size_t group = i / slice / (rows / f->groups);
    return group * per_group + i / kernel % per_group;
}

// ---- what comes behind it

// One output, statistics given, one number for each channel.
static bool read_batchnorm(const fold *f, const ap_node *n, double *a, double *d) {
    ap_tensor t[4];
    if (f->m->opset < 7 || ap_node_attr_int(n, "training_mode", 0) || !ap_node_attr_int(n, "spatial", 1))
        return false;
    for (size_t k = 1; k < n->output_count; k++)
        if (n->outputs[k]) return false;
    for (size_t i = 0; i < 4; i++)
        if (!floats(f->m, n, i + 1, &t[i]) || t[i].rank != 1 || (size_t)t[i].dims[0] != f->channels)
            return false;
    double epsilon = (double)attr_float(n, "epsilon", 1e-5f);
    for (size_t c = 0; c < f->channels; c++) {
        double var = ap_tensor_at(&t[3], c) + epsilon;
        a[c] = ap_tensor_at(&t[0], c) / sqrt(var);
        d[c] = ap_tensor_at(&t[1], c) - ap_tensor_at(&t[2], c) * a[c];
        if (!(var > 0)) return false;
    }
    return true;
}

// Is it one number, or one for each channel (axis 1 of the layer's output)?
static bool by_channel(const fold *f, const ap_tensor *c) {
    size_t rank = f->weight.rank;
    if (c->rank > rank) return false;
    for (size_t i = 0; i < c->rank; i++) {
        bool channel = rank - c->rank + i == 1;
        if (c->dims[i] != 1 && !(channel && (size_t)c->dims[i] == f->channels)) return false;
    }
    return true;
}

// a x + d by the constant k, by the operator and which of its inputs the constant is.
static const struct arithmetic {
    const char *op;
    size_t constant;
    double a, d;          // what stays as it is
    int a_power, d_times; // a = k^a_power, d = k d_times, where they are not 0
} ARITHMETIC[] = {
    {"Mul", 0, 0, 0, 1, 0}, {"Mul", 1, 0, 0, 1, 0},  {"Div", 1, 0, 0, -1, 0}, {"Add", 0, 1, 0, 0, 1},
    {"Add", 1, 1, 0, 0, 1}, {"Sub", 0, -1, 0, 0, 1}, {"Sub", 1, 1, 0, 0, -1},
};

static bool read_arithmetic(const fold *f, const ap_node *n, double *a, double *d) {
    ap_tensor k;
    for (size_t i = 0; i < sizeof ARITHMETIC / sizeof *ARITHMETIC; i++) {
        const struct arithmetic *r = &ARITHMETIC[i];
        if (!ap_node_is(n, r->op) || !floats(f->m, n, r->constant, &k) || !by_channel(f, &k)) continue;
        bool one = ap_tensor_count(&k) == 1;
        for (size_t c = 0; c < f->channels; c++) {
            double v = ap_tensor_at(&k, one ? 0 : c);
            a[c] = r->a_power ? (r->a_power < 0 ? 1 / v : v) : r->a;
            d[c] = r->d_times * v;
        }
        return true;
    }
    return false;
}

// Takes a x + d behind what is taken already, when the numbers stay in range.
static bool take(fold *f, const double *a, const double *d) {
    double most = 0, now = 0;
    for (size_t c = 0; c < f->channels; c++) {
        double factor = f->a[c] * a[c], shift = f->d[c] * a[c] + d[c];
        if (!isfinite(factor) || !(fabs(shift) <= FLT_MAX)) return false;
        most = fmax(most, f->most[c]);
        now = fmax(now, f->most[c] * fabs(factor));
    }
    if (now > fmax(most, LARGEST_WEIGHT) || now < fmin(most, LARGEST_WEIGHT_AT_LEAST)) return false;
    for (size_t c = 0; c < f->channels; c++) {
        f->d[c] = f->d[c] * a[c] + d[c];
        f->a[c] *= a[c];
    }
    return true;
}

// Looks at every weight: not for the many layers behind which nothing can be taken.
static void measure(fold *f) {
    for (size_t i = 0; i < ap_tensor_count(&f->weight); i++) {
        double *most = &f->most[channel_of(f, i)];
        *most = fmax(*most, fabs(ap_tensor_at(&f->weight, i)));
    }
}

// Walks down from the layer as long as there is one reader and it can be taken.
static void take_chain(fold *f) {
    double *a = ap_calloc(f->channels, sizeof *a), *d = ap_calloc(f->channels, sizeof *d);
    bool measured = false;
    for (ap_node *n; (n = only_reader(f->out)) != NULL; f->out = n->outputs[0]) {
        if (!n->output_count || !n->outputs[0] || !f->kind->read(f, n, a, d)) break;
        if (!measured) measure(f);
        measured = true;
        if (!take(f, a, d)) break;
        if (!f->next) f->next = n;
        ap_pass_touch(f->result, f->layer->op);
    }
    free(a);
    free(d);
}

// ---- the edit

static ap_err make_constants(const fold *f, ap_tensor *weight, ap_tensor *bias) {
    int64_t channels = (int64_t)f->channels;
    ap_err err = NULL;
    AP_TRY(ap_tensor_alloc(AP_F32, f->weight.dims, f->weight.rank, weight));
    AP_TRY(ap_tensor_alloc(AP_F32, &channels, 1, bias));
    float *w = weight->data, *b = bias->data;
    for (size_t i = 0; i < ap_tensor_count(weight); i++)
        w[i] = (float)(ap_tensor_at(&f->weight, i) * f->a[channel_of(f, i)]);
    size_t have = f->bias.dtype ? ap_tensor_count(&f->bias) : 0;
    for (size_t c = 0; c < f->channels; c++) {
        double old = have ? f->beta * ap_tensor_at(&f->bias, have == 1 ? 0 : c) : 0;
        b[c] = (float)(old * f->a[c] + f->d[c]);
    }
done:
    return err;
}

static ap_err rewire(fold *f, const ap_tensor *weight, const ap_tensor *bias) {
    ap_graph *g = f->m->graph;
    ap_arena *a = &f->m->arena;
    ap_value *w = NULL, *b = NULL;
    const char *w_name = ap_arena_printf(a, "%s~%s", f->layer->inputs[1]->name, f->kind->suffix);
    const char *b_name = ap_arena_printf(a, "%s_bias", w_name);
    ap_err err = NULL;
    AP_TRY(ap_graph_add_initializer(g, w_name, weight, &w));
    AP_TRY(ap_graph_add_initializer(g, b_name, bias, &b));
    AP_TRY(ap_node_set_input(g, f->layer, 1, w));
    AP_TRY(ap_node_set_input(g, f->layer, 2, b));
    if (ap_node_attr(f->layer, "beta")) ap_node_drop_attr(g, f->layer, "beta");
    AP_TRY(ap_graph_replace_value(g, f->out, f->layer->outputs[0], f->next));
done:
    return err;
}

static ap_err fold_layer(ap_model *m, ap_node *layer, const struct kind *kind, ap_pass_result *r) {
    fold f = {.m = m, .layer = layer, .out = layer->outputs[0], .kind = kind, .result = r};
    ap_tensor weight = {0}, bias = {0};
    ap_err err = NULL;
    if (!f.out || !only_reader(f.out) || !read_layer(&f)) goto done;
    f.a = ap_calloc(3 * f.channels, sizeof *f.a);
    f.d = f.a + f.channels;
    f.most = f.d + f.channels;
    for (size_t c = 0; c < f.channels; c++) f.a[c] = 1;
    take_chain(&f);
    if (!f.next) goto done;
    AP_TRY(make_constants(&f, &weight, &bias));
    AP_TRY(rewire(&f, &weight, &bias));
done:
    ap_tensor_free(&weight);
    ap_tensor_free(&bias);
    free(f.a);
    return err;
}

static ap_err fold_all(ap_model *m, const struct kind *kind, ap_pass_result *r) {
    ap_graph *g = m->graph;
    for (size_t i = 0; i < g->node_count; i++) {
        if (!is_layer(g->nodes[i])) continue;
        ap_err err = fold_layer(m, g->nodes[i], kind, r);
        if (err) return err;
    }
    if (r->changed) ap_graph_sweep(g);
    return NULL;
}

ap_err ap_pass_batchnorm(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    (void)c;
    return fold_all(m, &(struct kind){read_batchnorm, "bn"}, r);
}

ap_err ap_pass_affine(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    (void)c;
    return m->opset < 7 ? NULL
                        : fold_all(m, &(struct kind){read_arithmetic, "affine"}, r); // 6: other broadcasting
}
