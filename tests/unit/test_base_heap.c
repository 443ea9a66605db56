// SPDX-License-Identifier: Apache-2.0
// The heap that another process sees in part: which blocks lie there, that all others do not, and forks.
#include "test_heap.h"
#include "test_tensor.h"

#include "base/heap.h"
#include "base/shared.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { N = 200000, M = 70001, ROOMS = 16 }; // no multiple of a page
extern char **environ;
static const ap_heap *heap;

static bool seen(const void *p, size_t bytes) {
    size_t at;
    return heap->at(p, bytes, &at);
}

// As the other process sees it.
static ap_shared other_side(void) {
    ap_shared s = AP_SHARED_NONE;
    size_t bytes = 0;
    int fd = heap->memory(&bytes);
    must(ap_shared_open_to_read(dup(fd), bytes, &s));
    return s;
}

static void which_blocks(void **state) {
    (void)state;
    size_t at = 0, bytes = 0;
    assert_int_equal(heap->memory(&bytes), -1); // nothing was wanted yet
    char *early = malloc(N);
    assert_false(heap->want(1000)); // copied faster
    assert_false(heap->want((size_t)1 << 40));
    assert_true(heap->want(N));
    assert_true(heap->want(M));
    assert_true(heap->want(N));
    char *p = malloc(N), *q = calloc(1, M), *less = malloc(N - 1), *more = malloc(N + 1), *r = NULL;
    assert_false(seen(early, N));
    assert_true(seen(p, N));
    assert_true(seen(q, M));
    assert_false(seen(less, 1) || seen(more, 1));
    assert_true(heap->at(p + 100, N - 100, &at));
    assert_false(seen(p + 100, N - 99));
    assert_false(seen(p, SIZE_MAX) || seen(p + N, 1) || seen(p - 1, 1) || seen(&at, 1) || seen(NULL, 1));
    assert_int_equal(malloc_usable_size(p), N);
    assert_true(malloc_usable_size(more) > N);
    assert_int_equal(posix_memalign((void **)&r, 4096, N), 0);
    assert_true(seen(r, N) && (uintptr_t)r % 4096 == 0);
    free(r);
    assert_int_equal(posix_memalign((void **)&r, 3, N), EINVAL);
    r = aligned_alloc(64, M);
    assert_true(seen(r, M));
    // The other process reads what stands there.
    ap_shared s = other_side();
    p[100] = 77;
    assert_int_equal(s.data[at], 77);
    ap_shared_close(&s);
    for (char *all[] = {early, p, q, less, more, r, NULL}, **i = all; *i; i++) free(*i);
    assert_false(seen(p, N));
}

static void used_again(void **state) {
    (void)state;
    char *all[ROOMS + 2], *p;
    for (size_t i = 0; i < ROOMS + 2; i++) {
        all[i] = malloc(N);
        memset(all[i], 5, N);
        assert_true(seen(all[i], N) == (i < ROOMS)); // then the C library's
    }
    assert_true(heap->want(N)); // more of them
    p = malloc(N);
    assert_true(seen(p, N));
    memset(p, 5, N);
    for (size_t i = 0; i < ROOMS + 2; i++) assert_ptr_not_equal(p, all[i]);
    free(p);
    free(all[3]);
    p = calloc(N / 8, 8);
    assert_ptr_equal(p, all[3]);
    for (size_t i = 0; i < N; i++) assert_int_equal(p[i], 0);
    // realloc: in, within, and out of it
    memset(p, 9, N);
    uintptr_t where = (uintptr_t)p;
    p = realloc(p, N);
    assert_true((uintptr_t)p == where);
    p = realloc(p, N + 5000);
    assert_false(seen(p, 1));
    assert_true(p[0] == 9 && p[N - 1] == 9);
    char *small = malloc(10);
    small[9] = 4;
    small = realloc(small, N);
    assert_int_equal(small[9], 4);
    all[3] = malloc(N);
    char *shrunk = realloc(all[3], 100);
    assert_false(seen(shrunk, 1));
    free(shrunk);
    free(small);
    free(p);
    for (size_t i = 0; i < ROOMS + 2; i++)
        if (i != 3) free(all[i]);
    // What is free is not kept, but for some blocks.
    size_t bytes;
    struct stat st;
    assert_int_equal(fstat(heap->memory(&bytes), &st), 0);
    assert_true((size_t)st.st_blocks * 512 < 6 * (size_t)(N + 65536));
    volatile size_t huge = SIZE_MAX / 2; // the compiler would complain
    assert_null(calloc(huge, 4));
    errno = 0;
    free(NULL);
    assert_int_equal(errno, 0);
}

