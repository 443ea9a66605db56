// SPDX-License-Identifier: Apache-2.0
// What operators do to facts. Every function gets "nothing known" and improves it only where it is certain;
// the caller clips to the type and ends `integral` where the type cannot hold it.
#include "surgery/facts/facts_priv.h"

#include <math.h>
#include <string.h>

typedef struct step {
    ap_facts *f;
    const ap_node *n;
    size_t output;
    ap_fact *out;
} step;

static ap_fact in(const step *s, size_t i) {
    if (i < s->n->input_count && s->n->inputs[i]) return *ap_facts_of(s->f, s->n->inputs[i]);
    return fact_top(AP_DTYPE_NONE);
}

static ap_dtype out_dtype(const step *s) {
    ap_dtype t = s->output < s->n->output_count && s->n->outputs[s->output]
                     ? fact_dtype(s->f, s->n->outputs[s->output])
                     : AP_DTYPE_NONE;
    return t ? t : s->n->input_count ? fact_dtype(s->f, s->n->inputs[0]) : AP_DTYPE_NONE;
}

// The interval of a result that was rounded once where the target computes.
static void widen(const step *s, double lo, double hi) {
    ap_dtype c = fact_compute(s->f, out_dtype(s));
    double rel = c == AP_F16 ? 0x1p-10 : c == AP_BF16 ? 0x1p-7 : c == AP_F64 ? 0x1p-52 : 0x1p-23;
    double least = c == AP_F16 ? 0x1p-24 : 0x1p-149;
    bool whole = ap_dtype_is_int(c) || c == AP_BOOL;
    s->out->lo = whole ? lo : lo - fmax(fabs(lo) * rel, least);
    s->out->hi = whole ? hi : hi + fmax(fabs(hi) * rel, least);
}

static ap_fact join(ap_fact a, ap_fact b) {
    return (ap_fact){.lo = fmin(a.lo, b.lo),
                     .hi = fmax(a.hi, b.hi),
                     .integral = a.integral && b.integral,
                     .notnan = a.notnan && b.notnan,
                     .finite = a.finite && b.finite,
                     .nonzero = a.nonzero && b.nonzero};
}

static ap_fact zero(void) {
    return (ap_fact){.integral = true, .notnan = true, .finite = true};
}

// ---- arithmetic

static void add(const step *s) {
    ap_fact a = in(s, 0), b = in(s, 1);
    widen(s, a.lo + b.lo, a.hi + b.hi);
    s->out->integral = a.integral && b.integral;
    s->out->notnan = a.notnan && b.notnan && (a.finite || b.finite);
    if (a.lo >= 0 && b.lo >= 0) s->out->lo = fmax(s->out->lo, 0);
}

static void sub(const step *s) {
    ap_fact a = in(s, 0), b = in(s, 1);
    widen(s, a.lo - b.hi, a.hi - b.lo);
    s->out->integral = a.integral && b.integral;
    s->out->notnan = a.notnan && b.notnan && (a.finite || b.finite);
}

static double times(double a, double b) {
    return a == 0 || b == 0 ? 0 : a * b; // 0 · inf of bounds: the bound is not reached by a NaN
}

static void mul(const step *s) {
    ap_fact a = in(s, 0), b = in(s, 1);
    double p[4] = {times(a.lo, b.lo), times(a.lo, b.hi), times(a.hi, b.lo), times(a.hi, b.hi)};
    double lo = p[0], hi = p[0];
    for (int i = 1; i < 4; i++) {
        lo = fmin(lo, p[i]);
        hi = fmax(hi, p[i]);
    }
    widen(s, lo, hi);
    if (lo >= 0 || s->n->inputs[0] == s->n->inputs[1]) s->out->lo = fmax(s->out->lo, 0);
    s->out->integral = a.integral && b.integral;
    s->out->notnan = a.notnan && b.notnan && a.finite && b.finite;
}

