// SPDX-License-Identifier: Apache-2.0
// Sessions of deployed models, and their runs.
#include "dropin.h"

#include "aipc/aipc.h"
#include "counts.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RANK = 16, MAX_TENSORS = 256 };

// X(function): of libaipc, by its own name
#define LIBAIPC(X)                                                                                           \
    X(aipc_context_open)                                                                                     \
    X(aipc_error_message)                                                                                    \
    X(aipc_error_key)                                                                                        \
    X(aipc_error_free)                                                                                       \
    X(aipc_served_find)                                                                                      \
    X(aipc_served_choose)                                                                                    \
    X(aipc_served_dir)                                                                                       \
    X(aipc_served_close)                                                                                     \
    X(aipc_artifact_output_count)                                                                            \
    X(aipc_artifact_output)                                                                                  \
    X(aipc_artifact_output_memory)                                                                           \
    X(aipc_artifact_run_into)

typedef struct library {
    void *handle; // NULL: there is none, nothing is served
    aipc_context *context;
#define MEMBER(name) __typeof__(name) *name;
    LIBAIPC(MEMBER)
} library;

typedef struct served {
    OrtSession *session;
    aipc_served *artifacts;
    char *name;
    bool warned;
    struct served *next;
} served;

static library aipc; // one a process, like what it opens
static pthread_once_t opened = PTHREAD_ONCE_INIT;
static pthread_rwlock_t guard = PTHREAD_RWLOCK_INITIALIZER;
static served *sessions;

// ---- libaipc

static bool is_set(const char *name) {
    const char *v = getenv(name);
    return v && *v;
}

// $AIPC_LIBRARY; seen from dropin/ or dropin/compat/ of a build, a wheel or LIB/aipc.
static void *open_libaipc(void) {
    static const char *const places[] = {"/../libaipc.so.0", "/../../libaipc.so.0", "/../../../libaipc.so.0"};
    const char *named = getenv("AIPC_LIBRARY");
    char *own = dropin_own_path(), *slash = own ? strrchr(own, '/') : NULL, path[4096];
    void *handle = NULL;
    if (slash) *slash = '\0';
    if (named && *named) handle = dlopen(named, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; slash && !handle && i < sizeof places / sizeof *places; i++)
        if ((size_t)snprintf(path, sizeof path, "%s%s", own, places[i]) < sizeof path)
            handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    free(own);
    return handle ? handle : dlopen("libaipc.so.0", RTLD_NOW | RTLD_LOCAL);
}

// "aipc: WHAT: MESSAGE" for an error, which is freed.
static void complain(const char *what, aipc_error *e) {
    dropin_say("%s: %s", what, aipc.aipc_error_message(e));
    aipc.aipc_error_free(e);
}

