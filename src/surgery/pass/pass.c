// SPDX-License-Identifier: Apache-2.0
#include "surgery/pass/pass.h"

#include <string.h>

const ap_pass ap_passes[] = {
    {"fix", 1, AP_EXACT, false, "an input the user has given a value for reads that value", ap_pass_fix},
    {"dead", 1, AP_EXACT, false, "nodes and constants nothing needs go", ap_pass_dead},
    {"constants", 1, AP_EXACT, true, "values that depend on no input become constants", ap_pass_constants},
    {"shapes", 1, AP_EXACT, true, "values that depend on nothing but the inputs' shapes become constants",
     ap_pass_shapes},
    {"if", 1, AP_EXACT, false, "an If whose condition is a constant becomes the body it takes", ap_pass_if},
    {"loop", 1, AP_EXACT, false, "a Loop of a known number of turns becomes its turns, one behind the other",
     ap_pass_loop},
    {"scan", 1, AP_EXACT, true, "a Scan over a known length becomes its turns, one behind the other",
     ap_pass_scan},
    {"identity", 2, AP_EXACT, false, "Identity, Dropout in inference and casts to the same type go",
     ap_pass_identity},
    {"transpose", 2, AP_EXACT, false, "a Transpose behind a Transpose becomes one, or none",
     ap_pass_transpose},
    {"reshape", 1, AP_EXACT, false, "of a Reshape behind a Reshape only the last stays", ap_pass_reshape},
    {"noop", 2, AP_EXACT, true, "shape operators that leave their input as it is go", ap_pass_noop},
    {"merge", 1, AP_EXACT, false, "equal constants become one, and so do equal nodes", ap_pass_merge},
    {"cast", 1, AP_EXACT, true, "a Cast behind a Cast that lost nothing reads what that one read",
     ap_pass_cast},
    {"narrow", 1, AP_EXACT, true, "whole numbers that provably fit are int32 instead of int64",
     ap_pass_narrow},
    {"weights", 1, AP_ROUNDING, true,
     "what else depends on no data becomes a constant, where kernels then sum in another order",
     ap_pass_weights},
    {"batchnorm", 1, AP_ROUNDING, false, "BatchNormalization goes into the weights of the layer before it",
     ap_pass_batchnorm},
    {"affine", 1, AP_ROUNDING, false,
     "constants multiplied and added behind a layer go into its weights and bias", ap_pass_affine},
    {NULL, 0, AP_EXACT, false, NULL, NULL},
};

const ap_pass *ap_pass_find(const char *name) {
    for (const ap_pass *p = ap_passes; p->name; p++)
        if (!strcmp(p->name, name)) return p;
    return NULL;
}

const char *ap_exactness_name(ap_exactness e) {
    return e == AP_EXACT ? "exact" : "rounding";
}

void ap_pass_touch(ap_pass_result *r, const char *what) {
    r->changed++;
    if (!r->touched) r->touched = json_object();
    json_object_set_new(r->touched, what, json_integer(ap_json_int(r->touched, what, 0) + 1));
}

void ap_pass_result_release(ap_pass_result *r) {
    json_decref(r->touched);
    *r = (ap_pass_result){0};
}

bool ap_pass_constant(ap_model *m, const ap_value *v, ap_tensor *out) {
    if (!v || v->kind != AP_VALUE_INITIALIZER || !v->init) return false;
    ap_err err = ap_model_tensor(m, v->init, out);
    bool good = !err;
    ap_err_free(err);
    return good;
}
