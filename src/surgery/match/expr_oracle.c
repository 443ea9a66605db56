// SPDX-License-Identifier: Apache-2.0
// Built-ins that run the matched operator itself: formulas are read off, not copied by hand.
#include "surgery/match/match_priv.h"
#include "surgery/oracle/oracle_worker.h"
#include "tensor/convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// The node between two values, cut out with x as its only input.
typedef struct cut {
    ap_model *piece;
    ap_value *x, *y;
    ap_value_type xt;
    size_t axis;
    ap_tensor in, out;
} cut;

static bool only_needs(ap_model *m, const ap_node *n, const ap_value *x) {
    ap_tensor t;
    bool found = false;
    for (size_t i = 0; i < n->input_count; i++) {
        found |= n->inputs[i] == x;
        if (n->inputs[i] && n->inputs[i] != x && !ap_value_constant(m, n->inputs[i], &t)) return false;
    }
    return found;
}

static ap_val open_cut(eval *e, const ap_val *args, cut *c) {
    const ap_match_env *env = &e->m->env;
    if (!env->oracle) return unknown(e, "there is no oracle to ask");
    if (args[0].kind != AP_VAL_VALUE || args[1].kind != AP_VAL_VALUE || args[2].kind != AP_VAL_INT)
        return unknown(e, "a map goes from a value to a value along an axis");
    c->y = args[0].value;
    c->x = args[1].value;
    if (!c->y->producer || !only_needs(env->model, c->y->producer, c->x))
        return unknown(e, "an operator whose other operands are not constant");
    if (!ap_type_of(&env->types, c->x, &c->xt)) return unknown(e, "a shape that is not known");
    for (size_t i = 0; i < c->xt.rank; i++)
        if (c->xt.dims[i] < 0) return unknown(e, "a shape that is not known");
    if (args[2].i < 0 || args[2].i >= (int64_t)c->xt.rank) return unknown(e, "an axis outside of the rank");
    c->axis = (size_t)args[2].i;
    e->err = ap_model_extract(env->model, &c->x->name, &c->xt, 1, &c->y->name, 1, &c->piece);
    if (!e->err) e->err = ap_tensor_alloc(c->xt.dtype, c->xt.dims, c->xt.rank, &c->in);
    return e->err ? (ap_val){.kind = AP_VAL_UNKNOWN} : val_bool(true);
}

static void close_cut(cut *c) {
    ap_tensor_free(&c->in);
    ap_tensor_free(&c->out);
    ap_model_free(c->piece);
}

// Position along the axis of element i.
static size_t place(const ap_tensor *t, size_t axis, size_t i) {
    size_t inner = 1;
    for (size_t k = axis + 1; k < t->rank; k++) inner *= (size_t)t->dims[k];
    return i / inner % (size_t)t->dims[axis];
}

static bool run_cut(eval *e, cut *c) {
    ap_named_tensor in = {c->x->name, c->in};
    ap_tensor_free(&c->out);
    c->out = (ap_tensor){0};
    ap_err err = e->m->env.oracle->run(e->m->env.oracle->user, c->piece, &in, 1, &c->out, 1);
    if (ap_oracle_blames_model(err)) { // it cannot be run: nothing is known then
        (void)unknown(e, "the oracle says: %.100s", ap_err_message(err));
        ap_err_free(err);
        return false;
    }
    e->err = err;
    return !err && c->out.rank == c->in.rank;
}

// One number per position along the axis: the result must not depend on the others by more than `slack`.
static bool read_line(const cut *c, double *line, double slack) {
    size_t n = (size_t)c->out.dims[c->axis], count = ap_tensor_count(&c->out);
    bool *seen = ap_calloc(n + 1, sizeof *seen), good = count > 0;
    for (size_t i = 0; good && i < count; i++) {
        size_t k = place(&c->out, c->axis, i);
        double x = ap_tensor_at(&c->out, i);
        if (!seen[k])
            line[k] = x;
        else if (!(fabs(line[k] - x) <= slack))
            good = false;
        seen[k] = true;
    }
    free(seen);
    return good;
}

static ap_val index_list(eval *e, const cut *c) {
    size_t n = (size_t)c->out.dims[c->axis];
    double *line = ap_calloc(n + 1, sizeof *line);
    ap_val v;
    if (!read_line(c, line, 0)) {
        v = unknown(e, "the operator does not treat all lines alike");
    } else {
        ap_val *items = ap_arena_calloc(&e->m->arena, n, sizeof *items);
        v = (ap_val){.kind = AP_VAL_LIST, .list = {items, n}};
        for (size_t i = 0; i < n && v.kind == AP_VAL_LIST; i++) {
            bool index = line[i] == floor(line[i]) && line[i] >= 0 && line[i] < (double)c->xt.dims[c->axis];
            if (index)
                items[i] = val_int((int64_t)line[i]);
            else
                v = unknown(e, "the operator does not only move elements");
        }
    }
    free(line);
    return v;
}

