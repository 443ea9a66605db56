// SPDX-License-Identifier: Apache-2.0
// Sessions of deployed models, and their runs.
#include "dropin.h"

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
    X(aipc_error_free)                                                                                       \
    X(aipc_server_open)                                                                                      \
    X(aipc_server_forking)                                                                                   \
    X(aipc_server_forked)                                                                                    \
    X(aipc_server_find_model)                                                                                \
    X(aipc_served_choose)                                                                                    \
    X(aipc_served_name)                                                                                      \
    X(aipc_served_refuse)                                                                                    \
    X(aipc_deployed_feed)                                                                                    \
    X(aipc_deployed_output)                                                                                  \
    X(aipc_deployed_lend)                                                                                    \
    X(aipc_loan_release)                                                                                     \
    X(aipc_deployed_run)

typedef struct library {
    void *handle; // NULL: there is none, nothing is served
    aipc_context *context;
    aipc_server *server;
#define MEMBER(name) __typeof__(name) *name;
    LIBAIPC(MEMBER)
} library;

// A session of a deployed model.
typedef struct served {
    OrtSession *session;
    aipc_served *model;
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

static void forking(void) {
    aipc.aipc_server_forking(aipc.server);
}

static void forked(void) {
    dropin_answers_forked();
    aipc.aipc_server_forked(aipc.server);
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
    if (!e)
        e = aipc.aipc_server_open(aipc.context, getenv("AIPC_ARTIFACTS"), getenv("AIPC_TARGET"),
                                  &aipc.server);
    if (!e) {
        (void)pthread_atfork(forking, NULL, forked);
        return;
    }
    complain("nothing is served", e);
    aipc.handle = NULL;
}

// ---- sessions

void dropin_session_made(OrtSession *session, const char *path, const void *bytes, size_t len) {
    aipc_served *model = NULL;
    (void)pthread_once(&opened, open_once);
    if (!aipc.handle) return;
    aipc_error *e = aipc.aipc_server_find_model(aipc.server, path, bytes, len, &model);
    if (e) complain("a session is not served", e);
    served *s = model ? calloc(1, sizeof *s) : NULL;
    if (!s) return;
    *s = (served){.session = session, .model = model};
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
    free(s);
}

// The original runs: counted, said once, and with AIPC_STRICT a failure.
static OrtStatus *refuse(served *s, const char *why) {
    char text[1024];
    (void)snprintf(text, sizeof text, "%s is not served: %s", aipc.aipc_served_name(s->model), why);
    if (aipc.aipc_served_refuse(s->model, why)) dropin_say("%s", text);
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

typedef struct run {
    served *s;
    const ap_ort_fns *f;
    tensor inputs[MAX_TENSORS];
    aipc_tensor list[MAX_TENSORS];
    const void *in[MAX_TENSORS]; // by feed
    void *out[MAX_TENSORS];      // by output of the artifact
    OrtValue *made[MAX_TENSORS]; // by output that was asked for
    dropin_answer *answer;       // NULL: nothing is lent
    char why[512];               // "": it was served
} run;

// The memory of the caller's value, when that is one for this output.
static void *given_room(const ap_ort_fns *f, const aipc_tensor *want, OrtValue *given) {
    tensor have;
    bool same = describe(f, given, &have) && have.t.bytes == want->bytes &&
                strcmp(have.t.dtype, want->dtype) == 0 && have.t.rank == want->rank &&
                memcmp(have.dims, want->dims, want->rank * sizeof *have.dims) == 0;
    return same ? have.t.data : NULL;
}

// A new value for an output, and its memory: what is lent for the answer, else the library's own.
static void *new_room(run *r, const aipc_tensor *want, void *lent, OrtValue **made) {
    const ap_ort_fns *f = r->f;
    OrtAllocator *allocator = NULL;
    void *data = NULL;
    size_t type = 1;
    while (type < DTYPES && (!dtypes[type] || strcmp(dtypes[type], want->dtype) != 0)) type++;
    if (type == DTYPES) return NULL;
    if (r->answer) {
        *made = dropin_answer_value(f, r->answer, want, lent, (ONNXTensorElementDataType)type);
        return *made ? lent : NULL;
    }
    bool ok = good(f, f->GetAllocatorWithDefaultOptions(&allocator)) &&
              good(f, f->CreateTensorAsOrtValue(allocator, want->dims, want->rank,
                                                (ONNXTensorElementDataType)type, made)) &&
              good(f, f->GetTensorMutableData(*made, &data));
    return ok ? data : NULL;
}

static void because(run *r, aipc_error *e) {
    (void)snprintf(r->why, sizeof r->why, "%s", aipc.aipc_error_message(e));
    aipc.aipc_error_free(e);
}

static aipc_deployed *choose(run *r, const char *const *names, const OrtValue *const *values, size_t count) {
    aipc_deployed *d = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!describe(r->f, (OrtValue *)(uintptr_t)values[i], &r->inputs[i])) {
            (void)snprintf(r->why, sizeof r->why, "an input is no plain tensor");
            return NULL;
        }
        r->inputs[i].t.name = names[i];
        r->list[i] = r->inputs[i].t;
    }
    aipc_error *e = aipc.aipc_served_choose(r->s->model, NULL, r->list, count, &d);
    if (e) because(r, e);
    const char *name;
    for (size_t k = 0; d && k < MAX_TENSORS && (name = aipc.aipc_deployed_feed(d, k)) != NULL; k++)
        for (size_t i = 0; i < count; i++)
            if (strcmp(names[i], name) == 0) r->in[k] = r->list[i].data;
    return d;
}

