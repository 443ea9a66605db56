// SPDX-License-Identifier: Apache-2.0
#include "surgery/pass/clean.h"

#include "base/hash.h"
#include "surgery/apply/apply.h"
#include "surgery/pass/clean_gate.h"
#include "surgery/pass/clean_rules.h"
#include "surgery/pass/fold.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ap_cleaned_release(ap_cleaned *c) {
    ap_model_free(c->model);
    ap_buf_free(&c->bytes);
    *c = (ap_cleaned){0};
}

static void hash_bytes(ap_cleaned *c) {
    ap_digest d = ap_sha256_of(c->bytes.data, c->bytes.len);
    memcpy(c->sha256, d.hex, sizeof c->sha256);
}

// A model of its own with the content of `m`: packed, read, verified.
static ap_err copy_of(const ap_model *m, ap_cleaned *out) {
    ap_cleaned c = {0};
    ap_err err = ap_model_bytes(m, &c.bytes);
    if (!err) err = ap_model_parse(c.bytes.data, c.bytes.len, m->dir, &c.model);
    if (err) {
        ap_cleaned_release(&c);
        return err;
    }
    hash_bytes(&c);
    *out = c;
    return NULL;
}

// The model as its bytes say, after an edit that is not wanted.
static ap_err restore(ap_cleaned *c) {
    ap_model *fresh = NULL;
    ap_err err = ap_model_parse(c->bytes.data, c->bytes.len, c->model->dir, &fresh);
    if (err) return err;
    ap_model_free(c->model);
    c->model = fresh;
    return NULL;
}

typedef struct session {
    const ap_clean_options *o;
    ap_pass_context context;
    ap_types types;
    ap_cleaned now;
    ap_digest interface;
    ap_outputs golden, last; // of the original; before the current pass (empty: the original is)
    json_t *steps, *refused;
    bool disabled[32]; // by place in ap_passes
    double floor_db;   // of a plan taken anew: what its rules promise
} session;

static bool is_skipped(const ap_clean_options *o, const char *name) {
    for (size_t i = 0; i < o->skip_count; i++)
        if (!strcmp(o->skip[i], name)) return true;
    return false;
}

static json_t *step_json(const ap_pass *p, const char *before, size_t nodes) {
    return json_pack("{ss,ss,si,ss,ss,s[I]}", "kind", "pass", "name", p->name, "version", p->version, "class",
                     ap_exactness_name(p->exactness), "before", before, "nodes", (json_int_t)nodes);
}

// Steals `step`.
static void keep_step(session *s, json_t *list, json_t *step) {
    json_object_set_new(step, "n", json_integer((json_int_t)json_array_size(list) + 1));
    if (s->o->step) s->o->step(s->o->user, step);
    json_array_append_new(list, step);
}

static bool is_fatal(ap_code c) {
    return c == AP_ERR_CANCELLED || c == AP_ERR_NO_MEMORY || c == AP_ERR_DISK_FULL ||
           c == AP_ERR_WORKER_CRASH || c == AP_ERR_WORKER_HANG || c == AP_ERR_WORKER_MEMORY;
}

// A copy of the edited model, whose interface must be the original's.
static ap_err copy_checked(session *s, const char *who, ap_cleaned *fresh) {
    ap_err err = copy_of(s->now.model, fresh);
    if (err) return err;
    if (strcmp(ap_interface_digest(fresh->model).hex, s->interface.hex) != 0)
        return ap_err_new(AP_ERR_CONTRACT, "%s changed the inputs or outputs of the model", who);
    return NULL;
}

// The edited model's copy, its outputs and the verdict. *gate is set when it came to one.
static ap_err examine(session *s, const ap_pass *p, ap_cleaned *fresh, ap_outputs *outputs, json_t **gate,
                      bool *passed) {
    ap_err err = NULL;
    *passed = false;
    AP_TRY(copy_checked(s, "the pass", fresh));
    AP_TRY(ap_outputs_run(s->o->oracle, fresh->model, outputs));
    AP_TRY(ap_outputs_judge(p->exactness == AP_EXACT && s->last.list ? &s->last : &s->golden, outputs,
                            p->exactness, gate, passed));
done:
    return err;
}

