// SPDX-License-Identifier: Apache-2.0
// Pieces: a node with its surroundings cut out of a model, and the key by which equal pieces are known.
#include "base/hash.h"
#include "surgery/search/search.h"
#include "surgery/search/search_priv.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_NODES = 48 }; // of a piece; growing stops there

// ---- the region

typedef struct region {
    ap_node **nodes; // as found; then in canonical order
    size_t count;
    ap_map has; // node names
} region;

static bool is_constant(const ap_value *v) {
    if (v->kind == AP_VALUE_INITIALIZER) return true;
    return v->producer && !strcmp(v->producer->op, "Constant") && !*v->producer->domain;
}

static bool add(region *r, ap_node *n) {
    if (r->count >= MOST_NODES || !ap_map_add(&r->has, n->name, n)) return false;
    r->nodes[r->count++] = n;
    return true;
}

// What stands between DequantizeLinear and QuantizeLinear is one operation of whole numbers to a target; cut
// off from them it would be another one.
static bool is_op(const ap_node *n, const char *op) {
    return n && !strcmp(n->op, op) && (!*n->domain || !strcmp(n->domain, "com.microsoft"));
}

bool ap_node_quantizes(const ap_node *n) {
    return is_op(n, "QuantizeLinear");
}
bool ap_node_dequantizes(const ap_node *n) {
    return is_op(n, "DequantizeLinear");
}

bool ap_node_is_quantised(const ap_node *n) {
    if (is_op(n, "QuantizeLinear") || is_op(n, "DequantizeLinear")) return false;
    for (size_t i = 0; i < n->input_count; i++)
        if (n->inputs[i] && is_op(n->inputs[i]->producer, "DequantizeLinear")) return true;
    return false;
}

static void add_quantised_maker(ap_value *v, void *user) {
    ap_node *dq = v->producer;
    if (!is_op(dq, "DequantizeLinear")) return;
    add(user, dq);
    ap_node *q = dq->input_count && dq->inputs[0] ? dq->inputs[0]->producer : NULL;
    if (is_op(q, "QuantizeLinear")) add(user, q);
}

static void add_users_of(region *r, const ap_node *n, const char *op) {
    for (size_t k = 0; k < n->output_count; k++)
        for (size_t u = 0; n->outputs[k] && u < n->outputs[k]->use_count; u++) {
            ap_node *user = n->outputs[k]->uses[u].node;
            if (op && !is_op(user, op)) continue;
            bool fresh = add(r, user);
            if (fresh && op && is_op(user, "QuantizeLinear")) add_users_of(r, user, "DequantizeLinear");
        }
}

// The node as the target sees it.
static void add_unit(region *r, ap_node *n) {
    add(r, n);
    if (is_op(n, "DequantizeLinear") && n->inputs[0] && is_op(n->inputs[0]->producer, "QuantizeLinear"))
        add(r, n->inputs[0]->producer);
    else if (is_op(n, "QuantizeLinear"))
        add_users_of(r, n, "DequantizeLinear");
    else if (!is_op(n, "DequantizeLinear")) {
        ap_node_reads(n, add_quantised_maker, r);
        add_users_of(r, n, "QuantizeLinear");
    }
}

static void add_maker(ap_value *v, void *user) {
    if (v->producer && !is_constant(v)) add_unit(user, v->producer);
}

static void add_units_behind(region *r, const ap_node *n) {
    for (size_t k = 0; k < n->output_count; k++)
        for (size_t u = 0; n->outputs[k] && u < n->outputs[k]->use_count; u++)
            add_unit(r, n->outputs[k]->uses[u].node);
}

static void grow(region *r, ap_node *n, size_t radius) {
    add_unit(r, n);
    for (size_t step = 1; step <= radius; step++) {
        size_t old = r->count;
        for (size_t i = 0; i < old; i++) {
            if (step % 2)
                ap_node_reads(r->nodes[i], add_maker, r);
            else
                add_units_behind(r, r->nodes[i]);
        }
    }
}

