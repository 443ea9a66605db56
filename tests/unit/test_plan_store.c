// SPDX-License-Identifier: Apache-2.0
// The store (whole results or none, whoever else writes) and the ledger (whose time it was).
#include "test_base.h"

#include "base/proc.h"
#include "plan/work/ledger.h"
#include "plan/work/store.h"

static ap_store open_store(scratch *s) {
    ap_store store = {0};
    must(ap_store_open(at(s, "store"), &store));
    return store;
}

static const char *key_of(scratch *s, const char *text) {
    char hex[65];
    json_t *j = json_pack("{ss}", "model", text);
    ap_store_key(j, hex);
    json_decref(j);
    return ap_arena_strdup(&s->arena, hex);
}

// Commits a result of two files; `mark` tells it from another one.
static void commit(scratch *s, const ap_store *store, const char *key, const char *mark) {
    char *work = NULL, *dir = NULL;
    json_t *record = json_pack("{ss}", "mark", mark);
    must(ap_store_begin(store, &s->arena, &work));
    must(ap_file_write(ap_path_join(&s->arena, work, "a.bin"), mark, strlen(mark)));
    must(ap_file_write(ap_path_join(&s->arena, work, "empty"), "", 0));
    must(ap_store_commit(store, key, work, record, &s->arena, &dir));
    assert_false(ap_file_exists(work));
    assert_true(ap_is_dir(dir));
    json_decref(record);
}

// The mark of what is stored, "" when there is nothing.
static const char *stored(scratch *s, const ap_store *store, const char *key) {
    char *dir = NULL;
    json_t *record = NULL;
    must(ap_store_get(store, key, &s->arena, &dir, &record));
    assert_int_equal(dir != NULL, record != NULL);
    const char *mark = ap_arena_strdup(&s->arena, ap_json_str(record, "mark", ""));
    if (dir) assert_content(ap_path_join(&s->arena, dir, "a.bin"), mark);
    json_decref(record);
    return mark;
}

static char *object(scratch *s, const char *key, const char *file) {
    return ap_arena_printf(&s->arena, "%s/store/objects/%s%s%s", s->dir, key, file ? "/" : "",
                           file ? file : "");
}

static void keys(void **state) {
    scratch *s = *state;
    json_t *a = json_pack("{si,ss}", "x", 1, "y", "z"), *b = json_pack("{ss,si}", "y", "z", "x", 1);
    char one[65], two[65];
    ap_store_key(a, one);
    ap_store_key(b, two);
    assert_string_equal(one, two); // the order of keys is no difference
    assert_int_equal(strlen(one), 64);
    assert_string_not_equal(key_of(s, "m"), key_of(s, "n"));
    json_decref(a);
    json_decref(b);
}

static void there_and_back(void **state) {
    scratch *s = *state;
    ap_store store = open_store(s);
    const char *key = key_of(s, "m");
    assert_string_equal(stored(s, &store, key), "");
    commit(s, &store, key, "first");
    assert_string_equal(stored(s, &store, key), "first");
    ap_store_close(&store);
    store = open_store(s); // another time
    assert_string_equal(stored(s, &store, key), "first");
    commit(s, &store, key, "second"); // too late: the first one stays
    assert_string_equal(stored(s, &store, key), "first");
    must(ap_store_drop(&store, key));
    must(ap_store_drop(&store, key));
    assert_string_equal(stored(s, &store, key), "");
    commit(s, &store, key, "third");
    assert_string_equal(stored(s, &store, key), "third");
    ap_store_close(&store);
}

static void damaged(void **state) {
    scratch *s = *state;
    ap_store store = open_store(s);
    const char *key = key_of(s, "m");
    static const char *const bad_records[] = {"",
                                              "{",
                                              "[]",
                                              "{\"mark\":\"x\"}",
                                              "{\"files\":[{\"file\":\"../a.bin\",\"bytes\":1}]}",
                                              "{\"files\":[{\"file\":\"absent\",\"bytes\":1}]}",
                                              "{\"files\":[{\"file\":\"a.bin\",\"bytes\":-1}]}"};
    for (size_t i = 0; i < sizeof bad_records / sizeof *bad_records; i++) {
        commit(s, &store, key, "good");
        must(ap_file_write(object(s, key, "record.json"), bad_records[i], strlen(bad_records[i])));
        assert_string_equal(stored(s, &store, key), "");
        assert_false(ap_file_exists(object(s, key, NULL))); // thrown away, so that it can be made again
    }
    commit(s, &store, key, "good");
    must(ap_file_write(object(s, key, "a.bin"), "goo", 3)); // cut short
    assert_string_equal(stored(s, &store, key), "");
    commit(s, &store, key, "good");
    must(ap_file_remove(object(s, key, "empty")));
    assert_string_equal(stored(s, &store, key), "");
    commit(s, &store, key, "good");
    assert_string_equal(stored(s, &store, key), "good");
    ap_store_close(&store);
}

