// SPDX-License-Identifier: Apache-2.0
// Inputs that the worker reads where the program has them, and those that are copied.
#include "test_api_stage.h"
#include "test_heap.h"

#include "plan/artifact/artifact_priv.h"
#include "worker/bell.h"

#include <signal.h>
#include <sys/wait.h>

static float *filled(float value) {
    float *x = malloc(N * sizeof *x);
    for (size_t i = 0; i < N; i++) x[i] = value;
    return x;
}

// One call; its answer must hold `want` everywhere. -> bytes that were copied
static uint64_t ask(stage *s, const float *x, float want) {
    aipc_answer a = {0};
    must(aipc_deployed_answer(s->d, (const void *const[]){x}, &a));
    assert_true(holds(a.memory, want));
    aipc_loan_release(a.loan);
    return a.copied;
}

static void in_place(void **state) {
    stage s = {0};
    open_stage(*state, &s);
    float *x = filled(3), *y = filled(4), *two = malloc(2 * N * sizeof *two);
    for (size_t i = 0; i < 2 * N; i++) two[i] = 5;
    assert_int_equal(ask(&s, x, 3), 0);
    assert_int_equal(ask(&s, x, 3), 0);
    assert_int_equal(ask(&s, y, 4), 0);
    x[N - 1] = x[0] = -1; // relu
    aipc_answer a = {0};
    must(aipc_deployed_answer(s.d, (const void *const[]){x}, &a));
    assert_true(((float *)a.memory)[0] == 0 && ((float *)a.memory)[N - 1] == 0 &&
                ((float *)a.memory)[1] == 3);
    assert_true(a.copied == 0);
    assert_int_equal(ask(&s, two + N, 5), N * sizeof *two); // a part of a larger block
    ((float *)a.memory)[0] = ((float *)a.memory)[N - 1] = 3;
    assert_true(ask(&s, a.memory, 3) > 0); // an answer is the next question
    aipc_loan_release(a.loan);
    free(two);
    free(y);
    free(x);
    close_stage(&s);
}

// More blocks than there is room for: the others are copied, none is mistaken for another.
static void many(void **state) {
    enum { BLOCKS = 40 };
    stage s = {0};
    float *x[BLOCKS];
    int copies = 0;
    open_stage(*state, &s);
    for (int i = 0; i < BLOCKS; i++) x[i] = filled((float)i);
    for (int i = 0; i < BLOCKS; i++) copies += ask(&s, x[i], (float)i) > 0;
    assert_true(copies > 0 && copies < BLOCKS);
    for (int i = 0; i < BLOCKS; i++) free(x[i]);
    close_stage(&s);
}

static int in_the_child(stage *s, float *x) {
    aipc_answer a = {0};
    aipc_server_forked(s->server);
    for (size_t i = 0; i < N; i++) x[i] = 8;
    aipc_error *e = aipc_deployed_answer(s->d, (const void *const[]){x}, &a);
    int bad = e != NULL || !holds(a.memory, 8) || a.copied == 0;
    aipc_error_free(e);
    close_stage(s);
    return bad;
}

static void forks(void **state) {
    stage s = {0};
    int status = -1;
    open_stage(*state, &s);
    float *x = filled(7), *y;
    assert_int_equal(ask(&s, x, 7), 0);
    aipc_server_forking(s.server);
    pid_t child = fork();
    if (child == 0) _exit(in_the_child(&s, x));
    assert_true(ask(&s, x, 7) > 0); // it is not the worker's any more
    y = filled(6);
    assert_int_equal(ask(&s, y, 6), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(ask(&s, x, 7) > 0);
    free(x);
    free(y);
    close_stage(&s);
}

// Whatever the asker says, the worker reads nothing else.
static void outside(void **state) {
    stage s = {0};
    uint64_t us = 0, given[AP_BELL_GIVEN] = {0};
    open_stage(*state, &s);
    float *x = filled(2);
    assert_int_equal(ask(&s, x, 2), 0);
    aipc_artifact *a = s.d->running;
    static const uint64_t wrong[] = {((uint64_t)1 << 30) - N, (uint64_t)1 << 40, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        given[0] = wrong[i];
        must_fail(ap_worker_ring(a->worker, 0, given, &us), AP_ERR_INTERNAL, "input 0 lies outside the heap");
    }
    assert_int_equal(ask(&s, x, 2), 0); // it goes on
    free(x);
    close_stage(&s);
}

int main(int argc, char **argv) {
    (void)argc;
    if (!stage_possible()) return 0;
    test_behind_heap(argv);
    const struct CMUnitTest tests[] = {BENCH_TEST(in_place), BENCH_TEST(many), BENCH_TEST(forks),
                                       BENCH_TEST(outside)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
