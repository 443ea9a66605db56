// SPDX-License-Identifier: Apache-2.0
// Installs from wheels made here, with a table made here and a pip made here. No network.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/hash.h"
#include "base/json.h"
#include "device/runtime_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

static const char LIB[] = "a library\n", NOTE[] = "a licence\n";
static const char WHEEL[] = "fake-1.0-py3-none-any.whl";

typedef struct world {
    ap_arena a;
    char *dir, *data, *wheels, *wheel;
    ap_runtime_table table;
    ap_runtime_options options;
    size_t progress_calls;
} world;

static void ok(ap_err err) {
    if (err) fail_msg("%s (%s)", ap_err_message(err), ap_code_name(ap_err_code(err)));
}

static void expect(ap_err err, ap_code code, const char *part) {
    if (ap_err_code(err) != code || !strstr(ap_err_message(err), part))
        fail_msg("expected %s '%s', got %s '%s'", ap_code_name(code), part, ap_code_name(ap_err_code(err)),
                 ap_err_message(err));
    ap_err_free(err);
}

static void add_file(zip_t *zip, const char *name, const char *text) {
    zip_source_t *s = zip_source_buffer(zip, text, strlen(text), 0);
    assert_true(s && zip_file_add(zip, name, s, ZIP_FL_OVERWRITE) >= 0);
}

static void make_wheel(const char *path, const char *lib) {
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    assert_non_null(zip);
    if (lib) add_file(zip, "fake/libfake.so.1.0", lib);
    add_file(zip, "fake/LICENSE", NOTE);
    add_file(zip, "../evil", "never unpacked");
    assert_int_equal(zip_close(zip), 0);
}

// Two runtimes, so that "fake" must not be taken for "fake-more".
static char *table_text(world *w, const char *lib_name, const char *lib_sha256, uint64_t lib_bytes) {
    ap_digest wheel, note = ap_sha256_of(NOTE, strlen(NOTE));
    ok(ap_sha256_file(w->wheel, &wheel));
    ap_buf b = {0};
    ap_buf_puts(&b, "{\"runtimes\":[");
    for (int i = 0; i < 2; i++) {
        ap_buf_printf(
            &b,
            "%s{\"name\":\"%s\",\"kind\":\"runtime\",\"what\":\"w\",\"package\":\"fake\",\"version\":\"1.0\","
            "\"licence\":\"MIT\",\"pip\":{\"platform\":\"manylinux_2_28_x86_64\",\"python\":\"3.11\","
            "\"implementation\":\"cp\",\"abi\":\"cp311\"},\"wheel\":\"%s\",\"wheel_bytes\":10,"
            "\"wheel_sha256\":\"%s\",\"members\":[{\"path\":\"fake/libfake.so.1.0\",\"name\":\"%s\","
            "\"bytes\":%d,\"sha256\":\"%s\"},{\"path\":\"fake/LICENSE\",\"name\":\"LICENSE\",\"bytes\":%d,"
            "\"sha256\":\"%s\"}],\"links\":[{\"name\":\"libfake.so.1\",\"target\":\"libfake.so.1.0\"}]}",
            i ? "," : "", i ? "fake-more" : "fake", WHEEL, wheel.hex, lib_name, (int)lib_bytes, lib_sha256,
            (int)strlen(NOTE), note.hex);
    }
    ap_buf_puts(&b, "]}");
    return ap_buf_detach(&b);
}

static void load_table(world *w, const char *lib_sha256, uint64_t lib_bytes) {
    ap_runtime_table_release(&w->table);
    char *text = table_text(w, "libfake.so.1.0", lib_sha256, lib_bytes);
    ok(ap_runtime_table_parse(text, strlen(text), &w->table));
    free(text);
}

static void count_progress(void *user, size_t done, size_t total, const char *text) {
    assert_true(done <= total && text[0]);
    ++*(size_t *)user;
}

