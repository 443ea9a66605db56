// SPDX-License-Identifier: Apache-2.0
// When a gate failed: which tensor is the first to go wrong, and what is the smallest piece of the graph that
// shows it?
#include "golden/reduce.h"
#include "golden/trace.h"
#include "plan/deploy/deploy.h"
#include "target/target.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Below this a single tensor is called wrong. Healthy fp16 SiLU nets go down to 27 dB in the middle of the
// graph and recover.
#define BAD_TENSOR_DB 15.0
#define MAX_TRIES 30

typedef struct diagnosis {
    ap_deploy_target *t;
    ap_worker *golden, *target; // kept alive over all questions
    double threshold_db;
    json_t *values; // golden values met so far: {name: TENSOR}
} diagnosis;

// Golden values of the given tensors, from the cache or computed.
static ap_err golden_values(diagnosis *q, const char *const *names, size_t count, json_t **out) {
    ap_deployment *d = q->t->d;
    json_t *missing = json_array(), *result = NULL, *list = json_array(), *t;
    char *dir = NULL;
    size_t i;
    ap_err err = NULL;
    for (i = 0; i < count; i++)
        if (!json_object_get(q->values, names[i])) json_array_append_new(missing, ap_json_string(names[i]));
    if (json_array_size(missing) > 0) {
        AP_TRY(ap_deploy_scratch(d, "values", &dir));
        json_t *args = ap_oracle_args(ap_target_spec(q->t), d->input_tensors, missing, dir);
        AP_TRY(ap_deploy_call(d, q->golden, AP_TIME_GOLDEN, "oracle", args, NULL, &result));
        json_array_foreach(json_object_get(result, "outputs"), i, t)
            json_object_set(q->values, ap_json_str(t, "name", ""), t);
    }
    for (i = 0; i < count; i++) {
        t = json_object_get(q->values, names[i]);
        if (!t || !json_is_string(json_object_get(t, "file")))
            AP_FAIL(AP_ERR_INTERNAL, "no golden value for '%s'", names[i]);
        json_array_append(list, t);
    }
    *out = json_incref(list);
done:
    json_decref(missing);
    json_decref(result);
    json_decref(list);
    return err;
}

static json_t *piece_spec(const ap_deploy_target *t, const ap_piece *p, const json_t *inputs) {
    json_t *spec = ap_target_spec(t), *outputs = json_array();
    for (size_t i = 0; i < p->output_count; i++)
        json_array_append_new(outputs, ap_json_string(p->outputs[i]));
    json_object_set_new(spec, "extract", json_pack("{sO,so}", "inputs", inputs, "outputs", outputs));
    return spec;
}

// Builds the piece for the target, feeds it golden values, and compares with golden.
static ap_err piece_sqnr(diagnosis *q, const ap_piece *p, double *db) {
    ap_deployment *d = q->t->d;
    json_t *inputs = NULL, *want = NULL, *built = NULL, *result = NULL;
    char *dir = NULL, *run = NULL;
    ap_metrics m;
    ap_err err = NULL;
    AP_TRY(golden_values(q, p->inputs, p->input_count, &inputs));
    AP_TRY(golden_values(q, p->outputs, p->output_count, &want));
    AP_TRY(ap_deploy_scratch(d, "piece", &dir));
    AP_TRY(ap_deploy_scratch(d, "piece-run", &run));
    AP_TRY(ap_deploy_call(d, q->target, AP_TIME_VENDOR, "build",
                          json_pack("{so,ss,ss}", "model", piece_spec(q->t, p, inputs), "dir", dir,
                                    "precision", q->t->precision),
                          NULL, &built));
    if (json_object_get(built, "refusal")) AP_FAIL(AP_ERR_REFUSED, "the piece is refused on its own");
    AP_TRY(ap_deploy_call(d, q->target, AP_TIME_RUN, "run",
                          json_pack("{sO,ss}", "inputs", inputs, "dir", run), NULL, &result));
    AP_TRY(ap_metrics_entries(json_array_get(want, 0), json_array_get(json_object_get(result, "outputs"), 0),
                              &m));
    *db = m.nonfinite_mismatch ? -(double)INFINITY : m.sqnr_db;
done:
    json_decref(inputs);
    json_decref(want);
    json_decref(built);
    json_decref(result);
    return err;
}

