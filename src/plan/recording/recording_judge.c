// SPDX-License-Identifier: Apache-2.0
// What of a recording is worth an artifact, and why the rest is not. The rule stands in docs/recordings.md.
#include "base/file.h"
#include "plan/recording/recording.h"

#include <ctype.h>
#include <string.h>

#define MIN_SHARE 0.05

// ---- names

// The last word of a class path or the stem of a file, with letters that are safe in file names.
static char *base_name(ap_arena *a, const json_t *model) {
    const json_t *who = json_object_get(model, "identity");
    const char *file = ap_json_str(who, "file", ""), *cls = ap_json_str(who, "class", "");
    const char *path = ap_json_str(model, "path", ""), *dot = strrchr(cls, '.'), *colon = strrchr(cls, ':');
    const char *start = colon && (!dot || colon > dot) ? colon + 1 : dot ? dot + 1 : cls;
    char *name = ap_arena_printf(a, "%s%s%s", start, *path && *path != '.' ? "." : "", path);
    if (json_object_get(who, "sha256")) {
        name = ap_arena_strdup(a, *file ? ap_path_base(file) : "session");
        size_t ext = strlen(ap_path_ext(name));
        name[strlen(name) - ext] = 0;
    }
    if (strlen(name) > 80) name[80] = 0;
    for (char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p)) *p = '_';
    if (name[0] == '.' || !name[0]) name = ap_arena_printf(a, "model%s", name);
    return name;
}

// Models of one name get the first letters of their identity, all of them.
static void give_names(json_t *models) {
    ap_arena a = {0};
    size_t n = json_array_size(models);
    char **names = ap_arena_calloc(&a, n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++) names[i] = base_name(&a, json_array_get(models, i));
    for (size_t i = 0; i < n; i++) {
        json_t *m = json_array_get(models, i);
        const json_t *who = json_object_get(m, "identity");
        const char *hash = ap_json_str(who, "sha256", ap_json_str(who, "content", ""));
        bool alone = true;
        for (size_t k = 0; k < n; k++) alone = alone && (k == i || strcmp(names[i], names[k]) != 0);
        if (strlen(hash) > 6) hash = ap_arena_strndup(&a, hash, 6);
        json_object_set_new(m, "name",
                            alone ? ap_json_string(names[i]) : json_sprintf("%s-%s", names[i], hash));
    }
    ap_arena_release(&a);
}

// ---- what cannot be exported

// `names`: of the children, instead of their places.
static void find_refused(const json_t *spec, const char *path, const json_t *names, json_t *out) {
    const char *tag = json_string_value(json_array_get(spec, 0));
    if (!tag || json_array_size(out) >= 16) return;
    bool opaque = !strcmp(tag, "opaque"), text = !strcmp(tag, "text");
    if (opaque || text || !strcmp(tag, "fake")) {
        const char *type = opaque ? json_string_value(json_array_get(spec, 1))
                           : text ? "a text that was not kept"
                                  : "a tensor without data";
        json_array_append_new(out, json_pack("{so,so}", "path",
                                             ap_json_string(*path ? path + (*path == '.') : "."), "type",
                                             ap_json_string(type)));
        return;
    }
    bool keyed = !strcmp(tag, "dict");
    for (size_t i = 1; i < json_array_size(spec); i++) {
        const json_t *child = json_array_get(spec, i), *key = keyed ? json_array_get(child, 0) : NULL;
        if (keyed && !json_is_array(child)) continue; // the class
        const json_t *name = key ? json_array_get(key, 1) : json_array_get(names, i - 1);
        ap_buf below = {0};
        if (json_is_string(name))
            ap_buf_printf(&below, "%s.%s", path, json_string_value(name));
        else
            ap_buf_printf(&below, "%s[%zu]", path, i - 1);
        find_refused(keyed ? json_array_get(child, 1) : child, ap_buf_str(&below), NULL, out);
        ap_buf_free(&below);
    }
}

// ---- signatures

static bool dominant(const json_t *sig, double calls, double seconds) {
    return ap_json_num(sig, "calls", 0) >= MIN_SHARE * calls ||
           ap_json_num(sig, "seconds", 0) >= MIN_SHARE * seconds;
}

static const char *why_not(const json_t *sig, bool others, double calls, double seconds) {
    if (!json_array_size(json_object_get(sig, "inputs"))) return "no tensors among its inputs";
    if (!json_is_array(json_object_get(sig, "out_spec"))) return "no call of it ever returned";
    if (!json_array_size(json_object_get(sig, "outputs"))) return "no tensors among its outputs";
    if (json_array_size(json_object_get(sig, "refused")))
        return "an argument that cannot be kept apart from the program";
    if (!json_array_size(json_object_get(sig, "samples"))) return "no sample (see --samples, --budget)";
    if (others && ap_json_bool(sig, "constant", false))
        return "constant inputs: a warm-up or a count of operations";
    if (!dominant(sig, calls, seconds)) return "under 5 % of the model's calls and time";
    return NULL;
}

