// SPDX-License-Identifier: Apache-2.0
// What rarer operators take: quantised ones, attention, sampling.
#include "surgery/prove/prove_priv.h"

#include <string.h>

static int64_t last_dim(const ap_value_type *t) {
    return t->rank ? t->dims[t->rank - 1] : 1;
}

static void draw_epsilon(op_draw *q) {
    static const double list[] = {1e-5, 1e-3, 1e-6, 0.1};
    attr_real(q, "epsilon", list[choose(q->d->c, 4)]);
}

bool op_bias(op_draw *q) {
    const ap_value_type *x = first_type(q);
    int64_t n = x ? last_dim(x) : 0;
    return x && (!is_asked(q, 1) || want(q, 1, &n, 1));
}

bool op_dropout(op_draw *q) {
    int64_t training = chance(q->d->c, 30); // what comes out then is chance
    if (!first_type(q)) return false;
    attr_real(q, "ratio", 0.5);
    if (is_asked(q, 1)) {
        if (!want(q, 1, NULL, 0)) return false;
        q->in[1].lo = 0.125;
        q->in[1].hi = 0.5;
    }
    return !is_asked(q, 2) || want_list(q, 2, &training, 1, true);
}

bool op_square(op_draw *q) {
    const ap_value_type *x = first_type(q);
    return x &&
           (x->dims[x->rank - 1] == x->dims[x->rank - 2] || give_up(q->d, "a matrix that is not square"));
}

bool op_shift(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    ap_value_type t = *x;
    attr_text(q, "direction", chance(q->d->c, 50) ? "RIGHT" : "LEFT");
    return want_index(q, 1, t.dims, t.rank, 0, (int64_t)ap_dtype_bits(t.dtype) - 1);
}

// ---- quantised

bool op_matmul_integer(op_draw *q) {
    if (!op_matmul(q)) return false;
    const ap_value_type *a = &q->in[0].type, *b = &q->in[1].type;
    bool rows = a->rank == 2 && chance(q->d->c, 25), columns = b->rank == 2 && chance(q->d->c, 25);
    return (!is_asked(q, 2) || want(q, 2, a->dims, rows)) &&
           (!is_asked(q, 3) || want(q, 3, columns ? &b->dims[1] : NULL, columns));
}

bool op_quantize(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t n = (int64_t)x->rank, axis = n ? (int64_t)choose(q->d->c, (uint32_t)n) : 0;
    const ap_rule_arg *a = q->n->arg_count > 1 ? &q->n->args[1] : NULL;
    bool by_axis = a && a->type.has_dims ? a->type.dim_count == 1 : n && chance(q->d->c, 40);
    axis = attr_int(q, "axis", axis);
    if (axis < 0) axis += n;
    if (by_axis && (axis < 0 || axis >= n)) return give_up(q->d, "an axis outside of the rank");
    int64_t size = by_axis ? x->dims[axis] : 0;
    for (size_t i = 1; i < 3; i++)
        if (is_asked(q, i) && !want(q, i, &size, by_axis ? 1 : 0)) return false;
    q->in[1].lo = 0x1p-10; // a scale
    q->in[1].hi = 4;
    return !q->d->failed;
}

bool op_plain_first(op_draw *q) {
    return first_type(q) != NULL;
}

// ---- attention, norms with a sum in front

bool op_skip_norm(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    ap_value_type t = *x;
    int64_t n = last_dim(&t);
    draw_epsilon(q);
    if (!want(q, 1, t.dims, t.rank)) return false;
    for (size_t i = 2; i < q->s->input_count; i++)
        if (is_asked(q, i) && !want(q, i, &n, 1)) return false;
    return !q->d->failed;
}

bool op_attention(op_draw *q) {
    static const double scales[] = {0, 0.5, 1, 0.125};
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    ap_value_type t = *x;
    int64_t heads = 1, k[3] = {t.dims[0], -1, t.dims[2]};
    for (int64_t h = 2; h <= t.dims[2]; h++)
        if (t.dims[2] % h == 0 && chance(q->d->c, 40)) heads = h;
    heads = attr_int(q, "num_heads", heads);
    attr_real(q, "scale", scales[choose(q->d->c, 4)]);
    attr_real(q, "mask_filter_value", -10000);
    if (!want(q, 1, k, 3)) return false;
    k[1] = q->in[1].type.dims[1];
    k[2] = heads > 0 ? heads * (1 + (int64_t)choose(q->d->c, 4)) : -1;
    return want(q, 2, k, 3);
}

// ---- sampling

bool op_dft(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t rank = (int64_t)x->rank, axis = 1;
    if (rank < 3 || last_dim(x) > 2) return give_up(q->d, "no signal");
    attr_int(q, "inverse", last_dim(x) == 2 ? (int64_t)choose(q->d->c, 2) : 0);
    attr_int(q, "onesided", 0);
    if (q->d->opset >= 20) axis = chance(q->d->c, 60) ? 1 : chance(q->d->c, 50) ? -2 : 0;
    return !is_asked(q, 2) || want_list(q, 2, &axis, 1, true);
}

