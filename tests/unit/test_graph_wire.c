// SPDX-License-Identifier: Apache-2.0
// Reading bytes: round trips, and everything a hostile file may try.
#include "test_graph_build.h"

#include "base/proc.h"

#include <sys/stat.h>

// ---- round trips

static void unedited_saves_the_same_bytes(void **state) {
    bench *b = *state;
    chain(b);
    weight(b, "big", AP_F32, "5000", 20000);
    char *from = write_model(b, "a.onnx"), *to = at(b, "b.onnx");
    ap_model *m = NULL;
    must(ap_model_load(from, &m));
    must(ap_model_save(m, to, NULL));
    assert_same_file(from, to);
    ap_buf bytes = {0};
    must(ap_model_bytes(m, &bytes));
    assert_int_equal(bytes.len, m->len);
    assert_memory_equal(bytes.data, m->bytes, m->len);
    ap_buf_free(&bytes);
    ap_model_free(m);
}

// Packing what was read gives the same bytes: the subset loses nothing.
static void edited_without_change_packs_the_same_bytes(void **state) {
    bench *b = *state;
    chain(b);
    weight(b, "big", AP_F32, "5000", 20000);
    weight(b, "bigger", AP_U8, "70000", 70000);
    char *from = write_model(b, "a.onnx"), *to = at(b, "b.onnx");
    ap_model *m = NULL;
    must(ap_model_load(from, &m));
    m->edited = true;
    must(ap_model_save(m, to, NULL));
    assert_same_file(from, to);
    ap_model_free(m);
}

static void weights_point_into_the_file(void **state) {
    bench *b = *state;
    chain(b);
    Onnx__TensorProto *big = weight(b, "big", AP_U8, "5000", 5000);
    for (size_t i = 0; i < 5000; i++) big->raw_data.data[i] = (uint8_t)(i * 7);
    size_t len;
    uint8_t *bytes = packed(b, &len);
    ap_model *m = NULL;
    must(ap_model_parse(bytes, len, NULL, &m));
    const ap_value *v = ap_graph_value(m->graph, "big");
    assert_true(v->init->raw_data.data > bytes && v->init->raw_data.data < bytes + len);
    assert_memory_equal(v->init->raw_data.data, big->raw_data.data, 5000);
    ap_model_free(m);
}

// Data that looks like the reader's own placeholder, in front of and behind a real one.
static void forged_ticket_is_only_data(void **state) {
    bench *b = *state;
    char forged[24] = "aipc raw ticket\n";
    memset(forged + 16, 0x01, 8);
    chain(b);
    set_raw(weight(b, "f1", AP_U8, "24", 24), forged, 24);
    weight(b, "big", AP_U8, "5000", 5000);
    set_raw(weight(b, "f2", AP_U8, "24", 24), forged, 24);
    ap_model *m = accepted(b);
    assert_memory_equal(ap_graph_value(m->graph, "f1")->init->raw_data.data, forged, 24);
    assert_memory_equal(ap_graph_value(m->graph, "f2")->init->raw_data.data, forged, 24);
    assert_int_equal(ap_graph_value(m->graph, "big")->init->raw_data.len, 5000);
    ap_model_free(m);
}

static void unknown_fields_survive_an_edit(void **state) {
    bench *b = *state;
    chain(b);
    size_t len;
    uint8_t *bytes = packed(b, &len);
    // Model field 900 (text) and 20 (training info), at the end as writers put them.
    static const uint8_t extra[] = {0xa2, 0x01, 0x02, 0x0a, 0x00, 0xa2, 0x38, 0x05, 'h', 'e', 'l', 'l', 'o'};
    uint8_t *with = ap_arena_alloc(&b->arena, len + sizeof extra);
    memcpy(with, bytes, len);
    memcpy(with + len, extra, sizeof extra);
    ap_model *m = NULL;
    must(ap_model_parse(with, len + sizeof extra, NULL, &m));
    must(ap_model_set_symbol(m, "n", 3));
    ap_buf out = {0};
    must(ap_model_bytes(m, &out));
    assert_non_null(memmem(out.data, out.len, extra, sizeof extra));
    ap_buf_free(&out);
    ap_model_free(m);
}

static bool is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