// ---- canonical order: the node with its makers first, operand by operand, then users, the same for each.
// Names play no part.

typedef struct order {
    region *r;
    ap_node **list;
    size_t count;
    ap_map done;
} order;

static void visit(order *o, ap_node *n);

static void visit_maker(ap_value *v, void *user) {
    order *o = user;
    if (v->producer && !is_constant(v)) visit(o, v->producer);
}

static void visit(order *o, ap_node *n) {
    if (!ap_map_has(&o->r->has, n->name) || !ap_map_add(&o->done, n->name, n)) return;
    ap_node_reads(n, visit_maker, o);
    o->list[o->count++] = n;
}

static int by_use(const void *x, const void *y) {
    const ap_use *a = x, *b = y;
    int c = strcmp(a->node->op, b->node->op);
    if (c) return c;
    if (a->input != b->input) return a->input < b->input ? -1 : 1;
    return a->node->index < b->node->index ? -1 : a->node->index > b->node->index;
}

static void visit_users(order *o, const ap_value *v) {
    ap_use *uses = ap_alloc((v->use_count + 1) * sizeof *uses);
    if (v->use_count) memcpy(uses, v->uses, v->use_count * sizeof *uses);
    qsort(uses, v->use_count, sizeof *uses, by_use);
    for (size_t i = 0; i < v->use_count; i++) visit(o, uses[i].node);
    free(uses);
}

static void put_in_order(region *r) {
    order o = {.r = r, .list = ap_calloc(MOST_NODES + 1, sizeof *o.list)};
    visit(&o, r->nodes[0]);
    for (size_t i = 0; i < o.count; i++)
        for (size_t k = 0; k < o.list[i]->output_count; k++)
            if (o.list[i]->outputs[k]) visit_users(&o, o.list[i]->outputs[k]);
    for (size_t i = 0; i < r->count; i++) visit(&o, r->nodes[i]); // those only makers of makers connect
    memcpy(r->nodes, o.list, o.count * sizeof *o.list);
    free(o.list);
    ap_map_free(&o.done);
}

// ---- its border

typedef struct border {
    const region *r;
    ap_map inputs, outputs; // value names, in canonical order → ap_value *
} border;

static void note_input(ap_value *v, void *user) {
    border *b = user;
    bool inside = v->producer && ap_map_has(&b->r->has, v->producer->name);
    if (!inside && !is_constant(v)) ap_map_add(&b->inputs, v->name, v);
}

static bool needed_outside(const region *r, const ap_value *v) {
    bool outside = v->is_output || v->used_by_subgraph;
    for (size_t u = 0; u < v->use_count && !outside; u++)
        outside = !ap_map_has(&r->has, v->uses[u].node->name);
    return outside;
}

static void find_border(border *b, const ap_node *center) {
    const region *r = b->r;
    for (size_t i = 0; i < r->count; i++) {
        const ap_node *n = r->nodes[i];
        ap_node_reads(n, note_input, b);
        for (size_t k = 0; k < n->output_count; k++)
            if (n->outputs[k] && needed_outside(r, n->outputs[k]))
                ap_map_set(&b->outputs, n->outputs[k]->name, n->outputs[k]);
    }
    // A node nobody uses is still worth an answer.
    for (size_t k = 0; b->outputs.count == 0 && k < center->output_count; k++)
        if (center->outputs[k]) ap_map_set(&b->outputs, center->outputs[k]->name, center->outputs[k]);
}

// ---- the key

typedef struct keying {
    ap_sha256 h;
    ap_map numbers; // value name → number in order of appearance
    const ap_match_env *env;
    const json_t *facts;
} keying;

static void hash_text(keying *k, const char *s) {
    ap_sha256_add(&k->h, s, strlen(s) + 1);
}

static void hash_type(keying *k, const ap_value *v) {
    ap_value_type t = {0};
    if (!ap_type_of(&k->env->types, v, &t)) return;
    ap_sha256_add(&k->h, &t.dtype, sizeof t.dtype);
    ap_sha256_add(&k->h, &t.rank, sizeof t.rank);
    ap_sha256_add(&k->h, t.dims, t.rank * sizeof *t.dims);
}

