// SPDX-License-Identifier: Apache-2.0
// heap: blocks of this process's own heap that another process may read where they lie.
//
// The blocks are handed out by a library that stands before the C library's allocator (preload/heap.c; `aipc
// exec` preloads it). It hands out blocks of the sizes it is asked for here, all others are the C library's.
// Without it nothing is found, and whoever wants to show a tensor to another process copies it.
#ifndef AP_BASE_HEAP_H
#define AP_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AP_HEAP_VERSION 1
#define AP_HEAP_FROM ((size_t)64 << 10) // smaller blocks are copied faster than they are looked up

// What the library exports under the name AP_HEAP_SYMBOL. All from any thread.
#define AP_HEAP_SYMBOL "aipc_heap"
typedef struct ap_heap {
    uint32_t version;
    // From now on blocks of exactly this size are handed out from there, as long as some are free; asked
    // again when none is, there are more. False: there are none. It is never taken back.
    bool (*want)(size_t bytes);
    // The descriptor of the memory (sealed in size, as base/shared.h wants it) and its size; it stays the
    // library's. -1: nothing was wanted yet.
    int (*memory)(size_t *bytes);
    // Are these bytes in a block that the other process sees, and where in the memory? A block that a fork
    // met is this process's alone.
    bool (*at)(const void *data, size_t bytes, size_t *offset);
} ap_heap;

const ap_heap *ap_heap_find(void); // NULL: there is none in this process

#endif
