// SPDX-License-Identifier: Apache-2.0
// Which artifact answers a call: by identity, arguments, types, shapes and target. Nothing is started.
#include "test_base.h"

#include "plan/artifact/served.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define IO(name, dims)                                                                                       \
    "{\"name\":\"" name "\",\"dtype\":\"float32\",\"dims\":" dims ",\"file\":\"" name ".npy\"}"
#define MANIFEST(target, verdict, dims)                                                                      \
    "{\"format\":1,\"model\":{\"sha256\":\"" SHA                                                             \
    "\"},\"contract\":{\"inputs\":[" IO("x", dims) "],\"outputs\":[" IO(                                     \
        "y",                                                                                                 \
        dims) "]},\"golden\":{\"inputs\":[" IO("x",                                                          \
                                               dims) "],\"outputs\":[" IO("y",                               \
                                                                          dims) "]},\"targets\":[{"          \
                                                                                "\"target\":\"" target       \
                                                                                "\",\"dir\":\"t\","          \
                                                                                "\"verdict\":\"" verdict     \
                                                                                "\",\"files\":[]}]}"
// One tensor in, one out; a whole number "n" beside it that must be 7.
#define SPEC "[\"tuple\",[\"tuple\",[\"tensor\"],[\"tensor\"]],[\"dict\",\"\"]]"
#define ENTRY_MORE(dir, feeds, results, dims, more)                                                          \
    "{\"signature\":\"s\",\"dir\":\"" dir "\",\"verdict\":\"pass\",\"spec\":" SPEC ",\"inputs\":["           \
    "{\"name\":\"x\",\"dtype\":\"float32\",\"dims\":" dims "},{\"name\":\"n\",\"dtype\":\"int64\","          \
    "\"dims\":[]}],\"out_spec\":[\"tensor\"],\"outputs\":[{\"name\":\"y\",\"dtype\":\"float32\","            \
    "\"dims\":" dims "}" more "],\"feeds\":" feeds ",\"results\":" results                                   \
    ",\"fixed\":[{\"input\":\"n\",\"leaf\":1,\"value\":7}]}"
#define ENTRY(dir, feeds, results, dims) ENTRY_MORE(dir, feeds, results, dims, "")
#define UNREAD(dims) ",{\"name\":\"z\",\"dtype\":\"float16\",\"dims\":" dims ",\"read\":false}"
#define FEEDS "[{\"input\":\"x\",\"leaf\":0}]"
#define RESULTS "[{\"output\":\"y\",\"leaf\":0}]"
#define INDEX(entries)                                                                                       \
    "{\"format\":1,\"kind\":\"aipc index\",\"models\":[{\"name\":\"Net\",\"kind\":\"module\",\"path\":null," \
    "\"identity\":{\"class\":\"m:Net\",\"arch\":\"a\",\"content\":\"c\"},\"artifacts\":[" entries "]}]}"

static void put(scratch *s, const char *name, const char *text) {
    const char *path = at(s, name);
    must(ap_mkdirs(ap_path_dir(&s->arena, path)));
    must(ap_file_write(path, text, strlen(text)));
}

static ap_err open_server(scratch *s, const char *folder, const char *target, aipc_context **c,
                          aipc_server **out) {
    ap_err err = ap_context_open(NULL, c);
    return err ? err : ap_server_open(*c, at(s, folder), target, out);
}

static const int64_t one_four[] = {1, 4}, two_four[] = {2, 4};

static char *choose(aipc_served *m, bool module, const int64_t *dims, const char *dtype,
                    aipc_deployed **out) {
    aipc_tensor leaves[] = {{.name = "x", .dtype = dtype, .rank = 2, .dims = dims},
                            {.name = "n", .dtype = "int64", .rank = 0, .dims = dims}};
    json_t *spec = NULL;
    if (module) must(ap_json_parse(SPEC, strlen(SPEC), "spec", AP_ERR_CORRUPT, &spec));
    ap_err err = ap_served_choose(m, spec, leaves, module ? 2 : 1, out);
    char *why = err ? ap_strdup(ap_err_message(err)) : NULL;
    ap_err_free(err);
    json_decref(spec);
    return why;
}

static void is_refused(aipc_served *m, bool module, const int64_t *dims, const char *dtype,
                       const char *part) {
    aipc_deployed *d = NULL;
    char *why = choose(m, module, dims, dtype, &d);
    if (!why || !strstr(why, part)) fail_msg("wanted '%s', got '%s'", part, why ? why : "an artifact");
    assert_null(d);
    free(why);
}

