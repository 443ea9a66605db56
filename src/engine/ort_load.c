// SPDX-License-Identifier: Apache-2.0
#include "engine/ort_load.h"

#include "base/dylib.h"

#include <string.h>

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
static ap_err open_base(void *handle, ap_ort_base_fns *base) {
    const OrtApiBase *(*get_base)(void) = NULL;
    ap_err err = ap_dylib_function(handle, "OrtGetApiBase", &get_base);
    if (err) return ap_err_context(err, "this is no ONNX Runtime library");
    const OrtApiBase *table = get_base();
    if (!table || take_base(table, base))
        return ap_err_new(AP_ERR_RUNTIME_LOAD, "OrtGetApiBase gives no usable table");
    return NULL;
}

static ap_err missing_function(const char *version, const char *name) {
    return ap_err_new(AP_ERR_RUNTIME_LOAD, "ONNX Runtime %s has no %s", version, name);
}

static ap_err read_tables(ap_ort_lib *lib) {
    ap_ort_base_fns base = {0};
    ap_err err = open_base(lib->handle, &base);
    if (err) return err;
    lib->version = base.GetVersionString();
    if (!lib->version) lib->version = "(no version)";
    const OrtApi *api = base.GetApi(AP_ORT_API_VERSION);
    if (!api)
        return ap_err_new(AP_ERR_RUNTIME_LOAD,
                          "this is ONNX Runtime %s, which is too old: aipc needs interface version %u, so "
                          "release 1.%u or newer",
                          lib->version, AP_ORT_API_VERSION, AP_ORT_API_VERSION);
    const char *missing = take_all(api, &lib->fns);
    if (missing) return missing_function(lib->version, missing);
    const OrtCompileApi *compile = lib->fns.GetCompileApi();
    missing = compile ? take_compile(compile, &lib->compile) : "compile interface";
    return missing ? missing_function(lib->version, missing) : NULL;
}

ap_err ap_ort_bind(const char *lib_path, ap_ort_lib *out) {
    ap_ort_lib lib = {0};
    ap_err err = ap_dylib_open(lib_path, &lib.handle);
    if (!err) err = read_tables(&lib);
    if (err) {
        ap_dylib_close(lib.handle);
        return ap_err_subject(err, lib_path);
    }
    *out = lib;
    return NULL;
}

void ap_ort_unbind(ap_ort_lib *lib) {
    ap_dylib_close(lib->handle);
    *lib = (ap_ort_lib){0};
}
