// SPDX-License-Identifier: Apache-2.0
// What operators take: element types and ranks by table, the rest by a function for each kind of operator.
#include "surgery/prove/prove_priv.h"

#include <stdio.h>
#include <string.h>

static bool op_axis(op_draw *q);
static bool op_reduce(op_draw *q);
static bool op_plain(op_draw *q);
static bool op_cumsum(op_draw *q);
static bool op_trilu(op_draw *q);
static bool op_top_k(op_draw *q);
static bool op_cast(op_draw *q);
static bool op_mvn(op_draw *q);

static const op_domain table[] = {
    {" Add Sub Mul Div Mod Pow ", "fi", op_elementwise, 0, 6, false},
    {" Max Min ", "fi", op_elementwise, 0, 6, false},
    {" Sum Mean ", "f", op_elementwise, 0, 6, true},
    {" And Or Xor Not ", "b", op_elementwise, 0, 6, false},
    {" Equal ", "fib", op_elementwise, 0, 6, false},
    {" Less Greater LessOrEqual GreaterOrEqual ", "fi", op_elementwise, 0, 6, false},
    {" Neg Abs Sign Relu ", "fi", op_elementwise, 0, 6, false},
    {" Where ", "fib", op_elementwise, 0, 6, false},
    {" Clip PRelu ", "f", op_elementwise, 0, 6, false},
    {" Identity ", "a", op_elementwise, 0, 6, false},
    {" Sqrt Exp Log Floor Ceil Round Erf Sigmoid Tanh Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh "
     "Reciprocal Softplus Softsign HardSwish Mish IsNaN IsInf LeakyRelu Elu Selu Celu ThresholdedRelu "
     "HardSigmoid Shrink Gelu FastGelu QuickGelu ",
     "f", op_elementwise, 0, 6, false},
    {" Cast CastLike ", "a,a", op_cast, 0, 4, false},
    {" Size Shape NonZero ", "a", op_plain, 0, 4, false},
    {" Softmax LogSoftmax Hardmax LpNormalization ", "f", op_axis, 1, 4, false},
    {" ArgMax ArgMin ", "fi", op_axis, 1, 4, false},
    {" Flatten ", "a", op_axis, 1, 5, false},
    {" ReduceSum ReduceMean ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp ReduceProd ", "f",
     op_reduce, 1, 4, true},
    {" ReduceMax ReduceMin ", "fi", op_reduce, 1, 4, false},
    {" MeanVarianceNormalization ", "4", op_mvn, 4, 4, false},
    {" CumSum ", "fi", op_cumsum, 1, 4, true},
    {" Trilu ", "fib", op_trilu, 2, 4, false},
    {" TopK ", "fi", op_top_k, 1, 3, false},
    {" Conv ConvTranspose ", "f", op_conv, 3, 5, true},
    {" MaxPool ", "f", op_pool, 3, 5, false},
    {" AveragePool LpPool ", "f", op_pool, 3, 5, true},
    {" GlobalAveragePool GlobalLpPool ", "f", op_global, 3, 5, true},
    {" GlobalMaxPool ", "f", op_global, 3, 5, false},
    {" MatMul ", "fi", op_matmul, 1, 4, true},
    {" Gemm ", "f", op_gemm, 2, 2, true},
    {" Einsum ", "f", op_einsum, 1, 4, true},
    {" BatchNormalization ", "f", op_batchnorm, 2, 5, false},
    {" InstanceNormalization ", "f", op_instancenorm, 3, 5, false},
    {" LayerNormalization RMSNormalization ", "f", op_layernorm, 1, 4, false},
    {" GroupNormalization ", "f", op_groupnorm, 3, 4, false},
    {" Pad ", "fi", op_pad, 1, 4, false},
    {" Slice ", "fib", op_slice, 1, 4, false},
    {" Concat ", "fib", op_concat, 1, 4, false},
    {" Split ", "fib", op_split, 1, 4, false},
    {" Squeeze Unsqueeze ", "fib", op_squeeze, 1, 4, false},
    {" Reshape ", "fib", op_reshape, 0, 5, false},
    {" Transpose ", "fib", op_transpose, 1, 7, false},
    {" Expand ", "fib", op_expand, 0, 4, false},
    {" Tile ", "fib", op_tile, 1, 4, false},
    {" Gather GatherElements GatherND ", "fib", op_gather, 1, 4, false},
    {" ScatterElements ScatterND ", "fi", op_scatter, 1, 3, true},
    {" OneHot ", "fi,x", op_one_hot, 0, 3, false},
    {" DepthToSpace SpaceToDepth ", "f", op_depth, 4, 4, false},
    {" Resize ", "fi", op_resize, 1, 4, true},
    {" BiasGelu ", "f", op_bias, 1, 4, false},
    {" Dropout ", "f", op_dropout, 0, 4, false},
    {" Det Inverse ", "4", op_square, 2, 4, true},
    {" BitShift ", "u", op_shift, 0, 3, false},
    {" BitwiseAnd BitwiseOr BitwiseXor BitwiseNot ", "i", op_elementwise, 0, 6, false},
    {" MatMulInteger ", "q,q", op_matmul_integer, 1, 4, false},
    {" ConvInteger ", "q,q", op_conv, 3, 5, false},
    {" DynamicQuantizeLinear ", "4", op_plain_first, 0, 4, false},
    {" DequantizeLinear QuantizeLinear ", "4,q", op_quantize, 0, 4, false},
    {" SimplifiedLayerNormalization ", "f", op_layernorm, 1, 4, false},
    {" SkipLayerNormalization SkipSimplifiedLayerNormalization ", "f", op_skip_norm, 3, 3, false},
    {" MultiHeadAttention ", "4", op_attention, 3, 3, true},
    {" DFT ", "4", op_dft, 3, 3, true},
    {" GridSample ", "4", op_grid_sample, 4, 5, true},
    {" AffineGrid ", "4", op_affine_grid, 3, 3, true},
    {" RoiAlign ", "4", op_roi_align, 4, 4, true},
    {" DeformConv ", "4", op_deform_conv, 4, 4, true},
    {" EyeLike ", "fi,fi", op_eye, 2, 2, false},
    {" Compress ", "fib", op_compress, 1, 4, false},
    {" ReverseSequence ", "fi", op_reverse, 2, 4, false},
};

