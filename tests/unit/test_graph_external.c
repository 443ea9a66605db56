// SPDX-License-Identifier: Apache-2.0
// Weights outside the model file: what is refused, and what a saved model takes along.
#include "test_graph_build.h"

#include <sys/stat.h>
#include <unistd.h>

// A model in <dir>/m whose weight "e" (float32[4]) lies in `location`.
static char *with_location(bench *b, const char *location, const char *offset, const char *length) {
    chain(b);
    Onnx__TensorProto *t = tensor(b, "e", AP_F32, "4");
    if (location)
        say_external(b, t, "location", location);
    else
        say_external(b, t, "nothing", "");
    if (offset) say_external(b, t, "offset", offset);
    if (length) say_external(b, t, "length", length);
    PUSH(b, b->graph, initializer, t);
    return write_model(b, "m/model.onnx");
}

static void put(bench *b, const char *name, size_t bytes) {
    uint8_t *data = ap_arena_alloc(&b->arena, bytes + 1);
    for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)(i + 1);
    char *path = at(b, name);
    must(ap_mkdirs(ap_path_dir(&b->arena, path)));
    must(ap_file_write(path, data, bytes));
}

static void load_fails(const char *path, const char *part) {
    ap_model *m = NULL;
    must_fail(ap_model_load(path, &m), AP_ERR_MODEL_EXTERNAL, part);
}

static void reads_a_range(void **state) {
    bench *b = *state;
    put(b, "m/w.bin", 100);
    char *path = with_location(b, "w.bin", "7", "16"); // not aligned
    ap_model *m = NULL;
    must(ap_model_load(path, &m));
    ap_tensor t = {0}, again = {0};
    must(ap_model_tensor(m, ap_graph_value(m->graph, "e")->init, &t));
    assert_int_equal(t.bytes, 16);
    assert_int_equal(((uint8_t *)t.data)[0], 8);
    assert_int_equal((uintptr_t)t.data % 4, 0);
    must(ap_model_tensor(m, ap_graph_value(m->graph, "e")->init, &again));
    assert_ptr_equal(t.data, again.data);
    ap_model_free(m);
}

static void locations_that_leave(void **state) {
    bench *b = *state;
    put(b, "m/w.bin", 16);
    put(b, "secret", 16);
    put(b, "m/sub/deep.bin", 16);
    load_fails(with_location(b, "../secret", NULL, NULL), "leaves the model's folder");
    load_fails(with_location(b, "sub/../../secret", NULL, NULL), "leaves the model's folder");
    load_fails(with_location(b, "sub\\..\\..\\secret", NULL, NULL), "leaves the model's folder");
    load_fails(with_location(b, "..", NULL, NULL), "leaves the model's folder");
    load_fails(with_location(b, "/etc/passwd", NULL, NULL), "absolute");
    load_fails(with_location(b, "\\\\host\\file", NULL, NULL), "absolute");
    load_fails(with_location(b, "C:\\w.bin", NULL, NULL), "absolute");
    load_fails(with_location(b, "", NULL, NULL), "empty");
    load_fails(with_location(b, NULL, NULL, NULL), "names no file");
    load_fails(with_location(b, "absent.bin", NULL, NULL), "is not in");
    assert_int_equal(symlink("../secret", at(b, "m/link")), 0);
    assert_int_equal(symlink("..", at(b, "m/up")), 0);
    assert_int_equal(symlink("sub/deep.bin", at(b, "m/fine")), 0);
    load_fails(with_location(b, "link", NULL, NULL), "link that leaves");
    load_fails(with_location(b, "up/secret", NULL, NULL), "link that leaves");
    ap_model *m = NULL;
    must(ap_model_load(with_location(b, "fine", NULL, NULL), &m));
    ap_model_free(m);
    must(ap_model_load(with_location(b, "sub/deep.bin", NULL, NULL), &m));
    ap_model_free(m);
}

static void files_that_are_not_data(void **state) {
    bench *b = *state;
    put(b, "m/empty", 0);
    put(b, "m/short", 15);
    load_fails(with_location(b, "empty", NULL, NULL), "needs bytes 0 to 16 of \"empty\", which has 0");
    load_fails(with_location(b, "short", NULL, NULL), "which has 15");
    must(ap_mkdirs(at(b, "m/folder")));
    assert_int_equal(mkfifo(at(b, "m/fifo"), 0600), 0);
    load_fails(with_location(b, "folder", NULL, NULL), "cannot be read");
    load_fails(with_location(b, "fifo", NULL, NULL), "cannot be read");
    load_fails(with_location(b, ".", NULL, NULL), "cannot be read");
}

