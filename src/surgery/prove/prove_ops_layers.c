// SPDX-License-Identifier: Apache-2.0
// What layers take: windows, matrices, norms.
#include "surgery/prove/prove_priv.h"

#include <string.h>

// ---- windows

typedef struct window {
    size_t spatial;
    int64_t kernel[8], strides[8], dilations[8], pads[16];
    bool whole; // auto_pad decides the pads
} window;

// Kernel, strides, dilations and pads that fit the data `x`. `dilated`: the operator knows dilations.
static void draw_window(op_draw *q, const ap_value_type *x, bool padded, window *w) {
    choices *c = q->d->c;
    *w = (window){.spatial = x->rank - 2};
    for (size_t i = 0; i < w->spatial; i++) {
        int64_t room = x->dims[i + 2];
        w->kernel[i] = 1 + (int64_t)choose(c, room > 4 ? 4 : room > 0 ? (uint32_t)room : 1);
        w->strides[i] = 1 + (int64_t)choose(c, 3);
        w->dilations[i] = w->kernel[i] > 1 && (w->kernel[i] - 1) * 2 < room + 2 && chance(c, 30) ? 2 : 1;
        int64_t span = (w->kernel[i] - 1) * w->dilations[i] + 1;
        for (int side = 0; side < 2; side++)
            if (padded && chance(c, 40))
                w->pads[i + (size_t)side * w->spatial] =
                    (int64_t)choose(c, (uint32_t)(w->kernel[i] < 8 ? w->kernel[i] : 8));
        while (w->kernel[i] > 1 && span > room + w->pads[i] + w->pads[i + w->spatial]) {
            w->dilations[i] = 1;
            w->kernel[i]--;
            span = w->kernel[i];
            if (w->pads[i] >= w->kernel[i]) w->pads[i] = w->kernel[i] - 1;
            if (w->pads[i + w->spatial] >= w->kernel[i]) w->pads[i + w->spatial] = w->kernel[i] - 1;
        }
    }
}

static bool write_window(op_draw *q, window *w, size_t rank) {
    size_t n = w->spatial, twice = 2 * w->spatial;
    const char *aut = attr_text(q, "auto_pad", chance(q->d->c, 20) ? "SAME_UPPER" : "NOTSET");
    w->whole = strcmp(aut, "NOTSET") != 0;
    if (!attr_ints(q, "kernel_shape", w->kernel, &n, rank) || n != w->spatial) return false;
    if (!attr_ints(q, "strides", w->strides, &n, rank) || n != w->spatial) return false;
    if (ap_op_attr_find(q->s, "dilations", 0) &&
        (!attr_ints(q, "dilations", w->dilations, &n, rank) || n != w->spatial))
        return false;
    if (w->whole) return !q->d->failed;
    return attr_ints(q, "pads", w->pads, &twice, rank) && !q->d->failed;
}

bool op_pool(op_draw *q) {
    window w;
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    draw_window(q, x, true, &w);
    if (!write_window(q, &w, x->rank)) return give_up(q->d, "a window that does not fit");
    attr_int(q, "ceil_mode", (int64_t)choose(q->d->c, 2));
    if (!strcmp(q->op, "AveragePool")) attr_int(q, "count_include_pad", (int64_t)choose(q->d->c, 2));
    if (!strcmp(q->op, "LpPool")) attr_int(q, "p", 1 + (int64_t)choose(q->d->c, 3));
    return !q->d->failed;
}

bool op_global(op_draw *q) {
    if (!first_type(q)) return false;
    if (!strcmp(q->op, "GlobalLpPool")) attr_int(q, "p", 1 + (int64_t)choose(q->d->c, 3));
    return !q->d->failed;
}

bool op_conv(op_draw *q) {
    window w;
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    size_t rank = x->rank;
    bool transposed = !strcmp(q->op, "ConvTranspose");
    int64_t channels = x->dims[1], groups = 1, dims[AP_MAX_RANK];
    if (channels > 1 && chance(q->d->c, 30)) groups = channels % 2 == 0 && chance(q->d->c, 50) ? 2 : channels;
    groups = attr_int(q, "group", groups);
    if (groups < 1 || channels % groups)
        return give_up(q->d, "%lld channels in %lld groups", (long long)channels, (long long)groups);
    draw_window(q, x, true, &w);
    if (!write_window(q, &w, rank)) return give_up(q->d, "a window that does not fit");
    if (transposed) {
        size_t n = w.spatial;
        int64_t none[8] = {0};
        for (size_t i = 0; i < n; i++)
            if (w.strides[i] > 1 && chance(q->d->c, 20)) none[i] = 1;
        if (!attr_ints(q, "output_padding", none, &n, rank)) return false;
    }
    int64_t each = 1 + (int64_t)choose(q->d->c, 3);
    dims[0] = transposed ? channels : each * groups;
    dims[1] = transposed ? each : channels / groups;
    for (size_t i = 0; i < w.spatial; i++) dims[i + 2] = w.kernel[i];
    if (!want(q, 1, dims, rank)) return false;
    int64_t out = transposed ? q->in[1].type.dims[1] * groups : q->in[1].type.dims[0];
    return !is_asked(q, 2) || want(q, 2, &out, 1);
}

