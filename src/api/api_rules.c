// SPDX-License-Identifier: Apache-2.0
// aipc rules: the library, a rule, and its proof.
#include "api/api_priv.h"
#include "base/cpu.h"
#include "base/log.h"
#include "base/proc.h"
#include "plan/surgery/proofs.h"
#include "plan/work/jobs.h"
#include "surgery/oracle/oracle_command.h"
#include "surgery/prove/prove_open.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// ---- opening the library

static json_t *problems_json(const ap_rule_problems *p) {
    json_t *list = json_array();
    for (size_t i = 0; i < p->count; i++) {
        const ap_rule_problem *q = &p->items[i];
        json_array_append_new(list,
                              json_pack("{ss, so, so, si, si, so}", "severity",
                                        q->warning ? "warning" : "error", "rule", ap_json_string(q->rule),
                                        "file", ap_json_string(q->file), "line", (int)q->pos.line, "column",
                                        (int)q->pos.col, "message", ap_json_string(q->message)));
    }
    return list;
}

// all: rules that are refused on load stay, to be shown and proven wrong.
static ap_err open_rules(const char *folder, bool all, ap_rules **rules, json_t **problems) {
    ap_rule_problems p = {0};
    ap_err err = all ? ap_rules_open_all(folder, rules, &p) : ap_rules_open(folder, rules, &p);
    if (!err) *problems = problems_json(&p);
    ap_rule_problems_free(&p);
    return err;
}

static json_t *words(const char *const *list, size_t count) {
    json_t *a = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(a, ap_json_string(list[i]));
    return a;
}

static json_t *rule_json(const ap_rule *r) {
    ap_buf cls = {0};
    const ap_rule_node *root = &r->match[r->root];
    for (size_t i = 0; i < r->class_count; i++) {
        if (i) ap_buf_puts(&cls, ", ");
        ap_rule_class_print(&r->classes[i], &cls);
    }
    json_t *j =
        json_pack("{so, so, ss, so, so, so, so, si, so}", "name", ap_json_string(r->name), "family",
                  ap_json_string(r->family), "hash", r->hash.hex, "class", ap_json_string(ap_buf_str(&cls)),
                  "doc", ap_json_string(r->doc), "helps", words(r->helps, r->help_count), "file",
                  ap_json_string(r->file), "line", (int)r->pos.line, "ops", words(root->ops, root->op_count));
    ap_buf_free(&cls);
    return j;
}

// What is known of a rule's proof; null when it was not proven here yet.
static json_t *known_proof(aipc_context *c, const ap_rule *r, const char *oracle) {
    json_t *proof = NULL;
    if (oracle) ap_proofs_look(c, r, oracle, &proof);
    return proof ? proof : json_null();
}

aipc_error *aipc_rules_list(aipc_context *c, const char *folder, char **document) {
    ap_rules *rules = NULL;
    ap_plan_oracle oracle = {0};
    json_t *problems = NULL, *list = json_array();
    ap_err err = NULL;
    AP_TRY(open_rules(folder, false, &rules, &problems));
    ap_err_free(ap_plan_oracle_open(c, SIZE_MAX, &oracle)); // without a runtime nothing is known of proofs
    for (size_t i = 0; i < rules->count; i++) {
        json_t *j = rule_json(rules->list[i]), *proof = known_proof(c, rules->list[i], oracle.sha256);
        json_object_set_new(j, "proof",
                            json_is_object(proof) ? json_string(ap_json_str(proof, "verdict", "?"))
                                                  : json_null());
        json_decref(proof);
        json_array_append_new(list, j);
    }
    api_give(json_pack("{sO, sO, ss}", "rules", list, "problems", problems, "hash", rules->hash.hex),
             document);
done:
    ap_plan_oracle_close(&oracle);
    json_decref(list);
    json_decref(problems);
    ap_rules_free(rules);
    return ap_err_stage(err, "rules");
}

// ---- choosing rules

static bool is_chosen(const ap_rule *r, const char *word) {
    return !strcmp(r->name, word) || !strcmp(r->family, word) || !strcmp(r->file, word) ||
           !strcmp(ap_path_base(r->file), word);
}

static ap_err no_such_rule(const ap_rules *rules, const char *word) {
    const char **names = ap_calloc(rules->count + 1, sizeof *names);
    for (size_t i = 0; i < rules->count; i++) names[i] = rules->list[i]->family;
    const char *near = ap_nearest(word, names, rules->count);
    ap_err err = ap_err_new(AP_ERR_USAGE, "there is no rule '%s'", word);
    err = near ? ap_err_hint(err, "did you mean %s?", near)
               : ap_err_hint(err, "aipc rules list shows all rules");
    free(names);
    return err;
}

