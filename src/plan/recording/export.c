// SPDX-License-Identifier: Apache-2.0
#include "plan/recording/export.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/proc.h"
#include "plan/recording/export_request.h"
#include "plan/recording/recording.h"
#include "plan/recording/replay.h"
#include "plan/work/python.h"
#include "plan/work/workers.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_S = 1800, RESULT_BYTES = 16 << 20 };

typedef struct export {
    aipc_context *ctx;
    const aipc_export_options *o;
    ap_arena arena;
    char *recording, *out; // real paths
    json_t *doc;           // of the recording
    json_t *models;        // chosen
    json_t *results;       // of the export document
}
export;

json_t *ap_export_signatures(const json_t *model) {
    json_t *all = json_object_get(model, "signatures"), *chosen = json_array(), *possible = json_array(),
           *sig;
    size_t i;
    json_array_foreach(all, i, sig) {
        bool can = !json_array_size(json_object_get(sig, "refused")) &&
                   json_array_size(json_object_get(sig, "samples")) &&
                   json_array_size(json_object_get(sig, "inputs")) &&
                   json_array_size(json_object_get(sig, "outputs"));
        if (ap_json_bool(sig, "chosen", false)) json_array_append(chosen, sig);
        if (can) json_array_append(possible, sig);
    }
    json_t *use = json_array_size(chosen) ? chosen : possible;
    json_incref(use);
    json_decref(chosen);
    json_decref(possible);
    return use;
}

static bool is_session(const json_t *model) {
    return !strcmp(ap_json_str(model, "kind", ""), "session");
}

// A model that was named although none of its signatures can be exported: why, of each.
static json_t *refused_model(const json_t *model) {
    json_t *list = json_array(), *sig;
    size_t i;
    json_array_foreach(json_object_get(model, "signatures"), i, sig) {
        const json_t *first = json_array_get(json_object_get(sig, "refused"), 0);
        json_t *why =
            first ? json_sprintf("stateful argument: %s is a %s; it cannot be kept apart from the program",
                                 ap_json_str(first, "path", "?"), ap_json_str(first, "type", "?"))
                  : json_incref(json_object_get(sig, "why"));
        json_array_append_new(list, json_pack("{sO,sn,s[],so}", "id", json_object_get(sig, "id"), "file",
                                              "attempts", "refused", why));
    }
    return json_pack("{sO,sO,sO,so}", "name", json_object_get(model, "name"), "kind",
                     json_object_get(model, "kind"), "identity", json_object_get(model, "identity"),
                     "signatures", list);
}

// ---- a model of onnxruntime: its file as it is

static ap_err check_file(const json_t *who, const char *file) {
    ap_digest d;
    ap_err err =
        *file ? ap_sha256_file(file, &d) : ap_err_new(AP_ERR_NOT_FOUND, "the recording names no model file");
    if (err || !strcmp(d.hex, ap_json_str(who, "sha256", ""))) return err;
    err = ap_err_new(AP_ERR_RECORDING,
                     "%s is not the model that was recorded: its sha256 is %.12s…, recorded was %.12s…", file,
                     d.hex, ap_json_str(who, "sha256", ""));
    return ap_err_hint(ap_err_subject(err, file), "record the program again");
}

// Names of a session's leaves are those of the model: which leaf goes where.
static json_t *wires(const json_t *leaves, const char *key) {
    json_t *list = json_array(), *leaf;
    size_t i;
    json_array_foreach(leaves, i, leaf) json_array_append_new(
        list, json_pack("{sO,sI}", key, json_object_get(leaf, "name"), "leaf", (json_int_t)i));
    return list;
}

static ap_err session_signature(export *e, const char *file, const json_t *model, const json_t *sig,
                                json_t *list) {
    const json_t *inputs = json_object_get(sig, "inputs"), *outputs = json_object_get(sig, "outputs");
    json_t *request = ap_export_ask_signature(e->recording, model, sig), *answer = NULL;
    json_object_set_new(request, "model", json_string(file));
    ap_err err = ap_replay_model(e->ctx, request, &answer);
    if (!err)
        json_array_append_new(
            list, json_pack("{sO,ss,ss,so,so,s[{ss,sO,sO,sO}]}", "id", json_object_get(sig, "id"), "file",
                            file, "exporter", "none", "feeds", wires(inputs, "input"), "results",
                            wires(outputs, "output"), "attempts", "exporter", "none", "verdict",
                            json_object_get(answer, "verdict"), "why", json_object_get(answer, "why"),
                            "worst_db", json_object_get(answer, "worst_db")));
    json_decref(answer);
    json_decref(request);
    return err;
}

static ap_err export_session(export *e, const json_t *model) {
    const json_t *who = json_object_get(model, "identity");
    const char *file = ap_json_str(who, "file", "");
    json_t *list = json_array(), *chosen = ap_export_signatures(model), *sig;
    size_t i;
    ap_err err = NULL;
    AP_TRY(check_file(who, file));
    json_array_foreach(chosen, i, sig) AP_TRY(session_signature(e, file, model, sig, list));
    json_array_append_new(e->results,
                          json_pack("{sO,sO,sO,sO}", "name", json_object_get(model, "name"), "kind",
                                    json_object_get(model, "kind"), "identity", who, "signatures", list));
done:
    json_decref(chosen);
    json_decref(list);
    return err;
}