// ---- matrices

bool op_matmul(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    size_t rank = x->rank, other = rank < 2 ? 2 : chance(q->d->c, 30) ? 2 : rank;
    int64_t dims[AP_MAX_RANK];
    for (size_t i = 0; i + 2 < other; i++) dims[i] = chance(q->d->c, 15) ? 1 : x->dims[i];
    dims[other - 2] = x->dims[rank - 1];
    dims[other - 1] = -1;
    return want(q, 1, dims, other);
}

bool op_gemm(op_draw *q) {
    const ap_value_type *x = first_type(q);
    static const double scales[] = {1, 2, 0.5, 0.75, 3, 0.1, -1, 0};
    if (!x) return false;
    bool ta = attr_int(q, "transA", (int64_t)choose(q->d->c, 2)) != 0;
    bool tb = attr_int(q, "transB", (int64_t)choose(q->d->c, 2)) != 0;
    attr_real(q, "alpha", scales[choose(q->d->c, 8)]);
    attr_real(q, "beta", scales[choose(q->d->c, 8)]);
    int64_t m = x->dims[ta ? 1 : 0], k = x->dims[ta ? 0 : 1], dims[2] = {tb ? -1 : k, tb ? k : -1};
    if (!want(q, 1, dims, 2)) return false;
    int64_t n = q->in[1].type.dims[tb ? 0 : 1], shapes[4][2] = {{m, n}, {1, n}, {m, 1}, {1, 1}};
    if (!is_asked(q, 2)) return !q->d->failed;
    uint32_t how = choose(q->d->c, 6);
    return how == 4 ? want(q, 2, &n, 1) : how == 5 ? want(q, 2, NULL, 0) : want(q, 2, shapes[how], 2);
}

// ---- norms

static void draw_epsilon(op_draw *q) {
    static const double list[] = {1e-5, 1e-3, 1e-6, 0.1};
    attr_real(q, "epsilon", list[choose(q->d->c, 4)]);
}

bool op_batchnorm(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t channels = x->dims[1];
    draw_epsilon(q);
    attr_int(q, "training_mode", 0);
    for (size_t i = 1; i < 5; i++)
        if (!want(q, i, &channels, 1)) return false;
    q->in[4].lo = 0; // a variance
    return !q->d->failed;
}

bool op_instancenorm(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t channels = x->dims[1];
    draw_epsilon(q);
    return want(q, 1, &channels, 1) && want(q, 2, &channels, 1) && !q->d->failed;
}

bool op_layernorm(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t n = (int64_t)x->rank, axis = -1 - (int64_t)choose(q->d->c, (uint32_t)x->rank);
    if (chance(q->d->c, 40)) axis += n;
    axis = attr_int(q, "axis", axis);
    attr_int(q, "stash_type", 1);
    draw_epsilon(q);
    if (axis < 0) axis += n;
    if (axis < 0 || axis >= n) return give_up(q->d, "an axis outside of the rank");
    ap_value_type t = *x;
    for (size_t i = 1; i < q->s->input_count; i++) {
        if (!is_asked(q, i)) continue;
        const int64_t *dims = t.dims + axis;
        size_t rank = t.rank - (size_t)axis;
        int64_t ones[AP_MAX_RANK];
        for (size_t k = 0; k < rank; k++) ones[k] = chance(q->d->c, 50) ? 1 : dims[k];
        uint32_t how = choose(q->d->c, 8); // ONNX Runtime broadcasts them
        if (how == 7) dims = ones;
        if (how == 6 && rank > 1) dims += 1, rank -= 1;
        if (!want(q, i, dims, rank)) return false;
    }
    return !q->d->failed;
}

bool op_groupnorm(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t channels = x->dims[1], groups = 1;
    for (int64_t g = 2; g <= channels; g++)
        if (channels % g == 0 && chance(q->d->c, 40)) groups = g;
    groups = attr_int(q, "num_groups", groups);
    draw_epsilon(q);
    attr_int(q, "stash_type", 1);
    int64_t each = q->d->opset >= 21 ? channels : groups;
    return want(q, 1, &each, 1) && want(q, 2, &each, 1) && !q->d->failed;
}
