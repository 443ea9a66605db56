// SPDX-License-Identifier: Apache-2.0
// ScatterElements, Scatter and ScatterND with constant indices. Each element of `updates` has its place in
// the data laid flat: for ScatterElements the element's own coordinates with the index along `axis`; for
// ScatterND the block that the last axis of `indices` names. `reduction` none: the last one counts; add, mul,
// max, min: combined with what is there, one after another. Negative indices count from the end.
//
// Here: places that several updates go to are served in rounds. In a round the flat result is made of runs of
// the data and runs of the updates (`scatter`: Slice and Concat), or picked from both by one Gather
// (`scatter_gather`).
#include "surgery/native/natives.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_RUNS = 64, MOST_ELEMENTS = 1 << 20, MOST_ROUNDS = 64 };

typedef struct scatter {
    ap_native_builder *b;
    ap_value_type data, updates;
    int64_t *place;  // by element of `updates`
    int64_t *source; // by element of the data: the update that goes there this round, -1
    int64_t n, m;    // elements of both
    const char *op;  // NULL: the update replaces
} scatter;

static int64_t count_of(const ap_value_type *t, size_t from) {
    int64_t n = 1;
    for (size_t i = from; i < t->rank; i++) n *= t->dims[i];
    return n;
}

static bool index_at(const ap_tensor *t, int64_t i, int64_t size, int64_t *out) {
    *out = t->dtype == AP_I32 ? ((const int32_t *)t->data)[i] : ((const int64_t *)t->data)[i];
    if (*out < 0) *out += size;
    return *out >= 0 && *out < size;
}

static bool place_elements(scatter *s, const ap_tensor *idx, int64_t axis) {
    int64_t rank = (int64_t)s->data.rank;
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank || idx->rank != s->data.rank) return false;
    for (int64_t k = 0; k < s->m; k++) {
        int64_t rest = k, place = 0, stride = 1, at;
        for (int64_t d = rank; d-- > 0;) {
            at = rest % idx->dims[d];
            rest /= idx->dims[d];
            if (d == axis && !index_at(idx, k, s->data.dims[d], &at)) return false;
            if (at >= s->data.dims[d]) return false;
            place += at * stride;
            stride *= s->data.dims[d];
        }
        s->place[k] = place;
    }
    return true;
}

static bool place_blocks(scatter *s, const ap_tensor *idx) {
    if (!idx->rank) return false;
    int64_t depth = idx->dims[idx->rank - 1];
    if (depth < 1 || depth > (int64_t)s->data.rank) return false;
    int64_t block = count_of(&s->data, (size_t)depth);
    for (int64_t k = 0; k < s->m; k++) {
        int64_t row = k / block, at = 0, one;
        for (int64_t d = 0; d < depth; d++) {
            if (!index_at(idx, row * depth + d, s->data.dims[d], &one)) return false;
            at = at * s->data.dims[d] + one;
        }
        s->place[k] = at * block + k % block;
    }
    return true;
}

// ---- one round

// Ends of the run that starts at p: places of the data that stay, or that updates one after another go to.
static int64_t run_end(const scatter *s, int64_t p) {
    int64_t q = p + 1;
    if (s->source[p] < 0)
        while (q < s->n && s->source[q] < 0) q++;
    else
        while (q < s->n && s->source[q] == s->source[p] + (q - p)) q++;
    return q;
}

static ap_value *by_runs(scatter *s, ap_value *data, ap_value *updates) {
    ap_value *parts[MOST_RUNS];
    size_t count = 0;
    for (int64_t p = 0, q; p < s->n; p = q) {
        q = run_end(s, p);
        if (count == MOST_RUNS) return ap_native_refuse(s->b, "more than %d runs", (int)MOST_RUNS);
        bool whole = !p && q == s->n;
        int64_t k = s->source[p];
        ap_value *old = k >= 0 && !s->op ? NULL : whole ? data : ap_native_slice(s->b, data, 0, p, q, 1);
        ap_value *new = k < 0                     ? NULL
                        : k + q - p == s->m && !k ? updates
                                                  : ap_native_slice(s->b, updates, 0, k, k + q - p, 1);
        parts[count++] = k < 0 ? old : s->op ? ap_native_binary(s->b, s->op, old, new) : new;
    }
    return ap_native_concat(s->b, parts, count, 0);
}

