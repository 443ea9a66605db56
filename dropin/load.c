// SPDX-License-Identifier: Apache-2.0
// Finds the real library, and makes the table that programs get.
#include "dropin.h"

#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SONAME "libonnxruntime.so.1"
enum { SLOTS = 1024 }; // interface 29 has 416 functions

void dropin_say(const char *fmt, ...) {
    va_list args;
    char line[1024];
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "aipc: %s\n", line);
}

char *dropin_own_path(void) {
    static const char here;
    Dl_info info;
    return dladdr(&here, &info) && info.dli_fname ? realpath(info.dli_fname, NULL) : NULL;
}

// ---- finding the real one

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

// Another drop-in (the versioned and the --compat build, two installations) would come back to us.
static void *open_real(const char *path) {
    char *own = dropin_own_path();
    void *handle = NULL;
    struct stat st;
    if (own && stat(path, &st) == 0 && !same_file(path, own)) handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle && dlsym(handle, "aipc_dropin")) {
        (void)dlclose(handle);
        handle = NULL;
    }
    free(own);
    return handle;
}

static void *open_in(const char *folder) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/" SONAME, folder);
    return n > 0 && (size_t)n < sizeof path ? open_real(path) : NULL;
}

// Where the loader looks for the program: LD_LIBRARY_PATH, RPATH and RUNPATH, the system's folders.
static void *open_on_path(void) {
    void *program = dlopen(NULL, RTLD_NOW), *found = NULL;
    Dl_serinfo size, *list = NULL;
    if (program && dlinfo(program, RTLD_DI_SERINFOSIZE, &size) == 0 &&
        (list = malloc(size.dls_size)) != NULL) {
        *list = size;
        if (dlinfo(program, RTLD_DI_SERINFOSIZE, list) == 0 && dlinfo(program, RTLD_DI_SERINFO, list) == 0)
            for (unsigned i = 0; i < list->dls_cnt && !found; i++)
                found = open_in(list->dls_serpath[i].dls_name);
    }
    free(list);
    if (program) (void)dlclose(program);
    return found;
}

// What `aipc runtime install onnxruntime` put there.
static void *open_installed(void) {
    const char *data = getenv("AIPC_DATA"), *share = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    char pattern[PATH_MAX];
    glob_t found = {0};
    void *handle = NULL;
    int n = data && *data ? snprintf(pattern, sizeof pattern, "%s/runtimes/onnxruntime-[0-9]*/" SONAME, data)
            : share && *share
                ? snprintf(pattern, sizeof pattern, "%s/aipc/runtimes/onnxruntime-[0-9]*/" SONAME, share)
                : snprintf(pattern, sizeof pattern,
                           "%s/.local/share/aipc/runtimes/onnxruntime-[0-9]*/" SONAME, home ? home : "");
    if (n > 0 && (size_t)n < sizeof pattern && glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = found.gl_pathc; i > 0 && !handle; i--) handle = open_real(found.gl_pathv[i - 1]);
    globfree(&found);
    return handle;
}

// ---- its table

static const OrtApiBase *base_of(void *handle) {
    const OrtApiBase *(*get)(void) = NULL;
    void *symbol = dlsym(handle, "OrtGetApiBase");
    if (!symbol) return NULL;
    memcpy(&get, &symbol, sizeof get);
    return get();
}

static void entry_of(const void *table, size_t position, void *slot) {
    memcpy(slot, (const char *)table + position * sizeof(void *), sizeof(void *));
}

typedef struct span {
    uintptr_t at, end;
} span;

// The end of the loaded segment an address lies in: nothing may be read beyond it.
static int segment_of(struct dl_phdr_info *info, size_t size, void *arg) {
    span *s = arg;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, to = from + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && s->at >= from && s->at < to) s->end = to;
    }
    return s->end != 0;
}

// The functions of a table. It only ever grows at its end, and a program uses no more of it than the version
// it asked for has; how many that is nobody says, so we copy what is there.
static size_t copy_table(const OrtApi *table, void **slots) {
    span s = {.at = (uintptr_t)table};
    (void)dl_iterate_phdr(segment_of, &s);
    size_t n = s.end > s.at ? (s.end - s.at) / sizeof *slots : 0;
    if (n > SLOTS) n = SLOTS;
    memcpy(slots, table, n * sizeof *slots);
    return n;
}

typedef struct state {
    dropin_real real;
    const OrtApi *(*get_api)(uint32_t);
    void *slots[SLOTS];
    bool filled;
} state;

static state the; // a library has one of each: this process's real library and its table
static pthread_once_t opened = PTHREAD_ONCE_INIT;
static pthread_mutex_t filling = PTHREAD_MUTEX_INITIALIZER;

