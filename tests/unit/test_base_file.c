// SPDX-License-Identifier: Apache-2.0
#include "test_base.h"

#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void put_text(const char *path, const char *text) {
    must(ap_file_write(path, text, strlen(text)));
}

static size_t names_in(scratch *s, const char *dir) {
    const char **names;
    size_t count = 0;
    must(ap_list_dir(dir, &s->arena, &names, &count));
    return count;
}

static mode_t mode_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void write_then_read(void **state) {
    scratch *s = *state;
    char *f = at(s, "f");
    put_text(f, "hello");
    assert_content(f, "hello");
    put_text(f, "");
    assert_content(f, "");
    ap_buf b = {0};
    put_text(f, "12345");
    must(ap_file_read(f, 5, &b));
    assert_int_equal(b.len, 5);
    assert_int_equal(b.data[5], 0);
    ap_buf_free(&b);
    must_fail(ap_file_read(f, 4, &b), AP_ERR_INPUT_FILE, "4 bytes");
    assert_null(b.data); // untouched
    must_fail(ap_file_read(at(s, "none"), 4, &b), AP_ERR_NOT_FOUND, "none");
    must_fail(ap_file_read(s->dir, 4, &b), AP_ERR_IO, "is a folder");
    must_fail(ap_file_read("/dev/zero", 1000, &b), AP_ERR_INPUT_FILE, "1000 bytes");
    must(ap_file_read("/proc/self/status", 1 << 20, &b)); // its size says 0
    assert_true(b.len > 100);
    ap_buf_free(&b);
    must(ap_file_read("/dev/null", 0, &b));
    ap_buf_free(&b);
    assert_int_equal(names_in(s, s->dir), 1); // no temporary files left
}

static void a_fifo_does_not_hang(void **state) {
    scratch *s = *state;
    char *fifo = at(s, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    ap_buf b = {0};
    must(ap_file_read(fifo, 10, &b));
    assert_int_equal(b.len, 0);
    ap_buf_free(&b);
    ap_filemap m = {0};
    must_fail(ap_filemap_open(fifo, &m), AP_ERR_IO, "not a regular file");
    must_fail(ap_file_copy(fifo, at(s, "x")), AP_ERR_IO, "not a regular file");
}

static void mapping(void **state) {
    scratch *s = *state;
    char *f = at(s, "f");
    ap_filemap m = {0};
    must(ap_filemap_create(f, 100000, &m));
    assert_true(m.writable && m.bytes == 100000);
    assert_int_equal(m.data[99999], 0);
    m.data[99999] = 7;
    ap_filemap_close(&m);
    ap_filemap_close(&m);
    must(ap_filemap_open(f, &m));
    assert_int_equal(m.bytes, 100000);
    assert_int_equal(m.data[99999], 7);
    assert_false(m.writable);
    ap_filemap_close(&m);
    put_text(f, "");
    must(ap_filemap_open(f, &m));
    assert_null(m.data);
    ap_filemap_close(&m);
    must(ap_filemap_create(f, 0, &m));
    assert_null(m.data);
    ap_filemap_close(&m);
    must_fail(ap_filemap_open(at(s, "none"), &m), AP_ERR_NOT_FOUND, "none");
    must_fail(ap_filemap_open(s->dir, &m), AP_ERR_IO, "folder");
    must_fail(ap_filemap_open("/dev/zero", &m), AP_ERR_IO, "not a regular file");
    must_fail(ap_filemap_create(at(s, "no/f"), 10, &m), AP_ERR_NOT_FOUND, "no/f");
    must_fail(ap_filemap_create(at(s, "huge"), SIZE_MAX, &m), AP_ERR_IO, "huge");
    assert_false(ap_file_exists(at(s, "huge")));
}

static void writing_keeps_mode_and_links(void **state) {
    scratch *s = *state;
    char *f = at(s, "real"), *link = at(s, "link");
    put_text(f, "1");
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(mode_of(f), 0666 & ~mask);
    assert_int_equal(chmod(f, 0640), 0);
    assert_int_equal(symlink("real", link), 0);
    put_text(link, "2");
    assert_content(f, "2");
    assert_int_equal(mode_of(f), 0640);
    struct stat st;
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    put_text("/dev/null", "swallowed");
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode)); // written to, not replaced
    must_fail(ap_file_write(s->dir, "x", 1), AP_ERR_IO, "is a folder");
    must_fail(ap_file_write(at(s, "real/below"), "x", 1), AP_ERR_IO, "Not a directory");
    char *longest = at(s, "");
    longest = ap_arena_printf(&s->arena, "%s%0250d", longest, 0);
    put_text(longest, "long names have room for ours");
    assert_content(longest, "long names have room for ours");
}

