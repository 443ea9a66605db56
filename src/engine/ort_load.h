// SPDX-License-Identifier: Apache-2.0
//
// Opens an ONNX Runtime library and binds the functions of ort_api.h by their position. It knows how the
// library hands out its tables; it creates no environment, reads no model and sets no environment variable.
// (The caller sets ORT_DISABLE_TELEMETRY=1 before it calls: the official Linux builds upload usage events
// otherwise.)
#ifndef AP_ENGINE_ORT_LOAD_H
#define AP_ENGINE_ORT_LOAD_H

#include "base/err.h"
#include "engine/ort_api.h"

// A zeroed struct is a valid, unbound library.
typedef struct ap_ort_lib {
    void *handle;               // of dlopen; NULL when unbound
    const char *version;        // e.g. "1.31.1"; owned by the library, valid while it is open
    ap_ort_fns fns;             // every member set after a successful bind
    ap_ort_compile_fns compile; // likewise
} ap_ort_lib;

// Opens the library at lib_path (a file, not a search name: it should contain a slash) and fills *out.
// Error RUNTIME_LOAD with the path as subject; *out is untouched then and nothing stays open.
AP_MUST ap_err ap_ort_bind(const char *lib_path, ap_ort_lib *out);

// Closes the library and zeroes *lib. Everything made through its functions must have been released before.
// Does nothing on an unbound struct.
void ap_ort_unbind(ap_ort_lib *lib);

#endif
