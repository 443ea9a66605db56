// SPDX-License-Identifier: Apache-2.0
// lanes: how many there are, what runs beside what, on which processors, and whom it tells.
#include "test_base.h"

#include "base/cpu.h"
#include "base/proc.h"
#include "plan/work/lanes.h"

#include <pthread.h>
#include <stdatomic.h>

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

// ---- how many

static void as_processors_and_memory_allow(void **state) {
    (void)state;
    static const struct {
        size_t count;
        uint64_t bytes[4];
        size_t processors;
        uint64_t free_bytes;
        size_t lanes;
    } cases[] = {
        {0, {0}, 8, 64 * GIB, 1},
        {1, {MIB}, 8, 64 * GIB, 1},
        {4, {MIB, MIB, MIB, MIB}, 1, 64 * GIB, 1},
        {4, {MIB, MIB, MIB, MIB}, 3, 64 * GIB, 1}, // one keeps two busy
        {4, {MIB, MIB, MIB, MIB}, 4, 64 * GIB, 2},
        {4, {MIB, MIB, MIB, MIB}, 9, 64 * GIB, 4},
        {3, {MIB, MIB, MIB}, 64, 64 * GIB, 3},
        {4, {MIB, MIB, MIB, MIB}, 8, 6 * GIB, 2}, // half of it is theirs
        {4, {MIB, MIB, MIB, MIB}, 8, 0, 1},       // not known
        {2, {4 * GIB, 4 * GIB}, 8, 8 * GIB, 1},
        {2, {MIB, 4 * GIB}, 8, 32 * GIB, 1}, // whichever come together
        {2, {MIB, 4 * GIB}, 8, 64 * GIB, 2},
        {2, {4 * GIB, 4 * GIB}, 8, 64 * GIB, 1},
        {2, {UINT64_MAX, UINT64_MAX}, 8, UINT64_MAX, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ap_lane_work list[4] = {0};
        for (size_t k = 0; k < cases[i].count; k++) list[k].bytes = cases[i].bytes[k];
        size_t lanes = ap_lanes_fit(list, cases[i].count, cases[i].processors, cases[i].free_bytes);
        if (lanes != cases[i].lanes) fail_msg("case %zu: %zu lanes", i, lanes);
    }
}

// ---- the work

typedef struct hall {
    atomic_int inside, most, ended;
    ap_buf heard;
} hall;

typedef struct guest {
    hall *h;
    const char *says;
    int together; // how many must be inside before it goes on
    int ended_before;
    size_t processors;
} guest;

static void visit(void *user, aipc_context *c) {
    guest *g = user;
    hall *h = g->h;
    int now = atomic_fetch_add(&h->inside, 1) + 1, most = atomic_load(&h->most);
    while (now > most && !atomic_compare_exchange_weak(&h->most, &most, now)) {
    }
    g->ended_before = atomic_load(&h->ended);
    g->processors = ap_cpu_count();
    ap_context_log(c, AIPC_INFO, "%s", g->says);
    ap_context_progress(c, 1, 2, "%s", g->says);
    while (atomic_load(&h->most) < g->together) ap_sleep_ms(1);
    atomic_fetch_add(&h->ended, 1);
    atomic_fetch_sub(&h->inside, 1);
}

static void on_log(void *user, aipc_level level, const char *text) {
    hall *h = user;
    ap_buf_printf(&h->heard, "%d %s\n", (int)level, text);
}

static void on_progress(void *user, size_t done, size_t total, const char *text) {
    hall *h = user;
    ap_buf_printf(&h->heard, "%zu/%zu %s\n", done, total, text);
}

static aipc_context *context(hall *h) {
    const aipc_context_options o = {.size = sizeof o, .log = on_log, .progress = on_progress, .user = h};
    aipc_context *c = NULL;
    must(ap_context_open(&o, &c));
    return c;
}

static void one_lane_is_one_after_the_other(void **state) {
    (void)state;
    hall h = {0};
    guest g[3] = {{.h = &h, .says = "a"}, {.h = &h, .says = "b"}, {.h = &h, .says = "c"}};
    ap_lane_work list[3];
    aipc_context *c = context(&h);
    for (size_t i = 0; i < 3; i++)
        list[i] = (ap_lane_work){.fn = visit, .user = &g[i], .name = "name", .after = AP_JOB_NONE};
    ap_lanes_run(c, list, 3, 1);
    assert_int_equal(h.most, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(g[i].ended_before, i);
        assert_int_equal(g[i].processors, ap_cpu_total());
    }
    assert_string_equal(ap_buf_str(&h.heard), "1 a\n1/2 a\n1 b\n1/2 b\n1 c\n1/2 c\n");
    ap_lanes_run(c, list, 0, 4);
    ap_buf_free(&h.heard);
    ap_context_close(c);
}

// Two must meet; no third one comes in; the last waits for the first, whoever is idle.
static void side_by_side(void **state) {
    (void)state;
    hall h = {0};
    guest g[4] = {{.h = &h, .says = "a", .together = 2},
                  {.h = &h, .says = "b", .together = 2},
                  {.h = &h, .says = "c"},
                  {.h = &h, .says = "d"}};
    static const char *const names[] = {"one", "two", "three", "four"};
    ap_lane_work list[4];
    aipc_context *c = context(&h);
    for (size_t i = 0; i < 4; i++)
        list[i] = (ap_lane_work){.fn = visit, .user = &g[i], .name = names[i], .after = AP_JOB_NONE};
    list[3].after = 0;
    ap_lanes_run(c, list, 4, 2);
    assert_int_equal(h.most, 2);
    assert_int_equal(h.ended, 4);
    assert_true(g[3].ended_before >= 1);
    size_t share = ap_cpu_total() / 2;
    for (size_t i = 0; i < 4; i++) assert_int_equal(g[i].processors, share ? share : 1);
    assert_int_equal(ap_cpu_count(), ap_cpu_total()); // of this thread
    static const char *const lines[] = {"1 one: a\n",   "1/2 one: a\n",   "1 two: b\n",  "1/2 two: b\n",
                                        "1 three: c\n", "1/2 three: c\n", "1 four: d\n", "1/2 four: d\n"};
    size_t heard = 0;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_non_null(strstr(ap_buf_str(&h.heard), lines[i]));
        heard += strlen(lines[i]);
    }
    assert_int_equal(h.heard.len, heard); // whole lines, and no others
    ap_buf_free(&h.heard);
    ap_context_close(c);
}

