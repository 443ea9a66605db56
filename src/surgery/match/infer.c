// SPDX-License-Identifier: Apache-2.0
// Element types and shapes of what the operators of replacements make. Where a shape depends on what is not
// known here it stays open; whoever needs it asks the oracle.
#include "surgery/match/match_priv.h"

#include <stdio.h>
#include <string.h>

typedef struct infer {
    const ap_match_env *env;
    const ap_node *n;
    const ap_value_type *in; // by input; rank SIZE_MAX: unknown
    ap_value_type *out;      // first output
} infer;

static bool has(const infer *f, size_t i) {
    return i < f->n->input_count && f->in[i].rank != SIZE_MAX;
}

// A constant operand, or the attribute it was before.
static bool numbers(const infer *f, size_t i, const char *attr, int64_t *out, size_t *count) {
    ap_tensor t;
    const Onnx__AttributeProto *at = attr ? ap_node_attr(f->n, attr) : NULL;
    *count = 0;
    if (at) {
        for (size_t k = 0; k < at->n_ints && k < 2 * AP_MAX_RANK; k++) out[(*count)++] = at->ints[k];
        return at->n_ints <= 2 * AP_MAX_RANK;
    }
    if (i >= f->n->input_count || !f->n->inputs[i] || !ap_value_constant(f->env->model, f->n->inputs[i], &t))
        return false;
    if (ap_tensor_count(&t) > 2 * AP_MAX_RANK) return false;
    for (; *count < ap_tensor_count(&t); (*count)++) {
        ap_val v = val_element(&t, *count);
        if (v.kind != AP_VAL_INT) return false;
        out[*count] = v.i;
    }
    return true;
}

static bool is_given(const infer *f, size_t i, const char *attr) {
    return (i < f->n->input_count && f->n->inputs[i]) || ap_node_attr(f->n, attr);
}

static int64_t axis_of(const infer *f, int64_t axis, size_t rank) {
    (void)f;
    return axis < 0 ? axis + (int64_t)rank : axis;
}

static void set_rank(const infer *f, size_t rank) {
    f->out->rank = rank;
    for (size_t i = 0; i < rank; i++) f->out->dims[i] = -1;
}

static void copy_shape(const infer *f, const ap_value_type *from) {
    f->out->rank = from->rank;
    memcpy(f->out->dims, from->dims, sizeof from->dims);
}

// ---- operators

static bool broadcast(ap_value_type *to, const ap_value_type *a) {
    size_t rank = to->rank > a->rank ? to->rank : a->rank;
    int64_t dims[AP_MAX_RANK];
    for (size_t i = 0; i < rank; i++) {
        int64_t x = i < rank - to->rank ? 1 : to->dims[i - (rank - to->rank)];
        int64_t y = i < rank - a->rank ? 1 : a->dims[i - (rank - a->rank)];
        dims[i] = x == 1 ? y : y == 1 || x == y ? x : x < 0 ? y : y < 0 ? x : -2;
        if (dims[i] == -2) return false;
    }
    to->rank = rank;
    memcpy(to->dims, dims, rank * sizeof *dims);
    return true;
}

static void elementwise(const infer *f) {
    ap_value_type all = {.rank = 0};
    for (size_t i = 0; i < f->n->input_count; i++) {
        if (!f->n->inputs[i]) continue;
        if (!has(f, i) || !broadcast(&all, &f->in[i])) return;
    }
    copy_shape(f, &all);
}

static void same(const infer *f) {
    if (has(f, 0)) copy_shape(f, &f->in[0]);
}
static void as_indices(const infer *f) {
    if (has(f, 1)) copy_shape(f, &f->in[1]);
}

static void reshape(const infer *f) {
    int64_t dims[2 * AP_MAX_RANK], open = -1, product = 1, all = 1;
    size_t count;
    if (!numbers(f, 1, NULL, dims, &count) || count > AP_MAX_RANK) return;
    bool known = has(f, 0);
    for (size_t i = 0; i < count; i++) {
        if (dims[i] == 0 && !ap_node_attr_int(f->n, "allowzero", 0)) {
            if (!known || i >= f->in[0].rank) return;
            dims[i] = f->in[0].dims[i];
        }
        if (dims[i] == -1 && open < 0)
            open = (int64_t)i;
        else if (__builtin_mul_overflow(product, dims[i], &product))
            return;
    }
    for (size_t i = 0; known && i < f->in[0].rank; i++)
        if (f->in[0].dims[i] < 0 || __builtin_mul_overflow(all, f->in[0].dims[i], &all)) known = false;
    if (open >= 0) dims[open] = known && product > 0 ? all / product : -1;
    set_rank(f, count);
    memcpy(f->out->dims, dims, count * sizeof *dims);
}

