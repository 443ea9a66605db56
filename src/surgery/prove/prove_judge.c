// SPDX-License-Identifier: Apache-2.0
// Instances through match, both sides and comparison.
#include "base/rand.h"
#include "surgery/prove/prove_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CLIMBS = 60, MOST_STEPS = 24, SECOND_EVERY = 10, LOOP_EVERY = 8 };

void judge_open(judge *j, const ap_rule *r, const ap_prove_options *o) {
    *j = (judge){.rule = r, .o = o, .state = o->seed};
    for (const char *p = r->hash.hex; *p; p++) j->state = ap_mix64(j->state ^ (uint64_t)(unsigned char)*p);
    j->outside = ap_calloc(r->step_count + 1, sizeof *j->outside);
}

void judge_close(judge *j) {
    ap_map_free(&j->illegal);
    free(j->outside);
    j->outside = NULL;
}

static bool measured_type(void *user, const ap_value *v, ap_value_type *out) {
    const ap_value_type *t = ap_map_get(user, v->name);
    if (t) *out = *t;
    return t != NULL;
}

ap_match_env instance_env(instance *x, ap_model *m, const ap_prove_options *o, ap_facts **facts) {
    ap_match_env env = {
        .model = m, .rules = o->rules, .compute = o->compute, .oracle = o->oracle, .skip = o->skip};
    env.types = (ap_type_source){measured_type, &x->measured};
    ap_err_free(ap_facts_new(m, &env.types, o->compute ? o->compute : AP_F32, facts));
    for (size_t i = 0; i < x->feed_count; i++)
        if (x->feeds[i].assumed)
            ap_err_free(ap_facts_assume(*facts, x->feeds[i].v->name, x->feeds[i].lo, x->feeds[i].hi));
    env.facts = *facts;
    return env;
}

// ---- finding instances the precondition lets in

static void count_outside(judge *j, const ap_match_miss *miss) {
    const ap_rule *r = j->rule;
    size_t i = 0;
    while (i < r->step_count &&
           (r->steps[i].pos.line != miss->pos.line || r->steps[i].pos.col != miss->pos.col))
        i++;
    j->outside[i]++;
}

// Does the rule fit, as far as can be told without the oracle? *depth: how near it came.
static bool may_fit(judge *j, instance *x, size_t *depth) {
    if (!x->types_known) return true;
    ap_facts *facts = NULL;
    ap_match_env env = instance_env(x, x->model, j->o, &facts);
    ap_match *m = NULL;
    ap_match_miss miss;
    env.oracle = NULL;
    ap_err_free(ap_rule_match(j->rule, &env, x->root, &m, &miss));
    bool fits = m || strstr(miss.text, "no oracle to ask");
    if (!fits) {
        count_outside(j, &miss);
        snprintf(j->why, sizeof j->why, "%s", miss.text);
    }
    *depth = miss.depth;
    if (m && j->o->skip) { // it must be this line that decides
        ap_match_free(m);
        m = NULL;
        env.skip = NULL;
        ap_err_free(ap_rule_match(j->rule, &env, x->root, &m, &miss));
        fits = !m;
        if (m) snprintf(j->why, sizeof j->why, "the line is true anyhow");
    }
    ap_match_free(m);
    ap_facts_free(facts);
    return fits;
}

static void disturb(choices *c, uint64_t *state) {
    *state = ap_mix64(*state + 1);
    size_t hits = 1 + (size_t)(*state % 3);
    for (size_t i = 0; i < hits && c->count; i++) {
        *state = ap_mix64(*state + 1);
        c->list[*state % c->count] = (uint32_t)(*state >> 40) % 100;
    }
    c->state = *state;
}

instance *judge_propose(judge *j) {
    choices best = {0}, now = {0};
    size_t best_depth = 0;
    instance *x = NULL;
    for (size_t i = 0; i < MOST_CLIMBS && !x; i++) {
        size_t depth = 0;
        j->tries++;
        j->state = ap_mix64(j->state + 1);
        if (best_depth && i % 12) {
            choices_copy(&now, &best);
            disturb(&now, &j->state);
        } else {
            choices_start(&now, j->state);
            best_depth = 0;
        }
        x = instance_draw(j->rule, j->o, &now, j->serial++, &j->illegal, j->why, sizeof j->why);
        if (!x || may_fit(j, x, &depth)) continue;
        if (depth > best_depth) {
            best_depth = depth;
            choices_copy(&best, &x->c);
        }
        instance_free(x);
        x = NULL;
    }
    choices_free(&best);
    choices_free(&now);
    return x;
}

// ---- the right side

static void fail(instance *x, prove_failure kind, const char *why) {
    x->stage = STAGE_FAILED;
    x->fail = kind;
    x->why = ap_arena_strdup(&x->arena, why);
}

static void set_aside(instance *x, prove_stage stage, const char *why) {
    x->stage = stage;
    x->why = ap_arena_strdup(&x->arena, why);
}

// One step of the rule on a graph, wherever it fits.
static ap_err step_once(judge *j, instance *x, ap_model *m, bool *went) {
    ap_facts *facts = NULL;
    ap_match_env env = instance_env(x, m, j->o, &facts);
    ap_err err = NULL;
    *went = false;
    for (size_t i = 0; i < m->graph->node_count && !err && !*went; i++) {
        ap_match *match = NULL;
        ap_applied done_ = {0};
        err = ap_rule_match(j->rule, &env, m->graph->nodes[i], &match, NULL);
        if (!err && match) {
            ap_err refused = ap_match_apply(match, &done_);
            *went = !refused;
            ap_err_free(refused);
            ap_applied_release(&done_);
        }
        ap_match_free(match);
    }
    ap_facts_free(facts);
    return err;
}

