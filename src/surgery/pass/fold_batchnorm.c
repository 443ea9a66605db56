// SPDX-License-Identifier: Apache-2.0
// The pass `batchnorm`.
//
// In inference BatchNormalization is y = a x + d for each channel, with a = scale / sqrt(var + epsilon) and
// d = B - mean a. Behind a layer that is linear in its weights and has one weight slice for each channel
// (Conv, ConvTranspose, Gemm) it goes into weights and bias. Computed in double, rounded once.
#include "graph/nodes.h"
#include "surgery/pass/pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct fold_bn {
    ap_model *m;
    ap_node *bn, *layer;
    ap_tensor weight, bias; // bias.dtype NONE: there is none
    size_t channels;
    double *a, *d; // per channel
    size_t groups; // ConvTranspose
    bool by_row;   // Gemm: the weight has a row for each channel
    double beta;   // Gemm: of its bias
} fold_bn;

static float attr_float(const ap_node *n, const char *name, float fallback) {
    const Onnx__AttributeProto *at = ap_node_attr(n, name);
    return at && at->has_f ? at->f : fallback;
}

static bool floats(ap_model *m, const ap_node *n, size_t i, ap_tensor *t) {
    return i < n->input_count && ap_pass_constant(m, n->inputs[i], t) && t->dtype == AP_F32;
}

// Is it the only one who reads what the layer makes?
static ap_node *layer_before(const ap_node *bn) {
    const ap_value *x = bn->input_count ? bn->inputs[0] : NULL;
    if (!x || !x->producer || x->use_count != 1 || x->is_output || x->used_by_subgraph) return NULL;
    ap_node *n = x->producer;
    return ap_node_is(n, "Conv") || ap_node_is(n, "ConvTranspose") || ap_node_is(n, "Gemm") ? n : NULL;
}

// One output, statistics given, one number for each channel.
static bool is_inference(const ap_model *m, const ap_node *n) {
    if (m->opset < 7 || ap_node_attr_int(n, "training_mode", 0) || !ap_node_attr_int(n, "spatial", 1))
        return false;
    for (size_t k = 1; k < n->output_count; k++)
        if (n->outputs[k]) return false;
    return n->output_count > 0 && n->outputs[0];
}

static bool read_statistics(fold_bn *f) {
    ap_tensor t[4];
    for (size_t i = 0; i < 4; i++)
        if (!floats(f->m, f->bn, i + 1, &t[i]) || t[i].rank != 1 || t[i].dims[0] != t[0].dims[0])
            return false;
    double epsilon = (double)attr_float(f->bn, "epsilon", 1e-5f);
    f->channels = (size_t)t[0].dims[0];
    f->a = ap_calloc(f->channels + 1, sizeof *f->a);
    f->d = ap_calloc(f->channels + 1, sizeof *f->d);
    for (size_t c = 0; c < f->channels; c++) {
        double var = ap_tensor_at(&t[3], c) + epsilon;
        f->a[c] = ap_tensor_at(&t[0], c) / sqrt(var);
        f->d[c] = ap_tensor_at(&t[1], c) - ap_tensor_at(&t[2], c) * f->a[c];
        if (!(var > 0) || !isfinite(f->a[c]) || !isfinite(f->d[c])) return false;
    }
    return f->channels > 0;
}

// Do weights and bias have the form that goes with this number of channels?
static bool read_layer(fold_bn *f) {
    const ap_node *n = f->layer;
    const ap_tensor *w = &f->weight, *b = &f->bias;
    bool has_bias = n->input_count > 2 && n->inputs[2];
    if (!floats(f->m, n, 1, &f->weight) || w->rank < 2) return false;
    if (has_bias && !floats(f->m, n, 2, &f->bias)) return false;
    size_t count = has_bias ? ap_tensor_count(b) : 0;
    f->beta = 1;
    if (ap_node_is(n, "Conv"))
        return (size_t)w->dims[0] == f->channels && (!has_bias || count == f->channels);
    if (ap_node_is(n, "ConvTranspose")) {
        int64_t groups = ap_node_attr_int(n, "group", 1);
        f->groups = groups > 0 ? (size_t)groups : 0;
        return f->groups && (size_t)w->dims[0] % f->groups == 0 &&
               (size_t)w->dims[1] * f->groups == f->channels && (!has_bias || count == f->channels);
    }
    f->by_row = ap_node_attr_int(n, "transB", 0) != 0;
    f->beta = (double)attr_float(n, "beta", 1);
    if (w->rank != 2 || (size_t)w->dims[f->by_row ? 0 : 1] != f->channels) return false;
    if (!has_bias || count == 1) return true;
    return count == f->channels && (size_t)b->dims[b->rank - 1] == f->channels; // one row for all
}

static size_t channel_of(const fold_bn *f, size_t i) {
    const ap_tensor *w = &f->weight;
    size_t count = ap_tensor_count(w), rows = (size_t)w->dims[0];
    if (ap_node_is(f->layer, "Conv") || f->by_row) return i / (count / rows);
    if (!f->groups) return i % f->channels; // Gemm: columns
    size_t per_group = (size_t)w->dims[1], slice = count / rows, kernel = slice / per_group;
    size_t group = i / slice / (rows / f->groups);
    return group * per_group + i / kernel % per_group;
}

static ap_err make_constants(fold_bn *f, ap_tensor *weight, ap_tensor *bias) {
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

static ap_err rewire(fold_bn *f, const ap_tensor *weight, const ap_tensor *bias) {
    ap_graph *g = f->m->graph;
    ap_arena *a = &f->m->arena;
    ap_value *w = NULL, *b = NULL;
    const char *w_name = ap_arena_printf(a, "%s~bn", f->layer->inputs[1]->name);
    const char *b_name = ap_arena_printf(a, "%s~bn_bias", f->layer->inputs[1]->name);
    ap_err err = NULL;
    AP_TRY(ap_graph_add_initializer(g, w_name, weight, &w));
    AP_TRY(ap_graph_add_initializer(g, b_name, bias, &b));
    AP_TRY(ap_node_set_input(g, f->layer, 1, w));
    AP_TRY(ap_node_set_input(g, f->layer, 2, b));
    if (ap_node_attr(f->layer, "beta")) ap_node_drop_attr(g, f->layer, "beta");
    AP_TRY(ap_graph_replace_value(g, f->bn->outputs[0], f->bn->inputs[0], f->bn));
done:
    return err;
}

static ap_err fold_one(ap_model *m, ap_node *bn, ap_pass_result *r) {
    fold_bn f = {.m = m, .bn = bn, .layer = layer_before(bn)};
    ap_tensor weight = {0}, bias = {0};
    ap_err err = NULL;
    if (!f.layer || !is_inference(m, bn) || !read_statistics(&f) || !read_layer(&f)) goto done;
    AP_TRY(make_constants(&f, &weight, &bias));
    ap_pass_touch(r, f.layer->op);
    AP_TRY(rewire(&f, &weight, &bias));
done:
    ap_tensor_free(&weight);
    ap_tensor_free(&bias);
    free(f.a);
    free(f.d);
    return err;
}

ap_err ap_pass_batchnorm(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    ap_graph *g = m->graph;
    (void)c;
    for (size_t i = 0; i < g->node_count; i++) {
        if (!ap_node_is(g->nodes[i], "BatchNormalization")) continue;
        ap_err err = fold_one(m, g->nodes[i], r);
        if (err) return err;
    }
    if (r->changed) ap_graph_sweep(g);
    return NULL;
}
