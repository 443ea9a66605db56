// SPDX-License-Identifier: Apache-2.0
// Probes without a backend: the table, signatures, values, batches, verdicts.
#include "surgery/probe/probe_priv.h"
#include "tensor/npy.h"
#include "test_graph_build.h"

#include <math.h>

static ap_probe *add(ap_probe_set *s, const char *variant) {
    json_t *j = NULL;
    must(ap_json_parse(variant, strlen(variant), "variant", AP_ERR_CORRUPT, &j));
    must(ap_probe_add_variant(s, j, 17));
    json_decref(j);
    return &s->list[s->count - 1];
}

#define RELU                                                                                                 \
    "{\"op\":\"Relu\",\"name\":\"a\",\"inputs\":[{\"dtype\":\"float32\",\"dims\":[1,4],\"values\":"          \
    "\"normal\"}]}"

// ---- the table

static void table_is_whole(void **state) {
    (void)state;
    ap_probe_set s = {0};
    ap_map keys = {0}, ops = {0};
    size_t added = 0;
    must(ap_probe_add_table(&s, NULL, &added));
    assert_true(added >= 458);
    for (size_t i = 0; i < s.count; i++) {
        if (!ap_map_add(&keys, s.list[i].key, &s))
            fail_msg("%s %s is there twice", s.list[i].op, s.list[i].variant);
        ap_map_set(&ops, s.list[i].op, &s);
    }
    assert_true(ops.count >= 170);
    must(ap_probe_add_table(&s, "rElU", &added));
    assert_true(added >= 10);
    must(ap_probe_add_table(&s, "Nonsense", &added));
    assert_int_equal(added, 0);
    assert_string_equal(ap_probe_nearest_op("Conf", &s.arena), "Conv");
    ap_map_free(&keys);
    ap_map_free(&ops);
    ap_probe_set_release(&s);
}

static void bad_variants(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"{\"op\":\"Relu\"}", "without op or name"},
        {"{\"op\":\"Relu\",\"name\":\"a\",\"inputs\":[{\"dtype\":\"float33\",\"dims\":[1]}]}",
         "without dtype and dims"},
        {"{\"op\":\"Relu\",\"name\":\"a\",\"inputs\":[{\"dtype\":\"float32\",\"dims\":[1],\"values\":\"odd\"}"
         "]}",
         "no values 'odd'"},
        {"{\"op\":\"Relu\",\"name\":\"a\",\"outputs\":1000000}", "1000000 outputs"},
        {"{\"op\":\"Relu\",\"name\":\"a\",\"attrs\":{\"x\":null}}", "attribute 'x'"},
        {"{\"op\":\"P\",\"name\":\"a\",\"nodes\":[{\"op\":\"Add\"}]}",
         "a node without op, inputs and outputs"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ap_probe_set s = {0};
        json_t *j = NULL;
        must(ap_json_parse(bad[i][0], strlen(bad[i][0]), "variant", AP_ERR_CORRUPT, &j));
        must_fail(ap_probe_add_variant(&s, j, 17), AP_ERR_CORRUPT, bad[i][1]);
        assert_int_equal(s.count, 0);
        json_decref(j);
        ap_probe_set_release(&s);
    }
}

// ---- signatures