bool op_grid_sample(op_draw *q) {
    static const char *const old[] = {"bilinear", "nearest", "bicubic"},
                             *const now[] = {"linear", "nearest", "cubic"},
                             *const pads[] = {"zeros", "border", "reflection"};
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    size_t rank = x->rank;
    int64_t dims[AP_MAX_RANK];
    const char *const *modes = q->d->opset >= 20 ? now : old;
    attr_text(q, "mode", modes[choose(q->d->c, rank == 4 ? 3 : 2)]);
    attr_text(q, "padding_mode", pads[choose(q->d->c, 3)]);
    attr_int(q, "align_corners", (int64_t)choose(q->d->c, 2));
    dims[0] = x->dims[0];
    for (size_t i = 1; i + 1 < rank; i++) dims[i] = -1;
    dims[rank - 1] = (int64_t)rank - 2;
    if (!want(q, 1, dims, rank)) return false;
    q->in[1].lo = -1.375; // a little outside of the picture, too
    q->in[1].hi = 1.375;
    return !q->d->failed;
}

// Transforms of planes [n,2,3] or volumes [n,3,4].
bool op_affine_grid(op_draw *q) {
    const ap_value_type *theta = first_type(q);
    if (!theta || theta->dims[2] != theta->dims[1] + 1 || theta->dims[1] < 2 || theta->dims[1] > 3)
        return false;
    size_t axes = (size_t)theta->dims[1];
    int64_t size[5] = {theta->dims[0], draw_dim(q->d), draw_dim(q->d), draw_dim(q->d), draw_dim(q->d)};
    attr_int(q, "align_corners", (int64_t)choose(q->d->c, 2));
    return want_list(q, 1, size, 2 + axes, false);
}

bool op_roi_align(op_draw *q) {
    static const double scales[] = {1, 0.5, 2, 0.25};
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    ap_value_type t = *x;
    int64_t boxes[2] = {-1, 4};
    attr_text(q, "coordinate_transformation_mode", chance(q->d->c, 50) ? "output_half_pixel" : "half_pixel");
    attr_text(q, "mode", chance(q->d->c, 30) ? "max" : "avg");
    attr_int(q, "output_height", 1 + (int64_t)choose(q->d->c, 4));
    attr_int(q, "output_width", 1 + (int64_t)choose(q->d->c, 4));
    attr_int(q, "sampling_ratio", (int64_t)choose(q->d->c, 4));
    attr_real(q, "spatial_scale", scales[choose(q->d->c, 4)]);
    if (!want(q, 1, boxes, 2)) return false;
    q->in[1].lo = 0;
    q->in[1].hi = (double)t.dims[3] + 2;
    int64_t n = q->in[1].type.dims[0];
    return want_index(q, 2, &n, 1, 0, t.dims[0] - 1);
}

bool op_deform_conv(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    ap_value_type t = *x;
    int64_t k[2], s[2], p[4], d[2], out[2];
    for (size_t i = 0; i < 2; i++) {
        k[i] = 1 + (int64_t)choose(q->d->c, t.dims[i + 2] < 3 ? (uint32_t)t.dims[i + 2] : 3);
        s[i] = 1 + (int64_t)choose(q->d->c, 2);
        d[i] = 1;
        p[i] = p[i + 2] = k[i] > 1 ? (int64_t)choose(q->d->c, 2) : 0;
    }
    size_t two = 2, four = 4;
    attr_int(q, "group", 1);
    attr_int(q, "offset_group", 1);
    if (!attr_ints(q, "kernel_shape", k, &two, 4) || !attr_ints(q, "strides", s, &two, 4)) return false;
    if (!attr_ints(q, "dilations", d, &two, 4) || !attr_ints(q, "pads", p, &four, 4)) return false;
    for (size_t i = 0; i < 2; i++)
        out[i] = (t.dims[i + 2] + p[i] + p[i + 2] - (k[i] - 1) * d[i] - 1) / s[i] + 1;
    int64_t w[4] = {-1, t.dims[1], k[0], k[1]}, f[4] = {t.dims[0], 2 * k[0] * k[1], out[0], out[1]};
    if (out[0] < 1 || out[1] < 1 || !want(q, 1, w, 4) || !want(q, 2, f, 4)) return false;
    q->in[2].lo = -2;
    q->in[2].hi = 2;
    int64_t channels = q->in[1].type.dims[0];
    if (is_asked(q, 3) && !want(q, 3, &channels, 1)) return false;
    f[1] = k[0] * k[1];
    return !is_asked(q, 4) || want(q, 4, f, 4);
}

// ---- the rest

bool op_eye(op_draw *q) {
    static const ap_dtype types[] = {AP_F32, AP_F16, AP_I64, AP_I32};
    if (!first_type(q)) return false;
    attr_int(q, "k", (int64_t)choose(q->d->c, 7) - 3);
    attr_int(q, "dtype", (int64_t)types[choose(q->d->c, 4)]);
    return !q->d->failed;
}

bool op_compress(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t axis = attr_int(q, "axis", (int64_t)choose(q->d->c, (uint32_t)x->rank)), list[32], any = 0;
    if (axis < 0) axis += (int64_t)x->rank;
    if (axis < 0 || axis >= (int64_t)x->rank || x->dims[axis] > 32)
        return give_up(q->d, "an axis outside of the rank");
    for (int64_t i = 0; i < x->dims[axis]; i++) any |= list[i] = (int64_t)choose(q->d->c, 2);
    if (!any) list[0] = 1;
    return want_list(q, 1, list, (size_t)x->dims[axis], false);
}

bool op_reverse(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t batch = attr_int(q, "batch_axis", 1 - (int64_t)choose(q->d->c, 2)),
            time = attr_int(q, "time_axis", 1 - batch);
    if (batch == time || batch > 1 || time > 1 || batch < 0 || time < 0)
        return give_up(q->d, "one axis for two things");
    int64_t n = x->dims[batch], most = x->dims[time];
    return want_index(q, 1, &n, 1, 1, most);
}