static void divide(const step *s) {
    ap_fact a = in(s, 0), b = in(s, 1);
    s->out->notnan = a.finite && b.finite && b.nonzero;
    if (!(b.lo > 0) && !(b.hi < 0)) return; // 1/x is not bounded across 0
    double p[4] = {a.lo / b.lo, a.lo / b.hi, a.hi / b.lo, a.hi / b.hi}, lo = p[0], hi = p[0];
    for (int i = 0; i < 4; i++) {
        if (isnan(p[i])) return;
        lo = fmin(lo, p[i]);
        hi = fmax(hi, p[i]);
    }
    ap_dtype t = out_dtype(s);
    bool whole = ap_dtype_is_int(t); // then the result is cut off towards 0: 1/2 is 0
    widen(s, whole ? trunc(lo) : lo, whole ? trunc(hi) : hi);
    if (lo >= 0) s->out->lo = fmax(s->out->lo, 0);
}

// Both kinds for whole numbers; the sign is the divisor's without fmod.
static void mod(const step *s) {
    ap_fact a = in(s, 0), b = in(s, 1);
    double most = fmax(fabs(b.lo), fabs(b.hi));
    bool whole = a.integral && b.integral;
    s->out->integral = whole && b.nonzero;
    s->out->notnan = a.finite && b.finite && b.nonzero;
    if (ap_node_attr_int(s->n, "fmod", 0) || !(b.lo > 0)) {
        s->out->lo = -most;
        s->out->hi = most;
    } else {
        s->out->lo = 0;
        s->out->hi = whole ? most - 1 : most;
    }
}

static void negate(const step *s) {
    ap_fact a = in(s, 0);
    *s->out = a;
    s->out->lo = -a.hi;
    s->out->hi = -a.lo;
    s->out->row_finite = 0;
}

static void absolute(const step *s) {
    ap_fact a = in(s, 0);
    *s->out = a;
    s->out->lo = a.lo > 0 ? a.lo : a.hi < 0 ? -a.hi : 0;
    s->out->hi = fmax(fabs(a.lo), fabs(a.hi));
    s->out->distinct = s->out->row_finite = 0;
}

static void relu(const step *s) {
    ap_fact a = in(s, 0);
    *s->out = join(a, a);
    s->out->lo = fmax(a.lo, 0);
    s->out->hi = fmax(a.hi, 0);
    s->out->nonzero = a.lo > 0;
}

static void rounded(const step *s) {
    ap_fact a = in(s, 0);
    s->out->lo = floor(a.lo);
    s->out->hi = ceil(a.hi);
    s->out->integral = true;
    s->out->notnan = a.notnan;
}

static void monotone(const step *s, double (*fn)(double), double least, double most) {
    ap_fact a = in(s, 0);
    double lo = fn(a.lo), hi = fn(a.hi);
    widen(s, isnan(lo) ? least : lo, isnan(hi) ? most : hi);
    // The implementations' error is some ulps; the range of the function itself is kept.
    widen(s, s->out->lo, s->out->hi);
    widen(s, s->out->lo, s->out->hi);
    s->out->lo = fmax(s->out->lo, least);
    s->out->hi = fmin(s->out->hi, most);
    s->out->notnan = a.notnan;
}

static void bounded(const step *s, double lo, double hi) {
    s->out->lo = lo;
    s->out->hi = hi;
    s->out->notnan = in(s, 0).notnan;
}

static void periodic(const step *s) {
    widen(s, -1, 1);
    s->out->notnan = in(s, 0).finite;
}

static void softmax(const step *s) {
    widen(s, 0, 1);
    s->out->lo = 0;
    s->out->notnan = in(s, 0).finite;
}

static void root(const step *s) {
    ap_fact a = in(s, 0);
    monotone(s, sqrt, 0, INFINITY);
    s->out->lo = 0;
    s->out->notnan = a.notnan && a.lo >= 0;
}

static void logarithm(const step *s) {
    ap_fact a = in(s, 0);
    if (a.lo > 0) monotone(s, log, -INFINITY, INFINITY);
    s->out->notnan = a.notnan && a.lo >= 0;
}

static void sign(const step *s) {
    ap_fact a = in(s, 0);
    s->out->lo = a.lo > 0 ? 1 : a.lo >= 0 ? 0 : -1;
    s->out->hi = a.hi < 0 ? -1 : a.hi <= 0 ? 0 : 1;
    s->out->integral = true;
    s->out->notnan = a.notnan;
    s->out->nonzero = a.nonzero;
}

