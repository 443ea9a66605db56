// SPDX-License-Identifier: Apache-2.0
// Probes of whole pieces: what a rewrite made of a piece runs on the target, the piece as it was on the
// oracle.
#include "surgery/probe/probe_priv.h"

#include <string.h>

static bool is_constant_node(const ap_node *n) {
    return ap_node_is(n, "Constant") && ap_node_attr(n, "value");
}

typedef struct maker {
    ap_probe_set *s;
    ap_model *m;
    Onnx__GraphProto *g;
    const char *why; // what cannot be done
} maker;

static ap_err add_constant(maker *k, const char *name, const Onnx__TensorProto *t) {
    ap_tensor data;
    if (t->data_type == AP_STRING) {
        k->why = "a constant of strings";
        return NULL;
    }
    ap_err err = ap_model_tensor(k->m, t, &data);
    if (err) return err;
    k->g->initializer[k->g->n_initializer++] = ap_probe_make_tensor(&k->s->arena, name, &data);
    return NULL;
}

static ap_err add_constants(maker *k) {
    const ap_graph *g = k->m->graph;
    for (size_t i = 0; i < g->values.count; i++) {
        const ap_value *v = g->values.entries[i].value;
        ap_err err = NULL;
        if (v && v->sparse) k->why = "a sparse constant";
        if (!v || v->kind != AP_VALUE_INITIALIZER || !v->init) continue;
        if (v->use_count || v->is_output || v->used_by_subgraph) err = add_constant(k, v->name, v->init);
        if (err) return err;
    }
    return NULL;
}

static ap_err add_nodes(maker *k) {
    const ap_graph *g = k->m->graph;
    for (size_t i = 0; i < g->node_count; i++) {
        const ap_node *n = g->nodes[i];
        if (!is_constant_node(n)) {
            k->g->node[k->g->n_node++] = n->proto;
            continue;
        }
        ap_err err = add_constant(k, n->outputs[0]->name, ap_node_attr(n, "value")->t);
        if (err) return err;
    }
    return NULL;
}

// The graph's messages; constants view the model's data.
static ap_err make_graph(ap_probe_set *s, ap_model *m, Onnx__GraphProto **out, const char **why) {
    maker k = {.s = s, .m = m, .g = ap_arena_alloc(&s->arena, sizeof *k.g)};
    const ap_graph *g = m->graph;
    ap_err err = NULL;
    onnx__graph_proto__init(k.g);
    k.g->node = ap_arena_calloc(&s->arena, g->node_count + 1, sizeof *k.g->node);
    k.g->initializer =
        ap_arena_calloc(&s->arena, g->values.count + g->node_count + 1, sizeof *k.g->initializer);
    k.g->input = ap_arena_calloc(&s->arena, g->input_count + 1, sizeof *k.g->input);
    k.g->output = ap_arena_calloc(&s->arena, g->output_count + 1, sizeof *k.g->output);
    AP_TRY(add_constants(&k));
    AP_TRY(add_nodes(&k));
    for (size_t i = 0; i < g->input_count; i++) {
        ap_value_type t;
        if (!ap_value_shape(g->inputs[i], &t.dtype, t.dims, &t.rank, NULL)) {
            k.why = "an input's type is not known";
            break;
        }
        k.g->input[k.g->n_input++] = ap_probe_make_value_info(&s->arena, g->inputs[i]->name, &t);
    }
    for (size_t i = 0; i < g->output_count; i++)
        k.g->output[k.g->n_output++] = ap_probe_make_value_info(&s->arena, g->outputs[i]->name, NULL);
    *out = k.g;
    *why = k.why;
done:
    return err;
}

// ---- values of the inputs

// What suits the first node that reads it, kept within what is certain.
static ap_probe_values values_of(const ap_value *v, const ap_value_type *type, const json_t *fact) {
    ap_probe_values values = {.kind = type->dtype == AP_BOOL ? AP_PROBE_VALUES_BOOL : AP_PROBE_VALUES_NORMAL,
                              .a = 1};
    if (!ap_dtype_is_float(type->dtype) && type->dtype != AP_BOOL)
        values = (ap_probe_values){.kind = AP_PROBE_VALUES_INTS, .b = 17};
    if (v->use_count) {
        const ap_node *n = v->uses[0].node;
        ap_value_type types[16] = {0};
        size_t count = n->input_count < 16 ? n->input_count : 16;
        for (size_t i = 0; i < count; i++) {
            ap_value_type *t = &types[i];
            if (!n->inputs[i] || !ap_value_shape(n->inputs[i], &t->dtype, t->dims, &t->rank, NULL))
                t->dtype = AP_DTYPE_NONE;
        }
        if (v->uses[0].input < count) {
            types[v->uses[0].input] = *type;
            values = ap_probe_values_for(n->proto, v->uses[0].input, types, count);
        }
    }
    if (!fact) return values;
    ap_fact f;
    ap_fact_from_json(fact, type->dtype, &f);
    ap_probe_values_obey(&values, &f, type);
    return values;
}

