// SPDX-License-Identifier: Apache-2.0
// Folders and paths.
#include "test_base.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

static void put_text(const char *path, const char *text) {
    must(ap_file_write(path, text, strlen(text)));
}

static void make_folders(void **state) {
    scratch *s = *state;
    must(ap_mkdirs(at(s, "a/b//c/")));
    assert_true(ap_is_dir(at(s, "a/b/c")));
    must(ap_mkdirs(at(s, "a/b/c")));
    must(ap_mkdirs("/"));
    put_text(at(s, "file"), "x");
    must_fail(ap_mkdirs(at(s, "file")), AP_ERR_IO, "Not a directory");
    must_fail(ap_mkdirs(at(s, "file/below")), AP_ERR_IO, "Not a directory");
    must_fail(ap_mkdirs(""), AP_ERR_NOT_FOUND, "");
    assert_int_equal(symlink("a", at(s, "link")), 0);
    must(ap_mkdirs(at(s, "link/d")));
    assert_true(ap_is_dir(at(s, "a/d")));
    assert_int_equal(chdir(s->dir), 0);
    must(ap_mkdirs("rel/x"));
    assert_true(ap_is_dir(at(s, "rel/x")));
    assert_int_equal(chdir("/"), 0);
}

static void list_is_sorted(void **state) {
    scratch *s = *state;
    const char **names = NULL;
    size_t count = 9;
    must(ap_list_dir(s->dir, &s->arena, &names, &count));
    assert_int_equal(count, 0);
    put_text(at(s, "b"), "");
    put_text(at(s, ".hidden"), "");
    put_text(at(s, "a"), "");
    for (int i = 0; i < 100; i++) put_text(ap_arena_printf(&s->arena, "%s/n%02d", s->dir, 99 - i), "");
    must(ap_list_dir(s->dir, &s->arena, &names, &count));
    assert_int_equal(count, 103);
    assert_string_equal(names[0], ".hidden");
    assert_string_equal(names[2], "b");
    assert_string_equal(names[102], "n99");
    must_fail(ap_list_dir(at(s, "none"), &s->arena, &names, &count), AP_ERR_NOT_FOUND, "none");
    must_fail(ap_list_dir(at(s, "a"), &s->arena, &names, &count), AP_ERR_IO, "Not a directory");
    assert_int_equal(count, 103);
}

static void remove_tree_spares_what_links_point_to(void **state) {
    scratch *s = *state;
    must(ap_mkdirs(at(s, "keep/sub")));
    put_text(at(s, "keep/sub/f"), "precious");
    must(ap_mkdirs(at(s, "t/x/y/z")));
    put_text(at(s, "t/x/f"), "1");
    assert_int_equal(symlink("../keep", at(s, "t/link")), 0);
    assert_int_equal(symlink("nowhere", at(s, "t/dangling")), 0);
    assert_int_equal(mkfifo(at(s, "t/fifo"), 0600), 0);
    must(ap_rmtree(at(s, "t/")));
    assert_false(ap_file_exists(at(s, "t")));
    assert_content(at(s, "keep/sub/f"), "precious");
    assert_int_equal(symlink("keep", at(s, "l")), 0);
    must(ap_rmtree(at(s, "l/"))); // the link, not the folder
    assert_false(ap_file_exists(at(s, "l")));
    assert_content(at(s, "keep/sub/f"), "precious");
    must(ap_rmtree(at(s, "missing")));
    must(ap_rmtree(at(s, "keep/sub/f"))); // a file
    assert_false(ap_file_exists(at(s, "keep/sub/f")));
    const char *refused[] = {"/", "", ".", "..", "a/..", "a/.", "//"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        must_fail(ap_rmtree(refused[i]), AP_ERR_INTERNAL, "refusing");
    }
}

