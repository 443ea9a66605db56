// SPDX-License-Identifier: Apache-2.0
#include "base/heap.h"

#include <dlfcn.h>

const ap_heap *ap_heap_find(void) {
    const ap_heap *found = dlsym(RTLD_DEFAULT, AP_HEAP_SYMBOL);
    return found && found->version == AP_HEAP_VERSION ? found : NULL;
}