// One that waits for another runs after it, also when a lane is idle; more lanes than work are no harm.
static void a_chain_in_many_lanes(void **state) {
    (void)state;
    hall h = {0};
    guest g[4];
    ap_lane_work list[4];
    aipc_context *c = context(&h);
    for (size_t i = 0; i < 4; i++) {
        g[i] = (guest){.h = &h, .says = "x"};
        list[i] = (ap_lane_work){.fn = visit, .user = &g[i], .name = "n", .after = i ? i - 1 : AP_JOB_NONE};
    }
    ap_lanes_run(c, list, 4, 9);
    assert_int_equal(h.most, 1);
    for (int i = 0; i < 4; i++) assert_int_equal(g[i].ended_before, i);
    ap_buf_free(&h.heard);
    ap_context_close(c);
}

// ---- processors and memory

static void *in_a_share(void *user) {
    size_t *seen = user;
    ap_cpu_share(1, 2);
    seen[0] = ap_cpu_count();
    ap_cpu_share(1, 2); // of all, not of the share
    seen[1] = ap_cpu_count();
    ap_cpu_share(7, 1000);
    seen[2] = ap_cpu_count();
    seen[3] = ap_cpu_total();
    ap_cpu_share(0, 0); // none
    ap_cpu_share(0, 1);
    seen[4] = ap_cpu_count();
    return NULL;
}

static void shares_of_the_processors(void **state) {
    (void)state;
    size_t seen[5] = {0}, all = ap_cpu_total();
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, in_a_share, seen), 0);
    pthread_join(t, NULL);
    assert_int_equal(seen[0], all > 1 ? all / 2 : 1);
    assert_int_equal(seen[1], seen[0]);
    assert_int_equal(seen[2], 1);
    assert_int_equal(seen[3], all);
    assert_int_equal(seen[4], all);
    assert_int_equal(ap_cpu_count(), all);
}

static void free_memory(void **state) {
    (void)state;
    uint64_t bytes = ap_memory_free();
    assert_true(bytes > 0);
    assert_true(bytes <= (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_processors_and_memory_allow),
        cmocka_unit_test(one_lane_is_one_after_the_other),
        cmocka_unit_test(side_by_side),
        cmocka_unit_test(a_chain_in_many_lanes),
        cmocka_unit_test(shares_of_the_processors),
        cmocka_unit_test(free_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
