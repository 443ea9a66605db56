// SPDX-License-Identifier: Apache-2.0
#include "plan/deploy/from_shapes.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/proc.h"
#include "golden/contract.h"
#include "golden/request.h"
#include "plan/artifact/artifact.h"
#include "plan/artifact/index.h"
#include "plan/artifact/pick.h"
#include "plan/deploy/deploy.h"

#include <stdlib.h>
#include <string.h>

typedef struct batch {
    aipc_context *ctx;
    const aipc_deploy_options *o;
    ap_arena arena;
    const char *out;
    ap_bucket *buckets;
    size_t count;
    bool *used;        // by --input: it fitted somewhere
    char digest[65];   // of the model
    json_t *artifacts; // of the index
    ap_err first;      // of the deployments
} batch;

// ---- inputs

// Which of the user's inputs are of this bucket's shape. A name may be given once for each shape.
static ap_err inputs_of(batch *b, const ap_bucket *bucket, const char ***out, size_t *count) {
    const aipc_deploy_options *o = b->o;
    ap_model *m = NULL;
    ap_err err = NULL;
    *out = ap_arena_calloc(&b->arena, o->input_count + 1, sizeof **out);
    *count = 0;
    AP_TRY(ap_model_load(o->model, &m));
    AP_TRY(ap_contract_apply_shapes(m, bucket->shapes, o->shape_count));
    for (size_t i = 0; i < o->input_count; i++) {
        char *name = NULL;
        const char *file = NULL;
        ap_dtype dtype;
        int64_t dims[AP_MAX_RANK];
        size_t rank = 0;
        bool fits = false;
        AP_TRY(ap_request_split(o->inputs[i], "--input", "NAME=FILE", &b->arena, &name, &file));
        const ap_value *v = ap_request_is_input(m, name) ? ap_graph_value(m->graph, name) : NULL;
        if (!v) {
            err = ap_request_unknown_input(m, name, "--input");
            goto done;
        }
        if (!ap_value_shape(v, &dtype, dims, &rank, NULL)) continue;
        AP_TRY(ap_pick_file_fits(file, dtype, dims, rank, &fits));
        if (!fits || ap_request_find(*out, *count, name)) continue;
        (*out)[(*count)++] = o->inputs[i];
        b->used[i] = true;
    }
done:
    ap_model_free(m);
    return err;
}

// Before any work: every bucket is a shape of the model, and a sample of no bucket's shape is a mistake.
static ap_err check_inputs(batch *b) {
    for (size_t k = 0; k < b->count; k++) {
        const char **list = NULL;
        size_t count = 0;
        ap_err err = inputs_of(b, &b->buckets[k], &list, &count);
        if (err) return err;
    }
    for (size_t i = 0; i < b->o->input_count; i++)
        if (!b->used[i])
            return ap_err_new(AP_ERR_INPUT_SHAPE, "--input %s has none of the %zu shapes to deploy for",
                              b->o->inputs[i], b->count);
    return NULL;
}

// ---- one bucket

// [{input, leaf, value}]: inputs the artifact is built for one value of; whoever serves it looks at them.
static json_t *switches_of(const batch *b, const json_t *inputs) {
    json_t *list = json_array(), *in;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)inputs, i, in) {
        const char *name = ap_json_str(in, "name", ""),
                   *text = ap_request_find(b->o->fixed, b->o->fixed_count, name);
        char *end = NULL;
        long long value = text ? strtoll(text, &end, 10) : 0;
        if (text && end != text && !*end)
            json_array_append_new(list, json_pack("{ss,sI,sI}", "input", name, "leaf", (json_int_t)i, "value",
                                                  (json_int_t)value));
    }
    return list;
}

// [{input | output, leaf}]: the call's leaves are the contract's tensors, in order.
static json_t *in_order(const char *key, const json_t *tensors) {
    json_t *list = json_array(), *t;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)tensors, i, t) json_array_append_new(
        list, json_pack("{sO,sI}", key, json_object_get(t, "name"), "leaf", (json_int_t)i));
    return list;
}

static json_t *types_of(const json_t *tensors) {
    json_t *list = json_array(), *t;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)tensors, i, t) json_array_append_new(
        list, json_pack("{sO,sO,sO}", "name", json_object_get(t, "name"), "dtype",
                        json_object_get(t, "dtype"), "dims", json_object_get(t, "dims")));
    return list;
}