static ap_err piece_fails(void *user, const ap_piece *p, bool *fails) {
    diagnosis *q = user;
    double db = 0;
    ap_err err = piece_sqnr(q, p, &db);
    if (!err) *fails = !(db >= q->threshold_db);
    return err;
}

// Golden values of everything, then the graph cut after the k-th candidate: the first k that fails, by
// bisection. Used when there is no trace to read it off. Assumes that what is wrong stays wrong downstream,
// which the reducer then checks.
static ap_err bisect(diagnosis *q, const char **tensor) {
    const ap_model *m = q->t->model;
    const char **names = NULL;
    size_t count = 0, lo = 0;
    const char **inputs = ap_calloc(m->graph->input_count + 1, sizeof *inputs);
    ap_err err = NULL;
    for (size_t i = 0; i < m->graph->input_count; i++) inputs[i] = m->graph->inputs[i]->name;
    ap_trace_candidates(m, &names, &count);
    size_t hi = count; // names[hi - 1] is the first known bad one; the end of the graph is bad, or we would
                       // not be here
    while (hi - lo > 1 && !err) {
        size_t mid = lo + (hi - lo) / 2;
        ap_piece p = {.inputs = inputs,
                      .input_count = m->graph->input_count,
                      .outputs = &names[mid - 1],
                      .output_count = 1};
        bool fails = false;
        err = piece_fails(q, &p, &fails);
        if (ap_err_code(err) == AP_ERR_REFUSED ||
            ap_err_code(err) == AP_ERR_INTERNAL) { // no answer: look further down
            ap_err_free(err);
            err = NULL;
        }
        if (fails)
            hi = mid;
        else
            lo = mid;
    }
    if (!err && count > 0) *tensor = names[hi - 1];
    free(names);
    free(inputs);
    return err;
}

// Saves the piece as a model with its golden inputs and output beside it: something to send to the vendor.
static ap_err save_piece(diagnosis *q, const ap_piece *p, json_t **out) {
    ap_deployment *d = q->t->d;
    ap_arena a = {0};
    ap_model *m = NULL;
    json_t *inputs = NULL, *want = NULL, *spec = NULL, *t;
    char *dir = ap_path_join(&a, d->out_dir, ap_arena_printf(&a, "%s-failing", q->t->id.folder));
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_rmtree(dir));
    AP_TRY(ap_mkdirs(dir));
    AP_TRY(golden_values(q, p->inputs, p->input_count, &inputs));
    AP_TRY(golden_values(q, p->outputs, p->output_count, &want));
    spec = piece_spec(q->t, p, inputs);
    AP_TRY(ap_spec_model(spec, &m));
    AP_TRY(ap_model_save(m, ap_path_join(&a, dir, "model.onnx"), NULL));
    json_array_foreach(inputs, i, t) AP_TRY(ap_file_copy(
        ap_json_str(t, "file", ""), ap_path_join(&a, dir, ap_arena_printf(&a, "input-%zu.npy", i))));
    json_array_foreach(want, i, t) AP_TRY(ap_file_copy(
        ap_json_str(t, "file", ""), ap_path_join(&a, dir, ap_arena_printf(&a, "output-%zu.npy", i))));
    *out = json_pack("{so,sI}", "model", ap_json_string(ap_path_join(&a, dir, "model.onnx")), "nodes",
                     (json_int_t)p->node_count);
done:
    ap_model_free(m);
    json_decref(inputs);
    json_decref(want);
    json_decref(spec);
    ap_arena_release(&a);
    return err;
}

static ap_err reduce(diagnosis *q, const char *tensor, json_t **reduced, double *db) {
    ap_reduce_question question = {.fails = piece_fails, .user = q, .max_tries = MAX_TRIES};
    ap_piece piece = {0};
    ap_err err = ap_reduce(q->t->model, tensor, &question, &piece, NULL);
    if (!err) err = piece_sqnr(q, &piece, db);
    if (!err) err = save_piece(q, &piece, reduced);
    ap_piece_free(&piece);
    return err;
}

