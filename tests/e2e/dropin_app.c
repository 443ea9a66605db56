// SPDX-License-Identifier: Apache-2.0
// An ONNX Runtime program, as somebody writes it who never heard of aipc.
//   dropin_app MODEL [INTERFACE VERSION [WAY]]
// WAY: file, bytes (a session from memory), given (into memory of ours), subset (the last output alone),
// fork, keep (answers of many runs kept, written to, handed to a fork) Linked with libonnxruntime.so.1, or
// built with -DBY_NAME: opened with dlopen("libonnxruntime.so.1").
#include "engine/ort_api.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef BY_NAME
extern const OrtApiBase *OrtGetApiBase(void);
#endif

static ap_ort_fns f;

static void check(OrtStatus *status, const char *doing) {
    if (!status) return;
    printf("error: %s: %s\n", doing, f.GetErrorMessage(status));
    exit(1);
}

static const OrtApiBase *base_of_library(void) {
#ifdef BY_NAME
    const OrtApiBase *(*get)(void) = NULL;
    void *lib = dlopen("libonnxruntime.so.1", RTLD_NOW), *symbol = lib ? dlsym(lib, "OrtGetApiBase") : NULL;
    if (!symbol) exit(3);
    memcpy(&get, &symbol, sizeof get);
    return get();
#else
    return OrtGetApiBase();
#endif
}

static void take_functions(uint32_t version) {
    ap_ort_base_fns base;
    memcpy(&base, base_of_library(), sizeof base);
    const OrtApi *api = base.GetApi(version);
    printf("release %s, interface %u %s\n", base.GetVersionString(), version, api ? "there" : "refused");
    if (!api) exit(4);
        // As a program compiled with an old header: nothing behind what that version had is touched.
#define TAKE(name, position, result, parameters)                                                             \
    if (position < 120) memcpy(&f.name, (const char *)api + position * sizeof(void *), sizeof(void *));
    AP_ORT_FUNCTIONS(TAKE)
}

static void *read_file(const char *path, size_t *bytes) {
    FILE *in = fopen(path, "rb");
    char *data = malloc(1 << 22);
    if (!in || !data) exit(1);
    *bytes = fread(data, 1, 1 << 22, in);
    fclose(in);
    return data;
}

static OrtSession *open_session(const char *path, const char *way) {
    OrtEnv *env = NULL;
    OrtSessionOptions *options = NULL;
    OrtSession *session = NULL;
    size_t bytes = 0;
    check(f.CreateEnv(ORT_LOGGING_LEVEL_ERROR, "app", &env), "environment");
    check(f.CreateSessionOptions(&options), "options");
    check(f.SetIntraOpNumThreads(options, 1), "options");
    if (strcmp(way, "bytes") == 0) {
        void *data = read_file(path, &bytes);
        check(f.CreateSessionFromArray(env, data, bytes, options, &session), "session");
        free(data);
    } else
        check(f.CreateSession(env, path, options, &session), "session");
    f.ReleaseSessionOptions(options);
    return session;
}

// Inputs filled with a pattern; unknown dimensions are 1 (or 5 for WAY "other").
static OrtValue *input_of(OrtSession *session, size_t i, OrtAllocator *a, const char *way, char **name) {
    OrtTypeInfo *type = NULL;
    const OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType kind;
    OrtValue *value = NULL;
    int64_t dims[16];
    size_t rank = 0, n = 1;
    void *data = NULL;
    check(f.SessionGetInputName(session, i, a, name), "name");
    check(f.SessionGetInputTypeInfo(session, i, &type), "type");
    check(f.CastTypeInfoToTensorInfo(type, &info), "type");
    check(f.GetTensorElementType(info, &kind), "type");
    check(f.GetDimensionsCount(info, &rank), "rank");
    check(f.GetDimensions(info, dims, rank), "dims");
    for (size_t d = 0; d < rank; d++) {
        if (dims[d] < 0) dims[d] = strcmp(way, "other") == 0 ? 5 : 1;
        n *= (size_t)dims[d];
    }
    check(f.CreateTensorAsOrtValue(a, dims, rank, kind, &value), "value");
    check(f.GetTensorMutableData(value, &data), "data");
    for (size_t k = 0; k < n; k++) {
        if (kind == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64)
            ((int64_t *)data)[k] = (int64_t)(k % 7 + i);
        else
            ((float *)data)[k] = (float)(k % 7) - 3 + (float)i;
    }
    f.ReleaseTypeInfo(type);
    return value;
}

