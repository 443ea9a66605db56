// SPDX-License-Identifier: Apache-2.0
// Memory that is lent: each room to one at a time, back from anywhere, and after a fork each process its own.
#include "test_base.h"

#include "plan/artifact/loan.h"

#include <pthread.h>
#include <stdatomic.h>

enum { ROOM = 100 << 10, FIRST = 64 << 10 };

static uint8_t *room_of(const ap_pool *p, const ap_loan *loan) {
    return ap_pool_memory(p)->data + FIRST + ap_loan_behind(loan);
}

static void lent_and_given_back(void **state) {
    (void)state;
    ap_pool *p = NULL;
    must(ap_pool_make(FIRST, ROOM, &p));
    size_t rooms = ap_pool_rooms(p);
    assert_true(rooms > 2 && rooms <= 64);
    ap_loan *all[64];
    for (size_t i = 1; i < rooms; i++) {
        assert_non_null(all[i] = ap_pool_lend(p));
        memset(room_of(p, all[i]), (int)i, ROOM);
        assert_int_equal(ap_pool_room(p, room_of(p, all[i]) + ROOM - 1), i);
    }
    assert_null(ap_pool_lend(p));
    for (size_t i = 1; i < rooms; i++) assert_int_equal(room_of(p, all[i])[ROOM - 1], i);
    ap_loan_release(all[2]);
    assert_int_equal(ap_pool_room(p, ap_pool_memory(p)->data + FIRST + 2 * ap_pool_stride(p)), 0);
    assert_ptr_equal(ap_pool_lend(p), all[2]);
    assert_null(ap_pool_lend(p));
    // What is nobody's: room 0, the front, behind the end, elsewhere.
    const uint8_t *data = ap_pool_memory(p)->data;
    assert_int_equal(ap_pool_room(p, data + FIRST), 0);
    assert_int_equal(ap_pool_room(p, data), 0);
    assert_int_equal(ap_pool_room(p, data + ap_pool_memory(p)->bytes), 0);
    assert_int_equal(ap_pool_room(p, &p), 0);
    assert_int_equal(ap_pool_room(p, NULL), 0);
    // The artifact goes first; what is lent stays readable.
    ap_pool_leave(p);
    for (size_t i = 1; i < rooms; i++) {
        assert_int_equal(room_of(p, all[i])[0], i);
        ap_loan_release(all[i]);
    }
}

static void sizes(void **state) {
    (void)state;
    ap_pool *p = NULL;
    static const size_t none[] = {0, 1, (64 << 10) - 1, ((size_t)256 << 20) + 1};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_false(ap_pool_lends(none[i]));
        must(ap_pool_make(FIRST, none[i], &p));
        assert_int_equal(ap_pool_rooms(p), 1);
        assert_null(ap_pool_lend(p));
        ap_pool_leave(p);
    }
    must(ap_pool_make(FIRST, (size_t)100 << 20, &p)); // few of them
    assert_int_equal(ap_pool_rooms(p), 3);
    ap_pool_leave(p);
    p = NULL;
    ap_err err = ap_pool_make(FIRST, SIZE_MAX - 10, &p);
    assert_int_equal(ap_err_code(err), AP_ERR_NO_MEMORY);
    ap_err_free(err);
    err = ap_pool_make(FIRST, (size_t)1 << 60, &p);
    assert_int_equal(ap_err_code(err), AP_ERR_NO_MEMORY);
    ap_err_free(err);
    assert_null(p);
    ap_pool_leave(NULL);
    ap_loan *own = ap_loan_own(1000);
    memset(ap_loan_memory(own), 7, 1000);
    assert_int_equal((uintptr_t)ap_loan_memory(own) % 64, 0);
    ap_loan_release(own);
    assert_null(ap_loan_own(SIZE_MAX));
    size_t huge = SIZE_MAX;
    assert_false(ap_pool_align(&huge));
}

// What the child of a fork does with it; its exit code.
static int in_the_child(ap_pool *p, ap_loan *loan) {
    uint8_t *mine = room_of(p, loan);
    if (mine[0] != 1 || mine[ROOM - 1] != 1) return 1;
    memset(mine, 2, ROOM); // the parent must not see it
    ap_loan_release(loan);
    ap_pool_leave(p);
    return 0;
}

static void forks(void **state) {
    (void)state;
    ap_pool *p = NULL;
    ap_shared worker = AP_SHARED_NONE;
    must(ap_pool_make(FIRST, ROOM, &p));
    must(ap_shared_open(dup(ap_pool_memory(p)->fd), ap_pool_memory(p)->bytes, &worker));
    ap_loan *kept = ap_pool_lend(p), *later = NULL;
    size_t at_kept = FIRST + ap_loan_behind(kept);
    memset(worker.data + at_kept, 1, ROOM); // a run put its answer there
    ap_pool_forking(p);
    pid_t child = fork();
    if (child == 0) _exit(in_the_child(p, kept));
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(room_of(p, kept)[0], 1);
    assert_int_equal(ap_pool_room(p, room_of(p, kept)), 0); // no run goes there any more
    room_of(p, kept)[0] = 9;
    assert_int_equal(worker.data[at_kept], 1); // and what is written there is this process's own
    ap_loan_release(kept);
    later = ap_pool_lend(p);
    assert_non_null(later);
    assert_ptr_not_equal(later, kept); // a child may still have it
    ap_pool_forking(p);
    ap_pool_forking(p);
    ap_loan_release(later);
    ap_pool_leave(p);
    ap_shared_close(&worker);
}

// ---- threads

typedef struct crowd {
    ap_pool *pool;
    atomic_int wrong, full;
} crowd;

static void *borrow(void *arg) {
    crowd *c = arg;
    for (int i = 0; i < 3000; i++) {
        ap_loan *loan = ap_pool_lend(c->pool);
        if (!loan) {
            c->full++;
            continue;
        }
        uint8_t *mine = room_of(c->pool, loan);
        uintptr_t who = (uintptr_t)&loan;
        memcpy(mine, &who, sizeof who);
        if (ap_pool_room(c->pool, mine) == 0 || memcmp(mine, &who, sizeof who) != 0) c->wrong++;
        ap_loan_release(loan);
    }
    return NULL;
}

static void threads(void **state) {
    (void)state;
    crowd c = {0};
    pthread_t all[4];
    must(ap_pool_make(FIRST, ROOM, &c.pool));
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&all[i], NULL, borrow, &c), 0);
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_join(all[i], NULL), 0);
    assert_int_equal(c.wrong, 0);
    assert_int_equal(c.full, 0);
    ap_pool_leave(c.pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lent_and_given_back), cmocka_unit_test(sizes),
                                       cmocka_unit_test(forks), cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
