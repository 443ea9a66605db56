// SPDX-License-Identifier: Apache-2.0
#include "plan/surgery/apply.h"

#include "base/file.h"
#include "plan/surgery/plan_rules.h"
#include "plan/surgery/table.h"
#include "surgery/pass/clean.h"
#include "surgery/pass/freeze.h"
#include "surgery/pass/record.h"

#include <string.h>

static ap_err check_source(const ap_table *t, const json_t *plan, const char *model) {
    const json_t *source = json_object_get(plan, "source");
    const char *want = ap_json_str(source, "sha256", "");
    if (strcmp(want, t->digest) == 0) return NULL;
    ap_err err = ap_err_new(
        AP_ERR_GATE, "the plan was made for another model: %s has sha256 %.12s…, the plan wants %.12s… (%s)",
        model, t->digest, want, ap_json_str(source, "file", "?"));
    return ap_err_hint(err, "make the plan again with 'aipc surgery'");
}

// The error of a replay with what may explain it.
static ap_err explain(const ap_table *t, const json_t *plan, ap_err err) {
    const json_t *oracle = json_object_get(plan, "oracle");
    if (ap_err_code(err) == AP_ERR_GATE && strcmp(ap_json_str(oracle, "sha256", ""), t->ort.sha256) != 0)
        err = ap_err_note(err, "the plan's constants were computed by another build of %s",
                          ap_json_str(oracle, "name", "the oracle"));
    return err;
}

// Rules have no hash of the whole model: the end must be the recorded one.
static ap_err check_result(const json_t *plan, const ap_cleaned *now) {
    const char *want = ap_json_str(json_object_get(plan, "result"), "sha256", NULL);
    if (!want || strcmp(want, now->sha256) == 0) return NULL;
    ap_err err = ap_err_new(AP_ERR_GATE, "the plan ends in another model: sha256 %.12s…, recorded is %.12s…",
                            now->sha256, want);
    return ap_err_hint(err, "make the plan again with 'aipc surgery'");
}

ap_err ap_apply(aipc_context *c, const char *model, const char *plan_path, const char *out,
                json_t **document) {
    ap_table t;
    json_t *plan = NULL;
    ap_cleaned done_model = {0};
    ap_plan_rules rules = {0};
    ap_err err = NULL;
    AP_TRY(ap_table_open(c, model, &t));
    AP_TRY(ap_plan_load(plan_path, &plan));
    AP_TRY(check_source(&t, plan, model));
    t.params = json_incref(json_object_get(plan, "params"));
    size_t before = t.model->graph->node_count;
    AP_TRY(ap_freeze_shapes(t.model, json_object_get(plan, "shapes")));
    AP_TRY(ap_table_neutral_set(&t));
    AP_TRY(ap_table_oracle(&t));
    ap_pass_context context = {.oracle = &t.oracle, .params = t.params};
    AP_TRY(ap_plan_rules_open(c, plan, &context, &rules));
    err = ap_replay(t.model, json_object_get(plan, "steps"), &context, &done_model);
    if (err) {
        err = explain(&t, plan, err);
        goto done;
    }
    AP_TRY(check_result(plan, &done_model));
    AP_TRY(ap_model_save(done_model.model, out, &(ap_save_options){.embed = t.outside}));
    *document = json_pack("{ss,ss,sI,s[I,I]}", "file", out, "sha256", done_model.sha256, "steps",
                          (json_int_t)json_array_size(json_object_get(plan, "steps")), "nodes",
                          (json_int_t)before, (json_int_t)done_model.model->graph->node_count);
done:
    json_decref(plan);
    ap_cleaned_release(&done_model);
    ap_plan_rules_close(&rules);
    ap_table_release(&t);
    return ap_err_stage(ap_err_subject(err, model), "apply");
}

// ---- rebase

static json_t *new_plan_of(const ap_table *t, const json_t *old, const char *model, const ap_cleaned *now,
                           const json_t *report) {
    json_t *plan = json_copy((json_t *)(uintptr_t)old);
    json_object_set_new(
        plan, "source",
        json_pack("{so,ss}", "file", ap_json_string(ap_path_base(model)), "sha256", t->digest));
    json_object_set_new(plan, "opset", json_integer((json_int_t)t->model->opset));
    json_object_set_new(plan, "aipc", json_string(AP_VERSION));
    json_object_set_new(plan, "oracle", json_pack("{ss,ss}", "name", t->ort.name, "sha256", t->ort.sha256));
    json_object_set(plan, "steps", json_object_get(report, "steps"));
    json_object_set(plan, "refused", json_object_get(report, "refused"));
    json_object_set_new(
        plan, "result",
        json_pack("{ss,sI}", "sha256", now->sha256, "nodes", (json_int_t)now->model->graph->node_count));
    return plan;
}

ap_err ap_rebase(aipc_context *c, const aipc_rebase_options *given, json_t **document) {
    const ap_input_request r = {.inputs = given->inputs,
                                .input_count = given->input_count,
                                .recipes = given->recipes,
                                .recipe_count = given->recipe_count,
                                .seed = given->seed ? given->seed : 1};
    ap_table t;
    json_t *plan = NULL, *report = NULL, *made = NULL;
    ap_cleaned now = {0};
    ap_plan_rules rules = {0};
    ap_err err = NULL;
    AP_TRY(ap_table_open(c, given->model, &t));
    AP_TRY(ap_plan_load(given->plan, &plan));
    t.params = json_incref(json_object_get(plan, "params"));
    AP_TRY(ap_freeze_shapes(t.model, json_object_get(plan, "shapes")));
    AP_TRY(ap_table_sets(&t, r, 2));
    AP_TRY(ap_table_oracle(&t));
    ap_pass_context context = {.oracle = &t.oracle, .params = t.params};
    AP_TRY(ap_plan_rules_open(c, plan, &context, &rules));
    ap_clean_options o = {.oracle = &t.oracle,
                          .params = t.params,
                          .order = json_object_get(plan, "steps"),
                          .rules = context.rules,
                          .pieces = context.pieces,
                          .compute = context.compute};
    AP_TRY(ap_clean(t.model, &o, &now, &report));
    made = new_plan_of(&t, plan, given->model, &now, report);
    if (given->save) AP_TRY(ap_model_save(now.model, given->save, &(ap_save_options){.embed = t.outside}));
    AP_TRY(ap_plan_save(given->new_plan, made));
    *document = json_incref(made);
done:
    json_decref(plan);
    json_decref(report);
    json_decref(made);
    ap_cleaned_release(&now);
    ap_plan_rules_close(&rules);
    ap_table_release(&t);
    return ap_err_stage(ap_err_subject(err, given->model), "rebase");
}