static void sigmoid_like(const step *s) {
    bounded(s, 0, 1);
}
static void tanh_like(const step *s) {
    widen(s, -1, 1);
    s->out->notnan = in(s, 0).notnan;
}
static void exponential(const step *s) {
    monotone(s, exp, 0, INFINITY);
}
static void softplus(const step *s) {
    bounded(s, 0, INFINITY);
}
static void boolean(const step *s) {
    *s->out = fact_top(AP_BOOL);
}

// ---- choice and movement

static void pass(const step *s) {
    ap_fact a = in(s, 0);
    if (s->output == 0 || !strcmp(s->n->op, "Split")) *s->out = join(a, a); // lines are rearranged
}

static void identity(const step *s) {
    if (s->output == 0) *s->out = in(s, 0);
}

static void all_inputs(const step *s) {
    if (!s->n->input_count) return;
    ap_fact all = in(s, 0);
    for (size_t i = 1; i < s->n->input_count; i++) all = join(all, in(s, i));
    *s->out = join(all, all);
}

static void extreme(const step *s, bool max) {
    all_inputs(s);
    for (size_t i = 0; i < s->n->input_count; i++) {
        ap_fact a = in(s, i);
        if (max) s->out->lo = fmax(s->out->lo, a.lo);
        if (!max) s->out->hi = fmin(s->out->hi, a.hi);
    }
}
static void maximum(const step *s) {
    extreme(s, true);
}
static void minimum(const step *s) {
    extreme(s, false);
}

static void clip(const step *s) {
    ap_fact a = in(s, 0);
    *s->out = join(a, a);
    s->out->nonzero = false;
    const Onnx__AttributeProto *lo = ap_node_attr(s->n, "min"), *hi = ap_node_attr(s->n, "max");
    double least = lo && lo->has_f ? (double)lo->f : -INFINITY,
           most = hi && hi->has_f ? (double)hi->f : INFINITY;
    bool whole = true;
    if (s->n->input_count > 1 && s->n->inputs[1]) {
        least = in(s, 1).lo;
        whole = in(s, 1).integral;
    }
    if (s->n->input_count > 2 && s->n->inputs[2]) {
        most = in(s, 2).hi;
        whole &= in(s, 2).integral;
    }
    if ((lo && least != trunc(least)) || (hi && most != trunc(most))) whole = false;
    if (!(least <= most)) return; // what it does then depends on who runs it
    s->out->integral = a.integral && whole;
    s->out->lo = fmin(fmax(a.lo, least), most);
    s->out->hi = fmax(fmin(a.hi, most), least);
}

static void where(const step *s) {
    ap_fact a = in(s, 1), b = in(s, 2);
    *s->out = join(a, b);
}

static void pad(const step *s) {
    ap_fact a = in(s, 0), v = zero();
    const Onnx__AttributeProto *mode = ap_node_attr(s->n, "mode"), *old = ap_node_attr(s->n, "value");
    bool constant = !mode || !mode->s.data || (mode->s.len == 8 && !memcmp(mode->s.data, "constant", 8));
    if (s->n->input_count > 2 && s->n->inputs[2]) v = in(s, 2);
    if (old) v = fact_top(AP_DTYPE_NONE);
    *s->out = constant ? join(a, v) : join(a, a);
}

static void with_zero(const step *s) {
    *s->out = join(in(s, 0), zero());
}

static void scatter(const step *s) {
    if (!ap_node_attr(s->n, "reduction")) *s->out = join(in(s, 0), in(s, 2));
}

static void one_hot(const step *s) {
    *s->out = join(in(s, 2), in(s, 2));
}

// ---- types

