// SPDX-License-Identifier: Apache-2.0
// What operators that move data take.
#include "surgery/prove/prove_priv.h"

#include <stdio.h>
#include <string.h>

static bool one_of(op_draw *q, const char *name, const char *const *list, uint32_t n, const char **out) {
    *out = attr_text(q, name, list[choose(q->d->c, n)]);
    return !q->d->failed;
}

bool op_pad(op_draw *q) {
    static const char *const modes[] = {"constant", "edge", "reflect", "wrap"};
    const char *mode;
    const ap_value_type *x = first_type(q);
    if (!x || !one_of(q, "mode", modes, q->d->opset >= 19 ? 4 : 3, &mode)) return false;
    size_t rank = x->rank, axes_count = rank;
    int64_t pads[32] = {0}, axes[16], dims[16];
    memcpy(dims, x->dims, rank * sizeof *dims);
    for (size_t i = 0; i < rank; i++) axes[i] = chance(q->d->c, 30) ? (int64_t)i - (int64_t)rank : (int64_t)i;
    bool some = rank > 1 && q->s->inputs[3].since <= q->d->opset && q->n->arg_count > 3 && is_asked(q, 3);
    if (some) {
        size_t first = choose(q->d->c, (uint32_t)rank);
        axes_count = 1 + choose(q->d->c, (uint32_t)(rank - first));
        memmove(axes, axes + first, axes_count * sizeof *axes);
        memmove(dims, dims + first, axes_count * sizeof *dims);
    }
    bool constant = !strcmp(mode, "constant"), reflect = !strcmp(mode, "reflect");
    for (size_t i = 0; i < 2 * axes_count; i++) {
        int64_t size = dims[i % axes_count], most = constant ? 3 : reflect ? size - 1 : size;
        if (!chance(q->d->c, 45)) continue;
        if (most > 0) pads[i] = 1 + (int64_t)choose(q->d->c, (uint32_t)(most < 3 ? most : 3));
        if (size > 2 && chance(q->d->c, 8)) pads[i] = -1;
    }
    if (!want_list(q, 1, pads, 2 * axes_count, false)) return false;
    if (constant && is_asked(q, 2) && !want(q, 2, NULL, 0)) return false;
    return !some || want_list(q, 3, axes, axes_count, false);
}

bool op_slice(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    size_t rank = x->rank, n = 0;
    int64_t starts[16], ends[16], axes[16], steps[16];
    bool with_axes = is_asked(q, 3), with_steps = with_axes && is_asked(q, 4);
    for (size_t i = 0; i < rank; i++) {
        if (with_axes && !chance(q->d->c, 60)) continue;
        int64_t size = x->dims[i];
        axes[n] = with_axes && chance(q->d->c, 30) ? (int64_t)i - (int64_t)rank : (int64_t)i;
        steps[n] = with_steps ? 1 + (int64_t)choose(q->d->c, 3) : 1;
        starts[n] = size > 0 ? (int64_t)choose(q->d->c, (uint32_t)size) : 0;
        ends[n] =
            starts[n] + 1 + (int64_t)choose(q->d->c, (uint32_t)(size - starts[n] > 0 ? size - starts[n] : 1));
        if (chance(q->d->c, 15)) ends[n] = INT64_MAX;
        if (with_steps && chance(q->d->c, 15)) { // backwards
            steps[n] = -1;
            starts[n] = -1;
            ends[n] = INT64_MIN;
        }
        n++;
    }
    if (!n) {
        starts[0] = 0;
        ends[0] = x->dims[0];
        axes[0] = 0;
        steps[0] = 1;
        n = 1;
    }
    if (!want_list(q, 1, starts, n, false) || !want_list(q, 2, ends, n, false)) return false;
    if (with_axes && !want_list(q, 3, axes, n, false)) return false;
    return !with_steps || want_list(q, 4, steps, n, false);
}

bool op_concat(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    ap_value_type t = *x;
    int64_t axis = (int64_t)choose(q->d->c, (uint32_t)t.rank);
    if (chance(q->d->c, 40)) axis -= (int64_t)t.rank;
    axis = attr_int(q, "axis", axis);
    if (axis < 0) axis += (int64_t)t.rank;
    if (axis < 0 || axis >= (int64_t)t.rank) return give_up(q->d, "an axis outside of the rank");
    bool open = q->n->arg_count && q->n->args[q->n->arg_count - 1].kind == AP_ARG_REST;
    size_t n = open ? 1 + choose(q->d->c, 4) : q->n->arg_count;
    for (size_t i = 1; i < n; i++) {
        t.dims[axis] = -1;
        if (!want(q, i, t.dims, t.rank)) return false;
    }
    return !q->d->failed;
}

