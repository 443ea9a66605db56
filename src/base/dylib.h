// SPDX-License-Identifier: Apache-2.0
// dylib: shared libraries opened at run time.
#ifndef AP_BASE_DYLIB_H
#define AP_BASE_DYLIB_H

#include "base/err.h"

// Opens `path` with its symbols kept private. Error RUNTIME_LOAD with the system's words.
AP_MUST ap_err ap_dylib_open(const char *path, void **out);
// Copies the address of a function into *fn, a pointer to a function pointer (ISO C has no cast between the
// two kinds). Error RUNTIME_LOAD when the library has no such symbol.
AP_MUST ap_err ap_dylib_function(void *lib, const char *name, void *fn);
void ap_dylib_close(void *lib); // NULL is fine

#endif
