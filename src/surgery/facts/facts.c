// SPDX-License-Identifier: Apache-2.0
// The table of facts, constants, and where types come from. What operators do to facts: facts_ops.c.
#include "surgery/facts/facts.h"

#include "base/rand.h"
#include "surgery/facts/facts_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEPTH = 64 };
static const size_t MOST_ELEMENTS = (size_t)1 << 26; // of constants worth reading

// ---- element types

double ap_exact_int(ap_dtype t) {
    switch (t) {
    case AP_F16: return 2048;
    case AP_BF16: return 256;
    case AP_F32: return 16777216;
    case AP_F64: return 9007199254740992.0;
    default: return ap_dtype_highest(t);
    }
}

double ap_dtype_highest(ap_dtype t) {
    size_t bits = ap_dtype_bits(t);
    switch (t) {
    case AP_F16: return 65504;
    case AP_BF16: return 0x1.fep127;
    case AP_F32: return 0x1.fffffep127;
    case AP_F64: return 0x1.fffffffffffffp1023;
    case AP_BOOL: return 1;
    case AP_U4:
    case AP_U8:
    case AP_U16:
    case AP_U32:
    case AP_U64: return ldexp(1, (int)bits) - 1;
    default: return ap_dtype_is_int(t) ? ldexp(1, (int)bits - 1) - 1 : INFINITY;
    }
}

double ap_dtype_lowest(ap_dtype t) {
    if (t == AP_BOOL || t == AP_U4 || t == AP_U8 || t == AP_U16 || t == AP_U32 || t == AP_U64) return 0;
    if (ap_dtype_is_int(t)) return -ldexp(1, (int)ap_dtype_bits(t) - 1);
    return -ap_dtype_highest(t);
}

bool ap_type_of(const ap_type_source *s, const ap_value *v, ap_value_type *out) {
    if (s && s->type && s->type(s->user, v, out)) return true;
    return ap_value_shape(v, &out->dtype, out->dims, &out->rank, NULL);
}

// ---- constants

bool ap_value_constant(ap_model *m, const ap_value *v, ap_tensor *out) {
    const Onnx__TensorProto *t = v->kind == AP_VALUE_INITIALIZER ? v->init : NULL;
    if (v->producer && !strcmp(v->producer->op, "Constant") && !*v->producer->domain) {
        const Onnx__AttributeProto *at = ap_node_attr(v->producer, "value");
        t = at ? at->t : NULL;
    }
    if (!t) return false;
    ap_err err = ap_model_tensor(m, t, out);
    bool known = !err;
    ap_err_free(err);
    return known;
}

// Bit per axis: is `good` true of every line of the tensor along it?
static uint32_t lines(const ap_tensor *t,
                      bool (*good)(const ap_tensor *t, size_t at, size_t step, size_t n)) {
    uint32_t bits = 0;
    for (size_t axis = 0; axis < t->rank; axis++) {
        size_t inner = 1, outer = 1, n = (size_t)t->dims[axis];
        for (size_t i = 0; i < axis; i++) outer *= (size_t)t->dims[i];
        for (size_t i = axis + 1; i < t->rank; i++) inner *= (size_t)t->dims[i];
        bool all = true;
        for (size_t o = 0; all && o < outer; o++)
            for (size_t i = 0; all && i < inner; i++) all = good(t, o * n * inner + i, inner, n);
        if (all) bits |= UINT32_C(1) << axis;
    }
    return bits;
}

static bool has_finite(const ap_tensor *t, size_t at, size_t step, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double x = ap_tensor_at(t, at + i * step);
        if (!isnan(x) && x > -INFINITY) return true;
    }
    return false;
}

static bool all_differ(const ap_tensor *t, size_t at, size_t step, size_t n) {
    if (n > 64) return false; // quadratic; long index rows are made by TopK, not written down
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (ap_tensor_at(t, at + i * step) == ap_tensor_at(t, at + k * step)) return false;
    return true;
}

