// SPDX-License-Identifier: Apache-2.0
// Which artifact answers a call, and the call.
#include "plan/artifact/served.h"

#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- does it fit

static bool dims_fit(const aipc_tensor *have, const json_t *dims) {
    if (json_array_size(dims) != have->rank) return false;
    for (size_t i = 0; i < have->rank; i++) {
        const json_t *d = json_array_get(dims, i); // a name: a size that may vary
        if (json_is_integer(d) && json_integer_value(d) != have->dims[i]) return false;
    }
    return true;
}

static bool leaves_fit(const json_t *inputs, const aipc_tensor *leaves, size_t count) {
    if (json_array_size(inputs) != count) return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *want = json_array_get(inputs, i);
        if (strcmp(ap_json_str(want, "dtype", ""), leaves[i].dtype) != 0 ||
            !dims_fit(&leaves[i], json_object_get(want, "dims")))
            return false;
    }
    return true;
}

static const aipc_tensor *leaf_for(const aipc_deployed *d, size_t feed, bool by_name,
                                   const aipc_tensor *leaves, size_t count) {
    const ap_feed *f = &d->feeds[feed];
    if (!by_name) return f->leaf < count ? &leaves[f->leaf] : NULL;
    for (size_t i = 0; i < count; i++)
        if (leaves[i].name && strcmp(leaves[i].name, f->name) == 0) return &leaves[i];
    return NULL;
}

static bool is_one(const aipc_tensor *t) {
    for (size_t i = 0; i < t->rank; i++)
        if (t->dims[i] != 1) return false;
    return true;
}

// The tensors are those of the contract. A module's leaf may be of another type: what calls us converts it.
static bool feeds_fit(aipc_deployed *d, bool by_name, const aipc_tensor *leaves, size_t count) {
    for (size_t i = 0; i < d->feed_count; i++) {
        const aipc_tensor *have = leaf_for(d, i, by_name, leaves, count);
        const aipc_tensor *want = d->feeds[i].fixed ? NULL : &d->contract->inputs[i];
        if (!have || (d->feeds[i].fixed && !is_one(have))) return false;
        if (want && (!ap_shape_equal(have->dims, have->rank, want->dims, want->rank) ||
                     (by_name && strcmp(have->dtype, want->dtype) != 0)))
            return false;
        if (d->feeds[i].fixed) d->feeds[i].dtype = ap_dtype_from_name(have->dtype);
    }
    return true;
}

static ap_err not_deployed(bool by_name, bool other_arguments, const aipc_tensor *leaves, size_t count) {
    ap_buf text = {0};
    for (size_t i = 0; i < count; i++) {
        ap_buf_printf(&text, "%s%s ", i ? ", " : "", leaves[i].dtype);
        ap_shape_format(leaves[i].dims, leaves[i].rank, &text);
    }
    ap_err err = ap_err_new(AP_ERR_INPUT_SHAPE, "a %s with %s was not deployed", by_name ? "run" : "call",
                            other_arguments ? "other arguments beside the tensors"
                            : count         ? ap_buf_str(&text)
                                            : "no tensors");
    ap_buf_free(&text);
    return err;
}

// Only what can be looked at: names of types and dims come from outside.
static ap_err check_leaves(const aipc_tensor *leaves, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!leaves[i].dtype || leaves[i].rank > AP_MAX_RANK || (leaves[i].rank && !leaves[i].dims))
            return ap_err_new(AP_ERR_INPUT_SHAPE, "tensor %zu of the call has no type or no dims", i);
    return NULL;
}

ap_err ap_served_choose(aipc_served *m, const json_t *spec, const aipc_tensor *leaves, size_t count,
                        aipc_deployed **out) {
    aipc_deployed *fits = NULL;
    bool other_arguments = false;
    ap_err err = check_leaves(leaves, count);
    if (err) return err;
    pthread_mutex_lock(&m->server->lock);
    for (aipc_deployed *d = m->list; d; d = d->next) {
        if (fits && !fits->refusal) break;
        if (spec && !leaves_fit(json_object_get(d->call, "inputs"), leaves, count)) continue;
        bool same = !spec || json_equal(spec, json_object_get(d->call, "spec"));
        other_arguments = other_arguments || !same;
        if (same && feeds_fit(d, !spec, leaves, count) && (!fits || !d->refusal)) fits = d;
    }
    if (fits && fits->refusal) err = ap_err_new(AP_ERR_GATE, "%s", fits->refusal);
    pthread_mutex_unlock(&m->server->lock);
    if (!err && !fits) err = not_deployed(!spec, other_arguments, leaves, count);
    if (!err) *out = fits;
    return err;
}

// [name, dtype, [dims]]
static aipc_tensor leaf_of(const json_t *j, ap_arena *a) {
    const json_t *dims = json_array_get(j, 2);
    int64_t *sizes = ap_arena_calloc(a, json_array_size(dims) + 1, sizeof *sizes);
    for (size_t i = 0; i < json_array_size(dims); i++) sizes[i] = json_integer_value(json_array_get(dims, i));
    return (aipc_tensor){.name = json_string_value(json_array_get(j, 0)),
                         .dtype = json_string_value(json_array_get(j, 1)),
                         .rank = json_array_size(dims),
                         .dims = sizes};
}

