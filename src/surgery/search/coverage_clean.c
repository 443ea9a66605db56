// SPDX-License-Identifier: Apache-2.0
// Passes on a probe: a Loop or Scan of known length is unrolled before rules are searched. The oracle of
// small models is all that is at hand here, so it is dressed up as the oracle passes want.
#include "surgery/search/coverage_priv.h"

#include <string.h>

typedef struct view {
    const ap_probe *probe;
    const ap_piece_oracle *oracle;
} view;

static ap_err draw_inputs(const ap_probe *p, size_t set, ap_named_tensor *in, size_t *drawn) {
    for (*drawn = 0; *drawn < p->input_count; ++*drawn) {
        in[*drawn].name = p->inputs[*drawn].name;
        ap_err err = ap_probe_draw(p, *drawn, set, &in[*drawn].t);
        if (err) return err;
    }
    return NULL;
}

static ap_err hand_over(const char *const *names, ap_tensor *values, size_t count, bool types_only,
                        ap_err (*sink)(void *user, const char *name, const ap_tensor *t), void *user) {
    for (size_t i = 0; i < count; i++) {
        ap_tensor t = {.dtype = values[i].dtype, .rank = values[i].rank};
        memcpy(t.dims, values[i].dims, sizeof t.dims);
        ap_err err = sink(user, names[i], types_only ? &t : &values[i]);
        if (err) return err;
    }
    return NULL;
}

static ap_err run(void *user, ap_model *m, size_t set, const char *const *names, size_t count,
                  bool types_only, ap_err (*sink)(void *user, const char *name, const ap_tensor *t),
                  void *sink_user) {
    const view *v = user;
    const ap_graph *g = m->graph;
    ap_arena a = {0};
    ap_model *copy = NULL;
    size_t n = names ? count : g->output_count, drawn = 0;
    const char **in_names = ap_arena_calloc(&a, g->input_count + 1, sizeof *in_names);
    const char **out_names = ap_arena_calloc(&a, n + 1, sizeof *out_names);
    ap_named_tensor *in = ap_arena_calloc(&a, v->probe->input_count + 1, sizeof *in);
    ap_tensor *values = ap_arena_calloc(&a, n + 1, sizeof *values);
    ap_err err = NULL;
    for (size_t i = 0; i < g->input_count; i++) in_names[i] = g->inputs[i]->name;
    for (size_t i = 0; i < n; i++) out_names[i] = names ? names[i] : g->outputs[i]->name;
    if (!n) goto done;
    AP_TRY(draw_inputs(v->probe, set, in, &drawn));
    AP_TRY(ap_model_extract(m, in_names, NULL, g->input_count, out_names, n, &copy));
    AP_TRY(v->oracle->run(v->oracle->user, copy, in, drawn, values, n));
    AP_TRY(hand_over(out_names, values, n, types_only, sink, sink_user));
done:
    for (size_t i = 0; i < n; i++) ap_tensor_free(&values[i]);
    for (size_t i = 0; i < v->probe->input_count; i++) ap_tensor_free(&in[i].t);
    ap_model_free(copy);
    ap_arena_release(&a);
    return err;
}

static json_t *names_once(const json_t *report) {
    json_t *list = json_array(), *step;
    ap_map seen = {0};
    size_t i;
    json_array_foreach(json_object_get(report, "steps"), i, step) {
        const char *name = ap_json_str(step, "name", "?");
        if (ap_map_add(&seen, name, list)) json_array_append_new(list, ap_json_string(name));
    }
    ap_map_free(&seen);
    return list;
}

ap_err coverage_clean(const ap_probe *p, const ap_model *m, const ap_piece_oracle *oracle, ap_cleaned *out,
                      json_t **passes) {
    view v = {.probe = p, .oracle = oracle};
    ap_surgery_oracle o = {.run = run, .user = &v, .sets = AP_PROBE_SETS};
    ap_clean_options options = {.oracle = &o};
    json_t *report = NULL;
    ap_err err = ap_clean(m, &options, out, &report);
    if (!err) *passes = names_once(report);
    json_decref(report);
    return err;
}
