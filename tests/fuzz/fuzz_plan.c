// SPDX-License-Identifier: Apache-2.0
// plan.json from hostile text: a CORRUPT error, or a plan that is read the same way when written again, and
// whose shapes and fixed inputs a model can be asked to take.
#include "surgery/pass/freeze.h"
#include "surgery/pass/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_fixed(const json_t *plan) {
    const char *name;
    json_t *fixed;
    json_object_foreach(json_object_get(json_object_get(plan, "params"), "fixed"), name, fixed) {
        ap_tensor t = {0};
        ap_err_free(ap_fixed_tensor(fixed, name, &t));
        ap_tensor_free(&t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *first = NULL, *second = NULL;
    ap_err err = ap_plan_parse((const char *)data, size, &first);
    if (err) {
        if (ap_err_code(err) != AP_ERR_CORRUPT || first) abort();
        ap_err_free(err);
        return 0;
    }
    take_fixed(first);
    char *text = ap_plan_text(first);
    err = ap_plan_parse(text, strlen(text), &second);
    if (err || !json_equal(first, second)) abort();
    free(text);
    json_decref(first);
    json_decref(second);
    return 0;
}
