// SPDX-License-Identifier: Apache-2.0
// The passes `if`, `loop` and `scan`. Names of what control flow made stay; Identity nodes carry them until
// the pass `identity` takes these away.
#include "graph/inline.h"
#include "graph/nodes.h"
#include "surgery/pass/fold.h"
#include "surgery/pass/fold_flow.h"

#include <stdlib.h>
#include <string.h>

static const ap_graph *body_of(const ap_node *n, const char *attribute) {
    const Onnx__AttributeProto *at = ap_node_attr(n, attribute);
    for (size_t k = 0; at && k < n->subgraph_count; k++)
        if (n->subgraphs[k]->proto == at->g) return n->subgraphs[k];
    return NULL;
}

// Gives the name of the replaced node's output `k` to `from`.
static void hand_over(ap_splice *s, const ap_node *n, size_t k, const char *from) {
    if (k < n->output_count && n->outputs[k])
        ap_splice_node(s, "Identity", &from, 1, NULL, NULL, n->outputs[k]->name);
}

static bool one_flag(ap_model *m, const ap_value *v, bool *flag) {
    ap_tensor t;
    if (!ap_pass_constant(m, v, &t) || t.dtype != AP_BOOL || ap_tensor_count(&t) != 1) return false;
    *flag = ap_tensor_at(&t, 0) != 0;
    return true;
}

static bool one_number(ap_model *m, const ap_value *v, int64_t *number) {
    ap_tensor t;
    if (!ap_pass_constant(m, v, &t) || t.dtype != AP_I64 || ap_tensor_count(&t) != 1) return false;
    memcpy(number, t.data, sizeof *number);
    return true;
}

// ---- If

static ap_err inline_if(ap_model *m, ap_node *n, bool taken, bool *done_it) {
    const ap_graph *body = body_of(n, taken ? "then_branch" : "else_branch");
    const char **outputs = NULL;
    ap_splice *s = NULL;
    ap_err err = NULL;
    if (!body || body->proto->n_input || body->proto->n_sparse_initializer ||
        body->output_count < n->output_count)
        return NULL;
    AP_TRY(ap_splice_begin(m, n, &s));
    AP_TRY(ap_splice_body(s, body, NULL, &outputs));
    for (size_t k = 0; k < n->output_count; k++) hand_over(s, n, k, outputs[k]);
    *done_it = true;
    err = ap_splice_end(s);
    s = NULL;
done:
    ap_splice_drop(s);
    return err;
}

ap_err ap_pass_if(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    (void)c;
    // The index is new after each; places before the current one have been looked at.
    for (size_t i = 0; i < m->graph->node_count;) {
        ap_node *n = m->graph->nodes[i];
        bool taken, done_it = false;
        if (ap_node_is(n, "If") && n->input_count == 1 && one_flag(m, n->inputs[0], &taken)) {
            ap_err err = inline_if(m, n, taken, &done_it);
            if (err) return err;
        }
        if (done_it)
            ap_pass_touch(r, "If");
        else
            i++;
    }
    if (r->changed) ap_graph_sweep(m->graph);
    return NULL;
}

// ---- turns of a loop

typedef struct turns {
    ap_model *m;
    ap_node *n;
    const ap_graph *body;
    ap_splice *s;
    size_t count;        // of turns
    size_t states;       // carried from turn to turn
    size_t first_in;     // body inputs before the states
    size_t first_out;    // body outputs before the states
    const char **state;  // current names
    const char **pieces; // [stacked output][turn]
    size_t stacked;
} turns;

static void turns_release(turns *t) {
    ap_splice_drop(t->s);
    free(t->state);
    free(t->pieces);
}

static size_t all_nodes(const ap_graph *g) {
    size_t count = g->node_count;
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t k = 0; k < g->nodes[i]->subgraph_count; k++)
            count += all_nodes(g->nodes[i]->subgraphs[k]);
    return count;
}

static bool fits_limit(const turns *t, const ap_pass_context *c) {
    size_t limit = (size_t)ap_pass_param(c, "max_unrolled_nodes", AP_UNROLL_NODES), total;
    // What every turn adds beside the body's nodes.
    size_t each = all_nodes(t->body) + t->stacked + 1;
    return ap_mul_size(each, t->count, &total) && total <= limit;
}

