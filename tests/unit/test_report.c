// SPDX-License-Identifier: Apache-2.0
// The report on documents as they should be and as they should not: made-up runs (tests/data/report_*.json),
// hostile names, and the same documents with every value removed or replaced.
#include "base/file.h"
#include "report/html.h"
#include "report/report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *load(const char *name) {
    ap_arena a = {0};
    json_t *doc = NULL;
    assert_null(ap_json_load(ap_path_join(&a, "tests/data", name), 16 << 20, AP_ERR_CORRUPT, &doc));
    ap_arena_release(&a);
    return doc;
}

static void html_of(const json_t *doc, ap_buf *out) {
    assert_null(ap_report_html(doc, out));
}

static void assert_has(const ap_buf *b, const char *what) {
    if (!strstr(ap_buf_str(b), what)) fail_msg("missing: %s", what);
}

static void assert_lacks(const ap_buf *b, const char *what) {
    if (strstr(ap_buf_str(b), what)) fail_msg("must not be there: %s", what);
}

static json_t *first_target(json_t *doc) {
    return json_array_get(json_object_get(doc, "targets"), 0);
}

// ---- content ----

static void test_html_sections(void **state) {
    (void)state;
    static const char *const parts[] = {"<span class=\"verdict pass\">PASS</span>",
                                        "320n.onnx on Snapdragon 8 Gen 3 (HTP v75)",
                                        "Nodes on NPU",
                                        "SQNR, worst output",
                                        "6.37 <small>MiB</small>",
                                        ">ESTIMATE</span>",
                                        ">Gates</h3>",
                                        ">USER</span>",
                                        "What is proved, and what is not",
                                        "Only a device can show",
                                        "Accuracy along the graph",
                                        "class=\"gate\"",
                                        "Where the time would go",
                                        "Where the nodes run",
                                        "Nodes by operator",
                                        "Artifact",
                                        "Read back from the context binary",
                                        "AS ASKED",
                                        "Stages and time",
                                        "Interface contract",
                                        "layout=nchw",
                                        "Tools and versions",
                                        "Do it again",
                                        "data-copy=\"command\"",
                                        "All 233 tensors",
                                        "All 233 layers",
                                        "Sample.",
                                        "CACHED"};
    json_t *doc = load("report_sample.json");
    ap_buf out = {0};
    html_of(doc, &out);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) assert_has(&out, parts[i]);
    assert_lacks(&out, "What failed");
    assert_lacks(&out, "random numbers");
    // Self-contained: nothing is fetched.
    assert_lacks(&out, "http://");
    assert_lacks(&out, "https://");
    assert_lacks(&out, "src=");
    assert_lacks(&out, "url(");
    ap_buf_free(&out);
    json_decref(doc);
}

static void test_html_failure(void **state) {
    (void)state;
    static const char *const parts[] = {"<span class=\"verdict fail\">FAIL</span>",
                                        "320n.onnx on 3 targets",
                                        "All targets",
                                        "1 of 3 targets",
                                        "What failed",
                                        "First tensor that diverges",
                                        "Smallest graph that still fails",
                                        "The inputs were random numbers",
                                        "Measured profile",
                                        "Refused node",
                                        "tf_crop_and_resize",
                                        "231 <small>/ 233</small>",
                                        "bound by memory",
                                        "href=\"#t2\"",
                                        "backend-refused"};
    json_t *doc = load("report_fail.json");
    ap_buf out = {0};
    html_of(doc, &out);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) assert_has(&out, parts[i]);
    ap_buf_free(&out);
    json_decref(doc);
}

static void test_markdown(void **state) {
    (void)state;
    static const char *const parts[] = {"# PASS — 320n.onnx on Snapdragon 8 Gen 3 (HTP v75)",
                                        "| Nodes on the NPU | 233 / 233 |",
                                        "| Latency (**estimate**, not measured) |",
                                        "| SQNR | `output0` | 48.0 dB | ≥ 30.0 dB | PASS |",
                                        "| --- | --- | ---: | ---: | --- |",
                                        "### Lowest accuracy of 233 tensors",
                                        "213 more layers",
                                        "## Interface contract",
                                        "## Do it again"};
    json_t *doc = load("report_sample.json");
    ap_buf out = {0};
    assert_null(ap_report_markdown(doc, &out));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) assert_has(&out, parts[i]);
    ap_buf_free(&out);
    json_decref(doc);
}

