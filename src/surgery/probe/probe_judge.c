// SPDX-License-Identifier: Apache-2.0
// Verdicts: the target's answer about a batch against the oracle's.
#include "surgery/probe/probe_priv.h"
#include "tensor/metrics.h"
#include "tensor/npy.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Takes our "pI/" out of a vendor's words, so that the same refusal always reads the same.
static char *plain_reason(const char *text, ap_arena *arena) {
    ap_buf b = {0};
    for (const char *p = text; *p; p++) {
        const char *end = p + 1;
        bool starts = p == text || !(isalnum((unsigned char)p[-1]) || p[-1] == '_');
        while (isdigit((unsigned char)*end)) end++;
        if (*p == 'p' && starts && end > p + 1 && *end == '/')
            p = end;
        else
            ap_buf_putc(&b, *p);
    }
    char *out = ap_arena_strdup(arena, ap_buf_str(&b));
    ap_buf_free(&b);
    return out;
}

void ap_probe_decide(ap_probe *p, ap_probe_verdict v, const char *reason, ap_arena *arena) {
    p->verdict = v;
    p->reason = reason && *reason ? plain_reason(reason, arena) : NULL;
}

// ---- tensors of an answer

typedef struct answers {
    ap_map sets[AP_PROBE_SETS]; // name → TENSOR
} answers;

static void index_answers(const json_t *result, answers *a) {
    for (size_t s = 0; s < AP_PROBE_SETS; s++) {
        size_t i;
        json_t *t;
        json_array_foreach(json_array_get(json_object_get(result, "outputs"), s), i, t)
            ap_map_set(&a->sets[s], ap_json_str(t, "name", ""), t);
    }
}

static void index_inputs(const json_t *sets, answers *a) {
    for (size_t s = 0; s < AP_PROBE_SETS; s++) {
        size_t i;
        json_t *t;
        json_array_foreach(json_array_get(sets, s), i, t)
            ap_map_set(&a->sets[s], ap_json_str(t, "name", ""), t);
    }
}

static void free_answers(answers *a) {
    for (size_t s = 0; s < AP_PROBE_SETS; s++) ap_map_free(&a->sets[s]);
}

// None there: dtype NONE.
static ap_err open_tensor(const json_t *t, ap_tensor *out) {
    return json_object_get(t, "file") ? ap_npy_open(t, out) : NULL;
}

// ---- one output

typedef struct finding {
    double error;
    bool wrong, inexact;
    char why[200];
} finding;

static void blame(finding *f, const char *fmt, ...) AP_PRINTF(2, 3);
static void blame(finding *f, const char *fmt, ...) {
    va_list args;
    if (f->wrong) return; // the first one counts
    f->wrong = true;
    va_start(args, fmt);
    vsnprintf(f->why, sizeof f->why, fmt, args);
    va_end(args);
}

#define F16_LEAST 5.9604644775390625e-8 // 2^-24

static void judge_floats(const ap_metrics *m, double tolerance, size_t output, finding *f) {
    double error = m->max_abs / (m->ref_max > 0 ? m->ref_max : 1);
    if (isnan(error)) error = 0;
    if (error > f->error) f->error = error;
    if (m->nonfinite_mismatch)
        blame(f, "output %zu: %zu of %zu elements are NaN or Inf on one side only", output,
              m->nonfinite_mismatch, m->count);
    else if (error > AP_PROBE_INEXACT && m->ref_max > 0 && m->ref_max < F16_LEAST)
        blame(f, "output %zu: its largest element, %.3g, is below what float16 holds", output, m->ref_max);
    else if (error > (tolerance > AP_PROBE_INEXACT ? tolerance : AP_PROBE_INEXACT))
        blame(f, "output %zu: off by %.3g of the largest element (element %zu)", output, error,
              m->max_abs_index);
    else if (error > tolerance)
        f->inexact = true;
}

