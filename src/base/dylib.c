// SPDX-License-Identifier: Apache-2.0
#include "base/dylib.h"

#include <dlfcn.h>
#include <string.h>

ap_err ap_dylib_open(const char *path, void **out) {
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        const char *why = dlerror();
        return ap_err_subject(
            ap_err_new(AP_ERR_RUNTIME_LOAD, "cannot open the library: %s", why ? why : path), path);
    }
    *out = lib;
    return NULL;
}

ap_err ap_dylib_function(void *lib, const char *name, void *fn) {
    void *symbol = dlsym(lib, name);
    if (!symbol) return ap_err_new(AP_ERR_RUNTIME_LOAD, "the library has no function %s", name);
    memcpy(fn, &symbol, sizeof symbol);
    return NULL;
}

void ap_dylib_close(void *lib) {
    if (lib) dlclose(lib);
}
