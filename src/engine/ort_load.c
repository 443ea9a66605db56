// SPDX-License-Identifier: Apache-2.0
#include "ort_load.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char bind_message[1024];

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
static const char *
fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(bind_message, sizeof bind_message, format, args);
    va_end(args);
    return bind_message;
}

// Copies entry `position` of a table of function pointers into *slot. All function pointers have one size on
// the systems that have dlsym, so the copy by bytes is exact, and it avoids a cast between unrelated pointer
// types. Returns false when the entry is empty, which a reduced build of the library may do.
static bool take(const void *table, size_t position, void *slot) {
    void (*entry)(void);
    memcpy(&entry, (const char *)table + position * sizeof entry, sizeof entry);
    if (!entry) return false;
    memcpy(slot, &entry, sizeof entry);
    return true;
}

#define TAKE(name, position, result, parameters)                                                             \
    if (!take(table, (position), &fns->name)) return #name;

// Each returns the name of the first function that is missing, NULL when all are there.
static const char *take_base(const OrtApiBase *table, ap_ort_base_fns *fns) {
    AP_ORT_BASE_FUNCTIONS(TAKE)
    return NULL;
}

static const char *take_all(const OrtApi *table, ap_ort_fns *fns) {
    AP_ORT_FUNCTIONS(TAKE)
    return NULL;
}

static const char *take_compile(const OrtCompileApi *table, ap_ort_compile_fns *fns) {
    AP_ORT_COMPILE_FUNCTIONS(TAKE)
    return NULL;
}

// Finds the one symbol the library exports for us and reads the small table behind it.
static const char *open_base(void *handle, const char *path, ap_ort_base_fns *base) {
    void *symbol = dlsym(handle, "OrtGetApiBase");
    if (!symbol) return fail("%s is not an ONNX Runtime library: it has no OrtGetApiBase", path);
    const OrtApiBase *(*get_base)(void);
    memcpy(&get_base, &symbol, sizeof get_base);
    const OrtApiBase *table = get_base();
    if (!table || take_base(table, base)) return fail("%s: OrtGetApiBase gives no usable table", path);
    return NULL;
}

static const char *bind_open(void *handle, const char *path, ap_ort_lib *out) {
    ap_ort_lib lib = {.handle = handle};
    ap_ort_base_fns base = {0};
    const char *problem = open_base(handle, path, &base);
    if (problem) return problem;

    lib.version = base.GetVersionString();
    const OrtApi *api = base.GetApi(AP_ORT_API_VERSION);
    if (!api)
        return fail("%s is ONNX Runtime %s, which is too old: aipc needs interface version %u, so release "
                    "1.%u or newer",
                    path, lib.version ? lib.version : "(no version)", AP_ORT_API_VERSION, AP_ORT_API_VERSION);
    const char *missing = take_all(api, &lib.fns);
    if (missing) return fail("%s: ONNX Runtime %s has no %s", path, lib.version, missing);
    const OrtCompileApi *compile = lib.fns.GetCompileApi();
    if (!compile)
        return fail("%s: ONNX Runtime %s was built without the compile interface", path, lib.version);
    missing = take_compile(compile, &lib.compile);
    if (missing) return fail("%s: ONNX Runtime %s has no %s", path, lib.version, missing);

    *out = lib;
    return NULL;
}

const char *ap_ort_bind(const char *lib_path, ap_ort_lib *out) {
    // RTLD_LOCAL keeps the library's C++ symbols away from other vendor libraries in the same worker.
    void *handle = dlopen(lib_path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *reason = dlerror();
        return fail("cannot open the ONNX Runtime library %s: %s", lib_path,
                    reason ? reason : "no reason given");
    }
    const char *problem = bind_open(handle, lib_path, out);
    if (problem) dlclose(handle);
    return problem;
}

void ap_ort_unbind(ap_ort_lib *lib) {
    if (lib->handle) dlclose(lib->handle);
    *lib = (ap_ort_lib){0};
}