static void cast(const step *s) {
    ap_fact a = in(s, 0);
    ap_dtype to = (ap_dtype)ap_node_attr_int(s->n, "to", 0), from = fact_dtype(s->f, s->n->inputs[0]);
    if (to == AP_BOOL) {
        *s->out = fact_top(AP_BOOL);
        if (a.nonzero) s->out->lo = 1;
    } else if (ap_dtype_is_int(to)) {
        *s->out = fact_top(to);
        bool fits = a.notnan && trunc(a.lo) >= s->out->lo && trunc(a.hi) <= s->out->hi;
        if (fits) {
            s->out->lo = trunc(a.lo);
            s->out->hi = trunc(a.hi);
            if (a.integral) s->out->distinct = a.distinct;
        }
    } else {
        bool exact = fmax(fabs(a.lo), fabs(a.hi)) <= ap_exact_int(fact_compute(s->f, to)) && a.integral;
        s->out->lo = a.lo;
        s->out->hi = a.hi;
        if (!exact && to != from) widen(s, a.lo, a.hi);
        s->out->notnan = a.notnan;
        s->out->integral = exact;
        s->out->nonzero = a.nonzero && exact;
        s->out->distinct = exact ? a.distinct : 0;
    }
}

static void dequantize(const step *s) {
    ap_fact x = in(s, 0), scale = in(s, 1), zp = s->n->input_count > 2 ? in(s, 2) : zero();
    double lo = x.lo - zp.hi, hi = x.hi - zp.lo;
    if (!(scale.lo >= 0) || !isfinite(scale.hi)) return;
    widen(s, fmin(times(lo, scale.hi), times(lo, scale.lo)), fmax(times(hi, scale.hi), times(hi, scale.lo)));
    s->out->notnan = scale.finite;
}

// ---- indices and shapes

static bool axis_size(const step *s, int64_t axis, int64_t *axis_out, int64_t *size) {
    ap_value_type t;
    if (!fact_type(s->f, s->n->inputs[0], &t) || t.rank > 32) return false;
    if (axis < 0) axis += (int64_t)t.rank;
    if (axis < 0 || axis >= (int64_t)t.rank) return false;
    *axis_out = axis;
    *size = t.dims[axis];
    return *size > 0;
}

static void indices(const step *s, int64_t axis) {
    int64_t at, size;
    *s->out = fact_top(AP_I64);
    s->out->lo = 0;
    if (axis_size(s, axis, &at, &size)) s->out->hi = (double)(size - 1);
}

static void arg(const step *s) {
    indices(s, ap_node_attr_int(s->n, "axis", 0));
}

static void top_k(const step *s) {
    int64_t axis = ap_node_attr_int(s->n, "axis", -1), at, size;
    if (s->output == 0) {
        pass(s);
        return;
    }
    indices(s, axis);
    if (axis_size(s, axis, &at, &size)) s->out->distinct = UINT32_C(1) << at;
}

static void count_like(const step *s) {
    *s->out = fact_top(AP_I64);
    s->out->lo = 0;
}

// ---- sums

static void average(const step *s) {
    ap_fact a = in(s, 0);
    widen(s, a.lo, a.hi);
    widen(s, s->out->lo, s->out->hi);
    if (a.lo >= 0) s->out->lo = fmax(s->out->lo, 0);
    s->out->notnan =
        a.finite && ap_dtype_highest(fact_compute(s->f, out_dtype(s))) > 0x1p100; // sums overflow f16
}

static void average_pool(const step *s) {
    ap_fact a = in(s, 0);
    average(s);
    if (a.lo > 0) s->out->lo = 0; // padding may count
    if (a.hi < 0) s->out->hi = 0;
}

static void reduce_sum(const step *s) {
    ap_fact a = in(s, 0);
    ap_value_type t;
    size_t count = 0;
    s->out->lo = a.lo >= 0 ? 0 : -INFINITY;
    if (!fact_type(s->f, s->n->inputs[0], &t)) return;
    for (size_t i = 0; i < t.rank; i++)
        if (t.dims[i] < 0) return;
    ap_err err = ap_shape_count(t.dims, t.rank, &count);
    ap_err_free(err);
    if (err) return;
    double n = (double)count, slack = 1 + n * 0x1p-10;
    s->out->lo = a.lo >= 0 ? 0 : times(a.lo, n) * slack;
    s->out->hi = a.hi <= 0 ? 0 : times(a.hi, n) * slack;
    s->out->integral = a.integral;
    s->out->notnan = a.finite && isfinite(s->out->lo) && isfinite(s->out->hi);
}