static void a_session_by_its_hash(void **state) {
    scratch *s = *state;
    aipc_context *c = NULL;
    aipc_server *server = NULL;
    aipc_deployed *d = NULL;
    put(s, "out/manifest.json", MANIFEST("cpu", "pass", "[1,4]"));
    must(open_server(s, "out", NULL, &c, &server));
    assert_null(ap_server_find(server, "nobody"));
    aipc_served *m = ap_server_find(server, SHA);
    assert_non_null(m);
    assert_null(choose(m, false, one_four, "float32", &d));
    assert_string_equal(d->feeds[0].name, "x");
    is_refused(m, false, two_four, "float32", "a run with float32 2x4 was not deployed");
    is_refused(m, false, one_four, "float16", "a run with float16 1x4 was not deployed");
    assert_true(ap_served_refuse(m, "because"));
    assert_false(ap_served_refuse(m, "because"));
    assert_true(ap_served_refuse(m, "another"));
    ap_server_forked(server);
    ap_server_close(server);
    ap_context_close(c);
}

static void targets(void **state) {
    static const struct {
        const char *target, *why; // NULL: it is served
    } cases[] = {{"htp:sm8650", NULL},
                 {"htp:", NULL},
                 {"cpu", "not deployed for cpu"},
                 {"xnn:", "not deployed for any xnn target"}};
    scratch *s = *state;
    put(s, "out/manifest.json", MANIFEST("htp:sm8650", "pass", "[1,4]"));
    put(s, "bad/manifest.json", MANIFEST("cpu", "fail", "[1,4]"));
    for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) {
        bool last = i == sizeof cases / sizeof *cases;
        aipc_context *c = NULL;
        aipc_server *server = NULL;
        aipc_deployed *d = NULL;
        must(open_server(s, last ? "bad" : "out", last ? NULL : cases[i].target, &c, &server));
        aipc_served *m = ap_server_find(server, SHA);
        if (last || cases[i].why)
            is_refused(m, false, one_four, "float32", last ? "failed a gate" : cases[i].why);
        else
            assert_null(choose(m, false, one_four, "float32", &d));
        ap_server_close(server);
        ap_context_close(c);
    }
}

static void a_module_by_its_call(void **state) {
    scratch *s = *state;
    aipc_context *c = NULL;
    aipc_server *server = NULL;
    aipc_deployed *d = NULL;
    put(s, "out/a/manifest.json", MANIFEST("cpu", "pass", "[1,4]"));
    put(s, "out/b/manifest.json", MANIFEST("cpu", "pass", "[2,4]"));
    put(s, "out/index.json",
        INDEX(ENTRY("a", FEEDS, RESULTS, "[\"n\",4]") "," ENTRY("b", FEEDS, RESULTS, "[2,4]")));
    must(open_server(s, "out", NULL, &c, &server));
    aipc_served *m = ap_server_find(server, "m:Net/a/c");
    assert_non_null(m);
    assert_null(choose(m, true, one_four, "float32", &d));
    assert_string_equal(ap_path_base(d->dir), "a");
    assert_null(choose(m, true, two_four, "float32", &d));
    assert_string_equal(ap_path_base(d->dir), "b");
    json_t *doc = ap_deployed_document(d);
    assert_int_equal(json_array_size(json_object_get(doc, "feeds")), 2); // x, and n that is looked at
    assert_int_equal(ap_json_int(json_array_get(json_object_get(doc, "results"), 0), "output", -1), 0);
    json_decref(doc);
    // Another value is refused before anything is started.
    float x[8] = {0}, y[8];
    int64_t eight = 8;
    const void *in[] = {x, &eight};
    void *out[] = {y};
    must_fail(ap_deployed_run(d, in, out), AP_ERR_INPUT_SHAPE, "input n is 8, deployed was 7");
    d = NULL;
    is_refused(m, true, one_four, "float16", "a call with float16 1x4, int64 scalar was not deployed");
    ap_err err = ap_served_choose_json(m, "[[\"tuple\"],[[\"\",\"float32\",[1,4]],[\"\",\"int64\",[]]]]", &d);
    must_fail(err, AP_ERR_INPUT_SHAPE, "other arguments beside the tensors");
    must_fail(ap_served_choose_json(m, "{}", &d), AP_ERR_INPUT_SHAPE, "");
    must_fail(ap_served_choose_json(m, "[null,[[1,2,3]]]", &d), AP_ERR_INPUT_SHAPE, "no type");
    ap_server_close(server);
    ap_context_close(c);
}

