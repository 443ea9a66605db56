// SPDX-License-Identifier: Apache-2.0
// inspect, compare, doctor.
#include "api/compare.h"
#include "api/doctor.h"
#include "golden/contract.h"
#include "graph/inspect.h"
#include "plan/context.h"

#include <stdlib.h>

static void give(json_t *document, char **out) {
    *out = ap_json_text(document, true);
    json_decref(document);
}

aipc_error *aipc_inspect(aipc_context *c, const char *model, const char *const *shapes, size_t shape_count,
                         char **document) {
    ap_model *m = NULL;
    json_t *stats = NULL, *ignored = NULL;
    ap_err err = NULL;
    (void)c;
    AP_TRY(ap_model_load(model, &m));
    if (shape_count > 0) {
        ap_input_request r = {.shapes = shapes, .shape_count = shape_count};
        AP_TRY(ap_contract_shapes(m, &r, &ignored));
    }
    AP_TRY(ap_model_stats(m, NULL, &stats));
    give(stats, document);
done:
    json_decref(ignored);
    ap_model_free(m);
    return err;
}

aipc_error *aipc_model_text(const char *model, char **text) {
    ap_model *m = NULL;
    ap_buf b = {0};
    ap_err err = ap_model_load(model, &m);
    if (!err) {
        ap_model_print(m, &b);
        *text = b.len ? ap_buf_detach(&b) : ap_strdup("");
    }
    ap_model_free(m);
    return err;
}

aipc_error *aipc_compare(const char *a, const char *b, char **document) {
    json_t *doc = NULL;
    ap_err err = ap_compare(a, b, &doc);
    if (!err) give(doc, document);
    return err;
}

aipc_error *aipc_doctor(aipc_context *c, char **document) {
    json_t *doc = NULL;
    ap_err err = ap_doctor(c, &doc);
    if (!err) give(doc, document);
    return err;
}