bool op_split(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    ap_value_type t = *x;
    int64_t axis = attr_int(q, "axis", (int64_t)choose(q->d->c, (uint32_t)t.rank)), parts[16], left;
    if (axis < 0) axis += (int64_t)t.rank;
    if (axis < 0 || axis >= (int64_t)t.rank) return give_up(q->d, "an axis outside of the rank");
    size_t n = q->n->out_count;
    left = t.dims[axis];
    if (n > 16 || left < (int64_t)n) return give_up(q->d, "too little to split");
    bool even = left % (int64_t)n == 0;
    if (even && !(q->n->arg_count > 1 && is_asked(q, 1)) &&
        (q->d->opset < 18 || attr_is_free(q, "num_outputs"))) {
        if (q->d->opset >= 18) attr_int(q, "num_outputs", (int64_t)n);
        return !q->d->failed;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        parts[i] = 1 + (int64_t)choose(q->d->c, (uint32_t)(left - (int64_t)(n - 1 - i)));
        left -= parts[i];
    }
    parts[n - 1] = left;
    return want_list(q, 1, parts, n, false);
}

bool op_squeeze(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t axes[16];
    size_t n = 0, rank = x->rank;
    if (!strcmp(q->op, "Unsqueeze")) {
        axes[n++] =
            (int64_t)choose(q->d->c, (uint32_t)rank + 1) - (chance(q->d->c, 40) ? (int64_t)rank + 1 : 0);
        return want_list(q, 1, axes, n, false);
    }
    for (size_t i = 0; i < rank; i++)
        if (x->dims[i] == 1 && chance(q->d->c, 80)) axes[n++] = (int64_t)i;
    if (!is_asked(q, 1)) return !q->d->failed;
    return n ? want_list(q, 1, axes, n, false) : give_up(q->d, "nothing to squeeze");
}

bool op_reshape(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t dims[16], count = 1;
    size_t n = 0;
    for (size_t i = 0; i < x->rank; i++) count *= x->dims[i];
    if (!count) return give_up(q->d, "nothing to reshape");
    for (int64_t left = count, f = 2; left > 1 && n < 5;) { // the factors, some of them joined
        while (left % f) f++;
        if (n && chance(q->d->c, 50))
            dims[n - 1] *= f;
        else
            dims[n++] = f;
        left /= f;
        if (n == 5 && left > 1) {
            dims[4] *= left;
            break;
        }
    }
    if (!n || chance(q->d->c, 20)) dims[n++] = 1;
    if (chance(q->d->c, 30)) dims[choose(q->d->c, (uint32_t)n)] = -1;
    attr_int(q, "allowzero", 0);
    return want_list(q, 1, dims, n, false);
}

bool op_transpose(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t perm[AP_MAX_RANK];
    size_t n = x->rank;
    for (size_t i = 0; i < n; i++) perm[i] = (int64_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t k = choose(q->d->c, (uint32_t)i);
        int64_t p = perm[i - 1];
        perm[i - 1] = perm[k];
        perm[k] = p;
    }
    return attr_ints(q, "perm", perm, &n, n);
}

bool op_expand(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t dims[AP_MAX_RANK];
    size_t n = 0;
    if (x->rank < 5 && chance(q->d->c, 40)) dims[n++] = 1 + (int64_t)choose(q->d->c, 3);
    for (size_t i = 0; i < x->rank; i++)
        dims[n++] = x->dims[i] == 1 ? 1 + (int64_t)choose(q->d->c, 4) : chance(q->d->c, 30) ? 1 : x->dims[i];
    return want_list(q, 1, dims, n, false);
}

bool op_tile(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t list[AP_MAX_RANK];
    for (size_t i = 0; i < x->rank; i++) list[i] = chance(q->d->c, 40) ? 1 + (int64_t)choose(q->d->c, 4) : 1;
    return want_list(q, 1, list, x->rank, false);
}

// ---- indices

static int64_t draw_axis(op_draw *q, size_t rank, int64_t *raw) {
    int64_t axis = (int64_t)choose(q->d->c, (uint32_t)rank);
    if (chance(q->d->c, 40)) axis -= (int64_t)rank;
    axis = *raw = attr_int(q, "axis", axis);
    return axis < 0 ? axis + (int64_t)rank : axis;
}

