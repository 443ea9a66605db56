// SPDX-License-Identifier: Apache-2.0
// Target cpu: ONNX Runtime's own CPU provider, all optimizations on. The artifact is the model with its
// shapes set. It is also where the oracle lives.
#include "base/proc.h"
#include "target/probe.h"
#include "target/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum { FULL_BELOW_BYTES = 64 * 1024 };

typedef struct cpu_state {
    ap_engine *engine;
    ap_session *session; // current model
    char *model_path;    // of the current model
} cpu_state;

static void cpu_close(void *state) {
    cpu_state *s = state;
    if (!s) return;
    ap_session_close(s->session);
    ap_engine_close(s->engine);
    free(s->model_path);
    free(s);
}

static ap_err cpu_open(const json_t *config, void **state) {
    const char *ort = NULL;
    ap_err err = ap_json_get_str(config, "ort", "worker config", AP_ERR_INTERNAL, &ort);
    if (err) return err;
    cpu_state *s = ap_calloc(1, sizeof *s);
    err = ap_engine_open(ort, &s->engine);
    if (err)
        cpu_close(s);
    else
        *state = s;
    return err;
}

static ap_err cpu_describe(void *state, json_t **result) {
    cpu_state *s = state;
    *result = json_pack("{ss,ss,ss}", "ort", ap_engine_version(s->engine), "ep", "CPUExecutionProvider",
                        "backend", "ONNX Runtime CPU");
    return NULL;
}

static ap_err open_session(cpu_state *s, const char *path, const char *profile_prefix, uint64_t *vendor_us) {
    ap_session_options o = {
        .optimization = ORT_ENABLE_ALL, .record_placement = true, .profile_prefix = profile_prefix};
    ap_session *session = NULL;
    uint64_t start = ap_now_us();
    ap_err err = ap_session_open(s->engine, path, NULL, 0, &o, &session);
    if (err) return err;
    *vendor_us = ap_now_us() - start;
    ap_session_close(s->session);
    s->session = session;
    char *copy = ap_strdup(path);
    free(s->model_path);
    s->model_path = copy;
    return NULL;
}

static ap_err cpu_build(void *state, const json_t *args, json_t **result) {
    cpu_state *s = state;
    ap_arena a = {0};
    ap_model *m = NULL;
    json_t *placement = NULL;
    const char *dir = NULL;
    uint64_t vendor_us = 0;
    ap_err err = NULL;
    AP_TRY(ap_json_get_str(args, "dir", "build", AP_ERR_INTERNAL, &dir));
    AP_TRY(ap_spec_model(json_object_get(args, "model"), &m));
    char *path = ap_path_join(&a, dir, "model.onnx");
    AP_TRY(ap_model_save(m, path, NULL));
    AP_TRY(open_session(s, path, NULL, &vendor_us));
    AP_TRY(ap_session_placement(s->session, &placement));
    json_t *files = json_pack("[{ssss}]", "file", "model.onnx", "role", "model");
    for (size_t i = 0; i < m->external.count; i++)
        json_array_append_new(
            files, json_pack("{ssss}", "file", ap_path_base(m->external.entries[i].key), "role", "weights"));
    *result = json_pack("{so,sO,so,sI}", "files", files, "placement", placement, "io",
                        ap_session_io_json(s->session), "vendor_us", (json_int_t)vendor_us);
done:
    json_decref(placement);
    ap_model_free(m);
    ap_arena_release(&a);
    return err;
}

static ap_err cpu_load(void *state, const json_t *args, json_t **result) {
    cpu_state *s = state;
    ap_arena a = {0};
    const char *dir = NULL;
    uint64_t vendor_us = 0;
    ap_err err = NULL;
    AP_TRY(ap_json_get_str(args, "dir", "load", AP_ERR_INTERNAL, &dir));
    AP_TRY(open_session(s, ap_path_join(&a, dir, "model.onnx"), NULL, &vendor_us));
    *result = json_pack("{so,sI}", "io", ap_session_io_json(s->session), "vendor_us", (json_int_t)vendor_us);
done:
    ap_arena_release(&a);
    return err;
}

static ap_err cpu_run(void *state, const json_t *args, json_t **result) {
    return ap_session_serve_run(((cpu_state *)state)->session, args, result);
}

static ap_err cpu_share(void *state, const ap_bound_tensors *tensors) {
    return ap_session_bind(((cpu_state *)state)->session, tensors);
}