static int setup(void **state) {
    world *w = ap_calloc(1, sizeof *w);
    ok(ap_mkdtemp("/tmp", "aipc-test-runtime", &w->a, &w->dir));
    w->data = ap_path_join(&w->a, w->dir, "data");
    w->wheels = ap_path_join(&w->a, w->dir, "wheels");
    w->wheel = ap_path_join(&w->a, w->wheels, WHEEL);
    ok(ap_mkdirs(w->wheels));
    make_wheel(w->wheel, LIB);
    load_table(w, ap_sha256_of(LIB, strlen(LIB)).hex, strlen(LIB));
    w->options = (ap_runtime_options){.data_dir = w->data,
                                      .wheels_dir = w->wheels,
                                      .deadline_ms = 20000,
                                      .progress = count_progress,
                                      .user = &w->progress_calls};
    *state = w;
    return 0;
}

static int teardown(void **state) {
    world *w = *state;
    ok(ap_rmtree(w->dir));
    ap_runtime_table_release(&w->table);
    ap_arena_release(&w->a);
    free(w);
    return 0;
}

static ap_err install(world *w) {
    return ap_runtime_install_in(&w->table, &w->options, "fake", NULL);
}

static const char *in_data(world *w, const char *name) {
    return ap_path_join(&w->a, ap_path_join(&w->a, w->data, "runtimes"), name);
}

static void expect_text(const char *path, const char *text) {
    ap_buf b = {0};
    ok(ap_file_read(path, 1000, &b));
    assert_string_equal(ap_buf_str(&b), text);
    ap_buf_free(&b);
}

static void expect_clean(world *w) {
    assert_false(ap_file_exists(in_data(w, "fake-1.0.tmp")));
    assert_false(ap_file_exists(in_data(w, ".removed-fake-1.0")));
    assert_false(ap_file_exists(ap_path_join(&w->a, w->dir, "evil")));
    assert_false(ap_file_exists(in_data(w, "evil")));
}

static void test_install(void **state) {
    world *w = *state;
    ap_runtime rt = {0};
    ap_err err = ap_runtime_find_in(&w->table, w->data, "fake", &rt);
    assert_string_equal(ap_err_get_hint(err), "aipc runtime install fake");
    expect(err, AP_ERR_RUNTIME_MISSING, "fake 1.0 is not installed");
    json_t *doc = NULL;
    ok(ap_runtime_install_in(&w->table, &w->options, "fake", &doc));
    assert_string_equal(ap_json_str(doc, "from", ""), "folder");
    assert_false(ap_json_bool(doc, "already", true));
    json_decref(doc);
    assert_true(w->progress_calls > 0);

    ok(ap_runtime_find_in(&w->table, w->data, "fake", &rt));
    assert_string_equal(rt.dir, in_data(w, "fake-1.0"));
    assert_string_equal(rt.sha256, w->table.items[0].wheel_sha256);
    expect_text(ap_runtime_file(&rt, "libfake.so.1.0"), LIB);
    expect_text(ap_runtime_file(&rt, "libfake.so.1"), LIB);
    expect_text(ap_runtime_file(&rt, "LICENSE"), NOTE);
    assert_true(ap_file_exists(ap_runtime_file(&rt, "record.json")));
    ok(ap_runtime_verify_in(&w->table, &rt));
    ap_runtime_release(&rt);
    expect_clean(w);

    // The second time needs neither wheel nor network nor a place to write.
    w->options.wheels_dir = "";
    ok(ap_runtime_install_in(&w->table, &w->options, "fake", &doc));
    assert_true(ap_json_bool(doc, "already", false));
    json_decref(doc);
}

static void test_unknown(void **state) {
    world *w = *state;
    ap_err err = ap_runtime_install_in(&w->table, &w->options, "fakee", NULL);
    assert_non_null(strstr(ap_err_get_hint(err), "did you mean fake?"));
    expect(err, AP_ERR_USAGE, "no runtime 'fakee'");
    assert_false(ap_file_exists(w->data));
}