// Every row of a table has as many cells as its rule line, also with hostile names in it.
static void test_markdown_tables_keep_their_shape(void **state) {
    (void)state;
    json_t *doc = load("report_fail.json");
    json_t *node =
        json_array_get(json_object_get(json_object_get(first_target(doc), "profile"), "layers"), 0);
    json_object_set_new(node, "name", json_string("a|b`c\n| d"));
    json_object_set_new(node, "op", json_string("x|y\\|z<script>"));
    json_object_set_new(node, "value", json_integer(1 << 30));
    ap_buf out = {0};
    assert_null(ap_report_markdown(doc, &out));
    assert_has(&out, "a\\|b'c \\| d");
    assert_lacks(&out, "<script");
    int columns = 0;
    for (char *line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n")) {
        int bars = 0;
        for (char *c = line; *c; c++) {
            if (*c == '\\' && c[1])
                c++;
            else
                bars += *c == '|';
        }
        if (line[0] != '|')
            columns = 0;
        else if (!columns)
            columns = bars;
        else
            assert_int_equal(bars, columns);
    }
    ap_buf_free(&out);
    json_decref(doc);
}

// ---- hostile text ----

// Replaces every string below `v` by `text`.
static void poison(json_t *v, const char *text) {
    const char *key;
    json_t *item;
    void *tmp;
    size_t i;
    json_object_foreach_safe(v, tmp, key, item) {
        if (json_is_string(item))
            json_object_set_new(v, key, json_string(text));
        else
            poison(item, text);
    }
    json_array_foreach(v, i, item) {
        if (json_is_string(item))
            json_array_set_new(v, i, json_string(text));
        else
            poison(item, text);
    }
}

static size_t count_of(const ap_buf *b, const char *what) {
    size_t n = 0;
    for (const char *p = ap_buf_str(b); (p = strstr(p, what)); p++) n++;
    return n;
}

static void test_escaping(void **state) {
    (void)state;
    json_t *doc = load("report_fail.json");
    poison(doc, "\"><script>alert('x')</script><img src=x onerror=\"y\">");
    json_object_set_new(json_object_get(first_target(doc), "metrics"), "\"><script>",
                        json_pack("{ss}", "'<script>", "v"));
    ap_buf out = {0};
    html_of(doc, &out);
    assert_int_equal(count_of(&out, "<script"), 1); // ours
    assert_int_equal(count_of(&out, "</script"), 1);
    assert_lacks(&out, "<img");
    assert_lacks(&out, "\"y\"");
    assert_lacks(&out, "('x')");
    assert_has(&out, "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)");
    ap_buf_clear(&out);
    assert_null(ap_report_markdown(doc, &out));
    assert_lacks(&out, "<img src=x onerror=\"y\"> |");
    ap_buf_free(&out);
    json_decref(doc);
}

static void test_helpers(void **state) {
    (void)state;
    ap_buf out = {0};
    ap_html_text(&out, "a<b>&\"'\x01\x1b[31m");
    assert_string_equal(ap_buf_str(&out), "a&lt;b&gt;&amp;&quot;&#39;\xef\xbf\xbd\xef\xbf\xbd[31m");
    ap_buf_clear(&out);
    ap_html_fmt(&out, "%s|%d|%zu|%%|%s", "<", -3, (size_t)7, json_string_value(NULL));
    assert_string_equal(ap_buf_str(&out), "&lt;|-3|7|%|");
    static const struct {
        double v;
        const char *want;
    } coords[] = {{NAN, "0.0"},    {INFINITY, "0.0"}, {-INFINITY, "0.0"},
                  {-0.25, "-0.3"}, {12.34, "12.3"},   {1e300, "100000.0"}};
    for (size_t i = 0; i < sizeof coords / sizeof *coords; i++) {
        ap_buf_clear(&out);
        ap_html_coord(&out, coords[i].v);
        assert_string_equal(ap_buf_str(&out), coords[i].want);
    }
    assert_string_equal(ap_rd_bytes(6680576).s, "6.37 MiB");
    assert_string_equal(ap_rd_bytes(0).s, "0 B");
    assert_string_equal(ap_rd_count(1012628224).s, "1.01 G");
    assert_string_equal(ap_rd_percent(0.99999).s, "99.9 %");
    assert_string_equal(ap_rd_percent(1).s, "100 %");
    assert_string_equal(ap_rd_db(INFINITY).s, "exact");
    assert_string_equal(ap_rd_db(NAN).s, "NaN");
    assert_int_equal(ap_op_family_of("MaxPool"), AP_OP_POOL);
    assert_int_equal(ap_op_family_of("ConvTranspose"), AP_OP_CONV);
    assert_int_equal(ap_op_family_of(NULL), AP_OP_OTHER);
    ap_buf_free(&out);
}