static void discarded(void **state) {
    scratch *s = *state;
    ap_store store = open_store(s);
    char *work = NULL;
    must(ap_store_begin(&store, &s->arena, &work));
    must(ap_file_write(ap_path_join(&s->arena, work, "half"), "x", 1));
    ap_store_discard(work);
    ap_store_discard(NULL);
    assert_false(ap_file_exists(work));
    assert_string_equal(stored(s, &store, key_of(s, "m")), "");
    ap_store_close(&store);
}

// What a killed process leaves in tmp is swept by the next one.
static void half_done(void *arg) {
    scratch *s = arg;
    ap_store store = {0};
    char *work = NULL;
    CHECK(!ap_store_open(at(s, "store"), &store));
    CHECK(!ap_store_begin(&store, &s->arena, &work));
    CHECK(!ap_file_write(ap_path_join(&s->arena, work, "half"), "x", 1));
    _exit(0);
}

static void leftovers_are_swept(void **state) {
    scratch *s = *state;
    assert_int_equal(in_child(half_done, s), 0);
    ap_store store = open_store(s);
    const char **names = NULL;
    char *work = NULL;
    size_t count = 0;
    must(ap_list_dir(store.tmp, &s->arena, &names, &count));
    assert_int_equal(count, 1);
    must(ap_store_begin(&store, &s->arena, &work));
    must(ap_list_dir(store.tmp, &s->arena, &names, &count));
    assert_int_equal(count, 1); // ours
    assert_string_equal(names[0], ap_path_base(work));
    ap_store_close(&store);
}

// Two processes make the same results at once, some of them thrown away in between: every look finds a whole
// one.
enum { ROUNDS = 60 };
static void compete(void *arg) {
    scratch *s = arg;
    ap_store store = {0};
    CHECK(!ap_store_open(at(s, "store"), &store));
    for (int i = 0; i < ROUNDS; i++) {
        const char *key = key_of(s, ap_arena_printf(&s->arena, "%d", i / 2));
        char *work = NULL, *dir = NULL;
        json_t *record = NULL;
        CHECK(!ap_store_begin(&store, &s->arena, &work));
        CHECK(!ap_file_write(ap_path_join(&s->arena, work, "a.bin"), "same", 4));
        record = json_pack("{ss}", "mark", "same");
        CHECK(!ap_store_commit(&store, key, work, record, &s->arena, &dir));
        json_decref(record);
        CHECK(!ap_store_get(&store, key, &s->arena, &dir, &record));
        CHECK(record && strcmp(ap_json_str(record, "mark", ""), "same") == 0);
        json_decref(record);
    }
    ap_store_close(&store);
}

static void two_processes(void **state) {
    scratch *s = *state;
    pid_t pids[2];
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            compete(s);
            _exit(0);
        }
    }
    for (int i = 0; i < 2; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    const char **names = NULL;
    size_t count = 0;
    must(ap_list_dir(at(s, "store/objects"), &s->arena, &names, &count));
    assert_int_equal(count, ROUNDS / 2);
    must(ap_list_dir(at(s, "store/tmp"), &s->arena, &names, &count));
    assert_int_equal(count, 0);
}

static void no_place_for_it(void **state) {
    scratch *s = *state;
    ap_store store = {0};
    must(ap_file_write(at(s, "file"), "x", 1));
    ap_err err = ap_store_open(at(s, "file"), &store);
    assert_int_equal(ap_code_exit(ap_err_code(err)), AP_EXIT_IO);
    ap_err_free(err);
    assert_null(store.objects);
}

static void record_texts(void **state) {
    (void)state;
    json_t *j = NULL;
    const char *good = "{\"files\":[{\"file\":\"a\",\"bytes\":0}]}";
    must(ap_record_parse(good, strlen(good), &j));
    json_decref(j);
    j = NULL;
    static const char *const bad[] = {"nope",
                                      "{}",
                                      "{\"files\":{}}",
                                      "{\"files\":[1]}",
                                      "{\"files\":[{\"file\":\"..\",\"bytes\":0}]}",
                                      "{\"files\":[{\"file\":\"\",\"bytes\":0}]}",
                                      "{\"files\":[{\"file\":\"a/b\",\"bytes\":0}]}",
                                      "{\"files\":[{\"file\":\"a\"}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        must_fail(ap_record_parse(bad[i], strlen(bad[i]), &j), AP_ERR_CORRUPT, "");
        assert_null(j);
    }
}

static void tensor_names(void **state) {
    (void)state;
    json_t *list = json_pack("[{ss,ss},{ss}]", "name", "a", "file", "/x/y/0.npy", "name", "none");
    ap_tensors_to_names(list);
    assert_string_equal(ap_json_str(json_array_get(list, 0), "file", ""), "0.npy");
    ap_tensors_to_paths(list, "/z");
    assert_string_equal(ap_json_str(json_array_get(list, 0), "file", ""), "/z/0.npy");
    assert_null(json_object_get(json_array_get(list, 1), "file"));
    json_decref(list);
}

