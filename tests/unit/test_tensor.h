// SPDX-License-Identifier: Apache-2.0
// What the tests of room tensor share: a scratch folder and checks of errors.
#ifndef AP_TEST_TENSOR_H
#define AP_TEST_TENSOR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct scratch {
    ap_arena arena;
    char *dir;
} scratch;

static inline void must(ap_err err) {
    if (err) fail_msg("unexpected error: %s", ap_err_message(err));
}

// Consumes the error; the message must be exactly this.
static inline void must_fail(ap_err err, ap_code code, const char *message) {
    assert_string_equal(ap_err_message(err), message);
    assert_int_equal(ap_err_code(err), code);
    ap_err_free(err);
}

static inline int test_setup(void **state) {
    scratch *s = calloc(1, sizeof *s);
    if (!s) return -1;
    ap_err err = ap_mkdtemp("/tmp", "aipc-test-tensor", &s->arena, &s->dir);
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

#endif
