// SPDX-License-Identifier: Apache-2.0
#include "test_base.h"

#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define SH(script)                                                                                           \
    (const char *const[]) {                                                                                  \
        "sh", "-c", script, NULL                                                                             \
    }

static ap_exit run(const ap_proc_options *o, size_t max_output, ap_buf *out) {
    ap_exit how = {0};
    ap_err err = ap_proc_run(o, max_output, out, &how);
    if (err) fail_msg("%s", ap_err_message(err));
    return how;
}

static void assert_output(const ap_proc_options *base, const char *wanted) {
    ap_proc_options o = *base;
    o.capture_stdout = true;
    ap_buf out = {0};
    ap_exit how = run(&o, 1 << 20, &out);
    assert_true(how.exited);
    assert_int_equal(how.status, 0);
    assert_string_equal(ap_buf_str(&out), wanted);
    ap_buf_free(&out);
}

static void output_and_status(void **state) {
    (void)state;
    ap_proc_options o = {.argv = (const char *const[]){"echo", "a b", "$HOME;*", "", NULL}};
    assert_output(&o, "a b $HOME;* \n");
    o.argv = SH("exit 42");
    ap_exit how = run(&o, 10, NULL);
    assert_true(how.exited);
    assert_int_equal(how.status, 42);
    assert_int_equal(how.signal, 0);
    assert_false(how.timed_out);
    o.argv = SH("cat"); // stdin is empty, not ours
    assert_output(&o, "");
}

static void environment_and_folder(void **state) {
    scratch *s = *state;
    setenv("AIPC_TEST_A", "old", 1);
    setenv("AIPC_TEST_B", "kept", 1);
    ap_proc_options o = {
        .argv = SH("echo $AIPC_TEST_A $AIPC_TEST_B $AIPC_TEST_C; env | grep -c AIPC_TEST_A"),
        .env_add = (const char *const[]){"AIPC_TEST_A=x", "AIPC_TEST_C=new", "AIPC_TEST_A=y", NULL}};
    assert_output(&o, "y kept new\n1\n");
    o = (ap_proc_options){.argv = SH("pwd"), .cwd = s->dir};
    assert_output(&o, ap_arena_printf(&s->arena, "%s\n", s->dir));
}

static void logs_go_to_files(void **state) {
    scratch *s = *state;
    ap_proc_options o = {.argv = SH("echo out; echo err >&2; echo out2"), .stdout_path = at(s, "log")};
    o.stderr_path = o.stdout_path;
    run(&o, 0, NULL);
    assert_content(at(s, "log"), "out\nerr\nout2\n");
    o.stderr_path = at(s, "err");
    run(&o, 0, NULL);
    assert_content(at(s, "log"), "out\nout2\n");
    assert_content(at(s, "err"), "err\n");
    o.stdout_path = at(s, "missing/log");
    must_fail(ap_proc_run(&o, 0, NULL, NULL), AP_ERR_NOT_FOUND, "missing/log");
}

static void a_program_that_cannot_run_is_an_error(void **state) {
    scratch *s = *state;
    ap_proc_options o = {.argv = (const char *const[]){"aipc-no-such-program", NULL}};
    must_fail(ap_proc_run(&o, 0, NULL, NULL), AP_ERR_NOT_FOUND, "'aipc-no-such-program'");
    o.argv = (const char *const[]){"/nonexistent/tool", NULL};
    must_fail(ap_proc_run(&o, 0, NULL, NULL), AP_ERR_NOT_FOUND, "cannot run '/nonexistent/tool'");
    must(ap_file_write(at(s, "text"), "hello", 5));
    o.argv = (const char *const[]){at(s, "text"), NULL};
    must_fail(ap_proc_run(&o, 0, NULL, NULL), AP_ERR_IO, "Permission denied");
    o = (ap_proc_options){.argv = SH("true"), .cwd = "/nonexistent"};
    must_fail(ap_proc_run(&o, 0, NULL, NULL), AP_ERR_NOT_FOUND, "in '/nonexistent'");
    o = (ap_proc_options){0};
    must_fail(ap_proc_run(&o, 0, NULL, NULL), AP_ERR_INTERNAL, "no program");
}

