// SPDX-License-Identifier: Apache-2.0
#include "tensor/metrics.h"

#include "tensor/npy.h"

#include <math.h>

// Every field once, by kind, so that writer and reader cannot drift apart.
#define REALS(X)                                                                                             \
    X(cosine)                                                                                                \
    X(sqnr_db) X(max_abs) X(max_rel) X(ref_max) X(rms_error) X(worst_channel_db) X(argmax_agree) X(top5_agree)
#define SIZES(X)                                                                                             \
    X(count)                                                                                                 \
    X(max_abs_index) X(channel_axis) X(nan_ref) X(nan_test) X(inf_ref) X(inf_test) X(nonfinite_mismatch)
#define BOOLS(X) X(class_like) X(bit_equal)

// What an entry states, else AP_CHANNEL_AXIS.
static size_t stated_axis(const json_t *tensor) {
    int64_t axis = ap_json_int(tensor, "channel_axis", AP_CHANNEL_AXIS);
    return axis < 0 ? AP_CHANNEL_AXIS : (size_t)axis;
}

ap_err ap_metrics_entries(const json_t *want, const json_t *have, ap_metrics *out) {
    ap_tensor x = {0}, y = {0};
    ap_err err = NULL;
    AP_TRY(ap_npy_open(want, &x));
    AP_TRY(ap_npy_open(have, &y));
    AP_TRY(ap_metrics_compare(&x, &y, stated_axis(want), out));
done:
    ap_tensor_free(&x);
    ap_tensor_free(&y);
    return err;
}

json_t *ap_metrics_json(const ap_metrics *m) {
    json_t *j = json_object();
#define PUT_REAL(field) (void)json_object_set_new(j, #field, ap_json_real(m->field));
#define PUT_SIZE(field) (void)json_object_set_new(j, #field, json_integer((json_int_t)m->field));
#define PUT_BOOL(field) (void)json_object_set_new(j, #field, json_boolean(m->field));
    SIZES(PUT_SIZE)
    REALS(PUT_REAL)
    (void)json_object_set_new(j, "worst_channel", json_integer(m->worst_channel));
    BOOLS(PUT_BOOL)
    return j;
}

void ap_metrics_from_json(const json_t *j, ap_metrics *out) {
    ap_metrics m = {.worst_channel = ap_json_int(j, "worst_channel", -1)};
    // A negative count is no count: cached records are files like any other.
#define GET_REAL(field) m.field = ap_json_to_real(json_object_get(j, #field));
#define GET_SIZE(field) m.field = ap_json_int(j, #field, 0) > 0 ? (size_t)ap_json_int(j, #field, 0) : 0;
#define GET_BOOL(field) m.field = ap_json_bool(j, #field, false);
    SIZES(GET_SIZE)
    REALS(GET_REAL)
    BOOLS(GET_BOOL)
    *out = m;
}
