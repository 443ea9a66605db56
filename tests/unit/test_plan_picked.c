// SPDX-License-Identifier: Apache-2.0
// picked: what the original computes given the target's picks. Target and oracle are made up here: eight
// boxes with scores, of which three are picked.
#include "test_graph_build.h"

#include "base/file.h"
#include "plan/surgery/picked.h"
#include "tensor/npy.h"

enum { BOXES = 8, PICKED = 3 };
static const float scores[BOXES] = {0.9f, 0.8999f, 0.5f, 0.1f, 0.2f, 0.3f, 0.05f, 0.01f};
static const float boxes[BOXES] = {10, 20, 30, 40, 50, 60, 70, 80};

typedef struct stage {
    bench *b;
    ap_model *m;
    int64_t picks[PICKED];      // of the target
    float answer[PICKED];       // its output as shipped
    float when_exposed[PICKED]; // and with the indices as an output
    size_t asked;               // of the oracle
} stage;

static json_t *tensor_in(bench *b, const char *name, ap_dtype dtype, const void *data, size_t count) {
    static size_t files;
    ap_tensor t = {0};
    char *path = at(b, ap_arena_printf(&b->arena, "t%zu.npy", files++));
    must(ap_tensor_view(dtype, (const int64_t[]){1, (int64_t)count}, 2, (void *)(uintptr_t)data,
                        count * ap_dtype_bits(dtype) / 8, &t));
    must(ap_npy_write(path, &t));
    return json_pack("{ss,ss,s[ii],ss}", "name", name, "dtype", ap_dtype_name(dtype), "dims", 1, (int)count,
                     "file", path);
}

static ap_model *detector(bench *b) {
    fresh(b);
    input(b, "boxes", "1,8");
    input(b, "scores", "1,8");
    output(b, "y", "1,3");
    weight(b, "k", AP_I64, "1", 8);
    *(int64_t *)(void *)b->graph->initializer[0]->raw_data.data = PICKED;
    node(b, "r", "Relu", "scores", "s");
    attr_int(b, node(b, "top", "TopK", "s,k", "best,where"), "axis", 1);
    attr_int(b, node(b, "take", "GatherElements", "boxes,where", "taken"), "axis", 1);
    node(b, "out", "Identity", "taken", "y");
    return accepted(b);
}

static ap_err ask_target(void *user, json_t *names, const char *dir, json_t **out) {
    stage *s = user;
    (void)dir;
    assert_int_equal(json_array_size(names), 2);
    assert_string_equal(json_string_value(json_array_get(names, 0)), "y");
    assert_string_equal(json_string_value(json_array_get(names, 1)), "where");
    *out = json_pack("[o,o]", tensor_in(s->b, "y", AP_F32, s->when_exposed, PICKED),
                     tensor_in(s->b, "where", AP_I64, s->picks, PICKED));
    return NULL;
}

// Computes the model it is given, as far as a test can: the last input holds the picks.
static ap_err ask_oracle(void *user, const char *file, const json_t *inputs, json_t *names, const char *dir,
                         json_t **out) {
    stage *s = user;
    ap_model *given = NULL;
    ap_tensor t = {0};
    float y[PICKED], picked[PICKED];
    (void)dir;
    s->asked++;
    must(ap_model_load(file, &given));
    must(ap_model_verify(given));
    assert_int_equal(given->graph->input_count, 3);
    assert_int_equal(json_array_size(inputs), 3);
    assert_string_equal(given->graph->inputs[2]->name, ap_json_str(json_array_get(inputs, 2), "name", ""));
    ap_model_free(given);
    must(ap_npy_map(ap_json_str(json_array_get(inputs, 2), "file", ""), &t));
    for (size_t i = 0; i < PICKED; i++) {
        int64_t k = ((const int64_t *)t.data)[i];
        if (k < 0 || k >= BOXES) {
            ap_tensor_free(&t);
            return ap_err_new(AP_ERR_VENDOR, "indices element out of data bounds");
        }
        y[i] = boxes[k];
        picked[i] = scores[k];
    }
    ap_tensor_free(&t);
    assert_int_equal(json_array_size(names), 4); // y, best, picked, what is picked from
    const void *values[] = {y, scores, picked, scores};
    const size_t counts[] = {PICKED, PICKED, PICKED, BOXES};
    *out = json_array();
    for (size_t i = 0; i < 4; i++)
        json_array_append_new(
            *out, tensor_in(s->b, json_string_value(json_array_get(names, i)), AP_F32, values[i], counts[i]));
    return NULL;
}