bool op_gather(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    ap_value_type t = *x;
    int64_t raw, dims[AP_MAX_RANK];
    if (!strcmp(q->op, "GatherND")) {
        size_t batch = t.rank > 1 && chance(q->d->c, 30) ? 1 : 0;
        batch = (size_t)attr_int(q, "batch_dims", (int64_t)batch);
        if (batch >= t.rank) return give_up(q->d, "more batch dims than axes");
        size_t deep = 1 + choose(q->d->c, (uint32_t)(t.rank - batch));
        int64_t least = t.dims[batch];
        for (size_t i = batch; i < batch + deep; i++) least = t.dims[i] < least ? t.dims[i] : least;
        for (size_t i = 0; i < batch; i++) dims[i] = t.dims[i];
        dims[batch] = -1;
        dims[batch + 1] = (int64_t)deep;
        return least > 0 && want_index(q, 1, dims, batch + 2, -least, least - 1);
    }
    int64_t axis = draw_axis(q, t.rank, &raw);
    if (axis < 0 || axis >= (int64_t)t.rank || !t.dims[axis])
        return give_up(q->d, "an axis outside of the rank");
    int64_t size = t.dims[axis];
    if (strcmp(q->op, "Gather") != 0) {
        for (size_t i = 0; i < t.rank; i++) dims[i] = (int64_t)i == axis ? -1 : t.dims[i];
        return want_index(q, 1, dims, t.rank, -size, size - 1);
    }
    dims[0] = dims[1] = -1;
    return want_index(q, 1, dims, choose(q->d->c, 3), -size, size - 1);
}

bool op_scatter(op_draw *q) {
    static const char *const kinds[] = {"none", "add", "mul", "max", "min"};
    const char *kind;
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    ap_value_type t = *x;
    int64_t raw, dims[AP_MAX_RANK];
    if (!one_of(q, "reduction", kinds, q->d->opset >= 18 ? 5 : q->d->opset >= 16 ? 3 : 1, &kind))
        return false;
    if (!strcmp(q->op, "ScatterND")) {
        size_t deep = 1 + choose(q->d->c, (uint32_t)t.rank);
        int64_t least = t.dims[0];
        for (size_t i = 0; i < deep; i++) least = t.dims[i] < least ? t.dims[i] : least;
        dims[0] = -1;
        dims[1] = (int64_t)deep;
        if (least <= 0 || !want_index(q, 1, dims, 2, -least, least - 1)) return false;
        dims[0] = q->in[1].type.dims[0];
        for (size_t i = deep; i < t.rank; i++) dims[1 + i - deep] = t.dims[i];
        return want(q, 2, dims, 1 + t.rank - deep);
    }
    int64_t axis = draw_axis(q, t.rank, &raw);
    if (axis < 0 || axis >= (int64_t)t.rank || !t.dims[axis])
        return give_up(q->d, "an axis outside of the rank");
    for (size_t i = 0; i < t.rank; i++)
        dims[i] = (int64_t)i == axis ? -1 : chance(q->d->c, 70) ? t.dims[i] : t.dims[i] > 0 ? 1 : 0;
    if (!want_index(q, 1, dims, t.rank, -t.dims[axis], t.dims[axis] - 1)) return false;
    return want(q, 2, q->in[1].type.dims, t.rank);
}

bool op_one_hot(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t depth = 1 + (int64_t)choose(q->d->c, 6), two = 2, n = (int64_t)x->rank + 1;
    int64_t axis = (int64_t)choose(q->d->c, (uint32_t)n) - (chance(q->d->c, 50) ? n : 0);
    attr_int(q, "axis", axis);
    q->in[0].role = ROLE_INDEX;
    q->in[0].lo = (double)-depth;
    q->in[0].hi = (double)depth;
    return want_list(q, 1, &depth, 1, chance(q->d->c, 50)) && want(q, 2, &two, 1);
}

bool op_depth(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t b = attr_int(q, "blocksize", 1 + (int64_t)choose(q->d->c, 3));
    bool wide = !strcmp(q->op, "DepthToSpace");
    if (wide && q->d->opset >= 11) attr_text(q, "mode", chance(q->d->c, 50) ? "CRD" : "DCR");
    bool fits = b > 0 && (wide ? x->dims[1] % (b * b) == 0 : x->dims[2] % b == 0 && x->dims[3] % b == 0);
    return fits || give_up(q->d, "blocks that do not fit");
}

