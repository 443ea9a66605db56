// SPDX-License-Identifier: Apache-2.0
// Random one-node models, a rule applied to them, and ONNX Runtime's word on both sides.
#ifndef AP_TEST_SURGERY_NATIVE_H
#define AP_TEST_SURGERY_NATIVE_H

#include "test_runtime.h"
#include "test_surgery_rule.h"

#include "base/rand.h"
#include "engine/oracle.h"
#include "tensor/convert.h"

static char ort_path[4096];
static ap_engine *engine;
static ap_rules *builtin;
static uint64_t rand_state = 1;

static inline uint32_t rnd(uint32_t n) {
    rand_state += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(ap_mix64(rand_state) >> 33) % n;
}

static inline int open_all(void **state) {
    (void)state;
    ap_rule_problems p = {0};
    must(ap_engine_open(ort_path, &engine));
    builtin = ap_rules_new();
    must(ap_rules_load_builtin(builtin, &p));
    assert_int_equal(p.errors, 0);
    ap_rule_problems_free(&p);
    ap_rules_finish(builtin);
    return 0;
}
static inline int close_all(void **state) {
    (void)state;
    ap_engine_close(engine);
    ap_rules_free(builtin);
    return 0;
}

enum { TRIAL_MOST = 12 };
typedef struct trial {
    maker k;
    ap_named_tensor in[TRIAL_MOST];
    size_t in_count;
    ap_node *node;
    ap_tensor left[TRIAL_MOST], right[TRIAL_MOST];
    const char *outs[TRIAL_MOST];
    size_t out_count;
} trial;

static inline ap_tensor random_tensor(ap_dtype t, const int64_t *dims, size_t rank, int64_t most) {
    ap_tensor x = {0};
    must(ap_tensor_alloc(t, dims, rank, &x));
    for (size_t i = 0; i < ap_tensor_count(&x); i++) {
        double v = most ? (double)rnd((uint32_t)most) : ((double)rnd(2001) - 1000) / 500;
        ap_tensor_put_f64(&x, i, 1, &v);
    }
    return x;
}

// An input of random floats, or of whole numbers below `most`.
static inline ap_value *fed(trial *q, ap_dtype t, const int64_t *dims, size_t rank, int64_t most) {
    char name[16];
    ap_value_type type = {.dtype = t, .rank = rank};
    ap_value *v = NULL;
    memcpy(type.dims, dims, rank * sizeof *dims);
    snprintf(name, sizeof name, "x%zu", q->in_count);
    must(ap_graph_add_input(q->k.m->graph, name, &type, &v));
    q->in[q->in_count++] = (ap_named_tensor){v->name, random_tensor(t, dims, rank, most)};
    return v;
}

static inline ap_value *held(trial *q, ap_tensor t) {
    ap_value *v = NULL;
    must(ap_graph_add_initializer(q->k.m->graph, "c", &t, &v));
    ap_tensor_free(&t);
    return v;
}

static inline void one_node(trial *q, const char *op, ap_value **in, size_t n, Onnx__AttributeProto **attrs,
                            size_t attr_count, size_t outs) {
    static const char *const names[] = {"y0", "y1", "y2"};
    must(ap_graph_add_node(q->k.m->graph,
                           &(ap_node_spec){.op = op,
                                           .inputs = in,
                                           .input_count = n,
                                           .outputs = names,
                                           .output_count = outs,
                                           .attrs = attrs,
                                           .attr_count = attr_count},
                           &q->node));
    for (size_t i = 0; i < outs; i++) {
        must(ap_graph_add_output(q->k.m->graph, q->node->outputs[i], NULL));
        q->outs[q->out_count++] = names[i];
    }
}

typedef struct trial_sink {
    ap_tensor *list;
    size_t count;
} trial_sink;
static ap_err trial_keep(void *user, const char *name, const ap_tensor *t) {
    trial_sink *s = user;
    (void)name;
    return ap_tensor_clone(t, &s->list[s->count++]);
}