static void writer_abort_leaves_nothing(void **state) {
    scratch *s = *state;
    char *f = at(s, "f");
    put_text(f, "old");
    ap_file_writer w = {0};
    ap_file_writer_abort(&w); // zeroed: must not close descriptor 0
    assert_true(fcntl(0, F_GETFD) >= 0);
    must(ap_file_writer_begin(f, &w));
    must(ap_file_writer_put(&w, "new", 3));
    assert_int_equal(names_in(s, s->dir), 2);
    ap_file_writer_abort(&w);
    ap_file_writer_abort(&w);
    assert_content(f, "old");
    must(ap_file_writer_begin(f, &w));
    must(ap_file_writer_put(&w, "ne", 2));
    must(ap_file_writer_put(&w, "w", 1));
    must(ap_file_writer_commit(&w));
    ap_file_writer_abort(&w);
    assert_content(f, "new");
    assert_int_equal(names_in(s, s->dir), 1);
}

// ---- full disks, read-only places ----

static bool put_raw(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    return ok;
}

static bool mount_private(const char *dir, const char *type, unsigned long flags, const char *options) {
    uid_t uid = geteuid();
    char users[32], groups[32]; // read before the new name space changes the answers
    snprintf(users, sizeof users, "0 %u 1", (unsigned)uid);
    snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
    if (unshare(uid ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS)) return false;
    // An unmapped user may mount, but making files fails with EOVERFLOW.
    if (uid && !(put_raw("/proc/self/setgroups", "deny") && put_raw("/proc/self/uid_map", users) &&
                 put_raw("/proc/self/gid_map", groups))) {
        return false;
    }
    if (mount("none", "/", "", MS_REC | MS_PRIVATE, NULL)) return false;
    return !mount("none", dir, type, flags, options);
}

static bool code_is(ap_err err, ap_code code) {
    bool ok = ap_err_code(err) == code;
    if (!ok) fprintf(stderr, "got %s: %s\n", ap_code_name(ap_err_code(err)), ap_err_message(err));
    ap_err_free(err);
    return ok;
}

// In a child with its own mounts, so that nothing stays mounted whatever happens.
static void check_full_disk(void *arg) {
    scratch *s = arg;
    if (!mount_private(s->dir, "tmpfs", 0, "size=1m")) {
        fprintf(stderr, "skipped: may not mount a tmpfs here: %s\n", strerror(errno));
        _exit(CHILD_SKIPS);
    }
    char *big = ap_calloc(1, 2 << 20), *f = at(s, "f");
    ap_filemap m = {0};
    CHECK(code_is(ap_file_write(f, "old", 3), AP_OK));
    CHECK(code_is(ap_file_write(f, big, 2 << 20), AP_ERR_DISK_FULL));
    ap_buf b = {0};
    CHECK(code_is(ap_file_read(f, 10, &b), AP_OK) && !strcmp(b.data, "old"));
    CHECK(code_is(ap_filemap_create(at(s, "map"), 2 << 20, &m), AP_ERR_DISK_FULL) && !m.data);
    CHECK(!ap_file_exists(at(s, "map")));
    CHECK(code_is(ap_file_copy("/proc/self/exe", at(s, "copy")), AP_OK) ||
          !ap_file_exists(at(s, "copy"))); // this test may or may not fit
    CHECK(code_is(ap_filemap_create(at(s, "map"), 1 << 16, &m), AP_OK));
    memset(m.data, 1, m.bytes); // reserved: no SIGBUS
    ap_filemap_close(&m);
    ap_buf_free(&b);
    free(big);
}

static void full_disk(void **state) {
    assert_child_ok(in_child(check_full_disk, *state));
}

static void check_read_only(void *arg) {
    scratch *s = arg;
    if (!mount_private(s->dir, "tmpfs", MS_RDONLY, "size=1m")) {
        fprintf(stderr, "skipped: may not mount a tmpfs here: %s\n", strerror(errno));
        _exit(CHILD_SKIPS);
    }
    ap_filemap m = {0};
    ap_lock l = {0};
    char *made = NULL;
    CHECK(code_is(ap_file_write(at(s, "f"), "x", 1), AP_ERR_READ_ONLY));
    CHECK(code_is(ap_filemap_create(at(s, "f"), 1, &m), AP_ERR_READ_ONLY));
    CHECK(code_is(ap_mkdirs(at(s, "a/b")), AP_ERR_READ_ONLY));
    CHECK(code_is(ap_mkdtemp(s->dir, "p", &s->arena, &made), AP_ERR_READ_ONLY));
    CHECK(code_is(ap_lock_take(at(s, "lock"), &l), AP_ERR_READ_ONLY) && !l.held);
    CHECK(code_is(ap_file_link_or_copy("/proc/self/status", at(s, "l")), AP_ERR_READ_ONLY));
    CHECK(code_is(ap_mkdirs(s->dir), AP_OK)); // is there already
}

