// SPDX-License-Identifier: Apache-2.0
// What a rule costs where a target computes in float16: the right side with every float32 result rounded on
// its way, against the left side in float32, both on operands that float16 can hold.
#include "surgery/prove/prove_priv.h"
#include "tensor/convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MEASURED = 32 };

static ap_err round_feed(const feed *from, feed *to) {
    *to = *from;
    to->t = (ap_tensor){0};
    ap_err err = ap_tensor_clone(&from->t, &to->t);
    for (size_t i = 0; !err && from->t.dtype == AP_F32 && i < ap_tensor_count(&to->t); i++) {
        double x = (double)ap_f16_to_f32(ap_f32_to_f16((float)ap_tensor_at(&to->t, i)));
        ap_tensor_put_f64(&to->t, i, 1, &x);
    }
    return err;
}

static Onnx__NodeProto *cast_node(ap_arena *a, const char *from, const char *to, ap_dtype type) {
    Onnx__NodeProto *n = ap_arena_alloc(a, sizeof *n);
    onnx__node_proto__init(n);
    n->op_type = ap_arena_strdup(a, "Cast");
    n->name = ap_arena_printf(a, "%s~to%s", from, ap_dtype_name(type));
    n->n_input = n->n_output = n->n_attribute = 1;
    n->input = ap_arena_calloc(a, 1, sizeof *n->input);
    n->output = ap_arena_calloc(a, 1, sizeof *n->output);
    n->attribute = ap_arena_calloc(a, 1, sizeof(Onnx__AttributeProto *));
    n->input[0] = ap_arena_strdup(a, from);
    n->output[0] = ap_arena_strdup(a, to);
    n->attribute[0] = ap_attr_int(a, "to", (int64_t)type);
    return n;
}

// Every float32 result goes through float16.
static ap_err round_model(const ap_model *m, ap_arena *a, ap_model **out) {
    const Onnx__GraphProto *old = m->proto->graph;
    Onnx__ModelProto to = *m->proto;
    Onnx__GraphProto g = *old;
    g.node = ap_arena_calloc(a, 16 * old->n_node + 1, sizeof *g.node);
    g.n_node = 0;
    to.graph = &g;
    for (size_t i = 0; i < old->n_node; i++) {
        Onnx__NodeProto *n = ap_arena_alloc(a, sizeof *n);
        *n = *old->node[i];
        g.node[g.n_node++] = n;
        n->output = ap_arena_calloc(a, n->n_output + 1, sizeof *n->output);
        for (size_t k = 0; k < n->n_output; k++) {
            const char *name = n->output[k] = old->node[i]->output[k];
            ap_value *v = *name ? ap_graph_value(m->graph, name) : NULL;
            ap_value_type t;
            if (!v || k > 6 || !ap_type_of(NULL, v, &t) || t.dtype != AP_F32) continue;
            n->output[k] = ap_arena_printf(a, "%s~raw", name);
            const char *half = ap_arena_printf(a, "%s~half", name);
            g.node[g.n_node++] = cast_node(a, n->output[k], half, AP_F16);
            g.node[g.n_node++] = cast_node(a, half, name, AP_F32);
        }
    }
    size_t bytes = onnx__model_proto__get_packed_size(&to);
    uint8_t *packed = ap_arena_alloc(a, bytes + 1);
    onnx__model_proto__pack(&to, packed);
    return ap_model_parse(packed, bytes, NULL, out);
}

static bool is_measured(const instance *x) {
    if (x->stage != STAGE_HELD || !value_class_mild(x->values)) return false;
    for (size_t i = 0; i < x->left_count; i++)
        if (x->left[i].dtype != AP_F32) return false;
    return true;
}

static ap_err make_rounded(const instance *x, instance **out) {
    instance *y = ap_calloc(1, sizeof *y);
    ap_err err = NULL;
    y->prefix = ap_arena_strdup(&y->arena, x->prefix);
    AP_TRY(model_copy(x->model, &y->arena, false, &y->model));
    AP_TRY(round_model(x->right, &y->arena, &y->right));
    for (size_t i = 0; i < x->feed_count; i++) {
        AP_TRY(round_feed(&x->feeds[i], &y->feeds[i]));
        y->feed_count++;
    }
    *out = y;
    y = NULL;
done:
    instance_free(y);
    return err;
}

static void add_noise(const instance *y, noise *sum) {
    for (size_t i = 0; i < y->left_count; i++)
        for (size_t k = 0; k < ap_tensor_count(&y->left[i]) && k < ap_tensor_count(&y->now[i]); k++) {
            double a = ap_tensor_at(&y->left[i], k), b = ap_tensor_at(&y->now[i], k);
            if (!isfinite(a) || !isfinite(b)) continue;
            sum->signal += a * a;
            sum->error += (a - b) * (a - b);
            sum->count++;
        }
}

ap_err measure_f16(judge *j, instance **list, size_t count, double *db) {
    instance *rounded[MOST_MEASURED];
    size_t n = 0;
    noise sum = {0};
    ap_err err = NULL;
    for (size_t i = 0; i < count && n < MOST_MEASURED; i++)
        if (is_measured(list[i])) {
            AP_TRY(make_rounded(list[i], &rounded[n]));
            n++;
        }
    AP_TRY(batch_run(rounded, n, SIDE_LEFT, j->o->oracle, NULL));
    AP_TRY(batch_run(rounded, n, SIDE_RIGHT, j->o->oracle, NULL));
    for (size_t i = 0; i < n; i++)
        if (rounded[i]->left && rounded[i]->now) add_noise(rounded[i], &sum);
    if (sum.count && sum.signal > 0) *db = sum.error > 0 ? 10 * log10(sum.signal / sum.error) : INFINITY;
done:
    for (size_t i = 0; i < n; i++) instance_free(rounded[i]);
    return err;
}
