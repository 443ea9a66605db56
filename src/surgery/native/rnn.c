// SPDX-License-Identifier: Apache-2.0
// RNN, GRU and LSTM step by step. X [T, B, I]; W [D, G*H, I], R [D, G*H, H], B [D, 2*G*H] for D directions
// and G gates (RNN 1; GRU z, r, h; LSTM i, o, f, c); states [D, B, H]; layout 1 has the batch first.
//   RNN   h = f(x W' + h R' + b)
//   GRU   z, r = f(..); n = g(x Wn' + (r h) Rn' + ..) or, with linear_before_reset, g(x Wn' + r (h Rn' +
//   ..));
//         h = (1 - z) n + z h
//   LSTM  i, f, o = f(.. + P c); c = f c + i g(..); h = o h(c); o's peephole sees the new c; input_forget: f
//   = 1 - i
// clip bounds what goes into f and g. Lines shorter than T (sequence_lens) keep their state and give 0.
//
// Here: x W' of all steps is one MatMul, then one step after another.
#include "surgery/native/natives.h"

#include <string.h>

enum { MOST_STEPS = 512 };

typedef struct cell {
    ap_native_builder *b;
    const ap_node *n;
    int64_t steps, batch, in, hidden, gates, directions;
    ap_dtype t;
    const char *act[6]; // by direction: f, g, h
    size_t act_count;   // of a direction
    float clip;         // 0: none
    bool batch_first;
    int64_t *lengths; // by line; NULL: all of them
    ap_value *x;      // [T, B, I]
} cell;

// What one direction needs.
typedef struct direction {
    size_t index;
    ap_value *xw;      // [T, B, G*H], with what of the bias can be added there
    ap_value *r[4];    // [H, H] of each gate, transposed
    ap_value *late;    // bias [H] inside of the reset, GRU with linear_before_reset
    ap_value *peep[3]; // i, o, f
    ap_value *h, *c;   // states [B, H]
} direction;

// ---- small things

static ap_value *bin(cell *k, const char *op, ap_value *x, ap_value *y) {
    return ap_native_binary(k->b, op, x, y);
}

// Row `d` of the first axis, as a tensor of these dims; NULL for an absent operand.
static ap_value *row(cell *k, ap_value *v, size_t d, const int64_t *dims, size_t rank) {
    if (!v) return NULL;
    if (k->directions > 1) v = ap_native_slice(k->b, v, 0, (int64_t)d, (int64_t)d + 1, 1);
    return native_shaped(k->b, v, dims, rank);
}

static ap_value *part(cell *k, ap_value *v, int64_t axis, int64_t gate) {
    return ap_native_slice(k->b, v, axis, gate * k->hidden, (gate + 1) * k->hidden, 1);
}

static const struct {
    const char *name, *op;
} activations[] = {{"Tanh", "Tanh"},
                   {"Sigmoid", "Sigmoid"},
                   {"Relu", "Relu"},
                   {"Softsign", "Softsign"},
                   {"Softplus", "Softplus"}};

static const char *find_activation(const char *name) {
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (!strcmp(activations[i].name, name)) return activations[i].op;
    return NULL;
}

static ap_value *clipped(cell *k, ap_value *x) {
    if (k->clip <= 0) return x;
    ap_value *limit = ap_native_scalar(k->b, k->t, (double)k->clip),
             *low = ap_native_scalar(k->b, k->t, -(double)k->clip);
    return bin(k, "Max", bin(k, "Min", x, limit), low);
}

// HTP's Sigmoid errs by 0.001, twice what float16 has to; over many steps and calls that shows.
static ap_value *sigmoid(cell *k, ap_value *x) {
    ap_value *one = ap_native_scalar(k->b, k->t, 1);
    return bin(k, "Div", one,
               bin(k, "Add", ap_native_unary(k->b, "Exp", ap_native_unary(k->b, "Neg", x)), one));
}

static ap_value *activate(cell *k, size_t d, size_t which, ap_value *x) {
    const char *op = k->act[d * k->act_count + which];
    return strcmp(op, "Sigmoid") ? ap_native_unary(k->b, op, x) : sigmoid(k, x);
}

static ap_value *gate(cell *k, size_t d, size_t which, ap_value *x) {
    return activate(k, d, which, clipped(k, x));
}