static void judge_ints(const ap_tensor *ref, const ap_tensor *test, bool quantised, size_t output,
                       finding *f) {
    size_t n = ap_tensor_count(ref), differ = 0, first = 0;
    double far = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs(ap_tensor_at(ref, i) - ap_tensor_at(test, i));
        if (d > 0 && differ++ == 0) first = i;
        if (d > far) far = d;
    }
    double error = n ? (double)differ / (double)n : 0;
    if (error > f->error) f->error = error;
    if (differ == 0) return;
    if (quantised && far <= 1)
        f->inexact = true; // rounding of the last bit
    else
        blame(f, "output %zu: %zu of %zu elements differ (element %zu: %g instead of %g)", output, differ, n,
              first, ap_tensor_at(test, first), ap_tensor_at(ref, first));
}

static bool same_shape(const ap_tensor *a, const ap_tensor *b) {
    return a->dtype == b->dtype && ap_shape_equal(a->dims, a->rank, b->dims, b->rank);
}

static ap_err judge_output(const ap_probe *p, const ap_tensor *ref, const ap_tensor *test, double tolerance,
                           size_t output, finding *f) {
    ap_metrics m;
    if (ref->dtype == AP_DTYPE_NONE && test->dtype == AP_DTYPE_NONE) return NULL;
    if (!same_shape(ref, test)) {
        ap_buf want = {0}, have = {0};
        ap_shape_format(ref->dims, ref->rank, &want);
        ap_shape_format(test->dims, test->rank, &have);
        blame(f, "output %zu: %s %s instead of %s %s", output, ap_dtype_name(test->dtype), ap_buf_str(&have),
              ap_dtype_name(ref->dtype), ap_buf_str(&want));
        ap_buf_free(&want);
        ap_buf_free(&have);
        return NULL;
    }
    if (p->random || ref->bytes == 0) return NULL;
    if (!ap_dtype_is_float(ref->dtype)) {
        judge_ints(ref, test, strncmp(p->op, "QLinear", 7) == 0 || strstr(p->op, "QuantizeLinear") != NULL,
                   output, f);
        return NULL;
    }
    ap_err err = ap_metrics_compare(ref, test, AP_CHANNEL_AXIS, &m);
    if (!err) judge_floats(&m, tolerance, output, f);
    return err;
}

// ---- TopK: which of equal elements is chosen is nobody's to say

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static bool same_values(const ap_tensor *a, const ap_tensor *b, double tolerance) {
    size_t n = ap_tensor_count(a);
    float *x = ap_alloc(n * sizeof *x + 1), *y = ap_alloc(n * sizeof *y + 1);
    double far = 0, most = 0;
    ap_tensor_to_f32(a, 0, n, x);
    ap_tensor_to_f32(b, 0, n, y);
    qsort(x, n, sizeof *x, by_value);
    qsort(y, n, sizeof *y, by_value);
    for (size_t i = 0; i < n; i++) {
        far = fmax(far, fabs((double)x[i] - (double)y[i]));
        most = fmax(most, fabs((double)x[i]));
    }
    free(x);
    free(y);
    return far <= tolerance * most;
}

// Does every index point at the value beside it?
static bool indices_fit(const ap_tensor *x, const ap_tensor *values, const ap_tensor *indices, int64_t axis,
                        double tolerance) {
    if (axis < 0) axis += (int64_t)x->rank;
    if (axis < 0 || axis >= (int64_t)x->rank ||
        !ap_shape_equal(values->dims, values->rank, indices->dims, indices->rank))
        return false;
    size_t inner = 1, k = (size_t)values->dims[axis], whole = (size_t)x->dims[axis],
           n = ap_tensor_count(values);
    double most = 0;
    for (size_t i = (size_t)axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(ap_tensor_at(values, i)));
    for (size_t i = 0; i < n; i++) {
        double at = ap_tensor_at(indices, i);
        if (!(at >= 0 && at < (double)whole)) return false;
        size_t from = (i / (inner * k) * whole + (size_t)at) * inner + i % inner;
        if (fabs(ap_tensor_at(x, from) - ap_tensor_at(values, i)) > tolerance * most) return false;
    }
    return true;
}

