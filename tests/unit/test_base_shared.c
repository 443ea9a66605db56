// SPDX-License-Identifier: Apache-2.0
// Memory of two processes: handed over by descriptor, of a size that stays.
#include "test_tensor.h"

#include "base/channel.h"
#include "base/shared.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void made_and_mapped_twice(void **state) {
    (void)state;
    ap_shared a = AP_SHARED_NONE, b = AP_SHARED_NONE;
    must(ap_shared_create(10000, &a));
    assert_int_equal(a.data[9999], 0);
    a.data[9999] = 42;
    must(ap_shared_open(dup(a.fd), 10000, &b));
    assert_int_equal(b.data[9999], 42);
    assert_int_equal(ftruncate(b.fd, 100), -1); // sealed
    ap_shared_close(&a);
    assert_int_equal(b.data[9999], 42);
    ap_shared_close(&b);
    ap_shared_close(&b);
    assert_int_equal(b.fd, -1);
}

static void to_read_alone(void **state) {
    (void)state;
    ap_shared a = AP_SHARED_NONE, b = AP_SHARED_NONE;
    int status = 0;
    must(ap_shared_create(4096, &a));
    must(ap_shared_open_to_read(dup(a.fd), 4096, &b));
    a.data[7] = 42;
    assert_int_equal(b.data[7], 42);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); // a sanitizer would tell a long story
        b.data[7] = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_int_equal(a.data[7], 42);
    ap_shared_close(&a);
    ap_shared_close(&b);
}

static void what_is_none(void **state) {
    (void)state;
    ap_shared a = AP_SHARED_NONE, b = AP_SHARED_NONE;
    must(ap_shared_create(4096, &a));
    must_fail(ap_shared_open(dup(a.fd), 8192, &b), AP_ERR_IO,
              "what was shared is no memory of 8192 bytes with a sealed size");
    ap_shared_close(&a);
    must_fail(ap_shared_open(open("/dev/null", O_RDWR | O_CLOEXEC), 0, &b), AP_ERR_IO,
              "what was shared is no memory of 0 bytes with a sealed size");
    int fd = memfd_create("unsealed", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 4096), 0);
    must_fail(ap_shared_open(fd, 4096, &b), AP_ERR_IO,
              "what was shared is no memory of 4096 bytes with a sealed size");
    assert_int_equal(fcntl(fd, F_GETFD), -1); // taken over, closed
    assert_int_equal(b.fd, -1);
    ap_err err = ap_shared_create((size_t)1 << 62, &a); // refused before anything is asked for
    assert_int_equal(ap_err_code(err), AP_ERR_NO_MEMORY);
    ap_err_free(err);
}

static void passed_along(void **state) {
    (void)state;
    int fds[2], passed = -1;
    ap_shared a = AP_SHARED_NONE, b = AP_SHARED_NONE;
    ap_buf in = {0};
    ap_channel_state how;
    must(ap_channel_pair(fds));
    must(ap_shared_create(64, &a));
    a.data[3] = 7;
    must(ap_channel_write(fds[0], "he", 2, "llo", 3, a.fd));
    must(ap_channel_receive(fds[1], 1000, &in, &passed, &how));
    assert_string_equal(ap_buf_str(&in), "hello");
    must(ap_shared_open(passed, 64, &b));
    assert_int_equal(b.data[3], 7);
    // A reader that accepts none gets none; a second one replaces the first.
    must(ap_channel_write(fds[0], "x", 1, NULL, 0, a.fd));
    must(ap_channel_read(fds[1], 1000, &in, &how));
    assert_string_equal(ap_buf_str(&in), "hellox");
    passed = -1;
    for (int i = 0; i < 2; i++) {
        must(ap_channel_write(fds[0], "y", 1, NULL, 0, a.fd));
        must(ap_channel_receive(fds[1], 1000, &in, &passed, &how));
    }
    assert_true(passed >= 0);
    must(ap_channel_read(fds[1], 1, &in, &how));
    assert_int_equal(how, AP_CHANNEL_QUIET);
    ap_fd_close(&passed);
    ap_shared_close(&a);
    ap_shared_close(&b);
    ap_fd_close(&fds[0]);
    must(ap_channel_read(fds[1], 1000, &in, &how));
    assert_int_equal(how, AP_CHANNEL_CLOSED);
    ap_fd_close(&fds[1]);
    ap_buf_free(&in);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(made_and_mapped_twice),
                                       cmocka_unit_test(to_read_alone), cmocka_unit_test(what_is_none),
                                       cmocka_unit_test(passed_along)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