static void hash_new_value(keying *k, const ap_value *v) {
    ap_tensor data = {0};
    hash_type(k, v);
    const json_t *fact = json_object_get(k->facts, v->name);
    if (fact) {
        char *text = ap_json_canonical(fact);
        hash_text(k, text);
        free(text);
    }
    if (!is_constant(v) || !ap_value_constant(k->env->model, v, &data)) return;
    ap_sha256_add(&k->h, &data.dtype, sizeof data.dtype);
    ap_sha256_add(&k->h, data.dims, data.rank * sizeof *data.dims);
    if (data.bytes) ap_sha256_add(&k->h, data.data, data.bytes);
}

static void hash_value(ap_value *v, void *user) {
    keying *k = user;
    int64_t number = ap_map_get_index(&k->numbers, v->name);
    bool fresh = number < 0;
    if (fresh) {
        number = (int64_t)k->numbers.count;
        ap_map_set_index(&k->numbers, v->name, k->numbers.count);
    }
    ap_sha256_add(&k->h, &number, sizeof number);
    if (fresh) hash_new_value(k, v);
}

static int by_name(const void *a, const void *b) {
    const Onnx__AttributeProto *x = *(Onnx__AttributeProto *const *)a, *y = *(Onnx__AttributeProto *const *)b;
    return strcmp(x->name, y->name);
}

static void hash_attrs(keying *k, const ap_node *n) {
    size_t count = n->proto->n_attribute;
    Onnx__AttributeProto **list = ap_calloc(count + 1, sizeof *list);
    if (count) memcpy(list, n->proto->attribute, count * sizeof *list);
    qsort(list, count, sizeof *list, by_name);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = protobuf_c_message_get_packed_size(&list[i]->base);
        uint8_t *data = ap_alloc(bytes + 1);
        protobuf_c_message_pack(&list[i]->base, data);
        ap_sha256_add(&k->h, &bytes, sizeof bytes);
        ap_sha256_add(&k->h, data, bytes);
        free(data);
    }
    free(list);
}

static void hash_node(keying *k, const ap_node *n) {
    static const int64_t none = -1;
    hash_text(k, n->domain);
    hash_text(k, n->op);
    hash_attrs(k, n);
    for (size_t i = 0; i < n->input_count; i++) {
        if (n->inputs[i])
            hash_value(n->inputs[i], k);
        else
            ap_sha256_add(&k->h, &none, sizeof none);
    }
    if (n->subgraph_count) ap_node_reads(n, hash_value, k); // what its bodies capture
    hash_text(k, ">");
    for (size_t i = 0; i < n->output_count; i++) {
        if (n->outputs[i])
            hash_value(n->outputs[i], k);
        else
            ap_sha256_add(&k->h, &none, sizeof none);
    }
}

static void make_key(const ap_match_env *env, const region *r, const border *b, const ap_node *center,
                     ap_piece *p) {
    keying k = {.env = env, .facts = p->facts};
    ap_sha256_init(&k.h);
    hash_text(&k, "piece 1");
    ap_sha256_add(&k.h, &env->model->opset, sizeof env->model->opset);
    ap_sha256_add(&k.h, &env->compute, sizeof env->compute);
    for (size_t i = 0; i < r->count; i++) {
        if (r->nodes[i] == center) hash_text(&k, "*");
        hash_node(&k, r->nodes[i]);
    }
    hash_text(&k, "results");
    for (size_t i = 0; i < b->outputs.count; i++) hash_value(b->outputs.entries[i].value, &k);
    ap_digest d = ap_sha256_finish(&k.h);
    memcpy(p->key, d.hex, sizeof p->key);
    ap_map_free(&k.numbers);
}

// ---- facts and types