// Every official test model loads, or is refused for its age alone, and comes back byte for byte, both as
// kept bytes and packed anew.
static void official_models(void **state) {
    bench *b = *state;
    static const char *const groups[] = {"node", "simple", "pytorch-converted", "pytorch-operator", "light"};
    size_t loaded = 0, old = 0;
    for (size_t g = 0; g < 5; g++) {
        char *dir = ap_arena_printf(&b->arena, "/usr/share/libonnx-testdata/data/%s", groups[g]);
        if (!ap_is_dir(dir)) continue;
        const char **names;
        size_t count;
        must(ap_list_dir(dir, &b->arena, &names, &count));
        for (size_t i = 0; i < count; i++) {
            char *path = ap_arena_printf(&b->arena, "%s/%s/model.onnx", dir, names[i]), *to = at(b, "o.onnx");
            if (!is_file(path)) continue;
            ap_model *m = NULL;
            ap_err err = ap_model_load(path, &m);
            if (err) {
                must_fail(err, AP_ERR_MODEL_INVALID, "opset");
                old++;
                continue;
            }
            must(ap_model_save(m, to, NULL));
            assert_same_file(path, to);
            if (!m->normalized) {
                m->edited = true;
                must(ap_model_save(m, to, NULL));
                assert_same_file(path, to);
            }
            ap_model_free(m);
            loaded++;
        }
    }
    if (!loaded) skip();
    print_message("%zu models, %zu more with an old opset\n", loaded, old);
    assert_true(loaded > 500);
}

// ---- damage

// Whatever is loaded can be written and read again.
static void survives(const uint8_t *bytes, size_t len) {
    ap_model *m = NULL, *again = NULL;
    ap_err err = ap_model_parse(bytes, len, NULL, &m);
    if (err) {
        assert_int_equal(ap_code_exit(ap_err_code(err)), AP_EXIT_MODEL);
        ap_err_free(err);
        return;
    }
    ap_buf out = {0};
    m->edited = true;
    must(ap_model_bytes(m, &out));
    must(ap_model_parse(out.data, out.len, NULL, &again));
    ap_model_free(again);
    ap_model_free(m);
    ap_buf_free(&out);
}

static void rich(bench *b) {
    chain(b);
    Onnx__GraphProto *body = new_graph(b, "body");
    add_node(b, body, "in", "Relu", "sum", "r");
    PUSH(b, body, output, info(b, "r", NULL));
    Onnx__NodeProto *n = node(b, "if", "If", "c", "z");
    attr_graph(b, n, "then_branch", body);
    Onnx__TensorProto *c = tensor(b, "c", AP_BOOL, "");
    PUSH(b, c, int32_data, 1);
    PUSH(b, b->graph, initializer, c);
    output(b, "z", NULL);
}

static void cut_at_every_byte(void **state) {
    bench *b = *state;
    rich(b);
    size_t len;
    uint8_t *bytes = packed(b, &len);
    for (size_t n = 0; n < len; n++) {
        uint8_t *part = ap_alloc(n); // its own block, so that a sanitizer sees a read behind the end
        memcpy(part, bytes, n);
        survives(part, n);
        free(part);
    }
}

static void flip_every_bit(void **state) {
    bench *b = *state;
    rich(b);
    size_t len;
    uint8_t *bytes = packed(b, &len), *copy = ap_alloc(len);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        memcpy(copy, bytes, len);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        survives(copy, len);
    }
    free(copy);
}

static void not_a_model(void **state) {
    (void)state;
    ap_model *m = NULL;
    must_fail(ap_model_parse("", 0, NULL, &m), AP_ERR_MODEL_PARSE, "empty");
    must_fail(ap_model_parse("<html>hello</html>", 18, NULL, &m), AP_ERR_MODEL_PARSE, "a web page");
    must_fail(ap_model_parse("PK\3\4 a checkpoint", 17, NULL, &m), AP_ERR_MODEL_PARSE, "PyTorch");
    must_fail(ap_model_parse("\x07\0\0\0\0\0\0\0\0", 9, NULL, &m), AP_ERR_MODEL_PARSE, "byte");
    must_fail(ap_model_parse("\x08\x08", 2, NULL, &m), AP_ERR_MODEL_PARSE, "no graph");
    must_fail(ap_model_load("/nonexistent/m.onnx", &m), AP_ERR_NOT_FOUND, "m.onnx");
    must_fail(ap_model_load("/tmp", &m), AP_ERR_IO, "");
    ap_err err = ap_model_parse("\x08\x08\x3a\x05\x0a\x7f", 6, NULL, &m);
    uint64_t offset = 0;
    assert_true(ap_err_offset(err, &offset));
    assert_int_equal(offset, 4);
    ap_err_free(err);
}

// ---- bombs

// Wraps `inner` in a field of number `id`.
static void wrap(ap_buf *inner, unsigned id) {
    ap_buf out = {0};
    ap_buf_putc(&out, (char)(id << 3 | 2));
    size_t n = inner->len;
    for (; n >= 0x80; n >>= 7) ap_buf_putc(&out, (char)(n | 0x80));
    ap_buf_putc(&out, (char)n);
    if (inner->len) ap_buf_append(&out, inner->data, inner->len);
    ap_buf_free(inner);
    *inner = out;
}

static void deep_bodies(size_t levels, ap_buf *out) {
    for (size_t i = 0; i < levels; i++) {
        wrap(out, 6); // attribute.g
        wrap(out, 5); // node.attribute
        wrap(out, 1); // graph.node
    }
    wrap(out, 7); // model.graph
}