static ap_err refuse(session *s, const ap_pass *p, json_t *step, json_t *gate, ap_err why) {
    s->disabled[p - ap_passes] = true;
    if (gate) json_object_set(step, "gate", gate);
    if (why) json_object_set_new(step, "error", ap_json_from_err(why));
    keep_step(s, s->refused, json_incref(step));
    ap_err_free(why);
    return restore(&s->now);
}

static void take_over(session *s, ap_cleaned *fresh, ap_outputs *outputs) {
    ap_cleaned_release(&s->now);
    ap_outputs_free(&s->last);
    ap_types_release(&s->types);
    s->now = *fresh;
    s->last = *outputs;
    *fresh = (ap_cleaned){0};
    *outputs = (ap_outputs){0};
}

static void accept(session *s, json_t *step, json_t *gate, const ap_pass_result *r, ap_cleaned *fresh,
                   ap_outputs *outputs) {
    json_object_set_new(step, "after", json_string(fresh->sha256));
    json_object_set_new(step, "changed", json_integer((json_int_t)r->changed));
    json_object_set(step, "touched", r->touched);
    json_object_set(step, "gate", gate);
    json_array_append_new(json_object_get(step, "nodes"),
                          json_integer((json_int_t)fresh->model->graph->node_count));
    keep_step(s, s->steps, json_incref(step));
    take_over(s, fresh, outputs);
}

static ap_err try_pass(session *s, const ap_pass *p, bool *changed) {
    ap_pass_result r = {0};
    ap_cleaned fresh = {0};
    ap_outputs outputs = {0};
    json_t *gate = NULL, *step = step_json(p, s->now.sha256, s->now.model->graph->node_count);
    bool passed = false;
    ap_err err = p->run(s->now.model, &s->context, &r);
    if (!err && !r.changed) goto done;
    if (!err) err = examine(s, p, &fresh, &outputs, &gate, &passed);
    if (err && is_fatal(ap_err_code(err))) goto done;
    if (passed && !err) {
        accept(s, step, gate, &r, &fresh, &outputs);
        *changed = true;
    } else {
        err = refuse(s, p, step, gate, err);
    }
done:
    ap_pass_result_release(&r);
    ap_cleaned_release(&fresh);
    ap_outputs_free(&outputs);
    json_decref(gate);
    json_decref(step);
    return err;
}

static ap_err run_kind(session *s, ap_exactness kind, bool *changed) {
    for (const ap_pass *p = ap_passes; p->name; p++) {
        if (p->exactness != kind || s->disabled[p - ap_passes] || is_skipped(s->o, p->name)) continue;
        ap_err err = try_pass(s, p, changed);
        if (err) return err;
    }
    return NULL;
}

static ap_err run_all(session *s) {
    ap_err err = NULL;
    for (size_t round = 0; !err && round < AP_CLEAN_ROUNDS; round++) {
        bool changed = false;
        err = run_kind(s, AP_EXACT, &changed);
        if (!err && !changed) err = run_kind(s, AP_ROUNDING, &changed);
        if (!changed) break;
    }
    return err;
}

// ---- a plan on a model that has changed

static ap_err misfit(size_t n, const char *name, const char *why) {
    ap_err err =
        ap_err_new(AP_ERR_GATE, "step %zu of the plan (%s) does not fit this model: %s", n, name, why);
    return ap_err_hint(err, "make the plan anew with 'aipc surgery'");
}

static bool type_of_value(void *user, const ap_value *v, ap_value_type *out) {
    const ap_value_type *t = ap_types_get(user, v);
    if (t) *out = *t;
    return t != NULL;
}

