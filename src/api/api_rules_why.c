// SPDX-License-Identifier: Apache-2.0
// aipc rules why: for each distinct node of a model whether the target takes it, and what helps if not.
#include "api/api_priv.h"
#include "api/shapes.h"
#include "golden/contract.h"
#include "plan/surgery/asker.h"

#include <stdlib.h>
#include <string.h>

static bool measured(void *user, const ap_value *v, ap_value_type *out) {
    const ap_shape_source *s = user;
    return s->get(s->user, v->name, out);
}

static json_t *summary_of(const json_t *nodes) {
    size_t i, all = 0, alone = 0, context = 0, repaired = 0, left = 0;
    json_t *n;
    json_array_foreach((json_t *)(uintptr_t)nodes, i, n) {
        size_t count = json_array_size(json_object_get(n, "nodes"));
        bool taken = ap_json_bool(n, "taken", false), found = ap_json_bool(n, "found", false);
        all += count;
        alone += taken && !ap_json_int(n, "context", 0) ? count : 0;
        context += taken && ap_json_int(n, "context", 0) ? count : 0;
        repaired += !taken && found ? count : 0;
        left += !taken && !found ? count : 0;
    }
    return json_pack("{sI,sI,sI,sI,sI,sI}", "nodes", (json_int_t)all, "distinct",
                     (json_int_t)json_array_size(nodes), "taken", (json_int_t)alone, "taken_in_context",
                     (json_int_t)context, "repaired", (json_int_t)repaired, "left", (json_int_t)left);
}

aipc_error *aipc_rules_why(aipc_context *c, const aipc_rules_why_options *options, char **document) {
    aipc_rules_why_options o;
    api_take(&o, sizeof o, options);
    ap_asker_options how = {.target = o.target, .fresh = o.fresh};
    ap_asker q = {0};
    ap_model *m = NULL;
    ap_measured_shapes shapes = {0};
    ap_input_request r = {.shapes = o.shapes, .shape_count = o.shape_count};
    ap_shape_source source = ap_measured_shape_source(&shapes);
    ap_match_env env = {0};
    json_t *fixed = NULL, *nodes = NULL, *doc = NULL;
    ap_search_options so;
    ap_err err = NULL;
    AP_TRY(ap_asker_open(c, &how, &q));
    AP_TRY(ap_model_load(o.model, &m));
    AP_TRY(ap_contract_shapes(m, &r, &fixed));
    AP_TRY(ap_measure_shapes(c, m, o.model, fixed, &shapes));
    AP_TRY(ap_asker_rules(&q, o.folder, &so));
    env = (ap_match_env){.model = m,
                         .rules = so.rules,
                         .types = {measured, &source},
                         .compute = so.compute,
                         .oracle = so.oracle};
    AP_TRY(ap_facts_new(m, &env.types, so.compute, &env.facts));
    AP_TRY(ap_search_model(&env, &so, &nodes));
    doc = json_pack("{so,ss,so,sO}", "model", ap_json_string(o.model), "target", q.target.text, "summary",
                    summary_of(nodes), "nodes", nodes);
    *document = ap_json_text(doc, true);
done:
    json_decref(doc);
    json_decref(nodes);
    json_decref(fixed);
    ap_facts_free(env.facts);
    ap_measured_shapes_release(&shapes);
    ap_model_free(m);
    ap_asker_close(&q);
    return ap_err_stage(err, "rules");
}