static void crash_is_a_signal(void **state) {
    (void)state;
    ap_proc_options o = {.argv = SH("kill -SEGV $$")};
    ap_exit how = run(&o, 0, NULL);
    assert_false(how.exited);
    assert_int_equal(how.signal, SIGSEGV);
    assert_false(how.timed_out);
}

static void deadline_kills_the_whole_group(void **state) {
    (void)state;
    uint64_t t0 = ap_now_us();
    ap_proc_options o = {.argv = SH("trap '' TERM INT; echo started; sleep 100 & sleep 100"),
                         .deadline_ms = 300,
                         .capture_stdout = true};
    ap_buf out = {0};
    ap_exit how = run(&o, 100, &out);
    assert_true(how.timed_out);
    assert_false(how.exited);
    assert_int_equal(how.signal, SIGKILL);
    assert_string_equal(ap_buf_str(&out), "started\n");
    uint64_t ms = (ap_now_us() - t0) / 1000;
    assert_in_range(ms, 300, 10000);
    ap_buf_free(&out);
}

static void deadline_holds_against_endless_output(void **state) {
    (void)state;
    ap_proc_options o = {.argv = SH("yes"), .deadline_ms = 200, .capture_stdout = true};
    ap_buf out = {0};
    ap_exit how = run(&o, 5, &out);
    assert_true(how.timed_out);
    assert_int_equal(out.len, 5);
    ap_buf_free(&out);
}

static void long_output_keeps_its_tail(void **state) {
    (void)state;
    ap_proc_options o = {.argv = (const char *const[]){"seq", "1", "200000", NULL}, .capture_stdout = true};
    ap_buf out = {0};
    run(&o, 14, &out);
    assert_string_equal(ap_buf_str(&out), "199999\n200000\n");
    ap_buf_free(&out);
    run(&o, 0, &out);
    assert_int_equal(out.len, 0);
    ap_buf_free(&out);
    run(&o, SIZE_MAX, &out);
    assert_int_equal(out.len, 9 * 2 + 90 * 3 + 900 * 4 + 9000 * 5 + 90000 * 6 + 100001 * 7);
    ap_buf_free(&out);
}

static bool is_gone(pid_t pid) {
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0) return true;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    const char *state = n > 0 ? strrchr(text, ')') : NULL;
    return !state || state[2] == 'Z'; // pid 1 of a container may not reap
}

static bool goes_away(pid_t pid) {
    for (int i = 0; i < 500; i++) {
        if (is_gone(pid)) return true;
        ap_sleep_ms(10);
    }
    return false;
}

static void a_grandchild_does_not_hold_us_up(void **state) {
    (void)state;
    ap_proc_options o = {.argv = SH("sleep 100 & echo $!"), .capture_stdout = true};
    ap_buf out = {0};
    uint64_t t0 = ap_now_us();
    run(&o, 100, &out);
    assert_true(ap_now_us() - t0 < 10000000);
    pid_t grandchild = (pid_t)atoi(out.data);
    assert_true(grandchild > 0);
    assert_true(goes_away(grandchild)); // and is not left running
    ap_buf_free(&out);
}

static void memory_limit_holds(void **state) {
    (void)state;
    ap_proc_options o = {
        .argv = (const char *const[]){"dd", "if=/dev/zero", "of=/dev/null", "bs=512M", "count=1", NULL}};
    ap_exit how = run(&o, 0, NULL);
    assert_int_equal(how.status, 0);
    assert_true(how.peak_rss_bytes > 500u << 20);
    o.memory_limit_bytes = 256u << 20;
    how = run(&o, 0, NULL);
    assert_true(!how.exited || how.status != 0);
    assert_true(how.peak_rss_bytes < 500u << 20);
}

