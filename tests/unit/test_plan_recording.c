// SPDX-License-Identifier: Apache-2.0
// Recordings as a program leaves them: whole, cut off, damaged on purpose; what is chosen; secrets of command
// lines.
#include "test_base.h"

#include "plan/recording/record.h"
#include "plan/recording/recording.h"
#include "tensor/npy.h"

#define MODEL(m, cls, content)                                                                               \
    "{\"ev\":\"model\",\"m\":" m ",\"kind\":\"module\",\"identity\":{\"class\":\"" cls                       \
    "\",\"arch\":\"a\",\"content\":\"" content                                                               \
    "\",\"parameters\":1,\"bytes\":4},\"path\":null,\"training\":false,\"forward_hooks\":[]}\n"
#define SIGNATURE(s, m, dim)                                                                                 \
    "{\"ev\":\"signature\",\"s\":" s ",\"m\":" m                                                             \
    ",\"spec\":[\"tuple\",[\"tuple\",[\"tensor\"]],[\"dict\",\"\"]],"                                        \
    "\"inputs\":[[\"float32\",[" dim "]]]}\n"                                                                \
    "{\"ev\":\"outputs\",\"s\":" s ",\"spec\":[\"tensor\"],\"outputs\":[[\"float32\",[" dim "]]]}\n"
#define SAMPLE(s, n)                                                                                         \
    "{\"ev\":\"sample\",\"s\":" s ",\"n\":" n ",\"call\":1,\"files\":[\"" n "-i0.npy\",\"" n "-o0.npy\"]}\n"
#define START "{\"ev\":\"start\",\"format\":1,\"pid\":7}\n"

static const char *folder(scratch *s) {
    return at(s, "rec");
}

static void write_text(scratch *s, const char *name, const char *text) {
    const char *path = ap_path_join(&s->arena, folder(s), name);
    must(ap_mkdirs(ap_path_dir(&s->arena, path)));
    must(ap_file_write(path, text, strlen(text)));
}

static void write_tensor(scratch *s, const char *name, const float *values, int64_t count) {
    ap_tensor t = {0};
    must(ap_tensor_view(AP_F32, &count, 1, (void *)(uintptr_t)values, (size_t)count * 4, &t));
    must(ap_npy_write(ap_path_join(&s->arena, folder(s), name), &t));
}

// run.json, and one process whose slots 1 and 2 have so many calls of a millisecond.
static void start(scratch *s, const char *log, uint64_t calls1, uint64_t calls2) {
    uint64_t counts[3][4] = {{0}, {calls1, calls1 * 1000000, 0, 0}, {calls2, calls2 * 1000000, 0, 0}};
    write_text(s, "run.json", "{\"format\":1,\"kind\":\"aipc recording\",\"command\":[\"true\"]}");
    write_text(s, "hello-7.txt", "3.11.7 python\n");
    write_text(s, "p7-ab/log.jsonl", log);
    must(ap_file_write(ap_path_join(&s->arena, folder(s), "p7-ab/counts.bin"), counts, sizeof counts));
    const float moving[] = {1, 2}, flat[] = {3, 3};
    for (int n = 1; n <= 3; n++) {
        write_tensor(s, ap_arena_printf(&s->arena, "p7-ab/%d-i0.npy", n), n == 2 ? flat : moving, 2);
        write_tensor(s, ap_arena_printf(&s->arena, "p7-ab/%d-o0.npy", n), moving, 2);
    }
}

static json_t *read_it(scratch *s) {
    json_t *doc = NULL;
    must(ap_recording_read(folder(s), &doc));
    return doc;
}

static json_t *model(json_t *doc, size_t i) {
    json_t *m = json_array_get(json_object_get(doc, "models"), i);
    assert_non_null(m);
    return m;
}

static json_t *signature(json_t *m, size_t i) {
    json_t *sig = json_array_get(json_object_get(m, "signatures"), i);
    assert_non_null(sig);
    return sig;
}