static void transpose(const infer *f) {
    int64_t perm[2 * AP_MAX_RANK];
    size_t count;
    if (!has(f, 0)) return;
    size_t rank = f->in[0].rank;
    bool given = numbers(f, 1, "perm", perm, &count);
    if (given && count != rank) return;
    for (size_t i = 0; i < rank && given; i++)
        if (perm[i] < 0 || perm[i] >= (int64_t)rank) return;
    set_rank(f, rank);
    for (size_t i = 0; i < rank; i++) f->out->dims[i] = f->in[0].dims[given ? (size_t)perm[i] : rank - 1 - i];
}

static void concat(const infer *f) {
    if (!has(f, 0)) return;
    size_t rank = f->in[0].rank;
    int64_t axis = axis_of(f, ap_node_attr_int(f->n, "axis", 0), rank), sum = 0;
    if (axis < 0 || axis >= (int64_t)rank) return;
    for (size_t i = 0; i < f->n->input_count; i++) {
        if (!has(f, i) || f->in[i].rank != rank) return;
        int64_t d = f->in[i].dims[axis];
        sum = sum < 0 || d < 0 || __builtin_add_overflow(sum, d, &sum) ? -1 : sum;
    }
    copy_shape(f, &f->in[0]);
    f->out->dims[axis] = sum;
}

static void gather(const infer *f) {
    if (!has(f, 0) || !has(f, 1)) return;
    size_t rank = f->in[0].rank, more = f->in[1].rank, at = 0;
    int64_t axis = axis_of(f, ap_node_attr_int(f->n, "axis", 0), rank);
    if (axis < 0 || axis >= (int64_t)rank || rank + more - 1 > AP_MAX_RANK) return;
    set_rank(f, rank + more - 1);
    for (int64_t i = 0; i < axis; i++) f->out->dims[at++] = f->in[0].dims[i];
    for (size_t i = 0; i < more; i++) f->out->dims[at++] = f->in[1].dims[i];
    for (size_t i = (size_t)axis + 1; i < rank; i++) f->out->dims[at++] = f->in[0].dims[i];
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) {
    return v < lo ? lo : v > hi ? hi : v;
}

static int64_t sliced(int64_t d, int64_t from, int64_t to, int64_t step) {
    if (d < 0 || !step) return -1;
    if (from < 0) from += d;
    if (to < 0 && to > INT64_MIN + d) to += d;
    from = step > 0 ? clamp(from, 0, d) : clamp(from, 0, d - 1);
    to = step > 0 ? clamp(to, 0, d) : clamp(to, -1, d - 1);
    int64_t span = step > 0 ? to - from : from - to, s = step > 0 ? step : -step;
    return span <= 0 ? 0 : (span - 1) / s + 1;
}

static void slice(const infer *f) {
    int64_t from[2 * AP_MAX_RANK], to[2 * AP_MAX_RANK], axes[2 * AP_MAX_RANK], steps[2 * AP_MAX_RANK];
    size_t n, k;
    if (!has(f, 0)) return;
    size_t rank = f->in[0].rank;
    set_rank(f, rank);
    if (!numbers(f, 1, "starts", from, &n) || !numbers(f, 2, "ends", to, &k) || n != k || n > rank) return;
    if (!is_given(f, 3, "axes"))
        for (size_t i = 0; i < n; i++) axes[i] = (int64_t)i;
    else if (!numbers(f, 3, "axes", axes, &k) || k != n)
        return;
    if (!is_given(f, 4, "steps"))
        for (size_t i = 0; i < n; i++) steps[i] = 1;
    else if (!numbers(f, 4, "steps", steps, &k) || k != n)
        return;
    copy_shape(f, &f->in[0]);
    for (size_t i = 0; i < n; i++) {
        int64_t a = axis_of(f, axes[i], rank);
        if (a < 0 || a >= (int64_t)rank || steps[i] == INT64_MIN) return;
        f->out->dims[a] = sliced(f->in[0].dims[a], from[i], to[i], steps[i]);
    }
}

