// SPDX-License-Identifier: Apache-2.0
// The stream of choices, and what tensors are filled with.
#include "base/rand.h"
#include "surgery/prove/prove_priv.h"
#include "tensor/convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t next(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return ap_mix64(*state);
}

uint32_t choose(choices *c, uint32_t n) {
    if (n <= 1) return 0;
    uint32_t v = 0;
    if (c->at < c->count)
        v = c->list[c->at] < n ? c->list[c->at] : n - 1;
    else if (!c->end_simple)
        v = (uint32_t)(next(&c->state) % n);
    if (c->at >= c->cap) {
        c->cap = c->cap ? 2 * c->cap : 64;
        c->list = ap_realloc(c->list, c->cap * sizeof *c->list);
    }
    c->list[c->at++] = v;
    if (c->at > c->count) c->count = c->at;
    return v;
}

bool chance(choices *c, uint32_t percent) {
    return choose(c, 100) >= 100 - percent;
}

void choices_start(choices *c, uint64_t seed) {
    c->count = c->at = 0;
    c->state = seed;
    c->end_simple = false;
}

void choices_copy(choices *to, const choices *from) {
    uint32_t *list = ap_alloc((from->count + 1) * sizeof *list);
    if (from->count) memcpy(list, from->list, from->count * sizeof *list);
    free(to->list);
    *to = *from;
    to->list = list;
    to->cap = from->count + 1;
    to->at = 0;
}

void choices_cut(choices *c) {
    if (c->at < c->count) c->count = c->at;
}

void choices_free(choices *c) {
    free(c->list);
    *c = (choices){0};
}

// ---- values

static const struct {
    const char *name;
    bool mild;
} classes[VALUES_CLASSES] = {
    {"zeros", false},
    {"ones", true},
    {"small integers", true},
    {"halves", true},
    {"normal", true},
    {"ties", true},
    {"equal rows", true},
    {"one-hot", true},
    {"powers of two", false},
    {"beside integers and halves", false},
    {"largest exact integers", false},
    {"wide", false},
    {"large", false},
    {"denormal", false},
    {"signed zeros", false},
    {"NaN and infinities", false},
    {"-inf masks", false},
};

const char *value_class_name(value_class c) {
    return classes[c].name;
}
bool value_class_mild(value_class c) {
    return classes[c].mild;
}

typedef struct source {
    uint64_t state;
    ap_dtype t;
    double exact, most, least; // of the type; least: the smallest denormal
    int64_t row;               // elements of a line
    double line;               // the value of this line
    bool whole;                // masks: a row is masked as a whole
} source;

static uint32_t below(source *s, uint32_t n) {
    return (uint32_t)(next(&s->state) % n);
}
static double unit(source *s) {
    return (double)(next(&s->state) >> 11) * 0x1p-53;
}
static double sign_of(source *s) {
    return below(s, 2) ? -1 : 1;
}
static double small_int(source *s) {
    return (double)below(s, 9) - 4;
}
static double normal(source *s) {
    double u = unit(s) + 0x1p-60;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * unit(s));
}

static double beside(source *s) {
    double x = ((double)below(s, 17) - 8) / 2;
    double step = s->t == AP_F16 ? 0x1p-10 : s->t == AP_BF16 ? 0x1p-7 : s->t == AP_F64 ? 0x1p-52 : 0x1p-23;
    return x + ((double)below(s, 3) - 1) * step * fmax(fabs(x), 0.25);
}

static double special(source *s) {
    static const double odd[] = {INFINITY, -INFINITY, NAN, 0.0, -0.0};
    return below(s, 3) ? small_int(s) / 2 : odd[below(s, 5)];
}

// Whole numbers go to the end of their type, where the two sides are not alike.
static double large(source *s) {
    double side = sign_of(s);
    if (ap_dtype_is_int(s->t) && below(s, 4) == 0) return side < 0 ? ap_dtype_lowest(s->t) : s->most;
    return side * s->most * (0.3 + 0.7 * unit(s));
}

