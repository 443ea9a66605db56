// SPDX-License-Identifier: Apache-2.0
// Many instances in one model: opening a session costs as much as running fifty small graphs.
#include "surgery/oracle/oracle_worker.h"
#include "surgery/prove/prove_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_IN_BATCH = 64, MOST_NODES = 1000 }; // a session of many nodes costs more than its parts

static void drop_signs(ap_model *m) {
    for (size_t i = 0; i < m->proto->graph->n_initializer; i++) {
        Onnx__TensorProto *t = m->proto->graph->initializer[i];
        size_t step = ap_dtype_bits((ap_dtype)t->data_type) / 8;
        if (!ap_dtype_is_float((ap_dtype)t->data_type) || step < 2) continue;
        for (size_t k = step - 1; k < t->raw_data.len; k += step) t->raw_data.data[k] &= 0x7f;
    }
    for (size_t i = 0; i < m->graph->node_count; i++) { // factors of Gemm
        const Onnx__NodeProto *n = m->graph->nodes[i]->proto;
        for (size_t k = 0; k < n->n_attribute; k++)
            if (!strcmp(n->attribute[k]->name, "alpha") || !strcmp(n->attribute[k]->name, "beta"))
                n->attribute[k]->f = fabsf(n->attribute[k]->f);
    }
}

ap_err model_copy(const ap_model *m, ap_arena *a, bool absolute, ap_model **out) {
    ap_buf bytes = {0};
    ap_err err = ap_model_bytes(m, &bytes);
    if (!err) {
        char *kept = ap_arena_alloc(a, bytes.len + 1);
        memcpy(kept, bytes.data, bytes.len);
        err = ap_model_parse(kept, bytes.len, NULL, out);
        if (!err && absolute) {
            drop_signs(*out);
            (*out)->edited = true;
        }
    }
    ap_buf_free(&bytes);
    return err;
}

// ---- putting together

typedef struct batch {
    batch_side side;
    const ap_piece_oracle *oracle;
    ap_map *illegal;
    ap_arena arena; // of the merged model
} batch;

static ap_model *side_of(const instance *x, batch_side side) {
    return side == SIDE_RIGHT ? x->right : x->model;
}

static bool has_type(const ap_value *v) {
    ap_value_type t;
    return ap_type_of(NULL, v, &t);
}

// Inner values of which the type is not known: they are shown, too, on the left.
static size_t open_values(const ap_model *m, ap_value **out, size_t most) {
    size_t count = 0;
    for (size_t i = 0; i < m->graph->node_count; i++)
        for (size_t k = 0; k < m->graph->nodes[i]->output_count; k++) {
            ap_value *v = m->graph->nodes[i]->outputs[k];
            if (v && !v->is_output && !has_type(v) && count < most) out[count++] = v;
        }
    return count;
}

typedef struct sizes {
    size_t nodes, inits, inputs, outputs, opsets;
} sizes;

static Onnx__ValueInfoProto *plain_info(ap_arena *a, const char *name) {
    Onnx__ValueInfoProto *v = ap_arena_alloc(a, sizeof *v);
    onnx__value_info_proto__init(v);
    v->name = (char *)(uintptr_t)name;
    return v;
}

static void append_graph(batch *b, const instance *x, const ap_model *m, Onnx__GraphProto *g) {
    const Onnx__GraphProto *p = m->proto->graph;
    ap_value *open[32];
    size_t n = b->side == SIDE_LEFT ? open_values(m, open, 32) : 0;
    (void)x;
    for (size_t i = 0; i < p->n_node; i++) g->node[g->n_node++] = p->node[i];
    for (size_t i = 0; i < p->n_initializer; i++) g->initializer[g->n_initializer++] = p->initializer[i];
    for (size_t i = 0; i < p->n_input; i++) g->input[g->n_input++] = p->input[i];
    for (size_t i = 0; i < p->n_output; i++)
        g->output[g->n_output++] = plain_info(&b->arena, p->output[i]->name);
    for (size_t i = 0; i < n; i++) g->output[g->n_output++] = plain_info(&b->arena, open[i]->name);
}

static void merge_opsets(batch *b, Onnx__ModelProto *to, const ap_model *m) {
    for (size_t i = 0; i < m->proto->n_opset_import; i++) {
        const char *domain = m->proto->opset_import[i]->domain ? m->proto->opset_import[i]->domain : "";
        bool there = false;
        for (size_t k = 0; k < to->n_opset_import; k++)
            there |= !strcmp(to->opset_import[k]->domain ? to->opset_import[k]->domain : "", domain);
        if (!there && to->n_opset_import < 8)
            to->opset_import[to->n_opset_import++] = m->proto->opset_import[i];
    }
    (void)b;
}