static void open_once(void) {
    if (!is_set("AIPC_ARTIFACTS")) return;
    aipc.handle = open_libaipc();
#define TAKE(name)                                                                                           \
    {                                                                                                        \
        void *symbol = aipc.handle ? dlsym(aipc.handle, #name) : NULL;                                       \
        memcpy(&aipc.name, &symbol, sizeof symbol);                                                          \
        if (!symbol) aipc.handle = NULL;                                                                     \
    }
    LIBAIPC(TAKE)
    if (!aipc.handle) {
        dropin_say("AIPC_ARTIFACTS is set, but libaipc is not to be found; nothing is served (AIPC_LIBRARY "
                   "names it)");
        return;
    }
    aipc_error *e = aipc.aipc_context_open(NULL, &aipc.context);
    if (!e) return;
    complain("nothing is served", e);
    aipc.handle = NULL;
}

// ---- sessions

void dropin_session_made(OrtSession *session, const char *path, const void *bytes, size_t len) {
    aipc_served *found = NULL;
    (void)pthread_once(&opened, open_once);
    if (!aipc.handle) return;
    aipc_error *e = aipc.aipc_served_find(aipc.context, getenv("AIPC_ARTIFACTS"), getenv("AIPC_TARGET"), path,
                                          bytes, len, &found);
    if (e) complain("a session is not served", e);
    served *s = found ? calloc(1, sizeof *s) : NULL;
    if (!s) return;
    const char *base = path ? strrchr(path, '/') : NULL;
    *s = (served){.session = session,
                  .artifacts = found,
                  .name = strdup(base   ? base + 1
                                 : path ? path
                                        : "session")};
    (void)pthread_rwlock_wrlock(&guard);
    s->next = sessions;
    sessions = s;
    (void)pthread_rwlock_unlock(&guard);
}

static served *find(const OrtSession *session) {
    (void)pthread_rwlock_rdlock(&guard);
    served *s = sessions;
    while (s && s->session != session) s = s->next;
    (void)pthread_rwlock_unlock(&guard);
    return s;
}

void dropin_release(OrtSession *session) {
    (void)pthread_rwlock_wrlock(&guard);
    served **at = &sessions, *s = NULL;
    while (*at && (*at)->session != session) at = &(*at)->next;
    if ((s = *at) != NULL) *at = s->next;
    (void)pthread_rwlock_unlock(&guard);
    if (!s) return;
    aipc.aipc_served_close(s->artifacts);
    free(s->name);
    free(s);
}

// The original runs: counted, said once a session, and with AIPC_STRICT a failure.
static OrtStatus *refuse(served *s, const char *why) {
    char text[1024];
    counts_add(s->name, NULL, why);
    (void)snprintf(text, sizeof text, "%s is not served: %s", s->name ? s->name : "a session", why);
    if (!s->warned) dropin_say("%s", text);
    s->warned = true;
    return is_set("AIPC_STRICT") ? dropin_real_library()->fns.CreateStatus(ORT_FAIL, text) : NULL;
}

OrtStatus *dropin_not_served(OrtSession *session, const char *how) {
    served *s = find(session);
    return s ? refuse(s, how) : NULL;
}

// ---- one run

// Element types of ONNX Runtime that artifacts have.
static const char *const dtypes[] = {
    [ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT] = "float32",     [ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8] = "uint8",
    [ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8] = "int8",         [ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16] = "uint16",
    [ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16] = "int16",       [ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32] = "int32",
    [ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64] = "int64",       [ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL] = "bool",
    [ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16] = "float16",   [ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE] = "float64",
    [ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32] = "uint32",     [ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64] = "uint64",
    [ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16] = "bfloat16",
};
static const size_t element_bytes[] = {[1] = 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 0, 0, 2};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

typedef struct tensor {
    aipc_tensor t;
    int64_t dims[MAX_RANK];
} tensor;

// No error of the real library may leave: the original run will say it better.
static bool good(const ap_ort_fns *f, OrtStatus *status) {
    if (status) f->ReleaseStatus(status);
    return !status;
}

static bool describe(const ap_ort_fns *f, OrtValue *value, tensor *out) {
    OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType type = 0;
    int is_tensor = 0;
    memset(&out->t, 0, sizeof out->t);
    if (!value || !good(f, f->IsTensor(value, &is_tensor)) || !is_tensor) return false;
    if (!good(f, f->GetTensorTypeAndShape(value, &info))) return false;
    bool ok = good(f, f->GetTensorElementType(info, &type)) &&
              good(f, f->GetDimensionsCount(info, &out->t.rank)) && out->t.rank <= MAX_RANK &&
              good(f, f->GetDimensions(info, out->dims, out->t.rank)) && (size_t)type < DTYPES &&
              dtypes[type] && good(f, f->GetTensorMutableData(value, &out->t.data));
    f->ReleaseTensorTypeAndShapeInfo(info);
    if (!ok) return false;
    out->t.dims = out->dims;
    out->t.dtype = dtypes[type];
    out->t.bytes = element_bytes[type];
    for (size_t i = 0; i < out->t.rank; i++)
        if (out->dims[i] < 0 || __builtin_mul_overflow(out->t.bytes, (size_t)out->dims[i], &out->t.bytes))
            return false;
    return true;
}

// Room for an output in the caller's value, or in a new one when it gave none (then *made is it).
static bool room(const ap_ort_fns *f, const aipc_tensor *want, OrtValue *given, OrtValue **made,
                 aipc_tensor *out) {
    OrtAllocator *allocator = NULL;
    tensor have;
    *out = *want;
    if (given) {
        if (!describe(f, given, &have) || have.t.bytes != want->bytes ||
            strcmp(have.t.dtype, want->dtype) != 0 || have.t.rank != want->rank ||
            memcmp(have.dims, want->dims, want->rank * sizeof *have.dims) != 0)
            return false;
        out->data = have.t.data;
        return true;
    }
    size_t type = 1;
    while (type < DTYPES && (!dtypes[type] || strcmp(dtypes[type], want->dtype) != 0)) type++;
    return type < DTYPES && good(f, f->GetAllocatorWithDefaultOptions(&allocator)) &&
           good(f, f->CreateTensorAsOrtValue(allocator, want->dims, want->rank,
                                             (ONNXTensorElementDataType)type, made)) &&
           good(f, f->GetTensorMutableData(*made, &out->data));
}

typedef struct run {
    served *s;
    const ap_ort_fns *f;
    tensor *inputs;
    aipc_tensor *list, *outputs;
    OrtValue **made; // an output each that was asked for
    const char *why; // it cannot be served
    char text[512];
} run;

static aipc_artifact *choose(run *r, const char *const *names, const OrtValue *const *values, size_t count) {
    aipc_artifact *a = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!describe(r->f, (OrtValue *)(uintptr_t)values[i], &r->inputs[i])) {
            r->why = "an input is no plain tensor";
            return NULL;
        }
        r->inputs[i].t.name = names[i];
        r->list[i] = r->inputs[i].t;
    }
    aipc_error *e = aipc.aipc_served_choose(r->s->artifacts, r->list, count, &a);
    if (e) {
        (void)snprintf(r->text, sizeof r->text, "%s", aipc.aipc_error_message(e));
        r->why = r->text;
        aipc.aipc_error_free(e);
    }
    return a;
}