static void judge_signature(json_t *sig, const json_t *parameters, bool others, double calls,
                            double seconds) {
    json_t *refused = json_array();
    const json_t *spec = json_object_get(sig, "spec");
    find_refused(parameters ? json_array_get(spec, 1) : spec, "", parameters, refused);
    if (parameters) find_refused(json_array_get(spec, 2), "", NULL, refused);
    if (json_is_array(json_object_get(sig, "out_spec")))
        find_refused(json_object_get(sig, "out_spec"), "output", NULL, refused);
    json_object_set_new(sig, "refused", refused);
    const char *why = why_not(sig, others, calls, seconds);
    json_object_set_new(sig, "chosen", json_boolean(!why));
    json_object_set_new(sig, "why", why ? json_string(why) : json_null());
}

// Returns how many are chosen; *first gets a reason when none is.
static size_t judge_signatures(json_t *model, const char **first) {
    json_t *sigs = json_object_get(model, "signatures"), *sig;
    double calls = 0, seconds = 0;
    size_t chosen = 0, i, moving = 0;
    json_array_foreach(sigs, i, sig) {
        calls += ap_json_num(sig, "calls", 0);
        seconds += ap_json_num(sig, "seconds", 0);
        moving += !ap_json_bool(sig, "constant", false);
    }
    json_array_foreach(sigs, i, sig) {
        judge_signature(sig, json_object_get(model, "parameters"), moving > 0, calls, seconds);
        chosen += ap_json_bool(sig, "chosen", false);
    }
    if (!chosen) *first = ap_json_str(json_array_get(sigs, 0), "why", "it was never called");
    json_object_set_new(model, "calls", json_integer((json_int_t)calls));
    json_object_set_new(model, "seconds", json_real(seconds));
    return chosen;
}

// ---- models

// torch's own containers (Sequential, Transformer) are no layers: programs build models of them.
static bool is_layer(const json_t *model) {
    static const char layers[] = "torch.nn.modules.";
    static const char *const models[] = {"container:Sequential", "transformer:Transformer",
                                         "transformer:TransformerEncoder", "transformer:TransformerDecoder"};
    const char *class = ap_json_str(json_object_get(model, "identity"), "class", "");
    if (strncmp(class, layers, strlen(layers)) != 0 || json_is_string(json_object_get(model, "path")))
        return false;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (!strcmp(class + strlen(layers), models[i])) return false;
    return true;
}

// `named`: the user said which modules to record, so neither their size nor their share counts.
static void judge_model(json_t *model, double total, bool named) {
    const char *why = NULL;
    size_t chosen = judge_signatures(model, &why);
    double share = total > 0 ? ap_json_num(model, "seconds", 0) / total : 0;
    if (chosen && json_array_size(json_object_get(model, "forward_hooks")))
        why = "forward hooks in it change what it computes: an export would not have them";
    else if (chosen && !named && is_layer(model))
        why = "a single layer: the program calls parts of a model, name it with --module";
    else if (chosen && !named && share < MIN_SHARE && strcmp(ap_json_str(model, "kind", ""), "session") != 0)
        why = "under 5 % of the recorded time";
    json_object_set_new(model, "share", json_real(share));
    json_object_set_new(model, "chosen", json_boolean(chosen && !why));
    json_object_set_new(model, "why", why ? json_string(why) : json_null());
}

void ap_recording_judge(json_t *document) {
    json_t *models = json_object_get(document, "models"), *m;
    double total = ap_json_num(document, "recorded_s", 0);
    bool named = json_array_size(json_object_get(json_object_get(document, "options"), "modules")) > 0;
    size_t i;
    give_names(models);
    json_array_foreach(models, i, m) judge_model(m, total, named);
}

// ---- choosing by name

static bool is_called(const json_t *model, const char *name) {
    const json_t *who = json_object_get(model, "identity");
    const char *cls = ap_json_str(who, "class", ""), *file = ap_json_str(who, "file", "");
    size_t n = strlen(cls), m = strlen(name);
    bool last = n > m && !strcmp(cls + n - m, name) && strchr(".:", cls[n - m - 1]);
    return last || !strcmp(name, ap_json_str(model, "name", "")) || !strcmp(name, cls) ||
           !strcmp(name, file) || !strcmp(name, ap_path_base(file)) ||
           !strcmp(name, ap_json_str(model, "path", ""));
}

ap_err ap_recording_choose(const json_t *document, const char *name, json_t **models) {
    json_t *chosen = json_array(), *m;
    ap_buf all = {0};
    size_t i;
    json_array_foreach(json_object_get(document, "models"), i, m) {
        bool wanted = name ? is_called(m, name) : ap_json_bool(m, "chosen", false);
        if (wanted) json_array_append(chosen, m);
        ap_buf_printf(&all, "%s%s", i ? ", " : "", ap_json_str(m, "name", "?"));
        if (!name && !wanted) ap_buf_printf(&all, " (%s)", ap_json_str(m, "why", "?"));
    }
    ap_err err = NULL;
    if (!json_array_size(chosen)) {
        err = name ? ap_err_new(AP_ERR_RECORDING, "no model of the recording is called '%s'", name)
                   : ap_err_new(AP_ERR_RECORDING, "no model of the recording can be deployed");
        err = ap_err_hint(err, "there are: %s", all.len ? ap_buf_str(&all) : "none");
        json_decref(chosen);
    } else
        *models = chosen;
    ap_buf_free(&all);
    return err;
}
