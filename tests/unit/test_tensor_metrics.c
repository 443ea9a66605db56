// SPDX-License-Identifier: Apache-2.0
// Metrics against the plain formulas, and on the edges where plain formulas break.
#include "tensor/metrics.h"
#include "test_tensor.h"

static ap_tensor floats(float *v, const int64_t *dims, size_t rank) {
    ap_tensor t;
    size_t n;
    must(ap_shape_count(dims, rank, &n));
    must(ap_tensor_view(AP_F32, dims, rank, v, n * sizeof *v, &t));
    return t;
}

static ap_metrics compare(float *ref, float *test, const int64_t *dims, size_t rank) {
    ap_tensor a = floats(ref, dims, rank), b = floats(test, dims, rank);
    ap_metrics m;
    must(ap_metrics_compare(&a, &b, AP_CHANNEL_AXIS, &m));
    return m;
}

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-9 * fmax(1, fabs(b));
}

// Straight from the header's definitions, in long double.
static ap_metrics naive(const float *r, const float *t, size_t n) {
    long double dot = 0, r2 = 0, t2 = 0, e2 = 0;
    ap_metrics m = {.count = n};
    for (size_t i = 0; i < n; i++) {
        long double a = (long double)r[i], b = (long double)t[i];
        dot += a * b, r2 += a * a, t2 += b * b, e2 += (a - b) * (a - b);
        m.ref_max = fmax(m.ref_max, fabs((double)r[i]));
        if (fabs((double)r[i] - (double)t[i]) > m.max_abs) {
            m.max_abs = fabs((double)r[i] - (double)t[i]);
            m.max_abs_index = i;
        }
    }
    for (size_t i = 0; i < n; i++)
        m.max_rel =
            fmax(m.max_rel, fabs((double)r[i] - (double)t[i]) / fmax(fabs((double)r[i]), 1e-3 * m.ref_max));
    m.cosine = (double)(dot / sqrtl(r2 * t2));
    m.sqnr_db = (double)(10 * log10l(r2 / e2));
    m.rms_error = (double)sqrtl(e2 / (long double)n);
    return m;
}

static int64_t product(const int64_t *dims, size_t from, size_t to) {
    int64_t n = 1;
    for (size_t i = from; i < to; i++) n *= dims[i];
    return n;
}

// The worst channel by its own definition; along axis 1 where there is too little of each along `axis`.
static void expect_worst_channel(const ap_tensor *a, const float *r, const float *t, size_t axis,
                                 const ap_metrics *m) {
    int64_t n = product(a->dims, 0, a->rank);
    if (axis >= a->rank || n / a->dims[axis] < 8) axis = 1;
    int64_t count = a->dims[axis], inner = product(a->dims, axis + 1, a->rank), at_channel = -1;
    double worst = (double)INFINITY, quiet = 1e-3 * fmin(1, m->ref_max);
    for (int64_t c = 0; c < count && n / count >= 8; c++) {
        double e2 = 0, r2 = (double)(n / count) * quiet * quiet;
        for (int64_t i = 0; i < n; i++) {
            if (i / inner % count != c) continue;
            r2 += (double)r[i] * (double)r[i];
            e2 += pow((double)r[i] - (double)t[i], 2);
        }
        if (at_channel < 0 || 10 * log10(r2 / e2) < worst) worst = 10 * log10(r2 / e2), at_channel = c;
    }
    assert_int_equal(m->channel_axis, axis);
    assert_int_equal(m->worst_channel, at_channel);
    assert_true(m->worst_channel_db == worst || near(m->worst_channel_db, worst));
}

