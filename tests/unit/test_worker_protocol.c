// SPDX-License-Identifier: Apache-2.0
// The frames between aipc and its workers: whole, in pieces, several at once, and bytes that are none.
#include "test_tensor.h"

#include "base/proc.h"
#include "worker/protocol.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static void put_frame(ap_buf *b, const char *magic, uint32_t len, const char *text) {
    unsigned char n[4] = {(unsigned char)len, (unsigned char)(len >> 8), (unsigned char)(len >> 16),
                          (unsigned char)(len >> 24)};
    ap_buf_append(b, magic, 4);
    ap_buf_append(b, n, 4);
    ap_buf_puts(b, text);
}

static void in_pieces(void **state) {
    (void)state;
    const char *text = "{\"op\":\"run\",\"args\":{\"n\":5}}";
    ap_buf whole = {0}, b = {0};
    json_t *j = NULL;
    put_frame(&whole, "AIPC", (uint32_t)strlen(text), text);
    for (size_t i = 0; i < whole.len; i++) {
        must(ap_frame_take(&b, &j));
        assert_null(j);
        ap_buf_append(&b, whole.data + i, 1);
    }
    must(ap_frame_take(&b, &j));
    assert_string_equal(ap_json_str(j, "op", ""), "run");
    assert_int_equal(b.len, 0);
    json_decref(j);
    ap_buf_free(&b);
    ap_buf_free(&whole);
}

static void several_at_once(void **state) {
    (void)state;
    ap_buf b = {0};
    put_frame(&b, "AIPC", 7, "{\"i\":0}");
    put_frame(&b, "AIPC", 7, "{\"i\":1}");
    ap_buf_puts(&b, "AIP");
    for (int i = 0; i < 2; i++) {
        json_t *j = NULL;
        must(ap_frame_take(&b, &j));
        assert_int_equal(ap_json_int(j, "i", -1), i);
        json_decref(j);
    }
    json_t *j = NULL;
    must(ap_frame_take(&b, &j));
    assert_null(j);
    assert_int_equal(b.len, 3);
    ap_buf_free(&b);
}

static void refuse(const char *magic, uint32_t len, const char *text) {
    ap_buf b = {0};
    json_t *j = NULL;
    put_frame(&b, magic, len, text);
    ap_err err = ap_frame_take(&b, &j);
    assert_int_equal(ap_err_code(err), AP_ERR_WORKER_GARBAGE);
    assert_null(j);
    ap_err_free(err);
    ap_buf_free(&b);
}

static void garbage(void **state) {
    (void)state;
    refuse("HTTP", 2, "{}");
    refuse("AIPD", 2, "{}");
    refuse("AIPC", 0xffffffffu, "");                // 4 GiB
    refuse("AIPC", (uint32_t)AP_FRAME_MAX + 1, ""); // just over
    refuse("AIPC", 4, "nope");
    refuse("AIPC", 0, "");
    refuse("AIPC", 1, "{");
    // The first wrong byte is enough.
    ap_buf b = {0};
    json_t *j = NULL;
    ap_buf_puts(&b, "\x7f");
    ap_err err = ap_frame_take(&b, &j);
    assert_non_null(strstr(ap_err_message(err), "sent 1 bytes that are no reply, starting with 0x7f"));
    ap_err_free(err);
    ap_buf_free(&b);
    // At the limit it waits for the rest.
    put_frame(&b, "AIPC", (uint32_t)AP_FRAME_MAX, "");
    must(ap_frame_take(&b, &j));
    assert_null(j);
    ap_buf_free(&b);
}

// A message much larger than the socket's buffer, while the reader is slow.
static void *write_big(void *arg) {
    int fd = *(int *)arg;
    ap_buf text = {0};
    for (int i = 0; i < 1000000; i++) ap_buf_puts(&text, "abc");
    json_t *j = json_pack("{ss}", "text", ap_buf_str(&text));
    ap_err err = ap_frame_write(fd, j);
    json_decref(j);
    ap_buf_free(&text);
    return err;
}

static void large_messages(void **state) {
    (void)state;
    int fds[2];
    pthread_t writer;
    must(ap_channel_pair(fds));
    assert_int_equal(pthread_create(&writer, NULL, write_big, &fds[0]), 0);
    ap_buf b = {0};
    json_t *j = NULL;
    while (!j) {
        char block[1000];
        ssize_t n = read(fds[1], block, sizeof block);
        assert_true(n > 0);
        ap_buf_append(&b, block, (size_t)n);
        if (b.len > 3000000) must(ap_frame_take(&b, &j));
    }
    void *failed = NULL;
    pthread_join(writer, &failed);
    assert_null(failed);
    assert_int_equal(strlen(ap_json_str(j, "text", "")), 3000000);
    json_decref(j);
    ap_buf_free(&b);
    ap_fd_close(&fds[0]);
    ap_fd_close(&fds[1]);
}

static void a_peer_that_is_gone(void **state) {
    (void)state;
    int fds[2];
    must(ap_channel_pair(fds));
    ap_fd_close(&fds[1]);
    json_t *j = json_object();
    ap_err err = ap_frame_write(fds[0], j); // an error, not a SIGPIPE
    assert_int_equal(ap_err_code(err), AP_ERR_IO);
    ap_err_free(err);
    json_decref(j);
    ap_fd_close(&fds[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_pieces),      cmocka_unit_test(several_at_once),     cmocka_unit_test(garbage),
        cmocka_unit_test(large_messages), cmocka_unit_test(a_peer_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
