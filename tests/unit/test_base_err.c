// SPDX-License-Identifier: Apache-2.0
// Errors and memory.
#include "test_base.h"

#include "base/text.h"

#include <errno.h>
#include <sys/resource.h>

static void null_is_success(void **state) {
    (void)state;
    assert_int_equal(ap_err_code(NULL), AP_OK);
    assert_string_equal(ap_err_message(NULL), "");
    assert_null(ap_err_stage(NULL, "s"));
    assert_null(ap_err_subject(NULL, "s"));
    assert_null(ap_err_hint(NULL, "h"));
    assert_null(ap_err_note(NULL, "n"));
    assert_null(ap_err_context(NULL, "c"));
    assert_null(ap_err_at(NULL, 3));
    assert_null(ap_err_get_stage(NULL));
    assert_int_equal(ap_err_notes(NULL), 0);
    assert_null(ap_err_get_note(NULL, 0));
    uint64_t offset = 7;
    assert_int_equal(ap_err_offset(NULL, &offset), 0);
    assert_int_equal(offset, 7);
    ap_err_free(NULL);
}

static void setters_add_and_first_value_stays(void **state) {
    (void)state;
    ap_err e = ap_err_new(AP_ERR_MODEL_DIMS, "dim %d is %d", 2, -5);
    e = ap_err_context(e, "tensor '%s'", "x");
    e = ap_err_context(e, "loading m.onnx");
    e = ap_err_subject(ap_err_subject(e, "first"), "second");
    e = ap_err_stage(ap_err_stage(e, "baseline"), "build");
    e = ap_err_hint(ap_err_hint(e, "do %d", 1), "do 2");
    e = ap_err_note(ap_err_note(e, "n0"), "n%d", 1);
    e = ap_err_at(ap_err_at(e, 12), 99);
    assert_string_equal(ap_err_message(e), "loading m.onnx: tensor 'x': dim 2 is -5");
    assert_string_equal(ap_err_get_subject(e), "first");
    assert_string_equal(ap_err_get_stage(e), "baseline");
    assert_string_equal(ap_err_get_hint(e), "do 1");
    assert_int_equal(ap_err_notes(e), 2);
    assert_string_equal(ap_err_get_note(e, 1), "n1");
    assert_null(ap_err_get_note(e, 2));
    uint64_t offset = 0;
    assert_int_equal(ap_err_offset(e, &offset), 1);
    assert_int_equal(offset, 12);
    ap_err_free(e);
}

static void errno_gives_the_code(void **state) {
    (void)state;
    const struct {
        int errnum, writing;
        ap_code code;
    } rows[] = {{ENOSPC, 0, AP_ERR_DISK_FULL}, {EDQUOT, 1, AP_ERR_DISK_FULL}, {ENOENT, 1, AP_ERR_NOT_FOUND},
                {EROFS, 1, AP_ERR_READ_ONLY},  {EACCES, 1, AP_ERR_READ_ONLY}, {EPERM, 1, AP_ERR_READ_ONLY},
                {EACCES, 0, AP_ERR_IO},        {EIO, 1, AP_ERR_IO},           {-12345, 0, AP_ERR_IO}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ap_err e = ap_err_errno(rows[i].errnum, rows[i].writing, "file %d", 1);
        assert_int_equal(ap_err_code(e), rows[i].code);
        assert_memory_equal(ap_err_message(e), "file 1: ", 8);
        ap_err_free(e);
    }
    must_fail(ap_err_errno(ENOENT, 0, "x"), AP_ERR_NOT_FOUND, "x: No such file or directory");
}

static void table_is_complete(void **state) {
    (void)state;
    assert_string_equal(ap_code_name(AP_ERR_MODEL_PARSE), "MODEL_PARSE");
    assert_string_equal(ap_code_text(AP_ERR_MODEL_PARSE), "not a readable ONNX model");
    assert_int_equal(ap_code_exit(AP_ERR_MODEL_PARSE), AP_EXIT_MODEL);
    assert_int_equal(ap_code_exit(AP_OK), 0);
    for (int i = AP_OK + 1; i < AP_ERR_COUNT; i++) {
        assert_int_equal(ap_code_from_key(ap_code_key((ap_code)i)), i); // keys are there and unique
        assert_int_not_equal(ap_code_exit((ap_code)i), 0);
        assert_true(ap_code_text((ap_code)i)[0] != 0);
    }
    assert_int_equal(ap_code_from_key("no such key"), AP_ERR_INTERNAL);
    assert_int_equal(ap_code_from_key(NULL), AP_ERR_INTERNAL);
    assert_int_equal(ap_code_from_key("ok"), AP_ERR_INTERNAL);
    assert_string_equal(ap_code_name((ap_code)AP_ERR_COUNT), "INTERNAL");
    assert_string_equal(ap_code_name((ap_code)12345), "INTERNAL");
}