static void deep_tree(void **state) {
    scratch *s = *state;
    ap_buf b = {0};
    ap_buf_printf(&b, "%s/deep", s->dir);
    for (int i = 0; i < 200; i++) ap_buf_puts(&b, "/d");
    must(ap_mkdirs(b.data));
    ap_buf_puts(&b, "/f");
    put_text(b.data, "12345");
    ap_buf_free(&b);
    uint64_t bytes = 0;
    must(ap_tree_bytes(at(s, "deep"), &bytes));
    assert_int_equal(bytes, 5);
    must(ap_rmtree(at(s, "deep")));
}

static void tree_size(void **state) {
    scratch *s = *state;
    must(ap_mkdirs(at(s, "t/sub")));
    put_text(at(s, "t/a"), "123");
    put_text(at(s, "t/sub/b"), "4567");
    assert_int_equal(symlink("/usr", at(s, "t/usr")), 0); // not followed
    uint64_t bytes = 99;
    must(ap_tree_bytes(at(s, "t"), &bytes));
    assert_int_equal(bytes, 7);
    must(ap_tree_bytes(at(s, "t/a"), &bytes));
    assert_int_equal(bytes, 3);
    must_fail(ap_tree_bytes(at(s, "none"), &bytes), AP_ERR_NOT_FOUND, "none");
    assert_int_equal(bytes, 3);
}

static pid_t dead_pid(void) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
    return pid;
}

