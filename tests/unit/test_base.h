// SPDX-License-Identifier: Apache-2.0
// What the tests of room base share: a scratch folder, a forked child, and checks of errors.
#ifndef AP_TEST_BASE_H
#define AP_TEST_BASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// ThreadSanitizer's malloc is no different here.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

// A folder of the running test; made by test_setup, removed by test_teardown.
typedef struct scratch {
    ap_arena arena;
    char *dir;
} scratch;

static inline void must(ap_err err) {
    if (err) fail_msg("unexpected error: %s", ap_err_message(err));
}

// Consumes the error.
static inline void must_fail_(ap_err err, ap_code code, const char *part, const char *file, int line) {
    if (ap_err_code(err) != code || !strstr(ap_err_message(err), part)) {
        print_error("%s:%d: wanted %s with \"%s\", got %s: %s\n", file, line, ap_code_name(code), part,
                    ap_code_name(ap_err_code(err)), ap_err_message(err));
        ap_err_free(err);
        fail();
    }
    ap_err_free(err);
}
#define must_fail(err, code, part) must_fail_(err, code, part, __FILE__, __LINE__)

static inline int test_setup(void **state) {
    scratch *s = calloc(1, sizeof *s);
    ap_err err = ap_mkdtemp("/tmp", "aipc-test-base", &s->arena, &s->dir);
    if (err) return -1;
    *state = s;
    return 0;
}

static inline int test_teardown(void **state) {
    scratch *s = *state;
    ap_err err = ap_rmtree(s->dir);
    int rc = err ? -1 : 0;
    ap_err_free(err);
    ap_arena_release(&s->arena);
    free(s);
    return rc;
}

static inline char *at(scratch *s, const char *name) {
    return ap_path_join(&s->arena, s->dir, name);
}

static inline void assert_content(const char *path, const char *text) {
    ap_buf b = {0};
    must(ap_file_read(path, 1 << 20, &b));
    assert_string_equal(ap_buf_str(&b), text);
    ap_buf_free(&b);
}

// Runs `work` in a forked child and returns its wait status. cmocka's asserts jump, so a child uses CHECK.
static inline int in_child(void (*work)(void *), void *arg) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        work(arg);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

enum { CHILD_FAILED = 99, CHILD_SKIPS = 77 };
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not true in the child: %s\n", __FILE__, __LINE__, #condition);           \
            _exit(CHILD_FAILED);                                                                             \
        }                                                                                                    \
    } while (0)

static inline void assert_child_ok(int status) {
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_SKIPS) skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

#endif