// ---- resizing, sums of products

bool op_resize(op_draw *q) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const coords[] = {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel",
                                         "tf_crop_and_resize"};
    static const char *const nearest[] = {"round_prefer_floor", "floor", "ceil", "round_prefer_ceil"};
    static const double factors[] = {1, 2, 0.5, 1.5, 3, 0.7, 2.5};
    const char *mode, *coord, *round;
    const ap_value_type *x = first_type(q);
    if (!x || !one_of(q, "mode", modes, 3, &mode)) return false;
    if (!one_of(q, "coordinate_transformation_mode", coords, 5, &coord)) return false;
    if (!strcmp(mode, "nearest") && !one_of(q, "nearest_mode", nearest, 4, &round)) return false;
    if (!strcmp(mode, "cubic")) attr_real(q, "cubic_coeff_a", chance(q->d->c, 50) ? -0.5 : -0.75);
    if (!strcmp(mode, "cubic")) attr_int(q, "exclude_outside", (int64_t)choose(q->d->c, 2));
    if (strcmp(mode, "nearest") != 0 && attr_is_free(q, "antialias") && chance(q->d->c, 20))
        attr_int(q, "antialias", 1);
    if (q->d->failed) return false;
    ap_value_type t = *x;
    int64_t rank = (int64_t)t.rank, twice = 2 * rank;
    if (!strcmp(coord, "tf_crop_and_resize")) {
        if (!want(q, 1, &twice, 1)) return false;
        q->in[1].role = ROLE_LIST;
        for (int64_t i = 0; i < rank; i++) q->in[1].list[i + rank] = 1;
    }
    bool sizes = chance(q->d->c, 50);
    size_t at = sizes ? 3 : 2;
    double *f = ap_arena_calloc(&q->d->x->arena, (size_t)rank + 1, sizeof *f);
    for (int64_t i = 0; i < rank; i++) {
        bool inner = rank <= 2 || i >= rank - 2;
        f[i] = inner ? factors[choose(q->d->c, 7)] : 1;
        if ((double)t.dims[i] * f[i] < 1) f[i] = 1;
    }
    if (sizes && at < q->s->input_count) {
        int64_t list[AP_MAX_RANK];
        for (int64_t i = 0; i < rank; i++) list[i] = (int64_t)((double)t.dims[i] * f[i]);
        return want_list(q, 3, list, (size_t)rank, false);
    }
    if (!want(q, 2, &rank, 1)) return false;
    q->in[2].role = ROLE_LIST;
    for (int64_t i = 0; i < rank; i++) q->in[2].list[i] = f[i];
    return true;
}

// Letters of an equation that was drawn, or is demanded.
static void draw_equation(op_draw *q, char out[64]) {
    static const char *const list[] = {
        "ij,jk->ik", "bij,bjk->bik",   "bhij,bhjk->bhik",   "ij,kj->ik",   "i,i->", "ij,ij->ij",
        "ij->ji",    "bchw,bkc->bkhw", "bmchw,bnmc->bmhwn", "ijk,k->ij",   "ij,jk", "abc,acd->abd",
        "ij->i",     "ii->i",          "i,j->ij",           "bij,bkj->bik"};
    (void)snprintf(out, 64, "%s", list[choose(q->d->c, sizeof list / sizeof *list)]);
}

bool op_einsum(op_draw *q) {
    char drawn[64];
    int64_t sizes[128], dims[AP_MAX_RANK];
    draw_equation(q, drawn);
    const char *p = attr_text(q, "equation", ap_arena_strdup(&q->d->x->arena, drawn));
    if (q->d->failed) return false;
    for (size_t i = 0; i < 128; i++) sizes[i] = -1;
    for (size_t i = 0; *p && *p != '-'; i++) {
        size_t rank = 0;
        for (; *p && *p != ',' && *p != '-'; p++) {
            if (*p == ' ') continue;
            if (*p == '.' || rank == AP_MAX_RANK) return give_up(q->d, "an equation with an ellipsis");
            int64_t *size = &sizes[(unsigned char)*p & 127];
            if (*size < 0) *size = draw_dim(q->d);
            dims[rank++] = *size;
        }
        if (*p == ',') p++;
        if (i >= MOST_OPERANDS || !want(q, i, dims, rank)) return false;
    }
    return true;
}