static void signatures(void **state) {
    (void)state;
    ap_probe_set s = {0};
    // First the base, then one that must be the same, then ones that must differ.
    static const char *const list[] = {
        "{\"op\":\"Pad\",\"name\":\"a\",\"attrs\":{\"mode\":\"edge\",\"k\":1},\"inputs\":[{\"dtype\":"
        "\"float32\",\"dims\":[1,4],"
        "\"values\":\"normal\"},{\"dtype\":\"int64\",\"dims\":[1],\"values\":[\"list\",3],\"const\":true}]}",
        "{\"op\":\"Pad\",\"name\":\"another\",\"attrs\":{\"k\":1,\"mode\":\"edge\"},\"inputs\":[{\"dtype\":"
        "\"float32\",\"dims\":[1,4],"
        "\"values\":\"normal\"},{\"dtype\":\"int64\",\"dims\":[1],\"values\":[\"fill\",3],\"const\":true}]}",
        "{\"op\":\"Pad\",\"name\":\"a\",\"attrs\":{\"mode\":\"wrap\",\"k\":1},\"inputs\":[{\"dtype\":"
        "\"float32\",\"dims\":[1,4],"
        "\"values\":\"normal\"},{\"dtype\":\"int64\",\"dims\":[1],\"values\":[\"list\",3],\"const\":true}]}",
        "{\"op\":\"Pad\",\"name\":\"a\",\"attrs\":{\"mode\":\"edge\",\"k\":1},\"inputs\":[{\"dtype\":"
        "\"float32\",\"dims\":[1,4],"
        "\"values\":\"normal\"},{\"dtype\":\"int64\",\"dims\":[1],\"values\":[\"list\",4],\"const\":true}]}",
        "{\"op\":\"Pad\",\"name\":\"a\",\"attrs\":{\"mode\":\"edge\",\"k\":1},\"inputs\":[{\"dtype\":"
        "\"float16\",\"dims\":[1,4],"
        "\"values\":\"normal\"},{\"dtype\":\"int64\",\"dims\":[1],\"values\":[\"list\",3],\"const\":true}]}",
        "{\"op\":\"Pad\",\"name\":\"a\",\"attrs\":{\"mode\":\"edge\",\"k\":1},\"inputs\":[{\"dtype\":"
        "\"float32\",\"dims\":[4,1],"
        "\"values\":\"normal\"},{\"dtype\":\"int64\",\"dims\":[1],\"values\":[\"list\",3],\"const\":true}]}",
        "{\"op\":\"Pad\",\"name\":\"a\",\"opset\":18,\"attrs\":{\"mode\":\"edge\",\"k\":1},\"inputs\":[{"
        "\"dtype\":\"float32\",\"dims\":[1,4],"
        "\"values\":\"normal\"},{\"dtype\":\"int64\",\"dims\":[1],\"values\":[\"list\",3],\"const\":true}]}",
        "{\"op\":\"Pad\",\"name\":\"a\",\"attrs\":{\"mode\":\"edge\",\"k\":1},\"inputs\":[{\"dtype\":"
        "\"float32\",\"dims\":[1,4],"
        "\"values\":\"normal\",\"symbols\":{\"0\":\"N\"}},{\"dtype\":\"int64\",\"dims\":[1],\"values\":["
        "\"list\",3],\"const\":true}]}",
    };
    char base[65];
    memcpy(base, add(&s, list[0])->key, sizeof base);
    assert_string_equal(add(&s, list[1])->key, base);
    for (size_t i = 2; i < sizeof list / sizeof *list; i++)
        if (strcmp(add(&s, list[i])->key, base) == 0) fail_msg("variant %zu has the same signature", i);
    ap_probe_set_release(&s);
}

// ---- values

