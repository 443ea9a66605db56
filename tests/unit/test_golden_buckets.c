// SPDX-License-Identifier: Apache-2.0
// buckets: --shape with several sizes becomes one list of arguments for each combination; what cannot be
// meant is an error.
#include "test_graph_build.h"

#include "golden/buckets.h"
#include "golden/contract.h"

static ap_model *net(bench *b) {
    fresh(b);
    input(b, "x", "batch,3,h,w");
    output(b, "y", "batch,3,h,w");
    node(b, "relu", "Relu", "x", "y");
    return accepted(b);
}

// "NAME: ARG ARG | NAME: …" of all buckets.
static void buckets(bench *b, const char *const *args, size_t count, const char *want) {
    ap_model *m = net(b);
    ap_arena a = {0};
    ap_bucket *list = NULL;
    ap_buf text = {0};
    size_t n = 0;
    must(ap_buckets_of(m, args, count, &a, &list, &n));
    for (size_t i = 0; i < n; i++) {
        ap_buf_printf(&text, "%s%s:", i ? " | " : "", list[i].name);
        for (size_t k = 0; k < count; k++) ap_buf_printf(&text, " %s", list[i].shapes[k]);
    }
    assert_string_equal(ap_buf_str(&text), want);
    ap_buf_free(&text);
    ap_arena_release(&a);
    ap_model_free(m);
}
#define BUCKETS(want, ...)                                                                                   \
    buckets(b, (const char *const[]){__VA_ARGS__},                                                           \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), want)

static void combinations(void **state) {
    bench *b = *state;
    BUCKETS("all: batch=1 h=8", "batch=1", "h=8");
    BUCKETS("all: x=1,3,8,8", "x=1,3,8,8");
    BUCKETS("all: x=1x3x8x8", "x=1x3x8x8");
    BUCKETS("batch-1: batch=1 | batch-2: batch=2 | batch-4: batch=4", "batch=1,2,4");
    BUCKETS("batch-1: batch=1 | batch-3: batch=3", "batch=1/3");
    BUCKETS("h-8: batch=1 h=8 | h-9: batch=1 h=9", "batch=1", "h=8..9");
    BUCKETS("h-32: h=32 | h-64: h=64 | h-96: h=96", "h=32..100+32");
    BUCKETS("h-16: h=16 | h-32: h=32 | h-64: h=64 | h-9: h=9", "h=16..64*2/9");
    BUCKETS("x-1x3x8x8: x=1x3x8x8 | x-1x3x8x9: x=1x3x8x9 | x-2x3x8x8: x=2x3x8x8 | x-2x3x8x9: x=2x3x8x9",
            "x=1..2,3,8,8/9");
    BUCKETS("batch-1_h-4: batch=1 h=4 w=5 | batch-1_h-5: batch=1 h=5 w=5 | batch-2_h-4: batch=2 h=4 w=5 | "
            "batch-2_h-5: batch=2 h=5 w=5",
            "batch=1,2", "h=4..5", "w=5");
}

static void bad(bench *b, const char *arg, ap_code code, const char *part) {
    ap_model *m = net(b);
    ap_arena a = {0};
    ap_bucket *list = NULL;
    size_t n = 0;
    const char *const args[] = {"w=1..2", arg};
    must_fail(ap_buckets_of(m, args, 2, &a, &list, &n), code, part);
    ap_arena_release(&a);
    ap_model_free(m);
}

static void mistakes(void **state) {
    bench *b = *state;
    bad(b, "batch=1..", AP_ERR_INPUT_SHAPE, "no size at \"\"");
    bad(b, "batch=..4", AP_ERR_INPUT_SHAPE, "no size at \"..4\"");
    bad(b, "batch=1,", AP_ERR_INPUT_SHAPE, "no size at");
    bad(b, "batch=1..4+", AP_ERR_INPUT_SHAPE, "no size at");
    bad(b, "batch=1..4;5", AP_ERR_INPUT_SHAPE, "no size at \";5\"");
    bad(b, "batch=1/x", AP_ERR_INPUT_SHAPE, "no size at \"x\"");
    bad(b, "batch=1/99999999999999999999", AP_ERR_INPUT_SHAPE, "no size at");
    bad(b, "batch=0..2", AP_ERR_INPUT_SHAPE, "sizes start at 1");
    bad(b, "batch=1..4+0", AP_ERR_INPUT_SHAPE, "sizes start at 1");
    bad(b, "batch=1..4*1", AP_ERR_USAGE, "a factor is 2 or more");
    bad(b, "batch=4..1", AP_ERR_USAGE, "runs backwards");
    bad(b, "batch=1..4/2", AP_ERR_USAGE, "names 2 twice");
    bad(b, "batch=1..33", AP_ERR_USAGE, "more than 32 sizes at one place");
    bad(b, "batch=1..999999999", AP_ERR_USAGE, "more than 32 sizes at one place");
    bad(b, "batch=1..17", AP_ERR_USAGE, "more than 32 artifacts");
    bad(b, "x=1..8,3,1..8,4", AP_ERR_USAGE, "more than 32 artifacts");
    bad(b, "x=1/2,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", AP_ERR_INPUT_SHAPE, "dimensions");
    bad(b, "=1/2", AP_ERR_USAGE, "--shape wants");
}

// Odd characters of names do not leave the folder, and no two buckets share one.
static void names(void **state) {
    bench *b = *state;
    BUCKETS("_._.._n-1: ../../n=1 | _._.._n-2: ../../n=2", "../../n=1/2");
    BUCKETS("h_-1_h_-1: h:=1 h;=1 | h_-1_h_-2: h:=1 h;=2 | h_-2_h_-1: h:=2 h;=1 | h_-2_h_-2: h:=2 h;=2",
            "h:=1/2", "h;=1/2");
}

// What one size means is unchanged, and several are no shape.
static void one_size_elsewhere(void **state) {
    bench *b = *state;
    ap_model *m = net(b);
    json_t *shapes = NULL;
    const char *const args[] = {"batch=1..2"};
    const ap_input_request r = {.shapes = args, .shape_count = 1};
    must_fail(ap_contract_shapes(m, &r, &shapes), AP_ERR_INPUT_SHAPE, "is not a list of sizes");
    ap_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(combinations),
        BENCH_TEST(mistakes),
        BENCH_TEST(names),
        BENCH_TEST(one_size_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
