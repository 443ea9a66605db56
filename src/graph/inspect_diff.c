// SPDX-License-Identifier: Apache-2.0
#include "graph/inspect_priv.h"
#include "graph/model_priv.h"

#include <stdlib.h>
#include <string.h>

// What two models do differently. Names of nodes say nothing about that and are not compared.

typedef struct diff {
    ap_model *a, *b;
    json_t *added, *removed, *changed;
} diff;

static json_t *entry(const char *kind, const char *name, const char *op) {
    json_t *o = json_object();
    json_object_set_new(o, "kind", json_string(kind));
    json_object_set_new(o, "name", ap_json_string(name));
    if (op) json_object_set_new(o, "op", ap_json_string(op));
    return o;
}

static void list_node(json_t *list, const ap_node *n) {
    json_array_append_new(list, entry("node", n->name, n->op));
}

static void list_change(diff *d, const char *kind, const char *name, const char *op, json_t *what) {
    json_t *o = entry(kind, name, op);
    json_object_set_new(o, "what", what);
    json_array_append_new(d->changed, o);
}

// ---- messages by their bytes

static ap_err put_buf(void *user, const void *data, size_t bytes) {
    ap_buf_append(user, data, bytes);
    return NULL;
}

static ap_err same_message(const ProtobufCMessage *a, const ProtobufCMessage *b, bool *same) {
    ap_buf ba = {0}, bb = {0};
    ap_err err = NULL;
    *same = protobuf_c_message_get_packed_size(a) == protobuf_c_message_get_packed_size(b);
    if (*same) {
        AP_TRY(ap_tree_pack(a, put_buf, &ba));
        AP_TRY(ap_tree_pack(b, put_buf, &bb));
        *same = ba.len == bb.len && (!ba.len || !memcmp(ba.data, bb.data, ba.len));
    }
done:
    ap_buf_free(&ba);
    ap_buf_free(&bb);
    return err;
}

// ---- nodes

static ap_err compare_attributes(const ap_node *a, const ap_node *b, json_t *what) {
    ap_err err = NULL;
    for (size_t i = 0; !err && i < a->proto->n_attribute; i++) {
        const Onnx__AttributeProto *x = a->proto->attribute[i],
                                   *y = x->name ? ap_node_attr(b, x->name) : NULL;
        bool same = false;
        if (y) err = same_message(&x->base, &y->base, &same);
        if (!err && !same) json_array_append_new(what, ap_json_string(x->name));
    }
    for (size_t i = 0; !err && i < b->proto->n_attribute; i++) {
        const char *name = b->proto->attribute[i]->name;
        if (name && !ap_node_attr(a, name)) json_array_append_new(what, ap_json_string(name));
    }
    return err;
}

static bool same_names(ap_value *const *a, size_t na, ap_value *const *b, size_t nb) {
    bool same = na == nb;
    for (size_t i = 0; same && i < na; i++) {
        same = !a[i] == !b[i];
        if (same && a[i]) same = !strcmp(a[i]->name, b[i]->name);
    }
    return same;
}

static ap_err compare_nodes(diff *d, const ap_node *a, const ap_node *b) {
    json_t *what = json_array();
    if (strcmp(a->op, b->op) != 0 || strcmp(a->domain, b->domain) != 0)
        json_array_append_new(what, json_string("op"));
    if (!same_names(a->inputs, a->input_count, b->inputs, b->input_count))
        json_array_append_new(what, json_string("inputs"));
    if (!same_names(a->outputs, a->output_count, b->outputs, b->output_count))
        json_array_append_new(what, json_string("outputs"));
    json_t *attributes = json_array();
    ap_err err = compare_attributes(a, b, attributes);
    size_t i;
    json_t *name;
    json_array_foreach(attributes, i, name) {
        ap_buf text = {0};
        ap_buf_printf(&text, "attribute %s", json_is_string(name) ? json_string_value(name) : "?");
        json_array_append_new(what, ap_json_string(ap_buf_str(&text)));
        ap_buf_free(&text);
    }
    json_decref(attributes);
    if (!err && json_array_size(what))
        list_change(d, "node", b->name, b->op, what);
    else
        json_decref(what);
    return err;
}