static void random_against_naive(void **state) {
    (void)state;
    static const int64_t shapes[][4] = {
        {1, 1, 1, 1}, {1, 3, 5, 7}, {2, 16, 8, 9}, {3, 1, 1, 1025}, {5, 1000, 1, 2}};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        ap_tensor a, b;
        must(ap_tensor_alloc(AP_F32, shapes[k], 4, &a));
        must(ap_tensor_random(&a, k + 1, -3, 5));
        must(ap_tensor_clone(&a, &b));
        size_t n = ap_tensor_count(&a);
        ap_tensor noise;
        must(ap_tensor_alloc(AP_F32, shapes[k], 4, &noise));
        must(ap_tensor_random(&noise, k + 100, -0.1, 0.1));
        float *r = a.data, *t = b.data, *d = noise.data;
        for (size_t i = 0; i < n; i++) t[i] += d[i];
        ap_metrics m, want = naive(r, t, n);
        must(ap_metrics_compare(&a, &b, AP_CHANNEL_AXIS, &m));
        assert_int_equal(m.count, n);
        assert_true(near(m.cosine, want.cosine) && near(m.sqnr_db, want.sqnr_db) &&
                    near(m.rms_error, want.rms_error));
        assert_true(m.max_abs == want.max_abs && m.max_abs_index == want.max_abs_index &&
                    m.ref_max == want.ref_max);
        assert_true(near(m.max_rel, want.max_rel));
        assert_true(!m.bit_equal && !m.class_like && isnan(m.argmax_agree));
        for (size_t axis = 0; axis < 5; axis++) { // of four
            must(ap_metrics_compare(&a, &b, axis, &m));
            expect_worst_channel(&a, r, t, axis, &m);
        }
        ap_tensor_free(&noise);
        ap_tensor_free(&b);
        ap_tensor_free(&a);
    }
}

static void zeros(void **state) {
    (void)state;
    float zero[4] = {0}, one[4] = {0, 0, 1, 0}, minus[4] = {0, -0.0F, 0, 0};
    ap_metrics m = compare(zero, zero, (int64_t[]){4}, 1);
    assert_true(m.cosine == 1 && m.sqnr_db == (double)INFINITY && m.max_abs == 0 && m.max_rel == 0 &&
                m.bit_equal);
    m = compare(zero, minus, (int64_t[]){4}, 1);
    assert_true(m.cosine == 1 && m.sqnr_db == (double)INFINITY && !m.bit_equal);
    m = compare(zero, one, (int64_t[]){4}, 1);
    assert_true(m.cosine == 0 && m.sqnr_db == -(double)INFINITY && m.max_abs == 1 && m.max_abs_index == 2);
    assert_true(m.max_rel == (double)INFINITY);
    m = compare(one, zero, (int64_t[]){4}, 1);
    assert_true(m.cosine == 0 && m.sqnr_db == 0 && m.max_rel == 1 && m.rms_error == 0.5);
    m = compare(zero, zero, (int64_t[]){0, 3, 2}, 3);
    assert_true(m.count == 0 && m.cosine == 1 && m.sqnr_db == (double)INFINITY && m.bit_equal &&
                m.worst_channel == -1);
    float a[2] = {3, 4}, b[2] = {-3, -4};
    m = compare(a, b, (int64_t[]){2}, 1);
    assert_true(m.cosine == -1);
    m = compare(a, b, NULL, 0); // a scalar
    assert_true(m.count == 1 && m.worst_channel == -1 && !m.class_like && m.max_abs == 6 && m.max_rel == 2);
}

