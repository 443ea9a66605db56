// SPDX-License-Identifier: Apache-2.0
// The folder of a recording, and the events of its processes.
#include "plan/recording/recording.h"

#include "base/file.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOG_BYTES = 64 << 20,
    RUN_BYTES = 1 << 20,
    COUNTER_BYTES = 32,
    SLOTS = 4096, // a process
    MODELS = 4096,
    PROCESSES = 4096
};

// One process while its log is read. Events name models and signatures by number.
typedef struct process {
    const char *name; // of the folder
    const uint8_t *counts;
    size_t count_bytes;
    json_t *doc;            // the whole document
    json_t *models[MODELS]; // borrowed, by the process's number
    json_t *slots[SLOTS];   // borrowed; the signature
    json_t *owners[SLOTS];  // and its model
    int64_t calls;
} process;

// ---- identity

// Events come from outside: an object with the texts of one of the two kinds.
static bool identity_ok(const json_t *who) {
    const char *const module[] = {"class", "arch", "content"};
    if (json_is_string(json_object_get(who, "sha256"))) return true;
    for (size_t i = 0; i < 3; i++)
        if (!json_is_string(json_object_get(who, module[i]))) return false;
    return true;
}

bool ap_recording_same(const json_t *a, const json_t *b) {
    static const char *const parts[] = {"class", "arch", "content", "sha256"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(ap_json_str(a, parts[i], ""), ap_json_str(b, parts[i], "")) != 0) return false;
    return true;
}

static bool same_model(const json_t *a, const json_t *b) {
    return !strcmp(ap_json_str(a, "path", ""), ap_json_str(b, "path", "")) &&
           ap_recording_same(json_object_get(a, "identity"), json_object_get(b, "identity"));
}

static json_t *find_model(const json_t *doc, const json_t *like) {
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(doc, "models"), i, m) if (same_model(m, like)) return m;
    return NULL;
}

// ---- events

static bool depth_ok(const json_t *tree, int left) {
    size_t i;
    json_t *child;
    if (left < 0) return false;
    json_array_foreach(tree, i, child) if (!depth_ok(child, left - 1)) return false;
    return true;
}

// A number below `limit` under `key`, else -1.
static int64_t number(const json_t *event, const char *key, int64_t limit) {
    int64_t n = ap_json_int(event, key, -1);
    return n >= 0 && n < limit ? n : -1;
}

