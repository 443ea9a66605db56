// SPDX-License-Identifier: Apache-2.0
// What the QNN provider says, read back: refusals from its log, layers from its graph dump, an estimate from
// those.
#include "test_tensor.h"

#include "target/cost.h"
#include "target/qnn_dump.h"
#include "target/refusals.h"

// ---- refusals: the lines of onnxruntime-qnn 2.7.0

#define TRILU                                                                                                \
    "verbose: Validation FAILED for 1 nodes in OrtNodeUnit (Trilu) :\n\tOperator type: Trilu Node name: "    \
    "tri Node "                                                                                              \
    "index: 2\n\tREASON : Operators of type `Trilu` are not supported by QNN EP.Trilu node `tri` will not "  \
    "be "                                                                                                    \
    "assigned to QNN EP.\n"
#define CUMSUM                                                                                               \
    "verbose: Validation FAILED for 1 nodes in OrtNodeUnit (CumSum) :\n\tOperator type: CumSum Node name: "  \
    "cs_token_12 Node index: 3\n\tREASON : QNN only supports default value 0 for reverse attribute\n"
#define BACKEND                                                                                              \
    "warning: QNN.backendValidateOpConfig() failed for node `r6` of type `Relu` with error code 3110"
#define RELU                                                                                                 \
    "verbose: Validation FAILED for 1 nodes in OrtNodeUnit (Relu) :\n\tOperator type: Relu Node name: r6 "   \
    "Node "                                                                                                  \
    "index: 0\n\tREASON : Failed to add node.\n"
#define PASSED                                                                                               \
    "verbose: Validation PASSED for 5 nodes in OrtNodeUnit (Conv) :\n\tOperator type: Conv Node name: c "    \
    "Node index: 1\n"

static void refusal(const json_t *list, size_t i, const char *node, const char *op, const char *reason) {
    const json_t *r = json_array_get(list, i);
    assert_string_equal(ap_json_str(r, "node", ""), node);
    assert_string_equal(ap_json_str(r, "op", ""), op);
    assert_string_equal(ap_json_str(r, "reason", ""), reason);
}

static void reasons(void **state) {
    (void)state;
    // Two passes: the second one repeats, with the layout step's names.
    const char *lines[] = {PASSED, TRILU,  CUMSUM, BACKEND, RELU, "error: something else",
                           TRILU,  CUMSUM, RELU};
    json_t *list = ap_refusals_parse(lines, sizeof lines / sizeof *lines);
    assert_int_equal(json_array_size(list), 3);
    refusal(list, 0, "tri", "Trilu", "Operators of type `Trilu` are not supported by QNN EP.");
    refusal(list, 1, "cs", "CumSum", "QNN only supports default value 0 for reverse attribute");
    refusal(list, 2, "r6", "Relu",
            "QNN.backendValidateOpConfig() failed for node `r6` of type `Relu` with error code 3110");
    json_decref(list);
}

static void odd_lines(void **state) {
    (void)state;
    char *longest = ap_alloc(5000);
    memset(longest, 'n', 4999);
    longest[4999] = '\0';
    ap_buf long_name = {0};
    ap_buf_printf(&long_name, "Validation FAILED x Operator type: T Node name: %s Node index: 0 REASON : %s",
                  longest, longest);
    const char *lines[] = {
        "",
        "Validation FAILED",
        "Validation FAILED Operator type: T",
        "Validation FAILED Operator type: T Node name: half",
        "Validation FAILED\n\tOperator type: A Node name:  Node index: 0",
        "Validation FAILED\n\tOperator type: B Node name: \xff\xfe Node index: 0\n\tREASON : \x80",
        "Validation FAILED\n\tOperator type: C Node name: c Node index: 0\n\tREASON : Failed to add node.",
        ap_buf_str(&long_name)};
    json_t *list = ap_refusals_parse(lines, sizeof lines / sizeof *lines);
    char *text = ap_json_text(list, false);
    assert_non_null(text); // valid JSON, whatever the bytes
    for (size_t i = 0; i < json_array_size(list); i++)
        assert_true(strlen(ap_json_str(json_array_get(list, i), "node", "")) < 1024);
    // A backend's refusal without its own line keeps the words there are.
    bool found = false;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(ap_json_str(json_array_get(list, i), "op", ""), "C") == 0) {
            found = true;
            refusal(list, i, "c", "C", "Failed to add node.");
        }
    assert_true(found);
    free(text);
    json_decref(list);
    ap_buf_free(&long_name);
    free(longest);
    list = ap_refusals_parse(NULL, 0);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
}

