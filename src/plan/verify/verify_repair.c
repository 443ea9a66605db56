// SPDX-License-Identifier: Apache-2.0
// verify, stepping back: gates at a model's boundary pass and the program does not do the same. Then the
// models have to be more exact than the gates ask for.
#include "base/file.h"
#include "plan/artifact/index.h"
#include "plan/program/from_recording.h"
#include "plan/verify/verify.h"
#include "target/soc.h"

// Rules of accuracy are about how an HTP computes.
static bool has_htp(const aipc_deploy_options *o) {
    bool htp = false;
    for (size_t i = 0; i < o->target_count && !htp; i++) {
        ap_target_id id = {0};
        ap_err_free(ap_target_parse(o->targets[i], &id));
        htp = id.soc;
    }
    return htp;
}

// Why the deployment of an index cannot be made more exact; NULL: it can.
static const char *obstacle(const aipc_deploy_options *o) {
    ap_arena a = {0};
    const char *why = NULL;
    if (!o->model)
        why = "it is of no recording";
    else if (!ap_file_exists(ap_path_join(&a, o->model, "recording.json")))
        why = "its recording is gone";
    else if (!has_htp(o))
        why = "it has no target that anything is known to be more exact on";
    else if (o->sharpen)
        why = "it is as exact as can be already";
    ap_arena_release(&a);
    return why;
}

static ap_err deploy_again(aipc_context *c, const char *dir, const char **why) {
    ap_arena a = {0};
    json_t *index = NULL, *document = NULL;
    aipc_deploy_options o;
    ap_err err = NULL;
    *why = "it is no deployment of a recording";
    AP_TRY(ap_index_load(dir, &index));
    if (!index) goto done;
    ap_index_options(index, dir, &a, &o);
    *why = obstacle(&o);
    if (*why) goto done;
    o.sharpen = true;
    ap_context_log(c, AIPC_INFO, "the program does not do the same: deploys '%s' again, as exact as can be",
                   dir);
    AP_TRY(ap_deploy_recording(c, &o, &document));
done:
    json_decref(index);
    json_decref(document);
    ap_arena_release(&a);
    return ap_err_context(err, "%s", dir);
}

ap_err ap_verify_repair(aipc_context *c, const json_t *artifacts, json_t **out) {
    json_t *again = json_array(), *left = json_array();
    ap_err err = NULL;
    for (size_t i = 0; i < json_array_size(artifacts); i++) {
        const char *dir = json_string_value(json_array_get(artifacts, i)), *why = NULL;
        AP_TRY(deploy_again(c, dir, &why));
        if (why)
            json_array_append_new(left, json_pack("{so,ss}", "dir", ap_json_string(dir), "why", why));
        else
            json_array_append_new(again, ap_json_string(dir));
    }
    *out = json_pack("{sO,sO}", "deployed", again, "left", left);
done:
    json_decref(again);
    json_decref(left);
    return err;
}