void ap_fact_of_tensor(const ap_tensor *t, ap_fact *out) {
    enum { PIECE = 1024 };
    size_t count = ap_tensor_count(t);
    double x[PIECE], lo = INFINITY, hi = -INFINITY;
    ap_fact f = {.integral = true, .notnan = true, .finite = true, .nonzero = true};
    for (size_t from = 0; from < count; from += PIECE) {
        size_t n = count - from < PIECE ? count - from : PIECE;
        ap_tensor_to_f64(t, from, n, x);
        for (size_t i = 0; i < n; i++) {
            lo = fmin(lo, x[i]);
            hi = fmax(hi, x[i]);
            f.notnan &= !isnan(x[i]);
            f.finite &= isfinite(x[i]) != 0;
            f.integral &= !isfinite(x[i]) || x[i] == trunc(x[i]);
            f.nonzero &= x[i] != 0;
        }
    }
    f.lo = count ? lo : 0;
    f.hi = count ? hi : 0;
    if (lo > hi && count) { // all NaN
        f.lo = -INFINITY;
        f.hi = INFINITY;
    }
    if (count <= 1 << 16 && t->rank <= 8) {
        f.distinct = lines(t, all_differ);
        f.row_finite = lines(t, has_finite);
    }
    *out = f;
}

// ---- the table, by address

typedef struct entry {
    const ap_value *v;
    ap_fact *fact;
} entry;

struct ap_facts {
    ap_model *m;
    ap_type_source types;
    ap_dtype compute;
    ap_arena arena;
    entry *slots;
    size_t slot_count, count;
    int depth;
    bool swept; // all nodes were derived, in order: nothing recurses deep
};

static entry *slot_of(const ap_facts *f, const ap_value *v) {
    size_t i = (size_t)ap_mix64((uint64_t)(uintptr_t)v) & (f->slot_count - 1);
    while (f->slots[i].v && f->slots[i].v != v) i = (i + 1) & (f->slot_count - 1);
    return &f->slots[i];
}

static void grow(ap_facts *f) {
    entry *old = f->slots;
    size_t n = f->slot_count;
    f->slot_count = n ? 2 * n : 256;
    f->slots = ap_calloc(f->slot_count, sizeof *f->slots);
    for (size_t i = 0; i < n; i++)
        if (old[i].v) *slot_of(f, old[i].v) = old[i];
    free(old);
}

static ap_fact *remember(ap_facts *f, const ap_value *v, const ap_fact *fact) {
    if (2 * (f->count + 1) > f->slot_count) grow(f);
    entry *e = slot_of(f, v);
    if (!e->v) {
        f->count++;
        e->v = v;
        e->fact = ap_arena_alloc(&f->arena, sizeof *fact);
    }
    *e->fact = *fact;
    return e->fact;
}

ap_fact fact_top(ap_dtype t) {
    ap_fact f = {.lo = -INFINITY, .hi = INFINITY};
    if (!ap_dtype_is_int(t) && t != AP_BOOL) return f;
    f.lo = ap_dtype_lowest(t);
    f.hi = ap_dtype_highest(t);
    f.integral = f.notnan = f.finite = true;
    return f;
}

bool fact_type(const ap_facts *f, const ap_value *v, ap_value_type *t) {
    return v && ap_type_of(&f->types, v, t);
}

ap_dtype fact_dtype(const ap_facts *f, const ap_value *v) {
    ap_value_type t;
    return fact_type(f, v, &t) ? t.dtype : AP_DTYPE_NONE;
}

ap_dtype fact_compute(const ap_facts *f, ap_dtype t) {
    // A target that computes float32 in less does not compute less in more.
    if (t == AP_F32 && f->compute) return f->compute;
    return t ? t : f->compute ? f->compute : AP_F32;
}

bool fact_constant(const ap_facts *f, const ap_value *v, ap_tensor *t) {
    return v && ap_value_constant(f->m, v, t);
}