static void start_wait_kill(void **state) {
    (void)state;
    ap_proc_options o = {.argv = SH("sleep 0.3; exit 3"), .channel_fd = -1};
    ap_proc p = {0};
    ap_exit how = {.status = -1};
    bool done = true;
    must(ap_proc_start(&o, &p));
    must(ap_proc_wait(&p, 0, &done, &how));
    assert_false(done);
    must(ap_proc_wait(&p, 20, &done, &how));
    assert_false(done);
    assert_int_equal(how.status, -1); // untouched
    must(ap_proc_wait(&p, UINT64_MAX, &done, &how));
    assert_true(done);
    assert_int_equal(how.status, 3);
    assert_int_equal(p.pid, 0);
    must_fail(ap_proc_wait(&p, 0, &done, &how), AP_ERR_INTERNAL, "not started");
    ap_proc_kill(&p, &how); // nothing to kill: no harm

    o.argv = SH("sleep 100");
    must(ap_proc_start(&o, &p));
    pid_t pid = p.pid;
    ap_proc_kill(&p, &how);
    assert_int_equal(how.signal, SIGKILL);
    assert_int_equal(p.pid, 0);
    assert_true(kill(pid, 0) && errno == ESRCH); // reaped
    must(ap_proc_start(&o, &p));
    ap_proc_kill(&p, NULL);
}

static void channel_is_descriptor_three(void **state) {
    (void)state;
    int fds[2];
    must(ap_channel_pair(fds));
    ap_proc_options o = {.argv = SH("read x <&3; echo got $x >&3"), .channel_fd = fds[1]};
    ap_proc p = {0};
    must(ap_proc_start(&o, &p));
    ap_fd_close(&fds[1]);
    assert_int_equal(fds[1], -1);
    ap_fd_close(&fds[1]); // twice is fine
    assert_int_equal(write(fds[0], "hello\n", 6), 6);
    char text[32] = "";
    assert_int_equal(read(fds[0], text, sizeof text - 1), 10);
    assert_string_equal(text, "got hello\n");
    assert_int_equal(read(fds[0], text, 1), 0); // the child ended and held the only other end
    bool done = false;
    ap_exit how;
    must(ap_proc_wait(&p, UINT64_MAX, &done, &how));
    assert_int_equal(how.status, 0);
    ap_fd_close(&fds[0]);
}

static void no_other_descriptor_is_inherited(void **state) {
    (void)state;
    assert_int_equal(dup2(0, 77), 77); // without close-on-exec, like a careless library
    assert_int_equal(dup2(0, 3), 3);
    ap_proc_options o = {
        .argv = SH("for n in 3 4 5 6 7 8 9 77; do [ -e /proc/$$/fd/$n ] && echo $n; done; true")};
    assert_output(&o, "");
    close(77);
    close(3);
}

static void check_with_low_fds_closed(void *arg) {
    (void)arg;
    int fds[2], report = fcntl(2, F_DUPFD_CLOEXEC, 50);
    for (int fd = 0; fd < 4; fd++) close(fd);
    ap_err err = ap_channel_pair(fds); // gets 0 and 1
    if (err) _exit(CHILD_FAILED);
    if (fds[1] == 0) _exit(CHILD_FAILED);
    ap_proc_options o = {.argv = SH("echo to-stdout; echo to-channel >&3"), .capture_stdout = true};
    o.channel_fd = fds[1];
    ap_buf out = {0};
    ap_exit how = {0};
    err = ap_proc_run(&o, 100, &out, &how);
    if (err) dprintf(report, "%s\n", ap_err_message(err));
    char text[32] = "";
    if (err || how.status || strcmp(ap_buf_str(&out), "to-stdout\n")) _exit(CHILD_FAILED);
    if (read(fds[0], text, sizeof text - 1) != 11 || strcmp(text, "to-channel\n")) _exit(CHILD_FAILED);
}

static void works_when_low_descriptors_are_closed(void **state) {
    (void)state;
    assert_child_ok(in_child(check_with_low_fds_closed, NULL));
}

static void on_alarm(int sig) {
    (void)sig;
}

