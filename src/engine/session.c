// SPDX-License-Identifier: Apache-2.0
// Opening sessions: options, error translation, inputs and outputs.
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORT(e, call, doing) AP_TRY(ap_engine_err((e), (e)->lib.fns.call, AP_ERR_VENDOR, (doing)))

static ap_err append_ep(ap_engine *e, OrtSessionOptions *so, const ap_session_options *o) {
    const ap_ort_fns *f = &e->lib.fns;
    const OrtEpDevice *const *devices = NULL;
    const OrtEpDevice *device = NULL;
    const char **keys = ap_calloc(o->ep_option_count + 1, sizeof *keys);
    const char **values = ap_calloc(o->ep_option_count + 1, sizeof *values);
    size_t count = 0;
    ap_err err = NULL;
    ORT(e, GetEpDevices(e->env, &devices, &count), "listing devices");
    for (size_t i = 0; i < count && !device; i++)
        if (strcmp(f->EpDevice_EpName(devices[i]), o->ep) == 0) device = devices[i];
    if (!device)
        AP_FAIL(AP_ERR_RUNTIME_LOAD, "the execution provider '%s' offers no device on this machine", o->ep);
    for (size_t i = 0; i < o->ep_option_count; i++) {
        keys[i] = o->ep_options[i].key;
        values[i] = o->ep_options[i].value;
    }
    ORT(e, SessionOptionsAppendExecutionProvider_V2(so, e->env, &device, 1, keys, values, o->ep_option_count),
        "provider options");
done:
    free(keys);
    free(values);
    return err;
}

static ap_err fill_options(ap_engine *e, OrtSessionOptions *so, const ap_session_options *o) {
    ap_err err = NULL;
    ORT(e, SetSessionGraphOptimizationLevel(so, o->optimization), "optimization level");
    ORT(e, SetSessionLogSeverityLevel(so, o->verbose ? ORT_LOGGING_LEVEL_VERBOSE : ORT_LOGGING_LEVEL_WARNING),
        "log level");
    if (o->threads > 0) ORT(e, SetIntraOpNumThreads(so, o->threads), "thread count");
    if (o->record_placement)
        ORT(e, AddSessionConfigEntry(so, "session.record_ep_graph_assignment_info", "1"), "placement option");
    if (o->no_fallback)
        ORT(e, AddSessionConfigEntry(so, "session.disable_cpu_ep_fallback", "1"), "fallback option");
    if (o->external_dir)
        ORT(e,
            AddSessionConfigEntry(so, "session.model_external_initializers_file_folder_path",
                                  o->external_dir),
            "external data folder");
    if (o->context_path) {
        ORT(e, AddSessionConfigEntry(so, "ep.context_enable", "1"), "context option");
        ORT(e, AddSessionConfigEntry(so, "ep.context_file_path", o->context_path), "context path");
        ORT(e, AddSessionConfigEntry(so, "ep.context_embed_mode", "0"), "context mode");
    }
    for (size_t i = 0; i < o->config_count; i++)
        ORT(e, AddSessionConfigEntry(so, o->config[i].key, o->config[i].value), "session option");
    for (size_t i = 0; i < o->symbol_count; i++)
        ORT(e, AddFreeDimensionOverrideByName(so, o->symbols[i].symbol, o->symbols[i].size),
            "dimension override");
    if (o->profile_prefix) ORT(e, EnableProfiling(so, o->profile_prefix), "profiling");
    if (o->ep) AP_TRY(append_ep(e, so, o));
done:
    return err;
}

// ONNX Runtime tells most load failures apart only in words. X(text it contains, our code)
static const struct {
    const char *text;
    ap_code code;
} load_errors[] = {
    {"fallback to CPU EP has been explicitly disabled", AP_ERR_REFUSED},
    {"was not selected by that EP", AP_ERR_REFUSED},
    {"is not a registered function/op", AP_ERR_MODEL_OP},
    {"No Op registered for", AP_ERR_MODEL_OP},
    {"No opset import for domain", AP_ERR_MODEL_OP},
    {"Could not find an implementation for", AP_ERR_MODEL_OP},
    {"Unrecognized attribute", AP_ERR_MODEL_INVALID},
    {"ShapeInferenceError", AP_ERR_MODEL_INVALID},
    {"TypeInferenceError", AP_ERR_MODEL_INVALID},
    {"Type Error", AP_ERR_MODEL_INVALID},
    {"Protobuf parsing failed", AP_ERR_MODEL_PARSE},
    {"INVALID_PROTOBUF", AP_ERR_MODEL_PARSE},
};

static ap_err load_error(ap_engine *e, OrtStatus *status, const char *path, bool vendor_ep) {
    if (!status) return NULL;
    const char *message = e->lib.fns.GetErrorMessage(status);
    OrtErrorCode ort = e->lib.fns.GetErrorCode(status);
    ap_code code = vendor_ep ? AP_ERR_VENDOR : AP_ERR_MODEL_INVALID;
    if (ort == ORT_INVALID_PROTOBUF) code = AP_ERR_MODEL_PARSE;
    for (size_t i = 0; i < sizeof load_errors / sizeof *load_errors; i++) {
        if (!strstr(message, load_errors[i].text)) continue;
        code = load_errors[i].code;
        break;
    }
    return ap_err_subject(ap_engine_err(e, status, code, "ONNX Runtime cannot load the model"), path);
}

// ORT's element types equal ONNX's up to 23; above that they part (ort_api.h).
static ap_dtype dtype_of(ONNXTensorElementDataType t) {
    return (int)t >= 1 && (int)t <= 23 ? (ap_dtype)t : AP_DTYPE_NONE;
}

