// SPDX-License-Identifier: Apache-2.0
// All native rewrites.
#include "surgery/native/natives.h"

#include "base/log.h"

#include <string.h>

const ap_native ap_natives[] = {
    {"einsum", 1, native_einsum},
    {"elementwise", 1, native_elementwise},
    {"fmod", 1, native_fmod},
    {"fmod_by", 1, native_fmod_by},
    {"matmul_int", 1, native_matmul_int},
    {"reduce_prod", 1, native_reduce_prod},
    {"rnn", 1, native_rnn},
    {"scatter", 1, native_scatter},
    {"scatter_gather", 1, native_scatter},
    {"transpose", 1, native_transpose},
    {NULL, 0, NULL},
};

const ap_native *ap_native_find(const char *name) {
    for (const ap_native *n = ap_natives; n->name; n++)
        if (!strcmp(n->name, name)) return n;
    return NULL;
}

const char *ap_native_nearest(const char *name) {
    const char *names[sizeof ap_natives / sizeof *ap_natives];
    size_t count = 0;
    for (; ap_natives[count].name; count++) names[count] = ap_natives[count].name;
    return ap_nearest(name, names, count);
}