static ap_err match_again(session *s, size_t n, const json_t *step, ap_applied *done_it) {
    const char *name = ap_json_str(step, "name", "?"), *root = ap_json_str(step, "root", "");
    const ap_rule *rule = s->o->rules ? ap_rules_find(s->o->rules, name) : NULL;
    const ap_value *made = ap_graph_value(s->now.model->graph, root);
    ap_match_env env = {
        .model = s->now.model, .rules = s->o->rules, .compute = s->o->compute, .oracle = s->o->pieces};
    ap_match_miss miss = {0};
    ap_match *m = NULL;
    ap_types *types = NULL;
    ap_err err = NULL;
    if (!rule) return misfit(n, name, "there is no such rule");
    if (strcmp(rule->hash.hex, ap_json_str(step, "hash", "")) != 0) // proven was the other one
        return misfit(n, name, "the rule has changed since");
    if (!made || !made->producer) {
        ap_buf why = {0};
        ap_buf_printf(&why, "no node makes '%s'", root);
        err = misfit(n, name, ap_buf_str(&why));
        ap_buf_free(&why);
        return err;
    }
    AP_TRY(ap_types_measure(s->now.model, &s->context, &types));
    env.types = (ap_type_source){type_of_value, types};
    AP_TRY(ap_facts_new(s->now.model, &env.types, env.compute, &env.facts));
    AP_TRY(ap_rule_match(rule, &env, made->producer, &m, &miss));
    if (m)
        AP_TRY(ap_match_apply(m, done_it));
    else
        err = misfit(n, name, miss.text);
done:
    ap_match_free(m);
    ap_facts_free(env.facts);
    return err;
}

// The outputs after a rule are held against the original by the weakest class so far. Errors of steps add up.
static void lower_floor(session *s, const json_t *step) {
    enum { ADD_UP_DB = 10 };
    int db = 0;
    if (sscanf(ap_json_str(step, "class", ""), "db %d", &db) == 1)
        s->floor_db = fmin(s->floor_db, (double)db - ADD_UP_DB);
}

static ap_err rule_again(session *s, size_t n, const json_t *step) {
    const char *name = ap_json_str(step, "name", "?");
    ap_applied a = {0};
    ap_cleaned fresh = {0};
    ap_outputs outputs = {0};
    json_t *gate = NULL;
    bool passed = false;
    ap_err err = NULL;
    AP_TRY(match_again(s, n, step, &a));
    lower_floor(s, step);
    AP_TRY(copy_checked(s, "the rule", &fresh));
    AP_TRY(ap_outputs_run(s->o->oracle, fresh.model, &outputs));
    AP_TRY(ap_outputs_judge_db(&s->golden, &outputs, s->floor_db, &gate, &passed));
    if (!passed) {
        err = misfit(n, name, "the numbers are not those of the original any more");
        goto done;
    }
    keep_step(s, s->steps, json_incref(a.record));
    take_over(s, &fresh, &outputs);
done:
    ap_applied_release(&a);
    ap_cleaned_release(&fresh);
    ap_outputs_free(&outputs);
    json_decref(gate);
    return err;
}

static ap_err run_recorded(session *s) {
    size_t i;
    json_t *step;
    json_array_foreach((json_t *)(uintptr_t)s->o->order, i, step) {
        const char *name = ap_json_str(step, "name", "?");
        bool rule = strcmp(ap_json_str(step, "kind", ""), "rule") == 0, changed = false;
        const ap_pass *p = rule ? NULL : ap_pass_find(name);
        if (!rule && !p) return misfit(i + 1, name, "there is no such pass");
        ap_err err = rule ? rule_again(s, i + 1, step) : try_pass(s, p, &changed);
        if (err) return err;
    }
    return NULL;
}

ap_err ap_clean(const ap_model *m, const ap_clean_options *o, ap_cleaned *out, json_t **report) {
    session s = {
        .o = o, .context = {.oracle = o->oracle, .params = o->params}, .floor_db = AP_CLEAN_ROUNDING_DB};
    s.context.types = &s.types;
    ap_err err = NULL;
    s.steps = json_array();
    s.refused = json_array();
    for (size_t i = 0; i < o->skip_count; i++)
        if (!ap_pass_find(o->skip[i])) AP_FAIL(AP_ERR_USAGE, "there is no pass '%s'", o->skip[i]);
    AP_TRY(copy_of(m, &s.now));
    s.interface = ap_interface_digest(s.now.model);
    AP_TRY(ap_outputs_run(o->oracle, s.now.model, &s.golden));
    AP_TRY(o->order ? run_recorded(&s) : run_all(&s));
    *report = json_pack("{sO,sO}", "steps", s.steps, "refused", s.refused);
    *out = s.now;
    s.now = (ap_cleaned){0};
done:
    ap_cleaned_release(&s.now);
    ap_outputs_free(&s.golden);
    ap_outputs_free(&s.last);
    ap_types_release(&s.types);
    json_decref(s.steps);
    json_decref(s.refused);
    return err;
}