static void nesting_is_bounded(void **state) {
    (void)state;
    ap_model *m = NULL;
    ap_buf deep = {0};
    deep_bodies(3400, &deep); // 10000 messages
    must_fail(ap_model_parse(deep.data, deep.len, NULL, &m), AP_ERR_MODEL_PARSE, "nested too deep");
    ap_buf_free(&deep);
    deep_bodies(60, &deep); // read, then refused as it says nothing else
    must_fail(ap_model_parse(deep.data, deep.len, NULL, &m), AP_ERR_MODEL_INVALID, "");
    ap_buf_free(&deep);
    for (size_t i = 0; i < 10000; i++) { // sequence of sequence of ...
        wrap(&deep, 1);
        wrap(&deep, 4);
    }
    wrap(&deep, 2);  // value info.type
    wrap(&deep, 11); // graph.input
    wrap(&deep, 7);
    must_fail(ap_model_parse(deep.data, deep.len, NULL, &m), AP_ERR_MODEL_PARSE, "nested too deep");
    ap_buf_free(&deep);
}

static void empty_nodes_are_bounded(void **state) {
    (void)state;
    ap_model *m = NULL;
    ap_buf many = {0};
    for (size_t i = 0; i < 8u << 20; i++) ap_buf_append(&many, "\x0a\x00", 2);
    wrap(&many, 7);
    must_fail(ap_model_parse(many.data, many.len, NULL, &m), AP_ERR_MODEL_PARSE, "memory limit");
    ap_buf_free(&many);
}

static void pieces_are_not_merged(void **state) {
    (void)state;
    ap_model *m = NULL;
    must_fail(ap_model_parse("\x3a\x00\x3a\x00", 4, NULL, &m), AP_ERR_MODEL_PARSE, "given twice");
}

static void texts_hold_no_nul(void **state) {
    (void)state;
    ap_model *m = NULL;
    must_fail(ap_model_parse("\x12\x03"
                             "a\0b",
                             5, NULL, &m),
              AP_ERR_MODEL_PARSE, "NUL");
}

static void wrong_wire_type(void **state) {
    (void)state;
    ap_model *m = NULL;
    must_fail(ap_model_parse("\x38\x01", 2, NULL, &m), AP_ERR_MODEL_PARSE, "wrong wire type");
    must_fail(ap_model_parse("\x0b\x0c", 2, NULL, &m), AP_ERR_MODEL_PARSE, "unknown wire type");
    must_fail(ap_model_parse("\x00\x00", 2, NULL, &m), AP_ERR_MODEL_PARSE, "field number 0");
}

// ---- size

static double seconds_since(uint64_t start_us) {
    return (double)(ap_now_us() - start_us) / 1e6;
}

// Speed and memory of a 150 MB model; printed, not asserted. Set AIPC_BIG=1.
static void big_model(void **state) {
    if (!getenv("AIPC_BIG")) skip();
    bench *b = *state;
    chain(b);
    for (int i = 0; i < 24; i++) {
        Onnx__TensorProto *t = weight(b, ap_arena_printf(&b->arena, "w%d", i), AP_F32, "1600000", 6400000);
        for (size_t k = 0; k < t->raw_data.len; k++) t->raw_data.data[k] = (uint8_t)(k * 31 + (size_t)i);
    }
    char *from = write_model(b, "big.onnx"), *to = at(b, "out.onnx");
    uint64_t start = ap_now_us();
    ap_model *m = NULL;
    must(ap_model_load(from, &m));
    double load = seconds_since(start), mb = (double)m->len / 1e6;
    start = ap_now_us();
    must(ap_model_save(m, to, NULL));
    double save = seconds_since(start);
    assert_same_file(from, to);
    m->edited = true;
    start = ap_now_us();
    must(ap_model_save(m, to, NULL));
    print_message("%.0f MB: load %.4f s, save %.3f s (%.0f MB/s), save edited %.3f s (%.0f MB/s)\n", mb, load,
                  save, mb / save, seconds_since(start), mb / seconds_since(start));
    ap_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(unedited_saves_the_same_bytes),
        BENCH_TEST(edited_without_change_packs_the_same_bytes),
        BENCH_TEST(weights_point_into_the_file),
        BENCH_TEST(forged_ticket_is_only_data),
        BENCH_TEST(unknown_fields_survive_an_edit),
        BENCH_TEST(official_models),
        BENCH_TEST(cut_at_every_byte),
        BENCH_TEST(flip_every_bit),
        BENCH_TEST(not_a_model),
        BENCH_TEST(nesting_is_bounded),
        BENCH_TEST(empty_nodes_are_bounded),
        BENCH_TEST(pieces_are_not_merged),
        BENCH_TEST(texts_hold_no_nul),
        BENCH_TEST(wrong_wire_type),
        BENCH_TEST(big_model),
    };
    return cmocka_run_group_tests_name("graph wire", tests, NULL, NULL);
}
