// SPDX-License-Identifier: Apache-2.0
#include "worker/server.h"

#include "base/channel.h"
#include "base/cpu.h"
#include "base/proc.h"
#include "base/shared.h"
#include "target/target.h"
#include "worker/bell.h"
#include "worker/protocol.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ROOMS = 1024 };

typedef struct server {
    const ap_target_ops *ops;
    void *state;
    int passed; // a descriptor that came with the request; -1: none
    ap_shared shared, heap;
    uint32_t rooms;                                 // for outputs
    size_t input_count, input_bytes[AP_BELL_GIVEN]; // of what is shared; the first of them
    ap_patience patience;
} server;

static ap_bell *bell_of(const server *s) {
    return (ap_bell *)(void *)s->shared.data;
}

static ap_err serve_open(server *s, const json_t *args, json_t **result) {
    const char *kind = NULL;
    ap_err err = NULL;
    if (s->ops) AP_FAIL(AP_ERR_INTERNAL, "this worker already holds target %s", s->ops->kind);
    if (ap_json_int(args, "protocol", 1) != AP_PROTOCOL)
        AP_FAIL(AP_ERR_INTERNAL, "this aipc (%s) is of another build than what started it", AP_VERSION);
    AP_TRY(ap_json_get_str(args, "target", "open", AP_ERR_INTERNAL, &kind));
    const ap_target_ops *ops = ap_target_find(kind);
    if (!ops) AP_FAIL(AP_ERR_TARGET_UNKNOWN, "no target '%s'", kind);
    int64_t cpu = ap_json_int(args, "cpu", -1);
    if (cpu >= 0) ap_cpu_pin((size_t)cpu);
    uint64_t start = ap_now_us();
    AP_TRY(ops->open(args, &s->state));
    s->ops = ops;
    uint64_t spent = ap_now_us() - start;
    AP_TRY(ops->describe(s->state, result));
    json_object_set_new(*result, "vendor_us", json_integer((json_int_t)spent));
    json_object_set_new(*result, "protocol", json_integer(AP_PROTOCOL));
done:
    return err;
}

// Views of the tensors that a `share` request places in the memory, the first of `rooms` times.
static ap_err place(const json_t *list, const ap_shared *memory, size_t rooms, size_t stride,
                    ap_named_tensor **out, size_t *count) {
    size_t n = json_array_size(list), behind, end;
    ap_named_tensor *all = ap_calloc(n + 1, sizeof *all);
    ap_err err = NULL;
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(list, i);
        ap_tensor *t = &all[i].t;
        int64_t offset = 0;
        AP_TRY(ap_json_get_str(o, "name", "share", AP_ERR_INTERNAL, &all[i].name));
        AP_TRY(ap_json_get_int(o, "offset", all[i].name, AP_ERR_INTERNAL, &offset));
        AP_TRY(ap_tensor_describe(o, t));
        if (offset < 0 || !ap_mul_size(rooms - 1, stride, &behind) ||
            !ap_add_size((size_t)offset, behind, &end) || !ap_add_size(end, t->bytes, &end) ||
            end > memory->bytes)
            AP_FAIL(AP_ERR_INTERNAL, "'%s' lies outside the shared memory", all[i].name);
        t->data = memory->data + offset;
    }
    *out = all;
    *count = n;
    return NULL;
done:
    free(all);
    return err;
}

// The memory that came with a request.
static ap_err take_memory(server *s, const char *op, const json_t *args,
                          ap_err (*open)(int, size_t, ap_shared *), ap_shared *out) {
    int64_t bytes = 0;
    int fd = s->passed;
    s->passed = -1;
    if (fd < 0) return ap_err_new(AP_ERR_INTERNAL, "%s: no memory came with it", op);
    ap_err err = ap_json_get_int(args, "bytes", op, AP_ERR_INTERNAL, &bytes);
    if (!err) return open(fd, bytes < 0 ? 0 : (size_t)bytes, out);
    ap_fd_close(&fd);
    return err;
}

static ap_err serve_share(server *s, const json_t *args) {
    ap_shared memory = AP_SHARED_NONE;
    ap_named_tensor *inputs = NULL, *outputs = NULL;
    ap_bound_tensors t = {0};
    int64_t rooms = 0, stride = 0;
    ap_err err = NULL;
    AP_TRY(take_memory(s, "share", args, ap_shared_open, &memory));
    AP_TRY(ap_json_get_int(args, "rooms", "share", AP_ERR_INTERNAL, &rooms));
    AP_TRY(ap_json_get_int(args, "stride", "share", AP_ERR_INTERNAL, &stride));
    if (rooms < 1 || rooms > MAX_ROOMS || stride < 0 || memory.bytes < sizeof(ap_bell))
        AP_FAIL(AP_ERR_INTERNAL, "share: %lld rooms, %lld bytes apart, cannot be", (long long)rooms,
                (long long)stride);
    t.rooms = (size_t)rooms;
    t.stride = (size_t)stride;
    AP_TRY(place(json_object_get(args, "inputs"), &memory, 1, 0, &inputs, &t.input_count));
    AP_TRY(place(json_object_get(args, "outputs"), &memory, t.rooms, t.stride, &outputs, &t.output_count));
    t.inputs = inputs;
    t.outputs = outputs;
    AP_TRY(s->ops->share(s->state, &t));
    ap_shared old = s->shared; // in use until now
    s->shared = memory;
    s->rooms = (uint32_t)rooms;
    s->input_count = t.input_count < AP_BELL_GIVEN ? t.input_count : AP_BELL_GIVEN;
    for (size_t i = 0; i < s->input_count; i++) s->input_bytes[i] = inputs[i].t.bytes;
    memory = old;
done:
    free(inputs);
    free(outputs);
    ap_shared_close(&memory);
    return err;
}

