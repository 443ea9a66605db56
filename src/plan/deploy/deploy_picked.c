// SPDX-License-Identifier: Apache-2.0
// A second look at gates that failed, when the model picks rows: what should have come out, given what the
// target picked? Only when everything passes then do these numbers take the place of the first.
#include "plan/deploy/deploy.h"
#include "plan/surgery/picked.h"
#include "plan/work/workers.h"

typedef struct looker {
    ap_deploy_target *t;
    double golden_s, vendor_s;
} looker;

static bool passes(const ap_deploy_target *t, const json_t *metrics) {
    json_t *gates = json_array();
    bool all = ap_gates_outputs(&t->gates, metrics, gates);
    json_decref(gates);
    return all;
}

static ap_err ask_oracle(void *user, const char *file, const json_t *inputs, json_t *names, const char *dir,
                         json_t **out) {
    looker *l = user;
    const ap_target_id cpu = ap_cpu_target();
    ap_deployment *d = l->t->d;
    ap_worker *w = NULL;
    json_t *result = NULL;
    ap_err err = NULL;
    AP_TRY(ap_deploy_worker(d, &cpu, "picked", AP_ANY_CPU, &w));
    AP_TRY(ap_deploy_call(d, w, AP_TIME_GOLDEN, "oracle",
                          ap_oracle_args(json_pack("{ss}", "file", file), inputs, names, dir), &l->golden_s,
                          &result));
    *out = json_incref(json_object_get(result, "outputs"));
done:
    ap_worker_stop(w, NULL);
    json_decref(result);
    return err;
}

static ap_err ask_target(void *user, json_t *names, const char *dir, json_t **out) {
    looker *l = user;
    const ap_exposed x = {.purpose = "picked",
                          .slot = AP_ANY_CPU,
                          .names = names,
                          .dir = dir,
                          .refused = "not taken with its picks exposed"};
    return ap_target_exposed(l->t, &x, &l->vendor_s, out);
}

// Metrics of the outputs against what they should be given the picks, and of the picks.
static ap_err measure_given(const ap_deploy_target *t, const json_t *golden, const json_t *picks,
                            json_t **out) {
    json_t *all = NULL, *pick;
    size_t i;
    ap_err err = NULL;
    AP_TRY(ap_deploy_measure(golden, t->runs[0], &all));
    json_array_foreach((json_t *)(uintptr_t)picks, i, pick) {
        ap_metrics m;
        AP_TRY(ap_picked_metrics(pick, &m));
        json_object_set_new(all, ap_json_str(pick, "indices", "?"), ap_metrics_json(&m));
    }
    *out = json_incref(all);
done:
    json_decref(all);
    return err;
}

ap_err ap_deploy_look_again(ap_deploy_target *t, json_t **metrics, json_t **picked) {
    ap_deployment *d = t->d;
    looker l = {.t = t};
    json_t *golden = NULL, *picks = NULL, *given = NULL;
    char *dir = NULL;
    ap_err err = NULL;
    if (passes(t, *metrics)) return NULL;
    AP_TRY(ap_deploy_scratch(d, "picked", &dir));
    const ap_picked q = {.original = d->model,
                         .model = t->model,
                         .inputs = d->input_tensors,
                         .answer = t->runs[0],
                         .dir = dir,
                         .oracle = ask_oracle,
                         .target = ask_target,
                         .user = &l};
    err = ap_picked_look(&q, &golden, &picks);
    if (err && ap_err_code(err) != AP_ERR_CANCELLED) { // then the first numbers stand
        ap_context_log(d->ctx, AIPC_WARN, "%s: no second look at picked rows: %s", t->id.text,
                       ap_err_message(err));
        ap_err_free(err);
        err = NULL;
    }
    if (err || !golden) goto done;
    AP_TRY(measure_given(t, golden, picks, &given));
    if (!passes(t, given)) goto done;
    json_decref(*metrics);
    *metrics = json_incref(given);
    *picked = ap_json_pluck(picks, "indices");
done:
    t->align_vendor_s += l.vendor_s;
    t->align_seconds += l.vendor_s;
    json_decref(golden);
    json_decref(picks);
    json_decref(given);
    return err;
}
