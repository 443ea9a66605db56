// SPDX-License-Identifier: Apache-2.0
// Repair with everything it needs: rules and their proofs, workers that probe, the oracle of pieces, the
// cache of answers.
#include "base/cpu.h"
#include "plan/surgery_priv.h"
#include "surgery/oracle_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_TIMEOUT_S 60u

typedef struct theatre {
    const ap_surgery_stage *s;
    ap_arena arena;
    const char *dir, *keep; // scratch; where pieces go that nothing was found for
    size_t kept;
    ap_rules *rules;
    ap_probe_cache *cache;
    ap_oracle_worker *oracle;
    ap_piece_oracle ask;
    ap_probe_host probes;
} theatre;

// What answers of the target depend on besides the question.
static char *backend_name(const ap_surgery_stage *s, ap_arena *a) {
    return ap_arena_printf(a, "%s, onnxruntime %s%s%s", s->host->target->text, s->ort->version,
                           s->qnn ? ", onnxruntime-qnn " : "", s->qnn ? s->qnn->version : "");
}

// ---- what is called back

static ap_err start(theatre *t, const ap_target_id *id, const char *log, size_t slot, ap_worker **out) {
    ap_arena a = {0};
    ap_worker_setup setup = {.cpu = slot, .timeout_s = PROBE_TIMEOUT_S, .memory_mib = t->s->host->memory_mib};
    setup.log_path = ap_path_join(&a, t->dir, log);
    ap_err err = ap_open_worker(t->s->ctx, id, &setup, out);
    ap_arena_release(&a);
    return err;
}

static ap_err start_probe(void *user, bool oracle, size_t slot, ap_worker **out) {
    theatre *t = user;
    const ap_target_id cpu = ap_cpu_target();
    char log[64];
    snprintf(log, sizeof log, "%s-%zu.log", oracle ? "oracle" : "probe", slot);
    return start(t, oracle ? &cpu : t->s->host->target, log, slot, out);
}

static ap_err start_oracle(void *user, ap_worker **out) {
    const ap_target_id cpu = ap_cpu_target();
    return start(user, &cpu, "pieces.log", AP_ANY_CPU, out);
}

static void on_warning(void *user, const char *text) {
    ap_context_log(user, AIPC_WARN, "%s", text);
}

static ap_err types_of(void *user, ap_model *m, ap_type_source *out) {
    return ap_whole_types(((theatre *)user)->s->host, m, out);
}

static ap_err judge(void *user, ap_model *m, ap_whole *out) {
    return ap_whole_judge(((theatre *)user)->s->host, m, out);
}

static void say(void *user, const char *text) {
    theatre *t = user;
    ap_context_progress(t->s->ctx, 0, 0, "%s: %s", t->s->host->target->text, text);
}

// The piece is the smallest graph that fails. That it could not be written spoils nothing else.
static void keep_piece(void *user, const ap_piece *p, json_t *left) {
    theatre *t = user;
    char *name = ap_arena_printf(&t->arena, "left-%zu.onnx", t->kept++);
    ap_err err = ap_model_save(p->model, ap_path_join(&t->arena, t->keep, name), NULL);
    if (!err) json_object_set_new(left, "model", json_string(name));
    ap_err_free(err);
}

// ---- opening

static ap_err open_rules(theatre *t) {
    ap_rule_problems problems = {0};
    ap_buf text = {0};
    ap_err err = ap_rules_open(t->s->rules, &t->rules, &problems);
    ap_rule_problems_print(&problems, &text);
    if (text.len) ap_context_log(t->s->ctx, AIPC_WARN, "%s", ap_buf_str(&text));
    ap_buf_free(&text);
    ap_rule_problems_free(&problems);
    return err;
}

static ap_err theatre_open(theatre *t) {
    const ap_surgery_stage *s = t->s;
    char *dir = NULL;
    ap_err err = NULL;
    AP_TRY(ap_mkdtemp(s->scratch, "repair", &t->arena, &dir));
    t->dir = dir;
    AP_TRY(open_rules(t));
    AP_TRY(ap_probe_cache_open(ap_path_join(&t->arena, s->ctx->cache_dir, "probes.db"),
                               backend_name(s, &t->arena), on_warning, s->ctx, &t->cache));
    t->oracle =
        ap_oracle_worker_new(&(ap_oracle_worker_options){.start = start_oracle, .user = t, .dir = t->dir});
    t->ask = ap_oracle_worker_piece(t->oracle);
    t->probes = (ap_probe_host){.start = start_probe,
                                .user = t,
                                .scratch = t->dir,
                                .threads = s->threads ? s->threads : ap_cpu_count()};
done:
    return err;
}

static void theatre_close(theatre *t) {
    ap_oracle_worker_free(t->oracle);
    ap_probe_cache_close(t->cache);
    ap_rules_free(t->rules);
    if (t->dir) ap_err_free(ap_rmtree(t->dir));
    ap_arena_release(&t->arena);
}

// ---- repair

static ap_repair_options options_of(theatre *t) {
    const ap_target_id *id = t->s->host->target;
    ap_search_options search = {.rules = t->rules,
                                .oracle = &t->ask,
                                .host = &t->probes,
                                .cache = t->cache,
                                .compute = id->soc && id->soc->fp16 != AP_NO ? AP_F16 : AP_F32,
                                .backend = id->soc ? "qnn" : "cpu"};
    return (ap_repair_options){.tools = &ap_repair_tools_of_search,
                               .search = search,
                               .types = types_of,
                               .whole = judge,
                               .progress = say,
                               .keep = keep_piece,
                               .user = t,
                               .allow_cpu = t->s->host->allow_cpu};
}

// Takes over the repaired model.
static void adopt(ap_cleaned *now, ap_repaired *r) {
    ap_cleaned_release(now);
    ap_digest d = ap_sha256_of(r->bytes.data, r->bytes.len);
    now->model = r->model;
    now->bytes = r->bytes;
    memcpy(now->sha256, d.hex, sizeof now->sha256);
    r->model = NULL;
    r->bytes = (ap_buf){0};
}

ap_err surgery_repair(const ap_surgery_stage *s, const char *dir, ap_cleaned *now, ap_whole *w,
                      json_t **report, json_t **steps) {
    theatre t = {.s = s, .keep = dir};
    ap_repaired repaired = {0};
    ap_err err = NULL;
    AP_TRY(theatre_open(&t));
    ap_repair_options o = options_of(&t);
    AP_TRY(ap_repair(now->model, w, &o, &repaired));
    if (repaired.model) {
        adopt(now, &repaired);
        ap_whole_release(w);
        *w = repaired.whole;
        repaired.whole = (ap_whole){0};
    }
    *report = json_incref(repaired.report);
    *steps = json_incref(repaired.steps);
done:
    ap_repaired_release(&repaired);
    theatre_close(&t);
    return err;
}
