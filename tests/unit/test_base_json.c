// SPDX-License-Identifier: Apache-2.0
// JSON, hashes, the log.
#include "test_base.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

#include <fcntl.h>
#include <math.h>

static json_t *parse(const char *text) {
    json_t *j = NULL;
    must(ap_json_parse(text, strlen(text), "doc", AP_ERR_CORRUPT, &j));
    return j;
}

static void parse_errors_say_where(void **state) {
    scratch *s = *state;
    json_t *j = NULL;
    ap_err e = ap_json_parse("{\"a\": 1,\n x}", 12, "m.json", AP_ERR_CORRUPT, &j);
    assert_int_equal(ap_err_code(e), AP_ERR_CORRUPT);
    assert_non_null(strstr(ap_err_message(e), "m.json: not valid JSON"));
    assert_non_null(strstr(ap_err_message(e), "line 2"));
    assert_string_equal(ap_err_get_subject(e), "m.json");
    uint64_t offset = 0;
    assert_true(ap_err_offset(e, &offset));
    assert_in_range(offset, 9, 12);
    ap_err_free(e);
    assert_null(j);
    must_fail(ap_json_parse(NULL, 0, "x", AP_ERR_VENDOR, &j), AP_ERR_VENDOR, "x");
    must_fail(ap_json_load(at(s, "none"), 10, AP_ERR_CORRUPT, &j), AP_ERR_NOT_FOUND, "none");
    must(ap_file_write(at(s, "big"), "[1, 2, 3, 4]", 12));
    must_fail(ap_json_load(at(s, "big"), 11, AP_ERR_CORRUPT, &j), AP_ERR_INPUT_FILE, "11 bytes");
    must(ap_json_load(at(s, "big"), 12, AP_ERR_CORRUPT, &j));
    json_decref(j);
}

static void every_truncation_is_an_error(void **state) {
    (void)state;
    const char *text = "{\"k\":[1,-2.5e3,\"\\u00e4\\n\",true,null,{\"d\":{}}]}";
    for (size_t n = 0; n < strlen(text); n++) {
        char *copy = malloc(n ? n : 1); // exactly as long as said, so a sanitizer sees a read beyond
        memcpy(copy, text, n);
        json_t *j = NULL;
        ap_err e = ap_json_parse(copy, n, "t", AP_ERR_CORRUPT, &j);
        assert_int_equal(ap_err_code(e), AP_ERR_CORRUPT);
        assert_null(j);
        ap_err_free(e);
        free(copy);
    }
    char *deep = malloc(1 << 20);
    memset(deep, '[', 1 << 20);
    json_t *j = NULL;
    must_fail(ap_json_parse(deep, 1 << 20, "deep", AP_ERR_CORRUPT, &j), AP_ERR_CORRUPT, "deep");
    free(deep);
}

static void saving_keeps_order_and_canonical_sorts(void **state) {
    scratch *s = *state;
    json_t *j = parse("{\"b\": 1, \"a\": {\"z\": 0.1, \"y\": [9223372036854775807]}}");
    char *text = ap_json_canonical(j);
    assert_string_equal(text, "{\"a\":{\"y\":[9223372036854775807],\"z\":0.10000000000000001},\"b\":1}");
    free(text);
    text = ap_json_text(j, false);
    assert_memory_equal(text, "{\"b\":1,\"a\":", 11);
    free(text);
    must(ap_json_save(at(s, "j"), j));
    json_t *again = NULL;
    must(ap_json_load(at(s, "j"), 1000, AP_ERR_CORRUPT, &again));
    assert_true(json_equal(j, again));
    ap_buf b = {0};
    must(ap_file_read(at(s, "j"), 1000, &b));
    assert_memory_equal(b.data, "{\n  \"b\": 1,\n  \"a\"", 17);
    assert_int_equal(b.data[b.len - 1], '\n');
    ap_buf_free(&b);
    json_decref(again);
    json_decref(j);
    text = ap_json_text(NULL, true);
    assert_string_equal(text, "null");
    free(text);
    must_fail(ap_json_save(at(s, "no/j"), NULL), AP_ERR_NOT_FOUND, "no/j");
}