static ap_err choose_rules(const ap_rules *rules, const char *const *wanted, size_t count,
                           const ap_rule ***out, size_t *n) {
    const ap_rule **list = ap_calloc(rules->count + 1, sizeof(ap_rule *));
    bool *taken = ap_calloc(rules->count + 1, sizeof *taken);
    ap_err err = NULL;
    for (size_t w = 0; w < count && !err; w++) {
        bool any = false;
        for (size_t i = 0; i < rules->count; i++)
            if (is_chosen(rules->list[i], wanted[w])) any = taken[i] = true;
        if (!any) err = no_such_rule(rules, wanted[w]);
    }
    *n = 0;
    for (size_t i = 0; i < rules->count; i++)
        if (!count || taken[i]) list[(*n)++] = rules->list[i];
    free(taken);
    if (err)
        free(list);
    else
        *out = list;
    return err;
}

aipc_error *aipc_rules_show(aipc_context *c, const char *folder, const char *name, char **document) {
    ap_rules *rules = NULL;
    const ap_rule **list = NULL;
    ap_plan_oracle oracle = {0};
    json_t *problems = NULL, *out = json_array();
    size_t count = 0;
    ap_err err = NULL;
    AP_TRY(open_rules(folder, true, &rules, &problems));
    AP_TRY(choose_rules(rules, &name, 1, &list, &count));
    ap_err_free(ap_plan_oracle_open(c, SIZE_MAX, &oracle));
    for (size_t i = 0; i < count; i++) {
        json_t *j = rule_json(list[i]);
        json_object_set_new(j, "text", ap_json_string(list[i]->text));
        json_object_set_new(j, "proof", known_proof(c, list[i], oracle.sha256));
        json_array_append_new(out, j);
    }
    api_give(json_pack("{sO}", "rules", out), document);
done:
    ap_plan_oracle_close(&oracle);
    free(list);
    json_decref(out);
    json_decref(problems);
    ap_rules_free(rules);
    return ap_err_stage(err, "rules");
}

// ---- proving

// `lock` guards `next`, `results`, `done` and `err`. A lane takes rule after rule.
typedef struct bench {
    aipc_context *context;
    const aipc_rules_options *o;
    const ap_rules *rules;
    const ap_rule **list;
    size_t count, next, done;
    json_t **results;
    pthread_mutex_t lock;
    ap_err err;
} bench;

static json_t *mutants_json(const ap_mutant *list, size_t count) {
    json_t *a = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            a, json_pack("{so, si, sb, sb, sI}", "where", ap_json_string(list[i].line->text), "line",
                         (int)list[i].line->pos.line, "killed", (int)list[i].killed, "undefined",
                         (int)list[i].undefined, "instances", (json_int_t)list[i].instances));
    return a;
}

static ap_err prove_one(bench *b, const ap_rule *r, const ap_plan_oracle *oracle,
                        const ap_piece_oracle *second, json_t **out) {
    ap_prove_options o = {.rules = b->rules,
                          .oracle = &oracle->piece,
                          .second = second,
                          .instances = b->o->instances,
                          .seed = b->o->seed ? b->o->seed : 1,
                          .keep = b->o->keep};
    ap_proof proof = {0};
    ap_mutant *mutants = NULL;
    size_t count = 0;
    uint64_t start = ap_now_us();
    json_t *j = NULL;
    ap_err err = NULL;
    AP_TRY(ap_prove(r, &o, &proof));
    j = ap_proof_json(r, &proof, oracle->name);
    // What was looked at as closely as `deploy` looks is not proven twice.
    if (proof.verdict == AP_PROOF_HOLDS && proof.instances >= AP_PROVE_INSTANCES)
        ap_proofs_keep(b->context, r, oracle->sha256, j);
    if (b->o->mutate && proof.verdict == AP_PROOF_HOLDS) {
        AP_TRY(ap_prove_mutants(r, &o, &mutants, &count));
        json_object_set_new(j, "mutants", mutants_json(mutants, count));
    }
    json_object_set_new(j, "seconds", json_real((double)(ap_now_us() - start) * 1e-6));
    *out = json_incref(j);
done:
    json_decref(j);
    free(mutants);
    ap_proof_release(&proof);
    return err;
}

