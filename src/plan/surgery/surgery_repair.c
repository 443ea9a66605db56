// SPDX-License-Identifier: Apache-2.0
// Repair with everything it needs: the judge of whole models, and who asks the target about pieces.
#include "plan/surgery/asker.h"
#include "plan/surgery/surgery_priv.h"

#include <string.h>

typedef struct theatre {
    const ap_surgery_stage *s;
    ap_arena arena;
    const char *keep; // where pieces go that nothing was found for
    size_t kept;
    ap_asker asker;
} theatre;

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
                             .ask = surgery_asker(s),
                             .keep = keep_piece,
                             .keep_user = t,
                             .allow_cpu = s->host->allow_cpu,
                             .budget = {s->builds, s->time_s}};
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
    surgery_adopt(now, w, &repaired.made, steps);
    *report = json_incref(repaired.report);
done:
    ap_repaired_release(&repaired);
    theatre_close(&t);
    return err;
}
