// SPDX-License-Identifier: Apache-2.0
// Einsum: a sum of products named by letters. "..." stands for leading axes, aligned at their ends; without
// "->" the result has the axes of "...", then the letters that occur once, sorted. A letter used twice in one
// operand takes its diagonal. An axis of size 1 goes with any size of its letter.
//
// Here: diagonals by a strided Slice; letters that only one operand has and the result has not are summed
// first; then two operands at a time. Their letters are batch (both have it and it is still wanted),
// contracted (both, not wanted any more) or free (one has it); transposed and merged they are a MatMul of
// [batch, free, contracted] and [batch, contracted, free], or a Mul where nothing is contracted.
#include "surgery/native/natives.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { ELLIPSIS = 128, LETTERS = ELLIPSIS + AP_MAX_RANK, MOST_TERMS = 16 };

typedef struct term {
    ap_value *v; // its elements in the order of `letters`; its own shape may be another
    int letters[AP_MAX_RANK];
    size_t rank;
} term;

typedef struct sum {
    ap_native_builder *b;
    term terms[MOST_TERMS];
    size_t count;
    int out[AP_MAX_RANK];
    size_t out_rank;
    int64_t size[LETTERS]; // 0: not seen
    size_t ellipsis_rank;  // of the longest one
} sum;

static bool has(const int *letters, size_t rank, int letter) {
    for (size_t i = 0; i < rank; i++)
        if (letters[i] == letter) return true;
    return false;
}

// ---- reading the equation

// Letters of one operand or of the result; the ellipsis takes `rest` axes. False: malformed.
static bool read_letters(const char *from, const char *to, size_t rest, size_t most_rest, int *letters,
                         size_t *rank) {
    *rank = 0;
    for (const char *p = from; p < to; p++) {
        if (*p == ' ') continue;
        if (*p == '.') {
            if (to - p < 3 || p[1] != '.' || p[2] != '.') return false;
            for (size_t i = 0; i < rest; i++, (*rank)++) {
                if (*rank == AP_MAX_RANK) return false;
                letters[*rank] = ELLIPSIS + (int)(most_rest - rest + i);
            }
            p += 2;
            continue;
        }
        if (!isalpha((unsigned char)*p) || *rank == AP_MAX_RANK) return false;
        letters[(*rank)++] = (unsigned char)*p;
    }
    return true;
}

static size_t count_letters(const char *from, const char *to) {
    size_t n = 0;
    for (; from < to; from++) n += isalpha((unsigned char)*from) != 0;
    return n;
}

static bool has_dots(const char *from, const char *to) {
    return memchr(from, '.', (size_t)(to - from)) != NULL;
}

// The operands' parts of the equation: [from, to) of each.
typedef struct parts {
    const char *from[MOST_TERMS], *to[MOST_TERMS], *out; // out NULL: implicit
    size_t count;
} parts;

static bool split(const char *text, parts *p) {
    const char *arrow = strstr(text, "->"), *end = arrow ? arrow : text + strlen(text);
    p->out = arrow ? arrow + 2 : NULL;
    p->count = 0;
    for (const char *at = text;; at++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        if (p->count == MOST_TERMS) return false;
        p->from[p->count] = at;
        p->to[p->count++] = comma ? comma : end;
        if (!comma) return true;
        at = comma;
    }
}

static bool note_size(sum *s, int letter, int64_t size) {
    int64_t *at = &s->size[letter];
    if (size < 1) return ap_native_refuse(s->b, "an empty tensor");
    if (!*at || *at == 1) *at = size;
    return size == 1 || *at == size ||
           ap_native_refuse(s->b, "a letter stands for %lld and %lld", (long long)*at, (long long)size);
}

static bool read_terms(sum *s, const parts *p, const ap_node *n) {
    ap_value_type types[MOST_TERMS];
    if (p->count != n->input_count)
        return ap_native_refuse(s->b, "the equation has %zu operands, the node %zu", p->count,
                                n->input_count);
    for (size_t i = 0; i < p->count; i++) {
        size_t letters = count_letters(p->from[i], p->to[i]);
        if (!ap_native_type(s->b, n->inputs[i], &types[i]))
            return ap_native_refuse(s->b, "a shape is not known");
        if (types[i].rank < letters) return ap_native_refuse(s->b, "an operand has too few axes");
        if (has_dots(p->from[i], p->to[i]) && types[i].rank - letters > s->ellipsis_rank)
            s->ellipsis_rank = types[i].rank - letters;
    }
    for (size_t i = 0; i < p->count; i++) {
        term *t = &s->terms[s->count++];
        size_t rest = types[i].rank - count_letters(p->from[i], p->to[i]);
        t->v = n->inputs[i];
        if (!read_letters(p->from[i], p->to[i], rest, s->ellipsis_rank, t->letters, &t->rank) ||
            t->rank != types[i].rank)
            return ap_native_refuse(s->b, "an equation that cannot be read");
        for (size_t k = 0; k < t->rank; k++)
            if (!note_size(s, t->letters[k], types[i].dims[k])) return false;
    }
    return true;
}

