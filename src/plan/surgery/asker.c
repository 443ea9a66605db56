// SPDX-License-Identifier: Apache-2.0
#include "plan/surgery/asker.h"

#include "base/cpu.h"
#include "device/runtime.h"
#include "plan/surgery/plan_rules.h"
#include "surgery/prove/prove_open.h"

#include <string.h>

#define DEFAULT_TIMEOUT_S 60u

static ap_err start_worker(void *user, bool oracle, size_t slot, ap_worker **out) {
    ap_asker *q = user;
    ap_arena a = {0};
    ap_target_id cpu = ap_cpu_target();
    ap_worker_setup setup = {
        .log_path = ap_arena_printf(&a, "%s/%s-%zu.log", q->dir, oracle ? "oracle" : "target", slot),
        .cpu = slot,
        .timeout_s = q->timeout_s};
    ap_err err = ap_open_worker(q->context, oracle ? &cpu : &q->target, &setup, out);
    ap_arena_release(&a);
    return err;
}

static void on_progress(void *user, size_t done, size_t total) {
    ap_asker *q = user;
    ap_context_progress(q->context, done, total, "probing %s", q->target.text);
}

static void spent(void *user, bool oracle, uint64_t us) {
    const ap_asker *q = user;
    if (q->ledger) ap_ledger_add(q->ledger, oracle ? AP_TIME_GOLDEN : AP_TIME_VENDOR, us);
}

static void on_warning(void *user, const char *text) {
    ap_context_log(user, AIPC_WARN, "%s", text);
}

static ap_err find_backend(ap_asker *q) {
    ap_runtime ort = {0}, qnn = {0};
    ap_err err = NULL;
    AP_TRY(ap_runtime_find(q->context->data_dir, "onnxruntime", &ort));
    if (q->target.soc) AP_TRY(ap_runtime_find(q->context->data_dir, "onnxruntime-qnn", &qnn));
    q->backend = q->target.soc
                     ? ap_arena_printf(&q->arena, "%s, onnxruntime %s, onnxruntime-qnn %s", q->target.text,
                                       ort.version, qnn.version)
                     : ap_arena_printf(&q->arena, "%s, onnxruntime %s", q->target.text, ort.version);
done:
    ap_runtime_release(&ort);
    ap_runtime_release(&qnn);
    return err;
}

ap_err ap_asker_open(aipc_context *c, const ap_asker_options *o, ap_asker *out) {
    *out = (ap_asker){
        .context = c, .timeout_s = o->timeout_s ? o->timeout_s : DEFAULT_TIMEOUT_S, .ledger = o->ledger};
    ap_asker *q = out;
    ap_err err = NULL;
    AP_TRY(ap_target_parse(o->target ? o->target : "", &q->target));
    AP_TRY(ap_mkdtemp(ap_path_scratch(&q->arena), "aipc", &q->arena, &q->dir));
    AP_TRY(find_backend(q));
    if (!o->fresh)
        AP_TRY(ap_probe_cache_open(ap_path_join(&q->arena, c->cache_dir, "probes.db"), q->backend, on_warning,
                                   c, &q->cache));
    q->host = (ap_probe_host){.start = start_worker,
                              .progress = on_progress,
                              .spent = spent,
                              .user = q,
                              .scratch = q->dir,
                              .threads = o->threads ? o->threads : ap_cpu_count(),
                              .batch = o->batch};
done:
    if (err) ap_asker_close(q);
    return err;
}

static void warn_of(ap_asker *q, const ap_rule_problems *problems) {
    for (size_t i = 0; i < problems->count; i++) {
        const ap_rule_problem *p = &problems->items[i];
        ap_context_log(q->context, AIPC_WARN, "%s:%u:%u: rule %s is left out: %s", p->file, p->pos.line,
                       p->pos.col, p->rule, p->message);
    }
}

ap_err ap_asker_rules(ap_asker *q, const char *folder, ap_search_options *out) {
    ap_rule_problems problems = {0};
    ap_err err = NULL;
    AP_TRY(ap_rules_open(folder, &q->rules, &problems));
    warn_of(q, &problems);
    AP_TRY(ap_plan_oracle_open(q->context, AP_ANY_CPU, &q->oracle));
    q->oracle.ledger = q->ledger;
    AP_TRY(ap_proofs_open(q->context, q->rules, q->ledger, &q->proofs));
    q->judge = ap_proofs_judge(q->proofs);
    *out = (ap_search_options){.rules = q->rules,
                               .judge = &q->judge,
                               .oracle = &q->oracle.piece,
                               .host = &q->host,
                               .cache = q->cache,
                               .compute = ap_target_compute(&q->target),
                               .backend = q->target.soc ? "qnn" : "cpu"};
done:
    ap_rule_problems_free(&problems);
    return err;
}

void ap_asker_close(ap_asker *q) {
    ap_proofs_close(q->proofs);
    ap_plan_oracle_close(&q->oracle);
    ap_rules_free(q->rules);
    ap_probe_cache_close(q->cache);
    if (q->dir) ap_err_free(ap_rmtree(q->dir));
    ap_arena_release(&q->arena);
    *q = (ap_asker){0};
}
