// SPDX-License-Identifier: Apache-2.0
#include "surgery/repair/attempt.h"

#include <string.h>

void ap_attempt_release(ap_attempt *a) {
    ap_rewritten_release(&a->made);
    json_decref(a->places);
    json_decref(a->proof);
    *a = (ap_attempt){0};
}

void ap_attempt_keep(ap_attempt *a, ap_rewritten *to) {
    json_t *steps = to->steps ? json_incref(to->steps) : json_array();
    json_array_extend(steps, a->made.steps);
    ap_rewritten_release(to);
    json_decref(a->made.steps);
    *to = a->made;
    to->steps = steps;
    a->made = (ap_rewritten){0};
}

bool ap_rule_is_for(const ap_rule *r, const char *mark) {
    for (size_t i = 0; i < r->help_count; i++)
        if (!strncmp(r->helps[i], mark, strlen(mark))) return true;
    return false;
}

ap_err ap_attempt_env(const ap_attempt_tools *t, ap_model *m, ap_match_env *env) {
    *env = (ap_match_env){.model = m, .rules = t->rules, .compute = t->compute, .oracle = t->oracle};
    ap_err err = t->ask.types(t->ask.user, m, &env->types);
    return err ? err : ap_facts_new(m, &env->types, env->compute, &env->facts);
}

static ap_err copy_model(const ap_model *m, ap_model **out, ap_buf *bytes) {
    ap_err err = ap_model_bytes(m, bytes);
    return err ? err : ap_model_parse(bytes->data, bytes->len, m->dir, out);
}

// A rule that does not fit a place any more, or cannot be built there, leaves the place as it is.
static ap_err apply_at(const ap_rule *r, ap_match_env *env, const char *place, ap_attempt *a) {
    ap_node *n = ap_graph_node(env->model->graph, place);
    ap_match *m = NULL;
    ap_applied done = {0};
    if (!n) return NULL;
    ap_err err = ap_rule_match(r, env, n, &m, NULL);
    if (err || !m) return err;
    err = ap_match_apply(m, &done);
    if (!err) {
        json_array_append(a->made.steps, done.record);
        json_array_append_new(a->places, ap_json_string(place));
    } else if (ap_err_code(err) == AP_ERR_REFUSED) {
        ap_err_free(err);
        err = NULL;
    }
    ap_applied_release(&done);
    ap_match_free(m);
    return err;
}

ap_err ap_attempt_make(const ap_attempt_tools *t, const ap_model *base, const ap_rule *r,
                       const char *const *places, size_t count, ap_spending *spent, ap_attempt *a) {
    ap_model *copy = NULL;
    ap_buf bytes = {0};
    ap_match_env env = {0};
    bool proven = true;
    ap_err err = NULL;
    a->made.steps = json_array();
    a->places = json_array();
    if (t->judge) AP_TRY(t->judge->proven(t->judge->user, r, &proven, &a->proof));
    if (!proven) {
        a->why = "the rule is not proven";
        goto done;
    }
    AP_TRY(copy_model(base, &copy, &bytes));
    AP_TRY(ap_attempt_env(t, copy, &env));
    for (size_t i = 0; i < count; i++) AP_TRY(apply_at(r, &env, places[i], a));
    if (json_array_size(a->places) == 0) {
        a->why = "it fits nowhere after all";
        goto done;
    }
    AP_TRY(copy_model(copy, &a->made.model, &a->made.bytes)); // packed and verified
    spent->builds++;
    AP_TRY(t->ask.judge(t->ask.user, a->made.model, &a->made.whole));
done:
    ap_facts_free(env.facts);
    ap_model_free(copy);
    ap_buf_free(&bytes);
    return err;
}