static void mat_mul(const step *s) {
    ap_fact a = in(s, 0), b = in(s, 1);
    ap_value_type t;
    if (!fact_type(s->f, s->n->inputs[0], &t) || !t.rank || t.dims[t.rank - 1] < 0) return;
    double k = (double)t.dims[t.rank - 1];
    double most = times(fmax(fabs(a.lo), fabs(a.hi)), fmax(fabs(b.lo), fabs(b.hi))) * k * (1 + k * 0x1p-10);
    s->out->lo = a.lo >= 0 && b.lo >= 0 ? 0 : -most;
    s->out->hi = most;
    s->out->integral = a.integral && b.integral;
    s->out->notnan = a.finite && b.finite && isfinite(most);
}

static void resize(const step *s) {
    const Onnx__AttributeProto *mode = ap_node_attr(s->n, "mode");
    const Onnx__AttributeProto *ct = ap_node_attr(s->n, "coordinate_transformation_mode");
    bool nearest = !mode || (mode->s.len == 7 && !memcmp(mode->s.data, "nearest", 7));
    if (nearest && !ct) pass(s); // crops bring in another value
}

static const struct {
    const char *op;
    void (*fn)(const step *s);
} table[] = {
    {"Add", add},
    {"Sub", sub},
    {"Mul", mul},
    {"Div", divide},
    {"Mod", mod},
    {"Neg", negate},
    {"Abs", absolute},
    {"Relu", relu},
    {"Floor", rounded},
    {"Ceil", rounded},
    {"Round", rounded},
    {"Exp", exponential},
    {"Sqrt", root},
    {"Log", logarithm},
    {"Sign", sign},
    {"Sigmoid", sigmoid_like},
    {"HardSigmoid", sigmoid_like},
    {"Softmax", softmax},
    {"Tanh", tanh_like},
    {"Erf", tanh_like},
    {"Sin", periodic},
    {"Cos", periodic},
    {"Softplus", softplus},
    {"Not", boolean},
    {"And", boolean},
    {"Or", boolean},
    {"Xor", boolean},
    {"Equal", boolean},
    {"Less", boolean},
    {"Greater", boolean},
    {"LessOrEqual", boolean},
    {"GreaterOrEqual", boolean},
    {"IsNaN", boolean},
    {"IsInf", boolean},
    {"Identity", identity},
    {"Reshape", pass},
    {"Transpose", pass},
    {"Squeeze", pass},
    {"Unsqueeze", pass},
    {"Flatten", pass},
    {"Slice", pass},
    {"Gather", pass},
    {"GatherElements", pass},
    {"GatherND", pass},
    {"Expand", pass},
    {"Tile", pass},
    {"DepthToSpace", pass},
    {"SpaceToDepth", pass},
    {"Split", pass},
    {"Compress", pass},
    {"ReduceMax", pass},
    {"ReduceMin", pass},
    {"MaxPool", pass},
    {"GlobalMaxPool", pass},
    {"Concat", all_inputs},
    {"Max", maximum},
    {"Min", minimum},
    {"Clip", clip},
    {"Where", where},
    {"Pad", pad},
    {"Trilu", with_zero},
    {"ScatterElements", scatter},
    {"ScatterND", scatter},
    {"OneHot", one_hot},
    {"Cast", cast},
    {"DequantizeLinear", dequantize},
    {"ArgMax", arg},
    {"ArgMin", arg},
    {"TopK", top_k},
    {"Shape", count_like},
    {"Size", count_like},
    {"NonZero", count_like},
    {"ReduceMean", average},
    {"GlobalAveragePool", average},
    {"AveragePool", average_pool},
    {"ReduceSum", reduce_sum},
    {"MatMul", mat_mul},
    {"Resize", resize},
};

void fact_of_node(ap_facts *f, const ap_node *n, size_t output, ap_fact *out) {
    step s = {f, n, output, out};
    if (!n->input_count || !n->inputs[0]) return;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].op, n->op)) {
            table[i].fn(&s);
            return;
        }
}
