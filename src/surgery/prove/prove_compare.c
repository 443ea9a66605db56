// SPDX-License-Identifier: Apache-2.0
// Left against right, by the class of the rule.
#include "surgery/prove/prove_priv.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool same_number(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

double signal_rms(const ap_tensor *t, double *sum, size_t *count) {
    double s = 0;
    size_t n = 0;
    for (size_t i = 0; i < ap_tensor_count(t); i++) {
        double x = ap_tensor_at(t, i);
        if (!isfinite(x)) continue;
        s += x * x;
        n++;
    }
    if (sum) *sum += s;
    if (count) *count += n;
    return n ? sqrt(s / (double)n) : 0;
}

// One unit in the last place of a type at |x|.
static double ulp_at(ap_dtype t, double x) {
    int bits = t == AP_F16 ? 10 : t == AP_BF16 ? 7 : t == AP_F64 ? 52 : 23, e;
    int least = t == AP_F16 ? -24 : t == AP_BF16 ? -133 : t == AP_F64 ? -1074 : -149;
    if (!isfinite(x) || x == 0) return ldexp(1, least);
    (void)frexp(x, &e);
    return ldexp(1, e - 1 - bits > least ? e - 1 - bits : least);
}

typedef struct check {
    const ap_rule *rule;
    instance *x;
    size_t output;
    const ap_tensor *a, *b;
    const double *scale; // by element; for ulp
    double floor_rms;    // of the outputs of mild instances
    noise *sum;
    double worst;
    size_t worst_at;
} check;

static void fail_at(check *c, prove_failure kind, size_t i, const char *what) {
    instance *x = c->x;
    double a = ap_tensor_at(c->a, i), b = ap_tensor_at(c->b, i);
    x->stage = STAGE_FAILED;
    x->fail = kind;
    x->why = ap_arena_printf(&x->arena, "%s: element %zu of \"%s\" is %.9g on the left and %.9g on the right",
                             what, i, x->model->graph->outputs[c->output]->name, a, b);
    x->element = json_pack("{sI, so, so, so}", "index", (json_int_t)i, "output",
                           ap_json_string(x->model->graph->outputs[c->output]->name), "left", ap_json_real(a),
                           "right", ap_json_real(b));
}

// ---- exact

static bool check_bits(check *c) {
    size_t step = ap_dtype_bits(c->a->dtype) / 8;
    if (!step || !memcmp(c->a->data, c->b->data, c->a->bytes)) return true;
    for (size_t i = 0; i < ap_tensor_count(c->a); i++)
        if (memcmp((char *)c->a->data + i * step, (char *)c->b->data + i * step, step) != 0) {
            fail_at(c, FAIL_VALUE, i, "other bits");
            return false;
        }
    return true;
}

static bool check_exact(check *c, bool refines) {
    if (c->a->dtype == AP_I64 || c->a->dtype == AP_U64) return check_bits(c);
    for (size_t i = 0; i < ap_tensor_count(c->a); i++) {
        double a = ap_tensor_at(c->a, i), b = ap_tensor_at(c->b, i);
        if (same_number(a, b) || (refines && isnan(a))) continue;
        fail_at(c, isnan(a) || isnan(b) ? FAIL_NAN : FAIL_VALUE, i, "not equal");
        return false;
    }
    return true;
}

// ---- rounding and approximate

// NaN and infinities stand in the same places, whatever the class.
static bool check_places(check *c, bool refines) {
    for (size_t i = 0; i < ap_tensor_count(c->a); i++) {
        double a = ap_tensor_at(c->a, i), b = ap_tensor_at(c->b, i);
        if ((isfinite(a) && isfinite(b)) || same_number(a, b) || (refines && isnan(a))) continue;
        // Terms that do not overflow together may do so on the way, in one order and not in another.
        if (c->x->cls.finite && c->scale && !isfinite(c->scale[i])) continue;
        // What rounds to the largest number on one side may round to infinity on the other.
        double most = ap_dtype_highest(c->a->dtype);
        bool edge = !isnan(a) && !isnan(b) && (a > 0) == (b > 0) && fmin(fabs(a), fabs(b)) > most * 0.999;
        if (edge) continue;
        fail_at(c, FAIL_NAN, i, "not the same NaN and infinities");
        return false;
    }
    return true;
}