static void a_failure_never_has_code_ok(void **state) {
    (void)state;
    must_fail(ap_err_new(AP_OK, "a"), AP_ERR_INTERNAL, "a");
    must_fail(ap_err_new((ap_code)9999, "b"), AP_ERR_INTERNAL, "b");
}

static void hostile_text_is_cleaned_and_cut(void **state) {
    (void)state;
    ap_err e = ap_err_new(AP_ERR_MODEL_OP, "node '%s'", "\x1b[2Jx\r\x7f\xc2\x9b\n\tz");
    assert_string_equal(ap_err_message(e), "node '?[2Jx????\n\tz'");
    e = ap_err_subject(e, "a\x07z");
    assert_string_equal(ap_err_get_subject(e), "a?z");
    ap_err_free(e);
    size_t n = 300000;
    char *big = malloc(n + 1);
    memset(big, 'a', n);
    big[n] = 0;
    e = ap_err_new(AP_ERR_MODEL_OP, "%s", big);
    for (int i = 0; i < 5; i++) e = ap_err_context(e, "%s", big);
    assert_int_equal(strlen(ap_err_message(e)), 64 * 1024);
    for (int i = 0; i < 2000; i++) e = ap_err_note(e, "n");
    assert_int_equal(ap_err_notes(e), 1000);
    ap_err_free(e);
    free(big);
}

static void check_without_memory(void *arg) {
    (void)arg;
    struct rlimit r = {.rlim_cur = 1, .rlim_max = RLIM_INFINITY};
    CHECK(!setrlimit(RLIMIT_AS, &r)); // nothing more can be mapped
    ap_err rich = NULL;
    for (size_t size = 1 << 20; size >= 8; size /= 2) {
        void *volatile p;
        while ((p = malloc(size))) {
        }
        (void)p;
    }
    rich = ap_err_new(AP_ERR_MODEL_OP, "a message long enough that it cannot fit in what may be left over %d",
                      1);
    CHECK(rich && ap_err_code(rich) == AP_ERR_NO_MEMORY);
    CHECK(!strcmp(ap_err_message(rich), "out of memory"));
    CHECK(ap_err_subject(rich, "s") == rich && !ap_err_get_subject(rich));
    CHECK(ap_err_stage(rich, "s") == rich && ap_err_hint(rich, "h") == rich &&
          ap_err_note(rich, "n") == rich);
    CHECK(ap_err_context(rich, "c") == rich && ap_err_at(rich, 1) == rich);
    CHECK(!ap_err_notes(rich) && !strcmp(ap_err_message(rich), "out of memory"));
    ap_err_free(rich);
    ap_err_free(rich);       // a constant: any number of times
    free(ap_alloc(1 << 20)); // ends in ap_oom
    _exit(CHILD_FAILED);
}

static void without_memory_there_is_still_an_error(void **state) {
    (void)state;
    if (UNDER_ASAN) {
        print_message("skipped: AddressSanitizer's malloc does not return NULL\n");
        skip();
    }
    const char *preload = getenv("LD_PRELOAD");
    if (preload && strstr(preload, "vgpreload")) {
        print_message("skipped: valgrind needs the memory itself\n");
        skip();
    }
    int status = in_child(check_without_memory, NULL);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), AP_EXIT_MEMORY);
}

static void do_oom(void *arg) {
    int *fds = arg;
    dup2(fds[1], STDERR_FILENO);
    ap_oom(42);
}

static void oom_says_one_line_and_exits(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    int status = in_child(do_oom, fds);
    close(fds[1]);
    char text[128] = "";
    assert_true(read(fds[0], text, sizeof text - 1) > 0);
    close(fds[0]);
    assert_string_equal(text, "aipc: out of memory (42 bytes wanted)\n");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), AP_EXIT_MEMORY);
}

// ---- memory ----

static void arena_is_aligned_and_disjoint(void **state) {
    (void)state;
    ap_arena a = {0};
    enum { N = 3000 };
    static unsigned char *blocks[N];
    size_t sum = 0;
    for (size_t i = 0; i < N; i++) {
        size_t n = i % 100 == 99 ? 300000 : i % 67;
        blocks[i] = ap_arena_alloc(&a, n);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i & 255), n);
        sum += n;
    }
    assert_int_equal(a.used_bytes, sum);
    for (size_t i = 0; i < N; i++) {
        size_t n = i % 100 == 99 ? 300000 : i % 67;
        for (size_t k = 0; k < n; k++) assert_int_equal(blocks[i][k], i & 255);
    }
    ap_arena_release(&a);
    assert_null(a.head);
    assert_int_equal(a.used_bytes, 0);
    int *zeros = ap_arena_calloc(&a, 1000, sizeof *zeros); // usable again
    for (int i = 0; i < 1000; i++) assert_int_equal(zeros[i], 0);
    assert_ptr_not_equal(ap_arena_alloc(&a, 0), ap_arena_alloc(&a, 0));
    ap_arena_release(&a);
    ap_arena_release(&a);
}