static void ranges_that_are_not_inside(void **state) {
    bench *b = *state;
    put(b, "m/w.bin", 32);
    load_fails(with_location(b, "w.bin", "17", NULL), "which has 32");
    load_fails(with_location(b, "w.bin", "18446744073709551615", NULL), "which has 32");
    load_fails(with_location(b, "w.bin", "18446744073709551616", NULL), "not a number");
    load_fails(with_location(b, "w.bin", "-4", NULL), "not a number");
    load_fails(with_location(b, "w.bin", " 4", NULL), "not a number");
    load_fails(with_location(b, "w.bin", "", NULL), "not a number");
    load_fails(with_location(b, "w.bin", "0x10", NULL), "not a number");
    load_fails(with_location(b, "w.bin", "0", "12"), "length is 12 bytes, its type and shape need 16");
    load_fails(with_location(b, "w.bin", NULL, "32"), "need 16");
}

static void from_memory_there_is_no_folder(void **state) {
    bench *b = *state;
    put(b, "m/w.bin", 16);
    (void)with_location(b, "w.bin", NULL, NULL);
    size_t len;
    uint8_t *bytes = packed(b, &len);
    ap_model *m = NULL;
    must_fail(ap_model_parse(bytes, len, NULL, &m), AP_ERR_MODEL_EXTERNAL, "no folder");
    must(ap_model_parse(bytes, len, at(b, "m"), &m));
    ap_model_free(m);
}

// ---- saving

static void expect_data(const char *path, uint8_t first) {
    ap_model *m = NULL;
    ap_tensor t = {0};
    must(ap_model_load(path, &m));
    must(ap_model_tensor(m, ap_graph_value(m->graph, "e")->init, &t));
    assert_int_equal(t.bytes, 16);
    assert_int_equal(((const uint8_t *)t.data)[0], first);
    ap_model_free(m);
}

static void data_goes_along(void **state) {
    bench *b = *state;
    put(b, "m/sub/w.bin", 64);
    char *path = with_location(b, "sub/w.bin", "4", NULL);
    ap_model *m = NULL;
    must(ap_model_load(path, &m));
    must(ap_mkdirs(at(b, "n")));
    must(ap_mkdirs(at(b, "o")));
    must(ap_model_save(m, at(b, "n/model.onnx"), NULL));
    must(ap_model_save(m, at(b, "n/model.onnx"), NULL)); // once more over itself
    m->edited = true;
    must(ap_model_save(m, at(b, "o/edited.onnx"), NULL));
    must(ap_model_save(m, at(b, "m/beside.onnx"), NULL));
    ap_model_free(m);
    must(ap_rmtree(at(b, "m")));
    expect_data(at(b, "n/model.onnx"), 5);
    expect_data(at(b, "o/edited.onnx"), 5);
    assert_same_file(at(b, "n/sub/w.bin"), at(b, "o/sub/w.bin"));
}

static void other_data_is_not_overwritten(void **state) {
    bench *b = *state;
    put(b, "m/w.bin", 64);
    put(b, "n/w.bin", 65);
    ap_model *m = NULL;
    must(ap_model_load(with_location(b, "w.bin", NULL, NULL), &m));
    must_fail(ap_model_save(m, at(b, "n/model.onnx"), NULL), AP_ERR_IO, "is there already");
    assert_false(ap_file_exists(at(b, "n/model.onnx")));
    ap_model_free(m);
}

static void moves_weights_out(void **state) {
    bench *b = *state;
    put(b, "m/w.bin", 64);
    (void)with_location(b, "w.bin", "4", NULL);
    Onnx__TensorProto *big = weight(b, "big", AP_U8, "5000", 5000);
    memset(big->raw_data.data, 77, 5000);
    char *path = write_model(b, "m/model.onnx");
    ap_model *m = NULL;
    must(ap_model_load(path, &m));
    must(ap_mkdirs(at(b, "n")));
    ap_save_options o = {.external_name = "weights.bin"};
    must(ap_model_save(m, at(b, "n/model.onnx"), &o));
    assert_int_equal(ap_graph_value(m->graph, "big")->init->raw_data.len,
                     5000); // the model itself is as before
    o.external_name = "../weights.bin";
    must_fail(ap_model_save(m, at(b, "n/model.onnx"), &o), AP_ERR_USAGE, "plain file name");
    ap_model_free(m);
    assert_false(ap_file_exists(at(b, "n/w.bin"))); // its one tensor lies in the new file
    expect_data(at(b, "n/model.onnx"), 5);
    ap_tensor t = {0};
    must(ap_model_load(at(b, "n/model.onnx"), &m));
    const Onnx__TensorProto *p = ap_graph_value(m->graph, "big")->init;
    assert_int_equal(p->data_location, ONNX__TENSOR_PROTO__LOCATION__EXTERNAL);
    must(ap_model_tensor(m, p, &t));
    assert_int_equal(t.bytes, 5000);
    assert_int_equal(((const uint8_t *)t.data)[4999], 77);
    assert_int_equal(ap_graph_value(m->graph, "w")->init->data_location, 0); // 16 bytes stay
    ap_model_free(m);
}