// Memory for all outputs at once, when new values are wanted.
static void lend(run *r, aipc_deployed *d, OrtValue **outputs, size_t count, void **lent) {
    size_t given = 0;
    while (given < count && outputs[given]) given++;
    aipc_loan *loan = given < count ? aipc.aipc_deployed_lend(d, lent) : NULL;
    r->answer = loan ? dropin_answer_of(loan, aipc.aipc_loan_release) : NULL;
    if (loan && !r->answer) aipc.aipc_loan_release(loan);
}

// Every output that is asked for gets room: the caller's or a new value's.
static bool place(run *r, aipc_deployed *d, const char *const *names, OrtValue **outputs, size_t count) {
    const aipc_tensor *want;
    void *lent[MAX_TENSORS] = {0};
    size_t placed = 0;
    lend(r, d, outputs, count, lent);
    for (size_t k = 0; k < MAX_TENSORS && (want = aipc.aipc_deployed_output(d, k)) != NULL; k++)
        for (size_t i = 0; i < count; i++)
            if (!r->out[k] && strcmp(names[i], want->name) == 0) {
                r->out[k] =
                    outputs[i] ? given_room(r->f, want, outputs[i]) : new_room(r, want, lent[k], &r->made[i]);
                placed += r->out[k] != NULL;
            }
    return placed == count;
}

static void serve(run *r, const char *const *input_names, const OrtValue *const *inputs, size_t num_inputs,
                  const char *const *output_names, size_t num_outputs, OrtValue **outputs) {
    aipc_deployed *d = choose(r, input_names, inputs, num_inputs);
    aipc_error *e = NULL;
    if (!d) return;
    if (aipc.aipc_deployed_feed(d, MAX_TENSORS) || aipc.aipc_deployed_output(d, MAX_TENSORS))
        (void)snprintf(r->why, sizeof r->why, "the artifact has more than %d tensors", MAX_TENSORS);
    else if (!place(r, d, output_names, outputs, num_outputs))
        (void)snprintf(r->why, sizeof r->why,
                       "the artifact has not these outputs, or they are to go into memory of another shape");
    else if ((e = aipc.aipc_deployed_run(d, r->in, r->out)) != NULL)
        because(r, e);
    if (r->answer) dropin_answer_leave(r->answer);
    for (size_t i = 0; i < num_outputs; i++) {
        if (!r->made[i]) continue;
        if (*r->why)
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
    run *r = s && num_inputs <= MAX_TENSORS && num_outputs <= MAX_TENSORS ? calloc(1, sizeof *r) : NULL;
    if (r) {
        r->s = s;
        r->f = f;
        serve(r, input_names, inputs, num_inputs, output_names, num_outputs, outputs);
    }
    bool answered = r && !*r->why;
    if (s && !answered) status = refuse(s, r ? r->why : "too many tensors");
    free(r);
    if (answered) return NULL;
    return status ? status
                  : f->Run(session, options, input_names, inputs, num_inputs, output_names, num_outputs,
                           outputs);
}