static bool check_ulp(check *c, int64_t amount, bool refines) {
    if (!check_places(c, refines)) return false;
    for (size_t i = 0; i < ap_tensor_count(c->a); i++) {
        double a = ap_tensor_at(c->a, i), b = ap_tensor_at(c->b, i);
        if (!isfinite(a) || !isfinite(b) || a == b) continue;
        double at = fmax(fabs(a), fabs(b)), units;
        if (c->scale && isfinite(c->scale[i])) at = fmax(at, c->scale[i]);
        units = fabs(a - b) / ulp_at(c->a->dtype, at);
        if (units > c->worst) {
            c->worst = units;
            c->worst_at = i;
        }
    }
    c->x->error = fmax(c->x->error, c->worst);
    if (c->worst <= (double)amount) return true;
    fail_at(c, FAIL_VALUE, c->worst_at, ap_arena_printf(&c->x->arena, "%.3g ulp", c->worst));
    return false;
}

static bool check_db(check *c, int64_t amount, bool refines) {
    double rms, most, least = pow(10, -(double)amount / 20);
    if (!check_places(c, refines)) return false;
    rms = fmax(signal_rms(c->a, NULL, NULL), c->floor_rms);
    most = 10 * least * rms;
    bool narrow = c->a->dtype == AP_F16 || c->a->dtype == AP_BF16;
    double own = narrow ? 4 * ulp_at(c->a->dtype, rms) : 0; // what results in between lose to their type
    for (size_t i = 0; i < ap_tensor_count(c->a); i++) {
        double a = ap_tensor_at(c->a, i), b = ap_tensor_at(c->b, i), err = fabs(a - b);
        if (!isfinite(a) || !isfinite(b)) continue;
        if (narrow && err <= fmax(own, 4 * ulp_at(c->a->dtype, fmax(fabs(a), fabs(b))))) continue;
        if (c->sum && value_class_mild(c->x->values)) {
            c->sum->signal += a * a;
            c->sum->error += err * err;
            c->sum->count++;
        }
        if (err > c->worst) {
            c->worst = err;
            c->worst_at = i;
        }
    }
    // An instance's own figure is only said where it is off: see noise for all of them.
    if (c->worst <= most || rms == 0) return true;
    fail_at(c, FAIL_VALUE, c->worst_at,
            ap_arena_printf(&c->x->arena, "an error of %.3g, %.3g allowed", c->worst, most));
    return false;
}

// ---- scales of ulp

// The largest finite element of every line along the last axis.
static void row_scale(const ap_tensor *t, double *out) {
    size_t n = ap_tensor_count(t), row = t->rank ? (size_t)t->dims[t->rank - 1] : 1;
    for (size_t from = 0; row && from < n; from += row) {
        double most = 0;
        for (size_t i = from; i < from + row; i++) {
            double x = fabs(ap_tensor_at(t, i));
            if (isfinite(x)) most = fmax(most, x);
        }
        for (size_t i = from; i < from + row; i++) out[i] = fmax(out[i], most);
    }
}

static double *make_scale(const instance *x, size_t output, const ap_tensor *a) {
    if (x->elementwise) return NULL;
    size_t n = ap_tensor_count(a);
    double *scale = ap_calloc(n + 1, sizeof *scale);
    const ap_tensor *s = x->scale ? &x->scale[output] : NULL;
    bool known = s && s->dtype == a->dtype && ap_tensor_count(s) == n;
    for (size_t i = 0; known && i < n; i++) scale[i] = fabs(ap_tensor_at(s, i));
    if (!known) row_scale(a, scale);
    return scale;
}