static ap_err read_io(ap_session *s, bool input, size_t index, ap_io *out) {
    ap_engine *e = s->engine;
    const ap_ort_fns *f = &e->lib.fns;
    OrtTypeInfo *type = NULL;
    char *name = NULL;
    const OrtTensorTypeAndShapeInfo *tensor = NULL;
    ap_err err = NULL;
    if (input) {
        ORT(e, SessionGetInputName(s->handle, index, e->allocator, &name), "input name");
        ORT(e, SessionGetInputTypeInfo(s->handle, index, &type), "input type");
    } else {
        ORT(e, SessionGetOutputName(s->handle, index, e->allocator, &name), "output name");
        ORT(e, SessionGetOutputTypeInfo(s->handle, index, &type), "output type");
    }
    out->name = ap_arena_strdup(&s->arena, name);
    ORT(e, CastTypeInfoToTensorInfo(type, &tensor), "tensor type");
    if (tensor) {
        ONNXTensorElementDataType et;
        ORT(e, GetTensorElementType(tensor, &et), "element type");
        ORT(e, GetDimensionsCount(tensor, &out->rank), "rank");
        if (out->rank > AP_MAX_RANK)
            AP_FAIL(AP_ERR_MODEL_DIMS, "'%s' has rank %zu, at most %d is supported", out->name, out->rank,
                    AP_MAX_RANK);
        ORT(e, GetDimensions(tensor, out->dims, out->rank), "dims");
        out->dtype = dtype_of(et);
    }
done:
    f->ReleaseTypeInfo(type);
    if (name) {
        ap_err freed =
            ap_engine_err(e, f->AllocatorFree(e->allocator, name), AP_ERR_VENDOR, "freeing a name");
        if (!err)
            err = freed;
        else
            ap_err_free(freed);
    }
    return err;
}

static ap_err read_ios(ap_session *s) {
    ap_engine *e = s->engine;
    ap_err err = NULL;
    ORT(e, SessionGetInputCount(s->handle, &s->input_count), "input count");
    ORT(e, SessionGetOutputCount(s->handle, &s->output_count), "output count");
    s->inputs = ap_arena_calloc(&s->arena, s->input_count + 1, sizeof *s->inputs);
    s->outputs = ap_arena_calloc(&s->arena, s->output_count + 1, sizeof *s->outputs);
    for (size_t i = 0; i < s->input_count; i++) AP_TRY(read_io(s, true, i, &s->inputs[i]));
    for (size_t i = 0; i < s->output_count; i++) AP_TRY(read_io(s, false, i, &s->outputs[i]));
done:
    return err;
}

ap_err ap_session_open(ap_engine *e, const char *path, const void *bytes, size_t len,
                       const ap_session_options *o, ap_session **out) {
    const ap_ort_fns *f = &e->lib.fns;
    OrtSessionOptions *so = NULL;
    ap_session *s = ap_calloc(1, sizeof *s);
    s->engine = e;
    ap_err err = NULL;
    ORT(e, CreateSessionOptions(&so), "session options");
    AP_TRY(fill_options(e, so, o));
    OrtStatus *status = bytes ? f->CreateSessionFromArray(e->env, bytes, len, so, &s->handle)
                              : f->CreateSession(e->env, path, so, &s->handle);
    AP_TRY(load_error(e, status, path, o->ep != NULL));
    AP_TRY(read_ios(s));
    *out = s;
    s = NULL;
done:
    f->ReleaseSessionOptions(so);
    ap_session_close(s);
    return err;
}

void ap_session_close(ap_session *s) {
    if (!s) return;
    ap_session_unbind(s);
    s->engine->lib.fns.ReleaseSession(s->handle);
    ap_arena_release(&s->arena);
    free(s);
}

static ap_err placement_node(ap_engine *e, const OrtEpAssignedNode *node, const char *ep, json_t *list) {
    const char *name = "", *op = "", *domain = "";
    ap_err err = NULL;
    ORT(e, EpAssignedNode_GetName(node, &name), "placement");
    ORT(e, EpAssignedNode_GetOperatorType(node, &op), "placement");
    ORT(e, EpAssignedNode_GetDomain(node, &domain), "placement");
    json_array_append_new(list,
                          json_pack("{so,so,so,so}", "name", ap_json_string(name), "op", ap_json_string(op),
                                    "domain", ap_json_string(domain), "ep", ap_json_string(ep)));
done:
    return err;
}

ap_err ap_session_placement(ap_session *s, json_t **out) {
    ap_engine *e = s->engine;
    const OrtEpAssignedSubgraph *const *subgraphs = NULL;
    size_t count = 0;
    json_t *list = json_array();
    ap_err err = NULL;
    ORT(e, Session_GetEpGraphAssignmentInfo(s->handle, &subgraphs, &count), "placement");
    for (size_t i = 0; i < count; i++) {
        const char *ep = "";
        const OrtEpAssignedNode *const *nodes = NULL;
        size_t n = 0;
        ORT(e, EpAssignedSubgraph_GetEpName(subgraphs[i], &ep), "placement");
        ORT(e, EpAssignedSubgraph_GetNodes(subgraphs[i], &nodes, &n), "placement");
        for (size_t j = 0; j < n; j++) AP_TRY(placement_node(e, nodes[j], ep, list));
    }
    *out = list;
    list = NULL;
done:
    json_decref(list);
    return err;
}

ap_err ap_session_end_profile(ap_session *s, char **path) {
    ap_engine *e = s->engine;
    char *p = NULL;
    ap_err err = ap_engine_err(e, e->lib.fns.SessionEndProfiling(s->handle, e->allocator, &p), AP_ERR_VENDOR,
                               "profile");
    if (err) return err;
    *path = ap_strdup(p);
    return ap_engine_err(e, e->lib.fns.AllocatorFree(e->allocator, p), AP_ERR_VENDOR, "freeing a string");
}