// ---- modules: the program again

static ap_err command_of(export *e, const char ***argv) {
    const json_t *recorded = json_object_get(e->doc, "command");
    size_t n = e->o->command_count ? e->o->command_count : json_array_size(recorded);
    const char **words = ap_arena_calloc(&e->arena, n + 1, sizeof *words);
    if (!e->o->command_count && ap_json_bool(e->doc, "redacted", true))
        return ap_err_hint(
            ap_err_new(AP_ERR_RECORDING, "the recorded command line had secrets, which were not kept"),
            "give it again: aipc export %s -- COMMAND", e->o->recording);
    for (size_t i = 0; i < n; i++) {
        const char *word =
            e->o->command_count ? e->o->command[i] : json_string_value(json_array_get(recorded, i));
        if (!word) return ap_err_new(AP_ERR_RECORDING, "the recorded command line is no list of words");
        words[i] = ap_arena_strdup(&e->arena, word);
    }
    if (!n) return ap_err_new(AP_ERR_RECORDING, "the recording has no command line");
    *argv = words;
    return NULL;
}

static ap_err run_program(export *e, const char *request, ap_exit *how) {
    json_t *options = json_pack("{ss}", "request", request);
    char *text = ap_json_text(options, false);
    const char **env = NULL, **argv = NULL, *log = ap_path_join(&e->arena, e->out, "program.log");
    ap_hook hook = {.mode = "export", .folder = e->out, .options = text};
    ap_err err = NULL;
    AP_TRY(ap_hook_env(&e->arena, &hook, &env));
    AP_TRY(command_of(e, &argv));
    ap_proc_options o = {.argv = argv,
                         .env_add = env,
                         .cwd = ap_json_str(e->doc, "cwd", NULL),
                         .stdout_path = log,
                         .stderr_path = log,
                         .deadline_ms = 1000u * (e->o->timeout_s ? e->o->timeout_s : (unsigned)TIMEOUT_S)};
    ap_context_log(e->ctx, AIPC_INFO, "runs the program again up to the first call of each module: %s",
                   argv[0]);
    AP_TRY(ap_proc_run(&o, 0, NULL, how));
done:
    free(text);
    json_decref(options);
    return err;
}

// Why the program did not get to a model: other weights, or it ended before.
static ap_err not_reached(export *e, const json_t *model, const ap_exit *how) {
    const char *name = ap_json_str(model, "name", "?"), **names = NULL;
    size_t count = 0;
    ap_buf other = {0};
    ap_err err = ap_list_dir(e->out, &e->arena, &names, &count);
    for (size_t i = 0; i < count && !err && !other.len; i++)
        if (!strncmp(names[i], "other-", 6))
            err = ap_file_read(ap_path_join(&e->arena, e->out, names[i]), RESULT_BYTES, &other);
    const char *cls = ap_json_str(json_object_get(model, "identity"), "class", "");
    bool met = other.len && strstr(ap_buf_str(&other), cls);
    ap_buf_free(&other);
    if (err) return err;
    if (met) {
        err = ap_err_new(AP_ERR_RECORDING,
                         "the program now calls %s with other weights or another architecture than recorded",
                         cls);
        return ap_err_hint(err, "record it again");
    }
    err = how->timed_out
              ? ap_err_new(AP_ERR_EXPORT, "the program did not come to the first call of %s in time", name)
              : ap_err_new(AP_ERR_EXPORT, "the program ended with code %d before it called %s again",
                           ap_exit_status(how), name);
    return ap_err_hint(err, "what it printed is in %s/program.log", e->out);
}

// Which leaf goes to which input of the model, in its order, and comes from which output.
static void add_wires(json_t *made, const json_t *asked) {
    const json_t *leaves = json_object_get(asked, "inputs"), *outputs = json_object_get(made, "outputs"),
                 *name;
    json_t *feeds = json_array(), *results = json_array(), *leaf;
    size_t i, k;
    json_array_foreach(json_object_get(made, "inputs"), i, name) json_array_foreach(leaves, k, leaf) {
        if (json_equal(json_object_get(leaf, "name"), name))
            json_array_append_new(feeds, json_pack("{sO,sI}", "input", name, "leaf", (json_int_t)k));
    }
    json_array_foreach(outputs, i, name)
        json_array_append_new(results, json_pack("{sO,sI}", "output", name, "leaf", (json_int_t)i));
    json_object_set_new(made, "feeds", feeds);
    json_object_set_new(made, "results", results);
}