static const char *index_constant(ap_splice *s, int64_t v, size_t rank) {
    int64_t one = 1;
    ap_tensor t;
    ap_err err = ap_tensor_view(AP_I64, &one, rank, &v, sizeof v, &t);
    ap_err_free(err); // the sizes agree
    return ap_splice_constant(s, "turn", &t);
}

static const char *unsqueeze(turns *t, const char *from, int64_t axis) {
    const char *base = "piece", *in[2] = {from, NULL};
    if (t->m->opset < 13)
        return ap_splice_node(t->s, "Unsqueeze", in, 1, ap_attr_ints(&t->m->arena, "axes", &axis, 1), base,
                              NULL);
    in[1] = index_constant(t->s, axis, 1);
    return ap_splice_node(t->s, "Unsqueeze", in, 2, NULL, base, NULL);
}

// One copy of the body. `inputs` holds its inputs before the states, `behind` those after them.
static ap_err one_turn(turns *t, size_t turn, const char *const *before, const char *const *behind,
                       const int64_t *axes, const bool *reversed) {
    size_t in_count = t->body->proto->n_input;
    const char **in = ap_calloc(in_count + 1, sizeof *in), **out = NULL;
    for (size_t i = 0; i < t->first_in; i++) in[i] = before[i];
    for (size_t i = 0; i < t->states; i++) in[t->first_in + i] = t->state[i];
    for (size_t i = t->first_in + t->states; i < in_count; i++) in[i] = behind[i - t->first_in - t->states];
    ap_err err = ap_splice_body(t->s, t->body, in, &out);
    free(in);
    if (err) return err;
    for (size_t i = 0; i < t->states; i++) t->state[i] = out[t->first_out + i];
    for (size_t i = 0; i < t->stacked; i++) {
        const ap_node *n = t->n;
        size_t k = t->states + i, at = reversed && reversed[i] ? t->count - 1 - turn : turn;
        if (k >= n->output_count || !n->outputs[k]) continue;
        t->pieces[i * t->count + at] = unsqueeze(t, out[t->first_out + k], axes ? axes[i] : 0);
    }
    return NULL;
}

static void hand_over_all(turns *t, const int64_t *axes) {
    const ap_node *n = t->n;
    for (size_t i = 0; i < t->states; i++) hand_over(t->s, n, i, t->state[i]);
    for (size_t i = 0; i < t->stacked; i++) {
        size_t k = t->states + i;
        if (k >= n->output_count || !n->outputs[k]) continue;
        ap_splice_node(t->s, "Concat", t->pieces + i * t->count, t->count,
                       ap_attr_int(&t->m->arena, "axis", axes ? axes[i] : 0), NULL, n->outputs[k]->name);
    }
}

static bool output_wanted(const ap_node *n, size_t k) {
    return k < n->output_count && n->outputs[k];
}

// ---- Loop

// Is the value the body's input `name`, by way of Identity nodes at most?
static bool comes_from(const ap_value *v, const char *name) {
    while (v->producer && ap_node_is(v->producer, "Identity") && v->producer->inputs[0])
        v = v->producer->inputs[0];
    return v->kind == AP_VALUE_INPUT && !strcmp(v->name, name);
}

// Does every turn ask for the next one?
static bool always_goes_on(ap_model *m, const ap_graph *body) {
    const ap_value *v = body->outputs[0];
    ap_tensor t;
    if (comes_from(v, body->proto->input[1]->name)) return true;
    while (v->producer && ap_node_is(v->producer, "Identity") && v->producer->inputs[0])
        v = v->producer->inputs[0];
    const Onnx__TensorProto *p = v->kind == AP_VALUE_INPUT ? NULL : v->init;
    if (v->producer && ap_node_is(v->producer, "Constant")) {
        const Onnx__AttributeProto *at = ap_node_attr(v->producer, "value");
        p = at ? at->t : NULL;
    }
    if (v->kind == AP_VALUE_OUTER) {
        const ap_value *outer = ap_graph_value(m->graph, v->name);
        p = outer && outer->kind == AP_VALUE_INITIALIZER ? outer->init : NULL;
    }
    if (!p) return false;
    ap_err err = ap_model_tensor(m, p, &t);
    bool good = !err && t.dtype == AP_BOOL && ap_tensor_count(&t) == 1 && ap_tensor_at(&t, 0) != 0;
    ap_err_free(err);
    return good;
}