// Operator and inputs as one text, to find a node again whose outputs were renamed.
static void signature(const ap_node *n, ap_buf *out) {
    ap_buf_clear(out);
    ap_buf_printf(out, "%s\n%s", n->domain, n->op);
    for (size_t i = 0; i < n->input_count; i++)
        ap_buf_printf(out, "\n%s", n->inputs[i] ? n->inputs[i]->name : "");
}

static const ap_node *maker_in(const ap_graph *g, const ap_node *n) {
    for (size_t i = 0; i < n->output_count; i++) {
        const ap_value *v = n->outputs[i] ? ap_map_get(&g->values, n->outputs[i]->name) : NULL;
        if (v && v->producer) return v->producer;
    }
    return NULL;
}

// partner[i]: index in b of the node that is a's node i, or SIZE_MAX. taken: by index in b.
static void match_nodes(const ap_graph *a, const ap_graph *b, size_t *partner, bool *taken) {
    ap_map left = {0}; // signature → index in b of an unmatched node
    ap_buf text = {0};
    for (size_t i = 0; i < a->node_count; i++) {
        const ap_node *n = maker_in(b, a->nodes[i]);
        partner[i] = n && !taken[n->index] ? n->index : SIZE_MAX;
        if (partner[i] != SIZE_MAX) taken[n->index] = true;
    }
    for (size_t i = 0; i < b->node_count; i++) {
        if (taken[i]) continue;
        signature(b->nodes[i], &text);
        if (!ap_map_has(&left, ap_buf_str(&text))) ap_map_set_index(&left, ap_buf_str(&text), i);
    }
    for (size_t i = 0; i < a->node_count; i++) {
        if (partner[i] != SIZE_MAX) continue;
        signature(a->nodes[i], &text);
        int64_t k = ap_map_get_index(&left, ap_buf_str(&text));
        if (k < 0 || taken[k]) continue;
        partner[i] = (size_t)k;
        taken[k] = true;
    }
    ap_map_free(&left);
    ap_buf_free(&text);
}

static ap_err diff_nodes(diff *d) {
    const ap_graph *a = d->a->graph, *b = d->b->graph;
    size_t *partner = ap_calloc(a->node_count, sizeof *partner);
    bool *taken = ap_calloc(b->node_count, sizeof *taken);
    ap_err err = NULL;
    match_nodes(a, b, partner, taken);
    for (size_t i = 0; i < a->node_count; i++) {
        if (partner[i] == SIZE_MAX)
            list_node(d->removed, a->nodes[i]);
        else
            AP_TRY(compare_nodes(d, a->nodes[i], b->nodes[partner[i]]));
    }
    for (size_t i = 0; i < b->node_count; i++)
        if (!taken[i]) list_node(d->added, b->nodes[i]);
done:
    free(partner);
    free(taken);
    return err;
}

// ---- constants

static ap_err compare_data(diff *d, const Onnx__TensorProto *a, const Onnx__TensorProto *b, json_t *what) {
    if (a->data_type != b->data_type) json_array_append_new(what, json_string("dtype"));
    if (!ap_shape_equal(a->dims, a->n_dims, b->dims, b->n_dims))
        json_array_append_new(what, json_string("shape"));
    if (json_array_size(what)) return NULL;
    ap_tensor ta = {0}, tb = {0};
    bool same = true;
    ap_err err = ap_model_tensor(d->a, a, &ta);
    if (!err) err = ap_model_tensor(d->b, b, &tb);
    if (!err) {
        same = !ta.bytes || !memcmp(ta.data, tb.data, ta.bytes);
    } else if (ap_err_code(err) == AP_ERR_INPUT_DTYPE) { // texts
        ap_err_free(err);
        err = same_message(&a->base, &b->base, &same);
    }
    if (!same) json_array_append_new(what, json_string("data"));
    return err;
}