static ap_err collect(export *e, const json_t *model, const ap_exit *how) {
    const char *name = ap_json_str(model, "name", "?");
    char *folder = ap_path_join(&e->arena, e->out, name),
         *file = ap_path_join(&e->arena, folder, "export.json");
    json_t *result = NULL, *made;
    size_t i;
    ap_err err = NULL;
    if (!ap_file_exists(file)) return not_reached(e, model, how);
    AP_TRY(ap_json_load(file, RESULT_BYTES, AP_ERR_RECORDING, &result));
    json_array_foreach(json_object_get(result, "signatures"), i, made) {
        if (json_is_string(json_object_get(made, "file")))
            add_wires(made, json_array_get(json_object_get(model, "signatures"), i));
    }
    json_object_set_new(result, "kind", json_string("module"));
    json_array_append(e->results, result);
done:
    json_decref(result);
    return err;
}

static ap_err export_modules(export *e) {
    json_t *asked = NULL, *models = json_array(), *model, *one;
    const char *file = ap_path_join(&e->arena, e->out, "request.json");
    size_t i;
    ap_exit how = {0};
    ap_err err = NULL;
    json_array_foreach(e->models, i, model) {
        if (is_session(model)) continue;
        AP_TRY(
            ap_rmtree(ap_path_join(&e->arena, e->out, ap_json_str(model, "name", "?")))); // an earlier run's
        one = ap_export_ask(e->recording, model, e->o->level1);
        if (json_array_size(json_object_get(one, "signatures")))
            json_array_append(models, one);
        else
            json_array_append_new(e->results, refused_model(model));
        json_decref(one);
    }
    if (!json_array_size(models)) goto done;
    asked = json_pack("{ss,so,sO}", "out", e->out, "attempts", ap_export_attempts(e->o->level1), "models",
                      models);
    AP_TRY(ap_json_save(file, asked));
    AP_TRY(run_program(e, file, &how));
    json_array_foreach(models, i, model) AP_TRY(collect(e, model, &how));
done:
    json_decref(models);
    json_decref(asked);
    return err;
}

// ---- the whole

// One line for each signature without a model, and why.
static ap_err failures(const json_t *results) {
    ap_err err = NULL;
    json_t *model, *sig, *try;
    size_t i, k, n;
    json_array_foreach(results, i, model) json_array_foreach(json_object_get(model, "signatures"), k, sig) {
        if (json_is_string(json_object_get(sig, "file"))) continue;
        if (!err)
            err = ap_err_new(AP_ERR_EXPORT, "%s could not be exported", ap_json_str(model, "name", "?"));
        const char *id = ap_json_str(sig, "id", "?"), *refused = ap_json_str(sig, "refused", NULL);
        const json_t *hook = json_array_get(json_object_get(model, "forward_hooks"), 0);
        if (refused) err = ap_err_note(err, "%s: %s", id, refused);
        if (refused && hook)
            err = ap_err_note(
                err, "%s: a copy keeps the forward hook at '%s', and what that keeps lies outside of it", id,
                json_string_value(hook));
        json_array_foreach(json_object_get(sig, "attempts"), n, try) err =
            ap_err_note(err, "%s: %s, opset %lld%s: %s: %s", id, ap_json_str(try, "exporter", "?"),
                        (long long)ap_json_int(try, "opset", 0),
                        json_array_size(json_object_get(try, "level1")) ? ", level 1" : "",
                        ap_json_str(try, "verdict", "?"), ap_json_str(try, "why", "?"));
    }
    return err;
}

static ap_err open_export(export *e) {
    const ap_target_id judge = ap_cpu_target();
    ap_err err = NULL;
    AP_TRY(ap_worker_ready(e->ctx, &judge)); // before the program runs
    AP_TRY(ap_path_real(e->o->recording, &e->arena, &e->recording));
    AP_TRY(ap_recording_read(e->recording, &e->doc));
    AP_TRY(ap_recording_choose(e->doc, e->o->module, &e->models));
    const char *out = e->o->out_dir ? e->o->out_dir : ap_path_join(&e->arena, e->recording, "export");
    if (!e->o->out_dir) AP_TRY(ap_rmtree(out));
    AP_TRY(ap_mkdirs(out));
    AP_TRY(ap_path_real(out, &e->arena, &e->out));
done:
    return err;
}

ap_err ap_export(aipc_context *c, const aipc_export_options *o, json_t **document) {
    export e = {.ctx = c, .o = o, .results = json_array()};
    json_t *model, *doc = NULL;
    size_t i;
    uint64_t begin = ap_now_us();
    ap_err err = NULL;
    AP_TRY(open_export(&e));
    json_array_foreach(e.models, i, model) if (is_session(model)) AP_TRY(export_session(&e, model));
    AP_TRY(export_modules(&e));
    doc = json_pack("{si,ss,ss,ss,ss,sf,sO}", "format", 1, "kind", "aipc export", "aipc", AP_VERSION,
                    "recording", e.recording, "out", e.out, "seconds", (double)(ap_now_us() - begin) * 1e-6,
                    "models", e.results);
    AP_TRY(ap_json_save(ap_path_join(&e.arena, e.out, "export.json"), doc));
    *document = json_incref(doc);
    err = failures(e.results);
done:
    json_decref(doc);
    json_decref(e.results);
    json_decref(e.models);
    json_decref(e.doc);
    ap_arena_release(&e.arena);
    return err;
}