static stage play(bench *b, int64_t p0, int64_t p1, int64_t p2) {
    stage s = {.b = b, .m = detector(b), .picks = {p0, p1, p2}};
    for (size_t i = 0; i < PICKED; i++)
        s.answer[i] = s.when_exposed[i] = boxes[s.picks[i] >= 0 && s.picks[i] < BOXES ? s.picks[i] : 0];
    return s;
}

static void look(stage *s, json_t **golden, json_t **picks) {
    json_t *inputs = json_pack("[o,o]", tensor_in(s->b, "boxes", AP_F32, boxes, BOXES),
                               tensor_in(s->b, "scores", AP_F32, scores, BOXES)),
           *answer = json_pack("[o]", tensor_in(s->b, "y", AP_F32, s->answer, PICKED));
    must(ap_mkdirs(at(s->b, "look")));
    const ap_picked q = {.original = s->m,
                         .model = s->m,
                         .inputs = inputs,
                         .answer = answer,
                         .dir = at(s->b, "look"),
                         .oracle = ask_oracle,
                         .target = ask_target,
                         .user = s};
    must(ap_picked_look(&q, golden, picks));
    json_decref(inputs);
    json_decref(answer);
    ap_model_free(s->m);
}

static void other_order_is_seen(void **state) {
    json_t *golden = NULL, *picks = NULL;
    ap_metrics m;
    ap_tensor t = {0};
    stage s = play(*state, 1, 0, 2);
    look(&s, &golden, &picks);
    assert_int_equal(json_array_size(golden), 1);
    must(ap_npy_map(ap_json_str(json_array_get(golden, 0), "file", ""), &t));
    assert_true(((const float *)t.data)[0] == 20 && ((const float *)t.data)[1] == 10);
    ap_tensor_free(&t);
    assert_int_equal(json_array_size(picks), 1);
    assert_string_equal(ap_json_str(json_array_get(picks, 0), "indices", ""), "where");
    must(ap_picked_metrics(json_array_get(picks, 0), &m));
    assert_true(m.sqnr_db > 60 && !m.class_like);
    json_decref(golden);
    json_decref(picks);
}

// A worse element is not a nearly equal one.
static void bad_picks_show(void **state) {
    json_t *golden = NULL, *picks = NULL;
    ap_metrics m;
    stage s = play(*state, 0, 1, 7);
    look(&s, &golden, &picks);
    must(ap_picked_metrics(json_array_get(picks, 0), &m));
    assert_true(m.sqnr_db < 15);
    json_decref(golden);
    json_decref(picks);
}

static void nothing_to_see(stage s, size_t asked) {
    json_t *golden = NULL, *picks = NULL;
    look(&s, &golden, &picks);
    assert_null(golden);
    assert_null(picks);
    assert_int_equal(s.asked, asked);
}

static void picks_of_another_answer(void **state) {
    stage s = play(*state, 1, 0, 2);
    s.when_exposed[0] = 30;
    nothing_to_see(s, 0);
}

static void picks_that_are_none(void **state) {
    nothing_to_see(play(*state, 1, 1, 2), 1); // one twice
    nothing_to_see(play(*state, 1, 0, 8), 1);
    nothing_to_see(play(*state, -1, 0, 2), 1);
}

static void a_model_given_picks(void **state) {
    bench *b = *state;
    ap_model *m = detector(b), *given = NULL;
    const int64_t picks[] = {1, 0, 2};
    char *file = at(b, "given.onnx");
    json_t *inputs = NULL, *own = json_pack("[o]", tensor_in(b, "boxes", AP_F32, boxes, BOXES)),
           *seen = json_pack("[o]", tensor_in(b, "s", AP_F32, scores, BOXES));
    must(ap_picked_given(m, seen, own, file, &inputs));
    assert_null(inputs); // no picks among them: no file
    assert_false(ap_file_exists(file));
    json_array_append_new(seen, tensor_in(b, "where", AP_I64, picks, PICKED));
    must(ap_picked_given(m, seen, own, file, &inputs));
    assert_int_equal(json_array_size(inputs), 2);
    assert_int_equal(json_array_size(own), 1);
    must(ap_model_load(file, &given));
    assert_string_equal(given->graph->inputs[2]->name, ap_json_str(json_array_get(inputs, 1), "name", ""));
    assert_ptr_equal(ap_graph_node(given->graph, "take")->inputs[1], given->graph->inputs[2]);
    json_decref(inputs);
    json_decref(own);
    json_decref(seen);
    ap_model_free(given);
    ap_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(other_order_is_seen), BENCH_TEST(bad_picks_show),      BENCH_TEST(picks_of_another_answer),
        BENCH_TEST(picks_that_are_none), BENCH_TEST(a_model_given_picks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
