// SPDX-License-Identifier: Apache-2.0
#include "golden/contract.h"

#include <stdlib.h>
#include <string.h>

static bool dims_agree(const json_t *a, const json_t *b) {
    if (!json_is_array(a) || !json_is_array(b)) return true; // one side does not say
    if (json_array_size(a) != json_array_size(b)) return false;
    for (size_t i = 0; i < json_array_size(a); i++) {
        json_int_t x = json_integer_value(json_array_get(a, i)), y = json_integer_value(json_array_get(b, i));
        if (x >= 0 && y >= 0 && x != y) return false;
    }
    return true;
}

static ap_err check_one(const json_t *want, const json_t *have, const char *what, const char *where) {
    const char *name = ap_json_str(want, "name", "?");
    const char *want_type = ap_json_str(want, "dtype", "?"), *have_type = ap_json_str(have, "dtype", "?");
    if (strcmp(want_type, have_type) != 0)
        return ap_err_new(AP_ERR_CONTRACT, "%s '%s' is %s in %s, the contract says %s", what, name, have_type,
                          where, want_type);
    if (dims_agree(json_object_get(want, "dims"), json_object_get(have, "dims"))) return NULL;
    char *w = json_dumps(json_object_get(want, "dims"), JSON_COMPACT),
         *h = json_dumps(json_object_get(have, "dims"), JSON_COMPACT);
    ap_err err = ap_err_new(AP_ERR_CONTRACT, "%s '%s' has shape %s in %s, the contract says %s", what, name,
                            h ? h : "?", where, w ? w : "?");
    free(w);
    free(h);
    return err;
}

ap_err ap_contract_check(const json_t *want, const json_t *have, const char *what, const char *where,
                         bool any_order) {
    size_t n = json_array_size(want);
    if (json_array_size(have) != n)
        return ap_err_new(AP_ERR_CONTRACT, "%s has %zu %ss, the contract says %zu", where,
                          json_array_size(have), what, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *w = json_array_get(want, i);
        const char *name = ap_json_str(w, "name", "?");
        const json_t *h = any_order ? ap_json_find(have, "name", name) : json_array_get(have, i);
        if (!h || strcmp(ap_json_str(h, "name", ""), name) != 0)
            return ap_err_new(AP_ERR_CONTRACT, "%s %zu is '%s' in %s, the contract says '%s'", what, i,
                              ap_json_str(h, "name", "absent"), where, name);
        ap_err err = check_one(w, h, what, where);
        if (err) return ap_err_subject(err, name);
    }
    return NULL;
}