static void test_wrong_hash(void **state) {
    world *w = *state;
    make_wheel(w->wheel, "something else");
    ap_digest got;
    ok(ap_sha256_file(w->wheel, &got));
    ap_err err = install(w);
    assert_non_null(strstr(ap_err_message(err), got.hex));
    assert_non_null(strstr(ap_err_message(err), w->table.items[0].wheel_sha256));
    assert_string_equal(ap_err_get_subject(err), w->wheel);
    expect(err, AP_ERR_RUNTIME_HASH, "expected");
    expect_clean(w);
    assert_false(ap_file_exists(in_data(w, "fake-1.0")));
}

// The wheel has the pinned hash, but not what the table says is in it.
static void test_bad_content(void **state) {
    world *w = *state;
    load_table(w, ap_sha256_of("x", 1).hex, strlen(LIB));
    expect(install(w), AP_ERR_RUNTIME_HASH, "fake/libfake.so.1.0 has sha256");
    load_table(w, ap_sha256_of(LIB, strlen(LIB)).hex, 3);
    expect(install(w), AP_ERR_CORRUPT, "another size");
    make_wheel(w->wheel, NULL);
    load_table(w, ap_sha256_of(LIB, strlen(LIB)).hex, strlen(LIB));
    expect(install(w), AP_ERR_CORRUPT, "there is no 'fake/libfake.so.1.0' in it");
    ok(ap_file_write(w->wheel, "no zip at all", 13));
    load_table(w, ap_sha256_of(LIB, strlen(LIB)).hex, strlen(LIB));
    expect(install(w), AP_ERR_CORRUPT, "not a zip file");
    expect_clean(w);
    assert_false(ap_file_exists(in_data(w, "fake-1.0")));
}

// A pinned wheel cut short at every length: an error each time, nothing installed.
static void test_truncated(void **state) {
    world *w = *state;
    ap_buf b = {0};
    ok(ap_file_read(w->wheel, 100000, &b));
    for (size_t n = 0; n < b.len; n += 7) {
        ok(ap_file_write(w->wheel, b.data, n));
        load_table(w, ap_sha256_of(LIB, strlen(LIB)).hex, strlen(LIB));
        ap_err err = install(w);
        assert_non_null(err);
        ap_err_free(err);
        assert_false(ap_file_exists(in_data(w, "fake-1.0")));
    }
    ap_buf_free(&b);
}

static void test_interrupted(void **state) {
    world *w = *state;
    ok(ap_mkdirs(in_data(w, "fake-1.0.tmp/new")));
    ok(ap_file_write(in_data(w, "fake-1.0.tmp/new/libfake.so.1.0"), "half", 4));
    ok(install(w));
    expect_text(in_data(w, "fake-1.0/libfake.so.1.0"), LIB);
    expect_clean(w);
}

// Damage is seen by size at once, by hash when asked, and repaired by installing again.
static void test_damaged(void **state) {
    world *w = *state;
    const char *lib = in_data(w, "fake-1.0/libfake.so.1.0");
    ap_runtime rt = {0};
    ok(install(w));
    ok(ap_file_write(lib, "cut", 3));
    expect(ap_runtime_find_in(&w->table, w->data, "fake", &rt), AP_ERR_CORRUPT, "has 3 bytes");
    ok(install(w));
    expect_text(lib, LIB);
    ok(ap_file_write(lib, "A library\n", 10));
    ok(ap_runtime_find_in(&w->table, w->data, "fake", &rt));
    expect(ap_runtime_verify_in(&w->table, &rt), AP_ERR_RUNTIME_HASH, "libfake.so.1.0 has sha256");
    ap_runtime_release(&rt);
    ok(install(w));
    expect_text(lib, LIB);
    ok(ap_file_remove(lib));
    expect(ap_runtime_find_in(&w->table, w->data, "fake", &rt), AP_ERR_CORRUPT, "is missing");
    ok(ap_file_write(in_data(w, "fake-1.0/record.json"), "{", 1));
    ap_err err = ap_runtime_find_in(&w->table, w->data, "fake", &rt);
    assert_non_null(strstr(ap_err_get_hint(err), "aipc runtime install fake"));
    assert_int_equal(ap_err_code(err), AP_ERR_CORRUPT);
    ap_err_free(err);
    // A failed repair leaves the folder as it was.
    make_wheel(w->wheel, "something else");
    expect(install(w), AP_ERR_RUNTIME_HASH, "expected");
    assert_true(ap_file_exists(in_data(w, "fake-1.0/LICENSE")));
    expect_clean(w);
}