// ---- odd numbers, odd documents ----

static json_t *value_at(json_t *doc, size_t trace_index) {
    return json_array_get(json_object_get(first_target(doc), "trace"), trace_index);
}

static void test_odd_numbers_in_the_plot(void **state) {
    (void)state;
    static const char *const words[] = {"inf", "-inf", "nan"};
    json_t *doc = load("report_sample.json");
    for (size_t i = 0; i < 30; i++)
        json_object_set_new(value_at(doc, i), "sqnr_db", json_string(words[i % 3]));
    json_object_set_new(value_at(doc, 31), "sqnr_db", json_real(1e308));
    json_object_set_new(value_at(doc, 32), "sqnr_db", json_real(-1e308));
    ap_buf out = {0};
    html_of(doc, &out);
    assert_has(&out, ">exact</text>");
    assert_has(&out, "lie at the bottom");
    static const char *const attributes[] = {"=\"nan",    "=\"inf",    "=\"-inf", "=\"-nan",
                                             "width:nan", "width:inf", "NaN%"};
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) assert_lacks(&out, attributes[i]);
    ap_buf_free(&out);
    json_decref(doc);
}

static void test_emulator_cycles_never_shown(void **state) {
    (void)state;
    json_t *doc = load("report_sample.json"), *t = first_target(doc);
    static const char *const units[] = {"cycles", "us"};
    for (size_t i = 0; i < 2; i++) {
        json_object_set_new(t, "profile",
                            json_pack("{ss,ss,s[{ss,ss,si}]}", "unit", units[i], "what", "emulator", "layers",
                                      "name", "n", "op", "Conv", "value", 987654321));
        ap_buf out = {0};
        html_of(doc, &out);
        assert_null(ap_report_markdown(doc, &out));
        assert_lacks(&out, "Measured profile");
        assert_lacks(&out, "987654321");
        assert_lacks(&out, ap_rd_integer(987654321).s);
        ap_buf_free(&out);
    }
    json_decref(doc);
}

static void test_thousands_of_tensors_keep_the_worst(void **state) {
    (void)state;
    json_t *doc = load("report_sample.json"), *trace = json_array();
    for (int i = 0; i < 20000; i++) {
        json_array_append_new(trace, json_pack("{ss,ss,sf}", "tensor", i == 7777 ? "the_bad_one" : "t", "op",
                                               "Conv", "sqnr_db", i == 7777 ? 3.0 : 60.0));
    }
    json_object_set_new(first_target(doc), "trace", trace);
    ap_buf out = {0};
    html_of(doc, &out);
    assert_has(&out, "<title>the_bad_one");
    assert_has(&out, "3000 of 20000 tensors are drawn");
    ap_buf_free(&out);
    json_decref(doc);
}

static void test_trace_notes(void **state) {
    (void)state;
    json_t *doc = load("report_sample.json"), *t = first_target(doc);
    json_object_set_new(t, "trace_faithful", json_false());
    ap_buf out = {0};
    html_of(doc, &out);
    assert_has(&out, "does not give the same output bits");
    json_object_set_new(t, "trace", json_array());
    json_object_set_new(t, "trace_note", json_string("the worker crashed <here>"));
    ap_buf_clear(&out);
    html_of(doc, &out);
    assert_has(&out, "The tensors were not compared: the worker crashed &lt;here&gt;");
    assert_null(ap_report_markdown(doc, &out));
    assert_has(&out, "The tensors were not compared: the worker crashed &lt;here&gt;\n");
    ap_buf_free(&out);
    json_decref(doc);
}

static void both(const json_t *doc) {
    ap_buf out = {0};
    assert_null(ap_report_html(doc, &out));
    assert_has(&out, "</html>");
    assert_null(ap_report_markdown(doc, &out));
    ap_buf_free(&out);
}

// The kinds of wrong value; NULL (the last) removes the key.
static json_t *wrong_value(size_t kind) {
    switch (kind) {
    case 0: return json_null();
    case 1: return json_string("<odd>");
    case 2: return json_integer(-7);
    case 3: return json_real(1e300);
    case 4: return json_integer(INT64_MAX);
    case 5: return json_array();
    case 6: return json_object();
    case 7: return json_pack("[n,i,s,[],{}]", 1, "x");
    case 8: return json_string("nan");
    case 9: return json_true();
    default: return NULL;
    }
}

enum { WRONG_KINDS = 11, ITEMS = 2 };