static void a_whole_recording(void **state) {
    scratch *s = *state;
    start(s, START MODEL("0", "app:Net", "c") SIGNATURE("1", "0", "2") SAMPLE("1", "1") SAMPLE("1", "3"), 100,
          0);
    json_t *doc = read_it(s), *m = model(doc, 0), *sig = signature(m, 0);
    assert_string_equal(ap_json_str(m, "name", ""), "Net");
    assert_int_equal(ap_json_int(m, "calls", 0), 100);
    assert_true(ap_json_bool(m, "chosen", false));
    assert_int_equal(json_array_size(json_object_get(sig, "samples")), 1); // the second has the same inputs
    assert_false(ap_json_bool(sig, "constant", true));
    assert_int_equal(ap_json_int(doc, "pythons", 0), 1);
    json_decref(doc);
}

static void constant_and_rare_signatures_are_left_out(void **state) {
    scratch *s = *state;
    start(s,
          START MODEL("0", "app:Net", "c") SIGNATURE("1", "0", "2") SAMPLE("1", "1")
              SIGNATURE("2", "0", "1,2"),
          100, 1);
    json_t *doc = read_it(s), *m = model(doc, 0);
    assert_true(ap_json_bool(signature(m, 0), "chosen", false));
    assert_false(ap_json_bool(signature(m, 1), "chosen", true));
    json_decref(doc);
    start(s, START MODEL("0", "app:Net", "c") SIGNATURE("1", "0", "2") SAMPLE("1", "2"), 1, 0);
    doc = read_it(s);
    assert_true(ap_json_bool(signature(model(doc, 0), 0), "constant", false));
    assert_true(ap_json_bool(model(doc, 0), "chosen", false)); // there is no other
    json_decref(doc);
}

static void models_of_one_class_have_names_of_their_own(void **state) {
    scratch *s = *state;
    start(s,
          START MODEL("0", "a:Net", "0123456789") MODEL("1", "a:Net", "abcdefghij")
              MODEL("2", "a:Net", "abcdefghij"),
          0, 0);
    json_t *doc = read_it(s);
    assert_int_equal(json_array_size(json_object_get(doc, "models")), 2);
    assert_string_equal(ap_json_str(model(doc, 0), "name", ""), "Net-012345");
    assert_string_equal(ap_json_str(model(doc, 1), "name", ""), "Net-abcdef");
    json_t *one = NULL;
    must(ap_recording_choose(doc, "Net-abcdef", &one));
    assert_int_equal(json_array_size(one), 1);
    json_decref(one);
    must_fail(ap_recording_choose(doc, "Other", &one), AP_ERR_RECORDING, "");
    json_decref(doc);
}