static bool read_result(sum *s, const parts *p) {
    if (p->out) {
        if (!read_letters(p->out, p->out + strlen(p->out), s->ellipsis_rank, s->ellipsis_rank, s->out,
                          &s->out_rank))
            return ap_native_refuse(s->b, "an equation that cannot be read");
    } else {
        size_t times[LETTERS] = {0};
        for (size_t i = 0; i < s->count; i++)
            for (size_t k = 0; k < s->terms[i].rank; k++) times[s->terms[i].letters[k]]++;
        for (size_t i = 0; i < s->ellipsis_rank; i++) s->out[s->out_rank++] = ELLIPSIS + (int)i;
        for (int c = 'A'; c <= 'z'; c++)
            if (times[c] == 1 && s->out_rank < AP_MAX_RANK) s->out[s->out_rank++] = c;
    }
    for (size_t i = 0; i < s->out_rank; i++)
        if (!s->size[s->out[i]] || has(s->out, i, s->out[i]))
            return ap_native_refuse(s->b, "a letter of the result stands in no operand, or twice");
    return true;
}

// ---- one operand

static void dims_of(const sum *s, const int *letters, size_t rank, int64_t *dims) {
    for (size_t i = 0; i < rank; i++) dims[i] = s->size[letters[i]];
}

// The term with its letters in this order, as a tensor of these dims.
static ap_value *arranged(sum *s, const term *t, const int *order, const int64_t *out, size_t out_rank) {
    int64_t dims[AP_MAX_RANK], perm[AP_MAX_RANK];
    dims_of(s, t->letters, t->rank, dims);
    for (size_t i = 0; i < t->rank; i++) {
        perm[i] = 0;
        while (t->letters[perm[i]] != order[i]) perm[i]++;
    }
    return native_permuted(s->b, t->v, dims, t->rank, perm, out, out_rank);
}

// Axes of size 1 of larger letters go: the operand does not depend on them.
static void drop_ones(sum *s, term *t, int64_t *dims) {
    size_t at = 0, before = t->rank;
    for (size_t i = 0; i < before; i++) {
        if (dims[i] == 1 && s->size[t->letters[i]] != 1) continue;
        t->letters[at] = t->letters[i];
        dims[at++] = dims[i];
    }
    t->rank = at;
}

// The first letter that occurs twice becomes one axis, the last.
static bool take_diagonal(sum *s, term *t, const int64_t *dims) {
    int64_t perm[AP_MAX_RANK], rows = 1;
    int letters[AP_MAX_RANK];
    for (size_t i = 0; i < t->rank; i++)
        for (size_t k = i + 1; k < t->rank; k++) {
            if (t->letters[i] != t->letters[k]) continue;
            size_t at = 0;
            int64_t n = dims[i];
            for (size_t a = 0; a < t->rank; a++) {
                if (a == i || a == k) continue;
                letters[at] = t->letters[a];
                perm[at++] = (int64_t)a;
                rows *= dims[a];
            }
            perm[at] = (int64_t)i;
            perm[at + 1] = (int64_t)k;
            letters[at] = t->letters[i];
            ap_value *x = native_permuted(s->b, t->v, dims, t->rank, perm, (int64_t[]){rows, n * n}, 2);
            t->v = ap_native_slice(s->b, x, 1, 0, n * n, n + 1);
            t->rank--;
            memcpy(t->letters, letters, t->rank * sizeof *letters);
            return true;
        }
    return false;
}

static bool wanted(const sum *s, size_t from, int letter) {
    if (has(s->out, s->out_rank, letter)) return true;
    for (size_t i = from; i < s->count; i++)
        if (has(s->terms[i].letters, s->terms[i].rank, letter)) return true;
    return false;
}

// Sums over the letters nobody else has and nobody wants. `from`: the first other term to ask.
static void sum_lone(sum *s, term *t, const term *other, size_t from) {
    int order[AP_MAX_RANK];
    int64_t rows = 1, n = 1;
    size_t kept = 0, gone = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < t->rank; i++) {
            int c = t->letters[i];
            bool stays = wanted(s, from, c) || (other && has(other->letters, other->rank, c));
            if (stays != (pass == 0)) continue;
            order[kept + gone] = c;
            if (stays) {
                kept++;
                rows *= s->size[c];
            } else {
                gone++;
                n *= s->size[c];
            }
        }
    if (!gone) return;
    t->v = ap_native_reduce(s->b, "ReduceSum", arranged(s, t, order, (int64_t[]){rows, n}, 2), (int64_t[]){1},
                            1, true);
    memcpy(t->letters, order, kept * sizeof *order);
    t->rank = kept;
}

