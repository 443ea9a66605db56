// SPDX-License-Identifier: Apache-2.0
// Ranks that targets do not take. Elements lie in row-major order, so axes that are neighbours before and
// after an operator are one axis to it, and axes of size 1 are none.
//
// Transpose (perm; default: reversed): axes that travel together are merged. What is left with more than four
// axes is done in moves [P, X, Y, S] -> [P, Y, X, S], each bringing the next axis to its place.
// Elementwise operators: two neighbouring axes are merged when every operand either has both of them or has
// both as 1.
#include "surgery/native/natives.h"

#include <string.h>

enum { MOST = 4 };

ap_value *native_shaped(ap_native_builder *b, ap_value *x, const int64_t *dims, size_t rank) {
    ap_value_type t;
    if (ap_native_type(b, x, &t) && ap_shape_equal(t.dims, t.rank, dims, rank))
        return ap_native_failed(b) ? NULL : x;
    return ap_native_reshape(b, x, dims, rank);
}

// ---- Transpose

// A permutation of blocks: size[i] is the size of input block i, order[k] the block at output place k.
typedef struct blocks {
    int64_t size[AP_MAX_RANK];
    int64_t order[AP_MAX_RANK];
    size_t count;
} blocks;

// Drops axes of size 1 and merges those that travel together.
static blocks merged(const int64_t *dims, size_t rank, const int64_t *perm) {
    blocks k = {.count = 0};
    int64_t block[AP_MAX_RANK], last = -2, axis[AP_MAX_RANK];
    size_t kept = 0;
    // Number the axes that count.
    for (size_t i = 0; i < rank; i++) {
        axis[i] = (int64_t)kept;
        kept += dims[i] != 1;
    }
    // Runs of the output become blocks, still named by the first of their axes.
    int64_t first[AP_MAX_RANK], size[AP_MAX_RANK];
    for (size_t i = 0; i < rank; i++) {
        int64_t p = perm[i];
        if (dims[p] == 1) continue;
        if (axis[p] == last + 1) {
            size[k.count - 1] *= dims[p];
        } else {
            first[k.count] = axis[p];
            size[k.count++] = dims[p];
        }
        last = axis[p];
    }
    // Blocks numbered by their order in the input.
    for (size_t i = 0; i < k.count; i++) {
        block[i] = 0;
        for (size_t j = 0; j < k.count; j++) block[i] += first[j] < first[i];
        k.order[i] = block[i];
        k.size[block[i]] = size[i];
    }
    return k;
}

static int64_t product(const blocks *k, const int64_t *now, size_t from, size_t to) {
    int64_t n = 1;
    for (size_t i = from; i < to; i++) n *= k->size[now[i]];
    return n;
}

// Shape without axes of size 1, and the permutation that goes with it.
static ap_value *move(ap_native_builder *b, ap_value *x, const int64_t *dims, const int64_t *perm,
                      size_t rank) {
    int64_t d[MOST], p[MOST], place[MOST];
    size_t count = 0, at = 0;
    for (size_t i = 0; i < rank; i++) {
        place[i] = (int64_t)count;
        if (dims[i] != 1) d[count++] = dims[i];
    }
    for (size_t i = 0; i < rank; i++)
        if (dims[perm[i]] != 1) p[at++] = place[perm[i]];
    return ap_native_transpose(b, native_shaped(b, x, d, count), p, count);
}

ap_value *native_permuted(ap_native_builder *b, ap_value *x, const int64_t *dims, size_t rank,
                          const int64_t *perm, const int64_t *out_dims, size_t out_rank) {
    blocks k = merged(dims, rank, perm);
    int64_t now[AP_MAX_RANK];
    for (size_t i = 0; i < k.count; i++) now[i] = (int64_t)i;
    if (k.count > 1 && k.count <= MOST) {
        x = move(b, x, k.size, k.order, k.count);
    } else if (k.count > MOST) {
        for (size_t i = 0; i < k.count; i++) {
            size_t j = i;
            while (now[j] != k.order[i]) j++;
            if (j == i) continue;
            x = move(b, x,
                     (int64_t[]){product(&k, now, 0, i), product(&k, now, i, j), k.size[now[j]],
                                 product(&k, now, j + 1, k.count)},
                     (int64_t[]){0, 2, 1, 3}, 4);
            int64_t moved = now[j];
            memmove(&now[i + 1], &now[i], (j - i) * sizeof *now);
            now[i] = moved;
        }
    }
    return native_shaped(b, x, out_dims, out_rank);
}