static void plain(const char *name, const char *want) {
    char out[64];
    ap_refusals_plain_name(name, out, sizeof out);
    assert_string_equal(out, want);
}

static void plain_names(void **state) {
    (void)state;
    plain("conv0_token_12", "conv0");
    plain("conv0_token_12_token_3", "conv0");
    plain("conv0_token_", "conv0_token_");
    plain("conv0_token_1x", "conv0_token_1x");
    plain("conv0_12", "conv0_12");
    plain("_token_5", "");
    plain("", "");
    plain("7", "7");
    char small[4];
    ap_refusals_plain_name("abcdef_token_1", small, sizeof small);
    assert_string_equal(small, "abc");
}

// ---- layers

// "TYPE:IN,IN>OUT NAME" per node and "name=dims:type:data_type" per tensor make a dump.
typedef struct dump {
    json_t *nodes, *tensors;
} dump;

static dump new_dump(void) {
    return (dump){json_object(), json_object()};
}
static void node(dump *d, const char *name, const char *op, json_t *ins, json_t *outs) {
    json_object_set_new(d->nodes, name,
                        json_pack("{ss,so,so}", "type", op, "input_names", ins, "output_names", outs));
}
static void value(dump *d, const char *name, int type, int data_type, json_t *dims) {
    json_object_set_new(d->tensors, name,
                        json_pack("{si,si,so}", "type", type, "data_type", data_type, "dims", dims));
}
static json_t *dump_json(dump *d) {
    return json_pack("{s{so,so}}", "graph", "nodes", d->nodes, "tensors", d->tensors);
}

enum { NATIVE = 3, STATIC = 4, F32 = 0x232, U8 = 0x408, U16 = 0x416, I64 = 0x64, BOOL = 0x508 };

static size_t layers_of(json_t *j, ap_arena *a, ap_qnn_layer **list) {
    size_t count = 0;
    must(ap_qnn_dump_layers(j, a, list, &count));
    return count;
}

static void order_is_that_of_the_data(void **state) {
    (void)state;
    dump d = new_dump();
    // By name: a_last, b, z_first; by data: z_first, b, a_last.
    node(&d, "a_last", "Relu", json_pack("[s]", "t2"), json_pack("[s]", "t3"));
    node(&d, "b", "Add", json_pack("[s,s]", "t1", "t1"), json_pack("[s]", "t2"));
    node(&d, "z_first", "Relu", json_pack("[s]", "x"), json_pack("[s]", "t1"));
    json_t *j = dump_json(&d);
    ap_arena a = {0};
    ap_qnn_layer *list = NULL;
    assert_int_equal(layers_of(j, &a, &list), 3);
    assert_string_equal(list[0].name, "z_first");
    assert_string_equal(list[1].name, "b");
    assert_string_equal(list[2].name, "a_last");
    assert_string_equal(list[2].op, "Relu");
    ap_arena_release(&a);
    json_decref(j);
}

static int64_t macs(const char *op, json_t *in, json_t *w, json_t *out) {
    dump d = new_dump();
    node(&d, "n", op, json_pack("[s,s]", "i", "w"), json_pack("[s]", "o"));
    value(&d, "i", NATIVE, F32, in);
    value(&d, "w", STATIC, F32, w);
    value(&d, "o", NATIVE, F32, out);
    json_t *j = dump_json(&d);
    ap_arena a = {0};
    ap_qnn_layer *list = NULL;
    assert_int_equal(layers_of(j, &a, &list), 1);
    int64_t n = list[0].macs;
    ap_arena_release(&a);
    json_decref(j);
    return n;
}
#define DIMS(...) json_pack(__VA_ARGS__)