static void values(void **state) {
    (void)state;
    ap_value_type f = {.dtype = AP_F32, .rank = 1, .dims = {300}},
                  u = {.dtype = AP_U8, .rank = 1, .dims = {256}};
    ap_tensor a = {0}, b = {0}, c = {0};
    must(ap_probe_values_make(&(ap_probe_values){.kind = AP_PROBE_VALUES_NORMAL, .a = 1}, 7, &f, &a));
    must(ap_probe_values_make(&(ap_probe_values){.kind = AP_PROBE_VALUES_NORMAL, .a = 1}, 7, &f, &b));
    must(ap_probe_values_make(&(ap_probe_values){.kind = AP_PROBE_VALUES_NORMAL, .a = 1}, 8, &f, &c));
    assert_memory_equal(a.data, b.data, a.bytes);
    assert_memory_not_equal(a.data, c.data, a.bytes);
    double sum = 0;
    for (size_t i = 0; i < 300; i++) {
        float v = (float)ap_tensor_at(&a, i);
        sum += (double)v * (double)v;
        assert_true(v == ap_f16_to_f32(ap_f32_to_f16(v)));
    }
    assert_true(sum / 300 > 0.7 && sum / 300 < 1.4);
    ap_tensor_free(&a);
    ap_tensor_free(&b);
    ap_tensor_free(&c);
    must(ap_probe_values_make(&(ap_probe_values){.kind = AP_PROBE_VALUES_DISTINCT}, 1, &f, &a));
    for (size_t i = 0; i < 300; i++)
        for (size_t k = 0; k < i; k++) assert_true(ap_tensor_at(&a, i) != ap_tensor_at(&a, k));
    must(ap_probe_values_make(&(ap_probe_values){.kind = AP_PROBE_VALUES_COUNT}, 1, &u, &b));
    for (size_t i = 0; i < 256; i++) assert_true(ap_tensor_at(&b, i) == (double)i);
    must(ap_probe_values_make(&(ap_probe_values){.kind = AP_PROBE_VALUES_INTS, .a = -3, .b = 4}, 1, &f, &c));
    for (size_t i = 0; i < 300; i++) assert_true(fabs(ap_tensor_at(&c, i)) <= 3);
    ap_tensor_free(&a);
    ap_tensor_free(&b);
    ap_tensor_free(&c);
}

// Other numbers, other shapes: the same seed gives the same, and what has to agree goes on agreeing.
static void variation(void **state) {
    (void)state;
    ap_probe_set table = {0}, a = {0}, b = {0}, numbers = {0};
    ap_probe_variation v = {.seed = 5, .shapes = true}, only = {.seed = 5};
    size_t n, moved = 0, again = 1, rounds = 0;
    must(ap_probe_add_table(&table, "Add", &n));
    must(ap_probe_add_varied(&a, "Add", &v, &n));
    must(ap_probe_add_varied(&b, "Add", &v, &n));
    must(ap_probe_add_varied(&numbers, "Add", &only, &n));
    assert_int_equal(a.count, table.count);
    for (size_t i = 0; i < a.count; i++) {
        const ap_value_type *x = &a.list[i].inputs[0].type, *y = &table.list[i].inputs[0].type,
                            *z = &numbers.list[i].inputs[0].type;
        assert_string_equal(a.list[i].key, b.list[i].key);
        assert_string_not_equal(a.list[i].key, table.list[i].key);
        assert_string_not_equal(numbers.list[i].key, table.list[i].key);
        assert_true(ap_shape_equal(z->dims, z->rank, y->dims, y->rank));
        moved += !ap_shape_equal(x->dims, x->rank, y->dims, y->rank);
        for (size_t k = 0; k < x->rank; k++) assert_true(x->dims[k] >= y->dims[k]);
        const ap_value_type *right = &a.list[i].inputs[1].type;
        if (a.list[i].input_count == 2 && ap_shape_equal(y->dims, y->rank, table.list[i].inputs[1].type.dims,
                                                         table.list[i].inputs[1].type.rank))
            assert_true(ap_shape_equal(x->dims, x->rank, right->dims, right->rank));
    }
    assert_true(moved > n / 2);
    // What the oracle does not take comes nearer to the table, until it stands there.
    for (; again; rounds++) {
        for (size_t i = 0; i < a.count; i++) a.list[i].verdict = AP_PROBE_INVALID;
        must(ap_probe_vary_again(&a, &v, &again));
        assert_true(again == 0 || again == a.count);
    }
    assert_true(rounds > 2);
    for (size_t i = 0; i < a.count; i++) assert_string_equal(a.list[i].key, numbers.list[i].key);
    ap_probe_set_release(&table);
    ap_probe_set_release(&a);
    ap_probe_set_release(&b);
    ap_probe_set_release(&numbers);
}

