// SPDX-License-Identifier: Apache-2.0
// The second look of a deployment (plan/surgery/picked.h) at calls of a program: the artifact is built once
// more, with what its TopK picked among its outputs, from the model it was made of.
#include "base/file.h"
#include "graph/model.h"
#include "plan/surgery/apply.h"
#include "plan/surgery/picked.h"
#include "plan/verify/verify_again.h"
#include "plan/work/workers.h"
#include "surgery/pass/freeze.h"

#include <stdlib.h>
#include <string.h>

typedef struct ap_remade {
    ap_again *g;
    const char *why;            // it cannot be made
    bool picks;                 // the model picks rows
    ap_model *original, *built; // built: NULL when it is the original
    const char *built_file;
    const json_t *shapes;
    ap_worker *oracle, *target; // NULL until they are asked; `target` has it loaded
    const json_t *inputs;       // of the call at hand
} ap_remade;

void ap_remade_free(ap_remade *r) {
    if (!r) return;
    ap_worker_stop(r->oracle, NULL);
    ap_worker_stop(r->target, NULL);
    ap_model_free(r->original);
    ap_model_free(r->built);
    free(r);
}

// ---- what it was made of

// Were its gates passed that way? Then they name tensors that are no outputs.
static bool picked_before(const ap_again *g) {
    const aipc_artifact *c = g->d->contract;
    const json_t *gates = json_object_get(c->target, "gates"), *gate;
    for (size_t i = 0; (gate = json_array_get(gates, i)) != NULL; i++) {
        const char *name = ap_json_str(gate, "output", NULL);
        size_t k = 0;
        while (name && k < c->output_count && strcmp(c->outputs[k].name, name) != 0) k++;
        if (name && k == c->output_count) return true;
    }
    return false;
}

// The file the manifest names, or the program's own; the one with the right hash.
static ap_err find_original(ap_remade *r, const char **file) {
    const ap_again *g = r->g;
    const json_t *made_of = json_object_get(g->d->contract->manifest, "model");
    const char *const places[] = {ap_json_str(made_of, "file", NULL),
                                  ap_json_str(json_object_get(g->model, "identity"), "file", NULL)};
    *file = NULL;
    for (size_t i = 0; i < 2 && !*file; i++) {
        char digest[65] = "";
        ap_model_free(r->original);
        r->original = NULL;
        if (!places[i] || !ap_file_exists(places[i])) continue;
        ap_err err = ap_model_load(places[i], &r->original);
        if (!err) err = ap_model_digest(r->original, digest);
        if (!err && strcmp(digest, ap_json_str(made_of, "sha256", "")) == 0) *file = places[i];
        ap_err_free(err);
    }
    if (!*file && picked_before(g))
        r->why = ap_arena_printf(
            &r->g->arena, "no second look at picked rows: the model it was made of is not there any more: %s",
            places[0] ? places[0] : "?");
    return *file ? ap_freeze_shapes(r->original, r->shapes) : NULL;
}

static ap_err remake(ap_remade *r) {
    ap_again *g = r->g;
    const aipc_artifact *c = g->d->contract;
    const char **names = NULL, *file = NULL;
    char *plan = ap_path_join(&g->arena, c->dir,
                              ap_arena_printf(&g->arena, "%s/plan.json", ap_json_str(c->target, "dir", "")));
    size_t count = 0;
    json_t *applied = NULL;
    ap_err err = NULL;
    r->shapes = json_object_get(json_object_get(c->manifest, "contract"), "shapes");
    AP_TRY(find_original(r, &file));
    if (!file) goto done;
    ap_picks_find(r->original, &names, &count);
    r->picks = count > 0;
    r->built_file = file;
    if (!r->picks || !ap_file_exists(plan)) goto done;
    r->built_file = ap_path_join(&g->arena, g->dir, "built.onnx");
    AP_TRY(ap_apply(g->ctx, file, plan, r->built_file, &applied));
    AP_TRY(ap_model_load(r->built_file, &r->built));
done:
    json_decref(applied);
    free(names);
    return err;
}

// ---- who is asked

static ap_err open_worker(const ap_remade *r, const ap_target_id *id, ap_worker **out) {
    ap_arena *a = &r->g->arena;
    ap_worker_setup setup = {.cpu = AP_ANY_CPU, .log_path = ap_path_join(a, r->g->dir, id->folder)};
    return ap_open_worker(r->g->ctx, id, &setup, out);
}