const op_domain *op_domain_of(const char *domain, const char *op) {
    char key[72];
    int n = snprintf(key, sizeof key, " %s ", op);
    (void)domain;
    if (n < 0 || (size_t)n >= sizeof key) return NULL;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strstr(table[i].ops, key)) return &table[i];
    return op_domain_extra(key);
}

#define BIT(t) (UINT64_C(1) << (t))
uint64_t op_dtypes(const op_domain *d, int var) {
    static const struct {
        char letter;
        uint64_t mask;
    } sets[] = {
        {'f', BIT(AP_F32) | BIT(AP_F16) | BIT(AP_F64) | BIT(AP_BF16)},
        {'4', BIT(AP_F32)},
        {'i', BIT(AP_I64) | BIT(AP_I32)},
        {'x', BIT(AP_I64) | BIT(AP_I32)},
        {'b', BIT(AP_BOOL)},
        {'q', BIT(AP_U8) | BIT(AP_I8)},
        {'u', BIT(AP_U32) | BIT(AP_U8) | BIT(AP_U64)},
        {'a', BIT(AP_F32) | BIT(AP_F16) | BIT(AP_F64) | BIT(AP_I64) | BIT(AP_I32) | BIT(AP_U8) | BIT(AP_I8) |
                  BIT(AP_BOOL)},
    };
    const char *p = d->dtypes, *comma = strchr(p, ',');
    if (var > 0 && comma) p = comma + 1;
    uint64_t mask = 0;
    for (; *p && *p != ','; p++)
        for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
            if (sets[i].letter == *p) mask |= sets[i].mask;
    return mask;
}

// ---- operands

static const ap_rule_arg *arg_at(const op_draw *q, size_t i) {
    for (size_t k = 0; k < q->n->arg_count; k++) {
        if (q->n->args[k].kind == AP_ARG_REST) return &q->n->args[k];
        if (k == i) return &q->n->args[k];
    }
    return NULL;
}

bool is_asked(const op_draw *q, size_t i) {
    const ap_rule_arg *a = arg_at(q, i);
    const ap_op_operand *o = ap_op_input(q->s, i);
    if (!a || !o || a->kind == AP_ARG_ABSENT) return false;
    bool optional = a->optional || a->kind == AP_ARG_REST;
    if (a->kind == AP_ARG_VALUE && q->d->m.slots[a->slot].kind == AP_VAL_ABSENT) return false;
    if (a->kind == AP_ARG_VALUE && q->d->m.slots[a->slot].kind == AP_VAL_VALUE) return true;
    return optional && o->optional ? chance(q->d->c, 50) : true;
}

