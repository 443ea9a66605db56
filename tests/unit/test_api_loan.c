// SPDX-License-Identifier: Apache-2.0
// Answers in memory that is lent: kept over many calls, written to, by threads, across forks, when the worker
// dies and after the server was closed.
#include "test_api_stage.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

// A call with x = value everywhere. Its answer is lent, or in memory of ours: then *loan is NULL.
static aipc_error *call(aipc_deployed *d, float value, aipc_loan **loan, float **y) {
    float *x = malloc(N * sizeof *x);
    void *out = NULL;
    for (size_t i = 0; i < N; i++) x[i] = value;
    *loan = aipc_deployed_lend(d, &out);
    if (!*loan) out = malloc(N * sizeof *x);
    *y = out;
    aipc_error *e = aipc_deployed_run(d, (const void *const[]){x}, &out);
    free(x);
    return e;
}

static void give_back(aipc_loan *loan, float *y) {
    if (loan)
        aipc_loan_release(loan);
    else
        free(y);
}

// More answers are kept than there is room for; all stay what they were, also behind the server's end.
static void kept_over_many_calls(void **state) {
    enum { CALLS = 40 };
    stage s = {0};
    aipc_loan *loans[CALLS];
    float *y[CALLS];
    size_t lent = 0;
    open_stage(*state, &s);
    for (int i = 0; i < CALLS; i++) {
        must(call(s.d, (float)i, &loans[i], &y[i]));
        if (i % 3 == 1) y[i][5] = -1; // an answer is the program's own
        lent += loans[i] != NULL;
    }
    assert_null(loans[0]); // before the first run there is nothing to lend
    assert_true(lent > 2 && lent < CALLS - 1);
    for (int i = 0; i < CALLS; i++) {
        if (i % 3 == 1) {
            assert_true(y[i][5] == -1);
            y[i][5] = (float)i;
        }
        assert_true(holds(y[i], (float)i));
    }
    for (int i = 0; i < 10; i++) give_back(loans[i], y[i]);
    must(call(s.d, 77, &loans[0], &y[0]));
    assert_non_null(loans[0]); // what came back is lent again
    close_stage(&s);
    assert_true(holds(y[0], 77));
    give_back(loans[0], y[0]);
    for (int i = 10; i < CALLS; i++) {
        assert_true(holds(y[i], (float)i));
        give_back(loans[i], y[i]);
    }
}

// Without memory of the caller's: lent, and when all is lent, of this process alone.
static void answers(void **state) {
    enum { CALLS = 30 };
    stage s = {0};
    aipc_answer all[CALLS];
    float *x = malloc(N * sizeof *x);
    open_stage(*state, &s);
    char *document = aipc_deployed_document(s.d);
    assert_non_null(strstr(document, "\"at\": 0"));
    aipc_free(document);
    for (int i = 0; i < CALLS; i++) {
        for (size_t k = 0; k < N; k++) x[k] = (float)i;
        must(aipc_deployed_answer(s.d, (const void *const[]){x}, &all[i]));
        ((float *)all[i].memory)[0] += 1;
    }
    must_fail(aipc_deployed_answer(s.d, (const void *const[]){NULL}, &all[0]), AP_ERR_INPUT_SHAPE,
              "input 'x' has no data");
    close_stage(&s);
    for (int i = 0; i < CALLS; i++) {
        float *y = all[i].memory;
        assert_true(y[0] == (float)i + 1 && y[1] == (float)i && y[N - 1] == (float)i);
        aipc_loan_release(all[i].loan);
    }
    free(x);
}

// Some outputs lent, some not, none wanted.
static void where_it_goes(void **state) {
    stage s = {0};
    aipc_loan *loan = NULL;
    float *y = NULL, *mine = malloc(N * sizeof *mine);
    void *to = mine;
    open_stage(*state, &s);
    must(call(s.d, 1, &loan, &y));
    give_back(loan, y);
    must(call(s.d, 2, &loan, &y));
    assert_non_null(loan);
    must(aipc_deployed_run(s.d, (const void *const[]){y}, &to)); // an answer is the next question
    assert_true(holds(mine, 2));
    to = NULL;
    must(aipc_deployed_run(s.d, (const void *const[]){mine}, &to));
    assert_true(holds(y, 2));
    must_fail(aipc_deployed_run(s.d, (const void *const[]){NULL}, &to), AP_ERR_INPUT_SHAPE,
              "input 'x' has no data");
    give_back(loan, y);
    free(mine);
    close_stage(&s);
}