// A tensor of the answer that the program does not read has no output, but a type and a shape.
static void an_answer_that_is_not_read(void **state) {
    scratch *s = *state;
    aipc_context *c = NULL;
    aipc_server *server = NULL;
    aipc_deployed *d = NULL;
    put(s, "out/a/manifest.json", MANIFEST("cpu", "pass", "[1,4]"));
    put(s, "out/index.json", INDEX(ENTRY_MORE("a", FEEDS, RESULTS, "[1,4]", UNREAD("[3,5]"))));
    must(open_server(s, "out", NULL, &c, &server));
    assert_null(choose(ap_server_find(server, "m:Net/a/c"), true, one_four, "float32", &d));
    json_t *doc = ap_deployed_document(d), *results = json_object_get(doc, "results"),
           *first = json_array_get(results, 0), *second = json_array_get(results, 1);
    assert_int_equal(json_array_size(results), 2);
    assert_int_equal(ap_json_int(first, "output", -1), 0);
    assert_null(json_object_get(first, "dims"));
    assert_true(json_is_null(json_object_get(second, "output")));
    assert_string_equal(ap_json_str(second, "dtype", ""), "float16");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(second, "dims"), 1)), 5);
    json_decref(doc);
    ap_server_close(server);
    ap_context_close(c);
}

static void hostile_indexes(void **state) {
    static const struct {
        const char *index, *part;
    } cases[] = {
        {"{\"format\":1,\"kind\":\"aipc index\"", "index.json"},
        {"{\"format\":2,\"kind\":\"aipc index\"}", "no index this aipc reads"},
        {"{\"format\":1,\"kind\":\"other\"}", "no index this aipc reads"},
        {INDEX(ENTRY("../out/a", FEEDS, RESULTS, "[1,4]")), "outside"},
        {INDEX(ENTRY("/etc", FEEDS, RESULTS, "[1,4]")), "outside"},
        {INDEX(ENTRY("a", "[{\"input\":\"x\",\"leaf\":9}]", RESULTS, "[1,4]")), "no leaf for input 'x'"},
        {INDEX(ENTRY("a", "[{\"input\":\"x\",\"leaf\":-1}]", RESULTS, "[1,4]")), "no leaf for input 'x'"},
        {INDEX(ENTRY("a", "[]", RESULTS, "[1,4]")), "no leaf for input 'x'"},
        {INDEX(ENTRY("a", FEEDS, "[]", "[1,4]")), "no output for tensor 0"},
        {INDEX(ENTRY("a", FEEDS, "[{\"output\":\"z\",\"leaf\":0}]", "[1,4]")), "no output for tensor 0"},
        {INDEX(ENTRY_MORE("a", FEEDS, RESULTS, "[1,4]", UNREAD("[\"n\"]"))), "no output for tensor 1"},
        {INDEX(ENTRY_MORE("a", FEEDS, RESULTS, "[1,4]", UNREAD("[-1]"))), "no output for tensor 1"},
        {INDEX(ENTRY_MORE("a", FEEDS, RESULTS, "[1,4]", UNREAD("null"))), "no output for tensor 1"},
    };
    scratch *s = *state;
    put(s, "out/a/manifest.json", MANIFEST("cpu", "pass", "[1,4]"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aipc_context *c = NULL;
        aipc_server *server = NULL;
        put(s, "out/index.json", cases[i].index);
        must_fail(open_server(s, "out", NULL, &c, &server), AP_ERR_CORRUPT, cases[i].part);
        assert_null(server);
        ap_context_close(c);
    }
}

static void nothing_deployed(void **state) {
    scratch *s = *state;
    aipc_context *c = NULL;
    aipc_server *server = NULL;
    aipc_served *m = NULL;
    put(s, "empty/file", "x");
    must(open_server(s, "empty", NULL, &c, &server));
    must(ap_server_find_model(server, NULL, "abc", 3, &m));
    assert_null(m);
    ap_server_close(server);
    ap_context_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_session_by_its_hash, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(targets, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(a_module_by_its_call, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(an_answer_that_is_not_read, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(hostile_indexes, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(nothing_deployed, test_setup, test_teardown),
    };
    (void)unsetenv("AIPC_HOOK_DIR");
    return cmocka_run_group_tests_name("plan: served", tests, NULL, NULL);
}
