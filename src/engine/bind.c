// SPDX-License-Identifier: Apache-2.0
// A session bound to memory of the caller's: what a run needs is made once.
#include "base/proc.h"
#include "engine/run_priv.h"

#include <stdlib.h>
#include <string.h>

typedef struct ap_bound {
    size_t input_count, output_count, rooms, stride;
    const char **input_names, **output_names; // of the session
    OrtValue **inputs;
    OrtValue **lent;    // inputs of runs that read them elsewhere; NULL: not yet
    ap_tensor *place;   // where that was last
    OrtValue **given;   // the inputs of one run
    OrtValue **outputs; // of room 0, then of room 1 ...; NULL where the library chooses the memory: a shape
                        // it learns only when it runs
    OrtValue **results; // of one run
    ap_tensor *room;    // where the outputs go, in room 0
} ap_bound;

static void bound_free(ap_engine *e, ap_bound *b) {
    if (!b) return;
    for (size_t i = 0; i < b->input_count; i++) e->lib.fns.ReleaseValue(b->inputs[i]);
    for (size_t i = 0; i < b->input_count; i++) e->lib.fns.ReleaseValue(b->lent[i]);
    for (size_t i = 0; i < b->output_count * b->rooms; i++) e->lib.fns.ReleaseValue(b->outputs[i]);
    free(b->input_names);
    free(b->output_names);
    free(b->inputs);
    free(b->given);
    free(b->lent);
    free(b->place);
    free(b->outputs);
    free(b->results);
    free(b->room);
    free(b);
}

void ap_session_unbind(ap_session *s) {
    bound_free(s->engine, s->bound);
    s->bound = NULL;
}

// Is there exactly this much room for what the session will put there?
static ap_err check_room(const ap_io *io, const char *name, const ap_tensor *t) {
    if (!io) return ap_err_new(AP_ERR_CONTRACT, "the session has no output '%s'", name);
    if (io->dtype != t->dtype)
        return ap_err_new(AP_ERR_CONTRACT, "output '%s' is %s, there is room for %s", name,
                          ap_dtype_name(io->dtype), ap_dtype_name(t->dtype));
    bool fits = io->rank == t->rank;
    for (size_t i = 0; fits && i < io->rank; i++) fits = io->dims[i] < 0 || io->dims[i] == t->dims[i];
    if (fits) return NULL;
    ap_buf have = {0}, want = {0};
    ap_shape_format(io->dims, io->rank, &have);
    ap_shape_format(t->dims, t->rank, &want);
    ap_err err = ap_err_new(AP_ERR_CONTRACT, "output '%s' has shape %s, there is room for %s", name,
                            ap_buf_str(&have), ap_buf_str(&want));
    ap_buf_free(&have);
    ap_buf_free(&want);
    return err;
}

static ap_tensor in_room(const ap_bound *b, size_t i, size_t room) {
    ap_tensor t = b->room[i];
    if (t.data) t.data = (uint8_t *)t.data + room * b->stride;
    return t;
}

static ap_err bind_output(ap_session *s, ap_bound *b, size_t i, const ap_named_tensor *o) {
    const ap_io *io = ap_io_find(s->outputs, s->output_count, o->name);
    ap_err err = check_room(io, o->name, &o->t);
    if (err) return err;
    b->output_names[i] = io->name;
    b->room[i] = o->t;
    for (size_t d = 0; d < io->rank; d++)
        if (io->dims[d] < 0) return NULL;
    for (size_t r = 0; r < b->rooms && !err; r++) {
        ap_tensor t = in_room(b, i, r);
        err = ap_value_over(s->engine, &t, &b->outputs[r * b->output_count + i]);
    }
    return err;
}

