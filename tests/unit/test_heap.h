// SPDX-License-Identifier: Apache-2.0
// Tests of the preloaded heap: the test's own program, started again behind it.
#ifndef AP_TEST_HEAP_H
#define AP_TEST_HEAP_H

#include "test_runtime.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SANITIZED 1
#else
#define TEST_SANITIZED 0
#endif

// For main(): starts the program again with the heap of this build. Returns when it stands there, or says why
// not and ends.
static inline void test_behind_heap(char **argv) {
    char path[4096 + 32];
    if (getenv("AIPC_TEST_HEAP")) return;
    if (TEST_SANITIZED || getenv("AIPC_UNDER_VALGRIND"))
        exit(puts("skipped: a malloc of their own have sanitizers and valgrind") < 0);
    if (!test_program(path)) exit(puts("skipped: no aipc program in this build") < 0);
    snprintf(strrchr(path, '/'), 32, "/dropin/libaipc_heap.so");
    if (access(path, R_OK)) exit(puts("skipped: no heap in this build") < 0);
    setenv("LD_PRELOAD", path, 1);
    setenv("AIPC_TEST_HEAP", "1", 1);
    execv("/proc/self/exe", argv);
    abort();
}

#endif