ap_err ap_served_choose_json(aipc_served *m, const char *call, aipc_deployed **out) {
    ap_arena a = {0};
    json_t *j = NULL;
    ap_err err = NULL;
    AP_TRY(ap_json_parse(call, strlen(call), "a call", AP_ERR_INPUT_FILE, &j));
    const json_t *spec = json_array_get(j, 0), *list = json_array_get(j, 1);
    aipc_tensor *leaves = ap_arena_calloc(&a, json_array_size(list) + 1, sizeof *leaves);
    for (size_t i = 0; i < json_array_size(list); i++) leaves[i] = leaf_of(json_array_get(list, i), &a);
    AP_TRY(ap_served_choose(m, json_is_null(spec) ? NULL : spec, leaves, json_array_size(list), out));
done:
    json_decref(j);
    ap_arena_release(&a);
    return err;
}

bool ap_served_refuse(aipc_served *m, const char *why) {
    bool first = false;
    pthread_mutex_lock(&m->server->lock);
    ap_counts_add(&m->server->counts, ap_counts_slot(&m->server->counts, m->name, NULL, NULL, why, &first));
    pthread_mutex_unlock(&m->server->lock);
    return first;
}

// ---- what the caller has to know

static json_t *outputs(const aipc_artifact *a) {
    json_t *out = json_array();
    for (size_t i = 0; i < a->output_count; i++) {
        const aipc_tensor *t = &a->outputs[i];
        json_array_append_new(out, json_pack("{so,ss,so,sI}", "name", ap_json_string(t->name), "dtype",
                                             t->dtype, "dims", ap_json_dims(t->dims, t->rank), "at",
                                             (json_int_t)ap_artifact_offset(a, i)));
    }
    return out;
}

// Which output each leaf of the original's answer is, and of which type it was. Without an output: also its
// shape.
static json_t *results(const aipc_deployed *d) {
    const json_t *answer = json_object_get(d->call, "outputs"), *leaf;
    json_t *out = json_array();
    for (size_t i = 0; d->results && (leaf = json_array_get(answer, i)) != NULL; i++) {
        bool none = d->results[i] == AP_NO_OUTPUT;
        json_array_append_new(out, json_pack("{so,ss,sO*}", "output",
                                             none ? json_null() : json_integer((json_int_t)d->results[i]),
                                             "dtype", ap_json_str(leaf, "dtype", "float32"), "dims",
                                             none ? json_object_get(leaf, "dims") : NULL));
    }
    return out;
}

json_t *ap_deployed_document(const aipc_deployed *d) {
    json_t *feeds = json_array();
    for (size_t i = 0; i < d->feed_count; i++) {
        const ap_feed *f = &d->feeds[i];
        const char *dtype = f->fixed ? NULL : d->contract->inputs[i].dtype; // NULL: as it is
        json_array_append_new(feeds, json_pack("{so,sI,so}", "name", ap_json_string(f->name), "leaf",
                                               (json_int_t)f->leaf, "dtype", ap_json_string(dtype)));
    }
    return json_pack("{so,so,so,so,sO*,sI}", "dir", ap_json_string(d->dir), "feeds", feeds, "outputs",
                     outputs(d->contract), "results", results(d), "out_spec",
                     json_object_get(d->call, "out_spec"), "bytes",
                     (json_int_t)ap_artifact_offset(d->contract, d->contract->output_count));
}

// ---- the call

static ap_err start(aipc_deployed *d) {
    const char *target = ap_json_str(d->contract->target, "target", NULL);
    aipc_artifact *a = NULL;
    ap_err err = ap_artifact_open(d->model->server->ctx, d->dir, target, &a);
    if (err) return err;
    if (!json_equal(json_object_get(a->manifest, "contract"),
                    json_object_get(d->contract->manifest, "contract"))) {
        ap_artifact_close(a);
        return ap_err_new(AP_ERR_CORRUPT, "%s changed while the program ran", d->dir);
    }
    d->running = a;
    return NULL;
}

static ap_err started(aipc_deployed *d, aipc_artifact **out) {
    aipc_server *s = d->model->server;
    ap_err err = NULL;
    *out = d->running;
    if (*out) return NULL;
    pthread_mutex_lock(&s->lock);
    if (!d->running) err = start(d);
    if (!err) *out = d->running;
    pthread_mutex_unlock(&s->lock);
    return err;
}