static bool on_start(process *p, const json_t *e) {
    json_t *all = json_object_get(p->doc, "processes");
    json_t *one = json_object();
    const char *const keys[] = {"pid", "python", "packages"};
    if (ap_json_int(e, "format", 0) != AP_RECORDING_FORMAT) {
        json_decref(one);
        return false;
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_set(one, keys[i], json_object_get(e, keys[i]));
    json_object_set_new(one, "folder", ap_json_string(p->name));
    json_array_append_new(all, one);
    return true;
}

static bool on_model(process *p, const json_t *e) {
    int64_t m = number(e, "m", MODELS);
    const char *kind = ap_json_str(e, "kind", "");
    if (m < 0 || !identity_ok(json_object_get(e, "identity"))) return false;
    if (strcmp(kind, "module") != 0 && strcmp(kind, "session") != 0) return false;
    json_t *have = find_model(p->doc, e);
    if (!have) {
        have = json_copy((json_t *)(uintptr_t)e);
        json_object_del(have, "ev");
        json_object_del(have, "m");
        json_object_set_new(have, "signatures", json_array());
        json_object_set_new(have, "errors", json_object());
        json_array_append_new(json_object_get(p->doc, "models"), have);
    }
    p->models[m] = have;
    return true;
}

// The first half of the hash of what makes two calls the same.
static json_t *signature_id(const json_t *e) {
    json_t *all = json_pack("[O,O]", json_object_get(e, "spec"), json_object_get(e, "inputs"));
    char *text = ap_json_canonical(all);
    ap_digest d = ap_sha256_of(text, strlen(text));
    d.hex[12] = 0;
    free(text);
    json_decref(all);
    return json_string(d.hex);
}

static bool is_session(const json_t *model) {
    return !strcmp(ap_json_str(model, "kind", ""), "session");
}

static bool on_signature(process *p, const json_t *e) {
    int64_t s = number(e, "s", SLOTS), m = number(e, "m", MODELS);
    const json_t *spec = json_object_get(e, "spec"), *metas = json_object_get(e, "inputs");
    if (s < 1 || m < 0 || !p->models[m] || !json_is_array(spec) || !json_is_array(metas) ||
        !depth_ok(spec, 2 * AP_RECORDING_DEPTH))
        return false;
    json_t *model = p->models[m], *params = is_session(model) ? NULL : json_array();
    if (params && json_is_array(json_object_get(model, "parameters")))
        json_array_extend(params, json_object_get(model, "parameters"));
    json_t *inputs = ap_recording_inputs(spec, metas, params);
    json_decref(params);
    if (!inputs) return false;
    json_t *all = json_object_get(model, "signatures"), *one = NULL, *each, *id = signature_id(e);
    size_t i;
    json_array_foreach(all, i, each) if (json_equal(json_object_get(each, "id"), id)) one = each;
    if (!one) {
        one = json_pack("{sO,si,sf,sO,sO,sn,s[],s[]}", "id", id, "calls", 0, "seconds", 0.0, "spec", spec,
                        "inputs", inputs, "out_spec", "outputs", "samples");
        json_array_append_new(all, one);
    }
    json_decref(id);
    json_decref(inputs);
    p->slots[s] = one;
    p->owners[s] = model;
    return true;
}

static bool on_outputs(process *p, const json_t *e) {
    int64_t s = number(e, "s", SLOTS);
    const json_t *spec = json_object_get(e, "spec"), *metas = json_object_get(e, "outputs");
    if (s < 1 || !p->slots[s] || !json_is_array(spec) || !json_is_array(metas) ||
        !depth_ok(spec, 2 * AP_RECORDING_DEPTH))
        return false;
    // The first one counts; a module that answers in several forms is told by the note.
    const json_t *have = json_object_get(p->slots[s], "out_spec");
    if (json_is_array(have) && !json_equal(have, spec))
        json_object_set_new(p->slots[s], "unsteady", json_true());
    if (json_is_array(have)) return true;
    json_t *outputs = ap_recording_outputs(spec, metas, is_session(p->owners[s]));
    if (!outputs) return false;
    json_object_set(p->slots[s], "out_spec", json_object_get(e, "spec"));
    json_object_set_new(p->slots[s], "outputs", outputs);
    return true;
}

// "12-i3.npy": the hook's own names and nothing else; a path would lead out of the folder.
static bool file_ok(const char *name, char *letter) {
    size_t a = strspn(name, "0123456789");
    if (!a || a > 18 || name[a] != '-' || (name[a + 1] != 'i' && name[a + 1] != 'o')) return false;
    size_t b = strspn(name + a + 2, "0123456789");
    *letter = name[a + 1];
    return b && b < 10 && !strcmp(name + a + 2 + b, ".npy");
}

static bool on_sample(process *p, const json_t *e) {
    int64_t s = number(e, "s", SLOTS);
    json_t *files[2] = {json_array(), json_array()}, *one;
    size_t i;
    bool ok = s >= 1 && p->slots[s] && json_is_array(json_object_get(e, "files"));
    json_array_foreach(json_object_get(e, "files"), i, one) {
        char letter = 0;
        const char *name = json_string_value(one);
        ok = ok && name && file_ok(name, &letter);
        if (ok) json_array_append_new(files[letter == 'o'], json_sprintf("%s/%s", p->name, name));
    }
    if (ok)
        json_array_append_new(json_object_get(p->slots[s], "samples"),
                              json_pack("{sI,ss,sI,sO,sO}", "n", (json_int_t)ap_json_int(e, "n", 0),
                                        "process", p->name, "call", (json_int_t)ap_json_int(e, "call", 0),
                                        "inputs", files[0], "outputs", files[1]));
    json_decref(files[0]);
    json_decref(files[1]);
    return ok;
}

static bool on_error(process *p, const json_t *e) {
    int64_t s = number(e, "s", SLOTS);
    if (s < 1 || !p->slots[s]) return s == 0;
    json_t *errors = json_object_get(p->owners[s], "errors");
    const char *type = ap_json_str(e, "type", "error");
    if (json_object_size(errors) < 64)
        json_object_set_new(errors, type, json_integer(ap_json_int(errors, type, 0) + 1));
    return true;
}

static const struct event {
    const char *name;
    bool (*take)(process *p, const json_t *e);
} events[] = {{"start", on_start},     {"model", on_model},   {"signature", on_signature},
              {"outputs", on_outputs}, {"sample", on_sample}, {"error", on_error}};

static bool take_event(process *p, const json_t *e) {
    const char *name = ap_json_str(e, "ev", "");
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (!strcmp(events[i].name, name)) return events[i].take(p, e);
    return true; // of a newer aipc
}

// ---- the end of a process: the counters

// More than any program counts, and the sum over all slots still fits.
#define COUNT_MAX (UINT64_C(1) << 48)

static uint64_t counter(const process *p, size_t slot, size_t which) {
    uint64_t v = 0;
    size_t at = slot * COUNTER_BYTES + which * sizeof v;
    if (at + sizeof v <= p->count_bytes) memcpy(&v, p->counts + at, sizeof v);
    return v > COUNT_MAX ? COUNT_MAX : v;
}

static void add(json_t *o, const char *key, double more) {
    json_object_set_new(o, key, json_real(ap_json_num(o, key, 0) + more));
}

static void close_slot(process *p, size_t s) {
    json_t *sig = p->slots[s];
    int64_t calls = (int64_t)counter(p, s, 0);
    if (sig) {
        json_object_set_new(sig, "calls", json_integer(ap_json_int(sig, "calls", 0) + calls));
        add(sig, "seconds", (double)counter(p, s, 1) * 1e-9);
    }
    p->calls += calls;
    add(p->doc, "recorded_s", (double)counter(p, s, 1) * 1e-9);
    add(p->doc, "copies_s", (double)counter(p, s, 2) * 1e-9);
    add(p->doc, "overhead_s", (double)counter(p, s, 3) * 1e-9);
}

ap_err ap_recording_log(const char *text, size_t bytes, const char *name, const uint8_t *counts,
                        size_t count_bytes, json_t *document) {
    process *p = ap_calloc(1, sizeof *p);
    *p = (process){.name = name, .counts = counts, .count_bytes = count_bytes, .doc = document};
    size_t lines = 0, before = json_array_size(json_object_get(document, "processes"));
    bool ok = true;
    for (const char *at = text, *end = text + bytes; ok && at < end; lines++) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        if (!nl) break; // killed while it wrote
        json_t *e = json_loadb(at, (size_t)(nl - at), 0, NULL);
        ok = json_is_object(e) && take_event(p, e);
        json_decref(e);
        at = nl + 1;
    }
    for (size_t s = 0; s < SLOTS; s++) close_slot(p, s);
    json_t *mine = json_array_get(json_object_get(document, "processes"), before);
    if (mine) json_object_set_new(mine, "calls", json_integer(p->calls));
    if (!ok)
        json_array_append_new(
            json_object_get(document, "notes"),
            json_sprintf("%s: line %zu of log.jsonl is no event; what follows it is not used", name, lines));
    free(p);
    return NULL;
}

