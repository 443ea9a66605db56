// SPDX-License-Identifier: Apache-2.0
// The bell: who is told what, and that no call, no answer and no frame is ever lost between the two.
#include "test_base.h"

#include "worker/bell.h"

#include <pthread.h>

enum { SOON = 1, LONG = 60000 }; // ms

static void told_before_anybody_waits(void **state) {
    (void)state;
    ap_bell b = {0};
    ap_patience asker = {0}, worker = {0};
    uint32_t room = 0;
    assert_int_equal(ap_bell_answered(&b, &asker, SOON), AP_RING_NONE);
    ap_bell_call(&b, 3);
    assert_int_equal(ap_bell_asked(&b, &worker, &room), AP_RING_CALL);
    assert_int_equal(room, 3);
    assert_int_equal(ap_bell_answered(&b, &asker, SOON), AP_RING_NONE); // still at it
    ap_bell_answer(&b, false, 7);
    assert_int_equal(ap_bell_answered(&b, &asker, LONG), AP_RING_CALL);
    assert_int_equal(b.vendor_us, 7);
    ap_bell_frame(&b);
    assert_int_equal(ap_bell_asked(&b, &worker, &room), AP_RING_FRAME);
    ap_bell_call(&b, 0); // takes the old answer away
    assert_int_equal(ap_bell_answered(&b, &asker, SOON), AP_RING_NONE);
    ap_bell_answer(&b, true, 0);
    assert_int_equal(ap_bell_answered(&b, &asker, LONG), AP_RING_FRAME);
}

// A side that writes what it likes ends the other's wait; what was said is then looked for on the channel.
static void nonsense_from_the_other_side(void **state) {
    (void)state;
    ap_bell b = {0};
    ap_patience asker = {0}, worker = {0};
    uint32_t room = 0;
    atomic_store(&b.answer, 0xdeadbeef);
    assert_int_equal(ap_bell_answered(&b, &asker, LONG), AP_RING_FRAME);
    atomic_store(&b.call, 0xdeadbeef);
    assert_int_equal(ap_bell_asked(&b, &worker, &room), AP_RING_FRAME);
}

static void patience(void **state) {
    (void)state;
    ap_bell b = {0};
    ap_patience p = {0};
    for (uint32_t i = 0; i < 40; i++) {
        ap_bell_call(&b, 0);
        ap_bell_answer(&b, false, 0);
        assert_int_equal(ap_bell_answered(&b, &p, LONG), AP_RING_CALL);
        assert_int_equal(p.since_us, 0);
    }
    p.since_us = 1; // a wait that began at the start of the clock and goes on
    ap_bell_answer(&b, false, 0);
    assert_int_equal(ap_bell_answered(&b, &p, LONG), AP_RING_CALL);
    assert_int_equal(p.quick, 0);
}

// ---- two threads; a frame is a number in their memory

enum { CALLS = 20000, LAST = 1000 }; // a room that ends it
typedef struct pair {
    ap_bell bell;
    uint32_t sum, frames; // as an answer stands in the shared memory: written before it is told
} pair;

static void *work(void *arg) {
    pair *p = arg;
    ap_patience patience = {0};
    uint32_t room = 0;
    while (room != LAST) {
        if (ap_bell_asked(&p->bell, &patience, &room) == AP_RING_FRAME) {
            p->frames++;
            ap_bell_answer(&p->bell, true, 0);
            continue;
        }
        p->sum += room;
        ap_bell_answer(&p->bell, room % 5 == 0, p->sum);
    }
    return NULL;
}

static void none_is_lost(void **state) {
    (void)state;
    pair *p = NULL;
    pthread_t thread;
    ap_patience patience = {0};
    uint32_t want = 0, frames = 0;
    assert_int_equal(posix_memalign((void **)&p, 64, sizeof *p), 0);
    memset(p, 0, sizeof *p);
    assert_int_equal(pthread_create(&thread, NULL, work, p), 0);
    for (uint32_t i = 1; i <= CALLS; i++) {
        bool frame = i % 11 == 0;
        if (frame) {
            atomic_store(&p->bell.answer, 0); // as ap_bell_call does
            ap_bell_frame(&p->bell);
        } else
            ap_bell_call(&p->bell, i % 7);
        want += frame ? 0 : i % 7;
        frames += frame;
        ap_ring told = ap_bell_answered(&p->bell, &patience, LONG);
        assert_int_equal(told, frame || i % 7 % 5 == 0 ? AP_RING_FRAME : AP_RING_CALL);
        assert_int_equal(p->sum, want);
        assert_int_equal(p->frames, frames);
        if (!frame) assert_int_equal(p->bell.vendor_us, want);
    }
    ap_bell_call(&p->bell, LAST);
    assert_int_equal(ap_bell_answered(&p->bell, &patience, LONG), AP_RING_FRAME);
    assert_int_equal(pthread_join(thread, NULL), 0);
    free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(told_before_anybody_waits),
                                       cmocka_unit_test(nonsense_from_the_other_side),
                                       cmocka_unit_test(patience), cmocka_unit_test(none_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