ap_err ap_session_bind(ap_session *s, const ap_bound_tensors *t) {
    if (!s) return ap_err_new(AP_ERR_INTERNAL, "share without a loaded model");
    size_t input_count = t->input_count, output_count = t->output_count;
    ap_bound *b = ap_calloc(1, sizeof *b);
    ap_err err = NULL;
    b->input_count = input_count;
    b->output_count = output_count;
    b->rooms = t->rooms;
    b->stride = t->stride;
    b->input_names = ap_calloc(input_count + 1, sizeof *b->input_names);
    b->output_names = ap_calloc(output_count + 1, sizeof *b->output_names);
    b->inputs = ap_calloc(input_count + 1, sizeof *b->inputs);
    b->given = ap_calloc(input_count + 1, sizeof *b->given);
    b->lent = ap_calloc(input_count + 1, sizeof *b->lent);
    b->place = ap_calloc(input_count + 1, sizeof *b->place);
    for (size_t i = 0; i < input_count; i++) b->place[i] = t->inputs[i].t;
    b->outputs = ap_calloc(output_count * t->rooms + 1, sizeof *b->outputs);
    b->results = ap_calloc(output_count + 1, sizeof *b->results);
    b->room = ap_calloc(output_count + 1, sizeof *b->room);
    AP_TRY(ap_inputs_bind(s, t->inputs, input_count, b->input_names, b->inputs));
    for (size_t i = 0; i < output_count; i++) AP_TRY(bind_output(s, b, i, &t->outputs[i]));
    ap_session_unbind(s);
    s->bound = b;
    b = NULL;
done:
    bound_free(s->engine, b);
    return err;
}

// What the library put elsewhere goes to its room.
static ap_err take_result(ap_engine *e, const char *name, OrtValue *v, ap_tensor *room) {
    ap_tensor t = {0};
    ap_err err = v ? ap_value_view(e, v, &t) : NULL;
    if (err) return err;
    ap_io io = {.dtype = t.dtype, .rank = t.rank};
    memcpy(io.dims, t.dims, sizeof io.dims);
    err = check_room(&io, name, room);
    if (!err && t.bytes) memcpy(room->data, t.data, t.bytes);
    return err;
}

// The inputs of one run. What is read elsewhere than last time gets a new value: a program's next tensor
// often lies where its last one did.
static ap_err take_inputs(ap_engine *e, ap_bound *b, const void *const *inputs, size_t count) {
    ap_err err = NULL;
    memcpy(b->given, b->inputs, b->input_count * sizeof *b->given);
    for (size_t i = 0; i < count && i < b->input_count && !err; i++) {
        if (!inputs[i]) continue;
        if (!b->lent[i] || inputs[i] != b->place[i].data) {
            b->place[i].data = (void *)(uintptr_t)inputs[i];
            e->lib.fns.ReleaseValue(b->lent[i]);
            b->lent[i] = NULL;
            err = ap_value_over(e, &b->place[i], &b->lent[i]);
        }
        b->given[i] = b->lent[i];
    }
    return err;
}

ap_err ap_session_call(ap_session *s, size_t room, const void *const *inputs, size_t input_count,
                       uint64_t *vendor_us) {
    if (!s) return ap_err_new(AP_ERR_INTERNAL, "call without a loaded model");
    ap_engine *e = s->engine;
    ap_bound *b = s->bound;
    if (!b || room >= b->rooms) return ap_err_new(AP_ERR_INTERNAL, "call without shared tensors");
    OrtValue **outputs = b->outputs + room * b->output_count;
    ap_err err = NULL;
    memcpy(b->results, outputs, b->output_count * sizeof *b->results);
    AP_TRY(take_inputs(e, b, inputs, input_count));
    uint64_t start = ap_now_us();
    OrtStatus *status = e->lib.fns.Run(s->handle, NULL, b->input_names, (const OrtValue *const *)b->given,
                                       b->input_count, b->output_names, b->output_count, b->results);
    *vendor_us = ap_now_us() - start;
    err = ap_engine_err(e, status, AP_ERR_VENDOR, "running the model");
    for (size_t i = 0; i < b->output_count; i++) {
        if (outputs[i]) continue;
        ap_tensor to = in_room(b, i, room);
        if (!err) err = take_result(e, b->output_names[i], b->results[i], &to);
        e->lib.fns.ReleaseValue(b->results[i]);
    }
done:
    return err;
}
