// SPDX-License-Identifier: Apache-2.0
// A batch: independent pieces as one graph. Every name of piece I is put behind "pI/", so that placement, log
// lines and outputs tell whose they are.
#include "base/rand.h"
#include "surgery/probe/probe_priv.h"
#include "tensor/npy.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct joiner {
    ap_arena arena;
    size_t probe;
} joiner;

static char *prefixed(joiner *j, const char *name) {
    return name && *name ? ap_arena_printf(&j->arena, "p%zu/%s", j->probe, name)
                         : ap_arena_strdup(&j->arena, "");
}

static Onnx__GraphProto *join_graph(joiner *j, const Onnx__GraphProto *g);

static void *copy(joiner *j, const void *from, size_t bytes) {
    void *to = ap_arena_alloc(&j->arena, bytes + 1);
    if (bytes) memcpy(to, from, bytes);
    return to;
}

static char **names(joiner *j, char *const *list, size_t count) {
    char **out = ap_arena_calloc(&j->arena, count + 1, sizeof *out);
    for (size_t i = 0; i < count; i++) out[i] = prefixed(j, list[i]);
    return out;
}

static Onnx__NodeProto *join_node(joiner *j, const Onnx__NodeProto *n, size_t index) {
    Onnx__NodeProto *out = copy(j, n, sizeof *n);
    out->name = ap_arena_printf(&j->arena, "p%zu/n%zu", j->probe, index);
    out->input = names(j, n->input, n->n_input);
    out->output = names(j, n->output, n->n_output);
    out->attribute = copy(j, n->attribute, n->n_attribute * sizeof *n->attribute);
    for (size_t i = 0; i < n->n_attribute; i++) {
        if (!n->attribute[i]->g) continue;
        out->attribute[i] = copy(j, n->attribute[i], sizeof *n->attribute[i]);
        out->attribute[i]->g = join_graph(j, n->attribute[i]->g);
    }
    return out;
}

static Onnx__ValueInfoProto **join_infos(joiner *j, Onnx__ValueInfoProto *const *list, size_t count) {
    Onnx__ValueInfoProto **out = ap_arena_calloc(&j->arena, count + 1, sizeof *out);
    for (size_t i = 0; i < count; i++) {
        out[i] = copy(j, list[i], sizeof *list[i]);
        out[i]->name = prefixed(j, list[i]->name);
    }
    return out;
}

static Onnx__GraphProto *join_graph(joiner *j, const Onnx__GraphProto *g) {
    Onnx__GraphProto *out = copy(j, g, sizeof *g);
    out->name = ap_arena_strdup(&j->arena, "probes");
    out->node = ap_arena_calloc(&j->arena, g->n_node + 1, sizeof *out->node);
    for (size_t i = 0; i < g->n_node; i++) out->node[i] = join_node(j, g->node[i], i);
    out->initializer = ap_arena_calloc(&j->arena, g->n_initializer + 1, sizeof *out->initializer);
    for (size_t i = 0; i < g->n_initializer; i++) {
        out->initializer[i] = copy(j, g->initializer[i], sizeof *g->initializer[i]);
        out->initializer[i]->name = prefixed(j, g->initializer[i]->name);
    }
    out->input = join_infos(j, g->input, g->n_input);
    out->output = join_infos(j, g->output, g->n_output);
    return out;
}

// ---- the model

typedef struct sums {
    size_t nodes, inits, inputs, outputs;
} sums;

static void append(Onnx__GraphProto *to, const Onnx__GraphProto *from) {
    memcpy(to->node + to->n_node, from->node, from->n_node * sizeof *from->node);
    memcpy(to->initializer + to->n_initializer, from->initializer,
           from->n_initializer * sizeof *from->initializer);
    memcpy(to->input + to->n_input, from->input, from->n_input * sizeof *from->input);
    memcpy(to->output + to->n_output, from->output, from->n_output * sizeof *from->output);
    to->n_node += from->n_node;
    to->n_initializer += from->n_initializer;
    to->n_input += from->n_input;
    to->n_output += from->n_output;
}