// ---- forks

static int in_the_child(char *p) {
    if (p[0] != 1 || p[N - 1] != 1) return 1;
    memset(p, 2, N);
    char *own = malloc(N);
    if (seen(p, N) || seen(own, N)) return 2; // its worker would not be this process's
    memset(own, 3, N);
    char *moved = realloc(p, 2 * N);
    if (moved[N - 1] != 2 || own[0] != 3) return 3;
    free(moved);
    free(own);
    return 0;
}

static void forks(void **state) {
    (void)state;
    char *p = malloc(N), *q = NULL;
    int status = -1;
    memset(p, 1, N);
    pid_t child = fork();
    if (child == 0) _exit(in_the_child(p));
    q = malloc(N); // where the parent goes on, the child looks nowhere
    memset(q, 4, N);
    p[0] = 6;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(p[0] == 6 && p[1] == 1 && p[N - 1] == 1);
    assert_false(seen(p, N)); // it was there at the fork: each has its own
    assert_true(seen(q, N));
    free(p);
    assert_ptr_not_equal(malloc(N), p); // never again
    free(q);
    // A program that is started is no fork.
    char *argv[] = {"true", NULL};
    q = malloc(N);
    assert_int_equal(posix_spawnp(&child, "true", NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(seen(q, N));
    free(q);
}

// ---- threads

static atomic_int wrong;

static void *come_and_go(void *arg) {
    char mark = *(char *)arg;
    char *held[3] = {NULL};
    for (int i = 0; i < 3000; i++) {
        char **p = &held[i % 3];
        size_t bytes = i % 2 ? N : M;
        if (*p && (*p)[0] != mark) wrong++;
        free(*p);
        *p = i % 5 ? malloc(bytes) : calloc(bytes, 1);
        if (i % 5 == 0 && (*p)[bytes - 1]) wrong++;
        (*p)[0] = (*p)[bytes - 1] = mark;
    }
    for (int i = 0; i < 3; i++) free(held[i]);
    return NULL;
}

static void threads(void **state) {
    (void)state;
    pthread_t all[4];
    char marks[4] = {1, 2, 3, 4};
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&all[i], NULL, come_and_go, &marks[i]), 0);
    for (int i = 0; i < 5; i++) {
        int status = -1;
        pid_t child = fork(); // in the midst of it
        if (child == 0) {
            free(malloc(N));
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_join(all[i], NULL), 0);
    assert_int_equal(wrong, 0);
}

static void how_many_sizes(void **state) {
    (void)state;
    size_t kept = 0;
    for (size_t i = 0; i < 200; i++) kept += heap->want(AP_HEAP_FROM + 1000 * i);
    assert_true(kept > 40 && kept < 64);
    char *p = malloc(AP_HEAP_FROM + 1000 * 199);
    assert_false(seen(p, 1));
    free(p);
}

int main(int argc, char **argv) {
    (void)argc;
    test_behind_heap(argv);
    heap = ap_heap_find();
    const struct CMUnitTest tests[] = {cmocka_unit_test(which_blocks), cmocka_unit_test(used_again),
                                       cmocka_unit_test(how_many_sizes), cmocka_unit_test(forks),
                                       cmocka_unit_test(threads)};
    return heap ? cmocka_run_group_tests(tests, NULL, NULL) : puts("not ok the heap is not found") > 0;
}