static ap_value *one_minus(cell *k, ap_value *x) {
    return bin(k, "Sub", ap_native_scalar(k->b, k->t, 1), x);
}

// ---- the node

static bool read_activations(cell *k) {
    static const char *const usual[] = {"Sigmoid", "Tanh", "Tanh"};
    const Onnx__AttributeProto *at = ap_node_attr(k->n, "activations");
    size_t all = k->act_count * (size_t)k->directions;
    if (at && at->n_strings != all)
        return ap_native_refuse(k->b, "%zu activations, %zu are wanted", at->n_strings, all);
    if (ap_node_attr(k->n, "activation_alpha") || ap_node_attr(k->n, "activation_beta"))
        return ap_native_refuse(k->b, "activations with parameters");
    for (size_t i = 0; i < all; i++) {
        const char *name = k->act_count == 1 ? "Tanh" : usual[i % k->act_count];
        if (at)
            name = ap_arena_strndup(ap_native_arena(k->b),
                                    at->strings[i].data ? (const char *)at->strings[i].data : "",
                                    at->strings[i].len);
        k->act[i] = find_activation(name);
        if (!k->act[i]) return ap_native_refuse(k->b, "activation %s", name);
    }
    return true;
}

static bool read_lengths(cell *k) {
    ap_tensor t;
    ap_value *v = ap_native_operand(k->n, 4);
    if (!v) return true;
    if (!ap_native_constant_of(k->b, v, &t) || t.dtype != AP_I32 || (int64_t)ap_tensor_count(&t) != k->batch)
        return ap_native_refuse(k->b, "sequence_lens is not constant");
    k->lengths = ap_arena_calloc(ap_native_arena(k->b), (size_t)k->batch, sizeof *k->lengths);
    bool full = true;
    for (int64_t i = 0; i < k->batch; i++) {
        k->lengths[i] = ((const int32_t *)t.data)[i];
        full &= k->lengths[i] == k->steps;
        if (k->lengths[i] < 0 || k->lengths[i] > k->steps)
            return ap_native_refuse(k->b, "a length outside of the sequence");
    }
    if (full) k->lengths = NULL;
    return true;
}

static bool read_cell(cell *k) {
    ap_value_type x, r;
    const ap_node *n = k->n;
    if (!ap_native_type(k->b, ap_native_operand(n, 0), &x) ||
        !ap_native_type(k->b, ap_native_operand(n, 2), &r) || x.rank != 3 || r.rank != 3)
        return ap_native_refuse(k->b, "a shape is not known");
    k->batch_first = ap_node_attr_int(n, "layout", 0) != 0;
    k->steps = x.dims[k->batch_first];
    k->batch = x.dims[!k->batch_first];
    k->in = x.dims[2];
    k->t = x.dtype;
    k->hidden = r.dims[2];
    k->directions = r.dims[0];
    k->gates = !strcmp(n->op, "LSTM") ? 4 : !strcmp(n->op, "GRU") ? 3 : 1;
    k->act_count = k->gates == 4 ? 3 : k->gates == 3 ? 2 : 1;
    k->clip = ap_native_float_attr(n, "clip", 0);
    if (k->steps < 1 || k->steps > MOST_STEPS || k->batch < 1 || k->in < 1 || k->hidden < 1 ||
        k->directions < 1 || k->directions > 2)
        return ap_native_refuse(k->b, "more than %d steps, or an empty tensor", (int)MOST_STEPS);
    if (r.dims[1] != k->gates * k->hidden) return ap_native_refuse(k->b, "weights of another shape");
    if (!read_activations(k) || !read_lengths(k)) return false;
    k->x = ap_native_operand(n, 0);
    if (k->batch_first) k->x = ap_native_transpose(k->b, k->x, (int64_t[]){1, 0, 2}, 3);
    return true;
}

// ---- a direction

static ap_value *first_state(cell *k, size_t operand, size_t d) {
    ap_value *v = ap_native_operand(k->n, operand);
    int64_t dims[] = {k->batch, k->hidden};
    if (!v) return ap_native_constant(k->b, ap_native_tensor(k->b, k->t, dims, 2));
    if (!k->batch_first) return row(k, v, d, dims, 2);
    v = k->directions > 1 ? ap_native_slice(k->b, v, 1, (int64_t)d, (int64_t)d + 1, 1) : v;
    return native_shaped(k->b, v, dims, 2);
}

