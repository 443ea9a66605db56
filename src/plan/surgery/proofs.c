// SPDX-License-Identifier: Apache-2.0
#include "plan/surgery/proofs.h"

#include "base/file.h"
#include "device/runtime.h"
#include "plan/work/workers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PROOF_MAX_BYTES = 1 << 20, WORKER_TIMEOUT_S = 60 };

// ---- the oracle

static ap_err start_worker(void *user, ap_worker **out) {
    ap_plan_oracle *o = user;
    ap_target_id cpu = ap_cpu_target();
    ap_worker_setup setup = {.log_path = ap_path_join(&o->arena, o->dir, "oracle.log"),
                             .cpu = o->cpu,
                             .timeout_s = WORKER_TIMEOUT_S};
    return ap_open_worker(o->context, &cpu, &setup, out);
}

static void spent(void *user, uint64_t us) {
    ap_plan_oracle *o = user;
    if (o->ledger) ap_ledger_add(o->ledger, AP_TIME_GOLDEN, us);
}

ap_err ap_plan_oracle_open(aipc_context *c, size_t cpu, ap_plan_oracle *out) {
    ap_runtime ort = {0};
    char *dir = NULL;
    ap_err err = NULL;
    *out = (ap_plan_oracle){.context = c, .cpu = cpu};
    AP_TRY(ap_runtime_find(c->data_dir, "onnxruntime", &ort));
    out->sha256 = ap_arena_strdup(&out->arena, ort.sha256);
    out->name = ap_arena_printf(&out->arena, "%s %s", ort.name, ort.version);
    AP_TRY(ap_mkdtemp(ap_path_scratch(&out->arena), "aipc", &out->arena, &dir));
    out->dir = dir;
    out->worker = ap_oracle_worker_new(&(ap_oracle_worker_options){start_worker, spent, out, dir});
    out->piece = ap_oracle_worker_piece(out->worker);
done:
    ap_runtime_release(&ort);
    if (err) ap_plan_oracle_close(out);
    return err;
}

void ap_plan_oracle_close(ap_plan_oracle *o) {
    ap_oracle_worker_free(o->worker);
    if (o->dir) ap_err_free(ap_rmtree(o->dir));
    ap_arena_release(&o->arena);
    *o = (ap_plan_oracle){0};
}

// ---- kept proofs

static char *proof_path(aipc_context *c, const ap_rule *r, const char *oracle, ap_arena *a) {
    char *text = ap_arena_printf(a, "proof %s %d %s %s", r->hash.hex, AP_PROVE_VERSION, AP_VERSION, oracle);
    ap_digest key = ap_sha256_of(text, strlen(text));
    return ap_path_join(a, ap_path_join(a, c->cache_dir, "proofs"), ap_arena_printf(a, "%s.json", key.hex));
}

void ap_proofs_look(aipc_context *c, const ap_rule *r, const char *oracle, json_t **proof) {
    ap_arena a = {0};
    json_t *j = NULL;
    *proof = NULL;
    // A damaged file is no proof: the rule is proven anew.
    ap_err_free(ap_json_load(proof_path(c, r, oracle, &a), PROOF_MAX_BYTES, AP_ERR_CORRUPT, &j));
    bool same = j && !strcmp(ap_json_str(j, "hash", ""), r->hash.hex) &&
                !strcmp(ap_json_str(j, "rule", ""), r->name) &&
                ap_json_int(j, "harness", 0) == AP_PROVE_VERSION && ap_json_int(j, "instances", 0) >= 0;
    if (same) *proof = json_incref(j);
    json_decref(j);
    ap_arena_release(&a);
}

void ap_proofs_keep(aipc_context *c, const ap_rule *r, const char *oracle, const json_t *proof) {
    ap_arena a = {0};
    const char *path = proof_path(c, r, oracle, &a);
    ap_err err = ap_mkdirs(ap_path_dir(&a, path));
    if (!err) err = ap_json_save(path, proof);
    if (err)
        ap_context_log(c, AIPC_WARN, "the proof of rule %s is not kept: %s", r->name, ap_err_message(err));
    ap_err_free(err);
    ap_arena_release(&a);
}

// ---- the judge

struct ap_proofs {
    aipc_context *context;
    const ap_rules *rules;
    ap_arena arena;
    const char *sha256, *name;
    ap_ledger *ledger;
    pthread_mutex_t lock; // guards everything below; held while a rule is proven
    bool open;
    ap_plan_oracle oracle;
};

ap_err ap_proofs_open(aipc_context *c, const ap_rules *rules, ap_ledger *ledger, ap_proofs **out) {
    ap_runtime ort = {0};
    ap_proofs *p = ap_calloc(1, sizeof *p);
    ap_err err = ap_runtime_find(c->data_dir, "onnxruntime", &ort);
    p->context = c;
    p->rules = rules;
    p->ledger = ledger;
    if (!err) {
        p->sha256 = ap_arena_strdup(&p->arena, ort.sha256);
        p->name = ap_arena_printf(&p->arena, "%s %s", ort.name, ort.version);
        pthread_mutex_init(&p->lock, NULL);
        *out = p;
    } else {
        free(p);
    }
    ap_runtime_release(&ort);
    return err;
}

void ap_proofs_close(ap_proofs *p) {
    if (!p) return;
    if (p->open) ap_plan_oracle_close(&p->oracle);
    pthread_mutex_destroy(&p->lock);
    ap_arena_release(&p->arena);
    free(p);
}

static ap_err prove_now(ap_proofs *p, const ap_rule *r, json_t **out) {
    ap_proof proof = {0};
    ap_err err = NULL;
    if (!p->open) AP_TRY(ap_plan_oracle_open(p->context, AP_ANY_CPU, &p->oracle));
    p->open = true;
    p->oracle.ledger = p->ledger;
    ap_context_progress(p->context, 0, 0, "proving rule %s", r->name);
    ap_prove_options o = {.rules = p->rules, .oracle = &p->oracle.piece, .seed = 1};
    AP_TRY(ap_prove(r, &o, &proof));
    *out = ap_proof_json(r, &proof, p->name);
    ap_proofs_keep(p->context, r, p->sha256, *out);
done:
    ap_proof_release(&proof);
    return err;
}

static ap_err proven(void *user, const ap_rule *r, bool *yes, json_t **proof) {
    ap_proofs *p = user;
    json_t *j = NULL;
    ap_err err = NULL;
    pthread_mutex_lock(&p->lock);
    ap_proofs_look(p->context, r, p->sha256, &j);
    if (!j) err = prove_now(p, r, &j);
    pthread_mutex_unlock(&p->lock);
    if (err) return err;
    *yes = !strcmp(ap_json_str(j, "verdict", ""), ap_proof_word(AP_PROOF_HOLDS));
    if (proof)
        *proof = j;
    else
        json_decref(j);
    return NULL;
}

ap_rule_judge ap_proofs_judge(ap_proofs *p) {
    return (ap_rule_judge){.proven = proven, .user = p};
}
