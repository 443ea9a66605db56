// SPDX-License-Identifier: Apache-2.0
// jobs: order, releases half way, what is dropped, and many of them on two threads.
#include "test_base.h"

#include "base/proc.h"
#include "plan/work/jobs.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct step {
    atomic_int *clock;
    atomic_int began, ended; // 0: never
    bool releases;
    unsigned pause_ms; // after the release
    size_t self_seen, slot_seen;
} step;

static void work(void *user, ap_jobs *jobs, size_t self, size_t slot) {
    step *s = user;
    s->self_seen = self;
    s->slot_seen = slot;
    atomic_store(&s->began, atomic_fetch_add(s->clock, 1) + 1);
    if (s->releases) ap_jobs_release(jobs, self);
    if (s->pause_ms) ap_sleep_ms(s->pause_ms);
    atomic_store(&s->ended, atomic_fetch_add(s->clock, 1) + 1);
}

static void in_order_on_one_thread(void **state) {
    (void)state;
    atomic_int clock = 0;
    step s[5] = {
        {.clock = &clock}, {.clock = &clock}, {.clock = &clock}, {.clock = &clock}, {.clock = &clock}};
    ap_jobs *j = ap_jobs_new();
    for (size_t i = 0; i < 5; i++) assert_int_equal(ap_jobs_add(j, work, &s[i], AP_JOB_NONE), i);
    ap_jobs_run(j, 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(s[i].began, 2 * i + 1);
        assert_int_equal(s[i].self_seen, i);
        assert_int_equal(s[i].slot_seen, 0);
    }
    ap_jobs_free(j);
    ap_jobs_free(NULL);
    j = ap_jobs_new();
    ap_jobs_run(j, 2); // nothing to do
    ap_jobs_run(j, 0);
    ap_jobs_free(j);
}

static void released_half_way(void **state) {
    (void)state;
    atomic_int clock = 0;
    step parent = {.clock = &clock, .releases = true, .pause_ms = 200}, child = {.clock = &clock},
         other = {.clock = &clock};
    ap_jobs *j = ap_jobs_new();
    size_t p = ap_jobs_add(j, work, &parent, AP_JOB_NONE);
    ap_jobs_add(j, work, &child, p);
    ap_jobs_add(j, work, &other, AP_JOB_NONE);
    ap_jobs_run(j, 2);
    assert_true(child.began > parent.began);
    assert_true(child.began < parent.ended); // while the parent still works
    assert_true(other.ended > 0);
    ap_jobs_free(j);
    // With one thread it comes after the parent, and still comes.
    clock = 0;
    parent.pause_ms = 0;
    child.began = 0;
    j = ap_jobs_new();
    p = ap_jobs_add(j, work, &parent, AP_JOB_NONE);
    ap_jobs_add(j, work, &child, p);
    ap_jobs_run(j, 1);
    assert_true(child.began > parent.ended);
    ap_jobs_free(j);
}

static void dropped(void **state) {
    (void)state;
    atomic_int clock = 0;
    step parent = {.clock = &clock}, child = {.clock = &clock},
         grandchild = {.clock = &clock, .releases = true}, last = {.clock = &clock};
    ap_jobs *j = ap_jobs_new();
    size_t p = ap_jobs_add(j, work, &parent, AP_JOB_NONE), c = ap_jobs_add(j, work, &child, p),
           g = ap_jobs_add(j, work, &grandchild, c);
    ap_jobs_add(j, work, &last, g);
    ap_jobs_run(j, 2);
    assert_true(parent.ended > 0);
    assert_int_equal(child.began, 0);
    assert_int_equal(grandchild.began, 0);
    assert_int_equal(last.began, 0);
    ap_jobs_free(j);
}

enum { MANY = 400 };

static void many(void **state) {
    (void)state;
    for (size_t threads = 1; threads <= 8; threads *= 2) {
        atomic_int clock = 0;
        step *s = calloc(MANY, sizeof *s);
        size_t number[MANY];
        ap_jobs *j = ap_jobs_new();
        for (size_t i = 0; i < MANY; i++) {
            s[i].clock = &clock;
            s[i].releases = i % 3 != 2; // every third leaves its followers behind
            number[i] = ap_jobs_add(j, work, &s[i], i % 4 == 0 ? AP_JOB_NONE : number[i / 2]);
        }
        ap_jobs_run(j, threads);
        for (size_t i = 0; i < MANY; i++) {
            bool should = i % 4 == 0 || (s[i / 2].began > 0 && s[i / 2].releases);
            assert_int_equal(s[i].began > 0, should);
            assert_int_equal(s[i].ended > 0, should);
            if (should) assert_true(s[i].slot_seen < threads);
            if (should && i % 4 != 0) assert_true(s[i].began > s[i / 2].began);
        }
        ap_jobs_free(j);
        free(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_on_one_thread),
        cmocka_unit_test(released_half_way),
        cmocka_unit_test(dropped),
        cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
