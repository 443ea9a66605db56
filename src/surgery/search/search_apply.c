// SPDX-License-Identifier: Apache-2.0
// Carrying out the steps of a chain: a node is known by its position (in the piece, or among what a step
// made), so the same steps can be taken at any place that looks the same.
#include "surgery/search/search_priv.h"

#include <stdlib.h>
#include <string.h>

void search_places_add(search_places *at, const char *position, ap_node *n) {
    ap_map_set(&at->nodes, position, n);
    ap_map_set(&at->names, n->name, ap_arena_strdup(&at->arena, position));
}

void search_places_free(search_places *at) {
    ap_map_free(&at->nodes);
    ap_map_free(&at->names);
    ap_arena_release(&at->arena);
    *at = (search_places){0};
}

// ---- types that cannot be inferred

static json_t *type_json(const ap_value *v) {
    ap_value_type t;
    if (!v || !ap_value_shape(v, &t.dtype, t.dims, &t.rank, NULL)) return json_null();
    return json_pack("{ss,so}", "dtype", ap_dtype_name(t.dtype), "dims", ap_json_dims(t.dims, t.rank));
}

static json_t *types_of(const ap_applied *a) {
    json_t *list = json_array();
    for (size_t i = 0; i < a->added_count; i++) {
        json_t *one = json_array();
        for (size_t k = 0; k < a->added[i]->output_count; k++)
            json_array_append_new(one, type_json(a->added[i]->outputs[k]));
        json_array_append_new(list, one);
    }
    return list;
}

typedef struct measuring {
    ap_model *model; // whose values get the types
    ap_tensor *results;
    ap_named_tensor *inputs;
    size_t result_count, input_count;
} measuring;

static ap_err make_inputs(measuring *k, const json_t *facts) {
    ap_probe_set set = {0};
    ap_err err = ap_probe_add_piece(&set, k->model, k->model, facts, "");
    const ap_probe *p = err ? NULL : &set.list[0];
    for (size_t i = 0; p && p->signature && i < p->input_count && !err; i++) {
        err = ap_probe_draw(p, i, 0, &k->inputs[i].t);
        k->inputs[i].name = k->model->graph->inputs[i]->name;
        k->input_count += !err;
    }
    if (!err && p && !p->signature) err = ap_err_new(AP_ERR_MODEL_INVALID, "%s", p->reason);
    ap_probe_set_release(&set);
    return err;
}

// All values of the model as outputs of a copy.
static ap_err make_open_copy(const ap_model *m, ap_model **out, const char ***names, size_t *count,
                             ap_arena *a) {
    const ap_graph *g = m->graph;
    const char **list = ap_arena_calloc(a, g->values.count + 1, sizeof *list);
    *count = 0;
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t k = 0; k < g->nodes[i]->output_count; k++)
            if (g->nodes[i]->outputs[k]) list[(*count)++] = g->nodes[i]->outputs[k]->name;
    *names = list;
    ap_err err = search_clone(m, out);
    return err ? err : ap_model_set_outputs(*out, list, *count);
}

static bool has_type(const ap_value *v) {
    ap_value_type t;
    return ap_value_shape(v, &t.dtype, t.dims, &t.rank, NULL);
}

ap_err search_types(ap_model *m, const json_t *facts, const ap_piece_oracle *oracle) {
    ap_arena a = {0};
    ap_model *open = NULL;
    const char **names = NULL;
    measuring k = {.model = m};
    ap_err err = NULL;
    if (!oracle) return NULL;
    k.inputs = ap_arena_calloc(&a, m->graph->input_count + 1, sizeof *k.inputs);
    AP_TRY(make_open_copy(m, &open, &names, &k.result_count, &a));
    k.results = ap_arena_calloc(&a, k.result_count + 1, sizeof *k.results);
    AP_TRY(make_inputs(&k, facts));
    AP_TRY(oracle->run(oracle->user, open, k.inputs, k.input_count, k.results, k.result_count));
    for (size_t i = 0; i < k.result_count; i++) {
        const ap_tensor *t = &k.results[i];
        ap_value *v = ap_graph_value(m->graph, names[i]);
        ap_value_type type = {.dtype = t->dtype, .rank = t->rank};
        if (!v || t->dtype == AP_DTYPE_NONE || (v->is_output && has_type(v))) continue;
        memcpy(type.dims, t->dims, t->rank * sizeof *t->dims);
        search_declare(m, v, &type);
    }
done:
    for (size_t i = 0; i < k.result_count && k.results; i++) ap_tensor_free(&k.results[i]);
    for (size_t i = 0; i < k.input_count; i++) ap_tensor_free(&k.inputs[i].t);
    ap_model_free(open);
    ap_arena_release(&a);
    // A state that cannot be measured can still be asked about.
    if (err && ap_err_code(err) != AP_ERR_CANCELLED && ap_err_code(err) != AP_ERR_NO_MEMORY) {
        ap_err_free(err);
        err = NULL;
    }
    return err;
}

// ---- one step

static json_t *matched_places(const search_places *at, const ap_match *m) {
    json_t *list = json_array();
    for (size_t i = 0; i < m->rule->match_count; i++) {
        const char *place = m->nodes[i] ? ap_map_get(&at->names, m->nodes[i]->name) : NULL;
        json_array_append_new(list, ap_json_string(place ? place : "?"));
    }
    return list;
}

static void note_added(search_places *at, const ap_applied *a) {
    ap_arena names = {0};
    for (size_t i = 0; i < a->added_count; i++)
        search_places_add(at, ap_arena_printf(&names, "s%zu.%zu", at->steps, i), a->added[i]);
    ap_arena_release(&names);
    at->steps++;
}

