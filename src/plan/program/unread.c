// SPDX-License-Identifier: Apache-2.0
#include "plan/program/unread.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/proc.h"
#include "graph/model.h"
#include "plan/artifact/exec.h"
#include "plan/artifact/index.h"
#include "plan/work/python.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT_S = 600 }; // of a run: a search, which it may save, takes no longer
enum { PLAIN, BLANK };
#define BLANK_WORD "blank" // what the hook counts such calls by

void ap_unread_open(ap_unread *u, const aipc_deploy_options *o, const char *folder, const json_t *recording) {
    *u = (ap_unread){.o = o, .folder = folder, .recording = recording, .needed = json_object()};
}

void ap_unread_close(ap_unread *u) {
    ap_sides_close(&u->sides);
    ap_gates_release(&u->gates);
    json_decref(u->needed);
    ap_arena_release(&u->arena);
}

void ap_unread_question_release(ap_unread_question *q) {
    json_decref(q->without);
    json_decref(q->evidence);
    *q = (ap_unread_question){0};
}

// ---- the model without them

static bool makes(const json_t *results, size_t leaf) {
    const json_t *r;
    for (size_t i = 0; (r = json_array_get(results, i)) != NULL; i++)
        if (ap_json_int(r, "leaf", -1) == (int64_t)leaf) return true;
    return false;
}

json_t *ap_unread_leaves(const json_t *leaves, const json_t *made) {
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(leaves); i++) {
        json_t *leaf = json_copy(json_array_get(leaves, i));
        if (!makes(json_object_get(made, "results"), i)) json_object_set_new(leaf, "read", json_false());
        json_array_append_new(list, leaf);
    }
    return list;
}

// Those of [{key: name, leaf}] whose name is, or is not, among the keys of `names`.
static json_t *wires(const json_t *list, const char *key, const json_t *names, bool among) {
    json_t *kept = json_array();
    const json_t *one;
    for (size_t i = 0; (one = json_array_get(list, i)) != NULL; i++)
        if ((json_object_get(names, ap_json_str(one, key, "")) != NULL) == among)
            json_array_append(kept, (json_t *)(uintptr_t)one);
    return kept;
}

ap_err ap_unread_cut(const json_t *made, const json_t *drop, const char *file, json_t **without) {
    ap_arena a = {0};
    ap_model *whole = NULL, *part = NULL;
    json_t *inputs = json_object();
    size_t count = 0;
    ap_err err = NULL;
    AP_TRY(ap_model_load(ap_json_str(made, "file", ""), &whole));
    const ap_graph *g = whole->graph;
    const char **names = ap_arena_calloc(&a, g->output_count + 1, sizeof *names);
    for (size_t i = 0; i < g->output_count; i++)
        if (!json_object_get(drop, g->outputs[i]->name)) names[count++] = g->outputs[i]->name;
    AP_TRY(ap_model_extract(whole, NULL, NULL, 0, names, count, &part));
    AP_TRY(ap_mkdirs(ap_path_dir(&a, file)));
    AP_TRY(ap_model_save(part, file, NULL));
    for (size_t i = 0; i < part->graph->input_count; i++) // some may have been for what is gone
        json_object_set_new(inputs, part->graph->inputs[i]->name, json_true());
    *without = json_copy((json_t *)(uintptr_t)made);
    json_object_set_new(*without, "file", ap_json_string(file));
    json_object_set_new(*without, "feeds", wires(json_object_get(made, "feeds"), "input", inputs, true));
    json_object_set_new(*without, "results", wires(json_object_get(made, "results"), "output", drop, false));
done:
    json_decref(inputs);
    ap_model_free(part);
    ap_model_free(whole);
    ap_arena_release(&a);
    return err;
}

// Of the recording, beside what was exported; other outputs left out give another name.
static const char *file_of(ap_unread *u, const ap_unread_question *q, const json_t *drop) {
    char *text = ap_json_canonical(drop);
    ap_digest d = ap_sha256_of(text, strlen(text));
    free(text);
    return ap_arena_printf(&u->arena, "%s/export/%s/%s-read-%.8s.onnx", u->folder,
                           ap_json_str(q->model, "name", "model"), ap_json_str(q->sig, "id", "signature"),
                           d.hex);
}

// ---- the program

// What keeps it from being run again.
static ap_err check_program(const ap_unread *u) {
    const json_t *doc = u->recording;
    double wall = ap_json_num(doc, "wall_s", -1);
    if (ap_json_bool(doc, "redacted", true))
        return ap_err_new(AP_ERR_RECORDING, "its command line had secrets, which were not kept");
    if (!json_array_size(json_object_get(doc, "command")))
        return ap_err_new(AP_ERR_RECORDING, "the recording has no command line");
    if (!json_is_integer(json_object_get(doc, "status")) || wall < 0)
        return ap_err_new(AP_ERR_RECORDING, "it had not ended when it was recorded");
    if (wall > LIMIT_S) return ap_err_new(AP_ERR_RECORDING, "it ran for %.0f s", wall);
    return NULL;
}