// ---- all outputs

static bool same_types(instance *x, size_t i) {
    const ap_tensor *a = &x->left[i], *b = &x->now[i];
    if (a->dtype == b->dtype && ap_shape_equal(a->dims, a->rank, b->dims, b->rank)) return true;
    ap_buf l = {0}, r = {0};
    ap_shape_format(a->dims, a->rank, &l);
    ap_shape_format(b->dims, b->rank, &r);
    x->stage = STAGE_FAILED;
    x->fail = FAIL_TYPE;
    x->why = ap_arena_printf(&x->arena, "\"%s\" is %s %s on the left and %s %s on the right",
                             x->model->graph->outputs[i]->name, ap_dtype_name(a->dtype), ap_buf_str(&l),
                             ap_dtype_name(b->dtype), ap_buf_str(&r));
    ap_buf_free(&l);
    ap_buf_free(&r);
    return false;
}

// Is anything NaN or infinite among the operands and the results of the left side?
static bool is_odd(const instance *x) {
    for (size_t i = 0; i < x->feed_count; i++)
        if (ap_tensor_find_nonfinite(&x->feeds[i].t) >= 0) return true;
    for (size_t i = 0; i < x->left_count; i++)
        if (ap_tensor_find_nonfinite(&x->left[i]) >= 0) return true;
    for (size_t i = 0; i < x->model->proto->graph->n_initializer; i++) {
        ap_tensor t;
        ap_err err = ap_model_tensor(x->model, x->model->proto->graph->initializer[i], &t);
        bool odd = !err && ap_tensor_find_nonfinite(&t) >= 0;
        ap_err_free(err);
        if (odd) return true;
    }
    return false;
}

void compare_instance(const ap_rule *r, instance *x, noise *sum, double rms) {
    if (x->cls.finite && is_odd(x)) {
        x->stage = STAGE_OUTSIDE;
        return;
    }
    for (size_t i = 0; i < x->left_count; i++) {
        check c = {
            .rule = r, .x = x, .output = i, .a = &x->left[i], .b = &x->now[i], .floor_rms = rms, .sum = sum};
        const ap_rule_class *k = &x->cls;
        if (!same_types(x, i)) return;
        bool plain = !ap_dtype_is_float(c.a->dtype), good;
        if (k->kind == AP_CLASS_BITS) {
            good = check_bits(&c);
        } else if (k->kind == AP_CLASS_EXACT || plain) {
            good = check_exact(&c, k->refines);
        } else if (k->kind == AP_CLASS_ULP) {
            double *scale = make_scale(x, i, c.a);
            c.scale = scale;
            good = check_ulp(&c, k->amount, k->refines);
            free(scale);
        } else {
            good = check_db(&c, k->amount, k->refines);
        }
        if (!good) return;
    }
    x->stage = STAGE_HELD;
}

bool outputs_agree(const ap_tensor *a, const ap_tensor *b) {
    if (a->dtype != b->dtype || !ap_shape_equal(a->dims, a->rank, b->dims, b->rank)) return false;
    double most = 0, rel = a->dtype == AP_F16 ? 4e-3 : a->dtype == AP_BF16 ? 3e-2 : 1e-3;
    for (size_t i = 0; i < ap_tensor_count(a); i++) {
        double x = fabs(ap_tensor_at(a, i));
        if (isfinite(x)) most = fmax(most, x);
    }
    for (size_t i = 0; i < ap_tensor_count(a); i++) {
        double x = ap_tensor_at(a, i), y = ap_tensor_at(b, i);
        if (same_number(x, y)) continue;
        if (!ap_dtype_is_float(a->dtype) || !isfinite(x) || !isfinite(y)) return false;
        if (fabs(x - y) > rel * fmax(fmax(fabs(x), fabs(y)), 1e-3 * most)) return false;
    }
    return true;
}