static ap_err add_inputs(ap_probe_set *s, ap_probe *p, const ap_model *reference, const json_t *facts,
                         const char **why) {
    const ap_graph *g = reference->graph;
    p->inputs = ap_arena_calloc(&s->arena, g->input_count + 1, sizeof *p->inputs);
    for (size_t i = 0; i < g->input_count; i++) {
        const ap_value *v = g->inputs[i];
        ap_probe_input *in = &p->inputs[p->input_count];
        const json_t *fact = json_object_get(facts, v->name), *given = json_object_get(fact, "values");
        size_t count;
        if (!ap_value_shape(v, &in->type.dtype, in->type.dims, &in->type.rank, NULL) ||
            ap_dtype_bits(in->type.dtype) == 0) {
            *why = "an input's type is not known";
            return NULL;
        }
        ap_err bad = ap_shape_count(in->type.dims, in->type.rank, &count);
        if (bad) {
            ap_err_free(bad);
            *why = "an input's shape is not fixed";
            return NULL;
        }
        for (size_t u = 0; u < v->use_count && !given; u++)
            if (ap_probe_decides_shape(v->uses[u].node->op, v->uses[u].input)) {
                *why = "an input that decides shapes is not constant: freeze the model first";
                return NULL;
            }
        in->name = ap_arena_strdup(&s->arena, v->name);
        if (given) {
            ap_err err = ap_probe_values_from_json(given, &s->arena, &in->values);
            if (err) return err;
        } else {
            in->values = values_of(v, &in->type, fact);
        }
        p->input_count++;
    }
    return NULL;
}

// ---- opsets

static bool uses_domain(const ap_model *m, const char *domain) {
    for (size_t i = 0; i < m->graph->node_count; i++)
        if (!strcmp(m->graph->nodes[i]->domain, domain)) return true;
    return !*domain;
}

static void take_opsets(ap_probe_set *s, ap_probe *p, const ap_model *m, const ap_model *reference) {
    ap_map seen = {0};
    size_t most = m->proto->n_opset_import + reference->proto->n_opset_import + 1;
    p->opsets = ap_arena_calloc(&s->arena, most, sizeof *p->opsets);
    p->opsets[p->opset_count++] = ap_probe_make_opset(&s->arena, "", m->opset ? m->opset : 17);
    ap_map_set(&seen, "", p);
    for (int pass = 0; pass < 2; pass++) {
        const ap_model *from = pass ? reference : m;
        for (size_t i = 0; i < from->proto->n_opset_import; i++) {
            const Onnx__OperatorSetIdProto *o = from->proto->opset_import[i];
            if (!o->domain || !uses_domain(from, o->domain) || !ap_map_add(&seen, o->domain, p)) continue;
            p->opsets[p->opset_count++] = ap_probe_make_opset(&s->arena, o->domain, o->version);
        }
    }
    ap_map_free(&seen);
}

// A graph input that nothing reads makes the run of a larger graph fail on some targets.
static bool has_idle_input(const ap_model *m) {
    for (size_t i = 0; i < m->graph->input_count; i++) {
        const ap_value *v = m->graph->inputs[i];
        if (!v->use_count && !v->used_by_subgraph) return true;
    }
    return false;
}

ap_err ap_probe_add_piece(ap_probe_set *s, ap_model *m, ap_model *reference, const json_t *facts,
                          const char *label) {
    ap_probe *p = ap_probe_push(s);
    const char *why = NULL;
    ap_err err = NULL;
    const ap_graph *of = reference->graph;
    p->op = of->node_count == 1 ? ap_arena_strdup(&s->arena, of->nodes[0]->op) : "PATTERN";
    p->domain = of->node_count == 1 ? ap_arena_strdup(&s->arena, of->nodes[0]->domain) : "";
    p->variant = ap_arena_strdup(&s->arena, label ? label : "");
    take_opsets(s, p, m, reference);
    AP_TRY(make_graph(s, m, &p->graph, &why));
    if (!why && m != reference) AP_TRY(make_graph(s, reference, &p->reference, &why));
    if (!why) AP_TRY(add_inputs(s, p, reference, facts, &why));
    p->alone = has_idle_input(m);
    if (why)
        ap_probe_decide(p, AP_PROBE_UNASKED, why, &s->arena);
    else
        ap_probe_sign(s, p);
done:
    if (err) s->count--;
    return err;
}