static inline ap_err trial_run(trial *q, ap_tensor *out) {
    ap_buf bytes = {0};
    ap_model *copy = NULL;
    trial_sink s = {out, 0};
    ap_oracle_options o = {
        .tensors = q->outs, .tensor_count = q->out_count, .threads = 1, .sink = trial_keep, .user = &s};
    ap_err err = NULL;
    AP_TRY(ap_model_bytes(q->k.m, &bytes));
    AP_TRY(ap_model_parse(bytes.data, bytes.len, NULL, &copy));
    AP_TRY(ap_oracle_run(engine, copy, q->in, q->in_count, &o, NULL));
done:
    ap_model_free(copy);
    ap_buf_free(&bytes);
    return err;
}

static bool trial_type(void *user, const ap_value *v, ap_value_type *out) {
    trial *q = user;
    for (size_t i = 0; i < q->out_count; i++) {
        if (strcmp(q->outs[i], v->name) != 0 || !q->left[i].dtype) continue;
        *out = (ap_value_type){.dtype = q->left[i].dtype, .rank = q->left[i].rank};
        memcpy(out->dims, q->left[i].dims, sizeof out->dims);
        return true;
    }
    return false;
}

static inline void trial_free(trial *q) {
    for (size_t i = 0; i < q->in_count; i++) ap_tensor_free(&q->in[i].t);
    for (size_t i = 0; i < q->out_count; i++) {
        ap_tensor_free(&q->left[i]);
        ap_tensor_free(&q->right[i]);
    }
    ap_model_free(q->k.m);
    *q = (trial){0};
}

// Largest difference relative to the largest element (0: the same bits); -1: another type or shape.
static inline double trial_error(const ap_tensor *a, const ap_tensor *b) {
    double most = 1e-30, off = 0;
    if (a->dtype != b->dtype || !ap_shape_equal(a->dims, a->rank, b->dims, b->rank)) return -1;
    for (size_t i = 0; i < ap_tensor_count(a); i++) {
        double x = ap_tensor_at(a, i), y = ap_tensor_at(b, i);
        most = fmax(most, fabs(x));
        if (!(x == y))
            off = fmax(off, isnan(x) && isnan(y) ? 0 : isnan(x) != isnan(y) ? INFINITY : fabs(x - y));
    }
    return off / most;
}

// Applies the rule, which must fit unless `may_refuse`, and compares. Returns whether it was applied.
static inline bool judged(trial *q, const char *rule, double tolerance, bool may_refuse, const char *what) {
    ap_match_env env = {.model = q->k.m, .rules = builtin, .types = {trial_type, q}};
    ap_match *m = NULL;
    ap_match_miss miss = {0};
    ap_applied done_ = {0};
    ap_err err = trial_run(q, q->left);
    if (err) fail_msg("%s: left side: %s", what, ap_err_message(err));
    const ap_rule *r = ap_rules_find(builtin, rule);
    assert_non_null(r);
    must(ap_rule_match(r, &env, q->node, &m, &miss));
    if (!m) fail_msg("%s: rule %s: %s", what, rule, miss.text);
    err = ap_match_apply(m, &done_);
    bool applied = !err;
    if (err && (!may_refuse || ap_err_code(err) != AP_ERR_REFUSED))
        fail_msg("%s: %s", what, ap_err_message(err));
    ap_err_free(err);
    must(ap_model_verify(q->k.m));
    err = trial_run(q, q->right); // a refusal left the graph as it was
    if (err) fail_msg("%s: right side: %s", what, ap_err_message(err));
    for (size_t i = 0; i < q->out_count; i++) {
        double e = trial_error(&q->left[i], &q->right[i]);
        if (!(e >= 0 && e <= tolerance)) fail_msg("%s: output %zu is off by %g", what, i, e);
    }
    ap_applied_release(&done_);
    ap_match_free(m);
    return applied;
}

// Is the library there? Says so when it is not.
static inline bool native_ready(void) {
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    if (test_runtime_file("onnxruntime", "libonnxruntime.so.1", ort_path)) return true;
    test_skipped("onnxruntime");
    return false;
}

#endif
