// SPDX-License-Identifier: Apache-2.0
// record, export.
#include "plan/record.h"

#include <string.h>

static void give(json_t *document, char **out) {
    if (out && document) *out = ap_json_text(document, true);
    json_decref(document);
}

aipc_error *aipc_record(aipc_context *c, const aipc_record_options *o, int *status, char **document) {
    json_t *doc = NULL;
    int end = 0;
    aipc_record_options given = {0};
    memcpy(&given, o, o->size < sizeof given ? o->size : sizeof given);
    ap_err err = ap_record(c, &given, &end, &doc);
    if (status) *status = end;
    give(doc, document);
    return ap_err_stage(err, "record");
}
