// SPDX-License-Identifier: Apache-2.0
// A gate failed in float16: is that the target, or is it float16? The oracle runs the original with every
// float tensor rounded to it, which is what a target that stores its tensors in 16 bits and errs nowhere else
// does.
#include "graph/nodes.h"
#include "plan/deploy/deploy.h"
#include "target/target.h"

#include <stdlib.h>
#include <string.h>

typedef struct rounding {
    ap_deployment *d;
    ap_worker *oracle;
    ap_model *model;
    const char **names; // of what is rounded; borrowed from the model
    size_t count;
} rounding;

static void add_floats(rounding *r, ap_value *const *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        ap_dtype type = AP_DTYPE_NONE;
        int64_t dims[AP_MAX_RANK];
        size_t rank;
        if (ap_value_shape(values[i], &type, dims, &rank, NULL) && type == AP_F32)
            r->names[r->count++] = values[i]->name;
    }
}

// Inputs, constants, and whatever a run makes of type float32.
static ap_err choose(rounding *r, json_t *spec) {
    ap_graph *g = r->model->graph;
    json_t *made = ap_graph_made_names(g), *result = NULL, *t;
    char *dir = NULL;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_deploy_scratch(r->d, "types", &dir));
    json_t *args = ap_oracle_args(json_incref(spec), r->d->input_tensors, made, dir);
    json_object_set_new(args, "shapes_only", json_true());
    AP_TRY(ap_deploy_call(r->d, r->oracle, AP_TIME_GOLDEN, "oracle", args, NULL, &result));
    size_t most =
        g->input_count + g->proto->n_initializer + json_array_size(json_object_get(result, "outputs"));
    r->names = ap_calloc(most + 1, sizeof *r->names);
    add_floats(r, g->inputs, g->input_count);
    for (i = 0; i < g->proto->n_initializer; i++)
        if (g->proto->initializer[i]->data_type == AP_F32)
            r->names[r->count++] = g->proto->initializer[i]->name;
    json_array_foreach(json_object_get(result, "outputs"), i, t) {
        const ap_value *v = ap_graph_value(g, ap_json_str(t, "name", ""));
        if (v && ap_dtype_from_name(ap_json_str(t, "dtype", "")) == AP_F32) r->names[r->count++] = v->name;
    }
done:
    json_decref(made);
    json_decref(result);
    return err;
}

// *out: TENSOR list of the outputs of the rounded model.
static ap_err run(rounding *r, json_t *spec, json_t **out) {
    ap_arena a = {0};
    json_t *outputs = json_array(), *result = NULL;
    char *dir = NULL;
    ap_err err = NULL;
    AP_TRY(ap_spec_model(spec, &r->model));
    AP_TRY(choose(r, spec));
    AP_TRY(ap_model_round_half(r->model, r->names, r->count));
    AP_TRY(ap_deploy_scratch(r->d, "float16", &dir));
    const char *file = ap_path_join(&a, dir, "model.onnx");
    AP_TRY(ap_model_save(r->model, file, &(ap_save_options){.external_name = "model.data"}));
    for (size_t i = 0; i < json_array_size(r->d->golden); i++)
        json_array_append(outputs, json_object_get(json_array_get(r->d->golden, i), "name"));
    AP_TRY(ap_deploy_call(r->d, r->oracle, AP_TIME_GOLDEN, "oracle",
                          ap_oracle_args(json_pack("{ss}", "file", file), r->d->input_tensors, outputs, dir),
                          NULL, &result));
    *out = json_incref(json_object_get(result, "outputs"));
done:
    json_decref(outputs);
    json_decref(result);
    ap_arena_release(&a);
    return err;
}

// The gates of all outputs for what float16 makes of the original.
static ap_err measure(ap_deploy_target *t, json_t **gates) {
    const ap_target_id cpu = ap_cpu_target();
    rounding r = {.d = t->d};
    json_t *spec = ap_target_spec(t), *have = NULL, *metrics = NULL;
    ap_err err = NULL;
    AP_TRY(ap_deploy_worker(t->d, &cpu, "float16", AP_ANY_CPU, &r.oracle));
    AP_TRY(run(&r, spec, &have));
    AP_TRY(ap_deploy_measure(t->d->golden, have, &metrics));
    *gates = json_array();
    (void)ap_gates_outputs(&t->gates, metrics, *gates);
done:
    ap_worker_stop(r.oracle, NULL);
    ap_model_free(r.model);
    free(r.names);
    json_decref(spec);
    json_decref(have);
    json_decref(metrics);
    return err;
}

static const json_t *same_gate(const json_t *gates, const json_t *like) {
    const json_t *g;
    for (size_t i = 0; (g = json_array_get(gates, i)) != NULL; i++)
        if (json_equal(json_object_get(g, "output"), json_object_get(like, "output")) &&
            json_equal(json_object_get(g, "metric"), json_object_get(like, "metric")))
            return g;
    return NULL;
}

static bool failed(const json_t *gate) {
    return !strcmp(ap_json_str(gate, "verdict", ""), "fail");
}

// Of the gates that failed, what float16 makes of them; *limit: none of them passes.
static json_t *of_failed(const ap_deploy_target *t, const json_t *gates, bool *limit) {
    json_t *list = json_array();
    const json_t *g;
    *limit = true;
    for (size_t i = 0; (g = json_array_get(t->gate_list, i)) != NULL; i++) {
        const json_t *ideal = failed(g) ? same_gate(gates, g) : NULL;
        if (ideal) json_array_append(list, (json_t *)(uintptr_t)ideal);
        *limit = *limit && (!failed(g) || (ideal && failed(ideal)));
    }
    *limit = *limit && json_array_size(list);
    return list;
}

json_t *ap_target_float16(ap_deploy_target *t, bool *limit) {
    *limit = false;
    if (strcmp(t->precision, "fp16") != 0 || !t->gate_list) return NULL;
    if (!t->float16) {
        ap_context_progress(t->d->ctx, t->d->steps, t->d->steps, "%s: asking what float16 itself comes to",
                            t->id.text);
        ap_err err = measure(t, &t->float16);
        if (err)
            ap_context_log(t->d->ctx, AIPC_INFO, "%s: float16 could not be tried by the oracle: %s",
                           t->id.text, ap_err_message(err));
        ap_err_free(err);
        if (!t->float16) t->float16 = json_null();
    }
    return json_is_array(t->float16) ? of_failed(t, t->float16, limit) : NULL;
}

void ap_target_float16_note(ap_deploy_target *t, const json_t *list, bool limit) {
    const json_t *first = json_array_get(list, 0);
    if (first)
        t->err = ap_err_note(
            t->err, "float16 itself %s: with every tensor of the original rounded to it, %s of %s is %g%s",
            limit ? "does not pass" : "comes closer", ap_json_str(first, "metric", "?"),
            ap_json_str(first, "output", "?"), ap_json_to_real(json_object_get(first, "value")),
            limit ? "; no node is to blame" : "");
}
