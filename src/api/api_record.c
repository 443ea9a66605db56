// SPDX-License-Identifier: Apache-2.0
// record, export.
#include "api/api_priv.h"
#include "plan/recording/export.h"
#include "plan/recording/record.h"
#include "plan/recording/replay.h"

enum { REQUEST_BYTES = 16 << 20 };

aipc_error *aipc_record(aipc_context *c, const aipc_record_options *o, int *status, char **document) {
    json_t *doc = NULL;
    int end = 0;
    aipc_record_options full;
    api_take(&full, sizeof full, o);
    ap_err err = ap_record(c, &full, &end, &doc);
    if (status) *status = end;
    api_give(doc, document);
    return ap_err_stage(err, "record");
}

aipc_error *aipc_replay(aipc_context *c, const char *request, char **document) {
    json_t *asked = NULL, *answer = NULL;
    ap_err err = ap_json_load(request, REQUEST_BYTES, AP_ERR_INPUT_FILE, &asked);
    if (!err) err = ap_replay_model(c, asked, &answer);
    api_give(answer, document);
    json_decref(asked);
    return ap_err_stage(err, "replay");
}

aipc_error *aipc_export(aipc_context *c, const aipc_export_options *o, char **document) {
    json_t *doc = NULL;
    aipc_export_options full;
    api_take(&full, sizeof full, o);
    ap_err err = ap_export(c, &full, &doc);
    api_give(doc, document);
    return ap_err_stage(err, "export");
}