// -0 < 0 etc. do not matter: intervals are closed.
static void settle(const ap_facts *f, const ap_value *v, ap_fact *fact) {
    ap_dtype t = fact_dtype(f, v);
    if (t == AP_BOOL || ap_dtype_is_int(t)) {
        ap_fact top = fact_top(t);
        // An integer that may leave its type wraps round.
        if (fact->lo < top.lo || fact->hi > top.hi || !(fact->lo <= fact->hi)) {
            fact->lo = top.lo;
            fact->hi = top.hi;
            fact->nonzero = false;
        }
        fact->integral = fact->notnan = fact->finite = true;
    } else {
        ap_dtype c = fact_compute(f, t);
        double high = ap_dtype_highest(c);
        if (isnan(fact->lo)) fact->lo = -INFINITY;
        if (isnan(fact->hi)) fact->hi = INFINITY;
        if (fact->lo < -high) fact->lo = -INFINITY; // overflows where the target computes
        if (fact->hi > high) fact->hi = INFINITY;
        fact->finite = fact->notnan && isfinite(fact->lo) && isfinite(fact->hi);
        double exact = ap_exact_int(c);
        if (fact->lo < -exact || fact->hi > exact) fact->integral = false;
    }
    if (fact->lo > 0 || fact->hi < 0) fact->nonzero = true;
}

static ap_fact derive(ap_facts *f, const ap_value *v) {
    ap_tensor t;
    ap_fact fact = fact_top(fact_dtype(f, v));
    if (fact_constant(f, v, &t)) {
        if (ap_tensor_count(&t) <= MOST_ELEMENTS) ap_fact_of_tensor(&t, &fact);
        bool exact_integral = fact.integral; // its own numbers, not what the target makes of them
        settle(f, v, &fact);
        fact.integral = exact_integral;
        return fact;
    }
    if (v->kind == AP_VALUE_NODE && v->producer && !*v->producer->domain && f->depth < MOST_DEPTH) {
        f->depth++;
        fact_of_node(f, v->producer, v->producer_output, &fact);
        f->depth--;
        settle(f, v, &fact);
    }
    return fact;
}

static void sweep(ap_facts *f) {
    const ap_graph *g = f->m->graph;
    f->swept = true;
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t k = 0; k < g->nodes[i]->output_count; k++)
            if (g->nodes[i]->outputs[k]) (void)ap_facts_of(f, g->nodes[i]->outputs[k]);
}

const ap_fact *ap_facts_of(ap_facts *f, const ap_value *v) {
    if (!f->swept) sweep(f);
    if (f->slot_count) {
        const entry *e = slot_of(f, v);
        if (e->v) return e->fact;
    }
    ap_fact fact = derive(f, v);
    return remember(f, v, &fact);
}

ap_err ap_facts_assume(ap_facts *f, const char *input, double lo, double hi) {
    const ap_value *v = ap_graph_value(f->m->graph, input);
    if (!v || v->kind != AP_VALUE_INPUT)
        return ap_err_subject(ap_err_new(AP_ERR_MODEL_MISSING, "the model has no input \"%s\"", input),
                              input);
    ap_fact fact = fact_top(fact_dtype(f, v));
    fact.lo = fmax(fact.lo, lo);
    fact.hi = fmin(fact.hi, hi);
    fact.notnan = fact.finite = true;
    fact.nonzero = lo > 0 || hi < 0;
    remember(f, v, &fact);
    return NULL;
}

ap_err ap_facts_seed(ap_facts *f, const char *input, const ap_fact *fact) {
    const ap_value *v = ap_graph_value(f->m->graph, input);
    if (!v || v->kind != AP_VALUE_INPUT)
        return ap_err_subject(ap_err_new(AP_ERR_MODEL_MISSING, "the piece has no input \"%s\"", input),
                              input);
    remember(f, v, fact);
    return NULL;
}

ap_err ap_facts_new(ap_model *m, const ap_type_source *types, ap_dtype compute, ap_facts **out) {
    ap_facts *f = ap_calloc(1, sizeof *f);
    f->m = m;
    if (types) f->types = *types;
    f->compute = compute;
    *out = f;
    return NULL;
}

void ap_facts_free(ap_facts *f) {
    if (!f) return;
    free(f->slots);
    ap_arena_release(&f->arena);
    free(f);
}
