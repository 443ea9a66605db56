// SPDX-License-Identifier: Apache-2.0
// Running an artifact: inputs are put into memory that the worker sees, a few bytes say "go", outputs stand
// there afterwards.
#include "plan/artifact/artifact_priv.h"

#include "tensor/tensor.h"
#include "worker/bell.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGN = 64 }; // of a tensor, for vector instructions

// Room for a tensor behind *end; false: no such size.
static bool reserve(size_t bytes, size_t *end) {
    size_t room;
    return ap_add_size(bytes, 2 * ALIGN - 1, &room) && ap_add_size(*end, room / ALIGN * ALIGN, end);
}

size_t ap_artifact_offset(const aipc_artifact *a, size_t output) {
    size_t end = 0;
    for (size_t i = 0; i < output && i < a->output_count; i++)
        if (!reserve(a->outputs[i].bytes, &end)) return 0; // it cannot be started, either
    return end;
}

// Gives every tensor its offset and appends it to the request.
static ap_err place(const aipc_tensor *list, size_t count, size_t *end, json_t *out) {
    for (size_t i = 0; i < count; i++) {
        size_t at = *end;
        if (!reserve(list[i].bytes, end))
            return ap_err_new(AP_ERR_CORRUPT, "the tensors of the contract have no size that could be");
        json_array_append_new(out, json_pack("{so,ss,so,sI}", "name", ap_json_string(list[i].name), "dtype",
                                             list[i].dtype, "dims", ap_json_dims(list[i].dims, list[i].rank),
                                             "offset", (json_int_t)at));
    }
    return NULL;
}

static void **addresses(aipc_artifact *a, const json_t *list) {
    void **out = ap_arena_calloc(&a->arena, json_array_size(list) + 1, sizeof *out);
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = ap_pool_memory(a->pool)->data + ap_json_int(json_array_get(list, i), "offset", 0);
    return out;
}

void ap_artifact_want(const aipc_artifact *a) {
    const ap_heap *heap = ap_heap_find();
    for (size_t i = 0; heap && i < a->input_count; i++) (void)heap->want(a->inputs[i].bytes);
}

// Without the heap inputs are copied: nothing is lost but time.
static void share_heap(aipc_artifact *a) {
    const ap_heap *heap = ap_heap_find();
    size_t bytes = 0, largest = 0;
    ap_artifact_want(a);
    int fd = heap ? heap->memory(&bytes) : -1;
    for (size_t i = 0; i < a->input_count; i++)
        if (a->inputs[i].bytes > largest) largest = a->inputs[i].bytes;
    if (fd < 0 || largest < AP_HEAP_FROM) return;
    ap_err err = ap_worker_heap(a->worker, fd, bytes);
    if (!err) a->heap = heap;
    ap_err_free(err);
}

ap_err ap_artifact_share(aipc_artifact *a) {
    json_t *inputs = json_array(), *outputs = json_array();
    size_t end = sizeof(ap_bell), first;
    ap_err err = NULL;
    AP_TRY(place(a->inputs, a->input_count, &end, inputs));
    if (!ap_pool_align(&end))
        AP_FAIL(AP_ERR_CORRUPT, "the inputs of the contract have no size that could be");
    first = end;
    AP_TRY(place(a->outputs, a->output_count, &end, outputs));
    AP_TRY(ap_pool_make(first, end - first, &a->pool));
    a->input_at = addresses(a, inputs);
    a->output_at = addresses(a, outputs);
    AP_TRY(ap_worker_share(a->worker, ap_pool_memory(a->pool),
                           json_pack("{sO,sO,sI,sI}", "inputs", inputs, "outputs", outputs, "rooms",
                                     (json_int_t)ap_pool_rooms(a->pool), "stride",
                                     (json_int_t)ap_pool_stride(a->pool))));
    share_heap(a);
done:
    json_decref(inputs);
    json_decref(outputs);
    return err;
}

static const aipc_tensor *find_tensor(const aipc_tensor *list, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (list[i].name && strcmp(list[i].name, name) == 0) return &list[i];
    return NULL;
}