static void take_facts(const ap_match_env *env, const border *b, ap_piece *p) {
    p->facts = json_object();
    for (size_t i = 0; env->facts && i < b->inputs.count; i++) {
        const ap_value *v = b->inputs.entries[i].value;
        ap_value_type t;
        if (!ap_type_of(&env->types, v, &t)) continue;
        json_t *fact = ap_fact_json(ap_facts_of(env->facts, v), t.dtype);
        if (json_object_size(fact)) json_object_set(p->facts, v->name, fact);
        json_decref(fact);
    }
}

static bool is_whole(const ap_value_type *t) {
    for (size_t i = 0; i < t->rank; i++)
        if (t->dims[i] < 0) return false;
    return t->dtype != AP_DTYPE_NONE;
}

static ap_err input_types(const ap_match_env *env, const border *b, ap_value_type *types) {
    for (size_t i = 0; i < b->inputs.count; i++) {
        const ap_value *v = b->inputs.entries[i].value;
        if (ap_type_of(&env->types, v, &types[i]) && is_whole(&types[i])) continue;
        ap_err err = ap_err_new(AP_ERR_SHAPE_UNKNOWN,
                                "the type of \"%s\" is not known, so the graph cannot be cut there", v->name);
        return ap_err_hint(ap_err_subject(err, v->name), "freeze the model's shapes first");
    }
    return NULL;
}

// Every value of the piece gets the type that was measured in the model.
static void declare_types(const ap_match_env *env, ap_piece *p) {
    ap_graph *g = p->model->graph;
    for (size_t i = 0; i < g->values.count; i++) {
        ap_value *v = g->values.entries[i].value;
        const ap_value *old = v ? ap_graph_value(env->model->graph, v->name) : NULL;
        ap_value_type t;
        if (!old || v->kind != AP_VALUE_NODE || !ap_type_of(&env->types, old, &t) || !is_whole(&t)) continue;
        search_declare(p->model, v, &t);
    }
}

static const char **names_of(const ap_map *values, ap_arena *a) {
    const char **list = ap_arena_calloc(a, values->count + 1, sizeof *list);
    for (size_t i = 0; i < values->count; i++) list[i] = ((ap_value *)values->entries[i].value)->name;
    return list;
}

static ap_err extract(const ap_match_env *env, const region *r, const border *b, ap_piece *p) {
    ap_value_type *types = ap_arena_calloc(&p->arena, b->inputs.count + 1, sizeof *types);
    ap_err err = input_types(env, b, types);
    if (err) return err;
    err = ap_model_extract(env->model, names_of(&b->inputs, &p->arena), types, b->inputs.count,
                           names_of(&b->outputs, &p->arena), b->outputs.count, &p->model);
    if (err) return err;
    p->nodes = ap_arena_calloc(&p->arena, r->count + 1, sizeof *p->nodes);
    for (size_t i = 0; i < r->count; i++) // a node none of whose outputs anybody needs stays behind
        if (ap_graph_node(p->model->graph, r->nodes[i]->name))
            p->nodes[p->node_count++] = ap_arena_strdup(&p->arena, r->nodes[i]->name);
    declare_types(env, p);
    return NULL;
}

ap_err ap_piece_cut(const ap_match_env *env, ap_node *n, size_t radius, ap_piece *out) {
    region r = {.nodes = ap_calloc(MOST_NODES + 1, sizeof *r.nodes)};
    border b = {.r = &r};
    ap_piece p = {.radius = radius};
    grow(&r, n, radius);
    put_in_order(&r);
    find_border(&b, n);
    p.node = ap_arena_strdup(&p.arena, n->name);
    take_facts(env, &b, &p);
    ap_err err = extract(env, &r, &b, &p);
    if (!err) {
        make_key(env, &r, &b, n, &p);
        *out = p;
    } else {
        ap_piece_release(&p);
    }
    free(r.nodes);
    ap_map_free(&r.has);
    ap_map_free(&b.inputs);
    ap_map_free(&b.outputs);
    return err ? ap_err_context(err, "cutting out the node '%s'", n->name) : NULL;
}

void ap_piece_release(ap_piece *p) {
    ap_model_free(p->model);
    json_decref(p->facts);
    ap_arena_release(&p->arena);
    *p = (ap_piece){0};
}