static ap_err serve_heap(server *s, const json_t *args) {
    ap_shared memory = AP_SHARED_NONE;
    ap_err err = take_memory(s, "heap", args, ap_shared_open_to_read, &memory);
    if (err) return err;
    ap_shared_close(&s->heap);
    s->heap = memory;
    return NULL;
}

static ap_err dispatch(server *s, const char *op, const json_t *args, json_t **result) {
    if (strcmp(op, "open") == 0) return serve_open(s, args, result);
    if (!s->ops) return ap_err_new(AP_ERR_INTERNAL, "request '%s' before open", op);
    if (strcmp(op, "share") == 0) return serve_share(s, args);
    if (strcmp(op, "heap") == 0) return serve_heap(s, args);
    const struct {
        const char *op;
        ap_err (*call)(void *, const json_t *, json_t **);
    } table[] = {{"build", s->ops->build},     {"load", s->ops->load},     {"run", s->ops->run},
                 {"profile", s->ops->profile}, {"oracle", s->ops->oracle}, {"probe", s->ops->probe}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].call && strcmp(table[i].op, op) == 0) return table[i].call(s->state, args, result);
    return ap_err_new(AP_ERR_INTERNAL, "target %s has no request '%s'", s->ops->kind, op);
}

// Steals `failed` and `result`.
static ap_err reply_with(int fd, ap_err failed, json_t *result) {
    json_t *reply = failed ? json_pack("{sb,so}", "ok", 0, "error", ap_json_from_err(failed))
                           : json_pack("{sb,so}", "ok", 1, "result", result ? result : json_null());
    ap_err_free(failed);
    ap_err err = ap_frame_write(fd, reply);
    json_decref(reply);
    return err;
}

// Where the inputs lie that are not in their own place; the others stay NULL.
static ap_err find_given(const server *s, const void **inputs) {
    for (size_t i = 0; i < s->input_count; i++) {
        uint64_t at = bell_of(s)->given[i], end;
        if (at == 0) continue;
        if (!s->heap.data || __builtin_add_overflow(at - 1, s->input_bytes[i], &end) || end > s->heap.bytes)
            return ap_err_new(AP_ERR_INTERNAL, "input %zu lies outside the heap", i);
        inputs[i] = s->heap.data + (at - 1);
    }
    return NULL;
}

static ap_err serve_call(server *s, int fd, uint32_t room) {
    const void *inputs[AP_BELL_GIVEN] = {NULL};
    uint64_t vendor_us = 0;
    ap_err failed = find_given(s, inputs);
    if (failed) goto done;
    if (room >= s->rooms)
        failed = ap_err_new(AP_ERR_INTERNAL, "a call for room %u of %u", room, s->rooms);
    else
        failed = s->ops->call(s->state, room, inputs, s->input_count, &vendor_us);
done:
    ap_bell_answer(bell_of(s), failed != NULL, vendor_us);
    return failed ? reply_with(fd, failed, NULL) : NULL;
}

static ap_err answer(server *s, int fd, const json_t *request) {
    json_t *result = NULL;
    ap_err failed = dispatch(s, ap_json_str(request, "op", ""), json_object_get(request, "args"), &result);
    return reply_with(fd, failed, result);
}

// Requests that are there, then calls until there is something on the channel.
static ap_err serve_what_comes(server *s, int fd, ap_buf *in) {
    uint32_t room = 0;
    ap_err err = NULL;
    for (;;) {
        json_t *request = NULL;
        AP_TRY(ap_frame_take(in, &request));
        if (request) {
            err = answer(s, fd, request);
            json_decref(request);
        } else if (in->len == 0 && s->shared.data &&
                   ap_bell_asked(bell_of(s), &s->patience, &room) == AP_RING_CALL)
            err = serve_call(s, fd, room);
        else
            break;
        if (err) break;
    }
done:
    return err;
}

int ap_worker_serve(int fd) {
    server s = {.passed = -1, .shared = AP_SHARED_NONE, .heap = AP_SHARED_NONE};
    ap_buf in = {0};
    ap_err err = NULL;
    AP_TRY(ap_channel_end_with_peer(fd));
    for (;;) {
        ap_channel_state state;
        AP_TRY(serve_what_comes(&s, fd, &in));
        AP_TRY(ap_channel_receive(fd, -1, &in, &s.passed, &state));
        if (state == AP_CHANNEL_CLOSED) break; // the parent closed the channel: our work is over
    }
done:
    ap_buf_free(&in);
    if (s.ops) s.ops->close(s.state);
    ap_shared_close(&s.shared);
    ap_shared_close(&s.heap);
    ap_fd_close(&s.passed);
    int code = ap_code_exit(ap_err_code(err));
    ap_err_free(err);
    return code;
}