// What is written reads back as the same draw: a list has no place for limits.
static void values_read_back(void **state) {
    (void)state;
    static const char *const forms[] = {"[\"list\",0.0,0.0,0.0,8.0,8.0]", "[\"uniform\",1.5,2.0]",
                                        "[\"lines\",0.0,9.0,1]", "[\"ints\",-3.0,4.0]"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        ap_arena a = {0};
        json_t *j = NULL;
        ap_probe_values v;
        must(ap_json_parse(forms[i], strlen(forms[i]), "values", AP_ERR_CORRUPT, &j));
        must(ap_probe_values_from_json(j, &a, &v));
        json_t *again = ap_probe_values_json(&v);
        char *text = json_dumps(again, JSON_COMPACT);
        assert_string_equal(text, forms[i]);
        free(text);
        json_decref(again);
        json_decref(j);
        ap_arena_release(&a);
    }
}

static void values_suit_the_op(void **state) {
    (void)state;
    ap_arena a = {0};
    ap_value_type types[2] = {{.dtype = AP_F32, .rank = 2, .dims = {5, 8}},
                              {.dtype = AP_I64, .rank = 1, .dims = {3}}};
    Onnx__NodeProto *gather = ap_probe_make_node(&a, "Gather", "", 2, 1, 0),
                    *sqrt_node = ap_probe_make_node(&a, "Sqrt", "", 1, 1, 0);
    ap_probe_values v = ap_probe_values_for(gather, 1, types, 2);
    assert_int_equal(v.kind, AP_PROBE_VALUES_INTS);
    assert_true(v.a == 0 && v.b == 5);
    v = ap_probe_values_for(sqrt_node, 0, types, 1);
    assert_true(v.kind == AP_PROBE_VALUES_UNIFORM && v.a >= 0);
    types[0].dtype = AP_BOOL;
    assert_int_equal(ap_probe_values_for(sqrt_node, 0, types, 1).kind, AP_PROBE_VALUES_BOOL);
    ap_arena_release(&a);
}

// ---- nodes of a model

static bool no_types(void *user, const char *value, ap_value_type *out) {
    (void)user, (void)value, (void)out;
    return false;
}

static void nodes_of_a_model(void **state) {
    bench b = {0};
    (void)state;
    fresh(&b);
    input(&b, "x", "1,4");
    input(&b, "free", "1,n");
    output(&b, "y", NULL);
    output(&b, "z", NULL);
    node(&b, "relu", "Relu", "x", "y");
    node(&b, "open", "Abs", "free", "z");
    ap_buf bytes = {0};
    size_t n = onnx__model_proto__get_packed_size(b.model);
    ap_buf_reserve(&bytes, n);
    bytes.len = onnx__model_proto__pack(b.model, (uint8_t *)bytes.data);
    ap_model *m = NULL;
    must(ap_model_parse(bytes.data, bytes.len, NULL, &m));
    ap_probe_set s = {0};
    must(ap_probe_add_node(&s, m, ap_graph_node(m->graph, "relu"), no_types, NULL));
    must(ap_probe_add_node(&s, m, ap_graph_node(m->graph, "open"), no_types, NULL));
    assert_non_null(s.list[0].signature);
    assert_null(s.list[1].signature);
    assert_int_equal(s.list[1].verdict, AP_PROBE_UNASKED);
    assert_string_equal(s.list[1].reason, "an input's shape is not fixed");
    // A node of a model and the same variant of the table are one probe.
    ap_probe *same = add(&s, RELU);
    assert_string_equal(s.list[0].key, same->key);
    ap_probe_set_release(&s);
    ap_model_free(m);
    ap_buf_free(&bytes);
    ap_arena_release(&b.arena);
}

// ---- batches and verdicts

