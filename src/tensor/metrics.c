// SPDX-License-Identifier: Apache-2.0
// Two passes in blocks of doubles. The first takes the sums and maxima of the flat tensors; the second, which
// needs the first's max |ref|, takes relative errors and sums by channel, and is left out when nothing
// differs.
//
// Elements where either side is NaN or Inf are in no sum and no maximum; they are counted, and
// nonfinite_mismatch says how many of them are not the same on both sides (NaN equals NaN, +Inf equals +Inf).
#include "tensor/metrics.h"

#include "tensor/metrics_rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1024, LANES = 4 }; // two blocks of doubles are 16 KiB: they stay in the first-level cache

// A sum with its lost low part: Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher
// Summen", ZAMM 54 (1974).
typedef struct careful_sum {
    double sum, lost;
} careful_sum;

// Plain sums of one block: at most BLOCK terms, whose rounding is far below what any gate looks at.
typedef struct block_sums {
    double dot, ref2, test2, err2, max_ref, max_err;
} block_sums;

typedef struct totals {
    careful_sum dot, ref2, test2, err2;
    size_t finite; // pairs in the sums
} totals;

// Where the channels lie: element i belongs to channel i / inner % count.
typedef struct channel_plan {
    size_t axis, count, inner, outer;
    double *err2, *ref2; // per channel
} channel_plan;

static void add(careful_sum *s, double v) {
    double t = s->sum + v;
    s->lost += fabs(s->sum) >= fabs(v) ? (s->sum - t) + v : (v - t) + s->sum;
    s->sum = t;
}

static double total(const careful_sum *s) {
    // An infinite sum (squares of doubles near 1e300) leaves NaN in `lost`.
    return isfinite(s->lost) ? s->sum + s->lost : s->sum;
}

// Ratio of energies in dB. No error is +inf, also for a silent reference; an error on a silent reference is
// -inf.
static double ratio_db(double ref2, double err2) {
    if (err2 == 0) return (double)INFINITY;
    if (ref2 == 0) return -(double)INFINITY;
    return 10 * log10(ref2 / err2);
}

// LANES independent sums per quantity: the compiler makes vector code of them without being allowed to
// reorder. `n` is a multiple of LANES.
static block_sums sum_block(const double *restrict r, const double *restrict t, size_t n) {
    double dot[LANES] = {0}, ref2[LANES] = {0}, test2[LANES] = {0}, err2[LANES] = {0};
    double max_ref[LANES] = {0}, max_err[LANES] = {0};
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            double a = r[i + k], b = t[i + k], e = a - b, abs_a = fabs(a), abs_e = fabs(e);
            dot[k] += a * b;
            ref2[k] += a * a;
            test2[k] += b * b;
            err2[k] += e * e;
            max_ref[k] = abs_a > max_ref[k] ? abs_a : max_ref[k];
            max_err[k] = abs_e > max_err[k] ? abs_e : max_err[k];
        }
    }
    block_sums s = {0};
    for (size_t k = 0; k < LANES; k++) {
        s.dot += dot[k];
        s.ref2 += ref2[k];
        s.test2 += test2[k];
        s.err2 += err2[k];
        s.max_ref = fmax(s.max_ref, max_ref[k]);
        s.max_err = fmax(s.max_err, max_err[k]);
    }
    return s;
}

// Counts the NaNs and Infs of a block and blanks such pairs to 0/0, which adds nothing to any sum.
static size_t blank_nonfinite(double *r, double *t, size_t n, ap_metrics *m) {
    size_t blanked = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(r[i]) && isfinite(t[i])) continue;
        bool same = r[i] == t[i] || (isnan(r[i]) && isnan(t[i]));
        if (m) {
            m->nan_ref += isnan(r[i]) != 0;
            m->nan_test += isnan(t[i]) != 0;
            m->inf_ref += isinf(r[i]) != 0;
            m->inf_test += isinf(t[i]) != 0;
            m->nonfinite_mismatch += !same;
        }
        r[i] = t[i] = 0;
        blanked++;
    }
    return blanked;
}

// Reads a block of both tensors, filled up with zeros to a multiple of LANES.
static size_t load_block(const ap_tensor *ref, const ap_tensor *test, size_t at, size_t n, double *r,
                         double *t) {
    ap_tensor_to_f64(ref, at, n, r);
    ap_tensor_to_f64(test, at, n, t);
    size_t padded = n;
    for (; padded % LANES != 0; padded++) r[padded] = t[padded] = 0;
    return padded;
}