static void print_value(const char *name, OrtValue *value) {
    OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType kind;
    size_t n = 0;
    void *data = NULL;
    double sum = 0;
    check(f.GetTensorTypeAndShape(value, &info), "shape");
    check(f.GetTensorShapeElementCount(info, &n), "count");
    check(f.GetTensorElementType(info, &kind), "type");
    check(f.GetTensorMutableData(value, &data), "data");
    for (size_t k = 0; k < n; k++)
        sum +=
            (double)(k % 5 + 1) * (kind == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 ? (double)((int64_t *)data)[k]
                                                                               : (double)((float *)data)[k]);
    printf("%s: %zu elements, %.3f\n", name, n, sum);
    f.ReleaseTensorTypeAndShapeInfo(info);
}

static void run(OrtSession *session, const char *way) {
    OrtAllocator *a = NULL;
    size_t ins = 0, outs = 0, from = 0;
    char *in_names[16], *out_names[16];
    OrtValue *inputs[16], *outputs[16] = {0};
    check(f.GetAllocatorWithDefaultOptions(&a), "allocator");
    check(f.SessionGetInputCount(session, &ins), "inputs");
    check(f.SessionGetOutputCount(session, &outs), "outputs");
    for (size_t i = 0; i < ins; i++) inputs[i] = input_of(session, i, a, way, &in_names[i]);
    for (size_t i = 0; i < outs; i++) check(f.SessionGetOutputName(session, i, a, &out_names[i]), "name");
    if (strcmp(way, "subset") == 0) from = outs - 1;
    for (int round = 0; round < (strcmp(way, "given") == 0 ? 2 : 1);
         round++) // the second goes into the first's memory
        check(f.Run(session, NULL, (const char *const *)in_names, (const OrtValue *const *)inputs, ins,
                    (const char *const *)out_names + from, outs - from, outputs),
              "run");
    for (size_t i = from; i < outs; i++) print_value(out_names[i], outputs[i - from]);
    for (size_t i = from; i < outs; i++) f.ReleaseValue(outputs[i - from]);
    for (size_t i = 0; i < ins; i++) f.ReleaseValue(inputs[i]);
}

enum { KEPT = 24 };

// Each run gets other numbers; what it answered must stay until it is released, whatever came after.
static void keep(OrtSession *session) {
    OrtAllocator *a = NULL;
    char *in_name = NULL, *out_name = NULL;
    OrtValue *kept[KEPT] = {0};
    float *x = NULL, *y[KEPT] = {0};
    size_t wrong = 0;
    int status = 1;
    check(f.GetAllocatorWithDefaultOptions(&a), "allocator");
    OrtValue *input = input_of(session, 0, a, "keep", &in_name);
    check(f.SessionGetOutputName(session, 0, a, &out_name), "name");
    check(f.GetTensorMutableData(input, (void **)&x), "data");
    for (int i = 0; i < 3 * KEPT; i++) {
        int at = i % KEPT;
        f.ReleaseValue(kept[at]);
        kept[at] = NULL;
        x[0] = (float)i + 1;
        check(f.Run(session, NULL, (const char *const *)&in_name, (const OrtValue *const *)&input, 1,
                    (const char *const *)&out_name, 1, &kept[at]),
              "run");
        check(f.GetTensorMutableData(kept[at], (void **)&y[at]), "data");
        if (i % 2) y[at][0] = -y[at][0]; // the program's own
    }
    pid_t child = fork();
    for (int at = 0; at < KEPT; at++) {
        float want = (float)(2 * KEPT + at) + 1;
        wrong += y[at][0] != (at % 2 ? -want : want);
        y[at][0] = child ? 0 : 1; // seen by nobody but us
    }
    if (child == 0) _exit(wrong ? 6 : 0);
    if (waitpid(child, &status, 0) != child || status) wrong++;
    for (int at = 0; at < KEPT; at++) {
        wrong += y[at][0] != 0;
        f.ReleaseValue(kept[at]);
    }
    printf("%s of %d runs: %zu wrong\n", out_name, 3 * KEPT, wrong);
    f.ReleaseValue(input);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    const char *way = argc > 3 ? argv[3] : "file";
    setvbuf(stdout, NULL, _IOLBF, 0);
    take_functions(argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : AP_ORT_API_VERSION);
    OrtSession *session = open_session(argv[1], way);
    run(session, way);
    if (strcmp(way, "keep") == 0) keep(session);
    if (strcmp(way, "fork") == 0) {
        int status = 1;
        pid_t child = fork();
        if (child == 0) {
            run(session, way);
            _exit(0);
        }
        if (waitpid(child, &status, 0) != child || status) return 5;
        run(session, way);
    }
    f.ReleaseSession(session);
    return 0;
}