static bool loop_is_known(turns *t, const ap_pass_context *c) {
    const ap_node *n = t->n;
    int64_t trips = 0;
    bool start = true;
    if (n->input_count < 1 || !one_number(t->m, n->inputs[0], &trips)) return false;
    if (n->input_count > 1 && n->inputs[1] && !one_flag(t->m, n->inputs[1], &start)) return false;
    t->body = body_of(n, "body");
    if (!t->body || t->body->proto->n_sparse_initializer) return false;
    t->states = n->input_count < 2 ? 0 : n->input_count - 2;
    t->first_in = 2;
    t->first_out = 1;
    if (t->body->proto->n_input != 2 + t->states || t->body->output_count < 1 + t->states) return false;
    t->stacked = t->body->output_count - 1 - t->states;
    t->count = start && trips > 0 ? (size_t)trips : 0;
    for (size_t i = 0; i < t->states; i++)
        if (!n->inputs[2 + i]) return false;
    for (size_t i = 0; t->count == 0 && i < t->stacked; i++) // the shape of nothing is not known
        if (output_wanted(n, t->states + i)) return false;
    return fits_limit(t, c) && (t->count == 0 || always_goes_on(t->m, t->body));
}

static ap_err unroll_loop(turns *t) {
    const ap_node *n = t->n;
    uint8_t yes = 1;
    ap_tensor flag;
    ap_err err = NULL;
    t->state = ap_calloc(t->states + 1, sizeof *t->state);
    t->pieces = ap_calloc(t->stacked * t->count + 1, sizeof *t->pieces);
    for (size_t i = 0; i < t->states; i++) t->state[i] = n->inputs[2 + i]->name;
    AP_TRY(ap_splice_begin(t->m, t->n, &t->s));
    AP_TRY(ap_tensor_view(AP_BOOL, NULL, 0, &yes, 1, &flag));
    const char *before[2] = {NULL, t->count ? ap_splice_constant(t->s, "go_on", &flag) : NULL};
    for (size_t i = 0; i < t->count; i++) {
        before[0] = index_constant(t->s, (int64_t)i, 0);
        AP_TRY(one_turn(t, i, before, NULL, NULL, NULL));
    }
    hand_over_all(t, NULL);
    err = ap_splice_end(t->s);
    t->s = NULL;
done:
    return err;
}

ap_err ap_pass_loop(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    ap_err err = NULL;
    for (size_t i = 0; !err && i < m->graph->node_count; i++) {
        turns t = {.m = m, .n = m->graph->nodes[i]};
        if (!ap_node_is(t.n, "Loop") || !loop_is_known(&t, c)) continue;
        err = unroll_loop(&t);
        turns_release(&t);
        ap_pass_touch(r, "Loop");
    }
    if (!err && r->changed) ap_graph_sweep(m->graph);
    return err;
}

// ---- Scan

typedef struct scan {
    turns t;
    size_t inputs; // scanned ones
    int64_t *in_axes, *out_axes;
    bool *in_reversed, *out_reversed;
} scan;

static int64_t nth(const ap_node *n, const char *attribute, size_t i) {
    const Onnx__AttributeProto *at = ap_node_attr(n, attribute);
    return at && i < at->n_ints ? at->ints[i] : 0;
}

static void read_directions(scan *s) {
    const ap_node *n = s->t.n;
    s->in_axes = ap_calloc(s->inputs + 1, sizeof *s->in_axes);
    s->in_reversed = ap_calloc(s->inputs + 1, sizeof *s->in_reversed);
    s->out_axes = ap_calloc(s->t.stacked + 1, sizeof *s->out_axes);
    s->out_reversed = ap_calloc(s->t.stacked + 1, sizeof *s->out_reversed);
    for (size_t i = 0; i < s->inputs; i++) {
        s->in_axes[i] = nth(n, "scan_input_axes", i);
        s->in_reversed[i] = nth(n, "scan_input_directions", i) == 1;
    }
    for (size_t i = 0; i < s->t.stacked; i++) {
        s->out_axes[i] = nth(n, "scan_output_axes", i);
        s->out_reversed[i] = nth(n, "scan_output_directions", i) == 1;
    }
}