static void test_busy(void **state) {
    world *w = *state;
    ap_lock lock = {0};
    ok(ap_runtime_lock(w->data, &lock));
    expect(install(w), AP_ERR_BUSY, "is held by");
    ap_lock_release(&lock);
    ok(install(w));
}

static void test_remove(void **state) {
    world *w = *state;
    expect(ap_runtime_remove_in(&w->table, w->data, "fake"), AP_ERR_RUNTIME_MISSING, "not installed");
    assert_false(ap_file_exists(w->data));
    ok(install(w));
    ok(ap_runtime_install_in(&w->table, &w->options, "fake-more", NULL));
    ok(ap_mkdirs(in_data(w, "fake-0.9")));
    ok(ap_runtime_remove_in(&w->table, w->data, "fake"));
    assert_false(ap_file_exists(in_data(w, "fake-1.0")));
    assert_false(ap_file_exists(in_data(w, "fake-0.9")));
    assert_true(ap_file_exists(in_data(w, "fake-more-1.0")));
    expect_clean(w);
}

static void test_list(void **state) {
    world *w = *state;
    json_t *doc = NULL;
    ok(install(w));
    ok(ap_runtime_list_in(&w->table, w->data, &doc));
    assert_string_equal(ap_json_str(doc, "data_dir", ""), w->data);
    const json_t *list = json_object_get(doc, "runtimes"), *a = json_array_get(list, 0),
                 *b = json_array_get(list, 1);
    assert_int_equal(json_array_size(list), 2);
    assert_true(ap_json_bool(a, "installed", false));
    assert_string_equal(ap_json_str(a, "dir", ""), in_data(w, "fake-1.0"));
    assert_int_equal(ap_json_int(a, "bytes", 0), strlen(LIB) + strlen(NOTE));
    assert_int_equal(ap_json_int(a, "download_bytes", 0), 10);
    assert_string_equal(ap_json_str(b, "name", ""), "fake-more");
    assert_false(ap_json_bool(b, "installed", true));
    assert_true(json_is_null(json_object_get(b, "dir")));
    json_decref(doc);
}

// ---- pip, played by a shell script ----

static void with_pip(world *w, const char *script) {
    const char *bin = ap_path_join(&w->a, w->dir, "bin"), *python = ap_path_join(&w->a, bin, "python3");
    ok(ap_mkdirs(bin));
    ok(ap_file_write(python, script, strlen(script)));
    assert_int_equal(chmod(python, 0755), 0);
    ok(ap_rmtree(w->data));
    w->options.wheels_dir = ap_path_join(&w->a, w->dir, "nothing");
    char *old = ap_strdup(getenv("PATH"));
    assert_int_equal(setenv("PATH", bin, 1), 0); // no other pip
    assert_int_equal(setenv("REAL_WHEEL", w->wheel, 1), 0);
    w->progress_calls = 0;
    ap_err err = install(w);
    assert_int_equal(setenv("PATH", old, 1), 0);
    free(old);
    if (!strstr(script, "FAILS"))
        ok(err);
    else if (strstr(script, "No module"))
        expect(err, AP_ERR_RUNTIME_MISSING, "there is no pip on PATH");
    else if (strstr(script, "sleep"))
        expect(err, AP_ERR_RUNTIME_MISSING, "took too long");
    else if (strstr(script, "nothing comes"))
        expect(err, AP_ERR_RUNTIME_MISSING, "did not bring");
    else {
        assert_string_equal(ap_err_get_note(err, 0), "pip: no network?[31m");
        assert_non_null(strstr(ap_err_get_hint(err), "AIPC_WHEELS"));
        expect(err, AP_ERR_RUNTIME_MISSING, "pip cannot download fake 1.0 (exit code 3)");
    }
    expect_clean(w);
}