static void batches(void **state) {
    (void)state;
    ap_arena a = {0};
    ap_probe_set s = {0};
    char *dir = NULL;
    json_t *sets = NULL;
    ap_model *m = NULL;
    size_t added = 0;
    must(ap_mkdtemp("/tmp", "aipc-test-probe", &a, &dir));
    must(ap_probe_add_table(&s, "If", &added)); // a body: its names get the prefix, too
    must(ap_probe_add_table(&s, "Conv", &added));
    ap_probe **list = ap_arena_calloc(&a, s.count, sizeof *list);
    for (size_t i = 0; i < s.count; i++) list[i] = &s.list[i];
    ap_probe_batch b = {list, s.count};
    must(ap_probe_batch_write(&b, dir, &sets));
    must(ap_model_load(ap_path_join(&a, dir, "oracle.onnx"), &m));
    assert_int_equal(m->graph->node_count, s.count);
    for (size_t i = 0; i < s.count; i++)
        assert_int_equal(ap_probe_batch_owner(&b, m->graph->nodes[i]->name), i);
    assert_int_equal(json_array_size(sets), AP_PROBE_SETS);
    assert_true(ap_probe_batch_owner(&b, "p") == SIZE_MAX);
    assert_true(ap_probe_batch_owner(&b, "p99999/x") == SIZE_MAX);
    assert_true(ap_probe_batch_owner(&b, "Transpose_token_3") == SIZE_MAX);
    assert_int_equal(ap_probe_batch_named(&b, "Node 'p3/n0_token_1' was, and p3/y0"), 3);
    assert_true(ap_probe_batch_named(&b, "p3/n0 and p4/n0") == SIZE_MAX);
    assert_true(ap_probe_batch_named(&b, "/tmp/xp3/n0") == SIZE_MAX);
    ap_model_free(m);
    json_decref(sets);
    ap_probe_set_release(&s);
    must(ap_rmtree(dir));
    ap_arena_release(&a);
}

typedef struct answer {
    ap_arena *a;
    const char *dir;
    json_t *target, *oracle;
} answer;

// One float output of probe `i`, in both sets.
static void answers(answer *w, json_t *result, size_t i, const float *v, size_t n, bool stable) {
    json_t *outputs = json_object_get(result, "outputs");
    for (size_t set = 0; set < AP_PROBE_SETS; set++) {
        ap_tensor t = {0};
        int64_t dims[1] = {(int64_t)n};
        must(ap_tensor_view(AP_F32, dims, 1, (void *)(uintptr_t)v, n * sizeof *v, &t));
        char *path =
            ap_arena_printf(w->a, "%s/%s-%zu-%zu.npy", w->dir, result == w->target ? "t" : "o", i, set);
        must(ap_npy_write(path, &t));
        if (json_array_size(outputs) <= set) json_array_append_new(outputs, json_array());
        json_array_append_new(json_array_get(outputs, set),
                              json_pack("{ss,ss,s[i],ss,sb}", "name", ap_arena_printf(w->a, "p%zu/y0", i),
                                        "dtype", "float32", "dims", (int)n, "file", path, "stable", stable));
    }
    json_array_append_new(json_object_get(result, "placement"),
                          json_pack("{ss,ss}", "name", ap_arena_printf(w->a, "p%zu/n0", i), "op", "Relu"));
}