// ---- replay

static ap_err stale(size_t n, const char *name, const char *what) {
    ap_err err = ap_err_new(AP_ERR_GATE, "step %zu of the plan (%s) no longer holds: %s", n, name, what);
    return ap_err_hint(err, "make the plan again with 'aipc surgery'");
}

static ap_err replay_step(ap_cleaned *c, size_t n, const json_t *step, const ap_pass_context *given) {
    ap_types types = {0};
    const ap_pass_context context = {.oracle = given->oracle, .types = &types, .params = given->params};
    const char *name = ap_json_str(step, "name", "?");
    const ap_pass *p = ap_pass_find(name);
    ap_pass_result r = {0};
    ap_cleaned fresh = {0};
    ap_err err = NULL;
    if (strcmp(ap_json_str(step, "kind", ""), "pass") != 0 || !p) {
        err = stale(n, name, "this aipc has no such pass");
        goto done;
    }
    if (ap_json_int(step, "version", 0) != p->version) {
        err = stale(n, name, "this aipc has another version of the pass");
        goto done;
    }
    if (strcmp(ap_json_str(step, "before", ""), c->sha256) != 0) {
        err = stale(n, name, "the model in front of it is another one (before)");
        goto done;
    }
    AP_TRY(p->run(c->model, &context, &r));
    if ((int64_t)r.changed != ap_json_int(step, "changed", -1)) {
        err = stale(n, name, "it changes another number of places (changed)");
        goto done;
    }
    AP_TRY(copy_of(c->model, &fresh));
    if (strcmp(ap_json_str(step, "after", ""), fresh.sha256) != 0) {
        err = stale(n, name, "the model behind it is another one (after)");
        goto done;
    }
    ap_cleaned_release(c);
    *c = fresh;
    fresh = (ap_cleaned){0};
done:
    ap_types_release(&types);
    ap_pass_result_release(&r);
    ap_cleaned_release(&fresh);
    return err;
}

static ap_err replay_rule(ap_cleaned *now, ap_replay_rules *r, size_t n, const json_t *step,
                          const ap_pass_context *c) {
    ap_err err = ap_replay_rule(r, now->model, c, step);
    if (!err) return NULL;
    err = ap_err_context(err, "step %zu of the plan (rule %s)", n, ap_json_str(step, "name", "?"));
    return ap_err_hint(err, "make the plan again with 'aipc surgery'");
}

// The model rules have edited, packed and read anew.
static ap_err settle(ap_cleaned *now, ap_replay_rules *r) {
    ap_cleaned fresh = {0};
    ap_replay_rules_end(r);
    ap_err err = copy_of(now->model, &fresh);
    if (err) return err;
    ap_cleaned_release(now);
    *now = fresh;
    return NULL;
}

ap_err ap_replay(const ap_model *m, const json_t *steps, const ap_pass_context *c, ap_cleaned *out) {
    ap_cleaned now = {0};
    ap_replay_rules rules = {0};
    bool edited = false; // by rules, since `now` was packed
    size_t i;
    json_t *step;
    ap_err err = copy_of(m, &now);
    if (err) return err;
    json_array_foreach((json_t *)(uintptr_t)steps, i, step) {
        bool rule = strcmp(ap_json_str(step, "kind", ""), "rule") == 0;
        if (edited && !rule) AP_TRY(settle(&now, &rules));
        if (rule)
            AP_TRY(replay_rule(&now, &rules, i + 1, step, c));
        else
            AP_TRY(replay_step(&now, i + 1, step, c));
        edited = rule;
    }
    if (edited) AP_TRY(settle(&now, &rules));
done:
    ap_replay_rules_end(&rules);
    if (err)
        ap_cleaned_release(&now);
    else
        *out = now;
    return err;
}