static void read_only_disk(void **state) {
    assert_child_ok(in_child(check_read_only, *state));
}

static void full_and_forbidden_without_mounts(void **state) {
    scratch *s = *state;
    must_fail(ap_file_write("/dev/full", "x", 1), AP_ERR_DISK_FULL, "/dev/full");
    // Root may write everywhere but here.
    ap_err err = ap_file_write("/proc/aipc-test", "x", 1);
    assert_true(ap_err_code(err) == AP_ERR_NOT_FOUND || ap_err_code(err) == AP_ERR_READ_ONLY);
    ap_err_free(err);
    (void)s;
}

static void check_as_nobody(void *arg) {
    scratch *s = arg;
    if (geteuid() == 0 && (setgid(65534) || setuid(65534))) {
        fprintf(stderr, "skipped: cannot become another user: %s\n", strerror(errno));
        _exit(CHILD_SKIPS);
    }
    ap_buf b = {0};
    ap_lock l = {0};
    CHECK(code_is(ap_file_write(at(s, "shut/f"), "x", 1), AP_ERR_READ_ONLY));
    CHECK(code_is(ap_mkdirs(at(s, "shut/d")), AP_ERR_READ_ONLY));
    CHECK(code_is(ap_file_read(at(s, "shut/secret"), 10, &b), AP_ERR_IO));
    CHECK(code_is(ap_lock_take(at(s, "shut/lock"), &l), AP_ERR_READ_ONLY));
    CHECK(code_is(ap_rmtree(at(s, "shut")), AP_ERR_READ_ONLY));
}

static void folder_of_somebody_else(void **state) {
    scratch *s = *state;
    must(ap_mkdirs(at(s, "shut")));
    put_text(at(s, "shut/secret"), "x");
    assert_int_equal(chmod(at(s, "shut/secret"), 0), 0);
    assert_int_equal(chmod(s->dir, 0755), 0);
    assert_int_equal(chmod(at(s, "shut"), 0555), 0);
    assert_child_ok(in_child(check_as_nobody, s));
    assert_int_equal(chmod(at(s, "shut"), 0755), 0);
}

static void check_size_limit(void *arg) {
    scratch *s = arg;
    struct rlimit r = {.rlim_cur = 1000, .rlim_max = 1000};
    signal(SIGXFSZ, SIG_IGN);
    CHECK(!setrlimit(RLIMIT_FSIZE, &r));
    char big[4096] = {0};
    CHECK(code_is(ap_file_write(at(s, "f"), big, sizeof big), AP_ERR_IO)); // fails in the middle
}

static void a_write_failing_halfway_keeps_the_old_file(void **state) {
    scratch *s = *state;
    put_text(at(s, "f"), "old");
    assert_child_ok(in_child(check_size_limit, s));
    assert_content(at(s, "f"), "old");
    assert_int_equal(names_in(s, s->dir), 1);
}

// ---- kill -9 ----

static void die_halfway(void *arg) {
    ap_file_writer w = {0};
    ap_err err = ap_file_writer_begin(arg, &w);
    CHECK(!err);
    err = ap_file_writer_put(&w, "ne", 2);
    CHECK(!err);
    raise(SIGKILL);
}

static _Noreturn void write_for_ever(const char *path) {
    char a[9000], b[9000];
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    for (;;) {
        ap_err_free(ap_file_write(path, a, sizeof a));
        ap_err_free(ap_file_write(path, b, sizeof b));
    }
}

static void kill_leaves_a_whole_file(void **state) {
    scratch *s = *state;
    char *f = at(s, "f");
    put_text(f, "old");
    int status = in_child(die_halfway, f);
    assert_true(WIFSIGNALED(status));
    assert_content(f, "old");
    for (unsigned round = 0; round < 25; round++) {
        pid_t pid = fork();
        if (pid == 0) write_for_ever(f);
        ap_sleep_ms(3 + round % 7);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        ap_buf b = {0};
        must(ap_file_read(f, 1 << 20, &b));
        bool old = b.len == 3;
        assert_true(old || b.len == 9000);
        for (size_t i = 1; !old && i < b.len; i++) assert_int_equal(b.data[i], b.data[0]);
        ap_buf_free(&b);
    }
}

// ---- copies and links ----