// ---- ledger

static void put(ap_ledger *l, uint64_t from_ms, uint64_t to_ms, ap_time_kind kind) {
    ap_ledger_add(l, kind, 0);
    l->list[l->count - 1] = (ap_interval){l->start_us + from_ms * 1000, l->start_us + to_ms * 1000, kind};
}

static void comes_to(double seconds, double wanted) {
    assert_true(seconds > wanted - 0.0001 && seconds < wanted + 0.0001);
}

static void overlaps(void **state) {
    (void)state;
    ap_ledger l;
    ap_ledger_init(&l);
    l.start_us -= 1000000; // a second ago
    put(&l, 500, 600, AP_TIME_GOLDEN);
    put(&l, 100, 300, AP_TIME_VENDOR);
    put(&l, 200, 400, AP_TIME_VENDOR); // overlaps the one before
    put(&l, 250, 260, AP_TIME_GOLDEN); // lies inside
    put(&l, 100, 300, AP_TIME_VENDOR); // the same again
    put(&l, 550, 700, AP_TIME_RUN);    // 100 ms of it alone
    put(&l, 800, 850, AP_TIME_EXPORT);
    json_t *j = ap_ledger_json(&l);
    double wall = ap_json_num(j, "wall_s", 0), ours = ap_json_num(j, "ours_s", 0);
    assert_true(wall >= 1.0 && wall < 1.5);
    comes_to(wall - ours, 0.55);
    comes_to(ap_json_num(j, "vendor_s", 0), 0.75);
    comes_to(ap_json_num(j, "runs_s", 0), 0.1);
    comes_to(ap_json_num(j, "export_s", 0), 0.05);
    comes_to(ap_json_num(j, "golden_s", 0), 0.11);
    json_decref(j);
    ap_ledger_release(&l);
    ap_ledger_init(&l);
    ap_ledger part;
    ap_ledger_init(&part);
    put(&part, 0, 1, AP_TIME_GOLDEN);
    ap_ledger_include(&l, &part);
    ap_ledger_release(&part);
    assert_int_equal(l.count, 1);
    l.count = 0;
    j = ap_ledger_json(&l);
    assert_null(json_object_get(j, "export_s"));
    assert_true(ap_json_num(j, "vendor_s", 1) == 0 && ap_json_num(j, "ours_s", -1) >= 0);
    json_decref(j);
    ap_ledger_release(&l);
}

// Two deployments side by side: while one's artifact runs, the other builds, and waits.
static void side_by_side(void **state) {
    (void)state;
    ap_ledger all, one, two;
    ap_ledger_init(&all);
    ap_ledger_init(&one);
    ap_ledger_init(&two);
    all.start_us = one.start_us = two.start_us = all.start_us - 1000000;
    put(&one, 100, 400, AP_TIME_RUN);
    put(&two, 200, 300, AP_TIME_VENDOR);
    put(&two, 350, 500, AP_TIME_RUN); // beside the other's
    put(&two, 500, 600, AP_TIME_GOLDEN);
    ap_ledger_include(&all, &two); // whichever ends first
    ap_ledger_include(&all, &one);
    json_t *j = ap_ledger_json(&all);
    double wall = ap_json_num(j, "wall_s", 0), ours = ap_json_num(j, "ours_s", 0);
    comes_to(wall - ours, 0.5);
    comes_to(ap_json_num(j, "vendor_s", 0), 0.55);
    comes_to(ap_json_num(j, "runs_s", 0), 0.3);
    comes_to(ap_json_num(j, "golden_s", 0), 0.1);
    json_decref(j);
    ap_ledger_release(&all);
    ap_ledger_release(&one);
    ap_ledger_release(&two);
}

// A worker may claim any number of microseconds; nothing took longer than the run.
static void absurd_claims(void **state) {
    (void)state;
    ap_ledger l;
    ap_ledger_init(&l);
    ap_ledger_add(&l, AP_TIME_VENDOR, UINT64_MAX);
    ap_ledger_add(&l, AP_TIME_GOLDEN, (uint64_t)1 << 60);
    json_t *j = ap_ledger_json(&l);
    assert_true(ap_json_num(j, "vendor_s", 99) <= ap_json_num(j, "wall_s", 0));
    assert_true(ap_json_num(j, "golden_s", 99) <= ap_json_num(j, "wall_s", 0));
    json_decref(j);
    ap_ledger_release(&l);
}

#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, test_setup, test_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(keys),
        SCRATCH_TEST(there_and_back),
        SCRATCH_TEST(damaged),
        SCRATCH_TEST(discarded),
        SCRATCH_TEST(leftovers_are_swept),
        SCRATCH_TEST(two_processes),
        SCRATCH_TEST(no_place_for_it),
        cmocka_unit_test(record_texts),
        cmocka_unit_test(tensor_names),
        cmocka_unit_test(overlaps),
        cmocka_unit_test(side_by_side),
        cmocka_unit_test(absurd_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
