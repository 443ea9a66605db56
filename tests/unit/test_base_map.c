// SPDX-License-Identifier: Apache-2.0
#include "test_base.h"

#include "base/map.h"

static void empty_map_has_nothing(void **state) {
    (void)state;
    ap_map m = {0};
    assert_null(ap_map_get(&m, "x"));
    assert_false(ap_map_has(&m, "x"));
    assert_int_equal(ap_map_get_index(&m, "x"), -1);
    ap_map_free(&m);
    ap_map_free(&m);
}

static void set_add_replace(void **state) {
    (void)state;
    ap_map m = {0};
    int one = 1, two = 2;
    char key[] = "key";
    ap_map_set(&m, key, &one);
    key[0] = 'X'; // the map has its own copy
    assert_ptr_equal(ap_map_get(&m, "key"), &one);
    assert_false(ap_map_add(&m, "key", &two));
    assert_ptr_equal(ap_map_get(&m, "key"), &one);
    ap_map_set(&m, "key", &two);
    assert_ptr_equal(ap_map_get(&m, "key"), &two);
    assert_int_equal(m.count, 1);
    assert_true(ap_map_add(&m, "", NULL)); // the empty key is a key, NULL is a value
    assert_true(ap_map_has(&m, ""));
    assert_null(ap_map_get(&m, ""));
    assert_null(ap_map_get(&m, NULL));
    ap_map_set_index(&m, "i", 0);
    assert_int_equal(ap_map_get_index(&m, "i"), 0);
    assert_int_equal(ap_map_get_index(&m, "j"), -1);
    assert_string_equal(m.entries[0].key, "key");
    assert_string_equal(m.entries[2].key, "i");
    ap_map_free(&m);
    assert_null(ap_map_get(&m, "key"));
}

static void hundred_thousand_keys(void **state) {
    (void)state;
    enum { N = 100000 };
    ap_map m = {0};
    char key[64];
    for (size_t i = 0; i < N; i++) {
        snprintf(key, sizeof key, "/model/layers.%zu/Add_output_0", i);
        assert_true(ap_map_add(&m, key, NULL));
        ap_map_set_index(&m, key, i);
    }
    assert_int_equal(m.count, N);
    for (size_t i = 0; i < N; i++) {
        snprintf(key, sizeof key, "/model/layers.%zu/Add_output_0", i);
        assert_int_equal(ap_map_get_index(&m, key), (int64_t)i);
        assert_string_equal(m.entries[i].key, key); // insertion order
        snprintf(key, sizeof key, "/model/layers.%zu/Add_output_1", i);
        assert_false(ap_map_has(&m, key));
    }
    ap_map_free(&m);
}

// Longest run of full slots: bounded when the hash spreads, thousands when it does not.
static size_t longest_run(const ap_map *m) {
    size_t best = 0, run = 0;
    for (size_t i = 0; i < m->slot_count; i++) {
        run = m->slots[i] ? run + 1 : 0;
        if (run > best) best = run;
    }
    return best;
}

static void keys_that_look_alike_spread(void **state) {
    (void)state;
    ap_map m = {0};
    char key[40];
    memset(key, 'a', sizeof key);
    key[39] = 0;
    for (int i = 0; i < 39; i++) { // every length, and one different byte at every place
        assert_true(ap_map_add(&m, key + i, NULL));
        for (int c = 'b'; c <= 'z'; c++) {
            key[i] = (char)c;
            assert_true(ap_map_add(&m, key, NULL));
        }
        key[i] = 'a';
    }
    assert_int_equal(m.count, 39 * 26);
    assert_true(longest_run(&m) < 120);
    ap_map_free(&m);
}

// Slots that collide: with as many keys as this small table takes, chains and wrap-around are certain over
// many seeds.
static void collisions_and_wrap_around(void **state) {
    (void)state;
    bool wrapped = false;
    for (int round = 0; round < 500; round++) {
        ap_map m = {0};
        char key[8];
        for (size_t i = 0; i < 10; i++) {
            snprintf(key, sizeof key, "k%zu", i);
            ap_map_set_index(&m, key, i);
        }
        assert_int_equal(m.slot_count, 16);
        wrapped |= m.slots[15] && m.slots[0];
        for (size_t i = 0; i < 10; i++) {
            snprintf(key, sizeof key, "k%zu", i);
            assert_int_equal(ap_map_get_index(&m, key), (int64_t)i);
        }
        assert_false(ap_map_has(&m, "k10"));
        ap_map_free(&m);
    }
    assert_true(wrapped);
}

static void each_map_has_its_own_seed(void **state) {
    (void)state;
    ap_map a = {0}, b = {0};
    ap_map_set(&a, "x", NULL);
    ap_map_set(&b, "x", NULL);
    assert_true(a.seed != b.seed);
    assert_true(a.entries[0].hash != b.entries[0].hash);
    ap_map_free(&a);
    ap_map_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_map_has_nothing),      cmocka_unit_test(set_add_replace),
        cmocka_unit_test(hundred_thousand_keys),      cmocka_unit_test(keys_that_look_alike_spread),
        cmocka_unit_test(collisions_and_wrap_around), cmocka_unit_test(each_map_has_its_own_seed),
    };
    return cmocka_run_group_tests_name("base: map", tests, NULL, NULL);
}
