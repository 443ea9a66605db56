// SPDX-License-Identifier: Apache-2.0
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/data.h"
#include "base/json.h"
#include "target/soc.h"

#include <stdio.h>
#include <string.h>

static void expect_target(const char *text, const char *canonical, const char *folder, int model) {
    ap_target_id id;
    ap_err err = ap_target_parse(text, &id);
    if (err) fail_msg("'%s': %s", text, ap_err_message(err));
    assert_string_equal(id.text, canonical);
    assert_string_equal(id.folder, folder);
    if (model) {
        assert_string_equal(id.kind, "htp");
        assert_int_equal(id.soc->soc_model, model);
    } else {
        assert_string_equal(id.kind, "cpu");
        assert_null(id.soc);
    }
}

static void test_parse(void **state) {
    (void)state;
    expect_target("cpu", "cpu", "cpu", 0);
    expect_target("CPU", "cpu", "cpu", 0);
    expect_target("htp:sm8650", "htp:sm8650", "htp-sm8650", 57);
    expect_target("HTP:SM8650", "htp:sm8650", "htp-sm8650", 57);
    expect_target("htp:8gen3", "htp:sm8650", "htp-sm8650", 57);
    expect_target("htp:8-Gen_3", "htp:sm8650", "htp-sm8650", 57);
    expect_target("htp:snapdragon-8-gen-3", "htp:sm8650", "htp-sm8650", 57);
    expect_target("htp:Snapdragon 8 Gen 3", "htp:sm8650", "htp-sm8650", 57);
    expect_target("htp:soc_model=57", "htp:sm8650", "htp-sm8650", 57);
    expect_target("htp:57", "htp:sm8650", "htp-sm8650", 57);
    expect_target("htp:888", "htp:sm8350", "htp-sm8350", 30);
    expect_target("htp:8+gen1", "htp:sm8475", "htp-sm8475", 42);
    expect_target("htp:x-elite", "htp:sc8380xp", "htp-sc8380xp", 60);
}

static void expect_error(const char *text, ap_code code, const char *hint_part) {
    ap_target_id id = {.kind = "kept"};
    ap_err err = ap_target_parse(text, &id);
    assert_int_equal(ap_err_code(err), code);
    assert_string_equal(id.kind, "kept");
    const char *hint = ap_err_get_hint(err);
    if (!hint || !strstr(hint, hint_part)) fail_msg("'%.80s': hint '%s'", text, hint ? hint : "none");
    ap_err_free(err);
}

static void test_errors(void **state) {
    (void)state;
    expect_error("htp:sm8651", AP_ERR_SOC_UNKNOWN, "did you mean htp:sm8650");
    expect_error("htp:8genn3", AP_ERR_SOC_UNKNOWN, "did you mean htp:sm8650");
    expect_error("htp:qqqqqqqqqqqqqqq", AP_ERR_SOC_UNKNOWN, "aipc targets");
    expect_error("htp:soc_model=9999", AP_ERR_SOC_UNKNOWN, "aipc targets");
    expect_error("htp:99999999999999999999999", AP_ERR_SOC_UNKNOWN, "aipc targets");
    expect_error("htp:soc_model=", AP_ERR_SOC_UNKNOWN, "aipc targets");
    expect_error("htp:sm8650:1", AP_ERR_SOC_UNKNOWN, "htp:sm8650");
    expect_error("htp", AP_ERR_TARGET_UNKNOWN, "htp:sm8650");
    expect_error("htp:", AP_ERR_TARGET_UNKNOWN, "htp:sm8650");
    expect_error("HTP: ", AP_ERR_TARGET_UNKNOWN, "htp:sm8650");
    expect_error("", AP_ERR_TARGET_UNKNOWN, "targets are cpu");
    expect_error(NULL, AP_ERR_TARGET_UNKNOWN, "targets are cpu");
    expect_error("cpuu", AP_ERR_TARGET_UNKNOWN, "did you mean cpu");
    expect_error("htpp:sm8650", AP_ERR_TARGET_UNKNOWN, "did you mean htp:SOC");
    expect_error("sm8650", AP_ERR_TARGET_UNKNOWN, "did you mean htp:sm8650");
    expect_error("8 gen 3", AP_ERR_TARGET_UNKNOWN, "did you mean htp:sm8650");
    expect_error("cuda", AP_ERR_TARGET_UNKNOWN, "targets are cpu");
    expect_error("cpu:0", AP_ERR_TARGET_UNKNOWN, "targets are cpu");
}

// A hostile text is cut and made printable in the message.
static void test_hostile(void **state) {
    (void)state;
    char text[5000];
    memset(text, 'a', sizeof text);
    memcpy(text, "htp:\x1b[31m\xff", 10);
    text[sizeof text - 1] = 0;
    ap_target_id id;
    ap_err err = ap_target_parse(text, &id);
    assert_int_equal(ap_err_code(err), AP_ERR_SOC_UNKNOWN);
    assert_true(strlen(ap_err_message(err)) < 200);
    assert_null(strchr(ap_err_message(err), 0x1b));
    ap_err_free(err);
}

