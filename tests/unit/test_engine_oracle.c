// SPDX-License-Identifier: Apache-2.0
// oracle: the same tensors in one run or in many, and the model as it was.
#include "test_graph_build.h"
#include "test_runtime.h"

#include "engine/oracle.h"

static char ort_path[4096];
static ap_engine *engine;

static int open_engine(void **state) {
    (void)state;
    ap_err err = ap_engine_open(ort_path, &engine);
    if (err) print_error("%s\n", ap_err_message(err));
    return err ? -1 : 0;
}
static int close_engine(void **state) {
    (void)state;
    ap_engine_close(engine);
    return 0;
}

enum { STEPS = 12, ELEMENTS = 6 };

// x → v1 → v2 … alternating Exp, Neg, Sin; y is the last. A weight and a shape branch are in it, too.
static ap_model *long_chain(bench *b) {
    static const char *const ops[] = {"Sin", "Neg", "Exp"};
    fresh(b);
    input(b, "v0", "n,3");
    weight(b, "w", AP_F32, "3", 12);
    for (int i = 1; i <= STEPS; i++)
        node(b, ap_arena_printf(&b->arena, "n%d", i), ops[i % 3], ap_arena_printf(&b->arena, "v%d", i - 1),
             ap_arena_printf(&b->arena, "v%d", i));
    node(b, "shape", "Shape", "v3", "s");
    node(b, "add", "Add", "v12,w", "y");
    output(b, "y", "n,3");
    ap_model *m = accepted(b);
    must(ap_model_set_symbol(m, "n", 2));
    return m;
}

typedef struct kept {
    bench *b;
    const char *names[MOST];
    ap_tensor values[MOST];
    size_t count, fail_at;
} kept;

static ap_err keep(void *user, const char *name, const ap_tensor *t) {
    kept *k = user;
    if (k->fail_at && k->count + 1 == k->fail_at) return ap_err_new(AP_ERR_DISK_FULL, "enough");
    k->names[k->count] = dup_text(k->b, name);
    ap_err err = ap_tensor_clone(t, &k->values[k->count]);
    if (!err) k->count++;
    return err;
}
static void kept_release(kept *k) {
    for (size_t i = 0; i < k->count; i++) ap_tensor_free(&k->values[i]);
}

static ap_err ask(ap_model *m, const char *const *names, size_t count, size_t budget, kept *k,
                  ap_oracle_stats *stats) {
    float x[ELEMENTS] = {0.1f, -0.2f, 0.3f, -0.4f, 0.5f, -0.6f};
    ap_named_tensor in = {.name = "v0"};
    must(ap_tensor_view(AP_F32, (const int64_t[]){2, 3}, 2, x, sizeof x, &in.t));
    ap_oracle_options o = {.tensors = names,
                           .tensor_count = count,
                           .budget_bytes = budget,
                           .sink = keep,
                           .user = k,
                           .threads = 1};
    return ap_oracle_run(engine, m, &in, 1, &o, stats);
}

static const char *const all[] = {"v1", "v2",  "v3",  "v4", "v5", "v6", "v7", "v8",
                                  "v9", "v10", "v11", "s",  "y",  "w",  "v0"};
enum { ALL = sizeof all / sizeof *all };

static void assert_outputs_are_back(const ap_model *m) {
    assert_int_equal(m->graph->output_count, 1);
    assert_string_equal(m->graph->outputs[0]->name, "y");
    assert_int_equal(m->graph->proto->n_output, 1);
    assert_string_equal(m->graph->proto->output[0]->name, "y");
    must(ap_model_verify(m));
}

static void chunks_change_nothing(void **state) {
    bench *b = *state;
    ap_model *m = long_chain(b);
    kept whole = {.b = b};
    ap_oracle_stats stats = {0};
    must(ask(m, all, ALL, 0, &whole, &stats));
    assert_int_equal(stats.chunks, 1);
    assert_int_equal(whole.count, ALL);
    static const size_t budgets[] = {1, 24, 25, 48, 100, 1000};
    static const size_t chunks[] = {ALL, 0, 0, 0, 0, 1};
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        kept part = {.b = b};
        must(ask(m, all, ALL, budgets[i], &part, &stats));
        assert_int_equal(part.count, ALL);
        if (chunks[i]) assert_int_equal(stats.chunks, chunks[i]);
        for (size_t k = 0; k < ALL; k++) {
            const ap_tensor *x = &whole.values[k], *y = &part.values[k];
            assert_string_equal(part.names[k], all[k]);
            assert_int_equal(x->dtype, y->dtype);
            assert_true(ap_shape_equal(x->dims, x->rank, y->dims, y->rank));
            assert_memory_equal(x->data, y->data, x->bytes);
        }
        assert_outputs_are_back(m);
        kept_release(&part);
    }
    assert_int_equal(whole.values[11].dtype, AP_I64); // the shape
    assert_int_equal(((int64_t *)whole.values[11].data)[0], 2);
    kept_release(&whole);
    ap_model_free(m);
}