// ---- threads

typedef struct crowd {
    aipc_deployed *d;
    atomic_int next, wrong;
} crowd;

static void *call_many(void *arg) {
    crowd *c = arg;
    float base = (float)(1000 * (1 + atomic_fetch_add(&c->next, 1)));
    for (int i = 0; i < 60; i++) {
        aipc_loan *loan[2];
        float *y[2];
        for (int k = 0; k < 2; k++) {
            aipc_error *e = call(c->d, base + (float)(2 * i + k), &loan[k], &y[k]);
            c->wrong += e != NULL;
            aipc_error_free(e);
        }
        for (int k = 0; k < 2; k++) {
            c->wrong += !holds(y[k], base + (float)(2 * i + k));
            give_back(loan[k], y[k]);
        }
    }
    return NULL;
}

static void threads(void **state) {
    stage s = {0};
    pthread_t all[4];
    open_stage(*state, &s);
    crowd c = {.d = s.d};
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&all[i], NULL, call_many, &c), 0);
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_join(all[i], NULL), 0);
    assert_int_equal(c.wrong, 0);
    close_stage(&s);
}

// ---- forks

// The child has the parent's answer to itself, and answers of its own.
static int in_the_child(stage *s, aipc_loan *loan, float *y, float want) {
    aipc_loan *own = NULL;
    float *z = NULL;
    aipc_server_forked(s->server);
    if (!holds(y, want)) return 1;
    for (size_t i = 0; i < N; i++) y[i] = -5;
    for (int i = 0; i < 3; i++) {
        aipc_error *e = call(s->d, 50 + (float)i, &own, &z);
        if (e || !holds(z, 50 + (float)i) || !holds(y, -5)) return 2;
        give_back(own, z);
    }
    aipc_loan_release(loan);
    close_stage(s);
    return 0;
}

static void forks(void **state) {
    stage s = {0};
    aipc_loan *loan = NULL;
    float *y = NULL;
    open_stage(*state, &s);
    must(call(s.d, 1, &loan, &y));
    give_back(loan, y);
    for (int round = 0; round < 20; round++) { // more often than there are rooms
        float want = 10 + (float)round;
        must(call(s.d, want, &loan, &y));
        aipc_server_forking(s.server);
        pid_t child = round < 2 && loan ? fork() : 0;
        if (round < 2 && loan && child == 0) _exit(in_the_child(&s, loan, y, want));
        if (child == 0) {
            give_back(loan, y);
            continue;
        }
        // Meanwhile the parent goes on, with this room's memory and without it.
        y[0] = 3;
        aipc_loan *more = NULL;
        float *z = NULL;
        must(call(s.d, 99, &more, &z));
        assert_true(holds(z, 99));
        give_back(more, z);
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_true(y[0] == 3);
        y[0] = want;
        assert_true(holds(y, want));
        give_back(loan, y);
    }
    must(call(s.d, 4, &loan, &y)); // all rooms belong to forks: copied
    assert_null(loan);
    assert_true(holds(y, 4));
    give_back(loan, y);
    close_stage(&s);
}

// ---- the worker dies

static void worker_dies(void **state) {
    stage s = {0};
    aipc_loan *kept = NULL, *late = NULL;
    float *y = NULL, *z = NULL;
    open_stage(*state, &s);
    for (int i = 0; i < 40; i++) { // both are used to each other
        must(call(s.d, 6, &kept, &y));
        if (i < 39) give_back(kept, y);
    }
    assert_non_null(kept);
    kill(test_child(), SIGKILL);
    must_fail(call(s.d, 7, &late, &z), AP_ERR_WORKER_CRASH, "died of signal 9");
    give_back(late, z);
    assert_true(holds(y, 6)); // what was answered stays
    y[0] = 1;
    aipc_error *e = call(s.d, 8, &late, &z);
    assert_non_null(e);
    aipc_error_free(e);
    give_back(late, z);
    close_stage(&s);
    assert_true(y[0] == 1 && y[1] == 6);
    give_back(kept, y);
}

int main(void) {
    if (!stage_possible()) return 0;
    const struct CMUnitTest tests[] = {BENCH_TEST(kept_over_many_calls),
                                       BENCH_TEST(answers),
                                       BENCH_TEST(where_it_goes),
                                       BENCH_TEST(threads),
                                       BENCH_TEST(forks),
                                       BENCH_TEST(worker_dies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