static ap_err wrong_shape(const aipc_tensor *given, const aipc_tensor *want) {
    ap_buf have = {0}, need = {0};
    ap_shape_format(given->dims, given->rank < AP_MAX_RANK ? given->rank : AP_MAX_RANK, &have);
    ap_shape_format(want->dims, want->rank, &need);
    ap_err err = ap_err_new(AP_ERR_INPUT_SHAPE,
                            "input '%s' has shape %s (%zu bytes), the contract wants %s (%zu bytes)",
                            want->name, ap_buf_str(&have), given->bytes, ap_buf_str(&need), want->bytes);
    ap_buf_free(&have);
    ap_buf_free(&need);
    return err;
}

static ap_err check_input(const aipc_tensor *want, const aipc_tensor *given) {
    if (!given) return ap_err_new(AP_ERR_INPUT_NAME, "no value for input '%s'", want->name);
    ap_err err = NULL;
    if (strcmp(given->dtype ? given->dtype : "", want->dtype) != 0)
        err = ap_err_new(AP_ERR_INPUT_DTYPE, "input '%s' is %s, the contract wants %s", want->name,
                         given->dtype ? given->dtype : "nothing", want->dtype);
    else if ((!given->data && given->bytes > 0) || (!given->dims && given->rank > 0))
        err = ap_err_new(AP_ERR_INPUT_SHAPE, "input '%s' has no %s", want->name,
                         given->dims || !given->rank ? "data" : "dims");
    else if (given->bytes != want->bytes || !ap_shape_equal(given->dims, given->rank, want->dims, want->rank))
        err = wrong_shape(given, want);
    return ap_err_subject(err, want->name);
}

// Everything is checked before anything is copied.
static ap_err check_all(const aipc_artifact *a, const aipc_tensor *inputs, size_t count,
                        const aipc_tensor *outputs, size_t output_count) {
    ap_err err = NULL;
    for (size_t i = 0; i < count; i++)
        if (!inputs[i].name || !find_tensor(a->inputs, a->input_count, inputs[i].name))
            return ap_err_new(AP_ERR_INPUT_NAME, "the artifact has no input '%s'",
                              inputs[i].name ? inputs[i].name : "(null)");
    for (size_t i = 0; i < a->input_count && !err; i++)
        err = check_input(&a->inputs[i], find_tensor(inputs, count, a->inputs[i].name));
    if (!err && output_count != a->output_count)
        err = ap_err_new(AP_ERR_CONTRACT, "room for %zu outputs, the contract has %zu", output_count,
                         a->output_count);
    for (size_t i = 0; i < output_count && !err; i++)
        if (outputs[i].bytes != a->outputs[i].bytes || (!outputs[i].data && outputs[i].bytes))
            err = ap_err_new(AP_ERR_CONTRACT, "room for %zu bytes of output '%s', the contract has %zu",
                             outputs[i].data ? outputs[i].bytes : 0, a->outputs[i].name, a->outputs[i].bytes);
    return err;
}

static void put(void *to, const void *from, size_t bytes) {
    if (bytes && to != from) memcpy(to, from, bytes);
}

// The room that is lent to who wants the outputs there; 0: nowhere, they are copied.
static size_t room_of(const aipc_artifact *a, void *const *outputs) {
    size_t room = 0;
    for (size_t i = 0; i < a->output_count && room == 0; i++) room = ap_pool_room(a->pool, outputs[i]);
    return room;
}

// Shows the worker where the inputs lie; what it cannot see is copied to where it can.
static void put_inputs(const aipc_artifact *a, const void *const *inputs, uint64_t *given, uint64_t *copied) {
    *copied = 0;
    for (size_t i = 0; i < a->input_count; i++) {
        size_t bytes = a->inputs[i].bytes, at;
        bool seen =
            a->heap && i < AP_BELL_GIVEN && bytes >= AP_HEAP_FROM && a->heap->at(inputs[i], bytes, &at);
        if (seen)
            given[i] = (uint64_t)at + 1;
        else if (inputs[i] != a->input_at[i]) {
            put(a->input_at[i], inputs[i], bytes);
            *copied += bytes;
        }
    }
}