static void macs_by_hand(void **state) {
    (void)state;
    // 10x10x16 outputs, each 3*3*8 products.
    assert_int_equal(macs("Conv2d", DIMS("[i,i,i,i]", 1, 10, 10, 8), DIMS("[i,i,i,i]", 3, 3, 8, 16),
                          DIMS("[i,i,i,i]", 1, 10, 10, 16)),
                     10 * 10 * 16 * 72);
    // Two groups: weights hold in/group channels.
    assert_int_equal(macs("Conv2d", DIMS("[i,i,i,i]", 1, 10, 10, 8), DIMS("[i,i,i,i]", 3, 3, 4, 16),
                          DIMS("[i,i,i,i]", 1, 10, 10, 16)),
                     10 * 10 * 16 * 36);
    assert_int_equal(macs("Conv3d", DIMS("[i,i,i,i,i]", 1, 4, 4, 4, 2), DIMS("[i,i,i,i,i]", 3, 3, 3, 2, 5),
                          DIMS("[i,i,i,i,i]", 1, 4, 4, 4, 5)),
                     64 * 5 * 54);
    assert_int_equal(macs("DepthWiseConv2d", DIMS("[i,i,i,i]", 1, 10, 10, 8), DIMS("[i,i,i,i]", 3, 3, 1, 8),
                          DIMS("[i,i,i,i]", 1, 10, 10, 8)),
                     10 * 10 * 8 * 9);
    // Every one of 5*5*8 inputs meets 2*2*4 weights.
    assert_int_equal(macs("TransposeConv2d", DIMS("[i,i,i,i]", 1, 5, 5, 8), DIMS("[i,i,i,i]", 2, 2, 8, 4),
                          DIMS("[i,i,i,i]", 1, 10, 10, 4)),
                     5 * 5 * 8 * 16);
    // Weights are [out, in].
    assert_int_equal(macs("FullyConnected", DIMS("[i,i]", 3, 20), DIMS("[i,i]", 7, 20), DIMS("[i,i]", 3, 7)),
                     3 * 7 * 20);
    assert_int_equal(macs("FullyConnected", DIMS("[i,i]", 3, 7), DIMS("[i,i]", 7, 7), DIMS("[i,i]", 3, 7)),
                     3 * 7 * 7);
    assert_int_equal(
        macs("MatMul", DIMS("[i,i,i]", 2, 5, 20), DIMS("[i,i,i]", 2, 20, 9), DIMS("[i,i,i]", 2, 5, 9)),
        2 * 5 * 9 * 20);
    assert_int_equal(macs("MatMul", DIMS("[i,i]", 5, 20), DIMS("[i,i]", 9, 20), DIMS("[i,i]", 5, 9)),
                     5 * 9 * 20); // B transposed
    assert_int_equal(macs("Relu", DIMS("[i]", 5), DIMS("[i]", 5), DIMS("[i]", 5)), 0);
    assert_int_equal(macs("Convert", DIMS("[i,i]", 5, 5), DIMS("[i,i]", 5, 5), DIMS("[i,i]", 5, 5)), 0);
    assert_int_equal(macs("Conv2d", DIMS("[]"), DIMS("[]"), DIMS("[]")), 0);
}

static void bytes_on_the_device(void **state) {
    (void)state;
    dump d = new_dump();
    node(&d, "n", "Add", json_pack("[s,s,s,s,s]", "f", "w", "q", "l", "b"), json_pack("[s]", "o"));
    value(&d, "f", 0, F32, DIMS("[i]", 10));       // 20: floats are 16 bits wide there
    value(&d, "w", STATIC, F32, DIMS("[i]", 10));  // 20 of weights
    value(&d, "q", NATIVE, U8, DIMS("[i]", 10));   // 10
    value(&d, "l", NATIVE, I64, DIMS("[i]", 10));  // 80
    value(&d, "b", NATIVE, BOOL, DIMS("[i]", 10)); // 10
    value(&d, "o", 1, U16, DIMS("[i]", 10));       // 20
    json_t *j = dump_json(&d);
    ap_arena a = {0};
    ap_qnn_layer *list = NULL;
    assert_int_equal(layers_of(j, &a, &list), 1);
    assert_int_equal(list[0].weight_bytes, 20);
    assert_int_equal(list[0].activation_bytes, 20 + 10 + 80 + 10 + 20);
    ap_arena_release(&a);
    json_decref(j);
}

