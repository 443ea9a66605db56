// SPDX-License-Identifier: Apache-2.0
// A libonnxruntime.so.1 with a fault. It hands out the real library's tables and misbehaves at one point:
//   FAKE_ORT       crash abort exit hang memory garbage stdout
//   FAKE_ORT_AT    open (default), session, run: when
//   FAKE_ORT_REAL  path of the real library
// aipc knows nothing of it: it is installed like a runtime, so what is tested is what ships.
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void (*entry)(void);
typedef const void *(*get_api_fn)(uint32_t);
typedef const char *(*get_version_fn)(void);
typedef struct base_table {
    get_api_fn get_api;
    get_version_fn get_version;
} base_table;

// Positions in OrtApi; see src/engine/ort_api.h. ENTRIES is one more than the last one aipc uses.
enum { CREATE_SESSION = 7, CREATE_SESSION_FROM_ARRAY = 8, RUN = 9, ENTRIES = 420 };

static base_table real, fake;
static entry table[ENTRIES];

static int wants(const char *name) {
    const char *v = getenv("FAKE_ORT");
    return v && !strcmp(v, name);
}

static void eat_memory(void) {
    for (;;) {
        size_t n = (size_t)16 << 20;
        char *p = malloc(n);
        if (p) memset(p, 1, n);
        usleep(10000);
    }
}

static void fault(void) {
    static const char garbage[] = "<<<< this is no frame of the protocol >>>>";
    fprintf(stderr, "fake_ort: last words before the fault\n");
    if (wants("crash")) raise(SIGSEGV);
    if (wants("abort")) abort();
    if (wants("exit")) _exit(41);
    if (wants("memory")) eat_memory();
    if (wants("garbage") && write(3, garbage, sizeof garbage) < 0) _exit(42);
    if (wants("stdout"))
        for (int i = 0; i < 1000; i++)
            printf("AIPC{\"ok\":true,\"result\":{}} \001\377 garbage on stdout, line %d\n", i);
    fflush(stdout);
    while (wants("hang")) sleep(1000);
}

// The session's and the run's arguments do not matter: they are handed on as they came, six words and four on
// the stack.
typedef void *(*any_fn)(void *, void *, void *, void *, void *, void *, void *, void *, void *, void *);
static any_fn real_call[ENTRIES];
#define WRAP(position)                                                                                       \
    static void *wrap_##position(void *a, void *b, void *c, void *d, void *e, void *f, void *g, void *h,     \
                                 void *i, void *j) {                                                         \
        fault();                                                                                             \
        return real_call[position](a, b, c, d, e, f, g, h, i, j);                                            \
    }
WRAP(7)
WRAP(8)
WRAP(9)

static void replace(size_t position, any_fn with) {
    memcpy(&real_call[position], &table[position], sizeof(entry));
    memcpy(&table[position], &with, sizeof(entry));
}

static const void *get_api(uint32_t version) {
    const char *at = getenv("FAKE_ORT_AT");
    const void *api = real.get_api(version);
    if (!api) return NULL;
    memcpy(table, api, sizeof table);
    if (at && !strcmp(at, "session")) {
        replace(CREATE_SESSION, wrap_7);
        replace(CREATE_SESSION_FROM_ARRAY, wrap_8);
    }
    if (at && !strcmp(at, "run")) replace(RUN, wrap_9);
    if (!at || !strcmp(at, "open")) fault();
    return table;
}

static const char *get_version(void) {
    return real.get_version();
}

const base_table *OrtGetApiBase(void);
const base_table *OrtGetApiBase(void) {
    const char *path = getenv("FAKE_ORT_REAL");
    void *lib = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = lib ? dlsym(lib, "OrtGetApiBase") : NULL;
    const base_table *(*get_base)(void);
    if (!symbol) {
        fprintf(stderr, "fake_ort: FAKE_ORT_REAL is no ONNX Runtime: %s\n", dlerror());
        return NULL;
    }
    memcpy(&get_base, &symbol, sizeof get_base);
    real = *get_base();
    fake = (base_table){get_api, get_version};
    return &fake;
}