void native_transpose(ap_native_builder *b, const ap_match *m, ap_value **results) {
    ap_value *x = ap_native_operand(m->root, 0);
    ap_value_type t;
    int64_t perm[AP_MAX_RANK], out[AP_MAX_RANK];
    size_t count;
    if (!ap_native_type(b, x, &t)) {
        ap_native_refuse(b, "the shape is not known");
        return;
    }
    ap_native_ints_attr(m->root, "perm", perm, AP_MAX_RANK, &count);
    if (!ap_node_attr(m->root, "perm"))
        for (count = 0; count < t.rank; count++) perm[count] = (int64_t)(t.rank - 1 - count);
    bool seen[AP_MAX_RANK] = {false}, good = count == t.rank;
    for (size_t i = 0; good && i < t.rank; i++) {
        good = perm[i] >= 0 && perm[i] < (int64_t)t.rank && !seen[perm[i]] && t.dims[i] > 0;
        if (good) seen[perm[i]] = true;
    }
    if (!good) {
        ap_native_refuse(b, "no permutation of the axes, or an empty tensor");
        return;
    }
    for (size_t i = 0; i < t.rank; i++) out[i] = t.dims[perm[i]];
    results[0] = native_permuted(b, x, t.dims, t.rank, perm, out, t.rank);
}

// ---- elementwise

typedef struct sides {
    ap_value_type in[3], out;
    size_t count;
} sides;

// Size of an operand's axis, counted as an axis of the result.
static int64_t dim_at(const sides *s, size_t operand, size_t axis) {
    size_t missing = s->out.rank - s->in[operand].rank;
    return axis < missing ? 1 : s->in[operand].dims[axis - missing];
}

static bool broadcast_shape(ap_native_builder *b, const ap_node *n, sides *s) {
    s->count = n->input_count;
    s->out.rank = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (!ap_native_type(b, n->inputs[i], &s->in[i])) return ap_native_refuse(b, "a shape is not known");
        if (s->in[i].rank > s->out.rank) s->out.rank = s->in[i].rank;
    }
    for (size_t k = 0; k < s->out.rank; k++) {
        s->out.dims[k] = 1;
        for (size_t i = 0; i < s->count; i++)
            if (dim_at(s, i, k) != 1) s->out.dims[k] = dim_at(s, i, k);
    }
    return true;
}

// May axis k+1 be one with k? Axes that are 1 everywhere go with any other.
static bool mergeable(const sides *s, size_t from, size_t k) {
    for (size_t i = 0; i < s->count; i++) {
        bool ones = true, full = true;
        for (size_t a = from; a <= k; a++) {
            if (s->out.dims[a] == 1) continue;
            ones &= dim_at(s, i, a) == 1;
            full &= dim_at(s, i, a) != 1;
        }
        if (!ones && !full) return false;
    }
    return true;
}

void native_elementwise(ap_native_builder *b, const ap_match *m, ap_value **results) {
    const ap_node *n = m->root;
    sides s = {.count = 0};
    ap_value *in[3];
    int64_t dims[3][AP_MAX_RANK];
    size_t rank = 0;
    if (!n->input_count || n->input_count > 3) {
        ap_native_refuse(b, "%zu operands", n->input_count);
        return;
    }
    if (!broadcast_shape(b, n, &s)) return;
    for (size_t from = 0; from < s.out.rank; rank++) {
        size_t k = from;
        while (k + 1 < s.out.rank && mergeable(&s, from, k + 1)) k++;
        for (size_t i = 0; i < s.count; i++) {
            dims[i][rank] = 1;
            for (size_t a = from; a <= k; a++) dims[i][rank] *= dim_at(&s, i, a);
        }
        from = k + 1;
    }
    if (rank == s.out.rank) {
        ap_native_refuse(b, "no two axes can be one");
        return;
    }
    for (size_t i = 0; i < s.count; i++) in[i] = native_shaped(b, n->inputs[i], dims[i], rank);
    Onnx__AttributeProto **attrs =
        ap_arena_calloc(ap_native_arena(b), n->proto->n_attribute + 1, sizeof(void *));
    for (size_t i = 0; i < n->proto->n_attribute; i++)
        attrs[i] = ap_native_copied(b, n, n->proto->attribute[i]->name);
    results[0] = native_shaped(b, ap_native_add(b, n->op, in, s.count, attrs), s.out.dims, s.out.rank);
}