ap_val call_axis_map(eval *e, const ap_val *args, size_t count) {
    (void)count;
    cut c = {0};
    ap_val v = open_cut(e, args, &c);
    if (v.kind != AP_VAL_UNKNOWN && (double)c.xt.dims[c.axis] > ap_exact_int(c.xt.dtype) + 1)
        v = unknown(e, "an axis longer than its element type can count");
    if (v.kind != AP_VAL_UNKNOWN && !spend(e, ap_tensor_count(&c.in))) v = unknown(e, "too much to compute");
    if (v.kind != AP_VAL_UNKNOWN) {
        for (size_t i = 0; i < ap_tensor_count(&c.in); i++)
            ap_tensor_put_f64(&c.in, i, 1, &(double){(double)place(&c.in, c.axis, i)});
        v = run_cut(e, &c) ? index_list(e, &c) : unknown(e, "the oracle gives another rank");
    }
    close_cut(&c);
    return v;
}

// Column by column: the operator's answer to every basis vector.
static ap_val fill_matrix(eval *e, cut *c) {
    enum { MOST = 1024 };
    size_t n = (size_t)c->xt.dims[c->axis];
    ap_tensor *matrix = NULL;
    ap_val v = val_bool(true);
    if (n > MOST || !n) return unknown(e, "an axis of %zu is too long for a matrix", n);
    double *line = NULL;
    for (size_t col = 0; col < n && v.kind != AP_VAL_UNKNOWN; col++) {
        for (size_t i = 0; i < ap_tensor_count(&c->in); i++)
            ap_tensor_put_f64(&c->in, i, 1, &(double){place(&c->in, c->axis, i) == col});
        if (!run_cut(e, c)) {
            v = unknown(e, "the oracle gives another rank");
            break;
        }
        int64_t dims[2] = {(int64_t)n, c->out.dims[c->axis]};
        if (!matrix) {
            v = val_tensor(e, c->xt.dtype, dims, 2, &matrix);
            line = ap_calloc((size_t)dims[1] + 1, sizeof *line);
        }
        if (v.kind == AP_VAL_UNKNOWN) break;
        if (!read_line(c, line, 1e-6)) // the weights of the other axis sum up to 1 but for rounding
            v = unknown(e, "the operator does not treat all lines alike");
        else
            ap_tensor_put_f64(matrix, col * (size_t)dims[1], (size_t)dims[1], line);
    }
    free(line);
    return v;
}

ap_val call_linear_map(eval *e, const ap_val *args, size_t count) {
    (void)count;
    cut c = {0};
    ap_val v = open_cut(e, args, &c);
    if (v.kind != AP_VAL_UNKNOWN && !ap_dtype_is_float(c.xt.dtype)) v = unknown(e, "a matrix needs floats");
    if (v.kind != AP_VAL_UNKNOWN) v = fill_matrix(e, &c);
    close_cut(&c);
    return v;
}

// `eval` call: a model of constants only.
ap_val eval_nodes(eval *e, const ap_expr *x) {
    const ap_match_env *env = &e->m->env;
    if (!env->oracle) return unknown(e, "there is no oracle to ask");
    build b = {.m = e->m, .foreign = true, .prefix = "k", .e = {.m = e->m}};
    ap_tensor out = {0}, *copy;
    made_outs *made = NULL;
    ap_val v = {.kind = AP_VAL_UNKNOWN};
    ap_err err = NULL;
    AP_TRY(ap_model_make(env->model->opset, &b.model));
    err = build_nodes(&b, x->body, x->body_count, &made);
    if (ap_err_code(err) == AP_ERR_REFUSED) {
        v = unknown(e, "%s", ap_err_message(err));
        ap_err_free(err);
        err = NULL;
        goto done;
    }
    if (err) goto done;
    if (!made[x->body_count - 1][0]) goto done;
    AP_TRY(ap_graph_add_output(b.model->graph, made[x->body_count - 1][0], NULL));
    err = env->oracle->run(env->oracle->user, b.model, NULL, 0, &out, 1);
    if (ap_oracle_blames_model(err)) {
        v = unknown(e, "the oracle says: %.100s", ap_err_message(err));
        ap_err_free(err);
        err = NULL;
        goto done;
    }
    if (err) goto done;
    v = val_tensor(e, out.dtype, out.dims, out.rank, &copy);
    if (v.kind == AP_VAL_TENSOR && out.bytes) memcpy(copy->data, out.data, out.bytes);
done:
    ap_tensor_free(&out);
    build_release(&b);
    ap_model_free(b.model);
    if (err) e->err = err;
    return v;
}