static void refuse_dump(json_t *j, const char *message) {
    ap_arena a = {0};
    ap_qnn_layer *list = NULL;
    size_t count = 0;
    ap_err err = ap_qnn_dump_layers(j, &a, &list, &count);
    assert_int_equal(ap_err_code(err), AP_ERR_VENDOR);
    assert_non_null(strstr(ap_err_message(err), message));
    ap_err_free(err);
    ap_arena_release(&a);
    json_decref(j);
}

static json_t *with_dims(json_t *dims) {
    dump d = new_dump();
    node(&d, "n", "Conv2d", json_pack("[s,s]", "i", "i"), json_pack("[s]", "i"));
    value(&d, "i", NATIVE, F32, dims);
    return dump_json(&d);
}

static void hostile_dumps(void **state) {
    (void)state;
    ap_arena a = {0};
    ap_qnn_layer *list = NULL;
    refuse_dump(json_object(), "graph");
    refuse_dump(json_pack("{s[]}", "graph"), "graph");
    refuse_dump(json_pack("{s{s{}}}", "graph", "nodes"), "tensors");
    refuse_dump(json_array(), "");
    refuse_dump(with_dims(DIMS("[I,I,I]", (json_int_t)1 << 40, (json_int_t)1 << 40, (json_int_t)2)),
                "impossible size");
    refuse_dump(with_dims(DIMS("[i,i]", -1, 2)), "impossible size");
    refuse_dump(with_dims(DIMS("[I]", (json_int_t)INT64_MAX)), "");
    refuse_dump(with_dims(DIMS("[i,i,i,i,i,i,i,i,i,i,i,i,i,i,i,i,i]", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                               1, 1, 1, 1)),
                "rank 17");
    // A cycle, a node that feeds itself, values nobody makes, lists that are none: layers all the same.
    dump d = new_dump();
    node(&d, "a", "Relu", json_pack("[s]", "tb"), json_pack("[s]", "ta"));
    node(&d, "b", "Relu", json_pack("[s]", "ta"), json_pack("[s]", "tb"));
    node(&d, "self", "Relu", json_pack("[s]", "ts"), json_pack("[s]", "ts"));
    node(&d, "odd", "Conv2d", json_pack("[i,n,s]", 1, "nobody"), json_object());
    json_object_set_new(d.nodes, "no node", json_integer(3));
    json_t *j = dump_json(&d);
    assert_int_equal(layers_of(j, &a, &list), 5);
    json_decref(j);
    ap_arena_release(&a);
}

// A ladder whose every rung has two ways up: 2^n paths, n steps.
static void deep_and_wide(void **state) {
    (void)state;
    enum { RUNGS = 20000 };
    dump d = new_dump();
    for (int i = RUNGS; i > 0; i--) {
        char name[16], from[16], to[16];
        snprintf(name, sizeof name, "n%05d", RUNGS - i);
        snprintf(from, sizeof from, "t%d", i - 1);
        snprintf(to, sizeof to, "t%d", i);
        node(&d, name, "Add", json_pack("[s,s]", from, from), json_pack("[s]", to));
    }
    json_t *j = dump_json(&d);
    ap_arena a = {0};
    ap_qnn_layer *list = NULL;
    assert_int_equal(layers_of(j, &a, &list), RUNGS);
    assert_string_equal(list[0].name, "n19999");
    ap_arena_release(&a);
    json_decref(j);
}

// ---- cost

