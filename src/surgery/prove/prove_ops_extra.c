// SPDX-License-Identifier: Apache-2.0
// What still rarer operators take: recurrences, older and newer scatters, pools by place.
#include "surgery/prove/prove_priv.h"

#include <string.h>

static int64_t between(op_draw *q, int64_t lo, int64_t hi) {
    return lo + (int64_t)choose(q->d->c, (uint32_t)(hi - lo + 1));
}
// ---- sampling

static bool op_roi_pool(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x || x->dims[0] < 1) return false;
    int64_t rois[2] = {between(q, 1, 4), 5}, pooled[2] = {between(q, 1, 3), between(q, 1, 3)};
    size_t two = 2;
    attr_real(q, "spatial_scale", chance(q->d->c, 50) ? 0.5 : 1);
    if (!attr_ints(q, "pooled_shape", pooled, &two, 4) || !want(q, 1, rois, 2)) return false;
    q->in[1].role = ROLE_LIST;
    for (size_t i = 0; i < 5 * (size_t)q->in[1].type.dims[0] && i < 32; i++)
        q->in[1].list[i] = i % 5 ? (double)between(q, -1, 9) : (double)between(q, 0, x->dims[0] - 1);
    return !q->d->failed;
}

static bool op_unpool(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x || x->rank != 4) return false;
    int64_t k[2], s[2], total = x->dims[0] * x->dims[1];
    size_t two = 2;
    for (size_t i = 0; i < 2; i++) {
        k[i] = between(q, 1, 3);
        s[i] = between(q, 1, 2);
        total *= (x->dims[i + 2] - 1) * s[i] + k[i];
    }
    if (!attr_ints(q, "kernel_shape", k, &two, 4) || !attr_ints(q, "strides", s, &two, 4)) return false;
    return total > 0 && want_index(q, 1, x->dims, 4, 0, total - 1);
}

// ---- moving data

static bool op_old_scatter(op_draw *q) {
    const ap_value_type *x = first_type(q);
    int64_t dims[AP_MAX_RANK];
    if (!x) return false;
    int64_t axis = attr_int(q, "axis", between(q, 0, (int64_t)x->rank - 1)),
            size = x->dims[axis < 0 ? 0 : axis];
    for (size_t i = 0; i < x->rank; i++) dims[i] = between(q, 1, x->dims[i] > 0 ? x->dims[i] : 1);
    return want_index(q, 1, dims, x->rank, 0, size - 1) && want(q, 2, dims, x->rank);
}

static bool op_tensor_scatter(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x || x->rank < 3) return false;
    int64_t rank = (int64_t)x->rank, axis = attr_int(q, "axis", between(q, 1 - rank, -1)), dims[AP_MAX_RANK];
    if (axis < 0) axis += rank;
    memcpy(dims, x->dims, x->rank * sizeof *dims);
    dims[axis] = between(q, 1, x->dims[axis] > 1 && chance(q->d->c, 30) ? 2 : 1);
    return want(q, 1, dims, x->rank) && want_index(q, 2, x->dims, 1, 0, x->dims[axis] - dims[axis]);
}

// ---- layers

static bool op_rotary(op_draw *q) {
    int64_t heads = between(q, 1, 3), half = between(q, 1, 4), rows = between(q, 1, 5),
            x[3] = {between(q, 1, 3), between(q, 1, 4), heads * half * 2}, cache[2] = {rows, half};
    if (!want(q, 0, x, 3)) return false;
    attr_int(q, "num_heads", chance(q->d->c, 50) ? heads : 0);
    return want_index(q, 1, x, 2, 0, rows - 1) && want(q, 2, cache, 2) && want(q, 3, cache, 2);
}

static bool op_recurrent(op_draw *q) {
    static const char *const ways[] = {"forward", "reverse", "bidirectional"};
    const ap_value_type *x = first_type(q);
    if (!x || x->rank != 3) return false;
    int64_t gates = !strcmp(q->op, "LSTM") ? 4 : !strcmp(q->op, "GRU") ? 3 : 1, hidden = between(q, 1, 3);
    int64_t directions = strcmp(attr_text(q, "direction", ways[choose(q->d->c, 3)]), "bidirectional") ? 1 : 2;
    int64_t w[3] = {directions, gates * hidden, x->dims[2]}, r[3] = {directions, gates * hidden, hidden},
            b[2] = {directions, 2 * gates * hidden}, h[3] = {directions, x->dims[1], hidden},
            p[2] = {directions, 3 * hidden};
    attr_int(q, "hidden_size", hidden);
    attr_int(q, "layout", 0);
    if (gates == 3) attr_int(q, "linear_before_reset", (int64_t)choose(q->d->c, 2));
    if (gates == 4) attr_int(q, "input_forget", (int64_t)choose(q->d->c, 2));
    if (chance(q->d->c, 20)) attr_real(q, "clip", 0.5);
    if (!want(q, 1, w, 3) || !want(q, 2, r, 3) || (is_asked(q, 3) && !want(q, 3, b, 2))) return false;
    if (is_asked(q, 4) && !want_index(q, 4, &x->dims[1], 1, 1, x->dims[0])) return false;
    for (size_t i = 5; i < 7 && i < q->s->input_count; i++)
        if (is_asked(q, i) && !want(q, i, h, 3)) return false;
    return gates != 4 || !is_asked(q, 7) || want(q, 7, p, 2);
}

static const op_domain table[] = {
    {" MaxRoiPool ", "4", op_roi_pool, 4, 4, false},
    {" MaxUnpool ", "4", op_unpool, 4, 4, false},
    {" Scatter ", "fi", op_old_scatter, 1, 3, false},
    {" TensorScatter ", "4", op_tensor_scatter, 3, 4, false},
    {" RotaryEmbedding ", "4", op_rotary, 3, 3, false},
    {" RNN GRU LSTM ", "4", op_recurrent, 3, 3, true},
};

const op_domain *op_domain_extra(const char *key) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strstr(table[i].ops, key)) return &table[i];
    return NULL;
}
