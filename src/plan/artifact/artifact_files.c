// SPDX-License-Identifier: Apache-2.0
// What `aipc run` and `aipc profile` do: an artifact, files in, files out.
#include "golden/contract.h"
#include "golden/request.h"
#include "plan/artifact/artifact_priv.h"
#include "plan/artifact/pick.h"
#include "plan/work/store.h"
#include "target/target.h"
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>

// The contract's input as a job: the file given for it, read by the recipe it was deployed with.
static ap_err contract_job(const aipc_artifact *a, size_t index, const char *const *inputs, size_t count,
                           ap_arena *arena, const char *dir, ap_input_job *j) {
    const aipc_tensor *io = &a->inputs[index];
    const json_t *want =
        json_array_get(json_object_get(json_object_get(a->manifest, "contract"), "inputs"), index);
    *j = (ap_input_job){.name = io->name, .dtype = ap_dtype_from_name(io->dtype), .rank = io->rank};
    memcpy(j->dims, io->dims, io->rank * sizeof *io->dims);
    j->file = ap_request_find(inputs, count, io->name);
    if (!j->file)
        return ap_err_hint(ap_err_new(AP_ERR_INPUT_NAME, "no value for input '%s'", io->name),
                           "add --input %s=FILE", io->name);
    j->recipe = ap_json_str(json_object_get(want, "source"), "recipe", NULL);
    j->npy_path = ap_path_join(arena, dir, ap_arena_printf(arena, "in-%zu.npy", index));
    return NULL;
}

static ap_err unknown_input(const aipc_artifact *a, const char *name) {
    ap_buf list = {0};
    for (size_t i = 0; i < a->input_count; i++)
        ap_buf_printf(&list, "%s'%s'", i ? ", " : "", a->inputs[i].name);
    ap_err err = ap_err_new(AP_ERR_INPUT_NAME, "the artifact has no input '%s'", name);
    err = ap_err_hint(err, "its inputs are %s", ap_buf_str(&list));
    ap_buf_free(&list);
    return err;
}

static ap_err given_inputs(const aipc_artifact *a, const char *const *inputs, size_t count,
                           json_t **tensors) {
    ap_arena arena = {0};
    json_t *ignored = json_array(), *warnings = json_array(), *list = json_array();
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++) {
        char *name = NULL;
        const char *rest = NULL;
        bool known = false;
        AP_TRY(ap_request_split(inputs[i], "--input", "NAME=FILE", &arena, &name, &rest));
        for (size_t k = 0; k < a->input_count; k++) known = known || strcmp(a->inputs[k].name, name) == 0;
        if (!known) AP_TRY(unknown_input(a, name));
    }
    for (size_t i = 0; i < a->input_count; i++) {
        ap_input_job j;
        AP_TRY(contract_job(a, i, inputs, count, &arena, a->scratch, &j));
        AP_TRY(ap_contract_input(&j, ignored, list, warnings));
    }
    *tensors = json_incref(list);
done:
    json_decref(ignored);
    json_decref(warnings);
    json_decref(list);
    ap_arena_release(&arena);
    return err;
}

// The golden sample that was deployed with it.
static ap_err golden_inputs(const aipc_artifact *a, json_t **tensors) {
    ap_arena arena = {0};
    json_t *list = json_deep_copy(json_object_get(json_object_get(a->manifest, "golden"), "inputs")), *t;
    size_t i;
    ap_err err = NULL;
    ap_tensors_to_paths(list, ap_path_join(&arena, a->dir, "golden"));
    json_array_foreach(list, i, t)
        AP_TRY(ap_artifact_check_file(ap_json_str(t, "file", ""), ap_json_str(t, "sha256", "")));
    *tensors = json_incref(list);
done:
    json_decref(list);
    ap_arena_release(&arena);
    return err;
}