static void open_once(void) {
    const char *named = getenv("AIPC_ORT");
    ap_ort_base_fns base = {0};
    void *handle = named && *named ? open_real(named) : NULL;
    if (named && *named && !handle) dropin_say("AIPC_ORT=%s is no ONNX Runtime that can be loaded", named);
    if (!named || !*named) {
        handle = open_on_path();
        if (!handle) handle = open_installed();
    }
    const OrtApiBase *table = handle ? base_of(handle) : NULL;
    if (!table) {
        dropin_say("there is no ONNX Runtime behind this drop-in; set AIPC_ORT to the file of the real "
                   "library, or run "
                   "'aipc runtime install onnxruntime'");
        return;
    }
    entry_of(table, 0, &base.GetApi);
    entry_of(table, 1, &base.GetVersionString);
    the.real.handle = handle;
    the.real.version = base.GetVersionString();
    the.get_api = base.GetApi;
}

const dropin_real *dropin_real_library(void) {
    (void)pthread_once(&opened, open_once);
    return &the.real;
}

// ---- our functions in it

static OrtStatus *made(OrtStatus *status, OrtSession **out, const char *path, const void *bytes, size_t len) {
    if (!status) dropin_session_made(*out, path, bytes, len);
    return status;
}

static OrtStatus *create(const OrtEnv *env, const char *path, const OrtSessionOptions *options,
                         OrtSession **out) {
    return made(the.real.fns.CreateSession(env, path, options, out), out, path, NULL, 0);
}

static OrtStatus *create_array(const OrtEnv *env, const void *data, size_t bytes,
                               const OrtSessionOptions *options, OrtSession **out) {
    return made(the.real.fns.CreateSessionFromArray(env, data, bytes, options, out), out, NULL, data, bytes);
}

static OrtStatus *create_weights(const OrtEnv *env, const char *path, const OrtSessionOptions *options,
                                 OrtPrepackedWeightsContainer *weights, OrtSession **out) {
    OrtStatus *status =
        the.real.fns.CreateSessionWithPrepackedWeightsContainer(env, path, options, weights, out);
    return made(status, out, path, NULL, 0);
}

static OrtStatus *create_array_weights(const OrtEnv *env, const void *data, size_t bytes,
                                       const OrtSessionOptions *options,
                                       OrtPrepackedWeightsContainer *weights, OrtSession **out) {
    OrtStatus *status = the.real.fns.CreateSessionFromArrayWithPrepackedWeightsContainer(
        env, data, bytes, options, weights, out);
    return made(status, out, NULL, data, bytes);
}

static OrtStatus *run_binding(OrtSession *session, const OrtRunOptions *options,
                              const OrtIoBinding *binding) {
    OrtStatus *status = dropin_not_served(session, "RunWithBinding");
    return status ? status : the.real.fns.RunWithBinding(session, options, binding);
}

static OrtStatus *run_async(OrtSession *session, const OrtRunOptions *options, const char *const *input_names,
                            const OrtValue *const *inputs, size_t num_inputs, const char *const *output_names,
                            size_t num_outputs, OrtValue **outputs, RunAsyncCallbackFn callback, void *user) {
    OrtStatus *status = dropin_not_served(session, "RunAsync");
    return status ? status
                  : the.real.fns.RunAsync(session, options, input_names, inputs, num_inputs, output_names,
                                          num_outputs, outputs, callback, user);
}

static void release(OrtSession *session) {
    dropin_release(session);
    the.real.fns.ReleaseSession(session);
}

// X(name, ours)
#define OVERRIDDEN(X)                                                                                        \
    X(CreateSession, create)                                                                                 \
    X(CreateSessionFromArray, create_array)                                                                  \
    X(CreateSessionWithPrepackedWeightsContainer, create_weights)                                            \
    X(CreateSessionFromArrayWithPrepackedWeightsContainer, create_array_weights)                             \
    X(Run, dropin_run)                                                                                       \
    X(RunWithBinding, run_binding)                                                                           \
    X(RunAsync, run_async)                                                                                   \
    X(ReleaseSession, release)

#define POSITION(name, position, result, parameters) AT_##name = position,
enum { AP_ORT_FUNCTIONS(POSITION) AT_END };

static void put(size_t count, size_t position, const void *function) {
    if (position < count) memcpy(&the.slots[position], function, sizeof the.slots[position]);
}

static void fill(const OrtApi *table) {
    size_t n = copy_table(table, the.slots);
#define TAKE(name, position, result, parameters)                                                             \
    if ((position) < n) entry_of(the.slots, (position), &the.real.fns.name);
    AP_ORT_FUNCTIONS(TAKE)
#define PUT(name, ours)                                                                                      \
    {                                                                                                        \
        const __typeof__(the.real.fns.name) function = ours;                                                 \
        put(n, AT_##name, &function);                                                                        \
    }
    OVERRIDDEN(PUT)
    the.filled = true;
}

const OrtApi *dropin_table(uint32_t version) {
    if (!dropin_real_library()->handle) return NULL;
    const OrtApi *table = the.get_api(version);
    if (!table) return NULL;
    // All versions of one library are one table; a newer one of it is asked for at most once more.
    (void)pthread_mutex_lock(&filling);
    if (!the.filled) fill(table);
    (void)pthread_mutex_unlock(&filling);
    return (const OrtApi *)(const void *)the.slots;
}
