// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

// The vendor's log arrives here from any of its threads. Kept whole (bounded), because the reason why a node
// is refused exists nowhere else.
static void on_log(void *param, OrtLoggingLevel severity, const char *category, const char *logid,
                   const char *location, const char *message) {
    (void)category;
    (void)logid;
    (void)location;
    static const char *const names[] = {"verbose", "info", "warning", "error", "fatal"};
    ap_engine_log *log = param;
    // Talkative levels are switched on for one thing only: why a node was refused.
    if (severity < ORT_LOGGING_LEVEL_WARNING && (!message || !strstr(message, "REASON"))) return;
    const char *level = (size_t)severity < sizeof names / sizeof *names ? names[severity] : "?";
    pthread_mutex_lock(&log->lock);
    if (log->count == AP_ENGINE_LOG_LINES) {
        // The end matters most: keep the newer half.
        size_t half = AP_ENGINE_LOG_LINES / 2;
        memmove(log->lines, log->lines + half, (log->count - half) * sizeof *log->lines);
        log->count -= half;
        log->dropped += half;
    }
    if (log->count == log->cap) {
        log->cap = log->cap ? log->cap * 2 : 64;
        log->lines = ap_realloc(log->lines, log->cap * sizeof *log->lines);
    }
    log->lines[log->count++] = ap_arena_printf(&log->arena, "%s: %.2000s", level, message ? message : "");
    pthread_mutex_unlock(&log->lock);
}

void ap_engine_log_reset(ap_engine *e) {
    pthread_mutex_lock(&e->log.lock);
    ap_arena_release(&e->log.arena);
    e->log.count = e->log.dropped = 0;
    pthread_mutex_unlock(&e->log.lock);
}

// At most this many of the library's error lines travel with an error.
#define NOTE_LINES 8

static ap_err add_log_notes(ap_engine *e, ap_err err) {
    pthread_mutex_lock(&e->log.lock);
    size_t picked[NOTE_LINES], n = 0;
    for (size_t i = e->log.count; i > 0 && n < NOTE_LINES; i--) {
        const char *line = e->log.lines[i - 1];
        if (strncmp(line, "error", 5) == 0 || strncmp(line, "fatal", 5) == 0) picked[n++] = i - 1;
    }
    while (n > 0) err = ap_err_note(err, "vendor %s", e->log.lines[picked[--n]]);
    pthread_mutex_unlock(&e->log.lock);
    return err;
}

// Many messages begin with where in ONNX Runtime's source they come from: "/onnxruntime_src/….cc:12 type
// f(types) text".
static const char *skip_location(const char *message) {
    const char *p = strncmp(message, "/onnxruntime_src/", 17) == 0 ? strchr(message, '(') : NULL;
    for (int depth = 0; p && *p; p++) {
        depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
        if (depth == 0) return strncmp(p, ") ", 2) == 0 ? p + 2 : message;
    }
    return message;
}

ap_err ap_engine_err(ap_engine *e, OrtStatus *status, ap_code code, const char *doing) {
    if (!status) return NULL;
    const ap_ort_fns *f = &e->lib.fns;
    ap_err err = ap_err_new(code, "%s: %.1500s", doing, skip_location(f->GetErrorMessage(status)));
    f->ReleaseStatus(status);
    return add_log_notes(e, err);
}

static ap_err create_env(ap_engine *e) {
    const ap_ort_fns *f = &e->lib.fns;
    OrtEnvCreationOptions o = {
        .version = AP_ORT_API_VERSION,
        .logging_severity_level = ORT_LOGGING_LEVEL_WARNING,
        .log_id = "aipc",
        .custom_logging_function = on_log,
        .custom_logging_param = &e->log,
    };
    ap_err err = ap_engine_err(e, f->CreateEnvWithOptions(&o, &e->env), AP_ERR_RUNTIME_LOAD,
                               "ONNX Runtime environment");
    if (!err)
        err = ap_engine_err(e, f->GetAllocatorWithDefaultOptions(&e->allocator), AP_ERR_RUNTIME_LOAD,
                            "allocator");
    if (!err)
        err = ap_engine_err(e, f->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &e->cpu_memory),
                            AP_ERR_RUNTIME_LOAD, "memory info");
    return err;
}

ap_err ap_engine_open(const char *ort_lib, ap_engine **out) {
    // The official Linux builds write an event database and upload it unless this is set before they load.
    if (setenv("ORT_DISABLE_TELEMETRY", "1", 1) != 0)
        return ap_err_new(AP_ERR_INTERNAL, "cannot set ORT_DISABLE_TELEMETRY");
    ap_engine *e = ap_calloc(1, sizeof *e);
    pthread_mutex_init(&e->log.lock, NULL);
    ap_err err = ap_ort_bind(ort_lib, &e->lib);
    if (!err) err = create_env(e);
    if (err) {
        ap_engine_close(e);
        return err;
    }
    *out = e;
    return NULL;
}

void ap_engine_close(ap_engine *e) {
    if (!e) return;
    if (e->lib.handle) {
        const ap_ort_fns *f = &e->lib.fns;
        f->ReleaseMemoryInfo(e->cpu_memory);
        f->ReleaseEnv(e->env);
        ap_ort_unbind(&e->lib);
    }
    ap_arena_release(&e->log.arena);
    free(e->log.lines);
    pthread_mutex_destroy(&e->log.lock);
    free(e);
}

const char *ap_engine_version(const ap_engine *e) {
    return e->lib.version;
}

ap_err ap_engine_add_plugin(ap_engine *e, const char *name, const char *lib_path) {
    return ap_err_subject(ap_engine_err(e,
                                        e->lib.fns.RegisterExecutionProviderLibrary(e->env, name, lib_path),
                                        AP_ERR_RUNTIME_LOAD, "registering the execution provider"),
                          lib_path);
}

ap_err ap_engine_compatibility(ap_engine *e, const char *model_path, const char *ep, char **out) {
    char *text = NULL;
    ap_err err =
        ap_engine_err(e, e->lib.fns.GetCompatibilityInfoFromModel(model_path, ep, e->allocator, &text),
                      AP_ERR_VENDOR, "compatibility string");
    if (err) return err;
    *out = ap_strdup(text);
    if (text)
        err =
            ap_engine_err(e, e->lib.fns.AllocatorFree(e->allocator, text), AP_ERR_VENDOR, "freeing a string");
    return err;
}