static int64_t axis_of(const Onnx__NodeProto *n) {
    for (size_t i = 0; i < n->n_attribute; i++)
        if (strcmp(n->attribute[i]->name, "axis") == 0) return n->attribute[i]->i;
    return -1;
}

static ap_err judge_topk(const ap_probe *p, const ap_tensor *x, const ap_tensor ref[2],
                         const ap_tensor test[2], double tolerance, finding *f) {
    if (!same_shape(&ref[0], &test[0]) || !same_shape(&ref[1], &test[1]))
        blame(f, "the shape or type of an output differs");
    else if (!same_values(&ref[0], &test[0], tolerance))
        blame(f, "other values are chosen");
    else if (!indices_fit(x, &test[0], &test[1],
                          axis_of(p->reference ? p->reference->node[0] : p->graph->node[0]), tolerance))
        blame(f, "an index does not point at its value");
    return NULL;
}

// ---- one probe

typedef struct judge {
    const ap_probe_batch *batch;
    answers target, oracle, inputs;
    ap_map fallen;  // piece → anything
    ap_map present; // pieces with a node in the placement
    bool strays;    // nodes without a name of ours: bodies of operators that are functions
    const json_t *refused, *fallen_nodes;
    double tolerance;
    ap_arena *arena;
} judge;

static ap_err judge_set(judge *j, size_t i, size_t set, finding *f, bool *unstable) {
    ap_probe *p = j->batch->list[i];
    ap_arena a = {0};
    size_t n = p->graph->n_output;
    ap_tensor *ref = ap_arena_calloc(&a, n + 1, sizeof *ref),
              *test = ap_arena_calloc(&a, n + 1, sizeof *test), x = {0};
    ap_err err = NULL;
    for (size_t k = 0; k < n; k++) {
        const char *name = ap_arena_printf(&a, "p%zu/%s", i, p->graph->output[k]->name);
        const json_t *r = ap_map_get(&j->oracle.sets[set], name), *t = ap_map_get(&j->target.sets[set], name);
        if (!r || !t) {
            blame(f, "output %zu did not come back", k);
            continue;
        }
        if (!ap_json_bool(t, "stable", true) && !p->random) *unstable = true;
        AP_TRY(open_tensor(r, &ref[k]));
        AP_TRY(open_tensor(t, &test[k]));
    }
    // A TopK that became something else is judged as what it was.
    if (strcmp(p->op, "TopK") == 0 && n == 2 && p->input_count > 0 && !f->wrong) {
        const char *name = ap_arena_printf(&a, "p%zu/%s", i, p->inputs[0].name);
        AP_TRY(open_tensor(ap_map_get(&j->inputs.sets[set], name), &x));
        AP_TRY(judge_topk(p, &x, ref, test, j->tolerance, f));
        goto done;
    }
    for (size_t k = 0; k < n && !f->wrong; k++)
        AP_TRY(judge_output(p, &ref[k], &test[k], j->tolerance, k, f));
done:
    for (size_t k = 0; k < n; k++) {
        ap_tensor_free(&ref[k]);
        ap_tensor_free(&test[k]);
    }
    ap_tensor_free(&x);
    ap_arena_release(&a);
    return err;
}

static const char *refusal_of(const judge *j, size_t probe) {
    size_t i;
    json_t *r;
    json_array_foreach((json_t *)(uintptr_t)j->refused, i, r) {
        if (j->batch->count > 1 && ap_probe_batch_owner(j->batch, ap_json_str(r, "node", "")) != probe)
            continue;
        const char *reason = ap_json_str(r, "reason", ""), *op = ap_json_str(r, "op", "?");
        // In a pattern it matters which of the nodes it was.
        return j->batch->list[probe]->graph->n_node > 1 || j->strays
                   ? ap_arena_printf(j->arena, "%s: %s", op, reason)
                   : reason;
    }
    return "the provider left it to the CPU and gave no reason";
}

