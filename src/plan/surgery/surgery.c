// SPDX-License-Identifier: Apache-2.0
#include "graph/graph_diff.h"
#include "plan/surgery/surgery_priv.h"
#include "surgery/pass/record.h"
#include "surgery/prove/prove_open.h"
#include "surgery/repair/sharpen.h"
#include "surgery/repair/state.h"
#include "surgery/rule/rule.h"

#include <string.h>

enum { MOST_ROWS = 600 }; // of the listing of changes

// ---- key

static ap_err rules_hash(const ap_surgery_stage *s, char hex[65]) {
    ap_rules *rules = NULL;
    ap_rule_problems problems = {0};
    ap_err err = ap_rules_open(s->rules, &rules, &problems);
    if (!err) memcpy(hex, rules->hash.hex, 65);
    ap_rules_free(rules);
    ap_rule_problems_free(&problems);
    return err;
}

static json_t *target_part(const ap_surgery_stage *s, const char *rules) {
    const ap_whole_host *h = s->host;
    return json_pack("{ss,ss,ss,ss,sO,sO,sb,sb,sb}", "target", h->target->text, "precision", h->precision,
                     "qnn", s->qnn ? s->qnn->sha256 : "", "rules", rules, "gates", h->gates->rules, "always",
                     h->gates->always, "allow_cpu", h->allow_cpu, "tune", s->tune, "sharpen", s->sharpen);
}

ap_err ap_surgery_key(const ap_surgery_stage *s, char key[65]) {
    json_t *passes = json_object(), *skip = json_array(), *target = NULL;
    char rules[65] = "";
    ap_err err = NULL;
    for (const ap_pass *p = ap_passes; p->name; p++)
        json_object_set_new(passes, p->name, json_integer(p->version));
    for (size_t i = 0; i < s->skip_count; i++) json_array_append_new(skip, ap_json_string(s->skip[i]));
    if (s->host) {
        err = rules_hash(s, rules);
        target = target_part(s, rules);
    }
    json_t *in =
        json_pack("{ss,si,ss,ss,sO,sO,sO,so,so,ss,so,sb}", "stage", "surgery", "format", AP_PLAN_FORMAT,
                  "aipc", AP_VERSION, "model", s->digest, "shapes", s->shapes, "params", s->params, "inputs",
                  s->inputs, "passes", passes, "skip", skip, "ort", s->ort->sha256, "target",
                  target ? target : json_null(), "blameless", s->blameless != NULL);
    if (!err) ap_store_key(in, key);
    json_decref(in);
    return err;
}

// ---- the work

static void say_step(void *user, const json_t *step) {
    const ap_surgery_stage *s = user;
    const json_t *nodes = json_object_get(step, "nodes");
    ap_context_progress(s->ctx, (size_t)ap_json_int(step, "n", 0), 0, "%s: %lld nodes",
                        ap_json_str(step, "name", ""),
                        (long long)json_integer_value(json_array_get(nodes, json_array_size(nodes) - 1)));
}

static json_t *plan_of(const ap_surgery_stage *s, const ap_cleaned *now, const json_t *cleaned,
                       const json_t *rule_steps) {
    json_t *steps = json_copy(json_object_get(cleaned, "steps")), *step;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)rule_steps, i, step) {
        json_t *own = json_copy(step);
        json_object_set_new(own, "n", json_integer((json_int_t)json_array_size(steps) + 1));
        json_array_append_new(steps, own);
    }
    json_t *plan =
        json_pack("{si,ss,ss,s{so,ss},sI,sO,sO,s{ss,ss},s{ss,sI},so,sO}", "format", AP_PLAN_FORMAT, "kind",
                  "aipc plan", "aipc", AP_VERSION, "source", "file", ap_json_string(ap_path_base(s->file)),
                  "sha256", s->digest, "opset", (json_int_t)s->model->opset, "shapes", s->shapes, "params",
                  s->params, "oracle", "name", s->ort->name, "sha256", s->ort->sha256, "result", "sha256",
                  now->sha256, "nodes", (json_int_t)now->model->graph->node_count, "steps", steps, "refused",
                  json_object_get(cleaned, "refused"));
    if (s->host) json_object_set_new(plan, "target", json_string(s->host->target->text));
    return plan;
}