static void pad(const infer *f) {
    int64_t pads[2 * AP_MAX_RANK], axes[2 * AP_MAX_RANK];
    size_t n, k;
    if (!has(f, 0)) return;
    size_t rank = f->in[0].rank;
    set_rank(f, rank);
    if (!numbers(f, 1, "pads", pads, &n)) return;
    if (!is_given(f, 3, "axes_"))
        for (k = 0; k < rank; k++) axes[k] = (int64_t)k;
    else if (!numbers(f, 3, NULL, axes, &k))
        return;
    if (n != 2 * k || k > rank) return;
    copy_shape(f, &f->in[0]);
    for (size_t i = 0; i < k; i++) {
        int64_t a = axis_of(f, axes[i], rank), d = a >= 0 && a < (int64_t)rank ? f->in[0].dims[a] : -1;
        if (a < 0 || a >= (int64_t)rank) return;
        f->out->dims[a] = d < 0 ? -1 : d + pads[i] + pads[i + k];
    }
}

static void expand(const infer *f) {
    ap_value_type shape = {.rank = 0};
    int64_t dims[2 * AP_MAX_RANK];
    size_t n;
    if (!has(f, 0) || !numbers(f, 1, NULL, dims, &n) || n > AP_MAX_RANK) return;
    shape.rank = n;
    memcpy(shape.dims, dims, n * sizeof *dims);
    if (broadcast(&shape, &f->in[0])) copy_shape(f, &shape);
}

static void squeeze(const infer *f) {
    int64_t axes[2 * AP_MAX_RANK];
    size_t n;
    if (!has(f, 0) || !numbers(f, 1, "axes", axes, &n)) return;
    size_t at = 0, rank = f->in[0].rank;
    set_rank(f, 0);
    for (size_t i = 0; i < rank; i++) {
        bool gone = false;
        for (size_t k = 0; k < n; k++) gone |= axis_of(f, axes[k], rank) == (int64_t)i;
        if (!gone) f->out->dims[at++] = f->in[0].dims[i];
    }
    f->out->rank = at;
}

static void unsqueeze(const infer *f) {
    int64_t axes[2 * AP_MAX_RANK];
    size_t n, from = 0;
    if (!has(f, 0) || !numbers(f, 1, "axes", axes, &n) || f->in[0].rank + n > AP_MAX_RANK) return;
    size_t rank = f->in[0].rank + n;
    set_rank(f, rank);
    for (size_t i = 0; i < rank; i++) {
        bool fresh = false;
        for (size_t k = 0; k < n; k++) fresh |= axis_of(f, axes[k], rank) == (int64_t)i;
        f->out->dims[i] = fresh ? 1 : from < f->in[0].rank ? f->in[0].dims[from++] : -1;
    }
}

static void mat_mul(const infer *f) {
    if (!has(f, 0) || !has(f, 1) || f->in[0].rank < 2 || f->in[1].rank < 2) return;
    ap_value_type a = f->in[0], b = f->in[1];
    int64_t m = a.dims[a.rank - 2], n = b.dims[b.rank - 1];
    a.rank -= 2;
    b.rank -= 2;
    if (!broadcast(&a, &b) || a.rank + 2 > AP_MAX_RANK) return;
    a.dims[a.rank] = m;
    a.dims[a.rank + 1] = n;
    a.rank += 2;
    copy_shape(f, &a);
}

static void gemm(const infer *f) {
    if (!has(f, 0) || !has(f, 1) || f->in[0].rank != 2 || f->in[1].rank != 2) return;
    set_rank(f, 2);
    f->out->dims[0] = f->in[0].dims[ap_node_attr_int(f->n, "transA", 0) ? 1 : 0];
    f->out->dims[1] = f->in[1].dims[ap_node_attr_int(f->n, "transB", 0) ? 0 : 1];
}

