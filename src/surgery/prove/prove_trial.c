// SPDX-License-Identifier: Apache-2.0
// What can be said of a rule on load, before any oracle is asked.
#include "surgery/prove/prove_priv.h"

#include <stdio.h>
#include <string.h>

enum { WANTED = 6, MOST_TRIES = 1500 };

typedef enum answer { ANSWER_GOOD, ANSWER_BAD, ANSWER_NONE, ANSWER_OPEN } answer;

// Open: only the oracle can tell. None: it does not fit after all.
static answer try_instance(judge *j, instance *x, size_t serial, char *why, size_t size) {
    if (!x->types_known) return ANSWER_OPEN;
    ap_err err = judge_right(j, x, serial);
    bool lost = err != NULL;
    ap_err_free(err);
    if (lost || x->stage == STAGE_REFUSED) return ANSWER_OPEN;
    if (x->stage == STAGE_OUTSIDE) return x->why && strstr(x->why, "no oracle") ? ANSWER_OPEN : ANSWER_NONE;
    if (x->stage != STAGE_FAILED) return ANSWER_GOOD;
    snprintf(why, size, "%s: %s", x->fail == FAIL_LOOP ? "loops" : "breaks types", x->why ? x->why : "?");
    return ANSWER_BAD;
}

static void say_why(const judge *j, char *why, size_t size) {
    const char *line = worst_condition(j);
    if (line)
        snprintf(why, size, "never fits: no instance in %zu tries; most often '%s' was not true (%s)",
                 j->tries, line, j->why);
    else
        snprintf(why, size, "never fits: no instance in %zu tries: %s", j->tries, j->why);
}

bool ap_rule_can_hold(const ap_rule *r, const ap_rules *rules, char *why, size_t size) {
    ap_prove_options o = {.rules = rules, .seed = 1};
    size_t good = 0;
    answer last = ANSWER_NONE;
    judge j;
    judge_open(&j, r, &o);
    while (good < WANTED && last != ANSWER_BAD && last != ANSWER_OPEN && j.tries < MOST_TRIES) {
        instance *x = judge_propose(&j);
        if (!x) continue;
        last = try_instance(&j, x, good, why, size);
        good += last == ANSWER_GOOD;
        instance_free(x);
    }
    bool can = last != ANSWER_BAD && (good || last == ANSWER_OPEN);
    if (!can && last != ANSWER_BAD) say_why(&j, why, size);
    judge_close(&j);
    return can;
}