static ap_err ask_oracle(void *user, const char *file, const json_t *inputs, json_t *names, const char *dir,
                         json_t **out) {
    ap_remade *r = user;
    const ap_target_id cpu = ap_cpu_target();
    json_t *result = NULL;
    ap_err err = NULL;
    if (!r->oracle) AP_TRY(open_worker(r, &cpu, &r->oracle));
    AP_TRY(ap_worker_call(r->oracle, "oracle",
                          ap_oracle_args(json_pack("{ss}", "file", file), inputs, names, dir), &result));
    *out = json_incref(json_object_get(result, "outputs"));
done:
    json_decref(result);
    return err;
}

// Did the user let nodes stay on the CPU? Then that gate was put down.
static bool allows_cpu(const json_t *target) {
    const json_t *gate = ap_json_find(json_object_get(target, "gates"), "metric", "share_on_target");
    return ap_json_num(gate, "threshold", 1) < 1;
}

// Builds it with these outputs and loads it.
static ap_err start_target(ap_remade *r, json_t *names) {
    const json_t *target = r->g->d->contract->target;
    char *dir = ap_path_join(&r->g->arena, r->g->dir, "built");
    json_t *built = NULL, *loaded = NULL;
    ap_target_id id;
    ap_err err = NULL;
    AP_TRY(ap_target_parse(ap_json_str(target, "target", ""), &id));
    AP_TRY(ap_mkdirs(dir));
    AP_TRY(open_worker(r, &id, &r->target));
    AP_TRY(ap_worker_call(r->target, "build",
                          json_pack("{s{ss,sO,sO},ss,ss,sb}", "model", "file", r->built_file, "shapes",
                                    r->shapes, "outputs", names, "dir", dir, "precision",
                                    ap_json_str(target, "precision", "fp32"), "allow_cpu",
                                    (int)allows_cpu(target)),
                          &built));
    if (json_object_get(built, "refusal")) AP_FAIL(AP_ERR_REFUSED, "not taken with its picks exposed");
    AP_TRY(ap_worker_call(r->target, "load", json_pack("{ss}", "dir", dir), &loaded));
done:
    json_decref(built);
    json_decref(loaded);
    return err;
}

static ap_err ask_target(void *user, json_t *names, const char *dir, json_t **out) {
    ap_remade *r = user;
    json_t *result = NULL;
    ap_err err = NULL;
    if (!r->target) AP_TRY(start_target(r, names));
    AP_TRY(ap_worker_call(r->target, "run", json_pack("{sO,ss}", "inputs", r->inputs, "dir", dir), &result));
    *out = json_incref(json_object_get(result, "outputs"));
done:
    if (err) { // the next call starts it anew
        ap_worker_stop(r->target, NULL);
        r->target = NULL;
    }
    json_decref(result);
    return err;
}

// ---- the look

static ap_err look(ap_remade *r, const json_t *leaves, ap_asked *a, json_t **golden, json_t **picks) {
    ap_err err = a->inputs ? NULL : ap_again_ask(r->g, leaves, a);
    if (err) return err;
    r->inputs = a->inputs;
    const ap_picked q = {.original = r->original,
                         .model = r->built ? r->built : r->original,
                         .inputs = a->inputs,
                         .answer = a->answer,
                         .dir = a->dir,
                         .oracle = ask_oracle,
                         .target = ask_target,
                         .user = r};
    return ap_picked_look(&q, golden, picks);
}

ap_err ap_again_look(ap_again *g, const json_t *leaves, ap_asked *a, json_t **golden, json_t **picks,
                     const char **why) {
    ap_remade *r = g->remade;
    ap_err err = NULL;
    *golden = *picks = NULL;
    if (!r) {
        r = g->remade = ap_calloc(1, sizeof *r);
        r->g = g;
        err = remake(r);
    }
    if (!err && r->picks && !r->why) err = look(r, leaves, a, golden, picks);
    if (err && ap_err_code(err) != AP_ERR_CANCELLED) { // then the first numbers stand
        if (!r->why)
            r->why = ap_arena_printf(&g->arena, "no second look at picked rows: %s", ap_err_message(err));
        ap_err_free(err);
        err = NULL;
    }
    *why = r->why;
    return err;
}
