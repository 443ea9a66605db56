// SPDX-License-Identifier: Apache-2.0
// The bell: who must be woken, who was heard, and that no call and no answer is ever lost between the two.
#include "test_base.h"

#include "worker/bell.h"

#include <pthread.h>

static void asleep_or_awake(void **state) {
    (void)state;
    ap_bell b = {0};
    ap_patience asker = {0}, worker = {0};
    uint32_t room = 0;
    assert_false(ap_bell_watch(&b, &worker, &room)); // nothing is known yet: it sleeps at once
    assert_false(ap_bell_ring(&b, 3));               // so a frame must wake it
    assert_int_equal(b.room, 3);
    assert_true(ap_bell_answer(&b, false, 7)); // before anybody waits
    assert_true(ap_bell_wait(&b, &asker));
    assert_int_equal(b.vendor_us, 7);
    assert_false(ap_bell_ring(&b, 0));
    assert_false(ap_bell_wait(&b, &asker)); // sleeps at once, too
    assert_false(ap_bell_answer(&b, false, 8));
    assert_false(ap_bell_ring(&b, 0));
    assert_false(ap_bell_answer(&b, true, 9)); // an error is always a frame
    assert_false(ap_bell_wait(&b, &asker));
}

// A worker that writes what it likes ends the wait; the answer is then looked for on the channel.
static void nonsense_from_the_other_side(void **state) {
    (void)state;
    ap_bell b = {0};
    ap_patience asker = {0};
    assert_false(ap_bell_ring(&b, 0));
    atomic_store(&b.answer, 0xdeadbeef);
    assert_false(ap_bell_wait(&b, &asker));
    atomic_store(&b.call, 0xdeadbeef);
    assert_false(ap_bell_ring(&b, 0));
}

static void patience(void **state) {
    (void)state;
    ap_bell b = {0};
    ap_patience p = {0};
    for (uint32_t i = 0; i < 40; i++) {
        ap_bell_ring(&b, 0);
        ap_bell_answer(&b, false, 0);
        assert_true(ap_bell_wait(&b, &p));
        ap_patience_over(&p);
    }
    ap_patience_over(&p); // nothing was waited for
    p.since_us = 1;       // a wait that began at the start of the clock
    ap_patience_over(&p);
    assert_int_equal(p.quick, 0);
}

// ---- two threads, two pipes for the frames

enum { CALLS = 20000 };
typedef struct pair {
    ap_bell bell;
    int to_worker[2], to_asker[2];
    uint32_t sum; // as an answer stands in the shared memory: written before it is told
} pair;

static void *work(void *arg) {
    pair *p = arg;
    ap_patience patience = {0};
    uint32_t room = 0;
    char c;
    for (uint32_t i = 0; i < CALLS; i++) {
        if (!ap_bell_watch(&p->bell, &patience, &room)) {
            if (read(p->to_worker[0], &c, 1) != 1) return NULL;
            room = p->bell.room;
        }
        ap_patience_over(&patience);
        p->sum += room;
        if (!ap_bell_answer(&p->bell, room % 5 == 0, i) && write(p->to_asker[1], "a", 1) != 1) return NULL;
    }
    return p;
}

static void none_is_lost(void **state) {
    (void)state;
    pair *p = NULL;
    pthread_t thread;
    ap_patience patience = {0};
    uint32_t want = 0;
    void *good = NULL;
    char c;
    assert_int_equal(posix_memalign((void **)&p, 64, sizeof *p), 0);
    memset(p, 0, sizeof *p);
    assert_int_equal(pipe(p->to_worker) | pipe(p->to_asker), 0);
    assert_int_equal(pthread_create(&thread, NULL, work, p), 0);
    for (uint32_t i = 0; i < CALLS; i++) {
        want += i % 7;
        if (!ap_bell_ring(&p->bell, i % 7)) assert_int_equal(write(p->to_worker[1], "c", 1), 1);
        if (!ap_bell_wait(&p->bell, &patience)) assert_int_equal(read(p->to_asker[0], &c, 1), 1);
        ap_patience_over(&patience);
        assert_int_equal(p->sum, want);
        assert_int_equal(p->bell.vendor_us, i);
    }
    assert_int_equal(pthread_join(thread, &good), 0);
    assert_ptr_equal(good, p);
    for (int i = 0; i < 2; i++) {
        close(p->to_worker[i]);
        close(p->to_asker[i]);
    }
    free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(asleep_or_awake),
                                       cmocka_unit_test(nonsense_from_the_other_side),
                                       cmocka_unit_test(patience), cmocka_unit_test(none_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