bool want(op_draw *q, size_t i, const int64_t *dims, size_t rank) {
    static const ap_rule_type open = {.dtype_slot = -1};
    if (i >= MOST_OPERANDS || rank > AP_MAX_RANK) return give_up(q->d, "%s with too many operands", q->op);
    operand *in = &q->in[i];
    const ap_rule_arg *a = arg_at(q, i);
    const ap_rule_type *t = a && a->kind != AP_ARG_REST ? &a->type : &open;
    if (in->v) { // there already: it must suit
        bool same = in->type.rank == rank;
        for (size_t k = 0; same && k < rank; k++) same = dims[k] < 0 || dims[k] == in->type.dims[k];
        return same || give_up(q->d, "operand %zu of %s has another shape", i + 1, q->op);
    }
    in->wanted = true;
    if (i >= q->in_count) q->in_count = i + 1;
    in->type.dtype = in->t;
    in->type.rank = rank;
    for (size_t k = 0; k < rank; k++) {
        int64_t size = dims[k];
        size_t rest = t->dim_count, at = k;
        for (size_t r = 0; r < t->dim_count; r++)
            if (t->dims[r].kind == AP_DIM_REST) rest = r;
        if (t->has_dims && rest < t->dim_count && k >= rest)
            at = k + t->dim_count >= rank + rest ? k + t->dim_count - rank : t->dim_count;
        if (size < 0 && t->has_dims && at < t->dim_count) {
            const ap_rule_dim *w = &t->dims[at];
            if (w->kind == AP_DIM_SIZE) size = w->size;
            if (w->kind == AP_DIM_NAME && q->d->m.slots[w->slot].kind == AP_VAL_INT)
                size = q->d->m.slots[w->slot].i;
        }
        in->type.dims[k] = size < 0 ? draw_dim(q->d) : size;
    }
    return bind_dims(q->d, t, &in->type);
}

bool want_list(op_draw *q, size_t i, const int64_t *list, size_t count, bool scalar) {
    int64_t n = (int64_t)count;
    if (!want(q, i, &n, scalar ? 0 : 1)) return false;
    if (q->in[i].v) return true;
    q->in[i].role = ROLE_LIST;
    for (size_t k = 0; k < count && k < 32; k++) q->in[i].list[k] = (double)list[k];
    return true;
}

bool want_index(op_draw *q, size_t i, const int64_t *dims, size_t rank, int64_t lo, int64_t hi) {
    if (!want(q, i, dims, rank)) return false;
    if (q->in[i].v) return true;
    q->in[i].role = ROLE_INDEX;
    q->in[i].lo = (double)lo;
    q->in[i].hi = (double)hi;
    return true;
}

const ap_value_type *first_type(op_draw *q) {
    operand *in = &q->in[0];
    const op_domain *o = op_domain_of(q->n->domain, q->op);
    static const ap_rule_type open = {.dtype_slot = -1};
    const ap_rule_arg *a = arg_at(q, 0);
    if ((in->v || in->wanted) && in->type.rank < (size_t)o->least) { // what makes it knows nothing of that
        give_up(q->d, "%s of a tensor of rank %zu", q->op, in->type.rank);
        return NULL;
    }
    if (in->v || in->wanted) return &in->type;
    const ap_rule_type *t = a && a->kind != AP_ARG_REST ? &a->type : &open;
    in->type.dtype = in->t;
    if (!draw_dims(q->d, t, (size_t)o->least, (size_t)o->most, &in->type)) return NULL;
    in->wanted = true;
    if (!q->in_count) q->in_count = 1;
    return &in->type;
}

// ---- kinds of operators

static bool op_plain(op_draw *q) {
    return first_type(q) != NULL;
}

// Operands that broadcast; attributes that are numbers.
bool op_elementwise(op_draw *q) {
    static const double slopes[] = {1, 0.5, 2, 0.01, 0, 0.75, 3, -0.5, -1.5, 0.2};
    draw *d = q->d;
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    ap_value_type t = *x;
    bool one_way = !strcmp(q->op, "PRelu"), scalars = !strcmp(q->op, "Clip");
    size_t most = q->s->input_count && q->s->inputs[q->s->input_count - 1].variadic ? q->n->arg_count
                                                                                    : q->s->input_count;
    for (size_t i = 1; i < most; i++) {
        if (!is_asked(q, i)) continue;
        ap_value_type b = t;
        const ap_rule_arg *a = arg_at(q, i);
        bool literal = a && a->kind == AP_ARG_EXPR;
        uint32_t how = scalars || literal ? 4 : choose(d->c, 5);
        if (how == 1 && b.rank) b.dims[choose(d->c, (uint32_t)b.rank)] = 1;
        if (how >= 2 && b.rank) {
            size_t drop = how == 4 ? b.rank : 1 + choose(d->c, (uint32_t)b.rank);
            memmove(b.dims, b.dims + drop, (b.rank - drop) * sizeof *b.dims);
            b.rank -= drop;
        }
        if (a && a->type.has_dims) { // the pattern has a view of its own
            if (!draw_dims(d, &a->type, 0, 6, &b)) return false;
        }
        (void)one_way;
        if (!q->in[i].v && !want(q, i, b.dims, b.rank)) return false;
    }
    for (size_t i = 0; i < q->s->attr_count; i++) {
        const ap_op_attr *at = &q->s->attrs[i];
        bool coin = at->kind == 'i' && at->fallback;
        if (coin) attr_int(q, at->name, (int64_t)choose(d->c, 2));
        if (at->kind == 'f') attr_real(q, at->name, slopes[choose(d->c, 10)]);
        if (at->kind == 's' && !strcmp(at->name, "approximate"))
            attr_text(q, at->name, chance(d->c, 50) ? "tanh" : "none");
    }
    return !d->failed;
}