static void nonfinite(void **state) {
    (void)state;
    float inf = INFINITY, nan = NAN;
    float r[8] = {1, nan, inf, -inf, inf, 2, nan, 3}, t[8] = {1, nan, inf, inf, 5, nan, 7, 3.5F};
    ap_metrics m = compare(r, t, (int64_t[]){1, 1, 8}, 3);
    assert_int_equal(m.nan_ref, 2);
    assert_int_equal(m.nan_test, 2);
    assert_int_equal(m.inf_ref, 3);
    assert_int_equal(m.inf_test, 2);
    assert_int_equal(m.nonfinite_mismatch, 4);
    // Two pairs are left: (1, 1) and (3, 3.5).
    assert_true(near(m.sqnr_db, 10 * log10(10 / 0.25)) && m.max_abs == 0.5 && m.max_abs_index == 7 &&
                m.ref_max == 3);
    assert_true(near(m.rms_error, sqrt(0.25 / 2)) && near(m.cosine, 11.5 / sqrt(10 * 13.25)));
    assert_true(near(m.worst_channel_db, 10 * log10((10 + 8e-6) / 0.25)));
    float all[2] = {nan, nan};
    m = compare(all, all, (int64_t[]){1, 1, 2}, 3);
    assert_true(m.nonfinite_mismatch == 0 && m.nan_ref == 2 && m.bit_equal && m.cosine == 1 &&
                m.rms_error == 0);
    // One bad value in a long tensor must not poison its block.
    ap_tensor a, b;
    must(ap_tensor_alloc(AP_F32, (int64_t[]){5000}, 1, &a));
    must(ap_tensor_random(&a, 1, 1, 2));
    must(ap_tensor_clone(&a, &b));
    ((float *)b.data)[1500] = nan;
    ((float *)b.data)[1501] += 1;
    must(ap_metrics_compare(&a, &b, AP_CHANNEL_AXIS, &m));
    assert_true(m.nan_test == 1 && m.nonfinite_mismatch == 1 && near(m.max_abs, 1) &&
                m.max_abs_index == 1501);
    assert_true(isfinite(m.cosine) && near(m.rms_error, sqrt(1.0 / 4999)));
    ap_tensor_free(&b);
    ap_tensor_free(&a);
}

// The reason for worst_channel: one dead channel of 64 leaves the cosine at 0.99.
static void one_broken_channel(void **state) {
    (void)state;
    ap_tensor a, b;
    must(ap_tensor_alloc(AP_F32, (int64_t[]){2, 64, 20, 20}, 4, &a));
    must(ap_tensor_random(&a, 5, -1, 1));
    must(ap_tensor_clone(&a, &b));
    float *v = b.data;
    for (size_t n = 0; n < 2; n++)
        for (size_t i = 0; i < 400; i++) v[(n * 64 + 37) * 400 + i] = 0;
    ap_metrics m;
    must(ap_metrics_compare(&a, &b, AP_CHANNEL_AXIS, &m));
    assert_true(m.cosine > 0.99);
    assert_int_equal(m.worst_channel, 37);
    assert_true(m.worst_channel_db > 0 && m.worst_channel_db < 1e-4);
    ap_tensor_free(&b);
    ap_tensor_free(&a);
    // A feature that is dead in every token: along the tokens nothing is to be seen.
    must(ap_tensor_alloc(AP_F32, (int64_t[]){1, 50, 128}, 3, &a));
    must(ap_tensor_random(&a, 5, -1, 1));
    must(ap_tensor_clone(&a, &b));
    for (size_t i = 0; i < 50; i++) ((float *)b.data)[i * 128 + 9] = 0;
    must(ap_metrics_compare(&a, &b, AP_CHANNEL_AXIS, &m));
    assert_true(m.worst_channel_db > 15);
    must(ap_metrics_compare(&a, &b, 2, &m));
    assert_true(m.worst_channel == 9 && m.worst_channel_db < 0.1);
    ap_tensor_free(&b);
    ap_tensor_free(&a);
    // Rank 2: the last axis.
    float r[24], t[24];
    for (size_t i = 0; i < 24; i++) r[i] = t[i] = (float)(i % 3 + 1);
    t[2] = 3.1F;
    m = compare(r, t, (int64_t[]){8, 3}, 2);
    assert_int_equal(m.worst_channel, 2);
    m = compare(r, r, (int64_t[]){8, 3}, 2);
    assert_true(m.worst_channel == 0 && m.worst_channel_db == (double)INFINITY);
    // Logits of one sample: an element is no channel.
    m = compare(r, t, (int64_t[]){1, 24}, 2);
    assert_true(m.worst_channel == -1 && m.worst_channel_db == (double)INFINITY);
    // A silent channel may err by the tolerance; a loud one beside it does not hide a real fault.
    float quiet[16] = {0}, off[16] = {0};
    for (size_t i = 0; i < 8; i++) quiet[i] = off[i] = 300;
    off[12] = 1e-5F;
    m = compare(quiet, off, (int64_t[]){1, 2, 8}, 3);
    assert_true(m.worst_channel == 1 && m.worst_channel_db > 40);
    off[12] = 0.5F;
    m = compare(quiet, off, (int64_t[]){1, 2, 8}, 3);
    assert_true(m.worst_channel == 1 && m.worst_channel_db < -40 && m.sqnr_db > 60);
}