// ---- the folder

static bool is_process(const char *name) {
    return name[0] == 'p' && name[1 + strspn(name + 1, "0123456789")] == '-';
}

static ap_err read_process(const char *dir, const char *name, ap_arena *a, json_t *doc) {
    ap_buf log = {0}, counts = {0};
    char *folder = ap_path_join(a, dir, name);
    ap_err err = ap_file_read(ap_path_join(a, folder, "log.jsonl"), LOG_BYTES, &log);
    if (!err) err = ap_file_read(ap_path_join(a, folder, "counts.bin"), SLOTS * COUNTER_BYTES, &counts);
    if (!err)
        err = ap_recording_log(ap_buf_str(&log), log.len, name, (uint8_t *)counts.data, counts.len, doc);
    if (err) // a process that was killed before it wrote its first line: nothing of it is missed
        json_array_append_new(json_object_get(doc, "notes"),
                              json_sprintf("%s is not used: %s", name, ap_err_message(err)));
    ap_err_free(err);
    ap_buf_free(&counts);
    ap_buf_free(&log);
    return NULL;
}

static ap_err read_run(const char *dir, ap_arena *a, json_t **run) {
    json_t *r = NULL;
    ap_err err = NULL;
    AP_TRY(ap_json_load(ap_path_join(a, dir, "run.json"), RUN_BYTES, AP_ERR_RECORDING, &r));
    if (strcmp(ap_json_str(r, "kind", ""), "aipc recording") != 0)
        AP_FAIL(AP_ERR_RECORDING, "%s is no recording of aipc", dir);
    if (ap_json_int(r, "format", 0) != AP_RECORDING_FORMAT)
        AP_FAIL(AP_ERR_RECORDING, "the recording %s has format %lld, this aipc reads %d", dir,
                (long long)ap_json_int(r, "format", 0), AP_RECORDING_FORMAT);
    *run = json_incref(r);
done:
    json_decref(r);
    return ap_err_hint(ap_err_subject(err, dir), "make one with 'aipc record -o DIR -- python app.py'");
}

bool ap_recording_is(const char *dir) {
    ap_arena a = {0};
    json_t *run = NULL;
    ap_err err = ap_is_dir(dir) ? read_run(dir, &a, &run) : ap_err_new(AP_ERR_RECORDING, "no folder");
    bool is = !err;
    ap_err_free(err);
    json_decref(run);
    ap_arena_release(&a);
    return is;
}

ap_err ap_recording_read(const char *dir, json_t **document) {
    ap_arena a = {0};
    const char **names = NULL;
    size_t count = 0, pythons = 0, processes = 0;
    json_t *doc = NULL;
    ap_err err = NULL;
    AP_TRY(read_run(dir, &a, &doc));
    const char *const lists[] = {"processes", "models", "notes"}, *const sums[] = {"recorded_s", "copies_s",
                                                                                   "overhead_s"};
    for (size_t i = 0; i < 3; i++) {
        json_object_set_new(doc, lists[i], json_array());
        json_object_set_new(doc, sums[i], json_real(0));
    }
    AP_TRY(ap_list_dir(dir, &a, &names, &count));
    for (size_t i = 0; i < count; i++) {
        pythons += !strncmp(names[i], "hello-", 6);
        if (!strncmp(names[i], "hook-error-", 11))
            json_array_append_new(json_object_get(doc, "notes"),
                                  json_sprintf("the hook failed in a process: see %s", names[i]));
        if (is_process(names[i]) && processes++ < PROCESSES) AP_TRY(read_process(dir, names[i], &a, doc));
    }
    json_object_set_new(doc, "pythons", json_integer((json_int_t)pythons));
    AP_TRY(ap_recording_samples(dir, doc));
    ap_recording_judge(doc);
    *document = json_incref(doc);
done:
    json_decref(doc);
    ap_arena_release(&a);
    return err;
}