static ap_err open_sides(ap_unread *u) {
    const json_t *command = json_object_get(u->recording, "command");
    char *here = NULL;
    ap_err err = NULL;
    AP_TRY(check_program(u));
    u->command = ap_arena_calloc(&u->arena, json_array_size(command) + 1, sizeof *u->command);
    for (size_t i = 0; i < json_array_size(command); i++) {
        u->command[i] = json_string_value(json_array_get(command, i));
        if (!u->command[i]) AP_FAIL(AP_ERR_RECORDING, "the recorded command line is no list of words");
    }
    AP_TRY(ap_path_real(ap_json_str(u->recording, "cwd", ""), &u->arena, &here));
    AP_TRY(ap_gates_init("fp32", NULL, 0, &u->gates));
    u->sides = (ap_sides){
        .arena = &u->arena, .here = here, .gates = &u->gates, .limit_ms = (uint64_t)LIMIT_S * 1000};
    AP_TRY(ap_sides_tasks(&u->sides, u->o->tasks, u->o->task_count));
    AP_TRY(ap_sides_open(&u->sides, "plain", "blank"));
done:
    return err;
}

// `folder`: of an index whose models are not served: tensors it has no outputs for are made without data.
// NULL: none, the program as it is, but for the hook.
static ap_err run_side(ap_unread *u, size_t side, const char *folder) {
    json_t *artifacts = folder ? json_pack("[s]", folder) : json_array();
    char *calls = ap_sides_in(&u->sides, side, "calls");
    const ap_hook hook = {.mode = "exec", .folder = calls, .options = "{\"" BLANK_WORD "\": true}"};
    size_t words = 0;
    const char **env = NULL;
    ap_err err = NULL;
    AP_TRY(ap_rmtree(u->sides.dirs[side])); // of the last question
    AP_TRY(ap_mkdirs(calls));
    AP_TRY(ap_exec_env(&u->arena, &hook, artifacts, NULL, false, &env));
    while (u->command[words]) words++;
    AP_TRY(ap_sides_run(&u->sides, side, u->command, words, env));
done:
    json_decref(artifacts);
    return err;
}

// How many calls were answered without the data.
static int64_t blank_calls(const ap_unread *u) {
    json_t *counts = ap_exec_counts(ap_sides_in(&u->sides, BLANK, "calls"));
    const json_t *m;
    int64_t calls = 0;
    for (size_t i = 0; (m = json_array_get(json_object_get(counts, "models"), i)) != NULL; i++)
        if (strcmp(ap_json_str(m, "why", ""), BLANK_WORD) == 0) calls += ap_json_int(m, "calls", 0);
    json_decref(counts);
    return calls;
}

// {command, calls, end}
static ap_err run_both(ap_unread *u, const char *folder, json_t **out) {
    json_t *end = json_array(), *files = json_array();
    ap_err err = NULL;
    if (!u->command) AP_TRY(open_sides(u));
    if (!u->ran) AP_TRY(run_side(u, PLAIN, NULL));
    u->ran = true;
    AP_TRY(run_side(u, BLANK, folder));
    int64_t calls = blank_calls(u);
    if (!calls) AP_FAIL(AP_ERR_NO_CAPTURE, "it did not come to such a call again");
    AP_TRY(ap_sides_compare(&u->sides, end, files));
    *out = json_pack("{sO,sI,sO}", "command", json_object_get(u->recording, "command"), "calls",
                     (json_int_t)calls, "end", end);
done:
    json_decref(end);
    json_decref(files);
    return err;
}

// ---- the question

// "a, b"
static const char *listed(ap_unread *u, const json_t *names) {
    const char *name, *all = "";
    json_t *unused;
    json_object_foreach((json_t *)(uintptr_t)names, name, unused) all =
        ap_arena_printf(&u->arena, "%s%s%s", all, *all ? ", " : "", name);
    return all;
}

static const char *difference(ap_unread *u, const json_t *end) {
    const json_t *g = ap_json_find(end, "verdict", "fail");
    const char *note = ap_json_str(g, "note", "");
    return ap_arena_printf(&u->arena, "its %s is not the same%s%s", ap_json_str(g, "what", "end"),
                           *note ? ": " : "", note);
}

