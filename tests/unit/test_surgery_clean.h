// SPDX-License-Identifier: Apache-2.0
// What the tests of freeze and clean share: an oracle in this process, models built in memory, one call that
// cleans and answers what is left.
#ifndef AP_TEST_SURGERY_CLEAN_H
#define AP_TEST_SURGERY_CLEAN_H

#include "test_graph_build.h"

#include "device/runtime.h"
#include "engine/oracle.h"
#include "surgery/pass/clean.h"

typedef struct near_oracle {
    ap_engine *engine;
    size_t calls;
} near_oracle;

static inline ap_err near_inputs(const ap_model *m, size_t set, ap_named_tensor *in) {
    for (size_t i = 0; i < m->graph->input_count; i++) {
        ap_dtype dtype;
        int64_t dims[AP_MAX_RANK];
        size_t rank;
        if (!ap_value_shape(m->graph->inputs[i], &dtype, dims, &rank, NULL))
            return ap_err_new(AP_ERR_INPUT_SHAPE, "input without a shape");
        in[i].name = m->graph->inputs[i]->name;
        ap_err err = ap_tensor_alloc(dtype, dims, rank, &in[i].t);
        if (!err) err = ap_tensor_random(&in[i].t, 7 * set + i + 1, ap_dtype_is_float(dtype) ? -2 : 0, 2);
        if (err) return err;
    }
    return NULL;
}

typedef struct near_sink {
    ap_err (*sink)(void *, const char *, const ap_tensor *);
    void *user;
    bool types_only;
} near_sink;

static inline ap_err near_hand(void *user, const char *name, const ap_tensor *t) {
    const near_sink *s = user;
    ap_tensor copy = *t;
    if (s->types_only) copy.data = NULL;
    return s->sink(s->user, name, &copy);
}

static inline ap_err near_run(void *user, ap_model *m, size_t set, const char *const *names, size_t count,
                              bool types_only, ap_err (*sink)(void *, const char *, const ap_tensor *),
                              void *sink_user) {
    near_oracle *o = user;
    ap_named_tensor in[16] = {0};
    ap_buf bytes = {0};
    ap_model *copy = NULL;
    near_sink s = {sink, sink_user, types_only};
    ap_oracle_options options = {
        .tensors = names, .tensor_count = count, .threads = 1, .sink = near_hand, .user = &s};
    ap_err err = NULL;
    o->calls++;
    AP_TRY(ap_model_bytes(m, &bytes)); // the run puts the copy's outputs in another order, not the model's
    AP_TRY(ap_model_parse(bytes.data, bytes.len, m->dir, &copy));
    AP_TRY(near_inputs(m, set, in));
    AP_TRY(ap_oracle_run(o->engine, copy, in, m->graph->input_count, &options, NULL));
done:
    for (size_t i = 0; i < 16; i++) ap_tensor_free(&in[i].t);
    ap_model_free(copy);
    ap_buf_free(&bytes);
    return err;
}

// NULL when the runtime is not installed: then the tests skip.
static inline ap_engine *near_engine(void) {
    const char *data = getenv("AIPC_DATA");
    ap_runtime rt = {0};
    ap_engine *e = NULL;
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    ap_err err = data ? ap_runtime_find(data, "onnxruntime", &rt) : NULL;
    if (data && !err) err = ap_engine_open(ap_runtime_file(&rt, "libonnxruntime.so.1"), &e);
    ap_err_free(err);
    ap_runtime_release(&rt);
    return e;
}

static near_oracle the_oracle;
static inline ap_surgery_oracle near_oracle_of(void) {
    if (!the_oracle.engine) the_oracle.engine = near_engine();
    if (!the_oracle.engine) {
        print_message("skipped: runtime not installed (onnxruntime in AIPC_DATA)\n");
        skip();
    }
    return (ap_surgery_oracle){.run = near_run, .user = &the_oracle, .sets = 2};
}

typedef struct cleaned {
    ap_cleaned c;
    json_t *report;
} cleaned;

static inline cleaned clean_with(bench *b, const json_t *params) {
    cleaned r = {0};
    ap_surgery_oracle oracle = near_oracle_of();
    ap_clean_options o = {.oracle = &oracle, .params = params};
    ap_model *m = accepted(b);
    must(ap_clean(m, &o, &r.c, &r.report));
    ap_model_free(m);
    return r;
}
static inline void cleaned_free(cleaned *r) {
    ap_cleaned_release(&r->c);
    json_decref(r->report);
}
// Nodes of one operator; NULL: all.
static inline size_t count_op(const cleaned *r, const char *op) {
    size_t n = 0;
    for (size_t i = 0; i < r->c.model->graph->node_count; i++)
        n += !op || !strcmp(r->c.model->graph->nodes[i]->op, op);
    return n;
}
static inline size_t count_steps(const cleaned *r, const char *list, const char *pass) {
    size_t n = 0, i;
    json_t *s;
    json_array_foreach(json_object_get(r->report, list), i, s) n += !strcmp(ap_json_str(s, "name", ""), pass);
    return n;
}
// The passes that were kept, in order: "constants if identity".
static inline const char *steps_of(bench *b, const cleaned *r) {
    ap_buf t = {0};
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(r->report, "steps"), i, s)
        ap_buf_printf(&t, "%s%s", i ? " " : "", ap_json_str(s, "name", ""));
    const char *text = ap_arena_strdup(&b->arena, ap_buf_str(&t));
    ap_buf_free(&t);
    return text;
}

// ---- constants of a built graph

static inline Onnx__TensorProto *numbers_in(bench *b, Onnx__GraphProto *g, const char *name, ap_dtype dtype,
                                            const char *shape, const char *values) {
    Onnx__TensorProto *t = tensor(b, name, dtype, shape);
    size_t n = 1, width = ap_dtype_bits(dtype) / 8;
    for (size_t i = 0; i < t->n_dims; i++) n *= (size_t)t->dims[i];
    uint8_t *data = ap_arena_calloc(&b->arena, n * width + 8, 1);
    char *text = dup_text(b, values), *save = NULL;
    double last = 0;
    char *p = strtok_r(text, ",", &save);
    for (size_t i = 0; i < n; i++) { // the last value goes on
        if (p) last = strtod(p, NULL);
        float f = (float)last;
        int64_t v = (int64_t)last;
        memcpy(data + i * width, dtype == AP_F32 ? (void *)&f : (void *)&v, width);
        p = p ? strtok_r(NULL, ",", &save) : NULL;
    }
    set_raw(t, data, n * width);
    PUSH(b, g, initializer, t);
    return t;
}
static inline void numbers(bench *b, const char *name, ap_dtype dtype, const char *shape,
                           const char *values) {
    (void)numbers_in(b, b->graph, name, dtype, shape, values);
}
static inline Onnx__ValueInfoProto *typed(bench *b, const char *name, ap_dtype dtype, const char *shape) {
    Onnx__ValueInfoProto *v = info(b, name, NULL);
    v->type = tensor_type(b, dtype, shape);
    return v;
}

#endif