static void getters_name_what_is_wrong(void **state) {
    (void)state;
    json_t *o =
        parse("{\"s\":\"x\",\"i\":-7,\"r\":2.5,\"t\":true,\"a\":[1],\"o\":{},\"n\":null,\"nan\":\"nan\"}");
    const char *text = NULL;
    int64_t i = 0;
    double d = 0;
    bool t = false;
    json_t *sub = NULL;
    must(ap_json_get_str(o, "s", "m", AP_ERR_CORRUPT, &text));
    assert_string_equal(text, "x");
    must(ap_json_get_int(o, "i", "m", AP_ERR_CORRUPT, &i));
    assert_int_equal(i, -7);
    must(ap_json_get_num(o, "i", "m", AP_ERR_CORRUPT, &d));
    assert_true(d == -7);
    must(ap_json_get_num(o, "r", "m", AP_ERR_CORRUPT, &d));
    assert_true(d == 2.5);
    must(ap_json_get_num(o, "nan", "m", AP_ERR_CORRUPT, &d));
    assert_true(isnan(d));
    must(ap_json_get_bool(o, "t", "m", AP_ERR_CORRUPT, &t));
    assert_true(t);
    must(ap_json_get_arr(o, "a", "m", AP_ERR_CORRUPT, &sub));
    must(ap_json_get_obj(o, "o", "m", AP_ERR_CORRUPT, &sub));
    must_fail(ap_json_get_str(o, "q", "m.json", AP_ERR_CORRUPT, &text), AP_ERR_CORRUPT,
              "m.json: 'q' is missing");
    must_fail(ap_json_get_str(o, "i", "m", AP_ERR_VENDOR, &text), AP_ERR_VENDOR,
              "'i' is an integer, but a string is needed");
    must_fail(ap_json_get_int(o, "r", "m", AP_ERR_VENDOR, &i), AP_ERR_VENDOR,
              "'r' is a number with a fraction");
    must_fail(ap_json_get_num(o, "s", "m", AP_ERR_VENDOR, &d), AP_ERR_VENDOR, "a number is needed");
    must_fail(ap_json_get_bool(o, "n", "m", AP_ERR_VENDOR, &t), AP_ERR_VENDOR, "'n' is null");
    must_fail(ap_json_get_arr(o, "o", "m", AP_ERR_VENDOR, &sub), AP_ERR_VENDOR, "'o' is an object");
    must_fail(ap_json_get_obj(o, "a", "m", AP_ERR_VENDOR, &sub), AP_ERR_VENDOR, "'a' is an array");
    must_fail(ap_json_get_obj(sub, "a", "m", AP_ERR_VENDOR, &sub), AP_ERR_VENDOR, "is missing");
    must_fail(ap_json_get_int(NULL, "a", "m", AP_ERR_VENDOR, &i), AP_ERR_VENDOR, "nothing, not an object");
    assert_string_equal(ap_json_str(o, "s", "f"), "x");
    assert_string_equal(ap_json_str(o, "i", "f"), "f");
    assert_null(ap_json_str(NULL, "i", NULL));
    assert_int_equal(ap_json_int(o, "i", 1), -7);
    assert_int_equal(ap_json_int(o, "r", 1), 1);
    assert_true(ap_json_num(o, "r", 1) == 2.5);
    assert_true(ap_json_num(o, "s", 1) == 1);
    assert_true(ap_json_bool(o, "t", false));
    assert_true(ap_json_bool(o, "q", true));
    json_decref(o);
}

static void numbers_without_a_json_form(void **state) {
    (void)state;
    const double values[] = {0.0, -0.0, 1e-310, 1.7976931348623157e308, 0.1, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        json_t *v = ap_json_real(values[i]);
        char *text = ap_json_text(v, false);
        json_t *back = parse(text);
        double d = ap_json_to_real(back);
        assert_true(isnan(values[i]) ? isnan(d) : d == values[i] && !signbit(d) == !signbit(values[i]));
        json_decref(back);
        free(text);
        json_decref(v);
    }
    assert_true(isnan(ap_json_to_real(NULL)));
    json_t *s = json_string("infinite");
    assert_true(isnan(ap_json_to_real(s)));
    json_decref(s);
}

static void assert_json_string(const char *in, const char *out) {
    json_t *j = ap_json_string(in);
    assert_string_equal(json_string_value(j), out);
    json_decref(j);
}

static void hostile_strings_become_valid(void **state) {
    (void)state;
    assert_json_string("", "");
    assert_json_string("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80");
    assert_json_string("a\xff"
                       "b\xc3",
                       "a?b?");
    assert_json_string("\xc0\xaf", "??");           // overlong
    assert_json_string("\xed\xa0\x80", "???");      // surrogate
    assert_json_string("\xf4\x90\x80\x80", "????"); // above U+10FFFF
    assert_json_string("\xe2\x82"
                       "x\xe2\x82\xac",
                       "??x\xe2\x82\xac");
    json_t *null = ap_json_string(NULL);
    assert_true(json_is_null(null));
    // jansson has the last word: whatever the bytes, it takes the result.
    uint32_t r = 12345;
    for (int round = 0; round < 200000; round++) {
        char s[9] = {0};
        for (int i = 0; i < 8; i++) {
            r = r * 1664525u + 1013904223u;
            static const unsigned char pool[] = {0x80, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xa0, 0x9f,
                                                 0xed, 0xef, 0xf0, 0x90, 0xf4, 0x8f, 0xf5, 'a'};
            s[i] = (char)pool[r >> 28];
        }
        ap_text_utf8(s, 8);
        json_t *j = json_stringn(s, 8);
        assert_non_null(j);
        json_decref(j);
    }
}