json_t *ap_whole_json(const ap_whole *w) {
    json_t *null = json_null();
    return json_pack("{sb,sb,sO,sO,sO,sO,so}", "built", w->built, "passed", w->passed, "refused",
                     w->refused ? w->refused : null, "wrong", w->wrong ? w->wrong : null, "gates",
                     w->gates ? w->gates : null, "cost", w->cost ? w->cost : null, "error",
                     ap_json_string(w->error));
}

// What differs, row by row, without what does not.
static ap_err changes_of(const ap_model *was, const ap_cleaned *now, json_t **out) {
    json_t *diff = NULL, *rows = json_array(), *row;
    size_t i;
    json_int_t left_out = 0;
    ap_err err = ap_graph_diff((ap_model *)(uintptr_t)was, now->model, &diff);
    if (err) {
        json_decref(rows);
        return err;
    }
    json_array_foreach(json_object_get(diff, "rows"), i, row) {
        if (strcmp(ap_json_str(row, "mark", "="), "=") == 0) continue;
        if (json_array_size(rows) < MOST_ROWS)
            json_array_append(rows, row);
        else
            left_out++;
    }
    *out =
        json_pack("{sO,so,sI}", "nodes", json_object_get(diff, "nodes"), "rows", rows, "left_out", left_out);
    json_decref(diff);
    return NULL;
}

static json_t *no_repairs(void) {
    return json_pack("{s[],s[],s[],s[],s[],s[],sn}", "needs", "repairs", "left", "rolled_back", "cpu",
                     "sharpening", "stats");
}

static ap_err known_before(const ap_surgery_stage *s, json_t **out) {
    ap_whole w = {0};
    if (s->before) {
        *out = json_incref((json_t *)(uintptr_t)s->before);
        return NULL;
    }
    ap_err err = ap_whole_judge(s->host, (ap_model *)(uintptr_t)s->model, &w);
    if (!err) *out = ap_whole_json(&w);
    ap_whole_release(&w);
    return err;
}

static ap_err types_of(void *user, ap_model *m, ap_type_source *out) {
    return ap_whole_types(((const ap_surgery_stage *)user)->host, m, out);
}

static ap_err judge(void *user, ap_model *m, ap_whole *out) {
    return ap_whole_judge(((const ap_surgery_stage *)user)->host, m, out);
}

static void say(void *user, const char *text) {
    const ap_surgery_stage *s = user;
    ap_context_progress(s->ctx, 0, 0, "%s: %s", s->host->target->text, text);
}

ap_whole_asker surgery_asker(const ap_surgery_stage *s) {
    return (ap_whole_asker){.types = types_of, .judge = judge, .progress = say, .user = (void *)(uintptr_t)s};
}

void surgery_adopt(ap_cleaned *now, ap_whole *w, ap_rewritten *made, json_t *steps) {
    json_array_extend(steps, made->steps);
    if (!made->model) return;
    ap_cleaned_release(now);
    ap_digest d = ap_sha256_of(made->bytes.data, made->bytes.len);
    now->model = made->model;
    now->bytes = made->bytes;
    memcpy(now->sha256, d.hex, sizeof now->sha256);
    ap_whole_release(w);
    *w = made->whole;
    json_decref(made->steps);
    *made = (ap_rewritten){0};
}

// What repair found out comes behind what sharpening did before it.
static void join(json_t **report, json_t *repaired) {
    static const char *const lists[] = {"repairs", "rolled_back", "sharpening"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        json_t *both = json_object_get(*report, lists[i]);
        json_array_extend(both, json_object_get(repaired, lists[i]));
        json_object_set(repaired, lists[i], both);
    }
    json_decref(*report);
    *report = repaired;
}