static void first_pass(const ap_tensor *ref, const ap_tensor *test, ap_metrics *m, totals *sum) {
    double r[BLOCK], t[BLOCK];
    for (size_t at = 0; at < m->count; at += BLOCK) {
        size_t n = m->count - at < BLOCK ? m->count - at : BLOCK;
        size_t padded = load_block(ref, test, at, n, r, t), blanked = 0;
        block_sums s = sum_block(r, t, padded);
        // A NaN or Inf makes one of these so; testing the sums instead of the elements keeps the loop tight.
        if (!isfinite(s.ref2) || !isfinite(s.test2)) {
            blanked = blank_nonfinite(r, t, n, m);
            s = sum_block(r, t, padded);
        }
        sum->finite += n - blanked;
        add(&sum->dot, s.dot);
        add(&sum->ref2, s.ref2);
        add(&sum->test2, s.test2);
        add(&sum->err2, s.err2);
        m->ref_max = fmax(m->ref_max, s.max_ref);
        if (s.max_err <= m->max_abs) continue;
        m->max_abs = s.max_err;
        for (size_t i = 0; i < n; i++) {
            if (fabs(r[i] - t[i]) != s.max_err) continue;
            m->max_abs_index = at + i;
            break;
        }
    }
}

static channel_plan channels_along(const ap_tensor *t, size_t axis) {
    channel_plan c = {.axis = axis, .inner = 1, .outer = 1};
    if (t->rank < 2 || axis >= t->rank) return c;
    c.count = (size_t)t->dims[axis];
    for (size_t i = 0; i < axis; i++) c.outer *= (size_t)t->dims[i];
    for (size_t i = axis + 1; i < t->rank; i++) c.inner *= (size_t)t->dims[i];
    if (c.outer * c.inner < AP_CHANNEL_MIN_ELEMENTS) c.count = 0;
    return c;
}

// Of too few tokens nothing can be said about a feature, and something about each token.
static channel_plan plan_channels(const ap_tensor *t, size_t axis) {
    channel_plan c = channels_along(t, axis);
    return c.count > 0 ? c : channels_along(t, AP_CHANNEL_AXIS);
}

// Adds one run of elements of one channel; lanes as in sum_block, the rest one by one.
static void add_run(const double *restrict r, const double *restrict t, size_t n, double *err2,
                    double *ref2) {
    double e2[LANES] = {0}, r2[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            double e = r[i + k] - t[i + k];
            e2[k] += e * e;
            r2[k] += r[i + k] * r[i + k];
        }
    }
    for (; i < n; i++) {
        e2[0] += (r[i] - t[i]) * (r[i] - t[i]);
        r2[0] += r[i] * r[i];
    }
    *err2 += (e2[0] + e2[1]) + (e2[2] + e2[3]);
    *ref2 += (r2[0] + r2[1]) + (r2[2] + r2[3]);
}

// The same where channels lie along the last axis: each element is another channel's.
static void add_last(channel_plan *c, size_t at, const double *r, const double *t, size_t n) {
    for (size_t i = 0, channel = at % c->count; i < n; i++) {
        c->err2[channel] += (r[i] - t[i]) * (r[i] - t[i]);
        c->ref2[channel] += r[i] * r[i];
        channel = channel + 1 == c->count ? 0 : channel + 1;
    }
}

// Adds a block that begins at flat index `at` to its channels, run by run.
static void add_channels(channel_plan *c, size_t at, const double *r, const double *t, size_t n) {
    size_t run = at / c->inner, inside = at % c->inner, channel = run % c->count;
    for (size_t i = 0; i < n;) {
        size_t left = c->inner - inside, k = n - i < left ? n - i : left;
        add_run(r + i, t + i, k, &c->err2[channel], &c->ref2[channel]);
        i += k;
        inside = 0;
        channel = channel + 1 == c->count ? 0 : channel + 1;
    }
}

// max |ref - test| / max(|ref|, floor) over a padded block.
static double max_relative(const double *restrict r, const double *restrict t, size_t n, double floor_value) {
    double best[LANES] = {0}, all = 0;
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            double a = fabs(r[i + k]), e = fabs(r[i + k] - t[i + k]);
            double q = e / (a > floor_value ? a : floor_value);
            best[k] = q > best[k] ? q : best[k];
        }
    }
    for (size_t k = 0; k < LANES; k++) all = fmax(all, best[k]);
    return all;
}

static void second_pass(const ap_tensor *ref, const ap_tensor *test, bool blank, ap_metrics *m,
                        channel_plan *c) {
    double r[BLOCK], t[BLOCK], floor_value = 1e-3 * m->ref_max;
    for (size_t at = 0; at < m->count; at += BLOCK) {
        size_t n = m->count - at < BLOCK ? m->count - at : BLOCK;
        size_t padded = load_block(ref, test, at, n, r, t);
        if (blank) (void)blank_nonfinite(r, t, n, NULL);
        // A silent reference has no relative error of a finite size.
        if (floor_value > 0) m->max_rel = fmax(m->max_rel, max_relative(r, t, padded, floor_value));
        if (c->count == 0) continue;
        if (c->inner == 1)
            add_last(c, at, r, t, n);
        else
            add_channels(c, at, r, t, n);
    }
    if (floor_value == 0) m->max_rel = (double)INFINITY;
}

