// SPDX-License-Identifier: Apache-2.0
// One signature of a recorded model: its inputs and switches, its deployment, and the second one when the
// first was refused or had outputs that nobody reads.
#include "plan/program/from_recording_priv.h"
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

enum { SWITCH_MAX = 1 << 30 };

// ---- its inputs

static bool is_module(const json_t *model) {
    return !strcmp(ap_json_str(model, "kind", ""), "module");
}

static bool is_fixed(const aipc_deploy_options *o, const char *input) {
    size_t n = strlen(input);
    for (size_t i = 0; i < o->fixed_count; i++)
        if (strncmp(o->fixed[i], input, n) == 0 && o->fixed[i][n] == '=') return true;
    return false;
}

// How many of a sample's inputs say nothing: the same value everywhere (silence, a state not yet written).
static size_t constant_inputs(signature *s, const json_t *sample, const json_t *feeds) {
    const json_t *feed, *files = json_object_get(sample, "inputs");
    size_t constant = 0;
    for (size_t i = 0; (feed = json_array_get(feeds, i)) != NULL; i++) {
        const char *file = json_string_value(json_array_get(files, (size_t)ap_json_int(feed, "leaf", 0)));
        ap_tensor t = {0};
        ap_err err = ap_npy_map(ap_path_join(&s->arena, s->b->recording, file ? file : ""), &t);
        size_t one = ap_dtype_bits(t.dtype) / 8;
        constant +=
            !err && one && t.bytes > one && memcmp(t.data, (const char *)t.data + one, t.bytes - one) == 0;
        ap_err_free(err);
        ap_tensor_free(&t);
    }
    return constant;
}

// The sample that is deployed with: the first of those that say most.
static const json_t *best_sample(signature *s, const json_t *feeds) {
    const json_t *samples = json_object_get(s->sig, "samples"), *sample, *best = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; least && (sample = json_array_get(samples, i)) != NULL; i++) {
        size_t constant = constant_inputs(s, sample, feeds);
        if (constant >= least) continue;
        least = constant;
        best = sample;
    }
    return best;
}

// "NAME=FILE" of a sample, for the inputs the model has that are not fixed.
static const char **input_args(signature *s, const aipc_deploy_options *o, const json_t *made,
                               size_t *count) {
    const json_t *feeds = json_object_get(made, "feeds"), *feed;
    const json_t *sample = best_sample(s, feeds);
    const char **args = ap_arena_calloc(&s->arena, json_array_size(feeds) + 1, sizeof *args);
    for (size_t i = *count = 0; i < json_array_size(feeds); i++) {
        feed = json_array_get(feeds, i);
        const json_t *file =
            json_array_get(json_object_get(sample, "inputs"), (size_t)ap_json_int(feed, "leaf", 0));
        if (!json_is_string(file) || is_fixed(o, ap_json_str(feed, "input", ""))) continue;
        args[(*count)++] = ap_arena_printf(&s->arena, "%s=%s/%s", ap_json_str(feed, "input", "?"),
                                           s->b->recording, json_string_value(file));
    }
    return args;
}

// A whole number that was the same in every sample of a session's input (a sample rate): a switch the graph
// may be built on. The index says so, and whoever serves the artifact looks at it.
static bool is_switch(signature *s, size_t leaf, int64_t *value) {
    const json_t *samples = json_object_get(s->sig, "samples"), *one;
    size_t i;
    json_array_foreach(samples, i, one) {
        const char *file = json_string_value(json_array_get(json_object_get(one, "inputs"), leaf));
        ap_tensor t = {0};
        ap_err err = ap_npy_map(ap_path_join(&s->arena, s->b->recording, file ? file : ""), &t);
        bool fits =
            !err && ap_dtype_is_int(t.dtype) && ap_dtype_bits(t.dtype) >= 8 && ap_tensor_count(&t) == 1;
        int64_t v = fits ? (int64_t)ap_tensor_at(&t, 0) : 0;
        ap_err_free(err);
        ap_tensor_free(&t);
        if (!fits || v > SWITCH_MAX || v < -SWITCH_MAX || (i && v != *value)) return false;
        *value = v;
    }
    return json_array_size(samples) > 0;
}

// [{input, leaf, value}]
static json_t *switches_of(signature *s) {
    json_t *list = json_array(), *feed;
    size_t i;
    if (strcmp(ap_json_str(s->model, "kind", ""), "session") != 0) return list;
    json_array_foreach(json_object_get(s->first, "feeds"), i, feed) {
        int64_t value = 0;
        if (is_switch(s, (size_t)ap_json_int(feed, "leaf", 0), &value))
            json_array_append_new(list,
                                  json_pack("{sO,sO,sI}", "input", json_object_get(feed, "input"), "leaf",
                                            json_object_get(feed, "leaf"), "value", (json_int_t)value));
    }
    return list;
}

static const char *const *switch_args(signature *s) {
    const char **args = ap_arena_calloc(&s->arena, json_array_size(s->switches) + 1, sizeof *args);
    const json_t *one;
    size_t i;
    json_array_foreach(s->switches, i, one) args[i] = ap_arena_printf(
        &s->arena, "%s=%lld", ap_json_str(one, "input", "?"), (long long)ap_json_int(one, "value", 0));
    return args;
}

