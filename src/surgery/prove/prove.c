// SPDX-License-Identifier: Apache-2.0
// The verdict on a rule, and on every line of its precondition.
#include "surgery/prove/prove.h"

#include "surgery/prove/prove_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64, MOST_TRIES = 2000, TRIES_EACH = 300, MUTANT_ROUNDS = 6, MUTANT_BATCH = 48 };

const char *ap_proof_word(ap_proof_verdict v) {
    static const char *const words[] = {"holds", "fails", "never fits", "breaks types", "loops", "undecided"};
    return words[v];
}

void ap_proof_release(ap_proof *p) {
    free(p->reason);
    json_decref(p->counter);
    *p = (ap_proof){0};
}

static void say(ap_proof *p, ap_proof_verdict v, const char *fmt, ...) AP_PRINTF(3, 4);
static void say(ap_proof *p, ap_proof_verdict v, const char *fmt, ...) {
    ap_buf text = {0};
    va_list args;
    va_start(args, fmt);
    ap_buf_vprintf(&text, fmt, args);
    va_end(args);
    free(p->reason);
    p->verdict = v;
    p->reason = ap_buf_detach(&text);
}

static double decibel(const noise *n) {
    if (!n->count) return NAN;
    return n->error > 0 ? 10 * log10(n->signal / n->error) : INFINITY;
}

// ---- a round

typedef struct prove_run {
    instance *list[BATCH];
    size_t count;
    size_t failed; // one of them; SIZE_MAX: none
    size_t held;
    const char *refused; // why one could not be built
} prove_run;

static void draw_round(judge *j, prove_run *r, size_t wanted) {
    *r = (prove_run){.failed = SIZE_MAX};
    for (size_t misses = 0; r->count < wanted && misses < 6;) {
        instance *x = judge_propose(j);
        if (x)
            r->list[r->count++] = x;
        else
            misses++;
    }
}

static void count_round(judge *j, prove_run *r, ap_proof *p) {
    for (size_t i = 0; i < r->count; i++) {
        const instance *x = r->list[i];
        r->held += x->stage == STAGE_HELD;
        if (x->stage == STAGE_REFUSED) r->refused = x->why;
        if ((x->stage == STAGE_ILLEGAL || x->stage == STAGE_OUTSIDE) && x->why)
            snprintf(j->why, sizeof j->why, "%s", x->why);
        p->disputed += x->stage == STAGE_DISPUTED;
        p->rejected += x->stage == STAGE_OUTSIDE || x->stage == STAGE_ILLEGAL || x->stage == STAGE_REFUSED;
        if (x->stage == STAGE_FAILED && r->failed == SIZE_MAX) r->failed = i;
        if (x->stage == STAGE_HELD) p->worst = fmax(p->worst, x->error);
    }
    p->instances += r->held;
}

static void free_round(prove_run *r) {
    for (size_t i = 0; i < r->count; i++) instance_free(r->list[i]);
    r->count = 0;
}

// ---- the verdict

const char *worst_condition(const judge *j) {
    size_t n = j->rule->step_count, worst = n;
    for (size_t i = 0; i < n; i++)
        if (j->outside[i] && (worst == n || j->outside[i] > j->outside[worst])) worst = i;
    return worst < n ? j->rule->steps[worst].text : NULL;
}

static void say_never(const judge *j, ap_proof *p, const char *refused) {
    const char *line = worst_condition(j);
    if (refused)
        say(p, AP_PROOF_TYPE, "the replacement can never be built: %s", refused);
    else if (line)
        say(p, AP_PROOF_NEVER, "no instance in %zu tries; most often '%s' was not true (%s)", j->tries, line,
            j->why);
    else
        say(p, AP_PROOF_NEVER, "no instance in %zu tries: %s", j->tries, j->why);
}

static ap_err say_failed(judge *j, instance **x, ap_proof *p) {
    static const ap_proof_verdict verdicts[] = {AP_PROOF_FAILS, AP_PROOF_FAILS, AP_PROOF_FAILS,
                                                AP_PROOF_TYPE,  AP_PROOF_TYPE,  AP_PROOF_LOOPS};
    ap_err err = shrink(j, x);
    if (err) return err;
    say(p, verdicts[(*x)->fail], "%s", (*x)->why ? (*x)->why : "?");
    p->counter = instance_json(*x, j->o->seed);
    return j->o->keep ? instance_keep(*x, j->o->keep, j->rule->name) : NULL;
}

static void say_rest(const judge *j, ap_proof *p, size_t wanted, const char *refused) {
    const ap_rule_class *k = &j->rule->classes[0];
    double db = decibel(&j->sum);
    const char *line = worst_condition(j);
    if (k->kind == AP_CLASS_DB && !isnan(db)) p->worst = db;
    if (!p->instances && !p->disputed)
        say_never(j, p, refused);
    else if (k->kind == AP_CLASS_DB && db < (double)k->amount)
        say(p, AP_PROOF_FAILS, "%.1f dB over all instances of everyday values, %lld promised", db,
            (long long)k->amount);
    else if (p->instances < wanted || p->disputed * 4 > p->instances)
        say(p, AP_PROOF_UNDECIDED, "%zu of %zu instances judged, %zu disputed; %s%s%s%s", p->instances,
            wanted, p->disputed, line ? "most often not true: " : j->why, line ? line : "",
            refused ? "; not built: " : "", refused ? refused : "");
    else
        p->verdict = AP_PROOF_HOLDS;
}