// Inside again: the same elements, in one file that needs no other, and the model itself is as it was.
static void weights_come_back_inside(void **state) {
    bench *b = *state;
    put(b, "m/w.bin", 100);
    ap_model *m = NULL, *alone = NULL;
    ap_tensor t = {0};
    must(ap_model_load(with_location(b, "w.bin", "7", "16"), &m));
    must(ap_mkdirs(at(b, "alone")));
    must(ap_model_save(m, at(b, "alone/model.onnx"), &(ap_save_options){.embed = true}));
    assert_false(ap_file_exists(at(b, "alone/w.bin")));
    must(ap_model_load(at(b, "alone/model.onnx"), &alone));
    const Onnx__TensorProto *inside = ap_graph_value(alone->graph, "e")->init;
    assert_int_equal(inside->n_external_data, 0);
    assert_int_equal(inside->raw_data.len, 16);
    must(ap_model_tensor(alone, inside, &t));
    assert_int_equal(((uint8_t *)t.data)[0], 8);
    assert_int_equal(ap_graph_value(m->graph, "e")->init->n_external_data, 3);
    ap_model_free(alone);
    ap_model_free(m);
}

// A body's external tensor stays where it is, so its file must not be replaced by the new one.
static void new_file_may_not_take_a_used_name(void **state) {
    bench *b = *state;
    put(b, "m/w.bin", 64);
    (void)with_location(b, "w.bin", "4", NULL);
    Onnx__TensorProto *t = tensor(b, "k", AP_F32, "4");
    say_external(b, t, "location", "w.bin");
    Onnx__NodeProto *n = node(b, "k", "Constant", "", "kk");
    attr(b, n, "value", ONNX__ATTRIBUTE_PROTO__KIND__TENSOR)->t = t;
    ap_model *m = NULL;
    must(ap_model_load(write_model(b, "m/model.onnx"), &m));
    ap_save_options o = {.external_name = "w.bin"};
    must_fail(ap_model_save(m, at(b, "m/two.onnx"), &o), AP_ERR_USAGE, "w.bin");
    ap_model_free(m);
    expect_data(at(b, "m/model.onnx"), 5);
}

static void digest_covers_the_data(void **state) {
    bench *b = *state;
    char first[65], second[65], third[65];
    ap_model *m = NULL;
    put(b, "m/w.bin", 16);
    char *path = with_location(b, "w.bin", NULL, NULL);
    must(ap_model_load(path, &m));
    must(ap_model_digest(m, first));
    must(ap_model_digest(m, second));
    assert_string_equal(first, second);
    ap_model_free(m);
    must(ap_file_write(at(b, "m/w.bin"), "0123456789abcdef", 16));
    must(ap_model_load(path, &m));
    must(ap_model_digest(m, second));
    assert_string_not_equal(first, second);
    must(ap_model_set_symbol(m, "n", 2));
    must(ap_model_digest(m, third));
    assert_string_not_equal(second, third);
    ap_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(reads_a_range),
        BENCH_TEST(locations_that_leave),
        BENCH_TEST(files_that_are_not_data),
        BENCH_TEST(ranges_that_are_not_inside),
        BENCH_TEST(from_memory_there_is_no_folder),
        BENCH_TEST(data_goes_along),
        BENCH_TEST(other_data_is_not_overwritten),
        BENCH_TEST(moves_weights_out),
        BENCH_TEST(weights_come_back_inside),
        BENCH_TEST(new_file_may_not_take_a_used_name),
        BENCH_TEST(digest_covers_the_data),
    };
    return cmocka_run_group_tests_name("graph external", tests, NULL, NULL);
}