static ap_err deploy_into(signature *s, const json_t *made, const char *dir, ap_deploy_asks *asks) {
    aipc_deploy_options o = s->o;
    json_t *doc = NULL;
    if (!o.fixed_count) {
        o.fixed = switch_args(s);
        o.fixed_count = json_array_size(s->switches);
    }
    o.model = ap_json_str(made, "file", "");
    o.inputs = input_args(s, &o, made, &o.input_count);
    o.out_dir = dir;
    ap_err err = ap_deploy_asking(s->ctx, &o, asks, &doc);
    s->passed = !strcmp(ap_json_str(doc, "verdict", ""), "pass");
    json_decref(doc);
    return err;
}

// Of the index. `less`: outputs are left out of `made`; why is known once the program was asked.
static json_t *entry_of(const signature *s, const json_t *made, bool less) {
    const json_t *sig = s->sig, *outputs = json_object_get(sig, "outputs");
    json_t *leaves = less && is_module(s->model) ? ap_unread_leaves(outputs, made)
                                                 : json_copy((json_t *)(uintptr_t)outputs);
    return json_pack("{sO,ss,ss,sO,sO,sO,so,sO,sO,sO?,sO,sO,sO*}", "signature", json_object_get(sig, "id"),
                     "dir", s->below, "verdict", s->passed ? "pass" : "fail", "spec",
                     json_object_get(sig, "spec"), "inputs", json_object_get(sig, "inputs"), "out_spec",
                     json_object_get(sig, "out_spec"), "outputs", leaves, "feeds",
                     json_object_get(made, "feeds"), "results", json_object_get(made, "results"), "level1",
                     json_object_get(made, "level1"), "fixed", s->switches, "tried", s->tried, "unread",
                     s->question.evidence);
}

// ---- outputs that nobody reads

// For the question: as short as it can be.
static json_t *deploy_for_question(void *user, const json_t *made, const char *dir) {
    signature *s = user;
    aipc_deploy_options all = s->o;
    s->o.no_trace = true;
    s->o.tune = s->o.sharpen = false;
    ap_deploy_asks asks = {.total = &s->b->spent};
    ap_err err = deploy_into(s, made, dir, &asks);
    s->o = all;
    ap_err_free(err);
    return s->passed ? entry_of(s, made, true) : NULL;
}

static bool is_unread(void *user, const json_t *gates) {
    signature *s = user;
    s->question = (ap_unread_question){.ctx = s->ctx,
                                       .model = s->model,
                                       .sig = s->sig,
                                       .made = s->made,
                                       .deploy = deploy_for_question,
                                       .user = s};
    pthread_mutex_lock(&s->b->program);
    bool unread = ap_unread_ask(&s->b->unread, &s->question, gates);
    pthread_mutex_unlock(&s->b->program);
    s->asks.why = s->question.why;
    return unread;
}

// "RRDBNet 1x3x96x128": the model's file is named by a hash.
static const char *title_of(signature *s) {
    ap_buf text = {0};
    const json_t *dims = json_object_get(json_array_get(json_object_get(s->sig, "inputs"), 0), "dims");
    for (size_t i = 0; i < json_array_size(dims); i++)
        ap_buf_printf(&text, "%s%" JSON_INTEGER_FORMAT, i ? "x" : " ",
                      json_integer_value(json_array_get(dims, i)));
    const char *title =
        ap_arena_printf(&s->arena, "%s%s", ap_json_str(s->model, "name", "model"), ap_buf_str(&text));
    ap_buf_free(&text);
    return title;
}

// With all its outputs, or without those that fail and nobody reads.
static ap_err deploy_one(signature *s, const json_t *made) {
    s->made = made;
    s->asks = (ap_deploy_asks){.title = title_of(s), .unread = is_unread, .user = s, .total = &s->b->spent};
    ap_unread_question_release(&s->question);
    ap_err err = deploy_into(s, made, s->dir, &s->asks);
    if (!s->question.evidence) return err;
    ap_err_free(err);
    s->made = s->question.without;
    s->asks =
        (ap_deploy_asks){.title = s->asks.title, .left_out = s->question.evidence, .total = &s->b->spent};
    s->o.fresh = false; // the question has just built it
    return deploy_into(s, s->made, s->dir, &s->asks);
}

static bool refused(const ap_error *err) {
    ap_code code = ap_err_code(err);
    return code == AP_ERR_REFUSED || code == AP_ERR_VENDOR || code == AP_ERR_WORKER_CRASH ||
           code == AP_ERR_GATE;
}

void ap_signature_deploy(void *sig, aipc_context *c) {
    signature *s = sig;
    s->ctx = c;
    s->switches = switches_of(s);
    ap_context_log(s->b->ctx, AIPC_INFO, "deploys %s", s->below);
    ap_err err = deploy_one(s, s->first);
    if (refused(err) && is_module(s->model) && !json_array_size(json_object_get(s->first, "level1"))) {
        const json_t *again = ap_signature_level1(s);
        bool open = ap_json_bool(s->first, "open", false);
        if (ap_signature_file_there(again) && (open || json_array_size(json_object_get(again, "level1")))) {
            json_array_append_new(s->tried,
                                  json_pack("{sO?,sb,so}", "level1", json_object_get(s->first, "level1"),
                                            "open", open, "error", ap_json_from_err(err)));
            ap_err_free(err);
            err = deploy_one(s, again);
        }
    }
    s->entry = entry_of(s, s->made, s->question.evidence != NULL);
    s->err = ap_err_context(err, "%s", s->below);
}

void ap_signature_release(signature *s) {
    ap_unread_question_release(&s->question);
    json_decref(s->switches);
    json_decref(s->tried);
    json_decref(s->entry);
    ap_err_free(s->err);
    ap_arena_release(&s->arena);
}
