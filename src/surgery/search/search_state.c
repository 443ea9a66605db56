// SPDX-License-Identifier: Apache-2.0
// States of the search: a piece after some rules, what it costs, and where its nodes came from.
#include "surgery/probe/probe_priv.h"
#include "surgery/search/search_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void search_declare(ap_model *m, ap_value *v, const ap_value_type *t) {
    if (v->is_output && v->info)
        v->info->type = ap_probe_make_value_info(&m->arena, v->name, t)->type;
    else
        ap_value_declare(m->graph, v, t);
}

ap_err search_clone(const ap_model *m, ap_model **out) {
    const ap_graph *g = m->graph;
    const char **in = ap_calloc(g->input_count + 1, sizeof *in);
    const char **result = ap_calloc(g->output_count + 1, sizeof *result);
    for (size_t i = 0; i < g->input_count; i++) in[i] = g->inputs[i]->name;
    for (size_t i = 0; i < g->output_count; i++) result[i] = g->outputs[i]->name;
    ap_err err = ap_model_extract(m, in, NULL, g->input_count, result, g->output_count, out);
    free(in);
    free(result);
    return err;
}

ap_err search_env(const ap_piece *p, ap_model *m, const ap_search_options *o, ap_match_env *env) {
    const char *name;
    json_t *fact;
    ap_facts *f = NULL;
    ap_err err = ap_facts_new(m, NULL, o->compute, &f);
    if (err) return err;
    json_object_foreach(p->facts, name, fact) {
        const ap_value *v = ap_graph_value(m->graph, name);
        ap_value_type t;
        ap_fact read;
        if (!v || !ap_value_shape(v, &t.dtype, t.dims, &t.rank, NULL)) continue;
        ap_fact_from_json(fact, t.dtype, &read);
        AP_TRY(ap_facts_seed(f, name, &read));
    }
    *env =
        (ap_match_env){.model = m, .rules = o->rules, .facts = f, .compute = o->compute, .oracle = o->oracle};
    f = NULL;
done:
    ap_facts_free(f);
    return err;
}

// ---- cost

// What a float32 result may lose unnoticed on the target, in dB: its own precision.
static double floor_db(ap_dtype compute) {
    return compute == AP_F16 ? 66 : compute == AP_BF16 ? 48 : 144;
}

double search_loss(const ap_rule_class *c, ap_dtype compute) {
    double db = c->kind == AP_CLASS_ULP  ? 144 - 20 * log10(fmax(1, (double)c->amount))
                : c->kind == AP_CLASS_DB ? (double)c->amount
                                         : INFINITY;
    double kind = c->kind == AP_CLASS_ULP ? 0.001 : c->kind == AP_CLASS_DB ? 0.01 : 0;
    return fmax(0, floor_db(compute) - db) + kind; // among equals the more exact class
}

bool search_foreign(const ap_rule *r, const char *backend) {
    size_t n = backend ? strlen(backend) : 0;
    for (size_t i = 0; i < r->help_count; i++)
        if (!strchr(r->helps[i], ':') ||
            (!strncmp(r->helps[i], backend ? backend : "", n) && r->helps[i][n] == ':'))
            return false;
    return backend && r->help_count > 0;
}

static double bytes_of(const ap_value *v) {
    ap_value_type t;
    size_t bytes = 0;
    if (!v || !ap_value_shape(v, &t.dtype, t.dims, &t.rank, NULL)) return 0;
    ap_err_free(ap_shape_bytes(t.dtype, t.dims, t.rank, &bytes));
    return (double)bytes;
}

void search_measure(search *s, search_state *st, const ap_rule *r) {
    const ap_graph *g = st->model->graph;
    st->cost.nodes = g->node_count;
    st->cost.bytes = 0;
    for (size_t i = 0; i < g->node_count; i++) {
        const ap_node *n = g->nodes[i];
        for (size_t k = 0; k < n->input_count; k++) st->cost.bytes += bytes_of(n->inputs[k]);
        for (size_t k = 0; k < n->output_count; k++) st->cost.bytes += bytes_of(n->outputs[k]);
    }
    st->names = !r                   ? ""
                : *st->parent->names ? ap_arena_printf(&s->arena, "%s > %s", st->parent->names, r->name)
                                     : ap_arena_strdup(&s->arena, r->name);
}

int search_compare(const search_state *a, const search_state *b) {
    const search_cost *x = &a->cost, *y = &b->cost;
    if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
    if (x->foreign != y->foreign) return x->foreign < y->foreign ? -1 : 1;
    if (x->nodes != y->nodes) return x->nodes < y->nodes ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return strcmp(a->names, b->names);
}

// ---- life

void search_state_free(search_state *st) {
    if (!st) return;
    ap_model_free(st->model);
    json_decref(st->steps);
    ap_map_free(&st->refs);
    free(st);
}

ap_err search_root(search *s) {
    search_state *st = ap_calloc(1, sizeof *st);
    ap_err err = search_clone(s->piece->model, &st->model);
    if (err) {
        search_state_free(st);
        return err;
    }
    st->steps = json_array();
    for (size_t i = 0; i < s->piece->node_count; i++)
        ap_map_set(&st->refs, s->piece->nodes[i], ap_arena_printf(&s->arena, "o%zu", i));
    search_measure(s, st, NULL);
    s->list = ap_realloc(s->list, 16 * sizeof *s->list);
    s->cap = 16;
    s->list[s->count++] = st;
    return NULL;
}

ap_err search_child(search *s, const search_state *parent, search_state **out) {
    search_state *st = ap_calloc(1, sizeof *st);
    (void)s;
    ap_err err = search_clone(parent->model, &st->model);
    if (err) {
        search_state_free(st);
        return err;
    }
    st->parent = (search_state *)(uintptr_t)parent;
    st->steps = json_array();
    st->depth = parent->depth + 1;
    st->step_count = parent->step_count;
    st->cost = parent->cost;
    for (size_t i = 0; i < parent->refs.count; i++)
        ap_map_set(&st->refs, parent->refs.entries[i].key, parent->refs.entries[i].value);
    *out = st;
    return NULL;
}
