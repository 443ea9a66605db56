// SPDX-License-Identifier: Apache-2.0
// The manifest's text comes from outside: everything that is wrong with it is said before anything is used.
#include "test_base.h"

#include "plan/artifact/artifact.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TENSOR "{\"name\":\"x\",\"dtype\":\"float32\",\"dims\":[1,4],\"file\":\"input-0.npy\"}"
static const char good[] =
    "{\"format\":1,\"contract\":{\"inputs\":[" TENSOR "],\"outputs\":[" TENSOR
    "]},\"golden\":{\"inputs\":[" TENSOR "],\"outputs\":[" TENSOR
    "]},\"targets\":[{\"target\":\"cpu\",\"dir\":\"cpu\",\"files\":[{\"file\":\"model.onnx\","
    "\"bytes\":10,\"sha256\":\"" SHA "\"}]}]}";

// The good text with the `nth` occurrence (from 0) of `from` replaced.
static char *with(const char *from, const char *to, int nth) {
    const char *p = strstr(good, from);
    while (p && nth-- > 0) p = strstr(p + 1, from);
    assert_non_null(p);
    ap_buf b = {0};
    ap_buf_append(&b, good, (size_t)(p - good));
    ap_buf_puts(&b, to);
    ap_buf_puts(&b, p + strlen(from));
    return ap_buf_detach(&b);
}

static void refuse(const char *from, const char *to, int nth, const char *part) {
    char *text = with(from, to, nth);
    json_t *j = NULL;
    must_fail(ap_manifest_parse(text, strlen(text), &j), AP_ERR_CORRUPT, part);
    assert_null(j);
    free(text);
}

static void a_good_one(void **state) {
    (void)state;
    json_t *j = NULL;
    must(ap_manifest_parse(good, strlen(good), &j));
    assert_int_equal(json_array_size(json_object_get(j, "targets")), 1);
    json_decref(j);
    char *text = with("[1,4]", "[]", 0); // a scalar
    j = NULL;
    must(ap_manifest_parse(text, strlen(text), &j));
    json_decref(j);
    free(text);
}

static void bad_ones(void **state) {
    (void)state;
    refuse("\"format\":1", "\"format\":2", 0, "manifest.json has format 2, this aipc reads 1");
    refuse("\"format\":1", "\"format\":\"1\"", 0, "format");
    refuse("\"format\":1,", "", 0, "format");
    refuse("\"contract\":{", "\"kontract\":{", 0, "contract");
    refuse("\"golden\":{", "\"silver\":{", 0, "golden");
    refuse("\"targets\":[", "\"goals\":[", 0, "targets");
    refuse("\"targets\":[", "\"targets\":[],\"x\":[", 0, "lists no target");
    refuse("\"targets\":[", "\"targets\":[1,", 0, "target");
    refuse("\"inputs\":[", "\"inputs\":{},\"x\":[", 0, "inputs");
    refuse("\"inputs\":[", "\"inputs\":[null,", 0, "a tensor of its inputs is malformed");
    refuse("\"name\":\"x\"", "\"name\":5", 1, "a tensor of its outputs is malformed");
    refuse("float32", "floaty32", 0, "a tensor of its inputs is malformed");
    refuse("[1,4]", "4", 0, "a tensor of its inputs is malformed");
    refuse("[1,4]", "[1,-4]", 0, "'x'");
    refuse("[1,4]", "[4611686018427387904,4611686018427387904]", 0, "'x'");
    refuse("[1,4]", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", 0,
           "malformed");
    refuse("[1,4]", "[1,\"4\"]", 0, "'x'");
    refuse("[1,4]", "[1,4.5]", 0, "'x'");
    refuse("input-0.npy", "../../secret", 2, "golden tensor 0 names a file outside the folder");
    refuse("\"dir\":\"cpu\"", "\"dir\":\"..\"", 0, "target folder '..' lies outside");
    refuse("\"dir\":\"cpu\"", "\"dir\":\"/etc\"", 0, "target folder '/etc' lies outside");
    refuse("\"dir\":\"cpu\"", "\"dir\":\"\"", 0, "lies outside");
    refuse("model.onnx", "a/../../b", 0, "lies outside");
    refuse("model.onnx", ".", 0, "lies outside");
    refuse("\"bytes\":10", "\"bytes\":-1", 0, "file 0 of target cpu is malformed");
    refuse(SHA, "abc", 0, "file 0 of target cpu is malformed");
    refuse("\"files\":[", "\"files\":3,\"x\":[", 0, "files");
}

static void cut_at_every_byte(void **state) {
    (void)state;
    for (size_t n = 0; n < strlen(good); n++) {
        char *text = ap_strndup(good, n); // its own memory: a sanitizer sees a read behind the end
        json_t *j = NULL;
        must_fail(ap_manifest_parse(text, n, &j), AP_ERR_CORRUPT, "manifest.json");
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_one),
        cmocka_unit_test(bad_ones),
        cmocka_unit_test(cut_at_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