static void one_key_of_many(void **state) {
    (void)state;
    json_t *list = parse("[{\"k\": \"a\"}, {\"other\": 1}, 7, {\"k\": null}, {\"k\": [2]}]");
    json_t *values = ap_json_pluck(list, "k");
    char *text = ap_json_text(values, false);
    assert_string_equal(text, "[\"a\",null,[2]]");
    assert_ptr_equal(json_array_get(values, 2), json_object_get(json_array_get(list, 4), "k")); // not a copy
    free(text);
    assert_ptr_equal(ap_json_find(list, "k", "a"), json_array_get(list, 0));
    assert_null(ap_json_find(list, "k", "b"));
    assert_null(ap_json_find(list, "other", "1")); // a number
    assert_null(ap_json_find(NULL, "k", "a"));
    json_decref(list);
    assert_string_equal(json_string_value(json_array_get(values, 0)), "a"); // outlives the list
    json_decref(values);
    values = ap_json_pluck(NULL, "k");
    assert_int_equal(json_array_size(values), 0);
    assert_true(json_is_array(values));
    json_decref(values);
}

static void texts_there_and_back(void **state) {
    ap_arena a = {0};
    size_t count = 9;
    (void)state;
    json_t *list = ap_json_texts((const char *const[]){"boxes=0.95", ""}, 2);
    json_array_insert_new(list, 1, json_integer(7)); // a stranger's list
    const char **texts = ap_json_texts_of(list, &a, &count);
    assert_int_equal(count, 2);
    assert_string_equal(texts[0], "boxes=0.95");
    assert_string_equal(texts[1], "");
    (void)ap_json_texts_of(NULL, &a, &count);
    assert_int_equal(count, 0);
    json_decref(list);
    ap_arena_release(&a);
}

static void dims_and_errors(void **state) {
    (void)state;
    json_t *d = ap_json_dims((const int64_t[]){1, -1, INT64_MAX}, 3);
    char *text = ap_json_text(d, false);
    assert_string_equal(text, "[1,-1,9223372036854775807]");
    free(text);
    json_decref(d);
    d = ap_json_dims(NULL, 0);
    assert_int_equal(json_array_size(d), 0);
    json_decref(d);

    ap_err e = ap_err_new(AP_ERR_GATE, "cosine %s", "\xff");
    e = ap_err_note(ap_err_hint(ap_err_stage(e, "align"), "look"), "note");
    e = ap_err_at(e, 5);
    d = ap_json_from_err(e);
    text = ap_json_text(d, false);
    assert_string_equal(text,
                        "{\"code\":\"gate-failed\",\"exit\":10,\"message\":\"cosine ?\",\"stage\":\"align\","
                        "\"subject\":null,\"hint\":\"look\",\"notes\":[\"note\"],\"offset\":5}");
    free(text);
    json_decref(d);
    ap_err_free(e);
    d = ap_json_from_err(NULL);
    assert_true(json_is_null(d));
}

// ---- hash ----

static void known_digests(void **state) {
    scratch *s = *state;
    // FIPS 180-2, appendix B, and the empty message.
    const char *empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const char *abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const char *million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
    assert_string_equal(ap_sha256_of("", 0).hex, empty);
    assert_string_equal(ap_sha256_of(NULL, 0).hex, empty);
    assert_string_equal(ap_sha256_of("abc", 3).hex, abc);
    assert_string_equal(ap_sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56).hex,
                        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *as = malloc(1000000);
    memset(as, 'a', 1000000);
    ap_sha256 h;
    ap_sha256_init(&h);
    for (size_t i = 0; i < 1000000; i += 12500) ap_sha256_add(&h, as + i, 12500);
    assert_string_equal(ap_sha256_finish(&h).hex, million);
    must(ap_file_write(at(s, "m"), as, 1000000));
    free(as);
    ap_digest d;
    must(ap_sha256_file(at(s, "m"), &d));
    assert_string_equal(d.hex, million);
    must(ap_file_write(at(s, "e"), NULL, 0));
    must(ap_sha256_file(at(s, "e"), &d));
    assert_string_equal(d.hex, empty);
    must_fail(ap_sha256_file(at(s, "none"), &d), AP_ERR_NOT_FOUND, "none");
    must_fail(ap_sha256_file(s->dir, &d), AP_ERR_IO, "not a regular file");
    assert_string_equal(d.hex, empty); // untouched
}

// ---- log ----

typedef struct sink {
    int fds[2];
} sink;

static ap_log log_to(sink *p, ap_level level, bool tty) {
    assert_int_equal(pipe2(p->fds, O_CLOEXEC | O_NONBLOCK), 0);
    return (ap_log){.level = level, .fd = p->fds[1], .tty = tty};
}