static void check_figure(const ap_soc *s, const char *what, const ap_figure *f) {
    if (f->value < 0 || f->value > 1000 || !f->source || (f->value > 0 && !f->source[0])) {
        fail_msg("%s: bad %s", s->name, what);
    }
}

static void test_rows(void **state) {
    (void)state;
    size_t n = ap_soc_count();
    assert_true(n >= 22);
    for (size_t i = 0; i < n; i++) {
        const ap_soc *s = ap_soc_at(i);
        if (!s->name[0] || !s->product[0] || !s->source[0] || s->soc_model <= 0 || s->vtcm_mib <= 0 ||
            s->htp_version < 68 || s->htp_version > 81 || s->feature_count < 2)
            fail_msg("row %zu (%s) is not complete", i, s->name);
        if (!s->verified && (!s->note || !s->note[0])) fail_msg("%s: says not why unverified", s->name);
        check_figure(s, "int8_tops", &s->int8_tops);
        check_figure(s, "fp16_tflops", &s->fp16_tflops);
        check_figure(s, "dram_gbps", &s->dram_gbps);
        // A row that can be estimated can be estimated in full.
        if ((s->int8_tops.value > 0) != (s->dram_gbps.value > 0)) fail_msg("%s: half a figure", s->name);
        if (s->fp16 == AP_YES && s->int8_tops.value > 0 && !(s->fp16_tflops.value > 0))
            fail_msg("%s: no fp16 figure", s->name);
        assert_ptr_equal(ap_soc_find(s->name), s);
        assert_ptr_equal(ap_soc_find(s->id), s);
        assert_ptr_equal(ap_soc_by_model(s->soc_model), s);
        // An alias is nobody else's name or number; this also finds doubles.
        for (size_t j = 0; j < s->alias_count; j++) assert_ptr_equal(ap_soc_find(s->aliases[j]), s);
        char text[64];
        snprintf(text, sizeof text, "htp:%s", s->name);
        ap_target_id id;
        assert_null(ap_target_parse(text, &id));
        assert_ptr_equal(id.soc, s);
    }
    assert_null(ap_soc_at(n));
    assert_null(ap_soc_find(""));
    assert_null(ap_soc_find(NULL));
    assert_null(ap_soc_by_model(-1));
}

// What was measured in the emulator (facts/qnn.md §0.2).
static void test_measured(void **state) {
    (void)state;
    static const int fp16[] = {36, 43, 57, 60, 69, 87, 88};
    for (size_t i = 0; i < sizeof fp16 / sizeof fp16[0]; i++)
        assert_int_equal(ap_soc_by_model(fp16[i])->fp16, AP_YES);
    assert_int_equal(ap_soc_by_model(30)->fp16, AP_NO);
    assert_true(ap_soc_by_model(30)->fp16_tflops.value == 0);
    assert_int_equal(ap_soc_by_model(39)->fp16, AP_UNKNOWN);
    assert_int_equal(ap_soc_by_model(88)->bf16, AP_YES);
    assert_int_equal(ap_soc_by_model(87)->bf16, AP_NO);
    assert_false(ap_soc_by_model(88)->verified);
    assert_false(ap_soc_by_model(60)->verified);
    assert_true(ap_soc_by_model(57)->verified);
}

static void test_document(void **state) {
    (void)state;
    json_t *o = ap_soc_table_json();
    assert_int_equal(json_array_size(json_object_get(o, "targets")), 2);
    json_t *socs = json_object_get(o, "socs");
    assert_int_equal(json_array_size(socs), ap_soc_count());
    static const char *const keys[] = {"name", "aliases", "soc_model", "htp_version", "vtcm_mb",
                                       "fp16", "product", "features",  "source",      "verified"};
    for (size_t i = 0; i < json_array_size(socs); i++) {
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            assert_non_null(json_object_get(json_array_get(socs, i), keys[k]));
    }
    json_decref(o);
    json_t *none = ap_soc_json(NULL);
    assert_true(json_is_null(none));
}

static void test_data(void **state) {
    (void)state;
    size_t len = 77;
    assert_null(ap_data_get("nothing.json", &len));
    assert_int_equal(len, 77);
    const char *text = ap_data_get("soc.json", &len);
    assert_non_null(text);
    assert_int_equal(strlen(text), len);
    assert_non_null(ap_data_get("runtimes.json", NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse), cmocka_unit_test(test_errors),   cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_rows),  cmocka_unit_test(test_measured), cmocka_unit_test(test_document),
        cmocka_unit_test(test_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
