// SPDX-License-Identifier: Apache-2.0
// gates: thresholds by precision, the user's own, verdicts, and the error that lists what failed.
#include "test_tensor.h"

#include "golden/gates.h"

static ap_gates gates_of(const char *precision, const char *const *user, size_t count) {
    ap_gates g = {0};
    must(ap_gates_init(precision, user, count, &g));
    return g;
}

// A result that passes everything.
static ap_metrics perfect(void) {
    return (ap_metrics){.count = 10,
                        .cosine = 1,
                        .sqnr_db = (double)INFINITY,
                        .ref_max = 2,
                        .worst_channel = -1,
                        .worst_channel_db = (double)NAN,
                        .argmax_agree = (double)NAN,
                        .top5_agree = (double)NAN,
                        .bit_equal = true};
}

static const json_t *gate(const json_t *list, const char *metric) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(ap_json_str(json_array_get(list, i), "metric", ""), metric) == 0)
            return json_array_get(list, i);
    return NULL;
}
static const char *verdict(const json_t *list, const char *metric) {
    return ap_json_str(gate(list, metric), "verdict", "absent");
}

static void precisions_differ(void **state) {
    (void)state;
    ap_gates half = gates_of("fp16", NULL, 0), full = gates_of("fp32", NULL, 0);
    assert_true(ap_gates_threshold(&half, "sqnr_db") == 30);
    assert_true(ap_gates_threshold(&full, "sqnr_db") == 80);
    assert_true(ap_gates_threshold(&half, "soc_readback") == 1);
    assert_true(isnan(ap_gates_threshold(&half, "max_abs")));
    ap_gates_release(&half);
    ap_gates_release(&full);
    ap_gates none = {0};
    must_fail(ap_gates_init("fp8", NULL, 0, &none), AP_ERR_USAGE, "no gates for precision 'fp8'");
    assert_null(none.rules);
}

static void verdicts_at_the_threshold(void **state) {
    (void)state;
    ap_gates g = gates_of("fp16", NULL, 0);
    json_t *list = json_array();
    ap_metrics m = perfect();
    m.sqnr_db = 30.0; // >= 30 holds
    m.max_abs = 0.2;  // of 2: rel_to_max 0.1 <= 0.1 holds
    assert_true(ap_gates_output(&g, "y", &m, list));
    assert_string_equal(verdict(list, "sqnr_db"), "pass");
    assert_string_equal(verdict(list, "rel_to_max"), "pass");
    assert_string_equal(verdict(list, "max_abs"), "info");
    assert_true(json_is_null(json_object_get(gate(list, "max_abs"), "threshold")));
    assert_string_equal(ap_json_str(gate(list, "cosine"), "output", ""), "y");
    assert_null(ap_gates_error(list));
    json_array_clear(list);
    m.sqnr_db = nextafter(30.0, 0);
    assert_false(ap_gates_output(&g, "y", &m, list));
    assert_string_equal(verdict(list, "sqnr_db"), "fail");
    json_decref(list);
    ap_gates_release(&g);
}

static void nan_passes_nothing(void **state) {
    (void)state;
    ap_gates g = gates_of("fp16", NULL, 0);
    json_t *list = json_array();
    ap_metrics m = perfect();
    m.cosine = (double)NAN;
    assert_false(ap_gates_output(&g, "y", &m, list));
    assert_string_equal(verdict(list, "cosine"), "fail");
    assert_string_equal(json_string_value(json_object_get(gate(list, "cosine"), "value")), "nan");
    m = perfect();
    m.max_abs = (double)NAN; // of the upper bounds, too
    json_array_clear(list);
    assert_false(ap_gates_output(&g, "y", &m, list));
    assert_string_equal(verdict(list, "rel_to_max"), "fail");
    json_array_clear(list);
    assert_false(ap_gates_fact(&g, "runs_bit_equal", (double)NAN, list));
    json_decref(list);
    ap_gates_release(&g);
}

static void metrics_that_do_not_apply(void **state) {
    (void)state;
    ap_gates g = gates_of("fp16", NULL, 0);
    json_t *list = json_array();
    ap_metrics m = perfect();
    assert_true(ap_gates_output(&g, "y", &m, list));
    assert_null(gate(list, "argmax_agree"));
    assert_null(gate(list, "worst_channel_db"));
    json_array_clear(list);
    m.class_like = true;
    m.argmax_agree = 0.5;
    m.top5_agree = 1;
    m.worst_channel = 3;
    m.worst_channel_db = 14.9;
    assert_false(ap_gates_output(&g, "y", &m, list));
    assert_string_equal(verdict(list, "argmax_agree"), "fail");
    assert_string_equal(verdict(list, "top5_agree"), "pass");
    assert_string_equal(verdict(list, "worst_channel_db"), "fail");
    json_array_clear(list);
    // An all-zero reference: any difference is infinitely large beside it, none is none.
    m = perfect();
    m.ref_max = 0;
    assert_true(ap_gates_output(&g, "y", &m, list));
    m.max_abs = 1e-9;
    assert_false(ap_gates_output(&g, "y", &m, list));
    json_decref(list);
    ap_gates_release(&g);
}