// A model that is only blurred gets more exact operators before anybody looks for a node to blame, which
// takes far longer. One that carries a state gets them in any case: its errors add up over calls no gate
// sees; and so does one that whoever calls it wants as exact as can be.
static ap_err mend(const ap_surgery_stage *s, const char *dir, ap_cleaned *now, ap_whole *w, json_t **report,
                   json_t *steps) {
    json_t *repaired = NULL;
    bool blurred = ap_is_blurred(w);
    ap_err err = NULL;
    if (blurred) AP_TRY(surgery_sharpen(s, false, now, w, *report, steps));
    if (blurred && !w->passed && s->blameless && s->blameless(s->user)) goto done;
    s->host->no_blame = false;
    if (blurred && !w->passed) {
        ap_whole_release(w);
        AP_TRY(ap_whole_judge(s->host, now->model, w)); // this time with the node to blame
    }
    if (!w->passed || w->refused) {
        AP_TRY(surgery_repair(s, dir, now, w, &repaired, steps));
        join(report, repaired);
    }
    bool late = !blurred && w->built && !w->passed;
    if (late || (w->passed && (s->sharpen || ap_state_carrier(now->model->graph))))
        AP_TRY(surgery_sharpen(s, !late, now, w, *report, steps));
done:
    return err;
}

// Makes it run right, and then fast.
static ap_err operate(const ap_surgery_stage *s, const char *dir, ap_cleaned *now, ap_whole *w, json_t **out,
                      json_t *steps) {
    json_t *report = no_repairs(), *tuning = NULL, *changes = NULL;
    ap_buf bytes = {0};
    ap_model *cleaned = NULL; // as it was, for the list of changes
    ap_err err = NULL;
    ap_buf_append(&bytes, now->bytes.data, now->bytes.len);
    AP_TRY(ap_model_parse(bytes.data, bytes.len, now->model->dir, &cleaned));
    AP_TRY(mend(s, dir, now, w, &report, steps));
    if (s->tune) AP_TRY(surgery_tune(s, now, w, &tuning, steps));
    AP_TRY(changes_of(cleaned, now, &changes));
    json_object_set(report, "tuning", tuning ? tuning : json_null());
    json_object_set(report, "changes", changes);
    *out = json_incref(report);
done:
    ap_model_free(cleaned);
    ap_buf_free(&bytes);
    json_decref(report);
    json_decref(tuning);
    json_decref(changes);
    return err;
}

// A model the passes left alone, which was built and passed as given at a known cost, need not be run once
// more.
static bool is_known(const json_t *before, const json_t *cleaned, ap_whole *w) {
    bool known = json_is_null(json_object_get(before, "error")) && ap_json_bool(before, "built", false) &&
                 ap_json_bool(before, "passed", true) && json_is_object(json_object_get(before, "cost")) &&
                 !json_array_size(json_object_get(before, "refused")) && // with --allow-cpu that passes, too
                 !json_array_size(json_object_get(cleaned, "steps"));
    if (known)
        *w = (ap_whole){.built = true,
                        .passed = true,
                        .gates = json_incref(json_object_get(before, "gates")),
                        .cost = json_incref(json_object_get(before, "cost"))};
    return known;
}

// The target's half: judge what the passes made, repair it when it has to be.
static ap_err fit(const ap_surgery_stage *s, const char *dir, const json_t *passes, ap_cleaned *now,
                  json_t **repairs, json_t *steps, bool *passed) {
    ap_whole w = {0};
    json_t *report = NULL, *before = NULL, *cleaned = NULL, *cleaning = NULL;
    ap_err err = NULL;
    AP_TRY(known_before(s, &before));
    s->host->no_blame = true;
    if (!is_known(before, passes, &w)) {
        ap_context_progress(s->ctx, 0, 0, "%s: building the cleaned model", s->host->target->text);
        AP_TRY(ap_whole_judge(s->host, now->model, &w));
    }
    cleaned = ap_whole_json(&w);
    AP_TRY(changes_of(s->model, now, &cleaning));
    AP_TRY(operate(s, dir, now, &w, &report, steps));
    json_object_set(report, "before", before);
    json_object_set(report, "cleaned", cleaned);
    json_object_set_new(report, "after", ap_whole_json(&w));
    json_object_set(report, "cleaning", cleaning);
    *passed = w.passed;
    *repairs = json_incref(report);
done:
    ap_whole_release(&w);
    json_decref(report);
    json_decref(before);
    json_decref(cleaned);
    json_decref(cleaning);
    return err;
}