static ap_err diff_constants(diff *d) {
    ap_err err = NULL;
    const Onnx__GraphProto *a = d->a->proto->graph, *b = d->b->proto->graph;
    for (size_t i = 0; !err && i < a->n_initializer; i++) {
        const Onnx__TensorProto *t = a->initializer[i];
        const ap_value *other = ap_map_get(&d->b->graph->values, t->name);
        if (!other || !other->init) {
            json_array_append_new(d->removed, entry("initializer", t->name, NULL));
            continue;
        }
        json_t *what = json_array();
        err = compare_data(d, t, other->init, what);
        if (!err && json_array_size(what))
            list_change(d, "initializer", t->name, NULL, what);
        else
            json_decref(what);
    }
    for (size_t i = 0; !err && i < b->n_initializer; i++) {
        const ap_value *other = ap_map_get(&d->a->graph->values, b->initializer[i]->name);
        if (!other || !other->init)
            json_array_append_new(d->added, entry("initializer", b->initializer[i]->name, NULL));
    }
    return err;
}

// ---- inputs and outputs

static const ap_value *find(ap_value *const *list, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i]->name, name)) return list[i];
    return NULL;
}

static void compare_types(diff *d, const char *kind, const ap_value *a, const ap_value *b) {
    ap_buf ta = {0}, tb = {0};
    ap_inspect_type(a, &ta);
    ap_inspect_type(b, &tb);
    if (strcmp(ap_buf_str(&ta), ap_buf_str(&tb)) != 0) {
        json_t *what = json_array();
        json_array_append_new(what, ap_json_string(ap_buf_str(&ta)));
        json_array_append_new(what, ap_json_string(ap_buf_str(&tb)));
        list_change(d, kind, a->name, NULL, what);
    }
    ap_buf_free(&ta);
    ap_buf_free(&tb);
}

static void diff_interface(diff *d, const char *kind, ap_value *const *a, size_t na, ap_value *const *b,
                           size_t nb) {
    for (size_t i = 0; i < na; i++) {
        const ap_value *v = find(b, nb, a[i]->name);
        if (v)
            compare_types(d, kind, a[i], v);
        else
            json_array_append_new(d->removed, entry(kind, a[i]->name, NULL));
    }
    for (size_t i = 0; i < nb; i++)
        if (!find(a, na, b[i]->name)) json_array_append_new(d->added, entry(kind, b[i]->name, NULL));
}

ap_err ap_model_diff(ap_model *a, ap_model *b, json_t **out) {
    diff d = {a, b, json_array(), json_array(), json_array()};
    diff_interface(&d, "input", a->graph->inputs, a->graph->input_count, b->graph->inputs,
                   b->graph->input_count);
    diff_interface(&d, "output", a->graph->outputs, a->graph->output_count, b->graph->outputs,
                   b->graph->output_count);
    if (a->opset != b->opset) {
        json_t *what = json_array();
        json_array_append_new(what, json_integer(a->opset));
        json_array_append_new(what, json_integer(b->opset));
        list_change(&d, "opset", "ai.onnx", NULL, what);
    }
    ap_err err = diff_constants(&d);
    if (!err) err = diff_nodes(&d);
    if (err) {
        json_decref(d.added);
        json_decref(d.removed);
        json_decref(d.changed);
        return err;
    }
    bool equal = !json_array_size(d.added) && !json_array_size(d.removed) && !json_array_size(d.changed);
    json_t *o = json_object();
    json_object_set_new(o, "equal", json_boolean(equal));
    json_object_set_new(o, "added", d.added);
    json_object_set_new(o, "removed", d.removed);
    json_object_set_new(o, "changed", d.changed);
    *out = o;
    return NULL;
}