// A file name from a tensor's name: what is unusual in file names becomes '_', and a number keeps two such
// names apart.
static char *output_name(ap_arena *arena, const char *name, size_t index, const json_t *taken) {
    char *s = ap_arena_strdup(arena, name);
    for (char *p = s; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", *p)) *p = '_';
    if (*s == '.' || *s == '\0') s = ap_arena_printf(arena, "output%zu%s", index, s);
    char *file = ap_arena_printf(arena, "%s.npy", s);
    for (size_t i = 0; i < json_array_size(taken); i++)
        if (strcmp(ap_path_base(ap_json_str(json_array_get(taken, i), "file", "")), file) == 0)
            return ap_arena_printf(arena, "%s-%zu.npy", s, index);
    return file;
}

static ap_err save_outputs(const aipc_tensor *outputs, size_t count, const char *out_dir, json_t *list) {
    ap_arena arena = {0};
    ap_err err = NULL;
    AP_TRY(ap_mkdirs(out_dir));
    for (size_t i = 0; i < count; i++) {
        const aipc_tensor *o = &outputs[i];
        ap_tensor t = {0};
        char *path = ap_path_join(&arena, out_dir, output_name(&arena, o->name, i, list));
        AP_TRY(ap_tensor_view(ap_dtype_from_name(o->dtype), o->dims, o->rank, o->data, o->bytes, &t));
        AP_TRY(ap_npy_write(path, &t));
        json_array_append_new(list, json_pack("{so,ss,so,so}", "name", ap_json_string(o->name), "dtype",
                                              o->dtype, "dims", ap_json_dims(o->dims, o->rank), "file",
                                              ap_json_string(path)));
    }
done:
    ap_arena_release(&arena);
    return err;
}

// Runs on the files of a TENSOR list.
static ap_err run_refs(aipc_artifact *a, const json_t *refs, aipc_tensor *outputs) {
    ap_named_tensor *list = NULL;
    size_t count = 0;
    ap_err err = ap_tensors_open(refs, &list, &count);
    if (err) return err;
    aipc_tensor *inputs = ap_calloc(count + 1, sizeof *inputs);
    for (size_t i = 0; i < count; i++) {
        const ap_tensor *t = &list[i].t;
        inputs[i] = (aipc_tensor){list[i].name, ap_dtype_name(t->dtype), t->rank, t->dims, t->data, t->bytes};
    }
    err = ap_artifact_run(a, inputs, count, outputs);
    free(inputs);
    ap_named_tensors_free(list, count);
    return err;
}

ap_err ap_artifact_run_files(aipc_context *c, const char *dir, const char *target, const char *const *inputs,
                             size_t count, const char *out_dir, json_t **document) {
    aipc_artifact *a = NULL;
    aipc_tensor *outputs = NULL;
    json_t *tensors = NULL, *list = json_array();
    ap_arena arena = {0};
    ap_err err = NULL;
    AP_TRY(ap_pick(c, dir, target, inputs, count, &arena, &dir));
    AP_TRY(ap_artifact_open(c, dir, target, &a));
    if (count > 0)
        AP_TRY(given_inputs(a, inputs, count, &tensors));
    else
        AP_TRY(golden_inputs(a, &tensors));
    outputs = ap_calloc(a->output_count + 1, sizeof *outputs);
    uint64_t start = ap_now_us();
    AP_TRY(run_refs(a, tensors, outputs));
    double seconds = (double)(ap_now_us() - start) / 1e6;
    AP_TRY(save_outputs(outputs, a->output_count, out_dir ? out_dir : "outputs", list));
    *document = json_pack("{sO,so,sO,sf,ss}", "target", json_object_get(a->target, "target"), "artifact",
                          ap_json_string(dir), "outputs", list, "seconds", seconds, "inputs",
                          count > 0 ? "given" : "golden sample");
done:
    if (outputs) aipc_outputs_free(outputs, a->output_count);
    free(outputs);
    json_decref(tensors);
    json_decref(list);
    ap_artifact_close(a);
    ap_arena_release(&arena);
    return err;
}

// For an htp target the profile is the estimate made at build time, out of the report: nothing here could
// measure it.
static ap_err estimate(const aipc_artifact *a, json_t **document) {
    ap_arena arena = {0};
    json_t *report = NULL, *t;
    size_t i;
    const char *name = ap_json_str(a->target, "target", "");
    ap_err err =
        ap_json_load(ap_path_join(&arena, a->dir, "report.json"), (size_t)256 << 20, AP_ERR_CORRUPT, &report);
    if (!err) {
        *document = json_pack("{ss,sn,sn}", "target", name, "profile", "cost");
        json_array_foreach(json_object_get(report, "targets"), i,
                           t) if (strcmp(ap_json_str(t, "target", ""), name) == 0 &&
                                  json_object_get(t, "cost"))
            json_object_set(*document, "cost", json_object_get(t, "cost"));
    }
    json_decref(report);
    ap_arena_release(&arena);
    return err;
}

ap_err ap_artifact_profile(aipc_context *c, const char *dir, const char *target, json_t **document) {
    aipc_artifact *a = NULL;
    json_t *tensors = NULL, *result = NULL;
    ap_arena arena = {0};
    ap_err err = NULL;
    AP_TRY(ap_pick(c, dir, target, NULL, 0, &arena, &dir));
    AP_TRY(ap_artifact_open_manifest(c, dir, target, &a));
    if (strcmp(ap_json_str(a->target, "kind", ""), "htp") == 0) {
        err = estimate(a, document);
        goto done;
    }
    const char *chosen = ap_json_str(a->target, "target", NULL);
    aipc_artifact *running = NULL;
    AP_TRY(ap_artifact_open(c, dir, chosen, &running));
    ap_artifact_close(a);
    a = running;
    AP_TRY(golden_inputs(a, &tensors));
    AP_TRY(ap_worker_call(a->worker, "profile", json_pack("{sO,ss}", "inputs", tensors, "dir", a->scratch),
                          &result));
    *document =
        json_pack("{sO,sO,sn}", "target", json_object_get(a->target, "target"), "profile", result, "cost");
done:
    json_decref(tensors);
    json_decref(result);
    ap_artifact_close(a);
    ap_arena_release(&arena);
    return err;
}
