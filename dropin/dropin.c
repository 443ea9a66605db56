// SPDX-License-Identifier: Apache-2.0
// What the library exports: the names of ONNX Runtime's, under every release's symbol version (versions.sh)
// or, built with DROPIN_COMPAT, without any.
#include "dropin.h"

#include <dlfcn.h>
#include <string.h>

// The small table behind OrtGetApiBase.
typedef struct base_table {
    const OrtApi *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} base_table;

static const char *version_string(void) {
    const dropin_real *real = dropin_real_library();
    return real->handle ? real->version : "0.0.0";
}

// Another drop-in knows us by this.
extern const char aipc_dropin[];
__attribute__((visibility("default"))) const char aipc_dropin[] = "aipc";

#ifdef DROPIN_COMPAT
#define EXPORTED(name) name
#define LINKAGE __attribute__((visibility("default")))
#else
#define EXPORTED(name) dropin_##name
#define LINKAGE
#endif

LINKAGE const OrtApiBase *EXPORTED(OrtGetApiBase)(void);
LINKAGE const OrtApiBase *EXPORTED(OrtGetApiBase)(void) {
    static const base_table table = {dropin_table, version_string};
    return (const OrtApiBase *)(const void *)&table;
}

// Functions outside the table, one a provider; a build of the real library has those of its own providers.
static OrtStatus *append(const char *name, OrtSessionOptions *options, int value) {
    const dropin_real *real = dropin_real_library();
    OrtStatus *(*function)(OrtSessionOptions *, int) = NULL;
    void *symbol = real->handle ? dlsym(real->handle, name) : NULL;
    if (symbol) {
        memcpy(&function, &symbol, sizeof function);
        return function(options, value);
    }
    // Any table the library has will do: this one is in all of them.
    (void)dropin_table(1);
    return real->fns.CreateStatus ? real->fns.CreateStatus(ORT_NOT_IMPLEMENTED, name) : NULL;
}

#define PROVIDER(name)                                                                                       \
    LINKAGE OrtStatus *EXPORTED(OrtSessionOptionsAppendExecutionProvider_##name)(OrtSessionOptions *, int);  \
    LINKAGE OrtStatus *EXPORTED(OrtSessionOptionsAppendExecutionProvider_##name)(                            \
        OrtSessionOptions * options, int value) {                                                            \
        return append("OrtSessionOptionsAppendExecutionProvider_" #name, options, value);                    \
    }
PROVIDER(CPU)
PROVIDER(CUDA)
PROVIDER(ROCM)
PROVIDER(Dnnl)
PROVIDER(Tensorrt)
PROVIDER(MIGraphX)

#ifndef DROPIN_COMPAT
#include "dropin_versions.h"
#endif