size_t ap_probe_note_refused(const ap_probe_batch *b, size_t i, const json_t *list, ap_arena *arena) {
    ap_probe *p = b->list[i];
    size_t k, count = 0, *nodes = ap_arena_calloc(arena, p->graph->n_node + 1, sizeof *nodes);
    const json_t *n;
    json_array_foreach((json_t *)(uintptr_t)list, k, n) {
        const char *name = json_is_string(n) ? json_string_value(n) : ap_json_str(n, "node", "");
        char *end;
        if (ap_probe_batch_owner(b, name) != i || !strstr(name, "/n")) continue;
        unsigned long at = strtoul(strstr(name, "/n") + 2, &end, 10);
        bool known = at >= p->graph->n_node; // what an optimiser made of a node has a longer name
        for (size_t x = 0; x < count && !known; x++) known = nodes[x] == at;
        if (!known) nodes[count++] = at;
    }
    p->refused = nodes;
    p->refused_count = count;
    return count;
}

static ap_err judge_one(judge *j, size_t i) {
    ap_probe *p = j->batch->list[i];
    char piece[32];
    finding f = {0};
    bool unstable = false;
    snprintf(piece, sizeof piece, "p%zu", i);
    bool alone = j->batch->count == 1, absent = !ap_map_has(&j->present, piece) && !(alone && j->strays);
    if (absent && j->strays) return NULL; // stays UNASKED: whose the strays are is not known
    if (ap_map_has(&j->fallen, piece) || (alone && j->fallen.count)) {
        if (!ap_probe_note_refused(j->batch, i, j->fallen_nodes, j->arena))
            (void)ap_probe_note_refused(j->batch, i, j->refused, j->arena);
        ap_probe_decide(p, AP_PROBE_REFUSED, refusal_of(j, i), j->arena);
        return NULL;
    }
    p->folded = absent;
    for (size_t s = 0; s < AP_PROBE_SETS; s++) {
        ap_err err = judge_set(j, i, s, &f, &unstable);
        if (err) return err;
    }
    p->error = f.error;
    p->inexact = f.inexact && !f.wrong;
    if (unstable)
        ap_probe_decide(p, AP_PROBE_UNSTABLE, "two runs on the same values differ", j->arena);
    else if (f.wrong)
        ap_probe_decide(p, AP_PROBE_WRONG, f.why, j->arena);
    else
        ap_probe_decide(p, AP_PROBE_ACCEPTED,
                        p->random   ? "random: only type and shape were compared"
                        : p->folded ? "a constant: nothing of it reaches the target"
                                    : NULL,
                        j->arena);
    return NULL;
}

ap_err ap_probe_judge(const ap_probe_batch *b, const json_t *target, const json_t *oracle, const json_t *sets,
                      double tolerance, ap_arena *arena) {
    judge j = {.batch = b,
               .refused = json_object_get(target, "refused"),
               .fallen_nodes = json_object_get(target, "fallen_nodes"),
               .tolerance = tolerance,
               .arena = arena};
    size_t i;
    json_t *v;
    ap_err err = NULL;
    index_answers(target, &j.target);
    index_answers(oracle, &j.oracle);
    index_inputs(sets, &j.inputs);
    json_array_foreach(json_object_get(target, "fallen"), i, v)
        ap_map_set(&j.fallen, json_is_string(v) ? json_string_value(v) : "", arena);
    json_array_foreach(json_object_get(target, "placement"), i, v) {
        const char *name = ap_json_str(v, "name", "");
        if (ap_probe_batch_owner(b, name) != SIZE_MAX)
            ap_map_set(&j.present, ap_arena_strndup(arena, name, strcspn(name, "/")), arena);
        else if (strcmp(ap_json_str(v, "op", ""), "Transpose") != 0) // those the layout change adds
            j.strays = true;
    }
    for (i = 0; i < b->count && !err; i++) err = judge_one(&j, i);
    free_answers(&j.target);
    free_answers(&j.oracle);
    free_answers(&j.inputs);
    ap_map_free(&j.fallen);
    ap_map_free(&j.present);
    return err;
}