// Opsets of all pieces; they agree where they name the same domain (whoever makes batches sees to that).
static void join_opsets(const ap_probe_batch *b, ap_arena *a, Onnx__ModelProto *m) {
    ap_map seen = {0};
    size_t most = 0;
    for (size_t i = 0; i < b->count; i++) most += b->list[i]->opset_count;
    m->opset_import = ap_arena_calloc(a, most + 1, sizeof *m->opset_import);
    for (size_t i = 0; i < b->count; i++)
        for (size_t k = 0; k < b->list[i]->opset_count; k++)
            if (ap_map_add(&seen, b->list[i]->opsets[k]->domain, m))
                m->opset_import[m->n_opset_import++] = b->list[i]->opsets[k];
    ap_map_free(&seen);
}

// Gives the outputs the types the oracle found, where both value sets agree: a real model declares them, and
// backends ask for them.
static void declare_outputs(Onnx__GraphProto *g, const json_t *oracle, ap_arena *a) {
    const json_t *sets = json_object_get(oracle, "outputs");
    ap_map first = {0}, second = {0};
    size_t i;
    json_t *t;
    json_array_foreach(json_array_get(sets, 0), i, t) ap_map_set(&first, ap_json_str(t, "name", ""), t);
    json_array_foreach(json_array_get(sets, 1), i, t) ap_map_set(&second, ap_json_str(t, "name", ""), t);
    for (i = 0; i < g->n_output; i++) {
        const json_t *x = ap_map_get(&first, g->output[i]->name),
                     *y = ap_map_get(&second, g->output[i]->name);
        ap_value_type type;
        if (!x || !json_equal(json_object_get(x, "dims"), json_object_get(y, "dims"))) continue;
        ap_err err = ap_probe_make_type(x, &type); // no tensor: left open
        if (!err) g->output[i] = ap_probe_make_value_info(a, g->output[i]->name, &type);
        ap_err_free(err);
    }
    ap_map_free(&first);
    ap_map_free(&second);
}

// What the oracle runs, or what the target runs.
static const Onnx__GraphProto *graph_of(const ap_probe *p, bool target) {
    return target || !p->reference ? p->graph : p->reference;
}

// `oracle`: what it found; NULL: this is the model it gets.
static ap_err write_model(const ap_probe_batch *b, const char *path, const json_t *oracle) {
    joiner j = {0};
    Onnx__ModelProto m;
    Onnx__GraphProto g;
    sums n = {0};
    onnx__model_proto__init(&m);
    onnx__graph_proto__init(&g);
    for (size_t i = 0; i < b->count; i++) {
        const Onnx__GraphProto *p = graph_of(b->list[i], oracle != NULL);
        n = (sums){n.nodes + p->n_node, n.inits + p->n_initializer, n.inputs + p->n_input,
                   n.outputs + p->n_output};
    }
    g.node = ap_arena_calloc(&j.arena, n.nodes + 1, sizeof *g.node);
    g.initializer = ap_arena_calloc(&j.arena, n.inits + 1, sizeof *g.initializer);
    g.input = ap_arena_calloc(&j.arena, n.inputs + 1, sizeof *g.input);
    g.output = ap_arena_calloc(&j.arena, n.outputs + 1, sizeof *g.output);
    for (j.probe = 0; j.probe < b->count; j.probe++)
        append(&g, join_graph(&j, graph_of(b->list[j.probe], oracle != NULL)));
    if (oracle) declare_outputs(&g, oracle, &j.arena);
    g.name = ap_arena_strdup(&j.arena, "probes");
    m.graph = &g;
    m.has_ir_version = 1;
    m.ir_version = AP_PROBE_IR_VERSION;
    join_opsets(b, &j.arena, &m);
    size_t bytes = onnx__model_proto__get_packed_size(&m);
    uint8_t *packed = ap_alloc(bytes);
    onnx__model_proto__pack(&m, packed);
    ap_err err = ap_file_write(path, packed, bytes);
    free(packed);
    ap_arena_release(&j.arena);
    return err;
}