// The rule on its own result, again and again: that must end.
static ap_err check_loops(judge *j, instance *x) {
    ap_model *m = NULL;
    ap_err err = model_copy(x->right, &x->arena, false, &m);
    size_t steps = 0;
    bool more = true;
    while (!err && more && steps <= MOST_STEPS) {
        err = step_once(j, x, m, &more);
        steps += more;
    }
    ap_model_free(m);
    if (steps > MOST_STEPS) fail(x, FAIL_LOOP, "the rule fits its own result again and again");
    return err;
}

static void take_refusal(instance *x, ap_err err) {
    const char *stage = ap_err_get_stage(err);
    if (stage && !strcmp(stage, AP_RULE_BREAKS))
        fail(x, FAIL_TYPE, ap_err_message(err));
    else
        set_aside(x, STAGE_REFUSED, ap_err_message(err));
    ap_err_free(err);
}

// Without the line that is skipped the rule must not fit: else it says nothing about the line.
static ap_err fits_whole(judge *j, const ap_match_env *env, ap_node *root, bool *fits) {
    ap_match_env whole = *env;
    ap_match *m = NULL;
    *fits = false;
    if (!whole.skip) return NULL;
    whole.skip = NULL;
    ap_err err = ap_rule_match(j->rule, &whole, root, &m, NULL);
    *fits = m != NULL;
    ap_match_free(m);
    return err;
}

ap_err judge_right(judge *j, instance *x, size_t serial) {
    ap_facts *facts = NULL;
    ap_match *m = NULL;
    ap_match_miss miss = {0};
    ap_applied applied = {0};
    bool whole = false;
    ap_err err = NULL;
    AP_TRY(model_copy(x->model, &x->arena, false, &x->right));
    ap_node *root = ap_graph_node(x->right->graph, x->root->name);
    if (!root) AP_FAIL(AP_ERR_INTERNAL, "an instance lost its root");
    ap_match_env env = instance_env(x, x->right, j->o, &facts);
    AP_TRY(ap_rule_match(j->rule, &env, root, &m, &miss));
    if (m) AP_TRY(fits_whole(j, &env, root, &whole));
    if (!m || whole) {
        if (!m) count_outside(j, &miss);
        set_aside(x, STAGE_OUTSIDE, m ? "the line is true anyhow" : miss.text);
        goto done;
    }
    x->cls = m->cls;
    err = ap_match_apply(m, &applied);
    if (ap_err_code(err) == AP_ERR_REFUSED) {
        take_refusal(x, err);
        err = NULL;
    } else if (!err && !j->o->skip && serial % LOOP_EVERY == 0) {
        err = check_loops(j, x);
    }
done:
    ap_applied_release(&applied);
    ap_match_free(m);
    ap_facts_free(facts);
    return err;
}

// ---- all of it

// How large results of everyday values are: what errors of odd values are measured against.
static double mild_rms(judge *j, instance **list, size_t count) {
    for (size_t i = 0; i < count && !j->alone; i++)
        for (size_t k = 0; list[i]->stage == STAGE_DRAWN && list[i]->now && k < list[i]->left_count; k++)
            if (value_class_mild(list[i]->values) && ap_dtype_is_float(list[i]->left[k].dtype))
                (void)signal_rms(&list[i]->left[k], &j->mild.signal, &j->mild.count);
    return j->mild.count ? sqrt(j->mild.signal / (double)j->mild.count) : 0;
}

static bool wants_second(const instance *x, size_t i) {
    if (x->stage == STAGE_FAILED) return x->fail == FAIL_VALUE || x->fail == FAIL_NAN;
    return x->stage == STAGE_HELD && i % SECOND_EVERY == 0;
}

static bool all_agree(const instance *x, const ap_tensor *list) {
    bool agree = true;
    for (size_t k = 0; k < x->left_count && agree; k++) agree = outputs_agree(&list[k], &x->second[k]);
    return agree;
}

// A second opinion on the left side of every tenth instance and of all that failed.
static ap_err ask_second(judge *j, instance **list, size_t count) {
    instance **asked = ap_calloc(count + 1, sizeof(instance *));
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (wants_second(list[i], i)) asked[n++] = list[i];
    ap_err err = batch_run(asked, n, SIDE_SECOND, j->o->second, NULL);
    for (size_t i = 0; i < n && !err; i++) {
        instance *x = asked[i];
        if (!x->second || all_agree(x, x->left)) continue;
        // What neither oracle gives on the left is wrong whoever is right.
        if (x->stage == STAGE_FAILED && !all_agree(x, x->now)) continue;
        set_aside(x, STAGE_DISPUTED, "the second oracle computes something else on the left");
    }
    free(asked);
    return err;
}

ap_err judge_all(judge *j, instance **list, size_t count) {
    ap_err err = NULL;
    AP_TRY(batch_run(list, count, SIDE_LEFT, j->o->oracle, &j->illegal));
    for (size_t i = 0; i < count; i++)
        if (list[i]->stage == STAGE_DRAWN) AP_TRY(judge_right(j, list[i], i));
    AP_TRY(batch_run(list, count, SIDE_RIGHT, j->o->oracle, NULL));
    bool scales = false;
    for (size_t i = 0; i < count; i++)
        scales |= list[i]->stage == STAGE_DRAWN && list[i]->cls.kind == AP_CLASS_ULP && list[i]->sums;
    if (scales) AP_TRY(batch_run(list, count, SIDE_ABS, j->o->oracle, NULL));
    double rms = mild_rms(j, list, count);
    for (size_t i = 0; i < count; i++)
        if (list[i]->stage == STAGE_DRAWN) compare_instance(j->rule, list[i], j->alone ? NULL : &j->sum, rms);
    if (j->o->second) AP_TRY(ask_second(j, list, count));
done:
    return err;
}