static void reduce(const infer *f) {
    int64_t axes[2 * AP_MAX_RANK];
    size_t n = 0, at = 0;
    if (!has(f, 0)) return;
    size_t rank = f->in[0].rank;
    bool keep = ap_node_attr_int(f->n, "keepdims", 1) != 0, arg = !strncmp(f->n->op, "Arg", 3);
    if (arg) {
        axes[0] = ap_node_attr_int(f->n, "axis", 0);
        n = 1;
    } else if (is_given(f, 1, "axes") && !numbers(f, 1, "axes", axes, &n)) {
        return;
    }
    bool all = !n && !ap_node_attr_int(f->n, "noop_with_empty_axes", 0);
    set_rank(f, 0);
    for (size_t i = 0; i < rank; i++) {
        bool gone = all;
        for (size_t k = 0; k < n; k++) gone |= axis_of(f, axes[k], rank) == (int64_t)i;
        if (!gone || keep) f->out->dims[at++] = gone ? 1 : f->in[0].dims[i];
    }
    f->out->rank = at;
}

static int64_t item(const Onnx__AttributeProto *at, size_t i, int64_t fallback) {
    return at && i < at->n_ints ? at->ints[i] : fallback;
}

static void window(const infer *f) {
    bool conv = !strcmp(f->n->op, "Conv");
    const Onnx__AttributeProto *k = ap_node_attr(f->n, "kernel_shape"), *s = ap_node_attr(f->n, "strides"),
                               *p = ap_node_attr(f->n, "pads"), *d = ap_node_attr(f->n, "dilations"),
                               *aut = ap_node_attr(f->n, "auto_pad");
    if (!has(f, 0) || f->in[0].rank < 3 || (conv && !has(f, 1)) || (!conv && !k)) return;
    size_t rank = f->in[0].rank, spatial = rank - 2;
    set_rank(f, rank);
    f->out->dims[0] = f->in[0].dims[0];
    f->out->dims[1] = conv ? f->in[1].dims[0] : f->in[0].dims[1];
    if (aut && aut->s.len && !(aut->s.len == 6 && !memcmp(aut->s.data, "NOTSET", 6))) return;
    bool ceil_mode = ap_node_attr_int(f->n, "ceil_mode", 0) != 0;
    for (size_t i = 0; i < spatial; i++) {
        int64_t x = f->in[0].dims[i + 2], size = k ? item(k, i, 1) : f->in[1].dims[i + 2],
                step = item(s, i, 1);
        int64_t begin = item(p, i, 0), end = item(p, i + spatial, 0);
        int64_t span = (size - 1) * item(d, i, 1) + 1, room = x + begin + end - span;
        if (x < 0 || size < 0 || step < 1 || room < 0) continue;
        int64_t n = (ceil_mode ? (room + step - 1) / step : room / step) + 1;
        if (ceil_mode && (n - 1) * step >= x + begin) n--; // no window starts behind the data
        f->out->dims[i + 2] = n;
    }
}

static void global_pool(const infer *f) {
    same(f);
    for (size_t i = 2; has(f, 0) && i < f->in[0].rank; i++) f->out->dims[i] = 1;
}

static void flatten(const infer *f) {
    if (!has(f, 0)) return;
    int64_t axis = axis_of(f, ap_node_attr_int(f->n, "axis", 1), f->in[0].rank), d[2] = {1, 1};
    for (size_t i = 0; i < f->in[0].rank; i++) {
        int64_t *at = &d[(int64_t)i < axis ? 0 : 1], x = f->in[0].dims[i];
        *at = *at < 0 || x < 0 || __builtin_mul_overflow(*at, x, at) ? -1 : *at;
    }
    set_rank(f, 2);
    memcpy(f->out->dims, d, sizeof d);
}

static void one_hot(const infer *f) {
    int64_t depth[2 * AP_MAX_RANK];
    size_t n;
    if (!has(f, 0) || f->in[0].rank >= AP_MAX_RANK) return;
    size_t rank = f->in[0].rank + 1;
    int64_t axis = axis_of(f, ap_node_attr_int(f->n, "axis", -1), rank);
    if (!numbers(f, 1, NULL, depth, &n) || n != 1) depth[0] = -1;
    set_rank(f, rank);
    for (size_t i = 0, from = 0; i < rank; i++)
        f->out->dims[i] = (int64_t)i == axis ? depth[0] : f->in[0].dims[from++];
}