static void ranks_and_ties(void **state) {
    (void)state;
    float nan = NAN;
    static const int64_t row[] = {1, 7};
    float r[7] = {9, 8, 7, 6, 5, 4, 3};
    float swapped[7] = {8, 9, 7, 6, 5, 4, 3}, tied[7] = {9, 9, 7, 6, 5, 4, 3};
    float other5[7] = {9, 8, 7, 6, 4, 5, 3}, tie5[7] = {9, 8, 7, 6, 5, 5, 3}, flat[7] = {1, 1, 1, 1, 1, 1, 1};
    ap_metrics m = compare(r, swapped, row, 2);
    assert_true(m.class_like && m.argmax_agree == 0 && m.top5_agree == 1);
    m = compare(r, tied, row, 2);
    assert_true(m.argmax_agree == 1 && m.top5_agree == 1);
    m = compare(r, other5, row, 2);
    assert_true(m.argmax_agree == 1 && m.top5_agree == 0);
    m = compare(r, tie5, row, 2);
    assert_true(m.top5_agree == 1);
    m = compare(r, flat, row, 2);
    assert_true(m.argmax_agree == 1 && m.top5_agree == 1);
    // Ties on both sides that share no choice: {0,1} tie for first here, {2,3} there.
    float ab[7] = {9, 9, 1, 1, 0, 0, 0}, cd[7] = {1, 1, 9, 9, 0, 0, 0};
    m = compare(ab, cd, row, 2);
    assert_true(m.argmax_agree == 0 && m.top5_agree == 1);
    float n1[7] = {9, nan, 7, 6, 5, 4, 3}, n2[7] = {9, 8, nan, 6, 5, 4, 3};
    m = compare(n1, n1, row, 2);
    assert_true(m.argmax_agree == 1 && m.top5_agree == 1);
    m = compare(n1, n2, row, 2);
    assert_true(m.argmax_agree == 0 && m.top5_agree == 0);
    float two[4] = {1, 2, 2, 1}, half[4] = {1, 2, 1, 2};
    m = compare(two, half, (int64_t[]){2, 2}, 2);
    assert_true(m.argmax_agree == 0.5 && m.top5_agree == 1);
    m = compare(two, half, (int64_t[]){4}, 1);
    assert_true(m.class_like && m.argmax_agree == 1); // 1 and 3 tie there, 1 and 2 here
    m = compare(two, half, (int64_t[]){4, 1}, 2);
    assert_true(!m.class_like && isnan(m.argmax_agree) && isnan(m.top5_agree));
    m = compare(two, half, (int64_t[]){1, 2, 2}, 3);
    assert_true(!m.class_like);
}