static void the_users_own(void **state) {
    (void)state;
    ap_gates g = gates_of("fp16", (const char *const[]){"sqnr_db=10", "cosine=0.5", "runs_bit_equal=0"}, 3);
    json_t *list = json_array();
    ap_metrics m = perfect();
    m.sqnr_db = 11;
    m.cosine = 0.6;
    assert_true(ap_gates_output(&g, "y", &m, list));
    assert_true(ap_gates_fact(&g, "runs_bit_equal", 0, list));
    assert_true(ap_json_bool(gate(list, "sqnr_db"), "user_set", false));
    assert_true(ap_json_bool(gate(list, "runs_bit_equal"), "user_set", false));
    assert_false(ap_json_bool(gate(list, "rel_to_max"), "user_set", true));
    assert_true(ap_json_num(gate(list, "sqnr_db"), "threshold", 0) == 10);
    json_decref(list);
    ap_gates_release(&g);
}

static void refuse(const char *arg, const char *message, const char *hint) {
    ap_gates g = {0};
    ap_err err = ap_gates_init("fp16", &arg, 1, &g);
    if (hint) {
        assert_non_null(ap_err_get_hint(err));
        assert_non_null(strstr(ap_err_get_hint(err), hint));
    }
    must_fail(err, AP_ERR_USAGE, message);
    assert_null(g.rules);
}

static void bad_thresholds(void **state) {
    (void)state;
    refuse("cosin=1", "--gate: no metric 'cosin'", "did you mean 'cosine'? The metrics are cosine, sqnr_db");
    refuse("weather=1", "--gate: no metric 'weather'", "the metrics are cosine");
    refuse("cosine", "--gate wants METRIC=VALUE, not 'cosine'", NULL);
    refuse("=1", "--gate wants METRIC=VALUE, not '=1'", NULL);
    refuse("cosine=", "--gate cosine: '' is no number", NULL);
    refuse("cosine=high", "--gate cosine: 'high' is no number", NULL);
    refuse("cosine=0.9x", "--gate cosine: '0.9x' is no number", NULL);
    refuse("cosine=nan", "--gate cosine: 'nan' is no number", NULL);
}

static void facts(void **state) {
    (void)state;
    ap_gates g = gates_of("fp32", NULL, 0);
    json_t *list = json_array();
    assert_true(ap_gates_fact(&g, "share_on_target", 1.0, list));
    assert_false(ap_gates_fact(&g, "share_on_target", 0.99, list));
    assert_true(json_is_null(json_object_get(json_array_get(list, 0), "output")));
    json_decref(list);
    ap_gates_release(&g);
}

static void the_error_lists_all(void **state) {
    (void)state;
    ap_gates g = gates_of("fp16", NULL, 0);
    json_t *list = json_array();
    ap_metrics m = perfect();
    assert_null(ap_gates_error(list));
    m.cosine = 0.5;
    m.sqnr_db = 3;
    m.nonfinite_mismatch = 2;
    ap_gates_output(&g, "y", &m, list);
    ap_gates_fact(&g, "reload_bit_equal", 0, list);
    ap_err err = ap_gates_error(list);
    assert_string_equal(ap_err_get_subject(err), "y");
    assert_int_equal(ap_err_notes(err), 3);
    assert_string_equal(ap_err_get_note(err, 0), "also: sqnr_db of y is 3, the gate wants >= 30");
    assert_string_equal(ap_err_get_note(err, 1), "also: nonfinite_mismatch of y is 2, the gate wants <= 0");
    assert_string_equal(ap_err_get_note(err, 2), "also: reload_bit_equal is 0, the gate wants >= 1");
    must_fail(err, AP_ERR_GATE, "cosine of y is 0.5, the gate wants >= 0.999");
    json_decref(list);
    ap_gates_release(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precisions_differ),
        cmocka_unit_test(verdicts_at_the_threshold),
        cmocka_unit_test(nan_passes_nothing),
        cmocka_unit_test(metrics_that_do_not_apply),
        cmocka_unit_test(the_users_own),
        cmocka_unit_test(bad_thresholds),
        cmocka_unit_test(facts),
        cmocka_unit_test(the_error_lists_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