// A layer of torch.nn that is called on its own is part of something; a Sequential is somebody's model.
static void layers_are_left_out_and_containers_are_not(void **state) {
    scratch *s = *state;
    static const struct {
        const char *log;
        bool chosen;
    } cases[] = {
        {START MODEL("0", "torch.nn.modules.conv:Conv2d", "c") SIGNATURE("1", "0", "2") SAMPLE("1", "1"),
         false},
        {START MODEL("0", "torch.nn.modules.transformer:TransformerEncoderLayer", "c")
             SIGNATURE("1", "0", "2") SAMPLE("1", "1"),
         false},
        {START MODEL("0", "torch.nn.modules.container:Sequential", "c") SIGNATURE("1", "0", "2")
             SAMPLE("1", "1"),
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start(s, cases[i].log, 5, 0);
        json_t *doc = read_it(s);
        assert_int_equal(ap_json_bool(model(doc, 0), "chosen", !cases[i].chosen), cases[i].chosen);
        json_decref(doc);
    }
}

// Names of leaves come from where they stand in the call.
static void leaves_have_names(void **state) {
    scratch *s = *state;
#define LEAF "[\"tensor\"]"
#define META "[\"float32\",[2]]"
    start(s,
          START
          "{\"ev\":\"model\",\"m\":0,\"kind\":\"module\",\"identity\":{\"class\":\"a:N\",\"arch\":\"a\","
          "\"content\":\"c\"},\"parameters\":[\"x\",\"past\"]}\n"
          "{\"ev\":\"signature\",\"s\":1,\"m\":0,\"spec\":[\"tuple\",[\"tuple\"," LEAF
          ",[\"list\",[\"tuple\"," LEAF "," LEAF "],[\"value\",3]]," LEAF
          "],[\"dict\",\"\",[[\"value\",\"past_0_0\"]," LEAF "]]],"
          "\"inputs\":[" META "," META "," META "," META "," META "]}\n"
          "{\"ev\":\"outputs\",\"s\":1,\"spec\":[\"dict\",\"\",[[\"value\",\"last.state\"]," LEAF
          "],[[\"value\",\"rest\"],[\"fake\"]]],\"outputs\":[" META "," META "]}\n",
          1, 0);
    static const char *const want[] = {"x", "past_0_0", "past_0_1", "arg2", "past_0_0_2"};
    json_t *doc = read_it(s), *sig = signature(model(doc, 0), 0), *inputs = json_object_get(sig, "inputs");
    assert_int_equal(json_array_size(inputs), 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(ap_json_str(json_array_get(inputs, i), "name", ""), want[i]);
    const json_t *output = json_array_get(json_object_get(sig, "outputs"), 0);
    assert_string_equal(ap_json_str(output, "name", ""), "output_last_state");
    assert_true(ap_json_bool(output, "data", true));
    // A tensor without data is a leaf, too, and keeps the call from being exported.
    const json_t *fake = json_array_get(json_object_get(sig, "outputs"), 1);
    assert_string_equal(ap_json_str(fake, "name", ""), "output_rest");
    assert_false(ap_json_bool(fake, "data", true));
    const json_t *refused = json_array_get(json_object_get(sig, "refused"), 0);
    assert_string_equal(ap_json_str(refused, "type", ""), "a tensor without data");
    json_decref(doc);
}

// Each of these ends the log or drops the sample, and never the reader.
static void hostile_logs(void **state) {
    scratch *s = *state;
    static const char *const tails[] = {
        "{\"ev\":\"sample\",\"s\":1,\"n\":1,\"files\":[\"../../etc/passwd\"]}\n",
        "{\"ev\":\"sample\",\"s\":1,\"n\":1,\"files\":[\"1-i0.npy/../x\"]}\n",
        "{\"ev\":\"sample\",\"s\":4096,\"n\":1,\"files\":[]}\n",
        "{\"ev\":\"sample\",\"s\":-1,\"n\":1,\"files\":[]}\n",
        "{\"ev\":\"signature\",\"s\":2,\"m\":9,\"spec\":[],\"inputs\":[]}\n",
        "{\"ev\":\"signature\",\"s\":2,\"m\":0,\"spec\":[\"tensor\"],\"inputs\":[[\"float32\",[-1]]]}\n",
        "{\"ev\":\"signature\",\"s\":2,\"m\":0,\"spec\":[\"list\"],\"inputs\":[[\"float32\",[1]]]}\n",
        "{\"ev\":\"model\",\"m\":1,\"kind\":\"module\",\"identity\":{}}\n",
        "{\"ev\":\"model\",\"m\":5000,\"kind\":\"module\",\"identity\":{\"sha256\":\"a\"}}\n",
        "[1]\n",
        "no json\n",
    };
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        start(s,
              ap_arena_printf(&s->arena, "%s%s",
                              START MODEL("0", "a:Net", "c") SIGNATURE("1", "0", "2") SAMPLE("1", "1"),
                              tails[i]),
              5, 0);
        json_t *doc = read_it(s);
        if (json_array_size(json_object_get(doc, "notes")) != 1) fail_msg("no note about: %s", tails[i]);
        assert_int_equal(json_array_size(json_object_get(signature(model(doc, 0), 0), "samples")), 1);
        json_decref(doc);
    }
}

static void a_cut_line_and_missing_files(void **state) {
    scratch *s = *state;
    start(s,
          START MODEL("0", "a:Net", "c") SIGNATURE("1", "0", "2") SAMPLE("1", "1")
              SAMPLE("1", "9") "{\"ev\":\"sam",
          5, 0);
    write_text(s, "p8-cd/other", "killed before its first line");
    json_t *doc = read_it(s);
    assert_int_equal(json_array_size(json_object_get(signature(model(doc, 0), 0), "samples")), 1);
    assert_int_equal(json_array_size(json_object_get(doc, "notes")),
                     2); // the sample without files, the process without log
    json_decref(doc);
    start(s, START MODEL("0", "a:Net", "c") SIGNATURE("1", "0", "7") SAMPLE("1", "1"), 5, 0); // another shape
    doc = read_it(s);
    assert_int_equal(json_array_size(json_object_get(signature(model(doc, 0), 0), "samples")), 0);
    assert_false(ap_json_bool(model(doc, 0), "chosen", true));
    json_decref(doc);
}

static void no_recording(void **state) {
    scratch *s = *state;
    json_t *doc = NULL;
    must_fail(ap_recording_read(at(s, "nothing"), &doc), AP_ERR_NOT_FOUND, "");
    write_text(s, "run.json", "{\"format\":2,\"kind\":\"aipc recording\"}");
    must_fail(ap_recording_read(folder(s), &doc), AP_ERR_RECORDING, "");
    assert_false(ap_recording_is(folder(s)));
    assert_false(ap_recording_is(s->dir));
}

static void secrets_are_hidden(void **state) {
    (void)state;
    static const struct {
        const char *word, *next, *kept, *kept_next;
    } cases[] = {
        {"--token", "abc", "--token", "\xe2\x80\xa6"},
        {"--api-key=abc", "x", "--api-key=\xe2\x80\xa6", "x"},
        {"HF_TOKEN=abc", "x", "HF_TOKEN=\xe2\x80\xa6", "x"},
        {"hf_abcdefghijklmnop", "x", "\xe2\x80\xa6", "x"},
        {"https://me:word@host/x", "x", "\xe2\x80\xa6", "x"},
        {"--url=https://me:word@host", "x", "\xe2\x80\xa6", "x"},
        {"--password", "--quiet", "--password", "--quiet"},
        {"--max-tokens=5", "x", "--max-tokens=5", "x"},
        {"--tokenizer", "gpt2", "--tokenizer", "gpt2"},
        {"--key", "name", "--key", "name"},
        {"https://host:80/a@b", "x", "https://host:80/a@b", "x"},
        {"author=me", "x", "author=me", "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool redacted = false;
        json_t *all = ap_command_json((const char *const[]){cases[i].word, cases[i].next}, 2, &redacted);
        assert_string_equal(json_string_value(json_array_get(all, 0)), cases[i].kept);
        assert_string_equal(json_string_value(json_array_get(all, 1)), cases[i].kept_next);
        assert_int_equal(redacted,
                         strcmp(cases[i].word, cases[i].kept) || strcmp(cases[i].next, cases[i].kept_next));
        json_decref(all);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_whole_recording, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(constant_and_rare_signatures_are_left_out, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(models_of_one_class_have_names_of_their_own, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(layers_are_left_out_and_containers_are_not, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(leaves_have_names, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(hostile_logs, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(a_cut_line_and_missing_files, test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(no_recording, test_setup, test_teardown),
        cmocka_unit_test(secrets_are_hidden),
    };
    return cmocka_run_group_tests_name("plan: recording", tests, NULL, NULL);
}
