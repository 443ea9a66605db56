// SPDX-License-Identifier: Apache-2.0
// The cache of answers: kept, told apart, damaged, fast.
#include "base/proc.h"
#include "surgery/probe/probe_priv.h"
#include "test_graph_build.h"

typedef struct warnings {
    size_t count;
    char last[300];
} warnings;

static void warn(void *user, const char *text) {
    warnings *w = user;
    w->count++;
    snprintf(w->last, sizeof w->last, "%s", text);
}

typedef struct place {
    ap_arena a;
    char *dir, *path;
    warnings told;
    ap_probe_set set;
} place;

static int setup(void **state) {
    place *p = ap_calloc(1, sizeof *p);
    size_t added = 0;
    must(ap_mkdtemp("/tmp", "aipc-test-cache", &p->a, &p->dir));
    p->path = ap_path_join(&p->a, p->dir, "sub/probes.db");
    must(ap_probe_add_table(&p->set, NULL, &added));
    *state = p;
    return 0;
}

static int teardown(void **state) {
    place *p = *state;
    must(ap_rmtree(p->dir));
    ap_probe_set_release(&p->set);
    ap_arena_release(&p->a);
    free(p);
    return 0;
}

static ap_probe_cache *open_cache(place *p, const char *backend) {
    ap_probe_cache *c = NULL;
    must(ap_probe_cache_open(p->path, backend, warn, &p->told, &c));
    return c;
}

static void keep(place *p, ap_probe_cache *c, size_t i, ap_probe_verdict v, const char *reason) {
    ap_probe *one = &p->set.list[i];
    ap_probe_decide(one, v, reason, &p->a);
    one->error = 0.25;
    ap_probe_cache_put(c, &one, 1);
    one->verdict = AP_PROBE_UNASKED;
    one->reason = NULL;
    one->error = 0;
}

static void kept(void **state) {
    place *p = *state;
    ap_probe_cache *c = open_cache(p, "htp:a 1");
    assert_false(ap_probe_cache_get(c, &p->set.list[0], &p->a));
    keep(p, c, 0, AP_PROBE_WRONG, "it's \"so\"");
    keep(p, c, 1, AP_PROBE_HUNG, "slow");
    keep(p, c, 2, AP_PROBE_CRASHED, NULL);
    ap_probe_cache_close(c);
    c = open_cache(p, "htp:a 1");
    assert_true(ap_probe_cache_get(c, &p->set.list[0], &p->a));
    assert_int_equal(p->set.list[0].verdict, AP_PROBE_WRONG);
    assert_string_equal(p->set.list[0].reason, "it's \"so\"");
    assert_true(p->set.list[0].error == 0.25);
    assert_false(ap_probe_cache_get(c, &p->set.list[1], &p->a));
    assert_true(ap_probe_cache_get(c, &p->set.list[2], &p->a));
    ap_probe_cache_close(c);
    c = open_cache(p, "htp:a 2"); // another version: asked again
    assert_false(ap_probe_cache_get(c, &p->set.list[0], &p->a));
    ap_probe_cache_close(c);
    assert_int_equal(p->told.count, 0);
}

static void damaged(void **state) {
    place *p = *state;
    ap_probe_cache *c = open_cache(p, "b");
    for (size_t i = 0; i < p->set.count; i++) keep(p, c, i, AP_PROBE_ACCEPTED, NULL);
    ap_probe_cache_close(c);
    ap_buf whole = {0};
    must(ap_file_read(p->path, 1 << 28, &whole));
    // Not a database at all, its head gone, its middle gone, cut short at many places.
    for (size_t i = 0; i < 24; i++) {
        ap_buf b = {0};
        ap_buf_append(&b, whole.data, i < 4 ? whole.len : whole.len * (i - 3) / 21);
        if (i == 0) memset(b.data, 'x', b.len);
        if (i == 1) memset(b.data, 0, 100);
        if (i == 2) memset(b.data + b.len / 4, 0xff, b.len / 2);
        if (i == 3) memset(b.data + 4096, 0, 64);
        must(ap_file_write(p->path, b.data, b.len));
        ap_buf_free(&b);
        c = open_cache(p, "b");
        for (size_t k = 0; k < p->set.count; k++) {
            p->set.list[k].verdict = AP_PROBE_UNASKED;
            (void)ap_probe_cache_get(c, &p->set.list[k], &p->a);
        }
        keep(p, c, 0, AP_PROBE_REFUSED, "again");
        bool found = ap_probe_cache_get(c, &p->set.list[0], &p->a);
        if (!found || p->set.list[0].verdict != AP_PROBE_REFUSED)
            fail_msg("damage %zu: not mended (%s)", i, p->told.last);
        ap_probe_cache_close(c);
    }
    assert_true(p->told.count >= 4);
    assert_non_null(strstr(p->told.last, "is made anew"));
    ap_buf_free(&whole);
}

static void impossible(void **state) {
    place *p = *state;
    must(ap_mkdirs(p->path)); // a folder where the file should be
    ap_probe_cache *c = open_cache(p, "b");
    keep(p, c, 0, AP_PROBE_REFUSED, "x");
    assert_false(ap_probe_cache_get(c, &p->set.list[0], &p->a));
    assert_int_equal(p->told.count, 1);
    assert_non_null(strstr(p->told.last, "no cache of probes in this run"));
    ap_probe_cache_close(c);
    ap_probe_cache_close(NULL);
}

static void fast(void **state) {
    place *p = *state;
    ap_probe_cache *c = open_cache(p, "b");
    for (size_t i = 0; i < p->set.count; i++) keep(p, c, i, AP_PROBE_ACCEPTED, NULL);
    uint64_t start = ap_now_us();
    for (size_t r = 0; r < 10; r++)
        for (size_t i = 0; i < p->set.count; i++) assert_true(ap_probe_cache_get(c, &p->set.list[i], &p->a));
    double us = (double)(ap_now_us() - start) / (10 * (double)p->set.count);
    print_message("# a hit takes %.1f us\n", us);
    assert_true(us < 500); // a few; sanitizers and a busy machine take more
    ap_probe_cache_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kept, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(impossible, setup, teardown),
        cmocka_unit_test_setup_teardown(fast, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