// Unequal runs or a wrong SoC have none.
bool ap_target_has_a_place(const ap_deploy_target *t) {
    static const char *const metrics[] = {"cosine",           "sqnr_db",    "nonfinite_mismatch",
                                          "worst_channel_db", "rel_to_max", "argmax_agree",
                                          "top5_agree"};
    size_t i;
    json_t *g;
    json_array_foreach(t->gate_list, i, g) {
        if (strcmp(ap_json_str(g, "verdict", ""), "fail") != 0) continue;
        for (size_t k = 0; k < sizeof metrics / sizeof *metrics; k++)
            if (strcmp(metrics[k], ap_json_str(g, "metric", "")) == 0) return true;
    }
    return false;
}

static json_t *first_json(const diagnosis *q, const char *tensor, double db) {
    const ap_value *v = ap_graph_value(q->t->model->graph, tensor);
    const ap_node *n = v ? v->producer : NULL;
    return json_pack("{so,so,so,so}", "tensor", ap_json_string(tensor), "node",
                     ap_json_string(n ? n->name : NULL), "op", ap_json_string(n ? n->op : NULL), "sqnr_db",
                     ap_json_real(db));
}

// With a trace the first bad tensor is read off; when the trace shows none, the error is the sum of many
// small ones and no single place is to blame. Without a trace it is searched by bisection.
static ap_err diagnose(diagnosis *q, json_t **first, json_t **reduced) {
    const ap_target_id cpu = ap_cpu_target();
    ap_deployment *d = q->t->d;
    const json_t *trace = json_object_get(q->t->trace, "list");
    const json_t *entry = ap_trace_first_bad(q->t->model, trace, q->threshold_db);
    const char *tensor = entry ? ap_json_str(entry, "tensor", NULL) : NULL;
    double db = entry ? ap_json_to_real(json_object_get(entry, "sqnr_db")) : (double)NAN;
    ap_err err = NULL;
    if (!tensor && json_array_size(trace) > 0) return NULL;
    AP_TRY(ap_deploy_worker(d, &cpu, "diagnose", AP_ANY_CPU, &q->golden));
    AP_TRY(ap_deploy_worker(d, &q->t->id, "diagnose", AP_ANY_CPU, &q->target));
    if (!tensor) AP_TRY(bisect(q, &tensor));
    if (!tensor) goto done;
    AP_TRY(reduce(q, tensor, reduced, &db));
    *first = first_json(q, tensor, db);
    tensor = NULL;
done:
    if (tensor && !*first) *first = first_json(q, tensor, db); // found, though it could not be cut out
    return err;
}

static ap_err run_diagnosis(ap_deploy_target *t, json_t **first, json_t **reduced) {
    diagnosis q = {.t = t, .values = json_object()};
    double gate = ap_gates_threshold(&t->gates, "sqnr_db");
    q.threshold_db = gate < BAD_TENSOR_DB ? gate : BAD_TENSOR_DB;
    ap_context_progress(t->d->ctx, t->d->steps, t->d->steps, "%s: looking for the first wrong tensor",
                        t->id.text);
    ap_err err = diagnose(&q, first, reduced);
    ap_worker_stop(q.golden, NULL);
    ap_worker_stop(q.target, NULL);
    json_decref(q.values);
    return err;
}

// What to do about a gate that failed.
static ap_err hinted(ap_err err, bool place, bool limit) {
    if (ap_err_code(err) != AP_ERR_GATE) return err;
    const char *shown = limit   ? "the report shows what float16 itself comes to; "
                        : place ? "the report shows where along the graph the error begins; "
                                : "";
    return ap_err_hint(err, "%s--gate METRIC=VALUE sets a threshold of your own", shown);
}

void ap_target_diagnose(ap_deploy_target *t) {
    json_t *first = NULL, *reduced = NULL, *float16 = NULL;
    bool place = ap_target_has_a_place(t), limit = false;
    if (place) float16 = ap_target_float16(t, &limit);
    ap_target_float16_note(t, float16, limit);
    if (place && !limit) {
        ap_err err = run_diagnosis(t, &first, &reduced);
        if (err)
            ap_context_log(t->d->ctx, AIPC_WARN, "%s: the search for the first wrong tensor ended early: %s",
                           t->id.text, ap_err_message(err));
        ap_err_free(err);
    }
    t->err = hinted(t->err, place, limit);
    t->failure = json_pack("{so,so,so,so}", "error", ap_json_from_err(t->err), "first_diverging",
                           first ? first : json_null(), "reduced", reduced ? reduced : json_null(), "float16",
                           float16 ? float16 : json_null());
}