// The common length of what is scanned; 0 when it is not proven.
static size_t scan_length(const scan *s, ap_types *types, const ap_flow *flow) {
    size_t length = 0;
    for (size_t i = 0; i < s->inputs; i++) {
        const ap_value *v = s->t.n->inputs[s->t.states + i];
        const ap_value_type *type = v ? ap_types_get(types, v) : NULL;
        if (!type || (ap_flow_get(flow, v) & AP_FLOW_SHAPE)) return 0;
        int64_t axis = s->in_axes[i] < 0 ? s->in_axes[i] + (int64_t)type->rank : s->in_axes[i];
        if (axis < 0 || axis >= (int64_t)type->rank || type->dims[axis] < 1) return 0;
        size_t here = (size_t)type->dims[axis];
        if (length && here != length) return 0;
        length = here;
    }
    return length;
}

static bool scan_is_known(scan *s, const ap_pass_context *c, ap_types *types, const ap_flow *flow) {
    turns *t = &s->t;
    const ap_node *n = t->n;
    int64_t scanned = ap_node_attr_int(n, "num_scan_inputs", 0);
    t->body = body_of(n, "body");
    if (t->m->opset < 9 || !t->body || t->body->proto->n_sparse_initializer || scanned < 1 ||
        (size_t)scanned > n->input_count)
        return false;
    s->inputs = (size_t)scanned;
    t->states = n->input_count - s->inputs;
    if (t->body->proto->n_input != n->input_count || t->body->output_count < t->states) return false;
    for (size_t i = 0; i < n->input_count; i++)
        if (!n->inputs[i]) return false;
    t->stacked = t->body->output_count - t->states;
    read_directions(s);
    for (size_t i = 0; i < t->stacked; i++)
        if (s->out_axes[i] < 0) return false;
    t->count = scan_length(s, types, flow);
    return t->count > 0 && fits_limit(t, c);
}

static ap_err scan_turn(scan *s, size_t turn) {
    turns *t = &s->t;
    const char **elements = ap_calloc(s->inputs, sizeof *elements);
    for (size_t i = 0; i < s->inputs; i++) {
        size_t at = s->in_reversed[i] ? t->count - 1 - turn : turn;
        const char *in[2] = {t->n->inputs[t->states + i]->name, index_constant(t->s, (int64_t)at, 0)};
        elements[i] = ap_splice_node(t->s, "Gather", in, 2, ap_attr_int(&t->m->arena, "axis", s->in_axes[i]),
                                     "element", NULL);
    }
    ap_err err = one_turn(t, turn, NULL, elements, s->out_axes, s->out_reversed);
    free(elements);
    return err;
}

static ap_err unroll_scan(scan *s) {
    turns *t = &s->t;
    ap_err err = NULL;
    t->state = ap_calloc(t->states + 1, sizeof *t->state);
    t->pieces = ap_calloc(t->stacked * t->count + 1, sizeof *t->pieces);
    for (size_t i = 0; i < t->states; i++) t->state[i] = t->n->inputs[i]->name;
    AP_TRY(ap_splice_begin(t->m, t->n, &t->s));
    for (size_t i = 0; i < t->count; i++) AP_TRY(scan_turn(s, i));
    hand_over_all(t, s->out_axes);
    err = ap_splice_end(t->s);
    t->s = NULL;
done:
    return err;
}

static bool has_scan(const ap_model *m) {
    for (size_t i = 0; i < m->graph->node_count; i++)
        if (ap_node_is(m->graph->nodes[i], "Scan")) return true;
    return false;
}

ap_err ap_pass_scan(ap_model *m, const ap_pass_context *c, ap_pass_result *r) {
    ap_types *types = NULL;
    ap_flow flow = {0};
    ap_err err = NULL;
    if (!has_scan(m)) return NULL;
    AP_TRY(ap_types_measure(m, c, &types));
    ap_flow_of(m, &flow);
    for (size_t i = 0; !err && i < m->graph->node_count; i++) {
        scan s = {.t = {.m = m, .n = m->graph->nodes[i]}};
        if (!ap_node_is(s.t.n, "Scan")) continue;
        if (scan_is_known(&s, c, types, &flow)) {
            err = unroll_scan(&s);
            ap_pass_touch(r, "Scan");
        }
        turns_release(&s.t);
        free(s.in_axes);
        free(s.in_reversed);
        free(s.out_axes);
        free(s.out_reversed);
    }
    if (!err && r->changed) ap_graph_sweep(m->graph);
done:
    ap_flow_release(&flow);
    return err;
}
