// SPDX-License-Identifier: Apache-2.0
// Outputs nobody reads: the model without them, and when a program is not even asked. That it is asked, and
// what it answers, is in tests/e2e/unread.sh.
#include "test_graph_build.h"

#include "plan/program/unread.h"

// a → Relu → y, b → Relu → z
static json_t *two_in_two_out(bench *b) {
    fresh(b);
    input(b, "a", "2");
    input(b, "b", "3");
    output(b, "y", "2");
    output(b, "z", "3");
    weight(b, "w", AP_F32, "3", 12);
    node(b, "first", "Relu", "a", "y");
    node(b, "second", "Add", "b,w", "z");
    return json_pack("{ss,s[{ss,si},{ss,si}],s[{ss,si},{ss,si}],sn}", "file", write_model(b, "whole.onnx"),
                     "feeds", "input", "a", "leaf", 0, "input", "b", "leaf", 1, "results", "output", "y",
                     "leaf", 0, "output", "z", "leaf", 1, "level1");
}

static void the_model_without_an_output(void **state) {
    bench *b = *state;
    json_t *made = two_in_two_out(b), *drop = json_pack("{sb}", "z", 1), *without = NULL;
    const char *file = at(b, "deep/part.onnx");
    ap_model *part = NULL;
    must(ap_unread_cut(made, drop, file, &without));
    must(ap_model_load(file, &part));
    assert_int_equal(part->graph->output_count, 1);
    assert_string_equal(part->graph->outputs[0]->name, "y");
    assert_int_equal(part->graph->input_count, 1); // b was for z alone
    assert_int_equal(part->graph->proto->n_initializer, 0);
    assert_string_equal(ap_json_str(without, "file", ""), file);
    const json_t *feeds = json_object_get(without, "feeds"), *results = json_object_get(without, "results");
    assert_int_equal(json_array_size(feeds), 1);
    assert_string_equal(ap_json_str(json_array_get(feeds, 0), "input", ""), "a");
    assert_int_equal(json_array_size(results), 1);
    assert_string_equal(ap_json_str(json_array_get(results, 0), "output", ""), "y");
    assert_int_equal(json_array_size(json_object_get(made, "results")), 2); // the given one stays
    json_t *leaves = json_pack("[{ss},{ss}]", "name", "y", "name", "z"),
           *marked = ap_unread_leaves(leaves, without);
    assert_true(ap_json_bool(json_array_get(marked, 0), "read", true));
    assert_false(ap_json_bool(json_array_get(marked, 1), "read", true));
    assert_null(json_object_get(json_array_get(leaves, 1), "read"));
    json_decref(leaves);
    json_decref(marked);
    ap_model_free(part);
    json_decref(made);
    json_decref(drop);
    json_decref(without);
}

// ---- who is not asked

typedef struct asked {
    aipc_context *ctx;
    ap_unread u;
    ap_unread_question q;
    json_t *recording, *model, *made, *gates;
    aipc_deploy_options o;
    bool deploys;
    size_t deployed;
} asked;

static json_t *deploy(void *user, const json_t *made, const char *dir) {
    asked *a = user;
    (void)dir;
    a->deployed++;
    assert_int_equal(json_array_size(json_object_get(made, "results")), 1);
    return a->deploys ? json_pack("{ss}", "verdict", "pass") : NULL;
}

static void ask_open(asked *a, bench *b, const char *kind, json_t *recording) {
    *a = (asked){.recording = recording, .made = two_in_two_out(b), .o = {.size = sizeof a->o}};
    must(ap_context_open(NULL, &a->ctx));
    a->model =
        json_pack("{ss,ss,s{ss},sn}", "name", "Net", "kind", kind, "identity", "class", "m:Net", "path");
    a->gates = json_pack("[{ss,ss,sf,ss,si,ss}]", "output", "z", "metric", "sqnr_db", "value", 12.3, "op",
                         ">=", "threshold", 30, "verdict", "fail");
    a->q = (ap_unread_question){
        .ctx = a->ctx, .model = a->model, .sig = a->model, .made = a->made, .deploy = deploy, .user = a};
    ap_unread_open(&a->u, &a->o, b->dir, a->recording);
}

static void ask_close(asked *a) {
    ap_unread_question_release(&a->q);
    ap_unread_close(&a->u);
    json_decref(a->recording);
    json_decref(a->model);
    json_decref(a->made);
    json_decref(a->gates);
    ap_context_close(a->ctx);
}

static void programs_that_are_not_asked(void **state) {
    static const struct {
        const char *recording, *why;
        bool deploys;
    } cases[] = {
        {"{}", "the model does not pass without z either", false},
        {"{}", "its command line had secrets", true},
        {"{\"redacted\":false}", "no command line", true},
        {"{\"redacted\":false,\"command\":[\"true\"],\"status\":null,\"wall_s\":null}", "had not ended",
         true},
        {"{\"redacted\":false,\"command\":[\"true\"],\"status\":0,\"wall_s\":7200.5}", "it ran for", true},
        {"{\"redacted\":false,\"command\":[1],\"status\":0,\"wall_s\":1.5}", "no list of words", true},
        {"{\"redacted\":false,\"command\":[\"true\"],\"status\":0,\"wall_s\":1.5,\"cwd\":\"/nowhere/at/"
         "all\"}",
         "/nowhere", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *recording = NULL;
        asked a;
        must(ap_json_parse(cases[i].recording, strlen(cases[i].recording), "case", AP_ERR_RECORDING,
                           &recording));
        ask_open(&a, *state, "module", recording);
        a.deploys = cases[i].deploys;
        assert_false(ap_unread_ask(&a.u, &a.q, a.gates));
        assert_null(a.q.without);
        assert_non_null(strstr(a.q.why, "the program cannot be asked whether it reads z: "));
        if (!strstr(a.q.why, cases[i].why)) fail_msg("wanted '%s' in '%s'", cases[i].why, a.q.why);
        assert_int_equal(a.deployed, 1);
        assert_false(ap_unread_ask(&a.u, &a.q, a.gates)); // remembered
        assert_int_equal(a.deployed, 1);
        ask_close(&a);
    }
}

// A session's array has data always: only the name says that nobody wants it.
static void sessions_go_by_name(void **state) {
    asked a;
    ask_open(&a, *state, "session", json_object());
    assert_false(ap_unread_ask(&a.u, &a.q, a.gates));
    assert_null(a.q.why);
    json_array_remove(json_object_get(a.made, "results"), 1); // it was never asked for
    assert_true(ap_unread_ask(&a.u, &a.q, a.gates));
    assert_int_equal(a.deployed, 0);
    assert_true(ap_file_exists(ap_json_str(a.q.without, "file", "")));
    assert_true(json_is_null(json_object_get(a.q.evidence, "program")));
    assert_non_null(strstr(ap_json_str(a.q.evidence, "why", ""), "z (sqnr_db 12.3, wanted >= 30)"));
    ask_close(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(the_model_without_an_output),
        BENCH_TEST(programs_that_are_not_asked),
        BENCH_TEST(sessions_go_by_name),
    };
    return cmocka_run_group_tests_name("plan: unread", tests, NULL, NULL);
}
