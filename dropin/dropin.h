// SPDX-License-Identifier: Apache-2.0
// dropin: a libonnxruntime.so.1 that stands before the real one. Sessions of models that were deployed are
// answered by the artifact; everything else is the real library's, by its own functions.
//
// It is loaded into programs we know nothing about, so it links nothing of ours: libaipc is opened when the
// first session is made and $AIPC_ARTIFACTS is set.
//
//   - AIPC_ORT: the real library; else the next one on the program's library path, else the installed runtime
//   - AIPC_ARTIFACTS: folders written by deploy, joined by ':'
//   - AIPC_TARGET: which target of them; none: the first
//   - AIPC_STRICT: not empty: a run of a deployed model that cannot be served fails
#ifndef DROPIN_H
#define DROPIN_H

#include "aipc/aipc.h"
#include "engine/ort_api.h"

// Functions of the real library's table that we call ourselves, all of them in its oldest version.
#define DROPIN_CALLED(X)                                                                                     \
    X(CreateStatus)                                                                                          \
    X(ReleaseStatus)                                                                                         \
    X(CreateSession)                                                                                         \
    X(CreateSessionFromArray)                                                                                \
    X(Run)                                                                                                   \
    X(ReleaseSession)                                                                                        \
    X(CreateTensorAsOrtValue)                                                                                \
    X(IsTensor)                                                                                              \
    X(GetTensorMutableData)                                                                                  \
    X(GetTensorTypeAndShape)                                                                                 \
    X(GetTensorElementType)                                                                                  \
    X(GetDimensionsCount)                                                                                    \
    X(GetDimensions)                                                                                         \
    X(ReleaseTensorTypeAndShapeInfo)                                                                         \
    X(GetAllocatorWithDefaultOptions)                                                                        \
    X(ReleaseValue)

// The real library's table, as positions and as typed functions. NULL handle: there is none.
typedef struct dropin_real {
    void *handle;
    const char *version;
    ap_ort_fns fns; // complete only as far as the library is new enough
} dropin_real;

// load.c
const dropin_real *dropin_real_library(void);
// The table to hand out for an interface version: the real one with our functions in it; NULL when the real
// library does not know the version.
const OrtApi *dropin_table(uint32_t version);
char *dropin_own_path(void); // of this library; malloc'ed, NULL when it cannot be told
void dropin_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// serve.c: what stands in the place of the real functions.
void dropin_session_made(OrtSession *session, const char *path, const void *bytes, size_t len);
OrtStatus *dropin_run(OrtSession *session, const OrtRunOptions *options, const char *const *input_names,
                      const OrtValue *const *inputs, size_t num_inputs, const char *const *output_names,
                      size_t num_outputs, OrtValue **outputs);
void dropin_release(OrtSession *session);
// A way of running that is not served: NULL, or with AIPC_STRICT the status that says so.
OrtStatus *dropin_not_served(OrtSession *session, const char *how);

// value.c: values over memory that is lent for one answer. NULL: no memory, or the real library refuses.
typedef struct dropin_answer dropin_answer;
dropin_answer *dropin_answer_of(aipc_loan *loan, void (*release)(aipc_loan *loan));
// A value of the type and shape of `t` over its memory `data`.
OrtValue *dropin_answer_value(const ap_ort_fns *f, dropin_answer *a, const aipc_tensor *t, void *data,
                              ONNXTensorElementDataType type);
// The run is done with it; the loan goes back with the last value.
void dropin_answer_leave(dropin_answer *a);
void dropin_answers_forked(void); // in the child

#endif