static ap_err cpu_call(void *state, size_t room, const void *const *inputs, size_t input_count,
                       uint64_t *vendor_us) {
    return ap_session_call(((cpu_state *)state)->session, room, inputs, input_count, vendor_us);
}

// ONNX Runtime does not look whether its profile could be written: one cut short is a full disk more often
// than not.
static ap_err explain_profile(ap_err err, const char *path) {
    ap_arena a = {0};
    struct statvfs disk;
    const char *dir = ap_path_dir(&a, path);
    if (err && statvfs(dir, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < FULL_BELOW_BYTES) {
        ap_err_free(err);
        err = ap_err_subject(ap_err_errno(ENOSPC, 1, "cannot write the profile into '%s'", dir), dir);
    }
    ap_arena_release(&a);
    return err;
}

// ONNX Runtime's profile is a list of trace events; those of category Node with a duration are the layers.
static ap_err read_profile(const char *path, json_t **layers) {
    json_t *events = NULL, *list = json_array(), *event;
    size_t i;
    ap_err err = NULL;
    AP_TRY(explain_profile(ap_json_load(path, (size_t)256 << 20, AP_ERR_VENDOR, &events), path));
    json_array_foreach(events, i, event) {
        const char *name = ap_json_str(event, "name", "");
        const char *cut = strstr(name, "_kernel_time");
        if (strcmp(ap_json_str(event, "cat", ""), "Node") != 0 || !cut) continue;
        json_t *args = json_object_get(event, "args");
        char *node = ap_strndup(name, (size_t)(cut - name));
        json_array_append_new(list, json_pack("{so,so,sI}", "name", ap_json_string(node), "op",
                                              ap_json_string(ap_json_str(args, "op_name", "?")), "value",
                                              (json_int_t)ap_json_int(event, "dur", 0)));
        free(node);
    }
    *layers = list;
    list = NULL;
done:
    json_decref(events);
    json_decref(list);
    return err;
}

// Profiling is a property of a session, so the model is opened again with it. Two runs: the first one warms
// up, the second one's events are kept.
static ap_err cpu_profile(void *state, const json_t *args, json_t **result) {
    cpu_state *s = state;
    ap_arena a = {0};
    const char *dir = NULL;
    char *file = NULL, *model = NULL;
    json_t *ignored = NULL, *all = NULL;
    uint64_t vendor_us = 0;
    ap_err err = NULL;
    if (!s->model_path) AP_FAIL(AP_ERR_INTERNAL, "profile without a loaded model");
    AP_TRY(ap_json_get_str(args, "dir", "profile", AP_ERR_INTERNAL, &dir));
    model = ap_strdup(s->model_path);
    AP_TRY(open_session(s, model, ap_path_join(&a, dir, "ort"), &vendor_us));
    for (int i = 0; i < 2; i++) {
        json_decref(ignored);
        ignored = NULL;
        AP_TRY(ap_session_serve_run(s->session, args, &ignored));
    }
    AP_TRY(ap_session_end_profile(s->session, &file));
    AP_TRY(read_profile(file, &all));
    size_t n = json_array_size(all) / 2; // two runs of the same graph: the first one is the warm-up
    json_t *last = json_array();
    for (size_t i = n; i < 2 * n; i++) json_array_append(last, json_array_get(all, i));
    *result = json_pack("{ss,ss,so}", "unit", "us", "what",
                        "measured on this machine's CPU, second of two runs", "layers", last);
done:
    json_decref(ignored);
    json_decref(all);
    free(file);
    free(model);
    ap_arena_release(&a);
    return err;
}

static ap_err cpu_oracle(void *state, const json_t *args, json_t **result) {
    return ap_engine_serve_oracle(((cpu_state *)state)->engine, args, result);
}

static ap_err cpu_probe(void *state, const json_t *args, json_t **result) {
    cpu_state *s = state;
    return ap_engine_serve_probe(s->engine, &(ap_probe_backend){0}, args, result);
}

const ap_target_ops ap_target_cpu = {
    .kind = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .describe = cpu_describe,
    .build = cpu_build,
    .load = cpu_load,
    .run = cpu_run,
    .share = cpu_share,
    .call = cpu_call,
    .profile = cpu_profile,
    .oracle = cpu_oracle,
    .probe = cpu_probe,
};
