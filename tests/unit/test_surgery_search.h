// SPDX-License-Identifier: Apache-2.0
// A backend for tests of the search: this program, started again as a worker. The oracle answers ones for
// every output. The target does the same and leaves out the operators its configuration names: `refuse`;
// `wrong` ones make its answer twos, `boom` ones kill it.
#ifndef AP_TEST_SURGERY_SEARCH_H
#define AP_TEST_SURGERY_SEARCH_H

#include "surgery/probe/probe_priv.h"
#include "surgery/search/search.h"
#include "target/target.h"
#include "test_surgery_rule.h"
#include "test_worker_fake.h"

#include <signal.h>
#include <unistd.h>

static inline bool fake_has(const json_t *config, const char *list, const char *op) {
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(config, list), i,
                       o) if (!strcmp(json_string_value(o), op)) return true;
    return false;
}

// Does a node of the piece an output belongs to have one of these operators?
static inline bool fake_is_wrong(const ap_model *m, const json_t *config, const char *output) {
    size_t n = strcspn(output, "/") + 1;
    for (size_t i = 0; i < m->graph->node_count; i++)
        if (!strncmp(m->graph->nodes[i]->name, output, n) &&
            fake_has(config, "wrong", m->graph->nodes[i]->op))
            return true;
    return false;
}

static inline json_t *fake_outputs(const ap_model *m, const char *dir, const json_t *config) {
    json_t *sets = json_array();
    for (size_t s = 0; s < AP_PROBE_SETS; s++) {
        ap_arena a = {0};
        json_t *list = json_array();
        char *folder = ap_arena_printf(&a, "%s/%zu", dir, s);
        must(ap_mkdirs(folder));
        for (size_t i = 0; i < m->graph->output_count; i++) {
            float x = config && fake_is_wrong(m, config, m->graph->outputs[i]->name) ? 2 : 1, v[2] = {x, x};
            int64_t dims[1] = {2};
            ap_tensor t = {0};
            must(ap_tensor_view(AP_F32, dims, 1, v, sizeof v, &t));
            must(ap_tensor_store(folder, m->graph->outputs[i]->name, &t, list));
            json_object_set_new(json_array_get(list, json_array_size(list) - 1), "stable", json_true());
        }
        json_array_append_new(sets, list);
        ap_arena_release(&a);
    }
    return sets;
}

static inline json_t *fake_probe(const json_t *config, const json_t *args) {
    ap_model *m = NULL;
    bool target = !ap_json_bool(args, "reference", false);
    must(ap_model_load(ap_json_str(args, "file", ""), &m));
    json_t *placement = json_array(), *fallen = json_array(), *nodes = json_array(), *refused = json_array();
    for (size_t i = 0; i < m->graph->node_count; i++) {
        const ap_node *n = m->graph->nodes[i];
        char piece[32];
        (void)snprintf(piece, sizeof piece, "%.*s", (int)strcspn(n->name, "/"), n->name);
        json_array_append_new(placement, json_pack("{ssss}", "name", n->name, "op", n->op));
        if (target && fake_has(config, "boom", n->op)) (void)raise(SIGKILL);
        if (!target || !fake_has(config, "refuse", n->op)) continue;
        json_array_append_new(fallen, json_string(piece));
        json_array_append_new(nodes, json_string(n->name));
        json_array_append_new(refused, json_pack("{ssssss}", "node", n->name, "op", n->op, "reason", "no"));
    }
    json_t *r = json_pack("{so,so,so,so,so,so}", "placement", placement, "fallen", fallen, "fallen_nodes",
                          nodes, "refused", refused, "outputs",
                          fake_outputs(m, ap_json_str(args, "dir", ""), target ? config : NULL), "error",
                          json_null());
    ap_model_free(m);
    return r;
}

static inline json_t *fake_answer(void *user, const char *op, const json_t *args) {
    json_t **config = user;
    if (json_object_get(args, "fake")) {
        json_decref(*config);
        *config = json_deep_copy(json_object_get(args, "fake"));
    }
    return !strcmp(op, "probe") ? fake_probe(*config, args) : json_object();
}

static inline int fake_serve(void) {
    json_t *config = NULL;
    int rc = fake_worker_serve(fake_answer, &config);
    json_decref(config);
    return rc;
}

// ---- the tests' side

typedef struct lab {
    ap_arena a;
    char *dir, *program;
    json_t *fake; // {refuse, wrong, boom}
    size_t starts;
    ap_probe_host host;
    ap_search_options o;
    ap_search_result result;
    ap_piece piece;
    maker k;
    ap_rules *rules;
    bool must_change; // of the pieces looked at
} lab;

static inline ap_err fake_start(void *user, bool oracle, size_t slot, ap_worker **out) {
    lab *l = user;
    (void)slot;
    json_t *config = json_pack("{ss,sO}", "target", oracle ? "oracle" : "fake", "fake", l->fake);
    ap_worker_options o = {.program = l->program, .config = config, .log_path = "/dev/null", .timeout_s = 5};
    l->starts += !oracle;
    ap_err err = ap_worker_start(&o, out);
    json_decref(config);
    return err;
}

static inline int lab_setup(void **state) {
    lab *l = ap_calloc(1, sizeof *l);
    must(ap_mkdtemp("/tmp", "aipc-test-search", &l->a, &l->dir));
    must(ap_self_exe(&l->a, &l->program));
    l->host = (ap_probe_host){.start = fake_start, .user = l, .scratch = l->dir, .threads = 1};
    l->k = make_model(17);
    *state = l;
    return 0;
}

static inline int lab_teardown(void **state) {
    lab *l = *state;
    ap_search_result_release(&l->result);
    ap_piece_release(&l->piece);
    ap_model_free(l->k.m);
    ap_rules_free(l->rules);
    json_decref(l->fake);
    must(ap_rmtree(l->dir));
    ap_arena_release(&l->a);
    free(l);
    return 0;
}

// What the target makes of operators: {"refuse":["Mod"]}.
static inline void target_is(lab *l, const char *json) {
    json_decref(l->fake);
    l->fake = json_loads(json, 0, NULL);
    assert_non_null(l->fake);
}

static inline void rules_are(lab *l, const char *text) {
    ap_rules_free(l->rules);
    l->rules = rules_of(text);
    l->o = (ap_search_options){.rules = l->rules, .host = &l->host, .compute = AP_F16, .backend = "qnn"};
}

static inline void look(lab *l, const ap_value *v, size_t radius) {
    ap_match_env env = env_of(&l->k, l->rules);
    env.compute = AP_F16;
    must(ap_facts_new(l->k.m, NULL, AP_F16, &env.facts));
    ap_piece_release(&l->piece);
    ap_search_result_release(&l->result);
    must(ap_piece_cut(&env, v->producer, radius, &l->piece));
    l->piece.must_change = l->must_change;
    must(ap_search_piece(&l->piece, &l->o, &l->result));
    ap_facts_free(env.facts);
}

// The chain found, as text; NULL: none.
static inline const char *found(lab *l) {
    if (!l->result.found) return NULL;
    char *text = ap_recipe_text(&l->result.recipe);
    const char *kept = ap_arena_strdup(&l->a, text);
    free(text);
    return kept;
}

// The first reason among what was tried that has this verdict; NULL.
static inline const char *tried(const lab *l, const char *verdict) {
    size_t i;
    json_t *t;
    json_array_foreach(l->result.tried, i, t) if (!strcmp(ap_json_str(t, "verdict", ""),
                                                          verdict)) return ap_json_str(t, "reason", "");
    return NULL;
}

#endif