static void copy_and_link(void **state) {
    scratch *s = *state;
    char *a = at(s, "a"), *b = at(s, "b"), *c = at(s, "c");
    put_text(a, "content");
    put_text(b, "other");
    must(ap_file_copy(a, b));
    assert_content(b, "content");
    must(ap_file_copy("/proc/sys/kernel/ostype", c)); // copy_file_range cannot read this one
    assert_content(c, "Linux\n");
    must(ap_file_copy(at(s, "a"), a)); // onto itself
    assert_content(a, "content");
    must(ap_file_link_or_copy(a, c));
    assert_content(c, "content");
    struct stat sa, sc;
    assert_int_equal(stat(a, &sa), 0);
    assert_int_equal(stat(c, &sc), 0);
    assert_int_equal(sa.st_ino, sc.st_ino);
    must(ap_file_link_or_copy(a, c));               // already the same file
    must(ap_file_link_or_copy("/proc/version", b)); // another device
    uint64_t n = 0;
    must(ap_file_size(b, &n));
    assert_true(n > 10);
    assert_int_equal(names_in(s, s->dir), 3);
    must_fail(ap_file_link_or_copy(at(s, "none"), c), AP_ERR_NOT_FOUND, "none");
    must_fail(ap_file_copy(at(s, "none"), c), AP_ERR_NOT_FOUND, "none");
    must_fail(ap_file_link_or_copy(a, at(s, "no/c")), AP_ERR_NOT_FOUND, "no/c");
}

static void big_copy(void **state) {
    scratch *s = *state;
    ap_filemap m = {0}, n = {0};
    must(ap_filemap_create(at(s, "a"), 5 << 20, &m));
    for (size_t i = 0; i < m.bytes; i++) m.data[i] = (uint8_t)(i * 2654435761u >> 13);
    must(ap_file_copy(at(s, "a"), at(s, "b")));
    must(ap_filemap_open(at(s, "b"), &n));
    assert_int_equal(n.bytes, m.bytes);
    assert_memory_equal(n.data, m.data, m.bytes);
    ap_filemap_close(&n);
    ap_filemap_close(&m);
}

static void rename_and_remove(void **state) {
    scratch *s = *state;
    put_text(at(s, "a"), "1");
    put_text(at(s, "b"), "2");
    must(ap_file_rename(at(s, "a"), at(s, "b")));
    assert_content(at(s, "b"), "1");
    assert_false(ap_file_exists(at(s, "a")));
    must_fail(ap_file_rename(at(s, "a"), at(s, "b")), AP_ERR_NOT_FOUND, "cannot rename");
    must(ap_file_remove(at(s, "b")));
    must(ap_file_remove(at(s, "b"))); // missing is fine
    must_fail(ap_file_remove(s->dir), AP_ERR_IO, "cannot remove");
}

// ---- locks ----

static void hold_lock(const char *path, int report) {
    ap_lock l = {0};
    ap_err err = ap_lock_take(path, &l);
    CHECK(!err);
    CHECK(write(report, "x", 1) == 1);
    for (;;) pause();
}

static void lock_is_exclusive_and_dies_with_its_holder(void **state) {
    scratch *s = *state;
    char *path = at(s, "lock"), c;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) hold_lock(path, fds[1]);
    assert_int_equal(read(fds[0], &c, 1), 1);
    ap_lock l = {0}, second = {0};
    char *part = ap_arena_printf(&s->arena, "held by process %ld", (long)pid);
    ap_err err = ap_lock_take(path, &l);
    assert_int_equal(ap_code_exit(ap_err_code(err)), AP_EXIT_BUSY);
    must_fail(err, AP_ERR_BUSY, part);
    assert_false(l.held);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    must(ap_lock_take(path, &l));
    assert_true(l.held);
    assert_content(path, ap_arena_printf(&s->arena, "%ld\n", (long)getpid()));
    must_fail(ap_lock_take(path, &second), AP_ERR_BUSY, "held by"); // in one process, too
    pid = fork(); // a child not yet in exec must not keep it
    if (pid == 0) {
        for (;;) pause();
    }
    ap_lock_release(&l);
    ap_lock_release(&l);
    ap_lock_release(&second); // never held
    assert_true(fcntl(0, F_GETFD) >= 0);
    must(ap_lock_take(path, &second));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ap_lock_release(&second);
    close(fds[0]);
    close(fds[1]);
    must_fail(ap_lock_take(at(s, "no/lock"), &l), AP_ERR_NOT_FOUND, "no/lock");
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, test_setup, test_teardown)
    const struct CMUnitTest tests[] = {
        T(write_then_read),
        T(a_fifo_does_not_hang),
        T(mapping),
        T(writing_keeps_mode_and_links),
        T(writer_abort_leaves_nothing),
        T(full_disk),
        T(read_only_disk),
        T(full_and_forbidden_without_mounts),
        T(folder_of_somebody_else),
        T(a_write_failing_halfway_keeps_the_old_file),
        T(kill_leaves_a_whole_file),
        T(copy_and_link),
        T(big_copy),
        T(rename_and_remove),
        T(lock_is_exclusive_and_dies_with_its_holder),
    };
    return cmocka_run_group_tests_name("base: file", tests, NULL, NULL);
}