// Tries each wrong value for each key at and below `v`, with `doc` as the whole; puts the old value back. In
// arrays only the first elements are tried: the rest is alike.
static void mutate(json_t *doc, json_t *v) {
    const char *key;
    json_t *item;
    for (size_t i = 0; i < json_array_size(v) && i < ITEMS; i++) {
        json_t *old = json_incref(json_array_get(v, i));
        mutate(doc, old);
        for (size_t kind = 0; kind + 1 < WRONG_KINDS; kind++) {
            json_array_set_new(v, i, wrong_value(kind));
            both(doc);
        }
        json_array_set_new(v, i, old);
    }
    size_t count = json_object_size(v), n = 0;
    if (!count) return;
    char **names = ap_calloc(count, sizeof *names); // a key put back moves to the end: no iterating meanwhile
    json_object_foreach(v, key, item) names[n++] = ap_strdup(key);
    for (size_t i = 0; i < count; i++) {
        json_t *old = json_incref(json_object_get(v, names[i]));
        mutate(doc, old);
        for (size_t kind = 0; kind < WRONG_KINDS; kind++) {
            json_t *wrong = wrong_value(kind);
            if (wrong)
                json_object_set_new(v, names[i], wrong);
            else
                json_object_del(v, names[i]);
            both(doc);
        }
        json_object_set_new(v, names[i], old);
        free(names[i]);
    }
    free(names);
}

static void shorten(json_t *v) {
    const char *key;
    json_t *item;
    size_t i;
    while (json_array_size(v) > 4) json_array_remove(v, json_array_size(v) - 1);
    json_object_foreach(v, key, item) shorten(item);
    json_array_foreach(v, i, item) shorten(item);
}

static void test_mutated_documents(void **state) {
    (void)state;
    static const char *const names[] = {"report_sample.json", "report_fail.json"};
    for (size_t i = 0; i < 2; i++) {
        json_t *doc = load(names[i]);
        shorten(doc); // short arrays: the number of mutations counts, not the size of the page
        json_t *before = json_deep_copy(doc);
        mutate(doc, doc);
        assert_true(json_equal(before, doc));
        json_decref(before);
        json_decref(doc);
    }
}

static void test_not_an_object(void **state) {
    (void)state;
    json_t *array = json_array(), *empty = json_object();
    const json_t *bad[] = {NULL, array};
    for (size_t i = 0; i < 2; i++) {
        ap_buf out = {0};
        ap_err err = ap_report_html(bad[i], &out);
        assert_int_equal(ap_err_code(err), AP_ERR_CORRUPT);
        ap_err_free(err);
        err = ap_report_markdown(bad[i], &out);
        assert_int_equal(ap_err_code(err), AP_ERR_CORRUPT);
        ap_err_free(err);
        assert_int_equal(out.len, 0);
    }
    both(empty);
    json_decref(empty);
    json_decref(array);
}

// ---- files ----

static void test_write(void **state) {
    (void)state;
    static const char *const names[] = {"report.html", "report.md", "report.json"};
    ap_arena a = {0};
    char *dir = NULL;
    json_t *doc = load("report_sample.json"), *again = NULL;
    assert_null(ap_mkdtemp("/tmp", "aipc-test-report", &a, &dir));
    char *deep = ap_path_join(&a, dir, "out/x");
    assert_null(ap_report_write(doc, deep));
    for (size_t i = 0; i < 3; i++) assert_true(ap_file_exists(ap_path_join(&a, deep, names[i])));
    assert_null(ap_json_load(ap_path_join(&a, deep, "report.json"), 16 << 20, AP_ERR_CORRUPT, &again));
    assert_true(json_equal(doc, again));
    ap_err err = ap_report_write(doc, "/proc/no/such/place");
    assert_non_null(err);
    assert_non_null(strstr(ap_err_message(err), "/proc/no/such/place"));
    ap_err_free(err);
    assert_null(ap_rmtree(dir));
    json_decref(again);
    json_decref(doc);
    ap_arena_release(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_html_sections),
        cmocka_unit_test(test_html_failure),
        cmocka_unit_test(test_markdown),
        cmocka_unit_test(test_markdown_tables_keep_their_shape),
        cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_helpers),
        cmocka_unit_test(test_odd_numbers_in_the_plot),
        cmocka_unit_test(test_emulator_cycles_never_shown),
        cmocka_unit_test(test_thousands_of_tensors_keep_the_worst),
        cmocka_unit_test(test_trace_notes),
        cmocka_unit_test(test_mutated_documents),
        cmocka_unit_test(test_not_an_object),
        cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
