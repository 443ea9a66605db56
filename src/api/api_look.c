// SPDX-License-Identifier: Apache-2.0
// inspect, compare, doctor.
#include "api/api_priv.h"
#include "api/compare.h"
#include "api/doctor.h"
#include "api/shapes.h"
#include "golden/contract.h"
#include "plan/work/context.h"

#include <stdlib.h>

aipc_error *aipc_inspect(aipc_context *c, const char *model, const aipc_inspect_options *given,
                         char **document) {
    aipc_inspect_options o;
    ap_model *m = NULL;
    ap_measured_shapes measured = {0};
    json_t *stats = NULL, *shapes = NULL;
    ap_input_request r = {0};
    ap_shape_source source = ap_measured_shape_source(&measured);
    ap_err err = NULL;
    api_take(&o, sizeof o, given);
    r.shapes = o.shapes;
    r.shape_count = o.shape_count;
    AP_TRY(ap_model_load(model, &m));
    if (r.shape_count > 0 || o.macs) {
        AP_TRY(ap_contract_shapes(m, &r, &shapes));
        AP_TRY(ap_measure_shapes(c, m, model, shapes, &measured));
    }
    AP_TRY(ap_model_stats(m, measured.tensors ? &source : NULL, &stats));
    api_give(stats, document);
done:
    json_decref(shapes);
    ap_measured_shapes_release(&measured);
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
    if (!err) api_give(doc, document);
    return err;
}

aipc_error *aipc_doctor(aipc_context *c, char **document) {
    json_t *doc = NULL;
    ap_err err = ap_doctor(c, &doc);
    if (!err) api_give(doc, document);
    return err;
}