// How the passes went, each in short.
static json_t *passes_of(const json_t *cleaned) {
    json_t *list = json_array(), *step;
    size_t i;
    json_array_foreach(json_object_get(cleaned, "steps"), i, step) json_array_append_new(
        list, json_pack("{sO,sO,sO,sO?}", "name", json_object_get(step, "name"), "class",
                        json_object_get(step, "class"), "nodes", json_object_get(step, "nodes"), "touched",
                        json_object_get(step, "touched")));
    return list;
}

ap_err ap_surgery_make(const ap_surgery_stage *s, const char *dir, json_t **record) {
    ap_clean_options clean = {.params = s->params,
                              .skip = s->skip,
                              .skip_count = s->skip_count,
                              .oracle = s->oracle,
                              .step = say_step,
                              .user = (void *)(uintptr_t)s};
    ap_arena a = {0};
    ap_cleaned now = {0};
    json_t *cleaned = NULL, *repairs = NULL, *steps = json_array();
    bool passed = false;
    ap_err err = NULL;
    AP_TRY(ap_clean(s->model, &clean, &now, &cleaned));
    if (s->host) {
        AP_TRY(fit(s, dir, cleaned, &now, &repairs, steps, &passed));
        json_object_set_new(repairs, "passes", passes_of(cleaned));
    }
    AP_TRY(
        ap_model_save(now.model, ap_path_join(&a, dir, "model.onnx"), &(ap_save_options){.embed = s->embed}));
    json_t *plan = plan_of(s, &now, cleaned, steps);
    bool changed = json_array_size(json_object_get(plan, "steps")) > 0;
    *record = json_pack("{ss,so,so,sb,sb,sf}", "stage", "surgery", "plan", plan, "repairs",
                        repairs ? json_incref(repairs) : json_null(), "passed", passed, "changed", changed,
                        "vendor_s", s->host ? s->host->seconds : 0.0);
done:
    ap_cleaned_release(&now);
    json_decref(cleaned);
    json_decref(repairs);
    json_decref(steps);
    ap_arena_release(&a);
    return err;
}

// The budget that ended sharpening, in words; NULL: none did.
static const char *sharpening_ended(const json_t *repairs) {
    const char *ended = NULL;
    size_t i;
    json_t *course;
    json_array_foreach(json_object_get(repairs, "sharpening"), i, course) if (!ended) ended =
        ap_json_str(course, "ended", NULL);
    return ended;
}

bool ap_surgery_cut_short(const json_t *record) {
    const json_t *repairs = json_object_get(record, "repairs");
    if (sharpening_ended(repairs) && !ap_json_bool(record, "passed", false)) return true;
    return ap_json_bool(json_object_get(repairs, "stats"), "cut_short", false);
}

ap_err ap_surgery_note(const json_t *repairs, ap_err err) {
    const char *ended = ap_json_str(json_object_get(repairs, "stats"), "ended", NULL),
               *sharpening = sharpening_ended(repairs);
    if (err && sharpening) err = ap_err_note(err, "sharpening: %s", sharpening);
    return err && ended ? ap_err_note(err, "%s", ended) : err;
}

ap_err ap_surgery_stored(const ap_surgery_stage *s, const ap_store *store, bool fresh, ap_arena *a,
                         char **dir, json_t **record) {
    char key[65], *work = NULL;
    ap_err err = NULL;
    *record = NULL;
    AP_TRY(ap_surgery_key(s, key));
    if (fresh) AP_TRY(ap_store_drop(store, key));
    AP_TRY(ap_store_get(store, key, a, dir, record));
    if (*record && !ap_surgery_cut_short(*record)) return NULL;
    if (*record) AP_TRY(ap_store_drop(store, key));
    json_decref(*record);
    *record = NULL;
    AP_TRY(ap_store_begin(store, a, &work));
    AP_TRY(ap_surgery_make(s, work, record));
    AP_TRY(ap_store_commit(store, key, work, *record, a, dir));
    work = NULL;
done:
    ap_store_discard(work);
    if (err) {
        json_decref(*record);
        *record = NULL;
    }
    return err;
}