static void types(void **state) {
    (void)state;
    ap_tensor f, h, i, j;
    ap_metrics m;
    must(ap_tensor_alloc(AP_F32, (int64_t[]){1, 3, 100}, 3, &f));
    must(ap_tensor_random(&f, 9, -1, 1));
    must(ap_tensor_cast(&f, AP_F16, &h));
    must(ap_metrics_compare(&f, &h, AP_CHANNEL_AXIS, &m));
    assert_true(!m.bit_equal && m.sqnr_db > 60 && m.sqnr_db < 90);
    must(ap_tensor_cast(&f, AP_BF16, &j));
    must(ap_metrics_compare(&h, &j, AP_CHANNEL_AXIS, &m));
    assert_true(m.sqnr_db > 40 && m.sqnr_db < 60);
    ap_tensor_free(&j);
    must(ap_tensor_alloc(AP_I32, (int64_t[]){1, 3, 100}, 3, &i));
    must_fail(ap_metrics_compare(&f, &i, AP_CHANNEL_AXIS, &m), AP_ERR_INPUT_DTYPE,
              "cannot compare float32 with int32");
    must_fail(ap_metrics_compare(&i, &f, AP_CHANNEL_AXIS, &m), AP_ERR_INPUT_DTYPE,
              "cannot compare int32 with float32");
    must(ap_tensor_clone(&i, &j));
    ((int32_t *)j.data)[150] = 2;
    must(ap_metrics_compare(&i, &j, AP_CHANNEL_AXIS, &m));
    assert_true(m.max_abs == 2 && m.max_abs_index == 150 && m.worst_channel == 1 && !m.class_like);
    j.dims[1] = 300, j.dims[2] = 1;
    must_fail(ap_metrics_compare(&i, &j, AP_CHANNEL_AXIS, &m), AP_ERR_INPUT_SHAPE,
              "cannot compare shapes 1x3x100 and 1x300x1");
    ap_tensor_free(&j);
    ap_tensor_free(&i);
    ap_tensor_free(&h);
    ap_tensor_free(&f);
    unsigned char p[2] = {0x21, 0x03}, q[2] = {0x21, 0xF3};
    must(ap_tensor_view(AP_U4, (int64_t[]){3}, 1, p, 2, &f));
    must(ap_tensor_view(AP_U4, (int64_t[]){3}, 1, q, 2, &h));
    must(ap_metrics_compare(&f, &h, AP_CHANNEL_AXIS, &m)); // they differ in the unused nibble only
    assert_true(m.bit_equal && m.max_abs == 0);
}

static void json(void **state) {
    (void)state;
    float r[16] = {0}, t[16] = {0};
    t[1] = 2;
    ap_metrics m = compare(r, t, (int64_t[]){16, 1}, 2), back;
    json_t *j = ap_metrics_json(&m);
    char *text = json_dumps(j, JSON_COMPACT);
    assert_string_equal(text,
                        "{\"count\":16,\"max_abs_index\":1,\"channel_axis\":1,\"nan_ref\":0,\"nan_test\":0,"
                        "\"inf_ref\":0,\"inf_test\":0,"
                        "\"nonfinite_mismatch\":0,\"cosine\":0.0,\"sqnr_db\":\"-inf\",\"max_abs\":2.0,"
                        "\"max_rel\":\"inf\",\"ref_max\":0.0,\"rms_error\":0.5,\"worst_channel_db\":\"-inf\","
                        "\"argmax_agree\":\"nan\",\"top5_agree\":\"nan\",\"worst_channel\":0,"
                        "\"class_like\":false,\"bit_equal\":false}");
    free(text);
    ap_metrics_from_json(j, &back);
    assert_true(back.sqnr_db == m.sqnr_db && back.max_rel == m.max_rel && isnan(back.argmax_agree));
    assert_true(back.count == 16 && back.worst_channel == 0 && back.rms_error == 0.5 && !back.bit_equal);
    json_decref(j);
    j = json_pack("{s:i}", "count", -5);
    ap_metrics_from_json(j, &back);
    assert_true(back.count == 0 && isnan(back.cosine) && back.worst_channel == -1);
    json_decref(j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_against_naive),
        cmocka_unit_test(zeros),
        cmocka_unit_test(nonfinite),
        cmocka_unit_test(one_broken_channel),
        cmocka_unit_test(ranks_and_ties),
        cmocka_unit_test(types),
        cmocka_unit_test(json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