static void estimates(void **state) {
    (void)state;
    const ap_soc *soc = ap_soc_by_model(57);
    dump d = new_dump();
    node(&d, "big_token_4", "Conv2d", json_pack("[s,s]", "i", "w"), json_pack("[s]", "o"));
    value(&d, "i", 0, F32, DIMS("[i,i,i,i]", 1, 160, 160, 64));
    value(&d, "w", STATIC, F32, DIMS("[i,i,i,i]", 3, 3, 64, 64));
    value(&d, "o", 1, F32, DIMS("[i,i,i,i]", 1, 160, 160, 64));
    node(&d, "weights", "FullyConnected", json_pack("[s,s]", "v", "m"), json_pack("[s]", "r"));
    value(&d, "v", NATIVE, F32, DIMS("[i,i]", 1, 4096));
    value(&d, "m", STATIC, F32, DIMS("[i,i]", 4096, 4096));
    value(&d, "r", NATIVE, F32, DIMS("[i,i]", 1, 4096));
    node(&d, "tiny", "ElementWiseAbs", json_pack("[s]", "r"), json_pack("[s]", "r2"));
    value(&d, "r2", NATIVE, F32, DIMS("[i]", 1));
    node(&d, "folded", "Relu", json_pack("[s]", "r2"), json_pack("[s]", "r3"));
    value(&d, "r3", NATIVE, F32, DIMS("[i]", 1));
    json_t *j = dump_json(&d), *layers = json_array(), *l;
    must(ap_cost_layers(j, soc, layers));
    assert_int_equal(json_array_size(layers), 4);
    size_t i;
    json_array_foreach(layers, i, l) {
        const char *name = ap_json_str(l, "name", ""), *bound = ap_json_str(l, "bound", "");
        double ms = ap_json_num(l, "ms", -1);
        assert_true(strcmp(name, "folded") == 0 ? ms <= 0 : ms > 0.0007 - 1e-12);
        if (strcmp(name, "big") == 0) {
            assert_string_equal(bound, "compute");
            double macs_per_ms = soc->fp16_tflops.value * 1e9 / 2 * 1.0; // data/cost.json
            assert_true(fabs(ms - (160.0 * 160 * 64 * 576 / macs_per_ms + 0.0007)) < 1e-9);
        } else if (strcmp(name, "weights") == 0) {
            assert_string_equal(bound, "memory");
            assert_true(ms >= 4096.0 * 4096 * 2 / (soc->dram_gbps.value * 1e6));
        } else {
            assert_true(strcmp(name, "tiny") == 0 || strcmp(name, "folded") == 0);
            assert_string_equal(bound, "overhead");
        }
    }
    json_decref(j);
    json_decref(layers);
}

static void estimate_from_files(void **state) {
    scratch *s = *state;
    dump d = new_dump();
    node(&d, "n", "ElementWiseAbs", json_pack("[s]", "i"), json_pack("[s]", "o"));
    json_t *j = dump_json(&d),
           *files = json_pack("[{ssss},{ssss}]", "file", "other", "role", "wrapper", "file", "g.json", "role",
                              "qnn graph"),
           *cost = NULL;
    must(ap_json_save(at(s, "g.json"), j));
    must(ap_cost_from_dumps(s->dir, files, ap_soc_by_model(57), &cost));
    assert_int_equal(json_array_size(json_object_get(cost, "layers")), 1);
    assert_true(json_array_size(json_object_get(cost, "assumptions")) >= 6);
    assert_true(fabs(ap_json_num(cost, "estimate_ms", 0) - 0.3057) < 1e-6);
    json_decref(cost);
    cost = NULL;
    ap_soc unknown = *ap_soc_by_model(57);
    unknown.dram_gbps.value = 0;
    must(ap_cost_from_dumps(s->dir, files, &unknown, &cost));
    assert_true(json_is_null(cost)); // no figures, no estimate
    json_decref(cost);
    cost = NULL;
    must(ap_file_write(at(s, "g.json"), "{\"graph\":", 9));
    ap_err err = ap_cost_from_dumps(s->dir, files, ap_soc_by_model(57), &cost);
    assert_int_equal(ap_err_code(err), AP_ERR_VENDOR);
    assert_null(cost);
    ap_err_free(err);
    json_decref(j);
    json_decref(files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons),
        cmocka_unit_test(odd_lines),
        cmocka_unit_test(plain_names),
        cmocka_unit_test(order_is_that_of_the_data),
        cmocka_unit_test(macs_by_hand),
        cmocka_unit_test(bytes_on_the_device),
        cmocka_unit_test(hostile_dumps),
        cmocka_unit_test(deep_and_wide),
        cmocka_unit_test(estimates),
        cmocka_unit_test_setup_teardown(estimate_from_files, test_setup, test_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