static int64_t pick_axis(op_draw *q, size_t rank) {
    int64_t axis = (int64_t)choose(q->d->c, (uint32_t)rank);
    return chance(q->d->c, 40) ? axis - (int64_t)rank : axis;
}

static bool op_axis(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    bool flatten = !strcmp(q->op, "Flatten");
    attr_int(q, "axis", flatten && chance(q->d->c, 10) ? (int64_t)x->rank : pick_axis(q, x->rank));
    if (!strcmp(q->op, "LpNormalization")) attr_int(q, "p", 1 + (int64_t)choose(q->d->c, 2));
    if (!strncmp(q->op, "Arg", 3)) {
        attr_int(q, "keepdims", 1 - (int64_t)choose(q->d->c, 2));
        attr_int(q, "select_last_index", (int64_t)choose(q->d->c, 2));
    }
    return !q->d->failed;
}

// Some of the axes, each once.
static size_t pick_axes(op_draw *q, size_t rank, size_t least, int64_t *axes) {
    size_t count = 0;
    for (size_t i = 0; i < rank; i++)
        if (chance(q->d->c, 50))
            axes[count++] = chance(q->d->c, 30) ? (int64_t)i - (int64_t)rank : (int64_t)i;
    if (count < least && rank) axes[count++] = (int64_t)choose(q->d->c, (uint32_t)rank);
    return count;
}

static bool op_reduce(op_draw *q) {
    int64_t axes[AP_MAX_RANK];
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    attr_int(q, "keepdims", 1 - (int64_t)choose(q->d->c, 2));
    attr_int(q, "noop_with_empty_axes", (int64_t)choose(q->d->c, 2));
    if (!is_asked(q, 1)) return !q->d->failed;
    size_t count = pick_axes(q, x->rank, chance(q->d->c, 15) ? 0 : 1, axes);
    return want_list(q, 1, axes, count, false);
}

static bool op_mvn(op_draw *q) {
    int64_t axes[AP_MAX_RANK];
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    size_t count = pick_axes(q, x->rank, chance(q->d->c, 10) ? 0 : 1, axes);
    for (size_t i = 0; i < count; i++)
        if (axes[i] < 0) axes[i] += (int64_t)x->rank;
    return attr_ints(q, "axes", axes, &count, x->rank);
}

static bool op_cumsum(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t axis = pick_axis(q, x->rank);
    attr_int(q, "exclusive", (int64_t)choose(q->d->c, 2));
    attr_int(q, "reverse", (int64_t)choose(q->d->c, 2));
    return want_list(q, 1, &axis, 1, chance(q->d->c, 70));
}

static bool op_trilu(op_draw *q) {
    if (!first_type(q)) return false;
    attr_int(q, "upper", 1 - (int64_t)choose(q->d->c, 2));
    if (!is_asked(q, 1)) return !q->d->failed;
    int64_t k = (int64_t)choose(q->d->c, 9) - 4;
    return want_list(q, 1, &k, 1, chance(q->d->c, 80));
}

static bool op_top_k(op_draw *q) {
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    int64_t axis = attr_int(q, "axis", pick_axis(q, x->rank)), n = (int64_t)x->rank;
    if (axis < -n || axis >= n) return give_up(q->d, "an axis outside of the rank");
    int64_t size = x->dims[axis < 0 ? axis + n : axis];
    attr_int(q, "largest", 1 - (int64_t)choose(q->d->c, 2));
    attr_int(q, "sorted", 1);
    int64_t k = size > 0 ? 1 + (int64_t)choose(q->d->c, (uint32_t)size) : 0;
    return want_list(q, 1, &k, 1, false);
}

static bool op_cast(op_draw *q) {
    static const ap_dtype to[] = {AP_F32, AP_I64, AP_I32, AP_BOOL, AP_F16, AP_U8, AP_I8, AP_F64};
    const ap_value_type *x = first_type(q);
    if (!x) return false;
    if (strcmp(q->op, "Cast") != 0) return want(q, 1, NULL, 0);
    attr_int(q, "to", (int64_t)to[choose(q->d->c, 8)]);
    return !q->d->failed;
}