static double element(source *s, value_class c, size_t i) {
    switch (c) {
    case VALUES_ZEROS: return 0;
    case VALUES_ONES: return 1;
    case VALUES_INTS: return small_int(s);
    case VALUES_HALVES: return small_int(s) + 0.5;
    case VALUES_NORMAL: return normal(s);
    case VALUES_TIES: return (double)below(s, 3) - 1;
    case VALUES_ROWS:
        if (!s->row || (int64_t)i % s->row == 0) s->line = normal(s);
        return s->line;
    case VALUES_ONE_HOT: return s->row && (int64_t)i % s->row == (int64_t)(s->state % (uint64_t)s->row);
    case VALUES_POWERS: return sign_of(s) * ldexp(1, (int)below(s, 21) - 10);
    case VALUES_NEAR: return beside(s);
    case VALUES_EXACT: return sign_of(s) * (s->exact + (double)below(s, 5) - 2);
    case VALUES_WIDE:
        return sign_of(s) * pow(10, unit(s) * (s->t == AP_F16 ? 8 : 20) - (s->t == AP_F16 ? 4 : 10));
    case VALUES_LARGE: return large(s);
    case VALUES_DENORMAL: return sign_of(s) * s->least * (double)(1 + below(s, 9));
    case VALUES_SIGNED_ZEROS: return below(s, 3) ? (below(s, 2) ? 0.0 : -0.0) : small_int(s);
    case VALUES_SPECIAL: return special(s);
    default: // half of them with a whole row of -inf
        if (s->row && (int64_t)i / s->row == 0 && s->whole) return -INFINITY;
        return below(s, 2) && (!s->row || (int64_t)i % s->row) ? -INFINITY : small_int(s);
    }
}

// The nearest value inside of the limits.
static double limited(source *s, double x, const value_limits *l) {
    if (l->finite && !isfinite(x)) x = isnan(x) ? 1 : x > 0 ? fmin(l->hi, s->most) : fmax(l->lo, -s->most);
    if (l->integral && isfinite(x)) x = nearbyint(x);
    if (isnan(x)) return x;
    if (x < l->lo || x > l->hi) { // spread what lies outside over the range, where there is one
        double span = l->hi - l->lo;
        bool whole = l->integral || ap_dtype_is_int(s->t);
        if (isfinite(span) && span > 0 && isfinite(x) && fabs(x) < 0x1p50)
            x = whole ? l->lo + fmod(fabs(x), floor(span) + 1) : l->lo + fmod(fabs(x), span);
        else if (l->lo >= 0 && -x >= l->lo && -x <= l->hi)
            x = -x;
        else
            x = x < l->lo ? l->lo : l->hi;
    }
    return x;
}

static double not_zero(const value_limits *l) {
    return l->hi >= 1 ? 1 : l->lo <= -1 ? -1 : l->hi > 0 ? l->hi : l->lo;
}

static void shuffle(ap_tensor *t, source *s, const value_limits *l) {
    size_t n = ap_tensor_count(t);
    double *list = ap_calloc(n + 1, sizeof *list), from = isfinite(l->lo) ? ceil(l->lo) : 0;
    for (size_t i = 0; i < n; i++) list[i] = from + (double)i;
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)below(s, (uint32_t)i);
        double x = list[i - 1];
        list[i - 1] = list[k];
        list[k] = x;
    }
    ap_tensor_put_f64(t, 0, n, list);
    free(list);
}

void values_fill(ap_tensor *t, value_class c, uint32_t seed, const value_limits *limits) {
    source s = {.state = seed * UINT64_C(0x632be59bd9b4e019) + (uint64_t)c, .t = t->dtype};
    s.exact = fmin(ap_exact_int(t->dtype), 0x1p62);
    s.most = ap_dtype_highest(t->dtype);
    s.least = t->dtype == AP_F16    ? 0x1p-24
              : t->dtype == AP_BF16 ? 0x1p-133
              : t->dtype == AP_F64  ? 0x1p-1074
                                    : 0x1p-149;
    s.row = t->rank ? t->dims[t->rank - 1] : 1;
    s.whole = seed % 2 == 1;
    (void)next(&s.state);
    if (limits->distinct) {
        shuffle(t, &s, limits);
        return;
    }
    size_t n = ap_tensor_count(t);
    for (size_t i = 0; i < n; i++) {
        double x = limited(&s, element(&s, c, i), limits);
        ap_tensor_put_f64(t, i, 1, &x);
        if (!limits->nonzero || ap_tensor_at(t, i) != 0) continue; // the type may have rounded it to 0
        x = not_zero(limits);
        ap_tensor_put_f64(t, i, 1, &x);
    }
}
