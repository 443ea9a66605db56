// SPDX-License-Identifier: Apache-2.0
#include "engine/oracle.h"

#include "base/proc.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_BUDGET ((size_t)256 << 20)

typedef struct oracle {
    ap_engine *engine;
    ap_model *model;
    const ap_named_tensor *inputs;
    size_t input_count;
    const ap_oracle_options *o;
    ap_oracle_stats stats;
    size_t largest_open; // bytes of the largest tensor so far whose size was not known before
} oracle;

#define UNKNOWN_BYTES SIZE_MAX

// Opens a session that outputs exactly `names`.
static ap_err open_chunk(oracle *q, const char *const *names, size_t count, ap_session **out) {
    ap_buf bytes = {0};
    ap_err err = NULL;
    AP_TRY(ap_model_set_outputs(q->model, names, count));
    AP_TRY(ap_model_bytes(q->model, &bytes));
    ap_session_options so = {
        .optimization = ORT_DISABLE_ALL, .external_dir = q->model->dir, .threads = q->o->threads};
    uint64_t start = ap_now_us();
    AP_TRY(ap_session_open(q->engine, q->model->path ? q->model->path : "model", bytes.data, bytes.len, &so,
                           out));
    q->stats.vendor_us += ap_now_us() - start;
done:
    ap_buf_free(&bytes);
    return err;
}

// Bytes an output will take, as ONNX Runtime inferred it.
static size_t expected_bytes(const ap_io *io) {
    size_t bytes = 0;
    for (size_t i = 0; i < io->rank; i++)
        if (io->dims[i] < 0) return UNKNOWN_BYTES;
    ap_err err = io->dtype ? ap_shape_bytes(io->dtype, io->dims, io->rank, &bytes) : NULL;
    if (err) bytes = UNKNOWN_BYTES;
    ap_err_free(err);
    return bytes;
}

static ap_err run_set(oracle *q, ap_session *s, size_t set, const ap_named_tensor *inputs, size_t count) {
    ap_run_result r = {0};
    ap_err err = NULL;
    AP_TRY(ap_session_run(s, inputs, count, NULL, 0, &r));
    q->stats.vendor_us += r.vendor_us;
    if (q->o->set) q->o->set(q->o->user, set);
    for (size_t i = 0; i < r.count; i++) {
        const ap_tensor *t = &r.tensors[i].t;
        if (i < s->output_count && expected_bytes(&s->outputs[i]) == UNKNOWN_BYTES &&
            t->bytes > q->largest_open)
            q->largest_open = t->bytes;
        AP_TRY(q->o->sink(q->o->user, r.tensors[i].name, t));
    }
done:
    ap_run_result_free(&r);
    return err;
}

static ap_err run_chunk(oracle *q, ap_session *s) {
    ap_err err = run_set(q, s, 0, q->inputs, q->input_count);
    q->stats.chunks++;
    for (size_t i = 0; !err && i < q->o->more_count; i++)
        err = run_set(q, s, i + 1, q->o->more[i].list, q->o->more[i].count);
    return err;
}

// What a tensor of unknown size counts for, after a guess that served so far. Opening a session costs more
// than anything (ONNX Runtime takes longer than linear in nodes), so guesses follow what was seen, eight
// times more tensors a session at most.
static size_t next_guess(size_t guess, size_t largest, size_t most) {
    if (largest > most / 2) return most;
    return 2 * largest > guess / 8 ? 2 * largest : guess / 8 + 1;
}

// Splits the names by expected size and runs a session per part. Only one session is
// alive at a time.
static ap_err run_in_parts(oracle *q, const char *const *names, size_t count, size_t budget,
                           const size_t *bytes) {
    size_t guess = budget / 16;
    ap_err err = NULL;
    for (size_t from = 0; from < count && !err;) {
        size_t to = from, sum = 0;
        for (; to < count; to++) {
            size_t more = bytes[to] == UNKNOWN_BYTES ? guess : bytes[to];
            if (to > from && (more > budget || sum > budget - more)) break;
            sum += more < budget ? more : budget;
        }
        ap_session *s = NULL;
        err = open_chunk(q, names + from, to - from, &s);
        if (!err) err = run_chunk(q, s);
        ap_session_close(s);
        guess = next_guess(guess, q->largest_open, budget / 16);
        from = to;
    }
    return err;
}

static ap_err run_all(oracle *q, const char *const *names, size_t count) {
    size_t budget = q->o->budget_bytes ? q->o->budget_bytes : DEFAULT_BUDGET, sum = 0;
    size_t *bytes = ap_calloc(count + 1, sizeof *bytes);
    ap_session *s = NULL;
    ap_err err = NULL;
    AP_TRY(open_chunk(q, names, count, &s));
    for (size_t i = 0; i < count; i++) {
        bytes[i] = i < s->output_count ? expected_bytes(&s->outputs[i]) : 0;
        if (!ap_add_size(sum, bytes[i] == UNKNOWN_BYTES ? budget / 16 : bytes[i], &sum)) sum = SIZE_MAX;
    }
    if (sum <= budget || count == 1) {
        AP_TRY(run_chunk(q, s));
    } else {
        ap_session_close(s);
        s = NULL;
        AP_TRY(run_in_parts(q, names, count, budget, bytes));
    }
done:
    ap_session_close(s);
    free(bytes);
    return err;
}

ap_err ap_oracle_run(ap_engine *e, ap_model *m, const ap_named_tensor *inputs, size_t input_count,
                     const ap_oracle_options *o, ap_oracle_stats *stats) {
    oracle q = {.engine = e, .model = m, .inputs = inputs, .input_count = input_count, .o = o};
    // The outputs list is borrowed for the run and put back after it, whatever happens.
    size_t saved_count = m->graph->output_count;
    const char **saved = ap_calloc(saved_count + 1, sizeof *saved);
    for (size_t i = 0; i < saved_count; i++) saved[i] = m->graph->outputs[i]->name;
    ap_err err = o->tensors ? run_all(&q, o->tensors, o->tensor_count) : run_all(&q, saved, saved_count);
    ap_err restored = ap_model_set_outputs(m, saved, saved_count);
    if (!err)
        err = restored;
    else
        ap_err_free(restored);
    free(saved);
    if (!err && stats) *stats = q.stats;
    return err;
}