static void find_worst_channel(const channel_plan *c, ap_metrics *m) {
    double tolerance = AP_CHANNEL_TOLERANCE * fmin(1.0, m->ref_max);
    double quiet = (double)c->outer * (double)c->inner * tolerance * tolerance;
    for (size_t i = 0; i < c->count; i++) {
        double db = ratio_db(c->ref2[i] + quiet, c->err2[i]);
        if (m->worst_channel >= 0 && db >= m->worst_channel_db) continue;
        m->worst_channel = (int64_t)i;
        m->worst_channel_db = db;
    }
}

static void conclude(const totals *sum, ap_metrics *m) {
    double dot = total(&sum->dot), ref2 = total(&sum->ref2), test2 = total(&sum->test2),
           err2 = total(&sum->err2);
    m->sqnr_db = ratio_db(ref2, err2);
    m->rms_error = sum->finite > 0 ? sqrt(err2 / (double)sum->finite) : 0;
    if (ref2 == 0 && test2 == 0)
        m->cosine = 1;
    else if (ref2 == 0 || test2 == 0)
        m->cosine = 0;
    else
        m->cosine = fmin(1, fmax(-1, dot / (sqrt(ref2) * sqrt(test2))));
}

static bool same_bytes(const ap_tensor *a, const ap_tensor *b) {
    if (a->dtype != b->dtype || a->bytes != b->bytes) return false;
    if (a->bytes == 0) return true;
    size_t n = a->bytes;
    const unsigned char *p = a->data, *q = b->data;
    // The unused high nibble behind an odd number of 4-bit elements does not count.
    if (ap_dtype_bits(a->dtype) < 8 && ap_tensor_count(a) % 2 != 0) {
        n--;
        if ((p[n] & 15) != (q[n] & 15)) return false;
    }
    return memcmp(p, q, n) == 0;
}

static ap_err check_pair(const ap_tensor *ref, const ap_tensor *test) {
    if (!ap_shape_equal(ref->dims, ref->rank, test->dims, test->rank)) {
        ap_buf text = {0};
        ap_shape_format(ref->dims, ref->rank, &text);
        ap_buf_puts(&text, " and ");
        ap_shape_format(test->dims, test->rank, &text);
        ap_err err = ap_err_new(AP_ERR_INPUT_SHAPE, "cannot compare shapes %s", ap_buf_str(&text));
        ap_buf_free(&text);
        return err;
    }
    bool number = ap_dtype_is_float(ref->dtype) || ap_dtype_is_int(ref->dtype) || ref->dtype == AP_BOOL;
    bool floats = ap_dtype_is_float(ref->dtype) && ap_dtype_is_float(test->dtype);
    if (!number || (ref->dtype != test->dtype && !floats))
        return ap_err_new(AP_ERR_INPUT_DTYPE, "cannot compare %s with %s", ap_dtype_name(ref->dtype),
                          ap_dtype_name(test->dtype));
    return NULL;
}

ap_err ap_metrics_compare(const ap_tensor *ref, const ap_tensor *test, size_t channel_axis, ap_metrics *out) {
    ap_err err = check_pair(ref, test);
    if (err) return err;
    ap_metrics m = {.worst_channel = -1, .worst_channel_db = (double)INFINITY};
    m.count = ap_tensor_count(ref);
    m.bit_equal = same_bytes(ref, test);
    totals sum = {0};
    first_pass(ref, test, &m, &sum);
    conclude(&sum, &m);
    channel_plan c = plan_channels(ref, channel_axis);
    m.channel_axis = c.axis;
    if (m.count > 0 && m.max_abs == 0 && c.count > 0) m.worst_channel = 0; // all are equally perfect
    if (m.count > 0 && m.max_abs > 0) {
        if (c.count > 0) {
            c.err2 = calloc(c.count, sizeof *c.err2);
            c.ref2 = calloc(c.count, sizeof *c.ref2);
            if (!c.err2 || !c.ref2)
                AP_FAIL(AP_ERR_NO_MEMORY, "no memory for the sums of %zu channels", c.count);
        }
        second_pass(ref, test, sum.finite != m.count, &m, &c);
        find_worst_channel(&c, &m);
    }
    ap_metrics_rank(ref, test, &m);
    *out = m;
done:
    free(c.err2);
    free(c.ref2);
    return err;
}