static void test_pip(void **state) {
    world *w = *state;
    with_pip(
        w,
        "#!/bin/sh\n"
        "[ \"$*\" = \"-m pip download --no-deps --only-binary=:all: --disable-pip-version-check --no-input "
        "--progress-bar off --platform manylinux_2_28_x86_64 --python-version 3.11 --implementation cp "
        "--abi cp311 -d $TMPDIR/out fake==1.0\" ] || { echo \"$*\"; exit 9; }\n"
        "/bin/mkdir -p $TMPDIR/out && /bin/cp $REAL_WHEEL $TMPDIR/out/\n");
    assert_true(w->progress_calls >= 2);
    expect_text(in_data(w, "fake-1.0/libfake.so.1.0"), LIB);
    with_pip(w, "#!/bin/sh\n# FAILS\nprintf 'no network\\033[31m\\n' >&2; exit 3\n");
    with_pip(w, "#!/bin/sh\n# FAILS\necho 'No module named pip' >&2; exit 1\n");
    with_pip(w, "#!/bin/sh\n# FAILS: nothing comes\nexit 0\n");
    w->options.deadline_ms = 300;
    with_pip(w, "#!/bin/sh\n# FAILS\n/bin/sleep 100\n");
}

// ---- the table ----

static void test_bad_table(void **state) {
    world *w = *state;
    static const char *const names[] = {"../x", "a/b", "", ".hidden", "record.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ap_runtime_table t = {0};
        char *text = table_text(w, names[i], ap_sha256_of("", 0).hex, 0);
        expect(ap_runtime_table_parse(text, strlen(text), &t), AP_ERR_INTERNAL, "cannot be a file name");
        free(text);
    }
    ap_runtime_table t = {0};
    char *text = table_text(w, "x", "abc", 0);
    expect(ap_runtime_table_parse(text, strlen(text), &t), AP_ERR_INTERNAL, "no sha256");
    free(text);
}

static void test_builtin(void **state) {
    world *w = *state;
    static const char *const names[] = {"onnxruntime", "onnxruntime-qnn", "sample-yolov8n", "sample-photos"};
    ap_runtime_table t = {0};
    ok(ap_runtime_table_builtin(&t));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const ap_runtime_spec *s = NULL;
        ok(ap_runtime_table_find(&t, names[i], &s));
        assert_true(s->member_count >= 2 && s->wheel_bytes > 1000000 && s->licence[0] && s->what[0]);
        assert_true(!strcmp(s->kind, "runtime") || !strcmp(s->kind, "sample"));
    }
    ap_runtime_table_release(&t);
    json_t *doc = NULL;
    ok(ap_runtime_list(w->data, &doc));
    assert_int_equal(json_array_size(json_object_get(doc, "runtimes")), 4);
    json_decref(doc);
    ap_runtime rt = {0};
    expect(ap_runtime_find(w->data, "onnxruntime", &rt), AP_ERR_RUNTIME_MISSING, "1.31.1");
    expect(ap_runtime_remove(w->data, "onnxruntime"), AP_ERR_RUNTIME_MISSING, "not installed");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_install),   TEST(test_unknown),     TEST(test_wrong_hash), TEST(test_bad_content),
        TEST(test_truncated), TEST(test_interrupted), TEST(test_damaged),    TEST(test_busy),
        TEST(test_remove),    TEST(test_list),        TEST(test_pip),        TEST(test_bad_table),
        TEST(test_builtin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