// ---- two operands

typedef struct groups {
    int batch[AP_MAX_RANK], contracted[AP_MAX_RANK], left[AP_MAX_RANK], right[AP_MAX_RANK];
    size_t batches, contracteds, lefts, rights;
} groups;

static void sort_letters(const sum *s, const term *a, const term *c, size_t next, groups *g) {
    for (size_t i = 0; i < a->rank; i++) {
        int l = a->letters[i];
        if (!has(c->letters, c->rank, l))
            g->left[g->lefts++] = l;
        else if (wanted(s, next, l))
            g->batch[g->batches++] = l;
        else
            g->contracted[g->contracteds++] = l;
    }
    for (size_t i = 0; i < c->rank; i++)
        if (!has(a->letters, a->rank, c->letters[i])) g->right[g->rights++] = c->letters[i];
}

static int64_t size_of(const sum *s, const int *letters, size_t count) {
    int64_t n = 1;
    for (size_t i = 0; i < count; i++) n *= s->size[letters[i]];
    return n;
}

// Does the result want the free letters of the first operand before those of the second?
static bool in_order(const sum *s, const groups *g) {
    for (size_t i = 0; i < s->out_rank; i++) {
        if (has(g->left, g->lefts, s->out[i])) return true;
        if (has(g->right, g->rights, s->out[i])) return false;
    }
    return true;
}

static size_t join(int *to, const int *a, size_t na, const int *b, size_t nb, const int *c, size_t nc) {
    memcpy(to, a, na * sizeof *a);
    memcpy(to + na, b, nb * sizeof *b);
    memcpy(to + na + nb, c, nc * sizeof *c);
    return na + nb + nc;
}

static void contract(sum *s, term *a, term *c, size_t next) {
    groups g = {.batches = 0};
    int order[3 * AP_MAX_RANK];
    sum_lone(s, a, c, next);
    sum_lone(s, c, a, next);
    sort_letters(s, a, c, next, &g);
    if (!in_order(s, &g)) {
        term t = *a;
        *a = *c;
        *c = t;
        g = (groups){.batches = 0};
        sort_letters(s, a, c, next, &g);
    }
    if (g.batches + g.lefts + g.rights > AP_MAX_RANK) {
        ap_native_refuse(s->b, "a product of too many axes");
        return;
    }
    int64_t n = size_of(s, g.batch, g.batches), k = size_of(s, g.contracted, g.contracteds),
            p = size_of(s, g.left, g.lefts), q = size_of(s, g.right, g.rights);
    size_t flat = g.batches ? 0 : 1; // without batch letters there is no batch axis
    join(order, g.batch, g.batches, g.left, g.lefts, g.contracted, g.contracteds);
    ap_value *x = arranged(s, a, order, (int64_t[]){n, p, k} + flat, 3 - flat);
    join(order, g.batch, g.batches, g.contracted, g.contracteds, g.right, g.rights);
    ap_value *y = arranged(s, c, order, (int64_t[]){n, k, q} + flat, 3 - flat);
    a->v = ap_native_binary(s->b, g.contracteds ? "MatMul" : "Mul", x, y);
    a->rank = join(a->letters, g.batch, g.batches, g.left, g.lefts, g.right, g.rights);
}

// ---- all of it

void native_einsum(ap_native_builder *b, const ap_match *m, ap_value **results) {
    sum *s = ap_arena_calloc(ap_native_arena(b), 1, sizeof *s);
    const char *text = ap_native_text_attr(b, m->root, "equation", "");
    int64_t dims[AP_MAX_RANK];
    parts p;
    s->b = b;
    if (!split(text, &p)) {
        ap_native_refuse(b, "more than %d operands", (int)MOST_TERMS);
        return;
    }
    if (!read_terms(s, &p, m->root) || !read_result(s, &p)) return;
    for (size_t i = 0; i < s->count; i++) {
        term *t = &s->terms[i];
        ap_value_type type;
        if (!ap_native_type(b, t->v, &type)) return;
        memcpy(dims, type.dims, sizeof dims);
        drop_ones(s, t, dims);
        while (take_diagonal(s, t, dims)) dims_of(s, t->letters, t->rank, dims);
    }
    for (size_t i = 1; i < s->count; i++) contract(s, &s->terms[0], &s->terms[i], i + 1);
    sum_lone(s, &s->terms[0], NULL, s->count);
    dims_of(s, s->out, s->out_rank, dims);
    if (!ap_native_failed(b)) results[0] = arranged(s, &s->terms[0], s->out, dims, s->out_rank);
}