// ---- values

// The same probe gets the same values in every batch.
static uint64_t seed_of(const ap_probe *p, size_t set, size_t input) {
    uint64_t h = 0;
    for (const char *k = p->key; *k; k++) h = ap_mix64(h ^ (unsigned char)*k);
    return ap_mix64(h ^ (set * 1000 + input + 1));
}

ap_err ap_probe_draw(const ap_probe *p, size_t input, size_t set, ap_tensor *out) {
    return ap_probe_values_make(&p->inputs[input].values, seed_of(p, set, input), &p->inputs[input].type,
                                out);
}

static ap_err write_set(const ap_probe_batch *b, const char *dir, size_t set, json_t *list) {
    ap_arena a = {0};
    ap_err err = NULL;
    for (size_t i = 0; i < b->count; i++)
        for (size_t k = 0; k < b->list[i]->input_count; k++) {
            const ap_probe_input *in = &b->list[i]->inputs[k];
            char *path = ap_arena_printf(&a, "%s/i%zu-%zu-%zu.npy", dir, set, i, k);
            ap_tensor t = {0};
            AP_TRY(ap_npy_create(path, in->type.dtype, in->type.dims, in->type.rank, &t));
            err = ap_probe_values_fill(&in->values, seed_of(b->list[i], set, k), &t);
            ap_tensor_free(&t);
            if (err) goto done;
            char *name = ap_arena_printf(&a, "p%zu/%s", i, in->name);
            json_array_append_new(list, json_pack("{so,ss,so,so}", "name", ap_json_string(name), "dtype",
                                                  ap_dtype_name(in->type.dtype), "dims",
                                                  ap_json_dims(in->type.dims, in->type.rank), "file",
                                                  ap_json_string(path)));
        }
done:
    ap_arena_release(&a);
    return err;
}

ap_err ap_probe_batch_write(const ap_probe_batch *b, const char *dir, json_t **sets) {
    ap_arena a = {0};
    json_t *all = json_array();
    ap_err err = write_model(b, ap_path_join(&a, dir, "oracle.onnx"), NULL);
    for (size_t s = 0; !err && s < AP_PROBE_SETS; s++) {
        json_t *list = json_array();
        json_array_append_new(all, list);
        err = write_set(b, dir, s, list);
    }
    ap_arena_release(&a);
    if (err)
        json_decref(all);
    else
        *sets = all;
    return err;
}

ap_err ap_probe_batch_declare(const ap_probe_batch *b, const char *dir, const json_t *oracle) {
    ap_arena a = {0};
    ap_err err = write_model(b, ap_path_join(&a, dir, "target.onnx"), oracle);
    ap_arena_release(&a);
    return err;
}

// ---- whose is it

size_t ap_probe_batch_owner(const ap_probe_batch *b, const char *name) {
    char *end;
    if (name[0] != 'p' || !isdigit((unsigned char)name[1])) return SIZE_MAX;
    unsigned long i = strtoul(name + 1, &end, 10);
    return *end == '/' && i < b->count ? (size_t)i : SIZE_MAX;
}

size_t ap_probe_batch_named(const ap_probe_batch *b, const char *text) {
    size_t found = SIZE_MAX;
    for (const char *p = text; *p; p++) {
        if (p != text && (isalnum((unsigned char)p[-1]) || p[-1] == '_')) continue;
        size_t i = ap_probe_batch_owner(b, p);
        if (i == SIZE_MAX) continue;
        if (found != SIZE_MAX && found != i) return SIZE_MAX;
        found = i;
    }
    return found;
}