static json_t *entry_of(const batch *b, const ap_bucket *bucket, const json_t *doc) {
    const json_t *contract = json_object_get(doc, "contract"), *in = json_object_get(contract, "inputs"),
                 *out = json_object_get(contract, "outputs");
    char *shapes = ap_json_canonical(json_object_get(contract, "shapes"));
    ap_digest id = ap_sha256_of(shapes, strlen(shapes));
    free(shapes);
    return json_pack("{ss%,ss,ss,sn,so,sn,so,so,so,sn,so,s[]}", "signature", id.hex, (size_t)12, "dir",
                     bucket->name, "verdict", ap_json_str(doc, "verdict", "fail"), "spec", "inputs",
                     types_of(in), "out_spec", "outputs", types_of(out), "feeds", in_order("input", in),
                     "results", in_order("output", out), "level1", "fixed", switches_of(b, in), "tried");
}

// *go_on: the failure is this shape's own. What stops a deployment before it has a document would stop all.
static ap_err deploy_one(batch *b, const ap_bucket *bucket, bool *go_on) {
    aipc_deploy_options o = *b->o;
    const char **inputs = NULL;
    json_t *doc = NULL;
    ap_err err = NULL;
    *go_on = false;
    AP_TRY(inputs_of(b, bucket, &inputs, &o.input_count));
    o.inputs = inputs;
    o.shapes = bucket->shapes;
    o.out_dir = ap_path_join(&b->arena, b->out, bucket->name);
    ap_context_log(b->ctx, AIPC_INFO, "deploys %s", bucket->name);
    err = ap_deploy(b->ctx, &o, &doc);
    *go_on = doc && ap_err_code(err) != AP_ERR_CANCELLED;
    if (doc) {
        json_array_append_new(b->artifacts, entry_of(b, bucket, doc));
        const char *sha256 = ap_json_str(json_object_get(doc, "model"), "sha256", "");
        if (strlen(sha256) < sizeof b->digest) strcpy(b->digest, sha256);
    }
done:
    json_decref(doc);
    return ap_err_context(err, "%s", bucket->name);
}

// ---- all

// The one model of the index.
static json_t *models_of(const batch *b) {
    return json_pack("[{so,ss,s{ss},sn,sO}]", "name", ap_json_string(ap_path_base(b->o->model)), "kind",
                     "session", "identity", "sha256", b->digest, "path", "artifacts", b->artifacts);
}

static ap_err find_buckets(batch *b) {
    ap_model *m = NULL;
    ap_err err = ap_model_load(b->o->model, &m);
    if (!err) err = ap_buckets_of(m, b->o->shapes, b->o->shape_count, &b->arena, &b->buckets, &b->count);
    ap_model_free(m);
    return err;
}

// What an earlier deployment of one shape left at the top would be taken for this one.
static ap_err take_out_dir(batch *b) {
    ap_err err = ap_mkdirs(b->out);
    if (!err) err = ap_file_remove(ap_path_join(&b->arena, b->out, AP_INDEX));
    if (!err) err = ap_file_remove(ap_path_join(&b->arena, b->out, AP_MANIFEST));
    return err;
}

ap_err ap_deploy_shapes(aipc_context *c, const aipc_deploy_options *o, bool *varies, json_t **document) {
    batch b = {.ctx = c, .o = o, .out = o->out_dir ? o->out_dir : "out"};
    json_t *models = NULL;
    bool go_on = true;
    ap_err err = NULL;
    *varies = false;
    if (!o->model || !ap_buckets_likely(o->shapes, o->shape_count)) return NULL;
    b.artifacts = json_array();
    AP_TRY(ap_err_stage(ap_err_subject(find_buckets(&b), o->model), "baseline"));
    *varies = b.count > 1;
    if (!*varies) goto done;
    b.used = ap_arena_calloc(&b.arena, o->input_count + 1, sizeof *b.used);
    AP_TRY(ap_err_stage(ap_err_subject(check_inputs(&b), o->model), "baseline"));
    AP_TRY(take_out_dir(&b));
    for (size_t i = 0; i < b.count && go_on; i++) {
        err = deploy_one(&b, &b.buckets[i], &go_on);
        if (b.first)
            ap_err_free(err);
        else
            b.first = err;
        err = NULL;
    }
    if (json_array_size(b.artifacts) > 0) {
        models = models_of(&b);
        AP_TRY(ap_index_write(b.out, o, NULL, models, NULL, document));
    }
    err = b.first;
    b.first = NULL;
done:
    ap_err_free(b.first);
    json_decref(models);
    json_decref(b.artifacts);
    ap_arena_release(&b.arena);
    return err;
}