static void range_like(const infer *f) {
    set_rank(f, 1);
    if (!strcmp(f->n->op, "Shape") && has(f, 0) && !f->n->proto->n_attribute)
        f->out->dims[0] = (int64_t)f->in[0].rank;
}
static void scalar(const infer *f) {
    set_rank(f, 0);
}

static const struct {
    const char *ops;
    void (*fn)(const infer *f);
} shapes[] = {
    {" Softmax LogSoftmax Hardmax CumSum Trilu LRN BatchNormalization InstanceNormalization "
     "LayerNormalization "
     "GroupNormalization RMSNormalization LpNormalization MeanVarianceNormalization ScatterElements "
     "ScatterND "
     "EyeLike QuantizeLinear DequantizeLinear ",
     same},
    {" GatherElements ", as_indices},
    {" Reshape ", reshape},
    {" Transpose ", transpose},
    {" Concat ", concat},
    {" Gather ", gather},
    {" Slice ", slice},
    {" Pad ", pad},
    {" Expand ", expand},
    {" Squeeze ", squeeze},
    {" Unsqueeze ", unsqueeze},
    {" MatMul ", mat_mul},
    {" Gemm ", gemm},
    {" ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum "
     "ReduceLogSumExp ArgMax ArgMin ",
     reduce},
    {" Conv MaxPool AveragePool LpPool ", window},
    {" GlobalAveragePool GlobalMaxPool GlobalLpPool ", global_pool},
    {" Flatten ", flatten},
    {" OneHot ", one_hot},
    {" Shape Range ", range_like},
    {" Size ", scalar},
};

// ---- element types

static ap_dtype of_variable(const ap_op_schema *s, const ap_node *n, const ap_value_type *in,
                            ap_operand_type var) {
    for (size_t i = 0; i < n->input_count; i++) {
        const ap_op_operand *o = ap_op_input(s, i);
        if (o && o->type == var && n->inputs[i] && in[i].dtype) return in[i].dtype;
    }
    return AP_DTYPE_NONE;
}

static ap_dtype out_dtype(const ap_op_schema *s, const ap_node *n, const ap_value_type *in, size_t i) {
    size_t last = s->output_count ? s->output_count - 1 : 0;
    const ap_op_operand *o = &s->outputs[i < s->output_count ? i : last];
    ap_dtype t = ap_operand_dtype(o->type);
    if (t) return t;
    if (o->type != AP_OPERAND_TO) return of_variable(s, n, in, o->type);
    int64_t to = ap_node_attr_int(n, "to", ap_node_attr_int(n, "dtype", 0));
    return to ? (ap_dtype)to : in[0].dtype;
}

void ap_infer_node(const ap_match_env *env, const ap_node *n, ap_value_type *out) {
    enum { MOST = 64 };
    ap_value_type in[MOST];
    for (size_t i = 0; i < n->output_count; i++) out[i] = (ap_value_type){.rank = SIZE_MAX};
    const ap_op_schema *s = ap_op_find(env->rules->ops, n->domain, n->op);
    if (!s || n->input_count > MOST) return;
    for (size_t i = 0; i < n->input_count; i++)
        if (!n->inputs[i] || !ap_type_of(&env->types, n->inputs[i], &in[i]))
            in[i] = (ap_value_type){.rank = SIZE_MAX};
    for (size_t i = 0; i < n->output_count; i++) out[i].dtype = out_dtype(s, n, in, i);
    infer f = {env, n, in, out};
    if (s->elementwise) elementwise(&f);
    char key[64];
    int len = snprintf(key, sizeof key, " %s ", n->op);
    for (size_t i = 0;
         !s->elementwise && len > 0 && (size_t)len < sizeof key && i < sizeof shapes / sizeof *shapes; i++)
        if (strstr(shapes[i].ops, key)) shapes[i].fn(&f);
    if (n->output_count > 1 && out[0].rank != SIZE_MAX && !strcmp(n->op, "MaxPool"))
        memcpy(out[1].dims, out[0].dims, sizeof out[0].dims), out[1].rank = out[0].rank;
}