// Deploys the model without the outputs, for the hook to know which calls and which tensors it is about; what
// answers is the original.
static ap_err ask_program(ap_unread *u, ap_unread_question *q, const json_t *drop, json_t **program) {
    json_t *entry = NULL, *models = NULL, *index = NULL;
    char *dir = NULL;
    ap_err err = NULL;
    AP_TRY(ap_mkdtemp(ap_path_scratch(&u->arena), "aipc", &u->arena, &dir));
    entry = q->deploy(q->user, q->without, ap_path_join(&u->arena, dir, "it"));
    if (!entry) AP_FAIL(AP_ERR_GATE, "the model does not pass without %s either", listed(u, drop));
    json_object_set_new(entry, "dir", json_string("it"));
    models = json_pack("[{sO,sO,sO,sO?,s[O]}]", "name", json_object_get(q->model, "name"), "kind",
                       json_object_get(q->model, "kind"), "identity", json_object_get(q->model, "identity"),
                       "path", json_object_get(q->model, "path"), "artifacts", entry);
    AP_TRY(ap_index_write(dir, u->o, NULL, models, NULL, &index));
    ap_context_log(q->ctx, AIPC_INFO, "asks the program whether it reads %s: runs it again", listed(u, drop));
    AP_TRY(run_both(u, dir, program));
done:
    if (dir) ap_err_free(ap_rmtree(dir));
    json_decref(entry);
    json_decref(models);
    json_decref(index);
    return err;
}

// "a (sqnr_db 12.3, wanted >= 30), b (...)": each with the first gate it fails.
static const char *listed_with_gates(ap_unread *u, const json_t *names, const json_t *gates) {
    const char *name, *all = "";
    json_t *unused;
    json_object_foreach((json_t *)(uintptr_t)names, name, unused) {
        const json_t *g = ap_json_find(gates, "output", name);
        all = ap_arena_printf(&u->arena, "%s%s%s (%s %.3g, wanted %s %.3g)", all, *all ? ", " : "", name,
                              ap_json_str(g, "metric", "?"), ap_json_to_real(json_object_get(g, "value")),
                              ap_json_str(g, "op", ""), ap_json_num(g, "threshold", 0));
    }
    return all;
}

static json_t *evidence_of(ap_unread *u, const json_t *drop, const json_t *gates, json_t *program) {
    json_t *names = json_array(), *unused;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)drop, name, unused)
        json_array_append_new(names, ap_json_string(name));
    const char *how = program ? "The program does not read it: run once as it is and once without this data, "
                                "it ends alike"
                              : "The program asks for other outputs, by name";
    const char *why = ap_arena_printf(&u->arena, "left out: %s. %s", listed_with_gates(u, drop, gates), how);
    return json_pack("{so,sO,so,sO?}", "outputs", names, "gates", (json_t *)(uintptr_t)gates, "why",
                     ap_json_string(why), "program", program);
}

// Names of a session's outputs are asked for one by one: what no recorded run asked for is not among results.
static bool asked_by_name(const json_t *made, const json_t *drop) {
    json_t *wanted = wires(json_object_get(made, "results"), "output", drop, true);
    bool any = json_array_size(wanted) > 0;
    json_decref(wanted);
    return any;
}

static ap_err answer(ap_unread *u, ap_unread_question *q, const json_t *drop, const json_t *gates) {
    bool session = strcmp(ap_json_str(q->model, "kind", ""), "session") == 0;
    json_t *program = NULL;
    ap_err err = NULL;
    if (session && asked_by_name(q->made, drop)) goto done; // an array has data always
    AP_TRY(ap_unread_cut(q->made, drop, file_of(u, q, drop), &q->without));
    if (!session) AP_TRY(ask_program(u, q, drop, &program));
    if (!ap_verify_passed(json_object_get(program, "end"))) {
        q->why = ap_arena_printf(&u->arena, "the program needs %s: without its data, %s", listed(u, drop),
                                 difference(u, json_object_get(program, "end")));
        goto done;
    }
    q->evidence = evidence_of(u, drop, gates, program);
done:
    json_decref(program);
    return err;
}

bool ap_unread_ask(ap_unread *u, ap_unread_question *q, const json_t *gates) {
    json_t *drop = json_object();
    const json_t *g;
    for (size_t i = 0; (g = json_array_get(gates, i)) != NULL; i++)
        json_object_set_new(drop, ap_json_str(g, "output", ""), json_true());
    const char *key = ap_arena_printf(&u->arena, "%s/%s: %s", ap_json_str(q->model, "name", ""),
                                      ap_json_str(q->sig, "id", ""), listed(u, drop));
    q->why = ap_json_str(u->needed, key, NULL);
    if (!q->why) {
        ap_err err = answer(u, q, drop, gates);
        if (err)
            q->why = ap_arena_printf(&u->arena, "the program cannot be asked whether it reads %s: %s",
                                     listed(u, drop), ap_err_message(err));
        ap_err_free(err);
        if (q->why) json_object_set_new(u->needed, key, ap_json_string(q->why));
    }
    json_decref(drop);
    if (q->evidence) return true;
    json_decref(q->without);
    q->without = NULL;
    return false;
}