static void assert_logged(sink *p, const char *wanted) {
    char text[4096] = "";
    ssize_t n = read(p->fds[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    assert_string_equal(text, wanted);
    close(p->fds[0]);
    close(p->fds[1]);
}

static void levels_and_hostile_lines(void **state) {
    (void)state;
    sink p;
    ap_log l = log_to(&p, AP_LOG_INFO, false);
    ap_log_line(&l, AP_LOG_DEBUG, "not shown");
    ap_log_line(&l, AP_LOG_INFO, "info %d", 1);
    ap_log_line(&l, AP_LOG_WARN, "name '%s'", "\x1b]0;x\x07");
    ap_log_line(&l, AP_LOG_ERROR, "%s", "");
    ap_log_line(&l, AP_LOG_SILENT, "never");
    ap_log_progress(&l, 1, 2, "no terminal");
    ap_log_progress_end(&l);
    assert_logged(&p, "info 1\nwarning: name '?]0;x?'\nerror: \n");
    l = ap_log_silent();
    ap_log_line(&l, AP_LOG_ERROR, "nothing");
    ap_log_progress(&l, 1, 2, "nothing");
    ap_log_line(NULL, AP_LOG_ERROR, "nothing");
    l = log_to(&p, AP_LOG_DEBUG, false);
    ap_log_line(&l, AP_LOG_DEBUG, "%0*d", 3000, 0); // longer than any first guess
    char text[4096];
    ssize_t n = read(p.fds[0], text, sizeof text);
    assert_true(n > 3000 && text[n - 1] == '\n');
    assert_memory_equal(text, "debug: ", 7);
    close(p.fds[0]);
    close(p.fds[1]);
}

static void progress_is_drawn_and_wiped(void **state) {
    (void)state;
    sink p;
    ap_log l = log_to(&p, AP_LOG_INFO, true);
    ap_log_progress(&l, 3, 6, "long");
    ap_log_progress(&l, 4, 6, "x");
    ap_log_line(&l, AP_LOG_INFO, "line");
    ap_log_progress(&l, 0, 0, "w\n\xc3\xa4");
    ap_log_progress_end(&l);
    ap_log_progress_end(&l);
    assert_logged(&p, "\r[3/6] long\r[4/6] x   \r          \rline\n\rw \xc3\xa4\r   \r");
    l = log_to(&p, AP_LOG_INFO, true);
    ap_log_progress(&l, 0, 0, "%*s", 500, "x"); // cut to 79 columns when the width is unknown
    assert_int_equal(l.drawn_cols, 79);
    close(p.fds[0]);
    close(p.fds[1]);
    l = log_to(&p, AP_LOG_WARN, true);
    ap_log_progress(&l, 1, 2, "quiet");
    assert_logged(&p, "");
}

static void nearest_word(void **state) {
    (void)state;
    const char *words[] = {"build", "doctor", "run", "profile", "Inspect", NULL};
    assert_string_equal(ap_nearest("biuld", words, 5), "build");
    assert_string_equal(ap_nearest("DOCTR", words, 5), "doctor");
    assert_string_equal(ap_nearest("inspekt", words, 5), "Inspect");
    assert_string_equal(ap_nearest("profle", words, 6), "profile"); // a NULL candidate is passed over
    assert_string_equal(ap_nearest("run", words, 5), "run");
    assert_null(ap_nearest("quantize", words, 5));
    assert_null(ap_nearest("", words, 5));
    assert_null(ap_nearest(NULL, words, 5));
    assert_null(ap_nearest("x", words, 0));
    char big[5000];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = 0;
    const char *long_word[] = {big};
    assert_null(ap_nearest(big, words, 5));
    assert_null(ap_nearest("aaa", long_word, 1));
    const char *swap[] = {"ba"};
    assert_string_equal(ap_nearest("ab", swap, 1), "ba"); // a swap is one edit
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, test_setup, test_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_DIR(parse_errors_say_where),
        cmocka_unit_test(every_truncation_is_an_error),
        WITH_DIR(saving_keeps_order_and_canonical_sorts),
        cmocka_unit_test(getters_name_what_is_wrong),
        cmocka_unit_test(numbers_without_a_json_form),
        cmocka_unit_test(hostile_strings_become_valid),
        cmocka_unit_test(one_key_of_many),
        cmocka_unit_test(texts_there_and_back),
        cmocka_unit_test(dims_and_errors),
        WITH_DIR(known_digests),
        cmocka_unit_test(levels_and_hostile_lines),
        cmocka_unit_test(progress_is_drawn_and_wiped),
        cmocka_unit_test(nearest_word),
    };
    return cmocka_run_group_tests_name("base: json, hash, log", tests, NULL, NULL);
}