ap_err search_apply(ap_match *m, search_places *at, json_t *chain, ap_applied *out) {
    ap_buf cls = {0};
    ap_rule_class_print(&m->cls, &cls);
    json_t *step = json_pack(
        "{so,so,so,so}", "rule", ap_json_string(m->rule->name), "class", ap_json_string(ap_buf_str(&cls)),
        "root", ap_json_string(ap_map_get(&at->names, m->root->name)), "nodes", matched_places(at, m));
    ap_buf_free(&cls);
    ap_err err = ap_match_apply(m, out);
    if (!err) {
        note_added(at, out);
        json_object_set(step, "record", out->record);
        json_array_append(chain, step);
    }
    json_decref(step);
    return err;
}

void search_note_types(json_t *step, const ap_applied *a) {
    json_object_set_new(step, "types", types_of(a));
}

// ---- a recipe at another place

static ap_err no_fit(const char *rule, const char *fmt, const char *what) {
    ap_err err = ap_err_new(AP_ERR_CONTRACT, fmt, rule, what);
    return ap_err_subject(err, rule);
}

static void declare_made(ap_model *m, const ap_applied *a, const json_t *types) {
    for (size_t i = 0; i < a->added_count; i++)
        for (size_t k = 0; k < a->added[i]->output_count; k++) {
            ap_value *v = a->added[i]->outputs[k];
            ap_value_type type;
            if (!v || v->is_output || !ap_value_type_read(json_array_get(json_array_get(types, i), k), &type))
                continue;
            search_declare(m, v, &type);
        }
}

static ap_err take_step(const json_t *step, const ap_match_env *env, search_places *at, json_t *chain,
                        json_t *steps) {
    const char *name = ap_json_str(step, "rule", "");
    const ap_rule *r = ap_rules_find(env->rules, name);
    ap_node *root = ap_map_get(&at->nodes, ap_json_str(step, "root", ""));
    const char *hash = ap_json_str(json_object_get(step, "record"), "hash", "");
    ap_match *m = NULL;
    ap_match_miss miss = {0};
    ap_applied a = {0};
    json_t *now = NULL;
    ap_err err = NULL;
    if (!r) return no_fit(name, "there is no rule %s%s", "");
    if (strcmp(r->hash.hex, hash) != 0) return no_fit(name, "rule %s has changed since%s", "");
    if (!root) return no_fit(name, "rule %s: its node is not there%s", "");
    AP_TRY(ap_rule_match(r, env, root, &m, NULL));
    if (!m) {
        AP_TRY(ap_rule_match(r, env, root, &m, &miss));
        err = no_fit(name, "rule %s does not fit here: %s", miss.text);
        goto done;
    }
    now = matched_places(at, m);
    if (!json_equal(now, json_object_get(step, "nodes"))) {
        err = no_fit(name, "rule %s fits here on other nodes than before%s", "");
        goto done;
    }
    AP_TRY(search_apply(m, at, chain, &a));
    declare_made(env->model, &a, json_object_get(step, "types"));
    if (steps) json_array_append(steps, a.record);
done:
    json_decref(now);
    ap_applied_release(&a);
    ap_match_free(m);
    return err;
}

static ap_err take_steps(const ap_recipe *r, const ap_match_env *env, const ap_piece *p, json_t *steps) {
    search_places at = {0};
    ap_arena a = {0};
    json_t *chain = json_array(), *step;
    size_t i;
    ap_err err = NULL;
    for (i = 0; i < p->node_count; i++)
        search_places_add(&at, ap_arena_printf(&a, "o%zu", i), ap_graph_node(env->model->graph, p->nodes[i]));
    json_array_foreach(r->chain, i, step) AP_TRY(take_step(step, env, &at, chain, steps));
done:
    search_places_free(&at);
    json_decref(chain);
    ap_arena_release(&a);
    return err;
}

// Tried on the piece first: what fails there leaves the model alone.
static ap_err rehearse(const ap_recipe *r, const ap_match_env *env, const ap_piece *p) {
    ap_search_options o = {.rules = env->rules, .oracle = env->oracle, .compute = env->compute};
    ap_model *copy = NULL;
    ap_match_env own = {0};
    ap_err err = NULL;
    AP_TRY(search_clone(p->model, &copy));
    AP_TRY(search_env(p, copy, &o, &own));
    AP_TRY(take_steps(r, &own, p, NULL));
done:
    ap_facts_free(own.facts);
    ap_model_free(copy);
    return err;
}

ap_err ap_recipe_apply(const ap_recipe *r, const ap_match_env *env, ap_node *n, json_t *steps) {
    ap_piece p = {0};
    ap_err err = NULL;
    AP_TRY(ap_piece_cut(env, n, r->radius, &p));
    if (strcmp(p.key, r->key) != 0)
        AP_FAIL(AP_ERR_CONTRACT, "the recipe is for another kind of piece than that around '%s'", n->name);
    AP_TRY(rehearse(r, env, &p));
    AP_TRY(take_steps(r, env, &p, steps));
done:
    ap_piece_release(&p);
    return err ? ap_err_subject(err, n->name) : NULL;
}

void ap_recipe_release(ap_recipe *r) {
    json_decref(r->chain);
    *r = (ap_recipe){0};
}

char *ap_recipe_text(const ap_recipe *r) {
    ap_buf b = {0};
    size_t i;
    json_t *step;
    json_array_foreach(r->chain, i, step)
        ap_buf_printf(&b, "%s%s", i ? " > " : "", ap_json_str(step, "rule", "?"));
    char *text = ap_strdup(ap_buf_str(&b));
    ap_buf_free(&b);
    return text;
}