static void take_error(bench *b, ap_err err) {
    pthread_mutex_lock(&b->lock);
    if (b->err)
        ap_err_free(err);
    else
        b->err = err;
    pthread_mutex_unlock(&b->lock);
}

static size_t take_rule(bench *b) {
    pthread_mutex_lock(&b->lock);
    size_t i = b->err ? b->count : b->next++;
    pthread_mutex_unlock(&b->lock);
    return i;
}

static void lane(void *user, ap_jobs *jobs, size_t self, size_t slot) {
    bench *b = user;
    ap_plan_oracle oracle = {0};
    ap_oracle_command *second = NULL;
    ap_piece_oracle asked = {0};
    (void)jobs;
    (void)self;
    ap_err err = ap_plan_oracle_open(b->context, slot, &oracle);
    if (!err && b->o->second) err = ap_oracle_command_open(b->o->second, oracle.dir, &second);
    if (second) asked = ap_oracle_command_piece(second);
    for (size_t i = take_rule(b); !err && i < b->count; i = take_rule(b)) {
        json_t *result = NULL;
        err = prove_one(b, b->list[i], &oracle, second ? &asked : NULL, &result);
        pthread_mutex_lock(&b->lock);
        b->results[i] = result;
        size_t done_ = ++b->done;
        pthread_mutex_unlock(&b->lock);
        ap_context_progress(b->context, done_, b->count, "proving %s", b->list[i]->name);
    }
    if (err) take_error(b, err);
    ap_oracle_command_close(second);
    ap_plan_oracle_close(&oracle);
}

static void run_lanes(bench *b) {
    size_t n = b->o->threads ? b->o->threads : ap_cpu_count();
    if (n > b->count) n = b->count;
    ap_jobs *jobs = ap_jobs_new();
    for (size_t i = 0; i < n; i++) ap_jobs_add(jobs, lane, b, AP_JOB_NONE);
    ap_jobs_run(jobs, n);
    ap_jobs_free(jobs);
}

static json_t *summary(const bench *b, size_t *failed) {
    size_t holds = 0, lines = 0, killed = 0;
    for (size_t i = 0; i < b->count; i++) {
        const json_t *m, *mutants = json_object_get(b->results[i], "mutants");
        size_t k;
        holds += !strcmp(ap_json_str(b->results[i], "verdict", ""), ap_proof_word(AP_PROOF_HOLDS));
        json_array_foreach(mutants, k, m) {
            lines++;
            killed += ap_json_bool(m, "killed", false);
        }
    }
    *failed = b->count - holds;
    return json_pack("{sI, sI, sI, sI}", "rules", (json_int_t)b->count, "hold", (json_int_t)holds, "mutants",
                     (json_int_t)lines, "killed", (json_int_t)killed);
}

static ap_err judge_summary(size_t failed, size_t count) {
    if (!failed) return NULL;
    return ap_err_hint(ap_err_new(AP_ERR_GATE, "%zu of %zu rules are not proven", failed, count),
                       "see `reason` and `counter` of each; --keep DIR writes the counterexamples");
}

aipc_error *aipc_rules_test(aipc_context *c, const aipc_rules_options *options, char **document) {
    aipc_rules_options o;
    api_take(&o, sizeof o, options);
    bench b = {.context = c, .o = &o, .lock = PTHREAD_MUTEX_INITIALIZER};
    ap_rules *rules = NULL;
    json_t *problems = NULL, *list = json_array(), *sum = NULL;
    size_t failed = 0;
    ap_err err = NULL;
    AP_TRY(open_rules(o.folder, true, &rules, &problems));
    b.rules = rules;
    AP_TRY(choose_rules(rules, o.what, o.what_count, &b.list, &b.count));
    b.results = ap_calloc(b.count + 1, sizeof(json_t *));
    run_lanes(&b);
    AP_TRY(b.err);
    sum = summary(&b, &failed);
    for (size_t i = 0; i < b.count; i++) json_array_append(list, b.results[i]);
    api_give(json_pack("{sO, sO, sO}", "proofs", list, "summary", sum, "problems", problems), document);
    AP_TRY(judge_summary(failed, b.count));
done:
    for (size_t i = 0; b.results && i < b.count; i++) json_decref(b.results[i]);
    free(b.results);
    free(b.list);
    json_decref(sum);
    json_decref(list);
    json_decref(problems);
    ap_rules_free(rules);
    return ap_err_stage(err, "rules");
}