static void verdicts(void **state) {
    (void)state;
    ap_arena a = {0};
    char *dir = NULL;
    must(ap_mkdtemp("/tmp", "aipc-test-probe", &a, &dir));
    answer w = {.a = &a,
                .dir = dir,
                .target =
                    json_pack("{s[],s[],s[s],s[{ssssss}]}", "outputs", "placement", "fallen", "p5", "refused",
                              "node", "p5/n0", "op", "Relu", "reason", "no such thing at p5/n0"),
                .oracle = json_pack("{s[],s[]}", "outputs", "placement")};
    static const float ref[4] = {1, 2, -4, 0};
    static const float test[][4] = {
        {1, 2, -4, 0.01f}, {1, 2, -4, 0.06f}, {1, 2, -4, 1}, {1, 2, NAN, 0}, {1, 2, -4, 0},
    };
    static const ap_probe_verdict want[] = {AP_PROBE_ACCEPTED, AP_PROBE_ACCEPTED, AP_PROBE_WRONG,
                                            AP_PROBE_WRONG,    AP_PROBE_UNSTABLE, AP_PROBE_REFUSED,
                                            AP_PROBE_ACCEPTED};
    enum { COUNT = 7 };
    ap_probe_set s = {0};
    ap_probe *list[COUNT];
    for (size_t i = 0; i < COUNT; i++) (void)add(&s, RELU);
    for (size_t i = 0; i < COUNT; i++) list[i] = &s.list[i];
    for (size_t i = 0; i < COUNT; i++) answers(&w, w.oracle, i, ref, 4, true);
    for (size_t i = 0; i < 5; i++) answers(&w, w.target, i, test[i], 4, i != 4);
    answers(&w, w.target, 6, ref, 4, true);
    json_array_remove(json_object_get(w.target, "placement"), 5); // nothing of p6 was placed
    ap_probe_batch b = {list, COUNT};
    must(ap_probe_judge(&b, w.target, w.oracle, NULL, AP_PROBE_TOLERANCE, &a));
    for (size_t i = 0; i < COUNT; i++)
        if (s.list[i].verdict != want[i])
            fail_msg("probe %zu is %s", i, ap_probe_verdict_word(s.list[i].verdict));
    assert_false(s.list[0].inexact);
    assert_true(s.list[1].inexact);
    assert_string_equal(s.list[2].reason, "output 0: off by 0.25 of the largest element (element 3)");
    assert_string_equal(s.list[3].reason, "output 0: 1 of 4 elements are NaN or Inf on one side only");
    assert_string_equal(s.list[5].reason, "no such thing at n0");
    assert_true(s.list[6].folded);
    // A node of a function's body has no name: who is absent stays open until asked alone.
    json_array_append_new(json_object_get(w.target, "placement"),
                          json_pack("{ss,ss}", "name", "", "op", "Mul"));
    s.list[6].verdict = AP_PROBE_UNASKED;
    must(ap_probe_judge(&b, w.target, w.oracle, NULL, AP_PROBE_TOLERANCE, &a));
    assert_int_equal(s.list[6].verdict, AP_PROBE_UNASKED);
    json_decref(w.target);
    json_decref(w.oracle);
    ap_probe_set_release(&s);
    must(ap_rmtree(dir));
    ap_arena_release(&a);
}

static void pages(void **state) {
    (void)state;
    ap_probe_set s = {0};
    ap_buf csv = {0}, html = {0};
    ap_probe *p = add(&s, RELU);
    p->variant = "<b>, \"x\"";
    ap_probe_decide(p, AP_PROBE_WRONG, "two\nlines, p0/n0", &s.arena);
    json_t *doc = ap_probe_document(&s, &(ap_probe_stats){.asked = 1, .seconds = 2});
    assert_int_equal(ap_json_int(json_object_get(doc, "summary"), "wrong", 0), 1);
    assert_int_equal(ap_json_int(json_object_get(doc, "summary"), "hung", -1), 0);
    ap_probe_csv(doc, &csv);
    assert_non_null(strstr(csv.data, "Relu,,\"<b>, \"\"x\"\"\",17,wrong,yes,0,no,no,\"two lines, n0\"\n"));
    ap_probe_html(doc, &html);
    assert_non_null(strstr(html.data, "&lt;b&gt;, &quot;x&quot;"));
    assert_non_null(strstr(html.data, "<b class=\"wrong\">1 accepted but wrong</b>"));
    json_decref(doc);
    ap_buf_free(&csv);
    ap_buf_free(&html);
    ap_probe_set_release(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_whole),
        cmocka_unit_test(bad_variants),
        cmocka_unit_test(signatures),
        cmocka_unit_test(values),
        cmocka_unit_test(variation),
        cmocka_unit_test(values_read_back),
        cmocka_unit_test(values_suit_the_op),
        cmocka_unit_test(nodes_of_a_model),
        cmocka_unit_test(batches),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
