// SPDX-License-Identifier: Apache-2.0
// The smallest instance that fails the same way, and how it is shown.
#include "base/proc.h"
#include "surgery/prove/prove_priv.h"
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_LOOKS = 200 };
static const uint64_t MOST_US = 4000000;

typedef struct shrinker {
    judge *j;
    instance *best;
    size_t looks;
    uint64_t until;
} shrinker;

// Does this stream fail in the same way? Then it is the best now.
static ap_err look(shrinker *s, uint32_t *list, size_t count, bool *better) {
    choices c = {.list = list, .count = count, .cap = count, .end_simple = true};
    *better = false;
    if (s->looks >= MOST_LOOKS || ap_now_us() > s->until) return NULL;
    s->looks++;
    instance *x = instance_draw(s->j->rule, s->j->o, &c, 0, NULL, NULL, 0);
    if (!x) return NULL;
    ap_err err = judge_all(s->j, &x, 1);
    if (!err && x->stage == STAGE_FAILED && x->fail == s->best->fail && x->c.count <= s->best->c.count) {
        *better = true;
        instance_free(s->best);
        s->best = x;
        return NULL;
    }
    instance_free(x);
    return err;
}

static ap_err drop_chunks(shrinker *s, size_t size, bool *any) {
    ap_err err = NULL;
    for (size_t at = s->best->c.count; at > 0 && !err;) {
        size_t n = size < at ? size : at, count = s->best->c.count;
        at -= n;
        if (at + n > count) continue;
        uint32_t *list = ap_alloc((count + 1) * sizeof *list);
        memcpy(list, s->best->c.list, at * sizeof *list);
        memcpy(list + at, s->best->c.list + at + n, (count - at - n) * sizeof *list);
        bool better;
        err = look(s, list, count - n, &better);
        *any |= better;
        free(list);
    }
    return err;
}

// One choice made smaller: 0, half, one less.
static ap_err lower(shrinker *s, size_t at, bool *any) {
    ap_err err = NULL;
    bool better = false;
    for (int how = 0; how < 3 && !err && !better && at < s->best->c.count; how++) {
        size_t count = s->best->c.count;
        uint32_t v = s->best->c.list[at], to = how == 0 ? 0 : how == 1 ? v / 2 : v - 1;
        if (!v || (how && !to)) break;
        uint32_t *list = ap_alloc((count + 1) * sizeof *list);
        memcpy(list, s->best->c.list, count * sizeof *list);
        list[at] = to;
        err = look(s, list, count, &better);
        free(list);
        *any |= better;
    }
    return err;
}

ap_err shrink(judge *j, instance **x) {
    shrinker s = {.j = j, .best = *x, .until = ap_now_us() + MOST_US};
    ap_err err = NULL;
    bool any = true;
    j->alone = true;
    while (any && !err && s.looks < MOST_LOOKS) {
        any = false;
        for (size_t size = 8; size && !err; size /= 2) err = drop_chunks(&s, size, &any);
        for (size_t at = 0; at < s.best->c.count && !err; at++) err = lower(&s, at, &any);
    }
    j->alone = false;
    *x = s.best;
    return err;
}

// ---- showing

static void print_value(const ap_value *v, ap_buf *out) {
    ap_value_type t;
    if (!v) {
        ap_buf_puts(out, "-");
        return;
    }
    if (v->kind == AP_VALUE_INITIALIZER) ap_buf_puts(out, "const ");
    if (!ap_type_of(NULL, v, &t)) {
        ap_buf_puts(out, "?");
        return;
    }
    ap_buf_printf(out, "%s ", ap_dtype_name(t.dtype));
    ap_shape_format(t.dims, t.rank, out);
}

static json_t *print_node(const instance *x, const ap_node *n) {
    ap_buf text = {0};
    ap_arena a = {0};
    ap_buf_printf(&text, "%s(", n->op);
    for (size_t i = 0; i < n->input_count; i++) {
        if (i) ap_buf_puts(&text, ", ");
        print_value(n->inputs[i], &text);
    }
    ap_buf_puts(&text, ")");
    for (size_t i = 0; i < n->proto->n_attribute; i++) {
        ap_val v = val_of_attr(&a, x->model, n->proto->attribute[i]);
        ap_buf_printf(&text, "%s%s=", i ? ", " : " {", n->proto->attribute[i]->name);
        ap_val_print(&v, &text);
        if (i + 1 == n->proto->n_attribute) ap_buf_puts(&text, "}");
    }
    json_t *j = ap_json_string(ap_buf_str(&text));
    ap_buf_free(&text);
    ap_arena_release(&a);
    return j;
}

static json_t *first_numbers(const ap_tensor *t) {
    json_t *list = json_array();
    for (size_t i = 0; i < ap_tensor_count(t) && i < 16; i++)
        json_array_append_new(list, ap_json_real(ap_tensor_at(t, i)));
    return list;
}

static json_t *tensor_json(const char *name, const ap_tensor *t) {
    return json_pack("{so, ss, so, so}", "name", ap_json_string(name), "dtype", ap_dtype_name(t->dtype),
                     "dims", ap_json_dims(t->dims, t->rank), "values", first_numbers(t));
}

json_t *instance_json(const instance *x, uint64_t seed) {
    json_t *nodes = json_array(), *inputs = json_array();
    const ap_graph *g = x->model->graph;
    for (size_t i = 0; i < g->node_count; i++) json_array_append_new(nodes, print_node(x, g->nodes[i]));
    for (size_t i = 0; i < x->feed_count; i++)
        json_array_append_new(inputs, tensor_json(x->feeds[i].v->name, &x->feeds[i].t));
    for (size_t i = 0; i < x->model->proto->graph->n_initializer; i++) {
        ap_tensor t;
        const Onnx__TensorProto *p = x->model->proto->graph->initializer[i];
        ap_err err = ap_model_tensor(x->model, p, &t);
        if (!err) json_array_append_new(inputs, tensor_json(p->name, &t));
        ap_err_free(err);
    }
    return json_pack("{sI, sI, so, so, ss, so, so}", "seed", (json_int_t)seed, "opset",
                     (json_int_t)x->model->opset, "nodes", nodes, "inputs", inputs, "values",
                     value_class_name(x->values), "why", ap_json_string(x->why), "element",
                     x->element ? json_incref(x->element) : json_null());
}

static ap_err keep_tensors(const char *dir, const char *stem, const ap_tensor *list, size_t count,
                           ap_arena *a) {
    ap_err err = NULL;
    for (size_t i = 0; list && i < count && !err; i++)
        err = ap_npy_write(ap_path_join(a, dir, ap_arena_printf(a, "%s%zu.npy", stem, i)), &list[i]);
    return err;
}

ap_err instance_keep(const instance *x, const char *dir, const char *rule) {
    ap_arena a = {0};
    const char *folder = ap_path_join(&a, dir, rule);
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(folder));
    AP_TRY(ap_model_save(x->model, ap_path_join(&a, folder, "model.onnx"), NULL));
    if (x->right) AP_TRY(ap_model_save(x->right, ap_path_join(&a, folder, "right.onnx"), NULL));
    for (size_t i = 0; i < x->feed_count; i++)
        AP_TRY(keep_tensors(folder, ap_arena_printf(&a, "input%zu-", i), &x->feeds[i].t, 1, &a));
    AP_TRY(keep_tensors(folder, "left", x->left, x->left_count, &a));
    AP_TRY(keep_tensors(folder, "right", x->now, x->left_count, &a));
done:
    ap_arena_release(&a);
    return err;
}