static void signals_are_back_to_default(void **state) {
    (void)state;
    sigset_t usr1, before;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    void (*old_pipe)(int) = signal(SIGPIPE, SIG_IGN);
    void (*old_alarm)(int) = signal(SIGALRM, on_alarm);
    sigprocmask(SIG_BLOCK, &usr1, &before);
    ap_proc_options o = {.argv = SH("kill -PIPE $$")};
    assert_int_equal(run(&o, 0, NULL).signal, SIGPIPE);
    o.argv = SH("kill -USR1 $$");
    assert_int_equal(run(&o, 0, NULL).signal, SIGUSR1);
    o.argv = SH("kill -ALRM $$");
    assert_int_equal(run(&o, 0, NULL).signal, SIGALRM);
    sigset_t now;
    sigprocmask(SIG_SETMASK, &before, &now);
    assert_true(sigismember(&now, SIGUSR1)); // ours is as it was
    assert_false(sigismember(&now, SIGTERM));
    signal(SIGPIPE, old_pipe);
    signal(SIGALRM, old_alarm);
}

static void start_and_die(void *arg) {
    int *fds = arg;
    ap_proc_options o = {.argv = SH("sleep 100")};
    ap_proc p = {0};
    ap_err err = ap_proc_start(&o, &p);
    CHECK(!err);
    CHECK(write(fds[1], &p.pid, sizeof p.pid) == sizeof p.pid);
    raise(SIGKILL);
}

static void children_die_with_the_parent(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    in_child(start_and_die, fds);
    pid_t pid = 0;
    assert_int_equal(read(fds[0], &pid, sizeof pid), sizeof pid);
    close(fds[0]);
    close(fds[1]);
    assert_true(goes_away(pid));
}

// A child of ours that runs a program in the foreground and ends as it did.
static void foreground(void *arg) {
    ap_exit how = {0};
    ap_err err = ap_proc_foreground((const char *const[]){"sh", "-c", arg, NULL},
                                    (const char *const[]){"AIPC_TEST_F=7", NULL}, &how);
    CHECK(!err);
    _exit(ap_exit_status(&how));
}

static int foreground_status(const char *script) {
    pid_t pid = fork();
    if (!pid) foreground((void *)(uintptr_t)script);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void foreground_is_as_in_a_shell(void **state) {
    (void)state;
    assert_int_equal(foreground_status("exit 3"), 3);
    assert_int_equal(foreground_status("exit $AIPC_TEST_F"), 7);
    assert_int_equal(foreground_status("kill -KILL $$"), 128 + SIGKILL);
    // stdin is ours, and so is the group: the parent's parent sees both
    int fds[2], saved = dup(0);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "5\n", 2), 2);
    dup2(fds[0], 0);
    assert_int_equal(foreground_status("read n; exit $n"), 5);
    dup2(saved, 0);
    close(saved);
    close(fds[0]);
    close(fds[1]);
    // SIGTERM is handed on and SIGINT is left to it
    assert_int_equal(foreground_status("trap 'exit 9' TERM; kill -INT $PPID; kill -TERM $PPID; "
                                       "while :; do sleep 0.05; done"),
                     9);
}

static void time_has_the_right_form(void **state) {
    (void)state;
    char t[21];
    ap_time_utc(t);
    assert_int_equal(strlen(t), 20);
    assert_true(t[4] == '-' && t[10] == 'T' && t[19] == 'Z');
    uint64_t a = ap_now_us();
    ap_sleep_ms(15);
    assert_true(ap_now_us() - a >= 15000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_status),
        cmocka_unit_test_setup_teardown(environment_and_folder, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(logs_go_to_files, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(a_program_that_cannot_run_is_an_error, test_setup, test_teardown),
        cmocka_unit_test(crash_is_a_signal),
        cmocka_unit_test(deadline_kills_the_whole_group),
        cmocka_unit_test(deadline_holds_against_endless_output),
        cmocka_unit_test(long_output_keeps_its_tail),
        cmocka_unit_test(a_grandchild_does_not_hold_us_up),
        cmocka_unit_test(memory_limit_holds),
        cmocka_unit_test(start_wait_kill),
        cmocka_unit_test(channel_is_descriptor_three),
        cmocka_unit_test(no_other_descriptor_is_inherited),
        cmocka_unit_test(works_when_low_descriptors_are_closed),
        cmocka_unit_test(signals_are_back_to_default),
        cmocka_unit_test(children_die_with_the_parent),
        cmocka_unit_test(foreground_is_as_in_a_shell),
        cmocka_unit_test(time_has_the_right_form),
    };
    return cmocka_run_group_tests_name("base: proc", tests, NULL, NULL);
}