static void arena_strings(void **state) {
    (void)state;
    ap_arena a = {0};
    assert_null(ap_arena_strdup(&a, NULL));
    assert_null(ap_arena_strndup(&a, NULL, 3));
    assert_string_equal(ap_arena_strdup(&a, ""), "");
    assert_string_equal(ap_arena_strndup(&a, "abc", 2), "ab");
    assert_string_equal(ap_arena_strndup(&a, "abc", SIZE_MAX), "abc");
    assert_string_equal(ap_arena_printf(&a, "%s-%d", "x", 7), "x-7");
    assert_int_equal(strlen(ap_arena_printf(&a, "%*s", 100000, "x")), 100000);
    assert_string_equal(ap_arena_printf(&a, "%s", ""), "");
    ap_arena_release(&a);
}

static void heap_helpers(void **state) {
    (void)state;
    assert_null(ap_strdup(NULL));
    char *s = ap_strndup("hello", 3);
    assert_string_equal(s, "hel");
    free(s);
    void *p = ap_alloc(0), *q = ap_calloc(0, 8);
    assert_non_null(p);
    assert_non_null(q);
    p = ap_realloc(p, 100);
    memset(p, 1, 100);
    free(p);
    free(q);
}

static void buffer_grows_and_ends_with_nul(void **state) {
    (void)state;
    ap_buf b = {0};
    assert_string_equal(ap_buf_str(&b), "");
    ap_buf_append(&b, NULL, 0);
    assert_non_null(b.data);
    assert_string_equal(b.data, "");
    for (int i = 0; i < 1000; i++) {
        ap_buf_putc(&b, (char)('a' + i % 26));
        assert_int_equal(b.data[b.len], 0);
    }
    ap_buf_clear(&b);
    ap_buf_puts(&b, "x=");
    ap_buf_printf(&b, "%d", 12);
    for (int i = 0; i < 300; i++) ap_buf_printf(&b, "%0*d", i, 0); // every fill against every length
    assert_memory_equal(b.data, "x=12", 4);
    assert_int_equal(b.len, strlen(b.data));
    assert_int_equal(b.len, 4 + 1 + 299 * 300 / 2); // "%0*d" with width 0 still prints one digit
    char *text = ap_buf_detach(&b);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    free(text);
    text = ap_buf_detach(&b);
    assert_string_equal(text, "");
    free(text);
    ap_buf_free(&b);
    ap_buf_free(&b);
}

static void checked_arithmetic(void **state) {
    (void)state;
    size_t r = 5;
    assert_false(ap_mul_size(SIZE_MAX, 2, &r));
    assert_false(ap_add_size(SIZE_MAX, 1, &r));
    assert_int_equal(r, 5);
    assert_true(ap_mul_size(SIZE_MAX, 1, &r));
    assert_true(ap_mul_size(1u << 20, 1u << 20, &r));
    assert_int_equal(r, (size_t)1 << 40);
    assert_true(ap_add_size(2, 3, &r));
    assert_int_equal(r, 5);
}

static void text_is_cut_between_characters(void **state) {
    (void)state;
    assert_int_equal(ap_text_cut("abc", 3, 5), 3);
    assert_int_equal(ap_text_cut("abc", 3, 2), 2);
    assert_int_equal(ap_text_cut("a\xc3\xa4z", 4, 2), 1);
    assert_int_equal(ap_text_cut("a\xf0\x9f\x98\x80", 5, 4), 1);
    assert_int_equal(ap_text_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5); // no characters at all
    assert_int_equal(ap_text_cut("\xc3\xa4", 2, 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_is_success),
        cmocka_unit_test(setters_add_and_first_value_stays),
        cmocka_unit_test(errno_gives_the_code),
        cmocka_unit_test(table_is_complete),
        cmocka_unit_test(a_failure_never_has_code_ok),
        cmocka_unit_test(hostile_text_is_cleaned_and_cut),
        cmocka_unit_test(without_memory_there_is_still_an_error),
        cmocka_unit_test(oom_says_one_line_and_exits),
        cmocka_unit_test(arena_is_aligned_and_disjoint),
        cmocka_unit_test(arena_strings),
        cmocka_unit_test(heap_helpers),
        cmocka_unit_test(buffer_grows_and_ends_with_nul),
        cmocka_unit_test(checked_arithmetic),
        cmocka_unit_test(text_is_cut_between_characters),
    };
    return cmocka_run_group_tests_name("base: err, mem", tests, NULL, NULL);
}
