// SPDX-License-Identifier: Apache-2.0
// record, export.
#include "plan/export.h"
#include "plan/record.h"
#include "plan/replay.h"

#include <string.h>

enum { REQUEST_BYTES = 16 << 20 };

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

aipc_error *aipc_replay(aipc_context *c, const char *request, char **document) {
    json_t *asked = NULL, *answer = NULL;
    ap_err err = ap_json_load(request, REQUEST_BYTES, AP_ERR_INPUT_FILE, &asked);
    if (!err) err = ap_replay_model(c, asked, &answer);
    give(answer, document);
    json_decref(asked);
    return ap_err_stage(err, "replay");
}

aipc_error *aipc_export(aipc_context *c, const aipc_export_options *o, char **document) {
    json_t *doc = NULL;
    aipc_export_options given = {0};
    memcpy(&given, o, o->size < sizeof given ? o->size : sizeof given);
    ap_err err = ap_export(c, &given, &doc);
    give(doc, document);
    return ap_err_stage(err, "export");
}