// A whole number in memory of the program's; false for types that hold none.
static bool whole_number(ap_dtype t, const void *data, int64_t *out) {
    union {
        int8_t i8;
        uint8_t u8;
        int16_t i16;
        uint16_t u16;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        float f32;
        double f64;
    } v = {.i64 = 0};
    memcpy(&v, data, ap_dtype_bits(t) / 8);
    switch (t) {
    case AP_BOOL:
    case AP_U8: *out = v.u8; return true;
    case AP_I8: *out = v.i8; return true;
    case AP_U16: *out = v.u16; return true;
    case AP_I16: *out = v.i16; return true;
    case AP_U32: *out = v.u32; return true;
    case AP_I32: *out = v.i32; return true;
    case AP_U64:
    case AP_I64: *out = v.i64; return true;
    case AP_F32: v.f64 = (double)v.f32; break;
    case AP_F64: break;
    default: return false;
    }
    if (!(v.f64 > -9e15 && v.f64 < 9e15)) return false;
    *out = (int64_t)v.f64;
    return (double)*out == v.f64;
}

static ap_err check_fixed(const aipc_deployed *d, const void *const *inputs) {
    for (size_t i = d->contract->input_count; i < d->feed_count; i++) {
        const ap_feed *f = &d->feeds[i];
        int64_t v = 0;
        bool whole = ap_dtype_bits(f->dtype) <= 64 && whole_number(f->dtype, inputs[i], &v);
        if (!whole || v != f->value)
            return ap_err_new(AP_ERR_INPUT_SHAPE, "input %s is %s%lld, deployed was %lld", f->name,
                              whole ? "" : "not a whole number: ", (long long)v, (long long)f->value);
    }
    return NULL;
}

static ap_err check_inputs(const aipc_deployed *d, const void *const *inputs) {
    const aipc_artifact *c = d->contract;
    for (size_t i = 0; i < c->input_count; i++)
        if (!inputs[i] && c->inputs[i].bytes)
            return ap_err_new(AP_ERR_INPUT_SHAPE, "input '%s' has no data", c->inputs[i].name);
    return check_fixed(d, inputs);
}

ap_loan *ap_deployed_lend(aipc_deployed *d, void **outputs) {
    aipc_artifact *a = d->running; // the first run starts it
    ap_loan *loan = a && a->owner == getpid() ? ap_pool_lend(a->pool) : NULL;
    for (size_t i = 0; loan && i < a->output_count; i++)
        outputs[i] = (uint8_t *)a->output_at[i] + ap_loan_behind(loan);
    return loan;
}

static void count(aipc_deployed *d, pid_t me) {
    ap_counts *c = &d->model->server->counts;
    bool first;
    pthread_mutex_lock(&d->model->server->lock);
    if (d->slot_owner != me) {
        d->slot = ap_counts_slot(c, d->model->name, d->dir, ap_json_str(d->contract->target, "target", ""),
                                 NULL, &first);
        d->slot_owner = me;
    }
    ap_counts_add(c, d->slot);
    pthread_mutex_unlock(&d->model->server->lock);
}

// It will not get better: the original answers from now on.
static ap_err give_up(aipc_deployed *d, ap_err err) {
    aipc_server *s = d->model->server;
    pthread_mutex_lock(&s->lock);
    d->refusal = ap_arena_strdup(&s->arena, ap_err_message(err));
    pthread_mutex_unlock(&s->lock);
    return err;
}

// Running from the first call on.
static ap_err ready(aipc_deployed *d, const void *const *inputs, aipc_artifact **out) {
    ap_err err = check_inputs(d, inputs);
    if (err) return err;
    err = started(d, out);
    return err ? give_up(d, err) : NULL;
}

static ap_err run(aipc_deployed *d, aipc_artifact *a, const void *const *inputs, void *const *outputs,
                  aipc_answer *told) {
    ap_err err = ap_artifact_run_at(a, inputs, outputs, told);
    if (err) return give_up(d, err);
    count(d, a->owner); // or it had not run
    return NULL;
}

ap_err ap_deployed_run(aipc_deployed *d, const void *const *inputs, void *const *outputs) {
    aipc_artifact *a = NULL;
    aipc_answer told;
    ap_err err = ready(d, inputs, &a);
    return err ? err : run(d, a, inputs, outputs, &told);
}

ap_err ap_deployed_answer(aipc_deployed *d, const void *const *inputs, aipc_answer *out) {
    aipc_artifact *a = NULL;
    ap_err err = ready(d, inputs, &a);
    if (err) return err;
    size_t count = a->output_count, bytes = ap_artifact_offset(a, count);
    ap_loan *loan = ap_pool_lend(a->pool);
    if (!loan) loan = ap_loan_own(bytes);
    if (!loan) return ap_err_new(AP_ERR_NO_MEMORY, "no memory for an answer of %zu bytes", bytes);
    aipc_answer made = {.memory = ap_loan_memory(loan), .loan = loan};
    uint8_t **outputs = ap_calloc(count + 1, sizeof *outputs);
    for (size_t i = 0; i < count; i++)
        outputs[i] = (uint8_t *)made.memory + ((uint8_t *)a->output_at[i] - (uint8_t *)a->output_at[0]);
    err = run(d, a, inputs, (void *const *)outputs, &made);
    free(outputs);
    if (err)
        ap_loan_release(loan);
    else
        *out = made;
    return err;
}