// One round; *over when a counterexample was found.
static ap_err prove_round(judge *j, ap_proof *p, size_t wanted, ap_arena *a, const char **refused, bool *over,
                          size_t *held) {
    prove_run r;
    draw_round(j, &r, wanted);
    ap_err err = judge_all(j, r.list, r.count);
    if (err) goto done;
    count_round(j, &r, p);
    if (r.refused && !*refused) *refused = ap_arena_strdup(a, r.refused);
    *over = r.failed != SIZE_MAX;
    *held = r.held;
    if (*over)
        err = say_failed(j, &r.list[r.failed], p);
    else if (isnan(p->db_f16) && r.held > 4)
        err = measure_f16(j, r.list, r.count, &p->db_f16);
done:
    free_round(&r);
    return err;
}

static ap_err prove_rounds(judge *j, ap_proof *p, size_t wanted) {
    ap_arena a = {0};
    ap_err err = NULL;
    const char *refused = NULL;
    bool over = false;
    for (size_t barren = 0;
         p->instances < wanted && j->tries < TRIES_EACH * wanted && barren < 8 && !over && !err;) {
        size_t rest = wanted - p->instances, n = rest + rest / 8 + 1, held = 0;
        if (!p->instances && j->tries >= MOST_TRIES) break;
        err = prove_round(j, p, n < BATCH ? n : BATCH, &a, &refused, &over, &held);
        barren = held ? 0 : barren + 1;
    }
    if (!err && !over) say_rest(j, p, wanted, refused);
    ap_arena_release(&a);
    return err;
}

ap_err ap_prove(const ap_rule *r, const ap_prove_options *o, ap_proof *out) {
    ap_proof p = {.db_f16 = NAN, .seed = o->seed};
    judge j;
    judge_open(&j, r, o);
    ap_err err = prove_rounds(&j, &p, o->instances ? o->instances : AP_PROVE_INSTANCES);
    judge_close(&j);
    if (err)
        ap_proof_release(&p);
    else
        *out = p;
    return err;
}

// ---- mutants

static bool any_crashed(const prove_run *r) {
    bool any = false;
    for (size_t i = 0; i < r->count; i++) any |= r->list[i]->stage == STAGE_ILLEGAL && r->list[i]->crashed;
    return any;
}

static ap_err prove_mutant(const ap_rule *r, const ap_prove_options *o, ap_mutant *m) {
    ap_prove_options without = *o;
    ap_proof p = {0};
    prove_run q;
    judge j;
    ap_err err = NULL;
    without.skip = m->line;
    without.second = NULL;
    judge_open(&j, r, &without);
    for (size_t i = 0; i < MUTANT_ROUNDS && !err && !m->killed && j.tries < 4 * MOST_TRIES; i++) {
        draw_round(&j, &q, i ? MUTANT_BATCH : MUTANT_BATCH / 2);
        if (!q.count && i) break;
        err = judge_all(&j, q.list, q.count);
        if (!err) count_round(&j, &q, &p);
        m->killed = q.failed != SIZE_MAX;
        m->instances = p.instances;
        m->undefined = !m->killed && (m->undefined || any_crashed(&q));
        free_round(&q);
    }
    judge_close(&j);
    ap_proof_release(&p);
    return err;
}

ap_err ap_prove_mutants(const ap_rule *r, const ap_prove_options *o, ap_mutant **out, size_t *count) {
    ap_mutant *list = ap_calloc(r->step_count + 1, sizeof *list);
    size_t n = 0;
    ap_err err = NULL;
    for (size_t i = 0; i < r->step_count && !err; i++) {
        if (r->steps[i].slot >= 0 || r->steps[i].worth) continue;
        list[n].line = &r->steps[i];
        err = prove_mutant(r, o, &list[n++]);
    }
    if (err) {
        free(list);
        return err;
    }
    *out = list;
    *count = n;
    return NULL;
}

// ---- the document

json_t *ap_proof_json(const ap_rule *r, const ap_proof *p, const char *oracle) {
    ap_buf cls = {0};
    ap_rule_class_print(&r->classes[0], &cls);
    json_t *j = json_pack("{so, ss, so, ss, sI, sI, so, so, sI, si, so}", "rule", ap_json_string(r->name),
                          "hash", r->hash.hex, "class", ap_json_string(ap_buf_str(&cls)), "verdict",
                          ap_proof_word(p->verdict), "instances", (json_int_t)p->instances, "disputed",
                          (json_int_t)p->disputed, "worst", ap_json_real(p->worst), "db_f16",
                          isnan(p->db_f16) ? json_null() : ap_json_real(p->db_f16), "seed",
                          (json_int_t)p->seed, "harness", AP_PROVE_VERSION, "oracle", ap_json_string(oracle));
    if (p->reason) json_object_set_new(j, "reason", ap_json_string(p->reason));
    if (p->counter) json_object_set(j, "counter", p->counter);
    ap_buf_free(&cls);
    return j;
}