// The bias that goes to x W'; the rest (GRU with linear_before_reset) to q->late.
static ap_value *early_bias(cell *k, direction *q) {
    int64_t width = k->gates * k->hidden;
    ap_value *bias = row(k, ap_native_operand(k->n, 3), q->index, (int64_t[]){2 * width}, 1);
    if (!bias) return NULL;
    ap_value *w = ap_native_slice(k->b, bias, 0, 0, width, 1),
             *r = ap_native_slice(k->b, bias, 0, width, 2 * width, 1);
    if (k->gates != 3 || !ap_node_attr_int(k->n, "linear_before_reset", 0)) return bin(k, "Add", w, r);
    q->late = part(k, r, 0, 2);
    ap_value *both = bin(k, "Add", ap_native_slice(k->b, w, 0, 0, 2 * k->hidden, 1),
                         ap_native_slice(k->b, r, 0, 0, 2 * k->hidden, 1));
    return ap_native_concat(k->b, (ap_value *[]){both, part(k, w, 0, 2)}, 2, 0);
}

static void open_direction(cell *k, direction *q) {
    int64_t width = k->gates * k->hidden;
    ap_value *w = row(k, ap_native_operand(k->n, 1), q->index, (int64_t[]){width, k->in}, 2);
    ap_value *r = row(k, ap_native_operand(k->n, 2), q->index, (int64_t[]){width, k->hidden}, 2);
    ap_value *x = native_shaped(k->b, k->x, (int64_t[]){k->steps * k->batch, k->in}, 2),
             *bias = early_bias(k, q);
    x = bin(k, "MatMul", x, ap_native_transpose(k->b, w, (int64_t[]){1, 0}, 2));
    if (bias) x = bin(k, "Add", x, bias);
    q->xw = ap_native_reshape(k->b, x, (int64_t[]){k->steps, k->batch, width}, 3);
    for (int64_t g = 0; g < k->gates; g++)
        q->r[g] = ap_native_transpose(k->b, k->gates > 1 ? part(k, r, 0, g) : r, (int64_t[]){1, 0}, 2);
    q->h = first_state(k, 5, q->index);
    if (k->gates != 4) return;
    q->c = first_state(k, 6, q->index);
    ap_value *p = row(k, ap_native_operand(k->n, 7), q->index, (int64_t[]){3 * k->hidden}, 1);
    for (int64_t g = 0; p && g < 3; g++) q->peep[g] = part(k, p, 0, g);
}

// x W' + h R' of one gate
static ap_value *sum_of(cell *k, const direction *q, ap_value *x, int64_t g, ap_value *h) {
    return bin(k, "Add", k->gates > 1 ? part(k, x, 1, g) : x, bin(k, "MatMul", h, q->r[g]));
}

static ap_value *rnn_step(cell *k, direction *q, ap_value *x) {
    return gate(k, q->index, 0, sum_of(k, q, x, 0, q->h));
}

static ap_value *gru_step(cell *k, direction *q, ap_value *x) {
    ap_value *z = gate(k, q->index, 0, sum_of(k, q, x, 0, q->h)),
             *r = gate(k, q->index, 0, sum_of(k, q, x, 1, q->h)), *n;
    if (ap_node_attr_int(k->n, "linear_before_reset", 0)) {
        ap_value *hr = bin(k, "MatMul", q->h, q->r[2]);
        if (q->late) hr = bin(k, "Add", hr, q->late);
        n = bin(k, "Add", part(k, x, 1, 2), bin(k, "Mul", r, hr));
    } else {
        n = sum_of(k, q, x, 2, bin(k, "Mul", r, q->h));
    }
    n = gate(k, q->index, 1, n);
    return bin(k, "Add", bin(k, "Mul", one_minus(k, z), n), bin(k, "Mul", z, q->h));
}

static ap_value *with_peep(cell *k, const direction *q, size_t which, ap_value *x, ap_value *c) {
    return q->peep[which] ? bin(k, "Add", x, bin(k, "Mul", q->peep[which], c)) : x;
}