static ap_err merge(batch *b, instance **list, size_t count, ap_model **out) {
    Onnx__ModelProto *to = ap_arena_alloc(&b->arena, sizeof *to);
    Onnx__GraphProto *g = ap_arena_alloc(&b->arena, sizeof *g);
    sizes n = {0};
    ap_model **models = ap_arena_calloc(&b->arena, count, sizeof *models);
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++) {
        models[i] = side_of(list[i], b->side);
        if (b->side == SIDE_ABS) AP_TRY(model_copy(list[i]->model, &b->arena, true, &models[i]));
        const Onnx__GraphProto *p = models[i]->proto->graph;
        n.nodes += p->n_node;
        n.inits += p->n_initializer;
        n.inputs += p->n_input;
        n.outputs += p->n_output + 32;
    }
    onnx__model_proto__init(to);
    onnx__graph_proto__init(g);
    *to = *models[0]->proto;
    to->opset_import = ap_arena_calloc(&b->arena, 8, sizeof *to->opset_import);
    to->n_opset_import = 0;
    to->graph = g;
    g->name = ap_arena_strdup(&b->arena, "instances");
    g->node = ap_arena_calloc(&b->arena, n.nodes + 1, sizeof *g->node);
    g->initializer = ap_arena_calloc(&b->arena, n.inits + 1, sizeof *g->initializer);
    g->input = ap_arena_calloc(&b->arena, n.inputs + 1, sizeof *g->input);
    g->output = ap_arena_calloc(&b->arena, n.outputs + 1, sizeof *g->output);
    for (size_t i = 0; i < count; i++) {
        append_graph(b, list[i], models[i], g);
        merge_opsets(b, to, models[i]);
    }
    size_t bytes = onnx__model_proto__get_packed_size(to);
    uint8_t *packed = ap_arena_alloc(&b->arena, bytes + 1);
    onnx__model_proto__pack(to, packed);
    AP_TRY(ap_model_parse(packed, bytes, NULL, out));
done:
    for (size_t i = 0; i < count && b->side == SIDE_ABS; i++) ap_model_free(models[i]);
    return err;
}

static ap_err absolute(const ap_tensor *t, ap_tensor *out) {
    ap_err err = ap_tensor_clone(t, out);
    size_t step = ap_dtype_bits(t->dtype) / 8;
    if (err || !ap_dtype_is_float(t->dtype) || step < 2) return err;
    for (size_t k = step - 1; k < out->bytes; k += step) ((uint8_t *)out->data)[k] &= 0x7f;
    return NULL;
}

static ap_err gather_inputs(const batch *b, instance **list, size_t count, ap_named_tensor **out, size_t *n) {
    size_t most = 0;
    for (size_t i = 0; i < count; i++) most += list[i]->feed_count;
    *out = ap_calloc(most + 1, sizeof **out);
    *n = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < list[i]->feed_count; k++) {
            ap_named_tensor *in = &(*out)[(*n)++];
            in->name = list[i]->feeds[k].v->name;
            in->t = list[i]->feeds[k].t;
            in->t.hold = AP_HOLD_NONE;
            ap_err err = b->side == SIDE_ABS ? absolute(&list[i]->feeds[k].t, &in->t) : NULL;
            if (err) return err;
        }
    return NULL;
}

// ---- taking apart

static bool same_type(const ap_value_type *a, const ap_tensor *t) {
    return a->dtype == t->dtype && ap_shape_equal(a->dims, a->rank, t->dims, t->rank);
}

// Notes what the oracle measured; a shape that was inferred otherwise is a fault of ours.
static void measure(instance *x, ap_value *v, const ap_tensor *t) {
    ap_value_type type = {.dtype = t->dtype, .rank = t->rank}, known;
    memcpy(type.dims, t->dims, sizeof type.dims);
    if (!ap_type_of(NULL, v, &known)) {
        ap_value_type *kept = ap_arena_alloc(&x->arena, sizeof *kept);
        *kept = type;
        ap_map_set(&x->measured, v->name, kept);
    } else if (!same_type(&known, t) && x->stage == STAGE_DRAWN) {
        x->stage = STAGE_FAILED;
        x->fail = FAIL_TYPE;
        x->why = ap_arena_printf(&x->arena, "the type of \"%s\" is inferred wrongly", v->name);
    }
}

static size_t hand_out(const batch *b, instance *x, ap_tensor *from) {
    ap_model *m = side_of(x, b->side);
    size_t n = m->graph->output_count;
    ap_value *open[32];
    size_t more = b->side == SIDE_LEFT ? open_values(m, open, 32) : 0;
    ap_tensor *list = ap_calloc(n + 1, sizeof *list);
    memcpy(list, from, n * sizeof *list);
    if (b->side == SIDE_LEFT) {
        x->left = list;
        x->left_count = n;
        for (size_t i = 0; i < more; i++) {
            measure(x, open[i], &from[n + i]);
            ap_tensor_free(&from[n + i]);
        }
        for (size_t i = 0; i < n; i++) measure(x, m->graph->outputs[i], &list[i]);
    } else if (b->side == SIDE_RIGHT) {
        x->now = list;
    } else if (b->side == SIDE_SECOND) {
        x->second = list;
    } else {
        x->scale = list;
    }
    return n + more;
}