static void no_names_mean_the_outputs(void **state) {
    bench *b = *state;
    ap_model *m = long_chain(b);
    kept k = {.b = b};
    must(ask(m, NULL, 0, 0, &k, NULL));
    assert_int_equal(k.count, 1);
    assert_string_equal(k.names[0], "y");
    kept_release(&k);
    ap_model_free(m);
}

static void after_an_error_too(void **state) {
    bench *b = *state;
    ap_model *m = long_chain(b);
    kept k = {.b = b, .fail_at = 3};
    must_fail(ask(m, all, ALL, 1, &k, NULL), AP_ERR_DISK_FULL, "enough");
    assert_int_equal(k.count, 2);
    assert_outputs_are_back(m);
    kept_release(&k);
    k = (kept){.b = b};
    must_fail(ask(m, (const char *const[]){"v1", "nobody"}, 2, 0, &k, NULL), AP_ERR_MODEL_MISSING, "nobody");
    assert_outputs_are_back(m);
    ap_oracle_options o = {.sink = keep, .user = &k};
    must_fail(ap_oracle_run(engine, m, NULL, 0, &o, NULL), AP_ERR_INPUT_NAME, "no value for input 'v0'");
    assert_outputs_are_back(m);
    assert_int_equal(k.count, 0);
    ap_model_free(m);
}

// Sizes that depend on data: nothing is known before the run.
static void unknown_sizes(void **state) {
    bench *b = *state;
    fresh(b);
    input(b, "v0", "2,3");
    output(b, "nz", "2,?");
    b->graph->output[0]->type = tensor_type(b, AP_I64, "2,?");
    node(b, "relu", "Relu", "v0", "r");
    node(b, "nonzero", "NonZero", "r", "nz");
    ap_model *m = accepted(b);
    kept k = {.b = b};
    must(ask(m, (const char *const[]){"nz", "r"}, 2, 16, &k, NULL));
    assert_int_equal(k.values[0].dims[1], 3);
    kept_release(&k);
    ap_model_free(m);
}

static ap_err drop(void *user, const char *name, const ap_tensor *t) {
    (void)name;
    (void)t;
    ++*(size_t *)user;
    return NULL;
}

// Many of them: what the first ones take says how many the next session may have, so that sessions stay few.
static void sizes_are_learned(void **state) {
    enum { VALUES = MOST - 2 };
    bench *b = *state;
    const char *names[VALUES];
    float x[6] = {0.1f, -0.2f, 0.3f, -0.4f, 0.5f, -0.6f};
    size_t seen = 0;
    fresh(b);
    input(b, "v0", "2,3");
    output(b, "n0", "2,?");
    b->graph->output[0]->type = tensor_type(b, AP_I64, "2,?");
    node(b, "find", "NonZero", "v0", "n0");
    for (size_t i = 0; i < VALUES; i++) {
        char in[16];
        snprintf(in, sizeof in, "n%zu", i);
        names[i] = ap_arena_printf(&b->arena, "n%zu", i + 1);
        node(b, names[i], "Abs", dup_text(b, in), names[i]);
    }
    ap_model *m = accepted(b);
    ap_named_tensor given = {.name = "v0"};
    must(ap_tensor_view(AP_F32, (const int64_t[]){2, 3}, 2, x, sizeof x, &given.t));
    ap_oracle_options o = {.tensors = names,
                           .tensor_count = VALUES,
                           .budget_bytes = 1 << 20,
                           .sink = drop,
                           .user = &seen,
                           .threads = 1};
    ap_oracle_stats stats = {0};
    must(ap_oracle_run(engine, m, &given, 1, &o, &stats));
    assert_int_equal(seen, VALUES);
    assert_int_equal(stats.chunks, 2); // sixteen, and the rest
    ap_model_free(m);
}

int main(void) {
    if (!test_runtime_file("onnxruntime", "libonnxruntime.so.1", ort_path))
        return test_skipped("onnxruntime");
    const struct CMUnitTest tests[] = {
        BENCH_TEST(chunks_change_nothing), BENCH_TEST(no_names_mean_the_outputs),
        BENCH_TEST(after_an_error_too),    BENCH_TEST(unknown_sizes),
        BENCH_TEST(sizes_are_learned),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