static ap_value *lstm_step(cell *k, direction *q, ap_value *x, ap_value **c) {
    ap_value *i = gate(k, q->index, 0, with_peep(k, q, 0, sum_of(k, q, x, 0, q->h), q->c));
    ap_value *f = ap_node_attr_int(k->n, "input_forget", 0)
                      ? one_minus(k, i)
                      : gate(k, q->index, 0, with_peep(k, q, 2, sum_of(k, q, x, 2, q->h), q->c));
    ap_value *g = gate(k, q->index, 1, sum_of(k, q, x, 3, q->h));
    *c = bin(k, "Add", bin(k, "Mul", f, q->c), bin(k, "Mul", i, g));
    ap_value *o = gate(k, q->index, 0, with_peep(k, q, 1, sum_of(k, q, x, 1, q->h), *c));
    return bin(k, "Mul", o, activate(k, q->index, 2, *c));
}

// A column of booleans: is line i longer than t? NULL when all are.
static ap_value *alive_at(cell *k, int64_t t) {
    bool all = true;
    for (int64_t i = 0; k->lengths && i < k->batch; i++) all &= t < k->lengths[i];
    if (!k->lengths || all) return NULL;
    ap_tensor *made = ap_native_tensor(k->b, AP_BOOL, (int64_t[]){k->batch, 1}, 2);
    for (int64_t i = 0; made && i < k->batch; i++) ((uint8_t *)made->data)[i] = t < k->lengths[i];
    return ap_native_constant(k->b, made);
}

// Y of one direction, [T*B, H]; the last states stay in q.
static ap_value *run(cell *k, direction *q, bool reverse) {
    ap_value **out = ap_arena_calloc(ap_native_arena(k->b), (size_t)k->steps, sizeof(ap_value *));
    open_direction(k, q);
    for (int64_t s = 0; s < k->steps && !ap_native_failed(k->b); s++) {
        int64_t t = reverse ? k->steps - 1 - s : s;
        ap_value *x = k->steps > 1 ? ap_native_slice(k->b, q->xw, 0, t, t + 1, 1) : q->xw, *c = NULL;
        x = ap_native_reshape(k->b, x, (int64_t[]){k->batch, k->gates * k->hidden}, 2);
        ap_value *h = k->gates == 4   ? lstm_step(k, q, x, &c)
                      : k->gates == 3 ? gru_step(k, q, x)
                                      : rnn_step(k, q, x);
        ap_value *alive = alive_at(k, t);
        out[t] = alive ? ap_native_where(k->b, alive, h, ap_native_scalar(k->b, k->t, 0)) : h;
        q->h = alive ? ap_native_where(k->b, alive, h, q->h) : h;
        if (c) q->c = alive ? ap_native_where(k->b, alive, c, q->c) : c;
    }
    return ap_native_concat(k->b, out, (size_t)k->steps, 0);
}

// ---- results

static ap_value *all_states(cell *k, ap_value *const *list) {
    ap_value *parts[2];
    int64_t axis = k->batch_first,
            dims[3] = {k->batch_first ? k->batch : 1, k->batch_first ? 1 : k->batch, k->hidden};
    for (int64_t d = 0; d < k->directions; d++) parts[d] = ap_native_reshape(k->b, list[d], dims, 3);
    return ap_native_concat(k->b, parts, (size_t)k->directions, axis);
}

static ap_value *all_steps(cell *k, ap_value *const *list) {
    ap_value *parts[2];
    int64_t dims[4] = {k->steps, 1, k->batch, k->hidden};
    for (int64_t d = 0; d < k->directions; d++) parts[d] = ap_native_reshape(k->b, list[d], dims, 4);
    ap_value *y = ap_native_concat(k->b, parts, (size_t)k->directions, 1);
    return k->batch_first ? ap_native_transpose(k->b, y, (int64_t[]){2, 0, 1, 3}, 4) : y;
}

void native_rnn(ap_native_builder *b, const ap_match *m, ap_value **results) {
    cell k = {.b = b, .n = m->root};
    ap_value *y[2] = {NULL}, *h[2] = {NULL}, *c[2] = {NULL};
    if (!read_cell(&k)) return;
    const char *way = ap_native_text_attr(b, m->root, "direction", "forward");
    for (int64_t d = 0; d < k.directions; d++) {
        direction q = {.index = (size_t)d};
        y[d] = run(&k, &q, d == 1 || !strcmp(way, "reverse"));
        h[d] = q.h;
        c[d] = q.c;
    }
    for (size_t i = 0; i < m->root->output_count && !ap_native_failed(b); i++)
        if (m->root->outputs[i]) results[i] = i == 0 ? all_steps(&k, y) : all_states(&k, i == 1 ? h : c);
}