static void temporary_folders_are_swept(void **state) {
    scratch *s = *state;
    char *one = NULL, *two = NULL, *parent = at(s, "p/q");
    must(ap_mkdtemp(parent, "run", &s->arena, &one));
    assert_true(ap_is_dir(one));
    struct stat st;
    assert_int_equal(stat(one, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    long dead = (long)dead_pid();
    const char *base = ap_path_base(one), *tail = strrchr(base, '-') + 1;
    assert_int_equal(strlen(tail), 16);
    // As left by a dead process of ours; by one of another container, young and old; and names not ours.
    char *left = ap_arena_printf(&s->arena, "%s/run-%ld-%.8sffffffff", parent, dead, tail);
    char *plain = ap_arena_printf(&s->arena, "%s/run-%ld-abc", parent, dead);
    char flipped[9] = {0};
    for (int i = 0; i < 8; i++) flipped[i] = tail[i] == '0' ? '1' : '0';
    char *foreign = ap_arena_printf(&s->arena, "%s/run-%ld-%sffffffff", parent, dead, flipped);
    char *ancient = ap_arena_printf(&s->arena, "%s/run-%ld-%seeeeeeee", parent, dead, flipped);
    char *other = ap_arena_printf(&s->arena, "%s/runner-%ld-abc", parent, dead);
    char *alive = ap_arena_printf(&s->arena, "%s/run-%ld-abc", parent, (long)getppid());
    char *odd = ap_arena_printf(&s->arena, "%s/run--5-abc", parent);
    char *all[] = {left, plain, foreign, ancient, other, alive, odd};
    for (size_t i = 0; i < 7; i++) {
        must(ap_mkdirs(all[i]));
        put_text(ap_path_join(&s->arena, all[i], "f"), "x");
    }
    struct timespec long_ago[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    assert_int_equal(utimensat(AT_FDCWD, ancient, long_ago, 0), 0);
    must(ap_mkdtemp(parent, "run", &s->arena, &two));
    assert_string_not_equal(one, two);
    assert_false(ap_file_exists(left));
    assert_false(ap_file_exists(plain));
    assert_false(ap_file_exists(ancient));
    assert_true(ap_is_dir(one) && ap_is_dir(two) && ap_is_dir(foreign));
    assert_true(ap_is_dir(other) && ap_is_dir(alive) && ap_is_dir(odd));
}

// ---- paths ----

static void path_pieces(void **state) {
    (void)state;
    ap_arena a = {0};
    assert_string_equal(ap_path_join(&a, "a", "b"), "a/b");
    assert_string_equal(ap_path_join(&a, "a/", "b"), "a/b");
    assert_string_equal(ap_path_join(&a, "/", "b"), "/b");
    assert_string_equal(ap_path_join(&a, "a", "/b"), "/b");
    assert_string_equal(ap_path_join(&a, "", "b"), "b");
    assert_string_equal(ap_path_join(&a, "%s", "%n"), "%s/%n");
    const char *dirs[][2] = {{"a/b", "a"}, {"a", "."},    {"", "."},     {"/", "/"},
                             {"/a", "/"},  {"a/b/", "a"}, {"a//b", "a"}, {"//a", "/"}};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        assert_string_equal(ap_path_dir(&a, dirs[i][0]), dirs[i][1]);
    }
    assert_string_equal(ap_path_base("a/b.c"), "b.c");
    assert_string_equal(ap_path_base("b"), "b");
    assert_string_equal(ap_path_base("a/"), "");
    assert_string_equal(ap_path_ext("a.b/c"), "");
    assert_string_equal(ap_path_ext("a/c.tar.gz"), ".gz");
    assert_string_equal(ap_path_ext("/x/.profile"), "");
    assert_string_equal(ap_path_ext(""), "");
    assert_true(ap_path_inside("/a/b", "/a/b"));
    assert_true(ap_path_inside("/a/b", "/a/b/c"));
    assert_true(ap_path_inside("/a/b/", "/a/b/c"));
    assert_true(ap_path_inside("/", "/x"));
    assert_false(ap_path_inside("/a/b", "/a/bc"));
    assert_false(ap_path_inside("/a/b", "/a"));
    assert_false(ap_path_inside("", "/a"));
    ap_arena_release(&a);
}

static void real_paths(void **state) {
    scratch *s = *state;
    char *out = NULL;
    must(ap_mkdirs(at(s, "d")));
    assert_int_equal(symlink("d", at(s, "l")), 0);
    must(ap_path_real(at(s, "l/../l/."), &s->arena, &out));
    assert_string_equal(ap_path_base(out), "d");
    must_fail(ap_path_real(at(s, "none"), &s->arena, &out), AP_ERR_NOT_FOUND, "none");
    must(ap_self_exe(&s->arena, &out));
    assert_string_equal(ap_path_base(out), "test_base_dir");
}

static void user_folders(void **state) {
    (void)state;
    ap_arena a = {0};
    setenv("HOME", "/home/u", 1);
    unsetenv("AIPC_CACHE");
    unsetenv("AIPC_DATA");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("XDG_DATA_HOME");
    assert_string_equal(ap_path_cache(&a), "/home/u/.cache/aipc");
    assert_string_equal(ap_path_data(&a), "/home/u/.local/share/aipc");
    setenv("XDG_CACHE_HOME", "/xc", 1);
    setenv("XDG_DATA_HOME", "relative", 1); // ignored, as the XDG rules say
    assert_string_equal(ap_path_cache(&a), "/xc/aipc");
    assert_string_equal(ap_path_data(&a), "/home/u/.local/share/aipc");
    setenv("AIPC_CACHE", "/own", 1);
    setenv("AIPC_DATA", "", 1); // empty is unset
    assert_string_equal(ap_path_cache(&a), "/own");
    assert_string_equal(ap_path_data(&a), "/home/u/.local/share/aipc");
    unsetenv("HOME");
    assert_int_equal(ap_path_data(&a)[0], '/'); // from the user database, or below /tmp
    assert_true(ap_is_dir(ap_path_scratch(&a)));
    ap_arena_release(&a);
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, test_setup, test_teardown)
    const struct CMUnitTest tests[] = {
        T(make_folders),
        T(list_is_sorted),
        T(remove_tree_spares_what_links_point_to),
        T(deep_tree),
        T(tree_size),
        T(temporary_folders_are_swept),
        cmocka_unit_test(path_pieces),
        T(real_paths),
        cmocka_unit_test(user_folders),
    };
    return cmocka_run_group_tests_name("base: folders, paths", tests, NULL, NULL);
}