static void blame(const batch *b, instance *x, const ap_error *e) {
    if (b->side == SIDE_ABS || b->side == SIDE_SECOND) return; // no scale, no opinion
    x->stage = b->side == SIDE_LEFT ? STAGE_ILLEGAL : STAGE_FAILED;
    x->fail = b->side == SIDE_LEFT ? FAIL_NONE : FAIL_RUN;
    // It is these numbers that the operator has no answer for, not the operator that has no kernel.
    x->crashed = ap_err_code(e) == AP_ERR_WORKER_CRASH || strstr(ap_err_message(e), "by zero");
    x->why = ap_arena_printf(&x->arena, "%s", ap_err_message(e));
}

// The instance a message speaks of: its prefix stands in the name of the node.
static size_t named_in(const ap_error *e, instance **list, size_t count) {
    const char *text = ap_err_message(e);
    for (size_t i = 0; i < count; i++) {
        const char *at = strstr(text, list[i]->prefix);
        if (at && (at == text || at[-1] < '0' || at[-1] > 'z')) return i;
    }
    return SIZE_MAX;
}

// Remembers that there is no kernel for an operator and element type, so that it is not drawn again.
static void learn(const batch *b, const ap_error *e, const instance *x) {
    char name[96], key[96];
    ap_value_type t;
    const char *text = ap_err_message(e), *at = strstr(text, x->prefix);
    bool kernel = strstr(text, "Could not find an implementation") || strstr(text, "NOT_IMPLEMENTED") ||
                  strstr(text, "Type Error") || strstr(text, "unsupported type");
    if (!b->illegal || b->side != SIDE_LEFT || !kernel || !at) return;
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(at, "')( "), at);
    const ap_node *n = ap_graph_node(x->model->graph, name);
    if (!n || !n->input_count || !n->inputs[0] || !ap_type_of(NULL, n->inputs[0], &t)) return;
    (void)snprintf(key, sizeof key, "%s %s %lld", n->op, ap_dtype_name(t.dtype), (long long)x->model->opset);
    ap_map_set(b->illegal, key, b->illegal);
}

static ap_err run_once(batch *b, instance **list, size_t count) {
    ap_model *m = NULL;
    ap_named_tensor *in = NULL;
    ap_tensor *out = NULL;
    size_t in_count = 0, at = 0;
    ap_err err = NULL;
    AP_TRY(merge(b, list, count, &m));
    AP_TRY(gather_inputs(b, list, count, &in, &in_count));
    out = ap_calloc(m->graph->output_count + 1, sizeof *out);
    AP_TRY(b->oracle->run(b->oracle->user, m, in, in_count, out, m->graph->output_count));
    for (size_t i = 0; i < count; i++) at += hand_out(b, list[i], out + at);
done:
    for (size_t i = 0; in && i < in_count; i++) ap_tensor_free(&in[i].t);
    free(in);
    free(out);
    ap_model_free(m);
    ap_arena_release(&b->arena);
    return err;
}

// ONNX Runtime plans memory by shapes it infers otherwise than its kernels compute them (pools with
// ceil_mode): a fault of one instance that shows in another. Alone each is right.
static bool is_neighbours_fault(const ap_error *e, size_t count) {
    return count > 1 && strstr(ap_err_message(e), "attempting to re-use buffer");
}

static ap_err run_group(batch *b, instance **list, size_t count) {
    if (!count) return NULL;
    ap_err err = run_once(b, list, count);
    if (!err || !ap_oracle_blames_model(err)) return err;
    size_t guilty = count == 1 ? 0 : is_neighbours_fault(err, count) ? SIZE_MAX : named_in(err, list, count);
    if (guilty != SIZE_MAX) {
        instance *x = list[guilty];
        blame(b, x, err);
        learn(b, err, x);
        ap_err_free(err);
        memmove(list + guilty, list + guilty + 1, (count - guilty - 1) * sizeof *list);
        return run_group(b, list, count - 1);
    }
    ap_err_free(err);
    err = run_group(b, list, count / 2);
    return err ? err : run_group(b, list + count / 2, count - count / 2);
}

static bool takes_part(const instance *x, batch_side side) {
    if (side == SIDE_SECOND) return x->left && !x->second;
    if (x->stage != STAGE_DRAWN) return false;
    return side == SIDE_LEFT ? !x->left : side == SIDE_RIGHT ? x->right && !x->now : !x->scale;
}

ap_err batch_run(instance **list, size_t count, batch_side side, const ap_piece_oracle *oracle,
                 ap_map *illegal) {
    instance *group[MOST_IN_BATCH];
    bool *done_ = ap_calloc(count + 1, sizeof *done_);
    batch b = {.side = side, .oracle = oracle, .illegal = illegal};
    ap_err err = NULL;
    for (size_t i = 0; i < count && !err; i++) {
        size_t n = 0, nodes = 0;
        if (done_[i] || !takes_part(list[i], side)) continue;
        for (size_t k = i; k < count && n < MOST_IN_BATCH && nodes < MOST_NODES; k++) {
            if (done_[k] || !takes_part(list[k], side) || list[k]->model->opset != list[i]->model->opset)
                continue;
            done_[k] = true;
            nodes += side_of(list[k], side)->graph->node_count;
            group[n++] = list[k];
        }
        err = run_group(&b, group, n);
    }
    free(done_);
    return err;
}
