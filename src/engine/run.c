// SPDX-License-Identifier: Apache-2.0
// Running a session. Inputs are borrowed in place, outputs are views of the library's memory: no copies here.
#include "base/proc.h"
#include "engine/run_priv.h"

#include <stdlib.h>
#include <string.h>

#define ORT(e, call, doing) AP_TRY(ap_engine_err((e), (e)->lib.fns.call, AP_ERR_VENDOR, (doing)))

ap_err ap_value_over(ap_engine *e, const ap_tensor *t, OrtValue **out) {
    // A zero-size tensor may have no memory at all; the library still wants an address.
    static const char nothing[16];
    void *data = t->data ? t->data : (void *)(uintptr_t)nothing;
    return ap_engine_err(e,
                         e->lib.fns.CreateTensorWithDataAsOrtValue(e->cpu_memory, data, t->bytes, t->dims,
                                                                   t->rank,
                                                                   (ONNXTensorElementDataType)t->dtype, out),
                         AP_ERR_VENDOR, "tensor");
}

static ap_err bind_input(ap_session *s, const ap_io *io, const ap_named_tensor *in, OrtValue **out) {
    ap_engine *e = s->engine;
    ap_err err = NULL;
    if (in->t.dtype != io->dtype)
        AP_FAIL(AP_ERR_INPUT_DTYPE, "input '%s' is %s, the model wants %s", io->name,
                ap_dtype_name(in->t.dtype), ap_dtype_name(io->dtype));
    bool fits = in->t.rank == io->rank;
    for (size_t i = 0; fits && i < io->rank; i++) fits = io->dims[i] < 0 || io->dims[i] == in->t.dims[i];
    if (!fits) {
        ap_buf have = {0}, want = {0};
        ap_shape_format(in->t.dims, in->t.rank, &have);
        ap_shape_format(io->dims, io->rank, &want);
        err = ap_err_new(AP_ERR_INPUT_SHAPE, "input '%s' has shape %s, the model wants %s", io->name,
                         ap_buf_str(&have), ap_buf_str(&want));
        ap_buf_free(&have);
        ap_buf_free(&want);
        goto done;
    }
    AP_TRY(ap_value_over(e, &in->t, out));
done:
    return ap_err_subject(err, io->name);
}

ap_err ap_value_view(ap_engine *e, OrtValue *v, ap_tensor *out) {
    const ap_ort_fns *f = &e->lib.fns;
    OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType type;
    int is_tensor = 0;
    size_t bytes = 0, rank = 0;
    int64_t dims[AP_MAX_RANK];
    void *data = NULL;
    ap_err err = NULL;
    memset(out, 0, sizeof *out);
    ORT(e, IsTensor(v, &is_tensor), "output kind");
    if (!is_tensor) goto done;
    ORT(e, GetTensorTypeAndShape(v, &info), "output type");
    ORT(e, GetTensorElementType(info, &type), "output type");
    if ((int)type < 1 || (int)type > 23 || type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) goto done;
    ORT(e, GetDimensionsCount(info, &rank), "output rank");
    if (rank > AP_MAX_RANK)
        AP_FAIL(AP_ERR_MODEL_DIMS, "an output has rank %zu, at most %d is supported", rank, AP_MAX_RANK);
    ORT(e, GetDimensions(info, dims, rank), "output dims");
    ORT(e, GetTensorMutableData(v, &data), "output data");
    AP_TRY(ap_shape_bytes((ap_dtype)type, dims, rank, &bytes));
    AP_TRY(ap_tensor_view((ap_dtype)type, dims, rank, bytes ? data : NULL, bytes, out));
done:
    f->ReleaseTensorTypeAndShapeInfo(info);
    return err;
}

const ap_io *ap_io_find(const ap_io *list, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0) return &list[i];
    return NULL;
}

ap_err ap_inputs_bind(ap_session *s, const ap_named_tensor *inputs, size_t count, const char **names,
                      OrtValue **values) {
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++) {
        const ap_io *io = ap_io_find(s->inputs, s->input_count, inputs[i].name);
        if (!io) AP_FAIL(AP_ERR_INPUT_NAME, "the model has no input '%s'", inputs[i].name);
        names[i] = io->name;
        AP_TRY(bind_input(s, io, &inputs[i], &values[i]));
    }
    for (size_t i = 0; i < s->input_count; i++) {
        bool given = false;
        for (size_t j = 0; j < count && !given; j++) given = strcmp(inputs[j].name, s->inputs[i].name) == 0;
        if (!given) AP_FAIL(AP_ERR_INPUT_NAME, "no value for input '%s'", s->inputs[i].name);
    }
done:
    return err;
}

ap_err ap_session_run(ap_session *s, const ap_named_tensor *inputs, size_t input_count,
                      const char *const *outputs, size_t output_count, ap_run_result *out) {
    ap_engine *e = s->engine;
    const ap_ort_fns *f = &e->lib.fns;
    size_t n = outputs ? output_count : s->output_count;
    const char **in_names = ap_calloc(input_count + 1, sizeof *in_names);
    const char **out_names = ap_calloc(n + 1, sizeof *out_names);
    OrtValue **in_values = ap_calloc(input_count + 1, sizeof *in_values);
    ap_run_result r = {.engine = e, .count = n};
    r.values = ap_calloc(n + 1, sizeof *r.values);
    r.tensors = ap_calloc(n + 1, sizeof *r.tensors);
    ap_err err = NULL;
    AP_TRY(ap_inputs_bind(s, inputs, input_count, in_names, in_values));
    for (size_t i = 0; i < n; i++) {
        const ap_io *io = outputs ? ap_io_find(s->outputs, s->output_count, outputs[i]) : &s->outputs[i];
        if (!io) AP_FAIL(AP_ERR_INTERNAL, "the session has no output '%s'", outputs[i]);
        r.tensors[i].name = out_names[i] = io->name;
    }
    uint64_t start = ap_now_us();
    OrtStatus *status = f->Run(s->handle, NULL, in_names, (const OrtValue *const *)in_values, input_count,
                               out_names, n, r.values);
    r.vendor_us = ap_now_us() - start;
    AP_TRY(ap_engine_err(e, status, AP_ERR_VENDOR, "running the model"));
    for (size_t i = 0; i < n; i++)
        if (r.values[i]) AP_TRY(ap_value_view(e, r.values[i], &r.tensors[i].t));
    *out = r;
    memset(&r, 0, sizeof r);
done:
    for (size_t i = 0; i < input_count; i++) f->ReleaseValue(in_values[i]);
    free(in_values);
    free(in_names);
    free(out_names);
    ap_run_result_free(&r);
    return err;
}

void ap_run_result_free(ap_run_result *r) {
    for (size_t i = 0; r->values && i < r->count; i++) r->engine->lib.fns.ReleaseValue(r->values[i]);
    free(r->values);
    free(r->tensors);
    memset(r, 0, sizeof *r);
}
