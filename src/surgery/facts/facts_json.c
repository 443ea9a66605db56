// SPDX-License-Identifier: Apache-2.0
// Facts as JSON: how they travel with a piece that is cut out of a model.
#include "base/json.h"
#include "surgery/facts/facts_priv.h"

#include <math.h>

static const struct {
    const char *name;
    size_t offset;
} flags[] = {
    {"integral", offsetof(ap_fact, integral)},
    {"notnan", offsetof(ap_fact, notnan)},
    {"finite", offsetof(ap_fact, finite)},
    {"nonzero", offsetof(ap_fact, nonzero)},
};

static bool *flag(ap_fact *f, size_t i) {
    return (bool *)((char *)f + flags[i].offset);
}

ap_fact ap_fact_top(ap_dtype t) {
    return fact_top(t);
}

json_t *ap_fact_json(const ap_fact *f, ap_dtype t) {
    ap_fact top = fact_top(t), own = *f;
    json_t *j = json_object();
    if (own.lo > top.lo) json_object_set_new(j, "lo", ap_json_real(own.lo));
    if (own.hi < top.hi) json_object_set_new(j, "hi", ap_json_real(own.hi));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (*flag(&own, i) && !*flag(&top, i)) json_object_set_new(j, flags[i].name, json_true());
    if (own.distinct) json_object_set_new(j, "distinct", json_integer(own.distinct));
    if (own.row_finite) json_object_set_new(j, "row_finite", json_integer(own.row_finite));
    return j;
}

void ap_fact_from_json(const json_t *j, ap_dtype t, ap_fact *out) {
    ap_fact f = fact_top(t);
    const json_t *lo = json_object_get(j, "lo"), *hi = json_object_get(j, "hi");
    if (lo && !isnan(ap_json_to_real(lo))) f.lo = fmax(f.lo, ap_json_to_real(lo));
    if (hi && !isnan(ap_json_to_real(hi))) f.hi = fmin(f.hi, ap_json_to_real(hi));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (ap_json_bool(j, flags[i].name, false)) *flag(&f, i) = true;
    f.distinct = (uint32_t)ap_json_int(j, "distinct", 0);
    f.row_finite = (uint32_t)ap_json_int(j, "row_finite", 0);
    *out = f;
}