// Every output of the artifact gets room: the caller's, a new value's, or for those nobody asked for where it
// lies.
static bool place(run *r, aipc_artifact *a, const char *const *names, OrtValue **outputs, size_t count) {
    size_t n = aipc.aipc_artifact_output_count(a), placed = 0;
    if (n > MAX_TENSORS) return false;
    for (size_t k = 0; k < n; k++) {
        const aipc_tensor *want = aipc.aipc_artifact_output(a, k);
        size_t i = 0;
        while (i < count && strcmp(names[i], want->name) != 0) i++;
        r->outputs[k] = *want;
        r->outputs[k].data = aipc.aipc_artifact_output_memory(a, k);
        if (i == count) continue;
        if (!room(r->f, want, outputs[i], &r->made[i], &r->outputs[k])) return false;
        placed++;
    }
    return placed == count;
}

static void serve(run *r, const char *const *input_names, const OrtValue *const *inputs, size_t num_inputs,
                  const char *const *output_names, size_t num_outputs, OrtValue **outputs) {
    aipc_artifact *a = choose(r, input_names, inputs, num_inputs);
    if (!a) return;
    aipc_error *e = NULL;
    if (!place(r, a, output_names, outputs, num_outputs))
        r->why = "the artifact has not these outputs, or they are to go into memory of another shape";
    else if ((e = aipc.aipc_artifact_run_into(a, r->list, num_inputs, r->outputs,
                                              aipc.aipc_artifact_output_count(a))) != NULL) {
        (void)snprintf(r->text, sizeof r->text, "%s: %s", aipc.aipc_error_key(e), aipc.aipc_error_message(e));
        r->why = r->text;
        aipc.aipc_error_free(e);
    }
    if (!r->why) counts_add(r->s->name, aipc.aipc_served_dir(r->s->artifacts, a), NULL);
    for (size_t i = 0; i < num_outputs; i++) {
        if (!r->made[i]) continue;
        if (r->why)
            r->f->ReleaseValue(r->made[i]);
        else
            outputs[i] = r->made[i];
    }
}

OrtStatus *dropin_run(OrtSession *session, const OrtRunOptions *options, const char *const *input_names,
                      const OrtValue *const *inputs, size_t num_inputs, const char *const *output_names,
                      size_t num_outputs, OrtValue **outputs) {
    const ap_ort_fns *f = &dropin_real_library()->fns;
    served *s = find(session);
    OrtStatus *status = NULL;
    if (s) {
        run r = {.s = s, .f = f, .why = "too many tensors"};
        if (num_inputs <= MAX_TENSORS && num_outputs <= MAX_TENSORS) {
            r.inputs = calloc(num_inputs + 1, sizeof *r.inputs);
            r.list = calloc(num_inputs + 1, sizeof *r.list);
            r.outputs = calloc(MAX_TENSORS, sizeof *r.outputs);
            r.made = calloc(num_outputs + 1, sizeof *r.made);
            r.why = r.inputs && r.list && r.outputs && r.made ? NULL : "no memory";
            if (!r.why) serve(&r, input_names, inputs, num_inputs, output_names, num_outputs, outputs);
        }
        free(r.inputs);
        free(r.list);
        free(r.outputs);
        free(r.made);
        if (!r.why) return NULL;
        status = refuse(s, r.why);
    }
    return status ? status
                  : f->Run(session, options, input_names, inputs, num_inputs, output_names, num_outputs,
                           outputs);
}