static ap_err run_locked(aipc_artifact *a, const void *const *inputs, void *const *outputs,
                         aipc_answer *told) {
    size_t room = room_of(a, outputs), behind = room * ap_pool_stride(a->pool);
    uint64_t given[AP_BELL_GIVEN] = {0};
    put_inputs(a, inputs, given, &told->copied);
    ap_err err = ap_worker_ring(a->worker, room, a->heap ? given : NULL, &told->vendor_us);
    for (size_t i = 0; i < a->output_count && !err; i++)
        if (outputs[i]) put(outputs[i], (uint8_t *)a->output_at[i] + behind, a->outputs[i].bytes);
    return err;
}

ap_err ap_artifact_run_at(aipc_artifact *a, const void *const *inputs, void *const *outputs,
                          aipc_answer *told) {
    if (a->owner != getpid())
        return ap_err_hint(ap_err_new(AP_ERR_BUSY,
                                      "the artifact belongs to process %ld, which this one is a fork of",
                                      (long)a->owner),
                           "open it again in this process");
    pthread_mutex_lock(&a->lock);
    ap_err err = run_locked(a, inputs, outputs, told);
    pthread_mutex_unlock(&a->lock);
    return err;
}

ap_err ap_artifact_run_into(aipc_artifact *a, const aipc_tensor *inputs, size_t count,
                            const aipc_tensor *outputs, size_t output_count) {
    ap_err err = check_all(a, inputs, count, outputs, output_count);
    if (err) return err;
    void **at = ap_calloc(a->input_count + output_count + 1, sizeof *at), **to = at + a->input_count;
    for (size_t i = 0; i < a->input_count; i++) at[i] = find_tensor(inputs, count, a->inputs[i].name)->data;
    for (size_t i = 0; i < output_count; i++) to[i] = outputs[i].data;
    aipc_answer told;
    err = ap_artifact_run_at(a, (const void *const *)at, to, &told);
    free(at);
    return err;
}

// Room of its own for an output, as aipc_outputs_free releases it.
static ap_err make_room(const aipc_tensor *want, aipc_tensor *out) {
    void *data = malloc(want->bytes ? want->bytes : 1);
    if (!data)
        return ap_err_new(AP_ERR_NO_MEMORY, "no memory for output '%s', %zu bytes", want->name, want->bytes);
    int64_t *dims = ap_calloc(want->rank + 1, sizeof *dims);
    memcpy(dims, want->dims, want->rank * sizeof *dims);
    *out = (aipc_tensor){.name = ap_strdup(want->name),
                         .dtype = want->dtype,
                         .rank = want->rank,
                         .dims = dims,
                         .data = data,
                         .bytes = want->bytes};
    return NULL;
}

ap_err ap_artifact_run(aipc_artifact *a, const aipc_tensor *inputs, size_t count, aipc_tensor *outputs) {
    aipc_tensor *made = ap_calloc(a->output_count + 1, sizeof *made);
    ap_err err = NULL;
    for (size_t i = 0; i < a->output_count; i++) AP_TRY(make_room(&a->outputs[i], &made[i]));
    AP_TRY(ap_artifact_run_into(a, inputs, count, made, a->output_count));
    memcpy(outputs, made, a->output_count * sizeof *made);
    memset(made, 0, a->output_count * sizeof *made);
done:
    aipc_outputs_free(made, a->output_count);
    free(made);
    return err;
}

void aipc_outputs_free(aipc_tensor *outputs, size_t count) {
    for (size_t i = 0; outputs && i < count; i++) {
        free((void *)(uintptr_t)outputs[i].name);
        free((void *)(uintptr_t)outputs[i].dims);
        free(outputs[i].data);
        memset(&outputs[i], 0, sizeof outputs[i]);
    }
}