static ap_value *by_gather(scatter *s, ap_value *data, ap_value *updates) {
    ap_arena *a = ap_native_arena(s->b);
    int64_t *all = ap_arena_calloc(a, (size_t)s->n + 1, sizeof *all),
            *to = ap_arena_calloc(a, (size_t)s->m + 1, sizeof *to),
            *from = ap_arena_calloc(a, (size_t)s->m + 1, sizeof *from);
    size_t used = 0;
    for (int64_t p = 0; p < s->n; p++) {
        all[p] = p;
        if (s->source[p] < 0) continue;
        to[used] = p;
        from[used] = s->source[p];
        all[p] = s->n + (int64_t)used++;
    }
    ap_value *new = ap_native_gather(s->b, updates, from, used, 0);
    if (s->op) new = ap_native_binary(s->b, s->op, ap_native_gather(s->b, data, to, used, 0), new);
    return ap_native_gather(s->b, ap_native_concat(s->b, (ap_value *[]){data, new}, 2, 0), all, (size_t)s->n,
                            0);
}

// The updates of this round: of those that share a place the one with this number. False: none is left.
static bool next_round(scatter *s, int64_t *served, int round) {
    bool any = false;
    for (int64_t p = 0; p < s->n; p++) s->source[p] = -1;
    for (int64_t k = 0; k < s->m; k++) {
        int64_t p = s->place[k];
        if (s->op && (served[k] || s->source[p] >= 0)) continue;
        if (!s->op && round) continue;
        s->source[p] = k; // the last one wins when they replace
        served[k] = 1;
        any = true;
    }
    return any;
}

static const char *operator_of(const char *reduction) {
    static const char *const table[][2] = {{"add", "Add"}, {"mul", "Mul"}, {"max", "Max"}, {"min", "Min"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i][0], reduction)) return table[i][1];
    return NULL;
}

static bool prepare(scatter *s, const ap_node *n, const ap_tensor *idx) {
    const char *reduction = ap_native_text_attr(s->b, n, "reduction", "none");
    bool blocks = !strcmp(n->op, "ScatterND");
    s->op = operator_of(reduction);
    if (!s->op && strcmp(reduction, "none") != 0) return ap_native_refuse(s->b, "reduction %s", reduction);
    s->n = count_of(&s->data, 0);
    s->m = count_of(&s->updates, 0);
    if (s->n < 1 || s->n > MOST_ELEMENTS || s->m < 1 || s->m > MOST_ELEMENTS)
        return ap_native_refuse(s->b, "an empty tensor, or one of more than %d elements", (int)MOST_ELEMENTS);
    s->place = ap_arena_calloc(ap_native_arena(s->b), (size_t)s->m, sizeof *s->place);
    s->source = ap_arena_calloc(ap_native_arena(s->b), (size_t)s->n, sizeof *s->source);
    int64_t depth = blocks && idx->rank ? idx->dims[idx->rank - 1] : 0;
    int64_t expected = (int64_t)ap_tensor_count(idx);
    if (blocks && depth > 0 && depth <= (int64_t)s->data.rank)
        expected = expected / depth * count_of(&s->data, (size_t)depth);
    bool good = expected == s->m &&
                (blocks ? place_blocks(s, idx) : place_elements(s, idx, ap_node_attr_int(n, "axis", 0)));
    return good || ap_native_refuse(s->b, "an index is out of range, or shapes do not go together");
}

void native_scatter(ap_native_builder *b, const ap_match *m, ap_value **results) {
    const ap_node *n = m->root;
    scatter s = {.b = b};
    ap_tensor idx;
    if (!ap_native_type(b, ap_native_operand(n, 0), &s.data) ||
        !ap_native_type(b, ap_native_operand(n, 2), &s.updates) ||
        !ap_native_constant_of(b, ap_native_operand(n, 1), &idx) ||
        (idx.dtype != AP_I64 && idx.dtype != AP_I32)) {
        ap_native_refuse(b, "the indices are not constant, or a shape is not known");
        return;
    }
    if (!prepare(&s, n, &idx)) return;
    bool runs = strcmp(m->rule->native, "scatter_gather") != 0;
    int64_t *served = ap_arena_calloc(ap_native_arena(b), (size_t)s.m, sizeof *served);
    ap_value *data = native_shaped(b, n->inputs[0], &s.n, 1),
             *updates = native_shaped(b, n->inputs[2], &s.m, 1);
    for (int round = 0; next_round(&s, served, round); round++) {
        if (round == MOST_ROUNDS) {
            ap_native_refuse(b, "more than %d updates of one place", (int)MOST_ROUNDS);
            return;
        }
        data = runs ? by_runs(&s, data, updates) : by_gather(&s, data, updates);
    }
    results[0] = native_shaped(b, data, s.data.dims, s.data.rank);
}
