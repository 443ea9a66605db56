// SPDX-License-Identifier: Apache-2.0
// Repair with everything it needs: the judge of whole models, and who asks the target about pieces.
#include "plan/asker.h"
#include "plan/surgery_priv.h"

#include <string.h>

typedef struct theatre {
    const ap_surgery_stage *s;
    ap_arena arena;
    const char *keep; // where pieces go that nothing was found for
    size_t kept;
    ap_asker asker;
} theatre;

// ---- what is called back

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

// ---- repair

static ap_err theatre_open(theatre *t, ap_repair_options *o) {
    const ap_surgery_stage *s = t->s;
    const ap_asker_options ask = {
        .target = s->host->target->text, .threads = (unsigned)s->threads, .ledger = s->host->ledger};
    ap_err err = ap_asker_open(s->ctx, &ask, &t->asker);
    if (err) return err;
    *o = (ap_repair_options){.tools = &ap_repair_tools_of_search,
                             .types = types_of,
                             .whole = judge,
                             .progress = say,
                             .keep = keep_piece,
                             .user = t,
                             .allow_cpu = s->host->allow_cpu,
                             .tries = s->builds,
                             .seconds = s->time_s};
    err = ap_asker_rules(&t->asker, s->rules, &o->search);
    o->search.seconds = s->piece_time_s;
    return err;
}

static void theatre_close(theatre *t) {
    ap_asker_close(&t->asker);
    ap_arena_release(&t->arena);
}

ap_err surgery_repair(const ap_surgery_stage *s, const char *dir, ap_cleaned *now, ap_whole *w,
                      json_t **report, json_t *steps) {
    theatre t = {.s = s, .keep = dir};
    ap_repair_options o;
    ap_repaired repaired = {0};
    ap_err err = NULL;
    AP_TRY(theatre_open(&t, &o));
    AP_TRY(ap_repair(now->model, w, &o, &repaired));
    surgery_adopt(now, w, &repaired.model, &repaired.bytes, &repaired.whole);
    *report = json_incref(repaired.report);
    json_array_extend(steps, repaired.steps);
done:
    ap_repaired_release(&repaired);
    theatre_close(&t);
    return err;
}
